/* The operations of a command of the naive state machine, all or nothing. */
#ifndef TESTS_SUPPORT_NAIVE_OPERATIONS_H
#define TESTS_SUPPORT_NAIVE_OPERATIONS_H

#include "tests/support/naive_nodes.h"

/* As many as the result has room for; their outcomes and changes go there. */
void naive_operations_run(struct naive_work *work, Record__Operation *const *operations);

#endif
