#include "base/mark.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
