#include "tests/history/shrink.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { RUNS_MAX = 400, WORK_SPARE = 1000 };

bool shrink_shows_value(const struct part_action *action, uint64_t value)
{
    for (size_t i = 0; action->call != NULL && i < action->call->step_count; i++) {
        const struct history_step *step = &action->call->steps[i];

        if (step->kind == HISTORY_GET && step->exists && step->value == value) {
            return true;
        }
    }
    return false;
}

struct shrink {
    const struct history *history;
    const struct part *part;
    uint8_t *modes;
    uint64_t work_max; /* of one search */
    size_t runs;
};

static bool is_written(const struct part_action *action)
{
    if (action->call == NULL) {
        return true;
    }
    for (size_t i = 0; i < action->call->step_count; i++) {
        enum history_kind kind = action->call->steps[i].kind;

        if (kind == HISTORY_SET || kind == HISTORY_CREATE || kind == HISTORY_REMOVE) {
            return action->call->outcome != HISTORY_REFUSED;
        }
    }
    return false;
}

static bool has_none(struct shrink *shrink)
{
    struct search_outcome outcome;

    if (shrink->runs >= RUNS_MAX) {
        return false;
    }
    shrink->runs++;
    outcome = search_run(shrink->history, shrink->part, shrink->modes, shrink->work_max);
    free(outcome.order);
    return outcome.verdict == SEARCH_NONE;
}

/* Somebody who is left was shown what this writes. */
static bool is_needed(const struct shrink *shrink, const struct part_action *action)
{
    for (size_t i = 0; i < shrink->part->action_count; i++) {
        for (size_t j = 0; shrink->modes[i] == SEARCH_AS_IT_IS && j < action->call->step_count;
             j++) {
            if (shrink_shows_value(&shrink->part->actions[i], action->call->steps[j].value)) {
                return true;
            }
        }
    }
    return false;
}

/* Set the mode of those of the kind wanted among [from, to). */
static bool
change(struct shrink *shrink, size_t from, size_t to, bool written, enum search_mode mode)
{
    bool any = false;

    for (size_t i = from; i < to; i++) {
        const struct part_action *action = &shrink->part->actions[i];

        if (shrink->modes[i] != SEARCH_AS_IT_IS || is_written(action) != written ||
            (written && mode == SEARCH_LEFT_OUT && is_needed(shrink, action))) {
            continue;
        }
        shrink->modes[i] = (uint8_t)mode;
        any = true;
    }
    return any;
}

/* Halves, quarters, ... down to single ones, as in delta debugging (Zeller and Hildebrandt). */
static void change_as_many_as_possible(struct shrink *shrink, bool written, enum search_mode mode)
{
    size_t count = shrink->part->action_count;
    uint8_t *before = xcalloc(count, 1);

    for (size_t size = count; size > 0; size /= 2) {
        for (size_t from = 0; from < count; from += size) {
            size_t to = from + size < count ? from + size : count;

            memcpy(before, shrink->modes, count);
            if (change(shrink, from, to, written, mode) && !has_none(shrink)) {
                memcpy(shrink->modes, before, count);
            }
        }
    }
    free(before);
}

/* What began after the return that could not be passed was not tried, but for what has a lower zxid
 * and so had to come before. */
static void cut(struct shrink *shrink, const struct part_action *stuck)
{
    size_t count = shrink->part->action_count;
    uint8_t *before = xmemdup(shrink->modes, count);

    for (size_t i = 0; i < count; i++) {
        const struct part_action *action = &shrink->part->actions[i];
        bool comes_before = action->zxid != 0 && action->zxid <= stuck->zxid;

        if (action->invoked > stuck->returned && !comes_before) {
            shrink->modes[i] = SEARCH_LEFT_OUT;
        }
    }
    if (!has_none(shrink)) {
        memcpy(shrink->modes, before, count);
    }
    free(before);
}

/* --- By values alone --- */

/* What remains of a step; false: nothing. */
static bool project_step(const struct history_step *step, struct history_step *ret)
{
    bool writes = step->kind == HISTORY_SET || (step->kind == HISTORY_CREATE && !step->sequential);

    if (!writes && (step->kind != HISTORY_GET || !step->exists)) {
        return false;
    }
    *ret = (struct history_step){.kind = writes ? HISTORY_SET : HISTORY_GET,
                                 .path = step->path,
                                 .make = writes,
                                 .expected = HISTORY_ANY_VERSION,
                                 .value = step->value,
                                 .exists = !writes};
    return true;
}

/* The same of an action. */
static bool
project_action(const struct part_action *action, struct arena *arena, struct part_action *ret)
{
    const struct history_call *call = action->call;
    struct history_call *projected;

    if (call == NULL || (call->outcome != HISTORY_OK && call->outcome != HISTORY_UNKNOWN)) {
        return false;
    }
    projected = arena_calloc(arena, 1, sizeof *projected);
    *projected = (struct history_call){.client = call->client, .outcome = call->outcome};
    projected->steps = arena_calloc(arena, call->step_count, sizeof *projected->steps);
    for (size_t i = 0; i < call->step_count; i++) {
        projected->step_count +=
            project_step(&call->steps[i], &projected->steps[projected->step_count]);
    }
    *ret = (struct part_action){.call = projected,
                                .session_number = PARTITION_NO_SESSION,
                                .invoked = action->invoked,
                                .returned = action->returned,
                                .must = action->must && action->returned != HISTORY_NEVER};
    return projected->step_count > 0;
}

/* False: the values alone have an order. */
static bool shrink_values(struct shrink *shrink)
{
    const struct part *whole = shrink->part;
    struct part projected = {.paths = whole->paths,
                             .path_count = whole->path_count,
                             .action_count = whole->action_count};
    struct search_outcome outcome;
    struct arena arena;

    arena_init(&arena);
    projected.actions = arena_calloc(&arena, whole->action_count, sizeof *projected.actions);
    for (size_t i = 0; i < whole->action_count; i++) {
        if (!project_action(&whole->actions[i], &arena, &projected.actions[i])) {
            shrink->modes[i] = SEARCH_LEFT_OUT;
        }
    }
    shrink->part = &projected;
    outcome = search_run(shrink->history, &projected, shrink->modes, shrink->work_max);
    if (outcome.verdict == SEARCH_NONE) {
        cut(shrink, outcome.stuck);
        change_as_many_as_possible(shrink, false, SEARCH_LEFT_OUT);
        change_as_many_as_possible(shrink, true, SEARCH_LEFT_OUT);
        /* With fewer writes some reads are not needed any more. */
        change_as_many_as_possible(shrink, false, SEARCH_LEFT_OUT);
    }
    free(outcome.order);
    shrink->part = whole;
    arena_release(&arena);
    return outcome.verdict == SEARCH_NONE;
}

uint8_t *shrink_part(const struct history *history,
                     const struct part *part,
                     const struct search_outcome *outcome)
{
    struct shrink shrink = {.history = history,
                            .part = part,
                            .modes = xcalloc(part->action_count, 1),
                            .work_max = 2 * outcome->work + WORK_SPARE};

    if (shrink_values(&shrink)) {
        return shrink.modes;
    }
    memset(shrink.modes, SEARCH_AS_IT_IS, part->action_count);
    shrink.runs = 0;
    cut(&shrink, outcome->stuck);
    change_as_many_as_possible(&shrink, false, SEARCH_LEFT_OUT);
    change_as_many_as_possible(&shrink, true, SEARCH_RELAXED);
    return shrink.modes;
}
