/* Changes of membership: safe under load, and refused with the reason when they cannot be made. */
#include "tests/integration/writers.h"
#include "tests/support/cluster.h"
#include "tests/support/test.h"

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

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_one_server_grows_to_five_and_shrinks_under_load),
        TEST_CASE(test_init_refuses_servers_that_cannot_take_part),
        TEST_CASE(test_add_learner_refuses_servers_that_cannot_take_part), TEST_END};
    return test_main("membership", cases, argc, argv);
}
