/* confer-cli import. What is copied from is a server of this project's own, in its ZooKeeper guise.
 */
#include "tests/support/cluster.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct cluster cluster;

/* Two servers, each a cluster of its own: 1 is copied from, 2 to. */
static void start(void)
{
    char nodes[64];

    cluster_init(&cluster, 2);
    for (unsigned id = 1; id <= 2; id++) {
        cluster_start(&cluster, id);
        (void)snprintf(nodes, sizeof nodes, "%u=%s", id, cluster.servers[id].address);
        EXPECT_EQ(cluster_cli(&cluster, id, "init", "--nodes", nodes, NULL)->exit_code, 0);
    }
}

static const char *source(const char *path)
{
    static char text[128];

    (void)snprintf(text, sizeof text, "zookeeper://%s%s", cluster.servers[1].address, path);
    return text;
}

static void expect_output(const char *path, const char *option, const char *expected)
{
    const struct outcome *outcome = cluster_cli(&cluster, 2, "get", path, option, NULL);

    EXPECT_EQ(outcome->exit_code, 0);
    EXPECT_CONTAINS(outcome->out, expected);
}

static void run_source(const char *first, const char *second, const char *third)
{
    EXPECT_EQ(cluster_cli(&cluster, 1, first, second, third, NULL)->exit_code, 0);
}

static void test_a_copy_has_values_versions_lists_and_numbers(void)
{
    const struct outcome *outcome;

    start();
    run_source("set", "/app/db/url", "postgres://db1");
    run_source("set", "/app/db/url", "postgres://db2");
    run_source("set-acl", "/app/db/url", "ip:127.0.0.0/8:rwa,world:anyone:r");
    EXPECT_EQ(cluster_cli(&cluster, 1, "create", "-s", "/app/job-", "1", NULL)->exit_code, 0);
    EXPECT_EQ(cluster_cli(&cluster, 1, "create", "-s", "/app/job-", "2", NULL)->exit_code, 0);
    run_source("remove", "/app/job-0000000002", NULL);
    outcome = cluster_cli(&cluster, 2, "import", source("/app"), "/copied/app", NULL);
    EXPECT_TEXT(outcome->err, "");
    EXPECT_CONTAINS(outcome->out, "4 nodes copied");
    EXPECT_EQ(outcome->exit_code, 0);
    expect_output("/copied/app/db/url", "--local", "postgres://db2");
    expect_output("/copied/app/db/url", "--stat", "version          1\n");
    expect_output("/copied/app/db/url", "--acl", "ip:127.0.0.0/8:rwa\nworld:anyone:r\n");
    /* A number that was given is not given again. */
    outcome = cluster_cli(&cluster, 2, "create", "-s", "/copied/app/job-", "3", NULL);
    EXPECT(strcmp(outcome->out, "/copied/app/job-0000000002") > 0);
    cluster_release(&cluster);
}

static void test_a_copy_begun_again_brings_up_to_date(void)
{
    const struct outcome *outcome;
    char path[32];

    start();
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(path, sizeof path, "/%c/%u", "abcd"[i % 4], i);
        run_source("set", path, path);
    }
    outcome = cluster_cli(&cluster, 2, "import", source(""), "/", NULL);
    EXPECT_CONTAINS(outcome->out, "24 nodes copied, 1 were there");
    EXPECT_EQ(outcome->exit_code, 0);
    run_source("set", "/b/1", "changed");
    run_source("set", "/b/new", "new");
    outcome = cluster_cli(&cluster, 2, "import", source("/"), "/", NULL);
    EXPECT_CONTAINS(outcome->out, "1 nodes copied, 25 were there");
    expect_output("/b/1", "--local", "changed");
    expect_output("/b/new", "--local", "new");
    expect_output("/d/19", "--local", "/d/19");
    cluster_release(&cluster);
}

static void test_what_may_not_be_read_is_named_and_left_out(void)
{
    const struct outcome *outcome;

    start();
    EXPECT_EQ(cluster_cli(&cluster, 1, "-u", "ann:secret", "create", "/secret", "42", "--acl",
                          "auth::cdrwa", NULL)
                  ->exit_code,
              0);
    /* May be read, but its list shows no hash to others. */
    EXPECT_EQ(cluster_cli(&cluster, 1, "-u", "ann:secret", "create", "/shown", "43", "--acl",
                          "auth::cdrwa,world:anyone:r", NULL)
                  ->exit_code,
              0);
    outcome = cluster_cli(&cluster, 2, "import", source("/"), "/", NULL);
    EXPECT_EQ(outcome->exit_code, 1);
    EXPECT_CONTAINS(outcome->err, "/secret\n");
    EXPECT_CONTAINS(outcome->err, "/shown\n");
    EXPECT_EQ(cluster_cli(&cluster, 2, "get", "/shown", NULL)->exit_code, 3);
    outcome =
        cluster_cli(&cluster, 2, "import", source("/"), "/", "--source-user", "ann:secret", NULL);
    EXPECT_EQ(outcome->exit_code, 0);
    EXPECT_EQ(cluster_cli(&cluster, 2, "get", "/secret", NULL)->exit_code, 1);
    EXPECT_TEXT(cluster_cli(&cluster, 2, "-u", "ann:secret", "get", "/secret", NULL)->out, "42");
    cluster_release(&cluster);
}

static void test_a_source_that_is_none_is_told(void)
{
    const struct outcome *outcome;
    char address[64];

    start();
    outcome = cluster_cli(&cluster, 2, "import", "127.0.0.1:1", "/", NULL);
    EXPECT_EQ(outcome->exit_code, 2);
    outcome = cluster_cli(&cluster, 2, "import", source("/nothing"), "/", NULL);
    EXPECT_EQ(outcome->exit_code, 3);
    (void)snprintf(address, sizeof address, "zookeeper://127.0.0.1:%u", cluster_free_port());
    outcome = cluster_cli(&cluster, 2, "import", address, "/", "--timeout", "1s", NULL);
    EXPECT_EQ(outcome->exit_code, 5);
    EXPECT_CONTAINS(outcome->err, "do not answer");
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_copy_has_values_versions_lists_and_numbers),
        TEST_CASE(test_a_copy_begun_again_brings_up_to_date),
        TEST_CASE(test_what_may_not_be_read_is_named_and_left_out),
        TEST_CASE(test_a_source_that_is_none_is_told), TEST_END};

    return test_main("import", cases, argc, argv);
}
