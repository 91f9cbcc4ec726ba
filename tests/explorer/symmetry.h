/* One state stands for all that differ only in which node is which: N! fewer states for N nodes.
 *
 * That swapping ids changes nothing else is not taken on trust: each step of a site that is
 * computed is computed again under other names, and must give the renamed outcome. */
#ifndef TESTS_EXPLORER_SYMMETRY_H
#define TESTS_EXPLORER_SYMMETRY_H

#include "tests/explorer/rename.h"
#include "tests/explorer/state.h"

struct symmetry_table {
    uint32_t *items; /* [number * count of renamings + renaming]: renamed number + 1; 0 = unknown */
    size_t capacity; /* in numbers */
};

struct symmetry {
    struct renaming *renamings; /* the first changes nothing */
    unsigned count;
    struct symmetry_table sites;
    struct symmetry_table messages;
    struct symmetry_table ghosts;
    uint32_t *orbits; /* by site: the lowest number among its renamed selves + 1; 0 = unknown */
    size_t orbit_capacity;
    uint32_t steps_proved;
};

void symmetry_init(struct symmetry *symmetry, uint8_t node_count);
void symmetry_release(struct symmetry *symmetry);
size_t symmetry_bytes(const struct symmetry *symmetry);

/* The one that stands for `state`, and how it is named there. */
void symmetry_canonical(struct symmetry *symmetry,
                        struct world *world,
                        struct state *state,
                        struct renaming *ret_renaming);

/* False: the step is another one under other names. */
bool symmetry_prove(struct symmetry *symmetry,
                    struct world *world,
                    uint32_t site,
                    const struct site_input *input);

#endif
