/* What hostile clients do: each attack goes on until its time is over, then lets go of everything.
 */
#ifndef TESTS_HOSTILE_ATTACKS_H
#define TESTS_HOSTILE_ATTACKS_H

#include "tests/hostile/site.h"

#include <stddef.h>

struct attack {
    const char *name;
    const char *unit; /* what is counted */
    void (*run)(struct site *site);
    enum { AS_STRANGER, AS_MEMBER } who; /* the latter: a member is down, and it comes instead */
};

/* `run` is NULL at the end. */
extern const struct attack attacks[];

/* Before the first attack: a large value, written until servers have kept as much of the last
 * writes as they do, and a node with `children` children. */
void attacks_prepare(const char *address, size_t children);

#endif
