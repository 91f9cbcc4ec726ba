#include "tests/simulation/tolerance.h"

#include "server/node/config_codec.h"

#include <string.h>

bool tolerance_is_intact(struct cluster_server *server)
{
    return !server->lost && !server->is_old_copy && !disk_is_damaged(server->disk) &&
           !disk_is_condemned(server->disk) && !cluster_has_diverged(server);
}

static bool is_its_disk(const struct cluster_server *server, const struct raft_member *member)
{
    return member != NULL &&
           memcmp(member->incarnation, server->incarnation, RAFT_INCARNATION_BYTES) == 0;
}

bool tolerance_is_member(struct cluster *cluster, const struct cluster_server *server)
{
    for (size_t place = 0; place < cluster->settings.places; place++) {
        const struct node *node = cluster->servers[place].node;

        if (node != NULL &&
            is_its_disk(server,
                        raft_config_find(raft_config_effective(node_raft(node)), server->id))) {
            return true;
        }
    }
    return false;
}

/* Learners that are gone may be promoted if that began before; those that are not only help. */
static bool half_goes_on(struct cluster *cluster,
                         const struct raft_config *config,
                         uint8_t half,
                         const struct cluster_server *without)
{
    uint32_t intact = 0;
    uint32_t gone = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct raft_member *member = &config->members[i];
        struct cluster_server *server = cluster_by_id(cluster, member->id);
        bool is_gone =
            server == without || !is_its_disk(server, member) || !tolerance_is_intact(server);

        if ((member->flags & half) != 0) {
            intact += !is_gone;
            gone += is_gone;
        } else if ((member->flags & RAFT_PROMOTE) != 0) {
            gone += is_gone;
        }
    }
    return intact > gone;
}

static bool goes_on(struct cluster *cluster,
                    const struct raft_config *config,
                    const struct cluster_server *without)
{
    return half_goes_on(cluster, config, RAFT_VOTER_NEW, without) &&
           (!config->joint || half_goes_on(cluster, config, RAFT_VOTER_OLD, without));
}

/* What an end of its log may be that a crash leaves. One that takes a joint one back, and is not
 * committed, hides it. */
static bool memory_goes_on(struct cluster *cluster,
                           const struct node *node,
                           const struct cluster_server *without)
{
    const struct raft_config *effective = raft_config_effective(node_raft(node));
    raft_index index;

    if (effective->member_count == 0) {
        return true;
    }
    return (raft_status(node_raft(node)).config_committed || effective->joint) &&
           goes_on(cluster, effective, without) &&
           goes_on(cluster, raft_config_committed(node_raft(node), &index), without);
}

static bool
log_goes_on(struct cluster *cluster, const struct disk *disk, const struct cluster_server *without)
{
    const struct journal_entry *entry;
    struct raft_config config;

    for (raft_index index = disk_log(disk).last; (entry = disk_entry(disk, index)) != NULL;
         index--) {
        if (entry->type == RAFT_ENTRY_CONFIG &&
            (config_codec_unpack(bytes_of(entry->data, entry->size), &config) != STATUS_OK ||
             !goes_on(cluster, &config, without))) {
            return false;
        }
    }
    return true;
}

bool tolerance_has_spare(struct cluster *cluster, struct cluster_server *server)
{
    bool changes = cluster->settings.membership_interval_us != 0;

    if (!tolerance_is_intact(server) || !tolerance_is_member(cluster, server) ||
        cluster_may_change_members(cluster)) {
        return false;
    }
    for (size_t place = 0; place < cluster->settings.places; place++) {
        const struct cluster_server *other = &cluster->servers[place];

        if ((other->node != NULL && !memory_goes_on(cluster, other->node, server)) ||
            (changes && !log_goes_on(cluster, other->disk, server))) {
            return false;
        }
    }
    return true;
}

static bool is_complete(struct cluster *cluster, const struct raft_config *config)
{
    for (uint32_t i = 0; i < config->member_count; i++) {
        struct cluster_server *server = cluster_by_id(cluster, config->members[i].id);

        if (!tolerance_is_intact(server) || !is_its_disk(server, &config->members[i])) {
            return false;
        }
    }
    return true;
}

bool tolerance_is_whole(struct cluster *cluster)
{
    for (size_t place = 0; place < cluster->settings.places; place++) {
        const struct node *node = cluster->servers[place].node;

        if (node != NULL && !is_complete(cluster, raft_config_effective(node_raft(node)))) {
            return false;
        }
    }
    return true;
}

static bool is_named(const uint64_t *ids, size_t count, raft_id id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

bool tolerance_permits(struct cluster *cluster,
                       const struct raft_config *config,
                       const uint64_t *voters,
                       size_t count)
{
    size_t intact = 0;
    size_t gone = 0;

    for (raft_id id = 1; id <= cluster->settings.places; id++) {
        struct cluster_server *server = cluster_by_id(cluster, id);
        const struct raft_member *member = raft_config_find(config, id);
        bool is_gone =
            !tolerance_is_intact(server) || (member != NULL && !is_its_disk(server, member));

        if (is_named(voters, count, id)) {
            intact += !is_gone;
            gone += is_gone;
        } else if (member != NULL && (member->flags & RAFT_PROMOTE) != 0) {
            gone += is_gone;
        }
    }
    return intact > gone;
}
