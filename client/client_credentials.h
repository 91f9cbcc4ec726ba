/* Who the handle is: shown to every server on every connection, before the session. */
#ifndef CLIENT_CLIENT_CREDENTIALS_H
#define CLIENT_CLIENT_CREDENTIALS_H

#include "client/client_codec.h"

struct client_credentials {
    struct client_body items[CONFER_CREDENTIALS_MAX]; /* packed requests */
    size_t count;
};

/* Copies them. INVALID_ARGUMENT, LIMIT, NO_MEMORY: nothing is kept. */
MUST_CHECK enum confer_status client_credentials_take(struct client_credentials *credentials,
                                                      const struct confer_credential *given,
                                                      size_t count);
/* Wipes the secrets. */
void client_credentials_release(struct client_credentials *credentials);

#endif
