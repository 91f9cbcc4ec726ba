#include "server/state/record_tree.h"

#include "base/check.h"

static struct record_links *links_of(struct record *record)
{
    return &record->links.tree;
}

/* The pointer that points at `record`: in its parent, or the root. */
static struct record **place_of(struct record_tree *tree, struct record *record)
{
    struct record *parent = links_of(record)->parent;

    if (parent == NULL) {
        return &tree->root;
    }
    return links_of(parent)->left == record ? &links_of(parent)->left : &links_of(parent)->right;
}

/* The parent goes below its child; the order of keys stays. */
static void rotate_up(struct record_tree *tree, struct record *record)
{
    struct record *parent = links_of(record)->parent;
    struct record **place = place_of(tree, parent);
    struct record *moved;

    if (links_of(parent)->left == record) {
        moved = links_of(record)->right;
        links_of(record)->right = parent;
        links_of(parent)->left = moved;
    } else {
        moved = links_of(record)->left;
        links_of(record)->left = parent;
        links_of(parent)->right = moved;
    }
    if (moved != NULL) {
        links_of(moved)->parent = parent;
    }
    links_of(record)->parent = links_of(parent)->parent;
    links_of(parent)->parent = record;
    *place = record;
}

/* Before they are compared: which of them is next is known only then, and both are far away. */
static void fetch_children(const struct record *record)
{
    const struct record_links *links = &record->links.tree;

    if (links->left != NULL) {
        __builtin_prefetch(links->left->data);
    }
    if (links->right != NULL) {
        __builtin_prefetch(links->right->data);
    }
}

static void
replace_latest(struct record_tree *tree, const struct record *old, struct record *record)
{
    if (tree->latest == old) {
        tree->latest = record;
    }
}

/* Where a key goes that comes right behind the latest one, else NULL: siblings are mostly made in
 * order, and two comparisons are less than those from the root down. */
static struct record **
place_behind_latest(struct record_tree *tree, struct bytes key, struct record **ret_parent)
{
    struct record *latest = tree->latest;
    struct record *next;

    if (latest == NULL || bytes_compare(record_key_of(latest), key) >= 0) {
        return NULL;
    }
    next = record_tree_next(latest);
    if (next != NULL && bytes_compare(record_key_of(next), key) <= 0) {
        return NULL;
    }
    /* The next one is the leftmost below it on the right, if there is any. */
    *ret_parent = links_of(latest)->right == NULL ? latest : next;
    return *ret_parent == latest ? &links_of(latest)->right : &links_of(next)->left;
}

static struct record **
place_below_root(struct record_tree *tree, struct bytes key, struct record **ret_parent)
{
    struct record **place = &tree->root;

    *ret_parent = NULL;
    while (*place != NULL) {
        int order;

        fetch_children(*place);
        order = bytes_compare(key, record_key_of(*place));
        CHECK(order != 0);
        *ret_parent = *place;
        place = order < 0 ? &links_of(*place)->left : &links_of(*place)->right;
    }
    return place;
}

void record_tree_insert(struct record_tree *tree, struct record *record)
{
    struct bytes key = record_key_of(record);
    struct record *parent;
    struct record **place = place_behind_latest(tree, key, &parent);

    if (place == NULL) {
        place = place_below_root(tree, key, &parent);
    }
    record->links.tree = (struct record_links){.parent = parent};
    *place = record;
    tree->latest = record;
    while (links_of(record)->parent != NULL &&
           record->index.hash < links_of(record)->parent->index.hash) {
        rotate_up(tree, record);
    }
}

void record_tree_remove(struct record_tree *tree, struct record *record)
{
    struct record_links *links = links_of(record);
    struct record *child;

    while (links->left != NULL && links->right != NULL) {
        rotate_up(tree,
                  links->left->index.hash < links->right->index.hash ? links->left : links->right);
    }
    child = links->left != NULL ? links->left : links->right;
    *place_of(tree, record) = child;
    if (child != NULL) {
        links_of(child)->parent = links->parent;
    }
    *links = (struct record_links){.parent = NULL};
    replace_latest(tree, record, NULL);
}

void record_tree_replace(struct record_tree *tree, struct record *old, struct record *record)
{
    CHECK(old->index.hash == record->index.hash);
    *place_of(tree, old) = record;
    record->links.tree = old->links.tree;
    if (links_of(record)->left != NULL) {
        links_of(links_of(record)->left)->parent = record;
    }
    if (links_of(record)->right != NULL) {
        links_of(links_of(record)->right)->parent = record;
    }
    old->links.tree = (struct record_links){.parent = NULL};
    replace_latest(tree, old, record);
}

struct record *record_tree_from(const struct record_tree *tree, struct bytes key)
{
    struct record *record = tree->root;
    struct record *found = NULL;

    while (record != NULL) {
        if (bytes_compare(record_key_of(record), key) >= 0) {
            found = record;
            record = links_of(record)->left;
        } else {
            record = links_of(record)->right;
        }
    }
    return found;
}

static struct record *leftmost(struct record *record)
{
    while (record->links.tree.left != NULL) {
        __builtin_prefetch(record->links.tree.right); /* comes after what is on the left */
        record = record->links.tree.left;
    }
    return record;
}

struct record *record_tree_next(const struct record *record)
{
    struct record *parent = record->links.tree.parent;

    if (record->links.tree.right != NULL) {
        return leftmost(record->links.tree.right);
    }
    while (parent != NULL && parent->links.tree.right == record) {
        record = parent;
        parent = record->links.tree.parent;
    }
    return parent;
}

struct record *record_tree_take_leaf(struct record_tree *tree)
{
    struct record *record = tree->root;

    if (record == NULL) {
        return NULL;
    }
    while (record->links.tree.left != NULL || record->links.tree.right != NULL) {
        record =
            record->links.tree.left != NULL ? record->links.tree.left : record->links.tree.right;
    }
    if (record->links.tree.parent != NULL) {
        /* Where the way goes down the next time, if this was on the left. */
        __builtin_prefetch(record->links.tree.parent->links.tree.right);
    }
    *place_of(tree, record) = NULL;
    replace_latest(tree, record, NULL);
    record->links.tree = (struct record_links){.parent = NULL};
    return record;
}

void record_tree_check(const struct record_tree *tree, uint64_t record_count)
{
    struct record *record = tree->root == NULL ? NULL : leftmost(tree->root);
    struct record *previous = NULL;
    uint64_t count = 0;
    bool has_latest = tree->latest == NULL;

    for (; record != NULL; record = record_tree_next(record)) {
        struct record *parent = record->links.tree.parent;

        CHECK(previous == NULL ||
              bytes_compare(record_key_of(previous), record_key_of(record)) < 0);
        CHECK(parent == NULL
                  ? tree->root == record
                  : (parent->links.tree.left == record) != (parent->links.tree.right == record));
        CHECK(parent == NULL || parent->index.hash <= record->index.hash);
        has_latest = has_latest || record == tree->latest;
        previous = record;
        count++;
    }
    CHECK_OP(count, ==, record_count);
    CHECK(has_latest);
}
