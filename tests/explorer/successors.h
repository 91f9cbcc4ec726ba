/* Everything that can happen next. */
#ifndef TESTS_EXPLORER_SUCCESSORS_H
#define TESTS_EXPLORER_SUCCESSORS_H

#include "tests/explorer/state.h"

struct event {
    uint8_t node;
    struct site_input input; /* SITE_RECEIVE: of a message in flight, unless it is a dump */
    uint8_t dump_from;       /* 0: no dump */
    bool keeps;              /* the message stays in flight: it was duplicated */
    uint32_t first_output;   /* in sites.outputs: the messages that were sent */
    uint8_t message_count;
};

/* `violation`: NULL, or what the event violates; then `state` is not complete. Return false to see
 * no more. */
typedef bool successors_visit(void *context,
                              const struct event *event,
                              const struct state *state,
                              const char *violation);

/* In an order that depends on the state alone, as long as the world lives. Left out are events
 * that change nothing. */
void successors_each(struct world *world,
                     const struct state *state,
                     successors_visit *visit,
                     void *context);

/* The outcomes of this one event alone, possible or not, free of budgets. */
void successors_of(struct world *world,
                   const struct state *state,
                   const struct event *event,
                   successors_visit *visit,
                   void *context);

#endif
