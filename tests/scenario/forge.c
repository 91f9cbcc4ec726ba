#include "tests/scenario/forge.h"

#include <stdlib.h>
#include <string.h>

/* --- Words --- */

struct words {
    char *const *items;
    size_t count;
    size_t at;
};

static bool is_next(struct words *words, const char *name)
{
    if (words->at < words->count && strcmp(words->items[words->at], name) == 0) {
        words->at++;
        return true;
    }
    return false;
}

/* 0 when there is none: the word is then found not to be understood. */
static uint64_t next_number(struct words *words)
{
    char *end;
    uint64_t value;
    if (words->at == words->count) {
        return 0;
    }
    if (strcmp(words->items[words->at], "huge") == 0) {
        words->at++;
        return UINT64_C(1) << 62;
    }
    value = strtoull(words->items[words->at], &end, 10);
    words->at += *end == '\0';
    return value;
}

static const char *next_word(struct words *words)
{
    return words->at < words->count ? words->items[words->at++] : "";
}

static const char *not_understood(const struct words *words)
{
    return words->at < words->count ? words->items[words->at] : NULL;
}

/* --- Configurations --- */

static void empty(struct raft_config *config)
{
    memset(config, 0, sizeof *config);
}

static void too_many_members(struct raft_config *config)
{
    config->member_count = RAFT_MEMBERS_MAX + 1;
}

static void unsorted(struct raft_config *config)
{
    config->members[1].id = 1;
}

static void zero_id(struct raft_config *config)
{
    config->members[0].id = 0;
}

static void no_role(struct raft_config *config)
{
    config->members[1].flags = 0;
}

static void unknown_role(struct raft_config *config)
{
    config->members[1].flags = 1 << 7;
}

static void two_roles(struct raft_config *config)
{
    config->members[1].flags = RAFT_VOTER_NEW | RAFT_LEARNER;
}

static void promoted_voter(struct raft_config *config)
{
    config->members[1].flags = RAFT_VOTER_NEW | RAFT_PROMOTE;
}

static void old_voter_of_one_half(struct raft_config *config)
{
    config->joint = false;
    config->members[1].flags = RAFT_VOTER_OLD;
}

static void endless_address(struct raft_config *config)
{
    memset(config->members[1].address, 'a', RAFT_ADDRESS_BYTES_MAX);
}

static void bytes_after_the_address(struct raft_config *config)
{
    config->members[1].address[RAFT_ADDRESS_BYTES_MAX - 1] = 'a';
}

static void bytes_after_the_members(struct raft_config *config)
{
    config->members[5].incarnation[3] = 1;
}

static void id_after_the_members(struct raft_config *config)
{
    config->members[5].id = 6;
}

static void role_after_the_members(struct raft_config *config)
{
    config->members[5].flags = RAFT_LEARNER;
}

static void address_after_the_members(struct raft_config *config)
{
    config->members[5].address[0] = 'a';
}

static void padding_after_the_members(struct raft_config *config)
{
    config->members[5].address[7] = 'a';
}

static void only_learners(struct raft_config *config)
{
    for (uint32_t i = 0; i < config->member_count; i++) {
        config->members[i].flags = RAFT_LEARNER;
    }
}

static void eight(struct raft_config *config, uint8_t flags)
{
    config->member_count = RAFT_VOTERS_MAX + 1;
    for (uint32_t i = 0; i < config->member_count; i++) {
        config->members[i].id = i + 1;
        config->members[i].flags = flags;
    }
}

static void eight_voters(struct raft_config *config)
{
    eight(config, RAFT_VOTER_NEW);
}

static void eight_old_voters(struct raft_config *config)
{
    config->joint = true;
    eight(config, RAFT_VOTER_OLD);
    config->members[0].flags = RAFT_VOTER_NEW;
    config->member_count++;
    config->members[RAFT_VOTERS_MAX + 1] =
        (struct raft_member){.id = RAFT_VOTERS_MAX + 2, .flags = RAFT_VOTER_OLD};
}

static void joint_without_an_old_half(struct raft_config *config)
{
    config->joint = true;
    for (uint32_t i = 0; i < config->member_count; i++) {
        config->members[i].flags = RAFT_VOTER_NEW;
    }
}

static void joint(struct raft_config *config)
{
    config->joint = true;
    for (uint32_t i = 0; i < config->member_count; i++) {
        config->members[i].flags = i < 2 ? RAFT_VOTER_OLD | RAFT_VOTER_NEW : RAFT_VOTER_OLD;
    }
}

static void none(struct raft_config *config)
{
    (void)config;
}

static const struct {
    const char *name;
    void (*damage)(struct raft_config *config);
} faults[] = {
    {"none", none},
    {"joint", joint},
    {"empty", empty},
    {"too-many-members", too_many_members},
    {"unsorted", unsorted},
    {"zero-id", zero_id},
    {"no-role", no_role},
    {"unknown-role", unknown_role},
    {"two-roles", two_roles},
    {"promoted-voter", promoted_voter},
    {"old-voter-of-one-half", old_voter_of_one_half},
    {"endless-address", endless_address},
    {"bytes-after-the-address", bytes_after_the_address},
    {"id-after-the-members", id_after_the_members},
    {"role-after-the-members", role_after_the_members},
    {"address-after-the-members", address_after_the_members},
    {"padding-after-the-members", padding_after_the_members},
    {"bytes-after-the-members", bytes_after_the_members},
    {"only-learners", only_learners},
    {"eight-voters", eight_voters},
    {"eight-old-voters", eight_old_voters},
    {"joint-without-an-old-half", joint_without_an_old_half},
};

const char *forge_config(const char *fault, struct raft_config *ret_config)
{
    memset(ret_config, 0, sizeof *ret_config);
    ret_config->member_count = 3;
    for (uint32_t i = 0; i < ret_config->member_count; i++) {
        ret_config->members[i].id = i + 1;
        ret_config->members[i].flags = RAFT_VOTER_NEW;
        ret_config->members[i].address[0] = (char)('1' + i);
    }
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (strcmp(faults[i].name, fault) == 0) {
            faults[i].damage(ret_config);
            return NULL;
        }
    }
    return fault;
}

/* --- Messages --- */

static enum raft_entry_type entry_type(const char *name)
{
    if (strcmp(name, "COMMAND") == 0) {
        return RAFT_ENTRY_COMMAND;
    }
    if (strcmp(name, "NOOP") == 0) {
        return RAFT_ENTRY_NOOP;
    }
    return strcmp(name, "CONFIG") == 0 ? RAFT_ENTRY_CONFIG : (enum raft_entry_type)9;
}

static void add_entry(struct words *words, struct forge_message *forged)
{
    struct raft_message *message = &forged->message;
    struct raft_entry *entry = &forged->entries[message->append.entry_count % FORGE_ENTRIES_MAX];
    entry->type = entry_type(next_word(words));
    entry->term = next_number(words);
    entry->bytes = (uint32_t)next_number(words);
    message->append.entry_count++;
    message->append.entries = forged->entries;
    message->append.configs = forged->config_list;
}

static const char *add_config(struct words *words, struct forge_message *forged)
{
    const char *fault = next_word(words);
    struct raft_config *config = &forged->configs[forged->config_count % FORGE_ENTRIES_MAX];
    if (strcmp(fault, "missing") == 0) {
        forged->message.append.configs = NULL;
        return NULL;
    }
    forged->config_list[forged->config_count % FORGE_ENTRIES_MAX] =
        strcmp(fault, "absent") == 0 ? NULL : config;
    forged->config_count++;
    return strcmp(fault, "absent") == 0 ? NULL : forge_config(fault, config);
}

/* Fields of an APPEND. False: none of them. */
static bool take_append(struct words *words, struct forge_message *forged, const char **ret_unknown)
{
    struct raft_message *message = &forged->message;
    if (is_next(words, "previous")) {
        message->append.previous_index = next_number(words);
        message->append.previous_term = next_number(words);
    } else if (is_next(words, "commit")) {
        message->append.commit = next_number(words);
    } else if (is_next(words, "entry")) {
        add_entry(words, forged);
    } else if (is_next(words, "config")) {
        *ret_unknown = add_config(words, forged);
    } else if (is_next(words, "count")) {
        message->append.entry_count = (uint32_t)next_number(words);
    } else {
        return false;
    }
    return true;
}

/* Fields of the others. */
static bool take_field(struct words *words, struct raft_message *message)
{
    bool is_vote = message->type == RAFT_VOTE || message->type == RAFT_PREVOTE;
    if (is_next(words, "from")) {
        message->from = next_number(words);
    } else if (is_next(words, "to")) {
        message->to = next_number(words);
    } else if (is_vote && is_next(words, "last")) {
        message->vote.last_index = next_number(words);
        message->vote.last_term = next_number(words);
    } else if (is_vote && is_next(words, "transfer")) {
        message->vote.transfer = true;
    } else if (message->type == RAFT_TIMEOUT_NOW && is_next(words, "last")) {
        message->timeout_now.last_index = next_number(words);
        message->timeout_now.last_term = next_number(words);
    } else if (message->type == RAFT_APPEND_RESPONSE && is_next(words, "ok")) {
        message->append_response.ok = true;
    } else if (message->type == RAFT_APPEND_RESPONSE && is_next(words, "index")) {
        message->append_response.index = next_number(words);
    } else if (message->type == RAFT_APPEND_RESPONSE && is_next(words, "hint")) {
        message->append_response.hint_index = next_number(words);
        message->append_response.hint_term = next_number(words);
    } else if (message->type == RAFT_HEARTBEAT && is_next(words, "commit")) {
        message->heartbeat.commit = next_number(words);
    } else if (message->type == RAFT_HEARTBEAT && is_next(words, "quiet")) {
        message->heartbeat.quiet = true;
    } else if (message->type == RAFT_READ_INDEX_RESPONSE && is_next(words, "index")) {
        message->read_index_response.index = next_number(words);
    } else {
        return false;
    }
    return true;
}

static enum raft_message_type message_type(const char *name)
{
    for (int type = RAFT_PREVOTE; type <= RAFT_READ_INDEX_RESPONSE; type++) {
        if (strcmp(raft_message_name((enum raft_message_type)type), name) == 0) {
            return (enum raft_message_type)type;
        }
    }
    return (enum raft_message_type)99;
}

const char *forge_message(char *const *words, size_t count, struct forge_message *ret_forged)
{
    struct words rest = {.items = words, .count = count};
    struct raft_message *message = &ret_forged->message;
    const char *unknown = NULL;
    memset(ret_forged, 0, sizeof *ret_forged);
    message->from = 1;
    message->to = 2;
    message->type = message_type(next_word(&rest));
    message->term = next_number(&rest);
    while (rest.at < count && unknown == NULL) {
        bool taken = message->type == RAFT_APPEND && take_append(&rest, ret_forged, &unknown);
        if (!taken && !take_field(&rest, message)) {
            return not_understood(&rest);
        }
    }
    return unknown;
}

/* --- Starts --- */

const char *forge_boot(char *const *words, size_t count, struct raft_boot *boot)
{
    struct words rest = {.items = words, .count = count};
    const char *unknown = NULL;
    while (rest.at < count && unknown == NULL) {
        if (is_next(&rest, "term")) {
            boot->term = next_number(&rest);
        } else if (is_next(&rest, "base")) {
            boot->log_base = next_number(&rest);
        } else if (is_next(&rest, "base-term")) {
            boot->log_base_term = next_number(&rest);
        } else if (is_next(&rest, "applied")) {
            boot->applied_index = next_number(&rest);
        } else if (is_next(&rest, "config-index")) {
            boot->config_index = next_number(&rest);
        } else if (is_next(&rest, "config")) {
            unknown = forge_config(next_word(&rest), &boot->config);
        } else if (is_next(&rest, "no-config")) {
            memset(&boot->config, 0, sizeof boot->config);
        } else {
            return not_understood(&rest);
        }
    }
    return unknown;
}
