#include "server/front/zookeeper_comeback.h"

#include "proto/jute.h"
#include "server/front/zookeeper_replay.h"

static void
add_watch(struct zookeeper_comeback *comeback, struct bytes path, enum zookeeper_watch kind)
{
    if (zookeeper_watches_add(comeback->watches, comeback->watcher, path, kind) != STATUS_OK) {
        comeback->trouble = "too many watches on one connection";
    }
}

static void
put_immediate_event(struct zookeeper_comeback *comeback, struct bytes path, enum jute_event type)
{
    struct buffer *output = comeback->output;
    size_t begin = jute_begin_frame(output);

    jute_put_reply_header(output, JUTE_XID_NOTIFICATION, -1, JUTE_ERROR_OK);
    jute_put_int(output, (int32_t)type);
    jute_put_int(output, JUTE_STATE_SYNC_CONNECTED);
    jute_put_buffer(output, path, false);
    jute_end_frame(output, begin);
    comeback->events++;
}

enum watch_list { LIST_DATA, LIST_EXIST, LIST_CHILD, LIST_PERSISTENT, LIST_RECURSIVE };

/* What a client missed that had left such a watch when it had seen `seen_zxid`. `stat` is NULL
 * where there is no node. False: nothing. */
static bool has_missed(enum watch_list list,
                       const struct state_stat *stat,
                       int64_t seen_zxid,
                       enum jute_event *ret_event)
{
    if (stat == NULL) {
        *ret_event = JUTE_EVENT_DELETED;
        return list != LIST_EXIST;
    }
    *ret_event = list == LIST_EXIST  ? JUTE_EVENT_CREATED
                 : list == LIST_DATA ? JUTE_EVENT_DATA_CHANGED
                                     : JUTE_EVENT_CHILDREN_CHANGED;
    return list == LIST_EXIST ||
           (int64_t)(list == LIST_DATA ? stat->mzxid : stat->pzxid) > seen_zxid;
}

/* A one-shot watch of a client that was away: the event that it missed, or the watch again. An
 * event of a node that it may not read is missed for good, as it is while it is connected. */
static void set_one_shot(struct zookeeper_comeback *comeback,
                         enum watch_list list,
                         struct bytes path,
                         int64_t seen_zxid)
{
    struct state_node *node = NULL;
    Client__Code code = node_read(comeback->node, path, &node);
    struct state_stat stat = {.mzxid = 0};
    bool may_know = true;
    enum jute_event event;

    if (code == CLIENT__CODE__OK) {
        stat = state_node_stat(node);
        may_know = client_may(comeback->client, node, STATE_PERMISSION_READ);
        state_node_unref(node);
    }
    if (code != CLIENT__CODE__OK && code != CLIENT__CODE__NO_NODE) {
        comeback->trouble = "the server cannot read";
    } else if (!has_missed(list, code == CLIENT__CODE__OK ? &stat : NULL, seen_zxid, &event)) {
        add_watch(comeback, path,
                  list == LIST_CHILD ? ZOOKEEPER_WATCH_CHILD : ZOOKEEPER_WATCH_DATA);
    } else if (may_know) {
        put_immediate_event(comeback, path, event);
    }
}

static void set_lasting(struct zookeeper_comeback *comeback,
                        struct zookeeper_replay *replay,
                        struct bytes path,
                        enum zookeeper_watch kind)
{
    add_watch(comeback, path, kind);
    /* The limit is that of the connection's own watches, which was met just now. */
    (void)!zookeeper_replay_add(replay, path, kind);
}

static void set_watch(struct zookeeper_comeback *comeback,
                      struct zookeeper_replay *replay,
                      enum watch_list list,
                      struct bytes path,
                      int64_t seen_zxid)
{
    if (list == LIST_PERSISTENT) {
        set_lasting(comeback, replay, path, ZOOKEEPER_WATCH_PERSISTENT);
    } else if (list == LIST_RECURSIVE) {
        set_lasting(comeback, replay, path, ZOOKEEPER_WATCH_RECURSIVE);
    } else {
        set_one_shot(comeback, list, path, seen_zxid);
    }
}

/* Read all lists, and set the watches unless `replay` is NULL. */
static enum jute_error walk_watches(struct zookeeper_comeback *comeback,
                                    const struct zookeeper_details *details,
                                    struct zookeeper_replay *replay,
                                    int64_t *ret_seen_zxid)
{
    enum watch_list last = details->type == JUTE_TYPE_SET_WATCHES_2 ? LIST_RECURSIVE : LIST_CHILD;
    struct reader reader = reader_of(details->body);

    *ret_seen_zxid = jute_read_long(&reader);
    for (int list = LIST_DATA; list <= (int)last; list++) {
        uint32_t count = jute_read_count(&reader, sizeof(int32_t), NULL);

        for (uint32_t i = 0; i < count && !reader.failed; i++) {
            struct bytes path = jute_read_buffer(&reader, NULL);

            if (replay != NULL) {
                set_watch(comeback, replay, (enum watch_list)list, path, *ret_seen_zxid);
            }
        }
    }
    return reader.failed ? JUTE_ERROR_MARSHALLING : JUTE_ERROR_OK;
}

/* All lists are looked through before the first has an effect. A client that has seen nothing has
 * missed nothing. */
enum jute_error zookeeper_come_back(struct zookeeper_comeback *comeback,
                                    const struct zookeeper_details *details)
{
    struct zookeeper_replay replay;
    int64_t seen_zxid = 0;
    enum jute_error error = walk_watches(comeback, details, NULL, &seen_zxid);

    if (error != JUTE_ERROR_OK) {
        return error;
    }
    zookeeper_replay_begin(&replay, comeback->node, comeback->client, comeback->output,
                           comeback->hash_seed);
    (void)walk_watches(comeback, details, &replay, &seen_zxid);
    if (comeback->forgets_missed || seen_zxid <= 0) {
        seen_zxid = INT64_MAX;
    }
    comeback->events += zookeeper_replay_finish(&replay, (zxid)seen_zxid);
    return JUTE_ERROR_OK;
}
