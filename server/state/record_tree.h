/* Records ordered by key: a treap (Seidel and Aragon, "Randomized search trees", 1996) whose
 * priorities are the hashes of the keys, with links to the parents, so that replacing and stepping
 * need no search. Its shape follows from the keys and the seed of the hashes alone, and nothing
 * outside can see it. It owns no references. */
#ifndef STATE_RECORD_TREE_H
#define STATE_RECORD_TREE_H

#include "server/state/record.h"

struct record_tree {
    struct record *root;
    struct record *latest; /* inserted, or NULL: the next is often its neighbour */
};

/* No record with this key is in the tree; index.hash is set. */
void record_tree_insert(struct record_tree *tree, struct record *record);
void record_tree_remove(struct record_tree *tree, struct record *record);
/* Put `record` where `old`, which has the same key, is. */
void record_tree_replace(struct record_tree *tree, struct record *old, struct record *record);

/* The first record with a key >= `key`, or NULL. */
struct record *record_tree_from(const struct record_tree *tree, struct bytes key);
/* The record after this one, or NULL. */
struct record *record_tree_next(const struct record *record);
/* Any record without children, taken out; NULL when the tree is empty. Emptying a tree this way
 * needs no comparison and may be spread over time. */
struct record *record_tree_take_leaf(struct record_tree *tree);

/* Aborts unless order, priorities and links are right. */
void record_tree_check(const struct record_tree *tree, uint64_t record_count);

#endif
