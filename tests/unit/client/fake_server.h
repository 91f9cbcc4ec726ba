/* A small cluster for tests of the client library, in a thread of the test: some ports on loopback
 * that speak client.proto and share one tree, its history, and its sessions, with the rules that
 * the client relies on (generations, numbered writes, kept results, streams from a zxid). A test
 * decides for each request what goes wrong. */
#ifndef TESTS_UNIT_CLIENT_FAKE_SERVER_H
#define TESTS_UNIT_CLIENT_FAKE_SERVER_H

#include "base/bytes.h"
#include "proto/client.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAKE_PORTS_MAX = 4 };

enum fake_fate {
    FAKE_SERVE,
    FAKE_DROP_BEFORE,    /* close the connection, having done nothing */
    FAKE_DROP_AFTER,     /* do it, and close the connection without an answer */
    FAKE_REFUSE,         /* answer `code`, having done nothing */
    FAKE_UNKNOWN_BEFORE, /* answer UNKNOWN_OUTCOME, having done nothing */
    FAKE_UNKNOWN_AFTER,  /* do it, and answer UNKNOWN_OUTCOME */
    FAKE_SILENT,         /* do nothing, and never answer anything on this connection again */
    FAKE_GARBAGE         /* answer with bytes that are no message */
};

struct fake_verdict {
    enum fake_fate fate;
    Client__Code code;
};

/* Called in the server's thread for each request; NULL = everything is served. */
typedef struct fake_verdict (*fake_plan)(void *context,
                                         size_t port,
                                         const Client__Request *request);

struct fake_server;

/* An empty one. (The macro of protobuf-c casts a const away, which clang refuses.) */
Client__Response fake_response(void);

struct fake_server *fake_server_start(size_t port_count, fake_plan plan, void *context);
void fake_server_stop(struct fake_server *server);
/* "127.0.0.1:1,127.0.0.1:2" of all ports, or of one. Lives as long as the server. */
const char *fake_server_addresses(const struct fake_server *server);
const char *fake_server_address(const struct fake_server *server, size_t port);

/* All may be called from the test's thread. */

/* Close all connections; a port that is shut takes no new ones until it is opened again. */
void fake_server_disconnect(struct fake_server *server);
void fake_server_shut(struct fake_server *server, size_t port, bool shut);
/* Write as another client would. */
uint64_t fake_server_set(struct fake_server *server, const char *path, const char *value);
uint64_t fake_server_remove(struct fake_server *server, const char *path);
/* From now on a tree shows of this node the path alone. */
void fake_server_hide(struct fake_server *server, const char *path);
/* Forget the changes up to now. */
void fake_server_compact(struct fake_server *server);
/* Tell all watches that they lost events, as to a client that reads too slowly. */
void fake_server_lose(struct fake_server *server);
/* At most so many nodes on a page, and before each further page set `path` once (may be NULL). */
void fake_server_set_paging(struct fake_server *server, size_t nodes, const char *path);
void fake_server_expire_sessions(struct fake_server *server);
void fake_server_notice(struct fake_server *server, Client__NoticeKind kind, Client__Code code);
uint64_t fake_server_zxid(struct fake_server *server);
/* Writes of numbered requests that were applied (a repeated one counts once). */
uint64_t fake_server_applied(struct fake_server *server);
size_t fake_server_connections(struct fake_server *server);
size_t fake_server_sessions(struct fake_server *server);
/* The value, to be freed; NULL: there is no such node. */
char *fake_server_value(struct fake_server *server, const char *path);

#endif
