/* The making of a cluster: ask all named servers, let the others make it durable, then this one,
 * wait for the first leader. See membership.h. Each function may end and free the operation. */
#ifndef NODE_MEMBERSHIP_INIT_H
#define NODE_MEMBERSHIP_INIT_H

#include "server/node/membership_operation.h"

void membership_init_start(struct membership *membership,
                           struct membership_operation *operation,
                           const Client__Init *init);
/* All targets answered the query. */
void membership_init_on_probed(struct membership *membership,
                               struct membership_operation *operation);
void membership_init_on_bootstrapped(struct membership *membership,
                                     struct membership_operation *operation,
                                     const struct membership_target *target,
                                     const Peer__Bootstrapped *bootstrapped);
/* STARTING: look whether there is a leader. */
void membership_init_step(struct membership *membership, struct membership_operation *operation);
/* The cluster is made: end with OK and what is to be said of its size. */
void membership_init_end(struct membership *membership, struct membership_operation *operation);

#endif
