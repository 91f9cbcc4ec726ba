/* The records of a checkpoint are judged as the state that wrote them would judge them. */
#include "server/state/state_audit.h"

#include "tests/support/state_lab.h"
#include "tests/support/test.h"

#include <stdlib.h>

static struct state_lab lab;

/* A checkpoint with nodes, an ephemeral and a session in it; its digest. */
static struct state_digest make_checkpoint(void)
{
    state_lab_init(&lab, 1 << 20);
    (void)state_lab_open(&lab, 'x', 5000);
    EXPECT_EQ(state_lab_create(&lab, "/a", "1", RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/a/b", NULL, RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/a/e", "2", RECORD__CREATE_MODE__EPHEMERAL), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/c", NULL, RECORD__CREATE_MODE__CONTAINER), OP_OK);
    EXPECT_EQ(state_lab_create_ttl(&lab, "/t", 60000), OP_OK);
    state_lab_seal(&lab);
    state_lab_end(&lab);
    return state_digest(lab.state);
}

static const char *audit(struct state_audit *ret_audit, struct state_digest digest)
{
    const char *fault = NULL;

    *ret_audit = (struct state_audit){.has_meta = false};
    for (size_t i = 0; i < memory_source_count(lab.source) && fault == NULL; i++) {
        struct state_record record = memory_source_at(lab.source, i);

        fault = state_audit_record(ret_audit, record.key, record.value);
    }
    return fault != NULL ? fault : state_audit_end(ret_audit, digest);
}

static void test_a_checkpoint_is_sound(void)
{
    struct state_digest digest = make_checkpoint();
    struct state_audit seen;

    EXPECT(audit(&seen, digest) == NULL);
    EXPECT_EQ(seen.node_count, state_node_count(lab.state));
    EXPECT_EQ(seen.session_count, 1);
    EXPECT_EQ(seen.meta.applied, state_applied(lab.state));
    state_lab_release(&lab);
}

static void test_nothing_is_sound_too(void)
{
    const struct state_audit nothing = {.has_meta = false};
    const struct state_digest zero = {.record_count = 0};

    EXPECT(state_audit_end(&nothing, zero) == NULL);
}

static void test_each_missing_record_is_told(void)
{
    struct state_digest digest = make_checkpoint();
    size_t count = memory_source_count(lab.source);

    for (size_t i = 0; i < count; i++) {
        struct state_record record = memory_source_at(lab.source, i);
        struct bytes key = bytes_of(bytes_copy(record.key), record.key.size);
        struct bytes value = bytes_of(bytes_copy(record.value), record.value.size);
        struct state_audit seen;

        memory_source_remove(lab.source, key);
        EXPECT(audit(&seen, digest) != NULL);
        memory_source_put(lab.source, key, value);
        EXPECT(audit(&seen, digest) == NULL);
        free((void *)(uintptr_t)key.data);
        free((void *)(uintptr_t)value.data);
    }
    state_lab_release(&lab);
}

static void expect_told(const char *key, size_t key_bytes, const char *words)
{
    struct state_audit seen = {.has_meta = false};

    EXPECT_CONTAINS(state_audit_record(&seen, bytes_of(key, key_bytes), bytes_of_text("x")), words);
}

static void test_a_record_of_no_table_or_form_is_told(void)
{
    struct state_digest digest = make_checkpoint();
    struct state_audit seen;

    expect_told("zebra", 5, "of an unknown table");
    expect_told("", 0, "of an unknown table");
    expect_told("n12345678name", 13, "is no node");
    expect_told("n", 1, "is no node");
    expect_told("s1", 2, "a wrong size");
    expect_told("m", 1, "a restart");
    digest.sum++;
    EXPECT_CONTAINS(audit(&seen, digest), "the digest");
    state_lab_release(&lab);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_checkpoint_is_sound),
        TEST_CASE(test_nothing_is_sound_too),
        TEST_CASE(test_each_missing_record_is_told),
        TEST_CASE(test_a_record_of_no_table_or_form_is_told),
        TEST_END,
    };

    return test_main("state_audit", cases, argc, argv);
}
