#include "server/node/request.h"

#include "base/alloc.h"

#include <stdlib.h>

struct request *request_new(enum request_kind kind)
{
    struct request *request = xcalloc(1, sizeof *request);

    request->kind = kind;
    arena_init(&request->arena);
    list_init(&request->link);
    return request;
}

void request_free(struct request *request)
{
    if (request != NULL) {
        state_count_free(request->progress.count);
        arena_release(&request->arena);
        free(request);
    }
}
