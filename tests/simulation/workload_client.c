#include "tests/simulation/workload_client.h"

#include "base/alloc.h"
#include "base/check.h"
#include "proto/record.pb-c.h"
#include "tests/simulation/writes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    UNDER_WAY_MAX = 8,
    LINGERING_MAX = 2,
    PATIENCE_US = 12 * 1000 * 1000, /* for an answer; then the connection is given up */
    FULL_OUTPUT_BYTES = 2 * 1024 * 1024
};

enum operation_kind {
    OPERATION_SESSION, /* open or attach */
    OPERATION_CLOSE,
    OPERATION_WRITE,
    OPERATION_AGAIN, /* a numbered write, sent once more for no reason */
    OPERATION_READ,
    OPERATION_STREAM,
    OPERATION_PING
};

/* Something asked and not finally answered. */
struct operation {
    struct list link;
    enum operation_kind kind;
    uint64_t id; /* of its request on the present connection; 0 = not sent there */
    struct truth_write write;
    struct buffer body; /* the packed operation or transaction, without the numbers */
    zxid at_least;      /* READ */
    bool done;          /* WRITE: applied, whatever its outcome */
    size_t call;        /* in the record */
    uint64_t asked_us;  /* SESSION, CLOSE */
};

/* As a server sees it. */
struct connection {
    struct workload_client *client; /* NULL: given up by its client, and not closed yet */
    struct cluster_server *server;
    struct client *open;
    zxid leaderless; /* what was committed when the server was last seen without a leader */
};

struct workload_client {
    struct cluster *cluster;
    struct oracle *oracle;
    struct truth *truth;
    struct workload_counts *counts;
    uint64_t number;
    struct prng prng;
    struct connection *connection; /* NULL = not connected */
    struct connection *lingering[LINGERING_MAX];
    bool broken; /* to be closed */
    bool ready;  /* session, if any, attached on this connection */
    bool pinned;
    bool quiet;
    size_t place;         /* pinned: where */
    uint32_t probes_left; /* 2: a write, then a read; 1: the read */
    bool has_sessions;
    bool closing;
    uint32_t timeout_ms;
    session_id session;
    uint8_t password[STATE_PASSWORD_BYTES];
    uint64_t sequence;  /* of the last write */
    uint64_t confirmed; /* all writes up to this one are answered */
    uint64_t told;      /* the highest that a server was told of as confirmed */
    zxid seen;
    struct list operations; /* in order; those sent on this connection are first asked, first
                               answered */
    size_t count;
    uint64_t last_id;
    uint64_t patience_us;
    uint64_t sleep_us;     /* until then it stays away */
    uint64_t slow_us;      /* until then it does not read what it is sent */
    struct buffer made;    /* the path that a creation was answered with */
    struct operation *old; /* a numbered write that was answered: to be sent again */
    struct client_streams streams;
};

static uint64_t now(const struct workload_client *self)
{
    return self->cluster->timeline->now_us;
}

static struct operation *operation_of(struct list *link)
{
    return CONTAINER_OF(link, struct operation, link);
}

static void operation_release(struct operation *operation)
{
    if (operation != NULL) {
        buffer_release(&operation->body);
        free(operation);
    }
}

static void operation_free(struct workload_client *self, struct operation *operation)
{
    list_remove(&operation->link);
    self->count--;
    operation_release(operation);
}

static struct operation *operation_new(struct workload_client *self, enum operation_kind kind)
{
    struct operation *operation = xcalloc(1, sizeof *operation);

    operation->kind = kind;
    operation->call = RECORDING_NO_CALL;
    operation->asked_us = now(self);
    list_append(&self->operations, &operation->link);
    self->count++;
    return operation;
}

static struct recording *recording(const struct workload_client *self)
{
    return truth_recording(self->truth);
}

static struct recording_caller caller(const struct workload_client *self)
{
    return (struct recording_caller){.client = self->number, .session = self->session};
}

static const struct cluster_server *any_server(const struct workload_client *self)
{
    return self->connection != NULL ? self->connection->server : &self->cluster->servers[0];
}

/* --- Sessions --- */

static void confirm(struct workload_client *self)
{
    uint64_t lowest = self->sequence + 1;

    LIST_FOR_EACH (link, &self->operations) {
        struct operation *operation = operation_of(link);

        if (operation->kind == OPERATION_WRITE && operation->write.sequence != 0 &&
            operation->write.sequence < lowest) {
            lowest = operation->write.sequence;
        }
    }
    self->confirmed = lowest - 1;
}

static void forget_old(struct workload_client *self)
{
    operation_release(self->old);
    self->old = NULL;
}

/* The session is gone: what its writes did stays unknown. */
static void leave_session(struct workload_client *self)
{
    self->session = 0;
    self->sequence = 0;
    self->confirmed = 0;
    self->told = 0;
    self->closing = false;
    self->broken = true;
    forget_old(self);
    LIST_FOR_EACH (link, &self->operations) {
        struct operation *operation = operation_of(link);

        if (operation->write.sequence != 0) {
            /* Answers for it may still come on this connection: then nothing waits for them. */
            self->counts->unknown += operation->kind == OPERATION_WRITE;
            operation_free(self, operation);
        }
    }
}

static void lose_session(struct workload_client *self)
{
    if (self->session != 0) {
        struct recording_caller told = caller(self);

        truth_on_ended(self->truth, any_server(self), self->session);
        recording_ended(recording(self), &told, false, now(self));
        self->counts->sessions_lost++;
    }
    leave_session(self);
}

/* --- Answers --- */

static void remember_made(struct workload_client *self, const struct state_result *result)
{
    for (size_t i = 0; i < result->operation_count; i++) {
        if (result->operations[i].created) {
            buffer_clear(&self->made);
            buffer_put(&self->made, result->operations[i].path);
        }
    }
}

static void finish_write(struct workload_client *self, struct operation *operation)
{
    if (self->probes_left == 2) {
        self->probes_left -= operation->done;
    }
    if (operation->write.sequence == 0 || !operation->done) {
        operation_free(self, operation);
        return;
    }
    list_remove(&operation->link);
    self->count--;
    forget_old(self);
    self->old = operation;
    confirm(self);
}

/* Answered by the state. */
static void
on_outcome(struct workload_client *self, struct operation *operation, const struct reply *reply)
{
    switch ((int)reply->code) {
    case OP_OK:
        truth_on_acknowledged(self->truth, any_server(self), &operation->write, reply->result);
        recording_end_write(recording(self), operation->call, reply->code, reply->result);
        remember_made(self, reply->result);
        finish_write(self, operation);
        break;
    case OP_SESSION_EXPIRED:
        lose_session(self);
        break;
    case OP_SESSION_MOVED:
    case OP_SEQUENCE_GAP:
        self->broken = true;
        break;
    case OP_SEQUENCE_FORGOTTEN:
    case OP_TOO_MANY_UNCONFIRMED:
    case OP_UNREADABLE:
    case OP_LIMIT:
    case OP_BAD_ARGUMENTS:
    case OP_NO_SESSION:
        cluster_violation(any_server(self), "client %" PRIu64 ": write %" PRIu64 " answered by %s",
                          self->number, operation->write.serial,
                          op_error_text((enum op_error)reply->code));
    default:
        truth_on_refused(self->truth, any_server(self), &operation->write, reply->result);
        recording_end_write(recording(self), operation->call, reply->code, reply->result);
        finish_write(self, operation);
        break;
    }
}

static void
on_write(struct workload_client *self, struct operation *operation, const struct reply *reply)
{
    if ((int)reply->code < 100) {
        operation->done = reply->result != NULL;
        on_outcome(self, operation, reply);
    } else if (operation->write.sequence != 0) {
        self->broken = true; /* sent again after attaching elsewhere */
    } else if (reply->code == CLIENT__CODE__UNKNOWN_OUTCOME) {
        self->counts->unknown++;
        recording_end_write(recording(self), operation->call, reply->code, NULL);
        finish_write(self, operation);
    } else {
        truth_on_refused(self->truth, any_server(self), &operation->write, NULL);
        recording_end_write(recording(self), operation->call, reply->code, NULL);
        finish_write(self, operation);
    }
}

/* The same answer as the first time; one that was confirmed need not be known any more. */
static void
on_again(struct workload_client *self, struct operation *operation, const struct reply *reply)
{
    const struct truth_write *write = &operation->write;

    if ((int)reply->code == OP_SEQUENCE_FORGOTTEN && write->sequence > self->told) {
        cluster_violation(any_server(self),
                          "S21: write %" PRIu64 " of session %" PRIu64
                          " is forgotten, only %" PRIu64 " were confirmed",
                          write->sequence, write->session, self->told);
    }
    if ((int)reply->code < 100 && reply->result != NULL) {
        truth_on_repeated(self->truth, any_server(self), write, reply->result);
    }
    operation_free(self, operation);
}

static void on_read(struct workload_client *self,
                    struct operation *operation,
                    const struct request *request,
                    const struct reply *reply)
{
    struct chronicle *chronicle = truth_chronicle(self->truth);
    bool found = reply->code == CLIENT__CODE__OK;

    if (operation->call != RECORDING_NO_CALL) {
        recording_end_read(recording(self), operation->call, request, reply);
    }
    if (found || reply->code == CLIENT__CODE__NO_NODE) {
        if (reply->zxid < operation->at_least) {
            cluster_violation(any_server(self),
                              "S17: client %" PRIu64 " reads at %" PRIu64 ", not at %" PRIu64
                              " or later",
                              self->number, reply->zxid, operation->at_least);
        }
        if (request->kind == REQUEST_GET) {
            chronicle_check_node(chronicle, any_server(self), request->path, reply->zxid,
                                 found ? reply->node : NULL);
        } else if (request->kind == REQUEST_LIST) {
            chronicle_check_children(chronicle, any_server(self), request, reply->zxid, found,
                                     &reply->children);
        } else {
            chronicle_check_tree(chronicle, any_server(self), request, reply);
        }
        self->counts->reads++;
        self->probes_left -= self->probes_left == 1;
    }
    operation_free(self, operation);
}

static void
on_session(struct workload_client *self, struct operation *operation, const struct reply *reply)
{
    bool opens = self->session == 0;
    uint64_t asked_us = operation->asked_us;

    operation_free(self, operation);
    if (reply->code == CLIENT__CODE__OK) {
        if (self->session != 0 && reply->session.last_sequence < self->confirmed) {
            cluster_violation(any_server(self),
                              "session %" PRIu64 " knows writes up to %" PRIu64 ", %" PRIu64
                              " were answered",
                              self->session, reply->session.last_sequence, self->confirmed);
        }
        self->counts->sessions += self->session == 0;
        self->session = reply->session.session;
        memcpy(self->password, reply->session.password, sizeof self->password);
        self->ready = true;
        if (opens) {
            const struct recording_caller told = caller(self);

            recording_opened(recording(self), &told, asked_us);
        }
    } else if (reply->code == CLIENT__CODE__SESSION_EXPIRED) {
        lose_session(self);
    } else {
        self->broken = true;
    }
}

static void
on_close(struct workload_client *self, struct operation *operation, const struct reply *reply)
{
    const struct recording_caller told = caller(self);
    uint64_t asked_us = operation->asked_us;

    operation_free(self, operation);
    self->closing = false;
    if (reply->code == CLIENT__CODE__OK) {
        self->counts->closed++;
        truth_on_ended(self->truth, any_server(self), self->session);
        recording_ended(recording(self), &told, true, asked_us);
        leave_session(self);
    } else if (reply->code == CLIENT__CODE__SESSION_EXPIRED) {
        lose_session(self);
    } else {
        self->broken = true;
    }
}

static struct operation *find_by_id(struct workload_client *self, uint64_t id)
{
    LIST_FOR_EACH (link, &self->operations) {
        if (operation_of(link)->id == id) {
            return operation_of(link);
        }
    }
    return NULL;
}

static void on_reply(void *context, const struct request *request, const struct reply *reply)
{
    const struct connection *connection = context;
    struct workload_client *self = connection->client;
    struct operation *operation;

    if (self == NULL) {
        return;
    }
    operation = find_by_id(self, request->id);
    timeline_mix(self->cluster->timeline, (uint64_t)reply->code << 32 ^ reply->zxid);
    timeline_trace(self->cluster->timeline,
                   "client %" PRIu64 ": answer %" PRIu64 " code %d at %" PRIu64, self->number,
                   request->id, (int)reply->code, reply->zxid);
    if (reply->zxid > self->seen) {
        self->seen = reply->zxid;
    }
    if (operation == NULL) {
        return;
    }
    switch (operation->kind) {
    case OPERATION_SESSION:
        on_session(self, operation, reply);
        break;
    case OPERATION_CLOSE:
        on_close(self, operation, reply);
        break;
    case OPERATION_WRITE:
        on_write(self, operation, reply);
        break;
    case OPERATION_AGAIN:
        on_again(self, operation, reply);
        break;
    case OPERATION_READ:
        on_read(self, operation, request, reply);
        break;
    case OPERATION_STREAM:
        operation_free(self, operation);
        client_streams_on_reply(&self->streams, any_server(self), request, reply);
        break;
    case OPERATION_PING:
        operation_free(self, operation);
        break;
    }
}

static void on_events(void *context,
                      uint64_t watch,
                      bool with_values,
                      const struct watch_event *events,
                      size_t count,
                      zxid up_to,
                      bool lost)
{
    const struct connection *connection = context;
    struct workload_client *self = connection->client;

    (void)with_values;
    if (self == NULL) {
        return;
    }
    timeline_mix(self->cluster->timeline, watch << 32 ^ up_to << 1 ^ lost);
    client_streams_on_events(&self->streams, connection->server, watch, events, count, up_to, lost);
    if (up_to > self->seen) {
        self->seen = up_to;
    }
}

static void on_notice(void *context, Client__NoticeKind kind, Client__Code code)
{
    const struct connection *connection = context;
    struct workload_client *self = connection->client;

    if (self == NULL) {
        return;
    }
    if (kind == CLIENT__NOTICE_KIND__SESSION_ENDED) {
        self->broken = true;
        if (code == CLIENT__CODE__SESSION_EXPIRED) {
            lose_session(self);
        }
    } else if (kind == CLIENT__NOTICE_KIND__GOING_AWAY) {
        self->broken = true;
    } else if (kind == CLIENT__NOTICE_KIND__LEADER_FOUND &&
               node_applied(connection->server->node) < connection->leaderless) {
        cluster_violation(
            connection->server,
            "S25: a client is told that its session goes on from the state at %" PRIu64
            ", but %" PRIu64 " was committed while there was no leader",
            node_applied(connection->server->node), connection->leaderless);
    }
}

static size_t output_bytes(void *context)
{
    const struct connection *connection = context;
    const struct workload_client *self = connection->client;

    return self != NULL && now(self) < self->slow_us ? FULL_OUTPUT_BYTES : 0;
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
    self->patience_us = now(self) + PATIENCE_US;
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
        struct operation *operation = operation_of(link);

        operation->id = 0;
        if (operation->kind != OPERATION_WRITE || operation->write.sequence == 0) {
            self->counts->unknown += operation->kind == OPERATION_WRITE;
            operation_free(self, operation);
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
    struct operation *operation = operation_new(self, OPERATION_SESSION);
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
    static const struct client_callbacks callbacks = {.on_reply = on_reply,
                                                      .on_events = on_events,
                                                      .on_notice = on_notice,
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
    self->patience_us = now(self) + PATIENCE_US;
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
    struct operation *operation = operation_new(self, OPERATION_AGAIN);

    operation->write = first->write;
    buffer_put(&operation->body, buffer_lend(&first->body));
    self->counts->twice++;
    send_write(self, operation);
}

static void start_write(struct workload_client *self)
{
    struct operation *operation = operation_new(self, OPERATION_WRITE);
    const struct writes_draw draw = {.settings = &self->cluster->settings,
                                     .prng = &self->prng,
                                     .serial = truth_next_serial(self->truth),
                                     .in_session = self->session != 0,
                                     .made = buffer_lend(&self->made)};

    const struct recording_caller told = caller(self);

    operation->write.serial = draw.serial;
    if (self->session != 0) {
        operation->write.session = self->session;
        operation->write.sequence = ++self->sequence;
    }
    writes_draw(&draw, &operation->body, &operation->write.marked);
    operation->call = recording_begin_write(recording(self), &told, buffer_lend(&operation->body));
    send_write(self, operation);
    if (operation->write.sequence != 0 && timeline_chance(&self->prng, 30)) {
        start_again(self, operation);
    }
}

static void send_read(struct workload_client *self, struct request *request, bool linearizable)
{
    struct operation *operation = operation_new(self, OPERATION_READ);
    const struct recording_caller told = caller(self);

    operation->id = ++self->last_id;
    operation->at_least = linearizable ? oracle_committed(self->oracle) : self->seen;
    request->id = operation->id;
    request->seen_zxid = self->seen;
    request->linearizable = linearizable;
    operation->call = recording_begin_read(recording(self), &told, request);
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
    struct operation *operation = operation_new(self, operation_kind);
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
    operation = operation_new(self, OPERATION_STREAM);
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
        if (operation_of(link)->kind == OPERATION_WRITE && operation_of(link)->id == 0) {
            self->counts->resent++;
            send_write(self, operation_of(link));
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
        self->slow_us = now(self) + prng_below(&self->prng, 1000 * 1000);
    }
}

/* --- Life --- */

/* Give the connection up; now and then stay away for longer than the session bears, or forget the
 * session. */
static void part(struct workload_client *self)
{
    disconnect(self);
    if (!self->quiet && timeline_chance(&self->prng, 50)) {
        self->sleep_us = now(self) + prng_below(&self->prng, 2500 * (uint64_t)self->timeout_ms);
    } else if (!self->quiet && self->session != 0 && timeline_chance(&self->prng, 20)) {
        leave_session(self);
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
        if (now(self) >= self->sleep_us && (!self->pinned || self->probes_left > 0)) {
            connect_somewhere(self);
        }
        return;
    }
    if (!cluster_is_awake(self->connection->server)) {
        return;
    }
    if (self->broken || (self->count > 0 && now(self) >= self->patience_us) ||
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
        operation_free(self, operation_of(link));
    }
    client_streams_release(&self->streams);
    forget_old(self);
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
        if (operation_of(link)->kind != OPERATION_PING) {
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
