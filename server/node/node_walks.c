#include "server/node/node_walks.h"

#include "base/check.h"
#include "base/mark.h"
#include "server/node/node_reads.h"

#include <string.h>

enum {
    TURN_NODES_MAX = 4096,             /* about a millisecond */
    EPHEMERALS_BYTES_MAX = 1024 * 1024 /* of paths in one answer: more fits into no frame */
};

void node_walks_begin(struct node *node)
{
    node->walk_left = TURN_NODES_MAX;
    node->walks_wait = false;
}

bool node_walks_wait(const struct node *node)
{
    return node->walks_wait;
}

/* --- Counting --- */

static bool count(struct node *node, struct request *request, struct reply *reply)
{
    struct request_progress *progress = &request->progress;
    enum op_error error = OP_OK;
    bool is_done = false;

    if (progress->count == NULL) {
        struct state_node *top = NULL;

        reply->code = client_read(request->client, request->path, STATE_PERMISSION_READ, &top);
        state_node_unref(top);
        if (reply->code != CLIENT__CODE__OK) {
            return true;
        }
        if (request->path.size <= 1) { /* the root */
            reply->count = state_node_count(node->state) - 1;
            return true;
        }
        if (node_reads_failed(node,
                              state_count_new(node->state, request->path, &error, &progress->count),
                              "a node")) {
            return false;
        }
        CHECK(error == OP_OK);
    }
    if (node_reads_failed(
            node, state_count_continue(node->state, progress->count, &node->walk_left, &is_done),
            "a subtree")) {
        return false;
    }
    reply->count = state_count_total(progress->count);
    return is_done;
}

/* --- Ephemerals --- */

static void collect(void *visitor, struct bytes path)
{
    struct request *request = visitor;
    struct request_progress *progress = &request->progress;

    if (progress->bytes > EPHEMERALS_BYTES_MAX || path.size < request->path.size ||
        memcmp(path.data, request->path.data, request->path.size) != 0) {
        return;
    }
    if (progress->path_count == progress->path_capacity) {
        size_t capacity = 2 * progress->path_capacity + 16;
        struct bytes *paths = arena_alloc(&request->arena, capacity * sizeof *paths);

        if (progress->path_count > 0) {
            memcpy(paths, progress->paths, progress->path_count * sizeof *paths);
        }
        progress->paths = paths;
        progress->path_capacity = capacity;
    }
    progress->paths[progress->path_count++] = arena_copy(&request->arena, path);
    progress->bytes += path.size;
}

static bool find_ephemerals(struct node *node, struct request *request, struct reply *reply)
{
    struct request_progress *progress = &request->progress;
    bool is_done = false;

    if (node_reads_failed(node,
                          state_each_ephemeral(node->state, request->client->session,
                                               &progress->cursor, &node->walk_left, collect,
                                               request, &is_done),
                          "the ephemeral nodes of a session")) {
        return false;
    }
    reply->ephemerals.paths = progress->paths;
    reply->ephemerals.count = progress->path_count;
    reply->ephemerals.more = progress->bytes > EPHEMERALS_BYTES_MAX;
    return is_done || reply->ephemerals.more;
}

bool node_walks_execute(struct node *node, struct request *request, struct reply *reply)
{
    bool is_done = false;

    if (node->walk_left > 0) {
        is_done = request->kind == REQUEST_COUNT ? count(node, request, reply)
                                                 : find_ephemerals(node, request, reply);
    }
    MARK_IF(!is_done, walk_goes_on_in_another_turn);
    node->walks_wait |= !is_done;
    return is_done;
}
