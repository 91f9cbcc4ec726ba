#include "server/front/native_answer.h"

#include "base/check.h"
#include "proto/field.h"

/* Field numbers, as in client.proto and record.proto. */
enum {
    RESPONSE_ID = 1,
    RESPONSE_CODE = 2,
    RESPONSE_MESSAGE = 3,
    RESPONSE_ZXID = 4,
    GET_VALUE = 1,
    GET_VALUE_IS_NULL = 2,
    GET_STAT = 3,
    GET_ACL = 4,
    GET_TTL_MS = 5,
    GET_CONTAINER = 6,
    LIST_CHILDREN = 1,
    LIST_MORE = 2,
    LIST_PARENT = 3,
    CHILD_NAME = 1,
    TREE_NODES = 1,
    TREE_MORE = 2,
    NODE_PATH = 1,
    WRITE_ZXID = 1,
    WRITE_OPERATIONS = 2,
    EVENTS_WATCH = 1,
    EVENTS_EVENTS = 2,
    EVENTS_UP_TO_ZXID = 3,
    EVENTS_LOST = 4,
    EVENT_ZXID = 1,
    EVENT_KIND = 2,
    EVENT_PATH = 3,
    STAT_CZXID = 1,
    STAT_MZXID = 2,
    STAT_PZXID = 3,
    STAT_CTIME_MS = 4,
    STAT_MTIME_MS = 5,
    STAT_VERSION = 6,
    STAT_CVERSION = 7,
    STAT_AVERSION = 8,
    STAT_EPHEMERAL_OWNER = 9,
    STAT_VALUE_BYTES = 10,
    STAT_CHILD_COUNT = 11,
    STAT_BYTES_MAX = 6 * (1 + 10) + 5 * (1 + 5), /* six numbers of 64 bits, five of 32 */
    ACL_PERMISSIONS = 1,
    ACL_SCHEME = 2,
    ACL_ID = 3,
    RESULT_ERROR = 1,
    RESULT_PATH = 2,
    RESULT_STAT = 3,
    RESULT_CREATED = 4
};

/* --- Stat --- */

static size_t stat_bytes(const struct state_stat *stat)
{
    return field_number_bytes(STAT_CZXID, stat->czxid) +
           field_number_bytes(STAT_MZXID, stat->mzxid) +
           field_number_bytes(STAT_PZXID, stat->pzxid) +
           field_number_bytes(STAT_CTIME_MS, stat->ctime_ms) +
           field_number_bytes(STAT_MTIME_MS, stat->mtime_ms) +
           field_number_bytes(STAT_VERSION, field_zigzag(stat->version)) +
           field_number_bytes(STAT_CVERSION, field_zigzag(stat->cversion)) +
           field_number_bytes(STAT_AVERSION, field_zigzag(stat->aversion)) +
           field_number_bytes(STAT_EPHEMERAL_OWNER, stat->ephemeral_owner) +
           field_number_bytes(STAT_VALUE_BYTES, stat->value_bytes) +
           field_number_bytes(STAT_CHILD_COUNT, stat->child_count);
}

/* Its size takes one byte, whatever is in it, and so can be put in last. */
_Static_assert(STAT_BYTES_MAX < 0x80, "the size of a Stat takes one byte");

static uint8_t *put_stat(uint8_t *to, uint32_t number, const struct state_stat *stat)
{
    uint8_t *begin = field_put_message_head(to, number, 0);

    to = field_put_number(begin, STAT_CZXID, stat->czxid);
    to = field_put_number(to, STAT_MZXID, stat->mzxid);
    to = field_put_number(to, STAT_PZXID, stat->pzxid);
    to = field_put_number(to, STAT_CTIME_MS, stat->ctime_ms);
    to = field_put_number(to, STAT_MTIME_MS, stat->mtime_ms);
    to = field_put_number(to, STAT_VERSION, field_zigzag(stat->version));
    to = field_put_number(to, STAT_CVERSION, field_zigzag(stat->cversion));
    to = field_put_number(to, STAT_AVERSION, field_zigzag(stat->aversion));
    to = field_put_number(to, STAT_EPHEMERAL_OWNER, stat->ephemeral_owner);
    to = field_put_number(to, STAT_VALUE_BYTES, stat->value_bytes);
    to = field_put_number(to, STAT_CHILD_COUNT, stat->child_count);
    begin[-1] = (uint8_t)(to - begin);
    return to;
}

/* --- GetReply --- */

static size_t acl_entry_bytes(const struct state_acl_entry *entry)
{
    return field_number_bytes(ACL_PERMISSIONS, entry->permissions) +
           field_bytes_bytes(ACL_SCHEME, entry->scheme) + field_bytes_bytes(ACL_ID, entry->id);
}

static size_t get_bytes(const struct native_get *get)
{
    size_t bytes = field_bytes_bytes(GET_VALUE, get->value) +
                   field_number_bytes(GET_VALUE_IS_NULL, get->value_is_null) +
                   field_message_bytes(GET_STAT, stat_bytes(&get->stat)) +
                   field_number_bytes(GET_TTL_MS, get->ttl_ms) +
                   field_number_bytes(GET_CONTAINER, get->container);

    for (size_t i = 0; i < get->acl_count; i++) {
        bytes += field_message_bytes(GET_ACL, acl_entry_bytes(&get->acl[i]));
    }
    return bytes;
}

static uint8_t *put_get(uint8_t *to, const struct native_get *get)
{
    to = get->value_is_apart ? field_put_message_head(to, GET_VALUE, get->value.size)
                             : field_put_bytes(to, GET_VALUE, get->value);
    to = field_put_number(to, GET_VALUE_IS_NULL, get->value_is_null);
    to = put_stat(to, GET_STAT, &get->stat);
    for (size_t i = 0; i < get->acl_count; i++) {
        const struct state_acl_entry *entry = &get->acl[i];

        to = field_put_message_head(to, GET_ACL, acl_entry_bytes(entry));
        to = field_put_number(to, ACL_PERMISSIONS, entry->permissions);
        to = field_put_bytes(to, ACL_SCHEME, entry->scheme);
        to = field_put_bytes(to, ACL_ID, entry->id);
    }
    to = field_put_number(to, GET_TTL_MS, get->ttl_ms);
    return field_put_number(to, GET_CONTAINER, get->container);
}

/* --- One node of many: a child, a node of a subtree, an event --- */

/* They have the same four fields in a row: name or path, stat, value, value_is_null. */
struct shown {
    struct bytes name;
    const struct state_node *node; /* NULL: it has only a name */
    bool with_stat;
    bool with_value;
};

static size_t content_bytes(uint32_t first, const struct shown *shown)
{
    size_t bytes = 0;

    if (shown->with_stat) {
        const struct state_stat stat = state_node_stat(shown->node);

        bytes += field_message_bytes(first + 1, stat_bytes(&stat));
    }
    if (shown->with_value) {
        bool is_null = false;

        bytes += field_bytes_bytes(first + 2, state_node_value(shown->node, &is_null));
        bytes += field_number_bytes(first + 3, is_null);
    }
    return bytes;
}

static uint8_t *put_content(uint8_t *to, uint32_t first, const struct shown *shown)
{
    if (shown->with_stat) {
        const struct state_stat stat = state_node_stat(shown->node);

        to = put_stat(to, first + 1, &stat);
    }
    if (shown->with_value) {
        bool is_null = false;

        to = field_put_bytes(to, first + 2, state_node_value(shown->node, &is_null));
        to = field_put_number(to, first + 3, is_null);
    }
    return to;
}

/* Inline, as of most children only the name is asked for. */
static inline size_t shown_bytes(uint32_t first, const struct shown *shown)
{
    return field_bytes_bytes(first, shown->name) +
           (shown->node == NULL ? 0 : content_bytes(first, shown));
}

static inline uint8_t *put_shown(uint8_t *to, uint32_t first, const struct shown *shown)
{
    to = field_put_bytes(to, first, shown->name);
    return shown->node == NULL ? to : put_content(to, first, shown);
}

/* --- ListReply --- */

static struct shown shown_child(const struct native_list *list, size_t position)
{
    const struct state_child *child = &list->children->items[position];

    return (struct shown){.name = child->name,
                          .node = child->node,
                          .with_stat = list->with_stats,
                          .with_value = list->with_values};
}

static size_t list_bytes(const struct native_list *list)
{
    size_t bytes = field_number_bytes(LIST_MORE, list->children->more) +
                   field_message_bytes(LIST_PARENT, stat_bytes(&list->children->parent));

    for (size_t i = 0; i < list->children->count; i++) {
        const struct shown child = shown_child(list, i);

        bytes += field_message_bytes(LIST_CHILDREN, shown_bytes(CHILD_NAME, &child));
    }
    return bytes;
}

static uint8_t *put_list(uint8_t *to, const struct native_list *list)
{
    for (size_t i = 0; i < list->children->count; i++) {
        const struct shown child = shown_child(list, i);

        to = field_put_message_head(to, LIST_CHILDREN, shown_bytes(CHILD_NAME, &child));
        to = put_shown(to, CHILD_NAME, &child);
    }
    to = field_put_number(to, LIST_MORE, list->children->more);
    return put_stat(to, LIST_PARENT, &list->children->parent);
}

/* --- ReadTreeReply --- */

static struct shown shown_node(const struct native_tree *tree, size_t position)
{
    const struct reply_tree_node *node = &tree->nodes[position];

    return (struct shown){
        .name = node->path, .node = node->node, .with_stat = true, .with_value = tree->with_values};
}

static size_t tree_bytes(const struct native_tree *tree)
{
    size_t bytes = field_number_bytes(TREE_MORE, tree->more);

    for (size_t i = 0; i < tree->count; i++) {
        const struct shown node = shown_node(tree, i);

        bytes += field_message_bytes(TREE_NODES, shown_bytes(NODE_PATH, &node));
    }
    return bytes;
}

static uint8_t *put_tree(uint8_t *to, const struct native_tree *tree)
{
    for (size_t i = 0; i < tree->count; i++) {
        const struct shown node = shown_node(tree, i);

        to = field_put_message_head(to, TREE_NODES, shown_bytes(NODE_PATH, &node));
        to = put_shown(to, NODE_PATH, &node);
    }
    return field_put_number(to, TREE_MORE, tree->more);
}

/* --- WriteReply --- */

static size_t result_bytes(const struct state_op_result *result)
{
    return field_number_bytes(RESULT_ERROR, result->error) +
           field_bytes_bytes(RESULT_PATH, result->path) +
           (result->has_stat ? field_message_bytes(RESULT_STAT, stat_bytes(&result->stat)) : 0) +
           field_number_bytes(RESULT_CREATED, result->created);
}

static uint8_t *put_result(uint8_t *to, const struct state_op_result *result)
{
    to = field_put_number(to, RESULT_ERROR, result->error);
    to = field_put_bytes(to, RESULT_PATH, result->path);
    if (result->has_stat) {
        to = put_stat(to, RESULT_STAT, &result->stat);
    }
    return field_put_number(to, RESULT_CREATED, result->created);
}

static size_t write_bytes(const struct state_result *write)
{
    size_t bytes = field_number_bytes(WRITE_ZXID, write->zxid);

    for (size_t i = 0; i < write->operation_count; i++) {
        bytes += field_message_bytes(WRITE_OPERATIONS, result_bytes(&write->operations[i]));
    }
    return bytes;
}

static uint8_t *put_write(uint8_t *to, const struct state_result *write)
{
    to = field_put_number(to, WRITE_ZXID, write->zxid);
    for (size_t i = 0; i < write->operation_count; i++) {
        const struct state_op_result *result = &write->operations[i];

        to = field_put_message_head(to, WRITE_OPERATIONS, result_bytes(result));
        to = put_result(to, result);
    }
    return to;
}

/* --- Events --- */

static Client__EventKind event_kind(enum state_change_kind kind)
{
    switch ((int)kind) {
    case STATE_CREATED:
        return CLIENT__EVENT_KIND__CREATED;
    case STATE_VALUE_SET:
        return CLIENT__EVENT_KIND__VALUE_SET;
    case STATE_REMOVED:
        return CLIENT__EVENT_KIND__REMOVED;
    default:
        CHECK(kind == STATE_ACL_SET);
        return CLIENT__EVENT_KIND__ACL_SET;
    }
}

static struct shown shown_event(const struct native_events *events, const struct watch_event *event)
{
    return (struct shown){.name = event->path,
                          .node = event->node,
                          .with_stat = true,
                          .with_value = events->with_values && event->kind != STATE_REMOVED};
}

static size_t event_bytes(const struct native_events *events, const struct watch_event *event)
{
    const struct shown shown = shown_event(events, event);

    return field_number_bytes(EVENT_ZXID, event->zxid) +
           field_number_bytes(EVENT_KIND, event_kind(event->kind)) +
           shown_bytes(EVENT_PATH, &shown);
}

static size_t events_bytes(const struct native_events *events)
{
    size_t bytes = field_number_bytes(EVENTS_WATCH, events->watch) +
                   field_number_bytes(EVENTS_UP_TO_ZXID, events->up_to) +
                   field_number_bytes(EVENTS_LOST, events->lost);

    for (size_t i = 0; i < events->count; i++) {
        bytes += field_message_bytes(EVENTS_EVENTS, event_bytes(events, &events->events[i]));
    }
    return bytes;
}

static uint8_t *put_events(uint8_t *to, const struct native_events *events)
{
    to = field_put_number(to, EVENTS_WATCH, events->watch);
    for (size_t i = 0; i < events->count; i++) {
        const struct watch_event *event = &events->events[i];
        const struct shown shown = shown_event(events, event);

        to = field_put_message_head(to, EVENTS_EVENTS, event_bytes(events, event));
        to = field_put_number(to, EVENT_ZXID, event->zxid);
        to = field_put_number(to, EVENT_KIND, event_kind(event->kind));
        to = put_shown(to, EVENT_PATH, &shown);
    }
    to = field_put_number(to, EVENTS_UP_TO_ZXID, events->up_to);
    return field_put_number(to, EVENTS_LOST, events->lost);
}

/* --- Response --- */

static size_t body_bytes(const struct native_answer *answer)
{
    switch ((int)answer->body) {
    case CLIENT__RESPONSE__BODY__NOT_SET:
        return 0;
    case CLIENT__RESPONSE__BODY_GET:
        return get_bytes(&answer->get);
    case CLIENT__RESPONSE__BODY_LIST:
        return list_bytes(&answer->list);
    case CLIENT__RESPONSE__BODY_READ_TREE:
        return tree_bytes(&answer->tree);
    case CLIENT__RESPONSE__BODY_WRITE:
        return write_bytes(answer->write);
    case CLIENT__RESPONSE__BODY_EVENTS:
        return events_bytes(&answer->events);
    default:
        return protobuf_c_message_get_packed_size(answer->other);
    }
}

static uint8_t *put_body(uint8_t *to, const struct native_answer *answer)
{
    switch ((int)answer->body) {
    case CLIENT__RESPONSE__BODY__NOT_SET:
        return to;
    case CLIENT__RESPONSE__BODY_GET:
        return put_get(to, &answer->get);
    case CLIENT__RESPONSE__BODY_LIST:
        return put_list(to, &answer->list);
    case CLIENT__RESPONSE__BODY_READ_TREE:
        return put_tree(to, &answer->tree);
    case CLIENT__RESPONSE__BODY_WRITE:
        return put_write(to, answer->write);
    case CLIENT__RESPONSE__BODY_EVENTS:
        return put_events(to, &answer->events);
    default:
        return to + protobuf_c_message_pack(answer->other, to);
    }
}

static struct bytes message_of(const struct native_answer *answer)
{
    return answer->message == NULL ? BYTES_EMPTY : bytes_of_text(answer->message);
}

size_t native_answer_measure(struct native_answer *answer)
{
    size_t head = field_number_bytes(RESPONSE_ID, answer->id) +
                  field_number_bytes(RESPONSE_CODE, (uint64_t)answer->code) +
                  field_bytes_bytes(RESPONSE_MESSAGE, message_of(answer)) +
                  field_number_bytes(RESPONSE_ZXID, answer->zxid);

    answer->body_bytes = body_bytes(answer);
    return answer->body == CLIENT__RESPONSE__BODY__NOT_SET
               ? head
               : head + field_message_bytes((uint32_t)answer->body, answer->body_bytes);
}

static size_t bytes_apart(const struct native_answer *answer)
{
    return answer->body == CLIENT__RESPONSE__BODY_GET && answer->get.value_is_apart
               ? answer->get.value.size
               : 0;
}

size_t native_answer_bytes_behind_value(const struct native_answer *answer)
{
    return answer->body_bytes - field_bytes_bytes(GET_VALUE, answer->get.value);
}

void native_answer_put(const struct native_answer *answer, uint8_t *to)
{
    const uint8_t *body;

    to = field_put_number(to, RESPONSE_ID, answer->id);
    to = field_put_number(to, RESPONSE_CODE, (uint64_t)answer->code);
    to = field_put_bytes(to, RESPONSE_MESSAGE, message_of(answer));
    to = field_put_number(to, RESPONSE_ZXID, answer->zxid);
    if (answer->body == CLIENT__RESPONSE__BODY__NOT_SET) {
        return;
    }
    to = field_put_message_head(to, (uint32_t)answer->body, answer->body_bytes);
    body = to;
    to = put_body(to, answer);
    CHECK_OP((size_t)(to - body), ==, answer->body_bytes - bytes_apart(answer));
}
