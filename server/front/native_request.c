#include "server/front/native_request.h"

#include "proto/arena_allocator.h"
#include "proto/message_scan.h"
#include "proto/record.pb-c.h"

#include <string.h>

enum {
    /* Submessages in one request: a transaction's operations with their parts. */
    MESSAGES_MAX = 4 * STATE_TRANSACTION_OPERATIONS_MAX
};

static struct bytes lend(ProtobufCBinaryData data)
{
    return bytes_of(data.data, data.len);
}

static enum status set_path(struct request *request, ProtobufCBinaryData path)
{
    request->path = lend(path);
    return path.len > STATE_PATH_BYTES_MAX ? STATUS_LIMIT : STATUS_OK;
}

static enum status set_page(struct request *request,
                            ProtobufCBinaryData after,
                            uint32_t count_max,
                            uint32_t depth_max,
                            bool with_nodes)
{
    request->page.after = lend(after);
    request->page.count_max = count_max;
    request->page.depth_max = depth_max;
    request->page.with_nodes = with_nodes;
    return after.len > STATE_PATH_BYTES_MAX ? STATUS_LIMIT : STATUS_OK;
}

/* The operations of a Write as the record.Command that the log will hold, without the session,
 * which is the node's to add. */
static enum status set_command(struct request *request, Client__Write *write)
{
    Record__Command command = RECORD__COMMAND__INIT;
    Record__Transaction transaction = RECORD__TRANSACTION__INIT;
    uint8_t *packed;
    size_t size;

    command.sequence = write->sequence;
    command.confirmed = write->confirmed;
    if (write->n_operations == 1 && !write->transaction) {
        command.body_case = RECORD__COMMAND__BODY_OPERATION;
        command.operation = write->operations[0];
    } else {
        transaction.n_operations = write->n_operations;
        transaction.operations = write->operations;
        command.body_case = RECORD__COMMAND__BODY_TRANSACTION;
        command.transaction = &transaction;
    }
    size = record__command__get_packed_size(&command);
    if (size > STATE_TRANSACTION_BYTES_MAX) {
        return STATUS_LIMIT;
    }
    packed = arena_alloc(&request->arena, size);
    (void)record__command__pack(&command, packed);
    request->write.command = bytes_of(packed, size);
    switch ((int)state_command_check(request->write.command)) {
    case OP_OK:
        return STATUS_OK;
    case OP_LIMIT:
        return STATUS_LIMIT;
    default:
        return STATUS_INVALID;
    }
}

static enum status set_watch(struct request *request, const Client__Watch *watch)
{
    request->watch.watch = watch->watch;
    request->watch.recursive = watch->recursive;
    request->watch.with_values = watch->with_values;
    request->watch.from = watch->from_zxid;
    return set_path(request, watch->path);
}

static enum status set_attach(struct request *request, const Client__AttachSession *attach)
{
    request->session.timeout_ms = attach->timeout_ms;
    request->session.session = attach->session;
    request->session.password = lend(attach->password);
    return attach->password.len > STATE_PASSWORD_BYTES ? STATUS_LIMIT : STATUS_OK;
}

static enum status fill(struct request *request, const Client__Request *wire, struct bytes body)
{
    switch ((int)wire->body_case) {
    case CLIENT__REQUEST__BODY_OPEN_SESSION:
        request->kind = REQUEST_OPEN_SESSION;
        request->session.timeout_ms = wire->open_session->timeout_ms;
        return STATUS_OK;
    case CLIENT__REQUEST__BODY_ATTACH_SESSION:
        request->kind = REQUEST_ATTACH_SESSION;
        return set_attach(request, wire->attach_session);
    case CLIENT__REQUEST__BODY_CLOSE_SESSION:
        request->kind = REQUEST_CLOSE_SESSION;
        return STATUS_OK;
    case CLIENT__REQUEST__BODY_PING:
        request->kind = REQUEST_PING;
        return STATUS_OK;
    case CLIENT__REQUEST__BODY_GET:
        request->kind = REQUEST_GET;
        request->linearizable = wire->get->level == CLIENT__READ_LEVEL__LINEARIZABLE;
        request->get.with_acl = wire->get->with_acl;
        request->get.stat_only = wire->get->stat_only;
        return set_path(request, wire->get->path);
    case CLIENT__REQUEST__BODY_LIST:
        request->kind = REQUEST_LIST;
        request->linearizable = wire->list->level == CLIENT__READ_LEVEL__LINEARIZABLE;
        request->page.with_values = wire->list->with_values;
        if (set_path(request, wire->list->path) != STATUS_OK) {
            return STATUS_LIMIT;
        }
        return set_page(request, wire->list->after, wire->list->count_max, 0,
                        wire->list->with_stats || wire->list->with_values);
    case CLIENT__REQUEST__BODY_READ_TREE:
        request->kind = REQUEST_READ_TREE;
        request->linearizable = wire->read_tree->level == CLIENT__READ_LEVEL__LINEARIZABLE;
        request->page.with_values = wire->read_tree->with_values;
        if (set_path(request, wire->read_tree->path) != STATUS_OK) {
            return STATUS_LIMIT;
        }
        return set_page(request, wire->read_tree->after, wire->read_tree->count_max,
                        wire->read_tree->depth_max, wire->read_tree->with_values);
    case CLIENT__REQUEST__BODY_WRITE:
        request->kind = REQUEST_WRITE;
        return set_command(request, wire->write);
    case CLIENT__REQUEST__BODY_WATCH:
        request->kind = REQUEST_WATCH;
        return set_watch(request, wire->watch);
    case CLIENT__REQUEST__BODY_UNWATCH:
        request->kind = REQUEST_UNWATCH;
        request->watch.watch = wire->unwatch->watch;
        return STATUS_OK;
    case CLIENT__REQUEST__BODY_STATUS:
        request->kind = REQUEST_STATUS;
        return STATUS_OK;
    case CLIENT__REQUEST__BODY_INIT:
    case CLIENT__REQUEST__BODY_ADD_LEARNER:
    case CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP:
    case CLIENT__REQUEST__BODY_REMOVE_MEMBER:
    case CLIENT__REQUEST__BODY_TRANSFER_LEADER:
        request->kind = REQUEST_MEMBERSHIP;
        request->membership.encoded = body;
        return STATUS_OK;
    default:
        return STATUS_UNAVAILABLE;
    }
}

static Client__Code refusal_of(enum status status)
{
    switch ((int)status) {
    case STATUS_OK:
        return CLIENT__CODE__OK;
    case STATUS_UNAVAILABLE:
        return CLIENT__CODE__UNSUPPORTED;
    case STATUS_LIMIT:
        return CLIENT__CODE__LIMIT;
    default:
        return CLIENT__CODE__BAD_ARGUMENTS;
    }
}

enum status native_request_read(struct bytes body, struct request **ret_request)
{
    struct request *request = request_new(REQUEST_PING);
    ProtobufCAllocator allocator = arena_allocator(&request->arena);
    struct bytes copy = BYTES_EMPTY;
    Client__Request *wire = NULL;

    if (message_scan(&client__request__descriptor, body, MESSAGES_MAX) == STATUS_OK) {
        copy = arena_copy(&request->arena, body);
        wire = client__request__unpack(&allocator, copy.size, copy.data);
    }
    if (wire == NULL || wire->id == 0) {
        request_free(request);
        return STATUS_INVALID;
    }
    request->id = wire->id;
    request->seen_zxid = wire->seen_zxid;
    request->refusal = refusal_of(fill(request, wire, copy));
    *ret_request = request;
    return STATUS_OK;
}
