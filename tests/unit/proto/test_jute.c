#include "proto/jute.h"

#include "tests/support/test.h"

#include <string.h>

static struct buffer buffer;

static struct reader written(void)
{
    return reader_of(buffer_lend(&buffer));
}

static void test_numbers_and_buffers_come_back(void)
{
    struct reader reader;
    bool is_null = false;

    buffer_clear(&buffer);
    jute_put_int(&buffer, -7);
    jute_put_long(&buffer, INT64_MIN);
    jute_put_bool(&buffer, true);
    jute_put_buffer(&buffer, bytes_of_text("abc"), false);
    jute_put_buffer(&buffer, BYTES_EMPTY, true);
    jute_put_buffer(&buffer, BYTES_EMPTY, false);
    reader = written();
    EXPECT(jute_read_int(&reader) == -7);
    EXPECT(jute_read_long(&reader) == INT64_MIN);
    EXPECT(jute_read_bool(&reader));
    EXPECT_BYTES(jute_read_buffer(&reader, &is_null), bytes_of_text("abc"));
    EXPECT(!is_null);
    EXPECT_EQ(jute_read_buffer(&reader, &is_null).size, 0);
    EXPECT(is_null);
    EXPECT_EQ(jute_read_buffer(&reader, &is_null).size, 0);
    EXPECT(!is_null);
    EXPECT_OK(reader_finish(&reader));
}

static void test_impossible_lengths_fail_the_reader(void)
{
    static const int32_t lengths[] = {-2, INT32_MIN, 4, INT32_MAX};

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct reader reader;
        bool is_null;

        buffer_clear(&buffer);
        jute_put_int(&buffer, lengths[i]);
        buffer_put(&buffer, bytes_of_text("abc"));
        reader = written();
        (void)jute_read_buffer(&reader, &is_null);
        EXPECT(reader.failed);
        reader = written();
        EXPECT_EQ(jute_read_count(&reader, 1, &is_null), 0);
        EXPECT(reader.failed);
    }
}

static void test_null_is_an_error_where_it_means_nothing(void)
{
    struct reader reader;

    buffer_clear(&buffer);
    jute_put_int(&buffer, -1);
    reader = written();
    (void)jute_read_buffer(&reader, NULL);
    EXPECT(reader.failed);
    reader = written();
    (void)jute_read_count(&reader, 1, NULL);
    EXPECT(reader.failed);
}

static void put_connect(bool with_read_only)
{
    buffer_clear(&buffer);
    jute_put_int(&buffer, 0);
    jute_put_long(&buffer, 77);
    jute_put_int(&buffer, 6000);
    jute_put_long(&buffer, 5);
    jute_put_buffer(&buffer, bytes_of_text("sixteen letters."), false);
    if (with_read_only) {
        jute_put_bool(&buffer, true);
    }
}

static void test_a_connect_request_may_lack_its_last_field(void)
{
    struct jute_connect_request request;

    put_connect(true);
    EXPECT_EQ(buffer.size, 45);
    EXPECT_OK(jute_read_connect_request(buffer_lend(&buffer), &request));
    EXPECT(request.has_read_only && request.read_only);
    put_connect(false);
    EXPECT_OK(jute_read_connect_request(buffer_lend(&buffer), &request));
    EXPECT(!request.has_read_only && !request.read_only);
    EXPECT_EQ(request.last_zxid_seen, 77);
    EXPECT_EQ(request.timeout_ms, 6000);
    EXPECT_EQ(request.session, 5);
    EXPECT_BYTES(request.password, bytes_of_text("sixteen letters."));
    for (size_t cut = 0; cut < buffer.size; cut++) {
        EXPECT_EQ(jute_read_connect_request(bytes_of(buffer.data, cut), &request), STATUS_INVALID);
    }
}

static void test_records_have_their_sizes(void)
{
    const struct jute_stat stat = {.czxid = 1, .pzxid = 2};
    struct jute_connect_response response = {.has_read_only = true};
    size_t begin;

    buffer_clear(&buffer);
    jute_put_stat(&buffer, &stat);
    EXPECT_EQ(buffer.size, JUTE_STAT_BYTES);
    buffer_clear(&buffer);
    jute_put_reply_header(&buffer, 1, 2, 3);
    EXPECT_EQ(buffer.size, JUTE_REPLY_HEADER_BYTES);
    buffer_clear(&buffer);
    begin = jute_begin_frame(&buffer);
    jute_put_connect_response(&buffer, &response);
    jute_end_frame(&buffer, begin);
    EXPECT_EQ(buffer.size, 41);
    EXPECT_EQ(bytes_load_u32(buffer.data), 37);
    response.has_read_only = false;
    buffer_clear(&buffer);
    jute_put_connect_response(&buffer, &response);
    EXPECT_EQ(buffer.size, 36);
    buffer_release(&buffer);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_numbers_and_buffers_come_back),
        TEST_CASE(test_impossible_lengths_fail_the_reader),
        TEST_CASE(test_null_is_an_error_where_it_means_nothing),
        TEST_CASE(test_a_connect_request_may_lack_its_last_field),
        TEST_CASE(test_records_have_their_sizes),
        TEST_END};
    return test_main("jute", cases, argc, argv);
}
