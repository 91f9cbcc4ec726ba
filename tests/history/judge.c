#include "tests/history/judge.h"

#include "tests/history/ephemerals.h"
#include "tests/history/linear.h"
#include "tests/history/once.h"
#include "tests/history/sessions.h"
#include "tests/history/views.h"
#include "tests/history/watches.h"

bool judge_history(const struct history *history,
                   const struct judge_rules *rules,
                   struct buffer *report)
{
    static const struct judge_rules usual = {.drift_permille = 0};
    size_t faults = 0;

    if (rules == NULL) {
        rules = &usual;
    }
    /* The simplest first: they explain the others. */
    faults += once_check(history, report);
    faults += views_check(history, report);
    faults += sessions_check(history, rules->drift_permille, report);
    faults += ephemerals_check(history, rules->drift_permille, report);
    faults += watches_check(history, report);
    faults += linear_check(history, rules->work_max, report);
    return faults == 0;
}
