/* This server: the driver that joins raft, disks, peers and state, and answers requests.
 *
 * Everything happens on the main thread, in turns. During a turn the inputs below arrive in any
 * number and order; node_turn ends it: it proposes what came, flushes the core once, sends, hands
 * the write to the log, applies what is committed, feeds watches, answers. Time, randomness, disks
 * and network are reached through struct node_port alone; a simulation puts its own behind it and
 * runs this code as it is. */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "persistence/checkpoint_thread.h"
#include "persistence/log_thread.h"
#include "persistence/tree_doubt.h"
#include "proto/peer.pb-c.h"
#include "raft/raft.h"
#include "server/node/request.h"

enum { NODE_CLUSTER_ID_BYTES = 16, NODE_FORMAT = 7 };

struct node;

struct node_peer {
    raft_id id;
    uint8_t incarnation[RAFT_INCARNATION_BYTES];
    const char *address;
};

struct node_space {
    bool is_enough;    /* not below the disk reserve, nor above nine tenths of a map */
    bool is_tree_full; /* above nine tenths of the map of the checkpoint, whatever else there is */
};

/* Functions return at once; none of them calls back into the node, except where said. */
struct node_port {
    void *context;

    /* Microseconds, monotonic and fresh; milliseconds since 1970. */
    uint64_t (*now_us)(void *context);
    uint64_t (*wall_ms)(void *context);
    void (*random)(void *context, void *bytes, size_t size); /* from the kernel */

    /* Keep a control link to each of these (never this node itself), and drop those to peers that
     * were named before and are not now. A peer that was never named but admitted keeps its link: a
     * joining server is called by members that its own configuration does not name yet. A link may
     * be the one we dialled or the one the peer dialled; the port sees to it that there is one. */
    void (*set_peers)(void *context, const struct node_peer *peers, size_t count);
    /* Send a packed peer.PeerMessage on the control link; false, and dropped, without one or when
     * its queue is full. `is_late`: answers to clients that are given later in this turn may leave
     * first. */
    bool (*send)(void *context, raft_id peer, struct bytes message, bool is_late);
    /* The bulk link: open one to a peer (an answer comes as node_on_bulk_up or _down), send on it,
     * close it. The receiver of a dump answers on the link that the sender opened. */
    void (*bulk_open)(void *context, raft_id peer);
    bool (*bulk_send)(void *context, raft_id peer, struct bytes message);
    void (*bulk_close)(void *context, raft_id peer);
    /* Dial `address` on the PROBE channel, send one message, wait for one; node_on_probe_answer
     * tells how it went, within a few seconds. */
    void (*probe)(void *context, uint64_t token, const char *address, struct bytes message);
    /* Answer a probe that node_on_probe brought. */
    void (*probe_reply)(void *context, uint64_t probe, struct bytes message);

    /* Disks. Finished jobs come back by node_on_log_done and node_on_checkpoint_done. */
    void (*log_submit)(void *context, struct log_job *job);
    void (*checkpoint_submit)(void *context, struct checkpoint_job *job);
    /* Make the cluster's id durable before returning (once in a server's life). */
    enum status (*set_cluster)(void *context,
                               const uint8_t cluster_id[NODE_CLUSTER_ID_BYTES],
                               struct error *error);
    /* A generation of the checkpoint. tree_source stays valid until tree_close. */
    enum status (*tree_open)(void *context,
                             uint64_t generation,
                             struct tree_store **ret_tree,
                             struct error *error);
    void (*tree_close)(void *context, struct tree_store *tree, bool remove_files);
    struct state_source (*tree_source)(void *context, struct tree_store *tree);
    enum status (*tree_renew)(void *context, struct tree_store *tree, struct error *error);
    struct tree_meta (*tree_meta)(void *context, struct tree_store *tree);
    /* The folder's path for a new generation, or for a dump file of this name. */
    void (*tree_path)(void *context, uint64_t generation, char path[DATA_FOLDER_PATH_BYTES_MAX]);
    enum status (*dump_path)(void *context,
                             const char *name,
                             char path[DATA_FOLDER_PATH_BYTES_MAX],
                             struct error *error);
    /* Make it durable that this generation is not to be served, before returning; its removal ends
     * that. See node_options.tree_is_condemned. */
    enum status (*tree_condemn)(void *context, uint64_t generation, struct error *error);
    /* The same of what is doubtful about it, in the place of what was before. See
     * node_options.tree_doubt. */
    enum status (*tree_doubt)(void *context,
                              uint64_t generation,
                              const struct tree_doubt *doubt,
                              struct error *error);
    /* Used part of its map, in bytes. */
    uint64_t (*tree_bytes)(void *context, const struct tree_store *tree);
    /* Pieces of dump files; small, out of or into the page cache. `dump_write` at offset 0 makes
     * the file anew. */
    enum status (*dump_read)(void *context,
                             const char *path,
                             uint64_t offset,
                             void *buffer,
                             size_t size,
                             struct error *error);
    enum status (*dump_write)(
        void *context, const char *path, uint64_t offset, struct bytes bytes, struct error *error);
    void (*dump_remove)(void *context, const char *path);
    /* What room there is, once this much that is still in memory is on the disk too. Cheap; asked
     * once a second, and once for each MiB that is applied. */
    struct node_space (*space)(void *context, uint64_t unwritten_records, uint64_t unwritten_bytes);

    /* The server cannot go on (a failed write, a damaged record): say why and end the process. Does
     * not return to the node in a real server; a simulation marks the node dead, and the node does
     * nothing more. */
    void (*fail)(void *context, const struct error *error);
};

struct node_options {
    raft_id id;
    uint8_t incarnation[RAFT_INCARNATION_BYTES];
    bool has_cluster;
    uint8_t cluster_id[NODE_CLUSTER_ID_BYTES];
    uint64_t tree_generation;
    uint64_t start;                      /* the number drawn by this start of the data folder */
    const struct log_witness *witnesses; /* kept by log_store; lent for node_new */
    size_t witness_count;
    bool tree_is_condemned;       /* by an earlier run: see port.tree_condemn */
    struct tree_doubt tree_doubt; /* of an earlier run */
    const char *address;          /* --server; lives as long as the node */
    const char *version;
    struct raft_options raft; /* id, incarnation and seed are filled in by the node */
    uint64_t seed;
    /* Of nodes, history and entry cache together, 64 MiB. What the other two do not take is for
     * nodes, at least a half; those that wait for a checkpoint come first. */
    uint64_t cache_bytes_max;
    uint64_t checkpoint_records_max; /* dirty records that start a checkpoint, 8192 */
    uint64_t checkpoint_bytes_max;   /* dirty bytes that start one, 16 MiB */
    uint64_t checkpoint_interval_us; /* age that starts one, 10 s */
    uint64_t
        log_tail_bytes_max; /* of entries kept behind a checkpoint for lagging members, 64 MiB */
    uint64_t log_tail_entries_max;  /* and their number, 2^17 */
    uint64_t entry_cache_bytes_max; /* payloads kept in memory behind applied, 8 MiB */
    uint64_t history_bytes_max;     /* changes kept for watch streams, 16 MiB */
    uint64_t history_changes_max;   /* and their number, 2^18 */
    uint64_t dump_bytes_max;        /* of an incoming dump: the size of the tree's map, 64 GiB */
    uint32_t dump_chunk_bytes;      /* of an outgoing dump in one message, 512 KiB */
    size_t sessions_max;            /* of the cluster, 1,000,000; each costs some 300 bytes */
    bool enforce_quotas;            /* hard limits refuse the writes of this server's clients */
    uint64_t sweep_interval_us;     /* between looks for due containers and TTL nodes, 60 s */
    uint32_t sweep_count_max;       /* nodes of each kind that go in one sweep, 1024 */
    uint32_t end_count_max;         /* ephemerals that go in the end of their session, 8192 */
    uint64_t request_timeout_us;    /* a write or read waits at most this long here, 10 s */
};

struct node_options node_options_default(raft_id id);

/* What the log held, entry by entry, between node_new and node_start. */
MUST_CHECK enum status node_new(const struct node_options *options,
                                const struct node_port *port,
                                const struct log_state *log,
                                struct node **ret_node,
                                struct error *error);
/* Entries log->base + 1 .. log->last, in order; copied. CORRUPT, LIMIT. */
MUST_CHECK enum status
node_boot_entry(struct node *node, const struct log_entry *entry, struct error *error);
/* Begin. CORRUPT: the log ends before what the checkpoint holds. */
MUST_CHECK enum status node_start(struct node *node, struct error *error);
/* Frees everything; clients must be closed before. Jobs still with the disks must have been
 * returned. */
void node_free(struct node *node);

/* End the turn. Returns the time at which the next turn must end at the latest, if nothing arrives
 * before. */
uint64_t node_turn(struct node *node);

/* Graceful stop: hand leadership over, tell the clients, take no new writes. node_is_drained turns
 * true when leadership is gone and nothing is pending, or after a few seconds. */
void node_drain(struct node *node);
bool node_is_drained(const struct node *node);
/* Jobs with the disks now: each must come back before node_free. A drained node that is given no
 * further turns submits no new ones. */
size_t node_jobs(const struct node *node);

/* --- Inputs from disks --- */
void node_on_log_done(struct node *node, struct log_job *job);
void node_on_checkpoint_done(struct node *node, struct checkpoint_job *job);

/* --- Inputs from peers --- */

/* May this peer connect? Asked during the handshake, after its proof was checked. A refusal is
 * written in plain words. On the CONTROL channel a fresh server takes the cluster's id from a peer
 * that knows its incarnation, durably, before it returns true. */
bool node_admit(struct node *node,
                const Peer__Identity *from,
                Peer__Channel channel,
                bool knows_our_incarnation,
                char refusal[ERROR_TEXT_BYTES_MAX]);
/* Asked at both ends of a CONTROL or BULK link, once the peer has proven itself (and was admitted,
 * at the accepting end): is its data folder the one that was seen last, or one that grew out of it?
 * False: it is an old copy, and must be told so. Only a peer for which this was true may come up.
 */
bool node_recognize(struct node *node,
                    const Peer__Identity *from,
                    char refusal[ERROR_TEXT_BYTES_MAX]);
/* A member cannot be linked, for the status. */
void node_on_peer_unreachable(struct node *node, raft_id peer, const char *reason);
void node_on_peer_up(struct node *node, raft_id peer);
void node_on_peer_down(struct node *node, raft_id peer);
/* A packed peer.PeerMessage whose frame was intact. INVALID: unreadable or not for this channel;
 * close the link. */
MUST_CHECK enum status node_on_peer_message(struct node *node, raft_id peer, struct bytes message);

void node_on_bulk_up(struct node *node, raft_id peer);
void node_on_bulk_down(struct node *node, raft_id peer);
MUST_CHECK enum status node_on_bulk_message(struct node *node, raft_id peer, struct bytes message);

/* Somebody dialled us to ask. `probe` names the connection for probe_reply; an unreadable one is
 * INVALID. */
MUST_CHECK enum status node_on_probe(struct node *node, uint64_t probe, struct bytes message);
/* The answer to port.probe: OK with the answering server's identity and its message, or why not
 * (`text`). */
void node_on_probe_answer(struct node *node,
                          uint64_t token,
                          enum status status,
                          const Peer__Identity *identity,
                          struct bytes message,
                          const char *text);

/* --- Clients --- */

struct client;

/* `callbacks` outlives the client. */
struct client *
client_open(struct node *node, const struct client_callbacks *callbacks, void *context);
/* Who the connection is from now on, in place of what it was: reads and events are judged by it
 * when they run, writes when they are submitted from now on. Copied. Without it a client is what
 * anybody is. */
void client_identify(struct client *client, struct state_identities identities);
/* Does the node permit the client any of `permissions` (enum state_permission, a sum)? */
bool client_may(const struct client *client, const struct state_node *node, unsigned permissions);
/* What a front reads by itself while it answers, from the state as it is now; client_ is judged as
 * the client's own read. OK (*ret_node comes with a reference), NO_NODE, NO_AUTH. STOPPING: the
 * disk failed and the server ends. */
Client__Code node_read(struct node *node, struct bytes path, struct state_node **ret_node);
Client__Code client_read(const struct client *client,
                         struct bytes path,
                         unsigned permissions,
                         struct state_node **ret_node);
/* The names of all children that one page takes; `more` tells that there are others. */
Client__Code client_list(const struct client *client,
                         struct bytes path,
                         struct arena *arena,
                         struct state_children *ret_children);
/* The changes of nodes after `after`, in order, as many at a time as one likes. False: they are not
 * all known here any more, or are more than `count_max`. */
bool node_find_changes(const struct node *node, zxid after, uint64_t count_max, uint64_t *ret_at);
/* The one at *at, which moves on; lent until the end of the turn. NULL: there is none yet, or it is
 * not known any more. */
const struct watch_event *node_next_change(const struct node *node, uint64_t *at);
/* No callback comes after this, nor after client_let_go. Requests without a reply are dropped; what
 * was proposed still happens. The session goes on until its timeout. */
void client_close(struct client *client);
/* Before client_close, for it may be much: drop the requests, and watch streams some at a time.
 * True: all are gone. */
bool client_let_go(struct client *client);
/* Takes the request over. Requests beyond a bound per client are the front's to hold back: see
 * client_is_full. */
void client_submit(struct client *client, struct request *request);
/* Stop reading from this connection until a reply went out, or its output is empty. */
bool client_is_full(const struct client *client);

/* What each command changed, before anybody is answered who may see it; the changes are lent for
 * the call. One observer; `observer` is copied. A dump that replaces the state (on_replaced) leaves
 * no list of changes. */
struct node_observer {
    void (*on_changes)(void *context, const struct state_change *changes, size_t count);
    void (*on_replaced)(void *context);
    void *context;
};
void node_observe(struct node *node, const struct node_observer *observer);

/* --- For status, logs and tests --- */

struct node_identity {
    raft_id id;
    uint8_t incarnation[RAFT_INCARNATION_BYTES];
    bool has_cluster;
    uint8_t cluster_id[NODE_CLUSTER_ID_BYTES];
    raft_index named_at; /* the committed configuration that names this folder; 0 = none known */
};
struct node_identity node_identity(const struct node *node);
const struct raft *node_raft(const struct node *node);
struct state *node_state(struct node *node);
zxid node_applied(const struct node *node);
/* Commands that this server placed as leader, as bytes in the log; none yet: all 0. */
struct node_proposal_sizes {
    uint32_t last;
    uint32_t least;
    uint32_t most;
};
struct node_proposal_sizes node_proposal_sizes(const struct node *node);
/* When sessions expire unless they are heard from, in milliseconds from now; nothing on a server
 * that does not lead. */
void node_each_expiry(const struct node *node,
                      void (*visit)(void *visitor, session_id session, uint64_t in_ms),
                      void *visitor);
/* For how long this member has known no leader; 0 = it knows one, or is no member. */
uint64_t node_leaderless_us(const struct node *node);
/* For how long it has led; 0 = it does not. */
uint64_t node_leading_us(const struct node *node);
/* Read indexes that are being looked for, by one or more reads each. */
size_t node_pending_read_indexes(const struct node *node);
/* The state is known to be wrong, and another is fetched. */
bool node_is_condemned(const struct node *node);
/* Voters hold another state, and as far as it knows no majority says who is wrong. */
bool node_is_disputed(const struct node *node);
/* As leader: that member lags behind the log, and gets no dump before a majority says what is
 * right, for its state is disputed; or it is damaged, and the one here is disputed, or too few have
 * one that they could vouch for. */
bool node_holds_back(const struct node *node, raft_id id);
/* This one is among those that differ from it. */
bool node_disputes_with(const struct node *node, raft_id id);

#endif
