/* The two disk threads, and what a crash makes of their jobs. */
#include "tests/simulation/disk_internal.h"

#include "base/alloc.h"
#include "base/check.h"

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

static bool
waits(struct disk *disk, struct timeline_event *event, void (*run)(struct timeline_event *event))
{
    if (disk->timeline->now_us >= disk->stalled_until_us) {
        return false;
    }
    timeline_after(disk->timeline, event, disk->stalled_until_us - disk->timeline->now_us, run);
    return true;
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

    if (waits(disk, event, finish_batch) || !disk_begins(disk)) {
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
        disk_die(disk);
        return;
    }
    make_batch_durable(disk);
    if (!disk_ends(disk)) {
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

static void start_checkpoint(struct job_line *line);

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

    CHECK(disk_find_image(disk, generation) == NULL);
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
    } else if (disk->full || disk_map_is_full(disk)) {
        (void)error_set(&job->error, STATUS_NO_SPACE, "the modelled %s is full",
                        disk->full ? "disk" : "map");
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
    case CHECKPOINT_JOB_SCRUB:
        scrub(disk, image_of(job->store), job);
        break;
    }
}

static struct checkpoint_job *first_job(struct job_line *line)
{
    return CONTAINER_OF(line->jobs.next, struct checkpoint_job, link);
}

static void finish_checkpoint(struct timeline_event *event)
{
    struct job_line *line = CONTAINER_OF(event, struct job_line, event);
    struct disk *disk = line->disk;
    struct checkpoint_job *job = first_job(line);

    if (waits(disk, event, finish_checkpoint) || !disk_begins(disk)) {
        return;
    }
    if (!line->is_done) {
        do_checkpoint(disk, job);
    }
    if (!disk_ends(disk)) {
        return;
    }
    list_remove(&job->link);
    start_checkpoint(line);
    disk->observer.on_checkpoint_done(disk->observer.context, job);
}

static void start_checkpoint(struct job_line *line)
{
    struct disk *disk = line->disk;

    if (list_is_empty(&line->jobs) || timeline_due(&line->event) != UINT64_MAX) {
        return;
    }
    /* A dump is of one moment while it is written: its beginning, or its end. */
    line->is_done = line == &disk->dumps && !disk->halted && timeline_chance(&disk->prng, 500);
    if (line->is_done) {
        do_checkpoint(disk, first_job(line));
    }
    timeline_after(disk->timeline, &line->event,
                   disk->slowness * timeline_delay(&disk->prng, 4 * disk->write_us),
                   finish_checkpoint);
}

void disk_submit_checkpoint(struct disk *disk, struct checkpoint_job *job)
{
    struct job_line *line = job->kind == CHECKPOINT_JOB_DUMP ? &disk->dumps : &disk->checkpoints;

    list_append(&line->jobs, &job->link);
    start_checkpoint(line);
}

/* --- Slowness, and a crash --- */

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
        hasten(disk, &disk->checkpoints.event, finish_checkpoint);
        hasten(disk, &disk->dumps.event, finish_checkpoint);
        LIST_FOR_EACH (link, &disk->reads) {
            hasten(disk, &CONTAINER_OF(link, struct read_under_way, link)->event, finish_read);
        }
    }
}

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

static void crash_checkpoints(struct job_line *line, struct list *checkpoint_jobs)
{
    struct disk *disk = line->disk;
    bool is_first = true;

    timeline_cancel(disk->timeline, &line->event);
    LIST_FOR_EACH (link, &line->jobs) {
        struct checkpoint_job *job = CONTAINER_OF(link, struct checkpoint_job, link);

        if (is_first && !line->is_done && timeline_chance(&disk->prng, 500) && !disk->halted) {
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
    crash_checkpoints(&disk->checkpoints, checkpoint_jobs);
    crash_checkpoints(&disk->dumps, checkpoint_jobs);
    disk->halted = false;
    disk->told_error = disk->fails_reads;
    disk->crash_count = 0;
    disk->fails_log = false;
    disk->fails_checkpoint = false;
}
