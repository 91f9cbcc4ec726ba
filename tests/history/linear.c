#include "tests/history/linear.h"

#include "base/alloc.h"
#include "tests/history/report.h"
#include "tests/history/shrink.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 12 /* operations in a report */ };

/* --- Words --- */

/* A write that is only said to have happened perhaps is worth a line if what remains shows it. */
static bool is_shown(const struct part *part, const uint8_t *modes, size_t position)
{
    const struct history_call *call = part->actions[position].call;

    if (modes[position] != SEARCH_RELAXED || call == NULL) {
        return modes[position] == SEARCH_AS_IT_IS;
    }
    for (size_t i = 0; i < part->action_count; i++) {
        for (size_t j = 0; modes[i] == SEARCH_AS_IT_IS && j < call->step_count; j++) {
            if (call->steps[j].value != 0 &&
                shrink_shows_value(&part->actions[i], call->steps[j].value)) {
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

static void report_kept(struct report *report, const struct part *part, const uint8_t *modes)
{
    size_t count = part->action_count;
    size_t shown = 0;
    size_t perhaps = 0;
    size_t skipped;

    for (size_t i = 0; i < count; i++) {
        shown += is_shown(part, modes, i);
        perhaps += modes[i] == SEARCH_RELAXED && !is_shown(part, modes, i);
    }
    skipped = shown > SHOWN_MAX ? shown - SHOWN_MAX : 0;
    if (skipped > 0) {
        report_line(report, "(%zu earlier ones)", skipped);
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_shown(part, modes, i)) {
            continue;
        }
        if (skipped > 0) {
            skipped--;
        } else {
            report_action(report, &part->actions[i]);
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
    uint8_t *modes = shrink_part(report->history, part, outcome);

    report_fault(report,
                 "not linearizable: of %zu operations on %s and what belongs to it, no order fits "
                 "these:",
                 part->action_count, name_of(report->history, part));
    report_kept(report, part, modes);
    report_stuck(report, part, outcome);
    free(modes);
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

    check_times(&report); /* first, as it explains in two lines */
    partition_init(&partition, history);
    for (size_t i = 0; i < partition.part_count; i++) {
        check_part(&report, &partition.parts[i],
                   work_max == 0 ? LINEAR_WORK_MAX_DEFAULT : work_max);
    }
    partition_release(&partition);
    report_end(&report);
    return report.fault_count;
}
