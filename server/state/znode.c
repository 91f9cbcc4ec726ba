#include "server/state/znode.h"

#include "base/check.h"

#include <string.h>

_Static_assert(sizeof(struct record) + 9 /* key before the name */ + ZNODE_HEADER_BYTES + 16 + 14 <=
                   200,
               "a cached node costs at most 200 bytes beyond name and value, with the allocator's "
               "share and the index");

/* A state_node is a record seen from outside; the type itself is never defined. */
struct state_node *znode_show(struct record *record)
{
    return (void *)record;
}

struct record *znode_record(struct state_node *node)
{
    return (void *)node;
}

static const struct record *record_of(const struct state_node *node)
{
    return (const void *)node;
}

static uint32_t load_u32(const uint8_t *data, size_t offset)
{
    return bytes_load_u32(data + offset);
}

static uint64_t load_u64(const uint8_t *data, size_t offset)
{
    return bytes_load_u64(data + offset);
}

static struct acl load_acl(const uint8_t *data)
{
    return (struct acl){
        .count = data[81],
        .encoded = bytes_of(data + ZNODE_HEADER_BYTES, load_u32(data, 76)),
    };
}

bool znode_is_well_formed(const struct record *record)
{
    struct bytes value = record_value_of(record);
    uint8_t flags;

    if (value.size < ZNODE_HEADER_BYTES ||
        (uint64_t)ZNODE_HEADER_BYTES + load_u32(value.data, 72) + load_u32(value.data, 76) !=
            value.size) {
        return false;
    }
    flags = value.data[80];
    return (flags & ~ZNODE_FLAGS_KNOWN) == 0 &&
           (load_u32(value.data, 76) == 0 ? value.data[81] == 0
                                          : acl_is_well_formed(load_acl(value.data)));
}

bool znode_glance(struct bytes value, struct znode_glance *ret_glance)
{
    if (value.size < ZNODE_HEADER_BYTES) {
        return false;
    }
    *ret_glance = (struct znode_glance){.id = load_u64(value.data, 0),
                                        .child_count = load_u32(value.data, 68),
                                        .value_bytes = load_u32(value.data, 72)};
    return true;
}

struct znode znode_load(const struct record *record)
{
    const uint8_t *data = record_value_of(record).data;
    uint32_t acl_bytes = load_u32(data, 76);

    return (struct znode){
        .id = load_u64(data, 0),
        .czxid = load_u64(data, 8),
        .mzxid = load_u64(data, 16),
        .pzxid = load_u64(data, 24),
        .ctime_ms = load_u64(data, 32),
        .mtime_ms = load_u64(data, 40),
        .owner_or_ttl = load_u64(data, 48),
        .version = (int32_t)load_u32(data, 56),
        .aversion = (int32_t)load_u32(data, 60),
        .children_created = load_u32(data, 64),
        .child_count = load_u32(data, 68),
        .flags = data[80],
        .acl = load_acl(data),
        .value = bytes_of(data + ZNODE_HEADER_BYTES + acl_bytes, load_u32(data, 72)),
    };
}

struct record *znode_store(struct bytes key, const struct znode *znode)
{
    struct record *record =
        record_new(key, ZNODE_HEADER_BYTES + znode->acl.encoded.size + znode->value.size);
    uint8_t *data = record_value_space(record);

    bytes_store_u64(data, znode->id);
    bytes_store_u64(data + 8, znode->czxid);
    bytes_store_u64(data + 16, znode->mzxid);
    bytes_store_u64(data + 24, znode->pzxid);
    bytes_store_u64(data + 32, znode->ctime_ms);
    bytes_store_u64(data + 40, znode->mtime_ms);
    bytes_store_u64(data + 48, znode->owner_or_ttl);
    bytes_store_u32(data + 56, (uint32_t)znode->version);
    bytes_store_u32(data + 60, (uint32_t)znode->aversion);
    bytes_store_u32(data + 64, znode->children_created);
    bytes_store_u32(data + 68, znode->child_count);
    bytes_store_u32(data + 72, (uint32_t)znode->value.size);
    bytes_store_u32(data + 76, (uint32_t)znode->acl.encoded.size);
    data[80] = znode->flags;
    data[81] = znode->acl.count;
    data += ZNODE_HEADER_BYTES;
    if (znode->acl.encoded.size > 0) {
        memcpy(data, znode->acl.encoded.data, znode->acl.encoded.size);
    }
    if (znode->value.size > 0) {
        memcpy(data + znode->acl.encoded.size, znode->value.data, znode->value.size);
    }
    return record;
}

uint64_t znode_id(const struct record *record)
{
    return load_u64(record_value_of(record).data, 0);
}

bool znode_is_ephemeral(const struct record *record)
{
    return (record_value_of(record).data[80] & ZNODE_EPHEMERAL) != 0;
}

session_id znode_owner(const struct znode *znode)
{
    return (znode->flags & ZNODE_EPHEMERAL) != 0 ? znode->owner_or_ttl : 0;
}

uint64_t znode_ttl_ms(const struct znode *znode)
{
    return (znode->flags & ZNODE_TTL) != 0 ? znode->owner_or_ttl : 0;
}

struct state_stat znode_stat(const struct znode *znode)
{
    return (struct state_stat){
        .czxid = znode->czxid,
        .mzxid = znode->mzxid,
        .pzxid = znode->pzxid,
        .ctime_ms = znode->ctime_ms,
        .mtime_ms = znode->mtime_ms,
        .version = znode->version,
        /* Creations plus deletions, as ZooKeeper shows it. */
        .cversion = (int32_t)(2 * znode->children_created - znode->child_count),
        .aversion = znode->aversion,
        .ephemeral_owner = znode_owner(znode),
        .value_bytes = (uint32_t)znode->value.size,
        .child_count = znode->child_count,
    };
}

/* --- What readers hold --- */

struct state_node *state_node_ref(struct state_node *node)
{
    (void)record_ref(znode_record(node));
    return node;
}

void state_node_unref(struct state_node *node)
{
    record_unref(znode_record(node));
}

void state_node_expect(const struct state_node *node)
{
    __builtin_prefetch(&record_of(node)->references, 1);
}

struct bytes state_node_value(const struct state_node *node, bool *ret_is_null)
{
    struct znode znode = znode_load(record_of(node));

    *ret_is_null = (znode.flags & ZNODE_VALUE_IS_NULL) != 0;
    return znode.value;
}

uint64_t state_node_memory_bytes(const struct state_node *node)
{
    return record_memory_bytes(record_of(node));
}

struct state_stat state_node_stat(const struct state_node *node)
{
    struct znode znode = znode_load(record_of(node));

    return znode_stat(&znode);
}

uint32_t state_node_acl_count(const struct state_node *node)
{
    return acl_entry_count(load_acl(record_value_of(record_of(node)).data));
}

bool state_node_permits(const struct state_node *node,
                        unsigned permissions,
                        struct state_identities identities)
{
    return acl_permits(load_acl(record_value_of(record_of(node)).data), permissions, identities);
}

struct state_acl_entry state_node_acl(const struct state_node *node, uint32_t position)
{
    return acl_entry(load_acl(record_value_of(record_of(node)).data), position);
}

uint64_t state_node_ttl_ms(const struct state_node *node)
{
    struct znode znode = znode_load(record_of(node));

    return znode_ttl_ms(&znode);
}

bool state_node_is_container(const struct state_node *node)
{
    return (record_value_of(record_of(node)).data[80] & ZNODE_CONTAINER) != 0;
}
