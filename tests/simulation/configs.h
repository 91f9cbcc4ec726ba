/* Every configuration that was ever appended to a log, and the arithmetic of quorums done anew,
 * apart from the core's: only voters count, and a majority of each half is needed. */
#ifndef TESTS_SIMULATION_CONFIGS_H
#define TESTS_SIMULATION_CONFIGS_H

#include "tests/simulation/membership_command.h"

struct configs;

struct configs *configs_new(void);
void configs_free(struct configs *configs);

/* Whether those marked by `has` are a majority of the voters of each half (S16). */
bool configs_is_quorum(const struct raft_config *config,
                       bool (*has)(raft_id id, const void *context),
                       const void *context);

/* The disk holds a new CONFIG entry at `index`. Violations of S15: a quorum of it and one of the
 * configuration before it have nobody in common; that one is not committed (`committed` is what
 * leaders know of), unless this one takes it back. */
void configs_on_append(struct configs *configs,
                       const struct cluster_server *server,
                       raft_index index,
                       raft_index committed);
/* The server's effective configuration is the one of this entry, if that is known already: false if
 * it is not, and has to be asked again (S15). */
bool configs_check_effective(const struct configs *configs,
                             const struct cluster_server *server,
                             raft_index index,
                             raft_term term);
/* A leader knows more to be committed, from `before` on up to `now`. */
void configs_on_commit(struct configs *configs,
                       const struct cluster_server *leader,
                       raft_index before,
                       raft_index now);
/* Whether one that was the last committed one at some time since then is what the command asks for.
 */
bool configs_have_met(const struct configs *configs,
                      const struct membership_command *command,
                      uint64_t since_us);
/* The index of the last CONFIG entry in the server's log on disk; 0: none is there. */
raft_index configs_last_on_disk(const struct cluster_server *server);

#endif
