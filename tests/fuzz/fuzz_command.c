/* Bytes as a command: whatever they are, they are read as protobuf-c reads them, apply agrees with
 * the check and the state stays whole. The state has a session and a few nodes, so that some
 * commands find something to do. */
#include "base/check.h"
#include "proto/arena_allocator.h"
#include "proto/message_read.h"
#include "proto/record.pb-c.h"
#include "server/state/state.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void apply(struct state *state, zxid at, struct bytes command, struct state_result *result)
{
    struct arena arena;
    struct buffer entry = BUFFER_INIT;

    arena_init(&arena);
    buffer_put_u64(&entry, 1000 * at);
    buffer_put(&entry, command);
    CHECK(state_apply(state, at, buffer_lend(&entry), &arena, result) == STATUS_OK);
    buffer_release(&entry);
    arena_release(&arena);
}

/* Session 1 (generation 1), /a with an ephemeral child of it. */
static zxid prepare(struct state *state)
{
    static const char open[] = "\x62\x15\x0a\x10pppppppppppppppp\x10\x88\x27";
    static const char create[] = "\x52\x06\x0a\x04\x0a\x02/a";
    static const char ephemeral[] = "\x08\x01\x10\x01\x52\x0a\x0a\x08\x0a\x04/a/b\x28\x01";
    static const struct {
        const char *bytes;
        size_t size;
    } commands[] = {
        {open, sizeof open - 1}, {create, sizeof create - 1}, {ephemeral, sizeof ephemeral - 1}};
    struct state_result result;
    zxid at = 0;

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        at++;
        apply(state, at, bytes_of(commands[i].bytes, commands[i].size), &result);
        CHECK_OP(result.error, ==, OP_OK);
    }
    return at;
}

/* What is read of a command is what protobuf-c reads, field by field. */
static void compare(struct bytes command)
{
    Record__Command *model = record__command__unpack(NULL, command.size, command.data);
    ProtobufCMessage *read = NULL;
    struct arena arena;
    ProtobufCAllocator allocator = arena_allocator(&arena);

    arena_init(&arena);
    if (model != NULL && message_read(&record__command__descriptor, command, true, SIZE_MAX,
                                      &allocator, &read) == STATUS_OK) {
        size_t size = record__command__get_packed_size(model);
        uint8_t *one = arena_alloc(&arena, size + 1);
        uint8_t *other = arena_alloc(&arena, size + 1);

        CHECK_OP(protobuf_c_message_get_packed_size(read), ==, size);
        (void)record__command__pack(model, one);
        (void)protobuf_c_message_pack(read, other);
        CHECK(memcmp(one, other, size) == 0);
    }
    if (model != NULL) {
        record__command__free_unpacked(model, NULL);
    }
    arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct state_options options = {.cache_bytes_max = 1};
    struct bytes command = bytes_of(data, size);
    enum op_error refusal = state_command_check(command);
    struct state_digest before;
    struct state_digest after;
    struct state_result result;
    struct state *state;
    struct error error;
    zxid at;

    compare(command);
    CHECK(state_new(&options, &state_source_empty, &state, &error) == STATUS_OK);
    at = prepare(state);
    for (int round = 0; round < 2; round++) {
        at++;
        apply(state, at, command, &result);
        before = state_digest(state);
        CHECK(refusal == OP_OK || result.error == refusal);
        state_check(state, true);
    }
    /* No command at all: only the time moves. */
    at++;
    apply(state, at, BYTES_EMPTY, &result);
    after = state_digest(state);
    CHECK_OP(result.error, ==, OP_UNREADABLE);
    CHECK_OP(after.record_count, ==, before.record_count);
    state_free(state);
    return 0;
}
