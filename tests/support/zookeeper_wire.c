#include "tests/support/zookeeper_wire.h"

#include "tests/support/process.h"

#include <string.h>

enum { ANSWER_DEADLINE_MS = 30000, TIMEOUT_MS = 30000 };

void zookeeper_wire_put_connect(struct buffer *frames,
                                int64_t session,
                                struct bytes password,
                                int32_t timeout_ms)
{
    size_t begin = jute_begin_frame(frames);

    jute_put_int(frames, 0);  /* protocol version */
    jute_put_long(frames, 0); /* last zxid seen */
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

bool zookeeper_wire_connect(struct wire *wire,
                            const char *address,
                            struct zookeeper_session *session)
{
    struct buffer frame = BUFFER_INIT;
    bool answered;

    zookeeper_wire_put_connect(&frame, session->id,
                               bytes_of(session->password, sizeof session->password), TIMEOUT_MS);
    answered = wire_connect(wire, address) && wire_send(wire, buffer_lend(&frame)) &&
               zookeeper_wire_receive(wire, &frame, ANSWER_DEADLINE_MS) &&
               read_connect_response(buffer_lend(&frame), session);
    buffer_release(&frame);
    return answered;
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

bool zookeeper_wire_call(
    struct wire *wire, int32_t xid, int32_t type, struct bytes body, enum jute_error *ret_error)
{
    uint64_t end = process_now_ms() + ANSWER_DEADLINE_MS;
    struct buffer frame = BUFFER_INIT;
    bool answered = false;

    zookeeper_wire_put_request(&frame, xid, type, body);
    if (wire_send(wire, buffer_lend(&frame))) {
        while (!answered && process_now_ms() < end &&
               zookeeper_wire_receive(wire, &frame, ANSWER_DEADLINE_MS)) {
            struct reader reader = reader_of(buffer_lend(&frame));

            if (jute_read_int(&reader) == xid) {
                (void)jute_read_long(&reader);
                *ret_error = (enum jute_error)jute_read_int(&reader);
                answered = !reader.failed;
            }
        }
    }
    buffer_release(&frame);
    return answered;
}
