#include "tests/explorer/state.h"

#include "base/check.h"

#include <string.h>

void world_init(struct world *world, const struct bounds *bounds)
{
    memset(world, 0, sizeof *world);
    world->bounds = bounds;
    world->node_count = (uint8_t)(bounds->voters + bounds->spares);
    CHECK_OP(world->node_count, <=, BOUNDS_NODES_MAX);
    CHECK_OP(bounds->flight_max, <=, BOUNDS_FLIGHT_MAX);
    CHECK_OP(bounds->log_max, <, VOCABULARY_LOG_MAX);
    CHECK_OP(bounds->term_max, <, STATE_TERMS_MAX);
    CHECK_OP(bounds->write_max, <=, SITE_WRITES_MAX);
    CHECK_OP(bounds->budgets[BOUNDS_READS], <=, STATE_READS_MAX);
    world->width = (unsigned)world->node_count + bounds->flight_max + 1;
    sites_init(&world->sites, bounds);
    intern_init(&world->ghosts);
}

void world_release(struct world *world)
{
    sites_release(&world->sites);
    intern_release(&world->ghosts);
}

size_t world_bytes(const struct world *world)
{
    return sites_bytes(&world->sites) + world->ghosts.bytes_used;
}

struct ghost world_ghost(const struct world *world, const struct state *state)
{
    struct ghost ghost;
    struct bytes bytes = intern_lend(&world->ghosts, state->words[world->width - 1]);
    memcpy(&ghost, bytes.data, sizeof ghost);
    return ghost;
}

void world_set_ghost(struct world *world, struct state *state, const struct ghost *ghost)
{
    state->words[world->width - 1] = intern_add(&world->ghosts, bytes_of(ghost, sizeof *ghost));
}

struct state world_begin(struct world *world)
{
    struct state state;
    memset(&state, 0, sizeof state);
    for (uint8_t id = 1; id <= world->node_count; id++) {
        state.words[id - 1] = sites_begin(&world->sites, id);
    }
    struct ghost ghost;
    memset(&ghost, 0, sizeof ghost);
    world_set_ghost(world, &state, &ghost);
    return state;
}

uint8_t world_term_of(const struct world *world, uint8_t entry)
{
    return entry == 0 ? 0 : vocabulary_entry_of(&world->sites.vocabulary, entry).term;
}
