#include "server/front/native_encode.h"

#include "server/front/identity.h"
#include "server/front/value_loan.h"
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

/* 0: it does not fit into a frame, and nothing was put. */
static size_t put_answer(struct connection *connection, struct native_answer *answer)
{
    size_t size = native_answer_measure(answer);
    uint8_t *frame;

    if (size > FRAME_CLIENT_BYTES_MAX) {
        return 0;
    }
    frame = connection_reserve(connection, FRAME_CLIENT_HEAD_BYTES + size);
    frame_client_put_head(frame, (uint32_t)size);
    native_answer_put(answer, frame + FRAME_CLIENT_HEAD_BYTES);
    connection_commit(connection, FRAME_CLIENT_HEAD_BYTES + size);
    return FRAME_CLIENT_HEAD_BYTES + size;
}

/* The same for an answer to GET whose value is apart. */
static size_t put_around_value(struct connection *connection,
                               struct arena *arena,
                               struct native_answer *answer,
                               struct state_node *node)
{
    size_t size = native_answer_measure(answer);
    size_t written = FRAME_CLIENT_HEAD_BYTES + size - answer->get.value.size;
    size_t behind = native_answer_bytes_behind_value(answer);
    uint8_t *frame;

    if (size > FRAME_CLIENT_BYTES_MAX) {
        return 0;
    }
    frame = arena_alloc(arena, written);
    frame_client_put_head(frame, (uint32_t)size);
    native_answer_put(answer, frame + FRAME_CLIENT_HEAD_BYTES);
    connection_send(connection, bytes_of(frame, written - behind));
    value_loan_send(connection, node);
    connection_send(connection, bytes_of(frame + written - behind, behind));
    return FRAME_CLIENT_HEAD_BYTES + size;
}

size_t native_encode_refusal(struct connection *connection, const struct native_refusal *refusal)
{
    struct native_answer answer = {
        .id = refusal->id, .code = refusal->code, .message = refusal->message};

    return put_answer(connection, &answer);
}

/* --- Bodies --- */

/* The bodies that protobuf-c packs. */
union other_body {
    Client__SessionReply session;
    Client__WatchReply watch;
};

static void fill_get(struct native_answer *answer,
                     struct arena *arena,
                     const struct request *request,
                     const struct reply *reply)
{
    bool with_acl = (request->notes & NATIVE_NOTE_ACL) != 0;
    uint32_t count = with_acl ? state_node_acl_count(reply->node) : 0;
    struct state_acl_entry *acl = count == 0 ? NULL : arena_calloc(arena, count, sizeof *acl);
    bool may_administer =
        count > 0 && client_may(request->client, reply->node, STATE_PERMISSION_ADMIN);

    for (uint32_t i = 0; i < count; i++) {
        acl[i] = state_node_acl(reply->node, i);
        acl[i].id = identity_shown_in_acl(&acl[i], may_administer, arena);
    }
    answer->body = CLIENT__RESPONSE__BODY_GET;
    answer->get = (struct native_get){.stat = state_node_stat(reply->node),
                                      .acl = acl,
                                      .acl_count = count,
                                      .ttl_ms = state_node_ttl_ms(reply->node),
                                      .container = state_node_is_container(reply->node)};
    if ((request->notes & NATIVE_NOTE_STAT_ONLY) == 0) {
        answer->get.value = state_node_value(reply->node, &answer->get.value_is_null);
        answer->get.value_is_apart = value_loan_is_due(answer->get.value);
    }
}

static void
fill_list(struct native_answer *answer, const struct request *request, const struct reply *reply)
{
    answer->body = CLIENT__RESPONSE__BODY_LIST;
    answer->list = (struct native_list){.children = &reply->children,
                                        .with_stats = (request->notes & NATIVE_NOTE_STATS) != 0,
                                        .with_values = (request->notes & NATIVE_NOTE_VALUES) != 0};
}

static void
fill_tree(struct native_answer *answer, const struct request *request, const struct reply *reply)
{
    answer->body = CLIENT__RESPONSE__BODY_READ_TREE;
    answer->tree = (struct native_tree){.nodes = reply->tree.nodes,
                                        .count = reply->tree.count,
                                        .more = reply->tree.more,
                                        .with_values = (request->notes & NATIVE_NOTE_VALUES) != 0};
}

/* Packing only reads; protobuf-c has no const in its structs. */
static ProtobufCBinaryData binary(struct bytes bytes)
{
    union {
        const uint8_t *in;
        uint8_t *out;
    } pointer = {.in = bytes.data};

    return (ProtobufCBinaryData){.data = pointer.out, .len = bytes.size};
}

static void
fill_session(struct native_answer *answer, Client__SessionReply *session, const struct reply *reply)
{
    client__session_reply__init(session);
    session->session = reply->session.session;
    session->generation = reply->session.generation;
    session->timeout_ms = reply->session.timeout_ms;
    session->last_sequence = reply->session.last_sequence;
    if (reply->session.password != NULL) {
        session->password = binary(bytes_of(reply->session.password, STATE_PASSWORD_BYTES));
    }
    answer->body = CLIENT__RESPONSE__BODY_SESSION;
    answer->other = &session->base;
}

static void
fill_watch(struct native_answer *answer, Client__WatchReply *watch, const struct reply *reply)
{
    client__watch_reply__init(watch);
    watch->from_zxid = reply->watch.from;
    watch->oldest_zxid = reply->watch.oldest;
    answer->body = CLIENT__RESPONSE__BODY_WATCH;
    answer->other = &watch->base;
}

/* Which parts of the reply are valid depends on the code (request.h). */
static void fill_body(struct native_answer *answer,
                      union other_body *other,
                      struct arena *arena,
                      const struct request *request,
                      const struct reply *reply)
{
    bool ok = reply->code == CLIENT__CODE__OK;

    switch (request->kind) {
    case REQUEST_OPEN_SESSION:
    case REQUEST_ATTACH_SESSION:
        if (ok) {
            fill_session(answer, &other->session, reply);
        }
        break;
    case REQUEST_GET:
        if (ok) {
            fill_get(answer, arena, request, reply);
        }
        break;
    case REQUEST_LIST:
        if (ok) {
            fill_list(answer, request, reply);
        }
        break;
    case REQUEST_READ_TREE:
        if (ok) {
            fill_tree(answer, request, reply);
        }
        break;
    case REQUEST_WRITE:
        if (reply->code < CLIENT__CODE__NO_LEADER && reply->result != NULL) {
            answer->body = CLIENT__RESPONSE__BODY_WRITE;
            answer->write = reply->result;
        }
        break;
    case REQUEST_WATCH:
        if (ok || reply->code == CLIENT__CODE__COMPACTED) {
            fill_watch(answer, &other->watch, reply);
        }
        break;
    case REQUEST_STATUS:
        if (ok) {
            answer->body = CLIENT__RESPONSE__BODY_STATUS;
            answer->other = &reply->status->base;
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
    struct native_answer id = {.id = request->id};
    size_t size = relayed.size + native_answer_measure(&id);
    uint8_t *frame;

    if (size > FRAME_CLIENT_BYTES_MAX) {
        return 0;
    }
    frame = connection_reserve(connection, FRAME_CLIENT_HEAD_BYTES + size);
    frame_client_put_head(frame, (uint32_t)size);
    memcpy(frame + FRAME_CLIENT_HEAD_BYTES, relayed.data, relayed.size);
    native_answer_put(&id, frame + FRAME_CLIENT_HEAD_BYTES + relayed.size);
    connection_commit(connection, FRAME_CLIENT_HEAD_BYTES + size);
    return FRAME_CLIENT_HEAD_BYTES + size;
}

static const char *message_of(const struct reply *reply)
{
    if (reply->code == CLIENT__CODE__OK) {
        return NULL;
    }
    return reply->message != NULL ? reply->message : native_code_text(reply->code);
}

static size_t put_reply(struct connection *connection,
                        struct arena *arena,
                        const struct request *request,
                        const struct reply *reply)
{
    struct native_answer answer = {
        .id = request->id, .code = reply->code, .message = message_of(reply), .zxid = reply->zxid};
    union other_body other;

    fill_body(&answer, &other, arena, request, reply);
    if (answer.body == CLIENT__RESPONSE__BODY_GET && answer.get.value_is_apart) {
        return put_around_value(connection, arena, &answer, reply->node);
    }
    return put_answer(connection, &answer);
}

size_t native_encode_reply(struct connection *connection,
                           struct arena *arena,
                           const struct request *request,
                           const struct reply *reply)
{
    const struct native_refusal too_large = {
        .id = request->id,
        .code = CLIENT__CODE__LIMIT,
        .message = "the answer is larger than a frame; ask for less, or in pages"};
    bool is_relayed = request->kind == REQUEST_MEMBERSHIP && reply->code == CLIENT__CODE__OK &&
                      reply->relayed.size > 0;
    size_t put = is_relayed ? put_relayed(connection, request, reply->relayed)
                            : put_reply(connection, arena, request, reply);

    return put != 0 ? put : native_encode_refusal(connection, &too_large);
}

/* --- Pushed --- */

static size_t event_bytes(const struct watch_event *event, bool with_values)
{
    bool is_null;

    return EVENT_OVERHEAD_BYTES + event->path.size +
           (with_values && event->node != NULL && event->kind != STATE_REMOVED
                ? state_node_value(event->node, &is_null).size
                : 0);
}

static size_t put_events(struct connection *connection, const struct native_events *events)
{
    struct native_answer answer = {
        .zxid = events->up_to, .body = CLIENT__RESPONSE__BODY_EVENTS, .events = *events};
    size_t put = put_answer(connection, &answer);

    CHECK(put != 0);
    return put;
}

size_t native_encode_events(struct connection *connection, const struct native_events *events)
{
    size_t first = 0;
    size_t put = 0;

    do {
        struct native_events part = *events;
        size_t bytes = 0;
        size_t next = first;

        while (next < events->count && (next == first || bytes < EVENTS_BYTES_MAX)) {
            bytes += event_bytes(&events->events[next++], events->with_values);
        }
        part.events = events->count == 0 ? NULL : &events->events[first];
        part.count = next - first;
        part.lost = events->lost && next == events->count;
        /* Before the last frame it can only be promised what lies before its next event. */
        part.up_to = next == events->count ? events->up_to : events->events[next].zxid - 1;
        put += put_events(connection, &part);
        first = next;
    } while (first < events->count);
    return put;
}

size_t
native_encode_notice(struct connection *connection, Client__NoticeKind kind, Client__Code code)
{
    Client__Notice notice = CLIENT__NOTICE__INIT;
    struct native_answer answer = {.body = CLIENT__RESPONSE__BODY_NOTICE, .other = &notice.base};

    notice.kind = kind;
    notice.code = code;
    return put_answer(connection, &answer);
}
