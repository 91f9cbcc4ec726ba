/* What must hold of the whole cluster, beyond what site.c checks of each node: S1, S4, S6 to S9,
 * S12, S13, S17, S19. By number, as the reports name them:
 *
 *   S1   one leader a term, over all history
 *   S2   one vote a term, durable before it is told (site.c)
 *   S3   no message carries a term that is not durable; terms never fall (site.c)
 *   S4   (index, term) determines the entry and everything before it
 *   S5   a leader never replaces an entry of its log (site.c)
 *   S6   a new leader holds everything that was ever committed
 *   S7   what is committed never changes, and is the same everywhere
 *   S8   who commits has a quorum of each half on disk
 *   S9   no disk loses a committed entry
 *   S10  by counting, a leader commits only entries of its term (site.c)
 *   S11  base <= applied <= commit <= last, applied <= durable, all monotone (site.c, raft_check)
 *   S12  an acknowledgement is true of the sender's disk
 *   S13  a leader's match is true of the peer's disk
 *   S14, S15, S16  counters, configurations, who counts (raft_check; S8 counts again)
 *   S17  a confirmed read index covers everything committed before the read began
 *   S19  a dump is the state and configuration of its prefix */
#ifndef TESTS_EXPLORER_INVARIANTS_H
#define TESTS_EXPLORER_INVARIANTS_H

#include "tests/explorer/state.h"

/* One node's step inside the cluster. */
struct transition {
    const struct state *before;
    const struct state *after; /* the sites only */
    uint8_t node;
    const struct site_input *input;
    const struct sites_step *step;
};

/* Bring the ghost up to date with the transition. NULL, or what is violated. */
const char *
invariants_check(struct world *world, const struct transition *transition, struct ghost *ghost);

/* A dump of `from` as it would be sent now. */
const char *
invariants_check_dump(struct world *world, const struct site_view *from, const struct ghost *ghost);

#endif
