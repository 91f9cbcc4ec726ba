#include "persistence/seal.h"

#include "base/checksum.h"

void seal_put(struct bytes key, uint8_t *value, size_t size)
{
    bytes_store_u64(value + size, checksum_pair(key, bytes_of(value, size)));
}

bool seal_check(struct bytes key, struct bytes stored, struct bytes *ret_value)
{
    struct bytes value;

    if (stored.size < SEAL_BYTES) {
        return false;
    }
    value = bytes_of(stored.data, stored.size - SEAL_BYTES);
    if (bytes_load_u64(stored.data + value.size) != checksum_pair(key, value)) {
        return false;
    }
    *ret_value = value;
    return true;
}
