#include "base/round_robin.h"

#include <stddef.h>

void round_robin_init(struct round_robin *robin)
{
    for (int kind = 0; kind < ROUND_ROBIN_KINDS; kind++) {
        list_init(&robin->waiting[kind]);
        list_init(&robin->due[kind]);
        robin->served[kind] = false;
    }
}

void round_robin_place_init(struct round_robin_place *place)
{
    list_init(&place->link);
    place->is_heavy = false;
}

void round_robin_enter(struct round_robin *robin, struct round_robin_place *place)
{
    if (list_is_empty(&place->link)) {
        list_append(&robin->waiting[place->is_heavy], &place->link);
    }
}

bool round_robin_is_empty(const struct round_robin *robin)
{
    for (int kind = 0; kind < ROUND_ROBIN_KINDS; kind++) {
        if (!list_is_empty(&robin->waiting[kind]) || !list_is_empty(&robin->due[kind])) {
            return false;
        }
    }
    return true;
}

void round_robin_begin(struct round_robin *robin)
{
    for (int kind = 0; kind < ROUND_ROBIN_KINDS; kind++) {
        list_prepend_all(&robin->due[kind], &robin->waiting[kind]);
        robin->served[kind] = false;
    }
}

struct round_robin_place *round_robin_next(struct round_robin *robin, bool time_is_up)
{
    for (int kind = 0; kind < ROUND_ROBIN_KINDS; kind++) {
        struct list *link;

        if (time_is_up && robin->served[kind]) {
            continue;
        }
        link = list_take_first(&robin->due[kind]);
        if (link != NULL) {
            robin->served[kind] = true;
            return CONTAINER_OF(link, struct round_robin_place, link);
        }
    }
    return NULL;
}

bool round_robin_has_due(const struct round_robin *robin)
{
    for (int kind = 0; kind < ROUND_ROBIN_KINDS; kind++) {
        if (!list_is_empty(&robin->due[kind])) {
            return true;
        }
    }
    return false;
}

void round_robin_return(struct round_robin *robin, struct round_robin_place *place)
{
    list_prepend(&robin->due[place->is_heavy], &place->link);
}

void round_robin_end(struct round_robin *robin)
{
    for (int kind = 0; kind < ROUND_ROBIN_KINDS; kind++) {
        list_prepend_all(&robin->waiting[kind], &robin->due[kind]);
    }
}
