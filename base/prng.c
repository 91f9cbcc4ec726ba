#include "base/prng.h"

#include "base/check.h"

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

void prng_init(struct prng *prng, uint64_t seed)
{
    /* splitmix64 fills the state, so that close seeds give unrelated streams. */
    for (int i = 0; i < 4; i++) {
        uint64_t mixed = (seed += UINT64_C(0x9e3779b97f4a7c15));

        mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
        prng->state[i] = mixed ^ (mixed >> 31);
    }
}

uint64_t prng_next(struct prng *prng)
{
    uint64_t *state = prng->state;
    uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;

    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

uint64_t prng_below(struct prng *prng, uint64_t bound)
{
    CHECK_OP(bound, >, 0);
    /* The bias of the remainder is below 2^-32 for every bound used here. */
    return prng_next(prng) % bound;
}

uint64_t prng_between(struct prng *prng, uint64_t low, uint64_t high)
{
    CHECK_OP(low, <=, high);
    if (high - low == UINT64_MAX) {
        return prng_next(prng);
    }
    return low + prng_below(prng, high - low + 1);
}
