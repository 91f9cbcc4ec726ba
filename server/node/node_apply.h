/* Committed entries into the state, and their effects to everybody concerned; and a dump in place
 * of the state. */
#ifndef NODE_NODE_APPLY_H
#define NODE_NODE_APPLY_H

#include "server/node/node_internal.h"

/* At the start: open the generation of the checkpoint that node->tree_generation names, and the
 * state on it. In the place of a state that is condemned, or damaged while there are other voters
 * (node->boot_damage), stands an empty one that has applied as much. */
MUST_CHECK enum status node_apply_open(struct node *node, struct error *error);
void node_apply_close(struct node *node);

/* Apply up to node->commit_index, within a bounded amount of work. True: more is left, come back
 * soon. */
bool node_apply_run(struct node *node);

/* Give a finished dump to the core, and switch to it once the log has. */
void node_apply_install(struct node *node);

#endif
