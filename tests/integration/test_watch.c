/* A watcher sees each change once and in order, whatever happens to the servers meanwhile. */
#include "base/alloc.h"
#include "tests/support/cluster.h"
#include "tests/support/test.h"

#include <confer.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGES_PER_ROUND = 60, ROUNDS = 4 };

static struct cluster cluster;

/* What the watcher's thread saw; numbers are the values set, which count up from 0. */
struct seen {
    atomic_uint_fast64_t next;   /* the value that must come next */
    atomic_uint_fast64_t faults; /* events out of order, twice, or with a gap */
    atomic_bool started;
    atomic_bool ended;
    uint64_t last_zxid;
};

static void on_event(struct confer *confer, const struct confer_event *event, void *argument)
{
    struct seen *seen = argument;

    (void)confer;
    if (event->kind == CONFER_EVENT_STARTED) {
        atomic_store(&seen->started, true);
    } else if (event->kind == CONFER_EVENT_ENDED) {
        atomic_store(&seen->ended, true);
    } else if (event->kind == CONFER_EVENT_RESYNC_BEGIN) {
        (void)atomic_fetch_add(&seen->faults, 1); /* the history reaches back far enough */
    } else if (strcmp(event->path, "/counted/node") == 0) {
        char text[32];

        (void)snprintf(text, sizeof text, "%.*s", (int)event->value_bytes, event->value);
        if (strtoull(text, NULL, 10) != atomic_load(&seen->next) ||
            event->zxid <= seen->last_zxid) {
            (void)atomic_fetch_add(&seen->faults, 1);
        }
        seen->last_zxid = event->zxid;
        (void)atomic_fetch_add(&seen->next, 1);
    }
}

static void wait_for(atomic_uint_fast64_t *number, uint64_t value)
{
    uint64_t end = process_now_ms() + CLUSTER_DEADLINE_MS;

    while (atomic_load(number) < value && process_now_ms() < end) {
        process_pause();
    }
    EXPECT_EQ(atomic_load(number), value);
}

static void test_each_change_comes_once_and_in_order_across_leader_kills(void)
{
    struct seen *seen = xcalloc(1, sizeof *seen);
    struct confer_options options;
    struct confer *watcher = NULL;
    struct confer *writer = NULL;
    uint64_t watch = 0;
    uint64_t value = 0;
    char servers[128];

    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    (void)snprintf(servers, sizeof servers, "%s,%s,%s", cluster.servers[1].address,
                   cluster.servers[2].address, cluster.servers[3].address);
    confer_options_init(&options);
    options.session_timeout_ms = 60000;
    options.request_timeout_ms = 60000;
    EXPECT_EQ(confer_open(servers, &options, &watcher), CONFER_OK);
    EXPECT_EQ(confer_open(servers, &options, &writer), CONFER_OK);
    EXPECT_EQ(confer_watch(watcher, "/counted", CONFER_WATCH_RECURSIVE | CONFER_WATCH_VALUES, 0,
                           on_event, seen, &watch),
              CONFER_OK);
    for (uint64_t end = process_now_ms() + CLUSTER_DEADLINE_MS;
         !atomic_load(&seen->started) && process_now_ms() < end;) {
        process_pause();
    }
    EXPECT(atomic_load(&seen->started));
    for (int round = 0; round < ROUNDS; round++) {
        unsigned leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);

        EXPECT(leader != 0);
        for (int i = 0; i < CHANGES_PER_ROUND; i++) {
            char text[32];
            int size = snprintf(text, sizeof text, "%llu", (unsigned long long)value++);

            if (i == CHANGES_PER_ROUND / 2 && round > 0) {
                cluster_kill(&cluster, leader);
            }
            EXPECT_EQ(confer_set(writer, "/counted/node", text, (size_t)size, CONFER_ANY_VERSION,
                                 NULL, NULL),
                      CONFER_OK);
        }
        wait_for(&seen->next, value);
        if (round > 0) {
            cluster_start(&cluster, leader);
        }
    }
    EXPECT_EQ(atomic_load(&seen->faults), 0);
    EXPECT(!atomic_load(&seen->ended));
    confer_close(writer);
    confer_close(watcher);
    EXPECT(atomic_load(&seen->ended));
    free(seen);
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_each_change_comes_once_and_in_order_across_leader_kills), TEST_END};
    return test_main("watch", cases, argc, argv);
}
