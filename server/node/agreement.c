#include "server/node/agreement.h"

#include "base/check.h"

void digest_ring_note(struct digest_ring *ring, zxid at, struct state_digest digest)
{
    if (at != ring->last || ring->count == 0) {
        ring->count = at == ring->last + 1 ? ring->count : 0;
        ring->count += ring->count < AGREEMENT_DIGESTS_KEPT ? 1 : 0;
        ring->last = at;
    }
    ring->digests[at % AGREEMENT_DIGESTS_KEPT] = digest;
}

void digest_ring_clear(struct digest_ring *ring)
{
    ring->last = 0;
    ring->count = 0;
}

bool digest_ring_find(const struct digest_ring *ring, zxid at, struct state_digest *ret_digest)
{
    if (at == 0 || at > ring->last || ring->last - at >= ring->count) {
        return false;
    }
    *ret_digest = ring->digests[at % AGREEMENT_DIGESTS_KEPT];
    return true;
}

bool agreement_is_same(struct state_digest left, struct state_digest right)
{
    return left.record_count == right.record_count && left.sum == right.sum;
}

static const struct agreement_voice *
find_voice(const struct agreement_voice *voices, size_t count, raft_id id)
{
    for (size_t i = 0; i < count; i++) {
        if (voices[i].id == id) {
            return &voices[i];
        }
    }
    return NULL;
}

/* Those who told the same as one of them, by states of their own. */
struct camp {
    const struct agreement_voice *voices;
    size_t count;
    struct state_digest digest;
};

static bool is_in_camp(raft_id id, const void *context)
{
    const struct camp *camp = context;
    const struct agreement_voice *voice = find_voice(camp->voices, camp->count, id);

    return voice != NULL && !voice->is_damaged && !voice->is_borrowed &&
           agreement_is_same(voice->digest, camp->digest);
}

static bool is_unopposed(const struct raft_config *config, const struct camp *camp)
{
    for (uint32_t i = 0; i < config->member_count; i++) {
        raft_id id = config->members[i].id;
        const struct agreement_voice *voice = find_voice(camp->voices, camp->count, id);

        if (raft_config_is_voter(config, id) &&
            (voice == NULL ||
             (voice->is_damaged ? voice->differed
                                : !agreement_is_same(voice->digest, camp->digest)))) {
            return false;
        }
    }
    return true;
}

enum agreement agreement_judge(const struct raft_config *config,
                               raft_id own,
                               const struct agreement_voice *voices,
                               size_t count)
{
    struct camp camp = {.voices = voices, .count = count};
    const struct agreement_voice *self = find_voice(voices, count, own);
    const struct agreement_voice *voter = NULL;
    bool differ = false;

    CHECK(self != NULL);
    for (size_t i = 0; i < count; i++) {
        if (voices[i].is_damaged) {
            continue;
        }
        camp.digest = voices[i].digest;
        if (raft_config_is_quorum(config, is_in_camp, &camp) || is_unopposed(config, &camp)) {
            return agreement_is_same(self->digest, camp.digest) ? AGREEMENT_MINE : AGREEMENT_OTHER;
        }
        if (raft_config_is_voter(config, voices[i].id)) {
            differ =
                differ || (voter != NULL && !agreement_is_same(voter->digest, voices[i].digest));
            voter = &voices[i];
        }
    }
    return differ ? AGREEMENT_SPLIT : AGREEMENT_OPEN;
}

/* --- Disputes --- */

static struct dissent *find_dissent(struct dispute *dispute, raft_id id)
{
    for (size_t i = 0; i < dispute->count; i++) {
        if (dispute->dissent[i].id == id) {
            return &dispute->dissent[i];
        }
    }
    return NULL;
}

static void drop(struct dispute *dispute, struct dissent *dissent)
{
    *dissent = dispute->dissent[--dispute->count];
}

bool dispute_is_with(const struct dispute *dispute, raft_id id)
{
    for (size_t i = 0; i < dispute->count; i++) {
        if (dispute->dissent[i].id == id) {
            return true;
        }
    }
    return false;
}

bool dispute_may_replace(const struct dispute *dispute,
                         bool is_borrowed,
                         raft_id sender,
                         zxid same_at)
{
    for (size_t i = 0; i < dispute->count; i++) {
        const struct dissent *dissent = &dispute->dissent[i];

        if (dissent->id == sender || (!is_borrowed && same_at < dissent->at)) {
            return false;
        }
    }
    return true;
}

void dispute_inherit(struct dispute *dispute, const struct dispute *from, raft_id own, zxid at)
{
    struct dissent *dissent;

    *dispute = *from;
    dissent = find_dissent(dispute, own);
    if (dissent != NULL) {
        drop(dispute, dissent);
    }
    for (size_t i = 0; i < dispute->count; i++) {
        if (dispute->dissent[i].at > at) {
            dispute->dissent[i].at = at;
        }
        dispute->dissent[i].is_inherited = true;
    }
}

void dispute_disinherit(struct dispute *dispute)
{
    for (size_t i = dispute->count; i-- > 0;) {
        if (dispute->dissent[i].is_inherited) {
            drop(dispute, &dispute->dissent[i]);
        }
    }
}

void dispute_note(struct dispute *dispute,
                  const struct raft_config *config,
                  raft_id own,
                  zxid at,
                  const struct agreement_voice *voices,
                  size_t count)
{
    const struct agreement_voice *self = find_voice(voices, count, own);

    dispute_follow(dispute, config);
    for (size_t i = 0; i < count; i++) {
        struct dissent *dissent = find_dissent(dispute, voices[i].id);

        if (voices[i].is_damaged || !raft_config_is_voter(config, voices[i].id) ||
            agreement_is_same(voices[i].digest, self->digest)) {
            continue;
        }
        dissent = dissent != NULL ? dissent : &dispute->dissent[dispute->count++];
        *dissent =
            (struct dissent){.id = voices[i].id, .at = at, .is_borrowed = voices[i].is_borrowed};
    }
}

void dispute_overrule(struct dispute *dispute, zxid at)
{
    for (size_t i = dispute->count; i-- > 0;) {
        if (dispute->dissent[i].at <= at) {
            drop(dispute, &dispute->dissent[i]);
        }
    }
}

void dispute_follow(struct dispute *dispute, const struct raft_config *config)
{
    for (size_t i = dispute->count; i-- > 0;) {
        if (!raft_config_is_voter(config, dispute->dissent[i].id)) {
            drop(dispute, &dispute->dissent[i]);
        }
    }
}

static bool is_settled(const struct dissent *dissent,
                       const struct agreement_word *word,
                       const struct digest_ring *own,
                       raft_index log_base)
{
    bool is_behind = word->at == word->applied && word->at < log_base;
    struct state_digest digest;

    if (word->echo_at >= dissent->at && digest_ring_find(own, word->echo_at, &digest) &&
        agreement_is_same(word->echo, digest)) {
        return true;
    }
    if (word->at == 0) {
        return is_behind; /* nothing was applied to it yet: that state is everybody's */
    }
    if (digest_ring_find(own, word->at, &digest)) {
        return agreement_is_same(word->digest, digest) && (word->at >= dissent->at || is_behind);
    }
    return word->is_borrowed && !dissent->is_borrowed;
}

static bool differs_behind(const struct agreement_word *word,
                           const struct digest_ring *own,
                           raft_index log_base,
                           zxid agreed)
{
    struct state_digest digest;

    return word->at == word->applied && word->at < log_base && word->at > agreed &&
           digest_ring_find(own, word->at, &digest) && !agreement_is_same(word->digest, digest);
}

void dispute_hear_laggard(struct dispute *dispute,
                          const struct raft_config *config,
                          const struct agreement_word *word,
                          const struct digest_ring *own,
                          raft_index log_base,
                          zxid agreed)
{
    if (find_dissent(dispute, word->id) == NULL && raft_config_is_voter(config, word->id) &&
        differs_behind(word, own, log_base, agreed)) {
        dispute->dissent[dispute->count++] =
            (struct dissent){.id = word->id, .at = word->at, .is_borrowed = word->is_borrowed};
    }
}

void dispute_hear(struct dispute *dispute,
                  const struct agreement_word *word,
                  const struct digest_ring *own,
                  raft_index log_base)
{
    struct dissent *dissent = find_dissent(dispute, word->id);

    if (dissent != NULL && is_settled(dissent, word, own, log_base)) {
        drop(dispute, dissent);
    }
}
