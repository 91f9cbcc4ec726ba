/* The leader's decision that a session has been silent for too long.
 *
 * A new leader grants every session its full timeout. Reports of servers extend; a pause of this
 * process extends all (awake_clock.h). When a deadline has passed, a round starts: a query for the
 * sessions in question goes to all members, and a read index is asked for. A session is due only
 * after
 *   - a quorum confirmed, after the round began and so after the deadline, that we lead;
 *   - answers to this round's query came from a quorum of voters and from this server itself;
 *   - and from the server the session is attached to, if it is a member and the link to it is up;
 * and none of them had heard from it within its timeout. Then ExpireSession is to be proposed for
 * it, once until the outcome is known.
 *
 * The node's duties: session_expiry_lead once this leader has applied an entry of its own term, and
 * session_expiry_put for every session then in the state; the puts and drops of every session
 * change applied after that; session_expiry_stop when it leads no more. Away from leadership all
 * calls are harmless and do nothing.
 *
 * Time is in microseconds of the node's monotonic clock. Main thread. */
#ifndef NODE_SESSION_EXPIRY_H
#define NODE_SESSION_EXPIRY_H

#include "proto/peer.pb-c.h"
#include "raft/raft.h"
#include "server/node/session_contact.h"
#include "server/state/state.h"

enum {
    SESSION_EXPIRY_ROUND_MAX = SESSION_CONTACT_QUERY_MAX, /* sessions in one round */
    SESSION_EXPIRY_ROUND_TIMEOUT_US = 400000,             /* then a new round asks again */
    SESSION_EXPIRY_ROUND_INTERVAL_US = 100000,            /* between the beginnings of rounds */
    SESSION_EXPIRY_IDLE_US = 100000 /* tick at least this often while leading */
};

struct session_expiry;

struct session_expiry *session_expiry_new(raft_id self);
void session_expiry_free(struct session_expiry *expiry); /* NULL is fine */

/* We lead. Starts without sessions. */
void session_expiry_lead(struct session_expiry *expiry, uint64_t now_us);
/* We lead no more: forgets everything. */
void session_expiry_stop(struct session_expiry *expiry);
bool session_expiry_is_leading(const struct session_expiry *expiry);

/* A session was found in the state, opened, or attached: it has its full timeout from now. Ends a
 * proposal to expire it (which is void, as the generation changed). */
void session_expiry_put(struct session_expiry *expiry,
                        uint64_t now_us,
                        session_id id,
                        uint64_t generation,
                        raft_id owner,
                        uint32_t timeout_ms);
/* It was closed or expired. Fine for an unknown one. */
void session_expiry_drop(struct session_expiry *expiry, session_id id);

/* A report of `from`, asked for or not; this server's own comes here too (from = self). Unknown
 * sessions are ignored. INVALID: malformed; close the link. */
MUST_CHECK enum status session_expiry_on_report(struct session_expiry *expiry,
                                                uint64_t now_us,
                                                raft_id from,
                                                const Peer__SessionReport *report);
/* The read index asked for by `round` was answered (raft_finished_read), or raft_read refused
 * it. Answers of other rounds are ignored. */
void session_expiry_on_read(struct session_expiry *expiry,
                            uint64_t now_us,
                            uint64_t round,
                            bool ok);
/* The proposal to expire it was refused, or its outcome will not be known: ask again. Not needed
 * when leadership was lost. */
void session_expiry_on_proposal_failed(struct session_expiry *expiry,
                                       session_id id,
                                       uint64_t generation);

struct session_expiry_due {
    session_id session;
    uint64_t generation;
};

struct session_expiry_output {
    /* Not NULL: a round began. Send it to every other member, answer it for this server
     * (session_contact_answer, session_expiry_on_report), and ask for a read index, to be reported
     * with query->round. Lent until the next tick. */
    const Peer__SessionQuery *query;
    /* Propose ExpireSession for each. Lent until the next tick; in order of id. */
    const struct session_expiry_due *due;
    size_t due_count;
    uint64_t next_us; /* call again by then; UINT64_MAX when not leading */
};

/* Once a turn, after the inputs above. `config` is the effective configuration; is_linked tells
 * whether a control link with the member is up. */
void session_expiry_tick(struct session_expiry *expiry,
                         uint64_t now_us,
                         const struct raft_config *config,
                         bool (*is_linked)(void *context, raft_id member),
                         void *context,
                         struct session_expiry_output *output);

/* For reports: all sessions, and in how many milliseconds each is due unless it is heard from. */
void session_expiry_each(const struct session_expiry *expiry,
                         uint64_t now_us,
                         void (*visit)(void *visitor, session_id session, uint64_t in_ms),
                         void *visitor);

/* Every invariant; aborts when one is violated. For tests. */
void session_expiry_check(const struct session_expiry *expiry);

#endif
