/* A long count takes several turns, in which others are answered. */
#include "server/node/node_walks.h"

#include "tests/unit/node/node_lab.h"

enum { TURN_NODES = 4096, BATCH = 512 };

static void make_nodes(size_t count)
{
    submit(creating("/wide", 0, 0));
    for (size_t made = 0; made < count; made += BATCH) {
        submit(creating("/wide", made, count - made < BATCH ? count - made : BATCH));
    }
    run(STEP_US * 100);
    for (size_t i = 0; i < lab.reply_count; i++) {
        EXPECT_EQ(lab.replies[i].code, CLIENT__CODE__OK);
    }
    lab.reply_count = 0;
}

static void expect_count(size_t reply, uint64_t count, size_t turn)
{
    EXPECT(reply < lab.reply_count);
    EXPECT_EQ(lab.replies[reply].kind, REQUEST_COUNT);
    EXPECT_EQ(lab.replies[reply].code, CLIENT__CODE__OK);
    EXPECT_EQ(lab.replies[reply].count, count);
    EXPECT_EQ(lab.replies[reply].turn, turn);
}

static void test_what_one_turn_can_count_is_answered_in_it(void)
{
    begin_alone();
    make_nodes(TURN_NODES - 1);
    submit(reading(REQUEST_COUNT, "/wide"));
    turn();
    expect_count(0, TURN_NODES - 1, lab.turns);
    end();
}

static void test_a_long_count_goes_on_in_the_next_turns(void)
{
    size_t first;

    begin_alone();
    make_nodes(2 * TURN_NODES + 100);
    submit(reading(REQUEST_COUNT, "/wide"));
    first = lab.turns + 1;
    turn();
    EXPECT_EQ(lab.reply_count, 0);
    EXPECT(node_walks_wait(lab.node));
    turn();
    EXPECT_EQ(lab.reply_count, 0);
    turn();
    expect_count(0, 2 * TURN_NODES + 100, first + 2);
    EXPECT(!node_walks_wait(lab.node));
    end();
}

static void test_two_long_counts_share_a_turn(void)
{
    begin_alone();
    make_nodes(TURN_NODES - 1);
    submit(reading(REQUEST_COUNT, "/wide"));
    submit(reading(REQUEST_COUNT, "/wide"));
    turn();
    EXPECT_EQ(lab.reply_count, 1);
    turn();
    expect_count(1, TURN_NODES - 1, lab.turns);
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_what_one_turn_can_count_is_answered_in_it),
        TEST_CASE(test_a_long_count_goes_on_in_the_next_turns),
        TEST_CASE(test_two_long_counts_share_a_turn), TEST_END};

    return test_main("node_walks", cases, argc, argv);
}
