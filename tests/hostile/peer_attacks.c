#include "tests/hostile/peer_attacks.h"

#include "proto/frame.h"
#include "raft/raft.h"

#include <sys/socket.h>

enum { CLOSE_DEADLINE_MS = 30000, FRAMES = 200, TERMS = 1000 };

void peer_attack_noise(struct site *site)
{
    struct buffer bytes = BUFFER_INIT;

    while (site_goes_on(site)) {
        size_t size = prng_between(&site->prng, 1, 300);
        struct wire wire;

        buffer_clear(&bytes);
        buffer_put(&bytes, bytes_of(frame_peer_preface, FRAME_PREFACE_BYTES));
        buffer_put_u32(&bytes, (uint32_t)size);
        buffer_put_u64(&bytes, prng_next(&site->prng));
        site_put_noise(site, &bytes, size);
        if (wire_connect(&wire, site->address)) {
            (void)wire_send(&wire, buffer_lend(&bytes));
            (void)wire_wait_closed(&wire, 1000);
            site->count++;
        }
        wire_close(&wire);
    }
    buffer_release(&bytes);
}

/* Append a message in a frame with the next seal of the link. */
static void put_message(struct rogue *rogue, struct buffer *frames, Peer__RaftMessage *raft)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    size_t begin = frames->size;
    size_t size;
    struct bytes body;

    message.body_case = PEER__PEER_MESSAGE__BODY_RAFT;
    message.raft = raft;
    size = peer__peer_message__get_packed_size(&message);
    (void)buffer_extend(frames, FRAME_PEER_HEAD_BYTES);
    (void)peer__peer_message__pack(&message, buffer_extend(frames, size));
    body = bytes_of(frames->data + begin + FRAME_PEER_HEAD_BYTES, size);
    frame_peer_put_head(frames->data + begin, size, seal_next(rogue->sent_seal, body));
}

typedef void put_some(struct site *site, struct rogue *rogue, struct buffer *frames);

/* Send all that the member's link takes, and read what comes; or send at some pace, and never read.
 * Link anew when it was closed. */
static void pour(struct site *site, put_some *put, bool reads)
{
    const int little = 1;
    struct rogue rogue = {.wire = {.socket = -1}};
    struct buffer frames = BUFFER_INIT;
    size_t sent = 0;

    while (site_goes_on(site)) {
        if (rogue.wire.socket < 0) {
            rogue_close(&rogue);
            buffer_clear(&frames);
            sent = 0;
            if (!rogue_connect(&rogue, site->address, &site->member)) {
                site_rest();
                continue;
            }
            if (!reads) {
                (void)setsockopt(rogue.wire.socket, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
            }
        }
        if (sent == frames.size) {
            buffer_clear(&frames);
            sent = 0;
            put(site, &rogue, &frames);
        }
        if (!site_push(&rogue.wire, buffer_lend(&frames), &sent)) {
            site_rest();
        } else {
            site->count += FRAMES;
        }
        if (!reads) {
            site_rest();
        } else {
            (void)site_drain(&rogue.wire);
        }
    }
    rogue_close(&rogue);
    buffer_release(&frames);
}

static void put_votes(struct site *site, struct rogue *rogue, struct buffer *frames)
{
    for (uint64_t i = 0; i < FRAMES; i++) {
        Peer__RaftMessage raft = PEER__RAFT_MESSAGE__INIT;

        raft.type = i % 2 == 0 ? RAFT_VOTE : RAFT_PREVOTE;
        raft.term = site->term + 1 + (site->count + i) % TERMS;
        raft.round = site->count + i + 1;
        raft.index = UINT64_C(1) << 40;
        raft.index_term = raft.term;
        put_message(rogue, frames, &raft);
    }
}

void peer_attack_votes(struct site *site)
{
    pour(site, put_votes, true);
}

/* At a pace that leaves the leader room for the reads of others: a member that takes all of it
 * holds up the others, as README.md says. */
static void put_questions(struct site *site, struct rogue *rogue, struct buffer *frames)
{
    for (uint64_t i = 0; i < FRAMES; i++) {
        Peer__RaftMessage raft = PEER__RAFT_MESSAGE__INIT;

        raft.type = i % 2 == 0 ? RAFT_READ_INDEX : RAFT_HEARTBEAT_RESPONSE;
        raft.term = site->term;
        raft.round = i % 2 == 0 ? site->count + i + 1 : 0;
        put_message(rogue, frames, &raft);
    }
}

void peer_attack_unread(struct site *site)
{
    pour(site, put_questions, false);
}

void peer_attack_replays(struct site *site)
{
    struct buffer frame = BUFFER_INIT;

    while (site_goes_on(site) && site->failure == NULL) {
        Peer__RaftMessage raft = PEER__RAFT_MESSAGE__INIT;
        struct rogue rogue;

        if (!rogue_connect(&rogue, site->address, &site->member)) {
            site_rest(); /* the link before is not gone yet */
            continue;
        }
        raft.type = RAFT_HEARTBEAT_RESPONSE;
        raft.term = site->term;
        buffer_clear(&frame);
        put_message(&rogue, &frame, &raft);
        if (wire_send(&rogue.wire, buffer_lend(&frame)) &&
            wire_send(&rogue.wire, buffer_lend(&frame)) &&
            !wire_wait_closed(&rogue.wire, CLOSE_DEADLINE_MS)) {
            site->failure = "a frame was taken twice";
        }
        rogue_close(&rogue);
        site->count++;
    }
    buffer_release(&frame);
}
