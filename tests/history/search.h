/* Is there an order of a part's actions that respects their times and that the model accepts?
 *
 * The algorithm of Wing and Gong with Lowe's improvements (G. Lowe, Testing for linearizability,
 * 2016; also in porcupine by A. Athalye): calls and returns in one list by time; a call before the
 * first return may come next; it is lifted out of the list with its return, and put back when
 * nothing leads on from there; what was seen before (the set of actions done, and the hash of the
 * state) is not entered again.
 *
 * Two additions. Where zxids are known they must go up, so only the lowest may come next. Actions
 * that perhaps never happened stand in a list of their own and are tried last. */
#ifndef TESTS_HISTORY_SEARCH_H
#define TESTS_HISTORY_SEARCH_H

#include "tests/history/model.h"

enum search_verdict { SEARCH_FOUND, SEARCH_NONE, SEARCH_UNDECIDED };

/* How an action is taken. */
enum search_mode {
    SEARCH_AS_IT_IS,
    SEARCH_RELAXED, /* perhaps it happened, at any time after its start */
    SEARCH_LEFT_OUT
};

struct search_outcome {
    enum search_verdict verdict;
    uint64_t work; /* actions tried */
    /* NONE and UNDECIDED, where the longest order ended: */
    const struct part_action *stuck;  /* the one whose return could not be passed */
    const struct part_action **order; /* what had been done by then; free() it */
    size_t order_count;
};

/* `modes` by action, NULL: all as they are. `work_max` bounds the actions tried; then UNDECIDED. */
struct search_outcome search_run(const struct history *history,
                                 const struct part *part,
                                 const uint8_t *modes,
                                 uint64_t work_max);

#endif
