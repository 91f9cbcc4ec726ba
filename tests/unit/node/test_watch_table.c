#include "server/node/watch_table.h"

#include "base/prng.h"
#include "tests/support/test.h"
#include "tests/unit/node/node_double.h"

#include <stdio.h>
#include <string.h>

enum { PATH_MAX_BYTES = 64, MODEL_CHANGES_MAX = 100000, MODEL_STREAMS_MAX = 512, OWNERS_MAX = 16 };

/* --- A model: every change ever made, and each stream as a place in that list --- */

struct model_change {
    zxid zxid;
    enum state_change_kind kind;
    char path[PATH_MAX_BYTES];
};

struct model_stream {
    bool used;
    bool lost;
    uint64_t watch;
    size_t owner;
    char path[PATH_MAX_BYTES];
    bool recursive;
    bool with_values;
    size_t seen; /* changes before this one of the model's are dealt with */
    zxid up_to;
    size_t events;
};

struct client_double {
    struct watch_owner owner;
    size_t position;
    size_t output;
    size_t limit;
    size_t asked;
    size_t calls;
};

static struct model_change *model;
static size_t model_count;
static struct model_stream *streams;
static struct client_double *clients;
static struct history *history;
static struct watch_table *table;
static size_t slice_bytes_seen_max;

static bool is_parent_of(const char *parent, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t size = (size_t)(slash - path);

    if (strcmp(path, "/") == 0) {
        return false;
    }
    if (size == 0) {
        return strcmp(parent, "/") == 0;
    }
    return strlen(parent) == size && strncmp(parent, path, size) == 0;
}

static bool is_at_or_below(const char *top, const char *path)
{
    size_t size = strlen(top);

    if (strcmp(top, "/") == 0) {
        return true;
    }
    return strncmp(top, path, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

static bool naive_match(const struct model_stream *stream, const struct model_change *change)
{
    if (stream->recursive) {
        return is_at_or_below(stream->path, change->path);
    }
    return strcmp(stream->path, change->path) == 0 ||
           (is_parent_of(stream->path, change->path) &&
            (change->kind == STATE_CREATED || change->kind == STATE_REMOVED));
}

static struct model_stream *stream_of(size_t owner, uint64_t watch)
{
    size_t i = 0;

    while (!streams[i].used || streams[i].owner != owner || streams[i].watch != watch) {
        i++;
        CHECK_OP(i, <, MODEL_STREAMS_MAX);
    }
    return &streams[i];
}

/* Skip what does not concern the stream. */
static void advance(struct model_stream *stream)
{
    while (stream->seen < model_count && !naive_match(stream, &model[stream->seen])) {
        stream->seen++;
    }
}

static bool is_full(void *context)
{
    struct client_double *client = context;

    client->asked++;
    return client->output >= client->limit;
}

/* Each event must be the very next one that the naive twin expects. */
static void on_events(void *context,
                      uint64_t watch,
                      bool with_values,
                      const struct watch_event *events,
                      size_t count,
                      zxid up_to,
                      bool lost)
{
    struct client_double *client = context;
    struct model_stream *stream = stream_of(client->position, watch);
    size_t bytes = 0;

    client->calls++;
    EXPECT(client->output < client->limit);
    EXPECT(!stream->lost);
    EXPECT_EQ(with_values, stream->with_values);
    EXPECT(count <= WATCH_SLICE_EVENTS_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct model_change *expected;

        advance(stream);
        EXPECT(stream->seen < model_count);
        expected = &model[stream->seen];
        EXPECT_EQ(events[i].zxid, expected->zxid);
        EXPECT_EQ(events[i].kind, expected->kind);
        EXPECT_EQ(events[i].node->mark, stream->seen);
        EXPECT_BYTES(events[i].path, bytes_of_text(expected->path));
        stream->seen++;
        stream->events++;
        bytes += events[i].path.size;
        if (with_values && events[i].kind != STATE_REMOVED) {
            bytes += events[i].node->value_bytes;
        }
    }
    EXPECT(count <= 1 || bytes <= WATCH_SLICE_BYTES_MAX);
    client->output += bytes + 1;
    if (bytes > slice_bytes_seen_max) {
        slice_bytes_seen_max = bytes;
    }
    EXPECT(up_to >= stream->up_to);
    stream->up_to = up_to;
    advance(stream);
    if (lost) {
        EXPECT_EQ(count, 0);
        EXPECT(stream->seen < model_count && model[stream->seen].zxid <= history_oldest(history));
        stream->lost = true;
        stream->used = false;
        return;
    }
    /* Whatever up_to covers has been given. */
    EXPECT(stream->seen == model_count || model[stream->seen].zxid > up_to);
}

static void begin(size_t owner_count, uint64_t bytes_max, uint64_t changes_max)
{
    const struct watch_table_port port = {.is_full = is_full, .on_events = on_events};
    const struct watch_table_options options = watch_table_options_default(99);

    model = xcalloc(MODEL_CHANGES_MAX, sizeof *model);
    model_count = 0;
    node_double_count = 0;
    streams = xcalloc(MODEL_STREAMS_MAX, sizeof *streams);
    clients = xcalloc(OWNERS_MAX, sizeof *clients);
    history = history_new(100, bytes_max, changes_max);
    table = watch_table_new(&options, &port, history);
    for (size_t i = 0; i < owner_count; i++) {
        clients[i].position = i;
        clients[i].limit = SIZE_MAX;
        watch_owner_init(table, &clients[i].owner, &clients[i]);
    }
}

static void end(size_t owner_count)
{
    for (size_t i = 0; i < owner_count; i++) {
        watch_owner_release(table, &clients[i].owner);
    }
    EXPECT_EQ(watch_table_count(table), 0);
    watch_table_free(table);
    history_free(history);
    free(model);
    free(streams);
    free(clients);
    EXPECT_EQ(node_double_count, 0);
}

static void apply_change(zxid at, enum state_change_kind kind, const char *path, size_t value_bytes)
{
    (void)snprintf(model[model_count].path, PATH_MAX_BYTES, "%s", path);
    model[model_count].zxid = at;
    model[model_count].kind = kind;
    (void)value_bytes;
}

/* One command with `count` times the same kind of change of `path`. */
static void
change_times(zxid at, enum state_change_kind kind, const char *path, size_t count, size_t value)
{
    struct state_change *changes = xcalloc(count, sizeof *changes);

    for (size_t i = 0; i < count; i++) {
        struct state_node *node = node_double_new(value, model_count);

        apply_change(at, kind, path, value);
        changes[i] = (struct state_change){.kind = kind, .zxid = at};
        changes[i].path = bytes_of_text(path);
        changes[i].before = kind == STATE_REMOVED ? node : NULL;
        changes[i].after = kind == STATE_REMOVED ? NULL : node;
        model_count++;
    }
    history_add(history, at, changes, count);
    for (size_t i = 0; i < count; i++) {
        state_node_unref(changes[i].before);
        state_node_unref(changes[i].after);
    }
    free(changes);
}

static void change(zxid at, enum state_change_kind kind, const char *path)
{
    change_times(at, kind, path, 1, 10);
}

static enum status
add(size_t owner, uint64_t watch, const char *path, bool recursive, bool with_values, zxid from)
{
    zxid start = 0;
    enum status status = watch_table_add(table, &clients[owner].owner, watch, bytes_of_text(path),
                                         recursive, with_values, from, &start);

    if (status != STATUS_OK) {
        return status;
    }
    for (size_t i = 0; i < MODEL_STREAMS_MAX; i++) {
        struct model_stream *stream = &streams[i];

        if (!stream->used) {
            *stream = (struct model_stream){.used = true,
                                            .watch = watch,
                                            .owner = owner,
                                            .recursive = recursive,
                                            .with_values = with_values,
                                            .up_to = start};
            (void)snprintf(stream->path, PATH_MAX_BYTES, "%s", path);
            while (stream->seen < model_count && model[stream->seen].zxid <= start) {
                stream->seen++;
            }
            EXPECT_EQ(start, from == 0 ? history_last(history) : from);
            return STATUS_OK;
        }
    }
    EXPECT(false);
    return STATUS_LIMIT;
}

static void pump_all(void)
{
    size_t rounds = 0;

    while (watch_table_pump(table)) {
        rounds++;
        EXPECT(rounds < 100000);
    }
    watch_table_check(table);
}

static size_t events_of(size_t owner, uint64_t watch)
{
    return stream_of(owner, watch)->events;
}

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
    watch_owner_release(table, &left);
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

/* --- Against the naive twin --- */

static void random_path(struct prng *prng, char path[PATH_MAX_BYTES])
{
    size_t depth = prng_below(prng, 5);
    size_t size = 0;

    (void)snprintf(path, PATH_MAX_BYTES, "/");
    for (size_t i = 0; i < depth; i++) {
        const char *letter = prng_below(prng, 2) == 0 ? "a" : "b";
        const char *more = prng_below(prng, 3) == 0 ? "b" : "";

        size += (size_t)snprintf(path + size, PATH_MAX_BYTES - size, "/%s%s", letter, more);
    }
}

static void random_step(struct prng *prng, zxid *last, uint64_t *last_watch)
{
    static const enum state_change_kind kinds[] = {STATE_CREATED, STATE_VALUE_SET, STATE_REMOVED,
                                                   STATE_ACL_SET};
    char path[PATH_MAX_BYTES];
    size_t owner = prng_below(prng, OWNERS_MAX);
    uint64_t dice = prng_below(prng, 100);

    random_path(prng, path);
    if (dice < 50) {
        enum state_change_kind kind = kinds[prng_below(prng, 4)];
        size_t count_max = prng_below(prng, 20) == 0 ? 700 : 3;
        size_t value_bytes = prng_below(prng, 10) == 0 ? 90000 : 10;

        *last += prng_between(prng, 1, 3);
        change_times(*last, kind, path, prng_below(prng, count_max), value_bytes);
    } else if (dice < 62 && watch_table_count(table) < MODEL_STREAMS_MAX / 2) {
        bool recursive = prng_below(prng, 2) == 0;
        bool with_values = prng_below(prng, 2) == 0;
        zxid from = prng_between(prng, history_oldest(history), history_last(history));

        (*last_watch)++;
        EXPECT_OK(add(owner, *last_watch, path, recursive, with_values,
                      prng_below(prng, 2) == 0 ? 0 : from));
    } else if (dice < 66) {
        struct model_stream *stream = &streams[prng_below(prng, MODEL_STREAMS_MAX)];

        if (stream->used) {
            EXPECT_OK(watch_table_remove(table, &clients[stream->owner].owner, stream->watch));
            stream->used = false;
        }
    } else if (dice < 76) {
        clients[owner].output = 0;
    } else if (dice < 80) {
        clients[owner].limit = prng_below(prng, 4) == 0 ? 0 : prng_below(prng, 1000000);
    } else if (dice < 81) {
        watch_owner_release(table, &clients[owner].owner);
        watch_owner_init(table, &clients[owner].owner, &clients[owner]);
        for (size_t i = 0; i < MODEL_STREAMS_MAX; i++) {
            streams[i].used = streams[i].used && streams[i].owner != owner;
        }
    } else if (dice < 95) {
        (void)watch_table_pump(table);
        if (prng_below(prng, 3) == 0) {
            watch_table_progress(table, prng_below(prng, 50));
        }
        history_trim(history);
        watch_table_check(table);
    }
}

static void test_random_runs_agree_with_the_naive_twin(void)
{
    struct prng prng;
    size_t lost = 0;
    size_t given = 0;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        zxid last = 100;
        uint64_t last_watch = 0;

        prng_init(&prng, seed);
        begin(OWNERS_MAX, UINT64_MAX, prng_between(&prng, 50, 3000));
        while (model_count < 12000) {
            random_step(&prng, &last, &last_watch);
        }
        for (size_t i = 0; i < OWNERS_MAX; i++) {
            clients[i].limit = SIZE_MAX;
        }
        for (size_t i = 0; i < MODEL_STREAMS_MAX; i++) {
            lost += streams[i].lost;
        }
        pump_all();
        watch_table_progress(table, SIZE_MAX);
        for (size_t i = 0; i < MODEL_STREAMS_MAX; i++) {
            if (streams[i].used) {
                advance(&streams[i]);
                EXPECT_EQ(streams[i].seen, model_count);
                EXPECT_EQ(streams[i].up_to, last);
                given += streams[i].events;
            }
        }
        end(OWNERS_MAX);
    }
    /* The run must have come by what it is about. */
    EXPECT(lost > 5);
    EXPECT(given > 10000);
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
        TEST_CASE(test_random_runs_agree_with_the_naive_twin),
        TEST_END};

    return test_main("watch_table", cases, argc, argv);
}
