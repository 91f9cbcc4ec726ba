#include "tests/support/state_lab.h"
#include "tests/support/test.h"

#include "server/state/acl.h"

#include <string.h>

static struct state_lab lab;
static struct arena arena;

static void start(void)
{
    state_lab_init(&lab, 1 << 20);
    arena_init(&arena);
}

static void stop(void)
{
    arena_release(&arena);
    state_lab_release(&lab);
}

static ProtobufCBinaryData field(const char *text)
{
    size_t size = strlen(text);
    uint8_t *data = arena_alloc(&arena, size);

    memcpy(data, text, size);
    return (ProtobufCBinaryData){size, data};
}

static Record__AclEntry *entry(uint32_t permissions, const char *scheme, const char *id)
{
    Record__AclEntry *made = arena_alloc(&arena, sizeof *made);

    record__acl_entry__init(made);
    made->permissions = permissions;
    made->scheme = field(scheme);
    made->id = field(id);
    return made;
}

/* Ask as one identity, or as nobody. */
static enum op_error ask(Record__Operation *operation, const char *scheme, const char *id)
{
    Record__Command command = RECORD__COMMAND__INIT;
    Record__Identity identity = RECORD__IDENTITY__INIT;
    Record__Identity *identities[] = {&identity};

    if (scheme != NULL) {
        identity.scheme = field(scheme);
        identity.id = field(id);
        command.identities = identities;
        command.n_identities = 1;
    }
    command.body_case = RECORD__COMMAND__BODY_OPERATION;
    command.operation = operation;
    return state_lab_command(&lab, &command);
}

/* As the superuser: what is tested here is not who may. */
static enum op_error
set_acl(const char *path, Record__AclEntry **entries, size_t count, int32_t version)
{
    Record__SetAcl set = RECORD__SET_ACL__INIT;
    Record__Operation operation = RECORD__OPERATION__INIT;

    set.path = field(path);
    set.acl = entries;
    set.n_acl = count;
    set.version = version;
    operation.kind_case = RECORD__OPERATION__KIND_SET_ACL;
    operation.set_acl = &set;
    return ask(&operation, "super", "");
}

static struct state_node *read_node(const char *path)
{
    struct state_node *node = NULL;
    enum op_error error;

    EXPECT_OK(state_read(lab.state, bytes_of_text(path), &error, &node));
    EXPECT_EQ(error, OP_OK);
    return node;
}

static void
expect_entry(const struct state_node *node, uint32_t at, uint32_t permissions, const char *id)
{
    EXPECT_EQ(state_node_acl(node, at).permissions, permissions);
    EXPECT_BYTES(state_node_acl(node, at).id, bytes_of_text(id));
}

static void test_no_list_is_open_to_all(void)
{
    struct state_node *node;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "", RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    node = read_node("/a");
    EXPECT_EQ(state_node_acl_count(node), 1);
    EXPECT_BYTES(state_node_acl(node, 0).scheme, bytes_of_text("world"));
    expect_entry(node, 0, 31, "anyone");
    state_node_unref(node);
    node = read_node("/zookeeper/config");
    expect_entry(node, 0, 1, "anyone");
    state_node_unref(node);
    stop();
}

static void test_set_acl_replaces_the_list_and_moves_aversion_only(void)
{
    Record__AclEntry *entries[3];
    struct state_node *node;
    struct state_stat before;
    struct state_stat after;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "value", RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    EXPECT(state_lab_stat(&lab, "/a", &before));
    entries[0] = entry(1, "world", "anyone");
    entries[1] = entry(0xffffffe0, "digest", "u:hash");
    entries[2] = entry(1, "world", "anyone");
    EXPECT_EQ(set_acl("/a", entries, 3, 0), OP_OK);
    EXPECT_EQ(lab.result.changes[0].kind, STATE_ACL_SET);
    node = read_node("/a");
    EXPECT_EQ(state_node_acl_count(node), 2); /* without the duplicate */
    expect_entry(node, 0, 1, "anyone");
    expect_entry(node, 1, 0xffffffe0, "u:hash"); /* unknown bits are stored */
    state_node_unref(node);
    EXPECT_TEXT(state_lab_value(&lab, "/a"), "value");
    EXPECT(state_lab_stat(&lab, "/a", &after));
    EXPECT_EQ(after.aversion, 1);
    before.aversion = 1;
    EXPECT(state_lab_stat_equal(&before, &after));
    EXPECT_EQ(set_acl("/a", entries, 1, 0), OP_BAD_VERSION);
    EXPECT_EQ(set_acl("/a", entries, 1, -1), OP_OK);
    EXPECT_EQ(set_acl("/", entries, 1, -1), OP_OK);
    stop();
}

static void test_the_list_is_validated_before_the_node_is_looked_for(void)
{
    Record__AclEntry *bad[1];
    Record__AclEntry *good[1];
    static const struct {
        const char *scheme;
        const char *id;
    } cases[] = {{"", "x"}, {"world", "x"}, {"world", ""}, {"auth", ""}, {"super", "x"}};

    start();
    good[0] = entry(31, "world", "anyone");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bad[0] = entry(31, cases[i].scheme, cases[i].id);
        EXPECT_EQ(set_acl("/missing", bad, 1, -1), OP_INVALID_ACL);
        EXPECT_EQ(set_acl("/bad/", bad, 1, -1), OP_BAD_ARGUMENTS);
    }
    EXPECT_EQ(set_acl("/missing", NULL, 0, -1), OP_INVALID_ACL);
    EXPECT_EQ(set_acl("/missing", good, 1, -1), OP_NO_NODE);
    stop();
}

static void test_create_validates_the_list_before_the_parent(void)
{
    Record__AclEntry *bad[1];
    Record__Operation *operation;

    start();
    bad[0] = entry(31, "world", "x");
    operation = state_lab_make_create(&arena, "/missing/a", "");
    operation->create->acl = bad;
    operation->create->n_acl = 1;
    EXPECT_EQ(state_lab_operation(&lab, operation), OP_INVALID_ACL);
    stop();
}

static enum op_error set_acl_to_auth(Record__Identity **identities, size_t count)
{
    Record__AclEntry *list[] = {entry(1, "auth", "ignored"), entry(1, "digest", "u:hash"),
                                entry(2, "auth", "")};
    Record__SetAcl set = RECORD__SET_ACL__INIT;
    Record__Operation operation = RECORD__OPERATION__INIT;
    Record__Command command = RECORD__COMMAND__INIT;

    set.path = field("/a");
    set.acl = list;
    set.n_acl = 3;
    set.version = -1;
    operation.kind_case = RECORD__OPERATION__KIND_SET_ACL;
    operation.set_acl = &set;
    command.body_case = RECORD__COMMAND__BODY_OPERATION;
    command.operation = &operation;
    command.identities = identities;
    command.n_identities = count;
    return state_lab_command(&lab, &command);
}

static Record__Identity *identity(const char *scheme, const char *id)
{
    Record__Identity *made = arena_alloc(&arena, sizeof *made);

    record__identity__init(made);
    made->scheme = field(scheme);
    made->id = field(id);
    return made;
}

static void test_auth_stands_for_what_the_writer_proved(void)
{
    Record__Identity *identities[4];
    struct state_node *node;

    start();
    identities[0] = identity("ip", "10.0.0.1");
    identities[1] = identity("super", "");
    identities[2] = identity("digest", "u:hash");
    identities[3] = identity("digest", "v:hash");
    EXPECT_EQ(state_lab_create(&lab, "/a", "", RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    EXPECT_EQ(set_acl_to_auth(identities, 2), OP_INVALID_ACL);
    EXPECT_EQ(set_acl_to_auth(identities, 4), OP_OK);
    node = read_node("/a");
    EXPECT_EQ(state_node_acl_count(node), 4);
    expect_entry(node, 0, 1, "u:hash");
    expect_entry(node, 1, 1, "v:hash");
    expect_entry(node, 2, 2, "u:hash");
    expect_entry(node, 3, 2, "v:hash");
    state_node_unref(node);
    stop();
}

static void test_lists_are_limited(void)
{
    Record__AclEntry *entries[STATE_ACL_ENTRIES_MAX + 1];
    static char long_id[ACL_ID_BYTES_MAX + 2];
    static char long_scheme[ACL_SCHEME_BYTES_MAX + 2];

    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "", RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    for (uint32_t i = 0; i <= STATE_ACL_ENTRIES_MAX; i++) {
        entries[i] = entry(i, "ip", "10.0.0.1");
    }
    EXPECT_EQ(set_acl("/a", entries, STATE_ACL_ENTRIES_MAX, -1), OP_OK);
    EXPECT_EQ(set_acl("/a", entries, STATE_ACL_ENTRIES_MAX + 1, -1), OP_LIMIT);
    memset(long_id, 'x', ACL_ID_BYTES_MAX + 1);
    memset(long_scheme, 'x', ACL_SCHEME_BYTES_MAX + 1);
    entries[0] = entry(1, "digest", long_id);
    EXPECT_EQ(set_acl("/a", entries, 1, -1), OP_LIMIT);
    entries[0] = entry(1, long_scheme, "x");
    EXPECT_EQ(set_acl("/a", entries, 1, -1), OP_LIMIT);
    long_id[ACL_ID_BYTES_MAX] = '\0';
    long_scheme[ACL_SCHEME_BYTES_MAX] = '\0';
    entries[0] = entry(1, long_scheme, long_id);
    EXPECT_EQ(set_acl("/a", entries, 1, -1), OP_OK);
    stop();
}

/* --- Who may --- */

enum { CREATE_BELOW, REMOVE_BELOW, SET, SET_ACL, CHECK_VERSION, CHECK_ABSENT, KINDS };

/* One operation on /a or just below it, which fails for nothing but permissions. */
static Record__Operation *operation_of(int kind)
{
    Record__Operation *operation = arena_alloc(&arena, sizeof *operation);

    record__operation__init(operation);
    switch (kind) {
    case CREATE_BELOW:
        return state_lab_make_create(&arena, "/a/new", "");
    case REMOVE_BELOW:
        return state_lab_make_remove(&arena, "/a/old", -1);
    case SET:
        return state_lab_make_set(&arena, "/a", "v", -1);
    case CHECK_VERSION:
        return state_lab_make_check(&arena, "/a", -1);
    case CHECK_ABSENT:
        return state_lab_make_check_absent(&arena, "/a");
    default:
        operation->kind_case = RECORD__OPERATION__KIND_SET_ACL;
        operation->set_acl = arena_alloc(&arena, sizeof *operation->set_acl);
        record__set_acl__init(operation->set_acl);
        operation->set_acl->path = field("/a");
        operation->set_acl->version = -1;
        operation->set_acl->acl = arena_calloc(&arena, 1, sizeof *operation->set_acl->acl);
        operation->set_acl->acl[0] = entry(31, "world", "anyone");
        operation->set_acl->n_acl = 1;
        return operation;
    }
}

static void test_each_operation_needs_its_permission_from_each_scheme(void)
{
    static const unsigned needed[KINDS] = {STATE_PERMISSION_CREATE, STATE_PERMISSION_DELETE,
                                           STATE_PERMISSION_WRITE,  STATE_PERMISSION_ADMIN,
                                           STATE_PERMISSION_READ,   STATE_PERMISSION_READ};
    static const struct {
        const char *scheme; /* of the list's only entry */
        const char *id;
        const char *asker; /* NULL = nobody */
        const char *asker_id;
        bool matches;
    } rows[] = {
        {"world", "anyone", NULL, NULL, true},
        {"world", "anyone", "digest", "u:hash", true},
        {"digest", "u:hash", NULL, NULL, false},
        {"digest", "u:hash", "digest", "u:hash", true},
        {"digest", "u:hash", "digest", "u:has", false},
        {"digest", "u:hash", "sasl", "u:hash", false},
        {"ip", "10.0.0.0/8", "ip", "10.9.9.9", true},
        {"ip", "10.0.0.0/8", "ip", "11.9.9.9", false},
        {"ip", "10.0.0.0/8", "digest", "10.9.9.9", false},
        {"ip", "::1", "ip", "::1", true},
        {"ip", "no address", "ip", "no address", false},
        {"x509", "CN=a", "x509", "CN=a", true},
    };
    Record__AclEntry *list[1];

    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        for (int kind = 0; kind < KINDS; kind++) {
            for (uint32_t permissions = 0; permissions < 32; permissions++) {
                bool may = rows[row].matches && (permissions & needed[kind]) != 0;
                enum op_error done = kind == CHECK_ABSENT ? OP_NODE_EXISTS : OP_OK;

                start();
                EXPECT_EQ(state_lab_create(&lab, "/a", "", RECORD__CREATE_MODE__PERSISTENT), OP_OK);
                EXPECT_EQ(state_lab_create(&lab, "/a/old", "", RECORD__CREATE_MODE__PERSISTENT),
                          OP_OK);
                list[0] = entry(permissions, rows[row].scheme, rows[row].id);
                EXPECT_EQ(set_acl("/a", list, 1, -1), OP_OK);
                EXPECT_EQ(ask(operation_of(kind), "super", ""), done);
                EXPECT_EQ(set_acl("/a", list, 1, -1), OP_OK);
                if (kind == CREATE_BELOW) {
                    EXPECT_EQ(ask(state_lab_make_remove(&arena, "/a/new", -1), "super", ""), OP_OK);
                } else if (kind == REMOVE_BELOW) {
                    EXPECT_EQ(ask(state_lab_make_create(&arena, "/a/old", ""), "super", ""), OP_OK);
                }
                EXPECT_EQ(ask(operation_of(kind), rows[row].asker, rows[row].asker_id),
                          may ? done : OP_NO_AUTH);
                stop();
            }
        }
    }
}

static void test_missing_parents_are_made_where_the_nearest_one_permits_it(void)
{
    Record__AclEntry *list[1];
    Record__Operation *operation;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "", RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    list[0] = entry(31 & ~STATE_PERMISSION_CREATE, "world", "anyone");
    EXPECT_EQ(set_acl("/a", list, 1, -1), OP_OK);
    operation = state_lab_make_create(&arena, "/a/b/c", "");
    operation->create->make_parents = true;
    EXPECT_EQ(ask(operation, NULL, NULL), OP_NO_AUTH);
    EXPECT_EQ(ask(operation, "super", ""), OP_OK);
    operation = state_lab_make_set(&arena, "/a/d/e", "", -1);
    operation->set->create = true;
    EXPECT_EQ(ask(operation, NULL, NULL), OP_NO_AUTH);
    stop();
}

static void test_identities_are_limited(void)
{
    static char long_id[STATE_IDENTITY_BYTES_MAX + 1];

    start();
    memset(long_id, 'x', STATE_IDENTITY_BYTES_MAX - strlen("digest"));
    EXPECT_EQ(ask(state_lab_make_create(&arena, "/a", ""), "digest", long_id), OP_OK);
    long_id[strlen(long_id)] = 'x';
    EXPECT_EQ(ask(state_lab_make_create(&arena, "/b", ""), "digest", long_id), OP_LIMIT);
    stop();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_no_list_is_open_to_all),
        TEST_CASE(test_set_acl_replaces_the_list_and_moves_aversion_only),
        TEST_CASE(test_the_list_is_validated_before_the_node_is_looked_for),
        TEST_CASE(test_create_validates_the_list_before_the_parent),
        TEST_CASE(test_auth_stands_for_what_the_writer_proved),
        TEST_CASE(test_lists_are_limited),
        TEST_CASE(test_each_operation_needs_its_permission_from_each_scheme),
        TEST_CASE(test_missing_parents_are_made_where_the_nearest_one_permits_it),
        TEST_CASE(test_identities_are_limited),
        TEST_END,
    };

    return test_main("acl", cases, argc, argv);
}
