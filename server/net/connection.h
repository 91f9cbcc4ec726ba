/* One TCP connection that carries frames, and the loop that all of them share.
 *
 * Owns the descriptor, the bytes that came and are not a whole frame yet, the bytes that wait to be
 * sent, and the deadlines. What the frames mean is its handler's business.
 *
 * Main thread only. Nothing here calls back out of a function that the owner called: frames come
 * from libevent's dispatch and from connection_loop_begin, closings from connection_loop_begin
 * alone, the news that output is empty from connection_loop_end. So an owner may close, pause or
 * send at any point.
 *
 * In a turn each connection has at most one visit, with one read call, and at its end one with a
 * write call. A visit is bounded in bytes, frames and time, and so is what all clients' visits take
 * of a turn together; who has no turn is among the first of the next (base/round_robin.h). So a
 * flood of some costs the others a few milliseconds. Links to servers come first and have no share:
 * their bytes are taken and sent whole, and may leave before the turn ends. */
#ifndef NET_CONNECTION_H
#define NET_CONNECTION_H

#include "base/bytes.h"
#include "base/heap.h"
#include "base/holdings.h"
#include "base/list.h"
#include "base/round_robin.h"
#include "proto/frame.h"
#include "server/net/seal.h"
#include "server/net/socket.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CONNECTION_REASON_BYTES_MAX = 320,
    /* Of one client in one visit, at most. */
    CONNECTION_VISIT_BYTES = 256 * 1024,
    CONNECTION_VISIT_FRAMES = 1024,
    CONNECTION_VISIT_US = 1000,
    /* Who sends no more in a visit comes before the others in the next. What he gets there is
     * little as well, for he may be one of a crowd of which nothing is known yet. */
    CONNECTION_LITTLE_BYTES = 4096,
    CONNECTION_FIRST_BYTES = 16 * 1024,
    CONNECTION_FIRST_FRAMES = 32
};

struct connection;

struct connection_limits {
    /* State PREFACE and HANDSHAKE, each; DRAINING. */
    unsigned handshake_ms; /* 10 s */
    unsigned drain_ms;     /* 5 s */
    /* A frame that began must go on: CONNECTION_PROGRESS_BYTES or its end within this time. */
    unsigned frame_ms; /* 30 s */
    /* Of a connection that may not be idle (connection_forbid_idling), something must come in this
     * time, unless it is paused. */
    unsigned idle_ms; /* 10 min */
    /* Bytes that wait to be sent must move within this time. */
    unsigned stall_ms; /* 30 s */
    /* Waiting to be sent on one connection: beyond it, the connection is closed. */
    size_t output_bytes_max; /* 64 MiB */
    /* Of all clients together; beyond it, the one that holds most is closed. */
    uint64_t input_bytes_all_max;  /* 256 MiB, of requests that are not whole or not taken yet */
    uint64_t output_bytes_all_max; /* 1 GiB */
    /* In each turn reading from clients takes about so long, writing to them, and closing them. */
    unsigned share_us; /* 2 ms */
};

enum { CONNECTION_PROGRESS_BYTES = 64 * 1024 };

struct connection_limits connection_limits_default(void);

/* --- The loop --- */

struct connection_loop {
    struct event_base *base;
    struct connection_limits limits;
    struct holdings input; /* of clients */
    struct holdings output;
    size_t count;
    uint64_t refused_logged_us;
    uint64_t refused_unlogged;
    uint8_t *scratch;
    struct round_robin readers; /* clients that something came from, or is left of */
    struct round_robin writers; /* clients with something to be sent */
    struct list dirty;          /* others with that, */
    struct list late;           /* and those that have only what may go behind it all */
    struct list closed;
    struct heap deadlines; /* of connections, each at most once */
    struct event *timer;   /* for the first of them, or earlier */
    uint64_t timer_us;     /* when it fires; 0 = not armed */
};

/* `base` stays the caller's and outlives the loop. */
void connection_loop_init(struct connection_loop *loop,
                          struct event_base *base,
                          const struct connection_limits *limits);
/* All connections must be closed and reported. */
void connection_loop_release(struct connection_loop *loop);
/* After the events of a turn: give the frames that came from clients, then report the closed
 * connections (on_closed) and free them. */
void connection_loop_begin(struct connection_loop *loop);
/* Write what all but clients were sent in this turn so far, ahead of its end. */
void connection_loop_write_links(struct connection_loop *loop);
/* At the end of a turn: write what was sent. */
void connection_loop_end(struct connection_loop *loop);
/* Something was left by this turn: do not wait for events. */
bool connection_loop_is_pending(const struct connection_loop *loop);

/* Somebody is turned away, for what he did or for want of room: one line in ten seconds, with how
 * many it stands for. */
void connection_loop_log_refusal(struct connection_loop *loop,
                                 const struct socket_address *remote,
                                 const char *reason);

/* --- One connection --- */

/*   PREFACE ----+--> HANDSHAKE --> OPEN     accepted; first bytes seen; both sides know each other
 *               +------------------^
 *   any of these --> DRAINING --> CLOSED    connection_finish; all was sent
 *   any ------------------------> CLOSED    connection_close, end of stream, error, deadline */
enum connection_state {
    CONNECTION_PREFACE,
    CONNECTION_HANDSHAKE,
    CONNECTION_OPEN,
    CONNECTION_DRAINING,
    CONNECTION_CLOSED
};

struct connection_handler {
    /* State PREFACE: the first bytes tell the protocol. Set handler, protocol and state, or close.
     */
    void (*on_preface)(void *context, struct connection *connection, enum frame_protocol protocol);
    /* A whole, intact frame; `body` is lent until the function returns. */
    void (*on_frame)(void *context, struct connection *connection, struct bytes body);
    /* The output has become empty after it had to wait. May be NULL. */
    void (*on_drained)(void *context, struct connection *connection);
    /* It is closed, whoever did so: let go of a part of what is held for it, a tenth of a
     * millisecond's work or so. Called until it says true, before on_closed. NULL: there is never
     * much. */
    bool (*let_go)(void *context, struct connection *connection);
    /* The last call for this connection, whoever closed it; it is freed afterwards. */
    void (*on_closed)(void *context, struct connection *connection, const char *reason);
};

/* Takes over a connected, non-blocking `socket`. It begins in PREFACE (accepted) or HANDSHAKE
 * (dialled: peer frames). `handler` is borrowed for as long as it is set. */
struct connection *connection_new(struct connection_loop *loop,
                                  int socket,
                                  const struct socket_address *remote,
                                  enum connection_state state,
                                  const struct connection_handler *handler,
                                  void *context);

/* Hand over to another owner. A NULL handler abandons: nothing is called any more. */
void connection_set_handler(struct connection *connection,
                            const struct connection_handler *handler,
                            void *context);
void *connection_context(const struct connection *connection);
void connection_set_state(struct connection *connection, enum connection_state state);
enum connection_state connection_state(const struct connection *connection);
/* How frames are cut; a word is a frame of four bytes without a head. A frame above
 * `frame_bytes_max` closes the connection. */
void connection_set_protocol(struct connection *connection,
                             enum frame_protocol protocol,
                             uint32_t frame_bytes_max);
void connection_set_patience(struct connection *connection, const struct socket_patience *patience);
const struct socket_address *connection_remote(const struct connection *connection);
/* By a loopback address, or the one that it calls. */
bool connection_is_from_own_machine(const struct connection *connection);
/* When bytes came last, on clock_monotonic_us. */
uint64_t connection_heard_us(const struct connection *connection);

/* Whether it is closed when nothing comes for limits.idle_ms; at first it is not. */
void connection_forbid_idling(struct connection *connection, bool is_forbidden);

/* Back-pressure: no frames are given and nothing is read between these two. */
void connection_pause(struct connection *connection);
void connection_resume(struct connection *connection);

/* `size` bytes of the output to write into, contiguous; then commit as many. Between the two no
 * other call on this connection. Sent at the end of the turn. Commit closes the connection when it
 * holds more than output_bytes_max, and the one that holds most when all together hold too much. On
 * a closed connection the bytes go nowhere. */
uint8_t *connection_reserve(struct connection *connection, size_t size)
    __attribute__((returns_nonnull));
void connection_commit(struct connection *connection, size_t size);
/* From here on peer frames are sealed with `sent`, and those that come must be with `came`; a frame
 * that is not closes the connection. Takes both over. */
void connection_set_seals(struct connection *connection, struct seal *sent, struct seal *came);
/* One peer frame around `body` (copied). `is_late`: it may go behind what clients are sent in this
 * turn, unless something else goes the same way. */
void connection_send_peer_frame(struct connection *connection, struct bytes body, bool is_late);
void connection_send(struct connection *connection, struct bytes bytes);
/* The same without a copy: `bytes` stay as they are until `release(bytes.data, bytes.size, owner)`
 * is called, once they are sent or will not be, which may be before this returns. They count as
 * output of this connection, as if they were its own. */
void connection_send_lent(struct connection *connection,
                          struct bytes bytes,
                          void (*release)(const void *data, size_t size, void *owner),
                          void *owner);
size_t connection_output_bytes(const struct connection *connection);

/* `release(context)` is called when the connection is freed, whoever owns it by then. */
void connection_on_release(struct connection *connection,
                           void (*release)(void *context),
                           void *context);

/* Close now, dropping what was not sent. on_closed comes from the next connection_loop_begin. */
void connection_close(struct connection *connection, const char *reason);
/* The same for what the other side did: it is logged (connection_loop_log_refusal). */
void connection_refuse(struct connection *connection, const char *reason);
/* Send what waits and the end of the stream, then wait for the other side's end, bounded: closing
 * at once could destroy what was sent last. Nothing is given to the handler any more. */
void connection_finish(struct connection *connection, const char *reason);
/* Send what waits and tell the other side that nothing follows; go on reading until its end. */
void connection_retire(struct connection *connection);

const char *connection_state_name(enum connection_state state);

#endif
