/* A disk that does not come back from a sync, or only slowly: under the leader, leadership goes to
 * a server whose disk works; under a follower, nobody else notices. What was answered stays, and
 * nobody goes back in time. */
#include "tests/support/cluster.h"
#include "tests/support/damage.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#include <confer.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WRITES_MIN = 20,
    STALL_MS = 3000,
    SLOW_MS = 1500 /* longer than elections are waited for */
};

static struct cluster cluster;

/* Of tests/preload/stuck_disk.c. */
static const char *switch_of(unsigned id, const char *name)
{
    static char path[600];

    (void)snprintf(path, sizeof path, "%s.%s", cluster.servers[id].data, name);
    return path;
}

static void stick(unsigned id)
{
    damage_write(switch_of(id, "stuck"), 0, bytes_of_text("stuck\n"));
}

static void unstick(unsigned id)
{
    EXPECT_EQ(unlink(switch_of(id, "stuck")), 0);
}

static void make_slow(unsigned id, unsigned sync_ms)
{
    char text[16];

    (void)snprintf(text, sizeof text, "%u\n", sync_ms);
    damage_write(switch_of(id, "slow"), 0, bytes_of_text(text));
}

static void form(void)
{
    EXPECT_EQ(setenv("LD_PRELOAD", cluster_program("tests/preload/stuck_disk.so"), 1), 0);
    EXPECT_EQ(setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1), 0);
    /* Whose disk fails or hangs ends without its threads. */
    EXPECT_EQ(setenv("TSAN_OPTIONS", "report_thread_leaks=0", 1), 0);
    cluster_init(&cluster, 3);
    cluster_form(&cluster);
}

static unsigned other_than(unsigned id)
{
    return id % 3 + 1;
}

static unsigned form_with_follower(unsigned *ret_leader)
{
    form();
    *ret_leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    EXPECT(*ret_leader != 0);
    return other_than(*ret_leader);
}

static void expect_value(unsigned id, const char *path, const char *value)
{
    char text[24];

    EXPECT_EQ(wire_get_text(cluster.servers[id].address, path, CLIENT__READ_LEVEL__LINEARIZABLE,
                            text, sizeof text),
              CLIENT__CODE__OK);
    EXPECT_TEXT(text, value);
}

/* --- What a machine that stands still may spoil, once --- */

static bool is_less(uint64_t spent_ms, uint64_t limit_ms)
{
    if (spent_ms >= limit_ms) {
        (void)fprintf(stderr, "%" PRIu64 " ms, less than %" PRIu64 " were expected\n", spent_ms,
                      limit_ms);
    }
    return spent_ms < limit_ms;
}

static bool still_leads(unsigned leader)
{
    unsigned now = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);

    if (now != leader) {
        (void)fprintf(stderr, "server %u leads, server %u did\n", now, leader);
    }
    return now == leader;
}

/* Elections, lags and these bounds are of seconds, and the machine or its disk may stand still for
 * as long: but not again and again, as who waits for the disk here does. What has nothing to do
 * with time is expected in each run. */
static void expect_in_one_of_three(bool (*run)(void))
{
    bool is_so = false;

    for (int i = 0; i < 3 && !is_so; i++) {
        is_so = run();
    }
    EXPECT(is_so);
    cluster_release(&cluster);
}

static bool leadership_leaves_a_stuck_disk(void)
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
    cluster_wait_status(&cluster, leader, "its disk is slow");
    unstick(stuck);
    /* It has all that it missed, and follows. */
    expect_value(stuck, "/a", "3");
    confer_close(client);
    return still_leads(leader);
}

static void test_leadership_leaves_a_server_whose_disk_is_stuck(void)
{
    expect_in_one_of_three(leadership_leaves_a_stuck_disk);
}

static bool a_stall_moves_leadership(void)
{
    unsigned stuck;
    unsigned leader;
    uint64_t stuck_ms;
    uint64_t answered_ms;

    form();
    stuck = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    EXPECT(stuck != 0);
    EXPECT_EQ(wire_set_text(cluster.servers[stuck].address, "/a", "1"), CLIENT__CODE__OK);
    stick(stuck);
    stuck_ms = process_now_ms();
    /* Something for the disk to hang on; answered by who has it on its own. */
    EXPECT_EQ(wire_set_text(cluster.servers[other_than(stuck)].address, "/a", "2"),
              CLIENT__CODE__OK);
    leader = cluster_wait_leader(&cluster, stuck, CLUSTER_DEADLINE_MS);
    EXPECT(leader != 0);
    EXPECT_EQ(wire_set_text(cluster.servers[leader].address, "/a", "3"), CLIENT__CODE__OK);
    answered_ms = process_now_ms() - stuck_ms;
    while (process_now_ms() < stuck_ms + STALL_MS) {
        expect_value(leader, "/a", "3");
    }
    unstick(stuck);
    for (unsigned id = 1; id <= 3; id++) {
        expect_value(id, "/a", "3");
        cluster_wait_agreed(&cluster, leader, id);
    }
    return still_leads(leader) && is_less(answered_ms, STALL_MS);
}

static void test_a_stall_of_three_seconds_moves_leadership_before_it_is_over(void)
{
    expect_in_one_of_three(a_stall_moves_leadership);
}

static bool a_stuck_follower_holds_nobody_up(void)
{
    unsigned leader;
    unsigned stuck;
    uint64_t stuck_ms;
    uint64_t longest_ms = 0;
    char value[24];
    long seen = 0;

    stuck = form_with_follower(&leader);
    EXPECT_EQ(wire_set_text(cluster.servers[leader].address, "/a", "0"), CLIENT__CODE__OK);
    expect_value(stuck, "/a", "0");
    stick(stuck);
    stuck_ms = process_now_ms();
    for (long i = 1; i <= WRITES_MIN || process_now_ms() < stuck_ms + STALL_MS; i++) {
        uint64_t asked_ms = process_now_ms();
        uint64_t spent_ms;
        long shown;

        (void)snprintf(value, sizeof value, "%ld", i);
        EXPECT_EQ(wire_set_text(cluster.servers[leader].address, "/a", value), CLIENT__CODE__OK);
        expect_value(leader, "/a", value);
        spent_ms = process_now_ms() - asked_ms;
        longest_ms = spent_ms > longest_ms ? spent_ms : longest_ms;
        /* The stuck one goes on answering, never with something older than before. */
        EXPECT_EQ(wire_get_text(cluster.servers[stuck].address, "/a", CLIENT__READ_LEVEL__LOCAL,
                                value, sizeof value),
                  CLIENT__CODE__OK);
        shown = strtol(value, NULL, 10);
        EXPECT(shown >= seen);
        EXPECT(shown <= i);
        seen = shown;
        (void)snprintf(value, sizeof value, "%ld", i);
    }
    /* Who waited for that disk would have waited for all of it. */
    if (!is_less(longest_ms, STALL_MS / 2) || !still_leads(leader)) {
        return false;
    }
    cluster_wait_status(&cluster, leader, "its disk is slow");
    unstick(stuck);
    expect_value(stuck, "/a", value);
    cluster_wait_agreed(&cluster, leader, stuck);
    return true;
}

static void test_a_stuck_disk_under_a_follower_holds_nobody_up(void)
{
    expect_in_one_of_three(a_stuck_follower_holds_nobody_up);
}

/* It cannot apply them, and tells its clients so: they are answered by others while it hangs. */
static void test_who_writes_through_a_stuck_follower_is_answered(void)
{
    enum { CLIENTS = 8 }; /* all of them elsewhere in one of 256 runs */
    struct confer *clients[CLIENTS];
    char list[100];
    char path[24];
    unsigned leader;
    unsigned stuck;

    stuck = form_with_follower(&leader);
    (void)snprintf(list, sizeof list, "%s,%s", cluster.servers[stuck].address,
                   cluster.servers[leader].address);
    for (size_t i = 0; i < CLIENTS; i++) {
        EXPECT_EQ(confer_open(list, NULL, &clients[i]), CONFER_OK);
        EXPECT_EQ(confer_exists(clients[i], "/", NULL, NULL), CONFER_OK); /* connected */
    }
    stick(stuck);
    for (size_t i = 0; i < CLIENTS; i++) {
        (void)snprintf(path, sizeof path, "/client-%zu", i);
        EXPECT_EQ(confer_set(clients[i], path, "1", 1, CONFER_ANY_VERSION, NULL, NULL), CONFER_OK);
        expect_value(leader, path, "1");
    }
    cluster_wait_status(&cluster, leader, "its disk is slow");
    unstick(stuck);
    for (size_t i = 0; i < CLIENTS; i++) {
        (void)snprintf(path, sizeof path, "/client-%zu", i);
        expect_value(stuck, path, "1");
        confer_close(clients[i]);
    }
    cluster_release(&cluster);
}

/* --- Slow disks: each sync comes back, late --- */

static uint64_t timed_write(unsigned id, long value)
{
    uint64_t asked_ms = process_now_ms();
    char text[24];

    (void)snprintf(text, sizeof text, "%ld", value);
    EXPECT_EQ(wire_set_text(cluster.servers[id].address, "/a", text), CLIENT__CODE__OK);
    return process_now_ms() - asked_ms;
}

static bool leadership_leaves_slow_syncs(void)
{
    unsigned slow;
    unsigned leader;
    uint64_t shortest_ms = UINT64_MAX;

    form();
    slow = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    EXPECT(slow != 0);
    make_slow(slow, SLOW_MS);
    (void)timed_write(other_than(slow), 0);
    leader = cluster_wait_leader(&cluster, slow, CLUSTER_DEADLINE_MS);
    EXPECT(leader != 0);
    EXPECT(leader != slow);
    for (long i = 1; i <= WRITES_MIN; i++) {
        uint64_t spent_ms = timed_write(leader, i);

        shortest_ms = spent_ms < shortest_ms ? spent_ms : shortest_ms;
    }
    /* Slow as it is, it gets there. */
    cluster_wait_agreed(&cluster, leader, slow);
    return still_leads(leader) && is_less(shortest_ms, SLOW_MS);
}

static void test_leadership_leaves_a_server_whose_syncs_are_slow(void)
{
    expect_in_one_of_three(leadership_leaves_slow_syncs);
}

static bool slow_syncs_of_a_follower_hold_nobody_up(void)
{
    unsigned leader;
    unsigned slow = form_with_follower(&leader);
    uint64_t longest_ms = 0;

    (void)timed_write(leader, 0);
    expect_value(slow, "/a", "0");
    make_slow(slow, SLOW_MS);
    for (long i = 1; i <= WRITES_MIN; i++) {
        uint64_t spent_ms = timed_write(leader, i);

        longest_ms = spent_ms > longest_ms ? spent_ms : longest_ms;
    }
    cluster_wait_status(&cluster, leader, "its disk is slow");
    cluster_wait_agreed(&cluster, leader, slow);
    return still_leads(leader) && is_less(longest_ms, SLOW_MS);
}

static void test_slow_syncs_under_a_follower_hold_nobody_up(void)
{
    expect_in_one_of_three(slow_syncs_of_a_follower_hold_nobody_up);
}

/* There is nobody better to lead, and what all wait for is no lag. */
static bool slow_disks_keep_their_leader(void)
{
    enum { SYNC_MS = 300, WRITES = 8 };
    unsigned leader;
    uint64_t spent_ms = 0;

    form();
    leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    EXPECT(leader != 0);
    for (unsigned id = 1; id <= 3; id++) {
        make_slow(id, SYNC_MS);
    }
    for (long i = 1; i <= WRITES; i++) {
        spent_ms += timed_write(leader, i);
    }
    EXPECT(spent_ms >= (uint64_t)WRITES * SYNC_MS);
    if (!still_leads(leader)) {
        return false;
    }
    for (unsigned id = 1; id <= 3; id++) {
        cluster_wait_agreed(&cluster, leader, id);
        EXPECT(!cluster_log_has(&cluster, id, " disk_slow "));
    }
    return true;
}

static void test_disks_that_are_all_slow_keep_their_leader(void)
{
    expect_in_one_of_three(slow_disks_keep_their_leader);
}

/* --- Stopping --- */

static void wait_until_it_listens_no_more(unsigned id)
{
    uint64_t end_ms = process_now_ms() + CLUSTER_DEADLINE_MS;
    Client__Response *response;

    while ((response = cluster_status(&cluster, id)) != NULL) {
        client__response__free_unpacked(response, NULL);
        EXPECT(process_now_ms() < end_ms);
        process_pause();
    }
}

/* A follower that was asked to stop, and waits for a write that hangs on its disk. */
static unsigned stop_with_a_stuck_disk(void)
{
    unsigned leader;
    unsigned stuck;

    stuck = form_with_follower(&leader);
    stick(stuck);
    EXPECT_EQ(wire_set_text(cluster.servers[leader].address, "/a", "1"), CLIENT__CODE__OK);
    cluster_wait_status(&cluster, leader, "its disk is slow"); /* it hangs on that write */
    cluster_signal(&cluster, stuck, SIGTERM);
    wait_until_it_listens_no_more(stuck);
    return stuck;
}

static void test_a_second_signal_ends_a_server_whose_disk_is_stuck(void)
{
    unsigned stuck = stop_with_a_stuck_disk();

    cluster_signal(&cluster, stuck, SIGTERM);
    EXPECT(process_wait(&cluster.servers[stuck].process, CLUSTER_DEADLINE_MS));
    EXPECT_EQ(cluster.servers[stuck].process.exit_code, 0);
    EXPECT(cluster_log_has(&cluster, stuck, " stopped_before_its_disk "));
    unstick(stuck);
    cluster_start(&cluster, stuck);
    expect_value(stuck, "/a", "1");
    cluster_release(&cluster);
}

/* Who asked for the end must not take it for a good one. */
static void test_a_disk_that_fails_under_a_server_that_stops_is_told(void)
{
    unsigned stuck = stop_with_a_stuck_disk();

    damage_write(switch_of(stuck, "broken"), 0, bytes_of_text("broken\n"));
    unstick(stuck);
    EXPECT(process_wait(&cluster.servers[stuck].process, CLUSTER_DEADLINE_MS));
    EXPECT_EQ(cluster.servers[stuck].process.exit_code, 1);
    EXPECT(cluster_log_has(&cluster, stuck, "Input/output error"));
    /* Nothing of it is lost to the others, nor to itself. */
    EXPECT_EQ(unlink(switch_of(stuck, "broken")), 0);
    cluster_start(&cluster, stuck);
    expect_value(stuck, "/a", "1");
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_leadership_leaves_a_server_whose_disk_is_stuck),
        TEST_CASE(test_a_stall_of_three_seconds_moves_leadership_before_it_is_over),
        TEST_CASE(test_a_stuck_disk_under_a_follower_holds_nobody_up),
        TEST_CASE(test_who_writes_through_a_stuck_follower_is_answered),
        TEST_CASE(test_leadership_leaves_a_server_whose_syncs_are_slow),
        TEST_CASE(test_slow_syncs_under_a_follower_hold_nobody_up),
        TEST_CASE(test_disks_that_are_all_slow_keep_their_leader),
        TEST_CASE(test_a_second_signal_ends_a_server_whose_disk_is_stuck),
        TEST_CASE(test_a_disk_that_fails_under_a_server_that_stops_is_told),
        TEST_END};

    return test_main("stuck_disk", cases, argc, argv);
}
