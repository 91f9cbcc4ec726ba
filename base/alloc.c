#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void out_of_memory(size_t bytes)
{
    (void)fprintf(stderr, "out of memory: cannot allocate %zu bytes\n", bytes);
    abort();
}

void *xmalloc(size_t bytes)
{
    void *memory = malloc(bytes == 0 ? 1 : bytes);

    if (memory == NULL) {
        out_of_memory(bytes);
    }
    return memory;
}

void *xcalloc(size_t count, size_t bytes)
{
    void *memory = calloc(count == 0 ? 1 : count, bytes == 0 ? 1 : bytes);

    if (memory == NULL) {
        out_of_memory(bytes);
    }
    return memory;
}

void *xrealloc(void *memory, size_t bytes)
{
    void *moved = realloc(memory, bytes == 0 ? 1 : bytes);

    if (moved == NULL) {
        out_of_memory(bytes);
    }
    return moved;
}

char *xstrdup(const char *text)
{
    return xmemdup(text, strlen(text) + 1);
}

void *xmemdup(const void *data, size_t bytes)
{
    void *copy = xmalloc(bytes);

    if (bytes > 0) {
        memcpy(copy, data, bytes);
    }
    return copy;
}
