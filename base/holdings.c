#include "base/holdings.h"

void holdings_init(struct holdings *holdings, uint64_t bytes_max)
{
    list_init(&holdings->holders);
    holdings->bytes = 0;
    holdings->bytes_max = bytes_max;
}

void holding_init(struct holding *holding, struct holdings *of)
{
    list_init(&holding->link);
    holding->of = of;
    holding->bytes = 0;
}

void holding_set(struct holding *holding, size_t bytes)
{
    struct holdings *of = holding->of;

    if (holding->bytes == 0 && bytes > 0) {
        list_append(&of->holders, &holding->link);
    } else if (holding->bytes > 0 && bytes == 0) {
        list_remove(&holding->link);
    }
    of->bytes = of->bytes - holding->bytes + bytes;
    holding->bytes = bytes;
}

bool holdings_are_too_much(const struct holdings *holdings)
{
    return holdings->bytes > holdings->bytes_max;
}

struct holding *holdings_largest(const struct holdings *holdings)
{
    struct holding *largest = NULL;

    LIST_FOR_EACH (link, &holdings->holders) {
        struct holding *holding = CONTAINER_OF(link, struct holding, link);

        if (largest == NULL || holding->bytes > largest->bytes) {
            largest = holding;
        }
    }
    return largest;
}
