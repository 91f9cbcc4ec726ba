#include "raft/raft_quorum.h"

#include "base/prng.h"
#include "tests/support/test.h"

#include <string.h>

enum { ROUNDS = 20000, IDS = 10 };

struct values {
    uint64_t of[IDS + 1];
};

static uint64_t value_of(raft_id id, const void *context)
{
    const struct values *values = context;
    return values->of[id];
}

/* --- The twin: try every value, count who reached it --- */

static bool
naive_half(const struct raft_voters *voters, int half, const struct values *values, uint64_t goal)
{
    uint32_t reached = 0;
    for (uint32_t i = 0; i < voters->counts[half]; i++) {
        reached += values->of[voters->ids[half][i]] >= goal;
    }
    return voters->counts[half] == 0 || reached * 2 > voters->counts[half];
}

static uint64_t naive_reached(const struct raft_voters *voters, const struct values *values)
{
    uint64_t best = 0;
    for (raft_id id = 1; id <= IDS; id++) {
        uint64_t goal = values->of[id];
        if (goal > best && naive_half(voters, RAFT_HALF_NEW, values, goal) &&
            naive_half(voters, RAFT_HALF_OLD, values, goal)) {
            best = goal;
        }
    }
    return best;
}

static void draw_half(struct prng *prng, struct raft_voters *voters, int half, uint32_t count)
{
    for (raft_id id = 1; id <= IDS && voters->counts[half] < count; id++) {
        if (IDS - id < count - voters->counts[half] || prng_below(prng, 2) == 0) {
            voters->ids[half][voters->counts[half]++] = id;
        }
    }
}

static void compare_with_twin(bool joint, uint64_t values_below)
{
    struct prng prng;
    prng_init(&prng, values_below + (joint ? 1 : 0));
    for (int round = 0; round < ROUNDS; round++) {
        struct raft_voters voters = {.counts = {0, 0}};
        struct values values = {{0}};
        draw_half(&prng, &voters, RAFT_HALF_NEW, (uint32_t)prng_between(&prng, 1, 7));
        if (joint) {
            draw_half(&prng, &voters, RAFT_HALF_OLD, (uint32_t)prng_between(&prng, 1, 7));
        }
        for (raft_id id = 1; id <= IDS; id++) {
            values.of[id] = prng_below(&prng, values_below);
        }
        EXPECT_EQ(raft_quorum_reached(&voters, value_of, &values), naive_reached(&voters, &values));
    }
}

static void test_majority_agrees_with_counting(void)
{
    compare_with_twin(false, 2);
    compare_with_twin(false, 5);
    compare_with_twin(false, 1000);
}

static void test_joint_majority_agrees_with_counting(void)
{
    compare_with_twin(true, 2);
    compare_with_twin(true, 5);
    compare_with_twin(true, 1000);
}

static void test_no_voters_decide_nothing(void)
{
    struct raft_voters voters = {.counts = {0, 0}};
    struct values values = {{9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}};
    EXPECT_EQ(raft_quorum_reached(&voters, value_of, &values), 0);
}

static void test_even_halves_need_more_than_half(void)
{
    struct raft_voters voters = {.counts = {4, 0}, .ids = {{1, 2, 3, 4}}};
    struct values values = {{0, 8, 8, 3, 2}};
    EXPECT_EQ(raft_quorum_reached(&voters, value_of, &values), 3);
}

static void test_joint_is_as_slow_as_its_slower_half(void)
{
    struct raft_voters voters = {.counts = {3, 3}, .ids = {{1, 2, 3}, {3, 4, 5}}};
    struct values values = {{0, 10, 10, 1, 4, 5}};
    EXPECT_EQ(raft_quorum_reached(&voters, value_of, &values), 4);
}

static void test_result_does_not_depend_on_the_order_of_voters(void)
{
    struct raft_voters rising = {.counts = {5, 0}, .ids = {{1, 2, 3, 4, 5}}};
    struct raft_voters falling = {.counts = {5, 0}, .ids = {{5, 4, 3, 2, 1}}};
    struct values values = {{0, 4, 1, 5, 2, 3}};
    EXPECT_EQ(raft_quorum_reached(&rising, value_of, &values), 3);
    EXPECT_EQ(raft_quorum_reached(&falling, value_of, &values), 3);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_majority_agrees_with_counting),
        TEST_CASE(test_joint_majority_agrees_with_counting),
        TEST_CASE(test_no_voters_decide_nothing),
        TEST_CASE(test_even_halves_need_more_than_half),
        TEST_CASE(test_joint_is_as_slow_as_its_slower_half),
        TEST_CASE(test_result_does_not_depend_on_the_order_of_voters),
        TEST_END};
    return test_main("raft_quorum", cases, argc, argv);
}
