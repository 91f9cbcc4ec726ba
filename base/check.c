#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_failed(const char *file, int line, const char *condition)
{
    (void)fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
    abort();
}

_Noreturn void
check_failed_op(const char *file, int line, const char *condition, uint64_t left, uint64_t right)
{
    (void)fprintf(stderr, "%s:%d: check failed: %s (left %" PRIu64 ", right %" PRIu64 ")\n", file,
                  line, condition, left, right);
    abort();
}
