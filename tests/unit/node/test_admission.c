#include "server/node/admission.h"

#include "tests/support/test.h"

enum { KIB = 1024, LARGE = 900 * KIB };

static struct admission admission;
static struct round_robin_place place;

static void begin(void)
{
    admission_init(&admission);
    round_robin_place_init(&place);
}

static enum admission_answer ask(size_t own, uint64_t all, size_t more)
{
    const struct admission_load load = {.own = own, .all = all, .more = more};

    return admission_ask(&admission, &place, &load);
}

static void test_one_client_has_its_share_of_bytes_under_way(void)
{
    begin();
    EXPECT_EQ(ask(0, 0, LARGE), ADMISSION_NOW);
    EXPECT_EQ(ask(LARGE, LARGE, 100 * KIB), ADMISSION_NOW);
    EXPECT_EQ(ask(LARGE, LARGE, LARGE), ADMISSION_AFTER_OWN);
}

static void test_one_write_passes_however_large(void)
{
    begin();
    EXPECT_EQ(ask(0, 0, 2 * ADMISSION_ALL_BYTES_MAX), ADMISSION_NOW);
    EXPECT_EQ(ask(0, 1, 2 * ADMISSION_ALL_BYTES_MAX), ADMISSION_IN_TURN);
}

static void test_small_writes_pass_by_large_ones_that_wait(void)
{
    struct round_robin_place large;

    begin();
    round_robin_place_init(&large);
    round_robin_enter(&admission.waiting, &large);
    EXPECT_EQ(ask(0, ADMISSION_ALL_BYTES_MAX, 100), ADMISSION_NOW);
    EXPECT_EQ(ask(ADMISSION_LITTLE_BYTES - 100, ADMISSION_ALL_BYTES_MAX, 100), ADMISSION_NOW);
    EXPECT_EQ(ask(ADMISSION_LITTLE_BYTES, ADMISSION_ALL_BYTES_MAX, 100), ADMISSION_IN_TURN);
    EXPECT(place.is_heavy);
}

static void test_small_writes_are_bounded_together_too(void)
{
    begin();
    EXPECT_EQ(ask(0, 2 * ADMISSION_ALL_BYTES_MAX - 100, 100), ADMISSION_NOW);
    EXPECT_EQ(ask(0, 2 * ADMISSION_ALL_BYTES_MAX, 100), ADMISSION_IN_TURN);
    EXPECT(!place.is_heavy);
}

/* Room alone is not enough: those that asked first come first. */
static void test_large_writes_wait_for_their_turn(void)
{
    struct round_robin_place other;

    begin();
    round_robin_place_init(&other);
    round_robin_enter(&admission.waiting, &other);
    EXPECT_EQ(ask(0, LARGE, LARGE), ADMISSION_IN_TURN);
    admission.turn = &place;
    EXPECT_EQ(ask(0, LARGE, LARGE), ADMISSION_NOW);
    EXPECT_EQ(ask(0, ADMISSION_ALL_BYTES_MAX, LARGE), ADMISSION_IN_TURN);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_one_client_has_its_share_of_bytes_under_way),
        TEST_CASE(test_one_write_passes_however_large),
        TEST_CASE(test_small_writes_pass_by_large_ones_that_wait),
        TEST_CASE(test_small_writes_are_bounded_together_too),
        TEST_CASE(test_large_writes_wait_for_their_turn),
        TEST_END};

    return test_main("admission", cases, argc, argv);
}
