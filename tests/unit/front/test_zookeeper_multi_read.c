#include "server/front/zookeeper_multi_read.h"

#include "tests/unit/front/front_double.h"

#define PERSISTENT RECORD__CREATE_MODE__PERSISTENT

static struct client client;

static void put_read(struct buffer *record, int32_t type, const char *path)
{
    jute_put_multi_header(record, (struct jute_multi_header){.type = type, .error = -1});
    jute_put_buffer(record, bytes_of_text(path), false);
    jute_put_bool(record, false);
}

static void put_end(struct buffer *record)
{
    jute_put_multi_header(record,
                          (struct jute_multi_header){.type = -1, .done = true, .error = -1});
}

static struct zookeeper_details details_of(const struct buffer *record)
{
    return (struct zookeeper_details){.type = JUTE_TYPE_MULTI_READ, .body = buffer_lend(record)};
}

/* Without time, one read in a call; all at once gives the same. */
static void test_reads_are_done_in_pieces(void)
{
    enum { READS = 5 };
    struct zookeeper_multi_read pieces = {.is_begun = false};
    struct zookeeper_multi_read whole = {.is_begun = false};
    struct buffer record = BUFFER_INIT;
    struct zookeeper_details details;

    node_double_init();
    EXPECT_EQ(state_lab_create(&node_double.lab, "/a", "value", PERSISTENT), OP_OK);
    for (size_t i = 0; i < READS; i++) {
        put_read(&record, i == 2 ? JUTE_TYPE_GET_CHILDREN : JUTE_TYPE_GET_DATA,
                 i == 3 ? "/none" : "/a");
    }
    put_end(&record);
    details = details_of(&record);
    for (size_t i = 0; i < READS; i++) {
        size_t before = pieces.output.size;

        zookeeper_multi_read_go_on(&pieces, &client, &details, 0);
        EXPECT(!pieces.is_done);
        EXPECT(pieces.output.size > before);
    }
    zookeeper_multi_read_go_on(&pieces, &client, &details, 0);
    EXPECT(pieces.is_done);
    EXPECT_EQ(pieces.error, JUTE_ERROR_OK);
    zookeeper_multi_read_go_on(&whole, &client, &details, UINT64_MAX);
    EXPECT(whole.is_done);
    EXPECT_BYTES(buffer_lend(&whole.output), buffer_lend(&pieces.output));
    zookeeper_multi_read_reset(&pieces);
    EXPECT(!pieces.is_begun);
    zookeeper_multi_read_reset(&whole);
    buffer_release(&record);
    node_double_release();
}

static void test_what_cannot_be_read_or_sent_is_refused(void)
{
    struct zookeeper_multi_read reading = {.is_begun = false};
    char *value = xcalloc(1, STATE_VALUE_BYTES_MAX + 1);
    struct buffer record = BUFFER_INIT;
    struct zookeeper_details details;

    node_double_init();
    memset(value, 'v', STATE_VALUE_BYTES_MAX);
    EXPECT_EQ(state_lab_create(&node_double.lab, "/large", value, PERSISTENT), OP_OK);
    free(value);
    put_read(&record, JUTE_TYPE_GET_DATA, "/large");
    put_read(&record, JUTE_TYPE_GET_DATA, "/large");
    details = details_of(&record);
    zookeeper_multi_read_go_on(&reading, &client, &details, UINT64_MAX);
    EXPECT_EQ(reading.error, JUTE_ERROR_MARSHALLING);
    zookeeper_multi_read_reset(&reading);
    buffer_clear(&record);
    put_read(&record, JUTE_TYPE_GET_DATA, "/none"); /* and no end */
    details = details_of(&record);
    zookeeper_multi_read_go_on(&reading, &client, &details, UINT64_MAX);
    EXPECT_EQ(reading.error, JUTE_ERROR_MARSHALLING);
    zookeeper_multi_read_reset(&reading);
    node_double.cannot_read = true;
    zookeeper_multi_read_go_on(&reading, &client, &details, UINT64_MAX);
    EXPECT(reading.is_done);
    EXPECT(reading.trouble != NULL);
    zookeeper_multi_read_reset(&reading);
    buffer_release(&record);
    node_double_release();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {TEST_CASE(test_reads_are_done_in_pieces),
                                             TEST_CASE(test_what_cannot_be_read_or_sent_is_refused),
                                             TEST_END};

    return test_main("zookeeper_multi_read", cases, argc, argv);
}
