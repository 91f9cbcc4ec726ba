/* Whose writes are handed on to the log next. What is under way, from being proposed to being
 * applied, goes over the disks and the links before what comes later: it is what a small write may
 * have to wait for. So it is bounded, for each client and for all; beyond that clients with large
 * writes take turns, and small ones pass by them. Knows neither clients nor requests. */
#ifndef NODE_ADMISSION_H
#define NODE_ADMISSION_H

#include "base/round_robin.h"

#include <stddef.h>
#include <stdint.h>

enum {
    ADMISSION_OWN_BYTES_MAX = 1024 * 1024,
    ADMISSION_ALL_BYTES_MAX = 4 * 1024 * 1024,
    /* Who has no more than this under way passes, as long as all is less than twice the bound. */
    ADMISSION_LITTLE_BYTES = 16 * 1024
};

struct admission {
    struct round_robin waiting;
    const struct round_robin_place *turn; /* whose turn it is now; NULL = nobody's */
};

enum admission_answer {
    ADMISSION_NOW,
    ADMISSION_AFTER_OWN, /* when one of its own is done */
    ADMISSION_IN_TURN    /* it must enter `waiting` */
};

/* In bytes: of the client's writes under way, of everybody's, and of the one it asks for. */
struct admission_load {
    size_t own;
    uint64_t all;
    size_t more;
};

void admission_init(struct admission *admission);
/* One write is let through however large it is. `place` is the client's; in turn, its weight is set
 * by whether it has little under way. */
enum admission_answer admission_ask(const struct admission *admission,
                                    struct round_robin_place *place,
                                    const struct admission_load *load);
/* Whether there is room for it now, if it were its turn. */
bool admission_has_room(const struct admission_load *load);

#endif
