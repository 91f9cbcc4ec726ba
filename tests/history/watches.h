/* Watches: each change after the start of a stream is given once, in the order of zxids, across
 * reconnections too; after a resync the receiver knows the tree as it was at that zxid. */
#ifndef TESTS_HISTORY_WATCHES_H
#define TESTS_HISTORY_WATCHES_H

#include "tests/history/history.h"

/* How many faults; a paragraph for each is appended to `text`.
 *
 * A watch that is not recursive gives the changes of its node and the coming and going of the
 * node's children. Between two zxids that were given everything known is expected; what comes
 * after the last event of a watch is not, so a recorder waits for the event of a last write.
 *
 * A resync is read in pages of rising zxids. The changes from its first page to its last may come
 * again or not. */
size_t watches_check(const struct history *history, struct buffer *text);

#endif
