/* A run written down: the settings, and each fault, client turn and operator's command with its
 * time.
 *
 * A run that is drawn from a seed records its plan when asked; a run that replays a plan does what
 * the plan says and nothing else, so that items can be dropped one by one (minimize.h). An item of
 * a client or of an operator holds the seed of what is done then: dropping one leaves the others
 * as they are. Times count from the end of init. The plan ends with the faults: what follows is the
 * same for all.
 *
 * As a file, one line each:
 *     set NAME VALUE
 *     at MICROSECONDS KIND KEY=VALUE ... */
#ifndef TESTS_SIMULATION_PLAN_H
#define TESTS_SIMULATION_PLAN_H

#include "base/error.h"
#include "tests/simulation/settings.h"

#include <stdio.h>

/* After the fault classes. */
enum { PLAN_CLIENT = FAULT_CLASSES, PLAN_OPERATOR, PLAN_SECOND_OPERATOR, PLAN_KINDS };

struct plan_item {
    uint64_t at_us;
    uint32_t kind;   /* enum fault_class, or one of those above */
    uint32_t actor;  /* the server's id, or the client's number */
    uint32_t other;  /* another server's id */
    uint64_t amount; /* what it means depends on the kind; of actors the seed */
    uint64_t for_us;
};

struct plan {
    struct settings settings;
    struct plan_item *items; /* in the order of time */
    size_t count;
    size_t capacity;
    enum { PLAN_IS_DRAWN, PLAN_IS_RECORDED, PLAN_IS_REPLAYED } mode;
    uint64_t origin_us;
};

/* Where an actor stands in a plan that is replayed. */
struct plan_cursor {
    uint32_t kind;
    uint32_t actor;
    size_t position;
};

void plan_release(struct plan *plan);
struct plan plan_copy(const struct plan *plan);
void plan_add(struct plan *plan, const struct plan_item *item);
/* Drawing, recorded: note an item that happens now. */
void plan_record(struct plan *plan, uint64_t now_us, const struct plan_item *item);
bool plan_is_replayed(const struct plan *plan);

/* Replaying: the actor's next item; NULL: none is left. */
const struct plan_item *plan_peek(const struct plan *plan, struct plan_cursor *cursor);
/* Replaying: whether the actor's next item is due; it is passed then. */
bool plan_take(const struct plan *plan,
               struct plan_cursor *cursor,
               uint64_t now_us,
               struct plan_item *ret_item);

/* For an actor with turns of its own, in either mode. The seed of what it does in this turn: */
uint64_t
plan_seed(struct plan *plan, struct plan_cursor *cursor, uint64_t now_us, struct prng *prng);
/* and how long until its next turn, drawn between 1 and `delay_us_max`; UINT64_MAX: none comes. */
uint64_t plan_delay(const struct plan *plan,
                    struct plan_cursor *cursor,
                    uint64_t now_us,
                    struct prng *prng,
                    uint64_t delay_us_max);

void plan_write(const struct plan *plan, FILE *file);
/* Replayed from then on. INVALID names the line; IO. */
MUST_CHECK enum status plan_read(const char *path, struct plan *ret_plan, struct error *error);

#endif
