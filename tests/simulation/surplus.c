#include "tests/simulation/surplus.h"

#include "base/check.h"
#include "server/state/apply.h"
#include "server/state/record_key.h"

#include <string.h>

/* Its ephemerals are only looked for by this session, which there never is. */
static const session_id nobody = UINT64_MAX;

static const char path[] = "/surplus";

struct state_digest surplus_in_digest(struct state *state, uint64_t bits)
{
    const struct state_digest surplus = {.record_count = 0, .sum = bits | 1};

    state->overlay.digest.sum += surplus.sum;
    return surplus;
}

struct state_digest surplus_in_records(struct state *state, uint64_t bits)
{
    struct bytes value = bytes_of_text(path);
    struct state_digest before = state_digest(state);
    struct record_key key;
    struct record *record;

    record_key_ephemeral(nobody, bits, &key);
    record = record_new(record_key_lend(&key), value.size);
    memcpy(record_value_space(record), value.data, value.size);
    overlay_begin(&state->overlay);
    overlay_put(&state->overlay, NULL, record);
    return surplus_taken_from(state_digest(state), before);
}

bool surplus_is(struct bytes key)
{
    struct record_key prefix;

    record_key_ephemerals(nobody, &prefix);
    return key.size > prefix.size && memcmp(key.data, prefix.data, prefix.size) == 0;
}
