#include "client/client_call.h"
#include "client/client_operation.h"

#include <stdlib.h>
#include <string.h>

/* A write of one operation. */
static struct client_call operation_call(struct client_operation *operation)
{
    struct client_call call = {.status = operation->status, .reason = operation->reason};
    Client__Write message = CLIENT__WRITE__INIT;
    Record__Operation *only = &operation->message;

    message.n_operations = 1;
    message.operations = &only;
    client_call_pack(&call, CLIENT__REQUEST__BODY_WRITE, &message.base, CLIENT_SHAPE_WRITE);
    client_operation_release(operation);
    return call;
}

static struct client_call create_call(const char *path,
                                      const void *value,
                                      size_t value_bytes,
                                      const struct confer_create *create)
{
    struct client_operation operation;

    client_operation_create(&operation, path, value, value_bytes, create);
    return operation_call(&operation);
}

static struct client_call
set_call(const char *path, const void *value, size_t value_bytes, int32_t version)
{
    struct client_operation operation;

    client_operation_set(&operation, path, value, value_bytes, version,
                         version == CONFER_ANY_VERSION);
    return operation_call(&operation);
}

static struct client_call remove_call(const char *path, int32_t version)
{
    struct client_operation operation;

    client_operation_remove(&operation, path, version);
    return operation_call(&operation);
}

static struct client_call set_acl_call(const char *path,
                                       const struct confer_acl_entry *acl,
                                       size_t acl_count,
                                       int32_t version)
{
    struct client_operation operation;

    client_operation_set_acl(&operation, path, acl, acl_count, version);
    return operation_call(&operation);
}

enum confer_status confer_create(struct confer *confer,
                                 const char *path,
                                 const void *value,
                                 size_t value_bytes,
                                 const struct confer_create *create,
                                 const struct confer_call *call,
                                 struct confer_result **ret_result)
{
    struct client_call made = create_call(path, value, value_bytes, create);

    return client_call_wait(confer, &made, call, ret_result);
}

enum confer_status confer_create_async(struct confer *confer,
                                       const char *path,
                                       const void *value,
                                       size_t value_bytes,
                                       const struct confer_create *create,
                                       const struct confer_call *call,
                                       confer_callback callback,
                                       void *argument)
{
    struct client_call made = create_call(path, value, value_bytes, create);

    return client_call_start(confer, &made, call, callback, argument);
}

enum confer_status confer_set(struct confer *confer,
                              const char *path,
                              const void *value,
                              size_t value_bytes,
                              int32_t version,
                              const struct confer_call *call,
                              struct confer_result **ret_result)
{
    struct client_call made = set_call(path, value, value_bytes, version);

    return client_call_wait(confer, &made, call, ret_result);
}

enum confer_status confer_set_async(struct confer *confer,
                                    const char *path,
                                    const void *value,
                                    size_t value_bytes,
                                    int32_t version,
                                    const struct confer_call *call,
                                    confer_callback callback,
                                    void *argument)
{
    struct client_call made = set_call(path, value, value_bytes, version);

    return client_call_start(confer, &made, call, callback, argument);
}

enum confer_status confer_remove(struct confer *confer,
                                 const char *path,
                                 int32_t version,
                                 const struct confer_call *call,
                                 struct confer_result **ret_result)
{
    struct client_call made = remove_call(path, version);

    return client_call_wait(confer, &made, call, ret_result);
}

enum confer_status confer_remove_async(struct confer *confer,
                                       const char *path,
                                       int32_t version,
                                       const struct confer_call *call,
                                       confer_callback callback,
                                       void *argument)
{
    struct client_call made = remove_call(path, version);

    return client_call_start(confer, &made, call, callback, argument);
}

enum confer_status confer_set_acl(struct confer *confer,
                                  const char *path,
                                  const struct confer_acl_entry *acl,
                                  size_t acl_count,
                                  int32_t version,
                                  const struct confer_call *call,
                                  struct confer_result **ret_result)
{
    struct client_call made = set_acl_call(path, acl, acl_count, version);

    return client_call_wait(confer, &made, call, ret_result);
}

enum confer_status confer_set_acl_async(struct confer *confer,
                                        const char *path,
                                        const struct confer_acl_entry *acl,
                                        size_t acl_count,
                                        int32_t version,
                                        const struct confer_call *call,
                                        confer_callback callback,
                                        void *argument)
{
    struct client_call made = set_acl_call(path, acl, acl_count, version);

    return client_call_start(confer, &made, call, callback, argument);
}
