/* Clients of libconfer and of ZooKeeper's protocol whose every call, watch event and session event
 * goes into a history (tests/history), and the verdict on it.
 *
 * A recorded handle is for one thread; handles of one recorder may be used side by side. Values are
 * numbers that no other write of the recorder has. */
#ifndef TESTS_INTEGRATION_RECORDER_H
#define TESTS_INTEGRATION_RECORDER_H

#include "tests/history/history.h"

#include <confer.h>

struct recorder;
struct recorded; /* a handle */

/* A call that gets no answer is given up after `call_timeout_ms`; 0 = as the library has it. */
struct recorder *recorder_new(uint32_t call_timeout_ms);
/* By how much clocks may run apart, in thousandths, before it is held against a server; 20 unless
 * told otherwise. */
void recorder_allow_drift(struct recorder *recorder, uint32_t permille);
void recorder_free(struct recorder *recorder);
/* A node that is there, empty, before anybody is recorded. */
void recorder_begin_with(struct recorder *recorder, const char *path);
/* Judge what was recorded. When something is wrong: print the report, keep the history in the
 * test's folder and say how to judge it again. With all handles closed. */
bool recorder_judge(struct recorder *recorder);
struct recorder_counts {
    size_t calls;
    size_t acknowledged; /* writes */
    size_t unknown;
    size_t refused;
    size_t events;
    size_t sessions;
    size_t expired;
};
struct recorder_counts recorder_counts(struct recorder *recorder);

/* Without a session if its timeout is 0. */
struct recorded *
recorded_open(struct recorder *recorder, const char *servers, uint32_t session_timeout_ms);
/* The same by ZooKeeper's protocol, with a session and without watches. */
struct recorded *recorded_open_zookeeper(struct recorder *recorder,
                                         const char *servers,
                                         uint32_t session_timeout_ms);
void recorded_close(struct recorded *recorded);
bool recorded_is_expired(const struct recorded *recorded);
/* The highest zxid that one of its watches was given so far. */
uint64_t recorded_watched(const struct recorded *recorded);

enum confer_status recorded_get(struct recorded *recorded, const char *path, bool linearizable);
/* All names. Also how many, if it is answered; ret_count may be NULL. */
enum confer_status recorded_list(struct recorded *recorded, const char *path, size_t *ret_count);
/* By ZooKeeper's protocol it does not make the node. `expected` may be CONFER_ANY_VERSION;
 * *ret_version (may be NULL) is the new one. */
enum confer_status recorded_set(struct recorded *recorded,
                                const char *path,
                                int32_t expected,
                                int32_t *ret_version,
                                uint64_t *ret_zxid);
enum confer_status
recorded_create(struct recorded *recorded, const char *path, enum confer_mode mode);
enum confer_status recorded_remove(struct recorded *recorded, const char *path);
/* One transaction: check the version of `first`, then set both. */
enum confer_status recorded_set_both(struct recorded *recorded,
                                     const char *first,
                                     int32_t expected,
                                     const char *second);
void recorded_watch(struct recorded *recorded, const char *path, bool recursive);

/* A client that opens a session at this server, makes an ephemeral node, and is never heard of
 * again. False when the server could not do it now. Main thread. */
bool recorder_ghost(struct recorder *recorder, const char *server, const char *path);

#endif
