#include "tests/simulation/configs.h"

#include "base/alloc.h"
#include "base/check.h"
#include "server/node/config_codec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct item {
    raft_index index;
    raft_term term;
    struct raft_config config;
};

/* One that is committed, and since when that is known. */
struct committed {
    const struct item *item;
    uint64_t since_us;
};

struct configs {
    struct item **items;
    size_t count;
    size_t capacity;
    struct committed *committed;
    size_t committed_count;
    size_t committed_capacity;
};

struct configs *configs_new(void)
{
    return xcalloc(1, sizeof(struct configs));
}

void configs_free(struct configs *configs)
{
    for (size_t i = 0; i < configs->count; i++) {
        free(configs->items[i]);
    }
    free(configs->items);
    free(configs->committed);
    free(configs);
}

/* --- Quorums --- */

static bool is_majority(const struct raft_config *config,
                        uint8_t flag,
                        bool (*has)(raft_id id, const void *context),
                        const void *context)
{
    uint32_t voters = 0;
    uint32_t holders = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        if ((config->members[i].flags & flag) != 0) {
            voters++;
            holders += has(config->members[i].id, context);
        }
    }
    return holders > voters / 2;
}

bool configs_is_quorum(const struct raft_config *config,
                       bool (*has)(raft_id id, const void *context),
                       const void *context)
{
    return is_majority(config, RAFT_VOTER_NEW, has, context) &&
           (!config->joint || is_majority(config, RAFT_VOTER_OLD, has, context));
}

static bool is_in_mask(raft_id id, const void *context)
{
    const uint32_t *mask = context;

    return (*mask >> (id - 1) & 1) != 0;
}

/* Two quorums without a common member exist if the rest of a quorum of one is a quorum of the
 * other. */
static bool always_meet(const struct raft_config *left, const struct raft_config *right)
{
    for (uint32_t mask = 0; mask < UINT32_C(1) << NETWORK_PLACES_MAX; mask++) {
        uint32_t rest = ~mask;

        if (configs_is_quorum(left, is_in_mask, &mask) &&
            configs_is_quorum(right, is_in_mask, &rest)) {
            return false;
        }
    }
    return true;
}

/* --- Entries --- */

static const struct item *find(const struct configs *configs, raft_index index, raft_term term)
{
    for (size_t i = configs->count; i > 0; i--) {
        const struct item *item = configs->items[i - 1];

        if (item->index == index && item->term == term) {
            return item;
        }
    }
    return NULL;
}

static raft_index config_before(const struct cluster_server *server, raft_index end)
{
    const struct journal_entry *entry;

    for (raft_index index = end - 1; (entry = disk_entry(server->disk, index)) != NULL; index--) {
        if (entry->type == RAFT_ENTRY_CONFIG) {
            return index;
        }
    }
    return 0;
}

raft_index configs_last_on_disk(const struct cluster_server *server)
{
    return config_before(server, disk_log(server->disk).last + 1);
}

static const struct item *find_before(const struct configs *configs,
                                      const struct cluster_server *server,
                                      const struct item *item)
{
    raft_index index = config_before(server, item->index);

    return index == 0 ? NULL : find(configs, index, disk_term(server->disk, index));
}

/* The same members with the same roles; promotions that were waited for may be dropped. */
static bool takes_back_to(const struct raft_config *present, const struct raft_config *former)
{
    bool same = present->joint == former->joint && present->member_count == former->member_count;

    for (uint32_t i = 0; same && i < present->member_count; i++) {
        same = present->members[i].id == former->members[i].id &&
               ((present->members[i].flags ^ former->members[i].flags) & ~RAFT_PROMOTE) == 0;
    }
    return same;
}

static void check_neighbours(const struct configs *configs,
                             const struct cluster_server *server,
                             const struct item *item,
                             raft_index committed)
{
    const struct item *before = find_before(configs, server, item);
    const struct item *first;

    if (before == NULL) {
        return; /* it is in the checkpoint, and so committed */
    }
    if (!always_meet(&before->config, &item->config)) {
        cluster_violation(
            server, "S15: quorums of the configurations %" PRIu64 " and %" PRIu64 " need not meet",
            before->index, item->index);
    }
    if (before->index <= committed) {
        return;
    }
    first = find_before(configs, server, before);
    if (!before->config.joint || before->term != item->term ||
        (first != NULL && !takes_back_to(&item->config, &first->config))) {
        cluster_violation(
            server, "S15: configuration %" PRIu64 " follows %" PRIu64 ", which is not committed",
            item->index, before->index);
    }
}

void configs_on_append(struct configs *configs,
                       const struct cluster_server *server,
                       raft_index index,
                       raft_index committed)
{
    const struct journal_entry *entry = disk_entry(server->disk, index);
    struct item *item;

    if (find(configs, index, entry->term) != NULL) {
        return;
    }
    item = xcalloc(1, sizeof *item);
    item->index = index;
    item->term = entry->term;
    if (config_codec_unpack(bytes_of(entry->data, entry->size), &item->config) != STATUS_OK) {
        cluster_violation(server, "S15: the configuration %" PRIu64 " is unreadable", index);
    }
    if (configs->count == configs->capacity) {
        configs->capacity = 2 * configs->capacity + 8;
        configs->items = xrealloc(configs->items, configs->capacity * sizeof(struct item *));
    }
    configs->items[configs->count++] = item;
    check_neighbours(configs, server, item, committed);
}

bool configs_check_effective(const struct configs *configs,
                             const struct cluster_server *server,
                             raft_index index,
                             raft_term term)
{
    const struct item *item = find(configs, index, term);

    if (item == NULL) {
        return false;
    }
    if (memcmp(&item->config, raft_config_effective(node_raft(server->node)),
               sizeof item->config) != 0) {
        cluster_violation(server, "S15: its configuration is not the one of entry %" PRIu64, index);
    }
    return true;
}

/* --- Those that are committed --- */

static void add_committed(struct configs *configs, const struct item *item, uint64_t now_us)
{
    if (configs->committed_count == configs->committed_capacity) {
        configs->committed_capacity = 2 * configs->committed_capacity + 8;
        configs->committed =
            xrealloc(configs->committed, configs->committed_capacity * sizeof *configs->committed);
    }
    configs->committed[configs->committed_count++] =
        (struct committed){.item = item, .since_us = now_us};
}

void configs_on_commit(struct configs *configs,
                       const struct cluster_server *leader,
                       raft_index before,
                       raft_index now)
{
    for (raft_index index = before + 1; index <= now; index++) {
        const struct item *item =
            find(configs, index, raft_term_at(node_raft(leader->node), index));

        if (item != NULL) {
            add_committed(configs, item, leader->cluster->timeline->now_us);
        }
    }
}

bool configs_have_met(const struct configs *configs,
                      const struct membership_command *command,
                      uint64_t since_us)
{
    for (size_t i = configs->committed_count; i > 0; i--) {
        const struct committed *committed = &configs->committed[i - 1];

        if (membership_command_is_met(command, &committed->item->config)) {
            return true;
        }
        if (committed->since_us < since_us) {
            return false;
        }
    }
    return false;
}
