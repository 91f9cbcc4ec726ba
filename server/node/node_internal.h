/* What the units of the driver share: struct node itself. Each unit owns the members below its
 * name; the others only read them. */
#ifndef NODE_NODE_INTERNAL_H
#define NODE_NODE_INTERNAL_H

#include "base/arena.h"
#include "base/holdings.h"
#include "base/list.h"
#include "base/map.h"
#include "base/round_robin.h"
#include "server/node/admission.h"
#include "server/node/agreement.h"
#include "server/node/apply_lag.h"
#include "server/node/disk_lag.h"
#include "server/node/dump_transfer.h"
#include "server/node/entry_cache.h"
#include "server/node/history.h"
#include "server/node/membership.h"
#include "server/node/node.h"
#include "server/node/progress_board.h"
#include "server/node/scrub_pass.h"
#include "server/node/session_contact.h"
#include "server/node/session_expiry.h"
#include "server/node/watch_table.h"
#include "server/node/witness.h"

enum { NODE_TROUBLE_BYTES = 360 };

/* What a member said that its state is. */
struct told_digest {
    zxid zxid; /* 0 = nothing */
    struct state_digest digest;
    zxid echo_zxid; /* it had `echo` where this server told; 0 = it does not know */
    struct state_digest echo;
    bool is_borrowed;
    bool is_disputed;      /* it knows of others that differ, */
    bool differs_from_own; /* this server among them */
};

/* What a member last said of itself. */
struct member_report {
    raft_id id; /* 0 = free */
    bool is_linked;
    char unreachable[NODE_TROUBLE_BYTES - 20]; /* why it is not linked, as far as we know */
    bool is_old_copy;                          /* that is the reason, whatever else came later */
    bool has_reported;                         /* else nothing is known of what follows */
    uint64_t applied;
    uint64_t last;
    uint64_t term;
    char role[16];
    char version[32];
    bool short_of_space;
    bool is_unfit; /* to lead */
    struct told_digest told;
    zxid agreed; /* there it saw a majority hold what it holds */
    /* It wants a dump of this zxid or later, since it is damaged, or has no room for its state; 0 =
     * it does not. */
    zxid repair_from;
    zxid replace_from;
    char trouble[NODE_TROUBLE_BYTES];
};

struct rounds_port;

/* A connection: its requests in order, its session, its watches. */
struct client {
    struct list link;               /* in node->clients */
    struct round_robin_place place; /* in node->blocked or admission.waiting: to be run */
    bool waits_to_propose;          /* until it is its write's turn */
    uint8_t long_runs;              /* of its requests, the last ones in a row */
    size_t proposed_bytes;          /* of its writes under way */
    bool must_go;                   /* its front was told */
    bool is_leaving;                /* only streams are left of it, and they get nothing */
    struct map_node by_session;
    struct node *node;
    const struct client_callbacks *callbacks;
    void *context;
    struct list requests; /* in the order of submission; started writes are a prefix */
    size_t request_count;
    size_t request_bytes;
    struct holding held;          /* the same, while it counts */
    struct list *first_unstarted; /* in `requests`, or its head */
    session_id session;           /* 0 = none */
    uint64_t generation;
    Client__Code session_end; /* why the last session ended by itself; OK = it did not */
    struct watch_owner watches;
    struct state_identity *identities;
    size_t identity_count;
    uint8_t *identity_fields; /* the same, as fields of record.Command */
    size_t identity_fields_bytes;
};

struct node {
    /* node */
    struct node_options options;
    struct node_port port;
    struct raft *raft;
    struct raft_output *output;
    uint64_t now_us; /* of this turn */
    bool time_is_fresh;
    bool failed;
    bool draining;
    uint64_t drain_deadline_us;
    struct raft_status status;  /* after the last flush */
    uint64_t leader_changed_us; /* when the leader changed last, be it to none */
    raft_term led_term;         /* the term this node leads, 0 = none */
    raft_index led_from;        /* an index at or after that term's NOOP */
    struct node_space space;
    uint64_t space_checked_us;
    struct buffer turn_buffer; /* for packing one message */
    struct arena turn_arena;   /* of one call */
    struct arena input_arena;  /* for one message from a peer */
    uint64_t last_token;       /* of reads asked from the core */

    /* node_agreement */
    struct digest_ring *digests;
    zxid named_zxid; /* where the members compare, as this leader of named_term said at named_us */
    raft_term named_term;
    uint64_t named_us;
    struct told_digest told; /* by this server */
    uint64_t told_us;        /* when its digest was last looked at */
    bool is_borrowed;        /* its state came as a dump that nobody vouched for, lately */
    uint64_t borrowed_us;
    raft_id lender;                    /* whose that was; 0 = not known any more */
    bool lender_disputes;              /* it was heard to, since */
    bool voices_are_new;               /* something was told since it was judged */
    zxid agreed_zxid;                  /* there a majority has what this server has, */
    struct state_digest agreed_digest; /* namely this */
    struct tree_doubt kept_doubt;      /* on the disk */
    uint64_t split_us;                 /* since when voters differ by what was told; 0 = none do */
    struct dispute dispute;            /* so they do, and no majority says who is wrong */

    /* node_scrub */
    struct checkpoint_job *scrub_job; /* NULL = none under way */
    struct scrub_pass tree_pass;
    struct scrub_pass log_pass;
    struct scrub_pass memory_pass;
    raft_index log_scrubbed;       /* the pass has come so far */
    struct log_job *log_scrub_job; /* NULL = none under way */
    size_t memory_position;

    /* node_repair */
    bool is_condemned; /* the state here is wrong: nothing is served from it, another is fetched */
    bool is_outgrown;  /* there is no room for the state here: a dump of it is asked for */
    char damage[ERROR_TEXT_BYTES_MAX]; /* what was found; also of a server that is alone */
    struct error boot_damage;
    uint64_t
        dumps_wanted_us;    /* as leader: since when a member waits for a vouched dump; 0 = none */
    zxid vouched_zxid;      /* the checkpoint here, which a majority vouches for; 0 = none */
    bool wants_checkpoint;  /* for that */
    bool switch_is_durable; /* of `installed`, beside the log */
    bool switch_is_written;

    /* succession */
    struct disk_lag disk_lag;
    raft_term leaving_term; /* the core was asked to move leadership for the lag; 0 = not */
    uint64_t succession_retry_us;
    bool clients_were_sent_away; /* since the disk is slow */

    /* node_log */
    struct entry_cache cache;
    raft_seq written_seq;     /* the last write handed to the disk */
    raft_seq durable_seq;     /* the last write reported durable */
    raft_index log_trim;      /* entries up to here are given up; the disk follows */
    raft_index log_trim_told; /* as the last write said */
    uint64_t log_jobs;        /* with the log thread */
    raft_term durable_term;
    uint64_t witness_jobs; /* with the log thread, counted in log_jobs as well */

    /* node_apply */
    struct state *state;
    struct tree_store *tree;
    uint64_t tree_generation;
    raft_index commit_index;
    struct buffer applied_config; /* packed; empty while there is none */
    raft_index applied_config_index;
    struct history *history;
    uint64_t quota_warned_us;
    bool installing; /* a dump replaces the log; nothing is applied meanwhile */
    struct dump_installed installed;
    raft_seq installed_seq;   /* durable: switch */
    bool installs_beside_log; /* the log stays, but for what the dump holds: see node_repair */

    /* node_checkpoint */
    struct checkpoint_job *commit_job; /* NULL = none under way */
    struct state_generation *sealed;
    struct buffer sealed_config;
    struct tree_record *sealed_records;
    bool commit_waits;          /* for space; tried again at retry_commit_us */
    uint64_t commit_wait_count; /* times that there was none, in a row */
    uint64_t retry_commit_us;
    uint64_t checkpointed_us;
    raft_index checkpointed_index;
    uint64_t bytes_since_checkpoint; /* of applied entries */
    uint64_t bytes_since_space_check;
    struct node_observer observer;
    uint64_t entries_since_checkpoint;
    struct dump_transfer *dumps;

    /* node_proposals */
    struct list queued;    /* not yet placed anywhere */
    struct list forwarded; /* in the one Forward under way */
    struct list placed;    /* by (term, index): wait to be applied */
    size_t queued_count;
    uint64_t queued_bytes;
    uint64_t proposed_bytes; /* of all three */
    uint64_t forward_id;
    raft_id forwarded_to;
    uint64_t retry_us;
    uint64_t last_stamp_ms;
    struct node_proposal_sizes proposal_sizes;
    struct apply_lag apply_lag;

    /* node_clients */
    struct list clients;
    struct map clients_by_session;
    const struct rounds_port *rounds_port;
    struct round_robin blocked; /* clients to be run */
    struct admission admission; /* and those whose write must wait for its turn */
    bool clients_left;          /* some had more than their share of a turn */
    uint64_t rounds_left_us;    /* of this turn, for running them */
    bool rounds_overran;        /* the last time of running them */
    struct holdings request_memory;
    struct read_barrier *leader_barrier; /* NULL = the clients know all about the leader */

    /* read_barrier */
    struct list barriers;

    /* node_reconfigure */
    uint64_t reconfigure_warn_us; /* when a refusal is told next */

    /* node_watches */
    struct watch_table *watches;
    uint64_t progress_us;

    /* node_sessions */
    struct session_contact *contact;
    struct session_expiry *expiry;
    /* Expiries may stand in the log up to here whose outcome was not waited for: none is proposed
     * again before they are applied, else a slow server fills its own log with them. */
    raft_index expiries_up_to;
    uint64_t reported_us;

    /* node_walks */
    size_t walk_left; /* nodes, in this turn */
    bool walks_wait;

    /* node_sweep */
    uint64_t sweep_us; /* when to look again; 0 = this server does not lead */
    bool is_sweeping;

    /* node_cluster */
    struct membership *membership;
    struct member_report reports[RAFT_MEMBERS_MAX]; /* those with an id come first */
    struct raft_config linked_config;               /* as last given to set_peers */
    uint64_t introduced_us;
    zxid introduced_applied;
    struct list calls;
    uint64_t last_call_id;
    struct list bootstrap_probes;
    struct progress_board board;
    raft_index removed_at; /* a member said that we are none by the configuration there; 0 = none */
    bool is_outside;       /* no member, as far as we know; see node_cluster_tick */

    /* node_witness */
    struct witness_table witnesses;
    uint64_t witnesses_kept_us;
};

/* The monotonic time of this turn. */
uint64_t node_now(struct node *node);
/* Stop: nothing is done any more. */
void node_fail(struct node *node, const struct error *error);
/* The state cannot be gone on with, or, if it was merely looked at, is damaged: see node_repair.
 * The caller stops what it does. */
void node_damaged(struct node *node, const struct error *error);
void node_damage_found(struct node *node, const struct error *error);
void node_differs(struct node *node, const struct error *error);
/* What a member that is connected said last; NULL. */
const struct member_report *node_linked_report(const struct node *node, raft_id id);
/* Send to a peer's control link; false when it was dropped. */
bool node_send(struct node *node, raft_id peer, const Peer__PeerMessage *message);

#endif
