#include "persistence/log_thread.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/mark.h"
#include "persistence/log_prezero.h"
#include "persistence/worker.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    /* One transaction takes at most so much: below the pages that LMDB keeps in memory at once. */
    BATCH_BYTES_MAX = 32 * 1024 * 1024,
    BATCH_JOBS_MAX = 4096,
    /* Chores wait for a pause this long: a lone client's next write must not queue behind them. */
    IDLE_MS = 20,
    SPACE_RETRY_MS = 100,
    TURNS_AFTER_TRIMMING = 2,
    TRIM_COUNT = 2048
};

struct log_thread {
    struct log_store *store;
    void (*notify)(void *context);
    void *context;
    pthread_t writer;
    pthread_t reader;

    /* The writer's own. */
    raft_index trim; /* the highest asked for */
    const struct log_write *batch[BATCH_JOBS_MAX];

    pthread_mutex_t lock; /* everything below */
    pthread_cond_t wake_writer;
    pthread_cond_t wake_reader;
    struct list writes;
    struct list reads;
    struct list done;
    bool stopping;
    bool failed; /* `error` is set and never changes again */
    bool waits_for_space;
    struct error error; /* of the failure, or what there is no space on */
};

static struct log_job *job_of(struct list *link)
{
    return CONTAINER_OF(link, struct log_job, link);
}

static void finish(struct log_thread *thread, struct list *jobs)
{
    struct list *link;

    (void)pthread_mutex_lock(&thread->lock);
    while ((link = list_take_first(jobs)) != NULL) {
        list_append(&thread->done, link);
    }
    (void)pthread_mutex_unlock(&thread->lock);
    thread->notify(thread->context);
}

static void fail(struct log_thread *thread, const struct error *error)
{
    (void)pthread_mutex_lock(&thread->lock);
    thread->error = *error;
    thread->failed = true;
    (void)pthread_mutex_unlock(&thread->lock);
    thread->notify(thread->context);
}

/* --- Writing --- */

static uint64_t payload_bytes(const struct log_write *write)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < write->entry_count; i++) {
        bytes += write->entries[i].payload.size;
    }
    return bytes;
}

/* Everything that waits, up to the limits of a transaction. Under the lock. */
static void take_batch(struct log_thread *thread, struct list *jobs)
{
    uint64_t bytes = 0;

    for (size_t count = 0; count < BATCH_JOBS_MAX && !list_is_empty(&thread->writes); count++) {
        struct list *link = thread->writes.next;

        bytes += payload_bytes(&job_of(link)->write);
        if (count > 0 && bytes > BATCH_BYTES_MAX) {
            MARK(log_batch_cut_by_its_size);
            return;
        }
        list_remove(link);
        list_append(jobs, link);
    }
}

static struct timespec deadline_in(long delay_ms)
{
    struct timespec deadline;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &deadline) == 0);
    deadline.tv_nsec += delay_ms * 1000000L;
    if (deadline.tv_nsec >= 1000000000L) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000L;
    }
    return deadline;
}

/* Wait for writes, or with `has_chores` for a pause. False: the end. */
static bool wait_for_writes(struct log_thread *thread, bool has_chores, struct list *jobs)
{
    struct timespec deadline = deadline_in(IDLE_MS);
    bool goes_on;
    int result = 0;

    (void)pthread_mutex_lock(&thread->lock);
    while (list_is_empty(&thread->writes) && !thread->stopping && result == 0) {
        result = has_chores ? pthread_cond_timedwait(&thread->wake_writer, &thread->lock, &deadline)
                            : pthread_cond_wait(&thread->wake_writer, &thread->lock);
    }
    take_batch(thread, jobs);
    goes_on = !list_is_empty(jobs) || !thread->stopping;
    (void)pthread_mutex_unlock(&thread->lock);
    return goes_on;
}

static enum status write_batch(struct log_thread *thread, struct list *jobs, struct error *error)
{
    size_t count = 0;
    enum status status;

    LIST_FOR_EACH (link, jobs) {
        const struct log_write *write = &job_of(link)->write;

        thread->batch[count++] = write;
        if (write->trim > thread->trim) {
            thread->trim = write->trim;
        }
    }
    status = log_store_write_batch(thread->store, thread->batch, count, error);
    if (status == STATUS_OK) {
        finish(thread, jobs);
        if (log_prezero_need(thread->store) == LOG_PREZERO_NOW) {
            MARK(log_zeroed_ahead_between_writes);
            status = log_prezero_step(thread->store, error);
        }
    }
    return status;
}

static bool has_trimming(const struct log_thread *thread)
{
    return log_store_can_trim(thread->store, thread->trim);
}

/* One chore, short enough for a write that comes meanwhile. *ret_more: there are others. */
static enum status do_chore(struct log_thread *thread, bool *ret_more, struct error *error)
{
    bool more_trimming = false;
    enum status status = STATUS_OK;

    if (log_prezero_need(thread->store) != LOG_PREZERO_NONE) {
        *ret_more = true;
        return log_prezero_step(thread->store, error);
    }
    if (has_trimming(thread)) {
        status = log_store_trim(thread->store, thread->trim, TRIM_COUNT, &more_trimming, error);
        if (status == STATUS_NO_SPACE) {
            /* Nothing happened; the next write will try again. */
            status = STATUS_OK;
        }
    }
    *ret_more = more_trimming;
    return status;
}

/* Say what lacks space, pause, and learn how far the writes that came meanwhile let us trim. False:
 * the end, and these writes are not done. */
static bool wait_for_space(struct log_thread *thread, const struct error *error)
{
    struct timespec deadline = deadline_in(SPACE_RETRY_MS);
    bool goes_on;
    int result = 0;

    (void)pthread_mutex_lock(&thread->lock);
    thread->error = *error;
    thread->waits_for_space = true;
    while (!thread->stopping && result == 0) {
        result = pthread_cond_timedwait(&thread->wake_writer, &thread->lock, &deadline);
    }
    LIST_FOR_EACH (link, &thread->writes) {
        raft_index trim = job_of(link)->write.trim;

        thread->trim = trim > thread->trim ? trim : thread->trim;
    }
    goes_on = !thread->stopping;
    (void)pthread_mutex_unlock(&thread->lock);
    return goes_on;
}

static void end_wait_for_space(struct log_thread *thread)
{
    (void)pthread_mutex_lock(&thread->lock);
    thread->waits_for_space = false;
    (void)pthread_mutex_unlock(&thread->lock);
}

/* While a write waits there is no other transaction that gives back what trimming freed. */
static enum status turn_over(struct log_thread *thread, struct error *error)
{
    MARK(log_turned_over_for_space);
    return log_store_turn_over(thread->store, error);
}

/* A transaction without space did nothing, so the same batch may be tried again. Trimming makes
 * room in a full map. NO_SPACE: the thread is to end before there was any. */
static enum status
write_until_there_is_space(struct log_thread *thread, struct list *jobs, struct error *error)
{
    enum status status = write_batch(thread, jobs, error);
    bool has_waited = false;
    unsigned turns = TURNS_AFTER_TRIMMING; /* it may have been trimmed just before */

    while (status == STATUS_NO_SPACE && wait_for_space(thread, error)) {
        bool more_trimming;

        has_waited = true;
        status = STATUS_OK;
        if (has_trimming(thread)) {
            turns = TURNS_AFTER_TRIMMING;
            status = log_store_trim(thread->store, thread->trim, TRIM_COUNT, &more_trimming, error);
        } else if (turns > 0) {
            turns--;
            status = turn_over(thread, error);
        }
        if (status == STATUS_OK || status == STATUS_NO_SPACE) {
            status = write_batch(thread, jobs, error);
        }
    }
    if (has_waited && status == STATUS_OK) {
        end_wait_for_space(thread);
    }
    return status;
}

static void *run_writes(void *context)
{
    struct log_thread *thread = context;
    struct error error;
    enum status status = STATUS_OK;
    bool has_chores = true;

    while (status == STATUS_OK) {
        struct list jobs;

        list_init(&jobs);
        if (!wait_for_writes(thread, has_chores, &jobs)) {
            return NULL;
        }
        if (list_is_empty(&jobs)) {
            status = do_chore(thread, &has_chores, &error);
        } else {
            has_chores = true;
            status = write_until_there_is_space(thread, &jobs, &error);
        }
    }
    fail(thread, &error);
    return NULL;
}

/* --- Reading --- */

struct collection {
    struct log_job *job;
    size_t capacity;
};

/* LIMIT: the job has enough. */
static enum status collect(void *context, const struct log_entry *entry)
{
    struct collection *collection = context;
    struct log_job *job = collection->job;

    if (job->entry_count > 0 && entry->payload.size > job->bytes_max - job->payloads.size) {
        MARK(log_read_cut_by_its_size);
        return STATUS_LIMIT;
    }
    if (job->entry_count == collection->capacity) {
        collection->capacity = collection->capacity == 0 ? 64 : collection->capacity * 2;
        job->entries = xrealloc(job->entries, collection->capacity * sizeof *job->entries);
    }
    job->entries[job->entry_count++] = *entry;
    buffer_put(&job->payloads, entry->payload);
    return job->payloads.size >= job->bytes_max ? STATUS_LIMIT : STATUS_OK;
}

void log_job_read(struct log_store *store, struct log_job *job)
{
    struct collection collection = {.job = job};
    enum status status;
    size_t at = 0;

    job->read_error = (struct error){.status = STATUS_OK};
    job->entries = NULL;
    job->entry_count = 0;
    buffer_clear(&job->payloads);
    status = log_store_read(store, job->first, job->last, collect, &collection, &job->read_error);
    job->read_status = status == STATUS_LIMIT ? STATUS_OK : status;
    if (job->read_status != STATUS_OK) {
        job->entry_count = 0;
    }
    /* The buffer moved while it grew. */
    for (size_t i = 0; i < job->entry_count; i++) {
        job->entries[i].payload.data = job->payloads.data + at;
        at += job->entries[i].payload.size;
    }
}

static void *run_reads(void *context)
{
    struct log_thread *thread = context;

    for (;;) {
        struct list jobs;
        struct list *link;

        list_init(&jobs);
        (void)pthread_mutex_lock(&thread->lock);
        while (list_is_empty(&thread->reads) && !thread->stopping) {
            (void)pthread_cond_wait(&thread->wake_reader, &thread->lock);
        }
        link = list_take_first(&thread->reads);
        (void)pthread_mutex_unlock(&thread->lock);
        if (link == NULL) {
            return NULL;
        }
        log_job_read(thread->store, job_of(link));
        list_append(&jobs, link);
        finish(thread, &jobs);
    }
}

/* --- The main thread's side --- */

static void init_conditions(struct log_thread *thread)
{
    pthread_condattr_t attributes;

    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&thread->wake_writer, &attributes) == 0);
    CHECK(pthread_cond_init(&thread->wake_reader, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
}

static void release(struct log_thread *thread)
{
    (void)pthread_mutex_destroy(&thread->lock);
    (void)pthread_cond_destroy(&thread->wake_writer);
    (void)pthread_cond_destroy(&thread->wake_reader);
    free(thread);
}

static void order_stop(struct log_thread *thread)
{
    (void)pthread_mutex_lock(&thread->lock);
    thread->stopping = true;
    (void)pthread_cond_signal(&thread->wake_writer);
    (void)pthread_cond_signal(&thread->wake_reader);
    (void)pthread_mutex_unlock(&thread->lock);
}

enum status log_thread_start(struct log_store *store,
                             void (*notify)(void *context),
                             void *context,
                             struct log_thread **ret_thread,
                             struct error *error)
{
    struct log_thread *thread = xcalloc(1, sizeof *thread);
    enum status status;

    thread->store = store;
    thread->notify = notify;
    thread->context = context;
    list_init(&thread->writes);
    list_init(&thread->reads);
    list_init(&thread->done);
    CHECK(pthread_mutex_init(&thread->lock, NULL) == 0);
    init_conditions(thread);
    status = worker_start(&thread->writer, "log-writer", run_writes, thread, error);
    if (status != STATUS_OK) {
        release(thread);
        return status;
    }
    status = worker_start(&thread->reader, "log-reader", run_reads, thread, error);
    if (status != STATUS_OK) {
        order_stop(thread);
        CHECK(pthread_join(thread->writer, NULL) == 0);
        release(thread);
        return status;
    }
    *ret_thread = thread;
    return STATUS_OK;
}

void log_thread_stop(struct log_thread *thread)
{
    if (thread == NULL) {
        return;
    }
    order_stop(thread);
    CHECK(pthread_join(thread->writer, NULL) == 0);
    CHECK(pthread_join(thread->reader, NULL) == 0);
    release(thread);
}

void log_thread_submit(struct log_thread *thread, struct log_job *job)
{
    bool is_write = job->kind == LOG_JOB_WRITE;

    (void)pthread_mutex_lock(&thread->lock);
    CHECK(!thread->stopping);
    list_append(is_write ? &thread->writes : &thread->reads, &job->link);
    (void)pthread_mutex_unlock(&thread->lock);
    /* Not under the lock: who is woken would only wait for it. */
    (void)pthread_cond_signal(is_write ? &thread->wake_writer : &thread->wake_reader);
}

void log_thread_take_done(struct log_thread *thread, struct list *done)
{
    struct list *link;

    (void)pthread_mutex_lock(&thread->lock);
    while ((link = list_take_first(&thread->done)) != NULL) {
        list_append(done, link);
    }
    (void)pthread_mutex_unlock(&thread->lock);
}

bool log_thread_waits_for_space(struct log_thread *thread, struct error *ret_error)
{
    bool waits;

    (void)pthread_mutex_lock(&thread->lock);
    waits = thread->waits_for_space && !thread->failed;
    if (waits) {
        *ret_error = thread->error;
    }
    (void)pthread_mutex_unlock(&thread->lock);
    return waits;
}

const struct error *log_thread_error(const struct log_thread *thread)
{
    /* A lock is no part of what the thread says. */
    pthread_mutex_t *lock = &((struct log_thread *)(uintptr_t)thread)->lock;
    bool failed;

    (void)pthread_mutex_lock(lock);
    failed = thread->failed;
    (void)pthread_mutex_unlock(lock);
    return failed ? &thread->error : NULL;
}
