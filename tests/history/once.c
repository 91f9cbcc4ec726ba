#include "tests/history/once.h"

#include "base/alloc.h"
#include "tests/history/report.h"

#include <inttypes.h>
#include <stdlib.h>

/* A value, as written or as seen somewhere. */
struct sight {
    uint64_t value;
    bool is_write; /* the writer itself, before those who saw it */
    history_path path;
    uint64_t zxid; /* of the change that gave the node this value; 0 = not told */
    const struct history_call *call;
    const struct history_step *step; /* with a call */
    const struct history_event *event;
    const struct history_effect *effect;
};

struct sights {
    struct sight *items;
    size_t count;
    size_t capacity;
};

static void add(struct sights *sights, struct sight sight)
{
    if (sight.value == 0) {
        return;
    }
    if (sights->count == sights->capacity) {
        sights->capacity = 2 * sights->capacity + 64;
        sights->items = xrealloc(sights->items, sights->capacity * sizeof *sights->items);
    }
    sights->items[sights->count++] = sight;
}

static void add_call(struct sights *sights, const struct history_call *call)
{
    for (size_t i = 0; i < call->step_count; i++) {
        const struct history_step *step = &call->steps[i];
        struct sight sight = {.value = step->value, .path = step->path, .call = call, .step = step};

        if (step->kind == HISTORY_SET || step->kind == HISTORY_CREATE) {
            sight.is_write = true;
            sight.zxid = call->outcome == HISTORY_OK ? call->zxid : 0;
            sight.path = step->kind == HISTORY_CREATE && step->sequential ? step->made : step->path;
            add(sights, sight);
        } else if (step->kind == HISTORY_GET && step->exists && call->outcome == HISTORY_OK) {
            sight.zxid = step->has_stat ? step->mzxid : 0;
            add(sights, sight);
        }
    }
}

static void collect(struct sights *sights, const struct history *history)
{
    for (size_t i = 0; i < history->call_count; i++) {
        add_call(sights, &history->calls[i]);
    }
    for (size_t i = 0; i < history->event_count; i++) {
        const struct history_event *event = &history->events[i];

        if (event->has_value &&
            (event->kind == HISTORY_EVENT_CREATED || event->kind == HISTORY_EVENT_VALUE_SET)) {
            add(sights, (struct sight){.value = event->value,
                                       .path = event->path,
                                       .zxid = event->resync ? 0 : event->zxid,
                                       .event = event});
        }
    }
    for (size_t i = 0; i < history->effect_count; i++) {
        const struct history_effect *effect = &history->effects[i];

        if (effect->kind <= HISTORY_EFFECT_VALUE_SET) {
            add(sights, (struct sight){.value = effect->value,
                                       .path = effect->path,
                                       .zxid = effect->zxid,
                                       .effect = effect});
        }
    }
}

static int rank(const struct sight *sight)
{
    return sight->is_write ? 0 : sight->effect != NULL ? 1 : sight->event != NULL ? 2 : 3;
}

/* By value, the writer first, then effects in order; the rest by where it stands in the record. */
static int compare(const void *left, const void *right)
{
    const struct sight *a = left;
    const struct sight *b = right;

    if (a->value != b->value) {
        return a->value < b->value ? -1 : 1;
    }
    if (rank(a) != rank(b)) {
        return rank(a) < rank(b) ? -1 : 1;
    }
    if (a->effect != b->effect) {
        return a->effect < b->effect ? -1 : 1;
    }
    if (a->event != b->event) {
        return a->event < b->event ? -1 : 1;
    }
    return a->step < b->step ? -1 : a->step > b->step;
}

static void report_sight(struct report *report, const struct sight *sight)
{
    if (sight->effect != NULL) {
        report_effect(report, sight->effect);
    } else if (sight->event != NULL) {
        report_event(report, sight->event);
    } else {
        report_call(report, sight->call);
    }
}

static void report_pair(struct report *report,
                        const char *what,
                        const struct sight *left,
                        const struct sight *right)
{
    report_fault(report, "value %" PRIu64 " %s:", left->value, what);
    report_sight(report, left);
    report_sight(report, right);
}

/* What both tell does not go together. */
static bool differs(const struct sight *left, const struct sight *right)
{
    return (left->zxid != 0 && right->zxid != 0 && left->zxid != right->zxid) ||
           (left->path != HISTORY_NO_PATH && right->path != HISTORY_NO_PATH &&
            left->path != right->path);
}

static bool surely_did_nothing(const struct sight *write)
{
    return write->call->outcome == HISTORY_REFUSED || write->call->outcome == HISTORY_NOT_APPLIED;
}

/* `items` tell of one value. */
static void check_value(struct report *report, const struct sight *items, size_t count)
{
    const struct sight *write = items[0].is_write ? &items[0] : NULL;
    const struct sight *placed = NULL; /* says most exactly where it took effect */
    const struct sight *effect = NULL;

    if (write != NULL && count > 1 && items[1].is_write) {
        report_pair(report, "was written by two, so the record is of no use", write, &items[1]);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct sight *sight = &items[i];

        if (write == NULL && sight->effect == NULL && effect == NULL) {
            report_fault(report, "value %" PRIu64 " was written by nobody:", sight->value);
            report_sight(report, sight);
            return;
        }
        if (sight != write && write != NULL && surely_did_nothing(write)) {
            report_pair(report, "was refused, and is there", write, sight);
            return;
        }
        if (sight->effect != NULL && effect != NULL) {
            report_pair(report, "took effect twice", effect, sight);
            return;
        }
        if (placed != NULL && differs(placed, sight)) {
            report_pair(report, "took effect in two places", placed, sight);
            return;
        }
        effect = sight->effect != NULL ? sight : effect;
        placed = placed == NULL || placed->zxid == 0 ? sight : placed;
    }
    if (write != NULL && write->call->outcome == HISTORY_OK && effect == NULL &&
        report->history->effects_complete) {
        report_fault(report,
                     "value %" PRIu64 " was acknowledged and never took effect:", write->value);
        report_sight(report, write);
    }
}

/* A removal has no value: where all is known, look for it at its zxid. */
static void check_removals(struct report *report)
{
    const struct history *history = report->history;

    for (size_t i = 0; history->effects_complete && i < history->call_count; i++) {
        const struct history_call *call = &history->calls[i];
        size_t low = 0;
        size_t high = history->effect_count;

        if (call->outcome != HISTORY_OK || call->zxid == 0 ||
            call->steps[0].kind != HISTORY_REMOVE) {
            continue;
        }
        while (low < high) {
            size_t middle = low + (high - low) / 2;

            if (history->effects[middle].zxid < call->zxid) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        while (low < history->effect_count && history->effects[low].zxid == call->zxid &&
               (history->effects[low].kind != HISTORY_EFFECT_REMOVED ||
                history->effects[low].path != call->steps[0].path)) {
            low++;
        }
        if (low == history->effect_count || history->effects[low].zxid != call->zxid) {
            report_fault(report, "a removal was acknowledged and never took effect:");
            report_call(report, call);
        }
    }
}

size_t once_check(const struct history *history, struct buffer *text)
{
    struct report report = report_of(history, "once", text);
    struct sights sights = {.count = 0};

    collect(&sights, history);
    if (sights.count > 0) {
        qsort(sights.items, sights.count, sizeof *sights.items, compare);
    }
    for (size_t start = 0, end = 0; start < sights.count; start = end) {
        while (end < sights.count && sights.items[end].value == sights.items[start].value) {
            end++;
        }
        check_value(&report, &sights.items[start], end - start);
    }
    check_removals(&report);
    free(sights.items);
    report_end(&report);
    return report.fault_count;
}
