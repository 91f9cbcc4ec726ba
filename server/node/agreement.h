/* Whether the members hold the same state: each keeps the digests of its last zxids, the leader
 * names one zxid after the other, each tells its digest there, and each judges by what all told.
 * Pure: what is told, and when, is node_agreement's. */
#ifndef NODE_AGREEMENT_H
#define NODE_AGREEMENT_H

#include "raft/raft.h"
#include "server/state/state.h"

/* A follower learns of the zxid that the leader names after the commit of that, on the same
 * connection: it is hardly ever further ahead than this. */
enum { AGREEMENT_DIGESTS_KEPT = 8192 };

/* The digests after the last zxids, each of which is noted. */
struct digest_ring {
    zxid last; /* 0 = none */
    uint64_t count;
    struct state_digest digests[AGREEMENT_DIGESTS_KEPT];
};

/* `at` follows the one noted last, or begins anew. */
void digest_ring_note(struct digest_ring *ring, zxid at, struct state_digest digest);
void digest_ring_clear(struct digest_ring *ring);
/* False: not applied yet, or too long ago. */
bool digest_ring_find(const struct digest_ring *ring, zxid at, struct state_digest *ret_digest);

bool agreement_is_same(struct state_digest left, struct state_digest right);

/* What members told of one and the same zxid. */
struct agreement_voice {
    raft_id id;
    struct state_digest digest;
    /* It has its state from another member, by a dump, and no majority has confirmed it since: it
     * says twice what that one said once. */
    bool is_borrowed;
    bool is_damaged; /* it says itself that its state is wrong: there is no digest */
};

enum agreement {
    AGREEMENT_OPEN,  /* nobody differs, and too few told to be sure */
    AGREEMENT_MINE,  /* what this member has is right */
    AGREEMENT_OTHER, /* something else is: this member is wrong */
    AGREEMENT_SPLIT  /* voters differ, and there is no majority for anything yet */
};

/* `voices` has each member at most once, `own` among them. Right is what a majority of the voters
 * has, of both halves of a joint configuration, borrowed states not counted; and what all voters
 * have but those that know themselves to be damaged: nobody is left who could say otherwise. */
enum agreement agreement_judge(const struct raft_config *config,
                               raft_id own,
                               const struct agreement_voice *voices,
                               size_t count);

#endif
