/* What a fake server consists of; for its own units. Everything is under its mutex. */
#ifndef TESTS_UNIT_CLIENT_FAKE_PARTS_H
#define TESTS_UNIT_CLIENT_FAKE_PARTS_H

#include "tests/unit/client/fake_server.h"

#include <pthread.h>

enum {
    FAKE_CONNECTIONS_MAX = 64,
    FAKE_WATCHES_MAX = 64,
    FAKE_SESSIONS_MAX = 64,
    FAKE_KEPT_MAX = 1024
};

struct fake_node {
    char *path;
    char *value;
    size_t value_bytes;
    Record__Stat stat;
    bool exists; /* false: removed; the slot is kept */
    bool hidden; /* nobody may read it */
};

struct fake_change {
    uint64_t zxid;
    Client__EventKind kind;
    char *path;
    char *value;
    Record__Stat stat;
};

struct fake_kept {
    uint64_t sequence;
    Client__Code code;
    uint64_t zxid;
    char *path;
    Record__Stat stat;
    bool created;
};

struct fake_session {
    uint64_t id;
    uint64_t generation;
    uint64_t last_sequence;
    struct fake_kept kept[FAKE_KEPT_MAX];
    bool is_alive;
};

struct fake_watch {
    uint64_t id;
    char *path;
    bool recursive;
    bool with_values;
    size_t next; /* in the history */
};

struct fake_connection {
    int fd;
    size_t port;
    struct buffer input;
    bool is_greeted;
    bool is_silent;
    struct fake_session *session;
    uint64_t generation;
    struct fake_watch watches[FAKE_WATCHES_MAX];
    size_t watch_count;
};

struct fake_server {
    pthread_t thread;
    pthread_mutex_t mutex;
    int wake_fd;
    bool is_stopping;
    fake_plan plan;
    void *context;
    size_t port_count;
    int listeners[FAKE_PORTS_MAX];
    bool is_shut[FAKE_PORTS_MAX];
    char addresses[FAKE_PORTS_MAX][32];
    char all_addresses[FAKE_PORTS_MAX * 32];
    struct fake_connection connections[FAKE_CONNECTIONS_MAX];
    size_t connection_count;

    uint64_t zxid;
    struct fake_node *nodes; /* sorted as subtrees are read */
    size_t node_count;
    struct fake_change *history;
    size_t change_count;
    uint64_t oldest_zxid;
    struct fake_session sessions[FAKE_SESSIONS_MAX];
    size_t session_count;
    uint64_t applied;
    size_t page_nodes;
    char *page_path;
    uint64_t page_serial;
};

#endif
