/* What the receiver of a watch knows: paths with the marks that tell whether a node changed.
 * Ordered as the servers read a subtree: parents before their children, siblings by name. A skip
 * list (W. Pugh, Skip Lists: A Probabilistic Alternative to Balanced Trees, 1990). */
#ifndef CLIENT_KNOWN_H
#define CLIENT_KNOWN_H

#include "base/prng.h"
#include "client/include/confer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLIENT_KNOWN_LEVELS_MAX = 12 };

struct client_known_node {
    const char *path; /* in the same block */
    uint64_t czxid;
    uint64_t mzxid;
    int32_t aversion;
    uint32_t levels;
    struct client_known_node *next[];
};

struct client_known {
    struct client_known_node *first[CLIENT_KNOWN_LEVELS_MAX];
    struct prng prng;
    size_t count;
};

/* <0, 0, >0 in the order above. */
int client_known_compare(const char *left, const char *right);

void client_known_init(struct client_known *known, uint64_t seed);
/* Forget everything. */
void client_known_clear(struct client_known *known);
struct client_known_node *client_known_find(const struct client_known *known, const char *path);
/* The first one at or behind `path`; NULL = none. */
struct client_known_node *client_known_from(const struct client_known *known, const char *path);
static inline struct client_known_node *client_known_next(const struct client_known_node *node)
{
    return node->next[0];
}
/* Remember the node as `stat` tells it; false: no memory. */
bool client_known_put(struct client_known *known, const char *path, const struct confer_stat *stat);
/* Forget the node; nothing happens if it is not known. */
void client_known_remove(struct client_known *known, const char *path);

#endif
