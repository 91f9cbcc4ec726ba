/* What the command line asks for, and what all commands use. A failure ends the program. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "bench/bench_protocol.h"

#include <stdint.h>

#define BENCH_FOLDER "/bench"

enum {
    BENCH_ADDRESSES_MAX = 16,
    BENCH_PIDS_MAX = 16,
    BENCH_CONNECTIONS_MAX = 20000,
    BENCH_PIPELINE_MAX = 1024,
    BENCH_PATH_BYTES = 64
};

struct bench_options {
    char *addresses[BENCH_ADDRESSES_MAX];
    size_t address_count;
    int pids[BENCH_PIDS_MAX];
    size_t pid_count;
    size_t connections;
    size_t pipeline;
    size_t rounds;
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
extern struct bench_options bench_options;

void bench_options_parse(int argc, char **argv);
_Noreturn void bench_die(const char *what, const char *detail);
/* Of the size asked for. */
struct bytes bench_value(void);
/* A connection that has begun in the protocol. False: nobody listens there. */
bool bench_open(struct bench_connection *connection, const char *address);

/* Node `number` of those to be made, a parent before its children. */
typedef void bench_node_path(char path[BENCH_PATH_BYTES], uint64_t number);
/* Through one connection, many creations under way; what is there already stays. */
void bench_make_nodes(bench_node_path *path_of, uint64_t count);

/* Of the servers with --pids, all together: CPU since they began, resident memory now. */
double bench_server_cpu_s(void);
uint64_t bench_server_resident_kib(void);

#endif
