/* Order, back-pressure, what is pushed, and the end of connections. */
#include "server/front/native_front.h"

#include "base/alloc.h"
#include "server/front/native_encode.h"
#include "tests/unit/front/native_front_lab.h"

#include <stdlib.h>

/* --- Order and back-pressure --- */

static void test_a_refused_request_is_answered_in_its_place(void)
{
    struct bench bench;
    struct buffer stream = BUFFER_INIT;
    struct reply reply = {.code = CLIENT__CODE__NO_NODE};

    bench_init(&bench);
    put_unknown(&bench, &stream);
    put_get(&bench, &stream);
    put_unknown(&bench, &stream);
    put_get(&bench, &stream);
    put_unknown(&bench, &stream);
    send_all(&bench, &stream);
    BENCH_UNTIL(&bench, fake.submitted == 1);
    expect_response(&bench, 1, CLIENT__CODE__UNSUPPORTED);
    for (unsigned i = 0; i < 5; i++) {
        bench_turn(&bench);
    }
    /* What follows the refused one waits until it is answered. */
    EXPECT_EQ(fake.submitted, 1);
    EXPECT_EQ(bench.came.size, bench.read);
    answer(&reply);
    expect_response(&bench, 2, CLIENT__CODE__NO_NODE);
    expect_response(&bench, 3, CLIENT__CODE__UNSUPPORTED);
    BENCH_UNTIL(&bench, fake.submitted == 2);
    answer(&reply);
    expect_response(&bench, 4, CLIENT__CODE__NO_NODE);
    expect_response(&bench, 5, CLIENT__CODE__UNSUPPORTED);
    bench_release(&bench);
}

static void test_an_identity_counts_for_the_requests_behind_it(void)
{
    Client__Authenticate authenticate = CLIENT__AUTHENTICATE__INIT;
    Client__Request request = CLIENT__REQUEST__INIT;
    uint8_t credentials[] = "user:secret";
    char digest[] = "digest";
    char unknown[] = "unknown";
    struct bench bench;
    struct buffer stream = BUFFER_INIT;
    struct reply reply = {.code = CLIENT__CODE__OK};

    bench_init(&bench);
    request.body_case = CLIENT__REQUEST__BODY_AUTHENTICATE;
    request.authenticate = &authenticate;
    authenticate.credentials = (ProtobufCBinaryData){.data = credentials, .len = 11};
    authenticate.scheme = digest;
    put_request(&bench, &stream, &request);
    authenticate.scheme = unknown;
    put_request(&bench, &stream, &request);
    put_get(&bench, &stream);
    send_all(&bench, &stream);
    BENCH_UNTIL(&bench, fake.submitted == 1);
    EXPECT_EQ(fake.identities, 2);
    answer(&reply);
    expect_response(&bench, 1, CLIENT__CODE__OK);
    /* A refused one closes nothing: the connection stays who it is. */
    expect_response(&bench, 2, CLIENT__CODE__AUTH_FAILED);
    BENCH_UNTIL(&bench, fake.submitted == 2);
    EXPECT_EQ(fake.identities, 2);
    reply.code = CLIENT__CODE__NO_NODE;
    answer(&reply);
    expect_response(&bench, 3, CLIENT__CODE__NO_NODE);
    bench_release(&bench);
}

static struct socket_address address_of(const char *host)
{
    struct address address = {.port = 1};
    struct socket_address numeric;

    (void)snprintf(address.host, sizeof address.host, "%s", host);
    EXPECT(socket_address_numeric(&address, &numeric));
    return numeric;
}

static void put_removal(struct bench *bench, struct buffer *stream)
{
    Client__RemoveMember removal = CLIENT__REMOVE_MEMBER__INIT;
    Client__Request request = CLIENT__REQUEST__INIT;

    removal.id = 3;
    request.body_case = CLIENT__REQUEST__BODY_REMOVE_MEMBER;
    request.remove_member = &removal;
    put_request(bench, stream, &request);
}

/* Whoever reaches the port could take the cluster away from all. */
static void test_members_are_changed_from_the_own_machine_or_by_the_superuser(void)
{
    static const struct {
        const char *from;
        bool is_open;
        bool is_super;
        bool is_taken;
    } cases[] = {{"127.0.0.1", false, false, true},        {"::1", false, false, true},
                 {"::ffff:127.0.0.9", false, false, true}, {"192.0.2.1", false, false, false},
                 {"2001:db8::1", false, false, false},     {"192.0.2.1", true, false, true},
                 {"192.0.2.1", false, true, true}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct native_front_options options = {.super_digest =
                                                         "root:J1scEM42CKaLPP5+ElgpgGsuONg=",
                                                     .open_membership = cases[i].is_open};
        Client__Authenticate authenticate = CLIENT__AUTHENTICATE__INIT;
        Client__Request request = CLIENT__REQUEST__INIT;
        uint8_t credentials[] = "root:secret";
        char digest[] = "digest";
        struct bench bench;
        struct buffer stream = BUFFER_INIT;
        struct reply reply = {.code = CLIENT__CODE__OK};
        uint64_t asked = 1;

        bench_init_from(&bench, address_of(cases[i].from), &options);
        if (cases[i].is_super) {
            request.body_case = CLIENT__REQUEST__BODY_AUTHENTICATE;
            request.authenticate = &authenticate;
            authenticate.scheme = digest;
            authenticate.credentials = (ProtobufCBinaryData){.data = credentials, .len = 11};
            put_request(&bench, &stream, &request);
            send_all(&bench, &stream);
            BENCH_UNTIL(&bench, fake.submitted == 1);
            EXPECT_EQ(fake.identities, 3);
            answer(&reply);
            expect_response(&bench, asked++, CLIENT__CODE__OK);
        }
        put_removal(&bench, &stream);
        send_all(&bench, &stream);
        if (cases[i].is_taken) {
            BENCH_UNTIL(&bench, fake.submitted == asked);
            EXPECT_EQ(fake.requests[asked - 1]->kind, REQUEST_MEMBERSHIP);
        } else {
            expect_response(&bench, asked, CLIENT__CODE__NO_AUTH);
            EXPECT_EQ(fake.submitted, asked - 1);
            /* The others are as free as ever. */
            put_get(&bench, &stream);
            send_all(&bench, &stream);
            BENCH_UNTIL(&bench, fake.submitted == 1);
        }
        bench_release(&bench);
    }
}

static void test_a_full_client_is_not_read_from(void)
{
    struct bench bench;
    struct buffer stream = BUFFER_INIT;
    struct reply reply = {.code = CLIENT__CODE__NO_NODE};

    bench_init(&bench);
    fake.full_at = 10;
    for (unsigned i = 0; i < 100; i++) {
        put_get(&bench, &stream);
    }
    send_all(&bench, &stream);
    for (unsigned i = 0; i < 10; i++) {
        bench_turn(&bench);
    }
    EXPECT_EQ(fake.submitted, 10);
    for (uint64_t id = 1; id <= 100; id++) {
        BENCH_UNTIL(&bench, fake.submitted > fake.answered);
        EXPECT(fake.submitted - fake.answered <= 10);
        answer(&reply);
        expect_response(&bench, id, CLIENT__CODE__NO_NODE);
    }
    bench_release(&bench);
}

static void test_large_answers_that_nobody_reads_hold_further_requests_back(void)
{
    enum { GETS = 60 };
    struct bench bench;
    struct state_lab lab;
    struct buffer stream = BUFFER_INIT;
    struct reply reply = {.code = CLIENT__CODE__OK};
    char *value = xcalloc(1, STATE_VALUE_BYTES_MAX + 1);
    size_t most = 0;

    bench_init(&bench);
    fake.full_at = 20;
    state_lab_init(&lab, 1 << 20);
    memset(value, 'x', STATE_VALUE_BYTES_MAX);
    EXPECT_EQ(state_lab_create(&lab, "/app", value, RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    free(value);
    reply.node = node_at(&lab, "/app");
    for (unsigned i = 0; i < GETS; i++) {
        put_get(&bench, &stream);
    }
    CHECK(write(bench.far, stream.data, stream.size) == (ssize_t)stream.size);
    buffer_release(&stream);
    /* The client reads nothing. */
    for (unsigned i = 0; i < 50; i++) {
        lab_turn(&bench.lab);
        while (fake.answered < fake.submitted && !output_is_full(fake.client)) {
            answer(&reply);
        }
        connection_loop_end(&bench.lab.loop);
        native_front_end(bench.front);
        most = bench.lab.loop.output.bytes > most ? bench.lab.loop.output.bytes : most;
    }
    EXPECT(fake.submitted < GETS);
    EXPECT(most < connection_limits_default().output_bytes_max);
    EXPECT_EQ(fake.closed, 0);
    /* When it reads at last, it gets every answer. */
    while (bench.read < (size_t)GETS * STATE_VALUE_BYTES_MAX) {
        size_t before = bench.came.size;

        bench_turn(&bench);
        bench.read += bench.came.size - before;
        buffer_clear(&bench.came);
        while (fake.answered < fake.submitted && !output_is_full(fake.client)) {
            answer(&reply);
        }
        if (fake.closed != 0) {
            break;
        }
    }
    EXPECT_EQ(fake.closed, 0);
    EXPECT_EQ(fake.answered, GETS);
    state_node_unref(reply.node);
    state_lab_release(&lab);
    bench_release(&bench);
}

static void test_an_unreadable_request_closes_the_connection(void)
{
    struct bench bench;
    struct buffer stream = BUFFER_INIT;

    bench_init(&bench);
    put_get(&bench, &stream);
    buffer_put(&stream, bytes_of("\0\0\0\1\xff", 5));
    put_get(&bench, &stream);
    send_all(&bench, &stream);
    BENCH_UNTIL(&bench, fake.closed == 1);
    EXPECT_EQ(fake.submitted, 1);
    bench_release(&bench);
}

static void turn_for(struct bench *bench, unsigned ms)
{
    uint64_t begun_us = clock_monotonic_us();

    while (clock_monotonic_us() - begun_us < (uint64_t)ms * 1000) {
        bench_turn(bench);
    }
}

static void test_a_silent_connection_is_kept_for_its_session(void)
{
    enum { IDLE_MS = 30 };
    struct bench bench;
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__OpenSession open = CLIENT__OPEN_SESSION__INIT;
    const uint8_t password[STATE_PASSWORD_BYTES] = {0};
    const struct reply reply = {.code = CLIENT__CODE__OK,
                                .session = {.session = 5, .password = password}};

    bench_init(&bench);
    bench.lab.loop.limits.idle_ms = IDLE_MS;
    request.body_case = CLIENT__REQUEST__BODY_OPEN_SESSION;
    request.open_session = &open;
    (void)submit(&bench, &request);
    answer(&reply);
    turn_for(&bench, 3 * IDLE_MS);
    EXPECT_EQ(fake.closed, 0);
    fake.client->callbacks.on_notice(fake.client->context, CLIENT__NOTICE_KIND__SESSION_ENDED,
                                     CLIENT__CODE__SESSION_EXPIRED);
    BENCH_UNTIL(&bench, fake.closed == 1);
    bench_release(&bench);
}

static void test_answers_after_the_connection_broke_are_harmless(void)
{
    struct bench bench;
    struct buffer stream = BUFFER_INIT;
    struct reply reply = {.code = CLIENT__CODE__NO_NODE};

    bench_init(&bench);
    put_get(&bench, &stream);
    put_get(&bench, &stream);
    send_all(&bench, &stream);
    BENCH_UNTIL(&bench, fake.submitted == 2);
    connection_close(bench.connection, "it broke");
    answer(&reply);
    fake.client->callbacks.on_notice(fake.client->context, CLIENT__NOTICE_KIND__GOING_AWAY,
                                     CLIENT__CODE__STOPPING);
    EXPECT_EQ(fake.client->callbacks.output_bytes(fake.client->context), 0);
    BENCH_UNTIL(&bench, fake.closed == 1);
    bench_release(&bench);
}

/* --- Pushed --- */

static void test_events_are_pushed_with_what_the_watch_wants(void)
{
    struct bench bench;
    struct state_lab lab;
    struct watch_event events[2];
    Client__Response *response;

    bench_init(&bench);
    state_lab_init(&lab, 1 << 20);
    EXPECT_EQ(state_lab_create(&lab, "/app", "value", RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    events[0] = (struct watch_event){.zxid = 5,
                                     .kind = STATE_CREATED,
                                     .path = bytes_of_text("/app"),
                                     .node = node_at(&lab, "/app")};
    events[1] = events[0];
    events[1].zxid = 6;
    events[1].kind = STATE_REMOVED;
    fake.client->callbacks.on_events(fake.client->context, 3, true, events, 2, 9, false);
    response = receive(&bench);
    EXPECT_EQ(response->id, 0);
    EXPECT_EQ(response->body_case, CLIENT__RESPONSE__BODY_EVENTS);
    EXPECT_EQ(response->events->watch, 3);
    EXPECT_EQ(response->events->up_to_zxid, 9);
    EXPECT(!response->events->lost);
    EXPECT_EQ(response->events->n_events, 2);
    EXPECT_EQ(response->events->events[0]->kind, CLIENT__EVENT_KIND__CREATED);
    EXPECT_EQ(response->events->events[0]->value.len, 5);
    EXPECT_EQ(response->events->events[0]->stat->value_bytes, 5);
    EXPECT_EQ(response->events->events[1]->kind, CLIENT__EVENT_KIND__REMOVED);
    EXPECT_EQ(response->events->events[1]->value.len, 0);
    EXPECT_EQ(response->events->events[1]->zxid, 6);
    client__response__free_unpacked(response, NULL);

    fake.client->callbacks.on_events(fake.client->context, 3, false, events, 1, 9, false);
    response = receive(&bench);
    EXPECT_EQ(response->events->events[0]->value.len, 0);
    client__response__free_unpacked(response, NULL);

    fake.client->callbacks.on_events(fake.client->context, 3, false, NULL, 0, 12, true);
    response = receive(&bench);
    EXPECT_EQ(response->events->n_events, 0);
    EXPECT_EQ(response->events->up_to_zxid, 12);
    EXPECT(response->events->lost);
    client__response__free_unpacked(response, NULL);
    state_node_unref(events[0].node);
    state_lab_release(&lab);
    bench_release(&bench);
}

static void test_many_large_events_come_in_frames_that_promise_no_more_than_they_hold(void)
{
    struct bench bench;
    struct state_lab lab;
    struct watch_event events[20];
    size_t seen = 0;
    char *value = xcalloc(1, STATE_VALUE_BYTES_MAX + 1);
    bool done = false;

    bench_init(&bench);
    state_lab_init(&lab, 1 << 20);
    memset(value, 'x', STATE_VALUE_BYTES_MAX);
    EXPECT_EQ(state_lab_create(&lab, "/app", value, RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    free(value);
    for (size_t i = 0; i < 20; i++) {
        /* Two changes for each zxid. */
        events[i] = (struct watch_event){.zxid = 100 + i / 2,
                                         .kind = STATE_VALUE_SET,
                                         .path = bytes_of_text("/app"),
                                         .node = node_at(&lab, "/app")};
    }
    fake.client->callbacks.on_events(fake.client->context, 3, true, events, 20, 500, true);
    while (!done) {
        Client__Response *response = receive(&bench);

        EXPECT(response->events->n_events > 0);
        for (size_t i = 0; i < response->events->n_events; i++) {
            EXPECT_EQ(response->events->events[i]->zxid, events[seen++].zxid);
        }
        done = seen == 20;
        EXPECT_EQ(response->events->up_to_zxid, done ? 500 : events[seen].zxid - 1);
        EXPECT_EQ(response->events->lost, done);
        client__response__free_unpacked(response, NULL);
    }
    for (size_t i = 0; i < 20; i++) {
        state_node_unref(events[i].node);
    }
    state_lab_release(&lab);
    bench_release(&bench);
}

static void test_a_stop_sends_what_waits_and_the_end(void)
{
    struct bench bench;

    bench_init(&bench);
    fake.client->callbacks.on_notice(fake.client->context, CLIENT__NOTICE_KIND__GOING_AWAY,
                                     CLIENT__CODE__STOPPING);
    native_front_finish(bench.front, "the server stops");
    {
        Client__Response *response = receive(&bench);

        EXPECT_EQ(response->id, 0);
        EXPECT_EQ(response->notice->kind, CLIENT__NOTICE_KIND__GOING_AWAY);
        EXPECT_EQ(response->notice->code, CLIENT__CODE__STOPPING);
        client__response__free_unpacked(response, NULL);
    }
    BENCH_UNTIL(&bench, !lab_read(bench.far, &bench.came));
    bench_release(&bench);
}

static void test_every_code_has_words(void)
{
    for (int code = CLIENT__CODE__NO_NODE; code <= CLIENT__CODE__AUTH_FAILED; code++) {
        if (code <= CLIENT__CODE__UNREADABLE || code >= CLIENT__CODE__NO_LEADER) {
            EXPECT(strlen(native_code_text((Client__Code)code)) > 0);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_refused_request_is_answered_in_its_place),
        TEST_CASE(test_an_identity_counts_for_the_requests_behind_it),
        TEST_CASE(test_members_are_changed_from_the_own_machine_or_by_the_superuser),
        TEST_CASE(test_a_full_client_is_not_read_from),
        TEST_CASE(test_large_answers_that_nobody_reads_hold_further_requests_back),
        TEST_CASE(test_an_unreadable_request_closes_the_connection),
        TEST_CASE(test_a_silent_connection_is_kept_for_its_session),
        TEST_CASE(test_answers_after_the_connection_broke_are_harmless),
        TEST_CASE(test_events_are_pushed_with_what_the_watch_wants),
        TEST_CASE(test_many_large_events_come_in_frames_that_promise_no_more_than_they_hold),
        TEST_CASE(test_a_stop_sends_what_waits_and_the_end),
        TEST_CASE(test_every_code_has_words),
        TEST_END};

    return test_main("native_front", cases, argc, argv);
}
