/* The way back from a lost majority: the stopped server's folder becomes that of the only voter of
 * a cluster of its own, with all that it holds. One transaction of the log makes it so: before it
 * the folder is the old one, after it the new one.
 *
 * Id stays, incarnation and cluster are new, so no member of the old cluster and no other survivor
 * that was recovered is let in, nor lets this one in. Everything in the log counts as committed
 * from then on, also what the lost majority may not have known. Sessions stay: their clients find
 * the server, or they expire.
 *
 * What the lost ones acknowledged beyond the end of this folder is lost, and its indexes (zxids)
 * were seen by clients. RECOVER_SKIPPED of them are not given again: they are filled with entries
 * that do nothing, so that who saw one of them is told what changed instead of something else by
 * that name. */
#ifndef SERVER_RECOVER_H
#define SERVER_RECOVER_H

#include "base/error.h"
#include "server/config.h"

enum { RECOVER_SKIPPED = 10000 };

/* With CONFIG_RECOVER_SHOW: write to `to` what the folder holds and what would happen; nothing
 * changes. With CONFIG_RECOVER_DO: do it, if the folder ends with the entry named. OK also if the
 * server is the only voter already.
 * LOCKED, CORRUPT, MISMATCH, FORMAT, IO, NO_SPACE  as a start.
 * NOT_FOUND   there is no folder, or no cluster in it.
 * CONFLICT    another entry is the last one, or the server is no member of its cluster. */
MUST_CHECK enum status recover_run(const struct config *config, FILE *to, struct error *error);

#endif
