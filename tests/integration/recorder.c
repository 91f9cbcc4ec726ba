#include "tests/integration/recorder.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "tests/history/history_text.h"
#include "tests/history/judge.h"
#include "tests/integration/zookeeper_client.h"
#include "tests/support/cluster.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Clocks of one machine. */
enum { DRIFT_PERMILLE = 20, GHOST_TIMEOUT_MS = 1000, VALUE_BYTES = 24, WATCHES_MAX = 4 };

_Static_assert((int)HISTORY_ERROR_NOT_EXECUTED == (int)CONFER_NOT_EXECUTED, "the same numbers");

struct recorder {
    pthread_mutex_t mutex;
    struct history *history;
    uint32_t call_timeout_ms;
    uint32_t drift_permille;
    uint64_t last_value;
    uint64_t last_client;
    uint64_t last_watch;
};

struct watching {
    struct recorded *recorded;
    uint64_t number;
    char path[128];
    bool recursive;
};

struct recorded {
    struct recorder *recorder;
    struct confer *confer;              /* NULL: by the other protocol */
    struct zookeeper_client *zookeeper; /* the same */
    uint64_t client;
    uint64_t opened_us;
    uint64_t timeout_us;
    /* Of the session, as the callback learns of it. */
    atomic_uint_fast64_t session;
    uint64_t suspended_us;
    atomic_bool expired;
    atomic_uint_fast64_t watched;
    struct watching watches[WATCHES_MAX];
    size_t watch_count;
};

static void lock(struct recorder *recorder)
{
    CHECK(pthread_mutex_lock(&recorder->mutex) == 0);
}

static void unlock(struct recorder *recorder)
{
    CHECK(pthread_mutex_unlock(&recorder->mutex) == 0);
}

struct recorder *recorder_new(uint32_t call_timeout_ms)
{
    struct recorder *recorder = xcalloc(1, sizeof *recorder);

    CHECK(pthread_mutex_init(&recorder->mutex, NULL) == 0);
    recorder->history = history_record_new();
    recorder->call_timeout_ms = call_timeout_ms;
    recorder->drift_permille = DRIFT_PERMILLE;
    return recorder;
}

void recorder_allow_drift(struct recorder *recorder, uint32_t permille)
{
    recorder->drift_permille = permille;
}

void recorder_free(struct recorder *recorder)
{
    history_record_free(recorder->history);
    CHECK(pthread_mutex_destroy(&recorder->mutex) == 0);
    free(recorder);
}

void recorder_begin_with(struct recorder *recorder, const char *path)
{
    struct history_effect effect = {.kind = HISTORY_EFFECT_CREATED};

    effect.path = history_path_of(recorder->history, bytes_of_text(path));
    history_add_effect(recorder->history, &effect);
}

bool recorder_judge(struct recorder *recorder)
{
    const struct judge_rules rules = {.drift_permille = recorder->drift_permille};
    struct buffer report = BUFFER_INIT;
    struct error error;
    char file[512];
    bool right = judge_history(recorder->history, &rules, &report);

    if (!right) {
        (void)snprintf(file, sizeof file, "%s/history.txt", test_folder());
        if (history_save(recorder->history, file, &error) != STATUS_OK) {
            (void)fprintf(stderr, "%s\n", error.text);
        }
        (void)fprintf(stderr, "%.*sjudge it again: %s %s --drift %u\n", (int)report.size,
                      (const char *)report.data, cluster_program("tests/history/judge"), file,
                      recorder->drift_permille);
    }
    buffer_release(&report);
    return right;
}

struct recorder_counts recorder_counts(struct recorder *recorder)
{
    const struct history *history = recorder->history;
    struct recorder_counts counts = {.calls = history->call_count, .events = history->event_count};

    for (size_t i = 0; i < history->call_count; i++) {
        const struct history_call *call = &history->calls[i];
        bool writes = call->steps[0].kind > HISTORY_LIST;

        counts.acknowledged += writes && call->outcome == HISTORY_OK;
        counts.unknown += writes && call->outcome == HISTORY_UNKNOWN;
        counts.refused += writes && call->outcome == HISTORY_REFUSED;
    }
    for (size_t i = 0; i < history->session_count; i++) {
        counts.sessions += history->sessions[i].kind == HISTORY_SESSION_OPENED;
        counts.expired += history->sessions[i].kind == HISTORY_SESSION_EXPIRED;
    }
    return counts;
}

/* --- Sessions --- */

static void note_session(struct recorded *recorded,
                         enum history_session_kind kind,
                         uint64_t asked,
                         uint64_t time)
{
    struct history_session session = {.kind = kind,
                                      .client = recorded->client,
                                      .session = atomic_load(&recorded->session),
                                      .asked = asked,
                                      .time = time};

    if (session.session == 0) {
        return;
    }
    /* Who is reconnected may have heard so from a server that found its leader again. */
    if (kind == HISTORY_SESSION_OPENED) {
        session.timeout = recorded->timeout_us;
    }
    lock(recorded->recorder);
    history_add_session(recorded->recorder->history, &session);
    unlock(recorded->recorder);
}

static void note_state(struct recorded *recorded, enum confer_state state, uint64_t session)
{
    uint64_t now = clock_monotonic_us();

    switch (state) {
    case CONFER_STATE_CONNECTED:
        atomic_store(&recorded->session, session);
        note_session(recorded, HISTORY_SESSION_OPENED, recorded->opened_us, now);
        break;
    case CONFER_STATE_SUSPENDED:
        recorded->suspended_us = now;
        note_session(recorded, HISTORY_SESSION_SUSPENDED, now, now);
        break;
    case CONFER_STATE_RECONNECTED:
        note_session(recorded, HISTORY_SESSION_CONTACT, recorded->suspended_us, now);
        break;
    case CONFER_STATE_EXPIRED:
        note_session(recorded, HISTORY_SESSION_EXPIRED, now, now);
        atomic_store(&recorded->expired, true);
        break;
    case CONFER_STATE_CONNECTING:
    case CONFER_STATE_CLOSED:
        break;
    }
}

static void on_state(struct confer *confer, enum confer_state state, void *argument)
{
    note_state(argument, state, confer_session_id(confer));
}

static void
on_zookeeper_state(enum confer_state state, uint64_t session, uint32_t timeout_ms, void *argument)
{
    struct recorded *recorded = argument;

    recorded->timeout_us = (uint64_t)timeout_ms * 1000;
    note_state(recorded, state, session);
}

static struct recorded *new_recorded(struct recorder *recorder, uint32_t session_timeout_ms)
{
    struct recorded *recorded = xcalloc(1, sizeof *recorded);

    recorded->recorder = recorder;
    lock(recorder);
    recorded->client = ++recorder->last_client;
    unlock(recorder);
    recorded->opened_us = clock_monotonic_us();
    recorded->timeout_us = (uint64_t)session_timeout_ms * 1000;
    return recorded;
}

struct recorded *
recorded_open(struct recorder *recorder, const char *servers, uint32_t session_timeout_ms)
{
    struct recorded *recorded = new_recorded(recorder, session_timeout_ms);
    struct confer_options options;

    confer_options_init(&options);
    options.no_session = session_timeout_ms == 0;
    if (session_timeout_ms != 0) {
        options.session_timeout_ms = session_timeout_ms;
    }
    if (recorder->call_timeout_ms != 0) {
        options.request_timeout_ms = recorder->call_timeout_ms;
    }
    options.on_state = on_state;
    options.argument = recorded;
    CHECK_OP(confer_open(servers, &options, &recorded->confer), ==, CONFER_OK);
    return recorded;
}

struct recorded *
recorded_open_zookeeper(struct recorder *recorder, const char *servers, uint32_t session_timeout_ms)
{
    struct recorded *recorded = new_recorded(recorder, session_timeout_ms);

    recorded->zookeeper = zookeeper_client_new(
        servers, session_timeout_ms,
        recorder->call_timeout_ms != 0 ? recorder->call_timeout_ms : CLUSTER_DEADLINE_MS,
        on_zookeeper_state, recorded);
    return recorded;
}

void recorded_close(struct recorded *recorded)
{
    uint64_t asked = clock_monotonic_us();

    if (recorded->zookeeper != NULL) {
        zookeeper_client_free(recorded->zookeeper);
    } else {
        confer_close(recorded->confer);
    }
    /* Nobody says whether the cluster heard it. */
    if (!atomic_load(&recorded->expired)) {
        note_session(recorded, HISTORY_SESSION_CLOSED, asked, HISTORY_NEVER);
    }
    free(recorded);
}

bool recorded_is_expired(const struct recorded *recorded)
{
    return atomic_load(&recorded->expired);
}

uint64_t recorded_watched(const struct recorded *recorded)
{
    return atomic_load(&recorded->watched);
}

/* --- Calls --- */

static history_path path_of(struct recorder *recorder, const char *path)
{
    return history_path_of(recorder->history, bytes_of_text(path));
}

static uint64_t new_value(struct recorder *recorder)
{
    uint64_t value;

    lock(recorder);
    value = ++recorder->last_value;
    unlock(recorder);
    return value;
}

static size_t write_value(uint64_t value, char text[VALUE_BYTES])
{
    return (size_t)snprintf(text, VALUE_BYTES, "%" PRIu64, value);
}

static uint64_t read_value(const char *text, size_t size)
{
    return size == 0 ? 0 : strtoull(text, NULL, 10);
}

static size_t begin(struct recorded *recorded,
                    struct history_step *steps,
                    const char *const *paths,
                    size_t count,
                    bool linearizable)
{
    struct history_call call = {.client = recorded->client,
                                .linearizable = linearizable,
                                .steps = steps,
                                .step_count = count};
    size_t position;

    lock(recorded->recorder);
    for (size_t i = 0; i < count; i++) {
        steps[i].path = path_of(recorded->recorder, paths[i]);
    }
    call.session = atomic_load(&recorded->session);
    call.invoked = clock_monotonic_us();
    position = history_call_begin(recorded->recorder->history, &call);
    unlock(recorded->recorder);
    return position;
}

static void fill_stat(struct history_step *step, const struct confer_stat *stat)
{
    step->has_stat = true;
    step->version = stat->version;
    step->czxid = stat->czxid;
    step->mzxid = stat->mzxid;
    step->owner = stat->ephemeral_owner;
}

/* With the lock held. A write's session is known once it is answered. */
static void finish(struct recorded *recorded,
                   size_t position,
                   uint64_t returned,
                   enum history_outcome outcome,
                   const struct confer_result *result)
{
    struct history *history = recorded->recorder->history;
    uint32_t status = (uint32_t)result->status;
    bool told = outcome == HISTORY_OK;

    history->calls[position].session = atomic_load(&recorded->session);
    history_call_end(history, position, returned, outcome, told ? 0 : status,
                     told ? result->zxid : 0);
}

static void end_read(struct recorded *recorded, size_t position, const struct confer_result *result)
{
    uint64_t returned = clock_monotonic_us();
    bool answered = result->status == CONFER_OK || result->status == CONFER_NO_NODE;
    struct history_step *step;
    history_path *names;

    lock(recorded->recorder);
    step = &history_steps(recorded->recorder->history, position)[0];
    if (result->status == CONFER_OK) {
        step->exists = true;
        fill_stat(step, &result->stat);
        step->value = read_value(result->value, result->value_bytes);
    }
    if (step->kind == HISTORY_LIST && result->status == CONFER_OK) {
        names = history_names(recorded->recorder->history, result->node_count);
        for (size_t i = 0; i < result->node_count; i++) {
            char path[256];

            (void)snprintf(
                path, sizeof path, "%s/%s",
                (const char *)history_path_text(recorded->recorder->history, step->path).data,
                result->nodes[i].name);
            names[i] = path_of(recorded->recorder, path);
        }
        step->names = names;
        step->name_count = result->node_count;
        step->value = 0;
    }
    finish(recorded, position, returned, answered ? HISTORY_OK : HISTORY_NOT_APPLIED, result);
    unlock(recorded->recorder);
}

static void
end_write(struct recorded *recorded, size_t position, const struct confer_result *result)
{
    uint64_t returned = clock_monotonic_us();
    enum history_outcome outcome = history_outcome_of((uint32_t)result->status);
    const struct history_call *call;

    lock(recorded->recorder);
    call = &recorded->recorder->history->calls[position];
    for (size_t i = 0; i < call->step_count && i < result->operation_count; i++) {
        const struct confer_operation_result *operation = &result->operations[i];
        struct history_step *step = &call->steps[i];

        if (outcome == HISTORY_OK && operation->has_stat) {
            fill_stat(step, &operation->stat);
        }
        if (outcome == HISTORY_OK && step->kind == HISTORY_CREATE) {
            step->made = path_of(recorded->recorder, operation->path);
        }
        if (outcome == HISTORY_REFUSED) {
            step->error = (uint32_t)operation->status;
        }
    }
    finish(recorded, position, returned, outcome, result);
    unlock(recorded->recorder);
}

enum confer_status recorded_get(struct recorded *recorded, const char *path, bool linearizable)
{
    const struct confer_call how = {.linearizable = linearizable};
    const struct confer_result *told;
    struct history_step step = {.kind = HISTORY_GET, .expected = HISTORY_ANY_VERSION};
    struct confer_result *result = NULL;
    size_t position = begin(recorded, &step, &path, 1, linearizable);
    enum confer_status status;

    if (recorded->zookeeper != NULL) {
        told = zookeeper_client_get(recorded->zookeeper, path, linearizable);
    } else {
        (void)confer_get(recorded->confer, path, 0, &how, &result);
        told = result;
    }
    status = told->status;
    end_read(recorded, position, told);
    confer_result_free(result);
    return status;
}

enum confer_status recorded_list(struct recorded *recorded, const char *path, size_t *ret_count)
{
    const struct confer_call how = {.linearizable = true};
    struct history_step step = {.kind = HISTORY_LIST, .expected = HISTORY_ANY_VERSION};
    const struct confer_result *told;
    struct confer_result *result = NULL;
    size_t position = begin(recorded, &step, &path, 1, true);
    enum confer_status status;

    if (recorded->zookeeper != NULL) {
        told = zookeeper_client_list(recorded->zookeeper, path);
    } else {
        (void)confer_list(recorded->confer, path, NULL, &how, &result);
        told = result;
    }
    status = told->status;
    CHECK(!told->more); /* the record knows whole lists only */
    end_read(recorded, position, told);
    if (ret_count != NULL && status == CONFER_OK) {
        *ret_count = told->node_count;
    }
    confer_result_free(result);
    return status;
}

enum confer_status recorded_set(struct recorded *recorded,
                                const char *path,
                                int32_t expected,
                                int32_t *ret_version,
                                uint64_t *ret_zxid)
{
    struct history_step step = {.kind = HISTORY_SET,
                                .expected = expected,
                                .make =
                                    recorded->zookeeper == NULL && expected == CONFER_ANY_VERSION,
                                .value = new_value(recorded->recorder)};
    struct confer_result *result = NULL;
    char text[VALUE_BYTES];
    size_t bytes = write_value(step.value, text);
    size_t position = begin(recorded, &step, &path, 1, false);
    const struct confer_result *told;
    enum confer_status status;

    if (recorded->zookeeper != NULL) {
        told = zookeeper_client_set(recorded->zookeeper, path, text, expected);
    } else {
        (void)confer_set(recorded->confer, path, text, bytes, expected, NULL, &result);
        told = result;
    }
    status = told->status;
    end_write(recorded, position, told);
    if (status == CONFER_OK && ret_version != NULL) {
        *ret_version = told->stat.version;
    }
    if (status == CONFER_OK && ret_zxid != NULL) {
        *ret_zxid = told->zxid;
    }
    confer_result_free(result);
    return status;
}

enum confer_status
recorded_create(struct recorded *recorded, const char *path, enum confer_mode mode)
{
    const struct confer_create create = {.mode = mode};
    struct history_step step = {
        .kind = HISTORY_CREATE,
        .expected = HISTORY_ANY_VERSION,
        .sequential = mode == CONFER_PERSISTENT_SEQUENTIAL || mode == CONFER_EPHEMERAL_SEQUENTIAL,
        .ephemeral = mode == CONFER_EPHEMERAL || mode == CONFER_EPHEMERAL_SEQUENTIAL,
        .value = new_value(recorded->recorder)};
    struct confer_result *result = NULL;
    char text[VALUE_BYTES];
    size_t bytes = write_value(step.value, text);
    size_t position = begin(recorded, &step, &path, 1, false);
    const struct confer_result *told;
    enum confer_status status;

    if (recorded->zookeeper != NULL) {
        told = zookeeper_client_create(recorded->zookeeper, path, text, mode);
    } else {
        (void)confer_create(recorded->confer, path, text, bytes, &create, NULL, &result);
        told = result;
    }
    status = told->status;
    end_write(recorded, position, told);
    confer_result_free(result);
    return status;
}

enum confer_status recorded_remove(struct recorded *recorded, const char *path)
{
    struct history_step step = {.kind = HISTORY_REMOVE, .expected = HISTORY_ANY_VERSION};
    struct confer_result *result = NULL;
    size_t position = begin(recorded, &step, &path, 1, false);
    const struct confer_result *told;
    enum confer_status status;

    if (recorded->zookeeper != NULL) {
        told = zookeeper_client_remove(recorded->zookeeper, path);
    } else {
        (void)confer_remove(recorded->confer, path, CONFER_ANY_VERSION, NULL, &result);
        told = result;
    }
    status = told->status;
    end_write(recorded, position, told);
    confer_result_free(result);
    return status;
}

enum confer_status recorded_set_both(struct recorded *recorded,
                                     const char *first,
                                     int32_t expected,
                                     const char *second)
{
    const char *const paths[] = {first, first, second};
    const struct confer_result *told;
    struct confer_result *result = NULL;
    struct history_step steps[3];
    char texts[3][VALUE_BYTES];
    enum confer_status status;
    size_t position;

    for (size_t i = 0; i < 3; i++) {
        steps[i] = (struct history_step){.kind = i == 0 ? HISTORY_CHECK : HISTORY_SET,
                                         .expected = i == 0 ? expected : HISTORY_ANY_VERSION,
                                         .value = i == 0 ? 0 : new_value(recorded->recorder)};
        (void)write_value(steps[i].value, texts[i]);
    }
    position = begin(recorded, steps, paths, 3, false);
    if (recorded->zookeeper != NULL) {
        told = zookeeper_client_set_both(recorded->zookeeper, paths + 1, expected,
                                         (const char *const[]){texts[1], texts[2]});
    } else {
        struct confer_transaction *transaction = confer_transaction_new();

        (void)confer_transaction_check(transaction, first, expected);
        for (size_t i = 1; i < 3; i++) {
            (void)confer_transaction_set(transaction, paths[i], texts[i], strlen(texts[i]),
                                         CONFER_ANY_VERSION);
        }
        (void)confer_commit(recorded->confer, transaction, NULL, &result);
        confer_transaction_free(transaction);
        told = result;
    }
    status = told->status;
    end_write(recorded, position, told);
    confer_result_free(result);
    return status;
}

/* --- Watches --- */

/* False: the history has no such thing. */
static bool kind_of(enum confer_event_kind kind, enum history_event_kind *ret_kind)
{
    switch (kind) {
    case CONFER_EVENT_STARTED:
        *ret_kind = HISTORY_EVENT_STARTED;
        return true;
    case CONFER_EVENT_CREATED:
        *ret_kind = HISTORY_EVENT_CREATED;
        return true;
    case CONFER_EVENT_VALUE_SET:
        *ret_kind = HISTORY_EVENT_VALUE_SET;
        return true;
    case CONFER_EVENT_REMOVED:
        *ret_kind = HISTORY_EVENT_REMOVED;
        return true;
    case CONFER_EVENT_RESYNC_BEGIN:
        *ret_kind = HISTORY_EVENT_RESYNC_BEGIN;
        return true;
    case CONFER_EVENT_RESYNC_END:
        *ret_kind = HISTORY_EVENT_RESYNC_END;
        return true;
    case CONFER_EVENT_PROGRESS:
        *ret_kind = HISTORY_EVENT_PROGRESS;
        return true;
    case CONFER_EVENT_ENDED:
        *ret_kind = HISTORY_EVENT_ENDED;
        return true;
    case CONFER_EVENT_ACL_SET:
        break;
    }
    return false;
}

static void on_event(struct confer *confer, const struct confer_event *event, void *argument)
{
    const struct watching *watching = argument;
    struct recorded *recorded = watching->recorded;
    struct recorder *recorder = recorded->recorder;
    struct history_event kept = {.client = recorded->client,
                                 .watch = watching->number,
                                 .time = clock_monotonic_us(),
                                 .zxid = event->zxid,
                                 .recursive =
                                     watching->recursive && event->kind == CONFER_EVENT_STARTED,
                                 .full = event->full,
                                 .resync = event->resync};

    (void)confer;
    if (!kind_of(event->kind, &kept.kind)) {
        return;
    }
    if (kept.kind == HISTORY_EVENT_CREATED || kept.kind == HISTORY_EVENT_VALUE_SET) {
        kept.has_value = true;
        kept.value = read_value(event->value, event->value_bytes);
        kept.has_stat = true;
        kept.version = event->stat.version;
        kept.owner = event->stat.ephemeral_owner;
    }
    lock(recorder);
    if (kept.kind == HISTORY_EVENT_STARTED) {
        kept.path = path_of(recorder, watching->path);
    } else if (event->path[0] != '\0') {
        kept.path = path_of(recorder, event->path);
    }
    history_add_event(recorder->history, &kept);
    unlock(recorder);
    if (kept.kind != HISTORY_EVENT_ENDED && event->zxid > atomic_load(&recorded->watched)) {
        atomic_store(&recorded->watched, event->zxid);
    }
}

void recorded_watch(struct recorded *recorded, const char *path, bool recursive)
{
    uint32_t flags = CONFER_WATCH_VALUES | CONFER_WATCH_INITIAL | CONFER_WATCH_TRACK |
                     CONFER_WATCH_PROGRESS | (recursive ? CONFER_WATCH_RECURSIVE : 0);
    struct watching *watching;
    uint64_t id;

    CHECK_OP(recorded->watch_count, <, WATCHES_MAX);
    watching = &recorded->watches[recorded->watch_count++];
    watching->recorded = recorded;
    watching->recursive = recursive;
    (void)snprintf(watching->path, sizeof watching->path, "%s", path);
    lock(recorded->recorder);
    watching->number = ++recorded->recorder->last_watch;
    unlock(recorded->recorder);
    CHECK_OP(confer_watch(recorded->confer, path, flags, 0, on_event, watching, &id), ==,
             CONFER_OK);
}

/* --- Ghosts --- */

static Client__Response *ask(struct wire *wire, Client__Request *request)
{
    Client__Response *response = wire_call(wire, request, CLUSTER_DEADLINE_MS);

    if (response != NULL && response->code != CLIENT__CODE__OK) {
        client__response__free_unpacked(response, NULL);
        response = NULL;
    }
    return response;
}

static uint64_t open_session(struct wire *wire)
{
    Client__OpenSession open = CLIENT__OPEN_SESSION__INIT;
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Response *response;
    uint64_t session = 0;

    open.timeout_ms = GHOST_TIMEOUT_MS;
    request.body_case = CLIENT__REQUEST__BODY_OPEN_SESSION;
    request.open_session = &open;
    response = ask(wire, &request);
    if (response != NULL) {
        session = response->session->session;
        client__response__free_unpacked(response, NULL);
    }
    return session;
}

static Client__Response *make_ephemeral(struct wire *wire, const char *path, uint64_t value)
{
    Record__Create create = RECORD__CREATE__INIT;
    Record__Operation operation = RECORD__OPERATION__INIT;
    Record__Operation *operations[] = {&operation};
    Client__Write write = CLIENT__WRITE__INIT;
    Client__Request request = CLIENT__REQUEST__INIT;
    char text[VALUE_BYTES];

    create.path.data = (uint8_t *)(uintptr_t)path;
    create.path.len = strlen(path);
    create.value.len = write_value(value, text);
    create.value.data = (uint8_t *)text;
    create.mode = RECORD__CREATE_MODE__EPHEMERAL;
    operation.kind_case = RECORD__OPERATION__KIND_CREATE;
    operation.create = &create;
    write.n_operations = 1;
    write.operations = operations;
    write.sequence = 1;
    request.body_case = CLIENT__REQUEST__BODY_WRITE;
    request.write = &write;
    return ask(wire, &request);
}

bool recorder_ghost(struct recorder *recorder, const char *server, const char *path)
{
    struct recorded ghost = {.recorder = recorder, .timeout_us = GHOST_TIMEOUT_MS * 1000};
    struct history_step step = {.kind = HISTORY_CREATE,
                                .expected = HISTORY_ANY_VERSION,
                                .ephemeral = true,
                                .value = new_value(recorder)};
    uint64_t asked = clock_monotonic_us();
    Client__Response *response = NULL;
    struct wire wire;
    size_t position;

    ghost.client = ++recorder->last_client;
    if (wire_connect(&wire, server) && wire_greet(&wire)) {
        atomic_store(&ghost.session, open_session(&wire));
    }
    if (atomic_load(&ghost.session) != 0) {
        note_session(&ghost, HISTORY_SESSION_OPENED, asked, clock_monotonic_us());
        position = begin(&ghost, &step, &path, 1, false);
        response = make_ephemeral(&wire, path, step.value);
        lock(recorder);
        if (response != NULL) {
            history_call_end(
                recorder->history, position, clock_monotonic_us(), HISTORY_OK, 0,
                response->body_case == CLIENT__RESPONSE__BODY_WRITE ? response->write->zxid : 0);
        }
        unlock(recorder);
    }
    if (response != NULL) {
        client__response__free_unpacked(response, NULL);
    }
    wire_close(&wire);
    return response != NULL;
}
