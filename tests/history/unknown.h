/* What became of writes whose clients were never told. Values seen name the writes they are of;
 * where all effects are known, what no told write did an untold one did, and the others did
 * nothing. The less is left that perhaps happened, the shorter is a search for an order. */
#ifndef TESTS_HISTORY_UNKNOWN_H
#define TESTS_HISTORY_UNKNOWN_H

#include "tests/history/history.h"

struct unknown {
    uint64_t *zxids;   /* by call: told or learned; 0 = neither */
    bool *did_nothing; /* by call: untold, and surely without effect */
};

void unknown_init(struct unknown *unknown, const struct history *history);
void unknown_release(struct unknown *unknown);

/* Does it ask for anything but reads? */
bool unknown_has_writes(const struct history_call *call);

#endif
