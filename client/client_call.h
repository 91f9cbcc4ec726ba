/* From a public call to a request, and the two ways to wait for it. */
#ifndef CLIENT_CALL_H
#define CLIENT_CALL_H

#include "client/client.h"

enum { CLIENT_PATH_BYTES_MAX = 4096 };

/* A request, or the reason why there is none. */
struct client_call {
    enum confer_status status;
    const char *reason; /* NULL: the status' text */
    struct client_request *request;
};

/* A failed call, unless `call` failed before. */
void client_call_refuse(struct client_call *call, enum confer_status status, const char *reason);
/* Refuses a path that no server would take for certain. */
void client_call_check_path(struct client_call *call, const char *path);
/* Packs `message`; does nothing when the call was refused. */
void client_call_pack(struct client_call *call,
                      Client__Request__BodyCase field,
                      const ProtobufCMessage *message,
                      enum client_shape shape);
static inline Client__ReadLevel client_call_level(const struct confer_call *how)
{
    return how != NULL && how->linearizable ? CLIENT__READ_LEVEL__LINEARIZABLE
                                            : CLIENT__READ_LEVEL__LOCAL;
}

/* Both take the call. */
enum confer_status client_call_wait(struct confer *confer,
                                    struct client_call *call,
                                    const struct confer_call *how,
                                    struct confer_result **ret_result);
enum confer_status client_call_start(struct confer *confer,
                                     struct client_call *call,
                                     const struct confer_call *how,
                                     confer_callback callback,
                                     void *argument);

#endif
