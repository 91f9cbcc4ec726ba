#include "raft/raft_config.h"

#include "base/prng.h"
#include "tests/support/test.h"

#include <string.h>

static void add(struct raft_config *config, raft_id id, uint8_t flags)
{
    struct raft_member *member = &config->members[config->member_count++];
    member->id = id;
    member->flags = flags;
    member->incarnation[0] = (uint8_t)id;
    member->address[0] = 'a';
}

/* Voters 1 2 3, learner 4. */
static struct raft_config sample(void)
{
    struct raft_config config;
    memset(&config, 0, sizeof config);
    add(&config, 1, RAFT_VOTER_NEW);
    add(&config, 2, RAFT_VOTER_NEW);
    add(&config, 3, RAFT_VOTER_NEW);
    add(&config, 4, RAFT_LEARNER);
    return config;
}

static uint8_t flags_of(const struct raft_config *config, raft_id id)
{
    const struct raft_member *member = raft_config_find(config, id);
    return member != NULL ? member->flags : 0;
}

static void test_sample_is_legal(void)
{
    struct raft_config config = sample();
    EXPECT_OK(raft_config_validate(&config));
}

static void expect_illegal(const struct raft_config *config)
{
    EXPECT_EQ(raft_config_validate(config), STATUS_INVALID);
}

static void test_illegal_members_are_refused(void)
{
    struct raft_config config = sample();
    config.members[0].id = 0;
    expect_illegal(&config);
    config = sample();
    config.members[1].id = 1;
    expect_illegal(&config);
    config = sample();
    config.members[1].id = 9;
    expect_illegal(&config);
    config = sample();
    config.member_count = 0;
    expect_illegal(&config);
    config = sample();
    config.member_count = RAFT_MEMBERS_MAX + 1;
    expect_illegal(&config);
    config = sample();
    memset(config.members[2].address, 'x', RAFT_ADDRESS_BYTES_MAX);
    expect_illegal(&config);
    config = sample();
    config.members[2].address[100] = 'x';
    expect_illegal(&config);
    config = sample();
    config.members[RAFT_MEMBERS_MAX - 1].address[5] = 'x';
    expect_illegal(&config);
    config = sample();
    config.members[10].incarnation[3] = 1;
    expect_illegal(&config);
}

static void test_illegal_flags_are_refused(void)
{
    static const uint8_t uniform[] = {0,
                                      16,
                                      RAFT_VOTER_OLD,
                                      RAFT_VOTER_OLD | RAFT_VOTER_NEW,
                                      RAFT_VOTER_NEW | RAFT_LEARNER,
                                      RAFT_PROMOTE,
                                      RAFT_PROMOTE | RAFT_VOTER_NEW};
    for (size_t i = 0; i < sizeof uniform; i++) {
        struct raft_config config = sample();
        config.members[3].flags = uniform[i];
        expect_illegal(&config);
    }
    struct raft_config config = sample();
    config.joint = true; /* no old voters */
    expect_illegal(&config);
    config.members[0].flags = RAFT_VOTER_OLD;
    EXPECT_OK(raft_config_validate(&config));
    config.members[1].flags = RAFT_VOTER_NEW | RAFT_LEARNER;
    expect_illegal(&config);
    config.members[1].flags = RAFT_VOTER_OLD | RAFT_LEARNER | RAFT_PROMOTE;
    expect_illegal(&config);
}

static void test_wish_to_promote_lasts_until_it_is_done_or_dropped(void)
{
    struct raft_config from = sample();
    struct raft_config to;
    struct raft_config next;
    struct raft_member member = {.id = 5, .flags = RAFT_PROMOTE, .address = "node5"};
    raft_id without[] = {1, 2};
    raft_id with[] = {1, 2, 5};
    EXPECT_OK(raft_config_with_learner(&from, &member, &to));
    EXPECT_OK(raft_config_validate(&to));
    EXPECT_EQ(flags_of(&to, 5), RAFT_LEARNER | RAFT_PROMOTE);
    /* Through a change that does not concern it. */
    EXPECT_OK(raft_config_with_voters(&to, without, 2, true, &next));
    EXPECT_OK(raft_config_validate(&next));
    EXPECT_EQ(flags_of(&next, 5), RAFT_LEARNER | RAFT_PROMOTE);
    EXPECT_EQ(flags_of(&next, 3), RAFT_VOTER_OLD | RAFT_LEARNER);
    raft_config_leave_joint(&next, &from);
    EXPECT_EQ(flags_of(&from, 5), RAFT_LEARNER | RAFT_PROMOTE);
    EXPECT_EQ(flags_of(&from, 3), RAFT_LEARNER);
    /* Done. */
    EXPECT_OK(raft_config_with_voters(&to, with, 3, false, &next));
    EXPECT_EQ(flags_of(&next, 5), RAFT_VOTER_NEW);
    /* Dropped, with the member or without. */
    EXPECT_OK(raft_config_without_learner(&to, 5, &next));
    EXPECT_EQ(flags_of(&next, 5), 0);
    raft_config_without_promotions(&to, &next);
    EXPECT_OK(raft_config_validate(&next));
    EXPECT_EQ(flags_of(&next, 5), RAFT_LEARNER);
    raft_config_with_promotion(&next, 5, &from);
    EXPECT(raft_config_equal(&from, &to));
    raft_config_with_promotion(&from, 1, &next);
    EXPECT(raft_config_equal(&from, &next));
}

static void test_what_takes_a_joint_one_back_is_told_from_what_follows_it(void)
{
    struct raft_config from = sample();
    struct raft_config joint;
    struct raft_config final;
    raft_id voters[] = {1, 2, 4};
    EXPECT_OK(raft_config_with_voters(&from, voters, 3, true, &joint));
    raft_config_leave_joint(&joint, &final);
    EXPECT(raft_config_takes_back(&from, &joint));
    EXPECT(!raft_config_takes_back(&final, &joint));
    EXPECT(!raft_config_takes_back(&from, &final));
    EXPECT(!raft_config_takes_back(&from, &from));
}

static void test_voters_are_bounded_in_each_half(void)
{
    struct raft_config config;
    memset(&config, 0, sizeof config);
    add(&config, 1, RAFT_LEARNER);
    expect_illegal(&config);
    memset(&config, 0, sizeof config);
    for (raft_id id = 1; id <= RAFT_VOTERS_MAX; id++) {
        add(&config, id, RAFT_VOTER_NEW);
    }
    EXPECT_OK(raft_config_validate(&config));
    add(&config, RAFT_VOTERS_MAX + 1, RAFT_VOTER_NEW);
    expect_illegal(&config);
    config.joint = true;
    for (uint32_t i = 0; i < config.member_count; i++) {
        config.members[i].flags = RAFT_VOTER_OLD;
    }
    config.members[0].flags = RAFT_VOTER_NEW;
    EXPECT_OK(raft_config_validate(&config));
    config.members[0].flags |= RAFT_VOTER_OLD;
    expect_illegal(&config);
}

static void test_learners_come_and_go(void)
{
    struct raft_config from = sample();
    struct raft_config to;
    struct raft_member member = {.id = 5, .flags = 99, .address = "node5"};
    EXPECT_OK(raft_config_with_learner(&from, &member, &to));
    EXPECT_OK(raft_config_validate(&to));
    EXPECT_EQ(flags_of(&to, 5), RAFT_LEARNER);
    EXPECT_EQ(raft_config_with_learner(&to, &member, &from), STATUS_EXISTS);
    from = sample();
    struct raft_config back;
    EXPECT_OK(raft_config_without_learner(&to, 5, &back));
    EXPECT(raft_config_equal(&back, &from));
    EXPECT(memcmp(&back, &from, sizeof back) == 0);
    EXPECT_EQ(raft_config_without_learner(&from, 9, &to), STATUS_NOT_FOUND);
    EXPECT_EQ(raft_config_without_learner(&from, 1, &to), STATUS_INVALID);
}

static void test_learner_is_put_in_order(void)
{
    struct raft_config from;
    memset(&from, 0, sizeof from);
    add(&from, 5, RAFT_VOTER_NEW);
    struct raft_config to;
    struct raft_member member = {.id = 2};
    EXPECT_OK(raft_config_with_learner(&from, &member, &to));
    EXPECT_OK(raft_config_validate(&to));
    EXPECT_EQ(to.members[0].id, 2);
}

static void test_members_are_bounded(void)
{
    struct raft_config from;
    memset(&from, 0, sizeof from);
    add(&from, 1, RAFT_VOTER_NEW);
    for (raft_id id = 2; id <= RAFT_MEMBERS_MAX; id++) {
        add(&from, id, RAFT_LEARNER);
    }
    EXPECT_OK(raft_config_validate(&from));
    struct raft_config to;
    struct raft_member member = {.id = 100};
    EXPECT_EQ(raft_config_with_learner(&from, &member, &to), STATUS_INVALID);
}

static void test_joint_already_says_what_remains(void)
{
    struct raft_config from = sample();
    struct raft_config joint;
    raft_id voters[] = {2, 3, 4};
    EXPECT_OK(raft_config_with_voters(&from, voters, 3, false, &joint));
    EXPECT_OK(raft_config_validate(&joint));
    EXPECT(joint.joint);
    EXPECT_EQ(flags_of(&joint, 1), RAFT_VOTER_OLD);
    EXPECT_EQ(flags_of(&joint, 2), RAFT_VOTER_OLD | RAFT_VOTER_NEW);
    EXPECT_EQ(flags_of(&joint, 4), RAFT_VOTER_NEW);
    struct raft_config after;
    raft_config_leave_joint(&joint, &after);
    EXPECT_OK(raft_config_validate(&after));
    EXPECT_EQ(after.member_count, 3);
    EXPECT(raft_config_has_voters(&after, voters, 3));
    EXPECT(!raft_config_has_voters(&joint, voters, 3));
}

static void test_demoted_voters_stay_as_learners_on_request(void)
{
    struct raft_config from = sample();
    struct raft_config joint;
    struct raft_config after;
    raft_id voters[] = {1};
    EXPECT_OK(raft_config_with_voters(&from, voters, 1, true, &joint));
    EXPECT_EQ(flags_of(&joint, 2), RAFT_VOTER_OLD | RAFT_LEARNER);
    EXPECT_EQ(flags_of(&joint, 4), RAFT_LEARNER);
    raft_config_leave_joint(&joint, &after);
    EXPECT_EQ(after.member_count, 4);
    EXPECT_EQ(flags_of(&after, 3), RAFT_LEARNER);
}

static void test_bad_voter_lists_are_refused(void)
{
    struct raft_config from = sample();
    struct raft_config to;
    raft_id twice[] = {1, 1};
    raft_id zero[] = {0};
    raft_id stranger[] = {1, 9};
    raft_id many[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    EXPECT_EQ(raft_config_with_voters(&from, twice, 2, false, &to), STATUS_INVALID);
    EXPECT_EQ(raft_config_with_voters(&from, zero, 1, false, &to), STATUS_INVALID);
    EXPECT_EQ(raft_config_with_voters(&from, twice, 0, false, &to), STATUS_INVALID);
    EXPECT_EQ(raft_config_with_voters(&from, many, 8, false, &to), STATUS_INVALID);
    EXPECT_EQ(raft_config_with_voters(&from, stranger, 2, false, &to), STATUS_NOT_FOUND);
}

struct subset {
    uint32_t bits;
};

static bool in_subset(raft_id id, const void *context)
{
    const struct subset *subset = context;
    return (subset->bits >> id & 1) != 0;
}

/* Safety of changes: whatever subset decides by one configuration meets every subset that decides
 * by its neighbour. Exhaustive over all subsets of 6 nodes, for random chains of changes. */
static void expect_intersecting(const struct raft_config *left, const struct raft_config *right)
{
    for (uint32_t a = 0; a < 128; a += 2) {
        struct subset first = {.bits = a};
        if (!raft_config_is_quorum(left, in_subset, &first)) {
            continue;
        }
        /* The complement of `a` must be unable to decide alone. */
        struct subset second = {.bits = ~a & 127};
        EXPECT(!raft_config_is_quorum(right, in_subset, &second));
    }
}

static void test_quorums_of_neighbours_always_meet(void)
{
    struct prng prng;
    prng_init(&prng, 1);
    struct raft_config present;
    memset(&present, 0, sizeof present);
    for (raft_id id = 1; id <= 6; id++) {
        add(&present, id, id <= 3 ? RAFT_VOTER_NEW : RAFT_LEARNER);
    }
    for (int round = 0; round < 500; round++) {
        raft_id voters[6];
        size_t count = 0;
        for (raft_id id = 1; id <= 6; id++) {
            if (prng_below(&prng, 2) == 0) {
                voters[count++] = id;
            }
        }
        struct raft_config joint;
        if (raft_config_with_voters(&present, voters, count, true, &joint) != STATUS_OK) {
            continue;
        }
        struct raft_config after;
        raft_config_leave_joint(&joint, &after);
        EXPECT_OK(raft_config_validate(&joint));
        EXPECT_OK(raft_config_validate(&after));
        expect_intersecting(&present, &joint);
        expect_intersecting(&joint, &after);
        expect_intersecting(&joint, &joint);
        memcpy(&present, &after, sizeof present);
    }
}

static void test_learners_and_strangers_never_count(void)
{
    struct raft_config config = sample();
    struct subset strangers = {.bits = ~0xeu};
    EXPECT(!raft_config_is_quorum(&config, in_subset, &strangers));
    struct subset two_voters = {.bits = 0x6};
    EXPECT(raft_config_is_quorum(&config, in_subset, &two_voters));
    struct raft_config empty;
    memset(&empty, 0, sizeof empty);
    struct subset everybody = {.bits = ~0u};
    EXPECT(!raft_config_is_quorum(&empty, in_subset, &everybody));
}

static void test_tolerated_failures_follow_the_weaker_half(void)
{
    struct raft_config config = sample();
    EXPECT_EQ(raft_config_tolerated_failures(&config), 1);
    struct raft_config joint;
    raft_id voters[] = {1, 2};
    EXPECT_OK(raft_config_with_voters(&config, voters, 2, false, &joint));
    EXPECT_EQ(raft_config_tolerated_failures(&joint), 0);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_sample_is_legal),
        TEST_CASE(test_illegal_members_are_refused),
        TEST_CASE(test_illegal_flags_are_refused),
        TEST_CASE(test_wish_to_promote_lasts_until_it_is_done_or_dropped),
        TEST_CASE(test_what_takes_a_joint_one_back_is_told_from_what_follows_it),
        TEST_CASE(test_voters_are_bounded_in_each_half),
        TEST_CASE(test_learners_come_and_go),
        TEST_CASE(test_learner_is_put_in_order),
        TEST_CASE(test_members_are_bounded),
        TEST_CASE(test_joint_already_says_what_remains),
        TEST_CASE(test_demoted_voters_stay_as_learners_on_request),
        TEST_CASE(test_bad_voter_lists_are_refused),
        TEST_CASE(test_quorums_of_neighbours_always_meet),
        TEST_CASE(test_learners_and_strangers_never_count),
        TEST_CASE(test_tolerated_failures_follow_the_weaker_half),
        TEST_END};
    return test_main("raft_config", cases, argc, argv);
}
