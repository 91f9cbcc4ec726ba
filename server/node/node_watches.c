#include "server/node/node_watches.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum {
    OUTPUT_BYTES_MAX = 1024 * 1024, /* of a connection; beyond it its watches wait */
    PROGRESS_INTERVAL_US = 1000 * 1000,
    PROGRESS_SHARE = 10, /* of all streams are told how far they are, each interval */
    BLOCKED_INTERVAL_US = 50 * 1000
};

static bool is_full(void *owner_context)
{
    const struct client *client = owner_context;

    return client->is_leaving ||
           client->callbacks->output_bytes(client->context) > OUTPUT_BYTES_MAX;
}

static bool may_see(const struct client *client, const struct watch_event *event)
{
    return client_may(client, event->node, STATE_PERMISSION_READ);
}

static void on_events(void *owner_context,
                      uint64_t watch,
                      bool with_values,
                      const struct watch_event *events,
                      size_t count,
                      zxid up_to,
                      bool lost)
{
    const struct client *client = owner_context;
    struct watch_event *kept = NULL;
    size_t kept_count = 0;

    /* Nearly always all of them may be seen, and none is copied. */
    while (kept_count < count && may_see(client, &events[kept_count])) {
        kept_count++;
    }
    if (kept_count < count) {
        kept = xcalloc(count, sizeof *kept);
        memcpy(kept, events, kept_count * sizeof *kept);
        for (size_t i = kept_count; i < count; i++) {
            if (may_see(client, &events[i])) {
                kept[kept_count++] = events[i];
            }
        }
    }
    client->callbacks->on_events(client->context, watch, with_values, kept != NULL ? kept : events,
                                 kept_count, up_to, lost);
    free(kept);
}

void node_watches_init(struct node *node)
{
    const struct watch_table_port port = {.is_full = is_full, .on_events = on_events};
    struct watch_table_options options;
    uint64_t seed;

    node->port.random(node->port.context, &seed, sizeof seed);
    options = watch_table_options_default(seed);
    node->history = history_new(state_applied(node->state), node->options.history_bytes_max,
                                node->options.history_changes_max);
    node->watches = watch_table_new(&options, &port, node->history);
}

void node_watches_release(struct node *node)
{
    watch_table_free(node->watches);
    history_free(node->history);
}

static Client__Code code_of(enum status status)
{
    switch ((int)status) {
    case STATUS_OK:
        return CLIENT__CODE__OK;
    case STATUS_NOT_FOUND:
        return CLIENT__CODE__COMPACTED;
    case STATUS_UNAVAILABLE:
        return CLIENT__CODE__BEHIND;
    case STATUS_LIMIT:
        return CLIENT__CODE__LIMIT;
    default:
        return CLIENT__CODE__BAD_ARGUMENTS;
    }
}

void node_watches_execute(struct node *node, struct request *request, struct reply *reply)
{
    struct watch_owner *owner = &request->client->watches;

    if (request->kind == REQUEST_UNWATCH) {
        /* A stream that is gone already is what was asked for. */
        (void)!watch_table_remove(node->watches, owner, request->watch.watch);
        return;
    }
    reply->watch.from = 0;
    reply->watch.oldest = history_oldest(node->history);
    if (!state_path_is_valid(request->path)) {
        reply->code = CLIENT__CODE__BAD_ARGUMENTS;
        return;
    }
    reply->code = code_of(watch_table_add(node->watches, owner, request->watch.watch, request->path,
                                          request->watch.recursive, request->watch.with_values,
                                          request->watch.from, &reply->watch.from));
}

uint64_t node_watches_tick(struct node *node)
{
    uint64_t now_us = node_now(node);
    bool more = watch_table_pump(node->watches);

    if (now_us - node->progress_us >= PROGRESS_INTERVAL_US) {
        node->progress_us = now_us;
        watch_table_progress(node->watches, watch_table_count(node->watches) / PROGRESS_SHARE + 1);
    }
    history_trim(node->history);
    if (more) {
        return now_us;
    }
    if (watch_table_has_blocked(node->watches)) {
        return now_us + BLOCKED_INTERVAL_US;
    }
    return watch_table_count(node->watches) > 0 ? node->progress_us + PROGRESS_INTERVAL_US
                                                : UINT64_MAX;
}

bool node_find_changes(const struct node *node, zxid after, uint64_t count_max, uint64_t *ret_at)
{
    const struct history *history = node->history;
    history_sequence first;

    if (after < history_oldest(history)) {
        return false;
    }
    first = history_seek(history, after);
    if (history_end(history) - first > count_max) {
        return false;
    }
    *ret_at = first;
    return true;
}

const struct watch_event *node_next_change(const struct node *node, uint64_t *at)
{
    const struct history *history = node->history;

    if (*at < history_first(history) || *at >= history_end(history)) {
        return NULL;
    }
    return history_at(history, (*at)++);
}
