#include "server/state/state.h"

#include "base/alloc.h"
#include "base/check.h"
#include "proto/arena_allocator.h"
#include "server/state/apply.h"
#include "server/state/command.h"
#include "server/state/config_node.h"
#include "server/state/count.h"
#include "server/state/generation.h"
#include "server/state/listing.h"
#include "server/state/record_key.h"
#include "server/state/state_meta.h"

#include <stdlib.h>
#include <string.h>

enum { STAMP_BYTES = 8 };

const char *op_error_text(enum op_error error)
{
    switch (error) {
#define X(name, value, zookeeper, text)                                                            \
    case OP_##name:                                                                                \
        return text;
        OP_ERROR_MAP(X)
#undef X
    default:
        return "unknown error";
    }
}

/* --- A checkpoint that holds nothing --- */

static enum status
empty_lookup(void *context, struct bytes key, size_t bytes_wanted, struct bytes *ret_value)
{
    (void)context;
    (void)key;
    (void)bytes_wanted;
    (void)ret_value;
    return STATUS_NOT_FOUND;
}

static enum status empty_range(void *context,
                               struct bytes from,
                               struct bytes prefix,
                               size_t bytes_wanted,
                               bool (*visit)(void *visitor, struct bytes key, struct bytes value),
                               void *visitor)
{
    (void)context;
    (void)from;
    (void)prefix;
    (void)bytes_wanted;
    (void)visit;
    (void)visitor;
    return STATUS_OK;
}

const struct state_source state_source_empty = {.lookup = empty_lookup, .range = empty_range};

/* --- Life --- */

static struct state_meta meta_of(const struct state *state)
{
    return (struct state_meta){.applied = state->applied,
                               .time_ms = state->time_ms,
                               .next_node_id = state->tree.next_node_id,
                               .records = state->overlay.digest,
                               .node_count = state->overlay.node_count,
                               .data_bytes = state->overlay.data_bytes};
}

/* Of a state that does not tell it itself: once, when it is read by this version first. */
static enum status count_data(struct state *state)
{
    struct record *root = NULL;
    enum status status = tree_find(&state->tree, bytes_of_text("/"), &root);
    struct state_count *count = NULL;
    bool done = false;

    if (status == STATUS_OK && root == NULL) {
        status = STATUS_CORRUPT;
    }
    if (status == STATUS_OK) {
        count = count_new(root);
        state->overlay.data_bytes = 1 + znode_load(root).value.size;
    }
    while (status == STATUS_OK && !done) {
        size_t nodes_left = SIZE_MAX;

        status = count_continue(&state->tree, count, &nodes_left, &done);
    }
    if (status == STATUS_OK) {
        state->overlay.data_bytes += count_value_bytes(count) + count_path_bytes(count);
    }
    count_free(count);
    return status;
}

static enum status meta_load(struct state *state, struct bytes bytes, struct error *error)
{
    struct state_meta meta;
    enum status status = state_meta_decode(bytes, &meta, error);

    if (status != STATUS_OK) {
        return status;
    }
    state->applied = meta.applied;
    state->time_ms = meta.time_ms;
    state->tree.next_node_id = meta.next_node_id;
    state->overlay.digest = meta.records;
    state->overlay.node_count = meta.node_count;
    state->overlay.data_bytes = meta.data_bytes;
    if (!meta.has_data_bytes) {
        status = count_data(state);
    }
    return status == STATUS_OK
               ? status
               : error_set(error, status, "the nodes of the state cannot be read: %s",
                           status_text(status));
}

static bool stop_at_first(void *visitor, struct bytes key, struct bytes value)
{
    bool *found = visitor;

    (void)key;
    (void)value;
    *found = true;
    return false;
}

static enum status format_empty(struct state *state, struct error *error)
{
    const struct state_source *source = &state->overlay.source;
    bool found = false;
    enum status status =
        source->range(source->context, BYTES_EMPTY, BYTES_EMPTY, 0, stop_at_first, &found);

    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return error_set(error, status, "the state cannot be read: %s", status_text(status));
    }
    if (found) {
        return error_set(error, STATUS_CORRUPT, "the state has records but no meta record");
    }
    tree_format(&state->tree);
    return STATUS_OK;
}

static bool count_ephemeral(void *visitor, struct bytes key, struct bytes value)
{
    uint64_t *count = visitor;

    (void)key;
    (void)value;
    (*count)++;
    return true;
}

/* They are as few as the sessions that are read as well. */
static enum status count_ephemerals(struct state *state)
{
    const struct state_source *source = &state->overlay.source;
    struct bytes table = bytes_of_text("e");
    enum status status = source->range(source->context, table, table, 0, count_ephemeral,
                                       &state->overlay.ephemeral_count);

    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status load(struct state *state, struct error *error)
{
    const struct state_source *source = &state->overlay.source;
    struct record_key key;
    struct bytes meta;
    enum status status;

    record_key_meta(&key);
    status = source->lookup(source->context, record_key_lend(&key), SIZE_MAX, &meta);
    if (status == STATUS_NOT_FOUND) {
        return format_empty(state, error);
    }
    if (status != STATUS_OK) {
        return error_set(error, status, "the state cannot be read: %s", status_text(status));
    }
    status = meta_load(state, meta, error);
    if (status == STATUS_OK) {
        status = session_table_load(&state->sessions);
        if (status == STATUS_OK) {
            status = count_ephemerals(state);
        }
        if (status != STATUS_OK) {
            (void)error_set(error, status, "the sessions of the state cannot be read: %s",
                            status_text(status));
        }
    }
    return status;
}

enum status state_new(const struct state_options *options,
                      const struct state_source *source,
                      struct state **ret_state,
                      struct error *error)
{
    struct state *state = xcalloc(1, sizeof *state);
    enum status status;

    overlay_init(&state->overlay, source, options->cache_bytes_max, options->hash_seed);
    state->tree.overlay = &state->overlay;
    session_table_init(&state->sessions, &state->overlay);
    status = load(state, error);
    if (status != STATUS_OK) {
        state_free(state);
        return status;
    }
    if (state->applied == 0) {
        state->applied = options->applied;
    }
    overlay_begin(&state->overlay);
    *ret_state = state;
    return STATUS_OK;
}

void state_free(struct state *state)
{
    if (state == NULL) {
        return;
    }
    session_table_release(&state->sessions);
    overlay_release(&state->overlay);
    free(state);
}

void state_set_cache_max(struct state *state, uint64_t bytes_max)
{
    state->overlay.memory_bytes_max = bytes_max;
}

uint64_t state_memory_bytes(const struct state *state)
{
    return overlay_memory_bytes(&state->overlay);
}

zxid state_applied(const struct state *state)
{
    return state->applied;
}

uint64_t state_time_ms(const struct state *state)
{
    return state->time_ms;
}

struct state_digest state_digest(const struct state *state)
{
    struct state_meta meta = meta_of(state);

    return state_meta_digest(&meta);
}

/* The meta record is no record of its own to the digest; of what it holds only the counters count.
 */
struct state_digest state_digest_share(struct bytes key, struct bytes value)
{
    struct record_key meta_key;
    struct state_meta meta;

    record_key_meta(&meta_key);
    if (!bytes_equal(key, record_key_lend(&meta_key))) {
        return (struct state_digest){.record_count = 1, .sum = checksum_pair(key, value)};
    }
    if (state_meta_decode(value, &meta, NULL) != STATUS_OK) {
        return (struct state_digest){.sum = 0};
    }
    meta.records = (struct state_digest){.sum = 0};
    return state_meta_digest(&meta);
}

enum status state_verify(
    struct state *state, size_t *position, size_t bytes_max, size_t *ret_bytes, struct error *error)
{
    const struct record *damaged = overlay_verify(&state->overlay, position, bytes_max, ret_bytes);
    char text[128];

    if (damaged == NULL) {
        return STATUS_OK;
    }
    bytes_print(record_key_of(damaged), text, sizeof text);
    return error_set(error, STATUS_CORRUPT,
                     "the record '%s' was changed in memory by nobody: does "
                     "this machine's memory fail?",
                     text);
}

/* --- Nodes --- */

enum status state_read(struct state *state,
                       struct bytes path,
                       enum op_error *ret_error,
                       struct state_node **ret_node)
{
    struct record *record = NULL;
    enum status status = tree_find(&state->tree, path, &record);

    if (status == STATUS_OK) {
        *ret_error = record == NULL ? OP_NO_NODE : OP_OK;
        *ret_node = record == NULL ? NULL : znode_show(record_ref(record));
    }
    overlay_trim(&state->overlay);
    return status;
}

enum status state_read_children(struct state *state,
                                struct bytes path,
                                struct bytes after,
                                size_t count_max,
                                size_t bytes_max,
                                bool with_nodes,
                                struct arena *arena,
                                enum op_error *ret_error,
                                struct state_children *ret_children)
{
    enum status status = listing_read(&state->tree, path, after, count_max, bytes_max, with_nodes,
                                      arena, ret_error, ret_children);

    overlay_trim(&state->overlay);
    return status;
}

enum status state_count_new(struct state *state,
                            struct bytes path,
                            enum op_error *ret_error,
                            struct state_count **ret_count)
{
    struct record *record = NULL;
    enum status status = tree_find(&state->tree, path, &record);

    if (status == STATUS_OK) {
        *ret_error = record == NULL ? OP_NO_NODE : OP_OK;
        *ret_count = record == NULL ? NULL : count_new(record);
    }
    overlay_trim(&state->overlay);
    return status;
}

void state_count_free(struct state_count *count)
{
    count_free(count);
}

enum status state_count_continue(struct state *state,
                                 struct state_count *count,
                                 size_t *nodes_left,
                                 bool *ret_done)
{
    return count_continue(&state->tree, count, nodes_left, ret_done);
}

uint64_t state_count_total(const struct state_count *count)
{
    return count_total(count);
}

enum status state_each_ephemeral(struct state *state,
                                 session_id session,
                                 uint64_t *cursor,
                                 size_t *nodes_left,
                                 void (*visit)(void *visitor, struct bytes path),
                                 void *visitor,
                                 bool *ret_done)
{
    return listing_each_ephemeral(&state->tree, session, cursor, nodes_left, visit, visitor,
                                  ret_done);
}

/* --- Sessions --- */

static struct state_session show_session(const struct session *session)
{
    return (struct state_session){
        .id = session->id,
        .generation = session->generation,
        .owner = session->owner,
        .timeout_ms = session->timeout_ms,
        .last_sequence = session->last_sequence,
        .password = session->password,
    };
}

bool state_session_find(const struct state *state, session_id id, struct state_session *ret)
{
    const struct session *session = session_table_find(&state->sessions, id);

    if (session != NULL) {
        *ret = show_session(session);
    }
    return session != NULL;
}

uint64_t state_ephemeral_count(const struct state *state)
{
    return state->overlay.ephemeral_count;
}

uint64_t state_node_count(const struct state *state)
{
    return state->overlay.node_count;
}

uint64_t state_data_bytes(const struct state *state)
{
    return state->overlay.data_bytes;
}

size_t state_session_count(const struct state *state)
{
    return state->sessions.by_id.count;
}

void state_session_each(const struct state *state,
                        void (*visit)(void *visitor, const struct state_session *session),
                        void *visitor)
{
    LIST_FOR_EACH (link, &state->sessions.in_order) {
        struct state_session shown = show_session(CONTAINER_OF(link, struct session, in_order));

        visit(visitor, &shown);
    }
}

/* --- Apply --- */

enum status state_apply(struct state *state,
                        zxid at,
                        struct bytes entry,
                        struct arena *arena,
                        struct state_result *ret_result)
{
    struct state_result result = {.error = OP_UNREADABLE, .zxid = at};
    Record__Command *command = NULL;
    enum status status = STATUS_OK;

    CHECK_OP(at, >, state->applied);
    overlay_begin(&state->overlay);
    if (entry.size >= STAMP_BYTES) {
        uint64_t stamp_ms = bytes_load_u64(entry.data);

        if (stamp_ms > state->time_ms) {
            state->time_ms = stamp_ms;
        }
        result.error = command_decode(bytes_of(entry.data + STAMP_BYTES, entry.size - STAMP_BYTES),
                                      arena, &command);
    }
    if (command != NULL) {
        status = apply_command(state, at, command, arena, &result);
    }
    state->applied = at;
    overlay_trim(&state->overlay);
    if (status == STATUS_OK) {
        *ret_result = result;
    }
    return status;
}

enum status state_apply_config(struct state *state,
                               zxid at,
                               struct bytes config,
                               struct arena *arena,
                               struct state_result *ret_result)
{
    ProtobufCAllocator allocator = arena_allocator(arena);
    Record__Config *message = record__config__unpack(&allocator, config.size, config.data);
    struct tree_write write = {
        .tree = &state->tree, .arena = arena, .zxid = at, .time_ms = state->time_ms};
    enum status status;

    CHECK_OP(at, >, state->applied);
    overlay_begin(&state->overlay);
    status = message == NULL ? STATUS_CORRUPT : config_node_set(&write, message);
    state->applied = at;
    overlay_trim(&state->overlay);
    if (status == STATUS_OK) {
        *ret_result = (struct state_result){
            .zxid = at, .changes = write.changes, .change_count = write.change_count};
    }
    return status;
}

enum status state_has_due(struct state *state, uint64_t time_ms, bool *ret_has_due)
{
    enum status status = tree_has_due(&state->tree, time_ms, ret_has_due);

    overlay_trim(&state->overlay);
    return status;
}

void state_skip(struct state *state, zxid at)
{
    CHECK_OP(at, >, state->applied);
    state->applied = at;
}

/* --- Checkpoints --- */

struct state_dirty state_dirty(const struct state *state)
{
    const struct state_generation *sealed = state->overlay.sealed;

    return (struct state_dirty){
        .record_count = state->overlay.current.record_count,
        .bytes = state->overlay.current.bytes,
        .sealed = sealed != NULL,
        .sealed_record_count = sealed != NULL ? sealed->record_count : 0,
        .sealed_bytes = sealed != NULL ? sealed->bytes : 0,
    };
}

struct state_generation *state_seal(struct state *state)
{
    struct state_meta meta = meta_of(state);
    uint8_t encoded[STATE_META_BYTES];

    state_meta_encode(&meta, encoded);
    return overlay_seal(&state->overlay, state->applied, bytes_of(encoded, sizeof encoded));
}

void state_generation_end(struct state *state, struct state_generation *generation)
{
    overlay_end(&state->overlay, generation);
}
