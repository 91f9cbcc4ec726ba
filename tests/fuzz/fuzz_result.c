/* Bytes as a result kept for retries: what is taken has one encoding. */
#include "base/check.h"
#include "server/state/result.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct state_result result;

    arena_init(&arena);
    if (result_decode(bytes_of(data, size), &arena, &result) == STATUS_OK) {
        struct state_result again;
        struct bytes once = result_encode(&result, &arena);

        CHECK(result_decode(once, &arena, &again) == STATUS_OK);
        struct bytes twice = result_encode(&again, &arena);
        CHECK(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    }
    arena_release(&arena);
    return 0;
}
