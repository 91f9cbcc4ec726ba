/* A history as text, one line for each call, session event, watch event and effect, so that one
 * that failed can be kept, looked at, and judged again.
 *
 *     confer-history 1
 *     call client=1 session=7 invoked=100 returned=230 outcome=ok zxid=9 ; set path=/a value=5 make
 *     call client=2 invoked=300 returned=310 outcome=ok linearizable ; get path=/a exists value=5
 *     session opened client=1 session=7 asked=10 time=20 timeout=4000
 *     event created client=2 watch=1 time=240 zxid=9 path=/a
 *     effect created zxid=9 path=/a value=5
 *     effects complete
 *
 * A field that has its usual value (0, no, any version, never) is left out. Blanks, '%', ',' and
 * ';' in a path are written %XX. Lines that start with '#' say nothing. */
#ifndef TESTS_HISTORY_HISTORY_TEXT_H
#define TESTS_HISTORY_HISTORY_TEXT_H

#include "tests/history/history.h"

void history_write(const struct history *history, struct buffer *text);
/* One record, without a newline. */
void history_write_call(const struct history *history,
                        const struct history_call *call,
                        struct buffer *text);
void history_write_session(const struct history_session *session, struct buffer *text);
void history_write_event(const struct history *history,
                         const struct history_event *event,
                         struct buffer *text);
void history_write_effect(const struct history *history,
                          const struct history_effect *effect,
                          struct buffer *text);

/* INVALID: the error names the line, what is wrong with it, and what may stand there. */
MUST_CHECK enum status
history_read(struct bytes text, struct history **ret_history, struct error *error);

/* To and from a file. NOT_FOUND, IO; load: INVALID as above, LIMIT above 1 GiB. */
MUST_CHECK enum status
history_save(const struct history *history, const char *file, struct error *error);
MUST_CHECK enum status
history_load(const char *file, struct history **ret_history, struct error *error);

#endif
