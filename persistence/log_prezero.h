/* Zeros written behind the end of the log's file, before LMDB needs the space: a commit into blocks
 * that exist and were written costs no journal commit of the file system, and finds its space
 * reserved.
 *
 * Only the file's end is ever written, so no page in use can be hit, and only as far as the map
 * reaches. */
#ifndef PERSISTENCE_LOG_PREZERO_H
#define PERSISTENCE_LOG_PREZERO_H

#include "persistence/log_store_internal.h"

/* What is zeroed ahead grows with what the file holds, between these. */
#define LOG_PREZERO_BYTES_MIN  (UINT64_C(8) << 20)
#define LOG_PREZERO_BYTES_MAX  (UINT64_C(64) << 20)
#define LOG_PREZERO_STEP_BYTES (UINT64_C(1) << 20)
/* Never the last of the disk. */
#define LOG_PREZERO_KEPT_FREE_BYTES (UINT64_C(64) << 20)

enum log_prezero_need {
    LOG_PREZERO_NONE,
    LOG_PREZERO_IDLE, /* at the next idle moment */
    LOG_PREZERO_NOW   /* less than half is left */
};

/* Thread: the writer's, as for the step. */
enum log_prezero_need log_prezero_need(struct log_store *store);
/* Write and sync one step of zeros. A full disk is no error: the need is NONE for a while. IO: the
 * disk fails; later writes fail too. */
MUST_CHECK enum status log_prezero_step(struct log_store *store, struct error *error);

#endif
