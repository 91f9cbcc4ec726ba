/* A member that the log has left behind catches up by a dump, also when the transfer is cut. */
#include "tests/integration/writers.h"
#include "tests/support/cluster.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

static struct cluster cluster;

/* A log tail so short, and checkpoints so frequent, that a member that is away soon needs a dump.
 */
static const char *const short_log[] = {"--checkpoint-records", "40", "--log-tail", "16KiB",
                                        "--log-tail-entries",   "20"};

static char servers[160];

static void begin(void)
{
    cluster_init(&cluster, 3);
    memcpy(cluster.options, short_log, sizeof short_log);
    cluster_form(&cluster);
    (void)snprintf(servers, sizeof servers, "%s,%s,%s", cluster.servers[1].address,
                   cluster.servers[2].address, cluster.servers[3].address);
}

/* Some member that does not lead. */
static unsigned follower(void)
{
    unsigned leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);

    EXPECT(leader != 0);
    return leader % 3 + 1;
}

/* Wait until `id` alone gives back what everybody wrote. */
static void expect_complete(unsigned id, const struct writers *writers)
{
    EXPECT(writers_check(writers, cluster.servers[id].address) > 0);
    EXPECT(!process_wait(&cluster.servers[id].process, 0));
}

/* Three servers under writes, of which a follower is away for more than the log keeps. */
static struct writers *leave_behind(unsigned *ret_away)
{
    struct writers *writers;

    begin();
    writers = writers_start(servers, 4, "/written");
    writers_wait(writers, 20, CLUSTER_DEADLINE_MS);
    *ret_away = follower();
    cluster_kill(&cluster, *ret_away);
    writers_wait(writers, 300, 2 * CLUSTER_DEADLINE_MS);
    return writers;
}

static void test_a_member_left_behind_catches_up(void)
{
    unsigned away;
    struct writers *writers = leave_behind(&away);

    cluster_start(&cluster, away);
    writers_stop(writers);
    expect_complete(away, writers);
    writers_free(writers);
    EXPECT_CONTAINS(process_text(&cluster.servers[away].process, cluster.servers[away].process.out),
                    "dump");
    cluster_release(&cluster);
}

static void test_a_transfer_that_is_cut_begins_again(void)
{
    unsigned away;
    struct writers *writers = leave_behind(&away);

    for (int round = 0; round < 3; round++) {
        /* Killed amid it, as soon as it speaks of a dump in this run. */
        cluster_start(&cluster, away);
        (void)process_wait_text(&cluster.servers[away].process, cluster.servers[away].process.out,
                                "dump", 5000);
        cluster_kill(&cluster, away);
    }
    cluster_start(&cluster, away);
    /* And now the sender. */
    {
        unsigned leader = cluster_wait_leader(&cluster, away, CLUSTER_DEADLINE_MS);

        EXPECT(leader != 0);
        cluster_kill(&cluster, leader);
        cluster_start(&cluster, leader);
    }
    writers_wait(writers, 20, CLUSTER_DEADLINE_MS);
    writers_stop(writers);
    expect_complete(away, writers);
    writers_free(writers);
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {TEST_CASE(test_a_member_left_behind_catches_up),
                                             TEST_CASE(test_a_transfer_that_is_cut_begins_again),
                                             TEST_END};
    return test_main("dump", cases, argc, argv);
}
