#include "client/client_codec.h"
#include "client/client_result.h"

#include "proto/field.h"
#include "proto/frame.h"
#include "tests/support/test.h"
#include "tests/unit/client/fake_server.h"

#include <stdlib.h>
#include <string.h>

static void test_a_frame_holds_the_envelope_and_the_body(void)
{
    Client__Get get = CLIENT__GET__INIT;
    struct client_body body;
    struct client_buffer buffer = {.data = NULL};
    struct client_envelope envelope = {.id = 300, .seen_zxid = UINT64_MAX};
    struct bytes frame;
    uint32_t body_bytes;
    Client__Request *request;

    get.path = client_data_of_text("/a");
    get.stat_only = true;
    EXPECT_EQ(client_body_pack(CLIENT__REQUEST__BODY_GET, &get.base, &body), CONFER_OK);
    EXPECT_EQ(client_codec_put_request(&buffer, &body, &envelope), CONFER_OK);
    frame = client_buffer_lend(&buffer);
    EXPECT_OK(frame_client_head(frame.data, &body_bytes));
    EXPECT_EQ(body_bytes + FRAME_CLIENT_HEAD_BYTES, frame.size);
    request = client__request__unpack(NULL, body_bytes, frame.data + FRAME_CLIENT_HEAD_BYTES);
    EXPECT(request != NULL);
    EXPECT_EQ(request->id, 300);
    EXPECT_EQ(request->seen_zxid, UINT64_MAX);
    EXPECT_EQ(request->body_case, CLIENT__REQUEST__BODY_GET);
    EXPECT_BYTES(bytes_of(request->get->path.data, request->get->path.len), bytes_of_text("/a"));
    EXPECT(request->get->stat_only);
    client__request__free_unpacked(request, NULL);
    client_buffer_release(&buffer);
    free(body.data);
}

static void test_a_write_gets_its_numbers_when_it_is_sent(void)
{
    Client__Write write = CLIENT__WRITE__INIT;
    Record__Operation operation = RECORD__OPERATION__INIT;
    Record__Operation *only = &operation;
    Record__Remove removal = RECORD__REMOVE__INIT;
    struct client_body body;
    struct client_buffer buffer = {.data = NULL};
    struct client_envelope envelope = {.id = 1, .sequence = 1000, .confirmed = 998};
    struct bytes frame;
    Client__Request *request;

    removal.path = client_data_of_text("/a");
    removal.version = -1;
    operation.kind_case = RECORD__OPERATION__KIND_REMOVE;
    operation.remove = &removal;
    write.n_operations = 1;
    write.operations = &only;
    EXPECT_EQ(client_body_pack(CLIENT__REQUEST__BODY_WRITE, &write.base, &body), CONFER_OK);
    EXPECT_EQ(client_codec_put_request(&buffer, &body, &envelope), CONFER_OK);
    frame = client_buffer_lend(&buffer);
    request = client__request__unpack(NULL, frame.size - FRAME_CLIENT_HEAD_BYTES,
                                      frame.data + FRAME_CLIENT_HEAD_BYTES);
    EXPECT(request != NULL);
    EXPECT_EQ(request->write->sequence, 1000);
    EXPECT_EQ(request->write->confirmed, 998);
    EXPECT_EQ(request->write->n_operations, 1);
    EXPECT_EQ((uint64_t)(int64_t)request->write->operations[0]->remove->version, UINT64_MAX);
    client__request__free_unpacked(request, NULL);
    client_buffer_release(&buffer);
    free(body.data);
}

static void test_a_body_that_fits_no_frame_is_refused(void)
{
    static uint8_t large[FRAME_CLIENT_BYTES_MAX];
    Client__Get get = CLIENT__GET__INIT;
    struct client_body body;

    get.path = client_data_of(large, sizeof large);
    EXPECT_EQ(client_body_pack(CLIENT__REQUEST__BODY_GET, &get.base, &body), CONFER_LIMIT);
}

/* --- Answers --- */

static struct client_result *take(Client__Response *response, enum client_shape shape)
{
    uint8_t packed[1024];
    size_t size = client__response__pack(response, packed);
    struct client_answer answer;
    struct client_result *result = client_result_new();

    EXPECT_EQ(client_answer_unpack(bytes_of(packed, size), &answer), CONFER_OK);
    client_result_take(result, shape, &answer, "server:1");
    client_answer_release(&answer);
    return result;
}

static void test_a_value_is_followed_by_a_nul(void)
{
    Client__Response response = fake_response();
    Client__GetReply get = CLIENT__GET_REPLY__INIT;
    struct client_result *result;

    for (size_t size = 0; size < 40; size++) {
        get.value = client_data_of("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", size);
        response.body_case = CLIENT__RESPONSE__BODY_GET;
        response.get = &get;
        result = take(&response, CLIENT_SHAPE_GET);
        EXPECT_EQ(result->public.value_bytes, size);
        EXPECT_EQ(strlen(result->public.value), size);
        EXPECT_TEXT(result->public.server, "server:1");
        client_result_free(result);
    }
}

/* A later version's field, and the id that a server puts behind an answer that it passes on. */
static void test_an_answer_with_more_than_the_schema_has_is_understood(void)
{
    static const uint8_t more[] = {0xa0, 0x06, 1, 0x08, 77}; /* field 100, id */
    Client__Response response = fake_response();
    Client__GetReply get = CLIENT__GET_REPLY__INIT;
    struct client_answer answer;
    uint8_t packed[128];
    size_t size;

    get.value = client_data_of("value", 5);
    response.body_case = CLIENT__RESPONSE__BODY_GET;
    response.get = &get;
    size = client__response__pack(&response, packed);
    memcpy(packed + size, more, sizeof more);
    EXPECT_EQ(client_answer_unpack(bytes_of(packed, size + sizeof more), &answer), CONFER_OK);
    EXPECT_EQ(answer.response->id, 77);
    EXPECT_EQ(answer.response->body_case, CLIENT__RESPONSE__BODY_GET);
    EXPECT_BYTES(bytes_of(answer.response->get->value.data, answer.response->get->value.len),
                 bytes_of_text("value"));
    client_answer_release(&answer);
}

static void test_an_answer_of_another_kind_is_a_protocol_error(void)
{
    Client__Response response = fake_response();
    Client__GetReply get = CLIENT__GET_REPLY__INIT;
    struct client_result *result;

    response.body_case = CLIENT__RESPONSE__BODY_GET;
    response.get = &get;
    for (int shape = CLIENT_SHAPE_LIST; shape <= CLIENT_SHAPE_STATUS; shape++) {
        result = take(&response, (enum client_shape)shape);
        EXPECT_EQ(result->public.status, CONFER_PROTOCOL);
        client_result_free(result);
    }
    response.body_case = CLIENT__RESPONSE__BODY__NOT_SET;
    response.code = (Client__Code)250; /* the library's own numbers are not a server's to give */
    result = take(&response, CLIENT_SHAPE_GET);
    EXPECT_EQ(result->public.status, CONFER_PROTOCOL);
    client_result_free(result);
    response.code = (Client__Code)-1;
    result = take(&response, CLIENT_SHAPE_NONE);
    EXPECT_EQ(result->public.status, CONFER_PROTOCOL);
    client_result_free(result);
}

static void test_bytes_that_are_no_message_are_refused(void)
{
    static const uint8_t endless[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xff};
    struct client_answer answer;

    EXPECT_EQ(client_answer_unpack(bytes_of(endless, sizeof endless), &answer), CONFER_PROTOCOL);
    EXPECT_EQ(client_answer_unpack(bytes_of("\x52\xff", 2), &answer), CONFER_PROTOCOL);
}

static void test_an_answer_that_unpacks_to_too_much_is_refused(void)
{
    /* Four million children of two bytes each: 8 MiB that would become 400. */
    size_t count = 4 * 1024 * 1024 - 8;
    uint8_t *frame = calloc(1, 16 + 2 * count);
    size_t size =
        (size_t)(field_put_message_head(frame, CLIENT__RESPONSE__BODY_LIST, 2 * count) - frame);
    struct client_answer answer;

    for (size_t i = 0; i < count; i++) {
        frame[size++] = 0x0a; /* ListReply.children */
        frame[size++] = 0;
    }
    EXPECT_EQ(client_answer_unpack(bytes_of(frame, size), &answer), CONFER_NO_MEMORY);
    free(frame);
}

static void test_every_status_has_its_text(void)
{
    for (int status = 0; status <= CONFER_END; status++) {
        bool is_known = status <= CONFER_QUOTA_EXCEEDED ||
                        (status >= CONFER_NO_LEADER && status <= CONFER_AUTH_FAILED) ||
                        status >= CONFER_TIMEOUT;

        EXPECT_EQ(strcmp(confer_status_text((enum confer_status)status), "unknown status") != 0,
                  is_known);
    }
    EXPECT_TEXT(confer_state_text(CONFER_STATE_CLOSED), "closed");
    EXPECT_TEXT(confer_event_text(CONFER_EVENT_ENDED), "ended");
    EXPECT_TEXT(confer_event_text((enum confer_event_kind)99), "unknown event");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_frame_holds_the_envelope_and_the_body),
        TEST_CASE(test_a_write_gets_its_numbers_when_it_is_sent),
        TEST_CASE(test_a_body_that_fits_no_frame_is_refused),
        TEST_CASE(test_a_value_is_followed_by_a_nul),
        TEST_CASE(test_an_answer_with_more_than_the_schema_has_is_understood),
        TEST_CASE(test_an_answer_of_another_kind_is_a_protocol_error),
        TEST_CASE(test_bytes_that_are_no_message_are_refused),
        TEST_CASE(test_an_answer_that_unpacks_to_too_much_is_refused),
        TEST_CASE(test_every_status_has_its_text),
        TEST_END};
    return test_main("client_codec", cases, argc, argv);
}
