/* protobuf-c as the judge of native_answer: a client.Response in its structs is made into what the
 * front would say, and both are packed. What nodes cannot say (a child without a stat beside one
 * with it, a Stat that contradicts its value) is settled in the message first. Included once in a
 * program. */
#ifndef TESTS_UNIT_FRONT_ANSWER_MODEL_H
#define TESTS_UNIT_FRONT_ANSWER_MODEL_H

#include "base/arena.h"
#include "base/check.h"
#include "server/front/native_answer.h"
#include "server/state/znode.h"

#include <string.h>

enum { ANSWER_MODEL_NODES_MAX = 4096 };

struct answer_model {
    struct arena arena;
    struct record *nodes[ANSWER_MODEL_NODES_MAX];
    size_t node_count;
    struct state_children children;
};

static inline void answer_model_init(struct answer_model *model)
{
    model->node_count = 0;
    arena_init(&model->arena);
}

static inline void answer_model_release(struct answer_model *model)
{
    for (size_t i = 0; i < model->node_count; i++) {
        record_unref(model->nodes[i]);
    }
    arena_release(&model->arena);
}

static inline struct bytes model_bytes(ProtobufCBinaryData data)
{
    return bytes_of(data.data, data.len);
}

/* Absent is all zeros. */
static inline struct state_stat model_stat(const Record__Stat *stat)
{
    if (stat == NULL) {
        return (struct state_stat){.czxid = 0};
    }
    return (struct state_stat){.czxid = stat->czxid,
                               .mzxid = stat->mzxid,
                               .pzxid = stat->pzxid,
                               .ctime_ms = stat->ctime_ms,
                               .mtime_ms = stat->mtime_ms,
                               .version = stat->version,
                               .cversion = stat->cversion,
                               .aversion = stat->aversion,
                               .ephemeral_owner = stat->ephemeral_owner,
                               .value_bytes = stat->value_bytes,
                               .child_count = stat->child_count};
}

static inline Record__Stat *model_message_of(struct arena *arena, const struct state_stat *stat)
{
    Record__Stat *message = arena_alloc(arena, sizeof *message);

    record__stat__init(message);
    message->czxid = stat->czxid;
    message->mzxid = stat->mzxid;
    message->pzxid = stat->pzxid;
    message->ctime_ms = stat->ctime_ms;
    message->mtime_ms = stat->mtime_ms;
    message->version = stat->version;
    message->cversion = stat->cversion;
    message->aversion = stat->aversion;
    message->ephemeral_owner = stat->ephemeral_owner;
    message->value_bytes = stat->value_bytes;
    message->child_count = stat->child_count;
    return message;
}

/* The part of a message that shows a node, as the fields of that message. */
struct model_part {
    Record__Stat **stat;
    ProtobufCBinaryData *value;
    protobuf_c_boolean *value_is_null;
};

/* A node of which `part` can be said, settled to what it says of it. NULL when it says nothing, or
 * there are enough. */
static inline struct state_node *
model_node(struct answer_model *model, struct model_part part, bool with_stat, bool with_value)
{
    struct state_stat stat = model_stat(*part.stat);
    struct znode znode = {.czxid = stat.czxid,
                          .mzxid = stat.mzxid,
                          .pzxid = stat.pzxid,
                          .ctime_ms = stat.ctime_ms,
                          .mtime_ms = stat.mtime_ms,
                          .owner_or_ttl = stat.ephemeral_owner,
                          .version = stat.version,
                          .aversion = stat.aversion,
                          .children_created = (uint32_t)stat.cversion,
                          .child_count = stat.child_count,
                          .flags = (uint8_t)((stat.ephemeral_owner != 0 ? ZNODE_EPHEMERAL : 0) |
                                             (*part.value_is_null ? ZNODE_VALUE_IS_NULL : 0)),
                          .value = model_bytes(*part.value)};
    bool says_something = *part.stat != NULL || part.value->len > 0 || *part.value_is_null;
    struct state_node *node = NULL;

    if (says_something && model->node_count < ANSWER_MODEL_NODES_MAX) {
        struct record *record = znode_store(bytes_of_text("key"), &znode);

        model->nodes[model->node_count++] = record;
        node = znode_show(record);
        stat = state_node_stat(node);
    }
    *part.stat = node != NULL && with_stat ? model_message_of(&model->arena, &stat) : NULL;
    if (node == NULL || !with_value) {
        *part.value = (ProtobufCBinaryData){.len = 0};
        *part.value_is_null = false;
    }
    return node;
}

static inline struct native_get model_get(struct answer_model *model, Client__GetReply *get)
{
    struct state_acl_entry *acl = arena_calloc(&model->arena, get->n_acl, sizeof *acl);
    struct state_stat stat = model_stat(get->stat);

    for (size_t i = 0; i < get->n_acl; i++) {
        acl[i] = (struct state_acl_entry){.permissions = get->acl[i]->permissions,
                                          .scheme = model_bytes(get->acl[i]->scheme),
                                          .id = model_bytes(get->acl[i]->id)};
    }
    get->stat = model_message_of(&model->arena, &stat);
    return (struct native_get){.value = model_bytes(get->value),
                               .value_is_null = get->value_is_null,
                               .stat = stat,
                               .acl = acl,
                               .acl_count = get->n_acl,
                               .ttl_ms = get->ttl_ms,
                               .container = get->container};
}

static inline struct native_list model_list(struct answer_model *model, Client__ListReply *list)
{
    struct state_child *items = arena_calloc(&model->arena, list->n_children, sizeof *items);
    bool with_stats = false;
    bool with_values = false;

    for (size_t i = 0; i < list->n_children; i++) {
        const Client__ListReply__Child *child = list->children[i];

        with_stats = with_stats || child->stat != NULL;
        with_values = with_values || child->value.len > 0 || child->value_is_null;
    }
    for (size_t i = 0; i < list->n_children; i++) {
        Client__ListReply__Child *child = list->children[i];
        struct model_part part = {&child->stat, &child->value, &child->value_is_null};

        items[i] = (struct state_child){.name = model_bytes(child->name),
                                        .node = model_node(model, part, with_stats, with_values)};
    }
    model->children = (struct state_children){.items = items,
                                              .count = list->n_children,
                                              .more = list->more,
                                              .parent = model_stat(list->parent)};
    list->parent = model_message_of(&model->arena, &model->children.parent);
    return (struct native_list){
        .children = &model->children, .with_stats = with_stats, .with_values = with_values};
}

static inline struct native_tree model_tree(struct answer_model *model, Client__ReadTreeReply *tree)
{
    struct reply_tree_node *nodes = arena_calloc(&model->arena, tree->n_nodes, sizeof *nodes);
    bool with_values = false;

    for (size_t i = 0; i < tree->n_nodes; i++) {
        with_values = with_values || tree->nodes[i]->value.len > 0 || tree->nodes[i]->value_is_null;
    }
    for (size_t i = 0; i < tree->n_nodes; i++) {
        Client__ReadTreeReply__Node *node = tree->nodes[i];
        struct model_part part = {&node->stat, &node->value, &node->value_is_null};

        nodes[i] = (struct reply_tree_node){.path = model_bytes(node->path),
                                            .node = model_node(model, part, true, with_values)};
    }
    return (struct native_tree){
        .nodes = nodes, .count = tree->n_nodes, .more = tree->more, .with_values = with_values};
}

static inline const struct state_result *model_write(struct answer_model *model,
                                                     const Client__WriteReply *write)
{
    struct state_result *result = arena_calloc(&model->arena, 1, sizeof *result);

    result->zxid = write->zxid;
    result->operation_count = write->n_operations;
    result->operations =
        arena_calloc(&model->arena, write->n_operations, sizeof *result->operations);
    for (size_t i = 0; i < write->n_operations; i++) {
        Record__OperationResult *operation = write->operations[i];

        operation->error &= 0x7f;
        result->operations[i] = (struct state_op_result){.error = (enum op_error)operation->error,
                                                         .path = model_bytes(operation->path),
                                                         .has_stat = operation->stat != NULL,
                                                         .stat = model_stat(operation->stat),
                                                         .created = operation->created};
    }
    return result;
}

static inline struct native_events model_events(struct answer_model *model, Client__Events *events)
{
    static const enum state_change_kind kinds[] = {STATE_CREATED, STATE_VALUE_SET, STATE_REMOVED,
                                                   STATE_ACL_SET};
    struct watch_event *items = arena_calloc(&model->arena, events->n_events, sizeof *items);
    bool with_values = false;

    for (size_t i = 0; i < events->n_events; i++) {
        Client__Event *event = events->events[i];

        event->kind = (Client__EventKind)((unsigned)event->kind % 4);
        with_values = with_values || event->value.len > 0 || event->value_is_null;
    }
    for (size_t i = 0; i < events->n_events; i++) {
        Client__Event *event = events->events[i];
        struct model_part part = {&event->stat, &event->value, &event->value_is_null};
        bool is_removed = event->kind == CLIENT__EVENT_KIND__REMOVED;

        items[i] =
            (struct watch_event){.zxid = event->zxid,
                                 .kind = kinds[event->kind],
                                 .path = model_bytes(event->path),
                                 .node = model_node(model, part, true, with_values && !is_removed)};
    }
    return (struct native_events){.watch = events->watch,
                                  .with_values = with_values,
                                  .events = items,
                                  .count = events->n_events,
                                  .up_to = events->up_to_zxid,
                                  .lost = events->lost};
}

/* What the front would say in place of `response`. Lent from both. */
static inline struct native_answer answer_model_of(struct answer_model *model,
                                                   Client__Response *response)
{
    struct native_answer answer = {.message = response->message,
                                   .id = response->id,
                                   .zxid = response->zxid,
                                   .body = response->body_case};

    response->code = (Client__Code)((unsigned)response->code & 0x7f);
    answer.code = response->code;
    switch ((int)response->body_case) {
    case CLIENT__RESPONSE__BODY__NOT_SET:
        break;
    case CLIENT__RESPONSE__BODY_GET:
        answer.get = model_get(model, response->get);
        break;
    case CLIENT__RESPONSE__BODY_LIST:
        answer.list = model_list(model, response->list);
        break;
    case CLIENT__RESPONSE__BODY_READ_TREE:
        answer.tree = model_tree(model, response->read_tree);
        break;
    case CLIENT__RESPONSE__BODY_WRITE:
        answer.write = model_write(model, response->write);
        break;
    case CLIENT__RESPONSE__BODY_EVENTS:
        answer.events = model_events(model, response->events);
        break;
    default: /* a message is at the same place whatever it is */
        answer.other = &response->session->base;
        break;
    }
    return answer;
}

#endif
