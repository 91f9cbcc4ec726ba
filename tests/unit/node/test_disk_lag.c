#include "server/node/disk_lag.h"

#include "tests/support/test.h"

enum { LIMIT_US = 500 * 1000, SECOND_US = 1000 * 1000 };

static struct disk_lag lag;
static uint64_t now_us;

static void begin(void)
{
    lag = (struct disk_lag){.awaited = 0};
    now_us = 1000 * SECOND_US;
}

static enum disk_lag_event observe(raft_index commit, raft_index durable)
{
    return disk_lag_observe(&lag, now_us, LIMIT_US, commit, durable);
}

/* The others commit `commit`, this disk has it `for_us` later. */
static void stall(raft_index commit, uint64_t for_us)
{
    (void)observe(commit, commit - 1);
    now_us += for_us;
    (void)observe(commit, commit - 1);
}

static void test_a_disk_that_is_as_slow_as_the_others_has_no_lag(void)
{
    begin();
    for (raft_index index = 1; index <= 10; index++) {
        /* The write takes ages, and nobody commits before it is here. */
        now_us += 10 * SECOND_US;
        EXPECT_EQ(observe(index, index), DISK_LAG_SAME);
        EXPECT_EQ(disk_lag_us(&lag, now_us), 0);
        EXPECT(!disk_lag_calls_for_move(&lag, now_us, LIMIT_US));
    }
}

static void test_a_lag_begins_when_the_others_commit_and_ends_when_this_disk_has_it(void)
{
    begin();
    EXPECT_EQ(observe(7, 5), DISK_LAG_SAME);
    now_us += 1000;
    EXPECT_EQ(observe(9, 6), DISK_LAG_SAME);
    EXPECT_EQ(disk_lag_us(&lag, now_us), 1000);
    /* What was awaited is there; what came since is a lag of its own. */
    EXPECT_EQ(observe(9, 7), DISK_LAG_SAME);
    EXPECT_EQ(disk_lag_us(&lag, now_us), 0);
    now_us += 300;
    EXPECT_EQ(disk_lag_us(&lag, now_us), 300);
    EXPECT_EQ(observe(9, 9), DISK_LAG_SAME);
    EXPECT_EQ(disk_lag_us(&lag, now_us + SECOND_US), 0);
}

static void test_a_steady_stream_of_quick_writes_is_no_lag(void)
{
    begin();
    for (raft_index index = 10; index < 2000; index++) {
        now_us += 10 * 1000;
        /* Always something on the way: ten writes, or 100 ms. */
        EXPECT_EQ(observe(index, index - 10), DISK_LAG_SAME);
        EXPECT(!disk_lag_calls_for_move(&lag, now_us, LIMIT_US));
    }
}

static void test_a_long_lag_makes_the_disk_slow_until_it_was_calm_for_a_while(void)
{
    begin();
    (void)observe(1, 0);
    now_us += LIMIT_US;
    EXPECT_EQ(observe(1, 0), DISK_LAG_SAME);
    now_us += 1;
    EXPECT_EQ(observe(1, 0), DISK_LAG_BECAME_SLOW);
    now_us += 3 * SECOND_US;
    EXPECT_EQ(observe(1, 1), DISK_LAG_SAME);
    EXPECT_EQ(lag.longest_us, 3 * SECOND_US + LIMIT_US + 1);
    now_us += DISK_LAG_CALM_US - 1;
    EXPECT_EQ(observe(1, 1), DISK_LAG_SAME);
    EXPECT(lag.is_slow);
    now_us += 1;
    EXPECT_EQ(observe(1, 1), DISK_LAG_RECOVERED);
    EXPECT(!lag.is_slow);
}

static void test_each_move_doubles_the_patience_and_time_restores_it(void)
{
    begin();
    for (uint32_t moves = 0; moves < 10; moves++) {
        uint64_t patience_us = (uint64_t)LIMIT_US
                               << (moves < DISK_LAG_DOUBLINGS_MAX ? moves : DISK_LAG_DOUBLINGS_MAX);

        stall(moves + 1, patience_us);
        EXPECT(!disk_lag_calls_for_move(&lag, now_us, LIMIT_US));
        now_us++;
        EXPECT(disk_lag_calls_for_move(&lag, now_us, LIMIT_US));
        disk_lag_moved(&lag, now_us);
        (void)observe(moves + 1, moves + 1);
    }
    now_us += DISK_LAG_MEMORY_US;
    stall(100, LIMIT_US + 1);
    EXPECT(disk_lag_calls_for_move(&lag, now_us, LIMIT_US));
}

static void test_the_deadline_is_when_something_would_be_decided(void)
{
    begin();
    EXPECT_EQ(disk_lag_deadline(&lag, now_us, LIMIT_US), UINT64_MAX);
    (void)observe(1, 0);
    EXPECT_EQ(disk_lag_deadline(&lag, now_us, LIMIT_US), now_us + LIMIT_US + 1);
    now_us += LIMIT_US + 1;
    EXPECT_EQ(observe(1, 0), DISK_LAG_BECAME_SLOW);
    EXPECT_EQ(disk_lag_deadline(&lag, now_us, LIMIT_US), now_us + LIMIT_US);
    EXPECT_EQ(observe(1, 1), DISK_LAG_SAME);
    EXPECT_EQ(disk_lag_deadline(&lag, now_us, LIMIT_US), now_us + DISK_LAG_CALM_US);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_disk_that_is_as_slow_as_the_others_has_no_lag),
        TEST_CASE(test_a_lag_begins_when_the_others_commit_and_ends_when_this_disk_has_it),
        TEST_CASE(test_a_steady_stream_of_quick_writes_is_no_lag),
        TEST_CASE(test_a_long_lag_makes_the_disk_slow_until_it_was_calm_for_a_while),
        TEST_CASE(test_each_move_doubles_the_patience_and_time_restores_it),
        TEST_CASE(test_the_deadline_is_when_something_would_be_decided),
        TEST_END};

    return test_main("disk_lag", cases, argc, argv);
}
