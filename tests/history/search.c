#include "tests/history/search.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"

#include <stdlib.h>
#include <string.h>

/* The call or the return of an action. */
struct entry {
    struct list link;
    const struct part_action *action;
    uint64_t time;
    bool is_return;
    struct entry *answer; /* of a call: its return, or NULL */
    size_t group;         /* of a call: by zxid; NO_GROUP */
    struct list *before;  /* lifted: where it stood */
    struct list *answer_before;
    struct model_hash key; /* of the action, in the set of those done */
};

#define NO_GROUP SIZE_MAX

/* An action done, and how to take it back. */
struct step {
    struct entry *entry;
    bool perhaps;
    size_t mark;
    size_t first_group;
};

/* A set of 128-bit keys with open addressing. A collision could only make the search miss an order,
 * so raise a false alarm, with a chance of 2^-100. */
struct seen {
    struct model_hash *keys; /* zero = free */
    size_t capacity;         /* a power of two */
    size_t count;
};

struct search {
    struct model model;
    struct entry *entries;
    size_t entry_count;
    struct list surely;  /* calls and returns of what must have happened */
    struct list perhaps; /* calls of the rest */
    size_t left;         /* of what must have happened */
    size_t *group_left;  /* members not done yet */
    size_t group_count;
    size_t first_group; /* the lowest with members left */
    struct model_hash done;
    struct seen seen;
    struct step *steps;
    size_t step_count;
    uint64_t work;
    uint64_t work_max;
    struct search_outcome *outcome;
    uint64_t furthest; /* time of the return that could not be passed */
};

/* --- Seen before --- */

static struct model_hash *place_of(const struct seen *seen, struct model_hash key)
{
    size_t at = (size_t)(key.low ^ key.high >> 7) & (seen->capacity - 1);

    while ((seen->keys[at].low != 0 || seen->keys[at].high != 0) &&
           (seen->keys[at].low != key.low || seen->keys[at].high != key.high)) {
        at = (at + 1) & (seen->capacity - 1);
    }
    return &seen->keys[at];
}

static void grow_seen(struct seen *seen)
{
    struct seen old = *seen;

    seen->capacity = old.capacity == 0 ? 256 : 2 * old.capacity;
    seen->keys = xcalloc(seen->capacity, sizeof *seen->keys);
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.keys[i].low != 0 || old.keys[i].high != 0) {
            *place_of(seen, old.keys[i]) = old.keys[i];
        }
    }
    free(old.keys);
}

/* False if it was there. */
static bool add_seen(struct seen *seen, struct model_hash key)
{
    struct model_hash *place;

    if (2 * seen->count >= seen->capacity) {
        grow_seen(seen);
    }
    key.low |= 1; /* never zero */
    place = place_of(seen, key);
    if (place->low != 0) {
        return false;
    }
    *place = key;
    seen->count++;
    return true;
}

/* --- Entries --- */

static uint64_t scatter(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = *(struct entry *const *)left;
    const struct entry *b = *(struct entry *const *)right;

    if (a->time != b->time) {
        return a->time < b->time ? -1 : 1;
    }
    /* Equal times are concurrent: calls come first. */
    if (a->is_return != b->is_return) {
        return a->is_return ? 1 : -1;
    }
    return a < b ? -1 : a > b;
}

static enum search_mode mode_of(const uint8_t *modes, size_t action)
{
    return modes == NULL ? SEARCH_AS_IT_IS : (enum search_mode)modes[action];
}

static void add_entries(struct search *search, const struct part_action *action, bool relaxed)
{
    struct entry *call = &search->entries[search->entry_count++];
    bool must = action->must && !relaxed;
    uint64_t number = (uint64_t)(action - search->model.part->actions) + 1;

    *call = (struct entry){.action = action, .time = action->invoked, .group = NO_GROUP};
    call->key.low = scatter(2 * number);
    call->key.high = scatter(2 * number + 1);
    if (!must) {
        list_append(&search->perhaps, &call->link); /* actions come by time */
        return;
    }
    search->left++;
    list_init(&call->link);
    if (action->returned != HISTORY_NEVER) {
        struct entry *answer = &search->entries[search->entry_count++];

        *answer = (struct entry){.action = action, .time = action->returned, .is_return = true};
        list_init(&answer->link);
        call->answer = answer;
    }
}

static void sort_surely(struct search *search)
{
    struct entry **sorted = xcalloc(search->entry_count, sizeof(struct entry *));
    size_t count = 0;

    for (size_t i = 0; i < search->entry_count; i++) {
        if (list_is_empty(&search->entries[i].link)) {
            sorted[count++] = &search->entries[i];
        }
    }
    qsort(sorted, count, sizeof(struct entry *), compare_entries);
    for (size_t i = 0; i < count; i++) {
        list_append(&search->surely, &sorted[i]->link);
    }
    free(sorted);
}

static int compare_zxids(const void *left, const void *right)
{
    const struct entry *a = *(struct entry *const *)left;
    const struct entry *b = *(struct entry *const *)right;

    if (a->action->zxid != b->action->zxid) {
        return a->action->zxid < b->action->zxid ? -1 : 1;
    }
    return a < b ? -1 : a > b;
}

static void group_by_zxid(struct search *search)
{
    struct entry **sorted = xcalloc(search->entry_count, sizeof(struct entry *));
    size_t count = 0;

    LIST_FOR_EACH (link, &search->surely) {
        struct entry *entry = CONTAINER_OF(link, struct entry, link);

        if (!entry->is_return && entry->action->zxid != 0) {
            sorted[count++] = entry;
        }
    }
    qsort(sorted, count, sizeof(struct entry *), compare_zxids);
    search->group_left = xcalloc(count, sizeof *search->group_left);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || sorted[i]->action->zxid != sorted[i - 1]->action->zxid) {
            search->group_count++;
        }
        sorted[i]->group = search->group_count - 1;
        search->group_left[sorted[i]->group]++;
    }
    free(sorted);
}

/* --- Doing and taking back --- */

static void lift(struct list *link, struct list **ret_before)
{
    *ret_before = link->previous;
    list_remove(link);
}

static void put_back(struct list *link, struct list *before)
{
    list_insert_before(before->next, link);
}

static void toggle_done(struct search *search, const struct entry *entry)
{
    search->done.low ^= entry->key.low;
    search->done.high ^= entry->key.high;
}

static bool may_come(const struct search *search, const struct entry *entry)
{
    return entry->group == NO_GROUP || entry->group == search->first_group;
}

static bool try_entry(struct search *search, struct entry *entry, bool perhaps)
{
    size_t mark = model_mark(&search->model);
    struct model_hash key;

    if (!may_come(search, entry)) {
        return false;
    }
    search->work++;
    if (!model_apply(&search->model, entry->action)) {
        return false;
    }
    toggle_done(search, entry);
    key.low = search->done.low ^ scatter(search->model.hash.low);
    key.high = search->done.high ^ scatter(search->model.hash.high);
    if (!add_seen(&search->seen, key)) {
        toggle_done(search, entry);
        model_undo(&search->model, mark);
        return false;
    }
    search->steps[search->step_count++] = (struct step){
        .entry = entry, .perhaps = perhaps, .mark = mark, .first_group = search->first_group};
    if (entry->group != NO_GROUP) {
        search->group_left[entry->group]--;
        while (search->first_group < search->group_count &&
               search->group_left[search->first_group] == 0) {
            search->first_group++;
        }
    }
    search->left -= !perhaps;
    lift(&entry->link, &entry->before);
    if (entry->answer != NULL) {
        lift(&entry->answer->link, &entry->answer_before);
    }
    return true;
}

static struct step take_back(struct search *search)
{
    struct step step = search->steps[--search->step_count];
    struct entry *entry = step.entry;

    if (entry->answer != NULL) {
        put_back(&entry->answer->link, entry->answer_before);
    }
    put_back(&entry->link, entry->before);
    search->left += !step.perhaps;
    if (entry->group != NO_GROUP) {
        search->group_left[entry->group]++;
    }
    search->first_group = step.first_group;
    toggle_done(search, entry);
    model_undo(&search->model, step.mark);
    return step;
}

/* --- Search --- */

/* The first return that stands in the way; NULL if none does. */
static const struct entry *first_return(const struct search *search)
{
    LIST_FOR_EACH (link, &search->surely) {
        const struct entry *entry = CONTAINER_OF(link, struct entry, link);

        if (entry->is_return) {
            return entry;
        }
    }
    return NULL;
}

static void note_furthest(struct search *search, const struct entry *obstacle)
{
    struct search_outcome *outcome = search->outcome;
    uint64_t time = obstacle == NULL ? HISTORY_NEVER : obstacle->time;

    if (outcome->order != NULL &&
        (time < search->furthest ||
         (time == search->furthest && search->step_count <= outcome->order_count))) {
        return;
    }
    search->furthest = time;
    outcome->stuck = obstacle == NULL
                         ? CONTAINER_OF(search->surely.next, struct entry, link)->action
                         : obstacle->action;
    outcome->order = xrealloc(outcome->order, (search->step_count + 1) * sizeof *outcome->order);
    outcome->order_count = search->step_count;
    for (size_t i = 0; i < search->step_count; i++) {
        outcome->order[i] = search->steps[i].entry->action;
    }
}

/* Do one of the actions from `link` on in the list; false if none of them can come next. */
static bool advance(struct search *search, struct list *link, bool perhaps)
{
    uint64_t limit = HISTORY_NEVER;

    if (perhaps) {
        const struct entry *obstacle = first_return(search);

        limit = obstacle == NULL ? HISTORY_NEVER : obstacle->time;
    }
    for (struct list *head = perhaps ? &search->perhaps : &search->surely; link != head;
         link = link->next) {
        struct entry *entry = CONTAINER_OF(link, struct entry, link);

        if (entry->is_return || entry->time > limit) {
            return false;
        }
        if (try_entry(search, entry, perhaps)) {
            return true;
        }
    }
    return false;
}

static enum search_verdict find_order(struct search *search)
{
    struct list *link = search->surely.next;
    bool perhaps = false;

    while (search->left > 0) {
        struct step step;

        if (search->work > search->work_max) {
            note_furthest(search, first_return(search));
            return SEARCH_UNDECIDED;
        }
        if (advance(search, link, perhaps)) {
            link = search->surely.next;
            perhaps = false;
            continue;
        }
        if (!perhaps) {
            perhaps = true;
            link = search->perhaps.next;
            continue;
        }
        note_furthest(search, first_return(search));
        if (search->step_count == 0) {
            return SEARCH_NONE;
        }
        step = take_back(search);
        link = step.entry->link.next;
        perhaps = step.perhaps;
    }
    return SEARCH_FOUND;
}

struct search_outcome search_run(const struct history *history,
                                 const struct part *part,
                                 const uint8_t *modes,
                                 uint64_t work_max)
{
    struct search_outcome outcome = {.work = 0};
    struct search search = {.work_max = work_max, .outcome = &outcome};

    list_init(&search.surely);
    list_init(&search.perhaps);
    model_init(&search.model, history, part);
    search.entries = xcalloc(2 * part->action_count, sizeof *search.entries);
    search.steps = xcalloc(part->action_count, sizeof *search.steps);
    for (size_t i = 0; i < part->action_count; i++) {
        enum search_mode mode = mode_of(modes, i);

        if (mode != SEARCH_LEFT_OUT) {
            add_entries(&search, &part->actions[i], mode == SEARCH_RELAXED);
        }
    }
    sort_surely(&search);
    group_by_zxid(&search);
    outcome.verdict = find_order(&search);
    outcome.work = search.work;
    if (outcome.verdict == SEARCH_FOUND) {
        free(outcome.order);
        outcome.order = NULL;
    }
    free(search.entries);
    free(search.steps);
    free(search.group_left);
    free(search.seen.keys);
    model_release(&search.model);
    return outcome;
}
