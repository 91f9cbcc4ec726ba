#include "server/node/node_reads.h"

#include "base/check.h"

#include <string.h>

enum {
    /* A page stays far below the frame limit: names, values and acls up to PAGE_BYTES_MAX, one
     * more item of at most a value's size, and about 100 bytes of stat and framing for each of the
     * items. */
    PAGE_BYTES_MAX = 2 * 1024 * 1024,
    PAGE_COUNT_MAX = 4096, /* some milliseconds */
    /* Names alone, by default, and to those who ask for as many as a ZooKeeper frame may hold. */
    NAMES_COUNT_MAX = 16384,
    MOST_NAMES_COUNT_MAX = 256 * 1024,
    NAMES_BYTES_MAX = 1024 * 1024,
    /* An answer within both takes some ten microseconds: all that is given before the others. */
    LITTLE_COUNT = 256,
    LITTLE_BYTES = 64 * 1024
};

bool node_reads_failed(struct node *node, enum status status, const char *what)
{
    struct error error;

    if (status == STATUS_OK) {
        return false;
    }
    (void)error_set(&error, status,
                    "cannot read %s: %s; the data folder is damaged or its disk fails", what,
                    status_text(status));
    node_damaged(node, &error);
    return true;
}

bool client_may(const struct client *client, const struct state_node *node, unsigned permissions)
{
    return state_node_permits(
        node, permissions,
        (struct state_identities){.items = client->identities, .count = client->identity_count});
}

Client__Code node_read(struct node *node, struct bytes path, struct state_node **ret_node)
{
    enum op_error error = OP_NO_NODE;

    if (node_reads_failed(node, state_read(node->state, path, &error, ret_node), "a node")) {
        return CLIENT__CODE__STOPPING;
    }
    return (Client__Code)error;
}

Client__Code client_read(const struct client *client,
                         struct bytes path,
                         unsigned permissions,
                         struct state_node **ret_node)
{
    struct state_node *node = NULL;
    Client__Code code = node_read(client->node, path, &node);

    if (code == CLIENT__CODE__OK && !client_may(client, node, permissions)) {
        state_node_unref(node);
        return CLIENT__CODE__NO_AUTH;
    }
    if (code == CLIENT__CODE__OK) {
        *ret_node = node;
    }
    return code;
}

static bool may_read(const struct request *request, const struct state_node *node)
{
    return client_may(request->client, node, STATE_PERMISSION_READ);
}

/* Whether the node is there and may be read. */
static Client__Code check_readable(const struct client *client, struct bytes path)
{
    struct state_node *node = NULL;
    Client__Code code = client_read(client, path, STATE_PERMISSION_READ, &node);

    state_node_unref(node);
    return code;
}

static size_t value_bytes(const struct state_node *node)
{
    bool is_null;

    return node == NULL ? 0 : state_node_value(node, &is_null).size;
}

/* Reads leave off when they are only to be little and are not: what they have is let go. */
static bool leave_off(const struct request *request, struct reply *reply)
{
    node_reads_release(request, reply);
    *reply = (struct reply){.code = CLIENT__CODE__OK};
    return false;
}

static bool read_node(struct request *request, bool is_little, struct reply *reply)
{
    unsigned permissions =
        request->permissions != 0 ? request->permissions : (unsigned)STATE_PERMISSION_READ;

    reply->node = NULL;
    reply->code = client_read(request->client, request->path, permissions, &reply->node);
    if (is_little && reply->code == CLIENT__CODE__OK && value_bytes(reply->node) > LITTLE_BYTES) {
        return leave_off(request, reply);
    }
    return true;
}

static size_t count_limit(const struct request *request)
{
    bool is_names = request->kind == REQUEST_LIST && !request->page.with_nodes;
    uint32_t most = is_names ? MOST_NAMES_COUNT_MAX : PAGE_COUNT_MAX;
    uint32_t by_default = is_names ? NAMES_COUNT_MAX : PAGE_COUNT_MAX;
    uint32_t wanted = request->page.count_max == 0 ? by_default : request->page.count_max;

    return wanted < most ? wanted : most;
}

/* Their names are the parent's to show, the rest is their own. */
static void hide_secret_children(const struct request *request, struct state_children *children)
{
    for (size_t i = 0; i < children->count; i++) {
        struct state_child *child = &children->items[i];

        if (child->node != NULL && !may_read(request, child->node)) {
            state_node_unref(child->node);
            child->node = NULL;
        }
    }
}

struct page {
    struct bytes after;
    size_t count_max;
    size_t bytes_max;
    bool with_nodes;
};

static Client__Code list(const struct client *client,
                         struct bytes path,
                         const struct page *page,
                         struct arena *arena,
                         struct state_children *ret_children)
{
    struct node *node = client->node;
    enum op_error error = OP_NO_NODE;
    Client__Code code = check_readable(client, path);

    if (code != CLIENT__CODE__OK) {
        return code;
    }
    if (node_reads_failed(node,
                          state_read_children(node->state, path, page->after, page->count_max,
                                              page->bytes_max, page->with_nodes, arena, &error,
                                              ret_children),
                          "children")) {
        return CLIENT__CODE__STOPPING;
    }
    return (Client__Code)error;
}

Client__Code client_list(const struct client *client,
                         struct bytes path,
                         struct arena *arena,
                         struct state_children *ret_children)
{
    const struct page page = {.count_max = MOST_NAMES_COUNT_MAX, .bytes_max = NAMES_BYTES_MAX};

    return list(client, path, &page, arena, ret_children);
}

/* Whether a page that was cut to little is all that was wanted. */
static bool is_whole(const struct state_children *children, size_t count_max)
{
    if (children->count == 1 && value_bytes(children->items[0].node) > LITTLE_BYTES) {
        return false;
    }
    return !children->more || children->count == count_max;
}

static bool read_children(struct request *request, bool is_little, struct reply *reply)
{
    size_t count_max = count_limit(request);
    struct page page = {.after = request->page.after,
                        .count_max = count_max,
                        .bytes_max = request->page.with_nodes ? PAGE_BYTES_MAX : NAMES_BYTES_MAX,
                        .with_nodes = request->page.with_nodes};

    if (is_little) {
        page.count_max = count_max < LITTLE_COUNT ? count_max : LITTLE_COUNT;
        page.bytes_max = LITTLE_BYTES;
    }
    reply->children.count = 0;
    reply->code = list(request->client, request->path, &page, &request->arena, &reply->children);
    if (reply->code != CLIENT__CODE__OK) {
        return true;
    }
    if (is_little && !is_whole(&reply->children, count_max)) {
        return leave_off(request, reply);
    }
    hide_secret_children(request, &reply->children);
    return true;
}

/* --- A subtree, parents before children, siblings by name --- */

static struct bytes path_join(struct arena *arena, struct bytes parent, struct bytes name)
{
    bool is_root = parent.size == 1;
    size_t prefix = is_root ? 0 : parent.size;
    uint8_t *path = arena_alloc(arena, prefix + 1 + name.size);

    memcpy(path, parent.data, prefix);
    path[prefix] = '/';
    memcpy(path + prefix + 1, name.data, name.size);
    return bytes_of(path, prefix + 1 + name.size);
}

/* The last `/` of a path other than the root. */
static size_t last_slash(struct bytes path)
{
    const uint8_t *slash = memrchr(path.data, '/', path.size);

    CHECK(slash != NULL);
    return (size_t)(slash - path.data);
}

static struct bytes path_parent(struct bytes path)
{
    size_t slash = last_slash(path);

    return bytes_of(path.data, slash == 0 ? 1 : slash);
}

static struct bytes path_name(struct bytes path)
{
    size_t slash = last_slash(path);

    return bytes_of(path.data + slash + 1, path.size - slash - 1);
}

static uint32_t depth_below(struct bytes root, struct bytes path)
{
    uint32_t depth = 0;

    for (size_t i = root.size == 1 ? 0 : root.size; i < path.size; i++) {
        depth += path.data[i] == '/';
    }
    return path.size == 1 ? 0 : depth;
}

/* The first child of `parent` with a name after `after`; false when there is none. */
static bool child_after(struct node *node,
                        struct request *request,
                        struct bytes parent,
                        struct bytes after,
                        struct reply_tree_node *ret)
{
    struct state_children children = {.count = 0};
    enum op_error error = OP_NO_NODE;
    enum status status = state_read_children(node->state, parent, after, 1, PAGE_BYTES_MAX, true,
                                             &request->arena, &error, &children);

    if (node_reads_failed(node, status, "a subtree") || error != OP_OK || children.count == 0) {
        return false;
    }
    ret->path = path_join(&request->arena, parent, children.items[0].name);
    ret->node = children.items[0].node;
    return true;
}

/* The node that follows `path` and everything below it in the order of the walk. */
static bool walk_past(struct node *node,
                      struct request *request,
                      struct bytes path,
                      struct reply_tree_node *ret)
{
    while (path.size > request->path.size && !node->failed) {
        if (child_after(node, request, path_parent(path), path_name(path), ret)) {
            return true;
        }
        path = path_parent(path);
    }
    return false;
}

/* The node that follows `path` in the order of the walk, whether or not `path` still exists. What
 * may not be read is a name without a node, and nothing below it is looked at. */
static bool walk_next(struct node *node,
                      struct request *request,
                      struct bytes path,
                      bool descend,
                      struct reply_tree_node *ret)
{
    uint32_t depth_max = request->page.depth_max == 0 ? UINT32_MAX : request->page.depth_max;

    if (!(descend && depth_below(request->path, path) < depth_max &&
          child_after(node, request, path, BYTES_EMPTY, ret)) &&
        !walk_past(node, request, path, ret)) {
        return false;
    }
    if (!may_read(request, ret->node)) {
        state_node_unref(ret->node);
        ret->node = NULL;
    }
    return true;
}

static bool is_inside(struct bytes root, struct bytes path)
{
    if (!state_path_is_valid(path) || path.size < root.size ||
        memcmp(path.data, root.data, root.size) != 0) {
        return false;
    }
    return path.size == root.size || root.size == 1 || path.data[root.size] == '/';
}

struct tree_page {
    struct reply_tree_node *nodes;
    size_t capacity;
};

static void append(struct request *request,
                   struct tree_page *page,
                   struct reply *reply,
                   const struct reply_tree_node *node)
{
    size_t count = reply->tree.count;

    if (count == page->capacity) {
        size_t capacity = count == 0 ? 64 : 2 * count;
        struct reply_tree_node *grown = arena_alloc(&request->arena, capacity * sizeof *grown);

        if (count > 0) {
            memcpy(grown, page->nodes, count * sizeof *grown);
        }
        *page = (struct tree_page){.nodes = grown, .capacity = capacity};
        reply->tree.nodes = grown;
    }
    page->nodes[reply->tree.count++] = *node;
}

static bool
read_tree(struct node *node, struct request *request, bool is_little, struct reply *reply)
{
    size_t count_max = count_limit(request);
    size_t bytes = 0;
    struct tree_page page = {.nodes = NULL};
    struct reply_tree_node next = {.node = NULL};
    bool found;

    reply->tree.nodes = NULL;
    reply->tree.count = 0;
    reply->tree.more = false;
    if (!state_path_is_valid(request->path) ||
        (request->page.after.size > 0 && !is_inside(request->path, request->page.after))) {
        reply->code = CLIENT__CODE__BAD_ARGUMENTS;
        return true;
    }
    reply->code = client_read(request->client, request->path, STATE_PERMISSION_READ, &next.node);
    if (reply->code != CLIENT__CODE__OK) {
        return true;
    }
    next.path = request->path;
    found = true;
    if (request->page.after.size > 0) {
        state_node_unref(next.node);
        found = walk_next(node, request, request->page.after,
                          check_readable(request->client, request->page.after) == CLIENT__CODE__OK,
                          &next);
    }
    while (found) {
        if (reply->tree.count == count_max || bytes > PAGE_BYTES_MAX) {
            state_node_unref(next.node);
            reply->tree.more = true;
            break;
        }
        bytes += next.path.size + (request->page.with_nodes ? value_bytes(next.node) : 0);
        append(request, &page, reply, &next);
        if (is_little && (reply->tree.count > LITTLE_COUNT || bytes > LITTLE_BYTES)) {
            return leave_off(request, reply);
        }
        found = walk_next(node, request, next.path, next.node != NULL, &next);
    }
    return true;
}

bool node_reads_execute(struct node *node,
                        struct request *request,
                        bool is_little,
                        struct reply *reply)
{
    if (request->kind == REQUEST_GET) {
        return read_node(request, is_little, reply);
    }
    if (request->kind == REQUEST_LIST) {
        return read_children(request, is_little, reply);
    }
    CHECK(request->kind == REQUEST_READ_TREE);
    return read_tree(node, request, is_little, reply);
}

void node_reads_release(const struct request *request, struct reply *reply)
{
    if ((request->kind == REQUEST_GET || request->kind == REQUEST_RECONFIGURE) &&
        reply->code == CLIENT__CODE__OK) {
        state_node_unref(reply->node);
    } else if (request->kind == REQUEST_LIST && reply->code == CLIENT__CODE__OK) {
        for (size_t i = 0; i < reply->children.count; i++) {
            state_node_unref(reply->children.items[i].node);
        }
    } else if (request->kind == REQUEST_READ_TREE && reply->code == CLIENT__CODE__OK) {
        for (size_t i = 0; i < reply->tree.count; i++) {
            state_node_unref(reply->tree.nodes[i].node);
        }
    }
}
