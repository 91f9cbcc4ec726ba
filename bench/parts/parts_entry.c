#include "bench/parts/parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { STAMP_MS = 1000 };

void parts_path(char path[PARTS_PATH_BYTES], uint64_t number)
{
    (void)snprintf(path, PARTS_PATH_BYTES, "/n%07" PRIu64, number);
}

void parts_put_entry(struct buffer *buffer, Record__Operation__KindCase kind, uint64_t number)
{
    static uint8_t value[PARTS_VALUE_BYTES];
    char path[PARTS_PATH_BYTES];
    Record__Command command = RECORD__COMMAND__INIT;
    Record__Operation operation = RECORD__OPERATION__INIT;
    Record__Create create = RECORD__CREATE__INIT;
    Record__Set set = RECORD__SET__INIT;
    size_t size;

    parts_path(path, number);
    if (kind == RECORD__OPERATION__KIND_CREATE) {
        create.path = (ProtobufCBinaryData){.data = (uint8_t *)path, .len = strlen(path)};
        create.value = (ProtobufCBinaryData){.data = value, .len = sizeof value};
        operation.create = &create;
    } else {
        set.path = (ProtobufCBinaryData){.data = (uint8_t *)path, .len = strlen(path)};
        set.value = (ProtobufCBinaryData){.data = value, .len = sizeof value};
        set.version = -1;
        operation.set = &set;
    }
    operation.kind_case = kind;
    command.body_case = RECORD__COMMAND__BODY_OPERATION;
    command.operation = &operation;
    buffer_put_u64(buffer, STAMP_MS);
    size = record__command__get_packed_size(&command);
    (void)record__command__pack(&command, buffer_extend(buffer, size));
}
