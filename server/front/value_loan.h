/* Large values leave from where the state has them: many clients that read one, and do not read on,
 * hold it once, and nobody's turn goes into copies and fresh pages. Main thread. */
#ifndef FRONT_VALUE_LOAN_H
#define FRONT_VALUE_LOAN_H

#include "server/net/connection.h"
#include "server/node/request.h"

/* Is it better lent than copied? */
bool value_loan_is_due(struct bytes value);

/* The value of `node` to the output, which holds a reference to it until it is sent. */
void value_loan_send(struct connection *connection, struct state_node *node);

#endif
