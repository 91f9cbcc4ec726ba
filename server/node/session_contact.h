/* When this server last heard from each session that is attached to it, and what it tells the
 * leader of that. Every server has one; the leader too.
 *
 * Reports sent without being asked carry the sessions heard from since the last one and may get
 * lost; the answer to a query says for each session in question how long it has been silent, from
 * what this server remembers. So nothing depends on a report having arrived.
 *
 * Time is in microseconds of the node's monotonic clock. Main thread. */
#ifndef NODE_SESSION_CONTACT_H
#define NODE_SESSION_CONTACT_H

#include "proto/peer.pb-c.h"
#include "server/state/state.h"

enum {
    SESSION_CONTACT_REPORT_MAX = 8192,           /* sessions in one report */
    SESSION_CONTACT_QUERY_MAX = 4096,            /* sessions in one query */
    SESSION_CONTACT_REPORT_INTERVAL_US = 200000, /* how often to report while a leader is known */
    SESSION_CONTACT_IDLE_US = 100000             /* tick at least this often */
};

struct session_contact;

struct session_contact *session_contact_new(uint64_t now_us);
void session_contact_free(struct session_contact *contact); /* NULL is fine */

/* The session is attached to this server by the replicated state (opened or attached with this
 * server as owner, or found so in the state at start). Says nothing about having been heard. The
 * entry stays when the client's connection closes. */
void session_contact_put(struct session_contact *contact, session_id id);
/* It was closed, expired, or attached to another server. Fine for an unknown one. */
void session_contact_drop(struct session_contact *contact, session_id id);
/* The state was replaced: forget those that it does not keep here. When the others were heard from
 * is remembered: no report of it may have arrived. */
void session_contact_retain(struct session_contact *contact,
                            bool (*keeps)(void *context, session_id id),
                            void *context);
size_t session_contact_count(const struct session_contact *contact);

/* Something came from the session's client (any request). Unknown sessions are ignored. */
void session_contact_heard(struct session_contact *contact, session_id id, uint64_t now_us);

/* Once a turn, before anything else here, and at least every 100 ms while there are sessions: notes
 * pauses of this process, which do not count as silence. */
void session_contact_tick(struct session_contact *contact, uint64_t now_us);

/* Fill `report` with sessions heard from since they were last reported, at most
 * SESSION_CONTACT_REPORT_MAX; false if there is none. Repeat until false. Its arrays are lent until
 * the next call here. */
bool session_contact_take_report(struct session_contact *contact,
                                 uint64_t now_us,
                                 Peer__SessionReport *report);
/* A leader was found, or the link to it came up again: what was reported before may be lost. The
 * next reports hold every session that was heard from at all. */
void session_contact_report_all(struct session_contact *contact);

/* Answer a leader's query: those of its sessions that are attached here and were ever heard from.
 * Always to be sent, also when empty. More than SESSION_CONTACT_QUERY_MAX sessions in a query are
 * INVALID: close the link. Arrays lent as above. */
MUST_CHECK enum status session_contact_answer(struct session_contact *contact,
                                              uint64_t now_us,
                                              const Peer__SessionQuery *query,
                                              Peer__SessionReport *report);

#endif
