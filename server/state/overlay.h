/* All records as the commands see them: what changed since the last checkpoint lies over the
 * source, and clean records that were read stay in RAM for as long as there is room beside those.
 *
 * A record in RAM is in one of four conditions, told by its generation number:
 *
 *     current   written since the last sealing; ordered by key
 *     sealed    written before it, and the checkpoint is being made; ordered by key
 *     retired   the source holds it now; waits to become clean, a few at a time
 *     clean     equal to the source (generation 0); ordered by use, may be dropped
 *
 * A clean one may hold the beginning of a long value only (RECORD_BEGINNING): what a glance left.
 * It gives way to the whole as soon as that is asked for, and nobody else sees it.
 *
 * One key may have a version in each; the one with the highest number counts. Records of all
 * conditions are in one index by hash. Tombstones stand for removed keys until the source has lost
 * them too.
 *
 * Writes are journaled: a failed operation is rolled back exactly, and the versions before and
 * after stay valid until the next overlay_begin.
 *
 * Pointers to records that are handed out are borrowed: valid until overlay_trim or overlay_begin
 * unless the journal or the caller holds a reference. */
#ifndef STATE_OVERLAY_H
#define STATE_OVERLAY_H

#include "server/state/record.h"
#include "server/state/record_tree.h"
#include "server/state/state.h"

enum {
    OVERLAY_LOOKUP_BYTES = 256, /* of a value take about as long as a lookup */
    OVERLAY_GLANCE_BYTES = 128
};

struct overlay_run {
    struct record_tree tree;
    uint64_t record_count;
    uint64_t bytes;
};

/* Records in no order that counts, taken from the end on. */
struct overlay_row {
    struct record **records;
    uint64_t record_count;
    uint64_t bytes;
};

/* One write. A missing `before` is a key that was not in RAM, a missing `after` one that was
 * dropped without a tombstone. */
struct overlay_step {
    struct record *before;
    struct record *after;
};

struct overlay {
    struct state_source source;
    uint64_t hash_seed;
    uint64_t memory_bytes_max;
    struct map index;
    struct list clean; /* most recently used first */
    uint64_t clean_bytes;
    uint64_t clean_count;
    uint32_t generation; /* of `current` */
    struct overlay_run current;
    struct state_generation *sealed; /* NULL = none */
    struct overlay_row retired;
    struct overlay_step *journal;
    size_t journal_count;
    size_t journal_capacity;
    uint64_t node_count;        /* of all live ones, the root included */
    uint64_t ephemeral_count;   /* of them */
    uint64_t data_bytes;        /* of their paths and values, as the tree says */
    struct state_digest digest; /* of all live records; the meta record is not among them */
    /* The values that this command wrote, replaced, removed and checked, and OVERLAY_LOOKUP_BYTES
     * for each record that it looked for, there or not. */
    uint64_t touched_bytes;
};

struct overlay_savepoint {
    size_t journal_count;
    struct state_digest digest;
    uint64_t node_count;
    uint64_t ephemeral_count;
    uint64_t data_bytes;
};

void overlay_init(struct overlay *overlay,
                  const struct state_source *source,
                  uint64_t memory_bytes_max,
                  uint64_t hash_seed);
void overlay_release(struct overlay *overlay);

/* A new command begins: the journal of the last one is forgotten, and nothing is touched yet. */
void overlay_begin(struct overlay *overlay);
struct overlay_savepoint overlay_savepoint(const struct overlay *overlay);
/* Undo every write since the savepoint, the last one first. What they touched stays touched. */
void overlay_rollback(struct overlay *overlay, struct overlay_savepoint savepoint);
/* What the records of all conditions take. */
uint64_t overlay_memory_bytes(const struct overlay *overlay);
/* Drop clean records, the longest unused first, while all records together take more than the
 * limit: the others cannot be dropped. */
void overlay_trim(struct overlay *overlay);

/* The record of `key`, or NULL when there is none. */
MUST_CHECK enum status
overlay_find(struct overlay *overlay, struct bytes key, struct record **ret_record);
/* The value of the record of `key`, of which at least OVERLAY_GLANCE_BYTES are there if it has as
 * many: nobody waits for a long value that is not looked at. No data when there is no record. Lent
 * until the next call of the overlay. */
MUST_CHECK enum status
overlay_glance(struct overlay *overlay, struct bytes key, struct bytes *ret_value);
/* A record that a scan met in the source, now cached. May be called by the scan's visitor. */
struct record *overlay_cache(struct overlay *overlay, struct bytes key, struct bytes value);

/* Write `record`; its one reference is taken. `before` is what overlay_find gave for its key just
 * now, NULL also if the key is new by construction. */
void overlay_put(struct overlay *overlay, const struct record *before, struct record *record);
/* Remove the record that overlay_find gave just now. */
void overlay_remove(struct overlay *overlay, const struct record *before);

/* The command looks at the record's value without writing it. */
void overlay_touch(struct overlay *overlay, const struct record *record);

/* What a scan meets, in order of keys. `record` is NULL if the value is the source's, which is
 * valid during the visit only. Return false to stop. The visitor must not read or write the overlay
 * except by overlay_cache. */
typedef bool
overlay_visitor(void *visitor, struct bytes key, struct bytes value, struct record *record);

/* Visit the live records with key >= `from` that start with `prefix`. Costs what it shows, and the
 * tombstones between. Of a value longer than `bytes_wanted` it may show only a beginning that is at
 * least as long. */
MUST_CHECK enum status overlay_scan(struct overlay *overlay,
                                    struct bytes from,
                                    struct bytes prefix,
                                    size_t bytes_wanted,
                                    overlay_visitor *visit,
                                    void *visitor);

/* Hand the current generation over, with `meta` as the value of the meta record (owned by the
 * generation, not counted in the digest). */
struct state_generation *overlay_seal(struct overlay *overlay, zxid applied, struct bytes meta);
void overlay_end(struct overlay *overlay, struct state_generation *generation);

/* Compare records in RAM with their sums, from *position (0 = the beginning) on, a slice of about
 * `bytes_max`, which is advanced; it is 0 again at the end. A record that does not fit, or NULL. */
const struct record *
overlay_verify(struct overlay *overlay, size_t *position, size_t bytes_max, size_t *ret_bytes);

/* Aborts when counts, order or links are wrong. */
void overlay_check(const struct overlay *overlay);

#endif
