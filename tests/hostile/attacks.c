#include "tests/hostile/attacks.h"

#include "base/check.h"
#include "base/clock.h"
#include "proto/frame.h"
#include "server/node/request.h"
#include "tests/hostile/peer_attacks.h"
#include "tests/hostile/write_attacks.h"
#include "tests/support/wire.h"
#include "tests/support/zookeeper_wire.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SWARM_MAX = 900 /* below --max-connections-per-address */
};

/* --- Many connections at one time --- */

struct swarm {
    struct wire wires[SWARM_MAX];
    size_t count;
};

static struct swarm swarm;

static void swarm_open(struct site *site, size_t count)
{
    swarm.count = 0;
    while (swarm.count < count && site_goes_on(site)) {
        if (!wire_connect(&swarm.wires[swarm.count], site->address)) {
            break;
        }
        swarm.count++;
    }
}

static void swarm_close(void)
{
    while (swarm.count > 0) {
        wire_close(&swarm.wires[--swarm.count]);
    }
}

/* Keep every connection as full of `bytes` as it takes, reading the answers or not, and open those
 * anew that were closed. Each one begins with `greeting`. */
static void
pour(struct site *site, size_t count, struct bytes greeting, struct bytes bytes, bool reads)
{
    size_t sent[SWARM_MAX] = {0};
    bool greeted[SWARM_MAX] = {false};

    swarm_open(site, count);
    while (site_goes_on(site)) {
        bool moved = false;

        for (size_t i = 0; i < swarm.count; i++) {
            struct wire *wire = &swarm.wires[i];
            size_t before = sent[i];

            if (wire->socket < 0) {
                greeted[i] = false;
                if (!wire_connect(wire, site->address)) {
                    continue;
                }
            }
            if (!greeted[i]) {
                sent[i] = 0;
                before = 0;
                greeted[i] = wire_send(wire, greeting);
            }
            if (!site_push(wire, bytes, &sent[i]) && (errno != EAGAIN && errno != EWOULDBLOCK)) {
                wire_close(wire);
            }
            moved = moved || sent[i] > before;
            site->count += sent[i] - before;
            if (sent[i] == bytes.size) {
                sent[i] = 0;
            }
            if (reads) {
                (void)site_drain(wire);
            }
        }
        if (!moved) {
            site_rest();
        }
    }
    site->count /= 1024;
    swarm_close();
}

/* --- Frames --- */

static struct bytes native_greeting(void)
{
    return bytes_of(frame_client_preface, FRAME_PREFACE_BYTES);
}

static void put_get(struct buffer *frames, uint64_t id, const char *path, Client__ReadLevel level)
{
    struct wire_get get;

    wire_get_init(&get, path, level)->id = id;
    wire_put_request(frames, &get.request);
}

static void put_set(struct buffer *frames, uint64_t id, const char *path, struct bytes value)
{
    struct wire_set set;

    wire_set_init(&set, path, value)->id = id;
    wire_put_request(frames, &set.request);
}

/* --- Preparations --- */

static void expect_ok(Client__Response *response)
{
    CHECK(response != NULL);
    CHECK_OP(response->code, ==, CLIENT__CODE__OK);
    client__response__free_unpacked(response, NULL);
}

void attacks_prepare(const char *address, size_t children)
{
    struct buffer frames = BUFFER_INIT;
    char *value = malloc(SITE_LARGE_BYTES);
    struct wire wire;

    CHECK(value != NULL);
    memset(value, 'v', SITE_LARGE_BYTES);
    CHECK(wire_connect(&wire, address) && wire_greet(&wire));
    put_set(&frames, 1, "/large", bytes_of(value, SITE_LARGE_BYTES));
    CHECK(wire_send(&wire, buffer_lend(&frames)));
    expect_ok(wire_response(&wire, SITE_ANSWER_DEADLINE_MS));
    for (size_t i = 0; i <= WRITE_ATTACK_ANCESTORS; i++) {
        expect_ok(wire_call(&wire, write_attack_ancestor_request(i), SITE_ANSWER_DEADLINE_MS));
    }
    for (size_t made = 0; made < children; made += SITE_WIDE_NODE_BATCH) {
        expect_ok(
            wire_call(&wire, write_attack_wide_request(made, children), SITE_ANSWER_DEADLINE_MS));
    }
    wire_close(&wire);
    buffer_release(&frames);
    free(value);
}

/* --- Connections --- */

/* They come and go, with and without a word, with an end of stream and with a reset. */
static void vanish(struct site *site)
{
    static const uint8_t words[] = "CONFERC\x01\0\0\xff\xffrest";
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    while (site_goes_on(site)) {
        struct wire wire;

        if (!wire_connect(&wire, site->address)) {
            site_rest();
            continue;
        }
        (void)wire_send(&wire, bytes_of(words, prng_below(&site->prng, sizeof words)));
        if (prng_below(&site->prng, 2) == 0) {
            (void)setsockopt(wire.socket, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        }
        wire_close(&wire);
        site->count++;
    }
}

/* They stay: silent, in the middle of the first bytes, of a head, of a body; one byte at a time. */
static void trickle(struct site *site)
{
    static const uint8_t words[] = "CONFERC\x01\0\0\xff\xffrest and more of it, byte by byte";
    size_t said[SWARM_MAX] = {0};

    swarm_open(site, SWARM_MAX);
    site->count = swarm.count;
    while (site_goes_on(site)) {
        for (size_t i = 0; i < swarm.count; i++) {
            size_t upto = said[i] + 1;

            if (i % 3 != 0 && said[i] < sizeof words - 1 && swarm.wires[i].socket >= 0) {
                (void)site_push(&swarm.wires[i], bytes_of(words, upto), &said[i]);
            }
        }
        site_rest();
    }
    swarm_close();
}

/* Each says that 8 MiB follow, sends most of them, and waits. */
static void half_frames(struct site *site)
{
    struct buffer bytes = BUFFER_INIT;

    frame_client_put_head(buffer_extend(&bytes, FRAME_CLIENT_HEAD_BYTES), FRAME_CLIENT_BYTES_MAX);
    memset(buffer_extend(&bytes, FRAME_CLIENT_BYTES_MAX - 1), 'h', FRAME_CLIENT_BYTES_MAX - 1);
    {
        size_t sent[SWARM_MAX] = {0};
        bool greeted[SWARM_MAX] = {false};

        swarm_open(site, SWARM_MAX);
        while (site_goes_on(site)) {
            bool moved = false;

            for (size_t i = 0; i < swarm.count; i++) {
                struct wire *wire = &swarm.wires[i];
                size_t before = sent[i];

                greeted[i] = greeted[i] || wire_send(wire, native_greeting());
                (void)site_push(wire, buffer_lend(&bytes), &sent[i]);
                site->count += (sent[i] - before) / 1024;
                moved = moved || sent[i] > before;
            }
            if (!moved) {
                site_rest();
            }
        }
        swarm_close();
    }
    buffer_release(&bytes);
}

/* --- Native requests --- */

static void native_noise(struct site *site)
{
    struct buffer frames = BUFFER_INIT;
    struct wire wire = {.socket = -1};

    while (site_goes_on(site)) {
        buffer_clear(&frames);
        if (!site_drain(&wire)) {
            wire_close(&wire);
            if (!wire_connect(&wire, site->address)) {
                continue;
            }
            (void)wire_greet(&wire);
        }
        for (size_t i = 0; i < 8; i++) {
            size_t size = prng_between(&site->prng, 2, 120);
            /* 54 moves the leader, as it should: the others would attack one that is none. */
            uint32_t field = (uint32_t)prng_between(&site->prng, 10, 53);

            frame_client_put_head(buffer_extend(&frames, FRAME_CLIENT_HEAD_BYTES),
                                  (uint32_t)size + 5);
            buffer_put_u8(&frames, 1 << 3);
            buffer_put_u8(&frames, 1);
            buffer_put_u8(&frames, (uint8_t)((field << 3 | 2) | 0x80));
            buffer_put_u8(&frames, (uint8_t)(field >> 4));
            buffer_put_u8(&frames, (uint8_t)size);
            site_put_noise(site, &frames, size);
            site->count++;
        }
        (void)wire_send(&wire, buffer_lend(&frames));
    }
    wire_close(&wire);
    buffer_release(&frames);
}

static void native_flood(struct site *site, Client__ReadLevel level)
{
    struct buffer frames = BUFFER_INIT;

    for (uint64_t id = 1; id <= 2000; id++) {
        put_get(&frames, id, "/quiet", level);
    }
    pour(site, 300, native_greeting(), buffer_lend(&frames), true);
    buffer_release(&frames);
}

static void local_reads(struct site *site)
{
    native_flood(site, CLIENT__READ_LEVEL__LOCAL);
}

static void linearizable_reads(struct site *site)
{
    native_flood(site, CLIENT__READ_LEVEL__LINEARIZABLE);
}

static void large_reads(struct site *site)
{
    struct buffer frames = BUFFER_INIT;

    for (uint64_t id = 1; id <= 500; id++) {
        put_get(&frames, id, "/large", CLIENT__READ_LEVEL__LOCAL);
    }
    pour(site, 300, native_greeting(), buffer_lend(&frames), false);
    buffer_release(&frames);
}

static void large_writes(struct site *site)
{
    struct buffer frames = BUFFER_INIT;
    struct buffer value = BUFFER_INIT;

    memset(buffer_extend(&value, SITE_LARGE_BYTES), 'w', SITE_LARGE_BYTES);
    for (uint64_t id = 1; id <= 20; id++) {
        put_set(&frames, id, "/written", buffer_lend(&value));
    }
    pour(site, 100, native_greeting(), buffer_lend(&frames), true);
    buffer_release(&frames);
    buffer_release(&value);
}

static void wide_lists(struct site *site)
{
    Client__List list = CLIENT__LIST__INIT;
    Client__Request request = CLIENT__REQUEST__INIT;
    struct buffer frames = BUFFER_INIT;

    list.path = wire_data(bytes_of_text("/wide"));
    request.body_case = CLIENT__REQUEST__BODY_LIST;
    request.list = &list;
    for (request.id = 1; request.id <= 50; request.id++) {
        wire_put_request(&frames, &request);
    }
    pour(site, 50, native_greeting(), buffer_lend(&frames), true);
    buffer_release(&frames);
}

static void native_watches(struct site *site)
{
    Client__Watch watch = CLIENT__WATCH__INIT;
    Client__Request request = CLIENT__REQUEST__INIT;
    struct buffer frames = BUFFER_INIT;
    char path[4000];

    memset(path, 'w', sizeof path - 1);
    path[0] = '/';
    for (size_t i = 400; i < sizeof path; i += 400) {
        path[i] = '/';
    }
    path[sizeof path - 1] = '\0';
    request.body_case = CLIENT__REQUEST__BODY_WATCH;
    request.watch = &watch;
    for (request.id = 1; request.id <= 5000; request.id++) {
        (void)snprintf(path + 1, 12, "%010llu", (unsigned long long)request.id);
        path[11] = 'w';
        watch.path = wire_data(bytes_of_text(path));
        watch.watch = request.id;
        wire_put_request(&frames, &request);
    }
    pour(site, 100, native_greeting(), buffer_lend(&frames), true);
    buffer_release(&frames);
}

static void native_sessions(struct site *site)
{
    Client__OpenSession open = CLIENT__OPEN_SESSION__INIT;
    Client__Request request = CLIENT__REQUEST__INIT;
    struct buffer frames = BUFFER_INIT;

    open.timeout_ms = 1000;
    request.body_case = CLIENT__REQUEST__BODY_OPEN_SESSION;
    request.open_session = &open;
    for (request.id = 1; request.id <= 100; request.id++) {
        wire_put_request(&frames, &request);
    }
    pour(site, 20, native_greeting(), buffer_lend(&frames), true);
    buffer_release(&frames);
}

/* --- ZooKeeper's requests --- */

static void put_zookeeper_noise(struct site *site, struct buffer *frames)
{
    static const int32_t types[] = {1,   2,   3,   4,   5,   6,  7,  8,  9,   11,  12,  13,
                                    14,  15,  16,  17,  18,  19, 21, 22, 100, 101, 102, 103,
                                    104, 105, 106, 107, -10, -1, 0,  10, 20,  108, 1000};
    static const int32_t xids[] = {-1, -2, -4, -8};
    struct buffer body = BUFFER_INIT;
    int32_t xid = prng_below(&site->prng, 4) == 0 ? xids[prng_below(&site->prng, 4)]
                                                  : (int32_t)prng_below(&site->prng, 1000);
    int32_t type = prng_below(&site->prng, 10) == 0
                       ? (int32_t)prng_next(&site->prng)
                       : types[prng_below(&site->prng, sizeof types / sizeof *types)];

    switch (prng_below(&site->prng, 5)) {
    case 0: /* empty */
        break;
    case 1: /* cut short, or noise */
        site_put_noise(site, &body, prng_below(&site->prng, 40));
        break;
    case 2: /* a length without its bytes */
        jute_put_int(&body, (int32_t)prng_next(&site->prng));
        site_put_noise(site, &body, prng_below(&site->prng, 10));
        break;
    case 3: /* a path, and what may follow */
        jute_put_buffer(&body, bytes_of_text("/hostile"), false);
        site_put_noise(site, &body, prng_below(&site->prng, 40));
        break;
    default: /* a right one for most: path, no watch */
        jute_put_buffer(&body, bytes_of_text("/quiet"), false);
        jute_put_bool(&body, false);
        break;
    }
    zookeeper_wire_put_request(frames, xid, type, buffer_lend(&body));
    buffer_release(&body);
}

static void zookeeper_noise(struct site *site)
{
    struct zookeeper_session session = {.id = 0};
    struct buffer frames = BUFFER_INIT;
    struct wire wire = {.socket = -1};

    while (site_goes_on(site)) {
        buffer_clear(&frames);
        if (!site_drain(&wire)) {
            /* Most resume the session: one for each connection would be another attack. */
            if (session.timeout_ms == 0 || prng_below(&site->prng, 50) == 0) {
                session.id = 0;
            }
            wire_close(&wire);
            if (!zookeeper_wire_connect(&wire, site->address, &session)) {
                wire_close(&wire);
                session.id = 0;
                continue;
            }
        }
        for (size_t i = 0; i < 64; i++) {
            put_zookeeper_noise(site, &frames);
            site->count++;
        }
        (void)wire_send(&wire, buffer_lend(&frames));
    }
    wire_close(&wire);
    buffer_release(&frames);
}

/* As many watches as fit into one frame, again and again, on paths that are all different. */
static void zookeeper_watches(struct site *site)
{
    enum { PATHS = 60000, CONNECTIONS = 20 };
    struct buffer body = BUFFER_INIT;
    struct buffer frames = BUFFER_INIT;
    uint64_t number = 0;

    swarm.count = 0;
    while (site_goes_on(site)) {
        struct wire *wire = &swarm.wires[number / PATHS % CONNECTIONS];
        struct zookeeper_session session = {.id = 0};
        enum jute_error error;

        if (swarm.count < CONNECTIONS) {
            wire = &swarm.wires[swarm.count++];
            wire->socket = -1;
        }
        if (wire->socket < 0 && !zookeeper_wire_connect(wire, site->address, &session)) {
            wire_close(wire);
            site_rest();
            continue;
        }
        buffer_clear(&body);
        jute_put_long(&body, INT64_MAX); /* everything was seen: all become watches */
        jute_put_int(&body, 0);
        jute_put_int(&body, PATHS);
        for (size_t i = 0; i < PATHS; i++) {
            char path[16];

            (void)snprintf(path, sizeof path, "/%llx", (unsigned long long)number++);
            jute_put_buffer(&body, bytes_of_text(path), false);
        }
        jute_put_int(&body, 0);
        if (zookeeper_wire_call(wire, JUTE_XID_SET_WATCHES, JUTE_TYPE_SET_WATCHES,
                                buffer_lend(&body), &error)) {
            site->count += PATHS;
        }
    }
    swarm_close();
    buffer_release(&body);
    buffer_release(&frames);
}

static void zookeeper_pour(struct site *site, size_t count, struct bytes frames, bool reads)
{
    struct buffer greeting = BUFFER_INIT;
    static const uint8_t none[JUTE_PASSWORD_BYTES];

    zookeeper_wire_put_connect(&greeting, 0, bytes_of(none, sizeof none), 0, 4000);
    pour(site, count, buffer_lend(&greeting), frames, reads);
    buffer_release(&greeting);
}

static void zookeeper_large_reads(struct site *site)
{
    struct buffer body = BUFFER_INIT;
    struct buffer frames = BUFFER_INIT;

    jute_put_buffer(&body, bytes_of_text("/large"), false);
    jute_put_bool(&body, false);
    for (int32_t xid = 1; xid <= 200; xid++) {
        zookeeper_wire_put_request(&frames, xid, JUTE_TYPE_GET_DATA, buffer_lend(&body));
    }
    zookeeper_pour(site, 200, buffer_lend(&frames), false);
    buffer_release(&body);
    buffer_release(&frames);
}

static void zookeeper_wide_lists(struct site *site)
{
    struct buffer body = BUFFER_INIT;
    struct buffer frames = BUFFER_INIT;

    jute_put_buffer(&body, bytes_of_text("/wide"), false);
    jute_put_bool(&body, false);
    for (int32_t xid = 1; xid <= 20; xid++) {
        zookeeper_wire_put_request(&frames, xid, JUTE_TYPE_GET_CHILDREN_2, buffer_lend(&body));
    }
    zookeeper_pour(site, 50, buffer_lend(&frames), true);
    buffer_release(&body);
    buffer_release(&frames);
}

/* Many reads in one request. */
static void zookeeper_multi_reads(struct site *site)
{
    struct buffer body = BUFFER_INIT;
    struct buffer frames = BUFFER_INIT;

    while (body.size < 900 * 1000) {
        jute_put_multi_header(&body,
                              (struct jute_multi_header){.type = JUTE_TYPE_GET_DATA, .error = -1});
        jute_put_buffer(&body, bytes_of_text("/a"), false);
        jute_put_bool(&body, false);
    }
    jute_put_multi_header(&body, (struct jute_multi_header){.type = -1, .done = true, .error = -1});
    for (int32_t xid = 1; xid <= 8; xid++) {
        zookeeper_wire_put_request(&frames, xid, JUTE_TYPE_MULTI_READ, buffer_lend(&body));
    }
    zookeeper_pour(site, 50, buffer_lend(&frames), true);
    buffer_release(&body);
    buffer_release(&frames);
}

/* Paths of as many components as fit into a frame. */
static void zookeeper_deep_paths(struct site *site)
{
    enum { COMPONENTS = 125000 };
    struct buffer path = BUFFER_INIT;
    struct buffer body = BUFFER_INIT;
    struct buffer frames = BUFFER_INIT;

    for (size_t i = 0; i < COMPONENTS; i++) {
        buffer_put(&path, bytes_of_text("/d"));
    }
    jute_put_buffer(&body, buffer_lend(&path), false);
    jute_put_bool(&body, true);
    for (int32_t xid = 1; xid <= 8; xid++) {
        zookeeper_wire_put_request(
            &frames, xid, xid % 2 == 0 ? JUTE_TYPE_EXISTS : JUTE_TYPE_GET_DATA, buffer_lend(&body));
    }
    zookeeper_pour(site, 50, buffer_lend(&frames), true);
    buffer_release(&path);
    buffer_release(&body);
    buffer_release(&frames);
}

static void zookeeper_sessions(struct site *site)
{
    while (site_goes_on(site)) {
        struct zookeeper_session session = {.id = 0};
        struct wire wire;

        if (zookeeper_wire_connect(&wire, site->address, &session)) {
            site->count++;
        }
        wire_close(&wire);
    }
}

/* --- What takes all there is --- */

static bool log_tells(const struct site *site, const char *words)
{
    char line[1024];
    FILE *file = fopen(site->log, "r");
    bool found = false;

    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        found = strstr(line, words) != NULL;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

static bool is_served(struct wire *wire)
{
    struct wire_get get;
    Client__Response *response = wire_call(
        wire, wire_get_init(&get, "/quiet", CLIENT__READ_LEVEL__LOCAL), SITE_ANSWER_DEADLINE_MS);
    bool served = response != NULL && response->code == CLIENT__CODE__OK;

    if (response != NULL) {
        client__response__free_unpacked(response, NULL);
    }
    return served;
}

/* More clients of one address than may be: who comes last is refused, who was there is served, and
 * the log tells, if only once in a while. */
static void crowd(struct site *site)
{
    enum { CROWD = 1200 };
    static struct wire wires[CROWD];
    uint64_t deadline_us = clock_monotonic_us() + UINT64_C(1000) * SITE_ANSWER_DEADLINE_MS;
    bool told = false;
    bool served = false;

    for (size_t i = 0; i < CROWD; i++) {
        wires[i].socket = -1;
    }
    while (site_goes_on(site) || (!told && clock_monotonic_us() < deadline_us)) {
        for (size_t i = 0; i < CROWD; i++) {
            if (wires[i].socket < 0) {
                (void)(wire_connect(&wires[i], site->address) && wire_greet(&wires[i]));
            } else if (!site_drain(&wires[i])) {
                site->count++;
            }
        }
        told = told || log_tells(site, "--max-connections");
        site_rest();
    }
    for (size_t i = 0; i < CROWD && !served; i++) {
        served = wires[i].socket >= 0 && is_served(&wires[i]);
    }
    if (!told) {
        site->failure = "the log tells of no refusal";
    } else if (!served) {
        site->failure = "nobody of those that came first is served";
    }
    for (size_t i = 0; i < CROWD; i++) {
        wire_close(&wires[i]);
    }
}

const struct attack attacks[] = {
    {"vanishing", "connections", vanish, AS_STRANGER},
    {"trickling", "connections", trickle, AS_STRANGER},
    {"half-frames", "KiB", half_frames, AS_STRANGER},
    {"native-noise", "frames", native_noise, AS_STRANGER},
    {"local-reads", "KiB", local_reads, AS_STRANGER},
    {"linearizable-reads", "KiB", linearizable_reads, AS_STRANGER},
    {"large-reads-unread", "KiB", large_reads, AS_STRANGER},
    {"large-writes", "KiB", large_writes, AS_STRANGER},
    {"wide-lists", "KiB", wide_lists, AS_STRANGER},
    {"largest-transactions", "nodes", write_attack_largest, AS_STRANGER},
    {"heaviest-transactions", "nodes", write_attack_heaviest, AS_STRANGER},
    {"refused-transactions", "transactions", write_attack_refused, AS_STRANGER},
    {"deepest-transactions", "transactions", write_attack_deepest, AS_STRANGER},
    {"large-ancestors", "transactions", write_attack_ancestors, AS_STRANGER},
    {"long-limits", "transactions", write_attack_limits, AS_STRANGER},
    {"many-ephemerals", "nodes", write_attack_ephemerals, AS_STRANGER},
    {"quotas", "transactions", write_attack_quotas, AS_STRANGER},
    {"native-watches", "KiB", native_watches, AS_STRANGER},
    {"native-sessions", "KiB", native_sessions, AS_STRANGER},
    {"zookeeper-noise", "frames", zookeeper_noise, AS_STRANGER},
    {"zookeeper-watches", "watches", zookeeper_watches, AS_STRANGER},
    {"zookeeper-unread", "KiB", zookeeper_large_reads, AS_STRANGER},
    {"zookeeper-wide-lists", "KiB", zookeeper_wide_lists, AS_STRANGER},
    {"zookeeper-multi-reads", "KiB", zookeeper_multi_reads, AS_STRANGER},
    {"zookeeper-deep-paths", "KiB", zookeeper_deep_paths, AS_STRANGER},
    {"zookeeper-sessions", "sessions", zookeeper_sessions, AS_STRANGER},
    {"crowd", "refusals", crowd, AS_STRANGER},
    {"peer-noise", "connections", peer_attack_noise, AS_STRANGER},
    {"peer-votes", "messages", peer_attack_votes, AS_MEMBER},
    {"peer-unread", "messages", peer_attack_unread, AS_MEMBER},
    {"peer-replays", "frames", peer_attack_replays, AS_MEMBER},
    {"removal", "nodes", write_attack_removal, AS_STRANGER}, /* no wide node after it */
    {.run = NULL}};
