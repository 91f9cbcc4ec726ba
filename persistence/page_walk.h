/* Reads LMDB's file without LMDB, page by page, and believes nothing that it reads.
 *
 * LMDB keeps no checksums over its pages: a damaged pointer, size or page number in one sends it
 * anywhere, and a damaged list of free pages makes it overwrite others. So what it is given is
 * looked at first, and whoever examines a folder that may be damaged does not need it.
 * docs/DISK_FORMAT.md has the pages as tables.
 *
 * Any thread; nothing is changed. The file must not be written meanwhile. */
#ifndef PERSISTENCE_PAGE_WALK_H
#define PERSISTENCE_PAGE_WALK_H

#include "base/bytes.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { PAGE_WALK_TEXT_BYTES_MAX = 160, PAGE_WALK_BEGINNING_BYTES = 32 };

/* How far down. */
enum page_walk_depth {
    PAGE_WALK_BRANCHES, /* the upper levels and the list of free pages: about one page in a hundred
                         */
    PAGE_WALK_LEAVES,   /* every page's structure and every key */
    PAGE_WALK_VALUES    /* and every value is given to on_entry */
};

struct page_walk {
    /* In. */
    const char *path;  /* data.mdb */
    bool integer_keys; /* of 64 bits, in the machine's order */
    enum page_walk_depth depth;
    /* In the order of the keys; lent for the call. */
    void (*on_entry)(void *context, struct bytes key, struct bytes value);
    /* NULL, or told what records lie on leaf pages that the newest transaction does not use, in no
     * order, lent for the call: of older transactions, of one whose meta page was lost, or
     * nobody's. What makes no sense is passed over. It costs to read the whole file. With
     * BRANCHES the pages of large values are looked at as well. */
    void (*on_loose)(void *context, struct bytes key, struct bytes value);
    /* Asked before, with the value's beginning, up to PAGE_WALK_BEGINNING_BYTES, and its whole
     * size: anybody may have made it up. */
    bool (*wants_loose)(void *context, struct bytes key, struct bytes beginning, uint64_t bytes);
    /* One line on each thing that is wrong. False: do not go on. */
    bool (*on_damage)(void *context, const char *text);
    void *context;

    /* Out: of the newest whole transaction. */
    uint64_t file_bytes;
    uint64_t page_bytes;
    uint64_t transaction;
    uint64_t page_count;   /* up to the last one in use */
    uint64_t branch_pages; /* of the records */
    uint64_t leaf_pages;   /* with BRANCHES: those referred to */
    uint64_t overflow_pages;
    uint64_t entries;    /* not with BRANCHES */
    uint64_t list_pages; /* of the list of free pages itself */
    uint64_t free_pages; /* in that list */
    uint64_t
        free_pages_behind_end; /* of these, beyond the end of the file: no others are missing */
};

/* OK: walked, also when damage was told. CORRUPT: the file cannot be made sense of at all; what was
 * told says why, `error` nothing. NOT_FOUND; IO: it cannot be read. */
MUST_CHECK enum status page_walk(struct page_walk *walk, struct error *error);

#endif
