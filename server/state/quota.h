/* ZooKeeper's quotas (zookeeper-wire 15.1). One on /a/b is a node /zookeeper/quota/a/b that has a
 * child zookeeper_limits; its other child, zookeeper_stats, says how many nodes /a/b and all below
 * it are, and how many bytes their values have. Clients make these nodes; here the stats are kept
 * up to date, from what each operation changed.
 *
 * It costs a look at each level of a path, as far as there are nodes below /zookeeper/quota for it.
 * Nothing below /zookeeper is counted. */
#ifndef STATE_QUOTA_H
#define STATE_QUOTA_H

#include "server/state/tree.h"

enum { QUOTA_COUNTED_MAX = 1 << 17 /* nodes that one command may set quotas on, in all */ };

/* Account for the changes from number `first` on. *ret_error is OP_OK, or: OP_QUOTA_EXCEEDED, if
 * write->enforces_quotas and a hard limit is passed; OP_LIMIT, if zookeeper_stats was made for more
 * nodes than that write->counted may become counted_max. The caller undoes the
 * operation then. A limit that is passed without being enforced is noted in write->quota_passed. */
MUST_CHECK enum status
quota_account(struct tree_write *write, size_t first, enum op_error *ret_error);

#endif
