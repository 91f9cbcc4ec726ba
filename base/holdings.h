/* Memory that many hold together, within one limit: how much it is, and who holds most of it. When
 * it becomes too much, the one with most is to give way: who floods is then never protected by the
 * number of those who do not. */
#ifndef BASE_HOLDINGS_H
#define BASE_HOLDINGS_H

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct holdings {
    struct list holders; /* of something */
    uint64_t bytes;
    uint64_t bytes_max;
};

/* One holder's part, inside its struct. */
struct holding {
    struct list link;
    struct holdings *of;
    size_t bytes;
};

void holdings_init(struct holdings *holdings, uint64_t bytes_max);
/* It holds nothing yet. */
void holding_init(struct holding *holding, struct holdings *of);
void holding_set(struct holding *holding, size_t bytes);

bool holdings_are_too_much(const struct holdings *holdings);
/* In time that follows the number of holders. NULL: nobody holds anything. */
struct holding *holdings_largest(const struct holdings *holdings);

#endif
