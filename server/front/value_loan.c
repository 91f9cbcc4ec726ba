#include "server/front/value_loan.h"

/* Below, a copy costs less than another part of the output. */
enum { LENT_BYTES_MIN = 32 * 1024 };

bool value_loan_is_due(struct bytes value)
{
    return value.size >= LENT_BYTES_MIN;
}

static void let_go(const void *data, size_t size, void *node)
{
    (void)data;
    (void)size;
    state_node_unref(node);
}

void value_loan_send(struct connection *connection, struct state_node *node)
{
    bool is_null;
    struct bytes value = state_node_value(node, &is_null);

    connection_send_lent(connection, value, let_go, state_node_ref(node));
}
