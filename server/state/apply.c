#include "server/state/apply.h"

#include "base/check.h"
#include "base/mark.h"
#include "server/state/command.h"
#include "server/state/operation.h"
#include "server/state/quota.h"
#include "server/state/result.h"

#include <string.h>

static void refuse(struct state_result *result, enum op_error error)
{
    result->error = error;
    for (size_t i = 0; i < result->operation_count; i++) {
        result->operations[i] = (struct state_op_result){.error = OP_NOT_EXECUTED};
    }
}

/* --- Operations and transactions --- */

/* As ZooKeeper reports a failed multi: no error before the one that failed, "not executed" after
 * it. */
static void fail_at(struct state_result *result, size_t position)
{
    enum op_error error = result->operations[position].error;

    refuse(result, error);
    for (size_t i = 0; i < position; i++) {
        result->operations[i].error = OP_OK;
    }
    result->operations[position].error = error;
}

/* Whether more may follow. */
static enum op_error bound(struct tree_write *write, const Record__Command *command)
{
    bool is_over = write->tree->overlay->touched_bytes > STATE_TRANSACTION_TOUCHED_BYTES_MAX ||
                   write->change_count > STATE_TRANSACTION_CHANGES_MAX;

    if (!command->transaction->bounded) {
        write->counted_max = write->counted + QUOTA_COUNTED_MAX;
        return OP_OK;
    }
    MARK_IF(is_over, transaction_touched_too_much);
    return is_over ? OP_LIMIT : OP_OK;
}

static enum status
execute(struct tree_write *write, Record__Command *command, struct state_result *result)
{
    struct overlay *overlay = write->tree->overlay;
    struct overlay_savepoint savepoint = overlay_savepoint(overlay);
    uint64_t next_node_id = write->tree->next_node_id;
    Record__Operation **operations;
    size_t count = command_operations(command, &operations);

    for (size_t i = 0; i < count; i++) {
        size_t first = write->change_count;
        enum status status = operation_apply(write, operations[i], &result->operations[i]);

        if (status == STATUS_OK && result->operations[i].error == OP_OK) {
            status = quota_account(write, first, &result->operations[i].error);
        }
        if (status == STATUS_OK && result->operations[i].error == OP_OK && i + 1 < count) {
            result->operations[i].error = bound(write, command);
        }
        if (status != STATUS_OK) {
            return status;
        }
        if (result->operations[i].error != OP_OK) {
            overlay_rollback(overlay, savepoint);
            MARK_IF(i > 0, transaction_rolled_back);
            write->tree->next_node_id = next_node_id;
            write->change_count = 0;
            write->quota_passed = BYTES_EMPTY;
            fail_at(result, i);
            return STATUS_OK;
        }
        overlay_trim(overlay);
    }
    return STATUS_OK;
}

static enum op_error session_refusal(const struct session *session, uint64_t generation)
{
    if (session == NULL) {
        return OP_SESSION_EXPIRED;
    }
    MARK_IF(session->generation != generation, write_of_an_earlier_attachment);
    return session->generation == generation ? OP_OK : OP_SESSION_MOVED;
}

/* A numbered write that is not the next one, or cannot be. */
static enum op_error sequence_refusal(const struct session *session, uint64_t sequence)
{
    if (sequence <= session->confirmed) {
        MARK(write_repeated_after_it_was_confirmed);
        return OP_SEQUENCE_FORGOTTEN;
    }
    if (sequence - 1 > session->last_sequence) {
        MARK(write_before_the_one_it_follows);
        return OP_SEQUENCE_GAP;
    }
    if (sequence > session->last_sequence &&
        (session->last_sequence - session->confirmed >= STATE_KEPT_RESULTS_MAX ||
         session->kept_bytes >= STATE_KEPT_BYTES_MAX)) {
        MARK(write_refused_for_unconfirmed_results);
        return OP_TOO_MANY_UNCONFIRMED;
    }
    return OP_OK;
}

static enum status repeat(struct state *state,
                          const struct session *session,
                          uint64_t sequence,
                          struct arena *arena,
                          struct state_result *result)
{
    struct bytes kept;
    enum status status = session_kept(&state->sessions, session, sequence, &kept);

    return status == STATUS_OK ? result_decode(kept, arena, result) : status;
}

/* The session is there and attached by the asker. */
static enum status apply_numbered(struct state *state,
                                  struct tree_write *write,
                                  Record__Command *command,
                                  struct session *session,
                                  struct state_result *result)
{
    enum op_error refusal = sequence_refusal(session, command->sequence);
    enum status status;

    if (refusal != OP_OK) {
        refuse(result, refusal);
        return STATUS_OK;
    }
    if (command->sequence <= session->last_sequence) {
        MARK(write_repeated_and_answered_from_the_kept_result);
        return repeat(state, session, command->sequence, write->arena, result);
    }
    status = execute(write, command, result);
    if (status == STATUS_OK) {
        session_keep(&state->sessions, session, result_encode(result, write->arena));
    }
    return status;
}

/* What a client confirmed is forgotten also when its write is then refused: it said so, and it may
 * be what makes room. */
static enum status apply_of_session(struct state *state,
                                    struct tree_write *write,
                                    Record__Command *command,
                                    struct session *session,
                                    struct state_result *result)
{
    uint64_t last_sequence = session->last_sequence;
    bool changed = false;
    enum status status = session_confirm(&state->sessions, session, command->confirmed, &changed);

    if (status == STATUS_OK) {
        status = command->sequence == 0 ? execute(write, command, result)
                                        : apply_numbered(state, write, command, session, result);
    }
    if (status == STATUS_OK && (changed || session->last_sequence != last_sequence)) {
        status = session_table_write(&state->sessions, session);
    }
    return status;
}

static enum status apply_write(struct state *state,
                               struct tree_write *write,
                               Record__Command *command,
                               struct state_result *result)
{
    Record__Operation **operations;
    struct session *session;
    enum op_error refusal;

    result->operation_count = command_operations(command, &operations);
    result->operations =
        arena_calloc(write->arena, result->operation_count, sizeof *result->operations);
    if (command->session == 0) {
        return execute(write, command, result);
    }
    session = session_table_find(&state->sessions, command->session);
    refusal = session_refusal(session, command->generation);
    if (refusal != OP_OK) {
        refuse(result, refusal);
        return STATUS_OK;
    }
    return apply_of_session(state, write, command, session, result);
}

/* --- Sessions --- */

static uint32_t timeout_clamp(uint32_t timeout_ms)
{
    if (timeout_ms < STATE_SESSION_TIMEOUT_MS_MIN) {
        return STATE_SESSION_TIMEOUT_MS_MIN;
    }
    return timeout_ms > STATE_SESSION_TIMEOUT_MS_MAX ? STATE_SESSION_TIMEOUT_MS_MAX : timeout_ms;
}

/* In a time that does not tell how much of it is right. */
static bool password_matches(const struct session *session, ProtobufCBinaryData password)
{
    unsigned difference = 0;

    if (password.len != STATE_PASSWORD_BYTES) {
        return false;
    }
    for (size_t i = 0; i < STATE_PASSWORD_BYTES; i++) {
        difference |= (unsigned)(session->password[i] ^ password.data[i]);
    }
    return difference == 0;
}

static void note_session(struct tree_write *write, enum state_change_kind kind, session_id id)
{
    tree_note(write, (struct state_change){.kind = kind, .session = id});
}

static void show_session(const struct session *session, struct state_result *result)
{
    result->session = session->id;
    result->generation = session->generation;
    result->timeout_ms = session->timeout_ms;
}

static enum status apply_open(struct state *state,
                              struct tree_write *write,
                              const Record__OpenSession *open,
                              struct state_result *result)
{
    struct session *session = session_table_add(&state->sessions, write->zxid);

    session->generation = 1;
    session->owner = open->owner;
    session->timeout_ms = timeout_clamp(open->timeout_ms);
    memcpy(session->password, open->password.data, STATE_PASSWORD_BYTES);
    show_session(session, result);
    MARK(session_opened);
    note_session(write, STATE_SESSION_OPENED, session->id);
    return session_table_write(&state->sessions, session);
}

static enum status apply_attach(struct state *state,
                                struct tree_write *write,
                                session_id id,
                                const Record__AttachSession *attach,
                                struct state_result *result)
{
    struct session *session = session_table_find(&state->sessions, id);

    if (session == NULL || !password_matches(session, attach->password)) {
        MARK_IF(session == NULL, attached_to_a_session_that_ended);
        result->error = OP_SESSION_EXPIRED;
        return STATUS_OK;
    }
    session->generation++;
    session->owner = attach->owner;
    session->timeout_ms = timeout_clamp(attach->timeout_ms);
    show_session(session, result);
    note_session(write, STATE_SESSION_ATTACHED, session->id);
    return session_table_write(&state->sessions, session);
}

/* What goes by itself is never refused. */
static enum status account_removals(struct tree_write *write)
{
    enum op_error error;
    enum status status = quota_account(write, 0, &error);

    CHECK(status != STATUS_OK || error == OP_OK);
    return status;
}

static enum status apply_end(struct state *state,
                             struct tree_write *write,
                             session_id id,
                             uint64_t generation,
                             uint32_t count_max,
                             enum state_change_kind kind,
                             struct state_result *result)
{
    struct session *session = session_table_find(&state->sessions, id);
    enum status status;

    result->error = session_refusal(session, generation);
    MARK_IF(kind == STATE_SESSION_EXPIRED && result->error == OP_SESSION_MOVED,
            expiry_void_as_the_session_moved);
    if (result->error != OP_OK) {
        return STATUS_OK;
    }
    MARK_IF(kind == STATE_SESSION_EXPIRED, session_expired);
    write->session = id;
    status = tree_remove_ephemerals(write, id, count_max, &result->ephemerals_left);
    if (status == STATUS_OK) {
        status = account_removals(write);
    }
    MARK_IF(write->change_count > 0, ephemerals_removed_with_their_session);
    MARK_IF(result->ephemerals_left, session_ended_before_its_ephemerals);
    note_session(write, kind, id);
    return status == STATUS_OK ? session_table_remove(&state->sessions, session) : status;
}

static struct state_identities identities_of(const Record__Command *command, struct arena *arena)
{
    size_t count = command->n_identities;
    struct state_identity *items;

    if (count == 0) {
        return (struct state_identities){.count = 0};
    }
    items = arena_calloc(arena, count, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        const Record__Identity *identity = command->identities[i];

        items[i] =
            (struct state_identity){.scheme = bytes_of(identity->scheme.data, identity->scheme.len),
                                    .id = bytes_of(identity->id.data, identity->id.len)};
    }
    return (struct state_identities){.items = items, .count = count};
}

/* Operations of a transaction that failed were undone; the end of a session and a sweep remove
 * nodes that they do not name. */
static size_t work_of(const struct tree_write *write, const struct state_result *result)
{
    enum { COUNTED_PER_OPERATION = 32, BYTES_PER_OPERATION = 4096 /* take about as long as one */ };
    size_t operations = result->operation_count > result->change_count ? result->operation_count
                                                                       : result->change_count;

    return operations + write->counted / COUNTED_PER_OPERATION +
           write->tree->overlay->touched_bytes / BYTES_PER_OPERATION;
}

enum status apply_command(struct state *state,
                          zxid at,
                          Record__Command *command,
                          struct arena *arena,
                          struct state_result *ret_result)
{
    struct tree_write write = {
        .tree = &state->tree,
        .arena = arena,
        .zxid = at,
        .time_ms = state->time_ms,
        .session = command->session,
        .identities = identities_of(command, arena),
        .enforces_quotas = command->enforce_quotas,
        .counted_max = QUOTA_COUNTED_MAX,
    };
    enum status status = STATUS_OK;

    switch (command->body_case) {
    case RECORD__COMMAND__BODY_OPERATION:
    case RECORD__COMMAND__BODY_TRANSACTION:
        status = apply_write(state, &write, command, ret_result);
        break;
    case RECORD__COMMAND__BODY_OPEN_SESSION:
        status = apply_open(state, &write, command->open_session, ret_result);
        break;
    case RECORD__COMMAND__BODY_ATTACH_SESSION:
        status = apply_attach(state, &write, command->session, command->attach_session, ret_result);
        break;
    case RECORD__COMMAND__BODY_CLOSE_SESSION:
        status = apply_end(state, &write, command->session, command->generation,
                           command->close_session->count_max, STATE_SESSION_CLOSED, ret_result);
        break;
    case RECORD__COMMAND__BODY_EXPIRE_SESSION:
        status = apply_end(state, &write, command->expire_session->session,
                           command->expire_session->generation, command->expire_session->count_max,
                           STATE_SESSION_EXPIRED, ret_result);
        break;
    case RECORD__COMMAND__BODY_SWEEP:
        write.session = 0; /* nobody's write */
        ret_result->error = OP_OK;
        status = tree_remove_due(&write, command->sweep->count_max);
        if (status == STATUS_OK) {
            status = account_removals(&write);
        }
        break;
    case RECORD__COMMAND__BODY__NOT_SET:
    case _RECORD__COMMAND__BODY__CASE_IS_INT_SIZE:
    default:
        ret_result->error = OP_UNREADABLE;
        break;
    }
    ret_result->changes = write.changes;
    ret_result->change_count = write.change_count;
    ret_result->quota_passed = write.quota_passed;
    ret_result->work = work_of(&write, ret_result);
    return status;
}
