/* Clients of both protocols that read, write, compare and set, number, own ephemerals and watch
 * side by side below a root of their own, recorded, until they are stopped and judged. For the main
 * thread, as the cluster. A crowd is a static object: its threads outlive a test case that failed.
 */
#ifndef TESTS_INTEGRATION_CROWD_H
#define TESTS_INTEGRATION_CROWD_H

#include "base/prng.h"
#include "tests/integration/recorder.h"
#include "tests/support/cluster.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    CROWD_WORKERS = 6,
    CROWD_CALLS_EACH = 15, /* that succeed, in a crowd_wait */
    CROWD_KEYS = 4,
    CROWD_PATH_BYTES = 64
};

struct crowd_worker {
    struct crowd *crowd;
    struct recorded *recorded;
    const struct crowd_kind *kind;
    bool mostly_reads; /* so that a read waits wherever a server falls behind */
    struct prng prng;
    pthread_t thread;
    int32_t versions[CROWD_KEYS]; /* as last seen */
    atomic_uint_fast64_t succeeded;
};

struct crowd {
    struct recorder *recorder;
    struct recorded *observer; /* watches everything; the main thread's */
    struct cluster *cluster;
    char root[16];
    char servers[256];
    struct crowd_worker workers[CROWD_WORKERS];
    atomic_bool stopping;
};

/* Make the nodes below `root` ("/h"), which nobody may have used, and start. A call that gets no
 * answer is given up after `call_timeout_ms`. */
void crowd_start(struct crowd *crowd,
                 struct cluster *cluster,
                 const char *root,
                 uint64_t seed,
                 uint32_t call_timeout_ms);
/* A path of the crowd's: below its root. */
const char *crowd_path(const struct crowd *crowd, const char *name, char path[CROWD_PATH_BYTES]);
/* Let a client make an ephemeral and never be heard of again. */
void crowd_leave_ghost(struct crowd *crowd);
/* Until each worker has got another few calls done; a failed expectation after the deadline. */
void crowd_wait(struct crowd *crowd, unsigned deadline_ms);
/* Everybody ends, once the watches have given everything, and the ephemerals are gone. */
void crowd_stop(struct crowd *crowd, unsigned deadline_ms);
/* Judge what they saw, and let go of it. After crowd_stop. */
struct recorder_counts crowd_judge(struct crowd *crowd);

#endif
