/* What the units of a modelled disk share: its struct, and the operations that may be the last. */
#ifndef TESTS_SIMULATION_DISK_INTERNAL_H
#define TESTS_SIMULATION_DISK_INTERNAL_H

#include "base/prng.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/dump_files.h"
#include "tests/simulation/image.h"

/* The checkpoint jobs of one thread. */
struct job_line {
    struct disk *disk;
    struct list jobs; /* the first is under way */
    struct timeline_event event;
    bool is_done; /* the first one was, when it began; else it is at its end */
};

struct disk {
    struct timeline *timeline;
    struct prng prng;
    struct disk_observer observer;
    uint64_t write_us;
    uint64_t slowness;
    uint64_t stalled_until_us;
    bool full;
    bool full_log;
    bool full_map;
    uint64_t full_generation; /* whose map it is */
    uint64_t crash_count;     /* operations until the ordered crash; 0 = none ordered */
    bool crash_after;
    bool fails_log;
    bool fails_checkpoint;
    bool failed_write_done;
    bool fails_reads;
    bool damaged;          /* something on it is, or was */
    bool told_error;       /* the process got one that it has not died of yet */
    bool halted;           /* the process is dead, nothing reaches the disk any more */
    struct stores *stores; /* NULL: the model alone */
    struct journal *journal;
    struct list writes;      /* submitted, in order */
    struct list done_writes; /* durable, not yet reported */
    size_t batch_count;      /* of them are in the transaction under way */
    struct timeline_event write_event;
    struct list reads;
    struct job_line checkpoints;
    struct job_line dumps; /* on a thread of their own */
    struct list images;
    struct dump_files files;
};

/* NULL if there is none. */
struct image *disk_find_image(const struct disk *disk, uint64_t generation);

void disk_die(struct disk *disk);
/* Called where something becomes durable. False: it must not happen any more. */
bool disk_begins(struct disk *disk);
/* Called when it happened. False: the process is dead now. */
bool disk_ends(struct disk *disk);

#endif
