#include "tests/history/partition.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"
#include "tests/history/unknown.h"

#include <stdlib.h>

/* What the history does with a path. */
struct use {
    history_path set; /* union-find: towards the representative */
    bool initial;     /* there from the beginning */
    bool removable;   /* removed by somebody, or ephemeral */
    bool targeted;    /* an operation is about it */
    bool needed;      /* a child is made that needs it to be there */
    bool listed;      /* its children are counted: a list, or sequence numbers */
    size_t part;
};

struct builder {
    const struct history *history;
    struct use *uses; /* by path */
    size_t use_count;
    struct unknown unknown;
};

static history_path find(const struct builder *builder, history_path path)
{
    while (builder->uses[path].set != path) {
        /* Halving the way keeps the ways short. */
        builder->uses[path].set = builder->uses[builder->uses[path].set].set;
        path = builder->uses[path].set;
    }
    return path;
}

static void join(struct builder *builder, history_path left, history_path right)
{
    builder->uses[find(builder, left)].set = find(builder, right);
}

static bool takes_part(const struct builder *builder, size_t position)
{
    const struct history_call *call = &builder->history->calls[position];

    switch (call->outcome) {
    case HISTORY_OK:
        return call->linearizable || unknown_has_writes(call);
    case HISTORY_REFUSED:
        return true;
    case HISTORY_NOT_APPLIED:
        return false;
    case HISTORY_UNKNOWN:
        break;
    }
    return unknown_has_writes(call) && !builder->unknown.did_nothing[position];
}

/* --- What belongs together --- */

/* The node whose children a sequential create counts, else the node itself. */
static history_path anchor_of(const struct history *history, const struct history_step *step)
{
    return step->kind == HISTORY_CREATE && step->sequential
               ? history_path_parent(history, step->path)
               : step->path;
}

static void note_use(struct builder *builder, const struct history_step *step)
{
    struct use *uses = builder->uses;
    history_path parent = history_path_parent(builder->history, step->path);
    bool sequential = step->kind == HISTORY_CREATE && step->sequential;

    uses[step->path].targeted = uses[step->path].targeted || !sequential;
    uses[step->path].listed = uses[step->path].listed || step->kind == HISTORY_LIST;
    uses[step->path].removable = uses[step->path].removable || step->kind == HISTORY_REMOVE ||
                                 (step->kind == HISTORY_CREATE && step->ephemeral);
    uses[parent].listed = uses[parent].listed || sequential;
    uses[parent].needed = uses[parent].needed || (step->kind == HISTORY_CREATE && !step->make);
    uses[step->made].removable = uses[step->made].removable || step->ephemeral;
    uses[step->made].targeted = true;
}

/* The children of `path` belong to its part. */
static bool holds_children(const struct builder *builder, history_path path)
{
    const struct use *use = &builder->uses[path];
    bool constant = use->initial && !use->removable;

    return use->listed || (!constant && (use->targeted || use->needed));
}

/* Tie the path to the ancestors that depend on it. */
static void tie(struct builder *builder, history_path path, bool makes_ancestors)
{
    history_path tied = path; /* everything from `path` to here is in its part */
    history_path child = path;
    history_path parent = history_path_parent(builder->history, path);

    while (parent != HISTORY_NO_PATH) {
        if (holds_children(builder, parent)) {
            join(builder, child, parent);
            while (makes_ancestors && tied != parent) {
                history_path next = history_path_parent(builder->history, tied);

                join(builder, tied, next);
                tied = next;
            }
        }
        child = parent;
        parent = history_path_parent(builder->history, parent);
    }
}

static void tie_call(struct builder *builder, const struct history_call *call)
{
    const struct history *history = builder->history;
    history_path first = anchor_of(history, &call->steps[0]);

    for (size_t i = 0; i < call->step_count; i++) {
        const struct history_step *step = &call->steps[i];

        tie(builder, anchor_of(history, step), step->make);
        join(builder, first, anchor_of(history, step));
        if (step->made != HISTORY_NO_PATH) {
            tie(builder, step->made, step->make);
            join(builder, first, step->made);
        }
        for (size_t j = 0; j < step->name_count; j++) {
            join(builder, first, step->names[j]);
        }
    }
}

static void note_uses(struct builder *builder)
{
    const struct history *history = builder->history;

    for (history_path path = 0; path < builder->use_count; path++) {
        builder->uses[path].set = path;
        builder->uses[path].part = SIZE_MAX;
        builder->uses[path].initial =
            path != HISTORY_NO_PATH && history_path_parent(history, path) == HISTORY_NO_PATH;
    }
    for (size_t i = 0; i < history->effect_count; i++) {
        if (history->effects[i].zxid == 0 && history->effects[i].kind == HISTORY_EFFECT_CREATED) {
            builder->uses[history->effects[i].path].initial = true;
        }
    }
    for (size_t i = 0; i < history->call_count; i++) {
        for (size_t j = 0; takes_part(builder, i) && j < history->calls[i].step_count; j++) {
            note_use(builder, &history->calls[i].steps[j]);
        }
    }
    for (size_t i = 0; i < history->call_count; i++) {
        if (takes_part(builder, i)) {
            tie_call(builder, &history->calls[i]);
        }
    }
    /* Nodes from the beginning that a list may show. */
    for (size_t i = 0; i < history->effect_count; i++) {
        if (history->effects[i].zxid == 0 && history->effects[i].kind == HISTORY_EFFECT_CREATED) {
            tie(builder, history->effects[i].path, false);
        }
    }
}

/* --- Sessions --- */

struct session_end {
    uint64_t session;
    uint64_t invoked;  /* it lived after this */
    uint64_t returned; /* it was over by then; HISTORY_NEVER */
    bool must;
    uint64_t zxid;
    uint64_t after; /* zxid of its last write */
};

static void note_life(struct session_end *end, uint64_t at)
{
    end->invoked = at > end->invoked ? at : end->invoked;
}

/* What is known of the end of a session. Each is looked at once, so the history is walked once for
 * each that has ephemerals. */
static struct session_end end_of_session(const struct history *history, uint64_t session)
{
    struct session_end end = {.session = session, .returned = HISTORY_NEVER};

    for (size_t i = 0; i < history->session_count; i++) {
        const struct history_session *event = &history->sessions[i];

        if (event->session != session) {
            continue;
        }
        /* It was alive after each of these was asked; so it was when it was closed. */
        if (event->time != HISTORY_NEVER && event->kind != HISTORY_SESSION_SUSPENDED &&
            event->kind != HISTORY_SESSION_EXPIRED) {
            note_life(&end, event->asked);
        }
        if (event->kind >= HISTORY_SESSION_EXPIRED && event->time != HISTORY_NEVER) {
            end.must = true;
            end.returned = event->time < end.returned ? event->time : end.returned;
        }
    }
    for (size_t i = 0; i < history->call_count; i++) {
        const struct history_call *call = &history->calls[i];

        if (call->session != session || !unknown_has_writes(call)) {
            continue;
        }
        if (call->outcome == HISTORY_OK || call->outcome == HISTORY_REFUSED) {
            note_life(&end, call->invoked);
        }
        if (call->outcome == HISTORY_OK && call->zxid > end.after) {
            end.after = call->zxid;
        }
    }
    for (size_t i = 0; i < history->effect_count; i++) {
        const struct history_effect *effect = &history->effects[i];

        if (effect->session == session && effect->kind >= HISTORY_EFFECT_SESSION_CLOSED) {
            end.zxid = effect->zxid;
            end.must = true;
        }
    }
    /* Life after the end is for the checker of sessions to find. */
    if (end.invoked > end.returned) {
        end.invoked = end.returned;
    }
    return end;
}

/* --- Parts --- */

static struct part *part_of(struct partition *partition, struct builder *builder, history_path path)
{
    struct use *use = &builder->uses[find(builder, path)];

    if (use->part == SIZE_MAX) {
        use->part = partition->part_count++;
    }
    return &partition->parts[use->part];
}

static struct part *
part_of_call(struct partition *partition, struct builder *builder, const struct history_call *call)
{
    return part_of(partition, builder, anchor_of(builder->history, &call->steps[0]));
}

static size_t unnamed_of(const struct history_call *call)
{
    size_t count = 0;

    for (size_t i = 0; i < call->step_count; i++) {
        const struct history_step *step = &call->steps[i];

        count += step->kind == HISTORY_CREATE && step->sequential && step->made == HISTORY_NO_PATH;
    }
    return count;
}

static bool makes_ephemerals(const struct history_call *call)
{
    bool any = false;

    for (size_t i = 0; i < call->step_count; i++) {
        any = any || (call->steps[i].kind == HISTORY_CREATE && call->steps[i].ephemeral);
    }
    return any && call->session != 0 && call->outcome != HISTORY_REFUSED;
}

/* Room for the paths and the actions; each ephemeral call may bring the end of its session. */
static void make_room(struct partition *partition, struct builder *builder)
{
    const struct history *history = builder->history;

    for (history_path path = 1; path < builder->use_count; path++) {
        part_of(partition, builder, path)->path_count++;
    }
    for (size_t i = 0; i < history->call_count; i++) {
        if (takes_part(builder, i)) {
            part_of_call(partition, builder, &history->calls[i])->action_count +=
                1 + makes_ephemerals(&history->calls[i]);
        }
    }
    for (size_t i = 0; i < partition->part_count; i++) {
        struct part *part = &partition->parts[i];

        part->paths = arena_calloc(&partition->arena, part->path_count, sizeof(history_path));
        part->actions =
            arena_calloc(&partition->arena, part->action_count, sizeof(struct part_action));
        part->path_count = 0;
        part->action_count = 0;
    }
}

static void add_call(struct part *part, const struct history_call *call, uint64_t zxid)
{
    bool must = call->outcome != HISTORY_UNKNOWN || zxid != 0;

    part->actions[part->action_count++] = (struct part_action){
        .call = call,
        .session = call->session,
        .session_number = PARTITION_NO_SESSION,
        .invoked = call->invoked,
        /* A client that gave up does not end what it began. */
        .returned = call->outcome == HISTORY_UNKNOWN ? HISTORY_NEVER : call->returned,
        .must = must,
        .zxid = zxid,
        .unnamed = part->unnamed_count};
    part->unnamed_count += unnamed_of(call);
}

static bool has_end(const struct part *part, uint64_t session)
{
    for (size_t i = part->action_count; i > 0; i--) {
        if (part->actions[i - 1].call == NULL && part->actions[i - 1].session == session) {
            return true;
        }
    }
    return false;
}

static void add_end(struct part *part, const struct session_end *end)
{
    part->actions[part->action_count++] =
        (struct part_action){.session = end->session,
                             .session_number = part->session_count++,
                             .invoked = end->invoked,
                             .returned = end->returned,
                             .must = end->must,
                             .zxid = end->zxid,
                             .after = end->after};
}

static void add_ends(struct partition *partition, struct builder *builder)
{
    const struct history *history = builder->history;
    struct session_end end = {.session = 0};

    for (size_t i = 0; i < history->call_count; i++) {
        const struct history_call *call = &history->calls[i];
        struct part *part;

        if (!takes_part(builder, i) || !makes_ephemerals(call)) {
            continue;
        }
        part = part_of_call(partition, builder, call);
        if (!has_end(part, call->session)) {
            if (end.session != call->session) {
                end = end_of_session(history, call->session);
            }
            add_end(part, &end);
        }
    }
}

static int compare_actions(const void *left, const void *right)
{
    const struct part_action *a = left;
    const struct part_action *b = right;

    if (a->invoked != b->invoked) {
        return a->invoked < b->invoked ? -1 : 1;
    }
    /* The same order on every machine. */
    if (a->returned != b->returned) {
        return a->returned < b->returned ? -1 : 1;
    }
    return a->call == b->call ? 0 : a->call < b->call ? -1 : 1;
}

static void number_sessions(struct part *part)
{
    for (size_t i = 0; i < part->action_count; i++) {
        struct part_action *end = &part->actions[i];

        for (size_t j = 0; end->call == NULL && j < part->action_count; j++) {
            if (part->actions[j].session == end->session) {
                part->actions[j].session_number = end->session_number;
            }
        }
    }
}

static void fill(struct partition *partition, struct builder *builder)
{
    const struct history *history = builder->history;

    for (history_path path = 1; path < builder->use_count; path++) {
        struct part *part = part_of(partition, builder, path);

        part->paths[part->path_count++] = path;
    }
    /* The ends first: they are looked for there. */
    add_ends(partition, builder);
    for (size_t i = 0; i < history->call_count; i++) {
        if (takes_part(builder, i)) {
            add_call(part_of_call(partition, builder, &history->calls[i]), &history->calls[i],
                     builder->unknown.zxids[i]);
        }
    }
    for (size_t i = 0; i < partition->part_count; i++) {
        struct part *part = &partition->parts[i];

        qsort(part->actions, part->action_count, sizeof *part->actions, compare_actions);
        number_sessions(part);
    }
}

void partition_init(struct partition *partition, const struct history *history)
{
    struct builder builder = {.history = history, .use_count = history_path_end(history)};

    *partition = (struct partition){.part_count = 0};
    arena_init(&partition->arena);
    builder.uses = xcalloc(builder.use_count, sizeof *builder.uses);
    unknown_init(&builder.unknown, history);
    note_uses(&builder);
    partition->parts = arena_calloc(&partition->arena, builder.use_count, sizeof(struct part));
    make_room(partition, &builder);
    fill(partition, &builder);
    free(builder.uses);
    unknown_release(&builder.unknown);
}

void partition_release(struct partition *partition)
{
    arena_release(&partition->arena);
}
