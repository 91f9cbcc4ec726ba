/* A watch table beside a model: every change ever made, and each stream as a place in them.
 * Included once in a test program. */
#ifndef TESTS_UNIT_NODE_WATCH_TABLE_LAB_H
#define TESTS_UNIT_NODE_WATCH_TABLE_LAB_H

#include "server/node/watch_table.h"
#include "tests/support/test.h"
#include "tests/unit/node/node_double.h"

#include <stdio.h>
#include <string.h>

enum { PATH_MAX_BYTES = 64, MODEL_CHANGES_MAX = 100000, MODEL_STREAMS_MAX = 512, OWNERS_MAX = 16 };

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

static inline bool is_parent_of(const char *parent, const char *path)
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

static inline bool is_at_or_below(const char *top, const char *path)
{
    size_t size = strlen(top);

    if (strcmp(top, "/") == 0) {
        return true;
    }
    return strncmp(top, path, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

static inline bool naive_match(const struct model_stream *stream, const struct model_change *change)
{
    if (stream->recursive) {
        return is_at_or_below(stream->path, change->path);
    }
    return strcmp(stream->path, change->path) == 0 ||
           (is_parent_of(stream->path, change->path) &&
            (change->kind == STATE_CREATED || change->kind == STATE_REMOVED));
}

static inline struct model_stream *stream_of(size_t owner, uint64_t watch)
{
    size_t i = 0;

    while (!streams[i].used || streams[i].owner != owner || streams[i].watch != watch) {
        i++;
        CHECK_OP(i, <, MODEL_STREAMS_MAX);
    }
    return &streams[i];
}

/* Skip what does not concern the stream. */
static inline void advance(struct model_stream *stream)
{
    while (stream->seen < model_count && !naive_match(stream, &model[stream->seen])) {
        stream->seen++;
    }
}

static inline bool is_full(void *context)
{
    struct client_double *client = context;

    client->asked++;
    return client->output >= client->limit;
}

/* Each event must be the very next one that the naive twin expects. */
static inline void on_events(void *context,
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

static inline void begin(size_t owner_count, uint64_t bytes_max, uint64_t changes_max)
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

static inline void end(size_t owner_count)
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

static inline void
apply_change(zxid at, enum state_change_kind kind, const char *path, size_t value_bytes)
{
    (void)snprintf(model[model_count].path, PATH_MAX_BYTES, "%s", path);
    model[model_count].zxid = at;
    model[model_count].kind = kind;
    (void)value_bytes;
}

/* One command with `count` times the same kind of change of `path`. */
static inline void
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

static inline void change(zxid at, enum state_change_kind kind, const char *path)
{
    change_times(at, kind, path, 1, 10);
}

static inline enum status
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

static inline void pump_all(void)
{
    size_t rounds = 0;

    while (watch_table_pump(table)) {
        rounds++;
        EXPECT(rounds < 100000);
    }
    watch_table_check(table);
}

static inline size_t events_of(size_t owner, uint64_t watch)
{
    return stream_of(owner, watch)->events;
}

#endif
