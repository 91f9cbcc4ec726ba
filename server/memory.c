#include "server/memory.h"

#include <malloc.h>
#include <stddef.h>

enum {
    LARGE_BUFFER_BYTES = 256 * 1024,
    TRIM_BYTES = 16 * 1024 * 1024,
    LOOK_INTERVAL_US = 2 * 1000 * 1000,
    FREE_BYTES = 32 * 1024 * 1024
};

void memory_prepare(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BUFFER_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
}

/* The heap shrinks by itself only at its end, and something small that stays there is enough to
 * keep all that is free before it. What was given back still counts as free: only more calls for
 * another time. */
void memory_give_back(uint64_t now_us)
{
    static uint64_t look_us;
    static size_t given_bytes;
    size_t free_bytes;

    if (now_us < look_us) {
        return;
    }
    look_us = now_us + LOOK_INTERVAL_US;
    free_bytes = mallinfo2().fordblks;
    if (free_bytes < given_bytes) {
        given_bytes = free_bytes;
    }
    if (free_bytes - given_bytes > FREE_BYTES) {
        (void)malloc_trim(TRIM_BYTES);
        given_bytes = mallinfo2().fordblks;
    }
}
