/* A server whose state is damaged finds out while it serves, fetches the state anew from the others
 * and serves again, be it follower or leader; alone, it says what is damaged. */
#include "tests/support/cluster.h"
#include "tests/support/damage.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FOUND_MS = 90000, /* a pass over the checkpoint takes 40 s, and the machine may be busy */
    SPAN = 64
};

static struct cluster cluster;

/* Long enough to be one place of the file, and like nothing else in it. */
static const char *marked_value(void)
{
    static char value[SPAN + 1];

    for (size_t i = 0; i < SPAN; i++) {
        value[i] = (char)('A' + (i * 7 + i / 26) % 26);
    }
    return value;
}

static unsigned other_than(unsigned id)
{
    return id % 3 + 1;
}

static void set(unsigned id, const char *path, const char *value)
{
    EXPECT_EQ(wire_set_text(cluster.servers[id].address, path, value), CLIENT__CODE__OK);
}

/* What the server itself has, once it answers; it refuses while it is being repaired. */
static void wait_value(unsigned id, const char *path, const char *value)
{
    uint64_t until_ms = process_now_ms() + FOUND_MS;
    char text[2 * SPAN] = "";
    int code;

    do {
        code = wire_get_text(cluster.servers[id].address, path, CLIENT__READ_LEVEL__LINEARIZABLE,
                             text, sizeof text);
        process_pause();
    } while (code != CLIENT__CODE__OK && process_now_ms() < until_ms);
    EXPECT_EQ(code, CLIENT__CODE__OK);
    EXPECT_TEXT(text, value);
}

/* Wait until the server's log has `part`. */
static void wait_log(unsigned id, const char *part)
{
    uint64_t until_ms = process_now_ms() + FOUND_MS;
    bool found = false;

    while (!found && process_now_ms() < until_ms) {
        size_t bytes;
        uint8_t *text = damage_read(cluster.servers[id].log, &bytes);

        found = memmem(text, bytes, part, strlen(part)) != NULL;
        free(text);
        process_pause();
    }
    EXPECT(found);
}

/* Every server has a checkpoint that holds what was written: a graceful stop makes none, age does.
 */
static void settle(void)
{
    for (unsigned id = 1; id <= cluster.server_count; id++) {
        char path[600];
        uint64_t until_ms = process_now_ms() + CLUSTER_DEADLINE_MS;
        size_t places = 0;

        (void)snprintf(path, sizeof path, "%s/tree-0/data.mdb", cluster.servers[id].data);
        while (places == 0 && process_now_ms() < until_ms) {
            size_t bytes;
            uint8_t *data = damage_read(path, &bytes);

            places = memmem(data, bytes, marked_value(), SPAN) != NULL;
            free(data);
            process_pause();
        }
        EXPECT(places > 0);
    }
}

static void flip(unsigned id)
{
    char path[600];

    (void)snprintf(path, sizeof path, "%s/tree-0/data.mdb", cluster.servers[id].data);
    EXPECT(damage_flip(path, bytes_of(marked_value(), SPAN)) > 0);
}

static void form(unsigned count)
{
    cluster_init(&cluster, count);
    cluster_form(&cluster);
    set(1, "/kept", marked_value());
    settle();
}

/* The repaired server has all, and a new generation of its tree without a mark. */
static void expect_repaired(unsigned id)
{
    const struct outcome *outcome;

    wait_log(id, "state_condemned");
    wait_log(id, "state_repaired");
    wait_value(id, "/kept", marked_value());
    outcome = cluster_cli(&cluster, id, "status", NULL);
    EXPECT(strstr(outcome->out, "damaged") == NULL);
    cluster_kill(&cluster, id);
    cluster_start(&cluster, id);
    wait_value(id, "/kept", marked_value());
}

static void test_a_follower_with_a_damaged_record_is_repaired_from_the_others(void)
{
    unsigned leader;
    unsigned damaged;

    form(3);
    leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    EXPECT(leader != 0);
    damaged = other_than(leader);
    /* While it is down, so that nothing of the record is in its memory. */
    cluster_kill(&cluster, damaged);
    flip(damaged);
    cluster_start(&cluster, damaged);
    set(leader, "/later", "1");
    expect_repaired(damaged);
    EXPECT_EQ(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS), leader);
    cluster_release(&cluster);
}

static void test_a_leader_with_a_damaged_record_steps_aside_and_is_repaired(void)
{
    unsigned leader;

    form(3);
    leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    EXPECT(leader != 0);
    flip(leader); /* under the running server: LMDB's map shows it */
    wait_log(leader, "state_condemned");
    EXPECT(cluster_wait_leader(&cluster, leader, CLUSTER_DEADLINE_MS) != 0);
    expect_repaired(leader);
    cluster_release(&cluster);
}

static void test_a_restart_in_the_middle_of_a_repair_goes_on_with_it(void)
{
    unsigned leader;
    unsigned damaged;
    unsigned third;

    form(3);
    leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    EXPECT(leader != 0);
    damaged = other_than(leader);
    third = other_than(damaged);
    /* Without the third there is no majority to vouch for the leader's state once something was
     * written that the damaged one does not apply. */
    cluster_kill(&cluster, third);
    cluster_kill(&cluster, damaged);
    flip(damaged);
    cluster_start(&cluster, damaged);
    wait_log(damaged, "state_condemned");
    cluster_kill(&cluster, damaged);
    cluster_start(&cluster, damaged);
    wait_log(damaged, "repair_goes_on");
    cluster_start(&cluster, third);
    wait_log(damaged, "state_repaired");
    wait_value(damaged, "/kept", marked_value());
    cluster_release(&cluster);
}

static void test_a_server_that_is_alone_names_the_damage_and_serves_the_rest(void)
{
    const struct outcome *outcome;

    form(1);
    set(1, "/other", "1");
    cluster_kill(&cluster, 1);
    flip(1);
    cluster_start(&cluster, 1);
    wait_log(1, "error damaged node=1");
    wait_value(1, "/other", "1");
    outcome = cluster_cli(&cluster, 1, "status", NULL);
    EXPECT_CONTAINS(outcome->out, "is damaged");
    EXPECT_CONTAINS(outcome->out, "take this server out");
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_follower_with_a_damaged_record_is_repaired_from_the_others),
        TEST_CASE(test_a_leader_with_a_damaged_record_steps_aside_and_is_repaired),
        TEST_CASE(test_a_restart_in_the_middle_of_a_repair_goes_on_with_it),
        TEST_CASE(test_a_server_that_is_alone_names_the_damage_and_serves_the_rest), TEST_END};

    return test_main("repair", cases, argc, argv);
}
