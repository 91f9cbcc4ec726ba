#include "persistence/log_thread.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/prng.h"
#include "tests/support/damage.h"
#include "tests/support/test.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { MAP_BYTES = 256 * 1024 * 1024, PAYLOAD_BYTES = 100, WAIT_MS = 30000 };

static char path[4096];
static struct error error;

struct fixture {
    struct log_store *store;
    struct log_thread *thread;
    int event;
    struct list done;
    /* Submitted by the thread itself, when its first job is done: it finds all of them waiting. */
    struct log_job **burst;
    size_t burst_count;
};

static void notify(void *context)
{
    struct fixture *fixture = context;
    uint64_t one = 1;

    for (size_t i = 0; i < fixture->burst_count; i++) {
        log_thread_submit(fixture->thread, fixture->burst[i]);
    }
    fixture->burst_count = 0;
    CHECK(write(fixture->event, &one, sizeof one) == sizeof one);
}

static void set_up(struct fixture *fixture, uint64_t map_bytes, bool prezero)
{
    struct log_store_options options = {.map_bytes = map_bytes, .prezero = prezero};

    fixture->burst_count = 0;
    (void)snprintf(path, sizeof path, "%s/log", test_folder());
    EXPECT_OK(log_store_open(path, 1, &options, &fixture->store, &error));
    fixture->event = eventfd(0, EFD_CLOEXEC);
    EXPECT(fixture->event >= 0);
    list_init(&fixture->done);
    EXPECT_OK(log_thread_start(fixture->store, notify, fixture, &fixture->thread, &error));
}

static void tear_down(struct fixture *fixture)
{
    log_thread_stop(fixture->thread);
    log_store_close(fixture->store);
    (void)close(fixture->event);
}

/* Until the thread says something. */
static void wait_for_thread(struct fixture *fixture)
{
    struct pollfd poll_event = {.fd = fixture->event, .events = POLLIN};
    uint64_t count;

    EXPECT_EQ(poll(&poll_event, 1, WAIT_MS), 1);
    EXPECT(read(fixture->event, &count, sizeof count) == sizeof count);
    log_thread_take_done(fixture->thread, &fixture->done);
}

static struct log_job *next_done(struct fixture *fixture)
{
    struct list *link;

    while ((link = list_take_first(&fixture->done)) == NULL) {
        wait_for_thread(fixture);
    }
    return CONTAINER_OF(link, struct log_job, link);
}

/* A write job of `count` entries from `first`; entries live behind the job. */
static struct log_job *make_write(raft_seq seq, raft_index first, size_t count, raft_index trim)
{
    static const uint8_t payload[PAYLOAD_BYTES] = {9};
    struct log_job *job = xcalloc(1, sizeof *job + count * sizeof(struct log_entry));
    struct log_entry *entries = (struct log_entry *)(void *)(job + 1);

    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct log_entry){.index = first + i,
                                        .term = 1,
                                        .type = RAFT_ENTRY_COMMAND,
                                        .payload = bytes_of(payload, sizeof payload)};
    }
    job->kind = LOG_JOB_WRITE;
    job->seq = seq;
    job->write = (struct log_write){.entries = entries, .entry_count = count, .trim = trim};
    return job;
}

static struct log_job *make_read(raft_index first, raft_index last, size_t bytes_max)
{
    struct log_job *job = xcalloc(1, sizeof *job);

    job->kind = LOG_JOB_READ;
    job->first = first;
    job->last = last;
    job->bytes_max = bytes_max;
    return job;
}

static void free_job(struct log_job *job)
{
    buffer_release(&job->payloads);
    if (job->kind == LOG_JOB_READ) {
        free(job->entries);
    }
    free(job);
}

static void write_and_wait(struct fixture *fixture, raft_index first, size_t count)
{
    struct log_job *job = make_write(first, first, count, 0);

    log_thread_submit(fixture->thread, job);
    EXPECT(next_done(fixture) == job);
    free_job(job);
}

static void test_writes_come_back_in_order_and_are_durable(void)
{
    enum { JOBS = 2000 };
    struct log_store_options options = {.map_bytes = MAP_BYTES};
    struct fixture fixture;

    set_up(&fixture, MAP_BYTES, true);
    for (raft_seq seq = 1; seq <= JOBS; seq++) {
        log_thread_submit(fixture.thread, make_write(seq, seq, 1, 0));
    }
    for (raft_seq seq = 1; seq <= JOBS; seq++) {
        struct log_job *job = next_done(&fixture);

        EXPECT_EQ(job->seq, seq);
        EXPECT(log_store_state(fixture.store).last >= seq);
        free_job(job);
    }
    EXPECT(log_thread_error(fixture.thread) == NULL);
    tear_down(&fixture);
    EXPECT_OK(log_store_open(path, 1, &options, &fixture.store, &error));
    EXPECT_EQ(log_store_state(fixture.store).last, JOBS);
    log_store_close(fixture.store);
}

/* A candidate names the end of its log: with its vote that end must be durable as well. */
static void test_term_and_vote_never_overtake_entries(void)
{
    enum { JOBS = 1000 };
    struct fixture fixture;

    set_up(&fixture, MAP_BYTES, false);
    for (raft_seq seq = 1; seq <= JOBS; seq += 2) {
        struct log_job *vote = make_write(seq + 1, 1, 0, 0);

        vote->write.hard_state = true;
        vote->write.term = seq + 1;
        log_thread_submit(fixture.thread, make_write(seq, (seq + 1) / 2, 1, 0));
        log_thread_submit(fixture.thread, vote);
    }
    for (raft_seq seq = 1; seq <= JOBS; seq++) {
        struct log_job *job = next_done(&fixture);

        EXPECT_EQ(job->seq, seq);
        EXPECT(log_store_state(fixture.store).last >= (seq + 1) / 2);
        free_job(job);
    }
    tear_down(&fixture);
}

static void test_queued_writes_that_overwrite_end_as_if_written_one_by_one(void)
{
    struct fixture fixture;
    struct log_job *jobs[4] = {make_write(1, 1, 10, 0), make_write(2, 5, 2, 0),
                               make_write(3, 7, 1, 0), make_write(4, 101, 3, 0)};
    struct log_state state;

    jobs[0]->write.hard_state = true;
    jobs[0]->write.term = 4;
    jobs[0]->write.vote = 1;
    jobs[1]->write.hard_state = true;
    jobs[1]->write.term = 5;
    jobs[1]->write.vote = 2;
    jobs[3]->write.reset = true;
    jobs[3]->write.reset_index = 100;
    jobs[3]->write.reset_term = 5;
    jobs[3]->write.tree_generation = 9;
    set_up(&fixture, MAP_BYTES, false);
    for (size_t i = 0; i < 3; i++) {
        log_thread_submit(fixture.thread, jobs[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        EXPECT(next_done(&fixture) == jobs[i]);
    }
    state = log_store_state(fixture.store);
    EXPECT_EQ(state.term, 5);
    EXPECT_EQ(state.vote, 2);
    EXPECT_EQ(state.last, 7);
    log_thread_submit(fixture.thread, jobs[3]);
    EXPECT(next_done(&fixture) == jobs[3]);
    state = log_store_state(fixture.store);
    EXPECT_EQ(state.base, 100);
    EXPECT_EQ(state.last, 103);
    EXPECT_EQ(state.term, 5);
    tear_down(&fixture);
    for (size_t i = 0; i < 4; i++) {
        free_job(jobs[i]);
    }
}

/* More waits than one transaction takes: it is written in several, in order. */
static void test_a_long_queue_is_written_in_several_batches(void)
{
    enum { JOBS = 8, BYTES = 8 * 1024 * 1024 };
    struct fixture fixture;
    struct log_job *jobs[JOBS];
    struct log_entry *entry;
    uint8_t *payload = xcalloc(1, BYTES);

    set_up(&fixture, UINT64_C(256) << 20, false);
    for (size_t i = 0; i < JOBS; i++) {
        jobs[i] = make_write(i + 1, i + 1, 1, 0);
        entry = (struct log_entry *)(void *)(jobs[i] + 1);
        entry->payload = bytes_of(payload, BYTES);
    }
    fixture.burst = jobs + 1;
    fixture.burst_count = JOBS - 1;
    log_thread_submit(fixture.thread, jobs[0]);
    for (size_t i = 0; i < JOBS; i++) {
        EXPECT(next_done(&fixture) == jobs[i]);
        free_job(jobs[i]);
    }
    EXPECT_EQ(log_store_state(fixture.store).last, JOBS);
    tear_down(&fixture);
    free(payload);
}

static void test_stopping_finishes_what_was_submitted(void)
{
    enum { JOBS = 500 };
    struct log_store_options options = {.map_bytes = MAP_BYTES};
    struct log_job *jobs[JOBS];
    struct fixture fixture;

    set_up(&fixture, MAP_BYTES, false);
    for (size_t i = 0; i < JOBS; i++) {
        jobs[i] = make_write(i + 1, i + 1, 1, 0);
        log_thread_submit(fixture.thread, jobs[i]);
    }
    tear_down(&fixture);
    EXPECT_OK(log_store_open(path, 1, &options, &fixture.store, &error));
    EXPECT_EQ(log_store_state(fixture.store).last, JOBS);
    log_store_close(fixture.store);
    for (size_t i = 0; i < JOBS; i++) {
        free_job(jobs[i]);
    }
    log_thread_stop(NULL);
}

static void expect_read(struct log_job *job, raft_index first, size_t count)
{
    EXPECT_OK(job->read_status);
    EXPECT_EQ(job->entry_count, count);
    for (size_t i = 0; i < count; i++) {
        EXPECT_EQ(job->entries[i].index, first + i);
        EXPECT_EQ(job->entries[i].payload.size, PAYLOAD_BYTES);
        EXPECT_EQ(job->entries[i].payload.data[0], 9);
    }
}

static void test_reads_are_cut_by_bytes_but_bring_at_least_one(void)
{
    struct fixture fixture;
    struct log_job *job;
    static const struct {
        size_t bytes_max;
        size_t count;
    } cases[] = {{100000, 50},
                 {PAYLOAD_BYTES * 10, 10},
                 {PAYLOAD_BYTES * 10 + 1, 10},
                 {PAYLOAD_BYTES * 11 - 1, 10},
                 {1, 1},
                 {0, 1}};

    set_up(&fixture, MAP_BYTES, false);
    write_and_wait(&fixture, 1, 60);
    for (size_t i = 0; i < 6; i++) {
        job = make_read(11, 60, cases[i].bytes_max);
        log_thread_submit(fixture.thread, job);
        EXPECT(next_done(&fixture) == job);
        expect_read(job, 11, cases[i].count);
        free_job(job);
    }
    tear_down(&fixture);
}

static void test_reading_what_is_gone_or_not_there_yet_is_not_found(void)
{
    struct fixture fixture;
    struct log_job *job;
    bool more;

    set_up(&fixture, MAP_BYTES, false);
    write_and_wait(&fixture, 1, 60);
    EXPECT_OK(log_store_trim(fixture.store, 20, 100, &more, &error));
    job = make_read(20, 30, 100000);
    log_thread_submit(fixture.thread, job);
    EXPECT(next_done(&fixture) == job);
    EXPECT_EQ(job->read_status, STATUS_NOT_FOUND);
    EXPECT_EQ(job->entry_count, 0);
    free_job(job);
    job = make_read(50, 61, 100000);
    log_thread_submit(fixture.thread, job);
    EXPECT(next_done(&fixture) == job);
    EXPECT_EQ(job->read_status, STATUS_NOT_FOUND);
    free_job(job);
    tear_down(&fixture);
}

static void test_reading_a_damaged_entry_says_which(void)
{
    static const char text[] = "a payload that is found in the file by its content";
    struct log_store_options options = {.map_bytes = MAP_BYTES};
    char data_path[4200];
    struct fixture fixture;
    struct log_job *first = make_write(1, 1, 1, 0);
    struct log_job *job = make_write(2, 2, 2, 0);
    struct log_entry entries[2];

    set_up(&fixture, MAP_BYTES, false);
    memcpy(entries, job->write.entries, sizeof entries);
    entries[0].payload = bytes_of_text(text);
    job->write.entries = entries;
    log_thread_submit(fixture.thread, first);
    EXPECT(next_done(&fixture) == first);
    free_job(first);
    log_thread_submit(fixture.thread, job);
    EXPECT(next_done(&fixture) == job);
    free_job(job);
    tear_down(&fixture);
    (void)snprintf(data_path, sizeof data_path, "%s/data.mdb", path);
    EXPECT(damage_flip(data_path, bytes_of_text(text)) > 0);
    EXPECT_OK(log_store_open(path, 1, &options, &fixture.store, &error));
    fixture.event = eventfd(0, EFD_CLOEXEC);
    EXPECT_OK(log_thread_start(fixture.store, notify, &fixture, &fixture.thread, &error));
    job = make_read(1, 3, 100000);
    log_thread_submit(fixture.thread, job);
    EXPECT(next_done(&fixture) == job);
    EXPECT_EQ(job->read_status, STATUS_CORRUPT);
    EXPECT_CONTAINS(job->read_error.text, "entry 2");
    free_job(job);
    tear_down(&fixture);
}

static void test_a_failed_write_stops_the_thread_with_its_reason(void)
{
    struct fixture fixture;
    struct log_job *good = make_write(1, 1, 5, 0);
    struct log_job *gap = make_write(2, 7, 1, 0);
    struct log_job *later = make_write(3, 6, 1, 0);

    set_up(&fixture, MAP_BYTES, false);
    log_thread_submit(fixture.thread, good);
    EXPECT(next_done(&fixture) == good);
    log_thread_submit(fixture.thread, gap);
    while (log_thread_error(fixture.thread) == NULL) {
        wait_for_thread(&fixture);
    }
    EXPECT_EQ(log_thread_error(fixture.thread)->status, STATUS_INVALID);
    EXPECT_CONTAINS(log_thread_error(fixture.thread)->text, "entry 7");
    log_thread_submit(fixture.thread, later);
    log_thread_stop(fixture.thread);
    EXPECT(list_is_empty(&fixture.done));
    EXPECT_EQ(log_store_state(fixture.store).last, 5);
    log_store_close(fixture.store);
    (void)close(fixture.event);
    free_job(good);
    free_job(gap);
    free_job(later);
}

/* Submit writes of 100 entries until they wait for space; how many. */
static size_t fill_map(struct fixture *fixture, struct log_job **jobs, size_t count_max)
{
    size_t count = 0;

    while (!log_thread_waits_for_space(fixture->thread, &error)) {
        EXPECT(count < count_max);
        jobs[count] = make_write(count + 1, count * 100 + 1, 100, 0);
        log_thread_submit(fixture->thread, jobs[count++]);
        while (log_store_state(fixture->store).last < count * 100 &&
               !log_thread_waits_for_space(fixture->thread, &error)) {
            (void)poll(NULL, 0, 1);
        }
    }
    EXPECT_EQ(error.status, STATUS_NO_SPACE);
    EXPECT_CONTAINS(error.text, path);
    EXPECT(log_thread_error(fixture->thread) == NULL);
    return count;
}

static void test_writes_wait_in_a_full_map_until_trimming_makes_room(void)
{
    struct fixture fixture;
    struct log_job *jobs[200];
    size_t count;

    set_up(&fixture, 512 * 1024, true);
    count = fill_map(&fixture, jobs, 199);
    EXPECT_EQ(log_store_state(fixture.store).last, (count - 1) * 100);
    jobs[count] = make_write(count + 1, count * 100 + 1, 1, (count - 1) * 100 - 10);
    log_thread_submit(fixture.thread, jobs[count]);
    count++;
    for (size_t i = 0; i < count; i++) {
        EXPECT(next_done(&fixture) == jobs[i]);
        free_job(jobs[i]);
    }
    EXPECT(!log_thread_waits_for_space(fixture.thread, &error));
    EXPECT_EQ(log_store_state(fixture.store).last, (count - 1) * 100 + 1);
    tear_down(&fixture);
}

static struct log_job *make_large(raft_index index)
{
    enum { LARGE_BYTES = 900 * 1000 };
    static const uint8_t large[LARGE_BYTES];
    struct log_job *job = make_write(index, index, 1, 0);
    struct log_entry *entry = (struct log_entry *)(void *)(job + 1);

    entry->payload = bytes_of(large, sizeof large);
    return job;
}

/* LMDB gives what a transaction freed to the second one after it, and while a write waits there is
 * no other. */
static void test_what_is_trimmed_for_a_write_that_waits_makes_room_for_it(void)
{
    enum { ENTRIES = 5, FITTING = 4 };
    struct fixture fixture;
    struct log_job *jobs[ENTRIES + 1];

    set_up(&fixture, 4 * 1024 * 1024, true);
    for (size_t i = 0; i < ENTRIES; i++) {
        jobs[i] = make_large(i + 1);
        log_thread_submit(fixture.thread, jobs[i]);
        while (i < FITTING && log_store_state(fixture.store).last <= i) {
            (void)poll(NULL, 0, 1);
        }
    }
    while (!log_thread_waits_for_space(fixture.thread, &error)) {
        (void)poll(NULL, 0, 1);
    }
    jobs[ENTRIES] = make_write(ENTRIES + 1, ENTRIES + 1, 0, FITTING - 1);
    log_thread_submit(fixture.thread, jobs[ENTRIES]);
    for (size_t i = 0; i <= ENTRIES; i++) {
        EXPECT(next_done(&fixture) == jobs[i]);
        free_job(jobs[i]);
    }
    EXPECT(!log_thread_waits_for_space(fixture.thread, &error));
    tear_down(&fixture);
}

static void test_a_thread_that_waits_for_space_can_be_stopped(void)
{
    struct fixture fixture;
    struct log_job *jobs[200];
    size_t count;

    set_up(&fixture, 512 * 1024, true);
    count = fill_map(&fixture, jobs, 200);
    log_thread_stop(fixture.thread);
    EXPECT_EQ(log_store_state(fixture.store).last, (count - 1) * 100);
    log_store_close(fixture.store);
    (void)close(fixture.event);
    for (size_t i = 0; i < count; i++) {
        free_job(jobs[i]);
    }
}

static void test_idle_moments_trim_and_zero_ahead(void)
{
    char data_path[4200];
    struct fixture fixture;
    struct log_job *job;

    set_up(&fixture, MAP_BYTES, true);
    write_and_wait(&fixture, 1, 10000);
    job = make_write(2, 10001, 1, 9990);
    log_thread_submit(fixture.thread, job);
    EXPECT(next_done(&fixture) == job);
    free_job(job);
    (void)snprintf(data_path, sizeof data_path, "%s/data.mdb", path);
    /* Bounded by the test's time limit: both must come without another job. */
    while (log_store_state(fixture.store).base < 9990 || damage_file_bytes(data_path) < (8 << 20)) {
        (void)poll(NULL, 0, 5);
    }
    EXPECT_EQ(log_store_state(fixture.store).base, 9990);
    EXPECT_EQ(log_store_state(fixture.store).last, 10001);
    tear_down(&fixture);
}

static void test_reads_run_beside_writes(void)
{
    enum { ROUNDS = 300 };
    struct fixture fixture;
    size_t writes_left = ROUNDS;
    size_t reads_left = ROUNDS;
    struct prng prng;

    prng_init(&prng, 5);
    set_up(&fixture, MAP_BYTES, true);
    write_and_wait(&fixture, 1, 100);
    for (size_t i = 0; i < ROUNDS; i++) {
        raft_index first = 101 + i * 3;
        raft_index trim = first > 150 ? first - 150 : 0;

        log_thread_submit(fixture.thread, make_write(2 + i, first, 3, trim));
        log_thread_submit(fixture.thread, make_read(prng_between(&prng, 1, first), first, 2000));
        if (i % 5 == 0) {
            log_thread_take_done(fixture.thread, &fixture.done);
        }
    }
    while (writes_left + reads_left > 0) {
        struct log_job *job = next_done(&fixture);

        if (job->kind == LOG_JOB_WRITE) {
            writes_left--;
        } else {
            reads_left--;
            EXPECT(job->read_status == STATUS_OK || job->read_status == STATUS_NOT_FOUND);
            if (job->read_status == STATUS_OK) {
                EXPECT(job->entry_count > 0);
                expect_read(job, job->first, job->entry_count);
            }
        }
        free_job(job);
    }
    tear_down(&fixture);
}

static void test_the_cluster_can_be_set_beside_the_thread(void)
{
    static const uint8_t cluster[LOG_STORE_CLUSTER_ID_BYTES] = {1};
    struct fixture fixture;
    struct log_job *jobs[50];

    set_up(&fixture, MAP_BYTES, true);
    for (size_t i = 0; i < 50; i++) {
        jobs[i] = make_write(i + 1, i + 1, 1, 0);
        log_thread_submit(fixture.thread, jobs[i]);
    }
    EXPECT_OK(log_store_set_cluster(fixture.store, cluster, &error));
    for (size_t i = 0; i < 50; i++) {
        EXPECT(next_done(&fixture) == jobs[i]);
        free_job(jobs[i]);
    }
    EXPECT(log_store_identity(fixture.store)->has_cluster);
    EXPECT_EQ(log_store_state(fixture.store).last, 50);
    tear_down(&fixture);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_writes_come_back_in_order_and_are_durable),
        TEST_CASE(test_term_and_vote_never_overtake_entries),
        TEST_CASE(test_queued_writes_that_overwrite_end_as_if_written_one_by_one),
        TEST_CASE(test_a_long_queue_is_written_in_several_batches),
        TEST_CASE(test_stopping_finishes_what_was_submitted),
        TEST_CASE(test_reads_are_cut_by_bytes_but_bring_at_least_one),
        TEST_CASE(test_reading_what_is_gone_or_not_there_yet_is_not_found),
        TEST_CASE(test_reading_a_damaged_entry_says_which),
        TEST_CASE(test_a_failed_write_stops_the_thread_with_its_reason),
        TEST_CASE(test_writes_wait_in_a_full_map_until_trimming_makes_room),
        TEST_CASE(test_what_is_trimmed_for_a_write_that_waits_makes_room_for_it),
        TEST_CASE(test_a_thread_that_waits_for_space_can_be_stopped),
        TEST_CASE(test_idle_moments_trim_and_zero_ahead),
        TEST_CASE(test_reads_run_beside_writes),
        TEST_CASE(test_the_cluster_can_be_set_beside_the_thread),
        TEST_END,
    };

    return test_main("log_thread", cases, argc, argv);
}
