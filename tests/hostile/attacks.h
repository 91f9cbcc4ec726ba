/* What hostile clients do: each attack goes on until its time is over, then lets go of everything.
 */
#ifndef TESTS_HOSTILE_ATTACKS_H
#define TESTS_HOSTILE_ATTACKS_H

#include "base/prng.h"

#include <stddef.h>
#include <stdint.h>

struct site {
    const char *address;
    uint64_t seconds;
    uint64_t end_us; /* on clock_monotonic_us; 0 = not begun */
    struct prng prng;
    uint64_t count; /* of what the attack counts */
};

struct attack {
    const char *name;
    const char *unit; /* what is counted */
    void (*run)(struct site *site);
};

/* `run` is NULL at the end. */
extern const struct attack attacks[];

enum { ATTACK_WIDE_NODE_BATCH = 500 };

/* Before the first attack: a large value, written until servers have kept as much of the last
 * writes as they do, and a node with `children` children. */
void attacks_prepare(const char *address, size_t children);

#endif
