/* The examples do what they show, against a real server. */
#include "tests/support/cluster.h"
#include "tests/support/test.h"

#include <stdio.h>

static struct cluster cluster;

static const struct outcome *run(const char *example, const char *first, const char *second)
{
    const struct outcome *outcome =
        outcome_of((const char *const[]){cluster_program(example), cluster.servers[1].address,
                                         first, second, NULL},
                   CLUSTER_DEADLINE_MS);

    EXPECT_TEXT(outcome->err, "");
    EXPECT_EQ(outcome->exit_code, 0);
    return outcome;
}

static void test_the_examples_end_well(void)
{
    const struct outcome *outcome;

    cluster_init(&cluster, 1);
    cluster_form(&cluster);
    outcome = run("examples/get_set", NULL, NULL);
    EXPECT_CONTAINS(outcome->out, "not changed: somebody else was faster");
    outcome = run("examples/watch_subtree", "/examples", "demo");
    EXPECT_CONTAINS(outcome->out, "created /examples/greeting good morning");
    EXPECT_CONTAINS(outcome->out, "removed /examples/demo");
    outcome = run("examples/leader_election", "alice", "0");
    EXPECT_CONTAINS(outcome->out, "alice leads");
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {TEST_CASE(test_the_examples_end_well), TEST_END};
    return test_main("examples", cases, argc, argv);
}
