/* How far a search goes. Each named set is small enough to be searched to the end, or so near to
 * it that the first hours are worth having. */
#ifndef TESTS_EXPLORER_BOUNDS_H
#define TESTS_EXPLORER_BOUNDS_H

#include <stdbool.h>
#include <stdint.h>

enum { BOUNDS_NODES_MAX = 5, BOUNDS_FLIGHT_MAX = 8 };

/* What may happen only so often on the way to one state. */
enum bounds_budget {
    BOUNDS_PROPOSALS,
    BOUNDS_CRASHES,
    BOUNDS_DUPLICATES,
    BOUNDS_READS,
    BOUNDS_CHANGES,
    BOUNDS_CANCELS,
    BOUNDS_TRANSFERS,
    BOUNDS_PEER_DOWNS,
    BOUNDS_DUMPS,
    BOUNDS_TRIMS,
    BOUNDS_BUDGET_COUNT
};

struct bounds {
    const char *name;
    const char *purpose;
    uint8_t voters; /* nodes 1 ... voters form the cluster */
    uint8_t spares; /* the nodes after them are its learners */
    uint8_t term_max;
    uint8_t log_max;    /* indexes */
    uint8_t flight_max; /* messages that will still be delivered */
    uint8_t write_max;  /* unfinished writes of one node */
    uint8_t budgets[BOUNDS_BUDGET_COUNT];
    bool elected;      /* begins with 1 leading in term 2, and everything at rest */
    bool prevote;      /* campaigns ask first; else pre-votes count as granted */
    bool forget_stale; /* drop messages that the receiver ignores for ever */
    bool instant_disk; /* a write is finished at once; else whenever it may be */
    bool distinct_ids; /* states that differ in who is who are different */
    uint8_t delay_max; /* inputs that a node may take without a flush */
};

/* NULL if there is none of that name. */
const struct bounds *bounds_find(const char *name);
/* The i-th; NULL at the end. */
const struct bounds *bounds_at(unsigned i);
/* Change one of them, as --list names it. False: there is none of that name. */
bool bounds_set(struct bounds *bounds, const char *name, uint8_t value);
const char *bounds_budget_name(enum bounds_budget budget);

#endif
