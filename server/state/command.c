#include "server/state/command.h"

#include "base/check.h"
#include "proto/arena_allocator.h"
#include "proto/message_read.h"

#include <stdalign.h>
#include <stddef.h>

/* Enough for the most operations, each a message in a message, with an ACL entry or two. */
enum { MESSAGES_MAX = 4 * STATE_TRANSACTION_OPERATIONS_MAX };

/* Of a command that is only looked at: most fit. */
enum { COMMAND_SPACE_BYTES = 1024 };

static enum op_error
check_sizes(ProtobufCBinaryData path, ProtobufCBinaryData value, bool value_is_null, size_t n_acl)
{
    if (path.len > STATE_PATH_BYTES_MAX || value.len > STATE_VALUE_BYTES_MAX ||
        n_acl > STATE_ACL_ENTRIES_MAX) {
        return OP_LIMIT;
    }
    return value_is_null && value.len > 0 ? OP_BAD_ARGUMENTS : OP_OK;
}

static enum op_error check_operation(const Record__Operation *operation)
{
    ProtobufCBinaryData none = {.len = 0};

    switch (operation->kind_case) {
    case RECORD__OPERATION__KIND_CREATE:
        return check_sizes(operation->create->path, operation->create->value,
                           operation->create->value_is_null, operation->create->n_acl);
    case RECORD__OPERATION__KIND_SET:
        return check_sizes(operation->set->path, operation->set->value,
                           operation->set->value_is_null, 0);
    case RECORD__OPERATION__KIND_REMOVE:
        return check_sizes(operation->remove->path, none, false, 0);
    case RECORD__OPERATION__KIND_SET_ACL:
        return check_sizes(operation->set_acl->path, none, false, operation->set_acl->n_acl);
    case RECORD__OPERATION__KIND_CHECK:
        return check_sizes(operation->check->path, none, false, 0);
    case RECORD__OPERATION__KIND_CHECK_ABSENT:
        return check_sizes(operation->check_absent->path, none, false, 0);
    case RECORD__OPERATION__KIND__NOT_SET:
    case _RECORD__OPERATION__KIND__CASE_IS_INT_SIZE:
    default:
        return OP_UNREADABLE;
    }
}

size_t command_operations(Record__Command *command, Record__Operation ***ret_operations)
{
    if (command->body_case == RECORD__COMMAND__BODY_OPERATION) {
        *ret_operations = &command->operation;
        return 1;
    }
    if (command->body_case == RECORD__COMMAND__BODY_TRANSACTION) {
        *ret_operations = command->transaction->operations;
        return command->transaction->n_operations;
    }
    *ret_operations = NULL;
    return 0;
}

/* How many nodes a command asks to remove that it does not name. */
static uint32_t removals_max(const Record__Command *command)
{
    if (command->body_case == RECORD__COMMAND__BODY_SWEEP) {
        return command->sweep->count_max;
    }
    if (command->body_case == RECORD__COMMAND__BODY_CLOSE_SESSION) {
        return command->close_session->count_max;
    }
    return command->body_case == RECORD__COMMAND__BODY_EXPIRE_SESSION
               ? command->expire_session->count_max
               : 0;
}

static enum op_error check_command(Record__Command *command)
{
    Record__Operation **operations;
    size_t count = command_operations(command, &operations);

    if (command->body_case == RECORD__COMMAND__BODY__NOT_SET) {
        return OP_UNREADABLE;
    }
    if (command->body_case == RECORD__COMMAND__BODY_OPEN_SESSION &&
        command->open_session->password.len != STATE_PASSWORD_BYTES) {
        return OP_BAD_ARGUMENTS;
    }
    if (removals_max(command) > (command->body_case == RECORD__COMMAND__BODY_SWEEP
                                     ? STATE_SWEEP_COUNT_MAX
                                     : STATE_END_COUNT_MAX)) {
        return OP_LIMIT;
    }
    if (command->session == 0 && command->sequence != 0) {
        return OP_BAD_ARGUMENTS;
    }
    if (count > STATE_TRANSACTION_OPERATIONS_MAX || command->n_identities > STATE_IDENTITIES_MAX) {
        return OP_LIMIT;
    }
    for (size_t i = 0; i < command->n_identities; i++) {
        if (command->identities[i]->scheme.len + command->identities[i]->id.len >
            STATE_IDENTITY_BYTES_MAX) {
            return OP_LIMIT;
        }
    }
    for (size_t i = 0; i < count; i++) {
        enum op_error error = check_operation(operations[i]);

        if (error != OP_OK) {
            return error;
        }
    }
    return OP_OK;
}

enum op_error command_decode(struct bytes bytes, struct arena *arena, Record__Command **ret_command)
{
    ProtobufCAllocator allocator = arena_allocator(arena);
    ProtobufCMessage *message;
    Record__Command *command;
    enum op_error error;
    enum status status;

    if (bytes.size > STATE_TRANSACTION_BYTES_MAX) {
        return OP_LIMIT;
    }
    status =
        message_read(&record__command__descriptor, bytes, true, MESSAGES_MAX, &allocator, &message);
    if (status != STATUS_OK) {
        return status == STATUS_LIMIT ? OP_LIMIT : OP_UNREADABLE;
    }
    command = (Record__Command *)message;
    error = check_command(command);
    if (error == OP_OK) {
        *ret_command = command;
    }
    return error;
}

enum op_error state_command_check(struct bytes command)
{
    alignas(max_align_t) uint8_t space[COMMAND_SPACE_BYTES];
    struct arena arena;
    Record__Command *decoded;
    enum op_error error;

    arena_init_in(&arena, space, sizeof space);
    error = command_decode(command, &arena, &decoded);
    arena_release(&arena);
    return error;
}
