#include "server/memory.h"

#include "base/alloc.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PIECES = 12 * 1024,
    PIECE_BYTES = 8 * 1024,
    LOOK_US = 10 * 1000 * 1000, /* longer than from one look to the next */
    PIECE_US = 100,             /* so that all are taken between two looks */
    KEPT_BYTES_MAX = 48 * 1024 * 1024
};

static uint64_t now_us;
static void *pieces[PIECES];
static void *last;

static void look(void)
{
    now_us += LOOK_US;
    memory_turn(now_us);
}

static uint64_t resident_bytes(void)
{
    unsigned long long kib = 0;
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");

    EXPECT(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        (void)sscanf(line, "RssAnon: %llu", &kib);
    }
    (void)fclose(file);
    return kib * 1024;
}

/* 96 MiB, turn by turn. */
static void take_pieces(void)
{
    for (size_t i = 0; i < PIECES; i++) {
        pieces[i] = xmalloc(PIECE_BYTES);
        memset(pieces[i], 1, PIECE_BYTES);
        now_us += PIECE_US;
        memory_turn(now_us);
    }
}

/* And something small behind that stays. */
static void take(void)
{
    take_pieces();
    free(last);
    last = xmalloc(64);
}

static void let_go(void)
{
    for (size_t i = 0; i < PIECES; i++) {
        free(pieces[i]);
    }
}

static void expect_given_back(uint64_t before)
{
    uint64_t after = resident_bytes();

    (void)printf("%" PRIu64 " KiB before, %" PRIu64 " KiB after\n", before / 1024, after / 1024);
    EXPECT(after < before + KEPT_BYTES_MAX);
}

/* What the kernel was asked to do with the page at `address`: "hg" huge ones, "nh" none of them. */
static bool is_asked_for(const void *address, const char *flag)
{
    bool is_inside = false;
    bool is_found = false;
    char line[512];
    FILE *file = fopen("/proc/self/smaps", "r");

    EXPECT(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long long begin;
        unsigned long long end;

        if (sscanf(line, "%llx-%llx ", &begin, &end) == 2) {
            is_inside = begin <= (uintptr_t)address && (uintptr_t)address < end;
        } else if (is_inside && strncmp(line, "VmFlags:", 8) == 0) {
            is_found = strstr(line, flag) != NULL;
        }
    }
    (void)fclose(file);
    return is_found;
}

static bool has_huge_pages(void)
{
    bool has = access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0;

    (void)printf(has ? "" : "this kernel has no huge pages\n");
    return has;
}

/* With nothing behind that stays: what it grows by later is new. */
static void test_a_heap_that_shrank_and_grows_again_has_huge_pages(void)
{
    if (!has_huge_pages()) {
        return;
    }
    (void)is_asked_for(pieces, ""); /* what looking takes is not at the end later */
    for (unsigned flood = 0; flood < 2; flood++) {
        look();
        take_pieces();
        EXPECT(is_asked_for(pieces[PIECES / 2], " hg"));
        let_go();
        look();
        EXPECT(!is_asked_for(pieces[PIECES / 2], "")); /* it is not there any more */
    }
}

/* The first pieces are in the small heap. */
static void test_a_heap_that_grows_has_huge_pages_until_much_was_given_back(void)
{
    if (!has_huge_pages()) {
        return;
    }
    look();
    take();
    EXPECT(!is_asked_for(pieces[0], " hg"));
    EXPECT(is_asked_for(pieces[PIECES / 2], " hg"));
    let_go();
    look();
    EXPECT(is_asked_for(pieces[PIECES / 2], " nh"));
}

static void test_what_was_in_use_at_a_look_is_given_back_at_the_next(void)
{
    uint64_t before = resident_bytes();

    look();
    take();
    look();
    EXPECT(resident_bytes() > before + (uint64_t)PIECES * PIECE_BYTES);
    let_go();
    look();
    expect_given_back(before);
}

/* Each flood takes what was given back after the one before. */
static void test_what_was_in_use_only_between_two_looks_is_given_back_each_time(void)
{
    uint64_t before = resident_bytes();

    for (unsigned flood = 0; flood < 3; flood++) {
        look();
        take();
        EXPECT(resident_bytes() > before + (uint64_t)PIECES * PIECE_BYTES / 2);
        let_go();
        look();
        expect_given_back(before);
    }
}

/* A table larger than all that a flood takes and leaves free, reserved and not yet filled. */
static void test_memory_in_use_that_was_never_touched_hides_nothing(void)
{
    uint64_t before = resident_bytes();
    void *table = xcalloc(PIECES, 2 * PIECE_BYTES);

    look();
    EXPECT(resident_bytes() < before + KEPT_BYTES_MAX);
    take();
    let_go();
    look();
    expect_given_back(before);
    free(table);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_heap_that_shrank_and_grows_again_has_huge_pages),
        TEST_CASE(test_a_heap_that_grows_has_huge_pages_until_much_was_given_back),
        TEST_CASE(test_what_was_in_use_at_a_look_is_given_back_at_the_next),
        TEST_CASE(test_what_was_in_use_only_between_two_looks_is_given_back_each_time),
        TEST_CASE(test_memory_in_use_that_was_never_touched_hides_nothing),
        TEST_END};
    int result;

    memory_prepare();
    memory_serve();
    result = test_main("memory", cases, argc, argv);
    free(last);
    return result;
}
