#include "server/state/record.h"

#include "base/block.h"
#include "base/check.h"

#include <string.h>

struct record *record_new(struct bytes key, size_t value_bytes)
{
    struct record *record;

    CHECK_OP(key.size, >, 0);
    CHECK_OP(key.size, <=, UINT16_MAX);
    CHECK_OP(value_bytes, <=, UINT32_MAX);
    record = block_new(sizeof *record + key.size + value_bytes);
    *record = (struct record){
        .references = 1,
        .key_bytes = (uint16_t)key.size,
        .value_bytes = (uint32_t)value_bytes,
    };
    memcpy(record->data, key.data, key.size);
    return record;
}

struct record *record_ref(struct record *record)
{
    CHECK_OP(record->references, >, 0);
    CHECK_OP(record->references, <, UINT32_MAX);
    record->references++;
    return record;
}

void record_unref(struct record *record)
{
    if (record == NULL) {
        return;
    }
    CHECK_OP(record->references, >, 0);
    record->references--;
    if (record->references == 0) {
        block_free(record, sizeof *record + record->key_bytes + record->value_bytes);
    }
}
