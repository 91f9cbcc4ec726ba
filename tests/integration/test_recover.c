/* The way back from a lost majority: what the survivor held is there, nobody of the old cluster
 * comes back, and the cluster grows again. */
#include "tests/support/cluster.h"
#include "tests/support/damage.h"
#include "tests/support/folder.h"
#include "tests/support/test.h"
#include "tests/support/zookeeper_wire.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WRITES = 50 };

static struct cluster cluster;

static void expect_done(const struct outcome *outcome)
{
    EXPECT_TEXT(outcome->err, "");
    EXPECT_EQ(outcome->exit_code, 0);
}

static const struct outcome *recover(unsigned id, const char *what)
{
    return cluster_recover(&cluster, id, what);
}

/* TERM.INDEX, as `show` tells it. */
static const char *last_entry(unsigned id)
{
    static char last[64];
    const struct outcome *outcome = recover(id, "show");
    const char *at = strstr(outcome->out, "last entry  ");

    expect_done(outcome);
    EXPECT(at != NULL);
    EXPECT(sscanf(at, "last entry  %63[0-9.]", last) == 1);
    return last;
}

static uint64_t index_of(const char *last)
{
    return strtoull(strchr(last, '.') + 1, NULL, 10);
}

static void expect_refused(const struct outcome *outcome, const char *words)
{
    EXPECT_CONTAINS(outcome->err, words);
    EXPECT_EQ(outcome->exit_code, 1);
}

/* The disk of the leader `id` holds all of its log. */
static void wait_until_durable(unsigned id)
{
    uint64_t deadline_ms = process_now_ms() + CLUSTER_DEADLINE_MS;
    unsigned long long last;
    unsigned long long match;

    do {
        const char *status = cluster_cli(&cluster, id, "status", "--output", "json", NULL)->out;
        const char *self = strstr(status, "\"role\": \"leader\"");
        const char *at = self == NULL ? NULL : strstr(self, "\"last\":");

        last = 0;
        match = 0;
        if (at == NULL ||
            sscanf(at, "\"last\": %llu, \"lag\": %*u, \"match\": %llu", &last, &match) != 2) {
            EXPECT_CONTAINS(status, "\"role\": \"leader\"");
        }
        process_pause();
    } while (last != match && process_now_ms() < deadline_ms);
    EXPECT_EQ(match, last);
}

static void add(unsigned through, unsigned id)
{
    char node[64];

    cluster_start(&cluster, id);
    (void)snprintf(node, sizeof node, "%u=%s", id, cluster.servers[id].address);
    expect_done(cluster_cli(&cluster, through, "add-learner", "--node", node, "--promote", NULL));
}

static void write_all(unsigned through)
{
    for (unsigned i = 0; i < WRITES; i++) {
        char path[32];
        char value[32];

        (void)snprintf(path, sizeof path, "/kept/%u", i);
        (void)snprintf(value, sizeof value, "value-%u", i);
        expect_done(cluster_cli(&cluster, through, "set", path, value, NULL));
    }
}

static void expect_all(unsigned through)
{
    for (unsigned i = 0; i < WRITES; i += 7) {
        const struct outcome *outcome;
        char path[32];
        char value[32];

        (void)snprintf(path, sizeof path, "/kept/%u", i);
        (void)snprintf(value, sizeof value, "value-%u", i);
        outcome = cluster_cli(&cluster, through, "get", path, NULL);
        expect_done(outcome);
        EXPECT_CONTAINS(outcome->out, value);
    }
}

static void test_a_survivor_goes_on_alone_and_grows_again(void)
{
    const struct outcome *outcome;
    const char *last;
    char old_last[64];

    cluster_init(&cluster, 5);
    for (unsigned id = 1; id <= 3; id++) {
        cluster_start(&cluster, id);
    }
    {
        char nodes[160];

        (void)snprintf(nodes, sizeof nodes, "1=%s,2=%s,3=%s", cluster.servers[1].address,
                       cluster.servers[2].address, cluster.servers[3].address);
        expect_done(cluster_cli(&cluster, 1, "init", "--nodes", nodes, NULL));
    }
    write_all(2);
    expect_all(1); /* linearizable: server 1 holds them */
    cluster_kill(&cluster, 2);
    cluster_kill(&cluster, 3);
    cluster_wait_status(&cluster, 1, "--recover");

    /* Not beside a running server. */
    expect_refused(recover(1, "show"), "is in use by process");
    cluster_kill(&cluster, 1);
    outcome = recover(1, "show");
    expect_done(outcome);
    EXPECT_CONTAINS(outcome->out, cluster.servers[2].address);
    EXPECT_CONTAINS(outcome->out, "given up");
    EXPECT_CONTAINS(outcome->out, "Nothing was changed yet");
    (void)snprintf(old_last, sizeof old_last, "%s", last_entry(1));
    EXPECT_CONTAINS(outcome->out, old_last);

    /* Only what was shown. */
    expect_refused(recover(1, "1.1"), "look again with --recover show");
    EXPECT_TEXT(last_entry(1), old_last);
    EXPECT_EQ(recover(1, "yes")->exit_code, 2);

    outcome = recover(1, old_last);
    expect_done(outcome);
    EXPECT_CONTAINS(outcome->out, "is the only voter of its new cluster now");
    /* Again: it is done already, and stays as it is. */
    outcome = recover(1, old_last);
    expect_done(outcome);
    EXPECT_CONTAINS(outcome->out, "only voter already");
    last = last_entry(1);
    EXPECT(index_of(last) > index_of(old_last) + 1000);

    cluster_start(&cluster, 1);
    expect_all(1);
    expect_done(cluster_cli(&cluster, 1, "set", "/after", "alone", NULL));

    /* The lost ones come back, and are a majority of what they know. */
    cluster_start(&cluster, 2);
    cluster_start(&cluster, 3);
    cluster_wait_log(&cluster, 1, "different clusters", CLUSTER_DEADLINE_MS);
    cluster_wait_status(&cluster, 2, "Server 1: not reachable: refused there");

    add(1, 4);
    add(1, 5);
    cluster_wait_status(&cluster, 1, "Tolerates 1 failure.");
    expect_all(5);
    cluster_kill(&cluster, 1);
    EXPECT(cluster_wait_leader(&cluster, 1, CLUSTER_DEADLINE_MS) != 0);
    outcome = cluster_cli(&cluster, 4, "get", "/after", NULL);
    expect_done(outcome);
    EXPECT_CONTAINS(outcome->out, "alone");
    cluster_release(&cluster);
}

/* Killed earlier and later, until it comes to its end: the folder is the old one or the new one. */
static void test_recovering_is_done_or_not_done_whenever_it_is_killed(void)
{
    char old_last[64];
    bool is_done = false;

    cluster_init(&cluster, 2);
    cluster_form(&cluster);
    write_all(1);
    expect_all(2);
    cluster_kill(&cluster, 1);
    cluster_kill(&cluster, 2);
    (void)snprintf(old_last, sizeof old_last, "%s", last_entry(2));
    /* In steps that grow: one by one, a slow machine would need minutes to get there. */
    for (unsigned pauses = 0; !is_done; pauses += 1 + pauses / 8) {
        const char *const more[] = {"--recover", old_last, NULL};
        struct cluster_command command;
        struct process process;
        const struct outcome *outcome;

        EXPECT(pauses < 1000);
        cluster_command(&cluster, 2, more, &command);
        process_start(&process, command.words, NULL);
        for (unsigned i = 0; i < pauses; i++) {
            process_pause();
        }
        process_release(&process);
        outcome = recover(2, "show");
        expect_done(outcome);
        is_done = strstr(outcome->out, "only voter already") != NULL;
        if (!is_done) {
            EXPECT_TEXT(last_entry(2), old_last);
        }
    }
    cluster_start(&cluster, 2);
    expect_all(2);
    cluster_release(&cluster);
}

/* A change of voters that nobody is left to end. */
static void test_a_joint_configuration_without_a_leader_is_resolved(void)
{
    struct process command;
    char node[64];

    cluster_init(&cluster, 3);
    /* Long enough that the leader does not take the change back before it is killed. */
    cluster.options[0] = "--election-timeout";
    cluster.options[1] = "20s";
    for (unsigned id = 1; id <= 3; id++) {
        cluster_start(&cluster, id);
    }
    (void)snprintf(node, sizeof node, "1=%s", cluster.servers[1].address);
    expect_done(cluster_cli(&cluster, 1, "init", "--nodes", node, NULL));
    expect_done(cluster_cli(&cluster, 1, "set", "/kept/0", "value-0", NULL));
    for (unsigned id = 2; id <= 3; id++) {
        (void)snprintf(node, sizeof node, "%u=%s", id, cluster.servers[id].address);
        expect_done(cluster_cli(&cluster, 1, "add-learner", "--node", node, NULL));
    }
    cluster_signal(&cluster, 2, SIGSTOP);
    cluster_signal(&cluster, 3, SIGSTOP);
    cluster_cli_start(&cluster, &command, 1, "change-membership", "--force", "--members", "1,2,3",
                      NULL);
    cluster_wait_status(&cluster, 1, "is under way for");
    wait_until_durable(1);
    cluster_kill(&cluster, 1);
    process_release(&command);
    EXPECT_CONTAINS(recover(1, "show")->out, "A change of voters was under way");
    expect_done(recover(1, last_entry(1)));
    cluster_start(&cluster, 1);
    expect_done(cluster_cli(&cluster, 1, "set", "/after", "alone", NULL));
    cluster_wait_status(&cluster, 1, "Tolerates 0 failures");
    cluster_release(&cluster);
}

/* With one of two refused there is no majority that could remove it. */
static void test_two_servers_of_which_one_is_an_old_copy(void)
{
    char copy[600];

    cluster_init(&cluster, 2);
    (void)snprintf(copy, sizeof copy, "%s.copy", cluster.servers[2].data);
    cluster_form(&cluster);
    cluster_kill(&cluster, 2);
    folder_copy(cluster.servers[2].data, copy);
    cluster_start(&cluster, 2);
    EXPECT(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS) != 0);
    expect_done(cluster_cli(&cluster, 2, "set", "/kept/0", "value-0", NULL));
    cluster_kill(&cluster, 2);
    folder_copy(copy, cluster.servers[2].data);
    cluster_launch(&cluster, 2);
    EXPECT(process_wait(&cluster.servers[2].process, CLUSTER_DEADLINE_MS));
    EXPECT_EQ(cluster.servers[2].process.exit_code, 1);
    cluster_wait_status(&cluster, 1, "is an old copy");
    cluster_kill(&cluster, 1);
    EXPECT_CONTAINS(recover(2, "show")->out, "look for a newer one");
    expect_done(recover(1, last_entry(1)));
    cluster_start(&cluster, 1);
    folder_remove(cluster.servers[2].data);
    add(1, 2);
    cluster_wait_status(&cluster, 1, "Tolerates 0 failures");
    EXPECT_CONTAINS(cluster_cli(&cluster, 2, "get", "/kept/0", NULL)->out, "value-0");
    cluster_release(&cluster);
}

static void test_folders_that_cannot_be_recovered_are_refused(void)
{
    char node[64];

    cluster_init(&cluster, 1);
    expect_refused(recover(1, "show"), "there is no data of a server");
    cluster_start(&cluster, 1);
    cluster_kill(&cluster, 1);
    expect_refused(recover(1, "show"), "belongs to no cluster yet");
    cluster_start(&cluster, 1);
    (void)snprintf(node, sizeof node, "1=%s", cluster.servers[1].address);
    expect_done(cluster_cli(&cluster, 1, "init", "--nodes", node, NULL));
    cluster_kill(&cluster, 1);
    EXPECT_CONTAINS(recover(1, "show")->out, "only voter already");
    cluster_release(&cluster);
}

static bool is_same_file(const char *path, const uint8_t *before, size_t bytes_before)
{
    size_t bytes;
    uint8_t *after = damage_read(path, &bytes);
    bool is_same = bytes == bytes_before && memcmp(after, before, bytes) == 0;

    free(after);
    return is_same;
}

static void test_a_damaged_folder_is_refused_and_left_as_it_is(void)
{
    static const char text[] = "a text to find in the log";
    uint8_t *sound;
    uint8_t *damaged;
    size_t bytes;
    char old_last[64];
    char path[600];

    cluster_init(&cluster, 2);
    cluster_form(&cluster);
    expect_done(cluster_cli(&cluster, 1, "set", "/kept/0", text, NULL));
    EXPECT_CONTAINS(cluster_cli(&cluster, 2, "get", "/kept/0", NULL)->out, text);
    cluster_kill(&cluster, 1);
    cluster_kill(&cluster, 2);
    (void)snprintf(old_last, sizeof old_last, "%s", last_entry(2));
    (void)snprintf(path, sizeof path, "%s/log/data.mdb", cluster.servers[2].data);
    sound = damage_read(path, &bytes);
    EXPECT(damage_flip(path, bytes_of_text(text)) > 0);
    damaged = damage_read(path, &bytes);

    expect_refused(recover(2, "show"), "is damaged: nothing was changed; take another survivor");
    expect_refused(recover(2, old_last), "is damaged: nothing was changed");
    EXPECT(is_same_file(path, damaged, bytes));

    damage_write(path, 0, bytes_of(sound, bytes));
    EXPECT_TEXT(last_entry(2), old_last);
    expect_done(recover(2, old_last));
    cluster_start(&cluster, 2);
    EXPECT_CONTAINS(cluster_cli(&cluster, 2, "get", "/kept/0", NULL)->out, text);
    free(sound);
    free(damaged);
    cluster_release(&cluster);
}

/* --- Sessions --- */

static void open_session(struct wire *wire, struct zookeeper_session *session, unsigned through)
{
    EXPECT(zookeeper_wire_connect(wire, cluster.servers[through].address, session));
    EXPECT(session->timeout_ms != 0);
}

static void make_ephemeral(struct wire *wire, const char *path)
{
    static const struct jute_acl_entry open = {
        .permissions = 31,
        .scheme = {.data = (const uint8_t *)"world", .size = 5},
        .id = {.data = (const uint8_t *)"anyone", .size = 6}};
    enum jute_error error = JUTE_ERROR_SYSTEM;
    struct buffer body = BUFFER_INIT;

    jute_put_buffer(&body, bytes_of_text(path), false);
    jute_put_buffer(&body, BYTES_EMPTY, false);
    jute_put_int(&body, 1);
    jute_put_acl_entry(&body, &open);
    jute_put_int(&body, 1); /* ephemeral */
    EXPECT(zookeeper_wire_call(wire, 1, JUTE_TYPE_CREATE, buffer_lend(&body), &error));
    EXPECT_EQ(error, JUTE_ERROR_OK);
    buffer_release(&body);
}

static bool exists(unsigned through, const char *path)
{
    return cluster_cli(&cluster, through, "get", path, NULL)->exit_code == 0;
}

/* One client of the survivor finds it again, one of a lost server never does. */
static void test_sessions_stay_for_who_comes_back_and_expire_for_who_does_not(void)
{
    uint64_t deadline_ms;
    struct zookeeper_session back = {.timeout_ms = 20000};
    struct zookeeper_session gone = {.timeout_ms = 4000};
    enum jute_error error;
    struct wire wires[2];

    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    open_session(&wires[0], &back, 1);
    open_session(&wires[1], &gone, 2);
    make_ephemeral(&wires[0], "/back");
    make_ephemeral(&wires[1], "/gone");
    EXPECT(exists(1, "/gone")); /* linearizable: server 1 holds it */
    for (unsigned id = 1; id <= 3; id++) {
        cluster_kill(&cluster, id);
    }
    wire_close(&wires[0]);
    wire_close(&wires[1]);
    expect_done(recover(1, last_entry(1)));
    cluster_start(&cluster, 1);
    EXPECT_EQ(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS), 1);
    open_session(&wires[0], &back, 1);
    EXPECT(exists(1, "/back"));

    deadline_ms = process_now_ms() + CLUSTER_DEADLINE_MS;
    while (exists(1, "/gone") && process_now_ms() < deadline_ms) {
        EXPECT(zookeeper_wire_call(&wires[0], JUTE_XID_PING, JUTE_TYPE_PING, BYTES_EMPTY, &error));
    }
    EXPECT(!exists(1, "/gone"));
    EXPECT(exists(1, "/back"));
    /* The session that ended is refused, by a server that answers. */
    EXPECT(zookeeper_wire_connect(&wires[1], cluster.servers[1].address, &gone));
    EXPECT_EQ(gone.timeout_ms, 0);
    wire_close(&wires[0]);
    wire_close(&wires[1]);
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_survivor_goes_on_alone_and_grows_again),
        TEST_CASE(test_recovering_is_done_or_not_done_whenever_it_is_killed),
        TEST_CASE(test_a_joint_configuration_without_a_leader_is_resolved),
        TEST_CASE(test_two_servers_of_which_one_is_an_old_copy),
        TEST_CASE(test_folders_that_cannot_be_recovered_are_refused),
        TEST_CASE(test_a_damaged_folder_is_refused_and_left_as_it_is),
        TEST_CASE(test_sessions_stay_for_who_comes_back_and_expire_for_who_does_not),
        TEST_END,
    };

    return test_main("recover", cases, argc, argv);
}
