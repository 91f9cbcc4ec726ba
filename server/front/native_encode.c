#include "server/front/native_encode.h"

#include "server/front/identity.h"
#include "server/node/node.h"

#include "base/check.h"

#include <string.h>

/* The replicated outcomes have the same values in the protocol and in the state. */
#define SAME(name) _Static_assert((int)CLIENT__CODE__##name == (int)OP_##name, #name)
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
SAME(QUOTA_EXCEEDED);
#undef SAME
/* And there is no outcome that the protocol does not know. */
#define X(name, value, zookeeper, text) +1
_Static_assert(0 OP_ERROR_MAP(X) == CLIENT__CODE__QUOTA_EXCEEDED + 1, "an outcome without a code");
#undef X

enum {
    /* Events are cut into frames of about this size. */
    EVENTS_BYTES_MAX = 1024 * 1024,
    /* An event without path and value. */
    EVENT_OVERHEAD_BYTES = 128
};

const char *native_code_text(Client__Code code)
{
    switch ((int)code) {
    case CLIENT__CODE__NO_LEADER:
        return "no leader is known here: try again, or another server";
    case CLIENT__CODE__BUSY:
        return "the server is busy: try again after a pause";
    case CLIENT__CODE__BEHIND:
        return "this server has not caught up with what you saw: try another one";
    case CLIENT__CODE__UNKNOWN_OUTCOME:
        return "the write may have taken effect or not: look, or send it again with its sequence";
    case CLIENT__CODE__COMPACTED:
        return "the history does not reach back that far: read the present state and watch on";
    case CLIENT__CODE__NO_SPACE:
        return "the cluster is short of disk: only removals are taken";
    case CLIENT__CODE__NO_CLUSTER:
        return "this server belongs to no cluster: use init, or add-learner through a member";
    case CLIENT__CODE__UNSUPPORTED:
        return "this server does not know this request";
    case CLIENT__CODE__CONFLICT:
        return "in conflict with the present members, or a change is under way";
    case CLIENT__CODE__UNREACHABLE:
        return "a server named in the request does not answer";
    case CLIENT__CODE__REFUSED:
        return "a server named in the request refused";
    case CLIENT__CODE__STOPPING:
        return "this server is stopping: use another one";
    case CLIENT__CODE__NOT_MEMBER:
        return "this server is not, or no more, a member of its cluster: use another one";
    case CLIENT__CODE__AUTH_FAILED:
        return "the credentials are of no scheme that this server knows, or too many";
    default:
        return code < CLIENT__CODE__NO_LEADER ? op_error_text((enum op_error)code) : "";
    }
}

/* --- Frames --- */

/* Packing only reads; protobuf-c has no const in its structs. */
static ProtobufCBinaryData binary(struct bytes bytes)
{
    union {
        const uint8_t *in;
        uint8_t *out;
    } pointer = {.in = bytes.data};

    return (ProtobufCBinaryData){.data = pointer.out, .len = bytes.size};
}

static char *text(const char *constant)
{
    union {
        const char *in;
        char *out;
    } pointer = {.in = constant};

    return pointer.out;
}

/* 0: it does not fit into a frame, and nothing was put. */
static size_t put_response(struct connection *connection, const Client__Response *response)
{
    size_t size = client__response__get_packed_size(response);
    size_t frame = FRAME_CLIENT_HEAD_BYTES + size;
    uint8_t *to;

    if (size > FRAME_CLIENT_BYTES_MAX) {
        return 0;
    }
    to = connection_reserve(connection, frame);
    frame_client_put_head(to, (uint32_t)size);
    (void)client__response__pack(response, to + FRAME_CLIENT_HEAD_BYTES);
    connection_commit(connection, frame);
    return frame;
}

size_t native_encode_refusal(struct connection *connection, const struct native_refusal *refusal)
{
    Client__Response response;

    client__response__init(&response);
    response.id = refusal->id;
    response.code = refusal->code;
    response.message = text(refusal->message);
    return put_response(connection, &response);
}

/* --- Parts --- */

static void fill_stat(Record__Stat *to, const struct state_stat *from)
{
    record__stat__init(to);
    to->czxid = from->czxid;
    to->mzxid = from->mzxid;
    to->pzxid = from->pzxid;
    to->ctime_ms = from->ctime_ms;
    to->mtime_ms = from->mtime_ms;
    to->version = from->version;
    to->cversion = from->cversion;
    to->aversion = from->aversion;
    to->ephemeral_owner = from->ephemeral_owner;
    to->value_bytes = from->value_bytes;
    to->child_count = from->child_count;
}

static Record__Stat *make_node_stat(struct arena *arena, const struct state_node *node)
{
    const struct state_stat from = state_node_stat(node);
    Record__Stat *stat = arena_alloc(arena, sizeof *stat);

    fill_stat(stat, &from);
    return stat;
}

static ProtobufCBinaryData node_value(const struct state_node *node, protobuf_c_boolean *ret_null)
{
    bool is_null = false;
    struct bytes value = state_node_value(node, &is_null);

    *ret_null = is_null;
    return binary(value);
}

static void fill_acl(Client__GetReply *get,
                     struct arena *arena,
                     const struct request *request,
                     const struct state_node *node)
{
    bool may_administer = client_may(request->client, node, STATE_PERMISSION_ADMIN);
    uint32_t count = state_node_acl_count(node);

    get->acl = arena_calloc(arena, count, sizeof *get->acl);
    get->n_acl = count;
    for (uint32_t i = 0; i < count; i++) {
        const struct state_acl_entry from = state_node_acl(node, i);
        Record__AclEntry *entry = arena_alloc(arena, sizeof *entry);

        record__acl_entry__init(entry);
        entry->permissions = from.permissions;
        entry->scheme = binary(from.scheme);
        entry->id = binary(identity_shown_in_acl(&from, may_administer, arena));
        get->acl[i] = entry;
    }
}

/* --- Bodies --- */

static void fill_get(Client__Response *response,
                     struct arena *arena,
                     const struct request *request,
                     const struct reply *reply)
{
    Client__GetReply *get = arena_alloc(arena, sizeof *get);

    client__get_reply__init(get);
    get->stat = make_node_stat(arena, reply->node);
    get->ttl_ms = state_node_ttl_ms(reply->node);
    get->container = state_node_is_container(reply->node);
    if ((request->notes & NATIVE_NOTE_STAT_ONLY) == 0) {
        get->value = node_value(reply->node, &get->value_is_null);
    }
    if ((request->notes & NATIVE_NOTE_ACL) != 0) {
        fill_acl(get, arena, request, reply->node);
    }
    response->body_case = CLIENT__RESPONSE__BODY_GET;
    response->get = get;
}

static void fill_list(Client__Response *response,
                      struct arena *arena,
                      const struct request *request,
                      const struct reply *reply)
{
    const struct state_children *children = &reply->children;
    Client__ListReply *list = arena_alloc(arena, sizeof *list);
    Client__ListReply__Child *items = arena_calloc(arena, children->count, sizeof *items);

    client__list_reply__init(list);
    list->children = arena_calloc(arena, children->count, sizeof *list->children);
    list->n_children = children->count;
    for (size_t i = 0; i < children->count; i++) {
        const struct state_child *child = &children->items[i];

        client__list_reply__child__init(&items[i]);
        items[i].name = binary(child->name);
        if ((request->notes & NATIVE_NOTE_STATS) != 0 && child->node != NULL) {
            items[i].stat = make_node_stat(arena, child->node);
        }
        if ((request->notes & NATIVE_NOTE_VALUES) != 0 && child->node != NULL) {
            items[i].value = node_value(child->node, &items[i].value_is_null);
        }
        list->children[i] = &items[i];
    }
    list->more = children->more;
    list->parent = arena_alloc(arena, sizeof *list->parent);
    fill_stat(list->parent, &children->parent);
    response->body_case = CLIENT__RESPONSE__BODY_LIST;
    response->list = list;
}

static void fill_tree(Client__Response *response,
                      struct arena *arena,
                      const struct request *request,
                      const struct reply *reply)
{
    size_t count = reply->tree.count;
    Client__ReadTreeReply *tree = arena_alloc(arena, sizeof *tree);
    Client__ReadTreeReply__Node *items = arena_calloc(arena, count, sizeof *items);

    client__read_tree_reply__init(tree);
    tree->nodes = arena_calloc(arena, count, sizeof *tree->nodes);
    tree->n_nodes = count;
    for (size_t i = 0; i < count; i++) {
        const struct reply_tree_node *node = &reply->tree.nodes[i];

        client__read_tree_reply__node__init(&items[i]);
        items[i].path = binary(node->path);
        if (node->node == NULL) {
            tree->nodes[i] = &items[i];
            continue;
        }
        items[i].stat = make_node_stat(arena, node->node);
        if ((request->notes & NATIVE_NOTE_VALUES) != 0) {
            items[i].value = node_value(node->node, &items[i].value_is_null);
        }
        tree->nodes[i] = &items[i];
    }
    tree->more = reply->tree.more;
    response->body_case = CLIENT__RESPONSE__BODY_READ_TREE;
    response->read_tree = tree;
}

static void
fill_write(Client__Response *response, struct arena *arena, const struct state_result *result)
{
    size_t count = result->operation_count;
    Client__WriteReply *write = arena_alloc(arena, sizeof *write);
    Record__OperationResult *items = arena_calloc(arena, count, sizeof *items);

    client__write_reply__init(write);
    write->zxid = result->zxid;
    write->operations = arena_calloc(arena, count, sizeof *write->operations);
    write->n_operations = count;
    for (size_t i = 0; i < count; i++) {
        const struct state_op_result *from = &result->operations[i];

        record__operation_result__init(&items[i]);
        items[i].error = from->error;
        items[i].path = binary(from->path);
        items[i].created = from->created;
        if (from->has_stat) {
            items[i].stat = arena_alloc(arena, sizeof *items[i].stat);
            fill_stat(items[i].stat, &from->stat);
        }
        write->operations[i] = &items[i];
    }
    response->body_case = CLIENT__RESPONSE__BODY_WRITE;
    response->write = write;
}

static void fill_session(Client__Response *response, struct arena *arena, const struct reply *reply)
{
    Client__SessionReply *session = arena_alloc(arena, sizeof *session);

    client__session_reply__init(session);
    session->session = reply->session.session;
    session->generation = reply->session.generation;
    session->timeout_ms = reply->session.timeout_ms;
    session->last_sequence = reply->session.last_sequence;
    if (reply->session.password != NULL) {
        session->password = binary(bytes_of(reply->session.password, STATE_PASSWORD_BYTES));
    }
    response->body_case = CLIENT__RESPONSE__BODY_SESSION;
    response->session = session;
}

static void fill_watch(Client__Response *response, struct arena *arena, const struct reply *reply)
{
    Client__WatchReply *watch = arena_alloc(arena, sizeof *watch);

    client__watch_reply__init(watch);
    watch->from_zxid = reply->watch.from;
    watch->oldest_zxid = reply->watch.oldest;
    response->body_case = CLIENT__RESPONSE__BODY_WATCH;
    response->watch = watch;
}

static void fill_status(Client__Response *response, const struct reply *reply)
{
    union {
        const Client__StatusReply *in;
        Client__StatusReply *out;
    } status = {.in = reply->status};

    response->body_case = CLIENT__RESPONSE__BODY_STATUS;
    response->status = status.out;
}

/* Which parts of the reply are valid depends on the code (request.h). */
static void fill_body(Client__Response *response,
                      struct arena *arena,
                      const struct request *request,
                      const struct reply *reply)
{
    bool ok = reply->code == CLIENT__CODE__OK;

    switch (request->kind) {
    case REQUEST_OPEN_SESSION:
    case REQUEST_ATTACH_SESSION:
        if (ok) {
            fill_session(response, arena, reply);
        }
        break;
    case REQUEST_GET:
        if (ok) {
            fill_get(response, arena, request, reply);
        }
        break;
    case REQUEST_LIST:
        if (ok) {
            fill_list(response, arena, request, reply);
        }
        break;
    case REQUEST_READ_TREE:
        if (ok) {
            fill_tree(response, arena, request, reply);
        }
        break;
    case REQUEST_WRITE:
        if (reply->code < CLIENT__CODE__NO_LEADER && reply->result != NULL) {
            fill_write(response, arena, reply->result);
        }
        break;
    case REQUEST_WATCH:
        if (ok || reply->code == CLIENT__CODE__COMPACTED) {
            fill_watch(response, arena, reply);
        }
        break;
    case REQUEST_STATUS:
        if (ok) {
            fill_status(response, reply);
        }
        break;
    case REQUEST_COUNT: /* those three have no place in this protocol */
    case REQUEST_EPHEMERALS:
    case REQUEST_RECONFIGURE:
    case REQUEST_PING:
    case REQUEST_CLOSE_SESSION:
    case REQUEST_UNWATCH:
    case REQUEST_MEMBERSHIP:
        break;
    }
}

/* The leader's answer as it came, with our client's id behind it: of a field that occurs twice the
 * last one counts. */
static size_t
put_relayed(struct connection *connection, const struct request *request, struct bytes relayed)
{
    Client__Response id;
    uint8_t packed[16];
    size_t id_bytes;
    size_t size;
    uint8_t *to;

    client__response__init(&id);
    id.id = request->id;
    id_bytes = client__response__pack(&id, packed);
    CHECK_OP(id_bytes, <=, sizeof packed);
    size = relayed.size + id_bytes;
    if (size > FRAME_CLIENT_BYTES_MAX) {
        return 0;
    }
    to = connection_reserve(connection, FRAME_CLIENT_HEAD_BYTES + size);
    frame_client_put_head(to, (uint32_t)size);
    memcpy(to + FRAME_CLIENT_HEAD_BYTES, relayed.data, relayed.size);
    memcpy(to + FRAME_CLIENT_HEAD_BYTES + relayed.size, packed, id_bytes);
    connection_commit(connection, FRAME_CLIENT_HEAD_BYTES + size);
    return FRAME_CLIENT_HEAD_BYTES + size;
}

size_t native_encode_reply(struct connection *connection,
                           struct arena *arena,
                           const struct request *request,
                           const struct reply *reply)
{
    Client__Response response;
    const struct native_refusal too_large = {
        .id = request->id,
        .code = CLIENT__CODE__LIMIT,
        .message = "the answer is larger than a frame; ask for less, or in pages"};
    size_t put;

    client__response__init(&response);
    if (request->kind == REQUEST_MEMBERSHIP && reply->code == CLIENT__CODE__OK &&
        reply->relayed.size > 0) {
        put = put_relayed(connection, request, reply->relayed);
    } else {
        response.id = request->id;
        response.code = reply->code;
        response.zxid = reply->zxid;
        if (reply->code != CLIENT__CODE__OK) {
            response.message =
                text(reply->message != NULL ? reply->message : native_code_text(reply->code));
        }
        fill_body(&response, arena, request, reply);
        put = put_response(connection, &response);
    }
    return put != 0 ? put : native_encode_refusal(connection, &too_large);
}

/* --- Pushed --- */

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

static void
fill_event(Client__Event *to, struct arena *arena, const struct watch_event *from, bool with_values)
{
    client__event__init(to);
    to->zxid = from->zxid;
    to->kind = event_kind(from->kind);
    to->path = binary(from->path);
    if (from->node != NULL) {
        to->stat = make_node_stat(arena, from->node);
    }
    if (with_values && from->node != NULL && from->kind != STATE_REMOVED) {
        to->value = node_value(from->node, &to->value_is_null);
    }
}

static size_t event_bytes(const struct watch_event *event, bool with_values)
{
    bool is_null;

    return EVENT_OVERHEAD_BYTES + event->path.size +
           (with_values && event->node != NULL && event->kind != STATE_REMOVED
                ? state_node_value(event->node, &is_null).size
                : 0);
}

static size_t put_events(struct connection *connection,
                         struct arena *arena,
                         const Client__Events *head,
                         bool with_values,
                         const struct watch_event *events)
{
    Client__Response response;
    Client__Events message = *head;
    Client__Event *items = arena_calloc(arena, message.n_events, sizeof *items);
    size_t put;

    client__response__init(&response);
    message.events = arena_calloc(arena, message.n_events, sizeof *message.events);
    for (size_t i = 0; i < message.n_events; i++) {
        fill_event(&items[i], arena, &events[i], with_values);
        message.events[i] = &items[i];
    }
    response.zxid = message.up_to_zxid;
    response.body_case = CLIENT__RESPONSE__BODY_EVENTS;
    response.events = &message;
    put = put_response(connection, &response);
    CHECK(put != 0);
    return put;
}

size_t native_encode_events(struct connection *connection,
                            struct arena *arena,
                            uint64_t watch,
                            bool with_values,
                            const struct watch_event *events,
                            size_t count,
                            zxid up_to,
                            bool lost)
{
    Client__Events head = CLIENT__EVENTS__INIT;
    size_t first = 0;
    size_t put = 0;

    head.watch = watch;
    do {
        size_t bytes = 0;
        size_t next = first;

        while (next < count && (next == first || bytes < EVENTS_BYTES_MAX)) {
            bytes += event_bytes(&events[next++], with_values);
        }
        head.n_events = next - first;
        head.lost = lost && next == count;
        /* Before the last frame it can only be promised what lies before its next event. */
        head.up_to_zxid = next == count ? up_to : events[next].zxid - 1;
        put += put_events(connection, arena, &head, with_values, events + first);
        first = next;
    } while (first < count);
    return put;
}

size_t
native_encode_notice(struct connection *connection, Client__NoticeKind kind, Client__Code code)
{
    Client__Response response;
    Client__Notice notice = CLIENT__NOTICE__INIT;

    client__response__init(&response);
    notice.kind = kind;
    notice.code = code;
    response.body_case = CLIENT__RESPONSE__BODY_NOTICE;
    response.notice = &notice;
    return put_response(connection, &response);
}
