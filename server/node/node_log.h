/* Between the core and the log: writes out, payloads in and out, entries for peers, trimming. */
#ifndef NODE_NODE_LOG_H
#define NODE_NODE_LOG_H

#include "server/node/node_internal.h"

/* Put the payloads of entries that the core itself appended (NOOP, CONFIG) into the cache, for
 * indexes below `end`. Before any other payload is put at `end`. */
void node_log_cache_own(struct node *node, raft_index end);
/* Hand a flushed write to the disk. */
void node_log_write(struct node *node, const struct raft_write *write);
/* Hand node->witnesses to the disk, after what was written before and before what follows. */
void node_log_keep_witnesses(struct node *node);
/* Send a flushed message; entries that are not in memory are read first, and the message follows.
 */
void node_log_send(struct node *node, const struct raft_message *message);
/* Have the disk switch to the tree of node->installed and let all entries go that it holds, and no
 * others; node->switch_is_durable tells when that is done. */
void node_log_switch(struct node *node);
/* A write that waits for space in the log learns from the ones behind it how far the log may be
 * trimmed. When there is none, tell it. */
void node_log_tell_trim(struct node *node);
void node_log_on_done(struct node *node, struct log_job *job);
/* Give up entries that a checkpoint covers, but for the tail kept for lagging members, and up to
 * 256 MiB of what follows `dump_index`; drop payloads that nobody needs. */
void node_log_trim(struct node *node, raft_index dump_index);
/* Little room is left in the core's log: a checkpoint is worth more than the tail. */
bool node_log_is_crowded(const struct node *node);
/* When it is crowded, give up what a checkpoint covers of its older half. Once a turn. */
void node_log_make_room(struct node *node);

#endif
