#include "tests/support/cluster.h"

#include "base/prng.h"
#include "tests/support/damage.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 56, PORT_LOWEST = 12000, PORT_COUNT = 20000, LOG_BYTES_SHOWN = 6000 };

static struct cluster *live; /* the one whose servers may run */

const char *cluster_program(const char *name)
{
    static char paths[4][1024];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    (void)snprintf(path, sizeof paths[0], "%s/%s", CONFER_BUILD, name);
    return path;
}

/* An abstract socket named after the port, held until this program ends: no other test takes it. */
static bool reserve(unsigned port)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int lock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "confer-test-port-%u", port);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);

    if (bind(lock, (const struct sockaddr *)&name, size) != 0) {
        (void)close(lock);
        return false;
    }
    /* cppcheck-suppress resourceLeak ; the reservation */
    return true;
}

static bool is_free(unsigned port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int yes = 1;
    bool is_bound;

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    is_bound = bind(probe, (const struct sockaddr *)&name, sizeof name) == 0;
    (void)close(probe);
    return is_bound;
}

unsigned cluster_free_port(void)
{
    struct prng prng;

    prng_init(&prng, (uint64_t)getpid() ^ process_now_ms() << 20);
    for (int tries = 0; tries < 1000; tries++) {
        unsigned port = PORT_LOWEST + (unsigned)prng_below(&prng, PORT_COUNT);

        if (is_free(port) && reserve(port)) {
            return port;
        }
    }
    (void)fprintf(stderr, "no free port was found\n");
    abort();
}

static void show_log(struct cluster_server *server)
{
    const char *text;
    size_t size;

    if (server->process.out < 0) {
        return;
    }
    text = process_text(&server->process, server->process.out);
    size = strlen(text);
    (void)fprintf(stderr, "--- server %u (%s) wrote:\n%s", server->id, server->log,
                  size > LOG_BYTES_SHOWN ? text + size - LOG_BYTES_SHOWN : text);
}

static void release(struct cluster *cluster, bool with_logs)
{
    live = NULL;
    for (unsigned id = 1; id <= cluster->server_count; id++) {
        process_kill(&cluster->servers[id].process);
    }
    for (unsigned id = 1; id <= cluster->server_count; id++) {
        if (with_logs) {
            show_log(&cluster->servers[id]);
        }
        process_release(&cluster->servers[id].process);
    }
}

/* A cluster that is still live belongs to a test case that failed. */
static void release_live(void)
{
    if (live != NULL) {
        release(live, true);
    }
}

void cluster_init(struct cluster *cluster, unsigned server_count)
{
    static bool is_first = true;

    if (is_first) {
        (void)atexit(release_live);
        is_first = false;
    }
    release_live();
    *cluster = (struct cluster){.server_count = 0};
    live = cluster;
    while (cluster->server_count < server_count) {
        (void)cluster_add(cluster);
    }
}

unsigned cluster_add(struct cluster *cluster)
{
    struct cluster_server *server;
    const char *folder = test_folder();

    EXPECT(cluster->server_count < CLUSTER_SERVERS_MAX);
    server = &cluster->servers[++cluster->server_count];
    server->id = cluster->server_count;
    server->process = (struct process){.out = -1, .err = -1};
    (void)snprintf(server->address, sizeof server->address, "127.0.0.1:%u", cluster_free_port());
    (void)snprintf(server->data, sizeof server->data, "%.400s/data", folder);
    (void)snprintf(server->log, sizeof server->log, "%.400s/log", folder);
    return server->id;
}

void cluster_release(struct cluster *cluster)
{
    release(cluster, false);
}

void cluster_command(const struct cluster *cluster,
                     unsigned id,
                     const char *const more[],
                     struct cluster_command *ret_command)
{
    const struct cluster_server *server = &cluster->servers[id];
    const char *const own[] = {cluster_program("server/confer-server"),
                               "--id",
                               ret_command->id,
                               "--server",
                               server->address,
                               "--data",
                               server->data,
                               NULL};
    const char *const *const parts[] = {server->launcher, own, more};
    size_t count = 0;

    *ret_command = (struct cluster_command){.words = {NULL}};
    (void)snprintf(ret_command->id, sizeof ret_command->id, "%u", id);
    for (size_t part = 0; part < sizeof parts / sizeof *parts; part++) {
        for (size_t i = 0; parts[part][i] != NULL; i++) {
            ret_command->words[count++] = parts[part][i];
        }
    }
}

const struct outcome *cluster_recover(const struct cluster *cluster, unsigned id, const char *what)
{
    const char *const more[] = {"--recover", what, NULL};
    struct cluster_command command;

    cluster_command(cluster, id, more, &command);
    return outcome_of(command.words, CLUSTER_DEADLINE_MS);
}

void cluster_launch(struct cluster *cluster, unsigned id)
{
    struct cluster_server *server = &cluster->servers[id];
    struct cluster_command command;

    cluster_command(cluster, id, cluster->options, &command);
    process_release(&server->process);
    process_start(&server->process, command.words, server->log);
}

void cluster_start(struct cluster *cluster, unsigned id)
{
    struct cluster_server *server = &cluster->servers[id];
    uint64_t end = process_now_ms() + CLUSTER_DEADLINE_MS;
    struct wire wire;

    cluster_launch(cluster, id);
    while (!wire_connect(&wire, server->address)) {
        EXPECT(!process_wait(&server->process, 0));
        EXPECT(process_now_ms() < end);
        process_pause();
    }
    wire_close(&wire);
}

void cluster_kill(struct cluster *cluster, unsigned id)
{
    process_kill(&cluster->servers[id].process);
}

void cluster_signal(struct cluster *cluster, unsigned id, int signal)
{
    process_signal(&cluster->servers[id].process, signal);
}

/* The argument list of confer-cli; `rest` are texts up to NULL. */
static void collect(struct cluster *cluster, unsigned id, va_list rest, const char **arguments)
{
    size_t count = 0;
    const char *text;

    arguments[count++] = cluster_program("cli/confer-cli");
    if (id != 0) {
        arguments[count++] = "--address";
        arguments[count++] = cluster->servers[id].address;
    }
    while ((text = va_arg(rest, const char *)) != NULL) {
        EXPECT(count < ARGUMENTS_MAX - 1);
        arguments[count++] = text;
    }
    arguments[count] = NULL;
}

const struct outcome *cluster_cli(struct cluster *cluster, unsigned id, ...)
{
    const char *arguments[ARGUMENTS_MAX];
    va_list rest;

    va_start(rest, id);
    collect(cluster, id, rest, arguments);
    va_end(rest);
    return outcome_of(arguments, CLUSTER_DEADLINE_MS);
}

void cluster_cli_start(struct cluster *cluster, struct process *process, unsigned id, ...)
{
    const char *arguments[ARGUMENTS_MAX];
    va_list rest;

    va_start(rest, id);
    collect(cluster, id, rest, arguments);
    va_end(rest);
    process_start(process, arguments, NULL);
}

static Client__Response *
status_within(const struct cluster *cluster, unsigned id, unsigned deadline_ms)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Status status = CLIENT__STATUS__INIT;
    Client__Response *response;
    struct wire wire;

    request.body_case = CLIENT__REQUEST__BODY_STATUS;
    request.status = &status;
    if (!wire_connect(&wire, cluster->servers[id].address)) {
        return NULL;
    }
    response = wire_greet(&wire) ? wire_call(&wire, &request, deadline_ms) : NULL;
    wire_close(&wire);
    if (response != NULL && response->body_case != CLIENT__RESPONSE__BODY_STATUS) {
        client__response__free_unpacked(response, NULL);
        return NULL;
    }
    return response;
}

Client__Response *cluster_status(const struct cluster *cluster, unsigned id)
{
    return status_within(cluster, id, 1000);
}

void cluster_expect_answer(const struct cluster *cluster, unsigned id)
{
    Client__Response *response = status_within(cluster, id, CLUSTER_DEADLINE_MS);

    EXPECT(response != NULL);
    client__response__free_unpacked(response, NULL);
}

/* The leader that a server knows; 0 = none, or no answer. */
static unsigned leader_known_at(const struct cluster *cluster, unsigned id)
{
    Client__Response *response = cluster_status(cluster, id);
    unsigned leader = 0;

    if (response != NULL) {
        leader = (unsigned)response->status->leader;
        client__response__free_unpacked(response, NULL);
    }
    return leader;
}

unsigned cluster_wait_leader(struct cluster *cluster, unsigned not, unsigned deadline_ms)
{
    uint64_t end = process_now_ms() + deadline_ms;

    do {
        for (unsigned id = 1; id <= cluster->server_count; id++) {
            unsigned leader =
                cluster->servers[id].process.pid > 0 && id != not ? leader_known_at(cluster, id)
                                                                  : 0;

            if (leader != 0 && leader != not &&leader <= cluster->server_count &&
                cluster->servers[leader].process.pid > 0) {
                return leader;
            }
        }
        process_pause();
    } while (process_now_ms() < end);
    return 0;
}

void cluster_form(struct cluster *cluster)
{
    Client__NodeAddress nodes[CLUSTER_SERVERS_MAX];
    Client__NodeAddress *node_pointers[CLUSTER_SERVERS_MAX];
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Init init = CLIENT__INIT__INIT;
    Client__Response *response;
    struct wire wire;

    for (unsigned id = 1; id <= cluster->server_count; id++) {
        cluster_start(cluster, id);
        client__node_address__init(&nodes[id - 1]);
        nodes[id - 1].id = id;
        nodes[id - 1].address = cluster->servers[id].address;
        node_pointers[id - 1] = &nodes[id - 1];
    }
    init.n_nodes = cluster->server_count;
    init.nodes = node_pointers;
    request.body_case = CLIENT__REQUEST__BODY_INIT;
    request.init = &init;
    EXPECT(wire_connect(&wire, cluster->servers[1].address) && wire_greet(&wire));
    response = wire_call(&wire, &request, CLUSTER_DEADLINE_MS);
    EXPECT(response != NULL);
    if (response->code != CLIENT__CODE__OK) {
        (void)fprintf(stderr, "init: %s\n", response->message);
    }
    EXPECT_EQ(response->code, CLIENT__CODE__OK);
    client__response__free_unpacked(response, NULL);
    wire_close(&wire);
    EXPECT(cluster_wait_leader(cluster, 0, CLUSTER_DEADLINE_MS) != 0);
}

void cluster_wait_status(struct cluster *cluster, unsigned through, const char *words)
{
    uint64_t deadline_ms = process_now_ms() + CLUSTER_DEADLINE_MS;
    const struct outcome *status = cluster_cli(cluster, through, "status", NULL);

    while (strstr(status->out, words) == NULL && process_now_ms() < deadline_ms) {
        process_pause();
        status = cluster_cli(cluster, through, "status", NULL);
    }
    EXPECT_CONTAINS(status->out, words);
}

/* What `asked` says that member `id` has applied, and where that last saw a majority agree. */
static void look_at_member(const struct cluster *cluster,
                           unsigned asked,
                           unsigned id,
                           uint64_t *ret_applied,
                           uint64_t *ret_agreed)
{
    Client__Response *response = cluster_status(cluster, asked);

    *ret_applied = 0;
    *ret_agreed = 0;
    for (size_t i = 0; response != NULL && i < response->status->n_members; i++) {
        if (response->status->members[i]->id == id) {
            *ret_applied = response->status->members[i]->applied;
            *ret_agreed = response->status->members[i]->agreed;
        }
    }
    if (response != NULL) {
        client__response__free_unpacked(response, NULL);
    }
}

void cluster_wait_agreed(const struct cluster *cluster, unsigned leader, unsigned id)
{
    uint64_t until_ms = process_now_ms() + 2 * CLUSTER_DEADLINE_MS;
    uint64_t applied = 0;
    uint64_t agreed = 0;

    while ((applied == 0 || agreed < applied) && process_now_ms() < until_ms) {
        uint64_t ignored;

        if (applied == 0) {
            look_at_member(cluster, leader, leader, &applied, &ignored);
        }
        look_at_member(cluster, leader, id, &ignored, &agreed);
        process_pause();
    }
    if (applied == 0 || agreed < applied) {
        (void)fprintf(stderr, "server %u: agreed %" PRIu64 ", the leader has applied %" PRIu64 "\n",
                      id, agreed, applied);
    }
    EXPECT(applied > 0 && agreed >= applied);
}

/* A line of /proc/PID/status, as "VmRSS:". */
static uint64_t memory_of(const struct cluster *cluster, unsigned id, const char *name)
{
    char path[64];
    char line[256];
    uint64_t kib = 0;
    FILE *status;

    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)cluster->servers[id].process.pid);
    status = fopen(path, "re");
    EXPECT(status != NULL);
    while (kib == 0 && fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            kib = strtoull(line + strlen(name), NULL, 10);
        }
    }
    (void)fclose(status);
    EXPECT(kib > 0);
    return kib * 1024;
}

bool cluster_log_has(const struct cluster *cluster, unsigned id, const char *words)
{
    size_t bytes;
    uint8_t *text = damage_read(cluster->servers[id].log, &bytes);
    bool has = memmem(text, bytes, words, strlen(words)) != NULL;

    free(text);
    return has;
}

void cluster_wait_log(const struct cluster *cluster,
                      unsigned id,
                      const char *words,
                      unsigned deadline_ms)
{
    uint64_t until_ms = process_now_ms() + deadline_ms;

    while (!cluster_log_has(cluster, id, words) && process_now_ms() < until_ms) {
        process_pause();
    }
    if (!cluster_log_has(cluster, id, words)) {
        (void)fprintf(stderr, "server %u does not say: %s\n", id, words);
    }
    EXPECT(cluster_log_has(cluster, id, words));
}

const char *cluster_secret_file(const char *secret)
{
    static char path[512];
    FILE *file;

    (void)snprintf(path, sizeof path, "%.400s/secret", test_folder());
    file = fopen(path, "w");
    EXPECT(file != NULL && fputs(secret, file) >= 0 && fclose(file) == 0);
    EXPECT_EQ(chmod(path, 0600), 0);
    return path;
}

uint64_t cluster_memory_bytes(const struct cluster *cluster, unsigned id)
{
    return memory_of(cluster, id, "VmRSS:");
}

uint64_t cluster_anonymous_bytes(const struct cluster *cluster, unsigned id)
{
    return memory_of(cluster, id, "RssAnon:");
}
