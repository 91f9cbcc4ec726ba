#include "tests/explorer/hash_set.h"

#include "base/alloc.h"

#define XXH_INLINE_ALL
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { FIRST_SLOTS = 1 << 16 };

void hash_set_init(struct hash_set *set)
{
    set->slot_count = FIRST_SLOTS;
    set->count = 0;
    set->slots = xcalloc(set->slot_count, sizeof set->slots[0]);
}

void hash_set_release(struct hash_set *set)
{
    free(set->slots);
    memset(set, 0, sizeof *set);
}

size_t hash_set_bytes(const struct hash_set *set)
{
    return set->slot_count * sizeof set->slots[0];
}

static bool is_full(const struct hash_set *set)
{
    return (set->count + 1) * 4 > set->slot_count * 3;
}

size_t hash_set_growth_bytes(const struct hash_set *set)
{
    return is_full(set) ? 2 * hash_set_bytes(set) : 0;
}

struct hash_set_item hash_set_hash(const void *data, size_t size)
{
    XXH128_hash_t hash = XXH3_128bits(data, size);
    struct hash_set_item item = {.low = hash.low64, .high = hash.high64};
    item.low |= item.low == 0 && item.high == 0;
    return item;
}

static struct hash_set_item *find(const struct hash_set *set, struct hash_set_item item)
{
    size_t at = item.low & (set->slot_count - 1);
    while (set->slots[at].low != 0 || set->slots[at].high != 0) {
        if (set->slots[at].low == item.low && set->slots[at].high == item.high) {
            break;
        }
        at = (at + 1) & (set->slot_count - 1);
    }
    return &set->slots[at];
}

static void grow(struct hash_set *set)
{
    struct hash_set old = *set;
    set->slot_count *= 2;
    set->slots = xcalloc(set->slot_count, sizeof set->slots[0]);
    for (size_t i = 0; i < old.slot_count; i++) {
        if (old.slots[i].low != 0 || old.slots[i].high != 0) {
            *find(set, old.slots[i]) = old.slots[i];
        }
    }
    free(old.slots);
}

bool hash_set_add(struct hash_set *set, struct hash_set_item item)
{
    struct hash_set_item *slot = find(set, item);
    if (slot->low != 0 || slot->high != 0) {
        return false;
    }
    if (is_full(set)) {
        grow(set);
        slot = find(set, item);
    }
    *slot = item;
    set->count++;
    return true;
}
