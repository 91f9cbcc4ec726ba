#include "raft/raft_quorum.h"

#include "base/check.h"

/* Sorted falling, the majority's value is at position count / 2: that many voters and one more
 * have at least it. */
static uint64_t
half_reached(const raft_id *ids, uint32_t count, raft_quorum_value *value, const void *context)
{
    CHECK_OP(count, <=, RAFT_VOTERS_MAX);
    uint64_t sorted[RAFT_VOTERS_MAX] = {0};
    for (uint32_t i = 0; i < count; i++) {
        uint64_t next = value(ids[i], context);
        uint32_t at = i;
        while (at > 0 && sorted[at - 1] < next) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = next;
    }
    return sorted[count / 2];
}

uint64_t
raft_quorum_reached(const struct raft_voters *voters, raft_quorum_value *value, const void *context)
{
    if (voters->counts[RAFT_HALF_NEW] == 0) {
        return 0;
    }
    uint64_t reached = UINT64_MAX;
    for (int half = RAFT_HALF_NEW; half < RAFT_HALVES; half++) {
        uint32_t count = voters->counts[half];
        if (count > 0) {
            uint64_t here = half_reached(voters->ids[half], count, value, context);
            reached = here < reached ? here : reached;
        }
    }
    return reached;
}
