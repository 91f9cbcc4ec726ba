/* What writes in ZooKeeper's protocol, as the log's words (record.proto): put field by field, and
 * to the byte what protobuf-c would put. Decides nothing: an ACL or a mode that is illegal becomes
 * one that the state refuses in its place. No I/O. */
#ifndef FRONT_ZOOKEEPER_COMMAND_H
#define FRONT_ZOOKEEPER_COMMAND_H

#include "base/arena.h"
#include "base/bytes.h"

/* An operation with its place in what holds it; both are in the arena. */
enum zookeeper_command_holder {
    ZOOKEEPER_COMMAND_ALONE,         /* which is a whole command */
    ZOOKEEPER_COMMAND_IN_TRANSACTION /* for zookeeper_command_of_all */
};

struct zookeeper_command_part {
    struct bytes bytes;
    bool is_illegal_create; /* by its mode */
};

/* Read the record of an operation of `type`, of a request or of a multi. False: such a type does
 * not write. After the reader has failed the part is nothing to use. */
bool zookeeper_command_read(struct reader *reader,
                            int32_t type,
                            enum zookeeper_command_holder holder,
                            struct arena *arena,
                            struct zookeeper_command_part *ret_part);
/* The command that does these all or nothing. */
struct bytes zookeeper_command_of_all(const struct bytes *parts, size_t count, struct arena *arena);

#endif
