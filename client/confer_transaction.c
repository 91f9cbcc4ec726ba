#include "client/client_call.h"
#include "client/client_operation.h"
#include "proto/field.h"

#include <stdlib.h>
#include <string.h>

enum {
    TRANSACTION_BYTES_MAX = 4 * 1024 * 1024,
    /* Field numbers of Write. */
    FIELD_OPERATIONS = 1,
    FIELD_TRANSACTION = 2
};

/* The operations packed one by one as they are added: that is what a Write holds. */
struct confer_transaction {
    struct client_buffer packed;
    enum confer_status status; /* the first failure to add */
};

struct confer_transaction *confer_transaction_new(void)
{
    return client_alloc(sizeof(struct confer_transaction));
}

void confer_transaction_free(struct confer_transaction *transaction)
{
    if (transaction != NULL) {
        client_buffer_release(&transaction->packed);
        free(transaction);
    }
}

static enum confer_status put(struct client_buffer *buffer, const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *room;

    if (buffer->size + size > TRANSACTION_BYTES_MAX) {
        return CONFER_LIMIT;
    }
    room = client_buffer_reserve(buffer, field_message_bytes(FIELD_OPERATIONS, size));
    if (room == NULL) {
        return CONFER_NO_MEMORY;
    }
    (void)protobuf_c_message_pack(message, field_put_message_head(room, FIELD_OPERATIONS, size));
    client_buffer_filled(buffer, field_message_bytes(FIELD_OPERATIONS, size));
    return CONFER_OK;
}

static enum confer_status add(struct confer_transaction *transaction,
                              struct client_operation *operation)
{
    enum confer_status status = operation->status;

    if (status == CONFER_OK) {
        status = put(&transaction->packed, &operation->message.base);
    }
    client_operation_release(operation);
    if (transaction->status == CONFER_OK) {
        transaction->status = status;
    }
    return status;
}

enum confer_status confer_transaction_create(struct confer_transaction *transaction,
                                             const char *path,
                                             const void *value,
                                             size_t value_bytes,
                                             const struct confer_create *create)
{
    struct client_operation operation;

    client_operation_create(&operation, path, value, value_bytes, create);
    return add(transaction, &operation);
}

enum confer_status confer_transaction_set(struct confer_transaction *transaction,
                                          const char *path,
                                          const void *value,
                                          size_t value_bytes,
                                          int32_t version)
{
    struct client_operation operation;

    client_operation_set(&operation, path, value, value_bytes, version, false);
    return add(transaction, &operation);
}

enum confer_status
confer_transaction_remove(struct confer_transaction *transaction, const char *path, int32_t version)
{
    struct client_operation operation;

    client_operation_remove(&operation, path, version);
    return add(transaction, &operation);
}

enum confer_status confer_transaction_set_acl(struct confer_transaction *transaction,
                                              const char *path,
                                              const struct confer_acl_entry *acl,
                                              size_t acl_count,
                                              int32_t version)
{
    struct client_operation operation;

    client_operation_set_acl(&operation, path, acl, acl_count, version);
    return add(transaction, &operation);
}

enum confer_status
confer_transaction_check(struct confer_transaction *transaction, const char *path, int32_t version)
{
    struct client_operation operation;

    client_operation_check(&operation, path, version);
    return add(transaction, &operation);
}

enum confer_status confer_transaction_check_absent(struct confer_transaction *transaction,
                                                   const char *path)
{
    struct client_operation operation;

    client_operation_check_absent(&operation, path);
    return add(transaction, &operation);
}

static struct client_call commit_call(const struct confer_transaction *transaction)
{
    struct client_call call = {.status = transaction->status};
    struct bytes packed = client_buffer_lend(&transaction->packed);
    struct client_body *body;
    Client__Write empty = CLIENT__WRITE__INIT;

    if (packed.size == 0) {
        client_call_refuse(&call, CONFER_INVALID_ARGUMENT, "the transaction has no operation");
    }
    client_call_pack(&call, CLIENT__REQUEST__BODY_WRITE, &empty.base, CLIENT_SHAPE_TRANSACTION);
    if (call.status != CONFER_OK) {
        return call;
    }
    body = &call.request->body;
    free(body->data);
    body->size = packed.size + field_number_bytes(FIELD_TRANSACTION, true);
    body->data = client_alloc(body->size);
    if (body->data == NULL) {
        client_request_free(call.request);
        call.request = NULL;
        client_call_refuse(&call, CONFER_NO_MEMORY, NULL);
        return call;
    }
    memcpy(body->data, packed.data, packed.size);
    (void)field_put_number(body->data + packed.size, FIELD_TRANSACTION, true);
    return call;
}

enum confer_status confer_commit(struct confer *confer,
                                 const struct confer_transaction *transaction,
                                 const struct confer_call *call,
                                 struct confer_result **ret_result)
{
    struct client_call commit = commit_call(transaction);

    return client_call_wait(confer, &commit, call, ret_result);
}

enum confer_status confer_commit_async(struct confer *confer,
                                       const struct confer_transaction *transaction,
                                       const struct confer_call *call,
                                       confer_callback callback,
                                       void *argument)
{
    struct client_call commit = commit_call(transaction);

    return client_call_start(confer, &commit, call, callback, argument);
}
