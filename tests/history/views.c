#include "tests/history/views.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- Never back --- */

static int compare_calls(const struct history_call *a, const struct history_call *b, bool by_return)
{
    uint64_t left = by_return ? a->returned : a->invoked;
    uint64_t right = by_return ? b->returned : b->invoked;

    if (a->client != b->client) {
        return a->client < b->client ? -1 : 1;
    }
    return left != right ? (left < right ? -1 : 1) : a < b ? -1 : a > b;
}

static int compare_invoked(const void *left, const void *right)
{
    return compare_calls(*(const struct history_call *const *)left,
                         *(const struct history_call *const *)right, false);
}

static int compare_returned(const void *left, const void *right)
{
    return compare_calls(*(const struct history_call *const *)left,
                         *(const struct history_call *const *)right, true);
}

static void check_never_back(struct report *report)
{
    const struct history *history = report->history;
    size_t bytes = sizeof(const struct history_call *);
    const struct history_call **by_call = xcalloc(history->call_count, bytes);
    const struct history_call **by_return = xcalloc(history->call_count, bytes);
    const struct history_call *newest = NULL;
    size_t count = 0;
    size_t returned = 0;

    for (size_t i = 0; i < history->call_count; i++) {
        if (history->calls[i].outcome == HISTORY_OK && history->calls[i].zxid != 0) {
            by_call[count] = by_return[count] = &history->calls[i];
            count++;
        }
    }
    qsort(by_call, count, bytes, compare_invoked);
    qsort(by_return, count, bytes, compare_returned);
    for (size_t i = 0; i < count; i++) {
        const struct history_call *call = by_call[i];

        if (newest != NULL && newest->client != call->client) {
            newest = NULL;
        }
        while (by_return[returned]->client < call->client ||
               (by_return[returned]->client == call->client &&
                by_return[returned]->returned < call->invoked)) {
            if (by_return[returned]->client == call->client &&
                (newest == NULL || by_return[returned]->zxid > newest->zxid)) {
                newest = by_return[returned];
            }
            returned++;
        }
        if (newest != NULL && call->zxid < newest->zxid) {
            report_fault(report,
                         "client %" PRIu64 " had seen zxid %" PRIu64
                         " when it asked, and was shown %" PRIu64 ":",
                         call->client, newest->zxid, call->zxid);
            report_call(report, newest);
            report_call(report, call);
        }
    }
    free(by_call);
    free(by_return);
}

/* --- What a zxid shows --- */

static void check_step(struct report *report,
                       const struct ledger *ledger,
                       const struct history_call *call,
                       const struct history_step *step)
{
    const struct ledger_look look = {.path = step->path,
                                     .zxid = call->zxid,
                                     .exists = step->exists,
                                     .has_value = step->kind == HISTORY_GET,
                                     .value = step->value,
                                     .has_stat = step->has_stat,
                                     .version = step->version,
                                     .mzxid = step->has_stat ? step->mzxid : 0};
    const struct ledger_change *against = NULL;

    if (ledger_agrees(ledger, &look, &against)) {
        return;
    }
    report_fault(report, "%s was not so at zxid %" PRIu64 ":",
                 (const char *)history_path_text(report->history, step->path).data, call->zxid);
    if (against != NULL) {
        ledger_report(report, against);
    } else {
        report_line(report, "(nothing ever made it)");
    }
    report_call(report, call);
}

static bool is_listed(const struct history_step *step, history_path path)
{
    for (size_t i = 0; i < step->name_count; i++) {
        if (step->names[i] == path) {
            return true;
        }
    }
    return false;
}

/* Where everything is known: each child that was there at that zxid is listed, and no other. */
static void check_list(struct report *report,
                       const struct ledger *ledger,
                       const struct history_call *call,
                       const struct history_step *step)
{
    const struct history *history = report->history;

    for (history_path path = 1; path < history_path_end(history); path++) {
        const struct ledger_change *last;
        bool exists;

        if (history_path_parent(history, path) != step->path) {
            continue;
        }
        last = ledger_last(ledger, path, call->zxid);
        exists = last != NULL && last->kinds != LEDGER_REMOVED;
        if (exists != is_listed(step, path)) {
            report_fault(report, "the list of zxid %" PRIu64 " %s %s:", call->zxid,
                         exists ? "misses" : "shows",
                         (const char *)history_path_text(history, path).data);
            if (last != NULL) {
                ledger_report(report, last);
            }
            report_call(report, call);
        }
    }
}

size_t views_check(const struct history *history, struct buffer *text)
{
    struct report report = report_of(history, "views", text);
    struct ledger ledger;

    ledger_init(&ledger, history);
    check_never_back(&report);
    for (size_t i = 0; i < history->call_count; i++) {
        const struct history_call *call = &history->calls[i];

        if (call->outcome != HISTORY_OK || call->zxid == 0) {
            continue;
        }
        for (size_t j = 0; j < call->step_count; j++) {
            enum history_kind kind = call->steps[j].kind;

            if (kind == HISTORY_GET || kind == HISTORY_EXISTS ||
                (kind == HISTORY_LIST && !ledger.complete)) {
                check_step(&report, &ledger, call, &call->steps[j]);
            } else if (kind == HISTORY_LIST) {
                check_list(&report, &ledger, call, &call->steps[j]);
            }
        }
    }
    ledger_release(&ledger);
    report_end(&report);
    return report.fault_count;
}
