#include "tests/simulation/image.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/checksum.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool is_damaged(const struct image *image, struct bytes key)
{
    return image->damaged_key.size > 0 && bytes_equal(buffer_lend(&image->damaged_key), key);
}

/* --- What is shown, by the shipped store if there is one --- */

/* Whether `given` is what was written, or a beginning of it that is long enough. */
static bool is_as_wanted(struct bytes given, struct bytes written, size_t bytes_wanted)
{
    return given.size <= written.size &&
           (given.size == written.size || given.size >= bytes_wanted) &&
           bytes_equal(given, bytes_of(written.data, given.size));
}

static enum status look_up_stored(const struct image *image,
                                  struct bytes key,
                                  size_t bytes_wanted,
                                  struct bytes *ret_value)
{
    struct state_source stored = disks_tree_source(image->stored);
    struct state_source shown = memory_source_port(image->shown);
    enum status status = stored.lookup(stored.context, key, bytes_wanted, ret_value);
    struct bytes written = BYTES_EMPTY;
    enum status wanted_status = shown.lookup(shown.context, key, SIZE_MAX, &written);

    if (status != wanted_status ||
        (status == STATUS_OK && !is_as_wanted(*ret_value, written, bytes_wanted))) {
        stores_differ(image->stores, "the tree answers a lookup with %s, written was %s",
                      status_text(status), status_text(wanted_status));
    }
    return status;
}

/* Passes on what a store gives, and follows it in the image. */
struct pursuit {
    const struct image *image;
    size_t position; /* in what is shown, of the next record */
    size_t bytes_wanted;
    bool (*visit)(void *visitor, struct bytes key, struct bytes value);
    void *visitor;
    bool is_ended; /* by the visitor */
};

static bool is_shown_at(const struct image *image, size_t position, struct bytes prefix)
{
    struct bytes key;

    if (position == memory_source_count(image->shown)) {
        return false;
    }
    key = memory_source_at(image->shown, position).key;
    return key.size >= prefix.size && bytes_equal(bytes_of(key.data, prefix.size), prefix);
}

static bool pursue(void *visitor, struct bytes key, struct bytes value)
{
    struct pursuit *pursuit = visitor;
    struct state_record written = {.key = BYTES_EMPTY};

    if (pursuit->position < memory_source_count(pursuit->image->shown)) {
        written = memory_source_at(pursuit->image->shown, pursuit->position++);
    }
    if (!bytes_equal(key, written.key) ||
        !is_as_wanted(value, written.value, pursuit->bytes_wanted)) {
        stores_differ(pursuit->image->stores, "the tree has another record than was written");
    }
    pursuit->is_ended = !pursuit->visit(pursuit->visitor, key, value);
    return !pursuit->is_ended;
}

static enum status range_stored(const struct image *image,
                                struct bytes from,
                                struct bytes prefix,
                                size_t bytes_wanted,
                                bool (*visit)(void *visitor, struct bytes key, struct bytes value),
                                void *visitor)
{
    struct state_source stored = disks_tree_source(image->stored);
    struct pursuit pursuit = {.image = image,
                              .position = memory_source_find(image->shown, from),
                              .bytes_wanted = bytes_wanted,
                              .visit = visit,
                              .visitor = visitor};
    enum status status = stored.range(stored.context, from, prefix, bytes_wanted, pursue, &pursuit);

    stores_must(image->stores, status, tree_store_error(image->stored));
    if (!pursuit.is_ended && is_shown_at(image, pursuit.position, prefix)) {
        stores_differ(image->stores, "the tree ends before what was written");
    }
    return status;
}

/* The port goes by way of the image, because a renewal changes what is shown. */
static enum status
lookup(void *context, struct bytes key, size_t bytes_wanted, struct bytes *ret_value)
{
    const struct image *image = context;
    struct state_source shown = memory_source_port(image->shown);

    if (image->fails_reads) {
        return STATUS_IO;
    }
    if (is_damaged(image, key)) {
        return STATUS_CORRUPT;
    }
    return image->stored != NULL ? look_up_stored(image, key, bytes_wanted, ret_value)
                                 : shown.lookup(shown.context, key, bytes_wanted, ret_value);
}

static enum status range_shown(const struct image *image,
                               struct bytes from,
                               struct bytes prefix,
                               size_t bytes_wanted,
                               bool (*visit)(void *visitor, struct bytes key, struct bytes value),
                               void *visitor)
{
    struct state_source shown = memory_source_port(image->shown);

    return image->stored != NULL
               ? range_stored(image, from, prefix, bytes_wanted, visit, visitor)
               : shown.range(shown.context, from, prefix, bytes_wanted, visit, visitor);
}

/* Passes on what is sound. */
struct sieve {
    const struct image *image;
    bool (*visit)(void *visitor, struct bytes key, struct bytes value);
    void *visitor;
    bool met_damage;
};

static bool sift(void *visitor, struct bytes key, struct bytes value)
{
    struct sieve *sieve = visitor;

    if (is_damaged(sieve->image, key)) {
        sieve->met_damage = true;
        return false;
    }
    return sieve->visit(sieve->visitor, key, value);
}

static enum status range(void *context,
                         struct bytes from,
                         struct bytes prefix,
                         size_t bytes_wanted,
                         bool (*visit)(void *visitor, struct bytes key, struct bytes value),
                         void *visitor)
{
    const struct image *image = context;
    struct sieve sieve = {.image = image, .visit = visit, .visitor = visitor};
    enum status status;

    if (image->fails_reads) {
        return STATUS_IO;
    }
    if (image->damaged_key.size == 0) {
        return range_shown(image, from, prefix, bytes_wanted, visit, visitor);
    }
    status = range_shown(image, from, prefix, bytes_wanted, sift, &sieve);
    return sieve.met_damage ? STATUS_CORRUPT : status;
}

/* --- Life --- */

struct tree_store *image_handle(struct image *image)
{
    return (struct tree_store *)(void *)image;
}

struct image *image_of(struct tree_store *handle)
{
    return (struct image *)(void *)handle;
}

struct image *image_new(uint64_t generation)
{
    struct image *image = xcalloc(1, sizeof *image);

    list_init(&image->link);
    image->generation = generation;
    image->durable = memory_source_new();
    image->shown = memory_source_new();
    image->source = (struct state_source){.context = image, .lookup = lookup, .range = range};
    return image;
}

static void take_meta(struct tree_meta *meta, const struct tree_meta *from)
{
    uint8_t *copy = bytes_copy(from->config);
    uint8_t *old = (uint8_t *)(uintptr_t)meta->config.data;

    *meta = *from;
    meta->config = bytes_of(copy, from->config.size);
    free(old);
}

struct image *image_copy(const struct image *image)
{
    struct image *copy = image_new(image->generation);

    memory_source_free(copy->durable);
    copy->durable = memory_source_clone(image->durable);
    take_meta(&copy->durable_meta, &image->durable_meta);
    buffer_put(&copy->damaged_key, buffer_lend(&image->damaged_key));
    return copy;
}

void image_free(struct image *image)
{
    list_remove(&image->link);
    memory_source_free(image->durable);
    memory_source_free(image->shown);
    buffer_release(&image->damaged_key);
    free((void *)(uintptr_t)image->durable_meta.config.data);
    free((void *)(uintptr_t)image->shown_meta.config.data);
    free(image);
}

void image_fail_reads(struct image *image, bool fail)
{
    image->fails_reads = fail;
}

bool image_damage(struct image *image, uint64_t seed)
{
    size_t count = memory_source_count(image->durable);

    if (count == 0) {
        return false;
    }
    buffer_clear(&image->damaged_key);
    buffer_put(&image->damaged_key, memory_source_at(image->durable, (size_t)(seed % count)).key);
    return true;
}

bool image_is_damaged(const struct image *image)
{
    return image->damaged_key.size > 0;
}

/* --- For a process --- */

void image_check_meta(const struct image *image, const struct tree_meta *found)
{
    const struct tree_meta *wanted = &image->durable_meta;

    if (found->applied_index != wanted->applied_index ||
        found->applied_term != wanted->applied_term ||
        found->config_index != wanted->config_index ||
        !bytes_equal(found->config, wanted->config) ||
        found->record_count != wanted->record_count || found->record_sum != wanted->record_sum) {
        stores_differ(image->stores,
                      "the tree stands for index %" PRIu64 ", term %" PRIu64
                      ", written was %" PRIu64 ", %" PRIu64,
                      found->applied_index, found->applied_term, wanted->applied_index,
                      wanted->applied_term);
    }
}

static bool see(void *visitor, struct bytes key, struct bytes value)
{
    (void)visitor;
    (void)key;
    (void)value;
    return true;
}

/* What the shipped store shows now must be the whole of what was written. */
static void check_stored(const struct image *image)
{
    struct tree_meta found = tree_store_meta(image->stored);

    image_check_meta(image, &found);
    (void)!range_stored(image, BYTES_EMPTY, BYTES_EMPTY, SIZE_MAX, see, NULL);
}

static void show(struct image *image)
{
    memory_source_free(image->shown);
    image->shown = memory_source_clone(image->durable);
    take_meta(&image->shown_meta, &image->durable_meta);
    if (image->stored != NULL) {
        check_stored(image);
    }
}

void image_open(struct image *image, struct stores *stores)
{
    struct error error;

    CHECK(!image->is_open);
    image->is_open = true;
    image->stores = stores;
    if (stores != NULL) {
        stores_must(
            stores,
            disks_tree_open(stores_disks(stores), image->generation, &image->stored, &error),
            &error);
    }
    show(image);
}

void image_renew(struct image *image)
{
    struct error error;

    if (image->stored != NULL) {
        stores_must(image->stores, tree_store_renew(image->stored, &error), &error);
    }
    show(image);
}

void image_close(struct image *image, bool remove_files)
{
    CHECK(image->is_open);
    image->is_open = false;
    if (image->stored != NULL) {
        disks_tree_close(stores_disks(image->stores), image->stored, remove_files);
        image->stored = NULL;
    }
}

static bool take_record(void *visitor, struct bytes key, struct bytes value)
{
    memory_source_put(visitor, key, value);
    return true;
}

struct image *image_of_stored(struct stores *stores, uint64_t generation)
{
    struct image *image = image_new(generation);
    struct tree_store *stored;
    struct state_source source;
    struct tree_meta meta;
    struct error error;

    stores_must(stores, disks_tree_open(stores_disks(stores), generation, &stored, &error), &error);
    source = disks_tree_source(stored);
    stores_must(stores,
                source.range(source.context, BYTES_EMPTY, BYTES_EMPTY, SIZE_MAX, take_record,
                             image->durable),
                tree_store_error(stored));
    meta = tree_store_meta(stored);
    take_meta(&image->durable_meta, &meta);
    disks_tree_close(stores_disks(stores), stored, false);
    return image;
}

/* --- Changes --- */

void image_commit(struct image *image,
                  const struct tree_record *records,
                  size_t count,
                  const struct tree_meta *meta)
{
    struct state_record *copies = xcalloc(count, sizeof *copies);

    for (size_t i = 0; i < count; i++) {
        copies[i] = (struct state_record){
            .key = records[i].key, .value = records[i].value, .removed = records[i].removed};
        if (is_damaged(image, records[i].key)) {
            buffer_clear(&image->damaged_key);
        }
    }
    memory_source_apply(image->durable, copies, count);
    free(copies);
    take_meta(&image->durable_meta, meta);
}

void image_weigh(const struct image *image,
                 tree_store_weigh *weigh,
                 uint64_t *ret_count,
                 uint64_t *ret_sum)
{
    *ret_count = 0;
    *ret_sum = 0;
    for (size_t i = 0; i < memory_source_count(image->durable); i++) {
        struct state_record record = memory_source_at(image->durable, i);

        weigh(record.key, record.value, ret_count, ret_sum);
    }
}

void image_scrub(const struct image *image,
                 tree_store_weigh *weigh,
                 struct tree_scrub_slice *ret_slice,
                 struct error *error)
{
    uint64_t count;
    uint64_t sum;

    *ret_slice = (struct tree_scrub_slice){.finished = true};
    image_weigh(image, weigh, &count, &sum);
    if (image_is_damaged(image)) {
        (void)error_set(error, STATUS_CORRUPT, "a bit flipped in a record");
    } else if (count != image->durable_meta.record_count || sum != image->durable_meta.record_sum) {
        (void)error_set(error, STATUS_CORRUPT, "the records are not those that were written");
    }
}

/* --- Dumps: cluster, meta, records, checksum of all --- */

static void put_sized(struct buffer *buffer, struct bytes bytes)
{
    buffer_put_u32(buffer, (uint32_t)bytes.size);
    buffer_put(buffer, bytes);
}

void image_dump(const struct image *image, const uint8_t cluster_id[16], struct buffer *dump)
{
    const struct tree_meta *meta = &image->durable_meta;
    size_t count = memory_source_count(image->durable);

    buffer_put(dump, bytes_of(cluster_id, 16));
    buffer_put_u64(dump, meta->applied_index);
    buffer_put_u64(dump, meta->applied_term);
    buffer_put_u64(dump, meta->config_index);
    put_sized(dump, meta->config);
    buffer_put_u64(dump, meta->record_count);
    buffer_put_u64(dump, meta->record_sum);
    buffer_put_u64(dump, count);
    for (size_t i = 0; i < count; i++) {
        struct state_record record = memory_source_at(image->durable, i);

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
                             struct image *image)
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
        memory_source_put(image->durable, key, value);
    }
    if (reader_finish(reader) != STATUS_OK) {
        return STATUS_CORRUPT;
    }
    take_meta(&image->durable_meta, &meta);
    return STATUS_OK;
}

enum status image_from_dump(struct bytes dump,
                            const uint8_t cluster_id[16],
                            bool (*check_record)(struct bytes key, struct bytes value),
                            uint64_t generation,
                            struct image **ret_image,
                            struct error *error)
{
    struct reader reader;
    struct image *image;

    if (dump.size < 24 ||
        checksum(bytes_of(dump.data, dump.size - 8)) != bytes_load_u64(dump.data + dump.size - 8)) {
        return error_set(error, STATUS_CORRUPT, "the dump is damaged");
    }
    if (memcmp(dump.data, cluster_id, 16) != 0) {
        return error_set(error, STATUS_MISMATCH, "the dump is another cluster's");
    }
    reader = reader_of(bytes_of(dump.data + 16, dump.size - 24));
    image = image_new(generation);
    if (read_dump(&reader, check_record, image) != STATUS_OK) {
        image_free(image);
        return error_set(error, STATUS_CORRUPT, "a record of the dump is damaged");
    }
    *ret_image = image;
    return STATUS_OK;
}
