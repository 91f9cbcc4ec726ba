/* Durations and sizes as people write them: 100ms, 5s, 2m, 64KiB, 256MiB, 8GiB. */
#ifndef BASE_QUANTITY_H
#define BASE_QUANTITY_H

#include "base/error.h"

#include <stdint.h>

/* Units ms, s, m, h; a unit is required. STATUS_INVALID names the text and the accepted form. */
MUST_CHECK enum status
quantity_parse_duration_ms(const char *text, uint64_t *ret_ms, struct error *error);
/* Units B, KiB, MiB, GiB, TiB; a unit is required. */
MUST_CHECK enum status
quantity_parse_bytes(const char *text, uint64_t *ret_bytes, struct error *error);
/* A decimal number without sign or unit, at most `max`. */
MUST_CHECK enum status
quantity_parse_count(const char *text, uint64_t max, uint64_t *ret_count, struct error *error);

#endif
