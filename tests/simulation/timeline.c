#include "tests/simulation/timeline.h"

#include "base/check.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SEQUENCE_BITS = 22, LINES_KEPT = 200, LINE_BYTES = 240 };

/* The one that runs now: log_event has no place for a context. */
static const struct timeline *running;

static char last_lines[LINES_KEPT][LINE_BYTES];
static uint64_t line_count;

void timeline_init(struct timeline *timeline, enum timeline_trace trace)
{
    memset(timeline, 0, sizeof *timeline);
    heap_init(&timeline->heap);
    timeline->hash = UINT64_C(0xcbf29ce484222325);
    timeline->trace = trace;
    running = timeline;
}

void timeline_release(struct timeline *timeline)
{
    heap_release(&timeline->heap);
    running = NULL;
}

void timeline_after(struct timeline *timeline,
                    struct timeline_event *event,
                    uint64_t delay_us,
                    void (*run)(struct timeline_event *event))
{
    uint64_t at_us = timeline->now_us + delay_us;
    uint64_t order = timeline->sequence++ & ((UINT64_C(1) << SEQUENCE_BITS) - 1);

    CHECK_OP(at_us, <, UINT64_C(1) << (63 - SEQUENCE_BITS));
    event->run = run;
    heap_set(&timeline->heap, &event->node, at_us << SEQUENCE_BITS | order);
}

uint64_t timeline_due(const struct timeline_event *event)
{
    return heap_contains(&event->node) ? event->node.key >> SEQUENCE_BITS : UINT64_MAX;
}

void timeline_cancel(struct timeline *timeline, struct timeline_event *event)
{
    heap_remove(&timeline->heap, &event->node);
}

bool timeline_step(struct timeline *timeline)
{
    struct heap_node *first = heap_first(&timeline->heap);
    struct timeline_event *event;

    if (first == NULL) {
        return false;
    }
    event = (struct timeline_event *)((uintptr_t)first - offsetof(struct timeline_event, node));
    timeline->now_us = first->key >> SEQUENCE_BITS;
    heap_remove(&timeline->heap, first);
    timeline->steps++;
    timeline_mix(timeline, timeline->now_us);
    event->run(event);
    return true;
}

void timeline_mix(struct timeline *timeline, uint64_t value)
{
    uint64_t hash = (timeline->hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);

    timeline->hash = hash ^ hash >> 29;
}

static void
add_line(const struct timeline *timeline, const char *what, const char *format, va_list arguments)
{
    char *line = last_lines[line_count++ % LINES_KEPT];
    int head = snprintf(line, LINE_BYTES, "%4" PRIu64 ".%06" PRIu64 " %s",
                        timeline->now_us / 1000000, timeline->now_us % 1000000, what);

    (void)vsnprintf(line + head, (size_t)(LINE_BYTES - head), format, arguments);
    if (timeline->trace == TIMELINE_PRINTS) {
        puts(line);
    }
}

void timeline_trace(const struct timeline *timeline, const char *format, ...)
{
    va_list arguments;

    if (timeline->trace != TIMELINE_SILENT) {
        va_start(arguments, format);
        add_line(timeline, "", format, arguments);
        va_end(arguments);
    }
}

/* The linker puts this in the place of log_event (--wrap): what a server logs is part of the trace.
 */
void __wrap_log_event(enum log_level level, const char *event, const char *format, ...);

void __wrap_log_event(enum log_level level, const char *event, const char *format, ...)
{
    char what[64];
    va_list arguments;

    (void)level;
    if (running != NULL && running->trace != TIMELINE_SILENT) {
        (void)snprintf(what, sizeof what, "  log: %s ", event);
        va_start(arguments, format);
        add_line(running, what, format, arguments);
        va_end(arguments);
    }
}

void timeline_print_last(FILE *file)
{
    uint64_t first = line_count > LINES_KEPT ? line_count - LINES_KEPT : 0;

    for (uint64_t i = first; i < line_count; i++) {
        fprintf(file, "%s\n", last_lines[i % LINES_KEPT]);
    }
}

bool timeline_chance(struct prng *prng, uint64_t permille)
{
    return prng_below(prng, 1000) < permille;
}

uint64_t timeline_delay(struct prng *prng, uint64_t mean)
{
    uint64_t spread = mean / 2 + prng_below(prng, mean + 1);

    return timeline_chance(prng, 20) ? 10 * spread : spread;
}
