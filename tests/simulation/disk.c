#include "tests/simulation/disk.h"

#include "base/alloc.h"
#include "base/check.h"
#include "tests/simulation/dump_files.h"
#include "tests/simulation/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPACE_RETRY_US = 100 * 1000 };

/* One reading thread: each read ends by itself. */
struct read_under_way {
    struct list link;
    struct timeline_event event;
    struct disk *disk;
    struct log_job *job;
};

struct disk {
    struct timeline *timeline;
    struct prng prng;
    struct disk_observer observer;
    uint64_t write_us;
    uint64_t slowness;
    uint64_t stalled_until_us;
    bool full;
    bool full_log;
    uint64_t crash_count; /* operations until the ordered crash; 0 = none ordered */
    bool crash_after;
    bool fails_log;
    bool fails_checkpoint;
    bool failed_write_done;
    bool fails_reads;
    bool damaged;          /* something on it is, or was */
    bool told_error;       /* the process got one that it has not died of yet */
    bool halted;           /* the process is dead, nothing reaches the disk any more */
    struct stores *stores; /* NULL: the model alone */
    struct journal *journal;
    struct list writes;      /* submitted, in order */
    struct list done_writes; /* durable, not yet reported */
    size_t batch_count;      /* of them are in the transaction under way */
    struct timeline_event write_event;
    struct list reads;
    struct list checkpoints; /* the first is under way */
    struct timeline_event checkpoint_event;
    struct list images;
    struct dump_files files;
};

struct disk *disk_new(struct timeline *timeline,
                      uint64_t seed,
                      uint64_t write_us,
                      struct stores *stores,
                      const struct disk_observer *observer)
{
    struct disk *disk = xcalloc(1, sizeof *disk);

    disk->timeline = timeline;
    prng_init(&disk->prng, seed);
    disk->observer = *observer;
    disk->write_us = write_us;
    disk->slowness = 1;
    disk->stores = stores;
    disk->journal = journal_new(&disk->prng, stores, &observer->journal);
    list_init(&disk->writes);
    list_init(&disk->done_writes);
    list_init(&disk->reads);
    list_init(&disk->checkpoints);
    list_init(&disk->images);
    dump_files_init(&disk->files);
    return disk;
}

static struct image *find_image(const struct disk *disk, uint64_t generation)
{
    LIST_FOR_EACH (link, &disk->images) {
        if (CONTAINER_OF(link, struct image, link)->generation == generation) {
            return CONTAINER_OF(link, struct image, link);
        }
    }
    return NULL;
}

struct disk *disk_copy(const struct disk *disk, uint64_t seed)
{
    const struct image *image = find_image(disk, disk_identity(disk)->tree_generation);
    struct disk *copy =
        disk_new(disk->timeline, seed, disk->write_us,
                 disk->stores == NULL ? NULL : stores_copy(disk->stores), &disk->observer);
    struct image *image_of_copy;

    journal_take(copy->journal, disk->journal);
    if (image != NULL) {
        image_of_copy = image_copy(image);
        list_append(&copy->images, &image_of_copy->link);
    }
    return copy;
}

void disk_free(struct disk *disk)
{
    CHECK(list_is_empty(&disk->writes) && list_is_empty(&disk->reads));
    CHECK(list_is_empty(&disk->checkpoints));
    LIST_FOR_EACH (link, &disk->images) {
        image_free(CONTAINER_OF(link, struct image, link));
    }
    dump_files_clear(&disk->files);
    journal_free(disk->journal);
    stores_free(disk->stores);
    free(disk);
}

/* --- Operations that may be the last --- */

static void die(struct disk *disk)
{
    disk->halted = true;
    disk->observer.on_death(disk->observer.context);
}

/* Called where something becomes durable. False: it must not happen any more. */
static bool begins(struct disk *disk)
{
    if (disk->halted) {
        return false;
    }
    if (disk->crash_count == 1 && !disk->crash_after) {
        disk->crash_count = 0;
        die(disk);
        return false;
    }
    return true;
}

/* Called when it happened. False: the process is dead now. */
static bool ends(struct disk *disk)
{
    if (disk->crash_count > 0 && --disk->crash_count == 0) {
        die(disk);
        return false;
    }
    return true;
}

static bool
waits(struct disk *disk, struct timeline_event *event, void (*run)(struct timeline_event *event))
{
    if (disk->timeline->now_us >= disk->stalled_until_us) {
        return false;
    }
    timeline_after(disk->timeline, event, disk->stalled_until_us - disk->timeline->now_us, run);
    return true;
}

/* --- What is durable --- */

const struct journal_identity *disk_identity(const struct disk *disk)
{
    return journal_identity(disk->journal);
}

void disk_set_cluster(struct disk *disk, const uint8_t cluster_id[LOG_STORE_CLUSTER_ID_BYTES])
{
    if (begins(disk)) {
        journal_set_cluster(disk->journal, cluster_id);
        (void)ends(disk);
    }
}

void disk_condemn(struct disk *disk, uint64_t generation)
{
    if (begins(disk)) {
        journal_condemn(disk->journal, generation);
        (void)ends(disk);
    }
}

void disk_supersede(struct disk *disk)
{
    if (begins(disk)) {
        journal_supersede(disk->journal);
        (void)ends(disk);
    }
}

void disk_must_refuse(const struct disk *disk)
{
    if (disk->stores != NULL) {
        stores_must_refuse(disk->stores);
    }
}

bool disk_is_condemned(const struct disk *disk)
{
    const struct journal_identity *identity = disk_identity(disk);

    return identity->is_condemned && identity->condemned_generation == identity->tree_generation;
}

struct log_state disk_log(const struct disk *disk)
{
    return journal_state(disk->journal);
}

const struct journal_entry *disk_entry(const struct disk *disk, raft_index index)
{
    return journal_entry_at(disk->journal, index);
}

raft_term disk_term(const struct disk *disk, raft_index index)
{
    return journal_term(disk->journal, index);
}

/* --- The log thread --- */

static void start_batch(struct disk *disk);

static struct disk *disk_of_write(struct timeline_event *event)
{
    return CONTAINER_OF(event, struct disk, write_event);
}

/* One transaction: all of it, or nothing. */
static void make_batch_durable(struct disk *disk)
{
    const struct log_write **writes = xcalloc(disk->batch_count, sizeof *writes);

    size_t count = 0;

    LIST_FOR_EACH (link, &disk->writes) {
        if (count == disk->batch_count) {
            break;
        }
        writes[count++] = &CONTAINER_OF(link, struct log_job, link)->write;
        list_remove(link);
        list_append(&disk->done_writes, link);
    }
    journal_write(disk->journal, writes, count);
    disk->batch_count = 0;
    free(writes);
}

static void finish_batch(struct timeline_event *event)
{
    struct disk *disk = disk_of_write(event);
    struct list done;

    if (waits(disk, event, finish_batch) || !begins(disk)) {
        return;
    }
    if (disk->full_log) {
        timeline_after(disk->timeline, event, SPACE_RETRY_US, finish_batch);
        return;
    }
    if (disk->fails_log) {
        if (disk->failed_write_done) {
            make_batch_durable(disk);
        }
        die(disk);
        return;
    }
    make_batch_durable(disk);
    if (!ends(disk)) {
        return;
    }
    list_init(&done);
    while (!list_is_empty(&disk->done_writes)) {
        list_append(&done, list_take_first(&disk->done_writes));
    }
    start_batch(disk);
    while (!list_is_empty(&done)) {
        disk->observer.on_log_done(disk->observer.context,
                                   CONTAINER_OF(list_take_first(&done), struct log_job, link));
    }
}

static void start_batch(struct disk *disk)
{
    if (disk->batch_count > 0 || list_is_empty(&disk->writes)) {
        return;
    }
    LIST_FOR_EACH (link, &disk->writes) {
        disk->batch_count++;
    }
    timeline_after(disk->timeline, &disk->write_event,
                   disk->slowness * timeline_delay(&disk->prng, disk->write_us), finish_batch);
}

static void serve_read(struct disk *disk, struct log_job *job)
{
    if (disk->fails_reads && journal_holds(disk->journal, job->first, job->last)) {
        disk->told_error = true;
        job->read_status = error_set(&job->read_error, STATUS_IO, "the modelled disk fails");
    } else {
        journal_read(disk->journal, job);
    }
}

static void finish_read(struct timeline_event *event)
{
    struct read_under_way *read = CONTAINER_OF(event, struct read_under_way, event);
    struct disk *disk = read->disk;
    struct log_job *job = read->job;

    if (waits(disk, event, finish_read) || disk->halted) {
        return;
    }
    list_remove(&read->link);
    free(read);
    serve_read(disk, job);
    disk->observer.on_log_done(disk->observer.context, job);
}

void disk_submit_log(struct disk *disk, struct log_job *job)
{
    struct read_under_way *read;

    if (job->kind == LOG_JOB_WRITE) {
        list_append(&disk->writes, &job->link);
        start_batch(disk);
        return;
    }
    read = xcalloc(1, sizeof *read);
    read->disk = disk;
    read->job = job;
    list_append(&disk->reads, &read->link);
    timeline_after(disk->timeline, &read->event,
                   disk->slowness * timeline_delay(&disk->prng, disk->write_us / 4 + 1),
                   finish_read);
}

/* --- The checkpoint thread --- */

static void start_checkpoint(struct disk *disk);

static uint64_t generation_of(const char *tree_path)
{
    return strtoull(strrchr(tree_path, '-') + 1, NULL, 10);
}

static enum status install_model(struct disk *disk,
                                 const struct checkpoint_job *job,
                                 uint64_t generation,
                                 struct image **ret_image,
                                 struct error *error)
{
    const struct buffer *file = dump_files_find(&disk->files, job->dump_path);

    if (file == NULL) {
        return error_set(error, STATUS_NOT_FOUND, "no dump at %s", job->dump_path);
    }
    return image_from_dump(buffer_lend(file), job->cluster_id, job->check_record, generation,
                           ret_image, error);
}

static void install(struct disk *disk, struct checkpoint_job *job)
{
    uint64_t generation = generation_of(job->tree_path);
    struct image *image;

    CHECK(find_image(disk, generation) == NULL);
    if (disk->stores != NULL) {
        checkpoint_job_run(job);
        if (job->error.status == STATUS_OK) {
            image = image_of_stored(disk->stores, generation);
        }
    } else {
        (void)!install_model(disk, job, generation, &image, &job->error);
    }
    if (job->error.status == STATUS_OK) {
        list_append(&disk->images, &image->link);
    }
}

static void dump_model(struct disk *disk, const struct image *image, struct checkpoint_job *job)
{
    struct buffer *file = dump_files_make(&disk->files, job->dump_path);

    buffer_clear(file);
    image_dump(image, job->cluster_id, file);
    job->dump_bytes = file->size;
    job->meta = image->durable_meta;
    buffer_clear(&job->config);
    buffer_put(&job->config, image->durable_meta.config);
    job->meta.config = buffer_lend(&job->config);
}

/* The thread's work, on the store that the image stands for. */
static void run_stored(struct image *image, struct checkpoint_job *job)
{
    struct tree_store *handle = job->store;

    job->store = image->stored;
    checkpoint_job_run(job);
    job->store = handle;
    stores_must(image->stores, job->error.status, &job->error);
}

/* The model says what a slice finds, and it sees all at once; the shipped store must find the same.
 */
static void scrub(struct disk *disk, struct image *image, struct checkpoint_job *job)
{
    struct checkpoint_job stored = *job;

    if (disk->fails_reads) {
        disk->told_error = true;
        (void)error_set(&job->error, STATUS_IO, "the modelled disk fails");
        return;
    }
    image_scrub(image, job->weigh, &job->scrubbed, &job->error);
    if (image->stored != NULL && !image_is_damaged(image)) {
        stored.store = image->stored;
        checkpoint_job_run(&stored);
        if (stored.error.status != job->error.status &&
            (stored.scrubbed.finished || stored.error.status != STATUS_OK)) {
            stores_differ(image->stores, "verified: %s, not %s", status_text(stored.error.status),
                          status_text(job->error.status));
        }
    }
}

static bool adds_up(const struct image *image, struct checkpoint_job *job)
{
    struct tree_scrub_slice slice;

    if (job->weigh != NULL) {
        image_scrub(image, job->weigh, &slice, &job->error);
    }
    return job->error.status == STATUS_OK;
}

static void dump(struct disk *disk, struct image *image, struct checkpoint_job *job)
{
    if (!disk->full && !adds_up(image, job)) {
        return;
    }
    if (disk->full || image_is_damaged(image)) {
        (void)error_set(&job->error, disk->full ? STATUS_NO_SPACE : STATUS_CORRUPT,
                        "the modelled disk is %s", disk->full ? "full" : "damaged");
    } else if (image->stored != NULL) {
        run_stored(image, job);
        image_check_meta(image, &job->meta);
    } else {
        dump_model(disk, image, job);
    }
}

static void commit(struct image *image, struct checkpoint_job *job)
{
    if (image->stored != NULL) {
        run_stored(image, job);
    }
    image_commit(image, job->records, job->record_count, &job->meta);
}

static void try_commit(struct disk *disk, struct image *image, struct checkpoint_job *job)
{
    if (disk->fails_checkpoint) {
        disk->told_error = true;
        if (disk->failed_write_done) {
            commit(image, job);
        }
        (void)error_set(&job->error, STATUS_IO, "the modelled disk fails");
    } else if (disk->full) {
        (void)error_set(&job->error, STATUS_NO_SPACE, "the modelled disk is full");
    } else {
        commit(image, job);
    }
}

static void do_checkpoint(struct disk *disk, struct checkpoint_job *job)
{
    job->error.status = STATUS_OK;
    switch (job->kind) {
    case CHECKPOINT_JOB_COMMIT:
        try_commit(disk, image_of(job->store), job);
        break;
    case CHECKPOINT_JOB_DUMP:
        dump(disk, image_of(job->store), job);
        break;
    case CHECKPOINT_JOB_INSTALL:
        install(disk, job);
        break;
    case CHECKPOINT_JOB_TOUCH:
        if (disk->stores != NULL) {
            run_stored(image_of(job->store), job);
        }
        break;
    case CHECKPOINT_JOB_SCRUB:
        scrub(disk, image_of(job->store), job);
        break;
    }
}

static void finish_checkpoint(struct timeline_event *event)
{
    struct disk *disk = CONTAINER_OF(event, struct disk, checkpoint_event);
    struct checkpoint_job *job = CONTAINER_OF(disk->checkpoints.next, struct checkpoint_job, link);

    if (waits(disk, event, finish_checkpoint) || !begins(disk)) {
        return;
    }
    do_checkpoint(disk, job);
    if (!ends(disk)) {
        return;
    }
    list_remove(&job->link);
    start_checkpoint(disk);
    disk->observer.on_checkpoint_done(disk->observer.context, job);
}

static void start_checkpoint(struct disk *disk)
{
    if (!list_is_empty(&disk->checkpoints) && timeline_due(&disk->checkpoint_event) == UINT64_MAX) {
        timeline_after(disk->timeline, &disk->checkpoint_event,
                       disk->slowness * timeline_delay(&disk->prng, 4 * disk->write_us),
                       finish_checkpoint);
    }
}

void disk_submit_checkpoint(struct disk *disk, struct checkpoint_job *job)
{
    list_append(&disk->checkpoints, &job->link);
    start_checkpoint(disk);
}

/* What was begun when the disk was slower needs no longer than it would now. */
static void
hasten(struct disk *disk, struct timeline_event *event, void (*run)(struct timeline_event *event))
{
    uint64_t due_us = timeline_due(event);

    if (due_us != UINT64_MAX && due_us > disk->timeline->now_us + disk->write_us) {
        timeline_after(disk->timeline, event, disk->write_us, run);
    }
}

void disk_set_slowness(struct disk *disk, uint64_t factor)
{
    disk->slowness = factor;
    if (factor == 1) {
        hasten(disk, &disk->write_event, finish_batch);
        hasten(disk, &disk->checkpoint_event, finish_checkpoint);
        LIST_FOR_EACH (link, &disk->reads) {
            hasten(disk, &CONTAINER_OF(link, struct read_under_way, link)->event, finish_read);
        }
    }
}

void disk_stall_until(struct disk *disk, uint64_t until_us)
{
    disk->stalled_until_us = until_us;
}

void disk_set_full(struct disk *disk, bool full, bool log)
{
    disk->full = full;
    disk->full_log = full && log;
}

void disk_crash_at(struct disk *disk, uint64_t count, bool done)
{
    disk->crash_count = count;
    disk->crash_after = done;
}

void disk_fail_write(struct disk *disk, bool of_log, bool done)
{
    disk->fails_log = of_log;
    disk->fails_checkpoint = !of_log;
    disk->failed_write_done = done;
}

void disk_fail_reads(struct disk *disk, bool fail)
{
    disk->fails_reads = fail;
    disk->told_error |= fail;
    LIST_FOR_EACH (link, &disk->images) {
        image_fail_reads(CONTAINER_OF(link, struct image, link), fail);
    }
}

bool disk_flip(struct disk *disk, uint64_t seed)
{
    bool has_entries = disk_log(disk).last > disk_log(disk).base;
    struct image *image = find_image(disk, disk_identity(disk)->tree_generation);
    struct prng prng;

    prng_init(&prng, seed);
    if (timeline_chance(&prng, 100)) {
        journal_damage_hard_state(disk->journal);
    } else if (has_entries && timeline_chance(&prng, 600)) {
        journal_damage_entry(disk->journal, &prng);
    } else if (image == NULL || !image_damage(image, prng_next(&prng))) {
        return false;
    }
    disk->damaged = true;
    return true;
}

void disk_heal(struct disk *disk)
{
    disk_stall_until(disk, 0);
    disk_set_slowness(disk, 1);
    disk_set_full(disk, false, false);
    disk_fail_reads(disk, false);
    disk_crash_at(disk, 0, false);
    disk->fails_log = false;
    disk->fails_checkpoint = false;
}

bool disk_is_damaged(const struct disk *disk)
{
    return disk->damaged;
}

bool disk_is_unsound(const struct disk *disk)
{
    return disk->damaged || disk->fails_reads || disk->fails_checkpoint || disk->halted ||
           disk->told_error;
}

static void weigh(struct bytes key, struct bytes value, uint64_t *count, uint64_t *sum)
{
    struct state_digest share = state_digest_share(key, value);

    *count += share.record_count;
    *sum += share.sum;
}

uint64_t disk_surplus(struct disk *disk)
{
    const struct image *image = find_image(disk, disk_identity(disk)->tree_generation);
    uint64_t count;
    uint64_t sum;

    if (image == NULL) {
        return 0;
    }
    image_weigh(image, weigh, &count, &sum);
    return image->durable_meta.record_sum - sum;
}

enum status disk_boot_status(const struct disk *disk)
{
    if (disk->fails_reads) {
        return STATUS_IO;
    }
    if (disk->full_log) {
        return STATUS_NO_SPACE;
    }
    if (disk_identity(disk)->is_superseded) {
        return STATUS_MISMATCH;
    }
    return journal_is_damaged(disk->journal) ? STATUS_CORRUPT : STATUS_OK;
}

bool disk_is_full(const struct disk *disk)
{
    return disk->full;
}

/* --- A crash --- */

static void crash_log(struct disk *disk, struct list *log_jobs)
{
    size_t pending = 0;
    uint64_t kept;

    timeline_cancel(disk->timeline, &disk->write_event);
    LIST_FOR_EACH (link, &disk->writes) {
        pending++;
    }
    kept = prng_below(&disk->prng, pending + 1);
    if (disk->halted) {
        kept = 0;
    }
    while (!list_is_empty(&disk->done_writes)) {
        list_append(log_jobs, list_take_first(&disk->done_writes));
    }
    LIST_FOR_EACH (link, &disk->writes) {
        if (kept > 0) {
            const struct log_write *write = &CONTAINER_OF(link, struct log_job, link)->write;

            journal_write(disk->journal, &write, 1);
            kept--;
        }
        list_remove(link);
        list_append(log_jobs, link);
    }
    disk->batch_count = 0;
    while (!list_is_empty(&disk->reads)) {
        struct read_under_way *read =
            CONTAINER_OF(list_take_first(&disk->reads), struct read_under_way, link);

        timeline_cancel(disk->timeline, &read->event);
        read->job->read_status = STATUS_NOT_FOUND;
        list_append(log_jobs, &read->job->link);
        free(read);
    }
}

static void crash_checkpoints(struct disk *disk, struct list *checkpoint_jobs)
{
    bool is_first = true;

    timeline_cancel(disk->timeline, &disk->checkpoint_event);
    LIST_FOR_EACH (link, &disk->checkpoints) {
        struct checkpoint_job *job = CONTAINER_OF(link, struct checkpoint_job, link);

        if (is_first && timeline_chance(&disk->prng, 500) && !disk->halted) {
            do_checkpoint(disk, job);
        }
        is_first = false;
        (void)error_set(&job->error,
                        job->kind == CHECKPOINT_JOB_COMMIT ? STATUS_NO_SPACE : STATUS_IO,
                        "the process died");
        list_remove(link);
        list_append(checkpoint_jobs, link);
    }
}

void disk_crash(struct disk *disk, struct list *log_jobs, struct list *checkpoint_jobs)
{
    crash_log(disk, log_jobs);
    crash_checkpoints(disk, checkpoint_jobs);
    disk->halted = false;
    disk->told_error = disk->fails_reads;
    disk->crash_count = 0;
    disk->fails_log = false;
    disk->fails_checkpoint = false;
}

static void sweep(struct disk *disk)
{
    LIST_FOR_EACH (link, &disk->images) {
        struct image *image = CONTAINER_OF(link, struct image, link);

        CHECK(!image->is_open);
        if (image->generation != disk_identity(disk)->tree_generation) {
            list_remove(link);
            image_free(image);
        }
    }
    dump_files_clear(&disk->files);
}

void disk_open(struct disk *disk)
{
    sweep(disk);
    if (disk->stores != NULL) {
        stores_open(disk->stores);
    }
    journal_on_open(disk->journal);
}

void disk_close(struct disk *disk)
{
    if (disk->stores != NULL) {
        stores_close(disk->stores);
    }
}

void disk_visit(const struct disk *disk,
                enum status (*visit)(void *context, const struct log_entry *entry),
                void *context)
{
    journal_visit(disk->journal, visit, context);
}

/* --- Checkpoints and files --- */

struct tree_store *disk_tree_open(struct disk *disk, uint64_t generation)
{
    struct image *image = find_image(disk, generation);

    if (disk->fails_reads) {
        return NULL;
    }
    if (image == NULL) {
        image = image_new(generation);
        list_append(&disk->images, &image->link);
    }
    image_open(image, disk->stores);
    return image_handle(image);
}

void disk_tree_close(struct disk *disk, struct tree_store *tree, bool remove_files)
{
    struct image *image = image_of(tree);
    bool is_removed = remove_files && begins(disk);

    image_close(image, is_removed);
    if (is_removed) {
        CHECK_OP(image->generation, !=, disk_identity(disk)->tree_generation);
        list_remove(&image->link);
        image_free(image);
        (void)ends(disk);
    }
}

struct state_source *disk_tree_source(struct tree_store *tree)
{
    return &image_of(tree)->source;
}

bool disk_tree_renew(struct disk *disk, struct tree_store *tree)
{
    if (disk->fails_reads) {
        return false;
    }
    image_renew(image_of(tree));
    return true;
}

struct tree_meta disk_tree_meta(struct tree_store *tree)
{
    return image_of(tree)->shown_meta;
}

void disk_tree_path(const struct disk *disk, uint64_t generation, char *path)
{
    if (disk->stores != NULL) {
        disks_tree_path(stores_disks(disk->stores), generation, path);
    } else {
        (void)snprintf(path, DATA_FOLDER_PATH_BYTES_MAX, "tree-%" PRIu64, generation);
    }
}

void disk_dump_path(const struct disk *disk, const char *name, char *path)
{
    struct error error;

    if (disk->stores != NULL) {
        stores_must(disk->stores, disks_dump_path(stores_disks(disk->stores), name, path, &error),
                    &error);
    } else {
        (void)snprintf(path, DATA_FOLDER_PATH_BYTES_MAX, "dumps/%s", name);
    }
}

enum status disk_file_read(struct disk *disk,
                           const char *path,
                           uint64_t offset,
                           void *buffer,
                           size_t size,
                           struct error *error)
{
    const struct buffer *file = dump_files_find(&disk->files, path);

    if (disk->stores != NULL && !disk->fails_reads) {
        return disks_dump_read(path, offset, buffer, size, error);
    }
    if (disk->fails_reads || file == NULL || offset > file->size || size > file->size - offset) {
        return error_set(error, STATUS_IO, "cannot read %zu bytes of %s", size, path);
    }
    if (size > 0) {
        memcpy(buffer, file->data + offset, size);
    }
    return STATUS_OK;
}

static enum status write_model(
    struct disk *disk, const char *path, uint64_t offset, struct bytes bytes, struct error *error)
{
    struct buffer *file =
        offset == 0 ? dump_files_make(&disk->files, path) : dump_files_find(&disk->files, path);

    if (file == NULL || offset > file->size) {
        return error_set(error, STATUS_IO, "cannot write %s", path);
    }
    file->size = offset;
    buffer_put(file, bytes);
    return STATUS_OK;
}

enum status disk_file_write(
    struct disk *disk, const char *path, uint64_t offset, struct bytes bytes, struct error *error)
{
    enum status status;

    if (disk->full) {
        return error_set(error, STATUS_NO_SPACE, "the modelled disk is full");
    }
    if (!begins(disk)) {
        return STATUS_OK;
    }
    status = disk->stores != NULL ? disks_dump_write(path, offset, bytes, error)
                                  : write_model(disk, path, offset, bytes, error);
    (void)ends(disk);
    return status;
}

void disk_file_remove(struct disk *disk, const char *path)
{
    if (disk->stores != NULL) {
        disks_dump_remove(path);
    } else {
        dump_files_remove(&disk->files, path);
    }
}
