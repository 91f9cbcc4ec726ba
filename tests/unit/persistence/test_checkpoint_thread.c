#include "persistence/checkpoint_thread.h"

#include "base/alloc.h"
#include "base/check.h"
#include "tests/support/damage.h"
#include "tests/support/test.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WAIT_MS = 30000 };

static const uint8_t cluster[16] = {5};
static const struct tree_store_options options = {.map_bytes = UINT64_C(1) << 28};
static struct error error;

struct fixture {
    const char *folder;
    struct tree_store *store;
    struct checkpoint_thread *thread;
    int event;
    struct list done;
};

static void notify(void *context)
{
    struct fixture *fixture = context;
    uint64_t one = 1;

    CHECK(write(fixture->event, &one, sizeof one) == sizeof one);
}

static void set_up(struct fixture *fixture, uint64_t map_bytes)
{
    struct tree_store_options store_options = {.map_bytes = map_bytes};
    char path[4200];

    fixture->folder = test_folder();
    (void)snprintf(path, sizeof path, "%s/tree-0", fixture->folder);
    EXPECT_OK(tree_store_open(path, &store_options, &fixture->store, &error));
    fixture->event = eventfd(0, EFD_CLOEXEC);
    EXPECT(fixture->event >= 0);
    list_init(&fixture->done);
    EXPECT_OK(checkpoint_thread_start("checkpoint", notify, fixture, &fixture->thread, &error));
}

static void tear_down(struct fixture *fixture)
{
    checkpoint_thread_stop(fixture->thread);
    tree_store_close(fixture->store);
    (void)close(fixture->event);
}

static struct checkpoint_job *next_done(struct fixture *fixture)
{
    struct list *link;

    while ((link = list_take_first(&fixture->done)) == NULL) {
        struct pollfd poll_event = {.fd = fixture->event, .events = POLLIN};
        uint64_t count;

        EXPECT_EQ(poll(&poll_event, 1, WAIT_MS), 1);
        EXPECT(read(fixture->event, &count, sizeof count) == sizeof count);
        checkpoint_thread_take_done(fixture->thread, &fixture->done);
    }
    return CONTAINER_OF(link, struct checkpoint_job, link);
}

static struct checkpoint_job make_commit(struct fixture *fixture,
                                         const struct tree_record *records,
                                         size_t count,
                                         raft_index applied)
{
    return (struct checkpoint_job){
        .kind = CHECKPOINT_JOB_COMMIT,
        .store = fixture->store,
        .records = records,
        .record_count = count,
        .meta = {.applied_index = applied, .config = bytes_of_text("config")}};
}

static void run(struct fixture *fixture, struct checkpoint_job *job)
{
    checkpoint_thread_submit(fixture->thread, job);
    EXPECT(next_done(fixture) == job);
}

static void test_a_commit_is_seen_after_a_renewal(void)
{
    struct tree_record record = {.key = bytes_of_text("k"), .value = bytes_of_text("v")};
    struct checkpoint_job job;
    struct fixture fixture;
    struct bytes value;

    set_up(&fixture, options.map_bytes);
    job = make_commit(&fixture, &record, 1, 8);
    run(&fixture, &job);
    EXPECT_OK(job.error.status);
    EXPECT_OK(tree_store_renew(fixture.store, &error));
    EXPECT_EQ(tree_store_meta(fixture.store).applied_index, 8);
    EXPECT_OK(tree_store_lookup(fixture.store, record.key, SIZE_MAX, &value));
    EXPECT_BYTES(value, record.value);
    tear_down(&fixture);
}

static void test_jobs_are_done_in_order(void)
{
    struct tree_record first = {.key = bytes_of_text("k"), .value = bytes_of_text("1")};
    struct tree_record second = {.key = bytes_of_text("k"), .value = bytes_of_text("2")};
    struct checkpoint_job jobs[4];
    struct fixture fixture;
    struct tree_store *installed;
    struct bytes value;

    set_up(&fixture, options.map_bytes);
    memset(jobs, 0, sizeof jobs);
    jobs[0] = make_commit(&fixture, &first, 1, 1);
    jobs[1] = (struct checkpoint_job){.kind = CHECKPOINT_JOB_DUMP, .store = fixture.store};
    memcpy(jobs[1].cluster_id, cluster, sizeof cluster);
    (void)snprintf(jobs[1].dump_path, sizeof jobs[1].dump_path, "%s/dump", fixture.folder);
    jobs[2] = make_commit(&fixture, &second, 1, 2);
    jobs[3] = (struct checkpoint_job){.kind = CHECKPOINT_JOB_INSTALL, .tree_options = options};
    memcpy(jobs[3].cluster_id, cluster, sizeof cluster);
    memcpy(jobs[3].dump_path, jobs[1].dump_path, sizeof jobs[3].dump_path);
    (void)snprintf(jobs[3].tree_path, sizeof jobs[3].tree_path, "%s/tree-1", fixture.folder);
    for (size_t i = 0; i < 4; i++) {
        checkpoint_thread_submit(fixture.thread, &jobs[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        EXPECT(next_done(&fixture) == &jobs[i]);
        EXPECT_OK(jobs[i].error.status);
    }
    EXPECT_EQ(jobs[1].meta.applied_index, 1);
    EXPECT_BYTES(jobs[1].meta.config, bytes_of_text("config"));
    EXPECT_EQ(jobs[1].dump_bytes, damage_file_bytes(jobs[1].dump_path));
    EXPECT_OK(tree_store_open(jobs[3].tree_path, &options, &installed, &error));
    EXPECT_EQ(tree_store_meta(installed).applied_index, 1);
    EXPECT_OK(tree_store_lookup(installed, first.key, SIZE_MAX, &value));
    EXPECT_BYTES(value, first.value);
    tree_store_close(installed);
    buffer_release(&jobs[1].config);
    tear_down(&fixture);
}

static void test_failures_come_back_with_the_words(void)
{
    struct checkpoint_job job = {.kind = CHECKPOINT_JOB_INSTALL, .tree_options = options};
    struct fixture fixture;

    set_up(&fixture, options.map_bytes);
    (void)snprintf(job.dump_path, sizeof job.dump_path, "%s/absent", fixture.folder);
    (void)snprintf(job.tree_path, sizeof job.tree_path, "%s/tree-1", fixture.folder);
    run(&fixture, &job);
    EXPECT_EQ(job.error.status, STATUS_NOT_FOUND);
    EXPECT_CONTAINS(job.error.text, job.dump_path);
    tear_down(&fixture);
}

static void test_a_full_map_is_told_and_the_thread_goes_on(void)
{
    uint8_t *large = xcalloc(1, 1 << 20);
    struct tree_record too_much = {.key = bytes_of_text("k"), .value = bytes_of(large, 1 << 20)};
    struct tree_record small = {.key = bytes_of_text("k"), .value = bytes_of_text("v")};
    struct checkpoint_job job;
    struct fixture fixture;

    set_up(&fixture, 512 * 1024);
    job = make_commit(&fixture, &too_much, 1, 1);
    run(&fixture, &job);
    EXPECT_EQ(job.error.status, STATUS_NO_SPACE);
    job = make_commit(&fixture, &small, 1, 2);
    run(&fixture, &job);
    EXPECT_OK(job.error.status);
    tear_down(&fixture);
    free(large);
}

/* The main thread reads while the checkpoint thread commits. */
static void test_lookups_run_beside_commits(void)
{
    enum { KEYS = 200, ROUNDS = 100 };
    struct tree_record records[KEYS];
    uint8_t keys[KEYS][8];
    uint8_t values[KEYS][8];
    struct checkpoint_job job;
    struct fixture fixture;

    set_up(&fixture, options.map_bytes);
    for (uint64_t i = 0; i < KEYS; i++) {
        bytes_store_u64(keys[i], i);
        records[i] =
            (struct tree_record){.key = bytes_of(keys[i], 8), .value = bytes_of(values[i], 8)};
    }
    for (raft_index round = 1; round <= ROUNDS; round++) {
        for (size_t i = 0; i < KEYS; i++) {
            bytes_store_u64(values[i], round);
        }
        job = make_commit(&fixture, records, KEYS, round);
        checkpoint_thread_submit(fixture.thread, &job);
        for (size_t i = 0; round > 1 && i < KEYS; i++) {
            struct bytes value;

            EXPECT_OK(tree_store_lookup(fixture.store, records[i].key, SIZE_MAX, &value));
            EXPECT_EQ(bytes_load_u64(value.data), round - 1);
        }
        EXPECT(next_done(&fixture) == &job);
        EXPECT_OK(job.error.status);
        EXPECT_OK(tree_store_renew(fixture.store, &error));
    }
    tear_down(&fixture);
}

static void test_stopping_finishes_what_was_submitted(void)
{
    struct tree_record record = {.key = bytes_of_text("k"), .value = bytes_of_text("v")};
    struct checkpoint_job jobs[20];
    struct fixture fixture;

    set_up(&fixture, options.map_bytes);
    for (size_t i = 0; i < 20; i++) {
        jobs[i] = make_commit(&fixture, &record, 1, i + 1);
        checkpoint_thread_submit(fixture.thread, &jobs[i]);
    }
    checkpoint_thread_stop(fixture.thread);
    EXPECT_OK(tree_store_renew(fixture.store, &error));
    EXPECT_EQ(tree_store_meta(fixture.store).applied_index, 20);
    tree_store_close(fixture.store);
    (void)close(fixture.event);
    checkpoint_thread_stop(NULL);
}

static void weigh(struct bytes key, struct bytes value, uint64_t *count, uint64_t *sum)
{
    *count += key.size > 0;
    *sum += value.size;
}

/* Each commit gives all records a value of another size, so that a dump of two commits would not
 * add up. */
static void commit_all(struct fixture *fixture, size_t value_bytes)
{
    enum { RECORDS = 2000, VALUE_BYTES_MAX = 500 };
    static const uint8_t value[VALUE_BYTES_MAX] = {1};
    static char keys[RECORDS][16];
    static struct tree_record records[RECORDS];
    struct checkpoint_job job;

    for (size_t i = 0; i < RECORDS; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "%08zu", i);
        records[i] = (struct tree_record){.key = bytes_of_text(keys[i]),
                                          .value = bytes_of(value, value_bytes)};
    }
    job = make_commit(fixture, records, RECORDS, value_bytes);
    job.meta.record_count = RECORDS;
    job.meta.record_sum = RECORDS * value_bytes;
    run(fixture, &job);
    EXPECT_OK(job.error.status);
}

static void test_dumps_on_a_thread_of_their_own_are_of_one_commit(void)
{
    enum { COMMITS = 60 };
    struct fixture fixture;
    struct fixture dumps;
    struct checkpoint_job dump = {.kind = CHECKPOINT_JOB_DUMP, .weigh = weigh};
    size_t done = 0;

    set_up(&fixture, options.map_bytes);
    dumps = fixture;
    list_init(&dumps.done);
    EXPECT_OK(checkpoint_thread_start("dump", notify, &dumps, &dumps.thread, &error));
    dump.store = fixture.store;
    memcpy(dump.cluster_id, cluster, sizeof cluster);
    (void)snprintf(dump.dump_path, sizeof dump.dump_path, "%s/dump", fixture.folder);
    commit_all(&fixture, 1);
    checkpoint_thread_submit(dumps.thread, &dump);
    for (size_t i = 2; i <= COMMITS || done == 0; i++) {
        commit_all(&fixture, 1 + i % COMMITS);
        checkpoint_thread_take_done(dumps.thread, &dumps.done);
        if (list_take_first(&dumps.done) != NULL) {
            EXPECT_OK(dump.error.status);
            EXPECT(dump.meta.applied_index >= 1 && dump.meta.applied_index <= i);
            done++;
            if (i < COMMITS) {
                checkpoint_thread_submit(dumps.thread, &dump);
            }
        }
    }
    (void)printf("%zu dumps beside %d commits\n", done, COMMITS);
    checkpoint_thread_stop(dumps.thread);
    buffer_release(&dump.config);
    tear_down(&fixture);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_commit_is_seen_after_a_renewal),
        TEST_CASE(test_jobs_are_done_in_order),
        TEST_CASE(test_failures_come_back_with_the_words),
        TEST_CASE(test_a_full_map_is_told_and_the_thread_goes_on),
        TEST_CASE(test_lookups_run_beside_commits),
        TEST_CASE(test_stopping_finishes_what_was_submitted),
        TEST_CASE(test_dumps_on_a_thread_of_their_own_are_of_one_commit),
        TEST_END,
    };

    return test_main("checkpoint_thread", cases, argc, argv);
}
