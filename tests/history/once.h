/* Each write that was acknowledged took effect exactly once and where it was said, one that was
 * refused never, one of unknown outcome at most once; and nothing was written that nobody wrote. */
#ifndef TESTS_HISTORY_ONCE_H
#define TESTS_HISTORY_ONCE_H

#include "tests/history/history.h"

/* How many faults; a paragraph for each is appended to `text`. Writes are known by their values. */
size_t once_check(const struct history *history, struct buffer *text);

#endif
