#include "tests/explorer/symmetry.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

/* --- Renamings --- */

static void add_renaming(struct symmetry *symmetry, const struct renaming *renaming)
{
    symmetry->renamings =
        xrealloc(symmetry->renamings, (symmetry->count + 1) * sizeof symmetry->renamings[0]);
    symmetry->renamings[symmetry->count++] = *renaming;
}

static bool next_permutation(uint8_t *items, size_t count)
{
    size_t at = count - 1;
    while (at > 0 && items[at - 1] >= items[at]) {
        at--;
    }
    if (at == 0) {
        return false;
    }
    size_t with = count - 1;
    while (items[with] <= items[at - 1]) {
        with--;
    }
    uint8_t item = items[at - 1];
    items[at - 1] = items[with];
    items[with] = item;
    for (size_t low = at, high = count - 1; low < high; low++, high--) {
        item = items[low];
        items[low] = items[high];
        items[high] = item;
    }
    return true;
}

void symmetry_init(struct symmetry *symmetry, uint8_t node_count)
{
    memset(symmetry, 0, sizeof *symmetry);
    struct renaming renaming;
    for (uint8_t id = 0; id <= BOUNDS_NODES_MAX; id++) {
        renaming.to[id] = id;
    }
    do {
        add_renaming(symmetry, &renaming);
    } while (next_permutation(&renaming.to[1], node_count));
}

void symmetry_release(struct symmetry *symmetry)
{
    free(symmetry->renamings);
    free(symmetry->sites.items);
    free(symmetry->messages.items);
    free(symmetry->ghosts.items);
    free(symmetry->orbits);
}

size_t symmetry_bytes(const struct symmetry *symmetry)
{
    size_t numbers =
        symmetry->sites.capacity + symmetry->messages.capacity + symmetry->ghosts.capacity;
    return (numbers * symmetry->count + symmetry->orbit_capacity) * sizeof(uint32_t);
}

/* --- Tables --- */

static uint32_t *slot_of(const struct symmetry *symmetry,
                         struct symmetry_table *table,
                         uint32_t number,
                         unsigned renaming)
{
    if (number >= table->capacity) {
        size_t old = table->capacity;
        table->capacity = ((size_t)number + 1) * 2;
        size_t count = symmetry->count;
        table->items = xrealloc(table->items, table->capacity * count * sizeof table->items[0]);
        memset(table->items + old * count, 0,
               (table->capacity - old) * count * sizeof table->items[0]);
    }
    return &table->items[(size_t)number * symmetry->count + renaming];
}

static uint32_t
renamed_site(struct symmetry *symmetry, struct world *world, uint32_t site, unsigned by)
{
    uint32_t *slot = slot_of(symmetry, &symmetry->sites, site, by);
    if (*slot == 0) {
        *slot = 1 + (by == 0 ? site : sites_rename(&world->sites, site, &symmetry->renamings[by]));
    }
    return *slot - 1;
}

static uint32_t
renamed_message(struct symmetry *symmetry, struct world *world, uint32_t message, unsigned by)
{
    uint32_t *slot = slot_of(symmetry, &symmetry->messages, message, by);
    if (*slot == 0) {
        *slot = 1 + rename_message(&world->sites.vocabulary, &symmetry->renamings[by], message);
    }
    return *slot - 1;
}

static uint32_t
renamed_ghost(struct symmetry *symmetry, struct world *world, uint32_t number, unsigned by)
{
    uint32_t *slot = slot_of(symmetry, &symmetry->ghosts, number, by);
    if (*slot != 0) {
        return *slot - 1;
    }
    const struct renaming *renaming = &symmetry->renamings[by];
    struct ghost ghost;
    memcpy(&ghost, intern_lend(&world->ghosts, number).data, sizeof ghost);
    for (size_t i = 0; i < STATE_TERMS_MAX; i++) {
        ghost.leaders[i] = renaming->to[ghost.leaders[i]];
    }
    for (size_t i = 0; i < SITE_LOG_END; i++) {
        ghost.history[i] = rename_entry(&world->sites.vocabulary, renaming, ghost.history[i]);
    }
    for (size_t i = 0; i < STATE_READS_MAX; i++) {
        ghost.reads[i].node = renaming->to[ghost.reads[i].node];
    }
    *slot = 1 + intern_add(&world->ghosts, bytes_of(&ghost, sizeof ghost));
    return *slot - 1;
}

/* The same for a site and all its renamed selves. */
static uint32_t orbit_of(struct symmetry *symmetry, struct world *world, uint32_t site)
{
    if (site >= symmetry->orbit_capacity) {
        size_t old = symmetry->orbit_capacity;
        symmetry->orbit_capacity = ((size_t)site + 1) * 2;
        symmetry->orbits =
            xrealloc(symmetry->orbits, symmetry->orbit_capacity * sizeof symmetry->orbits[0]);
        memset(symmetry->orbits + old, 0, (symmetry->orbit_capacity - old) * sizeof(uint32_t));
    }
    if (symmetry->orbits[site] == 0) {
        uint32_t lowest = site;
        for (unsigned by = 1; by < symmetry->count; by++) {
            uint32_t other = renamed_site(symmetry, world, site, by);
            lowest = other < lowest ? other : lowest;
        }
        symmetry->orbits[site] = lowest + 1;
    }
    return symmetry->orbits[site] - 1;
}

/* --- States --- */

static struct state
rename_state(struct symmetry *symmetry, struct world *world, const struct state *state, unsigned by)
{
    struct state to;
    memset(&to, 0, sizeof to);
    const struct renaming *renaming = &symmetry->renamings[by];
    for (uint8_t id = 1; id <= world->node_count; id++) {
        to.words[renaming->to[id] - 1] = renamed_site(symmetry, world, state->words[id - 1], by);
    }
    const uint32_t *flight = world_flight(world, state);
    uint32_t *sorted = &to.words[world->node_count];
    for (unsigned i = 0; i < world->bounds->flight_max && flight[i] != 0; i++) {
        uint32_t message = 1 + renamed_message(symmetry, world, flight[i] - 1, by);
        unsigned at = i;
        while (at > 0 && sorted[at - 1] < message) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = message;
    }
    to.words[world->width - 1] = renamed_ghost(symmetry, world, state->words[world->width - 1], by);
    return to;
}

/* The renamed nodes stand in the order of their orbits. Where all orbits differ, one renaming
 * does that, and it gives the same for all renamed selves of the state. */
static bool
puts_in_order(const struct world *world, const struct renaming *renaming, const uint32_t *orbits)
{
    uint32_t placed[BOUNDS_NODES_MAX + 1] = {0};
    for (uint8_t id = 1; id <= world->node_count; id++) {
        placed[renaming->to[id]] = orbits[id];
    }
    for (uint8_t id = 2; id <= world->node_count; id++) {
        if (placed[id - 1] > placed[id]) {
            return false;
        }
    }
    return true;
}

void symmetry_canonical(struct symmetry *symmetry,
                        struct world *world,
                        struct state *state,
                        struct renaming *ret_renaming)
{
    uint32_t orbits[BOUNDS_NODES_MAX + 1] = {0};
    for (uint8_t id = 1; id <= world->node_count; id++) {
        orbits[id] = orbit_of(symmetry, world, state->words[id - 1]);
    }
    struct state best;
    bool found = false;
    unsigned best_by = 0;
    for (unsigned by = 0; by < symmetry->count; by++) {
        if (!puts_in_order(world, &symmetry->renamings[by], orbits)) {
            continue;
        }
        struct state renamed = rename_state(symmetry, world, state, by);
        if (!found || memcmp(&renamed, &best, sizeof best) < 0) {
            best = renamed;
            best_by = by;
            found = true;
        }
    }
    CHECK(found);
    *state = best;
    *ret_renaming = symmetry->renamings[best_by];
}

/* --- Proof --- */

static int compare_numbers(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

/* The order in which one step sends its messages follows the ids, and nothing depends on it. */
static bool sends_the_same(struct symmetry *symmetry,
                           struct world *world,
                           const struct sites_step *step,
                           const struct sites_step *other,
                           unsigned by)
{
    uint32_t here[SITE_OUTPUT_MAX];
    uint32_t there[SITE_OUTPUT_MAX];
    if (step->message_count != other->message_count || step->read_count != other->read_count) {
        return false;
    }
    for (unsigned i = 0; i < step->message_count; i++) {
        here[i] = renamed_message(symmetry, world, sites_message(&world->sites, step, i), by);
        there[i] = sites_message(&world->sites, other, i);
    }
    qsort(here, step->message_count, sizeof here[0], compare_numbers);
    qsort(there, step->message_count, sizeof there[0], compare_numbers);
    return step->message_count == 0 ||
           memcmp(here, there, step->message_count * sizeof here[0]) == 0;
}

bool symmetry_prove(struct symmetry *symmetry,
                    struct world *world,
                    uint32_t site,
                    const struct site_input *input)
{
    struct sites_step step = sites_step(&world->sites, site, input);
    if (step.violation != NULL) {
        return true;
    }
    for (unsigned by = 1; by < symmetry->count; by++) {
        const struct renaming *renaming = &symmetry->renamings[by];
        struct site_input renamed = rename_input(&world->sites.vocabulary, renaming, input);
        struct sites_step other =
            sites_step(&world->sites, renamed_site(symmetry, world, site, by), &renamed);
        if (other.enabled != step.enabled || other.violation != NULL ||
            (step.enabled && (other.next != renamed_site(symmetry, world, step.next, by) ||
                              !sends_the_same(symmetry, world, &step, &other, by)))) {
            return false;
        }
    }
    symmetry->steps_proved++;
    return true;
}
