#include "server/node/watch_table.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/mark.h"
#include "base/prng.h"

#include <stdlib.h>
#include <string.h>

/* How it works. Changes are looked at in windows of the history: each change of the window finds
 * the watched places that it concerns by the hashes of its path's prefixes, and leaves a hit there.
 * Then streams take the hits of their place. The newest window goes to the live streams of the
 * places hit; all other streams need not be touched, since being live says where they stand. An
 * older window goes to all streams that stand inside it, however many. */

enum {
    WINDOW_CHANGES_MAX = 1024,
    WINDOW_HITS_MAX = 65536, /* checked after each change */
    COHORT_STREAMS_MAX = 4096,
    BLOCKED_OWNERS_ASKED_MAX = 1024,
    UNBLOCKED_STREAMS_MAX = 4096,
    WORK_MAX = 16384, /* of each half of a pump; a unit is about a microsecond */
    WORK_BYTES = 512  /* given, that count as one more unit */
};

enum { PLAIN, RECURSIVE, CLASSES };

#define NO_HIT UINT32_MAX

/* A change of the window that concerns a place. */
struct hit {
    uint32_t offset; /* from the window's first sequence */
    uint32_t next;   /* of the same place and class; NO_HIT at the end */
};

/* A path that is watched. */
struct place {
    struct map_node map_node; /* in table->places by hash of path */
    size_t stream_count;
    struct list live[CLASSES];
    struct list hit_link; /* in table->places_hit */
    uint32_t first_hit[CLASSES];
    uint32_t last_hit[CLASSES];
    size_t path_size;
    uint8_t path[];
};

/*                 caught up (settle)
 *     BEHIND --------------------------> LIVE
 *      ^  |  <--------------------------  |
 *      |  |     out of work (deliver)     |
 *      |  |                               |
 *      |  +------> BLOCKED <--------------+
 *      |  full (deliver)    full (deliver)
 *      +------------+ drained (unblock)
 * BEHIND and BLOCKED streams that fell out of the history end as lost. */
enum stream_state {
    STREAM_LIVE,   /* has everything before table->published; in its place's list */
    STREAM_BEHIND, /* in table->behind by `next` */
    STREAM_BLOCKED /* in its owner's list of blocked streams */
};

struct stream {
    struct watch_owner *owner;
    struct place *place;
    uint64_t watch;
    bool recursive;
    bool with_values;
    enum stream_state state;
    history_sequence next; /* the first change not given; not kept up while LIVE */
    zxid told;             /* the last up_to that the owner saw */
    struct list link;      /* LIVE, BLOCKED */
    struct heap_node heap_node;
    struct list owner_link;
    struct list all_link;
    struct map_node map_node; /* in table->streams by owner and watch */
};

struct watch_table {
    struct watch_table_options options;
    struct watch_table_port port;
    const struct history *history;
    struct map places;
    struct map streams;
    struct list all;
    struct heap behind;
    struct list blocked_owners;
    uint64_t bytes;             /* of all streams */
    history_sequence published; /* live streams have everything before it */
    uint64_t hash_base;
    uint64_t last_serial;

    /* The window being looked at. */
    history_sequence window_first;
    struct list places_hit;
    struct hit *hits;
    size_t hit_count;
    size_t hit_capacity;
    size_t work; /* done in this half of the pump */
    struct stream *cohort[COHORT_STREAMS_MAX];
    struct watch_event slice[WATCH_SLICE_EVENTS_MAX];
};

/* --- Hashes of paths: a polynomial modulo 2^61 - 1 with a secret base, so that all prefixes of a
 * path are hashed in one pass (Karp and Rabin 1987, "Efficient randomized pattern-matching
 * algorithms") --- */

#define HASH_MODULUS ((UINT64_C(1) << 61) - 1)

static uint64_t hash_step(uint64_t hash, uint64_t base, uint8_t byte)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)hash * base + byte + 1;
    uint64_t sum = (uint64_t)(product & HASH_MODULUS) + (uint64_t)(product >> 61);

    return sum >= HASH_MODULUS ? sum - HASH_MODULUS : sum;
}

static uint64_t hash_path(const struct watch_table *table, struct bytes path)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < path.size; i++) {
        hash = hash_step(hash, table->hash_base, path.data[i]);
    }
    return map_hash_u64(hash);
}

static struct place *
find_place(const struct watch_table *table, const uint8_t *path, size_t size, uint64_t hash)
{
    MAP_FOR_HASH (node, &table->places, hash) {
        struct place *place = CONTAINER_OF(node, struct place, map_node);

        if (place->path_size == size && memcmp(place->path, path, size) == 0) {
            return place;
        }
    }
    return NULL;
}

/* --- Life --- */

struct watch_table_options watch_table_options_default(uint64_t seed)
{
    return (struct watch_table_options){.owner_streams_max = 100000,
                                        .owner_bytes_max = 128 * 1024 * 1024,
                                        .streams_max = 1000000,
                                        .bytes_max = UINT64_C(512) << 20,
                                        .seed = seed};
}

struct watch_table *watch_table_new(const struct watch_table_options *options,
                                    const struct watch_table_port *port,
                                    const struct history *history)
{
    struct watch_table *table = xmalloc(sizeof *table);
    struct prng prng;

    /* The tables at its end are written before they are read. */
    memset(table, 0, offsetof(struct watch_table, cohort));
    prng_init(&prng, options->seed);
    table->options = *options;
    table->port = *port;
    table->history = history;
    table->published = history_end(history);
    table->hash_base = prng_between(&prng, UINT64_C(1) << 32, HASH_MODULUS - 1);
    map_init(&table->places);
    map_init(&table->streams);
    list_init(&table->all);
    heap_init(&table->behind);
    list_init(&table->blocked_owners);
    list_init(&table->places_hit);
    return table;
}

void watch_table_free(struct watch_table *table)
{
    if (table != NULL) {
        CHECK_OP(table->streams.count, ==, 0);
        CHECK_OP(table->bytes, ==, 0);
        map_release(&table->places);
        map_release(&table->streams);
        heap_release(&table->behind);
        free(table->hits);
        free(table);
    }
}

void watch_owner_init(struct watch_table *table, struct watch_owner *owner, void *context)
{
    table->last_serial++;
    *owner = (struct watch_owner){.context = context, .serial = table->last_serial};
    list_init(&owner->streams);
    list_init(&owner->blocked);
    list_init(&owner->blocked_link);
}

size_t watch_table_count(const struct watch_table *table)
{
    return table->streams.count;
}

bool watch_table_has_blocked(const struct watch_table *table)
{
    return !list_is_empty(&table->blocked_owners);
}

/* --- Where a stream stands --- */

static void leave_state(struct watch_table *table, struct stream *stream)
{
    if (stream->state == STREAM_BEHIND) {
        heap_remove(&table->behind, &stream->heap_node);
        return;
    }
    list_remove(&stream->link);
    if (stream->state == STREAM_BLOCKED && list_is_empty(&stream->owner->blocked)) {
        list_remove(&stream->owner->blocked_link);
    }
}

static void enter_live(struct stream *stream)
{
    stream->state = STREAM_LIVE;
    list_append(&stream->place->live[stream->recursive ? RECURSIVE : PLAIN], &stream->link);
}

static void enter_behind(struct watch_table *table, struct stream *stream)
{
    stream->state = STREAM_BEHIND;
    heap_set(&table->behind, &stream->heap_node, stream->next);
}

static void enter_blocked(struct watch_table *table, struct stream *stream)
{
    struct watch_owner *owner = stream->owner;

    stream->state = STREAM_BLOCKED;
    list_append(&owner->blocked, &stream->link);
    if (list_is_empty(&owner->blocked_link)) {
        list_append(&table->blocked_owners, &owner->blocked_link);
    }
}

/* Put a stream that is in no state by its `next`. */
static void settle(struct watch_table *table, struct stream *stream)
{
    if (stream->next == table->published && table->published == history_end(table->history)) {
        enter_live(stream);
    } else {
        enter_behind(table, stream);
    }
}

/* --- Adding and removing --- */

static uint64_t hash_name(const struct watch_table *table, uint64_t serial, uint64_t watch)
{
    const uint64_t name[] = {serial, watch};

    return map_hash_bytes(bytes_of(name, sizeof name), table->hash_base);
}

static struct stream *
find_stream(const struct watch_table *table, const struct watch_owner *owner, uint64_t watch)
{
    MAP_FOR_HASH (node, &table->streams, hash_name(table, owner->serial, watch)) {
        struct stream *stream = CONTAINER_OF(node, struct stream, map_node);

        if (stream->owner == owner && stream->watch == watch) {
            return stream;
        }
    }
    return NULL;
}

static struct place *take_place(struct watch_table *table, struct bytes path)
{
    uint64_t hash = hash_path(table, path);
    struct place *place = find_place(table, path.data, path.size, hash);

    if (place == NULL) {
        place = xcalloc(1, sizeof *place + path.size);
        place->path_size = path.size;
        if (path.size > 0) {
            memcpy(place->path, path.data, path.size);
        }
        list_init(&place->hit_link);
        for (size_t class = 0; class < CLASSES; class ++) {
            list_init(&place->live[class]);
            place->first_hit[class] = NO_HIT;
        }
        map_insert(&table->places, &place->map_node, hash);
    }
    place->stream_count++;
    return place;
}

static void drop_place(struct watch_table *table, struct place *place)
{
    place->stream_count--;
    if (place->stream_count == 0) {
        map_remove(&table->places, &place->map_node);
        map_shrink_some(&table->places);
        free(place);
    }
}

/* Where a stream from `from` on begins. */
static enum status
find_start(const struct watch_table *table, zxid from, zxid *ret_from, history_sequence *ret_next)
{
    const struct history *history = table->history;

    if (from == 0) {
        *ret_from = history_last(history);
        *ret_next = history_end(history);
        return STATUS_OK;
    }
    if (from > history_last(history)) {
        MARK(stream_resumed_at_a_server_that_is_behind);
        return STATUS_UNAVAILABLE;
    }
    if (from < history_oldest(history)) {
        MARK(stream_resumed_before_the_history);
        return STATUS_NOT_FOUND;
    }
    *ret_from = from;
    *ret_next = history_seek(history, from);
    return STATUS_OK;
}

/* What a stream takes, its place counted as if it were alone there. */
static size_t bytes_of_stream(size_t path_size)
{
    return sizeof(struct stream) + sizeof(struct place) + path_size;
}

static bool
has_room(const struct watch_table *table, const struct watch_owner *owner, size_t path_size)
{
    const struct watch_table_options *options = &table->options;
    size_t bytes = bytes_of_stream(path_size);

    return owner->count < options->owner_streams_max &&
           owner->bytes + bytes <= options->owner_bytes_max &&
           table->streams.count < options->streams_max &&
           table->bytes + bytes <= options->bytes_max;
}

static void account(struct watch_table *table, struct stream *stream, bool is_there)
{
    size_t bytes = bytes_of_stream(stream->place->path_size);

    if (is_there) {
        stream->owner->count++;
        stream->owner->bytes += bytes;
        table->bytes += bytes;
    } else {
        stream->owner->count--;
        stream->owner->bytes -= bytes;
        table->bytes -= bytes;
    }
}

enum status watch_table_add(struct watch_table *table,
                            struct watch_owner *owner,
                            uint64_t watch,
                            struct bytes path,
                            bool recursive,
                            bool with_values,
                            zxid from,
                            zxid *ret_from)
{
    struct stream *stream;
    history_sequence next;
    zxid start;
    enum status status;

    if (find_stream(table, owner, watch) != NULL) {
        return STATUS_EXISTS;
    }
    if (!has_room(table, owner, path.size)) {
        return STATUS_LIMIT;
    }
    status = find_start(table, from, &start, &next);
    if (status != STATUS_OK) {
        return status;
    }
    stream = xcalloc(1, sizeof *stream);
    stream->owner = owner;
    stream->watch = watch;
    stream->recursive = recursive;
    stream->with_values = with_values;
    stream->next = next;
    stream->told = start;
    stream->place = take_place(table, path);
    list_init(&stream->link);
    list_append(&owner->streams, &stream->owner_link);
    account(table, stream, true);
    list_append(&table->all, &stream->all_link);
    map_insert(&table->streams, &stream->map_node, hash_name(table, owner->serial, watch));
    settle(table, stream);
    *ret_from = start;
    return STATUS_OK;
}

/* Free a stream that is in no state. */
static void drop_stream(struct watch_table *table, struct stream *stream)
{
    map_remove(&table->streams, &stream->map_node);
    map_shrink_some(&table->streams);
    list_remove(&stream->owner_link);
    list_remove(&stream->all_link);
    account(table, stream, false);
    drop_place(table, stream->place);
    free(stream);
}

enum status watch_table_remove(struct watch_table *table, struct watch_owner *owner, uint64_t watch)
{
    struct stream *stream = find_stream(table, owner, watch);

    if (stream == NULL) {
        return STATUS_NOT_FOUND;
    }
    leave_state(table, stream);
    drop_stream(table, stream);
    return STATUS_OK;
}

bool watch_owner_release_some(struct watch_table *table,
                              struct watch_owner *owner,
                              size_t count_max)
{
    for (; count_max > 0 && !list_is_empty(&owner->streams); count_max--) {
        struct stream *stream = CONTAINER_OF(owner->streams.next, struct stream, owner_link);

        leave_state(table, stream);
        drop_stream(table, stream);
    }
    return list_is_empty(&owner->streams);
}

void watch_owner_release(struct watch_table *table, struct watch_owner *owner)
{
    (void)watch_owner_release_some(table, owner, SIZE_MAX);
    CHECK_OP(owner->count, ==, 0);
    CHECK_OP(owner->bytes, ==, 0);
}

/* --- A window: which change concerns which place --- */

static void add_hit(struct watch_table *table, struct place *place, size_t class, uint32_t offset)
{
    uint32_t index = (uint32_t)table->hit_count;

    if (table->hit_count == table->hit_capacity) {
        table->hit_capacity = table->hit_capacity == 0 ? 1024 : 2 * table->hit_capacity;
        table->hits = xrealloc(table->hits, table->hit_capacity * sizeof *table->hits);
    }
    table->hits[index] = (struct hit){.offset = offset, .next = NO_HIT};
    table->hit_count++;
    if (list_is_empty(&place->hit_link)) {
        list_append(&table->places_hit, &place->hit_link);
    }
    if (place->first_hit[class] == NO_HIT) {
        place->first_hit[class] = index;
    } else {
        table->hits[place->last_hit[class]].next = index;
    }
    place->last_hit[class] = index;
}

/* `size` bytes of the change's path are an ancestor of its node. */
static void hit_ancestor(struct watch_table *table,
                         const struct watch_event *event,
                         size_t size,
                         bool is_parent,
                         uint64_t hash,
                         uint32_t offset)
{
    struct place *place = find_place(table, event->path.data, size, map_hash_u64(hash));

    if (place == NULL) {
        return;
    }
    add_hit(table, place, RECURSIVE, offset);
    if (is_parent && (event->kind == STATE_CREATED || event->kind == STATE_REMOVED)) {
        add_hit(table, place, PLAIN, offset);
    }
}

static void match(struct watch_table *table, const struct watch_event *event, uint32_t offset)
{
    const uint8_t *path = event->path.data;
    size_t size = event->path.size;
    const uint8_t *last_slash = size > 1 ? memrchr(path, '/', size) : NULL;
    uint64_t hash = 0;
    struct place *place;

    if (table->places.count == 0) {
        return;
    }
    for (size_t i = 0; i < size; i++) {
        if (i > 1 && path[i] == '/') {
            hit_ancestor(table, event, i, path + i == last_slash, hash, offset);
        }
        hash = hash_step(hash, table->hash_base, path[i]);
        if (i == 0 && size > 1) {
            hit_ancestor(table, event, 1, path == last_slash, hash, offset);
        }
    }
    place = find_place(table, path, size, map_hash_u64(hash));
    if (place != NULL) {
        add_hit(table, place, PLAIN, offset);
        add_hit(table, place, RECURSIVE, offset);
    }
}

/* Look at changes from `first` on, at most up to `end`; returns where the window ends. */
static history_sequence
open_window(struct watch_table *table, history_sequence first, history_sequence end)
{
    history_sequence i = first;

    table->window_first = first;
    table->hit_count = 0;
    if (end - first > WINDOW_CHANGES_MAX) {
        end = first + WINDOW_CHANGES_MAX;
    }
    while (i < end && table->hit_count < WINDOW_HITS_MAX) {
        match(table, history_at(table->history, i), (uint32_t)(i - first));
        i++;
    }
    table->work += i - first;
    return i;
}

static void close_window(struct watch_table *table)
{
    struct list *link;

    while ((link = list_take_first(&table->places_hit)) != NULL) {
        struct place *place = CONTAINER_OF(link, struct place, hit_link);

        place->first_hit[PLAIN] = NO_HIT;
        place->first_hit[RECURSIVE] = NO_HIT;
    }
    if (table->hit_capacity > WINDOW_HITS_MAX) {
        free(table->hits);
        table->hits = NULL;
        table->hit_capacity = 0;
    }
}

/* --- Giving --- */

static size_t event_bytes(const struct stream *stream, const struct watch_event *event)
{
    bool is_null;
    size_t bytes = event->path.size;

    if (stream->with_values && event->kind != STATE_REMOVED) {
        bytes += state_node_value(event->node, &is_null).size;
    }
    return bytes;
}

static void give(struct watch_table *table,
                 struct stream *stream,
                 const struct watch_event *events,
                 size_t count,
                 zxid up_to,
                 bool lost)
{
    CHECK_OP(up_to, >=, stream->told);
    stream->told = up_to;
    table->port.on_events(stream->owner->context, stream->watch, stream->with_values, events, count,
                          up_to, lost);
}

static history_sequence hit_sequence(const struct watch_table *table, uint32_t index)
{
    return table->window_first + table->hits[index].offset;
}

/* Give a slice of hits from `index` on; returns the first hit that did not fit. */
static uint32_t
give_slice(struct watch_table *table, struct stream *stream, uint32_t index, history_sequence end)
{
    size_t count = 0;
    size_t bytes = 0;

    while (index != NO_HIT && count < WATCH_SLICE_EVENTS_MAX) {
        const struct watch_event *event = history_at(table->history, hit_sequence(table, index));
        size_t more = event_bytes(stream, event);

        if (count > 0 && bytes + more > WATCH_SLICE_BYTES_MAX) {
            break;
        }
        bytes += more;
        table->slice[count] = *event;
        count++;
        index = table->hits[index].next;
    }
    stream->next = index == NO_HIT ? end : hit_sequence(table, index);
    table->work += count + bytes / WORK_BYTES;
    give(table, stream, table->slice, count, history_up_to(table->history, stream->next), false);
    return index;
}

enum delivery { DELIVERY_DONE, DELIVERY_FULL, DELIVERY_OUT_OF_WORK };

/* Give the stream what concerns it from its `next` to `end`, the end of the window. `next` then
 * says how far that went. */
static enum delivery deliver(struct watch_table *table, struct stream *stream, history_sequence end)
{
    uint32_t index = stream->place->first_hit[stream->recursive ? RECURSIVE : PLAIN];

    while (index != NO_HIT && hit_sequence(table, index) < stream->next) {
        index = table->hits[index].next;
    }
    while (index != NO_HIT) {
        stream->next = hit_sequence(table, index);
        if (table->work >= WORK_MAX) {
            return DELIVERY_OUT_OF_WORK;
        }
        if (table->port.is_full(stream->owner->context)) {
            return DELIVERY_FULL;
        }
        index = give_slice(table, stream, index, end);
    }
    stream->next = end;
    return DELIVERY_DONE;
}

/* --- Live streams --- */

static void publish_to(struct watch_table *table,
                       struct list *live,
                       history_sequence first,
                       history_sequence end)
{
    LIST_FOR_EACH (link, live) {
        struct stream *stream = CONTAINER_OF(link, struct stream, link);
        enum delivery delivery;

        stream->next = first;
        delivery = deliver(table, stream, end);
        if (delivery != DELIVERY_DONE) {
            leave_state(table, stream);
            if (delivery == DELIVERY_FULL) {
                MARK(live_stream_blocked_by_a_full_connection);
                enter_blocked(table, stream);
            } else {
                enter_behind(table, stream);
            }
        }
    }
}

/* What was dropped from the history before it was published cannot be given any more. */
static void leave_live(struct watch_table *table)
{
    LIST_FOR_EACH (link, &table->all) {
        struct stream *stream = CONTAINER_OF(link, struct stream, all_link);

        if (stream->state == STREAM_LIVE) {
            stream->next = table->published;
            leave_state(table, stream);
            enter_behind(table, stream);
        }
    }
}

static void publish(struct watch_table *table)
{
    history_sequence end = history_end(table->history);

    table->work = 0;
    if (table->published < history_first(table->history)) {
        MARK(live_streams_fell_out_of_the_history);
        leave_live(table);
        table->published = history_first(table->history);
    }
    while (table->published < end) {
        history_sequence first = table->published;
        history_sequence window_end = open_window(table, first, end);

        LIST_FOR_EACH (link, &table->places_hit) {
            struct place *place = CONTAINER_OF(link, struct place, hit_link);

            for (size_t class = 0; class < CLASSES; class ++) {
                if (place->first_hit[class] != NO_HIT) {
                    publish_to(table, &place->live[class], first, window_end);
                }
            }
        }
        close_window(table);
        table->published = window_end;
    }
}

/* --- Streams behind --- */

static void lose(struct watch_table *table, struct stream *stream)
{
    leave_state(table, stream);
    if (table->port.is_full(stream->owner->context)) {
        enter_blocked(table, stream);
        return;
    }
    MARK(stream_is_told_that_it_missed_changes);
    give(table, stream, NULL, 0, stream->told, true);
    drop_stream(table, stream);
}

/* Take streams with `next` before `end` out of the heap, as many as one cohort holds. */
static size_t gather(struct watch_table *table, history_sequence end)
{
    size_t count = 0;
    struct heap_node *first;

    while (count < COHORT_STREAMS_MAX && (first = heap_first(&table->behind)) != NULL &&
           first->key < end) {
        table->cohort[count] = CONTAINER_OF(first, struct stream, heap_node);
        leave_state(table, table->cohort[count]);
        count++;
    }
    table->work += count;
    return count;
}

static void feed_window(struct watch_table *table, history_sequence first)
{
    history_sequence end = open_window(table, first, table->published);
    size_t count = gather(table, end);

    for (size_t i = 0; i < count; i++) {
        if (deliver(table, table->cohort[i], end) == DELIVERY_FULL) {
            enter_blocked(table, table->cohort[i]);
        } else {
            settle(table, table->cohort[i]);
        }
    }
    close_window(table);
}

static void feed(struct watch_table *table)
{
    struct heap_node *first;

    table->work = 0;
    while (table->work < WORK_MAX && (first = heap_first(&table->behind)) != NULL) {
        struct stream *stream = CONTAINER_OF(first, struct stream, heap_node);

        if (stream->next < history_first(table->history)) {
            table->work++;
            lose(table, stream);
        } else if (stream->next == table->published) {
            table->work++;
            leave_state(table, stream);
            enter_live(stream);
        } else {
            feed_window(table, stream->next);
        }
    }
}

/* Ask some of the owners that were full whether they still are, each at most once. */
static void unblock(struct watch_table *table)
{
    const struct list *last = table->blocked_owners.previous;
    bool more = last != &table->blocked_owners;
    size_t moved = 0;

    for (size_t asked = 0; more && asked < BLOCKED_OWNERS_ASKED_MAX; asked++) {
        struct list *link = table->blocked_owners.next;
        struct watch_owner *owner = CONTAINER_OF(link, struct watch_owner, blocked_link);

        more = link != last;
        list_remove(link);
        if (!table->port.is_full(owner->context)) {
            while (moved < UNBLOCKED_STREAMS_MAX && !list_is_empty(&owner->blocked)) {
                struct list *first = list_take_first(&owner->blocked);

                enter_behind(table, CONTAINER_OF(first, struct stream, link));
                moved++;
            }
        }
        if (!list_is_empty(&owner->blocked)) {
            list_append(&table->blocked_owners, link);
        }
    }
}

bool watch_table_pump(struct watch_table *table)
{
    publish(table);
    unblock(table);
    feed(table);
    return table->behind.count > 0;
}

void watch_table_progress(struct watch_table *table, size_t count_max)
{
    zxid last = history_last(table->history);

    if (table->published != history_end(table->history)) {
        return; /* not pumped: nobody has everything */
    }
    if (count_max > table->streams.count) {
        count_max = table->streams.count;
    }
    while (count_max-- > 0) {
        struct list *link = table->all.next;
        struct stream *stream = CONTAINER_OF(link, struct stream, all_link);

        list_remove(link);
        list_append(&table->all, link);
        if (stream->state == STREAM_LIVE && stream->told < last &&
            !table->port.is_full(stream->owner->context)) {
            give(table, stream, NULL, 0, last, false);
        }
    }
}

/* --- Invariants --- */

static void check_stream(const struct watch_table *table, const struct stream *stream)
{
    CHECK(find_stream(table, stream->owner, stream->watch) == stream);
    CHECK(find_place(table, stream->place->path, stream->place->path_size,
                     stream->place->map_node.hash) == stream->place);
    CHECK((stream->state == STREAM_BEHIND) == heap_contains(&stream->heap_node));
    CHECK((stream->state == STREAM_BEHIND) == list_is_empty(&stream->link));
    if (stream->state == STREAM_BLOCKED) {
        CHECK(!list_is_empty(&stream->owner->blocked));
        CHECK(!list_is_empty(&stream->owner->blocked_link));
    }
    if (stream->state == STREAM_BEHIND) {
        CHECK_OP(stream->heap_node.key, ==, stream->next);
        CHECK_OP(stream->next, <=, history_end(table->history));
    }
    CHECK_OP(stream->told, <=, history_last(table->history));
}

void watch_table_check(const struct watch_table *table)
{
    size_t count = 0;
    size_t behind = 0;

    for (struct list *link = table->all.next; link != &table->all; link = link->next) {
        const struct stream *stream = CONTAINER_OF(link, struct stream, all_link);

        check_stream(table, stream);
        behind += stream->state == STREAM_BEHIND;
        count++;
    }
    CHECK_OP(count, ==, table->streams.count);
    CHECK_OP(behind, ==, table->behind.count);
    CHECK_OP(table->places.count, <=, count);
    CHECK_OP(table->published, <=, history_end(table->history));
    CHECK(list_is_empty(&table->places_hit));
}
