/* What no honest core would say and no sound disk would hold, made from the words of a scenario:
 * messages and configurations to be judged, and the records of a damaged start. */
#ifndef TESTS_SCENARIO_FORGE_H
#define TESTS_SCENARIO_FORGE_H

#include "raft/raft.h"

enum { FORGE_ENTRIES_MAX = 8 };

struct forge_message {
    struct raft_message message; /* lends from the rest */
    struct raft_entry entries[FORGE_ENTRIES_MAX];
    struct raft_config configs[FORGE_ENTRIES_MAX];
    const struct raft_config *config_list[FORGE_ENTRIES_MAX];
    uint32_t config_count;
};

/* Each returns the word that it does not understand, or NULL. */

/* TYPE TERM, then any of: from N, to N, last INDEX TERM, transfer, previous INDEX TERM, commit N,
 * entry COMMAND|NOOP|CONFIG|other TERM BYTES, config FAULT (of the CONFIG entry before; `absent`),
 * count N (of entries), index N, hint INDEX TERM (of a refusal), ok. A body that says nothing is
 * zero. */
const char *forge_message(char *const *words, size_t count, struct forge_message *ret_forged);

/* Sound three voters 1, 2, 3 (of which 3 is one of the old half only, if joint), then damaged as
 * the fault says: none, joint, or one of the table in forge.c. */
const char *forge_config(const char *fault, struct raft_config *ret_config);

/* Change a sound record of a start: term N, base N, base-term N, applied N, config-index N, config
 * FAULT, no-config. */
const char *forge_boot(char *const *words, size_t count, struct raft_boot *boot);

#endif
