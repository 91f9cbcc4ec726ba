#include "client/client_session.h"

#include <stdlib.h>
#include <string.h>

static enum confer_status pack(const struct client_session *session, struct client_body *ret_body)
{
    Client__OpenSession open = CLIENT__OPEN_SESSION__INIT;
    Client__AttachSession attach = CLIENT__ATTACH_SESSION__INIT;
    uint8_t password[CLIENT_PASSWORD_BYTES_MAX];

    if (session->id == 0) {
        open.timeout_ms = session->asked_timeout_ms;
        return client_body_pack(CLIENT__REQUEST__BODY_OPEN_SESSION, &open.base, ret_body);
    }
    memcpy(password, session->password, session->password_bytes);
    attach.session = session->id;
    attach.password.data = password;
    attach.password.len = session->password_bytes;
    attach.timeout_ms = session->asked_timeout_ms;
    return client_body_pack(CLIENT__REQUEST__BODY_ATTACH_SESSION, &attach.base, ret_body);
}

enum confer_status client_session_put(const struct client_session *session,
                                      struct client_buffer *output,
                                      const struct client_envelope *envelope)
{
    struct client_body body;
    enum confer_status status = pack(session, &body);

    if (status == CONFER_OK) {
        status = client_codec_put_request(output, &body, envelope);
        free(body.data);
    }
    return status;
}

enum client_session_verdict client_session_take(struct client_session *session,
                                                const Client__Response *response,
                                                uint64_t *ret_last_sequence)
{
    const Client__SessionReply *reply = response->session;
    Client__Code code = response->code;

    if (code != CLIENT__CODE__OK) {
        bool is_gone = code == CLIENT__CODE__SESSION_EXPIRED || code == CLIENT__CODE__NO_AUTH;

        return session->id != 0 && is_gone ? CLIENT_SESSION_GONE : CLIENT_SESSION_AGAIN;
    }
    if (response->body_case != CLIENT__RESPONSE__BODY_SESSION || reply->session == 0 ||
        reply->password.len > CLIENT_PASSWORD_BYTES_MAX || reply->timeout_ms == 0 ||
        (session->id != 0 && reply->session != session->id) ||
        (session->id == 0 && reply->last_sequence != 0)) {
        return CLIENT_SESSION_NONSENSE;
    }
    if (session->id == 0 || reply->password.len > 0) {
        session->password_bytes = reply->password.len;
        if (reply->password.len > 0) {
            memcpy(session->password, reply->password.data, reply->password.len);
        }
    }
    session->id = reply->session;
    session->generation = reply->generation;
    session->timeout_ms = reply->timeout_ms > CLIENT_SESSION_TIMEOUT_MS_MAX
                              ? CLIENT_SESSION_TIMEOUT_MS_MAX
                              : reply->timeout_ms;
    *ret_last_sequence = reply->last_sequence;
    return CLIENT_SESSION_ATTACHED;
}
