/* A status with the words for a person: what failed, where, and the way out. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/status.h"

#define ERROR_TEXT_BYTES_MAX 512

struct error {
    enum status status;
    char text[ERROR_TEXT_BYTES_MAX];
};

/* Store `status` and the formatted text (cut to fit) in `error` and return `status`, so that a
 * failing function can end with `return error_set(...)`. `error` may be NULL. */
enum status error_set(struct error *error, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
