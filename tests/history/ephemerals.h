/* Ephemeral nodes are there only while their session lives, as long as nobody removes them, and go
 * with it. */
#ifndef TESTS_HISTORY_EPHEMERALS_H
#define TESTS_HISTORY_EPHEMERALS_H

#include "tests/history/history.h"

/* How many faults; a paragraph for each is appended to `text`. `drift_permille` as for
 * sessions_check: a node that nobody removed and whose session nobody closed goes at the earliest
 * when its session may be expired. */
size_t
ephemerals_check(const struct history *history, uint32_t drift_permille, struct buffer *text);

#endif
