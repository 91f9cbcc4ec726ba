#include "tests/support/state_lab.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

static void open_state(struct state_lab *lab)
{
    struct state_source port = memory_source_port(lab->source);
    struct error error;

    CHECK(state_new(&lab->options, &port, &lab->state, &error) == STATUS_OK);
    lab->next = state_applied(lab->state) + 1;
}

void state_lab_init(struct state_lab *lab, uint64_t cache_bytes_max)
{
    *lab = (struct state_lab){
        .source = memory_source_new(),
        .options = {.cache_bytes_max = cache_bytes_max},
        .time_ms = 1000,
    };
    arena_init(&lab->arena);
    open_state(lab);
}

void state_lab_release(struct state_lab *lab)
{
    state_check(lab->state, true);
    state_free(lab->state);
    memory_source_free(lab->source);
    arena_release(&lab->arena);
}

struct bytes
state_lab_encode(const Record__Command *command, uint64_t stamp_ms, struct arena *arena)
{
    size_t size = record__command__get_packed_size(command);
    uint8_t *entry = arena_alloc(arena, 8 + size);

    bytes_store_u64(entry, stamp_ms);
    CHECK_OP(record__command__pack(command, entry + 8), ==, size);
    return bytes_of(entry, 8 + size);
}

enum op_error state_lab_apply(struct state_lab *lab, struct bytes entry)
{
    CHECK(state_apply(lab->state, lab->next++, entry, &lab->arena, &lab->result) == STATUS_OK);
    return lab->result.error;
}

enum op_error state_lab_command(struct state_lab *lab, Record__Command *command)
{
    struct arena arena;
    enum op_error error;

    arena_init(&arena);
    arena_reset(&lab->arena);
    error = state_lab_apply(
        lab, arena_copy(&lab->arena, state_lab_encode(command, lab->time_ms, &arena)));
    arena_release(&arena);
    return error;
}

static Record__Command asked(struct state_lab *lab)
{
    Record__Command command = RECORD__COMMAND__INIT;

    command.session = lab->session;
    command.generation = lab->generation;
    command.sequence = lab->sequence;
    command.confirmed = lab->confirmed;
    if (lab->sequence != 0) {
        lab->sequence++;
    }
    return command;
}

enum op_error state_lab_operation(struct state_lab *lab, Record__Operation *operation)
{
    Record__Command command = asked(lab);

    command.body_case = RECORD__COMMAND__BODY_OPERATION;
    command.operation = operation;
    return state_lab_command(lab, &command);
}

enum op_error
state_lab_transaction(struct state_lab *lab, Record__Operation **operations, size_t count)
{
    Record__Transaction transaction = RECORD__TRANSACTION__INIT;
    Record__Command command = asked(lab);

    transaction.operations = operations;
    transaction.n_operations = count;
    transaction.bounded = !lab->is_unbounded;
    command.body_case = RECORD__COMMAND__BODY_TRANSACTION;
    command.transaction = &transaction;
    return state_lab_command(lab, &command);
}

/* --- Operations --- */

static ProtobufCBinaryData field_of(struct arena *arena, const char *text)
{
    struct bytes bytes = text == NULL ? BYTES_EMPTY : bytes_of_text(text);
    ProtobufCBinaryData field = {.len = bytes.size};

    if (bytes.size > 0) {
        field.data = arena_alloc(arena, bytes.size);
        memcpy(field.data, bytes.data, bytes.size);
    }
    return field;
}

static Record__Operation *make(struct arena *arena, Record__Operation__KindCase kind)
{
    Record__Operation *operation = arena_alloc(arena, sizeof *operation);

    record__operation__init(operation);
    operation->kind_case = kind;
    return operation;
}

Record__Operation *state_lab_make_create(struct arena *arena, const char *path, const char *value)
{
    Record__Operation *operation = make(arena, RECORD__OPERATION__KIND_CREATE);

    operation->create = arena_alloc(arena, sizeof *operation->create);
    record__create__init(operation->create);
    operation->create->path = field_of(arena, path);
    operation->create->value = field_of(arena, value);
    operation->create->value_is_null = value == NULL;
    return operation;
}

Record__Operation *
state_lab_make_set(struct arena *arena, const char *path, const char *value, int32_t version)
{
    Record__Operation *operation = make(arena, RECORD__OPERATION__KIND_SET);

    operation->set = arena_alloc(arena, sizeof *operation->set);
    record__set__init(operation->set);
    operation->set->path = field_of(arena, path);
    operation->set->value = field_of(arena, value);
    operation->set->value_is_null = value == NULL;
    operation->set->version = version;
    return operation;
}

Record__Operation *state_lab_make_remove(struct arena *arena, const char *path, int32_t version)
{
    Record__Operation *operation = make(arena, RECORD__OPERATION__KIND_REMOVE);

    operation->remove = arena_alloc(arena, sizeof *operation->remove);
    record__remove__init(operation->remove);
    operation->remove->path = field_of(arena, path);
    operation->remove->version = version;
    return operation;
}

Record__Operation *state_lab_make_check(struct arena *arena, const char *path, int32_t version)
{
    Record__Operation *operation = make(arena, RECORD__OPERATION__KIND_CHECK);

    operation->check = arena_alloc(arena, sizeof *operation->check);
    record__check__init(operation->check);
    operation->check->path = field_of(arena, path);
    operation->check->version = version;
    return operation;
}

Record__Operation *state_lab_make_check_absent(struct arena *arena, const char *path)
{
    Record__Operation *operation = make(arena, RECORD__OPERATION__KIND_CHECK_ABSENT);

    operation->check_absent = arena_alloc(arena, sizeof *operation->check_absent);
    record__check_absent__init(operation->check_absent);
    operation->check_absent->path = field_of(arena, path);
    return operation;
}

static enum op_error create(struct state_lab *lab,
                            const char *path,
                            const char *value,
                            Record__CreateMode mode,
                            uint64_t ttl_ms)
{
    struct arena arena;
    Record__Operation *operation;
    enum op_error error;

    arena_init(&arena);
    operation = state_lab_make_create(&arena, path, value);
    operation->create->mode = mode;
    operation->create->ttl_ms = ttl_ms;
    error = state_lab_operation(lab, operation);
    arena_release(&arena);
    return error;
}

enum op_error state_lab_create(struct state_lab *lab,
                               const char *path,
                               const char *value,
                               Record__CreateMode mode)
{
    return create(lab, path, value, mode, 0);
}

enum op_error state_lab_create_ttl(struct state_lab *lab, const char *path, uint64_t ttl_ms)
{
    return create(lab, path, "", RECORD__CREATE_MODE__PERSISTENT_TTL, ttl_ms);
}

enum op_error
state_lab_set(struct state_lab *lab, const char *path, const char *value, int32_t version)
{
    struct arena arena;
    enum op_error error;

    arena_init(&arena);
    error = state_lab_operation(lab, state_lab_make_set(&arena, path, value, version));
    arena_release(&arena);
    return error;
}

enum op_error state_lab_remove(struct state_lab *lab, const char *path, int32_t version)
{
    struct arena arena;
    enum op_error error;

    arena_init(&arena);
    error = state_lab_operation(lab, state_lab_make_remove(&arena, path, version));
    arena_release(&arena);
    return error;
}

/* --- Sessions --- */

session_id state_lab_open(struct state_lab *lab, char letter, uint32_t timeout_ms)
{
    Record__OpenSession open = RECORD__OPEN_SESSION__INIT;
    Record__Command command = RECORD__COMMAND__INIT;
    uint8_t password[STATE_PASSWORD_BYTES];

    memset(password, letter, sizeof password);
    open.password = (ProtobufCBinaryData){.len = sizeof password, .data = password};
    open.timeout_ms = timeout_ms;
    open.owner = 1;
    command.body_case = RECORD__COMMAND__BODY_OPEN_SESSION;
    command.open_session = &open;
    CHECK(state_lab_command(lab, &command) == OP_OK);
    lab->session = lab->result.session;
    lab->generation = lab->result.generation;
    return lab->result.session;
}

enum op_error state_lab_attach(struct state_lab *lab, session_id id, char letter)
{
    Record__AttachSession attach = RECORD__ATTACH_SESSION__INIT;
    Record__Command command = RECORD__COMMAND__INIT;
    uint8_t password[STATE_PASSWORD_BYTES];

    memset(password, letter, sizeof password);
    attach.password = (ProtobufCBinaryData){.len = sizeof password, .data = password};
    attach.timeout_ms = 5000;
    attach.owner = 2;
    command.session = id;
    command.body_case = RECORD__COMMAND__BODY_ATTACH_SESSION;
    command.attach_session = &attach;
    return state_lab_command(lab, &command);
}

enum op_error state_lab_close(struct state_lab *lab)
{
    Record__CloseSession close = RECORD__CLOSE_SESSION__INIT;
    Record__Command command = RECORD__COMMAND__INIT;

    close.count_max = lab->end_count_max;
    command.session = lab->session;
    command.generation = lab->generation;
    command.body_case = RECORD__COMMAND__BODY_CLOSE_SESSION;
    command.close_session = &close;
    return state_lab_command(lab, &command);
}

enum op_error state_lab_expire(struct state_lab *lab, session_id id, uint64_t generation)
{
    Record__ExpireSession expire = RECORD__EXPIRE_SESSION__INIT;
    Record__Command command = RECORD__COMMAND__INIT;

    expire.session = id;
    expire.generation = generation;
    expire.count_max = lab->end_count_max;
    command.body_case = RECORD__COMMAND__BODY_EXPIRE_SESSION;
    command.expire_session = &expire;
    return state_lab_command(lab, &command);
}

enum op_error state_lab_sweep(struct state_lab *lab, uint32_t count_max)
{
    Record__Sweep sweep = RECORD__SWEEP__INIT;
    Record__Command command = RECORD__COMMAND__INIT;

    sweep.count_max = count_max;
    command.body_case = RECORD__COMMAND__BODY_SWEEP;
    command.sweep = &sweep;
    return state_lab_command(lab, &command);
}

/* --- Reading --- */

bool state_lab_stat_equal(const struct state_stat *left, const struct state_stat *right)
{
    return left->czxid == right->czxid && left->mzxid == right->mzxid &&
           left->pzxid == right->pzxid && left->ctime_ms == right->ctime_ms &&
           left->mtime_ms == right->mtime_ms && left->version == right->version &&
           left->cversion == right->cversion && left->aversion == right->aversion &&
           left->ephemeral_owner == right->ephemeral_owner &&
           left->value_bytes == right->value_bytes && left->child_count == right->child_count;
}

bool state_lab_stat(struct state_lab *lab, const char *path, struct state_stat *ret_stat)
{
    struct state_node *node = NULL;
    enum op_error error;

    CHECK(state_read(lab->state, bytes_of_text(path), &error, &node) == STATUS_OK);
    if (error == OP_OK) {
        *ret_stat = state_node_stat(node);
        state_node_unref(node);
    }
    return error == OP_OK;
}

const char *state_lab_value(struct state_lab *lab, const char *path)
{
    struct state_node *node = NULL;
    enum op_error error;
    const char *text;
    struct bytes value;
    bool is_null;

    CHECK(state_read(lab->state, bytes_of_text(path), &error, &node) == STATUS_OK);
    if (error != OP_OK) {
        return "(none)";
    }
    value = state_node_value(node, &is_null);
    text = is_null ? "(null)" : arena_text(&lab->arena, value);
    state_node_unref(node);
    return text;
}

const char *state_lab_children(struct state_lab *lab, const char *path)
{
    struct state_children children = {.count = 0};
    struct buffer text = BUFFER_INIT;
    enum op_error error;
    const char *joined;

    CHECK(state_read_children(lab->state, bytes_of_text(path), BYTES_EMPTY, SIZE_MAX, SIZE_MAX,
                              false, &lab->arena, &error, &children) == STATUS_OK);
    if (error != OP_OK) {
        return "(none)";
    }
    for (size_t i = 0; i < children.count; i++) {
        buffer_put(&text, children.items[i].name);
        buffer_put_u8(&text, ',');
    }
    joined = arena_text(&lab->arena, buffer_lend(&text));
    buffer_release(&text);
    return joined;
}

/* --- Checkpoints --- */

void state_lab_seal(struct state_lab *lab)
{
    CHECK(lab->sealed == NULL);
    lab->sealed = state_seal(lab->state);
}

void state_lab_end(struct state_lab *lab)
{
    size_t count;
    const struct state_record *records = state_generation_records(lab->sealed, &count);

    memory_source_apply(lab->source, records, count);
    state_generation_end(lab->state, lab->sealed);
    lab->sealed = NULL;
}

zxid state_lab_restart(struct state_lab *lab)
{
    state_free(lab->state);
    lab->sealed = NULL;
    open_state(lab);
    return state_applied(lab->state);
}
