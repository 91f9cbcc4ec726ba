/* What is known of the changes of each node, put together from everybody who saw one: the effects,
 * the writers that were answered, watches, and readers that were shown a zxid. */
#ifndef TESTS_HISTORY_LEDGER_H
#define TESTS_HISTORY_LEDGER_H

#include "tests/history/history.h"
#include "tests/history/report.h"

enum { /* what a change may have been, as bits: who set a value does not know whether it made it */
       LEDGER_CREATED = 1,
       LEDGER_VALUE_SET = 2,
       LEDGER_REMOVED = 4
};

/* Who tells of it, the best first. */
enum ledger_source { LEDGER_EFFECT, LEDGER_CALL, LEDGER_EVENT, LEDGER_READ };

struct ledger_change {
    history_path path;
    uint64_t zxid;
    size_t order; /* among the changes at that zxid, as far as its source knows */
    unsigned kinds;
    bool has_value;
    uint64_t value;
    bool has_stat;
    int32_t version;
    uint64_t owner;
    enum ledger_source source;
    const struct history_effect *effect; /* the record of its source; the others are NULL */
    const struct history_call *call;
    const struct history_event *event;
};

struct ledger {
    const struct history *history;
    struct ledger_change *changes; /* by path, then zxid, then order */
    size_t count;
    size_t *starts; /* by path: its first change; starts[path + 1] is the end */
    /* By path: a removal whose zxid nobody knows may have happened. */
    bool *may_vanish;
    /* By path: under way without an answer, so it may have changed unseen. */
    bool *may_change;
    bool complete;
};

/* Of one change that several tell of, the best source is taken. Where the effects are complete,
 * they alone are. */
void ledger_init(struct ledger *ledger, const struct history *history);
void ledger_release(struct ledger *ledger);

/* The last change of `path` known at or before `zxid`; NULL if none is. */
const struct ledger_change *
ledger_last(const struct ledger *ledger, history_path path, uint64_t zxid);
/* The changes of `path` at exactly `zxid`: the first, and how many. */
const struct ledger_change *
ledger_at(const struct ledger *ledger, history_path path, uint64_t zxid, size_t *ret_count);

/* The record that tells of a change. */
void ledger_report(struct report *report, const struct ledger_change *change);

/* Whether a node may have been as told at `zxid`. Where the ledger is not complete, only what is
 * certainly wrong is. On false *ret_against is the change that speaks against it, NULL if there
 * should be one and is none. */
struct ledger_look {
    history_path path;
    uint64_t zxid;
    bool exists;
    bool has_value;
    uint64_t value;
    bool has_stat;
    int32_t version;
    uint64_t mzxid; /* 0 = not known */
};
bool ledger_agrees(const struct ledger *ledger,
                   const struct ledger_look *look,
                   const struct ledger_change **ret_against);

#endif
