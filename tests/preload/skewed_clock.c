/* A library to be loaded before others (LD_PRELOAD): the clocks of the process, CLOCK_BOOTTIME and
 * CLOCK_REALTIME, run at a rate of their own, and the latter is moved besides, as the file
 * $SKEWED_CLOCK_FILE says (skewed_clock.h). Other clocks are those that the kernel waits by.
 * In place of libfaketime, which keeps its state in shared memory under the number of the process
 * and so outlives a SIGKILL, and learns of a change only after a second. */
#include "tests/preload/skewed_clock.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const struct skewed_clock *skewed;

__attribute__((constructor)) static void map_file(void)
{
    const char *path = getenv("SKEWED_CLOCK_FILE");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *place =
        file < 0 ? MAP_FAILED : mmap(NULL, sizeof *skewed, PROT_READ, MAP_SHARED, file, 0);

    if (place == MAP_FAILED) {
        perror("SKEWED_CLOCK_FILE");
        _exit(2);
    }
    (void)close(file);
    skewed = place;
}

typedef int clock_call(clockid_t id, struct timespec *ret_time);

static clock_call *next_call(void)
{
    static clock_call *_Atomic next;
    clock_call *call = atomic_load_explicit(&next, memory_order_relaxed);

    if (call == NULL) {
        *(void **)&call = dlsym(RTLD_NEXT, "clock_gettime");
        atomic_store_explicit(&next, call, memory_order_relaxed);
    }
    return call;
}

static int64_t us_of(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static void move(struct timespec *time, int64_t us)
{
    int64_t moved = us_of(*time) + us;

    time->tv_nsec = (long)(moved % 1000000 * 1000 + time->tv_nsec % 1000);
    time->tv_sec = (time_t)(moved / 1000000);
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *ret_time)
{
    clock_call *call = next_call();
    int result = call(id, ret_time);

    if (result == 0 && skewed != NULL && (id == CLOCK_BOOTTIME || id == CLOCK_REALTIME)) {
        struct timespec truth = *ret_time;
        int64_t skew_us = id == CLOCK_REALTIME ? skewed->skew_ms * 1000 : 0;

        if (id == CLOCK_BOOTTIME || call(CLOCK_BOOTTIME, &truth) == 0) {
            move(ret_time, skew_us + skewed_ahead_us(skewed_course_of(skewed), us_of(truth)));
        }
    }
    return result;
}
