/* Three servers and what befalls them: no acknowledged write is lost, none takes effect twice. */
#include "tests/integration/writers.h"
#include "tests/support/cluster.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#include <confer.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { WRITER_COUNT = 8 };

static struct cluster cluster;

static const char *all_servers(void)
{
    static char text[256];
    size_t size = 0;

    for (unsigned id = 1; id <= cluster.server_count; id++) {
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%s", id > 1 ? "," : "",
                                 cluster.servers[id].address);
    }
    return text;
}

static void test_a_killed_leader_costs_no_acknowledged_write(void)
{
    struct writers *writers;

    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    writers = writers_start(all_servers(), WRITER_COUNT, "/written");
    writers_wait(writers, 20, CLUSTER_DEADLINE_MS);
    for (int round = 0; round < 3; round++) {
        unsigned leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);

        EXPECT(leader != 0);
        cluster_kill(&cluster, leader);
        EXPECT(cluster_wait_leader(&cluster, leader, 15000) != 0);
        writers_wait(writers, 20, CLUSTER_DEADLINE_MS);
        cluster_start(&cluster, leader);
        writers_wait(writers, 20, CLUSTER_DEADLINE_MS);
    }
    writers_stop(writers);
    EXPECT(writers_check(writers, all_servers()) >= 20 * 7 * WRITER_COUNT);
    /* Each server alone holds them too. */
    for (unsigned id = 1; id <= 3; id++) {
        (void)writers_check(writers, cluster.servers[id].address);
    }
    writers_free(writers);
    cluster_release(&cluster);
}

static void test_five_servers_lose_nothing_with_two_leaders_killed(void)
{
    struct writers *writers;
    unsigned first;
    unsigned second;

    cluster_init(&cluster, 5);
    cluster_form(&cluster);
    writers = writers_start(all_servers(), WRITER_COUNT, "/written");
    writers_wait(writers, 20, CLUSTER_DEADLINE_MS);
    first = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    cluster_kill(&cluster, first);
    second = cluster_wait_leader(&cluster, first, CLUSTER_DEADLINE_MS);
    EXPECT(second != 0);
    cluster_kill(&cluster, second);
    writers_wait(writers, 20, CLUSTER_DEADLINE_MS);
    cluster_start(&cluster, first);
    cluster_start(&cluster, second);
    writers_stop(writers);
    for (unsigned id = 1; id <= 5; id++) {
        EXPECT(writers_check(writers, cluster.servers[id].address) >= 20 * 2 * WRITER_COUNT);
    }
    writers_free(writers);
    cluster_release(&cluster);
}

static void test_servers_stopped_in_turn_end_well_and_lose_nothing(void)
{
    struct writers *writers;

    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    writers = writers_start(all_servers(), WRITER_COUNT, "/stopped");
    for (unsigned id = 1; id <= 3; id++) {
        writers_wait(writers, 20, CLUSTER_DEADLINE_MS);
        cluster_signal(&cluster, id, SIGTERM);
        EXPECT(process_wait(&cluster.servers[id].process, CLUSTER_DEADLINE_MS));
        EXPECT_EQ(cluster.servers[id].process.exit_code, 0);
        writers_wait(writers, 20, CLUSTER_DEADLINE_MS);
        cluster_start(&cluster, id);
    }
    writers_wait(writers, 20, CLUSTER_DEADLINE_MS);
    writers_stop(writers);
    EXPECT(writers_check(writers, all_servers()) >= 20 * 7 * WRITER_COUNT);
    writers_free(writers);
    cluster_release(&cluster);
}

static void test_all_killed_at_once_come_back_with_everything(void)
{
    struct writers *writers;

    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    writers = writers_start(all_servers(), WRITER_COUNT, "/written");
    for (int round = 0; round < 2; round++) {
        writers_wait(writers, 20, CLUSTER_DEADLINE_MS);
        for (unsigned id = 1; id <= 3; id++) {
            cluster_kill(&cluster, id);
        }
        for (unsigned id = 1; id <= 3; id++) {
            cluster_start(&cluster, id);
        }
    }
    writers_wait(writers, 20, CLUSTER_DEADLINE_MS);
    writers_stop(writers);
    EXPECT(writers_check(writers, all_servers()) >= 20 * 3 * WRITER_COUNT);
    writers_free(writers);
    cluster_release(&cluster);
}

/* What a linearizable read of `path` at one server gives: the value, or NULL without one. */
static const char *read_linearizable(const char *address, const char *path, char value[64])
{
    return wire_get_text(address, path, CLIENT__READ_LEVEL__LINEARIZABLE, value, 64) ==
                   (int)CLIENT__CODE__OK
               ? value
               : NULL;
}

static void set(struct confer *confer, const char *path, const char *value)
{
    EXPECT_EQ(confer_set(confer, path, value, strlen(value), CONFER_ANY_VERSION, NULL, NULL),
              CONFER_OK);
}

static void test_a_leader_that_wakes_up_late_gives_no_old_value(void)
{
    struct confer_create ephemeral = {.mode = CONFER_EPHEMERAL};
    struct confer_options options;
    struct confer *owner = NULL;
    struct confer *others = NULL;
    struct confer_result *result = NULL;
    char others_text[128];
    char value[64];
    const char *read;
    unsigned leader;

    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    (void)snprintf(others_text, sizeof others_text, "%s,%s",
                   cluster.servers[leader % 3 + 1].address,
                   cluster.servers[(leader + 1) % 3 + 1].address);
    confer_options_init(&options);
    options.session_timeout_ms = 60000;
    EXPECT_EQ(confer_open(cluster.servers[leader].address, &options, &owner), CONFER_OK);
    EXPECT_EQ(confer_open(others_text, NULL, &others), CONFER_OK);
    EXPECT_EQ(confer_create(owner, "/owned", NULL, 0, &ephemeral, NULL, NULL), CONFER_OK);
    set(others, "/x", "old");

    cluster_signal(&cluster, leader, SIGSTOP);
    EXPECT(cluster_wait_leader(&cluster, leader, 15000) != 0);
    set(others, "/x", "new");
    cluster_signal(&cluster, leader, SIGCONT);
    read = read_linearizable(cluster.servers[leader].address, "/x", value);
    if (read != NULL) { /* it may say that it cannot answer; it may not answer wrongly */
        EXPECT_TEXT(read, "new");
    }

    /* The session of the client that was attached to it lives on. */
    set(owner, "/y", "still here");
    EXPECT_EQ(confer_exists(others, "/owned", &(struct confer_call){.linearizable = true}, &result),
              CONFER_OK);
    EXPECT(result->exists);
    confer_result_free(result);
    confer_close(owner);
    EXPECT_EQ(confer_exists(others, "/owned", &(struct confer_call){.linearizable = true}, &result),
              CONFER_OK);
    EXPECT(!result->exists);
    confer_result_free(result);
    confer_close(others);
    cluster_release(&cluster);
}

/* By a follower too, which hears it from the leader. */
static void test_a_write_that_is_refused_holds_up_no_other_on_any_server(void)
{
    enum { PATH_BYTES = 5000 };
    char path[PATH_BYTES + 1];
    char value[24];

    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    memset(path, 'p', PATH_BYTES);
    path[0] = '/';
    path[PATH_BYTES] = '\0';
    for (unsigned id = 1; id <= 3; id++) {
        EXPECT_EQ(wire_set_text(cluster.servers[id].address, path, "1"), CLIENT__CODE__LIMIT);
        (void)snprintf(value, sizeof value, "%u", id);
        EXPECT_EQ(wire_set_text(cluster.servers[id].address, "/x", value), CLIENT__CODE__OK);
    }
    cluster_release(&cluster);
}

static void test_a_minority_neither_writes_nor_reads_linearizably(void)
{
    struct confer_options options;
    struct confer *confer = NULL;
    unsigned leader;
    char value[64];

    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    EXPECT_EQ(wire_set_text(cluster.servers[1].address, "/x", "1"), CLIENT__CODE__OK);
    leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    for (unsigned id = 1; id <= 3; id++) {
        if (id != leader) {
            cluster_kill(&cluster, id);
        }
    }
    confer_options_init(&options);
    options.request_timeout_ms = 2000;
    options.no_session = true;
    EXPECT_EQ(confer_open(cluster.servers[leader].address, &options, &confer), CONFER_OK);
    EXPECT(confer_set(confer, "/x", "2", 1, CONFER_ANY_VERSION, NULL, NULL) != CONFER_OK);
    confer_close(confer);
    EXPECT(read_linearizable(cluster.servers[leader].address, "/x", value) == NULL);
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_killed_leader_costs_no_acknowledged_write),
        TEST_CASE(test_five_servers_lose_nothing_with_two_leaders_killed),
        TEST_CASE(test_servers_stopped_in_turn_end_well_and_lose_nothing),
        TEST_CASE(test_all_killed_at_once_come_back_with_everything),
        TEST_CASE(test_a_leader_that_wakes_up_late_gives_no_old_value),
        TEST_CASE(test_a_write_that_is_refused_holds_up_no_other_on_any_server),
        TEST_CASE(test_a_minority_neither_writes_nor_reads_linearizably),
        TEST_END};
    return test_main("three_servers", cases, argc, argv);
}
