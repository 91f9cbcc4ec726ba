#include "bench/bench_options.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CREATIONS_UNDER_WAY = 900 };

struct bench_options bench_options = {.connections = 1,
                                      .pipeline = 1,
                                      .rounds = 5,
                                      .seconds = 5,
                                      .warmup = 0.5,
                                      .op = "set",
                                      .protocol = &bench_native,
                                      .keys = 1000,
                                      .value_bytes = 100,
                                      .nodes = 1000000,
                                      .dir = "."};
static uint8_t value[1024 * 1024];

_Noreturn void bench_die(const char *what, const char *detail)
{
    (void)fprintf(stderr, "confer-bench: %s%s\n", what, detail);
    exit(1);
}

struct bytes bench_value(void)
{
    return bytes_of(value, bench_options.value_bytes);
}

bool bench_open(struct bench_connection *connection, const char *address)
{
    if (!bench_connection_open(connection, address)) {
        return false;
    }
    bench_options.protocol->begin(connection);
    return true;
}

void bench_make_nodes(bench_node_path *path_of, uint64_t count)
{
    struct bench_connection own;
    struct bench_connection *connection = &own;
    uint64_t put = 0;
    uint64_t done = 0;

    if (!bench_open(connection, bench_options.addresses[0])) {
        bench_die("nobody listens at ", bench_options.addresses[0]);
    }
    while (done < count) {
        struct pollfd poller;
        struct bytes frame;

        while (put < count && put - done < CREATIONS_UNDER_WAY) {
            char path[BENCH_PATH_BYTES];

            path_of(path, put++);
            bench_options.protocol->put(connection, BENCH_CREATE, path, bench_value());
        }
        if (!bench_connection_exchange(connection)) {
            bench_die("the connection was lost", "");
        }
        while (bench_connection_take(connection, &frame)) {
            struct bench_answer answer = bench_options.protocol->read(connection, frame);

            if (answer.id != 0 && !answer.is_ok && !answer.exists_already) {
                bench_die("a node cannot be created", "");
            }
            done += answer.id != 0;
        }
        /* With answers taken there is something to put; waiting then is for what nobody sends. */
        if (put == count || put - done == CREATIONS_UNDER_WAY) {
            poller = (struct pollfd){.fd = connection->socket, .events = POLLIN};
            (void)poll(&poller, 1, 50);
        }
    }
    bench_connection_close(connection);
}

/* --- Servers --- */

/* A line of /proc/PID/NAME that begins with `start`. */
static void read_line(int pid, const char *name, const char *start, char *line, int bytes)
{
    char path[64];
    FILE *file;
    bool is_found = false;

    (void)snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    file = fopen(path, "re");
    while (file != NULL && !is_found && fgets(line, bytes, file) != NULL) {
        is_found = strncmp(line, start, strlen(start)) == 0;
    }
    if (!is_found) {
        bench_die("cannot read ", path);
    }
    (void)fclose(file);
}

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

double bench_server_cpu_s(void)
{
    double total = 0;

    for (size_t i = 0; i < bench_options.pid_count; i++) {
        char line[1024];
        const char *rest;

        read_line(bench_options.pids[i], "stat", "", line, sizeof line);
        rest = strrchr(line, ')');
        if (rest == NULL) {
            bench_die("cannot understand /proc", "");
        }
        /* utime and stime: fields 14 and 15 of the line, whose second one ends in the bracket */
        total += (double)(stat_field(rest + 1, 12) + stat_field(rest + 1, 13)) /
                 (double)sysconf(_SC_CLK_TCK);
    }
    return total;
}

uint64_t bench_server_resident_kib(void)
{
    uint64_t total = 0;

    for (size_t i = 0; i < bench_options.pid_count; i++) {
        char line[256];

        read_line(bench_options.pids[i], "status", "VmRSS:", line, sizeof line);
        total += strtoull(line + strlen("VmRSS:"), NULL, 10);
    }
    return total;
}

/* --- The command line --- */

static void split_addresses(char *list)
{
    char *rest = NULL;

    for (char *part = strtok_r(list, ",", &rest);
         part != NULL && bench_options.address_count < BENCH_ADDRESSES_MAX;
         part = strtok_r(NULL, ",", &rest)) {
        bench_options.addresses[bench_options.address_count++] = part;
    }
}

static void split_pids(char *list)
{
    char *rest = NULL;

    for (char *part = strtok_r(list, ",", &rest);
         part != NULL && bench_options.pid_count < BENCH_PIDS_MAX;
         part = strtok_r(NULL, ",", &rest)) {
        bench_options.pids[bench_options.pid_count++] = (int)strtol(part, NULL, 10);
    }
}

static void set_option(const char *name, char *text)
{
    if (strcmp(name, "--address") == 0) {
        split_addresses(text);
    } else if (strcmp(name, "--pids") == 0) {
        split_pids(text);
    } else if (strcmp(name, "--connections") == 0) {
        bench_options.connections = strtoull(text, NULL, 10);
    } else if (strcmp(name, "--pipeline") == 0) {
        bench_options.pipeline = strtoull(text, NULL, 10);
    } else if (strcmp(name, "--rounds") == 0) {
        bench_options.rounds = strtoull(text, NULL, 10);
    } else if (strcmp(name, "--seconds") == 0) {
        bench_options.seconds = strtod(text, NULL);
    } else if (strcmp(name, "--warmup") == 0) {
        bench_options.warmup = strtod(text, NULL);
    } else if (strcmp(name, "--op") == 0) {
        bench_options.op = text;
    } else if (strcmp(name, "--protocol") == 0) {
        bench_options.protocol = bench_protocol_find(text);
        if (bench_options.protocol == NULL) {
            bench_die("--protocol is native or zookeeper, not ", text);
        }
    } else if (strcmp(name, "--keys") == 0) {
        bench_options.keys = strtoull(text, NULL, 10);
    } else if (strcmp(name, "--value-bytes") == 0) {
        bench_options.value_bytes = strtoull(text, NULL, 10);
    } else if (strcmp(name, "--nodes-count") == 0) {
        bench_options.nodes = strtoull(text, NULL, 10);
    } else if (strcmp(name, "--nodes") == 0) {
        bench_options.init_nodes = text;
    } else if (strcmp(name, "--dir") == 0) {
        bench_options.dir = text;
    } else {
        bench_die("unknown option ", name);
    }
}

void bench_options_parse(int argc, char **argv)
{
    for (int i = 2; i + 1 < argc; i += 2) {
        set_option(argv[i], argv[i + 1]);
    }
    if (bench_options.connections == 0 || bench_options.connections > BENCH_CONNECTIONS_MAX ||
        bench_options.pipeline == 0 || bench_options.pipeline > BENCH_PIPELINE_MAX ||
        bench_options.keys == 0 || bench_options.value_bytes > sizeof value) {
        bench_die("a count is out of its range", "");
    }
}
