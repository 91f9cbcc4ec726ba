/* A disk that does not come back from a sync: under the leader, leadership goes to a server whose
 * disk works; under a follower, nobody else notices. What was answered stays, and nobody goes back
 * in time. */
#include "tests/support/cluster.h"
#include "tests/support/damage.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#include <confer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WRITES = 20 };

static struct cluster cluster;

static const char *switch_of(unsigned id)
{
    static char path[600];

    (void)snprintf(path, sizeof path, "%s.stuck", cluster.servers[id].data);
    return path;
}

static void stick(unsigned id)
{
    damage_write(switch_of(id), 0, bytes_of_text("stuck\n"));
}

static void unstick(unsigned id)
{
    EXPECT_EQ(unlink(switch_of(id)), 0);
}

static void form(void)
{
    EXPECT_EQ(setenv("LD_PRELOAD", cluster_program("tests/preload/stuck_disk.so"), 1), 0);
    EXPECT_EQ(setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1), 0);
    cluster_init(&cluster, 3);
    cluster_form(&cluster);
}

static unsigned other_than(unsigned id)
{
    return id % 3 + 1;
}

static void expect_value(unsigned id, const char *path, const char *value)
{
    char text[16];

    EXPECT_EQ(wire_get_text(cluster.servers[id].address, path, CLIENT__READ_LEVEL__LINEARIZABLE,
                            text, sizeof text),
              CLIENT__CODE__OK);
    EXPECT_TEXT(text, value);
}

/* Wait until the status that `asked` gives has `part`. */
static void wait_status(unsigned asked, const char *part)
{
    uint64_t until_ms = process_now_ms() + CLUSTER_DEADLINE_MS;
    const struct outcome *outcome;

    do {
        outcome = cluster_cli(&cluster, asked, "status", NULL);
    } while (strstr(outcome->out, part) == NULL && process_now_ms() < until_ms);
    EXPECT_CONTAINS(outcome->out, part);
}

static void test_leadership_leaves_a_server_whose_disk_is_stuck(void)
{
    char list[100];
    struct confer *client = NULL;
    unsigned stuck;
    unsigned leader;

    form();
    stuck = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    EXPECT(stuck != 0);
    EXPECT_EQ(wire_set_text(cluster.servers[stuck].address, "/a", "1"), CLIENT__CODE__OK);
    (void)snprintf(list, sizeof list, "%s,%s", cluster.servers[stuck].address,
                   cluster.servers[other_than(stuck)].address);
    EXPECT_EQ(confer_open(list, NULL, &client), CONFER_OK);
    stick(stuck);
    /* Answered while the disk is stuck, wherever the client was connected. */
    EXPECT_EQ(confer_set(client, "/a", "2", 1, CONFER_ANY_VERSION, NULL, NULL), CONFER_OK);
    leader = cluster_wait_leader(&cluster, stuck, CLUSTER_DEADLINE_MS);
    EXPECT(leader != 0);
    EXPECT(leader != stuck);
    EXPECT_EQ(wire_set_text(cluster.servers[leader].address, "/a", "3"), CLIENT__CODE__OK);
    expect_value(leader, "/a", "3");
    wait_status(leader, "its disk is slow");
    unstick(stuck);
    /* It has all that it missed, and follows. */
    expect_value(stuck, "/a", "3");
    EXPECT_EQ(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS), leader);
    confer_close(client);
    cluster_release(&cluster);
}

static void test_a_stuck_disk_under_a_follower_holds_nobody_up(void)
{
    unsigned leader;
    unsigned stuck;
    long seen = 0;

    form();
    leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    EXPECT(leader != 0);
    stuck = other_than(leader);
    EXPECT_EQ(wire_set_text(cluster.servers[leader].address, "/a", "0"), CLIENT__CODE__OK);
    expect_value(stuck, "/a", "0");
    stick(stuck);
    for (long i = 1; i <= WRITES; i++) {
        char value[16];
        long shown;

        (void)snprintf(value, sizeof value, "%ld", i);
        EXPECT_EQ(wire_set_text(cluster.servers[leader].address, "/a", value), CLIENT__CODE__OK);
        /* The stuck one goes on answering, never with something older than before. */
        EXPECT_EQ(wire_get_text(cluster.servers[stuck].address, "/a", CLIENT__READ_LEVEL__LOCAL,
                                value, sizeof value),
                  CLIENT__CODE__OK);
        shown = strtol(value, NULL, 10);
        EXPECT(shown >= seen);
        EXPECT(shown <= i);
        seen = shown;
    }
    EXPECT_EQ(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS), leader);
    wait_status(leader, "its disk is slow");
    unstick(stuck);
    expect_value(stuck, "/a", "20");
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_leadership_leaves_a_server_whose_disk_is_stuck),
        TEST_CASE(test_a_stuck_disk_under_a_follower_holds_nobody_up), TEST_END};

    return test_main("stuck_disk", cases, argc, argv);
}
