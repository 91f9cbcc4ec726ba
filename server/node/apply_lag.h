/* How many entries may stand in the log that are not applied, so that whoever wrote them is
 * answered before giving up. While all that is committed is applied at once there is no bound.
 * While that lags - a checkpoint is written slower than records change - what was applied lately
 * tells what will be: more than half the time of a request is not let wait.
 *
 * Without it a cluster whose disks are overloaded accepts all, answers too late, is asked again,
 * and comes to nothing. Main thread; times in microseconds of the node's clock. */
#ifndef NODE_APPLY_LAG_H
#define NODE_APPLY_LAG_H

#include <stdbool.h>
#include <stdint.h>

struct apply_lag {
    bool is_behind;
    uint64_t since_us; /* of the measurement that is under way */
    uint64_t since_index;
    uint64_t room; /* entries; UINT64_MAX = no bound */
};

void apply_lag_init(struct apply_lag *lag);
/* Once a turn, after applying. `patience_us`: how long a request waits at most. */
void apply_lag_observe(struct apply_lag *lag,
                       uint64_t now_us,
                       uint64_t committed,
                       uint64_t applied,
                       uint64_t patience_us);
/* Whether there is a bound at all. */
bool apply_lag_is_bounded(const struct apply_lag *lag);
/* Whether `count` entries may wait to be applied. */
bool apply_lag_permits(const struct apply_lag *lag, uint64_t count);

#endif
