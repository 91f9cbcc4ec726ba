/* A binary heap of 64-bit keys, smallest first, whose nodes live in the elements. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint64_t key;
    size_t position; /* 1-based; 0 = not in a heap */
};

struct heap {
    struct heap_node **nodes;
    size_t count;
    size_t capacity;
};

void heap_init(struct heap *heap);
void heap_release(struct heap *heap);

static inline bool heap_contains(const struct heap_node *node)
{
    return node->position != 0;
}

/* Insert `node` with `key`, or move it when it is there already. */
void heap_set(struct heap *heap, struct heap_node *node, uint64_t key);
/* Take `node` out; does nothing when it is not in the heap. */
void heap_remove(struct heap *heap, struct heap_node *node);
/* The node with the smallest key, or NULL. */
struct heap_node *heap_first(const struct heap *heap);

#endif
