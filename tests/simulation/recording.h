/* The record of a run for the checkers of tests/history: what clients asked and were told, and what
 * was applied. They judge it by themselves, without the oracle's knowledge of how the servers came
 * to it: linearizability, exactly once, ephemeral nodes, sessions. */
#ifndef TESTS_SIMULATION_RECORDING_H
#define TESTS_SIMULATION_RECORDING_H

#include "server/node/request.h"
#include "tests/simulation/timeline.h"

struct recording;

#define RECORDING_NO_CALL SIZE_MAX

struct recording *recording_new(const struct timeline *timeline);
void recording_free(struct recording *recording);

struct recording_caller {
    uint64_t client;
    session_id session; /* 0 = none */
};

/* A write starts; `body` is a packed record.Command with an operation or a transaction. The number
 * of the call, for its end; one that has none stays open for ever. */
size_t recording_begin_write(struct recording *recording,
                             const struct recording_caller *caller,
                             struct bytes body);
/* `result` is NULL when no state told the outcome. */
void recording_end_write(struct recording *recording,
                         size_t call,
                         Client__Code code,
                         const struct state_result *result);
/* A read starts. RECORDING_NO_CALL: pages are not recorded, only whole listings. */
size_t recording_begin_read(struct recording *recording,
                            const struct recording_caller *caller,
                            const struct request *request);
void recording_end_read(struct recording *recording,
                        size_t call,
                        const struct request *request,
                        const struct reply *reply);

/* The client was told that its session is open; that it ended. */
void recording_opened(struct recording *recording,
                      const struct recording_caller *caller,
                      uint64_t asked_us);
void recording_ended(struct recording *recording,
                     const struct recording_caller *caller,
                     bool closed,
                     uint64_t asked_us);

/* A change was applied for the first time anywhere. */
void recording_applied(struct recording *recording, const struct state_change *change);

/* So was a sweep: to the checkers one more client, who removed these nodes at this very moment. */
void recording_swept(struct recording *recording, const struct state_result *result);

/* Have it judged. False: `report` tells why. */
bool recording_judge(const struct recording *recording, struct buffer *report);

#endif
