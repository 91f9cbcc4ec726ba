/* The state machine a second time, written to be obviously right and nothing else: an array of
 * nodes with full paths, searched from the front; a transaction copies everything first. It shares
 * no code with server/state. Memory is released at the end only. */
#ifndef TESTS_SUPPORT_NAIVE_STATE_H
#define TESTS_SUPPORT_NAIVE_STATE_H

#include "base/arena.h"
#include "proto/record.pb-c.h"
#include "server/state/state.h"

struct naive_acl {
    uint32_t permissions;
    struct bytes scheme;
    struct bytes id;
};

struct naive_node {
    struct bytes path;
    struct bytes value;
    bool value_is_null;
    struct state_stat stat; /* value_bytes and child_count are filled in when asked for */
    uint32_t sequence;      /* of the next sequential child */
    bool container;
    uint64_t ttl_ms;
    const struct naive_acl *acl;
    size_t acl_count;
};

struct naive_change {
    enum state_change_kind kind;
    struct bytes path;
    session_id session;
    int64_t more_bytes; /* of values */
};

struct naive_result {
    enum op_error error;
    zxid zxid;
    bool repeated;
    struct state_op_result *operations;
    size_t operation_count;
    session_id session;
    uint64_t generation;
    uint32_t timeout_ms;
    struct naive_change *changes;
    size_t change_count;
    struct bytes quota_passed;
};

struct naive_session {
    struct state_session shown; /* its password points into the arena */
    uint64_t confirmed;
    struct naive_result *kept; /* by sequence, from 1 */
};

struct naive_state {
    struct arena arena;
    struct naive_node *nodes; /* in no order */
    size_t node_count;
    struct naive_session *sessions; /* by id */
    size_t session_count;
    uint64_t time_ms;
};

void naive_state_init(struct naive_state *state);
void naive_state_release(struct naive_state *state);

/* `command` is NULL for an entry that cannot be read. Results live as long as the state. */
struct naive_result naive_state_apply(struct naive_state *state,
                                      zxid at,
                                      uint64_t stamp_ms,
                                      const Record__Command *command);

/* NULL if there is none; valid until the next apply. */
const struct naive_node *naive_state_find(const struct naive_state *state, struct bytes path);
struct state_stat naive_state_stat(const struct naive_state *state, const struct naive_node *node);
/* The names of the children in order, in `arena`. */
struct bytes *naive_state_children(const struct naive_state *state,
                                   struct bytes path,
                                   struct arena *arena,
                                   size_t *ret_count);

#endif
