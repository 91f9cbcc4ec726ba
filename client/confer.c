#include "client/include/confer.h"

#include "client/client.h"
#include "client/include/confer_event.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SESSION_TIMEOUT_MS_DEFAULT = 10 * 1000, REQUEST_TIMEOUT_MS_DEFAULT = 10 * 1000 };

void confer_options_init_sized(struct confer_options *options, size_t options_bytes)
{
    struct confer_options defaults = {.options_bytes = options_bytes,
                                      .session_timeout_ms = SESSION_TIMEOUT_MS_DEFAULT,
                                      .request_timeout_ms = REQUEST_TIMEOUT_MS_DEFAULT};

    memset(options, 0, options_bytes);
    memcpy(options, &defaults, options_bytes < sizeof defaults ? options_bytes : sizeof defaults);
}

/* The caller may have been compiled against an older or newer header: what it knows counts. */
static enum confer_status take_options(const struct confer_options *given,
                                       struct confer_options *ret_options)
{
    confer_options_init(ret_options);
    if (given != NULL) {
        if (given->options_bytes < sizeof given->options_bytes) {
            return CONFER_INVALID_ARGUMENT;
        }
        memcpy(ret_options, given,
               given->options_bytes < sizeof *ret_options ? given->options_bytes
                                                          : sizeof *ret_options);
    }
    if (ret_options->session_timeout_ms < CLIENT_SESSION_TIMEOUT_MS_MIN ||
        ret_options->session_timeout_ms > CLIENT_SESSION_TIMEOUT_MS_MAX ||
        ret_options->request_timeout_ms == 0) {
        return CONFER_INVALID_ARGUMENT;
    }
    return CONFER_OK;
}

enum confer_status confer_check_servers(const char *servers, char *message, size_t message_bytes)
{
    struct client_servers parsed;
    struct error error = {.text = ""};
    enum confer_status status =
        servers == NULL ? CONFER_INVALID_ARGUMENT : client_servers_parse(servers, &parsed, &error);

    if (status == CONFER_OK) {
        client_servers_release(&parsed);
    }
    if (message_bytes > 0) {
        (void)snprintf(message, message_bytes, "%s", error.text);
    }
    return status;
}

static enum confer_status open_on(struct event_base *base,
                                  const char *servers,
                                  const struct confer_options *given,
                                  struct confer **ret_confer)
{
    struct confer_options options;
    struct client_servers parsed;
    struct confer *confer;
    enum confer_status status = take_options(given, &options);

    if (status == CONFER_OK) {
        status = servers == NULL ? CONFER_INVALID_ARGUMENT
                                 : client_servers_parse(servers, &parsed, NULL);
    }
    if (status == CONFER_OK) {
        status = client_new(base, &parsed, &options, &confer);
    }
    if (status != CONFER_OK) {
        return status;
    }
    status = client_start(confer);
    if (status != CONFER_OK) {
        client_free(confer);
        return status;
    }
    *ret_confer = confer;
    return CONFER_OK;
}

enum confer_status confer_open_on_base(struct event_base *base,
                                       const char *servers,
                                       const struct confer_options *options,
                                       struct confer **ret_confer)
{
    return base == NULL ? CONFER_INVALID_ARGUMENT : open_on(base, servers, options, ret_confer);
}

static void *run(void *argument)
{
    struct confer *confer = argument;
    bool frees_itself;

    /* confer_open lets go when it is done with the handle. */
    (void)pthread_mutex_lock(&confer->mutex);
    (void)pthread_mutex_unlock(&confer->mutex);
    client_run(confer);
    (void)pthread_mutex_lock(&confer->mutex);
    frees_itself = confer->frees_itself;
    (void)pthread_mutex_unlock(&confer->mutex);
    if (frees_itself) {
        (void)pthread_detach(pthread_self());
        client_free(confer);
    }
    return NULL;
}

enum confer_status
confer_open(const char *servers, const struct confer_options *options, struct confer **ret_confer)
{
    struct confer *confer;
    enum confer_status status = open_on(NULL, servers, options, &confer);
    sigset_t all;
    sigset_t before;
    int error;

    if (status != CONFER_OK) {
        return status;
    }
    /* The thread is the library's: signals go to the program's own. */
    atomic_store(&confer->loop_thread, 0);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)pthread_mutex_lock(&confer->mutex);
    error = pthread_create(&confer->thread, NULL, run, confer);
    *ret_confer = error == 0 ? confer : *ret_confer;
    (void)pthread_mutex_unlock(&confer->mutex);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        client_free(confer);
        return CONFER_SYSTEM;
    }
    return CONFER_OK;
}

void confer_close(struct confer *confer)
{
    bool is_inside;

    if (confer == NULL) {
        return;
    }
    if (!confer->owns_base) {
        client_begin_close(confer, true);
        return;
    }
    is_inside = client_is_loop_thread(confer);
    client_begin_close(confer, is_inside);
    if (!is_inside) {
        (void)pthread_join(confer->thread, NULL);
        client_free(confer);
    }
}

enum confer_state confer_state(struct confer *confer)
{
    return (enum confer_state)atomic_load(&confer->state);
}

uint64_t confer_session_id(struct confer *confer)
{
    return atomic_load(&confer->session_id);
}

uint64_t confer_seen_zxid(struct confer *confer)
{
    return atomic_load(&confer->seen_zxid);
}

enum confer_status confer_watch(struct confer *confer,
                                const char *path,
                                uint32_t flags,
                                uint64_t from_zxid,
                                confer_watch_callback callback,
                                void *argument,
                                uint64_t *ret_watch)
{
    const uint32_t known_flags = CONFER_WATCH_RECURSIVE | CONFER_WATCH_VALUES |
                                 CONFER_WATCH_INITIAL | CONFER_WATCH_TRACK | CONFER_WATCH_PROGRESS;
    struct client_request *request;
    uint64_t id;

    if (path == NULL || path[0] != '/' || callback == NULL || (flags & ~known_flags) != 0 ||
        (from_zxid != 0 && (flags & CONFER_WATCH_INITIAL) != 0)) {
        return CONFER_INVALID_ARGUMENT;
    }
    request = client_request_new();
    if (request != NULL) {
        request->job = CLIENT_JOB_WATCH;
        request->watch = client_watch_new(path, flags, from_zxid, callback, argument);
    }
    if (request == NULL || request->watch == NULL) {
        client_request_free(request);
        return CONFER_NO_MEMORY;
    }
    if (client_accept(confer, request, &id) != CONFER_OK) {
        client_watch_free(request->watch);
        client_request_free(request);
        return CONFER_CLOSED;
    }
    if (ret_watch != NULL) {
        *ret_watch = id;
    }
    return CONFER_OK;
}

enum confer_status confer_unwatch(struct confer *confer, uint64_t watch)
{
    struct client_request *request = client_request_new();
    enum confer_status status;

    if (request == NULL) {
        return CONFER_NO_MEMORY;
    }
    request->job = CLIENT_JOB_UNWATCH;
    request->watch_id = watch;
    status = client_accept(confer, request, NULL);
    if (status != CONFER_OK) {
        client_request_free(request);
    }
    return status;
}
