/* The tree of nodes in records: finding nodes, and the four ways of changing them with everything
 * that hangs on it: the parent's counters (zookeeper-wire section 8), the ephemerals of a session,
 * the tables of due nodes, and the list of changes. Whether a client may do so is decided above
 * (operation.h).
 *
 * Records given out and taken are borrowed as overlay.h says. A function that fails with a status,
 * or whose caller gives up, leaves writes in the overlay's journal. */
#ifndef STATE_TREE_H
#define STATE_TREE_H

#include "server/state/overlay.h"
#include "server/state/record_key.h"
#include "server/state/state.h"
#include "server/state/znode.h"

struct tree {
    struct overlay *overlay;
    uint64_t next_node_id;
};

/* The command in progress: who, when, and what it changed so far. */
struct tree_write {
    struct tree *tree;
    struct arena *arena;
    zxid zxid;
    uint64_t time_ms;
    session_id session; /* 0 = none */
    struct state_identities identities;
    bool enforces_quotas;
    size_t counted;            /* nodes, for quotas that were set */
    size_t counted_max;        /* and so many may be */
    struct bytes quota_passed; /* of which a limit was passed; empty = none */
    struct state_change *changes;
    size_t change_count;
    size_t change_capacity;
};

/* Write the nodes that a new cluster starts with. */
void tree_format(struct tree *tree);

/* The record of the node at `path`, or NULL. An empty path is the root's. STATUS_CORRUPT: a record
 * is no node's. */
MUST_CHECK enum status tree_find(struct tree *tree, struct bytes path, struct record **ret_record);
/* A name that no node can have finds none. */
MUST_CHECK enum status tree_find_child(struct tree *tree,
                                       uint64_t parent_id,
                                       struct bytes name,
                                       struct record **ret_record);
/* The same without its value, which may be long. Id 0: it is not there. */
MUST_CHECK enum status tree_glance(struct tree *tree,
                                   uint64_t parent_id,
                                   struct bytes name,
                                   struct znode_glance *ret_glance);

/* Of /zookeeper/quota, in one look: nobody can remove it or what is above it. */
MUST_CHECK enum status tree_glance_quotas(struct tree *tree, struct znode_glance *ret_glance);

struct tree_creation {
    struct bytes path; /* of the node, with its suffix; lives as long as the changes */
    struct bytes parent;
    struct bytes name;
    uint8_t flags; /* enum znode_flag */
    uint64_t owner_or_ttl;
    struct acl acl;
    struct bytes value;
    int32_t version; /* where the counters begin: of a new node 0, of a copy not */
    uint32_t children_created;
};

/* Make a node under `parent`; the name is legal and free. */
MUST_CHECK enum status tree_create(struct tree_write *write,
                                   struct record *parent,
                                   const struct tree_creation *creation,
                                   struct record **ret_record);
/* The node at the legal `path`, made together with its missing ancestors as persistent open nodes
 * without value. *ret_error is set only to OP_NO_CHILDREN_FOR_EPHEMERALS. */
MUST_CHECK enum status tree_ensure(struct tree_write *write,
                                   struct bytes path,
                                   enum op_error *ret_error,
                                   struct record **ret_record);
/* Replace a node's record by one made of `after`. Notes no change. */
MUST_CHECK enum status tree_update(struct tree *tree,
                                   struct bytes path,
                                   const struct record *record,
                                   const struct znode *after,
                                   struct record **ret_record);
/* Remove a node without children. */
MUST_CHECK enum status tree_remove(struct tree_write *write,
                                   struct bytes path,
                                   struct bytes parent_path,
                                   struct record *parent,
                                   struct record *record);
/* Remove ephemerals of `session`, which ends, in order of their creation: at most `count_max`, and
 * none any more once the command touched STATE_SWEEP_BYTES_MAX; 0 = all. *ret_left: there are more,
 * which are due from now on. */
MUST_CHECK enum status tree_remove_ephemerals(struct tree_write *write,
                                              session_id session,
                                              uint32_t count_max,
                                              bool *ret_left);

/* Remove due nodes: ephemerals that the ends of their sessions left, by session and in order of
 * their creation; TTL nodes whose time is before the command's, in order of that time; then
 * containers in order of their creation. Of each at most `count_max`, and none any more once the
 * command touched STATE_SWEEP_BYTES_MAX. What becomes due by that stays. */
MUST_CHECK enum status tree_remove_due(struct tree_write *write, uint32_t count_max);
/* Whether there are any at `time_ms`. */
MUST_CHECK enum status tree_has_due(struct tree *tree, uint64_t time_ms, bool *ret_has_due);

/* Append to the list of changes; the zxid is filled in. */
void tree_note(struct tree_write *write, struct state_change change);
void tree_note_node(struct tree_write *write,
                    enum state_change_kind kind,
                    struct bytes path,
                    struct record *before,
                    struct record *after);

/* Where a node stands in the tables of due ones; false if it is not due: TTL nodes are while they
 * have no children, containers once they have none any more. */
bool tree_due_key(const struct znode *znode, struct record_key *ret_key);

#endif
