/* A client of ZooKeeper's protocol for the recorder: one call at a time, blocking, with one session
 * that it takes from server to server; what it is told is given in the terms of confer.h, so that
 * one record has both kinds of client. For one thread. */
#ifndef TESTS_INTEGRATION_ZOOKEEPER_CLIENT_H
#define TESTS_INTEGRATION_ZOOKEEPER_CLIENT_H

#include <confer.h>

struct zookeeper_client;

/* What became of the session: of its states there are CONNECTED, SUSPENDED, RECONNECTED and
 * EXPIRED. `session` is its number, `timeout_ms` what the server grants. */
typedef void zookeeper_client_state(enum confer_state state,
                                    uint64_t session,
                                    uint32_t timeout_ms,
                                    void *argument);

/* Does nothing yet: a call connects. A call that gets no answer is given up after
 * `call_timeout_ms`. */
struct zookeeper_client *zookeeper_client_new(const char *servers,
                                              uint32_t session_timeout_ms,
                                              uint32_t call_timeout_ms,
                                              zookeeper_client_state *on_state,
                                              void *argument);
/* The session is closed, if there is a connection. */
void zookeeper_client_free(struct zookeeper_client *client);

/* Each result is the client's, until the next call. A write whose connection ended is of
 * UNKNOWN_OUTCOME, what never left is UNREACHABLE. */
const struct confer_result *
zookeeper_client_get(struct zookeeper_client *client, const char *path, bool linearizable);
/* All names, linearizable. */
const struct confer_result *zookeeper_client_list(struct zookeeper_client *client,
                                                  const char *path);
const struct confer_result *zookeeper_client_set(struct zookeeper_client *client,
                                                 const char *path,
                                                 const char *value,
                                                 int32_t expected);
const struct confer_result *zookeeper_client_create(struct zookeeper_client *client,
                                                    const char *path,
                                                    const char *value,
                                                    enum confer_mode mode);
const struct confer_result *zookeeper_client_remove(struct zookeeper_client *client,
                                                    const char *path);
/* One multi: check the version of the first, then set both. */
const struct confer_result *zookeeper_client_set_both(struct zookeeper_client *client,
                                                      const char *const paths[2],
                                                      int32_t expected,
                                                      const char *const values[2]);

#endif
