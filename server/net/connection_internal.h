/* What the units of a connection share: its struct, and what they call of each other. */
#ifndef NET_CONNECTION_INTERNAL_H
#define NET_CONNECTION_INTERNAL_H

#include "server/net/connection.h"

#include <event2/buffer.h>
#include <event2/event_struct.h>

struct connection {
    struct list link; /* of `dirty` or `late`; later of `closed` */
    bool is_late;     /* of `late` */
    struct round_robin_place reading;
    struct round_robin_place writing;
    struct connection_loop *loop;
    const struct connection_handler *handler;
    void *context;
    void (*release)(void *context);
    void *release_context;
    struct socket_address remote;
    int socket;
    enum connection_state state;
    enum frame_protocol protocol;
    uint32_t frame_bytes_max;
    struct seal *sent_seal; /* of peer frames; NULL = checksums */
    struct seal *came_seal;
    bool readable;  /* the socket has something */
    bool cut_short; /* this visit ended before all frames were taken */
    bool may_not_idle;
    bool paused;
    bool retiring;
    bool shut;   /* the end of our stream was sent */
    bool behind; /* output did not all go with the last write */
    struct event read_event;
    struct event
        *write_event; /* armed, as the socket took no more; else NULL: most never need it */
    struct heap_node deadline;  /* in the loop's: not after the first of these */
    uint64_t state_deadline_us; /* 0 = none, also below */
    uint64_t frame_deadline_us;
    uint64_t stall_deadline_us;
    uint64_t heard_us;
    size_t frame_progress_bytes; /* came since the frame's deadline was set */
    struct buffer input;         /* bytes from `taken` on are not a whole frame yet, or held back */
    size_t taken;
    size_t frames_left; /* of this visit */
    size_t visit_bytes; /* given as frames in it */
    uint64_t visit_us;  /* when it began */
    struct holding input_held;
    struct evbuffer *output;
    struct holding output_held;
    struct evbuffer_iovec reserved;
    struct buffer nowhere; /* takes what is sent when nothing can be sent any more */
    char *reason;          /* why it closes; NULL = it does not */
};

uint64_t connection_after_ms(unsigned ms);
/* Nothing if it is not armed. */
void connection_disarm_writing(struct connection *connection);
/* After a deadline was set. */
void connection_note_deadline(struct connection *connection);
bool connection_is_client(const struct connection *connection);
bool connection_can_send(const struct connection *connection);
/* Close for what a system call said. */
void connection_fail(struct connection *connection, const char *what, int number);

/* --- connection_input.c: from bytes to frames --- */

void connection_on_readable(evutil_socket_t socket, short events, void *context);
/* One visit: what is here already, then one read call. */
void connection_visit(struct connection *connection);

/* --- connection_output.c --- */

void connection_on_writable(evutil_socket_t socket, short events, void *context);
/* There is something to be done at the end of the turn. */
void connection_mark_dirty(struct connection *connection);
/* What the socket takes, and of a client no more than a visit allows. */
void connection_write(struct connection *connection);
/* The same, and the owner is told when output that had to wait is gone. */
void connection_write_visit(struct connection *connection);
void connection_account_output(struct connection *connection);

#endif
