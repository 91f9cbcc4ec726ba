/* Requests that say which cluster is wanted, carried out as the cluster requests that there are,
 * one after the other (reconfiguration.h, node_cluster.h). Each is made to that configuration alone
 * from which it was computed. What fails on the way is told, and who came as a learner for nothing
 * leaves again. */
#ifndef NODE_NODE_RECONFIGURE_H
#define NODE_NODE_RECONFIGURE_H

#include "server/node/node_internal.h"

/* Begun, so that something may have been changed. */
bool node_reconfigure_is_begun(const struct request *request);

enum reconfigure_next {
    RECONFIGURE_OVER, /* `reply` is filled; OK comes with the node `path` */
    RECONFIGURE_STEP, /* it is in membership.encoded, for node_cluster_submit */
    RECONFIGURE_WAIT  /* for the end of somebody else's change */
};
/* Judge the request and find its next step by the state here, which is new enough. */
enum reconfigure_next
node_reconfigure_next(struct node *node, struct request *request, struct reply *reply);
/* How the step went, by the packed client.Response. Returns the configuration that must be applied
 * here before the next; 0: whichever there is now. */
raft_index node_reconfigure_stepped(struct request *request, struct bytes response);

#endif
