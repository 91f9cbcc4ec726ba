#include "base/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t checksum(struct bytes bytes)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.size, bytes.size);
}

uint64_t checksum_pair(struct bytes first, struct bytes second)
{
    return XXH3_64bits_withSeed(second.data, second.size, checksum(first) ^ second.size);
}
