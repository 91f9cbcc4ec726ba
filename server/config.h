/* The server's options: one table gives parser, checks and --help. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "base/address.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    CONFIG_LISTENERS_MAX = 8,
    CONFIG_PATH_BYTES_MAX = 4096,
    CONFIG_SECRET_BYTES_MIN = 16, /* who can guess it is a member */
    CONFIG_SECRET_BYTES_MAX = 4096,
    CONFIG_DIGEST_BYTES_MAX = 512
};

enum config_recover { CONFIG_RECOVER_NOT, CONFIG_RECOVER_SHOW, CONFIG_RECOVER_DO };

struct config {
    bool help;
    bool version;
    char check[CONFIG_PATH_BYTES_MAX]; /* the folder to examine instead of serving; empty = none */
    uint64_t id;
    char server[ADDRESS_TEXT_BYTES_MAX]; /* HOST:PORT */
    char listen[CONFIG_LISTENERS_MAX][ADDRESS_TEXT_BYTES_MAX];
    uint64_t listen_count; /* at least 1 once parsed: --server is the default */
    char data[CONFIG_PATH_BYTES_MAX];
    char secret_file[CONFIG_PATH_BYTES_MAX]; /* empty = none */
    bool insecure_peers;
    bool open_membership;
    enum log_level log_level;
    uint64_t cache_bytes;
    uint64_t heartbeat_ms;
    uint64_t election_timeout_ms;
    uint64_t checkpoint_records;
    uint64_t checkpoint_bytes;
    uint64_t checkpoint_interval_ms;
    uint64_t log_tail_bytes;
    uint64_t log_tail_entries;
    uint64_t history_bytes;
    uint64_t history_changes;
    uint64_t container_check_interval_ms;
    bool enforce_quotas;
    bool zookeeper_reconfig;
    bool read_only_mode;
    bool no_watch_replay;
    uint64_t map_bytes;
    uint64_t log_map_bytes;
    uint64_t disk_reserve_bytes;
    uint64_t max_connections;
    uint64_t max_connections_per_address;
    uint64_t zookeeper_session_timeout_ms[2];             /* least and most */
    char zookeeper_super_digest[CONFIG_DIGEST_BYTES_MAX]; /* USER:HASH; empty = none */
    uint32_t four_letter_words;                           /* zookeeper_words.h */
    enum config_recover recover;
    uint64_t recover_term; /* of the last entry, as shown before */
    uint64_t recover_index;
};

/* `--name VALUE` and `--name=VALUE`. INVALID: an unknown or incomplete option, a value out of its
 * range, or options that contradict each other; the text says which and what to write instead.
 * With `help`, `version` or `check` set nothing else is checked. */
MUST_CHECK enum status
config_parse(int argc, char *const *argv, struct config *ret_config, struct error *error);
void config_print_help(FILE *to);

/* The contents of the secret file without line ends at its end; `secret` is released by the caller.
 * INVALID: others may read it, it is too short or too long. IO: it cannot be read. */
MUST_CHECK enum status
config_read_secret(const char *path, struct buffer *secret, struct error *error);

#endif
