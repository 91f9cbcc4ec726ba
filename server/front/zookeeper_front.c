#include "server/front/zookeeper_front.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "server/front/gate.h"
#include "server/front/value_loan.h"
#include "server/front/zookeeper_comeback.h"
#include "server/front/zookeeper_encode.h"
#include "server/front/zookeeper_multi_read.h"
#include "server/front/zookeeper_watches.h"

#include <stdlib.h>
#include <string.h>

enum {
    LET_GO_PATHS = 512, /* some 100 us */
    /* Elections are sooner over. */
    READ_ONLY_AFTER_US = 4 * 1000 * 1000
};

/* Sessions of read-only connections are this server's alone and end with them. No session of the
 * cluster has such a number: those are zxids. */
#define LOCAL_SESSION_BITS (UINT64_C(0x7e) << 56)

/* A request that takes long, of one client: the one whose turn it is. */
struct zookeeper_work {
    struct zookeeper_comeback_place comeback;
    struct zookeeper_multi_read reading;
};

struct zookeeper_client {
    struct list link; /* of the front's clients */
    struct gate_pass pass;
    struct zookeeper_front *front;
    struct connection *connection;
    struct client *client;
    struct zookeeper_watcher watcher;
    struct identities identities;
    struct zookeeper_connection shown; /* with `pending`: requests submitted and not answered */
    struct zookeeper_work *work;       /* NULL = none is begun */
    bool is_connecting;                /* the connect request is with the node */
    bool is_connected;
    bool has_read_only; /* the client knows the field */
    bool is_ending;     /* nothing more is read */
    bool is_read_only;
    bool has_local_session; /* of its own; else a read-only one keeps the session it came with */
};

struct zookeeper_front {
    struct node *node;
    struct zookeeper_options options;
    struct list clients;
    struct gate gate;
    struct zookeeper_watches *watches;
    struct buffer output;
    struct arena arena;
    struct zookeeper_counts counts;
    uint64_t local_sessions; /* given so far */
};

/* --- Back-pressure --- */

static bool is_full(const struct gate_pass *pass)
{
    const struct zookeeper_client *client = CONTAINER_OF(pass, struct zookeeper_client, pass);

    return client->is_connecting || client->is_ending || client_is_full(client->client);
}

/* --- Output --- */

static void count_sent(struct zookeeper_client *client, size_t frames)
{
    client->shown.traffic.sent += frames;
    client->front->counts.traffic.sent += frames;
}

static void send_output(struct zookeeper_client *client)
{
    struct zookeeper_front *front = client->front;

    connection_send(client->connection, buffer_lend(&front->output));
    buffer_clear(&front->output);
    count_sent(client, 1);
}

/* With the value of `node`, which was left out. */
static void send_output_around(struct zookeeper_client *client, struct state_node *node)
{
    struct buffer *output = &client->front->output;
    size_t before = output->size - JUTE_STAT_BYTES;

    connection_send(client->connection, bytes_of(output->data, before));
    value_loan_send(client->connection, node);
    connection_send(client->connection, bytes_of(output->data + before, JUTE_STAT_BYTES));
    buffer_clear(output);
    count_sent(client, 1);
}

static bool may_see(struct zookeeper_watcher *watcher, const struct state_node *node)
{
    const struct zookeeper_client *client = CONTAINER_OF(watcher, struct zookeeper_client, watcher);

    return node == NULL || client_may(client->client, node, STATE_PERMISSION_READ);
}

static void send_event(struct zookeeper_watcher *watcher, struct bytes frame)
{
    struct zookeeper_client *client = CONTAINER_OF(watcher, struct zookeeper_client, watcher);

    connection_send(client->connection, frame);
    count_sent(client, 1);
}

/* Send what waits, then close. */
static void end(struct zookeeper_client *client, const char *reason)
{
    client->is_ending = true;
    connection_finish(client->connection, reason);
}

static void submit(struct zookeeper_client *client, struct request *request)
{
    client->shown.pending++;
    client->front->counts.outstanding++;
    client_submit(client->client, request);
}

/* --- Connecting --- */

static uint32_t negotiate(const struct zookeeper_options *options, int32_t wanted_ms)
{
    if (wanted_ms < 0 || (uint32_t)wanted_ms < options->session_timeout_ms_min) {
        return options->session_timeout_ms_min;
    }
    return (uint32_t)wanted_ms > options->session_timeout_ms_max ? options->session_timeout_ms_max
                                                                 : (uint32_t)wanted_ms;
}

static void send_connect_response(struct zookeeper_client *client,
                                  const struct jute_connect_response *response)
{
    size_t begin = jute_begin_frame(&client->front->output);

    jute_put_connect_response(&client->front->output, response);
    jute_end_frame(&client->front->output, begin);
    send_output(client);
}

static void show_session(struct zookeeper_client *client,
                         const struct jute_connect_response *response)
{
    client->shown.session = (session_id)response->session;
    client->shown.timeout_ms = (uint32_t)response->timeout_ms;
}

bool zookeeper_front_is_read_only(const struct zookeeper_front *front)
{
    return front->options.read_only_mode && node_leaderless_us(front->node) >= READ_ONLY_AFTER_US;
}

/* The session that the client has in the cluster, as far as this server knows. It is neither
 * attached nor kept alive by this. */
static bool keep_session(const struct zookeeper_front *front,
                         const struct jute_connect_request *connect,
                         struct jute_connect_response *response)
{
    struct state_session session;

    if (!state_session_find(node_state(front->node), (session_id)connect->session, &session) ||
        !bytes_equal(connect->password, bytes_of(session.password, STATE_PASSWORD_BYTES))) {
        return false;
    }
    response->session = connect->session;
    memcpy(response->password, session.password, sizeof response->password);
    return true;
}

static void connect_read_only(struct zookeeper_client *client,
                              const struct jute_connect_request *connect)
{
    struct zookeeper_front *front = client->front;
    struct jute_connect_response response = {
        .has_read_only = connect->has_read_only,
        .read_only = true,
        .timeout_ms = (int32_t)negotiate(&front->options, connect->timeout_ms)};

    if (!connect->read_only) {
        connection_close(client->connection, "without a leader this server only lets read");
        return;
    }
    if (connect->session == 0) {
        uint64_t number = map_hash_u64(front->options.hash_seed + ++front->local_sessions);

        response.session = (int64_t)(LOCAL_SESSION_BITS | (number >> 8));
        client->has_local_session = true;
    } else if (!keep_session(front, connect, &response)) {
        connection_close(client->connection, "without a leader this session is not known here");
        return;
    }
    client->is_read_only = true;
    client->is_connected = true;
    show_session(client, &response);
    send_connect_response(client, &response);
    connection_set_state(client->connection, CONNECTION_OPEN);
}

static void on_connect_frame(struct zookeeper_client *client, struct bytes frame)
{
    struct jute_connect_request connect;
    struct request *request;

    if (jute_read_connect_request(frame, &connect) != STATUS_OK) {
        connection_close(client->connection, "the connect request is unreadable");
        return;
    }
    if (connect.last_zxid_seen > 0 &&
        (zxid)connect.last_zxid_seen > node_applied(client->front->node)) {
        connection_close(client->connection, "the client has seen more than this server has");
        return;
    }
    if (zookeeper_front_is_read_only(client->front)) {
        connect_read_only(client, &connect);
        return;
    }
    request = request_new(connect.session == 0 ? REQUEST_OPEN_SESSION : REQUEST_ATTACH_SESSION);
    request->session.timeout_ms = negotiate(&client->front->options, connect.timeout_ms);
    request->session.session = (session_id)connect.session;
    request->session.password = arena_copy(&request->arena, connect.password);
    client->has_read_only = connect.has_read_only;
    client->is_connecting = true;
    submit(client, request);
    gate_hold(&client->pass);
}

/* Only a session that is certainly gone is refused; else the client looks for another server. */
static void on_connect_reply(struct zookeeper_client *client, const struct reply *reply)
{
    struct jute_connect_response response = {.has_read_only = client->has_read_only};

    client->is_connecting = false;
    if (reply->code == CLIENT__CODE__OK) {
        response.timeout_ms = (int32_t)reply->session.timeout_ms;
        response.session = (int64_t)reply->session.session;
        memcpy(response.password, reply->session.password, sizeof response.password);
        client->is_connected = true;
        show_session(client, &response);
        send_connect_response(client, &response);
        connection_set_state(client->connection, CONNECTION_OPEN);
    } else if (reply->code == CLIENT__CODE__SESSION_EXPIRED) {
        send_connect_response(client, &response);
        end(client, "the session is gone");
    } else {
        connection_close(client->connection, "no session can be opened or resumed now");
    }
}

/* --- Requests that the front answers itself, in their turn --- */

static void add_watch(struct zookeeper_client *client, struct bytes path, enum zookeeper_watch kind)
{
    if (zookeeper_watches_add(client->front->watches, &client->watcher, path, kind) != STATUS_OK) {
        connection_close(client->connection, "too many watches on one connection");
    }
}

static bool sets_watches(const struct zookeeper_details *details)
{
    return details->type == JUTE_TYPE_SET_WATCHES || details->type == JUTE_TYPE_SET_WATCHES_2;
}

static struct zookeeper_work *work_of(struct zookeeper_client *client)
{
    if (client->work == NULL) {
        client->work = xcalloc(1, sizeof *client->work);
    }
    return client->work;
}

static struct zookeeper_comeback comeback_of(struct zookeeper_client *client)
{
    struct zookeeper_front *front = client->front;

    return (struct zookeeper_comeback){.node = front->node,
                                       .client = client->client,
                                       .watches = front->watches,
                                       .watcher = &client->watcher,
                                       .output = &front->output,
                                       .forgets_missed = front->options.forgets_missed};
}

static void end_comeback(struct zookeeper_client *client, const struct zookeeper_comeback *comeback)
{
    count_sent(client, comeback->events);
    if (comeback->trouble != NULL) {
        connection_close(client->connection, comeback->trouble);
    }
}

static enum jute_error set_watches(struct zookeeper_client *client,
                                   const struct zookeeper_details *details)
{
    struct zookeeper_comeback comeback = comeback_of(client);
    enum jute_error error = zookeeper_come_back(&comeback, details, &work_of(client)->comeback);

    end_comeback(client, &comeback);
    return error;
}

/* The events of the watches that were missed leave with each piece: a watch set just now may fire
 * before the next. */
static bool set_some_watches(struct zookeeper_client *client,
                             const struct zookeeper_details *details,
                             uint64_t end_us)
{
    struct buffer *output = &client->front->output;
    struct zookeeper_comeback comeback = comeback_of(client);
    bool is_done = zookeeper_come_back_some(&comeback, details, &work_of(client)->comeback, end_us);

    end_comeback(client, &comeback);
    if (output->size > 0) {
        connection_send(client->connection, buffer_lend(output));
        buffer_clear(output);
    }
    return is_done;
}

static bool
read_some(struct zookeeper_client *client, const struct zookeeper_details *details, uint64_t end_us)
{
    struct zookeeper_multi_read *reading = &work_of(client)->reading;

    zookeeper_multi_read_go_on(reading, client->client, details, end_us);
    return reading->is_done;
}

static void forget_work(struct zookeeper_client *client)
{
    if (client->work != NULL) {
        zookeeper_multi_read_reset(&client->work->reading);
        free(client->work);
        client->work = NULL;
    }
}

/* The kinds that ZooKeeper's WatcherType names. */
static unsigned kinds_of(int32_t mode)
{
    static const unsigned kinds[] = {0,
                                     ZOOKEEPER_WATCH_CHILD,
                                     ZOOKEEPER_WATCH_DATA,
                                     ZOOKEEPER_WATCH_CHILD | ZOOKEEPER_WATCH_DATA |
                                         ZOOKEEPER_WATCH_PERSISTENT | ZOOKEEPER_WATCH_RECURSIVE,
                                     ZOOKEEPER_WATCH_PERSISTENT,
                                     ZOOKEEPER_WATCH_RECURSIVE};

    CHECK_OP((size_t)mode, <, sizeof kinds / sizeof *kinds);
    return kinds[mode];
}

static enum jute_error look_for_watches(struct zookeeper_client *client,
                                        const struct zookeeper_details *details)
{
    struct zookeeper_watches *watches = client->front->watches;
    unsigned kinds = kinds_of(details->mode);
    unsigned there = details->type == JUTE_TYPE_REMOVE_WATCHES
                         ? zookeeper_watches_remove(watches, &client->watcher, details->path, kinds)
                         : zookeeper_watches_find(watches, &client->watcher, details->path) & kinds;

    return there != 0 ? JUTE_ERROR_OK : JUTE_ERROR_NO_WATCHER;
}

static void put_identities(struct buffer *output, const struct identities *identities)
{
    jute_put_int(output, (int32_t)identities->count);
    for (size_t i = 0; i < identities->count; i++) {
        jute_put_buffer(output, identities->items[i].scheme, false);
        jute_put_buffer(output, identity_user(&identities->items[i]), false);
    }
}

static enum jute_error multi_read(struct zookeeper_client *client,
                                  const struct zookeeper_details *details)
{
    struct zookeeper_multi_read *reading = &work_of(client)->reading;

    (void)read_some(client, details, UINT64_MAX);
    if (reading->trouble != NULL) {
        connection_close(client->connection, reading->trouble);
    }
    buffer_put(&client->front->output, buffer_lend(&reading->output));
    return reading->error;
}

/* The body goes behind the header that is in the output already. */
static enum jute_error run_own(struct zookeeper_client *client,
                               const struct zookeeper_details *details)
{
    struct buffer *output = &client->front->output;

    switch (details->type) {
    case JUTE_TYPE_CHECK_WATCHES:
    case JUTE_TYPE_REMOVE_WATCHES:
        return look_for_watches(client, details);
    case JUTE_TYPE_ADD_WATCH:
        add_watch(client, details->path,
                  details->mode == 0 ? ZOOKEEPER_WATCH_PERSISTENT : ZOOKEEPER_WATCH_RECURSIVE);
        jute_put_int(output, 0);
        return JUTE_ERROR_OK;
    case JUTE_TYPE_WHO_AM_I:
        put_identities(output, &client->identities);
        return JUTE_ERROR_OK;
    case JUTE_TYPE_MULTI_READ:
        return multi_read(client, details);
    case JUTE_TYPE_MULTI: /* of nothing */
        jute_put_multi_header(
            output, (struct jute_multi_header){.type = JUTE_TYPE_ERROR, .done = true, .error = -1});
        return JUTE_ERROR_OK;
    case JUTE_TYPE_SYNC:
        jute_put_buffer(output, details->path, false);
        return JUTE_ERROR_OK;
    default:
        return JUTE_ERROR_OK;
    }
}

static void answer_own(struct zookeeper_client *client, const struct request *request, zxid at)
{
    const struct zookeeper_details *details = zookeeper_details_of(request);
    struct buffer *output = &client->front->output;
    enum jute_error error = details->refusal;
    size_t begin;

    if (error == JUTE_ERROR_OK && sets_watches(details)) {
        error = set_watches(client, details);
    }
    begin = jute_begin_frame(output);
    zookeeper_put_header(output, details, at, error);
    if (error == JUTE_ERROR_OK) {
        error = run_own(client, details);
        if (error != JUTE_ERROR_OK) {
            output->size = begin + JUTE_FRAME_HEAD_BYTES;
            zookeeper_put_header(output, details, at, error);
        }
    } else if (details->type == JUTE_TYPE_SASL) {
        jute_put_buffer(output, BYTES_EMPTY, true);
    }
    jute_end_frame(output, begin);
    forget_work(client);
}

/* --- From the connection --- */

static void refuse(struct request *request, enum jute_error error)
{
    zookeeper_details_of(request)->refusal = error;
    request->linearizable = false;
    request->kind = REQUEST_PING;
}

/* What a read-only connection may not ask; its own session ends by the connection's end. */
static void judge_read_only(const struct zookeeper_client *client, struct request *request)
{
    const struct zookeeper_details *details = zookeeper_details_of(request);
    bool is_end = request->kind == REQUEST_CLOSE_SESSION;

    if (request->kind == REQUEST_WRITE || details->type == JUTE_TYPE_SYNC ||
        details->type == JUTE_TYPE_MULTI || details->type == JUTE_TYPE_RECONFIG ||
        (is_end && !client->has_local_session)) {
        refuse(request, JUTE_ERROR_NOT_READ_ONLY);
    } else if (is_end) {
        request->kind = REQUEST_PING;
    }
}

static void on_frame(void *context, struct connection *connection, struct bytes frame)
{
    struct zookeeper_client *client = context;
    struct request *request = NULL;

    client->shown.traffic.received++;
    client->front->counts.traffic.received++;
    if (!client->is_connected) {
        on_connect_frame(client, frame);
        return;
    }
    if (zookeeper_decode(frame, &client->identities, &request) != STATUS_OK) {
        connection_close(connection, "a request has no readable header");
        return;
    }
    if (zookeeper_details_of(request)->type == JUTE_TYPE_AUTH) {
        client_identify(client->client, identities_lend(&client->identities));
    }
    if (client->is_read_only) {
        judge_read_only(client, request);
    }
    if (request->kind == REQUEST_RECONFIGURE && !client->front->options.allows_reconfig) {
        refuse(request, JUTE_ERROR_RECONFIG_DISABLED);
    }
    zookeeper_details_of(request)->begun_us = clock_monotonic_us();
    client->is_ending = zookeeper_details_of(request)->closes;
    submit(client, request);
    if (is_full(&client->pass)) {
        gate_hold(&client->pass);
    }
}

static void on_drained(void *context, struct connection *connection)
{
    struct zookeeper_client *client = context;

    (void)connection;
    gate_look_again(&client->pass);
}

static bool let_go(void *context, struct connection *connection)
{
    struct zookeeper_client *client = context;

    (void)connection;
    return client_let_go(client->client) &&
           zookeeper_watcher_release_some(client->front->watches, &client->watcher, LET_GO_PATHS);
}

static void on_closed(void *context, struct connection *connection, const char *reason)
{
    struct zookeeper_client *client = context;
    char remote[ADDRESS_TEXT_BYTES_MAX];

    socket_address_text(connection_remote(connection), remote);
    log_event(LOG_LEVEL_DEBUG, "client_closed", "remote=%s reason=%s", remote, log_quote(reason));
    client_close(client->client);
    forget_work(client);
    CHECK_OP(client->watcher.count, ==, 0);
    identities_release(&client->identities);
    list_remove(&client->link);
    gate_leave(&client->pass);
    client->front->counts.connections--;
    client->front->counts.outstanding -= client->shown.pending;
    free(client);
}

static const struct connection_handler handler = {
    .on_frame = on_frame, .on_drained = on_drained, .let_go = let_go, .on_closed = on_closed};

/* --- From the node --- */

static void note_latency(struct zookeeper_traffic *traffic, uint64_t latency_us)
{
    if (traffic->answered == 0 || latency_us < traffic->latency_us_min) {
        traffic->latency_us_min = latency_us;
    }
    if (latency_us > traffic->latency_us_max) {
        traffic->latency_us_max = latency_us;
    }
    traffic->latency_us_sum += latency_us;
    traffic->answered++;
}

static void
note_answer(struct zookeeper_client *client, const struct zookeeper_details *details, zxid at)
{
    uint64_t now_us = clock_monotonic_us();
    struct zookeeper_connection *shown = &client->shown;

    shown->last_latency_us = now_us - details->begun_us;
    shown->last_answer_ms = now_us / 1000;
    shown->last_type = details->type;
    shown->last_xid = details->xid;
    shown->last_zxid = at;
    note_latency(&shown->traffic, shown->last_latency_us);
    note_latency(&client->front->counts.traffic, shown->last_latency_us);
}

/* A read leaves its watch when it succeeded; exists does so on a missing node too. */
static void leave_watch(struct zookeeper_client *client,
                        const struct zookeeper_details *details,
                        enum jute_error error)
{
    bool is_exists = details->type == JUTE_TYPE_EXISTS;
    bool is_children =
        details->type == JUTE_TYPE_GET_CHILDREN || details->type == JUTE_TYPE_GET_CHILDREN_2;

    if (details->watch && (error == JUTE_ERROR_OK || (is_exists && error == JUTE_ERROR_NO_NODE))) {
        add_watch(client, details->path,
                  is_children ? ZOOKEEPER_WATCH_CHILD : ZOOKEEPER_WATCH_DATA);
    }
}

static void
answer(struct zookeeper_client *client, const struct request *request, const struct reply *reply)
{
    const struct zookeeper_details *details = zookeeper_details_of(request);
    bool is_around = false;
    enum jute_error error;

    if (request->kind == REQUEST_RECONFIGURE ? !zookeeper_error_of_reconfig(reply->code, &error)
                                             : !zookeeper_error_of(reply->code, &error)) {
        connection_close(client->connection, "the cluster cannot answer now, or the session ended");
        return;
    }
    note_answer(client, details, reply->zxid);
    if (request->kind == REQUEST_PING) {
        answer_own(client, request, reply->zxid);
    } else {
        leave_watch(client, details, error);
        is_around = zookeeper_put_reply(&client->front->output, request, reply, error);
    }
    if (is_around) {
        send_output_around(client, reply->node);
    } else {
        send_output(client);
    }
    if (details->closes) {
        end(client, "closed as asked");
    }
}

static void on_reply(void *context, const struct request *request, const struct reply *reply)
{
    struct zookeeper_client *client = context;

    CHECK_OP(client->shown.pending, >, 0);
    client->shown.pending--;
    client->front->counts.outstanding--;
    if (client->is_connecting) {
        on_connect_reply(client, reply);
    } else {
        answer(client, request, reply);
    }
    gate_look_again(&client->pass);
}

/* The client learns of its session's end when it connects again. Without a leader a connection
 * stays: what cannot be answered closes it. */
static void on_notice(void *context, Client__NoticeKind kind, Client__Code code)
{
    struct zookeeper_client *client = context;

    (void)code;
    if (kind == CLIENT__NOTICE_KIND__SESSION_ENDED) {
        connection_close(client->connection, "the session ended or moved");
    } else if (kind == CLIENT__NOTICE_KIND__GOING_AWAY) {
        end(client, "the server stops");
    } else if (kind == CLIENT__NOTICE_KIND__LEADER_FOUND && client->is_read_only) {
        end(client, "there is a leader again");
    }
}

static bool on_work(void *context, const struct request *request, uint64_t share_us)
{
    struct zookeeper_client *client = context;
    const struct zookeeper_details *details = zookeeper_details_of(request);
    uint64_t end_us;
    bool is_reading = details->type == JUTE_TYPE_MULTI_READ;

    if (!client->is_connected || details->refusal != JUTE_ERROR_OK ||
        (!is_reading && !sets_watches(details))) {
        return true;
    }
    end_us = clock_monotonic_us() + share_us;
    return is_reading ? read_some(client, details, end_us)
                      : set_some_watches(client, details, end_us);
}

static size_t output_bytes(void *context)
{
    struct zookeeper_client *client = context;

    return connection_output_bytes(client->connection);
}

static void on_excess(void *context)
{
    struct zookeeper_client *client = context;

    connection_refuse(client->connection,
                      "the requests of all clients together are at their limit");
}

/* Who hears of a child is who may read the parent, as it is when all is done. */
static void fire(struct zookeeper_front *front, const struct state_change *change)
{
    struct state_node *parent = NULL;

    if (zookeeper_watches_count(front->watches).watches == 0) {
        return;
    }
    if ((change->kind == STATE_CREATED || change->kind == STATE_REMOVED) &&
        node_read(front->node, zookeeper_watches_parent(change->path), &parent) ==
            CLIENT__CODE__STOPPING) {
        return;
    }
    zookeeper_watches_fire(front->watches, change, parent);
    state_node_unref(parent);
}

static void on_changes(void *context, const struct state_change *changes, size_t count)
{
    struct zookeeper_front *front = context;

    for (size_t i = 0; i < count; i++) {
        fire(front, &changes[i]);
    }
}

/* Nobody knows which watches would have fired: the clients set them again when they come back. */
static void on_replaced(void *context)
{
    struct zookeeper_front *front = context;

    LIST_FOR_EACH (link, &front->clients) {
        struct zookeeper_client *client = CONTAINER_OF(link, struct zookeeper_client, link);

        connection_close(client->connection, "this server went ahead by a dump");
    }
}

/* --- Life --- */

struct zookeeper_front *zookeeper_front_new(struct node *node,
                                            const struct zookeeper_options *options)
{
    const struct zookeeper_watch_limits watch_limits = zookeeper_watch_limits_default();
    struct zookeeper_front *front = xcalloc(1, sizeof *front);
    const struct node_observer observer = {
        .on_changes = on_changes, .on_replaced = on_replaced, .context = front};

    front->node = node;
    front->options = *options;
    front->watches = zookeeper_watches_new(&watch_limits, options->hash_seed, may_see, send_event);
    list_init(&front->clients);
    gate_init(&front->gate);
    arena_init(&front->arena);
    node_observe(node, &observer);
    return front;
}

void zookeeper_front_free(struct zookeeper_front *front)
{
    const struct node_observer nobody = {.on_changes = NULL};

    if (front == NULL) {
        return;
    }
    CHECK_OP(front->counts.connections, ==, 0);
    node_observe(front->node, &nobody);
    zookeeper_watches_free(front->watches);
    buffer_release(&front->output);
    arena_release(&front->arena);
    free(front);
}

void zookeeper_front_take(struct zookeeper_front *front, struct connection *connection)
{
    static const struct client_callbacks callbacks = {.on_reply = on_reply,
                                                      .on_notice = on_notice,
                                                      .on_work = on_work,
                                                      .output_bytes = output_bytes,
                                                      .on_excess = on_excess};
    struct zookeeper_client *client = xcalloc(1, sizeof *client);
    char host[SOCKET_HOST_TEXT_BYTES_MAX];

    client->front = front;
    client->connection = connection;
    client->shown.connection = connection;
    client->shown.established_ms = clock_wall_ms();
    gate_enter(&front->gate, &client->pass, connection);
    list_append(&front->clients, &client->link);
    front->counts.connections++;
    socket_address_host_text(connection_remote(connection), host);
    identities_init(&client->identities, bytes_of_text(host), front->options.super_digest);
    zookeeper_watcher_init(front->watches, &client->watcher);
    client->client = client_open(front->node, &callbacks, client);
    client_identify(client->client, identities_lend(&client->identities));
    connection_set_protocol(connection, FRAME_PROTOCOL_ZOOKEEPER, JUTE_FRAME_BYTES_MAX);
    connection_set_handler(connection, &handler, client);
    /* A connection without a session has the time of a handshake. */
    connection_set_state(connection, CONNECTION_HANDSHAKE);
}

void zookeeper_front_end(struct zookeeper_front *front)
{
    gate_open(&front->gate, is_full);
}

void zookeeper_front_finish(struct zookeeper_front *front, const char *reason)
{
    LIST_FOR_EACH (link, &front->clients) {
        struct zookeeper_client *client = CONTAINER_OF(link, struct zookeeper_client, link);

        connection_finish(client->connection, reason);
    }
}

struct zookeeper_counts zookeeper_front_counts(const struct zookeeper_front *front)
{
    struct zookeeper_counts counts = front->counts;
    struct zookeeper_watch_counts watches = zookeeper_watches_count(front->watches);

    counts.watches = watches.watches;
    counts.watched_paths = watches.paths;
    LIST_FOR_EACH (link, &front->clients) {
        counts.watching += CONTAINER_OF(link, struct zookeeper_client, link)->watcher.count > 0;
    }
    return counts;
}

void zookeeper_front_reset_counts(struct zookeeper_front *front)
{
    front->counts.traffic = (struct zookeeper_traffic){.received = 0};
}

void zookeeper_front_each(const struct zookeeper_front *front,
                          bool (*visit)(void *visitor, const struct zookeeper_connection *shown),
                          void *visitor)
{
    LIST_FOR_EACH (link, &front->clients) {
        const struct zookeeper_client *client = CONTAINER_OF(link, struct zookeeper_client, link);

        if (!visit(visitor, &client->shown)) {
            return;
        }
    }
}

void zookeeper_front_reset_connections(struct zookeeper_front *front)
{
    LIST_FOR_EACH (link, &front->clients) {
        struct zookeeper_client *client = CONTAINER_OF(link, struct zookeeper_client, link);

        client->shown.traffic = (struct zookeeper_traffic){.received = 0};
        client->shown.last_type = 0;
    }
}

struct watch_visit {
    bool (*visit)(void *visitor, session_id session, struct bytes path);
    void *visitor;
};

static bool show_watch(void *context, const struct zookeeper_watcher *watcher, struct bytes path)
{
    const struct watch_visit *visit = context;
    const struct zookeeper_client *client =
        CONTAINER_OF(watcher, const struct zookeeper_client, watcher);

    return visit->visit(visit->visitor, client->shown.session, path);
}

void zookeeper_front_each_watch(const struct zookeeper_front *front,
                                bool by_path,
                                bool (*visit)(void *visitor, session_id session, struct bytes path),
                                void *visitor)
{
    struct watch_visit visiting = {.visit = visit, .visitor = visitor};

    if (by_path) {
        zookeeper_watches_each(front->watches, show_watch, &visiting);
        return;
    }
    LIST_FOR_EACH (link, &front->clients) {
        if (!zookeeper_watcher_each(&CONTAINER_OF(link, struct zookeeper_client, link)->watcher,
                                    show_watch, &visiting)) {
            return;
        }
    }
}
