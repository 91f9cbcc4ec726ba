#include "server/node/agreement.h"

#include "base/alloc.h"
#include "tests/support/test.h"

#include <stdlib.h>

static struct raft_config config;
static struct agreement_voice voices[8];
static size_t count;

static const struct state_digest right = {.record_count = 7, .sum = 70};
static const struct state_digest wrong = {.record_count = 7, .sum = 71};

/* Voters 1 to `voters`, then one learner. */
static void begin(uint32_t voters)
{
    config = (struct raft_config){.member_count = voters + 1};
    for (uint32_t i = 0; i <= voters; i++) {
        config.members[i].id = i + 1;
        config.members[i].flags = i < voters ? RAFT_VOTER_NEW : RAFT_LEARNER;
    }
    count = 0;
}

static struct agreement_voice *tell(raft_id id, struct state_digest digest)
{
    voices[count] = (struct agreement_voice){.id = id, .digest = digest};
    return &voices[count++];
}

static enum agreement judge(raft_id own)
{
    return agreement_judge(&config, own, voices, count);
}

static void test_a_majority_is_right_and_the_odd_one_learns_it(void)
{
    begin(3);
    (void)tell(1, right);
    EXPECT_EQ(judge(1), AGREEMENT_OPEN);
    (void)tell(2, wrong);
    EXPECT_EQ(judge(1), AGREEMENT_SPLIT);
    EXPECT_EQ(judge(2), AGREEMENT_SPLIT);
    (void)tell(3, right);
    EXPECT_EQ(judge(1), AGREEMENT_MINE);
    EXPECT_EQ(judge(2), AGREEMENT_OTHER);
    EXPECT_EQ(judge(3), AGREEMENT_MINE);
}

static void test_both_numbers_of_a_digest_count(void)
{
    begin(3);
    (void)tell(1, right);
    (void)tell(2, (struct state_digest){.record_count = 8, .sum = right.sum});
    (void)tell(3, right);
    EXPECT_EQ(judge(2), AGREEMENT_OTHER);
}

static void test_two_voters_that_differ_never_decide(void)
{
    begin(2);
    (void)tell(1, right);
    (void)tell(2, wrong);
    EXPECT_EQ(judge(1), AGREEMENT_SPLIT);
    EXPECT_EQ(judge(2), AGREEMENT_SPLIT);
}

static void test_a_learner_is_judged_and_has_no_vote(void)
{
    begin(3);
    (void)tell(1, right);
    (void)tell(4, wrong);
    EXPECT_EQ(judge(4), AGREEMENT_OPEN);
    (void)tell(2, right);
    EXPECT_EQ(judge(4), AGREEMENT_OTHER);
    EXPECT_EQ(judge(1), AGREEMENT_MINE);
}

static void test_both_halves_of_a_joint_configuration_must_agree(void)
{
    begin(5);
    config.joint = true;
    for (uint32_t i = 0; i < 5; i++) {
        config.members[i].flags =
            (uint8_t)((i < 3 ? RAFT_VOTER_OLD : 0) | (i >= 2 ? RAFT_VOTER_NEW : 0));
    }
    (void)tell(1, right);
    (void)tell(2, right);
    EXPECT_EQ(judge(1), AGREEMENT_OPEN);
    (void)tell(3, wrong);
    EXPECT_EQ(judge(3), AGREEMENT_SPLIT);
    (void)tell(4, right);
    EXPECT_EQ(judge(3), AGREEMENT_SPLIT);
    (void)tell(5, right);
    EXPECT_EQ(judge(3), AGREEMENT_OTHER);
}

static void test_who_has_its_state_from_another_says_nothing_new(void)
{
    begin(3);
    /* 1 is wrong, and 2 has its state by a dump from it: no majority against 3. */
    (void)tell(1, wrong);
    tell(2, wrong)->is_borrowed = true;
    EXPECT_EQ(judge(1), AGREEMENT_OPEN);
    (void)tell(3, right);
    EXPECT_EQ(judge(3), AGREEMENT_SPLIT);
    EXPECT_EQ(judge(1), AGREEMENT_SPLIT);
    /* It is judged like all. */
    voices[0].digest = right;
    EXPECT_EQ(judge(2), AGREEMENT_OTHER);
}

static void test_when_all_others_know_themselves_damaged_the_rest_is_right(void)
{
    begin(3);
    (void)tell(1, right);
    tell(2, wrong)->is_damaged = true;
    EXPECT_EQ(judge(1), AGREEMENT_OPEN);
    tell(3, wrong)->is_damaged = true;
    EXPECT_EQ(judge(1), AGREEMENT_MINE);
    /* Not while one is left who could say otherwise, or does. */
    voices[2] = (struct agreement_voice){.id = 3, .digest = wrong};
    EXPECT_EQ(judge(1), AGREEMENT_SPLIT);
    voices[2].digest = right;
    voices[2].is_borrowed = true;
    EXPECT_EQ(judge(1), AGREEMENT_MINE);
}

static void test_who_differed_before_it_knew_itself_damaged_still_counts(void)
{
    begin(3);
    /* 1 is wrong, 2 has its state from it, and of what 3 had, which was right, a record broke. */
    (void)tell(1, wrong);
    tell(2, wrong)->is_borrowed = true;
    tell(3, right)->is_damaged = true;
    EXPECT_EQ(judge(1), AGREEMENT_MINE);
    voices[2].differed = true;
    EXPECT_EQ(judge(1), AGREEMENT_OPEN);
    EXPECT_EQ(judge(2), AGREEMENT_OPEN);
    /* A majority of states of their own needs nobody's consent. */
    voices[1].is_borrowed = false;
    EXPECT_EQ(judge(1), AGREEMENT_MINE);
    /* Two voters. */
    begin(2);
    (void)tell(1, wrong);
    tell(2, right)->is_damaged = true;
    EXPECT_EQ(judge(1), AGREEMENT_MINE);
    voices[1].differed = true;
    EXPECT_EQ(judge(1), AGREEMENT_OPEN);
}

/* --- Disputes --- */

static struct dispute dispute;
static struct digest_ring *own;

/* Voter 1 has `right` from 100 to 120, and 2 told `wrong` at 110. */
static void begin_dispute(void)
{
    begin(3);
    own = xcalloc(1, sizeof *own);
    for (zxid at = 100; at <= 120; at++) {
        digest_ring_note(own, at, right);
    }
    (void)tell(1, right);
    (void)tell(2, wrong);
    dispute = (struct dispute){.count = 0};
    dispute_note(&dispute, &config, 1, 110, voices, count);
    EXPECT_EQ(dispute.count, 1);
}

static void end_dispute(void)
{
    free(own);
}

/* Whether 2 still differs once it has said this. */
static bool differs_still(struct agreement_word word, raft_index log_base)
{
    struct dispute copy = dispute;

    word.id = 2;
    dispute_hear(&copy, &word, own, log_base);
    return copy.count > 0;
}

static void test_a_dispute_ends_when_who_differed_tells_the_same(void)
{
    begin_dispute();
    EXPECT_EQ(dispute.dissent[0].id, 2);
    EXPECT(differs_still((struct agreement_word){.at = 0, .applied = 110}, 0));
    EXPECT(differs_still((struct agreement_word){.at = 110, .applied = 110, .digest = wrong}, 0));
    EXPECT(differs_still((struct agreement_word){.at = 120, .applied = 120, .digest = wrong}, 0));
    EXPECT(!differs_still((struct agreement_word){.at = 110, .applied = 115, .digest = right}, 0));
    EXPECT(!differs_still((struct agreement_word){.at = 120, .applied = 120, .digest = right}, 0));
    /* Of what it held before it differed. */
    EXPECT(differs_still((struct agreement_word){.at = 109, .applied = 115, .digest = right}, 0));
    EXPECT(differs_still((struct agreement_word){.at = 109, .applied = 109, .digest = right}, 0));
    end_dispute();
}

static void test_a_dispute_ends_when_who_differed_had_the_same_where_this_member_is(void)
{
    begin_dispute();
    /* It is far ahead. */
    struct agreement_word word = {.at = 500, .applied = 500, .digest = wrong, .echo_at = 120};

    word.echo = wrong;
    EXPECT(differs_still(word, 0));
    word.echo = right;
    EXPECT(!differs_still(word, 0));
    word.echo_at = 109; /* before it differed */
    EXPECT(differs_still(word, 0));
    word.echo_at = 121; /* not of this state */
    EXPECT(differs_still(word, 0));
    end_dispute();
}

static void test_a_confession_ends_no_dispute(void)
{
    begin_dispute();
    /* Who is damaged tells no digest. */
    EXPECT(differs_still((struct agreement_word){.at = 0, .applied = 115}, 0));
    EXPECT(differs_still((struct agreement_word){.at = 0, .applied = 115}, 118));
    end_dispute();
}

static void test_a_state_that_was_replaced_since_is_not_the_one_that_differed(void)
{
    const struct agreement_word word = {
        .at = 130, .applied = 130, .digest = wrong, .is_borrowed = true};
    struct agreement_word known = word;

    begin_dispute();
    EXPECT(!differs_still(word, 0));
    known.at = 120;
    EXPECT(differs_still(known, 0)); /* this one differs as well */
    dispute.dissent[0].is_borrowed = true;
    EXPECT(differs_still(word, 0)); /* it may still be the same */
    end_dispute();
}

static void test_who_fell_behind_differs_no_more_if_it_is_known_not_to(void)
{
    begin_dispute();
    EXPECT(
        !differs_still((struct agreement_word){.at = 105, .applied = 105, .digest = right}, 116));
    EXPECT(differs_still((struct agreement_word){.at = 105, .applied = 105, .digest = wrong}, 116));
    EXPECT(differs_still((struct agreement_word){.at = 105, .applied = 105, .digest = right}, 105));
    /* It has no state yet; or it has, and does not tell. */
    EXPECT(!differs_still((struct agreement_word){.at = 0, .applied = 0}, 116));
    EXPECT(differs_still((struct agreement_word){.at = 0, .applied = 0}, 0));
    EXPECT(differs_still((struct agreement_word){.at = 0, .applied = 105}, 116));
    /* Older than all that is known here. */
    EXPECT(differs_still((struct agreement_word){.at = 90, .applied = 90, .digest = right}, 116));
    EXPECT(differs_still((struct agreement_word){.at = 90, .applied = 90, .digest = wrong}, 80));
    end_dispute();
}

/* Whether a voter without a dispute differs once it has said this to the leader. */
static bool differs_now(raft_id id, struct agreement_word word, raft_index log_base, zxid agreed)
{
    struct dispute none = {.count = 0};

    word.id = id;
    dispute_hear_laggard(&none, &config, &word, own, log_base, agreed);
    EXPECT(none.count == 0 || (none.dissent[0].id == id && none.dissent[0].at == word.at));
    return none.count > 0;
}

static void test_who_lags_too_far_is_compared_where_it_is(void)
{
    const struct agreement_word word = {.at = 105, .applied = 105, .digest = wrong};
    struct agreement_word other = word;

    begin_dispute();
    EXPECT(differs_now(3, word, 116, 0));
    EXPECT(differs_now(3, word, 116, 104));
    EXPECT(!differs_now(3, word, 116, 105)); /* a majority held the same there, */
    EXPECT(!differs_now(3, word, 116, 110)); /* or what has come of it */
    EXPECT(!differs_now(3, word, 105, 0));   /* it comes to where the others are */
    EXPECT(!differs_now(4, word, 116, 0));   /* no voter */
    other.digest = right;
    EXPECT(!differs_now(3, other, 116, 0));
    other = word;
    other.at = other.applied = 90; /* what was here then is not known any more */
    EXPECT(!differs_now(3, other, 116, 0));
    other = word;
    other.applied = 106; /* that was before */
    EXPECT(!differs_now(3, other, 116, 0));
    /* Once is enough. */
    dispute_hear_laggard(
        &dispute, &config,
        &(struct agreement_word){.id = 2, .at = 105, .applied = 105, .digest = wrong}, own, 116, 0);
    EXPECT_EQ(dispute.count, 1);
    EXPECT_EQ(dispute.dissent[0].at, 110);
    end_dispute();
}

static void test_a_majority_overrules_who_differed_up_to_there(void)
{
    begin_dispute();
    tell(3, right)->digest = wrong;
    dispute_note(&dispute, &config, 1, 115, voices, count);
    EXPECT_EQ(dispute.count, 2);
    dispute_overrule(&dispute, 114);
    EXPECT_EQ(dispute.count, 2);
    dispute_overrule(&dispute, 115);
    EXPECT_EQ(dispute.count, 0);
    end_dispute();
}

static void test_a_dispute_is_with_voters(void)
{
    begin_dispute();
    (void)tell(4, wrong);
    dispute_note(&dispute, &config, 1, 111, voices, count);
    EXPECT_EQ(dispute.count, 1);
    EXPECT_EQ(dispute.dissent[0].at, 111);
    config.members[1].flags = RAFT_LEARNER;
    dispute_follow(&dispute, &config);
    EXPECT_EQ(dispute.count, 0);
    end_dispute();
}

static void test_during_a_dispute_only_a_copy_gives_way_to_what_nobody_vouches_for(void)
{
    struct dispute none = {.count = 0};

    begin_dispute();
    EXPECT(dispute_may_replace(&none, false, 2, 0));
    EXPECT(!dispute_may_replace(&dispute, false, 2, 0));
    /* Which may have its state from 2. */
    EXPECT(!dispute_may_replace(&dispute, false, 3, 0));
    EXPECT(dispute_may_replace(&dispute, true, 3, 0));
    EXPECT(!dispute_may_replace(&dispute, true, 2, 0));
    /* Which differs from 2 itself. */
    EXPECT(dispute_may_replace(&dispute, false, 3, 110));
    EXPECT(!dispute_may_replace(&dispute, false, 3, 109));
    EXPECT(!dispute_may_replace(&dispute, false, 2, 110));
    end_dispute();
}

static void test_a_dispute_goes_with_the_state(void)
{
    struct dispute heir = {.count = 0};

    begin_dispute();
    tell(3, right)->digest = wrong;
    dispute_note(&dispute, &config, 1, 115, voices, count);
    dispute_inherit(&heir, &dispute, 3, 200);
    EXPECT_EQ(heir.count, 1);
    EXPECT_EQ(heir.dissent[0].id, 2);
    EXPECT_EQ(heir.dissent[0].at, 115);
    dispute_inherit(&heir, &dispute, 4, 200);
    EXPECT_EQ(heir.count, 2);
    /* An older state of that one: who had the same then does not differ from it. */
    dispute_inherit(&heir, &dispute, 3, 108);
    EXPECT_EQ(heir.dissent[0].at, 108);
    dispute_hear(&heir, &(struct agreement_word){.id = 2, .at = 108, .digest = wrong}, own, 0);
    EXPECT_EQ(heir.count, 1);
    dispute_hear(&heir, &(struct agreement_word){.id = 2, .at = 108, .digest = right}, own, 0);
    EXPECT_EQ(heir.count, 0);
    dispute_inherit(&heir, &dispute, 4, 200);
    dispute_note(&heir, &config, 1, 201, voices, 2);
    EXPECT_EQ(heir.count, 2);
    dispute_disinherit(&heir); /* of which it has seen one itself */
    EXPECT_EQ(heir.count, 1);
    EXPECT_EQ(heir.dissent[0].id, 2);
    dispute.count = 0;
    dispute_inherit(&heir, &dispute, 3, 200);
    EXPECT_EQ(heir.count, 0);
    end_dispute();
}

static void test_the_ring_keeps_the_last_digests_in_a_row(void)
{
    struct digest_ring *ring = xcalloc(1, sizeof *ring);
    struct state_digest digest;

    EXPECT(!digest_ring_find(ring, 0, &digest));
    for (zxid at = 5; at < 5 + 2 * AGREEMENT_DIGESTS_KEPT; at++) {
        digest_ring_note(ring, at, (struct state_digest){.record_count = at, .sum = 3 * at});
        EXPECT(digest_ring_find(ring, at, &digest));
        EXPECT_EQ(digest.sum, 3 * at);
        EXPECT(!digest_ring_find(ring, at + 1, &digest));
    }
    EXPECT(!digest_ring_find(ring, ring->last - AGREEMENT_DIGESTS_KEPT, &digest));
    EXPECT(digest_ring_find(ring, ring->last - AGREEMENT_DIGESTS_KEPT + 1, &digest));
    EXPECT_EQ(digest.record_count, ring->last - AGREEMENT_DIGESTS_KEPT + 1);
    /* After a gap nothing older is known. */
    digest_ring_note(ring, ring->last + 2, right);
    EXPECT(!digest_ring_find(ring, ring->last - 1, &digest));
    EXPECT(!digest_ring_find(ring, ring->last - 2, &digest));
    EXPECT(digest_ring_find(ring, ring->last, &digest));
    /* The last one may be another by now; those before stay. */
    digest_ring_note(ring, ring->last + 1, right);
    digest_ring_note(ring, ring->last, wrong);
    EXPECT(digest_ring_find(ring, ring->last, &digest));
    EXPECT_EQ(digest.sum, wrong.sum);
    EXPECT(digest_ring_find(ring, ring->last - 1, &digest));
    EXPECT_EQ(digest.sum, right.sum);
    EXPECT_EQ(ring->count, 2);
    digest_ring_clear(ring);
    EXPECT(!digest_ring_find(ring, 1, &digest));
    free(ring);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_majority_is_right_and_the_odd_one_learns_it),
        TEST_CASE(test_both_numbers_of_a_digest_count),
        TEST_CASE(test_two_voters_that_differ_never_decide),
        TEST_CASE(test_a_learner_is_judged_and_has_no_vote),
        TEST_CASE(test_both_halves_of_a_joint_configuration_must_agree),
        TEST_CASE(test_who_has_its_state_from_another_says_nothing_new),
        TEST_CASE(test_when_all_others_know_themselves_damaged_the_rest_is_right),
        TEST_CASE(test_who_differed_before_it_knew_itself_damaged_still_counts),
        TEST_CASE(test_a_dispute_ends_when_who_differed_tells_the_same),
        TEST_CASE(test_a_dispute_ends_when_who_differed_had_the_same_where_this_member_is),
        TEST_CASE(test_a_confession_ends_no_dispute),
        TEST_CASE(test_a_state_that_was_replaced_since_is_not_the_one_that_differed),
        TEST_CASE(test_who_fell_behind_differs_no_more_if_it_is_known_not_to),
        TEST_CASE(test_who_lags_too_far_is_compared_where_it_is),
        TEST_CASE(test_a_majority_overrules_who_differed_up_to_there),
        TEST_CASE(test_a_dispute_is_with_voters),
        TEST_CASE(test_during_a_dispute_only_a_copy_gives_way_to_what_nobody_vouches_for),
        TEST_CASE(test_a_dispute_goes_with_the_state),
        TEST_CASE(test_the_ring_keeps_the_last_digests_in_a_row),
        TEST_END};

    return test_main("agreement", cases, argc, argv);
}
