#include "tests/simulation/workload_client.h"

#include "base/alloc.h"
#include "base/check.h"
#include "proto/record.pb-c.h"
#include "tests/simulation/workload_answers.h"
#include "tests/simulation/workload_operations.h"
#include "tests/simulation/writes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    UNDER_WAY_MAX = 8,
    PATIENCE_US = 12 * 1000 * 1000, /* for an answer; then the connection is given up */
    FULL_OUTPUT_BYTES = 2 * 1024 * 1024
};

static size_t output_bytes(void *context)
{
    const struct connection *connection = context;
    const struct workload_client *self = connection->client;

    return self != NULL && workload_operations_now_us(self) < self->slow_us ? FULL_OUTPUT_BYTES : 0;
}

/* --- Connections --- */

static bool hears_leader(const struct cluster_server *server)
{
    return raft_status(node_raft(server->node)).leader != 0;
}

static void submit(struct workload_client *self, struct request *request)
{
    struct cluster_server *server = self->connection->server;

    if (self->ready && self->session != 0 && hears_leader(server)) {
        truth_on_contact(self->truth, server, self->session);
    }
    client_submit(self->connection->open, request);
    self->patience_us = workload_operations_now_us(self) + PATIENCE_US;
    cluster_poke(server);
}

/* Forget what was asked on the connection: numbered writes wait for the next, everything else is
 * lost. */
static void forget_connection(struct workload_client *self)
{
    self->connection = NULL;
    self->ready = false;
    self->broken = false;
    self->closing = false;
    client_streams_on_disconnect(&self->streams);
    LIST_FOR_EACH (link, &self->operations) {
        struct operation *operation = workload_operations_at(link);

        operation->id = 0;
        if (operation->kind != OPERATION_WRITE || operation->write.sequence == 0) {
            self->counts->unknown += operation->kind == OPERATION_WRITE;
            workload_operations_free(self, operation);
        }
    }
}

static void close_connection(struct connection *connection)
{
    client_close(connection->open);
    cluster_poke(connection->server);
    free(connection);
}

/* Now and then the server does not notice for a while. */
static void disconnect(struct workload_client *self)
{
    struct connection *connection = self->connection;
    size_t slot = (size_t)prng_below(&self->prng, LINGERING_MAX);

    forget_connection(self);
    if (!self->quiet && self->lingering[slot] == NULL && timeline_chance(&self->prng, 200)) {
        connection->client = NULL;
        self->lingering[slot] = connection;
    } else {
        close_connection(connection);
    }
}

static void close_lingering(struct workload_client *self)
{
    for (size_t i = 0; i < LINGERING_MAX; i++) {
        struct connection *connection = self->lingering[i];

        if (connection != NULL && cluster_is_awake(connection->server) &&
            (self->quiet || timeline_chance(&self->prng, 20))) {
            self->lingering[i] = NULL;
            close_connection(connection);
        }
    }
}

void workload_client_on_stop(struct workload_client *self, const struct cluster_server *server)
{
    if (self->connection != NULL && self->connection->server == server) {
        struct connection *connection = self->connection;

        forget_connection(self);
        close_connection(connection);
    }
    for (size_t i = 0; i < LINGERING_MAX; i++) {
        if (self->lingering[i] != NULL && self->lingering[i]->server == server) {
            close_connection(self->lingering[i]);
            self->lingering[i] = NULL;
        }
    }
}

static void ask_session(struct workload_client *self)
{
    struct operation *operation = workload_operations_new(self, OPERATION_SESSION);
    struct request *request =
        request_new(self->session == 0 ? REQUEST_OPEN_SESSION : REQUEST_ATTACH_SESSION);

    operation->id = ++self->last_id;
    request->id = operation->id;
    request->session.timeout_ms = self->timeout_ms;
    if (self->session != 0) {
        request->session.session = self->session;
        request->session.password =
            arena_copy(&request->arena, bytes_of(self->password, sizeof self->password));
    }
    submit(self, request);
}

static void connect_somewhere(struct workload_client *self)
{
    static const struct client_callbacks callbacks = {.on_reply = workload_answers_on_reply,
                                                      .on_events = workload_answers_on_events,
                                                      .on_notice = workload_answers_on_notice,
                                                      .output_bytes = output_bytes};
    size_t place = self->pinned ? self->place
                                : (size_t)prng_below(&self->prng, self->cluster->settings.places);
    struct cluster_server *server = &self->cluster->servers[place];

    if (!cluster_is_awake(server)) {
        return;
    }
    /* In the end nobody waits at a server that was removed. */
    if (self->quiet && !hears_leader(server)) {
        return;
    }
    self->counts->connections++;
    self->connection = xcalloc(1, sizeof *self->connection);
    self->connection->client = self;
    self->connection->server = server;
    self->connection->open = client_open(server->node, &callbacks, self->connection);
    self->ready = !self->has_sessions;
    self->patience_us = workload_operations_now_us(self) + PATIENCE_US;
    if (self->has_sessions) {
        ask_session(self);
    }
}

/* --- Requests --- */

static void send_write(struct workload_client *self, struct operation *operation)
{
    struct request *request = request_new(REQUEST_WRITE);
    Record__Command numbers = RECORD__COMMAND__INIT;
    struct buffer packed = BUFFER_INIT;

    operation->id = ++self->last_id;
    request->id = operation->id;
    request->seen_zxid = self->seen;
    numbers.sequence = operation->write.sequence;
    numbers.confirmed = operation->write.sequence == 0 ? 0 : self->confirmed;
    self->told = numbers.confirmed > self->told ? numbers.confirmed : self->told;
    (void)record__command__pack(&numbers,
                                buffer_extend(&packed, record__command__get_packed_size(&numbers)));
    buffer_put(&packed, buffer_lend(&operation->body));
    request->write.command = arena_copy(&request->arena, buffer_lend(&packed));
    buffer_release(&packed);
    timeline_trace(self->cluster->timeline,
                   "client %" PRIu64 ": write %" PRIu64 " sequence %" PRIu64 " as %" PRIu64
                   " to %" PRIu64,
                   self->number, operation->write.serial, operation->write.sequence, operation->id,
                   self->connection->server->id);
    submit(self, request);
}

static void start_again(struct workload_client *self, const struct operation *first)
{
    struct operation *operation = workload_operations_new(self, OPERATION_AGAIN);

    operation->write = first->write;
    buffer_put(&operation->body, buffer_lend(&first->body));
    self->counts->twice++;
    send_write(self, operation);
}

static void start_write(struct workload_client *self)
{
    struct operation *operation = workload_operations_new(self, OPERATION_WRITE);
    const struct writes_draw draw = {.settings = &self->cluster->settings,
                                     .prng = &self->prng,
                                     .serial = truth_next_serial(self->truth),
                                     .in_session = self->session != 0,
                                     .made = buffer_lend(&self->made)};

    const struct recording_caller told = workload_operations_caller(self);

    operation->write.serial = draw.serial;
    if (self->session != 0) {
        operation->write.session = self->session;
        operation->write.sequence = ++self->sequence;
    }
    writes_draw(&draw, &operation->body, &operation->write.marked);
    operation->call = recording_begin_write(workload_operations_recording(self), &told,
                                            buffer_lend(&operation->body));
    send_write(self, operation);
    if (operation->write.sequence != 0 && timeline_chance(&self->prng, 30)) {
        start_again(self, operation);
    }
}

static void send_read(struct workload_client *self, struct request *request, bool linearizable)
{
    struct operation *operation = workload_operations_new(self, OPERATION_READ);
    const struct recording_caller told = workload_operations_caller(self);

    operation->id = ++self->last_id;
    operation->at_least = linearizable ? oracle_committed(self->oracle) : self->seen;
    request->id = operation->id;
    request->seen_zxid = self->seen;
    request->linearizable = linearizable;
    operation->call = recording_begin_read(workload_operations_recording(self), &told, request);
    submit(self, request);
}

static void start_get(struct workload_client *self, bool linearizable)
{
    struct request *request = request_new(REQUEST_GET);

    request->path = self->made.size > 0 && timeline_chance(&self->prng, 200)
                        ? arena_copy(&request->arena, buffer_lend(&self->made))
                        : writes_path(&self->cluster->settings, &self->prng, &request->arena);
    send_read(self, request, linearizable);
}

/* A page, from the beginning or from somewhere. */
static void start_page(struct workload_client *self, bool linearizable)
{
    bool children = timeline_chance(&self->prng, 500);
    struct request *request = request_new(children ? REQUEST_LIST : REQUEST_READ_TREE);

    request->path = writes_folder(&self->cluster->settings, &self->prng, &request->arena);
    request->page.count_max = (uint32_t)prng_below(&self->prng, 9);
    request->page.with_nodes = true;
    if (children && timeline_chance(&self->prng, 500)) {
        request->page.after = bytes_of_text("k1");
    } else if (!children && request->path.size > 1) {
        request->page.depth_max = (uint32_t)prng_below(&self->prng, 3);
        if (timeline_chance(&self->prng, 500)) {
            struct buffer after = BUFFER_INIT;

            buffer_put(&after, request->path);
            buffer_put(&after, bytes_of_text("/k1"));
            request->page.after = arena_copy(&request->arena, buffer_lend(&after));
            buffer_release(&after);
        }
    }
    send_read(self, request, linearizable);
}

static void start_simple(struct workload_client *self,
                         enum operation_kind operation_kind,
                         enum request_kind kind)
{
    struct operation *operation = workload_operations_new(self, operation_kind);
    struct request *request = request_new(kind);

    operation->id = ++self->last_id;
    request->id = operation->id;
    submit(self, request);
}

static bool start_stream(struct workload_client *self)
{
    struct request *request = client_streams_next(&self->streams, self->quiet);
    struct operation *operation;

    if (request == NULL) {
        return false;
    }
    operation = workload_operations_new(self, OPERATION_STREAM);
    operation->id = ++self->last_id;
    request->id = operation->id;
    request->seen_zxid = self->seen;
    submit(self, request);
    return true;
}

/* Numbered writes of earlier connections go first, in order. */
static bool resend(struct workload_client *self)
{
    bool any = false;

    LIST_FOR_EACH (link, &self->operations) {
        if (workload_operations_at(link)->kind == OPERATION_WRITE &&
            workload_operations_at(link)->id == 0) {
            self->counts->resent++;
            send_write(self, workload_operations_at(link));
            any = true;
        }
    }
    return any;
}

static void start_something(struct workload_client *self)
{
    uint64_t choice = prng_below(&self->prng, 1000);

    if (self->quiet || choice >= 960) {
        start_simple(self, OPERATION_PING, REQUEST_PING);
    } else if (choice < 500) {
        start_write(self);
    } else if (choice < 800) {
        start_get(self, choice < 680);
    } else if (choice < 920) {
        start_page(self, choice < 860);
    } else if (choice < 940 && self->old != NULL) {
        start_again(self, self->old);
    } else if (choice >= 956 && self->session != 0) {
        self->closing = true;
        start_simple(self, OPERATION_CLOSE, REQUEST_CLOSE_SESSION);
    } else {
        self->slow_us = workload_operations_now_us(self) + prng_below(&self->prng, 1000 * 1000);
    }
}

/* --- Life --- */

/* Give the connection up; now and then stay away for longer than the session bears, or forget the
 * session. */
static void part(struct workload_client *self)
{
    disconnect(self);
    if (!self->quiet && timeline_chance(&self->prng, 50)) {
        self->sleep_us = workload_operations_now_us(self) +
                         prng_below(&self->prng, 2500 * (uint64_t)self->timeout_ms);
    } else if (!self->quiet && self->session != 0 && timeline_chance(&self->prng, 20)) {
        workload_operations_leave_session(self);
        self->broken = false;
    }
}

void workload_client_step(struct workload_client *self, uint64_t seed, bool quiet)
{
    prng_init(&self->prng, seed);
    self->quiet = quiet;
    if (quiet) {
        self->slow_us = 0;
        self->sleep_us = 0;
    }
    close_lingering(self);
    if (self->connection != NULL && cluster_is_awake(self->connection->server) &&
        !hears_leader(self->connection->server)) {
        self->connection->leaderless = oracle_committed(self->oracle);
    }
    if (self->connection == NULL) {
        if (workload_operations_now_us(self) >= self->sleep_us &&
            (!self->pinned || self->probes_left > 0)) {
            connect_somewhere(self);
        }
        return;
    }
    if (!cluster_is_awake(self->connection->server)) {
        return;
    }
    if (self->broken ||
        (self->count > 0 && workload_operations_now_us(self) >= self->patience_us) ||
        (quiet ? !hears_leader(self->connection->server) : timeline_chance(&self->prng, 5))) {
        part(self);
        return;
    }
    if (!self->ready || self->closing || resend(self) || self->count >= UNDER_WAY_MAX) {
        return;
    }
    if (!self->pinned) {
        if (!start_stream(self)) {
            start_something(self);
        }
    } else if (self->count == 0 && self->probes_left == 2) {
        start_write(self);
    } else if (self->count == 0 && self->probes_left == 1) {
        start_get(self, true);
    }
}

struct workload_client *workload_client_new(struct cluster *cluster,
                                            struct oracle *oracle,
                                            struct workload_counts *counts,
                                            uint64_t number,
                                            uint64_t seed)
{
    static const uint32_t timeouts_ms[] = {1000, 1000, 2000, 4000};
    struct workload_client *self = xcalloc(1, sizeof *self);

    self->cluster = cluster;
    self->oracle = oracle;
    self->truth = oracle_truth(oracle);
    self->counts = counts;
    self->number = number;
    prng_init(&self->prng, seed);
    list_init(&self->operations);
    self->has_sessions = timeline_chance(&self->prng, 600);
    self->timeout_ms = timeouts_ms[prng_below(&self->prng, 4)];
    client_streams_init(&self->streams, truth_chronicle(self->truth), &cluster->settings,
                        &self->prng, &counts->streams);
    return self;
}

void workload_client_free(struct workload_client *self)
{
    CHECK(self->connection == NULL);
    for (size_t i = 0; i < LINGERING_MAX; i++) {
        CHECK(self->lingering[i] == NULL);
    }
    LIST_FOR_EACH (link, &self->operations) {
        workload_operations_free(self, workload_operations_at(link));
    }
    client_streams_release(&self->streams);
    workload_operations_forget_old(self);
    buffer_release(&self->made);
    free(self);
}

void workload_client_pin(struct workload_client *self, size_t place)
{
    self->has_sessions = false;
    self->pinned = true;
    self->place = place;
    self->probes_left = 2;
}

bool workload_client_probes(const struct workload_client *self)
{
    return self->probes_left > 0;
}

bool workload_client_is_idle(const struct workload_client *self)
{
    LIST_FOR_EACH (link, &self->operations) {
        if (workload_operations_at(link)->kind != OPERATION_PING) {
            return false;
        }
    }
    return !self->broken && self->probes_left == 0 && client_streams_are_complete(&self->streams);
}

session_id workload_client_session(const struct workload_client *self)
{
    return self->session;
}

void workload_client_print(const struct workload_client *self)
{
    fprintf(stderr,
            "  client %" PRIu64 " at %" PRIu64 ": session %" PRIu64
            "%s%s, %zu under way, streams %s\n",
            self->number, self->connection == NULL ? 0 : self->connection->server->id,
            self->session, self->ready ? ", ready" : "", self->broken ? ", broken" : "",
            self->count, client_streams_are_complete(&self->streams) ? "complete" : "not complete");
}

void workload_client_drop_probe(struct workload_client *self)
{
    self->probes_left = 0;
}
