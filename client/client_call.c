#include "client/client_call.h"

#include <string.h>

void client_call_refuse(struct client_call *call, enum confer_status status, const char *reason)
{
    if (call->status == CONFER_OK) {
        call->status = status;
        call->reason = reason;
    }
}

void client_call_check_path(struct client_call *call, const char *path)
{
    size_t bytes = path == NULL ? 0 : strnlen(path, CLIENT_PATH_BYTES_MAX + 1);

    if (bytes == 0 || path[0] != '/') {
        client_call_refuse(call, CONFER_INVALID_ARGUMENT, "a path starts with '/'");
    } else if (bytes > CLIENT_PATH_BYTES_MAX) {
        client_call_refuse(call, CONFER_LIMIT, "the path has more than 4,096 bytes");
    }
}

void client_call_pack(struct client_call *call,
                      Client__Request__BodyCase field,
                      const ProtobufCMessage *message,
                      enum client_shape shape)
{
    enum confer_status status;

    if (call->status != CONFER_OK) {
        return;
    }
    call->request = client_request_new();
    status = call->request == NULL ? CONFER_NO_MEMORY
                                   : client_body_pack(field, message, &call->request->body);
    if (status != CONFER_OK) {
        client_request_free(call->request);
        call->request = NULL;
        client_call_refuse(call, status,
                           status == CONFER_LIMIT ? "the request is too large" : NULL);
        return;
    }
    call->request->shape = shape;
    call->request->is_write = field == CLIENT__REQUEST__BODY_WRITE;
    call->request->is_slow =
        shape == CLIENT_SHAPE_MEMBERSHIP || field == CLIENT__REQUEST__BODY_TRANSFER_LEADER;
}

enum confer_status client_call_start(struct confer *confer,
                                     struct client_call *call,
                                     const struct confer_call *how,
                                     confer_callback callback,
                                     void *argument)
{
    struct client_request *request = call->request;
    enum confer_status status;

    call->request = NULL;
    if (call->status != CONFER_OK) {
        client_request_free(request);
        return call->status;
    }
    if (callback == NULL) {
        client_request_free(request);
        return CONFER_INVALID_ARGUMENT;
    }
    request->timeout_ms =
        how != NULL && how->timeout_ms != 0 ? how->timeout_ms : confer->request_timeout_ms;
    request->callback = callback;
    request->argument = argument;
    status = client_accept(confer, request, NULL);
    if (status != CONFER_OK) {
        client_request_free(request);
    }
    return status;
}

struct waiter {
    pthread_mutex_t mutex;
    pthread_cond_t done;
    struct confer_result *result;
};

static void on_result(struct confer *confer, struct confer_result *result, void *argument)
{
    struct waiter *waiter = argument;

    (void)confer;
    (void)pthread_mutex_lock(&waiter->mutex);
    waiter->result = result;
    (void)pthread_cond_signal(&waiter->done);
    (void)pthread_mutex_unlock(&waiter->mutex);
}

/* A result for a call that was not made. */
static struct confer_result *result_of(enum confer_status status, const char *reason)
{
    struct client_result *result = client_result_new();

    if (result == NULL) {
        return NULL;
    }
    client_result_fail(result, status, reason == NULL ? NULL : "%s", reason);
    return &result->public;
}

static enum confer_status
give(struct confer_result *result, enum confer_status status, struct confer_result **ret_result)
{
    if (ret_result != NULL) {
        *ret_result = result;
    } else {
        confer_result_free(result);
    }
    return status;
}

enum confer_status client_call_wait(struct confer *confer,
                                    struct client_call *call,
                                    const struct confer_call *how,
                                    struct confer_result **ret_result)
{
    struct waiter waiter = {.mutex = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};
    enum confer_status status;

    if (client_is_loop_thread(confer)) {
        client_call_refuse(call, CONFER_DEADLOCK, NULL);
    }
    status = client_call_start(confer, call, how, on_result, &waiter);
    if (status != CONFER_OK) {
        return give(result_of(status, call->reason), status, ret_result);
    }
    (void)pthread_mutex_lock(&waiter.mutex);
    while (waiter.result == NULL) {
        (void)pthread_cond_wait(&waiter.done, &waiter.mutex);
    }
    (void)pthread_mutex_unlock(&waiter.mutex);
    (void)pthread_mutex_destroy(&waiter.mutex);
    (void)pthread_cond_destroy(&waiter.done);
    return give(waiter.result, waiter.result->status, ret_result);
}
