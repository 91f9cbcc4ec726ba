/* Holding connections back that ask faster than they are answered, or do not read their answers:
 * the same for every front. A held connection is not read from; whether it may go on is looked at
 * once, at the end of a turn in which something changed for it. Main thread. */
#ifndef FRONT_GATE_H
#define FRONT_GATE_H

#include "server/net/connection.h"

/* The front's: held connections for which something changed. */
struct gate {
    struct list changed;
};

/* One connection's, inside its client. */
struct gate_pass {
    struct list link;
    struct gate *gate;
    struct connection *connection;
    bool held;
};

void gate_init(struct gate *gate);
void gate_enter(struct gate *gate, struct gate_pass *pass, struct connection *connection);
/* The connection is going away. */
void gate_leave(struct gate_pass *pass);

void gate_hold(struct gate_pass *pass);
/* Something was answered or sent. */
void gate_look_again(struct gate_pass *pass);
/* At the end of a turn: let those go on that are not full any more. */
void gate_open(struct gate *gate, bool (*is_full)(const struct gate_pass *pass));

#endif
