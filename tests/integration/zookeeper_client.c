#include "tests/integration/zookeeper_client.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/check.h"
#include "tests/support/process.h"
#include "tests/support/zookeeper_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PERMISSIONS_ALL = 31,
    CONNECT_DEADLINE_MS = 500, /* for one server: then the next one */
    OPERATIONS_MAX = 3,
    SERVERS_MAX = 9
};

struct zookeeper_client {
    char servers[SERVERS_MAX][32];
    size_t server_count;
    size_t server; /* connected to, or tried next */
    uint32_t session_timeout_ms;
    uint32_t call_timeout_ms;
    zookeeper_client_state *on_state;
    void *argument;
    struct wire wire;
    struct zookeeper_session session;
    bool expired;
    int32_t last_xid;
    /* Of the last call. */
    struct buffer request;
    struct buffer frame;
    struct arena arena;
    struct confer_result result;
    struct confer_operation_result operations[OPERATIONS_MAX];
};

static void split_servers(struct zookeeper_client *client, const char *servers)
{
    while (*servers != '\0') {
        size_t size = strcspn(servers, ",");

        CHECK_OP(client->server_count, <, SERVERS_MAX);
        CHECK_OP(size, <, sizeof client->servers[0]);
        (void)snprintf(client->servers[client->server_count++], sizeof client->servers[0], "%.*s",
                       (int)size, servers);
        servers += size + (servers[size] == ',');
    }
}

struct zookeeper_client *zookeeper_client_new(const char *servers,
                                              uint32_t session_timeout_ms,
                                              uint32_t call_timeout_ms,
                                              zookeeper_client_state *on_state,
                                              void *argument)
{
    struct zookeeper_client *client = xcalloc(1, sizeof *client);

    split_servers(client, servers);
    client->session_timeout_ms = session_timeout_ms;
    client->call_timeout_ms = call_timeout_ms;
    client->on_state = on_state;
    client->argument = argument;
    client->wire.socket = -1;
    arena_init(&client->arena);
    return client;
}

/* --- The session --- */

static void tell(struct zookeeper_client *client, enum confer_state state)
{
    client->on_state(state, (uint64_t)client->session.id, (uint32_t)client->session.timeout_ms,
                     client->argument);
}

static void disconnect(struct zookeeper_client *client)
{
    wire_close(&client->wire);
    client->server = (client->server + 1) % client->server_count;
    tell(client, CONFER_STATE_SUSPENDED);
}

/* One try at the server whose turn it is. */
static bool try_to_connect(struct zookeeper_client *client)
{
    struct zookeeper_session session = client->session;
    bool answered;

    session.timeout_ms = (int32_t)client->session_timeout_ms;
    answered =
        wire_connect_within(&client->wire, client->servers[client->server], CONNECT_DEADLINE_MS) &&
        zookeeper_wire_attach(&client->wire, &session, client->call_timeout_ms);
    if (answered && session.timeout_ms != 0) {
        enum confer_state state =
            client->session.id == 0 ? CONFER_STATE_CONNECTED : CONFER_STATE_RECONNECTED;

        client->session = session;
        tell(client, state);
        return true;
    }
    wire_close(&client->wire);
    client->server = (client->server + 1) % client->server_count;
    if (answered && client->session.id != 0) {
        client->expired = true;
        tell(client, CONFER_STATE_EXPIRED);
    }
    return false;
}

static bool is_connected(struct zookeeper_client *client)
{
    uint64_t end = process_now_ms() + client->call_timeout_ms;

    while (client->wire.socket < 0 && !client->expired && process_now_ms() < end) {
        if (!try_to_connect(client) && !client->expired) {
            process_pause();
        }
    }
    return client->wire.socket >= 0;
}

void zookeeper_client_free(struct zookeeper_client *client)
{
    if (client->wire.socket >= 0) {
        enum jute_error error;

        (void)zookeeper_wire_call(&client->wire, ++client->last_xid, JUTE_TYPE_CLOSE_SESSION,
                                  bytes_of(NULL, 0), &error);
    }
    wire_close(&client->wire);
    buffer_release(&client->request);
    buffer_release(&client->frame);
    arena_release(&client->arena);
    free(client);
}

/* --- Calls --- */

static void begin(struct zookeeper_client *client)
{
    arena_reset(&client->arena);
    buffer_clear(&client->request);
    memset(client->operations, 0, sizeof client->operations);
    client->result = (struct confer_result){.message = "", .server = "", .value = "", .path = ""};
}

static const struct confer_result *end(struct zookeeper_client *client, enum confer_status status)
{
    client->result.status = status;
    if (client->result.operation_count == 1) {
        client->operations[0].status = status;
    }
    client->result.operations = client->operations;
    return &client->result;
}

static enum confer_status status_of(int32_t error)
{
    switch (error) {
    case JUTE_ERROR_OK:
        return CONFER_OK;
    case JUTE_ERROR_NO_NODE:
        return CONFER_NO_NODE;
    case JUTE_ERROR_NODE_EXISTS:
        return CONFER_NODE_EXISTS;
    case JUTE_ERROR_NOT_EMPTY:
        return CONFER_NOT_EMPTY;
    case JUTE_ERROR_BAD_VERSION:
        return CONFER_BAD_VERSION;
    case JUTE_ERROR_NO_CHILDREN_FOR_EPHEMERALS:
        return CONFER_NO_CHILDREN_FOR_EPHEMERALS;
    case JUTE_ERROR_RUNTIME_INCONSISTENCY:
        return CONFER_NOT_EXECUTED;
    case JUTE_ERROR_SYSTEM:
        return CONFER_NO_SPACE;
    default:
        /* Nothing else may come of what is asked here. */
        (void)fprintf(stderr, "a server answered a ZooKeeper client with error %d\n", (int)error);
        abort();
    }
}

static void put_path(struct zookeeper_client *client, const char *path)
{
    jute_put_buffer(&client->request, bytes_of_text(path), false);
}

/* Send what stands in the request, after a sync if asked for, and wait for the answer. */
static enum confer_status
call(struct zookeeper_client *client, enum jute_type type, bool sync, struct reader *ret_body)
{
    struct zookeeper_answer answer;
    struct buffer frames = BUFFER_INIT;
    bool sent;

    if (!is_connected(client)) {
        return CONFER_UNREACHABLE;
    }
    if (sync) {
        struct buffer path = BUFFER_INIT;

        jute_put_buffer(&path, bytes_of_text("/"), false);
        zookeeper_wire_put_request(&frames, ++client->last_xid, JUTE_TYPE_SYNC, buffer_lend(&path));
        buffer_release(&path);
    }
    zookeeper_wire_put_request(&frames, ++client->last_xid, (int32_t)type,
                               buffer_lend(&client->request));
    sent = wire_send(&client->wire, buffer_lend(&frames));
    buffer_release(&frames);
    if (!sent || !zookeeper_wire_answer(&client->wire, client->last_xid, client->call_timeout_ms,
                                        &client->frame, &answer)) {
        disconnect(client);
        return CONFER_UNKNOWN_OUTCOME;
    }
    client->session.seen = answer.zxid > client->session.seen ? answer.zxid : client->session.seen;
    client->result.zxid = (uint64_t)answer.zxid;
    client->result.server = client->servers[client->server];
    *ret_body = reader_of(answer.body);
    return status_of(answer.error);
}

static struct confer_stat read_stat(struct reader *reader)
{
    struct confer_stat stat;

    stat.czxid = (uint64_t)jute_read_long(reader);
    stat.mzxid = (uint64_t)jute_read_long(reader);
    stat.ctime_ms = (uint64_t)jute_read_long(reader);
    stat.mtime_ms = (uint64_t)jute_read_long(reader);
    stat.version = jute_read_int(reader);
    stat.cversion = jute_read_int(reader);
    stat.aversion = jute_read_int(reader);
    stat.ephemeral_owner = (uint64_t)jute_read_long(reader);
    stat.value_bytes = (uint32_t)jute_read_int(reader);
    stat.child_count = (uint32_t)jute_read_int(reader);
    stat.pzxid = (uint64_t)jute_read_long(reader);
    return stat;
}

const struct confer_result *
zookeeper_client_get(struct zookeeper_client *client, const char *path, bool linearizable)
{
    enum confer_status status;
    struct reader body;

    begin(client);
    put_path(client, path);
    jute_put_bool(&client->request, false);
    status = call(client, JUTE_TYPE_GET_DATA, linearizable, &body);
    if (status == CONFER_OK) {
        struct bytes value = jute_read_buffer(&body, &client->result.value_is_null);

        client->result.exists = true;
        client->result.value_bytes = value.size;
        client->result.value = arena_text(&client->arena, value);
        client->result.stat = read_stat(&body);
        CHECK(!body.failed);
    }
    return end(client, status);
}

const struct confer_result *zookeeper_client_list(struct zookeeper_client *client, const char *path)
{
    enum confer_status status;
    struct confer_node *nodes;
    struct reader body;

    begin(client);
    put_path(client, path);
    jute_put_bool(&client->request, false);
    status = call(client, JUTE_TYPE_GET_CHILDREN_2, true, &body);
    if (status == CONFER_OK) {
        client->result.node_count = jute_read_count(&body, 4, NULL);
        nodes = arena_calloc(&client->arena, client->result.node_count, sizeof *nodes);
        for (size_t i = 0; i < client->result.node_count; i++) {
            nodes[i].name = arena_text(&client->arena, jute_read_buffer(&body, NULL));
        }
        client->result.nodes = nodes;
        client->result.stat = read_stat(&body);
        CHECK(!body.failed);
    }
    return end(client, status);
}

/* --- Writes --- */

static void read_written(struct zookeeper_client *client, size_t position, struct reader *body)
{
    client->operations[position].has_stat = true;
    client->operations[position].stat = read_stat(body);
    CHECK(!body->failed);
}

static void
put_set(struct zookeeper_client *client, const char *path, const char *value, int32_t expected)
{
    put_path(client, path);
    jute_put_buffer(&client->request, bytes_of_text(value), false);
    jute_put_int(&client->request, expected);
}

const struct confer_result *zookeeper_client_set(struct zookeeper_client *client,
                                                 const char *path,
                                                 const char *value,
                                                 int32_t expected)
{
    enum confer_status status;
    struct reader body;

    begin(client);
    client->result.operation_count = 1;
    put_set(client, path, value, expected);
    status = call(client, JUTE_TYPE_SET_DATA, false, &body);
    if (status == CONFER_OK) {
        read_written(client, 0, &body);
        client->result.stat = client->operations[0].stat;
    }
    return end(client, status);
}

const struct confer_result *zookeeper_client_create(struct zookeeper_client *client,
                                                    const char *path,
                                                    const char *value,
                                                    enum confer_mode mode)
{
    static const int32_t flags[] = {[CONFER_PERSISTENT] = 0,
                                    [CONFER_EPHEMERAL] = 1,
                                    [CONFER_PERSISTENT_SEQUENTIAL] = 2,
                                    [CONFER_EPHEMERAL_SEQUENTIAL] = 3};
    static const struct jute_acl_entry open = {
        .permissions = PERMISSIONS_ALL,
        .scheme = {.data = (const uint8_t *)"world", .size = 5},
        .id = {.data = (const uint8_t *)"anyone", .size = 6}};
    enum confer_status status;
    struct reader body;

    begin(client);
    client->result.operation_count = 1;
    put_path(client, path);
    jute_put_buffer(&client->request, bytes_of_text(value), false);
    jute_put_int(&client->request, 1);
    jute_put_acl_entry(&client->request, &open);
    jute_put_int(&client->request, flags[mode]);
    status = call(client, JUTE_TYPE_CREATE_2, false, &body);
    if (status == CONFER_OK) {
        client->result.path = arena_text(&client->arena, jute_read_buffer(&body, NULL));
        client->operations[0].path = client->result.path;
        read_written(client, 0, &body);
        client->result.stat = client->operations[0].stat;
    }
    return end(client, status);
}

const struct confer_result *zookeeper_client_remove(struct zookeeper_client *client,
                                                    const char *path)
{
    struct reader body;

    begin(client);
    client->result.operation_count = 1;
    put_path(client, path);
    jute_put_int(&client->request, CONFER_ANY_VERSION);
    return end(client, call(client, JUTE_TYPE_DELETE, false, &body));
}

static void put_multi_header(struct zookeeper_client *client, int32_t type, bool done)
{
    jute_put_multi_header(&client->request,
                          (struct jute_multi_header){.type = type, .done = done, .error = -1});
}

/* Returns what the whole came to. */
static enum confer_status read_multi(struct zookeeper_client *client, struct reader *body)
{
    enum confer_status whole = CONFER_OK;

    for (size_t i = 0; i < client->result.operation_count; i++) {
        struct jute_multi_header header = jute_read_multi_header(body);
        enum confer_status status = CONFER_OK;

        CHECK(!body->failed && !header.done);
        if (header.type == JUTE_TYPE_SET_DATA) {
            read_written(client, i, body);
        } else if (header.type == JUTE_TYPE_ERROR) {
            status = status_of(jute_read_int(body));
        }
        client->operations[i].status = status;
        if (status != CONFER_OK && status != CONFER_NOT_EXECUTED) {
            whole = status;
        }
    }
    return whole;
}

const struct confer_result *zookeeper_client_set_both(struct zookeeper_client *client,
                                                      const char *const paths[2],
                                                      int32_t expected,
                                                      const char *const values[2])
{
    enum confer_status status;
    struct reader body;

    begin(client);
    client->result.operation_count = 3;
    put_multi_header(client, JUTE_TYPE_CHECK, false);
    put_path(client, paths[0]);
    jute_put_int(&client->request, expected);
    for (size_t i = 0; i < 2; i++) {
        put_multi_header(client, JUTE_TYPE_SET_DATA, false);
        put_set(client, paths[i], values[i], CONFER_ANY_VERSION);
    }
    put_multi_header(client, JUTE_TYPE_ERROR, true);
    status = call(client, JUTE_TYPE_MULTI, false, &body);
    if (status == CONFER_OK) {
        status = read_multi(client, &body);
    }
    return end(client, status);
}
