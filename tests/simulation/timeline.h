/* Virtual time: events in the order of their microsecond, the random streams of one seed, and the
 * trace whose hash two runs of one seed must share. */
#ifndef TESTS_SIMULATION_TIMELINE_H
#define TESTS_SIMULATION_TIMELINE_H

#include "base/bytes.h"
#include "base/heap.h"
#include "base/prng.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct timeline_event {
    struct heap_node node;
    void (*run)(struct timeline_event *event);
};

/* What becomes of the lines of the trace: the last ones are kept in one place of the program. */
enum timeline_trace { TIMELINE_SILENT, TIMELINE_KEEPS_LAST, TIMELINE_PRINTS };

struct timeline {
    struct heap heap;
    uint64_t now_us;
    uint64_t sequence;
    uint64_t steps;
    uint64_t hash;
    enum timeline_trace trace;
};

void timeline_init(struct timeline *timeline, enum timeline_trace trace);
void timeline_release(struct timeline *timeline);

/* Run `event` in `delay_us`; one that waits already is moved. Events of one microsecond run in the
 * order in which they were set. */
void timeline_after(struct timeline *timeline,
                    struct timeline_event *event,
                    uint64_t delay_us,
                    void (*run)(struct timeline_event *event));
/* The time at which a waiting event runs; UINT64_MAX if it does not wait. */
uint64_t timeline_due(const struct timeline_event *event);
void timeline_cancel(struct timeline *timeline, struct timeline_event *event);
/* Run the next event; false when none is left. */
bool timeline_step(struct timeline *timeline);

/* Mix a number into the hash. */
void timeline_mix(struct timeline *timeline, uint64_t value);
/* A line of the trace; mixes nothing. */
void timeline_trace(const struct timeline *timeline, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Print the last lines that were kept. */
void timeline_print_last(FILE *file);

/* True with a chance of `permille` in a thousand. */
bool timeline_chance(struct prng *prng, uint64_t permille);
/* Mostly near `mean`, sometimes ten times that, and never longer than TIMELINE_DELAY_FACTOR_MAX
 * times. */
enum { TIMELINE_DELAY_FACTOR_MAX = 15 };
uint64_t timeline_delay(struct prng *prng, uint64_t mean);

#endif
