#include "server/node/membership_init.h"

#include "base/check.h"
#include "server/node/config_codec.h"

#include <string.h>

static void make_config(struct membership_operation *operation)
{
    struct raft_config *config = &operation->config;

    memset(config, 0, sizeof *config);
    config->member_count = (uint32_t)operation->target_count;
    for (size_t i = 0; i < operation->target_count; i++) {
        const struct membership_target *target = &operation->targets[i];
        struct raft_member *member = &config->members[i];

        member->id = target->id;
        member->flags = RAFT_VOTER_NEW;
        memcpy(member->incarnation, target->incarnation, sizeof member->incarnation);
        memcpy(member->address, target->address, strlen(target->address));
    }
    membership_operation_cluster_id(config, operation->cluster_id);
}

void membership_init_end(struct membership *membership, struct membership_operation *operation)
{
    size_t count = operation->target_count;
    const char *unelected = raft_status(membership->raft).leader == 0
                                ? "the cluster is made, but has not elected a leader yet; "
                                : "";

    if (count < 3) {
        membership_operation_end(
            membership, operation, CLIENT__CODE__OK,
            "%swarning: %zu voter%s no failure; add servers with add-learner and "
            "change-membership",
            unelected, count, count == 1 ? " tolerates" : "s tolerate");
    } else if (count % 2 == 0) {
        membership_operation_end(membership, operation, CLIENT__CODE__OK,
                                 "%snote: %zu voters tolerate no more failures than %zu", unelected,
                                 count, count - 1);
    } else {
        membership_operation_end(membership, operation, CLIENT__CODE__OK, "%s", unelected);
    }
}

/* Whether the present cluster came from exactly these servers, known without asking them: the
 * committed configuration is still the first one. */
static bool already_holds(const struct membership *membership,
                          const struct membership_operation *operation,
                          const struct node_identity *identity)
{
    raft_index index = 0;
    const struct raft_config *config = raft_config_committed(membership->raft, &index);
    uint8_t cluster_id[NODE_CLUSTER_ID_BYTES];

    if (!identity->has_cluster || index == 0 || config->member_count != operation->target_count) {
        return false;
    }
    for (uint32_t i = 0; i < config->member_count; i++) {
        if (config->members[i].id != operation->targets[i].id ||
            strcmp(config->members[i].address, operation->targets[i].address) != 0) {
            return false;
        }
    }
    membership_operation_cluster_id(config, cluster_id);
    return memcmp(cluster_id, identity->cluster_id, NODE_CLUSTER_ID_BYTES) == 0;
}

/* Ourselves as others would describe us. */
static void describe_self(struct membership *membership, struct membership_target *self)
{
    struct node_identity identity = membership->port.identity(membership->port.context);
    struct raft_status status = raft_status(membership->raft);

    self->has_log = membership_operation_has_log(&status);
    self->has_cluster = identity.has_cluster;
    memcpy(self->cluster_id, identity.cluster_id, NODE_CLUSTER_ID_BYTES);
}

static bool is_same_cluster(const struct membership_operation *operation,
                            const struct membership_target *target)
{
    return target->has_cluster &&
           memcmp(target->cluster_id, operation->cluster_id, NODE_CLUSTER_ID_BYTES) == 0;
}

/* Fresh, or already bootstrapped by this very init. Ends the operation if one is not. */
static bool may_bootstrap(struct membership *membership, struct membership_operation *operation)
{
    char hex[MEMBERSHIP_HEX_BYTES];

    for (size_t i = 0; i < operation->target_count; i++) {
        const struct membership_target *target = &operation->targets[i];

        if (is_same_cluster(operation, target)) {
            continue;
        }
        if (target->has_cluster) {
            membership_operation_hex(target->cluster_id, hex);
            membership_operation_end(
                membership, operation, CLIENT__CODE__CONFLICT,
                "server %" PRIu64 " at %s already belongs to cluster %s, which another init made: "
                "init takes fresh servers; to join that cluster ask it with add-learner",
                target->id, target->address, hex);
            return false;
        }
        if (target->has_log) {
            membership_operation_end(membership, operation, CLIENT__CODE__REFUSED,
                                     "server %" PRIu64
                                     " at %s already holds a log without a cluster: "
                                     "start it with an empty data folder",
                                     target->id, target->address);
            return false;
        }
    }
    return true;
}

static void send_bootstrap(struct membership *membership,
                           struct membership_operation *operation,
                           struct membership_target *target)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__Bootstrap bootstrap = PEER__BOOTSTRAP__INIT;
    struct buffer packed = BUFFER_INIT;

    config_codec_pack(&operation->config, &packed);
    bootstrap.config = record__config__unpack(NULL, packed.size, packed.data);
    CHECK(bootstrap.config != NULL);
    bootstrap.cluster_id.data = operation->cluster_id;
    bootstrap.cluster_id.len = NODE_CLUSTER_ID_BYTES;
    message.body_case = PEER__PEER_MESSAGE__BODY_BOOTSTRAP;
    message.bootstrap = &bootstrap;
    membership_operation_send(membership, target, &message);
    record__config__free_unpacked(bootstrap.config, NULL);
    buffer_release(&packed);
}

/* All others are bootstrapped: now this server, then wait for a leader. */
static void bootstrap_self(struct membership *membership, struct membership_operation *operation)
{
    struct node_identity identity = membership->port.identity(membership->port.context);
    struct membership_target *self = membership_operation_find_target(operation, identity.id);
    struct error error = {.status = STATUS_OK};

    /* The others may have elected a leader and brought us in meanwhile. */
    describe_self(membership, self);
    if (!may_bootstrap(membership, operation)) {
        return;
    }
    if (!self->has_log && membership->port.bootstrap(membership->port.context, &operation->config,
                                                     operation->cluster_id, &error) != STATUS_OK) {
        membership_operation_end(membership, operation, CLIENT__CODE__REFUSED,
                                 "server %" PRIu64 " could not store the new cluster: %s",
                                 identity.id, error.text);
        return;
    }
    operation->phase = MEMBERSHIP_STARTING;
}

void membership_init_on_probed(struct membership *membership,
                               struct membership_operation *operation)
{
    struct node_identity identity = membership->port.identity(membership->port.context);
    struct membership_target *self = membership_operation_find_target(operation, identity.id);

    if (memcmp(self->incarnation, identity.incarnation, sizeof self->incarnation) != 0) {
        membership_operation_end(membership, operation, CLIENT__CODE__REFUSED,
                                 "at %s answers another server with id %" PRIu64
                                 " than the one asked, which is at %s",
                                 self->address, self->id, membership->address);
        return;
    }
    make_config(operation);
    describe_self(membership, self);
    if (!may_bootstrap(membership, operation)) {
        return;
    }
    operation->phase = MEMBERSHIP_BOOTSTRAPPING;
    for (size_t i = 0; i < operation->target_count; i++) {
        struct membership_target *target = &operation->targets[i];

        if (target->id != identity.id && !(is_same_cluster(operation, target) && target->has_log)) {
            send_bootstrap(membership, operation, target);
        }
    }
    if (!membership_operation_is_waiting(operation)) {
        bootstrap_self(membership, operation);
    }
}

void membership_init_start(struct membership *membership,
                           struct membership_operation *operation,
                           const Client__Init *init)
{
    struct node_identity identity = membership->port.identity(membership->port.context);
    struct membership_target *self;

    if (!membership_operation_take_targets(membership, operation, init->nodes, init->n_nodes)) {
        return;
    }
    self = membership_operation_find_target(operation, identity.id);
    if (self == NULL) {
        membership_operation_end(membership, operation, CLIENT__CODE__BAD_ARGUMENTS,
                                 "the server asked is server %" PRIu64
                                 " at %s, and is not among those named: "
                                 "ask one of them, or name it",
                                 identity.id, membership->address);
        return;
    }
    if (already_holds(membership, operation, &identity)) {
        membership_init_end(membership, operation);
        return;
    }
    memcpy(self->incarnation, identity.incarnation, sizeof self->incarnation);
    operation->phase = MEMBERSHIP_PROBING;
    for (size_t i = 0; i < operation->target_count; i++) {
        struct membership_target *target = &operation->targets[i];

        /* Another name for ourselves must be tried: the others will use it. */
        if (target != self || strcmp(target->address, membership->address) != 0) {
            membership_operation_query(membership, target);
        }
    }
    if (!membership_operation_is_waiting(operation)) {
        membership_init_on_probed(membership, operation);
    }
}

void membership_init_on_bootstrapped(struct membership *membership,
                                     struct membership_operation *operation,
                                     const struct membership_target *target,
                                     const Peer__Bootstrapped *bootstrapped)
{
    if (bootstrapped->refusal[0] != '\0') {
        membership_operation_end(membership, operation, CLIENT__CODE__REFUSED,
                                 "server %" PRIu64 " at %s did not take part: %s", target->id,
                                 target->address, bootstrapped->refusal);
    } else if (!membership_operation_is_waiting(operation)) {
        bootstrap_self(membership, operation);
    }
}

void membership_init_step(struct membership *membership, struct membership_operation *operation)
{
    struct raft_status raft = raft_status(membership->raft);

    if (raft.leader != 0 && raft.commit_index > 0) {
        membership_init_end(membership, operation);
    }
}
