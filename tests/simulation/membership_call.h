/* One operator's connection: a command or a look at the status at a time, at any server. */
#ifndef TESTS_SIMULATION_MEMBERSHIP_CALL_H
#define TESTS_SIMULATION_MEMBERSHIP_CALL_H

#include "tests/simulation/configs.h"
#include "tests/simulation/membership_command.h"
#include "tests/simulation/oracle.h"

struct membership_call {
    struct cluster *cluster;
    struct oracle *oracle;
    size_t number; /* of the operator, in cluster->changes_until_us */
    void *context;
    /* Before the server goes on. */
    void (*on_answer)(void *context, const Client__Response *response);
    void (*on_status)(void *context);

    struct cluster_server *server;
    struct client *client;
    struct membership_command command; /* the last one */
    bool is_open;
    bool is_for_members; /* not for the status */
    bool is_done;        /* the last command was answered with OK */
    bool is_answered;    /* to be closed */
    bool is_certain;     /* how the last command ended is known */
    uint64_t asked_us;
    uint64_t patience_us;
    uint64_t certain_us; /* from then on no server tries an earlier command any more */
};

void membership_call_init(struct membership_call *call,
                          struct cluster *cluster,
                          struct oracle *oracle,
                          size_t number);
/* False: the server is not awake, and is not asked. */
bool membership_call_ask(struct membership_call *call,
                         const struct membership_command *command,
                         struct cluster_server *server);
void membership_call_look(struct membership_call *call, struct cluster_server *server);
/* True, and closed: it was answered, or waited for too long. Violation of S33: what it was told to
 * be done did not hold at any time since it asked. */
bool membership_call_finish(struct membership_call *call);
void membership_call_close(struct membership_call *call);
/* What was asked for may still change the members. */
bool membership_call_may_change(const struct membership_call *call);

#endif
