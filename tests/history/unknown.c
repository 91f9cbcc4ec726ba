#include "tests/history/unknown.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"

#include <stdlib.h>

struct seen_value {
    struct map_node node;
    uint64_t value;
    uint64_t zxid;
};

struct learner {
    const struct history *history;
    struct map seen; /* struct seen_value in the arena */
    struct arena arena;
    struct unknown *unknown;
};

bool unknown_has_writes(const struct history_call *call)
{
    for (size_t i = 0; i < call->step_count; i++) {
        if (call->steps[i].kind != HISTORY_GET && call->steps[i].kind != HISTORY_EXISTS &&
            call->steps[i].kind != HISTORY_LIST) {
            return true;
        }
    }
    return false;
}

/* --- Writes known by their values --- */

static const struct seen_value *find_seen(const struct learner *learner, uint64_t value)
{
    MAP_FOR_HASH (node, &learner->seen, map_hash_u64(value)) {
        const struct seen_value *seen = CONTAINER_OF(node, struct seen_value, node);

        if (seen->value == value) {
            return seen;
        }
    }
    return NULL;
}

static void note_seen(struct learner *learner, uint64_t value, uint64_t zxid)
{
    struct seen_value *seen;

    if (value == 0 || zxid == 0 || find_seen(learner, value) != NULL) {
        return;
    }
    seen = arena_calloc(&learner->arena, 1, sizeof *seen);
    seen->value = value;
    seen->zxid = zxid;
    map_insert(&learner->seen, &seen->node, map_hash_u64(value));
}

static void note_all_seen(struct learner *learner)
{
    const struct history *history = learner->history;

    for (size_t i = 0; i < history->effect_count; i++) {
        if (history->effects[i].kind <= HISTORY_EFFECT_VALUE_SET) {
            note_seen(learner, history->effects[i].value, history->effects[i].zxid);
        }
    }
    for (size_t i = 0; i < history->event_count; i++) {
        const struct history_event *event = &history->events[i];

        if (!event->resync && event->has_value &&
            (event->kind == HISTORY_EVENT_CREATED || event->kind == HISTORY_EVENT_VALUE_SET)) {
            note_seen(learner, event->value, event->zxid);
        }
    }
    for (size_t i = 0; i < history->call_count; i++) {
        for (size_t j = 0; j < history->calls[i].step_count; j++) {
            const struct history_step *step = &history->calls[i].steps[j];

            if (step->kind == HISTORY_GET && step->exists && step->has_stat) {
                note_seen(learner, step->value, step->mzxid);
            }
        }
    }
}

static uint64_t learned_zxid(const struct learner *learner, const struct history_call *call)
{
    for (size_t i = 0; i < call->step_count; i++) {
        const struct history_step *step = &call->steps[i];
        const struct seen_value *seen = NULL;

        if (step->kind == HISTORY_SET || step->kind == HISTORY_CREATE) {
            seen = find_seen(learner, step->value);
        }
        if (seen != NULL) {
            return seen->zxid;
        }
    }
    return 0;
}

/* --- Removals, which write no value --- */

/* This zxid was reached by then: somebody was told so. */
struct shown {
    uint64_t zxid;
    uint64_t time; /* that of the first who was told of this or of a later one */
};

struct removals {
    size_t *calls; /* unknown, and writing no value; in the order of their calls */
    bool *in_doubt;
    size_t count;
    uint64_t *explained; /* zxids, sorted */
    size_t explained_count;
    struct shown *shown; /* by zxid */
    size_t shown_count;
    int32_t *versions; /* of what is there, by path */
};

/* The effects of one zxid. */
struct effects {
    const struct history_effect *items;
    size_t count;
};

static bool writes_a_value(const struct history_call *call)
{
    for (size_t i = 0; i < call->step_count; i++) {
        const struct history_step *step = &call->steps[i];

        if (step->kind == HISTORY_SET || step->kind == HISTORY_CREATE) {
            return true;
        }
    }
    return false;
}

static bool are_alike(const struct history_call *left, const struct history_call *right)
{
    if (left->step_count != right->step_count) {
        return false;
    }
    for (size_t i = 0; i < left->step_count; i++) {
        if (left->steps[i].kind != right->steps[i].kind ||
            left->steps[i].path != right->steps[i].path ||
            left->steps[i].expected != right->steps[i].expected) {
            return false;
        }
    }
    return true;
}

static bool is_removed(const struct effects *effects, history_path path)
{
    for (size_t i = 0; i < effects->count; i++) {
        if (effects->items[i].path == path) {
            return true;
        }
    }
    return false;
}

static int compare_shown(const void *left, const void *right)
{
    const struct shown *a = left;
    const struct shown *b = right;

    return a->zxid < b->zxid ? -1 : a->zxid > b->zxid;
}

static void note_shown(const struct history *history, struct removals *removals)
{
    removals->shown = xcalloc(history->call_count, sizeof *removals->shown);
    for (size_t i = 0; i < history->call_count; i++) {
        const struct history_call *call = &history->calls[i];

        if (call->zxid != 0 && call->returned != HISTORY_NEVER) {
            removals->shown[removals->shown_count++] =
                (struct shown){.zxid = call->zxid, .time = call->returned};
        }
    }
    qsort(removals->shown, removals->shown_count, sizeof *removals->shown, compare_shown);
    for (size_t i = removals->shown_count; i > 1; i--) {
        if (removals->shown[i - 2].time > removals->shown[i - 1].time) {
            removals->shown[i - 2].time = removals->shown[i - 1].time;
        }
    }
}

static uint64_t reached_by(const struct removals *removals, uint64_t zxid)
{
    size_t low = 0;
    size_t high = removals->shown_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (removals->shown[middle].zxid < zxid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == removals->shown_count ? HISTORY_NEVER : removals->shown[low].time;
}

/* Could the call have had just these effects? */
static bool fits(const struct removals *removals,
                 const struct history_call *call,
                 const struct effects *effects)
{
    size_t removed = 0;

    if (call->session != effects->items[0].session ||
        call->invoked > reached_by(removals, effects->items[0].zxid)) {
        return false;
    }
    for (size_t i = 0; i < call->step_count; i++) {
        const struct history_step *step = &call->steps[i];

        if (step->kind != HISTORY_REMOVE) {
            continue;
        }
        if (!is_removed(effects, step->path) ||
            (step->expected != HISTORY_ANY_VERSION &&
             step->expected != removals->versions[step->path])) {
            return false;
        }
        removed++;
    }
    return removed == effects->count;
}

/* Of several alike the one called first is as good as any. Of others none is chosen, nor later one
 * that perhaps did this. */
static void
explain(struct learner *learner, struct removals *removals, const struct effects *effects)
{
    const struct history_call *calls = learner->history->calls;
    size_t found = SIZE_MAX;
    bool is_clear = true;

    for (size_t i = 0; i < removals->count; i++) {
        size_t position = removals->calls[i];

        if (learner->unknown->zxids[position] != 0 || !fits(removals, &calls[position], effects)) {
            continue;
        }
        is_clear = is_clear && !removals->in_doubt[i] &&
                   (found == SIZE_MAX || are_alike(&calls[found], &calls[position]));
        found = found == SIZE_MAX ? position : found;
    }
    if (is_clear && found != SIZE_MAX) {
        learner->unknown->zxids[found] = effects->items[0].zxid;
        return;
    }
    for (size_t i = 0; i < removals->count; i++) {
        removals->in_doubt[i] =
            removals->in_doubt[i] || fits(removals, &calls[removals->calls[i]], effects);
    }
}

static int compare_numbers(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

static void note_explained(const struct learner *learner, struct removals *removals)
{
    const struct history *history = learner->history;
    size_t count = 0;

    removals->explained =
        xcalloc(history->call_count + history->effect_count, sizeof *removals->explained);
    for (size_t i = 0; i < history->call_count; i++) {
        if (learner->unknown->zxids[i] != 0 && unknown_has_writes(&history->calls[i])) {
            removals->explained[count++] = learner->unknown->zxids[i];
        }
    }
    for (size_t i = 0; i < history->effect_count; i++) {
        if (history->effects[i].kind != HISTORY_EFFECT_REMOVED) {
            removals->explained[count++] = history->effects[i].zxid;
        }
    }
    qsort(removals->explained, count, sizeof *removals->explained, compare_numbers);
    removals->explained_count = count;
}

static bool is_explained(const struct removals *removals, uint64_t zxid)
{
    return bsearch(&zxid, removals->explained, removals->explained_count,
                   sizeof *removals->explained, compare_numbers) != NULL;
}

static void explain_all(struct learner *learner, struct removals *removals)
{
    const struct history *history = learner->history;
    size_t next;

    for (size_t i = 0; i < history->effect_count; i = next) {
        struct effects effects = {.items = &history->effects[i]};

        next = i;
        while (next < history->effect_count &&
               history->effects[next].zxid == history->effects[i].zxid) {
            if (history->effects[next].kind <= HISTORY_EFFECT_VALUE_SET) {
                removals->versions[history->effects[next].path] = history->effects[next].version;
            }
            next++;
        }
        effects.count = next - i;
        if (!is_explained(removals, effects.items[0].zxid)) {
            explain(learner, removals, &effects);
        }
    }
}

static void learn_removals(struct learner *learner)
{
    const struct history *history = learner->history;
    struct removals removals = {.count = 0};

    removals.calls = xcalloc(history->call_count, sizeof *removals.calls);
    removals.in_doubt = xcalloc(history->call_count, sizeof *removals.in_doubt);
    removals.versions = xcalloc(history_path_end(history), sizeof *removals.versions);
    for (size_t i = 0; i < history->call_count; i++) {
        if (history->calls[i].outcome == HISTORY_UNKNOWN &&
            unknown_has_writes(&history->calls[i]) && !writes_a_value(&history->calls[i])) {
            removals.calls[removals.count++] = i;
        }
    }
    note_explained(learner, &removals);
    note_shown(history, &removals);
    explain_all(learner, &removals);
    for (size_t i = 0; i < removals.count; i++) {
        size_t position = removals.calls[i];

        learner->unknown->did_nothing[position] =
            learner->unknown->zxids[position] == 0 && !removals.in_doubt[i];
    }
    free(removals.calls);
    free(removals.in_doubt);
    free(removals.versions);
    free(removals.explained);
    free(removals.shown);
}

/* A write whose value is not among all effects did nothing. */
static bool names_itself(const struct history_call *call)
{
    for (size_t i = 0; i < call->step_count; i++) {
        const struct history_step *step = &call->steps[i];

        if ((step->kind == HISTORY_SET || step->kind == HISTORY_CREATE) && step->value != 0) {
            return true;
        }
    }
    return false;
}

void unknown_init(struct unknown *unknown, const struct history *history)
{
    struct learner learner = {.history = history, .unknown = unknown};

    unknown->zxids = xcalloc(history->call_count, sizeof *unknown->zxids);
    unknown->did_nothing = xcalloc(history->call_count, sizeof *unknown->did_nothing);
    arena_init(&learner.arena);
    map_init(&learner.seen);
    note_all_seen(&learner);
    for (size_t i = 0; i < history->call_count; i++) {
        const struct history_call *call = &history->calls[i];
        bool is_untold = call->outcome == HISTORY_UNKNOWN;

        unknown->zxids[i] = is_untold ? learned_zxid(&learner, call) : call->zxid;
        unknown->did_nothing[i] =
            history->effects_complete && is_untold && unknown->zxids[i] == 0 && names_itself(call);
    }
    if (history->effects_complete) {
        learn_removals(&learner);
    }
    map_release(&learner.seen);
    arena_release(&learner.arena);
}

void unknown_release(struct unknown *unknown)
{
    free(unknown->zxids);
    free(unknown->did_nothing);
}
