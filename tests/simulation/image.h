/* A generation of the checkpoint in memory, and dumps of it. With a shipped store beneath it what
 * is read comes from there, and must be what the image holds. To the node its handle is a struct
 * tree_store, which the node never looks into. */
#ifndef TESTS_SIMULATION_IMAGE_H
#define TESTS_SIMULATION_IMAGE_H

#include "base/list.h"
#include "persistence/tree_store.h"
#include "tests/simulation/stores.h"
#include "tests/support/memory_source.h"

struct image {
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
    struct stores *stores;
    struct tree_store *stored; /* while it is open; NULL: there is but the image */
};

struct tree_store *image_handle(struct image *image);
struct image *image_of(struct tree_store *handle);

struct image *image_new(uint64_t generation);
/* What is durable of it, not open. */
struct image *image_copy(const struct image *image);
void image_free(struct image *image);
/* For a process, with the shipped store of that generation unless `stores` is NULL. */
void image_open(struct image *image, struct stores *stores);
void image_close(struct image *image, bool remove_files);
/* Every read fails with IO, or does no more. */
void image_fail_reads(struct image *image, bool fail);
/* Damage a record; the next commit of that record mends it. False: there is none. */
bool image_damage(struct image *image, uint64_t seed);
bool image_is_damaged(const struct image *image);
/* Show what is durable now. */
void image_renew(struct image *image);
void image_commit(struct image *image,
                  const struct tree_record *records,
                  size_t count,
                  const struct tree_meta *meta);

/* What the durable records add up to. */
void image_weigh(const struct image *image,
                 tree_store_weigh *weigh,
                 uint64_t *ret_count,
                 uint64_t *ret_sum);
/* Verify all of what is durable in one slice. */
void image_scrub(const struct image *image,
                 tree_store_weigh *weigh,
                 struct tree_scrub_slice *ret_slice,
                 struct error *error);
/* Append a dump of what is durable. */
void image_dump(const struct image *image, const uint8_t cluster_id[16], struct buffer *dump);
/* CORRUPT, MISMATCH. */
MUST_CHECK enum status image_from_dump(struct bytes dump,
                                       const uint8_t cluster_id[16],
                                       bool (*check_record)(struct bytes key, struct bytes value),
                                       uint64_t generation,
                                       struct image **ret_image,
                                       struct error *error);

/* A new image of what a generation of the shipped stores holds. */
struct image *image_of_stored(struct stores *stores, uint64_t generation);
/* What the shipped store says of itself must be so. */
void image_check_meta(const struct image *image, const struct tree_meta *found);

#endif
