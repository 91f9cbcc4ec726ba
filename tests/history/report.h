/* What checkers say: one paragraph for each thing found, with the records that show it. */
#ifndef TESTS_HISTORY_REPORT_H
#define TESTS_HISTORY_REPORT_H

#include "tests/history/history.h"

enum { REPORT_FAULTS_MAX = 5 }; /* of one checker, in full; the rest are counted */

struct report {
    const struct history *history;
    const char *checker;
    struct buffer *text;
    size_t fault_count;
};

struct report report_of(const struct history *history, const char *checker, struct buffer *text);

/* A fault: one sentence. What is added until the next fault belongs to it. */
void report_fault(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A line below the fault. */
void report_line(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A record below the fault, as it is written to a file. */
void report_call(struct report *report, const struct history_call *call);
void report_session(struct report *report, const struct history_session *session);
void report_event(struct report *report, const struct history_event *event);
void report_effect(struct report *report, const struct history_effect *effect);
/* How many faults could not be shown. */
void report_end(struct report *report);

#endif
