#include "server/state/result.h"

#include "proto/arena_allocator.h"
#include "proto/record.pb-c.h"

#include <string.h>

static void stat_encode(const struct state_stat *stat, Record__Stat *ret_stat)
{
    record__stat__init(ret_stat);
    ret_stat->czxid = stat->czxid;
    ret_stat->mzxid = stat->mzxid;
    ret_stat->pzxid = stat->pzxid;
    ret_stat->ctime_ms = stat->ctime_ms;
    ret_stat->mtime_ms = stat->mtime_ms;
    ret_stat->version = stat->version;
    ret_stat->cversion = stat->cversion;
    ret_stat->aversion = stat->aversion;
    ret_stat->ephemeral_owner = stat->ephemeral_owner;
    ret_stat->value_bytes = stat->value_bytes;
    ret_stat->child_count = stat->child_count;
}

static struct state_stat stat_decode(const Record__Stat *stat)
{
    return (struct state_stat){
        .czxid = stat->czxid,
        .mzxid = stat->mzxid,
        .pzxid = stat->pzxid,
        .ctime_ms = stat->ctime_ms,
        .mtime_ms = stat->mtime_ms,
        .version = stat->version,
        .cversion = stat->cversion,
        .aversion = stat->aversion,
        .ephemeral_owner = stat->ephemeral_owner,
        .value_bytes = stat->value_bytes,
        .child_count = stat->child_count,
    };
}

static Record__OperationResult *operation_encode(const struct state_op_result *operation,
                                                 struct arena *arena)
{
    Record__OperationResult *message = arena_alloc(arena, sizeof *message);

    record__operation_result__init(message);
    message->error = operation->error;
    if (operation->path.size > 0) {
        message->path.len = operation->path.size;
        message->path.data = arena_alloc(arena, operation->path.size);
        memcpy(message->path.data, operation->path.data, operation->path.size);
    }
    message->created = operation->created;
    if (operation->has_stat) {
        message->stat = arena_alloc(arena, sizeof *message->stat);
        stat_encode(&operation->stat, message->stat);
    }
    return message;
}

struct bytes result_encode(const struct state_result *result, struct arena *arena)
{
    Record__Result message = RECORD__RESULT__INIT;
    uint8_t *data;
    size_t size;

    message.error = result->error;
    message.zxid = result->zxid;
    message.n_operations = result->operation_count;
    message.operations = arena_alloc(arena, result->operation_count * sizeof *message.operations);
    for (size_t i = 0; i < result->operation_count; i++) {
        message.operations[i] = operation_encode(&result->operations[i], arena);
    }
    size = record__result__get_packed_size(&message);
    data = arena_alloc(arena, size);
    return bytes_of(data, record__result__pack(&message, data));
}

enum status result_decode(struct bytes bytes, struct arena *arena, struct state_result *ret_result)
{
    ProtobufCAllocator allocator = arena_allocator(arena);
    Record__Result *message = record__result__unpack(&allocator, bytes.size, bytes.data);
    struct state_result result = {.repeated = true};

    if (message == NULL) {
        return STATUS_CORRUPT;
    }
    result.error = message->error;
    result.zxid = message->zxid;
    result.operation_count = message->n_operations;
    result.operations = arena_calloc(arena, message->n_operations, sizeof *result.operations);
    for (size_t i = 0; i < message->n_operations; i++) {
        const Record__OperationResult *operation = message->operations[i];

        result.operations[i] = (struct state_op_result){
            .error = operation->error,
            .path = bytes_of(operation->path.data, operation->path.len),
            .has_stat = operation->stat != NULL,
            .created = operation->created,
        };
        if (operation->stat != NULL) {
            result.operations[i].stat = stat_decode(operation->stat);
        }
    }
    *ret_result = result;
    return STATUS_OK;
}
