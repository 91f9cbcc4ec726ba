#include "tests/simulation/membership_command.h"

#include "base/check.h"
#include "tests/simulation/tolerance.h"

#include <string.h>

static struct membership_command pack(const Client__Request *given)
{
    Client__Request request = *given;
    struct membership_command command = {.kind = request.body_case};

    request.id = 1;
    command.bytes = client__request__get_packed_size(&request);
    CHECK_OP(command.bytes, <=, sizeof command.packed);
    (void)client__request__pack(&request, command.packed);
    return command;
}

struct membership_command membership_command_init(struct cluster *cluster)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Init init = CLIENT__INIT__INIT;
    Client__NodeAddress nodes[NETWORK_PLACES_MAX];
    Client__NodeAddress *pointers[NETWORK_PLACES_MAX];

    for (size_t i = 0; i < cluster->settings.first_members; i++) {
        client__node_address__init(&nodes[i]);
        nodes[i].id = i + 1;
        nodes[i].address = cluster->servers[i].address;
        pointers[i] = &nodes[i];
    }
    init.nodes = pointers;
    init.n_nodes = cluster->settings.first_members;
    request.body_case = CLIENT__REQUEST__BODY_INIT;
    request.init = &init;
    return pack(&request);
}

struct membership_command membership_command_add(struct cluster_server *server, bool promote)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__AddLearner add = CLIENT__ADD_LEARNER__INIT;
    Client__NodeAddress node;

    client__node_address__init(&node);
    node.id = server->id;
    node.address = server->address;
    add.node = &node;
    add.promote = promote;
    request.body_case = CLIENT__REQUEST__BODY_ADD_LEARNER;
    request.add_learner = &add;
    return pack(&request);
}

struct membership_command membership_command_draw_change(const struct raft_config *config,
                                                         struct prng *prng)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__ChangeMembership change = CLIENT__CHANGE_MEMBERSHIP__INIT;
    uint64_t voters[NETWORK_PLACES_MAX];
    size_t count = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        if (timeline_chance(prng, 700)) {
            voters[count++] = config->members[i].id;
        }
    }
    if (count == 0) {
        return (struct membership_command){.bytes = 0};
    }
    change.voters = voters;
    change.n_voters = count;
    change.force = timeline_chance(prng, 150);
    request.body_case = CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP;
    request.change_membership = &change;
    return pack(&request);
}

struct membership_command membership_command_remove(raft_id id)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__RemoveMember remove = CLIENT__REMOVE_MEMBER__INIT;

    remove.id = id;
    request.body_case = CLIENT__REQUEST__BODY_REMOVE_MEMBER;
    request.remove_member = &remove;
    return pack(&request);
}

struct membership_command membership_command_transfer(raft_id target)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__TransferLeader transfer = CLIENT__TRANSFER_LEADER__INIT;

    transfer.target = target;
    request.body_case = CLIENT__REQUEST__BODY_TRANSFER_LEADER;
    request.transfer_leader = &transfer;
    return pack(&request);
}

struct membership_command membership_command_cancel(void)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__CancelChange cancel = CLIENT__CANCEL_CHANGE__INIT;

    request.body_case = CLIENT__REQUEST__BODY_CANCEL_CHANGE;
    request.cancel_change = &cancel;
    return pack(&request);
}

Client__Request *membership_command_unpack(const struct membership_command *command)
{
    Client__Request *request = client__request__unpack(NULL, command->bytes, command->packed);

    CHECK(request != NULL);
    return request;
}

static bool has_voters(const struct raft_config *config, const uint64_t *voters, size_t count)
{
    size_t present = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        present += (config->members[i].flags & RAFT_VOTER_NEW) != 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (!raft_config_is_voter(config, voters[i])) {
            return false;
        }
    }
    return present == count;
}

static bool waits_for_promotion(const struct raft_config *config)
{
    for (uint32_t i = 0; i < config->member_count; i++) {
        if ((config->members[i].flags & RAFT_PROMOTE) != 0) {
            return true;
        }
    }
    return false;
}

static bool is_met(const Client__Request *request, const struct raft_config *config)
{
    const struct raft_member *member;

    switch ((int)request->body_case) {
    case CLIENT__REQUEST__BODY_ADD_LEARNER:
        member = raft_config_find(config, request->add_learner->node->id);
        return member != NULL && (!request->add_learner->promote ||
                                  (member->flags & (RAFT_VOTER_NEW | RAFT_PROMOTE)) != 0);
    case CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP:
        return !config->joint && has_voters(config, request->change_membership->voters,
                                            request->change_membership->n_voters);
    case CLIENT__REQUEST__BODY_REMOVE_MEMBER:
        return !config->joint && raft_config_find(config, request->remove_member->id) == NULL;
    case CLIENT__REQUEST__BODY_CANCEL_CHANGE:
        return !config->joint && !waits_for_promotion(config);
    default:
        return true;
    }
}

bool membership_command_is_met(const struct membership_command *command,
                               const struct raft_config *config)
{
    Client__Request *request = membership_command_unpack(command);
    bool met = is_met(request, config);

    client__request__free_unpacked(request, NULL);
    return met;
}

/* --- Wisdom --- */

const struct raft_config *membership_command_config(const struct cluster *cluster)
{
    const struct raft_config *best = NULL;
    raft_index best_index = 0;

    for (size_t i = 0; i < cluster->settings.places; i++) {
        if (cluster->servers[i].node != NULL) {
            const struct raft *raft = node_raft(cluster->servers[i].node);
            raft_index index = raft_status(raft).config_index;

            if (best == NULL || index > best_index) {
                best = raft_config_effective(raft);
                best_index = index;
            }
        }
    }
    return best;
}

/* The voters there are but for `without`, and `with` among them; 0 = nobody. */
static size_t list_voters(const struct raft_config *config,
                          raft_id without,
                          raft_id with,
                          uint64_t voters[NETWORK_PLACES_MAX])
{
    size_t count = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct raft_member *member = &config->members[i];

        if ((member->flags & RAFT_VOTER_NEW) != 0 && member->id != without && member->id != with) {
            voters[count++] = member->id;
        }
    }
    if (with != 0) {
        voters[count++] = with;
    }
    return count;
}

/* False: it does not change who votes. */
static bool list_voters_after(const struct raft_config *config,
                              const Client__Request *request,
                              uint64_t voters[NETWORK_PLACES_MAX],
                              size_t *ret_count)
{
    switch ((int)request->body_case) {
    case CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP:
        *ret_count = request->change_membership->n_voters;
        memcpy(voters, request->change_membership->voters, *ret_count * sizeof voters[0]);
        return true;
    case CLIENT__REQUEST__BODY_REMOVE_MEMBER:
        *ret_count = list_voters(config, request->remove_member->id, 0, voters);
        return true;
    case CLIENT__REQUEST__BODY_ADD_LEARNER:
        *ret_count = list_voters(
            config, 0, request->add_learner->promote ? request->add_learner->node->id : 0, voters);
        return true;
    default:
        return false;
    }
}

bool membership_command_is_wise(struct cluster *cluster, const struct membership_command *command)
{
    const struct raft_config *config = membership_command_config(cluster);
    Client__Request *request = membership_command_unpack(command);
    uint64_t voters[NETWORK_PLACES_MAX];
    size_t count;
    bool changes = list_voters_after(config, request, voters, &count);

    client__request__free_unpacked(request, NULL);
    return !changes || (!cluster_has_unknown_copy(cluster) &&
                        (count == 0 || tolerance_permits(cluster, config, voters, count)));
}
