/* A connection to a server that speaks the client protocol by hand: what a test needs to ask a
 * question without the client library, or to misbehave. Every call has a deadline. */
#ifndef TESTS_SUPPORT_WIRE_H
#define TESTS_SUPPORT_WIRE_H

#include "base/bytes.h"
#include "proto/client.pb-c.h"

#include <stdbool.h>

struct wire {
    int socket; /* -1 = closed */
    uint64_t last_id;
};

/* Connect to `address` (127.0.0.1:PORT); false when nobody takes the connection. */
bool wire_connect(struct wire *wire, const char *address);
/* The same, and neither this nor a wire_send waits for longer than so. */
bool wire_connect_within(struct wire *wire, const char *address, unsigned deadline_ms);
/* From this host, as 127.0.0.2. */
bool wire_connect_from(struct wire *wire, const char *address, const char *from);
void wire_close(struct wire *wire);
/* Send these bytes; false when the other end has closed. */
bool wire_send(struct wire *wire, struct bytes bytes);
/* Send as many of these bytes as the connection takes without waiting. */
void wire_send_some(struct wire *wire, struct bytes bytes);
/* Exactly so many bytes; false at the deadline, or when the other end has closed. */
bool wire_receive(struct wire *wire, uint8_t *data, size_t size, unsigned deadline_ms);
/* The client's preface. */
bool wire_greet(struct wire *wire);
/* Append a request that has its id, framed. */
void wire_put_request(struct buffer *frames, const Client__Request *request);
/* Frame and send a request, giving it the next id. */
bool wire_request(struct wire *wire, Client__Request *request);
/* The next response, released with client__response__free_unpacked; NULL at the deadline, or when
 * the connection ends or carries nonsense (it is then closed). */
Client__Response *wire_response(struct wire *wire, unsigned deadline_ms);
/* Send a request and wait for its response; pushed responses are passed over. */
Client__Response *wire_call(struct wire *wire, Client__Request *request, unsigned deadline_ms);
/* True once the other end has closed the connection; what it still sent is dropped. */
bool wire_wait_closed(struct wire *wire, unsigned deadline_ms);

/* Requests that tests make most often, in the room they take. Each lends what it is given, and is
 * to be sent from where it was made. */
struct wire_set {
    Client__Request request;
    Client__Write write;
    Record__Operation operation;
    Record__Operation *operations[1];
    Record__Set set;
};
struct wire_get {
    Client__Request request;
    Client__Get get;
};

ProtobufCBinaryData wire_data(struct bytes bytes);
/* Any version; makes the node if there is none. */
Client__Request *wire_set_init(struct wire_set *set, const char *path, struct bytes value);
Client__Request *wire_get_init(struct wire_get *get, const char *path, Client__ReadLevel level);

/* One question on a connection of its own. -1: no answer within half a minute; else the code of the
 * response (enum Client__Code). */
int wire_set_text(const char *address, const char *path, const char *value);
int wire_set_text_within(const char *address,
                         const char *path,
                         const char *value,
                         unsigned deadline_ms);
/* The value, cut to fit, with a NUL behind. */
int wire_get_text(const char *address,
                  const char *path,
                  Client__ReadLevel level,
                  char *ret_value,
                  size_t capacity);

#endif
