#include "persistence/checkpoint_thread.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/mark.h"
#include "persistence/worker.h"

#include <stdlib.h>

struct checkpoint_thread {
    pthread_t worker;
    void (*notify)(void *context);
    void *context;
    pthread_mutex_t lock; /* everything below */
    pthread_cond_t wake;
    struct list waiting;
    struct list done;
    bool stopping;
};

static enum status dump(struct checkpoint_job *job)
{
    enum status status = tree_store_dump(job->store, job->dump_path, job->cluster_id, job->weigh,
                                         &job->config, &job->meta, &job->dump_bytes, &job->error);

    MARK(dump_written_and_nobody_knows);
    return status;
}

static enum status install(struct checkpoint_job *job)
{
    enum status status = dump_install(job->dump_path, job->tree_path, &job->tree_options,
                                      job->cluster_id, job->check_record, &job->error);

    MARK(dump_built_and_nobody_knows);
    return status;
}

static enum status do_job(struct checkpoint_job *job)
{
    switch (job->kind) {
    case CHECKPOINT_JOB_COMMIT:
        return tree_store_commit(job->store, job->records, job->record_count, &job->meta,
                                 &job->error);
    case CHECKPOINT_JOB_DUMP:
        return dump(job);
    case CHECKPOINT_JOB_INSTALL:
        return install(job);
    case CHECKPOINT_JOB_SCRUB:
        return tree_store_scrub(job->store, job->weigh, job->scrub_bytes_max, &job->scrubbed,
                                &job->error);
    }
    CHECK(false);
}

void checkpoint_job_run(struct checkpoint_job *job)
{
    job->error = (struct error){.status = STATUS_OK};
    job->error.status = do_job(job);
}

static struct checkpoint_job *wait_for_job(struct checkpoint_thread *thread)
{
    struct list *link;

    (void)pthread_mutex_lock(&thread->lock);
    while (list_is_empty(&thread->waiting) && !thread->stopping) {
        (void)pthread_cond_wait(&thread->wake, &thread->lock);
    }
    link = list_take_first(&thread->waiting);
    (void)pthread_mutex_unlock(&thread->lock);
    return link == NULL ? NULL : CONTAINER_OF(link, struct checkpoint_job, link);
}

static void *run_jobs(void *context)
{
    struct checkpoint_thread *thread = context;
    struct checkpoint_job *job;

    while ((job = wait_for_job(thread)) != NULL) {
        checkpoint_job_run(job);
        (void)pthread_mutex_lock(&thread->lock);
        list_append(&thread->done, &job->link);
        (void)pthread_mutex_unlock(&thread->lock);
        thread->notify(thread->context);
    }
    return NULL;
}

static void release(struct checkpoint_thread *thread)
{
    (void)pthread_mutex_destroy(&thread->lock);
    (void)pthread_cond_destroy(&thread->wake);
    free(thread);
}

enum status checkpoint_thread_start(const char *name,
                                    void (*notify)(void *context),
                                    void *context,
                                    struct checkpoint_thread **ret_thread,
                                    struct error *error)
{
    struct checkpoint_thread *thread = xcalloc(1, sizeof *thread);
    enum status status;

    thread->notify = notify;
    thread->context = context;
    list_init(&thread->waiting);
    list_init(&thread->done);
    CHECK(pthread_mutex_init(&thread->lock, NULL) == 0);
    CHECK(pthread_cond_init(&thread->wake, NULL) == 0);
    status = worker_start(&thread->worker, name, run_jobs, thread, error);
    if (status != STATUS_OK) {
        release(thread);
        return status;
    }
    *ret_thread = thread;
    return STATUS_OK;
}

void checkpoint_thread_stop(struct checkpoint_thread *thread)
{
    if (thread == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&thread->lock);
    thread->stopping = true;
    (void)pthread_cond_signal(&thread->wake);
    (void)pthread_mutex_unlock(&thread->lock);
    CHECK(pthread_join(thread->worker, NULL) == 0);
    release(thread);
}

void checkpoint_thread_submit(struct checkpoint_thread *thread, struct checkpoint_job *job)
{
    (void)pthread_mutex_lock(&thread->lock);
    CHECK(!thread->stopping);
    list_append(&thread->waiting, &job->link);
    (void)pthread_cond_signal(&thread->wake);
    (void)pthread_mutex_unlock(&thread->lock);
}

void checkpoint_thread_take_done(struct checkpoint_thread *thread, struct list *done)
{
    struct list *link;

    (void)pthread_mutex_lock(&thread->lock);
    while ((link = list_take_first(&thread->done)) != NULL) {
        list_append(done, link);
    }
    (void)pthread_mutex_unlock(&thread->lock);
}
