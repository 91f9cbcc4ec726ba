/* A load generator for the native protocol and for ZooKeeper's, and the floor of the machine. One
 * JSON line each on stdout.
 *
 *     confer-bench init --address A --nodes 1=A,2=B
 *     confer-bench load --address A,B,C --protocol zookeeper --connections 16 --pipeline 4 --op set
 *     confer-bench populate --address A --nodes-count 1000000
 *     confer-bench failover --address A,B,C --connections 8 --seconds 10
 *     confer-bench floor --dir DIR
 *
 * load is a closed loop: each connection keeps `pipeline` requests under way; operations are set,
 * get, lget (linearizable; ZooKeeper: sync and get), create, and mixed (nine gets and a set).
 * Latency is from putting a request to its answer. With --pids the CPU of servers is read from
 * /proc/PID/stat (10 ms ticks: use seconds, not fractions). */
#include "base/alloc.h"
#include "base/clock.h"
#include "bench/bench_histogram.h"
#include "bench/bench_protocol.h"
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

enum { ADDRESSES_MAX = 16, PIDS_MAX = 16, CONNECTIONS_MAX = 4096, PIPELINE_MAX = 1024 };

struct options {
    char *addresses[ADDRESSES_MAX];
    size_t address_count;
    int pids[PIDS_MAX];
    size_t pid_count;
    size_t connections;
    size_t pipeline;
    double seconds;
    double warmup;
    const char *op;
    const struct bench_protocol *protocol;
    uint64_t keys;
    size_t value_bytes;
    uint64_t nodes;
    char *init_nodes;
    const char *dir;
};

struct lane {
    struct bench_connection connection;
    uint64_t started_us[PIPELINE_MAX]; /* by id modulo PIPELINE_MAX */
    size_t under_way;
    uint64_t next_key;
    size_t number;
};

static struct options options = {.connections = 1,
                                 .pipeline = 1,
                                 .seconds = 5,
                                 .warmup = 0.5,
                                 .op = "set",
                                 .protocol = &bench_native,
                                 .keys = 1000,
                                 .value_bytes = 100,
                                 .nodes = 1000000,
                                 .dir = "."};
static uint8_t value[1024 * 1024];

static _Noreturn void die(const char *what, const char *detail)
{
    (void)fprintf(stderr, "confer-bench: %s%s\n", what, detail);
    exit(1);
}

/* --- Requests --- */

#define FOLDER "/bench"
enum { PATH_BYTES = 64, MIXED_GETS = 9 };

static struct bytes value_lend(void)
{
    return bytes_of(value, options.value_bytes);
}

static enum bench_op next_op(struct lane *lane)
{
    if (strcmp(options.op, "set") == 0) {
        return BENCH_SET;
    }
    if (strcmp(options.op, "create") == 0) {
        return BENCH_CREATE;
    }
    if (strcmp(options.op, "lget") == 0) {
        return BENCH_LINEARIZABLE_GET;
    }
    return strcmp(options.op, "mixed") == 0 && lane->next_key % (MIXED_GETS + 1) == 0 ? BENCH_SET
                                                                                      : BENCH_GET;
}

static void put_next(struct lane *lane)
{
    char path[PATH_BYTES];
    struct bench_connection *connection = &lane->connection;
    enum bench_op op = next_op(lane);

    if (op == BENCH_CREATE) {
        (void)snprintf(path, sizeof path, FOLDER "/c%d-%zu-%" PRIu64, getpid(), lane->number,
                       lane->next_key++);
    } else {
        (void)snprintf(path, sizeof path, FOLDER "/n%07" PRIu64, lane->next_key++ % options.keys);
    }
    options.protocol->put(connection, op, path, value_lend());
    lane->started_us[connection->last_id % PIPELINE_MAX] = clock_monotonic_us();
    lane->under_way++;
}

static bool open_connection(struct bench_connection *connection, const char *address)
{
    if (!bench_connection_open(connection, address)) {
        return false;
    }
    options.protocol->begin(connection);
    return true;
}

static void open_lane(struct lane *lane, size_t number)
{
    const char *address =
        options.address_count == 0 ? NULL : options.addresses[number % options.address_count];

    if (address == NULL) {
        die("--address is missing", "");
    }
    memset(lane, 0, sizeof *lane);
    lane->next_key = number * 7919;
    lane->number = number;
    if (!open_connection(&lane->connection, address)) {
        die("nobody listens at ", address);
    }
}

/* --- CPU --- */

/* Field `number` (from 1) of the text behind the name in /proc/PID/stat: proc(5). */
static unsigned long stat_field(const char *text, int number)
{
    const char *at = text;

    for (int i = 1; i < number && *at != '\0'; i++) {
        at += strspn(at, " ");
        at += strcspn(at, " ");
    }
    return strtoul(at, NULL, 10);
}

static double server_cpu_s(void)
{
    double total = 0;

    for (size_t i = 0; i < options.pid_count; i++) {
        char path[64];
        char line[1024];
        FILE *file;
        const char *rest;

        (void)snprintf(path, sizeof path, "/proc/%d/stat", options.pids[i]);
        file = fopen(path, "re");
        if (file == NULL || fgets(line, sizeof line, file) == NULL) {
            die("cannot read ", path);
        }
        (void)fclose(file);
        rest = strrchr(line, ')');
        if (rest == NULL) {
            die("cannot understand ", path);
        }
        /* utime and stime: fields 14 and 15 of the line, whose second one ends in the bracket */
        total += (double)(stat_field(rest + 1, 12) + stat_field(rest + 1, 13)) /
                 (double)sysconf(_SC_CLK_TCK);
    }
    return total;
}

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
        struct bench_answer answer = options.protocol->read(&lane->connection, frame);
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
    for (size_t i = 0; i < options.address_count; i++) {
        memset(lane, 0, sizeof *lane);
        lane->next_key = next_key;
        lane->number = number;
        if (open_connection(&lane->connection,
                            options.addresses[++*turn % options.address_count])) {
            return;
        }
    }
    die("all servers are gone", "");
}

static void run_until(struct lane *lanes, uint64_t end_us, struct totals *totals)
{
    struct pollfd *polled = xcalloc(options.connections, sizeof *polled);
    size_t turn = 0;

    while (clock_monotonic_us() < end_us) {
        for (size_t i = 0; i < options.connections; i++) {
            struct lane *lane = &lanes[i];

            while (lane->under_way < options.pipeline) {
                put_next(lane);
            }
            if (!bench_connection_exchange(&lane->connection)) {
                reopen(lane, &turn, totals);
                continue;
            }
            take_answers(lane, totals);
        }
        for (size_t i = 0; i < options.connections; i++) {
            const struct bench_connection *connection = &lanes[i].connection;

            polled[i].fd = connection->socket;
            polled[i].events = lanes[i].under_way < options.pipeline || connection->output.size > 0
                                   ? POLLIN | POLLOUT
                                   : POLLIN;
        }
        (void)poll(polled, options.connections, 50);
    }
    free(polled);
}

/* --- Nodes --- */

#define POPULATED "/populated"
enum { CREATIONS_UNDER_WAY = 900, FOLDER_NODES = 1000 };

/* Node `number` of those to be made, a parent before its children. */
typedef void node_path(char path[PATH_BYTES], uint64_t number);

static void write_key(char path[PATH_BYTES], uint64_t number)
{
    if (number == 0) {
        (void)snprintf(path, PATH_BYTES, FOLDER);
    } else {
        (void)snprintf(path, PATH_BYTES, FOLDER "/n%07" PRIu64, number - 1);
    }
}

/* Folders of a thousand. */
static void write_populated(char path[PATH_BYTES], uint64_t number)
{
    uint64_t folder = (number - 1) / (FOLDER_NODES + 1);
    uint64_t within = (number - 1) % (FOLDER_NODES + 1);

    if (number == 0) {
        (void)snprintf(path, PATH_BYTES, POPULATED);
    } else if (within == 0) {
        (void)snprintf(path, PATH_BYTES, POPULATED "/d%05" PRIu64, folder);
    } else {
        (void)snprintf(path, PATH_BYTES, POPULATED "/d%05" PRIu64 "/n%03" PRIu64, folder,
                       within - 1);
    }
}

/* Through one connection, many creations under way; what is there already stays. */
static void make_nodes(node_path *path_of, uint64_t count)
{
    struct bench_connection own;
    struct bench_connection *connection = &own;
    uint64_t put = 0;
    uint64_t done = 0;

    if (!open_connection(connection, options.addresses[0])) {
        die("nobody listens at ", options.addresses[0]);
    }
    while (done < count) {
        struct pollfd poller;
        struct bytes frame;

        while (put < count && put - done < CREATIONS_UNDER_WAY) {
            char path[PATH_BYTES];

            path_of(path, put++);
            options.protocol->put(connection, BENCH_CREATE, path, value_lend());
        }
        if (!bench_connection_exchange(connection)) {
            die("the connection was lost", "");
        }
        while (bench_connection_take(connection, &frame)) {
            struct bench_answer answer = options.protocol->read(connection, frame);

            if (answer.id != 0 && !answer.is_ok && !answer.exists_already) {
                die("a node cannot be created", "");
            }
            done += answer.id != 0;
        }
        poller = (struct pollfd){.fd = connection->socket, .events = POLLIN};
        (void)poll(&poller, 1, 50);
    }
    bench_connection_close(connection);
}

static int run_load(void)
{
    struct lane *lanes = xcalloc(options.connections, sizeof *lanes);
    struct totals *totals = xcalloc(1, sizeof *totals);
    double server_cpu;
    double own_cpu;
    uint64_t start_us;
    double elapsed;

    make_nodes(write_key, options.keys + 1);
    for (size_t i = 0; i < options.connections; i++) {
        open_lane(&lanes[i], i);
    }
    run_until(lanes, clock_monotonic_us() + (uint64_t)(options.warmup * 1e6), totals);
    memset(totals, 0, sizeof *totals);
    server_cpu = server_cpu_s();
    own_cpu = own_cpu_s();
    start_us = clock_monotonic_us();
    run_until(lanes, start_us + (uint64_t)(options.seconds * 1e6), totals);
    elapsed = (double)(clock_monotonic_us() - start_us) / 1e6;
    server_cpu = server_cpu_s() - server_cpu;
    own_cpu = own_cpu_s() - own_cpu;
    (void)printf("{\"protocol\":\"%s\",\"op\":\"%s\",\"connections\":%zu,\"pipeline\":%zu,\"ops_"
                 "s\":%.0f,\"errors\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"p50_us\":%" PRIu64
                 ",\"p99_us\":%" PRIu64 ",\"max_us\":%" PRIu64
                 ",\"server_cpu_s_per_kop\":%.5f,\"client_cpu_s\":%.3f,\"longest_gap_ms\":%.1f}\n",
                 options.protocol->name, options.op, options.connections, options.pipeline,
                 (double)totals->ok / elapsed, totals->errors, totals->lost,
                 bench_histogram_at(&totals->latencies_us, 0.5),
                 bench_histogram_at(&totals->latencies_us, 0.99), totals->latencies_us.maximum,
                 totals->ok == 0 ? 0 : server_cpu / (double)totals->ok * 1000, own_cpu,
                 (double)totals->longest_gap_us / 1000);
    for (size_t i = 0; i < options.connections; i++) {
        bench_connection_close(&lanes[i].connection);
    }
    free(lanes);
    free(totals);
    return 0;
}

static int run_populate(void)
{
    uint64_t count = 1 + options.nodes + (options.nodes + FOLDER_NODES - 1) / FOLDER_NODES;
    uint64_t start_us = clock_monotonic_us();

    make_nodes(write_populated, count);
    (void)printf("{\"op\":\"populate\",\"nodes\":%" PRIu64 ",\"nodes_s\":%.0f}\n", count,
                 (double)count * 1e6 / (double)(clock_monotonic_us() - start_us));
    return 0;
}

enum { INIT_US_MAX = 10 * 1000 * 1000 };

static int run_init(void)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Init init = CLIENT__INIT__INIT;
    Client__NodeAddress nodes[ADDRESSES_MAX];
    Client__NodeAddress *pointers[ADDRESSES_MAX];
    struct bench_connection connection;
    uint64_t deadline_us = clock_monotonic_us() + INIT_US_MAX;
    struct bytes came;
    uint8_t *frame;
    size_t size;
    char *rest = NULL;

    for (char *part = strtok_r(options.init_nodes, ",", &rest);
         part != NULL && init.n_nodes < ADDRESSES_MAX; part = strtok_r(NULL, ",", &rest)) {
        char *equals = strchr(part, '=');

        if (equals == NULL) {
            die("--nodes is written as 1=HOST:PORT,2=HOST:PORT, not ", part);
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
    options.protocol = &bench_native;
    if (!open_connection(&connection, options.addresses[0])) {
        die("nobody listens at ", options.addresses[0]);
    }
    size = client__request__get_packed_size(&request);
    frame = buffer_extend(&connection.output, FRAME_CLIENT_HEAD_BYTES + size);
    frame_client_put_head(frame, (uint32_t)size);
    (void)client__request__pack(&request, frame + FRAME_CLIENT_HEAD_BYTES);
    while (!bench_connection_take(&connection, &came)) {
        struct pollfd poller = {.fd = connection.socket, .events = POLLIN};

        if (!bench_connection_exchange(&connection) || clock_monotonic_us() > deadline_us) {
            die("init failed: no answer", "");
        }
        (void)poll(&poller, 1, 10);
    }
    if (!options.protocol->read(&connection, came).is_ok) {
        die("init failed; confer-cli init says why", "");
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

    (void)snprintf(path, sizeof path, "%s/floor", options.dir);
    file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (size_t i = 0; file >= 0 && i < BLOCKS; i++) {
        if (pwrite(file, value, BLOCK_BYTES, (off_t)(i * BLOCK_BYTES)) != BLOCK_BYTES) {
            die("cannot write ", path);
        }
    }
    if (file < 0 || fsync(file) != 0) {
        die("cannot write ", path);
    }
    end_us = clock_monotonic_us() + (uint64_t)(options.seconds * 1e6);
    for (size_t i = 0; clock_monotonic_us() < end_us; i++) {
        uint64_t start_us = clock_monotonic_us();

        if (pwrite(file, value, BLOCK_BYTES, (off_t)(i % BLOCKS * BLOCK_BYTES)) != BLOCK_BYTES ||
            fdatasync(file) != 0) {
            die("cannot write ", path);
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

/* --- The command line --- */

static void split_addresses(char *list)
{
    char *rest = NULL;

    for (char *part = strtok_r(list, ",", &rest);
         part != NULL && options.address_count < ADDRESSES_MAX; part = strtok_r(NULL, ",", &rest)) {
        options.addresses[options.address_count++] = part;
    }
}

static void split_pids(char *list)
{
    char *rest = NULL;

    for (char *part = strtok_r(list, ",", &rest); part != NULL && options.pid_count < PIDS_MAX;
         part = strtok_r(NULL, ",", &rest)) {
        options.pids[options.pid_count++] = (int)strtol(part, NULL, 10);
    }
}

static void set_option(const char *name, char *text)
{
    if (strcmp(name, "--address") == 0) {
        split_addresses(text);
    } else if (strcmp(name, "--pids") == 0) {
        split_pids(text);
    } else if (strcmp(name, "--connections") == 0) {
        options.connections = strtoull(text, NULL, 10);
    } else if (strcmp(name, "--pipeline") == 0) {
        options.pipeline = strtoull(text, NULL, 10);
    } else if (strcmp(name, "--seconds") == 0) {
        options.seconds = strtod(text, NULL);
    } else if (strcmp(name, "--warmup") == 0) {
        options.warmup = strtod(text, NULL);
    } else if (strcmp(name, "--op") == 0) {
        options.op = text;
    } else if (strcmp(name, "--protocol") == 0) {
        options.protocol = bench_protocol_find(text);
        if (options.protocol == NULL) {
            die("--protocol is native or zookeeper, not ", text);
        }
    } else if (strcmp(name, "--keys") == 0) {
        options.keys = strtoull(text, NULL, 10);
    } else if (strcmp(name, "--value-bytes") == 0) {
        options.value_bytes = strtoull(text, NULL, 10);
    } else if (strcmp(name, "--nodes-count") == 0) {
        options.nodes = strtoull(text, NULL, 10);
    } else if (strcmp(name, "--nodes") == 0) {
        options.init_nodes = text;
    } else if (strcmp(name, "--dir") == 0) {
        options.dir = text;
    } else {
        die("unknown option ", name);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        die("usage: confer-bench init|load|populate|failover|floor [options]; see the head of its "
            "source",
            "");
    }
    for (int i = 2; i + 1 < argc; i += 2) {
        set_option(argv[i], argv[i + 1]);
    }
    if (options.connections == 0 || options.connections > CONNECTIONS_MAX ||
        options.pipeline == 0 || options.pipeline > PIPELINE_MAX || options.keys == 0 ||
        options.value_bytes > sizeof value) {
        die("a count is out of its range", "");
    }
    if (strcmp(argv[1], "floor") == 0) {
        return run_floor();
    }
    if (options.address_count == 0) {
        die("--address is missing", "");
    }
    if (strcmp(argv[1], "load") == 0) {
        return run_load();
    }
    if (strcmp(argv[1], "failover") == 0) {
        options.op = "set";
        return run_load();
    }
    if (strcmp(argv[1], "populate") == 0) {
        return run_populate();
    }
    if (strcmp(argv[1], "init") == 0 && options.init_nodes != NULL) {
        return run_init();
    }
    die("unknown command, or an option is missing: ", argv[1]);
}
