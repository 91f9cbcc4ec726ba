/* The replicated state machine: the tree of znodes and the sessions. Deterministic: the same
 * commands give the same results, the same changes and the same bytes on every server. It reads no
 * clock, draws no random number and never looks at what is cached.
 *
 * The tree is a RAM cache over the checkpoint: records that changed since are dirty and stay in RAM
 * until a later checkpoint holds them; clean ones come and go. Node rules are ZooKeeper's
 * (zookeeper-wire sections 6, 7, 8, 10, 13, 14).
 *
 * One thread (main) calls everything here, except that a sealed generation's records may be read by
 * the checkpoint thread until state_generation_end.
 *
 * Two kinds of failure: enum op_error is the replicated outcome of a command, part of the
 * state. enum status means that this server could not do its part (a damaged record, a failed
 * disk): the caller stops the server; nothing is retried. */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t zxid;       /* the log index of the command */
typedef uint64_t session_id; /* the zxid of its opening; 0 = none */

enum {
    STATE_PATH_BYTES_MAX = 4096,
    STATE_COMPONENT_BYTES_MAX = 500, /* LMDB's keys hold 511 */
    STATE_VALUE_BYTES_MAX = 1024 * 1024,
    STATE_TRANSACTION_BYTES_MAX = 4 * 1024 * 1024, /* an encoded command */
    STATE_ACL_ENTRIES_MAX = 64,
    STATE_TRANSACTION_OPERATIONS_MAX = 65536,
    /* Values, those of the parents too, that one wrote, replaced, removed and checked before its
     * last operation, and 64 for each node on its paths. */
    STATE_TRANSACTION_CHANGES_MAX = 8192, /* before its last operation: parents are made too */
    STATE_TRANSACTION_TOUCHED_BYTES_MAX = 16 * 1024 * 1024,
    STATE_KEPT_RESULTS_MAX = 1024,           /* unconfirmed writes of one session, and */
    STATE_KEPT_BYTES_MAX = 16 * 1024 * 1024, /* their results: with more none is executed */
    STATE_PASSWORD_BYTES = 16,
    STATE_END_COUNT_MAX = 8192,              /* ephemerals that go in the end of their session, */
    STATE_SWEEP_COUNT_MAX = 1024,            /* nodes of each kind in one Sweep; */
    STATE_SWEEP_BYTES_MAX = 8 * 1024 * 1024, /* both end once they touched so much */
    STATE_SESSION_TIMEOUT_MS_MIN = 1000,
    STATE_SESSION_TIMEOUT_MS_MAX = 10 * 60 * 1000
};

/* Names, ZooKeeper's code (0 = it has none), text. The values are stored: never renumber. */
#define OP_ERROR_MAP(X)                                                                            \
    X(OK, 0, 0, "ok")                                                                              \
    X(NO_NODE, 1, -101, "no such node")                                                            \
    X(NODE_EXISTS, 2, -110, "the node exists already")                                             \
    X(NOT_EMPTY, 3, -111, "the node has children")                                                 \
    X(BAD_VERSION, 4, -103, "the version is another")                                              \
    X(NO_CHILDREN_FOR_EPHEMERALS, 5, -108, "an ephemeral node cannot have children")               \
    X(BAD_ARGUMENTS, 6, -8, "illegal path or arguments")                                           \
    X(INVALID_ACL, 7, -114, "illegal ACL")                                                         \
    X(NO_AUTH, 8, -102, "not permitted")                                                           \
    X(SESSION_EXPIRED, 9, -112, "the session is gone")                                             \
    X(SESSION_MOVED, 10, -118, "the session moved to another connection")                          \
    X(NOT_EXECUTED, 11, -2, "not executed: another operation of the transaction failed")           \
    X(SEQUENCE_GAP, 12, 0, "a write of this session before this one is missing")                   \
    X(SEQUENCE_FORGOTTEN, 13, 0, "the result of this write was confirmed and is forgotten")        \
    X(TOO_MANY_UNCONFIRMED, 14, 0, "too many unconfirmed writes in this session")                  \
    X(LIMIT, 15, -8, "a limit was exceeded")                                                       \
    X(NO_SESSION, 16, -112, "an ephemeral node needs a session")                                   \
    X(UNREADABLE, 17, -5, "unreadable command")                                                    \
    X(QUOTA_EXCEEDED, 18, -125, "a quota would be exceeded")

enum op_error {
#define X(name, value, zookeeper, text) OP_##name = (value),
    OP_ERROR_MAP(X)
#undef X
};

const char *op_error_text(enum op_error error);

/* --- The port to the checkpoint on disk --- */

/* Keys are compared as bytes; the first byte names the table. Values passed out are the
 * source's and valid until its next call; of one longer than `bytes_wanted` it may be only a
 * beginning that is at least as long. Anything but OK and NOT_FOUND stops the server. */
struct state_source {
    void *context;
    enum status (*lookup)(void *context,
                          struct bytes key,
                          size_t bytes_wanted,
                          struct bytes *ret_value);
    /* Visit the records with key >= `from` whose key starts with `prefix`, in order of keys, until
     * `visit` returns false. `visit` must not call the source. */
    enum status (*range)(void *context,
                         struct bytes from,
                         struct bytes prefix,
                         size_t bytes_wanted,
                         bool (*visit)(void *visitor, struct bytes key, struct bytes value),
                         void *visitor);
};
/* One that holds nothing. */
extern const struct state_source state_source_empty;

/* --- Life --- */

struct state_options {
    uint64_t cache_bytes_max; /* as state_set_cache_max says */
    /* Any number. Drawn at random, nobody can choose names that collide in the hash tables; no
     * result depends on it. */
    uint64_t hash_seed;
    zxid applied; /* what the first state of a new cluster counts as; 0, but for a stand-in */
};

struct state;

/* Open the state that the source holds; an empty source is the first state of a new cluster (the
 * root and /zookeeper with its children). `source` is copied, its context outlives the state. */
MUST_CHECK enum status state_new(const struct state_options *options,
                                 const struct state_source *source,
                                 struct state **ret_state,
                                 struct error *error);
void state_free(struct state *state); /* NULL is fine */

/* What all records in RAM may take, with the allocator's share and the index. From the next call on
 * nodes that are as they are in the source are dropped beyond it, the longest unused first; what
 * waits for a checkpoint stays. */
void state_set_cache_max(struct state *state, uint64_t bytes_max);
uint64_t state_memory_bytes(const struct state *state);

/* The zxid of the last command applied, or passed by state_skip. */
zxid state_applied(const struct state *state);
/* The stamp of the last command: the leader's next stamp is never lower. */
uint64_t state_time_ms(const struct state *state);

/* Equal on two servers at equal applied zxid, else one of them is wrong. */
struct state_digest {
    uint64_t record_count;
    uint64_t sum; /* of the hashes of all records */
};
struct state_digest state_digest(const struct state *state);
/* The share of one record of a checkpoint in that: they add up. */
struct state_digest state_digest_share(struct bytes key, struct bytes value);
/* Nodes in the tree, the root and the system nodes included. */
uint64_t state_node_count(const struct state *state);
uint64_t state_ephemeral_count(const struct state *state); /* among them */
uint64_t state_data_bytes(const struct state *state);      /* of all paths and values */

/* --- Nodes as seen by readers --- */

struct state_acl_entry {
    uint32_t permissions;
    struct bytes scheme;
    struct bytes id;
};

struct state_stat {
    zxid czxid;
    zxid mzxid;
    zxid pzxid;
    uint64_t ctime_ms;
    uint64_t mtime_ms;
    int32_t version;
    int32_t cversion;
    int32_t aversion;
    session_id ephemeral_owner;
    uint32_t value_bytes;
    uint32_t child_count;
};

/* One version of a node, immutable and counted: it may be held for as long as one likes. */
struct state_node;
struct state_node *state_node_ref(struct state_node *node);
void state_node_unref(struct state_node *node); /* NULL is fine */
/* Say that it will be let go of: its count comes near meanwhile. */
void state_node_expect(const struct state_node *node);
/* The getters lend from the node. */
struct bytes state_node_value(const struct state_node *node, bool *ret_is_null);
uint64_t state_node_memory_bytes(const struct state_node *node); /* what it takes in RAM */
struct state_stat state_node_stat(const struct state_node *node);
uint32_t state_node_acl_count(const struct state_node *node);
struct state_acl_entry state_node_acl(const struct state_node *node, uint32_t position);
/* 0 if none; TTL nodes only. */
uint64_t state_node_ttl_ms(const struct state_node *node);
bool state_node_is_container(const struct state_node *node);

/* --- Permissions --- */

enum state_permission {
    STATE_PERMISSION_READ = 1,
    STATE_PERMISSION_WRITE = 2,
    STATE_PERMISSION_CREATE = 4,
    STATE_PERMISSION_DELETE = 8,
    STATE_PERMISSION_ADMIN = 16
};

/* All permissions for everybody. A list of this alone is the same as an empty one, which a creation
 * may say instead. */
bool state_acl_entry_is_open(const struct state_acl_entry *entry);

enum { STATE_IDENTITIES_MAX = 16, STATE_IDENTITY_BYTES_MAX = 1024 /* scheme and id */ };

struct state_identity {
    struct bytes scheme;
    struct bytes id;
};

/* Who asks: everything a connection has shown itself to be. With none, what is open to the world is
 * permitted. */
struct state_identities {
    const struct state_identity *items;
    size_t count;
};

/* Does the node's list permit any of `permissions` (a sum)? One function decides for reads, writes
 * and events (acl.c; zookeeper-wire 11.1). */
bool state_node_permits(const struct state_node *node,
                        unsigned permissions,
                        struct state_identities identities);

/* The node at `path` now, with a reference for the caller. A path that is not valid names no node,
 * but an empty one names the root, as in ZooKeeper's reads. *ret_error is OP_OK or OP_NO_NODE. */
MUST_CHECK enum status state_read(struct state *state,
                                  struct bytes path,
                                  enum op_error *ret_error,
                                  struct state_node **ret_node);

struct state_child {
    struct bytes name;
    struct state_node *node; /* NULL unless `with_nodes`; a reference for the caller */
};

struct state_children {
    struct state_child *items; /* in the arena, ordered by name */
    size_t count;
    bool more; /* children follow after the last one here */
    struct state_stat parent;
};

/* A page of the children of `path`: names greater than `after` (empty = from the first), at most
 * `count_max`, and cut once names and, if asked for, nodes exceed `bytes_max` (at least one is
 * given). *ret_error is OP_OK or OP_NO_NODE. */
MUST_CHECK enum status state_read_children(struct state *state,
                                           struct bytes path,
                                           struct bytes after,
                                           size_t count_max,
                                           size_t bytes_max,
                                           bool with_nodes,
                                           struct arena *arena,
                                           enum op_error *ret_error,
                                           struct state_children *ret_children);

/* --- Reads of any length, a part at a time --- */

/* The nodes below one are counted. It holds nothing of the state: commands may be applied between
 * the parts, and the state may be replaced by a later one. What they change is counted or not. */
struct state_count;
/* Begin; *ret_count is the caller's. *ret_error is OP_OK or OP_NO_NODE. */
MUST_CHECK enum status state_count_new(struct state *state,
                                       struct bytes path,
                                       enum op_error *ret_error,
                                       struct state_count **ret_count);
void state_count_free(struct state_count *count); /* NULL is fine */
/* Count on, up to *nodes_left nodes, which are taken off there. */
MUST_CHECK enum status state_count_continue(struct state *state,
                                            struct state_count *count,
                                            size_t *nodes_left,
                                            bool *ret_done);
uint64_t state_count_total(const struct state_count *count);

/* Visit the paths of the session's ephemeral nodes in order of their creation, at most
 * *nodes_left, which are taken off there. *cursor is 0 at first and tells where to go on. A path is
 * valid during the visit only. */
MUST_CHECK enum status state_each_ephemeral(struct state *state,
                                            session_id session,
                                            uint64_t *cursor,
                                            size_t *nodes_left,
                                            void (*visit)(void *visitor, struct bytes path),
                                            void *visitor,
                                            bool *ret_done);

/* Legal as a full path (zookeeper-wire 10.1, and the limits above). */
bool state_path_is_valid(struct bytes path);

/* --- Sessions as seen by readers --- */

struct state_session {
    session_id id;
    uint64_t generation; /* of the last attach; the opening is generation 1 */
    uint64_t owner;      /* the server it is attached to */
    uint32_t timeout_ms;
    uint64_t last_sequence;  /* of the last numbered write applied */
    const uint8_t *password; /* STATE_PASSWORD_BYTES, lent until the next apply */
};

/* False if there is no such session. */
bool state_session_find(const struct state *state, session_id id, struct state_session *ret);
size_t state_session_count(const struct state *state);
/* All sessions, in order of id. `visit` must not change the state. */
void state_session_each(const struct state *state,
                        void (*visit)(void *visitor, const struct state_session *session),
                        void *visitor);

/* --- Apply --- */

enum state_change_kind {
    STATE_CREATED = 1,
    STATE_VALUE_SET,
    STATE_REMOVED,
    STATE_ACL_SET,
    STATE_SESSION_OPENED, /* the session_ kinds have an empty path */
    STATE_SESSION_ATTACHED,
    STATE_SESSION_CLOSED,
    STATE_SESSION_EXPIRED
};

/* In the order in which they happened inside the command. One list feeds watches, history and the
 * dirty records. */
struct state_change {
    enum state_change_kind kind;
    zxid zxid;
    struct bytes path;
    session_id session;        /* session_ kinds: which; node kinds: who wrote, 0 = unknown */
    struct state_node *before; /* NULL if created */
    struct state_node *after;  /* NULL if removed */
};

struct state_op_result {
    enum op_error error;
    struct bytes path; /* create: the path made */
    bool has_stat;
    struct state_stat stat;
    bool created;
};

struct state_result {
    enum op_error error; /* of the command; of a transaction: that of its first failed operation */
    zxid zxid;           /* of the command that had this result (an earlier one for a retry) */
    /* In the arena; one per operation, also when failed: OP_OK before the one that failed,
     * OP_NOT_EXECUTED after it, and for all when the session refused the command. None when the
     * command could not be read. */
    struct state_op_result *operations;
    size_t operation_count;
    session_id session; /* open and attach */
    uint64_t generation;
    uint32_t timeout_ms;
    bool repeated; /* answered from the kept results; nothing changed */
    /* In the arena, holding no references of their own: the nodes are valid until arena and state
     * go on; take one with state_node_ref to keep it. Empty when the command failed or was
     * repeated. */
    struct state_change *changes;
    size_t change_count;
    /* In the arena: the path of a quota of which a limit was passed without being enforced; empty =
     * none. */
    struct bytes quota_passed;
    bool ephemerals_left; /* of the session that this command ended: they are due */
    size_t work;          /* how long it took, on every machine alike: about so many operations */
};

/* Apply the command entry at log index `zxid` (> state_applied). `entry` is the whole payload:
 * stamp and Command. The result is in `arena`, and lends paths from `entry`.
 *
 * ret_result->error, besides those of the operations:
 * OP_UNREADABLE, OP_LIMIT, OP_BAD_ARGUMENTS: what state_command_check refuses; nothing changed but
 * the time.
 * OP_SESSION_EXPIRED: there is no such session; attach: or the password is wrong.
 * OP_SESSION_MOVED: the session was attached again since `generation`. A close or an expiry of such
 * a session is void. OP_SEQUENCE_GAP, OP_SEQUENCE_FORGOTTEN, OP_TOO_MANY_UNCONFIRMED: not executed,
 * not counted. What the command confirms is forgotten nevertheless.
 *
 * Any status but OK (the source's, or STATUS_CORRUPT) leaves a state that can only be freed. */
MUST_CHECK enum status state_apply(struct state *state,
                                   zxid zxid,
                                   struct bytes entry,
                                   struct arena *arena,
                                   struct state_result *ret_result);

/* Whether a Sweep stamped `time_ms` would remove anything now. */
MUST_CHECK enum status state_has_due(struct state *state, uint64_t time_ms, bool *ret_has_due);

/* Apply the configuration entry at log index `at`; `config` is its payload, a packed record.Config.
 * What /zookeeper/config says follows it; the result tells of that change alone. STATUS_CORRUPT:
 * also if the payload is none. */
MUST_CHECK enum status state_apply_config(struct state *state,
                                          zxid at,
                                          struct bytes config,
                                          struct arena *arena,
                                          struct state_result *ret_result);

/* An entry without any content (a no-op) was passed. */
void state_skip(struct state *state, zxid at);

/* Whether a Command may be proposed at all. Checked before proposing; apply checks the same and
 * refuses the command for the same reason, so a command that passes here is executed.
 *
 * OP_UNREADABLE: not a Command of this format, a field twice or unknown, no body.
 * OP_LIMIT: command, path, value, ACL, identities, the number of operations or of nodes to remove
 * above the limits.
 * OP_BAD_ARGUMENTS: a null value with bytes, a password of another size than
 * STATE_PASSWORD_BYTES at an opening, a sequence number without a session. */
MUST_CHECK enum op_error state_command_check(struct bytes command);

/* --- Checkpoints --- */

/* What changed since the last sealed generation, and what that one holds until it ends. */
struct state_dirty {
    uint64_t record_count;
    uint64_t bytes;
    bool sealed; /* a sealed generation has not ended yet */
    uint64_t sealed_record_count;
    uint64_t sealed_bytes;
};
struct state_dirty state_dirty(const struct state *state);

struct state_record {
    struct bytes key;
    struct bytes value;
    bool removed;
};

/* A generation: all changes up to state_applied at the sealing. Immutable. */
struct state_generation;

/* Seal the dirty records; one at a time. Later changes go into a new generation. */
struct state_generation *state_seal(struct state *state);
zxid state_generation_applied(const struct state_generation *generation);
/* Records ordered by key, unique; valid until state_generation_end. Readable from another thread.
 */
const struct state_record *state_generation_records(struct state_generation *generation,
                                                    size_t *ret_count);
/* The source now shows the generation's records (its reader was renewed): forget them, or keep them
 * as clean nodes. */
void state_generation_end(struct state *state, struct state_generation *generation);

/* Memory fails as disks do: compare a slice of about `bytes_max` of the records in RAM with the
 * sums that were made when they came there. *position goes from 0 on to 0 again. *ret_bytes: so
 * much was looked at. CORRUPT: one was changed by nobody; `error` names it. */
MUST_CHECK enum status state_verify(struct state *state,
                                    size_t *position,
                                    size_t bytes_max,
                                    size_t *ret_bytes,
                                    struct error *error);

/* Every invariant that can be checked in reasonable time (counts, links, digest against a full walk
 * when `deep`). Aborts when one is violated. For tests and simulation. */
void state_check(struct state *state, bool deep);

#endif
