/* A sealed generation: the ordered tree as it was handed over, its records in a row, and an array
 * that shows them, which is made when somebody asks for it, on whatever thread that is. Nothing
 * changes a tree that is sealed. */
#ifndef STATE_GENERATION_H
#define STATE_GENERATION_H

#include "server/state/record_tree.h"
#include "server/state/state.h"

struct state_generation {
    struct record_tree tree;
    uint64_t record_count;
    uint64_t bytes;
    zxid applied;
    struct record *meta; /* owned; not in the tree */
    struct record **row; /* those of the tree, by key */
    struct state_record *records;
};

struct state_generation *generation_new(struct record_tree tree,
                                        uint64_t record_count,
                                        uint64_t bytes,
                                        zxid applied,
                                        struct bytes meta);
/* The tree's records are the overlay's, and its row if that was taken out of here. */
void generation_free(struct state_generation *generation);

#endif
