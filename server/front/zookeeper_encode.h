/* The node's answers as ZooKeeper's replies. */
#ifndef FRONT_ZOOKEEPER_ENCODE_H
#define FRONT_ZOOKEEPER_ENCODE_H

#include "server/front/zookeeper_decode.h"

/* What a reply's code is to a ZooKeeper client. False: there is no word for it; such a connection
 * is closed, and the client asks another server. */
bool zookeeper_error_of(Client__Code code, enum jute_error *ret_error);

/* The same for the end of a REQUEST_RECONFIGURE. */
bool zookeeper_error_of_reconfig(Client__Code code, enum jute_error *ret_error);

void zookeeper_put_stat(struct buffer *buffer, const struct state_stat *stat);

/* The bodies of getData and getChildren. */
void zookeeper_put_data(struct buffer *buffer, const struct state_node *node);
void zookeeper_put_names(struct buffer *buffer, const struct state_children *children);

/* A reply's header, which is all of it when there is no body. */
void zookeeper_put_header(struct buffer *buffer,
                          const struct zookeeper_details *details,
                          zxid at,
                          enum jute_error error);

/* The whole frame of a reply to what the node answered: writes, reads, sync, ping. When it would be
 * larger than clients take (JUTE_FRAME_BYTES_MAX), it says MARSHALLING instead. True: a getData's
 * value is left out, to be lent; it belongs before the last JUTE_STAT_BYTES. */
bool zookeeper_put_reply(struct buffer *buffer,
                         const struct request *request,
                         const struct reply *reply,
                         enum jute_error error);

#endif
