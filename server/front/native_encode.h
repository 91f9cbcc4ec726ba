/* struct reply, events and notices to frames of client.Response, written straight into the output
 * of a connection. No frame above FRAME_CLIENT_BYTES_MAX is ever made. */
#ifndef FRONT_NATIVE_ENCODE_H
#define FRONT_NATIVE_ENCODE_H

#include "server/front/native_answer.h"
#include "server/front/native_decode.h"
#include "server/net/connection.h"

/* Each returns the bytes that it put into the output. `arena` is for what is needed in between; it
 * may be reset afterwards. */
size_t native_encode_reply(struct connection *connection,
                           struct arena *arena,
                           const struct request *request,
                           const struct reply *reply);
size_t native_encode_refusal(struct connection *connection, const struct native_refusal *refusal);
/* In several frames if one does not hold them. */
size_t native_encode_events(struct connection *connection, const struct native_events *events);
size_t
native_encode_notice(struct connection *connection, Client__NoticeKind kind, Client__Code code);

/* The text for a code when nobody had better words. */
const char *native_code_text(Client__Code code);

#endif
