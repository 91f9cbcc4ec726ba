/* Changes of a cluster's members, and the transfer of its leadership: tried against the core again
 * and again until it takes them, then watched until they are complete. See membership.h. Each
 * function may end and free the operation. */
#ifndef NODE_MEMBERSHIP_CHANGE_H
#define NODE_MEMBERSHIP_CHANGE_H

#include "server/node/membership_operation.h"

/* `operation->kind` is set. */
void membership_change_start(struct membership *membership,
                             struct membership_operation *operation,
                             const Client__Request *request);
/* ADD: the target said who it is. */
void membership_change_on_probed(struct membership *membership,
                                 struct membership_operation *operation,
                                 const struct membership_target *target);
/* ADD: it did not. True, and ended, if it is a member as asked for all the same. */
bool membership_change_on_unreachable(struct membership *membership,
                                      struct membership_operation *operation);
/* PROPOSING and COMMITTING: go on if that is possible now. */
void membership_change_step(struct membership *membership,
                            struct membership_operation *operation,
                            uint64_t now_us);
/* It is too late in PROPOSING or COMMITTING. */
void membership_change_end_late(struct membership *membership,
                                struct membership_operation *operation);

#endif
