/* A Command from its bytes, with the limits that need no look at the state. */
#ifndef STATE_COMMAND_H
#define STATE_COMMAND_H

#include "base/arena.h"
#include "proto/record.pb-c.h"
#include "server/state/state.h"

/* Unpack into the arena; paths and values are lent from `bytes`. The outcome depends on the bytes
 * alone, so that all servers agree on what is in the log.
 *
 * OP_UNREADABLE, OP_LIMIT, OP_BAD_ARGUMENTS: refused, see state_command_check. */
enum op_error
command_decode(struct bytes bytes, struct arena *arena, Record__Command **ret_command);

/* The operations of a single write and of a transaction alike; 0 for the other commands. */
size_t command_operations(Record__Command *command, Record__Operation ***ret_operations);

#endif
