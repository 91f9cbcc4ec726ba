/* What the cluster operations need of the node. */
#ifndef NODE_MEMBERSHIP_PORT_H
#define NODE_MEMBERSHIP_PORT_H

#include "proto/client.pb-c.h"
#include "server/node/node.h"

struct membership_port {
    void *context;
    struct node_identity (*identity)(void *context);
    /* As leader: the member lags behind the log and gets no dump before a majority says what is
     * right. */
    bool (*is_held_back)(void *context, raft_id id);
    /* Dial, send the packed PeerMessage, wait for one, bounded; the answer comes by
     * membership_on_probe_answer with this token, never from inside. */
    void (*probe)(void *context, uint64_t token, const char *address, struct bytes message);
    /* Make the cluster's id durable, then raft_bootstrap with `config` (the core is then still
     * empty). Other than OK: the init ends with the text. */
    enum status (*bootstrap)(void *context,
                             const struct raft_config *config,
                             const uint8_t cluster_id[NODE_CLUSTER_ID_BYTES],
                             struct error *error);
    /* The end of an operation: code, message and membership are set; id and zxid are the
     * receiver's. Lent. May come from inside membership_submit. Must not call the unit back. */
    void (*finish)(void *context, void *operation, Client__Response *response);
};

#endif
