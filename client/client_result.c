#include "client/client_result.h"

#include "proto/message_read.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A frame holds 8 MiB; unpacked, short names with their stats take several times that. More than
 * this only comes from a peer that means harm. */
enum { ANSWER_BYTES_MAX = 256 * 1024 * 1024 };

/* In a Member: voter of the present or the coming configuration, learner (record.proto). */
enum { MEMBER_VOTER = 1 | 2, MEMBER_LEARNER = 4, MEMBER_PROMOTE = 8 };

struct client_result *client_result_new(void)
{
    struct client_result *result = client_alloc(sizeof *result);

    if (result != NULL) {
        client_arena_init(&result->arena, ANSWER_BYTES_MAX);
        result->public.message = result->message;
        result->public.server = result->server;
        result->public.value = "";
        result->public.path = "";
    }
    return result;
}

void client_result_free(struct client_result *result)
{
    if (result != NULL) {
        client_arena_release(&result->arena);
        free(result);
    }
}

void confer_result_free(struct confer_result *result)
{
    client_result_free((struct client_result *)result);
}

static void result_clear(struct client_result *result, enum confer_status status)
{
    result->public = (struct confer_result){.status = status,
                                            .message = result->message,
                                            .server = result->server,
                                            .value = "",
                                            .path = ""};
    client_arena_release(&result->arena);
}

void client_result_fail(struct client_result *result,
                        enum confer_status status,
                        const char *format,
                        ...)
{
    va_list arguments;

    result_clear(result, status);
    if (format == NULL) {
        (void)snprintf(result->message, sizeof result->message, "%s", confer_status_text(status));
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(result->message, sizeof result->message, format, arguments);
    va_end(arguments);
}

/* What a newer server added, or one of them passed on, is protobuf-c's to read. */
static Client__Response *unpack(struct bytes frame, struct client_arena *arena)
{
    ProtobufCAllocator allocator = client_arena_allocator(arena);
    ProtobufCMessage *message;
    enum status status =
        message_read(&client__response__descriptor, frame, false, SIZE_MAX, &allocator, &message);

    if (status == STATUS_OK) {
        return (Client__Response *)message;
    }
    if (status != STATUS_INVALID) {
        return NULL;
    }
    client_arena_release(arena);
    return client__response__unpack(&allocator, frame.size, frame.data);
}

enum confer_status client_answer_unpack(struct bytes frame, struct client_answer *ret_answer)
{
    struct client_arena arena;
    Client__Response *response;

    client_arena_init(&arena, ANSWER_BYTES_MAX);
    response = unpack(frame, &arena);
    if (response == NULL) {
        enum confer_status status = arena.exhausted ? CONFER_NO_MEMORY : CONFER_PROTOCOL;

        client_arena_release(&arena);
        return status;
    }
    *ret_answer = (struct client_answer){.response = response, .arena = arena};
    return CONFER_OK;
}

void client_answer_release(struct client_answer *answer)
{
    client_arena_release(&answer->arena);
    answer->response = NULL;
}

/* A block of the arena has a NUL behind it; an empty field has no block. */
static const char *text_of(ProtobufCBinaryData data)
{
    return data.len == 0 ? "" : (const char *)data.data;
}

static const char *text_or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

static struct confer_stat stat_of(const Record__Stat *stat)
{
    if (stat == NULL) {
        return (struct confer_stat){.czxid = 0};
    }
    return (struct confer_stat){.czxid = stat->czxid,
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

static bool take_get(struct client_result *result, const Client__GetReply *reply)
{
    struct confer_result *public = &result->public;
    struct confer_acl_entry *acl = client_arena_alloc(&result->arena, reply->n_acl * sizeof *acl);

    if (acl == NULL) {
        return false;
    }
    for (size_t i = 0; i < reply->n_acl; i++) {
        acl[i] = (struct confer_acl_entry){.permissions = reply->acl[i]->permissions,
                                           .scheme = text_of(reply->acl[i]->scheme),
                                           .id = text_of(reply->acl[i]->id)};
    }
    public->exists = true;
    public->value = text_of(reply->value);
    public->value_bytes = reply->value.len;
    public->value_is_null = reply->value_is_null;
    public->stat = stat_of(reply->stat);
    public->acl = acl;
    public->acl_count = reply->n_acl;
    public->ttl_ms = reply->ttl_ms;
    public->container = reply->container;
    return true;
}

static bool take_list(struct client_result *result, const Client__ListReply *reply)
{
    struct confer_node *nodes =
        client_arena_alloc(&result->arena, reply->n_children * sizeof *nodes);

    if (nodes == NULL) {
        return false;
    }
    for (size_t i = 0; i < reply->n_children; i++) {
        const Client__ListReply__Child *child = reply->children[i];

        nodes[i] = (struct confer_node){.name = text_of(child->name),
                                        .value = text_of(child->value),
                                        .value_bytes = child->value.len,
                                        .value_is_null = child->value_is_null,
                                        .stat = stat_of(child->stat)};
    }
    result->public.nodes = nodes;
    result->public.node_count = reply->n_children;
    result->public.more = reply->more && reply->n_children > 0;
    result->public.stat = stat_of(reply->parent);
    return true;
}

static bool take_tree(struct client_result *result, const Client__ReadTreeReply *reply)
{
    struct confer_node *nodes = client_arena_alloc(&result->arena, reply->n_nodes * sizeof *nodes);

    if (nodes == NULL) {
        return false;
    }
    for (size_t i = 0; i < reply->n_nodes; i++) {
        const Client__ReadTreeReply__Node *node = reply->nodes[i];

        nodes[i] = (struct confer_node){.path = text_of(node->path),
                                        .value = text_of(node->value),
                                        .value_bytes = node->value.len,
                                        .value_is_null = node->value_is_null,
                                        .stat = stat_of(node->stat),
                                        .hidden = node->stat == NULL};
    }
    result->public.nodes = nodes;
    result->public.node_count = reply->n_nodes;
    result->public.more = reply->more && reply->n_nodes > 0;
    return true;
}

static bool take_write(struct client_result *result, const Client__WriteReply *reply, bool single)
{
    struct confer_result *public = &result->public;
    struct confer_operation_result *operations =
        client_arena_alloc(&result->arena, reply->n_operations * sizeof *operations);

    if (operations == NULL) {
        return false;
    }
    for (size_t i = 0; i < reply->n_operations; i++) {
        const Record__OperationResult *operation = reply->operations[i];

        operations[i] =
            (struct confer_operation_result){.status = (enum confer_status)operation->error,
                                             .path = text_of(operation->path),
                                             .created = operation->created,
                                             .has_stat = operation->stat != NULL,
                                             .stat = stat_of(operation->stat)};
    }
    public->zxid = reply->zxid != 0 ? reply->zxid : public->zxid;
    public->operations = operations;
    public->operation_count = reply->n_operations;
    if (single && reply->n_operations == 1) {
        public->path = operations[0].path;
        public->created = operations[0].created;
        public->stat = operations[0].stat;
    }
    return true;
}

static bool take_membership(struct client_result *result, const Client__MembershipReply *reply)
{
    struct confer_cluster *cluster = &result->public.cluster;
    struct confer_member *members =
        client_arena_alloc(&result->arena, reply->n_members * sizeof *members);

    if (members == NULL) {
        return false;
    }
    for (size_t i = 0; i < reply->n_members; i++) {
        const Record__Member *member = reply->members[i];

        members[i] = (struct confer_member){.id = member->id,
                                            .address = text_of(member->address),
                                            .voter = (member->flags & MEMBER_VOTER) != 0,
                                            .learner = (member->flags & MEMBER_LEARNER) != 0,
                                            .promoting = (member->flags & MEMBER_PROMOTE) != 0,
                                            .trend = "",
                                            .trouble = "",
                                            .role = "",
                                            .progress = "",
                                            .version = ""};
        cluster->voter_failures_tolerated += members[i].voter ? 1 : 0;
    }
    if (cluster->voter_failures_tolerated > 0) {
        cluster->voter_failures_tolerated = (cluster->voter_failures_tolerated - 1) / 2;
    }
    cluster->config_zxid = reply->config_zxid;
    cluster->members = members;
    cluster->member_count = reply->n_members;
    return true;
}

static bool take_change(struct client_result *result,
                        const Client__VoterChange *reply,
                        const struct confer_voter_change **ret_change)
{
    struct confer_voter_change *change = client_arena_alloc(&result->arena, sizeof *change);

    if (change == NULL) {
        return false;
    }
    *change = (struct confer_voter_change){.from = reply->from,
                                           .from_count = reply->n_from,
                                           .to = reply->to,
                                           .to_count = reply->n_to,
                                           .begun = reply->begun,
                                           .age_ms = reply->age_ms,
                                           .waits_for = text_or_empty(reply->waits_for)};
    *ret_change = change;
    return true;
}

static bool take_status(struct client_result *result, const Client__StatusReply *reply)
{
    const struct confer_voter_change *change = NULL;
    struct confer_member *members =
        client_arena_alloc(&result->arena, reply->n_members * sizeof *members);

    if (members == NULL) {
        return false;
    }
    for (size_t i = 0; i < reply->n_members; i++) {
        const Client__MemberStatus *member = reply->members[i];

        members[i] = (struct confer_member){.id = member->id,
                                            .address = text_or_empty(member->address),
                                            .voter = member->voter,
                                            .learner = member->learner,
                                            .role = text_or_empty(member->role),
                                            .term = member->term,
                                            .applied = member->applied,
                                            .last = member->last,
                                            .reachable = member->reachable,
                                            .progress = text_or_empty(member->progress),
                                            .match = member->match,
                                            .version = text_or_empty(member->version),
                                            .promoting = member->promoting,
                                            .promoting_ms = member->promoting_ms,
                                            .caught_up = member->caught_up,
                                            .catch_up_rounds = member->rounds,
                                            .dump_bytes = member->dump_bytes,
                                            .dump_bytes_done = member->dump_bytes_done,
                                            .trend = text_or_empty(member->trend),
                                            .trouble = text_or_empty(member->trouble),
                                            .agreed = member->agreed};
    }
    if (reply->change != NULL && !take_change(result, reply->change, &change)) {
        return false;
    }
    result->public.cluster =
        (struct confer_cluster){.cluster_id = (const uint8_t *)text_of(reply->cluster_id),
                                .cluster_id_bytes = reply->cluster_id.len,
                                .server = reply->server,
                                .leader = reply->leader,
                                .term = reply->term,
                                .joint = reply->joint,
                                .tolerated_failures = reply->tolerated_failures,
                                .voter_failures_tolerated = reply->voter_failures_tolerated,
                                .node_count = reply->node_count,
                                .session_count = reply->session_count,
                                .watch_count = reply->watch_count,
                                .oldest_zxid = reply->oldest_zxid,
                                .config_zxid = reply->config_zxid,
                                .change = change,
                                .not_member = reply->not_member,
                                .members = members,
                                .member_count = reply->n_members};
    return true;
}

/* Whether the answer has the body that the shape needs. A failure may come without one. */
static bool has_body(enum client_shape shape, const Client__Response *response)
{
    switch (shape) {
    case CLIENT_SHAPE_NONE:
        return true;
    case CLIENT_SHAPE_GET:
    case CLIENT_SHAPE_EXISTS:
        return response->body_case == CLIENT__RESPONSE__BODY_GET;
    case CLIENT_SHAPE_LIST:
        return response->body_case == CLIENT__RESPONSE__BODY_LIST;
    case CLIENT_SHAPE_TREE:
        return response->body_case == CLIENT__RESPONSE__BODY_READ_TREE;
    case CLIENT_SHAPE_WRITE:
        return response->body_case == CLIENT__RESPONSE__BODY_WRITE &&
               (response->code != CLIENT__CODE__OK || response->write->n_operations == 1);
    case CLIENT_SHAPE_TRANSACTION:
        return response->body_case == CLIENT__RESPONSE__BODY_WRITE;
    case CLIENT_SHAPE_WATCH:
        return response->body_case == CLIENT__RESPONSE__BODY_WATCH;
    case CLIENT_SHAPE_MEMBERSHIP:
        return response->body_case == CLIENT__RESPONSE__BODY_MEMBERSHIP;
    case CLIENT_SHAPE_STATUS:
        return response->body_case == CLIENT__RESPONSE__BODY_STATUS;
    }
    return false;
}

static bool
take_body(struct client_result *result, enum client_shape shape, const Client__Response *response)
{
    switch (shape) {
    case CLIENT_SHAPE_NONE:
        return true;
    case CLIENT_SHAPE_GET:
    case CLIENT_SHAPE_EXISTS:
        return take_get(result, response->get);
    case CLIENT_SHAPE_LIST:
        return take_list(result, response->list);
    case CLIENT_SHAPE_TREE:
        return take_tree(result, response->read_tree);
    case CLIENT_SHAPE_WRITE:
        return take_write(result, response->write, true);
    case CLIENT_SHAPE_TRANSACTION:
        return take_write(result, response->write, false);
    case CLIENT_SHAPE_WATCH:
        result->public.zxid = response->watch->from_zxid;
        return true;
    case CLIENT_SHAPE_MEMBERSHIP:
        return take_membership(result, response->membership);
    case CLIENT_SHAPE_STATUS:
        return take_status(result, response->status);
    }
    return true;
}

void client_result_take(struct client_result *result,
                        enum client_shape shape,
                        struct client_answer *answer,
                        const char *server)
{
    const Client__Response *response = answer->response;
    struct confer_result *public = &result->public;

    if ((int)response->code < 0 || (int)response->code >= CONFER_TIMEOUT) {
        client_result_fail(result, CONFER_PROTOCOL, "%s answered with the unknown code %d", server,
                           (int)response->code);
        client_answer_release(answer);
        return;
    }
    result_clear(result, (enum confer_status)response->code);
    result->arena = answer->arena;
    client_arena_init(&answer->arena, 0);
    answer->response = NULL;
    (void)snprintf(result->server, sizeof result->server, "%s", server);
    public->message = response->message != NULL && response->message[0] != '\0'
                          ? response->message
                          : confer_status_text(public->status);
    public->zxid = response->zxid;
    if (shape == CLIENT_SHAPE_EXISTS && public->status == CONFER_NO_NODE) {
        public->status = CONFER_OK;
        public->message = confer_status_text(CONFER_OK);
        return;
    }
    if (!has_body(shape, response)) {
        if (public->status == CONFER_OK) {
            client_result_fail(result, CONFER_PROTOCOL, "%s answered with something else", server);
        }
        return;
    }
    if (!take_body(result, shape, response)) {
        client_result_fail(result, CONFER_NO_MEMORY, NULL);
    }
}

void client_result_event(const Client__Event *event, struct confer_event *ret_event)
{
    static const enum confer_event_kind kinds[] = {CONFER_EVENT_CREATED, CONFER_EVENT_VALUE_SET,
                                                   CONFER_EVENT_REMOVED, CONFER_EVENT_ACL_SET};
    size_t kind = (size_t)event->kind;

    *ret_event = (struct confer_event){
        .kind = kind < sizeof kinds / sizeof kinds[0] ? kinds[kind] : CONFER_EVENT_VALUE_SET,
        .zxid = event->zxid,
        .path = text_of(event->path),
        .stat = stat_of(event->stat),
        .value = text_of(event->value),
        .value_bytes = event->value.len,
        .value_is_null = event->value_is_null,
        .message = ""};
}
