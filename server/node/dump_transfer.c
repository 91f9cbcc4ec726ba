#include "server/node/dump_transfer.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>

struct dump_transfer {
    struct node_port port;
    struct dump_sender *sender;
    struct dump_receiver *receiver;
};

struct dump_transfer *dump_transfer_new(const struct node_port *port,
                                        struct raft *raft,
                                        const struct dump_sender_options *sender_options,
                                        const struct dump_receiver_options *receiver_options)
{
    struct dump_transfer *transfer = xcalloc(1, sizeof *transfer);

    transfer->port = *port;
    transfer->sender = dump_sender_new(&transfer->port, raft, sender_options, transfer);
    transfer->receiver = dump_receiver_new(&transfer->port, raft, receiver_options, transfer);
    return transfer;
}

void dump_transfer_free(struct dump_transfer *transfer)
{
    if (transfer != NULL) {
        CHECK_OP(dump_transfer_jobs(transfer), ==, 0);
        dump_sender_free(transfer->sender);
        dump_receiver_free(transfer->receiver);
        free(transfer);
    }
}

void dump_transfer_set_cluster(struct dump_transfer *transfer,
                               const uint8_t cluster_id[NODE_CLUSTER_ID_BYTES])
{
    dump_sender_set_cluster(transfer->sender, cluster_id);
    dump_receiver_set_cluster(transfer->receiver, cluster_id);
}

size_t dump_transfer_jobs(const struct dump_transfer *transfer)
{
    return dump_sender_jobs(transfer->sender) + dump_receiver_jobs(transfer->receiver);
}

uint64_t
dump_transfer_tick(struct dump_transfer *transfer, uint64_t now_us, struct tree_store *tree)
{
    uint64_t receiver_us = dump_receiver_tick(transfer->receiver, now_us);
    uint64_t sender_us = dump_sender_tick(transfer->sender, now_us, tree);

    return receiver_us < sender_us ? receiver_us : sender_us;
}

void dump_transfer_on_bulk_up(struct dump_transfer *transfer, uint64_t now_us, raft_id peer)
{
    dump_sender_on_bulk_up(transfer->sender, now_us, peer);
}

void dump_transfer_on_bulk_down(struct dump_transfer *transfer, uint64_t now_us, raft_id peer)
{
    dump_sender_on_bulk_down(transfer->sender, now_us, peer);
    dump_receiver_on_bulk_down(transfer->receiver, now_us, peer);
}

enum status dump_transfer_on_message(struct dump_transfer *transfer,
                                     uint64_t now_us,
                                     raft_id peer,
                                     const Peer__PeerMessage *message)
{
    switch ((int)message->body_case) {
    case PEER__PEER_MESSAGE__BODY_DUMP_OFFER:
        return dump_receiver_on_offer(transfer->receiver, now_us, peer, message->dump_offer);
    case PEER__PEER_MESSAGE__BODY_DUMP_CHUNK:
        return dump_receiver_on_chunk(transfer->receiver, now_us, peer, message->dump_chunk);
    case PEER__PEER_MESSAGE__BODY_DUMP_WANTED:
        return dump_sender_on_wanted(transfer->sender, now_us, peer, message->dump_wanted);
    case PEER__PEER_MESSAGE__BODY_DUMP_RECEIVED:
        return dump_sender_on_received(transfer->sender, now_us, peer, message->dump_received);
    default:
        return STATUS_INVALID;
    }
}

void dump_transfer_on_job(struct dump_transfer *transfer,
                          uint64_t now_us,
                          struct checkpoint_job *job)
{
    CHECK(job->context == transfer);
    if (job->kind == CHECKPOINT_JOB_DUMP) {
        dump_sender_on_job(transfer->sender, now_us, job);
    } else {
        CHECK(job->kind == CHECKPOINT_JOB_INSTALL);
        dump_receiver_on_job(transfer->receiver, now_us, job);
    }
}

bool dump_transfer_take(struct dump_transfer *transfer, struct dump_installed *ret_installed)
{
    return dump_receiver_take(transfer->receiver, ret_installed);
}

void dump_transfer_finish(struct dump_transfer *transfer, uint64_t now_us, bool installed)
{
    dump_receiver_finish(transfer->receiver, now_us, installed);
}

raft_index dump_transfer_too_large(const struct dump_transfer *transfer)
{
    return dump_receiver_too_large(transfer->receiver);
}

void dump_transfer_set_repair(struct dump_transfer *transfer, raft_index from)
{
    dump_receiver_set_repair(transfer->receiver, from);
}

void dump_transfer_repair(struct dump_transfer *transfer,
                          uint64_t now_us,
                          raft_id peer,
                          raft_index index)
{
    dump_sender_repair(transfer->sender, now_us, peer, index);
}

bool dump_transfer_has_vouched(const struct dump_transfer *transfer, raft_index index)
{
    return dump_sender_has_vouched(transfer->sender, index);
}

void dump_transfer_make_vouched(struct dump_transfer *transfer,
                                uint64_t now_us,
                                struct tree_store *tree,
                                raft_index index)
{
    dump_sender_make_vouched(transfer->sender, now_us, tree, index);
}

void dump_transfer_forgive(struct dump_transfer *transfer, raft_id peer)
{
    dump_sender_forgive(transfer->sender, peer);
}

struct dump_sender_progress dump_transfer_progress(const struct dump_transfer *transfer,
                                                   raft_id peer)
{
    return dump_sender_progress(transfer->sender, peer);
}

struct dump_transfer_status dump_transfer_status(const struct dump_transfer *transfer)
{
    struct dump_transfer_status status = {.sending = dump_sender_transfers(transfer->sender),
                                          .files = dump_sender_files(transfer->sender)};

    status.receiving = dump_receiver_progress(transfer->receiver, &status.received, &status.total);
    return status;
}
