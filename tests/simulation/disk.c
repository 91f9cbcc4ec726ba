#include "tests/simulation/disk.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/checksum.h"
#include "tests/simulation/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPACE_RETRY_US = 100 * 1000 };

struct disk_file {
    struct list link;
    char *path;
    struct buffer bytes;
};

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
    bool damaged; /* something on it is, or was */
    bool damaged_hard_state;
    bool told_error; /* the process got one that it has not died of yet */
    bool halted;     /* the process is dead, nothing reaches the disk any more */
    struct disk_identity identity;
    struct log_state log;
    struct disk_entry *entries; /* log.base + 1 .. log.last */
    size_t capacity;
    struct list writes;      /* submitted, in order */
    struct list done_writes; /* durable, not yet reported */
    size_t batch_count;      /* of them are in the transaction under way */
    struct timeline_event write_event;
    struct list reads;
    struct list checkpoints; /* the first is under way */
    struct timeline_event checkpoint_event;
    struct list trees;
    struct list files;
};

struct disk *disk_new(struct timeline *timeline,
                      uint64_t seed,
                      uint64_t write_us,
                      const struct disk_observer *observer)
{
    struct disk *disk = xcalloc(1, sizeof *disk);

    disk->timeline = timeline;
    prng_init(&disk->prng, seed);
    disk->observer = *observer;
    disk->write_us = write_us;
    disk->slowness = 1;
    disk->identity.tree_generation = 1;
    list_init(&disk->writes);
    list_init(&disk->done_writes);
    list_init(&disk->reads);
    list_init(&disk->checkpoints);
    list_init(&disk->trees);
    list_init(&disk->files);
    return disk;
}

static void file_free(struct disk_file *file)
{
    list_remove(&file->link);
    buffer_release(&file->bytes);
    free(file->path);
    free(file);
}

void disk_free(struct disk *disk)
{
    CHECK(list_is_empty(&disk->writes) && list_is_empty(&disk->reads));
    CHECK(list_is_empty(&disk->checkpoints));
    for (raft_index i = 0; i < disk->log.last - disk->log.base; i++) {
        free(disk->entries[i].data);
    }
    free(disk->entries);
    LIST_FOR_EACH (link, &disk->trees) {
        image_free(CONTAINER_OF(link, struct tree_store, link));
    }
    LIST_FOR_EACH (link, &disk->files) {
        file_free(CONTAINER_OF(link, struct disk_file, link));
    }
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

const struct disk_identity *disk_identity(const struct disk *disk)
{
    return &disk->identity;
}

void disk_set_cluster(struct disk *disk, const uint8_t cluster_id[16])
{
    if (begins(disk)) {
        disk->identity.has_cluster = true;
        memcpy(disk->identity.cluster_id, cluster_id, 16);
        (void)ends(disk);
    }
}

struct log_state disk_log(const struct disk *disk)
{
    return disk->log;
}

const struct disk_entry *disk_entry(const struct disk *disk, raft_index index)
{
    if (index <= disk->log.base || index > disk->log.last) {
        return NULL;
    }
    return &disk->entries[index - disk->log.base - 1];
}

raft_term disk_term(const struct disk *disk, raft_index index)
{
    const struct disk_entry *entry = disk_entry(disk, index);

    if (entry != NULL) {
        return entry->term;
    }
    return index == disk->log.base ? disk->log.base_term : 0;
}

static void truncate_from(struct disk *disk, raft_index first)
{
    CHECK_OP(first, >, disk->log.base);
    if (first > disk->log.last) {
        return;
    }
    disk->observer.on_truncate(disk->observer.context, first);
    while (disk->log.last >= first) {
        free(disk->entries[disk->log.last - disk->log.base - 1].data);
        disk->log.last--;
    }
}

static void append(struct disk *disk, const struct log_entry *entry)
{
    size_t count = (size_t)(disk->log.last - disk->log.base);
    uint8_t type = (uint8_t)entry->type;

    CHECK_OP(entry->index, ==, disk->log.last + 1);
    if (count == disk->capacity) {
        disk->capacity = disk->capacity == 0 ? 64 : 2 * disk->capacity;
        disk->entries = xrealloc(disk->entries, disk->capacity * sizeof *disk->entries);
    }
    disk->entries[count] =
        (struct disk_entry){.term = entry->term,
                            .type = entry->type,
                            .sum = checksum_pair(bytes_of(&type, 1), entry->payload),
                            .size = (uint32_t)entry->payload.size,
                            .data = bytes_copy(entry->payload)};
    disk->log.last++;
    disk->observer.on_append(disk->observer.context, entry->index);
}

static void drop_front(struct disk *disk, size_t count)
{
    size_t held = (size_t)(disk->log.last - disk->log.base);

    CHECK_OP(count, <=, held);
    if (count == 0) {
        return;
    }
    disk->log.base_term = disk->entries[count - 1].term;
    for (size_t i = 0; i < count; i++) {
        free(disk->entries[i].data);
    }
    memmove(disk->entries, disk->entries + count, (held - count) * sizeof *disk->entries);
    disk->log.base += count;
}

/* Some of what may go goes, as the store does it. */
static void trim(struct disk *disk, raft_index until, size_t appended)
{
    uint64_t count_max = 3 * appended + prng_below(&disk->prng, 64);

    if (until > disk->log.base && until <= disk->log.last) {
        uint64_t count = until - disk->log.base;

        drop_front(disk, (size_t)(count < count_max ? count : count_max));
    }
}

static void reset(struct disk *disk, const struct log_write *write)
{
    disk->observer.on_reset(disk->observer.context, write->reset_index, write->reset_term);
    drop_front(disk, (size_t)(disk->log.last - disk->log.base));
    disk->log.base = write->reset_index;
    disk->log.base_term = write->reset_term;
    disk->log.last = write->reset_index;
    disk->identity.tree_generation = write->tree_generation;
}

static void make_durable(struct disk *disk, const struct log_write *write)
{
    if (write->hard_state) {
        disk->observer.on_hard_state(disk->observer.context, write->term, write->vote);
        disk->log.term = write->term;
        disk->log.vote = write->vote;
    }
    if (write->reset) {
        reset(disk, write);
    }
    if (write->entry_count > 0) {
        truncate_from(disk, write->entries[0].index);
    }
    for (size_t i = 0; i < write->entry_count; i++) {
        append(disk, &write->entries[i]);
    }
    trim(disk, write->trim, write->entry_count);
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
    LIST_FOR_EACH (link, &disk->writes) {
        if (disk->batch_count == 0) {
            break;
        }
        list_remove(link);
        make_durable(disk, &CONTAINER_OF(link, struct log_job, link)->write);
        list_append(&disk->done_writes, link);
        disk->batch_count--;
    }
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

static const struct disk_entry *held_entry(const struct disk *disk, raft_index index)
{
    CHECK(index > disk->log.base && index <= disk->log.last);
    return &disk->entries[index - disk->log.base - 1];
}

static void serve_read(struct disk *disk, struct log_job *job)
{
    uint64_t total = 0;
    size_t count = 0;

    if (job->first <= disk->log.base || job->last > disk->log.last || job->first > job->last) {
        job->read_status = error_set(&job->read_error, STATUS_NOT_FOUND, "not all there");
        return;
    }
    if (disk->fails_reads) {
        disk->told_error = true;
        job->read_status = error_set(&job->read_error, STATUS_IO, "the modelled disk fails");
        return;
    }
    for (raft_index index = job->first; index <= job->last; index++) {
        total += held_entry(disk, index)->size;
        if (count > 0 && total > job->bytes_max) {
            break;
        }
        if (held_entry(disk, index)->damaged) {
            job->read_status = error_set(&job->read_error, STATUS_CORRUPT, "a bit flipped");
            return;
        }
        count++;
        buffer_put(&job->payloads,
                   bytes_of(held_entry(disk, index)->data, held_entry(disk, index)->size));
    }
    job->entries = xcalloc(count, sizeof *job->entries);
    job->entry_count = count;
    total = 0;
    for (size_t i = 0; i < count; i++) {
        const struct disk_entry *entry = held_entry(disk, job->first + i);

        job->entries[i] = (struct log_entry){
            .index = job->first + i,
            .term = entry->term,
            .type = entry->type,
            .payload =
                entry->size == 0 ? BYTES_EMPTY : bytes_of(job->payloads.data + total, entry->size)};
        total += entry->size;
    }
    job->read_status = STATUS_OK;
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

static struct disk_file *find_file(struct disk *disk, const char *path, bool make)
{
    struct disk_file *file;

    LIST_FOR_EACH (link, &disk->files) {
        if (strcmp(CONTAINER_OF(link, struct disk_file, link)->path, path) == 0) {
            return CONTAINER_OF(link, struct disk_file, link);
        }
    }
    if (!make) {
        return NULL;
    }
    file = xcalloc(1, sizeof *file);
    file->path = xstrdup(path);
    list_append(&disk->files, &file->link);
    return file;
}

static struct tree_store *find_tree(struct disk *disk, uint64_t generation)
{
    LIST_FOR_EACH (link, &disk->trees) {
        if (CONTAINER_OF(link, struct tree_store, link)->generation == generation) {
            return CONTAINER_OF(link, struct tree_store, link);
        }
    }
    return NULL;
}

static enum status install(struct disk *disk, const struct checkpoint_job *job, struct error *error)
{
    struct disk_file *file = find_file(disk, job->dump_path, false);
    uint64_t generation = strtoull(job->tree_path + strlen("tree-"), NULL, 10);
    struct tree_store *tree;
    enum status status;

    if (file == NULL) {
        return error_set(error, STATUS_NOT_FOUND, "no dump at %s", job->dump_path);
    }
    CHECK(find_tree(disk, generation) == NULL);
    status = image_from_dump(buffer_lend(&file->bytes), job->cluster_id, job->check_record,
                             generation, &tree, error);
    if (status == STATUS_OK) {
        list_append(&disk->trees, &tree->link);
    }
    return status;
}

static void dump(struct disk *disk, struct checkpoint_job *job)
{
    struct disk_file *file = find_file(disk, job->dump_path, true);

    if (disk->full || image_is_damaged(job->store)) {
        (void)error_set(&job->error, disk->full ? STATUS_NO_SPACE : STATUS_CORRUPT,
                        "the modelled disk is %s", disk->full ? "full" : "damaged");
        return;
    }
    buffer_clear(&file->bytes);
    image_dump(job->store, job->cluster_id, &file->bytes);
    job->dump_bytes = file->bytes.size;
    job->meta = job->store->durable_meta;
    buffer_clear(&job->config);
    buffer_put(&job->config, job->store->durable_meta.config);
    job->meta.config = buffer_lend(&job->config);
}

static void do_checkpoint(struct disk *disk, struct checkpoint_job *job)
{
    job->error.status = STATUS_OK;
    switch (job->kind) {
    case CHECKPOINT_JOB_COMMIT:
        if (disk->fails_checkpoint) {
            disk->told_error = true;
            (void)error_set(&job->error, STATUS_IO, "the modelled disk fails");
            if (disk->failed_write_done) {
                image_commit(job->store, job->records, job->record_count, &job->meta);
            }
        } else if (disk->full) {
            (void)error_set(&job->error, STATUS_NO_SPACE, "the modelled disk is full");
        } else {
            image_commit(job->store, job->records, job->record_count, &job->meta);
        }
        break;
    case CHECKPOINT_JOB_DUMP:
        dump(disk, job);
        break;
    case CHECKPOINT_JOB_INSTALL:
        (void)!install(disk, job, &job->error);
        break;
    case CHECKPOINT_JOB_TOUCH:
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
    LIST_FOR_EACH (link, &disk->trees) {
        image_fail_reads(CONTAINER_OF(link, struct tree_store, link), fail);
    }
}

bool disk_flip(struct disk *disk, uint64_t seed)
{
    uint64_t entries = disk->log.last - disk->log.base;
    struct tree_store *tree = find_tree(disk, disk->identity.tree_generation);
    struct prng prng;

    prng_init(&prng, seed);
    if (timeline_chance(&prng, 100)) {
        disk->damaged_hard_state = true;
    } else if (entries > 0 && timeline_chance(&prng, 600)) {
        disk->entries[prng_below(&prng, entries)].damaged = true;
    } else if (tree == NULL || !image_damage(tree, prng_next(&prng))) {
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

enum status disk_boot_status(const struct disk *disk)
{
    if (disk->fails_reads) {
        return STATUS_IO;
    }
    if (disk->full_log) {
        return STATUS_NO_SPACE;
    }
    for (raft_index i = 0; i < disk->log.last - disk->log.base; i++) {
        if (disk->entries[i].damaged) {
            return STATUS_CORRUPT;
        }
    }
    return disk->damaged_hard_state ? STATUS_CORRUPT : STATUS_OK;
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
            make_durable(disk, &CONTAINER_OF(link, struct log_job, link)->write);
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

void disk_sweep(struct disk *disk)
{
    LIST_FOR_EACH (link, &disk->trees) {
        struct tree_store *tree = CONTAINER_OF(link, struct tree_store, link);

        CHECK(!tree->is_open);
        if (tree->generation != disk->identity.tree_generation) {
            list_remove(link);
            image_free(tree);
        }
    }
    LIST_FOR_EACH (link, &disk->files) {
        file_free(CONTAINER_OF(link, struct disk_file, link));
    }
}

/* --- Checkpoints and files --- */

struct tree_store *disk_tree_open(struct disk *disk, uint64_t generation)
{
    struct tree_store *tree = find_tree(disk, generation);

    if (disk->fails_reads) {
        return NULL;
    }
    if (tree == NULL) {
        tree = image_new(generation);
        list_append(&disk->trees, &tree->link);
    }
    CHECK(!tree->is_open);
    tree->is_open = true;
    image_renew(tree);
    return tree;
}

void disk_tree_close(struct disk *disk, struct tree_store *tree, bool remove_files)
{
    CHECK(tree->is_open);
    tree->is_open = false;
    if (remove_files && begins(disk)) {
        CHECK_OP(tree->generation, !=, disk->identity.tree_generation);
        list_remove(&tree->link);
        image_free(tree);
        (void)ends(disk);
    }
}

struct state_source *disk_tree_source(struct tree_store *tree)
{
    return &tree->source;
}

bool disk_tree_renew(struct disk *disk, struct tree_store *tree)
{
    if (disk->fails_reads) {
        return false;
    }
    image_renew(tree);
    return true;
}

struct tree_meta disk_tree_meta(const struct tree_store *tree)
{
    return tree->shown_meta;
}

enum status disk_file_read(struct disk *disk,
                           const char *path,
                           uint64_t offset,
                           void *buffer,
                           size_t size,
                           struct error *error)
{
    const struct disk_file *file = find_file(disk, path, false);

    if (disk->fails_reads || file == NULL || offset > file->bytes.size ||
        size > file->bytes.size - offset) {
        return error_set(error, STATUS_IO, "cannot read %zu bytes of %s", size, path);
    }
    if (size > 0) {
        memcpy(buffer, file->bytes.data + offset, size);
    }
    return STATUS_OK;
}

enum status disk_file_write(
    struct disk *disk, const char *path, uint64_t offset, struct bytes bytes, struct error *error)
{
    struct disk_file *file = find_file(disk, path, offset == 0);

    if (disk->full) {
        return error_set(error, STATUS_NO_SPACE, "the modelled disk is full");
    }
    if (file == NULL || (offset != 0 && offset > file->bytes.size)) {
        return error_set(error, STATUS_IO, "cannot write %s", path);
    }
    if (!begins(disk)) {
        return STATUS_OK;
    }
    file->bytes.size = offset;
    buffer_put(&file->bytes, bytes);
    (void)ends(disk);
    return STATUS_OK;
}

void disk_file_remove(struct disk *disk, const char *path)
{
    struct disk_file *file = find_file(disk, path, false);

    if (file != NULL) {
        file_free(file);
    }
}
