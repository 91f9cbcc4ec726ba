#include "base/heap.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>

void heap_init(struct heap *heap)
{
    *heap = (struct heap){.nodes = NULL, .count = 0, .capacity = 0};
}

void heap_release(struct heap *heap)
{
    free(heap->nodes);
    heap_init(heap);
}

static void place(struct heap *heap, struct heap_node *node, size_t position)
{
    heap->nodes[position - 1] = node;
    node->position = position;
}

static void sift_up(struct heap *heap, struct heap_node *node, size_t position)
{
    while (position > 1 && heap->nodes[position / 2 - 1]->key > node->key) {
        place(heap, heap->nodes[position / 2 - 1], position);
        position /= 2;
    }
    place(heap, node, position);
}

static void sift_down(struct heap *heap, struct heap_node *node, size_t position)
{
    for (;;) {
        size_t child = 2 * position;

        if (child > heap->count) {
            break;
        }
        if (child < heap->count && heap->nodes[child]->key < heap->nodes[child - 1]->key) {
            child++;
        }
        if (heap->nodes[child - 1]->key >= node->key) {
            break;
        }
        place(heap, heap->nodes[child - 1], position);
        position = child;
    }
    place(heap, node, position);
}

static void settle(struct heap *heap, struct heap_node *node, size_t position)
{
    if (position > 1 && heap->nodes[position / 2 - 1]->key > node->key) {
        sift_up(heap, node, position);
    } else {
        sift_down(heap, node, position);
    }
}

void heap_set(struct heap *heap, struct heap_node *node, uint64_t key)
{
    node->key = key;
    if (!heap_contains(node)) {
        if (heap->count == heap->capacity) {
            heap->capacity = heap->capacity == 0 ? 16 : 2 * heap->capacity;
            heap->nodes = xrealloc(heap->nodes, heap->capacity * sizeof *heap->nodes);
        }
        heap->count++;
        place(heap, node, heap->count);
    }
    settle(heap, node, node->position);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    size_t position = node->position;
    struct heap_node *last;

    if (!heap_contains(node)) {
        return;
    }
    CHECK(heap->nodes[position - 1] == node);
    node->position = 0;
    last = heap->nodes[heap->count - 1];
    heap->count--;
    if (last != node) {
        settle(heap, last, position);
    }
}

struct heap_node *heap_first(const struct heap *heap)
{
    return heap->count == 0 ? NULL : heap->nodes[0];
}
