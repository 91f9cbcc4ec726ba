/* Dumps between servers. As leader: one for each follower that is too far behind for the log. As
 * follower: the one that is coming in. Either role works at any time; this unit joins dump_sender
 * and dump_receiver, and gives each message to the right one.
 *
 * Main thread. Times are the node's monotonic microseconds. */
#ifndef NODE_DUMP_TRANSFER_H
#define NODE_DUMP_TRANSFER_H

#include "server/node/dump_receiver.h"
#include "server/node/dump_sender.h"

struct dump_transfer;

/* `port` is copied; it and the core outlive the unit. Of the port it uses bulk_open, bulk_send,
 * bulk_close, checkpoint_submit, tree_open, tree_close, tree_meta, tree_path and dump_*. */
struct dump_transfer *dump_transfer_new(const struct node_port *port,
                                        struct raft *raft,
                                        const struct dump_sender_options *sender_options,
                                        const struct dump_receiver_options *receiver_options);
/* No job of it may be with the checkpoint thread: see dump_transfer_jobs. NULL is fine. */
void dump_transfer_free(struct dump_transfer *transfer);
/* Jobs with the checkpoint thread now. */
size_t dump_transfer_jobs(const struct dump_transfer *transfer);

/* A fresh server got its cluster. */
void dump_transfer_set_cluster(struct dump_transfer *transfer,
                               const uint8_t cluster_id[NODE_CLUSTER_ID_BYTES]);

/* Once a turn, before the core is flushed. `tree` is the checkpoint in use, for making dumps; NULL
 * makes none. Returns when to call again at the latest. */
uint64_t
dump_transfer_tick(struct dump_transfer *transfer, uint64_t now_us, struct tree_store *tree);

void dump_transfer_on_bulk_up(struct dump_transfer *transfer, uint64_t now_us, raft_id peer);
void dump_transfer_on_bulk_down(struct dump_transfer *transfer, uint64_t now_us, raft_id peer);
/* INVALID: not a message of a dump, or one that does not fit; close the link. The transfer on it
 * has ended already. */
MUST_CHECK enum status dump_transfer_on_message(struct dump_transfer *transfer,
                                                uint64_t now_us,
                                                raft_id peer,
                                                const Peer__PeerMessage *message);
/* A DUMP or INSTALL job came back whose context is this unit. The job is freed. */
void dump_transfer_on_job(struct dump_transfer *transfer,
                          uint64_t now_us,
                          struct checkpoint_job *job);

/* See dump_receiver_take and dump_receiver_finish. */
bool dump_transfer_take(struct dump_transfer *transfer, struct dump_installed *ret_installed);
void dump_transfer_finish(struct dump_transfer *transfer, uint64_t now_us, bool installed);

/* See dump_receiver_set_repair, dump_sender_repair and what follows that. */
void dump_transfer_set_repair(struct dump_transfer *transfer, raft_index from);
raft_index dump_transfer_too_large(const struct dump_transfer *transfer);
void dump_transfer_repair(struct dump_transfer *transfer,
                          uint64_t now_us,
                          raft_id peer,
                          raft_index index);
bool dump_transfer_has_vouched(const struct dump_transfer *transfer, raft_index index);
void dump_transfer_make_vouched(struct dump_transfer *transfer,
                                uint64_t now_us,
                                struct tree_store *tree,
                                raft_index index);

/* See dump_sender_forgive and dump_sender_progress. */
void dump_transfer_forgive(struct dump_transfer *transfer, raft_id peer);
struct dump_sender_progress dump_transfer_progress(const struct dump_transfer *transfer,
                                                   raft_id peer);

struct dump_transfer_status {
    size_t sending;    /* transfers to followers under way */
    size_t files;      /* dump files kept for them */
    bool receiving;    /* a dump comes in or is being installed */
    uint64_t received; /* of this many bytes ... */
    uint64_t total;
};
struct dump_transfer_status dump_transfer_status(const struct dump_transfer *transfer);

#endif
