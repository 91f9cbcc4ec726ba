#include "proto/message_read.h"

#include "proto/arena_allocator.h"
#include "proto/client.pb-c.h"
#include "proto/peer.pb-c.h"
#include "proto/record.pb-c.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT_MAX = 8 };

/* A packed Command that sets /a to "1", with `operations` of them as a transaction. */
static size_t pack(uint8_t *to, size_t operation_count)
{
    static uint8_t path[] = {'/', 'a'};
    static uint8_t value[] = {'1'};
    Record__Command command = RECORD__COMMAND__INIT;
    Record__Transaction transaction = RECORD__TRANSACTION__INIT;
    Record__Set set = RECORD__SET__INIT;
    Record__Operation operation = RECORD__OPERATION__INIT;
    Record__Operation *operations[16];

    set.path.data = path;
    set.path.len = sizeof path;
    set.value.data = value;
    set.value.len = sizeof value;
    operation.kind_case = RECORD__OPERATION__KIND_SET;
    operation.set = &set;
    for (size_t i = 0; i < operation_count; i++) {
        operations[i] = &operation;
    }
    transaction.n_operations = operation_count;
    transaction.operations = operations;
    command.session = 7;
    command.body_case = RECORD__COMMAND__BODY_TRANSACTION;
    command.transaction = &transaction;
    return record__command__pack(&command, to);
}

static enum status read_command(const uint8_t *data, size_t size, size_t count_max)
{
    struct arena arena;
    ProtobufCAllocator allocator = arena_allocator(&arena);
    ProtobufCMessage *message;
    enum status status;

    arena_init(&arena);
    status = message_read(&record__command__descriptor, bytes_of(data, size), false, count_max,
                          &allocator, &message);
    arena_release(&arena);
    return status;
}

/* What was packed is read as protobuf-c reads it: packed again it is the same, field by field. */
static void expect_same(const ProtobufCMessage *message, bool lent)
{
    struct arena arena;
    ProtobufCAllocator allocator = arena_allocator(&arena);
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = malloc(size + 1);
    uint8_t *again = malloc(size + 1);
    ProtobufCMessage *read = NULL;

    arena_init(&arena);
    (void)protobuf_c_message_pack(message, packed);
    EXPECT_OK(message_read(message->descriptor, bytes_of(packed, size), lent, SIZE_MAX, &allocator,
                           &read));
    if (read != NULL) {
        EXPECT_EQ(read->n_unknown_fields, 0);
        EXPECT_EQ(protobuf_c_message_get_packed_size(read), size);
        EXPECT_EQ(protobuf_c_message_pack(read, again), size);
        EXPECT(memcmp(packed, again, size) == 0);
    }
    arena_release(&arena);
    free(again);
    free(packed);
}

static void test_what_was_packed_passes(void)
{
    uint8_t data[256];
    size_t size = pack(data, 2);

    EXPECT_OK(read_command(data, size, COUNT_MAX));
    EXPECT_OK(read_command(data, 0, COUNT_MAX));
}

static void test_a_message_cut_anywhere_is_refused_or_a_shorter_one(void)
{
    uint8_t data[256];
    size_t size = pack(data, 1);

    for (size_t cut = 1; cut < size; cut++) {
        /* The session alone, which stands first, is a whole message. */
        EXPECT_EQ(read_command(data, cut, COUNT_MAX), cut == 2 ? STATUS_OK : STATUS_INVALID);
    }
}

static void test_an_unknown_field_is_refused(void)
{
    static const uint8_t data[] = {0xf8, 0x07, 0x01}; /* field 127, varint 1 */

    EXPECT_EQ(read_command(data, sizeof data, COUNT_MAX), STATUS_INVALID);
}

static void test_a_field_given_twice_is_refused(void)
{
    static const uint8_t data[] = {0x08, 0x07, 0x08, 0x07}; /* session 7, session 7 */

    EXPECT_EQ(read_command(data, sizeof data, COUNT_MAX), STATUS_INVALID);
}

static void test_two_of_a_oneof_are_refused(void)
{
    static const uint8_t data[] = {0x62, 0x00, 0x72, 0x00}; /* open_session, close_session */

    EXPECT_OK(read_command(data, 2, COUNT_MAX));
    EXPECT_EQ(read_command(data, sizeof data, COUNT_MAX), STATUS_INVALID);
}

static void test_a_varint_without_end_is_refused(void)
{
    uint8_t data[32];

    memset(data, 0xff, sizeof data);
    data[0] = 0x08;
    EXPECT_EQ(read_command(data, sizeof data, COUNT_MAX), STATUS_INVALID);
}

static void test_submessages_are_counted(void)
{
    uint8_t data[512];
    size_t size = pack(data, 4);

    /* The transaction, and an operation and a set for each. */
    EXPECT_OK(read_command(data, size, 9));
    EXPECT_EQ(read_command(data, size, 8), STATUS_LIMIT);
}

static void test_a_command_is_what_protobuf_c_reads(void)
{
    uint8_t data[512];
    size_t size = pack(data, 7);
    Record__Command *command = record__command__unpack(NULL, size, data);

    EXPECT(command != NULL);
    command->transaction->operations[3]->set->version = -70000;
    command->transaction->operations[4]->set->create = true;
    expect_same(&command->base, false);
    expect_same(&command->base, true);
    record__command__free_unpacked(command, NULL);
}

static void test_every_type_of_the_schema_is_what_protobuf_c_reads(void)
{
    static uint8_t bytes[] = {0, 1, 2};
    uint64_t numbers[] = {1, UINT64_MAX, 3, 0};
    char text[] = "a text";
    char empty[] = "";
    Peer__NodeReport report = PEER__NODE_REPORT__INIT;
    Peer__MemberProgress members[3] = {PEER__MEMBER_PROGRESS__INIT, PEER__MEMBER_PROGRESS__INIT,
                                       PEER__MEMBER_PROGRESS__INIT};
    Peer__MemberProgress *pointers[] = {&members[0], &members[1], &members[2]};
    Peer__Identity identity = PEER__IDENTITY__INIT;
    Record__OperationResult result = RECORD__OPERATION_RESULT__INIT;
    Record__Stat stat = RECORD__STAT__INIT;

    report.applied = UINT64_MAX;
    report.role = text;
    report.version = empty;
    report.short_of_space = true;
    report.start = UINT64_C(0x8877665544332211);
    report.n_members = 3;
    report.members = pointers;
    members[1].rounds = UINT32_MAX;
    members[1].trend = text;
    expect_same(&report.base, false);

    identity.incarnation = (ProtobufCBinaryData){.len = sizeof bytes, .data = bytes};
    identity.format = 3;
    expect_same(&identity.base, true);
    /* Packed, as protobuf-c writes repeated numbers, is not read here. */
    identity.n_starts = 4;
    identity.starts = numbers;
    {
        uint8_t packed[128];
        size_t size = peer__identity__pack(&identity, packed);
        struct arena arena;
        ProtobufCAllocator allocator = arena_allocator(&arena);
        ProtobufCMessage *message;

        arena_init(&arena);
        EXPECT_EQ(message_read(&peer__identity__descriptor, bytes_of(packed, size), false, SIZE_MAX,
                               &allocator, &message),
                  STATUS_INVALID);
        arena_release(&arena);
    }

    stat.version = INT32_MIN;
    stat.cversion = INT32_MAX;
    stat.aversion = -1;
    stat.value_bytes = 128;
    result.stat = &stat;
    result.created = true;
    expect_same(&result.base, false);
}

static void test_fields_in_any_order_are_read(void)
{
    /* sequence 9, session 7 */
    static const uint8_t data[] = {0x18, 0x09, 0x08, 0x07};
    struct arena arena;
    ProtobufCAllocator allocator = arena_allocator(&arena);
    ProtobufCMessage *message;

    arena_init(&arena);
    EXPECT_OK(message_read(&record__command__descriptor, bytes_of(data, sizeof data), false,
                           COUNT_MAX, &allocator, &message));
    EXPECT_EQ(((Record__Command *)message)->session, 7);
    EXPECT_EQ(((Record__Command *)message)->sequence, 9);
    arena_release(&arena);
}

static void test_a_field_of_another_type_is_refused(void)
{
    static const uint8_t as_bytes[] = {0x0a, 0x00};       /* session, as bytes */
    static const uint8_t as_number[] = {0x50, 0x00};      /* operation, as a number */
    static const uint8_t as_fixed[] = {0x0d, 0, 0, 0, 0}; /* session, in four bytes */

    EXPECT_EQ(read_command(as_bytes, sizeof as_bytes, COUNT_MAX), STATUS_INVALID);
    EXPECT_EQ(read_command(as_number, sizeof as_number, COUNT_MAX), STATUS_INVALID);
    EXPECT_EQ(read_command(as_fixed, sizeof as_fixed, COUNT_MAX), STATUS_INVALID);
}

/* Clients' operations come into the log as they were sent, so what counts is what is read, however
 * it is written. */
static void test_what_protobuf_c_cuts_or_refuses_is_cut_or_refused(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *what;
    } cases[] = {
        {"\x10\x80\x80\x80\x80\x10", 6, "a sint32 of 2^32: 0"},
        {"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "a sint32 of 64 bits"},
        {"\x10\x81\x80\x80\x80\x80\x00", 7, "a number with needless bytes"},
        {"\x90\x80\x80\x80\x00\x01", 6, "a key of five bytes"},
        {"\x90\x80\x80\x80\x80\x00\x01", 7, "a key of six bytes"},
        {"\x0a\x82\x80\x80\x80\x00/a", 8, "a length of five bytes"},
        {"\x0a\x82\x80\x80\x80\x80\x00/a", 9, "a length of six bytes"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes bytes = bytes_of(cases[i].bytes, cases[i].size);
        Record__Remove *model = record__remove__unpack(NULL, bytes.size, bytes.data);
        struct arena arena;
        ProtobufCAllocator allocator = arena_allocator(&arena);
        ProtobufCMessage *message = NULL;
        enum status status;

        arena_init(&arena);
        status = message_read(&record__remove__descriptor, bytes, false, COUNT_MAX, &allocator,
                              &message);
        EXPECT_EQ(status == STATUS_OK, model != NULL);
        if (status == STATUS_OK && model != NULL) {
            EXPECT_EQ(((Record__Remove *)message)->version, model->version);
            EXPECT_EQ(((Record__Remove *)message)->path.len, model->path.len);
        } else if ((status == STATUS_OK) != (model != NULL)) {
            (void)fprintf(stderr, "%s\n", cases[i].what);
        }
        arena_release(&arena);
        if (model != NULL) {
            record__remove__free_unpacked(model, NULL);
        }
    }
}

static void test_bytes_are_lent_only_when_asked_for(void)
{
    uint8_t data[256];
    size_t size = pack(data, 1);
    struct arena arena;
    ProtobufCAllocator allocator = arena_allocator(&arena);

    arena_init(&arena);
    for (int lent = 0; lent < 2; lent++) {
        ProtobufCMessage *message;
        const uint8_t *path;

        EXPECT_OK(message_read(&record__command__descriptor, bytes_of(data, size), lent, COUNT_MAX,
                               &allocator, &message));
        path = ((Record__Command *)message)->transaction->operations[0]->set->path.data;
        EXPECT_EQ(path >= data && path < data + size, lent);
    }
    arena_release(&arena);
}

struct short_memory {
    struct arena arena;
    size_t left; /* allocations */
};

static void *allocate_some(void *context, size_t bytes)
{
    struct short_memory *memory = context;

    if (memory->left == 0) {
        return NULL;
    }
    memory->left--;
    return arena_alloc(&memory->arena, bytes);
}

/* Command and transaction, an array of one, an operation with its set, path and value, an array of
 * two, and the other. */
static void test_memory_that_is_refused_anywhere_ends_the_reading(void)
{
    enum { ALLOCATIONS = 2 + 1 + 4 + 1 + 4 };
    uint8_t data[256];
    size_t size = pack(data, 2);
    struct short_memory memory;
    ProtobufCAllocator allocator = {.alloc = allocate_some, .allocator_data = &memory};

    for (size_t left = 0; left <= ALLOCATIONS; left++) {
        ProtobufCMessage *message = NULL;
        enum status status;

        arena_init(&memory.arena);
        memory.left = left;
        status = message_read(&record__command__descriptor, bytes_of(data, size), false, COUNT_MAX,
                              &allocator, &message);
        EXPECT_EQ(status, left < ALLOCATIONS ? STATUS_NO_MEMORY : STATUS_OK);
        EXPECT_EQ(message != NULL, status == STATUS_OK);
        arena_release(&memory.arena);
    }
}

/* A text, which has a place of its own. */
static void test_a_text_without_memory_ends_the_reading(void)
{
    static const uint8_t data[] = {0x12, 1, 'a'}; /* address "a" */
    struct short_memory memory = {.left = 1};
    ProtobufCAllocator allocator = {.alloc = allocate_some, .allocator_data = &memory};
    ProtobufCMessage *message;

    arena_init(&memory.arena);
    EXPECT_EQ(message_read(&client__node_address__descriptor, bytes_of(data, sizeof data), false,
                           COUNT_MAX, &allocator, &message),
              STATUS_NO_MEMORY);
    arena_release(&memory.arena);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_what_was_packed_passes),
        TEST_CASE(test_a_message_cut_anywhere_is_refused_or_a_shorter_one),
        TEST_CASE(test_an_unknown_field_is_refused),
        TEST_CASE(test_a_field_given_twice_is_refused),
        TEST_CASE(test_two_of_a_oneof_are_refused),
        TEST_CASE(test_a_varint_without_end_is_refused),
        TEST_CASE(test_submessages_are_counted),
        TEST_CASE(test_a_command_is_what_protobuf_c_reads),
        TEST_CASE(test_every_type_of_the_schema_is_what_protobuf_c_reads),
        TEST_CASE(test_fields_in_any_order_are_read),
        TEST_CASE(test_a_field_of_another_type_is_refused),
        TEST_CASE(test_what_protobuf_c_cuts_or_refuses_is_cut_or_refused),
        TEST_CASE(test_bytes_are_lent_only_when_asked_for),
        TEST_CASE(test_memory_that_is_refused_anywhere_ends_the_reading),
        TEST_CASE(test_a_text_without_memory_ends_the_reading),
        TEST_END};

    return test_main("message_read", cases, argc, argv);
}
