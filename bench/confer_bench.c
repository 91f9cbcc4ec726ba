/* A load generator for the native protocol, for ZooKeeper's and for etcd's, and the floor of the
 * machine. One JSON line each on stdout.
 *
 *     confer-bench init --address A --nodes 1=A,2=B
 *     confer-bench load --address A,B,C --protocol zookeeper --connections 16 --pipeline 4 --op set
 *     confer-bench load --address A,B,C --connections 64 --pipeline 1000 --rate 200000
 *     confer-bench watch --address A,B,C --connections 1000 --watched 1 --rounds 5
 *     confer-bench sessions --address A,B,C --connections 10000 --seconds 20
 *     confer-bench stall --address A --connections 200 --pipeline 100 --seconds 5
 *     confer-bench populate --address A --nodes-count 1000000 --folder-nodes 1000
 *     confer-bench failover --address A,B,C --connections 8 --seconds 10
 *     confer-bench wait --address A,B,C --seconds 60
 *     confer-bench floor --dir DIR
 *
 * load is a closed loop: each connection keeps `pipeline` requests under way. With --rate it is an
 * open one: requests fall due at fixed times, whatever the servers do, and latency counts from
 * then; each connection still has at most `pipeline` under way, and what never found room is
 * `unsent`. Operations are set, get, lget (linearizable; ZooKeeper: sync and get), create, list,
 * and mixed (nine gets and a set). With --operations it ends after so many instead of `seconds`.
 * With --pids the CPU of servers counts. It goes to its own keys, or --among populated to what
 * populate made with the same --nodes-count and --folder-nodes.
 *
 * watch: each connection watches `watched` nodes; then these are set, and all events are waited
 * for, `rounds` times. sessions: each connection opens a session and keeps it alive for `seconds`.
 * wait: until a load could read. stall: each connection asks for values, `pipeline` times, and
 * reads nothing for `seconds`. With --tell-begin 1 load, failover, sessions and stall print a line
 * when all connections are open, so that others can be measured beside them, or servers killed. */
#include "base/alloc.h"
#include "base/clock.h"
#include "bench/bench_crowd.h"
#include "bench/bench_histogram.h"
#include "bench/bench_load.h"
#include "bench/bench_nodes.h"
#include "bench/bench_options.h"
#include "proto/client.pb-c.h"
#include "proto/frame.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INIT_US_MAX = 10 * 1000 * 1000 };

static int run_init(void)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Init init = CLIENT__INIT__INIT;
    Client__NodeAddress nodes[BENCH_ADDRESSES_MAX];
    Client__NodeAddress *pointers[BENCH_ADDRESSES_MAX];
    struct bench_connection connection;
    uint64_t deadline_us = clock_monotonic_us() + INIT_US_MAX;
    struct bench_answer answer;
    uint8_t *frame;
    size_t size;
    char *rest = NULL;

    if (bench_options.init_nodes == NULL) {
        bench_die("--nodes is missing", "");
    }
    for (char *part = strtok_r(bench_options.init_nodes, ",", &rest);
         part != NULL && init.n_nodes < BENCH_ADDRESSES_MAX; part = strtok_r(NULL, ",", &rest)) {
        size_t id_bytes = strcspn(part, "=");

        if (part[id_bytes] == '\0') {
            bench_die("--nodes is written as 1=HOST:PORT,2=HOST:PORT, not ", part);
        }
        client__node_address__init(&nodes[init.n_nodes]);
        nodes[init.n_nodes].id = strtoull(part, NULL, 10);
        nodes[init.n_nodes].address = part + id_bytes + 1;
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
    while (!bench_options.protocol->take(&connection, &answer)) {
        struct pollfd poller = {.fd = connection.socket, .events = POLLIN};

        if (!bench_connection_send(&connection) || !bench_connection_receive(&connection) ||
            clock_monotonic_us() > deadline_us) {
            bench_die("init failed: no answer", "");
        }
        (void)poll(&poller, 1, 10);
    }
    if (!answer.is_ok) {
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
    static const struct {
        const char *name;
        int (*run)(void);
        bool needs_servers;
    } commands[] = {
        {"init", run_init, true},
        {"load", bench_load_run, true},
        {"failover", bench_load_run, true},
        {"watch", bench_crowd_watch, true},
        {"sessions", bench_crowd_sessions, true},
        {"stall", bench_crowd_stall, true},
        {"populate", bench_load_populate, true},
        {"wait", bench_nodes_wait, true},
        {"floor", run_floor, false},
    };

    if (argc < 2) {
        bench_die("usage: confer-bench init|load|failover|watch|sessions|stall|populate|wait|floor "
                  "[options]; see the head of its source",
                  "");
    }
    bench_options_parse(argc, argv);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            if (commands[i].needs_servers && bench_options.address_count == 0) {
                bench_die("--address is missing", "");
            }
            return commands[i].run();
        }
    }
    bench_die("unknown command ", argv[1]);
}
