#include "server/node/apply_lag.h"

/* A measurement takes a quarter of the time that a request waits. */
enum { MEASUREMENTS = 4 };

void apply_lag_init(struct apply_lag *lag)
{
    *lag = (struct apply_lag){.room = UINT64_MAX};
}

/* What is applied in half the time of a request, at least one: else nothing would be measured. */
static uint64_t room_of(uint64_t applied, uint64_t in_us, uint64_t patience_us)
{
    uint64_t room = (uint64_t)((double)applied * (double)patience_us / 2 / (double)in_us);

    return room == 0 ? 1 : room;
}

void apply_lag_observe(struct apply_lag *lag,
                       uint64_t now_us,
                       uint64_t committed,
                       uint64_t applied,
                       uint64_t patience_us)
{
    uint64_t spent_us = now_us - lag->since_us;

    if (applied >= committed) {
        apply_lag_init(lag);
        return;
    }
    if (lag->is_behind && (spent_us == 0 || spent_us < patience_us / MEASUREMENTS)) {
        return;
    }
    if (lag->is_behind) {
        lag->room = room_of(applied - lag->since_index, spent_us, patience_us);
    }
    lag->is_behind = true;
    lag->since_us = now_us;
    lag->since_index = applied;
}

bool apply_lag_is_bounded(const struct apply_lag *lag)
{
    return lag->room != UINT64_MAX;
}

bool apply_lag_permits(const struct apply_lag *lag, uint64_t count)
{
    return count <= lag->room;
}
