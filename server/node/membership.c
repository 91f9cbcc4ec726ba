#include "server/node/membership.h"

#include "base/alloc.h"
#include "base/check.h"
#include "server/node/config_codec.h"
#include "server/node/membership_change.h"
#include "server/node/membership_init.h"
#include "server/node/membership_operation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_INTERVAL_US = 100 * 1000 };

static struct membership_operation *operation_of(struct list *link)
{
    return CONTAINER_OF(link, struct membership_operation, link);
}

struct membership *
membership_new(const struct membership_port *port, struct raft *raft, const char *address)
{
    struct membership *membership = xcalloc(1, sizeof *membership);

    membership->port = *port;
    membership->raft = raft;
    if (!membership_operation_normalize(address, membership->address, NULL)) {
        (void)snprintf(membership->address, sizeof membership->address, "%s", address);
    }
    list_init(&membership->operations);
    return membership;
}

void membership_free(struct membership *membership)
{
    if (membership != NULL) {
        LIST_FOR_EACH (link, &membership->operations) {
            membership_operation_remove(membership, operation_of(link));
        }
        buffer_release(&membership->message);
        free(membership);
    }
}

size_t membership_count(const struct membership *membership)
{
    return membership->count;
}

/* --- Being asked --- */

void membership_probe_reply(const struct node_identity *identity,
                            const struct raft_status *status,
                            const char *address,
                            Peer__ProbeReply *reply)
{
    union {
        const void *lent;
        void *field; /* protobuf-c has no const; packing only reads */
    } text = {.lent = address}, id = {.lent = identity->cluster_id};

    peer__probe_reply__init(reply);
    reply->has_log = membership_operation_has_log(status);
    reply->address = text.field;
    if (identity->has_cluster) {
        reply->config_cluster_id.data = id.field;
        reply->config_cluster_id.len = NODE_CLUSTER_ID_BYTES;
    }
}

/* A first configuration: voters only, nothing under way. */
static bool is_first_config(const struct raft_config *config)
{
    for (uint32_t i = 0; i < config->member_count; i++) {
        if (config->members[i].flags != RAFT_VOTER_NEW) {
            return false;
        }
    }
    return !config->joint;
}

static bool is_sound_bootstrap(const Peer__Bootstrap *bootstrap,
                               struct raft_config *config,
                               uint8_t cluster_id[NODE_CLUSTER_ID_BYTES])
{
    if (bootstrap->config == NULL ||
        config_codec_from_message(bootstrap->config, config) != STATUS_OK ||
        !is_first_config(config)) {
        return false;
    }
    membership_operation_cluster_id(config, cluster_id);
    return bootstrap->cluster_id.len == NODE_CLUSTER_ID_BYTES &&
           memcmp(bootstrap->cluster_id.data, cluster_id, NODE_CLUSTER_ID_BYTES) == 0;
}

enum membership_bootstrap membership_check_bootstrap(const struct node_identity *identity,
                                                     const struct raft_status *status,
                                                     const Peer__Bootstrap *bootstrap,
                                                     struct raft_config *ret_config,
                                                     uint8_t ret_cluster_id[NODE_CLUSTER_ID_BYTES],
                                                     char refusal[ERROR_TEXT_BYTES_MAX])
{
    struct raft_config config;
    uint8_t cluster_id[NODE_CLUSTER_ID_BYTES];
    const struct raft_member *self;
    char hex[MEMBERSHIP_HEX_BYTES];

    if (!is_sound_bootstrap(bootstrap, &config, cluster_id)) {
        (void)snprintf(refusal, ERROR_TEXT_BYTES_MAX,
                       "the configuration is not that of a new cluster, or its id is another's");
        return MEMBERSHIP_BOOTSTRAP_REFUSED;
    }
    self = raft_config_find(&config, identity->id);
    if (self == NULL ||
        memcmp(self->incarnation, identity->incarnation, sizeof self->incarnation) != 0) {
        (void)snprintf(refusal, ERROR_TEXT_BYTES_MAX,
                       "the configuration does not name server %" PRIu64 " with this data folder",
                       identity->id);
        return MEMBERSHIP_BOOTSTRAP_REFUSED;
    }
    if (identity->has_cluster &&
        memcmp(identity->cluster_id, cluster_id, NODE_CLUSTER_ID_BYTES) != 0) {
        membership_operation_hex(identity->cluster_id, hex);
        (void)snprintf(refusal, ERROR_TEXT_BYTES_MAX,
                       "server %" PRIu64 " already belongs to cluster %s", identity->id, hex);
        return MEMBERSHIP_BOOTSTRAP_REFUSED;
    }
    if (membership_operation_has_log(status)) {
        if (identity->has_cluster) {
            return MEMBERSHIP_BOOTSTRAP_DONE;
        }
        (void)snprintf(refusal, ERROR_TEXT_BYTES_MAX, "server %" PRIu64 " already holds a log",
                       identity->id);
        return MEMBERSHIP_BOOTSTRAP_REFUSED;
    }
    *ret_config = config;
    memcpy(ret_cluster_id, cluster_id, NODE_CLUSTER_ID_BYTES);
    return MEMBERSHIP_BOOTSTRAP_WANTED;
}

static void
step(struct membership *membership, struct membership_operation *operation, uint64_t now_us)
{
    switch (operation->phase) {
    case MEMBERSHIP_PROBING:
    case MEMBERSHIP_BOOTSTRAPPING:
        break;
    case MEMBERSHIP_STARTING:
        membership_init_step(membership, operation);
        break;
    case MEMBERSHIP_PROPOSING:
    case MEMBERSHIP_COMMITTING:
        membership_change_step(membership, operation, now_us);
        break;
    }
}

static void end_silent(struct membership *membership, struct membership_operation *operation)
{
    size_t i = 0;

    while (operation->targets[i].token == 0) {
        i++;
        CHECK_OP(i, <, operation->target_count);
    }
    membership_operation_end_unreachable(membership, operation, &operation->targets[i],
                                         STATUS_TIMEOUT, "");
}

static void end_late(struct membership *membership, struct membership_operation *operation)
{
    switch (operation->phase) {
    case MEMBERSHIP_PROBING:
    case MEMBERSHIP_BOOTSTRAPPING:
        end_silent(membership, operation);
        break;
    case MEMBERSHIP_STARTING:
        membership_init_end(membership, operation);
        break;
    case MEMBERSHIP_PROPOSING:
    case MEMBERSHIP_COMMITTING:
        membership_change_end_late(membership, operation);
        break;
    }
}

/* --- Inputs --- */

bool membership_is_request(const Client__Request *request)
{
    switch ((int)request->body_case) {
    case CLIENT__REQUEST__BODY_INIT:
    case CLIENT__REQUEST__BODY_ADD_LEARNER:
    case CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP:
    case CLIENT__REQUEST__BODY_REMOVE_MEMBER:
    case CLIENT__REQUEST__BODY_TRANSFER_LEADER:
    case CLIENT__REQUEST__BODY_CANCEL_CHANGE:
        return true;
    default:
        return false;
    }
}

bool membership_needs_leader(const Client__Request *request)
{
    return membership_is_request(request) && request->body_case != CLIENT__REQUEST__BODY_INIT;
}

static enum membership_kind kind_of(const Client__Request *request)
{
    switch ((int)request->body_case) {
    case CLIENT__REQUEST__BODY_INIT:
        return MEMBERSHIP_INIT;
    case CLIENT__REQUEST__BODY_ADD_LEARNER:
        return MEMBERSHIP_ADD;
    case CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP:
        return MEMBERSHIP_CHANGE;
    case CLIENT__REQUEST__BODY_REMOVE_MEMBER:
        return MEMBERSHIP_REMOVE;
    case CLIENT__REQUEST__BODY_CANCEL_CHANGE:
        return MEMBERSHIP_CANCEL;
    default:
        CHECK(request->body_case == CLIENT__REQUEST__BODY_TRANSFER_LEADER);
        return MEMBERSHIP_TRANSFER;
    }
}

void membership_submit(struct membership *membership,
                       uint64_t now_us,
                       const Client__Request *request,
                       uint64_t deadline_us,
                       void *handle)
{
    struct membership_operation *operation;
    char busy[] = "too many cluster requests are under way here; try again";

    if (membership->count >= MEMBERSHIP_OPERATIONS_MAX) {
        membership_operation_respond(membership, handle, CLIENT__CODE__BUSY, busy);
        return;
    }
    operation = xcalloc(1, sizeof *operation);
    operation->handle = handle;
    operation->begun_us = now_us;
    operation->deadline_us = deadline_us;
    list_append(&membership->operations, &operation->link);
    membership->count++;
    operation->kind = kind_of(request);
    if (operation->kind == MEMBERSHIP_INIT) {
        membership_init_start(membership, operation, request->init);
    } else {
        membership_change_start(membership, operation, request);
    }
}

void membership_answer(struct membership *membership,
                       void *handle,
                       Client__Code code,
                       const char *text)
{
    char copy[ERROR_TEXT_BYTES_MAX];

    (void)snprintf(copy, sizeof copy, "%s", text);
    membership_operation_respond(membership, handle, code, copy);
}

bool membership_withdraw(struct membership *membership, const void *handle)
{
    LIST_FOR_EACH (link, &membership->operations) {
        struct membership_operation *operation = operation_of(link);

        if (operation->handle == handle &&
            (operation->phase == MEMBERSHIP_PROBING || operation->phase == MEMBERSHIP_PROPOSING)) {
            membership_operation_remove(membership, operation);
            return true;
        }
    }
    return false;
}

static void on_answer(struct membership *membership,
                      struct membership_operation *operation,
                      struct membership_target *target,
                      const Peer__Identity *identity,
                      const Peer__PeerMessage *answer)
{
    if (operation->phase == MEMBERSHIP_BOOTSTRAPPING && answer != NULL &&
        answer->body_case == PEER__PEER_MESSAGE__BODY_BOOTSTRAPPED) {
        membership_init_on_bootstrapped(membership, operation, target, answer->bootstrapped);
        return;
    }
    if (operation->phase != MEMBERSHIP_PROBING || answer == NULL ||
        answer->body_case != PEER__PEER_MESSAGE__BODY_PROBE_REPLY) {
        membership_operation_end_unreachable(membership, operation, target, STATUS_INVALID,
                                             "its answer is unreadable");
        return;
    }
    if (!membership_operation_take_identity(membership, operation, target, identity,
                                            answer->probe_reply)) {
        return;
    }
    if (operation->kind == MEMBERSHIP_ADD) {
        membership_change_on_probed(membership, operation, target);
    } else if (!membership_operation_is_waiting(operation)) {
        membership_init_on_probed(membership, operation);
    }
}

static struct membership_target *find_token(struct membership_operation *operation, uint64_t token)
{
    for (size_t i = 0; i < operation->target_count; i++) {
        if (operation->targets[i].token == token) {
            return &operation->targets[i];
        }
    }
    return NULL;
}

void membership_on_probe_answer(struct membership *membership,
                                uint64_t now_us,
                                uint64_t token,
                                enum status status,
                                const Peer__Identity *identity,
                                struct bytes message,
                                const char *text)
{
    (void)now_us;
    LIST_FOR_EACH (link, &membership->operations) {
        struct membership_operation *operation = operation_of(link);
        struct membership_target *target = token == 0 ? NULL : find_token(operation, token);
        Peer__PeerMessage *answer;

        if (target == NULL) {
            continue;
        }
        target->token = 0;
        if (status != STATUS_OK) {
            if (operation->kind != MEMBERSHIP_ADD ||
                !membership_change_on_unreachable(membership, operation)) {
                membership_operation_end_unreachable(membership, operation, target, status, text);
            }
            return;
        }
        answer = peer__peer_message__unpack(NULL, message.size, message.data);
        on_answer(membership, operation, target, identity, answer);
        if (answer != NULL) {
            peer__peer_message__free_unpacked(answer, NULL);
        }
        return;
    }
}

bool membership_find_waiting(const struct membership *membership,
                             struct membership_waiting *ret_waiting)
{
    const struct list *head = &membership->operations;

    for (const struct list *link = head->next; link != head; link = link->next) {
        const struct membership_operation *operation =
            CONTAINER_OF(link, const struct membership_operation, link);

        if (operation->kind == MEMBERSHIP_CHANGE && operation->phase == MEMBERSHIP_PROPOSING) {
            ret_waiting->begun_us = operation->begun_us;
            ret_waiting->voter_count = operation->voter_count;
            memcpy(ret_waiting->voters, operation->voters,
                   operation->voter_count * sizeof operation->voters[0]);
            return true;
        }
    }
    return false;
}

uint64_t membership_tick(struct membership *membership, uint64_t now_us)
{
    uint64_t next_us = UINT64_MAX;

    LIST_FOR_EACH (link, &membership->operations) {
        struct membership_operation *operation = operation_of(link);

        if (now_us >= operation->deadline_us) {
            end_late(membership, operation);
        } else {
            if (operation->deadline_us < next_us) {
                next_us = operation->deadline_us;
            }
            step(membership, operation, now_us);
        }
    }
    if (membership->count == 0) {
        return UINT64_MAX;
    }
    return now_us + POLL_INTERVAL_US < next_us ? now_us + POLL_INTERVAL_US : next_us;
}
