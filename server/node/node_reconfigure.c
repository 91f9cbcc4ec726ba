#include "server/node/node_reconfigure.h"

#include "base/check.h"
#include "base/log.h"
#include "server/node/config_codec.h"
#include "server/node/node_reads.h"

#include <stdio.h>
#include <string.h>

/* Each server is added, made a voter and, before that, taken from where it was. */
enum {
    STEPS_MAX = 4 * RAFT_MEMBERS_MAX,
    WARN_INTERVAL_US = 1000 * 1000 /* anybody may ask, as often as he likes */
};

struct reconfigure_progress {
    size_t steps;
    struct reconfiguration_step step; /* under way */
    raft_id added[RAFT_MEMBERS_MAX];  /* as learners, by this request */
    size_t added_count;
    Client__Code failure; /* what is left is to undo; OK = none */
};

bool node_reconfigure_is_begun(const struct request *request)
{
    return request->kind == REQUEST_RECONFIGURE && request->progress.reconfigure != NULL;
}

/* --- Judging --- */

static enum reconfigure_next
refuse(struct node *node, struct reply *reply, Client__Code code, const char *why)
{
    if (node_now(node) >= node->reconfigure_warn_us) {
        node->reconfigure_warn_us = node_now(node) + WARN_INTERVAL_US;
        log_event(LOG_LEVEL_WARN, "reconfiguration_refused", "reason=%s", log_quote(why));
    }
    reply->code = code;
    return RECONFIGURE_OVER;
}

/* --- Steps --- */

static void encode(struct request *request, const Client__Request *message)
{
    size_t size = client__request__get_packed_size(message);
    uint8_t *encoded = arena_alloc(&request->arena, size);

    (void)client__request__pack(message, encoded);
    request->membership.encoded = bytes_of(encoded, size);
}

/* `only_config` is 0 for what is undone: it must go whatever else came. */
static void
put_step(struct request *request, struct reconfiguration_step *step, raft_index only_config)
{
    Client__Request message = CLIENT__REQUEST__INIT;
    Client__NodeAddress server = CLIENT__NODE_ADDRESS__INIT;
    Client__AddLearner add = CLIENT__ADD_LEARNER__INIT;
    Client__ChangeMembership change = CLIENT__CHANGE_MEMBERSHIP__INIT;
    Client__RemoveMember removal = CLIENT__REMOVE_MEMBER__INIT;

    switch (step->kind) {
    case RECONFIGURATION_ADD:
        server.id = step->id;
        server.address = (char *)(uintptr_t)step->address;
        add.node = &server;
        add.only_config_zxid = only_config;
        message.body_case = CLIENT__REQUEST__BODY_ADD_LEARNER;
        message.add_learner = &add;
        break;
    case RECONFIGURATION_CHANGE:
        change.voters = step->voters;
        change.n_voters = step->voter_count;
        change.only_config_zxid = only_config;
        message.body_case = CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP;
        message.change_membership = &change;
        break;
    case RECONFIGURATION_REMOVE:
        removal.id = step->id;
        removal.only_config_zxid = only_config;
        message.body_case = CLIENT__REQUEST__BODY_REMOVE_MEMBER;
        message.remove_member = &removal;
        break;
    case RECONFIGURATION_DONE:
        CHECK(false);
    }
    encode(request, &message);
}

/* What was begun and does not go on. */
static enum reconfigure_next
undo(struct request *request, struct reconfigure_progress *progress, struct reply *reply)
{
    if (progress->added_count == 0) {
        reply->code = progress->failure;
        return RECONFIGURE_OVER;
    }
    progress->added_count--;
    progress->step = (struct reconfiguration_step){.kind = RECONFIGURATION_REMOVE,
                                                   .id = progress->added[progress->added_count]};
    put_step(request, &progress->step, 0);
    return RECONFIGURE_STEP;
}

static enum reconfigure_next begin(struct node *node,
                                   struct request *request,
                                   const struct state_node *shown,
                                   const struct raft_config *config,
                                   struct reply *reply)
{
    const struct reconfiguration *wanted = &request->membership.wanted;
    struct reconfiguration_step step;
    struct error error;
    bool is_null;

    if (state_node_value(shown, &is_null).size == 0) {
        return refuse(node, reply, CLIENT__CODE__UNSUPPORTED, "one server alone has no members");
    }
    if (config->joint) {
        return refuse(node, reply, CLIENT__CODE__CONFLICT, "a change of voters is under way");
    }
    if (wanted->has_version && wanted->version != node->applied_config_index) {
        return refuse(node, reply, CLIENT__CODE__BAD_VERSION, "the configuration is another");
    }
    if (wanted->is_illegal) {
        return refuse(node, reply, CLIENT__CODE__BAD_ARGUMENTS, "it cannot be read");
    }
    if (reconfiguration_next(config, wanted, &step, &error) != STATUS_OK) {
        return refuse(node, reply, CLIENT__CODE__BAD_ARGUMENTS, error.text);
    }
    if (!client_may(request->client, shown, STATE_PERMISSION_WRITE)) {
        return refuse(node, reply, CLIENT__CODE__NO_AUTH, "not permitted");
    }
    request->progress.reconfigure =
        arena_calloc(&request->arena, 1, sizeof *request->progress.reconfigure);
    return RECONFIGURE_STEP;
}

static enum reconfigure_next go_on(struct node *node,
                                   struct request *request,
                                   const struct raft_config *config,
                                   struct reply *reply)
{
    struct reconfigure_progress *progress = request->progress.reconfigure;
    struct error error;

    if (config->joint) {
        return RECONFIGURE_WAIT;
    }
    if (reconfiguration_next(config, &request->membership.wanted, &progress->step, &error) !=
            STATUS_OK ||
        progress->steps == STEPS_MAX) {
        (void)refuse(node, reply, CLIENT__CODE__CONFLICT, "others change the members too");
        progress->failure = CLIENT__CODE__CONFLICT;
        return undo(request, progress, reply);
    }
    if (progress->step.kind == RECONFIGURATION_DONE) {
        return RECONFIGURE_OVER;
    }
    progress->steps++;
    put_step(request, &progress->step, node->applied_config_index);
    return RECONFIGURE_STEP;
}

enum reconfigure_next
node_reconfigure_next(struct node *node, struct request *request, struct reply *reply)
{
    struct reconfigure_progress *progress = request->progress.reconfigure;
    enum reconfigure_next next = RECONFIGURE_STEP;
    struct state_node *shown = NULL;
    struct raft_config config;

    if (progress != NULL && progress->failure != CLIENT__CODE__OK) {
        return undo(request, progress, reply);
    }
    reply->code = node_read(node, request->path, &shown);
    if (reply->code != CLIENT__CODE__OK) {
        return RECONFIGURE_OVER;
    }
    CHECK_OP(config_codec_unpack(buffer_lend(&node->applied_config), &config), ==, STATUS_OK);
    request->membership.wanted.self = node->options.id;
    if (progress == NULL) {
        next = begin(node, request, shown, &config, reply);
    }
    if (next == RECONFIGURE_STEP) {
        next = go_on(node, request, &config, reply);
    }
    if (next == RECONFIGURE_OVER && reply->code == CLIENT__CODE__OK) {
        reply->node = shown;
    } else {
        state_node_unref(shown);
    }
    return next;
}

/* --- How a step went --- */

/* Certainly not done, and not going to be. */
static bool is_refusal(Client__Code code)
{
    return code != CLIENT__CODE__UNKNOWN_OUTCOME && code != CLIENT__CODE__NO_LEADER &&
           code != CLIENT__CODE__NOT_MEMBER;
}

static void fail(struct request *request, const Client__Response *response)
{
    struct reconfigure_progress *progress = request->progress.reconfigure;
    bool lacks_voters = progress->step.kind == RECONFIGURATION_CHANGE &&
                        progress->step.has_new_voters && response->code == CLIENT__CODE__CONFLICT;

    log_event(LOG_LEVEL_WARN, "reconfiguration_failed", "steps=%zu reason=%s", progress->steps,
              log_quote(response->message));
    /* They have not caught up. */
    progress->failure = lacks_voters ? CLIENT__CODE__UNREACHABLE : response->code;
    if (!is_refusal(response->code)) {
        progress->added_count = 0;
    }
}

raft_index node_reconfigure_stepped(struct request *request, struct bytes response)
{
    struct reconfigure_progress *progress = request->progress.reconfigure;
    Client__Response *told = client__response__unpack(NULL, response.size, response.data);
    raft_index config = 0;

    CHECK(told != NULL);
    if (progress->failure != CLIENT__CODE__OK || told->code == CLIENT__CODE__BAD_VERSION) {
        /* What cannot be undone stays; what was for another configuration is planned anew. */
    } else if (told->code != CLIENT__CODE__OK) {
        fail(request, told);
    } else {
        config = told->body_case == CLIENT__RESPONSE__BODY_MEMBERSHIP
                     ? told->membership->config_zxid
                     : 0;
        if (progress->step.kind == RECONFIGURATION_ADD &&
            progress->added_count < RAFT_MEMBERS_MAX) {
            progress->added[progress->added_count++] = progress->step.id;
        }
        if (progress->step.kind == RECONFIGURATION_CHANGE) {
            progress->added_count = 0; /* what came before has its purpose */
        }
    }
    client__response__free_unpacked(told, NULL);
    return config;
}
