#include "tests/hostile/quiet.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "tests/support/wire.h"
#include "tests/support/zookeeper_wire.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_US = 5 * 1000, ANSWER_DEADLINE_MS = 30000, SESSION_TIMEOUT_MS = 30000, XID = 1 };

/* Not the attackers', who take what one host may have. */
static const char host[] = "127.0.0.2";

struct quiet {
    struct quiet_options options;
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    bool stopping;
    pid_t self; /* the thread */
    struct starvation_threads servers[STARVATION_SERVERS_MAX];
    uint64_t begun_us; /* of the call under way; 0 = none */
    struct starvation_way way;
    struct starvation starvation; /* by then */
    struct quiet_report report;
};

/* --- The time that a call takes --- */

static void lock(struct quiet *quiet)
{
    CHECK(pthread_mutex_lock(&quiet->lock) == 0);
}

static void unlock(struct quiet *quiet)
{
    CHECK(pthread_mutex_unlock(&quiet->lock) == 0);
}

static struct starvation starvation(const struct quiet *quiet)
{
    return starvation_now(quiet->servers, quiet->options.server_count, quiet->self);
}

/* Note how long the call under way took so far. */
static void note(const struct quiet *quiet, struct quiet_report *report)
{
    uint64_t took_us = clock_monotonic_us() - quiet->begun_us;
    struct starvation now = starvation(quiet);
    uint64_t lost_us =
        starvation_on_way(&quiet->starvation, &now, quiet->options.server_count, quiet->way);
    uint64_t unstarved_us = took_us > lost_us ? took_us - lost_us : 0;

    report->longest_us = took_us > report->longest_us ? took_us : report->longest_us;
    if (unstarved_us > report->longest_unstarved_us) {
        report->longest_unstarved_us = unstarved_us;
    }
}

static void begin_call(struct quiet *quiet, enum starvation_reach reach)
{
    lock(quiet);
    quiet->way.reach = reach;
    quiet->starvation = starvation(quiet);
    quiet->begun_us = clock_monotonic_us();
    unlock(quiet);
}

/* `failure`: NULL = there is none. Returns whether that is so. */
static bool end_call(struct quiet *quiet, const char *failure)
{
    lock(quiet);
    note(quiet, &quiet->report);
    quiet->begun_us = 0;
    quiet->report.calls++;
    if (failure != NULL && quiet->report.failures++ == 0) {
        (void)snprintf(quiet->report.failure, sizeof quiet->report.failure, "%s", failure);
    }
    unlock(quiet);
    return failure == NULL;
}

static bool is_stopping(struct quiet *quiet)
{
    bool stopping;

    lock(quiet);
    stopping = quiet->stopping;
    unlock(quiet);
    return stopping;
}

/* --- Native calls: each returns what is wrong with its answer, or NULL --- */

static const char *
native_call(struct wire *wire, Client__Request *request, const struct bytes *expected)
{
    static _Thread_local char failure[32];
    Client__Response *response = wire_call(wire, request, ANSWER_DEADLINE_MS);
    const char *wrong = NULL;

    if (response == NULL) {
        return wire->socket < 0 ? "the connection was lost" : "no answer";
    }
    if (response->code != CLIENT__CODE__OK) {
        (void)snprintf(failure, sizeof failure, "answered with code %d", (int)response->code);
        wrong = failure;
    } else if (expected != NULL &&
               (response->body_case != CLIENT__RESPONSE__BODY_GET ||
                !bytes_equal(bytes_of(response->get->value.data, response->get->value.len),
                             *expected))) {
        wrong = "another value than was written";
    }
    client__response__free_unpacked(response, NULL);
    return wrong;
}

static const char *native_write(struct quiet *quiet, struct wire *wire, struct bytes value)
{
    struct wire_set set;

    return native_call(wire, wire_set_init(&set, quiet->options.path, value), NULL);
}

static const char *native_read(struct quiet *quiet, struct wire *wire, struct bytes expected)
{
    struct wire_get get;

    return native_call(wire,
                       wire_get_init(&get, quiet->options.path, CLIENT__READ_LEVEL__LINEARIZABLE),
                       &expected);
}

static const char *native_open(struct quiet *quiet, struct wire *wire)
{
    Client__OpenSession open = CLIENT__OPEN_SESSION__INIT;
    Client__Request request = CLIENT__REQUEST__INIT;

    if (!wire_connect_from(wire, quiet->options.address, host) || !wire_greet(wire)) {
        return "not connected";
    }
    open.timeout_ms = SESSION_TIMEOUT_MS;
    request.body_case = CLIENT__REQUEST__BODY_OPEN_SESSION;
    request.open_session = &open;
    return native_call(wire, &request, NULL);
}

static const char *native_close(struct wire *wire)
{
    Client__CloseSession end = CLIENT__CLOSE_SESSION__INIT;
    Client__Request request = CLIENT__REQUEST__INIT;

    request.body_case = CLIENT__REQUEST__BODY_CLOSE_SESSION;
    request.close_session = &end;
    return native_call(wire, &request, NULL);
}

/* --- ZooKeeper's --- */

static const char *
zookeeper_call(struct wire *wire, int32_t type, struct bytes body, const struct bytes *expected)
{
    struct zookeeper_answer answer;
    struct buffer frame = BUFFER_INIT;
    const char *failure = NULL;

    zookeeper_wire_put_request(&frame, XID, type, body);
    if (!wire_send(wire, buffer_lend(&frame)) ||
        !zookeeper_wire_answer(wire, XID, ANSWER_DEADLINE_MS, &frame, &answer)) {
        failure = wire->socket < 0 ? "the connection was lost" : "no answer";
    } else if (answer.error != JUTE_ERROR_OK) {
        failure = "answered with an error";
    } else if (expected != NULL) {
        struct reader reader = reader_of(answer.body);
        struct bytes value = jute_read_buffer(&reader, NULL);

        failure = reader.failed || !bytes_equal(value, *expected) ? "another value than was written"
                                                                  : NULL;
    }
    buffer_release(&frame);
    return failure;
}

static const char *zookeeper_write(struct quiet *quiet, struct wire *wire, struct bytes value)
{
    struct buffer body = BUFFER_INIT;
    const char *failure;

    jute_put_buffer(&body, bytes_of_text(quiet->options.path), false);
    jute_put_buffer(&body, value, false);
    jute_put_int(&body, -1);
    failure = zookeeper_call(wire, JUTE_TYPE_SET_DATA, buffer_lend(&body), NULL);
    buffer_release(&body);
    return failure;
}

static const char *zookeeper_read(struct quiet *quiet, struct wire *wire, struct bytes expected)
{
    struct buffer body = BUFFER_INIT;
    const char *failure;

    jute_put_buffer(&body, bytes_of_text(quiet->options.path), false);
    jute_put_bool(&body, false);
    failure = zookeeper_call(wire, JUTE_TYPE_GET_DATA, buffer_lend(&body), &expected);
    buffer_release(&body);
    return failure;
}

static const char *zookeeper_open(struct quiet *quiet, struct wire *wire)
{
    struct zookeeper_session session = {.timeout_ms = SESSION_TIMEOUT_MS};

    if (!wire_connect_from(wire, quiet->options.address, host) ||
        !zookeeper_wire_attach(wire, &session, ANSWER_DEADLINE_MS)) {
        return "not connected";
    }
    return session.timeout_ms == 0 ? "no session" : NULL;
}

static const char *zookeeper_close(struct wire *wire)
{
    return zookeeper_call(wire, JUTE_TYPE_CLOSE_SESSION, BYTES_EMPTY, NULL);
}

/* --- What each kind does in a round --- */

struct protocol {
    const char *(*open)(struct quiet *quiet, struct wire *wire);
    const char *(*write)(struct quiet *quiet, struct wire *wire, struct bytes value);
    const char *(*read)(struct quiet *quiet, struct wire *wire, struct bytes expected);
    const char *(*close)(struct wire *wire);
    enum starvation_reach read_reach;
};

static const struct protocol native = {native_open, native_write, native_read, native_close,
                                       STARVATION_HEARD};
static const struct protocol zookeeper = {zookeeper_open, zookeeper_write, zookeeper_read,
                                          zookeeper_close, STARVATION_ASKED};

static bool open_session(struct quiet *quiet, const struct protocol *protocol, struct wire *wire)
{
    begin_call(quiet, STARVATION_DURABLE);
    return end_call(quiet, protocol->open(quiet, wire));
}

static bool write_value(struct quiet *quiet,
                        const struct protocol *protocol,
                        struct wire *wire,
                        struct bytes value)
{
    begin_call(quiet, STARVATION_DURABLE);
    return end_call(quiet, protocol->write(quiet, wire, value));
}

static bool read_value(struct quiet *quiet,
                       const struct protocol *protocol,
                       struct wire *wire,
                       struct bytes expected)
{
    begin_call(quiet, protocol->read_reach);
    return end_call(quiet, protocol->read(quiet, wire, expected));
}

static void close_session(struct quiet *quiet, const struct protocol *protocol, struct wire *wire)
{
    begin_call(quiet, STARVATION_DURABLE);
    (void)end_call(quiet, protocol->close(wire));
}

static void
visit(struct quiet *quiet, const struct protocol *protocol, struct wire *wire, struct bytes value)
{
    if (open_session(quiet, protocol, wire) && write_value(quiet, protocol, wire, value)) {
        close_session(quiet, protocol, wire);
    }
    wire_close(wire);
}

/* A write or a read, and a new connection when the last one has failed. */
static void stay(struct quiet *quiet,
                 const struct protocol *protocol,
                 struct wire *wire,
                 bool writes,
                 struct bytes value)
{
    if ((wire->socket < 0 && !open_session(quiet, protocol, wire)) ||
        !(writes ? write_value : read_value)(quiet, protocol, wire, value)) {
        wire_close(wire);
    }
}

static void *run(void *context)
{
    const struct timespec pause = {.tv_nsec = PAUSE_US * 1000L};
    struct quiet *quiet = context;
    struct wire wire = {.socket = -1};
    char text[32] = "";

    lock(quiet);
    quiet->self = gettid();
    unlock(quiet);
    for (uint64_t round = 0; !is_stopping(quiet); round++) {
        bool is_even = round % 2 == 0;
        bool stays = quiet->options.kind != QUIET_NEWCOMER;

        if (is_even || !stays) {
            (void)snprintf(text, sizeof text, "%llu", (unsigned long long)round);
        }
        if (stays) {
            stay(quiet, quiet->options.kind == QUIET_NATIVE ? &native : &zookeeper, &wire, is_even,
                 bytes_of_text(text));
        } else {
            visit(quiet, is_even ? &native : &zookeeper, &wire, bytes_of_text(text));
        }
        (void)nanosleep(&pause, NULL);
    }
    wire_close(&wire);
    return NULL;
}

/* --- From outside --- */

struct quiet *quiet_start(const struct quiet_options *options)
{
    struct quiet *quiet = xcalloc(1, sizeof *quiet);

    quiet->options = *options;
    quiet->options.servers = NULL;
    quiet->way = (struct starvation_way){.asked = options->asked, .leader = options->leader};
    CHECK_OP(options->server_count, <=, STARVATION_SERVERS_MAX);
    for (size_t i = 0; i < options->server_count; i++) {
        quiet->servers[i] = starvation_threads(options->servers[i]);
    }
    CHECK(pthread_mutex_init(&quiet->lock, NULL) == 0);
    CHECK(pthread_create(&quiet->thread, NULL, run, quiet) == 0);
    return quiet;
}

void quiet_set_server(struct quiet *quiet, size_t place, pid_t pid)
{
    static const struct starvation_threads none = {.pid = 0};

    lock(quiet);
    quiet->servers[place] = pid == 0 ? none : starvation_threads(pid);
    quiet->starvation = starvation(quiet); /* what the call under way lost so far is forgotten */
    unlock(quiet);
}

void quiet_reset(struct quiet *quiet)
{
    lock(quiet);
    quiet->report = (struct quiet_report){.calls = 0};
    unlock(quiet);
}

struct quiet_report quiet_report(struct quiet *quiet)
{
    struct quiet_report report;

    lock(quiet);
    report = quiet->report;
    if (quiet->begun_us != 0) {
        note(quiet, &report);
    }
    unlock(quiet);
    return report;
}

void quiet_stop(struct quiet *quiet)
{
    lock(quiet);
    quiet->stopping = true;
    unlock(quiet);
    CHECK(pthread_join(quiet->thread, NULL) == 0);
    CHECK(pthread_mutex_destroy(&quiet->lock) == 0);
    free(quiet);
}
