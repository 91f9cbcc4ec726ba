#include "client/client_operation.h"

#include "client/client_codec.h"

#include <stdlib.h>
#include <string.h>

enum {
    PATH_BYTES_MAX = 4096,
    VALUE_BYTES_MAX = 1024 * 1024,
    ACL_ENTRIES_MAX = 64,
    MODE_MAX = CONFER_PERSISTENT_SEQUENTIAL_TTL
};

static void
refuse(struct client_operation *operation, enum confer_status status, const char *reason)
{
    if (operation->status == CONFER_OK) {
        operation->status = status;
        operation->reason = reason;
    }
}

static ProtobufCBinaryData take_path(struct client_operation *operation, const char *path)
{
    if (path == NULL || path[0] != '/') {
        refuse(operation, CONFER_INVALID_ARGUMENT, "a path starts with '/'");
    } else if (strnlen(path, PATH_BYTES_MAX + 1) > PATH_BYTES_MAX) {
        refuse(operation, CONFER_LIMIT, "the path has more than 4,096 bytes");
    }
    return client_data_of_text(path);
}

static ProtobufCBinaryData
take_value(struct client_operation *operation, const void *value, size_t value_bytes)
{
    if (value == NULL && value_bytes > 0) {
        refuse(operation, CONFER_INVALID_ARGUMENT, "the value is missing");
    } else if (value_bytes > VALUE_BYTES_MAX) {
        refuse(operation, CONFER_LIMIT, "the value has more than 1,048,576 bytes (1 MiB)");
    }
    return client_data_of(value, value_bytes);
}

static void start(struct client_operation *operation, Record__Operation__KindCase kind)
{
    memset(operation, 0, sizeof *operation);
    record__operation__init(&operation->message);
    operation->message.kind_case = kind;
}

void client_operation_release(struct client_operation *operation)
{
    free(operation->entries);
    free(operation->entry_list);
    operation->entries = NULL;
    operation->entry_list = NULL;
}

/* The entries as messages; NULL when refused. */
static Record__AclEntry **
take_acl(struct client_operation *operation, const struct confer_acl_entry *acl, size_t count)
{
    if (count > ACL_ENTRIES_MAX) {
        refuse(operation, CONFER_LIMIT, "the ACL has more than 64 entries");
        return NULL;
    }
    operation->entries = client_alloc(count * sizeof *operation->entries);
    operation->entry_list = client_alloc(count * sizeof *operation->entry_list);
    if (operation->entries == NULL || operation->entry_list == NULL) {
        refuse(operation, CONFER_NO_MEMORY, NULL);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        record__acl_entry__init(&operation->entries[i]);
        operation->entries[i].permissions = acl[i].permissions;
        operation->entries[i].scheme = client_data_of_text(acl[i].scheme);
        operation->entries[i].id = client_data_of_text(acl[i].id);
        operation->entry_list[i] = &operation->entries[i];
    }
    return operation->entry_list;
}

void client_operation_create(struct client_operation *operation,
                             const char *path,
                             const void *value,
                             size_t value_bytes,
                             const struct confer_create *create)
{
    static const struct confer_create plain = {.mode = CONFER_PERSISTENT};
    const struct confer_create *how = create == NULL ? &plain : create;
    Record__Create *message = &operation->create;

    start(operation, RECORD__OPERATION__KIND_CREATE);
    record__create__init(message);
    operation->message.create = message;
    if ((unsigned)how->mode > MODE_MAX) {
        refuse(operation, CONFER_INVALID_ARGUMENT, "unknown mode");
    }
    message->path = take_path(operation, path);
    message->value = take_value(operation, value, value_bytes);
    message->acl = take_acl(operation, how->acl, how->acl_count);
    message->n_acl = message->acl == NULL ? 0 : how->acl_count;
    message->mode = (Record__CreateMode)how->mode;
    message->ttl_ms = how->ttl_ms;
    message->make_parents = how->make_parents;
    message->version = how->version;
    message->children_created = how->children_created;
}

void client_operation_set(struct client_operation *operation,
                          const char *path,
                          const void *value,
                          size_t value_bytes,
                          int32_t version,
                          bool create)
{
    Record__Set *message = &operation->set;

    start(operation, RECORD__OPERATION__KIND_SET);
    record__set__init(message);
    operation->message.set = message;
    message->path = take_path(operation, path);
    message->value = take_value(operation, value, value_bytes);
    message->version = version;
    message->create = create;
}

void client_operation_remove(struct client_operation *operation, const char *path, int32_t version)
{
    Record__Remove *message = &operation->remove;

    start(operation, RECORD__OPERATION__KIND_REMOVE);
    record__remove__init(message);
    operation->message.remove = message;
    message->path = take_path(operation, path);
    message->version = version;
}

void client_operation_set_acl(struct client_operation *operation,
                              const char *path,
                              const struct confer_acl_entry *acl,
                              size_t acl_count,
                              int32_t version)
{
    Record__SetAcl *message = &operation->set_acl;

    start(operation, RECORD__OPERATION__KIND_SET_ACL);
    record__set_acl__init(message);
    operation->message.set_acl = message;
    message->path = take_path(operation, path);
    message->acl = take_acl(operation, acl, acl_count);
    message->n_acl = message->acl == NULL ? 0 : acl_count;
    message->version = version;
}

void client_operation_check(struct client_operation *operation, const char *path, int32_t version)
{
    Record__Check *message = &operation->check;

    start(operation, RECORD__OPERATION__KIND_CHECK);
    record__check__init(message);
    operation->message.check = message;
    message->path = take_path(operation, path);
    message->version = version;
}

void client_operation_check_absent(struct client_operation *operation, const char *path)
{
    Record__CheckAbsent *message = &operation->check_absent;

    start(operation, RECORD__OPERATION__KIND_CHECK_ABSENT);
    record__check_absent__init(message);
    operation->message.check_absent = message;
    message->path = take_path(operation, path);
}
