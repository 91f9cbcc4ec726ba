/* A look at the records of a checkpoint, one after the other, without a state: each has the form of
 * its table, and all of them together have the digest that the state had. A digest that agrees
 * leaves nothing else to be checked: the state that had it kept its invariants. */
#ifndef STATE_STATE_AUDIT_H
#define STATE_STATE_AUDIT_H

#include "server/state/state_meta.h"

struct state_audit {
    struct state_digest records; /* of all but "m" */
    uint64_t node_count;
    uint64_t session_count;
    bool has_meta;
    struct state_meta meta;
};

/* NULL, or what is wrong with the record, as in "is no node". Start with zeros. */
const char *state_audit_record(struct state_audit *audit, struct bytes key, struct bytes value);
/* NULL, or what is wrong with all of them together; `digest` is what the checkpoint says. */
const char *state_audit_end(const struct state_audit *audit, struct state_digest digest);

#endif
