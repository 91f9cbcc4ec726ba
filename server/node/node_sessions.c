#include "server/node/node_sessions.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mark.h"
#include "proto/record.pb-c.h"
#include "server/node/node_cluster.h"
#include "server/node/node_proposals.h"

#include <stdlib.h>

/* Tokens of this unit's read indexes: the number of the round with the top bit set. */
#define TOKEN_BIT (UINT64_C(1) << 63)

void node_sessions_init(struct node *node)
{
    node->contact = session_contact_new(node_now(node));
    node->expiry = session_expiry_new(node->options.id);
}

void node_sessions_release(struct node *node)
{
    session_contact_free(node->contact);
    session_expiry_free(node->expiry);
}

static void put_contact(void *visitor, const struct state_session *session)
{
    struct node *node = visitor;

    if (session->owner == node->options.id) {
        session_contact_put(node->contact, session->id);
    }
}

static void put_expiry(void *visitor, const struct state_session *session)
{
    struct node *node = visitor;

    session_expiry_put(node->expiry, node_now(node), session->id, session->generation,
                       session->owner, session->timeout_ms);
}

static bool is_attached_here(void *context, session_id id)
{
    const struct node *node = context;
    struct state_session session;

    return state_session_find(node->state, id, &session) && session.owner == node->options.id;
}

void node_sessions_reload(struct node *node)
{
    session_contact_retain(node->contact, is_attached_here, node);
    state_session_each(node->state, put_contact, node);
}

void node_sessions_on_change(struct node *node, const struct state_change *change)
{
    struct state_session session;

    if (!state_session_find(node->state, change->session, &session)) {
        session_contact_drop(node->contact, change->session);
        session_expiry_drop(node->expiry, change->session);
        return;
    }
    if (session.owner == node->options.id) {
        session_contact_put(node->contact, session.id);
    } else {
        session_contact_drop(node->contact, session.id);
    }
    put_expiry(node, &session);
}

void node_sessions_on_leader_change(struct node *node)
{
    if (session_expiry_is_leading(node->expiry) && node->led_term == 0) {
        session_expiry_stop(node->expiry);
    }
    session_contact_report_all(node->contact);
    node->reported_us = 0;
}

enum status
node_sessions_on_report(struct node *node, raft_id peer, const Peer__SessionReport *report)
{
    return session_expiry_on_report(node->expiry, node_now(node), peer, report);
}

static void send_report(struct node *node, raft_id to, Peer__SessionReport *report)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;

    if (to == node->options.id) {
        CHECK(node_sessions_on_report(node, to, report) == STATUS_OK);
        return;
    }
    message.body_case = PEER__PEER_MESSAGE__BODY_SESSION_REPORT;
    message.session_report = report;
    (void)node_send(node, to, &message);
}

enum status node_sessions_on_query(struct node *node, raft_id peer, const Peer__SessionQuery *query)
{
    Peer__SessionReport report = PEER__SESSION_REPORT__INIT;
    enum status status = session_contact_answer(node->contact, node_now(node), query, &report);

    if (status == STATUS_OK) {
        send_report(node, peer, &report);
    }
    return status;
}

static uint64_t report(struct node *node)
{
    raft_id leader = node->status.leader;
    uint64_t now_us = node_now(node);
    Peer__SessionReport report = PEER__SESSION_REPORT__INIT;

    if (leader == 0 || session_contact_count(node->contact) == 0) {
        return UINT64_MAX;
    }
    if (now_us - node->reported_us >= SESSION_CONTACT_REPORT_INTERVAL_US) {
        node->reported_us = now_us;
        while (session_contact_take_report(node->contact, now_us, &report)) {
            send_report(node, leader, &report);
        }
    }
    return node->reported_us + SESSION_CONTACT_REPORT_INTERVAL_US;
}

/* --- As leader --- */

/* What an expiry under way needs when its outcome is known. */
struct expiry_proposal {
    struct node *node;
    session_id session;
    uint64_t generation;
};

static void on_expired(void *context, Client__Code code, const struct state_result *result)
{
    struct expiry_proposal *proposal = context;
    struct node *node = proposal->node;

    if (code == CLIENT__CODE__UNKNOWN_OUTCOME) {
        node->expiries_up_to = raft_status(node->raft).last_index;
    }
    if (code != CLIENT__CODE__OK) {
        session_expiry_on_proposal_failed(node->expiry, proposal->session, proposal->generation);
    } else if (result->error == OP_OK && result->change_count > 0) {
        log_event(LOG_LEVEL_INFO, "session_expired", "session=%" PRIu64, proposal->session);
    }
    free(proposal);
}

static void propose_expiry(struct node *node, const struct session_expiry_due *due)
{
    Record__Command command = RECORD__COMMAND__INIT;
    Record__ExpireSession expire = RECORD__EXPIRE_SESSION__INIT;
    struct expiry_proposal *proposal = xcalloc(1, sizeof *proposal);

    *proposal = (struct expiry_proposal){
        .node = node, .session = due->session, .generation = due->generation};
    expire.session = due->session;
    expire.generation = due->generation;
    expire.count_max = node->options.end_count_max;
    command.body_case = RECORD__COMMAND__BODY_EXPIRE_SESSION;
    command.expire_session = &expire;
    buffer_clear(&node->turn_buffer);
    (void)record__command__pack(
        &command, buffer_extend(&node->turn_buffer, record__command__get_packed_size(&command)));
    if (node_propose(node, BYTES_EMPTY, buffer_lend(&node->turn_buffer), on_expired, proposal) ==
        NULL) {
        on_expired(proposal, CLIENT__CODE__BUSY, NULL);
    }
}

static void begin_round(struct node *node, const Peer__SessionQuery *query)
{
    const struct raft_config *config = raft_config_effective(node->raft);
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    uint64_t round = query->round;
    union {
        const Peer__SessionQuery *lent;
        Peer__SessionQuery *field; /* protobuf-c has no const; packing only reads */
    } body = {.lent = query};

    message.body_case = PEER__PEER_MESSAGE__BODY_SESSION_QUERY;
    message.session_query = body.field;
    for (uint32_t i = 0; i < config->member_count; i++) {
        if (config->members[i].id != node->options.id) {
            (void)node_send(node, config->members[i].id, &message);
        }
    }
    CHECK(node_sessions_on_query(node, node->options.id, query) == STATUS_OK);
    if (raft_read(node->raft, node_now(node), TOKEN_BIT | round) != STATUS_OK) {
        MARK(expiry_round_without_a_read);
        session_expiry_on_read(node->expiry, node_now(node), round, false);
    }
}

bool node_sessions_is_token(uint64_t token)
{
    return (token & TOKEN_BIT) != 0;
}

void node_sessions_on_read_index(struct node *node, uint64_t token, bool ok)
{
    session_expiry_on_read(node->expiry, node_now(node), token & ~TOKEN_BIT, ok);
}

static bool is_linked(void *context, raft_id member)
{
    return node_cluster_is_linked(context, member);
}

static uint64_t lead(struct node *node)
{
    struct session_expiry_output output;

    if (!node_may_place(node)) {
        return UINT64_MAX;
    }
    if (!session_expiry_is_leading(node->expiry)) {
        session_expiry_lead(node->expiry, node_now(node));
        node->expiries_up_to = 0; /* another leader may have cut the log below it */
        state_session_each(node->state, put_expiry, node);
    }
    session_expiry_tick(node->expiry, node_now(node), raft_config_effective(node->raft), is_linked,
                        node, &output);
    for (size_t i = 0; i < output.due_count; i++) {
        if (state_applied(node->state) < node->expiries_up_to) {
            MARK(expiry_waits_for_those_in_the_log);
            session_expiry_on_proposal_failed(node->expiry, output.due[i].session,
                                              output.due[i].generation);
        } else {
            propose_expiry(node, &output.due[i]);
        }
    }
    if (output.query != NULL) {
        begin_round(node, output.query);
    }
    return output.next_us;
}

uint64_t node_sessions_tick(struct node *node)
{
    uint64_t report_us;
    uint64_t lead_us;
    uint64_t idle_us = UINT64_MAX;

    session_contact_tick(node->contact, node_now(node));
    if (session_contact_count(node->contact) > 0) {
        idle_us = node_now(node) + SESSION_CONTACT_IDLE_US;
    }
    report_us = report(node);
    lead_us = lead(node);
    if (report_us < idle_us) {
        idle_us = report_us;
    }
    return lead_us < idle_us ? lead_us : idle_us;
}
