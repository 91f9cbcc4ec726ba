/* The public calls against a small cluster in a thread of the test. */
#include <confer.h>
#include <confer_event.h>

#include "tests/unit/client/confer_lab.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Plain calls --- */

static void test_what_is_set_is_read_listed_and_removed(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), true, NULL);
    struct confer_result *result = NULL;

    EXPECT_EQ(confer_set(confer, "/a", "x\0y", 3, CONFER_ANY_VERSION, NULL, &result), CONFER_OK);
    EXPECT(result->created);
    EXPECT_EQ(result->zxid, fake_server_zxid(server));
    confer_result_free(result);
    EXPECT_EQ(confer_get(confer, "/a", 0, NULL, &result), CONFER_OK);
    EXPECT_BYTES(bytes_of(result->value, result->value_bytes + 1), bytes_of("x\0y", 4));
    EXPECT_TEXT(result->server, fake_server_addresses(server));
    EXPECT_TEXT(result->message, "ok");
    confer_result_free(result);
    EXPECT_EQ(confer_exists(confer, "/a", NULL, &result), CONFER_OK);
    EXPECT(result->exists);
    confer_result_free(result);
    EXPECT_EQ(confer_exists(confer, "/b", NULL, &result), CONFER_OK);
    EXPECT(!result->exists);
    confer_result_free(result);
    EXPECT_EQ(confer_get(confer, "/b", 0, NULL, &result), CONFER_NO_NODE);
    EXPECT_TEXT(result->message, "no such node");
    EXPECT_TEXT(result->value, "");
    confer_result_free(result);
    EXPECT_EQ(confer_create(confer, "/a", NULL, 0, NULL, NULL, NULL), CONFER_NODE_EXISTS);
    EXPECT_EQ(confer_set(confer, "/a", "z", 1, 7, NULL, NULL), CONFER_BAD_VERSION);
    EXPECT_EQ(confer_remove(confer, "/a", CONFER_ANY_VERSION, NULL, NULL), CONFER_OK);
    EXPECT_EQ(confer_get(confer, "/a", 0, NULL, NULL), CONFER_NO_NODE);
    confer_close(confer);
    fake_server_stop(server);
}

static void test_a_transaction_reports_each_operation(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), true, NULL);
    struct confer_transaction *transaction = confer_transaction_new();
    struct confer_result *result = NULL;

    EXPECT_EQ(confer_commit(confer, transaction, NULL, NULL), CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_transaction_create(transaction, "/t", "1", 1, NULL), CONFER_OK);
    EXPECT_EQ(confer_transaction_set(transaction, "/t", "2", 1, 0), CONFER_OK);
    EXPECT_EQ(confer_commit(confer, transaction, NULL, &result), CONFER_OK);
    EXPECT_EQ(result->operation_count, 2);
    confer_result_free(result);
    expect_value(server, "/t", "2");
    EXPECT_EQ(confer_transaction_remove(transaction, "t", 0), CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_commit(confer, transaction, NULL, &result), CONFER_INVALID_ARGUMENT);
    confer_result_free(result);
    confer_transaction_free(transaction);
    confer_close(confer);
    fake_server_stop(server);
}

static void test_iterators_page_inside(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), false, NULL);
    struct confer_iterator *iterator = NULL;
    const struct confer_node *node = NULL;
    unsigned count = 0;
    char text[32];

    for (unsigned i = 0; i < 25; i++) {
        (void)snprintf(text, sizeof text, "/c%03u", i);
        (void)fake_server_set(server, text, "v");
    }
    fake_server_set_paging(server, 4, NULL);
    EXPECT_EQ(confer_list_begin(confer, "/", NULL, NULL, &iterator), CONFER_OK);
    while (confer_next(iterator, &node) == CONFER_OK) {
        (void)snprintf(text, sizeof text, "c%03u", count++);
        EXPECT_TEXT(node->name, text);
    }
    EXPECT_EQ(count, 25);
    EXPECT_EQ(confer_next(iterator, &node), CONFER_END);
    confer_iterator_free(iterator);
    EXPECT_EQ(confer_tree_begin(confer, "/", NULL, NULL, &iterator), CONFER_OK);
    for (count = 0; confer_next(iterator, &node) == CONFER_OK; count++) {
    }
    EXPECT_EQ(count, 26);
    confer_iterator_free(iterator);
    EXPECT_EQ(confer_tree_begin(confer, "/none", NULL, NULL, &iterator), CONFER_OK);
    EXPECT_EQ(confer_next(iterator, &node), CONFER_NO_NODE);
    EXPECT_TEXT(confer_iterator_message(iterator), "no such node");
    confer_iterator_free(iterator);
    confer_close(confer);
    fake_server_stop(server);
}

static void test_membership_and_status_come_through(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), false, NULL);
    struct confer_node_address node = {.id = 1, .address = "http://127.0.0.1:1/"};
    struct confer_result *result = NULL;
    uint64_t voters[] = {1, 2};

    EXPECT_EQ(confer_init(confer, &node, 1, NULL, &result), CONFER_OK);
    EXPECT_EQ(result->cluster.member_count, 1);
    EXPECT_TEXT(result->cluster.members[0].address, "127.0.0.1:1");
    EXPECT(result->cluster.members[0].voter);
    confer_result_free(result);
    EXPECT_EQ(confer_add_learner(confer, &node, NULL, NULL), CONFER_OK);
    EXPECT_EQ(confer_add_voter(confer, &node, NULL, NULL), CONFER_OK);
    EXPECT_EQ(confer_change_membership(confer, voters, 2, NULL, NULL), CONFER_OK);
    EXPECT_EQ(confer_force_membership(confer, voters, 2, NULL, NULL), CONFER_OK);
    EXPECT_EQ(confer_cancel_change(confer, NULL, NULL), CONFER_OK);
    EXPECT_EQ(confer_remove_member(confer, 2, NULL, NULL), CONFER_OK);
    EXPECT_EQ(confer_transfer_leader(confer, 0, NULL, NULL), CONFER_OK);
    EXPECT_EQ(confer_cluster_status(confer, NULL, &result), CONFER_OK);
    EXPECT_EQ(result->cluster.leader, 1);
    EXPECT_EQ(result->cluster.config_zxid, 7);
    EXPECT(result->cluster.members[0].promoting);
    EXPECT_EQ(result->cluster.members[0].dump_bytes, 100);
    EXPECT_EQ(result->cluster.members[0].dump_bytes_done, 40);
    EXPECT_EQ(result->cluster.members[0].agreed, 39);
    EXPECT_TEXT(result->cluster.members[0].trend, "nearer");
    EXPECT_TEXT(result->cluster.members[0].trouble, "");
    EXPECT(result->cluster.change != NULL && result->cluster.change->begun);
    EXPECT_EQ(result->cluster.change->from_count, 1);
    EXPECT_EQ(result->cluster.change->to[1], 2);
    EXPECT_TEXT(result->cluster.change->waits_for, "nearer");
    confer_result_free(result);
    node.address = "nonsense";
    EXPECT_EQ(confer_init(confer, &node, 1, NULL, NULL), CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_remove_member(confer, 0, NULL, NULL), CONFER_INVALID_ARGUMENT);
    confer_close(confer);
    fake_server_stop(server);
}

static void test_wrong_arguments_are_refused_before_anything_is_sent(void)
{
    static char large[1024 * 1024 + 1];
    static char path[5000];
    struct confer *confer = NULL;
    struct confer_result *result = NULL;
    struct confer_options options;
    struct tally tally = {.total = 0};
    char message[200];

    EXPECT_EQ(confer_open("nonsense", NULL, &confer), CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_check_servers("nonsense", message, sizeof message), CONFER_INVALID_ARGUMENT);
    EXPECT_CONTAINS(message, "port");
    EXPECT_EQ(confer_check_servers("a:1, http://b:2/", message, sizeof message), CONFER_OK);
    EXPECT_EQ(confer_open("", NULL, &confer), CONFER_INVALID_ARGUMENT);
    confer_options_init(&options);
    options.session_timeout_ms = 1;
    EXPECT_EQ(confer_open("127.0.0.1:1", &options, &confer), CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_open("127.0.0.1:1", NULL, &confer), CONFER_OK);
    EXPECT_EQ(confer_get(confer, "a", 0, NULL, &result), CONFER_INVALID_ARGUMENT);
    EXPECT_TEXT(result->message, "a path starts with '/'");
    confer_result_free(result);
    EXPECT_EQ(confer_get(confer, "/a", 64, NULL, NULL), CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_set(confer, "/a", large, sizeof large, -1, NULL, NULL), CONFER_LIMIT);
    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    EXPECT_EQ(confer_get(confer, path, 0, NULL, NULL), CONFER_LIMIT);
    EXPECT_EQ(confer_get_async(confer, "/a", 0, NULL, NULL, NULL), CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_get_async(confer, "a", 0, NULL, count_result, &tally),
              CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_watch(confer, "/a", 0, 0, NULL, NULL, NULL), CONFER_INVALID_ARGUMENT);
    confer_close(confer);
    EXPECT_EQ(atomic_load(&tally.total), 0);
    confer_close(NULL);
    confer_result_free(NULL);
}

/* --- Sessions and states --- */

static void test_the_session_survives_lost_connections_and_other_servers(void)
{
    struct states states = {.count = 0};
    struct fake_server *server = fake_server_start(2, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), true, &states);
    uint64_t session;

    EXPECT_EQ(set(confer, "/a", "1"), CONFER_OK);
    session = confer_session_id(confer);
    EXPECT(session != 0);
    for (size_t port = 0; port < 2; port++) {
        fake_server_shut(server, port, true);
        EXPECT_EQ(set(confer, "/a", "2"), CONFER_OK);
        fake_server_shut(server, port, false);
    }
    EXPECT_EQ(confer_session_id(confer), session);
    EXPECT_EQ(fake_server_sessions(server), 1);
    EXPECT_EQ(fake_server_applied(server), 3);
    confer_close(confer);
    EXPECT_EQ(atomic_load(&states.seen[0]), CONFER_STATE_CONNECTED);
    EXPECT_EQ(atomic_load(&states.seen[1]), CONFER_STATE_SUSPENDED);
    EXPECT_EQ(atomic_load(&states.seen[2]), CONFER_STATE_RECONNECTED);
    EXPECT_EQ(atomic_load(&states.seen[atomic_load(&states.count) - 1]), CONFER_STATE_CLOSED);
    EXPECT_EQ(fake_server_sessions(server), 0);
    fake_server_stop(server);
}

static void test_an_expired_session_ends_the_handle(void)
{
    struct states states = {.count = 0};
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), true, &states);
    struct tally tally = {.total = 0};

    EXPECT_EQ(set(confer, "/a", "1"), CONFER_OK);
    fake_server_expire_sessions(server);
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(
            confer_set_async(confer, "/a", "2", 1, CONFER_ANY_VERSION, NULL, count_result, &tally),
            CONFER_OK);
    }
    WAIT_UNTIL(atomic_load(&tally.total) == 10);
    EXPECT_EQ(atomic_load(&tally.last), CONFER_SESSION_EXPIRED);
    EXPECT_EQ(atomic_load(&tally.ok), 0);
    EXPECT_EQ(set(confer, "/a", "2"), CONFER_SESSION_EXPIRED);
    EXPECT_EQ(confer_get(confer, "/a", 0, NULL, NULL), CONFER_SESSION_EXPIRED);
    EXPECT_EQ(confer_state(confer), CONFER_STATE_EXPIRED);
    confer_close(confer);
    EXPECT_EQ(atomic_load(&states.count), 3); /* connected, expired, closed */
    EXPECT_EQ(atomic_load(&states.seen[1]), CONFER_STATE_EXPIRED);
    fake_server_stop(server);
}

static void test_expiry_is_learned_when_attaching_too(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), true, NULL);

    EXPECT_EQ(set(confer, "/a", "1"), CONFER_OK);
    fake_server_expire_sessions(server);
    fake_server_disconnect(server);
    WAIT_UNTIL(confer_state(confer) == CONFER_STATE_EXPIRED);
    confer_close(confer);
    fake_server_stop(server);
}

static void test_notices_suspend_resume_and_move(void)
{
    struct states states = {.count = 0};
    struct fake_server *server = fake_server_start(2, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), true, &states);
    struct confer_result *result = NULL;
    char first[64];

    EXPECT_EQ(confer_get(confer, "/", 0, NULL, &result), CONFER_OK);
    (void)snprintf(first, sizeof first, "%s", result->server);
    confer_result_free(result);
    fake_server_notice(server, CLIENT__NOTICE_KIND__LEADER_LOST, CLIENT__CODE__NO_LEADER);
    WAIT_UNTIL(confer_state(confer) == CONFER_STATE_SUSPENDED);
    fake_server_notice(server, CLIENT__NOTICE_KIND__LEADER_FOUND, CLIENT__CODE__OK);
    WAIT_UNTIL(confer_state(confer) == CONFER_STATE_RECONNECTED);
    fake_server_notice(server, CLIENT__NOTICE_KIND__GOING_AWAY, CLIENT__CODE__STOPPING);
    WAIT_UNTIL(atomic_load(&states.count) == 5);
    EXPECT_EQ(confer_get(confer, "/", 0, NULL, &result), CONFER_OK);
    EXPECT(strcmp(first, result->server) != 0);
    confer_result_free(result);
    confer_close(confer);
    fake_server_stop(server);
}

/* --- Closing --- */

static void test_closing_completes_every_pending_call_once(void)
{
    struct script script = {
        .field = CLIENT__REQUEST__BODY_GET, .verdict = {.fate = FAKE_SILENT}, .count = -1};
    struct fake_server *server = fake_server_start(1, follow, &script);

    /* The close meets the loop in different places. */
    for (int round = 0; round < 40; round++) {
        struct confer *confer = open_with(fake_server_addresses(server), round % 2 == 0, NULL);
        struct tally tally = {.total = 0};

        for (int i = 0; i < 50 * round; i++) {
            EXPECT_EQ(confer_get_async(confer, "/", 0, NULL, count_result, &tally), CONFER_OK);
        }
        confer_close(confer);
        EXPECT_EQ(atomic_load(&tally.total), 50 * round);
        EXPECT_EQ(atomic_load(&tally.ok), 0);
        EXPECT(round == 0 || atomic_load(&tally.last) == CONFER_CLOSED);
    }
    fake_server_stop(server);
}

static void close_inside(struct confer *confer, struct confer_result *result, void *argument)
{
    struct tally *tally = argument;

    atomic_store(&tally->others, (int)confer_get(confer, "/", 0, NULL, NULL));
    confer_close(confer);
    EXPECT_EQ(confer_get_async(confer, "/", 0, NULL, count_result, tally), CONFER_CLOSED);
    confer_result_free(result);
    (void)atomic_fetch_add(&tally->total, 1);
}

static void note_closed(struct confer *confer, enum confer_state state, void *argument)
{
    (void)confer;
    if (state == CONFER_STATE_CLOSED) {
        atomic_store((atomic_bool *)argument, true);
    }
}

static void test_a_callback_may_close_but_not_block(void)
{
    static atomic_bool is_closed;
    static struct tally tally;
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer_options options;
    struct confer *confer = NULL;

    confer_options_init(&options);
    options.on_state = note_closed;
    options.argument = &is_closed;
    EXPECT_EQ(confer_open(fake_server_addresses(server), &options, &confer), CONFER_OK);
    EXPECT_EQ(confer_get_async(confer, "/", 0, NULL, close_inside, &tally), CONFER_OK);
    WAIT_UNTIL(atomic_load(&is_closed));
    EXPECT_EQ(atomic_load(&tally.total), 1);
    EXPECT_EQ(atomic_load(&tally.others), CONFER_DEADLOCK);
    WAIT_UNTIL(fake_server_sessions(server) == 0);
    fake_server_stop(server);
}

static void test_closing_without_any_server_is_quick(void)
{
    struct confer *confer = open_with("127.0.0.1:1", true, NULL);
    struct tally tally = {.total = 0};

    EXPECT_EQ(confer_get_async(confer, "/", 0, NULL, count_result, &tally), CONFER_OK);
    confer_close(confer);
    EXPECT_EQ(atomic_load(&tally.total), 1);
    confer = open_with("localhost:1", true, NULL);
    confer_close(confer);
}

/* --- On the caller's base, and from many threads --- */

static void test_it_lives_on_the_callers_base(void)
{
    static atomic_bool is_closed;
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct event_base *base = event_base_new();
    struct confer_options options;
    struct confer *confer = NULL;
    struct tally tally = {.total = 0};

    confer_options_init(&options);
    options.on_state = note_closed;
    options.argument = &is_closed;
    EXPECT_EQ(confer_open_on_base(NULL, "a:1", NULL, &confer), CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_open_on_base(base, fake_server_addresses(server), &options, &confer),
              CONFER_OK);
    EXPECT_EQ(confer_get(confer, "/", 0, NULL, NULL), CONFER_DEADLOCK);
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(
            confer_set_async(confer, "/a", "1", 1, CONFER_ANY_VERSION, NULL, count_result, &tally),
            CONFER_OK);
    }
    while (atomic_load(&tally.total) < 10) {
        EXPECT_EQ(event_base_loop(base, EVLOOP_ONCE), 0);
    }
    EXPECT_EQ(atomic_load(&tally.ok), 10);
    confer_close(confer);
    while (!atomic_load(&is_closed)) {
        EXPECT_EQ(event_base_loop(base, EVLOOP_ONCE), 0);
    }
    EXPECT_EQ(fake_server_sessions(server), 0);
    event_base_free(base);
    fake_server_stop(server);
}

struct worker {
    pthread_t thread;
    struct confer *confer;
    size_t number;
    int failures;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    char path[32];

    (void)snprintf(path, sizeof path, "/worker%zu", worker->number);
    for (int i = 0; i < 100; i++) {
        worker->failures += set(worker->confer, path, "1") == CONFER_OK ? 0 : 1;
        worker->failures += confer_get(worker->confer, path, 0, NULL, NULL) == CONFER_OK ? 0 : 1;
    }
    return NULL;
}

static void test_many_threads_share_a_handle_while_connections_break(void)
{
    struct fake_server *server = fake_server_start(2, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), true, NULL);
    struct worker workers[6];

    for (size_t i = 0; i < 6; i++) {
        workers[i] = (struct worker){.confer = confer, .number = i};
        EXPECT_EQ(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint64_t step = 100; step <= 500; step += 100) {
        WAIT_UNTIL(fake_server_applied(server) >= step);
        fake_server_disconnect(server);
    }
    for (size_t i = 0; i < 6; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        EXPECT_EQ(workers[i].failures, 0);
    }
    EXPECT_EQ(fake_server_applied(server), 600);
    confer_close(confer);
    fake_server_stop(server);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_what_is_set_is_read_listed_and_removed),
        TEST_CASE(test_a_transaction_reports_each_operation),
        TEST_CASE(test_iterators_page_inside),
        TEST_CASE(test_membership_and_status_come_through),
        TEST_CASE(test_wrong_arguments_are_refused_before_anything_is_sent),
        TEST_CASE(test_the_session_survives_lost_connections_and_other_servers),
        TEST_CASE(test_an_expired_session_ends_the_handle),
        TEST_CASE(test_expiry_is_learned_when_attaching_too),
        TEST_CASE(test_notices_suspend_resume_and_move),
        TEST_CASE(test_closing_completes_every_pending_call_once),
        TEST_CASE(test_a_callback_may_close_but_not_block),
        TEST_CASE(test_closing_without_any_server_is_quick),
        TEST_CASE(test_it_lives_on_the_callers_base),
        TEST_CASE(test_many_threads_share_a_handle_while_connections_break),
        TEST_END};
    return test_main("confer", cases, argc, argv);
}
