/* Bytes as a Response: what the front writes in its place is what protobuf-c writes, to the byte.
 */
#include "base/alloc.h"
#include "proto/arena_allocator.h"
#include "proto/message_read.h"
#include "tests/unit/front/answer_model.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGES_MAX = 1000 };

static void
compare(const struct native_answer *answer, size_t size, const Client__Response *response)
{
    uint8_t *written = xmalloc(size);
    uint8_t *expected = xmalloc(size);

    CHECK_OP(size, ==, client__response__get_packed_size(response));
    native_answer_put(answer, written);
    (void)client__response__pack(response, expected);
    CHECK(bytes_equal(bytes_of(written, size), bytes_of(expected, size)));
    free(written);
    free(expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct answer_model model;
    ProtobufCAllocator allocator = arena_allocator(&model.arena);
    ProtobufCMessage *message;
    Client__Response *response;
    struct native_answer answer;

    answer_model_init(&model);
    /* Only what the schema knows: unknown fields are nothing that a front would say. */
    if (message_read(&client__response__descriptor, bytes_of(data, size), true, MESSAGES_MAX,
                     &allocator, &message) == STATUS_OK) {
        response = (Client__Response *)message;
        answer = answer_model_of(&model, response);
        size = native_answer_measure(&answer);
        compare(&answer, size, response);
    }
    answer_model_release(&model);
    return 0;
}
