/* From a command to its place in the log and back to its result, wherever the leader is.
 *
 * A proposal is queued, then placed at (term, index) in the leader's log - directly when this
 * server leads, else by forwarding it; one Forward is under way at a time, so proposals of one
 * server stay in order - and is done when the entry at its index is applied: with its result if the
 * terms are equal, else it was not executed. */
#ifndef NODE_NODE_PROPOSALS_H
#define NODE_NODE_PROPOSALS_H

#include "server/node/node_internal.h"

struct proposal;

/* Called once. `result` is set when the command was applied (`code` is then OK, whatever the
 * result's error); else `code` is UNKNOWN_OUTCOME if it may yet be applied, any other if it was not
 * and will not be: 100 or above, or what state_command_check says of it. The proposal is freed
 * right after. */
typedef void proposal_done(void *context, Client__Code code, const struct state_result *result);

/* Queue the packed record.Command, with `prefix` (packed fields) before it; both are copied. NULL
 * while the queue is full: try again in a later turn. */
struct proposal *node_propose(struct node *node,
                              struct bytes prefix,
                              struct bytes command,
                              proposal_done *done,
                              void *context);
/* Of all commands that are neither applied nor given up. */
uint64_t node_proposed_bytes(const struct node *node);
/* Nobody waits for it any more; it goes on without calling `done`. */
void proposal_abandon(struct proposal *proposal);

void node_proposals_init(struct node *node);
void node_proposals_release(struct node *node);
/* Place or forward what is queued. At the end of a turn. */
void node_proposals_flush(struct node *node);
/* The entry at (index, term), `payload`, was applied with this result; NULL for one that holds no
 * command. In order. */
void node_proposals_applied(struct node *node,
                            raft_index index,
                            raft_term term,
                            struct bytes payload,
                            const struct state_result *result);
/* A dump replaced the log up to `index`: what was placed there has an unknown outcome. */
void node_proposals_skipped(struct node *node, raft_index index);
/* The link to `peer` closed, or it leads no more. */
void node_proposals_leader_lost(struct node *node, raft_id peer);
/* Answer those that were not placed anywhere yet: they take no effect. */
void node_proposals_refuse_queued(struct node *node, Client__Code code);
/* Give up what waited too long. Returns the next time this must be looked at. */
uint64_t node_proposals_expire(struct node *node);
bool node_proposals_are_idle(const struct node *node);

/* Whether this server leads and has applied everything of earlier terms, so that it may stamp and
 * place. */
bool node_may_place(const struct node *node);

void node_proposals_on_forward(struct node *node, raft_id peer, const Peer__Forward *forward);
void node_proposals_on_forwarded(struct node *node, raft_id peer, const Peer__Forwarded *forwarded);

#endif
