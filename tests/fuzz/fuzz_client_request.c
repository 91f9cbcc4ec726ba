/* A client's frame into a request: never a crash, never more memory than a small multiple of the
 * frame, and what comes out agrees with what protobuf-c reads in the same bytes. */
#include "base/check.h"
#include "proto/field.h"
#include "server/front/native_decode.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    /* Of unpacked bodies, which are small; see native_decode.h. */
    UNPACKED_FACTOR_MAX = 64,
    ARENA_SLACK_BYTES = 4096
};

static void check_write(const struct request *request, size_t size)
{
    Record__Command *command =
        record__command__unpack(NULL, request->write.command.size, request->write.command.data);

    /* One copy, and the few bytes around it. */
    CHECK_OP(request->arena.bytes, <=, size + ARENA_SLACK_BYTES);
    if (command != NULL) {
        /* Only the node says who asks. */
        CHECK_OP(command->session, ==, 0);
        CHECK_OP(command->generation, ==, 0);
        CHECK_OP(command->base.n_unknown_fields, ==, 0);
        CHECK(command->body_case == RECORD__COMMAND__BODY_OPERATION ||
              command->body_case == RECORD__COMMAND__BODY_TRANSACTION);
        record__command__free_unpacked(command, NULL);
    }
}

static struct bytes body_of(struct bytes frame, uint32_t number)
{
    struct reader reader = reader_of(frame);
    struct field field = {.number = 0};

    while (field_read(&reader, &field) && (field.number != number || field.type != FIELD_BYTES)) {
    }
    return field.bytes;
}

/* It is read without protobuf-c, which must find the same in it. */
static void check_get(const struct request *request, struct bytes frame)
{
    struct bytes body = body_of(frame, CLIENT__REQUEST__BODY_GET);
    Client__Get *get = client__get__unpack(NULL, body.size, body.data);

    CHECK(get != NULL);
    CHECK(bytes_equal(request->path, bytes_of(get->path.data, get->path.len)));
    CHECK(request->linearizable == (get->level == CLIENT__READ_LEVEL__LINEARIZABLE));
    CHECK(((request->notes & NATIVE_NOTE_ACL) != 0) == (get->with_acl != 0));
    CHECK(((request->notes & NATIVE_NOTE_STAT_ONLY) != 0) == (get->stat_only != 0));
    client__get__free_unpacked(get, NULL);
}

static void check_head(const struct request *request, struct bytes frame)
{
    Client__Request *whole = client__request__unpack(NULL, frame.size, frame.data);

    if (whole != NULL) {
        CHECK_OP(whole->id, ==, request->id);
        CHECK_OP(whole->seen_zxid, ==, request->seen_zxid);
        client__request__free_unpacked(whole, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes frame = bytes_of(data, size);
    struct request *request = NULL;
    struct native_refusal refusal = {.message = NULL};
    struct identities identities;
    enum status status;

    identities_init(&identities, bytes_of_text("127.0.0.1"), NULL);
    status = native_decode(frame, &identities, &request, &refusal);
    CHECK_OP(identities.count, <=, STATE_IDENTITIES_MAX);
    identities_release(&identities);

    if (status == STATUS_UNAVAILABLE) {
        CHECK(refusal.id != 0);
        CHECK(refusal.code != CLIENT__CODE__OK);
        CHECK(refusal.message != NULL);
    } else if (status == STATUS_OK) {
        CHECK(request->id != 0);
        check_head(request, frame);
        CHECK_OP(request->arena.bytes, <=, UNPACKED_FACTOR_MAX * size + ARENA_SLACK_BYTES);
        if (request->kind == REQUEST_WRITE) {
            check_write(request, size);
        } else if (request->kind == REQUEST_GET) {
            check_get(request, frame);
        }
        request_free(request);
    } else {
        CHECK(status == STATUS_INVALID);
    }
    return 0;
}
