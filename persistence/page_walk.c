#include "persistence/page_walk.h"

#include "base/alloc.h"
#include "base/check.h"
#include "persistence/page_format.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    /* From the third transaction on each one replaces pages, so it frees some. */
    FIRST_FREEING_TRANSACTION = 3,
    LOOSE_BYTES = 1024 * 1024 /* read at once */
};

/* Far beyond any file, and far from the end of the numbers. */
#define LAST_PAGE_MAX (UINT64_C(1) << 48)

/* The walk through one of the two trees. */
struct tree {
    bool is_free_list;
    bool integer_keys;
    uint16_t levels;
    struct page_database seen;
    struct buffer previous_key;
    bool has_previous;
};

struct walker {
    struct page_walk *walk;
    int file;
    struct page_meta meta; /* the newer one */
    struct page_meta older;
    uint64_t pages_there; /* whole pages of the file */
    uint8_t *taken;       /* one bit for each of these that is in use */
    uint8_t *free;        /* and for each that is in the list of free pages */
    bool stopped;
    bool is_searching;                /* what makes no sense now is no damage */
    uint8_t *levels[PAGE_LEVELS_MAX]; /* one page each */
    struct buffer value;
};

/* --- What is wrong --- */

static bool damaged(struct walker *walker, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* False, so that a failed check may be returned. */
static bool damaged(struct walker *walker, const char *format, ...)
{
    char text[PAGE_WALK_TEXT_BYTES_MAX];
    va_list arguments;

    if (walker->is_searching) {
        return false;
    }
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!walker->stopped && !walker->walk->on_damage(walker->walk->context, text)) {
        walker->stopped = true;
    }
    return false;
}

static enum status unreadable(const struct walker *walker, uint64_t page, struct error *error)
{
    return error_set(error, STATUS_IO, "cannot read page %" PRIu64 " of %s: %s", page,
                     walker->walk->path, errno == 0 ? "the file is shorter" : strerror(errno));
}

static enum status
read_at(struct walker *walker, void *to, size_t size, uint64_t offset, struct error *error)
{
    ssize_t got;

    errno = 0;
    got = pread(walker->file, to, size, (off_t)offset);
    return got == (ssize_t)size ? STATUS_OK
                                : unreadable(walker, offset / walker->walk->page_bytes, error);
}

/* --- Meta pages --- */

static bool
load_meta(struct walker *walker, unsigned slot, const uint8_t *page, struct page_meta *meta)
{
    return page_format_meta(slot, page, meta) ||
           damaged(walker, "page %u is no meta page of LMDB 0.9", slot);
}

/* The newer of the two. They belong to consecutive transactions, each in its slot. */
static bool choose_meta(struct walker *walker, const struct page_meta metas[PAGE_META_COUNT])
{
    uint64_t first = metas[0].transaction;
    uint64_t second = metas[1].transaction;
    bool is_fresh = first == 0 && second == 0;

    walker->meta = metas[first < second ? 1 : 0];
    walker->older = metas[first < second ? 0 : 1];
    if (walker->meta.last_page > LAST_PAGE_MAX) {
        return damaged(walker, "the meta page gives the last page the number %" PRIu64,
                       walker->meta.last_page);
    }
    if (!is_fresh && (first % 2 != 0 || second % 2 != 1 ||
                      (first > second ? first - second : second - first) != 1)) {
        return damaged(walker,
                       "the meta pages are of the transactions %" PRIu64 " and %" PRIu64
                       ", which cannot be",
                       first, second);
    }
    return true;
}

static enum status read_metas(struct walker *walker, struct error *error)
{
    uint8_t page[PAGE_HEAD_BYTES + PAGE_META_BYTES];
    struct page_meta metas[PAGE_META_COUNT];
    uint32_t page_bytes;
    enum status status;

    walker->walk->page_bytes = PAGE_BYTES_MIN; /* until it is known */
    if (walker->walk->file_bytes < (uint64_t)PAGE_META_COUNT * PAGE_BYTES_MIN) {
        (void)damaged(walker, "the file is cut off: %" PRIu64 " bytes are there",
                      walker->walk->file_bytes);
        return STATUS_CORRUPT;
    }
    status = read_at(walker, page, sizeof page, 0, error);
    if (status != STATUS_OK) {
        return status;
    }
    page_bytes = page_u32(page + PAGE_HEAD_BYTES + 24); /* as the list of free pages has it */
    if (!load_meta(walker, 0, page, &metas[0])) {
        return STATUS_CORRUPT;
    }
    if (!page_format_is_size(page_bytes) ||
        walker->walk->file_bytes < (uint64_t)PAGE_META_COUNT * page_bytes) {
        (void)damaged(walker, "the first meta page tells of pages of %" PRIu32 " bytes",
                      page_bytes);
        return STATUS_CORRUPT;
    }
    walker->walk->page_bytes = page_bytes;
    status = read_at(walker, page, sizeof page, page_bytes, error);
    if (status != STATUS_OK) {
        return status;
    }
    if (!load_meta(walker, 1, page, &metas[1]) || metas[1].free.page_bytes != page_bytes) {
        (void)damaged(walker, "the second meta page is not like the first");
        return STATUS_CORRUPT;
    }
    return choose_meta(walker, metas) ? STATUS_OK : STATUS_CORRUPT;
}

/* --- Pages that are in use --- */

static bool is_there(struct walker *walker, uint64_t page, uint64_t count, const char *what)
{
    if (page < PAGE_META_COUNT || page > walker->meta.last_page ||
        count > walker->meta.last_page - page + 1) {
        return damaged(walker, "%s is at page %" PRIu64 ", which is none", what, page);
    }
    if (page + count > walker->pages_there) {
        return damaged(
            walker, "the file is cut off: %" PRIu64 " bytes are there, and %s is at page %" PRIu64,
            walker->walk->file_bytes, what, page);
    }
    return true;
}

static bool has_bit(const uint8_t *bits, uint64_t page)
{
    return (bits[page / 8] >> (page % 8) & 1) != 0;
}

/* Take `count` pages from `page` on for `what`, in one of the two sets: each is there, and taken
 * once. */
static bool
take_pages(struct walker *walker, uint8_t *set, uint64_t page, uint64_t count, const char *what)
{
    if (!is_there(walker, page, count, what)) {
        return false;
    }
    for (uint64_t i = page; i < page + count; i++) {
        if (has_bit(walker->taken, i) || has_bit(walker->free, i)) {
            return damaged(walker, "page %" PRIu64 " is used twice, the second time as %s", i,
                           what);
        }
        set[i / 8] |= (uint8_t)(1U << (i % 8));
    }
    return true;
}

static bool take_free_page(struct walker *walker, uint64_t page)
{
    if (page >= walker->pages_there && page <= walker->meta.last_page) {
        walker->walk->free_pages_behind_end++;
        return true;
    }
    return take_pages(walker, walker->free, page, 1, "a free page");
}

/* --- Nodes --- */

static bool load_node(const struct walker *walker,
                      const struct tree *tree,
                      const uint8_t *page,
                      size_t position,
                      struct page_node *ret_node,
                      size_t *ret_bytes)
{
    return page_format_node(page, (size_t)walker->walk->page_bytes, tree->integer_keys, position,
                            ret_node, ret_bytes);
}

/* That the nodes fill the page from its `upper` to its end without a gap. */
static bool check_page(struct walker *walker,
                       const struct tree *tree,
                       uint64_t number,
                       bool is_leaf,
                       const uint8_t *page)
{
    size_t page_bytes = (size_t)walker->walk->page_bytes;
    size_t lower = page_u16(page + 12);
    size_t upper = page_u16(page + 14);
    size_t used = 0;

    if (page_u64(page) != number || page_u16(page + 10) != (is_leaf ? PAGE_LEAF : PAGE_BRANCH)) {
        return damaged(walker, "page %" PRIu64 " is not the %s page that it should be", number,
                       is_leaf ? "leaf" : "branch");
    }
    if (lower <= PAGE_HEAD_BYTES || lower > upper || upper > page_bytes || lower % 2 != 0) {
        return damaged(walker, "the head of page %" PRIu64 " is damaged", number);
    }
    for (size_t i = 0; i < page_format_node_count(page); i++) {
        struct page_node node;
        size_t bytes = 0;

        if (!load_node(walker, tree, page, i, &node, &bytes)) {
            return damaged(walker, "node %zu of page %" PRIu64 " is damaged", i, number);
        }
        used += bytes;
    }
    return used == page_bytes - upper
               ? true
               : damaged(walker, "the nodes of page %" PRIu64 " do not fill it", number);
}

/* --- Leaves --- */

static void see_key(struct tree *tree, struct bytes key)
{
    buffer_clear(&tree->previous_key);
    buffer_put(&tree->previous_key, key);
    tree->has_previous = true;
}

/* Keys ascend over all leaves, and lie between the separators above them. */
static bool check_order(struct walker *walker,
                        struct tree *tree,
                        uint64_t page,
                        struct bytes key,
                        const struct bytes *from,
                        const struct bytes *to)
{
    if ((tree->has_previous &&
         page_format_compare(tree->integer_keys, buffer_lend(&tree->previous_key), key) >= 0) ||
        (from != NULL && page_format_compare(tree->integer_keys, key, *from) < 0) ||
        (to != NULL && page_format_compare(tree->integer_keys, key, *to) >= 0)) {
        (void)damaged(walker, "a key of page %" PRIu64 " is out of order", page);
        return false;
    }
    return true;
}

static void see_free_list(struct walker *walker, struct bytes key, struct bytes value)
{
    uint64_t words = value.size / sizeof(uint64_t);
    uint64_t count = words == 0 ? UINT64_MAX : page_u64(value.data);

    if (value.size % sizeof(uint64_t) != 0 || count > words - 1) {
        (void)damaged(walker, "the list of pages freed by transaction %" PRIu64 " is damaged",
                      page_u64(key.data));
        return;
    }
    for (uint64_t i = 1; i <= count && !walker->stopped; i++) {
        walker->walk->free_pages++;
        (void)take_free_page(walker, page_u64(value.data + i * sizeof(uint64_t)));
    }
}

/* The value of a node that has it on pages of its own; the pages are taken. */
static enum status read_big(struct walker *walker,
                            struct tree *tree,
                            const struct page_node *node,
                            bool wanted,
                            bool *ret_is_whole,
                            struct error *error)
{
    uint64_t offset = node->big_page * walker->walk->page_bytes;
    uint8_t head[PAGE_HEAD_BYTES];
    enum status status;

    *ret_is_whole = false;
    if (!is_there(walker, node->big_page, page_format_big_pages(node, walker->walk->page_bytes),
                  "a large value")) {
        return STATUS_OK;
    }
    status = read_at(walker, head, sizeof head, offset, error);
    if (status != STATUS_OK) {
        return status;
    }
    if (!page_format_is_big_head(node, walker->walk->page_bytes, head)) {
        (void)damaged(walker, "page %" PRIu64 " is not the large value that it should be",
                      node->big_page);
        return STATUS_OK;
    }
    if (!take_pages(walker, walker->taken, node->big_page, page_u32(head + 12), "a large value")) {
        return STATUS_OK;
    }
    tree->seen.overflow_pages += page_u32(head + 12);
    *ret_is_whole = true;
    buffer_clear(&walker->value);
    return wanted ? read_at(walker, buffer_extend(&walker->value, (size_t)node->size),
                            (size_t)node->size, offset + PAGE_HEAD_BYTES, error)
                  : STATUS_OK;
}

static enum status see_leaf(struct walker *walker,
                            struct tree *tree,
                            uint64_t number,
                            const uint8_t *page,
                            const struct bytes *from,
                            const struct bytes *to,
                            struct error *error)
{
    bool wants_values = tree->is_free_list || walker->walk->depth == PAGE_WALK_VALUES;
    enum status status = STATUS_OK;

    for (size_t i = 0; status == STATUS_OK && i < page_format_node_count(page) && !walker->stopped;
         i++) {
        struct page_node node;
        struct bytes value;
        size_t bytes;
        bool is_whole = true;

        CHECK(load_node(walker, tree, page, i, &node, &bytes));
        tree->seen.entries++;
        if (check_order(walker, tree, number, node.key, from, to)) {
            see_key(tree, node.key);
        }
        value = bytes_of(node.data, (size_t)node.size);
        if (node.is_big) {
            status = read_big(walker, tree, &node, wants_values, &is_whole, error);
            value = buffer_lend(&walker->value);
        }
        if (status != STATUS_OK || !is_whole || !wants_values) {
            continue;
        }
        if (tree->is_free_list) {
            see_free_list(walker, node.key, value);
        } else if (walker->walk->on_entry != NULL) {
            walker->walk->on_entry(walker->walk->context, node.key, value);
        }
    }
    return status;
}

/* --- The tree --- */

static enum status walk_page(struct walker *walker,
                             struct tree *tree,
                             uint64_t number,
                             unsigned level,
                             const struct bytes *from,
                             const struct bytes *to,
                             struct error *error);

/* That the separators ascend and lie between those above. */
static bool check_separator(struct walker *walker,
                            const struct tree *tree,
                            uint64_t number,
                            struct bytes key,
                            const struct bytes *from,
                            const struct bytes *to)
{
    if ((from != NULL && page_format_compare(tree->integer_keys, key, *from) <= 0) ||
        (to != NULL && page_format_compare(tree->integer_keys, key, *to) >= 0)) {
        return damaged(walker, "a key of the branch page %" PRIu64 " is out of order", number);
    }
    return true;
}

static enum status walk_children(struct walker *walker,
                                 struct tree *tree,
                                 uint64_t number,
                                 unsigned level,
                                 const struct bytes *from,
                                 const struct bytes *to,
                                 struct error *error)
{
    const uint8_t *page = walker->levels[level];
    size_t count = page_format_node_count(page);
    const struct bytes *lowest = from;
    struct bytes lower;
    enum status status = STATUS_OK;

    for (size_t i = 0; status == STATUS_OK && i < count && !walker->stopped; i++) {
        struct page_node node;
        struct page_node next;
        size_t bytes;

        CHECK(load_node(walker, tree, page, i, &node, &bytes));
        if (i + 1 < count) {
            CHECK(load_node(walker, tree, page, i + 1, &next, &bytes));
            if (!check_separator(walker, tree, number, next.key, lowest, to)) {
                return STATUS_OK;
            }
        }
        status = walk_page(walker, tree, node.child, level + 1, lowest,
                           i + 1 < count ? &next.key : to, error);
        if (i + 1 < count) {
            lower = next.key;
            lowest = &lower;
        }
    }
    return status;
}

static void need_level(struct walker *walker, unsigned level)
{
    if (walker->levels[level] == NULL) {
        walker->levels[level] = xmalloc((size_t)walker->walk->page_bytes);
    }
}

static enum status walk_page(struct walker *walker,
                             struct tree *tree,
                             uint64_t number,
                             unsigned level,
                             const struct bytes *from,
                             const struct bytes *to,
                             struct error *error)
{
    size_t page_bytes = (size_t)walker->walk->page_bytes;
    bool is_leaf = level + 1 == tree->levels;
    enum status status;

    if (!take_pages(walker, walker->taken, number, 1, is_leaf ? "a leaf" : "a branch")) {
        return STATUS_OK;
    }
    if (is_leaf) {
        tree->seen.leaf_pages++;
    } else {
        tree->seen.branch_pages++;
    }
    if (is_leaf && !tree->is_free_list && walker->walk->depth == PAGE_WALK_BRANCHES) {
        return STATUS_OK;
    }
    need_level(walker, level);
    status = read_at(walker, walker->levels[level], page_bytes, number * page_bytes, error);
    if (status != STATUS_OK || !check_page(walker, tree, number, is_leaf, walker->levels[level])) {
        return status;
    }
    return is_leaf ? see_leaf(walker, tree, number, walker->levels[level], from, to, error)
                   : walk_children(walker, tree, number, level, from, to, error);
}

static void check_counts(struct walker *walker,
                         const struct tree *tree,
                         const struct page_database *database,
                         bool only_branches)
{
    const struct page_database *seen = &tree->seen;

    if (seen->branch_pages != database->branch_pages || seen->leaf_pages != database->leaf_pages ||
        (!only_branches && (seen->overflow_pages != database->overflow_pages ||
                            seen->entries != database->entries))) {
        (void)damaged(walker,
                      "the meta page counts %" PRIu64 " entries on %" PRIu64 "+%" PRIu64 "+%" PRIu64
                      " pages, there are %" PRIu64 " on %" PRIu64 "+%" PRIu64 "+%" PRIu64,
                      database->entries, database->branch_pages, database->leaf_pages,
                      database->overflow_pages, seen->entries, seen->branch_pages, seen->leaf_pages,
                      seen->overflow_pages);
    }
}

static enum status walk_tree(struct walker *walker,
                             struct tree *tree,
                             const struct page_database *database,
                             struct error *error)
{
    const char *what = tree->is_free_list ? "the list of free pages" : "the records";
    enum status status = STATUS_OK;

    tree->levels = database->levels;
    tree->previous_key = (struct buffer)BUFFER_INIT;
    if (database->flags != (tree->integer_keys ? PAGE_DATABASE_INTEGER_KEYS : 0)) {
        (void)damaged(walker, "the meta page gives %s a wrong kind (%#x)", what, database->flags);
        return STATUS_OK;
    }
    if (database->levels > PAGE_LEVELS_MAX ||
        (database->levels == 0) != (database->root == PAGE_NONE)) {
        (void)damaged(walker, "the meta page gives %s %u levels and the root %" PRIu64, what,
                      database->levels, database->root);
        return STATUS_OK;
    }
    if (database->root != PAGE_NONE) {
        status = walk_page(walker, tree, database->root, 0, NULL, NULL, error);
    }
    if (status == STATUS_OK && !walker->stopped) {
        check_counts(walker, tree, database,
                     !tree->is_free_list && walker->walk->depth == PAGE_WALK_BRANCHES);
    }
    buffer_release(&tree->previous_key);
    return status;
}

/* --- The numbers of the two transactions --- */

/* The last transaction that freed pages, by the list of free pages of a meta page; 0: none. Each
 * transaction puts what it freed at the list's end. */
static enum status find_last_freeing(struct walker *walker,
                                     const struct page_meta *meta,
                                     uint64_t *ret,
                                     struct error *error)
{
    const struct tree tree = {.is_free_list = true, .integer_keys = true};
    size_t page_bytes = (size_t)walker->walk->page_bytes;
    uint8_t *page = walker->levels[0];
    uint64_t number = meta->free.root;
    enum status status = STATUS_OK;

    *ret = 0;
    for (unsigned level = 0; number != PAGE_NONE && level < meta->free.levels; level++) {
        struct page_node node;
        size_t bytes;

        if (!is_there(walker, number, 1, "the list of free pages")) {
            return STATUS_OK;
        }
        status = read_at(walker, page, page_bytes, number * page_bytes, error);
        if (status != STATUS_OK ||
            !check_page(walker, &tree, number, level + 1U == meta->free.levels, page)) {
            return status;
        }
        CHECK(load_node(walker, &tree, page, page_format_node_count(page) - 1, &node, &bytes));
        if (level + 1U == meta->free.levels) {
            *ret = page_u64(node.key.data);
        }
        number = node.child;
    }
    return STATUS_OK;
}

/* If a flipped bit makes the newer transaction look like the one before the older, the last
 * transaction would be lost, and all would look sound. But what it freed tells its number. The
 * pages of the older are whole: they may be used again only two transactions later. */
static enum status
check_number(struct walker *walker, const struct page_meta *meta, struct error *error)
{
    uint64_t last = 0;
    enum status status;

    if (meta->transaction < FIRST_FREEING_TRANSACTION && meta->free.root == PAGE_NONE) {
        return STATUS_OK;
    }
    status = find_last_freeing(walker, meta, &last, error);
    if (status == STATUS_OK && !walker->stopped && last != meta->transaction) {
        (void)damaged(walker,
                      "a meta page is of transaction %" PRIu64
                      ", but the last in its list of free pages is %" PRIu64,
                      meta->transaction, last);
    }
    return status;
}

/* LMDB may leave the file shorter than the number of its last page says: pages taken and given back
 * in one transaction are never written. So pages may be missing if all of them are free. */
static void check_length(struct walker *walker)
{
    const struct page_walk *walk = walker->walk;
    uint64_t missing =
        walk->page_count > walker->pages_there ? walk->page_count - walker->pages_there : 0;

    if (walk->free_pages_behind_end != missing) {
        (void)damaged(walker,
                      "the file is cut off: %" PRIu64 " bytes are there, %" PRIu64 " are needed",
                      walk->file_bytes, walk->page_count * walk->page_bytes);
    }
}

/* --- Pages that nothing refers to --- */

/* A record that is wanted, and whole, is told. */
static enum status
see_loose_record(struct walker *walker, const struct page_node *node, struct error *error)
{
    struct page_walk *walk = walker->walk;
    uint64_t offset = node->big_page * walk->page_bytes;
    uint8_t head[PAGE_HEAD_BYTES + PAGE_WALK_BEGINNING_BYTES];
    size_t beginning =
        node->size < PAGE_WALK_BEGINNING_BYTES ? (size_t)node->size : PAGE_WALK_BEGINNING_BYTES;
    enum status status;

    if (!node->is_big) {
        if (walk->wants_loose(walk->context, node->key, bytes_of(node->data, beginning),
                              node->size)) {
            walk->on_loose(walk->context, node->key, bytes_of(node->data, (size_t)node->size));
        }
        return STATUS_OK;
    }
    if (node->big_page < PAGE_META_COUNT || node->big_page >= walker->pages_there ||
        page_format_big_pages(node, walk->page_bytes) > walker->pages_there - node->big_page) {
        return STATUS_OK;
    }
    status = read_at(walker, head, PAGE_HEAD_BYTES + beginning, offset, error);
    if (status != STATUS_OK || !page_format_is_big_head(node, walk->page_bytes, head) ||
        !walk->wants_loose(walk->context, node->key, bytes_of(head + PAGE_HEAD_BYTES, beginning),
                           node->size)) {
        return status;
    }
    buffer_clear(&walker->value);
    status = read_at(walker, buffer_extend(&walker->value, (size_t)node->size), (size_t)node->size,
                     offset + PAGE_HEAD_BYTES, error);
    if (status == STATUS_OK) {
        walk->on_loose(walk->context, node->key, buffer_lend(&walker->value));
    }
    return status;
}

static enum status
see_loose_page(struct walker *walker, uint64_t number, const uint8_t *page, struct error *error)
{
    const struct tree tree = {.integer_keys = walker->walk->integer_keys};
    enum status status = STATUS_OK;

    if (!check_page(walker, &tree, number, true, page)) {
        return STATUS_OK;
    }
    for (size_t i = 0; status == STATUS_OK && i < page_format_node_count(page); i++) {
        struct page_node node;
        size_t bytes;

        CHECK(load_node(walker, &tree, page, i, &node, &bytes));
        status = see_loose_record(walker, &node, error);
    }
    return status;
}

/* What lies beyond the last page in use belongs to it: that is where transactions grow to. */
static enum status search_loose_pages(struct walker *walker, struct error *error)
{
    uint64_t page_bytes = walker->walk->page_bytes;
    uint64_t pages_max = LOOSE_BYTES / page_bytes;
    uint8_t *pages = xmalloc(LOOSE_BYTES);
    enum status status = STATUS_OK;

    walker->is_searching = true;
    for (uint64_t first = PAGE_META_COUNT; status == STATUS_OK && first < walker->pages_there;) {
        uint64_t rest = walker->pages_there - first;
        uint64_t count = 0;

        while (count < rest && count < pages_max && !has_bit(walker->taken, first + count)) {
            count++;
        }
        if (count > 0) {
            status =
                read_at(walker, pages, (size_t)(count * page_bytes), first * page_bytes, error);
        }
        for (uint64_t i = 0; status == STATUS_OK && i < count; i++) {
            status = see_loose_page(walker, first + i, pages + i * page_bytes, error);
        }
        first += count > 0 ? count : 1;
    }
    walker->is_searching = false;
    free(pages);
    return status;
}

static enum status walk_trees(struct walker *walker, struct error *error)
{
    struct page_walk *walk = walker->walk;
    struct tree free_list = {.is_free_list = true, .integer_keys = true};
    struct tree records = {.integer_keys = walk->integer_keys};
    enum status status = walk_tree(walker, &records, &walker->meta.main, error);

    if (status == STATUS_OK && !walker->stopped) {
        status = walk_tree(walker, &free_list, &walker->meta.free, error);
    }
    if (status == STATUS_OK && !walker->stopped) {
        check_length(walker);
    }
    if (status == STATUS_OK && !walker->stopped) {
        status = check_number(walker, &walker->meta, error);
    }
    if (status == STATUS_OK && !walker->stopped) {
        status = check_number(walker, &walker->older, error);
    }
    if (status == STATUS_OK && !walker->stopped && walk->on_loose != NULL) {
        status = search_loose_pages(walker, error);
    }
    walk->branch_pages = records.seen.branch_pages;
    walk->leaf_pages = records.seen.leaf_pages;
    walk->overflow_pages = records.seen.overflow_pages;
    walk->entries = records.seen.entries;
    walk->list_pages =
        free_list.seen.branch_pages + free_list.seen.leaf_pages + free_list.seen.overflow_pages;
    return status;
}

static enum status walk_file(struct walker *walker, struct error *error)
{
    struct page_walk *walk = walker->walk;
    enum status status = read_metas(walker, error);

    if (status != STATUS_OK) {
        return status;
    }
    walk->transaction = walker->meta.transaction;
    walk->page_count = walker->meta.last_page + 1;
    walker->pages_there = walk->file_bytes / walk->page_bytes;
    if (walk->depth != PAGE_WALK_BRANCHES) {
        (void)posix_fadvise(walker->file, 0, 0, POSIX_FADV_WILLNEED);
    }
    walker->taken = xcalloc((size_t)(walker->pages_there / 8 + 1), 1);
    walker->free = xcalloc((size_t)(walker->pages_there / 8 + 1), 1);
    need_level(walker, 0);
    return walk_trees(walker, error);
}

static void release(struct walker *walker)
{
    for (size_t i = 0; i < PAGE_LEVELS_MAX; i++) {
        free(walker->levels[i]);
    }
    free(walker->taken);
    free(walker->free);
    buffer_release(&walker->value);
    (void)close(walker->file);
}

enum status page_walk(struct page_walk *walk, struct error *error)
{
    struct walker walker = {.walk = walk, .value = BUFFER_INIT};
    struct stat info;
    enum status status;

    walker.file = open(walk->path, O_RDONLY | O_CLOEXEC);
    if (walker.file < 0) {
        return error_set(error, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO,
                         "cannot open %s: %s", walk->path, strerror(errno));
    }
    if (fstat(walker.file, &info) != 0) {
        status = error_set(error, STATUS_IO, "cannot examine %s: %s", walk->path, strerror(errno));
    } else {
        walk->file_bytes = (uint64_t)info.st_size;
        status = walk_file(&walker, error);
    }
    release(&walker);
    return status;
}
