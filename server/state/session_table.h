/* The sessions, all of them in RAM, and their records:
 *
 *     0  u64  generation     8  u64  owner        16  u32  timeout ms
 *    20  u64  last sequence 28  u64  confirmed    36  u64  bytes of kept results
 *    44  16 bytes of password
 *
 * A session keeps the results of its writes from `confirmed` + 1 to `last_sequence`, each in a
 * record of its own. */
#ifndef STATE_SESSION_TABLE_H
#define STATE_SESSION_TABLE_H

#include "server/state/overlay.h"
#include "server/state/state.h"

struct session {
    struct map_node by_id;
    struct list in_order;
    session_id id;
    uint64_t generation;
    uint64_t owner;
    uint32_t timeout_ms;
    uint64_t last_sequence;
    uint64_t confirmed;
    uint64_t kept_bytes;
    uint8_t password[STATE_PASSWORD_BYTES];
};

struct session_table {
    struct overlay *overlay;
    struct map by_id;
    struct list in_order; /* of id */
};

void session_table_init(struct session_table *table, struct overlay *overlay);
void session_table_release(struct session_table *table);
/* Read all sessions of the source. STATUS_CORRUPT: a record is no session's. */
MUST_CHECK enum status session_table_load(struct session_table *table);

/* NULL if there is none. */
struct session *session_table_find(const struct session_table *table, session_id id);
/* A new session; its id is greater than all others. Not written until session_table_write. */
struct session *session_table_add(struct session_table *table, session_id id);
/* Write the record of a session that changed. */
MUST_CHECK enum status session_table_write(struct session_table *table, struct session *session);
/* Remove the session with its kept results. */
MUST_CHECK enum status session_table_remove(struct session_table *table, struct session *session);

/* The client has the results up to `sequence` (at most the last one counts): forget them. Leaves
 * the session to be written by the caller; ret_changed tells whether it must be. */
MUST_CHECK enum status session_confirm(struct session_table *table,
                                       struct session *session,
                                       uint64_t sequence,
                                       bool *ret_changed);
/* Keep the result of the write after the last; the caller writes the session. `result`
 * is copied. */
void session_keep(struct session_table *table, struct session *session, struct bytes result);
/* The kept result, lent like overlay_find. STATUS_CORRUPT if it is missing. */
MUST_CHECK enum status session_kept(struct session_table *table,
                                    const struct session *session,
                                    uint64_t sequence,
                                    struct bytes *ret_result);

#endif
