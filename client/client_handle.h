/* The handle as the units of the loop see it. */
#ifndef CLIENT_CLIENT_HANDLE_H
#define CLIENT_CLIENT_HANDLE_H

#include "client/client_connection.h"
#include "client/client_credentials.h"
#include "client/client_queue.h"
#include "client/client_servers.h"
#include "client/client_session.h"
#include "client/client_watch.h"

#include <pthread.h>
#include <stdatomic.h>

/*                 +----------------------------------------------+
 *                 v                                              |
 *   WAITING -> RESOLVING -> CONNECTING -> HANDSHAKE -> READY -> DRAINING
 *      ^           |            |             |          |         |
 *      +-----------+------------+-------------+----------+---------+
 *   any -> OVER (expired, or closing without a connection)
 *
 * WAITING    until reconnect_us
 * HANDSHAKE  showing credentials, opening or attaching the session
 * DRAINING   nothing more is sent here; when what is in flight is answered, another server follows
 */
enum client_phase {
    CLIENT_PHASE_WAITING,
    CLIENT_PHASE_RESOLVING,
    CLIENT_PHASE_CONNECTING,
    CLIENT_PHASE_HANDSHAKE,
    CLIENT_PHASE_READY,
    CLIENT_PHASE_DRAINING,
    CLIENT_PHASE_OVER
};

struct confer {
    /* Fixed once opened. */
    struct event_base *base;
    bool owns_base;
    pthread_t thread;
    bool has_session;
    uint32_t request_timeout_ms;
    uint32_t silence_ms; /* without an answer to something for so long, the server is given up */
    confer_state_callback on_state;
    confer_log_callback on_log;
    void *argument;
    struct client_credentials credentials;
    int wake_fd;

    /* Under the mutex. */
    pthread_mutex_t mutex;
    struct list inbox; /* requests accepted, not seen by the loop yet */
    bool is_closing;   /* nothing is accepted any more */
    bool is_woken;
    bool frees_itself; /* closed from inside: nobody waits for the thread */
    uint64_t last_watch_id;

    /* Read by any thread. */
    atomic_int state;
    atomic_int loop_thread; /* its gettid */
    _Atomic uint64_t session_id;
    _Atomic uint64_t seen_zxid;

    /* The loop's from here on. */
    struct event wake_event;
    struct event tick_event; /* always pending, so that setting it again needs no memory */
    uint64_t tick_us;
    struct prng prng;
    struct client_servers servers;
    struct client_connection connection;
    struct client_lookup *lookup;
    struct client_addresses addresses;
    size_t next_address;
    struct client_session session;
    struct client_queue queue;
    struct client_watches watches;

    enum client_phase phase;
    uint64_t reconnect_us;
    uint32_t attempts;     /* since a session was attached */
    uint64_t give_up_us;   /* RESOLVING to HANDSHAKE: of this attempt; DRAINING: of the drain */
    uint64_t handshake_id; /* of the answer that comes next */
    size_t credentials_pending; /* answers to come before that to the session */
    uint64_t next_id;
    bool is_leaderless; /* the server said that it hears no leader */
    uint64_t leaderless_until_us;
    uint64_t sent_us;          /* last */
    uint64_t received_us;      /* last */
    uint64_t waiting_since_us; /* something has been in flight since */

    bool close_begun;
    uint64_t close_us; /* when closing stops being polite */
    bool is_finished;
};

#endif
