/* Lists of permissions as they stand inside a node's record:
 *
 *     u32 permissions, u8 scheme bytes, u16 id bytes, scheme, id       for each entry
 *
 * An open list (world:anyone, all permissions) is stored as none. Schemes are checked for shape
 * only: which ones exist is the business of the fronts. */
#ifndef STATE_ACL_H
#define STATE_ACL_H

#include "base/arena.h"
#include "server/state/state.h"

enum { ACL_ALL = 31, ACL_SCHEME_BYTES_MAX = 255, ACL_ID_BYTES_MAX = 1024 };

struct acl {
    uint8_t count; /* 0 = open to all */
    struct bytes encoded;
};

/* Validate as ZooKeeper does and encode into the arena, without exact duplicates. No entries make
 * an open list. An entry of scheme `auth`, whatever its id, stands for each of `identities` that
 * was proved.
 *
 * OP_INVALID_ACL: no scheme; world with another id than anyone; super, which is not stored; auth,
 * when nothing was proved.
 * OP_LIMIT: too many entries, a scheme or id too long. */
enum op_error acl_encode(const struct state_acl_entry *entries,
                         size_t count,
                         struct state_identities identities,
                         struct arena *arena,
                         struct acl *ret_acl);
/* The list that READ alone to everyone makes: /zookeeper/config's. */
struct acl acl_read_only(struct arena *arena);

/* Does the list permit any of `permissions`? An identity `super` is permitted everything. An entry
 * matches the world, an address inside its network, or else the same scheme and id. */
bool acl_permits(struct acl acl, unsigned permissions, struct state_identities identities);

/* Whether bytes from the disk have this form. */
bool acl_is_well_formed(struct acl acl);
uint32_t acl_entry_count(struct acl acl);
/* Lent from the list. */
struct state_acl_entry acl_entry(struct acl acl, uint32_t position);

#endif
