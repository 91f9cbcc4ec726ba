/* What a client is shown, at any level: it never goes back to an older zxid than it has seen, its
 * own writes included, and a read at a zxid shows what the node was at that zxid. */
#ifndef TESTS_HISTORY_VIEWS_H
#define TESTS_HISTORY_VIEWS_H

#include "tests/history/ledger.h"

/* How many faults; a paragraph for each is appended to `text`. A client is one handle: two that
 * promise nothing to each other have two numbers. */
size_t views_check(const struct history *history, struct buffer *text);

#endif
