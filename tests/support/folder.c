#include "tests/support/folder.h"

#include "tests/support/process.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPEN_FILES_MAX = 16, COPY_DEADLINE_MS = 60000 };

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

void folder_remove(const char *path)
{
    (void)nftw(path, remove_one, OPEN_FILES_MAX, FTW_DEPTH | FTW_PHYS);
}

void folder_copy(const char *from, const char *to)
{
    const char *const arguments[] = {"/bin/cp", "-a", from, to, NULL};
    const struct outcome *outcome;

    folder_remove(to);
    outcome = outcome_of(arguments, COPY_DEADLINE_MS);
    if (outcome->exit_code != 0) {
        (void)fputs(outcome->err, stderr);
        abort();
    }
}
