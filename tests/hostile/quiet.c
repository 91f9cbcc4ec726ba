#include "tests/hostile/quiet.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "tests/hostile/victim.h"
#include "tests/support/wire.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_US = 5 * 1000, ANSWER_DEADLINE_MS = 30000, SERVERS_MAX = 8 };

/* How long they waited for a processor: this thread and that on which the asked server serves
 * clients, which every call needs; and of each server all others, which work side by side. */
struct starved {
    uint64_t both_us;
    uint64_t others_us[SERVERS_MAX];
};

struct quiet {
    const char *address;
    pid_t servers[SERVERS_MAX];
    size_t server_count;
    pid_t self; /* the thread */
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    bool stopping;
    uint64_t begun_us;      /* of the call under way; 0 = none */
    struct starved starved; /* by then */
    struct quiet_report report;
};

static bool call(struct wire *wire, Client__Request *request, const char *expected)
{
    Client__Response *response = wire_call(wire, request, ANSWER_DEADLINE_MS);
    bool right = response != NULL && response->code == CLIENT__CODE__OK;

    if (right && expected != NULL) {
        right = response->body_case == CLIENT__RESPONSE__BODY_GET &&
                response->get->value.len == strlen(expected) &&
                memcmp(response->get->value.data, expected, strlen(expected)) == 0;
    }
    if (response != NULL) {
        client__response__free_unpacked(response, NULL);
    }
    return right;
}

static bool write_value(struct wire *wire, const char *value)
{
    struct wire_set set;

    return call(wire, wire_set_init(&set, "/quiet", bytes_of_text(value)), NULL);
}

static bool read_value(struct wire *wire, const char *expected)
{
    struct wire_get get;

    return call(wire, wire_get_init(&get, "/quiet", CLIENT__READ_LEVEL__LINEARIZABLE), expected);
}

static struct starved starved(const struct quiet *quiet)
{
    uint64_t main_us = victim_starved_us(quiet->servers[0], quiet->servers[0]);
    struct starved starved = {.both_us = main_us + victim_starved_us(getpid(), quiet->self)};

    for (size_t i = 0; i < quiet->server_count; i++) {
        starved.others_us[i] = victim_all_starved_us(quiet->servers[i]) - (i == 0 ? main_us : 0);
    }
    return starved;
}

static uint64_t starved_since(const struct quiet *quiet, const struct starved *before)
{
    struct starved now = starved(quiet);
    uint64_t most_us = 0;

    for (size_t i = 0; i < quiet->server_count; i++) {
        uint64_t others_us = now.others_us[i] - before->others_us[i];

        most_us = others_us > most_us ? others_us : most_us;
    }
    return now.both_us - before->both_us + most_us;
}

/* Note how long the call under way took so far. */
static void note(const struct quiet *quiet, struct quiet_report *report)
{
    uint64_t took_us = clock_monotonic_us() - quiet->begun_us;
    uint64_t lost_us = starved_since(quiet, &quiet->starved);
    uint64_t unstarved_us = took_us > lost_us ? took_us - lost_us : 0;

    report->longest_us = took_us > report->longest_us ? took_us : report->longest_us;
    if (unstarved_us > report->longest_unstarved_us) {
        report->longest_unstarved_us = unstarved_us;
    }
}

static bool begin_call(struct quiet *quiet)
{
    bool goes_on;

    CHECK(pthread_mutex_lock(&quiet->lock) == 0);
    quiet->self = gettid();
    quiet->begun_us = clock_monotonic_us();
    quiet->starved = starved(quiet);
    goes_on = !quiet->stopping;
    CHECK(pthread_mutex_unlock(&quiet->lock) == 0);
    return goes_on;
}

static void end_call(struct quiet *quiet, bool succeeded)
{
    CHECK(pthread_mutex_lock(&quiet->lock) == 0);
    note(quiet, &quiet->report);
    quiet->begun_us = 0;
    quiet->report.calls++;
    quiet->report.failures += succeeded ? 0 : 1;
    CHECK(pthread_mutex_unlock(&quiet->lock) == 0);
}

static void *run(void *context)
{
    const struct timespec pause = {.tv_nsec = PAUSE_US * 1000L};
    struct quiet *quiet = context;
    struct wire wire = {.socket = -1};
    char value[32] = "";

    for (uint64_t round = 0; begin_call(quiet); round++) {
        bool connected = wire.socket >= 0;

        if (!connected) {
            connected = wire_connect(&wire, quiet->address) && wire_greet(&wire);
        }
        if (round % 2 == 0) {
            (void)snprintf(value, sizeof value, "%llu", (unsigned long long)round);
            end_call(quiet, connected && write_value(&wire, value));
        } else {
            end_call(quiet, connected && read_value(&wire, value));
        }
        (void)nanosleep(&pause, NULL);
    }
    wire_close(&wire);
    return NULL;
}

struct quiet *quiet_start(const char *address, const pid_t *servers, size_t count)
{
    struct quiet *quiet = xcalloc(1, sizeof *quiet);

    quiet->address = address;
    CHECK_OP(count, <=, SERVERS_MAX);
    memcpy(quiet->servers, servers, count * sizeof *servers);
    quiet->server_count = count;
    CHECK(pthread_mutex_init(&quiet->lock, NULL) == 0);
    CHECK(pthread_create(&quiet->thread, NULL, run, quiet) == 0);
    return quiet;
}

void quiet_reset(struct quiet *quiet)
{
    CHECK(pthread_mutex_lock(&quiet->lock) == 0);
    quiet->report = (struct quiet_report){.calls = 0};
    CHECK(pthread_mutex_unlock(&quiet->lock) == 0);
}

struct quiet_report quiet_report(struct quiet *quiet)
{
    struct quiet_report report;

    CHECK(pthread_mutex_lock(&quiet->lock) == 0);
    report = quiet->report;
    if (quiet->begun_us != 0) {
        note(quiet, &report);
    }
    CHECK(pthread_mutex_unlock(&quiet->lock) == 0);
    return report;
}

void quiet_stop(struct quiet *quiet)
{
    CHECK(pthread_mutex_lock(&quiet->lock) == 0);
    quiet->stopping = true;
    CHECK(pthread_mutex_unlock(&quiet->lock) == 0);
    CHECK(pthread_join(quiet->thread, NULL) == 0);
    CHECK(pthread_mutex_destroy(&quiet->lock) == 0);
    free(quiet);
}
