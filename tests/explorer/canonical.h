/* The canonical form of a core: what can never make a difference again is taken out, in place, so
 * that the result is a core like any other. Whatever is not named in canonical.c stays and keeps
 * states apart: a new field of struct raft can cost merging, but never a behaviour. */
#ifndef TESTS_EXPLORER_CANONICAL_H
#define TESTS_EXPLORER_CANONICAL_H

#include "raft/raft.h"

/* After raft_flush and timeless_forget. Sequence numbers of writes count from the last durable one
 * afterwards: the oldest unfinished write is number 1. */
void canonical_form(struct raft *raft);

/* Give the nodes whose reads wait here other ids; canonical_form is still to follow. */
void canonical_rename_readers(struct raft *raft, const uint8_t *to);

#endif
