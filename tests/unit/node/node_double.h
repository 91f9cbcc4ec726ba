/* Nodes for tests of units that only hold and measure them: a count of references and a value.
 * Included once in a test program, in place of server/state's own. */
#ifndef TESTS_UNIT_NODE_NODE_DOUBLE_H
#define TESTS_UNIT_NODE_NODE_DOUBLE_H

#include "base/alloc.h"
#include "base/check.h"
#include "server/state/state.h"

#include <stdlib.h>

struct state_node {
    size_t references;
    size_t value_bytes;
    uint64_t mark; /* the test's */
};

static size_t node_double_count; /* alive */

static const uint8_t node_double_bytes[STATE_VALUE_BYTES_MAX];

static inline struct state_node *node_double_new(size_t value_bytes, uint64_t mark)
{
    struct state_node *node = xcalloc(1, sizeof *node);

    *node = (struct state_node){.references = 1, .value_bytes = value_bytes, .mark = mark};
    node_double_count++;
    return node;
}

struct state_node *state_node_ref(struct state_node *node)
{
    node->references++;
    return node;
}

uint64_t state_node_memory_bytes(const struct state_node *node)
{
    return sizeof *node + node->value_bytes;
}

void state_node_unref(struct state_node *node)
{
    if (node == NULL) {
        return;
    }
    CHECK_OP(node->references, >, 0);
    node->references--;
    if (node->references == 0) {
        node_double_count--;
        free(node);
    }
}

void state_node_expect(const struct state_node *node)
{
    (void)node;
}

struct bytes state_node_value(const struct state_node *node, bool *ret_is_null)
{
    *ret_is_null = false;
    return bytes_of(node_double_bytes, node->value_bytes);
}

uint32_t state_node_acl_count(const struct state_node *node)
{
    return node->value_bytes % 2 == 0 ? 0 : 1;
}

struct state_acl_entry state_node_acl(const struct state_node *node, uint32_t position)
{
    CHECK_OP(position, <, state_node_acl_count(node));
    return (struct state_acl_entry){
        .permissions = 31, .scheme = bytes_of_text("digest"), .id = bytes_of_text("joe:secret")};
}

#endif
