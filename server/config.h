/* The options of confer-server: one table row per option gives the parser, the defaults and --help.
 */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "base/error.h"
#include "base/log.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct config {
    uint64_t id;
    const char *server; /* the address that others use */
    const char *listen; /* NULL: the same */
    const char *data;   /* NULL: ./confer-data/ID */
    const char *cluster_secret_file;
    bool insecure_peers;
    enum log_level log_level;
    uint64_t heartbeat_ms;
    uint64_t election_timeout_ms;
    uint64_t request_timeout_ms;
    uint64_t cache_bytes;
    uint64_t checkpoint_records;
    uint64_t checkpoint_bytes;
    uint64_t checkpoint_interval_ms;
    uint64_t log_tail_bytes;
    uint64_t log_tail_entries;
    uint64_t history_bytes;
    uint64_t tree_map_bytes;
    uint64_t log_map_bytes;
    uint64_t disk_reserve_bytes;
    uint64_t connections_max;
    uint64_t connections_per_address_max;
};

enum config_outcome { CONFIG_RUN, CONFIG_HELP, CONFIG_VERSION, CONFIG_WRONG };

/* Read the command line. Texts point into argv. WRONG: `error` says what and how to do better. */
enum config_outcome
config_parse(int argc, char **argv, struct config *ret_config, struct error *error);
void config_print_help(FILE *to);

#endif
