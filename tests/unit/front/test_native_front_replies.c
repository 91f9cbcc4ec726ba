/* What the client is answered. */
#include "server/front/native_front.h"

#include "base/alloc.h"
#include "tests/support/state_lab.h"
#include "tests/unit/front/native_front_lab.h"

#include <stdlib.h>

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

/* It leaves from the state's own memory. */
static void test_a_large_value_arrives_whole_though_the_node_is_gone(void)
{
    enum { LARGE_BYTES = 900 * 1000 };

    struct bench bench;
    struct state_lab lab;
    char *value = xcalloc(1, LARGE_BYTES + 1);
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Get get = CLIENT__GET__INIT;
    struct reply reply = {.code = CLIENT__CODE__OK, .zxid = 55};
    Client__Response *response;
    uint8_t path[] = "/app";

    memset(value, 'v', LARGE_BYTES);
    bench_init(&bench);
    state_lab_init(&lab, 1 << 20);
    EXPECT_EQ(state_lab_create(&lab, "/app", value, RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    get.path = (ProtobufCBinaryData){.data = path, .len = 4};
    get.with_acl = true;
    request.body_case = CLIENT__REQUEST__BODY_GET;
    request.get = &get;
    reply.node = node_at(&lab, "/app");
    for (size_t i = 0; i < 3; i++) {
        (void)submit(&bench, &request);
    }
    for (size_t i = 0; i < 3; i++) {
        answer(&reply);
    }
    state_node_unref(reply.node);
    EXPECT_EQ(state_lab_remove(&lab, "/app", -1), OP_OK);
    for (size_t i = 0; i < 3; i++) {
        response = receive(&bench);
        EXPECT_EQ(response->id, i + 1);
        EXPECT_EQ(response->zxid, 55);
        EXPECT_EQ(response->get->stat->value_bytes, LARGE_BYTES);
        EXPECT_EQ(response->get->n_acl, 1);
        EXPECT_BYTES(bytes_of(response->get->value.data, response->get->value.len),
                     bytes_of_text(value));
        client__response__free_unpacked(response, NULL);
    }
    /* Whoever hangs up gives back what was lent. */
    EXPECT_EQ(state_lab_create(&lab, "/app", value, RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    reply.node = node_at(&lab, "/app");
    (void)submit(&bench, &request);
    answer(&reply);
    state_node_unref(reply.node);
    bench_release(&bench);
    state_lab_release(&lab);
    free(value);
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

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_get_is_answered_with_value_and_stat),
        TEST_CASE(test_a_large_value_arrives_whole_though_the_node_is_gone),
        TEST_CASE(test_pages_of_children_and_trees_are_answered),
        TEST_CASE(test_the_outcome_of_a_write_is_answered),
        TEST_CASE(test_sessions_watches_and_status_are_answered),
        TEST_CASE(test_a_relayed_answer_gets_the_id_of_our_client),
        TEST_CASE(test_an_answer_above_the_frame_limit_becomes_a_refusal),
        TEST_END};

    return test_main("native_front_replies", cases, argc, argv);
}
