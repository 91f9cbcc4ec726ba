/* A thread that works on checkpoints: it commits generations, writes and installs dumps, touches
 * pages that coming commands will need, and verifies what lies there. One job at a time, in the
 * order of submission. All jobs but DUMP of one tree_store belong on one thread, its only writer; a
 * dump may take long and only reads, so it may have another.
 *
 * Jobs belong to the thread from submission until they come back from checkpoint_thread_take_done.
 * Except for `notify` everything here is called by the main thread. */
#ifndef PERSISTENCE_CHECKPOINT_THREAD_H
#define PERSISTENCE_CHECKPOINT_THREAD_H

#include "base/list.h"
#include "persistence/data_folder.h"
#include "persistence/tree_store.h"

struct checkpoint_thread;

enum checkpoint_job_kind {
    CHECKPOINT_JOB_COMMIT,
    CHECKPOINT_JOB_DUMP,
    CHECKPOINT_JOB_INSTALL,
    CHECKPOINT_JOB_SCRUB
};

struct checkpoint_job {
    struct list link; /* the thread's */
    enum checkpoint_job_kind kind;
    struct tree_store *store; /* all but INSTALL */
    /* COMMIT: untouched until done. */
    const struct tree_record *records;
    size_t record_count;
    struct tree_meta meta; /* COMMIT: in; DUMP: out (config lent by `config`) */
    /* DUMP: the file made; INSTALL: the file read. */
    char dump_path[DATA_FOLDER_PATH_BYTES_MAX];
    uint8_t cluster_id[16];
    uint64_t dump_bytes;  /* DUMP: out */
    struct buffer config; /* DUMP: out; the owner releases it */
    /* INSTALL */
    char tree_path[DATA_FOLDER_PATH_BYTES_MAX];
    struct tree_store_options tree_options;
    bool (*check_record)(struct bytes key, struct bytes value);
    tree_store_weigh *weigh; /* SCRUB, and DUMP if not NULL */
    /* SCRUB */
    uint64_t scrub_bytes_max;
    struct tree_scrub_slice scrubbed; /* out */
    /* Out; status STATUS_OK on success. COMMIT other than OK and NO_SPACE: end the process. */
    struct error error;
    void *context; /* the owner's */
};

/* Do one job here and now, as the thread does: for programs that order time themselves. */
void checkpoint_job_run(struct checkpoint_job *job);

/* `notify(context)` is called on the thread whenever a job is done; it must only wake the main
 * thread. `name` has at most 15 bytes. UNAVAILABLE: the system gives no thread. */
MUST_CHECK enum status checkpoint_thread_start(const char *name,
                                               void (*notify)(void *context),
                                               void *context,
                                               struct checkpoint_thread **ret_thread,
                                               struct error *error);
/* Finish what was submitted, then end. NULL is fine. */
void checkpoint_thread_stop(struct checkpoint_thread *thread);
void checkpoint_thread_submit(struct checkpoint_thread *thread, struct checkpoint_job *job);
/* Move all done jobs to the end of `done`. */
void checkpoint_thread_take_done(struct checkpoint_thread *thread, struct list *done);

#endif
