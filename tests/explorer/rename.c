#include "tests/explorer/rename.h"

#include "base/check.h"
#include "raft/raft_config.h"
#include "raft/raft_config_list.h"
#include "tests/explorer/canonical.h"

#include <string.h>

struct renaming renaming_inverse(const struct renaming *renaming)
{
    struct renaming inverse = {.to = {0}};
    for (unsigned id = 1; id <= BOUNDS_NODES_MAX; id++) {
        inverse.to[renaming->to[id]] = (uint8_t)id;
    }
    return inverse;
}

struct renaming renaming_chain(const struct renaming *first, const struct renaming *second)
{
    struct renaming chain = {.to = {0}};
    for (unsigned id = 1; id <= BOUNDS_NODES_MAX; id++) {
        chain.to[id] = second->to[first->to[id]];
    }
    return chain;
}

static raft_id renamed(const struct renaming *by, raft_id id)
{
    CHECK_OP(id, <=, BOUNDS_NODES_MAX);
    return by->to[id];
}

/* --- Words of the vocabulary --- */

static void rename_members(struct raft_config *config, const struct renaming *by)
{
    for (uint32_t i = 0; i < config->member_count; i++) {
        struct raft_member member = config->members[i];
        member.id = renamed(by, member.id);
        uint32_t at = i;
        while (at > 0 && config->members[at - 1].id > member.id) {
            config->members[at] = config->members[at - 1];
            at--;
        }
        config->members[at] = member;
    }
}

uint8_t rename_config(struct vocabulary *vocabulary, const struct renaming *by, uint8_t config)
{
    if (config == 0) {
        return 0;
    }
    struct raft_config copy = *vocabulary_config(vocabulary, config);
    rename_members(&copy, by);
    return vocabulary_add_config(vocabulary, &copy);
}

uint8_t rename_entry(struct vocabulary *vocabulary, const struct renaming *by, uint8_t entry)
{
    if (entry == 0) {
        return 0;
    }
    struct vocabulary_entry copy = vocabulary_entry_of(vocabulary, entry);
    if (copy.type == RAFT_ENTRY_NOOP) {
        copy.tag = by->to[copy.tag];
    }
    copy.config = rename_config(vocabulary, by, copy.config);
    return vocabulary_add_entry(vocabulary, copy);
}

uint32_t rename_message(struct vocabulary *vocabulary, const struct renaming *by, uint32_t message)
{
    struct vocabulary_message copy = *vocabulary_message_of(vocabulary, message);
    copy.from = by->to[copy.from];
    copy.to = by->to[copy.to];
    if (copy.type == VOCABULARY_DUMP) {
        uint8_t *config = &copy.words[VOCABULARY_DUMP_CONFIG];
        *config = rename_config(vocabulary, by, *config);
    }
    for (uint8_t i = 0; i < copy.entry_count; i++) {
        copy.entries[i] = rename_entry(vocabulary, by, copy.entries[i]);
    }
    return vocabulary_add_message(vocabulary, &copy);
}

static uint32_t rename_bits(uint32_t bits, const struct renaming *by)
{
    uint32_t to = 0;
    for (unsigned id = 1; id <= BOUNDS_NODES_MAX; id++) {
        if ((bits >> id & 1) != 0) {
            to |= 1u << by->to[id];
        }
    }
    return to;
}

struct site_input rename_input(struct vocabulary *vocabulary,
                               const struct renaming *by,
                               const struct site_input *input)
{
    struct site_input copy = *input;
    uint32_t argument = input->argument;
    if (input->kind == SITE_RECEIVE) {
        copy.argument = rename_message(vocabulary, by, argument);
    } else if (input->kind == SITE_TRANSFER || input->kind == SITE_PEER_DOWN) {
        copy.argument = by->to[argument];
    } else if (input->kind == SITE_CHANGE && (argument & SITE_CHANGE_LEARNER) != 0) {
        copy.argument = SITE_CHANGE_LEARNER | by->to[argument & UINT8_MAX];
    } else if (input->kind == SITE_CHANGE) {
        copy.argument = rename_bits(argument, by);
    }
    return copy;
}

/* --- A node's memory --- */

/* Masks number the members of the effective configuration in their order. */
static uint32_t rename_mask(uint32_t mask,
                            const struct renaming *by,
                            const struct raft_config *before,
                            const struct raft_config *after)
{
    uint32_t to = 0;
    for (uint32_t i = 0; i < before->member_count; i++) {
        if ((mask >> i & 1) != 0) {
            const struct raft_member *member =
                raft_config_find(after, renamed(by, before->members[i].id));
            to |= UINT32_C(1) << (member - after->members);
        }
    }
    return to;
}

static void rename_core(struct raft *raft, const struct renaming *by)
{
    struct raft_config before = *raft_config_list_effective(raft);
    for (uint32_t i = 0; i < raft->configs.count; i++) {
        rename_members(&raft->configs.items[i], by);
    }
    const struct raft_config *after = raft_config_list_effective(raft);
    raft->voters = raft_config_voters(after);
    struct raft_election *election = &raft->election;
    election->granted = rename_mask(election->granted, by, &before, after);
    election->denied = rename_mask(election->denied, by, &before, after);
    election->requests_due = rename_mask(election->requests_due, by, &before, after);
    raft->options.id = renamed(by, raft->options.id);
    raft->vote = renamed(by, raft->vote);
    raft->leader = renamed(by, raft->leader);
    raft->lead.transfer_target = renamed(by, raft->lead.transfer_target);
    for (size_t i = 0; i < RAFT_PEERS_MAX; i++) {
        raft->peers[i].id = renamed(by, raft->peers[i].id);
    }
    for (uint32_t i = 0; i < raft->held.count; i++) {
        struct raft_message *message = &raft->held.items[i].message;
        message->from = renamed(by, message->from);
        message->to = renamed(by, message->to);
    }
    canonical_rename_readers(raft, by->to);
    canonical_form(raft);
}

static void
rename_entries(struct vocabulary *vocabulary, const struct renaming *by, uint8_t *entries)
{
    for (size_t i = 0; i < SITE_LOG_END; i++) {
        entries[i] = rename_entry(vocabulary, by, entries[i]);
    }
}

void rename_site(struct site_bench *bench, const struct renaming *by)
{
    struct site_model *model = bench->model;
    struct site_disk *disk = &model->disk;
    struct vocabulary *vocabulary = bench->vocabulary;
    rename_core(bench->raft, by);
    model->id = by->to[model->id];
    rename_entries(vocabulary, by, model->entries);
    disk->vote = by->to[disk->vote];
    disk->config = rename_config(vocabulary, by, disk->config);
    disk->dump_config = rename_config(vocabulary, by, disk->dump_config);
    rename_entries(vocabulary, by, disk->entries);
    for (size_t i = 0; i < model->write_count; i++) {
        model->writes[i].vote = by->to[model->writes[i].vote];
        rename_entries(vocabulary, by, model->writes[i].entries);
    }
}
