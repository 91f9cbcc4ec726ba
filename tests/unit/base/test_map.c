#include "base/map.h"

#include "base/list.h"
#include "base/prng.h"
#include "tests/support/test.h"

enum { KEY_COUNT = 5000, SHRUNK_BUCKETS_MAX = 2048 };

struct thing {
    struct map_node map_node;
    uint64_t key;
    bool present; /* the naive twin: a table indexed by the key */
    unsigned visits;
};

static struct thing things[KEY_COUNT];

static void reset_things(void)
{
    for (uint64_t i = 0; i < KEY_COUNT; i++) {
        things[i] = (struct thing){.key = i};
    }
}

static struct thing *find(const struct map *map, uint64_t key, uint64_t hash)
{
    MAP_FOR_HASH (node, map, hash) {
        struct thing *thing = CONTAINER_OF(node, struct thing, map_node);
        if (thing->key == key) {
            return thing;
        }
    }
    return NULL;
}

static void count_visit(struct map_node *node, void *context)
{
    CONTAINER_OF(node, struct thing, map_node)->visits++;
    (*(size_t *)context)++;
}

/* `hash_mask` narrows the hashes, so that a small one makes long chains of equal hashes. */
static void check_against_twin(const struct map *map, uint64_t hash_mask)
{
    size_t present = 0;

    for (uint64_t i = 0; i < KEY_COUNT; i++) {
        struct thing *found = find(map, i, map_hash_u64(i) & hash_mask);
        EXPECT(found == (things[i].present ? &things[i] : NULL));
        present += things[i].present;
    }
    EXPECT_EQ(map->count, present);
}

static void run_against_twin(uint64_t seed, uint64_t hash_mask, uint64_t key_count)
{
    struct prng prng;
    struct map map;

    reset_things();
    prng_init(&prng, seed);
    map_init(&map);
    for (size_t step = 0; step < 30000; step++) {
        struct thing *thing = &things[prng_below(&prng, key_count)];
        uint64_t hash = map_hash_u64(thing->key) & hash_mask;

        EXPECT(find(&map, thing->key, hash) == (thing->present ? thing : NULL));
        /* Mostly insertions at first, mostly removals later: the table grows, then empties. */
        if (thing->present && prng_below(&prng, 30000) < step) {
            map_remove(&map, &thing->map_node);
            thing->present = false;
        } else if (!thing->present) {
            map_insert(&map, &thing->map_node, hash);
            thing->present = true;
        }
        if (step % 5000 == 0) {
            check_against_twin(&map, hash_mask);
        }
    }
    check_against_twin(&map, hash_mask);
    map_release(&map);
}

static void test_agrees_with_a_naive_twin(void)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        run_against_twin(seed, UINT64_MAX, KEY_COUNT);
    }
}

static void test_agrees_with_a_naive_twin_when_hashes_collide(void)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        run_against_twin(seed, 7, 200);
    }
}

static void test_an_empty_map_holds_nothing(void)
{
    struct map map;
    size_t visits = 0;

    map_init(&map);
    EXPECT(map_first(&map, 0) == NULL);
    map_each(&map, count_visit, &visits);
    EXPECT_EQ(visits, 0);
    map_release(&map);
}

static void test_everything_is_found_at_every_size_while_growing(void)
{
    struct map map;

    reset_things();
    map_init(&map);
    for (size_t count = 0; count < 700; count++) {
        size_t visits = 0;

        map_insert(&map, &things[count].map_node, map_hash_u64(count));
        things[count].present = true;
        for (size_t i = 0; i <= count; i++) {
            EXPECT(find(&map, i, map_hash_u64(i)) == &things[i]);
            things[i].visits = 0;
        }
        map_each(&map, count_visit, &visits);
        EXPECT_EQ(visits, count + 1);
        for (size_t i = 0; i <= count; i++) {
            EXPECT_EQ(things[i].visits, 1);
        }
    }
    map_release(&map);
}

static void test_removal_works_while_the_table_moves(void)
{
    /* 17 insertions start a move of 16 buckets, 4 at a time: remove at each stage of it. */
    for (size_t inserted = 17; inserted < 40; inserted++) {
        struct map map;

        reset_things();
        map_init(&map);
        for (size_t i = 0; i < inserted; i++) {
            map_insert(&map, &things[i].map_node, map_hash_u64(i));
            things[i].present = true;
        }
        for (size_t i = 0; i < inserted; i += 2) {
            map_remove(&map, &things[i].map_node);
            things[i].present = false;
        }
        check_against_twin(&map, UINT64_MAX);
        for (size_t i = 0; i < inserted; i += 2) {
            map_insert(&map, &things[i].map_node, map_hash_u64(i));
            things[i].present = true;
        }
        check_against_twin(&map, UINT64_MAX);
        map_release(&map);
    }
}

static void remove_visit(struct map_node *node, void *context)
{
    CONTAINER_OF(node, struct thing, map_node)->present = false;
    map_remove(context, node);
}

static void test_a_visit_may_remove_its_node(void)
{
    struct map map;

    reset_things();
    map_init(&map);
    for (size_t i = 0; i < 530; i++) {
        map_insert(&map, &things[i].map_node, map_hash_u64(i));
        things[i].present = true;
    }
    EXPECT(map.old_buckets != NULL); /* the visit runs over both tables */
    map_each(&map, remove_visit, &map);
    EXPECT_EQ(map.count, 0);
    check_against_twin(&map, UINT64_MAX);
    map_release(&map);
}

static void test_growing_never_moves_much_at_once(void)
{
    struct map map;

    reset_things();
    map_init(&map);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        size_t moved = map.moved;
        bool was_moving = map.old_buckets != NULL;

        map_insert(&map, &things[i].map_node, map_hash_u64(i));
        if (was_moving && map.old_buckets != NULL) {
            EXPECT(map.moved - moved <= 4);
        }
    }
    map_release(&map);
}

static void insert_all(struct map *map)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (!things[i].present) {
            map_insert(map, &things[i].map_node, map_hash_u64(i));
            things[i].present = true;
        }
    }
}

static void remove_one(struct map *map, struct thing *thing)
{
    map_remove(map, &thing->map_node);
    thing->present = false;
    map_shrink_some(map);
}

/* Down in a random order, some inserted again on the way, and up once more. */
static void test_a_map_that_empties_gets_a_small_table(void)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct prng prng;
        struct map map;

        prng_init(&prng, seed);
        reset_things();
        map_init(&map);
        insert_all(&map);
        EXPECT(map.bucket_count > SHRUNK_BUCKETS_MAX);
        for (size_t step = 0; map.count > 0; step++) {
            struct thing *thing = &things[prng_below(&prng, KEY_COUNT)];

            if (thing->present) {
                remove_one(&map, thing);
            } else if (step < 10 * KEY_COUNT && prng_below(&prng, 100) == 0) {
                map_insert(&map, &thing->map_node, map_hash_u64(thing->key));
                thing->present = true;
            }
            if (step % 1000 == 0) {
                check_against_twin(&map, UINT64_MAX);
            }
        }
        EXPECT(map.old_buckets == NULL);
        EXPECT(map.bucket_count <= SHRUNK_BUCKETS_MAX);
        insert_all(&map);
        check_against_twin(&map, UINT64_MAX);
        map_release(&map);
    }
}

/* Also when the table grows again as soon as it began to shrink. */
static void test_shrinking_never_moves_much_at_once(void)
{
    enum { MOVED_MAX = 16 };
    struct map map;
    size_t next = KEY_COUNT;
    bool began = false;

    reset_things();
    map_init(&map);
    insert_all(&map);
    while (next > 0 && !began) {
        bool was_at_rest = map.old_buckets == NULL;

        remove_one(&map, &things[--next]);
        began = was_at_rest && map.old_buckets != NULL;
    }
    EXPECT(began);
    for (; next < KEY_COUNT; next++) {
        size_t moved = map.moved;
        bool is_shrinking = map.old_bucket_count > map.bucket_count;
        size_t left = map.old_bucket_count - moved;

        map_insert(&map, &things[next].map_node, map_hash_u64(next));
        things[next].present = true;
        if (is_shrinking && left > MOVED_MAX) {
            EXPECT_EQ(map.moved, moved + MOVED_MAX);
        }
    }
    check_against_twin(&map, UINT64_MAX);
    map_release(&map);
}

static void test_hashes_depend_on_content_and_seed(void)
{
    EXPECT(map_hash_u64(1) != map_hash_u64(2));
    EXPECT_EQ(map_hash_bytes(bytes_of_text("a"), 1), map_hash_bytes(bytes_of_text("a"), 1));
    EXPECT(map_hash_bytes(bytes_of_text("a"), 1) != map_hash_bytes(bytes_of_text("b"), 1));
    EXPECT(map_hash_bytes(bytes_of_text("a"), 1) != map_hash_bytes(bytes_of_text("a"), 2));
}

static void test_visiting_in_parts_misses_nothing_while_the_map_grows(void)
{
    struct map map;
    size_t position = 0;
    size_t visits = 0;
    uint64_t next = 100;

    reset_things();
    map_init(&map);
    for (uint64_t i = 0; i < next; i++) {
        map_insert(&map, &things[i].map_node, map_hash_u64(i));
    }
    do {
        position = map_visit_some(&map, position, 3, count_visit, &visits);
        for (uint64_t i = 0; i < 10 && next < KEY_COUNT; i++, next++) {
            map_insert(&map, &things[next].map_node, map_hash_u64(next));
        }
    } while (position != 0);
    for (uint64_t i = 0; i < 100; i++) {
        EXPECT(things[i].visits > 0);
    }
    EXPECT_EQ(map_visit_some(&map, 0, SIZE_MAX, count_visit, &visits), 0);
    EXPECT(things[KEY_COUNT - 1].visits > 0 || next < KEY_COUNT);
    map_release(&map);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_agrees_with_a_naive_twin),
        TEST_CASE(test_agrees_with_a_naive_twin_when_hashes_collide),
        TEST_CASE(test_an_empty_map_holds_nothing),
        TEST_CASE(test_everything_is_found_at_every_size_while_growing),
        TEST_CASE(test_removal_works_while_the_table_moves),
        TEST_CASE(test_a_visit_may_remove_its_node),
        TEST_CASE(test_growing_never_moves_much_at_once),
        TEST_CASE(test_a_map_that_empties_gets_a_small_table),
        TEST_CASE(test_shrinking_never_moves_much_at_once),
        TEST_CASE(test_hashes_depend_on_content_and_seed),
        TEST_CASE(test_visiting_in_parts_misses_nothing_while_the_map_grows),
        TEST_END};
    return test_main("map", cases, argc, argv);
}
