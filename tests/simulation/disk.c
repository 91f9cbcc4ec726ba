#include "tests/simulation/disk.h"

#include "base/alloc.h"
#include "base/check.h"
#include "tests/simulation/disk_internal.h"
#include "tests/simulation/surplus.h"

#include <stdlib.h>

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
    disk->checkpoints.disk = disk;
    list_init(&disk->checkpoints.jobs);
    disk->dumps.disk = disk;
    list_init(&disk->dumps.jobs);
    list_init(&disk->images);
    dump_files_init(&disk->files);
    return disk;
}

struct image *disk_find_image(const struct disk *disk, uint64_t generation)
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
    const struct image *image = disk_find_image(disk, disk_identity(disk)->tree_generation);
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
    CHECK(list_is_empty(&disk->checkpoints.jobs) && list_is_empty(&disk->dumps.jobs));
    LIST_FOR_EACH (link, &disk->images) {
        image_free(CONTAINER_OF(link, struct image, link));
    }
    dump_files_clear(&disk->files);
    journal_free(disk->journal);
    stores_free(disk->stores);
    free(disk);
}

/* --- Operations that may be the last --- */

void disk_die(struct disk *disk)
{
    disk->halted = true;
    disk->observer.on_death(disk->observer.context);
}

/* Called where something becomes durable. False: it must not happen any more. */
bool disk_begins(struct disk *disk)
{
    if (disk->halted) {
        return false;
    }
    if (disk->crash_count == 1 && !disk->crash_after) {
        disk->crash_count = 0;
        disk_die(disk);
        return false;
    }
    return true;
}

/* Called when it happened. False: the process is dead now. */
bool disk_ends(struct disk *disk)
{
    if (disk->crash_count > 0 && --disk->crash_count == 0) {
        disk_die(disk);
        return false;
    }
    return true;
}

/* --- What is durable --- */

const struct journal_identity *disk_identity(const struct disk *disk)
{
    return journal_identity(disk->journal);
}

void disk_set_cluster(struct disk *disk, const uint8_t cluster_id[LOG_STORE_CLUSTER_ID_BYTES])
{
    if (disk_begins(disk)) {
        journal_set_cluster(disk->journal, cluster_id);
        (void)disk_ends(disk);
    }
}

void disk_condemn(struct disk *disk, uint64_t generation)
{
    if (disk_begins(disk)) {
        journal_condemn(disk->journal, generation);
        (void)disk_ends(disk);
    }
}

void disk_doubt(struct disk *disk, uint64_t generation, const struct tree_doubt *doubt)
{
    if (disk_begins(disk)) {
        journal_doubt(disk->journal, generation, doubt);
        (void)disk_ends(disk);
    }
}

struct tree_doubt disk_tree_doubt(const struct disk *disk)
{
    return journal_tree_doubt(disk->journal);
}

void disk_supersede(struct disk *disk)
{
    if (disk_begins(disk)) {
        journal_supersede(disk->journal);
        (void)disk_ends(disk);
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

void disk_stall_until(struct disk *disk, uint64_t until_us)
{
    disk->stalled_until_us = until_us;
}

void disk_set_full(struct disk *disk, bool full, bool log)
{
    disk->full = full;
    disk->full_log = full && log;
}

void disk_fill_map(struct disk *disk)
{
    disk->full_map = true;
    disk->full_generation = disk_identity(disk)->tree_generation;
}

bool disk_map_is_full(const struct disk *disk)
{
    return disk->full_map && disk->full_generation == disk_identity(disk)->tree_generation;
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
    struct image *image = disk_find_image(disk, disk_identity(disk)->tree_generation);
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
    disk->full_map = false;
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

static void weigh_rightful(struct bytes key, struct bytes value, uint64_t *count, uint64_t *sum)
{
    if (!surplus_is(key)) {
        weigh(key, value, count, sum);
    }
}

struct state_digest disk_surplus(struct disk *disk)
{
    const struct image *image = disk_find_image(disk, disk_identity(disk)->tree_generation);
    struct state_digest rightful;

    if (image == NULL) {
        return (struct state_digest){.record_count = 0};
    }
    image_weigh(image, weigh_rightful, &rightful.record_count, &rightful.sum);
    return surplus_taken_from(
        (struct state_digest){.record_count = image->durable_meta.record_count,
                              .sum = image->durable_meta.record_sum},
        rightful);
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
