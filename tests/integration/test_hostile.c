/* Nothing that a client or a stranger sends stops a server or costs other clients anything. */
#include "base/alloc.h"
#include "base/prng.h"
#include "proto/frame.h"
#include "tests/support/cluster.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CLOSE_DEADLINE_MS = 30000,
/* Two limits of 256 MiB, what the queue of the log holds besides, and what the allocator keeps:
 * the sanitizer's much. */
#ifdef __SANITIZE_ADDRESS__
    REQUEST_MEMORY_MIB_MAX = 2000
#else
    REQUEST_MEMORY_MIB_MAX = 700
#endif
};

static struct cluster cluster;

/* The server runs, and others are served. */
static void expect_unharmed(void)
{
    char value[16] = "";

    EXPECT(!process_wait(&cluster.servers[1].process, 0));
    EXPECT_EQ(wire_set_text(cluster.servers[1].address, "/x", "1"), CLIENT__CODE__OK);
    EXPECT_EQ(wire_get_text(cluster.servers[1].address, "/x", CLIENT__READ_LEVEL__LINEARIZABLE,
                            value, sizeof value),
              CLIENT__CODE__OK);
    EXPECT_TEXT(value, "1");
}

static void begin(void)
{
    cluster_init(&cluster, 1);
    cluster_form(&cluster);
}

static void expect_closed_after(struct bytes bytes)
{
    struct wire wire;

    EXPECT(wire_connect(&wire, cluster.servers[1].address));
    (void)wire_send(&wire, bytes);
    EXPECT(wire_wait_closed(&wire, CLOSE_DEADLINE_MS));
}

static void test_unknown_first_bytes_close_the_connection(void)
{
    begin();
    expect_closed_after(bytes_of_text("HELLO"));
    expect_closed_after(bytes_of("CONFERC\x02", 8));
    expect_closed_after(bytes_of("\0\0\0\0\0\0\0\0\0\0\0\0", 12));
    expect_unharmed();
    cluster_release(&cluster);
}

static void test_an_impossible_length_closes_the_connection(void)
{
    static const uint32_t lengths[] = {0, FRAME_CLIENT_BYTES_MAX + 1, INT32_MAX, UINT32_MAX};

    begin();
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct buffer bytes = BUFFER_INIT;

        buffer_put(&bytes, bytes_of(frame_client_preface, FRAME_PREFACE_BYTES));
        buffer_put_u32(&bytes, lengths[i]);
        expect_closed_after(buffer_lend(&bytes));
        buffer_clear(&bytes);
        buffer_put(&bytes, bytes_of(frame_peer_preface, FRAME_PREFACE_BYTES));
        buffer_put_u32(&bytes, lengths[i]);
        buffer_put_u64(&bytes, 0);
        expect_closed_after(buffer_lend(&bytes));
        buffer_release(&bytes);
    }
    expect_unharmed();
    cluster_release(&cluster);
}

static void test_noise_in_a_frame_closes_or_is_refused(void)
{
    struct prng prng;

    begin();
    prng_init(&prng, 1);
    for (int round = 0; round < 300; round++) {
        struct buffer bytes = BUFFER_INIT;
        uint32_t size = (uint32_t)prng_between(&prng, 1, 200);
        Client__Response *response;
        struct wire wire;

        buffer_put(&bytes, bytes_of(frame_client_preface, FRAME_PREFACE_BYTES));
        buffer_put_u32(&bytes, size);
        for (uint32_t i = 0; i < size; i++) {
            /* Low bytes look like fields more often. */
            buffer_put_u8(&bytes,
                          (uint8_t)prng_below(&prng, prng_below(&prng, 2) == 0 ? 256 : 0x40));
        }
        EXPECT(wire_connect(&wire, cluster.servers[1].address));
        EXPECT(wire_send(&wire, buffer_lend(&bytes)));
        response = wire_response(&wire, 20);
        if (response != NULL) {
            client__response__free_unpacked(response, NULL);
        }
        wire_close(&wire);
        buffer_release(&bytes);
    }
    expect_unharmed();
    cluster_release(&cluster);
}

static void test_a_request_without_body_is_answered_or_closed(void)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Response *response;
    struct wire wire;

    begin();
    EXPECT(wire_connect(&wire, cluster.servers[1].address) && wire_greet(&wire));
    response = wire_call(&wire, &request, CLOSE_DEADLINE_MS);
    if (response != NULL) {
        EXPECT(response->code != CLIENT__CODE__OK);
        EXPECT(strlen(response->message) > 0);
        client__response__free_unpacked(response, NULL);
    } else {
        EXPECT_EQ(wire.socket, -1); /* not merely silent */
    }
    wire_close(&wire);
    expect_unharmed();
    cluster_release(&cluster);
}

static void test_a_peer_of_a_wrong_cluster_is_refused(void)
{
    struct cluster_server *stranger;
    char value[16];

    /* Server 2 comes from another cluster and says that it is member 2 of this one. */
    cluster_init(&cluster, 2);
    cluster_form(&cluster);
    stranger = &cluster.servers[2];
    cluster_kill(&cluster, 2);
    (void)snprintf(stranger->data, sizeof stranger->data, "%.400s/other", test_folder());
    cluster_start(&cluster, 2);
    EXPECT(wire_get_text(stranger->address, "/x", CLIENT__READ_LEVEL__LINEARIZABLE, value,
                         sizeof value) != (int)CLIENT__CODE__OK);
    EXPECT(!process_wait(&cluster.servers[1].process, 0));
    cluster_release(&cluster);
}

static void test_slow_and_silent_connections_cost_others_nothing(void)
{
    enum { SLOW_COUNT = 200 };
    static struct wire wires[SLOW_COUNT];

    begin();
    for (size_t i = 0; i < SLOW_COUNT; i++) {
        /* Some say nothing, some stop in the preface, some in the head, some in the body. */
        static const uint8_t start[] = "CONFERC\x01\0\0\xff\xffrest";

        EXPECT(wire_connect(&wires[i], cluster.servers[1].address));
        EXPECT(wire_send(&wires[i], bytes_of(start, i % (sizeof start - 1))));
    }
    expect_unharmed();
    for (size_t i = 0; i < SLOW_COUNT; i++) {
        wire_close(&wires[i]);
    }
    cluster_release(&cluster);
}

static void test_a_client_that_never_reads_is_held_back_and_others_are_served(void)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Get get = CLIENT__GET__INIT;
    struct buffer frames = BUFFER_INIT;
    struct wire wire;
    char *value = xmalloc(100001);

    begin();
    memset(value, 'v', 100000);
    value[100000] = '\0';
    EXPECT_EQ(wire_set_text(cluster.servers[1].address, "/large", value), CLIENT__CODE__OK);
    free(value);
    get.path = (ProtobufCBinaryData){.len = 6, .data = (uint8_t *)(uintptr_t) "/large"};
    request.body_case = CLIENT__REQUEST__BODY_GET;
    request.get = &get;
    /* 20,000 requests ask for 2 GB of answers in all. */
    for (request.id = 1; request.id <= 20000; request.id++) {
        wire_put_request(&frames, &request);
    }
    EXPECT(wire_connect(&wire, cluster.servers[1].address) && wire_greet(&wire));
    wire_send_some(&wire, buffer_lend(&frames));
    expect_unharmed();
    EXPECT(cluster_memory_bytes(&cluster, 1) < UINT64_C(1) << 30);
    wire_close(&wire);
    buffer_release(&frames);
    expect_unharmed();
    cluster_release(&cluster);
}

/* Without a majority no write ends: requests wait, and those of all together take bounded memory.
 */
static void test_requests_that_cannot_be_served_take_bounded_memory(void)
{
    enum { CONNECTIONS = 30, WRITES = 40, VALUE_BYTES = 1000 * 1000, ROUNDS = 60 };
    static struct wire wires[CONNECTIONS];
    struct wire_set set;
    struct buffer frames = BUFFER_INIT;
    char *value = xmalloc(VALUE_BYTES);
    uint64_t before;

    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    cluster_kill(&cluster, 2);
    cluster_kill(&cluster, 3);
    memset(value, 'v', VALUE_BYTES);
    (void)wire_set_init(&set, "/w", bytes_of(value, VALUE_BYTES));
    for (set.request.id = 1; set.request.id <= WRITES; set.request.id++) {
        wire_put_request(&frames, &set.request);
    }
    before = cluster_memory_bytes(&cluster, 1);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        EXPECT(wire_connect(&wires[i], cluster.servers[1].address) && wire_greet(&wires[i]));
    }
    /* 1.2 GB in all. A part of a frame is followed by another one's beginning, which closes: fine,
     * for what was whole before is under way. */
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < CONNECTIONS; i++) {
            wire_send_some(&wires[i], buffer_lend(&frames));
        }
        process_pause();
    }
    EXPECT(!process_wait(&cluster.servers[1].process, 0));
    EXPECT(cluster_memory_bytes(&cluster, 1) < before + ((uint64_t)REQUEST_MEMORY_MIB_MAX << 20));
    for (size_t i = 0; i < CONNECTIONS; i++) {
        wire_close(&wires[i]);
    }
    buffer_release(&frames);
    free(value);
    cluster_start(&cluster, 2);
    EXPECT(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS) != 0);
    /* The disks have much to write first. */
    for (uint64_t end = process_now_ms() + 2 * CLUSTER_DEADLINE_MS;
         wire_set_text(cluster.servers[1].address, "/x", "1") != (int)CLIENT__CODE__OK &&
         process_now_ms() < end;) {
        process_pause();
    }
    expect_unharmed();
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_unknown_first_bytes_close_the_connection),
        TEST_CASE(test_an_impossible_length_closes_the_connection),
        TEST_CASE(test_noise_in_a_frame_closes_or_is_refused),
        TEST_CASE(test_a_request_without_body_is_answered_or_closed),
        TEST_CASE(test_a_peer_of_a_wrong_cluster_is_refused),
        TEST_CASE(test_slow_and_silent_connections_cost_others_nothing),
        TEST_CASE(test_a_client_that_never_reads_is_held_back_and_others_are_served),
        TEST_CASE(test_requests_that_cannot_be_served_take_bounded_memory),
        TEST_END};
    return test_main("hostile", cases, argc, argv);
}
