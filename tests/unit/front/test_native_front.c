/* The front between a socket and a node that the test plays: what the client sent is submitted,
 * what the node answers arrives. */
#include "server/front/native_front.h"

#include "base/alloc.h"
#include "server/front/native_encode.h"
#include "tests/support/state_lab.h"
#include "tests/unit/net/net_lab.h"

#include <stdlib.h>

/* --- The node --- */

enum { REQUESTS_MAX = 4096, OUTPUT_BYTES_MAX = 4 * 1024 * 1024 };

struct client {
    struct client_callbacks callbacks;
    void *context;
};

static struct {
    struct client *client; /* the last one opened, NULL when closed */
    unsigned opened;
    unsigned closed;
    struct request *requests[REQUESTS_MAX];
    size_t submitted;
    size_t answered;
    size_t full_at; /* unanswered requests */
    size_t identities;
} fake;

struct client *
client_open(struct node *node, const struct client_callbacks *callbacks, void *context)
{
    (void)node;
    fake.client = xcalloc(1, sizeof *fake.client);
    fake.client->callbacks = *callbacks;
    fake.client->context = context;
    fake.opened++;
    return fake.client;
}

void client_close(struct client *client)
{
    EXPECT(client == fake.client);
    for (; fake.answered < fake.submitted; fake.answered++) {
        request_free(fake.requests[fake.answered]);
    }
    free(client);
    fake.client = NULL;
    fake.closed++;
}

void client_identify(struct client *client, struct state_identities identities)
{
    EXPECT(client == fake.client);
    fake.identities = identities.count;
    EXPECT_BYTES(identities.items[0].scheme, bytes_of_text("ip"));
}

bool client_may(const struct client *client, const struct state_node *node, unsigned permissions)
{
    (void)client;
    return state_node_permits(node, permissions, (struct state_identities){.count = 0});
}

void client_submit(struct client *client, struct request *request)
{
    EXPECT(client == fake.client);
    EXPECT(fake.submitted - fake.answered < fake.full_at);
    fake.requests[fake.submitted++] = request;
}

static bool output_is_full(const struct client *client)
{
    return client->callbacks.output_bytes(client->context) > OUTPUT_BYTES_MAX;
}

bool client_is_full(const struct client *client)
{
    return fake.submitted - fake.answered >= fake.full_at || output_is_full(client);
}

/* --- The bench --- */

struct bench {
    struct lab lab;
    struct native_front *front;
    struct connection *connection;
    int far;
    struct buffer came;
    size_t read; /* bytes of `came` that were looked at */
    uint64_t last_id;
};

static void bench_init(struct bench *bench)
{
    const struct socket_address remote = lab_loopback(1);
    static const struct connection_handler nobody = {.on_frame = NULL};
    int ends[2];

    memset(bench, 0, sizeof *bench);
    memset(&fake, 0, sizeof fake);
    fake.full_at = 1000;
    lab_init(&bench->lab, NULL);
    bench->front = native_front_new(NULL, NULL);
    lab_socket_pair(ends);
    bench->far = ends[0];
    bench->connection =
        connection_new(&bench->lab.loop, ends[1], &remote, CONNECTION_PREFACE, &nobody, NULL);
    native_front_take(bench->front, bench->connection);
    EXPECT_EQ(fake.opened, 1);
    EXPECT_EQ(fake.identities, 1); /* the address */
}

static void bench_turn(struct bench *bench)
{
    lab_turn(&bench->lab);
    native_front_end(bench->front);
    (void)lab_read(bench->far, &bench->came);
}

#define BENCH_UNTIL(bench, condition)                                                              \
    do {                                                                                           \
        uint64_t bench_deadline_us = clock_monotonic_us() + (uint64_t)LAB_PATIENCE_MS * 1000;      \
        while (!(condition) && clock_monotonic_us() < bench_deadline_us) {                         \
            bench_turn(bench);                                                                     \
        }                                                                                          \
        EXPECT(condition);                                                                         \
    } while (0)

static void bench_release(struct bench *bench)
{
    (void)close(bench->far);
    BENCH_UNTIL(bench, fake.closed == 1);
    EXPECT_EQ(native_front_client_count(bench->front), 0);
    native_front_free(bench->front);
    lab_release(&bench->lab);
    buffer_release(&bench->came);
}

/* --- The client --- */

static void put_request(struct bench *bench, struct buffer *stream, Client__Request *request)
{
    size_t size;

    request->id = ++bench->last_id;
    size = client__request__get_packed_size(request);
    frame_client_put_head(buffer_extend(stream, FRAME_CLIENT_HEAD_BYTES), (uint32_t)size);
    (void)client__request__pack(request, buffer_extend(stream, size));
}

static void put_get(struct bench *bench, struct buffer *stream)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Get get = CLIENT__GET__INIT;
    uint8_t path[] = "/app";

    get.path = (ProtobufCBinaryData){.data = path, .len = 4};
    request.body_case = CLIENT__REQUEST__BODY_GET;
    request.get = &get;
    put_request(bench, stream, &request);
}

static void put_unknown(struct bench *bench, struct buffer *stream)
{
    Client__Request request = CLIENT__REQUEST__INIT;

    put_request(bench, stream, &request);
}

static void send_all(struct bench *bench, struct buffer *stream)
{
    size_t sent = 0;

    while (sent < stream->size) {
        ssize_t count = write(bench->far, stream->data + sent, stream->size - sent);

        CHECK(count > 0 || errno == EAGAIN);
        sent += count > 0 ? (size_t)count : 0;
        bench_turn(bench);
    }
    buffer_release(stream);
}

/* Submit one request of the kind and let the node have it. */
static struct request *submit(struct bench *bench, Client__Request *request)
{
    struct buffer stream = BUFFER_INIT;
    size_t before = fake.submitted;

    put_request(bench, &stream, request);
    send_all(bench, &stream);
    BENCH_UNTIL(bench, fake.submitted == before + 1);
    return fake.requests[before];
}

/* The node answers its oldest request. */
static void answer(const struct reply *reply)
{
    struct request *request = fake.requests[fake.answered];

    CHECK(fake.answered < fake.submitted);
    fake.client->callbacks.on_reply(fake.client->context, request, reply);
    fake.answered++;
    request_free(request);
}

/* The next response that arrives. */
static Client__Response *receive(struct bench *bench)
{
    uint32_t size = 0;
    Client__Response *response;

    BENCH_UNTIL(bench, bench->came.size - bench->read >= FRAME_CLIENT_HEAD_BYTES);
    EXPECT_OK(frame_client_head(bench->came.data + bench->read, &size));
    BENCH_UNTIL(bench, bench->came.size - bench->read >= FRAME_CLIENT_HEAD_BYTES + size);
    response = client__response__unpack(NULL, size,
                                        bench->came.data + bench->read + FRAME_CLIENT_HEAD_BYTES);
    EXPECT(response != NULL);
    bench->read += FRAME_CLIENT_HEAD_BYTES + size;
    return response;
}

static void expect_response(struct bench *bench, uint64_t id, Client__Code code)
{
    Client__Response *response = receive(bench);

    EXPECT_EQ(response->id, id);
    EXPECT_EQ(response->code, code);
    client__response__free_unpacked(response, NULL);
}

/* --- Replies --- */

static struct state_node *node_at(struct state_lab *lab, const char *path)
{
    struct state_node *found = NULL;
    enum op_error error;

    EXPECT_OK(state_read(lab->state, bytes_of_text(path), &error, &found));
    EXPECT_EQ(error, OP_OK);
    return found;
}

static void test_a_get_is_answered_with_value_and_stat(void)
{
    struct bench bench;
    struct state_lab lab;
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Get get = CLIENT__GET__INIT;
    struct reply reply = {.code = CLIENT__CODE__OK, .zxid = 55};
    Client__Response *response;
    uint8_t path[] = "/app";

    bench_init(&bench);
    state_lab_init(&lab, 1 << 20);
    EXPECT_EQ(state_lab_create(&lab, "/app", "value", RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    get.path = (ProtobufCBinaryData){.data = path, .len = 4};
    get.with_acl = true;
    request.body_case = CLIENT__REQUEST__BODY_GET;
    request.get = &get;
    (void)submit(&bench, &request);
    reply.node = node_at(&lab, "/app");
    answer(&reply);
    response = receive(&bench);
    EXPECT_EQ(response->id, 1);
    EXPECT_EQ(response->zxid, 55);
    EXPECT_EQ(response->body_case, CLIENT__RESPONSE__BODY_GET);
    EXPECT_BYTES(bytes_of(response->get->value.data, response->get->value.len),
                 bytes_of_text("value"));
    EXPECT_EQ(response->get->stat->value_bytes, 5);
    EXPECT_EQ(response->get->stat->czxid, state_node_stat(reply.node).czxid);
    EXPECT_EQ(response->get->stat->mtime_ms, state_node_stat(reply.node).mtime_ms);
    EXPECT_EQ(response->get->n_acl, state_node_acl_count(reply.node));
    client__response__free_unpacked(response, NULL);

    get.with_acl = false;
    get.stat_only = true;
    (void)submit(&bench, &request);
    answer(&reply);
    response = receive(&bench);
    EXPECT_EQ(response->get->value.len, 0);
    EXPECT_EQ(response->get->n_acl, 0);
    EXPECT_EQ(response->get->stat->value_bytes, 5);
    client__response__free_unpacked(response, NULL);

    (void)submit(&bench, &request);
    state_node_unref(reply.node);
    reply = (struct reply){.code = CLIENT__CODE__NO_NODE, .zxid = 56};
    answer(&reply);
    response = receive(&bench);
    EXPECT_EQ(response->code, CLIENT__CODE__NO_NODE);
    EXPECT_TEXT(response->message, "no such node");
    EXPECT_EQ(response->body_case, CLIENT__RESPONSE__BODY__NOT_SET);
    client__response__free_unpacked(response, NULL);
    state_lab_release(&lab);
    bench_release(&bench);
}

static void test_pages_of_children_and_trees_are_answered(void)
{
    struct bench bench;
    struct state_lab lab;
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__List list = CLIENT__LIST__INIT;
    Client__ReadTree tree = CLIENT__READ_TREE__INIT;
    struct state_child children[2];
    struct reply_tree_node nodes[2];
    struct reply reply = {.code = CLIENT__CODE__OK};
    Client__Response *response;

    bench_init(&bench);
    state_lab_init(&lab, 1 << 20);
    EXPECT_EQ(state_lab_create(&lab, "/a", "one", RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/b", NULL, RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    children[0] = (struct state_child){.name = bytes_of_text("a"), .node = node_at(&lab, "/a")};
    children[1] = (struct state_child){.name = bytes_of_text("b"), .node = node_at(&lab, "/b")};
    list.with_stats = true;
    list.with_values = true;
    request.body_case = CLIENT__REQUEST__BODY_LIST;
    request.list = &list;
    (void)submit(&bench, &request);
    reply.children = (struct state_children){
        .items = children, .count = 2, .more = true, .parent = {.child_count = 9}};
    answer(&reply);
    response = receive(&bench);
    EXPECT_EQ(response->body_case, CLIENT__RESPONSE__BODY_LIST);
    EXPECT_EQ(response->list->n_children, 2);
    EXPECT(response->list->more);
    EXPECT_EQ(response->list->parent->child_count, 9);
    EXPECT_EQ(response->list->children[0]->value.len, 3);
    EXPECT_EQ(response->list->children[0]->stat->value_bytes, 3);
    EXPECT_EQ(response->list->children[1]->name.data[0], 'b');
    EXPECT(response->list->children[1]->value_is_null);
    client__response__free_unpacked(response, NULL);

    list.with_stats = false;
    list.with_values = false;
    (void)submit(&bench, &request);
    answer(&reply);
    response = receive(&bench);
    EXPECT(response->list->children[0]->stat == NULL);
    EXPECT_EQ(response->list->children[0]->value.len, 0);
    client__response__free_unpacked(response, NULL);

    nodes[0] = (struct reply_tree_node){.path = bytes_of_text("/a"), .node = children[0].node};
    nodes[1] = (struct reply_tree_node){.path = bytes_of_text("/b"), .node = children[1].node};
    tree.with_values = true;
    request.body_case = CLIENT__REQUEST__BODY_READ_TREE;
    request.read_tree = &tree;
    (void)submit(&bench, &request);
    reply.tree.nodes = nodes;
    reply.tree.count = 2;
    reply.tree.more = false;
    answer(&reply);
    response = receive(&bench);
    EXPECT_EQ(response->body_case, CLIENT__RESPONSE__BODY_READ_TREE);
    EXPECT_EQ(response->read_tree->n_nodes, 2);
    EXPECT_EQ(response->read_tree->nodes[1]->path.len, 2);
    EXPECT_EQ(response->read_tree->nodes[0]->value.len, 3);
    EXPECT(!response->read_tree->more);
    client__response__free_unpacked(response, NULL);
    state_node_unref(children[0].node);
    state_node_unref(children[1].node);
    state_lab_release(&lab);
    bench_release(&bench);
}

static struct reply write_reply(Client__Code code, const struct state_result *result)
{
    return (struct reply){.code = code, .zxid = 9, .result = result};
}

static void put_write(Client__Request *request, Client__Write *write, Record__Operation **list)
{
    static Record__Operation operation;
    static Record__Set set;

    record__operation__init(&operation);
    record__set__init(&set);
    operation.kind_case = RECORD__OPERATION__KIND_SET;
    operation.set = &set;
    list[0] = &operation;
    client__write__init(write);
    write->operations = list;
    write->n_operations = 1;
    client__request__init(request);
    request->body_case = CLIENT__REQUEST__BODY_WRITE;
    request->write = write;
}

static void test_the_outcome_of_a_write_is_answered(void)
{
    struct bench bench;
    Client__Request request;
    Client__Write write;
    Record__Operation *list[1];
    struct state_op_result operations[2] = {{.error = OP_OK,
                                             .path = {.data = (const uint8_t *)"/a1", .size = 3},
                                             .has_stat = true,
                                             .stat = {.version = -7},
                                             .created = true},
                                            {.error = OP_BAD_VERSION}};
    struct state_result result = {
        .error = OP_BAD_VERSION, .zxid = 8, .operations = operations, .operation_count = 2};
    struct reply reply = write_reply(CLIENT__CODE__BAD_VERSION, &result);
    Client__Response *response;

    bench_init(&bench);
    put_write(&request, &write, list);
    (void)submit(&bench, &request);
    answer(&reply);
    response = receive(&bench);
    EXPECT_EQ(response->code, CLIENT__CODE__BAD_VERSION);
    EXPECT_EQ(response->body_case, CLIENT__RESPONSE__BODY_WRITE);
    EXPECT_EQ(response->write->zxid, 8);
    EXPECT_EQ(response->write->n_operations, 2);
    EXPECT_EQ(response->write->operations[0]->path.len, 3);
    EXPECT_EQ(response->write->operations[0]->stat->version, (uint64_t)-7);
    EXPECT(response->write->operations[0]->created);
    EXPECT_EQ(response->write->operations[1]->error, OP_BAD_VERSION);
    EXPECT(response->write->operations[1]->stat == NULL);
    client__response__free_unpacked(response, NULL);

    (void)submit(&bench, &request);
    reply = write_reply(CLIENT__CODE__NO_LEADER, NULL);
    answer(&reply);
    response = receive(&bench);
    EXPECT_EQ(response->code, CLIENT__CODE__NO_LEADER);
    EXPECT_EQ(response->body_case, CLIENT__RESPONSE__BODY__NOT_SET);
    EXPECT_CONTAINS(response->message, "leader");
    client__response__free_unpacked(response, NULL);

    (void)submit(&bench, &request);
    reply.message = "words of the node";
    answer(&reply);
    response = receive(&bench);
    EXPECT_TEXT(response->message, "words of the node");
    client__response__free_unpacked(response, NULL);
    bench_release(&bench);
}

static void test_sessions_watches_and_status_are_answered(void)
{
    static const uint8_t password[STATE_PASSWORD_BYTES] = {1, 2, 3};
    struct bench bench;
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__OpenSession open = CLIENT__OPEN_SESSION__INIT;
    Client__Watch watch = CLIENT__WATCH__INIT;
    Client__Status status = CLIENT__STATUS__INIT;
    Client__StatusReply status_reply = CLIENT__STATUS_REPLY__INIT;
    struct reply reply = {.code = CLIENT__CODE__OK,
                          .session = {.session = 5,
                                      .generation = 6,
                                      .timeout_ms = 7,
                                      .password = password,
                                      .last_sequence = 8}};
    Client__Response *response;

    bench_init(&bench);
    request.body_case = CLIENT__REQUEST__BODY_OPEN_SESSION;
    request.open_session = &open;
    (void)submit(&bench, &request);
    answer(&reply);
    response = receive(&bench);
    EXPECT_EQ(response->body_case, CLIENT__RESPONSE__BODY_SESSION);
    EXPECT_EQ(response->session->session, 5);
    EXPECT_EQ(response->session->generation, 6);
    EXPECT_EQ(response->session->timeout_ms, 7);
    EXPECT_EQ(response->session->last_sequence, 8);
    EXPECT_BYTES(bytes_of(response->session->password.data, response->session->password.len),
                 bytes_of(password, sizeof password));
    client__response__free_unpacked(response, NULL);

    request.body_case = CLIENT__REQUEST__BODY_WATCH;
    request.watch = &watch;
    (void)submit(&bench, &request);
    reply = (struct reply){.code = CLIENT__CODE__COMPACTED, .watch = {.from = 3, .oldest = 4}};
    answer(&reply);
    response = receive(&bench);
    EXPECT_EQ(response->code, CLIENT__CODE__COMPACTED);
    EXPECT_EQ(response->watch->from_zxid, 3);
    EXPECT_EQ(response->watch->oldest_zxid, 4);
    client__response__free_unpacked(response, NULL);

    request.body_case = CLIENT__REQUEST__BODY_STATUS;
    request.status = &status;
    (void)submit(&bench, &request);
    status_reply.server = 3;
    reply = (struct reply){.code = CLIENT__CODE__OK, .status = &status_reply};
    answer(&reply);
    response = receive(&bench);
    EXPECT_EQ(response->status->server, 3);
    client__response__free_unpacked(response, NULL);
    bench_release(&bench);
}

static void test_a_relayed_answer_gets_the_id_of_our_client(void)
{
    struct bench bench;
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__TransferLeader transfer = CLIENT__TRANSFER_LEADER__INIT;
    Client__Response relayed;
    Client__MembershipReply membership = CLIENT__MEMBERSHIP_REPLY__INIT;
    struct buffer packed = BUFFER_INIT;
    struct reply reply = {.code = CLIENT__CODE__OK};
    Client__Response *response;

    client__response__init(&relayed);
    bench_init(&bench);
    bench.last_id = 1000 * 1000;
    request.body_case = CLIENT__REQUEST__BODY_TRANSFER_LEADER;
    request.transfer_leader = &transfer;
    (void)submit(&bench, &request);
    membership.config_zxid = 17;
    relayed.id = 3;
    relayed.code = CLIENT__CODE__CONFLICT;
    relayed.body_case = CLIENT__RESPONSE__BODY_MEMBERSHIP;
    relayed.membership = &membership;
    (void)client__response__pack(
        &relayed, buffer_extend(&packed, client__response__get_packed_size(&relayed)));
    reply.relayed = buffer_lend(&packed);
    answer(&reply);
    response = receive(&bench);
    EXPECT_EQ(response->id, 1000 * 1000 + 1);
    EXPECT_EQ(response->code, CLIENT__CODE__CONFLICT);
    EXPECT_EQ(response->membership->config_zxid, 17);
    client__response__free_unpacked(response, NULL);
    buffer_release(&packed);
    bench_release(&bench);
}

static void test_an_answer_above_the_frame_limit_becomes_a_refusal(void)
{
    struct bench bench;
    struct state_lab lab;
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__ReadTree tree = CLIENT__READ_TREE__INIT;
    struct reply_tree_node nodes[9];
    struct reply reply = {.code = CLIENT__CODE__OK};
    char *value = xcalloc(1, STATE_VALUE_BYTES_MAX + 1);

    bench_init(&bench);
    state_lab_init(&lab, 1 << 20);
    memset(value, 'x', STATE_VALUE_BYTES_MAX);
    EXPECT_EQ(state_lab_create(&lab, "/a", value, RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    free(value);
    for (size_t i = 0; i < 9; i++) {
        nodes[i].path = bytes_of_text("/a");
        nodes[i].node = node_at(&lab, "/a");
    }
    tree.with_values = true;
    request.body_case = CLIENT__REQUEST__BODY_READ_TREE;
    request.read_tree = &tree;
    reply.tree.nodes = nodes;
    (void)submit(&bench, &request);
    reply.tree.count = 9;
    answer(&reply);
    expect_response(&bench, 1, CLIENT__CODE__LIMIT);
    (void)submit(&bench, &request);
    reply.tree.count = 7;
    answer(&reply);
    expect_response(&bench, 2, CLIENT__CODE__OK);
    for (size_t i = 0; i < 9; i++) {
        state_node_unref(nodes[i].node);
    }
    state_lab_release(&lab);
    bench_release(&bench);
}

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
        TEST_CASE(test_a_get_is_answered_with_value_and_stat),
        TEST_CASE(test_pages_of_children_and_trees_are_answered),
        TEST_CASE(test_the_outcome_of_a_write_is_answered),
        TEST_CASE(test_sessions_watches_and_status_are_answered),
        TEST_CASE(test_a_relayed_answer_gets_the_id_of_our_client),
        TEST_CASE(test_an_answer_above_the_frame_limit_becomes_a_refusal),
        TEST_CASE(test_a_refused_request_is_answered_in_its_place),
        TEST_CASE(test_an_identity_counts_for_the_requests_behind_it),
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
