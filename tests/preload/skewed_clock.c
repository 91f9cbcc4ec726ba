/* A library to be loaded before others (LD_PRELOAD): the wall clock of the process is moved by as
 * many milliseconds as the file $SKEWED_CLOCK_FILE holds, an int64_t that may change at any time.
 * Monotonic clocks stay. In place of libfaketime, which keeps its state in shared memory under the
 * number of the process and so outlives a SIGKILL, and learns of a change only after a second. */
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

static const volatile int64_t *skew_ms;

__attribute__((constructor)) static void map_file(void)
{
    const char *path = getenv("SKEWED_CLOCK_FILE");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *place =
        file < 0 ? MAP_FAILED : mmap(NULL, sizeof *skew_ms, PROT_READ, MAP_SHARED, file, 0);

    if (place == MAP_FAILED) {
        perror("SKEWED_CLOCK_FILE");
        _exit(2);
    }
    (void)close(file);
    skew_ms = place;
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *ret_time)
{
    typedef int clock_call(clockid_t id, struct timespec * ret_time);
    static clock_call *_Atomic next;
    clock_call *call = atomic_load_explicit(&next, memory_order_relaxed);
    int result;

    if (call == NULL) {
        *(void **)&call = dlsym(RTLD_NEXT, "clock_gettime");
        atomic_store_explicit(&next, call, memory_order_relaxed);
    }
    result = call(id, ret_time);
    if (result == 0 && id == CLOCK_REALTIME && skew_ms != NULL) {
        int64_t skew = *skew_ms;

        ret_time->tv_sec += skew / 1000;
        ret_time->tv_nsec += skew % 1000 * 1000000;
        if (ret_time->tv_nsec < 0 || ret_time->tv_nsec >= 1000000000) {
            ret_time->tv_sec += ret_time->tv_nsec < 0 ? -1 : 1;
            ret_time->tv_nsec += ret_time->tv_nsec < 0 ? 1000000000 : -1000000000;
        }
    }
    return result;
}
