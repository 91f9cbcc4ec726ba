/* The record "m": what a restart needs besides the other tables. */
#ifndef STATE_STATE_META_H
#define STATE_STATE_META_H

#include "base/error.h"
#include "server/state/state.h"

enum { STATE_META_BYTES = 60 };

struct state_meta {
    zxid applied;
    uint64_t time_ms;
    uint64_t next_node_id;
    struct state_digest records; /* of all records but this one */
    uint64_t node_count;
    bool has_data_bytes; /* format 1 did not tell them */
    uint64_t data_bytes;
};

void state_meta_encode(const struct state_meta *meta, uint8_t to[STATE_META_BYTES]);
/* FORMAT: of a newer version. CORRUPT. */
MUST_CHECK enum status
state_meta_decode(struct bytes bytes, struct state_meta *ret_meta, struct error *error);
/* The digest of the whole state: also of what this record says by itself. */
struct state_digest state_meta_digest(const struct state_meta *meta);

#endif
