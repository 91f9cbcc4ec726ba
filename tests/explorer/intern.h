/* Equal byte strings get equal numbers, counted from 0 in the order of their first appearance. A
 * number stays what it is until the whole table is released; the bytes stay where they are. */
#ifndef TESTS_EXPLORER_INTERN_H
#define TESTS_EXPLORER_INTERN_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct intern_chunk;

struct intern {
    struct intern_chunk *chunks; /* the newest first */
    struct bytes *items;
    uint64_t *hashes;
    uint32_t *slots; /* number + 1; 0 = empty */
    size_t slot_count;
    uint32_t count;
    uint32_t capacity;
    size_t bytes_used; /* of memory, all told */
};

void intern_init(struct intern *intern);
void intern_release(struct intern *intern);

/* Copies `bytes` when they are new. */
uint32_t intern_add(struct intern *intern, struct bytes bytes);
/* Borrowed until intern_release; aligned for any type. */
struct bytes intern_lend(const struct intern *intern, uint32_t number);

#endif
