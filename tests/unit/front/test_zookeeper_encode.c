#include "server/front/zookeeper_encode.h"

#include "tests/support/test.h"

static struct buffer output;
static struct request *request;

static struct zookeeper_details *begin(enum request_kind kind, int32_t type)
{
    struct zookeeper_details *details;

    buffer_clear(&output);
    request = request_new(kind);
    details = arena_calloc(&request->arena, 1, sizeof *details);
    details->xid = 9;
    details->type = type;
    request->details = details;
    return details;
}

/* The reply's body, behind length and header; these must be right. */
static struct reader put(const struct reply *reply, enum jute_error error, int32_t shown_error)
{
    struct reader reader;

    zookeeper_put_reply(&output, request, reply, error);
    reader = reader_of(buffer_lend(&output));
    EXPECT_EQ(jute_read_int(&reader), output.size - JUTE_FRAME_HEAD_BYTES);
    EXPECT_EQ(jute_read_int(&reader), 9);
    EXPECT_EQ(jute_read_long(&reader), reply->zxid);
    EXPECT_EQ((uint32_t)jute_read_int(&reader), (uint32_t)shown_error);
    EXPECT(!reader.failed);
    return reader;
}

static void end(void)
{
    request_free(request);
    buffer_release(&output);
}

static void test_every_code_has_a_word_or_none(void)
{
    static const struct {
        Client__Code code;
        int error; /* 1 = none */
    } rows[] = {{CLIENT__CODE__OK, 0},
                {CLIENT__CODE__NO_NODE, -101},
                {CLIENT__CODE__NOT_EXECUTED, -2},
                {CLIENT__CODE__LIMIT, -8},
                {CLIENT__CODE__UNREADABLE, -5},
                {CLIENT__CODE__NO_SPACE, -1},
                {CLIENT__CODE__SESSION_EXPIRED, 1},
                {CLIENT__CODE__SESSION_MOVED, 1},
                {CLIENT__CODE__SEQUENCE_GAP, 1},
                {CLIENT__CODE__NO_LEADER, 1},
                {CLIENT__CODE__UNKNOWN_OUTCOME, 1},
                {(Client__Code)9999, 1}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum jute_error error = JUTE_ERROR_OK;

        EXPECT(zookeeper_error_of(rows[i].code, &error) == (rows[i].error != 1));
        EXPECT_EQ((uint32_t)error, (uint32_t)(rows[i].error == 1 ? 0 : rows[i].error));
    }
}

static void test_the_end_of_a_reconfiguration_has_words_of_its_own(void)
{
    static const struct {
        Client__Code code;
        int error; /* 1 = none */
    } rows[] = {{CLIENT__CODE__OK, 0},
                {CLIENT__CODE__UNSUPPORTED, -6},
                {CLIENT__CODE__BAD_ARGUMENTS, -8},
                {CLIENT__CODE__LIMIT, -8},
                {CLIENT__CODE__UNREACHABLE, -13},
                {CLIENT__CODE__REFUSED, -13},
                {CLIENT__CODE__CONFLICT, -14},
                {CLIENT__CODE__BUSY, -14},
                {CLIENT__CODE__NO_AUTH, -102},
                {CLIENT__CODE__BAD_VERSION, -103},
                {CLIENT__CODE__NO_LEADER, 1},
                {CLIENT__CODE__UNKNOWN_OUTCOME, 1},
                {CLIENT__CODE__NOT_MEMBER, 1}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum jute_error error = JUTE_ERROR_OK;

        EXPECT(zookeeper_error_of_reconfig(rows[i].code, &error) == (rows[i].error != 1));
        EXPECT_EQ((uint32_t)error, (uint32_t)(rows[i].error == 1 ? 0 : rows[i].error));
    }
}

/* Which has no zxid in ZooKeeper; a reconfiguration without anything to change has. */
static void test_only_an_unknown_request_is_told_no_zxid(void)
{
    const struct reply reply = {.code = CLIENT__CODE__UNSUPPORTED, .zxid = 77};
    struct zookeeper_details *details = begin(REQUEST_RECONFIGURE, JUTE_TYPE_RECONFIG);
    struct reader reader;

    (void)put(&reply, JUTE_ERROR_UNIMPLEMENTED, JUTE_ERROR_UNIMPLEMENTED);
    buffer_clear(&output);
    details->refusal = JUTE_ERROR_UNIMPLEMENTED;
    zookeeper_put_header(&output, details, 77, JUTE_ERROR_UNIMPLEMENTED);
    reader = reader_of(buffer_lend(&output));
    (void)jute_read_int(&reader);
    EXPECT_EQ((uint64_t)jute_read_long(&reader), (uint64_t)-1);
    end();
}

static void test_an_error_has_no_body(void)
{
    const struct reply reply = {.code = CLIENT__CODE__NO_NODE, .zxid = 77};
    struct reader reader;

    (void)begin(REQUEST_GET, JUTE_TYPE_GET_DATA);
    reader = put(&reply, JUTE_ERROR_NO_NODE, JUTE_ERROR_NO_NODE);
    EXPECT_EQ(reader.rest.size, 0);
    end();
}

static void test_a_failed_multi_tells_in_its_results(void)
{
    struct state_op_result operations[] = {
        {.error = OP_OK}, {.error = OP_BAD_VERSION}, {.error = OP_NOT_EXECUTED}};
    struct state_result result = {
        .error = OP_BAD_VERSION, .operations = operations, .operation_count = 3};
    const struct reply reply = {.code = CLIENT__CODE__BAD_VERSION, .zxid = 5, .result = &result};
    static const int32_t types[] = {JUTE_TYPE_CREATE, JUTE_TYPE_CHECK, JUTE_TYPE_DELETE};
    static const int32_t errors[] = {0, -103, -2};
    struct zookeeper_details *details = begin(REQUEST_WRITE, JUTE_TYPE_MULTI);
    struct reader reader;
    struct jute_multi_header header;

    details->operations = arena_calloc(&request->arena, 3, sizeof *details->operations);
    details->operation_count = 3;
    for (size_t i = 0; i < 3; i++) {
        details->operations[i] = types[i];
    }
    reader = put(&reply, JUTE_ERROR_BAD_VERSION, JUTE_ERROR_OK);
    for (size_t i = 0; i < 3; i++) {
        header = jute_read_multi_header(&reader);
        EXPECT_EQ((uint32_t)header.type, (uint32_t)JUTE_TYPE_ERROR);
        EXPECT(!header.done);
        EXPECT_EQ((uint32_t)header.error, (uint32_t)errors[i]);
        EXPECT_EQ((uint32_t)jute_read_int(&reader), (uint32_t)errors[i]);
    }
    header = jute_read_multi_header(&reader);
    EXPECT(header.done && !reader.failed);
    EXPECT_EQ(reader.rest.size, 0);
    end();
}

static void test_counts_and_paths_are_shown(void)
{
    struct bytes paths[] = {bytes_of_text("/a"), bytes_of_text("/b/c")};
    struct reply reply = {.zxid = 3, .count = 12};
    struct reader reader;

    (void)begin(REQUEST_COUNT, JUTE_TYPE_GET_ALL_CHILDREN_NUMBER);
    reader = put(&reply, JUTE_ERROR_OK, JUTE_ERROR_OK);
    EXPECT_EQ(jute_read_int(&reader), 12);
    EXPECT_EQ(reader.rest.size, 0);
    end();
    (void)begin(REQUEST_COUNT, JUTE_TYPE_GET_ALL_CHILDREN_NUMBER);
    reply.count = UINT64_C(1) << 40; /* more than the field can hold */
    reader = put(&reply, JUTE_ERROR_OK, JUTE_ERROR_OK);
    EXPECT_EQ(jute_read_int(&reader), INT32_MAX);
    end();
    (void)begin(REQUEST_EPHEMERALS, JUTE_TYPE_GET_EPHEMERALS);
    reply = (struct reply){.zxid = 3, .ephemerals = {.paths = paths, .count = 2}};
    reader = put(&reply, JUTE_ERROR_OK, JUTE_ERROR_OK);
    EXPECT_EQ(jute_read_int(&reader), 2);
    EXPECT_BYTES(jute_read_buffer(&reader, NULL), paths[0]);
    EXPECT_BYTES(jute_read_buffer(&reader, NULL), paths[1]);
    EXPECT_EQ(reader.rest.size, 0);
    end();
}

static void test_an_answer_that_no_client_would_take_is_an_error(void)
{
    struct reply reply = {.zxid = 3, .ephemerals = {.more = true}};
    struct reader reader;
    struct bytes *paths;

    (void)begin(REQUEST_EPHEMERALS, JUTE_TYPE_GET_EPHEMERALS);
    reader = put(&reply, JUTE_ERROR_OK, JUTE_ERROR_MARSHALLING);
    EXPECT_EQ(reader.rest.size, 0);
    end();
    (void)begin(REQUEST_EPHEMERALS, JUTE_TYPE_GET_EPHEMERALS);
    paths = arena_calloc(&request->arena, JUTE_FRAME_BYTES_MAX / 4, sizeof *paths);
    reply = (struct reply){.ephemerals = {.paths = paths, .count = JUTE_FRAME_BYTES_MAX / 4}};
    reader = put(&reply, JUTE_ERROR_OK, JUTE_ERROR_MARSHALLING);
    EXPECT_EQ(reader.rest.size, 0);
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_every_code_has_a_word_or_none),
        TEST_CASE(test_the_end_of_a_reconfiguration_has_words_of_its_own),
        TEST_CASE(test_only_an_unknown_request_is_told_no_zxid),
        TEST_CASE(test_an_error_has_no_body),
        TEST_CASE(test_a_failed_multi_tells_in_its_results),
        TEST_CASE(test_counts_and_paths_are_shown),
        TEST_CASE(test_an_answer_that_no_client_would_take_is_an_error),
        TEST_END};
    return test_main("zookeeper_encode", cases, argc, argv);
}
