#include "server/node/reconfiguration.h"

#include <inttypes.h>
#include <string.h>

enum { SERVERS_MAX = 2 * RAFT_MEMBERS_MAX };

struct target {
    struct reconfiguration_server servers[SERVERS_MAX];
    size_t count;
};

static bool is_voter(const struct raft_member *member)
{
    return (member->flags & RAFT_VOTER_NEW) != 0;
}

static const struct reconfiguration_server *find(const struct target *target, raft_id id)
{
    for (size_t i = 0; i < target->count; i++) {
        if (target->servers[i].id == id) {
            return &target->servers[i];
        }
    }
    return NULL;
}

static void leave(struct target *target, raft_id id)
{
    for (size_t i = 0; i < target->count; i++) {
        if (target->servers[i].id == id) {
            target->count--;
            memmove(&target->servers[i], &target->servers[i + 1],
                    (target->count - i) * sizeof target->servers[0]);
            return;
        }
    }
}

static enum status check(const struct target *target, struct error *error)
{
    size_t voters = 0;

    for (size_t i = 0; i < target->count; i++) {
        const struct reconfiguration_server *server = &target->servers[i];

        voters += server->votes;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(target->servers[j].address, server->address) == 0) {
                return error_set(error, STATUS_INVALID,
                                 "servers %" PRIu64 " and %" PRIu64 " have the same address %s",
                                 target->servers[j].id, server->id, server->address);
            }
        }
    }
    if (voters < 1 || voters > RAFT_VOTERS_MAX || target->count > RAFT_MEMBERS_MAX) {
        return error_set(error, STATUS_INVALID,
                         "%zu members with %zu voters are wanted; a cluster has at most %d, and 1 "
                         "to %d voters",
                         target->count, voters, RAFT_MEMBERS_MAX, RAFT_VOTERS_MAX);
    }
    return STATUS_OK;
}

static enum status find_target(const struct raft_config *config,
                               const struct reconfiguration *wanted,
                               struct target *target,
                               struct error *error)
{
    target->count = 0;
    for (uint32_t i = 0; i < config->member_count && !wanted->replaces; i++) {
        const struct raft_member *member = &config->members[i];

        target->servers[target->count++] = (struct reconfiguration_server){
            .id = member->id, .address = member->address, .votes = is_voter(member)};
    }
    for (size_t i = 0; i < wanted->leaving_count; i++) {
        leave(target, wanted->leaving[i]);
    }
    for (size_t i = 0; i < wanted->server_count; i++) {
        leave(target, wanted->servers[i].id);
        target->servers[target->count++] = wanted->servers[i];
    }
    return check(target, error);
}

static bool is_taken(const struct raft_config *config, const char *address)
{
    for (uint32_t i = 0; i < config->member_count; i++) {
        if (strcmp(config->members[i].address, address) == 0) {
            return true;
        }
    }
    return false;
}

/* What the member stays as: it is where it shall be, and goes on as it is or becomes a voter. NULL:
 * it must leave. */
static const struct reconfiguration_server *stay(const struct target *target,
                                                 const struct raft_member *member)
{
    const struct reconfiguration_server *server = find(target, member->id);

    return server != NULL && strcmp(server->address, member->address) == 0 &&
                   (server->votes || !is_voter(member))
               ? server
               : NULL;
}

static bool find_addition(const struct raft_config *config,
                          const struct target *target,
                          struct reconfiguration_step *step)
{
    for (size_t i = 0; i < target->count; i++) {
        const struct reconfiguration_server *server = &target->servers[i];

        /* Who holds the address leaves it first. */
        if (raft_config_find(config, server->id) == NULL && !is_taken(config, server->address)) {
            step->kind = RECONFIGURATION_ADD;
            step->id = server->id;
            step->address = server->address;
            return true;
        }
    }
    return false;
}

static bool find_change(const struct raft_config *config,
                        const struct target *target,
                        struct reconfiguration_step *step)
{
    bool differs = false;

    step->voter_count = 0;
    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct raft_member *member = &config->members[i];
        const struct reconfiguration_server *server = stay(target, member);
        bool votes = server != NULL && server->votes;

        differs = differs || votes != is_voter(member);
        step->has_new_voters = step->has_new_voters || (votes && !is_voter(member));
        if (votes) {
            step->voters[step->voter_count++] = member->id;
        }
    }
    step->kind = RECONFIGURATION_CHANGE;
    return differs;
}

static bool leaves(const struct raft_config *config, const struct target *target, raft_id id)
{
    const struct raft_member *member = raft_config_find(config, id);

    return member != NULL && stay(target, member) == NULL;
}

/* A learner to be removed; `self` only if there is no other. */
static bool find_removal(const struct raft_config *config,
                         const struct target *target,
                         raft_id self,
                         struct reconfiguration_step *step)
{
    bool found = false;

    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct raft_member *member = &config->members[i];

        if (!is_voter(member) && stay(target, member) == NULL && (!found || step->id == self)) {
            step->id = member->id;
            found = true;
        }
    }
    step->kind = RECONFIGURATION_REMOVE;
    return found;
}

static bool find_step(const struct raft_config *config,
                      const struct target *target,
                      raft_id self,
                      struct reconfiguration_step *step)
{
    if (find_addition(config, target, step)) {
        return true;
    }
    /* What fails shall have taken nobody away; but who is gone sees to nothing more. */
    if (leaves(config, target, self)) {
        return (find_removal(config, target, self, step) && step->id != self) ||
               find_change(config, target, step) || find_removal(config, target, self, step);
    }
    return find_change(config, target, step) || find_removal(config, target, self, step);
}

enum status reconfiguration_next(const struct raft_config *config,
                                 const struct reconfiguration *wanted,
                                 struct reconfiguration_step *ret_step,
                                 struct error *error)
{
    struct reconfiguration_step step = {.kind = RECONFIGURATION_DONE};
    struct target target;
    enum status status = find_target(config, wanted, &target, error);

    if (status != STATUS_OK) {
        return status;
    }
    if (leaves(config, &target, wanted->self) && find(&target, wanted->self) != NULL) {
        return error_set(error, STATUS_INVALID,
                         "server %" PRIu64 " itself would have to leave and to come again: ask "
                         "another one",
                         wanted->self);
    }
    if (!find_step(config, &target, wanted->self, &step)) {
        step.kind = RECONFIGURATION_DONE;
    }
    if (step.kind == RECONFIGURATION_CHANGE && step.voter_count == 0) {
        return error_set(error, STATUS_INVALID,
                         "no voter stays where and what it is: change one after the other");
    }
    *ret_step = step;
    return STATUS_OK;
}
