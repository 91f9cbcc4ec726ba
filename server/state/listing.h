/* Pages of the children of a node, from what is dirty and what the source holds. */
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

#endif
