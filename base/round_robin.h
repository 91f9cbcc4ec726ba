/* Who is served next, of many that want more than there is time for. Those that took little when
 * they were served last come first: who asks for little never waits behind those that flood. All
 * others take turns, and at least one of them has his in each round, so nobody starves either. */
#ifndef BASE_ROUND_ROBIN_H
#define BASE_ROUND_ROBIN_H

#include "base/list.h"

#include <stdbool.h>

enum { ROUND_ROBIN_KINDS = 2 }; /* light, heavy */

struct round_robin {
    struct list waiting[ROUND_ROBIN_KINDS];
    struct list due[ROUND_ROBIN_KINDS]; /* in the round that is under way */
    bool served[ROUND_ROBIN_KINDS];     /* one of them, in this round */
};

/* One that wants to be served, inside its struct. `list_remove(&place->link)` takes it out. */
struct round_robin_place {
    struct list link;
    bool is_heavy; /* the owner's: it took much when it was served last; false at first */
};

void round_robin_init(struct round_robin *robin);
void round_robin_place_init(struct round_robin_place *place);

/* Wait behind the others of its kind, in a later round; nothing if it waits already. */
void round_robin_enter(struct round_robin *robin, struct round_robin_place *place);
bool round_robin_is_empty(const struct round_robin *robin);

/* A round: all that wait now, each once. Between begin and end:
 *
 * round_robin_next takes out whose turn it is; NULL: the round is over. Once the time is up, only
 * one of a kind that had none yet. round_robin_return gives the place just taken back, unserved. */
void round_robin_begin(struct round_robin *robin);
struct round_robin_place *round_robin_next(struct round_robin *robin, bool time_is_up);
bool round_robin_has_due(const struct round_robin *robin);
void round_robin_return(struct round_robin *robin, struct round_robin_place *place);
/* Those that had no turn stay in front. */
void round_robin_end(struct round_robin *robin);

#endif
