#include "base/round_robin.h"

#include "tests/support/test.h"

enum { COUNT = 3 };

struct bench {
    struct round_robin robin;
    struct round_robin_place light[COUNT];
    struct round_robin_place heavy[COUNT];
};

static void bench_init(struct bench *bench)
{
    round_robin_init(&bench->robin);
    for (size_t i = 0; i < COUNT; i++) {
        round_robin_place_init(&bench->light[i]);
        round_robin_place_init(&bench->heavy[i]);
        bench->heavy[i].is_heavy = true;
    }
}

/* Heavy and light by turns. */
static void enter_all(struct bench *bench)
{
    for (size_t i = 0; i < COUNT; i++) {
        round_robin_enter(&bench->robin, &bench->heavy[i]);
        round_robin_enter(&bench->robin, &bench->light[i]);
    }
}

static void expect_next(struct bench *bench, const struct round_robin_place *expected)
{
    EXPECT(round_robin_next(&bench->robin, false) == expected);
}

static void test_the_light_come_first_each_kind_in_the_order_of_entering(void)
{
    struct bench bench;

    bench_init(&bench);
    EXPECT(round_robin_is_empty(&bench.robin));
    enter_all(&bench);
    enter_all(&bench); /* entering twice is the same as once */
    EXPECT(!round_robin_is_empty(&bench.robin));
    round_robin_begin(&bench.robin);
    for (size_t i = 0; i < COUNT; i++) {
        expect_next(&bench, &bench.light[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        expect_next(&bench, &bench.heavy[i]);
    }
    expect_next(&bench, NULL);
    round_robin_end(&bench.robin);
    EXPECT(round_robin_is_empty(&bench.robin));
}

static void test_who_enters_in_a_round_waits_for_the_next(void)
{
    struct bench bench;

    bench_init(&bench);
    round_robin_enter(&bench.robin, &bench.light[0]);
    round_robin_begin(&bench.robin);
    expect_next(&bench, &bench.light[0]);
    round_robin_enter(&bench.robin, &bench.light[0]);
    expect_next(&bench, NULL);
    round_robin_end(&bench.robin);
    EXPECT(!round_robin_is_empty(&bench.robin));
}

static void test_without_time_one_of_each_kind_is_served_and_the_rest_stay_in_front(void)
{
    struct bench bench;

    bench_init(&bench);
    enter_all(&bench);
    for (size_t i = 0; i < COUNT; i++) {
        round_robin_begin(&bench.robin);
        EXPECT(round_robin_next(&bench.robin, true) == &bench.light[i]);
        round_robin_enter(&bench.robin, &bench.light[i]);
        EXPECT(round_robin_next(&bench.robin, true) == &bench.heavy[i]);
        round_robin_enter(&bench.robin, &bench.heavy[i]);
        EXPECT(round_robin_next(&bench.robin, true) == NULL);
        round_robin_end(&bench.robin);
    }
    round_robin_begin(&bench.robin);
    expect_next(&bench, &bench.light[0]);
}

static void test_who_is_returned_keeps_the_first_place(void)
{
    struct bench bench;

    bench_init(&bench);
    enter_all(&bench);
    round_robin_begin(&bench.robin);
    expect_next(&bench, &bench.light[0]);
    round_robin_return(&bench.robin, &bench.light[0]);
    round_robin_end(&bench.robin);
    round_robin_begin(&bench.robin);
    expect_next(&bench, &bench.light[0]);
    expect_next(&bench, &bench.light[1]);
}

static void test_who_leaves_is_not_served(void)
{
    struct bench bench;

    bench_init(&bench);
    enter_all(&bench);
    list_remove(&bench.light[1].link);
    round_robin_begin(&bench.robin);
    expect_next(&bench, &bench.light[0]);
    list_remove(&bench.light[2].link);
    expect_next(&bench, &bench.heavy[0]);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_the_light_come_first_each_kind_in_the_order_of_entering),
        TEST_CASE(test_who_enters_in_a_round_waits_for_the_next),
        TEST_CASE(test_without_time_one_of_each_kind_is_served_and_the_rest_stay_in_front),
        TEST_CASE(test_who_is_returned_keeps_the_first_place),
        TEST_CASE(test_who_leaves_is_not_served),
        TEST_END};

    return test_main("round_robin", cases, argc, argv);
}
