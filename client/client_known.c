#include "client/client_known.h"

#include "client/client_memory.h"

#include <stdlib.h>
#include <string.h>

/* A slash sorts below everything, so that a subtree is one run; the root is the empty prefix. */
static int rank(char byte)
{
    return byte == '\0' ? 0 : byte == '/' ? 1 : 2 + (int)(unsigned char)byte;
}

int client_known_compare(const char *left, const char *right)
{
    if (strcmp(left, "/") == 0) {
        left = "";
    }
    if (strcmp(right, "/") == 0) {
        right = "";
    }
    while (*left != '\0' && *left == *right) {
        left++;
        right++;
    }
    return rank(*left) - rank(*right);
}

void client_known_init(struct client_known *known, uint64_t seed)
{
    *known = (struct client_known){.count = 0};
    prng_init(&known->prng, seed);
}

void client_known_clear(struct client_known *known)
{
    struct client_known_node *node = known->first[0];

    while (node != NULL) {
        struct client_known_node *next = node->next[0];

        free(node);
        node = next;
    }
    memset(known->first, 0, sizeof known->first);
    known->count = 0;
}

/* Where each level would have to be changed to put something in at `path`. */
static void seek(struct client_known *known,
                 const char *path,
                 struct client_known_node **ret_links[CLIENT_KNOWN_LEVELS_MAX])
{
    struct client_known_node **row = known->first;

    for (size_t level = CLIENT_KNOWN_LEVELS_MAX; level-- > 0;) {
        while (row[level] != NULL && client_known_compare(row[level]->path, path) < 0) {
            row = row[level]->next;
        }
        ret_links[level] = &row[level];
    }
}

struct client_known_node *client_known_from(const struct client_known *known, const char *path)
{
    struct client_known_node *const *row = known->first;

    for (size_t level = CLIENT_KNOWN_LEVELS_MAX; level-- > 0;) {
        while (row[level] != NULL && client_known_compare(row[level]->path, path) < 0) {
            row = row[level]->next;
        }
    }
    return row[0];
}

struct client_known_node *client_known_find(const struct client_known *known, const char *path)
{
    struct client_known_node *node = client_known_from(known, path);

    return node != NULL && client_known_compare(node->path, path) == 0 ? node : NULL;
}

static uint32_t draw_levels(struct prng *prng)
{
    uint64_t bits = prng_next(prng);
    uint32_t levels = 1;

    while (levels < CLIENT_KNOWN_LEVELS_MAX && (bits & 3) == 0) {
        levels++;
        bits >>= 2;
    }
    return levels;
}

static struct client_known_node *make(struct client_known *known, const char *path)
{
    uint32_t levels = draw_levels(&known->prng);
    size_t head_bytes =
        sizeof(struct client_known_node) + levels * sizeof(struct client_known_node *);
    size_t path_bytes = strlen(path) + 1;
    struct client_known_node *node = client_alloc(head_bytes + path_bytes);

    if (node != NULL) {
        char *copy = (char *)node + head_bytes;

        memcpy(copy, path, path_bytes);
        node->path = copy;
        node->levels = levels;
    }
    return node;
}

bool client_known_put(struct client_known *known, const char *path, const struct confer_stat *stat)
{
    struct client_known_node **links[CLIENT_KNOWN_LEVELS_MAX];
    struct client_known_node *node;

    seek(known, path, links);
    node = *links[0];
    if (node == NULL || client_known_compare(node->path, path) != 0) {
        node = make(known, path);
        if (node == NULL) {
            return false;
        }
        for (uint32_t level = 0; level < node->levels; level++) {
            node->next[level] = *links[level];
            *links[level] = node;
        }
        known->count++;
    }
    node->czxid = stat->czxid;
    node->mzxid = stat->mzxid;
    node->aversion = stat->aversion;
    return true;
}

void client_known_remove(struct client_known *known, const char *path)
{
    struct client_known_node **links[CLIENT_KNOWN_LEVELS_MAX];
    struct client_known_node *node;

    seek(known, path, links);
    node = *links[0];
    if (node == NULL || client_known_compare(node->path, path) != 0) {
        return;
    }
    for (uint32_t level = 0; level < node->levels; level++) {
        *links[level] = node->next[level];
    }
    known->count--;
    free(node);
}
