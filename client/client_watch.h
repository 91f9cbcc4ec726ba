/* Watches: streams of changes that outlive connections.
 *
 *                 +--(INITIAL or TRACK, from now)--> READING --all pages--+
 *     client_watches_add                                ^                 v
 *                 +--------------> STARTING --compacted-+             STARTING --> STREAMING
 *                                     ^                                              |
 *                                     +---- connection ended, or server lost it -----+
 *
 * Position: all changes up to it were given. A stream is started again behind the position; what
 * the receiver got beyond it already (part of a zxid's changes) is counted and skipped.
 *
 * A subtree is read in pages of rising zxids. The stream then starts behind the first page's, and
 * an event is dropped when the page that covers its path is as new: so the receiver gets each
 * change once, and what it knows is exact at any moment. */
#ifndef CLIENT_WATCH_H
#define CLIENT_WATCH_H

#include "client/client_known.h"
#include "client/client_request.h"
#include "client/client_result.h"

enum client_watch_state {
    CLIENT_WATCH_IDLE, /* to be started when there is a connection */
    CLIENT_WATCH_STARTING,
    CLIENT_WATCH_STREAMING,
    CLIENT_WATCH_READING
};

struct client_watch_page {
    char *last; /* the page covers what is up to here; NULL = to the end */
    uint64_t zxid;
};

struct client_watches;

struct client_watch {
    struct client_watches *watches;
    uint64_t id;
    char *path;
    uint32_t flags;
    confer_watch_callback callback;
    void *argument;

    enum client_watch_state state;
    bool has_position;
    uint64_t position;
    uint64_t partial_zxid; /* beyond the position, this many changes of it were given */
    uint64_t partial_count;
    uint64_t skip_count; /* of partial_zxid, in the stream just started */
    bool was_started;    /* STARTED was given */

    bool is_full;    /* the reading under way */
    bool is_initial; /* is the first picture */
    bool is_silent;  /* only fills `known` */
    bool is_known;   /* `known` is what the receiver knows, once the position is at known_since */
    uint64_t known_since;
    struct client_known known;
    struct client_watch_page *pages;
    size_t page_count;
    size_t page_capacity;
    bool is_read_pending;  /* a request holds the address of this watch */
    bool is_start_pending; /* likewise */

    bool is_ended;
};

struct client_watches {
    struct client_watch **items; /* by id */
    size_t count;                /* with those that ended */
    size_t ended;
    size_t capacity;
    bool is_connected;
    /* The handle's: */
    void *context;
    struct confer *confer; /* only handed through to callbacks */
    /* Queue a request of the library's own. */
    void (*submit)(void *context, struct client_request *request);
    /* Whether callbacks may still be made. */
    bool (*is_open)(void *context);
};

/* In the caller's thread. NULL: no memory. */
struct client_watch *client_watch_new(const char *path,
                                      uint32_t flags,
                                      uint64_t from_zxid,
                                      confer_watch_callback callback,
                                      void *argument);
void client_watch_free(struct client_watch *watch); /* NULL is fine */

/* Ids rise. On no memory the watch has ended, with its event. */
void client_watches_add(struct client_watches *watches, struct client_watch *watch);
/* Requests may be submitted now. */
void client_watches_connected(struct client_watches *watches);
void client_watches_disconnected(struct client_watches *watches);
void client_watches_events(struct client_watches *watches, const Client__Events *events);
/* End one (ignored when not known), or all. */
void client_watches_remove(struct client_watches *watches, uint64_t id);
void client_watches_end_all(struct client_watches *watches,
                            enum confer_status status,
                            const char *message);
/* Free what ended. Never from inside a callback. */
void client_watches_sweep(struct client_watches *watches);
void client_watches_release(struct client_watches *watches);
static inline size_t client_watches_alive(const struct client_watches *watches)
{
    return watches->count - watches->ended;
}

#endif
