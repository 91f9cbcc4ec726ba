/* The tape loaded into a real server (LD_PRELOAD): what the server does below the folder $TAPE_ROOT
 * goes into the file $TAPE_FILE, and it dies before call $TAPE_DIE_AT, if that is set. The
 * $TAPE_FAIL_AT'th call of the name $TAPE_FAIL_CALL fails, from 0, if that is set. */
#include "tests/power_cut/tape.h"

#include <stdio.h>
#include <stdlib.h>

__attribute__((constructor)) static void start(void)
{
    const char *root = getenv("TAPE_ROOT");
    const char *file = getenv("TAPE_FILE");
    const char *die_at = getenv("TAPE_DIE_AT");
    const char *fail_call = getenv("TAPE_FAIL_CALL");
    const char *fail_at = getenv("TAPE_FAIL_AT");

    if (root == NULL || file == NULL) {
        (void)fputs("the tape needs TAPE_ROOT and TAPE_FILE\n", stderr);
        _Exit(2);
    }
    tape_resume(root, file, die_at == NULL ? UINT64_MAX : strtoull(die_at, NULL, 10));
    if (fail_call != NULL && fail_at != NULL) {
        tape_fail_named(fail_call, strtoull(fail_at, NULL, 10));
    }
}
