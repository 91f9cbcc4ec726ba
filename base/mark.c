#include "base/mark.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef CONFER_MARKS
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#endif

#ifdef CONFER_MARKS

/* The linker defines both as the ends of the section; neither exists in a program without marks. */
// NOLINTNEXTLINE(bugprone-reserved-identifier)
extern struct mark *__start_confer_marks[] __attribute__((weak, visibility("hidden")));
// NOLINTNEXTLINE(bugprone-reserved-identifier)
extern struct mark *__stop_confer_marks[] __attribute__((weak, visibility("hidden")));

static int by_name(const void *left, const void *right)
{
    const struct mark *const *a = left;
    const struct mark *const *b = right;

    return strcmp((*a)->name, (*b)->name);
}

void mark_each(mark_callback *callback, void *context)
{
    struct mark **marks = __start_confer_marks;
    size_t count = (size_t)(__stop_confer_marks - __start_confer_marks);

    if (count > 0) {
        qsort(marks, count, sizeof *marks, by_name);
    }
    for (size_t i = 0; i < count; i++) {
        callback(marks[i]->name, atomic_load_explicit(&marks[i]->count, memory_order_relaxed),
                 context);
    }
}

_Noreturn void mark_kill(const struct mark *mark)
{
    (void)dprintf(STDERR_FILENO, "CONFER_MARK_KILL: killed at mark %s\n", mark->name);
    (void)kill(getpid(), SIGKILL);
    abort(); /* not reached: a kill of the own process takes effect at once */
}

static struct mark *find(const char *name, size_t name_bytes)
{
    for (struct mark **mark = __start_confer_marks; mark < __stop_confer_marks; mark++) {
        if (strlen((*mark)->name) == name_bytes && memcmp((*mark)->name, name, name_bytes) == 0) {
            return *mark;
        }
    }
    return NULL;
}

/* Before main, while there is one thread. An order that cannot be followed ends the program: a test
 * would wait for a death that never comes. */
__attribute__((constructor)) static void arm(void)
{
    const char *order = getenv("CONFER_MARK_KILL");
    const char *colon = order == NULL ? NULL : strrchr(order, ':');
    struct mark *mark = colon == NULL ? NULL : find(order, (size_t)(colon - order));
    char *end = NULL;

    if (order == NULL) {
        return;
    }
    if (mark != NULL && colon[1] >= '0' && colon[1] <= '9') {
        errno = 0;
        mark->kill_at = strtoull(colon + 1, &end, 10);
    }
    if (end == NULL || *end != '\0' || errno != 0 || mark->kill_at == 0) {
        (void)fprintf(stderr,
                      "CONFER_MARK_KILL=%s: not a mark of this program, a colon and a count\n",
                      order);
        _exit(2);
    }
}

#else

void mark_each(mark_callback *callback, void *context)
{
    (void)callback;
    (void)context;
}

#endif

static void write_line(const char *name, uint64_t count, void *context)
{
    (void)fprintf(context, "%s %" PRIu64 "\n", name, count);
}

bool mark_write(const char *path)
{
    FILE *file = fopen(path, "we");
    bool failed;

    if (file == NULL) {
        return false;
    }
    mark_each(write_line, file);
    failed = ferror(file) != 0;
    return fclose(file) == 0 && !failed;
}
