/* What makes a state another than that of the others, on purpose: a digest that does not add up, or
 * a record too many that no command writes, no client reads and nothing finds but a comparison of
 * members. What clients see stays right, so that they can be judged. */
#ifndef TESTS_SIMULATION_SURPLUS_H
#define TESTS_SIMULATION_SURPLUS_H

#include "server/state/state.h"

/* Both return by how much the digest is more than it should be. */
struct state_digest surplus_in_digest(struct state *state, uint64_t bits);
/* No record is there yet. */
struct state_digest surplus_in_records(struct state *state, uint64_t bits);

/* It is such a record. */
bool surplus_is(struct bytes key);

static inline bool surplus_is_none(struct state_digest surplus)
{
    return surplus.record_count == 0 && surplus.sum == 0;
}

static inline struct state_digest surplus_taken_from(struct state_digest digest,
                                                     struct state_digest surplus)
{
    return (struct state_digest){.record_count = digest.record_count - surplus.record_count,
                                 .sum = digest.sum - surplus.sum};
}

#endif
