/* What is known of each session: its signs of life and its end. */
#ifndef TESTS_HISTORY_LIVES_H
#define TESTS_HISTORY_LIVES_H

#include "tests/history/history.h"

/* The pointers are NULL where nothing is known. */
struct life {
    uint64_t session;
    uint64_t timeout;                           /* the longest that was granted; 0 = not known */
    const struct history_session *end;          /* the first: expired, or closed with an answer */
    const struct history_session *close;        /* asked for first, answered or not */
    const struct history_session *last_contact; /* asked last of all that were answered */
    const struct history_session *last_grant;   /* the same of those that tell a timeout */
    const struct history_call *last_call;       /* the same for writes */
    uint64_t last_zxid;                         /* the highest of its writes */
    const struct history_effect *end_effect;
};

struct lives {
    struct life *items; /* by session */
    size_t count;
};

void lives_init(struct lives *lives, const struct history *history);
void lives_release(struct lives *lives);
/* NULL if the history does not name the session. */
struct life *lives_find(const struct lives *lives, uint64_t session);
/* When its last sign of life was asked for: it lived at some moment after that. */
uint64_t lives_last_sign(const struct life *life);
/* When the last sign was asked for after which it was to live for its timeout. */
uint64_t lives_last_grant(const struct life *life);
/* Whether a call has a place among the writes. */
bool lives_is_write(const struct history_call *call);

#endif
