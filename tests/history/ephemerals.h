/* Ephemeral nodes are there only while their session lives, as long as nobody removes them, and go
 * with it. */
#ifndef TESTS_HISTORY_EPHEMERALS_H
#define TESTS_HISTORY_EPHEMERALS_H

#include "tests/history/history.h"

/* How many faults; a paragraph for each is appended to `text`. */
size_t ephemerals_check(const struct history *history, struct buffer *text);

#endif
