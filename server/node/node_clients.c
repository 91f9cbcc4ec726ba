#include "server/node/node_clients.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/mark.h"
#include "proto/record.pb-c.h"
#include "server/node/node_cluster.h"
#include "server/node/node_proposals.h"
#include "server/node/node_reads.h"
#include "server/node/node_reconfigure.h"
#include "server/node/node_rounds.h"
#include "server/node/node_walks.h"
#include "server/node/node_watches.h"
#include "server/node/read_barrier.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* Of one client, under way; beyond it its front stops reading. */
    REQUESTS_MAX = 1000,
    REQUEST_BYTES_MAX = 16 * 1024 * 1024,
    /* The same while all together are above REQUEST_BYTES_ALL_PLENTY: who floods by many
     * connections is not read either, rather than kept. */
    REQUESTS_SCARCE_MAX = 32,
    REQUEST_BYTES_SCARCE_MAX = 256 * 1024,
    REQUEST_BYTES_ALL_PLENTY = 32 * 1024 * 1024,
    /* Of all; beyond it the client with most must go. */
    REQUEST_BYTES_ALL_MAX = 256 * 1024 * 1024,
    /* Answers that one client has not read: its reads wait. */
    OUTPUT_BYTES_MAX = 1024 * 1024,
    LET_GO_STREAMS = 512, /* some 100 us */
    PREFIX_BYTES_MAX = 32
};

static struct request *request_of(struct list *link)
{
    return CONTAINER_OF(link, struct request, link);
}

bool node_clients_are_idle(const struct node *node)
{
    LIST_FOR_EACH (link, &node->clients) {
        if (CONTAINER_OF(link, struct client, link)->request_count > 0) {
            return false;
        }
    }
    return true;
}

/* --- Sessions of connections --- */

static void leave_session(struct client *client)
{
    if (client->session != 0) {
        map_remove(&client->node->clients_by_session, &client->by_session);
        client->session = 0;
        client->generation = 0;
    }
}

static struct client *find_by_session(const struct node *node, session_id session)
{
    uint64_t hash = map_hash_u64(session);

    MAP_FOR_HASH (map_node, &node->clients_by_session, hash) {
        struct client *client = CONTAINER_OF(map_node, struct client, by_session);
        if (client->session == session) {
            return client;
        }
    }
    return NULL;
}

static void end_session(struct client *client, Client__Code code)
{
    leave_session(client);
    client->session_end = code;
    client->callbacks->on_notice(client->context, CLIENT__NOTICE_KIND__SESSION_ENDED, code);
}

static void enter_session(struct client *client, session_id session, uint64_t generation)
{
    struct client *other = find_by_session(client->node, session);

    leave_session(client);
    if (other != NULL && other != client) {
        end_session(other, CLIENT__CODE__SESSION_MOVED);
    }
    client->session = session;
    client->generation = generation;
    client->session_end = CLIENT__CODE__OK;
    map_insert(&client->node->clients_by_session, &client->by_session, map_hash_u64(session));
    session_contact_heard(client->node->contact, session, node_now(client->node));
}

void node_clients_on_session_change(struct node *node, const struct state_change *change)
{
    struct client *client = find_by_session(node, change->session);
    struct state_session session;

    if (client == NULL) {
        return;
    }
    if (change->kind == STATE_SESSION_CLOSED && client->request_count > 0 &&
        request_of(client->requests.next)->kind == REQUEST_CLOSE_SESSION) {
        leave_session(client);
    } else if (change->kind == STATE_SESSION_CLOSED || change->kind == STATE_SESSION_EXPIRED) {
        MARK(session_ends_under_its_connection);
        end_session(client, CLIENT__CODE__SESSION_EXPIRED);
    } else if (change->kind == STATE_SESSION_ATTACHED &&
               state_session_find(node->state, change->session, &session) &&
               session.generation != client->generation) {
        MARK(session_moved_to_another_server);
        end_session(client, CLIENT__CODE__SESSION_MOVED);
    }
}

void node_clients_on_new_state(struct node *node)
{
    LIST_FOR_EACH (link, &node->clients) {
        struct client *client = CONTAINER_OF(link, struct client, link);
        struct state_session session;

        if (client->session == 0) {
            continue;
        }
        if (!state_session_find(node->state, client->session, &session)) {
            MARK(session_ended_under_a_dump);
            end_session(client, CLIENT__CODE__SESSION_EXPIRED);
        } else if (session.generation != client->generation) {
            MARK(session_moved_under_a_dump);
            end_session(client, CLIENT__CODE__SESSION_MOVED);
        }
    }
}

void node_clients_notify(struct node *node, Client__NoticeKind kind, Client__Code code)
{
    LIST_FOR_EACH (link, &node->clients) {
        struct client *client = CONTAINER_OF(link, struct client, link);
        client->callbacks->on_notice(client->context, kind, code);
    }
}

/* --- Answers --- */

static void hold_memory(struct client *client, size_t bytes)
{
    client->request_bytes = bytes;
    if (!client->must_go) {
        holding_set(&client->held, bytes);
    }
}

/* The requests of all are too much: whoever has most of them must go. */
static void relieve_memory(struct node *node)
{
    while (holdings_are_too_much(&node->request_memory)) {
        struct client *largest =
            CONTAINER_OF(holdings_largest(&node->request_memory), struct client, held);

        holding_set(&largest->held, 0);
        largest->must_go = true;
        largest->callbacks->on_excess(largest->context);
    }
}

/* Answer the client's first request and forget it. */
static void answer(struct request *request, struct reply *reply)
{
    struct client *client = request->client;

    CHECK(client->requests.next == &request->link);
    reply->zxid = state_applied(client->node->state);
    MARK(answer_before_it_leaves);
    client->callbacks->on_reply(client->context, request, reply);
    node_reads_release(request, reply);
    if (client->first_unstarted == &request->link) {
        client->first_unstarted = request->link.next;
    }
    list_remove(&request->link);
    client->request_count--;
    hold_memory(client, client->request_bytes - request->held_bytes);
    read_barrier_unref(request->barrier);
    request_free(request);
}

static void refuse(struct request *request, Client__Code code)
{
    struct reply reply = {.code = code};

    answer(request, &reply);
}

static void on_cluster_answer(struct request *request, const struct reply *reply)
{
    struct client *client = request->client;
    struct reply copy = *reply;

    answer(request, &copy);
    node_rounds_enter(client);
}

/* --- Writes --- */

/* A write's result decides the code: an op error is below 100, as on the wire. */
static Client__Code code_of(Client__Code code, const struct state_result *result)
{
    return result == NULL ? code : (Client__Code)result->error;
}

/* Writes that are refused may be so before earlier ones are applied: their answers wait. */
static void answer_held(struct client *client)
{
    while (!list_is_empty(&client->requests) &&
           request_of(client->requests.next)->held != CLIENT__CODE__OK) {
        refuse(request_of(client->requests.next), request_of(client->requests.next)->held);
    }
}

static void on_write_done(void *context, Client__Code code, const struct state_result *result)
{
    struct request *request = context;
    struct client *client = request->client;
    struct reply reply = {.code = code_of(code, result), .result = result};

    request->proposal = NULL;
    client->proposed_bytes -= request->proposed_bytes;
    if (client->requests.next != &request->link) {
        CHECK(result == NULL);
        MARK(refusal_waits_for_earlier_writes);
        request->held = code;
        return;
    }
    answer(request, &reply);
    answer_held(client);
    node_rounds_enter(client);
}

static void on_session_done(void *context, Client__Code code, const struct state_result *result)
{
    struct request *request = context;
    struct client *client = request->client;
    struct reply reply = {.code = code_of(code, result)};
    struct state_session session;

    if (reply.code == CLIENT__CODE__OK && request->kind == REQUEST_CLOSE_SESSION) {
        leave_session(client);
    } else if (reply.code == CLIENT__CODE__OK &&
               state_session_find(client->node->state, result->session, &session)) {
        enter_session(client, session.id, session.generation);
        reply.session.session = session.id;
        reply.session.generation = session.generation;
        reply.session.timeout_ms = session.timeout_ms;
        reply.session.password = session.password;
        reply.session.last_sequence = session.last_sequence;
    }
    answer(request, &reply);
    node_rounds_enter(client);
}

static size_t put_varint(uint8_t *to, uint64_t value)
{
    size_t size = 0;

    while (value >= 0x80) {
        to[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    to[size++] = (uint8_t)value;
    return size;
}

/* Fields 1 and 2 of record.Command, to stand before the rest: a message's parts may be packed one
 * after the other. */
static struct bytes
session_prefix(uint8_t prefix[PREFIX_BYTES_MAX], session_id session, uint64_t generation)
{
    size_t size = 0;

    if (session == 0) {
        return BYTES_EMPTY;
    }
    prefix[size++] = 1 << 3;
    size += put_varint(prefix + size, session);
    prefix[size++] = 2 << 3;
    size += put_varint(prefix + size, generation);
    return bytes_of(prefix, size);
}

static struct admission_load load_of(const struct client *client, const struct request *write)
{
    return (struct admission_load){.own = client->proposed_bytes,
                                   .all = node_proposed_bytes(client->node),
                                   .more = write->write.command.size};
}

static bool is_admitted(const struct client *client)
{
    const struct request *first = request_of(client->first_unstarted);
    struct admission_load load;

    if (client->first_unstarted == &client->requests || first->kind != REQUEST_WRITE) {
        return true;
    }
    load = load_of(client, first);
    return admission_has_room(&load);
}

static bool propose_write(struct request *request)
{
    static const uint8_t enforce_quotas[] = {6 << 3, 1}; /* field 6 of record.Command */
    struct client *client = request->client;
    struct buffer *prefix = &client->node->turn_buffer;
    uint8_t session[PREFIX_BYTES_MAX];
    const struct admission_load load = load_of(client, request);
    enum admission_answer answer = admission_ask(&client->node->admission, &client->place, &load);

    client->waits_to_propose = answer == ADMISSION_IN_TURN;
    if (answer != ADMISSION_NOW) {
        return false; /* AFTER_OWN: it is run again when one of its own is done */
    }
    buffer_clear(prefix);
    buffer_put(prefix, session_prefix(session, client->session, client->generation));
    buffer_put(prefix, bytes_of(client->identity_fields, client->identity_fields_bytes));
    if (client->node->options.enforce_quotas) {
        buffer_put(prefix, bytes_of(enforce_quotas, sizeof enforce_quotas));
    }
    request->proposal = node_propose(client->node, buffer_lend(prefix), request->write.command,
                                     on_write_done, request);
    if (request->proposal == NULL) {
        return false;
    }
    request->proposed_bytes = load.more;
    client->proposed_bytes += load.more;
    return true;
}

static bool propose_session_change(struct request *request)
{
    struct client *client = request->client;
    struct node *node = client->node;
    Record__Command command = RECORD__COMMAND__INIT;
    Record__OpenSession open = RECORD__OPEN_SESSION__INIT;
    Record__AttachSession attach = RECORD__ATTACH_SESSION__INIT;
    Record__CloseSession close = RECORD__CLOSE_SESSION__INIT;
    uint8_t password[STATE_PASSWORD_BYTES];

    if (request->kind == REQUEST_OPEN_SESSION) {
        node->port.random(node->port.context, password, sizeof password);
        open.password.data = password;
        open.password.len = sizeof password;
        open.timeout_ms = request->session.timeout_ms;
        open.owner = node->options.id;
        command.body_case = RECORD__COMMAND__BODY_OPEN_SESSION;
        command.open_session = &open;
    } else if (request->kind == REQUEST_ATTACH_SESSION) {
        struct bytes copy = arena_copy(&request->arena, request->session.password);

        attach.password.data = (uint8_t *)(uintptr_t)copy.data;
        attach.password.len = copy.size;
        attach.timeout_ms = request->session.timeout_ms;
        attach.owner = node->options.id;
        command.session = request->session.session;
        command.body_case = RECORD__COMMAND__BODY_ATTACH_SESSION;
        command.attach_session = &attach;
    } else {
        close.count_max = node->options.end_count_max;
        command.session = client->session;
        command.generation = client->generation;
        command.body_case = RECORD__COMMAND__BODY_CLOSE_SESSION;
        command.close_session = &close;
    }
    buffer_clear(&node->turn_buffer);
    (void)record__command__pack(
        &command, buffer_extend(&node->turn_buffer, record__command__get_packed_size(&command)));
    request->proposal =
        node_propose(node, BYTES_EMPTY, buffer_lend(&node->turn_buffer), on_session_done, request);
    return request->proposal != NULL;
}

/* --- Running a client's requests --- */

static bool has_cluster(const struct node *node)
{
    return raft_config_effective(node->raft)->member_count > 0;
}

/* Why a request cannot be served by this server at all now; OK otherwise. */
static Client__Code obstacle(const struct request *request)
{
    const struct node *node = request->client->node;

    if (request->kind == REQUEST_STATUS || request->kind == REQUEST_MEMBERSHIP ||
        request->kind == REQUEST_PING) {
        return CLIENT__CODE__OK;
    }
    if (!has_cluster(node)) {
        return CLIENT__CODE__NO_CLUSTER;
    }
    if (node->is_outside && !node_reconfigure_is_begun(request)) {
        return CLIENT__CODE__NOT_MEMBER; /* unless it was to become just that */
    }
    if (node->is_condemned) {
        return CLIENT__CODE__STOPPING;
    }
    /* A write meant for a session never runs without it. */
    if ((request->kind == REQUEST_WRITE || request->kind == REQUEST_RECONFIGURE) &&
        request->client->session_end != CLIENT__CODE__OK) {
        return request->client->session_end;
    }
    if (request->kind == REQUEST_OPEN_SESSION &&
        state_session_count(node->state) >= node->options.sessions_max) {
        return CLIENT__CODE__BUSY;
    }
    if (request->kind == REQUEST_WRITE || request->kind == REQUEST_OPEN_SESSION ||
        request->kind == REQUEST_ATTACH_SESSION || request->kind == REQUEST_RECONFIGURE) {
        return node->draining ? CLIENT__CODE__STOPPING : CLIENT__CODE__OK;
    }
    return CLIENT__CODE__OK;
}

/* Whether this server's state is new enough for the request. */
static bool is_ready(const struct request *request)
{
    const struct node *node = request->client->node;

    return state_applied(node->state) >= request->seen_zxid &&
           (request->barrier == NULL || read_barrier_is_reached(node, request->barrier));
}

/* Whoever does not read gets nothing more: his connection has a deadline for that. */
static bool has_full_output(const struct client *client)
{
    return client->callbacks->output_bytes(client->context) > OUTPUT_BYTES_MAX;
}

static void ask_cluster(struct request *request, node_cluster_answer *answer_with)
{
    request->started = true;
    request->client->first_unstarted = request->link.next;
    node_cluster_submit(request->client->node, request, answer_with);
}

/* The first request is as if it had not been started, until what it waits for is there. */
static void on_reconfiguration_stepped(struct request *request, const struct reply *reply)
{
    struct client *client = request->client;
    struct node *node = client->node;
    raft_index config = node_reconfigure_stepped(request, reply->relayed);

    CHECK(client->requests.next == &request->link);
    request->started = false;
    client->first_unstarted = &request->link;
    request->deadline_us = node_now(node) + node->options.request_timeout_us;
    request->seen_zxid = config;
    if (config == 0) {
        read_barrier_unref(request->barrier);
        request->barrier = read_barrier_join(node);
    }
    node_rounds_enter(client);
}

static bool start_reconfiguration(struct request *request)
{
    struct node *node = request->client->node;
    struct reply reply = {.code = CLIENT__CODE__OK};
    enum reconfigure_next next;

    if (!is_ready(request)) {
        return false;
    }
    next = node_reconfigure_next(node, request, &reply);
    if (node->failed || next == RECONFIGURE_WAIT) {
        return false;
    }
    if (next == RECONFIGURE_OVER) {
        answer(request, &reply);
    } else {
        ask_cluster(request, on_reconfiguration_stepped);
    }
    return true;
}

static enum start started_if(bool is_started)
{
    return is_started ? START_DONE : START_WAIT;
}

/* Whatever is answered at once, now that it stands first. DONE: as `reply` says. */
static enum start
execute(struct request *request, const struct client_share *share, struct reply *reply)
{
    struct client *client = request->client;
    struct node *node = client->node;
    bool is_done = true;

    if (request->kind == REQUEST_COUNT || request->kind == REQUEST_EPHEMERALS) {
        return started_if(node_walks_execute(node, request, reply));
    }
    if (request->kind == REQUEST_STATUS) {
        node_cluster_read_status(node, request, reply);
    } else if (request->kind == REQUEST_WATCH || request->kind == REQUEST_UNWATCH) {
        node_watches_execute(node, request, reply);
    } else if (request->kind == REQUEST_PING) {
        is_done = client->callbacks->on_work == NULL ||
                  client->callbacks->on_work(client->context, request, share->us);
    } else {
        is_done = node_reads_execute(node, request, share->is_little, reply);
    }
    return is_done ? START_DONE : START_MUCH;
}

/* It has to: for its server's state, or until what was answered before is read. */
static bool must_wait(const struct request *request)
{
    return !is_ready(request) || has_full_output(request->client);
}

static enum start answer_now(struct request *request, const struct client_share *share)
{
    const struct node *node = request->client->node;
    struct reply reply = {.code = CLIENT__CODE__OK};
    bool was_condemned = node->is_condemned;
    enum start outcome;

    if (must_wait(request)) {
        return START_WAIT;
    }
    outcome = execute(request, share, &reply);
    if (outcome != START_DONE) {
        return outcome;
    }
    if (node->failed) {
        node_reads_release(request, &reply); /* what was read before it failed */
        return START_WAIT;
    }
    if (node->is_condemned != was_condemned) {
        MARK(read_finds_the_state_damaged);
        node_reads_release(request, &reply);
        refuse(request, CLIENT__CODE__STOPPING);
        return START_DONE;
    }
    answer(request, &reply);
    return START_DONE;
}

/* Hand over to the log, or to the leader. */
static enum start propose(struct request *request)
{
    bool is_started =
        request->kind == REQUEST_WRITE ? propose_write(request) : propose_session_change(request);

    if (is_started) {
        request->started = true;
        request->client->first_unstarted = request->link.next;
    }
    return started_if(is_started);
}

static enum start start(struct request *request, const struct client_share *share)
{
    const struct client *client = request->client;
    Client__Code code = obstacle(request);

    if (request->kind == REQUEST_WRITE && code == CLIENT__CODE__OK) {
        return propose(request);
    }
    if (client->requests.next != &request->link) {
        return START_WAIT;
    }
    if (code == CLIENT__CODE__OK && request->kind == REQUEST_CLOSE_SESSION &&
        client->session == 0) {
        /* One that moved lives on: its client must not take it for gone. */
        code = client->session_end != CLIENT__CODE__OK ? client->session_end
                                                       : CLIENT__CODE__SESSION_EXPIRED;
    }
    if (code != CLIENT__CODE__OK) {
        refuse(request, code);
        return START_DONE;
    }
    if (request->kind == REQUEST_OPEN_SESSION || request->kind == REQUEST_ATTACH_SESSION ||
        request->kind == REQUEST_CLOSE_SESSION) {
        return propose(request);
    }
    if (request->kind == REQUEST_MEMBERSHIP) {
        ask_cluster(request, on_cluster_answer);
        return START_DONE;
    }
    if (request->kind == REQUEST_RECONFIGURE) {
        return started_if(start_reconfiguration(request));
    }
    return answer_now(request, share);
}

/* As `start` would find, of what comes in numbers. A sync of ZooKeeper's is a PING. */
static bool is_held(const struct request *request)
{
    bool is_frequent = request->kind == REQUEST_GET || request->kind == REQUEST_LIST ||
                       request->kind == REQUEST_PING;

    return is_frequent && (request->client->requests.next != &request->link ||
                           (must_wait(request) && obstacle(request) == CLIENT__CODE__OK));
}

static void tell_of_leader(struct node *node)
{
    if (node->leader_barrier != NULL && read_barrier_is_reached(node, node->leader_barrier)) {
        read_barrier_unref(node->leader_barrier);
        node->leader_barrier = NULL;
        node_clients_notify(node, CLIENT__NOTICE_KIND__LEADER_FOUND, CLIENT__CODE__OK);
    }
}

bool node_clients_run(struct node *node)
{
    tell_of_leader(node);
    return node_rounds_run(node);
}

/* --- The leader --- */

void node_clients_on_leader(struct node *node, bool is_known)
{
    read_barrier_unref(node->leader_barrier);
    node->leader_barrier = is_known ? read_barrier_join(node) : NULL;
    if (!is_known) {
        node_clients_notify(node, CLIENT__NOTICE_KIND__LEADER_LOST, CLIENT__CODE__OK);
    }
}

/* --- Deadlines --- */

static Client__Code late_code(const struct request *request)
{
    if (request->kind == REQUEST_WRITE || request->kind == REQUEST_OPEN_SESSION ||
        request->kind == REQUEST_ATTACH_SESSION || request->kind == REQUEST_CLOSE_SESSION) {
        return CLIENT__CODE__BUSY;
    }
    if (request->barrier != NULL && !read_barrier_is_found(request->barrier)) {
        return CLIENT__CODE__NO_LEADER;
    }
    return CLIENT__CODE__BEHIND;
}

/* Refuse what came to its deadline. Returns the next one of this client. */
static uint64_t expire_client(struct client *client)
{
    while (!list_is_empty(&client->requests)) {
        struct request *first = request_of(client->requests.next);

        if (first->started || has_full_output(client)) {
            break;
        }
        if (first->deadline_us > node_now(client->node)) {
            return first->deadline_us;
        }
        refuse(first, late_code(first));
    }
    return UINT64_MAX;
}

uint64_t node_clients_expire(struct node *node)
{
    return node_rounds_visit(node, expire_client);
}

/* --- Who a connection is --- */

/* Field 5 of record.Command, once for each identity. */
static void put_identity(struct buffer *fields, const struct state_identity *identity)
{
    Record__Identity wire = RECORD__IDENTITY__INIT;
    uint8_t head[1 + PREFIX_BYTES_MAX] = {5 << 3 | 2};
    size_t size;

    wire.scheme.data = (uint8_t *)(uintptr_t)identity->scheme.data;
    wire.scheme.len = identity->scheme.size;
    wire.id.data = (uint8_t *)(uintptr_t)identity->id.data;
    wire.id.len = identity->id.size;
    size = record__identity__get_packed_size(&wire);
    buffer_put(fields, bytes_of(head, 1 + put_varint(head + 1, size)));
    (void)record__identity__pack(&wire, buffer_extend(fields, size));
}

static void forget_identities(struct client *client)
{
    free(client->identities);
    free(client->identity_fields);
}

void client_identify(struct client *client, struct state_identities identities)
{
    struct buffer *fields = &client->node->turn_buffer;

    CHECK_OP(identities.count, <=, STATE_IDENTITIES_MAX);
    forget_identities(client);
    buffer_clear(fields);
    for (size_t i = 0; i < identities.count; i++) {
        put_identity(fields, &identities.items[i]);
    }
    client->identities = request_copy_identities(identities);
    client->identity_count = identities.count;
    client->identity_fields = bytes_copy(buffer_lend(fields));
    client->identity_fields_bytes = fields->size;
}

/* --- Life --- */

static const struct rounds_port rounds_port = {
    .start = start, .is_held = is_held, .is_admitted = is_admitted};

void node_clients_init(struct node *node)
{
    list_init(&node->clients);
    node_rounds_init(node, &rounds_port);
    holdings_init(&node->request_memory, REQUEST_BYTES_ALL_MAX);
    read_barriers_init(node);
    map_init(&node->clients_by_session);
}

void node_clients_release(struct node *node)
{
    CHECK(list_is_empty(&node->clients));
    read_barriers_release(node);
    map_release(&node->clients_by_session);
}

/* --- The public part --- */

struct client *
client_open(struct node *node, const struct client_callbacks *callbacks, void *context)
{
    struct client *client = xcalloc(1, sizeof *client);

    client->node = node;
    client->callbacks = callbacks;
    client->context = context;
    list_init(&client->requests);
    round_robin_place_init(&client->place);
    holding_init(&client->held, &node->request_memory);
    client->first_unstarted = &client->requests;
    list_append(&node->clients, &client->link);
    watch_owner_init(node->watches, &client->watches, client);
    return client;
}

static void drop_requests(struct client *client)
{
    LIST_FOR_EACH (link, &client->requests) {
        struct request *request = request_of(link);

        list_remove(link);
        if (request->started &&
            (request->kind == REQUEST_MEMBERSHIP || request->kind == REQUEST_RECONFIGURE)) {
            node_cluster_abandon(client->node, request);
        } else if (request->proposal != NULL) {
            proposal_abandon(request->proposal);
        }
        read_barrier_unref(request->barrier);
        request_free(request);
    }
    client->first_unstarted = &client->requests;
    client->request_count = 0;
    client->request_bytes = 0;
    holding_set(&client->held, 0);
    list_remove(&client->place.link);
}

bool client_let_go(struct client *client)
{
    if (!client->is_leaving) {
        client->is_leaving = true;
        leave_session(client);
        list_remove(&client->link);
        drop_requests(client);
    }
    return watch_owner_release_some(client->node->watches, &client->watches, LET_GO_STREAMS);
}

void client_close(struct client *client)
{
    while (!client_let_go(client)) {
    }
    forget_identities(client);
    free(client);
}

void client_submit(struct client *client, struct request *request)
{
    struct node *node = client->node;

    request->client = client;
    request->started = false;
    request->deadline_us = node_now(node) + node->options.request_timeout_us;
    request->barrier = request->linearizable ? read_barrier_join(node) : NULL;
    if (client->first_unstarted == &client->requests) {
        client->first_unstarted = &request->link;
    }
    list_append(&client->requests, &request->link);
    client->request_count++;
    request->held_bytes = sizeof *request + request->arena.bytes;
    hold_memory(client, client->request_bytes + request->held_bytes);
    relieve_memory(node);
    if (client->session != 0) {
        session_contact_heard(node->contact, client->session, node_now(node));
    }
    node_rounds_enter(client);
}

bool client_is_full(const struct client *client)
{
    bool is_scarce = client->node->request_memory.bytes > REQUEST_BYTES_ALL_PLENTY;
    size_t count_max = is_scarce ? REQUESTS_SCARCE_MAX : REQUESTS_MAX;
    size_t bytes_max = is_scarce ? REQUEST_BYTES_SCARCE_MAX : REQUEST_BYTES_MAX;

    return client->request_count >= count_max || client->request_bytes > bytes_max ||
           has_full_output(client);
}
