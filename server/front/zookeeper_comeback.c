#include "server/front/zookeeper_comeback.h"

#include "base/clock.h"
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

/* In the order in which they come; behind them, what the lasting ones missed. */
enum watch_list { LIST_DATA, LIST_EXIST, LIST_CHILD, LIST_PERSISTENT, LIST_RECURSIVE, MISSED };

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

/* Look through all lists before the first has an effect. */
static enum jute_error check(const struct zookeeper_details *details, int last)
{
    struct reader reader = reader_of(details->body);

    (void)jute_read_long(&reader);
    for (int list = LIST_DATA; list <= last; list++) {
        uint32_t count = jute_read_count(&reader, sizeof(int32_t), NULL);

        for (uint32_t i = 0; i < count && !reader.failed; i++) {
            (void)jute_read_buffer(&reader, NULL);
        }
    }
    return reader.failed ? JUTE_ERROR_MARSHALLING : JUTE_ERROR_OK;
}

static int last_list(const struct zookeeper_details *details)
{
    return details->type == JUTE_TYPE_SET_WATCHES_2 ? LIST_RECURSIVE : LIST_CHILD;
}

static void begin(const struct zookeeper_details *details, struct zookeeper_comeback_place *place)
{
    place->is_begun = true;
    place->error = check(details, last_list(details));
    place->reader = reader_of(details->body);
    if (place->error == JUTE_ERROR_OK) {
        place->seen_zxid = jute_read_long(&place->reader);
        place->list = LIST_DATA;
        place->left = jute_read_count(&place->reader, sizeof(int32_t), NULL);
    } else {
        place->is_done = true;
    }
}

static void set_next(struct zookeeper_comeback *comeback, struct zookeeper_comeback_place *place)
{
    struct bytes path = jute_read_buffer(&place->reader, NULL);

    place->left--;
    if (place->list < LIST_PERSISTENT) {
        set_one_shot(comeback, (enum watch_list)place->list, path, place->seen_zxid);
    } else {
        add_watch(comeback, path,
                  place->list == LIST_PERSISTENT ? ZOOKEEPER_WATCH_PERSISTENT
                                                 : ZOOKEEPER_WATCH_RECURSIVE);
    }
}

/* A client that has seen nothing has missed nothing. */
static bool finds_missed(const struct zookeeper_comeback *comeback,
                         struct zookeeper_comeback_place *place)
{
    return !comeback->forgets_missed && place->seen_zxid > 0 &&
           node_find_changes(comeback->node, (zxid)place->seen_zxid, ZOOKEEPER_REPLAY_CHANGES_MAX,
                             &place->missed_at);
}

static void finish(struct zookeeper_comeback *comeback, struct zookeeper_comeback_place *place)
{
    zookeeper_watcher_speak(comeback->watcher);
    place->is_done = true;
}

static void enter_next_list(struct zookeeper_comeback *comeback,
                            const struct zookeeper_details *details,
                            struct zookeeper_comeback_place *place)
{
    if (place->list == last_list(details)) {
        place->list = MISSED;
        if (last_list(details) < LIST_PERSISTENT || !finds_missed(comeback, place)) {
            finish(comeback, place);
        }
        return;
    }
    place->list++;
    place->left = jute_read_count(&place->reader, sizeof(int32_t), NULL);
    if (place->list == LIST_PERSISTENT) {
        zookeeper_watcher_hush(comeback->watcher);
    }
}

static void tell_missed(struct zookeeper_comeback *comeback, struct zookeeper_comeback_place *place)
{
    const struct zookeeper_replay replay =
        zookeeper_replay_of(comeback->node, comeback->client, comeback->watches, comeback->watcher,
                            comeback->output, &comeback->events);

    if (!zookeeper_replay_next(&replay, &place->missed_at)) {
        finish(comeback, place);
    }
}

bool zookeeper_come_back_some(struct zookeeper_comeback *comeback,
                              const struct zookeeper_details *details,
                              struct zookeeper_comeback_place *place,
                              uint64_t end_us)
{
    if (!place->is_begun) {
        begin(details, place);
    }
    while (!place->is_done && comeback->trouble == NULL) {
        if (place->list == MISSED) {
            tell_missed(comeback, place);
        } else if (place->left > 0) {
            set_next(comeback, place);
        } else {
            enter_next_list(comeback, details, place);
        }
        if (clock_monotonic_us() >= end_us) {
            break;
        }
    }
    return place->is_done || comeback->trouble != NULL;
}

enum jute_error zookeeper_come_back(struct zookeeper_comeback *comeback,
                                    const struct zookeeper_details *details,
                                    struct zookeeper_comeback_place *place)
{
    (void)zookeeper_come_back_some(comeback, details, place, UINT64_MAX);
    return place->error;
}
