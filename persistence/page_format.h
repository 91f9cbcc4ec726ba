/* The bytes of LMDB 0.9's pages, as docs/DISK_FORMAT.md has them; all in the machine's order.
 * Nothing here reads a file, and a page that was read may hold anything. */
#ifndef PERSISTENCE_PAGE_FORMAT_H
#define PERSISTENCE_PAGE_FORMAT_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    PAGE_HEAD_BYTES = 16,
    PAGE_BYTES_MIN = 512,
    PAGE_META_COUNT = 2,
    PAGE_META_BYTES = 136,
    PAGE_LEVELS_MAX = 32
};

enum page_flags { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_META = 8 };
enum { PAGE_DATABASE_INTEGER_KEYS = 8 };

#define PAGE_NONE UINT64_MAX

static inline uint16_t page_u16(const uint8_t *from)
{
    uint16_t value;

    memcpy(&value, from, sizeof value);
    return value;
}

static inline uint32_t page_u32(const uint8_t *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof value);
    return value;
}

static inline uint64_t page_u64(const uint8_t *from)
{
    uint64_t value;

    memcpy(&value, from, sizeof value);
    return value;
}

struct page_database {
    uint32_t page_bytes; /* of the list of free pages */
    uint16_t flags;
    uint16_t levels;
    uint64_t branch_pages;
    uint64_t leaf_pages;
    uint64_t overflow_pages;
    uint64_t entries;
    uint64_t root;
};

struct page_meta {
    struct page_database free;
    struct page_database main;
    uint64_t last_page;
    uint64_t transaction;
};

/* A node of a branch or leaf page. */
struct page_node {
    struct bytes key;
    uint64_t child;      /* branch */
    uint64_t size;       /* leaf: of the value */
    bool is_big;         /* leaf: the value lies on pages of its own, */
    uint64_t big_page;   /* from this one on */
    const uint8_t *data; /* leaf: the value itself */
};

/* False: it is no meta page of slot `slot`. PAGE_HEAD_BYTES + PAGE_META_BYTES are read. */
bool page_format_meta(unsigned slot, const uint8_t *page, struct page_meta *ret_meta);
bool page_format_is_size(uint32_t page_bytes);

/* Of a page whose head was checked. */
size_t page_format_node_count(const uint8_t *page);
/* The same: node `position`; *ret_bytes is what it takes of the page. False: it is damaged. */
bool page_format_node(const uint8_t *page,
                      size_t page_bytes,
                      bool integer_keys,
                      size_t position,
                      struct page_node *ret_node,
                      size_t *ret_bytes);
/* The pages that the value of a big node needs, and whether this is the head of the first. */
uint64_t page_format_big_pages(const struct page_node *node, uint64_t page_bytes);
bool page_format_is_big_head(const struct page_node *node,
                             uint64_t page_bytes,
                             const uint8_t *head);
/* As memcmp. */
int page_format_compare(bool integer_keys, struct bytes left, struct bytes right);

#endif
