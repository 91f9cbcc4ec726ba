/* Data folders that are not what their server says: each is refused in words that name the way out,
 * there and at the others, and that way leads out. */
#include "tests/support/cluster.h"
#include "tests/support/folder.h"
#include "tests/support/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct cluster cluster;

/* --- Folders --- */

static const char *copy_name(unsigned id)
{
    static char name[600];

    (void)snprintf(name, sizeof name, "%s.copy", cluster.servers[id].data);
    return name;
}

static void wipe(unsigned id)
{
    folder_remove(cluster.servers[id].data);
}

static void back_up(unsigned id)
{
    folder_copy(cluster.servers[id].data, copy_name(id));
}

static void restore(unsigned id)
{
    folder_copy(copy_name(id), cluster.servers[id].data);
}

/* --- What is said --- */

/* Until the one asked knows that all `members` have applied as much. */
static void wait_until_all_say_the_same(unsigned through, size_t members)
{
    uint64_t deadline_ms = process_now_ms() + CLUSTER_DEADLINE_MS;
    bool is_same = false;

    while (!is_same && process_now_ms() < deadline_ms) {
        const struct outcome *outcome =
            cluster_cli(&cluster, through, "--output", "json", "status", NULL);
        const char *at = outcome->out;
        unsigned long long applied[CLUSTER_SERVERS_MAX];
        size_t count = 0;

        while (count < CLUSTER_SERVERS_MAX && (at = strstr(at, "\"applied\": ")) != NULL) {
            at += strlen("\"applied\": ");
            applied[count++] = strtoull(at, NULL, 10);
        }
        is_same = count == members;
        for (size_t i = 1; i < count; i++) {
            is_same = is_same && applied[i] == applied[0];
        }
    }
    EXPECT(is_same);
}

static void expect_done(const struct outcome *outcome)
{
    EXPECT_TEXT(outcome->err, "");
    EXPECT_EQ(outcome->exit_code, 0);
}

static void set(unsigned through, const char *path, const char *value)
{
    expect_done(cluster_cli(&cluster, through, "set", path, value, NULL));
}

static void expect_value(unsigned through, const char *path, const char *value)
{
    const struct outcome *outcome = cluster_cli(&cluster, through, "get", path, NULL);

    expect_done(outcome);
    EXPECT_CONTAINS(outcome->out, value);
}

/* It ends by itself, with the words in its log. */
static void expect_it_ends(unsigned id, const char *words)
{
    EXPECT(process_wait(&cluster.servers[id].process, CLUSTER_DEADLINE_MS));
    EXPECT_EQ(cluster.servers[id].process.exit_code, 1);
    cluster_wait_log(&cluster, id, words, CLUSTER_DEADLINE_MS);
}

static const char *node_of(unsigned id)
{
    static char node[64];

    (void)snprintf(node, sizeof node, "%u=%s", id, cluster.servers[id].address);
    return node;
}

/* The way out that every refusal of a member's folder names. */
static void add_anew(unsigned through, unsigned id)
{
    char number[16];

    (void)snprintf(number, sizeof number, "%u", id);
    expect_done(cluster_cli(&cluster, through, "remove-member", number, NULL));
    wipe(id);
    cluster_start(&cluster, id);
    expect_done(
        cluster_cli(&cluster, through, "add-learner", "--node", node_of(id), "--promote", NULL));
    cluster_wait_status(&cluster, through, "Tolerates 1 failure.");
}

/* --- Wiped --- */

static void test_a_wiped_folder_is_refused_until_the_member_is_added_anew(void)
{
    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    set(1, "/kept", "here");
    cluster_kill(&cluster, 3);
    wipe(3);
    cluster_start(&cluster, 3);
    cluster_wait_status(&cluster, 1, "another data folder");
    cluster_wait_status(&cluster, 2, "remove-member 3");
    cluster_wait_log(&cluster, 1, "another data folder", CLUSTER_DEADLINE_MS);
    cluster_wait_log(&cluster, 3, "another data folder", CLUSTER_DEADLINE_MS);
    cluster_wait_log(&cluster, 3, "add-learner --node 3=", CLUSTER_DEADLINE_MS);
    EXPECT(cluster_cli(&cluster, 3, "get", "/kept", NULL)->exit_code != 0);
    cluster_kill(&cluster, 3);
    add_anew(1, 3);
    expect_value(3, "/kept", "here");
    cluster_release(&cluster);
}

/* It was away when another member got a new folder. That one leads now, and only a leader's dump
 * can tell who lags of it: its log does not reach back. */
static void test_who_lags_believes_the_folder_of_a_newer_configuration(void)
{
    /* Leadership stays where it is, however busy the machine is. */
    static const char *const options[] = {
        "--checkpoint-records", "10", "--log-tail",           "16KiB",
        "--log-tail-entries",   "5",  "--election-timeout=4s"};
    char path[32];

    cluster_init(&cluster, 4);
    memcpy(cluster.options, options, sizeof options);
    cluster_form(&cluster);
    set(2, "/kept", "here");
    wait_until_all_say_the_same(2, 4);
    cluster_kill(&cluster, 1);
    EXPECT(cluster_wait_leader(&cluster, 1, CLUSTER_DEADLINE_MS) != 0);
    expect_done(cluster_cli(&cluster, 3, "remove-member", "2", NULL));
    cluster_kill(&cluster, 2);
    EXPECT(cluster_wait_leader(&cluster, 2, CLUSTER_DEADLINE_MS) != 0);
    wipe(2);
    cluster_start(&cluster, 2);
    expect_done(cluster_cli(&cluster, 3, "add-learner", "--node", node_of(2), "--promote", NULL));
    expect_done(cluster_cli(&cluster, 3, "transfer-leader", "2", NULL));
    for (int i = 0; i < 50; i++) {
        (void)snprintf(path, sizeof path, "/later/%d", i);
        set(3, path, "here too");
    }
    cluster_start(&cluster, 1);
    wait_until_all_say_the_same(2, 4);
    expect_value(1, "/later/49", "here too");
    EXPECT_EQ(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS), 2);
    cluster_release(&cluster);
}

/* The two could make a majority of nothing. */
static void test_two_wiped_of_three_elect_nobody_and_the_third_says_why(void)
{
    const struct outcome *outcome;
    char nodes[160];

    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    set(1, "/kept", "here");
    cluster_wait_status(&cluster, 1, "Tolerates 1 failure.");
    for (unsigned id = 1; id <= 3; id++) {
        cluster_kill(&cluster, id);
    }
    wipe(2);
    wipe(3);
    for (unsigned id = 1; id <= 3; id++) {
        cluster_start(&cluster, id);
    }
    cluster_wait_status(&cluster, 1,
                        "Server 2: not reachable: refused there: server 2 has another data folder");
    cluster_wait_status(&cluster, 1,
                        "Server 3: not reachable: refused there: server 3 has another data folder");
    cluster_wait_status(&cluster, 1, "There is no leader");
    cluster_wait_status(&cluster, 1, "--recover");
    cluster_wait_status(&cluster, 2, "belongs to no cluster yet");
    outcome = cluster_cli(&cluster, 1, "--timeout", "2s", "set", "/kept", "lost", NULL);
    EXPECT(outcome->exit_code != 0);
    /* Nor does the first configuration, said again, make them members. */
    (void)snprintf(nodes, sizeof nodes, "1=%s,2=%s,3=%s", cluster.servers[1].address,
                   cluster.servers[2].address, cluster.servers[3].address);
    EXPECT(cluster_cli(&cluster, 2, "init", "--nodes", nodes, NULL)->exit_code != 0);
    EXPECT_EQ(cluster_wait_leader(&cluster, 0, 1), 0);
    cluster_release(&cluster);
}

/* --- Of another cluster --- */

static void test_a_server_of_another_cluster_is_refused(void)
{
    char node[96];

    cluster_init(&cluster, 4);
    for (unsigned id = 1; id <= 4; id++) {
        cluster_start(&cluster, id);
    }
    (void)snprintf(node, sizeof node, "1=%s,2=%s", cluster.servers[1].address,
                   cluster.servers[2].address);
    expect_done(cluster_cli(&cluster, 1, "init", "--nodes", node, NULL));
    (void)snprintf(node, sizeof node, "3=%s,4=%s", cluster.servers[3].address,
                   cluster.servers[4].address);
    expect_done(cluster_cli(&cluster, 3, "init", "--nodes", node, NULL));
    set(1, "/first", "1");
    /* Server 3 comes to where server 2 was, and meets server 1 there. */
    cluster_kill(&cluster, 2);
    cluster_kill(&cluster, 3);
    cluster_kill(&cluster, 4);
    (void)snprintf(cluster.servers[3].address, sizeof cluster.servers[3].address, "%s",
                   cluster.servers[2].address);
    cluster_start(&cluster, 3);
    cluster_wait_log(&cluster, 1, "different clusters", CLUSTER_DEADLINE_MS);
    cluster_wait_status(&cluster, 1, "start it with an empty data folder");
    cluster_wait_log(&cluster, 3, "different clusters", CLUSTER_DEADLINE_MS);
    cluster_release(&cluster);
}

/* --- Old copies --- */

static void expect_refused_as_old(unsigned id)
{
    unsigned teller;

    cluster_launch(&cluster, id);
    expect_it_ends(id, "is an old copy");
    cluster_wait_log(&cluster, id, "remove-member 3, delete the folder", CLUSTER_DEADLINE_MS);
    /* One is enough; it ends the server. */
    teller = cluster_log_has(&cluster, 1, "error old_copy") ? 1 : 2;
    cluster_wait_log(&cluster, teller, "is an old copy", CLUSTER_DEADLINE_MS);
    cluster_wait_status(&cluster, teller,
                        "Server 3: not reachable: the data folder of server 3 is an old copy");
    cluster_wait_status(&cluster, 3 - teller, "Server 3: not reachable");
    /* And it is not for the others to say so again. */
    cluster_launch(&cluster, id);
    expect_it_ends(id, "as another member found");
}

static void test_a_copy_made_before_the_last_start_is_refused(void)
{
    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    set(1, "/kept", "before");
    cluster_kill(&cluster, 3);
    back_up(3);
    /* Known by its start alone: nothing else has changed. */
    cluster_start(&cluster, 3);
    cluster_wait_status(&cluster, 1, "Tolerates 1 failure.");
    cluster_kill(&cluster, 3);
    restore(3);
    expect_refused_as_old(3);
    add_anew(1, 3);
    expect_value(3, "/kept", "before");
    cluster_release(&cluster);
}

/* The others have kept what they saw. */
static void test_an_old_copy_is_refused_after_a_restart_of_the_others(void)
{
    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    cluster_kill(&cluster, 3);
    back_up(3);
    cluster_start(&cluster, 3);
    cluster_wait_status(&cluster, 1, "Tolerates 1 failure.");
    set(1, "/kept", "here"); /* is written after what they saw */
    for (unsigned id = 1; id <= 3; id++) {
        cluster_kill(&cluster, id);
    }
    restore(3);
    cluster_start(&cluster, 1);
    cluster_start(&cluster, 2);
    EXPECT(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS) != 0);
    expect_refused_as_old(3);
    cluster_release(&cluster);
}

static void test_a_copy_made_while_it_ran_is_refused(void)
{
    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    set(1, "/kept", "before");
    cluster_signal(&cluster, 3, SIGSTOP);
    back_up(3);
    cluster_signal(&cluster, 3, SIGCONT);
    cluster_wait_status(&cluster, 1, "Tolerates 1 failure.");
    for (int i = 0; i < 5; i++) {
        set(1, "/kept", "after");
    }
    expect_value(3, "/kept", "after");
    /* What it applied is told to the others. */
    wait_until_all_say_the_same(1, 3);
    wait_until_all_say_the_same(2, 3);
    cluster_kill(&cluster, 3);
    restore(3);
    expect_refused_as_old(3);
    add_anew(2, 3);
    expect_value(3, "/kept", "after");
    cluster_release(&cluster);
}

/* All of one moment: nobody saw more than is there. */
static void test_a_whole_cluster_restored_from_one_moment_works(void)
{
    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    set(1, "/kept", "before");
    for (unsigned id = 1; id <= 3; id++) {
        cluster_kill(&cluster, id);
    }
    for (unsigned id = 1; id <= 3; id++) {
        back_up(id);
    }
    for (unsigned id = 1; id <= 3; id++) {
        cluster_start(&cluster, id);
    }
    EXPECT(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS) != 0);
    set(1, "/kept", "after");
    for (unsigned id = 1; id <= 3; id++) {
        cluster_kill(&cluster, id);
    }
    for (unsigned id = 1; id <= 3; id++) {
        restore(id);
    }
    for (unsigned id = 1; id <= 3; id++) {
        cluster_start(&cluster, id);
    }
    cluster_wait_status(&cluster, 1, "Tolerates 1 failure.");
    expect_value(2, "/kept", "before");
    set(3, "/kept", "again");
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_wiped_folder_is_refused_until_the_member_is_added_anew),
        TEST_CASE(test_who_lags_believes_the_folder_of_a_newer_configuration),
        TEST_CASE(test_two_wiped_of_three_elect_nobody_and_the_third_says_why),
        TEST_CASE(test_a_server_of_another_cluster_is_refused),
        TEST_CASE(test_a_copy_made_before_the_last_start_is_refused),
        TEST_CASE(test_an_old_copy_is_refused_after_a_restart_of_the_others),
        TEST_CASE(test_a_copy_made_while_it_ran_is_refused),
        TEST_CASE(test_a_whole_cluster_restored_from_one_moment_works),
        TEST_END,
    };

    return test_main("guards", cases, argc, argv);
}
