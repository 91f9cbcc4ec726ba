/* What changed lately: the changes of nodes in commit order, kept for watch streams that resume or
 * fall behind. Bounded by bytes and by count; the oldest go first, whole commands at a time.
 *
 * A change has a sequence number: 1 for the first one ever added here, then one more for each,
 * never used twice. It names a place in this server's history only; what clients know is the zxid.
 * Main thread. */
#ifndef NODE_HISTORY_H
#define NODE_HISTORY_H

#include "server/node/request.h"

typedef uint64_t history_sequence;

struct history;

/* An empty history that holds all changes after `opened_at`, the zxid of the state at its opening.
 * Both bounds apply; history_trim keeps them. */
struct history *history_new(zxid opened_at, uint64_t bytes_max, uint64_t changes_max);
void history_free(struct history *history); /* NULL is fine */

/* Append the changes of the command `at` (above history_last), in their order. Session changes
 * are left out; paths are copied and nodes referenced. Call it for every entry that was applied or
 * skipped, also with count 0: then only history_last moves. Nothing is dropped here, so that a
 * turn's changes are whole until they were given to the watches. */
void history_add(struct history *history,
                 zxid at,
                 const struct state_change *changes,
                 size_t count);

/* Drop the oldest commands until both bounds hold; if the newest one alone is too large, it goes
 * too. At the end of each turn, after watch_table_pump. */
void history_trim(struct history *history);

/* The state was replaced by a dump of `at`: what happened in between is unknown. Forgets
 * everything; every sequence number handed out before is then older than history_first. */
void history_reset(struct history *history, zxid at);

/* All changes after this zxid are here. */
zxid history_oldest(const struct history *history);
/* The zxid of the last command added (or of the opening or reset). */
zxid history_last(const struct history *history);
size_t history_count(const struct history *history);
/* What the process takes for it at most: a node that the state holds as well is counted here too.
 */
uint64_t history_bytes(const struct history *history);

/* The changes are those with first <= sequence < end. */
history_sequence history_first(const struct history *history);
history_sequence history_end(const struct history *history);

/* The first change with a zxid above `after`; history_end if there is none yet. `after` >=
 * history_oldest. */
history_sequence history_seek(const struct history *history, zxid after);
/* The largest zxid whose changes, and all before them, lie before `sequence`: what may be called
 * seen by who has seen everything before it. history_first <= sequence <= history_end. */
zxid history_up_to(const struct history *history, history_sequence sequence);
/* first <= sequence < end. Lent until the next add, trim or reset. */
const struct watch_event *history_at(const struct history *history, history_sequence sequence);

#endif
