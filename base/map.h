/* A hash map whose nodes live in the elements. It grows, and shrinks when asked to, a few buckets
 * at a time, so that no single call pays for moving a million elements.
 *
 * The caller keeps keys and compares them:
 *
 *     MAP_FOR_HASH (node, map, hash) {
 *         struct thing *thing = CONTAINER_OF(node, struct thing, map_node);
 *         if (thing->id == id) { return thing; }
 *     }
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/bytes.h"

#include <stddef.h>
#include <stdint.h>

struct map_node {
    struct map_node *next;
    uint64_t hash;
};

struct map {
    struct map_node **buckets;
    size_t bucket_count;           /* a power of two, or 0 before the first insertion */
    struct map_node **old_buckets; /* being moved into `buckets`; NULL when at rest */
    size_t old_bucket_count;
    size_t moved; /* old buckets below this index are empty */
    size_t count;
};

void map_init(struct map *map);
/* Releases the buckets; the elements are the caller's. */
void map_release(struct map *map);

/* Hashes for the common keys. */
uint64_t map_hash_u64(uint64_t value);
uint64_t map_hash_bytes(struct bytes bytes, uint64_t seed);

/* Insert `node`; the caller made sure that its key is not there. */
void map_insert(struct map *map, struct map_node *node, uint64_t hash);
/* Remove `node`, which must be in the map. */
void map_remove(struct map *map, struct map_node *node);
/* For who may have held many more elements than ever again: called after each removal, it moves to
 * a smaller table when this one is nearly empty. Not inside of MAP_FOR_HASH and map_each, nor for a
 * map that is visited in parts. */
void map_shrink_some(struct map *map);
/* Say that nodes of `hash` will be asked for: their bucket comes near meanwhile, and said once more
 * when it is there, the first node in it. */
void map_expect(const struct map *map, uint64_t hash);
void map_expect_node(const struct map *map, uint64_t hash);
/* The first node with exactly this hash, and the next one after it; NULL at the end. */
struct map_node *map_first(const struct map *map, uint64_t hash);
struct map_node *map_following(const struct map_node *node);
/* Visit all, in no order that means anything; `visit` may remove the node it is given and must
 * change nothing else in the map. */
void map_each(struct map *map, void (*visit)(struct map_node *node, void *context), void *context);
/* Visit a part: the elements of the buckets at `position` and the `bucket_count` - 1 after it.
 * Begin at position 0, go on at the one returned, until that is 0 again; meanwhile the map may
 * change. Whatever is in it all the time is visited; when it grows, some are visited twice. It must
 * not shrink. */
size_t map_visit_some(const struct map *map,
                      size_t position,
                      size_t bucket_count,
                      void (*visit)(struct map_node *node, void *context),
                      void *context);

#define MAP_FOR_HASH(node, map, hash)                                                              \
    for (struct map_node *node = map_first(map, hash); node != NULL; node = map_following(node))

#endif
