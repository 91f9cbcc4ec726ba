/* What a fake server sends: answers, and what watches are told. */
#ifndef TESTS_UNIT_CLIENT_FAKE_STREAM_H
#define TESTS_UNIT_CLIENT_FAKE_STREAM_H

#include "tests/unit/client/fake_parts.h"

void fake_stream_send(struct fake_connection *connection, const void *data, size_t size);
void fake_stream_respond(struct fake_server *server,
                         struct fake_connection *connection,
                         Client__Response *response);
void fake_stream_close(struct fake_connection *connection);
/* Whether the watch is told of the change. */
bool fake_stream_concerns(const struct fake_watch *watch, const struct fake_change *change);
/* The watches of one connection or of all get what they have not seen. */
void fake_stream_feed_one(struct fake_server *server, struct fake_connection *connection);
void fake_stream_feed(struct fake_server *server);
/* Of the watch `id` nothing more is told. */
void fake_stream_end(struct fake_connection *connection, uint64_t id);

#endif
