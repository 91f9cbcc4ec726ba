#include "server/state/generation.h"

#include "base/alloc.h"
#include "base/check.h"
#include "server/state/record_key.h"

#include <stdlib.h>
#include <string.h>

static struct record **row_of(const struct record_tree *tree, uint64_t record_count)
{
    struct record **row = xcalloc((size_t)record_count, sizeof(struct record *));
    struct record *record = record_tree_from(tree, BYTES_EMPTY);

    for (uint64_t i = 0; i < record_count; i++) {
        CHECK(record != NULL);
        row[i] = record;
        record = record_tree_next(record);
    }
    CHECK(record == NULL);
    return row;
}

struct state_generation *generation_new(
    struct record_tree tree, uint64_t record_count, uint64_t bytes, zxid applied, struct bytes meta)
{
    struct state_generation *generation = xmalloc(sizeof *generation);
    struct record_key key;

    record_key_meta(&key);
    *generation = (struct state_generation){
        .tree = tree,
        .record_count = record_count,
        .bytes = bytes,
        .applied = applied,
        .meta = record_new(record_key_lend(&key), meta.size),
        .row = row_of(&tree, record_count),
    };
    memcpy(record_value_space(generation->meta), meta.data, meta.size);
    return generation;
}

void generation_free(struct state_generation *generation)
{
    if (generation == NULL) {
        return;
    }
    record_unref(generation->meta);
    free(generation->row);
    free(generation->records);
    free(generation);
}

zxid state_generation_applied(const struct state_generation *generation)
{
    return generation->applied;
}

static struct state_record show(const struct record *record)
{
    return (struct state_record){
        .key = record_key_of(record),
        .value = record->removed ? BYTES_EMPTY : record_value_of(record),
        .removed = record->removed,
    };
}

const struct state_record *state_generation_records(struct state_generation *generation,
                                                    size_t *ret_count)
{
    size_t total = (size_t)generation->record_count + 1;

    if (generation->records == NULL) {
        struct bytes meta_key = record_key_of(generation->meta);
        bool meta_placed = false;
        size_t count = 0;

        generation->records = xcalloc(total, sizeof *generation->records);
        for (uint64_t i = 0; i < generation->record_count; i++) {
            if (!meta_placed && bytes_compare(meta_key, record_key_of(generation->row[i])) < 0) {
                generation->records[count++] = show(generation->meta);
                meta_placed = true;
            }
            generation->records[count++] = show(generation->row[i]);
        }
        if (!meta_placed) {
            generation->records[count++] = show(generation->meta);
        }
        CHECK_OP(count, ==, total);
    }
    *ret_count = total;
    return generation->records;
}
