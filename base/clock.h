/* The two clocks. Only programs and the layers with I/O read them; raft, proto and state get time
 * as an argument. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Monotonic, in microseconds; goes on while the machine sleeps (CLOCK_BOOTTIME). */
uint64_t clock_monotonic_us(void);
/* Wall clock, in milliseconds since 1970; may jump. */
uint64_t clock_wall_ms(void);

#endif
