#include "bench/bench_options.h"

#include "proto/client.pb-c.h"
#include "proto/frame.h"

#include <string.h>

static void begin(struct bench_connection *connection)
{
    buffer_put(&connection->output, bytes_of(frame_client_preface, FRAME_PREFACE_BYTES));
    connection->is_begun = true;
}

static void put_request(struct bench_connection *connection, Client__Request *request)
{
    size_t size;
    uint8_t *frame;

    request->id = ++connection->last_id;
    size = client__request__get_packed_size(request);
    frame = buffer_extend(&connection->output, FRAME_CLIENT_HEAD_BYTES + size);
    frame_client_put_head(frame, (uint32_t)size);
    (void)client__request__pack(request, frame + FRAME_CLIENT_HEAD_BYTES);
}

static ProtobufCBinaryData field(const void *data, size_t size)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)data, .len = size};
}

static void put_write(struct bench_connection *connection, Record__Operation *operation)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Write write = CLIENT__WRITE__INIT;

    write.n_operations = 1;
    write.operations = &operation;
    request.body_case = CLIENT__REQUEST__BODY_WRITE;
    request.write = &write;
    put_request(connection, &request);
}

static void
put(struct bench_connection *connection, enum bench_op op, const char *path, struct bytes value)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Record__Operation operation = RECORD__OPERATION__INIT;
    Record__Set set = RECORD__SET__INIT;
    Record__Create create = RECORD__CREATE__INIT;
    Client__Get get = CLIENT__GET__INIT;
    Client__List list = CLIENT__LIST__INIT;

    switch (op) {
    case BENCH_SET:
        set.path = field(path, strlen(path));
        set.value = field(value.data, value.size);
        set.version = -1;
        operation.kind_case = RECORD__OPERATION__KIND_SET;
        operation.set = &set;
        put_write(connection, &operation);
        break;
    case BENCH_CREATE:
        create.path = field(path, strlen(path));
        create.value = field(value.data, value.size);
        operation.kind_case = RECORD__OPERATION__KIND_CREATE;
        operation.create = &create;
        put_write(connection, &operation);
        break;
    case BENCH_GET:
    case BENCH_LINEARIZABLE_GET:
        get.path = field(path, strlen(path));
        get.level = op == BENCH_GET ? CLIENT__READ_LEVEL__LOCAL : CLIENT__READ_LEVEL__LINEARIZABLE;
        request.body_case = CLIENT__REQUEST__BODY_GET;
        request.get = &get;
        put_request(connection, &request);
        break;
    case BENCH_LIST:
        list.path = field(path, strlen(path));
        request.body_case = CLIENT__REQUEST__BODY_LIST;
        request.list = &list;
        put_request(connection, &request);
        break;
    }
}

static void put_session(struct bench_connection *connection)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__OpenSession open = CLIENT__OPEN_SESSION__INIT;

    open.timeout_ms = (uint32_t)bench_options.session_timeout_ms;
    request.body_case = CLIENT__REQUEST__BODY_OPEN_SESSION;
    request.open_session = &open;
    put_request(connection, &request);
}

static void put_watch(struct bench_connection *connection, const char *path)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Watch watch = CLIENT__WATCH__INIT;

    watch.watch = connection->last_id + 1;
    watch.path = field(path, strlen(path));
    request.body_case = CLIENT__REQUEST__BODY_WATCH;
    request.watch = &watch;
    put_request(connection, &request);
}

static void put_ping(struct bench_connection *connection)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Ping ping = CLIENT__PING__INIT;

    request.body_case = CLIENT__REQUEST__BODY_PING;
    request.ping = &ping;
    put_request(connection, &request);
}

static struct bench_answer answer_of(const Client__Response *response)
{
    return (struct bench_answer){.id = response->id,
                                 .is_ok = response->code == CLIENT__CODE__OK,
                                 .exists_already = response->code == CLIENT__CODE__NODE_EXISTS,
                                 .is_busy = response->code == CLIENT__CODE__BUSY,
                                 .events = response->body_case == CLIENT__RESPONSE__BODY_EVENTS
                                               ? response->events->n_events
                                               : 0};
}

static bool take(struct bench_connection *connection, struct bench_answer *ret_answer)
{
    struct bytes frame;
    Client__Response *response;

    if (!bench_connection_take(connection, &frame)) {
        return false;
    }
    response = client__response__unpack(NULL, frame.size, frame.data);
    if (response != NULL) {
        *ret_answer = answer_of(response);
        client__response__free_unpacked(response, NULL);
    } else {
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
