/* What the command line asks for, and what all commands use. A failure ends the program. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "bench/bench_protocol.h"

#include <stdint.h>

enum {
    BENCH_ADDRESSES_MAX = 16,
    BENCH_PIDS_MAX = 16,
    BENCH_CONNECTIONS_MAX = 20000,
    BENCH_PIPELINE_MAX = 1024
};

struct bench_options {
    char *addresses[BENCH_ADDRESSES_MAX];
    size_t address_count;
    int pids[BENCH_PIDS_MAX];
    size_t pid_count;
    uint64_t connections;
    uint64_t pipeline;
    uint64_t rounds;
    uint64_t rate;       /* requests that fall due in a second; 0 = a closed loop */
    uint64_t operations; /* end after so many; 0 = after `seconds` */
    double seconds;
    double warmup;
    const char *op;
    const struct bench_protocol *protocol;
    uint64_t keys;
    uint64_t value_bytes;
    uint64_t nodes;
    uint64_t folder_nodes; /* of them in one folder */
    const char *among;     /* what a load goes to: its keys, or what populate made */
    uint64_t watched;      /* nodes, by each connection */
    uint64_t session_timeout_ms;
    uint64_t tell_begin;
    char *init_nodes;
    const char *dir;
};
extern struct bench_options bench_options;

void bench_options_parse(int argc, char **argv);
_Noreturn void bench_die(const char *what, const char *detail);
/* All connections are open and what was asked for begins. With --tell-begin 1 whoever started the
 * program is told at once, by a line of its own. */
void bench_tell_begin(void);
/* Of the size asked for. */
struct bytes bench_value(void);
/* A connection that has begun in the protocol. False: nobody listens there. */
bool bench_open(struct bench_connection *connection, const char *address);

#endif
