#include "server/node/node_clients.h"

#include "base/alloc.h"
#include "server/node/node_proposals.h"
#include "server/node/node_rounds.h"
#include "server/node/node_watches.h"
#include "tests/support/state_lab.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

enum { SESSIONS_MAX = 2, TIMEOUT_MS = 10000 };

/* A member of a cluster that has no leader: what is proposed waits. */
static struct state_lab lab;
static struct node node;
static size_t replies;
static Client__Code last_code;

static uint64_t now_us(void *context)
{
    (void)context;
    return 1000;
}

static void random_bytes(void *context, void *bytes, size_t size)
{
    (void)context;
    memset(bytes, 7, size);
}

static void on_reply(void *context, const struct request *request, const struct reply *reply)
{
    (void)context;
    (void)request;
    replies++;
    last_code = reply->code;
}

static size_t output_bytes(void *context)
{
    (void)context;
    return 0;
}

static void make_raft(void)
{
    const struct raft_options options = raft_options_default(1);
    struct raft_boot boot = {.term = 1, .log_base = 1, .log_base_term = 1, .applied_index = 1};

    boot.config_index = 1;
    boot.config.member_count = 1;
    boot.config.members[0].id = 1;
    boot.config.members[0].flags = RAFT_VOTER_NEW;
    node.raft = raft_init(xcalloc(1, raft_size(&options)), &options);
    EXPECT_OK(raft_boot(node.raft, &boot));
    EXPECT_OK(raft_start(node.raft, now_us(NULL)));
}

static void begin(void)
{
    memset(&node, 0, sizeof node);
    replies = 0;
    state_lab_init(&lab, 1024 * 1024);
    node.state = lab.state;
    node.options = node_options_default(1);
    node.options.sessions_max = SESSIONS_MAX;
    node.port.now_us = now_us;
    node.port.random = random_bytes;
    node_proposals_init(&node);
    node_clients_init(&node);
    node_watches_init(&node);
    make_raft();
}

static void end(void)
{
    node_proposals_release(&node);
    node_clients_release(&node);
    node_watches_release(&node);
    buffer_release(&node.turn_buffer);
    free(node.raft);
    state_lab_release(&lab);
}

static struct client *open_client(void)
{
    static const struct client_callbacks callbacks = {.on_reply = on_reply,
                                                      .output_bytes = output_bytes};

    return client_open(&node, &callbacks, NULL);
}

static void ask(struct client *client, enum request_kind kind)
{
    struct request *request = request_new(kind);

    request->session.timeout_ms = TIMEOUT_MS;
    request->session.session = 1;
    client_submit(client, request);
    node_rounds_begin(&node);
    (void)node_clients_run(&node);
}

static void test_sessions_are_opened_until_there_are_as_many_as_may_be(void)
{
    struct client *client;

    EXPECT_EQ(node_options_default(1).sessions_max, 1000 * 1000);
    begin();
    client = open_client();
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        EXPECT_EQ(node.queued_count, i);
        ask(client, REQUEST_OPEN_SESSION);
        EXPECT_EQ(replies, 0);
        client_close(client);
        client = open_client();
        EXPECT(state_lab_open(&lab, 'a', TIMEOUT_MS) != 0);
    }
    ask(client, REQUEST_OPEN_SESSION);
    EXPECT_EQ(replies, 1);
    EXPECT_EQ(last_code, CLIENT__CODE__BUSY);
    /* Those that there are can be resumed all the same, and make room when they are closed. */
    ask(client, REQUEST_ATTACH_SESSION);
    EXPECT_EQ(replies, 1);
    client_close(client);
    client = open_client();
    EXPECT_EQ(state_lab_close(&lab), OP_OK);
    ask(client, REQUEST_OPEN_SESSION);
    EXPECT_EQ(replies, 1);
    client_close(client);
    end();
}

static void expect_identity(const struct client *client, size_t at, const char *id)
{
    EXPECT_BYTES(client->identities[at].scheme, bytes_of_text("digest"));
    EXPECT_BYTES(client->identities[at].id, bytes_of_text(id));
}

static void test_a_client_is_what_it_was_last_shown_to_be_whatever_its_front_forgets(void)
{
    char id[] = "user:a";
    const struct state_identity shown[] = {{bytes_of_text("digest"), bytes_of_text(id)},
                                           {bytes_of_text("digest"), bytes_of_text("other")}};
    static const uint8_t fields[] = {0x2a, 16,   0x0a, 6,   'd', 'i', 'g', 'e', 's',
                                     't',  0x12, 6,    'u', 's', 'e', 'r', ':', 'a'};
    struct client *client;

    begin();
    client = open_client();
    EXPECT_EQ(client->identity_fields_bytes, 0);
    client_identify(client, (struct state_identities){.items = shown, .count = 2});
    client_identify(client, (struct state_identities){.items = shown, .count = 1});
    id[0] = 'U';
    EXPECT_EQ(client->identity_count, 1);
    expect_identity(client, 0, "user:a");
    EXPECT_BYTES(bytes_of(client->identity_fields, client->identity_fields_bytes),
                 bytes_of(fields, sizeof fields));
    client_identify(client, (struct state_identities){.items = shown, .count = 2});
    EXPECT_EQ(client->identity_count, 2);
    expect_identity(client, 0, "User:a");
    expect_identity(client, 1, "other");
    client_identify(client, (struct state_identities){.items = NULL, .count = 0});
    EXPECT_EQ(client->identity_count, 0);
    EXPECT_EQ(client->identity_fields_bytes, 0);
    client_close(client);
    end();
}

/* Whether the front of a client with so much under way stops reading. */
static bool is_full(struct client *client, size_t requests, size_t bytes, uint64_t bytes_of_all)
{
    bool is;

    client->request_count = requests;
    client->request_bytes = bytes;
    node.request_memory.bytes = bytes_of_all;
    is = client_is_full(client);
    client->request_count = 0;
    client->request_bytes = 0;
    node.request_memory.bytes = 0;
    return is;
}

static void test_each_client_may_have_less_under_way_while_all_have_much(void)
{
    enum { MIB = 1024 * 1024 };

    struct client *client;

    begin();
    client = open_client();
    EXPECT(!is_full(client, 999, 16 * MIB, 32 * MIB));
    EXPECT(is_full(client, 1000, 0, 0));
    EXPECT(is_full(client, 1, 16 * MIB + 1, 0));
    EXPECT(!is_full(client, 31, MIB / 4, 32 * MIB + 1));
    EXPECT(is_full(client, 32, 0, 32 * MIB + 1));
    EXPECT(is_full(client, 1, MIB / 4 + 1, 32 * MIB + 1));
    client_close(client);
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_sessions_are_opened_until_there_are_as_many_as_may_be),
        TEST_CASE(test_each_client_may_have_less_under_way_while_all_have_much),
        TEST_CASE(test_a_client_is_what_it_was_last_shown_to_be_whatever_its_front_forgets),
        TEST_END};

    return test_main("node_clients", cases, argc, argv);
}
