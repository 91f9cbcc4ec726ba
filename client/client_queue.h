/* The calls under way: what is to be sent, what was sent, what is to be sent again, and which
 * number a write has. Pure: no socket, no clock; the handle moves the bytes.
 *
 *     client_queue_add                     accepted
 *       WAITING  --client_queue_sent-->  IN_FLIGHT  --client_queue_answer-->  told and freed
 *          ^                                |   |
 *          |        refused for now         |   | the connection ended (client_queue_disconnected)
 *       PAUSED  <---------------------------+   +--> WAITING again, or UNRESOLVED, or told
 *
 * Numbered writes. In a session each write carries a number, and the cluster executes only the one
 * after the last. So a number that was given away must be used: `numbered` holds the writes whose
 * number is not known to be used yet, in order, and they are sent again in that order until each
 * has its answer. While one must be repeated the others are held back: what is in flight is
 * answered first (with SEQUENCE_GAP), then all go again. A write that was refused without being
 * applied gives its number to the next one; if it is not certain that it was not applied, the
 * session is attached anew: that fences off everything still on its way, and the answer tells the
 * last number used. */
#ifndef CLIENT_QUEUE_H
#define CLIENT_QUEUE_H

#include "base/list.h"
#include "base/prng.h"
#include "client/client_request.h"

/* The cluster keeps the results of 1024 unconfirmed writes of a session. */
enum { CLIENT_UNCONFIRMED_MAX = 1000, CLIENT_IN_FLIGHT_MAX = 1000 };

/* What the handle has to do after an answer. */
enum client_verdict {
    CLIENT_VERDICT_GO_ON,
    CLIENT_VERDICT_MOVE,     /* this server cannot help now: try another */
    CLIENT_VERDICT_OUTSIDE,  /* the same, because it belongs to no cluster, or no more */
    CLIENT_VERDICT_REATTACH, /* connect again and attach: only that tells what was applied */
    CLIENT_VERDICT_EXPIRED,
    CLIENT_VERDICT_VIOLATION /* the answer fits no request */
};

struct client_queue {
    /* Tell the caller; takes request->result. It must not come back into the queue. */
    void (*tell)(void *context, struct client_request *request);
    void *context;
    struct prng *prng;
    bool has_session;

    struct list waiting_writes; /* to be numbered */
    struct list waiting_others;
    struct list paused;
    struct list in_flight;
    size_t in_flight_count;
    size_t slow_in_flight;

    struct list numbered;
    size_t numbered_in_flight;
    struct list *resend; /* in `numbered`: the first to be sent again; the head = none */
    uint64_t last_sequence;
    bool is_held;
    bool must_attach;
    uint64_t hole; /* the lowest number given back, 0 = none */

    uint64_t resume_us; /* when paused and held ones go on */
    uint32_t retry_streak;
    uint32_t leaderless_streak;
    uint64_t next_order;
};

void client_queue_init(struct client_queue *queue,
                       struct prng *prng,
                       void (*tell)(void *context, struct client_request *request),
                       void *context);
/* Frees what is left without telling anyone. */
void client_queue_release(struct client_queue *queue);

void client_queue_add(struct client_queue *queue, struct client_request *request);

/* The next one to be sent; NULL: none now. */
struct client_request *client_queue_next(struct client_queue *queue, uint64_t now_us);
/* `request`, from client_queue_next, is sent with this id. Gives a write its number first. */
void client_queue_number(struct client_queue *queue, struct client_request *request);
void client_queue_sent(struct client_queue *queue, struct client_request *request, uint64_t id);
/* All writes up to this one have their answers. */
uint64_t client_queue_confirmed(const struct client_queue *queue);

/* An answer came. It is for the oldest request in flight, or it is a violation. */
MUST_CHECK enum client_verdict client_queue_answer(struct client_queue *queue,
                                                   struct client_answer *answer,
                                                   const char *server,
                                                   uint64_t now_us);

/* The connection ended: repeatable requests wait again, writes without session that were sent are
 * told CONFER_UNKNOWN_OUTCOME. */
void client_queue_disconnected(struct client_queue *queue, const char *reason);

/* The session is attached (or new: last_sequence 0) and its last applied write is `last_sequence`.
 * False: the session on the servers is not the one this client wrote to. */
MUST_CHECK bool client_queue_attached(struct client_queue *queue, uint64_t last_sequence);

/* The deadline of an open call passed. It is told `text` and freed, unless its number is taken or
 * its answer is still to come. */
void client_queue_expire(struct client_queue *queue,
                         struct client_request *request,
                         enum confer_status status,
                         const char *text);
/* Tell all open calls; `unsent_only`: only those that are not on their way. `text` may be NULL. */
void client_queue_fail_all(struct client_queue *queue,
                           enum confer_status status,
                           const char *text,
                           bool unsent_only);

/* When client_queue_next may have something that it has not now; UINT64_MAX = no such time. */
uint64_t client_queue_due_us(const struct client_queue *queue);

#endif
