#include "server/net/resolver.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What main thread and helpers share. The last one to let go frees it, so a helper that hangs in
 * the name service never holds up the end of the server. */
struct shared {
    pthread_mutex_t mutex;
    size_t owners; /* the resolver, and each running thread */
    struct list done;
    int wake; /* an eventfd */
};

struct resolver_query {
    struct list link;
    struct shared *shared;
    struct address address;
    bool cancelled; /* the main thread's */
    void (*done)(void *context, const struct resolver_answer *answer);
    void *context;
    struct resolver_answer answer;
};

struct resolver {
    struct shared *shared;
    struct event *event;
};

static void free_queries(struct list *queries)
{
    struct list *link;

    while ((link = list_take_first(queries)) != NULL) {
        free(CONTAINER_OF(link, struct resolver_query, link));
    }
}

/* With the mutex held; gives it back. */
static void let_go(struct shared *shared)
{
    bool last = --shared->owners == 0;

    CHECK(pthread_mutex_unlock(&shared->mutex) == 0);
    if (last) {
        free_queries(&shared->done);
        (void)close(shared->wake);
        CHECK(pthread_mutex_destroy(&shared->mutex) == 0);
        free(shared);
    }
}

static void wake_main(const struct shared *shared)
{
    uint64_t one = 1;

    /* It can only fail when the counter is full, and then main is awake. */
    if (write(shared->wake, &one, sizeof one) != sizeof one) {
        return;
    }
}

static void look_up(struct resolver_query *query)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    struct resolver_answer *answer = &query->answer;
    char port[8];
    int failure;

    (void)snprintf(port, sizeof port, "%u", (unsigned)query->address.port);
    failure = getaddrinfo(query->address.host, port, &hints, &found);
    if (failure != 0) {
        (void)error_set(&answer->error, STATUS_UNAVAILABLE, "cannot find the host '%s': %s",
                        query->address.host, gai_strerror(failure));
        return;
    }
    for (struct addrinfo *at = found; at != NULL && answer->count < RESOLVER_ADDRESSES_MAX;
         at = at->ai_next) {
        answer->addresses[answer->count++] = socket_address_of(at->ai_addr, at->ai_addrlen);
    }
    freeaddrinfo(found);
}

static void *run(void *argument)
{
    struct resolver_query *query = argument;
    struct shared *shared = query->shared;

    look_up(query);
    CHECK(pthread_mutex_lock(&shared->mutex) == 0);
    list_append(&shared->done, &query->link);
    wake_main(shared);
    let_go(shared);
    return NULL;
}

/* Signals are the main thread's. */
static bool start_thread(struct resolver_query *query)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    bool started;

    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    started = pthread_create(&thread, &attributes, run, query) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return started;
}

static void on_wake(evutil_socket_t socket, short events, void *context)
{
    struct resolver *resolver = context;
    struct list done;
    struct list *link;
    uint64_t count;

    (void)events;
    if (read(socket, &count, sizeof count) < 0) {
        return;
    }
    list_init(&done);
    CHECK(pthread_mutex_lock(&resolver->shared->mutex) == 0);
    while ((link = list_take_first(&resolver->shared->done)) != NULL) {
        list_append(&done, link);
    }
    CHECK(pthread_mutex_unlock(&resolver->shared->mutex) == 0);
    while ((link = list_take_first(&done)) != NULL) {
        struct resolver_query *query = CONTAINER_OF(link, struct resolver_query, link);

        if (!query->cancelled) {
            query->done(query->context, &query->answer);
        }
        free(query);
    }
}

enum status
resolver_new(struct event_base *base, struct resolver **ret_resolver, struct error *error)
{
    int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct resolver *resolver;

    if (wake < 0) {
        return error_set(error, STATUS_IO, "cannot make an eventfd: %s", strerror(errno));
    }
    resolver = xcalloc(1, sizeof *resolver);
    resolver->shared = xcalloc(1, sizeof *resolver->shared);
    resolver->shared->owners = 1;
    resolver->shared->wake = wake;
    list_init(&resolver->shared->done);
    CHECK(pthread_mutex_init(&resolver->shared->mutex, NULL) == 0);
    resolver->event = event_new(base, wake, EV_READ | EV_PERSIST, on_wake, resolver);
    CHECK(resolver->event != NULL);
    CHECK(event_add(resolver->event, NULL) == 0);
    *ret_resolver = resolver;
    return STATUS_OK;
}

void resolver_free(struct resolver *resolver)
{
    if (resolver == NULL) {
        return;
    }
    event_free(resolver->event);
    CHECK(pthread_mutex_lock(&resolver->shared->mutex) == 0);
    let_go(resolver->shared);
    free(resolver);
}

struct resolver_query *resolver_ask(struct resolver *resolver,
                                    const struct address *address,
                                    void (*done)(void *context,
                                                 const struct resolver_answer *answer),
                                    void *context)
{
    struct shared *shared = resolver->shared;
    struct resolver_query *query = xcalloc(1, sizeof *query);
    bool started;

    query->shared = shared;
    query->address = *address;
    query->done = done;
    query->context = context;
    list_init(&query->link);
    CHECK(pthread_mutex_lock(&shared->mutex) == 0);
    started = shared->owners <= RESOLVER_THREADS_MAX && start_thread(query);
    if (started) {
        shared->owners++;
    } else {
        (void)error_set(&query->answer.error, STATUS_BUSY,
                        "cannot look up the host '%s': too many lookups or no thread",
                        address->host);
        list_append(&shared->done, &query->link);
        wake_main(shared);
    }
    CHECK(pthread_mutex_unlock(&shared->mutex) == 0);
    return query;
}

void resolver_cancel(struct resolver_query *query)
{
    query->cancelled = true;
}
