#include "persistence/log_format.h"

#include "base/check.h"

#include <string.h>

static const char magic[] = "CONFRLOG";

enum {
    MAGIC_BYTES = sizeof magic - 1,
    TYPE_STAMPED = 0x80 /* a stamp follows the rest of the head */
};

_Static_assert(LOG_IDENTITY_BYTES_MIN == MAGIC_BYTES + 4 + 8 + RAFT_INCARNATION_BYTES + 1 +
                                             LOG_STORE_CLUSTER_ID_BYTES + 8 + 8,
               "the identity's parts");
_Static_assert(LOG_WITNESS_BYTES == 8 + RAFT_INCARNATION_BYTES + 4 * 8, "a witness' parts");
_Static_assert((int)LOG_IDENTITY_BYTES_MAX <= (int)LOG_WITNESSES_BYTES_MAX, "the largest record");
_Static_assert(LOG_STORE_STARTS_MAX <= UINT8_MAX, "their number is a byte");

uint32_t log_format_pieces(uint64_t payload_bytes)
{
    CHECK_OP(payload_bytes, <=, LOG_STORE_ENTRY_BYTES_MAX);
    return payload_bytes == 0 ? 1
                              : (uint32_t)((payload_bytes + LOG_PIECE_BYTES - 1) / LOG_PIECE_BYTES);
}

void log_format_seal(uint64_t key, uint8_t *value, size_t size)
{
    uint8_t key_bytes[8];

    bytes_store_u64(key_bytes, key);
    seal_put(bytes_of(key_bytes, sizeof key_bytes), value, size);
}

bool log_format_check(uint64_t key, struct bytes stored, struct bytes *ret_value)
{
    uint8_t key_bytes[8];

    bytes_store_u64(key_bytes, key);
    return seal_check(bytes_of(key_bytes, sizeof key_bytes), stored, ret_value);
}

size_t log_format_put_identity(const struct log_identity *identity, uint8_t *to)
{
    uint8_t *at = to;

    memcpy(at, magic, MAGIC_BYTES);
    at += MAGIC_BYTES;
    bytes_store_u32(at, LOG_STORE_FORMAT);
    at += 4;
    bytes_store_u64(at, identity->node_id);
    at += 8;
    memcpy(at, identity->incarnation, RAFT_INCARNATION_BYTES);
    at += RAFT_INCARNATION_BYTES;
    *at++ = identity->has_cluster;
    memcpy(at, identity->cluster_id, LOG_STORE_CLUSTER_ID_BYTES);
    at += LOG_STORE_CLUSTER_ID_BYTES;
    bytes_store_u64(at, identity->start_count);
    at += 8;
    bytes_store_u64(at, identity->tree_generation);
    at += 8;
    *at++ = identity->is_superseded;
    *at++ = (uint8_t)identity->start_known;
    for (uint32_t i = 0; i < identity->start_known; i++) {
        bytes_store_u64(at, identity->starts[i]);
        at += 8;
    }
    log_format_seal(LOG_KEY_IDENTITY, to, (size_t)(at - to));
    return (size_t)(at - to) + SEAL_BYTES;
}

size_t log_format_put_hard_state(const struct log_state *state, uint8_t *to)
{
    bytes_store_u64(to, state->term);
    bytes_store_u64(to + 8, state->vote);
    log_format_seal(LOG_KEY_HARD_STATE, to, LOG_HARD_STATE_BYTES);
    return LOG_HARD_STATE_BYTES + SEAL_BYTES;
}

size_t log_format_put_base(const struct log_state *state, uint8_t *to)
{
    bytes_store_u64(to, state->base);
    bytes_store_u64(to + 8, state->base_term);
    log_format_seal(LOG_KEY_BASE, to, LOG_BASE_BYTES);
    return LOG_BASE_BYTES + SEAL_BYTES;
}

size_t log_format_put_stamp(uint64_t stamp, uint8_t *to)
{
    bytes_store_u64(to, stamp);
    log_format_seal(LOG_KEY_STAMP, to, LOG_STAMP_BYTES);
    return LOG_STAMP_BYTES + SEAL_BYTES;
}

bool log_format_get_stamp_record(struct bytes stored, uint64_t *ret_stamp)
{
    struct bytes value;

    if (!log_format_check(LOG_KEY_STAMP, stored, &value) || value.size != LOG_STAMP_BYTES) {
        return false;
    }
    *ret_stamp = bytes_load_u64(value.data);
    return true;
}

size_t log_format_put_witnesses(const struct log_witness *witnesses, size_t count, uint8_t *to)
{
    uint8_t *at = to;

    CHECK_OP(count, <=, LOG_STORE_WITNESSES_MAX);
    for (size_t i = 0; i < count; i++) {
        bytes_store_u64(at, witnesses[i].id);
        memcpy(at + 8, witnesses[i].incarnation, RAFT_INCARNATION_BYTES);
        at += 8 + RAFT_INCARNATION_BYTES;
        bytes_store_u64(at, witnesses[i].start_count);
        bytes_store_u64(at + 8, witnesses[i].start);
        bytes_store_u64(at + 16, witnesses[i].term);
        bytes_store_u64(at + 24, witnesses[i].index);
        at += 32;
    }
    log_format_seal(LOG_KEY_WITNESSES, to, (size_t)(at - to));
    return (size_t)(at - to) + SEAL_BYTES;
}

/* What older formats do not have behind the rest. */
static bool get_starts(struct bytes value, struct log_identity *identity)
{
    const uint8_t *at = value.data + LOG_IDENTITY_BYTES_MIN;

    if (value.size < LOG_IDENTITY_BYTES_MIN + 2 || at[1] > LOG_STORE_STARTS_MAX ||
        value.size != LOG_IDENTITY_BYTES_MIN + 2 + 8 * (size_t)at[1] ||
        at[1] > identity->start_count) {
        return false;
    }
    identity->is_superseded = at[0] != 0;
    identity->start_known = at[1];
    at += 2;
    for (uint32_t i = 0; i < identity->start_known; i++) {
        identity->starts[i] = bytes_load_u64(at + 8 * (size_t)i);
    }
    return true;
}

enum status log_format_get_identity(struct bytes stored,
                                    struct log_identity *ret_identity,
                                    uint32_t *ret_format)
{
    struct log_identity identity;
    struct bytes value;
    const uint8_t *at;

    /* Magic, format and seal stand at the same places in every format, so that damage is told from
     * a newer version. */
    if (!log_format_check(LOG_KEY_IDENTITY, stored, &value) || value.size < MAGIC_BYTES + 4 ||
        memcmp(value.data, magic, MAGIC_BYTES) != 0) {
        return STATUS_CORRUPT;
    }
    at = value.data + MAGIC_BYTES;
    *ret_format = bytes_load_u32(at);
    at += 4;
    if (*ret_format < LOG_STORE_FORMAT_OLDEST || *ret_format > LOG_STORE_FORMAT) {
        return STATUS_FORMAT;
    }
    if (*ret_format < LOG_STORE_FORMAT_OF_WITNESSES ? value.size != LOG_IDENTITY_BYTES_MIN
                                                    : value.size < LOG_IDENTITY_BYTES_MIN) {
        return STATUS_CORRUPT;
    }
    memset(&identity, 0, sizeof identity);
    identity.node_id = bytes_load_u64(at);
    at += 8;
    memcpy(identity.incarnation, at, RAFT_INCARNATION_BYTES);
    at += RAFT_INCARNATION_BYTES;
    identity.has_cluster = *at++ != 0;
    memcpy(identity.cluster_id, at, LOG_STORE_CLUSTER_ID_BYTES);
    at += LOG_STORE_CLUSTER_ID_BYTES;
    identity.start_count = bytes_load_u64(at);
    at += 8;
    identity.tree_generation = bytes_load_u64(at);
    if (*ret_format >= LOG_STORE_FORMAT_OF_WITNESSES && !get_starts(value, &identity)) {
        return STATUS_CORRUPT;
    }
    *ret_identity = identity;
    return STATUS_OK;
}

enum status log_format_get_witnesses(struct bytes stored,
                                     struct log_witness witnesses[LOG_STORE_WITNESSES_MAX],
                                     size_t *ret_count)
{
    struct bytes value;
    size_t count;

    if (!log_format_check(LOG_KEY_WITNESSES, stored, &value) ||
        value.size > LOG_WITNESSES_BYTES_MAX || value.size % LOG_WITNESS_BYTES != 0) {
        return STATUS_CORRUPT;
    }
    count = value.size / LOG_WITNESS_BYTES;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = value.data + i * LOG_WITNESS_BYTES;

        witnesses[i].id = bytes_load_u64(at);
        memcpy(witnesses[i].incarnation, at + 8, RAFT_INCARNATION_BYTES);
        at += 8 + RAFT_INCARNATION_BYTES;
        witnesses[i].start_count = bytes_load_u64(at);
        witnesses[i].start = bytes_load_u64(at + 8);
        witnesses[i].term = bytes_load_u64(at + 16);
        witnesses[i].index = bytes_load_u64(at + 24);
    }
    *ret_count = count;
    return STATUS_OK;
}

enum status log_format_get_hard_state(struct bytes stored, struct log_state *state)
{
    struct bytes value;

    if (!log_format_check(LOG_KEY_HARD_STATE, stored, &value) ||
        value.size != LOG_HARD_STATE_BYTES) {
        return STATUS_CORRUPT;
    }
    state->term = bytes_load_u64(value.data);
    state->vote = bytes_load_u64(value.data + 8);
    return STATUS_OK;
}

enum status log_format_get_base(struct bytes stored, struct log_state *state)
{
    struct bytes value;

    if (!log_format_check(LOG_KEY_BASE, stored, &value) || value.size != LOG_BASE_BYTES) {
        return STATUS_CORRUPT;
    }
    state->base = bytes_load_u64(value.data);
    state->base_term = bytes_load_u64(value.data + 8);
    return STATUS_OK;
}

/* The part of the payload that lies in `piece`. */
static struct bytes slice(struct bytes payload, uint32_t piece)
{
    size_t start = (size_t)piece * LOG_PIECE_BYTES;
    size_t rest = payload.size - start;

    CHECK_OP(start, <=, payload.size);
    return bytes_of(payload.size == 0 ? NULL : payload.data + start,
                    rest < LOG_PIECE_BYTES ? rest : LOG_PIECE_BYTES);
}

static size_t head_bytes(bool is_stamped)
{
    return LOG_ENTRY_HEAD_BYTES + (is_stamped ? LOG_STAMP_BYTES : 0);
}

size_t log_format_run_length(const struct log_entry *entries, size_t count)
{
    size_t bytes = head_bytes(true) + SEAL_BYTES + entries[0].payload.size;
    size_t length = 1;

    while (length < count) {
        bytes += head_bytes(false) + entries[length].payload.size;
        if (bytes > LOG_RUN_BYTES_MAX) {
            break;
        }
        length++;
    }
    return length;
}

size_t log_format_run_bytes(const struct log_entry *entries, size_t count, const uint64_t *stamp)
{
    size_t bytes = head_bytes(stamp != NULL) + SEAL_BYTES + slice(entries[0].payload, 0).size;

    for (size_t i = 1; i < count; i++) {
        bytes += head_bytes(false) + entries[i].payload.size;
    }
    return bytes;
}

/* Returns the place behind it. */
static uint8_t *put_bytes(struct bytes bytes, uint8_t *at)
{
    if (bytes.size > 0) {
        memcpy(at, bytes.data, bytes.size);
    }
    return at + bytes.size;
}

static uint8_t *put_entry(const struct log_entry *entry, const uint64_t *stamp, uint8_t *at)
{
    bytes_store_u64(at, entry->term);
    at[8] = (uint8_t)((unsigned)entry->type | (stamp != NULL ? TYPE_STAMPED : 0U));
    bytes_store_u32(at + 9, (uint32_t)entry->payload.size);
    if (stamp != NULL) {
        bytes_store_u64(at + LOG_ENTRY_HEAD_BYTES, *stamp);
    }
    return put_bytes(slice(entry->payload, 0), at + head_bytes(stamp != NULL));
}

void log_format_put_run(const struct log_entry *entries,
                        size_t count,
                        const uint64_t *stamp,
                        uint8_t *to)
{
    uint8_t *at = put_entry(&entries[0], stamp, to);

    for (size_t i = 1; i < count; i++) {
        CHECK_OP(entries[i].index, ==, entries[i - 1].index + 1);
        at = put_entry(&entries[i], NULL, at);
    }
    log_format_seal(log_key(entries[count - 1].index, 0), to, (size_t)(at - to));
}

size_t log_format_piece_bytes(const struct log_entry *entry, uint32_t piece)
{
    return slice(entry->payload, piece).size + SEAL_BYTES;
}

void log_format_put_piece(const struct log_entry *entry, uint32_t piece, uint8_t *to)
{
    uint8_t *end = put_bytes(slice(entry->payload, piece), to);

    CHECK_OP(piece, >, 0U);
    log_format_seal(log_key(entry->index, piece), to, (size_t)(end - to));
}

static bool is_stamped(struct bytes value)
{
    return (value.data[8] & TYPE_STAMPED) != 0;
}

/* Take an entry from the front of `rest`: only the first one of a run has a stamp, or pieces. */
static bool take_entry(struct bytes *rest,
                       bool is_first,
                       struct log_entry *ret_entry,
                       size_t *ret_payload_bytes)
{
    size_t head;
    size_t part;
    uint8_t type;

    if (rest->size < LOG_ENTRY_HEAD_BYTES) {
        return false;
    }
    head = head_bytes(is_first && is_stamped(*rest));
    type = rest->data[8] & (uint8_t)(is_first ? ~TYPE_STAMPED : UINT8_MAX);
    *ret_payload_bytes = bytes_load_u32(rest->data + 9);
    part = *ret_payload_bytes < LOG_PIECE_BYTES ? *ret_payload_bytes : LOG_PIECE_BYTES;
    if (type < RAFT_ENTRY_COMMAND || type > RAFT_ENTRY_CONFIG ||
        *ret_payload_bytes > LOG_STORE_ENTRY_BYTES_MAX || rest->size < head + part) {
        return false;
    }
    *ret_entry = (struct log_entry){
        .term = bytes_load_u64(rest->data),
        .type = (enum raft_entry_type)type,
        .payload = bytes_of(rest->data + head, part),
    };
    *rest = bytes_of(rest->data + head + part, rest->size - head - part);
    return true;
}

bool log_format_get_run(raft_index last, struct bytes stored, struct log_run *ret_run)
{
    struct bytes value;
    struct bytes rest;
    struct log_entry entry;
    size_t payload_bytes;
    raft_index count = 1;

    if (!log_format_check(log_key(last, 0), stored, &value)) {
        return false;
    }
    rest = value;
    if (!take_entry(&rest, true, &entry, &ret_run->payload_bytes)) {
        return false;
    }
    while (rest.size > 0) {
        if (!take_entry(&rest, false, &entry, &payload_bytes)) {
            return false;
        }
        count++;
    }
    if (count > last || (count > 1 && stored.size > LOG_RUN_BYTES_MAX)) {
        return false;
    }
    ret_run->first = last - count + 1;
    ret_run->last = last;
    ret_run->next = ret_run->first;
    ret_run->rest = value;
    return true;
}

bool log_format_next_entry(struct log_run *run, struct log_entry *ret_entry)
{
    size_t payload_bytes;

    if (run->rest.size == 0) {
        return false;
    }
    CHECK(take_entry(&run->rest, run->next == run->first, ret_entry, &payload_bytes));
    ret_entry->index = run->next++;
    return true;
}

bool log_format_get_stamp(struct bytes stored, uint64_t *ret_stamp)
{
    if (stored.size < LOG_ENTRY_HEAD_BYTES + LOG_STAMP_BYTES + SEAL_BYTES || !is_stamped(stored)) {
        return false;
    }
    *ret_stamp = bytes_load_u64(stored.data + LOG_ENTRY_HEAD_BYTES);
    return true;
}
