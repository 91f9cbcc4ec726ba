/* libconfer: the client library of Confer, a replicated tree of configuration.
 *
 * Threads. A handle may be used from any thread. It has one thread of its own (confer_open) or
 * lives on the caller's libevent base (confer_event.h); all callbacks come on that thread, never
 * two at once. A blocking call made inside a callback returns CONFER_DEADLOCK. A handle does not
 * survive fork(): open a new one in the child and leave the old one alone.
 *
 * Completions. Every call that returned CONFER_OK from its `_async` form gets its callback called
 * exactly once, whatever happens: an answer, a timeout, an expired session, the close of the
 * handle.
 *
 * Results. The library allocates them, the receiver releases them with confer_result_free on any
 * thread and at any time. Values, names and paths are pointer and length with a NUL behind.
 *
 * Texts handed in are copied before a call returns. Paths are UTF-8, absolute, without a slash at
 * the end.
 *
 * client/README.md tells what happens to a call when servers, connections and sessions fail. */
#ifndef CONFER_H
#define CONFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define CONFER_API __attribute__((visibility("default")))
#else
#define CONFER_API
#endif

#define CONFER_VERSION_MAJOR 0
#define CONFER_VERSION_MINOR 1
#define CONFER_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library that runs, as "0.1.0". */
CONFER_API const char *confer_version(void);

/* --- Outcomes --- */

/* Below 100: what the cluster decided about the request. 100 to 199: a server could not do it now.
 * From 200: the library speaks. The numbers never change. */
enum confer_status {
    CONFER_OK = 0,
    CONFER_NO_NODE = 1,
    CONFER_NODE_EXISTS = 2,
    CONFER_NOT_EMPTY = 3,
    CONFER_BAD_VERSION = 4,
    CONFER_NO_CHILDREN_FOR_EPHEMERALS = 5,
    CONFER_BAD_ARGUMENTS = 6,
    CONFER_INVALID_ACL = 7,
    CONFER_NO_AUTH = 8,
    CONFER_SESSION_EXPIRED = 9, /* the handle is of no use any more: close it, open a new one */
    CONFER_SESSION_MOVED = 10,
    CONFER_NOT_EXECUTED = 11, /* this operation of a transaction, because another one failed */
    CONFER_SEQUENCE_GAP = 12,
    CONFER_SEQUENCE_FORGOTTEN = 13,
    CONFER_TOO_MANY_UNCONFIRMED = 14,
    CONFER_LIMIT = 15,      /* too large: a value, a path, or all that a transaction touches */
    CONFER_NO_SESSION = 16, /* an ephemeral node needs a session, the handle has none */
    CONFER_UNREADABLE = 17,
    CONFER_QUOTA_EXCEEDED = 18, /* a quota with a hard limit, on a server that enforces them */

    CONFER_NO_LEADER = 100,
    CONFER_BUSY = 101,
    CONFER_BEHIND = 102,
    CONFER_UNKNOWN_OUTCOME = 103, /* a write without session: it may have taken effect or not */
    CONFER_COMPACTED = 104,
    CONFER_NO_SPACE = 105,   /* the cluster is short of disk: only removals pass */
    CONFER_NO_CLUSTER = 106, /* the servers belong to no cluster yet: confer_init */
    CONFER_UNSUPPORTED = 107,
    CONFER_CONFLICT = 108,    /* membership: against the present configuration */
    CONFER_UNREACHABLE = 109, /* membership: a server named in the call does not answer */
    CONFER_REFUSED = 110,     /* membership: a server named in the call cannot take part */
    CONFER_STOPPING = 111,
    CONFER_NOT_MEMBER = 112, /* the servers are no members of their cluster (any more) */
    CONFER_AUTH_FAILED =
        113, /* a server does not know the scheme of a credential, or takes no more */

    CONFER_TIMEOUT = 200, /* a write that timed out may have taken effect, or may do so later */
    CONFER_CLOSED = 201,  /* the handle was closed; as for a timeout, a write may take effect */
    CONFER_NO_MEMORY = 202,
    CONFER_DEADLOCK = 203,         /* a blocking call on the thread that would have to answer it */
    CONFER_INVALID_ARGUMENT = 204, /* refused before it was sent */
    CONFER_PROTOCOL = 205,         /* a server sent what this library does not understand */
    CONFER_SYSTEM = 206,           /* no thread or no file descriptor was to be had */
    CONFER_END = 207               /* an iterator has given all */
};

/* A short text; "unknown status" for a number outside the enum. */
CONFER_API const char *confer_status_text(enum confer_status status);

/* ZooKeeper's Stat. */
struct confer_stat {
    uint64_t czxid; /* the zxid of the change that made the node */
    uint64_t mzxid; /* that last set its value */
    uint64_t pzxid; /* that last added or removed a child */
    uint64_t ctime_ms;
    uint64_t mtime_ms;
    int32_t version; /* of the value */
    int32_t cversion;
    int32_t aversion;
    uint64_t ephemeral_owner; /* a session; 0 = the node is not ephemeral */
    uint32_t value_bytes;
    uint32_t child_count;
};

enum confer_permission {
    CONFER_PERMISSION_READ = 1,
    CONFER_PERMISSION_WRITE = 2,
    CONFER_PERMISSION_CREATE = 4,
    CONFER_PERMISSION_DELETE = 8,
    CONFER_PERMISSION_ADMIN = 16,
    CONFER_PERMISSION_ALL = 31
};

struct confer_acl_entry {
    uint32_t permissions; /* of enum confer_permission */
    const char *scheme;
    const char *id;
};

/* A node in a listing (`name`) or in a subtree (`path`); the other one is NULL. */
struct confer_node {
    const char *name;
    const char *path;
    const char *value; /* empty unless values were asked for */
    size_t value_bytes;
    bool value_is_null; /* written by a ZooKeeper client as null */
    struct confer_stat stat;
    /* In a tree: its list of permissions does not let this client read it. There is only the path,
     * and nothing below it. */
    bool hidden;
};

struct confer_operation_result {
    enum confer_status status;
    const char *path; /* create: the path made, with its sequence number; else empty */
    bool created;     /* set: the node was made */
    bool has_stat;    /* create, set, set_acl */
    struct confer_stat stat;
};

struct confer_member {
    uint64_t id;
    const char *address;
    bool voter;
    bool learner;
    /* What follows is known to confer_cluster_status only. */
    const char *role; /* leader, follower, candidate, learner, removed; empty when unknown */
    uint64_t term;
    uint64_t applied;
    uint64_t last;
    bool reachable;
    const char *progress; /* as the leader sees it: probe, replicate, dump; else empty */
    uint64_t match;
    const char *version;
    bool promoting;        /* a learner that becomes a voter once it has caught up */
    uint64_t promoting_ms; /* for so long, as far as the server that answered knows */
    bool caught_up;
    uint32_t catch_up_rounds;
    uint64_t dump_bytes; /* of the dump it gets; 0 = none */
    uint64_t dump_bytes_done;
    const char *trend;   /* nearer, still or farther; empty when unknown or there */
    const char *trouble; /* why it does not get on, or what is wrong with it; else empty */
    uint64_t agreed;     /* the last zxid at which it saw a majority hold what it holds; 0 = none */
};

/* A change of voters that is under way, or waits for its voters to begin. */
struct confer_voter_change {
    const uint64_t *from;
    size_t from_count;
    const uint64_t *to;
    size_t to_count;
    bool begun;
    uint64_t age_ms;       /* as far as the server that answered knows */
    const char *waits_for; /* for a person */
};

struct confer_cluster {
    const uint8_t *cluster_id;
    size_t cluster_id_bytes;
    uint64_t server; /* who answers */
    uint64_t leader; /* 0 = unknown */
    uint64_t term;
    bool joint;                        /* a change of membership is under way */
    uint32_t tolerated_failures;       /* further voters that may fail, of those up now */
    uint32_t voter_failures_tolerated; /* by the configuration, with all voters up */
    uint64_t node_count;
    uint64_t session_count;
    uint64_t watch_count;
    uint64_t oldest_zxid; /* a watch can start from here */
    uint64_t config_zxid; /* of the configuration that gave these members */
    const struct confer_member *members;
    size_t member_count;
    const struct confer_voter_change *change; /* NULL: none */
    bool not_member; /* the server that answered is none of them: what it knows may be old */
};

/* What a call came to. Read only. Later versions may add fields at the end. */
struct confer_result {
    enum confer_status status;
    const char *message; /* for a person, never NULL: what happened, where, and the way out */
    const char *server;  /* HOST:PORT that answered; empty if none did */
    uint64_t zxid;       /* of the state shown; for a write, of the write */

    /* get, exists */
    bool exists;
    const char *value; /* never NULL */
    size_t value_bytes;
    bool value_is_null;
    struct confer_stat stat; /* also create, set, set_acl; list: of the parent */
    const struct confer_acl_entry *acl;
    size_t acl_count;
    uint64_t ttl_ms;
    bool container;

    /* list, read_tree */
    const struct confer_node *nodes;
    size_t node_count;
    bool more; /* ask again with `after` set to the last one here */

    /* Writes. A transaction has one per operation, also when it failed. */
    const struct confer_operation_result *operations;
    size_t operation_count;
    const char *path; /* create: the path made; else empty */
    bool created;     /* set: the node was made */

    /* Status and membership */
    struct confer_cluster cluster;
};

CONFER_API void confer_result_free(struct confer_result *result); /* NULL is fine */

/* --- The handle --- */

struct confer;

/* Where the handle stands. The callback tells every change. */
enum confer_state {
    CONFER_STATE_CONNECTING,  /* never connected yet */
    CONFER_STATE_CONNECTED,   /* for the first time */
    CONFER_STATE_SUSPENDED,   /* no server, or a server without leader: nobody knows whether the
                                 session lives. Stop doing what only the owner of a session may do. */
    CONFER_STATE_RECONNECTED, /* the session lives, its ephemeral nodes are there */
    CONFER_STATE_EXPIRED,     /* the cluster ended the session; final */
    CONFER_STATE_CLOSED       /* the last callback of the handle */
};

CONFER_API const char *confer_state_text(enum confer_state state);

enum confer_log_level { CONFER_LOG_WARN, CONFER_LOG_INFO, CONFER_LOG_DEBUG };

typedef void (*confer_state_callback)(struct confer *confer,
                                      enum confer_state state,
                                      void *argument);
/* One line without a newline, lent. */
typedef void (*confer_log_callback)(enum confer_log_level level, const char *line, void *argument);

/* Who the handle is, for the servers' lists of permissions. */
struct confer_credential {
    const char *scheme;  /* "digest" */
    const void *secret;  /* for digest USER:PASSWORD */
    size_t secret_bytes; /* more than 0 */
};

enum { CONFER_CREDENTIALS_MAX = 8 };

struct confer_options {
    size_t options_bytes;        /* set by confer_options_init */
    uint32_t session_timeout_ms; /* 1,000 to 600,000; default 10,000 */
    uint32_t request_timeout_ms; /* of calls that name none; default 10,000 */
    bool no_session;    /* no ephemeral nodes; a write whose answer is lost stays unknown */
    uint64_t seen_zxid; /* never show anything older than this; as of confer_seen_zxid */
    confer_state_callback on_state;
    confer_log_callback on_log; /* NULL: silence */
    void *argument;             /* of both */
    /* Shown to each server before anything else, and copied. They cross the network as they are.
     * When a server does not take one, calls complete with CONFER_AUTH_FAILED. */
    const struct confer_credential *credentials;
    size_t credential_count; /* at most CONFER_CREDENTIALS_MAX */
};

/* Fill in the defaults. Always start from here. */
CONFER_API void confer_options_init_sized(struct confer_options *options, size_t options_bytes);
static inline void confer_options_init(struct confer_options *options)
{
    confer_options_init_sized(options, sizeof *options);
}

/* Open a handle. Does not wait for a connection: calls made at once are sent when there is one.
 *
 * `servers` is "HOST:PORT,HOST:PORT,..."; [ADDRESS]:PORT for IPv6; an http:// in front is ignored.
 * They are tried in random order. Names are looked up again at each connect, by a short-lived
 * thread, so that a slow resolver delays nothing else. `options` may be NULL.
 *
 * INVALID_ARGUMENT  a malformed address (confer_check_servers says what is wrong) or option.
 * NO_MEMORY, SYSTEM */
CONFER_API enum confer_status
confer_open(const char *servers, const struct confer_options *options, struct confer **ret_confer);

/* What is wrong with a list of servers, as text in `message`; OK and an empty text if nothing. */
CONFER_API enum confer_status
confer_check_servers(const char *servers, char *message, size_t message_bytes);

/* Close the handle. Every pending call completes with CONFER_CLOSED, every watch ends, the session
 * is closed so that its ephemeral nodes go at once (bounded to a second; without a connection they
 * go when the session times out), and CONFER_STATE_CLOSED is the last callback.
 *
 * From another thread it returns when all that is done. Inside a callback, and always for a handle
 * on the caller's base, it returns at once and the rest follows; after CONFER_STATE_CLOSED the
 * handle is gone. Call it once; no other call may be started after it. NULL is fine. */
CONFER_API void confer_close(struct confer *confer);

CONFER_API enum confer_state confer_state(struct confer *confer);
/* The id of the session; 0 before the first connection and without session. */
CONFER_API uint64_t confer_session_id(struct confer *confer);
/* The highest zxid seen; whatever this handle reads is at least as new. */
CONFER_API uint64_t confer_seen_zxid(struct confer *confer);

/* --- Calls --- */

/* How one call is to be made. NULL = all defaults. */
struct confer_call {
    uint32_t timeout_ms; /* 0 = the handle's. No answer by then: CONFER_TIMEOUT */
    bool linearizable;   /* reads: show every write that was acknowledged before the call */
};

/* `result` is the receiver's from now on; never NULL. */
typedef void (*confer_callback)(struct confer *confer,
                                struct confer_result *result,
                                void *argument);

/* Every operation comes twice.
 *
 * The blocking form waits and returns the result's status. *ret_result (may be NULL) is set in any
 * case: to the result, also of a failure, or to NULL when there is no memory even for that.
 *
 * The `_async` form returns CONFER_OK when the call was accepted and completes through `callback`,
 * or refuses it with INVALID_ARGUMENT, LIMIT, NO_MEMORY or CLOSED, and then never calls back.
 * Writes of a handle with a session take effect in the order of their calls. */

enum confer_get_flag {
    CONFER_GET_ACL = 1,      /* with the ACL */
    CONFER_GET_STAT_ONLY = 2 /* without the value */
};

/* The value of a node. NO_NODE if there is none. */
CONFER_API enum confer_status confer_get(struct confer *confer,
                                         const char *path,
                                         uint32_t flags,
                                         const struct confer_call *call,
                                         struct confer_result **ret_result);
CONFER_API enum confer_status confer_get_async(struct confer *confer,
                                               const char *path,
                                               uint32_t flags,
                                               const struct confer_call *call,
                                               confer_callback callback,
                                               void *argument);

/* Whether there is such a node: OK either way, see result->exists and ->stat. */
CONFER_API enum confer_status confer_exists(struct confer *confer,
                                            const char *path,
                                            const struct confer_call *call,
                                            struct confer_result **ret_result);
CONFER_API enum confer_status confer_exists_async(struct confer *confer,
                                                  const char *path,
                                                  const struct confer_call *call,
                                                  confer_callback callback,
                                                  void *argument);

struct confer_page {
    const char *after;  /* start behind this name (list) or path (read_tree); NULL = at the start */
    uint32_t count_max; /* 0 = as many as fit */
    uint32_t depth_max; /* read_tree: 0 = all, 1 = the node and its children */
    bool with_values;
    bool with_stats; /* list; read_tree always has them */
};

/* One page of the names of a node's children, in order of names. Each page is of one zxid. `page`
 * may be NULL. */
CONFER_API enum confer_status confer_list(struct confer *confer,
                                          const char *path,
                                          const struct confer_page *page,
                                          const struct confer_call *call,
                                          struct confer_result **ret_result);
CONFER_API enum confer_status confer_list_async(struct confer *confer,
                                                const char *path,
                                                const struct confer_page *page,
                                                const struct confer_call *call,
                                                confer_callback callback,
                                                void *argument);

/* One page of a subtree, parents before their children, siblings by name. */
CONFER_API enum confer_status confer_read_tree(struct confer *confer,
                                               const char *path,
                                               const struct confer_page *page,
                                               const struct confer_call *call,
                                               struct confer_result **ret_result);
CONFER_API enum confer_status confer_read_tree_async(struct confer *confer,
                                                     const char *path,
                                                     const struct confer_page *page,
                                                     const struct confer_call *call,
                                                     confer_callback callback,
                                                     void *argument);

/* A whole listing or subtree, page by page inside. For one thread; blocking.
 *
 *     struct confer_iterator *iterator;
 *     status = confer_list_begin(confer, "/app", NULL, NULL, &iterator);
 *     while (status == CONFER_OK && (status = confer_next(iterator, &node)) == CONFER_OK) { ... }
 *     confer_iterator_free(iterator);
 *
 * `page` gives where to start, page size, depth, and what to bring. */
struct confer_iterator;
CONFER_API enum confer_status confer_list_begin(struct confer *confer,
                                                const char *path,
                                                const struct confer_page *page,
                                                const struct confer_call *call,
                                                struct confer_iterator **ret_iterator);
CONFER_API enum confer_status confer_tree_begin(struct confer *confer,
                                                const char *path,
                                                const struct confer_page *page,
                                                const struct confer_call *call,
                                                struct confer_iterator **ret_iterator);
/* *ret_node is lent until the next call. END when all were given; any other status ends it too,
 * and confer_iterator_message has the words. */
CONFER_API enum confer_status confer_next(struct confer_iterator *iterator,
                                          const struct confer_node **ret_node);
/* Lent until confer_iterator_free. */
CONFER_API const char *confer_iterator_message(const struct confer_iterator *iterator);
/* Of the page that holds the last node given; 0 before the first page. */
CONFER_API uint64_t confer_iterator_zxid(const struct confer_iterator *iterator);
CONFER_API void confer_iterator_free(struct confer_iterator *iterator); /* NULL is fine */

enum confer_mode {
    CONFER_PERSISTENT = 0,
    CONFER_EPHEMERAL = 1, /* removed when the session of this handle ends */
    CONFER_PERSISTENT_SEQUENTIAL = 2,
    CONFER_EPHEMERAL_SEQUENTIAL = 3,
    CONFER_CONTAINER = 4, /* removed some time after its last child */
    CONFER_PERSISTENT_TTL = 5,
    CONFER_PERSISTENT_SEQUENTIAL_TTL = 6
};

struct confer_create {
    enum confer_mode mode;
    uint64_t ttl_ms;                    /* modes with TTL */
    bool make_parents;                  /* missing ancestors, as persistent nodes */
    const struct confer_acl_entry *acl; /* count 0: open to all */
    size_t acl_count;
    /* Of a copy, which goes on where the original was; else 0. */
    uint32_t version;          /* of the value, at most 2^31 - 1 */
    uint32_t children_created; /* from which sequential children are numbered */
};

/* Make a node. result->path is its name, with the number if it is sequential. `create` may be NULL,
 * `value` too when value_bytes is 0. NODE_EXISTS, NO_NODE (the parent is missing), NO_SESSION. */
CONFER_API enum confer_status confer_create(struct confer *confer,
                                            const char *path,
                                            const void *value,
                                            size_t value_bytes,
                                            const struct confer_create *create,
                                            const struct confer_call *call,
                                            struct confer_result **ret_result);
CONFER_API enum confer_status confer_create_async(struct confer *confer,
                                                  const char *path,
                                                  const void *value,
                                                  size_t value_bytes,
                                                  const struct confer_create *create,
                                                  const struct confer_call *call,
                                                  confer_callback callback,
                                                  void *argument);

#define CONFER_ANY_VERSION (-1)

/* Set the value. With CONFER_ANY_VERSION the node and its missing ancestors are made; with a
 * version the node must exist and have it (NO_NODE, BAD_VERSION). */
CONFER_API enum confer_status confer_set(struct confer *confer,
                                         const char *path,
                                         const void *value,
                                         size_t value_bytes,
                                         int32_t version,
                                         const struct confer_call *call,
                                         struct confer_result **ret_result);
CONFER_API enum confer_status confer_set_async(struct confer *confer,
                                               const char *path,
                                               const void *value,
                                               size_t value_bytes,
                                               int32_t version,
                                               const struct confer_call *call,
                                               confer_callback callback,
                                               void *argument);

/* Remove a node without children: NO_NODE, NOT_EMPTY, BAD_VERSION. */
CONFER_API enum confer_status confer_remove(struct confer *confer,
                                            const char *path,
                                            int32_t version,
                                            const struct confer_call *call,
                                            struct confer_result **ret_result);
CONFER_API enum confer_status confer_remove_async(struct confer *confer,
                                                  const char *path,
                                                  int32_t version,
                                                  const struct confer_call *call,
                                                  confer_callback callback,
                                                  void *argument);

/* Replace the ACL. `version` is of the ACL (stat.aversion). */
CONFER_API enum confer_status confer_set_acl(struct confer *confer,
                                             const char *path,
                                             const struct confer_acl_entry *acl,
                                             size_t acl_count,
                                             int32_t version,
                                             const struct confer_call *call,
                                             struct confer_result **ret_result);
CONFER_API enum confer_status confer_set_acl_async(struct confer *confer,
                                                   const char *path,
                                                   const struct confer_acl_entry *acl,
                                                   size_t acl_count,
                                                   int32_t version,
                                                   const struct confer_call *call,
                                                   confer_callback callback,
                                                   void *argument);

/* --- Transactions: all operations or none, one zxid --- */

/* For one thread. A failure to add (NO_MEMORY, LIMIT above 4 MiB) is remembered and returned by the
 * commit, so that a builder may check once. */
struct confer_transaction;
CONFER_API struct confer_transaction *confer_transaction_new(void); /* NULL: no memory */
CONFER_API void confer_transaction_free(struct confer_transaction *transaction);
CONFER_API enum confer_status confer_transaction_create(struct confer_transaction *transaction,
                                                        const char *path,
                                                        const void *value,
                                                        size_t value_bytes,
                                                        const struct confer_create *create);
/* The node must exist. */
CONFER_API enum confer_status confer_transaction_set(struct confer_transaction *transaction,
                                                     const char *path,
                                                     const void *value,
                                                     size_t value_bytes,
                                                     int32_t version);
CONFER_API enum confer_status confer_transaction_remove(struct confer_transaction *transaction,
                                                        const char *path,
                                                        int32_t version);
CONFER_API enum confer_status confer_transaction_set_acl(struct confer_transaction *transaction,
                                                         const char *path,
                                                         const struct confer_acl_entry *acl,
                                                         size_t acl_count,
                                                         int32_t version);
/* The node must exist and have the version. */
CONFER_API enum confer_status
confer_transaction_check(struct confer_transaction *transaction, const char *path, int32_t version);
/* The node must not exist. */
CONFER_API enum confer_status
confer_transaction_check_absent(struct confer_transaction *transaction, const char *path);

/* The transaction stays the caller's and may be committed again. The status is that of the first
 * operation that failed; result->operations tells each. CONFER_LIMIT: it is more than one may be
 * (docs/OPERATIONS.md, "Limits"); split it. */
CONFER_API enum confer_status confer_commit(struct confer *confer,
                                            const struct confer_transaction *transaction,
                                            const struct confer_call *call,
                                            struct confer_result **ret_result);
CONFER_API enum confer_status confer_commit_async(struct confer *confer,
                                                  const struct confer_transaction *transaction,
                                                  const struct confer_call *call,
                                                  confer_callback callback,
                                                  void *argument);

/* --- Watches --- */

enum confer_event_kind {
    CONFER_EVENT_STARTED, /* changes after `zxid` will come */
    CONFER_EVENT_CREATED,
    CONFER_EVENT_VALUE_SET,
    CONFER_EVENT_REMOVED,
    CONFER_EVENT_ACL_SET,
    CONFER_EVENT_RESYNC_BEGIN, /* the events up to the end are not history but a difference */
    CONFER_EVENT_RESYNC_END,
    CONFER_EVENT_PROGRESS, /* all changes up to `zxid` have been given, and none after it */
    CONFER_EVENT_ENDED     /* the last event, with the reason in `status` and `message` */
};

CONFER_API const char *confer_event_text(enum confer_event_kind kind);

/* Lent during the callback. */
struct confer_event {
    uint64_t watch;
    enum confer_event_kind kind;
    uint64_t zxid;
    const char *path;        /* of changes; else empty */
    struct confer_stat stat; /* after the change; REMOVED: before it, all 0 inside a resync */
    const char *value;       /* with CONFER_WATCH_VALUES, not for REMOVED */
    size_t value_bytes;
    bool value_is_null;
    bool resync;  /* between RESYNC_BEGIN and RESYNC_END */
    bool full;    /* RESYNC_BEGIN: everything that exists will be given as CREATED; what is not
                     given is not there. Else only the difference is given. */
    bool initial; /* RESYNC_BEGIN: the first picture (CONFER_WATCH_INITIAL), nothing was lost */
    enum confer_status status; /* ENDED: OK after confer_unwatch */
    const char *message;       /* ENDED */
};

typedef void (*confer_watch_callback)(struct confer *confer,
                                      const struct confer_event *event,
                                      void *argument);

enum confer_watch_flag {
    CONFER_WATCH_RECURSIVE = 1, /* the whole subtree; else the node and the coming and going of its
                                   children */
    CONFER_WATCH_VALUES = 2,
    CONFER_WATCH_INITIAL = 4, /* begin with a full resync that gives the present picture */
    /* Remember what the receiver knows (about 80 bytes and the path for each node, in this
     * process), so that a resync holds exactly the difference. Without it every resync is full. */
    CONFER_WATCH_TRACK = 8,
    CONFER_WATCH_PROGRESS = 16 /* with PROGRESS events */
};

/* Watch `path`, which need not exist. Every change is given once, in commit order, whatever happens
 * to connections and servers: the library resumes the stream where it ended. Only if the cluster
 * remembers the changes no longer, one RESYNC comes instead of them.
 *
 * `from_zxid` 0 = from now; else all changes after it (a zxid of an earlier PROGRESS or result;
 * that of a change leaves out what else its transaction did). It cannot be combined with
 * CONFER_WATCH_INITIAL. With TRACK and a from_zxid the first resync is
 * full, since the library did not see what the receiver knows.
 *
 * Returns at once; STARTED comes when the stream stands, ENDED exactly once at its end: after
 * confer_unwatch, on close, on expiry, on no memory, on an error of the path. */
CONFER_API enum confer_status confer_watch(struct confer *confer,
                                           const char *path,
                                           uint32_t flags,
                                           uint64_t from_zxid,
                                           confer_watch_callback callback,
                                           void *argument,
                                           uint64_t *ret_watch);
/* Returns at once; events may come until ENDED. An id that is not known (any more) is ignored. */
CONFER_API enum confer_status confer_unwatch(struct confer *confer, uint64_t watch);

/* --- The cluster --- */

struct confer_node_address {
    uint64_t id;
    const char *address; /* HOST:PORT as the other servers reach it */
};

/* Make a cluster of fresh servers. One of them must be the server that the handle speaks to: open
 * the handle with the addresses of `nodes` only, and with no_session. The same call again completes
 * one that broke off; result->cluster has the members. */
CONFER_API enum confer_status confer_init(struct confer *confer,
                                          const struct confer_node_address *nodes,
                                          size_t node_count,
                                          const struct confer_call *call,
                                          struct confer_result **ret_result);
CONFER_API enum confer_status confer_init_async(struct confer *confer,
                                                const struct confer_node_address *nodes,
                                                size_t node_count,
                                                const struct confer_call *call,
                                                confer_callback callback,
                                                void *argument);

/* Membership goes through any member. All of it may be repeated: what holds already succeeds.
 * CONFLICT, UNREACHABLE, REFUSED tell in the message what to do. */
CONFER_API enum confer_status confer_add_learner(struct confer *confer,
                                                 const struct confer_node_address *node,
                                                 const struct confer_call *call,
                                                 struct confer_result **ret_result);
CONFER_API enum confer_status confer_add_learner_async(struct confer *confer,
                                                       const struct confer_node_address *node,
                                                       const struct confer_call *call,
                                                       confer_callback callback,
                                                       void *argument);
/* As confer_add_learner, or of a learner that is there already; and the leader makes it a voter by
 * itself once it has caught up. Returns when this wish is durable: from then on no failure of a
 * client or leader ends it, and confer_cluster_status tells how it goes. */
CONFER_API enum confer_status confer_add_voter(struct confer *confer,
                                               const struct confer_node_address *node,
                                               const struct confer_call *call,
                                               struct confer_result **ret_result);
CONFER_API enum confer_status confer_add_voter_async(struct confer *confer,
                                                     const struct confer_node_address *node,
                                                     const struct confer_call *call,
                                                     confer_callback callback,
                                                     void *argument);
/* Exactly these voters; voters left out leave the cluster. Waits for new ones that have not caught
 * up, and is a CONFLICT when that takes too long. */
CONFER_API enum confer_status confer_change_membership(struct confer *confer,
                                                       const uint64_t *voters,
                                                       size_t voter_count,
                                                       const struct confer_call *call,
                                                       struct confer_result **ret_result);
CONFER_API enum confer_status confer_change_membership_async(struct confer *confer,
                                                             const uint64_t *voters,
                                                             size_t voter_count,
                                                             const struct confer_call *call,
                                                             confer_callback callback,
                                                             void *argument);
/* The same, though new voters have not caught up. Until they have, the cluster tolerates less than
 * it seems, and may stand still. */
CONFER_API enum confer_status confer_force_membership(struct confer *confer,
                                                      const uint64_t *voters,
                                                      size_t voter_count,
                                                      const struct confer_call *call,
                                                      struct confer_result **ret_result);
CONFER_API enum confer_status confer_force_membership_async(struct confer *confer,
                                                            const uint64_t *voters,
                                                            size_t voter_count,
                                                            const struct confer_call *call,
                                                            confer_callback callback,
                                                            void *argument);
/* Undo what is under way: a change that waits or is not committed, and promotions, whose learners
 * stay. The message says what was undone; nothing is fine. CONFLICT: it completes by itself. */
CONFER_API enum confer_status confer_cancel_change(struct confer *confer,
                                                   const struct confer_call *call,
                                                   struct confer_result **ret_result);
CONFER_API enum confer_status confer_cancel_change_async(struct confer *confer,
                                                         const struct confer_call *call,
                                                         confer_callback callback,
                                                         void *argument);
CONFER_API enum confer_status confer_remove_member(struct confer *confer,
                                                   uint64_t id,
                                                   const struct confer_call *call,
                                                   struct confer_result **ret_result);
CONFER_API enum confer_status confer_remove_member_async(struct confer *confer,
                                                         uint64_t id,
                                                         const struct confer_call *call,
                                                         confer_callback callback,
                                                         void *argument);
/* `target` 0 = the voter that is best placed. */
CONFER_API enum confer_status confer_transfer_leader(struct confer *confer,
                                                     uint64_t target,
                                                     const struct confer_call *call,
                                                     struct confer_result **ret_result);
CONFER_API enum confer_status confer_transfer_leader_async(struct confer *confer,
                                                           uint64_t target,
                                                           const struct confer_call *call,
                                                           confer_callback callback,
                                                           void *argument);
/* Who is who, as one server sees it. */
CONFER_API enum confer_status confer_cluster_status(struct confer *confer,
                                                    const struct confer_call *call,
                                                    struct confer_result **ret_result);
CONFER_API enum confer_status confer_cluster_status_async(struct confer *confer,
                                                          const struct confer_call *call,
                                                          confer_callback callback,
                                                          void *argument);

#ifdef __cplusplus
}
#endif

#endif
