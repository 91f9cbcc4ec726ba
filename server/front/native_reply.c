#include "server/front/native_reply.h"

#include "base/check.h"
#include "proto/arena_allocator.h"

#include <string.h>

#define SAME(name)                                                                                 \
    _Static_assert((int)OP_##name == (int)CLIENT__CODE__##name,                                    \
                   "an outcome has one number in the state and on the wire")
SAME(OK);
SAME(NO_NODE);
SAME(NODE_EXISTS);
SAME(NOT_EMPTY);
SAME(BAD_VERSION);
SAME(NO_CHILDREN_FOR_EPHEMERALS);
SAME(BAD_ARGUMENTS);
SAME(INVALID_ACL);
SAME(NO_AUTH);
SAME(SESSION_EXPIRED);
SAME(SESSION_MOVED);
SAME(NOT_EXECUTED);
SAME(SEQUENCE_GAP);
SAME(SEQUENCE_FORGOTTEN);
SAME(TOO_MANY_UNCONFIRMED);
SAME(LIMIT);
SAME(NO_SESSION);
SAME(UNREADABLE);

const char *native_reply_code_text(Client__Code code)
{
    switch ((int)code) {
    case CLIENT__CODE__NO_LEADER:
        return "no leader is known here now";
    case CLIENT__CODE__BUSY:
        return "this server is busy; try again";
    case CLIENT__CODE__BEHIND:
        return "this server is behind; ask another one";
    case CLIENT__CODE__UNKNOWN_OUTCOME:
        return "the write may have taken effect or not";
    case CLIENT__CODE__COMPACTED:
        return "the history does not reach back so far";
    case CLIENT__CODE__NO_SPACE:
        return "the cluster is short of disk space; only removals pass";
    case CLIENT__CODE__NO_CLUSTER:
        return "this server belongs to no cluster yet; run init, or add it as a learner";
    case CLIENT__CODE__UNSUPPORTED:
        return "this server does not know the request";
    case CLIENT__CODE__CONFLICT:
        return "in conflict with the present configuration";
    case CLIENT__CODE__UNREACHABLE:
        return "a server does not answer";
    case CLIENT__CODE__REFUSED:
        return "a server refuses";
    case CLIENT__CODE__STOPPING:
        return "this server is shutting down; use another one";
    default:
        return op_error_text((enum op_error)code);
    }
}

static void *make(struct arena *arena, size_t size)
{
    return arena_alloc(arena, size);
}

/* protobuf-c has no const; packing only reads. */
static ProtobufCBinaryData lend(struct bytes bytes)
{
    return (ProtobufCBinaryData){.len = bytes.size, .data = (uint8_t *)(uintptr_t)bytes.data};
}

static char *lend_text(const char *text)
{
    return (char *)(uintptr_t)text;
}

static Record__Stat *make_stat(const struct state_stat *stat, struct arena *arena)
{
    Record__Stat *wire = make(arena, sizeof *wire);

    record__stat__init(wire);
    wire->czxid = stat->czxid;
    wire->mzxid = stat->mzxid;
    wire->pzxid = stat->pzxid;
    wire->ctime_ms = stat->ctime_ms;
    wire->mtime_ms = stat->mtime_ms;
    wire->version = stat->version;
    wire->cversion = stat->cversion;
    wire->aversion = stat->aversion;
    wire->ephemeral_owner = stat->ephemeral_owner;
    wire->value_bytes = stat->value_bytes;
    wire->child_count = stat->child_count;
    return wire;
}

static Record__Stat *make_node_stat(const struct state_node *node, struct arena *arena)
{
    struct state_stat stat = state_node_stat(node);

    return make_stat(&stat, arena);
}

static void set_session(Client__Response *response, const struct reply *reply, struct arena *arena)
{
    Client__SessionReply *session = make(arena, sizeof *session);

    client__session_reply__init(session);
    if (reply->session.session != 0) {
        session->session = reply->session.session;
        session->generation = reply->session.generation;
        session->timeout_ms = reply->session.timeout_ms;
        session->password = lend(bytes_of(reply->session.password, STATE_PASSWORD_BYTES));
        session->last_sequence = reply->session.last_sequence;
    }
    response->body_case = CLIENT__RESPONSE__BODY_SESSION;
    response->session = session;
}

static void set_acl(Client__GetReply *get, const struct state_node *node, struct arena *arena)
{
    uint32_t count = state_node_acl_count(node);
    Record__AclEntry *entries = make(arena, count * sizeof *entries);

    get->n_acl = count;
    get->acl = make(arena, count * sizeof(Record__AclEntry *));
    for (uint32_t i = 0; i < count; i++) {
        struct state_acl_entry entry = state_node_acl(node, i);

        record__acl_entry__init(&entries[i]);
        entries[i].permissions = entry.permissions;
        entries[i].scheme = lend(entry.scheme);
        entries[i].id = lend(entry.id);
        get->acl[i] = &entries[i];
    }
}

static void set_get(Client__Response *response,
                    const struct request *request,
                    const struct reply *reply,
                    struct arena *arena)
{
    Client__GetReply *get = make(arena, sizeof *get);
    bool is_null;

    client__get_reply__init(get);
    get->stat = make_node_stat(reply->node, arena);
    get->ttl_ms = state_node_ttl_ms(reply->node);
    get->container = state_node_is_container(reply->node);
    if (!request->get.stat_only) {
        get->value = lend(state_node_value(reply->node, &is_null));
        get->value_is_null = is_null;
    }
    if (request->get.with_acl) {
        set_acl(get, reply->node, arena);
    }
    response->body_case = CLIENT__RESPONSE__BODY_GET;
    response->get = get;
}

static void set_list(Client__Response *response,
                     const struct request *request,
                     const struct reply *reply,
                     struct arena *arena)
{
    const struct state_children *children = &reply->children;
    Client__ListReply *list = make(arena, sizeof *list);
    Client__ListReply__Child *wire = make(arena, children->count * sizeof *wire);

    client__list_reply__init(list);
    list->more = children->more;
    list->parent = make_stat(&children->parent, arena);
    list->n_children = children->count;
    list->children = make(arena, children->count * sizeof(Client__ListReply__Child *));
    for (size_t i = 0; i < children->count; i++) {
        const struct state_child *child = &children->items[i];
        bool is_null;

        client__list_reply__child__init(&wire[i]);
        wire[i].name = lend(child->name);
        if (child->node != NULL) {
            wire[i].stat = make_node_stat(child->node, arena);
        }
        if (child->node != NULL && request->page.with_values) {
            wire[i].value = lend(state_node_value(child->node, &is_null));
            wire[i].value_is_null = is_null;
        }
        list->children[i] = &wire[i];
    }
    response->body_case = CLIENT__RESPONSE__BODY_LIST;
    response->list = list;
}

static void set_tree(Client__Response *response,
                     const struct request *request,
                     const struct reply *reply,
                     struct arena *arena)
{
    Client__ReadTreeReply *tree = make(arena, sizeof *tree);
    Client__ReadTreeReply__Node *wire = make(arena, reply->tree.count * sizeof *wire);

    client__read_tree_reply__init(tree);
    tree->more = reply->tree.more;
    tree->n_nodes = reply->tree.count;
    tree->nodes = make(arena, reply->tree.count * sizeof(Client__ReadTreeReply__Node *));
    for (size_t i = 0; i < reply->tree.count; i++) {
        const struct reply_tree_node *node = &reply->tree.nodes[i];
        bool is_null;

        client__read_tree_reply__node__init(&wire[i]);
        wire[i].path = lend(node->path);
        wire[i].stat = make_node_stat(node->node, arena);
        if (request->page.with_values) {
            wire[i].value = lend(state_node_value(node->node, &is_null));
            wire[i].value_is_null = is_null;
        }
        tree->nodes[i] = &wire[i];
    }
    response->body_case = CLIENT__RESPONSE__BODY_READ_TREE;
    response->read_tree = tree;
}

static void set_write(Client__Response *response, const struct reply *reply, struct arena *arena)
{
    const struct state_result *result = reply->result;
    Client__WriteReply *write = make(arena, sizeof *write);
    Record__OperationResult *wire = make(arena, result->operation_count * sizeof *wire);

    client__write_reply__init(write);
    write->zxid = result->zxid;
    write->n_operations = result->operation_count;
    write->operations = make(arena, result->operation_count * sizeof(Record__OperationResult *));
    for (size_t i = 0; i < result->operation_count; i++) {
        const struct state_op_result *operation = &result->operations[i];

        record__operation_result__init(&wire[i]);
        wire[i].error = (uint32_t)operation->error;
        wire[i].path = lend(operation->path);
        wire[i].created = operation->created;
        if (operation->has_stat) {
            wire[i].stat = make_stat(&operation->stat, arena);
        }
        write->operations[i] = &wire[i];
    }
    response->body_case = CLIENT__RESPONSE__BODY_WRITE;
    response->write = write;
}

static void set_watch(Client__Response *response, const struct reply *reply, struct arena *arena)
{
    Client__WatchReply *watch = make(arena, sizeof *watch);

    client__watch_reply__init(watch);
    watch->from_zxid = reply->watch.from;
    watch->oldest_zxid = reply->watch.oldest;
    response->body_case = CLIENT__RESPONSE__BODY_WATCH;
    response->watch = watch;
}

static Client__Response *make_response(uint64_t id, Client__Code code, struct arena *arena)
{
    Client__Response *response = make(arena, sizeof *response);

    client__response__init(response);
    response->id = id;
    response->code = code;
    if (code != CLIENT__CODE__OK) {
        response->message = lend_text(native_reply_code_text(code));
    }
    return response;
}

Client__Response *native_reply_refusal(uint64_t id, Client__Code code, struct arena *arena)
{
    return make_response(id, code, arena);
}

/* What the leader, or this server, said, under this connection's id. */
static Client__Response *
relayed_response(const struct request *request, const struct reply *reply, struct arena *arena)
{
    ProtobufCAllocator allocator = arena_allocator(arena);
    Client__Response *response =
        client__response__unpack(&allocator, reply->relayed.size, reply->relayed.data);

    if (response == NULL) {
        return make_response(request->id, CLIENT__CODE__UNKNOWN_OUTCOME, arena);
    }
    response->id = request->id;
    response->zxid = reply->zxid;
    return response;
}

static void set_body(Client__Response *response,
                     const struct request *request,
                     const struct reply *reply,
                     struct arena *arena)
{
    switch (request->kind) {
    case REQUEST_OPEN_SESSION:
    case REQUEST_ATTACH_SESSION:
        set_session(response, reply, arena);
        break;
    case REQUEST_GET:
        set_get(response, request, reply, arena);
        break;
    case REQUEST_LIST:
        set_list(response, request, reply, arena);
        break;
    case REQUEST_READ_TREE:
        set_tree(response, request, reply, arena);
        break;
    case REQUEST_WATCH:
        set_watch(response, reply, arena);
        break;
    case REQUEST_STATUS:
        response->body_case = CLIENT__RESPONSE__BODY_STATUS;
        response->status = (Client__StatusReply *)(uintptr_t)reply->status;
        break;
    case REQUEST_PING:
    case REQUEST_CLOSE_SESSION:
    case REQUEST_UNWATCH:
    case REQUEST_WRITE:
    case REQUEST_MEMBERSHIP:
        break;
    }
}

Client__Response *
native_reply_make(const struct request *request, const struct reply *reply, struct arena *arena)
{
    Client__Response *response;

    if (request->kind == REQUEST_MEMBERSHIP && reply->code == CLIENT__CODE__OK) {
        return relayed_response(request, reply, arena);
    }
    response = make_response(request->id, reply->code, arena);
    response->zxid = reply->zxid;
    if (reply->message != NULL) {
        response->message = lend_text(reply->message);
    }
    if (reply->code == CLIENT__CODE__OK) {
        set_body(response, request, reply, arena);
    }
    if (request->kind == REQUEST_WRITE && reply->result != NULL) {
        set_write(response, reply, arena);
    } else if (request->kind == REQUEST_WATCH && reply->code == CLIENT__CODE__COMPACTED) {
        set_watch(response, reply, arena);
    }
    return response;
}

/* --- Pushed --- */

static Client__EventKind event_kind(enum state_change_kind kind)
{
    switch (kind) {
    case STATE_VALUE_SET:
        return CLIENT__EVENT_KIND__VALUE_SET;
    case STATE_REMOVED:
        return CLIENT__EVENT_KIND__REMOVED;
    case STATE_ACL_SET:
        return CLIENT__EVENT_KIND__ACL_SET;
    case STATE_CREATED:
    case STATE_SESSION_OPENED:
    case STATE_SESSION_ATTACHED:
    case STATE_SESSION_CLOSED:
    case STATE_SESSION_EXPIRED:
        break;
    }
    CHECK(kind == STATE_CREATED);
    return CLIENT__EVENT_KIND__CREATED;
}

Client__Response *native_reply_events(uint64_t watch,
                                      bool with_values,
                                      const struct watch_event *events,
                                      size_t count,
                                      zxid up_to,
                                      bool lost,
                                      struct arena *arena)
{
    Client__Response *response = make_response(0, CLIENT__CODE__OK, arena);
    Client__Events *wire = make(arena, sizeof *wire);
    Client__Event *items = make(arena, count * sizeof *items);

    client__events__init(wire);
    wire->watch = watch;
    wire->up_to_zxid = up_to;
    wire->lost = lost;
    wire->n_events = count;
    wire->events = make(arena, count * sizeof(Client__Event *));
    for (size_t i = 0; i < count; i++) {
        bool is_null;

        client__event__init(&items[i]);
        items[i].zxid = events[i].zxid;
        items[i].kind = event_kind(events[i].kind);
        items[i].path = lend(events[i].path);
        items[i].stat = make_node_stat(events[i].node, arena);
        if (with_values && events[i].kind != STATE_REMOVED) {
            items[i].value = lend(state_node_value(events[i].node, &is_null));
            items[i].value_is_null = is_null;
        }
        wire->events[i] = &items[i];
    }
    response->zxid = up_to;
    response->body_case = CLIENT__RESPONSE__BODY_EVENTS;
    response->events = wire;
    return response;
}

Client__Response *
native_reply_notice(Client__NoticeKind kind, Client__Code code, struct arena *arena)
{
    Client__Response *response = make_response(0, CLIENT__CODE__OK, arena);
    Client__Notice *notice = make(arena, sizeof *notice);

    client__notice__init(notice);
    notice->kind = kind;
    notice->code = code;
    response->body_case = CLIENT__RESPONSE__BODY_NOTICE;
    response->notice = notice;
    return response;
}
