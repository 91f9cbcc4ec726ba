/* Results as they are kept for retries: record.Result of proto/record.proto. */
#ifndef STATE_RESULT_H
#define STATE_RESULT_H

#include "base/arena.h"
#include "server/state/state.h"

/* The bytes lie in the arena. */
struct bytes result_encode(const struct state_result *result, struct arena *arena);
/* STATUS_CORRUPT: not a kept result. ret_result is without changes and marked as repeated. */
MUST_CHECK enum status
result_decode(struct bytes bytes, struct arena *arena, struct state_result *ret_result);

#endif
