#include "server/node/membership_change.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

/* --- Add a learner --- */

static const struct raft_member *find_address(const struct raft_config *config, const char *address)
{
    for (uint32_t i = 0; i < config->member_count; i++) {
        if (strcmp(config->members[i].address, address) == 0) {
            return &config->members[i];
        }
    }
    return NULL;
}

/* A voter, or a learner that shall become one. */
static bool is_promoted(const struct raft_member *member)
{
    return member != NULL && (member->flags & (RAFT_VOTER_NEW | RAFT_PROMOTE)) != 0;
}

static size_t count_voters_to_be(const struct raft_config *config)
{
    size_t count = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        count += is_promoted(&config->members[i]) ? 1 : 0;
    }
    return count;
}

/* Against the present configuration: ends the operation and returns false, or returns true. The
 * incarnation is looked at only once it is known. */
static bool may_add(struct membership *membership,
                    struct membership_operation *operation,
                    const struct membership_target *target,
                    bool knows_incarnation)
{
    const struct raft_config *config = raft_config_effective(membership->raft);
    const struct raft_member *member = raft_config_find(config, target->id);
    const struct raft_member *other = find_address(config, target->address);

    if (other != NULL && other->id != target->id) {
        membership_operation_end(membership, operation, CLIENT__CODE__CONFLICT,
                                 "%s is the address of member %" PRIu64, target->address,
                                 other->id);
        return false;
    }
    if (member != NULL && strcmp(member->address, target->address) != 0) {
        membership_operation_end(membership, operation, CLIENT__CODE__CONFLICT,
                                 "server %" PRIu64
                                 " is a member at %s already: to move it, remove-member %" PRIu64
                                 " first",
                                 target->id, member->address, target->id);
        return false;
    }
    if (member != NULL && knows_incarnation &&
        memcmp(member->incarnation, target->incarnation, sizeof member->incarnation) != 0) {
        membership_operation_end(membership, operation, CLIENT__CODE__CONFLICT,
                                 "server %" PRIu64
                                 " at %s has another data folder than member %" PRIu64
                                 ": remove-member %" PRIu64 " first, then add it again",
                                 target->id, target->address, target->id, target->id);
        return false;
    }
    if (operation->promote && !is_promoted(member) &&
        count_voters_to_be(config) >= RAFT_VOTERS_MAX) {
        membership_operation_end(membership, operation, CLIENT__CODE__LIMIT,
                                 "a cluster has at most %d voters, those to be promoted included: "
                                 "remove one first, or add this one as a learner",
                                 RAFT_VOTERS_MAX);
        return false;
    }
    return true;
}

/* Who leads is a member, or leaves and leads until another one does: that one can take it in. */
static void answer_self(struct membership *membership, struct membership_operation *operation)
{
    raft_id id = operation->targets[0].id;

    if (raft_config_find(raft_config_effective(membership->raft), id) != NULL) {
        membership_operation_end(membership, operation, CLIENT__CODE__OK,
                                 "server %" PRIu64 " is a member already", id);
    } else {
        membership_operation_end(membership, operation, CLIENT__CODE__NO_LEADER,
                                 "this server leaves, and the next leader can take it in");
    }
}

static void start_add(struct membership *membership,
                      struct membership_operation *operation,
                      const Client__AddLearner *add)
{
    struct node_identity identity = membership->port.identity(membership->port.context);
    struct membership_target *target = &operation->targets[0];
    size_t count = add->node == NULL ? 0 : 1;

    operation->promote = add->promote;
    operation->only_config = add->only_config_zxid;
    if (!membership_operation_take_targets(membership, operation, &add->node, count)) {
        return;
    }
    if (!may_add(membership, operation, target, false)) {
        return;
    }
    if (target->id == identity.id) {
        answer_self(membership, operation);
        return;
    }
    if (strcmp(target->address, membership->address) == 0) {
        membership_operation_end(membership, operation, CLIENT__CODE__REFUSED,
                                 "%s is the address of server %" PRIu64 " itself", target->address,
                                 identity.id);
        return;
    }
    operation->phase = MEMBERSHIP_PROBING;
    membership_operation_query(membership, target);
}

void membership_change_on_probed(struct membership *membership,
                                 struct membership_operation *operation,
                                 const struct membership_target *target)
{
    struct node_identity identity = membership->port.identity(membership->port.context);
    bool is_ours = target->has_cluster &&
                   memcmp(target->cluster_id, identity.cluster_id, NODE_CLUSTER_ID_BYTES) == 0;
    char hex[MEMBERSHIP_HEX_BYTES];

    if (target->has_cluster && !is_ours) {
        membership_operation_hex(target->cluster_id, hex);
        membership_operation_end(membership, operation, CLIENT__CODE__REFUSED,
                                 "server %" PRIu64 " at %s belongs to another cluster, %s: "
                                 "start it with an empty data folder",
                                 target->id, target->address, hex);
    } else if (target->has_log && !target->has_cluster) {
        membership_operation_end(membership, operation, CLIENT__CODE__REFUSED,
                                 "server %" PRIu64 " at %s already holds a log without a cluster: "
                                 "start it with an empty data folder",
                                 target->id, target->address);
    } else {
        operation->phase = MEMBERSHIP_PROPOSING;
    }
}

bool membership_change_on_unreachable(struct membership *membership,
                                      struct membership_operation *operation)
{
    const struct membership_target *target = &operation->targets[0];
    const struct raft_config *config = raft_config_effective(membership->raft);
    const struct raft_member *member = raft_config_find(config, target->id);

    if (raft_status(membership->raft).role != RAFT_LEADER ||
        !raft_status(membership->raft).config_committed || member == NULL ||
        strcmp(member->address, target->address) != 0 ||
        (operation->promote && !is_promoted(member))) {
        return false;
    }
    membership_operation_end(membership, operation, CLIENT__CODE__OK,
                             "server %" PRIu64
                             " is a member already, but does not answer at %s now",
                             target->id, target->address);
    return true;
}

/* --- What the core must do --- */

static bool has_voters(const struct raft_config *config, const raft_id *voters, size_t count)
{
    size_t present = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        present += (config->members[i].flags & RAFT_VOTER_NEW) != 0;
    }
    for (size_t i = 0; i < count; i++) {
        const struct raft_member *member = raft_config_find(config, voters[i]);

        if (member == NULL || (member->flags & RAFT_VOTER_NEW) == 0) {
            return false;
        }
    }
    return present == count;
}

static bool is_named(const raft_id *ids, size_t count, raft_id id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

/* The first learner that shall be promoted and is not among these; NULL if there is none. */
static const struct raft_member *
find_promotion(const struct raft_config *config, const raft_id *but, size_t count)
{
    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct raft_member *member = &config->members[i];

        if ((member->flags & RAFT_PROMOTE) != 0 && !is_named(but, count, member->id)) {
            return member;
        }
    }
    return NULL;
}

/* The configuration is what the operation is to bring about. */
static bool is_wanted(const struct membership_operation *operation,
                      const struct raft_config *config)
{
    const struct membership_target *target = &operation->targets[0];
    const struct raft_member *member;

    switch (operation->kind) {
    case MEMBERSHIP_ADD:
        member = raft_config_find(config, target->id);
        return member != NULL && strcmp(member->address, target->address) == 0 &&
               memcmp(member->incarnation, target->incarnation, sizeof member->incarnation) == 0 &&
               (!operation->promote || is_promoted(member));
    case MEMBERSHIP_CHANGE:
        return !config->joint && has_voters(config, operation->voters, operation->voter_count);
    case MEMBERSHIP_REMOVE:
        return !config->joint && raft_config_find(config, operation->id) == NULL;
    case MEMBERSHIP_CANCEL:
        return !config->joint && find_promotion(config, NULL, 0) == NULL;
    case MEMBERSHIP_INIT:
    case MEMBERSHIP_TRANSFER:
        break;
    }
    return false;
}

/* The set of voters without `id`. */
static size_t
voters_without(const struct raft_config *config, raft_id id, raft_id voters[RAFT_MEMBERS_MAX])
{
    size_t count = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        if ((config->members[i].flags & RAFT_VOTER_NEW) != 0 && config->members[i].id != id) {
            voters[count] = config->members[i].id;
            count++;
        }
    }
    return count;
}

static enum status
propose_add(struct membership *membership, struct membership_operation *operation, uint64_t now_us)
{
    const struct membership_target *target = &operation->targets[0];
    struct raft_member member;

    memset(&member, 0, sizeof member);
    member.id = target->id;
    memcpy(member.incarnation, target->incarnation, sizeof member.incarnation);
    memcpy(member.address, target->address, strlen(target->address));
    member.flags = operation->promote ? RAFT_PROMOTE : 0;
    return raft_add_learner(membership->raft, now_us, &member, &operation->index);
}

static enum status propose_remove(struct membership *membership,
                                  struct membership_operation *operation,
                                  uint64_t now_us)
{
    const struct raft_config *config = raft_config_effective(membership->raft);
    const struct raft_member *member = raft_config_find(config, operation->id);
    raft_id voters[RAFT_MEMBERS_MAX];
    size_t count;

    if (config->joint || member == NULL) {
        return STATUS_BUSY; /* wait for what is under way */
    }
    if ((member->flags & RAFT_VOTER_NEW) == 0) {
        return raft_remove_learner(membership->raft, now_us, operation->id, &operation->index);
    }
    count = voters_without(config, operation->id, voters);
    return raft_change_voters(membership->raft, now_us, voters, count, false, false,
                              &operation->index);
}

static enum status propose_cancel(struct membership *membership,
                                  struct membership_operation *operation,
                                  uint64_t now_us)
{
    const struct raft_config *config = raft_config_effective(membership->raft);
    const struct raft_member *promotion = find_promotion(config, NULL, 0);
    char from[MEMBERSHIP_LIST_BYTES];
    char to[MEMBERSHIP_LIST_BYTES];

    if (config->joint) {
        membership_operation_list_voters(config, RAFT_VOTER_OLD, from);
        membership_operation_list_voters(config, RAFT_VOTER_NEW, to);
        (void)snprintf(operation->note, sizeof operation->note,
                       "the change of voters from %s to %s is taken back", from, to);
    } else if (promotion != NULL) {
        (void)snprintf(operation->note, sizeof operation->note,
                       "server %" PRIu64 " stays a learner; remove-member takes it out",
                       promotion->id);
    }
    return raft_cancel_change(membership->raft, now_us, &operation->index);
}

static enum status
propose(struct membership *membership, struct membership_operation *operation, uint64_t now_us)
{
    switch (operation->kind) {
    case MEMBERSHIP_ADD:
        return propose_add(membership, operation, now_us);
    case MEMBERSHIP_CHANGE:
        return raft_change_voters(membership->raft, now_us, operation->voters,
                                  operation->voter_count, false, operation->force,
                                  &operation->index);
    case MEMBERSHIP_REMOVE:
        return propose_remove(membership, operation, now_us);
    case MEMBERSHIP_TRANSFER:
        return raft_transfer(membership->raft, now_us, operation->id);
    case MEMBERSHIP_CANCEL:
        return propose_cancel(membership, operation, now_us);
    case MEMBERSHIP_INIT:
        break;
    }
    CHECK(false);
    return STATUS_INVALID;
}

/* A change of voters that was asked for before and waits, and leads elsewhere; NULL if none does.
 */
static const struct membership_operation *
find_other_change(const struct membership *membership, const struct membership_operation *operation)
{
    const struct list *link = membership->operations.next;

    for (; link != &operation->link; link = link->next) {
        const struct membership_operation *other =
            CONTAINER_OF(link, const struct membership_operation, link);
        bool is_same = other->voter_count == operation->voter_count;

        for (size_t i = 0; i < other->voter_count && is_same; i++) {
            is_same = is_named(operation->voters, operation->voter_count, other->voters[i]);
        }
        if (other->kind == MEMBERSHIP_CHANGE && other->phase == MEMBERSHIP_PROPOSING && !is_same) {
            return other;
        }
    }
    return NULL;
}

/* Whether it would undo, or be undone by, what is under way. Ends the operation then. */
static bool is_contradictory(struct membership *membership, struct membership_operation *operation)
{
    const struct raft_config *config = raft_config_effective(membership->raft);
    const struct membership_operation *other = find_other_change(membership, operation);
    const struct raft_member *promotion =
        find_promotion(config, operation->voters, operation->voter_count);
    char from[MEMBERSHIP_LIST_BYTES];
    char to[MEMBERSHIP_LIST_BYTES];

    if (config->joint && !has_voters(config, operation->voters, operation->voter_count)) {
        membership_operation_list_voters(config, RAFT_VOTER_OLD, from);
        membership_operation_list_voters(config, RAFT_VOTER_NEW, to);
        membership_operation_end(membership, operation, CLIENT__CODE__CONFLICT,
                                 "a change of voters from %s to %s is under way: wait for its end, "
                                 "or cancel-change",
                                 from, to);
    } else if (other != NULL) {
        membership_operation_list(other->voters, other->voter_count, to);
        membership_operation_end(membership, operation, CLIENT__CODE__CONFLICT,
                                 "a change to the voters %s was asked for before and waits: wait "
                                 "for its end, or cancel-change",
                                 to);
    } else if (promotion != NULL) {
        membership_operation_end(membership, operation, CLIENT__CODE__CONFLICT,
                                 "server %" PRIu64 " is being promoted: name it among the voters, "
                                 "wait for its end, or cancel-change",
                                 promotion->id);
    } else {
        return false;
    }
    return true;
}

/* Whether the member to be removed is just being made a voter. Ends the operation then. */
static bool is_arriving(struct membership *membership, struct membership_operation *operation)
{
    const struct raft_config *config = raft_config_effective(membership->raft);
    const struct raft_member *member = raft_config_find(config, operation->id);
    char to[MEMBERSHIP_LIST_BYTES];

    if (!config->joint || member == NULL || member->flags != RAFT_VOTER_NEW) {
        return false;
    }
    membership_operation_list_voters(config, RAFT_VOTER_NEW, to);
    membership_operation_end(membership, operation, CLIENT__CODE__CONFLICT,
                             "a change to the voters %s is under way, which server %" PRIu64
                             " is to be one of: wait for its end, or cancel-change",
                             to, operation->id);
    return true;
}

static bool changes_voters(const struct membership_operation *operation,
                           const struct raft_config *config)
{
    return !config->joint &&
           ((operation->kind == MEMBERSHIP_CHANGE && !operation->force) ||
            (operation->kind == MEMBERSHIP_REMOVE && raft_config_is_voter(config, operation->id)));
}

/* Without whom those of these voters that answer are no majority, and who can store nothing before
 * a majority says what is right; 0 = nobody. */
static raft_id
find_held_back(const struct membership *membership, const raft_id *voters, size_t count)
{
    size_t able = count;
    raft_id first = 0;

    for (size_t i = 0; i < count; i++) {
        bool held_back = membership->port.is_held_back(membership->port.context, voters[i]);
        struct raft_peer_status peer;

        if (held_back) {
            first = first == 0 ? voters[i] : first;
        }
        if (held_back ||
            (raft_peer_status(membership->raft, voters[i], &peer) == STATUS_OK && !peer.active)) {
            able--;
        }
    }
    return able < count / 2 + 1 ? first : 0;
}

/* Whether the change of voters would wait for one that gets no further before a majority says what
 * is right. Ends the operation then. */
static bool is_held_back(struct membership *membership, struct membership_operation *operation)
{
    const struct raft_config *config = raft_config_effective(membership->raft);
    raft_id voters[RAFT_MEMBERS_MAX];
    raft_id now = find_held_back(membership, voters, voters_without(config, 0, voters));
    raft_id then;

    if (operation->kind == MEMBERSHIP_CHANGE) {
        then = find_held_back(membership, operation->voters, operation->voter_count);
    } else {
        then = find_held_back(membership, voters, voters_without(config, operation->id, voters));
    }
    if (now != 0) {
        membership_operation_end(membership, operation, CLIENT__CODE__CONFLICT,
                                 "without server %" PRIu64
                                 " there is no majority, and it lags and gets no dump before a "
                                 "majority says what is right: --recover the server that you trust "
                                 "(docs/OPERATIONS.md, \"Damage\")",
                                 now);
    } else if (then != 0) {
        membership_operation_end(membership, operation, CLIENT__CODE__CONFLICT,
                                 "without server %" PRIu64
                                 " these voters are no majority, and it lags and gets no dump "
                                 "before a majority says what is right: remove-member %" PRIu64
                                 " first, or, if nobody else holds the "
                                 "right state, --recover it (docs/OPERATIONS.md, \"Damage\")",
                                 then, then);
    }
    return now != 0 || then != 0;
}

/* Against the present configuration, looked at anew before each try. Ends the operation, or returns
 * true. */
static bool may_propose(struct membership *membership, struct membership_operation *operation)
{
    const struct raft_config *config = raft_config_effective(membership->raft);
    raft_index index = raft_status(membership->raft).config_index;
    raft_id voters[RAFT_MEMBERS_MAX];

    if (operation->only_config != 0 && operation->only_config != index) {
        membership_operation_end(membership, operation, CLIENT__CODE__BAD_VERSION,
                                 "the configuration is that of zxid %" PRIu64 ", not of %" PRIu64,
                                 index, operation->only_config);
        return false;
    }
    if (operation->kind == MEMBERSHIP_ADD) {
        return may_add(membership, operation, &operation->targets[0], true);
    }
    for (size_t i = 0; operation->kind == MEMBERSHIP_CHANGE && i < operation->voter_count; i++) {
        if (raft_config_find(config, operation->voters[i]) == NULL) {
            membership_operation_end(
                membership, operation, CLIENT__CODE__CONFLICT,
                "server %" PRIu64 " is not a member: add-learner --node %" PRIu64 "=ADDRESS first",
                operation->voters[i], operation->voters[i]);
            return false;
        }
    }
    if (operation->kind == MEMBERSHIP_CHANGE && is_contradictory(membership, operation)) {
        return false;
    }
    if (operation->kind == MEMBERSHIP_REMOVE && is_arriving(membership, operation)) {
        return false;
    }
    if (operation->kind == MEMBERSHIP_REMOVE && !config->joint &&
        raft_config_is_voter(config, operation->id) &&
        voters_without(config, operation->id, voters) == 0) {
        membership_operation_end(
            membership, operation, CLIENT__CODE__CONFLICT,
            "server %" PRIu64 " is the only voter: make another one with change-membership first",
            operation->id);
        return false;
    }
    return !changes_voters(operation, config) || !is_held_back(membership, operation);
}

/* The core says no for good. */
static void end_refused(struct membership *membership,
                        struct membership_operation *operation,
                        enum status status)
{
    if (status == STATUS_NOT_LEADER) {
        membership_operation_end(membership, operation, CLIENT__CODE__NO_LEADER,
                                 "this server leads no more");
    } else if (operation->kind == MEMBERSHIP_TRANSFER && status == STATUS_UNAVAILABLE) {
        membership_operation_end(membership, operation, CLIENT__CODE__UNREACHABLE,
                                 "no voter that could lead is reachable by the leader");
    } else if (operation->kind == MEMBERSHIP_TRANSFER) {
        membership_operation_end(membership, operation, CLIENT__CODE__CONFLICT,
                                 "server %" PRIu64 " is not a voter: only a voter can lead",
                                 operation->id);
    } else if (operation->kind == MEMBERSHIP_CANCEL) {
        membership_operation_end(
            membership, operation, CLIENT__CODE__CONFLICT,
            "the change is past the point of return and completes by itself as soon as majorities "
            "of the old and of the new voters are up: see status; change-membership then goes "
            "back");
    } else if (operation->kind == MEMBERSHIP_ADD) {
        membership_operation_end(membership, operation, CLIENT__CODE__LIMIT,
                                 "a cluster has at most %d members", RAFT_MEMBERS_MAX);
    } else {
        membership_operation_end(membership, operation, CLIENT__CODE__CONFLICT,
                                 "the configuration asked for is not legal now: %s",
                                 status_text(status));
    }
}

/* Whether trying again later can help. */
static bool is_passing(const struct membership_operation *operation, enum status status)
{
    return status == STATUS_BUSY ||
           (status == STATUS_CONFLICT && operation->kind != MEMBERSHIP_TRANSFER &&
            operation->kind != MEMBERSHIP_CANCEL);
}

static void step_proposing(struct membership *membership,
                           struct membership_operation *operation,
                           uint64_t now_us)
{
    struct raft_status raft = raft_status(membership->raft);
    enum status status;

    if (raft.role != RAFT_LEADER) {
        membership_operation_end(membership, operation, CLIENT__CODE__NO_LEADER,
                                 "this server leads no more");
        return;
    }
    if (raft.config_committed && is_wanted(operation, raft_config_effective(membership->raft))) {
        if (operation->kind == MEMBERSHIP_REMOVE) {
            membership_operation_end(membership, operation, CLIENT__CODE__OK,
                                     "server %" PRIu64 " is not a member", operation->id);
        } else if (operation->kind == MEMBERSHIP_CANCEL) {
            membership_operation_end(membership, operation, CLIENT__CODE__OK, "%s",
                                     operation->note[0] != '\0' ? operation->note
                                                                : "no change is under way");
        } else {
            membership_operation_end(membership, operation, CLIENT__CODE__OK, "%s", "");
        }
        return;
    }
    if (!may_propose(membership, operation)) {
        return;
    }
    status = propose(membership, operation, now_us);
    operation->last_refusal = status;
    if (status == STATUS_OK) {
        operation->phase = MEMBERSHIP_COMMITTING;
        operation->term = raft.term;
    } else if (!is_passing(operation, status)) {
        end_refused(membership, operation, status);
    }
}

static void step_transferring(struct membership *membership, struct membership_operation *operation)
{
    struct raft_status raft = raft_status(membership->raft);
    raft_id self = membership->port.identity(membership->port.context).id;

    if (raft.leader != 0 &&
        (operation->id == 0 ? raft.leader != self : raft.leader == operation->id)) {
        membership_operation_end(membership, operation, CLIENT__CODE__OK,
                                 "server %" PRIu64 " leads", raft.leader);
    } else if (raft.role == RAFT_LEADER && raft.transfer_target == 0) {
        membership_operation_end(
            membership, operation, CLIENT__CODE__CONFLICT,
            "leadership was not taken over in time; server %" PRIu64 " leads on", self);
    } else if (raft.leader != 0 && raft.leader != self) {
        membership_operation_end(membership, operation, CLIENT__CODE__CONFLICT,
                                 "server %" PRIu64 " leads now, not %" PRIu64, raft.leader,
                                 operation->id);
    }
}

/* A learner that was added takes part once it holds the configuration that names it: who adds it
 * may ask it the next thing. One that does not get that far is a member all the same. Who wants a
 * voter waits for more than that. */
static bool waits_for_learner(const struct membership *membership,
                              struct membership_operation *operation,
                              uint64_t now_us)
{
    struct raft_peer_status peer;

    if (operation->kind != MEMBERSHIP_ADD || operation->promote ||
        raft_peer_status(membership->raft, operation->targets[0].id, &peer) != STATUS_OK ||
        peer.match >= operation->index) {
        return false;
    }
    if (operation->patience_us == 0) {
        operation->patience_us = now_us + MEMBERSHIP_LEARNER_PATIENCE_US;
    }
    return now_us < operation->patience_us;
}

static void step_committing(struct membership *membership,
                            struct membership_operation *operation,
                            uint64_t now_us)
{
    struct raft_status raft = raft_status(membership->raft);
    raft_index index = 0;
    const struct raft_config *config;

    if (operation->kind == MEMBERSHIP_TRANSFER) {
        step_transferring(membership, operation);
        return;
    }
    config = raft_config_committed(membership->raft, &index);
    if (index >= operation->index && is_wanted(operation, config)) {
        if (waits_for_learner(membership, operation, now_us)) {
            return;
        }
        membership_operation_end(membership, operation, CLIENT__CODE__OK, "%s", operation->note);
    } else if (raft.role == RAFT_LEADER && raft.term == operation->term && raft.config_committed &&
               index > operation->index && !config->joint) {
        membership_operation_end(membership, operation, CLIENT__CODE__CONFLICT,
                                 operation->kind == MEMBERSHIP_ADD
                                     ? "undone by another request before it was complete"
                                     : "taken back before it was complete: by cancel-change, or "
                                       "because no majority of the new voters answered any more");
    } else if (raft.role != RAFT_LEADER || raft.term != operation->term) {
        membership_operation_end(membership, operation, CLIENT__CODE__UNKNOWN_OUTCOME,
                                 "the leader changed before the change was complete");
    }
}

/* --- Too late --- */

/* The first of the wanted voters that holds the change up; 0 if none does. */
static raft_id find_laggard(const struct membership *membership,
                            const struct membership_operation *operation)
{
    struct raft_peer_status peer;

    for (size_t i = 0; i < operation->voter_count; i++) {
        raft_id id = operation->voters[i];

        if (raft_peer_status(membership->raft, id, &peer) == STATUS_OK && !peer.caught_up) {
            return id;
        }
    }
    return 0;
}

static void end_unproposed(struct membership *membership, struct membership_operation *operation)
{
    raft_id laggard = find_laggard(membership, operation);
    struct raft_peer_status peer;

    if (operation->last_refusal == STATUS_CONFLICT && laggard != 0 &&
        raft_peer_status(membership->raft, laggard, &peer) == STATUS_OK) {
        membership_operation_end(
            membership, operation, CLIENT__CODE__CONFLICT,
            "server %" PRIu64 " has not caught up (%" PRIu64 " of %" PRIu64
            " entries) and cannot vote yet: check that it runs, wait, and try again; or let "
            "add-learner --promote do it in its own time",
            laggard, peer.match, raft_status(membership->raft).last_index);
    } else {
        membership_operation_end(
            membership, operation, CLIENT__CODE__BUSY,
            "another change or a transfer of leadership is under way; try again");
    }
}

static bool may_start(struct membership *membership, struct membership_operation *operation)
{
    if (raft_config_effective(membership->raft)->member_count == 0) {
        membership_operation_end(
            membership, operation, CLIENT__CODE__NO_CLUSTER,
            "this server belongs to no cluster yet: run init first, or ask a member");
        return false;
    }
    if (raft_status(membership->raft).role != RAFT_LEADER) {
        membership_operation_end(membership, operation, CLIENT__CODE__NO_LEADER,
                                 "this server does not lead");
        return false;
    }
    return true;
}

/* What waits for the core to take it is given up first; the rest is the core's. */
static void start_cancel(struct membership *membership, struct membership_operation *operation)
{
    char to[MEMBERSHIP_LIST_BYTES];

    LIST_FOR_EACH (link, &membership->operations) {
        struct membership_operation *other = CONTAINER_OF(link, struct membership_operation, link);

        if (other->kind != MEMBERSHIP_CHANGE || other->phase != MEMBERSHIP_PROPOSING) {
            continue;
        }
        membership_operation_list(other->voters, other->voter_count, to);
        (void)snprintf(operation->note, sizeof operation->note,
                       "the change to the voters %s is given up before it began", to);
        membership_operation_end(membership, other, CLIENT__CODE__CONFLICT,
                                 "cancelled before it began, by cancel-change");
    }
}

static void start_change(struct membership *membership,
                         struct membership_operation *operation,
                         const Client__ChangeMembership *change)
{
    if (change->n_voters < 1 || change->n_voters > RAFT_VOTERS_MAX) {
        membership_operation_end(membership, operation, CLIENT__CODE__BAD_ARGUMENTS,
                                 "%zu voters are named; a cluster has 1 to %d", change->n_voters,
                                 RAFT_VOTERS_MAX);
        return;
    }
    for (size_t i = 0; i < change->n_voters; i++) {
        for (size_t j = 0; j < i; j++) {
            if (change->voters[i] == change->voters[j]) {
                membership_operation_end(membership, operation, CLIENT__CODE__BAD_ARGUMENTS,
                                         "server %" PRIu64 " is named twice", change->voters[i]);
                return;
            }
        }
        operation->voters[i] = change->voters[i];
    }
    operation->voter_count = change->n_voters;
    operation->force = change->force;
    operation->only_config = change->only_config_zxid;
}

void membership_change_start(struct membership *membership,
                             struct membership_operation *operation,
                             const Client__Request *request)
{
    if (!may_start(membership, operation)) {
        return;
    }
    operation->phase = MEMBERSHIP_PROPOSING;
    switch (operation->kind) {
    case MEMBERSHIP_ADD:
        start_add(membership, operation, request->add_learner);
        break;
    case MEMBERSHIP_CHANGE:
        start_change(membership, operation, request->change_membership);
        break;
    case MEMBERSHIP_REMOVE:
        operation->id = request->remove_member->id;
        operation->only_config = request->remove_member->only_config_zxid;
        break;
    case MEMBERSHIP_TRANSFER:
        operation->id = request->transfer_leader->target;
        break;
    case MEMBERSHIP_CANCEL:
        start_cancel(membership, operation);
        break;
    case MEMBERSHIP_INIT:
        CHECK(false);
    }
}

void membership_change_step(struct membership *membership,
                            struct membership_operation *operation,
                            uint64_t now_us)
{
    if (operation->phase == MEMBERSHIP_PROPOSING) {
        step_proposing(membership, operation, now_us);
    } else {
        step_committing(membership, operation, now_us);
    }
}

void membership_change_end_late(struct membership *membership,
                                struct membership_operation *operation)
{
    if (operation->phase == MEMBERSHIP_PROPOSING) {
        end_unproposed(membership, operation);
    } else {
        membership_operation_end(
            membership, operation, CLIENT__CODE__UNKNOWN_OUTCOME,
            "begun, but not complete in time: is a majority of the voters up? See status");
    }
}
