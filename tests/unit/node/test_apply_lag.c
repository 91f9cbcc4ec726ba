#include "server/node/apply_lag.h"
#include "tests/support/test.h"

enum { SECOND = 1000 * 1000, PATIENCE_US = 10 * SECOND };

static struct apply_lag lag;

static void observe(uint64_t now_us, uint64_t committed, uint64_t applied)
{
    apply_lag_observe(&lag, now_us, committed, applied, PATIENCE_US);
}

static void test_who_applies_at_once_has_no_bound(void)
{
    apply_lag_init(&lag);
    for (uint64_t i = 0; i < 100; i++) {
        observe(i * SECOND, i * 1000, i * 1000);
        EXPECT(!apply_lag_is_bounded(&lag));
        EXPECT(apply_lag_permits(&lag, UINT64_MAX));
    }
}

/* A checkpoint that takes a moment is waited for, as ever. */
static void test_a_short_lag_has_no_bound(void)
{
    apply_lag_init(&lag);
    observe(5 * SECOND, 1000, 100);
    observe(7 * SECOND, 2000, 100);
    EXPECT(!apply_lag_is_bounded(&lag));
    observe(8 * SECOND, 2000, 2000);
    observe(9 * SECOND, 9000, 2000);
    observe(11 * SECOND, 9000, 2000);
    EXPECT(!apply_lag_is_bounded(&lag));
}

static void test_as_many_wait_as_are_applied_in_half_the_time(void)
{
    apply_lag_init(&lag);
    observe(5 * SECOND, 1000, 100);
    observe(10 * SECOND, 1000, 150); /* 10 a second */
    EXPECT(apply_lag_is_bounded(&lag));
    EXPECT(apply_lag_permits(&lag, 50));
    EXPECT(!apply_lag_permits(&lag, 51));
    observe(15 * SECOND, 1000, 160);
    EXPECT(apply_lag_permits(&lag, 10));
    EXPECT(!apply_lag_permits(&lag, 11));
    observe(20 * SECOND, 1000, 160); /* a disk that stands still: one, to see when it moves */
    EXPECT(apply_lag_permits(&lag, 1));
    EXPECT(!apply_lag_permits(&lag, 2));
    observe(20 * SECOND + 1, 1000, 1000);
    EXPECT(!apply_lag_is_bounded(&lag));
}

static void test_numbers_of_any_size_are_fine(void)
{
    apply_lag_init(&lag);
    apply_lag_observe(&lag, 0, 2, 1, 0);
    apply_lag_observe(&lag, 0, 2, 1, 0);
    EXPECT(!apply_lag_is_bounded(&lag));
    apply_lag_observe(&lag, UINT64_MAX / 2, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / 4);
    EXPECT(apply_lag_permits(&lag, 1));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_who_applies_at_once_has_no_bound),
        TEST_CASE(test_a_short_lag_has_no_bound),
        TEST_CASE(test_as_many_wait_as_are_applied_in_half_the_time),
        TEST_CASE(test_numbers_of_any_size_are_fine),
        TEST_END,
    };

    return test_main("apply_lag", cases, argc, argv);
}
