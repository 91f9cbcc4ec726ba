/* Sessions over connections that come and go. */
#include "tests/support/cluster.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#include <string.h>

enum { TIMEOUT_MS = 30000, PASSWORD_BYTES_MAX = 64 };

static struct cluster cluster;

struct session {
    uint64_t id;
    uint8_t password[PASSWORD_BYTES_MAX];
    size_t password_bytes;
};

static void connect_to(struct wire *wire, unsigned server)
{
    EXPECT(wire_connect(wire, cluster.servers[server].address));
    EXPECT(wire_greet(wire));
}

static struct session open_session(struct wire *wire)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__OpenSession open = CLIENT__OPEN_SESSION__INIT;
    struct session session;
    Client__Response *response;

    open.timeout_ms = TIMEOUT_MS;
    request.body_case = CLIENT__REQUEST__BODY_OPEN_SESSION;
    request.open_session = &open;
    response = wire_call(wire, &request, CLUSTER_DEADLINE_MS);
    EXPECT(response != NULL);
    EXPECT_EQ(response->code, CLIENT__CODE__OK);
    EXPECT_EQ(response->body_case, CLIENT__RESPONSE__BODY_SESSION);
    session.id = response->session->session;
    session.password_bytes = response->session->password.len;
    EXPECT(session.password_bytes <= sizeof session.password);
    memcpy(session.password, response->session->password.data, session.password_bytes);
    client__response__free_unpacked(response, NULL);
    return session;
}

/* The code of the answer; -1: there was none. */
static int code_of(struct wire *wire, Client__Request *request)
{
    Client__Response *response = wire_call(wire, request, CLUSTER_DEADLINE_MS);
    int code = response == NULL ? -1 : (int)response->code;

    if (response != NULL) {
        client__response__free_unpacked(response, NULL);
    }
    return code;
}

static int attach(struct wire *wire, struct session *session)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__AttachSession attach = CLIENT__ATTACH_SESSION__INIT;

    attach.session = session->id;
    attach.password.data = session->password;
    attach.password.len = session->password_bytes;
    attach.timeout_ms = TIMEOUT_MS;
    request.body_case = CLIENT__REQUEST__BODY_ATTACH_SESSION;
    request.attach_session = &attach;
    return code_of(wire, &request);
}

static int close_session(struct wire *wire)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__CloseSession close = CLIENT__CLOSE_SESSION__INIT;

    request.body_case = CLIENT__REQUEST__BODY_CLOSE_SESSION;
    request.close_session = &close;
    return code_of(wire, &request);
}

/* Who took it for expired would take its ephemerals for gone. */
static void test_closing_a_session_that_moved_away_answers_moved_and_leaves_it_alive(void)
{
    struct wire former;
    struct wire present;
    struct session session;

    cluster_init(&cluster, 1);
    cluster_form(&cluster);
    connect_to(&former, 1);
    session = open_session(&former);
    connect_to(&present, 1);
    EXPECT_EQ(attach(&present, &session), CLIENT__CODE__OK);
    EXPECT_EQ(close_session(&former), CLIENT__CODE__SESSION_MOVED);
    EXPECT_EQ(close_session(&present), CLIENT__CODE__OK);
    EXPECT_EQ(attach(&former, &session), CLIENT__CODE__SESSION_EXPIRED);
    wire_close(&former);
    wire_close(&present);
    cluster_release(&cluster);
}

static void test_closing_without_a_session_answers_expired(void)
{
    struct wire wire;

    cluster_init(&cluster, 1);
    cluster_form(&cluster);
    connect_to(&wire, 1);
    EXPECT_EQ(close_session(&wire), CLIENT__CODE__SESSION_EXPIRED);
    wire_close(&wire);
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_closing_a_session_that_moved_away_answers_moved_and_leaves_it_alive),
        TEST_CASE(test_closing_without_a_session_answers_expired), TEST_END};
    return test_main("sessions", cases, argc, argv);
}
