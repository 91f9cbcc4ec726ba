#include "tests/simulation/image.h"

#include "base/alloc.h"
#include "base/checksum.h"

#include <stdlib.h>
#include <string.h>

static bool is_damaged(const struct tree_store *tree, struct bytes key)
{
    return tree->damaged_key.size > 0 && bytes_equal(buffer_lend(&tree->damaged_key), key);
}

/* The port goes by way of the tree, because a renewal changes what is shown. */
static enum status lookup(void *context, struct bytes key, struct bytes *ret_value)
{
    const struct tree_store *tree = context;
    struct state_source shown = memory_source_port(tree->shown);

    if (tree->fails_reads) {
        return STATUS_IO;
    }
    if (is_damaged(tree, key)) {
        return STATUS_CORRUPT;
    }
    return shown.lookup(shown.context, key, ret_value);
}

/* Passes on what is sound. */
struct sieve {
    const struct tree_store *tree;
    bool (*visit)(void *visitor, struct bytes key, struct bytes value);
    void *visitor;
    bool met_damage;
};

static bool sift(void *visitor, struct bytes key, struct bytes value)
{
    struct sieve *sieve = visitor;

    if (is_damaged(sieve->tree, key)) {
        sieve->met_damage = true;
        return false;
    }
    return sieve->visit(sieve->visitor, key, value);
}

static enum status range(void *context,
                         struct bytes from,
                         struct bytes prefix,
                         bool (*visit)(void *visitor, struct bytes key, struct bytes value),
                         void *visitor)
{
    const struct tree_store *tree = context;
    struct state_source shown = memory_source_port(tree->shown);
    struct sieve sieve = {.tree = tree, .visit = visit, .visitor = visitor};
    enum status status;

    if (tree->fails_reads) {
        return STATUS_IO;
    }
    if (tree->damaged_key.size == 0) {
        return shown.range(shown.context, from, prefix, visit, visitor);
    }
    status = shown.range(shown.context, from, prefix, sift, &sieve);
    return sieve.met_damage ? STATUS_CORRUPT : status;
}

struct tree_store *image_new(uint64_t generation)
{
    struct tree_store *tree = xcalloc(1, sizeof *tree);

    list_init(&tree->link);
    tree->generation = generation;
    tree->durable = memory_source_new();
    tree->shown = memory_source_new();
    tree->source = (struct state_source){.context = tree, .lookup = lookup, .range = range};
    return tree;
}

static void take_meta(struct tree_meta *meta, const struct tree_meta *from)
{
    uint8_t *copy = bytes_copy(from->config);
    uint8_t *old = (uint8_t *)(uintptr_t)meta->config.data;

    *meta = *from;
    meta->config = bytes_of(copy, from->config.size);
    free(old);
}

void image_free(struct tree_store *tree)
{
    list_remove(&tree->link);
    memory_source_free(tree->durable);
    memory_source_free(tree->shown);
    buffer_release(&tree->damaged_key);
    free((void *)(uintptr_t)tree->durable_meta.config.data);
    free((void *)(uintptr_t)tree->shown_meta.config.data);
    free(tree);
}

void image_fail_reads(struct tree_store *tree, bool fail)
{
    tree->fails_reads = fail;
}

bool image_damage(struct tree_store *tree, uint64_t seed)
{
    size_t count = memory_source_count(tree->durable);

    if (count == 0) {
        return false;
    }
    buffer_clear(&tree->damaged_key);
    buffer_put(&tree->damaged_key, memory_source_at(tree->durable, (size_t)(seed % count)).key);
    return true;
}

bool image_is_damaged(const struct tree_store *tree)
{
    return tree->damaged_key.size > 0;
}

void image_renew(struct tree_store *tree)
{
    memory_source_free(tree->shown);
    tree->shown = memory_source_clone(tree->durable);
    take_meta(&tree->shown_meta, &tree->durable_meta);
}

void image_commit(struct tree_store *tree,
                  const struct tree_record *records,
                  size_t count,
                  const struct tree_meta *meta)
{
    struct state_record *copies = xcalloc(count, sizeof *copies);

    for (size_t i = 0; i < count; i++) {
        copies[i] = (struct state_record){
            .key = records[i].key, .value = records[i].value, .removed = records[i].removed};
        if (is_damaged(tree, records[i].key)) {
            buffer_clear(&tree->damaged_key);
        }
    }
    memory_source_apply(tree->durable, copies, count);
    free(copies);
    take_meta(&tree->durable_meta, meta);
}

/* --- Dumps: cluster, meta, records, checksum of all --- */

static void put_sized(struct buffer *buffer, struct bytes bytes)
{
    buffer_put_u32(buffer, (uint32_t)bytes.size);
    buffer_put(buffer, bytes);
}

void image_dump(const struct tree_store *tree, const uint8_t cluster_id[16], struct buffer *dump)
{
    const struct tree_meta *meta = &tree->durable_meta;
    size_t count = memory_source_count(tree->durable);

    buffer_put(dump, bytes_of(cluster_id, 16));
    buffer_put_u64(dump, meta->applied_index);
    buffer_put_u64(dump, meta->applied_term);
    buffer_put_u64(dump, meta->config_index);
    put_sized(dump, meta->config);
    buffer_put_u64(dump, meta->record_count);
    buffer_put_u64(dump, meta->record_sum);
    buffer_put_u64(dump, count);
    for (size_t i = 0; i < count; i++) {
        struct state_record record = memory_source_at(tree->durable, i);

        put_sized(dump, record.key);
        put_sized(dump, record.value);
    }
    buffer_put_u64(dump, checksum(buffer_lend(dump)));
}

static bool get_sized(struct reader *reader, struct bytes *ret)
{
    uint32_t size = 0;

    return reader_u32(reader, &size) == STATUS_OK && reader_lend(reader, size, ret) == STATUS_OK;
}

static enum status read_dump(struct reader *reader,
                             bool (*check_record)(struct bytes key, struct bytes value),
                             struct tree_store *tree)
{
    struct tree_meta meta = {.applied_index = 0};
    uint64_t count = 0;

    (void)!reader_u64(reader, &meta.applied_index);
    (void)!reader_u64(reader, &meta.applied_term);
    (void)!reader_u64(reader, &meta.config_index);
    (void)!get_sized(reader, &meta.config);
    (void)!reader_u64(reader, &meta.record_count);
    (void)!reader_u64(reader, &meta.record_sum);
    (void)!reader_u64(reader, &count);
    for (uint64_t i = 0; i < count; i++) {
        struct bytes key;
        struct bytes value;

        if (!get_sized(reader, &key) || !get_sized(reader, &value) ||
            (check_record != NULL && !check_record(key, value))) {
            return STATUS_CORRUPT;
        }
        memory_source_put(tree->durable, key, value);
    }
    if (reader_finish(reader) != STATUS_OK) {
        return STATUS_CORRUPT;
    }
    take_meta(&tree->durable_meta, &meta);
    return STATUS_OK;
}

enum status image_from_dump(struct bytes dump,
                            const uint8_t cluster_id[16],
                            bool (*check_record)(struct bytes key, struct bytes value),
                            uint64_t generation,
                            struct tree_store **ret_tree,
                            struct error *error)
{
    struct reader reader;
    struct tree_store *tree;

    if (dump.size < 24 ||
        checksum(bytes_of(dump.data, dump.size - 8)) != bytes_load_u64(dump.data + dump.size - 8)) {
        return error_set(error, STATUS_CORRUPT, "the dump is damaged");
    }
    if (memcmp(dump.data, cluster_id, 16) != 0) {
        return error_set(error, STATUS_MISMATCH, "the dump is another cluster's");
    }
    reader = reader_of(bytes_of(dump.data + 16, dump.size - 24));
    tree = image_new(generation);
    if (read_dump(&reader, check_record, tree) != STATUS_OK) {
        image_free(tree);
        return error_set(error, STATUS_CORRUPT, "a record of the dump is damaged");
    }
    *ret_tree = tree;
    return STATUS_OK;
}
