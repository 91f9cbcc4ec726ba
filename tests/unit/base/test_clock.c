#include "base/clock.h"

#include "tests/support/test.h"

static void test_the_monotonic_clock_moves_and_never_back(void)
{
    uint64_t start = clock_monotonic_us();
    uint64_t last = start;

    while (last == start) {
        uint64_t now = clock_monotonic_us();

        EXPECT(now >= last);
        last = now;
    }
}

static void test_the_wall_clock_counts_milliseconds_since_1970(void)
{
    uint64_t now = clock_wall_ms();

    EXPECT(now > UINT64_C(1577836800000)); /* 2020 */
    EXPECT(now < UINT64_C(7258118400000)); /* 2200 */
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_the_monotonic_clock_moves_and_never_back),
        TEST_CASE(test_the_wall_clock_counts_milliseconds_since_1970), TEST_END};
    return test_main("clock", cases, argc, argv);
}
