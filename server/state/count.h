/* The number of nodes below one, counted in parts: down and up the tree by ids and names, holding
 * nothing of the state between the parts. */
#ifndef STATE_COUNT_H
#define STATE_COUNT_H

#include "server/state/tree.h"

struct state_count *count_new(const struct record *top);
void count_free(struct state_count *count);
/* As state_count_continue. */
MUST_CHECK enum status
count_continue(struct tree *tree, struct state_count *count, size_t *nodes_left, bool *ret_done);
uint64_t count_total(const struct state_count *count);
/* Of the values of all nodes counted. */
uint64_t count_value_bytes(const struct state_count *count);
/* And of their paths, as if the top were the root. */
uint64_t count_path_bytes(const struct state_count *count);

#endif
