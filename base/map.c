#include "base/map.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    BUCKETS_MIN = 16,
    BUCKETS_MOVED_GROWING = 4, /* by each insertion */
    BUCKETS_MOVED_SHRINKING = 16,
    BUCKETS_SHRUNK_TO_MIN = 1024
};

void map_init(struct map *map)
{
    *map = (struct map){.buckets = NULL};
}

void map_release(struct map *map)
{
    free(map->buckets);
    free(map->old_buckets);
    map_init(map);
}

uint64_t map_hash_u64(uint64_t value)
{
    value ^= value >> 32;
    value *= UINT64_C(0x9fb21c651e98df25);
    value ^= value >> 28;
    value *= UINT64_C(0x9fb21c651e98df25);
    return value ^ (value >> 29);
}

uint64_t map_hash_bytes(struct bytes bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}

/* Behind the buckets of a table lies a byte for each, with marks of the hashes in it: eight kinds
 * of hashes, of which most buckets have none or one. Those bytes stay near when buckets and nodes
 * do not, and who looks for what is not there mostly looks at nothing else. A mark is set with its
 * first node, and all go with the last one. */
struct place {
    struct map_node **bucket;
    uint8_t *marks;
};

static struct place place_in(struct map_node **buckets, size_t bucket_count, uint64_t hash)
{
    size_t number = hash & (bucket_count - 1);
    uint8_t *marks = (uint8_t *)(buckets + bucket_count);

    return (struct place){.bucket = &buckets[number], .marks = &marks[number]};
}

/* By bits that do not choose the bucket. */
static uint8_t mark_of(uint64_t hash)
{
    return (uint8_t)(1U << (hash >> 61));
}

static void push(struct place place, struct map_node *node)
{
    node->next = *place.bucket;
    *place.bucket = node;
    *place.marks |= mark_of(node->hash);
}

/* The nodes that the next call moves were last used long ago: fetched while something else is done,
 * nobody waits for them. */
static void fetch_some(const struct map *map, size_t bucket_count)
{
    size_t left = map->old_bucket_count - map->moved;

    for (size_t i = 0; i < bucket_count && i < left; i++) {
        __builtin_prefetch(map->old_buckets[map->moved + i], 1);
    }
}

static void move_some(struct map *map, size_t bucket_count_max)
{
    for (size_t i = 0; map->old_buckets != NULL && i < bucket_count_max; i++) {
        struct map_node *node = map->old_buckets[map->moved];

        while (node != NULL) {
            struct map_node *next = node->next;
            push(place_in(map->buckets, map->bucket_count, node->hash), node);
            node = next;
        }
        map->old_buckets[map->moved] = NULL;
        map->moved++;
        if (map->moved == map->old_bucket_count) {
            free(map->old_buckets);
            map->old_buckets = NULL;
            map->old_bucket_count = 0;
            map->moved = 0;
        }
    }
    fetch_some(map, bucket_count_max);
}

static void resize(struct map *map, size_t bucket_count)
{
    CHECK(map->old_buckets == NULL);
    map->old_buckets = map->buckets;
    map->old_bucket_count = map->bucket_count;
    map->moved = 0;
    map->bucket_count = bucket_count;
    map->buckets = xcalloc(map->bucket_count, sizeof *map->buckets + sizeof(uint8_t));
}

/* Growing, four buckets move for each insertion and the load factor is one, so the old table has
 * been emptied long before the new one is full. Shrinking, from an eighth of the old buckets in use
 * to half of the new ones, there is another change for at least each eleventh bucket, up and down,
 * before the next move. */
static size_t step_buckets(const struct map *map)
{
    return map->old_bucket_count > map->bucket_count ? BUCKETS_MOVED_SHRINKING
                                                     : BUCKETS_MOVED_GROWING;
}

/* The one bucket that holds all nodes of `hash` now: the old one until it has been moved. */
static struct place place_of(const struct map *map, uint64_t hash)
{
    if (map->old_buckets != NULL && (hash & (map->old_bucket_count - 1)) >= map->moved) {
        return place_in(map->old_buckets, map->old_bucket_count, hash);
    }
    return place_in(map->buckets, map->bucket_count, hash);
}

void map_insert(struct map *map, struct map_node *node, uint64_t hash)
{
    if (map->count >= map->bucket_count) {
        move_some(map, SIZE_MAX);
        resize(map, map->bucket_count == 0 ? BUCKETS_MIN : 2 * map->bucket_count);
    }
    move_some(map, step_buckets(map));
    node->hash = hash;
    push(place_of(map, hash), node);
    map->count++;
}

void map_expect(const struct map *map, uint64_t hash)
{
    if (map->bucket_count > 0) {
        __builtin_prefetch(place_of(map, hash).bucket, 1);
    }
}

void map_expect_node(const struct map *map, uint64_t hash)
{
    if (map->bucket_count > 0) {
        __builtin_prefetch(*place_of(map, hash).bucket, 1);
    }
}

static struct map_node *skip_to(struct map_node *node, uint64_t hash)
{
    while (node != NULL && node->hash != hash) {
        node = node->next;
    }
    return node;
}

struct map_node *map_first(const struct map *map, uint64_t hash)
{
    struct place place;

    if (map->bucket_count == 0) {
        return NULL;
    }
    place = place_of(map, hash);
    /* Whoever finds nothing mostly inserts it then, and the bucket comes meanwhile. */
    __builtin_prefetch(place.bucket, 1);
    return (*place.marks & mark_of(hash)) == 0 ? NULL : skip_to(*place.bucket, hash);
}

struct map_node *map_following(const struct map_node *node)
{
    return skip_to(node->next, node->hash);
}

void map_remove(struct map *map, struct map_node *node)
{
    struct place place = place_of(map, node->hash);
    struct map_node **link = place.bucket;

    while (*link != node) {
        CHECK(*link != NULL);
        link = &(*link)->next;
    }
    *link = node->next;
    if (*place.bucket == NULL) {
        *place.marks = 0;
    }
    node->next = NULL;
    map->count--;
}

void map_shrink_some(struct map *map)
{
    if (map->old_buckets == NULL && map->bucket_count / 4 >= BUCKETS_SHRUNK_TO_MIN &&
        map->count < map->bucket_count / 8) {
        resize(map, map->bucket_count / 4);
    }
    move_some(map, step_buckets(map));
}

static void visit_all(struct map_node **buckets,
                      size_t bucket_count,
                      void (*visit)(struct map_node *node, void *context),
                      void *context)
{
    for (size_t i = 0; i < bucket_count; i++) {
        struct map_node *node = buckets[i];

        while (node != NULL) {
            struct map_node *next = node->next;
            visit(node, context);
            node = next;
        }
    }
}

/* While the map grows, an element is in the new bucket or in the old one of the same number, or of
 * that less the old count: never in one of a lower number than it was before. */
size_t map_visit_some(const struct map *map,
                      size_t position,
                      size_t bucket_count,
                      void (*visit)(struct map_node *node, void *context),
                      void *context)
{
    for (; bucket_count > 0 && position < map->bucket_count; bucket_count--, position++) {
        visit_all(&map->buckets[position], 1, visit, context);
        if (position < map->old_bucket_count) {
            visit_all(&map->old_buckets[position], 1, visit, context);
        }
    }
    return position < map->bucket_count ? position : 0;
}

void map_each(struct map *map, void (*visit)(struct map_node *node, void *context), void *context)
{
    visit_all(map->old_buckets, map->old_bucket_count, visit, context);
    visit_all(map->buckets, map->bucket_count, visit, context);
}
