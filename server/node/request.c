#include "server/node/request.h"

#include "base/block.h"

#include <string.h>

struct request *request_new(enum request_kind kind)
{
    struct request *request = block_new(sizeof *request);

    memset(request, 0, offsetof(struct request, space));
    request->kind = kind;
    arena_init_in(&request->arena, request->space, sizeof request->space);
    list_init(&request->link);
    return request;
}

void request_free(struct request *request)
{
    if (request != NULL) {
        state_count_free(request->progress.count);
        arena_release(&request->arena);
        block_free(request, sizeof *request);
    }
}
