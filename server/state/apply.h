/* Commands on the whole state: tree and sessions, exactly-once, all or nothing. */
#ifndef STATE_APPLY_H
#define STATE_APPLY_H

#include "proto/record.pb-c.h"
#include "server/state/overlay.h"
#include "server/state/session_table.h"
#include "server/state/tree.h"

struct state {
    struct overlay overlay;
    struct tree tree;
    struct session_table sessions;
    zxid applied;
    uint64_t time_ms;
};

/* `at` is the zxid, which `ret_result` has already; everything it points at lies in the arena or is
 * lent from the command. */
MUST_CHECK enum status apply_command(struct state *state,
                                     zxid at,
                                     Record__Command *command,
                                     struct arena *arena,
                                     struct state_result *ret_result);

#endif
