#include "server/memory.h"

#include "base/block.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    LARGE_BUFFER_BYTES = 4 * 1024 * 1024,
    TRIM_BYTES = 16 * 1024 * 1024,
    GROWTH_INTERVAL_US = 10 * 1000, /* not each turn: a turn may be one ping */
    LOOK_INTERVAL_US = 2 * 1000 * 1000,
    UNUSED_BYTES = 32 * 1024 * 1024,
    HUGE_PAGE_BYTES = 2 * 1024 * 1024,
    SMALL_HEAP_BYTES = 4 * HUGE_PAGE_BYTES, /* up to there a huge page would be mostly empty */
    GROWTH_BYTES = 8 * HUGE_PAGE_BYTES,     /* of which one huge page is cut in two */
    PAGE_COUNTS_BYTES_MAX = 256
};

/* That fixes the other threshold too, at 128 KiB, which else rises with what is given back. */
void memory_prepare(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
}

/* What of the main thread's heap may have huge pages; whole ones. */
static struct {
    uint8_t *begin;
    uint8_t *end;
} huge;

/* Down to a whole huge page. */
static uint8_t *end_of_heap(void)
{
    uint8_t *end = sbrk(0);

    return end - (uintptr_t)end % HUGE_PAGE_BYTES;
}

/* What the frames and messages of a turn take is taken again in the next: a mapping for each would
 * be all new pages each time, which are dear, on some machines 3 ms a megabyte. */
void memory_serve(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BUFFER_BYTES);
    /* What is new must not have been touched when huge pages are asked for. */
    (void)mallopt(M_TOP_PAD, GROWTH_BYTES);
    huge.begin = end_of_heap() + SMALL_HEAP_BYTES;
    huge.end = huge.begin;
}

/* A tree is large, and each write goes to other places of it: with pages of 4 KiB the processor
 * looks up more of them than it remembers. A kernel without huge pages refuses, which is fine. */
static void use_huge_pages(void)
{
    uint8_t *end = end_of_heap();

    if (end > huge.end) {
        (void)madvise(huge.end, (size_t)(end - huge.end), MADV_HUGEPAGE);
        huge.end = end;
    } else if (end < huge.end) {
        huge.end = end > huge.begin ? end : huge.begin;
    }
}

/* Else the kernel would fill what was given back, to make huge pages of what is left around it. */
static void leave_pages_small(void)
{
    uint8_t *end = end_of_heap(); /* it may have shrunk since the last look */

    if (end > huge.begin) {
        (void)madvise(huge.begin, (size_t)(end - huge.begin), MADV_NOHUGEPAGE);
    }
}

static bool find_resident(uint64_t *ret_bytes)
{
    char text[PAGE_COUNTS_BYTES_MAX];
    enum { IN_ALL, RESIDENT, OF_FILES, COUNTS };
    uint64_t counts[COUNTS];
    char *at = text;
    ssize_t size;
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

    if (file < 0) {
        return false;
    }
    size = read(file, text, sizeof text - 1);
    (void)close(file);
    text[size > 0 ? size : 0] = '\0';
    for (size_t i = IN_ALL; i < COUNTS; i++) {
        const char *begin = at;

        counts[i] = strtoull(begin, &at, 10);
        if (at == begin) {
            return false;
        }
    }
    if (counts[RESIDENT] < counts[OF_FILES]) {
        return false;
    }
    *ret_bytes = (counts[RESIDENT] - counts[OF_FILES]) * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

/* What is resident beyond what is in use. Below zero when much that is in use was never touched. */
static bool find_unused(int64_t *ret_bytes)
{
    const struct mallinfo2 heap = mallinfo2();
    uint64_t resident;

    if (!find_resident(&resident)) {
        return false;
    }
    *ret_bytes = (int64_t)resident - (int64_t)(heap.uordblks + heap.hblkhd);
    return true;
}

/* The heap shrinks by itself only at its end, and something small that stays there is enough to
 * keep all that is free before it. How much is free does not tell: a flood shorter than the
 * interval takes what was given back before and leaves it as free as it was, but resident. */
static void give_back(void)
{
    static int64_t least_bytes = INT64_MAX; /* since pages were given back */
    int64_t unused_bytes;

    block_give_back();
    if (!find_unused(&unused_bytes)) {
        return;
    }
    if (unused_bytes < least_bytes) {
        least_bytes = unused_bytes;
    }
    if (unused_bytes - least_bytes > UNUSED_BYTES) {
        (void)malloc_trim(TRIM_BYTES);
        leave_pages_small();
        (void)find_unused(&least_bytes);
    }
}

void memory_turn(uint64_t now_us)
{
    static uint64_t growth_us;
    static uint64_t look_us;

    if (now_us < growth_us) {
        return;
    }
    growth_us = now_us + GROWTH_INTERVAL_US;
    use_huge_pages();
    if (now_us >= look_us) {
        look_us = now_us + LOOK_INTERVAL_US;
        give_back();
    }
}
