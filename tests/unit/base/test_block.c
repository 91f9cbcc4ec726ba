#include "base/block.h"

#include "base/prng.h"
#include "tests/support/test.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK_COUNT = 500, STEP_COUNT = 100000, BYTES_MAX = 1500 };

struct taken {
    uint8_t *block; /* NULL = none */
    size_t bytes;
    uint8_t fill;
};

static void take(struct taken *taken, size_t bytes, uint8_t fill)
{
    *taken = (struct taken){.block = block_new(bytes), .bytes = bytes, .fill = fill};
    EXPECT_EQ((uintptr_t)taken->block % alignof(max_align_t), 0);
    (void)memset(taken->block, fill, bytes);
}

static void leave(struct taken *taken)
{
    for (size_t i = 0; i < taken->bytes; i++) {
        EXPECT_EQ(taken->block[i], taken->fill);
    }
    block_free(taken->block, taken->bytes);
    taken->block = NULL;
}

static void leave_all(struct taken *taken)
{
    for (size_t i = 0; i < BLOCK_COUNT; i++) {
        if (taken[i].block != NULL) {
            leave(&taken[i]);
        }
    }
}

static void test_blocks_of_all_sizes_keep_what_is_in_them(void)
{
    static struct taken taken[BLOCK_COUNT];
    struct prng prng;

    prng_init(&prng, 1);
    for (size_t i = 0; i < STEP_COUNT; i++) {
        struct taken *one = &taken[prng_below(&prng, BLOCK_COUNT)];

        if (one->block != NULL) {
            leave(one);
        } else {
            take(one, prng_below(&prng, i % 2 == 0 ? 64 : BYTES_MAX), (uint8_t)i);
        }
        if (i % 10000 == 0) {
            block_give_back();
        }
    }
    leave_all(taken);
    block_give_back();
}

static void *leave_what_was_taken(void *context)
{
    struct taken mine;

    leave_all(context);
    take(&mine, 100, 7);
    leave(&mine);
    block_give_back();
    return NULL;
}

static void test_a_block_may_be_left_by_another_thread(void)
{
    static struct taken taken[BLOCK_COUNT];
    pthread_t thread;

    for (size_t i = 0; i < BLOCK_COUNT; i++) {
        take(&taken[i], i, (uint8_t)i);
    }
    EXPECT_EQ(pthread_create(&thread, NULL, leave_what_was_taken, taken), 0);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    for (size_t i = 0; i < BLOCK_COUNT; i++) {
        take(&taken[i], i, (uint8_t)~i);
    }
    leave_all(taken);
}

static void test_nothing_may_be_left(void)
{
    block_free(NULL, 0);
    block_free(NULL, 100);
    block_give_back();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_blocks_of_all_sizes_keep_what_is_in_them),
        TEST_CASE(test_a_block_may_be_left_by_another_thread), TEST_CASE(test_nothing_may_be_left),
        TEST_END};
    return test_main("block", cases, argc, argv);
}
