#include "persistence/page_format.h"

enum {
    PAGE_BYTES_MAX = 32768,
    DATABASE_BYTES = 48,
    NODE_HEAD_BYTES = 8,
    KEY_BYTES_MAX = 511,
    NODE_BIG = 1,
    VERSION = 1
};

#define MAGIC 0xBEEFC0DEU

static struct page_database load_database(const uint8_t *from)
{
    return (struct page_database){.page_bytes = page_u32(from),
                                  .flags = page_u16(from + 4),
                                  .levels = page_u16(from + 6),
                                  .branch_pages = page_u64(from + 8),
                                  .leaf_pages = page_u64(from + 16),
                                  .overflow_pages = page_u64(from + 24),
                                  .entries = page_u64(from + 32),
                                  .root = page_u64(from + 40)};
}

bool page_format_meta(unsigned slot, const uint8_t *page, struct page_meta *ret_meta)
{
    const uint8_t *at = page + PAGE_HEAD_BYTES;

    if (page_u64(page) != slot || page_u16(page + 10) != PAGE_META || page_u32(at) != MAGIC ||
        page_u32(at + 4) != VERSION) {
        return false;
    }
    *ret_meta = (struct page_meta){.free = load_database(at + 24),
                                   .main = load_database(at + 24 + DATABASE_BYTES),
                                   .last_page = page_u64(at + 120),
                                   .transaction = page_u64(at + 128)};
    return true;
}

bool page_format_is_size(uint32_t page_bytes)
{
    return page_bytes >= PAGE_BYTES_MIN && page_bytes <= PAGE_BYTES_MAX &&
           (page_bytes & (page_bytes - 1)) == 0;
}

size_t page_format_node_count(const uint8_t *page)
{
    return (size_t)(page_u16(page + 12) - PAGE_HEAD_BYTES) / 2;
}

bool page_format_node(const uint8_t *page,
                      size_t page_bytes,
                      bool integer_keys,
                      size_t position,
                      struct page_node *ret_node,
                      size_t *ret_bytes)
{
    size_t at = page_u16(page + PAGE_HEAD_BYTES + 2 * position);
    bool is_branch = page_u16(page + 10) == PAGE_BRANCH;
    const uint8_t *node = page + at;
    uint64_t low;
    uint16_t flags;
    size_t key_bytes;
    size_t bytes;

    if (at < page_u16(page + 14) || at % 2 != 0 || at + NODE_HEAD_BYTES > page_bytes) {
        return false;
    }
    low = page_u16(node) | (uint64_t)page_u16(node + 2) << 16;
    flags = page_u16(node + 4);
    key_bytes = page_u16(node + 6);
    bytes = NODE_HEAD_BYTES + key_bytes;
    *ret_node = (struct page_node){.key = bytes_of(node + NODE_HEAD_BYTES, key_bytes),
                                   .child = low | (uint64_t)flags << 32,
                                   .size = low,
                                   .data = node + bytes};
    if (!is_branch) {
        bytes += flags == NODE_BIG ? sizeof(uint64_t) : (size_t)low;
    }
    /* The first key of a branch is never looked at, and mostly empty. */
    if (key_bytes > KEY_BYTES_MAX || bytes > page_bytes - at ||
        (!is_branch && flags != 0 && flags != NODE_BIG) ||
        (integer_keys && key_bytes != sizeof(uint64_t) && !(is_branch && position == 0))) {
        return false;
    }
    if (!is_branch && flags == NODE_BIG) {
        ret_node->is_big = true;
        ret_node->big_page = page_u64(ret_node->data);
    }
    *ret_bytes = (bytes + 1) / 2 * 2;
    return true;
}

uint64_t page_format_big_pages(const struct page_node *node, uint64_t page_bytes)
{
    return (PAGE_HEAD_BYTES - 1 + node->size) / page_bytes + 1;
}

/* LMDB may have kept more pages than the value needs. */
bool page_format_is_big_head(const struct page_node *node, uint64_t page_bytes, const uint8_t *head)
{
    return page_u64(head) == node->big_page && page_u16(head + 10) == PAGE_OVERFLOW &&
           page_u32(head + 12) >= page_format_big_pages(node, page_bytes);
}

int page_format_compare(bool integer_keys, struct bytes left, struct bytes right)
{
    if (integer_keys) {
        uint64_t a = page_u64(left.data);
        uint64_t b = page_u64(right.data);

        return a < b ? -1 : a > b;
    }
    return bytes_compare(left, right);
}
