#include "server/node/disk_lag.h"

uint64_t disk_lag_us(const struct disk_lag *lag, uint64_t now_us)
{
    return lag->awaited != 0 && now_us > lag->awaited_us ? now_us - lag->awaited_us : 0;
}

static enum disk_lag_event judge(struct disk_lag *lag, uint64_t now_us, bool is_long)
{
    bool was_slow = lag->is_slow;

    if (is_long) {
        lag->slow_until_us = now_us + DISK_LAG_CALM_US;
        lag->is_slow = true;
    } else if (now_us >= lag->slow_until_us) {
        lag->is_slow = false;
    }
    if (lag->is_slow == was_slow) {
        return DISK_LAG_SAME;
    }
    return lag->is_slow ? DISK_LAG_BECAME_SLOW : DISK_LAG_RECOVERED;
}

enum disk_lag_event disk_lag_observe(
    struct disk_lag *lag, uint64_t now_us, uint64_t limit_us, raft_index commit, raft_index durable)
{
    uint64_t lag_us = disk_lag_us(lag, now_us);

    if (!lag->is_slow) {
        lag->longest_us = 0;
    }
    if (lag_us > lag->longest_us) {
        lag->longest_us = lag_us;
    }
    if (lag->awaited != 0 && durable >= lag->awaited) {
        lag->awaited = 0;
    }
    if (lag->awaited == 0 && commit > durable) {
        lag->awaited = commit;
        lag->awaited_us = now_us;
    }
    return judge(lag, now_us, lag_us > limit_us);
}

static uint64_t patience_us(const struct disk_lag *lag, uint64_t now_us, uint64_t limit_us)
{
    bool is_recent = lag->moves > 0 && now_us - lag->moved_us < DISK_LAG_MEMORY_US;
    uint32_t doublings = is_recent ? lag->moves : 0;

    return limit_us << (doublings < DISK_LAG_DOUBLINGS_MAX ? doublings : DISK_LAG_DOUBLINGS_MAX);
}

bool disk_lag_calls_for_move(const struct disk_lag *lag, uint64_t now_us, uint64_t limit_us)
{
    return disk_lag_us(lag, now_us) > patience_us(lag, now_us, limit_us);
}

void disk_lag_moved(struct disk_lag *lag, uint64_t now_us)
{
    bool is_recent = lag->moves > 0 && now_us - lag->moved_us < DISK_LAG_MEMORY_US;

    lag->moves = is_recent ? lag->moves + 1 : 1;
    lag->moved_us = now_us;
}

uint64_t disk_lag_deadline(const struct disk_lag *lag, uint64_t now_us, uint64_t limit_us)
{
    uint64_t calm_us = lag->is_slow ? lag->slow_until_us : UINT64_MAX;
    uint64_t slow_us = UINT64_MAX;

    if (lag->awaited != 0) {
        uint64_t due_us =
            lag->awaited_us + (lag->is_slow ? patience_us(lag, now_us, limit_us) : limit_us) + 1;

        /* What is overdue is looked at now and then: another may become fit to lead. */
        slow_us = due_us > now_us ? due_us : now_us + limit_us;
    }
    return slow_us < calm_us ? slow_us : calm_us;
}
