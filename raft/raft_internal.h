/* The core's state: one flat block without pointers into itself, so that a copy of the bytes is a
 * copy of the core. Three arrays whose sizes are options follow the struct (see raft_layout.h).
 * Types only: every unit of this folder may include this file. */
#ifndef RAFT_RAFT_INTERNAL_H
#define RAFT_RAFT_INTERNAL_H

#include "base/prng.h"
#include "raft/raft.h"

enum {
    /* Configurations kept in memory: those of entries that a write not yet handed out may hold,
     * the newest committed one, and everything above. */
    RAFT_CONFIGS_MAX = 8,
    /* Followed peers: all members but this one, and some that were just removed. */
    RAFT_PEERS_MAX = RAFT_MEMBERS_MAX + 8,
    RAFT_PENDING_WRITES_MAX = 256,
    RAFT_HELD_MAX = 96,
    /* Read rounds under way at one time; further reads share the next one. */
    RAFT_READ_ROUNDS_MAX = 4
};

/* Terms and indexes from outside stay below this, so that adding to them cannot overflow. */
#define RAFT_NUMBER_MAX (UINT64_C(1) << 62)

enum { RAFT_HALF_NEW = 0, RAFT_HALF_OLD = 1, RAFT_HALVES = 2 };

/* Who votes by the effective configuration. OLD is empty unless it is joint. */
struct raft_voters {
    uint32_t counts[RAFT_HALVES];
    raft_id ids[RAFT_HALVES][RAFT_VOTERS_MAX];
};

/* Entries base + 1 ... last; the entry `index` is in slot index & (log_entries_max - 1). */
struct raft_log {
    raft_index base;
    raft_term base_term;
    raft_index last;
};

/* Ordered by index; the last one is effective. items[0] exists from raft_boot on. */
struct raft_config_list {
    uint32_t count;
    raft_index indexes[RAFT_CONFIGS_MAX];
    struct raft_config items[RAFT_CONFIGS_MAX];
};

struct raft_pending_write {
    raft_seq seq;
    raft_index lowest; /* touched */
};

/* What must still be written, and what was handed to the disk but is not known to be durable.
 * `ring` holds only writes that touch entries, with seq and lowest both rising: a later write
 * with the same or a lower `lowest` hides the earlier one. */
struct raft_writes {
    raft_seq last_seq;
    raft_seq done_seq;
    raft_seq hard_seq; /* the write that makes the present (term, vote) durable */
    bool hard_dirty;
    bool reset_dirty;
    raft_index dirty_lowest; /* lowest index changed since the last flush; 0 = none */
    uint32_t first;
    uint32_t count;
    struct raft_pending_write ring[RAFT_PENDING_WRITES_MAX];
};

struct raft_held_message {
    raft_seq wait; /* leaves once this write is durable */
    struct raft_message message;
};

struct raft_held {
    uint32_t count;
    struct raft_held_message items[RAFT_HELD_MAX];
};

/* The bits of the masks follow the order of members in the effective configuration, which cannot
 * change during a campaign. */
struct raft_election {
    raft_time deadline;
    raft_time heard_at; /* from the leader; meaningless if none is known */
    uint64_t round;
    uint32_t granted;
    uint32_t denied;
    uint32_t requests_due;
    bool requested; /* this campaign's requests were released */
    bool transfer;
};

/* The acknowledgement that this node owes the leader of this term. */
struct raft_ack {
    raft_index verified; /* the log equals the leader's up to here */
    raft_index acked;    /* highest index acknowledged in this term */
    uint64_t read_round; /* highest round seen in this term */
    raft_time refused_at;
    bool due; /* answer even if nothing new is durable */
};

struct raft_inflight {
    raft_index last;
    uint64_t bytes;
};

struct raft_peer {
    raft_id id; /* 0 = unused slot */
    enum raft_progress_state state;
    bool probe_sent;  /* PROBE: wait for an answer */
    bool probe_plain; /* PROBE: without entries */
    bool check_due;   /* REPLICATE, SNAPSHOT: one empty APPEND to find out what was lost */
    bool heartbeat_due;
    bool departing; /* no member any more; told so until the deadline */
    bool caught_up;
    raft_index match;
    raft_index next;
    raft_index sent_commit;
    uint64_t read_sent;
    uint64_t read_echo;
    uint32_t inflight_first;
    uint32_t inflight_count;
    uint64_t inflight_bytes;
    raft_time heard_at; /* 0 = never in this term */
    raft_time sent_at;
    raft_time checked_at; /* when a heartbeat's answer last made this peer be probed */
    raft_index catch_up_target;
    raft_time catch_up_start;
    uint32_t catch_up_rounds; /* until it was caught up */
    raft_time dump_retry_at;
    raft_index departing_index;
    raft_time departing_deadline; /* 0 = not running yet */
};

/* All of this is meaningful only in the role LEADER. */
struct raft_leadership {
    raft_index noop_index;
    uint64_t uncommitted_bytes; /* of commands after commit */
    raft_time heartbeat_deadline;
    raft_time grace_at; /* elected, or voters changed: peers count as heard from then */
    uint64_t read_round;
    raft_id transfer_target;
    raft_time transfer_deadline;
    bool timeout_now_due;
    bool timeout_now_sent;
    raft_time timeout_now_at;
    bool retiring; /* this node is no voter of a committed configuration */
};

struct raft_waiting_read {
    uint64_t token;
    raft_id requester; /* 0 = this node's driver */
    uint64_t round;    /* leader: read round; follower: number of the READ_INDEX; 0 = none yet */
    raft_index index;
    raft_time deadline; /* follower */
    bool ok;
};

/* A queue in order of arrival. The first `finished` have their answer and wait for a flush. */
struct raft_reads {
    uint32_t first;
    uint32_t count;
    uint32_t finished;
    uint64_t batch; /* number of the last READ_INDEX sent */
};

struct raft {
    struct raft_options options;
    struct prng prng;
    raft_time now; /* of the last input */
    bool started;
    bool installing;
    bool barred; /* from leading, by the driver */
    enum raft_role role;
    raft_term term;
    raft_id vote;
    raft_id leader;
    raft_index commit;         /* known to be committed */
    raft_index commit_durable; /* what the driver may apply */
    raft_index commit_shown;   /* the last one it was told */
    struct raft_log log;
    struct raft_voters voters;
    struct raft_writes writes;
    struct raft_election election;
    struct raft_ack ack;
    struct raft_leadership lead;
    struct raft_reads reads;
    struct raft_peer peers[RAFT_PEERS_MAX];
    struct raft_held held;
    struct raft_config_list configs;
    uint64_t arrays[];
};

#endif
