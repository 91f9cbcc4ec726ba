/* Bytes of client.proto into requests: the decoder of the native front. Pure. */
#ifndef FRONT_NATIVE_REQUEST_H
#define FRONT_NATIVE_REQUEST_H

#include "base/bytes.h"
#include "server/node/request.h"

/* Make the request that a frame's body holds; the caller's, to be submitted or freed. One that this
 * server does not know, or with a path, password or transaction beyond its limit, comes with its
 * refusal set. Whatever the bytes are, memory stays proportional to their number.
 * INVALID  not a client.Request, or one with id 0: close the connection. */
MUST_CHECK enum status native_request_read(struct bytes body, struct request **ret_request);

#endif
