/* The follower's side of dumps: take the chunks of one dump into a part file, have the checkpoint
 * thread build a new generation of the tree from it, and hand that to the node.
 *
 *   IDLE -offer-> RECEIVING -last chunk-> BUILDING -job done-> BUILT -take, finish-> IDLE
 *
 * One at a time. The part file of an interrupted transfer is kept: an offer of the same dump
 * (index, term, bytes) goes on where it stands. Every other failure removes it, tells the sender
 * why, and leaves the node as it was. While a transfer is under way the core does not campaign
 * (raft_set_installing).
 *
 * See dump_transfer.h for threads and time. */
#ifndef NODE_DUMP_RECEIVER_H
#define NODE_DUMP_RECEIVER_H

#include "server/node/agreement.h"
#include "server/node/node.h"

/* How the names of files begin that are being received; of one that is complete too. */
#define DUMP_RECEIVER_PREFIX "receive-"

struct dump_receiver_options {
    uint8_t cluster_id[NODE_CLUSTER_ID_BYTES];
    uint64_t dump_bytes_max;  /* larger ones are refused: the size of the tree's map */
    uint64_t tree_generation; /* in use now; new ones get higher numbers */
    struct tree_store_options tree_options;
    bool (*check_record)(struct bytes key, struct bytes value); /* may be NULL */
    /* Whether a state of this sender that nobody vouches for may take the place of the one here;
     * NULL: any may. */
    bool (*may_replace)(const void *context, raft_id sender);
    const void *context;
};

struct dump_receiver;

struct dump_receiver *dump_receiver_new(const struct node_port *port,
                                        struct raft *raft,
                                        const struct dump_receiver_options *options,
                                        void *job_context);
/* Removes the part file; no job may be under way. NULL is fine. */
void dump_receiver_free(struct dump_receiver *receiver);
/* A fresh server got its cluster. */
void dump_receiver_set_cluster(struct dump_receiver *receiver,
                               const uint8_t cluster_id[NODE_CLUSTER_ID_BYTES]);

/* This server's state is damaged: take vouched dumps of `from` or later and no others, whatever the
 * log holds; 0: it is sound (again). */
void dump_receiver_set_repair(struct dump_receiver *receiver, raft_index from);

/* Give up what is late or no longer needed. Returns when to call again at the latest. */
uint64_t dump_receiver_tick(struct dump_receiver *receiver, uint64_t now_us);
void dump_receiver_on_bulk_down(struct dump_receiver *receiver, uint64_t now_us, raft_id peer);
/* INVALID as in dump_transfer_on_message. A refusal goes out as a message and is OK here. */
MUST_CHECK enum status dump_receiver_on_offer(struct dump_receiver *receiver,
                                              uint64_t now_us,
                                              raft_id peer,
                                              const Peer__DumpOffer *offer);
MUST_CHECK enum status dump_receiver_on_chunk(struct dump_receiver *receiver,
                                              uint64_t now_us,
                                              raft_id peer,
                                              const Peer__DumpChunk *chunk);
/* The INSTALL job of this unit came back; it is freed. */
void dump_receiver_on_job(struct dump_receiver *receiver,
                          uint64_t now_us,
                          struct checkpoint_job *job);

/* A complete, checked, durable generation of the tree, ready for raft_install. */
struct dump_installed {
    uint64_t generation;
    struct tree_store *tree; /* opened; the taker's from here on */
    struct tree_meta meta;   /* lent by the tree */
    struct raft_config config;
    raft_term sender_term;
    raft_id sender;
    bool is_vouched;        /* a majority has that state */
    struct dispute dispute; /* of that state, if it is not vouched for */
};

/* True once for a dump in BUILT. The node then calls raft_install and, on OK, once its write is
 * durable and the node has switched to the tree, dump_receiver_finish(true). If the core refuses,
 * the node closes and removes the tree and calls dump_receiver_finish(false). Until then further
 * offers are refused and the core stays in raft_set_installing. */
bool dump_receiver_take(struct dump_receiver *receiver, struct dump_installed *ret_installed);
void dump_receiver_finish(struct dump_receiver *receiver, uint64_t now_us, bool installed);

/* The last dump that there was no room for here; 0 = none was lately, nor since the last one
 * installed. A later one may be smaller. */
raft_index dump_receiver_too_large(const struct dump_receiver *receiver);

size_t dump_receiver_jobs(const struct dump_receiver *receiver);
/* False when IDLE; else how far it is. */
bool dump_receiver_progress(const struct dump_receiver *receiver,
                            uint64_t *ret_received,
                            uint64_t *ret_total);

#endif
