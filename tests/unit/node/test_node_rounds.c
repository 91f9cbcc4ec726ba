#include "server/node/node_rounds.h"

#include "base/check.h"
#include "tests/support/test.h"

#include <string.h>

/* Requests that only take time, which passes as they run. */

enum { CROWD = 300, BACKLOG = 40 };

struct asker {
    struct client client;
    struct request requests[BACKLOG];
    uint64_t cost_us; /* of each request */
    bool tells_cost;  /* it is known before: a value, a list */
    bool must_wait;   /* for something */
    bool is_held;     /* the same, and it is known at once */
    uint64_t left_us; /* of the request that goes on in pieces; 0 = none does */
    size_t answered;
};

static struct node node;
static uint64_t clock_us;
static size_t clock_looks;
static struct asker crowd[CROWD];
static struct asker quiet;
static size_t crowd_before_quiet; /* its answers until quiet had his */

static size_t answered_of_crowd(void)
{
    size_t answered = 0;

    for (size_t i = 0; i < CROWD; i++) {
        answered += crowd[i].answered;
    }
    return answered;
}

static uint64_t now_us(void *context)
{
    (void)context;
    clock_looks++;
    return clock_us;
}

static enum start start(struct request *request, const struct client_share *share)
{
    struct asker *asker = CONTAINER_OF(request->client, struct asker, client);

    if (asker->must_wait) {
        return START_WAIT;
    }
    if (asker->tells_cost && share->is_little) {
        return START_MUCH;
    }
    if (asker->left_us > share->us) {
        clock_us += share->us;
        asker->left_us -= share->us;
        return START_MUCH;
    }
    clock_us += asker->left_us > 0 ? asker->left_us : asker->cost_us;
    asker->left_us = 0;
    asker->answered++;
    if (asker == &quiet) {
        crowd_before_quiet = answered_of_crowd();
    }
    asker->client.first_unstarted = request->link.next;
    list_remove(&request->link);
    return START_DONE;
}

static bool is_held(const struct request *request)
{
    return CONTAINER_OF(request->client, struct asker, client)->is_held;
}

static bool is_admitted(const struct client *client)
{
    (void)client;
    return true;
}

static void begin(void)
{
    static const struct rounds_port port = {
        .start = start, .is_held = is_held, .is_admitted = is_admitted};

    memset(&node, 0, sizeof node);
    node.port.now_us = now_us;
    node_rounds_init(&node, &port);
    clock_us = 1000;
}

static void ask(struct asker *asker, size_t requests)
{
    struct client *client = &asker->client;

    CHECK_OP(requests, <=, BACKLOG);
    client->node = &node;
    list_init(&client->requests);
    for (size_t i = 0; i < requests; i++) {
        asker->requests[i] = (struct request){.kind = REQUEST_GET, .client = client};
        list_append(&client->requests, &asker->requests[i].link);
    }
    client->first_unstarted = client->requests.next;
    asker->answered = 0;
    node_rounds_enter(client);
}

static void come(struct asker *asker, uint64_t cost_us)
{
    memset(asker, 0, sizeof *asker);
    asker->cost_us = cost_us;
    round_robin_place_init(&asker->client.place);
}

static bool turn(void)
{
    node_rounds_begin(&node);
    return node_rounds_run(&node);
}

static void run_until_quiet_is_answered(void)
{
    for (size_t rounds = 0; rounds < 10 * CROWD && quiet.answered == 0; rounds++) {
        (void)turn();
    }
    EXPECT_EQ(quiet.answered, 1);
}

static void test_a_crowd_that_asks_for_much_at_once_costs_a_small_one_nothing(void)
{
    begin();
    for (size_t i = 0; i < CROWD; i++) {
        come(&crowd[i], 500);
        crowd[i].tells_cost = true;
        ask(&crowd[i], BACKLOG);
    }
    come(&quiet, 1);
    ask(&quiet, 1);
    run_until_quiet_is_answered();
    EXPECT_EQ(crowd_before_quiet, 0);
}

/* Those whose answers nobody reads do nothing, round after round, until all of them can. */
static void test_those_that_had_to_wait_with_much_to_do_are_no_small_ones(void)
{
    begin();
    for (size_t i = 0; i < CROWD; i++) {
        come(&crowd[i], 500);
        ask(&crowd[i], BACKLOG);
    }
    for (size_t i = 0; i < 4 * CROWD; i++) {
        (void)turn();
    }
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i].must_wait = true;
    }
    (void)turn();
    (void)turn();
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i].must_wait = false;
        crowd[i].answered = 0;
    }
    come(&quiet, 1);
    ask(&quiet, 1);
    run_until_quiet_is_answered();
    EXPECT_EQ(crowd_before_quiet, 0);
}

static void test_a_request_in_pieces_is_done_beside_the_others(void)
{
    begin();
    come(&crowd[0], 0);
    crowd[0].left_us = 10 * 1000;
    ask(&crowd[0], 1);
    for (size_t turns = 1; crowd[0].answered == 0; turns++) {
        EXPECT(turns <= 20);
        come(&quiet, 1);
        ask(&quiet, 1);
        EXPECT(turn() || crowd[0].answered == 1);
        EXPECT_EQ(quiet.answered, 1);
    }
    EXPECT(!turn());
}

static void test_those_that_ask_for_much_take_turns(void)
{
    size_t least = SIZE_MAX;
    size_t most = 0;

    begin();
    for (size_t i = 0; i < CROWD; i++) {
        come(&crowd[i], 500);
        crowd[i].tells_cost = true;
        ask(&crowd[i], BACKLOG);
    }
    for (size_t rounds = 0; rounds < 10 * CROWD; rounds++) {
        (void)turn();
    }
    EXPECT(answered_of_crowd() >= 10 * CROWD);
    for (size_t i = 0; i < CROWD; i++) {
        least = crowd[i].answered < least ? crowd[i].answered : least;
        most = crowd[i].answered > most ? crowd[i].answered : most;
    }
    EXPECT(most - least <= 4);
}

/* One request at a time, and nobody knows before what it takes. */
static void let_crowd_ask(uint64_t cost_us)
{
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i].cost_us = cost_us;
        ask(&crowd[i], 1);
    }
    while (answered_of_crowd() < CROWD) {
        (void)turn();
    }
}

static void test_who_takes_long_now_and_then_is_still_a_small_one(void)
{
    begin();
    come(&quiet, 150);
    for (size_t i = 0; i < CROWD; i++) {
        come(&crowd[i], 500);
        crowd[i].tells_cost = true;
        ask(&crowd[i], BACKLOG);
    }
    (void)turn();
    for (size_t times = 0; times < 100; times++) {
        size_t before = answered_of_crowd();

        quiet.cost_us = times % 4 == 3 ? 1 : 150;
        ask(&quiet, 1);
        run_until_quiet_is_answered();
        EXPECT(crowd_before_quiet - before <= 2000 / 500 + 1);
    }
}

static void test_who_takes_long_each_time_is_no_small_one(void)
{
    begin();
    for (size_t i = 0; i < CROWD; i++) {
        come(&crowd[i], 500);
    }
    for (size_t times = 0; times < 4; times++) {
        let_crowd_ask(500);
    }
    for (size_t i = 0; i < CROWD; i++) {
        ask(&crowd[i], 1);
    }
    come(&quiet, 1);
    ask(&quiet, 1);
    run_until_quiet_is_answered();
    EXPECT_EQ(crowd_before_quiet, 0);
}

static void test_all_calls_of_a_turn_share_its_time(void)
{
    size_t answered;

    begin();
    for (size_t i = 0; i < CROWD; i++) {
        come(&crowd[i], 90);
        ask(&crowd[i], BACKLOG);
    }
    EXPECT(turn());
    answered = answered_of_crowd();
    EXPECT(answered >= 2000 / 90);
    EXPECT(node_rounds_run(&node));
    EXPECT_EQ(answered_of_crowd(), answered);
    EXPECT(turn());
    EXPECT(answered_of_crowd() > answered);
}

/* However many are held, each turn sees only whether they still are; none is forgotten. */
static void test_those_that_are_held_take_no_time_until_they_are_let_go(void)
{
    begin();
    for (size_t i = 0; i < CROWD; i++) {
        come(&crowd[i], 1);
        crowd[i].is_held = true;
        ask(&crowd[i], 1);
    }
    come(&quiet, 1);
    ask(&quiet, 1);
    clock_looks = 0;
    EXPECT(!turn());
    EXPECT_EQ(quiet.answered, 1);
    EXPECT_EQ(answered_of_crowd(), 0);
    EXPECT(clock_looks < CROWD / 10);
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i].is_held = false;
    }
    (void)turn();
    EXPECT_EQ(answered_of_crowd(), CROWD);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_crowd_that_asks_for_much_at_once_costs_a_small_one_nothing),
        TEST_CASE(test_those_that_had_to_wait_with_much_to_do_are_no_small_ones),
        TEST_CASE(test_a_request_in_pieces_is_done_beside_the_others),
        TEST_CASE(test_those_that_are_held_take_no_time_until_they_are_let_go),
        TEST_CASE(test_those_that_ask_for_much_take_turns),
        TEST_CASE(test_who_takes_long_now_and_then_is_still_a_small_one),
        TEST_CASE(test_who_takes_long_each_time_is_no_small_one),
        TEST_CASE(test_all_calls_of_a_turn_share_its_time),
        TEST_END};

    return test_main("node_rounds", cases, argc, argv);
}
