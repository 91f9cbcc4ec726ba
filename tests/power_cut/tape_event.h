/* What a tape (tape.h) tells of: one operation on files, or where the story stands. */
#ifndef TESTS_POWER_CUT_TAPE_EVENT_H
#define TESTS_POWER_CUT_TAPE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

enum { TAPE_NAME_BYTES_MAX = 64, TAPE_ROOT = 0 };

enum tape_kind {
    TAPE_WRITE,        /* node, offset, data; `forced`: durable when it returned */
    TAPE_FAILED_WRITE, /* node, offset, size: reported as failed; what was done of it follows */
    TAPE_RESIZE,       /* node, size */
    TAPE_SYNC,         /* node: what was written to it before is durable */
    TAPE_FAILED_SYNC,  /* node: any part of that may be durable, the rest never will be by itself */
    TAPE_MAKE,         /* node, a folder or an empty file, as `name` in `folder` */
    TAPE_REMOVE,       /* node, `name` in `folder` */
    TAPE_RENAME,       /* node, from `name` in `folder` to `new_name` in `new_folder` */
    TAPE_SYNC_FOLDER,  /* node: its names are durable */
    TAPE_BEGIN,        /* the story: step `number` begins */
    TAPE_DONE          /* step `number` was acknowledged */
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

#endif
