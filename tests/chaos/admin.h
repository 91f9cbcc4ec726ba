/* Who changes the members of a cluster by confer-cli, one change at a time, whatever becomes of the
 * commands, and brings the cluster back to what it was. Main thread only.
 *
 * At most one server's folder is wiped before all are voters again: a wiped disk is a lost one, and
 * what is promised holds while fewer are lost than the cluster tolerates. */
#ifndef TESTS_CHAOS_ADMIN_H
#define TESTS_CHAOS_ADMIN_H

#include "tests/chaos/servers.h"

enum admin_state {
    ADMIN_IDLE,
    ADMIN_TRANSFERS,
    ADMIN_REMOVES,
    ADMIN_LEAVES_OUT, /* who votes is said without `id` */
    ADMIN_STARTS,
    ADMIN_ADDS,
    ADMIN_TEACHES, /* `id` becomes a learner */
    ADMIN_TAKES_IN /* who votes is said with `id` */
};

struct admin {
    struct servers *servers;
    enum admin_state state;
    unsigned id;            /* whom the change is about */
    uint32_t voters;        /* 1 << id, of LEAVES_OUT and TAKES_IN; else 0 */
    struct process command; /* runs, but for IDLE and STARTS */
    bool is_out;            /* `id` was wiped or removed, and is not known to be in again */
};

void admin_init(struct admin *admin, struct servers *servers);
/* Begin a change. Does nothing while another one is under way. */
void admin_transfer(struct admin *admin, unsigned id);
/* Remove the member, wipe it and add it again; `dead`: it dies and is wiped first. */
void admin_replace(struct admin *admin, unsigned id, bool dead);
/* Let only these servers vote (1 << id, more than half of all); one of those left out is wiped,
 * learns, and is let vote again. */
void admin_change(struct admin *admin, uint32_t voters);
/* Go on with what was begun, as far as it goes now. */
void admin_tick(struct admin *admin);
/* End what was begun, and make all servers voters again, without faults; a failed expectation after
 * the deadline. */
void admin_restore(struct admin *admin, unsigned deadline_ms);

#endif
