/* A checkpoint in memory: the twin of the store's tree for tests and simulation. It keeps sorted
 * records, is read through the state's port, and takes sealed generations whole. */
#ifndef TESTS_SUPPORT_MEMORY_SOURCE_H
#define TESTS_SUPPORT_MEMORY_SOURCE_H

#include "server/state/state.h"

struct memory_source;

struct memory_source *memory_source_new(void);
void memory_source_free(struct memory_source *source); /* NULL is fine */
/* What the source shows now, whatever becomes of it: what a disk holds after a crash, or a dump.
 * They share the records' memory. */
struct memory_source *memory_source_clone(const struct memory_source *source);

/* Show the records of a generation from now on, all of them at once. */
void memory_source_apply(struct memory_source *source,
                         const struct state_record *records,
                         size_t record_count);
/* Put or remove one record, to damage what is there. */
void memory_source_put(struct memory_source *source, struct bytes key, struct bytes value);
void memory_source_remove(struct memory_source *source, struct bytes key);

/* The port; the source outlives its users. */
struct state_source memory_source_port(struct memory_source *source);

size_t memory_source_count(const struct memory_source *source);
/* The record at a position in the order of keys; lent until the next change. */
struct state_record memory_source_at(const struct memory_source *source, size_t position);
/* The position of the first key that is not below `key`; the count if there is none. */
size_t memory_source_find(const struct memory_source *source, struct bytes key);
/* Records given out by lookups and ranges since the source was made. */
uint64_t memory_source_reads(const struct memory_source *source);
/* From now on every read fails with `status`; STATUS_OK ends that. */
void memory_source_fail(struct memory_source *source, enum status status);

#endif
