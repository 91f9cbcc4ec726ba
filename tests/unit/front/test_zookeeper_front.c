/* The front between a socket and a node that the test plays. */
#include "server/front/zookeeper_front.h"

#include "tests/support/zookeeper_wire.h"
#include "tests/unit/front/front_double.h"
#include "tests/unit/net/net_lab.h"

#include <stdio.h>

#define PERSISTENT RECORD__CREATE_MODE__PERSISTENT

static struct lab lab;
static struct zookeeper_front *front;
static struct zookeeper_options options;
static int far_end;
static struct buffer came;
static size_t taken; /* bytes of `came` that were looked at */
static bool is_open;
static const uint8_t password[STATE_PASSWORD_BYTES] = "0123456789abcdef";

static void turn(void)
{
    lab_turn(&lab);
    zookeeper_front_end(front);
    is_open = is_open && lab_read(far_end, &came);
}

static bool turn_until(bool (*is_so)(void))
{
    uint64_t deadline_us = clock_monotonic_us() + (uint64_t)LAB_PATIENCE_MS * 1000;

    while (!is_so() && clock_monotonic_us() < deadline_us) {
        turn();
    }
    return is_so();
}

static void connect_socket(void)
{
    const struct socket_address remote = lab_loopback(1);
    static const struct connection_handler nobody = {.on_frame = NULL};
    int ends[2];

    lab_socket_pair(ends);
    far_end = ends[0];
    is_open = true;
    buffer_clear(&came);
    taken = 0;
    zookeeper_front_take(
        front, connection_new(&lab.loop, ends[1], &remote, CONNECTION_PREFACE, &nobody, NULL));
}

static void begin(void)
{
    node_double_init();
    options = (struct zookeeper_options){.session_timeout_ms_min = 4000,
                                         .session_timeout_ms_max = 40000,
                                         .hash_seed = 1,
                                         .allows_reconfig = options.allows_reconfig,
                                         .read_only_mode = options.read_only_mode};
    lab_init(&lab, NULL);
    front = zookeeper_front_new(NULL, &options);
    connect_socket();
}

static bool is_alone(void)
{
    return node_double.clients == 0;
}

static void hang_up(void)
{
    (void)close(far_end);
    EXPECT(turn_until(is_alone));
    EXPECT_EQ(zookeeper_front_counts(front).connections, 0);
    EXPECT_EQ(zookeeper_front_counts(front).outstanding, 0);
}

static void end(void)
{
    hang_up();
    zookeeper_front_free(front);
    lab_release(&lab);
    buffer_release(&came);
    node_double_release();
    options = (struct zookeeper_options){.hash_seed = 0};
}

/* --- What the client sends and gets --- */

static void send_frames(struct buffer *frames)
{
    lab_write(&lab, far_end, buffer_lend(frames));
    buffer_release(frames);
    turn();
}

static void put_connect(struct buffer *frames, int64_t session, int64_t seen, int32_t timeout_ms)
{
    zookeeper_wire_put_connect(frames, session, bytes_of(password, sizeof password), seen,
                               timeout_ms);
}

static void send_connect(int64_t session, int64_t seen, int32_t timeout_ms)
{
    struct buffer frames = BUFFER_INIT;

    put_connect(&frames, session, seen, timeout_ms);
    send_frames(&frames);
}

static void
put_path_request(struct buffer *frames, int32_t xid, int32_t type, const char *path, bool watch)
{
    struct buffer body = BUFFER_INIT;

    jute_put_buffer(&body, bytes_of_text(path), false);
    jute_put_bool(&body, watch);
    zookeeper_wire_put_request(frames, xid, type, buffer_lend(&body));
    buffer_release(&body);
}

static void send_request(int32_t xid, int32_t type)
{
    struct buffer frames = BUFFER_INIT;

    zookeeper_wire_put_request(&frames, xid, type, BYTES_EMPTY);
    send_frames(&frames);
}

static bool has_frame(void)
{
    size_t rest = came.size - taken;

    return rest >= JUTE_FRAME_HEAD_BYTES &&
           rest >= JUTE_FRAME_HEAD_BYTES + bytes_load_u32(came.data + taken);
}

static struct reader receive(void)
{
    size_t size;
    struct reader reader = {.failed = true};

    EXPECT(turn_until(has_frame));
    if (has_frame()) {
        size = bytes_load_u32(came.data + taken);
        reader = reader_of(bytes_of(came.data + taken + JUTE_FRAME_HEAD_BYTES, size));
        taken += JUTE_FRAME_HEAD_BYTES + size;
    }
    return reader;
}

/* The rest of a reply behind its header. */
static struct reader expect_reply(int32_t xid, enum jute_error error)
{
    struct reader reader = receive();

    EXPECT_EQ((uint32_t)jute_read_int(&reader), (uint32_t)xid);
    (void)jute_read_long(&reader);
    EXPECT_EQ((uint32_t)jute_read_int(&reader), (uint32_t)error);
    return reader;
}

static void expect_event(enum jute_event type, const char *path)
{
    struct reader reader = expect_reply(JUTE_XID_NOTIFICATION, JUTE_ERROR_OK);

    EXPECT_EQ(jute_read_int(&reader), type);
    EXPECT_EQ(jute_read_int(&reader), JUTE_STATE_SYNC_CONNECTED);
    EXPECT_BYTES(jute_read_buffer(&reader, NULL), bytes_of_text(path));
}

static bool is_closed(void)
{
    return !is_open;
}

static void expect_closed(void)
{
    EXPECT(turn_until(is_closed));
    EXPECT_EQ(came.size - taken, 0);
}

/* --- What the node does --- */

static bool has_request(void)
{
    return node_double_pending() != NULL;
}

static struct request *next_request(enum request_kind kind)
{
    struct request *request;

    EXPECT(turn_until(has_request));
    request = node_double_pending();
    CHECK(request != NULL);
    EXPECT_EQ(request->kind, kind);
    return request;
}

static void answer(Client__Code code)
{
    struct reply reply = {.code = code};

    node_double_answer(&reply);
}

static void answer_connect(void)
{
    struct reply reply = {.code = CLIENT__CODE__OK,
                          .session = {.session = 77, .timeout_ms = 4000, .password = password}};

    node_double_answer(&reply);
}

static void open_session(void)
{
    struct reader reader;

    send_connect(0, 0, 1);
    (void)next_request(REQUEST_OPEN_SESSION);
    answer_connect();
    reader = receive();
    (void)jute_read_int(&reader);
    EXPECT_EQ(jute_read_int(&reader), 4000);
    EXPECT_EQ(jute_read_long(&reader), 77);
}

static void create(const char *path)
{
    EXPECT_EQ(state_lab_create(&node_double.lab, path, "", PERSISTENT), OP_OK);
    node_double_publish();
}

/* --- Tests --- */

static void test_timeouts_are_brought_into_the_limits(void)
{
    static const struct {
        int32_t asked;
        uint32_t wanted;
    } rows[] = {{-1, 4000}, {0, 4000}, {3999, 4000}, {5000, 5000}, {INT32_MAX, 40000}};

    begin();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (i > 0) {
            connect_socket();
        }
        send_connect(0, 0, rows[i].asked);
        EXPECT_EQ(next_request(REQUEST_OPEN_SESSION)->session.timeout_ms, rows[i].wanted);
        answer(CLIENT__CODE__NO_LEADER);
        expect_closed();
        hang_up();
    }
    connect_socket();
    end();
}

static void test_the_answer_has_the_last_byte_if_the_request_had(void)
{
    struct buffer frames = BUFFER_INIT;

    begin();
    send_connect(0, 0, 1);
    (void)next_request(REQUEST_OPEN_SESSION);
    answer_connect();
    EXPECT_EQ(receive().rest.size, 37);
    hang_up();
    connect_socket();
    put_connect(&frames, 0, 0, 1);
    frames.size--;
    bytes_store_u32(frames.data, (uint32_t)frames.size - JUTE_FRAME_HEAD_BYTES);
    send_frames(&frames);
    (void)next_request(REQUEST_OPEN_SESSION);
    answer_connect();
    EXPECT_EQ(receive().rest.size, 36);
    end();
}

static void test_only_a_session_that_is_gone_is_refused(void)
{
    struct request *request;
    struct reader reader;

    begin();
    send_connect(9, 0, 5000);
    request = next_request(REQUEST_ATTACH_SESSION);
    EXPECT_EQ(request->session.session, 9);
    EXPECT_BYTES(request->session.password, bytes_of(password, sizeof password));
    answer(CLIENT__CODE__SESSION_EXPIRED);
    reader = receive();
    (void)jute_read_int(&reader);
    EXPECT_EQ(jute_read_int(&reader), 0);
    EXPECT_EQ(jute_read_long(&reader), 0);
    expect_closed();
    hang_up();
    connect_socket();
    send_connect(9, 0, 5000);
    (void)next_request(REQUEST_ATTACH_SESSION);
    answer(CLIENT__CODE__UNKNOWN_OUTCOME);
    expect_closed();
    end();
}

static void test_who_has_seen_more_looks_for_another_server(void)
{
    begin();
    create("/a");
    send_connect(0, 2, 5000);
    expect_closed();
    EXPECT_EQ(node_double.submitted, 0);
    hang_up();
    connect_socket();
    send_connect(0, 1, 5000);
    (void)next_request(REQUEST_OPEN_SESSION);
    answer(CLIENT__CODE__NO_LEADER);
    expect_closed();
    end();
}

static void test_requests_wait_until_there_is_a_session(void)
{
    struct buffer frames = BUFFER_INIT;

    begin();
    put_connect(&frames, 0, 0, 1);
    zookeeper_wire_put_request(&frames, JUTE_XID_PING, JUTE_TYPE_PING, BYTES_EMPTY);
    zookeeper_wire_put_request(&frames, 1, JUTE_TYPE_WHO_AM_I, BYTES_EMPTY);
    send_frames(&frames);
    (void)next_request(REQUEST_OPEN_SESSION);
    for (size_t i = 0; i < 10; i++) {
        turn();
    }
    EXPECT_EQ(node_double.submitted, 1);
    answer_connect();
    (void)receive();
    (void)next_request(REQUEST_PING);
    answer(CLIENT__CODE__OK);
    (void)expect_reply(JUTE_XID_PING, JUTE_ERROR_OK);
    (void)next_request(REQUEST_PING);
    answer(CLIENT__CODE__OK);
    (void)expect_reply(1, JUTE_ERROR_OK);
    end();
}

static void test_a_read_leaves_its_watch_when_it_succeeded(void)
{
    struct buffer frames = BUFFER_INIT;
    struct reply reply = {.code = CLIENT__CODE__OK};
    struct reader reader;

    begin();
    create("/a");
    open_session();
    put_path_request(&frames, 1, JUTE_TYPE_GET_DATA, "/missing", true);
    put_path_request(&frames, 2, JUTE_TYPE_EXISTS, "/later", true);
    put_path_request(&frames, 3, JUTE_TYPE_GET_DATA, "/a", true);
    send_frames(&frames);
    (void)next_request(REQUEST_GET);
    answer(CLIENT__CODE__NO_NODE);
    (void)expect_reply(1, JUTE_ERROR_NO_NODE);
    (void)next_request(REQUEST_GET);
    answer(CLIENT__CODE__NO_NODE);
    (void)expect_reply(2, JUTE_ERROR_NO_NODE);
    (void)next_request(REQUEST_GET);
    EXPECT_EQ(node_read(NULL, bytes_of_text("/a"), &reply.node), CLIENT__CODE__OK);
    node_double_answer(&reply);
    state_node_unref(reply.node);
    reader = expect_reply(3, JUTE_ERROR_OK);
    EXPECT_EQ(jute_read_buffer(&reader, NULL).size, 0);
    EXPECT_EQ(zookeeper_front_counts(front).watches, 2);
    EXPECT_EQ(zookeeper_front_counts(front).watching, 1);
    create("/missing");
    create("/later");
    expect_event(JUTE_EVENT_CREATED, "/later");
    EXPECT_EQ(state_lab_remove(&node_double.lab, "/a", -1), OP_OK);
    node_double_publish();
    expect_event(JUTE_EVENT_DELETED, "/a");
    EXPECT_EQ(zookeeper_front_counts(front).watches, 0);
    end();
}

static void test_events_come_before_answers_that_are_made_later(void)
{
    struct buffer frames = BUFFER_INIT;
    struct buffer body = BUFFER_INIT;

    begin();
    open_session();
    jute_put_buffer(&body, bytes_of_text("/a"), false);
    jute_put_int(&body, 0);
    zookeeper_wire_put_request(&frames, 1, JUTE_TYPE_ADD_WATCH, buffer_lend(&body));
    zookeeper_wire_put_request(&frames, JUTE_XID_PING, JUTE_TYPE_PING, BYTES_EMPTY);
    send_frames(&frames);
    (void)next_request(REQUEST_PING);
    answer(CLIENT__CODE__OK);
    (void)expect_reply(1, JUTE_ERROR_OK);
    create("/a");
    (void)next_request(REQUEST_PING);
    answer(CLIENT__CODE__OK);
    expect_event(JUTE_EVENT_CREATED, "/a");
    (void)expect_reply(JUTE_XID_PING, JUTE_ERROR_OK);
    buffer_release(&body);
    end();
}

static void test_what_has_no_word_closes_the_connection(void)
{
    struct buffer frames = BUFFER_INIT;

    begin();
    open_session();
    put_path_request(&frames, 1, JUTE_TYPE_GET_DATA, "/a", false);
    send_frames(&frames);
    (void)next_request(REQUEST_GET);
    answer(CLIENT__CODE__NO_LEADER);
    expect_closed();
    end();
}

/* A client asks for a node with this value, and the node answers. */
static void get_large(const char *value)
{
    struct buffer frames = BUFFER_INIT;
    struct reply reply = {.code = CLIENT__CODE__OK, .zxid = 7};

    EXPECT_EQ(state_lab_create(&node_double.lab, "/large", value, PERSISTENT), OP_OK);
    put_path_request(&frames, 1, JUTE_TYPE_GET_DATA, "/large", false);
    send_frames(&frames);
    (void)next_request(REQUEST_GET);
    EXPECT_EQ(node_read(NULL, bytes_of_text("/large"), &reply.node), CLIENT__CODE__OK);
    node_double_answer(&reply);
    state_node_unref(reply.node);
}

/* It leaves from the state's own memory. */
static void test_a_large_value_arrives_whole_though_the_node_is_gone(void)
{
    enum { LARGE_BYTES = 900 * 1000 };

    char *value = xcalloc(1, LARGE_BYTES + 1);
    struct reader reader;

    memset(value, 'v', LARGE_BYTES);
    begin();
    open_session();
    get_large(value);
    EXPECT_EQ(state_lab_remove(&node_double.lab, "/large", -1), OP_OK);
    reader = expect_reply(1, JUTE_ERROR_OK);
    EXPECT_BYTES(jute_read_buffer(&reader, NULL), bytes_of_text(value));
    EXPECT_EQ(reader.rest.size, JUTE_STAT_BYTES);
    end();
    free(value);
}

static void test_a_value_beyond_a_frame_is_not_lent(void)
{
    char *value = xcalloc(1, STATE_VALUE_BYTES_MAX + 1);

    memset(value, 'v', STATE_VALUE_BYTES_MAX);
    begin();
    open_session();
    get_large(value);
    EXPECT_EQ(expect_reply(1, JUTE_ERROR_MARSHALLING).rest.size, 0);
    end();
    free(value);
}

static void test_nothing_behind_the_end_of_a_session_is_read(void)
{
    struct buffer frames = BUFFER_INIT;

    begin();
    open_session();
    zookeeper_wire_put_request(&frames, 1, JUTE_TYPE_CLOSE_SESSION, BYTES_EMPTY);
    zookeeper_wire_put_request(&frames, JUTE_XID_PING, JUTE_TYPE_PING, BYTES_EMPTY);
    send_frames(&frames);
    (void)next_request(REQUEST_CLOSE_SESSION);
    answer(CLIENT__CODE__OK);
    (void)expect_reply(1, JUTE_ERROR_OK);
    expect_closed();
    EXPECT_EQ(node_double.submitted, 2);
    end();
}

static void test_unknown_requests_are_answered_and_end_the_connection(void)
{
    begin();
    open_session();
    send_request(5, 999);
    (void)next_request(REQUEST_PING);
    answer(CLIENT__CODE__OK);
    (void)expect_reply(5, JUTE_ERROR_UNIMPLEMENTED);
    expect_closed();
    end();
}

/* It is read as a request, of an operation that there is none of; no second session comes of it. */
static void test_a_second_connect_request_ends_the_connection(void)
{
    begin();
    open_session();
    send_connect(0, 0, 4000);
    (void)next_request(REQUEST_PING);
    answer(CLIENT__CODE__OK);
    (void)expect_reply(0, JUTE_ERROR_UNIMPLEMENTED);
    expect_closed();
    end();
}

static void test_a_session_that_ended_or_moved_closes_its_connection(void)
{
    begin();
    open_session();
    node_double.client->callbacks.on_notice(node_double.client->context,
                                            CLIENT__NOTICE_KIND__LEADER_LOST, CLIENT__CODE__OK);
    turn();
    EXPECT(is_open);
    node_double.client->callbacks.on_notice(node_double.client->context,
                                            CLIENT__NOTICE_KIND__SESSION_ENDED,
                                            CLIENT__CODE__SESSION_MOVED);
    expect_closed();
    end();
}

static void put_reconfig(struct buffer *frames)
{
    struct buffer body = BUFFER_INIT;

    for (size_t i = 0; i < 3; i++) {
        jute_put_buffer(&body, BYTES_EMPTY, true);
    }
    jute_put_long(&body, -1);
    zookeeper_wire_put_request(frames, 1, JUTE_TYPE_RECONFIG, buffer_lend(&body));
    buffer_release(&body);
}

static void test_reconfig_is_refused_unless_it_is_allowed(void)
{
    struct buffer frames = BUFFER_INIT;

    begin();
    open_session();
    put_reconfig(&frames);
    send_frames(&frames);
    EXPECT(!next_request(REQUEST_PING)->linearizable);
    answer(CLIENT__CODE__OK);
    (void)expect_reply(1, JUTE_ERROR_RECONFIG_DISABLED);
    end();
    options.allows_reconfig = true;
    begin();
    open_session();
    put_reconfig(&frames);
    send_frames(&frames);
    (void)next_request(REQUEST_RECONFIGURE);
    answer(CLIENT__CODE__UNREACHABLE);
    (void)expect_reply(1, JUTE_ERROR_NEW_CONFIG_NO_QUORUM);
    end();
}

static void test_without_a_leader_clients_read_that_allow_it(void)
{
    struct buffer frames = BUFFER_INIT;
    struct reader reader;

    options.read_only_mode = true;
    begin();
    node_double.leaderless_us = 10 * 1000 * 1000;
    EXPECT(zookeeper_front_is_read_only(front));
    send_connect(0, 0, 5000); /* asks for a whole server */
    expect_closed();
    hang_up();
    connect_socket();
    put_connect(&frames, 0, 0, 5000);
    frames.data[frames.size - 1] = 1;
    send_frames(&frames);
    reader = receive();
    (void)jute_read_int(&reader);
    EXPECT_EQ(jute_read_int(&reader), 5000);
    EXPECT_EQ((uint64_t)jute_read_long(&reader) >> 56, 0x7e);
    (void)jute_read_buffer(&reader, NULL);
    EXPECT(jute_read_bool(&reader));
    EXPECT_EQ(node_double.submitted, 0); /* no session of the cluster */
    send_request(1, JUTE_TYPE_MULTI);    /* not even read */
    (void)next_request(REQUEST_PING);
    answer(CLIENT__CODE__OK);
    (void)expect_reply(1, JUTE_ERROR_NOT_READ_ONLY);
    node_double.leaderless_us = 0;
    node_double.client->callbacks.on_notice(node_double.client->context,
                                            CLIENT__NOTICE_KIND__LEADER_FOUND, CLIENT__CODE__OK);
    expect_closed();
    end();
}

static void test_a_client_that_authenticates_is_somebody_from_then_on(void)
{
    struct buffer frames = BUFFER_INIT;
    struct buffer body = BUFFER_INIT;

    begin();
    open_session();
    EXPECT_EQ(node_double.client->identities, 1);
    jute_put_int(&body, 0);
    jute_put_buffer(&body, bytes_of_text("digest"), false);
    jute_put_buffer(&body, bytes_of_text("ann:secret"), false);
    zookeeper_wire_put_request(&frames, JUTE_XID_AUTH, JUTE_TYPE_AUTH, buffer_lend(&body));
    send_frames(&frames);
    (void)next_request(REQUEST_PING);
    EXPECT_EQ(node_double.client->identities, 2);
    answer(CLIENT__CODE__OK);
    (void)expect_reply(JUTE_XID_AUTH, JUTE_ERROR_OK);
    buffer_release(&body);
    end();
}

static bool see_connection(void *visitor, const struct zookeeper_connection *shown)
{
    *(struct zookeeper_connection *)visitor = *shown;
    return true;
}

static void test_frames_and_answers_are_counted(void)
{
    struct zookeeper_connection shown;
    struct zookeeper_counts counts;

    begin();
    open_session();
    send_request(JUTE_XID_PING, JUTE_TYPE_PING);
    (void)next_request(REQUEST_PING);
    EXPECT_EQ(zookeeper_front_counts(front).outstanding, 1);
    answer(CLIENT__CODE__OK);
    (void)expect_reply(JUTE_XID_PING, JUTE_ERROR_OK);
    counts = zookeeper_front_counts(front);
    EXPECT_EQ(counts.connections, 1);
    EXPECT_EQ(counts.outstanding, 0);
    EXPECT_EQ(counts.traffic.received, 2);
    EXPECT_EQ(counts.traffic.sent, 2);
    EXPECT_EQ(counts.traffic.answered, 1);
    EXPECT(counts.traffic.latency_us_min <= counts.traffic.latency_us_max);
    zookeeper_front_each(front, see_connection, &shown);
    EXPECT_EQ(shown.session, 77);
    EXPECT_EQ(shown.timeout_ms, 4000);
    EXPECT_EQ(shown.last_type, JUTE_TYPE_PING);
    EXPECT_EQ(shown.traffic.received, 2);
    zookeeper_front_reset_counts(front);
    zookeeper_front_reset_connections(front);
    zookeeper_front_each(front, see_connection, &shown);
    EXPECT_EQ(shown.traffic.received, 0);
    EXPECT_EQ(zookeeper_front_counts(front).traffic.received, 0);
    EXPECT_EQ(zookeeper_front_counts(front).connections, 1);
    end();
}

static void set_watches(int32_t count)
{
    struct buffer frames = BUFFER_INIT;
    struct buffer body = BUFFER_INIT;

    jute_put_long(&body, INT64_MAX); /* everything was seen: all become watches */
    jute_put_int(&body, 0);
    jute_put_int(&body, count);
    for (int32_t i = 0; i < count; i++) {
        char path[16];

        (void)snprintf(path, sizeof path, "/%d", (int)i);
        jute_put_buffer(&body, bytes_of_text(path), false);
    }
    jute_put_int(&body, 0);
    zookeeper_wire_put_request(&frames, JUTE_XID_SET_WATCHES, JUTE_TYPE_SET_WATCHES,
                               buffer_lend(&body));
    send_frames(&frames);
    buffer_release(&body);
}

static size_t watches_left;

static bool has_fewer_watches(void)
{
    return zookeeper_front_counts(front).watches < watches_left;
}

/* Others are served between two pieces. */
static void test_many_watches_of_a_client_that_left_go_in_pieces(void)
{
    enum { COUNT = 3000, PIECE_MAX = 1000 };

    begin();
    open_session();
    set_watches(COUNT);
    (void)next_request(REQUEST_PING);
    answer(CLIENT__CODE__OK);
    EXPECT_EQ(zookeeper_front_counts(front).watches, COUNT);
    lab.loop.limits.share_us = 0;
    (void)shutdown(far_end, SHUT_RDWR);
    watches_left = COUNT;
    while (watches_left > 0) {
        size_t before = watches_left;

        EXPECT(turn_until(has_fewer_watches));
        watches_left = zookeeper_front_counts(front).watches;
        EXPECT(before - watches_left <= PIECE_MAX);
    }
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_timeouts_are_brought_into_the_limits),
        TEST_CASE(test_the_answer_has_the_last_byte_if_the_request_had),
        TEST_CASE(test_only_a_session_that_is_gone_is_refused),
        TEST_CASE(test_who_has_seen_more_looks_for_another_server),
        TEST_CASE(test_requests_wait_until_there_is_a_session),
        TEST_CASE(test_a_read_leaves_its_watch_when_it_succeeded),
        TEST_CASE(test_events_come_before_answers_that_are_made_later),
        TEST_CASE(test_what_has_no_word_closes_the_connection),
        TEST_CASE(test_a_large_value_arrives_whole_though_the_node_is_gone),
        TEST_CASE(test_a_value_beyond_a_frame_is_not_lent),
        TEST_CASE(test_nothing_behind_the_end_of_a_session_is_read),
        TEST_CASE(test_unknown_requests_are_answered_and_end_the_connection),
        TEST_CASE(test_a_second_connect_request_ends_the_connection),
        TEST_CASE(test_a_session_that_ended_or_moved_closes_its_connection),
        TEST_CASE(test_reconfig_is_refused_unless_it_is_allowed),
        TEST_CASE(test_without_a_leader_clients_read_that_allow_it),
        TEST_CASE(test_a_client_that_authenticates_is_somebody_from_then_on),
        TEST_CASE(test_frames_and_answers_are_counted),
        TEST_CASE(test_many_watches_of_a_client_that_left_go_in_pieces),
        TEST_END};

    return test_main("zookeeper_front", cases, argc, argv);
}
