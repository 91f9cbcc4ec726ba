#include "proto/message_scan.h"

#include "proto/record.pb-c.h"
#include "tests/support/test.h"

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

static enum status scan(const uint8_t *data, size_t size, size_t count_max)
{
    return message_scan(&record__command__descriptor, bytes_of(data, size), count_max);
}

static void test_what_was_packed_passes(void)
{
    uint8_t data[256];
    size_t size = pack(data, 2);

    EXPECT_OK(scan(data, size, COUNT_MAX));
    EXPECT_OK(scan(data, 0, COUNT_MAX));
}

static void test_a_message_cut_anywhere_is_refused_or_a_shorter_one(void)
{
    uint8_t data[256];
    size_t size = pack(data, 1);

    for (size_t cut = 1; cut < size; cut++) {
        /* The session alone, which stands first, is a whole message. */
        EXPECT_EQ(scan(data, cut, COUNT_MAX), cut == 2 ? STATUS_OK : STATUS_INVALID);
    }
}

static void test_an_unknown_field_is_refused(void)
{
    static const uint8_t data[] = {0xf8, 0x07, 0x01}; /* field 127, varint 1 */

    EXPECT_EQ(scan(data, sizeof data, COUNT_MAX), STATUS_INVALID);
}

static void test_a_field_given_twice_is_refused(void)
{
    static const uint8_t data[] = {0x08, 0x07, 0x08, 0x07}; /* session 7, session 7 */

    EXPECT_EQ(scan(data, sizeof data, COUNT_MAX), STATUS_INVALID);
}

static void test_two_of_a_oneof_are_refused(void)
{
    static const uint8_t data[] = {0x62, 0x00, 0x72, 0x00}; /* open_session, close_session */

    EXPECT_OK(scan(data, 2, COUNT_MAX));
    EXPECT_EQ(scan(data, sizeof data, COUNT_MAX), STATUS_INVALID);
}

static void test_a_varint_without_end_is_refused(void)
{
    uint8_t data[32];

    memset(data, 0xff, sizeof data);
    data[0] = 0x08;
    EXPECT_EQ(scan(data, sizeof data, COUNT_MAX), STATUS_INVALID);
}

static void test_submessages_are_counted(void)
{
    uint8_t data[512];
    size_t size = pack(data, 4);

    /* The transaction, and an operation and a set for each. */
    EXPECT_OK(scan(data, size, 9));
    EXPECT_EQ(scan(data, size, 8), STATUS_LIMIT);
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
        TEST_END};

    return test_main("message_scan", cases, argc, argv);
}
