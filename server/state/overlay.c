#include "server/state/overlay.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/mark.h"
#include "server/state/generation.h"

#include <stdlib.h>
#include <string.h>

/* Retired records that become clean with each write or command. More than one a write, so that
 * they cannot pile up. */
enum { RETIRED_PER_WRITE = 2, RETIRED_PER_COMMAND = 16 };

/* Of a value that has as many bytes a glance keeps the beginning: the source seals that much by
 * itself, and all of it would push others out of RAM. */
enum { LONG_BYTES = 4096 };

void overlay_init(struct overlay *overlay,
                  const struct state_source *source,
                  uint64_t memory_bytes_max,
                  uint64_t hash_seed)
{
    *overlay = (struct overlay){
        .source = *source,
        .hash_seed = hash_seed,
        .memory_bytes_max = memory_bytes_max,
        .generation = 1,
    };
    map_init(&overlay->index);
    list_init(&overlay->clean);
}

static uint64_t hash_of(const struct overlay *overlay, struct bytes key)
{
    return map_hash_bytes(key, overlay->hash_seed);
}

/* The version that counts among those in RAM, be it a tombstone. */
static struct record *newest(const struct overlay *overlay, struct bytes key, uint64_t hash)
{
    struct record *found = NULL;

    MAP_FOR_HASH (node, &overlay->index, hash) {
        struct record *record = CONTAINER_OF(node, struct record, index);

        if (bytes_equal(record_key_of(record), key) &&
            (found == NULL || record->generation > found->generation)) {
            found = record;
        }
    }
    return found;
}

/* --- Clean records --- */

static void clean_insert(struct overlay *overlay, struct record *record)
{
    CHECK(record->generation == 0);
    list_prepend(&overlay->clean, &record->links.recent);
    overlay->clean_bytes += record_memory_bytes(record);
    overlay->clean_count++;
}

static void clean_remove(struct overlay *overlay, struct record *record)
{
    list_remove(&record->links.recent);
    overlay->clean_bytes -= record_memory_bytes(record);
    overlay->clean_count--;
}

static void clean_drop(struct overlay *overlay, struct record *record)
{
    clean_remove(overlay, record);
    map_remove(&overlay->index, &record->index);
    record_unref(record);
}

uint64_t overlay_memory_bytes(const struct overlay *overlay)
{
    return overlay->clean_bytes + overlay->current.bytes + overlay->retired.bytes +
           (overlay->sealed != NULL ? overlay->sealed->bytes : 0);
}

static struct record *longest_unused(const struct overlay *overlay)
{
    return CONTAINER_OF(overlay->clean.previous, struct record, links.recent);
}

/* Whoever creates nodes evicts as many, with a command in between: long enough for a step of what
 * the evictions after need to come near, which is far away: the record, its bucket, what stands
 * there before it. */
static void expect_eviction(const struct overlay *overlay)
{
    enum { AHEAD = 3 };

    if (overlay->clean_count >= AHEAD) {
        const struct record *next = longest_unused(overlay);
        const struct record *second =
            CONTAINER_OF(next->links.recent.previous, struct record, links.recent);
        const struct record *third =
            CONTAINER_OF(second->links.recent.previous, struct record, links.recent);

        map_expect_node(&overlay->index, next->index.hash);
        map_expect(&overlay->index, second->index.hash);
        __builtin_prefetch(&third->index, 1);
        __builtin_prefetch(&third->references, 1);
    }
}

void overlay_trim(struct overlay *overlay)
{
    while (overlay->clean_count > 0 && overlay_memory_bytes(overlay) > overlay->memory_bytes_max) {
        struct record *record = longest_unused(overlay);

        MARK(clean_record_evicted);
        clean_drop(overlay, record);
        expect_eviction(overlay);
    }
}

static struct record *
load(struct overlay *overlay, struct bytes key, uint64_t hash, struct bytes value)
{
    struct record *record = record_new(key, value.size);

    if (value.size > 0) {
        memcpy(record_value_space(record), value.data, value.size);
    }
    record->sum = record_sum_of(record);
    map_insert(&overlay->index, &record->index, hash);
    clean_insert(overlay, record);
    return record;
}

/* NULL = the whole is to be asked for. */
static struct record *whole(struct overlay *overlay, struct record *record)
{
    if (record != NULL && (record->remarks & RECORD_BEGINNING) != 0) {
        MARK(beginning_gives_way_to_the_whole);
        clean_drop(overlay, record);
        return NULL;
    }
    return record;
}

struct record *overlay_cache(struct overlay *overlay, struct bytes key, struct bytes value)
{
    uint64_t hash = hash_of(overlay, key);
    struct record *record = whole(overlay, newest(overlay, key, hash));

    return record != NULL ? record : load(overlay, key, hash, value);
}

/* What counts of those in RAM, now the most recently used; NULL = ask the source. */
static struct record *use(struct overlay *overlay, struct bytes key, uint64_t hash)
{
    struct record *record = newest(overlay, key, hash);

    overlay->touched_bytes += OVERLAY_LOOKUP_BYTES;
    if (record != NULL && record->generation == 0) {
        list_remove(&record->links.recent);
        list_prepend(&overlay->clean, &record->links.recent);
    }
    return record;
}

enum status overlay_find(struct overlay *overlay, struct bytes key, struct record **ret_record)
{
    uint64_t hash = hash_of(overlay, key);
    struct record *record = whole(overlay, use(overlay, key, hash));
    enum status status;
    struct bytes value;

    if (record != NULL) {
        *ret_record = record->removed ? NULL : record;
        return STATUS_OK;
    }
    status = overlay->source.lookup(overlay->source.context, key, SIZE_MAX, &value);
    if (status == STATUS_NOT_FOUND) {
        *ret_record = NULL;
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        *ret_record = load(overlay, key, hash, value);
    }
    return status;
}

enum status overlay_glance(struct overlay *overlay, struct bytes key, struct bytes *ret_value)
{
    uint64_t hash = hash_of(overlay, key);
    struct record *record = use(overlay, key, hash);
    enum status status;
    struct bytes value;

    if (record != NULL) {
        *ret_value = record->removed ? BYTES_EMPTY : record_value_of(record);
        return STATUS_OK;
    }
    status = overlay->source.lookup(overlay->source.context, key, LONG_BYTES, &value);
    if (status == STATUS_NOT_FOUND) {
        *ret_value = BYTES_EMPTY;
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        bool is_long = value.size >= LONG_BYTES;

        MARK_IF(is_long, long_value_is_only_glanced_at);
        record =
            load(overlay, key, hash, is_long ? bytes_of(value.data, OVERLAY_GLANCE_BYTES) : value);
        record->remarks = is_long ? RECORD_BEGINNING : 0;
        *ret_value = record_value_of(record);
    }
    return status;
}

/* --- Dirty records --- */

static void run_count(struct overlay_run *run, const struct record *record)
{
    run->record_count++;
    run->bytes += record_memory_bytes(record);
}

static void run_discount(struct overlay_run *run, const struct record *record)
{
    run->record_count--;
    run->bytes -= record_memory_bytes(record);
}

/* `record` joins the current generation, in the place of `old` if that is of it too. The index
 * takes one reference. */
static void
current_insert(struct overlay *overlay, struct record *old, struct record *record, uint64_t hash)
{
    record->generation = overlay->generation;
    map_insert(&overlay->index, &record->index, hash);
    if (old != NULL && old->generation == overlay->generation) {
        record_tree_replace(&overlay->current.tree, old, record);
        run_discount(&overlay->current, old);
        map_remove(&overlay->index, &old->index);
        record_unref(old);
    } else {
        record_tree_insert(&overlay->current.tree, record);
        if (old != NULL && old->generation == 0) {
            clean_drop(overlay, old);
        } else if (old != NULL) {
            old->remarks |= RECORD_REPLACED;
        }
    }
    run_count(&overlay->current, record);
}

static void current_drop(struct overlay *overlay, struct record *record)
{
    record_tree_remove(&overlay->current.tree, record);
    run_discount(&overlay->current, record);
    map_remove(&overlay->index, &record->index);
    record_unref(record);
}

/* Takes a reference of each for the journal. */
static void journal_append(struct overlay *overlay, struct record *before, struct record *after)
{
    if (overlay->journal_count == overlay->journal_capacity) {
        overlay->journal_capacity =
            overlay->journal_capacity == 0 ? 64 : 2 * overlay->journal_capacity;
        overlay->journal =
            xrealloc(overlay->journal, overlay->journal_capacity * sizeof *overlay->journal);
    }
    overlay->journal[overlay->journal_count++] = (struct overlay_step){
        .before = before == NULL ? NULL : record_ref(before),
        .after = after == NULL ? NULL : record_ref(after),
    };
}

static void digest_add(struct overlay *overlay, const struct record *record)
{
    overlay->node_count += record->data[0] == 'n';
    overlay->ephemeral_count += record->data[0] == 'e';
    overlay->digest.record_count++;
    overlay->digest.sum += record->sum;
}

static void digest_subtract(struct overlay *overlay, const struct record *record)
{
    overlay->node_count -= record->data[0] == 'n';
    overlay->ephemeral_count -= record->data[0] == 'e';
    overlay->digest.record_count--;
    overlay->digest.sum -= record->sum;
}

static bool is_absent_below(const struct overlay *overlay, const struct record *record)
{
    return record->generation == overlay->generation &&
           (record->remarks & RECORD_ABSENT_BELOW) != 0;
}

void overlay_touch(struct overlay *overlay, const struct record *record)
{
    overlay->touched_bytes += record->value_bytes;
}

void overlay_put(struct overlay *overlay, const struct record *before, struct record *record)
{
    struct bytes key = record_key_of(record);
    uint64_t hash = hash_of(overlay, key);
    struct record *old = newest(overlay, key, hash);

    CHECK(before == (old != NULL && old->removed ? NULL : old));
    if (before != NULL) {
        digest_subtract(overlay, before);
        overlay_touch(overlay, before);
    }
    overlay_touch(overlay, record);
    record->sum = record_sum_of(record);
    digest_add(overlay, record);
    if (old == NULL || is_absent_below(overlay, old)) {
        record->remarks |= RECORD_ABSENT_BELOW;
    }
    journal_append(overlay, old, record);
    current_insert(overlay, old, record, hash);
}

void overlay_remove(struct overlay *overlay, const struct record *before)
{
    struct bytes key = record_key_of(before);
    uint64_t hash = hash_of(overlay, key);
    struct record *old = newest(overlay, key, hash);
    struct record *tombstone;

    CHECK(before == old);
    overlay_touch(overlay, old);
    digest_subtract(overlay, old);
    if (is_absent_below(overlay, old)) {
        MARK(record_made_and_removed_between_checkpoints);
        journal_append(overlay, old, NULL);
        current_drop(overlay, old);
        return;
    }
    tombstone = record_new(key, 0);
    tombstone->removed = true;
    tombstone->sum = record_sum_of(tombstone);
    journal_append(overlay, old, tombstone);
    current_insert(overlay, old, tombstone, hash);
}

/* --- Commands --- */

static void retire(struct overlay *overlay, uint64_t count_max);

static void journal_clear(struct overlay *overlay)
{
    enum { STEPS_KEPT = 4096 };

    for (size_t i = 0; i < overlay->journal_count; i++) {
        record_unref(overlay->journal[i].before);
        record_unref(overlay->journal[i].after);
    }
    overlay->journal_count = 0;
    if (overlay->journal_capacity > STEPS_KEPT) {
        free(overlay->journal);
        overlay->journal = NULL;
        overlay->journal_capacity = 0;
    }
}

void overlay_begin(struct overlay *overlay)
{
    retire(overlay, RETIRED_PER_COMMAND + RETIRED_PER_WRITE * overlay->journal_count);
    journal_clear(overlay);
    overlay->touched_bytes = 0;
    overlay_trim(overlay);
}

struct overlay_savepoint overlay_savepoint(const struct overlay *overlay)
{
    return (struct overlay_savepoint){
        .journal_count = overlay->journal_count,
        .digest = overlay->digest,
        .node_count = overlay->node_count,
        .ephemeral_count = overlay->ephemeral_count,
        .data_bytes = overlay->data_bytes,
    };
}

static void undo(struct overlay *overlay, struct overlay_step step)
{
    struct record *before = step.before;
    struct bytes key = record_key_of(before != NULL ? before : step.after);
    uint64_t hash = hash_of(overlay, key);

    if (before != NULL && before->generation == overlay->generation) {
        current_insert(overlay, step.after, record_ref(before), hash);
    } else {
        MARK_IF(before != NULL && before->generation != 0, rollback_uncovers_a_sealed_record);
        current_drop(overlay, step.after);
        if (before != NULL && before->generation == 0) {
            map_insert(&overlay->index, &before->index, hash);
            clean_insert(overlay, record_ref(before));
        } else if (before != NULL) {
            before->remarks &= (uint8_t)~RECORD_REPLACED;
        }
    }
    record_unref(step.before);
    record_unref(step.after);
}

void overlay_rollback(struct overlay *overlay, struct overlay_savepoint savepoint)
{
    CHECK_OP(savepoint.journal_count, <=, overlay->journal_count);
    while (overlay->journal_count > savepoint.journal_count) {
        overlay->journal_count--;
        undo(overlay, overlay->journal[overlay->journal_count]);
    }
    overlay->digest = savepoint.digest;
    overlay->node_count = savepoint.node_count;
    overlay->ephemeral_count = savepoint.ephemeral_count;
    overlay->data_bytes = savepoint.data_bytes;
}

/* --- Scans --- */

struct scan {
    struct overlay *overlay;
    struct bytes prefix;
    struct record *current; /* the next of each run, NULL past the end */
    struct record *sealed;
    overlay_visitor *visit;
    void *visitor;
    bool stopped;
};

static bool starts_with(struct bytes key, struct bytes prefix)
{
    return key.size >= prefix.size &&
           (prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0);
}

static struct record *within(const struct scan *scan, struct record *record)
{
    return record != NULL && starts_with(record_key_of(record), scan->prefix) ? record : NULL;
}

/* The dirty version with the smallest key, stepped over in both runs; NULL when none is left. */
static struct record *take_dirty(struct scan *scan)
{
    struct record *current = scan->current;
    struct record *sealed = scan->sealed;
    int order = current == NULL  ? 1
                : sealed == NULL ? -1
                                 : bytes_compare(record_key_of(current), record_key_of(sealed));

    if (order <= 0 && current != NULL) {
        scan->current = within(scan, record_tree_next(current));
    }
    if (order >= 0 && sealed != NULL) {
        scan->sealed = within(scan, record_tree_next(sealed));
    }
    return order <= 0 ? current : sealed;
}

/* The smallest dirty key, or none. */
static struct record *first_dirty(const struct scan *scan)
{
    if (scan->current == NULL || scan->sealed == NULL) {
        return scan->current != NULL ? scan->current : scan->sealed;
    }
    return bytes_compare(record_key_of(scan->current), record_key_of(scan->sealed)) <= 0
               ? scan->current
               : scan->sealed;
}

static bool show(struct scan *scan, struct record *record)
{
    if (!record->removed) {
        scan->stopped =
            !scan->visit(scan->visitor, record_key_of(record), record_value_of(record), record);
    }
    return !scan->stopped;
}

/* Merges one record of the source with what is dirty up to its key. */
static bool visit_source(void *context, struct bytes key, struct bytes value)
{
    struct scan *scan = context;
    struct record *first;

    while ((first = first_dirty(scan)) != NULL) {
        int order = bytes_compare(record_key_of(first), key);

        if (order > 0) {
            break;
        }
        if (!show(scan, take_dirty(scan))) {
            return false;
        }
        if (order == 0) {
            return true;
        }
    }
    scan->stopped = !scan->visit(scan->visitor, key, value, NULL);
    return !scan->stopped;
}

enum status overlay_scan(struct overlay *overlay,
                         struct bytes from,
                         struct bytes prefix,
                         size_t bytes_wanted,
                         overlay_visitor *visit,
                         void *visitor)
{
    struct scan scan = {
        .overlay = overlay,
        .prefix = prefix,
        .visit = visit,
        .visitor = visitor,
    };
    struct bytes first = bytes_compare(from, prefix) < 0 ? prefix : from;
    enum status status;

    scan.current = within(&scan, record_tree_from(&overlay->current.tree, first));
    if (overlay->sealed != NULL) {
        scan.sealed = within(&scan, record_tree_from(&overlay->sealed->tree, first));
    }
    status = overlay->source.range(overlay->source.context, first, prefix, bytes_wanted,
                                   visit_source, &scan);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return status;
    }
    while (!scan.stopped && first_dirty(&scan) != NULL) {
        (void)show(&scan, take_dirty(&scan));
    }
    return STATUS_OK;
}

/* --- Generations --- */

static struct record *take_retired(struct overlay_row *row)
{
    enum { AHEAD = 4 };
    struct record *record = row->records[--row->record_count];

    if (row->record_count >= AHEAD) {
        const struct record *later = row->records[row->record_count - AHEAD];

        __builtin_prefetch(&later->index, 1);
        __builtin_prefetch(&later->references, 1);
    }
    row->bytes -= record_memory_bytes(record);
    return record;
}

/* Make up to `count_max` retired records clean, or forget those that a later version replaced. That
 * is remarked on the record: asking the index, which has long left the processor's cache, took 5 %
 * of a server's time that creates nodes. */
static void retire(struct overlay *overlay, uint64_t count_max)
{
    while (count_max-- > 0 && overlay->retired.record_count > 0) {
        struct record *record = take_retired(&overlay->retired);

        if (record->removed || (record->remarks & RECORD_REPLACED) != 0) {
            MARK_IF(!record->removed, checkpointed_record_is_newer_in_memory);
            map_remove(&overlay->index, &record->index);
            record_unref(record);
        } else {
            record->generation = 0;
            record->remarks = 0;
            clean_insert(overlay, record);
        }
    }
}

struct state_generation *overlay_seal(struct overlay *overlay, zxid applied, struct bytes meta)
{
    CHECK(overlay->sealed == NULL);
    CHECK_OP(overlay->generation, <, UINT32_MAX);
    overlay->sealed = generation_new(overlay->current.tree, overlay->current.record_count,
                                     overlay->current.bytes, applied, meta);
    overlay->current = (struct overlay_run){.record_count = 0};
    overlay->generation++;
    return overlay->sealed;
}

void overlay_end(struct overlay *overlay, struct state_generation *generation)
{
    CHECK(generation != NULL);
    CHECK(overlay->sealed == generation);
    /* Oldest first: an older version must be gone before a newer one of its key becomes clean. */
    retire(overlay, UINT64_MAX);
    free(overlay->retired.records);
    overlay->retired = (struct overlay_row){
        .records = generation->row,
        .record_count = generation->record_count,
        .bytes = generation->bytes,
    };
    generation->row = NULL;
    overlay->sealed = NULL;
    generation_free(generation);
    retire(overlay, RETIRED_PER_COMMAND);
    overlay_trim(overlay);
}

/* --- Verification --- */

struct verification {
    struct overlay *overlay;
    size_t bytes;
    struct record *damaged; /* the first that was met; NULL = none */
};

static void verify(struct map_node *node, void *context)
{
    struct verification *verification = context;
    struct record *record = CONTAINER_OF(node, struct record, index);

    verification->bytes += record_memory_bytes(record);
    if (verification->damaged == NULL && record->sum != record_sum_of(record)) {
        verification->damaged = record;
    }
}

const struct record *
overlay_verify(struct overlay *overlay, size_t *position, size_t bytes_max, size_t *ret_bytes)
{
    enum { BUCKETS_PER_STEP = 64 };
    struct verification verification = {.overlay = overlay};

    do {
        *position =
            map_visit_some(&overlay->index, *position, BUCKETS_PER_STEP, verify, &verification);
    } while (*position != 0 && verification.bytes < bytes_max && verification.damaged == NULL);
    *ret_bytes = verification.bytes;
    return verification.damaged;
}

static void unref_all(struct record_tree *tree)
{
    struct record *record;

    while ((record = record_tree_take_leaf(tree)) != NULL) {
        record_unref(record);
    }
}

void overlay_release(struct overlay *overlay)
{
    journal_clear(overlay);
    free(overlay->journal);
    unref_all(&overlay->current.tree);
    while (overlay->retired.record_count > 0) {
        record_unref(take_retired(&overlay->retired));
    }
    free(overlay->retired.records);
    if (overlay->sealed != NULL) {
        unref_all(&overlay->sealed->tree);
        generation_free(overlay->sealed);
    }
    for (struct list *link; (link = list_take_first(&overlay->clean)) != NULL;) {
        record_unref(CONTAINER_OF(link, struct record, links.recent));
    }
    map_release(&overlay->index);
}

static void check_replaced(const struct overlay *overlay, const struct record *record)
{
    CHECK(((record->remarks & RECORD_REPLACED) != 0) ==
          (newest(overlay, record_key_of(record), record->index.hash) != record));
}

static void check_tree(const struct overlay *overlay, const struct record_tree *tree)
{
    struct record *record = record_tree_from(tree, BYTES_EMPTY);

    for (; record != NULL; record = record_tree_next(record)) {
        check_replaced(overlay, record);
    }
}

static void check_retired(const struct overlay *overlay)
{
    uint64_t bytes = 0;

    for (uint64_t i = 0; i < overlay->retired.record_count; i++) {
        check_replaced(overlay, overlay->retired.records[i]);
        bytes += record_memory_bytes(overlay->retired.records[i]);
    }
    CHECK_OP(bytes, ==, overlay->retired.bytes);
}

void overlay_check(const struct overlay *overlay)
{
    uint64_t sealed_count = overlay->sealed == NULL ? 0 : overlay->sealed->record_count;
    uint64_t clean_count = 0;
    uint64_t clean_bytes = 0;

    record_tree_check(&overlay->current.tree, overlay->current.record_count);
    check_tree(overlay, &overlay->current.tree);
    check_retired(overlay);
    if (overlay->sealed != NULL) {
        record_tree_check(&overlay->sealed->tree, sealed_count);
        check_tree(overlay, &overlay->sealed->tree);
    }
    LIST_FOR_EACH (link, &overlay->clean) {
        const struct record *record = CONTAINER_OF(link, struct record, links.recent);

        CHECK(record->generation == 0);
        CHECK(!record->removed);
        CHECK((record->remarks & ~RECORD_BEGINNING) == 0);
        clean_count++;
        clean_bytes += record_memory_bytes(record);
    }
    CHECK_OP(clean_count, ==, overlay->clean_count);
    CHECK_OP(clean_bytes, ==, overlay->clean_bytes);
    CHECK_OP(overlay->index.count, ==,
             clean_count + sealed_count + overlay->current.record_count +
                 overlay->retired.record_count);
}
