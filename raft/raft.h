/* Consensus as a function of events: messages, time, proposals and finished writes go in, messages,
 * one write and a commit index come out. No I/O, no clock, no threads, no allocation, no payloads.
 *
 * Raft as in Ongaro's dissertation ("Consensus: Bridging Theory and Practice", 2014) with pre-vote
 * (9.6), check-quorum and sticky votes (6.2, 4.2.3), joint consensus for every change of voters
 * (4.3), learners and catch-up (4.2.1), ReadIndex (6.4) and leadership transfer (3.10). No leases.
 *
 * The driver's duties, in order, each turn, on the one thread that owns the core:
 *   1. Give it the inputs: raft_receive, raft_propose, raft_read, raft_persisted, raft_tick, ...
 *      Inputs only change state.
 *   2. Call raft_flush once. Send all of its messages at once, in any order, loss allowed; hand its
 *      write to the disk; apply committed entries up to commit_index.
 *   3. The disk makes writes durable in the order of their sequence numbers. Report the highest
 *      finished one with raft_persisted; end the process if one fails.
 *   4. Call raft_tick at next_deadline.
 * What must wait for the disk waits inside the core: vote requests, grants and acknowledgements are
 * held back until the write that they promise is durable, and commit_index never passes the
 * durable end of the own log. So no driver can get that order wrong.
 *
 * Entries are known here by (term, type, bytes). Their payloads stay with the driver, by index. An
 * outgoing APPEND names a range of indexes whose payloads the driver puts in; when they are not at
 * hand it may send the message later, or never. */
#ifndef RAFT_RAFT_H
#define RAFT_RAFT_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t raft_id;    /* a member; 0 = none */
typedef uint64_t raft_term;  /* 0 = before any election */
typedef uint64_t raft_index; /* of a log entry; the first is 1, 0 = none */
typedef uint64_t raft_seq;   /* of a write; the first is 1, 0 = none */
typedef uint64_t raft_time;  /* microseconds of this node's monotonic clock */

enum {
    RAFT_MEMBERS_MAX = 31,
    RAFT_VOTERS_MAX = 7,
    RAFT_ADDRESS_BYTES_MAX = 264,
    RAFT_MESSAGE_ENTRIES_MAX = 1024,
    RAFT_INCARNATION_BYTES = 16,
    /* Messages of one flush: to each member one of replication, one held-back answer, one vote. */
    RAFT_OUTPUT_MESSAGES_MAX = 256,
    RAFT_OUTPUT_READS_MAX = 256,
    RAFT_INFLIGHT_MESSAGES_MAX = 1024,
    RAFT_READS_MAX = 65536
};

/* --- Entries and configurations --- */

enum raft_entry_type { RAFT_ENTRY_COMMAND = 1, RAFT_ENTRY_NOOP = 2, RAFT_ENTRY_CONFIG = 3 };

struct raft_entry {
    raft_term term;
    uint32_t bytes; /* of a COMMAND's payload, at most options.entry_bytes_max; 0 of a NOOP; of a
                       CONFIG the core's estimate, which need not be the encoded size */
    enum raft_entry_type type;
};

/* What a member is in the two halves of a configuration. In a uniform one OLD is not set, and NEW
 * marks the voters. In a joint one both halves must agree; what remains afterwards is already
 * written: NEW voters stay voters, members with LEARNER and without NEW stay as learners, the
 * others leave. */
enum {
    RAFT_VOTER_OLD = 1,
    RAFT_VOTER_NEW = 2,
    RAFT_LEARNER = 4, /* a learner once the change is over; never together with VOTER_NEW */
    RAFT_PROMOTE = 8  /* with LEARNER only: a leader makes it a voter once it is caught up */
};

struct raft_member {
    raft_id id;
    uint8_t incarnation[RAFT_INCARNATION_BYTES]; /* of the data folder */
    uint8_t flags;
    char address[RAFT_ADDRESS_BYTES_MAX]; /* opaque to the core; NUL-terminated, zero-padded */
};

/* Members ordered by id. Padding and unused members are zero, so configurations compare by
 * memcmp. */
struct raft_config {
    uint32_t member_count;
    bool joint;
    struct raft_member members[RAFT_MEMBERS_MAX];
};

/* NULL if absent. */
const struct raft_member *raft_config_find(const struct raft_config *config, raft_id id);
bool raft_config_is_voter(const struct raft_config *config, raft_id id); /* in either half */
/* Whether the ids marked true by `has` form a majority of each half. False without voters. */
bool raft_config_is_quorum(const struct raft_config *config,
                           bool (*has)(raft_id id, const void *context),
                           const void *context);
/* Failures that the voters tolerate: the smaller of the two halves' (n - 1) / 2. */
uint32_t raft_config_tolerated_failures(const struct raft_config *config);
/* Legal: sorted unique ids, none 0; 1 to RAFT_VOTERS_MAX voters in each half that must have any;
 * flags consistent; padding zero. For what comes from wire and disk. */
MUST_CHECK enum status raft_config_validate(const struct raft_config *config);

/* --- Messages --- */

enum raft_message_type {
    RAFT_PREVOTE = 1,
    RAFT_PREVOTE_RESPONSE,
    RAFT_VOTE,
    RAFT_VOTE_RESPONSE,
    RAFT_APPEND,
    RAFT_APPEND_RESPONSE,
    RAFT_HEARTBEAT,
    RAFT_HEARTBEAT_RESPONSE,
    RAFT_TIMEOUT_NOW,
    RAFT_TIMEOUT_NOW_RESPONSE,
    RAFT_READ_INDEX,
    RAFT_READ_INDEX_RESPONSE
};

struct raft_message {
    enum raft_message_type type;
    raft_id from;
    raft_id to;
    raft_term term; /* the sender's; in PREVOTE and granted PREVOTE_RESPONSE the asked one */
    union {
        struct {
            raft_index last_index;
            raft_term last_term;
            uint64_t round; /* ties the answer to this campaign */
            bool transfer;  /* the leader asked for it: sticky votes do not apply */
        } vote;             /* PREVOTE, VOTE */
        struct {
            uint64_t round;
            bool granted;
        } vote_response; /* PREVOTE_RESPONSE, VOTE_RESPONSE */
        struct {
            raft_index previous_index;
            raft_term previous_term; /* > 0 if previous_index > 0 */
            raft_index commit;
            uint64_t read_round;
            uint32_t entry_count; /* entries previous_index + 1 ... + entry_count */
            /* Outgoing: NULL, see raft_entry_at. Incoming: the metadata, and for each CONFIG entry,
             * in order, its decoded configuration. */
            const struct raft_entry *entries;
            const struct raft_config *const *configs;
        } append;
        struct {
            bool ok;
            raft_index index;      /* ok: verified and durable up to here; else: the refused
                                      previous_index */
            raft_index hint_index; /* refused: largest index that may match */
            raft_term hint_term;   /* and the term there */
            uint64_t read_round;
        } append_response;
        struct {
            raft_index commit; /* already cut to what the receiver is known to hold */
            uint64_t read_round;
            bool quiet; /* the commit is all that is new: not answered */
        } heartbeat;
        struct {
            uint64_t read_round;
        } heartbeat_response;
        struct {
            raft_index last_index; /* the leader's last entry */
            raft_term last_term;
        } timeout_now;
        struct {
            bool accepted;
        } timeout_now_response;
        struct {
            uint64_t token; /* the asking core's own; answered as it came */
        } read_index;
        struct {
            uint64_t token;
            bool ok;
            raft_index index;
        } read_index_response;
    };
};

/* Whether a message can be given to raft_receive: legal type, ids, term > 0, no index overflow,
 * previous_term rules, entry terms non-decreasing, >= previous_term and <= term, entry types and
 * sizes, legal configurations. STATUS_INVALID: count it and drop it. */
MUST_CHECK enum status raft_message_validate(const struct raft_message *message,
                                             uint32_t entry_bytes_max);

/* --- The core --- */

struct raft_options {
    raft_id id;
    uint8_t incarnation[RAFT_INCARNATION_BYTES];
    uint64_t seed;
    raft_time heartbeat_us;         /* 50 ms */
    raft_time election_timeout_us;  /* 500 ms; drawn from [T, 2T) each time */
    uint32_t log_entries_max;       /* a power of two, 2^18: entries above the base */
    uint32_t entry_bytes_max;       /* 8 MiB */
    uint32_t message_entries_max;   /* at most RAFT_MESSAGE_ENTRIES_MAX */
    uint32_t message_bytes_max;     /* 1 MiB; one entry larger than that travels alone */
    uint32_t inflight_messages_max; /* 64 to one peer; at most RAFT_INFLIGHT_MESSAGES_MAX */
    uint64_t inflight_bytes_max;    /* 16 MiB to one peer */
    uint64_t uncommitted_bytes_max; /* 64 MiB; NOOP and configurations always fit */
    uint32_t reads_max;             /* 4096 waiting at one time; at most RAFT_READS_MAX */
};

/* The values in the comments above, for `id`. */
struct raft_options raft_options_default(raft_id id);

struct raft;

/* One block of memory holds the whole core; copying it copies the core. raft_init takes it zeroed,
 * aligned as by calloc, and touches little of it: what is never used costs no memory. */
size_t raft_size(const struct raft_options *options);
struct raft *raft_init(void *memory, const struct raft_options *options);

/* What the disk held at the start. `log_base` is the index before the first entry kept (0 = whole
 * log is there). `config` is the configuration at `config_index`, with config_index <=
 * applied_index. `applied_index` is what the state machine holds: log_base <= applied_index <= last
 * entry. */
struct raft_boot {
    raft_term term;
    raft_id vote;
    raft_index log_base;
    raft_term log_base_term;
    raft_index applied_index;
    raft_index config_index;
    struct raft_config config;
};

/* Restore, in this order: raft_boot once, raft_boot_entry for each entry from log_base + 1 on (with
 * `config` for a CONFIG entry, else NULL), raft_start once. STATUS_CORRUPT: the rules above, or
 * entry terms falling or above `term`, are violated, or (from raft_start) the log ends before
 * applied_index; name the folder and do not start. STATUS_LIMIT: more entries than
 * log_entries_max. */
MUST_CHECK enum status raft_boot(struct raft *raft, const struct raft_boot *boot);
MUST_CHECK enum status raft_boot_entry(struct raft *raft,
                                       const struct raft_entry *entry,
                                       const struct raft_config *config);
MUST_CHECK enum status raft_start(struct raft *raft, raft_time now);

/* First start of a new cluster, after raft_start: append `config` (uniform) as entry 1 of term 1.
 * Every first voter is bootstrapped with the same bytes, before anything else happens to it.
 * STATUS_CONFLICT if term or log are not empty, STATUS_INVALID for an illegal configuration. */
MUST_CHECK enum status raft_bootstrap(struct raft *raft, const struct raft_config *config);

/* --- Inputs --- */

void raft_tick(struct raft *raft, raft_time now);

struct raft_range {
    raft_index first;
    raft_index last; /* < first: empty */
};

/* No member misses more elections than this: one every 20 ms, the shortest timeout, for 2.7 years.
 * A term from further ahead is damage or a lie; adopting it would use up the numbers there are,
 * after which nobody could ever be elected again. */
#define RAFT_TERM_STEP_MAX (UINT64_C(1) << 32)

/* Whether some member can be in this term. */
bool raft_term_is_credible(const struct raft *raft, raft_term term);

/* Whether a message says what cannot be: that its term has two leaders, or that another entry
 * stands where one is committed, or where the same leader sent one in this term. The peer lies, or
 * safety is lost already; either way the driver gives it to nobody. */
bool raft_contradicts(const struct raft *raft, const struct raft_message *message);

/* Take a validated message that contradicts nothing (that is asserted); without effect if its term
 * is not credible. Only messages from and to
 * whom the driver has authenticated come here; the core checks membership where it counts.
 * `ret_stored`: the entries of this APPEND that were appended to the log, whose payloads the driver
 * must now keep by index (replacing others at the same indexes, and dropping everything after
 * `last`). The rest were already there or are not wanted. */
void raft_receive(struct raft *raft,
                  raft_time now,
                  const struct raft_message *message,
                  struct raft_range *ret_stored);

/* Append `count` commands to the leader's log. Their indexes are *ret_first and the following, in
 * the term *ret_term; keep their payloads. A command took effect if and only if the entry committed
 * at its index has that term. All or nothing.
 * NOT_LEADER  ask raft_status who leads.
 * BUSY        log, uncommitted bytes, or a transfer in progress; try again later.
 * LIMIT       a command is larger than entry_bytes_max; never try it again. */
MUST_CHECK enum status raft_propose(struct raft *raft,
                                    raft_time now,
                                    const uint32_t *command_bytes,
                                    size_t count,
                                    raft_index *ret_first,
                                    raft_term *ret_term);

/* Ask for a read index (6.4): when output names the token as ok with an index, a state that has
 * applied that index shows everything committed before this call. Works on any role: a follower
 * asks its leader. Tokens are the driver's and never used twice. BUSY: too many are waiting;
 * UNAVAILABLE: no leader is known, or it is being transferred. Every accepted token is answered
 * once, ok or failed. */
MUST_CHECK enum status raft_read(struct raft *raft, raft_time now, uint64_t token);

/* The writes up to `seq` are durable. */
void raft_persisted(struct raft *raft, raft_time now, raft_seq seq);

/* The connection to `peer` closed. A leader goes back to probing it; a follower whose leader it was
 * forgets the leader and its stickiness and campaigns soon. */
void raft_peer_down(struct raft *raft, raft_time now, raft_id peer);

/* --- Membership (leader; chapter 4) ---
 * NOT_LEADER; BUSY: a change or transfer is under way, or nothing was committed in this term yet,
 * or the log is full; CONFLICT: a new voter is not caught up; INVALID: the result would be illegal;
 * NOT_FOUND / EXISTS: the member. OK with *ret_index = the index of the configuration appended, or
 * of the present one if it already is as asked.
 *
 * A joint configuration that its leader cannot commit is taken back: when the majority of the new
 * voters is silent for an election timeout and that of the old ones is not, the leader appends the
 * configuration before it once more. It does so only for a joint configuration of its own term that
 * is not committed: then nobody can hold the one that would follow, all that was in force needs a
 * majority of the old voters, and such majorities meet. So two uncommitted configurations may stand
 * at the end of a log, the second taking the first back. */

/* Of `member.flags` only RAFT_PROMOTE counts. With it a member that is a learner already gets the
 * flag; it changes nothing for a voter. Whoever leads then makes the learner a voter by itself, as
 * raft_change_voters would, when it is caught up and there are fewer than RAFT_VOTERS_MAX voters.
 */
MUST_CHECK enum status raft_add_learner(struct raft *raft,
                                        raft_time now,
                                        const struct raft_member *member,
                                        raft_index *ret_index);
MUST_CHECK enum status
raft_remove_learner(struct raft *raft, raft_time now, raft_id id, raft_index *ret_index);
/* Make exactly `voters` the voters, by way of a joint configuration that the core leaves by itself.
 * New voters must be members already, and caught up unless `force`. Voters left out leave the
 * cluster; with `keep_as_learners` they stay as learners. Learners not named stay learners. */
MUST_CHECK enum status raft_change_voters(struct raft *raft,
                                          raft_time now,
                                          const raft_id *voters,
                                          size_t count,
                                          bool keep_as_learners,
                                          bool force,
                                          raft_index *ret_index);

/* Undo what is under way: take back a joint configuration (see above), and drop the flag
 * RAFT_PROMOTE of all learners, which stay learners. CONFLICT also if the joint configuration is
 * committed or of an earlier term: then it completes by itself. */
MUST_CHECK enum status raft_cancel_change(struct raft *raft, raft_time now, raft_index *ret_index);

/* Hand leadership to `target`, or with target 0 to the voter that is furthest ahead. Refuses
 * proposals until it succeeded, was refused, or an election timeout passed. OK also if the target
 * leads already. INVALID: not a voter. UNAVAILABLE: not reachable. BUSY: another transfer. */
MUST_CHECK enum status raft_transfer(struct raft *raft, raft_time now, raft_id target);

/* --- Log base and dumps --- */

/* The entries up to `index` are no longer on disk (a checkpoint holds their effect).
 * index <= applied; without effect if index <= log base. */
void raft_trim(struct raft *raft, raft_index index);

/* A dump for a peer in RAFT_PROGRESS_SNAPSHOT was installed there and acknowledged by its
 * APPEND_RESPONSE anyway; these only end the state early. Sent: probe at once. Failed: report it as
 * wanted again after an election timeout. */
void raft_dump_sent(struct raft *raft, raft_time now, raft_id peer, raft_index dump_index);
void raft_dump_failed(struct raft *raft, raft_time now, raft_id peer);

/* While a dump is being received the node does not campaign. */
void raft_set_installing(struct raft *raft, bool installing);
/* A member whose state or log is not to be trusted does not campaign and takes no leadership that
 * is handed to it. It votes and acknowledges as ever. If it leads, it is for the driver to move
 * that. */
void raft_set_barred(struct raft *raft, bool barred);

/* Replace log and configuration by a complete, durable dump of the state at (index, term); the
 * flushed write then carries `reset`, and commit_index stays where it was until that is durable.
 * `sender_term` is the raft_status.term of the member that sent the dump, read when it already knew
 * `index` as committed. A higher one is adopted: without that, a deposed leader of a term between
 * could still count this node for other entries at the same indexes.
 * CONFLICT: the dump is not ahead of commit; or the log already holds (index, term), then commit
 * advances instead, because the entries after it may have been acknowledged and must stay; or the
 * node leads. Drop the dump.
 * INVALID: illegal configuration, config_index > index, a term of 0 or above `sender_term`, or one
 * that is not credible. */
MUST_CHECK enum status raft_install(struct raft *raft,
                                    raft_time now,
                                    raft_index index,
                                    raft_term term,
                                    raft_term sender_term,
                                    raft_index config_index,
                                    const struct raft_config *config);

/* --- Output --- */

/* Everything that must become durable, in one step of the disk. */
struct raft_write {
    raft_seq seq; /* 0: nothing to write */
    bool hard_state;
    raft_term term;
    raft_id vote;
    /* The log was replaced by a dump: drop all entries and make reset_index the base, in the same
     * transaction as everything else here. */
    bool reset;
    raft_index reset_index;
    raft_term reset_term;
    /* Entries to write; the disk's log ends with the last of them, so older entries at and after
     * `first` vanish. Payloads: the driver's; a NOOP has none; a CONFIG entry is encoded
     * from raft_config_at. Empty if last < first. */
    struct raft_range entries;
};

struct raft_finished_read {
    uint64_t token;
    bool ok;
    raft_index index; /* wait until this is applied, then serve */
};

struct raft_output {
    struct raft_message messages[RAFT_OUTPUT_MESSAGES_MAX];
    size_t message_count;
    struct raft_write write;
    raft_index commit_index; /* committed and durable here: may be applied; never falls */
    struct raft_finished_read reads[RAFT_OUTPUT_READS_MAX];
    size_t read_count;
    raft_time next_deadline;
    bool more; /* the arrays were full: flush again in the same turn */
};

/* Fill `output` with everything since the last flush. An APPEND in it names entries that the log
 * holds now; read them with raft_entry_at before the next input. */
void raft_flush(struct raft *raft, raft_time now, struct raft_output *output);

/* --- Inspection --- */

enum raft_role { RAFT_FOLLOWER, RAFT_PRE_CANDIDATE, RAFT_CANDIDATE, RAFT_LEADER };
enum raft_progress_state { RAFT_PROGRESS_PROBE, RAFT_PROGRESS_REPLICATE, RAFT_PROGRESS_SNAPSHOT };

struct raft_status {
    enum raft_role role;
    raft_term term;
    raft_id vote;
    raft_id leader;          /* 0 = unknown */
    raft_id transfer_target; /* 0 = none under way */
    raft_index log_base;
    raft_index last_index;
    raft_term last_term;
    raft_index durable_index;
    raft_index commit_index; /* known to be committed; may be ahead of the own disk */
    raft_index config_index; /* of the effective configuration */
    bool config_committed;
    bool committed_in_term; /* a leader whose NOOP is committed: reads and changes are possible */
    uint64_t uncommitted_bytes;
};

struct raft_status raft_status(const struct raft *raft);

struct raft_peer_status {
    raft_id id;
    enum raft_progress_state state;
    raft_index match;
    raft_index next;
    bool active;             /* heard from within the election timeout */
    bool caught_up;          /* by rounds as in 4.2.1 */
    uint32_t rounds;         /* that it took so far, or in all when caught up */
    raft_index round_target; /* the present round ends there */
    bool dump_wanted; /* in SNAPSHOT state and not failed lately: the driver should send one */
    uint32_t inflight_count;
    uint64_t inflight_bytes;
};

/* Leader only; STATUS_NOT_LEADER, STATUS_NOT_FOUND. */
MUST_CHECK enum status
raft_peer_status(const struct raft *raft, raft_id peer, struct raft_peer_status *ret);

/* log_base < index <= last_index. */
struct raft_entry raft_entry_at(const struct raft *raft, raft_index index);
/* The term at log_base <= index <= last_index, else 0. */
raft_term raft_term_at(const struct raft *raft, raft_index index);
/* The effective configuration: the newest in the log, committed or not. */
const struct raft_config *raft_config_effective(const struct raft *raft);
/* The newest configuration with index <= commit. */
const struct raft_config *raft_config_committed(const struct raft *raft, raft_index *ret_index);
/* The configuration that entry `index` holds; NULL if it is none or was dropped from memory (only
 * committed, older ones are). */
const struct raft_config *raft_config_at(const struct raft *raft, raft_index index);

/* Every local invariant; aborts with both values when one is violated. For tests and simulation,
 * after each input. */
void raft_check(const struct raft *raft);

/* Names for logs and traces. */
const char *raft_role_name(enum raft_role role);
const char *raft_message_name(enum raft_message_type type);

#endif
