/* A server whose state is wrong, be it that a record is damaged or that a majority has another
 * state, and how it gets a right one. So does one whose state has outgrown
 * its map: see node_outgrowth.h.
 *
 *   sound -damage-> condemned -a vouched dump is built, the log switches to it-> sound
 *
 * A condemned server applies nothing, answers no client from its state, makes no dumps, tells no
 * digest, and hands leadership over. That it is condemned is durable with the
 * generation of the checkpoint, so a restart goes on with the repair. It goes on acknowledging and
 * voting: entries of its log are sealed by themselves, and of those that it applied, which may be
 * why its state is wrong, none stays behind the dump.
 *
 * Only one whose state differs may have the reason in its log; it does not campaign. The others may
 * have to, when nobody else has the last entries, and give leadership away at once.
 *
 * The dump comes from the leader, once a majority of the voters, counting nobody twice, has told
 * the digest that the leader's checkpoint has. So nothing is ever repaired from a member that is
 * wrong itself. Without such a majority the server waits, unless all others have the same and it
 * did not differ from them before it was found damaged. A member that merely lags gets a dump that
 * nobody vouches for rather than none, unless its state is disputed: that may be the right one, and
 * is replaced by nothing but what a majority holds. With no other voter there is nobody to ask:
 * what was needed and cannot be read ends the process, what was found by looking is told. */
#ifndef NODE_NODE_REPAIR_H
#define NODE_NODE_REPAIR_H

#include "server/node/node_internal.h"

/* The state cannot be gone on with: it is condemned, or the node has failed. */
void node_repair_on_damage(struct node *node, const struct error *error);
/* Damage was found where nobody needed to look: as above, or, with no other voter, just told. */
void node_repair_on_discovery(struct node *node, const struct error *error);
/* A majority has another state. */
void node_repair_on_difference(struct node *node, const struct error *error);
/* At the start: what node_apply_open found. */
void node_repair_start(struct node *node);

/* See node_holds_back. */
bool node_repair_holds_back(const struct node *node, raft_id id);

/* Once a turn, as leader: for members that want a dump, be it for a repair, for room or because
 * they lag, have a majority vouch for a checkpoint and make it of that. Returns when to call again
 * at the latest. */
uint64_t node_repair_tick(struct node *node);
/* The checkpoint that the members compare for a dump must still be there when they have told: no
 * other one is begun meanwhile. For two seconds at most, which applying does not have to wait for.
 */
bool node_repair_holds_checkpoint(struct node *node);
/* The index of the dump that members are getting now, or are about to; UINT64_MAX = none are. The
 * log behind it is worth keeping, for a minute. */
raft_index node_repair_dump_index(struct node *node);
/* The tree that dumps may be made of without that, for members that lag: when those who have the
 * entries and are there are no majority, or it took too long. Else NULL. */
struct tree_store *node_repair_unvouched(const struct node *node);
/* The dump that node->installed holds is of use beside the log as it is: its index is one of the
 * log, with the same term. */
bool node_repair_fits(const struct node *node);
/* Have the log switch to node->installed, once all up to its index is durable here. True when that
 * is done. */
bool node_repair_switch(struct node *node);
/* The node runs on the tree of the dump. */
void node_repair_done(struct node *node);

#endif
