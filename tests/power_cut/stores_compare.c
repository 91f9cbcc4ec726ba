/* The stores of a folder, opened, beside what they should hold. */
#include "tests/power_cut/stores_internal.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/prng.h"
#include "persistence/data_folder.h"
#include "persistence/log_journal.h"
#include "persistence/tree_store.h"
#include "tests/power_cut/contents.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODE_ID = 1 };

bool stores_say(char text[STORES_TEXT_BYTES_MAX], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, STORES_TEXT_BYTES_MAX, format, arguments);
    va_end(arguments);
    return false;
}

struct bytes stores_fill(uint8_t *to, uint32_t salt, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        to[i] = (uint8_t)(salt + i * (salt | 1) + (i >> 8));
    }
    return bytes_of(to, size);
}

struct bytes stores_key_of(size_t position, char text[32])
{
    (void)snprintf(text, 32, "key/%03zu%.*s", position, (int)(position % 20),
                   "aaaaaaaaaaaaaaaaaaaa");
    return bytes_of_text(text);
}

void stores_close(struct stores *stores)
{
    tree_store_close(stores->tree);
    log_store_close(stores->log);
    stores->tree = NULL;
    stores->log = NULL;
    if (stores->has_folder) {
        data_folder_close(&stores->folder);
        stores->has_folder = false;
    }
}

enum status stores_open_tree(struct stores *stores,
                             uint64_t generation,
                             struct tree_store **ret_tree,
                             struct error *error)
{
    const struct tree_store_options options = {.map_bytes = STORES_MAP_BYTES};
    char path[DATA_FOLDER_PATH_BYTES_MAX];

    data_folder_tree_path(&stores->folder, generation, path);
    return tree_store_open(path, &options, ret_tree, error);
}

enum status stores_open(struct stores *stores, struct error *error)
{
    static const size_t journals[] = {0, LOG_JOURNAL_BLOCK_BYTES * 3, LOG_JOURNAL_BLOCK_BYTES * 16};
    const struct log_store_options options = {
        .map_bytes = STORES_MAP_BYTES,
        .journal_bytes = journals[prng_below(&stores->prng, sizeof journals / sizeof journals[0])],
        .prezero = prng_below(&stores->prng, 4) == 0};
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    enum status status = data_folder_open(stores->folder_path, &stores->folder, error);

    if (status != STATUS_OK) {
        return status;
    }
    stores->has_folder = true;
    data_folder_log_path(&stores->folder, path);
    status = log_store_open(path, NODE_ID, &options, &stores->log, error);
    if (status == STATUS_OK) {
        status = data_folder_sweep(&stores->folder,
                                   log_store_identity(stores->log)->tree_generation, error);
    }
    if (status == STATUS_OK) {
        status = stores_open_tree(stores, log_store_identity(stores->log)->tree_generation,
                                  &stores->tree, error);
    }
    return status;
}

void stores_cluster_id(uint8_t recovered, uint8_t id[LOG_STORE_CLUSTER_ID_BYTES])
{
    static const char first[LOG_STORE_CLUSTER_ID_BYTES] = "power cut story";

    memcpy(id, first, sizeof first);
    id[LOG_STORE_CLUSTER_ID_BYTES - 1] = recovered;
}

void stores_incarnation(uint8_t recovered, uint8_t incarnation[RAFT_INCARNATION_BYTES])
{
    memset(incarnation, recovered, RAFT_INCARNATION_BYTES);
}

void stores_look(struct stores *stores, struct contents_found *ret_found)
{
    uint64_t generation = log_store_identity(stores->log)->tree_generation;
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    struct error error;

    data_folder_tree_path(&stores->folder, generation, path);
    ret_found->log = log_store_state(stores->log);
    ret_found->witness_count = log_store_witnesses(stores->log, ret_found->witnesses);
    ret_found->is_condemned = data_folder_tree_is_condemned(&stores->folder, generation);
    CHECK(tree_doubt_read(path, &ret_found->doubt, &error) == STATUS_OK);
}

struct reading {
    const struct contents *expected;
    uint8_t *space;
    size_t seen;
    char *text;
    bool is_right;
};

static enum finding differs(char text[STORES_TEXT_BYTES_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum finding differs(char text[STORES_TEXT_BYTES_MAX], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, STORES_TEXT_BYTES_MAX, format, arguments);
    va_end(arguments);
    return FINDING_DIFFERENT;
}

/* What a failed read or start says. */
enum finding stores_failed(char text[STORES_TEXT_BYTES_MAX], const struct error *error)
{
    bool is_named = error->status == STATUS_CORRUPT || error->status == STATUS_FORMAT;

    (void)stores_say(text, "%s", error->text);
    return is_named ? FINDING_DAMAGED : FINDING_DIFFERENT;
}

static enum status compare_entry(void *context, const struct log_entry *entry)
{
    struct reading *reading = context;
    const struct planned *planned =
        &reading->expected->entries[entry->index - reading->expected->base - 1];

    if (entry->term != planned->term || entry->type != planned->type ||
        !bytes_equal(entry->payload, stores_fill(reading->space, planned->salt, planned->size))) {
        reading->is_right =
            stores_say(reading->text, "entry %" PRIu64 " is not what was written", entry->index);
        return STATUS_LIMIT;
    }
    return STATUS_OK;
}

static bool is_of_recovery(const struct log_identity *identity, const struct contents *expected)
{
    uint8_t incarnation[RAFT_INCARNATION_BYTES];
    uint8_t cluster_id[LOG_STORE_CLUSTER_ID_BYTES];

    stores_incarnation(expected->recovered, incarnation);
    stores_cluster_id(expected->recovered, cluster_id);
    /* The first one is drawn by the store. */
    return (expected->recovered == 0 ||
            memcmp(identity->incarnation, incarnation, sizeof incarnation) == 0) &&
           (!expected->has_cluster ||
            memcmp(identity->cluster_id, cluster_id, sizeof cluster_id) == 0);
}

static enum finding compare_marks(const struct contents_found *found,
                                  const struct contents *expected,
                                  char text[STORES_TEXT_BYTES_MAX])
{
    if (!contents_has_witnesses(expected, found)) {
        return differs(text, "%zu witnesses that are not the %zu expected", found->witness_count,
                       expected->witness_count);
    }
    if (found->is_condemned != expected->is_condemned) {
        return differs(text, "condemned %d, expected %d", found->is_condemned,
                       expected->is_condemned);
    }
    if (!tree_doubt_is_same(&found->doubt, &expected->doubt)) {
        return differs(text, "doubts: borrowed %d, %zu members; expected %d, %zu",
                       found->doubt.is_borrowed, found->doubt.count, expected->doubt.is_borrowed,
                       expected->doubt.count);
    }
    return FINDING_SAME;
}

static enum finding compare_log(struct stores *stores,
                                const struct contents *expected,
                                uint64_t starts,
                                uint8_t *space,
                                char text[STORES_TEXT_BYTES_MAX])
{
    const struct log_identity *identity = log_store_identity(stores->log);
    struct log_state state = log_store_state(stores->log);
    struct reading reading = {.expected = expected, .space = space, .text = text, .is_right = true};
    struct error error;

    if (identity->node_id != NODE_ID || identity->start_count < starts ||
        identity->has_cluster != expected->has_cluster ||
        identity->tree_generation != expected->generation) {
        return differs(text,
                       "identity: %" PRIu64 " starts, cluster %d, generation %" PRIu64
                       "; expected %" PRIu64 ", %d, %" PRIu64,
                       identity->start_count, identity->has_cluster, identity->tree_generation,
                       starts, expected->has_cluster, expected->generation);
    }
    if (!is_of_recovery(identity, expected)) {
        return differs(text, "identity: not that of a folder recovered %d times",
                       (int)expected->recovered);
    }
    if (state.term != expected->term || state.vote != expected->vote ||
        state.base != expected->base || state.base_term != expected->base_term ||
        state.last != expected->last) {
        return differs(text,
                       "log: term %" PRIu64 " vote %" PRIu64 " base %" PRIu64 " last %" PRIu64
                       "; expected %" PRIu64 ", %" PRIu64 ", %" PRIu64 ", %" PRIu64,
                       state.term, state.vote, state.base, state.last, expected->term,
                       expected->vote, expected->base, expected->last);
    }
    if (log_store_read(stores->log, state.base + 1, state.last, compare_entry, &reading, &error) !=
            STATUS_OK &&
        reading.is_right) {
        return stores_failed(text, &error);
    }
    return reading.is_right ? FINDING_SAME : FINDING_DIFFERENT;
}

static bool compare_record(void *visitor, struct bytes key, struct bytes value)
{
    struct reading *reading = visitor;
    char name[32];

    while (reading->seen < CONTENTS_KEYS && reading->expected->values[reading->seen].salt == 0) {
        reading->seen++;
    }
    if (reading->seen == CONTENTS_KEYS || !bytes_equal(key, stores_key_of(reading->seen, name)) ||
        !bytes_equal(value,
                     stores_fill(reading->space, reading->expected->values[reading->seen].salt,
                                 reading->expected->values[reading->seen].size))) {
        reading->is_right = stores_say(reading->text, "record '%.*s' is not what was written",
                                       (int)key.size, key.data);
        return false;
    }
    reading->seen++;
    return true;
}

static enum finding compare_tree(struct stores *stores,
                                 const struct contents *expected,
                                 uint8_t *space,
                                 char text[STORES_TEXT_BYTES_MAX])
{
    struct tree_meta meta = tree_store_meta(stores->tree);
    struct reading reading = {.expected = expected, .space = space, .text = text, .is_right = true};

    if (meta.applied_index != expected->applied) {
        return differs(text, "tree: applied %" PRIu64 ", expected %" PRIu64, meta.applied_index,
                       expected->applied);
    }
    if (tree_store_range(stores->tree, BYTES_EMPTY, BYTES_EMPTY, SIZE_MAX, compare_record,
                         &reading) != STATUS_OK) {
        return stores_failed(text, tree_store_error(stores->tree));
    }
    for (size_t i = reading.seen; reading.is_right && i < CONTENTS_KEYS; i++) {
        if (expected->values[i].salt != 0) {
            return differs(text, "record %zu is missing", i);
        }
    }
    return reading.is_right ? FINDING_SAME : FINDING_DIFFERENT;
}

enum finding stores_compare(struct stores *stores,
                            const struct contents *expected,
                            uint64_t starts,
                            char text[STORES_TEXT_BYTES_MAX])
{
    uint8_t *space = xmalloc(STORES_VALUE_BYTES_MAX);
    enum finding finding = compare_log(stores, expected, starts, space, text);
    struct contents_found found;

    if (finding == FINDING_SAME) {
        stores_look(stores, &found);
        finding = compare_marks(&found, expected, text);
    }
    if (finding == FINDING_SAME) {
        finding = compare_tree(stores, expected, space, text);
    }
    free(space);
    return finding;
}
