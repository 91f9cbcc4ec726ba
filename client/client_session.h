/* The session: what opens it, what attaches it again, and what the servers said about it. */
#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H

#include "client/client_codec.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    CLIENT_SESSION_TIMEOUT_MS_MIN = 1000,
    CLIENT_SESSION_TIMEOUT_MS_MAX = 600 * 1000,
    CLIENT_PASSWORD_BYTES_MAX = 64
};

struct client_session {
    uint32_t asked_timeout_ms;
    uint64_t id; /* 0 = not opened yet */
    uint64_t generation;
    uint32_t timeout_ms; /* granted */
    uint8_t password[CLIENT_PASSWORD_BYTES_MAX];
    size_t password_bytes;
};

/* Put the request that opens or attaches the session. NO_MEMORY: nothing was put. */
MUST_CHECK enum confer_status client_session_put(const struct client_session *session,
                                                 struct client_buffer *output,
                                                 const struct client_envelope *envelope);

enum client_session_verdict {
    CLIENT_SESSION_ATTACHED,
    CLIENT_SESSION_AGAIN,   /* not here, or not now */
    CLIENT_SESSION_GONE,    /* it ended */
    CLIENT_SESSION_NONSENSE /* the answer makes no sense */
};

/* Take the answer. *ret_last_sequence is set when attached. */
enum client_session_verdict client_session_take(struct client_session *session,
                                                const Client__Response *response,
                                                uint64_t *ret_last_sequence);

#endif
