/* All checkers of this folder over one history. */
#ifndef TESTS_HISTORY_JUDGE_H
#define TESTS_HISTORY_JUDGE_H

#include "tests/history/history.h"

struct judge_rules {
    /* By how much the clocks that measure the silence of sessions may run faster than those of the
     * record, in thousandths. */
    uint32_t drift_permille;
    /* Operations tried for each part before linearizability is undecided; 0 = the default. */
    uint64_t work_max;
};

/* True if nothing is wrong. Else a report for a person is appended to `report`: a paragraph for
 * each fault, with the records that show it. Undecided counts as a fault and says so. `rules` may
 * be NULL. */
bool judge_history(const struct history *history,
                   const struct judge_rules *rules,
                   struct buffer *report);

#endif
