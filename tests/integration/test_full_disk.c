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
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { VALUE_BYTES = 64 * 1024, FILL_NODES_MAX = 4000 };

static struct cluster cluster;

static char servers[160];

static void join_addresses(void)
{
    (void)snprintf(servers, sizeof servers, "%s,%s,%s", cluster.servers[1].address,
                   cluster.servers[2].address, cluster.servers[3].address);
}

/* A client whose ephemeral node shows that its session was never given up. */
static struct confer *open_owner(void)
{
    struct confer_create ephemeral = {.mode = CONFER_EPHEMERAL};
    struct confer *owner = NULL;

    EXPECT_EQ(confer_open(servers, NULL, &owner), CONFER_OK);
    EXPECT_EQ(confer_create(owner, "/owned", NULL, 0, &ephemeral, NULL, NULL), CONFER_OK);
    return owner;
}

static void expect_owned(const char *address)
{
    char value[8];

    EXPECT_EQ(
        wire_get_text(address, "/owned", CLIENT__READ_LEVEL__LINEARIZABLE, value, sizeof value),
        CLIENT__CODE__OK);
}

/* Write large values through `address` until one is refused for want of space. */
static void fill(const char *address)
{
    static char value[VALUE_BYTES + 1];
    char path[32];
    int code = CLIENT__CODE__OK;

    memset(value, 'v', VALUE_BYTES);
    for (unsigned i = 0; i < FILL_NODES_MAX && code == CLIENT__CODE__OK; i++) {
        (void)snprintf(path, sizeof path, "/fill/%u", i);
        code = wire_set_text(address, path, value);
    }
    EXPECT_EQ(code, CLIENT__CODE__NO_SPACE);
}

/* Ask for one small write again and again until it is answered with `wanted`. */
static void wait_write(const char *address, int wanted)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    int code = -1;

    for (unsigned i = 0; i < CLUSTER_DEADLINE_MS / 20 && code != wanted; i++) {
        code = wire_set_text(address, "/small", "1");
        (void)nanosleep(&pause, NULL);
    }
    EXPECT_EQ(code, wanted);
}

static void remove_filling(unsigned id)
{
    const struct outcome *outcome = cluster_cli(&cluster, id, "remove", "-r", "/fill", NULL);

    EXPECT_TEXT(outcome->err, "");
    EXPECT_EQ(outcome->exit_code, 0);
}

static void test_a_full_map_takes_removals_and_recovers(void)
{
    static const char *const small_maps[] = {
        "--map-size",         "16MiB", "--log-map-size",        "64MiB",
        "--log-tail",         "4MiB",  "--checkpoint-interval", "200ms",
        "--checkpoint-bytes", "1MiB"};
    struct confer *owner;
    char value[16];

    cluster_init(&cluster, 3);
    memcpy(cluster.options, small_maps, sizeof small_maps);
    cluster_form(&cluster);
    join_addresses();
    owner = open_owner();
    fill(cluster.servers[1].address);
    EXPECT_EQ(wire_get_text(cluster.servers[2].address, "/fill/0", CLIENT__READ_LEVEL__LINEARIZABLE,
                            value, sizeof value),
              CLIENT__CODE__OK);
    expect_owned(cluster.servers[3].address);
    remove_filling(1);
    wait_write(cluster.servers[1].address, CLIENT__CODE__OK);
    expect_owned(cluster.servers[3].address);
    confer_close(owner);
    /* Nobody died of it, and all find it in their folders again. */
    for (unsigned id = 1; id <= 3; id++) {
        EXPECT(!process_wait(&cluster.servers[id].process, 0));
        cluster_kill(&cluster, id);
    }
    for (unsigned id = 1; id <= 3; id++) {
        cluster_start(&cluster, id);
    }
    wait_write(cluster.servers[2].address, CLIENT__CODE__OK);
    cluster_release(&cluster);
}

/* This program and its servers see mounts of their own from here on. False where the system does
 * not let us. */
static bool own_mounts(void)
{
    if (unshare(CLONE_NEWNS) != 0) {
        return false;
    }
    EXPECT_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    return true;
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

static bool form_on_small_disks(void)
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

    if (!own_mounts()) {
        (void)printf("not permitted to mount here: disks cannot be filled\n");
        return false;
    }
    cluster_init(&cluster, 3);
    memcpy(cluster.options, options, sizeof options);
    for (unsigned id = 1; id <= 3; id++) {
        mount_small_disk(id);
    }
    cluster_form(&cluster);
    join_addresses();
    return true;
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

static void test_a_followers_full_disk_stops_nobody(void)
{
    struct writers *writers;
    unsigned full;

    if (!form_on_small_disks()) {
        return;
    }
    full = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS) % 3 + 1;
    ballast_load(full);
    cluster_wait_status(&cluster, full % 3 + 1, "is short of space");
    writers = writers_start(servers, 4, "/written");
    writers_wait(writers, 200, CLUSTER_DEADLINE_MS);
    ballast_drop(full);
    writers_wait(writers, 20, CLUSTER_DEADLINE_MS);
    writers_stop(writers);
    EXPECT(writers_check(writers, cluster.servers[full].address) >= 4 * 220);
    writers_free(writers);
    release_small_disks();
}

static void test_full_disks_of_all_refuse_writes_until_there_is_space(void)
{
    struct confer *owner;

    if (!form_on_small_disks()) {
        return;
    }
    owner = open_owner();
    EXPECT_EQ(wire_set_text(cluster.servers[1].address, "/fill/0", "1"), CLIENT__CODE__OK);
    for (unsigned id = 1; id <= 3; id++) {
        ballast_load(id);
    }
    wait_write(cluster.servers[1].address, CLIENT__CODE__NO_SPACE);
    expect_owned(cluster.servers[2].address);
    remove_filling(1);
    expect_owned(cluster.servers[3].address);
    for (unsigned id = 1; id <= 3; id++) {
        ballast_drop(id);
    }
    wait_write(cluster.servers[1].address, CLIENT__CODE__OK);
    expect_owned(cluster.servers[1].address);
    confer_close(owner);
    release_small_disks();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_full_map_takes_removals_and_recovers),
        TEST_CASE(test_a_followers_full_disk_stops_nobody),
        TEST_CASE(test_full_disks_of_all_refuse_writes_until_there_is_space), TEST_END};
    return test_main("full_disk", cases, argc, argv);
}
