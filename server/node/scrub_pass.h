/* The pace of one pass over something in slices. Pure; times are microseconds. */
#ifndef NODE_SCRUB_PASS_H
#define NODE_SCRUB_PASS_H

#include <stdbool.h>
#include <stdint.h>

enum { SCRUB_PASS_US = 40 * 1000 * 1000 };

struct scrub_pass {
    bool is_running;     /* a pass is under way, not merely waited for */
    uint64_t started_us; /* the last one */
    uint64_t slice_us;   /* the last slice ended */
};

struct scrub_pace {
    uint64_t interval_us; /* between two slices */
    uint64_t bytes_min;   /* of a slice */
    uint64_t bytes_max;
};

/* When the next slice is due. */
uint64_t scrub_pass_due(const struct scrub_pass *pass, const struct scrub_pace *pace);
/* Begin a slice: the size with which `total_bytes` take no longer than SCRUB_PASS_US, if it may be
 * so large. */
uint64_t scrub_pass_begin(struct scrub_pass *pass,
                          const struct scrub_pace *pace,
                          uint64_t now_us,
                          uint64_t total_bytes);
/* A slice ended; `finished`: and the pass with it. */
void scrub_pass_end(struct scrub_pass *pass, uint64_t now_us, bool finished);

#endif
