#include "raft/raft_config_list.h"

#include "base/check.h"
#include "base/mark.h"
#include "raft/raft_config.h"
#include "raft/raft_writes.h"

#include <string.h>

static void update_voters(struct raft *raft)
{
    raft->voters = raft_config_voters(raft_config_list_effective(raft));
}

void raft_config_list_reset(struct raft *raft, raft_index index, const struct raft_config *config)
{
    raft->configs.count = 1;
    raft->configs.indexes[0] = index;
    raft_config_copy(&raft->configs.items[0], config);
    update_voters(raft);
}

/* Position of the newest with index <= commit. The first always is. */
static uint32_t committed_position(const struct raft *raft)
{
    const struct raft_config_list *list = &raft->configs;
    uint32_t position = list->count - 1;
    while (position > 0 && list->indexes[position] > raft->commit) {
        position--;
    }
    return position;
}

static bool oldest_is_droppable(const struct raft *raft)
{
    return committed_position(raft) > 0 && raft->configs.indexes[0] < raft_writes_next_lowest(raft);
}

bool raft_config_list_has_room(const struct raft *raft, raft_index index)
{
    const struct raft_config_list *list = &raft->configs;
    return list->count < RAFT_CONFIGS_MAX || list->indexes[list->count - 1] >= index ||
           oldest_is_droppable(raft);
}

void raft_config_list_push(struct raft *raft, raft_index index, const struct raft_config *config)
{
    struct raft_config_list *list = &raft->configs;
    CHECK(raft_config_list_has_room(raft, index));
    CHECK_OP(index, >, list->indexes[list->count - 1]);
    if (list->count == RAFT_CONFIGS_MAX) {
        MARK(oldest_configuration_forgotten);
        list->count--;
        memmove(&list->indexes[0], &list->indexes[1], list->count * sizeof list->indexes[0]);
        memmove(&list->items[0], &list->items[1], list->count * sizeof list->items[0]);
    }
    list->indexes[list->count] = index;
    raft_config_copy(&list->items[list->count], config);
    list->count++;
    MARK(configuration_appended);
    update_voters(raft);
}

void raft_config_list_truncate(struct raft *raft, raft_index last)
{
    struct raft_config_list *list = &raft->configs;
    while (list->count > 1 && list->indexes[list->count - 1] > last) {
        list->count--;
    }
    CHECK_OP(list->indexes[list->count - 1], <=, last);
    update_voters(raft);
}

const struct raft_config *raft_config_list_effective(const struct raft *raft)
{
    return &raft->configs.items[raft->configs.count - 1];
}

raft_index raft_config_list_effective_index(const struct raft *raft)
{
    return raft->configs.indexes[raft->configs.count - 1];
}

const struct raft_config *raft_config_list_previous(const struct raft *raft)
{
    return raft->configs.count > 1 ? &raft->configs.items[raft->configs.count - 2] : NULL;
}

bool raft_config_list_effective_is_committed(const struct raft *raft)
{
    return raft_config_list_effective_index(raft) <= raft->commit;
}

bool raft_config_list_self_may_lead(const struct raft *raft)
{
    const struct raft_config_list *list = &raft->configs;
    for (uint32_t i = committed_position(raft); i < list->count; i++) {
        const struct raft_member *self = raft_config_find(&list->items[i], raft->options.id);
        if (self != NULL && (self->flags & (RAFT_VOTER_OLD | RAFT_VOTER_NEW)) != 0 &&
            memcmp(self->incarnation, raft->options.incarnation, sizeof self->incarnation) == 0) {
            MARK_IF(!raft_config_is_voter(raft_config_list_effective(raft), self->id),
                    leaving_voter_may_still_lead);
            return true;
        }
    }
    return false;
}

const struct raft_config *raft_config_effective(const struct raft *raft)
{
    return raft_config_list_effective(raft);
}

const struct raft_config *raft_config_committed(const struct raft *raft, raft_index *ret_index)
{
    uint32_t position = committed_position(raft);
    *ret_index = raft->configs.indexes[position];
    return &raft->configs.items[position];
}

const struct raft_config *raft_config_at(const struct raft *raft, raft_index index)
{
    for (uint32_t i = 0; i < raft->configs.count; i++) {
        if (raft->configs.indexes[i] == index) {
            return &raft->configs.items[i];
        }
    }
    return NULL;
}
