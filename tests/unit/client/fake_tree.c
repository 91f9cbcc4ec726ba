#include "tests/unit/client/fake_tree.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

char *fake_tree_text_of(ProtobufCBinaryData data)
{
    char *text = xmalloc(data.len + 1);

    if (data.len > 0) {
        memcpy(text, data.data, data.len);
    }
    text[data.len] = '\0';
    return text;
}

static int rank(char byte)
{
    return byte == '\0' ? 0 : byte == '/' ? 1 : 2 + (unsigned char)byte;
}

int fake_tree_compare(const char *left, const char *right)
{
    left = strcmp(left, "/") == 0 ? "" : left;
    right = strcmp(right, "/") == 0 ? "" : right;
    for (; *left != '\0' && *left == *right; left++, right++) {
    }
    return rank(*left) - rank(*right);
}

struct fake_node *fake_tree_find(struct fake_server *server, const char *path)
{
    for (size_t i = 0; i < server->node_count; i++) {
        if (strcmp(server->nodes[i].path, path) == 0) {
            return &server->nodes[i];
        }
    }
    return NULL;
}

static struct fake_node *find_or_add(struct fake_server *server, const char *path)
{
    struct fake_node *node = fake_tree_find(server, path);
    size_t position = 0;

    if (node != NULL) {
        return node;
    }
    server->nodes = xrealloc(server->nodes, (server->node_count + 1) * sizeof *server->nodes);
    while (position < server->node_count &&
           fake_tree_compare(server->nodes[position].path, path) < 0) {
        position++;
    }
    memmove(server->nodes + position + 1, server->nodes + position,
            (server->node_count - position) * sizeof *server->nodes);
    server->node_count++;
    server->nodes[position] = (struct fake_node){.path = xstrdup(path), .value = xstrdup("")};
    return &server->nodes[position];
}

static void record(struct fake_server *server, Client__EventKind kind, const struct fake_node *node)
{
    server->history =
        xrealloc(server->history, (server->change_count + 1) * sizeof *server->history);
    server->history[server->change_count++] = (struct fake_change){.zxid = server->zxid,
                                                                   .kind = kind,
                                                                   .path = xstrdup(node->path),
                                                                   .value = xstrdup(node->value),
                                                                   .stat = node->stat};
}

bool fake_tree_put(struct fake_server *server, const char *path, const void *value, size_t bytes)
{
    struct fake_node *node = find_or_add(server, path);
    bool is_new = !node->exists;

    free(node->value);
    node->value = xmalloc(bytes + 1);
    if (bytes > 0) {
        memcpy(node->value, value, bytes);
    }
    node->value[bytes] = '\0';
    node->value_bytes = bytes;
    if (is_new) {
        record__stat__init(&node->stat);
        node->stat.czxid = server->zxid;
        node->exists = true;
    } else {
        node->stat.version++;
    }
    node->stat.mzxid = server->zxid;
    node->stat.value_bytes = (uint32_t)bytes;
    record(server, is_new ? CLIENT__EVENT_KIND__CREATED : CLIENT__EVENT_KIND__VALUE_SET, node);
    return is_new;
}

bool fake_tree_take_out(struct fake_server *server, const char *path)
{
    struct fake_node *node = fake_tree_find(server, path);

    if (node == NULL || !node->exists) {
        return false;
    }
    node->exists = false;
    record(server, CLIENT__EVENT_KIND__REMOVED, node);
    return true;
}
