#include "tests/integration/crowd.h"

#include "tests/support/test.h"

#include <stdio.h>

enum { EPHEMERAL_COUNT = 3, SESSION_TIMEOUT_MS = 4000 };

/* Each third worker is a client of ZooKeeper's protocol. */
static const struct crowd_kind {
    uint32_t session_timeout_ms; /* 0: without a session, so what is lost stays unknown */
    bool is_zookeeper;
} kinds[CROWD_WORKERS] = {{0, false},
                          {0, false},
                          {SESSION_TIMEOUT_MS, true},
                          {SESSION_TIMEOUT_MS, false},
                          {1500, false},
                          {SESSION_TIMEOUT_MS, true}};

const char *crowd_path(const struct crowd *crowd, const char *name, char path[CROWD_PATH_BYTES])
{
    (void)snprintf(path, CROWD_PATH_BYTES, "%s%s", crowd->root, name);
    return path;
}

static const char *numbered(const struct crowd *crowd,
                            const char *folder,
                            uint64_t number,
                            char path[CROWD_PATH_BYTES])
{
    (void)snprintf(path, CROWD_PATH_BYTES, "%s/%s/%" PRIu64, crowd->root, folder, number);
    return path;
}

/* --- Workers --- */

static enum confer_status write_key(struct crowd_worker *worker, bool compare)
{
    uint64_t key = prng_below(&worker->prng, CROWD_KEYS);
    int32_t expected = compare ? worker->versions[key] : CONFER_ANY_VERSION;
    char path[CROWD_PATH_BYTES];
    enum confer_status status =
        recorded_set(worker->recorded, numbered(worker->crowd, "k", key, path), expected,
                     &worker->versions[key], NULL);

    /* ZooKeeper's protocol does not make what it sets. */
    return status == CONFER_NO_NODE && worker->kind->is_zookeeper
               ? recorded_create(worker->recorded, path, CONFER_PERSISTENT)
               : status;
}

static enum confer_status write_two_keys(struct crowd_worker *worker)
{
    uint64_t key = prng_below(&worker->prng, CROWD_KEYS);
    char first[CROWD_PATH_BYTES];
    char second[CROWD_PATH_BYTES];
    enum confer_status status = recorded_set_both(
        worker->recorded, numbered(worker->crowd, "k", key, first), worker->versions[key],
        numbered(worker->crowd, "k", (key + 1) % CROWD_KEYS, second));

    worker->versions[key] += status == CONFER_OK;
    return status;
}

static enum confer_status touch_ephemeral(struct crowd_worker *worker, bool remove)
{
    char path[CROWD_PATH_BYTES];

    (void)numbered(worker->crowd, "e", prng_below(&worker->prng, EPHEMERAL_COUNT), path);
    return remove ? recorded_remove(worker->recorded, path)
                  : recorded_create(worker->recorded, path, CONFER_EPHEMERAL);
}

static enum confer_status read_something(struct crowd_worker *worker, bool linearizable)
{
    uint64_t choice = prng_below(&worker->prng, CROWD_KEYS + EPHEMERAL_COUNT);
    char path[CROWD_PATH_BYTES];

    (void)(choice < CROWD_KEYS ? numbered(worker->crowd, "k", choice, path)
                               : numbered(worker->crowd, "e", choice - CROWD_KEYS, path));
    return recorded_get(worker->recorded, path, linearizable);
}

static enum confer_status do_something(struct crowd_worker *worker)
{
    uint64_t choice = prng_below(&worker->prng, 100);
    char path[CROWD_PATH_BYTES];

    if (choice < 25 || (worker->mostly_reads && choice < 85)) {
        return read_something(worker, true);
    }
    if (choice < 38) {
        return read_something(worker, false);
    }
    if (choice < 43) {
        const char *folder = prng_below(&worker->prng, 2) == 0 ? "/q" : "/e";

        return recorded_list(worker->recorded, crowd_path(worker->crowd, folder, path), NULL);
    }
    if (choice < 73) {
        return write_key(worker, choice < 58);
    }
    if (choice < 80) {
        return write_two_keys(worker);
    }
    if (choice < 90) {
        return recorded_create(worker->recorded, crowd_path(worker->crowd, "/q/n-", path),
                               CONFER_PERSISTENT_SEQUENTIAL);
    }
    return touch_ephemeral(worker, choice >= 96);
}

static void open_worker(struct crowd_worker *worker)
{
    const struct crowd *crowd = worker->crowd;
    char path[CROWD_PATH_BYTES];

    if (worker->kind->is_zookeeper) {
        worker->recorded = recorded_open_zookeeper(crowd->recorder, crowd->servers,
                                                   worker->kind->session_timeout_ms);
        return;
    }
    worker->recorded =
        recorded_open(crowd->recorder, crowd->servers, worker->kind->session_timeout_ms);
    recorded_watch(worker->recorded, crowd_path(crowd, "/k", path), true);
}

/* Who is told that its session ended begins anew. */
static void reopen_if_expired(struct crowd_worker *worker)
{
    if (recorded_is_expired(worker->recorded)) {
        recorded_close(worker->recorded);
        open_worker(worker);
    }
}

static void *work(void *context)
{
    struct crowd_worker *worker = context;

    while (!atomic_load(&worker->crowd->stopping)) {
        if (do_something(worker) < CONFER_NO_LEADER) {
            (void)atomic_fetch_add(&worker->succeeded, 1);
        }
        reopen_if_expired(worker);
    }
    return NULL;
}

/* --- The observer --- */

static void open_observer(struct crowd *crowd)
{
    char path[CROWD_PATH_BYTES];

    crowd->observer = recorded_open(crowd->recorder, crowd->servers, SESSION_TIMEOUT_MS);
    recorded_watch(crowd->observer, crowd->root, true);
    recorded_watch(crowd->observer, crowd_path(crowd, "/q", path), false);
}

static void reopen_observer_if_expired(struct crowd *crowd)
{
    if (recorded_is_expired(crowd->observer)) {
        recorded_close(crowd->observer);
        open_observer(crowd);
    }
}

/* Write once more, and return the zxid. */
static uint64_t write_last(struct crowd *crowd, uint64_t end)
{
    enum confer_status status;
    char path[CROWD_PATH_BYTES];
    uint64_t zxid = 0;

    do {
        reopen_observer_if_expired(crowd);
        status = recorded_set(crowd->observer, crowd_path(crowd, "/k/last", path),
                              CONFER_ANY_VERSION, NULL, &zxid);
    } while (status != CONFER_OK && process_now_ms() < end);
    EXPECT_EQ(status, CONFER_OK);
    return zxid;
}

/* --- The crowd --- */

void crowd_start(struct crowd *crowd,
                 struct cluster *cluster,
                 const char *root,
                 uint64_t seed,
                 uint32_t call_timeout_ms)
{
    static const char *const names[] = {"", "/e", "/k", "/q"};
    size_t size = 0;

    atomic_store(&crowd->stopping, false);
    crowd->cluster = cluster;
    (void)snprintf(crowd->root, sizeof crowd->root, "%s", root);
    for (unsigned id = 1; id <= cluster->server_count; id++) {
        size += (size_t)snprintf(crowd->servers + size, sizeof crowd->servers - size, "%s%s",
                                 id > 1 ? "," : "", cluster->servers[id].address);
    }
    crowd->recorder = recorder_new(call_timeout_ms);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[CROWD_PATH_BYTES];
        const struct outcome *made =
            cluster_cli(cluster, 1, "set", crowd_path(crowd, names[i], path), "", NULL);

        EXPECT_TEXT(made->err, "");
        EXPECT_EQ(made->exit_code, 0);
        recorder_begin_with(crowd->recorder, path);
    }
    open_observer(crowd);
    for (size_t i = 0; i < CROWD_WORKERS; i++) {
        struct crowd_worker *worker = &crowd->workers[i];

        *worker = (struct crowd_worker){.crowd = crowd, .kind = &kinds[i], .mostly_reads = i == 0};
        prng_init(&worker->prng, seed * CROWD_WORKERS + i);
        open_worker(worker);
        EXPECT_EQ(pthread_create(&worker->thread, NULL, work, worker), 0);
    }
}

void crowd_leave_ghost(struct crowd *crowd)
{
    uint64_t end = process_now_ms() + CLUSTER_DEADLINE_MS;
    unsigned tries = 0;
    bool done = false;

    while (!done && process_now_ms() < end) {
        char name[CROWD_PATH_BYTES / 2];
        char path[CROWD_PATH_BYTES];

        (void)snprintf(name, sizeof name, "/e/ghost-%u", tries);
        done = recorder_ghost(
            crowd->recorder,
            crowd->cluster->servers[1 + tries++ % crowd->cluster->server_count].address,
            crowd_path(crowd, name, path));
    }
    EXPECT(done);
}

void crowd_wait(struct crowd *crowd, unsigned deadline_ms)
{
    uint64_t end = process_now_ms() + deadline_ms;

    for (size_t i = 0; i < CROWD_WORKERS; i++) {
        atomic_uint_fast64_t *succeeded = &crowd->workers[i].succeeded;
        uint64_t start = atomic_load(succeeded);

        while (atomic_load(succeeded) < start + CROWD_CALLS_EACH && process_now_ms() < end) {
            process_pause();
        }
        EXPECT(atomic_load(succeeded) >= start + CROWD_CALLS_EACH);
    }
}

void crowd_stop(struct crowd *crowd, unsigned deadline_ms)
{
    uint64_t end = process_now_ms() + deadline_ms;
    char path[CROWD_PATH_BYTES];
    uint64_t last;
    size_t left = 1;

    atomic_store(&crowd->stopping, true);
    for (size_t i = 0; i < CROWD_WORKERS; i++) {
        EXPECT_EQ(pthread_join(crowd->workers[i].thread, NULL), 0);
    }
    last = write_last(crowd, end);
    for (size_t i = 0; i < CROWD_WORKERS; i++) {
        struct crowd_worker *worker = &crowd->workers[i];

        while (!worker->kind->is_zookeeper && recorded_watched(worker->recorded) < last &&
               process_now_ms() < end) {
            reopen_if_expired(worker);
            process_pause();
        }
        EXPECT(worker->kind->is_zookeeper || recorded_watched(worker->recorded) >= last);
        recorded_close(worker->recorded);
    }
    while (left > 0 && process_now_ms() < end) {
        reopen_observer_if_expired(crowd);
        (void)recorded_list(crowd->observer, crowd_path(crowd, "/e", path), &left);
        process_pause();
    }
    EXPECT_EQ(left, 0);
    last = write_last(crowd, end);
    while (recorded_watched(crowd->observer) < last && process_now_ms() < end) {
        reopen_observer_if_expired(crowd);
        process_pause();
    }
    EXPECT(recorded_watched(crowd->observer) >= last);
    recorded_close(crowd->observer);
}

struct recorder_counts crowd_judge(struct crowd *crowd)
{
    struct recorder_counts counts = recorder_counts(crowd->recorder);

    (void)printf("    %zu calls (%zu writes acknowledged, %zu refused, %zu unknown), %zu events, "
                 "%zu sessions, %zu expired\n",
                 counts.calls, counts.acknowledged, counts.refused, counts.unknown, counts.events,
                 counts.sessions, counts.expired);
    EXPECT(recorder_judge(crowd->recorder));
    recorder_free(crowd->recorder);
    return counts;
}
