#include "server/node/node_cluster.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mark.h"
#include "server/node/node_agreement.h"
#include "server/node/node_status.h"
#include "server/node/node_strangers.h"
#include "server/node/node_witness.h"
#include "server/node/peer_codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    INTRODUCTION_INTERVAL_US = 1000 * 1000, /* between reports on ourselves to the others, */
    INTRODUCTION_BUSY_US = 100 * 1000,      /* when there is something new to tell; */
    INTRODUCTION_EARLY_PART = 4, /* so much of it earlier in a turn that there is anyway */
    CALL_RETRY_US = 100 * 1000,  /* before a cluster request is tried again */
    CALL_TIMEOUT_FACTOR = 3,     /* times the timeout of other requests */
    CALLS_MAX = 256
};

/* A cluster request on its way. */
struct cluster_call {
    struct list link;        /* in node->calls */
    struct request *request; /* of a client here; NULL if it went, or a peer relayed it */
    raft_id peer;            /* who relayed it; 0 = nobody */
    uint64_t peer_call_id;
    node_cluster_answer *answer;
    uint8_t *encoded; /* the packed client.Request */
    size_t encoded_bytes;
    uint64_t deadline_us;
    uint64_t retry_us;
    enum { CALL_ARRIVED, CALL_WAITING, CALL_RUNNING, CALL_RELAYED, CALL_DONE } state;
    uint64_t id; /* of our Relay */
    raft_id relayed_to;
    bool has_begun;         /* here or elsewhere */
    struct buffer response; /* packed, when done */
};

static struct cluster_call *call_of(struct list *link)
{
    return CONTAINER_OF(link, struct cluster_call, link);
}

static void call_free(struct cluster_call *call)
{
    list_remove(&call->link);
    free(call->encoded);
    buffer_release(&call->response);
    free(call);
}

/* --- Ends of calls --- */

static void set_response(struct cluster_call *call, const Client__Response *response)
{
    buffer_clear(&call->response);
    (void)client__response__pack(
        response, buffer_extend(&call->response, client__response__get_packed_size(response)));
    call->state = CALL_DONE;
}

static void set_refusal(struct cluster_call *call, Client__Code code, const char *text)
{
    Client__Response response;
    char *message = xstrdup(text);

    client__response__init(&response);
    response.code = code;
    response.message = message;
    set_response(call, &response);
    free(message);
}

/* Whether a response means that the next leader should be asked. Not if nobody waits here: who gave
 * up may have asked elsewhere, and changed the members further since. */
static bool may_retry(struct node *node, const struct cluster_call *call, Client__Code code)
{
    return call->request != NULL && node_now(node) < call->deadline_us &&
           (code == CLIENT__CODE__NO_LEADER || code == CLIENT__CODE__UNKNOWN_OUTCOME);
}

static void wait_again(struct node *node, struct cluster_call *call)
{
    call->state = CALL_WAITING;
    call->relayed_to = 0;
    call->retry_us = node_now(node) + CALL_RETRY_US;
}

static void on_finished(void *context, void *operation, Client__Response *response)
{
    struct node *node = context;
    struct cluster_call *call = operation;

    if (may_retry(node, call, response->code)) {
        wait_again(node, call);
    } else {
        set_response(call, response);
    }
}

static void deliver(struct node *node, struct cluster_call *call)
{
    if (call->request != NULL) {
        struct reply reply = {.code = CLIENT__CODE__OK, .relayed = buffer_lend(&call->response)};

        call->answer(call->request, &reply);
    } else if (call->peer != 0) {
        Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
        Peer__Relayed relayed = PEER__RELAYED__INIT;

        relayed.id = call->peer_call_id;
        relayed.response.data = call->response.data;
        relayed.response.len = call->response.size;
        message.body_case = PEER__PEER_MESSAGE__BODY_RELAYED;
        message.relayed = &relayed;
        (void)node_send(node, call->peer, &message);
    }
    call_free(call);
}

/* --- Beginnings of calls --- */

static struct cluster_call *call_new(struct node *node, struct bytes encoded)
{
    struct cluster_call *call = xcalloc(1, sizeof *call);

    call->encoded = bytes_copy(encoded);
    call->encoded_bytes = encoded.size;
    call->deadline_us = node_now(node) + CALL_TIMEOUT_FACTOR * node->options.request_timeout_us;
    call->state = CALL_WAITING;
    list_append(&node->calls, &call->link);
    return call;
}

static size_t call_count(const struct node *node)
{
    size_t count = 0;

    LIST_FOR_EACH (link, &node->calls) {
        count++;
    }
    return count;
}

void node_cluster_submit(struct node *node, struct request *request, node_cluster_answer *answer)
{
    struct cluster_call *call = call_new(node, request->membership.encoded);

    call->request = request;
    call->answer = answer;
    if (call_count(node) > CALLS_MAX) {
        set_refusal(call, CLIENT__CODE__BUSY, "too many cluster requests are under way here");
    }
}

/* A leader that was stopped finds the request when it goes on. */
static void withdraw(struct node *node, const struct cluster_call *call)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__Relay body = PEER__RELAY__INIT;

    body.id = call->id;
    body.given_up = true;
    message.body_case = PEER__PEER_MESSAGE__BODY_RELAY;
    message.relay = &body;
    (void)node_send(node, call->relayed_to, &message);
}

void node_cluster_abandon(struct node *node, struct request *request)
{
    LIST_FOR_EACH (link, &node->calls) {
        struct cluster_call *call = call_of(link);

        if (call->request == request) {
            call->request = NULL;
            if (call->state == CALL_RELAYED) {
                withdraw(node, call);
            }
            if (call->state != CALL_RUNNING || membership_withdraw(node->membership, call)) {
                call->state = CALL_DONE;
            }
        }
    }
}

/* Drop what `peer` relayed, under this id or any (0), and is not begun. A turn passes before it is:
 * what is in the socket behind it, the end of the link as well, has been read by then. What has
 * begun goes on without an answer: a new run of the peer gives the same ids to other requests. */
static void drop_relayed(struct node *node, raft_id peer, uint64_t id)
{
    LIST_FOR_EACH (link, &node->calls) {
        struct cluster_call *call = call_of(link);

        if (call->peer != peer || (id != 0 && call->peer_call_id != id)) {
            continue;
        }
        if (call->state == CALL_ARRIVED || call->state == CALL_WAITING ||
            (call->state == CALL_RUNNING && membership_withdraw(node->membership, call))) {
            MARK(relayed_request_is_given_up_before_it_is_begun);
            call_free(call);
        } else {
            call->peer = 0;
        }
    }
}

void node_cluster_on_relay(struct node *node, raft_id peer, const Peer__Relay *relay)
{
    struct cluster_call *call;

    if (relay->given_up) {
        drop_relayed(node, peer, relay->id);
        return;
    }
    call = call_new(node, bytes_of(relay->request.data, relay->request.len));
    call->state = CALL_ARRIVED;
    call->peer = peer;
    call->peer_call_id = relay->id;
    if (call_count(node) > CALLS_MAX) {
        set_refusal(call, CLIENT__CODE__BUSY, "too many cluster requests are under way there");
    }
}

static void relay(struct node *node, struct cluster_call *call, raft_id leader)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__Relay body = PEER__RELAY__INIT;

    call->id = ++node->last_call_id;
    body.id = call->id;
    body.request.data = call->encoded;
    body.request.len = call->encoded_bytes;
    message.body_case = PEER__PEER_MESSAGE__BODY_RELAY;
    message.relay = &body;
    if (node_send(node, leader, &message)) {
        call->state = CALL_RELAYED;
        call->relayed_to = leader;
        call->has_begun = true;
    } else {
        wait_again(node, call);
    }
}

/* This server cannot ask the leader. What was to be done may be done just by that; but if it was no
 * member before, it may have been added again and not know that yet. */
static void
refuse_outside(struct node *node, struct cluster_call *call, const Client__Request *request)
{
    if (request->body_case == CLIENT__REQUEST__BODY_REMOVE_MEMBER &&
        request->remove_member->id == node->options.id && call->has_begun) {
        membership_answer(node->membership, call, CLIENT__CODE__OK,
                          "the server asked is the one, and not a member");
    } else {
        set_refusal(call, CLIENT__CODE__NOT_MEMBER,
                    "this server is not a member of its cluster (any more): ask a member; "
                    "add-learner there takes it in");
    }
}

static void dispatch(struct node *node, struct cluster_call *call)
{
    Client__Request *request = client__request__unpack(NULL, call->encoded_bytes, call->encoded);

    if (request == NULL || !membership_is_request(request)) {
        set_refusal(call, CLIENT__CODE__UNREADABLE, "unreadable cluster request");
    } else if (call->peer != 0 && node->status.leader != node->options.id) {
        set_refusal(call, CLIENT__CODE__NO_LEADER, "the server asked leads no more");
    } else if (!membership_needs_leader(request) || node->status.leader == node->options.id) {
        call->state = CALL_RUNNING;
        call->has_begun = true;
        membership_submit(node->membership, node_now(node), request, call->deadline_us, call);
    } else if (raft_config_effective(node->raft)->member_count == 0) {
        set_refusal(call, CLIENT__CODE__NO_CLUSTER,
                    "this server belongs to no cluster yet; run init first, or ask a member");
    } else if (node->is_outside) {
        refuse_outside(node, call, request);
    } else if (node->status.leader != 0) {
        relay(node, call, node->status.leader);
    }
    if (request != NULL) {
        client__request__free_unpacked(request, NULL);
    }
}

void node_cluster_on_relayed(struct node *node, raft_id peer, const Peer__Relayed *relayed)
{
    LIST_FOR_EACH (link, &node->calls) {
        struct cluster_call *call = call_of(link);
        Client__Response *response;

        if (call->state != CALL_RELAYED || call->id != relayed->id || call->relayed_to != peer) {
            continue;
        }
        response = client__response__unpack(NULL, relayed->response.len, relayed->response.data);
        if (response == NULL || may_retry(node, call, response->code)) {
            wait_again(node, call);
        } else {
            set_response(call, response);
        }
        if (response != NULL) {
            client__response__free_unpacked(response, NULL);
        }
    }
}

static uint64_t run_calls(struct node *node)
{
    uint64_t next_us = UINT64_MAX;

    LIST_FOR_EACH (link, &node->calls) {
        struct cluster_call *call = call_of(link);

        if (call->state == CALL_ARRIVED) {
            call->state = CALL_WAITING;
            next_us = node_now(node);
            continue;
        }
        if (call->state == CALL_WAITING && node_now(node) >= call->retry_us) {
            dispatch(node, call);
        }
        if (call->state != CALL_DONE && call->state != CALL_RUNNING &&
            node_now(node) >= call->deadline_us) {
            set_refusal(call,
                        call->state == CALL_RELAYED ? CLIENT__CODE__UNKNOWN_OUTCOME
                                                    : CLIENT__CODE__NO_LEADER,
                        "no leader answered in time; ask for the status, then try again");
        }
        if (call->state == CALL_DONE) {
            deliver(node, call);
            next_us = node_now(node);
        } else {
            uint64_t due_us =
                call->state == CALL_WAITING ? node_now(node) + CALL_RETRY_US : call->deadline_us;
            next_us = due_us < next_us ? due_us : next_us;
        }
    }
    return next_us;
}

/* --- Links --- */

static struct member_report *find_report(struct node *node, raft_id id, bool make)
{
    struct member_report *free_report = NULL;

    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        if (node->reports[i].id == id) {
            return &node->reports[i];
        }
        if (node->reports[i].id == 0) {
            free_report = &node->reports[i];
            break;
        }
        if (free_report == NULL && !node->reports[i].is_linked) {
            free_report = &node->reports[i];
        }
    }
    if (!make || free_report == NULL) {
        return NULL;
    }
    *free_report = (struct member_report){.id = id};
    return free_report;
}

bool node_cluster_is_linked(const struct node *node, raft_id member)
{
    for (size_t i = 0; i < RAFT_MEMBERS_MAX && node->reports[i].id != 0; i++) {
        if (node->reports[i].id == member) {
            return node->reports[i].is_linked;
        }
    }
    return false;
}

/* Of the dump that is to take the place of the state here. */
static zxid wanted_zxid(const struct node *node)
{
    zxid applied = state_applied(node->state);
    zxid too_large = dump_transfer_too_large(node->dumps);

    if (node->is_outgrown && applied <= too_large) {
        return too_large + 1; /* it is no use to bring that again */
    }
    return applied > 0 ? applied : 1;
}

static void introduce(struct node *node, raft_id to)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__NodeReport report;
    struct progress_message progress;
    uint64_t disputes[RAFT_MEMBERS_MAX];
    char role[16];
    char version[32];
    char trouble[NODE_TROUBLE_BYTES];

    peer__node_report__init(&report);
    bytes_copy_text(role, sizeof role, node_status_role(node));
    bytes_copy_text(version, sizeof version, node->options.version);
    report.applied = state_applied(node->state);
    report.last = node->status.last_index;
    report.term = node->status.term;
    report.role = role;
    report.version = version;
    node_agreement_fill(node, to, &report, disputes);
    if (node->is_condemned) {
        report.repair_from = wanted_zxid(node);
    } else if (node->is_outgrown) {
        report.replace_from = wanted_zxid(node);
    }
    report.short_of_space = !node->space.is_enough;
    report.unfit_to_lead = node->is_condemned || node->is_outgrown || node->disk_lag.is_slow;
    node_status_trouble(node, trouble);
    report.trouble = trouble;
    report.start = node->options.start;
    report.durable_term = node->durable_term;
    if (node->status.role == RAFT_LEADER) {
        progress_board_fill(&node->board, node_now(node), &progress, &report);
    }
    message.body_case = PEER__PEER_MESSAGE__BODY_NODE_REPORT;
    message.node_report = &report;
    (void)node_send(node, to, &message);
}

/* Who was removed while it was away would ask for votes for ever, and let its clients wait. */
static void tell_outsider(struct node *node, raft_id peer)
{
    struct raft_status status = raft_status(node->raft);
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__NotMember body = PEER__NOT_MEMBER__INIT;

    if (status.leader == 0 || !status.config_committed ||
        raft_config_find(raft_config_effective(node->raft), peer) != NULL) {
        return;
    }
    body.config_index = status.config_index;
    message.body_case = PEER__PEER_MESSAGE__BODY_NOT_MEMBER;
    message.not_member = &body;
    (void)node_send(node, peer, &message);
}

/* It holds until a configuration from then on arrives here. */
void node_cluster_on_not_member(struct node *node, raft_id peer, const Peer__NotMember *message)
{
    if (raft_config_find(raft_config_effective(node->raft), peer) != NULL &&
        message->config_index > node->removed_at) {
        node->removed_at = message->config_index;
    }
}

void node_cluster_on_peer_unreachable(struct node *node, raft_id peer, const char *reason)
{
    struct member_report *report = find_report(node, peer, true);

    if (report != NULL && !report->is_old_copy) {
        (void)snprintf(report->unreachable, sizeof report->unreachable, "%s", reason);
    }
}

void node_cluster_on_peer_up(struct node *node, raft_id peer)
{
    struct member_report *report = find_report(node, peer, true);

    if (report != NULL) {
        report->is_linked = true;
        report->is_old_copy = false;
        report->unreachable[0] = '\0';
    }
    dump_transfer_forgive(node->dumps, peer);
    introduce(node, peer);
    tell_outsider(node, peer);
}

void node_cluster_on_peer_down(struct node *node, raft_id peer)
{
    struct member_report *report = find_report(node, peer, false);

    if (report != NULL) {
        report->is_linked = false;
    }
    /* If somebody still waits there, it comes again. */
    drop_relayed(node, peer, 0);
    LIST_FOR_EACH (link, &node->calls) {
        struct cluster_call *call = call_of(link);

        if (call->state == CALL_RELAYED && call->relayed_to == peer) {
            wait_again(node, call);
        }
    }
}

void node_cluster_on_report(struct node *node, raft_id peer, const Peer__NodeReport *report)
{
    struct member_report *kept = find_report(node, peer, true);

    if (kept == NULL) {
        return;
    }
    kept->has_reported = true;
    kept->applied = report->applied;
    kept->last = report->last;
    kept->term = report->term;
    kept->short_of_space = report->short_of_space;
    kept->is_unfit = report->unfit_to_lead;
    node_agreement_take(node, kept, report);
    bytes_copy_text(kept->trouble, sizeof kept->trouble, report->trouble);
    if (peer == node->status.leader && report->term == node->status.term) {
        progress_board_take(&node->board, node_now(node), peer, report);
    }
    node_witness_on_report(node, peer, report);
    tell_outsider(node, peer);
    bytes_copy_text(kept->role, sizeof kept->role, report->role);
    bytes_copy_text(kept->version, sizeof kept->version, report->version);
}

static void link_members(struct node *node)
{
    const struct raft_config *config = raft_config_effective(node->raft);
    struct node_peer peers[RAFT_MEMBERS_MAX];
    size_t count = 0;

    /* The rest is zero in both. */
    if (memcmp(config, &node->linked_config,
               offsetof(struct raft_config, members) +
                   config->member_count * sizeof config->members[0]) == 0) {
        return;
    }
    node->linked_config = *config;
    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct raft_member *member = &node->linked_config.members[i];

        if (member->id != node->options.id) {
            peers[count].id = member->id;
            memcpy(peers[count].incarnation, member->incarnation, sizeof member->incarnation);
            peers[count].address = member->address;
            count++;
        }
    }
    node->port.set_peers(node->port.context, peers, count);
    log_event(LOG_LEVEL_INFO, "configuration", "index=%" PRIu64 " members=%" PRIu32 " joint=%s",
              node->status.config_index, config->member_count, config->joint ? "yes" : "no");
}

static bool is_linked(const void *context, raft_id member)
{
    return node_cluster_is_linked(context, member);
}

void node_cluster_gather(struct node *node)
{
    const struct progress_sources sources = {.raft = node->raft,
                                             .self = node->options.id,
                                             .dumps = node->dumps,
                                             .membership = node->membership,
                                             .is_linked = is_linked,
                                             .context = node};

    if (raft_status(node->raft).role == RAFT_LEADER) {
        progress_board_gather(&node->board, &sources, node_now(node));
    }
}

static uint64_t introduce_all(struct node *node)
{
    uint64_t now_us = node_now(node);
    uint64_t interval_us = state_applied(node->state) != node->introduced_applied
                               ? INTRODUCTION_BUSY_US
                               : INTRODUCTION_INTERVAL_US;
    bool any = false;

    /* With a heartbeat or its answer a report costs neither side a wake-up, which is most of what
     * idle servers cost. */
    if (now_us - node->introduced_us < interval_us - interval_us / INTRODUCTION_EARLY_PART) {
        return node->introduced_us + interval_us;
    }
    node_cluster_gather(node);
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        if (node->reports[i].is_linked) {
            introduce(node, node->reports[i].id);
            any = true;
        }
    }
    node->introduced_us = now_us;
    node->introduced_applied = state_applied(node->state);
    return any ? now_us + INTRODUCTION_INTERVAL_US : UINT64_MAX;
}

/* --- Changes of members --- */

static void send_probe(void *context, uint64_t token, const char *address, struct bytes message)
{
    struct node *node = context;

    node->port.probe(node->port.context, token, address, message);
}

static struct node_identity own_identity(void *context)
{
    return node_identity(context);
}

static bool is_held_back(void *context, raft_id id)
{
    return node_holds_back(context, id);
}

void node_cluster_init(struct node *node)
{
    const struct membership_port port = {.context = node,
                                         .identity = own_identity,
                                         .is_held_back = is_held_back,
                                         .probe = send_probe,
                                         .bootstrap = node_strangers_bootstrap,
                                         .finish = on_finished};

    list_init(&node->calls);
    node_strangers_init(node);
    node_witness_init(node);
    node->membership = membership_new(&port, node->raft, node->options.address);
}

void node_cluster_release(struct node *node)
{
    membership_free(node->membership);
    LIST_FOR_EACH (link, &node->calls) {
        call_free(call_of(link));
    }
    node_strangers_release(node);
}

void node_on_probe_answer(struct node *node,
                          uint64_t token,
                          enum status status,
                          const Peer__Identity *identity,
                          struct bytes message,
                          const char *text)
{
    if (!node->failed) {
        membership_on_probe_answer(node->membership, node_now(node), token, status, identity,
                                   message, text);
    }
}

bool node_recognize(struct node *node,
                    const Peer__Identity *from,
                    char refusal[ERROR_TEXT_BYTES_MAX])
{
    struct member_report *report;

    if (node_witness_recognize(node, from, refusal)) {
        return true;
    }
    report = find_report(node, from->id, true);
    if (report != NULL && !report->is_linked) {
        (void)snprintf(report->unreachable, sizeof report->unreachable, "%s", refusal);
        report->is_old_copy = true;
    }
    return false;
}

bool node_cluster_names_self(const struct node *node, const struct raft_config *config)
{
    const struct raft_member *self = raft_config_find(config, node->options.id);

    return self != NULL &&
           memcmp(self->incarnation, node->options.incarnation, sizeof self->incarnation) == 0;
}

/* Also of a server that is being added, until it has got so far in the log. */
static bool is_outside(const struct node *node)
{
    const struct raft_config *effective = raft_config_effective(node->raft);
    raft_index effective_index = raft_status(node->raft).config_index;
    raft_index index;

    if (effective->member_count == 0) {
        return false;
    }
    if (node->removed_at > effective_index) {
        return true;
    }
    /* Whether the newest one is committed, this server may have to be told. */
    return !node_cluster_names_self(node, effective) &&
           (node->removed_at == effective_index ||
            !node_cluster_names_self(node, raft_config_committed(node->raft, &index)));
}

static void look_at_membership(struct node *node)
{
    bool outside = is_outside(node);

    progress_board_note_config(&node->board, raft_config_effective(node->raft), node_now(node));
    if (outside == node->is_outside) {
        return;
    }
    node->is_outside = outside;
    log_event(LOG_LEVEL_INFO, "membership", "member=%s", outside ? "no" : "yes");
}

uint64_t node_cluster_tick(struct node *node)
{
    uint64_t membership_us;
    uint64_t calls_us;
    uint64_t introduce_us;
    uint64_t witness_us;
    uint64_t next_us;

    link_members(node);
    look_at_membership(node);
    node_strangers_tick(node);
    calls_us = run_calls(node);
    membership_us = membership_tick(node->membership, node_now(node));
    introduce_us = introduce_all(node);
    witness_us = node_witness_tick(node);
    next_us = membership_us < calls_us ? membership_us : calls_us;
    next_us = witness_us < next_us ? witness_us : next_us;
    return introduce_us < next_us ? introduce_us : next_us;
}

void node_cluster_read_status(struct node *node, struct request *request, struct reply *reply)
{
    node_cluster_gather(node);
    reply->status = node_status_make(node, &request->arena);
}
