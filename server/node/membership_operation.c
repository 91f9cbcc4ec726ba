#include "server/node/membership_operation.h"

#include "base/address.h"
#include "base/check.h"
#include "server/node/config_codec.h"
#include "server/node/peer_codec.h"

#include <nettle/sha2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(ADDRESS_TEXT_BYTES_MAX <= RAFT_ADDRESS_BYTES_MAX, "an address fits a member");

void membership_operation_hex(const uint8_t id[NODE_CLUSTER_ID_BYTES],
                              char hex[MEMBERSHIP_HEX_BYTES])
{
    for (size_t i = 0; i < NODE_CLUSTER_ID_BYTES; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", id[i]);
    }
}

void membership_operation_list(const raft_id *ids, size_t count, char list[MEMBERSHIP_LIST_BYTES])
{
    size_t size = 0;

    list[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size += (size_t)snprintf(list + size, MEMBERSHIP_LIST_BYTES - size, "%s%" PRIu64,
                                 i > 0 ? "," : "", ids[i]);
    }
}

void membership_operation_list_voters(const struct raft_config *config,
                                      uint8_t flag,
                                      char list[MEMBERSHIP_LIST_BYTES])
{
    raft_id ids[RAFT_VOTERS_MAX];
    size_t count = 0;

    for (uint32_t i = 0; i < config->member_count && count < RAFT_VOTERS_MAX; i++) {
        if ((config->members[i].flags & flag) != 0) {
            ids[count] = config->members[i].id;
            count++;
        }
    }
    membership_operation_list(ids, count, list);
}

/* The way in which this server writes `text`; false if it is no address. */
bool membership_operation_normalize(const char *text,
                                    char address[ADDRESS_TEXT_BYTES_MAX],
                                    struct error *error)
{
    struct address parsed;

    if (address_parse(text, &parsed, error) != STATUS_OK) {
        return false;
    }
    address_format(&parsed, address);
    return true;
}

void membership_operation_cluster_id(const struct raft_config *config,
                                     uint8_t cluster_id[NODE_CLUSTER_ID_BYTES])
{
    struct buffer packed = BUFFER_INIT;
    struct sha256_ctx sha256;

    config_codec_pack(config, &packed);
    sha256_init(&sha256);
    sha256_update(&sha256, packed.size, packed.data);
    sha256_digest(&sha256, NODE_CLUSTER_ID_BYTES, cluster_id); /* its first bytes */
    buffer_release(&packed);
}

bool membership_operation_has_log(const struct raft_status *status)
{
    return status->term != 0 || status->vote != 0 || status->last_index != 0;
}

void membership_operation_remove(struct membership *membership,
                                 struct membership_operation *operation)
{
    list_remove(&operation->link);
    membership->count--;
    free(operation);
}

/* --- The end of an operation --- */

/* The members of the committed configuration as messages; lends from it. */
struct config_reply {
    Client__MembershipReply message;
    Record__Member members[RAFT_MEMBERS_MAX];
    Record__Member *pointers[RAFT_MEMBERS_MAX];
    struct raft_config config;
};

static void fill_reply(const struct membership *membership, struct config_reply *reply)
{
    raft_index index = 0;

    reply->config = *raft_config_committed(membership->raft, &index);
    reply->message = (Client__MembershipReply)CLIENT__MEMBERSHIP_REPLY__INIT;
    reply->message.config_zxid = index;
    for (uint32_t i = 0; i < reply->config.member_count; i++) {
        struct raft_member *from = &reply->config.members[i];
        Record__Member *to = &reply->members[i];

        *to = (Record__Member)RECORD__MEMBER__INIT;
        to->id = from->id;
        to->flags = from->flags;
        to->incarnation.data = from->incarnation;
        to->incarnation.len = sizeof from->incarnation;
        to->address.data = (uint8_t *)from->address;
        to->address.len = strlen(from->address);
        reply->pointers[i] = to;
    }
    reply->message.members = reply->pointers;
    reply->message.n_members = reply->config.member_count;
}

void membership_operation_respond(struct membership *membership,
                                  void *handle,
                                  Client__Code code,
                                  char *text)
{
    Client__Response response;
    struct config_reply reply;

    client__response__init(&response);
    response.code = code;
    response.message = text;
    if (code == CLIENT__CODE__OK) {
        fill_reply(membership, &reply);
        response.body_case = CLIENT__RESPONSE__BODY_MEMBERSHIP;
        response.membership = &reply.message;
    }
    membership->port.finish(membership->port.context, handle, &response);
}

/* Report and free the operation: the last thing that is done with it. */
void membership_operation_end(struct membership *membership,
                              struct membership_operation *operation,
                              Client__Code code,
                              const char *format,
                              ...)
{
    char text[ERROR_TEXT_BYTES_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    membership_operation_respond(membership, operation->handle, code, text);
    membership_operation_remove(membership, operation);
}

struct membership_target *membership_operation_find_target(struct membership_operation *operation,
                                                           raft_id id)
{
    for (size_t i = 0; i < operation->target_count; i++) {
        if (operation->targets[i].id == id) {
            return &operation->targets[i];
        }
    }
    return NULL;
}

/* Copy the named servers, sorted by id. False, and ended, if they are not legal. */
bool membership_operation_take_targets(struct membership *membership,
                                       struct membership_operation *operation,
                                       Client__NodeAddress *const *nodes,
                                       size_t count)
{
    struct error error;

    if (count < 1 || count > RAFT_VOTERS_MAX) {
        membership_operation_end(membership, operation, CLIENT__CODE__BAD_ARGUMENTS,
                                 "%zu servers are named; a cluster starts with 1 to %d", count,
                                 RAFT_VOTERS_MAX);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct membership_target target = {.id = nodes[i]->id};
        size_t position = operation->target_count;

        if (!membership_operation_normalize(nodes[i]->address, target.address, &error)) {
            membership_operation_end(membership, operation, CLIENT__CODE__BAD_ARGUMENTS,
                                     "server %" PRIu64 ": %s", target.id, error.text);
            return false;
        }
        if (target.id == 0 || membership_operation_find_target(operation, target.id) != NULL) {
            membership_operation_end(
                membership, operation, CLIENT__CODE__BAD_ARGUMENTS, "server id %" PRIu64 " is %s",
                target.id, target.id == 0 ? "not possible: ids start at 1" : "named twice");
            return false;
        }
        for (size_t j = 0; j < operation->target_count; j++) {
            if (strcmp(operation->targets[j].address, target.address) == 0) {
                membership_operation_end(membership, operation, CLIENT__CODE__BAD_ARGUMENTS,
                                         "servers %" PRIu64 " and %" PRIu64
                                         " have the same address %s",
                                         operation->targets[j].id, target.id, target.address);
                return false;
            }
        }
        while (position > 0 && operation->targets[position - 1].id > target.id) {
            operation->targets[position] = operation->targets[position - 1];
            position--;
        }
        operation->targets[position] = target;
        operation->target_count++;
    }
    return true;
}

/* --- Probes --- */

void membership_operation_send(struct membership *membership,
                               struct membership_target *target,
                               const Peer__PeerMessage *message)
{
    membership->last_token++;
    target->token = membership->last_token;
    buffer_clear(&membership->message);
    peer_codec_pack(message, &membership->message);
    membership->port.probe(membership->port.context, target->token, target->address,
                           buffer_lend(&membership->message));
}

void membership_operation_query(struct membership *membership, struct membership_target *target)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__ProbeQuery query = PEER__PROBE_QUERY__INIT;

    message.body_case = PEER__PEER_MESSAGE__BODY_PROBE_QUERY;
    message.probe_query = &query;
    membership_operation_send(membership, target, &message);
}

bool membership_operation_is_waiting(const struct membership_operation *operation)
{
    for (size_t i = 0; i < operation->target_count; i++) {
        if (operation->targets[i].token != 0) {
            return true;
        }
    }
    return false;
}

/* What the server at the address says of itself must fit. Ends the operation if it does not. */
bool membership_operation_take_identity(struct membership *membership,
                                        struct membership_operation *operation,
                                        struct membership_target *target,
                                        const Peer__Identity *identity,
                                        const Peer__ProbeReply *reply)
{
    if (identity == NULL || identity->incarnation.len != RAFT_INCARNATION_BYTES ||
        (identity->cluster_id.len != 0 && identity->cluster_id.len != NODE_CLUSTER_ID_BYTES)) {
        membership_operation_end(membership, operation, CLIENT__CODE__REFUSED,
                                 "the server at %s does not say properly who it is",
                                 target->address);
        return false;
    }
    if (identity->id != target->id) {
        membership_operation_end(membership, operation, CLIENT__CODE__REFUSED,
                                 "the server at %s is server %" PRIu64 ", not %" PRIu64
                                 ": correct the address, or start it with --id %" PRIu64,
                                 target->address, identity->id, target->id, target->id);
        return false;
    }
    if (identity->format == 0 || identity->format > NODE_FORMAT) {
        membership_operation_end(membership, operation, CLIENT__CODE__REFUSED,
                                 "server %" PRIu64
                                 " at %s has format %u, this server knows only up to %d: "
                                 "upgrade this one first",
                                 target->id, target->address, identity->format, NODE_FORMAT);
        return false;
    }
    memcpy(target->incarnation, identity->incarnation.data, RAFT_INCARNATION_BYTES);
    target->has_log = reply->has_log;
    target->has_cluster = identity->cluster_id.len != 0;
    if (target->has_cluster) {
        memcpy(target->cluster_id, identity->cluster_id.data, NODE_CLUSTER_ID_BYTES);
    }
    return true;
}

void membership_operation_end_unreachable(struct membership *membership,
                                          struct membership_operation *operation,
                                          const struct membership_target *target,
                                          enum status status,
                                          const char *text)
{
    struct node_identity identity = membership->port.identity(membership->port.context);
    char hex[MEMBERSHIP_HEX_BYTES];
    bool refused = status == STATUS_MISMATCH || status == STATUS_FORMAT || status == STATUS_INVALID;

    if (text == NULL || text[0] == '\0') {
        text = status_text(status);
    }
    if (operation->kind == MEMBERSHIP_INIT && identity.has_cluster) {
        membership_operation_hex(identity.cluster_id, hex);
        membership_operation_end(membership, operation, CLIENT__CODE__CONFLICT,
                                 "server %" PRIu64
                                 " already belongs to cluster %s, and whether this init made it "
                                 "cannot be told: server %" PRIu64 " at %s: %s",
                                 identity.id, hex, target->id, target->address, text);
        return;
    }
    membership_operation_end(membership, operation,
                             refused ? CLIENT__CODE__REFUSED : CLIENT__CODE__UNREACHABLE,
                             "server %" PRIu64 " at %s %s: %s; %s, then try again", target->id,
                             target->address, refused ? "refuses" : "does not answer", text,
                             refused ? "put that right" : "start it or correct the address");
}
