#include "tests/simulation/workload.h"

#include "base/alloc.h"
#include "base/check.h"
#include "proto/record.pb-c.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    CLIENTS_MAX = 16,
    UNDER_WAY_MAX = 8,
    SESSION_TIMEOUT_MS = 4000,
    RETRY_US = 20 * 1000,
    PATIENCE_US = 12 * 1000 * 1000, /* for an answer; then the connection is given up */
    VALUE_HEAD_BYTES = 8
};

enum operation_kind { OPERATION_SESSION, OPERATION_WRITE, OPERATION_READ, OPERATION_PING };

/* Something asked and not finally answered. */
struct operation {
    struct list link;
    enum operation_kind kind;
    uint64_t id;     /* of its request on the present connection; 0 = not sent there */
    uint64_t serial; /* WRITE */
    bool marked;     /* a value holds the serial: not so in removals */
    uint64_t sequence;
    struct buffer body; /* WRITE: the packed operation or transaction, without the numbers */
    uint64_t key;       /* READ */
    zxid at_least;
    bool done; /* WRITE: applied, whatever its outcome */
};

struct workload_client {
    struct workload *workload;
    uint64_t number;
    struct prng prng;
    struct plan_cursor cursor;
    struct timeline_event tick;
    struct cluster_server *server; /* of the connection */
    struct client *client;         /* NULL = not connected */
    bool broken;                   /* to be closed */
    bool ready;                    /* session, if any, attached on this connection */
    bool pinned;
    size_t place;         /* pinned: where */
    uint32_t probes_left; /* 2: a write, then a read; 1: the read */
    bool has_sessions;
    session_id session;
    uint8_t password[STATE_PASSWORD_BYTES];
    uint64_t sequence;  /* of the last write */
    uint64_t confirmed; /* all writes up to this one are answered */
    zxid seen;
    struct list operations; /* in order; those sent on this connection are first asked, first
                               answered */
    size_t count;
    uint64_t last_id;
    uint64_t patience_us;
};

struct workload {
    struct cluster *cluster;
    struct oracle *oracle;
    struct prng prng;
    struct workload_client *clients[CLIENTS_MAX];
    size_t client_count;
    bool quiet;
    struct workload_counts counts;
};

static struct operation *operation_of(struct list *link)
{
    return CONTAINER_OF(link, struct operation, link);
}

static void operation_free(struct workload_client *self, struct operation *operation)
{
    list_remove(&operation->link);
    buffer_release(&operation->body);
    free(operation);
    self->count--;
}

static struct operation *operation_new(struct workload_client *self, enum operation_kind kind)
{
    struct operation *operation = xcalloc(1, sizeof *operation);

    operation->kind = kind;
    list_append(&self->operations, &operation->link);
    self->count++;
    return operation;
}

/* --- Answers --- */

static void confirm(struct workload_client *self)
{
    uint64_t lowest = self->sequence + 1;

    LIST_FOR_EACH (link, &self->operations) {
        struct operation *operation = operation_of(link);

        if (operation->kind == OPERATION_WRITE && operation->sequence != 0 &&
            operation->sequence < lowest) {
            lowest = operation->sequence;
        }
    }
    self->confirmed = lowest - 1;
}

/* The session is gone: what its writes did stays unknown. */
static void lose_session(struct workload_client *self)
{
    if (self->session != 0) {
        self->workload->counts.sessions_lost++;
    }
    self->session = 0;
    self->sequence = 0;
    self->confirmed = 0;
    self->broken = true;
    LIST_FOR_EACH (link, &self->operations) {
        if (operation_of(link)->sequence != 0) {
            /* Answers for it may still come on this connection: then nothing waits for them. */
            self->workload->counts.unknown++;
            operation_free(self, operation_of(link));
        }
    }
}

static struct cluster_server *any_server(const struct workload_client *self)
{
    return self->server != NULL ? self->server : &self->workload->cluster->servers[0];
}

static void finish_write(struct workload_client *self, struct operation *operation)
{
    bool numbered = operation->sequence != 0;

    if (self->probes_left > 0 && (self->probes_left & 1) == 0) {
        self->probes_left -= operation->done;
    }
    operation_free(self, operation);
    if (numbered) {
        confirm(self);
    }
}

static void
on_outcome(struct workload_client *self, struct operation *operation, const struct reply *reply)
{
    struct oracle *oracle = self->workload->oracle;

    switch ((int)reply->code) {
    case OP_OK:
        if (operation->marked) {
            oracle_on_acknowledged(oracle, operation->serial, reply->result->zxid);
        }
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
        cluster_violation(any_server(self), "client %" PRIu64 ": write %" PRIu64 " answered by %s",
                          self->number, operation->serial,
                          op_error_text((enum op_error)reply->code));
    default:
        oracle_on_refused(oracle, operation->serial);
        finish_write(self, operation);
        break;
    }
}

static void
on_write(struct workload_client *self, struct operation *operation, const struct reply *reply)
{
    if ((int)reply->code < 100) {
        operation->done = true;
        on_outcome(self, operation, reply);
    } else if (operation->sequence != 0) {
        self->broken = true; /* sent again after attaching elsewhere */
    } else if (reply->code == CLIENT__CODE__UNKNOWN_OUTCOME) {
        self->workload->counts.unknown++;
        finish_write(self, operation);
    } else {
        oracle_on_refused(self->workload->oracle, operation->serial);
        finish_write(self, operation);
    }
}

static void
on_read(struct workload_client *self, struct operation *operation, const struct reply *reply)
{
    bool found = reply->code == CLIENT__CODE__OK;

    if (found || reply->code == CLIENT__CODE__NO_NODE) {
        if (reply->zxid < operation->at_least) {
            cluster_violation(any_server(self),
                              "S17: client %" PRIu64 " reads at %" PRIu64 ", not at %" PRIu64
                              " or later",
                              self->number, reply->zxid, operation->at_least);
        }
        oracle_on_read(self->workload->oracle, operation->key, reply->zxid,
                       found ? reply->node : NULL);
        self->probes_left -= self->probes_left == 1;
    }
    operation_free(self, operation);
}

static void
on_session(struct workload_client *self, struct operation *operation, const struct reply *reply)
{
    operation_free(self, operation);
    if (reply->code == CLIENT__CODE__OK) {
        if (self->session != 0 && reply->session.last_sequence < self->confirmed) {
            cluster_violation(any_server(self),
                              "session %" PRIu64 " knows writes up to %" PRIu64 ", %" PRIu64
                              " were answered",
                              self->session, reply->session.last_sequence, self->confirmed);
        }
        self->workload->counts.sessions += self->session == 0;
        self->session = reply->session.session;
        memcpy(self->password, reply->session.password, sizeof self->password);
        self->ready = true;
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
    struct workload_client *self = context;
    struct operation *operation = find_by_id(self, request->id);

    timeline_mix(self->workload->cluster->timeline, (uint64_t)reply->code << 32 ^ reply->zxid);
    timeline_trace(self->workload->cluster->timeline,
                   "client %" PRIu64 ": answer %" PRIu64 " code %d at %" PRIu64, self->number,
                   request->id, (int)reply->code, reply->zxid);
    oracle_on_shown(self->workload->oracle, reply->zxid);
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
    case OPERATION_WRITE:
        on_write(self, operation, reply);
        break;
    case OPERATION_READ:
        on_read(self, operation, reply);
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
    struct workload_client *self = context;

    (void)watch;
    (void)with_values;
    (void)events;
    (void)up_to;
    (void)lost;
    cluster_violation(any_server(self), "%zu events without a watch", count);
}

static void on_notice(void *context, Client__NoticeKind kind, Client__Code code)
{
    struct workload_client *self = context;

    if (kind == CLIENT__NOTICE_KIND__SESSION_ENDED) {
        self->broken = true;
        if (code == CLIENT__CODE__SESSION_EXPIRED) {
            lose_session(self);
        }
    } else if (kind == CLIENT__NOTICE_KIND__GOING_AWAY) {
        self->broken = true;
    }
}

static size_t output_bytes(void *context)
{
    (void)context;
    return 0;
}

/* --- Connections --- */

static void submit(struct workload_client *self, struct request *request)
{
    client_submit(self->client, request);
    self->patience_us = self->workload->cluster->timeline->now_us + PATIENCE_US;
    cluster_poke(self->server);
}

/* Forget the connection: numbered writes wait for the next, everything else is lost. */
static void forget_connection(struct workload_client *self)
{
    self->client = NULL;
    self->server = NULL;
    self->ready = false;
    self->broken = false;
    LIST_FOR_EACH (link, &self->operations) {
        struct operation *operation = operation_of(link);

        operation->id = 0;
        if (operation->kind != OPERATION_WRITE || operation->sequence == 0) {
            self->workload->counts.unknown += operation->kind == OPERATION_WRITE;
            operation_free(self, operation);
        }
    }
}

static void disconnect(struct workload_client *self)
{
    client_close(self->client);
    cluster_poke(self->server);
    forget_connection(self);
}

void workload_on_stop(struct workload *workload, struct cluster_server *server)
{
    for (size_t i = 0; i < workload->client_count; i++) {
        if (workload->clients[i]->server == server) {
            client_close(workload->clients[i]->client);
            forget_connection(workload->clients[i]);
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
    request->session.timeout_ms = SESSION_TIMEOUT_MS;
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
    struct cluster *cluster = self->workload->cluster;
    size_t place =
        self->pinned ? self->place : (size_t)prng_below(&self->prng, cluster->settings.places);

    if (!cluster_is_awake(&cluster->servers[place])) {
        return;
    }
    /* In the end nobody waits at a server that was removed. */
    if (self->workload->quiet && raft_status(node_raft(cluster->servers[place].node)).leader == 0) {
        return;
    }
    self->workload->counts.connections++;
    self->server = &cluster->servers[place];
    self->client = client_open(self->server->node, &callbacks, self);
    self->ready = !self->has_sessions;
    self->patience_us = cluster->timeline->now_us + PATIENCE_US;
    if (self->has_sessions) {
        ask_session(self);
    }
}

/* --- Writes --- */

static void pack_body(struct buffer *body, Record__Operation **operations, size_t count)
{
    Record__Command command = RECORD__COMMAND__INIT;
    Record__Transaction transaction = RECORD__TRANSACTION__INIT;

    if (count == 1) {
        command.body_case = RECORD__COMMAND__BODY_OPERATION;
        command.operation = operations[0];
    } else {
        transaction.operations = operations;
        transaction.n_operations = count;
        command.body_case = RECORD__COMMAND__BODY_TRANSACTION;
        command.transaction = &transaction;
    }
    (void)record__command__pack(&command,
                                buffer_extend(body, record__command__get_packed_size(&command)));
}

/* A value that begins with the serial number. */
static struct bytes make_value(struct workload_client *self, struct arena *arena, uint64_t serial)
{
    uint64_t padding =
        prng_below(&self->prng, self->workload->cluster->settings.value_bytes_max + 1);
    uint8_t *value = arena_calloc(arena, 1, VALUE_HEAD_BYTES + padding);

    bytes_store_u64(value, serial);
    return bytes_of(value, VALUE_HEAD_BYTES + padding);
}

static ProtobufCBinaryData binary(struct bytes bytes)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)bytes.data, .len = bytes.size};
}

static ProtobufCBinaryData
key_path(struct workload_client *self, struct arena *arena, uint64_t *ret_key)
{
    char *text = arena_alloc(arena, 16);
    uint64_t key = prng_below(&self->prng, self->workload->cluster->settings.key_count);

    if (ret_key != NULL) {
        *ret_key = key;
    }
    return binary(oracle_key_path(key, text));
}

static Record__Operation *
make_operation(struct workload_client *self, struct arena *arena, uint64_t serial, bool *marked)
{
    Record__Operation *operation = arena_alloc(arena, sizeof *operation);
    uint64_t kind = prng_below(&self->prng, 10);

    record__operation__init(operation);
    timeline_trace(self->workload->cluster->timeline, "client %" PRIu64 ": write %" PRIu64 " %s",
                   self->number, serial,
                   kind < 5   ? "set"
                   : kind < 6 ? "set if version"
                   : kind < 9 ? "create"
                              : "remove");
    *marked |= kind < 9;
    if (kind < 6) {
        Record__Set *set = arena_alloc(arena, sizeof *set);

        record__set__init(set);
        set->path = key_path(self, arena, NULL);
        set->value = binary(make_value(self, arena, serial));
        set->create = kind < 5;
        set->version = kind < 5 ? -1 : (int32_t)prng_below(&self->prng, 4);
        operation->kind_case = RECORD__OPERATION__KIND_SET;
        operation->set = set;
    } else if (kind < 9) {
        Record__Create *create = arena_alloc(arena, sizeof *create);

        record__create__init(create);
        create->path = key_path(self, arena, NULL);
        create->value = binary(make_value(self, arena, serial));
        create->mode = kind < 8 || self->session == 0 ? RECORD__CREATE_MODE__PERSISTENT
                                                      : RECORD__CREATE_MODE__EPHEMERAL;
        operation->kind_case = RECORD__OPERATION__KIND_CREATE;
        operation->create = create;
    } else {
        Record__Remove *remove = arena_alloc(arena, sizeof *remove);

        record__remove__init(remove);
        remove->path = key_path(self, arena, NULL);
        remove->version = -1;
        operation->kind_case = RECORD__OPERATION__KIND_REMOVE;
        operation->remove = remove;
    }
    return operation;
}

static void send_write(struct workload_client *self, struct operation *operation)
{
    struct request *request = request_new(REQUEST_WRITE);
    Record__Command numbers = RECORD__COMMAND__INIT;
    struct buffer packed = BUFFER_INIT;

    operation->id = ++self->last_id;
    request->id = operation->id;
    request->seen_zxid = self->seen;
    numbers.sequence = operation->sequence;
    numbers.confirmed = operation->sequence == 0 ? 0 : self->confirmed;
    (void)record__command__pack(&numbers,
                                buffer_extend(&packed, record__command__get_packed_size(&numbers)));
    buffer_put(&packed, buffer_lend(&operation->body));
    request->write.command = arena_copy(&request->arena, buffer_lend(&packed));
    buffer_release(&packed);
    timeline_trace(
        self->workload->cluster->timeline,
        "client %" PRIu64 ": write %" PRIu64 " sequence %" PRIu64 " as %" PRIu64 " to %" PRIu64,
        self->number, operation->serial, operation->sequence, operation->id, self->server->id);
    submit(self, request);
}

static void start_write(struct workload_client *self)
{
    struct operation *operation = operation_new(self, OPERATION_WRITE);
    size_t count = timeline_chance(&self->prng, 100) ? 2 : 1;
    Record__Operation *operations[2];
    struct arena arena;

    arena_init(&arena);
    operation->serial = oracle_next_serial(self->workload->oracle);
    if (self->session != 0) {
        operation->sequence = ++self->sequence;
    }
    for (size_t i = 0; i < count; i++) {
        operations[i] = make_operation(self, &arena, operation->serial, &operation->marked);
    }
    pack_body(&operation->body, operations, count);
    arena_release(&arena);
    send_write(self, operation);
}

static void start_read(struct workload_client *self, bool linearizable)
{
    struct operation *operation = operation_new(self, OPERATION_READ);
    struct request *request = request_new(REQUEST_GET);
    char text[16];

    operation->id = ++self->last_id;
    operation->key = prng_below(&self->prng, self->workload->cluster->settings.key_count);
    operation->at_least = linearizable ? oracle_newest_shown(self->workload->oracle) : self->seen;
    request->id = operation->id;
    request->seen_zxid = self->seen;
    request->linearizable = linearizable;
    request->path = arena_copy(&request->arena, oracle_key_path(operation->key, text));
    submit(self, request);
}

static void start_ping(struct workload_client *self)
{
    struct operation *operation = operation_new(self, OPERATION_PING);
    struct request *request = request_new(REQUEST_PING);

    operation->id = ++self->last_id;
    request->id = operation->id;
    submit(self, request);
}

/* Numbered writes of earlier connections go first, in order. */
static bool resend(struct workload_client *self)
{
    bool any = false;

    LIST_FOR_EACH (link, &self->operations) {
        if (operation_of(link)->kind == OPERATION_WRITE && operation_of(link)->id == 0) {
            self->workload->counts.resent++;
            send_write(self, operation_of(link));
            any = true;
        }
    }
    return any;
}

static void start_something(struct workload_client *self)
{
    uint64_t choice = prng_below(&self->prng, 100);

    if (self->workload->quiet || choice >= 95) {
        start_ping(self);
    } else if (choice < 50) {
        start_write(self);
    } else if (choice < 75) {
        start_read(self, true);
    } else {
        start_read(self, false);
    }
}

/* --- Time --- */

static void run(struct workload_client *self)
{
    uint64_t now_us = self->workload->cluster->timeline->now_us;

    if (self->client == NULL) {
        if (!self->pinned || self->probes_left > 0) {
            connect_somewhere(self);
        }
        return;
    }
    if (!cluster_is_awake(self->server)) {
        return;
    }
    if (self->broken || (self->count > 0 && now_us >= self->patience_us) ||
        (!self->workload->quiet && timeline_chance(&self->prng, 5))) {
        disconnect(self);
        return;
    }
    if (!self->ready || resend(self) || self->count >= UNDER_WAY_MAX) {
        return;
    }
    if (!self->pinned) {
        start_something(self);
    } else if (self->count == 0 && self->probes_left == 2) {
        start_write(self);
    } else if (self->count == 0 && self->probes_left == 1) {
        start_read(self, true);
    }
}

static void tick(struct timeline_event *event);

static void plan_tick(struct workload_client *self, uint64_t delay_us)
{
    if (delay_us != UINT64_MAX) {
        timeline_after(self->workload->cluster->timeline, &self->tick, delay_us, tick);
    }
}

static void tick(struct timeline_event *event)
{
    struct workload_client *self = CONTAINER_OF(event, struct workload_client, tick);
    struct cluster *cluster = self->workload->cluster;
    uint64_t now_us = cluster->timeline->now_us;

    if (self->workload->quiet) {
        run(self);
        plan_tick(self, prng_between(&self->prng, 1, 20 * RETRY_US));
        return;
    }
    prng_init(&self->prng, plan_seed(cluster->plan, &self->cursor, now_us, &self->prng));
    run(self);
    plan_tick(self, plan_delay(cluster->plan, &self->cursor, now_us, &self->prng,
                               2 * cluster->settings.operation_interval_us));
}

static struct workload_client *add_client(struct workload *workload)
{
    struct workload_client *self = xcalloc(1, sizeof *self);

    CHECK_OP(workload->client_count, <, CLIENTS_MAX);
    self->workload = workload;
    self->number = workload->client_count;
    prng_init(&self->prng, prng_next(&workload->prng));
    list_init(&self->operations);
    self->has_sessions = timeline_chance(&self->prng, 600);
    workload->clients[workload->client_count++] = self;
    self->cursor = (struct plan_cursor){.kind = PLAN_CLIENT, .actor = (uint32_t)self->number};
    plan_tick(self, workload->quiet
                        ? prng_below(&self->prng, RETRY_US)
                        : plan_delay(workload->cluster->plan, &self->cursor,
                                     workload->cluster->timeline->now_us, &self->prng, RETRY_US));
    return self;
}

struct workload *workload_new(struct cluster *cluster, struct oracle *oracle)
{
    struct workload *workload = xcalloc(1, sizeof *workload);

    workload->cluster = cluster;
    workload->oracle = oracle;
    prng_init(&workload->prng, cluster->settings.seed * 11 + 3);
    for (size_t i = 0; i < cluster->settings.clients; i++) {
        (void)add_client(workload);
    }
    return workload;
}

void workload_free(struct workload *workload)
{
    for (size_t i = 0; i < workload->client_count; i++) {
        struct workload_client *self = workload->clients[i];

        CHECK(self->client == NULL);
        timeline_cancel(workload->cluster->timeline, &self->tick);
        LIST_FOR_EACH (link, &self->operations) {
            operation_free(self, operation_of(link));
        }
        free(self);
    }
    free(workload);
}

void workload_probe(struct workload *workload, size_t place)
{
    struct workload_client *self = add_client(workload);

    self->has_sessions = false;
    self->pinned = true;
    self->place = place;
    self->probes_left = 2;
}

void workload_quiet(struct workload *workload)
{
    if (workload->quiet) {
        return;
    }
    workload->quiet = true;
    /* From here on a run that replays a plan goes on as the one that recorded it. */
    for (size_t i = 0; i < workload->client_count; i++) {
        prng_init(&workload->clients[i]->prng, workload->cluster->settings.seed * 19 + i);
        plan_tick(workload->clients[i], prng_below(&workload->clients[i]->prng, RETRY_US));
    }
}

size_t workload_probes(const struct workload *workload)
{
    size_t count = 0;

    for (size_t i = 0; i < workload->client_count; i++) {
        count += workload->clients[i]->probes_left > 0;
    }
    return count;
}

bool workload_is_idle(const struct workload *workload)
{
    for (size_t i = 0; i < workload->client_count; i++) {
        LIST_FOR_EACH (link, &workload->clients[i]->operations) {
            if (operation_of(link)->kind != OPERATION_PING) {
                return false;
            }
        }
        if (workload->clients[i]->broken || workload->clients[i]->probes_left > 0) {
            return false;
        }
    }
    return true;
}

struct workload_counts workload_counts(const struct workload *workload)
{
    return workload->counts;
}
