#include "server/net/probes.h"

#include "base/alloc.h"
#include "base/check.h"

#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>

struct question {
    struct list link;
    struct probes *probes;
    uint64_t token;
    struct buffer message;
    struct dial *dial;
    struct peer_link *peer_link;
    struct event timer;
};

struct visit {
    struct list link;
    struct probes *probes;
    uint64_t id;
    struct peer_link *peer_link;
    bool asked;
    struct event timer;
};

struct probes {
    const struct peer_link_world *world;
    struct resolver *resolver;
    const struct probes_handler *handler;
    void *context;
    struct list questions;
    struct list visits;
    size_t visit_count;
    uint64_t last_visit;
};

static void start_timer(struct probes *probes,
                        struct event *timer,
                        unsigned ms,
                        event_callback_fn callback,
                        void *context)
{
    struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

    CHECK(event_assign(timer, probes->world->loop->base, -1, 0, callback, context) == 0);
    CHECK(event_add(timer, &wait) == 0);
}

/* Links outlive what was waiting for them by a moment. */
static enum handshake_verdict
admit_nobody(void *context, struct peer_link *link, char refusal[ERROR_TEXT_BYTES_MAX])
{
    (void)context;
    (void)link;
    (void)snprintf(refusal, ERROR_TEXT_BYTES_MAX, "nothing is expected here");
    return HANDSHAKE_REFUSED;
}

static void ignore_up(void *context, struct peer_link *link)
{
    (void)context;
    (void)link;
}

static enum status ignore_message(void *context, struct peer_link *link, struct bytes message)
{
    (void)context;
    (void)link;
    (void)message;
    return STATUS_OK;
}

static void
ignore_down(void *context, struct peer_link *link, enum status status, const char *reason)
{
    (void)context;
    (void)link;
    (void)status;
    (void)reason;
}

static const struct peer_link_handler ignore = {.admit = admit_nobody,
                                                .on_up = ignore_up,
                                                .on_message = ignore_message,
                                                .on_down = ignore_down};

/* --- We ask --- */

static void question_free(struct question *question, const char *reason)
{
    dial_cancel(question->dial);
    if (question->peer_link != NULL) {
        peer_link_set_handler(question->peer_link, &ignore, NULL);
        peer_link_close(question->peer_link, reason);
    }
    (void)event_del(&question->timer);
    list_remove(&question->link);
    buffer_release(&question->message);
    free(question);
}

static void fail(struct question *question, enum status status, const char *text)
{
    struct probes *probes = question->probes;

    probes->handler->on_answer(probes->context, question->token, status, NULL, BYTES_EMPTY, text);
    question_free(question, "the probe failed");
}

static void on_up(void *context, struct peer_link *link)
{
    struct question *question = context;

    (void)peer_link_send(link, buffer_lend(&question->message), false);
}

static enum status on_answer(void *context, struct peer_link *link, struct bytes message)
{
    struct question *question = context;
    struct probes *probes = question->probes;

    probes->handler->on_answer(probes->context, question->token, STATUS_OK,
                               &peer_link_handshake(link)->peer, message, NULL);
    question_free(question, "the probe is answered");
    return STATUS_OK;
}

static void on_down(void *context, struct peer_link *link, enum status status, const char *reason)
{
    struct question *question = context;

    (void)link;
    question->peer_link = NULL;
    fail(question, status == STATUS_CLOSED ? STATUS_UNAVAILABLE : status, reason);
}

static enum handshake_verdict
admit_asked(void *context, struct peer_link *link, char refusal[ERROR_TEXT_BYTES_MAX])
{
    (void)context;
    (void)link;
    (void)refusal;
    return HANDSHAKE_ADMITTED;
}

static const struct peer_link_handler question_handler = {
    .admit = admit_asked, .on_up = on_up, .on_message = on_answer, .on_down = on_down};

static void
on_dialled(void *context, int socket, const struct socket_address *remote, const char *reason)
{
    static const struct handshake_target anybody = {.id = 0, .incarnation = NULL};
    struct question *question = context;

    question->dial = NULL;
    if (socket < 0) {
        fail(question, STATUS_UNAVAILABLE, reason);
        return;
    }
    question->peer_link =
        peer_link_dial(question->probes->world, socket, remote, PEER__CHANNEL__PROBE, &anybody,
                       &question_handler, question);
}

static void on_question_timer(evutil_socket_t socket, short events, void *context)
{
    (void)socket;
    (void)events;
    fail(context, STATUS_TIMEOUT, "it does not answer in time");
}

void probes_ask(struct probes *probes, uint64_t token, const char *address, struct bytes message)
{
    struct question *question = xcalloc(1, sizeof *question);

    question->probes = probes;
    question->token = token;
    buffer_put(&question->message, message);
    list_append(&probes->questions, &question->link);
    start_timer(probes, &question->timer, PROBES_OUTGOING_MS, on_question_timer, question);
    question->dial = dial_start(probes->world->loop->base, probes->resolver, address,
                                PROBES_OUTGOING_MS, on_dialled, question);
}

/* --- We are asked --- */

static void visit_free(struct visit *visit)
{
    (void)event_del(&visit->timer);
    list_remove(&visit->link);
    visit->probes->visit_count--;
    free(visit);
}

static enum status on_question(void *context, struct peer_link *link, struct bytes message)
{
    struct visit *visit = context;

    (void)link;
    if (visit->asked) {
        return STATUS_INVALID;
    }
    visit->asked = true;
    return visit->probes->handler->on_probe(visit->probes->context, visit->id, message);
}

static void
on_visit_down(void *context, struct peer_link *link, enum status status, const char *reason)
{
    (void)link;
    (void)status;
    (void)reason;
    visit_free(context);
}

static const struct peer_link_handler visit_handler = {
    .admit = admit_nobody, .on_up = ignore_up, .on_message = on_question, .on_down = on_visit_down};

static void on_visit_timer(evutil_socket_t socket, short events, void *context)
{
    struct visit *visit = context;

    (void)socket;
    (void)events;
    peer_link_close(visit->peer_link, "the probe took too long");
}

void probes_take(struct probes *probes, struct peer_link *link)
{
    struct visit *visit;

    if (probes->visit_count >= PROBES_INCOMING_MAX) {
        peer_link_set_handler(link, &ignore, NULL);
        peer_link_close(link, "too many probes at one time");
        return;
    }
    visit = xcalloc(1, sizeof *visit);
    visit->probes = probes;
    visit->id = ++probes->last_visit;
    visit->peer_link = link;
    list_append(&probes->visits, &visit->link);
    probes->visit_count++;
    start_timer(probes, &visit->timer, PROBES_INCOMING_MS, on_visit_timer, visit);
    peer_link_set_handler(link, &visit_handler, visit);
}

void probes_reply(struct probes *probes, uint64_t probe, struct bytes message)
{
    LIST_FOR_EACH (link, &probes->visits) {
        struct visit *visit = CONTAINER_OF(link, struct visit, link);

        if (visit->id == probe) {
            (void)peer_link_send(visit->peer_link, message, false);
            peer_link_finish(visit->peer_link, "the probe is answered");
            return;
        }
    }
}

/* --- Life --- */

struct probes *probes_new(const struct peer_link_world *world,
                          struct resolver *resolver,
                          const struct probes_handler *handler,
                          void *context)
{
    struct probes *probes = xcalloc(1, sizeof *probes);

    probes->world = world;
    probes->resolver = resolver;
    probes->handler = handler;
    probes->context = context;
    list_init(&probes->questions);
    list_init(&probes->visits);
    return probes;
}

void probes_close(struct probes *probes, const char *reason)
{
    LIST_FOR_EACH (link, &probes->questions) {
        question_free(CONTAINER_OF(link, struct question, link), reason);
    }
    LIST_FOR_EACH (link, &probes->visits) {
        peer_link_close(CONTAINER_OF(link, struct visit, link)->peer_link, reason);
    }
}

void probes_free(struct probes *probes)
{
    if (probes == NULL) {
        return;
    }
    CHECK(list_is_empty(&probes->questions));
    CHECK(list_is_empty(&probes->visits));
    free(probes);
}
