#include "bench/bench_options.h"

#include "proto/jute.h"

enum {
    PERMISSIONS_ALL = 31,
    SYNC_MARK = 1 << 30 /* in the number of a sync, whose answer does not count */
};

static void begin(struct bench_connection *connection)
{
    static const uint8_t no_password[JUTE_PASSWORD_BYTES];
    struct buffer *output = &connection->output;
    size_t frame = jute_begin_frame(output);

    jute_put_int(output, 0);  /* version */
    jute_put_long(output, 0); /* last zxid seen */
    jute_put_int(output, (int32_t)bench_options.session_timeout_ms);
    jute_put_long(output, 0); /* session: a new one */
    jute_put_buffer(output, bytes_of(no_password, sizeof no_password), false);
    jute_put_bool(output, false);
    jute_end_frame(output, frame);
}

static size_t
put_head(struct bench_connection *connection, uint64_t id, enum jute_type type, const char *path)
{
    size_t frame = jute_begin_frame(&connection->output);

    jute_put_int(&connection->output, (int32_t)id);
    jute_put_int(&connection->output, (int32_t)type);
    jute_put_buffer(&connection->output, bytes_of_text(path), false);
    return frame;
}

static void
put(struct bench_connection *connection, enum bench_op op, const char *path, struct bytes value)
{
    static const struct jute_acl_entry open = {
        .permissions = PERMISSIONS_ALL,
        .scheme = {.data = (const uint8_t *)"world", .size = 5},
        .id = {.data = (const uint8_t *)"anyone", .size = 6}};
    struct buffer *output = &connection->output;
    uint64_t id = ++connection->last_id;
    size_t frame;

    switch (op) {
    case BENCH_SET:
        frame = put_head(connection, id, JUTE_TYPE_SET_DATA, path);
        jute_put_buffer(output, value, false);
        jute_put_int(output, -1);
        break;
    case BENCH_CREATE:
        frame = put_head(connection, id, JUTE_TYPE_CREATE, path);
        jute_put_buffer(output, value, false);
        jute_put_int(output, 1);
        jute_put_acl_entry(output, &open);
        jute_put_int(output, 0);
        break;
    case BENCH_LINEARIZABLE_GET:
        frame = put_head(connection, id | SYNC_MARK, JUTE_TYPE_SYNC, path);
        jute_end_frame(output, frame);
        frame = put_head(connection, id, JUTE_TYPE_GET_DATA, path);
        jute_put_bool(output, false);
        break;
    case BENCH_LIST:
        frame = put_head(connection, id, JUTE_TYPE_GET_CHILDREN, path);
        jute_put_bool(output, false);
        break;
    case BENCH_GET:
    default:
        frame = put_head(connection, id, JUTE_TYPE_GET_DATA, path);
        jute_put_bool(output, false);
        break;
    }
    jute_end_frame(output, frame);
}

/* A connection is a session. */
static void put_session(struct bench_connection *connection)
{
    (void)connection;
}

static void put_watch(struct bench_connection *connection, const char *path)
{
    size_t frame = put_head(connection, ++connection->last_id, JUTE_TYPE_GET_DATA, path);

    jute_put_bool(&connection->output, true);
    jute_end_frame(&connection->output, frame);
}

static void put_ping(struct bench_connection *connection)
{
    size_t frame = jute_begin_frame(&connection->output);

    connection->last_id++;
    jute_put_int(&connection->output, JUTE_XID_PING);
    jute_put_int(&connection->output, JUTE_TYPE_PING);
    jute_end_frame(&connection->output, frame);
}

static struct bench_answer
read_answer(struct bench_connection *connection, int32_t xid, int32_t error)
{
    if (xid == JUTE_XID_NOTIFICATION) {
        return (struct bench_answer){.events = 1};
    }
    if (xid == JUTE_XID_PING) {
        return (struct bench_answer){.id = connection->last_id, .is_ok = true};
    }
    if (xid <= 0 || (xid & SYNC_MARK) != 0) {
        return (struct bench_answer){.id = 0};
    }
    return (struct bench_answer){.id = (uint64_t)xid,
                                 .is_ok = error == JUTE_ERROR_OK,
                                 .exists_already = error == JUTE_ERROR_NODE_EXISTS};
}

static bool take(struct bench_connection *connection, struct bench_answer *ret_answer)
{
    struct bytes frame;
    struct reader reader;
    int32_t xid;
    int32_t error;

    if (!bench_connection_take(connection, &frame)) {
        return false;
    }
    if (!connection->is_begun) {
        connection->is_begun = true;
        *ret_answer = (struct bench_answer){.has_begun = true};
        return true;
    }
    reader = reader_of(frame);
    xid = jute_read_int(&reader);
    (void)jute_read_long(&reader);
    error = jute_read_int(&reader);
    if (reader.failed) {
        bench_die("the server sent no answer of ZooKeeper's protocol", "");
    }
    *ret_answer = read_answer(connection, xid, error);
    return true;
}

const struct bench_protocol bench_zookeeper = {.name = "zookeeper",
                                               .begin = begin,
                                               .put = put,
                                               .put_session = put_session,
                                               .put_watch = put_watch,
                                               .put_ping = put_ping,
                                               .watches_once = true,
                                               .take = take};
