/* Changes of membership: safe under load, and refused with the reason when they cannot be made. */
#include "tests/integration/writers.h"
#include "tests/support/cluster.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct cluster cluster;

static const char *node_of(unsigned id, const char *address)
{
    static char texts[4][64];
    static unsigned turn;
    char *text = texts[turn++ % 4];

    (void)snprintf(text, sizeof texts[0], "%u=%s", id, address);
    return text;
}

static void expect_done(const struct outcome *outcome)
{
    EXPECT_TEXT(outcome->err, "");
    EXPECT_EQ(outcome->exit_code, 0);
}

static void expect_refused(const struct outcome *outcome, const char *words)
{
    EXPECT_CONTAINS(outcome->err, words);
    EXPECT(outcome->exit_code > 0);
}

static void add_learner(unsigned through, unsigned id)
{
    cluster_start(&cluster, id);
    expect_done(cluster_cli(&cluster, through, "add-learner", "--node",
                            node_of(id, cluster.servers[id].address), NULL));
}

static void change_to(unsigned through, const char *members)
{
    expect_done(cluster_cli(&cluster, through, "change-membership", "--members", members, NULL));
}

static void test_one_server_grows_to_five_and_shrinks_under_load(void)
{
    struct writers *writers;
    char servers[256];
    char members[32];
    unsigned leader;
    size_t size = 0;

    cluster_init(&cluster, 5);
    cluster_start(&cluster, 1);
    expect_done(
        cluster_cli(&cluster, 1, "init", "--nodes", node_of(1, cluster.servers[1].address), NULL));
    for (unsigned id = 1; id <= 5; id++) {
        size += (size_t)snprintf(servers + size, sizeof servers - size, "%s%s", id > 1 ? "," : "",
                                 cluster.servers[id].address);
    }
    writers = writers_start(servers, 4, "/written");
    writers_wait(writers, 10, CLUSTER_DEADLINE_MS);
    add_learner(1, 2);
    add_learner(1, 3);
    change_to(2, "1,2,3"); /* through a learner, which relays */
    writers_wait(writers, 10, CLUSTER_DEADLINE_MS);
    add_learner(3, 4);
    add_learner(3, 5);
    change_to(4, "1,2,3,4,5");
    change_to(4, "1,2,3,4,5"); /* again: it holds already */
    writers_wait(writers, 10, CLUSTER_DEADLINE_MS);

    /* The leader and one more leave. */
    leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    size = 0;
    for (unsigned id = 1; id <= 5; id++) {
        if (id != leader && id != leader % 5 + 1) {
            size += (size_t)snprintf(members + size, sizeof members - size, "%s%u",
                                     size > 0 ? "," : "", id);
        }
    }
    change_to((leader + 1) % 5 + 1, members);
    EXPECT(cluster_wait_leader(&cluster, leader, CLUSTER_DEADLINE_MS) != 0);
    cluster_kill(&cluster, leader);
    cluster_kill(&cluster, leader % 5 + 1);
    writers_wait(writers, 10, CLUSTER_DEADLINE_MS);
    writers_stop(writers);
    EXPECT(writers_check(writers, cluster.servers[(leader + 1) % 5 + 1].address) >= 4 * 10 * 4);
    writers_free(writers);
    cluster_release(&cluster);
}

static void test_init_refuses_servers_that_cannot_take_part(void)
{
    char nodes[160];
    char dead[32];

    cluster_init(&cluster, 3);
    for (unsigned id = 1; id <= 3; id++) {
        cluster_start(&cluster, id);
    }
    (void)snprintf(dead, sizeof dead, "127.0.0.1:%u", cluster_free_port());
    (void)snprintf(nodes, sizeof nodes, "1=%s,2=%s", cluster.servers[1].address, dead);
    expect_refused(cluster_cli(&cluster, 1, "init", "--nodes", nodes, NULL), dead);
    /* The address of server 2 under the name of 3. */
    (void)snprintf(nodes, sizeof nodes, "1=%s,3=%s", cluster.servers[1].address,
                   cluster.servers[2].address);
    expect_refused(cluster_cli(&cluster, 1, "init", "--nodes", nodes, NULL),
                   cluster.servers[2].address);
    /* Not among the nodes itself. */
    (void)snprintf(nodes, sizeof nodes, "2=%s,3=%s", cluster.servers[2].address,
                   cluster.servers[3].address);
    EXPECT(cluster_cli(&cluster, 1, "init", "--nodes", nodes, NULL)->exit_code > 0);

    /* None of this has used them up. */
    (void)snprintf(nodes, sizeof nodes, "1=%s,2=%s", cluster.servers[1].address,
                   cluster.servers[2].address);
    expect_done(cluster_cli(&cluster, 1, "init", "--nodes", nodes, NULL));
    expect_done(cluster_cli(&cluster, 1, "init", "--nodes", nodes, NULL)); /* the same again */
    (void)snprintf(nodes, sizeof nodes, "1=%s,3=%s", cluster.servers[1].address,
                   cluster.servers[3].address);
    EXPECT(cluster_cli(&cluster, 1, "init", "--nodes", nodes, NULL)->exit_code > 0);
    cluster_release(&cluster);
}

static void test_add_learner_refuses_servers_that_cannot_take_part(void)
{
    char dead[32];

    cluster_init(&cluster, 3);
    cluster_start(&cluster, 1);
    expect_done(
        cluster_cli(&cluster, 1, "init", "--nodes", node_of(1, cluster.servers[1].address), NULL));
    (void)snprintf(dead, sizeof dead, "127.0.0.1:%u", cluster_free_port());
    expect_refused(cluster_cli(&cluster, 1, "add-learner", "--node", node_of(2, dead), NULL), dead);
    cluster_start(&cluster, 2);
    expect_refused(cluster_cli(&cluster, 1, "add-learner", "--node",
                               node_of(3, cluster.servers[2].address), NULL),
                   cluster.servers[2].address);
    /* Server 3 belongs to a cluster of its own. */
    cluster_start(&cluster, 3);
    expect_done(
        cluster_cli(&cluster, 3, "init", "--nodes", node_of(3, cluster.servers[3].address), NULL));
    expect_refused(cluster_cli(&cluster, 1, "add-learner", "--node",
                               node_of(3, cluster.servers[3].address), NULL),
                   cluster.servers[3].address);
    EXPECT(cluster_cli(&cluster, 1, "change-membership", "--members", "1,7", NULL)->exit_code > 0);

    /* The cluster is as it was. */
    expect_done(cluster_cli(&cluster, 1, "set", "/x", "1", NULL));
    expect_done(cluster_cli(&cluster, 1, "add-learner", "--node",
                            node_of(2, cluster.servers[2].address), NULL));
    cluster_release(&cluster);
}

static void test_a_promotion_outlives_its_leader_under_load(void)
{
    struct process command;
    struct writers *writers;
    char servers[160];
    unsigned leader;
    unsigned asked;

    cluster_init(&cluster, 4);
    for (unsigned id = 1; id <= 3; id++) {
        cluster_start(&cluster, id);
    }
    (void)snprintf(servers, sizeof servers, "1=%s,2=%s,3=%s", cluster.servers[1].address,
                   cluster.servers[2].address, cluster.servers[3].address);
    expect_done(cluster_cli(&cluster, 1, "init", "--nodes", servers, NULL));
    (void)snprintf(servers, sizeof servers, "%s,%s,%s", cluster.servers[1].address,
                   cluster.servers[2].address, cluster.servers[3].address);
    writers = writers_start(servers, 4, "/written");
    writers_wait(writers, 20, CLUSTER_DEADLINE_MS);
    leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    asked = leader % 3 + 1;
    cluster_start(&cluster, 4);
    cluster_cli_start(&cluster, &command, asked, "add-learner", "--promote", "--node",
                      node_of(4, cluster.servers[4].address), NULL);
    cluster_kill(&cluster, leader);
    EXPECT(cluster_wait_leader(&cluster, leader, CLUSTER_DEADLINE_MS) != 0);
    EXPECT(process_wait(&command, CLUSTER_DEADLINE_MS));
    EXPECT_TEXT(process_text(&command, command.err), "");
    EXPECT_EQ(command.exit_code, 0);
    EXPECT_CONTAINS(process_text(&command, command.out), cluster.servers[4].address);
    process_release(&command);

    /* Asked again, through another one and the new voter: done already. */
    expect_done(cluster_cli(&cluster, 4, "add-learner", "--promote", "--node",
                            node_of(4, cluster.servers[4].address), NULL));
    expect_done(
        cluster_cli(&cluster, leader % 3 + 1, "change-membership", "--members", "1,2,3,4", NULL));
    writers_wait(writers, 20, CLUSTER_DEADLINE_MS);
    cluster_start(&cluster, leader);
    writers_stop(writers);
    EXPECT(writers_check(writers, cluster.servers[4].address) > 0);
    writers_free(writers);
    cluster_release(&cluster);
}

/* The one asked may hear of a change later than it is made. */
static void wait_status_without(unsigned through, const char *words)
{
    uint64_t deadline_ms = process_now_ms() + CLUSTER_DEADLINE_MS;
    const struct outcome *status = cluster_cli(&cluster, through, "status", NULL);

    while ((status->exit_code != 0 || strstr(status->out, words) != NULL) &&
           process_now_ms() < deadline_ms) {
        process_pause();
        status = cluster_cli(&cluster, through, "status", NULL);
    }
    EXPECT_EQ(status->exit_code, 0);
    EXPECT(strstr(status->out, words) == NULL);
}

static void test_a_promotion_to_a_server_that_never_gets_there_is_cancelled(void)
{
    /* What the members hold is more than server 4 has room for, and the log does not reach back. */
    static const char *const short_log[] = {"--checkpoint-records", "10", "--log-tail", "16KiB",
                                            "--log-tail-entries",   "5"};
    static char value[100 * 1024];
    const struct outcome *outcome;
    char path[32];
    char nodes[160];

    cluster_init(&cluster, 4);
    memcpy(cluster.options, short_log, sizeof short_log);
    for (unsigned id = 1; id <= 3; id++) {
        cluster_start(&cluster, id);
    }
    (void)snprintf(nodes, sizeof nodes, "1=%s,2=%s,3=%s", cluster.servers[1].address,
                   cluster.servers[2].address, cluster.servers[3].address);
    expect_done(cluster_cli(&cluster, 1, "init", "--nodes", nodes, NULL));
    memset(value, 'x', sizeof value - 1);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(path, sizeof path, "/big/%d", i);
        expect_done(cluster_cli(&cluster, 1, "set", path, value, NULL));
    }
    cluster.options[6] = "--map-size";
    cluster.options[7] = "1MiB";
    cluster_start(&cluster, 4);
    outcome = cluster_cli(&cluster, 1, "add-learner", "--promote", "--timeout", "10s", "--node",
                          node_of(4, cluster.servers[4].address), NULL);
    EXPECT_EQ(outcome->exit_code, 5);
    EXPECT_CONTAINS(outcome->err, "becomes a voter by itself");
    cluster_wait_status(&cluster, 2, "refuses the dump");
    cluster_wait_status(&cluster, 3, "Server 4 becomes a voter once it has caught up");
    cluster_kill(&cluster, 4);

    /* It does not hold up others, but is not forgotten either. */
    expect_done(cluster_cli(&cluster, 2, "set", "/x", "1", NULL));
    outcome = cluster_cli(&cluster, 2, "change-membership", "--members", "1,2,3", NULL);
    EXPECT_EQ(outcome->exit_code, 0); /* they are the voters already */
    outcome = cluster_cli(&cluster, 2, "change-membership", "--members", "1,2", NULL);
    EXPECT_EQ(outcome->exit_code, 4);
    EXPECT_CONTAINS(outcome->err, "server 4 is being promoted");
    outcome = cluster_cli(&cluster, 2, "cancel-change", NULL);
    EXPECT_EQ(outcome->exit_code, 0);
    EXPECT_CONTAINS(outcome->err, "server 4 stays a learner");
    outcome = cluster_cli(&cluster, 3, "cancel-change", NULL);
    EXPECT_EQ(outcome->exit_code, 0);
    EXPECT_CONTAINS(outcome->err, "no change is under way");
    wait_status_without(1, "promoting");
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(cluster_cli(&cluster, 1, "remove-member", "4", NULL)->exit_code, 0);
    }
    wait_status_without(3, cluster.servers[4].address);
    cluster_release(&cluster);
}

/* What is told at once has time to come, but not half of its timeout: so a busy machine is not
 * taken for a client that waits for it. */
#define LONG_TIMEOUT "--timeout", "60s"
enum { AT_ONCE_MS = 25000 };

/* What a server that is no member says to a client that knows no other one: at once. */
static void expect_turned_away(unsigned id, const char *words)
{
    uint64_t deadline_ms = process_now_ms() + CLUSTER_DEADLINE_MS;
    const struct outcome *outcome = cluster_cli(&cluster, id, "get", "/x", NULL);
    uint64_t begin_ms;

    while (strstr(outcome->err, words) == NULL && process_now_ms() < deadline_ms) {
        outcome = cluster_cli(&cluster, id, "get", "/x", NULL);
    }
    begin_ms = process_now_ms();
    outcome = cluster_cli(&cluster, id, "get", "/x", LONG_TIMEOUT, NULL);
    EXPECT_CONTAINS(outcome->err, words);
    EXPECT_EQ(outcome->exit_code, 5);
    EXPECT(process_now_ms() - begin_ms < AT_ONCE_MS);
    begin_ms = process_now_ms();
    outcome = cluster_cli(&cluster, id, "set", "/x", "2", LONG_TIMEOUT, NULL);
    EXPECT_EQ(outcome->exit_code, 5);
    EXPECT_CONTAINS(outcome->err, words);
    EXPECT(process_now_ms() - begin_ms < AT_ONCE_MS);
}

static void test_servers_that_are_no_members_turn_clients_away_at_once(void)
{
    const struct outcome *outcome;
    char servers[160];
    char nodes[200];
    unsigned leader;
    unsigned here;
    unsigned away;
    unsigned left;
    char id[8];

    cluster_init(&cluster, 5);
    for (unsigned i = 1; i <= 5; i++) {
        cluster_start(&cluster, i);
    }
    (void)snprintf(nodes, sizeof nodes, "1=%s,2=%s,3=%s,4=%s", cluster.servers[1].address,
                   cluster.servers[2].address, cluster.servers[3].address,
                   cluster.servers[4].address);
    expect_done(cluster_cli(&cluster, 1, "init", "--nodes", nodes, NULL));
    expect_done(cluster_cli(&cluster, 1, "set", "/x", "1", NULL));
    leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    here = leader % 4 + 1;
    away = here % 4 + 1;
    left = away % 4 + 1;

    /* One that runs, asked to remove itself; and one that is away meanwhile. */
    (void)snprintf(id, sizeof id, "%u", here);
    EXPECT_EQ(cluster_cli(&cluster, here, "remove-member", id, NULL)->exit_code, 0);
    expect_turned_away(here, "not a member");
    cluster_kill(&cluster, away);
    (void)snprintf(id, sizeof id, "%u", away);
    EXPECT_EQ(cluster_cli(&cluster, left, "remove-member", id, NULL)->exit_code, 0);
    cluster_start(&cluster, away);
    expect_turned_away(away, "not a member");
    EXPECT_CONTAINS(cluster_cli(&cluster, away, "status", NULL)->out, "is not a member");
    EXPECT_EQ(cluster_cli(&cluster, here, "remove-member", id, NULL)->exit_code, 5);
    /* One that never belonged to a cluster. */
    expect_turned_away(5, "no cluster");
    EXPECT_CONTAINS(cluster_cli(&cluster, 5, "status", NULL)->out, "belongs to no cluster");

    /* Who knows a member too is served by that one. */
    (void)snprintf(servers, sizeof servers, "%s,%s,%s,%s", cluster.servers[here].address,
                   cluster.servers[away].address, cluster.servers[5].address,
                   cluster.servers[left].address);
    for (int i = 0; i < 8; i++) {
        uint64_t begin_ms = process_now_ms();

        outcome = cluster_cli(&cluster, 0, "--address", servers, "get", "/x", LONG_TIMEOUT, NULL);
        expect_done(outcome);
        EXPECT_TEXT(outcome->out, "1");
        EXPECT(process_now_ms() - begin_ms < AT_ONCE_MS);
    }
    cluster_release(&cluster);
}

/* The fourth only runs. One of the members that does not lead is to be asked. */
static unsigned form_three_of_four(void)
{
    cluster_init(&cluster, 4);
    cluster.server_count = 3;
    cluster_form(&cluster);
    cluster.server_count = 4;
    return cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS) % 3 + 1;
}

static void give_up_a_removal(unsigned asked, unsigned removed, const char *timeout)
{
    char id[8];

    (void)snprintf(id, sizeof id, "%u", removed);
    EXPECT_EQ(
        cluster_cli(&cluster, asked, "remove-member", id, "--timeout", timeout, NULL)->exit_code,
        5);
    /* It has seen by now that its client went: this one came later. */
    cluster_expect_answer(&cluster, asked);
}

static void expect_all_four_members(unsigned asked)
{
    const struct outcome *status;

    EXPECT(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS) != 0);
    /* Through the same server, so what waited there would come before. */
    add_learner(asked, 4);
    status = cluster_cli(&cluster, asked, "status", "--output", "json", NULL);
    for (unsigned id = 1; id <= 4; id++) {
        EXPECT_CONTAINS(status->out, cluster.servers[id].address);
    }
}

/* Who gave up may have asked elsewhere, and changed the members further since. */
static void test_a_command_that_was_given_up_is_not_asked_again(void)
{
    unsigned asked = form_three_of_four();

    for (unsigned id = 1; id <= 3; id++) {
        if (id != asked) {
            cluster_signal(&cluster, id, SIGSTOP);
        }
    }
    give_up_a_removal(asked, asked % 3 + 1, "2s");
    for (unsigned id = 1; id <= 3; id++) {
        cluster_signal(&cluster, id, SIGCONT);
    }
    expect_all_four_members(asked);
    cluster_release(&cluster);
}

/* It still leads when it goes on, and finds the command: this is too short for an election. */
static void test_a_stopped_leader_does_not_begin_what_was_given_up_meanwhile(void)
{
    unsigned asked = form_three_of_four();
    unsigned leader = asked == 1 ? 3 : asked - 1;

    cluster_signal(&cluster, leader, SIGSTOP);
    give_up_a_removal(asked, asked % 3 + 1, "200ms");
    cluster_signal(&cluster, leader, SIGCONT);
    expect_all_four_members(asked);
    cluster_release(&cluster);
}

/* The server that relayed it is gone, and whoever asked there with it. */
static void test_a_stopped_leader_does_not_begin_what_a_dead_server_relayed(void)
{
    unsigned asked = form_three_of_four();
    unsigned leader = asked == 1 ? 3 : asked - 1;
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__RemoveMember removal = CLIENT__REMOVE_MEMBER__INIT;
    struct wire wire;

    removal.id = asked; /* so that the others could do it without this one */
    request.body_case = CLIENT__REQUEST__BODY_REMOVE_MEMBER;
    request.remove_member = &removal;
    EXPECT(wire_connect(&wire, cluster.servers[asked].address) && wire_greet(&wire));
    cluster_signal(&cluster, leader, SIGSTOP);
    EXPECT(wire_request(&wire, &request));
    /* It is relayed by now: this one came later. */
    cluster_expect_answer(&cluster, asked);
    cluster_kill(&cluster, asked);
    cluster_signal(&cluster, leader, SIGCONT);
    wire_close(&wire);
    EXPECT(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS) != 0);
    expect_done(cluster_cli(&cluster, leader, "set", "/x", "1", NULL));
    EXPECT_CONTAINS(cluster_cli(&cluster, leader, "status", "--output", "json", NULL)->out,
                    cluster.servers[asked].address);
    cluster_release(&cluster);
}

/* It waits for server 4, which does not run. */
static void give_up_a_waiting_change(unsigned asked)
{
    uint64_t voters[] = {1, 2, 3, 4};
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__ChangeMembership change = CLIENT__CHANGE_MEMBERSHIP__INIT;
    struct wire wire;

    change.voters = voters;
    change.n_voters = 4;
    request.body_case = CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP;
    request.change_membership = &change;
    EXPECT(wire_connect(&wire, cluster.servers[asked].address) && wire_greet(&wire));
    EXPECT(wire_request(&wire, &request));
    cluster_wait_status(&cluster, asked, "A change of voters from 1,2,3 to 1,2,3,4 was asked for");
    wire_close(&wire);
    /* It has seen by now that its client went: this one came later. */
    cluster_expect_answer(&cluster, asked);
}

static void test_a_change_waits_no_longer_than_who_asked_for_it(void)
{
    unsigned asked = form_three_of_four();
    unsigned leader = asked == 1 ? 3 : asked - 1;

    add_learner(asked, 4);
    cluster_kill(&cluster, 4);
    cluster_wait_status(&cluster, leader, "not reachable");
    give_up_a_waiting_change(asked); /* which relayed it */
    EXPECT_CONTAINS(cluster_cli(&cluster, asked, "cancel-change", NULL)->err,
                    "no change is under way");
    give_up_a_waiting_change(leader);
    EXPECT_CONTAINS(cluster_cli(&cluster, leader, "cancel-change", NULL)->err,
                    "no change is under way");
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_one_server_grows_to_five_and_shrinks_under_load),
        TEST_CASE(test_init_refuses_servers_that_cannot_take_part),
        TEST_CASE(test_add_learner_refuses_servers_that_cannot_take_part),
        TEST_CASE(test_a_promotion_outlives_its_leader_under_load),
        TEST_CASE(test_a_promotion_to_a_server_that_never_gets_there_is_cancelled),
        TEST_CASE(test_a_command_that_was_given_up_is_not_asked_again),
        TEST_CASE(test_a_stopped_leader_does_not_begin_what_was_given_up_meanwhile),
        TEST_CASE(test_a_stopped_leader_does_not_begin_what_a_dead_server_relayed),
        TEST_CASE(test_a_change_waits_no_longer_than_who_asked_for_it),
        TEST_CASE(test_servers_that_are_no_members_turn_clients_away_at_once),
        TEST_END};
    return test_main("membership", cases, argc, argv);
}
