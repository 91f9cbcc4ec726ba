/* What the tests of the public calls share: what goes wrong by a script, calls that are counted,
 * and handles on a fake server. Included once in a test program. */
#ifndef TESTS_UNIT_CLIENT_CONFER_LAB_H
#define TESTS_UNIT_CLIENT_CONFER_LAB_H

#include <confer.h>

#include "base/clock.h"
#include "tests/support/test.h"
#include "tests/unit/client/fake_server.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_US = 60 * 1000 * 1000 };

/* Goes on as soon as the condition holds; fails when it never does. */
#define WAIT_UNTIL(condition)                                                                      \
    do {                                                                                           \
        uint64_t wait_end = clock_monotonic_us() + DEADLINE_US;                                    \
        while (!(condition) && clock_monotonic_us() < wait_end) {                                  \
            (void)sched_yield();                                                                   \
        }                                                                                          \
        EXPECT(condition);                                                                         \
    } while (0)

/* --- What goes wrong, by the field of the request --- */

struct script {
    Client__Request__BodyCase field;
    struct fake_verdict verdict;
    atomic_int count; /* so often; <0 = always */
};

static inline struct fake_verdict follow(void *context, size_t port, const Client__Request *request)
{
    struct script *script = context;

    (void)port;
    if (request->body_case == script->field && atomic_load(&script->count) != 0) {
        (void)atomic_fetch_sub(&script->count, 1);
        return script->verdict;
    }
    return (struct fake_verdict){.fate = FAKE_SERVE};
}

/* --- Completions --- */

struct tally {
    atomic_int total;
    atomic_int ok;
    atomic_int others;
    atomic_int last; /* status */
};

static inline void count_result(struct confer *confer, struct confer_result *result, void *argument)
{
    struct tally *tally = argument;

    (void)confer;
    atomic_store(&tally->last, (int)result->status);
    (void)atomic_fetch_add(result->status == CONFER_OK ? &tally->ok : &tally->others, 1);
    confer_result_free(result);
    (void)atomic_fetch_add(&tally->total, 1);
}

struct states {
    atomic_int count;
    atomic_int seen[32];
};

static inline void note_state(struct confer *confer, enum confer_state state, void *argument)
{
    struct states *states = argument;

    (void)confer;
    atomic_store(&states->seen[atomic_load(&states->count)], (int)state);
    (void)atomic_fetch_add(&states->count, 1);
}

static inline struct confer *open_with(const char *servers, bool session, struct states *states)
{
    struct confer_options options;
    struct confer *confer = NULL;

    confer_options_init(&options);
    options.no_session = !session;
    options.on_state = states == NULL ? NULL : note_state;
    options.argument = states;
    EXPECT_EQ(confer_open(servers, &options, &confer), CONFER_OK);
    return confer;
}

static inline enum confer_status set(struct confer *confer, const char *path, const char *value)
{
    return confer_set(confer, path, value, strlen(value), CONFER_ANY_VERSION, NULL, NULL);
}

static inline void expect_value(struct fake_server *server, const char *path, const char *expected)
{
    char *value = fake_server_value(server, path);

    EXPECT_TEXT(value, expected);
    free(value);
}

#endif
