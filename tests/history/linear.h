/* Linearizability: every write and every linearizable read took effect at one moment between its
 * call and its return; a write of unknown outcome at some moment after its call, or never. */
#ifndef TESTS_HISTORY_LINEAR_H
#define TESTS_HISTORY_LINEAR_H

#include "tests/history/history.h"

#define LINEAR_WORK_MAX_DEFAULT UINT64_C(5000000)

/* How many parts of the history are not linearizable or undecided, and how many calls are older
 * than what was known when they began, told by their zxids; a paragraph for each is appended
 * to `text`. `work_max` bounds the actions tried for one part, 0 = the default. */
size_t linear_check(const struct history *history, uint64_t work_max, struct buffer *text);

#endif
