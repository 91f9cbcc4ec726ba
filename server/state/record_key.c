#include "server/state/record_key.h"

#include "base/check.h"

#include <string.h>

static void start(struct record_key *key, char table)
{
    key->data[0] = (uint8_t)table;
    key->size = 1;
}

static void append_u64(struct record_key *key, uint64_t value)
{
    bytes_store_u64(key->data + key->size, value);
    key->size += sizeof value;
}

void record_key_meta(struct record_key *ret_key)
{
    start(ret_key, 'm');
}

void record_key_node(uint64_t parent_id, struct bytes name, struct record_key *ret_key)
{
    CHECK_OP(name.size, <=, RECORD_KEY_BYTES_MAX - RECORD_KEY_NODE_PREFIX_BYTES);
    start(ret_key, 'n');
    append_u64(ret_key, parent_id);
    if (name.size > 0) {
        memcpy(ret_key->data + ret_key->size, name.data, name.size);
        ret_key->size += name.size;
    }
}

void record_key_session(uint64_t session, struct record_key *ret_key)
{
    start(ret_key, 's');
    append_u64(ret_key, session);
}

void record_key_ephemerals(uint64_t session, struct record_key *ret_key)
{
    start(ret_key, 'e');
    append_u64(ret_key, session);
}

void record_key_ephemeral(uint64_t session, uint64_t node_id, struct record_key *ret_key)
{
    record_key_ephemerals(session, ret_key);
    append_u64(ret_key, node_id);
}

void record_key_result(uint64_t session, uint64_t sequence, struct record_key *ret_key)
{
    start(ret_key, 'r');
    append_u64(ret_key, session);
    append_u64(ret_key, sequence);
}

void record_key_orphans(struct record_key *ret_key)
{
    start(ret_key, 'o');
}

void record_key_containers(struct record_key *ret_key)
{
    start(ret_key, 'c');
}

void record_key_ttls(struct record_key *ret_key)
{
    start(ret_key, 't');
}

void record_key_orphans_of(uint64_t session, struct record_key *ret_key)
{
    record_key_orphans(ret_key);
    append_u64(ret_key, session);
}

void record_key_container(uint64_t node_id, struct record_key *ret_key)
{
    record_key_containers(ret_key);
    append_u64(ret_key, node_id);
}

void record_key_ttl(uint64_t due_ms, uint64_t node_id, struct record_key *ret_key)
{
    record_key_ttls(ret_key);
    append_u64(ret_key, due_ms);
    append_u64(ret_key, node_id);
}

uint64_t record_key_orphans_session(struct bytes key)
{
    CHECK_OP(key.size, ==, 1 + sizeof(uint64_t));
    return bytes_load_u64(key.data + 1);
}

uint64_t record_key_ephemeral_node(struct bytes key)
{
    CHECK_OP(key.size, ==, 1 + 2 * sizeof(uint64_t));
    return bytes_load_u64(key.data + 1 + sizeof(uint64_t));
}

uint64_t record_key_due_ms(struct bytes key)
{
    CHECK_OP(key.size, >, sizeof(uint64_t));
    return bytes_load_u64(key.data + 1);
}

struct bytes record_key_name(struct bytes key)
{
    CHECK_OP(key.size, >=, RECORD_KEY_NODE_PREFIX_BYTES);
    return bytes_of(key.data + RECORD_KEY_NODE_PREFIX_BYTES,
                    key.size - RECORD_KEY_NODE_PREFIX_BYTES);
}
