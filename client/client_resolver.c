#include "client/client_resolver.h"

#include "client/client_memory.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Owned by two: whoever leaves last frees it. */
struct client_lookup {
    pthread_mutex_t mutex;
    struct address address;
    int wake_fd; /* -1: given up */
    bool is_done;
    int owners;
    struct client_addresses addresses;
};

static void look_up(const struct address *address, int flags, struct client_addresses *ret)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char port[8];
    int error;

    *ret = (struct client_addresses){.count = 0};
    (void)snprintf(port, sizeof port, "%u", (unsigned)address->port);
    error = getaddrinfo(address->host, port, &hints, &found);
    if (error != 0) {
        (void)snprintf(ret->problem, sizeof ret->problem, "cannot find the address: %s",
                       gai_strerror(error));
        return;
    }
    for (struct addrinfo *item = found; item != NULL && ret->count < CLIENT_ADDRESSES_MAX;
         item = item->ai_next) {
        if (item->ai_addrlen <= sizeof ret->items[0]) {
            memcpy(&ret->items[ret->count], item->ai_addr, item->ai_addrlen);
            ret->bytes[ret->count++] = item->ai_addrlen;
        }
    }
    freeaddrinfo(found);
    if (ret->count == 0) {
        (void)snprintf(ret->problem, sizeof ret->problem, "the name has no address");
    }
}

bool client_resolver_numeric(const struct address *address, struct client_addresses *ret)
{
    look_up(address, AI_NUMERICHOST, ret);
    return ret->count > 0;
}

/* Called with the mutex held, which it releases. */
static void leave(struct client_lookup *lookup)
{
    bool is_last = --lookup->owners == 0;

    (void)pthread_mutex_unlock(&lookup->mutex);
    if (is_last) {
        (void)pthread_mutex_destroy(&lookup->mutex);
        free(lookup);
    }
}

static void *run_lookup(void *argument)
{
    struct client_lookup *lookup = argument;
    struct client_addresses addresses;
    uint64_t one = 1;

    look_up(&lookup->address, AI_ADDRCONFIG, &addresses);
    if (addresses.count == 0) {
        /* A machine whose only address is that of the loopback has none by AI_ADDRCONFIG. */
        look_up(&lookup->address, 0, &addresses);
    }
    (void)pthread_mutex_lock(&lookup->mutex);
    lookup->addresses = addresses;
    lookup->is_done = true;
    if (lookup->wake_fd >= 0) {
        ssize_t written = write(lookup->wake_fd, &one, sizeof one);
        (void)written; /* a full counter wakes too */
    }
    leave(lookup);
    return NULL;
}

static bool start_thread(struct client_lookup *lookup)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    int error;

    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attributes, run_lookup, lookup);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return error == 0;
}

enum confer_status
client_resolver_start(const struct address *address, int wake_fd, struct client_lookup **ret_lookup)
{
    struct client_lookup *lookup = client_alloc(sizeof *lookup);

    if (lookup == NULL) {
        return CONFER_NO_MEMORY;
    }
    if (pthread_mutex_init(&lookup->mutex, NULL) != 0) {
        free(lookup);
        return CONFER_SYSTEM;
    }
    lookup->address = *address;
    lookup->wake_fd = wake_fd;
    lookup->owners = 2;
    if (!start_thread(lookup)) {
        (void)pthread_mutex_destroy(&lookup->mutex);
        free(lookup);
        return CONFER_SYSTEM;
    }
    *ret_lookup = lookup;
    return CONFER_OK;
}

bool client_resolver_poll(struct client_lookup *lookup, struct client_addresses *ret)
{
    bool is_done;

    (void)pthread_mutex_lock(&lookup->mutex);
    is_done = lookup->is_done;
    if (is_done) {
        *ret = lookup->addresses;
    }
    (void)pthread_mutex_unlock(&lookup->mutex);
    return is_done;
}

void client_resolver_free(struct client_lookup *lookup)
{
    if (lookup != NULL) {
        (void)pthread_mutex_lock(&lookup->mutex);
        lookup->wake_fd = -1;
        leave(lookup);
    }
}
