/* The front between a socket and a node that the test plays: what the client sent is submitted,
 * what the node answers arrives. Included once in a test program. */
#ifndef TESTS_UNIT_FRONT_NATIVE_FRONT_LAB_H
#define TESTS_UNIT_FRONT_NATIVE_FRONT_LAB_H

#include "base/alloc.h"
#include "server/front/native_front.h"
#include "tests/support/state_lab.h"
#include "tests/unit/net/net_lab.h"

#include <stdlib.h>

/* --- The node --- */

enum { REQUESTS_MAX = 4096, OUTPUT_BYTES_MAX = 4 * 1024 * 1024 };

struct client {
    struct client_callbacks callbacks;
    void *context;
};

static struct {
    struct client *client; /* the last one opened, NULL when closed */
    unsigned opened;
    unsigned closed;
    unsigned let_go; /* how often, of three times that it takes */
    struct request *requests[REQUESTS_MAX];
    size_t submitted;
    size_t answered;
    size_t full_at; /* unanswered requests */
    size_t identities;
} fake;

struct client *
client_open(struct node *node, const struct client_callbacks *callbacks, void *context)
{
    (void)node;
    fake.client = xcalloc(1, sizeof *fake.client);
    fake.client->callbacks = *callbacks;
    fake.client->context = context;
    fake.opened++;
    fake.let_go = 0;
    return fake.client;
}

bool client_let_go(struct client *client)
{
    EXPECT(client == fake.client);
    fake.let_go++;
    return fake.let_go >= 3;
}

void client_close(struct client *client)
{
    EXPECT(client == fake.client);
    for (; fake.answered < fake.submitted; fake.answered++) {
        request_free(fake.requests[fake.answered]);
    }
    free(client);
    fake.client = NULL;
    fake.closed++;
    EXPECT_EQ(fake.let_go, 3);
}

void client_identify(struct client *client, struct state_identities identities)
{
    EXPECT(client == fake.client);
    fake.identities = identities.count;
    EXPECT_BYTES(identities.items[0].scheme, bytes_of_text("ip"));
}

bool client_may(const struct client *client, const struct state_node *node, unsigned permissions)
{
    (void)client;
    return state_node_permits(node, permissions, (struct state_identities){.count = 0});
}

void client_submit(struct client *client, struct request *request)
{
    EXPECT(client == fake.client);
    EXPECT(fake.submitted - fake.answered < fake.full_at);
    fake.requests[fake.submitted++] = request;
}

static inline bool output_is_full(const struct client *client)
{
    return client->callbacks.output_bytes(client->context) > OUTPUT_BYTES_MAX;
}

bool client_is_full(const struct client *client)
{
    return fake.submitted - fake.answered >= fake.full_at || output_is_full(client);
}

/* --- The bench --- */

struct bench {
    struct lab lab;
    struct native_front *front;
    struct connection *connection;
    int far;
    struct buffer came;
    size_t read; /* bytes of `came` that were looked at */
    uint64_t last_id;
};

static inline void bench_init_from(struct bench *bench,
                                   struct socket_address remote,
                                   const struct native_front_options *options)
{
    static const struct connection_handler nobody = {.on_frame = NULL};
    int ends[2];

    memset(bench, 0, sizeof *bench);
    memset(&fake, 0, sizeof fake);
    fake.full_at = 1000;
    lab_init(&bench->lab, NULL);
    bench->front = native_front_new(NULL, options);
    lab_socket_pair(ends);
    bench->far = ends[0];
    bench->connection =
        connection_new(&bench->lab.loop, ends[1], &remote, CONNECTION_PREFACE, &nobody, NULL);
    native_front_take(bench->front, bench->connection);
    EXPECT_EQ(fake.opened, 1);
    EXPECT_EQ(fake.identities, 1); /* the address */
}

static inline void bench_init(struct bench *bench)
{
    bench_init_from(bench, lab_loopback(1), &(struct native_front_options){.super_digest = NULL});
}

static inline void bench_turn(struct bench *bench)
{
    lab_turn(&bench->lab);
    native_front_end(bench->front);
    (void)lab_read(bench->far, &bench->came);
}

#define BENCH_UNTIL(bench, condition)                                                              \
    do {                                                                                           \
        uint64_t bench_deadline_us = clock_monotonic_us() + (uint64_t)LAB_PATIENCE_MS * 1000;      \
        while (!(condition) && clock_monotonic_us() < bench_deadline_us) {                         \
            bench_turn(bench);                                                                     \
        }                                                                                          \
        EXPECT(condition);                                                                         \
    } while (0)

static inline void bench_release(struct bench *bench)
{
    (void)close(bench->far);
    BENCH_UNTIL(bench, fake.closed == 1);
    EXPECT_EQ(native_front_client_count(bench->front), 0);
    native_front_free(bench->front);
    lab_release(&bench->lab);
    buffer_release(&bench->came);
}

/* --- The client --- */

static inline void put_request(struct bench *bench, struct buffer *stream, Client__Request *request)
{
    size_t size;

    request->id = ++bench->last_id;
    size = client__request__get_packed_size(request);
    frame_client_put_head(buffer_extend(stream, FRAME_CLIENT_HEAD_BYTES), (uint32_t)size);
    (void)client__request__pack(request, buffer_extend(stream, size));
}

static inline void put_get(struct bench *bench, struct buffer *stream)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Get get = CLIENT__GET__INIT;
    uint8_t path[] = "/app";

    get.path = (ProtobufCBinaryData){.data = path, .len = 4};
    request.body_case = CLIENT__REQUEST__BODY_GET;
    request.get = &get;
    put_request(bench, stream, &request);
}

static inline void put_unknown(struct bench *bench, struct buffer *stream)
{
    Client__Request request = CLIENT__REQUEST__INIT;

    put_request(bench, stream, &request);
}

static inline void send_all(struct bench *bench, struct buffer *stream)
{
    size_t sent = 0;

    while (sent < stream->size) {
        ssize_t count = write(bench->far, stream->data + sent, stream->size - sent);

        CHECK(count > 0 || errno == EAGAIN);
        sent += count > 0 ? (size_t)count : 0;
        bench_turn(bench);
    }
    buffer_release(stream);
}

/* Submit one request of the kind and let the node have it. */
static inline struct request *submit(struct bench *bench, Client__Request *request)
{
    struct buffer stream = BUFFER_INIT;
    size_t before = fake.submitted;

    put_request(bench, &stream, request);
    send_all(bench, &stream);
    BENCH_UNTIL(bench, fake.submitted == before + 1);
    return fake.requests[before];
}

/* The node answers its oldest request. */
static inline void answer(const struct reply *reply)
{
    struct request *request = fake.requests[fake.answered];

    CHECK(fake.answered < fake.submitted);
    fake.client->callbacks.on_reply(fake.client->context, request, reply);
    fake.answered++;
    request_free(request);
}

/* The next response that arrives. */
static inline Client__Response *receive(struct bench *bench)
{
    uint32_t size = 0;
    Client__Response *response;

    BENCH_UNTIL(bench, bench->came.size - bench->read >= FRAME_CLIENT_HEAD_BYTES);
    EXPECT_OK(frame_client_head(bench->came.data + bench->read, &size));
    BENCH_UNTIL(bench, bench->came.size - bench->read >= FRAME_CLIENT_HEAD_BYTES + size);
    response = client__response__unpack(NULL, size,
                                        bench->came.data + bench->read + FRAME_CLIENT_HEAD_BYTES);
    EXPECT(response != NULL);
    bench->read += FRAME_CLIENT_HEAD_BYTES + size;
    return response;
}

static inline void expect_response(struct bench *bench, uint64_t id, Client__Code code)
{
    Client__Response *response = receive(bench);

    EXPECT_EQ(response->id, id);
    EXPECT_EQ(response->code, code);
    client__response__free_unpacked(response, NULL);
}

static inline struct state_node *node_at(struct state_lab *lab, const char *path)
{
    struct state_node *found = NULL;
    enum op_error error;

    EXPECT_OK(state_read(lab->state, bytes_of_text(path), &error, &found));
    EXPECT_EQ(error, OP_OK);
    return found;
}

#endif
