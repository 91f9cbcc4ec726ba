/* Finds few operations of a part that have no order among themselves, so that a person sees why the
 * whole has none. Two ways, the first that works:
 *
 * By values alone: of every call only which value it wrote or was shown counts, as if all nodes
 * were registers. Then reads may be left out, and writes that nobody who is left was shown. What
 * has no order so has none with versions, names and refusals either.
 *
 * Else reads are left out, and writes are said to have happened perhaps, at any time after their
 * call. */
#ifndef TESTS_HISTORY_SHRINK_H
#define TESTS_HISTORY_SHRINK_H

#include "tests/history/search.h"

/* How each action is taken in the end (enum search_mode), by position; free() it. `outcome` is that
 * of the search over the whole part, which found none. */
uint8_t *shrink_part(const struct history *history,
                     const struct part *part,
                     const struct search_outcome *outcome);
/* The action was shown this value. */
bool shrink_shows_value(const struct part_action *action, uint64_t value);

#endif
