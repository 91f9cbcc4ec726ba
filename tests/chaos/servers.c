#include "tests/chaos/servers.h"

#include "base/clock.h"
#include "tests/chaos/network.h"
#include "tests/support/damage.h"
#include "tests/support/folder.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { KILLED = 128 + SIGKILL, TERMINATED = 128 + SIGTERM, HURRY_DELAY_US = 20000 };

/* Small limits: what is rare with large ones happens every few seconds. */
static const char *const options[] = {
    "--log-tail",           "64KiB", "--log-tail-entries",    "200",
    "--checkpoint-records", "100",   "--checkpoint-interval", "500ms",
    "--history-changes",    "400",   "--open-membership",     "--cluster-secret-file"};

/* The file that a server's clocks are moved by, mapped here. */
static struct skewed_clock *map_clock(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *place;

    EXPECT(file >= 0 && ftruncate(file, sizeof(struct skewed_clock)) == 0);
    place = mmap(NULL, sizeof(struct skewed_clock), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    EXPECT(place != MAP_FAILED);
    (void)close(file);
    return place;
}

/* In which place, with which clock, and where it is to die. */
static void set_launcher(struct servers *servers, unsigned id)
{
    struct server *server = &servers->servers[id];
    struct cluster_server *place = &servers->cluster.servers[id];
    size_t count = 0;

    for (; network_launcher(id)[count] != NULL; count++) {
        place->launcher[count] = network_launcher(id)[count];
    }
    place->launcher[count++] = "/usr/bin/env";
    place->launcher[count++] = server->preload;
    place->launcher[count++] = server->clock;
    place->launcher[count++] = server->disk;
    /* A sanitizer wants to be the first library of a program; the clock does not harm it. */
    place->launcher[count++] = "ASAN_OPTIONS=verify_asan_link_order=0";
    if (server->armed) {
        place->launcher[count++] = server->mark;
    }
    place->launcher[count] = NULL;
}

void servers_form(struct servers *servers, unsigned count)
{
    size_t option_count = sizeof options / sizeof *options;

    cluster_init(&servers->cluster, count); /* ends those of a case that failed */
    memset(servers->servers, 0, sizeof servers->servers);
    servers->folder = test_folder();
    servers->deaths_at_marks = 0;
    memcpy(servers->cluster.options, options, sizeof options);
    servers->cluster.options[option_count] = cluster_secret_file("a secret of this test alone");
    for (unsigned id = 1; id <= count; id++) {
        struct server *server = &servers->servers[id];
        char path[512];
        char data[sizeof servers->cluster.servers[id].data];

        (void)snprintf(path, sizeof path, "%.400s/clock-%u", servers->folder, id);
        server->skewed = map_clock(path);
        (void)snprintf(server->preload, sizeof server->preload, "LD_PRELOAD=%s:%s:%s",
                       cluster_program("tests/preload/skewed_clock.so"),
                       cluster_program("tests/preload/stuck_disk.so"),
                       cluster_program("tests/preload/full_disk.so"));
        memcpy(data, servers->cluster.servers[id].data, sizeof data); /* gcc: they may overlap */
        (void)snprintf(server->disk, sizeof server->disk, "FULL_DISK_FOLDER=%s", data);
        (void)snprintf(server->clock, sizeof server->clock, "SKEWED_CLOCK_FILE=%s", path);
        (void)snprintf(servers->cluster.servers[id].address,
                       sizeof servers->cluster.servers[id].address, "%s", network_address(id));
        set_launcher(servers, id);
    }
    cluster_form(&servers->cluster);
}

void servers_release(struct servers *servers)
{
    cluster_release(&servers->cluster);
    for (unsigned id = 1; id <= servers->cluster.server_count; id++) {
        (void)munmap(servers->servers[id].skewed, sizeof(struct skewed_clock));
    }
}

static struct process *process_of(struct servers *servers, unsigned id)
{
    return &servers->cluster.servers[id].process;
}

/* A server has ended that was up. */
static void judge_end(struct servers *servers, unsigned id)
{
    struct server *server = &servers->servers[id];
    int exit_code = process_of(servers, id)->exit_code;

    if (server->armed && exit_code == KILLED) {
        servers->deaths_at_marks++;
        (void)printf("    server %u died at its mark\n", id);
    } else if (server->want == SERVER_LEAVING) {
        /* By the signal itself if it came before the server had begun. */
        EXPECT(exit_code == 0 || exit_code == TERMINATED);
    } else {
        (void)fprintf(stderr, "server %u ended by itself with exit code %d\n", id, exit_code);
        EXPECT_EQ(exit_code, -1);
    }
    server->want = SERVER_DOWN;
}

void servers_tick(struct servers *servers)
{
    for (unsigned id = 1; id <= servers->cluster.server_count; id++) {
        if (servers->servers[id].want != SERVER_DOWN && process_wait(process_of(servers, id), 0)) {
            judge_end(servers, id);
        }
    }
}

static void launch(struct servers *servers, unsigned id, bool armed)
{
    struct server *server = &servers->servers[id];

    if (server->want == SERVER_DOWN && !server->held) {
        servers_fill_disk(servers, id, false);
        server->armed = armed;
        set_launcher(servers, id);
        cluster_launch(&servers->cluster, id);
        server->want = SERVER_UP;
    }
}

void servers_launch(struct servers *servers, unsigned id)
{
    launch(servers, id, false);
}

void servers_launch_armed(struct servers *servers, unsigned id, const char *mark, int pass)
{
    struct server *server = &servers->servers[id];

    (void)snprintf(server->mark, sizeof server->mark, "CONFER_MARK_KILL=%s:%d", mark, pass);
    launch(servers, id, true);
}

void servers_kill(struct servers *servers, unsigned id)
{
    servers_tick(servers);
    cluster_kill(&servers->cluster, id);
    servers->servers[id].want = SERVER_DOWN;
}

void servers_pause(struct servers *servers, unsigned id)
{
    if (servers->servers[id].want == SERVER_UP) {
        cluster_signal(&servers->cluster, id, SIGSTOP);
        servers->servers[id].want = SERVER_PAUSED;
    }
}

void servers_continue(struct servers *servers, unsigned id)
{
    if (servers->servers[id].want == SERVER_PAUSED) {
        cluster_signal(&servers->cluster, id, SIGCONT);
        servers->servers[id].want = SERVER_UP;
    }
}

void servers_term(struct servers *servers, unsigned id)
{
    if (servers->servers[id].want == SERVER_UP) {
        cluster_signal(&servers->cluster, id, SIGTERM);
        servers->servers[id].want = SERVER_LEAVING;
    }
}

void servers_wipe(struct servers *servers, unsigned id)
{
    EXPECT_EQ(servers->servers[id].want, SERVER_DOWN);
    folder_remove(servers->cluster.servers[id].data);
    EXPECT(access(servers->cluster.servers[id].data, F_OK) != 0);
}

void servers_skew(struct servers *servers, unsigned id, int minutes)
{
    atomic_store(&servers->servers[id].skewed->skew_ms, (int64_t)minutes * 60 * 1000);
}

void servers_hurry(struct servers *servers, unsigned id, int permille)
{
    skewed_clock_run(servers->servers[id].skewed, (int64_t)clock_monotonic_us() + HURRY_DELAY_US,
                     (int64_t)permille * 1000);
}

/* What is loaded into the server looks for this file, and in it. NULL: it goes. */
static void set_switch(struct servers *servers, unsigned id, const char *name, const char *text)
{
    char path[600];

    (void)snprintf(path, sizeof path, "%s.%s", servers->cluster.servers[id].data, name);
    if (text != NULL) {
        damage_write(path, 0, bytes_of_text(text));
    } else {
        (void)unlink(path);
    }
}

void servers_stick_disk(struct servers *servers, unsigned id, bool stuck)
{
    set_switch(servers, id, "stuck", stuck ? "stuck\n" : NULL);
}

void servers_slow_disk(struct servers *servers, unsigned id, int sync_ms)
{
    char text[16];

    (void)snprintf(text, sizeof text, "%d\n", sync_ms);
    set_switch(servers, id, "slow", sync_ms > 0 ? text : NULL);
}

void servers_fill_disk(struct servers *servers, unsigned id, bool full)
{
    set_switch(servers, id, "full", full ? "full\n" : NULL);
}

unsigned servers_leader(struct servers *servers, unsigned id)
{
    unsigned leader = cluster_wait_leader(&servers->cluster, 0, 0);

    return leader == 0 ? id : leader;
}

/* --- After the faults --- */

bool servers_answers(struct servers *servers, unsigned id)
{
    Client__Response *response = cluster_status(&servers->cluster, id);

    if (response != NULL) {
        client__response__free_unpacked(response, NULL);
    }
    return response != NULL;
}

void servers_heal(struct servers *servers, unsigned deadline_ms)
{
    uint64_t end = process_now_ms() + deadline_ms;

    servers_tick(servers);
    for (unsigned id = 1; id <= servers->cluster.server_count; id++) {
        struct server *server = &servers->servers[id];

        servers_skew(servers, id, 0);
        servers_hurry(servers, id, 0);
        servers_stick_disk(servers, id, false);
        servers_fill_disk(servers, id, false);
        servers_continue(servers, id);
        if (server->want == SERVER_LEAVING) {
            EXPECT(process_wait(process_of(servers, id), deadline_ms));
            judge_end(servers, id);
        }
        if (server->armed) {
            servers_kill(servers, id);
        }
        server->held = false;
        servers_launch(servers, id);
    }
    for (unsigned id = 1; id <= servers->cluster.server_count; id++) {
        while (!servers_answers(servers, id)) {
            servers_tick(servers);
            EXPECT(process_now_ms() < end);
            process_pause();
        }
    }
}

/* What it says of itself: how far it has applied, if a majority has the same digest there; else 0.
 */
static uint64_t applied_at(struct servers *servers, unsigned id)
{
    Client__Response *response = cluster_status(&servers->cluster, id);
    uint64_t applied = 0;

    for (size_t i = 0; response != NULL && i < response->status->n_members; i++) {
        const Client__MemberStatus *member = response->status->members[i];

        if (member->id == id && member->agreed == member->applied) {
            applied = member->applied;
        }
    }
    if (response != NULL) {
        client__response__free_unpacked(response, NULL);
    }
    return applied;
}

/* How far all have applied; 0 = not all the same. */
static uint64_t common_applied(struct servers *servers)
{
    uint64_t applied = applied_at(servers, 1);

    for (unsigned id = 2; id <= servers->cluster.server_count; id++) {
        applied = applied_at(servers, id) == applied ? applied : 0;
    }
    return applied;
}

static const char *tree_at(struct servers *servers, unsigned id, const char *path)
{
    const struct outcome *outcome = cluster_cli(&servers->cluster, id, "tree", path, "--local",
                                                "--values", "--output", "json", NULL);

    EXPECT_EQ(outcome->exit_code, 0);
    return outcome->out;
}

void servers_converge(struct servers *servers, const char *path, unsigned deadline_ms)
{
    uint64_t end = process_now_ms() + deadline_ms;
    uint64_t before;

    do {
        const char *tree;

        servers_tick(servers);
        EXPECT(process_now_ms() < end);
        process_pause();
        before = common_applied(servers);
        if (before == 0) {
            continue;
        }
        tree = tree_at(servers, 1, path);
        for (unsigned id = 2; id <= servers->cluster.server_count; id++) {
            if (strcmp(tree_at(servers, id, path), tree) != 0) {
                /* Unless something was applied between the looks. */
                EXPECT(common_applied(servers) != before);
                before = 0;
                break;
            }
        }
    } while (before == 0);
}
