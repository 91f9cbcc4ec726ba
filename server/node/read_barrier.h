/* Read indexes: the linearizable reads of one turn wait for one of them together, until the state
 * here has come so far. */
#ifndef NODE_READ_BARRIER_H
#define NODE_READ_BARRIER_H

#include "server/node/node_internal.h"

struct read_barrier;

void read_barriers_init(struct node *node);
void read_barriers_release(struct node *node);

/* The barrier of this turn, counted for the caller. */
struct read_barrier *read_barrier_join(struct node *node);
void read_barrier_unref(struct read_barrier *barrier); /* NULL is fine */
/* Is its index known? */
bool read_barrier_is_found(const struct read_barrier *barrier);
/* And applied here? */
bool read_barrier_is_reached(const struct node *node, const struct read_barrier *barrier);

/* Ask the core for those that are wanted. Before the core is flushed. */
void read_barriers_ask(struct node *node);
/* One that was not found is asked for again. */
void read_barriers_on_index(struct node *node, uint64_t token, bool found, raft_index index);

#endif
