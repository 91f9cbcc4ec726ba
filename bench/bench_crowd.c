#include "bench/bench_crowd.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "bench/bench_options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 256,
    OPENING_MAX = 128, /* handshakes under way */
    PATIENCE_US = 120 * 1000 * 1000,
    ROUNDS_MAX = 1000,
    KEEP_ALIVE_US = 10 * 1000 * 1000
};

#define WATCHED BENCH_FOLDER "/n0000000"

struct crowd {
    struct bench_connection *members;
    size_t count;
    int epoll;
    size_t answers; /* taken since somebody set it to 0; the same below */
    size_t events;
};

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void crowd_init(struct crowd *crowd)
{
    raise_descriptor_limit();
    *crowd =
        (struct crowd){.count = bench_options.connections, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    crowd->members = xcalloc(crowd->count, sizeof *crowd->members);
    if (crowd->epoll < 0) {
        bench_die("no descriptor left", "");
    }
}

static void crowd_release(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        bench_connection_close(&crowd->members[i]);
    }
    free(crowd->members);
    (void)close(crowd->epoll);
}

static void exchange(struct bench_connection *member)
{
    if (!bench_connection_exchange(member)) {
        bench_die("a connection was lost", "");
    }
}

static void take(struct crowd *crowd, struct bench_connection *member)
{
    struct bytes frame;

    while (bench_connection_take(member, &frame)) {
        struct bench_answer answer = bench_options.protocol->read(member, frame);

        if (answer.id != 0 && !answer.is_ok) {
            bench_die("a request was refused", "");
        }
        crowd->answers += answer.id != 0 || answer.has_begun;
        crowd->events += answer.is_event;
    }
}

static void serve(struct crowd *crowd, struct bench_connection *member)
{
    exchange(member);
    take(crowd, member);
}

/* Take what comes, for at most so long. */
static void crowd_take(struct crowd *crowd, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(crowd->epoll, events, EVENTS_MAX, timeout_ms);

    for (int i = 0; i < count; i++) {
        serve(crowd, &crowd->members[events[i].data.u64]);
    }
}

static void wait_for(struct crowd *crowd, const size_t *counter, size_t wanted)
{
    uint64_t deadline_us = clock_monotonic_us() + PATIENCE_US;

    while (*counter < wanted) {
        if (clock_monotonic_us() > deadline_us) {
            bench_die("not all were answered", "");
        }
        crowd_take(crowd, 100);
    }
}

/* Connect all, with a session each, a bounded number at a time. */
static void crowd_open(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        struct bench_connection *member = &crowd->members[i];
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = i};

        if (!bench_open(member, bench_options.addresses[i % bench_options.address_count]) ||
            epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, member->socket, &event) != 0) {
            bench_die("a connection could not be opened", "");
        }
        bench_options.protocol->put_session(member);
        serve(crowd, member);
        if (i >= OPENING_MAX) {
            wait_for(crowd, &crowd->answers, i - OPENING_MAX);
        }
    }
    wait_for(crowd, &crowd->answers, crowd->count);
}

static void put_watches(struct crowd *crowd)
{
    crowd->answers = 0;
    for (size_t i = 0; i < crowd->count; i++) {
        bench_options.protocol->put_watch(&crowd->members[i], WATCHED);
        serve(crowd, &crowd->members[i]);
    }
    wait_for(crowd, &crowd->answers, crowd->count);
}

static void write_watched(char path[BENCH_PATH_BYTES], uint64_t number)
{
    (void)snprintf(path, BENCH_PATH_BYTES, "%s", number == 0 ? BENCH_FOLDER : WATCHED);
}

static int compare_times(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

int bench_crowd_watch(void)
{
    uint64_t last_us[ROUNDS_MAX];
    size_t rounds = bench_options.rounds < ROUNDS_MAX ? bench_options.rounds : ROUNDS_MAX;
    struct bench_connection writer;
    struct crowd crowd;
    double cpu_s = 0;

    bench_make_nodes(write_watched, 2);
    crowd_init(&crowd);
    crowd_open(&crowd);
    if (!bench_open(&writer, bench_options.addresses[0])) {
        bench_die("nobody listens at ", bench_options.addresses[0]);
    }
    for (size_t i = 0; i < rounds; i++) {
        double before_s;
        uint64_t start_us;

        if (i == 0 || bench_options.protocol->watches_once) {
            put_watches(&crowd);
        }
        crowd.events = 0;
        before_s = bench_server_cpu_s();
        start_us = clock_monotonic_us();
        bench_options.protocol->put(&writer, BENCH_SET, WATCHED, bench_value());
        exchange(&writer);
        wait_for(&crowd, &crowd.events, crowd.count);
        last_us[i] = clock_monotonic_us() - start_us;
        cpu_s += bench_server_cpu_s() - before_s;
    }
    qsort(last_us, rounds, sizeof last_us[0], compare_times);
    (void)printf("{\"protocol\":\"%s\",\"op\":\"watch\",\"watchers\":%zu,\"last_ms\":%.2f,"
                 "\"server_cpu_us_per_event\":%.2f}\n",
                 bench_options.protocol->name, crowd.count, (double)last_us[rounds / 2] / 1000,
                 cpu_s * 1e6 / (double)(rounds * crowd.count));
    bench_connection_close(&writer);
    crowd_release(&crowd);
    return 0;
}

static void keep_alive(struct crowd *crowd, uint64_t until_us)
{
    uint64_t next_us = clock_monotonic_us() + KEEP_ALIVE_US;

    while (clock_monotonic_us() < until_us) {
        crowd_take(crowd, 20);
        if (clock_monotonic_us() >= next_us) {
            next_us += KEEP_ALIVE_US;
            for (size_t i = 0; i < crowd->count; i++) {
                bench_options.protocol->put_ping(&crowd->members[i]);
                serve(crowd, &crowd->members[i]);
            }
        }
    }
}

int bench_crowd_sessions(void)
{
    uint64_t before_kib = bench_server_resident_kib();
    uint64_t start_us = clock_monotonic_us();
    double open_cpu_s = bench_server_cpu_s();
    double idle_cpu_s;
    uint64_t open_us;
    struct crowd crowd;

    crowd_init(&crowd);
    crowd_open(&crowd);
    open_us = clock_monotonic_us() - start_us;
    open_cpu_s = bench_server_cpu_s() - open_cpu_s;
    idle_cpu_s = bench_server_cpu_s();
    keep_alive(&crowd, clock_monotonic_us() + (uint64_t)(bench_options.seconds * 1e6));
    idle_cpu_s = bench_server_cpu_s() - idle_cpu_s;
    (void)printf("{\"protocol\":\"%s\",\"op\":\"sessions\",\"sessions\":%zu,\"opened_s\":%.0f,"
                 "\"open_cpu_us\":%.1f,\"idle_cpu_s_per_s\":%.5f,\"kib_per_session\":%.2f}\n",
                 bench_options.protocol->name, crowd.count,
                 (double)crowd.count * 1e6 / (double)open_us,
                 open_cpu_s * 1e6 / (double)crowd.count, idle_cpu_s / bench_options.seconds,
                 ((double)bench_server_resident_kib() - (double)before_kib) / (double)crowd.count);
    crowd_release(&crowd);
    return 0;
}
