#include "base/bytes.h"

#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

static void test_order_is_bytewise_and_a_prefix_comes_first(void)
{
    EXPECT(bytes_compare(bytes_of_text("a"), bytes_of_text("b")) < 0);
    EXPECT(bytes_compare(bytes_of_text("b"), bytes_of_text("a")) > 0);
    EXPECT(bytes_compare(bytes_of_text("a"), bytes_of_text("ab")) < 0);
    EXPECT(bytes_compare(bytes_of_text("ab"), bytes_of_text("a")) > 0);
    EXPECT(bytes_compare(bytes_of_text("ab"), bytes_of_text("ab")) == 0);
    EXPECT(bytes_compare(bytes_of("\xff", 1), bytes_of("\x01", 1)) > 0);
    EXPECT(bytes_compare(BYTES_EMPTY, BYTES_EMPTY) == 0);
    EXPECT(bytes_compare(BYTES_EMPTY, bytes_of("\0", 1)) < 0);
}

static void test_equality_sees_size_and_content(void)
{
    EXPECT(bytes_equal(BYTES_EMPTY, bytes_of("", 0)));
    EXPECT(bytes_equal(bytes_of("a\0b", 3), bytes_of("a\0b", 3)));
    EXPECT(!bytes_equal(bytes_of("a\0b", 3), bytes_of("a\0c", 3)));
    EXPECT(!bytes_equal(bytes_of("a", 1), bytes_of("a\0", 2)));
}

static void test_a_copy_is_independent(void)
{
    char source[] = "text";
    uint8_t *copy = bytes_copy(bytes_of(source, 4));

    source[0] = 'n';
    EXPECT(memcmp(copy, "text", 4) == 0);
    free(copy);
    copy = bytes_copy(BYTES_EMPTY);
    EXPECT(copy != NULL);
    free(copy);
}

static void test_copied_text_is_cut_to_fit(void)
{
    char text[5] = {'x', 'x', 'x', 'x', 'x'};

    bytes_copy_text(text, sizeof text, "abcd");
    EXPECT_TEXT(text, "abcd");
    bytes_copy_text(text, sizeof text, "efghi");
    EXPECT_TEXT(text, "efgh");
    bytes_copy_text(text, sizeof text, "");
    EXPECT_TEXT(text, "");
}

static void test_integers_are_big_endian(void)
{
    uint8_t raw[8];

    bytes_store_u16(raw, 0x0102);
    EXPECT_BYTES(bytes_of(raw, 2), bytes_of("\x01\x02", 2));
    bytes_store_u32(raw, 0x01020304);
    EXPECT_BYTES(bytes_of(raw, 4), bytes_of("\x01\x02\x03\x04", 4));
    bytes_store_u64(raw, UINT64_C(0xff02030405060708));
    EXPECT_BYTES(bytes_of(raw, 8), bytes_of("\xff\x02\x03\x04\x05\x06\x07\x08", 8));
    EXPECT_EQ(bytes_load_u16(raw), 0xff02);
    EXPECT_EQ(bytes_load_u32(raw), 0xff020304);
    EXPECT_EQ(bytes_load_u64(raw), UINT64_C(0xff02030405060708));
}

static void test_a_reader_returns_what_a_buffer_was_given(void)
{
    struct buffer buffer = BUFFER_INIT;
    struct reader reader;
    struct bytes text;
    uint8_t u8 = 0;
    uint16_t u16 = 0;
    uint32_t u32 = 0;
    uint64_t u64 = 0;

    buffer_put_u8(&buffer, 0xab);
    buffer_put_u16(&buffer, 0xabcd);
    buffer_put_u32(&buffer, 0xabcdef01);
    buffer_put_u64(&buffer, UINT64_MAX - 1);
    buffer_put(&buffer, bytes_of_text("text"));
    reader = reader_of(buffer_lend(&buffer));
    EXPECT_OK(reader_u8(&reader, &u8));
    EXPECT_OK(reader_u16(&reader, &u16));
    EXPECT_OK(reader_u32(&reader, &u32));
    EXPECT_OK(reader_u64(&reader, &u64));
    EXPECT_EQ(reader_finish(&reader), STATUS_INVALID);
    EXPECT_OK(reader_lend(&reader, 4, &text));
    EXPECT_EQ(u8, 0xab);
    EXPECT_EQ(u16, 0xabcd);
    EXPECT_EQ(u32, 0xabcdef01);
    EXPECT_EQ(u64, UINT64_MAX - 1);
    EXPECT_BYTES(text, bytes_of_text("text"));
    EXPECT_OK(reader_finish(&reader));
    buffer_release(&buffer);
}

static void test_get_fails_past_the_end_and_leaves_the_result_alone(void)
{
    uint8_t u8 = 7;
    uint16_t u16 = 7;
    uint32_t u32 = 7;
    uint64_t u64 = 7;
    struct bytes text = bytes_of("x", 1);
    struct reader reader = reader_of(BYTES_EMPTY);

    EXPECT_EQ(reader_u8(&reader, &u8), STATUS_INVALID);
    for (size_t size = 0; size < 8; size++) {
        reader = reader_of(bytes_of("12345678", size));
        EXPECT_EQ(reader_u64(&reader, &u64), STATUS_INVALID);
        reader = reader_of(bytes_of("12345678", size));
        EXPECT_EQ(reader_lend(&reader, size + 1, &text), STATUS_INVALID);
        EXPECT_EQ(reader_lend(&reader, SIZE_MAX, &text), STATUS_INVALID);
    }
    for (size_t size = 0; size < 4; size++) {
        reader = reader_of(bytes_of("1234", size));
        EXPECT_EQ(reader_u32(&reader, &u32), STATUS_INVALID);
    }
    reader = reader_of(bytes_of("1", 1));
    EXPECT_EQ(reader_u16(&reader, &u16), STATUS_INVALID);
    EXPECT(u8 == 7 && u16 == 7 && u32 == 7 && u64 == 7 && text.size == 1);
}

static void test_a_failed_reader_stays_failed(void)
{
    struct reader reader = reader_of(bytes_of_text("123"));
    uint32_t u32 = 0;
    uint8_t u8 = 0;

    EXPECT_EQ(reader_u32(&reader, &u32), STATUS_INVALID);
    EXPECT_EQ(reader_u8(&reader, &u8), STATUS_INVALID);
    EXPECT_EQ(reader_finish(&reader), STATUS_INVALID);
}

static void test_an_empty_lend_succeeds_even_at_the_end(void)
{
    struct reader reader = reader_of(BYTES_EMPTY);
    struct bytes nothing = bytes_of("x", 1);

    EXPECT_OK(reader_lend(&reader, 0, &nothing));
    EXPECT_EQ(nothing.size, 0);
    EXPECT_OK(reader_finish(&reader));
}

static void test_a_buffer_grows_and_keeps_its_contents(void)
{
    struct buffer buffer = BUFFER_INIT;

    for (uint32_t i = 0; i < 10000; i++) {
        buffer_put_u32(&buffer, i);
    }
    EXPECT_EQ(buffer.size, 40000);
    for (uint32_t i = 0; i < 10000; i++) {
        EXPECT_EQ(bytes_load_u32(buffer.data + 4 * (size_t)i), i);
    }
    (void)memset(buffer_extend(&buffer, 1000000), 0x5a, 1000000);
    EXPECT_EQ(buffer.size, 1040000);
    EXPECT_EQ(bytes_load_u32(buffer.data + 39996), 9999);
    buffer_clear(&buffer);
    EXPECT_EQ(buffer.size, 0);
    EXPECT(buffer.capacity >= 1040000);
    buffer_release(&buffer);
    EXPECT_EQ(buffer.capacity, 0);
}

static void test_a_buffer_doubles_but_not_beyond_what_is_to_come(void)
{
    struct buffer buffer = BUFFER_INIT;
    const uint8_t *data;

    (void)buffer_extend(&buffer, 100);
    buffer_reserve(&buffer, 100, 1000);
    EXPECT_EQ(buffer.size, 100);
    EXPECT_EQ(buffer.capacity, 256);
    data = buffer.data;
    EXPECT(buffer_extend(&buffer, 100) == data + 100);
    buffer_reserve(&buffer, 400, 1000);
    EXPECT_EQ(buffer.capacity, 1000);
    data = buffer.data;
    EXPECT(buffer_extend(&buffer, 800) == data + 200);
    EXPECT_EQ(buffer.capacity, 1000);
    (void)buffer_extend(&buffer, 1); /* who told less than there is has room all the same */
    EXPECT_EQ(buffer.capacity, 2000);
    buffer_reserve(&buffer, 4000, 10);
    EXPECT(buffer.capacity >= 5001);
    buffer_release(&buffer);
}

static void test_nothing_can_be_appended_to_nothing(void)
{
    struct buffer buffer = BUFFER_INIT;

    buffer_put(&buffer, BYTES_EMPTY);
    EXPECT_EQ(buffer.size, 0);
    (void)buffer_extend(&buffer, 0);
    EXPECT_EQ(buffer_lend(&buffer).size, 0);
    buffer_release(&buffer);
}

static void test_take_leaves_the_buffer_empty(void)
{
    struct buffer buffer = BUFFER_INIT;
    size_t size = 0;
    uint8_t *data;

    buffer_put(&buffer, bytes_of_text("mine"));
    data = buffer_take(&buffer, &size);
    EXPECT_BYTES(bytes_of(data, size), bytes_of_text("mine"));
    EXPECT(buffer.data == NULL && buffer.size == 0 && buffer.capacity == 0);
    free(data);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_order_is_bytewise_and_a_prefix_comes_first),
        TEST_CASE(test_equality_sees_size_and_content),
        TEST_CASE(test_a_copy_is_independent),
        TEST_CASE(test_copied_text_is_cut_to_fit),
        TEST_CASE(test_integers_are_big_endian),
        TEST_CASE(test_a_reader_returns_what_a_buffer_was_given),
        TEST_CASE(test_get_fails_past_the_end_and_leaves_the_result_alone),
        TEST_CASE(test_a_failed_reader_stays_failed),
        TEST_CASE(test_an_empty_lend_succeeds_even_at_the_end),
        TEST_CASE(test_a_buffer_grows_and_keeps_its_contents),
        TEST_CASE(test_a_buffer_doubles_but_not_beyond_what_is_to_come),
        TEST_CASE(test_nothing_can_be_appended_to_nothing),
        TEST_CASE(test_take_leaves_the_buffer_empty),
        TEST_END};
    return test_main("bytes", cases, argc, argv);
}
