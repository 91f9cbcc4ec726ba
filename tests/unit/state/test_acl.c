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
    return state_lab_operation(&lab, &operation);
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

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_no_list_is_open_to_all),
        TEST_CASE(test_set_acl_replaces_the_list_and_moves_aversion_only),
        TEST_CASE(test_the_list_is_validated_before_the_node_is_looked_for),
        TEST_CASE(test_create_validates_the_list_before_the_parent),
        TEST_CASE(test_lists_are_limited),
        TEST_END,
    };

    return test_main("acl", cases, argc, argv);
}
