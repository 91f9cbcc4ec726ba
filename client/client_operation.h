/* One operation of a write as its message, borrowing the caller's texts. */
#ifndef CLIENT_OPERATION_H
#define CLIENT_OPERATION_H

#include "client/include/confer.h"
#include "proto/record.pb-c.h"

struct client_operation {
    enum confer_status status; /* not OK: the arguments were refused, or no memory */
    const char *reason;
    Record__Operation message;
    union {
        Record__Create create;
        Record__Set set;
        Record__Remove remove;
        Record__SetAcl set_acl;
        Record__Check check;
        Record__CheckAbsent check_absent;
    };
    Record__AclEntry *entries;
    Record__AclEntry **entry_list;
};

void client_operation_release(struct client_operation *operation);

void client_operation_create(struct client_operation *operation,
                             const char *path,
                             const void *value,
                             size_t value_bytes,
                             const struct confer_create *create);
void client_operation_set(struct client_operation *operation,
                          const char *path,
                          const void *value,
                          size_t value_bytes,
                          int32_t version,
                          bool create);
void client_operation_remove(struct client_operation *operation, const char *path, int32_t version);
void client_operation_set_acl(struct client_operation *operation,
                              const char *path,
                              const struct confer_acl_entry *acl,
                              size_t acl_count,
                              int32_t version);
void client_operation_check(struct client_operation *operation, const char *path, int32_t version);
void client_operation_check_absent(struct client_operation *operation, const char *path);

#endif
