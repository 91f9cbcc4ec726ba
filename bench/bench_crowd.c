#include "bench/bench_crowd.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "bench/bench_nodes.h"
#include "bench/bench_options.h"
#include "bench/bench_servers.h"

#include <inttypes.h>
#include <poll.h>
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
    ROUNDS_MAX = 1000
};

struct crowd {
    struct bench_connection *members;
    size_t count;
    int epoll;
    size_t answers; /* taken since somebody set it to 0; the same below */
    size_t events;
    size_t refused;
    size_t lost;   /* members whose connection ended */
    bool is_lossy; /* losses and refusals are counted; else they end the program */
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

static void lose(struct crowd *crowd)
{
    if (!crowd->is_lossy) {
        bench_die("a connection was lost", "");
    }
    crowd->lost++;
}

static void take(struct crowd *crowd, struct bench_connection *member)
{
    struct bench_answer answer;

    while (bench_options.protocol->take(member, &answer)) {
        if (answer.id != 0 && !answer.is_ok) {
            if (!crowd->is_lossy) {
                bench_die("a request was refused", "");
            }
            crowd->refused++;
        }
        crowd->answers += answer.id != 0 || answer.has_begun;
        crowd->events += answer.events;
    }
}

/* Send, receive and take what can be. A member that is lost stays so. */
static void serve(struct crowd *crowd, struct bench_connection *member)
{
    if (member->socket < 0) {
        return;
    }
    if (!bench_connection_send(member) || !bench_connection_receive(member)) {
        lose(crowd);
        return;
    }
    take(crowd, member);
    if (!bench_connection_send(member)) {
        lose(crowd);
    }
}

/* Take what comes, for at most so long. What a full socket left is sent on the way. */
static void crowd_take(struct crowd *crowd, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(crowd->epoll, events, EVENTS_MAX, timeout_ms);

    for (int i = 0; i < count; i++) {
        serve(crowd, &crowd->members[events[i].data.u64]);
    }
}

static void send_rest(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        if (crowd->members[i].socket >= 0 && !bench_connection_send(&crowd->members[i])) {
            lose(crowd);
        }
    }
}

/* False: it was not reached in time. */
static bool comes(struct crowd *crowd, const size_t *counter, size_t wanted)
{
    uint64_t deadline_us = clock_monotonic_us() + PATIENCE_US;

    while (*counter + (crowd->is_lossy ? crowd->lost : 0) < wanted) {
        if (clock_monotonic_us() > deadline_us) {
            return false;
        }
        crowd_take(crowd, 20);
        send_rest(crowd);
    }
    return true;
}

static void wait_for(struct crowd *crowd, const size_t *counter, size_t wanted)
{
    if (!comes(crowd, counter, wanted)) {
        bench_die("not all were answered", "");
    }
}

static void join(struct crowd *crowd, size_t number)
{
    struct bench_connection *member = &crowd->members[number];
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = number};

    if (!bench_open(member, bench_options.addresses[number % bench_options.address_count]) ||
        epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, member->socket, &event) != 0) {
        bench_die("a connection could not be opened", "");
    }
}

/* Connect all, with a session each, a bounded number at a time. */
static void crowd_open(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        join(crowd, i);
        bench_options.protocol->put_session(&crowd->members[i]);
        serve(crowd, &crowd->members[i]);
        if (i >= OPENING_MAX) {
            wait_for(crowd, &crowd->answers, i - OPENING_MAX);
        }
    }
    wait_for(crowd, &crowd->answers, crowd->count);
}

/* --- Watches --- */

static void put_watches(struct crowd *crowd)
{
    char path[BENCH_PATH_BYTES];

    crowd->answers = 0;
    for (size_t i = 0; i < crowd->count; i++) {
        for (uint64_t number = 1; number <= bench_options.watched; number++) {
            bench_key_path(path, number);
            bench_options.protocol->put_watch(&crowd->members[i], path);
        }
        serve(crowd, &crowd->members[i]);
    }
    wait_for(crowd, &crowd->answers, crowd->count * bench_options.watched);
}

/* Set all that is watched; the answers of the writer are nobody's business. */
static void set_watched(struct bench_connection *writer)
{
    char path[BENCH_PATH_BYTES];
    struct bench_answer answer;

    for (uint64_t number = 1; number <= bench_options.watched; number++) {
        bench_key_path(path, number);
        bench_options.protocol->put(writer, BENCH_SET, path, bench_value());
    }
    while (writer->output.size > 0) {
        struct pollfd poller = {.fd = writer->socket, .events = POLLIN | POLLOUT};

        if (!bench_connection_send(writer) || !bench_connection_receive(writer)) {
            bench_die("the writer's connection was lost", "");
        }
        while (bench_options.protocol->take(writer, &answer)) {
        }
        if (writer->output.size > 0) {
            (void)poll(&poller, 1, 10);
        }
    }
}

static int compare_times(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

struct watch_figures {
    uint64_t last_us[ROUNDS_MAX];
    double cpu_s;
    double arm_s;
    double kib_per_watch;
};

static void watch_rounds(struct crowd *crowd, struct watch_figures *figures)
{
    size_t watches = crowd->count * bench_options.watched;
    struct bench_connection writer;

    if (!bench_open(&writer, bench_options.addresses[0])) {
        bench_die("nobody listens at ", bench_options.addresses[0]);
    }
    for (size_t i = 0; i < bench_options.rounds; i++) {
        double before_s;
        uint64_t start_us = clock_monotonic_us();

        if (i == 0) {
            uint64_t before_kib = bench_server_resident_kib();

            put_watches(crowd);
            figures->arm_s = (double)(clock_monotonic_us() - start_us) / 1e6;
            figures->kib_per_watch =
                ((double)bench_server_resident_kib() - (double)before_kib) / (double)watches;
        } else if (bench_options.protocol->watches_once) {
            put_watches(crowd);
        }
        crowd->events = 0;
        before_s = bench_server_cpu_s();
        start_us = clock_monotonic_us();
        set_watched(&writer);
        wait_for(crowd, &crowd->events, watches);
        figures->last_us[i] = clock_monotonic_us() - start_us;
        figures->cpu_s += bench_server_cpu_s() - before_s;
    }
    bench_connection_close(&writer);
    qsort(figures->last_us, bench_options.rounds, sizeof figures->last_us[0], compare_times);
}

int bench_crowd_watch(void)
{
    struct watch_figures figures = {.cpu_s = 0};
    struct crowd crowd;
    double watches;
    double last_us;
    size_t middle = bench_options.rounds / 2;

    if (bench_options.keys < bench_options.watched) {
        bench_options.keys = bench_options.watched;
    }
    bench_make_nodes(bench_key_path, bench_options.keys + 1);
    crowd_init(&crowd);
    crowd_open(&crowd);
    watch_rounds(&crowd, &figures);
    watches = (double)crowd.count * (double)bench_options.watched;
    last_us = (double)figures.last_us[middle];
    (void)printf("{\"protocol\":\"%s\",\"op\":\"watch\",\"watches\":%.0f,\"connections\":%zu,"
                 "\"last_ms\":%.2f,\"events_s\":%.0f,\"arms_s\":%.0f,\"kib_per_watch\":%.3f,"
                 "\"server_cpu_us_per_event\":%.2f}\n",
                 bench_options.protocol->name, watches, crowd.count, last_us / 1000,
                 watches * 1e6 / last_us, watches / figures.arm_s, figures.kib_per_watch,
                 figures.cpu_s * 1e6 / ((double)bench_options.rounds * watches));
    crowd_release(&crowd);
    return 0;
}

/* --- Sessions --- */

static bool ping(struct crowd *crowd, struct bench_connection *member)
{
    if (member->socket < 0) {
        return false;
    }
    bench_options.protocol->put_ping(member);
    serve(crowd, member);
    return true;
}

/* Each pings three times in its session's timeout, as clients do, and all spread evenly: so a part
 * of that time costs its part. */
static void keep_alive(struct crowd *crowd, uint64_t until_us)
{
    uint64_t start_us = clock_monotonic_us();
    uint64_t every_us = bench_options.session_timeout_ms * 1000 / 3;
    uint64_t now_us;
    size_t turns = 0;
    size_t pings = 0;

    crowd->answers = 0;
    while ((now_us = clock_monotonic_us()) < until_us) {
        for (; turns < (now_us - start_us) * crowd->count / every_us; turns++) {
            pings += ping(crowd, &crowd->members[turns % crowd->count]) ? 1 : 0;
        }
        crowd_take(crowd, 1);
    }
    (void)comes(crowd, &crowd->answers, pings);
}

/* How many still have their session: they are asked, and answer. */
static size_t count_alive(struct crowd *crowd)
{
    crowd->answers = 0;
    crowd->refused = 0;
    for (size_t i = 0; i < crowd->count; i++) {
        (void)ping(crowd, &crowd->members[i]);
    }
    (void)comes(crowd, &crowd->answers, crowd->count);
    return crowd->answers < crowd->refused ? 0 : crowd->answers - crowd->refused;
}

int bench_crowd_sessions(void)
{
    uint64_t before_kib = bench_server_resident_kib();
    uint64_t start_us = clock_monotonic_us();
    double open_cpu_s = bench_server_cpu_s();
    double kib;
    double idle_cpu_s;
    uint64_t open_us;
    size_t alive;
    struct crowd crowd;

    crowd_init(&crowd);
    crowd_open(&crowd);
    open_us = clock_monotonic_us() - start_us;
    open_cpu_s = bench_server_cpu_s() - open_cpu_s;
    kib = (double)bench_server_resident_kib() - (double)before_kib;
    idle_cpu_s = bench_server_cpu_s();
    crowd.is_lossy = true;
    bench_tell_begin();
    keep_alive(&crowd, clock_monotonic_us() + (uint64_t)(bench_options.seconds * 1e6));
    idle_cpu_s = bench_server_cpu_s() - idle_cpu_s;
    alive = count_alive(&crowd);
    (void)printf("{\"protocol\":\"%s\",\"op\":\"sessions\",\"sessions\":%zu,\"alive\":%zu,"
                 "\"opened_s\":%.0f,\"open_cpu_us\":%.1f,\"idle_cpu_s_per_s\":%.5f,"
                 "\"kib_per_session\":%.2f}\n",
                 bench_options.protocol->name, crowd.count, alive,
                 (double)crowd.count * 1e6 / (double)open_us,
                 open_cpu_s * 1e6 / (double)crowd.count, idle_cpu_s / bench_options.seconds,
                 kib / (double)crowd.count);
    crowd_release(&crowd);
    return 0;
}

/* --- Those who do not read --- */

/* Each asks for values and takes none of the answers. */
static void ask(struct crowd *crowd)
{
    char path[BENCH_PATH_BYTES];

    for (size_t i = 0; i < crowd->count; i++) {
        join(crowd, i);
        for (uint64_t number = 0; number < bench_options.pipeline; number++) {
            bench_key_path(path, 1 + number % bench_options.keys);
            bench_options.protocol->put(&crowd->members[i], BENCH_GET, path, BYTES_EMPTY);
        }
    }
}

int bench_crowd_stall(void)
{
    uint64_t until_us;
    size_t closed = 0;
    struct crowd crowd;

    bench_make_nodes(bench_key_path, bench_options.keys + 1);
    crowd_init(&crowd);
    crowd.is_lossy = true;
    ask(&crowd);
    bench_tell_begin();
    until_us = clock_monotonic_us() + (uint64_t)(bench_options.seconds * 1e6);
    while (clock_monotonic_us() < until_us) {
        send_rest(&crowd);
        (void)poll(NULL, 0, 20);
    }
    for (size_t i = 0; i < crowd.count; i++) {
        struct pollfd poller = {.fd = crowd.members[i].socket, .events = POLLRDHUP};

        closed += poll(&poller, 1, 0) > 0;
    }
    (void)printf("{\"protocol\":\"%s\",\"op\":\"stall\",\"connections\":%zu,\"closed\":%zu}\n",
                 bench_options.protocol->name, crowd.count, closed + crowd.lost);
    crowd_release(&crowd);
    return 0;
}
