#include "tests/history/ephemerals.h"

#include "base/alloc.h"
#include "tests/history/ledger.h"
#include "tests/history/lives.h"

#include <inttypes.h>
#include <stdlib.h>

struct checker {
    struct report report;
    uint32_t drift_permille;
    struct ledger ledger;
    struct lives lives;
};

static const char *text_of(const struct checker *checker, history_path path)
{
    return (const char *)history_path_text(checker->report.history, path).data;
}

static void report_life(struct checker *checker, const struct life *life)
{
    struct report *report = &checker->report;

    if (life->last_contact != NULL) {
        report_session(report, life->last_contact);
    }
    if (life->last_call != NULL) {
        report_call(report, life->last_call);
    }
    if (life->end != NULL) {
        report_session(report, life->end);
    }
    if (life->end_effect != NULL) {
        report_effect(report, life->end_effect);
    }
}

static bool removes(const struct history_call *call, history_path path)
{
    for (size_t i = 0; i < call->step_count; i++) {
        if (call->steps[i].kind == HISTORY_REMOVE && call->steps[i].path == path) {
            return true;
        }
    }
    return false;
}

/* Somebody asked for the removal, and it may have happened at `zxid`. */
static bool was_asked_for(const struct checker *checker, history_path path, uint64_t zxid)
{
    const struct history *history = checker->report.history;

    for (size_t i = 0; i < history->call_count; i++) {
        const struct history_call *call = &history->calls[i];
        bool possible = call->outcome == HISTORY_UNKNOWN ||
                        (call->outcome == HISTORY_OK && (call->zxid == 0 || call->zxid == zxid));

        if (possible && removes(call, path)) {
            return true;
        }
    }
    return false;
}

/* --- It went --- */

/* The session did not end where its node went. */
static bool contradicts(const struct checker *checker,
                        const struct life *life,
                        const struct ledger_change *removal)
{
    uint64_t sign = lives_last_sign(life);
    uint64_t silence = life->timeout - life->timeout / 1000 * checker->drift_permille;

    if (life->end_effect != NULL) {
        return life->end_effect->zxid != removal->zxid;
    }
    if (life->last_zxid > removal->zxid) {
        return true;
    }
    if (removal->event == NULL) {
        return false;
    }
    /* It lived later, or could not have been expired yet, and its client did not close it. */
    return sign > removal->event->time ||
           (life->timeout != 0 && removal->event->time - sign < silence &&
            (life->close == NULL || life->close->asked > removal->event->time));
}

static void check_removals(struct checker *checker)
{
    const struct ledger *ledger = &checker->ledger;

    for (size_t i = 1; i < ledger->count; i++) {
        const struct ledger_change *removal = &ledger->changes[i];
        const struct ledger_change *before = &ledger->changes[i - 1];
        const struct life *life;

        if (removal->kinds != LEDGER_REMOVED || before->path != removal->path ||
            !before->has_stat || before->owner == 0) {
            continue;
        }
        life = lives_find(&checker->lives, before->owner);
        if (life == NULL || !contradicts(checker, life, removal) ||
            was_asked_for(checker, removal->path, removal->zxid)) {
            continue;
        }
        report_fault(&checker->report, "%s vanished while its session %" PRIu64 " lived:",
                     text_of(checker, removal->path), before->owner);
        ledger_report(&checker->report, before);
        ledger_report(&checker->report, removal);
        report_life(checker, life);
    }
}

/* --- It is missed --- */

static void check_absence(struct checker *checker,
                          const struct history_call *call,
                          const struct history_step *step)
{
    const struct ledger_change *last = ledger_last(&checker->ledger, step->path, call->zxid);
    const struct life *life;

    if (last == NULL || last->kinds == LEDGER_REMOVED || !last->has_stat || last->owner == 0 ||
        checker->ledger.may_vanish[step->path]) {
        return;
    }
    life = lives_find(&checker->lives, last->owner);
    if (life == NULL ||
        (life->last_zxid <= call->zxid && lives_last_sign(life) <= call->returned)) {
        return;
    }
    report_fault(&checker->report,
                 "%s is missed while its session %" PRIu64 " lives:", text_of(checker, step->path),
                 last->owner);
    ledger_report(&checker->report, last);
    report_call(&checker->report, call);
    report_life(checker, life);
}

/* --- It stays --- */

static void check_presence(struct checker *checker,
                           const struct history_call *call,
                           const struct history_step *step)
{
    const struct life *life = lives_find(&checker->lives, step->owner);
    bool over;

    if (!step->has_stat || step->owner == 0 || life == NULL) {
        return;
    }
    over = (life->end_effect != NULL && call->zxid >= life->end_effect->zxid) ||
           (life->end != NULL && call->linearizable && call->invoked > life->end->time);
    if (over) {
        report_fault(&checker->report, "%s is there after the end of its session %" PRIu64 ":",
                     text_of(checker, step->path), step->owner);
        report_life(checker, life);
        report_call(&checker->report, call);
    }
}

static void check_reads(struct checker *checker)
{
    const struct history *history = checker->report.history;

    for (size_t i = 0; i < history->call_count; i++) {
        const struct history_call *call = &history->calls[i];

        for (size_t j = 0; call->outcome == HISTORY_OK && j < call->step_count; j++) {
            const struct history_step *step = &call->steps[j];

            if (step->kind > HISTORY_LIST) {
                continue;
            }
            if (step->exists) {
                check_presence(checker, call, step);
            } else if (call->zxid != 0) {
                check_absence(checker, call, step);
            }
        }
    }
}

/* Where everything is known: what was a session's own at its end has gone at that zxid. */
static void check_ends(struct checker *checker)
{
    const struct ledger *ledger = &checker->ledger;

    for (size_t i = 0; ledger->complete && i < ledger->count; i++) {
        const struct ledger_change *change = &ledger->changes[i];
        const struct ledger_change *next =
            i + 1 < ledger->count && change[1].path == change->path ? &change[1] : NULL;
        const struct life *life = lives_find(&checker->lives, change->owner);

        if (change->kinds == LEDGER_REMOVED || life == NULL || life->end_effect == NULL) {
            continue;
        }
        /* What is made after the end is for the checker of sessions. */
        if (change->zxid <= life->end_effect->zxid &&
            (next == NULL || next->zxid > life->end_effect->zxid)) {
            report_fault(&checker->report, "%s did not go with its session %" PRIu64 ":",
                         text_of(checker, change->path), change->owner);
            ledger_report(&checker->report, change);
            report_effect(&checker->report, life->end_effect);
        }
    }
}

size_t ephemerals_check(const struct history *history, uint32_t drift_permille, struct buffer *text)
{
    struct checker checker = {.report = report_of(history, "ephemerals", text),
                              .drift_permille = drift_permille};

    ledger_init(&checker.ledger, history);
    lives_init(&checker.lives, history);
    check_removals(&checker);
    check_ends(&checker);
    check_reads(&checker);
    ledger_release(&checker.ledger);
    lives_release(&checker.lives);
    report_end(&checker.report);
    return checker.report.fault_count;
}
