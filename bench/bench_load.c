#include "bench/bench_load.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "bench/bench_histogram.h"
#include "bench/bench_nodes.h"
#include "bench/bench_options.h"
#include "bench/bench_servers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    PIPELINE_MAX = BENCH_PIPELINE_MAX,
    EVENTS_MAX = 256,
    TURN_US = 50 * 1000,
    PATIENCE_US = 30 * 1000 * 1000 /* for a first answer, and for the last of an open loop */
};

struct lane {
    struct bench_connection connection;
    uint64_t started_us[PIPELINE_MAX]; /* by id modulo PIPELINE_MAX */
    size_t under_way;
    uint64_t next_key;
    size_t number;
    bool waits_to_send; /* as the epoll set knows it */
};

struct totals {
    struct bench_histogram latencies_us;
    uint64_t ok;
    uint64_t errors;
    uint64_t busy; /* of the errors */
    uint64_t lost;
    uint64_t longest_gap_us; /* between acknowledged operations of all lanes */
    uint64_t last_ok_us;
};

struct load {
    struct lane *lanes;
    struct totals *totals;
    int epoll;
    uint64_t put;       /* requests of all lanes, ever */
    uint64_t under_way; /* of all lanes */
    uint64_t start_us;  /* when the first one of an open loop is due */
    uint64_t end_us;    /* what is due later in an open loop is not put */
    size_t turn;        /* of the lanes in an open loop, of the servers when one is lost */
    bool is_ending;     /* nothing more is put */
};

/* --- Nodes --- */

#define POPULATED "/populated"

/* Number 0 is the folder of all, then folders of so many nodes, each before its own. */
static void populated_path(char path[BENCH_PATH_BYTES], uint64_t number)
{
    uint64_t each = bench_options.folder_nodes;
    uint64_t folder = (number - 1) / (each + 1);
    uint64_t within = (number - 1) % (each + 1);

    if (number == 0) {
        (void)snprintf(path, BENCH_PATH_BYTES, POPULATED);
    } else if (within == 0) {
        (void)snprintf(path, BENCH_PATH_BYTES, POPULATED "/d%05" PRIu64, folder);
    } else {
        (void)snprintf(path, BENCH_PATH_BYTES, POPULATED "/d%05" PRIu64 "/n%03" PRIu64, folder,
                       within - 1);
    }
}

static uint64_t populated_count(void)
{
    uint64_t each = bench_options.folder_nodes;

    return 1 + bench_options.nodes + (bench_options.nodes + each - 1) / each;
}

/* Keys in their order; of what populate made any, in an order that no cache foresees. */
static void next_path(struct lane *lane, char path[BENCH_PATH_BYTES])
{
    uint64_t next = lane->next_key++;

    if (strcmp(bench_options.among, "populated") == 0) {
        next = (next + 1) * UINT64_C(0x9e3779b97f4a7c15);
        populated_path(path, 1 + (next ^ next >> 32) % (populated_count() - 1));
    } else {
        bench_key_path(path, 1 + next % bench_options.keys);
    }
}

/* --- Requests --- */

enum { MIXED_GETS = 9 };

static enum bench_op next_op(const struct lane *lane)
{
    static const struct {
        const char *name;
        enum bench_op op;
    } ops[] = {{"set", BENCH_SET},
               {"get", BENCH_GET},
               {"lget", BENCH_LINEARIZABLE_GET},
               {"create", BENCH_CREATE},
               {"list", BENCH_LIST}};

    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (strcmp(bench_options.op, ops[i].name) == 0) {
            return ops[i].op;
        }
    }
    if (strcmp(bench_options.op, "mixed") != 0) {
        bench_die("--op is set, get, lget, create, list or mixed, not ", bench_options.op);
    }
    return lane->next_key % (MIXED_GETS + 1) == 0 ? BENCH_SET : BENCH_GET;
}

static void put_next(struct load *load, struct lane *lane, uint64_t started_us)
{
    char path[BENCH_PATH_BYTES];
    struct bench_connection *connection = &lane->connection;
    enum bench_op op = next_op(lane);

    if (op == BENCH_CREATE) {
        (void)snprintf(path, sizeof path, BENCH_FOLDER "/c%d-%zu-%" PRIu64, getpid(), lane->number,
                       lane->next_key++);
    } else if (op == BENCH_LIST) {
        bench_key_path(path, 0);
    } else {
        next_path(lane, path);
    }
    bench_options.protocol->put(connection, op, path, bench_value());
    lane->started_us[connection->last_id % PIPELINE_MAX] = started_us;
    lane->under_way++;
    load->under_way++;
    load->put++;
}

static bool may_put(const struct load *load)
{
    return !load->is_ending &&
           (bench_options.operations == 0 || load->put < bench_options.operations);
}

static void fill(struct load *load, struct lane *lane)
{
    if (bench_options.rate != 0) {
        return;
    }
    while (lane->under_way < bench_options.pipeline && may_put(load)) {
        put_next(load, lane, clock_monotonic_us());
    }
}

static uint64_t due_us(const struct load *load)
{
    return load->start_us + load->put * UINT64_C(1000000) / bench_options.rate;
}

/* Put what is due, each on the next lane that has room. Without any it stays due, and its time of
 * waiting counts. */
static void put_due(struct load *load)
{
    uint64_t room = bench_options.connections * bench_options.pipeline - load->under_way;
    uint64_t now_us = clock_monotonic_us();

    now_us = now_us < load->end_us ? now_us : load->end_us;
    for (; room > 0 && may_put(load) && due_us(load) <= now_us; room--) {
        struct lane *lane = &load->lanes[load->turn++ % bench_options.connections];

        while (lane->under_way == bench_options.pipeline) {
            lane = &load->lanes[load->turn++ % bench_options.connections];
        }
        put_next(load, lane, due_us(load));
    }
}

/* --- Lanes --- */

static void watch_lane(struct load *load, struct lane *lane, int operation)
{
    struct epoll_event event = {.events = lane->waits_to_send ? EPOLLIN | EPOLLOUT : EPOLLIN,
                                .data.u64 = lane->number};

    if (epoll_ctl(load->epoll, operation, lane->connection.socket, &event) != 0) {
        bench_die("no descriptor left", "");
    }
}

static void open_lane(struct load *load, size_t number)
{
    struct lane *lane = &load->lanes[number];
    const char *address = bench_options.addresses[number % bench_options.address_count];

    lane->next_key = number * 7919;
    lane->number = number;
    if (!bench_open(&lane->connection, address)) {
        bench_die("nobody listens at ", address);
    }
    watch_lane(load, lane, EPOLL_CTL_ADD);
}

static void flush(struct load *load, struct lane *lane);

/* Give the lane a new connection, to the next server that answers. */
static void reopen(struct load *load, struct lane *lane)
{
    load->totals->lost += lane->under_way;
    load->under_way -= lane->under_way;
    lane->under_way = 0;
    lane->waits_to_send = false;
    for (size_t i = 0; i < bench_options.address_count; i++) {
        if (bench_open(&lane->connection,
                       bench_options.addresses[++load->turn % bench_options.address_count])) {
            watch_lane(load, lane, EPOLL_CTL_ADD);
            fill(load, lane);
            flush(load, lane);
            return;
        }
    }
    bench_die("all servers are gone", "");
}

static void flush(struct load *load, struct lane *lane)
{
    bool waits;

    if (!bench_connection_send(&lane->connection)) {
        reopen(load, lane);
        return;
    }
    waits = lane->connection.output.size > 0;
    if (waits != lane->waits_to_send) {
        lane->waits_to_send = waits;
        watch_lane(load, lane, EPOLL_CTL_MOD);
    }
}

static void count_answer(struct totals *totals, struct bench_answer answer, uint64_t now_us)
{
    if (!answer.is_ok) {
        totals->errors++;
        totals->busy += answer.is_busy;
        return;
    }
    if (totals->last_ok_us != 0 && now_us - totals->last_ok_us > totals->longest_gap_us) {
        totals->longest_gap_us = now_us - totals->last_ok_us;
    }
    totals->last_ok_us = now_us;
    totals->ok++;
}

static void take_answers(struct load *load, struct lane *lane)
{
    struct bench_answer answer;

    while (bench_options.protocol->take(&lane->connection, &answer)) {
        uint64_t now_us = clock_monotonic_us();

        if (answer.id == 0) {
            continue;
        }
        bench_histogram_add(&load->totals->latencies_us,
                            now_us - lane->started_us[answer.id % PIPELINE_MAX]);
        lane->under_way--;
        load->under_way--;
        count_answer(load->totals, answer, now_us);
    }
}

static void serve(struct load *load, struct lane *lane)
{
    if (!bench_connection_receive(&lane->connection)) {
        reopen(load, lane);
        return;
    }
    take_answers(load, lane);
    fill(load, lane);
    flush(load, lane);
}

/* --- The loop --- */

static void wait_and_serve(struct load *load, uint64_t end_us)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t now_us = clock_monotonic_us();
    uint64_t until_us = now_us + TURN_US < end_us ? now_us + TURN_US : end_us;
    struct timespec timeout;
    uint64_t left_us;
    int count;

    if (bench_options.rate != 0 && may_put(load) && due_us(load) > now_us &&
        due_us(load) < until_us) {
        until_us = due_us(load);
    }
    left_us = until_us > now_us ? until_us - now_us : 0;
    timeout = (struct timespec){.tv_sec = (time_t)(left_us / 1000000),
                                .tv_nsec = (long)(left_us % 1000000 * 1000)};
    count = epoll_pwait2(load->epoll, events, EVENTS_MAX, &timeout, NULL);
    for (int i = 0; i < count; i++) {
        serve(load, &load->lanes[events[i].data.u64]);
    }
}

static bool is_done(const struct load *load)
{
    return load->under_way == 0 && !may_put(load);
}

static void run_until(struct load *load, uint64_t end_us)
{
    while (clock_monotonic_us() < end_us && !is_done(load)) {
        if (bench_options.rate != 0) {
            put_due(load);
            for (size_t i = 0; i < bench_options.connections; i++) {
                if (load->lanes[i].connection.output.size > 0 && !load->lanes[i].waits_to_send) {
                    flush(load, &load->lanes[i]);
                }
            }
        }
        wait_and_serve(load, end_us);
    }
}

/* When measuring begins: in an open loop it is a time of its schedule, however late we are. */
static uint64_t begin_us(const struct load *load)
{
    return bench_options.rate == 0 || bench_options.operations != 0
               ? clock_monotonic_us()
               : load->start_us + (uint64_t)(bench_options.warmup * 1e6);
}

/* For as long as was asked, and until something is answered at all. */
static void measure(struct load *load, uint64_t start_us)
{
    load->end_us = bench_options.operations != 0
                       ? UINT64_MAX
                       : start_us + (uint64_t)(bench_options.seconds * 1e6);
    run_until(load, load->end_us);
    while (load->totals->latencies_us.count == 0 && !is_done(load) &&
           clock_monotonic_us() < start_us + PATIENCE_US) {
        run_until(load, clock_monotonic_us() + TURN_US);
    }
}

static void load_init(struct load *load)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    *load = (struct load){.epoll = epoll_create1(EPOLL_CLOEXEC), .end_us = UINT64_MAX};
    load->lanes = xcalloc(bench_options.connections, sizeof *load->lanes);
    load->totals = xcalloc(1, sizeof *load->totals);
    for (size_t i = 0; i < bench_options.connections; i++) {
        open_lane(load, i);
    }
    load->start_us = clock_monotonic_us();
    for (size_t i = 0; i < bench_options.connections; i++) {
        fill(load, &load->lanes[i]);
        flush(load, &load->lanes[i]);
    }
}

static void load_release(struct load *load)
{
    for (size_t i = 0; i < bench_options.connections; i++) {
        bench_connection_close(&load->lanes[i].connection);
    }
    (void)close(load->epoll);
    free(load->lanes);
    free(load->totals);
}

/* Requests that fell due in time and were never put. */
static uint64_t unsent(const struct load *load, uint64_t end_us)
{
    uint64_t until_us = end_us < load->end_us ? end_us : load->end_us;
    uint64_t due = bench_options.rate == 0
                       ? 0
                       : (until_us - load->start_us) * bench_options.rate / UINT64_C(1000000);

    return due > load->put ? due - load->put : 0;
}

static void
print_load(const struct load *load, double elapsed_s, double server_cpu_s, double own_cpu_s)
{
    const struct totals *totals = load->totals;

    (void)printf("{\"protocol\":\"%s\",\"op\":\"%s\",\"connections\":%" PRIu64
                 ",\"pipeline\":%" PRIu64 ",\"rate\":%" PRIu64 ",\"operations\":%" PRIu64
                 ",\"ops_s\":%.0f,\"errors\":%" PRIu64 ",\"busy\":%" PRIu64 ",\"lost\":%" PRIu64,
                 bench_options.protocol->name, bench_options.op, bench_options.connections,
                 bench_options.pipeline, bench_options.rate, totals->ok,
                 (double)totals->ok / elapsed_s, totals->errors, totals->busy, totals->lost);
    (void)printf(",\"server_cpu_s_per_kop\":%.5f,\"client_cpu_s\":%.3f,\"longest_gap_ms\":%.1f",
                 totals->ok == 0 ? 0 : server_cpu_s / (double)totals->ok * 1000, own_cpu_s,
                 (double)totals->longest_gap_us / 1000);
}

static void print_latencies(const struct load *load, uint64_t never_sent)
{
    const struct bench_histogram *latencies = &load->totals->latencies_us;

    (void)printf(",\"p50_us\":%" PRIu64 ",\"p99_us\":%" PRIu64 ",\"max_us\":%" PRIu64
                 ",\"unsent\":%" PRIu64 ",\"unanswered\":%" PRIu64 "}\n",
                 bench_histogram_at(latencies, 0.5), bench_histogram_at(latencies, 0.99),
                 latencies->maximum, never_sent, bench_options.rate == 0 ? 0 : load->under_way);
}

int bench_load_run(void)
{
    struct load load;
    double server_cpu_s;
    double own_cpu_s;
    uint64_t start_us;
    uint64_t end_us;

    bench_make_nodes(bench_key_path, bench_options.keys + 1);
    load_init(&load);
    bench_tell_begin();
    if (bench_options.operations == 0) {
        run_until(&load, clock_monotonic_us() + (uint64_t)(bench_options.warmup * 1e6));
    }
    memset(load.totals, 0, sizeof *load.totals);
    server_cpu_s = bench_server_cpu_s();
    own_cpu_s = bench_own_cpu_s();
    start_us = begin_us(&load);
    measure(&load, start_us);
    end_us = clock_monotonic_us();
    print_load(&load, (double)(end_us - start_us) / 1e6, bench_server_cpu_s() - server_cpu_s,
               bench_own_cpu_s() - own_cpu_s);
    load.is_ending = true;
    if (bench_options.rate != 0) {
        run_until(&load, end_us + PATIENCE_US);
    }
    print_latencies(&load, unsent(&load, end_us));
    load_release(&load);
    return 0;
}

int bench_load_populate(void)
{
    uint64_t count = populated_count();
    uint64_t start_us = clock_monotonic_us();
    double cpu_s = bench_server_cpu_s();

    bench_make_nodes(populated_path, count);
    (void)printf("{\"protocol\":\"%s\",\"op\":\"populate\",\"nodes\":%" PRIu64
                 ",\"nodes_s\":%.0f,\"server_cpu_s_per_kop\":%.5f}\n",
                 bench_options.protocol->name, count,
                 (double)count * 1e6 / (double)(clock_monotonic_us() - start_us),
                 (bench_server_cpu_s() - cpu_s) * 1000 / (double)count);
    return 0;
}
