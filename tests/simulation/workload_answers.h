/* What a client makes of what it is told. The callbacks of a connection; `context` is the struct
 * connection. */
#ifndef TESTS_SIMULATION_WORKLOAD_ANSWERS_H
#define TESTS_SIMULATION_WORKLOAD_ANSWERS_H

#include "tests/simulation/workload_operations.h"

void workload_answers_on_reply(void *context,
                               const struct request *request,
                               const struct reply *reply);
void workload_answers_on_events(void *context,
                                uint64_t watch,
                                bool with_values,
                                const struct watch_event *events,
                                size_t count,
                                zxid up_to,
                                bool lost);
void workload_answers_on_notice(void *context, Client__NoticeKind kind, Client__Code code);

#endif
