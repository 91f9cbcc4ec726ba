/* The leader's side of dumps: for each member that the core says needs one, the checkpoint thread
 * makes a dump file (one file serves several members while its index is still useful), and it goes
 * over the bulk link in chunks, resumed where the receiver stands.
 *
 *   make file -> open link -> offer -> [DumpWanted] -> chunks <-> [DumpReceived] -> [installed]
 *
 * Any failure ends the transfer with raft_dump_failed; the core reports the member as in want again
 * after a while, and the next transfer goes on at the receiver's offset, because files are kept for
 * some time after their last use. A receiver that refuses for a reason that lasts (no space, too
 * large) is tried again after pauses that double up to DUMP_REFUSED_US_MAX, until it takes a dump
 * or connects anew. Losing leadership ends all.
 *
 * See dump_transfer.h for threads and time. */
#ifndef NODE_DUMP_SENDER_H
#define NODE_DUMP_SENDER_H

#include "server/node/agreement.h"
#include "server/node/node.h"

enum {
    DUMP_CHUNK_BYTES = 512 * 1024,               /* what is sent, unless chosen otherwise */
    DUMP_CHUNK_BYTES_MAX = 1024 * 1024,          /* what is taken */
    DUMP_WINDOW_CHUNKS = 4,                      /* sent and not yet acknowledged */
    DUMP_PROGRESS_TIMEOUT_US = 10 * 1000 * 1000, /* without a sign of the other side: failed */
    DUMP_REFUSED_US_MIN = 1000 * 1000,           /* the first pause after a refusal */
    DUMP_REFUSED_US_MAX = 30 * 1000 * 1000,
    DUMP_FILE_IDLE_US = 60 * 1000 * 1000, /* a file that nobody used for so long is removed */
    DUMP_REPAIR_US = 2 * 1000 * 1000      /* a repair that nobody asks for any more is given up */
};

struct dump_sender_options {
    raft_id self;
    uint8_t cluster_id[NODE_CLUSTER_ID_BYTES];
    tree_store_weigh *weigh;       /* a dump must add up; NULL: not asked */
    const struct dispute *dispute; /* goes with what nobody vouches for; outlives it; NULL: none */
    uint32_t chunk_bytes;          /* at most DUMP_CHUNK_BYTES_MAX; 0 = DUMP_CHUNK_BYTES */
};

struct dump_sender;

struct dump_sender *dump_sender_new(const struct node_port *port,
                                    struct raft *raft,
                                    const struct dump_sender_options *options,
                                    void *job_context);
/* Removes the files; no job may be under way. NULL is fine. */
void dump_sender_free(struct dump_sender *sender);
/* A fresh server got its cluster. */
void dump_sender_set_cluster(struct dump_sender *sender,
                             const uint8_t cluster_id[NODE_CLUSTER_ID_BYTES]);

/* Start, go on, give up. Returns when to call again at the latest. Vouched files go to all who want
 * one; with `tree`, also others, made of the checkpoint there. */
uint64_t dump_sender_tick(struct dump_sender *sender, uint64_t now_us, struct tree_store *tree);
void dump_sender_on_bulk_up(struct dump_sender *sender, uint64_t now_us, raft_id peer);
void dump_sender_on_bulk_down(struct dump_sender *sender, uint64_t now_us, raft_id peer);
/* INVALID as in dump_transfer_on_message. */
MUST_CHECK enum status dump_sender_on_wanted(struct dump_sender *sender,
                                             uint64_t now_us,
                                             raft_id peer,
                                             const Peer__DumpWanted *wanted);
MUST_CHECK enum status dump_sender_on_received(struct dump_sender *sender,
                                               uint64_t now_us,
                                               raft_id peer,
                                               const Peer__DumpReceived *received);
/* The DUMP job of this unit came back; it is freed. */
void dump_sender_on_job(struct dump_sender *sender, uint64_t now_us, struct checkpoint_job *job);

/* The member has connected anew: what it refused before it may take now. */
void dump_sender_forgive(struct dump_sender *sender, raft_id peer);

/* A damaged member wants the vouched dump of `index` (0 = not known yet): asked again once a turn
 * for as long as it does, and meanwhile no other dump goes there. */
void dump_sender_repair(struct dump_sender *sender,
                        uint64_t now_us,
                        raft_id peer,
                        raft_index index);
/* Whether there is the vouched dump of `index`, or it is being made, and the log goes on from it.
 */
bool dump_sender_has_vouched(const struct dump_sender *sender, raft_index index);
/* Make it; the checkpoint in `tree` is the one. */
void dump_sender_make_vouched(struct dump_sender *sender,
                              uint64_t now_us,
                              struct tree_store *tree,
                              raft_index index);

struct dump_sender_progress {
    bool is_sending;
    uint64_t done; /* of `total` bytes; 0 of 0 while the file is made */
    uint64_t total;
    const char *refusal; /* why the member does not take dumps, lent until the next call; or NULL */
};
struct dump_sender_progress dump_sender_progress(const struct dump_sender *sender, raft_id peer);

/* Whether this unit opened, and still uses, the bulk link to `peer`. */
bool dump_sender_has_peer(const struct dump_sender *sender, raft_id peer);
size_t dump_sender_jobs(const struct dump_sender *sender);
size_t dump_sender_transfers(const struct dump_sender *sender);
size_t dump_sender_files(const struct dump_sender *sender);

#endif
