#include "server/front/zookeeper_replay.h"

static struct zookeeper_replay *replay_of(struct zookeeper_watcher *watcher)
{
    return CONTAINER_OF(watcher, struct zookeeper_replay, watcher);
}

/* Whether a parent that is gone by now could be read then is not known: its end is told by an event
 * of its own. */
static bool may_see(struct zookeeper_watcher *watcher, const struct state_node *node)
{
    return node != NULL && client_may(replay_of(watcher)->client, node, STATE_PERMISSION_READ);
}

static void put_event(struct zookeeper_watcher *watcher, struct bytes frame)
{
    struct zookeeper_replay *replay = replay_of(watcher);

    if (replay->output->size - replay->begin <= ZOOKEEPER_REPLAY_BYTES_MAX) {
        buffer_put(replay->output, frame);
        replay->count++;
    }
}

void zookeeper_replay_begin(struct zookeeper_replay *replay,
                            struct node *node,
                            const struct client *client,
                            struct buffer *output,
                            uint64_t hash_seed)
{
    const struct zookeeper_watch_limits watch_limits = zookeeper_watch_limits_default();
    *replay = (struct zookeeper_replay){.node = node, .client = client, .output = output};
    replay->watches = zookeeper_watches_new(&watch_limits, hash_seed, may_see, put_event);
    zookeeper_watcher_init(replay->watches, &replay->watcher);
}

enum status
zookeeper_replay_add(struct zookeeper_replay *replay, struct bytes path, enum zookeeper_watch kind)
{
    return zookeeper_watches_add(replay->watches, &replay->watcher, path, kind);
}

static void fire(void *context, const struct watch_event *event)
{
    struct zookeeper_replay *replay = context;
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
    zookeeper_watches_fire(replay->watches, &change, parent);
    state_node_unref(parent);
}

size_t zookeeper_replay_finish(struct zookeeper_replay *replay, zxid seen)
{
    replay->begin = replay->output->size;
    if (zookeeper_watches_count(replay->watches).watches > 0) {
        (void)node_each_change_since(replay->node, seen, ZOOKEEPER_REPLAY_CHANGES_MAX, fire,
                                     replay);
    }
    if (replay->output->size - replay->begin > ZOOKEEPER_REPLAY_BYTES_MAX) {
        replay->output->size = replay->begin;
        replay->count = 0;
    }
    zookeeper_watcher_release(replay->watches, &replay->watcher);
    zookeeper_watches_free(replay->watches);
    return replay->count;
}
