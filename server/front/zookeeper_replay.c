#include "server/front/zookeeper_replay.h"

static const struct zookeeper_replay *replay_of(const struct zookeeper_hearing *hearing)
{
    return CONTAINER_OF(hearing, const struct zookeeper_replay, hearing);
}

/* Whether a parent that is gone by now could be read then is not known: its end is told by an event
 * of its own. */
static bool may_see(const struct zookeeper_hearing *hearing, const struct state_node *node)
{
    return node != NULL && client_may(replay_of(hearing)->client, node, STATE_PERMISSION_READ);
}

static void put_event(const struct zookeeper_hearing *hearing, struct bytes frame)
{
    buffer_put(replay_of(hearing)->output, frame);
    (*replay_of(hearing)->events)++;
}

struct zookeeper_replay zookeeper_replay_of(struct node *node,
                                            const struct client *client,
                                            struct zookeeper_watches *watches,
                                            struct zookeeper_watcher *watcher,
                                            struct buffer *output,
                                            size_t *events)
{
    return (struct zookeeper_replay){
        .hearing = {.watcher = watcher, .may_see = may_see, .send = put_event},
        .node = node,
        .client = client,
        .watches = watches,
        .output = output,
        .events = events};
}

static void replay_change(const struct zookeeper_replay *replay, const struct watch_event *event)
{
    bool is_removed = event->kind == STATE_REMOVED;
    const struct state_change change = {.kind = event->kind,
                                        .zxid = event->zxid,
                                        .path = event->path,
                                        .before = is_removed ? event->node : NULL,
                                        .after = is_removed ? NULL : event->node};
    struct state_node *parent = NULL;

    if (event->path.size > 1 && node_read(replay->node, zookeeper_watches_parent(event->path),
                                          &parent) == CLIENT__CODE__STOPPING) {
        return;
    }
    zookeeper_watches_fire_silent(replay->watches, &change, parent, &replay->hearing);
    state_node_unref(parent);
}

bool zookeeper_replay_next(const struct zookeeper_replay *replay, uint64_t *at)
{
    const struct watch_event *event = node_next_change(replay->node, at);

    if (event != NULL) {
        replay_change(replay, event);
    }
    return event != NULL;
}
