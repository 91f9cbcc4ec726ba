#include "tests/history/ledger.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>

struct claims {
    struct ledger_change *items;
    size_t count;
    size_t capacity;
};

static void add(struct claims *claims, const struct ledger_change *change)
{
    if (claims->count == claims->capacity) {
        claims->capacity = 2 * claims->capacity + 64;
        claims->items = xrealloc(claims->items, claims->capacity * sizeof *claims->items);
    }
    claims->items[claims->count++] = *change;
}

/* --- What each source claims --- */

static void add_effects(struct claims *claims, const struct history *history)
{
    static const unsigned kinds[] = {LEDGER_CREATED, LEDGER_VALUE_SET, LEDGER_REMOVED};

    for (size_t i = 0; i < history->effect_count; i++) {
        const struct history_effect *effect = &history->effects[i];
        bool removed = effect->kind == HISTORY_EFFECT_REMOVED;

        if (effect->kind <= HISTORY_EFFECT_REMOVED) {
            const struct ledger_change change = {.path = effect->path,
                                                 .zxid = effect->zxid,
                                                 .order = i,
                                                 .kinds = kinds[effect->kind],
                                                 .has_value = !removed,
                                                 .value = effect->value,
                                                 .has_stat = !removed,
                                                 .version = effect->version,
                                                 .owner = effect->owner,
                                                 .source = LEDGER_EFFECT,
                                                 .effect = effect};

            add(claims, &change);
        }
    }
}

static unsigned kinds_of_set(const struct history_step *step)
{
    if (!step->make) {
        return LEDGER_VALUE_SET;
    }
    if (!step->has_stat) {
        return LEDGER_CREATED | LEDGER_VALUE_SET;
    }
    return step->version == 0 ? LEDGER_CREATED : LEDGER_VALUE_SET;
}

static void add_step(struct claims *claims, const struct history_call *call, size_t number)
{
    const struct history_step *step = &call->steps[number];
    struct ledger_change change = {.path = step->path,
                                   .zxid = call->zxid,
                                   .order = number,
                                   .has_value = true,
                                   .value = step->value,
                                   .has_stat = step->has_stat,
                                   .version = step->version,
                                   .owner = step->owner,
                                   .source = LEDGER_CALL,
                                   .call = call};

    switch (step->kind) {
    case HISTORY_SET:
        change.kinds = kinds_of_set(step);
        break;
    case HISTORY_CREATE:
        change.kinds = LEDGER_CREATED;
        change.has_stat = true;
        change.version = 0;
        change.owner = step->ephemeral ? call->session : 0;
        if (step->made != HISTORY_NO_PATH) {
            change.path = step->made;
        } else if (step->sequential) {
            return;
        }
        break;
    case HISTORY_REMOVE:
        change.kinds = LEDGER_REMOVED;
        change.has_value = false;
        change.has_stat = false;
        break;
    case HISTORY_GET:
    case HISTORY_EXISTS:
    case HISTORY_LIST:
    case HISTORY_CHECK:
    case HISTORY_CHECK_ABSENT:
    default:
        return;
    }
    add(claims, &change);
}

static void add_read(struct claims *claims, const struct history_call *call)
{
    for (size_t i = 0; i < call->step_count; i++) {
        const struct history_step *step = &call->steps[i];
        bool made = step->czxid == step->mzxid;
        const struct ledger_change change = {.path = step->path,
                                             .zxid = step->mzxid,
                                             .kinds = made ? LEDGER_CREATED : LEDGER_VALUE_SET,
                                             .has_value = step->kind == HISTORY_GET,
                                             .value = step->value,
                                             .has_stat = true,
                                             .version = step->version,
                                             .owner = step->owner,
                                             .source = LEDGER_READ,
                                             .call = call};

        if ((step->kind == HISTORY_GET || step->kind == HISTORY_EXISTS) && step->exists &&
            step->has_stat && step->mzxid != 0 && step->czxid != 0) {
            add(claims, &change);
        }
    }
}

static void add_calls(struct claims *claims, const struct history *history)
{
    for (size_t i = 0; i < history->call_count; i++) {
        const struct history_call *call = &history->calls[i];

        if (call->outcome != HISTORY_OK) {
            continue;
        }
        for (size_t j = 0; call->zxid != 0 && j < call->step_count; j++) {
            add_step(claims, call, j);
        }
        add_read(claims, call);
    }
}

static void add_events(struct claims *claims, const struct history *history)
{
    for (size_t i = 0; i < history->event_count; i++) {
        const struct history_event *event = &history->events[i];
        struct ledger_change change = {.path = event->path,
                                       .zxid = event->zxid,
                                       .order = i,
                                       .has_value = event->has_value,
                                       .value = event->value,
                                       .has_stat = event->has_stat,
                                       .version = event->version,
                                       .owner = event->owner,
                                       .source = LEDGER_EVENT,
                                       .event = event};

        if (event->resync || event->kind < HISTORY_EVENT_CREATED ||
            event->kind > HISTORY_EVENT_REMOVED) {
            continue;
        }
        change.kinds = event->kind == HISTORY_EVENT_CREATED     ? LEDGER_CREATED
                       : event->kind == HISTORY_EVENT_VALUE_SET ? LEDGER_VALUE_SET
                                                                : LEDGER_REMOVED;
        if (event->kind == HISTORY_EVENT_REMOVED) {
            change.has_value = false;
            change.has_stat = false;
        }
        add(claims, &change);
    }
}

/* --- The best of them --- */

static uint64_t teller_of(const struct ledger_change *change)
{
    return change->event == NULL ? 0 : change->event->watch;
}

static int compare(const void *left, const void *right)
{
    const struct ledger_change *a = left;
    const struct ledger_change *b = right;

    if (a->path != b->path) {
        return a->path < b->path ? -1 : 1;
    }
    if (a->zxid != b->zxid) {
        return a->zxid < b->zxid ? -1 : 1;
    }
    if (a->source != b->source) {
        return a->source < b->source ? -1 : 1;
    }
    if (teller_of(a) != teller_of(b)) {
        return teller_of(a) < teller_of(b) ? -1 : 1;
    }
    return a->order != b->order ? (a->order < b->order ? -1 : 1) : 0;
}

/* One teller for each path and zxid. Of reads, which all say the same, one is enough. */
static void keep_best(struct ledger *ledger, struct claims *claims)
{
    const struct ledger_change *best = NULL;

    if (claims->count == 0) {
        return;
    }
    qsort(claims->items, claims->count, sizeof *claims->items, compare);
    for (size_t i = 0; i < claims->count; i++) {
        const struct ledger_change *change = &claims->items[i];
        bool first = best == NULL || best->path != change->path || best->zxid != change->zxid;

        /* Two answers that name one zxid are two calls: another checker's matter. */
        if (!first && (best->source != change->source || teller_of(best) != teller_of(change) ||
                       change->source == LEDGER_READ || best->call != change->call)) {
            continue;
        }
        if (first) {
            best = change;
        }
        ledger->changes[ledger->count++] = *change;
        if (first) {
            best = &ledger->changes[ledger->count - 1];
        }
    }
}

static void set_starts(struct ledger *ledger, size_t path_end)
{
    size_t at = 0;

    for (size_t path = 0; path <= path_end; path++) {
        while (at < ledger->count && ledger->changes[at].path < path) {
            at++;
        }
        ledger->starts[path] = at;
    }
}

static void note_doubts(struct ledger *ledger)
{
    const struct history *history = ledger->history;

    for (size_t i = 0; i < history->call_count; i++) {
        const struct history_call *call = &history->calls[i];
        bool unplaced =
            call->outcome == HISTORY_UNKNOWN || (call->outcome == HISTORY_OK && call->zxid == 0);

        for (size_t j = 0; unplaced && j < call->step_count; j++) {
            const struct history_step *step = &call->steps[j];

            ledger->may_change[step->path] =
                ledger->may_change[step->path] || step->kind > HISTORY_LIST;
            ledger->may_vanish[step->path] =
                ledger->may_vanish[step->path] || step->kind == HISTORY_REMOVE;
        }
        /* Ancestors made on the way have no answer of their own. */
        for (size_t j = 0; call->outcome != HISTORY_NOT_APPLIED && j < call->step_count; j++) {
            history_path path = call->steps[j].make
                                    ? history_path_parent(history, call->steps[j].path)
                                    : HISTORY_NO_PATH;

            for (; path != HISTORY_NO_PATH; path = history_path_parent(history, path)) {
                ledger->may_change[path] = true;
            }
        }
    }
}

void ledger_init(struct ledger *ledger, const struct history *history)
{
    size_t path_end = history_path_end(history);
    struct claims claims = {.count = 0};

    *ledger = (struct ledger){.history = history, .complete = history->effects_complete};
    add_effects(&claims, history);
    if (!ledger->complete) {
        add_calls(&claims, history);
        add_events(&claims, history);
    }
    ledger->changes = xcalloc(claims.count, sizeof *ledger->changes);
    ledger->starts = xcalloc(path_end + 1, sizeof *ledger->starts);
    ledger->may_vanish = xcalloc(path_end, sizeof *ledger->may_vanish);
    ledger->may_change = xcalloc(path_end, sizeof *ledger->may_change);
    keep_best(ledger, &claims);
    set_starts(ledger, path_end);
    note_doubts(ledger);
    free(claims.items);
}

void ledger_release(struct ledger *ledger)
{
    free(ledger->changes);
    free(ledger->starts);
    free(ledger->may_vanish);
    free(ledger->may_change);
}

/* --- Questions --- */

/* The first change of `path` at a zxid above `zxid`. */
static size_t above(const struct ledger *ledger, history_path path, uint64_t zxid)
{
    size_t low = ledger->starts[path];
    size_t high = ledger->starts[path + 1];

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (ledger->changes[middle].zxid <= zxid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct ledger_change *
ledger_last(const struct ledger *ledger, history_path path, uint64_t zxid)
{
    size_t end = above(ledger, path, zxid);

    return end == ledger->starts[path] ? NULL : &ledger->changes[end - 1];
}

const struct ledger_change *
ledger_at(const struct ledger *ledger, history_path path, uint64_t zxid, size_t *ret_count)
{
    size_t end = above(ledger, path, zxid);
    size_t start = zxid == 0 ? ledger->starts[path] : above(ledger, path, zxid - 1);

    *ret_count = end - start;
    return end == start ? NULL : &ledger->changes[start];
}

void ledger_report(struct report *report, const struct ledger_change *change)
{
    if (change->effect != NULL) {
        report_effect(report, change->effect);
    } else if (change->event != NULL) {
        report_event(report, change->event);
    } else {
        report_call(report, change->call);
    }
}

/* The change that gave the node this value; NULL if nobody knows. */
static const struct ledger_change *
find_value(const struct ledger *ledger, history_path path, uint64_t value)
{
    for (size_t i = ledger->starts[path + 1]; i > ledger->starts[path]; i--) {
        if (value != 0 && ledger->changes[i - 1].has_value &&
            ledger->changes[i - 1].value == value) {
            return &ledger->changes[i - 1];
        }
    }
    return NULL;
}

static bool agrees_with_absence(const struct ledger *ledger, const struct ledger_change *last)
{
    if (last == NULL || last->kinds == LEDGER_REMOVED) {
        return true;
    }
    if (ledger->complete) {
        return false;
    }
    /* Somebody may have removed it, or its session ended. */
    return ledger->may_vanish[last->path] || !last->has_stat || last->owner != 0;
}

/* It shows what `last` wrote, or a later change that nobody knows of. */
static bool agrees_with_presence(const struct ledger *ledger,
                                 const struct ledger_look *look,
                                 const struct ledger_change *last)
{
    const struct ledger_change *writer =
        look->has_value ? find_value(ledger, look->path, look->value) : NULL;
    uint64_t written = look->mzxid != 0 ? look->mzxid : writer == NULL ? 0 : writer->zxid;

    if (last == NULL) {
        bool is_root = history_path_parent(ledger->history, look->path) == HISTORY_NO_PATH;

        return (is_root || !ledger->complete) && written <= look->zxid;
    }
    if (written != 0 && (written < last->zxid || written > look->zxid)) {
        return false;
    }
    if (written == last->zxid || (written == 0 && !ledger->may_change[look->path])) {
        return last->kinds != LEDGER_REMOVED &&
               (!look->has_value || !last->has_value || look->value == last->value) &&
               (!look->has_stat || !last->has_stat || look->version == last->version);
    }
    return !ledger->complete;
}

bool ledger_agrees(const struct ledger *ledger,
                   const struct ledger_look *look,
                   const struct ledger_change **ret_against)
{
    const struct ledger_change *last = ledger_last(ledger, look->path, look->zxid);
    bool agrees =
        look->exists ? agrees_with_presence(ledger, look, last) : agrees_with_absence(ledger, last);

    if (!agrees) {
        *ret_against = last;
    }
    return agrees;
}
