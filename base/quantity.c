#include "base/quantity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}, {NULL, 0}};
static const struct unit byte_units[] = {{"B", 1},
                                         {"KiB", UINT64_C(1) << 10},
                                         {"MiB", UINT64_C(1) << 20},
                                         {"GiB", UINT64_C(1) << 30},
                                         {"TiB", UINT64_C(1) << 40},
                                         {NULL, 0}};

/* The digits at the start of `text`; false if there are none or too many. */
static bool parse_digits(const char *text, uint64_t *ret_number, const char **ret_end)
{
    char *end;

    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    *ret_number = strtoull(text, &end, 10);
    *ret_end = end;
    return errno == 0;
}

static bool parse(const char *text, const struct unit *units, uint64_t *ret)
{
    uint64_t number;
    const char *end;

    if (!parse_digits(text, &number, &end)) {
        return false;
    }
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (strcmp(end, unit->name) == 0 && number <= UINT64_MAX / unit->factor) {
            *ret = number * unit->factor;
            return true;
        }
    }
    return false;
}

enum status quantity_parse_duration_ms(const char *text, uint64_t *ret_ms, struct error *error)
{
    if (!parse(text, duration_units, ret_ms)) {
        return error_set(error, STATUS_INVALID,
                         "'%.100s' is not a duration; write it as 100ms, 5s, 2m or 1h", text);
    }
    return STATUS_OK;
}

enum status quantity_parse_bytes(const char *text, uint64_t *ret_bytes, struct error *error)
{
    if (!parse(text, byte_units, ret_bytes)) {
        return error_set(error, STATUS_INVALID,
                         "'%.100s' is not a size; write it as 512B, 64KiB, 256MiB or 8GiB", text);
    }
    return STATUS_OK;
}

enum status
quantity_parse_count(const char *text, uint64_t max, uint64_t *ret_count, struct error *error)
{
    uint64_t number;
    const char *end;

    if (!parse_digits(text, &number, &end) || *end != '\0' || number > max) {
        return error_set(error, STATUS_INVALID, "'%.100s' is not a number from 0 to %" PRIu64, text,
                         max);
    }
    *ret_count = number;
    return STATUS_OK;
}
