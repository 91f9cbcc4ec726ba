/* Replies, events and notices into bytes of client.proto: the encoder of the native front. Pure. */
#ifndef FRONT_NATIVE_REPLY_H
#define FRONT_NATIVE_REPLY_H

#include "server/node/request.h"

/* The Response to `request`, ready to be packed; it lends from request, reply and arena. */
Client__Response *
native_reply_make(const struct request *request, const struct reply *reply, struct arena *arena);
/* A Response without a request that was understood. */
Client__Response *native_reply_refusal(uint64_t id, Client__Code code, struct arena *arena);
Client__Response *native_reply_events(uint64_t watch,
                                      bool with_values,
                                      const struct watch_event *events,
                                      size_t count,
                                      zxid up_to,
                                      bool lost,
                                      struct arena *arena);
Client__Response *
native_reply_notice(Client__NoticeKind kind, Client__Code code, struct arena *arena);

/* What a code means, for a person. */
const char *native_reply_code_text(Client__Code code);

#endif
