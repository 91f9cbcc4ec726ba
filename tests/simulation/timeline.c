#include "tests/simulation/timeline.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SEQUENCE_BITS = 22 };

void timeline_init(struct timeline *timeline, bool trace)
{
    memset(timeline, 0, sizeof *timeline);
    heap_init(&timeline->heap);
    timeline->hash = UINT64_C(0xcbf29ce484222325);
    timeline->trace = trace;
}

void timeline_release(struct timeline *timeline)
{
    heap_release(&timeline->heap);
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

void timeline_trace(const struct timeline *timeline, const char *format, ...)
{
    va_list arguments;

    if (!timeline->trace) {
        return;
    }
    printf("%4" PRIu64 ".%06" PRIu64 " ", timeline->now_us / 1000000, timeline->now_us % 1000000);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
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
