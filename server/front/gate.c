#include "server/front/gate.h"

void gate_init(struct gate *gate)
{
    list_init(&gate->changed);
}

void gate_enter(struct gate *gate, struct gate_pass *pass, struct connection *connection)
{
    *pass = (struct gate_pass){.gate = gate, .connection = connection};
    list_init(&pass->link);
}

void gate_leave(struct gate_pass *pass)
{
    list_remove(&pass->link);
}

void gate_look_again(struct gate_pass *pass)
{
    if (pass->held && list_is_empty(&pass->link)) {
        list_append(&pass->gate->changed, &pass->link);
    }
}

void gate_hold(struct gate_pass *pass)
{
    pass->held = true;
    connection_pause(pass->connection);
    gate_look_again(pass);
}

void gate_open(struct gate *gate, bool (*is_full)(const struct gate_pass *pass))
{
    struct list *link;

    while ((link = list_take_first(&gate->changed)) != NULL) {
        struct gate_pass *pass = CONTAINER_OF(link, struct gate_pass, link);

        if (!is_full(pass)) {
            pass->held = false;
            connection_resume(pass->connection);
        }
    }
}
