/* A set of 128-bit hashes in one array: 16 bytes a slot, probed in a line. Two states with the same
 * hash are taken for one; with 10^9 states the chance that any two do is about 10^-21. */
#ifndef TESTS_EXPLORER_HASH_SET_H
#define TESTS_EXPLORER_HASH_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_set_item {
    uint64_t low;
    uint64_t high;
};

struct hash_set {
    struct hash_set_item *slots; /* all zero = empty */
    size_t slot_count;
    size_t count;
};

void hash_set_init(struct hash_set *set);
void hash_set_release(struct hash_set *set);
size_t hash_set_bytes(const struct hash_set *set);
/* Memory that the next insertion may need on top, while it moves to a larger array. */
size_t hash_set_growth_bytes(const struct hash_set *set);

struct hash_set_item hash_set_hash(const void *data, size_t size);
/* True if it was not there. */
bool hash_set_add(struct hash_set *set, struct hash_set_item item);

#endif
