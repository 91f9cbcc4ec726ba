/* A state of the whole cluster in a few words: the sites of its nodes, what is in flight, and the
 * ghost, which is what the outside has seen. Types and their helpers only. */
#ifndef TESTS_EXPLORER_STATE_H
#define TESTS_EXPLORER_STATE_H

#include "tests/explorer/sites.h"

enum {
    STATE_TERMS_MAX = 8,
    STATE_READS_MAX = 3,
    STATE_WORDS_MAX = BOUNDS_NODES_MAX + BOUNDS_FLIGHT_MAX + 1
};

/* Sites of nodes 1 ..., messages + 1 falling with zeros at the end, the number of the ghost. */
struct state {
    uint32_t words[STATE_WORDS_MAX];
};

struct ghost_read {
    uint8_t node;  /* 0: not under way */
    uint8_t known; /* committed when it began */
};

struct ghost {
    uint8_t used[BOUNDS_BUDGET_COUNT];
    uint8_t leaders[STATE_TERMS_MAX]; /* by term; 0 also for terms that all disks are past */
    uint8_t committed;                /* by anybody */
    uint8_t history[SITE_LOG_END];    /* the entries up to there */
    struct ghost_read reads[STATE_READS_MAX];
};

struct symmetry;

/* What a search is about. */
struct world {
    const struct bounds *bounds;
    struct sites sites;
    struct intern ghosts;
    struct symmetry *symmetry; /* NULL: ids are kept apart */
    uint8_t node_count;
    unsigned width; /* words of a state */
};

void world_init(struct world *world, const struct bounds *bounds);
void world_release(struct world *world);
size_t world_bytes(const struct world *world);

static inline const struct site_view *
world_view(const struct world *world, const struct state *state, uint8_t node)
{
    return sites_view(&world->sites, state->words[node - 1]);
}

static inline const uint32_t *world_flight(const struct world *world, const struct state *state)
{
    return &state->words[world->node_count];
}

struct ghost world_ghost(const struct world *world, const struct state *state);
void world_set_ghost(struct world *world, struct state *state, const struct ghost *ghost);

/* Before anything happened. */
struct state world_begin(struct world *world);

uint8_t world_term_of(const struct world *world, uint8_t entry);

#endif
