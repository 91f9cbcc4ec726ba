/* A load generator for the native protocol and for ZooKeeper's, and the floor of the machine. One
 * JSON line each on stdout.
 *
 *     confer-bench init --address A --nodes 1=A,2=B
 *     confer-bench load --address A,B,C --protocol zookeeper --connections 16 --pipeline 4 --op set
 *     confer-bench watch --address A,B,C --connections 1000 --rounds 5
 *     confer-bench sessions --address A,B,C --connections 10000 --seconds 20
 *     confer-bench populate --address A --nodes-count 1000000
 *     confer-bench failover --address A,B,C --connections 8 --seconds 10
 *     confer-bench floor --dir DIR
 *
 * load is a closed loop: each connection keeps `pipeline` requests under way; operations are set,
 * get, lget (linearizable; ZooKeeper: sync and get), create, and mixed (nine gets and a set).
 * Latency is from putting a request to its answer. With --pids the CPU of servers is read from
 * /proc/PID/stat (10 ms ticks: use seconds, not fractions).
 *
 * watch: each connection watches one node; then it is set, and all are waited for, `rounds` times.
 * sessions: each connection opens a session and keeps it alive for `seconds`. */
#include "base/alloc.h"
#include "base/clock.h"
#include "bench/bench_crowd.h"
#include "bench/bench_histogram.h"
#include "bench/bench_options.h"
#include "proto/client.pb-c.h"
#include "proto/frame.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PIPELINE_MAX = BENCH_PIPELINE_MAX };

struct lane {
    struct bench_connection connection;
    uint64_t started_us[PIPELINE_MAX]; /* by id modulo PIPELINE_MAX */
    size_t under_way;
    uint64_t next_key;
    size_t number;
};

/* --- Requests --- */

enum { MIXED_GETS = 9 };

static enum bench_op next_op(struct lane *lane)
{
    if (strcmp(bench_options.op, "set") == 0) {
        return BENCH_SET;
    }
    if (strcmp(bench_options.op, "create") == 0) {
        return BENCH_CREATE;
    }
    if (strcmp(bench_options.op, "lget") == 0) {
        return BENCH_LINEARIZABLE_GET;
    }
    return strcmp(bench_options.op, "mixed") == 0 && lane->next_key % (MIXED_GETS + 1) == 0
               ? BENCH_SET
               : BENCH_GET;
}

static void put_next(struct lane *lane)
{
    char path[BENCH_PATH_BYTES];
    struct bench_connection *connection = &lane->connection;
    enum bench_op op = next_op(lane);

    if (op == BENCH_CREATE) {
        (void)snprintf(path, sizeof path, BENCH_FOLDER "/c%d-%zu-%" PRIu64, getpid(), lane->number,
                       lane->next_key++);
    } else {
        (void)snprintf(path, sizeof path, BENCH_FOLDER "/n%07" PRIu64,
                       lane->next_key++ % bench_options.keys);
    }
    bench_options.protocol->put(connection, op, path, bench_value());
    lane->started_us[connection->last_id % PIPELINE_MAX] = clock_monotonic_us();
    lane->under_way++;
}

static void open_lane(struct lane *lane, size_t number)
{
    const char *address = bench_options.address_count == 0
                              ? NULL
                              : bench_options.addresses[number % bench_options.address_count];

    if (address == NULL) {
        bench_die("--address is missing", "");
    }
    memset(lane, 0, sizeof *lane);
    lane->next_key = number * 7919;
    lane->number = number;
    if (!bench_open(&lane->connection, address)) {
        bench_die("nobody listens at ", address);
    }
}

/* --- CPU --- */

static double own_cpu_s(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* --- The loop --- */

struct totals {
    struct bench_histogram latencies_us;
    uint64_t ok;
    uint64_t errors;
    uint64_t lost;
    uint64_t longest_gap_us; /* between acknowledged operations of all lanes */
    uint64_t last_ok_us;
};

static void take_answers(struct lane *lane, struct totals *totals)
{
    struct bytes frame;

    while (bench_connection_take(&lane->connection, &frame)) {
        struct bench_answer answer = bench_options.protocol->read(&lane->connection, frame);
        uint64_t now_us = clock_monotonic_us();

        if (answer.id == 0) {
            continue;
        }
        bench_histogram_add(&totals->latencies_us,
                            now_us - lane->started_us[answer.id % PIPELINE_MAX]);
        lane->under_way--;
        if (!answer.is_ok) {
            totals->errors++;
            continue;
        }
        if (totals->last_ok_us != 0 && now_us - totals->last_ok_us > totals->longest_gap_us) {
            totals->longest_gap_us = now_us - totals->last_ok_us;
        }
        totals->last_ok_us = now_us;
        totals->ok++;
    }
}

/* Give the lane a new connection, to the next server that answers. */
static void reopen(struct lane *lane, size_t *turn, struct totals *totals)
{
    uint64_t next_key = lane->next_key;
    size_t number = lane->number;

    totals->lost += lane->under_way;
    for (size_t i = 0; i < bench_options.address_count; i++) {
        memset(lane, 0, sizeof *lane);
        lane->next_key = next_key;
        lane->number = number;
        if (bench_open(&lane->connection,
                       bench_options.addresses[++*turn % bench_options.address_count])) {
            return;
        }
    }
    bench_die("all servers are gone", "");
}

static void run_until(struct lane *lanes, uint64_t end_us, struct totals *totals)
{
    struct pollfd *polled = xcalloc(bench_options.connections, sizeof *polled);
    size_t turn = 0;

    while (clock_monotonic_us() < end_us) {
        for (size_t i = 0; i < bench_options.connections; i++) {
            struct lane *lane = &lanes[i];

            while (lane->under_way < bench_options.pipeline) {
                put_next(lane);
            }
            if (!bench_connection_exchange(&lane->connection)) {
                reopen(lane, &turn, totals);
                continue;
            }
            take_answers(lane, totals);
        }
        for (size_t i = 0; i < bench_options.connections; i++) {
            const struct bench_connection *connection = &lanes[i].connection;

            polled[i].fd = connection->socket;
            polled[i].events =
                lanes[i].under_way < bench_options.pipeline || connection->output.size > 0
                    ? POLLIN | POLLOUT
                    : POLLIN;
        }
        (void)poll(polled, bench_options.connections, 50);
    }
    free(polled);
}

/* --- Nodes --- */

#define POPULATED "/populated"
enum { FOLDER_NODES = 1000 };

static void write_key(char path[BENCH_PATH_BYTES], uint64_t number)
{
    if (number == 0) {
        (void)snprintf(path, BENCH_PATH_BYTES, BENCH_FOLDER);
    } else {
        (void)snprintf(path, BENCH_PATH_BYTES, BENCH_FOLDER "/n%07" PRIu64, number - 1);
    }
}

/* Folders of a thousand. */
static void write_populated(char path[BENCH_PATH_BYTES], uint64_t number)
{
    uint64_t folder = (number - 1) / (FOLDER_NODES + 1);
    uint64_t within = (number - 1) % (FOLDER_NODES + 1);

    if (number == 0) {
        (void)snprintf(path, BENCH_PATH_BYTES, POPULATED);
    } else if (within == 0) {
        (void)snprintf(path, BENCH_PATH_BYTES, POPULATED "/d%05" PRIu64, folder);
    } else {
        (void)snprintf(path, BENCH_PATH_BYTES, POPULATED "/d%05" PRIu64 "/n%03" PRIu64, folder,
                       within - 1);
    }
}

static int run_load(void)
{
    struct lane *lanes = xcalloc(bench_options.connections, sizeof *lanes);
    struct totals *totals = xcalloc(1, sizeof *totals);
    double server_cpu;
    double own_cpu;
    uint64_t start_us;
    double elapsed;

    bench_make_nodes(write_key, bench_options.keys + 1);
    for (size_t i = 0; i < bench_options.connections; i++) {
        open_lane(&lanes[i], i);
    }
    run_until(lanes, clock_monotonic_us() + (uint64_t)(bench_options.warmup * 1e6), totals);
    memset(totals, 0, sizeof *totals);
    server_cpu = bench_server_cpu_s();
    own_cpu = own_cpu_s();
    start_us = clock_monotonic_us();
    run_until(lanes, start_us + (uint64_t)(bench_options.seconds * 1e6), totals);
    elapsed = (double)(clock_monotonic_us() - start_us) / 1e6;
    server_cpu = bench_server_cpu_s() - server_cpu;
    own_cpu = own_cpu_s() - own_cpu;
    (void)printf("{\"protocol\":\"%s\",\"op\":\"%s\",\"connections\":%zu,\"pipeline\":%zu,\"ops_"
                 "s\":%.0f,\"errors\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"p50_us\":%" PRIu64
                 ",\"p99_us\":%" PRIu64 ",\"max_us\":%" PRIu64
                 ",\"server_cpu_s_per_kop\":%.5f,\"client_cpu_s\":%.3f,\"longest_gap_ms\":%.1f}\n",
                 bench_options.protocol->name, bench_options.op, bench_options.connections,
                 bench_options.pipeline, (double)totals->ok / elapsed, totals->errors, totals->lost,
                 bench_histogram_at(&totals->latencies_us, 0.5),
                 bench_histogram_at(&totals->latencies_us, 0.99), totals->latencies_us.maximum,
                 totals->ok == 0 ? 0 : server_cpu / (double)totals->ok * 1000, own_cpu,
                 (double)totals->longest_gap_us / 1000);
    for (size_t i = 0; i < bench_options.connections; i++) {
        bench_connection_close(&lanes[i].connection);
    }
    free(lanes);
    free(totals);
    return 0;
}

static int run_populate(void)
{
    uint64_t count =
        1 + bench_options.nodes + (bench_options.nodes + FOLDER_NODES - 1) / FOLDER_NODES;
    uint64_t start_us = clock_monotonic_us();

    bench_make_nodes(write_populated, count);
    (void)printf("{\"op\":\"populate\",\"nodes\":%" PRIu64 ",\"nodes_s\":%.0f}\n", count,
                 (double)count * 1e6 / (double)(clock_monotonic_us() - start_us));
    return 0;
}

enum { INIT_US_MAX = 10 * 1000 * 1000 };

static int run_init(void)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Init init = CLIENT__INIT__INIT;
    Client__NodeAddress nodes[BENCH_ADDRESSES_MAX];
    Client__NodeAddress *pointers[BENCH_ADDRESSES_MAX];
    struct bench_connection connection;
    uint64_t deadline_us = clock_monotonic_us() + INIT_US_MAX;
    struct bytes came;
    uint8_t *frame;
    size_t size;
    char *rest = NULL;

    for (char *part = strtok_r(bench_options.init_nodes, ",", &rest);
         part != NULL && init.n_nodes < BENCH_ADDRESSES_MAX; part = strtok_r(NULL, ",", &rest)) {
        char *equals = strchr(part, '=');

        if (equals == NULL) {
            bench_die("--nodes is written as 1=HOST:PORT,2=HOST:PORT, not ", part);
        }
        client__node_address__init(&nodes[init.n_nodes]);
        nodes[init.n_nodes].id = strtoull(part, NULL, 10);
        nodes[init.n_nodes].address = equals + 1;
        pointers[init.n_nodes] = &nodes[init.n_nodes];
        init.n_nodes++;
    }
    init.nodes = pointers;
    request.id = 1;
    request.body_case = CLIENT__REQUEST__BODY_INIT;
    request.init = &init;
    bench_options.protocol = &bench_native;
    if (!bench_open(&connection, bench_options.addresses[0])) {
        bench_die("nobody listens at ", bench_options.addresses[0]);
    }
    size = client__request__get_packed_size(&request);
    frame = buffer_extend(&connection.output, FRAME_CLIENT_HEAD_BYTES + size);
    frame_client_put_head(frame, (uint32_t)size);
    (void)client__request__pack(&request, frame + FRAME_CLIENT_HEAD_BYTES);
    while (!bench_connection_take(&connection, &came)) {
        struct pollfd poller = {.fd = connection.socket, .events = POLLIN};

        if (!bench_connection_exchange(&connection) || clock_monotonic_us() > deadline_us) {
            bench_die("init failed: no answer", "");
        }
        (void)poll(&poller, 1, 10);
    }
    if (!bench_options.protocol->read(&connection, came).is_ok) {
        bench_die("init failed; confer-cli init says why", "");
    }
    bench_connection_close(&connection);
    return 0;
}

/* What the disk costs at least: 4 KiB into a file that is there already, made durable. */
static int run_floor(void)
{
    enum { BLOCK_BYTES = 4096, BLOCKS = 4096 };
    struct bench_histogram *histogram = xcalloc(1, sizeof *histogram);
    char path[4096];
    uint64_t end_us;
    int file;

    (void)snprintf(path, sizeof path, "%s/floor", bench_options.dir);
    file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (size_t i = 0; file >= 0 && i < BLOCKS; i++) {
        if (pwrite(file, bench_value().data, BLOCK_BYTES, (off_t)(i * BLOCK_BYTES)) !=
            BLOCK_BYTES) {
            bench_die("cannot write ", path);
        }
    }
    if (file < 0 || fsync(file) != 0) {
        bench_die("cannot write ", path);
    }
    end_us = clock_monotonic_us() + (uint64_t)(bench_options.seconds * 1e6);
    for (size_t i = 0; clock_monotonic_us() < end_us; i++) {
        uint64_t start_us = clock_monotonic_us();

        if (pwrite(file, bench_value().data, BLOCK_BYTES, (off_t)(i % BLOCKS * BLOCK_BYTES)) !=
                BLOCK_BYTES ||
            fdatasync(file) != 0) {
            bench_die("cannot write ", path);
        }
        bench_histogram_add(histogram, clock_monotonic_us() - start_us);
    }
    (void)close(file);
    (void)unlink(path);
    (void)printf("{\"op\":\"floor\",\"p50_us\":%" PRIu64 ",\"p99_us\":%" PRIu64 "}\n",
                 bench_histogram_at(histogram, 0.5), bench_histogram_at(histogram, 0.99));
    free(histogram);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        bench_die("usage: confer-bench init|load|watch|sessions|populate|failover|floor [options]; "
                  "see the head of its "
                  "source",
                  "");
    }
    bench_options_parse(argc, argv);
    if (strcmp(argv[1], "floor") == 0) {
        return run_floor();
    }
    if (bench_options.address_count == 0) {
        bench_die("--address is missing", "");
    }
    if (strcmp(argv[1], "load") == 0) {
        return run_load();
    }
    if (strcmp(argv[1], "failover") == 0) {
        bench_options.op = "set";
        return run_load();
    }
    if (strcmp(argv[1], "watch") == 0) {
        return bench_crowd_watch();
    }
    if (strcmp(argv[1], "sessions") == 0) {
        return bench_crowd_sessions();
    }
    if (strcmp(argv[1], "populate") == 0) {
        return run_populate();
    }
    if (strcmp(argv[1], "init") == 0 && bench_options.init_nodes != NULL) {
        return run_init();
    }
    bench_die("unknown command, or an option is missing: ", argv[1]);
}
