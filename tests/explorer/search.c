#include "tests/explorer/search.h"

#include "base/alloc.h"
#include "base/check.h"
#include "tests/explorer/hash_set.h"
#include "tests/explorer/symmetry.h"
#include "tests/scenario/timeless.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { QUEUE_WORDS = 1 << 18, TRAIL_STATES = 1 << 18, LOOK_EVERY = 1 << 10 };

/* States not looked into yet, first in, first out. */
struct queue_chunk {
    struct queue_chunk *next;
    uint32_t words[QUEUE_WORDS];
};

struct queue {
    struct queue_chunk *first;
    struct queue_chunk *last;
    size_t first_at; /* words taken out of `first` */
    size_t last_at;  /* words put into `last` */
    size_t chunks;
};

/* From where, and by which successor, each state was reached: by its number. */
struct trail_chunk {
    uint32_t parents[TRAIL_STATES];
    uint16_t ordinals[TRAIL_STATES];
};

struct search {
    struct world *world;
    struct symmetry symmetry;
    struct search_report report;
    struct hash_set seen;
    struct queue queue;
    struct trail_chunk **trail;
    size_t trail_chunks;
    struct state start; /* as it is; the search begins with the one that stands for it */
    bool began;         /* nothing was violated on the way there */
    struct event *prologue;
    size_t prologue_length;
    /* Of the state being looked into. */
    uint64_t parent;
    uint32_t ordinal;
    struct event last_event;
};

const char *search_end_name(enum search_end end)
{
    switch (end) {
    case SEARCH_EXHAUSTED:
        return "exhausted";
    case SEARCH_VIOLATION:
        return "violation";
    case SEARCH_STATES:
        return "not exhausted: limit of states";
    case SEARCH_SECONDS:
        return "not exhausted: limit of time";
    case SEARCH_MEMORY:
        return "not exhausted: limit of memory";
    }
    return "unknown";
}

/* --- Queue and trail --- */

static void queue_put(struct search *search, const struct state *state)
{
    struct queue *queue = &search->queue;
    unsigned width = search->world->width;
    if (queue->last == NULL || queue->last_at + width > QUEUE_WORDS) {
        struct queue_chunk *chunk = xmalloc(sizeof *chunk);
        chunk->next = NULL;
        if (queue->last != NULL) {
            queue->last->next = chunk;
        } else {
            queue->first = chunk;
        }
        queue->last = chunk;
        queue->last_at = 0;
        queue->chunks++;
    }
    memcpy(&queue->last->words[queue->last_at], state->words, width * sizeof(uint32_t));
    queue->last_at += width;
}

static bool queue_take(struct search *search, struct state *ret)
{
    struct queue *queue = &search->queue;
    unsigned width = search->world->width;
    if (queue->first == NULL ||
        (queue->first == queue->last && queue->first_at == queue->last_at)) {
        return false;
    }
    if (queue->first_at + width > QUEUE_WORDS) {
        struct queue_chunk *next = queue->first->next;
        free(queue->first);
        CHECK(next != NULL);
        queue->first = next;
        queue->first_at = 0;
        queue->chunks--;
    }
    memset(ret, 0, sizeof *ret);
    memcpy(ret->words, &queue->first->words[queue->first_at], width * sizeof(uint32_t));
    queue->first_at += width;
    return true;
}

static void queue_release(struct queue *queue)
{
    while (queue->first != NULL) {
        struct queue_chunk *next = queue->first->next;
        free(queue->first);
        queue->first = next;
    }
}

static void trail_put(struct search *search, uint64_t number, uint64_t parent, uint32_t ordinal)
{
    size_t chunk = number / TRAIL_STATES;
    if (chunk == search->trail_chunks) {
        search->trail = xrealloc(search->trail, (chunk + 1) * sizeof search->trail[0]);
        search->trail[search->trail_chunks++] = xmalloc(sizeof *search->trail[0]);
    }
    CHECK_OP(parent, <=, UINT32_MAX);
    CHECK_OP(ordinal, <=, UINT16_MAX);
    search->trail[chunk]->parents[number % TRAIL_STATES] = (uint32_t)parent;
    search->trail[chunk]->ordinals[number % TRAIL_STATES] = (uint16_t)ordinal;
}

static uint64_t memory_of(const struct search *search)
{
    return hash_set_bytes(&search->seen) + search->queue.chunks * sizeof(struct queue_chunk) +
           search->trail_chunks * sizeof(struct trail_chunk) + world_bytes(search->world) +
           symmetry_bytes(&search->symmetry);
}

/* --- The beginning --- */

struct first_outcome {
    struct state state;
    struct event event;
    bool found;
    const char *violation;
    bool (*wanted)(const struct event *event);
};

static bool take_first(void *context,
                       const struct event *event,
                       const struct state *state,
                       const char *violation)
{
    struct first_outcome *outcome = context;
    if (violation != NULL) {
        outcome->violation = violation;
        outcome->event = *event;
        return false;
    }
    if (outcome->wanted != NULL && !outcome->wanted(event)) {
        return true;
    }
    outcome->state = *state;
    outcome->event = *event;
    outcome->found = true;
    return false;
}

static bool settles(const struct event *event)
{
    return (event->input.kind == SITE_RECEIVE && !event->keeps && event->dump_from == 0 &&
            !event->input.delay) ||
           (event->input.kind == SITE_PERSIST && !event->input.delay);
}

static void accept(struct search *search, const struct first_outcome *outcome)
{
    search->prologue =
        xrealloc(search->prologue, (search->prologue_length + 1) * sizeof search->prologue[0]);
    search->prologue[search->prologue_length++] = outcome->event;
    search->start = outcome->state;
}

/* The one event, then deliver and write until nothing moves. Nothing after a violation. */
static void prepare(struct search *search, const struct event *event)
{
    struct first_outcome outcome = {.found = false};
    if (search->report.violation != NULL) {
        return;
    }
    successors_of(search->world, &search->start, event, take_first, &outcome);
    CHECK(outcome.found || outcome.violation != NULL);
    while (outcome.found) {
        accept(search, &outcome);
        outcome = (struct first_outcome){.found = false, .wanted = settles};
        successors_each(search->world, &search->start, take_first, &outcome);
    }
    search->report.violation = outcome.violation;
    search->last_event = outcome.event;
}

static void begin(struct search *search)
{
    const struct bounds *bounds = search->world->bounds;
    search->start = world_begin(search->world);
    if (!bounds->elected) {
        return;
    }
    uint32_t timer = bounds->prevote ? TIMELESS_ELECTION : TIMELESS_CAMPAIGN;
    struct event event = {.node = 1, .input = {.kind = SITE_EXPIRE, .argument = timer}};
    prepare(search, &event);
    for (uint8_t id = bounds->voters + 1; id <= search->world->node_count; id++) {
        event.input.kind = SITE_CHANGE;
        event.input.argument = SITE_CHANGE_LEARNER | id;
        prepare(search, &event);
    }
    const struct site_view *leader = world_view(search->world, &search->start, 1);
    CHECK(search->report.violation != NULL ||
          (leader->role == RAFT_LEADER && leader->commit == leader->last));
}

/* --- The search --- */

static void
name_canonically(struct search *search, struct state *state, struct renaming *ret_renaming)
{
    if (search->world->bounds->distinct_ids) {
        *ret_renaming = search->symmetry.renamings[0];
        return;
    }
    symmetry_canonical(&search->symmetry, search->world, state, ret_renaming);
}

static bool
visit(void *context, const struct event *event, const struct state *state, const char *violation)
{
    struct search *search = context;
    search->report.transitions++;
    uint32_t ordinal = search->ordinal++;
    if (violation != NULL) {
        search->report.violation = violation;
        search->last_event = *event;
        return false;
    }
    struct state canonical = *state;
    struct renaming ignored;
    name_canonically(search, &canonical, &ignored);
    size_t bytes = search->world->width * sizeof(uint32_t);
    if (hash_set_add(&search->seen, hash_set_hash(canonical.words, bytes))) {
        trail_put(search, search->report.states, search->parent, ordinal);
        search->report.states++;
        queue_put(search, &canonical);
    }
    return true;
}

struct pick {
    uint32_t ordinal;
    struct state state;
    struct event event;
};

static bool pick_ordinal(void *context,
                         const struct event *event,
                         const struct state *state,
                         const char *violation)
{
    struct pick *pick = context;
    CHECK(violation == NULL);
    if (pick->ordinal-- > 0) {
        return true;
    }
    pick->state = *state;
    pick->event = *event;
    return false;
}

/* The successors on the way to the state `number`; released with free(). */
static uint32_t *ordinals_to(const struct search *search, uint64_t number, size_t *ret_length)
{
    uint32_t *ordinals = NULL;
    size_t length = 0;
    for (uint64_t at = number; at != 0;) {
        const struct trail_chunk *chunk = search->trail[at / TRAIL_STATES];
        ordinals = xrealloc(ordinals, (length + 1) * sizeof ordinals[0]);
        ordinals[length++] = chunk->ordinals[at % TRAIL_STATES];
        at = chunk->parents[at % TRAIL_STATES];
    }
    for (size_t low = 0, high = length; low + 1 < high; low++) {
        uint32_t ordinal = ordinals[low];
        ordinals[low] = ordinals[--high];
        ordinals[high] = ordinal;
    }
    *ret_length = length;
    return ordinals;
}

/* The way as one cluster goes it. The search renames the nodes at each step; here they keep the
 * names that they had at the beginning. */
struct walk {
    struct state actual;
    struct renaming names; /* from the actual ones to those of the search */
};

/* The event under the actual names, taken there. */
static struct event walk_event(struct search *search, struct walk *walk, const struct event *event)
{
    struct world *world = search->world;
    struct renaming back = renaming_inverse(&walk->names);
    struct event actual = *event;
    actual.node = back.to[event->node];
    actual.dump_from = back.to[event->dump_from];
    actual.input = rename_input(&world->sites.vocabulary, &back, &event->input);
    uint32_t *site = &walk->actual.words[actual.node - 1];
    struct sites_step step = sites_step(&world->sites, *site, &actual.input);
    actual.first_output = step.first_output;
    actual.message_count = step.message_count;
    *site = step.next;
    return actual;
}

/* All events from the very beginning to the state `number`. With `last`, this one after them. */
static void keep_path(struct search *search, uint64_t number, const struct event *last)
{
    size_t length = 0;
    uint32_t *ordinals = ordinals_to(search, number, &length);
    struct search_report *report = &search->report;
    report->path = xcalloc(search->prologue_length + length + 1, sizeof report->path[0]);
    report->prologue_length = search->prologue_length;
    for (size_t i = 0; i < search->prologue_length; i++) {
        report->path[report->path_length++] = search->prologue[i];
    }
    struct walk walk = {.actual = search->start};
    struct state state = search->start;
    name_canonically(search, &state, &walk.names);
    if (!search->began) {
        walk.names = search->symmetry.renamings[0];
    }
    for (size_t i = 0; i < length; i++) {
        struct pick pick = {.ordinal = ordinals[i]};
        successors_each(search->world, &state, pick_ordinal, &pick);
        report->path[report->path_length++] = walk_event(search, &walk, &pick.event);
        struct renaming again;
        state = pick.state;
        name_canonically(search, &state, &again);
        walk.names = renaming_chain(&walk.names, &again);
    }
    if (last != NULL) {
        report->path[report->path_length++] = walk_event(search, &walk, last);
    }
    report->path_end = walk.actual;
    free(ordinals);
}

static double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void show_progress(const struct search *search)
{
    const struct search_report *report = &search->report;
    fprintf(stderr, "%.0f s: %" PRIu64 " states, %" PRIu64 " to look into, depth %u, %.1f MiB\n",
            report->seconds, report->states, report->states - report->expanded, report->depth,
            (double)report->memory_bytes / (1 << 20));
}

/* SEARCH_EXHAUSTED: go on. */
static enum search_end
look_at_limits(struct search *search, const struct search_limits *limits, double start)
{
    struct search_report *report = &search->report;
    double before = report->seconds;
    report->seconds = clock_seconds() - start;
    report->memory_bytes = memory_of(search);
    if (limits->progress && (int)(before / 5) != (int)(report->seconds / 5)) {
        show_progress(search);
    }
    if (limits->seconds > 0 && report->seconds >= limits->seconds) {
        return SEARCH_SECONDS;
    }
    /* One stretch of states adds at most a few million slots. */
    if (report->memory_bytes + hash_set_growth_bytes(&search->seen) > limits->memory_bytes) {
        return SEARCH_MEMORY;
    }
    return SEARCH_EXHAUSTED;
}

static enum search_end expand_all(struct search *search, const struct search_limits *limits)
{
    struct search_report *report = &search->report;
    double start = clock_seconds();
    uint64_t level_end = 1;
    struct state state;
    enum search_end end = SEARCH_EXHAUSTED;
    while (end == SEARCH_EXHAUSTED && queue_take(search, &state)) {
        if (report->expanded == level_end) {
            report->depth++;
            level_end = report->states;
        }
        search->parent = report->expanded++;
        search->ordinal = 0;
        successors_each(search->world, &state, visit, search);
        if (report->violation != NULL) {
            end = SEARCH_VIOLATION;
        } else if (limits->states > 0 && report->states >= limits->states) {
            end = SEARCH_STATES;
        } else if (report->expanded % LOOK_EVERY == 0) {
            end = look_at_limits(search, limits, start);
        }
    }
    report->seconds = clock_seconds() - start;
    report->memory_bytes = memory_of(search);
    return end;
}

static void tell_samples(struct search *search, const struct search_limits *limits)
{
    struct search_report *report = &search->report;
    for (unsigned i = 1; i <= limits->samples; i++) {
        keep_path(search, (report->states - 1) * i / limits->samples, NULL);
        limits->tell(limits->tell_context, report);
        free(report->path);
        report->path = NULL;
        report->path_length = 0;
    }
}

struct search_report search_run(struct world *world, const struct search_limits *limits)
{
    struct search search = {.world = world};
    hash_set_init(&search.seen);
    symmetry_init(&search.symmetry, world->bounds->distinct_ids ? 1 : world->node_count);
    begin(&search);
    search.began = search.report.violation == NULL;
    world->symmetry = world->bounds->distinct_ids ? NULL : &search.symmetry;
    struct state start = search.start;
    struct renaming ignored;
    name_canonically(&search, &start, &ignored);
    hash_set_add(&search.seen, hash_set_hash(start.words, world->width * sizeof(uint32_t)));
    trail_put(&search, 0, 0, 0);
    queue_put(&search, &start);
    search.report.states = 1;
    search.report.end =
        search.report.violation != NULL ? SEARCH_VIOLATION : expand_all(&search, limits);
    search.report.sites = world->sites.packed.count;
    if (search.report.end == SEARCH_VIOLATION) {
        keep_path(&search, search.parent, &search.last_event);
    } else {
        tell_samples(&search, limits);
    }
    world->symmetry = NULL;
    symmetry_release(&search.symmetry);
    hash_set_release(&search.seen);
    queue_release(&search.queue);
    for (size_t i = 0; i < search.trail_chunks; i++) {
        free(search.trail[i]);
    }
    free(search.trail);
    free(search.prologue);
    return search.report;
}
