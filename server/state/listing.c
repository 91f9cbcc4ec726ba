#include "server/state/listing.h"

#include "server/state/record_key.h"

#include <string.h>

struct listing {
    struct tree *tree;
    struct arena *arena;
    struct bytes after; /* a key */
    size_t count_max;
    size_t bytes_max;
    bool with_nodes;
    bool damaged;
    size_t bytes;
    size_t capacity;
    struct state_children children;
};

static struct state_child *append(struct listing *listing)
{
    struct state_children *children = &listing->children;

    if (children->count == listing->capacity) {
        size_t capacity = listing->capacity == 0 ? 16 : 2 * listing->capacity;
        struct state_child *items = arena_alloc(listing->arena, capacity * sizeof *items);

        if (children->count > 0) {
            memcpy(items, children->items, children->count * sizeof *items);
        }
        children->items = items;
        listing->capacity = capacity;
    }
    return &children->items[children->count++];
}

static bool list_child(void *visitor, struct bytes key, struct bytes value, struct record *record)
{
    struct listing *listing = visitor;
    struct bytes name = record_key_name(key);
    struct state_child *child;
    size_t bytes = name.size + (listing->with_nodes ? value.size : 0);

    /* The keys ascend from there. */
    if (listing->children.count == 0 && bytes_compare(key, listing->after) <= 0) {
        return true;
    }
    if (listing->children.count >= listing->count_max ||
        (listing->children.count > 0 && listing->bytes + bytes > listing->bytes_max)) {
        listing->children.more = true;
        return false;
    }
    if (listing->with_nodes) {
        if (record == NULL) {
            record = overlay_cache(listing->tree->overlay, key, value);
        }
        if (!znode_is_well_formed(record)) {
            listing->damaged = true;
            return false;
        }
    }
    child = append(listing);
    *child = (struct state_child){
        .name = arena_copy(listing->arena, name),
        .node = listing->with_nodes ? state_node_ref(znode_show(record)) : NULL,
    };
    listing->bytes += bytes;
    return true;
}

static void drop_nodes(const struct state_children *children)
{
    for (size_t i = 0; i < children->count; i++) {
        state_node_unref(children->items[i].node);
    }
}

static enum status scan(struct listing *listing, const struct record *parent, struct bytes after)
{
    struct record_key prefix;
    struct record_key from;
    enum status status;

    /* No name is longer than a component, so cutting `after` there loses nothing. */
    if (after.size > STATE_COMPONENT_BYTES_MAX) {
        after.size = STATE_COMPONENT_BYTES_MAX;
    }
    record_key_node(znode_id(parent), BYTES_EMPTY, &prefix);
    record_key_node(znode_id(parent), after, &from);
    listing->after = record_key_lend(&from);
    status = overlay_scan(listing->tree->overlay, record_key_lend(&from), record_key_lend(&prefix),
                          listing->with_nodes ? SIZE_MAX : 0, list_child, listing);
    return status == STATUS_OK && listing->damaged ? STATUS_CORRUPT : status;
}

enum status listing_read(struct tree *tree,
                         struct bytes path,
                         struct bytes after,
                         size_t count_max,
                         size_t bytes_max,
                         bool with_nodes,
                         struct arena *arena,
                         enum op_error *ret_error,
                         struct state_children *ret_children)
{
    struct listing listing = {
        .tree = tree,
        .arena = arena,
        .count_max = count_max,
        .bytes_max = bytes_max,
        .with_nodes = with_nodes,
    };
    struct record *parent = NULL;
    struct znode znode;
    enum status status = tree_find(tree, path, &parent);

    if (status != STATUS_OK) {
        return status;
    }
    if (parent == NULL) {
        *ret_error = OP_NO_NODE;
        return STATUS_OK;
    }
    znode = znode_load(parent);
    listing.children.parent = znode_stat(&znode);
    if (znode.child_count > 0) {
        status = scan(&listing, parent, after);
    }
    if (status != STATUS_OK) {
        drop_nodes(&listing.children);
        return status;
    }
    *ret_error = OP_OK;
    *ret_children = listing.children;
    return STATUS_OK;
}

/* --- Ephemerals --- */

struct ephemerals {
    uint64_t cursor;
    size_t *nodes_left;
    void (*visit)(void *visitor, struct bytes path);
    void *visitor;
    bool is_cut;
};

static bool
show_ephemeral(void *visitor, struct bytes key, struct bytes value, struct record *record)
{
    struct ephemerals *ephemerals = visitor;

    (void)record;
    if (*ephemerals->nodes_left == 0) {
        ephemerals->is_cut = true;
        return false;
    }
    (*ephemerals->nodes_left)--;
    ephemerals->cursor = record_key_ephemeral_node(key) + 1;
    ephemerals->visit(ephemerals->visitor, value);
    return true;
}

enum status listing_each_ephemeral(struct tree *tree,
                                   session_id session,
                                   uint64_t *cursor,
                                   size_t *nodes_left,
                                   void (*visit)(void *visitor, struct bytes path),
                                   void *visitor,
                                   bool *ret_done)
{
    struct ephemerals ephemerals = {
        .cursor = *cursor, .nodes_left = nodes_left, .visit = visit, .visitor = visitor};
    struct record_key prefix;
    struct record_key from;
    enum status status;

    record_key_ephemerals(session, &prefix);
    record_key_ephemeral(session, *cursor, &from);
    status = overlay_scan(tree->overlay, record_key_lend(&from), record_key_lend(&prefix), SIZE_MAX,
                          show_ephemeral, &ephemerals);
    *cursor = ephemerals.cursor;
    *ret_done = !ephemerals.is_cut;
    return status;
}
