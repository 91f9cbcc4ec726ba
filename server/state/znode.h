/* A node's record:
 *
 *      0  u64  node id                 56  u32  version
 *      8  u64  czxid                   60  u32  aversion
 *     16  u64  mzxid                   64  u32  children ever created (N)
 *     24  u64  pzxid                   68  u32  children now
 *     32  u64  ctime ms                72  u32  value bytes
 *     40  u64  mtime ms                76  u32  acl bytes
 *     48  u64  owner session, or ttl   80  u8   flags
 *                                      81  u8   acl entries, 0 = open to all
 *     82  acl (acl.h), value
 *
 * What readers hold as struct state_node is a record of the node table. */
#ifndef STATE_ZNODE_H
#define STATE_ZNODE_H

#include "server/state/acl.h"
#include "server/state/record.h"

enum znode_flag {
    ZNODE_VALUE_IS_NULL = 1,
    ZNODE_CONTAINER = 2,
    ZNODE_EPHEMERAL = 4, /* offset 48 is the session */
    ZNODE_TTL = 8,       /* offset 48 is the ttl */
    ZNODE_FLAGS_KNOWN = 15
};

enum { ZNODE_HEADER_BYTES = 82 };

/* The same unpacked. Acl and value are lent. */
struct znode {
    uint64_t id;
    zxid czxid;
    zxid mzxid;
    zxid pzxid;
    uint64_t ctime_ms;
    uint64_t mtime_ms;
    uint64_t owner_or_ttl;
    int32_t version;
    int32_t aversion;
    uint32_t children_created; /* modulo 2^32, as ZooKeeper's counter */
    uint32_t child_count;
    uint8_t flags;
    struct acl acl;
    struct bytes value;
};

/* Whether a record from the disk has the form above. */
bool znode_is_well_formed(const struct record *record);
/* `record` is well formed. Lends acl and value from it. */
struct znode znode_load(const struct record *record);
/* A new record with one reference. */
struct record *znode_store(struct bytes key, const struct znode *znode);

/* A few fields out of the first ZNODE_HEADER_BYTES of a value, which may be the source's. False: it
 * is no node's. */
struct znode_glance {
    uint64_t id;
    uint32_t child_count;
    uint32_t value_bytes;
};
bool znode_glance(struct bytes value, struct znode_glance *ret_glance);
/* Without unpacking the rest. */
uint64_t znode_id(const struct record *record);
bool znode_is_ephemeral(const struct record *record);
session_id znode_owner(const struct znode *znode); /* 0 = not ephemeral */
uint64_t znode_ttl_ms(const struct znode *znode);  /* 0 = none */
struct state_stat znode_stat(const struct znode *znode);

struct state_node *znode_show(struct record *record);
struct record *znode_record(struct state_node *node);

#endif
