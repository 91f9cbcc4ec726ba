#include "base/arena.h"

#include "base/prng.h"
#include "tests/support/test.h"

#include <stdalign.h>
#include <string.h>

enum { PIECE_COUNT = 2000 };

static void test_pieces_are_aligned_and_do_not_overlap(void)
{
    struct arena arena;
    struct prng prng;
    static uint8_t *pieces[PIECE_COUNT];
    static size_t sizes[PIECE_COUNT];

    arena_init(&arena);
    prng_init(&prng, 1);
    for (size_t i = 0; i < PIECE_COUNT; i++) {
        sizes[i] = prng_below(&prng, i % 50 == 0 ? 20000 : 100);
        pieces[i] = arena_alloc(&arena, sizes[i]);
        EXPECT_EQ((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        (void)memset(pieces[i], (int)(i % 251), sizes[i]);
    }
    for (size_t i = 0; i < PIECE_COUNT; i++) {
        for (size_t at = 0; at < sizes[i]; at++) {
            EXPECT_EQ(pieces[i][at], i % 251);
        }
    }
    arena_release(&arena);
}

static void test_calloc_gives_zeros_even_in_used_memory(void)
{
    struct arena arena;
    const uint8_t *zeros;

    arena_init(&arena);
    (void)memset(arena_alloc(&arena, 1000), 0xff, 1000);
    arena_reset(&arena);
    zeros = arena_calloc(&arena, 100, 10);
    for (size_t i = 0; i < 1000; i++) {
        EXPECT_EQ(zeros[i], 0);
    }
    arena_release(&arena);
}

static void test_an_empty_piece_of_a_fresh_arena_is_a_valid_pointer(void)
{
    struct arena arena;

    arena_init(&arena);
    EXPECT(arena_copy(&arena, BYTES_EMPTY).data != NULL);
    EXPECT(arena.chunks != NULL);
    EXPECT(arena_calloc(&arena, 0, 0) != NULL);
    EXPECT_TEXT(arena_text(&arena, BYTES_EMPTY), "");
    arena_release(&arena);
}

static void test_copies_are_independent_and_terminated(void)
{
    struct arena arena;
    char source[] = "text";
    struct bytes copy;
    const char *text;

    arena_init(&arena);
    copy = arena_copy(&arena, bytes_of(source, 4));
    text = arena_text(&arena, bytes_of(source, 3));
    (void)memset(source, 'x', 4);
    EXPECT_BYTES(copy, bytes_of_text("text"));
    EXPECT_TEXT(text, "tex");
    arena_release(&arena);
}

static void test_lent_space_is_given_out_first_and_stays_the_callers(void)
{
    alignas(max_align_t) uint8_t space[256];
    struct arena arena;
    uint8_t *first;
    uint8_t *second;

    arena_init_in(&arena, space, sizeof space);
    first = arena_alloc(&arena, 100);
    EXPECT(first == space);
    EXPECT(arena.chunks == NULL);
    second = arena_alloc(&arena, 200);
    EXPECT(second < space || second >= space + sizeof space);
    (void)memset(second, 1, 200);
    arena_reset(&arena);
    first = arena_alloc(&arena, 10);
    EXPECT(first < space || first >= space + sizeof space);
    arena_release(&arena);
    EXPECT(arena_alloc(&arena, 1) != NULL);
    arena_release(&arena);
}

static void test_reset_keeps_one_small_chunk(void)
{
    struct arena arena;
    const void *first;

    arena_init(&arena);
    first = arena_alloc(&arena, 10);
    arena_reset(&arena);
    EXPECT_EQ(arena.bytes, 0);
    EXPECT(arena_alloc(&arena, 10) == first);
    for (size_t i = 0; i < 1000; i++) {
        (void)arena_alloc(&arena, 1000);
    }
    EXPECT(arena.bytes >= 1000000);
    (void)arena_alloc(&arena, 1 << 20);
    arena_reset(&arena);
    EXPECT(arena.capacity <= 4096); /* the large chunk was given back */
    (void)memset(arena_alloc(&arena, 100), 1, 100);
    arena_release(&arena);
    EXPECT(arena.chunks == NULL);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_pieces_are_aligned_and_do_not_overlap),
        TEST_CASE(test_calloc_gives_zeros_even_in_used_memory),
        TEST_CASE(test_an_empty_piece_of_a_fresh_arena_is_a_valid_pointer),
        TEST_CASE(test_copies_are_independent_and_terminated),
        TEST_CASE(test_lent_space_is_given_out_first_and_stays_the_callers),
        TEST_CASE(test_reset_keeps_one_small_chunk),
        TEST_END};
    return test_main("arena", cases, argc, argv);
}
