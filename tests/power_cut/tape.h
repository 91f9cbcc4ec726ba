/* What this program does to the files below one folder, call by call, and failures on request.
 *
 * A program that links this file has tape.c's open, write, fdatasync, rename and so on in the place
 * of the C library's, for LMDB too. Each call is really made, except that nothing is synced: syncs
 * count on the tape alone. What is read through a map or stdio, or written through a map, is not
 * seen; of the files of a data folder that concerns LMDB's lock.mdb alone. One tape in a process;
 * calls may come from any thread. */
#ifndef TESTS_POWER_CUT_TAPE_H
#define TESTS_POWER_CUT_TAPE_H

#include "tests/power_cut/tape_event.h"

#include <stddef.h>

enum tape_fault {
    TAPE_FAULT_NONE,
    TAPE_FAULT_REFUSED, /* nothing was done */
    TAPE_FAULT_DONE,    /* it was done, as far as the page cache knows */
    TAPE_FAULT_SHORT    /* writes: the first half was done, and that is said; others: REFUSED */
};

/* Record what happens below `root`, an absolute path of an empty folder. Forgets what was recorded
 * before. */
void tape_start(const char *root);
/* The same until the process ends, into `file`. What is in the folder counts as durable; unless the
 * file tells already how it came there: then this process goes on where the last one ended. Before
 * call `die_at` the process kills itself (UINT64_MAX = never). */
void tape_resume(const char *root, const char *file, uint64_t die_at);
/* What such a file tells, in the place of what was recorded before. */
void tape_load(const char *file);
void tape_stop(void);
void tape_forget(void);
size_t tape_count(void);
const struct tape_event *tape_at(size_t position);

void tape_begin(uint64_t step);
void tape_done(uint64_t step);

/* Calls below the root that can fail, since tape_start; those that read are counted apart. */
uint64_t tape_calls(void);
uint64_t tape_reads(void);
/* Let call `first` (the next one is tape_calls()) and the `count - 1` after it fail. With EIO for
 * ever reads fail from then on as well. */
void tape_fail(uint64_t first, uint64_t count, enum tape_fault fault, int error_number);
/* The same of reads, with EIO; and no other call. */
void tape_fail_reads(uint64_t first, uint64_t count);
/* Let the `number`th call of this name from now on ("pwrite"; 0 = the next one) fail with EIO; the
 * name stays the caller's. */
void tape_fail_named(const char *name, uint64_t number);
/* How many did since the last tape_fail, and the name of the first of them. */
uint64_t tape_failed(const char **ret_name);

#endif
