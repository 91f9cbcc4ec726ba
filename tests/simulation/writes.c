#include "tests/simulation/writes.h"

#include "proto/record.pb-c.h"
#include "tests/simulation/timeline.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    OPERATIONS_MAX = 1 << WRITES_STEP_BITS,
    PATH_BYTES_MAX = 48,
    SERIAL_BYTES = 8,
    LIMITS_BYTES_MAX = 160
};

static const uint64_t ttl_ms = 700;

struct bytes writes_folder(const struct settings *settings, struct prng *prng, struct arena *arena)
{
    char *text = arena_alloc(arena, PATH_BYTES_MAX);
    int size;

    (void)settings;
    if (timeline_chance(prng, 200)) {
        size = snprintf(text, PATH_BYTES_MAX, "/");
    } else {
        size = snprintf(text, PATH_BYTES_MAX, "/d%" PRIu64, prng_below(prng, WRITES_FOLDERS));
    }
    return bytes_of(text, (size_t)size);
}

struct bytes writes_path(const struct settings *settings, struct prng *prng, struct arena *arena)
{
    char *text = arena_alloc(arena, PATH_BYTES_MAX);
    uint64_t key = prng_below(prng, settings->key_count);
    uint64_t folder = prng_below(prng, WRITES_FOLDERS);
    uint64_t kind = prng_below(prng, 20);
    int size;

    if (kind < 11) {
        size = snprintf(text, PATH_BYTES_MAX, "/k%" PRIu64, key);
    } else if (kind < 17) {
        size = snprintf(text, PATH_BYTES_MAX, "/d%" PRIu64 "/k%" PRIu64, folder, key);
    } else if (kind < 18) {
        size = snprintf(text, PATH_BYTES_MAX, "/d%" PRIu64 "/k%" PRIu64 "/x", folder, key);
    } else {
        size = snprintf(text, PATH_BYTES_MAX, "/d%" PRIu64, folder);
    }
    return bytes_of(text, (size_t)size);
}

static ProtobufCBinaryData binary(struct bytes bytes)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)bytes.data, .len = bytes.size};
}

static struct bytes draw_path(const struct writes_draw *draw, struct arena *arena)
{
    return writes_path(draw->settings, draw->prng, arena);
}

static int32_t draw_version(const struct writes_draw *draw)
{
    return (int32_t)prng_below(draw->prng, 4);
}

static struct bytes draw_value(const struct writes_draw *draw, struct arena *arena, size_t step)
{
    uint64_t padding = prng_below(draw->prng, draw->settings->value_bytes_max + 1);
    uint8_t *value = arena_calloc(arena, 1, SERIAL_BYTES + padding);

    bytes_store_u64(value, draw->serial << WRITES_STEP_BITS | step);
    return bytes_of(value, SERIAL_BYTES + padding);
}

static void draw_set(const struct writes_draw *draw,
                     struct arena *arena,
                     size_t step,
                     Record__Operation *operation)
{
    Record__Set *set = arena_alloc(arena, sizeof *set);

    record__set__init(set);
    set->path = binary(draw_path(draw, arena));
    set->value = binary(draw_value(draw, arena, step));
    set->create = timeline_chance(draw->prng, 750);
    set->version = set->create ? -1 : draw_version(draw);
    operation->kind_case = RECORD__OPERATION__KIND_SET;
    operation->set = set;
}

static struct bytes draw_sequence(const struct writes_draw *draw, struct arena *arena)
{
    char *text = arena_alloc(arena, PATH_BYTES_MAX);

    return bytes_of(text, (size_t)snprintf(text, PATH_BYTES_MAX, "/d%" PRIu64 "/s-",
                                           prng_below(draw->prng, WRITES_FOLDERS)));
}

static void draw_create(const struct writes_draw *draw,
                        struct arena *arena,
                        size_t step,
                        Record__Operation *operation)
{
    static const Record__CreateMode modes[] = {RECORD__CREATE_MODE__PERSISTENT,
                                               RECORD__CREATE_MODE__PERSISTENT,
                                               RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL,
                                               RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL_TTL,
                                               RECORD__CREATE_MODE__CONTAINER,
                                               RECORD__CREATE_MODE__PERSISTENT_TTL,
                                               RECORD__CREATE_MODE__EPHEMERAL,
                                               RECORD__CREATE_MODE__EPHEMERAL,
                                               RECORD__CREATE_MODE__EPHEMERAL,
                                               RECORD__CREATE_MODE__EPHEMERAL_SEQUENTIAL};
    enum { LASTING = 6, ALL = sizeof modes / sizeof *modes };
    Record__Create *create = arena_alloc(arena, sizeof *create);
    size_t first = draw->in_session && settings_ends_are_cut(draw->settings) ? LASTING : 0;

    record__create__init(create);
    create->mode =
        modes[first + prng_below(draw->prng, (draw->in_session ? ALL : LASTING) - first)];
    switch ((int)create->mode) {
    case RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL_TTL:
        create->ttl_ms = ttl_ms;
        create->path = binary(draw_sequence(draw, arena));
        break;
    case RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL:
    case RECORD__CREATE_MODE__EPHEMERAL_SEQUENTIAL:
        create->path = binary(draw_sequence(draw, arena));
        break;
    case RECORD__CREATE_MODE__PERSISTENT_TTL:
        create->ttl_ms = ttl_ms;
        create->path = binary(draw_path(draw, arena));
        break;
    default:
        create->path = binary(draw_path(draw, arena));
        break;
    }
    create->make_parents = timeline_chance(draw->prng, 700);
    create->value = binary(draw_value(draw, arena, step));
    operation->kind_case = RECORD__OPERATION__KIND_CREATE;
    operation->create = create;
}

static void
draw_remove(const struct writes_draw *draw, struct arena *arena, Record__Operation *operation)
{
    Record__Remove *remove = arena_alloc(arena, sizeof *remove);
    bool own = draw->made.size > 0 && timeline_chance(draw->prng, 600);

    record__remove__init(remove);
    remove->path = binary(own ? draw->made : draw_path(draw, arena));
    remove->version = timeline_chance(draw->prng, 800) ? -1 : draw_version(draw);
    operation->kind_case = RECORD__OPERATION__KIND_REMOVE;
    operation->remove = remove;
}

static void
draw_check(const struct writes_draw *draw, struct arena *arena, Record__Operation *operation)
{
    if (timeline_chance(draw->prng, 500)) {
        Record__Check *check = arena_alloc(arena, sizeof *check);

        record__check__init(check);
        check->path = binary(draw_path(draw, arena));
        check->version = timeline_chance(draw->prng, 700) ? -1 : draw_version(draw);
        operation->kind_case = RECORD__OPERATION__KIND_CHECK;
        operation->check = check;
    } else {
        Record__CheckAbsent *absent = arena_alloc(arena, sizeof *absent);

        record__check_absent__init(absent);
        absent->path = binary(draw_path(draw, arena));
        operation->kind_case = RECORD__OPERATION__KIND_CHECK_ABSENT;
        operation->check_absent = absent;
    }
}

static Record__Operation *draw_operation(const struct writes_draw *draw,
                                         struct arena *arena,
                                         size_t step,
                                         bool with_checks,
                                         bool *marked)
{
    Record__Operation *operation = arena_alloc(arena, sizeof *operation);
    uint64_t kind = prng_below(draw->prng, with_checks ? 13 : 10);

    record__operation__init(operation);
    *marked |= kind < 8;
    if (kind < 4) {
        draw_set(draw, arena, step, operation);
    } else if (kind < 8) {
        draw_create(draw, arena, step, operation);
    } else if (kind < 10) {
        draw_remove(draw, arena, operation);
    } else {
        draw_check(draw, arena, operation);
    }
    return operation;
}

/* Limits that are passed soon, behind the number of the write. */
static struct bytes draw_limits(const struct writes_draw *draw, struct arena *arena)
{
    uint64_t count = prng_between(draw->prng, 1, 12);
    uint64_t bytes = prng_between(draw->prng, 8, 4 * draw->settings->value_bytes_max + 16);
    bool is_hard = timeline_chance(draw->prng, 800);
    char *text = arena_calloc(arena, 1, SERIAL_BYTES + LIMITS_BYTES_MAX);
    int size = snprintf(text + SERIAL_BYTES, LIMITS_BYTES_MAX,
                        ",count=%" PRIu64 ",bytes=%" PRIu64 "=;byteHardLimit=%" PRId64
                        ";countHardLimit=%" PRId64,
                        count, bytes, is_hard ? (int64_t)bytes : -1, is_hard ? (int64_t)count : -1);

    bytes_store_u64((uint8_t *)text, draw->serial << WRITES_STEP_BITS);
    return bytes_of(text, SERIAL_BYTES + (size_t)size);
}

/* A quota on a folder is made, changed or taken away, one of its nodes at a time. */
static Record__Operation *
draw_quota(const struct writes_draw *draw, struct arena *arena, bool *ret_marked)
{
    Record__Operation *operation = arena_alloc(arena, sizeof *operation);
    bool is_limits = timeline_chance(draw->prng, 550);
    char *path = arena_alloc(arena, PATH_BYTES_MAX);
    ProtobufCBinaryData name;

    (void)snprintf(path, PATH_BYTES_MAX, is_limits ? WRITES_LIMITS_FORMAT : WRITES_STATS_FORMAT,
                   (unsigned)prng_below(draw->prng, WRITES_FOLDERS));
    name = binary(bytes_of_text(path));
    record__operation__init(operation);
    if (timeline_chance(draw->prng, 200)) {
        operation->kind_case = RECORD__OPERATION__KIND_REMOVE;
        operation->remove = arena_alloc(arena, sizeof *operation->remove);
        record__remove__init(operation->remove);
        operation->remove->path = name;
        operation->remove->version = -1;
    } else if (is_limits) {
        operation->kind_case = RECORD__OPERATION__KIND_SET;
        operation->set = arena_alloc(arena, sizeof *operation->set);
        record__set__init(operation->set);
        operation->set->path = name;
        operation->set->value = binary(draw_limits(draw, arena));
        operation->set->create = true;
        operation->set->version = -1;
        *ret_marked = true;
    } else {
        operation->kind_case = RECORD__OPERATION__KIND_CREATE;
        operation->create = arena_alloc(arena, sizeof *operation->create);
        record__create__init(operation->create);
        operation->create->path = name;
        operation->create->make_parents = true;
    }
    return operation;
}

void writes_draw(const struct writes_draw *draw, struct buffer *body, bool *ret_marked)
{
    Record__Command command = RECORD__COMMAND__INIT;
    Record__Transaction transaction = RECORD__TRANSACTION__INIT;
    Record__Operation *operations[OPERATIONS_MAX];
    size_t count =
        timeline_chance(draw->prng, 120) ? (size_t)prng_between(draw->prng, 2, OPERATIONS_MAX) : 1;
    struct arena arena;

    arena_init(&arena);
    *ret_marked = false;
    if (draw->settings->with_quotas && timeline_chance(draw->prng, 100)) {
        count = 1;
        operations[0] = draw_quota(draw, &arena, ret_marked);
    } else {
        for (size_t i = 0; i < count; i++) {
            operations[i] = draw_operation(draw, &arena, i, count > 1, ret_marked);
        }
    }
    if (count == 1) {
        command.body_case = RECORD__COMMAND__BODY_OPERATION;
        command.operation = operations[0];
    } else {
        transaction.operations = operations;
        transaction.n_operations = count;
        command.body_case = RECORD__COMMAND__BODY_TRANSACTION;
        command.transaction = &transaction;
    }
    (void)record__command__pack(&command,
                                buffer_extend(body, record__command__get_packed_size(&command)));
    arena_release(&arena);
}
