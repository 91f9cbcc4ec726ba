#include "client/client.h"

#include "base/check.h"
#include "base/clock.h"
#include "client/client_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

enum { CLOSE_MS_MAX = 1000, IDLE_TICK_MS = 60 * 1000 };

static void settle(struct confer *confer);

/* --- Telling callers --- */

static void tell(void *context, struct client_request *request)
{
    struct confer *confer = context;
    struct client_result *result = request->result;

    if (request->has_timer) {
        (void)event_del(&request->timer);
        request->has_timer = false;
    }
    if (request->on_done != NULL) {
        request->on_done(request->owner, &result->public);
    } else if (request->callback != NULL) {
        request->result = NULL;
        request->callback(confer, &result->public, request->argument);
    }
}

/* What to say to a caller whose time is up. */
static void explain_timeout(struct confer *confer,
                            const struct client_request *request,
                            char *text,
                            size_t bytes)
{
    const struct client_server *server = client_servers_current(&confer->servers);
    char problem[420];

    if (confer->phase == CLIENT_PHASE_HANDSHAKE) {
        (void)snprintf(problem, sizeof problem, "%s takes connections but opens no session",
                       server->text);
    } else if (!client_link_is_connected(confer)) {
        client_servers_explain(&confer->servers, problem, sizeof problem);
    } else if (confer->is_leaderless) {
        (void)snprintf(problem, sizeof problem, "%s hears no leader", server->text);
    } else if (request->place == CLIENT_PLACE_PAUSED && server->problem[0] != '\0') {
        (void)snprintf(problem, sizeof problem, "%s: %s", server->text, server->problem);
    } else {
        (void)snprintf(problem, sizeof problem, "no answer from %s", server->text);
    }
    (void)snprintf(text, bytes, "timed out after %u ms: %s", (unsigned)request->timeout_ms,
                   problem);
}

static void on_deadline(evutil_socket_t fd, short what, void *argument)
{
    struct client_request *request = argument;
    struct confer *confer = request->owner;
    char text[CLIENT_MESSAGE_BYTES_MAX];

    (void)fd;
    (void)what;
    explain_timeout(confer, request, text, sizeof text);
    client_queue_expire(&confer->queue, request, CONFER_TIMEOUT, text);
    settle(confer);
}

static bool set_deadline(struct confer *confer, struct client_request *request)
{
    struct timeval timeout = {.tv_sec = request->timeout_ms / 1000,
                              .tv_usec = (suseconds_t)(request->timeout_ms % 1000) * 1000};

    if (request->timeout_ms == 0) {
        return true;
    }
    request->owner = confer;
    (void)evtimer_assign(&request->timer, confer->base, on_deadline, request);
    request->has_timer = event_add(&request->timer, &timeout) == 0;
    return request->has_timer;
}

static void submit_own(void *context, struct client_request *request)
{
    struct confer *confer = context;

    client_queue_add(&confer->queue, request);
}

static bool watches_are_open(void *context)
{
    return !client_link_is_closing(context);
}

/* --- The inbox --- */

static void take_request(struct confer *confer, struct client_request *request)
{
    bool is_over = confer->phase == CLIENT_PHASE_OVER || confer->close_begun;
    enum confer_status status = confer->close_begun ? CONFER_CLOSED : CONFER_SESSION_EXPIRED;

    if (request->job == CLIENT_JOB_UNWATCH) {
        client_watches_remove(&confer->watches, request->watch_id);
        client_request_free(request);
        return;
    }
    if (request->job == CLIENT_JOB_WATCH) {
        struct client_watch *watch = request->watch;

        request->watch = NULL;
        client_request_free(request);
        client_watches_add(&confer->watches, watch);
        if (is_over) {
            client_watches_end_all(&confer->watches, status, NULL);
        }
        return;
    }
    if (!is_over && !set_deadline(confer, request)) {
        is_over = true;
        status = CONFER_NO_MEMORY;
    }
    client_queue_add(&confer->queue, request);
    if (is_over) {
        client_queue_expire(&confer->queue, request, status, NULL);
    }
}

static void take_inbox(struct confer *confer)
{
    struct list taken;
    struct list *link;

    list_init(&taken);
    (void)pthread_mutex_lock(&confer->mutex);
    confer->is_woken = false;
    while ((link = list_take_first(&confer->inbox)) != NULL) {
        list_append(&taken, link);
    }
    (void)pthread_mutex_unlock(&confer->mutex);
    while ((link = list_take_first(&taken)) != NULL) {
        take_request(confer, CONTAINER_OF(link, struct client_request, link));
    }
}

/* --- Closing --- */

static void on_session_closed(void *owner, const struct confer_result *result)
{
    struct confer *confer = owner;

    (void)result;
    confer->close_us = 0;
}

static void begin_close(struct confer *confer)
{
    Client__CloseSession message = CLIENT__CLOSE_SESSION__INIT;

    /* What was accepted before closing began; nothing is accepted since. */
    take_inbox(confer);
    confer->close_begun = true;
    client_queue_fail_all(&confer->queue, CONFER_CLOSED, NULL, false);
    client_watches_end_all(&confer->watches, CONFER_CLOSED, NULL);
    if (confer->phase == CLIENT_PHASE_DRAINING) {
        confer->phase = CLIENT_PHASE_READY; /* even a server that goes away may end the session */
    }
    if (confer->has_session && confer->phase == CLIENT_PHASE_READY) {
        confer->close_us = clock_monotonic_us() + client_link_us(CLOSE_MS_MAX);
        client_link_send_own(confer, CLIENT__REQUEST__BODY_CLOSE_SESSION, &message.base,
                             on_session_closed);
    }
}

/* The last act. The handle is gone afterwards when it lives on the caller's base. */
static void finish(struct confer *confer)
{
    confer->is_finished = true;
    confer->phase = CLIENT_PHASE_OVER;
    client_link_reset(confer);
    (void)event_del(&confer->wake_event);
    (void)event_del(&confer->tick_event);
    client_link_set_state(confer, CONFER_STATE_CLOSED);
    if (confer->owns_base) {
        (void)event_base_loopbreak(confer->base);
    } else {
        client_free(confer);
    }
}

/* --- Time --- */

static uint64_t interval_us(const struct confer *confer)
{
    return client_link_us(confer->silence_ms / 2);
}

/* Whether an answer should have come by now. A membership change may take long. */
static bool expects_answer(const struct confer *confer)
{
    return confer->queue.in_flight_count > 0 && confer->queue.slow_in_flight == 0;
}

static uint64_t silent_since_us(const struct confer *confer)
{
    return confer->received_us > confer->waiting_since_us ? confer->received_us
                                                          : confer->waiting_since_us;
}

static bool wants_pings(const struct confer *confer)
{
    return confer->phase == CLIENT_PHASE_READY &&
           (confer->has_session || confer->queue.in_flight_count > 0 ||
            client_watches_alive(&confer->watches) > 0);
}

/* Everything that is due by itself. */
static void take_time(struct confer *confer, uint64_t now)
{
    if (confer->phase == CLIENT_PHASE_WAITING && now >= confer->reconnect_us &&
        !confer->close_begun) {
        client_link_connect(confer);
    }
    if ((confer->phase == CLIENT_PHASE_RESOLVING || confer->phase == CLIENT_PHASE_CONNECTING) &&
        now >= confer->give_up_us) {
        client_link_drop(confer, "no connection within 2 s");
    }
    if (confer->phase == CLIENT_PHASE_HANDSHAKE && now >= confer->give_up_us) {
        client_link_drop(confer, "no answer about the session within 5 s");
    }
    if (confer->phase == CLIENT_PHASE_DRAINING &&
        (now >= confer->give_up_us || confer->queue.in_flight_count == 0)) {
        char reason[CLIENT_PROBLEM_BYTES_MAX];

        memcpy(reason, client_servers_current(&confer->servers)->problem, sizeof reason);
        client_link_drop(confer, reason);
    }
    if (client_link_is_connected(confer) && expects_answer(confer) &&
        now >= silent_since_us(confer) + client_link_us(confer->silence_ms)) {
        client_link_drop(confer, "the server is silent");
    }
    if (confer->phase == CLIENT_PHASE_READY && confer->is_leaderless &&
        now >= confer->leaderless_until_us) {
        if (confer->servers.count > 1) {
            client_link_drain(confer, "it hears no leader");
        } else {
            confer->leaderless_until_us = UINT64_MAX;
        }
    }
    if (wants_pings(confer) && now >= confer->sent_us + interval_us(confer)) {
        client_link_ping(confer);
    }
}

static void earlier(uint64_t *due_us, uint64_t other_us)
{
    if (other_us < *due_us) {
        *due_us = other_us;
    }
}

static uint64_t next_due_us(const struct confer *confer, uint64_t now)
{
    uint64_t due = now + client_link_us(IDLE_TICK_MS);

    switch (confer->phase) {
    case CLIENT_PHASE_WAITING:
        earlier(&due, confer->close_begun ? UINT64_MAX : confer->reconnect_us);
        break;
    case CLIENT_PHASE_RESOLVING:
    case CLIENT_PHASE_CONNECTING:
    case CLIENT_PHASE_HANDSHAKE:
    case CLIENT_PHASE_DRAINING:
        earlier(&due, confer->give_up_us);
        break;
    case CLIENT_PHASE_READY:
        earlier(&due, client_queue_due_us(&confer->queue));
        earlier(&due, confer->is_leaderless ? confer->leaderless_until_us : UINT64_MAX);
        earlier(&due, wants_pings(confer) ? confer->sent_us + interval_us(confer) : UINT64_MAX);
        break;
    case CLIENT_PHASE_OVER:
        break;
    }
    if (client_link_is_connected(confer) && expects_answer(confer)) {
        earlier(&due, silent_since_us(confer) + client_link_us(confer->silence_ms));
    }
    if (confer->close_begun) {
        earlier(&due, confer->close_us);
    }
    return due;
}

static void set_tick(struct confer *confer)
{
    uint64_t now = clock_monotonic_us();
    uint64_t due = next_due_us(confer, now);
    uint64_t delay = due > now ? due - now : 0;
    struct timeval timeout = {.tv_sec = (time_t)(delay / 1000000),
                              .tv_usec = (suseconds_t)(delay % 1000000)};

    if (due != confer->tick_us) {
        confer->tick_us = due;
        (void)event_add(&confer->tick_event, &timeout);
    }
}

/* --- The loop --- */

/* The end of every event of the handle: do what has become possible. The handle may be gone
 * afterwards. */
static void settle(struct confer *confer)
{
    take_inbox(confer);
    client_link_poll(confer);
    if (client_link_is_closing(confer) && !confer->close_begun) {
        begin_close(confer);
    }
    take_time(confer, clock_monotonic_us());
    client_link_pump(confer);
    client_watches_sweep(&confer->watches);
    if (confer->close_begun &&
        (!client_link_is_connected(confer) || clock_monotonic_us() >= confer->close_us)) {
        finish(confer);
        return;
    }
    set_tick(confer);
}

static void on_settle(void *context)
{
    settle(context);
}

static void on_wake(evutil_socket_t fd, short what, void *argument)
{
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof count);

    (void)what;
    (void)got;
    settle(argument);
}

static void on_tick(evutil_socket_t fd, short what, void *argument)
{
    struct confer *confer = argument;

    (void)fd;
    (void)what;
    confer->tick_us = 0;
    settle(confer);
}

/* --- Life --- */

static uint64_t draw_seed(void)
{
    uint64_t seed;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed) {
        seed = clock_monotonic_us() ^ ((uint64_t)getpid() << 40);
    }
    return seed;
}

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base;

    if (config == NULL) {
        return NULL;
    }
    /* One thread touches it: what others have to say comes through the eventfd. */
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static void take_options(struct confer *confer, const struct confer_options *options)
{
    confer->has_session = !options->no_session;
    confer->request_timeout_ms = options->request_timeout_ms;
    client_link_set_silence(confer, options->session_timeout_ms);
    confer->on_state = options->on_state;
    confer->on_log = options->on_log;
    confer->argument = options->argument;
    confer->session.asked_timeout_ms = options->session_timeout_ms;
    atomic_init(&confer->seen_zxid, options->seen_zxid);
    atomic_init(&confer->session_id, 0);
    atomic_init(&confer->state, (int)CONFER_STATE_CONNECTING);
}

enum confer_status client_new(struct event_base *base,
                              struct client_servers *servers,
                              const struct confer_options *options,
                              struct confer **ret_confer)
{
    struct confer *confer = client_alloc(sizeof *confer);
    enum confer_status status;

    if (confer == NULL) {
        client_servers_release(servers);
        return CONFER_NO_MEMORY;
    }
    status = client_credentials_take(&confer->credentials, options->credentials,
                                     options->credential_count);
    if (status != CONFER_OK) {
        client_servers_release(servers);
        free(confer);
        return status;
    }
    take_options(confer, options);
    confer->servers = *servers;
    confer->next_id = 1;
    prng_init(&confer->prng, draw_seed());
    client_servers_shuffle(&confer->servers, &confer->prng);
    list_init(&confer->inbox);
    (void)pthread_mutex_init(&confer->mutex, NULL);
    client_queue_init(&confer->queue, &confer->prng, tell, confer);
    confer->queue.has_session = confer->has_session;
    confer->watches = (struct client_watches){
        .context = confer, .confer = confer, .submit = submit_own, .is_open = watches_are_open};
    confer->owns_base = base == NULL;
    confer->base = base == NULL ? new_base() : base;
    client_link_init(confer, on_settle);
    confer->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (confer->base == NULL || confer->wake_fd < 0) {
        status = confer->base == NULL ? CONFER_NO_MEMORY : CONFER_SYSTEM;
        client_free(confer);
        return status;
    }
    *ret_confer = confer;
    return CONFER_OK;
}

void client_free(struct confer *confer)
{
    client_resolver_free(confer->lookup);
    client_connection_release(&confer->connection);
    client_queue_release(&confer->queue);
    client_watches_release(&confer->watches);
    client_servers_release(&confer->servers);
    client_credentials_release(&confer->credentials);
    if (confer->wake_fd >= 0) {
        (void)close(confer->wake_fd);
    }
    if (confer->owns_base && confer->base != NULL) {
        event_base_free(confer->base);
    }
    (void)pthread_mutex_destroy(&confer->mutex);
    free(confer);
}

enum confer_status client_start(struct confer *confer)
{
    struct timeval now = {.tv_sec = 0, .tv_usec = 0};

    (void)event_assign(&confer->wake_event, confer->base, confer->wake_fd, EV_READ | EV_PERSIST,
                       on_wake, confer);
    (void)event_assign(&confer->tick_event, confer->base, -1, EV_PERSIST, on_tick, confer);
    atomic_store(&confer->loop_thread, gettid());
    if (event_add(&confer->wake_event, NULL) != 0) {
        return CONFER_NO_MEMORY;
    }
    if (event_add(&confer->tick_event, &now) != 0) {
        (void)event_del(&confer->wake_event);
        return CONFER_NO_MEMORY;
    }
    return CONFER_OK;
}

void client_run(struct confer *confer)
{
    CHECK(confer->owns_base);
    atomic_store(&confer->loop_thread, gettid());
    while (!confer->is_finished) {
        if (event_base_loop(confer->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0) {
            client_link_log(confer, CONFER_LOG_WARN, "the event loop failed; the handle ends");
            client_begin_close(confer, false);
            begin_close(confer);
            finish(confer);
            return;
        }
    }
}

static void wake(struct confer *confer)
{
    uint64_t one = 1;
    ssize_t written = write(confer->wake_fd, &one, sizeof one);

    (void)written; /* a full counter wakes too */
}

enum confer_status
client_accept(struct confer *confer, struct client_request *request, uint64_t *ret_watch)
{
    enum confer_status status = CONFER_OK;
    bool has_to_wake = false;

    (void)pthread_mutex_lock(&confer->mutex);
    if (confer->is_closing) {
        status = CONFER_CLOSED;
    } else {
        if (request->watch != NULL) {
            request->watch->id = ++confer->last_watch_id;
            if (ret_watch != NULL) {
                *ret_watch = request->watch->id;
            }
        }
        list_append(&confer->inbox, &request->link);
        has_to_wake = !confer->is_woken;
        confer->is_woken = true;
    }
    if (has_to_wake) {
        /* Under the mutex: the handle cannot be closed before the descriptor was written. */
        wake(confer);
    }
    (void)pthread_mutex_unlock(&confer->mutex);
    return status;
}

void client_begin_close(struct confer *confer, bool frees_itself)
{
    (void)pthread_mutex_lock(&confer->mutex);
    confer->is_closing = true;
    confer->frees_itself = confer->frees_itself || frees_itself;
    wake(confer);
    (void)pthread_mutex_unlock(&confer->mutex);
}

bool client_is_loop_thread(struct confer *confer)
{
    return atomic_load(&confer->loop_thread) == gettid();
}
