#include "server/node/request.h"

#include "base/alloc.h"
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

static struct bytes put_text(uint8_t **at, struct bytes text)
{
    struct bytes copy = bytes_of(*at, text.size);

    if (text.size > 0) {
        memcpy(*at, text.data, text.size);
    }
    *at += text.size;
    return copy;
}

struct state_identity *request_copy_identities(struct state_identities identities)
{
    size_t bytes = identities.count * sizeof *identities.items;
    struct state_identity *items;
    uint8_t *texts;

    for (size_t i = 0; i < identities.count; i++) {
        bytes += identities.items[i].scheme.size + identities.items[i].id.size;
    }
    items = xmalloc(bytes);
    texts = (uint8_t *)(items + identities.count);
    for (size_t i = 0; i < identities.count; i++) {
        items[i].scheme = put_text(&texts, identities.items[i].scheme);
        items[i].id = put_text(&texts, identities.items[i].id);
    }
    return items;
}
