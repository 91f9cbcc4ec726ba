/* What ZooKeeper's clients read at /zookeeper/config: the members, in the form of its dynamic
 * configuration (zookeeper-wire 15.2). Confer has one port for all, so it stands there three
 * times. */
#ifndef STATE_CONFIG_NODE_H
#define STATE_CONFIG_NODE_H

#include "proto/record.pb-c.h"
#include "server/state/tree.h"

/* The configuration took effect with this write: set the node's value to it, with the change, and
 * the version to -1 as ZooKeeper does. A joint one changes nothing, and neither does a cluster of
 * one server that has never had more: ZooKeeper calls that standalone and shows nothing. */
MUST_CHECK enum status config_node_set(struct tree_write *write, const Record__Config *config);

#endif
