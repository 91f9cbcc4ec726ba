#include "tests/explorer/successors.h"

#include "base/check.h"
#include "tests/explorer/invariants.h"
#include "tests/explorer/symmetry.h"
#include "tests/scenario/timeless.h"

#include <string.h>

enum { GATHERED_MAX = BOUNDS_FLIGHT_MAX + SITE_OUTPUT_MAX };

struct round {
    struct world *world;
    const struct state *state;
    struct ghost ghost;
    successors_visit *visit;
    void *context;
    bool stopped;
};

/* --- Messages in flight --- */

struct gathered {
    uint32_t items[GATHERED_MAX]; /* messages + 1 */
    unsigned count;
};

/* Whether the receiver, as it is, will ignore this for ever: it answers a question of a term, or
 * of a role in it, that will not come again. */
static bool is_stale(const struct site_view *to, const struct vocabulary_message *message)
{
    uint8_t term = message->term;
    bool role_is_over = term == to->term && term == to->disk_term;
    switch (message->type) {
    case RAFT_PREVOTE_RESPONSE:
        return term < to->disk_term || (message->words[1] != 0 && term == to->disk_term);
    case RAFT_VOTE_RESPONSE:
        return term < to->disk_term || (role_is_over && to->role != RAFT_CANDIDATE);
    case RAFT_APPEND_RESPONSE:
    case RAFT_HEARTBEAT_RESPONSE:
    case RAFT_TIMEOUT_NOW_RESPONSE:
        return term < to->disk_term || (role_is_over && to->role != RAFT_LEADER);
    case RAFT_READ_INDEX_RESPONSE:
        return term < to->disk_term;
    default:
        return false;
    }
}

static void gather(const struct world *world,
                   const struct state *state,
                   uint32_t message,
                   struct gathered *gathered)
{
    const struct vocabulary_message *known =
        vocabulary_message_of(&world->sites.vocabulary, message);
    if (known->to == 0 || known->to > world->node_count) {
        return;
    }
    if (world->bounds->forget_stale && is_stale(world_view(world, state, known->to), known)) {
        return;
    }
    CHECK_OP(gathered->count, <, GATHERED_MAX);
    unsigned at = gathered->count++;
    while (at > 0 && gathered->items[at - 1] < message + 1) {
        gathered->items[at] = gathered->items[at - 1];
        at--;
    }
    gathered->items[at] = message + 1;
}

/* What is in flight after the event: `delivered` + 1 left, unless it is 0; then the output came. */
static struct gathered gather_all(const struct world *world,
                                  const struct state *before,
                                  const struct state *after,
                                  uint32_t delivered,
                                  const struct sites_step *step)
{
    struct gathered gathered = {.count = 0};
    const uint32_t *flight = world_flight(world, before);
    for (unsigned i = 0; i < world->bounds->flight_max && flight[i] != 0; i++) {
        if (flight[i] == delivered) {
            delivered = 0;
            continue;
        }
        gather(world, after, flight[i] - 1, &gathered);
    }
    for (unsigned i = 0; i < step->message_count; i++) {
        gather(world, after, sites_message(&world->sites, step, i), &gathered);
    }
    return gathered;
}

/* Messages are lost only when there is no place for them: those that will never be delivered may
 * as well stay. Then each choice of those that stay is a successor. */
static void visit_losses(struct round *round,
                         const struct event *event,
                         struct state *next,
                         const struct gathered *gathered)
{
    struct world *world = round->world;
    unsigned max = world->bounds->flight_max;
    uint32_t *flight = &next->words[world->node_count];
    memset(flight, 0, max * sizeof flight[0]);
    if (gathered->count <= max) {
        memcpy(flight, gathered->items, gathered->count * sizeof flight[0]);
        round->stopped = !round->visit(round->context, event, next, NULL);
        return;
    }
    /* Each number with `max` bits, rising (Gosper's way to the next one). */
    uint64_t chosen = (UINT64_C(1) << max) - 1;
    while (chosen < UINT64_C(1) << gathered->count && !round->stopped) {
        unsigned count = 0;
        for (unsigned i = 0; i < gathered->count; i++) {
            if ((chosen >> i & 1) != 0) {
                flight[count++] = gathered->items[i];
            }
        }
        round->stopped = !round->visit(round->context, event, next, NULL);
        uint64_t low = chosen & (0 - chosen);
        CHECK(low != 0);
        uint64_t ripple = chosen + low;
        chosen = ripple | ((chosen ^ ripple) >> 2) / low;
    }
}

/* --- One event --- */

static void note_read(const struct event *event, struct ghost *ghost)
{
    if (event->input.kind == SITE_READ) {
        ghost->reads[event->input.argument - 1] =
            (struct ghost_read){.node = event->node, .known = ghost->committed};
    }
}

static bool spends(const struct round *round, enum bounds_budget budget)
{
    return round->ghost.used[budget] < round->world->bounds->budgets[budget];
}

static void try_event(struct round *round, const struct event *tried, enum bounds_budget budget)
{
    if (round->stopped || (budget != BOUNDS_BUDGET_COUNT && !spends(round, budget))) {
        return;
    }
    struct world *world = round->world;
    struct event event = *tried;
    uint32_t site = round->state->words[event.node - 1];
    struct sites_step step = sites_step(&world->sites, site, &event.input);
    bool even = !step.fresh || world->symmetry == NULL ||
                symmetry_prove(world->symmetry, world, site, &event.input);
    if (!even) {
        step.violation = "not a fault of the core, but of the search: a step depends on ids";
        step.enabled = true;
    }
    if (!step.enabled || (step.violation == NULL && step.next == site && step.message_count == 0 &&
                          step.read_count == 0)) {
        return;
    }
    event.first_output = step.first_output;
    event.message_count = step.message_count;
    struct state next = *round->state;
    next.words[event.node - 1] = step.next;
    struct ghost ghost = round->ghost;
    if (budget != BOUNDS_BUDGET_COUNT) {
        ghost.used[budget]++;
    }
    note_read(&event, &ghost);
    struct transition transition = {.before = round->state,
                                    .after = &next,
                                    .node = event.node,
                                    .input = &event.input,
                                    .step = &step};
    const char *violation = invariants_check(world, &transition, &ghost);
    if (violation != NULL) {
        round->stopped = !round->visit(round->context, &event, &next, violation);
        return;
    }
    world_set_ghost(world, &next, &ghost);
    bool arrives = event.input.kind == SITE_RECEIVE && event.dump_from == 0 && !event.keeps;
    struct gathered gathered =
        gather_all(world, round->state, &next, arrives ? event.input.argument + 1 : 0, &step);
    visit_losses(round, &event, &next, &gathered);
}

/* With and without a flush after it. */
static void try_input(struct round *round,
                      uint8_t node,
                      enum site_input_kind kind,
                      uint32_t argument,
                      enum bounds_budget budget)
{
    struct event event = {.node = node, .input = {.kind = kind, .argument = argument}};
    try_event(round, &event, budget);
    const struct site_view *view = world_view(round->world, round->state, node);
    bool delayable = kind != SITE_CRASH && kind != SITE_FLUSH;
    if (delayable && view->unflushed < round->world->bounds->delay_max) {
        event.input.delay = true;
        try_event(round, &event, budget);
    }
}

static void try_messages(struct round *round)
{
    const uint32_t *flight = world_flight(round->world, round->state);
    unsigned max = round->world->bounds->flight_max;
    for (unsigned i = 0; i < max && flight[i] != 0; i++) {
        if (i > 0 && flight[i] == flight[i - 1]) {
            continue;
        }
        uint32_t message = flight[i] - 1;
        uint8_t to = vocabulary_message_of(&round->world->sites.vocabulary, message)->to;
        try_input(round, to, SITE_RECEIVE, message, BOUNDS_BUDGET_COUNT);
        struct event event = {
            .node = to, .input = {.kind = SITE_RECEIVE, .argument = message}, .keeps = true};
        try_event(round, &event, BOUNDS_DUPLICATES);
    }
}

static void try_timers(struct round *round, uint8_t node)
{
    const struct bounds *bounds = round->world->bounds;
    if (world_view(round->world, round->state, node)->term < bounds->term_max) {
        try_input(round, node, SITE_EXPIRE, bounds->prevote ? TIMELESS_ELECTION : TIMELESS_CAMPAIGN,
                  BOUNDS_BUDGET_COUNT);
    }
    for (uint32_t timer = TIMELESS_HEARTBEAT; timer < TIMELESS_TIMER_COUNT; timer++) {
        try_input(round, node, SITE_EXPIRE, timer, BOUNDS_BUDGET_COUNT);
    }
}

static void try_client(struct round *round, uint8_t node)
{
    const uint8_t *used = round->ghost.used;
    try_input(round, node, SITE_PROPOSE, used[BOUNDS_PROPOSALS] + 1u, BOUNDS_PROPOSALS);
    try_input(round, node, SITE_READ, used[BOUNDS_READS] + 1u, BOUNDS_READS);
}

/* Every set of members as the new voters. */
static void try_operator(struct round *round, uint8_t node)
{
    uint8_t count = round->world->node_count;
    for (uint32_t voters = 1; voters < 1u << count; voters++) {
        try_input(round, node, SITE_CHANGE, voters << 1, BOUNDS_CHANGES);
    }
    try_input(round, node, SITE_CANCEL, 0, BOUNDS_CANCELS);
    for (uint8_t other = 1; other <= count; other++) {
        if (other != node) {
            try_input(round, node, SITE_TRANSFER, other, BOUNDS_TRANSFERS);
            try_input(round, node, SITE_PEER_DOWN, other, BOUNDS_PEER_DOWNS);
        }
    }
}

static void try_dump(struct round *round, uint8_t from, uint8_t to)
{
    const struct site_view *view = world_view(round->world, round->state, from);
    if (view->checkpoint == 0 || !spends(round, BOUNDS_DUMPS)) {
        return;
    }
    struct vocabulary_message dump = {.type = VOCABULARY_DUMP,
                                      .from = from,
                                      .to = to,
                                      .term = view->term,
                                      .words = {view->checkpoint, view->checkpoint_term,
                                                view->checkpoint_config_index,
                                                view->checkpoint_config}};
    struct event event = {.node = to, .dump_from = from, .input = {.kind = SITE_RECEIVE}};
    const char *violation = invariants_check_dump(round->world, view, &round->ghost);
    if (violation != NULL) {
        round->stopped = !round->visit(round->context, &event, round->state, violation);
        return;
    }
    event.input.argument = vocabulary_add_message(&round->world->sites.vocabulary, &dump);
    try_event(round, &event, BOUNDS_DUMPS);
}

static void try_disk(struct round *round, uint8_t node)
{
    try_input(round, node, SITE_PERSIST, 0, BOUNDS_BUDGET_COUNT);
    try_input(round, node, SITE_CRASH, 0, BOUNDS_CRASHES);
    try_input(round, node, SITE_CHECKPOINT, 0, BOUNDS_TRIMS);
    try_input(round, node, SITE_TRIM, 0, BOUNDS_TRIMS);
    try_input(round, node, SITE_FLUSH, 0, BOUNDS_BUDGET_COUNT);
    for (uint8_t from = 1; from <= round->world->node_count; from++) {
        if (from != node) {
            try_dump(round, from, node);
        }
    }
}

void successors_each(struct world *world,
                     const struct state *state,
                     successors_visit *visit,
                     void *context)
{
    struct round round = {.world = world,
                          .state = state,
                          .ghost = world_ghost(world, state),
                          .visit = visit,
                          .context = context};
    try_messages(&round);
    for (uint8_t node = 1; node <= world->node_count && !round.stopped; node++) {
        try_timers(&round, node);
        try_disk(&round, node);
        try_client(&round, node);
        try_operator(&round, node);
    }
}

void successors_of(struct world *world,
                   const struct state *state,
                   const struct event *event,
                   successors_visit *visit,
                   void *context)
{
    struct round round = {.world = world,
                          .state = state,
                          .ghost = world_ghost(world, state),
                          .visit = visit,
                          .context = context};
    try_event(&round, event, BOUNDS_BUDGET_COUNT);
}
