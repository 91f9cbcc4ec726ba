#include "client/client_watch.h"

#include <stdlib.h>
#include <string.h>

static void drop_pages(struct client_watch *watch)
{
    for (size_t i = 0; i < watch->page_count; i++) {
        free(watch->pages[i].last);
    }
    watch->page_count = 0;
}

struct client_watch *client_watch_new(const char *path,
                                      uint32_t flags,
                                      uint64_t from_zxid,
                                      confer_watch_callback callback,
                                      void *argument)
{
    struct client_watch *watch = client_alloc(sizeof *watch);

    if (watch == NULL) {
        return NULL;
    }
    watch->path = client_copy_text(path);
    if (watch->path == NULL) {
        free(watch);
        return NULL;
    }
    watch->flags = flags;
    watch->has_position = from_zxid != 0;
    watch->position = from_zxid;
    watch->callback = callback;
    watch->argument = argument;
    return watch;
}

void client_watch_free(struct client_watch *watch)
{
    if (watch != NULL) {
        drop_pages(watch);
        free(watch->pages);
        client_known_clear(&watch->known);
        free(watch->path);
        free(watch);
    }
}

/* --- What the receiver hears --- */

/* False when nothing more may be given. */
static bool deliver(struct client_watch *watch, struct confer_event *event)
{
    struct client_watches *watches = watch->watches;

    if (watch->is_ended || !watches->is_open(watches->context)) {
        return false;
    }
    event->watch = watch->id;
    watch->callback(watches->confer, event, watch->argument);
    return watches->is_open(watches->context);
}

static struct confer_event event_of(enum confer_event_kind kind, uint64_t zxid)
{
    return (struct confer_event){
        .kind = kind, .zxid = zxid, .path = "", .value = "", .message = ""};
}

static void end(struct client_watch *watch, enum confer_status status, const char *message)
{
    struct confer_event event = event_of(CONFER_EVENT_ENDED, watch->position);

    if (watch->is_ended) {
        return;
    }
    watch->is_ended = true;
    watch->watches->ended++;
    drop_pages(watch);
    client_known_clear(&watch->known);
    event.watch = watch->id;
    event.status = status;
    event.message = message == NULL ? confer_status_text(status) : message;
    watch->callback(watch->watches->confer, &event, watch->argument);
}

/* --- Starting the stream --- */

static void begin(struct client_watch *watch);
static void start_reading(struct client_watch *watch);

static void on_started(void *owner, const struct confer_result *result)
{
    struct client_watch *watch = owner;
    struct confer_event event;

    watch->is_start_pending = false;
    if (watch->is_ended) {
        return;
    }
    if (result->status == CONFER_COMPACTED) {
        start_reading(watch);
        return;
    }
    if (result->status != CONFER_OK) {
        end(watch, result->status, result->message);
        return;
    }
    watch->state = CLIENT_WATCH_STREAMING;
    if (!watch->has_position) {
        watch->has_position = true;
        watch->position = result->zxid;
    }
    if (!watch->was_started) {
        watch->was_started = true;
        event = event_of(CONFER_EVENT_STARTED, watch->position);
        (void)deliver(watch, &event);
    }
}

/* False: no memory, and the watch has ended. */
static bool submit(struct client_watch *watch,
                   Client__Request__BodyCase field,
                   const ProtobufCMessage *message,
                   enum client_shape shape,
                   bool per_connection,
                   void (*on_done)(void *owner, const struct confer_result *result))
{
    struct client_request *request = client_request_new();

    if (request == NULL || client_body_pack(field, message, &request->body) != CONFER_OK) {
        client_request_free(request);
        end(watch, CONFER_NO_MEMORY, NULL);
        return false;
    }
    request->shape = shape;
    request->per_connection = per_connection;
    request->on_done = on_done;
    request->owner = watch;
    watch->watches->submit(watch->watches->context, request);
    return true;
}

static void start_stream(struct client_watch *watch)
{
    Client__Watch message = CLIENT__WATCH__INIT;

    message.watch = watch->id;
    message.path = client_data_of_text(watch->path);
    message.recursive = (watch->flags & CONFER_WATCH_RECURSIVE) != 0;
    message.with_values = (watch->flags & CONFER_WATCH_VALUES) != 0;
    message.from_zxid = watch->has_position ? watch->position : 0;
    watch->state = CLIENT_WATCH_STARTING;
    watch->skip_count = watch->partial_count;
    watch->is_start_pending = submit(watch, CLIENT__REQUEST__BODY_WATCH, &message.base,
                                     CLIENT_SHAPE_WATCH, true, on_started);
}

/* --- Reading the subtree --- */

static void on_page(void *owner, const struct confer_result *result);

static void read_page(struct client_watch *watch)
{
    Client__ReadTree message = CLIENT__READ_TREE__INIT;

    message.path = client_data_of_text(watch->path);
    message.depth_max = (watch->flags & CONFER_WATCH_RECURSIVE) != 0 ? 0 : 1;
    message.with_values = (watch->flags & CONFER_WATCH_VALUES) != 0 && !watch->is_silent;
    if (watch->page_count > 0) {
        message.after = client_data_of_text(watch->pages[watch->page_count - 1].last);
    }
    watch->is_read_pending = submit(watch, CLIENT__REQUEST__BODY_READ_TREE, &message.base,
                                    CLIENT_SHAPE_TREE, false, on_page);
}

static void start_reading(struct client_watch *watch)
{
    watch->is_initial = !watch->was_started && !watch->has_position;
    watch->is_silent = watch->is_initial && (watch->flags & CONFER_WATCH_INITIAL) == 0;
    watch->is_full = !watch->is_known || watch->position < watch->known_since;
    watch->state = CLIENT_WATCH_READING;
    drop_pages(watch);
    read_page(watch);
}

static bool add_page(struct client_watch *watch, const struct confer_result *result)
{
    struct client_watch_page *page;

    if (watch->page_count == watch->page_capacity) {
        size_t capacity = watch->page_capacity == 0 ? 4 : 2 * watch->page_capacity;
        struct client_watch_page *pages = client_grow(watch->pages, capacity, sizeof *pages);

        if (pages == NULL) {
            return false;
        }
        watch->pages = pages;
        watch->page_capacity = capacity;
    }
    page = &watch->pages[watch->page_count];
    *page = (struct client_watch_page){.zxid = result->zxid};
    if (result->more) {
        page->last = client_copy_text(result->nodes[result->node_count - 1].path);
        if (page->last == NULL) {
            return false;
        }
    }
    watch->page_count++;
    return true;
}

/* Each path lies behind the one before it, and behind the page before this one. */
static bool is_in_order(const struct client_watch *watch, const struct confer_result *result)
{
    const char *before = watch->page_count == 0 ? NULL : watch->pages[watch->page_count - 1].last;

    for (size_t i = 0; i < result->node_count; i++) {
        const char *path = result->nodes[i].path;

        if (before != NULL && client_known_compare(before, path) >= 0) {
            return false;
        }
        before = path;
    }
    return true;
}

static bool
give_node(struct client_watch *watch, enum confer_event_kind kind, const struct confer_node *node)
{
    struct confer_event event = event_of(kind, watch->pages[watch->page_count - 1].zxid);

    event.resync = true;
    event.path = node->path;
    event.stat = node->stat;
    event.value = node->value;
    event.value_bytes = node->value_bytes;
    event.value_is_null = node->value_is_null;
    return deliver(watch, &event);
}

/* A stream that is not recursive tells of children only that they come and go. */
static bool tells_values_of(const struct client_watch *watch, const char *path)
{
    return (watch->flags & CONFER_WATCH_RECURSIVE) != 0 || strcmp(path, watch->path) == 0;
}

/* Give what makes `node` known. False: nothing more may be given. */
static bool give_difference(struct client_watch *watch, const struct confer_node *node)
{
    const struct client_known_node *known =
        watch->is_full ? NULL : client_known_find(&watch->known, node->path);
    bool goes_on = true;

    if (known == NULL) {
        goes_on = watch->is_silent || give_node(watch, CONFER_EVENT_CREATED, node);
    } else if (tells_values_of(watch, node->path)) {
        if (known->mzxid != node->stat.mzxid) {
            goes_on = give_node(watch, CONFER_EVENT_VALUE_SET, node);
        }
        if (goes_on && known->aversion != node->stat.aversion) {
            goes_on = give_node(watch, CONFER_EVENT_ACL_SET, node);
        }
    }
    if (goes_on && (watch->flags & CONFER_WATCH_TRACK) != 0 &&
        !client_known_put(&watch->known, node->path, &node->stat)) {
        end(watch, CONFER_NO_MEMORY, NULL);
        return false;
    }
    return goes_on && !watch->is_ended;
}

/* What is known in the range of the last page and is not in it (any more), children first. */
static bool give_removals(struct client_watch *watch, const struct confer_result *result)
{
    const struct client_watch_page *page = &watch->pages[watch->page_count - 1];
    const char *before = watch->page_count < 2 ? NULL : page[-1].last;
    struct client_known_node *known =
        before == NULL ? watch->known.first[0] : client_known_from(&watch->known, before);
    const struct client_known_node **gone = NULL;
    size_t count = 0;
    size_t capacity = 0;
    size_t i = 0;
    bool goes_on = true;

    for (; known != NULL &&
           (page->last == NULL || client_known_compare(known->path, page->last) <= 0);
         known = client_known_next(known)) {
        if (before != NULL && client_known_compare(known->path, before) <= 0) {
            continue;
        }
        while (i < result->node_count &&
               client_known_compare(result->nodes[i].path, known->path) < 0) {
            i++;
        }
        if (i < result->node_count && strcmp(result->nodes[i].path, known->path) == 0 &&
            !result->nodes[i].hidden && result->nodes[i].stat.czxid == known->czxid) {
            continue;
        }
        if (count == capacity) {
            const struct client_known_node **grown;

            capacity = capacity == 0 ? 64 : 2 * capacity;
            grown = client_grow(gone, capacity, sizeof *gone);
            if (grown == NULL) {
                free(gone);
                end(watch, CONFER_NO_MEMORY, NULL);
                return false;
            }
            gone = grown;
        }
        gone[count++] = known;
    }
    while (goes_on && count > 0) {
        const struct confer_node node = {.path = gone[--count]->path, .value = ""};

        goes_on = give_node(watch, CONFER_EVENT_REMOVED, &node) && !watch->is_ended;
        if (goes_on) {
            client_known_remove(&watch->known, node.path);
        }
    }
    free(gone);
    return goes_on;
}

static bool give_begin(struct client_watch *watch)
{
    struct confer_event event = event_of(CONFER_EVENT_RESYNC_BEGIN, watch->pages[0].zxid);

    if (watch->is_full) {
        client_known_clear(&watch->known);
    }
    event.full = watch->is_full;
    event.initial = watch->is_initial;
    return watch->is_silent || deliver(watch, &event);
}

static void finish_reading(struct client_watch *watch)
{
    struct confer_event event = event_of(CONFER_EVENT_RESYNC_END, watch->pages[0].zxid);

    watch->position = watch->pages[0].zxid;
    watch->has_position = true;
    watch->partial_zxid = 0;
    watch->partial_count = 0;
    watch->is_known = (watch->flags & CONFER_WATCH_TRACK) != 0;
    /* After a silent reading nothing is dropped: the receiver has not seen the pages. What is known
     * runs ahead of it until the last page's zxid. */
    watch->known_since = watch->is_silent ? watch->pages[watch->page_count - 1].zxid : 0;
    if (watch->is_silent || watch->pages[watch->page_count - 1].zxid <= watch->position) {
        drop_pages(watch);
    }
    watch->state = CLIENT_WATCH_IDLE;
    if (watch->is_silent || deliver(watch, &event)) {
        begin(watch);
    }
}

static void take_page(struct client_watch *watch, const struct confer_result *result)
{
    if (!is_in_order(watch, result)) {
        end(watch, CONFER_PROTOCOL, "the server gave a subtree out of order");
        return;
    }
    if (!add_page(watch, result)) {
        end(watch, CONFER_NO_MEMORY, NULL);
        return;
    }
    if (watch->page_count == 1 && !give_begin(watch)) {
        return;
    }
    if (!watch->is_full && !give_removals(watch, result)) {
        return;
    }
    for (size_t i = 0; i < result->node_count; i++) {
        /* A stream does not tell of what may not be read either. */
        if (!result->nodes[i].hidden && !give_difference(watch, &result->nodes[i])) {
            return;
        }
    }
    if (result->more) {
        read_page(watch);
    } else {
        finish_reading(watch);
    }
}

static void on_page(void *owner, const struct confer_result *result)
{
    struct client_watch *watch = owner;
    struct confer_result empty;

    watch->is_read_pending = false;
    if (watch->is_ended) {
        return;
    }
    if (result->status == CONFER_NO_NODE) {
        empty = (struct confer_result){.zxid = result->zxid};
        take_page(watch, &empty);
    } else if (result->status != CONFER_OK) {
        end(watch, result->status, result->message);
    } else {
        take_page(watch, result);
    }
}

/* --- Events --- */

/* Whether the receiver has this change from a page read at or after it. */
static bool is_covered(const struct client_watch *watch, const char *path, uint64_t zxid)
{
    for (size_t i = 0; i < watch->page_count; i++) {
        const struct client_watch_page *page = &watch->pages[i];

        if (page->last == NULL || client_known_compare(path, page->last) <= 0) {
            return zxid <= page->zxid;
        }
    }
    return false;
}

/* Whether this change of the stream was seen before the stream was started again. */
static bool is_repeated(struct client_watch *watch, uint64_t zxid)
{
    if (zxid <= watch->position || zxid < watch->partial_zxid) {
        return true;
    }
    if (zxid == watch->partial_zxid && watch->skip_count > 0) {
        watch->skip_count--;
        return true;
    }
    if (zxid != watch->partial_zxid) {
        watch->partial_zxid = zxid;
        watch->partial_count = 0;
        watch->skip_count = 0;
    }
    watch->partial_count++;
    return false;
}

static bool remember(struct client_watch *watch, const struct confer_event *event)
{
    if (!watch->is_known) {
        return true;
    }
    if (event->kind == CONFER_EVENT_REMOVED) {
        client_known_remove(&watch->known, event->path);
        return true;
    }
    return client_known_put(&watch->known, event->path, &event->stat);
}

static void take_event(struct client_watch *watch, const Client__Event *foreign)
{
    struct confer_event event;

    if (is_repeated(watch, foreign->zxid)) {
        return;
    }
    client_result_event(foreign, &event);
    if (is_covered(watch, event.path, event.zxid)) {
        return;
    }
    if (!remember(watch, &event)) {
        end(watch, CONFER_NO_MEMORY, NULL);
        return;
    }
    (void)deliver(watch, &event);
}

static void move_position(struct client_watch *watch, uint64_t up_to_zxid)
{
    struct confer_event event;

    if (up_to_zxid <= watch->position) {
        return;
    }
    watch->position = up_to_zxid;
    watch->has_position = true;
    if (watch->partial_zxid <= up_to_zxid) {
        watch->partial_zxid = 0;
        watch->partial_count = 0;
        watch->skip_count = 0;
    }
    if (watch->page_count > 0 && watch->pages[watch->page_count - 1].zxid <= up_to_zxid) {
        drop_pages(watch);
    }
    /* A message may end inside a transaction, of which a part is given then. */
    if ((watch->flags & CONFER_WATCH_PROGRESS) != 0 && watch->partial_zxid == 0) {
        event = event_of(CONFER_EVENT_PROGRESS, up_to_zxid);
        (void)deliver(watch, &event);
    }
}

/* --- All watches of a handle --- */

static size_t index_of(const struct client_watches *watches, uint64_t id)
{
    size_t low = 0;
    size_t high = watches->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (watches->items[middle]->id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct client_watch *find(const struct client_watches *watches, uint64_t id)
{
    size_t i = index_of(watches, id);

    return i < watches->count && watches->items[i]->id == id && !watches->items[i]->is_ended
               ? watches->items[i]
               : NULL;
}

void client_watches_events(struct client_watches *watches, const Client__Events *events)
{
    struct client_watch *watch = find(watches, events->watch);

    if (watch == NULL ||
        (watch->state != CLIENT_WATCH_STREAMING && watch->state != CLIENT_WATCH_STARTING)) {
        return;
    }
    for (size_t i = 0; i < events->n_events; i++) {
        take_event(watch, events->events[i]);
        if (watch->is_ended || !watches->is_open(watches->context)) {
            return;
        }
    }
    move_position(watch, events->up_to_zxid);
    if (events->lost && !watch->is_ended && watch->state == CLIENT_WATCH_STREAMING) {
        watch->state = CLIENT_WATCH_IDLE;
        begin(watch);
    }
}

static void begin(struct client_watch *watch)
{
    bool wants_picture = (watch->flags & (CONFER_WATCH_INITIAL | CONFER_WATCH_TRACK)) != 0;

    if (watch->is_ended || watch->state != CLIENT_WATCH_IDLE || !watch->watches->is_connected) {
        return;
    }
    if (wants_picture && !watch->has_position) {
        start_reading(watch);
    } else {
        start_stream(watch);
    }
}

void client_watches_add(struct client_watches *watches, struct client_watch *watch)
{
    watch->watches = watches;
    client_known_init(&watch->known, watch->id);
    if (watches->count == watches->capacity) {
        size_t capacity = watches->capacity == 0 ? 8 : 2 * watches->capacity;
        struct client_watch **items = client_grow(watches->items, capacity, sizeof(void *));

        if (items == NULL) {
            end(watch, CONFER_NO_MEMORY, NULL);
            watches->ended--;
            client_watch_free(watch);
            return;
        }
        watches->items = items;
        watches->capacity = capacity;
    }
    watches->items[watches->count++] = watch;
    begin(watch);
}

void client_watches_connected(struct client_watches *watches)
{
    watches->is_connected = true;
    for (size_t i = 0; i < watches->count; i++) {
        begin(watches->items[i]);
    }
}

void client_watches_disconnected(struct client_watches *watches)
{
    watches->is_connected = false;
    for (size_t i = 0; i < watches->count; i++) {
        struct client_watch *watch = watches->items[i];

        watch->is_start_pending = false;
        if (watch->state != CLIENT_WATCH_READING) {
            watch->state = CLIENT_WATCH_IDLE;
        }
    }
}

/* The server may forget the stream; its answer matters to nobody. */
static void send_unwatch(struct client_watches *watches, uint64_t id)
{
    Client__Unwatch message = CLIENT__UNWATCH__INIT;
    struct client_request *request = client_request_new();

    message.watch = id;
    if (request == NULL || client_body_pack(CLIENT__REQUEST__BODY_UNWATCH, &message.base,
                                            &request->body) != CONFER_OK) {
        client_request_free(request);
        return;
    }
    request->per_connection = true;
    watches->submit(watches->context, request);
}

void client_watches_remove(struct client_watches *watches, uint64_t id)
{
    struct client_watch *watch = find(watches, id);

    if (watch != NULL) {
        bool has_stream =
            watch->state == CLIENT_WATCH_STREAMING || watch->state == CLIENT_WATCH_STARTING;

        end(watch, CONFER_OK, NULL);
        if (has_stream && watches->is_connected) {
            send_unwatch(watches, id);
        }
    }
}

void client_watches_end_all(struct client_watches *watches,
                            enum confer_status status,
                            const char *message)
{
    for (size_t i = 0; i < watches->count; i++) {
        end(watches->items[i], status, message);
    }
}

void client_watches_sweep(struct client_watches *watches)
{
    size_t kept = 0;

    /* When half have ended, so that each costs a constant amount. */
    if (watches->ended == 0 || 2 * watches->ended < watches->count) {
        return;
    }
    for (size_t i = 0; i < watches->count; i++) {
        struct client_watch *watch = watches->items[i];

        if (watch->is_ended && !watch->is_read_pending && !watch->is_start_pending) {
            watches->ended--;
            client_watch_free(watch);
        } else {
            watches->items[kept++] = watch;
        }
    }
    watches->count = kept;
}

void client_watches_release(struct client_watches *watches)
{
    for (size_t i = 0; i < watches->count; i++) {
        client_watch_free(watches->items[i]);
    }
    free(watches->items);
    watches->items = NULL;
    watches->count = 0;
    watches->capacity = 0;
    watches->ended = 0;
}
