#include "server/state/record_tree.h"

#include "base/prng.h"
#include "tests/support/test.h"

enum { KEY_COUNT = 600, STEPS = 6000 };

/* The naive twin: a table of what is there, indexed by the key. */
static struct record *present[KEY_COUNT];

static struct record *new_record(size_t number)
{
    uint8_t key[] = {'n', (uint8_t)(number >> 8), (uint8_t)number};
    struct record *record = record_new(bytes_of(key, sizeof key), 0);

    record->index.hash = map_hash_bytes(record_key_of(record), 1);
    return record;
}

static void insert(struct record_tree *tree, size_t number)
{
    if (present[number] == NULL) {
        present[number] = new_record(number);
        record_tree_insert(tree, present[number]);
    }
}

static void take_out(struct record *record)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (present[i] == record) {
            present[i] = NULL;
        }
    }
    record_unref(record);
}

static void remove_one(struct record_tree *tree, size_t number)
{
    if (present[number] != NULL) {
        record_tree_remove(tree, present[number]);
        take_out(present[number]);
    }
}

static void replace(struct record_tree *tree, size_t number)
{
    struct record *old = present[number];

    if (old != NULL) {
        present[number] = new_record(number);
        record_tree_replace(tree, old, present[number]);
        record_unref(old);
    }
}

static void check(const struct record_tree *tree)
{
    struct record *record = record_tree_from(tree, BYTES_EMPTY);
    uint64_t count = 0;

    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (present[i] != NULL) {
            EXPECT(record == present[i]);
            record = record == NULL ? NULL : record_tree_next(record);
            count++;
        }
    }
    EXPECT(record == NULL);
    record_tree_check(tree, count);
}

static void empty(struct record_tree *tree)
{
    struct record *record;

    while ((record = record_tree_take_leaf(tree)) != NULL) {
        take_out(record);
    }
    check(tree);
}

/* Some one after the other upwards, as siblings are made, others anywhere; the latest one is
 * replaced and removed like any other. */
static void test_agrees_with_a_naive_twin_whatever_the_order(void)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct record_tree tree = {.root = NULL};
        struct prng prng;
        size_t next = 0;

        prng_init(&prng, seed);
        for (size_t step = 0; step < STEPS; step++) {
            size_t anywhere = (size_t)prng_below(&prng, KEY_COUNT);
            size_t number = prng_below(&prng, 4) == 0 ? anywhere : next;

            switch (prng_below(&prng, 8)) {
            case 0:
                replace(&tree, number);
                break;
            case 1:
                remove_one(&tree, number);
                break;
            case 2:
                next = anywhere;
                break;
            default:
                next = (next + 1) % KEY_COUNT;
                insert(&tree, number);
                break;
            }
            if (step % 50 == 0) {
                check(&tree);
            }
        }
        check(&tree);
        empty(&tree);
        insert(&tree, 1);
        insert(&tree, 2);
        empty(&tree);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_agrees_with_a_naive_twin_whatever_the_order), TEST_END};
    return test_main("record_tree", cases, argc, argv);
}
