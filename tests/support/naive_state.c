#include "tests/support/naive_state.h"

#include "base/alloc.h"
#include "base/check.h"
#include "tests/support/naive_nodes.h"
#include "tests/support/naive_operations.h"
#include "tests/support/naive_quotas.h"

#include <stdlib.h>
#include <string.h>

const struct naive_node *naive_state_find(const struct naive_state *state, struct bytes path)
{
    return naive_nodes_find(state, path);
}

static bool is_child(struct bytes path, struct bytes parent)
{
    struct bytes found;

    return !naive_nodes_is(path, "/") && naive_nodes_parent_of(path, &found) &&
           bytes_equal(found, parent);
}

struct state_stat naive_state_stat(const struct naive_state *state, const struct naive_node *node)
{
    struct state_stat stat = node->stat;

    stat.value_bytes = (uint32_t)node->value.size;
    for (size_t i = 0; i < state->node_count; i++) {
        stat.child_count += is_child(state->nodes[i].path, node->path) ? 1 : 0;
    }
    return stat;
}

static int by_bytes(const void *left, const void *right)
{
    const struct bytes *first = left;
    const struct bytes *second = right;

    return bytes_compare(*first, *second);
}

struct bytes *naive_state_children(const struct naive_state *state,
                                   struct bytes path,
                                   struct arena *arena,
                                   size_t *ret_count)
{
    struct bytes *names = arena_calloc(arena, state->node_count + 1, sizeof *names);
    size_t start = naive_nodes_is(path, "/") ? 1 : path.size + 1;

    *ret_count = 0;
    for (size_t i = 0; i < state->node_count; i++) {
        struct bytes child = state->nodes[i].path;

        if (is_child(child, path)) {
            names[(*ret_count)++] = bytes_of(child.data + start, child.size - start);
        }
    }
    qsort(names, *ret_count, sizeof *names, by_bytes);
    return names;
}

void naive_state_init(struct naive_state *state)
{
    static const struct {
        const char *path;
        int32_t cversion;
        int32_t aversion;
        uint32_t permissions;
    } fixed[] = {
        {"/", -1, 0, 31},
        {"/zookeeper", -2, 0, 31},
        {"/zookeeper/config", 0, -1, 1},
        {"/zookeeper/quota", 0, 0, 31},
    };

    *state = (struct naive_state){.nodes = NULL};
    arena_init(&state->arena);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        struct naive_node node = {.path = bytes_of_text(fixed[i].path), .acl_count = 1};

        node.stat.cversion = fixed[i].cversion;
        node.stat.aversion = fixed[i].aversion;
        node.acl = naive_nodes_acl_of(state, fixed[i].permissions);
        (void)naive_nodes_add(state, node);
    }
}

void naive_state_release(struct naive_state *state)
{
    free(state->nodes);
    free(state->sessions);
    arena_release(&state->arena);
}

/* --- Sessions --- */

static struct naive_session *find_session(struct naive_state *state, session_id id)
{
    for (size_t i = 0; i < state->session_count; i++) {
        if (state->sessions[i].shown.id == id) {
            return &state->sessions[i];
        }
    }
    return NULL;
}

static uint32_t clamp(uint32_t timeout_ms)
{
    return timeout_ms < 1000 ? 1000 : timeout_ms > 600000 ? 600000 : timeout_ms;
}

static void show_session(struct naive_result *result, const struct naive_session *session)
{
    result->session = session->shown.id;
    result->generation = session->shown.generation;
    result->timeout_ms = session->shown.timeout_ms;
}

static void open_session(struct naive_work *work, const Record__OpenSession *open)
{
    struct naive_state *state = work->state;
    struct naive_session session = {.confirmed = 0};

    session.shown.id = work->at;
    session.shown.generation = 1;
    session.shown.owner = open->owner;
    session.shown.timeout_ms = clamp(open->timeout_ms);
    session.shown.password = arena_copy(&state->arena, naive_nodes_field(open->password)).data;
    state->sessions =
        xrealloc(state->sessions, (state->session_count + 1) * sizeof *state->sessions);
    state->sessions[state->session_count++] = session;
    show_session(work->result, &session);
    naive_nodes_note(work, STATE_SESSION_OPENED, BYTES_EMPTY, work->at);
}

static void attach(struct naive_work *work, session_id id, const Record__AttachSession *attach)
{
    struct naive_session *session = find_session(work->state, id);

    if (session == NULL || attach->password.len != STATE_PASSWORD_BYTES ||
        memcmp(attach->password.data, session->shown.password, STATE_PASSWORD_BYTES) != 0) {
        work->result->error = OP_SESSION_EXPIRED;
        return;
    }
    session->shown.generation++;
    session->shown.owner = attach->owner;
    session->shown.timeout_ms = clamp(attach->timeout_ms);
    show_session(work->result, session);
    naive_nodes_note(work, STATE_SESSION_ATTACHED, BYTES_EMPTY, id);
}

static enum op_error refusal(const struct naive_session *session, uint64_t generation)
{
    if (session == NULL) {
        return OP_SESSION_EXPIRED;
    }
    return session->shown.generation != generation ? OP_SESSION_MOVED : OP_OK;
}

/* At most `count_max`; new nodes go to the end of the array, so this is the order of their
 * creation. Returns how many. */
static uint32_t remove_ephemerals(struct naive_work *work, session_id id, uint32_t count_max)
{
    struct naive_state *state = work->state;
    uint32_t count = 0;

    for (size_t i = 0; i < state->node_count && count < count_max;) {
        if (state->nodes[i].stat.ephemeral_owner == id) {
            naive_nodes_remove(work, &state->nodes[i]);
            count++;
        } else {
            i++;
        }
    }
    return count;
}

static void end_session(struct naive_work *work,
                        session_id id,
                        uint64_t generation,
                        uint32_t count_max,
                        enum state_change_kind kind)
{
    struct naive_state *state = work->state;
    struct naive_session *session = find_session(state, id);

    work->result->error = refusal(session, generation);
    if (work->result->error != OP_OK) {
        return;
    }
    work->session = id;
    (void)remove_ephemerals(work, id, count_max == 0 ? UINT32_MAX : count_max);
    CHECK(naive_quotas_account(work, 0) == OP_OK);
    naive_nodes_note(work, kind, BYTES_EMPTY, id);
    memmove(session, session + 1,
            (size_t)(state->sessions + state->session_count - (session + 1)) * sizeof *session);
    state->session_count--;
}

static void refuse(struct naive_result *result, enum op_error error)
{
    result->error = error;
    for (size_t i = 0; i < result->operation_count; i++) {
        result->operations[i].error = OP_NOT_EXECUTED;
    }
}

static void run_numbered(struct naive_work *work,
                         struct naive_session *session,
                         uint64_t sequence,
                         Record__Operation *const *operations)
{
    uint64_t last = session->shown.last_sequence;
    struct naive_result *kept;

    if (sequence <= session->confirmed) {
        refuse(work->result, OP_SEQUENCE_FORGOTTEN);
    } else if (sequence <= last) {
        *work->result = session->kept[sequence - 1];
        work->result->repeated = true;
        work->result->quota_passed = BYTES_EMPTY;
        work->result->change_count = 0;
    } else if (sequence > last + 1) {
        refuse(work->result, OP_SEQUENCE_GAP);
    } else if (last - session->confirmed >= 1024) {
        refuse(work->result, OP_TOO_MANY_UNCONFIRMED);
    } else {
        naive_operations_run(work, operations);
        kept = arena_calloc(&work->state->arena, last + 1, sizeof *kept);
        if (last > 0) {
            memcpy(kept, session->kept, last * sizeof *kept);
        }
        kept[last] = *work->result;
        session->kept = kept;
        session->shown.last_sequence++;
    }
}

static void write_nodes(struct naive_work *work, const Record__Command *command)
{
    bool single = command->body_case == RECORD__COMMAND__BODY_OPERATION;
    Record__Operation *const *operations =
        single ? &command->operation : command->transaction->operations;
    struct naive_result *result = work->result;
    struct naive_session *session;
    uint64_t confirmed = command->confirmed;

    result->operation_count = single ? 1 : command->transaction->n_operations;
    result->operations =
        arena_calloc(&work->state->arena, result->operation_count, sizeof *result->operations);
    if (command->session == 0) {
        naive_operations_run(work, operations);
        return;
    }
    session = find_session(work->state, command->session);
    if (refusal(session, command->generation) != OP_OK) {
        refuse(result, refusal(session, command->generation));
        return;
    }
    if (confirmed > session->shown.last_sequence) {
        confirmed = session->shown.last_sequence;
    }
    if (confirmed > session->confirmed) {
        session->confirmed = confirmed;
    }
    if (command->sequence == 0) {
        naive_operations_run(work, operations);
    } else {
        run_numbered(work, session, command->sequence, operations);
    }
}

/* --- Due nodes --- */

static bool is_due(const struct naive_state *state, const struct naive_node *node, bool container)
{
    if (naive_state_stat(state, node).child_count > 0 || node->container != container) {
        return false;
    }
    return container ? node->sequence > 0
                     : node->ttl_ms > 0 && state->time_ms - node->stat.mtime_ms > node->ttl_ms;
}

/* The one that has been due for longest; of several, and of containers, the oldest. Those
 * that lost a child in this very sweep wait for the next. */
static struct naive_node *next_due(struct naive_state *state, bool container, zxid at)
{
    struct naive_node *next = NULL;

    for (size_t i = 0; i < state->node_count; i++) {
        struct naive_node *node = &state->nodes[i];

        if (is_due(state, node, container) && node->stat.pzxid != at &&
            (next == NULL || (!container && node->stat.mtime_ms + node->ttl_ms <
                                                next->stat.mtime_ms + next->ttl_ms))) {
            next = node;
        }
    }
    return next;
}

/* Of the sessions that ended, the first that has ephemerals; 0 = none. */
static session_id first_with_orphans(struct naive_state *state)
{
    session_id first = 0;

    for (size_t i = 0; i < state->node_count; i++) {
        session_id owner = state->nodes[i].stat.ephemeral_owner;

        if (owner != 0 && find_session(state, owner) == NULL && (first == 0 || owner < first)) {
            first = owner;
        }
    }
    return first;
}

static void sweep_orphans(struct naive_work *work, uint32_t count_max)
{
    session_id session;

    for (uint32_t left = count_max; left > 0 && (session = first_with_orphans(work->state)) != 0;) {
        left -= remove_ephemerals(work, session, left);
    }
}

static void sweep(struct naive_work *work, uint32_t count_max)
{
    sweep_orphans(work, count_max);
    for (int kind = 0; kind < 2; kind++) {
        struct naive_node *node = next_due(work->state, kind == 1, work->at);

        for (uint32_t i = 0; i < count_max && node != NULL; i++) {
            naive_nodes_remove(work, node);
            node = next_due(work->state, kind == 1, work->at);
        }
    }
    CHECK(naive_quotas_account(work, 0) == OP_OK);
}

struct naive_result naive_state_apply(struct naive_state *state,
                                      zxid at,
                                      uint64_t stamp_ms,
                                      const Record__Command *command)
{
    struct naive_result result = {.zxid = at};
    struct naive_work work = {.state = state, .at = at, .command = command, .result = &result};

    if (stamp_ms > state->time_ms) {
        state->time_ms = stamp_ms;
    }
    if (command == NULL) {
        result.error = OP_UNREADABLE;
        return result;
    }
    work.session = command->session;
    if (command->body_case == RECORD__COMMAND__BODY_OPEN_SESSION) {
        open_session(&work, command->open_session);
    } else if (command->body_case == RECORD__COMMAND__BODY_ATTACH_SESSION) {
        attach(&work, command->session, command->attach_session);
    } else if (command->body_case == RECORD__COMMAND__BODY_CLOSE_SESSION) {
        end_session(&work, command->session, command->generation, command->close_session->count_max,
                    STATE_SESSION_CLOSED);
    } else if (command->body_case == RECORD__COMMAND__BODY_EXPIRE_SESSION) {
        end_session(&work, command->expire_session->session, command->expire_session->generation,
                    command->expire_session->count_max, STATE_SESSION_EXPIRED);
    } else if (command->body_case == RECORD__COMMAND__BODY_SWEEP) {
        work.session = 0;
        sweep(&work, command->sweep->count_max);
    } else {
        write_nodes(&work, command);
    }
    return result;
}
