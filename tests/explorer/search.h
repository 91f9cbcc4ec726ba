/* Breadth first through all states: the first violation found is one with the fewest events.
 *
 * A state that was met is kept as its hash alone, and for the way back as the number of the state
 * it was reached from and which of that one's successors it was: 22 bytes a state, and the hash
 * set's empty slots. Only those not yet looked into are kept whole. A path is found again by
 * going from the beginning and taking the noted successor each time. */
#ifndef TESTS_EXPLORER_SEARCH_H
#define TESTS_EXPLORER_SEARCH_H

#include "tests/explorer/successors.h"

struct search_report;

/* The path in `report` leads to one of the states. */
typedef void search_tell(void *context, const struct search_report *report);

struct search_limits {
    uint64_t memory_bytes;
    uint64_t states;
    double seconds;
    bool progress; /* a line on stderr every few seconds */
    /* Without a violation, tell the ways to so many states, evenly spread. */
    unsigned samples;
    search_tell *tell;
    void *tell_context;
};

enum search_end {
    SEARCH_EXHAUSTED,
    SEARCH_VIOLATION,
    SEARCH_STATES,
    SEARCH_SECONDS,
    SEARCH_MEMORY
};

struct search_report {
    enum search_end end;
    const char *violation;
    uint64_t states;      /* distinct */
    uint64_t expanded;    /* of these, looked into */
    uint64_t transitions; /* successors seen, distinct or not */
    uint32_t depth;       /* events on the longest of the shortest paths, without the beginning */
    uint32_t sites;
    uint64_t memory_bytes;
    double seconds;
    /* With a violation, the events that lead to it; released with free(). */
    struct event *path;
    size_t path_length;
    struct state path_end;  /* its sites */
    size_t prologue_length; /* of these, the way to the state where the search began */
};

const char *search_end_name(enum search_end end);

struct search_report search_run(struct world *world, const struct search_limits *limits);

#endif
