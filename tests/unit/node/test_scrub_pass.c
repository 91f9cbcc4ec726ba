#include "server/node/scrub_pass.h"

#include "tests/support/test.h"

static const struct scrub_pace pace = {
    .interval_us = 500 * 1000, .bytes_min = 1 << 20, .bytes_max = 32 << 20};

/* How long a pass over so much takes, when each slice looks at what it was told. */
static uint64_t pass_us(uint64_t total_bytes)
{
    struct scrub_pass pass = {.is_running = false};
    uint64_t begin_us = SCRUB_PASS_US;
    uint64_t now_us = begin_us;
    uint64_t done = 0;

    while (done < total_bytes) {
        EXPECT(scrub_pass_due(&pass, &pace) <= now_us);
        done += scrub_pass_begin(&pass, &pace, now_us, total_bytes);
        scrub_pass_end(&pass, now_us, done >= total_bytes);
        now_us += pace.interval_us;
    }
    EXPECT_EQ(scrub_pass_due(&pass, &pace), begin_us + SCRUB_PASS_US);
    return now_us - begin_us;
}

static void test_a_pass_over_what_is_common_ends_within_its_time(void)
{
    for (uint64_t bytes = 1; bytes <= UINT64_C(2560) << 20; bytes = bytes * 3 + 1) {
        EXPECT(pass_us(bytes) <= SCRUB_PASS_US);
    }
    EXPECT_EQ(pass_us(1 << 20), pace.interval_us);
}

static void test_a_pass_over_more_takes_longer_and_no_more_at_a_time(void)
{
    struct scrub_pass pass = {.is_running = false};

    EXPECT_EQ(scrub_pass_begin(&pass, &pace, 1, UINT64_C(1) << 40), pace.bytes_max);
    EXPECT_EQ(pass_us(UINT64_C(5120) << 20), 2 * (uint64_t)SCRUB_PASS_US);
}

static void test_a_new_pass_begins_when_the_time_of_the_last_is_over(void)
{
    struct scrub_pass pass = {.is_running = false};

    EXPECT_EQ(scrub_pass_due(&pass, &pace), SCRUB_PASS_US);
    (void)scrub_pass_begin(&pass, &pace, 70 * 1000 * 1000, 0);
    scrub_pass_end(&pass, 71 * 1000 * 1000, false);
    EXPECT_EQ(scrub_pass_due(&pass, &pace), 71 * 1000 * 1000 + pace.interval_us);
    (void)scrub_pass_begin(&pass, &pace, 72 * 1000 * 1000, 0);
    scrub_pass_end(&pass, 72 * 1000 * 1000, true);
    EXPECT_EQ(scrub_pass_due(&pass, &pace), 70 * 1000 * 1000 + SCRUB_PASS_US);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_pass_over_what_is_common_ends_within_its_time),
        TEST_CASE(test_a_pass_over_more_takes_longer_and_no_more_at_a_time),
        TEST_CASE(test_a_new_pass_begins_when_the_time_of_the_last_is_over), TEST_END};

    return test_main("scrub_pass", cases, argc, argv);
}
