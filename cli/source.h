/* The nodes of a ZooKeeper ensemble, read many at a time (libzookeeper_mt).
 *
 * source_read asks; on_node tells the outcome, on a thread of the library or inside source_read.
 * Nothing of the source may be called there. */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <confer.h>

#include <stdbool.h>
#include <stddef.h>

enum source_outcome {
    SOURCE_READ,
    SOURCE_GONE,      /* there is no such node (any more) */
    SOURCE_FORBIDDEN, /* it, or its list of permissions, may not be read */
    SOURCE_LOST       /* no connection now: ask again */
};

/* The receiver's, with all it points to. */
struct source_node {
    enum source_outcome outcome;
    char *path;
    char *value; /* NULL: a null value */
    size_t value_bytes;
    struct confer_acl_entry *acl; /* with the texts behind the entries */
    size_t acl_count;
    uint32_t version;
    uint32_t children_created;
    bool is_ephemeral;
    char **children; /* names */
    size_t child_count;
};
void source_node_free(struct source_node *node); /* NULL is fine */

struct source;

/* `servers` is HOST:PORT,...; `user` NAME:PASSWORD or NULL. Returns at once, whether or not a
 * server answers. NULL: `problem` says why. */
struct source *source_open(const char *servers,
                           const char *user,
                           void (*on_node)(void *context, struct source_node *node),
                           void *context,
                           const char **ret_problem);
/* No on_node comes after this; nodes asked for and not told are dropped. NULL is fine. */
void source_close(struct source *source);

/* `path` is copied. */
void source_read(struct source *source, const char *path);

#endif
