#include "tests/simulation/recording.h"

#include "base/alloc.h"
#include "base/check.h"
#include "proto/record.pb-c.h"
#include "tests/history/judge.h"
#include "tests/simulation/chronicle.h"

#include <stdlib.h>

enum { STEPS_MAX = 16, SERIAL_BYTES = 8 };

_Static_assert((int)HISTORY_ERROR_NOT_EXECUTED == (int)OP_NOT_EXECUTED, "the same numbers");

struct recording {
    const struct timeline *timeline;
    struct history *history;
};

struct recording *recording_new(const struct timeline *timeline)
{
    static const char *const first[] = {"/zookeeper", "/zookeeper/config", "/zookeeper/quota"};
    struct recording *recording = xcalloc(1, sizeof *recording);

    recording->timeline = timeline;
    recording->history = history_record_new();
    recording->history->effects_complete = true;
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
        const struct history_effect effect = {
            .kind = HISTORY_EFFECT_CREATED,
            .path = history_path_of(recording->history, bytes_of_text(first[i]))};

        history_add_effect(recording->history, &effect);
    }
    return recording;
}

void recording_free(struct recording *recording)
{
    history_record_free(recording->history);
    free(recording);
}

static history_path path_of(struct recording *recording, ProtobufCBinaryData path)
{
    return history_path_of(recording->history, bytes_of(path.data, path.len));
}

static uint64_t value_of(ProtobufCBinaryData value)
{
    return value.len >= SERIAL_BYTES ? bytes_load_u64(value.data) : 0;
}

/* --- Writes --- */

static struct history_step step_of(struct recording *recording, const Record__Operation *operation)
{
    struct history_step step = {.expected = HISTORY_ANY_VERSION};

    switch ((int)operation->kind_case) {
    case RECORD__OPERATION__KIND_CREATE:
        step.kind = HISTORY_CREATE;
        step.path = path_of(recording, operation->create->path);
        step.value = value_of(operation->create->value);
        step.make = operation->create->make_parents;
        step.sequential =
            operation->create->mode == RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL ||
            operation->create->mode == RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL_TTL ||
            operation->create->mode == RECORD__CREATE_MODE__EPHEMERAL_SEQUENTIAL;
        step.ephemeral = operation->create->mode == RECORD__CREATE_MODE__EPHEMERAL ||
                         operation->create->mode == RECORD__CREATE_MODE__EPHEMERAL_SEQUENTIAL;
        break;
    case RECORD__OPERATION__KIND_SET:
        step.kind = HISTORY_SET;
        step.path = path_of(recording, operation->set->path);
        step.value = value_of(operation->set->value);
        step.make = operation->set->create;
        step.expected = operation->set->version;
        break;
    case RECORD__OPERATION__KIND_REMOVE:
        step.kind = HISTORY_REMOVE;
        step.path = path_of(recording, operation->remove->path);
        step.expected = operation->remove->version;
        break;
    case RECORD__OPERATION__KIND_CHECK:
        step.kind = HISTORY_CHECK;
        step.path = path_of(recording, operation->check->path);
        step.expected = operation->check->version;
        break;
    default:
        CHECK_OP(operation->kind_case, ==, RECORD__OPERATION__KIND_CHECK_ABSENT);
        step.kind = HISTORY_CHECK_ABSENT;
        step.path = path_of(recording, operation->check_absent->path);
        break;
    }
    return step;
}

static size_t begin(struct recording *recording,
                    const struct recording_caller *caller,
                    bool linearizable,
                    struct history_step *steps,
                    size_t count)
{
    const struct history_call call = {.client = caller->client,
                                      .session = caller->session,
                                      .linearizable = linearizable,
                                      .invoked = recording->timeline->now_us,
                                      .steps = steps,
                                      .step_count = count};

    return history_call_begin(recording->history, &call);
}

size_t recording_begin_write(struct recording *recording,
                             const struct recording_caller *caller,
                             struct bytes body)
{
    Record__Command *command = record__command__unpack(NULL, body.size, body.data);
    struct history_step steps[STEPS_MAX];
    size_t count = 1;

    CHECK(command != NULL);
    if (command->body_case == RECORD__COMMAND__BODY_OPERATION) {
        steps[0] = step_of(recording, command->operation);
    } else {
        count = command->transaction->n_operations;
        CHECK_OP(count, <=, STEPS_MAX);
        for (size_t i = 0; i < count; i++) {
            steps[i] = step_of(recording, command->transaction->operations[i]);
        }
    }
    record__command__free_unpacked(command, NULL);
    return begin(recording, caller, false, steps, count);
}

static void fill_stat(struct history_step *step, const struct state_stat *stat)
{
    step->has_stat = true;
    step->version = stat->version;
    step->czxid = stat->czxid;
    step->mzxid = stat->mzxid;
    step->owner = stat->ephemeral_owner;
}

static void end(struct recording *recording,
                size_t call,
                enum history_outcome outcome,
                Client__Code code,
                zxid at)
{
    history_call_end(recording->history, call, recording->timeline->now_us, outcome,
                     outcome == HISTORY_OK ? 0 : (uint32_t)code,
                     outcome == HISTORY_OK || outcome == HISTORY_REFUSED ? at : 0);
}

void recording_end_write(struct recording *recording,
                         size_t call,
                         Client__Code code,
                         const struct state_result *result)
{
    struct history_step *steps = history_steps(recording->history, call);
    size_t count = result == NULL ? 0 : result->operation_count;

    for (size_t i = 0; i < count; i++) {
        const struct state_op_result *told = &result->operations[i];

        steps[i].error = (uint32_t)told->error;
        if (told->error == OP_OK && told->has_stat) {
            fill_stat(&steps[i], &told->stat);
        }
        if (told->error == OP_OK && steps[i].kind == HISTORY_CREATE && told->path.size > 0) {
            steps[i].made = history_path_of(recording->history, told->path);
        }
    }
    end(recording, call, code == CLIENT__CODE__OK ? HISTORY_OK : history_outcome_of((uint32_t)code),
        code, result == NULL ? 0 : result->zxid);
}

/* --- Reads --- */

size_t recording_begin_read(struct recording *recording,
                            const struct recording_caller *caller,
                            const struct request *request)
{
    struct history_step step = {.kind = request->kind == REQUEST_GET ? HISTORY_GET : HISTORY_LIST,
                                .expected = HISTORY_ANY_VERSION};
    bool whole =
        request->kind == REQUEST_LIST && request->page.after.size == 0 && request->path.size > 1;

    if (request->kind != REQUEST_GET && !whole) {
        return RECORDING_NO_CALL;
    }
    step.path = history_path_of(recording->history, request->path);
    return begin(recording, caller, request->linearizable, &step, 1);
}

static void fill_names(struct recording *recording,
                       struct history_step *step,
                       struct bytes parent,
                       const struct state_children *children)
{
    history_path *names = history_names(recording->history, children->count);
    struct buffer path = BUFFER_INIT;

    for (size_t i = 0; i < children->count; i++) {
        buffer_clear(&path);
        buffer_put(&path, parent);
        buffer_put_u8(&path, '/');
        buffer_put(&path, children->items[i].name);
        names[i] = history_path_of(recording->history, buffer_lend(&path));
    }
    buffer_release(&path);
    step->names = names;
    step->name_count = children->count;
}

void recording_end_read(struct recording *recording,
                        size_t call,
                        const struct request *request,
                        const struct reply *reply)
{
    struct history_step *step = &history_steps(recording->history, call)[0];
    bool found = reply->code == CLIENT__CODE__OK;
    enum history_outcome outcome =
        found || reply->code == CLIENT__CODE__NO_NODE ? HISTORY_OK : HISTORY_NOT_APPLIED;

    if (found && request->kind == REQUEST_LIST && reply->children.more) {
        outcome = HISTORY_NOT_APPLIED; /* a part of them tells less than nothing */
    } else if (found) {
        step->exists = true;
        if (request->kind == REQUEST_GET) {
            struct state_stat stat = state_node_stat(reply->node);

            fill_stat(step, &stat);
            step->value = chronicle_value(reply->node);
        } else {
            fill_names(recording, step, request->path, &reply->children);
        }
    }
    end(recording, call, outcome, reply->code, reply->zxid);
}

/* --- Sessions --- */

void recording_opened(struct recording *recording,
                      const struct recording_caller *caller,
                      uint64_t asked_us)
{
    const struct history_session session = {.kind = HISTORY_SESSION_OPENED,
                                            .client = caller->client,
                                            .session = caller->session,
                                            .asked = asked_us,
                                            .time = recording->timeline->now_us};

    history_add_session(recording->history, &session);
}

void recording_ended(struct recording *recording,
                     const struct recording_caller *caller,
                     bool closed,
                     uint64_t asked_us)
{
    const struct history_session session = {.kind = closed ? HISTORY_SESSION_CLOSED
                                                           : HISTORY_SESSION_EXPIRED,
                                            .client = caller->client,
                                            .session = caller->session,
                                            .asked = asked_us,
                                            .time = recording->timeline->now_us};

    history_add_session(recording->history, &session);
}

/* --- Effects --- */

static enum history_effect_kind effect_kind(enum state_change_kind kind)
{
    switch ((int)kind) {
    case STATE_CREATED:
        return HISTORY_EFFECT_CREATED;
    case STATE_VALUE_SET:
        return HISTORY_EFFECT_VALUE_SET;
    case STATE_REMOVED:
        return HISTORY_EFFECT_REMOVED;
    case STATE_SESSION_OPENED:
        return HISTORY_EFFECT_SESSION_OPENED;
    case STATE_SESSION_CLOSED:
        return HISTORY_EFFECT_SESSION_CLOSED;
    default:
        CHECK_OP(kind, ==, STATE_SESSION_EXPIRED);
        return HISTORY_EFFECT_SESSION_EXPIRED;
    }
}

void recording_applied(struct recording *recording, const struct state_change *change)
{
    const struct state_node *node = change->after != NULL ? change->after : change->before;
    struct history_effect effect = {.zxid = change->zxid, .session = change->session};

    if (change->kind == STATE_ACL_SET || change->kind == STATE_SESSION_ATTACHED) {
        return;
    }
    effect.kind = effect_kind(change->kind);
    if (node != NULL) {
        struct state_stat stat = state_node_stat(node);

        effect.path = history_path_of(recording->history, change->path);
        effect.owner = stat.ephemeral_owner;
        if (change->kind != STATE_REMOVED) {
            effect.value = chronicle_value(node);
            effect.version = stat.version;
        }
    }
    history_add_effect(recording->history, &effect);
}

void recording_swept(struct recording *recording, const struct state_result *result)
{
    const struct recording_caller sweeper = {.client = UINT32_MAX};
    struct history_step *steps = xcalloc(result->change_count + 1, sizeof *steps);

    for (size_t i = 0; i < result->change_count; i++) {
        steps[i] = (struct history_step){
            .kind = HISTORY_REMOVE,
            .expected = HISTORY_ANY_VERSION,
            .path = history_path_of(recording->history, result->changes[i].path)};
    }
    if (result->change_count > 0) {
        size_t call = begin(recording, &sweeper, false, steps, result->change_count);

        end(recording, call, HISTORY_OK, CLIENT__CODE__OK, result->zxid);
    }
    free(steps);
}

bool recording_judge(const struct recording *recording, struct buffer *report)
{
    return judge_history(recording->history, NULL, report);
}
