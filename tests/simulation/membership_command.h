/* Membership commands as an operator gives them, packed, so that whoever wants to can give one
 * again. */
#ifndef TESTS_SIMULATION_MEMBERSHIP_COMMAND_H
#define TESTS_SIMULATION_MEMBERSHIP_COMMAND_H

#include "tests/simulation/cluster.h"

enum { MEMBERSHIP_COMMAND_BYTES_MAX = 512 };

struct membership_command {
    Client__Request__BodyCase kind;
    uint8_t packed[MEMBERSHIP_COMMAND_BYTES_MAX];
    size_t bytes; /* 0 = none */
};

/* All that take part in init from the beginning. */
struct membership_command membership_command_init(struct cluster *cluster);
struct membership_command membership_command_add(struct cluster_server *server, bool promote);
/* Some of the members, now and then with force; `bytes` is 0 if it would be nobody. */
struct membership_command membership_command_draw_change(const struct raft_config *config,
                                                         struct prng *prng);
struct membership_command membership_command_remove(raft_id id);
/* 0 = to anybody. */
struct membership_command membership_command_transfer(raft_id target);
struct membership_command membership_command_cancel(void);

/* To be freed by client__request__free_unpacked. */
Client__Request *membership_command_unpack(const struct membership_command *command);

/* Whether the configuration is what it asks for; init and transfer ask for none. */
bool membership_command_is_met(const struct membership_command *command,
                               const struct raft_config *config);

/* The configuration as some running server has it, the newest one. NULL: none has one. */
const struct raft_config *membership_command_config(const struct cluster *cluster);
/* Whether the voters that would be left can go on, and nobody new meets a server on an old copy: an
 * operator who asks for more than that is promised nothing. */
bool membership_command_is_wise(struct cluster *cluster, const struct membership_command *command);

#endif
