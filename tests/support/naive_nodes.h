/* What a command of the naive state machine does to single nodes: paths, who may, and putting them
 * there and away, with the changes noted. Below naive_operations.h and naive_quotas.h. */
#ifndef TESTS_SUPPORT_NAIVE_NODES_H
#define TESTS_SUPPORT_NAIVE_NODES_H

#include "tests/support/naive_state.h"

/* The command in progress. */
struct naive_work {
    struct naive_state *state;
    zxid at;
    session_id session;
    const Record__Command *command;
    struct naive_result *result;
};

struct bytes naive_nodes_field(ProtobufCBinaryData data);
bool naive_nodes_is(struct bytes bytes, const char *text);
bool naive_nodes_begins(struct bytes bytes, const char *text);

enum op_error naive_nodes_validate(struct naive_state *state, struct bytes path);
/* "/" for a top-level node. False if there is no slash, or a NUL. */
bool naive_nodes_parent_of(struct bytes path, struct bytes *ret_parent);

/* NULL if there is none. */
struct naive_node *naive_nodes_find(const struct naive_state *state, struct bytes path);
/* The lowest ancestor that is there. */
struct naive_node *naive_nodes_above(const struct naive_work *work, struct bytes path);
struct naive_node *naive_nodes_add(struct naive_state *state, struct naive_node node);
/* Anyone, with these permissions. */
const struct naive_acl *naive_nodes_acl_of(struct naive_state *state, uint32_t permissions);
bool naive_nodes_permit(const struct naive_work *work,
                        const struct naive_node *node,
                        uint32_t wanted);

void naive_nodes_note(struct naive_work *work,
                      enum state_change_kind kind,
                      struct bytes path,
                      session_id id);
/* Of the value of the node whose change was noted last. */
void naive_nodes_note_bytes(struct naive_work *work, size_t after, size_t before);

/* Each notes the change. All checks have been made. */
void naive_nodes_make(struct naive_work *work, struct naive_node node);
void naive_nodes_remove(struct naive_work *work, struct naive_node *node);

#endif
