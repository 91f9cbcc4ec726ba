/* Allocation that cannot fail: exhaustion ends the process with a message. For the server and the
 * command line, which lose nothing by it; the client library is a guest in its process and uses
 * malloc with CONFER_NO_MEMORY instead. */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

/* All return memory to be released with free(). A size of zero gives a valid pointer. */
void *xmalloc(size_t bytes) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xcalloc(size_t count, size_t bytes)
    __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xrealloc(void *memory, size_t bytes) __attribute__((returns_nonnull, warn_unused_result));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xmemdup(const void *data, size_t bytes)
    __attribute__((malloc, returns_nonnull, warn_unused_result));

#endif
