/* Pages of the children of a node and of the ephemerals of a session, from what is dirty and what
 * the source holds. */
#ifndef STATE_LISTING_H
#define STATE_LISTING_H

#include "server/state/tree.h"

/* As state_read_children. */
MUST_CHECK enum status listing_read(struct tree *tree,
                                    struct bytes path,
                                    struct bytes after,
                                    size_t count_max,
                                    size_t bytes_max,
                                    bool with_nodes,
                                    struct arena *arena,
                                    enum op_error *ret_error,
                                    struct state_children *ret_children);

/* As state_each_ephemeral. */
MUST_CHECK enum status listing_each_ephemeral(struct tree *tree,
                                              session_id session,
                                              uint64_t *cursor,
                                              size_t *nodes_left,
                                              void (*visit)(void *visitor, struct bytes path),
                                              void *visitor,
                                              bool *ret_done);

#endif
