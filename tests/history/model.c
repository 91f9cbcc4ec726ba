#include "tests/history/model.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEQUENCE_DIGITS = 10, PATH_BYTES_MAX = 4096 };

enum change_kind { CHANGE_NODE, CHANGE_ZXID, CHANGE_ENDED };

struct model_change {
    enum change_kind kind;
    size_t slot; /* or session number */
    uint64_t zxid;
    struct model_node node; /* as it was */
};

/* --- Hash --- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t hash_node(uint64_t seed, size_t slot, const struct model_node *node)
{
    uint64_t hash = mix(seed, slot);

    if (!node->exists) {
        return 0;
    }
    hash = mix(hash, node->value);
    hash = mix(hash, (uint64_t)node->version);
    hash = mix(hash, node->czxid);
    hash = mix(hash, node->mzxid);
    hash = mix(hash, node->owner);
    return mix(hash, node->sequence);
}

static void toggle(struct model *model, size_t slot, const struct model_node *node)
{
    model->hash.low ^= hash_node(UINT64_C(0x2545f4914f6cdd1d), slot, node);
    model->hash.high ^= hash_node(UINT64_C(0xd6e8feb86659fd93), slot, node);
}

static void toggle_ended(struct model *model, size_t session)
{
    model->hash.low ^= mix(UINT64_C(0xa0761d6478bd642f), session);
    model->hash.high ^= mix(UINT64_C(0xe7037ed1a0b428db), session);
}

/* --- Changes that can be taken back --- */

static struct model_change *add_change(struct model *model)
{
    if (model->change_count == model->change_capacity) {
        model->change_capacity = 2 * model->change_capacity + 64;
        model->changes = xrealloc(model->changes, model->change_capacity * sizeof *model->changes);
    }
    return &model->changes[model->change_count++];
}

static void put(struct model *model, size_t slot, struct model_node node)
{
    *add_change(model) =
        (struct model_change){.kind = CHANGE_NODE, .slot = slot, .node = model->nodes[slot]};
    toggle(model, slot, &model->nodes[slot]);
    toggle(model, slot, &node);
    model->nodes[slot] = node;
}

static void put_zxid(struct model *model, uint64_t zxid)
{
    *add_change(model) = (struct model_change){.kind = CHANGE_ZXID, .zxid = model->zxid};
    model->zxid = zxid;
}

static void put_ended(struct model *model, size_t session)
{
    *add_change(model) = (struct model_change){.kind = CHANGE_ENDED, .slot = session};
    model->ended[session] = true;
    toggle_ended(model, session);
}

size_t model_mark(const struct model *model)
{
    return model->change_count;
}

void model_undo(struct model *model, size_t mark)
{
    while (model->change_count > mark) {
        const struct model_change *change = &model->changes[--model->change_count];

        switch (change->kind) {
        case CHANGE_NODE:
            toggle(model, change->slot, &model->nodes[change->slot]);
            toggle(model, change->slot, &change->node);
            model->nodes[change->slot] = change->node;
            break;
        case CHANGE_ZXID:
            model->zxid = change->zxid;
            break;
        case CHANGE_ENDED:
            model->ended[change->slot] = false;
            toggle_ended(model, change->slot);
            break;
        }
    }
}

/* --- Life --- */

static void set_parents(struct model *model)
{
    for (size_t i = 0; i < model->slot_count; i++) {
        model->parents[i] = MODEL_NO_SLOT;
    }
    for (size_t i = 0; i < model->part->path_count; i++) {
        model->parents[i] =
            model->slots[history_path_parent(model->history, model->part->paths[i])];
    }
}

static void add_child(struct model *model, size_t slot)
{
    struct model_node parent;

    if (model->parents[slot] != MODEL_NO_SLOT) {
        parent = model->nodes[model->parents[slot]];
        parent.sequence++;
        parent.child_count++;
        put(model, model->parents[slot], parent);
    }
}

static void set_beginning(struct model *model)
{
    const struct history *history = model->history;
    size_t root = model->slots[history_path_find(history, bytes_of("/", 1))];

    if (root != MODEL_NO_SLOT) {
        put(model, root, (struct model_node){.exists = true});
    }
    for (size_t i = 0; i < history->effect_count; i++) {
        const struct history_effect *effect = &history->effects[i];

        if (effect->zxid == 0 && effect->kind == HISTORY_EFFECT_CREATED &&
            model->slots[effect->path] != MODEL_NO_SLOT) {
            put(model, model->slots[effect->path],
                (struct model_node){
                    .exists = true, .value = effect->value, .version = effect->version});
            add_child(model, model->slots[effect->path]);
        }
    }
    model->change_count = 0;
}

void model_init(struct model *model, const struct history *history, const struct part *part)
{
    size_t path_end = history_path_end(history);

    *model = (struct model){.history = history, .part = part};
    model->slot_count = part->path_count + part->unnamed_count;
    model->nodes = xcalloc(model->slot_count, sizeof *model->nodes);
    model->parents = xcalloc(model->slot_count, sizeof *model->parents);
    model->slots = xcalloc(path_end, sizeof *model->slots);
    model->ended = xcalloc(part->session_count, sizeof *model->ended);
    for (size_t i = 0; i < path_end; i++) {
        model->slots[i] = MODEL_NO_SLOT;
    }
    for (size_t i = 0; i < part->path_count; i++) {
        model->slots[part->paths[i]] = i;
    }
    set_parents(model);
    set_beginning(model);
}

void model_release(struct model *model)
{
    free(model->nodes);
    free(model->parents);
    free(model->slots);
    free(model->ended);
    free(model->changes);
}

/* --- Operations --- */

static struct model_node *node_at(struct model *model, size_t slot)
{
    return slot == MODEL_NO_SLOT ? NULL : &model->nodes[slot];
}

/* A node outside of the part is there: nobody's answer depends on it. */
static bool is_there(const struct model *model, size_t slot)
{
    return slot == MODEL_NO_SLOT || model->nodes[slot].exists;
}

static void make_node(struct model *model, size_t slot, struct model_node node)
{
    node.exists = true;
    put(model, slot, node);
    add_child(model, slot);
}

static void take_node(struct model *model, size_t slot)
{
    struct model_node parent;

    put(model, slot, (struct model_node){.exists = false});
    if (model->parents[slot] != MODEL_NO_SLOT) {
        parent = model->nodes[model->parents[slot]];
        parent.child_count--;
        put(model, model->parents[slot], parent);
    }
}

/* The ancestors of `path` that are missing, from the top. */
static uint32_t make_ancestors(struct model *model, history_path path, uint64_t zxid)
{
    const struct history *history = model->history;
    history_path missing;

    do {
        missing = HISTORY_NO_PATH;
        for (history_path at = history_path_parent(history, path); at != HISTORY_NO_PATH;
             at = history_path_parent(history, at)) {
            missing = is_there(model, model->slots[at]) ? missing : at;
        }
        if (missing != HISTORY_NO_PATH) {
            const struct model_node *parent =
                node_at(model, model->slots[history_path_parent(history, missing)]);

            if (parent != NULL && parent->owner != 0) {
                return HISTORY_ERROR_NO_CHILDREN_FOR_EPHEMERALS;
            }
            make_node(model, model->slots[missing],
                      (struct model_node){.czxid = zxid, .mzxid = zxid});
        }
    } while (missing != HISTORY_NO_PATH);
    return HISTORY_ERROR_NONE;
}

/* Where the children of this parent that get the next number go. */
static history_path
numbered_path(const struct model *model, const struct history_step *step, uint32_t number)
{
    struct bytes prefix = history_path_text(model->history, step->path);
    char path[PATH_BYTES_MAX + SEQUENCE_DIGITS + 2];
    int size;

    if (prefix.size > PATH_BYTES_MAX) {
        return HISTORY_NO_PATH;
    }
    size = snprintf(path, sizeof path, "%s%010d", (const char *)prefix.data, (int)(int32_t)number);
    return history_path_find(model->history, bytes_of(path, (size_t)size));
}

static uint32_t create(struct model *model,
                       const struct part_action *action,
                       const struct history_step *step,
                       size_t *unnamed)
{
    size_t above = model->slots[history_path_parent(model->history, step->path)];
    history_path path = step->path;
    size_t slot;
    uint32_t error;

    if (!is_there(model, above) && !step->make) {
        return HISTORY_ERROR_NO_NODE;
    }
    error = step->make ? make_ancestors(model, step->path, action->zxid) : HISTORY_ERROR_NONE;
    if (error != HISTORY_ERROR_NONE) {
        return error;
    }
    if (step->sequential) {
        CHECK(above != MODEL_NO_SLOT);
        path = numbered_path(model, step, model->nodes[above].sequence);
    }
    if (action->call->outcome == HISTORY_OK && step->made != HISTORY_NO_PATH &&
        step->made != path) {
        return HISTORY_ERROR_MAX;
    }
    slot = path == HISTORY_NO_PATH ? MODEL_NO_SLOT : model->slots[path];
    if (slot == MODEL_NO_SLOT) {
        /* A name that nobody ever mentions; it counts nevertheless. */
        CHECK(step->sequential);
        if (step->made != HISTORY_NO_PATH) {
            return HISTORY_ERROR_MAX;
        }
        slot = model->part->path_count + (*unnamed)++;
        model->parents[slot] = above;
    }
    if (model->nodes[slot].exists) {
        return HISTORY_ERROR_NODE_EXISTS;
    }
    if (above != MODEL_NO_SLOT && model->nodes[above].owner != 0) {
        return HISTORY_ERROR_NO_CHILDREN_FOR_EPHEMERALS;
    }
    make_node(model, slot,
              (struct model_node){.value = step->value,
                                  .czxid = action->zxid,
                                  .mzxid = action->zxid,
                                  .owner = step->ephemeral ? action->session : 0});
    return HISTORY_ERROR_NONE;
}

static uint32_t
set(struct model *model, const struct part_action *action, const struct history_step *step)
{
    struct model_node node = model->nodes[model->slots[step->path]];
    struct history_step made = *step;
    size_t unnamed = 0;

    if (!node.exists && step->make) {
        made.sequential = false;
        made.ephemeral = false;
        return create(model, action, &made, &unnamed);
    }
    if (!node.exists) {
        return HISTORY_ERROR_NO_NODE;
    }
    if (step->expected != HISTORY_ANY_VERSION && step->expected != node.version) {
        return HISTORY_ERROR_BAD_VERSION;
    }
    node.value = step->value;
    node.version++;
    node.mzxid = action->zxid;
    put(model, model->slots[step->path], node);
    return HISTORY_ERROR_NONE;
}

static uint32_t take_away(struct model *model, const struct history_step *step)
{
    size_t slot = model->slots[step->path];
    const struct model_node *node = &model->nodes[slot];

    if (!node->exists) {
        return HISTORY_ERROR_NO_NODE;
    }
    if (step->expected != HISTORY_ANY_VERSION && step->expected != node->version) {
        return HISTORY_ERROR_BAD_VERSION;
    }
    if (node->child_count > 0) {
        return HISTORY_ERROR_NOT_EMPTY;
    }
    take_node(model, slot);
    return HISTORY_ERROR_NONE;
}

static uint32_t check(const struct model *model, const struct history_step *step)
{
    const struct model_node *node = &model->nodes[model->slots[step->path]];

    if (step->kind == HISTORY_CHECK_ABSENT) {
        return node->exists ? HISTORY_ERROR_NODE_EXISTS : HISTORY_ERROR_NONE;
    }
    if (!node->exists) {
        return HISTORY_ERROR_NO_NODE;
    }
    return step->expected != HISTORY_ANY_VERSION && step->expected != node->version
               ? HISTORY_ERROR_BAD_VERSION
               : HISTORY_ERROR_NONE;
}

/* --- Answers --- */

static bool same_if_known(uint64_t left, uint64_t right)
{
    return left == 0 || right == 0 || left == right;
}

static bool shows_stat(const struct history_step *step, const struct model_node *node)
{
    return !step->has_stat ||
           (step->version == node->version && step->owner == node->owner &&
            same_if_known(step->czxid, node->czxid) && same_if_known(step->mzxid, node->mzxid));
}

static bool shows_names(const struct model *model, const struct history_step *step)
{
    const struct model_node *node = &model->nodes[model->slots[step->path]];

    if (step->name_count != node->child_count) {
        return false;
    }
    for (size_t i = 0; i < step->name_count; i++) {
        size_t slot = model->slots[step->names[i]];

        if (slot == MODEL_NO_SLOT || !model->nodes[slot].exists) {
            return false;
        }
        /* In order, so that none is there twice. */
        if (i > 0 && bytes_compare(history_path_text(model->history, step->names[i - 1]),
                                   history_path_text(model->history, step->names[i])) >= 0) {
            return false;
        }
    }
    return true;
}

static bool shows(const struct model *model, const struct history_step *step)
{
    const struct model_node *node = &model->nodes[model->slots[step->path]];

    if (step->exists != node->exists) {
        return false;
    }
    if (!node->exists) {
        return true;
    }
    if (step->kind == HISTORY_LIST) {
        return shows_names(model, step) && shows_stat(step, node);
    }
    return (step->kind != HISTORY_GET || step->value == node->value) && shows_stat(step, node);
}

static bool is_read(enum history_kind kind)
{
    return kind == HISTORY_GET || kind == HISTORY_EXISTS || kind == HISTORY_LIST;
}

/* Do one step; HISTORY_ERROR_MAX stands for an answer that cannot have been given. */
static uint32_t do_step(struct model *model,
                        const struct part_action *action,
                        const struct history_step *step,
                        size_t *unnamed)
{
    history_path written = step->made != HISTORY_NO_PATH ? step->made : step->path;
    uint32_t error;

    switch (step->kind) {
    case HISTORY_SET:
        error = set(model, action, step);
        break;
    case HISTORY_CREATE:
        error = create(model, action, step, unnamed);
        break;
    case HISTORY_REMOVE:
        return take_away(model, step);
    case HISTORY_CHECK:
    case HISTORY_CHECK_ABSENT:
        return check(model, step);
    case HISTORY_GET:
    case HISTORY_EXISTS:
    case HISTORY_LIST:
    default:
        return shows(model, step) ? HISTORY_ERROR_NONE : HISTORY_ERROR_MAX;
    }
    if (error == HISTORY_ERROR_NONE && action->call->outcome == HISTORY_OK &&
        !(step->sequential && step->made == HISTORY_NO_PATH) &&
        !shows_stat(step, &model->nodes[model->slots[written]])) {
        error = HISTORY_ERROR_MAX;
    }
    return error;
}

/* --- Actions --- */

static bool end_session(struct model *model, const struct part_action *action)
{
    if (model->ended[action->session_number]) {
        return false;
    }
    for (size_t slot = 0; slot < model->slot_count; slot++) {
        if (model->nodes[slot].exists && model->nodes[slot].owner == action->session) {
            take_node(model, slot);
        }
    }
    put_ended(model, action->session_number);
    if (action->after >= model->zxid) {
        put_zxid(model, action->after + 1); /* what shows the end is newer than that */
    }
    return true;
}

/* Zxids go up with the writes; a read shows all that happened up to its own. */
static bool fits_zxid(struct model *model, const struct part_action *action, bool writes)
{
    if (action->zxid == 0) {
        return true;
    }
    if (writes ? action->zxid <= model->zxid : action->zxid < model->zxid) {
        return false;
    }
    put_zxid(model, action->zxid);
    return true;
}

/* A refusal must be the one that was told, and of the operation that was told. */
static bool was_told(const struct history_call *call, size_t failed, uint32_t error)
{
    bool steps_told = false;

    for (size_t i = 0; i < call->step_count; i++) {
        steps_told = steps_told || call->steps[i].error != HISTORY_ERROR_NONE;
    }
    return error == call->error && (!steps_told || call->steps[failed].error == error);
}

static bool do_steps(struct model *model, const struct part_action *action)
{
    const struct history_call *call = action->call;
    size_t unnamed = action->unnamed;

    for (size_t i = 0; i < call->step_count; i++) {
        const struct history_step *step = &call->steps[i];
        uint32_t error = do_step(model, action, step, &unnamed);

        if (error == HISTORY_ERROR_NONE) {
            continue;
        }
        return call->outcome == HISTORY_REFUSED && was_told(call, i, error);
    }
    return call->outcome != HISTORY_REFUSED;
}

static bool writes_something(const struct history_call *call)
{
    bool any = false;

    for (size_t i = 0; i < call->step_count; i++) {
        any = any || !is_read(call->steps[i].kind);
    }
    return any;
}

static bool run(struct model *model, const struct part_action *action)
{
    bool writes;
    size_t mark;

    if (action->call == NULL) {
        return fits_zxid(model, action, true) && end_session(model, action);
    }
    writes = writes_something(action->call);
    if (writes && action->session_number != PARTITION_NO_SESSION &&
        model->ended[action->session_number]) {
        return false;
    }
    if (!fits_zxid(model, action, writes)) {
        return false;
    }
    mark = model_mark(model);
    if (!do_steps(model, action)) {
        return false;
    }
    if (action->call->outcome == HISTORY_REFUSED) {
        model_undo(model, mark);
    }
    return true;
}

bool model_apply(struct model *model, const struct part_action *action)
{
    size_t mark = model_mark(model);
    bool done = run(model, action);

    if (!done) {
        model_undo(model, mark);
    }
    return done;
}

void model_describe(const struct model *model, const struct history_call *call, struct buffer *text)
{
    history_path path = call->steps[0].path;
    size_t slot = path < history_path_end(model->history) ? model->slots[path] : MODEL_NO_SLOT;
    char line[256];
    int size;

    if (call->steps[0].kind == HISTORY_CREATE && call->steps[0].sequential) {
        path = history_path_parent(model->history, path);
        slot = model->slots[path];
    }
    if (slot == MODEL_NO_SLOT) {
        return;
    }
    buffer_put(text, history_path_text(model->history, path));
    if (!model->nodes[slot].exists) {
        buffer_put(text, bytes_of_text(" does not exist"));
        return;
    }
    size = snprintf(line, sizeof line,
                    " has value %" PRIu64 ", version %d, written at zxid %" PRIu64
                    ", owner %" PRIu64 ", %u children, next number %u",
                    model->nodes[slot].value, model->nodes[slot].version, model->nodes[slot].mzxid,
                    model->nodes[slot].owner, model->nodes[slot].child_count,
                    model->nodes[slot].sequence);
    buffer_put(text, bytes_of(line, (size_t)size));
}
