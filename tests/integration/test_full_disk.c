/* A disk or a map that is full refuses what needs space, serves the rest, and recovers by itself.
 */
#include "tests/integration/writers.h"
#include "tests/support/cluster.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#include <confer.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SKIPPED = 77,
    VALUE_BYTES = 64 * 1024,
    FILL_NODES_MAX = 4000,
    BEYOND_SMALL_MAP = 384, /* values: 24 MiB */
    SETTLED_MS = 3000,
    SESSION_MS = 3000,
    HOLD_MS = 3 * SESSION_MS /* sessions are kept by heartbeats alone */
};

static struct cluster cluster;

static char servers[160];

static unsigned other_than(unsigned id)
{
    return id % 3 + 1;
}

static void expect_readable(unsigned id, const char *path, Client__ReadLevel level)
{
    char value[8];

    EXPECT_EQ(wire_get_text(cluster.servers[id].address, path, level, value, sizeof value),
              CLIENT__CODE__OK);
}

/* A client whose ephemeral node shows that its session was never given up. */
static struct confer *open_owner(void)
{
    struct confer_create ephemeral = {.mode = CONFER_EPHEMERAL};
    struct confer_options options;
    struct confer *owner = NULL;

    confer_options_init(&options);
    options.session_timeout_ms = SESSION_MS;
    EXPECT_EQ(confer_open(servers, &options, &owner), CONFER_OK);
    EXPECT_EQ(confer_create(owner, "/owned", NULL, 0, &ephemeral, NULL, NULL), CONFER_OK);
    for (unsigned id = 1; id <= 3; id++) {
        expect_readable(id, "/owned", CLIENT__READ_LEVEL__LINEARIZABLE);
    }
    return owner;
}

static int write_small(unsigned id)
{
    return wire_set_text(cluster.servers[id].address, "/small", "1");
}

/* Ask for one small write again and again until it is answered with `wanted`. */
static void wait_write(unsigned id, int wanted)
{
    uint64_t until_ms = process_now_ms() + CLUSTER_DEADLINE_MS;
    int code;

    do {
        code = write_small(id);
        process_pause();
    } while (code != wanted && process_now_ms() < until_ms);
    EXPECT_EQ(code, wanted);
}

static int write_large(unsigned id, unsigned number)
{
    static char value[VALUE_BYTES + 1];
    char path[32];

    memset(value, 'v', VALUE_BYTES);
    (void)snprintf(path, sizeof path, "/fill/%u", number);
    return wire_set_text(cluster.servers[id].address, path, value);
}

/* Write large values until they are refused, and are still when all is in the checkpoint, which
 * takes less than what waits for it. */
static void fill(unsigned id)
{
    uint64_t refused_ms = 0;
    int code = -1;

    for (unsigned i = 0;
         i < FILL_NODES_MAX && (refused_ms == 0 || process_now_ms() < refused_ms + SETTLED_MS);) {
        code = write_large(id, i);
        if (code == CLIENT__CODE__OK) {
            i++;
            refused_ms = 0;
            continue;
        }
        EXPECT_EQ(code, CLIENT__CODE__NO_SPACE);
        refused_ms = refused_ms == 0 ? process_now_ms() : refused_ms;
        process_pause();
    }
    EXPECT_EQ(code, CLIENT__CODE__NO_SPACE);
}

static void remove_tree(unsigned id, const char *path)
{
    const struct outcome *outcome = cluster_cli(&cluster, id, "remove", "-r", path, NULL);

    EXPECT_TEXT(outcome->err, "");
    EXPECT_EQ(outcome->exit_code, 0);
}

/* For several timeouts of a session: every server answers reads, from its own state, and the
 * session and its node stay. Writes meanwhile are answered with `wanted`. */
static void hold(unsigned writer, int wanted)
{
    uint64_t until_ms = process_now_ms() + HOLD_MS;

    do {
        for (unsigned id = 1; id <= 3; id++) {
            expect_readable(id, "/kept", CLIENT__READ_LEVEL__LOCAL);
            expect_readable(id, "/owned", CLIENT__READ_LEVEL__LOCAL);
        }
        expect_readable(writer, "/owned", CLIENT__READ_LEVEL__LINEARIZABLE);
        EXPECT_EQ(write_small(writer), wanted);
        process_pause();
    } while (process_now_ms() < until_ms);
}

static unsigned form(const char *const *options, size_t count)
{
    unsigned leader;

    memcpy(cluster.options, options, count * sizeof *options);
    /* Leadership stays where it is, however busy the machine is. */
    cluster.options[count] = "--election-timeout=4s";
    cluster_form(&cluster);
    (void)snprintf(servers, sizeof servers, "%s,%s,%s", cluster.servers[1].address,
                   cluster.servers[2].address, cluster.servers[3].address);
    EXPECT_EQ(wire_set_text(cluster.servers[1].address, "/removable/a", "1"), CLIENT__CODE__OK);
    EXPECT_EQ(wire_set_text(cluster.servers[1].address, "/kept", "1"), CLIENT__CODE__OK);
    leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    EXPECT(leader != 0);
    return leader;
}

/* All take writes and have what was written, and the session was never given up. */
static void expect_recovered(struct confer *owner)
{
    for (unsigned id = 1; id <= 3; id++) {
        EXPECT(!process_wait(&cluster.servers[id].process, 0));
        wait_write(id, CLIENT__CODE__OK);
        expect_readable(id, "/small", CLIENT__READ_LEVEL__LINEARIZABLE);
        expect_readable(id, "/owned", CLIENT__READ_LEVEL__LINEARIZABLE);
    }
    confer_close(owner);
}

/* --- Maps --- */

#define SMALL_MAP "16MiB"
#define LARGE_MAP "1GiB"

static unsigned form_with_map(const char *map_size)
{
    const char *const options[] = {"--map-size",         map_size, "--log-map-size",        "64MiB",
                                   "--log-tail",         "4MiB",   "--checkpoint-interval", "200ms",
                                   "--checkpoint-bytes", "1MiB"};

    cluster_init(&cluster, 3);
    return form(options, sizeof options / sizeof *options);
}

static void start_with_map(unsigned id, const char *map_size)
{
    cluster_kill(&cluster, id);
    cluster.options[1] = map_size;
    cluster_start(&cluster, id);
}

static void transfer_leadership(unsigned id)
{
    char number[8];
    const struct outcome *outcome;

    (void)snprintf(number, sizeof number, "%u", id);
    outcome = cluster_cli(&cluster, id, "transfer-leader", number, NULL);
    EXPECT_TEXT(outcome->err, "");
    EXPECT_EQ(outcome->exit_code, 0);
}

static void refuse_writes_until_the_filling_is_removed(unsigned leader)
{
    struct confer *owner = open_owner();

    fill(leader);
    cluster_wait_status(&cluster, other_than(leader), "is short of space");
    hold(leader, CLIENT__CODE__NO_SPACE);
    remove_tree(other_than(leader), "/removable");
    EXPECT_EQ(write_small(leader), CLIENT__CODE__NO_SPACE);
    EXPECT_EQ(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS), leader);
    remove_tree(other_than(leader), "/fill");
    expect_recovered(owner);
}

static void test_full_maps_of_all_take_removals_and_recover(void)
{
    refuse_writes_until_the_filling_is_removed(form_with_map(SMALL_MAP));
    /* All find it in their folders again. */
    for (unsigned id = 1; id <= 3; id++) {
        cluster_kill(&cluster, id);
    }
    for (unsigned id = 1; id <= 3; id++) {
        cluster_start(&cluster, id);
    }
    wait_write(2, CLIENT__CODE__OK);
    cluster_release(&cluster);
}

static void test_a_full_map_of_the_leader_alone_takes_removals_and_recovers(void)
{
    unsigned small = other_than(form_with_map(LARGE_MAP));

    start_with_map(small, SMALL_MAP);
    transfer_leadership(small);
    refuse_writes_until_the_filling_is_removed(small);
    cluster_release(&cluster);
}

static unsigned count_in_log(unsigned id, const char *part)
{
    struct process *process = &cluster.servers[id].process;
    const char *at = process_text(process, process->out);
    unsigned count = 0;

    while ((at = strstr(at, part)) != NULL) {
        at += strlen(part);
        count++;
    }
    return count;
}

/* The map of this follower alone is small, and has no room for what is written. */
static struct confer *outgrow(unsigned leader, unsigned small)
{
    struct confer *owner;

    start_with_map(small, SMALL_MAP);
    expect_readable(small, "/kept", CLIENT__READ_LEVEL__LINEARIZABLE);
    owner = open_owner();
    for (unsigned i = 0; i <= BEYOND_SMALL_MAP; i++) {
        EXPECT_EQ(write_large(leader, i), CLIENT__CODE__OK);
    }
    cluster_wait_status(&cluster, leader, "is short of space");
    return owner;
}

/* What it has no room for, it gets when it has a larger map. */
static void test_a_full_map_of_a_follower_stops_nobody(void)
{
    unsigned leader = form_with_map(LARGE_MAP);
    unsigned small = other_than(leader);
    struct confer *owner = outgrow(leader, small);
    char last[32];

    (void)snprintf(last, sizeof last, "/fill/%d", BEYOND_SMALL_MAP);
    hold(leader, CLIENT__CODE__OK);
    /* Said once, however often it is tried. */
    EXPECT_EQ(count_in_log(small, " checkpoint_waits "), 1);
    remove_tree(leader, "/removable");
    EXPECT_EQ(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS), leader);
    start_with_map(small, LARGE_MAP);
    expect_readable(small, last, CLIENT__READ_LEVEL__LINEARIZABLE);
    expect_recovered(owner);
    cluster_release(&cluster);
}

/* It stands where its map was full, but for what is left it has room. */
static void test_a_full_map_of_a_follower_recovers_when_the_filling_is_removed(void)
{
    unsigned leader = form_with_map(LARGE_MAP);
    unsigned small = other_than(leader);
    struct confer *owner = outgrow(leader, small);

    cluster_wait_status(&cluster, leader, "it asks for a dump, which takes less");
    EXPECT_EQ(wire_set_text(cluster.servers[leader].address, "/late", "1"), CLIENT__CODE__OK);
    remove_tree(leader, "/fill");
    expect_readable(small, "/late", CLIENT__READ_LEVEL__LINEARIZABLE);
    expect_recovered(owner);
    cluster_release(&cluster);
}

/* --- Logs --- */

/* The log has room for a few of these writes, until a checkpoint lets it be trimmed. */
static void test_small_logs_of_all_make_writes_wait_or_refuse_them_and_go_on(void)
{
    enum { WRITES = 64, LARGE_BYTES = 900 * 1000 };
    const char *const options[] = {"--log-map-size",        "4MiB",  "--log-tail",         "1MiB",
                                   "--checkpoint-interval", "200ms", "--checkpoint-bytes", "1MiB"};
    static char value[LARGE_BYTES + 1];
    struct confer *owner;
    unsigned leader;
    unsigned taken = 0;

    memset(value, 'v', LARGE_BYTES);
    cluster_init(&cluster, 3);
    leader = form(options, sizeof options / sizeof *options);
    owner = open_owner();
    for (unsigned i = 0; i < WRITES; i++) {
        char path[32];
        int code;

        (void)snprintf(path, sizeof path, "/large/%u", i % 8);
        code = wire_set_text(cluster.servers[i % 3 + 1].address, path, value);
        EXPECT(code == CLIENT__CODE__OK || code == CLIENT__CODE__NO_SPACE ||
               code == CLIENT__CODE__BUSY);
        taken += code == CLIENT__CODE__OK;
    }
    EXPECT(taken > 0);
    EXPECT_EQ(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS), leader);
    expect_recovered(owner);
    cluster_release(&cluster);
}

/* --- Disks --- */

/* This program and its servers see mounts of their own from here on. False where the system does
 * not let us. */
static bool own_mounts(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static void mount_small_disk(unsigned id)
{
    EXPECT_EQ(mkdir(cluster.servers[id].data, 0700), 0);
    EXPECT_EQ(mount("none", cluster.servers[id].data, "tmpfs", 0, "size=160m"), 0);
}

/* Take all that is left of this server's disk. */
static void ballast_load(unsigned id)
{
    static const char zeros[VALUE_BYTES];
    char path[600];
    size_t size = sizeof zeros;
    int file;

    (void)snprintf(path, sizeof path, "%s/ballast", cluster.servers[id].data);
    file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    EXPECT(file >= 0);
    while (size > 0) {
        if (write(file, zeros, size) < 0) {
            EXPECT_EQ(errno, ENOSPC);
            size /= 2;
        }
    }
    (void)close(file);
}

static void ballast_drop(unsigned id)
{
    char path[600];

    (void)snprintf(path, sizeof path, "%s/ballast", cluster.servers[id].data);
    EXPECT_EQ(unlink(path), 0);
}

static unsigned form_on_small_disks(void)
{
    static const char *const options[] = {"--disk-reserve",
                                          "8MiB",
                                          "--log-map-size",
                                          "24MiB",
                                          "--log-tail",
                                          "1MiB",
                                          "--map-size",
                                          "64MiB",
                                          "--checkpoint-bytes",
                                          "1MiB",
                                          "--checkpoint-interval",
                                          "200ms"};

    cluster_init(&cluster, 3);
    for (unsigned id = 1; id <= 3; id++) {
        mount_small_disk(id);
    }
    return form(options, sizeof options / sizeof *options);
}

static void release_small_disks(void)
{
    for (unsigned id = 1; id <= 3; id++) {
        EXPECT(!process_wait(&cluster.servers[id].process, 0));
        cluster_kill(&cluster, id);
        EXPECT_EQ(umount2(cluster.servers[id].data, MNT_DETACH), 0);
    }
    cluster_release(&cluster);
}

static void test_a_full_disk_of_a_follower_stops_nobody(void)
{
    unsigned leader = form_on_small_disks();
    unsigned full = other_than(leader);
    struct confer *owner = open_owner();
    struct writers *writers;

    ballast_load(full);
    cluster_wait_status(&cluster, leader, "is short of space");
    writers = writers_start(servers, 4, "/written");
    writers_wait(writers, 200, CLUSTER_DEADLINE_MS);
    hold(leader, CLIENT__CODE__OK);
    remove_tree(leader, "/removable");
    EXPECT_EQ(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS), leader);
    ballast_drop(full);
    writers_wait(writers, 20, CLUSTER_DEADLINE_MS);
    writers_stop(writers);
    EXPECT(writers_check(writers, cluster.servers[full].address) >= 4 * 220);
    writers_free(writers);
    expect_recovered(owner);
    release_small_disks();
}

static void test_a_full_disk_of_the_leader_alone_refuses_writes_until_there_is_space(void)
{
    unsigned leader = form_on_small_disks();
    struct confer *owner = open_owner();

    ballast_load(leader);
    wait_write(other_than(leader), CLIENT__CODE__NO_SPACE);
    cluster_wait_status(&cluster, other_than(leader), "is short of space");
    hold(leader, CLIENT__CODE__NO_SPACE);
    remove_tree(other_than(leader), "/removable");
    EXPECT_EQ(write_small(other_than(leader)), CLIENT__CODE__NO_SPACE);
    EXPECT_EQ(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS), leader);
    ballast_drop(leader);
    expect_recovered(owner);
    release_small_disks();
}

static void test_full_disks_of_all_refuse_writes_until_there_is_space(void)
{
    unsigned leader = form_on_small_disks();
    struct confer *owner = open_owner();

    for (unsigned id = 1; id <= 3; id++) {
        ballast_load(id);
    }
    wait_write(leader, CLIENT__CODE__NO_SPACE);
    hold(leader, CLIENT__CODE__NO_SPACE);
    remove_tree(other_than(leader), "/removable");
    EXPECT_EQ(write_small(other_than(leader)), CLIENT__CODE__NO_SPACE);
    for (unsigned id = 1; id <= 3; id++) {
        ballast_drop(id);
    }
    expect_recovered(owner);
    release_small_disks();
}

int main(int argc, char **argv)
{
    bool may_mount = own_mounts();
    const struct test_case cases[] = {
        TEST_CASE(test_full_maps_of_all_take_removals_and_recover),
        TEST_CASE(test_a_full_map_of_the_leader_alone_takes_removals_and_recovers),
        TEST_CASE(test_a_full_map_of_a_follower_stops_nobody),
        TEST_CASE(test_a_full_map_of_a_follower_recovers_when_the_filling_is_removed),
        TEST_CASE(test_small_logs_of_all_make_writes_wait_or_refuse_them_and_go_on),
        may_mount ? (struct test_case)TEST_CASE(test_a_full_disk_of_a_follower_stops_nobody)
                  : (struct test_case)TEST_END,
        TEST_CASE(test_a_full_disk_of_the_leader_alone_refuses_writes_until_there_is_space),
        TEST_CASE(test_full_disks_of_all_refuse_writes_until_there_is_space),
        TEST_END};
    int result = test_main("full_disk", cases, argc, argv);

    if (result == 0 && !may_mount) {
        (void)fprintf(stderr, "skipped: not permitted to mount here, so disks cannot be filled\n");
        return SKIPPED;
    }
    return result;
}
