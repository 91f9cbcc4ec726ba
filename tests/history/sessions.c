#include "tests/history/sessions.h"

#include "base/alloc.h"
#include "tests/history/lives.h"
#include "tests/history/report.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- Faults --- */

static void report_life(struct report *report, const struct life *life)
{
    if (life->last_contact != NULL) {
        report_session(report, life->last_contact);
    }
    if (life->last_call != NULL) {
        report_call(report, life->last_call);
    }
}

/* A server heard of the session after its last grant was asked for; the silence from then to the
 * moment when the client was told cannot be shorter than the timeout. */
static void check_expiry(struct report *report, const struct life *life, uint32_t drift_permille)
{
    uint64_t needed = life->timeout - life->timeout / 1000 * drift_permille;

    if (life->end == NULL || life->end->kind != HISTORY_SESSION_EXPIRED || life->timeout == 0 ||
        life->end->time < lives_last_grant(life) ||
        life->end->time - lives_last_grant(life) >= needed) {
        return;
    }
    report_fault(report,
                 "session %" PRIu64 " was expired %" PRIu64
                 " after its last sign of life, its timeout is %" PRIu64 ":",
                 life->session, life->end->time - lives_last_grant(life), life->timeout);
    if (life->last_grant != NULL) {
        report_session(report, life->last_grant);
    }
    if (life->last_call != NULL) {
        report_call(report, life->last_call);
    }
    report_session(report, life->end);
}

static void check_end(struct report *report, const struct life *life)
{
    if (life->end != NULL && lives_last_sign(life) > life->end->time) {
        report_fault(report, "session %" PRIu64 " was over, and lives:", life->session);
        report_session(report, life->end);
        report_life(report, life);
    }
}

static void check_effects(struct report *report, const struct lives *lives)
{
    const struct history *history = report->history;

    for (size_t i = 0; i < history->effect_count; i++) {
        const struct history_effect *effect = &history->effects[i];
        const struct life *life = lives_find(lives, effect->session);

        /* What goes with the session goes at the same zxid. */
        if (life != NULL && life->end_effect != NULL && effect->zxid > life->end_effect->zxid) {
            report_fault(report, "session %" PRIu64 " had ended before this:", life->session);
            report_effect(report, life->end_effect);
            report_effect(report, effect);
        }
    }
}

/* --- Order --- */

static int compare_calls(const void *left, const void *right)
{
    const struct history_call *a = *(const struct history_call *const *)left;
    const struct history_call *b = *(const struct history_call *const *)right;

    if (a->session != b->session) {
        return a->session < b->session ? -1 : 1;
    }
    if (a->invoked != b->invoked) {
        return a->invoked < b->invoked ? -1 : 1;
    }
    return a < b ? -1 : a > b;
}

/* Writes of one session take effect in the order of their calls, also of those under way together.
 * Two with the same time came in the order of the record. */
static void check_order(struct report *report)
{
    const struct history *history = report->history;
    const struct history_call **calls =
        xcalloc(history->call_count, sizeof(const struct history_call *));
    size_t count = 0;

    for (size_t i = 0; i < history->call_count; i++) {
        const struct history_call *call = &history->calls[i];

        if (call->session != 0 && call->outcome == HISTORY_OK && call->zxid != 0 &&
            lives_is_write(call)) {
            calls[count++] = call;
        }
    }
    qsort(calls, count, sizeof(const struct history_call *), compare_calls);
    for (size_t i = 1; i < count; i++) {
        if (calls[i]->session == calls[i - 1]->session && calls[i]->zxid <= calls[i - 1]->zxid) {
            report_fault(report, "session %" PRIu64 " did not write in the order of its calls:",
                         calls[i]->session);
            report_call(report, calls[i - 1]);
            report_call(report, calls[i]);
        }
    }
    free(calls);
}

size_t sessions_check(const struct history *history, uint32_t drift_permille, struct buffer *text)
{
    struct report report = report_of(history, "sessions", text);
    struct lives lives;

    lives_init(&lives, history);
    for (size_t i = 0; i < lives.count; i++) {
        check_expiry(&report, &lives.items[i], drift_permille);
        check_end(&report, &lives.items[i]);
    }
    check_effects(&report, &lives);
    check_order(&report);
    lives_release(&lives);
    report_end(&report);
    return report.fault_count;
}
