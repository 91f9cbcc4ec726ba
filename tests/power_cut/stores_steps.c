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
    uint8_t cluster_id[LOG_STORE_CLUSTER_ID_BYTES];

    stores_cluster_id(next->recovered, cluster_id);
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
        next->base_max = trim > next->base_max ? trim : next->base_max;
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
        next->base_max = target > next->base_max ? target : next->base_max;
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
    uint8_t cluster_id[LOG_STORE_CLUSTER_ID_BYTES];
    enum status status = data_folder_dump_path(&stores->folder, "out", path, error);

    stores_cluster_id(stores_present(stores)->recovered, cluster_id);

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
    uint8_t cluster_id[LOG_STORE_CLUSTER_ID_BYTES];
    char tree_path[DATA_FOLDER_PATH_BYTES_MAX];

    stores_cluster_id(held->recovered, cluster_id);
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
    uint8_t cluster_id[LOG_STORE_CLUSTER_ID_BYTES];
    bool is_repair = next->applied < next->last && prng_below(&stores->prng, 2) == 0;
    enum status status;

    stores_cluster_id(next->recovered, cluster_id);
    stores->installed = *next;
    draw_values(&stores->prng, &stores->installed);
    /* Where this server is behind, or where it was wrong. */
    stores->installed.applied = is_repair
                                    ? prng_between(&stores->prng, next->applied + 1, next->last)
                                    : next->last + prng_below(&stores->prng, 50);
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

/* The log tells of another generation; what follows is the same for both ways. */
static enum status
finish_switch(struct stores *stores, struct contents *next, uint64_t old, struct error *error)
{
    struct tree_store *tree = NULL;
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    enum status status;

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

static void take_installed(const struct stores *stores, struct contents *next)
{
    next->generation = stores->installed.generation;
    contents_note_log(next, stores->step + 1, false);
    next->applied = stores->installed.applied;
    memcpy(next->values, stores->installed.values, sizeof next->values);
    next->is_condemned = false;
    next->doubt = (struct tree_doubt){.count = 0};
}

static enum status step_switch(struct stores *stores, struct contents *next, struct error *error)
{
    const struct log_write write = {.reset = true,
                                    .reset_index = stores->installed.applied,
                                    .reset_term = next->term,
                                    .tree_generation = stores->installed.generation};
    uint64_t old = next->generation;
    enum status status = log_store_write(stores->log, &write, error);

    take_installed(stores, next);
    next->base = next->applied;
    next->base_term = next->term;
    next->base_min = next->base;
    next->base_max = next->base;
    next->last = next->applied;
    return status == STATUS_OK ? finish_switch(stores, next, old, error) : status;
}

/* As a repair does: the entries behind the dump stay. */
static enum status step_keep_log(struct stores *stores, struct contents *next, struct error *error)
{
    struct log_write write = {.switch_tree = true,
                              .tree_generation = stores->installed.generation,
                              .trim = stores->installed.applied};
    uint64_t old = next->generation;
    enum status status;

    take_installed(stores, next);
    contents_drop_front(next, next->applied);
    next->base_min = next->base;
    next->base_max = next->base > next->base_max ? next->base : next->base_max;
    write.trim_term = next->base_term;
    status = log_store_write(stores->log, &write, error);
    return status == STATUS_OK ? finish_switch(stores, next, old, error) : status;
}

/* With entries, as a server writes them. */
static enum status step_witness(struct stores *stores, struct contents *next, struct error *error)
{
    struct prng *prng = &stores->prng;
    struct planned *planned = &next->entries[next->last - next->base];
    struct log_entry entry = {.index = next->last + 1, .term = next->term};
    struct log_write write = {.entries = &entry,
                              .entry_count = (size_t)prng_below(prng, 2),
                              .witnesses = next->witnesses};
    uint8_t space[400];

    next->witness_count = (size_t)prng_between(prng, 1, CONTENTS_WITNESSES_MAX);
    for (size_t i = 0; i < next->witness_count; i++) {
        next->witnesses[i] = (struct log_witness){.id = 2 + i,
                                                  .start_count = prng_between(prng, 1, 100),
                                                  .start = prng_next(prng),
                                                  .term = next->term,
                                                  .index = prng_below(prng, next->last + 1)};
    }
    write.witness_count = next->witness_count;
    if (write.entry_count > 0) {
        *planned = (struct planned){.term = next->term,
                                    .type = RAFT_ENTRY_COMMAND,
                                    .salt = (uint32_t)prng_next(prng),
                                    .size = (uint32_t)prng_below(prng, sizeof space)};
        entry.type = planned->type;
        entry.payload = stores_fill(space, planned->salt, planned->size);
        next->last++;
    }
    contents_note_write(next, stores->step + 1, &write, next->last - write.entry_count);
    return log_store_write(stores->log, &write, error);
}

static enum status step_condemn(struct stores *stores, struct contents *next, struct error *error)
{
    next->is_condemned = true;
    return data_folder_condemn_tree(&stores->folder, next->generation, error);
}

static enum status step_doubt(struct stores *stores, struct contents *next, struct error *error)
{
    char path[DATA_FOLDER_PATH_BYTES_MAX];

    next->doubt = (struct tree_doubt){.is_borrowed = prng_below(&stores->prng, 2) == 0};
    for (uint64_t member = 2; member < 6; member++) {
        if (prng_below(&stores->prng, 2) == 0) {
            next->doubt.members[next->doubt.count++] = member;
        }
    }
    data_folder_tree_path(&stores->folder, next->generation, path);
    return tree_doubt_write(path, &next->doubt, error);
}

/* As confer-server --recover does. */
static enum status step_recover(struct stores *stores, struct contents *next, struct error *error)
{
    struct log_entry entries[2];
    struct log_recovery recovery = {.term = next->term + 1, .entries = entries, .entry_count = 2};

    next->recovered++;
    next->term++;
    next->vote = 0;
    next->witness_count = 0;
    stores_cluster_id(next->recovered, recovery.cluster_id);
    stores_incarnation(next->recovered, recovery.incarnation);
    for (size_t i = 0; i < recovery.entry_count; i++) {
        next->entries[next->last - next->base] =
            (struct planned){.term = next->term, .type = RAFT_ENTRY_NOOP};
        next->last++;
        entries[i] =
            (struct log_entry){.index = next->last, .term = next->term, .type = RAFT_ENTRY_NOOP};
    }
    contents_note_log(next, stores->step + 1, false);
    return log_store_recover(stores->log, &recovery, error);
}

static enum status step_supersede(struct stores *stores, struct contents *next, struct error *error)
{
    next->is_superseded = true;
    contents_note_log(next, stores->step + 1, false);
    return log_store_set_superseded(stores->log, error);
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
    case STEP_KEEP_LOG:
        return step_keep_log(stores, next, error);
    case STEP_WITNESS:
        return step_witness(stores, next, error);
    case STEP_CONDEMN:
        return step_condemn(stores, next, error);
    case STEP_DOUBT:
        return step_doubt(stores, next, error);
    case STEP_RECOVER:
        return step_recover(stores, next, error);
    case STEP_SUPERSEDE:
        return step_supersede(stores, next, error);
    case STEP_NONE:
    case STEP_KIND_COUNT:
        break;
    }
    CHECK(false);
}

/* The dump that waits is of an entry that the log still holds. */
static bool is_within_log(const struct stores *stores, const struct contents *now)
{
    return stores->installed.applied > now->base && stores->installed.applied <= now->last;
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
    if (roll < 10) {
        return STEP_DUMP;
    }
    if (roll < 32) {
        return !stores->has_installed       ? STEP_INSTALL
               : is_within_log(stores, now) ? STEP_KEEP_LOG
                                            : STEP_SWITCH;
    }
    if (roll < 38) {
        return STEP_TRIM;
    }
    if (roll < 52) {
        return STEP_CHECKPOINT;
    }
    if (roll < 76) {
        static const enum step_kind kinds[] = {STEP_PREZERO, STEP_WITNESS, STEP_CONDEMN, STEP_DOUBT,
                                               STEP_RECOVER};

        return kinds[prng_below(&stores->prng, sizeof kinds / sizeof kinds[0])];
    }
    return STEP_WRITE;
}
