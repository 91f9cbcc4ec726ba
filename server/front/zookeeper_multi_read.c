#include "server/front/zookeeper_multi_read.h"

#include "base/clock.h"
#include "proto/jute.h"
#include "server/front/zookeeper_encode.h"

enum { REPLY_HEAD_BYTES = JUTE_FRAME_HEAD_BYTES + 16, END_BYTES = 9 };

/* What there is no word for closes the connection. */
static void put_error(struct zookeeper_multi_read *reading, Client__Code code)
{
    enum jute_error error = JUTE_ERROR_SYSTEM;

    if (!zookeeper_error_of(code, &error)) {
        reading->trouble = "the server cannot read";
    }
    jute_put_multi_header(&reading->output, (struct jute_multi_header){.type = JUTE_TYPE_ERROR,
                                                                       .error = (int32_t)error});
    jute_put_int(&reading->output, (int32_t)error);
}

static void
put_data(struct zookeeper_multi_read *reading, const struct client *client, struct bytes path)
{
    struct state_node *node = NULL;
    Client__Code code = client_read(client, path, STATE_PERMISSION_READ, &node);

    if (code != CLIENT__CODE__OK) {
        put_error(reading, code);
        return;
    }
    jute_put_multi_header(&reading->output, (struct jute_multi_header){.type = JUTE_TYPE_GET_DATA});
    zookeeper_put_data(&reading->output, node);
    state_node_unref(node);
}

static void
put_children(struct zookeeper_multi_read *reading, const struct client *client, struct bytes path)
{
    struct state_children children = {.count = 0};
    struct arena arena;
    Client__Code code;

    arena_init(&arena);
    code = client_list(client, path, &arena, &children);
    if (code == CLIENT__CODE__OK && children.more) {
        code = CLIENT__CODE__UNREADABLE; /* more than fits into an answer */
    }
    if (code == CLIENT__CODE__OK) {
        jute_put_multi_header(&reading->output,
                              (struct jute_multi_header){.type = JUTE_TYPE_GET_CHILDREN});
        zookeeper_put_names(&reading->output, &children);
    } else {
        put_error(reading, code);
    }
    arena_release(&arena);
}

static void finish(struct zookeeper_multi_read *reading, enum jute_error error)
{
    reading->error = error;
    reading->is_done = true;
}

static void read_one(struct zookeeper_multi_read *reading, const struct client *client)
{
    struct jute_multi_header header = jute_read_multi_header(&reading->reader);
    struct bytes path;

    if (!reading->reader.failed && header.done) {
        jute_put_multi_header(
            &reading->output,
            (struct jute_multi_header){.type = JUTE_TYPE_ERROR, .done = true, .error = -1});
        finish(reading, JUTE_ERROR_OK);
        return;
    }
    path = jute_read_buffer(&reading->reader, NULL);
    /* A watch, which ZooKeeper does not leave here either. */
    (void)jute_read_bool(&reading->reader);
    if (!reading->reader.failed && header.type == JUTE_TYPE_GET_DATA) {
        put_data(reading, client, path);
    } else if (!reading->reader.failed && header.type == JUTE_TYPE_GET_CHILDREN) {
        put_children(reading, client, path);
    } else {
        finish(reading, JUTE_ERROR_MARSHALLING);
    }
}

void zookeeper_multi_read_go_on(struct zookeeper_multi_read *reading,
                                const struct client *client,
                                const struct zookeeper_details *details,
                                uint64_t end_us)
{
    if (!reading->is_begun) {
        reading->is_begun = true;
        reading->reader = reader_of(details->body);
    }
    while (!reading->is_done) {
        read_one(reading, client);
        if (reading->trouble != NULL) {
            finish(reading, JUTE_ERROR_SYSTEM);
        } else if (reading->output.size > JUTE_FRAME_BYTES_MAX - REPLY_HEAD_BYTES - END_BYTES &&
                   !reading->is_done) {
            finish(reading, JUTE_ERROR_MARSHALLING); /* the answer is too large to be sent */
        }
        if (clock_monotonic_us() >= end_us) {
            return;
        }
    }
}

void zookeeper_multi_read_reset(struct zookeeper_multi_read *reading)
{
    buffer_release(&reading->output);
    *reading = (struct zookeeper_multi_read){.is_begun = false};
}
