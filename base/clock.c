#include "base/clock.h"

#include "base/check.h"

#include <time.h>

static struct timespec read_clock(clockid_t id)
{
    struct timespec now;

    CHECK(clock_gettime(id, &now) == 0);
    return now;
}

uint64_t clock_monotonic_us(void)
{
    struct timespec now = read_clock(CLOCK_BOOTTIME);

    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_wall_ms(void)
{
    struct timespec now = read_clock(CLOCK_REALTIME);

    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
