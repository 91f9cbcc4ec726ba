/* The witness table in the driver: fed by who comes and what it reports, kept with the log. */
#ifndef NODE_NODE_WITNESS_H
#define NODE_NODE_WITNESS_H

#include "server/node/node_internal.h"

void node_witness_init(struct node *node);
bool node_witness_recognize(struct node *node,
                            const Peer__Identity *from,
                            char refusal[ERROR_TEXT_BYTES_MAX]);
void node_witness_on_report(struct node *node, raft_id peer, const Peer__NodeReport *report);
/* Before the core is flushed: a start seen for the first time is in the log's queue before anything
 * that this server writes on the strength of the member's word. Returns when to call again at the
 * latest. */
uint64_t node_witness_tick(struct node *node);

#endif
