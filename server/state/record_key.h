/* The keys of all records. The first byte names the table; integers are big endian, so that keys
 * sort by their parts.
 *
 *     c  node id                 path    a container without children that had some: due
 *     e  session, node id        path    an ephemeral of the session, in order of creation
 *     m                          what restart needs besides the other tables (state.c)
 *     n  parent id, name         node    (znode.h)
 *     o  session                 nothing a session that ended and left ephemerals: due
 *     r  session, sequence       the kept result of a numbered write (result.h)
 *     s  session                 session (session_table.h)
 *     t  due ms, node id         path    a TTL node without children: due at that time
 */
#ifndef STATE_RECORD_KEY_H
#define STATE_RECORD_KEY_H

#include "base/bytes.h"

enum {
    RECORD_KEY_BYTES_MAX = 511,
    RECORD_KEY_NODE_PREFIX_BYTES = 9 /* before the name */
};

struct record_key {
    size_t size;
    uint8_t data[RECORD_KEY_BYTES_MAX];
};

static inline struct bytes record_key_lend(const struct record_key *key)
{
    return bytes_of(key->data, key->size);
}

void record_key_meta(struct record_key *ret_key);
/* An empty name with parent 0 is the root's, with another parent the prefix of all children.
 * `name` has at most STATE_COMPONENT_BYTES_MAX bytes. */
void record_key_node(uint64_t parent_id, struct bytes name, struct record_key *ret_key);
void record_key_session(uint64_t session, struct record_key *ret_key);
/* The prefix of the session's ephemerals, and one of them. */
void record_key_ephemerals(uint64_t session, struct record_key *ret_key);
void record_key_ephemeral(uint64_t session, uint64_t node_id, struct record_key *ret_key);
void record_key_result(uint64_t session, uint64_t sequence, struct record_key *ret_key);
/* The prefixes of the tables of what is due. */
void record_key_orphans(struct record_key *ret_key);
void record_key_containers(struct record_key *ret_key);
void record_key_ttls(struct record_key *ret_key);
void record_key_orphans_of(uint64_t session, struct record_key *ret_key);
void record_key_container(uint64_t node_id, struct record_key *ret_key);
void record_key_ttl(uint64_t due_ms, uint64_t node_id, struct record_key *ret_key);

/* The session of an orphans' key. */
uint64_t record_key_orphans_session(struct bytes key);
/* The node of an ephemeral's key. */
uint64_t record_key_ephemeral_node(struct bytes key);
/* When the node of a TTL key is due. */
uint64_t record_key_due_ms(struct bytes key);

/* The name in a node's key. */
struct bytes record_key_name(struct bytes key);

#endif
