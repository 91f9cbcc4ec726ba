/* The texts of ZooKeeper's reconfig as the members that are wanted:
 * server.ID=HOST:PORT:PORT[:ROLE]; [HOST:]PORT. Each server has one address here, which is the one
 * for clients; where that names no host, or any, it is the host before the semicolon, whose other
 * ports mean nothing. */
#ifndef FRONT_ZOOKEEPER_RECONFIG_H
#define FRONT_ZOOKEEPER_RECONFIG_H

#include "base/arena.h"
#include "base/bytes.h"
#include "server/node/reconfiguration.h"

/* Read both lists, in memory of the arena; illegal ones leave is_illegal set. */
void zookeeper_reconfig_read_changes(struct bytes joining,
                                     struct bytes leaving,
                                     struct arena *arena,
                                     struct reconfiguration *wanted);
/* All servers, as in /zookeeper/config: lines, or separated by commas. */
void zookeeper_reconfig_read_members(struct bytes members,
                                     struct arena *arena,
                                     struct reconfiguration *wanted);

#endif
