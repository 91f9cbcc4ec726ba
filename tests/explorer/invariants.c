#include "tests/explorer/invariants.h"

#include "base/check.h"
#include "raft/raft_config.h"

#include <string.h>

static bool disk_has(const struct site_view *view, uint8_t index, uint8_t entry)
{
    return index <= view->disk_base || view->disk_entries[index] == entry;
}

/* --- Leaders --- */

static bool is_new_leader(const struct site_view *before, const struct site_view *after)
{
    return after->role == RAFT_LEADER &&
           (before->role != RAFT_LEADER || before->term != after->term);
}

static const char *check_election(const struct site_view *leader, struct ghost *ghost)
{
    CHECK_OP(leader->term, <, STATE_TERMS_MAX);
    uint8_t *known = &ghost->leaders[leader->term];
    if (*known != 0 && *known != leader->id) {
        return "S1: a term has two leaders";
    }
    *known = leader->id;
    if (leader->last < ghost->committed) {
        return "S6: a new leader lacks committed entries";
    }
    for (uint8_t i = leader->base + 1; i <= ghost->committed; i++) {
        if (leader->entries[i] != ghost->history[i]) {
            return "S6: a new leader has another entry in place of a committed one";
        }
    }
    return NULL;
}

/* --- Commit --- */

/* Counted here and not by raft_config_is_quorum: the core itself counts with that. */
static bool half_holds(const struct world *world,
                       const struct state *state,
                       const struct raft_config *config,
                       uint8_t flag,
                       uint8_t index,
                       uint8_t entry)
{
    uint32_t voters = 0;
    uint32_t holders = 0;
    for (uint32_t i = 0; i < config->member_count; i++) {
        if ((config->members[i].flags & flag) != 0) {
            voters++;
            holders +=
                disk_has(world_view(world, state, (uint8_t)config->members[i].id), index, entry);
        }
    }
    return 2 * holders > voters;
}

static bool has_quorum(const struct world *world,
                       const struct state *state,
                       uint8_t number,
                       uint8_t index,
                       uint8_t entry)
{
    if (number == 0) {
        return false;
    }
    const struct raft_config *config = vocabulary_config(&world->sites.vocabulary, number);
    return half_holds(world, state, config, RAFT_VOTER_NEW, index, entry) &&
           (!config->joint || half_holds(world, state, config, RAFT_VOTER_OLD, index, entry));
}

/* Whether the configuration after `index` in the log takes back the one that stands there. */
static bool is_taken_back(const struct world *world,
                          const struct site_view *view,
                          uint8_t index,
                          uint8_t config)
{
    const struct vocabulary *vocabulary = &world->sites.vocabulary;
    for (uint8_t i = index + 1; i <= view->last; i++) {
        struct vocabulary_entry entry = vocabulary_entry_of(vocabulary, view->entries[i]);
        if (entry.type == RAFT_ENTRY_CONFIG) {
            return raft_config_takes_back(vocabulary_config(vocabulary, entry.config),
                                          vocabulary_config(vocabulary, config));
        }
    }
    return false;
}

/* While a configuration is not committed no other is appended, so each is committed under itself;
 * but not a joint one that was taken back, as then the one before it is in force again. */
static const char *check_configs(struct world *world,
                                 const struct state *state,
                                 const struct site_view *leader,
                                 uint8_t first)
{
    for (uint8_t i = first; i <= leader->commit; i++) {
        struct vocabulary_entry entry =
            vocabulary_entry_of(&world->sites.vocabulary, leader->entries[i]);
        if (entry.type == RAFT_ENTRY_CONFIG &&
            !has_quorum(world, state, entry.config, i, leader->entries[i]) &&
            !is_taken_back(world, leader, i, entry.config)) {
            return "S8: a configuration is committed without a quorum of disks of its own";
        }
    }
    return NULL;
}

/* What follows a configuration in the same step may have been committed under its successor. */
static const char *check_quorum(struct world *world,
                                const struct transition *transition,
                                const struct site_view *before,
                                const struct site_view *after)
{
    const struct state *state = transition->after;
    enum site_input_kind kind = transition->input->kind;
    bool led = before->role == RAFT_LEADER && before->term == after->term;
    bool others = kind == SITE_CHANGE || kind == SITE_CANCEL || world->bounds->instant_disk || !led;
    uint8_t commit = after->commit;
    uint8_t entry = after->entries[commit];
    if (has_quorum(world, state, before->config, commit, entry)) {
        return NULL;
    }
    if (others && (has_quorum(world, state, after->config, commit, entry) ||
                   has_quorum(world, state, after->config_committed, commit, entry))) {
        return NULL;
    }
    return "S8: an entry is committed without a quorum of disks";
}

static const char *check_commit(struct world *world,
                                const struct transition *transition,
                                const struct site_view *before,
                                const struct site_view *after,
                                struct ghost *ghost)
{
    if (after->commit > ghost->committed) {
        if (after->role != RAFT_LEADER) {
            return "S7: a node that does not lead is the first to commit";
        }
        const char *violation = check_quorum(world, transition, before, after);
        if (violation == NULL) {
            violation =
                check_configs(world, transition->after, after, (uint8_t)(ghost->committed + 1));
        }
        if (violation != NULL) {
            return violation;
        }
        for (uint8_t i = ghost->committed + 1; i <= after->commit; i++) {
            ghost->history[i] = after->entries[i];
        }
        ghost->committed = after->commit;
    }
    for (uint8_t i = after->base + 1; i <= after->commit; i++) {
        if (after->entries[i] != ghost->history[i]) {
            return "S7: a node committed another entry";
        }
    }
    return NULL;
}

static const char *check_disk_keeps(const struct site_view *before,
                                    const struct site_view *after,
                                    const struct ghost *ghost)
{
    for (uint8_t i = before->disk_base + 1; i <= ghost->committed; i++) {
        if (before->disk_entries[i] == ghost->history[i] &&
            !disk_has(after, i, ghost->history[i])) {
            return "S9: a disk loses a committed entry";
        }
    }
    return NULL;
}

/* --- Logs --- */

static const char *
compare_logs(const struct world *world, const uint8_t *left, const uint8_t *right)
{
    bool same = false;
    for (uint8_t i = SITE_LOG_END - 1; i > 0; i--) {
        if (left[i] == 0 || right[i] == 0) {
            continue;
        }
        same = same || world_term_of(world, left[i]) == world_term_of(world, right[i]);
        if (same && left[i] != right[i]) {
            return "S4: two logs agree in a term but not up to there";
        }
    }
    return NULL;
}

static const char *
check_logs(const struct world *world, const struct state *state, const struct site_view *changed)
{
    const char *violation = compare_logs(world, changed->entries, changed->disk_entries);
    for (uint8_t id = 1; violation == NULL && id <= world->node_count; id++) {
        const struct site_view *other = world_view(world, state, id);
        if (id == changed->id) {
            continue;
        }
        violation = compare_logs(world, changed->entries, other->entries);
        if (violation == NULL) {
            violation = compare_logs(world, changed->disk_entries, other->disk_entries);
        }
    }
    return violation;
}

/* How far the disk of `peer` is known to hold what the leader has. */
static bool
disk_matches(const struct site_view *leader, const struct site_view *peer, uint8_t index)
{
    if (index > peer->disk_last) {
        return false;
    }
    for (uint8_t i = leader->base + 1; i <= index && i <= leader->last; i++) {
        if (!disk_has(peer, i, leader->entries[i])) {
            return false;
        }
    }
    return true;
}

static const char *check_match(const struct world *world, const struct state *state)
{
    for (uint8_t id = 1; id <= world->node_count; id++) {
        const struct site_view *leader = world_view(world, state, id);
        for (uint8_t peer = 1; leader->role == RAFT_LEADER && peer <= world->node_count; peer++) {
            uint8_t match = leader->match[peer];
            if (peer == id || match == UINT8_MAX || match == 0) {
                continue;
            }
            const struct site_view *view = world_view(world, state, peer);
            /* A later leader may have cut it since. */
            if (view->disk_term <= leader->term && view->term <= leader->term &&
                !disk_matches(leader, view, match)) {
                return "S13: a leader counts what the peer's disk does not hold";
            }
        }
    }
    return NULL;
}

static const char *check_acknowledgements(const struct world *world,
                                          const struct transition *transition,
                                          const struct site_view *sender)
{
    for (unsigned i = 0; i < transition->step->message_count; i++) {
        const struct vocabulary_message *message = vocabulary_message_of(
            &world->sites.vocabulary, sites_message(&world->sites, transition->step, i));
        if (message->type != RAFT_APPEND_RESPONSE || message->words[0] == 0) {
            continue;
        }
        const struct site_view *leader = world_view(world, transition->after, message->to);
        if (leader->role == RAFT_LEADER && leader->term == message->term &&
            !disk_matches(leader, sender, message->words[1])) {
            return "S12: an acknowledgement is not true of the disk";
        }
    }
    return NULL;
}

/* --- Reads --- */

static const char *
check_reads(const struct world *world, const struct transition *transition, struct ghost *ghost)
{
    uint8_t node = transition->node;
    if (transition->input->kind == SITE_CRASH) {
        for (size_t i = 0; i < STATE_READS_MAX; i++) {
            if (ghost->reads[i].node == node) {
                ghost->reads[i] = (struct ghost_read){.node = 0};
            }
        }
    }
    for (unsigned i = 0; i < transition->step->read_count; i++) {
        struct site_read read = sites_read(&world->sites, transition->step, i);
        CHECK(read.token >= 1 && read.token <= STATE_READS_MAX);
        struct ghost_read *known = &ghost->reads[read.token - 1];
        if (known->node != node) {
            return "S17: a read is answered twice, or elsewhere";
        }
        if (read.ok != 0 && read.index < known->known) {
            return "S17: a confirmed read index is behind what was committed before";
        }
        *known = (struct ghost_read){.node = 0};
    }
    return NULL;
}

/* --- All --- */

/* In a term that every disk is past nobody can be elected: who was is no matter any more. */
static void
forget_leaders(const struct world *world, const struct state *state, struct ghost *ghost)
{
    uint8_t lowest = UINT8_MAX;
    for (uint8_t id = 1; id <= world->node_count; id++) {
        const struct site_view *view = world_view(world, state, id);
        lowest = view->disk_term < lowest ? view->disk_term : lowest;
    }
    for (uint8_t term = 0; term < STATE_TERMS_MAX && term < lowest; term++) {
        ghost->leaders[term] = 0;
    }
}

const char *
invariants_check(struct world *world, const struct transition *transition, struct ghost *ghost)
{
    if (transition->step->violation != NULL) {
        return transition->step->violation;
    }
    const struct site_view *before = world_view(world, transition->before, transition->node);
    const struct site_view *after = world_view(world, transition->after, transition->node);
    const char *violation = check_disk_keeps(before, after, ghost);
    if (violation == NULL && is_new_leader(before, after)) {
        violation = check_election(after, ghost);
    }
    if (violation == NULL) {
        violation = check_commit(world, transition, before, after, ghost);
    }
    if (violation == NULL) {
        violation = check_logs(world, transition->after, after);
    }
    if (violation == NULL) {
        violation = check_match(world, transition->after);
    }
    if (violation == NULL) {
        violation = check_acknowledgements(world, transition, after);
    }
    if (violation == NULL) {
        violation = check_reads(world, transition, ghost);
    }
    forget_leaders(world, transition->after, ghost);
    return violation;
}

const char *
invariants_check_dump(struct world *world, const struct site_view *from, const struct ghost *ghost)
{
    uint8_t index = from->checkpoint;
    if (index > ghost->committed ||
        from->checkpoint_term != world_term_of(world, ghost->history[index])) {
        return "S19: a dump is not of a committed prefix";
    }
    for (uint8_t i = index; i > 0; i--) {
        struct vocabulary_entry entry =
            vocabulary_entry_of(&world->sites.vocabulary, ghost->history[i]);
        if (entry.type == RAFT_ENTRY_CONFIG) {
            bool same =
                entry.config == from->checkpoint_config && i == from->checkpoint_config_index;
            return same ? NULL : "S19: a dump has another configuration than its prefix";
        }
    }
    return "S19: a dump has no configuration in its prefix";
}
