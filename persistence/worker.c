#include "persistence/worker.h"

#include "base/check.h"

#include <signal.h>
#include <string.h>

enum status worker_start(pthread_t *thread,
                         const char *name,
                         void *(*run)(void *context),
                         void *context,
                         struct error *error)
{
    sigset_t all;
    sigset_t previous;
    int result;

    CHECK(sigfillset(&all) == 0);
    /* Of a fault of the thread's own: blocked, it would kill without its handler. */
    CHECK(sigdelset(&all, SIGBUS) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &previous) == 0);
    result = pthread_create(thread, NULL, run, context);
    CHECK(pthread_sigmask(SIG_SETMASK, &previous, NULL) == 0);
    if (result != 0) {
        return error_set(error, STATUS_UNAVAILABLE, "cannot start the thread %s: %s", name,
                         strerror(result));
    }
    (void)pthread_setname_np(*thread, name);
    return STATUS_OK;
}
