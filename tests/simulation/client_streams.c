#include "tests/simulation/client_streams.h"

#include "base/check.h"
#include "tests/simulation/writes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void client_streams_init(struct client_streams *streams,
                         struct chronicle *chronicle,
                         const struct settings *settings,
                         struct prng *prng,
                         struct client_streams_counts *counts)
{
    memset(streams, 0, sizeof *streams);
    streams->chronicle = chronicle;
    streams->settings = settings;
    streams->prng = prng;
    streams->counts = counts;
}

static void forget_after(struct client_stream *item)
{
    free((void *)(uintptr_t)item->after.data);
    item->after = BYTES_EMPTY;
}

void client_streams_release(struct client_streams *streams)
{
    for (size_t i = 0; i < CLIENT_STREAMS_MAX; i++) {
        forget_after(&streams->items[i]);
    }
}

/* --- What to ask for --- */

static void draw_stream(struct client_streams *streams, struct client_stream *item)
{
    struct arena arena;
    struct bytes path;

    arena_init(&arena);
    item->stream.recursive = timeline_chance(streams->prng, 500);
    path = item->stream.recursive || timeline_chance(streams->prng, 500)
               ? writes_folder(streams->settings, streams->prng, &arena)
               : writes_path(streams->settings, streams->prng, &arena);
    item->stream.path = chronicle_path_of(streams->chronicle, path);
    arena_release(&arena);
    item->state = CLIENT_STREAM_WANTED;
    item->fresh = true;
    item->resync = timeline_chance(streams->prng, 300);
    item->with_values = timeline_chance(streams->prng, 500);
}

static struct request *ask_watch(struct client_streams *streams, struct client_stream *item)
{
    struct request *request = request_new(REQUEST_WATCH);

    item->name = ++streams->last_name;
    item->state = CLIENT_STREAM_ASKED;
    request->path =
        arena_copy(&request->arena, chronicle_text(streams->chronicle, item->stream.path));
    request->watch.watch = item->name;
    request->watch.recursive = item->stream.recursive;
    request->watch.with_values = item->with_values;
    request->watch.from = item->fresh ? 0 : item->stream.up_to;
    return request;
}

static struct request *ask_page(struct client_streams *streams, struct client_stream *item)
{
    struct request *request = request_new(REQUEST_READ_TREE);

    item->reading = true;
    request->path =
        arena_copy(&request->arena, chronicle_text(streams->chronicle, item->stream.path));
    request->page.after = arena_copy(&request->arena, item->after);
    request->page.count_max = (uint32_t)prng_between(streams->prng, 1, 20);
    request->page.depth_max = item->stream.recursive ? 0 : 1;
    request->page.with_nodes = true;
    return request;
}

static struct request *ask_end(struct client_stream *item)
{
    struct request *request = request_new(REQUEST_UNWATCH);

    item->state = CLIENT_STREAM_ENDING;
    request->watch.watch = item->name;
    return request;
}

struct request *client_streams_next(struct client_streams *streams, bool quiet)
{
    struct client_stream *item;

    for (size_t i = 0; i < CLIENT_STREAMS_MAX; i++) {
        item = &streams->items[i];
        if (item->state == CLIENT_STREAM_WANTED) {
            return ask_watch(streams, item);
        }
        if (item->state == CLIENT_STREAM_LIVE && item->resync && !item->reading) {
            return ask_page(streams, item);
        }
    }
    if (quiet || !timeline_chance(streams->prng, 50)) {
        return NULL;
    }
    item = &streams->items[prng_below(streams->prng, CLIENT_STREAMS_MAX)];
    if (item->state == CLIENT_STREAM_LIVE && timeline_chance(streams->prng, 300)) {
        return ask_end(item);
    }
    if (item->state == CLIENT_STREAM_NONE) {
        draw_stream(streams, item);
        return ask_watch(streams, item);
    }
    return NULL;
}

/* --- Answers --- */

static struct client_stream *find_name(struct client_streams *streams, uint64_t name)
{
    for (size_t i = 0; i < CLIENT_STREAMS_MAX; i++) {
        if (streams->items[i].state != CLIENT_STREAM_NONE && streams->items[i].name == name) {
            return &streams->items[i];
        }
    }
    return NULL;
}

static void start_anew(struct client_stream *item)
{
    item->state = CLIENT_STREAM_WANTED;
    item->fresh = true;
    item->resync = true;
    item->reading = false;
    forget_after(item);
}

static void end(struct client_stream *item)
{
    item->state = CLIENT_STREAM_NONE;
    item->reading = false;
    forget_after(item);
}

static void on_watch(struct client_streams *streams,
                     const struct cluster_server *server,
                     const struct request *request,
                     const struct reply *reply)
{
    struct client_stream *item = find_name(streams, request->watch.watch);

    CHECK(item != NULL && item->state == CLIENT_STREAM_ASKED);
    switch ((int)reply->code) {
    case CLIENT__CODE__OK:
        if (reply->watch.from > reply->zxid ||
            (request->watch.from != 0 && reply->watch.from != request->watch.from)) {
            cluster_violation(
                server, "a watch from %" PRIu64 " starts at %" PRIu64 ", %" PRIu64 " is applied",
                request->watch.from, reply->watch.from, reply->zxid);
        }
        streams->counts->resumed += !item->fresh;
        item->state = CLIENT_STREAM_LIVE;
        item->fresh = false;
        stream_start(&item->stream, streams->chronicle, reply->watch.from);
        break;
    case CLIENT__CODE__COMPACTED:
        if (request->watch.from == 0 || request->watch.from >= reply->watch.oldest) {
            cluster_violation(server,
                              "a watch from %" PRIu64 " is refused, the history reaches back to "
                              "%" PRIu64,
                              request->watch.from, reply->watch.oldest);
        }
        streams->counts->compacted++;
        start_anew(item);
        break;
    case CLIENT__CODE__BAD_ARGUMENTS:
    case CLIENT__CODE__LIMIT:
        cluster_violation(server, "a sound watch is refused");
    default:
        item->state = CLIENT_STREAM_WANTED; /* it is behind, or has no cluster: again */
        break;
    }
}

/* Find the stream whose page this is: the one that reads. */
static void on_page(struct client_streams *streams,
                    const struct cluster_server *server,
                    const struct request *request,
                    const struct reply *reply)
{
    chronicle_path path = chronicle_path_of(streams->chronicle, request->path);
    struct client_stream *item = NULL;

    for (size_t i = 0; i < CLIENT_STREAMS_MAX; i++) {
        if (streams->items[i].reading && streams->items[i].stream.path == path &&
            bytes_equal(streams->items[i].after, request->page.after)) {
            item = &streams->items[i];
        }
    }
    if (reply->code != CLIENT__CODE__OK && reply->code != CLIENT__CODE__NO_NODE) {
        if (item != NULL) {
            item->reading = false;
        }
        return;
    }
    chronicle_check_tree(streams->chronicle, server, request, reply);
    if (item == NULL) {
        return;
    }
    if (reply->zxid < item->stream.up_to) {
        cluster_violation(server,
                          "what is watched is read at %" PRIu64 ", changes come after %" PRIu64,
                          reply->zxid, item->stream.up_to);
    }
    item->reading = false;
    forget_after(item);
    item->resync = reply->code == CLIENT__CODE__OK && reply->tree.more;
    if (item->resync) {
        struct bytes last = reply->tree.nodes[reply->tree.count - 1].path;

        item->after = bytes_of(bytes_copy(last), last.size);
    }
}

void client_streams_on_reply(struct client_streams *streams,
                             const struct cluster_server *server,
                             const struct request *request,
                             const struct reply *reply)
{
    struct client_stream *item;

    if (request->kind == REQUEST_WATCH) {
        on_watch(streams, server, request, reply);
    } else if (request->kind == REQUEST_READ_TREE) {
        on_page(streams, server, request, reply);
    } else {
        item = find_name(streams, request->watch.watch);
        if (item != NULL && reply->code == CLIENT__CODE__OK) {
            end(item);
        } else if (item != NULL) {
            item->state = CLIENT_STREAM_LIVE;
        }
    }
}

void client_streams_on_events(struct client_streams *streams,
                              const struct cluster_server *server,
                              uint64_t watch,
                              const struct watch_event *events,
                              size_t count,
                              zxid up_to,
                              bool lost)
{
    struct client_stream *item = find_name(streams, watch);

    if (item == NULL ||
        (item->state != CLIENT_STREAM_LIVE && item->state != CLIENT_STREAM_ENDING)) {
        cluster_violation(server, "%zu events of a watch that nobody has", count);
    }
    if (lost) {
        streams->counts->lost++;
        if (item->state == CLIENT_STREAM_LIVE) {
            start_anew(item);
        } else {
            end(item); /* whatever the answer to its UNWATCH will be */
        }
        return;
    }
    streams->counts->given += count;
    stream_take(&item->stream, streams->chronicle, server, events, count, up_to);
}

void client_streams_on_disconnect(struct client_streams *streams)
{
    for (size_t i = 0; i < CLIENT_STREAMS_MAX; i++) {
        struct client_stream *item = &streams->items[i];

        item->reading = false;
        if (item->state == CLIENT_STREAM_ENDING) {
            item->state = CLIENT_STREAM_NONE;
            forget_after(item);
        } else if (item->state != CLIENT_STREAM_NONE) {
            item->state = CLIENT_STREAM_WANTED;
            item->fresh |= item->stream.up_to == 0; /* 0 means "from now" */
            item->resync |= item->fresh;
        }
    }
}

bool client_streams_are_complete(const struct client_streams *streams)
{
    for (size_t i = 0; i < CLIENT_STREAMS_MAX; i++) {
        const struct client_stream *item = &streams->items[i];

        if (item->state != CLIENT_STREAM_NONE &&
            (item->state != CLIENT_STREAM_LIVE || item->resync ||
             !stream_is_complete(&item->stream, streams->chronicle))) {
            return false;
        }
    }
    return true;
}
