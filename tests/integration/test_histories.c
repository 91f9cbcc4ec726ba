/* Clients read, write, compare and set, number, own ephemerals and watch side by side, while
 * leaders are killed, paused and restarted. Everything they were told is recorded and judged by all
 * the checkers of tests/history. */
#include "tests/integration/crowd.h"

#include "tests/support/test.h"

#include <signal.h>

enum { SHORT_TIMEOUT_MS = 1000 };

static struct cluster cluster;

static void start(struct crowd *crowd, uint64_t seed)
{
    crowd_start(crowd, &cluster, "/h", seed, 0);
}

static void wait_for_calls(struct crowd *crowd)
{
    crowd_wait(crowd, CLUSTER_DEADLINE_MS);
}

static void stop_and_judge(struct crowd *crowd)
{
    struct recorder_counts counts;

    crowd_stop(crowd, CLUSTER_DEADLINE_MS);
    counts = crowd_judge(crowd);
    /* There was something to judge. */
    EXPECT(counts.acknowledged >= CROWD_WORKERS * CROWD_CALLS_EACH);
    EXPECT(counts.refused > 0);
    EXPECT(counts.events > counts.acknowledged);
}

/* --- Faults --- */

static unsigned leader_now(void)
{
    unsigned leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);

    EXPECT(leader != 0);
    return leader;
}

static void kill_the_leader(struct crowd *crowd)
{
    unsigned leader = leader_now();

    cluster_kill(&cluster, leader);
    EXPECT(cluster_wait_leader(&cluster, leader, CLUSTER_DEADLINE_MS) != 0);
    wait_for_calls(crowd);
    cluster_start(&cluster, leader);
}

static void pause_the_leader(struct crowd *crowd)
{
    unsigned leader = leader_now();

    cluster_signal(&cluster, leader, SIGSTOP);
    EXPECT(cluster_wait_leader(&cluster, leader, CLUSTER_DEADLINE_MS) != 0);
    cluster_signal(&cluster, leader, SIGCONT);
    wait_for_calls(crowd);
}

static void restart_the_leader(struct crowd *crowd)
{
    unsigned leader = leader_now();

    cluster_signal(&cluster, leader, SIGTERM);
    EXPECT(process_wait(&cluster.servers[leader].process, CLUSTER_DEADLINE_MS));
    wait_for_calls(crowd);
    cluster_start(&cluster, leader);
}

/* A client that can reach one server only, and that one dies: its session is expired, what it owned
 * goes, and when the server is back the client is told. */
static void expire_a_session(struct crowd *crowd)
{
    uint64_t end = process_now_ms() + CLUSTER_DEADLINE_MS;
    unsigned server = leader_now() % 3 + 1;
    struct recorded *exile =
        recorded_open(crowd->recorder, cluster.servers[server].address, SHORT_TIMEOUT_MS);

    EXPECT_EQ(recorded_create(exile, "/h/e/exile", CONFER_EPHEMERAL), CONFER_OK);
    cluster_kill(&cluster, server);
    while (recorded_get(crowd->observer, "/h/e/exile", true) != CONFER_NO_NODE &&
           process_now_ms() < end) {
        process_pause();
    }
    EXPECT_EQ(recorded_get(crowd->observer, "/h/e/exile", true), CONFER_NO_NODE);
    cluster_start(&cluster, server);
    while (!recorded_is_expired(exile) && process_now_ms() < end) {
        process_pause();
    }
    EXPECT(recorded_is_expired(exile));
    recorded_close(exile);
}

static void test_histories_under_faults_are_right(void)
{
    static struct crowd crowd;

    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    start(&crowd, 1);
    wait_for_calls(&crowd);
    crowd_leave_ghost(&crowd);
    kill_the_leader(&crowd);
    wait_for_calls(&crowd);
    expire_a_session(&crowd);
    pause_the_leader(&crowd);
    restart_the_leader(&crowd);
    pause_the_leader(&crowd);
    kill_the_leader(&crowd);
    wait_for_calls(&crowd);
    stop_and_judge(&crowd);
    cluster_release(&cluster);
}

static void test_histories_across_a_death_of_all_are_right(void)
{
    static struct crowd crowd;

    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    start(&crowd, 2);
    wait_for_calls(&crowd);
    for (unsigned id = 1; id <= 3; id++) {
        cluster_kill(&cluster, id);
    }
    for (unsigned id = 1; id <= 3; id++) {
        cluster_start(&cluster, id);
    }
    wait_for_calls(&crowd);
    stop_and_judge(&crowd);
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_histories_under_faults_are_right),
        TEST_CASE(test_histories_across_a_death_of_all_are_right), TEST_END};
    return test_main("histories", cases, argc, argv);
}
