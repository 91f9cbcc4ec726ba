/* A wish for members, judged and carried out step by step against configurations that the test
 * makes. */
#include "server/node/node_reconfigure.h"

#include "base/alloc.h"
#include "base/check.h"
#include "server/node/config_codec.h"
#include "tests/support/state_lab.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_PATH "/zookeeper/config"

enum { SERVERS_MAX = 8 };

static struct node *node;
static struct state_lab lab;
static struct request *request;
static struct reconfiguration_server servers[SERVERS_MAX];
static bool may_write;
static uint64_t now_us;

/* --- In place of the node's --- */

Client__Code node_read(struct node *of, struct bytes path, struct state_node **ret_node)
{
    enum op_error error = OP_OK;

    (void)of;
    EXPECT_OK(state_read(lab.state, path, &error, ret_node));
    return (Client__Code)error;
}

bool client_may(const struct client *client, const struct state_node *of, unsigned permissions)
{
    (void)client;
    (void)of;
    return permissions != STATE_PERMISSION_WRITE || may_write;
}

uint64_t node_now(struct node *of)
{
    (void)of;
    return now_us;
}

/* --- The cluster: "1v 2v 3l" at an index --- */

static void members_are(const char *text, raft_index index)
{
    struct raft_config config;
    struct arena arena;
    struct state_result result;
    struct buffer packed = BUFFER_INIT;
    unsigned id;
    char role;
    int size;

    memset(&config, 0, sizeof config);
    config.joint = text[0] == 'j';
    text += config.joint;
    while (sscanf(text, " %u%c%n", &id, &role, &size) == 2) {
        struct raft_member *member = &config.members[config.member_count++];

        member->id = id;
        member->flags = role == 'l'    ? RAFT_LEARNER
                        : config.joint ? RAFT_VOTER_NEW | RAFT_VOTER_OLD
                                       : RAFT_VOTER_NEW;
        (void)snprintf(member->address, sizeof member->address, "host%u:1", id);
        text += size;
    }
    config_codec_pack(&config, &packed);
    arena_init(&arena);
    EXPECT_OK(state_apply_config(lab.state, index, buffer_lend(&packed), &arena, &result));
    arena_release(&arena);
    buffer_clear(&node->applied_config);
    buffer_put(&node->applied_config, buffer_lend(&packed));
    node->applied_config_index = index;
    buffer_release(&packed);
}

static void begin(const char *members, raft_index index)
{
    now_us = 0;
    node = xcalloc(1, sizeof *node);
    node->options.id = 1;
    state_lab_init(&lab, 1 << 20);
    members_are(members, index);
    may_write = true;
    request = request_new(REQUEST_RECONFIGURE);
    request->path = bytes_of_text(CONFIG_PATH);
    request->membership.wanted.servers = servers;
}

static void end(void)
{
    request_free(request);
    state_lab_release(&lab);
    buffer_release(&node->applied_config);
    free(node);
}

static void join(raft_id id, const char *address, bool votes)
{
    struct reconfiguration *wanted = &request->membership.wanted;

    servers[wanted->server_count++] =
        (struct reconfiguration_server){.id = id, .address = address, .votes = votes};
}

/* --- Steps --- */

static size_t put_step(const Client__Request *message, char *told, size_t capacity)
{
    size_t size = 0;

    if (message->body_case == CLIENT__REQUEST__BODY_ADD_LEARNER) {
        EXPECT(!message->add_learner->promote);
        return (size_t)snprintf(
            told, capacity, "add %u=%s to %u", (unsigned)message->add_learner->node->id,
            message->add_learner->node->address, (unsigned)message->add_learner->only_config_zxid);
    }
    if (message->body_case == CLIENT__REQUEST__BODY_REMOVE_MEMBER) {
        return (size_t)snprintf(told, capacity, "remove %u from %u",
                                (unsigned)message->remove_member->id,
                                (unsigned)message->remove_member->only_config_zxid);
    }
    EXPECT_EQ(message->body_case, CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP);
    EXPECT(!message->change_membership->force);
    size += (size_t)snprintf(told, capacity, "change");
    for (size_t i = 0; i < message->change_membership->n_voters; i++) {
        size += (size_t)snprintf(told + size, capacity - size, " %u",
                                 (unsigned)message->change_membership->voters[i]);
    }
    return size + (size_t)snprintf(told + size, capacity - size, " in %u",
                                   (unsigned)message->change_membership->only_config_zxid);
}

/* What is next: a step as text, "wait", or "over CODE". */
static void expect_next(const char *expected)
{
    struct reply reply = {.code = CLIENT__CODE__OK};
    enum reconfigure_next next = node_reconfigure_next(node, request, &reply);
    char told[128] = "wait";

    if (next == RECONFIGURE_OVER) {
        (void)snprintf(told, sizeof told, "over %d", (int)reply.code);
        EXPECT((reply.node != NULL) == (reply.code == CLIENT__CODE__OK));
        state_node_unref(reply.node);
    } else if (next == RECONFIGURE_STEP) {
        Client__Request *message = client__request__unpack(NULL, request->membership.encoded.size,
                                                           request->membership.encoded.data);

        CHECK(message != NULL);
        (void)put_step(message, told, sizeof told);
        client__request__free_unpacked(message, NULL);
    }
    EXPECT_TEXT(told, expected);
}

static void expect_over(Client__Code code)
{
    char expected[32];

    (void)snprintf(expected, sizeof expected, "over %d", (int)code);
    expect_next(expected);
}

/* The step ended so, and `config` must be here before the next. */
static void stepped(Client__Code code, raft_index config)
{
    Client__Response response = CLIENT__RESPONSE__INIT;
    Client__MembershipReply membership = CLIENT__MEMBERSHIP_REPLY__INIT;
    struct buffer packed = BUFFER_INIT;

    response.code = code;
    if (code == CLIENT__CODE__OK) {
        membership.config_zxid = config != 0 ? config : 99;
        response.body_case = CLIENT__RESPONSE__BODY_MEMBERSHIP;
        response.membership = &membership;
    }
    (void)client__response__pack(
        &response, buffer_extend(&packed, client__response__get_packed_size(&response)));
    EXPECT_EQ(node_reconfigure_stepped(request, buffer_lend(&packed)), config);
    buffer_release(&packed);
}

static void test_each_change_is_made_to_the_configuration_it_was_computed_from(void)
{
    begin("1v 2v", 5);
    join(3, "host3:1", true);
    join(4, "host4:1", false);
    EXPECT(!node_reconfigure_is_begun(request));
    expect_next("add 3=host3:1 to 5");
    EXPECT(node_reconfigure_is_begun(request));
    members_are("1v 2v 3l", 6);
    stepped(CLIENT__CODE__OK, 6);
    expect_next("add 4=host4:1 to 6");
    members_are("1v 2v 3l 4l", 8);
    stepped(CLIENT__CODE__OK, 8);
    expect_next("change 1 2 3 in 8");
    members_are("1v 2v 3v 4l", 11);
    stepped(CLIENT__CODE__OK, 11);
    expect_over(CLIENT__CODE__OK);
    end();
}

static void test_what_others_change_meanwhile_is_kept(void)
{
    begin("1v 2v", 5);
    join(3, "host3:1", true);
    expect_next("add 3=host3:1 to 5");
    members_are("1v 2v 7l", 6);
    stepped(CLIENT__CODE__BAD_VERSION, 0);
    expect_next("add 3=host3:1 to 6");
    members_are("1v 2v 3l 7l", 7);
    stepped(CLIENT__CODE__OK, 7);
    members_are("j 1v 2v 3l 7l", 8);
    expect_next("wait");
    members_are("1v 2v 3l 7v", 9);
    expect_next("change 1 2 3 7 in 9");
    members_are("1v 2v 3v 7v", 12);
    stepped(CLIENT__CODE__OK, 12);
    expect_over(CLIENT__CODE__OK);
    end();
}

static void test_nothing_to_change_is_done_at_once(void)
{
    begin("1v 2v", 5);
    join(2, "host2:1", true);
    expect_over(CLIENT__CODE__OK);
    end();
}

static void test_the_reasons_to_refuse_have_an_order(void)
{
    begin("1v", 5); /* which is not shown, as there is nobody else */
    request->membership.wanted.has_version = true;
    request->membership.wanted.version = 4;
    request->membership.wanted.is_illegal = true;
    may_write = false;
    expect_over(CLIENT__CODE__UNSUPPORTED);
    members_are("1v 2v", 6);
    members_are("j 1v 2v", 7);
    expect_over(CLIENT__CODE__CONFLICT);
    members_are("1v 2v", 8);
    expect_over(CLIENT__CODE__BAD_VERSION);
    request->membership.wanted.version = 8;
    expect_over(CLIENT__CODE__BAD_ARGUMENTS);
    request->membership.wanted.is_illegal = false;
    join(3, "host2:1", true); /* the address of another */
    expect_over(CLIENT__CODE__BAD_ARGUMENTS);
    request->membership.wanted.server_count = 0;
    expect_over(CLIENT__CODE__NO_AUTH);
    may_write = true;
    expect_over(CLIENT__CODE__OK);
    end();
}

static void test_who_came_for_nothing_leaves_again(void)
{
    begin("1v 2v 6l", 5);
    join(3, "host3:1", true);
    join(4, "host4:1", true);
    join(6, "host6:1", true); /* was there before */
    expect_next("add 3=host3:1 to 5");
    members_are("1v 2v 3l 6l", 6);
    stepped(CLIENT__CODE__OK, 6);
    expect_next("add 4=host4:1 to 6");
    members_are("1v 2v 3l 4l 6l", 7);
    stepped(CLIENT__CODE__OK, 7);
    expect_next("change 1 2 3 4 6 in 7");
    stepped(CLIENT__CODE__CONFLICT, 0); /* they have not caught up */
    expect_next("remove 4 from 0");
    stepped(CLIENT__CODE__BUSY, 0); /* whatever comes of it */
    expect_next("remove 3 from 0");
    stepped(CLIENT__CODE__OK, 0);
    expect_over(CLIENT__CODE__UNREACHABLE);
    end();
}

static void test_an_unknown_outcome_undoes_nothing(void)
{
    begin("1v 2v", 5);
    join(3, "host3:1", true);
    expect_next("add 3=host3:1 to 5");
    members_are("1v 2v 3l", 6);
    stepped(CLIENT__CODE__OK, 6);
    expect_next("change 1 2 3 in 6");
    stepped(CLIENT__CODE__UNKNOWN_OUTCOME, 0);
    expect_over(CLIENT__CODE__UNKNOWN_OUTCOME);
    end();
}

static void test_a_server_that_does_not_answer_ends_it(void)
{
    begin("1v 2v", 5);
    join(3, "host3:1", true);
    expect_next("add 3=host3:1 to 5");
    stepped(CLIENT__CODE__UNREACHABLE, 0);
    expect_over(CLIENT__CODE__UNREACHABLE);
    end();
}

/* Voters that leave need nobody to catch up: it is somebody else's change that stands against it.
 */
static void test_a_conflict_without_new_voters_is_one(void)
{
    const raft_id leaving[] = {2};

    begin("1v 2v 3v", 5);
    request->membership.wanted.leaving = leaving;
    request->membership.wanted.leaving_count = 1;
    expect_next("change 1 3 in 5");
    stepped(CLIENT__CODE__CONFLICT, 0);
    expect_over(CLIENT__CODE__CONFLICT);
    end();
}

static void test_it_does_not_go_on_for_ever(void)
{
    size_t steps = 0;

    begin("1v 2v", 5);
    join(3, "host3:1", false);
    for (raft_index index = 6; index < 1000; index++) {
        struct reply reply = {.code = CLIENT__CODE__OK};

        if (node_reconfigure_next(node, request, &reply) == RECONFIGURE_OVER) {
            EXPECT_EQ(reply.code, CLIENT__CODE__CONFLICT);
            break;
        }
        steps++;
        stepped(CLIENT__CODE__BAD_VERSION, 0);
        members_are("1v 2v", index);
    }
    EXPECT_EQ(steps, 4 * RAFT_MEMBERS_MAX);
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_each_change_is_made_to_the_configuration_it_was_computed_from),
        TEST_CASE(test_what_others_change_meanwhile_is_kept),
        TEST_CASE(test_nothing_to_change_is_done_at_once),
        TEST_CASE(test_the_reasons_to_refuse_have_an_order),
        TEST_CASE(test_who_came_for_nothing_leaves_again),
        TEST_CASE(test_an_unknown_outcome_undoes_nothing),
        TEST_CASE(test_a_server_that_does_not_answer_ends_it),
        TEST_CASE(test_a_conflict_without_new_voters_is_one),
        TEST_CASE(test_it_does_not_go_on_for_ever),
        TEST_END};

    return test_main("node_reconfigure", cases, argc, argv);
}
