/* The operations of clients on nodes: which checks in which order (zookeeper-wire section 6), and
 * their results. */
#ifndef STATE_OPERATION_H
#define STATE_OPERATION_H

#include "proto/record.pb-c.h"
#include "server/state/tree.h"

/* ret_result->error tells the outcome; the rest is set only on OP_OK. An operation that ends with
 * an error may have written: the caller rolls back. Paths in results and changes are lent from the
 * operation or lie in the arena. */
MUST_CHECK enum status operation_apply(struct tree_write *write,
                                       const Record__Operation *operation,
                                       struct state_op_result *ret_result);

#endif
