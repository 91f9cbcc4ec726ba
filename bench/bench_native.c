#include "bench/bench_options.h"

#include "proto/client.pb-c.h"
#include "proto/field.h"
#include "proto/frame.h"

#include <string.h>

static void begin(struct bench_connection *connection)
{
    buffer_put(&connection->output, bytes_of(frame_client_preface, FRAME_PREFACE_BYTES));
    connection->is_begun = true;
}

/* Field numbers; path and level are those of Get and List. */
enum {
    REQUEST_ID = 1,
    READ_PATH = 1,
    READ_LEVEL = 2,
    RESPONSE_ID = 1,
    RESPONSE_CODE = 2,
    EVENTS_EVENTS = 2
};

/* What stands before a body of so many bytes; returns where that goes. The generator has to cost
 * little beside a server: reads are written field by field, of other requests protobuf-c packs the
 * body alone, and of answers only what is looked at is read. */
static uint8_t *
put_head(struct bench_connection *connection, Client__Request__BodyCase body, size_t body_bytes)
{
    uint64_t id = ++connection->last_id;
    size_t size =
        field_number_bytes(REQUEST_ID, id) + field_message_bytes((uint32_t)body, body_bytes);
    uint8_t *to = buffer_extend(&connection->output, FRAME_CLIENT_HEAD_BYTES + size);

    frame_client_put_head(to, (uint32_t)size);
    to = field_put_number(to + FRAME_CLIENT_HEAD_BYTES, REQUEST_ID, id);
    return field_put_message_head(to, (uint32_t)body, body_bytes);
}

static void put_request(struct bench_connection *connection,
                        Client__Request__BodyCase body,
                        const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);

    (void)protobuf_c_message_pack(message, put_head(connection, body, size));
}

static void put_read(struct bench_connection *connection,
                     Client__Request__BodyCase body,
                     const char *path,
                     Client__ReadLevel level)
{
    struct bytes text = bytes_of_text(path);
    size_t size = field_bytes_bytes(READ_PATH, text) + field_number_bytes(READ_LEVEL, level);
    uint8_t *to = field_put_bytes(put_head(connection, body, size), READ_PATH, text);

    (void)field_put_number(to, READ_LEVEL, level);
}

static ProtobufCBinaryData binary(const void *data, size_t size)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)data, .len = size};
}

static void put_write(struct bench_connection *connection, Record__Operation *operation)
{
    Client__Write write = CLIENT__WRITE__INIT;

    write.n_operations = 1;
    write.operations = &operation;
    put_request(connection, CLIENT__REQUEST__BODY_WRITE, &write.base);
}

static void
put(struct bench_connection *connection, enum bench_op op, const char *path, struct bytes value)
{
    Record__Operation operation = RECORD__OPERATION__INIT;
    Record__Set set = RECORD__SET__INIT;
    Record__Create create = RECORD__CREATE__INIT;

    switch (op) {
    case BENCH_SET:
        set.path = binary(path, strlen(path));
        set.value = binary(value.data, value.size);
        set.version = -1;
        operation.kind_case = RECORD__OPERATION__KIND_SET;
        operation.set = &set;
        put_write(connection, &operation);
        break;
    case BENCH_CREATE:
        create.path = binary(path, strlen(path));
        create.value = binary(value.data, value.size);
        operation.kind_case = RECORD__OPERATION__KIND_CREATE;
        operation.create = &create;
        put_write(connection, &operation);
        break;
    case BENCH_GET:
        put_read(connection, CLIENT__REQUEST__BODY_GET, path, CLIENT__READ_LEVEL__LOCAL);
        break;
    case BENCH_LINEARIZABLE_GET:
        put_read(connection, CLIENT__REQUEST__BODY_GET, path, CLIENT__READ_LEVEL__LINEARIZABLE);
        break;
    case BENCH_LIST:
        put_read(connection, CLIENT__REQUEST__BODY_LIST, path, CLIENT__READ_LEVEL__LOCAL);
        break;
    }
}

static void put_session(struct bench_connection *connection)
{
    Client__OpenSession open = CLIENT__OPEN_SESSION__INIT;

    open.timeout_ms = (uint32_t)bench_options.session_timeout_ms;
    put_request(connection, CLIENT__REQUEST__BODY_OPEN_SESSION, &open.base);
}

static void put_watch(struct bench_connection *connection, const char *path)
{
    Client__Watch watch = CLIENT__WATCH__INIT;

    watch.watch = connection->last_id + 1;
    watch.path = binary(path, strlen(path));
    put_request(connection, CLIENT__REQUEST__BODY_WATCH, &watch.base);
}

static void put_ping(struct bench_connection *connection)
{
    Client__Ping ping = CLIENT__PING__INIT;

    put_request(connection, CLIENT__REQUEST__BODY_PING, &ping.base);
}

static size_t count_events(struct bytes events)
{
    struct reader reader = reader_of(events);
    struct field field = {.number = 0};
    size_t count = 0;

    while (field_read(&reader, &field)) {
        count += field.number == EVENTS_EVENTS;
    }
    return count;
}

static bool read_answer(struct bytes frame, struct bench_answer *answer)
{
    struct reader reader = reader_of(frame);
    struct field field = {.number = 0};
    uint64_t code = CLIENT__CODE__OK;

    *answer = (struct bench_answer){.id = 0};
    while (field_read(&reader, &field)) {
        if (field.number == RESPONSE_ID) {
            answer->id = field.value;
        } else if (field.number == RESPONSE_CODE) {
            code = field.value;
        } else if (field.number == CLIENT__RESPONSE__BODY_EVENTS && field.type == FIELD_BYTES) {
            answer->events = count_events(field.bytes);
        }
    }
    answer->is_ok = code == CLIENT__CODE__OK;
    answer->exists_already = code == CLIENT__CODE__NODE_EXISTS;
    answer->is_busy = code == CLIENT__CODE__BUSY;
    return reader_finish(&reader) == STATUS_OK;
}

static bool take(struct bench_connection *connection, struct bench_answer *ret_answer)
{
    struct bytes frame;

    if (!bench_connection_take(connection, &frame)) {
        return false;
    }
    if (!read_answer(frame, ret_answer)) {
        bench_die("the server sent no response of its protocol", "");
    }
    return true;
}

const struct bench_protocol bench_native = {.name = "native",
                                            .begin = begin,
                                            .put = put,
                                            .put_session = put_session,
                                            .put_watch = put_watch,
                                            .put_ping = put_ping,
                                            .take = take};
