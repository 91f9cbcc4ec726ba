#include "server/node/watch_table.h"

#include "tests/unit/node/watch_table_lab.h"

#include <stdio.h>
#include <string.h>

/* --- Who sees what --- */

static void test_plain_stream_sees_its_node_and_comings_and_goings_of_children(void)
{
    begin(1, UINT64_MAX, 1000);
    EXPECT_OK(add(0, 1, "/a", false, false, 0));
    change(101, STATE_CREATED, "/a");
    change(102, STATE_VALUE_SET, "/a");
    change(103, STATE_CREATED, "/a/b");
    change(104, STATE_VALUE_SET, "/a/b");
    change(105, STATE_ACL_SET, "/a/b");
    change(106, STATE_CREATED, "/a/b/c");
    change(107, STATE_REMOVED, "/a/b/c");
    change(108, STATE_REMOVED, "/a/b");
    change(109, STATE_ACL_SET, "/a");
    change(110, STATE_CREATED, "/ab");
    change(111, STATE_REMOVED, "/a");
    pump_all();
    EXPECT_EQ(events_of(0, 1), 6);
    end(1);
}

static void test_recursive_stream_sees_everything_at_and_below(void)
{
    begin(1, UINT64_MAX, 1000);
    EXPECT_OK(add(0, 1, "/a", true, false, 0));
    change(101, STATE_CREATED, "/a");
    change(102, STATE_VALUE_SET, "/a/b/c/d");
    change(103, STATE_ACL_SET, "/a/b");
    change(104, STATE_VALUE_SET, "/ab");
    change(105, STATE_VALUE_SET, "/");
    pump_all();
    EXPECT_EQ(events_of(0, 1), 3);
    end(1);
}

static void test_root_streams_see_root_and_top_level(void)
{
    begin(1, UINT64_MAX, 1000);
    EXPECT_OK(add(0, 1, "/", false, false, 0));
    EXPECT_OK(add(0, 2, "/", true, false, 0));
    change(101, STATE_VALUE_SET, "/");
    change(102, STATE_CREATED, "/a");
    change(103, STATE_VALUE_SET, "/a");
    change(104, STATE_CREATED, "/a/b");
    change(105, STATE_REMOVED, "/a");
    pump_all();
    EXPECT_EQ(events_of(0, 1), 3);
    EXPECT_EQ(events_of(0, 2), 5);
    end(1);
}

static void test_changes_of_one_turn_come_in_one_slice(void)
{
    begin(1, UINT64_MAX, 1000);
    EXPECT_OK(add(0, 1, "/a", true, false, 0));
    for (zxid i = 101; i < 201; i++) {
        change(i, STATE_VALUE_SET, "/a");
    }
    pump_all();
    EXPECT_EQ(clients[0].calls, 1);
    EXPECT_EQ(stream_of(0, 1)->up_to, 200);
    end(1);
}

static void test_unconcerned_owners_are_not_even_asked(void)
{
    begin(2, UINT64_MAX, 1000);
    EXPECT_OK(add(0, 1, "/a", true, false, 0));
    EXPECT_OK(add(1, 1, "/b", true, false, 0));
    change(101, STATE_VALUE_SET, "/a");
    pump_all();
    EXPECT_EQ(clients[0].calls, 1);
    EXPECT_EQ(clients[1].asked, 0);
    EXPECT_EQ(clients[1].calls, 0);
    end(2);
}

static void test_stream_added_in_a_turn_does_not_see_what_came_before_it(void)
{
    begin(1, UINT64_MAX, 1000);
    change(101, STATE_VALUE_SET, "/a");
    EXPECT_OK(add(0, 1, "/a", false, false, 0));
    change(102, STATE_VALUE_SET, "/a");
    pump_all();
    EXPECT_EQ(events_of(0, 1), 1);
    end(1);
}

/* --- The past --- */

static void test_stream_from_the_past_gets_everything_since(void)
{
    begin(1, UINT64_MAX, 100000);
    for (zxid i = 101; i <= 5100; i++) {
        change(i, i % 2 == 0 ? STATE_VALUE_SET : STATE_CREATED, i % 3 == 0 ? "/a" : "/b");
    }
    pump_all();
    EXPECT_OK(add(0, 1, "/a", false, false, 100));
    EXPECT_OK(add(0, 2, "/b", true, false, 3000));
    EXPECT_OK(add(0, 3, "/", true, false, 5100));
    change(5101, STATE_CREATED, "/a");
    pump_all();
    EXPECT_EQ(events_of(0, 1), 1668);
    EXPECT_EQ(events_of(0, 3), 1);
    EXPECT_EQ(events_of(0, 2), 1400);
    end(1);
}

static void test_starts_outside_the_history_are_refused(void)
{
    begin(1, UINT64_MAX, 2);
    for (zxid i = 101; i <= 110; i++) {
        change(i, STATE_VALUE_SET, "/a");
    }
    pump_all();
    history_trim(history);
    EXPECT_EQ(history_oldest(history), 108);
    EXPECT_EQ(add(0, 1, "/a", false, false, 107), STATUS_NOT_FOUND);
    EXPECT_EQ(add(0, 1, "/a", false, false, 111), STATUS_UNAVAILABLE);
    EXPECT_EQ(watch_table_count(table), 0);
    EXPECT_OK(add(0, 1, "/a", false, false, 108));
    pump_all();
    EXPECT_EQ(events_of(0, 1), 2);
    end(1);
}

/* --- Slow readers --- */

static void test_full_owner_gets_nothing_until_it_drains_then_all(void)
{
    begin(1, UINT64_MAX, 100000);
    EXPECT_OK(add(0, 1, "/a", true, false, 0));
    EXPECT_OK(add(0, 2, "/a", false, false, 0));
    clients[0].limit = 0;
    for (zxid i = 101; i <= 3000; i++) {
        change(i, STATE_VALUE_SET, "/a");
        EXPECT(!watch_table_pump(table));
    }
    EXPECT_EQ(clients[0].calls, 0);
    EXPECT(watch_table_has_blocked(table));
    clients[0].limit = SIZE_MAX;
    pump_all();
    EXPECT(!watch_table_has_blocked(table));
    EXPECT_EQ(events_of(0, 1), 2900);
    EXPECT_EQ(events_of(0, 2), 2900);
    EXPECT_EQ(stream_of(0, 1)->up_to, 3000);
    end(1);
}

static void test_reader_that_falls_out_of_the_history_is_lost_once_and_gone(void)
{
    begin(1, UINT64_MAX, 10);
    EXPECT_OK(add(0, 1, "/a", true, false, 0));
    clients[0].limit = 0;
    for (zxid i = 101; i <= 200; i++) {
        change(i, STATE_VALUE_SET, "/a");
        (void)watch_table_pump(table);
        history_trim(history);
    }
    EXPECT_EQ(watch_table_count(table), 1);
    clients[0].limit = SIZE_MAX;
    pump_all();
    EXPECT(streams[0].lost);
    EXPECT_EQ(clients[0].calls, 1);
    EXPECT_EQ(watch_table_count(table), 0);
    EXPECT_EQ(watch_table_remove(table, &clients[0].owner, 1), STATUS_NOT_FOUND);
    end(1);
}

static void test_values_bound_a_slice(void)
{
    begin(1, UINT64_MAX, 100000);
    EXPECT_OK(add(0, 1, "/a", true, true, 0));
    slice_bytes_seen_max = 0;
    for (zxid i = 101; i <= 120; i++) {
        change_times(i, STATE_VALUE_SET, "/a", 1, 100000);
    }
    change_times(121, STATE_VALUE_SET, "/a", 1, STATE_VALUE_BYTES_MAX);
    pump_all();
    EXPECT_EQ(events_of(0, 1), 21);
    EXPECT_EQ(clients[0].calls, 11);
    EXPECT_EQ(slice_bytes_seen_max, STATE_VALUE_BYTES_MAX + 2);
    end(1);
}

static void test_output_limit_is_passed_by_at_most_one_slice(void)
{
    begin(1, UINT64_MAX, 100000);
    EXPECT_OK(add(0, 1, "/a", true, true, 0));
    clients[0].limit = 500000;
    for (zxid i = 101; i <= 300; i++) {
        change_times(i, STATE_VALUE_SET, "/a", 1, 100000);
    }
    while (watch_table_pump(table)) {
    }
    EXPECT(clients[0].output >= 500000);
    EXPECT(clients[0].output < 500000 + WATCH_SLICE_BYTES_MAX);
    while (stream_of(0, 1)->events < 200) {
        size_t before = stream_of(0, 1)->events;

        clients[0].output = 0;
        (void)watch_table_pump(table);
        EXPECT(stream_of(0, 1)->events > before);
    }
    end(1);
}

static void test_command_larger_than_a_slice_is_split_and_up_to_stays_before_it(void)
{
    begin(1, UINT64_MAX, 100000);
    EXPECT_OK(add(0, 1, "/a", true, false, 0));
    change_times(150, STATE_VALUE_SET, "/a", 5000, 10);
    clients[0].limit = 1;
    while (watch_table_pump(table)) {
    }
    EXPECT_EQ(events_of(0, 1), WATCH_SLICE_EVENTS_MAX);
    EXPECT_EQ(stream_of(0, 1)->up_to, 149);
    clients[0].limit = SIZE_MAX;
    pump_all();
    EXPECT_EQ(events_of(0, 1), 5000);
    EXPECT_EQ(stream_of(0, 1)->up_to, 150);
    end(1);
}

/* --- Other events --- */

static void test_reset_of_the_history_loses_every_stream(void)
{
    begin(2, UINT64_MAX, 1000);
    EXPECT_OK(add(0, 1, "/a", true, false, 0));
    EXPECT_OK(add(1, 1, "/b", false, false, 0));
    clients[1].limit = 0;
    change(101, STATE_VALUE_SET, "/b");
    pump_all();
    /* Something that both would have seen is among what the dump brought. */
    apply_change(150, STATE_VALUE_SET, "/a", 0);
    model_count++;
    apply_change(151, STATE_VALUE_SET, "/b", 0);
    model_count++;
    history_reset(history, 200);
    pump_all();
    EXPECT(streams[0].lost);
    EXPECT(!streams[1].lost);
    clients[1].limit = SIZE_MAX;
    pump_all();
    EXPECT(streams[1].lost);
    EXPECT_OK(add(0, 1, "/a", true, false, 200));
    change(201, STATE_VALUE_SET, "/a");
    pump_all();
    EXPECT_EQ(events_of(0, 1), 1);
    end(2);
}

static void test_progress_tells_quiet_streams_how_far_they_are(void)
{
    begin(1, UINT64_MAX, 1000);
    for (uint64_t i = 1; i <= 10; i++) {
        EXPECT_OK(add(0, i, "/quiet", false, false, 0));
    }
    change(101, STATE_VALUE_SET, "/a");
    pump_all();
    watch_table_progress(table, 4);
    EXPECT_EQ(clients[0].calls, 4);
    watch_table_progress(table, 6);
    EXPECT_EQ(clients[0].calls, 10);
    for (uint64_t i = 1; i <= 10; i++) {
        EXPECT_EQ(stream_of(0, i)->up_to, 101);
    }
    watch_table_progress(table, 1000);
    EXPECT_EQ(clients[0].calls, 10);
    clients[0].limit = 0;
    change(102, STATE_VALUE_SET, "/a");
    pump_all();
    watch_table_progress(table, 1000);
    EXPECT_EQ(clients[0].calls, 10);
    end(1);
}

static void test_progress_says_nothing_before_the_pump(void)
{
    begin(1, UINT64_MAX, 1000);
    EXPECT_OK(add(0, 1, "/a", false, false, 0));
    change(101, STATE_VALUE_SET, "/a");
    watch_table_progress(table, 10);
    EXPECT_EQ(clients[0].calls, 0);
    pump_all();
    EXPECT_EQ(events_of(0, 1), 1);
    end(1);
}

static void test_names_are_unique_per_owner_only(void)
{
    begin(2, UINT64_MAX, 1000);
    EXPECT_OK(add(0, 7, "/a", false, false, 0));
    EXPECT_EQ(add(0, 7, "/b", false, false, 0), STATUS_EXISTS);
    EXPECT_OK(add(1, 7, "/a", false, false, 0));
    EXPECT_OK(watch_table_remove(table, &clients[0].owner, 7));
    stream_of(0, 7)->used = false;
    EXPECT_EQ(watch_table_remove(table, &clients[0].owner, 7), STATUS_NOT_FOUND);
    change(101, STATE_VALUE_SET, "/a");
    pump_all();
    EXPECT_EQ(clients[0].calls, 0);
    EXPECT_EQ(events_of(1, 7), 1);
    end(2);
}

static bool never_full(void *context)
{
    (void)context;
    return false;
}

static size_t plain_calls;
static size_t plain_events;

static void count_events(void *context,
                         uint64_t watch,
                         bool with_values,
                         const struct watch_event *events,
                         size_t count,
                         zxid up_to,
                         bool lost)
{
    (void)context, (void)watch, (void)with_values, (void)events, (void)up_to, (void)lost;
    plain_calls++;
    plain_events += count;
}

static const struct watch_table_port counting_port = {.is_full = never_full,
                                                      .on_events = count_events};

static void test_limits_hold_for_an_owner_and_for_all(void)
{
    const struct watch_table_options options = {.owner_streams_max = 3,
                                                .owner_bytes_max = SIZE_MAX,
                                                .streams_max = 5,
                                                .bytes_max = UINT64_MAX,
                                                .seed = 1};
    struct watch_owner left;
    struct watch_owner right;
    struct bytes path = bytes_of_text("/a");
    zxid from;

    history = history_new(0, 1000, 1000);
    table = watch_table_new(&options, &counting_port, history);
    watch_owner_init(table, &left, NULL);
    watch_owner_init(table, &right, NULL);
    for (uint64_t i = 0; i < 3; i++) {
        EXPECT_OK(watch_table_add(table, &left, i, path, false, false, 0, &from));
    }
    EXPECT_EQ(watch_table_add(table, &left, 9, path, false, false, 0, &from), STATUS_LIMIT);
    EXPECT_OK(watch_table_add(table, &right, 1, path, false, false, 0, &from));
    EXPECT_OK(watch_table_add(table, &right, 2, path, false, false, 0, &from));
    EXPECT_EQ(watch_table_add(table, &right, 3, path, false, false, 0, &from), STATUS_LIMIT);
    EXPECT(!watch_owner_release_some(table, &left, 2));
    EXPECT_EQ(watch_table_count(table), 3);
    EXPECT(watch_owner_release_some(table, &left, 1));
    EXPECT_OK(watch_table_add(table, &right, 3, path, false, false, 0, &from));
    watch_owner_release(table, &right);
    watch_table_free(table);
    history_free(history);
}

/* How many streams with paths of a KiB one owner gets. */
static uint64_t fill(struct watch_owner *owner)
{
    char text[1025];
    uint64_t count = 0;
    zxid from;

    memset(text, 'p', sizeof text - 1);
    text[0] = '/';
    text[sizeof text - 1] = '\0';
    while (watch_table_add(table, owner, count, bytes_of_text(text), false, false, 0, &from) ==
           STATUS_OK) {
        count++;
    }
    return count;
}

static void test_bytes_are_limited_for_an_owner_and_for_all(void)
{
    struct watch_table_options options = watch_table_options_default(1);
    struct watch_owner left;
    struct watch_owner right;

    options.owner_bytes_max = 64 * 1024;
    options.bytes_max = 96 * 1024;
    history = history_new(0, 1000, 1000);
    table = watch_table_new(&options, &counting_port, history);
    watch_owner_init(table, &left, NULL);
    watch_owner_init(table, &right, NULL);
    EXPECT(fill(&left) <= 64);
    EXPECT(left.count > 32);
    EXPECT(fill(&right) <= left.count / 2 + 1);
    EXPECT(right.count > 0);
    EXPECT_OK(watch_table_remove(table, &left, 0));
    EXPECT_EQ(fill(&left), 1); /* the name is free, and as much room */
    watch_owner_release(table, &left);
    watch_owner_release(table, &right);
    watch_table_free(table);
    history_free(history);
}

static void add_plain_change(zxid at, const char *path)
{
    struct state_change change = {
        .kind = STATE_VALUE_SET, .path = bytes_of_text(path), .after = node_double_new(2, 0)};

    history_add(history, at, &change, 1);
    state_node_unref(change.after);
}

static void test_ten_thousand_watchers_of_one_path_all_get_each_change(void)
{
    const struct watch_table_options options = watch_table_options_default(5);
    struct watch_owner *owners = xcalloc(10000, sizeof *owners);
    zxid from;

    history = history_new(0, UINT64_MAX, 100000);
    table = watch_table_new(&options, &counting_port, history);
    for (size_t i = 0; i < 10000; i++) {
        watch_owner_init(table, &owners[i], NULL);
        EXPECT_OK(watch_table_add(table, &owners[i], 1, bytes_of_text("/hot"), i % 2 == 0, false, 0,
                                  &from));
    }
    plain_events = 0;
    for (zxid i = 1; i <= 50; i++) {
        add_plain_change(i, "/hot");
        while (watch_table_pump(table)) {
        }
    }
    EXPECT_EQ(plain_events, 50 * 10000);
    /* And when the changes of many turns come at once. */
    plain_events = 0;
    for (zxid i = 51; i <= 100; i++) {
        add_plain_change(i, "/hot");
    }
    while (watch_table_pump(table)) {
    }
    EXPECT_EQ(plain_events, 50 * 10000);
    for (size_t i = 0; i < 10000; i++) {
        watch_owner_release(table, &owners[i]);
    }
    watch_table_free(table);
    history_free(history);
    free(owners);
}

static void test_hundred_thousand_streams_resume_from_the_far_past(void)
{
    const struct watch_table_options options = watch_table_options_default(6);
    struct watch_owner owner;
    char path[32];
    zxid from;
    size_t pumps = 0;

    history = history_new(0, UINT64_MAX, 1 << 18);
    table = watch_table_new(&options, &counting_port, history);
    watch_owner_init(table, &owner, NULL);
    for (zxid i = 1; i <= 50000; i++) {
        (void)snprintf(path, sizeof path, "/n%u", (unsigned)(i % 1000));
        add_plain_change(i, path);
    }
    for (uint64_t i = 0; i < 100000; i++) {
        (void)snprintf(path, sizeof path, "/n%u", (unsigned)i);
        EXPECT_OK(
            watch_table_add(table, &owner, i, bytes_of_text(path), false, false, 1 + i % 3, &from));
    }
    plain_events = 0;
    plain_calls = 0;
    while (watch_table_pump(table)) {
        pumps++;
        EXPECT(pumps < 10000);
    }
    /* 1000 paths were changed 50 times each; n1, n2 and n3 before these streams start, in part. */
    EXPECT_EQ(plain_events, 50 * 1000 - 3 + 1);
    watch_table_check(table);
    plain_calls = 0;
    add_plain_change(50001, "/n77777");
    EXPECT(!watch_table_pump(table));
    EXPECT_EQ(plain_calls, 1);
    watch_owner_release(table, &owner);
    watch_table_free(table);
    history_free(history);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_plain_stream_sees_its_node_and_comings_and_goings_of_children),
        TEST_CASE(test_recursive_stream_sees_everything_at_and_below),
        TEST_CASE(test_root_streams_see_root_and_top_level),
        TEST_CASE(test_changes_of_one_turn_come_in_one_slice),
        TEST_CASE(test_unconcerned_owners_are_not_even_asked),
        TEST_CASE(test_stream_added_in_a_turn_does_not_see_what_came_before_it),
        TEST_CASE(test_stream_from_the_past_gets_everything_since),
        TEST_CASE(test_starts_outside_the_history_are_refused),
        TEST_CASE(test_full_owner_gets_nothing_until_it_drains_then_all),
        TEST_CASE(test_reader_that_falls_out_of_the_history_is_lost_once_and_gone),
        TEST_CASE(test_values_bound_a_slice),
        TEST_CASE(test_output_limit_is_passed_by_at_most_one_slice),
        TEST_CASE(test_command_larger_than_a_slice_is_split_and_up_to_stays_before_it),
        TEST_CASE(test_reset_of_the_history_loses_every_stream),
        TEST_CASE(test_progress_tells_quiet_streams_how_far_they_are),
        TEST_CASE(test_progress_says_nothing_before_the_pump),
        TEST_CASE(test_names_are_unique_per_owner_only),
        TEST_CASE(test_limits_hold_for_an_owner_and_for_all),
        TEST_CASE(test_bytes_are_limited_for_an_owner_and_for_all),
        TEST_CASE(test_ten_thousand_watchers_of_one_path_all_get_each_change),
        TEST_CASE(test_hundred_thousand_streams_resume_from_the_far_past),
        TEST_END};

    return test_main("watch_table", cases, argc, argv);
}
