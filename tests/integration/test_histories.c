/* Clients read, write, compare and set, number, own ephemerals and watch side by side, while
 * leaders are killed, paused and restarted. Everything they were told is recorded and judged by all
 * the checkers of tests/history. */
#include "tests/integration/recorder.h"

#include "base/alloc.h"
#include "base/prng.h"
#include "tests/support/cluster.h"
#include "tests/support/test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CLIENT_COUNT = 6,
    WITHOUT_SESSION = 2, /* of them: what is lost stays unknown */
    KEY_COUNT = 4,
    EPHEMERAL_COUNT = 3,
    SESSION_TIMEOUT_MS = 4000,
    SHORT_TIMEOUT_MS = 1000,
    CALLS_EACH = 15 /* that succeed, between two faults */
};

static struct cluster cluster;

struct worker {
    struct recorder *recorder;
    struct recorded *recorded;
    const char *servers;
    uint32_t session_timeout_ms;
    struct prng prng;
    pthread_t thread;
    int32_t versions[KEY_COUNT]; /* as last seen */
    const atomic_bool *stopping;
    atomic_uint_fast64_t succeeded;
};

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

/* --- Workers --- */

static const char *key_path(uint64_t key, char path[32])
{
    (void)snprintf(path, 32, "/h/k/%" PRIu64, key);
    return path;
}

static const char *ephemeral_path(uint64_t number, char path[32])
{
    (void)snprintf(path, 32, "/h/e/%" PRIu64, number);
    return path;
}

static enum confer_status write_key(struct worker *worker, bool compare)
{
    uint64_t key = prng_below(&worker->prng, KEY_COUNT);
    int32_t expected = compare ? worker->versions[key] : CONFER_ANY_VERSION;
    char path[32];

    return recorded_set(worker->recorded, key_path(key, path), expected, &worker->versions[key],
                        NULL);
}

static enum confer_status write_two_keys(struct worker *worker)
{
    uint64_t key = prng_below(&worker->prng, KEY_COUNT);
    char first[32];
    char second[32];
    enum confer_status status =
        recorded_set_both(worker->recorded, key_path(key, first), worker->versions[key],
                          key_path((key + 1) % KEY_COUNT, second));

    worker->versions[key] += status == CONFER_OK;
    return status;
}

static enum confer_status touch_ephemeral(struct worker *worker, bool remove)
{
    char path[32];

    (void)ephemeral_path(prng_below(&worker->prng, EPHEMERAL_COUNT), path);
    return remove ? recorded_remove(worker->recorded, path)
                  : recorded_create(worker->recorded, path, CONFER_EPHEMERAL);
}

static enum confer_status read_something(struct worker *worker, bool linearizable)
{
    uint64_t choice = prng_below(&worker->prng, KEY_COUNT + EPHEMERAL_COUNT);
    char path[32];

    return recorded_get(worker->recorded,
                        choice < KEY_COUNT ? key_path(choice, path)
                                           : ephemeral_path(choice - KEY_COUNT, path),
                        linearizable);
}

static enum confer_status do_something(struct worker *worker)
{
    uint64_t choice = prng_below(&worker->prng, 100);

    if (choice < 25) {
        return read_something(worker, true);
    }
    if (choice < 38) {
        return read_something(worker, false);
    }
    if (choice < 43) {
        return recorded_list(worker->recorded, prng_below(&worker->prng, 2) == 0 ? "/h/q" : "/h/e",
                             NULL);
    }
    if (choice < 73) {
        return write_key(worker, choice < 58);
    }
    if (choice < 80) {
        return write_two_keys(worker);
    }
    if (choice < 90) {
        return recorded_create(worker->recorded, "/h/q/n-", CONFER_PERSISTENT_SEQUENTIAL);
    }
    return touch_ephemeral(worker, choice >= 96);
}

static void open_worker(struct worker *worker)
{
    worker->recorded = recorded_open(worker->recorder, worker->servers, worker->session_timeout_ms);
    recorded_watch(worker->recorded, "/h/k", true);
}

static void *work(void *context)
{
    struct worker *worker = context;

    while (!atomic_load(worker->stopping)) {
        if (do_something(worker) < CONFER_NO_LEADER) {
            (void)atomic_fetch_add(&worker->succeeded, 1);
        }
        if (recorded_is_expired(worker->recorded)) {
            recorded_close(worker->recorded);
            open_worker(worker);
        }
    }
    return NULL;
}

struct crowd {
    struct recorder *recorder;
    struct worker workers[CLIENT_COUNT];
    struct recorded *observer;
    atomic_bool stopping;
};

static void crowd_start(struct crowd *crowd, uint64_t seed)
{
    static const char *const paths[] = {"/h", "/h/e", "/h/k", "/h/q"};

    atomic_store(&crowd->stopping, false);
    crowd->recorder = recorder_new();
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const struct outcome *made = cluster_cli(&cluster, 1, "set", paths[i], "", NULL);

        EXPECT_EQ(made->exit_code, 0);
        recorder_begin_with(crowd->recorder, paths[i]);
    }
    crowd->observer = recorded_open(crowd->recorder, all_servers(), SESSION_TIMEOUT_MS);
    recorded_watch(crowd->observer, "/h", true);
    recorded_watch(crowd->observer, "/h/q", false);
    for (size_t i = 0; i < CLIENT_COUNT; i++) {
        struct worker *worker = &crowd->workers[i];

        *worker =
            (struct worker){.recorder = crowd->recorder,
                            .servers = all_servers(),
                            .session_timeout_ms = i < WITHOUT_SESSION ? 0 : SESSION_TIMEOUT_MS,
                            .stopping = &crowd->stopping};
        prng_init(&worker->prng, seed * CLIENT_COUNT + i);
        open_worker(worker);
        EXPECT_EQ(pthread_create(&worker->thread, NULL, work, worker), 0);
    }
}

/* Until each has got another few calls done. */
static void crowd_wait(struct crowd *crowd)
{
    uint64_t end = process_now_ms() + CLUSTER_DEADLINE_MS;

    for (size_t i = 0; i < CLIENT_COUNT; i++) {
        atomic_uint_fast64_t *succeeded = &crowd->workers[i].succeeded;
        uint64_t start = atomic_load(succeeded);

        while (atomic_load(succeeded) < start + CALLS_EACH && process_now_ms() < end) {
            process_pause();
        }
        EXPECT(atomic_load(succeeded) >= start + CALLS_EACH);
    }
}

/* Everybody ends, the watches have given everything, and the ephemerals are gone. */
static void crowd_stop(struct crowd *crowd)
{
    uint64_t end = process_now_ms() + CLUSTER_DEADLINE_MS;
    uint64_t last = 0;
    size_t left = 1;

    atomic_store(&crowd->stopping, true);
    for (size_t i = 0; i < CLIENT_COUNT; i++) {
        EXPECT_EQ(pthread_join(crowd->workers[i].thread, NULL), 0);
    }
    EXPECT_EQ(recorded_set(crowd->observer, "/h/k/last", CONFER_ANY_VERSION, NULL, &last),
              CONFER_OK);
    for (size_t i = 0; i < CLIENT_COUNT; i++) {
        struct recorded *recorded = crowd->workers[i].recorded;

        while (recorded_watched(recorded) < last && process_now_ms() < end) {
            process_pause();
        }
        EXPECT(recorded_watched(recorded) >= last);
        recorded_close(recorded);
    }
    while (left > 0 && process_now_ms() < end) {
        EXPECT_EQ(recorded_list(crowd->observer, "/h/e", &left), CONFER_OK);
        process_pause();
    }
    EXPECT_EQ(left, 0);
    EXPECT_EQ(recorded_set(crowd->observer, "/h/k/last", CONFER_ANY_VERSION, NULL, &last),
              CONFER_OK);
    while (recorded_watched(crowd->observer) < last && process_now_ms() < end) {
        process_pause();
    }
    EXPECT(recorded_watched(crowd->observer) >= last);
    recorded_close(crowd->observer);
}

static void crowd_judge(struct crowd *crowd)
{
    struct recorder_counts counts = recorder_counts(crowd->recorder);

    (void)printf("    %zu calls (%zu writes acknowledged, %zu refused, %zu unknown), %zu events, "
                 "%zu sessions, %zu expired\n",
                 counts.calls, counts.acknowledged, counts.refused, counts.unknown, counts.events,
                 counts.sessions, counts.expired);
    EXPECT(recorder_judge(crowd->recorder));
    /* There was something to judge. */
    EXPECT(counts.acknowledged >= CLIENT_COUNT * CALLS_EACH);
    EXPECT(counts.refused > 0);
    EXPECT(counts.events > counts.acknowledged);
    recorder_free(crowd->recorder);
}

/* --- Faults --- */

static unsigned leader_now(void)
{
    unsigned leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);

    EXPECT(leader != 0);
    return leader;
}

static void kill_the_leader(struct crowd *crowd)
{
    unsigned leader = leader_now();

    cluster_kill(&cluster, leader);
    EXPECT(cluster_wait_leader(&cluster, leader, CLUSTER_DEADLINE_MS) != 0);
    crowd_wait(crowd);
    cluster_start(&cluster, leader);
}

static void pause_the_leader(struct crowd *crowd)
{
    unsigned leader = leader_now();

    cluster_signal(&cluster, leader, SIGSTOP);
    EXPECT(cluster_wait_leader(&cluster, leader, CLUSTER_DEADLINE_MS) != 0);
    cluster_signal(&cluster, leader, SIGCONT);
    crowd_wait(crowd);
}

static void restart_the_leader(struct crowd *crowd)
{
    unsigned leader = leader_now();

    cluster_signal(&cluster, leader, SIGTERM);
    EXPECT(process_wait(&cluster.servers[leader].process, CLUSTER_DEADLINE_MS));
    crowd_wait(crowd);
    cluster_start(&cluster, leader);
}

static void leave_a_ghost(struct crowd *crowd)
{
    uint64_t end = process_now_ms() + CLUSTER_DEADLINE_MS;
    unsigned tries = 0;
    bool done = false;

    while (!done && process_now_ms() < end) {
        char path[32];

        (void)snprintf(path, sizeof path, "/h/e/ghost-%u", tries);
        done = recorder_ghost(crowd->recorder, cluster.servers[1 + tries++ % 3].address, path);
    }
    EXPECT(done);
}

/* A client that can reach one server only, and that one dies: its session is expired, what it owned
 * goes, and when the server is back the client is told. */
static void expire_a_session(struct crowd *crowd)
{
    uint64_t end = process_now_ms() + CLUSTER_DEADLINE_MS;
    unsigned server = leader_now() % 3 + 1;
    struct recorded *exile =
        recorded_open(crowd->recorder, cluster.servers[server].address, SHORT_TIMEOUT_MS);

    EXPECT_EQ(recorded_create(exile, "/h/e/exile", CONFER_EPHEMERAL), CONFER_OK);
    cluster_kill(&cluster, server);
    while (recorded_get(crowd->observer, "/h/e/exile", true) != CONFER_NO_NODE &&
           process_now_ms() < end) {
        process_pause();
    }
    EXPECT_EQ(recorded_get(crowd->observer, "/h/e/exile", true), CONFER_NO_NODE);
    cluster_start(&cluster, server);
    while (!recorded_is_expired(exile) && process_now_ms() < end) {
        process_pause();
    }
    EXPECT(recorded_is_expired(exile));
    recorded_close(exile);
}

static void test_histories_under_faults_are_right(void)
{
    static struct crowd crowd;

    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    crowd_start(&crowd, 1);
    crowd_wait(&crowd);
    leave_a_ghost(&crowd);
    kill_the_leader(&crowd);
    crowd_wait(&crowd);
    expire_a_session(&crowd);
    pause_the_leader(&crowd);
    restart_the_leader(&crowd);
    pause_the_leader(&crowd);
    kill_the_leader(&crowd);
    crowd_wait(&crowd);
    crowd_stop(&crowd);
    crowd_judge(&crowd);
    cluster_release(&cluster);
}

static void test_histories_across_a_death_of_all_are_right(void)
{
    static struct crowd crowd;

    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    crowd_start(&crowd, 2);
    crowd_wait(&crowd);
    for (unsigned id = 1; id <= 3; id++) {
        cluster_kill(&cluster, id);
    }
    for (unsigned id = 1; id <= 3; id++) {
        cluster_start(&cluster, id);
    }
    crowd_wait(&crowd);
    crowd_stop(&crowd);
    crowd_judge(&crowd);
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_histories_under_faults_are_right),
        TEST_CASE(test_histories_across_a_death_of_all_are_right), TEST_END};
    return test_main("histories", cases, argc, argv);
}
