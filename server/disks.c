#include "server/disks.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "persistence/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SPACE_TENTHS_MAX = 9,
    TREE_PAGE_BYTES = 4096,
    TREES_MAX = 4 /* the one in use, the one that replaces it, and to spare */
};

struct open_tree {
    struct tree_store *store; /* NULL = free */
    uint64_t generation;
};

struct disks {
    struct disks_options options;
    struct data_folder folder;
    struct log_store *log;
    struct log_thread *log_thread;
    struct checkpoint_thread *checkpoint_thread;
    struct checkpoint_thread *dump_thread; /* checkpoints go on while a dump is written */
    struct open_tree trees[TREES_MAX];
    bool log_waits; /* and it was said */
};

enum status
disks_open(const struct disks_options *options, struct disks **ret_disks, struct error *error)
{
    const struct log_store_options log_options = {.map_bytes = options->log_map_bytes,
                                                  .journal_bytes = LOG_STORE_JOURNAL_BYTES,
                                                  .prezero = true};
    struct disks *disks = xcalloc(1, sizeof *disks);
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    enum status status;

    disks->options = *options;
    status = data_folder_open(options->path, &disks->folder, error);
    if (status != STATUS_OK) {
        free(disks);
        return status;
    }
    data_folder_log_path(&disks->folder, path);
    status = log_store_open(path, options->node_id, &log_options, &disks->log, error);
    if (status == STATUS_OK) {
        status = data_folder_sweep(&disks->folder, log_store_identity(disks->log)->tree_generation,
                                   error);
    }
    if (status != STATUS_OK) {
        disks_close(disks);
        return status;
    }
    *ret_disks = disks;
    return STATUS_OK;
}

struct log_store *disks_log(struct disks *disks)
{
    return disks->log;
}

enum status
disks_start(struct disks *disks, void (*notify)(void *context), void *context, struct error *error)
{
    enum status status = log_thread_start(disks->log, notify, context, &disks->log_thread, error);

    if (status == STATUS_OK) {
        status = checkpoint_thread_start("checkpoint", notify, context, &disks->checkpoint_thread,
                                         error);
    }
    if (status == STATUS_OK) {
        status = checkpoint_thread_start("dump", notify, context, &disks->dump_thread, error);
    }
    return status;
}

static void deliver_checkpoints(struct disks *disks, struct node *node)
{
    struct list done;
    struct list *link;

    list_init(&done);
    checkpoint_thread_take_done(disks->checkpoint_thread, &done);
    checkpoint_thread_take_done(disks->dump_thread, &done);
    while ((link = list_take_first(&done)) != NULL) {
        node_on_checkpoint_done(node, CONTAINER_OF(link, struct checkpoint_job, link));
    }
}

static void deliver_log(struct disks *disks, struct node *node)
{
    struct list done;
    struct list *link;

    list_init(&done);
    log_thread_take_done(disks->log_thread, &done);
    while ((link = list_take_first(&done)) != NULL) {
        node_on_log_done(node, CONTAINER_OF(link, struct log_job, link));
    }
}

enum status disks_deliver(struct disks *disks, struct node *node, struct error *error)
{
    const struct error *failure;

    deliver_log(disks, node);
    deliver_checkpoints(disks, node);
    failure = log_thread_error(disks->log_thread);
    if (failure != NULL) {
        *error = *failure;
        return failure->status;
    }
    return STATUS_OK;
}

void disks_stop(struct disks *disks)
{
    log_thread_stop(disks->log_thread);
    checkpoint_thread_stop(disks->checkpoint_thread);
    checkpoint_thread_stop(disks->dump_thread);
    disks->log_thread = NULL;
    disks->checkpoint_thread = NULL;
    disks->dump_thread = NULL;
}

void disks_close(struct disks *disks)
{
    if (disks != NULL) {
        log_store_close(disks->log);
        data_folder_close(&disks->folder);
        free(disks);
    }
}

/* --- For the port --- */

void disks_log_submit(struct disks *disks, struct log_job *job)
{
    log_thread_submit(disks->log_thread, job);
}

void disks_checkpoint_submit(struct disks *disks, struct checkpoint_job *job)
{
    checkpoint_thread_submit(
        job->kind == CHECKPOINT_JOB_DUMP ? disks->dump_thread : disks->checkpoint_thread, job);
}

enum status disks_set_cluster(struct disks *disks, const uint8_t *cluster_id, struct error *error)
{
    return log_store_set_cluster(disks->log, cluster_id, error);
}

enum status disks_set_superseded(struct disks *disks, struct error *error)
{
    return log_store_set_superseded(disks->log, error);
}

static struct open_tree *find_tree(struct disks *disks, const struct tree_store *store)
{
    for (size_t i = 0; i < TREES_MAX; i++) {
        if (disks->trees[i].store == store) {
            return &disks->trees[i];
        }
    }
    return NULL;
}

enum status disks_tree_open(struct disks *disks,
                            uint64_t generation,
                            struct tree_store **ret_tree,
                            struct error *error)
{
    const struct tree_store_options options = {.map_bytes = disks->options.tree_map_bytes};
    struct open_tree *tree = find_tree(disks, NULL);
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    enum status status;

    CHECK(tree != NULL);
    data_folder_tree_path(&disks->folder, generation, path);
    status = tree_store_open(path, &options, &tree->store, error);
    if (status == STATUS_OK) {
        tree->generation = generation;
        *ret_tree = tree->store;
    }
    return status;
}

void disks_tree_close(struct disks *disks, struct tree_store *store, bool remove_files)
{
    struct open_tree *tree = find_tree(disks, store);
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    struct error error;

    CHECK(tree != NULL);
    tree_store_close(store);
    tree->store = NULL;
    data_folder_tree_path(&disks->folder, tree->generation, path);
    /* What stays behind is removed at the next start. */
    if (remove_files && files_empty_folder(path, true, &error) != STATUS_OK) {
        log_event(LOG_LEVEL_WARN, "tree_not_removed", "reason=%s", log_quote(error.text));
    }
}

static enum status
look_up(void *context, struct bytes key, size_t bytes_wanted, struct bytes *ret_value)
{
    return tree_store_lookup(context, key, bytes_wanted, ret_value);
}

static enum status range(void *context,
                         struct bytes from,
                         struct bytes prefix,
                         size_t bytes_wanted,
                         bool (*visit)(void *visitor, struct bytes key, struct bytes value),
                         void *visitor)
{
    return tree_store_range(context, from, prefix, bytes_wanted, visit, visitor);
}

struct state_source disks_tree_source(struct tree_store *tree)
{
    return (struct state_source){.context = tree, .lookup = look_up, .range = range};
}

enum status disks_tree_condemn(struct disks *disks, uint64_t generation, struct error *error)
{
    return data_folder_condemn_tree(&disks->folder, generation, error);
}

bool disks_tree_is_condemned(const struct disks *disks)
{
    return data_folder_tree_is_condemned(&disks->folder,
                                         log_store_identity(disks->log)->tree_generation);
}

enum status disks_tree_doubt(struct disks *disks,
                             uint64_t generation,
                             const struct tree_doubt *doubt,
                             struct error *error)
{
    char path[DATA_FOLDER_PATH_BYTES_MAX];

    data_folder_tree_path(&disks->folder, generation, path);
    return tree_doubt_write(path, doubt, error);
}

enum status
disks_tree_read_doubt(const struct disks *disks, struct tree_doubt *ret_doubt, struct error *error)
{
    char path[DATA_FOLDER_PATH_BYTES_MAX];

    data_folder_tree_path(&disks->folder, log_store_identity(disks->log)->tree_generation, path);
    return tree_doubt_read(path, ret_doubt, error);
}

void disks_tree_path(struct disks *disks, uint64_t generation, char *path)
{
    data_folder_tree_path(&disks->folder, generation, path);
}

enum status disks_dump_path(struct disks *disks, const char *name, char *path, struct error *error)
{
    return data_folder_dump_path(&disks->folder, name, path, error);
}

enum status
disks_dump_read(const char *path, uint64_t offset, void *buffer, size_t size, struct error *error)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = file < 0 ? -1 : pread(file, buffer, size, (off_t)offset);
    int reason = errno;

    if (file >= 0) {
        (void)close(file);
    }
    if (got < 0 || (size_t)got != size) {
        return error_set(error, STATUS_IO, "cannot read %.300s at %llu: %s", path,
                         (unsigned long long)offset, got < 0 ? strerror(reason) : "it is shorter");
    }
    return STATUS_OK;
}

enum status
disks_dump_write(const char *path, uint64_t offset, struct bytes bytes, struct error *error)
{
    int flags = O_WRONLY | O_CLOEXEC | (offset == 0 ? O_CREAT | O_TRUNC : 0);
    int file = open(path, flags, 0600);
    ssize_t put = file < 0 ? -1 : pwrite(file, bytes.data, bytes.size, (off_t)offset);
    int reason = errno;

    if (file >= 0 && close(file) != 0) {
        reason = errno;
        put = -1;
    }
    if (put < 0 || (size_t)put != bytes.size) {
        bool full = put >= 0 || reason == ENOSPC;

        return error_set(error, full ? STATUS_NO_SPACE : STATUS_IO, "cannot write %.300s: %s", path,
                         full ? "the disk is full" : strerror(reason));
    }
    return STATUS_OK;
}

void disks_dump_remove(const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT) {
        log_event(LOG_LEVEL_WARN, "dump_not_removed", "path=%s reason=%s", log_quote(path),
                  log_quote(strerror(errno)));
    }
}

static bool is_roomy(uint64_t used_bytes, uint64_t map_bytes)
{
    return used_bytes / SPACE_TENTHS_MAX < map_bytes / 10;
}

/* The tree with what is to be written. LMDB copies each page that a transaction changes and frees
 * the old ones for a later transaction: a record costs a page more for that time, all of them
 * together at most what there is. */
static bool
is_tree_roomy(const struct tree_store *store, uint64_t unwritten_records, uint64_t unwritten_bytes)
{
    uint64_t used_bytes = tree_store_used_bytes(store);
    uint64_t copied_bytes = unwritten_records * TREE_PAGE_BYTES;

    if (copied_bytes > used_bytes) {
        copied_bytes = used_bytes;
    }
    return is_roomy(used_bytes + copied_bytes + unwritten_bytes, tree_store_map_bytes(store));
}

/* Writes of the log that are held up for want of space. */
static bool log_waits(struct disks *disks)
{
    struct error error;
    bool waits = log_thread_waits_for_space(disks->log_thread, &error);

    if (waits && !disks->log_waits) {
        log_event(LOG_LEVEL_ERROR, "log_waits", "reason=%s", log_quote(error.text));
    }
    disks->log_waits = waits;
    return waits;
}

struct node_space
disks_space(struct disks *disks, uint64_t unwritten_records, uint64_t unwritten_bytes)
{
    struct error ignored;
    uint64_t free_bytes = 0;
    struct node_space space = {
        .is_enough = !log_waits(disks) &&
                     data_folder_free_bytes(&disks->folder, &free_bytes, &ignored) == STATUS_OK &&
                     free_bytes >= disks->options.reserve_bytes &&
                     is_roomy(log_store_used_bytes(disks->log), log_store_map_bytes(disks->log))};

    for (size_t i = 0; i < TREES_MAX; i++) {
        const struct tree_store *store = disks->trees[i].store;

        space.is_tree_full =
            space.is_tree_full ||
            (store != NULL && !is_tree_roomy(store, unwritten_records, unwritten_bytes));
    }
    space.is_enough = space.is_enough && !space.is_tree_full;
    return space;
}
