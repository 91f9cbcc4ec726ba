/* Random commands against three variants of the state and its naive twin. Run with a number to
 * replay that seed alone. */
#include "tests/support/naive_state.h"
#include "tests/support/state_lab.h"
#include "tests/support/test.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/prng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SEED_COUNT = 1000,
    COMMAND_COUNT = 60,
    VARIANT_COUNT = 3,
    CLIENT_COUNT = 5,
    OPERATION_COUNT_MAX = 6
};

/* What a client believes about its session. */
struct client {
    session_id id;
    uint64_t generation;
    uint64_t sequence;
    uint64_t confirmed;
    char letter;
};

struct world {
    struct prng prng;
    struct naive_state naive;
    struct state_lab labs[VARIANT_COUNT];
    struct client clients[CLIENT_COUNT];
    struct arena arena; /* the entries of the log */
    struct bytes log[COMMAND_COUNT + 1];
    uint64_t time_ms;
    zxid last;
    bool with_quotas;
};

static uint64_t replayed_seed;
static bool replaying;

static bool chance(struct world *world, uint64_t percent)
{
    return prng_below(&world->prng, 100) < percent;
}

/* --- Commands --- */

static ProtobufCBinaryData to_field(struct world *world, struct bytes bytes)
{
    ProtobufCBinaryData field = {.len = bytes.size};

    if (bytes.size > 0) {
        field.data = arena_alloc(&world->arena, bytes.size);
        memcpy(field.data, bytes.data, bytes.size);
    }
    return field;
}

/* Mostly an existing node, or a child of one. */
static ProtobufCBinaryData random_path(struct world *world)
{
    static const char *const names[] = {"a",  "b",     "c",        "d-",       "e0000000001",
                                        "..", "x\x01", "\xc3\xa4", "\xc2\x9f", ""};
    static const char *const strange[] = {
        "", "/", "//", "//a", "a", "/a/", "/zookeeper/config", "/q/r/s", "/q//s", "/zookeeper"};
    struct buffer text = BUFFER_INIT;
    struct bytes base;
    ProtobufCBinaryData field;

    if (chance(world, 4)) {
        return to_field(
            world,
            bytes_of_text(strange[prng_below(&world->prng, sizeof strange / sizeof strange[0])]));
    }
    base = world->naive.nodes[prng_below(&world->prng, world->naive.node_count)].path;
    if (world->with_quotas && chance(world, 60)) {
        base = bytes_of_text(chance(world, 70) ? "/a" : "/a/b");
    }
    if (base.size > 1) {
        buffer_put(&text, base);
    }
    for (uint64_t depth = prng_below(&world->prng, 100); depth >= 40; depth -= 30) {
        size_t count = chance(world, 90) ? 4 : sizeof names / sizeof names[0];

        buffer_put_u8(&text, '/');
        buffer_put(&text, bytes_of_text(names[prng_below(&world->prng, count)]));
    }
    if (text.size == 0) {
        buffer_put_u8(&text, '/');
    }
    field = to_field(world, buffer_lend(&text));
    buffer_release(&text);
    return field;
}

static ProtobufCBinaryData random_value(struct world *world)
{
    enum { SHORT_BYTES = 64 };
    uint8_t value[5000]; /* long ones are not always read whole */
    size_t size = prng_below(&world->prng, chance(world, 5) ? sizeof value : SHORT_BYTES);

    memset(value, (int)prng_below(&world->prng, 256), sizeof value);
    return to_field(world, bytes_of(value, size));
}

static int32_t random_version(struct world *world)
{
    return chance(world, 60) ? -1 : (int32_t)prng_below(&world->prng, 4);
}

static size_t random_acl(struct world *world, Record__AclEntry ***ret_entries)
{
    static const char *const schemes[] = {"world", "digest", "ip", "", "auth", "super"};
    static const char *const ids[] = {"anyone", "u:hash", "10.0.0.0/8", "somebody"};
    size_t count = prng_below(&world->prng, 4);

    *ret_entries = arena_calloc(&world->arena, count + 1, sizeof **ret_entries);
    for (size_t i = 0; i < count; i++) {
        Record__AclEntry *entry = arena_alloc(&world->arena, sizeof *entry);
        size_t scheme =
            chance(world, 75) ? prng_below(&world->prng, 3) : prng_below(&world->prng, 6);
        size_t id = scheme == 0 && chance(world, 90) ? 0 : prng_below(&world->prng, 4);

        record__acl_entry__init(entry);
        entry->permissions = chance(world, 60) ? 31 : (uint32_t)prng_below(&world->prng, 70);
        entry->scheme = to_field(world, bytes_of_text(schemes[scheme]));
        entry->id = to_field(world, bytes_of_text(ids[id]));
        (*ret_entries)[i] = entry;
    }
    return count;
}

static Record__Create *random_create(struct world *world)
{
    Record__Create *create = arena_alloc(&world->arena, sizeof *create);
    int mode =
        chance(world, 98) ? (int)prng_below(&world->prng, 7) : (int)prng_below(&world->prng, 12);

    record__create__init(create);
    create->path = random_path(world);
    create->value_is_null = chance(world, 10);
    if (!create->value_is_null) {
        create->value = random_value(world);
    }
    create->mode = (Record__CreateMode)mode;
    if (mode >= 5 ? chance(world, 95) : chance(world, 1)) {
        create->ttl_ms = prng_between(&world->prng, 1, 5000);
    }
    create->make_parents = chance(world, 15);
    if (chance(world, 5)) {
        create->version = (uint32_t)prng_below(&world->prng, UINT64_C(1) << 32);
        create->children_created = (uint32_t)prng_below(&world->prng, UINT64_C(1) << 32);
    }
    if (chance(world, 30)) {
        create->n_acl = random_acl(world, &create->acl);
    }
    return create;
}

static Record__Set *random_set(struct world *world)
{
    Record__Set *set = arena_alloc(&world->arena, sizeof *set);

    record__set__init(set);
    set->path = random_path(world);
    set->value_is_null = chance(world, 10);
    if (!set->value_is_null) {
        set->value = random_value(world);
    }
    set->create = chance(world, 20);
    set->version = set->create && chance(world, 90) ? -1 : random_version(world);
    return set;
}

/* Nodes of quotas, and what may stand in them. */
static void random_quota(struct world *world, Record__Operation *operation)
{
    static const char *const paths[] = {
        "/zookeeper/quota/a/zookeeper_limits",        "/zookeeper/quota/a/zookeeper_stats",
        "/zookeeper/quota/a/b/zookeeper_limits",      "/zookeeper/quota/a/b/zookeeper_stats",
        "/zookeeper/quota/b/zookeeper_limits",        "/zookeeper/quota/b/zookeeper_stats",
        "/zookeeper/quota/zookeeper/zookeeper_stats", "/zookeeper/quota/zookeeper_stats"};
    static const char *const texts[] = {"count=2,bytes=40",
                                        "count=4,bytes=100=;byteHardLimit=150;countHardLimit=6",
                                        "count=-1,bytes=-1=;byteHardLimit=60",
                                        "count=,bytes=10;countHardLimit=3",
                                        "",
                                        "what is this",
                                        "bytes=7x,count=3"};
    ProtobufCBinaryData path =
        to_field(world, bytes_of_text(paths[prng_below(&world->prng, chance(world, 90) ? 6 : 8)]));
    ProtobufCBinaryData value = to_field(world, bytes_of_text(texts[prng_below(&world->prng, 7)]));
    uint64_t kind = prng_below(&world->prng, 10);

    if (kind < 6) {
        operation->kind_case = RECORD__OPERATION__KIND_CREATE;
        operation->create = arena_alloc(&world->arena, sizeof *operation->create);
        record__create__init(operation->create);
        operation->create->path = path;
        operation->create->value = value;
        operation->create->make_parents = true;
        operation->create->mode =
            chance(world, 80) ? RECORD__CREATE_MODE__PERSISTENT : RECORD__CREATE_MODE__EPHEMERAL;
    } else if (kind < 8) {
        operation->kind_case = RECORD__OPERATION__KIND_SET;
        operation->set = arena_alloc(&world->arena, sizeof *operation->set);
        record__set__init(operation->set);
        operation->set->path = path;
        operation->set->value = value;
        operation->set->version = -1;
    } else {
        operation->kind_case = RECORD__OPERATION__KIND_REMOVE;
        operation->remove = arena_alloc(&world->arena, sizeof *operation->remove);
        record__remove__init(operation->remove);
        operation->remove->path = path;
        operation->remove->version = -1;
    }
}

static Record__Operation *random_operation(struct world *world)
{
    Record__Operation *operation = arena_alloc(&world->arena, sizeof *operation);
    uint64_t kind = prng_below(&world->prng, 100);

    record__operation__init(operation);
    if (world->with_quotas && chance(world, world->last < 10 ? 80 : 15)) {
        random_quota(world, operation);
    } else if (kind < 45) {
        operation->kind_case = RECORD__OPERATION__KIND_CREATE;
        operation->create = random_create(world);
    } else if (kind < 65) {
        operation->kind_case = RECORD__OPERATION__KIND_SET;
        operation->set = random_set(world);
    } else if (kind < 85) {
        operation->kind_case = RECORD__OPERATION__KIND_REMOVE;
        operation->remove = arena_alloc(&world->arena, sizeof *operation->remove);
        record__remove__init(operation->remove);
        operation->remove->path = random_path(world);
        operation->remove->version = random_version(world);
    } else if (kind < 92) {
        operation->kind_case = RECORD__OPERATION__KIND_SET_ACL;
        operation->set_acl = arena_alloc(&world->arena, sizeof *operation->set_acl);
        record__set_acl__init(operation->set_acl);
        operation->set_acl->path = random_path(world);
        operation->set_acl->version = random_version(world);
        operation->set_acl->n_acl = random_acl(world, &operation->set_acl->acl);
    } else if (kind < 97) {
        operation->kind_case = RECORD__OPERATION__KIND_CHECK;
        operation->check = arena_alloc(&world->arena, sizeof *operation->check);
        record__check__init(operation->check);
        operation->check->path = random_path(world);
        operation->check->version = random_version(world);
    } else {
        operation->kind_case = RECORD__OPERATION__KIND_CHECK_ABSENT;
        operation->check_absent = arena_alloc(&world->arena, sizeof *operation->check_absent);
        record__check_absent__init(operation->check_absent);
        operation->check_absent->path = random_path(world);
    }
    return operation;
}

/* Most ask as a few people, so that much is permitted; some as nobody, some as the superuser. */
static void identify(struct world *world, Record__Command *command)
{
    static const char *const known[][2] = {{"ip", "10.1.2.3"},     {"ip", "11.1.2.3"},
                                           {"digest", "u:hash"},   {"digest", "somebody"},
                                           {"digest", "stranger"}, {"super", ""}};
    size_t count = prng_below(&world->prng, 4);

    command->identities = arena_calloc(&world->arena, count + 1, sizeof *command->identities);
    command->n_identities = count;
    for (size_t i = 0; i < count; i++) {
        size_t at = prng_below(&world->prng, chance(world, 20) ? 6 : 5);

        command->identities[i] = arena_alloc(&world->arena, sizeof **command->identities);
        record__identity__init(command->identities[i]);
        command->identities[i]->scheme = to_field(world, bytes_of_text(known[at][0]));
        command->identities[i]->id = to_field(world, bytes_of_text(known[at][1]));
    }
}

static void ask_as(struct world *world, struct client *client, Record__Command *command)
{
    identify(world, command);
    command->enforce_quotas = chance(world, 50);
    command->session = client->id;
    command->generation = client->generation;
    if (client->id == 0) {
        return;
    }
    if (chance(world, 5)) {
        command->generation += prng_below(&world->prng, 3) - 1;
    }
    if (chance(world, 75)) {
        command->sequence = client->sequence + 1;
        if (chance(world, 15)) {
            command->sequence = prng_between(&world->prng, 1, client->sequence + 3);
        }
    }
    if (chance(world, 50)) {
        client->confirmed = prng_between(&world->prng, client->confirmed, client->sequence);
    }
    command->confirmed = chance(world, 3) ? client->sequence + 5 : client->confirmed;
}

static void random_write(struct world *world, struct client *client, Record__Command *command)
{
    ask_as(world, client, command);
    if (chance(world, 75)) {
        command->body_case = RECORD__COMMAND__BODY_OPERATION;
        command->operation = random_operation(world);
        return;
    }
    command->body_case = RECORD__COMMAND__BODY_TRANSACTION;
    command->transaction = arena_alloc(&world->arena, sizeof *command->transaction);
    record__transaction__init(command->transaction);
    command->transaction->bounded = chance(world, 50);
    command->transaction->n_operations = prng_below(&world->prng, OPERATION_COUNT_MAX + 1);
    command->transaction->operations =
        arena_calloc(&world->arena, OPERATION_COUNT_MAX, sizeof *command->transaction->operations);
    for (size_t i = 0; i < command->transaction->n_operations; i++) {
        command->transaction->operations[i] = random_operation(world);
    }
}

static ProtobufCBinaryData password_of(struct world *world, const struct client *client)
{
    uint8_t password[STATE_PASSWORD_BYTES];

    memset(password, client->letter, sizeof password);
    return to_field(world, bytes_of(password, chance(world, 5) ? 15 : sizeof password));
}

static void
random_session_command(struct world *world, struct client *client, Record__Command *command)
{
    command->session = client->id;
    command->generation = client->generation;
    if (client->id == 0) {
        command->session = 0;
        command->body_case = RECORD__COMMAND__BODY_OPEN_SESSION;
        command->open_session = arena_alloc(&world->arena, sizeof *command->open_session);
        record__open_session__init(command->open_session);
        client->letter = (char)prng_between(&world->prng, 'a', 'c');
        command->open_session->password = password_of(world, client);
        command->open_session->password.len = STATE_PASSWORD_BYTES;
        command->open_session->timeout_ms = (uint32_t)prng_below(&world->prng, 2000000);
        command->open_session->owner = prng_below(&world->prng, 4);
        if (command->open_session->password.len != 0) {
            uint8_t *password = arena_alloc(&world->arena, STATE_PASSWORD_BYTES);

            memset(password, client->letter, STATE_PASSWORD_BYTES);
            command->open_session->password.data = password;
        }
    } else if (chance(world, 50)) {
        command->body_case = RECORD__COMMAND__BODY_ATTACH_SESSION;
        command->attach_session = arena_alloc(&world->arena, sizeof *command->attach_session);
        record__attach_session__init(command->attach_session);
        command->attach_session->password = password_of(world, client);
        command->attach_session->timeout_ms = (uint32_t)prng_below(&world->prng, 2000000);
        command->attach_session->owner = prng_below(&world->prng, 4);
    } else if (chance(world, 50)) {
        command->body_case = RECORD__COMMAND__BODY_CLOSE_SESSION;
        command->close_session = arena_alloc(&world->arena, sizeof *command->close_session);
        record__close_session__init(command->close_session);
        command->close_session->count_max = (uint32_t)prng_below(&world->prng, 4);
    } else {
        command->body_case = RECORD__COMMAND__BODY_EXPIRE_SESSION;
        command->expire_session = arena_alloc(&world->arena, sizeof *command->expire_session);
        record__expire_session__init(command->expire_session);
        command->expire_session->session = client->id;
        command->expire_session->generation = client->generation + prng_below(&world->prng, 2);
        command->expire_session->count_max = (uint32_t)prng_below(&world->prng, 4);
        command->session = 0;
    }
}

static void random_sweep(struct world *world, Record__Command *command)
{
    command->body_case = RECORD__COMMAND__BODY_SWEEP;
    command->sweep = arena_alloc(&world->arena, sizeof *command->sweep);
    record__sweep__init(command->sweep);
    command->sweep->count_max =
        chance(world, 70) ? STATE_SWEEP_COUNT_MAX : (uint32_t)prng_below(&world->prng, 3);
    /* Most nodes are younger than their time to live. */
    world->time_ms += chance(world, 30) ? prng_below(&world->prng, 2000) : 0;
}

/* --- Comparing --- */

static void compare_results(const struct naive_result *naive, const struct state_result *result)
{
    EXPECT_EQ(result->error, naive->error);
    EXPECT_EQ(result->zxid, naive->zxid);
    EXPECT_EQ(result->repeated, naive->repeated);
    EXPECT_EQ(result->session, naive->session);
    EXPECT_EQ(result->generation, naive->generation);
    EXPECT_EQ(result->timeout_ms, naive->timeout_ms);
    EXPECT_EQ(result->operation_count, naive->operation_count);
    for (size_t i = 0; i < naive->operation_count; i++) {
        EXPECT_EQ(result->operations[i].error, naive->operations[i].error);
        EXPECT_BYTES(result->operations[i].path, naive->operations[i].path);
        EXPECT_EQ(result->operations[i].created, naive->operations[i].created);
        EXPECT_EQ(result->operations[i].has_stat, naive->operations[i].has_stat);
        EXPECT(state_lab_stat_equal(&result->operations[i].stat, &naive->operations[i].stat));
    }
    EXPECT_BYTES(result->quota_passed, naive->quota_passed);
    EXPECT_EQ(result->change_count, naive->change_count);
    for (size_t i = 0; i < naive->change_count; i++) {
        EXPECT_EQ(result->changes[i].kind, naive->changes[i].kind);
        EXPECT_BYTES(result->changes[i].path, naive->changes[i].path);
        EXPECT_EQ(result->changes[i].session, naive->changes[i].session);
    }
}

static void
compare_node(struct world *world, const struct naive_node *expected, const struct state_node *node)
{
    struct state_stat wanted = naive_state_stat(&world->naive, expected);
    struct state_stat stat = state_node_stat(node);
    bool is_null;

    EXPECT(state_lab_stat_equal(&stat, &wanted));
    EXPECT_BYTES(state_node_value(node, &is_null), expected->value);
    EXPECT_EQ(is_null, expected->value_is_null);
    EXPECT_EQ(state_node_is_container(node), expected->container);
    EXPECT_EQ(state_node_ttl_ms(node), expected->ttl_ms);
    EXPECT_EQ(state_node_acl_count(node), expected->acl_count);
    for (uint32_t i = 0; i < expected->acl_count; i++) {
        struct state_acl_entry entry = state_node_acl(node, i);

        EXPECT_EQ(entry.permissions, expected->acl[i].permissions);
        EXPECT_BYTES(entry.scheme, expected->acl[i].scheme);
        EXPECT_BYTES(entry.id, expected->acl[i].id);
    }
}

static struct bytes join(struct arena *arena, struct bytes parent, struct bytes name)
{
    struct buffer text = BUFFER_INIT;
    struct bytes joined;

    if (parent.size > 1) {
        buffer_put(&text, parent);
    }
    buffer_put_u8(&text, '/');
    buffer_put(&text, name);
    joined = arena_copy(arena, buffer_lend(&text));
    buffer_release(&text);
    return joined;
}

/* All children in pages of random size. */
static void compare_children(struct world *world, struct state_lab *lab, struct bytes path)
{
    struct arena arena;
    size_t count;
    struct bytes *names;
    struct bytes after = BYTES_EMPTY;
    size_t seen = 0;
    bool more = true;

    arena_init(&arena);
    names = naive_state_children(&world->naive, path, &arena, &count);
    while (more) {
        struct state_children page = {.count = 0};
        size_t count_max = chance(world, 50) ? SIZE_MAX : prng_between(&world->prng, 1, 3);
        size_t bytes_max = chance(world, 50) ? SIZE_MAX : prng_below(&world->prng, 300);
        bool with_nodes = chance(world, 50);
        enum op_error error;

        EXPECT_OK(state_read_children(lab->state, path, after, count_max, bytes_max, with_nodes,
                                      &arena, &error, &page));
        EXPECT_EQ(error, OP_OK);
        EXPECT_EQ(page.parent.child_count, count);
        EXPECT(page.count <= count_max);
        for (size_t i = 0; i < page.count; i++) {
            EXPECT(seen < count);
            EXPECT_BYTES(page.items[i].name, names[seen]);
            if (with_nodes) {
                compare_node(
                    world, naive_state_find(&world->naive, join(&arena, path, page.items[i].name)),
                    page.items[i].node);
                state_node_unref(page.items[i].node);
            }
            after = page.items[i].name;
            seen++;
        }
        more = page.more;
        EXPECT(!more || page.count > 0);
    }
    EXPECT_EQ(seen, count);
    arena_release(&arena);
}

/* In parts of any size. */
static void compare_count(struct world *world, struct state_lab *lab, struct bytes path)
{
    struct state_count *count = NULL;
    uint64_t expected = 0;
    enum op_error error;
    bool done = false;

    for (size_t i = 0; i < world->naive.node_count; i++) {
        struct bytes other = world->naive.nodes[i].path;

        expected += other.size > 1 &&
                    (path.size == 1 ||
                     (other.size > path.size && memcmp(other.data, path.data, path.size) == 0 &&
                      other.data[path.size] == '/'));
    }
    EXPECT_OK(state_count_new(lab->state, path, &error, &count));
    EXPECT_EQ(error, OP_OK);
    while (!done) {
        size_t left = prng_between(&world->prng, 1, 6);
        size_t room = left;
        uint64_t before = state_count_total(count);

        EXPECT_OK(state_count_continue(lab->state, count, &left, &done));
        EXPECT_EQ(state_count_total(count) - before, room - left);
        EXPECT(done || left == 0);
    }
    EXPECT_EQ(state_count_total(count), expected);
    state_count_free(count);
}

struct ephemeral_walk {
    const struct world *world;
    session_id session;
    size_t position; /* in the naive list, which is in order of creation */
};

static const struct naive_node *next_ephemeral(struct ephemeral_walk *walk)
{
    while (walk->position < walk->world->naive.node_count) {
        const struct naive_node *node = &walk->world->naive.nodes[walk->position++];

        if (node->stat.ephemeral_owner == walk->session) {
            return node;
        }
    }
    return NULL;
}

static void compare_ephemeral(void *visitor, struct bytes path)
{
    const struct naive_node *expected = next_ephemeral(visitor);

    EXPECT_BYTES(path, expected == NULL ? bytes_of_text("(none)") : expected->path);
}

static void compare_ephemerals(struct world *world, struct state_lab *lab, session_id session)
{
    struct ephemeral_walk walk = {.world = world, .session = session};
    uint64_t cursor = 0;
    bool done = false;

    while (!done) {
        size_t left = prng_between(&world->prng, 1, 3);

        EXPECT_OK(state_each_ephemeral(lab->state, session, &cursor, &left, compare_ephemeral,
                                       &walk, &done));
    }
    EXPECT(next_ephemeral(&walk) == NULL);
}

static void compare_tree(struct world *world, struct state_lab *lab)
{
    for (size_t i = 0; i < world->naive.node_count; i++) {
        const struct naive_node *expected = &world->naive.nodes[i];
        struct state_node *node = NULL;
        enum op_error error;

        EXPECT_OK(state_read(lab->state, expected->path, &error, &node));
        EXPECT_EQ(error, OP_OK);
        compare_node(world, expected, node);
        state_node_unref(node);
        compare_children(world, lab, expected->path);
        compare_count(world, lab, expected->path);
    }
}

struct session_walk {
    const struct world *world;
    size_t position;
};

static void compare_session(void *visitor, const struct state_session *session)
{
    struct session_walk *walk = visitor;
    const struct state_session *expected;

    EXPECT(walk->position < walk->world->naive.session_count);
    expected = &walk->world->naive.sessions[walk->position++].shown;
    EXPECT_EQ(session->id, expected->id);
    EXPECT_EQ(session->generation, expected->generation);
    EXPECT_EQ(session->owner, expected->owner);
    EXPECT_EQ(session->timeout_ms, expected->timeout_ms);
    EXPECT_EQ(session->last_sequence, expected->last_sequence);
    EXPECT_EQ(memcmp(session->password, expected->password, STATE_PASSWORD_BYTES), 0);
}

static void compare_sessions(struct world *world, struct state_lab *lab)
{
    struct session_walk walk = {.world = world};

    EXPECT_EQ(state_session_count(lab->state), world->naive.session_count);
    state_session_each(lab->state, compare_session, &walk);
    EXPECT_EQ(walk.position, world->naive.session_count);
    for (size_t i = 0; i < world->naive.session_count; i++) {
        compare_ephemerals(world, lab, world->naive.sessions[i].shown.id);
    }
}

/* --- Running --- */

/* The first variant never has a checkpoint. */
static void disturb(struct world *world, struct state_lab *lab)
{
    if (lab == &world->labs[0]) {
        return;
    }
    if (lab->sealed == NULL && chance(world, 12)) {
        state_lab_seal(lab);
    } else if (lab->sealed != NULL && chance(world, 20)) {
        state_lab_end(lab);
    } else if (chance(world, 4)) {
        zxid from = state_lab_restart(lab) + 1;

        for (zxid at = from; at <= world->last; at++) {
            arena_reset(&lab->arena);
            if (world->log[at].size == 0) {
                state_skip(lab->state, at);
                lab->next++;
            } else {
                (void)state_lab_apply(lab, world->log[at]);
            }
        }
    }
}

static void compare_all(struct world *world)
{
    struct state_digest digest = state_digest(world->labs[0].state);

    for (size_t i = 0; i < VARIANT_COUNT; i++) {
        struct state_lab *lab = &world->labs[i];

        EXPECT_EQ(state_applied(lab->state), world->last);
        EXPECT_EQ(state_time_ms(lab->state), world->naive.time_ms);
        EXPECT_EQ(state_digest(lab->state).sum, digest.sum);
        EXPECT_EQ(state_digest(lab->state).record_count, digest.record_count);
        compare_sessions(world, lab);
        compare_tree(world, lab);
        state_check(lab->state, world->last % 16 == 0);
    }
}

static void
learn(struct client *client, const Record__Command *command, const struct naive_result *result)
{
    if (command->body_case == RECORD__COMMAND__BODY_OPEN_SESSION) {
        *client = (struct client){
            .id = result->session, .generation = result->generation, .letter = client->letter};
    } else if (command->body_case == RECORD__COMMAND__BODY_ATTACH_SESSION &&
               result->error == OP_OK) {
        client->generation = result->generation;
    } else if (result->error == OP_SESSION_EXPIRED) {
        client->id = 0;
    } else if (command->sequence == client->sequence + 1 && result->operation_count > 0 &&
               result->error != OP_SESSION_MOVED && result->error != OP_TOO_MANY_UNCONFIRMED &&
               result->error != OP_SEQUENCE_GAP) {
        client->sequence++;
    }
}

static void
apply_everywhere(struct world *world, struct bytes entry, const struct naive_result *expected)
{
    world->log[world->last] = entry;
    for (size_t i = 0; i < VARIANT_COUNT; i++) {
        struct state_lab *lab = &world->labs[i];

        arena_reset(&lab->arena);
        (void)state_lab_apply(lab, entry);
        compare_results(expected, &lab->result);
    }
}

static void step(struct world *world)
{
    struct client *client = &world->clients[prng_below(&world->prng, CLIENT_COUNT)];
    Record__Command command = RECORD__COMMAND__INIT;
    struct naive_result expected;
    struct bytes entry;

    world->last++;
    world->time_ms += prng_below(&world->prng, 50);
    if (chance(world, 3)) {
        world->log[world->last] = BYTES_EMPTY;
        for (size_t i = 0; i < VARIANT_COUNT; i++) {
            state_skip(world->labs[i].state, world->last);
            world->labs[i].next++;
        }
        return;
    }
    if (chance(world, 15)) {
        random_session_command(world, client, &command);
    } else if (chance(world, 6)) {
        random_sweep(world, &command);
    } else {
        random_write(world, client, &command);
    }
    entry = state_lab_encode(&command, world->time_ms, &world->arena);
    if (chance(world, 1)) {
        /* No body, or a tag without its value. */
        entry.size = prng_between(&world->prng, 8, 9);
        expected = naive_state_apply(&world->naive, world->last, world->time_ms, NULL);
    } else {
        CHECK(state_command_check(bytes_of(entry.data + 8, entry.size - 8)) == OP_OK);
        expected = naive_state_apply(&world->naive, world->last, world->time_ms, &command);
        learn(client, &command, &expected);
    }
    apply_everywhere(world, entry, &expected);
}

static void run_seed(uint64_t seed)
{
    static const uint64_t cache_bytes_max[VARIANT_COUNT] = {UINT64_C(1) << 30, 1, 2000};
    struct world *world = xcalloc(1, sizeof *world);

    (void)fprintf(stderr, "\rseed %" PRIu64 " ", seed);
    prng_init(&world->prng, seed);
    naive_state_init(&world->naive);
    arena_init(&world->arena);
    world->time_ms = 1000;
    world->with_quotas = chance(world, 50);
    for (size_t i = 0; i < VARIANT_COUNT; i++) {
        state_lab_init(&world->labs[i], cache_bytes_max[i]);
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        step(world);
        for (size_t j = 0; j < VARIANT_COUNT; j++) {
            disturb(world, &world->labs[j]);
        }
        compare_all(world);
    }
    for (size_t i = 0; i < VARIANT_COUNT; i++) {
        state_lab_release(&world->labs[i]);
    }
    naive_state_release(&world->naive);
    arena_release(&world->arena);
    free(world);
}

static void test_random_commands_agree_with_the_naive_twin(void)
{
    if (replaying) {
        run_seed(replayed_seed);
        return;
    }
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        run_seed(seed);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_random_commands_agree_with_the_naive_twin),
        TEST_END,
    };

    if (argc == 2) {
        replaying = true;
        replayed_seed = strtoull(argv[1], NULL, 10);
    }
    return test_main("random", cases, 1, argv);
}
