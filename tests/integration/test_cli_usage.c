/* What confer-cli and confer-server say to wrong or curious command lines; no server runs. */
#include "tests/support/cluster.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

static struct cluster cluster;

static const char *const commands[] = {
    "get",           "set",    "remove",  "list",          "tree",
    "watch",         "status", "init",    "add-learner",   "change-membership",
    "cancel-change", "create", "set-acl", "remove-member", "transfer-leader"};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands, USAGE = 2 };

static void test_help_goes_to_stdout_and_succeeds(void)
{
    const struct outcome *help;

    cluster_init(&cluster, 0);
    help = cluster_cli(&cluster, 0, "--help", NULL);
    EXPECT_EQ(help->exit_code, 0);
    EXPECT_TEXT(help->err, "");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        EXPECT_CONTAINS(help->out, commands[i]);
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        help = cluster_cli(&cluster, 0, commands[i], "--help", NULL);
        EXPECT_EQ(help->exit_code, 0);
        EXPECT_TEXT(help->err, "");
        EXPECT_CONTAINS(help->out, commands[i]);
    }
    cluster_release(&cluster);
}

static void expect_usage(const struct outcome *outcome)
{
    EXPECT_TEXT(outcome->out, "");
    EXPECT(strlen(outcome->err) > 0);
    EXPECT_EQ(outcome->exit_code, USAGE);
}

static void test_wrong_usage_of_every_command_is_code_2_and_says_why(void)
{
    cluster_init(&cluster, 0);
    expect_usage(cluster_cli(&cluster, 0, "no-such-command", NULL));
    expect_usage(cluster_cli(&cluster, 0, "--no-such-option", "get", "/", NULL));
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        expect_usage(cluster_cli(&cluster, 0, commands[i], "--no-such-option", NULL));
        expect_usage(cluster_cli(&cluster, 0, commands[i], "/a", "/b", "/c", "/d", NULL));
    }
    expect_usage(cluster_cli(&cluster, 0, "get", NULL));
    expect_usage(cluster_cli(&cluster, 0, "set", "/a/b/c", NULL));
    expect_usage(cluster_cli(&cluster, 0, "remove", NULL));
    expect_usage(cluster_cli(&cluster, 0, "init", NULL));
    expect_usage(cluster_cli(&cluster, 0, "init", "--nodes", "nonsense", NULL));
    expect_usage(cluster_cli(&cluster, 0, "add-learner", "--node", "2", NULL));
    expect_usage(cluster_cli(&cluster, 0, "change-membership", "--members", "one,two", NULL));
    expect_usage(cluster_cli(&cluster, 0, "--address", "nonsense", "get", "/", NULL));
    cluster_release(&cluster);
}

static void test_a_near_miss_is_answered_with_the_command_that_was_meant(void)
{
    cluster_init(&cluster, 0);
    EXPECT_CONTAINS(cluster_cli(&cluster, 0, "lits", "/", NULL)->err, "list");
    EXPECT_CONTAINS(cluster_cli(&cluster, 0, "statsu", NULL)->err, "status");
    cluster_release(&cluster);
}

static void test_an_address_where_nobody_listens_is_named(void)
{
    const struct outcome *outcome;
    char address[32];

    cluster_init(&cluster, 0);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", cluster_free_port());
    outcome = cluster_cli(&cluster, 0, "--address", address, "get", "/a", NULL);
    EXPECT(outcome->exit_code > 0 && outcome->exit_code != USAGE);
    EXPECT_TEXT(outcome->out, "");
    EXPECT_CONTAINS(outcome->err, address);
    cluster_release(&cluster);
}

static void expect_server_usage(const char *const arguments[], const char *words)
{
    const struct outcome *outcome = outcome_of(arguments, CLUSTER_DEADLINE_MS);

    EXPECT_CONTAINS(outcome->err, words);
    EXPECT(outcome->exit_code > 0 && outcome->exit_code < 126);
}

static void test_the_server_refuses_wrong_options_with_a_suggestion(void)
{
    const char *server = cluster_program("server/confer-server");
    const struct outcome *help =
        outcome_of((const char *const[]){server, "--help", NULL}, CLUSTER_DEADLINE_MS);

    EXPECT_EQ(help->exit_code, 0);
    EXPECT_CONTAINS(help->out, "--server");
    expect_server_usage((const char *const[]){server, NULL}, "--id");
    expect_server_usage((const char *const[]){server, "--id", "1", NULL}, "--server");
    expect_server_usage((const char *const[]){server, "--id", "0", "--server", "a:1", NULL},
                        "--id");
    expect_server_usage((const char *const[]){server, "--id", "1", "--server", "a", NULL},
                        "HOST:PORT");
    expect_server_usage((const char *const[]){server, "--sever", "127.0.0.1:1", NULL}, "--server");
    expect_server_usage((const char *const[]){server, "--id", NULL}, "--id");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_help_goes_to_stdout_and_succeeds),
        TEST_CASE(test_wrong_usage_of_every_command_is_code_2_and_says_why),
        TEST_CASE(test_a_near_miss_is_answered_with_the_command_that_was_meant),
        TEST_CASE(test_an_address_where_nobody_listens_is_named),
        TEST_CASE(test_the_server_refuses_wrong_options_with_a_suggestion),
        TEST_END};
    return test_main("cli_usage", cases, argc, argv);
}
