#include "base/block.h"

#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>

enum {
    STEP_BYTES = 16, /* malloc's: with its own 8 bytes a block takes a multiple of these */
    KEPT_BYTES_OF_ONE_MAX = 1024,
    PILE_COUNT = KEPT_BYTES_OF_ONE_MAX / STEP_BYTES,
    CAPACITY_MIN = 16
};

/* What a few thousand writes need, which is a turn. A sanitizer is to see every block go. */
#ifndef BLOCK_KEPT_BYTES_MAX
#define BLOCK_KEPT_BYTES_MAX (4 * 1024 * 1024)
#endif

/* Blocks that are left, the latest on top. Their addresses are kept beside them, not in them: by
 * the time one is taken again it has left the processor's cache. */
struct pile {
    void **blocks;
    uint32_t count;
    uint32_t capacity;
    uint32_t least; /* that it had since the last block_give_back */
};

/* Pile i has blocks of 16 * i + 8 bytes. */
static _Thread_local struct {
    struct pile piles[PILE_COUNT];
    size_t bytes; /* of all blocks */
} kept;

static size_t pile_of(size_t bytes)
{
    return (bytes + STEP_BYTES / 2 - 1) / STEP_BYTES;
}

static size_t block_bytes_of(size_t pile)
{
    return pile * STEP_BYTES + STEP_BYTES / 2;
}

static void *take(size_t number)
{
    enum { AHEAD = 4 };
    struct pile *pile = &kept.piles[number];

    pile->count--;
    kept.bytes -= block_bytes_of(number);
    if (pile->count >= AHEAD) {
        __builtin_prefetch(pile->blocks[pile->count - AHEAD], 1);
    }
    return pile->blocks[pile->count];
}

static void resize(struct pile *pile, uint32_t capacity)
{
    pile->blocks = xrealloc(pile->blocks, capacity * sizeof(void *));
    pile->capacity = capacity;
}

void *block_new(size_t bytes)
{
    size_t number = pile_of(bytes);
    void *block;

    if (number >= PILE_COUNT) {
        return xmalloc(bytes);
    }
    if (kept.piles[number].count == 0) {
        return xmalloc(block_bytes_of(number));
    }
    block = take(number);
    if (kept.piles[number].count < kept.piles[number].least) {
        kept.piles[number].least = kept.piles[number].count;
    }
    return block;
}

void block_free(void *block, size_t bytes)
{
    size_t number = pile_of(bytes);
    struct pile *pile;

    if (block == NULL) {
        return;
    }
    if (number >= PILE_COUNT || kept.bytes + block_bytes_of(number) > BLOCK_KEPT_BYTES_MAX) {
        free(block);
        return;
    }
    pile = &kept.piles[number];
    if (pile->count == pile->capacity) {
        resize(pile, pile->capacity == 0 ? CAPACITY_MIN : 2 * pile->capacity);
    }
    pile->blocks[pile->count++] = block;
    kept.bytes += block_bytes_of(number);
}

static void shrink(struct pile *pile)
{
    if (pile->count == 0) {
        free(pile->blocks);
        *pile = (struct pile){.blocks = NULL};
    } else if (pile->capacity > CAPACITY_MIN && pile->count < pile->capacity / 4) {
        resize(pile, pile->capacity / 2);
    }
}

void block_give_back(void)
{
    for (size_t number = 0; number < PILE_COUNT; number++) {
        struct pile *pile = &kept.piles[number];

        for (; pile->least > 0; pile->least--) {
            free(take(number));
        }
        pile->least = pile->count;
        shrink(pile);
    }
}
