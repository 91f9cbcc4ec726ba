#include "client/client_credentials.h"

#include <stdlib.h>
#include <string.h>

static enum confer_status pack(const struct confer_credential *given, struct client_body *ret_body)
{
    Client__Authenticate message = CLIENT__AUTHENTICATE__INIT;
    enum confer_status status;

    if (given->scheme == NULL || given->scheme[0] == '\0' || given->secret == NULL ||
        given->secret_bytes == 0) {
        return CONFER_INVALID_ARGUMENT;
    }
    message.scheme = client_copy_text(given->scheme);
    if (message.scheme == NULL) {
        return CONFER_NO_MEMORY;
    }
    message.credentials = client_data_of(given->secret, given->secret_bytes);
    status = client_body_pack(CLIENT__REQUEST__BODY_AUTHENTICATE, &message.base, ret_body);
    free(message.scheme);
    return status;
}

enum confer_status client_credentials_take(struct client_credentials *credentials,
                                           const struct confer_credential *given,
                                           size_t count)
{
    enum confer_status status = CONFER_OK;

    credentials->count = 0;
    if (count > CONFER_CREDENTIALS_MAX || (count > 0 && given == NULL)) {
        return CONFER_INVALID_ARGUMENT;
    }
    for (size_t i = 0; status == CONFER_OK && i < count; i++) {
        status = pack(&given[i], &credentials->items[i]);
        credentials->count += status == CONFER_OK;
    }
    if (status != CONFER_OK) {
        client_credentials_release(credentials);
    }
    return status;
}

void client_credentials_release(struct client_credentials *credentials)
{
    for (size_t i = 0; i < credentials->count; i++) {
        explicit_bzero(credentials->items[i].data, credentials->items[i].size);
        free(credentials->items[i].data);
    }
    credentials->count = 0;
}
