/* Paths of nodes: what is legal (zookeeper-wire 10.1), and taking them apart. Paths are byte
 * strings in UTF-8; nothing here allocates. */
#ifndef STATE_PATH_H
#define STATE_PATH_H

#include "server/state/state.h"

/* OP_OK, OP_BAD_ARGUMENTS, or OP_LIMIT: too long, or a component is. */
enum op_error path_check(struct bytes path);

/* At the last slash: the parent ("" for the root), and the name, which may be empty. False if there
 * is no slash or the path holds a NUL. */
bool path_split(struct bytes path, struct bytes *ret_parent, struct bytes *ret_name);

/* One of the nodes that are always there: /, /zookeeper, its quota and config. */
bool path_is_system(struct bytes path);

/* Takes the first component off the front of `rest`: "/a/b" gives "a" and leaves "/b". False when
 * `rest` is no slash followed by a name. */
bool path_take(struct bytes *rest, struct bytes *ret_name);

#endif
