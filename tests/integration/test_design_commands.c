/* The command lines that a user is promised first, in their order and as they are written, with
 * other ports. */
#include "tests/support/cluster.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct cluster cluster;

static const struct outcome *expect_done(const struct outcome *outcome)
{
    EXPECT_TEXT(outcome->err, "");
    EXPECT_EQ(outcome->exit_code, 0);
    return outcome;
}

static const char *web(unsigned id)
{
    static char texts[4][64];
    static unsigned turn;
    char *text = texts[turn++ % 4];

    (void)snprintf(text, sizeof texts[0], "http://%s", cluster.servers[id].address);
    return text;
}

static const struct outcome *run(const char *const arguments[])
{
    return outcome_of(arguments, CLUSTER_DEADLINE_MS);
}

static void test_two_servers_grow_to_three_and_hold_data(void)
{
    const char *cli = cluster_program("cli/confer-cli");
    struct process watcher;
    const struct outcome *status;
    char text[160];
    uint64_t end;

    cluster_init(&cluster, 3);
    cluster_start(&cluster, 1);
    cluster_start(&cluster, 2);
    (void)snprintf(text, sizeof text, "1=%s,2=%s", web(1), web(2));
    (void)expect_done(
        run((const char *const[]){cli, "--address", web(1), "init", "--nodes", text, NULL}));
    cluster_start(&cluster, 3);
    (void)snprintf(text, sizeof text, "3=%s", web(3));
    (void)expect_done(
        run((const char *const[]){cli, "--address", web(1), "add-learner", "--node", text, NULL}));
    (void)expect_done(run((const char *const[]){cli, "--address", web(1), "change-membership",
                                                "--members", "1,2,3", NULL}));
    (void)expect_done(cluster_cli(&cluster, 1, "set", "/app/db/url", "postgres://db1/app", NULL));
    EXPECT_TEXT(expect_done(cluster_cli(&cluster, 2, "get", "/app/db/url", NULL))->out,
                "postgres://db1/app");

    /* From here on the address comes from the environment. */
    EXPECT_EQ(setenv("CONFER_ADDRESS", cluster.servers[1].address, 1), 0);
    EXPECT_TEXT(expect_done(cluster_cli(&cluster, 0, "list", "/app", NULL))->out, "db\n");
    EXPECT_CONTAINS(expect_done(cluster_cli(&cluster, 0, "tree", "/", NULL))->out, "url");
    cluster_cli_start(&cluster, &watcher, 0, "watch", "-r", "/app", NULL);
    /* A leader may be sought just then. */
    end = process_now_ms() + CLUSTER_DEADLINE_MS;
    do {
        status = expect_done(cluster_cli(&cluster, 0, "status", NULL));
    } while (strstr(status->out, "leader") == NULL && process_now_ms() < end);
    EXPECT_CONTAINS(status->out, "leader");
    for (unsigned id = 1; id <= 3; id++) {
        EXPECT_CONTAINS(status->out, cluster.servers[id].address);
    }
    /* The watch stands once it has shown a change: make them until it does. */
    for (int i = 0; !process_wait_text(&watcher, watcher.out, "/app/db/other", 200); i++) {
        EXPECT(i < 100);
        (void)snprintf(text, sizeof text, "%d", i);
        (void)expect_done(cluster_cli(&cluster, 0, "set", "/app/db/other", text, NULL));
    }
    (void)expect_done(cluster_cli(&cluster, 0, "remove", "/app/db/url", NULL));
    EXPECT(process_wait_text(&watcher, watcher.out, "/app/db/url", CLUSTER_DEADLINE_MS));
    process_release(&watcher);
    EXPECT(cluster_cli(&cluster, 2, "get", "/app/db/url", NULL)->exit_code != 0);
    EXPECT_EQ(unsetenv("CONFER_ADDRESS"), 0);
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_two_servers_grow_to_three_and_hold_data), TEST_END};
    return test_main("design_commands", cases, argc, argv);
}
