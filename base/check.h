/* Assertions that stay on in release builds.
 *
 * They are about this program's own state. Bytes from the wire, the disk or a user are never
 * asserted on: those are errors. A failed check prints both values and aborts. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <inttypes.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) {                                                   \
            check_failed(__FILE__, __LINE__, #condition);                                          \
        }                                                                                          \
    } while (0)

/* CHECK_OP(a, <=, b) for unsigned values. */
#define CHECK_OP(left, op, right)                                                                  \
    do {                                                                                           \
        uint64_t check_left = (uint64_t)(left);                                                    \
        uint64_t check_right = (uint64_t)(right);                                                  \
        if (__builtin_expect(!(check_left op check_right), 0)) {                                   \
            check_failed_op(__FILE__, __LINE__, #left " " #op " " #right, check_left,              \
                            check_right);                                                          \
        }                                                                                          \
    } while (0)

_Noreturn void check_failed(const char *file, int line, const char *condition);
_Noreturn void
check_failed_op(const char *file, int line, const char *condition, uint64_t left, uint64_t right);

#endif
