#include "server/node/history.h"

#include "base/alloc.h"
#include "base/block.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

enum {
    SLOTS_MIN = 64,
    SLOTS_A_CHANGE_MAX = 2, /* the table doubles */
    ALLOCATOR_BYTES = 16    /* for the path */
};

struct slot {
    struct watch_event event; /* lends from `path`, holds a reference to its node */
    uint8_t *path;
    uint64_t bytes;
};

/* A ring: the change `sequence` is in slots[sequence & (slot_count - 1)]. */
struct history {
    struct slot *slots;
    size_t slot_count; /* a power of two */
    history_sequence first;
    history_sequence end;
    uint64_t bytes;
    uint64_t bytes_max;
    uint64_t changes_max;
    zxid oldest;
    zxid last;
};

static struct slot *slot_at(const struct history *history, history_sequence sequence)
{
    return &history->slots[sequence & (history->slot_count - 1)];
}

struct history *history_new(zxid opened_at, uint64_t bytes_max, uint64_t changes_max)
{
    struct history *history = xmalloc(sizeof *history);

    *history = (struct history){.slots = xcalloc(SLOTS_MIN, sizeof *history->slots),
                                .slot_count = SLOTS_MIN,
                                .first = 1,
                                .end = 1,
                                .bytes_max = bytes_max,
                                .changes_max = changes_max,
                                .oldest = opened_at,
                                .last = opened_at};
    return history;
}

/* What is dropped was last used long ago: fetched while others are. */
static void expect_drop(const struct history *history)
{
    enum { AHEAD = 4 };

    if (history->end - history->first > AHEAD) {
        const struct slot *slot = slot_at(history, history->first + AHEAD);

        __builtin_prefetch(slot->path, 1);
        state_node_expect(slot->event.node);
    }
}

static void drop_first(struct history *history)
{
    struct slot *slot = slot_at(history, history->first);

    expect_drop(history);
    history->bytes -= slot->bytes;
    history->first++;
    state_node_unref(slot->event.node);
    block_free(slot->path, slot->event.path.size);
}

static void drop_all(struct history *history)
{
    while (history->first < history->end) {
        drop_first(history);
    }
}

void history_free(struct history *history)
{
    if (history != NULL) {
        drop_all(history);
        free(history->slots);
        free(history);
    }
}

static void resize(struct history *history, size_t slot_count)
{
    struct slot *slots = xcalloc(slot_count, sizeof *slots);

    for (history_sequence i = history->first; i < history->end; i++) {
        slots[i & (slot_count - 1)] = *slot_at(history, i);
    }
    free(history->slots);
    history->slots = slots;
    history->slot_count = slot_count;
}

static bool is_node_change(enum state_change_kind kind)
{
    return kind == STATE_CREATED || kind == STATE_VALUE_SET || kind == STATE_REMOVED ||
           kind == STATE_ACL_SET;
}

static void append(struct history *history, zxid at, const struct state_change *change)
{
    struct state_node *node = change->kind == STATE_REMOVED ? change->before : change->after;
    struct slot *slot;

    CHECK(node != NULL);
    if (history->end - history->first == history->slot_count) {
        resize(history, 2 * history->slot_count);
    }
    slot = slot_at(history, history->end);
    slot->path = block_new(change->path.size);
    memcpy(slot->path, change->path.data, change->path.size);
    slot->event = (struct watch_event){.zxid = at,
                                       .kind = change->kind,
                                       .path = bytes_of(slot->path, change->path.size),
                                       .node = state_node_ref(node)};
    slot->bytes = SLOTS_A_CHANGE_MAX * sizeof *slot + change->path.size + ALLOCATOR_BYTES +
                  state_node_memory_bytes(node);
    history->bytes += slot->bytes;
    history->end++;
}

void history_add(struct history *history, zxid at, const struct state_change *changes, size_t count)
{
    CHECK_OP(at, >, history->last);
    for (size_t i = 0; i < count; i++) {
        if (is_node_change(changes[i].kind)) {
            append(history, at, &changes[i]);
        }
    }
    history->last = at;
}

static bool is_too_large(const struct history *history)
{
    return history->bytes > history->bytes_max ||
           history->end - history->first > history->changes_max;
}

void history_trim(struct history *history)
{
    while (history->first < history->end && is_too_large(history)) {
        history->oldest = slot_at(history, history->first)->event.zxid;
        while (history->first < history->end &&
               slot_at(history, history->first)->event.zxid == history->oldest) {
            drop_first(history);
        }
    }
    if (history->slot_count > SLOTS_MIN && history_count(history) < history->slot_count / 8) {
        resize(history, history->slot_count / 2);
    }
}

void history_reset(struct history *history, zxid at)
{
    drop_all(history);
    /* The number left out stands for what is unknown: whoever waits for it is too old. */
    history->end++;
    history->first = history->end;
    history->oldest = at;
    history->last = at;
}

zxid history_oldest(const struct history *history)
{
    return history->oldest;
}

zxid history_last(const struct history *history)
{
    return history->last;
}

size_t history_count(const struct history *history)
{
    return history->end - history->first;
}

uint64_t history_bytes(const struct history *history)
{
    return history->bytes;
}

history_sequence history_first(const struct history *history)
{
    return history->first;
}

history_sequence history_end(const struct history *history)
{
    return history->end;
}

history_sequence history_seek(const struct history *history, zxid after)
{
    history_sequence low = history->first;
    history_sequence high = history->end;

    CHECK_OP(after, >=, history->oldest);
    while (low < high) {
        history_sequence middle = low + (high - low) / 2;

        if (slot_at(history, middle)->event.zxid > after) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

zxid history_up_to(const struct history *history, history_sequence sequence)
{
    CHECK_OP(sequence, >=, history->first);
    CHECK_OP(sequence, <=, history->end);
    return sequence == history->end ? history->last : slot_at(history, sequence)->event.zxid - 1;
}

const struct watch_event *history_at(const struct history *history, history_sequence sequence)
{
    CHECK_OP(sequence, >=, history->first);
    CHECK_OP(sequence, <, history->end);
    return &slot_at(history, sequence)->event;
}
