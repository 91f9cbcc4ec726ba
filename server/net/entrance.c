#include "server/net/entrance.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

/* Connections from one host. */
struct host {
    struct map_node node;
    uint8_t host[16];
    size_t count; /* of its connections */
    size_t client_count;
    size_t stranger_count;
};

/* One accepted connection, until it is freed, whoever owns it by then. */
struct visitor {
    struct list link; /* of `strangers` until introduced */
    struct entrance *entrance;
    struct connection *connection;
    struct host *host;
    bool is_client;
};

struct entrance {
    struct connection_loop *loop;
    struct entrance_options options;
    const struct entrance_handler *handler;
    void *context;
    struct map hosts;
    struct list strangers; /* oldest first */
    size_t stranger_count;
    size_t visitor_count;
    size_t client_count;
    uint64_t refused_count;
};

static void
refuse(struct entrance *entrance, const struct socket_address *remote, const char *reason)
{
    entrance->refused_count++;
    connection_loop_log_refusal(entrance->loop, remote, reason);
}

static struct host *host_of(struct entrance *entrance, const struct socket_address *remote)
{
    uint8_t key[16];
    uint64_t hash;
    struct host *host;

    socket_address_host(remote, key);
    hash = map_hash_bytes(bytes_of(key, sizeof key), 0);
    MAP_FOR_HASH (node, &entrance->hosts, hash) {
        host = CONTAINER_OF(node, struct host, node);
        if (memcmp(host->host, key, sizeof key) == 0) {
            return host;
        }
    }
    host = xcalloc(1, sizeof *host);
    memcpy(host->host, key, sizeof key);
    map_insert(&entrance->hosts, &host->node, hash);
    return host;
}

static void host_leave(struct entrance *entrance, struct host *host)
{
    CHECK_OP(host->count, >, 0);
    if (--host->count == 0) {
        map_remove(&entrance->hosts, &host->node);
        free(host);
    }
}

static void stop_being_stranger(struct visitor *visitor)
{
    if (!list_is_empty(&visitor->link)) {
        list_remove(&visitor->link);
        visitor->entrance->stranger_count--;
        visitor->host->stranger_count--;
    }
}

static void on_release(void *context)
{
    struct visitor *visitor = context;
    struct entrance *entrance = visitor->entrance;

    stop_being_stranger(visitor);
    entrance->visitor_count--;
    if (visitor->is_client) {
        entrance->client_count--;
        visitor->host->client_count--;
    }
    host_leave(entrance, visitor->host);
    free(visitor);
}

static void on_preface(void *context, struct connection *connection, enum frame_protocol protocol)
{
    struct visitor *visitor = context;
    struct entrance *entrance = visitor->entrance;

    if (protocol == FRAME_PROTOCOL_PEER) {
        /* It stays a stranger until its handshake is done. */
        entrance->handler->on_peer(entrance->context, connection);
        return;
    }
    if (entrance->client_count >= entrance->options.clients_max) {
        refuse(entrance, connection_remote(connection),
               "as many clients as --max-connections allows are connected");
        connection_close(connection, "too many clients");
        return;
    }
    if (visitor->host->client_count >= entrance->options.clients_per_address_max) {
        refuse(entrance, connection_remote(connection),
               "this address has as many clients as --max-connections-per-address allows");
        connection_close(connection, "too many clients of one address");
        return;
    }
    stop_being_stranger(visitor);
    visitor->is_client = true;
    visitor->host->client_count++;
    entrance->client_count++;
    entrance->handler->on_client(entrance->context, connection, protocol);
}

static void on_closed(void *context, struct connection *connection, const char *reason)
{
    char text[ADDRESS_TEXT_BYTES_MAX];

    (void)context;
    socket_address_text(connection_remote(connection), text);
    log_event(LOG_LEVEL_DEBUG, "stranger_closed", "remote=%s reason=%s", text, log_quote(reason));
}

static const struct connection_handler stranger_handler = {.on_preface = on_preface,
                                                           .on_closed = on_closed};

static struct visitor *visitor_of(struct list *link)
{
    return CONTAINER_OF(link, struct visitor, link);
}

static void give_way(struct visitor *visitor)
{
    stop_being_stranger(visitor);
    if (connection_state(visitor->connection) < CONNECTION_OPEN) {
        refuse(visitor->entrance, connection_remote(visitor->connection),
               "too many connections that do not say what they speak");
        connection_close(visitor->connection, "too many connections that say nothing");
    }
}

/* The oldest stranger of this address; who began a handshake goes last. */
static struct visitor *oldest_of(const struct entrance *entrance, const struct host *host)
{
    struct visitor *oldest = NULL;

    LIST_FOR_EACH (link, &entrance->strangers) {
        struct visitor *visitor = visitor_of(link);

        if (visitor->host == host && connection_state(visitor->connection) == CONNECTION_PREFACE) {
            return visitor;
        }
        if (visitor->host == host && oldest == NULL) {
            oldest = visitor;
        }
    }
    CHECK(oldest != NULL);
    return oldest;
}

/* Who has not said who he is makes room for who might. Peers that finished their handshake are
 * found here on the way and leave the list. */
static void make_room(struct entrance *entrance, const struct host *host)
{
    size_t share = entrance->options.strangers_max / ENTRANCE_STRANGER_SHARES;

    while (host->stranger_count > 0 && host->stranger_count >= share) {
        give_way(oldest_of(entrance, host));
    }
    while (entrance->stranger_count >= entrance->options.strangers_max) {
        give_way(visitor_of(entrance->strangers.next));
    }
}

struct entrance *entrance_new(struct connection_loop *loop,
                              const struct entrance_options *options,
                              const struct entrance_handler *handler,
                              void *context)
{
    struct entrance *entrance = xcalloc(1, sizeof *entrance);

    CHECK_OP(options->strangers_max, >, 0);
    entrance->loop = loop;
    entrance->options = *options;
    entrance->handler = handler;
    entrance->context = context;
    map_init(&entrance->hosts);
    list_init(&entrance->strangers);
    return entrance;
}

void entrance_free(struct entrance *entrance)
{
    if (entrance == NULL) {
        return;
    }
    CHECK_OP(entrance->visitor_count, ==, 0);
    map_release(&entrance->hosts);
    free(entrance);
}

void entrance_take(struct entrance *entrance, int socket, const struct socket_address *remote)
{
    struct host *host = host_of(entrance, remote);
    struct visitor *visitor;

    host->count++;
    make_room(entrance, host);
    visitor = xcalloc(1, sizeof *visitor);
    visitor->entrance = entrance;
    visitor->host = host;
    socket_tune(socket, &socket_patience_client);
    visitor->connection = connection_new(entrance->loop, socket, remote, CONNECTION_PREFACE,
                                         &stranger_handler, visitor);
    connection_on_release(visitor->connection, on_release, visitor);
    list_append(&entrance->strangers, &visitor->link);
    entrance->stranger_count++;
    host->stranger_count++;
    entrance->visitor_count++;
}

void entrance_close_strangers(struct entrance *entrance, const char *reason)
{
    LIST_FOR_EACH (link, &entrance->strangers) {
        struct visitor *visitor = CONTAINER_OF(link, struct visitor, link);

        if (connection_state(visitor->connection) == CONNECTION_PREFACE) {
            connection_close(visitor->connection, reason);
        }
    }
}

size_t entrance_client_count(const struct entrance *entrance)
{
    return entrance->client_count;
}

size_t entrance_connection_count(const struct entrance *entrance)
{
    return entrance->visitor_count;
}

uint64_t entrance_refused_count(const struct entrance *entrance)
{
    return entrance->refused_count;
}
