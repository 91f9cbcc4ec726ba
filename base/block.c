#include "base/block.h"

#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>

enum {
    STEP_BYTES = 16, /* malloc's: with its own 8 bytes a block takes a multiple of these */
    KEPT_BYTES_OF_ONE_MAX = 1024,
    LIST_COUNT = KEPT_BYTES_OF_ONE_MAX / STEP_BYTES
};

/* What a few thousand writes need, which is a turn. A sanitizer is to see every block go. */
#ifndef BLOCK_KEPT_BYTES_MAX
#define BLOCK_KEPT_BYTES_MAX (4 * 1024 * 1024)
#endif

struct left {
    struct left *next;
};

/* List i has blocks of 16 * i + 8 bytes. */
static _Thread_local struct {
    struct {
        struct left *first;
        uint32_t count;
        uint32_t least; /* that it had since the last block_give_back */
    } lists[LIST_COUNT];
    size_t bytes;
} kept;

static size_t list_of(size_t bytes)
{
    return (bytes + STEP_BYTES / 2 - 1) / STEP_BYTES;
}

static size_t block_bytes_of(size_t list)
{
    return list * STEP_BYTES + STEP_BYTES / 2;
}

static void *take(size_t list)
{
    struct left *block = kept.lists[list].first;

    kept.lists[list].first = block->next;
    /* It was left long ago, and will be taken soon. */
    __builtin_prefetch(block->next, 1);
    kept.lists[list].count--;
    kept.bytes -= block_bytes_of(list);
    return block;
}

void *block_new(size_t bytes)
{
    size_t list = list_of(bytes);
    void *block;

    if (list >= LIST_COUNT) {
        return xmalloc(bytes);
    }
    if (kept.lists[list].count == 0) {
        return xmalloc(block_bytes_of(list));
    }
    block = take(list);
    if (kept.lists[list].count < kept.lists[list].least) {
        kept.lists[list].least = kept.lists[list].count;
    }
    return block;
}

void block_free(void *block, size_t bytes)
{
    size_t list = list_of(bytes);
    struct left *left = block;

    if (block == NULL) {
        return;
    }
    if (list >= LIST_COUNT || kept.bytes + block_bytes_of(list) > BLOCK_KEPT_BYTES_MAX) {
        free(block);
        return;
    }
    left->next = kept.lists[list].first;
    kept.lists[list].first = left;
    kept.lists[list].count++;
    kept.bytes += block_bytes_of(list);
}

void block_give_back(void)
{
    for (size_t list = 0; list < LIST_COUNT; list++) {
        for (; kept.lists[list].least > 0; kept.lists[list].least--) {
            free(take(list));
        }
        kept.lists[list].least = kept.lists[list].count;
    }
}
