#include "tests/simulation/stream.h"

#include <inttypes.h>

void stream_start(struct stream *stream, const struct chronicle *chronicle, zxid from)
{
    stream->up_to = from;
    stream->next = chronicle_seek(chronicle, from);
}

static bool concerns(const struct stream *stream,
                     const struct chronicle *chronicle,
                     const struct chronicle_change *change)
{
    if (change->path == stream->path) {
        return true;
    }
    if (stream->recursive) {
        return chronicle_is_inside(chronicle, change->path, stream->path);
    }
    return (change->kind == STATE_CREATED || change->kind == STATE_REMOVED) &&
           chronicle_parent(chronicle, change->path) == stream->path;
}

/* Pass over what does not concern it; the next change that does, NULL at the end. */
static const struct chronicle_change *
next_change(const struct stream *stream, const struct chronicle *chronicle, size_t *number)
{
    for (*number = stream->next; *number < chronicle_change_count(chronicle); (*number)++) {
        const struct chronicle_change *change = chronicle_change_at(chronicle, *number);

        if (concerns(stream, chronicle, change)) {
            return change;
        }
    }
    return NULL;
}

static void take_event(struct stream *stream,
                       struct chronicle *chronicle,
                       const struct cluster_server *server,
                       const struct watch_event *event)
{
    size_t number;
    const struct chronicle_change *wanted = next_change(stream, chronicle, &number);
    struct bytes top = chronicle_text(chronicle, stream->path);

    if (wanted == NULL || wanted->at != event->zxid || wanted->kind != event->kind ||
        wanted->path != chronicle_path_of(chronicle, event->path) ||
        wanted->sum != chronicle_sum(event->node)) {
        struct bytes path = wanted == NULL ? BYTES_EMPTY : chronicle_text(chronicle, wanted->path);

        cluster_violation(server,
                          "a watch of %.*s%s gives change %d of %.*s at %" PRIu64
                          ", the next one is %d of %.*s at %" PRIu64,
                          (int)top.size, top.data, stream->recursive ? " and below" : "",
                          (int)event->kind, (int)event->path.size, event->path.data, event->zxid,
                          wanted == NULL ? 0 : (int)wanted->kind, (int)path.size, path.data,
                          wanted == NULL ? 0 : wanted->at);
    }
    stream->next = number + 1;
    stream->given++;
}

void stream_take(struct stream *stream,
                 struct chronicle *chronicle,
                 const struct cluster_server *server,
                 const struct watch_event *events,
                 size_t count,
                 zxid up_to)
{
    struct bytes top = chronicle_text(chronicle, stream->path);
    const struct chronicle_change *missed;
    size_t number;

    for (size_t i = 0; i < count; i++) {
        take_event(stream, chronicle, server, &events[i]);
    }
    if (up_to < stream->up_to || up_to > node_applied(server->node)) {
        cluster_violation(server,
                          "a watch of %.*s is told of everything up to %" PRIu64 " after %" PRIu64,
                          (int)top.size, top.data, up_to, stream->up_to);
    }
    missed = next_change(stream, chronicle, &number);
    if (missed != NULL && missed->at <= up_to) {
        struct bytes path = chronicle_text(chronicle, missed->path);

        cluster_violation(server,
                          "a watch of %.*s%s misses change %d of %.*s at %" PRIu64
                          ", it is told of everything up to %" PRIu64,
                          (int)top.size, top.data, stream->recursive ? " and below" : "",
                          (int)missed->kind, (int)path.size, path.data, missed->at, up_to);
    }
    stream->next = number;
    stream->up_to = up_to;
}

bool stream_is_complete(const struct stream *stream, const struct chronicle *chronicle)
{
    size_t number;

    return next_change(stream, chronicle, &number) == NULL;
}
