/* Comparing the state with that of the other members, at zxids that the leader names: in the
 * reports that members send each other anyway, about once a second. See agreement.h. When nothing
 * is written, each looks at its own digest again, as often. */
#ifndef NODE_NODE_AGREEMENT_H
#define NODE_NODE_AGREEMENT_H

#include "server/node/node_internal.h"

void node_agreement_init(struct node *node);
void node_agreement_release(struct node *node);
/* An entry was applied or skipped. */
void node_agreement_note(struct node *node);
/* The state was replaced by that of a dump. */
void node_agreement_reset(struct node *node);
/* Make durable what is doubtful about the dump in node->installed, before the log switches to it.
 */
MUST_CHECK enum status node_agreement_before_switch(struct node *node, struct error *error);
/* Here or anywhere. */
bool node_agreement_knows_of_dispute(const struct node *node);
/* Whether a dump of that member may replace the state here if nobody vouches for it. */
bool node_agreement_gives_way(const struct node *node, raft_id sender);
/* Whether a dump of this server's state may go to the member if nobody vouches for it. */
bool node_agreement_may_replace(const struct node *node, raft_id id);
/* As leader: compare at what is applied now, at once. */
void node_agreement_name(struct node *node);
/* Once a turn: name, look, judge. */
void node_agreement_tick(struct node *node);
/* What this server tells in its report, and what another told. */
/* `disputes` is lent to the report. */
void node_agreement_fill(const struct node *node,
                         raft_id to,
                         Peer__NodeReport *report,
                         uint64_t disputes[RAFT_MEMBERS_MAX]);
void node_agreement_take(struct node *node,
                         struct member_report *kept,
                         const Peer__NodeReport *report);

#endif
