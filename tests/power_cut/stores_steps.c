/* The steps of a story. */
#include "tests/power_cut/stores_internal.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/prng.h"
#include "persistence/data_folder.h"
#include "persistence/files.h"
#include "persistence/log_prezero.h"
#include "persistence/tree_store.h"
#include "tests/power_cut/contents.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ENTRIES_CROWDED = 300, BATCH_MAX = 3 };

static const uint8_t cluster_id[16] = "power cut story";

static uint32_t draw_size(struct prng *prng)
{
    uint64_t roll = prng_below(prng, 100);

    if (roll == 0) {
        return (uint32_t)prng_between(prng, 500000, STORES_VALUE_BYTES_MAX);
    }
    return (uint32_t)(roll < 10 ? prng_below(prng, 20000) : prng_below(prng, 400));
}

/* --- Steps: each plans what it will leave in `next`, then does it --- */

const struct contents *stores_present(const struct stores *stores)
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
            .payload = stores_fill(xmalloc(planned->size), planned->salt, planned->size)};
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

enum status stores_commit_values(struct tree_store *tree,
                                 const struct contents *before,
                                 const struct contents *next,
                                 struct error *error)
{
    struct tree_record records[CONTENTS_KEYS];
    char names[CONTENTS_KEYS][32];
    size_t count = 0;
    const struct tree_meta meta = {.applied_index = next->applied, .applied_term = next->term};
    enum status status;

    for (size_t i = 0; i < CONTENTS_KEYS; i++) {
        const struct value *value = &next->values[i];

        if (value->salt == before->values[i].salt) {
            continue;
        }
        records[count] =
            (struct tree_record){.key = stores_key_of(i, names[i]), .removed = value->salt == 0};
        if (value->salt != 0) {
            records[count].value = stores_fill(xmalloc(value->size), value->salt, value->size);
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
        struct value *value = &next->values[prng_below(prng, CONTENTS_KEYS)];

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
    return stores_commit_values(stores->tree, stores_present(stores), next, error);
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
    const struct tree_store_options options = {.map_bytes = STORES_MAP_BYTES};
    struct buffer config = BUFFER_INIT;
    struct tree_store *tree;
    struct tree_meta meta;
    struct error error;
    uint64_t bytes;
    char tree_path[DATA_FOLDER_PATH_BYTES_MAX];

    CHECK(files_join(stores->scratch, "/tree", tree_path, &error) == STATUS_OK);
    CHECK(files_empty_folder(tree_path, true, &error) == STATUS_OK);
    CHECK(tree_store_open(tree_path, &options, &tree, &error) == STATUS_OK);
    CHECK(stores_commit_values(tree, &nothing, held, &error) == STATUS_OK);
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
    const struct tree_store_options options = {.map_bytes = STORES_MAP_BYTES};
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
    status = stores_open_tree(stores, next->generation, &tree, error);
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
    stores_close(stores);
    stores->has_installed = false;
    next->starts++;
    contents_note_log(next, stores->step + 1, false);
    return stores_open(stores, error);
}

enum status stores_take_step(struct stores *stores,
                             enum step_kind kind,
                             struct contents *next,
                             struct error *error)
{
    switch (kind) {
    case STEP_FIRST_OPEN:
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
    case STEP_NONE:
    case STEP_KIND_COUNT:
        break;
    }
    CHECK(false);
}

enum step_kind stores_draw_step(struct stores *stores)
{
    const struct contents *now = stores_present(stores);
    uint64_t roll = prng_below(&stores->prng, 100);

    if (stores->log == NULL || roll < 6) {
        return now->starts == 0 ? STEP_FIRST_OPEN : STEP_OPEN;
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
