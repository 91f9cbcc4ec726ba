/* Sessions: none is expired while its client keeps it alive, and none does anything after its end.
 */
#ifndef TESTS_HISTORY_SESSIONS_H
#define TESTS_HISTORY_SESSIONS_H

#include "tests/history/history.h"

/* How many faults; a paragraph for each is appended to `text`. `drift_permille`: by how much the
 * clocks that measure a session's silence may run faster than those of the record. Expiry is judged
 * where the opening tells the timeout.
 *
 * Also: the writes of one session take effect in the order of its calls, and where effects tell of
 * the end of a session, no effect of it comes later. */
size_t sessions_check(const struct history *history, uint32_t drift_permille, struct buffer *text);

#endif
