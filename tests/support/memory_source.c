#include "tests/support/memory_source.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

/* Never changed, so that copies of a source share it. */
struct entry {
    size_t references;
    size_t key_bytes;
    size_t value_bytes;
    uint8_t data[]; /* key, value */
};

struct memory_source {
    struct entry **entries; /* ordered by key */
    size_t count;
    uint64_t reads;
    enum status failure;
};

static struct entry *entry_new(struct bytes key, struct bytes value)
{
    struct entry *entry = xmalloc(sizeof *entry + key.size + value.size);

    entry->references = 1;
    entry->key_bytes = key.size;
    entry->value_bytes = value.size;
    if (key.size > 0) {
        memcpy(entry->data, key.data, key.size);
    }
    if (value.size > 0) {
        memcpy(entry->data + key.size, value.data, value.size);
    }
    return entry;
}

static void entry_unref(struct entry *entry)
{
    if (--entry->references == 0) {
        free(entry);
    }
}

static struct bytes key_of(const struct entry *entry)
{
    return bytes_of(entry->data, entry->key_bytes);
}

static struct bytes value_of(const struct entry *entry)
{
    return bytes_of(entry->data + entry->key_bytes, entry->value_bytes);
}

struct memory_source *memory_source_new(void)
{
    return xcalloc(1, sizeof(struct memory_source));
}

void memory_source_free(struct memory_source *source)
{
    if (source == NULL) {
        return;
    }
    for (size_t i = 0; i < source->count; i++) {
        entry_unref(source->entries[i]);
    }
    free(source->entries);
    free(source);
}

struct memory_source *memory_source_clone(const struct memory_source *source)
{
    struct memory_source *clone = memory_source_new();

    clone->entries = xcalloc(source->count, sizeof(struct entry *));
    clone->count = source->count;
    for (size_t i = 0; i < source->count; i++) {
        clone->entries[i] = source->entries[i];
        clone->entries[i]->references++;
    }
    return clone;
}

void memory_source_apply(struct memory_source *source,
                         const struct state_record *records,
                         size_t record_count)
{
    struct entry **merged = xcalloc(source->count + record_count, sizeof(struct entry *));
    size_t count = 0;
    size_t old = 0;

    for (size_t i = 0; i < record_count; i++) {
        CHECK(i == 0 || bytes_compare(records[i - 1].key, records[i].key) < 0);
        while (old < source->count &&
               bytes_compare(key_of(source->entries[old]), records[i].key) < 0) {
            merged[count++] = source->entries[old++];
        }
        /* The new entry first: the record may be lent from the one that it replaces. */
        bool replaces =
            old < source->count && bytes_equal(key_of(source->entries[old]), records[i].key);

        if (!records[i].removed) {
            merged[count++] = entry_new(records[i].key, records[i].value);
        }
        if (replaces) {
            entry_unref(source->entries[old++]);
        }
    }
    while (old < source->count) {
        merged[count++] = source->entries[old++];
    }
    free(source->entries);
    source->entries = merged;
    source->count = count;
}

void memory_source_put(struct memory_source *source, struct bytes key, struct bytes value)
{
    memory_source_apply(source, &(struct state_record){.key = key, .value = value}, 1);
}

void memory_source_remove(struct memory_source *source, struct bytes key)
{
    memory_source_apply(source, &(struct state_record){.key = key, .removed = true}, 1);
}

size_t memory_source_find(const struct memory_source *source, struct bytes key)
{
    size_t low = 0;
    size_t high = source->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (bytes_compare(key_of(source->entries[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* No more than has to be given: nobody may lean on the rest. */
static struct bytes beginning_of(struct bytes value, size_t bytes_wanted)
{
    return bytes_of(value.data, value.size > bytes_wanted ? bytes_wanted : value.size);
}

static enum status
lookup(void *context, struct bytes key, size_t bytes_wanted, struct bytes *ret_value)
{
    struct memory_source *source = context;
    size_t position = memory_source_find(source, key);

    if (source->failure != STATUS_OK) {
        return source->failure;
    }
    if (position == source->count || !bytes_equal(key_of(source->entries[position]), key)) {
        return STATUS_NOT_FOUND;
    }
    source->reads++;
    *ret_value = beginning_of(value_of(source->entries[position]), bytes_wanted);
    return STATUS_OK;
}

static enum status range(void *context,
                         struct bytes from,
                         struct bytes prefix,
                         size_t bytes_wanted,
                         bool (*visit)(void *visitor, struct bytes key, struct bytes value),
                         void *visitor)
{
    struct memory_source *source = context;

    if (source->failure != STATUS_OK) {
        return source->failure;
    }
    for (size_t i = memory_source_find(source, from); i < source->count; i++) {
        struct bytes key = key_of(source->entries[i]);

        if (key.size < prefix.size ||
            (prefix.size > 0 && memcmp(key.data, prefix.data, prefix.size) != 0)) {
            break;
        }
        source->reads++;
        if (!visit(visitor, key, beginning_of(value_of(source->entries[i]), bytes_wanted))) {
            break;
        }
    }
    return STATUS_OK;
}

struct state_source memory_source_port(struct memory_source *source)
{
    return (struct state_source){.context = source, .lookup = lookup, .range = range};
}

size_t memory_source_count(const struct memory_source *source)
{
    return source->count;
}

struct state_record memory_source_at(const struct memory_source *source, size_t position)
{
    CHECK_OP(position, <, source->count);
    return (struct state_record){
        .key = key_of(source->entries[position]),
        .value = value_of(source->entries[position]),
    };
}

uint64_t memory_source_reads(const struct memory_source *source)
{
    return source->reads;
}

void memory_source_fail(struct memory_source *source, enum status status)
{
    source->failure = status;
}
