/* What a test writes and the library skewed_clock.c reads, in the file $SKEWED_CLOCK_FILE. The
 * clocks may be changed at any time and go on across a restart of the process. */
#ifndef TESTS_PRELOAD_SKEWED_CLOCK_H
#define TESTS_PRELOAD_SKEWED_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

/* How far both clocks are ahead of the true one: at `from_us` of that by `ahead_us`, and by so many
 * millionths of what passes before and after. A change begins a little later than it is written, so
 * that nobody reads by the old course what comes after it: a clock never goes back. */
struct skewed_course {
    int64_t from_us;
    int64_t ahead_us;
    int64_t before_ppm;
    int64_t after_ppm;
};

struct skewed_clock {
    _Atomic int64_t skew_ms; /* of the wall clock, besides */
    atomic_uint changes;     /* the course is the one at this place, modulo 2 */
    struct skewed_course courses[2];
};

static inline int64_t skewed_ahead_us(const struct skewed_course *course, int64_t now_us)
{
    int64_t passed_us = now_us - course->from_us;
    int64_t ppm = passed_us < 0 ? course->before_ppm : course->after_ppm;

    return course->ahead_us + passed_us / 1000000 * ppm + passed_us % 1000000 * ppm / 1000000;
}

static inline const struct skewed_course *skewed_course_of(const struct skewed_clock *clock)
{
    return &clock->courses[atomic_load_explicit(&clock->changes, memory_order_acquire) % 2];
}

/* From `from_us` on, which has not come yet, the clocks run faster by so many millionths. */
static inline void skewed_clock_run(struct skewed_clock *clock, int64_t from_us, int64_t ppm)
{
    unsigned next = atomic_load(&clock->changes) + 1;
    const struct skewed_course *old = skewed_course_of(clock);

    clock->courses[next % 2] = (struct skewed_course){.from_us = from_us,
                                                      .ahead_us = skewed_ahead_us(old, from_us),
                                                      .before_ppm = old->after_ppm,
                                                      .after_ppm = ppm};
    atomic_store_explicit(&clock->changes, next, memory_order_release);
}

#endif
