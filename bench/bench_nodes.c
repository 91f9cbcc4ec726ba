#include "bench/bench_nodes.h"

#include "base/clock.h"
#include "bench/bench_options.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

enum {
    CREATIONS_UNDER_WAY = 900,
    TRIES_MAX = 10, /* who is overrun refuses some */
    WAIT_MS = 50,
    TRY_US = 1000 * 1000
};

void bench_key_path(char path[BENCH_PATH_BYTES], uint64_t number)
{
    if (number == 0) {
        (void)snprintf(path, BENCH_PATH_BYTES, BENCH_FOLDER);
    } else {
        (void)snprintf(path, BENCH_PATH_BYTES, BENCH_FOLDER "/n%07" PRIu64, number - 1);
    }
}

/* Send what can be, wait for something to come, and receive it. */
static void exchange(struct bench_connection *connection)
{
    struct pollfd poller = {.fd = connection->socket, .events = POLLIN};

    if (bench_connection_send(connection)) {
        if (connection->output.size > 0) {
            poller.events |= POLLOUT;
        }
        (void)poll(&poller, 1, WAIT_MS);
        if (bench_connection_receive(connection)) {
            return;
        }
    }
    bench_die("the connection was lost", "");
}

/* One try: is the folder of the loads there, by a linearizable read? Losses are no failure, nor is
 * silence: a ZooKeeper that still loads its tree may never answer whom it accepted meanwhile. */
static bool serves(struct bench_connection *connection, const char *address)
{
    struct bench_answer answer = {.id = 0};
    uint64_t end_us = clock_monotonic_us() + TRY_US;
    bool is_open = bench_open(connection, address);

    if (is_open) {
        bench_options.protocol->put(connection, BENCH_LINEARIZABLE_GET, BENCH_FOLDER, BYTES_EMPTY);
    }
    while (is_open && answer.id == 0 && clock_monotonic_us() < end_us) {
        struct pollfd poller = {.fd = connection->socket, .events = POLLIN};

        is_open = bench_connection_send(connection);
        if (is_open) {
            (void)poll(&poller, 1, connection->output.size > 0 ? 1 : WAIT_MS);
            is_open = bench_connection_receive(connection);
        }
        while (is_open && answer.id == 0 && bench_options.protocol->take(connection, &answer)) {
        }
    }
    bench_connection_close(connection);
    return answer.is_ok;
}

int bench_nodes_wait(void)
{
    uint64_t start_us = clock_monotonic_us();
    uint64_t deadline_us = start_us + (uint64_t)(bench_options.seconds * 1e6);
    struct bench_connection connection;

    for (size_t i = 0; !serves(&connection, bench_options.addresses[i]);
         i = (i + 1) % bench_options.address_count) {
        if (clock_monotonic_us() > deadline_us) {
            bench_die("no server serves in time", "");
        }
        (void)poll(NULL, 0, 1);
    }
    (void)printf("{\"op\":\"wait\",\"ms\":%.1f}\n",
                 (double)(clock_monotonic_us() - start_us) / 1000);
    return 0;
}

static bool is_there(struct bench_connection *connection, const char *path)
{
    struct bench_answer answer = {.id = 0};

    bench_options.protocol->put(connection, BENCH_LINEARIZABLE_GET, path, BYTES_EMPTY);
    while (answer.id != connection->last_id) {
        exchange(connection);
        while (answer.id != connection->last_id &&
               bench_options.protocol->take(connection, &answer)) {
        }
    }
    return answer.is_ok;
}

struct creations {
    uint64_t put;
    uint64_t done;
    uint64_t failed; /* of those done */
};

static void take_creations(struct bench_connection *connection, struct creations *creations)
{
    struct bench_answer answer;

    while (bench_options.protocol->take(connection, &answer)) {
        creations->done += answer.id != 0;
        creations->failed += answer.id != 0 && !answer.is_ok && !answer.exists_already;
    }
}

static bool
create_all(struct bench_connection *connection, bench_node_path *path_of, uint64_t count)
{
    struct creations creations = {.put = 0};
    char path[BENCH_PATH_BYTES];

    while (creations.done < count) {
        while (creations.put < count && creations.put - creations.done < CREATIONS_UNDER_WAY) {
            path_of(path, creations.put++);
            bench_options.protocol->put(connection, BENCH_CREATE, path, bench_value());
        }
        exchange(connection);
        take_creations(connection, &creations);
    }
    return creations.failed == 0;
}

void bench_make_nodes(bench_node_path *path_of, uint64_t count)
{
    struct bench_connection connection;
    char path[BENCH_PATH_BYTES];
    unsigned tries = 0;

    if (!bench_open(&connection, bench_options.addresses[0])) {
        bench_die("nobody listens at ", bench_options.addresses[0]);
    }
    path_of(path, count - 1);
    if (!is_there(&connection, path)) {
        while (!create_all(&connection, path_of, count)) {
            if (++tries == TRIES_MAX) {
                bench_die("a node cannot be created", "");
            }
        }
    }
    bench_connection_close(&connection);
}
