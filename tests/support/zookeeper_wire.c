#include "tests/support/zookeeper_wire.h"

#include "tests/support/process.h"

#include <string.h>

enum { ANSWER_DEADLINE_MS = 30000, TIMEOUT_MS = 30000 };

void zookeeper_wire_put_connect(
    struct buffer *frames, int64_t session, struct bytes password, int64_t seen, int32_t timeout_ms)
{
    size_t begin = jute_begin_frame(frames);

    jute_put_int(frames, 0); /* protocol version */
    jute_put_long(frames, seen);
    jute_put_int(frames, timeout_ms);
    jute_put_long(frames, session);
    jute_put_buffer(frames, password, false);
    jute_put_bool(frames, false);
    jute_end_frame(frames, begin);
}

static bool read_connect_response(struct bytes frame, struct zookeeper_session *session)
{
    struct reader reader = reader_of(frame);
    struct bytes password;

    (void)jute_read_int(&reader);
    session->timeout_ms = jute_read_int(&reader);
    session->id = jute_read_long(&reader);
    password = jute_read_buffer(&reader, NULL);
    if (reader.failed || password.size != sizeof session->password) {
        return false;
    }
    memcpy(session->password, password.data, password.size);
    return true;
}

bool zookeeper_wire_attach(struct wire *wire,
                           struct zookeeper_session *session,
                           unsigned deadline_ms)
{
    struct buffer frame = BUFFER_INIT;
    bool answered;

    zookeeper_wire_put_connect(&frame, session->id,
                               bytes_of(session->password, sizeof session->password), session->seen,
                               session->timeout_ms != 0 ? session->timeout_ms : TIMEOUT_MS);
    answered = wire_send(wire, buffer_lend(&frame)) &&
               zookeeper_wire_receive(wire, &frame, deadline_ms) &&
               read_connect_response(buffer_lend(&frame), session);
    buffer_release(&frame);
    return answered;
}

bool zookeeper_wire_connect(struct wire *wire,
                            const char *address,
                            struct zookeeper_session *session)
{
    return wire_connect(wire, address) && zookeeper_wire_attach(wire, session, ANSWER_DEADLINE_MS);
}

void zookeeper_wire_put_request(struct buffer *frames, int32_t xid, int32_t type, struct bytes body)
{
    size_t begin = jute_begin_frame(frames);

    jute_put_int(frames, xid);
    jute_put_int(frames, type);
    buffer_put(frames, body);
    jute_end_frame(frames, begin);
}

bool zookeeper_wire_receive(struct wire *wire, struct buffer *frame, unsigned deadline_ms)
{
    uint8_t head[JUTE_FRAME_HEAD_BYTES];
    uint32_t size;

    buffer_clear(frame);
    if (!wire_receive(wire, head, sizeof head, deadline_ms)) {
        return false;
    }
    size = bytes_load_u32(head);
    return size > 0 && size <= 2 * JUTE_FRAME_BYTES_MAX &&
           wire_receive(wire, buffer_extend(frame, size), size, deadline_ms);
}

bool zookeeper_wire_answer(struct wire *wire,
                           int32_t xid,
                           unsigned deadline_ms,
                           struct buffer *frame,
                           struct zookeeper_answer *ret_answer)
{
    uint64_t end = process_now_ms() + deadline_ms;
    uint64_t now;

    while ((now = process_now_ms()) < end &&
           zookeeper_wire_receive(wire, frame, (unsigned)(end - now))) {
        struct reader reader = reader_of(buffer_lend(frame));

        if (jute_read_int(&reader) == xid) {
            ret_answer->zxid = jute_read_long(&reader);
            ret_answer->error = (enum jute_error)jute_read_int(&reader);
            ret_answer->body = reader.rest;
            return !reader.failed;
        }
    }
    return false;
}

bool zookeeper_wire_call(
    struct wire *wire, int32_t xid, int32_t type, struct bytes body, enum jute_error *ret_error)
{
    struct zookeeper_answer answer = {.error = JUTE_ERROR_OK};
    struct buffer frame = BUFFER_INIT;
    bool answered;

    zookeeper_wire_put_request(&frame, xid, type, body);
    answered = wire_send(wire, buffer_lend(&frame)) &&
               zookeeper_wire_answer(wire, xid, ANSWER_DEADLINE_MS, &frame, &answer);
    if (answered) {
        *ret_error = answer.error;
    }
    buffer_release(&frame);
    return answered;
}
