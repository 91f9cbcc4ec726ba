/* Commands as bytes: what is refused, and what it costs to find out. */
#include "base/alloc.h"
#include "server/state/command.h"
#include "tests/support/state_lab.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Memory for a command is at most so many times its bytes. */
enum { COST_MAX = 8 };

static struct state_lab lab;

static void start(void)
{
    state_lab_init(&lab, 1 << 20);
}

static void stop(void)
{
    state_lab_release(&lab);
}

static void expect_refused(struct bytes command, enum op_error expected)
{
    struct state_digest before;
    struct buffer entry = BUFFER_INIT;

    start();
    before = state_digest(lab.state);
    EXPECT_EQ(state_command_check(command), expected);
    buffer_put_u64(&entry, 0);
    buffer_put(&entry, command);
    EXPECT_EQ(state_lab_apply(&lab, buffer_lend(&entry)), expected);
    EXPECT_EQ(lab.result.operation_count, 0);
    EXPECT_EQ(lab.result.change_count, 0);
    EXPECT_EQ(state_applied(lab.state), 1);
    EXPECT_EQ(state_digest(lab.state).sum, before.sum);
    buffer_release(&entry);
    stop();
}

struct raw {
    const char *bytes;
    size_t size;
};

#define RAW(text)                                                                                  \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static void test_unreadable_commands_are_refused(void)
{
    static const struct raw cases[] = {
        RAW(""),                                                 /* no body */
        RAW("\x08\x01"),                                         /* a session, no body */
        RAW("\x52\x00"),                                         /* an operation of no kind */
        RAW("\x52\x05"),                                         /* longer than there is */
        RAW("\x52"),                                             /* no length */
        RAW("\xff"),                                             /* a tag cut off */
        RAW("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), /* a tag too long */
        RAW("\x00\x00"),                                         /* field 0 */
        RAW("\x28\x01\x72\x00"),                                 /* field 5 is unknown */
        RAW("\x72\x00\x72\x00"),                                 /* the body twice */
        RAW("\x72\x00\x5a\x00"),                                 /* two bodies */
        RAW("\x08\x01\x08\x02\x72\x00"),                         /* the session twice */
        RAW("\x0a\x01\x01\x72\x00"),                             /* the session as bytes */
        RAW("\x09\x01\x01\x01\x01\x01\x01\x01\x01\x72\x00"),     /* and as fixed64 */
        RAW("\x70\x00"),                                         /* the body as a number */
        RAW("\x73\x74"),                                         /* a group */
        RAW("\x5a\x02\x0a\x00"),                 /* a transaction with an operation of no kind */
        RAW("\x72\x02\x10\x01"),                 /* an unknown field inside */
        RAW("\x5a\x06\x0a\x04\x0a\x02\x0a\x09"), /* a path longer than its message */
        RAW("\x52\x04\x2a\x00\x32\x00"),         /* an operation of two kinds */
        RAW("\x5a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), /* a length of 2^64 - 1 */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_refused(bytes_of(cases[i].bytes, cases[i].size), OP_UNREADABLE);
    }
}

static void test_an_entry_without_a_whole_stamp_is_unreadable(void)
{
    start();
    EXPECT_EQ(state_lab_apply(&lab, BYTES_EMPTY), OP_UNREADABLE);
    EXPECT_EQ(state_lab_apply(&lab, bytes_of_text("1234567")), OP_UNREADABLE);
    EXPECT_EQ(state_applied(lab.state), 2);
    EXPECT_EQ(state_time_ms(lab.state), 0);
    stop();
}

static void check_command(Record__Command *command, enum op_error expected)
{
    struct arena arena;
    struct bytes entry;

    arena_init(&arena);
    entry = state_lab_encode(command, 0, &arena);
    if (expected == OP_OK) {
        EXPECT_EQ(state_command_check(bytes_of(entry.data + 8, entry.size - 8)), OP_OK);
    } else {
        expect_refused(bytes_of(entry.data + 8, entry.size - 8), expected);
    }
    arena_release(&arena);
}

static void check_operation(Record__Operation *operation, enum op_error expected)
{
    Record__Command command = RECORD__COMMAND__INIT;

    command.body_case = RECORD__COMMAND__BODY_OPERATION;
    command.operation = operation;
    check_command(&command, expected);
}

static void test_sizes_are_limited_to_the_byte(void)
{
    static uint8_t bytes[STATE_VALUE_BYTES_MAX + 1];
    struct arena arena;
    Record__Operation *operation;

    arena_init(&arena);
    memset(bytes, 'x', sizeof bytes);
    operation = state_lab_make_set(&arena, "/a", "", -1);
    operation->set->value = (ProtobufCBinaryData){STATE_VALUE_BYTES_MAX, bytes};
    check_operation(operation, OP_OK);
    operation->set->value.len++;
    check_operation(operation, OP_LIMIT);
    operation = state_lab_make_create(&arena, "/a", "");
    operation->create->value = (ProtobufCBinaryData){STATE_VALUE_BYTES_MAX + 1, bytes};
    check_operation(operation, OP_LIMIT);
    operation = state_lab_make_remove(&arena, "/a", -1);
    operation->remove->path = (ProtobufCBinaryData){STATE_PATH_BYTES_MAX, bytes};
    check_operation(operation, OP_OK);
    operation->remove->path.len++;
    check_operation(operation, OP_LIMIT);
    operation = state_lab_make_set(&arena, "/a", NULL, -1);
    operation->set->value = (ProtobufCBinaryData){1, bytes};
    check_operation(operation, OP_BAD_ARGUMENTS);
    arena_release(&arena);
}

static void test_a_command_is_limited_in_bytes_and_operations(void)
{
    static uint8_t big[STATE_TRANSACTION_BYTES_MAX + 1];
    struct arena arena;
    Record__Transaction transaction = RECORD__TRANSACTION__INIT;
    Record__Command command = RECORD__COMMAND__INIT;

    expect_refused(bytes_of(big, sizeof big), OP_LIMIT);
    arena_init(&arena);
    transaction.n_operations = STATE_TRANSACTION_OPERATIONS_MAX + 1;
    transaction.operations =
        arena_calloc(&arena, transaction.n_operations, sizeof *transaction.operations);
    for (size_t i = 0; i < transaction.n_operations; i++) {
        transaction.operations[i] = state_lab_make_check_absent(&arena, "/a");
    }
    command.body_case = RECORD__COMMAND__BODY_TRANSACTION;
    command.transaction = &transaction;
    check_command(&command, OP_LIMIT);
    transaction.n_operations--;
    check_command(&command, OP_OK);
    start();
    EXPECT_EQ(state_lab_command(&lab, &command), OP_OK);
    stop();
    arena_release(&arena);
}

enum { LARGE_BYTES = 1000 * 1000, LARGE_NODES = 20, FIT = 16 /* 16 MiB hold so many */ };

static void make_large_nodes(void)
{
    char *value = xcalloc(1, LARGE_BYTES + 1);

    memset(value, 'v', LARGE_BYTES);
    for (int i = 0; i < LARGE_NODES; i++) {
        char path[16];

        (void)snprintf(path, sizeof path, "/n%d", i);
        EXPECT_EQ(state_lab_create(&lab, path, value, RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    }
    free(value);
}

static enum op_error for_large_nodes(Record__Operation *(*make)(struct arena *arena, int number),
                                     size_t count)
{
    Record__Operation *operations[LARGE_NODES];
    struct arena arena;
    enum op_error error;

    arena_init(&arena);
    for (size_t i = 0; i < count; i++) {
        operations[i] = make(&arena, (int)i);
    }
    error = state_lab_transaction(&lab, operations, count);
    arena_release(&arena);
    return error;
}

static Record__Operation *make_removal(struct arena *arena, int number)
{
    char path[16];

    (void)snprintf(path, sizeof path, "/n%d", number);
    return state_lab_make_remove(arena, path, -1);
}

static Record__Operation *make_check(struct arena *arena, int number)
{
    (void)number;
    return state_lab_make_check(arena, "/n0", -1);
}

/* Each writes its parent anew. */
static Record__Operation *make_child(struct arena *arena, int number)
{
    char path[16];

    (void)snprintf(path, sizeof path, "/n0/%d", number);
    return state_lab_make_create(arena, path, "");
}

enum { DEEP_BYTES = STATE_PATH_BYTES_MAX - 2 };

/* Of as many nodes as a path may have. */
static void make_deep_path(char path[DEEP_BYTES + 1])
{
    for (size_t i = 0; i < DEEP_BYTES; i++) {
        path[i] = i % 2 == 0 ? '/' : 'd';
    }
    path[DEEP_BYTES] = '\0';
}

/* As many looks for a node as far down as may be as fit into a command. */
static void test_long_paths_are_much_too(void)
{
    enum { COUNT = STATE_TRANSACTION_BYTES_MAX / (DEEP_BYTES + 32) };
    static Record__Operation *operations[COUNT];
    char path[DEEP_BYTES + 1];
    struct arena arena;

    start();
    arena_init(&arena);
    make_deep_path(path);
    operations[0] = state_lab_make_create(&arena, path, "");
    operations[0]->create->make_parents = true;
    EXPECT_EQ(state_lab_operation(&lab, operations[0]), OP_OK);
    for (size_t i = 0; i < COUNT; i++) {
        operations[i] = state_lab_make_check(&arena, path, -1);
    }
    EXPECT_EQ(state_lab_transaction(&lab, operations, COUNT), OP_LIMIT);
    EXPECT(lab.result.work > 4096);
    EXPECT_EQ(state_lab_transaction(&lab, operations, COUNT / 40), OP_OK);
    arena_release(&arena);
    stop();
}

/* Two thousand nodes by each operation. */
static void test_parents_that_are_made_are_much_too(void)
{
    enum { COUNT = 10, FIRST_REFUSED = 4 };
    Record__Operation *operations[COUNT];
    char path[DEEP_BYTES + 1];
    struct arena arena;

    start();
    arena_init(&arena);
    make_deep_path(path);
    for (size_t i = 0; i < COUNT; i++) {
        path[1] = (char)('a' + i);
        operations[i] = state_lab_make_create(&arena, path, "");
        operations[i]->create->make_parents = true;
    }
    EXPECT_EQ(state_lab_transaction(&lab, operations, COUNT), OP_LIMIT);
    EXPECT_EQ(lab.result.operations[FIRST_REFUSED].error, OP_LIMIT);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "zookeeper,");
    EXPECT_EQ(state_lab_transaction(&lab, operations, FIRST_REFUSED), OP_OK);
    arena_release(&arena);
    stop();
}

static void test_a_transaction_that_touches_too_much_is_undone(void)
{
    struct state_digest before;

    start();
    make_large_nodes();
    before = state_digest(lab.state);
    EXPECT_EQ(for_large_nodes(make_removal, LARGE_NODES), OP_LIMIT);
    EXPECT_EQ(lab.result.operations[FIT].error, OP_LIMIT);
    EXPECT_EQ(for_large_nodes(make_check, LARGE_NODES), OP_LIMIT);
    EXPECT_EQ(lab.result.operations[FIT].error, OP_LIMIT);
    EXPECT_EQ(for_large_nodes(make_child, LARGE_NODES), OP_LIMIT);
    EXPECT_EQ(lab.result.operations[FIT / 2].error, OP_LIMIT);
    EXPECT_EQ(state_digest(lab.state).sum, before.sum);
    /* Other messages need not wait for the next one too. */
    EXPECT(lab.result.work > 4000);
    /* What is large is seen when it is done, so the last may pass the bound. */
    EXPECT_EQ(for_large_nodes(make_removal, FIT + 1), OP_OK);
    EXPECT(lab.result.work > 4000);
    stop();
}

/* As entries of a log ask that servers wrote who knew no bound. */
static void test_a_transaction_without_a_bound_is_done(void)
{
    start();
    make_large_nodes();
    lab.is_unbounded = true;
    EXPECT_EQ(for_large_nodes(make_removal, LARGE_NODES), OP_OK);
    stop();
}

static void test_session_commands_are_checked(void)
{
    static uint8_t password[STATE_PASSWORD_BYTES + 1];
    Record__OpenSession open = RECORD__OPEN_SESSION__INIT;
    Record__Command command = RECORD__COMMAND__INIT;
    struct arena arena;

    arena_init(&arena);
    command.body_case = RECORD__COMMAND__BODY_OPEN_SESSION;
    command.open_session = &open;
    for (size_t size = 0; size <= sizeof password; size++) {
        open.password = (ProtobufCBinaryData){size, password};
        check_command(&command, size == STATE_PASSWORD_BYTES ? OP_OK : OP_BAD_ARGUMENTS);
    }
    command = (Record__Command)RECORD__COMMAND__INIT;
    command.sequence = 1;
    command.body_case = RECORD__COMMAND__BODY_OPERATION;
    command.operation = state_lab_make_check(&arena, "/", -1);
    check_command(&command, OP_BAD_ARGUMENTS);
    command.session = 1;
    check_command(&command, OP_OK);
    arena_release(&arena);
}

/* As many of the smallest messages as fit: refused at the first too many. */
static void test_what_is_refused_costs_no_more_than_what_is_accepted(void)
{
    static uint8_t bytes[STATE_TRANSACTION_BYTES_MAX];
    static const uint8_t patterns[][4] = {
        {0x0a, 0x00, 0x0a, 0x00}, /* operations of no kind */
        {0x0a, 0x02, 0x32, 0x00}, /* the smallest operation */
    };
    enum { BODY_BYTES = STATE_TRANSACTION_BYTES_MAX - 8 };

    for (size_t p = 0; p < sizeof patterns / sizeof patterns[0]; p++) {
        struct arena arena;
        Record__Command *command = NULL;
        size_t header = 0;

        bytes[header++] = 0x5a;
        for (uint32_t size = BODY_BYTES; size > 0; size >>= 7) {
            bytes[header++] = (uint8_t)((size & 0x7f) | (size > 0x7f ? 0x80 : 0));
        }
        for (size_t i = 0; i < BODY_BYTES; i++) {
            bytes[header + i] = patterns[p][i % 4];
        }
        arena_init(&arena);
        EXPECT_EQ(command_decode(bytes_of(bytes, header + BODY_BYTES), &arena, &command), OP_LIMIT);
        EXPECT(arena.bytes <= COST_MAX * sizeof bytes);
        arena_release(&arena);
    }
}

static void test_the_largest_accepted_commands_cost_a_few_times_their_size(void)
{
    struct arena arena;
    struct arena decoding;
    Record__Transaction transaction = RECORD__TRANSACTION__INIT;
    Record__Command command = RECORD__COMMAND__INIT;
    Record__Command *decoded = NULL;
    struct bytes entry;

    arena_init(&arena);
    arena_init(&decoding);
    transaction.n_operations = STATE_TRANSACTION_OPERATIONS_MAX;
    transaction.operations =
        arena_calloc(&arena, transaction.n_operations, sizeof *transaction.operations);
    for (size_t i = 0; i < transaction.n_operations; i++) {
        transaction.operations[i] = state_lab_make_create(&arena, "", "");
    }
    command.body_case = RECORD__COMMAND__BODY_TRANSACTION;
    command.transaction = &transaction;
    entry = state_lab_encode(&command, 0, &arena);
    EXPECT_EQ(command_decode(bytes_of(entry.data + 8, entry.size - 8), &decoding, &decoded), OP_OK);
    EXPECT(decoding.bytes <= COST_MAX * (size_t)STATE_TRANSACTION_BYTES_MAX);
    arena_release(&decoding);
    arena_release(&arena);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_unreadable_commands_are_refused),
        TEST_CASE(test_an_entry_without_a_whole_stamp_is_unreadable),
        TEST_CASE(test_sizes_are_limited_to_the_byte),
        TEST_CASE(test_a_command_is_limited_in_bytes_and_operations),
        TEST_CASE(test_a_transaction_that_touches_too_much_is_undone),
        TEST_CASE(test_long_paths_are_much_too),
        TEST_CASE(test_parents_that_are_made_are_much_too),
        TEST_CASE(test_a_transaction_without_a_bound_is_done),
        TEST_CASE(test_session_commands_are_checked),
        TEST_CASE(test_what_is_refused_costs_no_more_than_what_is_accepted),
        TEST_CASE(test_the_largest_accepted_commands_cost_a_few_times_their_size),
        TEST_END,
    };

    return test_main("commands", cases, argc, argv);
}
