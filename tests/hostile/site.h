/* Where an attack takes place, and what every attack needs. */
#ifndef TESTS_HOSTILE_SITE_H
#define TESTS_HOSTILE_SITE_H

#include "base/prng.h"
#include "tests/integration/rogue.h"
#include "tests/support/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SITE_LARGE_BYTES = 900 * 1000, /* the value of /large */
    SITE_WIDE_NODE_BATCH = 1000,   /* children of /wide made, or removed, at one time */
    SITE_ANSWER_DEADLINE_MS = 30000
};

struct site {
    const char *address;
    const char *log; /* the file of the server there */
    uint64_t seconds;
    uint64_t end_us; /* on clock_monotonic_us; 0 = not begun */
    uint64_t term;
    size_t children;             /* of /wide */
    struct rogue_options member; /* who comes as the member that is down */
    struct prng prng;
    uint64_t count; /* of what the attack counts */
    const char
        *failure; /* what the server did wrong, as far as an attack sees it; NULL = nothing */
};

/* Time counts from the first question: what an attack sends is made before. */
bool site_goes_on(struct site *site);
/* A short pause. */
void site_rest(void);
/* Send what it takes without waiting. False: closed, or full. */
bool site_push(struct wire *wire, struct bytes bytes, size_t *sent);
/* Drop what came. False: closed. */
bool site_drain(struct wire *wire);
/* Mostly small numbers, which are lengths and fields more often than large ones. */
void site_put_noise(struct site *site, struct buffer *bytes, size_t size);

#endif
