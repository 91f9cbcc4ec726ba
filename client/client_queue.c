#include "client/client_queue.h"

#include "base/check.h"

#include <stdlib.h>

enum { RETRY_MS_MIN = 10, RETRY_MS_MAX = 500, LEADERLESS_STREAK_MAX = 3 };

static struct client_request *request_of(struct list *link)
{
    return CONTAINER_OF(link, struct client_request, link);
}

static struct client_request *numbered_of(struct list *link)
{
    return CONTAINER_OF(link, struct client_request, numbered_link);
}

void client_queue_init(struct client_queue *queue,
                       struct prng *prng,
                       void (*tell)(void *context, struct client_request *request),
                       void *context)
{
    *queue = (struct client_queue){.tell = tell, .context = context, .prng = prng};
    list_init(&queue->waiting_writes);
    list_init(&queue->waiting_others);
    list_init(&queue->paused);
    list_init(&queue->in_flight);
    list_init(&queue->numbered);
    queue->resend = &queue->numbered;
}

static void free_list(struct list *list)
{
    struct list *link;

    while ((link = list_take_first(list)) != NULL) {
        client_request_free(request_of(link));
    }
}

void client_queue_release(struct client_queue *queue)
{
    LIST_FOR_EACH (link, &queue->numbered) {
        struct client_request *request = numbered_of(link);

        list_remove(&request->link);
        list_remove(&request->numbered_link);
        client_request_free(request);
    }
    free_list(&queue->waiting_writes);
    free_list(&queue->waiting_others);
    free_list(&queue->paused);
    free_list(&queue->in_flight);
}

/* Take the request out of the list of its place. */
static void leave_place(struct client_queue *queue, struct client_request *request)
{
    list_remove(&request->link);
    if (request->place == CLIENT_PLACE_IN_FLIGHT) {
        queue->in_flight_count--;
        queue->slow_in_flight -= request->is_slow ? 1 : 0;
        queue->numbered_in_flight -= request->sequence != 0 ? 1 : 0;
    }
    request->place = CLIENT_PLACE_NONE;
}

static void wait_in(struct client_queue *queue, struct client_request *request, bool at_front)
{
    struct list *list =
        request->is_write && queue->has_session ? &queue->waiting_writes : &queue->waiting_others;

    request->place = CLIENT_PLACE_WAITING;
    if (at_front) {
        list_prepend(list, &request->link);
    } else {
        list_append(list, &request->link);
    }
}

void client_queue_add(struct client_queue *queue, struct client_request *request)
{
    request->order = queue->next_order++;
    wait_in(queue, request, false);
}

static void tell(struct client_queue *queue, struct client_request *request)
{
    if (client_request_is_open(request)) {
        queue->tell(queue->context, request);
        client_result_free(request->result);
        request->result = NULL;
    }
}

/* The end of a request that is in no list of a place. */
static void end(struct client_queue *queue, struct client_request *request)
{
    tell(queue, request);
    if (request->sequence != 0) {
        if (queue->resend == &request->numbered_link) {
            queue->resend = request->numbered_link.next;
        }
        list_remove(&request->numbered_link);
    }
    client_request_free(request);
}

/* --- Sending --- */

static struct list *last_of(struct list *list)
{
    return list->previous;
}

static void resume(struct client_queue *queue)
{
    struct list *link;

    queue->resume_us = 0;
    while (!list_is_empty(&queue->paused)) {
        link = last_of(&queue->paused);
        list_remove(link);
        wait_in(queue, request_of(link), true);
    }
    /* What is still in flight of the held ones is answered first. */
    if (queue->is_held && queue->numbered_in_flight == 0 && !queue->must_attach) {
        queue->is_held = false;
        queue->resend = queue->numbered.next;
    }
}

uint64_t client_queue_confirmed(const struct client_queue *queue)
{
    uint64_t next = list_is_empty(&queue->numbered) ? queue->last_sequence + 1
                                                    : numbered_of(queue->numbered.next)->sequence;

    /* A number given back was not used yet. */
    return (queue->hole != 0 && queue->hole < next ? queue->hole : next) - 1;
}

/* The next write in a session: what has a number already comes first. */
static struct client_request *next_write(struct client_queue *queue)
{
    if (queue->is_held || queue->must_attach) {
        return NULL;
    }
    if (queue->resend != &queue->numbered) {
        return numbered_of(queue->resend);
    }
    if (list_is_empty(&queue->waiting_writes) ||
        queue->last_sequence - client_queue_confirmed(queue) >= CLIENT_UNCONFIRMED_MAX) {
        return NULL;
    }
    return request_of(queue->waiting_writes.next);
}

struct client_request *client_queue_next(struct client_queue *queue, uint64_t now_us)
{
    struct client_request *write;
    struct client_request *other;

    if (now_us >= queue->resume_us) {
        resume(queue);
    }
    if (queue->in_flight_count >= CLIENT_IN_FLIGHT_MAX) {
        return NULL;
    }
    write = next_write(queue);
    other = list_is_empty(&queue->waiting_others) ? NULL : request_of(queue->waiting_others.next);
    if (write == NULL || other == NULL) {
        return write == NULL ? other : write;
    }
    return write->sequence != 0 || write->order < other->order ? write : other;
}

void client_queue_number(struct client_queue *queue, struct client_request *request)
{
    if (request->is_write && queue->has_session && request->sequence == 0) {
        request->sequence = ++queue->last_sequence;
        list_append(&queue->numbered, &request->numbered_link);
        queue->resend = &request->numbered_link;
        list_remove(&request->link);
        request->place = CLIENT_PLACE_UNRESOLVED;
    }
}

void client_queue_sent(struct client_queue *queue, struct client_request *request, uint64_t id)
{
    if (request->sequence != 0) {
        CHECK(queue->resend == &request->numbered_link);
        queue->resend = queue->resend->next;
        queue->numbered_in_flight++;
    }
    list_remove(&request->link);
    list_append(&queue->in_flight, &request->link);
    request->place = CLIENT_PLACE_IN_FLIGHT;
    request->id = id;
    queue->in_flight_count++;
    queue->slow_in_flight += request->is_slow ? 1 : 0;
}

/* --- Answers --- */

/* One pause for all that was refused since the last one: with full jitter, doubling while nothing
 * succeeds. */
static void pause_until_later(struct client_queue *queue, uint64_t now_us)
{
    uint64_t bound_ms = RETRY_MS_MAX;

    if (queue->resume_us > now_us) {
        return;
    }
    if (queue->retry_streak < 6) {
        bound_ms = (uint64_t)RETRY_MS_MIN << queue->retry_streak;
        queue->retry_streak++;
    }
    queue->resume_us = now_us + 1000 * prng_between(queue->prng, RETRY_MS_MIN / 2, bound_ms);
}

static bool is_retryable(Client__Code code)
{
    return code == CLIENT__CODE__NO_LEADER || code == CLIENT__CODE__BUSY ||
           code == CLIENT__CODE__BEHIND || code == CLIENT__CODE__STOPPING ||
           code == CLIENT__CODE__NO_CLUSTER || code == CLIENT__CODE__NOT_MEMBER;
}

static enum client_verdict verdict_of(struct client_queue *queue, Client__Code code)
{
    if (code == CLIENT__CODE__NO_CLUSTER || code == CLIENT__CODE__NOT_MEMBER) {
        return CLIENT_VERDICT_OUTSIDE;
    }
    if (code == CLIENT__CODE__BEHIND || code == CLIENT__CODE__STOPPING) {
        return CLIENT_VERDICT_MOVE;
    }
    if (code == CLIENT__CODE__NO_LEADER && ++queue->leaderless_streak >= LEADERLESS_STREAK_MAX) {
        queue->leaderless_streak = 0;
        return CLIENT_VERDICT_MOVE;
    }
    return CLIENT_VERDICT_GO_ON;
}

static void fill(struct client_request *request, struct client_answer *answer, const char *server)
{
    if (client_request_is_open(request)) {
        client_result_take(request->result, request->shape, answer, server);
    }
}

/* The numbers behind the lowest one given back move up. Safe only when none of them can be applied
 * any more: they were answered, or fenced off. */
static void close_hole(struct client_queue *queue)
{
    uint64_t sequence = queue->hole;

    LIST_FOR_EACH (link, &queue->numbered) {
        struct client_request *request = numbered_of(link);

        if (request->sequence > queue->hole) {
            request->sequence = sequence++;
        }
    }
    queue->last_sequence = sequence - 1;
    queue->hole = 0;
}

/* Whether a write behind the hole may still be applied under its old number. */
static bool is_hole_uncertain(struct client_queue *queue)
{
    LIST_FOR_EACH (link, &queue->numbered) {
        struct client_request *request = numbered_of(link);

        if (request->sequence > queue->hole && request->is_uncertain) {
            return true;
        }
    }
    return false;
}

/* All held writes have their answers: see what became of them. */
static enum client_verdict settle_held(struct client_queue *queue, enum client_verdict verdict)
{
    if (!queue->is_held || queue->numbered_in_flight > 0) {
        return verdict;
    }
    if (queue->hole != 0 && !queue->must_attach) {
        if (is_hole_uncertain(queue)) {
            queue->must_attach = true;
        } else {
            close_hole(queue);
        }
    }
    return queue->must_attach && verdict != CLIENT_VERDICT_EXPIRED ? CLIENT_VERDICT_REATTACH
                                                                   : verdict;
}

static void hold(struct client_queue *queue, uint64_t now_us)
{
    queue->is_held = true;
    pause_until_later(queue, now_us);
}

/* The write was not applied by this try, and the answer is what its caller should hear. */
static void refuse_numbered(struct client_queue *queue,
                            struct client_request *request,
                            struct client_answer *answer,
                            const char *server,
                            uint64_t now_us)
{
    bool is_known = answer->response->code >= CLIENT__CODE__NO_LEADER && !request->is_uncertain;

    if (request->is_applied && client_request_is_open(request)) {
        hold(queue, now_us); /* the server did not look for the result it has */
        return;
    }
    if (request->is_applied) {
        end(queue, request);
        return;
    }
    fill(request, answer, server);
    queue->is_held = true;
    if (is_known) {
        if (queue->hole == 0 || request->sequence < queue->hole) {
            queue->hole = request->sequence;
        }
        end(queue, request);
        return;
    }
    request->is_refused = true;
    queue->must_attach = true;
}

static enum client_verdict answer_numbered(struct client_queue *queue,
                                           struct client_request *request,
                                           struct client_answer *answer,
                                           const char *server,
                                           uint64_t now_us)
{
    Client__Code code = answer->response->code;
    bool is_applied = answer->response->body_case == CLIENT__RESPONSE__BODY_WRITE &&
                      answer->response->write->zxid != 0;

    request->place = CLIENT_PLACE_UNRESOLVED;
    if (code == CLIENT__CODE__SESSION_EXPIRED) {
        return CLIENT_VERDICT_EXPIRED;
    }
    if (code == CLIENT__CODE__SESSION_MOVED ||
        (code == CLIENT__CODE__SEQUENCE_GAP && queue->hole == 0 &&
         queue->numbered.next == &request->numbered_link)) {
        queue->must_attach = true;
        hold(queue, now_us);
    } else if (code == CLIENT__CODE__SEQUENCE_GAP || code == CLIENT__CODE__TOO_MANY_UNCONFIRMED) {
        hold(queue, now_us);
    } else if (is_retryable(code) || code == CLIENT__CODE__UNKNOWN_OUTCOME) {
        request->is_uncertain = request->is_uncertain || code == CLIENT__CODE__UNKNOWN_OUTCOME ||
                                code == CLIENT__CODE__NO_LEADER || code == CLIENT__CODE__STOPPING;
        hold(queue, now_us);
        return settle_held(queue, verdict_of(queue, code));
    } else if (code == CLIENT__CODE__OK || is_applied) {
        queue->retry_streak = 0;
        queue->leaderless_streak = 0;
        fill(request, answer, server);
        end(queue, request);
    } else {
        refuse_numbered(queue, request, answer, server, now_us);
    }
    return settle_held(queue, CLIENT_VERDICT_GO_ON);
}

enum client_verdict client_queue_answer(struct client_queue *queue,
                                        struct client_answer *answer,
                                        const char *server,
                                        uint64_t now_us)
{
    struct client_request *request;
    Client__Code code = answer->response->code;

    if (list_is_empty(&queue->in_flight)) {
        return CLIENT_VERDICT_VIOLATION;
    }
    request = request_of(queue->in_flight.next);
    if (request->id != answer->response->id) {
        return CLIENT_VERDICT_VIOLATION;
    }
    leave_place(queue, request);
    if (request->sequence != 0) {
        return answer_numbered(queue, request, answer, server, now_us);
    }
    if (code == CLIENT__CODE__SESSION_MOVED && client_request_is_open(request)) {
        wait_in(queue, request, true);
        return CLIENT_VERDICT_REATTACH;
    }
    /* Reads and membership may be repeated whatever became of the first try. */
    if ((is_retryable(code) || (code == CLIENT__CODE__UNKNOWN_OUTCOME && !request->is_write)) &&
        client_request_is_open(request)) {
        request->place = CLIENT_PLACE_PAUSED;
        list_append(&queue->paused, &request->link);
        pause_until_later(queue, now_us);
        return verdict_of(queue, code);
    }
    if (code == CLIENT__CODE__SESSION_EXPIRED) {
        fill(request, answer, server);
        end(queue, request);
        return CLIENT_VERDICT_EXPIRED;
    }
    if (!is_retryable(code)) {
        queue->retry_streak = 0;
        queue->leaderless_streak = 0;
    }
    fill(request, answer, server);
    end(queue, request);
    return code == CLIENT__CODE__SESSION_MOVED ? CLIENT_VERDICT_REATTACH : CLIENT_VERDICT_GO_ON;
}

/* --- Connections and sessions --- */

void client_queue_disconnected(struct client_queue *queue, const char *reason)
{
    while (!list_is_empty(&queue->in_flight)) {
        struct client_request *request = request_of(last_of(&queue->in_flight));

        leave_place(queue, request);
        if (request->sequence != 0) {
            request->place = CLIENT_PLACE_UNRESOLVED;
            request->is_uncertain = true;
        } else if (request->per_connection || !client_request_is_open(request)) {
            client_result_free(request->result);
            request->result = NULL;
            end(queue, request);
        } else if (request->is_write) {
            client_result_fail(request->result, CONFER_UNKNOWN_OUTCOME,
                               "the connection ended (%s) before the answer: the write may have "
                               "taken effect or not; look before trying again",
                               reason);
            end(queue, request);
        } else {
            wait_in(queue, request, true);
        }
    }
    /* Requests for this connection only that were not sent yet, or are to be repeated. */
    LIST_FOR_EACH (link, &queue->waiting_others) {
        if (request_of(link)->per_connection) {
            list_remove(link);
            client_request_free(request_of(link));
        }
    }
    LIST_FOR_EACH (link, &queue->paused) {
        if (request_of(link)->per_connection) {
            list_remove(link);
            client_request_free(request_of(link));
        }
    }
    queue->resend = &queue->numbered;
    queue->is_held = true; /* until attached */
}

/* The writes whose numbers were not used get the next free ones, in their order: the attach fenced
 * off all earlier tries. Those that nobody waits for are let go. */
static void renumber(struct client_queue *queue, uint64_t last_sequence)
{
    uint64_t sequence = last_sequence;

    LIST_FOR_EACH (link, &queue->numbered) {
        struct client_request *request = numbered_of(link);
        bool is_used = request->sequence <= last_sequence;

        request->is_uncertain = false;
        if (!client_request_is_open(request) || (!is_used && request->is_refused)) {
            end(queue, request);
        } else if (is_used) {
            /* A try before the one that was refused had been applied. */
            request->is_refused = false;
            request->is_applied = true;
        } else {
            request->sequence = ++sequence;
        }
    }
    queue->last_sequence = sequence;
}

bool client_queue_attached(struct client_queue *queue, uint64_t last_sequence)
{
    if (last_sequence > queue->last_sequence || last_sequence < client_queue_confirmed(queue)) {
        return false;
    }
    renumber(queue, last_sequence);
    queue->must_attach = false;
    queue->is_held = false;
    queue->hole = 0;
    queue->resend = queue->numbered.next;
    return true;
}

void client_queue_expire(struct client_queue *queue,
                         struct client_request *request,
                         enum confer_status status,
                         const char *text)
{
    client_result_fail(request->result, status, text == NULL ? NULL : "%s", text);
    if (request->place == CLIENT_PLACE_WAITING || request->place == CLIENT_PLACE_PAUSED) {
        leave_place(queue, request);
        end(queue, request);
        return;
    }
    tell(queue, request);
}

static void fail_list(struct client_queue *queue,
                      struct list *list,
                      enum confer_status status,
                      const char *text)
{
    LIST_FOR_EACH (link, list) {
        if (client_request_is_open(request_of(link))) {
            client_queue_expire(queue, request_of(link), status, text);
        }
    }
}

void client_queue_fail_all(struct client_queue *queue,
                           enum confer_status status,
                           const char *text,
                           bool unsent_only)
{
    if (!unsent_only) {
        LIST_FOR_EACH (link, &queue->numbered) {
            struct client_request *request = numbered_of(link);

            if (client_request_is_open(request)) {
                client_queue_expire(queue, request, status, text);
            }
        }
        fail_list(queue, &queue->in_flight, status, text);
    }
    fail_list(queue, &queue->waiting_writes, status, text);
    fail_list(queue, &queue->waiting_others, status, text);
    fail_list(queue, &queue->paused, status, text);
}

uint64_t client_queue_due_us(const struct client_queue *queue)
{
    bool is_pending = !list_is_empty(&queue->paused) ||
                      (queue->is_held && queue->numbered_in_flight == 0 && !queue->must_attach);

    return is_pending && queue->resume_us != 0 ? queue->resume_us : UINT64_MAX;
}
