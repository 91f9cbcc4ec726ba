#include "server/node/history.h"

#include "base/prng.h"
#include "tests/support/test.h"
#include "tests/unit/node/node_double.h"

#include <string.h>

static struct state_change change_of(enum state_change_kind kind, const char *path, uint64_t mark)
{
    struct state_node *node = node_double_new(10, mark);

    return (struct state_change){.kind = kind,
                                 .path = bytes_of_text(path),
                                 .before = kind == STATE_REMOVED ? node : NULL,
                                 .after = kind == STATE_REMOVED ? NULL : node};
}

static void give_up(struct state_change *change)
{
    state_node_unref(change->before);
    state_node_unref(change->after);
}

/* One command with `count` changes of /a, marked at * 100 + position. */
static void add(struct history *history, zxid at, size_t count)
{
    struct state_change changes[16] = {{.kind = STATE_VALUE_SET}};

    for (size_t i = 0; i < count; i++) {
        changes[i] = change_of(STATE_VALUE_SET, "/a", at * 100 + i);
    }
    history_add(history, at, changes, count);
    for (size_t i = 0; i < count; i++) {
        give_up(&changes[i]);
    }
}

static void test_new_history_holds_all_after_its_opening(void)
{
    struct history *history = history_new(41, 1000000, 100);

    EXPECT_EQ(history_oldest(history), 41);
    EXPECT_EQ(history_last(history), 41);
    EXPECT_EQ(history_count(history), 0);
    EXPECT_EQ(history_seek(history, 41), history_end(history));
    EXPECT_EQ(history_up_to(history, history_end(history)), 41);
    history_free(history);
}

static void test_changes_come_back_in_order_with_path_and_node(void)
{
    struct history *history = history_new(0, 1000000, 100);
    char path[] = "/app/db";
    struct state_change changes[] = {change_of(STATE_CREATED, path, 1),
                                     change_of(STATE_REMOVED, path, 2)};
    const struct watch_event *event;

    history_add(history, 7, changes, 2);
    memset(path, 'x', sizeof path - 1);
    give_up(&changes[0]);
    give_up(&changes[1]);
    event = history_at(history, history_first(history));
    EXPECT_EQ(event->zxid, 7);
    EXPECT_EQ(event->kind, STATE_CREATED);
    EXPECT_BYTES(event->path, bytes_of_text("/app/db"));
    EXPECT_EQ(event->node->mark, 1);
    event = history_at(history, history_first(history) + 1);
    EXPECT_EQ(event->kind, STATE_REMOVED);
    EXPECT_EQ(event->node->mark, 2);
    EXPECT_EQ(event->node->references, 1);
    history_free(history);
    EXPECT_EQ(node_double_count, 0);
}

static void test_session_changes_are_left_out_but_move_last(void)
{
    struct history *history = history_new(0, 1000000, 100);
    struct state_change change = {.kind = STATE_SESSION_OPENED, .session = 5};

    history_add(history, 5, &change, 1);
    history_add(history, 6, NULL, 0);
    EXPECT_EQ(history_count(history), 0);
    EXPECT_EQ(history_last(history), 6);
    EXPECT_EQ(history_oldest(history), 0);
    EXPECT_EQ(history_up_to(history, history_end(history)), 6);
    history_free(history);
}

static void test_whole_commands_are_dropped_oldest_first(void)
{
    struct history *history = history_new(0, 1000000, 5);

    add(history, 10, 3);
    add(history, 20, 2);
    history_trim(history);
    EXPECT_EQ(history_count(history), 5);
    EXPECT_EQ(history_oldest(history), 0);
    add(history, 30, 1);
    EXPECT_EQ(history_count(history), 6);
    history_trim(history);
    EXPECT_EQ(history_count(history), 3);
    EXPECT_EQ(history_oldest(history), 10);
    EXPECT_EQ(history_at(history, history_first(history))->zxid, 20);
    EXPECT_EQ(node_double_count, 3);
    history_free(history);
}

static void test_bytes_of_paths_and_values_count(void)
{
    struct history *history = history_new(0, 100000, 1000000);
    struct state_change change = {
        .kind = STATE_CREATED, .path = bytes_of_text("/a"), .after = node_double_new(60000, 0)};

    history_add(history, 1, &change, 1);
    history_trim(history);
    EXPECT_EQ(history_count(history), 1);
    EXPECT(history_bytes(history) > 60000);
    history_add(history, 2, &change, 1);
    history_trim(history);
    EXPECT_EQ(history_count(history), 1);
    EXPECT_EQ(history_oldest(history), 1);
    give_up(&change);
    history_free(history);
    EXPECT_EQ(node_double_count, 0);
}

static void test_a_command_too_large_alone_is_dropped(void)
{
    struct history *history = history_new(0, 1000000, 2);

    add(history, 3, 3);
    EXPECT_EQ(history_count(history), 3);
    history_trim(history);
    EXPECT_EQ(history_count(history), 0);
    EXPECT_EQ(history_bytes(history), 0);
    EXPECT_EQ(history_oldest(history), 3);
    EXPECT_EQ(history_last(history), 3);
    history_free(history);
}

static void test_up_to_does_not_promise_half_a_command(void)
{
    struct history *history = history_new(0, 1000000, 100);
    history_sequence first = history_first(history);

    add(history, 10, 2);
    add(history, 20, 1);
    history_add(history, 25, NULL, 0);
    EXPECT_EQ(history_up_to(history, first), 9);
    EXPECT_EQ(history_up_to(history, first + 1), 9);
    EXPECT_EQ(history_up_to(history, first + 2), 19);
    EXPECT_EQ(history_up_to(history, first + 3), 25);
    history_free(history);
}

static void test_reset_makes_every_earlier_place_too_old(void)
{
    struct history *history = history_new(0, 1000000, 100);
    history_sequence at_end;

    add(history, 10, 2);
    at_end = history_end(history);
    history_reset(history, 500);
    EXPECT(at_end < history_first(history));
    EXPECT_EQ(history_oldest(history), 500);
    EXPECT_EQ(history_last(history), 500);
    EXPECT_EQ(history_count(history), 0);
    EXPECT_EQ(node_double_count, 0);
    add(history, 501, 1);
    EXPECT_EQ(history_seek(history, 500), history_first(history));
    history_free(history);
}

/* Against plain arithmetic: commands have zxids 3, 6, 9, ... and 0 to 3 changes each. */
static void test_seek_and_bounds_hold_over_random_histories(void)
{
    struct prng prng;

    prng_init(&prng, 4711);
    for (int round = 0; round < 50; round++) {
        uint64_t changes_max = prng_between(&prng, 1, 300);
        struct history *history = history_new(0, UINT64_MAX, changes_max);
        zxid last = 0;

        for (int i = 0; i < 400; i++) {
            last += 3;
            add(history, last, prng_below(&prng, 4));
            if (prng_below(&prng, 5) == 0) {
                history_trim(history);
                EXPECT(history_count(history) <= changes_max);
            }
            zxid wanted = prng_between(&prng, history_oldest(history), last + 2);
            history_sequence found = history_seek(history, wanted);
            EXPECT(found == history_first(history) ||
                   history_at(history, found - 1)->zxid <= wanted);
            EXPECT(found == history_end(history) || history_at(history, found)->zxid > wanted);
        }
        for (history_sequence s = history_first(history) + 1; s < history_end(history); s++) {
            EXPECT(history_at(history, s - 1)->node->mark < history_at(history, s)->node->mark);
        }
        EXPECT_EQ(node_double_count, history_count(history));
        history_free(history);
    }
    EXPECT_EQ(node_double_count, 0);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_new_history_holds_all_after_its_opening),
        TEST_CASE(test_changes_come_back_in_order_with_path_and_node),
        TEST_CASE(test_session_changes_are_left_out_but_move_last),
        TEST_CASE(test_whole_commands_are_dropped_oldest_first),
        TEST_CASE(test_bytes_of_paths_and_values_count),
        TEST_CASE(test_a_command_too_large_alone_is_dropped),
        TEST_CASE(test_up_to_does_not_promise_half_a_command),
        TEST_CASE(test_reset_makes_every_earlier_place_too_old),
        TEST_CASE(test_seek_and_bounds_hold_over_random_histories),
        TEST_END};

    return test_main("history", cases, argc, argv);
}
