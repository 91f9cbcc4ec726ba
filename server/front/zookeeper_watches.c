#include "server/front/zookeeper_watches.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

enum {
    ON_DATA = ZOOKEEPER_WATCH_DATA | ZOOKEEPER_WATCH_PERSISTENT | ZOOKEEPER_WATCH_RECURSIVE,
    ON_CHILDREN = ZOOKEEPER_WATCH_CHILD | ZOOKEEPER_WATCH_PERSISTENT,
    ONE_SHOT = ZOOKEEPER_WATCH_DATA | ZOOKEEPER_WATCH_CHILD
};

struct watched_path {
    struct map_node by_path;
    struct list in_order;
    struct list registrations;
    size_t size;
    uint8_t path[];
};

/* What one connection watches on one path. */
struct registration {
    struct map_node by_both; /* path and watcher */
    struct list path_link;
    struct list watcher_link;
    struct watched_path *path;
    struct zookeeper_watcher *watcher;
    unsigned kinds;
    unsigned silent; /* of these, while `hush` is the watcher's */
    uint64_t hush;
};

struct zookeeper_watches {
    bool (*may_see)(struct zookeeper_watcher *watcher, const struct state_node *node);
    void (*send)(struct zookeeper_watcher *watcher, struct bytes frame);
    struct map paths;
    struct list paths_in_order; /* of their first watch */
    struct map registrations;
    struct zookeeper_watch_limits limits;
    uint64_t bytes; /* of all registrations */
    uint64_t hash_seed;
    uint64_t last_id;
    uint64_t firing; /* the number of the present one */
    size_t recursive_count;
    size_t watch_count;
    struct buffer frame;
};

static unsigned count_of(unsigned kinds)
{
    return (unsigned)__builtin_popcount(kinds);
}

static bool is_hushed(const struct zookeeper_watcher *watcher)
{
    return watcher->hush % 2 == 1;
}

static unsigned silent_kinds(const struct registration *registration)
{
    const struct zookeeper_watcher *watcher = registration->watcher;

    return is_hushed(watcher) && registration->hush == watcher->hush ? registration->silent : 0;
}

void zookeeper_watcher_hush(struct zookeeper_watcher *watcher)
{
    watcher->hush += is_hushed(watcher) ? 0 : 1;
}

void zookeeper_watcher_speak(struct zookeeper_watcher *watcher)
{
    watcher->hush += is_hushed(watcher) ? 1 : 0;
}

static uint64_t hash_both(uint64_t path_hash, const struct zookeeper_watcher *watcher)
{
    return map_hash_u64(path_hash ^ map_hash_u64(watcher->id));
}

static struct watched_path *
find_path(const struct zookeeper_watches *watches, struct bytes path, uint64_t hash)
{
    MAP_FOR_HASH (node, &watches->paths, hash) {
        struct watched_path *watched = CONTAINER_OF(node, struct watched_path, by_path);

        if (bytes_equal(bytes_of(watched->path, watched->size), path)) {
            return watched;
        }
    }
    return NULL;
}

static struct registration *find_registration(const struct zookeeper_watches *watches,
                                              const struct zookeeper_watcher *watcher,
                                              struct bytes path)
{
    uint64_t hash = map_hash_bytes(path, watches->hash_seed);

    MAP_FOR_HASH (node, &watches->registrations, hash_both(hash, watcher)) {
        struct registration *registration = CONTAINER_OF(node, struct registration, by_both);

        if (registration->watcher == watcher &&
            bytes_equal(bytes_of(registration->path->path, registration->path->size), path)) {
            return registration;
        }
    }
    return NULL;
}

struct zookeeper_watch_limits zookeeper_watch_limits_default(void)
{
    return (struct zookeeper_watch_limits){
        .one_count = 1024 * 1024, .one_bytes = 256 * 1024 * 1024, .all_bytes = UINT64_C(512) << 20};
}

struct zookeeper_watches *zookeeper_watches_new(const struct zookeeper_watch_limits *limits,
                                                uint64_t hash_seed,
                                                bool (*may_see)(struct zookeeper_watcher *watcher,
                                                                const struct state_node *node),
                                                void (*send)(struct zookeeper_watcher *watcher,
                                                             struct bytes frame))
{
    struct zookeeper_watches *watches = xcalloc(1, sizeof *watches);

    watches->limits = *limits;
    watches->may_see = may_see;
    watches->send = send;
    watches->hash_seed = hash_seed;
    map_init(&watches->paths);
    list_init(&watches->paths_in_order);
    map_init(&watches->registrations);
    return watches;
}

void zookeeper_watches_free(struct zookeeper_watches *watches)
{
    if (watches == NULL) {
        return;
    }
    CHECK_OP(watches->registrations.count, ==, 0);
    CHECK_OP(watches->bytes, ==, 0);
    map_release(&watches->paths);
    map_release(&watches->registrations);
    buffer_release(&watches->frame);
    free(watches);
}

/* What a registration takes, its path counted as if nobody else watched it. */
static size_t bytes_of_one(size_t path_size)
{
    return sizeof(struct registration) + sizeof(struct watched_path) + path_size;
}

/* Only these kinds remain; without any, registration and path go. */
static void
keep_kinds(struct zookeeper_watches *watches, struct registration *registration, unsigned kinds)
{
    struct watched_path *path = registration->path;
    unsigned gone = registration->kinds & ~kinds;

    watches->watch_count -= count_of(gone);
    watches->recursive_count -= (gone & ZOOKEEPER_WATCH_RECURSIVE) != 0;
    registration->watcher->count -= count_of(gone);
    registration->kinds &= kinds;
    if (registration->kinds != 0) {
        return;
    }
    registration->watcher->bytes -= bytes_of_one(path->size);
    watches->bytes -= bytes_of_one(path->size);
    map_remove(&watches->registrations, &registration->by_both);
    map_shrink_some(&watches->registrations);
    list_remove(&registration->path_link);
    list_remove(&registration->watcher_link);
    free(registration);
    if (list_is_empty(&path->registrations)) {
        map_remove(&watches->paths, &path->by_path);
        map_shrink_some(&watches->paths);
        list_remove(&path->in_order);
        free(path);
    }
}

void zookeeper_watcher_init(struct zookeeper_watches *watches, struct zookeeper_watcher *watcher)
{
    *watcher = (struct zookeeper_watcher){.id = ++watches->last_id};
    list_init(&watcher->registrations);
}

bool zookeeper_watcher_release_some(struct zookeeper_watches *watches,
                                    struct zookeeper_watcher *watcher,
                                    size_t paths_max)
{
    for (; paths_max > 0 && !list_is_empty(&watcher->registrations); paths_max--) {
        struct list *first = watcher->registrations.next;

        keep_kinds(watches, CONTAINER_OF(first, struct registration, watcher_link), 0);
    }
    return list_is_empty(&watcher->registrations);
}

void zookeeper_watcher_release(struct zookeeper_watches *watches, struct zookeeper_watcher *watcher)
{
    (void)zookeeper_watcher_release_some(watches, watcher, SIZE_MAX);
    CHECK_OP(watcher->count, ==, 0);
}

static struct watched_path *
take_path(struct zookeeper_watches *watches, struct bytes path, uint64_t hash)
{
    struct watched_path *watched = find_path(watches, path, hash);

    if (watched == NULL) {
        watched = xmalloc(sizeof *watched + path.size);
        watched->size = path.size;
        memcpy(watched->path, path.data, path.size);
        list_init(&watched->registrations);
        map_insert(&watches->paths, &watched->by_path, hash);
        list_append(&watches->paths_in_order, &watched->in_order);
    }
    return watched;
}

enum status zookeeper_watches_add(struct zookeeper_watches *watches,
                                  struct zookeeper_watcher *watcher,
                                  struct bytes path,
                                  enum zookeeper_watch kind)
{
    struct registration *registration = find_registration(watches, watcher, path);
    uint64_t hash = map_hash_bytes(path, watches->hash_seed);

    if (registration != NULL && (registration->kinds & kind) != 0) {
        return STATUS_OK;
    }
    if (watcher->count >= watches->limits.one_count) {
        return STATUS_LIMIT;
    }
    if (registration == NULL) {
        size_t bytes = bytes_of_one(path.size);

        if (watcher->bytes + bytes > watches->limits.one_bytes ||
            watches->bytes + bytes > watches->limits.all_bytes) {
            return STATUS_LIMIT;
        }
        watcher->bytes += bytes;
        watches->bytes += bytes;
        registration = xcalloc(1, sizeof *registration);
        registration->watcher = watcher;
        registration->path = take_path(watches, path, hash);
        list_append(&registration->path->registrations, &registration->path_link);
        list_append(&watcher->registrations, &registration->watcher_link);
        map_insert(&watches->registrations, &registration->by_both, hash_both(hash, watcher));
    }
    if (is_hushed(watcher) && (kind & ONE_SHOT) == 0) {
        registration->silent = silent_kinds(registration) | kind;
        registration->hush = watcher->hush;
    }
    registration->kinds |= kind;
    watcher->count++;
    watches->watch_count++;
    watches->recursive_count += kind == ZOOKEEPER_WATCH_RECURSIVE;
    return STATUS_OK;
}

unsigned zookeeper_watches_find(const struct zookeeper_watches *watches,
                                const struct zookeeper_watcher *watcher,
                                struct bytes path)
{
    const struct registration *registration = find_registration(watches, watcher, path);

    return registration == NULL ? 0 : registration->kinds;
}

unsigned zookeeper_watches_remove(struct zookeeper_watches *watches,
                                  struct zookeeper_watcher *watcher,
                                  struct bytes path,
                                  unsigned kinds)
{
    struct registration *registration = find_registration(watches, watcher, path);
    unsigned there;

    if (registration == NULL) {
        return 0;
    }
    there = registration->kinds & kinds;
    keep_kinds(watches, registration, ~kinds);
    return there;
}

/* --- Firing --- */

struct firing {
    enum jute_event type;
    struct bytes path; /* the node that the event is about */
    zxid zxid;
    const struct state_node *judged; /* by whose list it is decided who may know; NULL = gone */
    const struct zookeeper_hearing *hearing; /* NULL = those who watch */
};

static struct bytes frame_of(struct zookeeper_watches *watches, const struct firing *firing)
{
    if (watches->frame.size == 0) {
        size_t begin = jute_begin_frame(&watches->frame);

        jute_put_reply_header(&watches->frame, JUTE_XID_NOTIFICATION, (int64_t)firing->zxid,
                              JUTE_ERROR_OK);
        jute_put_int(&watches->frame, (int32_t)firing->type);
        jute_put_int(&watches->frame, JUTE_STATE_SYNC_CONNECTED);
        jute_put_buffer(&watches->frame, firing->path, false);
        jute_end_frame(&watches->frame, begin);
    }
    return buffer_lend(&watches->frame);
}

static void tell_hearing(struct zookeeper_watches *watches,
                         struct bytes path,
                         unsigned kinds,
                         const struct firing *firing)
{
    const struct zookeeper_hearing *hearing = firing->hearing;
    struct zookeeper_watcher *watcher = hearing->watcher;
    const struct registration *registration = find_registration(watches, watcher, path);

    if (registration != NULL && (silent_kinds(registration) & kinds) != 0 &&
        watcher->fired != watches->firing) {
        watcher->fired = watches->firing;
        if (hearing->may_see(hearing, firing->judged)) {
            hearing->send(hearing, frame_of(watches, firing));
        }
    }
}

/* Tell those who watch `path` with any of `kinds`; one-shot ones among these are used up, told or
 * not. */
static void tell(struct zookeeper_watches *watches,
                 struct bytes path,
                 unsigned kinds,
                 const struct firing *firing)
{
    struct watched_path *watched;
    struct list *link;

    if (firing->hearing != NULL) {
        tell_hearing(watches, path, kinds, firing);
        return;
    }
    watched = find_path(watches, path, map_hash_bytes(path, watches->hash_seed));
    link = watched == NULL ? NULL : watched->registrations.next;
    /* The path goes with its last registration. */
    for (bool is_last = watched == NULL; !is_last;) {
        struct registration *registration = CONTAINER_OF(link, struct registration, path_link);
        struct zookeeper_watcher *watcher = registration->watcher;
        unsigned telling = registration->kinds & ~silent_kinds(registration);

        link = link->next;
        is_last = link == &watched->registrations;
        if ((telling & kinds) != 0) {
            if (watcher->fired != watches->firing) {
                watcher->fired = watches->firing;
                if (watches->may_see(watcher, firing->judged)) {
                    watches->send(watcher, frame_of(watches, firing));
                }
            }
            keep_kinds(watches, registration, ~(kinds & ONE_SHOT));
        }
    }
}

struct bytes zookeeper_watches_parent(struct bytes path)
{
    const uint8_t *slash = memrchr(path.data, '/', path.size);

    CHECK(slash != NULL);
    return bytes_of(path.data, slash == path.data ? 1 : (size_t)(slash - path.data));
}

static void begin(struct zookeeper_watches *watches)
{
    watches->firing++;
    buffer_clear(&watches->frame);
}

static const struct state_node *judged_by(const struct state_change *change)
{
    return change->after != NULL ? change->after : change->before;
}

/* Those who watch the data of the node, and its recursive watchers from above. */
static void fire_data(struct zookeeper_watches *watches,
                      enum jute_event type,
                      const struct state_change *change,
                      const struct zookeeper_hearing *hearing)
{
    const struct firing firing = {.type = type,
                                  .path = change->path,
                                  .zxid = change->zxid,
                                  .judged = judged_by(change),
                                  .hearing = hearing};
    struct bytes path = change->path;

    begin(watches);
    tell(watches, path, ON_DATA, &firing);
    while (path.size > 1 && watches->recursive_count > 0) {
        path = zookeeper_watches_parent(path);
        tell(watches, path, ZOOKEEPER_WATCH_RECURSIVE, &firing);
    }
}

static void fire_parent(struct zookeeper_watches *watches,
                        const struct state_change *change,
                        const struct state_node *parent,
                        const struct zookeeper_hearing *hearing)
{
    const struct firing firing = {.type = JUTE_EVENT_CHILDREN_CHANGED,
                                  .path = zookeeper_watches_parent(change->path),
                                  .zxid = change->zxid,
                                  .judged = parent,
                                  .hearing = hearing};

    begin(watches);
    tell(watches, firing.path, ON_CHILDREN, &firing);
}

static void fire(struct zookeeper_watches *watches,
                 const struct state_change *change,
                 const struct state_node *parent,
                 const struct zookeeper_hearing *hearing)
{
    const struct firing deletion = {.type = JUTE_EVENT_DELETED,
                                    .path = change->path,
                                    .zxid = change->zxid,
                                    .judged = judged_by(change),
                                    .hearing = hearing};

    if (watches->watch_count == 0) {
        return;
    }
    switch (change->kind) {
    case STATE_CREATED:
        fire_data(watches, JUTE_EVENT_CREATED, change, hearing);
        fire_parent(watches, change, parent, hearing);
        break;
    case STATE_VALUE_SET:
        fire_data(watches, JUTE_EVENT_DATA_CHANGED, change, hearing);
        break;
    case STATE_REMOVED:
        /* Still the same firing: who heard it as a watcher of the data is not told again. */
        fire_data(watches, JUTE_EVENT_DELETED, change, hearing);
        tell(watches, change->path, ON_CHILDREN, &deletion);
        fire_parent(watches, change, parent, hearing);
        break;
    case STATE_ACL_SET:
    case STATE_SESSION_OPENED:
    case STATE_SESSION_ATTACHED:
    case STATE_SESSION_CLOSED:
    case STATE_SESSION_EXPIRED:
    default:
        break;
    }
}

void zookeeper_watches_fire(struct zookeeper_watches *watches,
                            const struct state_change *change,
                            const struct state_node *parent)
{
    fire(watches, change, parent, NULL);
}

void zookeeper_watches_fire_silent(struct zookeeper_watches *watches,
                                   const struct state_change *change,
                                   const struct state_node *parent,
                                   const struct zookeeper_hearing *hearing)
{
    fire(watches, change, parent, hearing);
}

struct zookeeper_watch_counts zookeeper_watches_count(const struct zookeeper_watches *watches)
{
    return (struct zookeeper_watch_counts){.watches = watches->watch_count,
                                           .paths = watches->paths.count};
}

static bool
show(const struct registration *registration, zookeeper_watches_visitor *visit, void *visitor)
{
    return (registration->kinds & ON_DATA) == 0 ||
           visit(visitor, registration->watcher,
                 bytes_of(registration->path->path, registration->path->size));
}

static bool
show_path(const struct watched_path *path, zookeeper_watches_visitor *visit, void *visitor)
{
    LIST_FOR_EACH (link, &path->registrations) {
        if (!show(CONTAINER_OF(link, struct registration, path_link), visit, visitor)) {
            return false;
        }
    }
    return true;
}

void zookeeper_watches_each(const struct zookeeper_watches *watches,
                            zookeeper_watches_visitor *visit,
                            void *visitor)
{
    LIST_FOR_EACH (link, &watches->paths_in_order) {
        if (!show_path(CONTAINER_OF(link, struct watched_path, in_order), visit, visitor)) {
            return;
        }
    }
}

bool zookeeper_watcher_each(const struct zookeeper_watcher *watcher,
                            zookeeper_watches_visitor *visit,
                            void *visitor)
{
    LIST_FOR_EACH (link, &watcher->registrations) {
        if (!show(CONTAINER_OF(link, struct registration, watcher_link), visit, visitor)) {
            return false;
        }
    }
    return true;
}
