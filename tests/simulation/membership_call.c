#include "tests/simulation/membership_call.h"

#include "base/check.h"

#include <inttypes.h>
#include <string.h>

enum { PATIENCE_US = 40 * 1000 * 1000 /* longer than servers try */ };

void membership_call_init(struct membership_call *call,
                          struct cluster *cluster,
                          struct oracle *oracle,
                          size_t number)
{
    memset(call, 0, sizeof *call);
    call->cluster = cluster;
    call->oracle = oracle;
    call->number = number;
    call->is_certain = true;
}

/* --- Answers --- */

static void on_status(struct membership_call *call, const struct reply *reply)
{
    if (reply->code == CLIENT__CODE__OK) {
        oracle_on_status(call->oracle, call->server, reply->status);
        call->on_status(call->context);
    }
}

static void on_answer(struct membership_call *call, const struct reply *reply)
{
    struct timeline *timeline = call->cluster->timeline;
    Client__Response *response =
        client__response__unpack(NULL, reply->relayed.size, reply->relayed.data);

    CHECK(response != NULL);
    if (response->code != CLIENT__CODE__OK && response->message[0] == '\0') {
        cluster_violation(call->server, "S33: a membership command is refused without a word");
    }
    timeline_mix(timeline, (uint64_t)response->code);
    timeline_trace(timeline, "operator %zu: code %d %s", call->number, (int)response->code,
                   response->message);
    call->on_answer(call->context, response);
    call->is_done = response->code == CLIENT__CODE__OK;
    call->is_certain = response->code != CLIENT__CODE__UNKNOWN_OUTCOME;
    if (call->is_certain) {
        call->cluster->changes_until_us[call->number] = call->certain_us;
    }
    client__response__free_unpacked(response, NULL);
}

static void on_reply(void *context, const struct request *request, const struct reply *reply)
{
    struct membership_call *call = context;

    if (request->kind == REQUEST_STATUS) {
        on_status(call, reply);
    } else {
        on_answer(call, reply);
    }
    call->is_answered = true;
}

static void on_events(void *context,
                      uint64_t watch,
                      bool with_values,
                      const struct watch_event *events,
                      size_t count,
                      zxid up_to,
                      bool lost)
{
    (void)context;
    (void)watch;
    (void)with_values;
    (void)events;
    (void)count;
    (void)up_to;
    (void)lost;
    CHECK(false);
}

static void on_notice(void *context, Client__NoticeKind kind, Client__Code code)
{
    (void)context;
    (void)kind;
    (void)code;
}

static size_t output_bytes(void *context)
{
    (void)context;
    return 0;
}

/* --- Questions --- */

static bool open_connection(struct membership_call *call, struct cluster_server *server)
{
    static const struct client_callbacks callbacks = {.on_reply = on_reply,
                                                      .on_events = on_events,
                                                      .on_notice = on_notice,
                                                      .output_bytes = output_bytes};

    CHECK(!call->is_open);
    if (!cluster_is_awake(server)) {
        return false;
    }
    call->server = server;
    call->client = client_open(call->server->node, &callbacks, call);
    call->is_open = true;
    call->is_answered = false;
    call->is_for_members = false;
    call->is_done = false;
    call->patience_us = call->cluster->timeline->now_us + PATIENCE_US;
    return true;
}

/* Who is made a voter with force need not have caught up. */
static void note_force(struct membership_call *call)
{
    Client__Request *request = membership_command_unpack(&call->command);

    if (request->body_case == CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP &&
        request->change_membership->force) {
        oracle_on_force(call->oracle, request->change_membership->voters,
                        request->change_membership->n_voters);
    }
    client__request__free_unpacked(request, NULL);
}

bool membership_call_ask(struct membership_call *call,
                         const struct membership_command *command,
                         struct cluster_server *server)
{
    struct request *request;

    if (!open_connection(call, server)) {
        return false;
    }
    call->command = *command;
    call->is_for_members = true;
    note_force(call);
    request = request_new(REQUEST_MEMBERSHIP);
    request->id = 1;
    request->membership.encoded =
        arena_copy(&request->arena, bytes_of(command->packed, command->bytes));
    call->asked_us = call->cluster->timeline->now_us;
    if (!call->is_certain) {
        call->certain_us = call->patience_us;
    }
    call->is_certain = false;
    call->cluster->changes_until_us[call->number] = call->patience_us;
    timeline_trace(call->cluster->timeline, "operator %zu: asks %" PRIu64 " for %d", call->number,
                   call->server->id, (int)command->kind);
    client_submit(call->client, request);
    cluster_poke(call->server);
    return true;
}

void membership_call_look(struct membership_call *call, struct cluster_server *server)
{
    struct request *request;

    if (open_connection(call, server)) {
        request = request_new(REQUEST_STATUS);
        request->id = 1;
        client_submit(call->client, request);
        cluster_poke(call->server);
    }
}

/* --- Ends --- */

/* Init and transfers are for no other configuration; the first one may not be committed yet. */
static bool is_for_a_config(const struct membership_call *call)
{
    return call->is_for_members && call->command.kind != CLIENT__REQUEST__BODY_INIT &&
           call->command.kind != CLIENT__REQUEST__BODY_TRANSFER_LEADER;
}

/* Asked for what is known only after the turn in which the answer was given. */
static void check_done(const struct membership_call *call)
{
    if (is_for_a_config(call) && call->is_done &&

        !configs_have_met(oracle_configs(call->oracle), &call->command, call->asked_us)) {
        cluster_violation(call->server,
                          "S33: a membership command is answered with OK, and since it was asked "
                          "for no configuration that was committed is what it asks for");
    }
}

bool membership_call_finish(struct membership_call *call)
{
    if (!cluster_is_awake(call->server) ||
        (!call->is_answered && call->cluster->timeline->now_us <= call->patience_us)) {
        return false;
    }
    check_done(call);
    membership_call_close(call);
    return true;
}

void membership_call_close(struct membership_call *call)
{
    if (call->client != NULL) {
        client_close(call->client);
    }
    call->client = NULL;
    call->server = NULL;
    call->is_open = false;
}

bool membership_call_may_change(const struct membership_call *call)
{
    return call->cluster->timeline->now_us < call->cluster->changes_until_us[call->number];
}
