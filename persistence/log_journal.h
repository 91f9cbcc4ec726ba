/* The newest entries of the log, until LMDB has them: the file `journal` in the log's folder.
 *
 * A small write that only appends goes there: bytes in one piece, in one place whose blocks the
 * file has already, by one call with one flush. LMDB would write its pages and its meta page in two
 * or three places. When a write does not fit any more, or does more than append, what the journal
 * has goes into LMDB with it, in one transaction, and the journal begins anew. After a crash
 * log_tail.h finds the entries in it, by the same stamps as others.
 *
 * Each write stands at the beginning of a block, so that none touches what an earlier one has made
 * durable, and counts as a whole or not at all. docs/DISK_FORMAT.md has the bytes.
 *
 * Thread: whoever holds the log store's write lock; log_journal_load any. */
#ifndef PERSISTENCE_LOG_JOURNAL_H
#define PERSISTENCE_LOG_JOURNAL_H

#include "base/bytes.h"
#include "base/error.h"
#include "raft/raft.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOG_JOURNAL_BLOCK_BYTES = 4096,
    LOG_JOURNAL_HEAD_BYTES = 28,
    LOG_JOURNAL_RECORD_HEAD_BYTES = 12,
    /* Of one write, with its head. Of a larger one the bytes cost more than the places. */
    LOG_JOURNAL_WRITE_BYTES_MAX = 256 * 1024
};

struct log_journal {
    int file; /* -1: there is none, and everything goes to LMDB at once */
    size_t bytes;
    size_t at;      /* of the next write */
    uint8_t *write; /* what is being put together; whole blocks */
};

/* Open the journal of the log in folder `log_path`, or make one of `bytes`, whole blocks; what it
 * holds does not count any more. Without space there is none, which is OK. IO. */
MUST_CHECK enum status log_journal_open(const char *log_path,
                                        size_t bytes,
                                        struct log_journal *ret_journal,
                                        struct error *error);
void log_journal_close(struct log_journal *journal);

/* Where to put `size` bytes of records that are written next. NULL: they do not fit. */
uint8_t *log_journal_reserve(struct log_journal *journal, size_t size);
/* A record's head at `to`; returns the place of its value. */
uint8_t *log_journal_put_record(uint8_t *to, uint64_t key, size_t value_bytes);
/* Write them, durably. `first` is the index of the first entry. 0, or the errno: what became of
 * them is unknown then; what was written before is as it was. */
int log_journal_write(struct log_journal *journal, size_t size, uint64_t stamp, raft_index first);
/* LMDB has everything durably: begin anew. */
void log_journal_restart(struct log_journal *journal);

/* --- Reading, after a crash --- */

/* All bytes of the file; none if there is no file. IO. */
MUST_CHECK enum status
log_journal_load(const char *log_path, struct buffer *ret_bytes, struct error *error);

struct log_journal_write {
    uint64_t stamp;
    raft_index first;
    struct bytes records;
};
/* The next sound write of `rest`, whole blocks of a journal, also of times before. False: none. */
bool log_journal_next(struct bytes *rest, struct log_journal_write *ret_write);
/* The next record of a write. False: there is none. */
bool log_journal_next_record(struct bytes *records, uint64_t *ret_key, struct bytes *ret_value);

#endif
