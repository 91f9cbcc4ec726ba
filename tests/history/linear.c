#include "tests/history/linear.h"

#include "base/alloc.h"
#include "tests/history/report.h"
#include "tests/history/search.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHOWN_MAX = 16,       /* operations in a report */
    SHRINK_RUNS_MAX = 400 /* searches to make the report smaller */
};

/* Makes a part smaller that has no order, so that it still has none: a read may always be left
 * out, a write may always be said to have happened perhaps. */
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

    if (shrink->runs >= SHRINK_RUNS_MAX) {
        return false;
    }
    shrink->runs++;
    outcome = search_run(shrink->history, shrink->part, shrink->modes, shrink->work_max);
    free(outcome.order);
    return outcome.verdict == SEARCH_NONE;
}

/* Set the mode of those of the kind wanted among [from, to). */
static bool
change(struct shrink *shrink, size_t from, size_t to, bool written, enum search_mode mode)
{
    bool any = false;

    for (size_t i = from; i < to; i++) {
        if (shrink->modes[i] == SEARCH_AS_IT_IS &&
            is_written(&shrink->part->actions[i]) == written) {
            shrink->modes[i] = (uint8_t)mode;
            any = true;
        }
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

/* The actions that began after the return that could not be passed were never looked at. */
static void cut(struct shrink *shrink, const struct part_action *stuck)
{
    for (size_t i = 0; i < shrink->part->action_count; i++) {
        if (shrink->part->actions[i].invoked > stuck->returned) {
            shrink->modes[i] = SEARCH_LEFT_OUT;
        }
    }
}

/* --- Words --- */

static bool shows_value(const struct part_action *read, uint64_t value)
{
    for (size_t i = 0; read->call != NULL && i < read->call->step_count; i++) {
        const struct history_step *step = &read->call->steps[i];

        if (step->kind == HISTORY_GET && step->exists && step->value == value) {
            return true;
        }
    }
    return false;
}

/* A write that is only said to have happened perhaps is worth a line if what remains shows it. */
static bool is_shown(const struct shrink *shrink, size_t position)
{
    const struct history_call *call = shrink->part->actions[position].call;

    if (shrink->modes[position] != SEARCH_RELAXED || call == NULL) {
        return shrink->modes[position] == SEARCH_AS_IT_IS;
    }
    for (size_t i = 0; i < shrink->part->action_count; i++) {
        for (size_t j = 0; shrink->modes[i] == SEARCH_AS_IT_IS && j < call->step_count; j++) {
            if (call->steps[j].value != 0 &&
                shows_value(&shrink->part->actions[i], call->steps[j].value)) {
                return true;
            }
        }
    }
    return false;
}

static void report_action(struct report *report, const struct part_action *action)
{
    if (action->call != NULL) {
        report_call(report, action->call);
    } else if (action->returned == HISTORY_NEVER) {
        report_line(report, "session %" PRIu64 " ends at some time after %" PRIu64, action->session,
                    action->invoked);
    } else {
        report_line(report, "session %" PRIu64 " ends between %" PRIu64 " and %" PRIu64,
                    action->session, action->invoked, action->returned);
    }
}

static void report_kept(struct report *report, const struct shrink *shrink)
{
    size_t count = shrink->part->action_count;
    size_t shown = 0;
    size_t perhaps = 0;
    size_t skipped;

    for (size_t i = 0; i < count; i++) {
        shown += is_shown(shrink, i);
        perhaps += shrink->modes[i] == SEARCH_RELAXED && !is_shown(shrink, i);
    }
    skipped = shown > SHOWN_MAX ? shown - SHOWN_MAX : 0;
    if (skipped > 0) {
        report_line(report, "(%zu earlier ones)", skipped);
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_shown(shrink, i)) {
            continue;
        }
        if (skipped > 0) {
            skipped--;
        } else {
            report_action(report, &shrink->part->actions[i]);
        }
    }
    if (perhaps > 0) {
        report_line(report,
                    "nor if each of %zu other writes there happened at any time after its call, or "
                    "not at all",
                    perhaps);
    }
}

static void
report_stuck(struct report *report, const struct part *part, const struct search_outcome *outcome)
{
    struct buffer text = BUFFER_INIT;
    struct model model;

    if (outcome->stuck == NULL) {
        return;
    }
    report_line(report, "the longest order that fits has %zu of them and ends before",
                outcome->order_count);
    report_action(report, outcome->stuck);
    if (outcome->stuck->call != NULL) {
        model_init(&model, report->history, part);
        for (size_t i = 0; i < outcome->order_count; i++) {
            (void)model_apply(&model, outcome->order[i]);
        }
        model_describe(&model, outcome->stuck->call, &text);
        model_release(&model);
        report_line(report, "when %.*s", (int)text.size,
                    text.size == 0 ? "" : (const char *)text.data);
        buffer_release(&text);
    }
}

static const char *name_of(const struct history *history, const struct part *part)
{
    return (const char *)history_path_text(history, part->actions[0].call != NULL
                                                        ? part->actions[0].call->steps[0].path
                                                        : part->paths[0])
        .data;
}

static void report_violation(struct report *report,
                             const struct part *part,
                             const struct search_outcome *outcome)
{
    struct shrink shrink = {.history = report->history,
                            .part = part,
                            .modes = xcalloc(part->action_count, 1),
                            .work_max = 2 * outcome->work + 1000};

    if (outcome->stuck != NULL && outcome->stuck->returned != HISTORY_NEVER) {
        cut(&shrink, outcome->stuck);
    }
    change_as_many_as_possible(&shrink, false, SEARCH_LEFT_OUT);
    change_as_many_as_possible(&shrink, true, SEARCH_RELAXED);
    report_fault(report,
                 "not linearizable: of %zu operations on %s and what belongs to it, no order fits "
                 "these:",
                 part->action_count, name_of(report->history, part));
    report_kept(report, &shrink);
    report_stuck(report, part, outcome);
    free(shrink.modes);
}

static void check_part(struct report *report, const struct part *part, uint64_t work_max)
{
    struct search_outcome outcome;

    if (part->action_count == 0) {
        return;
    }
    outcome = search_run(report->history, part, NULL, work_max);
    if (outcome.verdict == SEARCH_NONE) {
        report_violation(report, part, &outcome);
    } else if (outcome.verdict == SEARCH_UNDECIDED) {
        report_fault(report, "undecided after %" PRIu64 " tries: %zu operations on %s",
                     outcome.work, part->action_count, name_of(report->history, part));
        report_stuck(report, part, &outcome);
    }
    free(outcome.order);
}

/* --- Zxids and time --- */

static bool is_done(const struct history_call *call)
{
    return call->outcome == HISTORY_OK && call->zxid != 0;
}

static int compare_invoked(const void *left, const void *right)
{
    const struct history_call *a = *(const struct history_call *const *)left;
    const struct history_call *b = *(const struct history_call *const *)right;

    return a->invoked != b->invoked ? (a->invoked < b->invoked ? -1 : 1) : a < b ? -1 : a > b;
}

static int compare_returned(const void *left, const void *right)
{
    const struct history_call *a = *(const struct history_call *const *)left;
    const struct history_call *b = *(const struct history_call *const *)right;

    return a->returned != b->returned ? (a->returned < b->returned ? -1 : 1) : a < b ? -1 : a > b;
}

/* A check alone counts too: it has a place among the writes. */
static bool writes(const struct history_call *call)
{
    for (size_t i = 0; i < call->step_count; i++) {
        if (call->steps[i].kind > HISTORY_LIST) {
            return true;
        }
    }
    return false;
}

/* What was shown to anybody before a call began is not newer than what the call shows or does. This
 * holds across all nodes, while the search looks at each part alone. */
static void check_times(struct report *report)
{
    const struct history *history = report->history;
    const struct history_call **by_call =
        xcalloc(history->call_count, sizeof(const struct history_call *));
    const struct history_call **by_return =
        xcalloc(history->call_count, sizeof(const struct history_call *));
    const struct history_call *newest = NULL;
    size_t count = 0;
    size_t returned = 0;

    for (size_t i = 0; i < history->call_count; i++) {
        if (is_done(&history->calls[i])) {
            by_call[count] = by_return[count] = &history->calls[i];
            count++;
        }
    }
    qsort(by_call, count, sizeof(const struct history_call *), compare_invoked);
    qsort(by_return, count, sizeof(const struct history_call *), compare_returned);
    for (size_t i = 0; i < count; i++) {
        const struct history_call *call = by_call[i];

        while (by_return[returned]->returned < call->invoked) {
            if (newest == NULL || by_return[returned]->zxid > newest->zxid) {
                newest = by_return[returned];
            }
            returned++;
        }
        if (newest != NULL && (call->linearizable || writes(call)) &&
            (call->zxid < newest->zxid || (writes(call) && call->zxid == newest->zxid))) {
            report_fault(report,
                         "zxid %" PRIu64 " was known before this call began at zxid %" PRIu64 ":",
                         newest->zxid, call->zxid);
            report_call(report, newest);
            report_call(report, call);
        }
    }
    free(by_call);
    free(by_return);
}

size_t linear_check(const struct history *history, uint64_t work_max, struct buffer *text)
{
    struct report report = report_of(history, "linear", text);
    struct partition partition;

    partition_init(&partition, history);
    for (size_t i = 0; i < partition.part_count; i++) {
        check_part(&report, &partition.parts[i],
                   work_max == 0 ? LINEAR_WORK_MAX_DEFAULT : work_max);
    }
    partition_release(&partition);
    check_times(&report);
    report_end(&report);
    return report.fault_count;
}
