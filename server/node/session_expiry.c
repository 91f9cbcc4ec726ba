#include "server/node/session_expiry.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mark.h"
#include "server/node/awake_clock.h"

#include <stdlib.h>
#include <string.h>

/* A round that did not reach a quorum is given twice the time the next time, up to this. */
enum { ROUND_TIMEOUT_US_MAX = 10 * 1000 * 1000 };

/*                begin_round                    resolve
 *     WAITING ---------------> ASKED ---------------------> PROPOSED
 *        ^      end_round, heard from (extend)                 |
 *        +-------------------------+---------------------------+
 *                                    proposal_failed, put
 */
enum session_state {
    SESSION_WAITING, /* in expiry->waiting, at its deadline or before */
    SESSION_ASKED,   /* in the round under way; its deadline has passed */
    SESSION_PROPOSED /* ExpireSession is under way */
};

struct session {
    session_id id;
    uint64_t generation;
    raft_id owner;
    uint64_t timeout_us;
    uint64_t deadline_us; /* awake time */
    enum session_state state;
    struct heap_node heap_node;
    struct list asked_link;
    struct list link; /* in expiry->all */
    struct map_node map_node;
};

struct round {
    uint64_t number; /* 0 = none under way */
    uint64_t began_us;
    bool read_ok;
    bool read_failed;
    bool has_quorum;
    raft_id answered[RAFT_MEMBERS_MAX];
    size_t answered_count;
};

struct session_expiry {
    raft_id self;
    bool is_leading;
    struct awake_clock clock;
    struct map sessions;
    struct list all;
    struct heap waiting;
    struct list asked;
    struct round round;
    uint64_t last_round; /* numbers are never used twice, so that late answers are known */
    uint64_t round_began_us;
    uint64_t round_timeout_us;
    Peer__SessionQuery query;

    uint64_t query_sessions[SESSION_EXPIRY_ROUND_MAX];
    struct session_expiry_due due[SESSION_EXPIRY_ROUND_MAX];
};

struct session_expiry *session_expiry_new(raft_id self)
{
    struct session_expiry *expiry = xmalloc(sizeof *expiry);

    /* The tables at its end are written before they are read. */
    memset(expiry, 0, offsetof(struct session_expiry, query_sessions));
    expiry->self = self;
    map_init(&expiry->sessions);
    heap_init(&expiry->waiting);
    list_init(&expiry->all);
    list_init(&expiry->asked);
    return expiry;
}

void session_expiry_free(struct session_expiry *expiry)
{
    if (expiry != NULL) {
        session_expiry_stop(expiry);
        map_release(&expiry->sessions);
        heap_release(&expiry->waiting);
        free(expiry);
    }
}

/* --- Sessions --- */

static struct session *find(const struct session_expiry *expiry, session_id id)
{
    MAP_FOR_HASH (node, &expiry->sessions, map_hash_u64(id)) {
        struct session *session = CONTAINER_OF(node, struct session, map_node);

        if (session->id == id) {
            return session;
        }
    }
    return NULL;
}

static void leave_state(struct session_expiry *expiry, struct session *session)
{
    heap_remove(&expiry->waiting, &session->heap_node);
    list_remove(&session->asked_link);
}

static void wait(struct session_expiry *expiry, struct session *session)
{
    leave_state(expiry, session);
    session->state = SESSION_WAITING;
    heap_set(&expiry->waiting, &session->heap_node, session->deadline_us);
}

static void drop(struct session_expiry *expiry, struct session *session)
{
    leave_state(expiry, session);
    map_remove(&expiry->sessions, &session->map_node);
    map_shrink_some(&expiry->sessions);
    list_remove(&session->link);
    free(session);
}

void session_expiry_lead(struct session_expiry *expiry, uint64_t now_us)
{
    session_expiry_stop(expiry);
    expiry->is_leading = true;
    expiry->round_timeout_us = SESSION_EXPIRY_ROUND_TIMEOUT_US;
    awake_clock_init(&expiry->clock, now_us);
}

void session_expiry_stop(struct session_expiry *expiry)
{
    LIST_FOR_EACH (link, &expiry->all) {
        drop(expiry, CONTAINER_OF(link, struct session, link));
    }
    expiry->round = (struct round){.number = 0};
    expiry->round_began_us = 0;
    expiry->is_leading = false;
}

bool session_expiry_is_leading(const struct session_expiry *expiry)
{
    return expiry->is_leading;
}

void session_expiry_put(struct session_expiry *expiry,
                        uint64_t now_us,
                        session_id id,
                        uint64_t generation,
                        raft_id owner,
                        uint32_t timeout_ms)
{
    struct session *session = find(expiry, id);

    if (!expiry->is_leading) {
        return;
    }
    if (session == NULL) {
        session = xcalloc(1, sizeof *session);
        session->id = id;
        list_init(&session->asked_link);
        list_append(&expiry->all, &session->link);
        map_insert(&expiry->sessions, &session->map_node, map_hash_u64(id));
    }
    session->generation = generation;
    session->owner = owner;
    session->timeout_us = (uint64_t)timeout_ms * 1000;
    session->deadline_us = awake_clock_advance(&expiry->clock, now_us) + session->timeout_us;
    wait(expiry, session);
}

void session_expiry_drop(struct session_expiry *expiry, session_id id)
{
    struct session *session = find(expiry, id);

    if (session != NULL) {
        drop(expiry, session);
    }
}

/* --- What comes in --- */

/* It was heard from `silent_ms` ago. */
static void
extend(struct session_expiry *expiry, session_id id, uint64_t awake_us, uint32_t silent_ms)
{
    struct session *session = find(expiry, id);
    uint64_t silent_us = (uint64_t)silent_ms * 1000;
    uint64_t deadline_us;

    if (session == NULL || silent_us > awake_us) {
        MARK_IF(session != NULL, session_heard_before_this_leadership);
        return;
    }
    deadline_us = awake_us - silent_us + session->timeout_us;
    if (deadline_us <= session->deadline_us) {
        return;
    }
    session->deadline_us = deadline_us;
    MARK_IF(session->state == SESSION_PROPOSED, session_heard_of_while_its_expiry_is_proposed);
    if (session->state == SESSION_ASKED && deadline_us > awake_us) {
        MARK(session_heard_of_in_its_last_round);
        wait(expiry, session);
    }
}

static bool has_answered(const struct round *round, raft_id member)
{
    for (size_t i = 0; i < round->answered_count; i++) {
        if (round->answered[i] == member) {
            return true;
        }
    }
    return false;
}

enum status session_expiry_on_report(struct session_expiry *expiry,
                                     uint64_t now_us,
                                     raft_id from,
                                     const Peer__SessionReport *report)
{
    struct round *round = &expiry->round;
    uint64_t awake_us;

    if (report->n_sessions != report->n_silent_ms ||
        report->n_sessions > SESSION_CONTACT_REPORT_MAX) {
        return STATUS_INVALID;
    }
    if (!expiry->is_leading) {
        return STATUS_OK;
    }
    awake_us = awake_clock_advance(&expiry->clock, now_us);
    for (size_t i = 0; i < report->n_sessions; i++) {
        extend(expiry, report->sessions[i], awake_us, report->silent_ms[i]);
    }
    if (report->round != 0 && report->round == round->number && !has_answered(round, from) &&
        round->answered_count < RAFT_MEMBERS_MAX) {
        round->answered[round->answered_count] = from;
        round->answered_count++;
    }
    return STATUS_OK;
}

void session_expiry_on_read(struct session_expiry *expiry, uint64_t now_us, uint64_t round, bool ok)
{
    (void)awake_clock_advance(&expiry->clock, now_us);
    if (round != 0 && round == expiry->round.number) {
        expiry->round.read_ok = expiry->round.read_ok || ok;
        expiry->round.read_failed = !expiry->round.read_ok;
    }
}

void session_expiry_on_proposal_failed(struct session_expiry *expiry,
                                       session_id id,
                                       uint64_t generation)
{
    struct session *session = find(expiry, id);

    if (session != NULL && session->state == SESSION_PROPOSED &&
        session->generation == generation) {
        MARK(expiry_failed_and_session_waits_again);
        wait(expiry, session);
    }
}

/* --- Rounds --- */

static bool answered_visit(raft_id id, const void *context)
{
    return has_answered(context, id);
}

static int compare_due(const void *left, const void *right)
{
    const struct session_expiry_due *a = left;
    const struct session_expiry_due *b = right;

    return a->session < b->session ? -1 : a->session > b->session;
}

/* Take those out of the round that may be expired: all that is known of them is in. */
static void resolve(struct session_expiry *expiry,
                    const struct raft_config *config,
                    bool (*is_linked)(void *context, raft_id member),
                    void *context,
                    struct session_expiry_output *output)
{
    struct round *round = &expiry->round;

    round->has_quorum = round->read_ok && has_answered(round, expiry->self) &&
                        raft_config_is_quorum(config, answered_visit, round);
    if (!round->has_quorum) {
        return;
    }
    expiry->round_timeout_us = SESSION_EXPIRY_ROUND_TIMEOUT_US;
    LIST_FOR_EACH (link, &expiry->asked) {
        struct session *session = CONTAINER_OF(link, struct session, asked_link);

        /* A server that was removed is not asked; it hears no leader and keeps no session. */
        if (has_answered(round, session->owner) ||
            (session->owner != expiry->self && (raft_config_find(config, session->owner) == NULL ||
                                                !is_linked(context, session->owner)))) {
            MARK_IF(!has_answered(round, session->owner), session_of_a_dead_server_expires);
            leave_state(expiry, session);
            session->state = SESSION_PROPOSED;
            expiry->due[output->due_count] = (struct session_expiry_due){
                .session = session->id, .generation = session->generation};
            output->due_count++;
        }
    }
    qsort(expiry->due, output->due_count, sizeof *expiry->due, compare_due);
    output->due = expiry->due;
}

static void end_round(struct session_expiry *expiry, uint64_t awake_us)
{
    struct round *round = &expiry->round;

    if (!round->has_quorum && !round->read_failed) {
        MARK(expiry_round_without_a_quorum);
        expiry->round_timeout_us *= 2;
        if (expiry->round_timeout_us > ROUND_TIMEOUT_US_MAX) {
            expiry->round_timeout_us = ROUND_TIMEOUT_US_MAX;
        }
    }
    LIST_FOR_EACH (link, &expiry->asked) {
        struct session *session = CONTAINER_OF(link, struct session, asked_link);

        /* Behind those that wait now, so that a server that does not answer holds up only its own
         * sessions, however many. */
        MARK_IF(round->has_quorum, session_waits_for_its_owner_to_answer);
        session->deadline_us = awake_us;
        wait(expiry, session);
    }
    *round = (struct round){.number = 0};
}

static bool is_round_over(const struct session_expiry *expiry, uint64_t now_us)
{
    const struct round *round = &expiry->round;

    return list_is_empty(&expiry->asked) || round->read_failed ||
           now_us - round->began_us >= expiry->round_timeout_us;
}

static struct session *first_waiting(const struct session_expiry *expiry, uint64_t awake_us)
{
    struct heap_node *first = heap_first(&expiry->waiting);

    return first == NULL || first->key > awake_us ? NULL
                                                  : CONTAINER_OF(first, struct session, heap_node);
}

static void begin_round(struct session_expiry *expiry,
                        uint64_t now_us,
                        uint64_t awake_us,
                        struct session_expiry_output *output)
{
    struct session *session;
    size_t count = 0;

    for (size_t looked_at = 0; looked_at < SESSION_EXPIRY_ROUND_MAX &&
                               (session = first_waiting(expiry, awake_us)) != NULL;
         looked_at++) {
        /* Heard of while it waited: it moves once in its timeout, not each time. */
        if (session->deadline_us > awake_us) {
            wait(expiry, session);
            continue;
        }
        leave_state(expiry, session);
        session->state = SESSION_ASKED;
        list_append(&expiry->asked, &session->asked_link);
        expiry->query_sessions[count] = session->id;
        count++;
    }
    if (count == 0) {
        return;
    }
    expiry->last_round++;
    expiry->round = (struct round){.number = expiry->last_round, .began_us = now_us};
    expiry->round_began_us = now_us;
    expiry->query = (Peer__SessionQuery)PEER__SESSION_QUERY__INIT;
    expiry->query.round = expiry->last_round;
    expiry->query.sessions = expiry->query_sessions;
    expiry->query.n_sessions = count;
    output->query = &expiry->query;
}

static bool may_begin_round(const struct session_expiry *expiry, uint64_t now_us)
{
    return expiry->round.number == 0 &&
           (expiry->round_began_us == 0 ||
            now_us - expiry->round_began_us >= SESSION_EXPIRY_ROUND_INTERVAL_US);
}

/* When the next round could begin, but soon enough to notice a pause of this process. */
static uint64_t next_us(const struct session_expiry *expiry, uint64_t now_us, uint64_t awake_us)
{
    const struct heap_node *first = heap_first(&expiry->waiting);
    uint64_t wait_us = SESSION_EXPIRY_IDLE_US;

    if (expiry->sessions.count == 0) {
        return UINT64_MAX;
    }
    if (expiry->round.number == 0 && first != NULL && first->key < awake_us + wait_us) {
        uint64_t due_us = first->key > awake_us ? now_us + (first->key - awake_us) : now_us;
        uint64_t begin_us = expiry->round_began_us == 0
                                ? 0
                                : expiry->round_began_us + SESSION_EXPIRY_ROUND_INTERVAL_US;

        return due_us > begin_us ? due_us : begin_us;
    }
    return now_us + wait_us;
}

void session_expiry_tick(struct session_expiry *expiry,
                         uint64_t now_us,
                         const struct raft_config *config,
                         bool (*is_linked)(void *context, raft_id member),
                         void *context,
                         struct session_expiry_output *output)
{
    uint64_t awake_us;

    *output = (struct session_expiry_output){.next_us = UINT64_MAX};
    if (!expiry->is_leading) {
        return;
    }
    awake_us = awake_clock_advance(&expiry->clock, now_us);
    if (expiry->round.number != 0) {
        resolve(expiry, config, is_linked, context, output);
        if (is_round_over(expiry, now_us)) {
            end_round(expiry, awake_us);
        }
    }
    if (may_begin_round(expiry, now_us)) {
        begin_round(expiry, now_us, awake_us, output);
    }
    output->next_us = next_us(expiry, now_us, awake_us);
}

void session_expiry_each(const struct session_expiry *expiry,
                         uint64_t now_us,
                         void (*visit)(void *visitor, session_id session, uint64_t in_ms),
                         void *visitor)
{
    struct awake_clock clock = expiry->clock;
    uint64_t awake_us = awake_clock_advance(&clock, now_us);

    LIST_FOR_EACH (link, &expiry->all) {
        const struct session *session = CONTAINER_OF(link, struct session, link);

        visit(visitor, session->id,
              session->deadline_us > awake_us ? (session->deadline_us - awake_us) / 1000 : 0);
    }
}

void session_expiry_check(const struct session_expiry *expiry)
{
    size_t counts[3] = {0, 0, 0};
    size_t asked = 0;

    for (struct list *link = expiry->all.next; link != &expiry->all; link = link->next) {
        const struct session *session = CONTAINER_OF(link, struct session, link);

        counts[session->state]++;
        CHECK(find(expiry, session->id) == session);
        CHECK((session->state == SESSION_WAITING) == heap_contains(&session->heap_node));
        CHECK(session->state != SESSION_WAITING || session->heap_node.key <= session->deadline_us);
        CHECK((session->state == SESSION_ASKED) != list_is_empty(&session->asked_link));
        CHECK_OP(session->deadline_us, <=, expiry->clock.awake_us + session->timeout_us);
    }
    for (struct list *link = expiry->asked.next; link != &expiry->asked; link = link->next) {
        asked++;
    }
    CHECK_OP(counts[SESSION_WAITING], ==, expiry->waiting.count);
    CHECK_OP(counts[SESSION_ASKED], ==, asked);
    CHECK(expiry->is_leading || expiry->sessions.count == 0);
    CHECK(expiry->round.number != 0 || asked == 0);
}
