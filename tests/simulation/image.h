/* A generation of the checkpoint in memory, and dumps of it. What persistence calls struct
 * tree_store is opaque to the node, so the simulation has a struct tree_store of its own. */
#ifndef TESTS_SIMULATION_IMAGE_H
#define TESTS_SIMULATION_IMAGE_H

#include "base/list.h"
#include "persistence/tree_store.h"
#include "tests/support/memory_source.h"

struct tree_store {
    struct list link; /* the disk's */
    uint64_t generation;
    bool is_open;
    struct memory_source *durable;
    struct tree_meta durable_meta; /* its config owned */
    /* What the reader shows: as of the last renewal. */
    struct memory_source *shown;
    struct tree_meta shown_meta; /* its config owned */
    struct state_source source;
    bool fails_reads;
    struct buffer damaged_key; /* reads of it fail; empty = of none */
};

struct tree_store *image_new(uint64_t generation);
void image_free(struct tree_store *tree);
/* Every read fails with IO, or does no more. */
void image_fail_reads(struct tree_store *tree, bool fail);
/* Damage a record; the next commit of that record mends it. False: there is none. */
bool image_damage(struct tree_store *tree, uint64_t seed);
bool image_is_damaged(const struct tree_store *tree);
void image_renew(struct tree_store *tree);
void image_commit(struct tree_store *tree,
                  const struct tree_record *records,
                  size_t count,
                  const struct tree_meta *meta);

/* Append a dump of what is durable. */
void image_dump(const struct tree_store *tree, const uint8_t cluster_id[16], struct buffer *dump);
/* CORRUPT, MISMATCH. */
MUST_CHECK enum status image_from_dump(struct bytes dump,
                                       const uint8_t cluster_id[16],
                                       bool (*check_record)(struct bytes key, struct bytes value),
                                       uint64_t generation,
                                       struct tree_store **ret_tree,
                                       struct error *error);

#endif
