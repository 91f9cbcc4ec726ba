/* What this server saw last of the data folders of others, and whether a folder that comes is an
 * older copy of one of them.
 *
 * A member that comes back with an old copy of its folder has forgotten votes and acknowledgements:
 * counting it could elect two leaders in one term, or lose a write that it acknowledged. Its id and
 * incarnation are right, so its folder is compared with what was seen:
 *
 *   - Each start raises the folder's start counter and draws a number, durably, before anything
 * else happens. A folder that grew out of the one seen last still knows the number of the start
 * that was seen; a copy made before that start does not, however often it was started since.
 *   - A copy made during the start seen last does know it. But a folder's term never falls, and
 *     committed entries stay in it: who was started since, and has less than what the member
 *     reported, has an old one.
 *
 * A sound folder passes all of this whatever happened to it or to us: what is seen of a member was
 * durable there before it was told. When nothing can be told (an old memory, or more starts than a
 * folder keeps numbers of) the folder passes. Pure: no clock, no disk. */
#ifndef NODE_WITNESS_H
#define NODE_WITNESS_H

#include "base/error.h"
#include "persistence/log_store.h"
#include "proto/peer.pb-c.h"

struct witness_table {
    struct log_witness witnesses[LOG_STORE_WITNESSES_MAX];
    size_t count;
    bool has_new_start; /* not kept durably yet; the owner clears both */
    bool has_news;
};

void witness_table_init(struct witness_table *table,
                        const struct log_witness *witnesses,
                        size_t count);

/* Whether the folder of this peer may be the one seen last, or grew out of it. False: it is an old
 * copy, in the words of `refusal`. */
bool witness_recognize(const struct witness_table *table,
                       const Peer__Identity *from,
                       char refusal[ERROR_TEXT_BYTES_MAX]);

/* Remember a folder that was recognized and let in. `config`: whose members keep their places when
 * there is none left. */
void witness_note_start(struct witness_table *table,
                        const Peer__Identity *from,
                        const struct raft_config *config);

/* What a peer said of itself after it was let in: its term and a committed index, both durable
 * there. Without effect unless `start` is the number of its start noted last. */
void witness_note_report(
    struct witness_table *table, raft_id id, uint64_t start, raft_term term, raft_index index);

#endif
