#include "tests/power_cut/stores.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/prng.h"
#include "persistence/data_folder.h"
#include "persistence/dump_file.h"
#include "persistence/files.h"
#include "persistence/log_prezero.h"
#include "persistence/tree_store.h"
#include "tests/power_cut/contents.h"
#include "tests/power_cut/tape.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    NODE_ID = 1,
    MAP_BYTES = 64 * 1024 * 1024,
    ENTRIES_CROWDED = 300,
    KEYS = CONTENTS_KEYS,
    BATCH_MAX = 3,
    VALUE_BYTES_MAX = 700 * 1024
};

static const uint8_t cluster_id[16] = "power cut story";

enum step_kind {
    STEP_OPEN,
    STEP_CLUSTER,
    STEP_WRITE,
    STEP_TRIM,
    STEP_CHECKPOINT,
    STEP_DUMP,
    STEP_INSTALL, /* the new generation is built beside the old one */
    STEP_SWITCH,
    STEP_PREZERO
};

struct stores {
    char folder_path[DATA_FOLDER_PATH_BYTES_MAX];
    char scratch[DATA_FOLDER_PATH_BYTES_MAX];
    struct prng prng;
    struct data_folder folder;
    bool has_folder;
    struct log_store *log;
    struct tree_store *tree;
    struct contents *after[STORES_STEPS_MAX + 1]; /* by step; 0 = nothing yet */
    uint64_t step;                                /* the last one */
    struct contents installed; /* its generation and tree alone, while it waits for the switch */
    bool has_installed;
};

static bool say(char text[STORES_TEXT_BYTES_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool say(char text[STORES_TEXT_BYTES_MAX], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, STORES_TEXT_BYTES_MAX, format, arguments);
    va_end(arguments);
    return false;
}

/* --- Contents --- */

static struct bytes fill(uint8_t *to, uint32_t salt, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        to[i] = (uint8_t)(salt + i * (salt | 1) + (i >> 8));
    }
    return bytes_of(to, size);
}

static struct bytes key_of(size_t position, char text[32])
{
    (void)snprintf(text, 32, "key/%03zu%.*s", position, (int)(position % 20),
                   "aaaaaaaaaaaaaaaaaaaa");
    return bytes_of_text(text);
}

static uint32_t draw_size(struct prng *prng)
{
    uint64_t roll = prng_below(prng, 100);

    if (roll == 0) {
        return (uint32_t)prng_between(prng, 500000, VALUE_BYTES_MAX);
    }
    return (uint32_t)(roll < 10 ? prng_below(prng, 20000) : prng_below(prng, 400));
}

/* --- Opening and closing, as server/disks.c does --- */

static void close_stores(struct stores *stores)
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

static enum status open_tree(struct stores *stores,
                             uint64_t generation,
                             struct tree_store **ret_tree,
                             struct error *error)
{
    const struct tree_store_options options = {.map_bytes = MAP_BYTES};
    char path[DATA_FOLDER_PATH_BYTES_MAX];

    data_folder_tree_path(&stores->folder, generation, path);
    return tree_store_open(path, &options, ret_tree, error);
}

static enum status open_stores(struct stores *stores, struct error *error)
{
    const struct log_store_options options = {.map_bytes = MAP_BYTES,
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
        status = open_tree(stores, log_store_identity(stores->log)->tree_generation, &stores->tree,
                           error);
    }
    return status;
}

/* --- Comparing --- */

enum finding {
    FINDING_SAME,
    FINDING_DIFFERENT,
    FINDING_DAMAGED /* the store says so itself */
};

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
static enum finding failed(char text[STORES_TEXT_BYTES_MAX], const struct error *error)
{
    bool is_named = error->status == STATUS_CORRUPT || error->status == STATUS_FORMAT;

    (void)say(text, "%s", error->text);
    return is_named ? FINDING_DAMAGED : FINDING_DIFFERENT;
}

static enum status compare_entry(void *context, const struct log_entry *entry)
{
    struct reading *reading = context;
    const struct planned *planned =
        &reading->expected->entries[entry->index - reading->expected->base - 1];

    if (entry->term != planned->term || entry->type != planned->type ||
        !bytes_equal(entry->payload, fill(reading->space, planned->salt, planned->size))) {
        reading->is_right =
            say(reading->text, "entry %" PRIu64 " is not what was written", entry->index);
        return STATUS_LIMIT;
    }
    return STATUS_OK;
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
        return failed(text, &error);
    }
    return reading.is_right ? FINDING_SAME : FINDING_DIFFERENT;
}

static bool compare_record(void *visitor, struct bytes key, struct bytes value)
{
    struct reading *reading = visitor;
    char name[32];

    while (reading->seen < KEYS && reading->expected->values[reading->seen].salt == 0) {
        reading->seen++;
    }
    if (reading->seen == KEYS || !bytes_equal(key, key_of(reading->seen, name)) ||
        !bytes_equal(value, fill(reading->space, reading->expected->values[reading->seen].salt,
                                 reading->expected->values[reading->seen].size))) {
        reading->is_right =
            say(reading->text, "record '%.*s' is not what was written", (int)key.size, key.data);
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
    if (tree_store_range(stores->tree, BYTES_EMPTY, BYTES_EMPTY, compare_record, &reading) !=
        STATUS_OK) {
        return failed(text, tree_store_error(stores->tree));
    }
    for (size_t i = reading.seen; reading.is_right && i < KEYS; i++) {
        if (expected->values[i].salt != 0) {
            return differs(text, "record %zu is missing", i);
        }
    }
    return reading.is_right ? FINDING_SAME : FINDING_DIFFERENT;
}

static enum finding compare(struct stores *stores,
                            const struct contents *expected,
                            uint64_t starts,
                            char text[STORES_TEXT_BYTES_MAX])
{
    uint8_t *space = xmalloc(VALUE_BYTES_MAX);
    enum finding finding = compare_log(stores, expected, starts, space, text);

    if (finding == FINDING_SAME) {
        finding = compare_tree(stores, expected, space, text);
    }
    free(space);
    return finding;
}

/* --- Steps: each plans what it will leave in `next`, then does it --- */

static const struct contents *present(const struct stores *stores)
{
    return stores->after[stores->step];
}

static enum status step_cluster(struct stores *stores, struct contents *next, struct error *error)
{
    next->has_cluster = true;
    contents_note_log(next, stores->step + 1, false);
    return log_store_set_cluster(stores->log, cluster_id, error);
}

struct plan {
    struct log_write writes[BATCH_MAX];
    const struct log_write *pointers[BATCH_MAX];
    struct log_entry entries[BATCH_MAX][CONTENTS_ENTRIES_MAX];
};

/* One write of the log: perhaps a vote, perhaps entries, which may replace some that the checkpoint
 * does not hold; perhaps trimming. */
static void plan_write(struct stores *stores,
                       struct contents *next,
                       struct log_write *write,
                       struct log_entry *entries)
{
    struct prng *prng = &stores->prng;
    size_t count = (size_t)prng_below(prng, 12);
    raft_index last = next->last;
    raft_index first = last + 1;

    *write = (struct log_write){.entries = entries};
    if (prng_below(prng, 3) == 0) {
        next->term += prng_between(prng, 1, 3);
        next->vote = prng_below(prng, 4);
        *write = (struct log_write){
            .hard_state = true, .term = next->term, .vote = next->vote, .entries = entries};
    }
    if (prng_below(prng, 6) == 0 && next->last > next->applied) {
        first = prng_between(prng, next->applied + 1, next->last);
    }
    for (size_t i = 0; i < count; i++) {
        struct planned *planned = &next->entries[first + i - next->base - 1];

        *planned = (struct planned){.term = next->term,
                                    .type = (enum raft_entry_type)prng_between(prng, 1, 2),
                                    .salt = (uint32_t)prng_next(prng),
                                    .size = draw_size(prng)};
        entries[i] = (struct log_entry){
            .index = first + i,
            .term = planned->term,
            .type = planned->type,
            .payload = fill(xmalloc(planned->size), planned->salt, planned->size)};
        next->last = first + i;
    }
    write->entry_count = count;
    contents_note_write(next, stores->step + 1, write, last);
    if (count > 0 && prng_below(prng, 3) == 0 && next->applied > next->base) {
        raft_index trim = prng_between(prng, next->base + 1, next->applied);
        raft_index reached = next->base + 3 * count;

        write->trim = trim;
        contents_drop_front(next, trim < reached ? trim : reached);
    }
}

static enum status step_write(struct stores *stores, struct contents *next, struct error *error)
{
    struct plan *plan = xcalloc(1, sizeof *plan);
    size_t count = (size_t)prng_between(&stores->prng, 1, BATCH_MAX);
    enum status status;

    for (size_t i = 0; i < count; i++) {
        plan_write(stores, next, &plan->writes[i], plan->entries[i]);
        plan->pointers[i] = &plan->writes[i];
    }
    status = log_store_write_batch(stores->log, plan->pointers, count, error);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < plan->writes[i].entry_count; j++) {
            free((void *)(uintptr_t)plan->entries[i][j].payload.data);
        }
    }
    free(plan);
    return status;
}

static enum status step_trim(struct stores *stores, struct contents *next, struct error *error)
{
    size_t count = (size_t)prng_between(&stores->prng, 1, 60);
    raft_index target = next->applied < next->last ? next->applied : next->last;
    bool more;

    if (target > next->base) {
        contents_note_log(next, stores->step + 1, true);
        contents_drop_front(next, target - next->base < count ? target : next->base + count);
    }
    return log_store_trim(stores->log, target, count, &more, error);
}

static enum status commit_values(struct tree_store *tree,
                                 const struct contents *before,
                                 const struct contents *next,
                                 struct error *error)
{
    struct tree_record records[KEYS];
    char names[KEYS][32];
    size_t count = 0;
    const struct tree_meta meta = {.applied_index = next->applied, .applied_term = next->term};
    enum status status;

    for (size_t i = 0; i < KEYS; i++) {
        const struct value *value = &next->values[i];

        if (value->salt == before->values[i].salt) {
            continue;
        }
        records[count] =
            (struct tree_record){.key = key_of(i, names[i]), .removed = value->salt == 0};
        if (value->salt != 0) {
            records[count].value = fill(xmalloc(value->size), value->salt, value->size);
        }
        count++;
    }
    status = tree_store_commit(tree, records, count, &meta, error);
    for (size_t i = 0; i < count; i++) {
        free((void *)(uintptr_t)records[i].value.data);
    }
    return status;
}

static void draw_values(struct prng *prng, struct contents *next)
{
    size_t count = (size_t)prng_below(prng, 30);

    for (size_t i = 0; i < count; i++) {
        struct value *value = &next->values[prng_below(prng, KEYS)];

        *value = (struct value){.salt = 0};
        if (prng_below(prng, 4) != 0) {
            *value = (struct value){.salt = (uint32_t)prng_between(prng, 1, UINT32_MAX),
                                    .size = draw_size(prng)};
        }
    }
}

static enum status
step_checkpoint(struct stores *stores, struct contents *next, struct error *error)
{
    draw_values(&stores->prng, next);
    next->applied = prng_between(&stores->prng, next->applied, next->last);
    return commit_values(stores->tree, present(stores), next, error);
}

static enum status step_dump(struct stores *stores, struct error *error)
{
    struct buffer config = BUFFER_INIT;
    struct tree_meta meta;
    uint64_t bytes;
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    enum status status = data_folder_dump_path(&stores->folder, "out", path, error);

    if (status == STATUS_OK) {
        status =
            tree_store_dump(stores->tree, path, cluster_id, NULL, &config, &meta, &bytes, error);
    }
    buffer_release(&config);
    return status;
}

/* A dump of what another server holds, at `path`. */
static void make_dump(const struct stores *stores, const struct contents *held, const char *path)
{
    static const struct contents nothing;
    const struct tree_store_options options = {.map_bytes = MAP_BYTES};
    struct buffer config = BUFFER_INIT;
    struct tree_store *tree;
    struct tree_meta meta;
    struct error error;
    uint64_t bytes;
    char tree_path[DATA_FOLDER_PATH_BYTES_MAX];

    CHECK(files_join(stores->scratch, "/tree", tree_path, &error) == STATUS_OK);
    CHECK(files_empty_folder(tree_path, true, &error) == STATUS_OK);
    CHECK(tree_store_open(tree_path, &options, &tree, &error) == STATUS_OK);
    CHECK(commit_values(tree, &nothing, held, &error) == STATUS_OK);
    CHECK(tree_store_dump(tree, path, cluster_id, NULL, &config, &meta, &bytes, &error) ==
          STATUS_OK);
    buffer_release(&config);
    tree_store_close(tree);
}

/* As it arrives from a peer: piece by piece, never synced. */
static enum status receive(const char *from, const char *to, struct error *error)
{
    static uint8_t piece[64 * 1024];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    off_t offset = 0;
    ssize_t got = 1;
    enum status status = STATUS_OK;

    CHECK(in >= 0);
    if (out < 0) {
        status = error_set(error, STATUS_IO, "cannot make %s", to);
    }
    while (status == STATUS_OK && (got = read(in, piece, sizeof piece)) > 0) {
        if (pwrite(out, piece, (size_t)got, offset) != got) {
            status = error_set(error, STATUS_IO, "cannot write %s", to);
        }
        offset += got;
    }
    (void)close(in);
    if (out >= 0) {
        (void)close(out);
    }
    return status;
}

static enum status
step_install(struct stores *stores, const struct contents *next, struct error *error)
{
    const struct tree_store_options options = {.map_bytes = MAP_BYTES};
    char made[DATA_FOLDER_PATH_BYTES_MAX];
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    char tree_path[DATA_FOLDER_PATH_BYTES_MAX];
    enum status status;

    stores->installed = *next;
    draw_values(&stores->prng, &stores->installed);
    stores->installed.applied = next->last + prng_below(&stores->prng, 50);
    stores->installed.generation = next->generation + 1;
    CHECK(files_join(stores->scratch, "/dump", made, error) == STATUS_OK);
    make_dump(stores, &stores->installed, made);
    status = data_folder_dump_path(&stores->folder, "in", path, error);
    if (status == STATUS_OK) {
        status = receive(made, path, error);
    }
    if (status == STATUS_OK) {
        data_folder_tree_path(&stores->folder, stores->installed.generation, tree_path);
        status = dump_install(path, tree_path, &options, cluster_id, NULL, error);
    }
    stores->has_installed = status == STATUS_OK;
    return status;
}

static enum status step_switch(struct stores *stores, struct contents *next, struct error *error)
{
    const struct contents *installed = &stores->installed;
    const struct log_write write = {.reset = true,
                                    .reset_index = installed->applied,
                                    .reset_term = next->term,
                                    .tree_generation = installed->generation};
    struct tree_store *tree = NULL;
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    uint64_t old = next->generation;
    enum status status = log_store_write(stores->log, &write, error);

    next->generation = installed->generation;
    contents_note_log(next, stores->step + 1, false);
    next->base = installed->applied;
    next->base_term = next->term;
    next->last = installed->applied;
    next->applied = installed->applied;
    memcpy(next->values, installed->values, sizeof next->values);
    if (status != STATUS_OK) {
        return status;
    }
    stores->has_installed = false;
    status = open_tree(stores, next->generation, &tree, error);
    if (status != STATUS_OK) {
        /* The log is switched already. */
        return status == STATUS_NO_SPACE ? STATUS_IO : status;
    }
    tree_store_close(stores->tree);
    stores->tree = tree;
    data_folder_tree_path(&stores->folder, old, path);
    /* What stays behind is removed at the next start. */
    (void)!files_empty_folder(path, true, NULL);
    if (data_folder_dump_path(&stores->folder, "in", path, NULL) == STATUS_OK) {
        (void)!unlink(path);
    }
    return STATUS_OK;
}

static enum status step_prezero(struct stores *stores, struct error *error)
{
    return log_prezero_need(stores->log) == LOG_PREZERO_NONE ? STATUS_OK
                                                             : log_prezero_step(stores->log, error);
}

static enum status step_open(struct stores *stores, struct contents *next, struct error *error)
{
    close_stores(stores);
    stores->has_installed = false;
    next->starts++;
    contents_note_log(next, stores->step + 1, false);
    return open_stores(stores, error);
}

static enum status
take_step(struct stores *stores, enum step_kind kind, struct contents *next, struct error *error)
{
    switch (kind) {
    case STEP_OPEN:
        return step_open(stores, next, error);
    case STEP_CLUSTER:
        return step_cluster(stores, next, error);
    case STEP_WRITE:
        return step_write(stores, next, error);
    case STEP_TRIM:
        return step_trim(stores, next, error);
    case STEP_CHECKPOINT:
        return step_checkpoint(stores, next, error);
    case STEP_DUMP:
        return step_dump(stores, error);
    case STEP_INSTALL:
        return step_install(stores, next, error);
    case STEP_SWITCH:
        return step_switch(stores, next, error);
    case STEP_PREZERO:
        return step_prezero(stores, error);
    }
    CHECK(false);
}

static enum step_kind draw_step(struct stores *stores)
{
    const struct contents *now = present(stores);
    uint64_t roll = prng_below(&stores->prng, 100);

    if (stores->log == NULL || roll < 6) {
        return STEP_OPEN;
    }
    if (!now->has_cluster) {
        return STEP_CLUSTER;
    }
    if (now->last - now->base > ENTRIES_CROWDED) {
        return now->applied < now->last ? STEP_CHECKPOINT : STEP_TRIM;
    }
    if (roll < 12) {
        return STEP_DUMP;
    }
    if (roll < 22) {
        return stores->has_installed ? STEP_SWITCH : STEP_INSTALL;
    }
    if (roll < 30) {
        return STEP_TRIM;
    }
    if (roll < 48) {
        return STEP_CHECKPOINT;
    }
    return roll < 52 ? STEP_PREZERO : STEP_WRITE;
}

/* --- The whole --- */

static struct contents *begin_step(struct stores *stores)
{
    CHECK_OP(stores->step, <, STORES_STEPS_MAX);
    tape_begin(stores->step + 1);
    free(stores->after[stores->step + 1]);
    stores->after[stores->step + 1] = xmemdup(present(stores), sizeof(struct contents));
    stores->after[stores->step + 1]->appended_count = 0;
    return stores->after[stores->step + 1];
}

static void end_step(struct stores *stores)
{
    stores->step++;
    tape_done(stores->step);
}

/* The contents of the opened stores, to be freed: what step `done` left, or one that was under way
 * up to `begun`. NULL: of none of them, `text` says why. */
static struct contents *find_contents(const struct stores *story,
                                      struct stores *opened,
                                      uint64_t done,
                                      uint64_t begun,
                                      uint64_t starts,
                                      char text[STORES_TEXT_BYTES_MAX])
{
    struct log_state state = log_store_state(opened->log);

    (void)say(text, "it holds what no step left:");
    for (uint64_t step = done; step <= begun; step++) {
        struct contents *expected = contents_expected(story->after, step, step == done, &state);
        char why[STORES_TEXT_BYTES_MAX];
        size_t used = strlen(text);

        if (compare(opened, expected, starts, why) == FINDING_SAME) {
            return expected;
        }
        free(expected);
        (void)snprintf(text + used, STORES_TEXT_BYTES_MAX - used, " not %" PRIu64 ": %s;", step,
                       why);
    }
    return NULL;
}

/* After a failure of unknown outcome: start anew, and go on from what is found. */
static bool restart(struct stores *stores, const char *why, char text[STORES_TEXT_BYTES_MAX])
{
    uint64_t starts = present(stores)->starts;
    struct contents *found;
    struct error error;

    tape_fail(UINT64_MAX, 0, TAPE_FAULT_NONE, 0);
    stores->step++; /* whose outcome is unknown: it is begun, and never done */
    (void)begin_step(stores);
    close_stores(stores);
    stores->has_installed = false;
    if (open_stores(stores, &error) != STATUS_OK) {
        return say(text, "no restart after '%s': %s", why, error.text);
    }
    found = find_contents(stores, stores, stores->step - 1, stores->step, starts, text);
    if (found == NULL) {
        return false;
    }
    found->starts = log_store_identity(stores->log)->start_count;
    contents_note_log(found, stores->step + 1, false);
    free(stores->after[stores->step + 1]);
    stores->after[stores->step + 1] = found;
    end_step(stores);
    return true;
}

static bool play_step(struct stores *stores, char text[STORES_TEXT_BYTES_MAX])
{
    enum step_kind kind = draw_step(stores);
    struct prng prng = stores->prng;
    struct contents *next = begin_step(stores);
    struct error error = {.text = ""};
    const char *name;
    enum status status = take_step(stores, kind, next, &error);

    if (status == STATUS_NO_SPACE && kind != STEP_OPEN && tape_failed(&name) > 0) {
        tape_fail(UINT64_MAX, 0, TAPE_FAULT_NONE, 0);
        stores->prng = prng;
        next = begin_step(stores);
        status = take_step(stores, kind, next, &error);
        if (status != STATUS_OK) {
            return say(text, "step %d does not go on after a full disk: %s", (int)kind, error.text);
        }
    }
    if (status == STATUS_OK) {
        end_step(stores);
        return true;
    }
    if (tape_failed(&name) == 0) {
        return say(text, "step %d failed without a fault: %s", (int)kind, error.text);
    }
    if (strstr(error.text, stores->folder_path) == NULL) {
        return say(text, "the reason names no place: '%s'", error.text);
    }
    return restart(stores, error.text, text);
}

bool stores_play(const char *folder,
                 const char *scratch,
                 uint64_t seed,
                 unsigned steps,
                 struct stores **ret_stores,
                 char text[STORES_TEXT_BYTES_MAX])
{
    struct stores *stores = xcalloc(1, sizeof *stores);
    bool is_right = true;

    CHECK_OP(steps, <, STORES_STEPS_MAX / 2);
    CHECK(snprintf(stores->folder_path, sizeof stores->folder_path, "%s", folder) <
          (int)sizeof stores->folder_path);
    CHECK(snprintf(stores->scratch, sizeof stores->scratch, "%s", scratch) <
          (int)sizeof stores->scratch);
    prng_init(&stores->prng, seed);
    stores->after[0] = xcalloc(1, sizeof(struct contents));
    for (unsigned i = 0; is_right && i < steps; i++) {
        is_right = play_step(stores, text);
    }
    close_stores(stores);
    *ret_stores = stores;
    return is_right;
}

void stores_free(struct stores *stores)
{
    if (stores != NULL) {
        close_stores(stores);
        for (size_t i = 0; i <= STORES_STEPS_MAX; i++) {
            free(stores->after[i]);
        }
        free(stores);
    }
}

/* --- Judging --- */

/* A dump has its name only when it is complete. */
static enum finding judge_dump(const char *folder, char text[STORES_TEXT_BYTES_MAX])
{
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    struct dump_reader reader;
    struct error error;
    struct bytes key;
    struct bytes value;
    enum status status;

    CHECK(snprintf(path, sizeof path, "%s/dumps/out", folder) < (int)sizeof path);
    status = dump_reader_open(&reader, path, &error);
    if (status == STATUS_NOT_FOUND) {
        return FINDING_SAME;
    }
    if (status != STATUS_OK) {
        return failed(text, &error);
    }
    while (status == STATUS_OK) {
        status = dump_reader_next(&reader, &key, &value, &error);
    }
    dump_reader_close(&reader);
    return status == STATUS_NOT_FOUND ? FINDING_SAME : failed(text, &error);
}

/* One more entry, one more checkpoint, and another start. */
static enum finding
go_on(struct stores *stores, const struct contents *found, char text[STORES_TEXT_BYTES_MAX])
{
    struct contents *next = xmemdup(found, sizeof *found);
    struct log_entry entry = {
        .index = found->last + 1, .term = found->term, .type = RAFT_ENTRY_NOOP};
    const struct log_write write = {.entries = &entry, .entry_count = 1};
    struct error error = {.text = ""};
    enum finding finding;

    next->entries[next->last - next->base] =
        (struct planned){.term = found->term, .type = RAFT_ENTRY_NOOP};
    next->last++;
    next->applied = next->last;
    next->values[0] = (struct value){.salt = next->values[0].salt ^ 1U << 20, .size = 100};
    if (log_store_write(stores->log, &write, &error) != STATUS_OK ||
        commit_values(stores->tree, found, next, &error) != STATUS_OK) {
        finding = failed(text, &error);
    } else {
        close_stores(stores);
        finding = open_stores(stores, &error) == STATUS_OK
                      ? compare(stores, next, next->starts, text)
                      : failed(text, &error);
    }
    free(next);
    return finding;
}

static void init_judged(struct stores *judged, const char *folder)
{
    memset(judged, 0, sizeof *judged);
    prng_init(&judged->prng, 1);
    CHECK(snprintf(judged->folder_path, sizeof judged->folder_path, "%s", folder) <
          (int)sizeof judged->folder_path);
}

bool stores_judge(const struct stores *stores,
                  const char *folder,
                  uint64_t done,
                  uint64_t begun,
                  char text[STORES_TEXT_BYTES_MAX])
{
    uint64_t least = stores->after[done]->starts;
    struct contents *found;
    struct stores judged;
    struct error error;
    bool is_right = false;

    init_judged(&judged, folder);
    if (judge_dump(folder, text) != FINDING_SAME) {
        return false;
    }
    if (open_stores(&judged, &error) != STATUS_OK) {
        close_stores(&judged);
        return say(text, "no start: %s", error.text);
    }
    found = find_contents(stores, &judged, done, begun, least + 1, text);
    if (found != NULL) {
        is_right = go_on(&judged, found, text) == FINDING_SAME;
        free(found);
    }
    close_stores(&judged);
    return is_right;
}

bool stores_judge_damaged(const struct stores *stores,
                          const char *folder,
                          bool *ret_is_named,
                          char text[STORES_TEXT_BYTES_MAX])
{
    const struct contents *expected = present(stores);
    struct stores judged;
    struct error error;
    enum finding finding = judge_dump(folder, text);

    init_judged(&judged, folder);
    if (finding == FINDING_SAME) {
        finding = open_stores(&judged, &error) == STATUS_OK
                      ? compare(&judged, expected, expected->starts + 1, text)
                      : failed(text, &error);
    }
    if (finding == FINDING_SAME) {
        finding = go_on(&judged, expected, text);
    }
    close_stores(&judged);
    *ret_is_named = finding == FINDING_DAMAGED;
    return finding != FINDING_DIFFERENT;
}
