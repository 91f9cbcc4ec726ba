/* The accounts of quotas of the naive state machine: counted afresh or one change at a time. */
#ifndef TESTS_SUPPORT_NAIVE_QUOTAS_H
#define TESTS_SUPPORT_NAIVE_QUOTAS_H

#include "tests/support/naive_nodes.h"

/* Enter the changes of the command from the one at `first`. QUOTA_EXCEEDED leaves the accounts half
 * done. */
enum op_error naive_quotas_account(struct naive_work *work, size_t first);

#endif
