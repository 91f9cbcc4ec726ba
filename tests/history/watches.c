#include "tests/history/watches.h"

#include "base/alloc.h"
#include "base/check.h"
#include "tests/history/ledger.h"

#include <inttypes.h>
#include <stdlib.h>

/* What the receiver believes of a node. */
enum belief { BELIEF_NONE, BELIEF_ABSENT, BELIEF_PRESENT };

struct picture {
    enum belief belief;
    uint64_t zxid; /* of the page or change that told */
    bool has_value;
    uint64_t value;
    bool has_stat;
    int32_t version;
};

struct watcher {
    struct report *report;
    const struct ledger *ledger;
    const struct history_event **events; /* of this watch, in order */
    size_t event_count;
    const struct ledger_change **expected; /* in scope, by zxid */
    size_t expected_count;
    size_t next;              /* of `expected`: those before it are settled */
    struct picture *pictures; /* by path */
    bool started;
    bool has_scope;
    history_path path;
    bool recursive;
    uint64_t covered;  /* everything up to here was given, or shown by a resync */
    uint64_t doubtful; /* up to here a change may come or not: the pages of a resync */
    uint64_t seen;     /* the highest zxid of a change */
    const struct history_event *last;
    const struct history_event *begin; /* of the resync under way */
};

static bool is_change(const struct history_event *event)
{
    return event->kind >= HISTORY_EVENT_CREATED && event->kind <= HISTORY_EVENT_REMOVED;
}

static bool is_below(const struct history *history, history_path path, history_path top)
{
    while (path != HISTORY_NO_PATH && path != top) {
        path = history_path_parent(history, path);
    }
    return path != HISTORY_NO_PATH;
}

static bool in_scope(const struct watcher *watcher, history_path path, unsigned kinds)
{
    const struct history *history = watcher->report->history;

    if (watcher->recursive || path == watcher->path) {
        return is_below(history, path, watcher->path);
    }
    return history_path_parent(history, path) == watcher->path &&
           (kinds & (LEDGER_CREATED | LEDGER_REMOVED)) != 0;
}

/* Who set a value may not know whether it made the node; for those who watch the parent alone only
 * one of the two is an event. */
static bool is_sure(const struct watcher *watcher, const struct ledger_change *change)
{
    return (change->kinds & (change->kinds - 1)) == 0 || watcher->recursive ||
           change->path == watcher->path;
}

static void fault(struct watcher *watcher, const struct history_event *event, const char *what)
{
    report_fault(watcher->report, "watch %" PRIu64 " of client %" PRIu64 " %s:", event->watch,
                 event->client, what);
    if (watcher->last != NULL && watcher->last != event) {
        report_event(watcher->report, watcher->last);
    }
    report_event(watcher->report, event);
}

/* --- What is to come --- */

static int compare_expected(const void *left, const void *right)
{
    const struct ledger_change *a = *(const struct ledger_change *const *)left;
    const struct ledger_change *b = *(const struct ledger_change *const *)right;

    if (a->zxid != b->zxid) {
        return a->zxid < b->zxid ? -1 : 1;
    }
    /* Changes of one path stand together, in their order. */
    return a < b ? -1 : a > b;
}

static void find_scope(struct watcher *watcher)
{
    for (size_t i = 0; i < watcher->event_count; i++) {
        if (watcher->events[i]->kind == HISTORY_EVENT_STARTED) {
            watcher->has_scope = true;
            watcher->path = watcher->events[i]->path;
            watcher->recursive = watcher->events[i]->recursive;
            return;
        }
    }
}

static void find_expected(struct watcher *watcher)
{
    const struct ledger *ledger = watcher->ledger;

    watcher->expected_count = 0;
    watcher->next = 0;
    for (size_t i = 0; i < ledger->count; i++) {
        const struct ledger_change *change = &ledger->changes[i];

        /* What only a reader was shown is the last of perhaps several changes at its zxid. */
        if (change->zxid > 0 && change->source != LEDGER_READ && is_sure(watcher, change) &&
            in_scope(watcher, change->path, change->kinds)) {
            watcher->expected[watcher->expected_count++] = change;
        }
    }
    qsort(watcher->expected, watcher->expected_count, sizeof(const struct ledger_change *),
          compare_expected);
}

/* Everything expected up to and including `zxid` should have come by `event`. */
static void expect_all(struct watcher *watcher, uint64_t zxid, const struct history_event *event)
{
    while (watcher->next < watcher->expected_count &&
           watcher->expected[watcher->next]->zxid <= zxid) {
        const struct ledger_change *missed = watcher->expected[watcher->next++];

        if (missed->zxid <= watcher->covered || missed->zxid <= watcher->doubtful) {
            continue;
        }
        fault(watcher, event, "missed this before its last event");
        ledger_report(watcher->report, missed);
    }
    watcher->covered = zxid > watcher->covered ? zxid : watcher->covered;
}

/* --- Pictures --- */

static void paint(struct watcher *watcher, const struct history_event *event)
{
    struct picture *picture = &watcher->pictures[event->path];

    if (event->kind == HISTORY_EVENT_REMOVED) {
        *picture = (struct picture){.belief = BELIEF_ABSENT, .zxid = event->zxid};
        return;
    }
    *picture = (struct picture){.belief = BELIEF_PRESENT,
                                .zxid = event->zxid,
                                .has_value = event->has_value,
                                .value = event->value,
                                .has_stat = event->has_stat,
                                .version = event->version};
}

/* The tree at the end of a resync, of which the last page had zxid `last_page`. */
static void
check_pictures(struct watcher *watcher, const struct history_event *end, uint64_t last_page)
{
    const struct history *history = watcher->report->history;

    for (history_path path = 1; path < history_path_end(history); path++) {
        const struct picture *picture = &watcher->pictures[path];
        const struct ledger_change *against = NULL;
        struct ledger_look look = {.path = path,
                                   .zxid = end->zxid,
                                   .exists = picture->belief == BELIEF_PRESENT,
                                   .has_value = picture->has_value,
                                   .value = picture->value,
                                   .has_stat = picture->has_stat,
                                   .version = picture->version};

        if (picture->belief == BELIEF_NONE || !in_scope(watcher, path, LEDGER_CREATED)) {
            continue;
        }
        /* Of a child of the node itself only its being there is told. */
        if (!watcher->recursive && path != watcher->path) {
            look.has_value = false;
            look.has_stat = false;
        }
        if (picture->belief == BELIEF_PRESENT && picture->zxid > look.zxid) {
            look.zxid = picture->zxid;
        }
        if (ledger_agrees(watcher->ledger, &look, &against) ||
            (look.zxid = last_page, ledger_agrees(watcher->ledger, &look, &against))) {
            continue;
        }
        fault(watcher, end, "has a wrong picture after its resync");
        report_line(watcher->report, "of %s: it believes that it is %s",
                    (const char *)history_path_text(history, path).data,
                    look.exists ? "there" : "not there");
        if (against != NULL) {
            ledger_report(watcher->report, against);
        }
    }
}

/* --- Events --- */

static void on_begin(struct watcher *watcher, const struct history_event *event)
{
    const struct history *history = watcher->report->history;

    if (event->zxid < watcher->covered || event->zxid < watcher->seen) {
        fault(watcher, event, "goes back");
    }
    watcher->begin = event;
    for (history_path path = 1; event->full && path < history_path_end(history); path++) {
        watcher->pictures[path] = (struct picture){.belief = BELIEF_ABSENT, .zxid = event->zxid};
    }
}

static void on_end(struct watcher *watcher, const struct history_event *event)
{
    uint64_t last_page = event->zxid;

    if (watcher->begin == NULL) {
        fault(watcher, event, "ends a resync that did not begin");
        return;
    }
    if (watcher->last->resync && watcher->last->zxid > last_page) {
        last_page = watcher->last->zxid;
    }
    check_pictures(watcher, event, last_page);
    watcher->covered = event->zxid;
    watcher->doubtful = last_page;
    watcher->begin = NULL;
    watcher->started = true;
    while (watcher->next < watcher->expected_count &&
           watcher->expected[watcher->next]->zxid <= event->zxid) {
        watcher->next++;
    }
}

static unsigned kind_of(const struct history_event *event)
{
    return event->kind == HISTORY_EVENT_CREATED     ? LEDGER_CREATED
           : event->kind == HISTORY_EVENT_VALUE_SET ? LEDGER_VALUE_SET
                                                    : LEDGER_REMOVED;
}

static bool tells(const struct history_event *event, const struct ledger_change *change)
{
    bool removed = event->kind == HISTORY_EVENT_REMOVED;

    return event->path == change->path && (kind_of(event) & change->kinds) != 0 &&
           (removed || !event->has_value || !change->has_value || event->value == change->value) &&
           (removed || !event->has_stat || !change->has_stat || event->version == change->version);
}

/* It may be of a change of which nobody knows whether it is an event here. */
static bool is_unsure(const struct watcher *watcher, const struct history_event *event)
{
    size_t count;
    const struct ledger_change *change =
        ledger_at(watcher->ledger, event->path, event->zxid, &count);

    return count == 1 && !is_sure(watcher, change) && tells(event, change);
}

/* Events [from, to) are those of one zxid: the same changes as in the ledger, those of one node in
 * their order. */
static void check_group(struct watcher *watcher, size_t from, size_t to)
{
    uint64_t zxid = watcher->events[from]->zxid;
    size_t first = watcher->next;
    size_t end = first;
    bool *given;

    while (end < watcher->expected_count && watcher->expected[end]->zxid == zxid) {
        end++;
    }
    given = xcalloc(end - first, sizeof *given);
    for (size_t i = from; i < to; i++) {
        const struct history_event *event = watcher->events[i];
        size_t at = first;

        while (at < end && (given[at - first] || watcher->expected[at]->path != event->path)) {
            at++;
        }
        if (at < end && tells(event, watcher->expected[at])) {
            given[at - first] = true;
            continue;
        }
        if (at < end) {
            fault(watcher, event, "tells of another change than was made");
            ledger_report(watcher->report, watcher->expected[at]);
            given[at - first] = true;
            continue;
        }
        if (!is_unsure(watcher, event)) {
            fault(watcher, event, "gave a change that was not made, or gave it twice");
        }
    }
    for (size_t at = first; at < end; at++) {
        if (!given[at - first] && zxid > watcher->doubtful) {
            fault(watcher, watcher->events[to - 1], "missed this among the changes of one zxid");
            ledger_report(watcher->report, watcher->expected[at]);
        }
    }
    watcher->next = end;
    free(given);
}

/* A change outside of resyncs: with it all others of its zxid. Returns how many events that was. */
static size_t on_changes(struct watcher *watcher, size_t from)
{
    const struct history_event *event = watcher->events[from];
    size_t to = from;
    bool is_last;

    while (to < watcher->event_count && is_change(watcher->events[to]) &&
           !watcher->events[to]->resync && watcher->events[to]->zxid == event->zxid) {
        if (!in_scope(watcher, watcher->events[to]->path, kind_of(watcher->events[to]))) {
            fault(watcher, watcher->events[to], "tells of what it does not watch");
        }
        paint(watcher, watcher->events[to++]);
    }
    if (!watcher->started) {
        fault(watcher, event, "gives a change before it started");
    }
    watcher->seen = event->zxid > watcher->seen ? event->zxid : watcher->seen;
    if (event->zxid <= watcher->covered) {
        fault(watcher, event, "gives a change again, or out of order");
        return to - from;
    }
    is_last = to == watcher->event_count || watcher->events[to]->kind == HISTORY_EVENT_RESYNC_BEGIN;
    expect_all(watcher, event->zxid - 1, event);
    if (is_last) {
        /* The rest of this zxid may still have been on its way, or is in the resync. */
        return to - from;
    }
    check_group(watcher, from, to);
    watcher->covered = event->zxid;
    return to - from;
}

static size_t on_event(struct watcher *watcher, size_t position)
{
    const struct history_event *event = watcher->events[position];

    if (is_change(event) && !event->resync) {
        return on_changes(watcher, position);
    }
    switch (event->kind) {
    case HISTORY_EVENT_STARTED:
        if (watcher->started && event->zxid < watcher->covered) {
            fault(watcher, event, "goes back");
        }
        if (!watcher->started) {
            watcher->covered = event->zxid;
        }
        watcher->started = true;
        break;
    case HISTORY_EVENT_CREATED:
    case HISTORY_EVENT_VALUE_SET:
    case HISTORY_EVENT_REMOVED:
        if (watcher->begin == NULL) {
            fault(watcher, event, "gives a part of a resync that did not begin");
        }
        paint(watcher, event);
        break;
    case HISTORY_EVENT_RESYNC_BEGIN:
        on_begin(watcher, event);
        break;
    case HISTORY_EVENT_RESYNC_END:
        on_end(watcher, event);
        break;
    case HISTORY_EVENT_PROGRESS:
        expect_all(watcher, event->zxid, event);
        break;
    case HISTORY_EVENT_ENDED:
        if (position + 1 < watcher->event_count) {
            fault(watcher, watcher->events[position + 1], "goes on after its end");
        }
        return watcher->event_count - position;
    }
    return 1;
}

static void check_watch(struct watcher *watcher)
{
    const struct history *history = watcher->report->history;

    watcher->started = watcher->has_scope = false;
    watcher->covered = watcher->doubtful = watcher->seen = 0;
    watcher->last = watcher->begin = NULL;
    for (history_path path = 0; path < history_path_end(history); path++) {
        watcher->pictures[path] = (struct picture){.belief = BELIEF_NONE};
    }
    find_scope(watcher);
    if (!watcher->has_scope) {
        return; /* it never stood; nothing can be said */
    }
    find_expected(watcher);
    for (size_t i = 0; i < watcher->event_count;) {
        size_t count = on_event(watcher, i);

        watcher->last = watcher->events[i + count - 1];
        i += count;
    }
}

static int compare_events(const void *left, const void *right)
{
    const struct history_event *a = *(const struct history_event *const *)left;
    const struct history_event *b = *(const struct history_event *const *)right;

    if (a->watch != b->watch) {
        return a->watch < b->watch ? -1 : 1;
    }
    return a < b ? -1 : a > b;
}

size_t watches_check(const struct history *history, struct buffer *text)
{
    struct report report = report_of(history, "watches", text);
    const struct history_event **events =
        xcalloc(history->event_count, sizeof(const struct history_event *));
    struct watcher watcher = {.report = &report};
    struct ledger ledger;

    ledger_init(&ledger, history);
    watcher.ledger = &ledger;
    watcher.expected = xcalloc(ledger.count, sizeof(const struct ledger_change *));
    watcher.pictures = xcalloc(history_path_end(history), sizeof *watcher.pictures);
    for (size_t i = 0; i < history->event_count; i++) {
        events[i] = &history->events[i];
    }
    qsort(events, history->event_count, sizeof(const struct history_event *), compare_events);
    for (size_t start = 0, end = 0; start < history->event_count; start = end) {
        while (end < history->event_count && events[end]->watch == events[start]->watch) {
            end++;
        }
        watcher.events = &events[start];
        watcher.event_count = end - start;
        check_watch(&watcher);
    }
    free(events);
    free(watcher.expected);
    free(watcher.pictures);
    ledger_release(&ledger);
    report_end(&report);
    return report.fault_count;
}
