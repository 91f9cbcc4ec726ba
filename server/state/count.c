#include "server/state/count.h"

#include "base/alloc.h"
#include "server/state/record_key.h"

#include <stdlib.h>

/* A node whose children are being counted. Its path is that of the level above it and the name that
 * was met last there, so all names together are no longer than a path. */
struct level {
    uint64_t id;
    size_t names_bytes; /* of all levels above */
};

struct state_count {
    uint64_t total;
    uint64_t value_bytes;
    uint64_t path_bytes;
    struct level *levels;
    size_t level_count;
    size_t level_capacity;
    struct buffer names; /* the last name met at each level; of the deepest, nothing at first */
};

static void descend(struct state_count *count, uint64_t id)
{
    if (count->level_count == count->level_capacity) {
        count->level_capacity = 2 * count->level_capacity + 8;
        count->levels = xrealloc(count->levels, count->level_capacity * sizeof *count->levels);
    }
    count->levels[count->level_count++] =
        (struct level){.id = id, .names_bytes = count->names.size};
}

static void ascend(struct state_count *count)
{
    count->names.size = count->levels[--count->level_count].names_bytes;
}

struct state_count *count_new(const struct record *top)
{
    struct state_count *count = xcalloc(1, sizeof *count);

    descend(count, znode_id(top));
    return count;
}

void count_free(struct state_count *count)
{
    if (count != NULL) {
        buffer_release(&count->names);
        free(count->levels);
        free(count);
    }
}

uint64_t count_total(const struct state_count *count)
{
    return count->total;
}

uint64_t count_value_bytes(const struct state_count *count)
{
    return count->value_bytes;
}

uint64_t count_path_bytes(const struct state_count *count)
{
    return count->path_bytes;
}

struct visit {
    struct state_count *count;
    struct bytes after; /* a key */
    size_t *nodes_left;
    uint64_t inner_id; /* a child with children: go down there; 0 = none */
    bool is_cut;
    bool is_damaged;
};

static bool visit_child(void *visitor, struct bytes key, struct bytes value, struct record *record)
{
    struct visit *visit = visitor;
    struct state_count *count = visit->count;
    struct znode_glance node;
    size_t path_bytes;

    (void)record;
    if (bytes_compare(key, visit->after) <= 0) {
        return true;
    }
    if (*visit->nodes_left == 0) {
        visit->is_cut = true;
        return false;
    }
    if (!znode_glance(value, &node)) {
        visit->is_damaged = true;
        return false;
    }
    (*visit->nodes_left)--;
    count->total++;
    count->value_bytes += node.value_bytes;
    count->names.size = count->levels[count->level_count - 1].names_bytes;
    buffer_put(&count->names, record_key_name(key));
    path_bytes = count->names.size + count->level_count; /* with the slashes */
    /* Longer than any path: some node is below itself. */
    if (path_bytes > STATE_PATH_BYTES_MAX) {
        visit->is_damaged = true;
        return false;
    }
    count->path_bytes += path_bytes;
    visit->inner_id = node.child_count == 0 ? 0 : node.id;
    return node.child_count == 0;
}

/* Up to the next child with children, or the end of this level. */
static enum status continue_level(struct tree *tree, struct visit *visit)
{
    struct state_count *count = visit->count;
    const struct level *level = &count->levels[count->level_count - 1];
    struct bytes after = BYTES_EMPTY; /* the name met last here */
    struct record_key prefix;
    struct record_key from;
    enum status status;

    record_key_node(level->id, BYTES_EMPTY, &prefix);
    if (count->names.size > level->names_bytes) {
        after = bytes_of(count->names.data + level->names_bytes,
                         count->names.size - level->names_bytes);
    }
    record_key_node(level->id, after, &from);
    visit->after = record_key_lend(&from);
    visit->inner_id = 0;
    status = overlay_scan(tree->overlay, record_key_lend(&from), record_key_lend(&prefix),
                          ZNODE_HEADER_BYTES, visit_child, visit);
    return status == STATUS_OK && visit->is_damaged ? STATUS_CORRUPT : status;
}

enum status
count_continue(struct tree *tree, struct state_count *count, size_t *nodes_left, bool *ret_done)
{
    struct visit visit = {.count = count, .nodes_left = nodes_left};
    enum status status = STATUS_OK;

    while (status == STATUS_OK && count->level_count > 0 && !visit.is_cut) {
        status = continue_level(tree, &visit);
        if (visit.inner_id != 0) {
            descend(count, visit.inner_id);
        } else if (!visit.is_cut) {
            ascend(count);
        }
    }
    *ret_done = count->level_count == 0;
    return status;
}
