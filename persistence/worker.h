/* Starting a disk thread: named, and with all signals but SIGBUS blocked, so that they reach the
 * main thread. */
#ifndef PERSISTENCE_WORKER_H
#define PERSISTENCE_WORKER_H

#include "base/error.h"

#include <pthread.h>

/* `name`: at most 15 characters. UNAVAILABLE: the system gives no more threads. */
MUST_CHECK enum status worker_start(pthread_t *thread,
                                    const char *name,
                                    void *(*run)(void *context),
                                    void *context,
                                    struct error *error);

#endif
