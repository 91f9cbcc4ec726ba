/* What this program does to the files below one folder, call by call, and failures on request.
 *
 * A program that links this file has tape.c's open, write, fdatasync, rename and so on in the place
 * of the C library's, for LMDB too. Each call is really made, except that nothing is synced: syncs
 * count on the tape alone. What is written through a map is not seen; of the files of a data folder
 * that concerns LMDB's lock.mdb alone. One tape in a process; calls may come from any thread. */
#ifndef TESTS_POWER_CUT_TAPE_H
#define TESTS_POWER_CUT_TAPE_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TAPE_NAME_BYTES_MAX = 64, TAPE_ROOT = 0 };

enum tape_kind {
    TAPE_WRITE,       /* node, offset, data; `forced`: durable when it returned */
    TAPE_RESIZE,      /* node, size */
    TAPE_SYNC,        /* node: what was written to it before is durable */
    TAPE_FAILED_SYNC, /* node: any part of that may be durable, the rest never will be by itself */
    TAPE_MAKE,        /* node, a folder or an empty file, as `name` in `folder` */
    TAPE_REMOVE,      /* node, `name` in `folder` */
    TAPE_RENAME,      /* node, from `name` in `folder` to `new_name` in `new_folder` */
    TAPE_SYNC_FOLDER, /* node: its names are durable */
    TAPE_BEGIN,       /* the story: step `number` begins */
    TAPE_DONE         /* step `number` was acknowledged */
};

/* Files and folders are numbered as they appear; the root is TAPE_ROOT. */
struct tape_event {
    enum tape_kind kind;
    int node;
    int folder;
    int new_folder;
    char name[TAPE_NAME_BYTES_MAX];
    char new_name[TAPE_NAME_BYTES_MAX];
    bool is_folder; /* MAKE */
    bool forced;    /* WRITE */
    uint64_t offset;
    uint64_t size;
    uint8_t *data;
    uint64_t number; /* BEGIN, DONE */
};

enum tape_fault {
    TAPE_FAULT_NONE,
    TAPE_FAULT_REFUSED, /* nothing was done */
    TAPE_FAULT_DONE,    /* it was done, as far as the page cache knows */
    TAPE_FAULT_SHORT    /* writes: the first half was done, and that is said; others: REFUSED */
};

/* Record what happens below `root`, an absolute path of an empty folder. Forgets what was recorded
 * before. */
void tape_start(const char *root);
void tape_stop(void);
void tape_forget(void);
size_t tape_count(void);
const struct tape_event *tape_at(size_t position);

void tape_begin(uint64_t step);
void tape_done(uint64_t step);

/* Calls below the root that can fail, since tape_start. */
uint64_t tape_calls(void);
/* Let call `first` (the next one is tape_calls()) and the `count - 1` after it fail. */
void tape_fail(uint64_t first, uint64_t count, enum tape_fault fault, int error_number);
/* How many did since the last tape_fail, and the name of the first of them. */
uint64_t tape_failed(const char **ret_name);

#endif
