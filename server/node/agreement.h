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

/* `at` is the one noted last, which has another digest now, or follows it, or begins anew. */
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
    bool is_damaged; /* it says itself that its state is wrong: there is no digest, */
    bool differed;   /* but before it found that, it told another than this member */
};

enum agreement {
    AGREEMENT_OPEN,  /* nobody differs, and too few told to be sure */
    AGREEMENT_MINE,  /* what this member has is right */
    AGREEMENT_OTHER, /* something else is: this member is wrong */
    AGREEMENT_SPLIT  /* voters differ, and there is no majority for anything yet */
};

/* `voices` has each member at most once, `own` among them. Right is what a majority of the voters
 * has, of both halves of a joint configuration, borrowed states not counted; and what all voters
 * have but those that know themselves to be damaged: nobody is left who could say otherwise. Who
 * differed before it knew could: that a record of its is damaged makes no other state right. */
enum agreement agreement_judge(const struct raft_config *config,
                               raft_id own,
                               const struct agreement_voice *voices,
                               size_t count);

/* What a member last said of itself alone. */
struct agreement_word {
    raft_id id;
    zxid at; /* the digest is that of its state there; 0 = it told none */
    zxid applied;
    struct state_digest digest;
    zxid echo_at; /* it had `echo` where this member told; 0 = it does not know */
    struct state_digest echo;
    bool is_borrowed;
};

struct dissent {
    raft_id id;
    zxid at; /* there it was seen to differ */
    bool is_borrowed;
    bool is_inherited; /* seen by the member whose state this is, not here */
};

/* The voters that hold another state than this member, as far as it knows, while no majority says
 * who is wrong. It lasts until none of them does any more; who is merely gone may come back. */
struct dispute {
    struct dissent dissent[RAFT_MEMBERS_MAX];
    size_t count; /* 0 = there is no dispute */
};

bool dispute_is_with(const struct dispute *dispute, raft_id id);
/* Whether a state that nobody vouches for may take the place of the one here, by a dump of
 * `sender`: never that of one that differs; and during a dispute that of nobody, who may have it
 * from one that differs, unless the state here is a copy as well, or the sender is known to have
 * had the same at `same_at`, since others differed. */
bool dispute_may_replace(const struct dispute *dispute,
                         bool is_borrowed,
                         raft_id sender,
                         zxid same_at);
/* Take over that of the member whose state at `at` has become the one of `own`. Whether others
 * differed from that one then already is not known: whoever had the same at `at` did not. */
void dispute_inherit(struct dispute *dispute, const struct dispute *from, raft_id own, zxid at);
/* The one that it was inherited from has ended it, and holds the same as this member still. */
void dispute_disinherit(struct dispute *dispute);
/* A split at `at`: note who differs from `own`. */
void dispute_note(struct dispute *dispute,
                  const struct raft_config *config,
                  raft_id own,
                  zxid at,
                  const struct agreement_voice *voices,
                  size_t count);
/* A majority holds at `at` what this member holds: nobody differs who was seen to up to there. */
void dispute_overrule(struct dispute *dispute, zxid at);
/* Who is no voter any more does not count. */
void dispute_follow(struct dispute *dispute, const struct raft_config *config);
/* Take its word: it differs no more if it has got its state from another since, or tells the same
 * as `own` where it differed or later, be it where it is or where this member is. So does who is
 * too far behind for that, because the log here begins at `log_base`, and tells the same where it
 * is, or has applied nothing at all yet: it is to get another state whatever it holds. Not so who
 * is too far behind to be compared with; nor is this asked about who finds its state damaged: what
 * they have left may be the only right state. */
void dispute_hear(struct dispute *dispute,
                  const struct agreement_word *word,
                  const struct digest_ring *own,
                  raft_index log_base);
/* As leader, who would give it a dump: who is too far behind to be compared with where the others
 * are differs when it tells another digest where it is than this member had there, unless a
 * majority has held there, or since, what this one did (`agreed`). */
void dispute_hear_laggard(struct dispute *dispute,
                          const struct raft_config *config,
                          const struct agreement_word *word,
                          const struct digest_ring *own,
                          raft_index log_base,
                          zxid agreed);

#endif
