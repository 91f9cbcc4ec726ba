#include "bench/bench_options.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
                                      .folder_nodes = 1000,
                                      .among = "keys",
                                      .watched = 1,
                                      .session_timeout_ms = 30000,
                                      .dir = "."};
static uint8_t value[1024 * 1024];

_Noreturn void bench_die(const char *what, const char *detail)
{
    (void)fprintf(stderr, "confer-bench: %s%s\n", what, detail);
    exit(1);
}

void bench_tell_begin(void)
{
    if (bench_options.tell_begin != 0) {
        (void)printf("{\"begun\":true}\n");
        (void)fflush(stdout);
    }
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

/* --- The command line --- */

static void read_addresses(char *list)
{
    char *rest = NULL;

    for (char *part = strtok_r(list, ",", &rest); part != NULL; part = strtok_r(NULL, ",", &rest)) {
        if (bench_options.address_count == BENCH_ADDRESSES_MAX) {
            bench_die("too many addresses", "");
        }
        bench_options.addresses[bench_options.address_count++] = part;
    }
}

static void read_pids(char *list)
{
    char *rest = NULL;

    for (char *part = strtok_r(list, ",", &rest); part != NULL; part = strtok_r(NULL, ",", &rest)) {
        if (bench_options.pid_count == BENCH_PIDS_MAX) {
            bench_die("too many pids", "");
        }
        bench_options.pids[bench_options.pid_count++] = (int)strtol(part, NULL, 10);
    }
}

static void read_protocol(char *name)
{
    bench_options.protocol = bench_protocol_find(name);
    if (bench_options.protocol == NULL) {
        bench_die("--protocol is native, zookeeper or (when built with libnghttp2) etcd, not ",
                  name);
    }
}

enum kind { COUNT, REAL, TEXT };

struct option {
    const char *name;
    enum kind kind;
    size_t place; /* in bench_options */
    uint64_t minimum;
    uint64_t maximum;
};

#define COUNT_OPTION(name, field, minimum, maximum)                                                \
    {                                                                                              \
        name, COUNT, offsetof(struct bench_options, field), minimum, maximum                       \
    }
#define REAL_OPTION(name, field)                                                                   \
    {                                                                                              \
        name, REAL, offsetof(struct bench_options, field), 0, 0                                    \
    }
#define TEXT_OPTION(name, field)                                                                   \
    {                                                                                              \
        name, TEXT, offsetof(struct bench_options, field), 0, 0                                    \
    }

static const struct option options[] = {
    COUNT_OPTION("--connections", connections, 1, BENCH_CONNECTIONS_MAX),
    COUNT_OPTION("--pipeline", pipeline, 1, BENCH_PIPELINE_MAX),
    COUNT_OPTION("--rounds", rounds, 1, 1000),
    COUNT_OPTION("--rate", rate, 0, 100000000),
    COUNT_OPTION("--operations", operations, 0, UINT64_MAX),
    COUNT_OPTION("--keys", keys, 1, 10000000),
    COUNT_OPTION("--value-bytes", value_bytes, 0, sizeof value),
    COUNT_OPTION("--nodes-count", nodes, 1, 100000000),
    COUNT_OPTION("--folder-nodes", folder_nodes, 1, 100000000),
    COUNT_OPTION("--watched", watched, 1, 1000000),
    COUNT_OPTION("--session-timeout-ms", session_timeout_ms, 1000, 600000),
    COUNT_OPTION("--tell-begin", tell_begin, 0, 1),
    REAL_OPTION("--seconds", seconds),
    REAL_OPTION("--warmup", warmup),
    TEXT_OPTION("--op", op),
    TEXT_OPTION("--among", among),
    TEXT_OPTION("--nodes", init_nodes),
    TEXT_OPTION("--dir", dir),
};

static void read_count(const struct option *option, const char *text, uint64_t *count)
{
    char *end;

    *count = strtoull(text, &end, 10);
    if (*end != '\0' || end == text || *count < option->minimum || *count > option->maximum) {
        (void)fprintf(stderr, "confer-bench: %s is from %llu to %llu, not %s\n", option->name,
                      (unsigned long long)option->minimum, (unsigned long long)option->maximum,
                      text);
        exit(2);
    }
}

static void read_option(const struct option *option, char *text)
{
    char *place = (char *)&bench_options + option->place;

    switch (option->kind) {
    case COUNT:
        read_count(option, text, (uint64_t *)(void *)place);
        break;
    case REAL:
        *(double *)(void *)place = strtod(text, NULL);
        break;
    case TEXT:
    default:
        *(char **)(void *)place = text;
        break;
    }
}

static void set_option(const char *name, char *text)
{
    if (strcmp(name, "--address") == 0) {
        read_addresses(text);
    } else if (strcmp(name, "--pids") == 0) {
        read_pids(text);
    } else if (strcmp(name, "--protocol") == 0) {
        read_protocol(text);
    } else {
        size_t i = 0;

        while (i < sizeof options / sizeof options[0] && strcmp(name, options[i].name) != 0) {
            i++;
        }
        if (i == sizeof options / sizeof options[0]) {
            bench_die("unknown option ", name);
        }
        read_option(&options[i], text);
    }
}

void bench_options_parse(int argc, char **argv)
{
    for (int i = 2; i < argc; i += 2) {
        if (i + 1 == argc) {
            bench_die("a value is missing after ", argv[i]);
        }
        set_option(argv[i], argv[i + 1]);
    }
}
