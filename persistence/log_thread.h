/* The log thread: the only writer of a log_store. It takes everything that is queued, makes it
 * durable in one transaction and reports; while it syncs, the next batch gathers: group commit
 * without a timer. Between batches it pre-zeroes, and when idle it trims. Old entries for peers
 * that lag are read by a second thread of its own, so that neither a sync nor a cold page delays
 * the other side.
 *
 * Jobs belong to the thread from submission until they come back from log_thread_take_done. Except
 * for the `notify` callback everything here is called by the main thread.
 *
 * A write for which disk or map have no space stays queued and is tried again until there is some:
 * to those who wait for it the disk is slow, and nothing is lost or reported twice. Meanwhile the
 * log is trimmed as far as the writes behind it allow: submit one that does nothing else when there
 * is none. When a write fails otherwise the process must end: the thread stops taking jobs, and
 * log_thread_error tells why. */
#ifndef PERSISTENCE_LOG_THREAD_H
#define PERSISTENCE_LOG_THREAD_H

#include "base/list.h"
#include "persistence/log_store.h"

struct log_thread;

enum log_job_kind { LOG_JOB_WRITE, LOG_JOB_READ };

struct log_job {
    struct list link; /* the thread's */
    enum log_job_kind kind;
    /* LOG_JOB_WRITE: entries and payloads stay untouched until the job is done. */
    raft_seq seq;
    struct log_write write;
    /* LOG_JOB_READ: entries first..last, cut once their payloads exceed bytes_max (at least one).
     */
    raft_index first;
    raft_index last;
    size_t bytes_max;
    enum status read_status;   /* OK, NOT_FOUND (trimmed), CORRUPT, IO */
    struct error read_error;   /* the words, unless OK */
    struct buffer payloads;    /* filled by the thread, released by the job's owner */
    struct log_entry *entries; /* xmalloc'ed, payloads point into the buffer; the owner frees it */
    size_t entry_count;
    void *context; /* the owner's */
};

/* Do a LOG_JOB_READ here and now, as the thread does: for programs that order time themselves. */
void log_job_read(struct log_store *store, struct log_job *job);

/* `notify(context)` is called on the thread's own threads whenever something is done or failed; it
 * must only wake the main thread. The store is used until log_thread_stop. UNAVAILABLE: the system
 * gives no thread. */
MUST_CHECK enum status log_thread_start(struct log_store *store,
                                        void (*notify)(void *context),
                                        void *context,
                                        struct log_thread **ret_thread,
                                        struct error *error);
/* Finish what was submitted, then end; returns when it has. Jobs that nobody took, and those not
 * done after a failed write or for want of space, are their owner's again. NULL is fine. */
void log_thread_stop(struct log_thread *thread);

/* Writes are done in the order of submission. Reads wait for no write. */
void log_thread_submit(struct log_thread *thread, struct log_job *job);
/* Move all done jobs to the end of `done`. */
void log_thread_take_done(struct log_thread *thread, struct list *done);
/* True while writes wait for space; *ret_error says on which disk or map. */
bool log_thread_waits_for_space(struct log_thread *thread, struct error *ret_error);
/* NULL while all is well. */
const struct error *log_thread_error(const struct log_thread *thread);

#endif
