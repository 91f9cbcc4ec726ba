/* The handle's link to a server: connecting, the session, what servers send, sending. All on the
 * thread of the loop. */
#ifndef CLIENT_LINK_H
#define CLIENT_LINK_H

#include "client/client_handle.h"

static inline uint64_t client_link_us(uint64_t ms)
{
    return 1000 * ms;
}

/* `on_settle` is called at the end of every event of the connection. */
void client_link_init(struct confer *confer, void (*on_settle)(void *context));

void client_link_log(struct confer *confer, enum confer_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Tell the program, if it is a change. */
void client_link_set_state(struct confer *confer, enum confer_state state);
bool client_link_is_closing(struct confer *confer);
bool client_link_is_connected(const struct confer *confer);
/* How long a server may be silent in a session of this timeout. */
void client_link_set_silence(struct confer *confer, uint32_t session_timeout_ms);

/* Start to connect to the current server. */
void client_link_connect(struct confer *confer);
/* Go on if a name was found. */
void client_link_poll(struct confer *confer);
/* End the connection, or the attempt to make one; the next server follows after a pause. */
void client_link_drop(struct confer *confer, const char *reason);
/* Send nothing more here; drop when what is in flight is answered, or after a second. */
void client_link_drain(struct confer *confer, const char *reason);
/* Close without a word. */
void client_link_reset(struct confer *confer);

/* Send what may be sent. */
void client_link_pump(struct confer *confer);
/* Queue a request of the library's own, for this connection only; nothing without memory. */
void client_link_send_own(struct confer *confer,
                          Client__Request__BodyCase field,
                          const ProtobufCMessage *message,
                          void (*on_done)(void *owner, const struct confer_result *result));
void client_link_ping(struct confer *confer);

#endif
