/* Bytes as the records of a checkpoint, alone or over those of a small whole state: the audit names
 * what is no record of its table, and a state made of them opens and is read, or is refused with
 * words. What opens is read to the end: nodes, listings, sessions.
 *
 * Each record is the size of its key, that of its value (two bytes), key and value; the first byte
 * says what is below. Records as the audit refuses them are put too. */
#include "base/arena.h"
#include "base/check.h"
#include "server/state/state_audit.h"
#include "tests/support/memory_source.h"

#include <stddef.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OVER_A_STATE = 1, LISTED_MAX = 64, COUNTED_MAX = 1024, HOLD = 1 << 20 };

static void apply(struct state *state, zxid at, struct bytes command)
{
    struct buffer entry = BUFFER_INIT;
    struct state_result result;
    struct arena arena;

    arena_init(&arena);
    buffer_put_u64(&entry, 1000 * at);
    buffer_put(&entry, command);
    CHECK(state_apply(state, at, buffer_lend(&entry), &arena, &result) == STATUS_OK);
    CHECK_OP(result.error, ==, OP_OK);
    buffer_release(&entry);
    arena_release(&arena);
}

/* What a checkpoint holds of a session, /a, an ephemeral /a/b and what is there from the first. */
static void put_small_state(struct memory_source *source)
{
    static const char open[] = "\x62\x15\x0a\x10pppppppppppppppp\x10\x88\x27";
    static const char create[] = "\x52\x06\x0a\x04\x0a\x02/a";
    static const char ephemeral[] = "\x08\x01\x10\x01\x52\x0a\x0a\x08\x0a\x04/a/b\x28\x01";
    const struct state_options options = {.cache_bytes_max = HOLD};
    struct state_generation *generation;
    const struct state_record *records;
    struct state *state;
    struct error error;
    size_t count;

    CHECK(state_new(&options, &state_source_empty, &state, &error) == STATUS_OK);
    apply(state, 1, bytes_of(open, sizeof open - 1));
    apply(state, 2, bytes_of(create, sizeof create - 1));
    apply(state, 3, bytes_of(ephemeral, sizeof ephemeral - 1));
    generation = state_seal(state);
    records = state_generation_records(generation, &count);
    memory_source_apply(source, records, count);
    state_generation_end(state, generation);
    state_free(state);
}

static void put_records(struct memory_source *source, struct reader *bytes)
{
    uint8_t key_bytes;
    uint16_t value_bytes;
    struct bytes key;
    struct bytes value;

    while (reader_u8(bytes, &key_bytes) == STATUS_OK && key_bytes > 0 &&
           reader_u16(bytes, &value_bytes) == STATUS_OK &&
           reader_lend(bytes, key_bytes, &key) == STATUS_OK &&
           reader_lend(bytes, value_bytes, &value) == STATUS_OK) {
        memory_source_put(source, key, value);
    }
}

/* Whether each record has the form of its table. */
static bool audit(const struct memory_source *source)
{
    struct state_audit audit = {.has_meta = false};
    bool is_sound = true;

    for (size_t i = 0; i < memory_source_count(source); i++) {
        struct state_record record = memory_source_at(source, i);

        is_sound = state_audit_record(&audit, record.key, record.value) == NULL && is_sound;
    }
    (void)state_audit_end(&audit, (struct state_digest){.sum = audit.records.sum});
    return is_sound;
}

static void read_node(struct state *state, struct bytes path)
{
    struct state_children children;
    struct state_node *node = NULL;
    enum op_error refusal = OP_OK;
    struct arena arena;

    if (state_read(state, path, &refusal, &node) == STATUS_OK && refusal == OP_OK) {
        for (uint32_t i = 0; i < state_node_acl_count(node); i++) {
            (void)state_node_acl(node, i);
        }
        (void)state_node_permits(node, STATE_PERMISSION_READ, (struct state_identities){0});
    }
    state_node_unref(node);
    arena_init(&arena);
    if (state_read_children(state, path, BYTES_EMPTY, LISTED_MAX, SIZE_MAX, true, &arena, &refusal,
                            &children) == STATUS_OK &&
        refusal == OP_OK) {
        CHECK_OP(children.count, <=, LISTED_MAX);
        for (size_t i = 0; i < children.count; i++) {
            state_node_unref(children.items[i].node);
        }
    }
    arena_release(&arena);
}

static void count_nodes(struct state *state)
{
    struct state_count *count = NULL;
    enum op_error refusal = OP_OK;
    size_t nodes_left = COUNTED_MAX;
    bool done;

    if (state_count_new(state, bytes_of_text("/"), &refusal, &count) == STATUS_OK &&
        refusal == OP_OK) {
        (void)!state_count_continue(state, count, &nodes_left, &done);
    }
    state_count_free(count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct state_options options = {.cache_bytes_max = 1};
    struct memory_source *source = memory_source_new();
    struct reader bytes = reader_of(bytes_of(data, size));
    struct error error = {.status = STATUS_OK};
    struct state_source port;
    struct state *state;
    uint8_t what = 0;
    enum status status;
    bool is_sound;

    (void)!reader_u8(&bytes, &what);
    if ((what & OVER_A_STATE) != 0) {
        put_small_state(source);
    }
    put_records(source, &bytes);
    is_sound = audit(source);
    port = memory_source_port(source);
    status = state_new(&options, &port, &state, &error);
    if (status == STATUS_OK) {
        read_node(state, bytes_of_text("/"));
        read_node(state, bytes_of_text("/a"));
        read_node(state, bytes_of_text("/zookeeper/config"));
        count_nodes(state);
        state_free(state);
    } else {
        CHECK(error.text[0] != '\0');
        CHECK(!is_sound || status == STATUS_CORRUPT);
    }
    memory_source_free(source);
    return 0;
}
