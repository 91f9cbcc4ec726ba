#include "tests/history/history.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"

#include <stdlib.h>
#include <string.h>

struct history_name {
    struct map_node node;
    history_path number;
    history_path parent;
    struct bytes text;
};

struct history *history_record_new(void)
{
    struct history *history = xcalloc(1, sizeof *history);

    arena_init(&history->arena);
    map_init(&history->name_map);
    return history;
}

void history_record_free(struct history *history)
{
    if (history == NULL) {
        return;
    }
    map_release(&history->name_map);
    arena_release(&history->arena);
    free(history->names);
    free(history->calls);
    free(history->sessions);
    free(history->events);
    free(history->effects);
    free(history);
}

/* Room for one more element; the new address of all. */
static void *grow(void *items, size_t count, size_t *capacity, size_t item_bytes)
{
    if (count < *capacity) {
        return items;
    }
    *capacity = 2 * *capacity + 64;
    return xrealloc(items, *capacity * item_bytes);
}

/* --- Paths --- */

static struct history_name *
find_name(const struct history *history, struct bytes path, uint64_t hash)
{
    MAP_FOR_HASH (node, &history->name_map, hash) {
        struct history_name *name = CONTAINER_OF(node, struct history_name, node);

        if (bytes_equal(name->text, path)) {
            return name;
        }
    }
    return NULL;
}

static history_path add_name(struct history *history, struct bytes path, history_path parent)
{
    uint64_t hash = map_hash_bytes(path, 0);
    struct history_name *name = find_name(history, path, hash);

    if (name != NULL) {
        return name->number;
    }
    name = arena_calloc(&history->arena, 1, sizeof *name);
    name->text = bytes_of(arena_text(&history->arena, path), path.size);
    name->parent = parent;
    history->names = grow(history->names, history->name_count, &history->name_capacity,
                          sizeof(struct history_name *));
    history->names[history->name_count++] = name;
    name->number = (history_path)history->name_count;
    map_insert(&history->name_map, &name->node, hash);
    return name->number;
}

history_path history_path_of(struct history *history, struct bytes path)
{
    struct history_name *name = find_name(history, path, map_hash_bytes(path, 0));
    history_path parent = HISTORY_NO_PATH;

    if (name != NULL) {
        return name->number;
    }
    CHECK(path.size > 0 && path.data[0] == '/');
    if (path.size > 1) {
        parent = add_name(history, bytes_of("/", 1), HISTORY_NO_PATH);
    }
    for (size_t end = 1; end < path.size; end++) {
        if (path.data[end] == '/') {
            parent = add_name(history, bytes_of(path.data, end), parent);
        }
    }
    return add_name(history, path, parent);
}

history_path history_path_find(const struct history *history, struct bytes path)
{
    const struct history_name *name = find_name(history, path, map_hash_bytes(path, 0));

    return name == NULL ? HISTORY_NO_PATH : name->number;
}

static const struct history_name *name_of(const struct history *history, history_path path)
{
    CHECK_OP(path, <=, history->name_count);
    CHECK_OP(path, >, 0);
    return history->names[path - 1];
}

struct bytes history_path_text(const struct history *history, history_path path)
{
    return path == HISTORY_NO_PATH ? bytes_of_text("") : name_of(history, path)->text;
}

history_path history_path_parent(const struct history *history, history_path path)
{
    return path == HISTORY_NO_PATH ? HISTORY_NO_PATH : name_of(history, path)->parent;
}

size_t history_path_end(const struct history *history)
{
    return history->name_count + 1;
}

/* --- Calls --- */

size_t history_call_begin(struct history *history, const struct history_call *call)
{
    struct history_call *kept;

    CHECK_OP(call->step_count, >, 0);
    history->calls =
        grow(history->calls, history->call_count, &history->call_capacity, sizeof *history->calls);
    kept = &history->calls[history->call_count];
    *kept = *call;
    kept->steps = arena_alloc(&history->arena, call->step_count * sizeof *call->steps);
    memcpy(kept->steps, call->steps, call->step_count * sizeof *call->steps);
    kept->outcome = HISTORY_UNKNOWN;
    kept->returned = HISTORY_NEVER;
    return history->call_count++;
}

struct history_step *history_steps(struct history *history, size_t call)
{
    CHECK_OP(call, <, history->call_count);
    return history->calls[call].steps;
}

history_path *history_names(struct history *history, size_t count)
{
    return arena_calloc(&history->arena, count, sizeof(history_path));
}

void history_call_end(struct history *history,
                      size_t call,
                      uint64_t returned,
                      enum history_outcome outcome,
                      uint32_t error,
                      uint64_t zxid)
{
    struct history_call *ended;

    CHECK_OP(call, <, history->call_count);
    ended = &history->calls[call];
    CHECK(ended->returned == HISTORY_NEVER && returned >= ended->invoked);
    CHECK(returned != HISTORY_NEVER || outcome == HISTORY_UNKNOWN);
    ended->returned = returned;
    ended->outcome = outcome;
    ended->error = error;
    ended->zxid = zxid;
}

/* --- What else happens --- */

void history_add_session(struct history *history, const struct history_session *session)
{
    CHECK(session->session != 0 && session->asked <= session->time);
    history->sessions = grow(history->sessions, history->session_count, &history->session_capacity,
                             sizeof *history->sessions);
    history->sessions[history->session_count++] = *session;
}

void history_add_event(struct history *history, const struct history_event *event)
{
    history->events = grow(history->events, history->event_count, &history->event_capacity,
                           sizeof *history->events);
    history->events[history->event_count++] = *event;
}

void history_add_effect(struct history *history, const struct history_effect *effect)
{
    history->effects = grow(history->effects, history->effect_count, &history->effect_capacity,
                            sizeof *history->effects);
    history->effects[history->effect_count++] = *effect;
}

enum history_outcome history_outcome_of(uint32_t code)
{
    switch (code) {
    case HISTORY_ERROR_NONE:
        return HISTORY_OK;
    case HISTORY_ERROR_NO_NODE:
    case HISTORY_ERROR_NODE_EXISTS:
    case HISTORY_ERROR_NOT_EMPTY:
    case HISTORY_ERROR_BAD_VERSION:
    case HISTORY_ERROR_NO_CHILDREN_FOR_EPHEMERALS:
        return HISTORY_REFUSED;
    case 9:   /* session expired: before or after it took effect */
    case 10:  /* session moved: this attempt did nothing, an earlier one may have */
    case 12:  /* sequence gap: the same */
    case 13:  /* sequence forgotten: it took effect once */
    case 14:  /* too many unconfirmed: as for a gap */
    case 103: /* unknown outcome */
    case 200: /* timeout */
    case 201: /* closed */
    case 202: /* no memory for the answer */
    case 205: /* an answer nobody understood */
        return HISTORY_UNKNOWN;
    default:
        return HISTORY_NOT_APPLIED;
    }
}
