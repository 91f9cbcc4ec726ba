#include "server/node/session_contact.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "server/node/awake_clock.h"

#include <stdlib.h>

struct session {
    session_id id;
    bool was_heard;
    uint64_t heard_us;         /* awake time */
    struct list link;          /* in contact->all */
    struct list reported_link; /* in contact->unreported, or alone */
    struct map_node map_node;
};

struct session_contact {
    struct awake_clock clock;
    struct map sessions;
    struct list all;        /* in the order of session_contact_put */
    struct list unreported; /* heard from since they were last reported */
    uint64_t report_sessions[SESSION_CONTACT_REPORT_MAX];
    uint32_t report_silent_ms[SESSION_CONTACT_REPORT_MAX];
};

_Static_assert(SESSION_CONTACT_QUERY_MAX <= SESSION_CONTACT_REPORT_MAX, "an answer fits a report");

struct session_contact *session_contact_new(uint64_t now_us)
{
    struct session_contact *contact = xmalloc(sizeof *contact); /* most of it is for reports */

    awake_clock_init(&contact->clock, now_us);
    map_init(&contact->sessions);
    list_init(&contact->all);
    list_init(&contact->unreported);
    return contact;
}

static struct session *find(const struct session_contact *contact, session_id id)
{
    MAP_FOR_HASH (node, &contact->sessions, map_hash_u64(id)) {
        struct session *session = CONTAINER_OF(node, struct session, map_node);

        if (session->id == id) {
            return session;
        }
    }
    return NULL;
}

void session_contact_put(struct session_contact *contact, session_id id)
{
    struct session *session;

    if (find(contact, id) != NULL) {
        return;
    }
    session = xcalloc(1, sizeof *session);
    session->id = id;
    list_append(&contact->all, &session->link);
    list_init(&session->reported_link);
    map_insert(&contact->sessions, &session->map_node, map_hash_u64(id));
}

static void drop(struct session_contact *contact, struct session *session)
{
    map_remove(&contact->sessions, &session->map_node);
    map_shrink_some(&contact->sessions);
    list_remove(&session->link);
    list_remove(&session->reported_link);
    free(session);
}

void session_contact_drop(struct session_contact *contact, session_id id)
{
    struct session *session = find(contact, id);

    if (session != NULL) {
        drop(contact, session);
    }
}

void session_contact_retain(struct session_contact *contact,
                            bool (*keeps)(void *context, session_id id),
                            void *context)
{
    LIST_FOR_EACH (link, &contact->all) {
        struct session *session = CONTAINER_OF(link, struct session, link);

        if (!keeps(context, session->id)) {
            drop(contact, session);
        }
    }
}

void session_contact_free(struct session_contact *contact)
{
    if (contact != NULL) {
        LIST_FOR_EACH (link, &contact->all) {
            drop(contact, CONTAINER_OF(link, struct session, link));
        }
        map_release(&contact->sessions);
        free(contact);
    }
}

size_t session_contact_count(const struct session_contact *contact)
{
    return contact->sessions.count;
}

void session_contact_heard(struct session_contact *contact, session_id id, uint64_t now_us)
{
    struct session *session = find(contact, id);

    if (session == NULL) {
        return;
    }
    session->was_heard = true;
    session->heard_us = awake_clock_advance(&contact->clock, now_us);
    if (list_is_empty(&session->reported_link)) {
        list_append(&contact->unreported, &session->reported_link);
    }
}

void session_contact_tick(struct session_contact *contact, uint64_t now_us)
{
    (void)awake_clock_advance(&contact->clock, now_us);
}

/* Rounded down and cut: never more silent than it was. */
static uint32_t silent_ms(const struct session *session, uint64_t awake_us)
{
    uint64_t silent = (awake_us - session->heard_us) / 1000;

    return silent > UINT32_MAX ? UINT32_MAX : (uint32_t)silent;
}

static void
fill(struct session_contact *contact, uint64_t round, size_t count, Peer__SessionReport *report)
{
    *report = (Peer__SessionReport)PEER__SESSION_REPORT__INIT;
    report->round = round;
    report->sessions = contact->report_sessions;
    report->n_sessions = count;
    report->silent_ms = contact->report_silent_ms;
    report->n_silent_ms = count;
}

bool session_contact_take_report(struct session_contact *contact,
                                 uint64_t now_us,
                                 Peer__SessionReport *report)
{
    uint64_t awake_us = awake_clock_advance(&contact->clock, now_us);
    size_t count = 0;
    struct list *link;

    while (count < SESSION_CONTACT_REPORT_MAX &&
           (link = list_take_first(&contact->unreported)) != NULL) {
        const struct session *session = CONTAINER_OF(link, struct session, reported_link);

        contact->report_sessions[count] = session->id;
        contact->report_silent_ms[count] = silent_ms(session, awake_us);
        count++;
    }
    if (count == 0) {
        return false;
    }
    fill(contact, 0, count, report);
    return true;
}

void session_contact_report_all(struct session_contact *contact)
{
    LIST_FOR_EACH (link, &contact->all) {
        struct session *session = CONTAINER_OF(link, struct session, link);

        if (session->was_heard && list_is_empty(&session->reported_link)) {
            list_append(&contact->unreported, &session->reported_link);
        }
    }
}

enum status session_contact_answer(struct session_contact *contact,
                                   uint64_t now_us,
                                   const Peer__SessionQuery *query,
                                   Peer__SessionReport *report)
{
    uint64_t awake_us = awake_clock_advance(&contact->clock, now_us);
    size_t count = 0;

    if (query->round == 0 || query->n_sessions > SESSION_CONTACT_QUERY_MAX) {
        return STATUS_INVALID;
    }
    for (size_t i = 0; i < query->n_sessions; i++) {
        const struct session *session = find(contact, query->sessions[i]);

        if (session != NULL && session->was_heard) {
            contact->report_sessions[count] = session->id;
            contact->report_silent_ms[count] = silent_ms(session, awake_us);
            count++;
        }
    }
    fill(contact, query->round, count, report);
    return STATUS_OK;
}
