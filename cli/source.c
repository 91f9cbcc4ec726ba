#include "cli/source.h"

#include "base/alloc.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zookeeper/zookeeper.h>

enum { SESSION_TIMEOUT_MS = 30 * 1000 };

struct source {
    zhandle_t *handle;
    void (*on_node)(void *context, struct source_node *node);
    void *context;
    pthread_mutex_t mutex;
};

/* Value, list of permissions and children are three answers, in any order. */
struct reading {
    struct source *source;
    struct source_node *node; /* outcome: under the mutex; the rest: each answer its part */
    unsigned answers_left;    /* under the mutex */
};

void source_node_free(struct source_node *node)
{
    if (node == NULL) {
        return;
    }
    for (size_t i = 0; i < node->child_count; i++) {
        free(node->children[i]);
    }
    free((void *)node->children);
    free(node->acl);
    free(node->value);
    free(node->path);
    free(node);
}

static enum source_outcome outcome_of(int code)
{
    switch (code) {
    case ZOK:
        return SOURCE_READ;
    case ZNONODE:
        return SOURCE_GONE;
    case ZNOAUTH:
        return SOURCE_FORBIDDEN;
    default:
        return SOURCE_LOST;
    }
}

/* The worst outcome counts. */
static void finish(struct reading *reading, int code)
{
    enum source_outcome outcome = outcome_of(code);
    struct source_node *node = reading->node;
    bool is_last;

    (void)pthread_mutex_lock(&reading->source->mutex);
    if (outcome > node->outcome) {
        node->outcome = outcome;
    }
    reading->answers_left--;
    is_last = reading->answers_left == 0;
    (void)pthread_mutex_unlock(&reading->source->mutex);
    if (!is_last) {
        return;
    }
    if (code == ZCLOSING) {
        source_node_free(node);
    } else {
        reading->source->on_node(reading->source->context, node);
    }
    free(reading);
}

static void
on_value(int code, const char *value, int size, const struct Stat *stat, const void *data)
{
    struct reading *reading = (struct reading *)(uintptr_t)data;
    struct source_node *node = reading->node;

    if (code == ZOK) {
        if (size >= 0) {
            node->value_bytes = (size_t)size;
            node->value = xmalloc(node->value_bytes + 1);
            memcpy(node->value, value == NULL ? "" : value, node->value_bytes);
        }
        node->version = stat->version < 0 ? 0 : (uint32_t)stat->version;
        node->is_ephemeral = stat->ephemeralOwner != 0;
        /* cversion counts creations and removals of children. */
        node->children_created = ((uint32_t)stat->cversion + (uint32_t)stat->numChildren) / 2;
    }
    finish(reading, code);
}

/* Servers hide the hashes of a list from whoever may not administer the node; what they show
 * instead must not be taken for the list. */
static bool is_hidden(const struct Id *id)
{
    const char *colon = strrchr(id->id, ':');

    return strcmp(id->scheme, "digest") == 0 && (colon == NULL || strcmp(colon, ":x") == 0);
}

static void on_acl(int code, struct ACL_vector *acl, struct Stat *stat, const void *data)
{
    struct reading *reading = (struct reading *)(uintptr_t)data;
    struct source_node *node = reading->node;
    size_t text_bytes = 0;
    char *text;

    (void)stat;
    if (code == ZOK && acl->count > 0) {
        size_t count = (size_t)acl->count;

        for (size_t i = 0; i < count; i++) {
            code = is_hidden(&acl->data[i].id) ? ZNOAUTH : code;
            text_bytes += strlen(acl->data[i].id.scheme) + strlen(acl->data[i].id.id) + 2;
        }
        node->acl = xmalloc(count * sizeof *node->acl + text_bytes);
        text = (char *)(node->acl + count);
        for (size_t i = 0; i < count; i++) {
            node->acl[i] = (struct confer_acl_entry){.permissions = (uint32_t)acl->data[i].perms,
                                                     .scheme = text};
            text = stpcpy(text, acl->data[i].id.scheme) + 1;
            node->acl[i].id = text;
            text = stpcpy(text, acl->data[i].id.id) + 1;
        }
        node->acl_count = count;
    }
    finish(reading, code);
}

static void
on_children(int code, const struct String_vector *names, const struct Stat *stat, const void *data)
{
    struct reading *reading = (struct reading *)(uintptr_t)data;
    struct source_node *node = reading->node;

    (void)stat;
    if (code == ZOK && names->count > 0) {
        node->children = xcalloc((size_t)names->count, sizeof(char *));
        for (int i = 0; i < names->count; i++) {
            node->children[node->child_count++] = xstrdup(names->data[i]);
        }
    }
    finish(reading, code);
}

void source_read(struct source *source, const char *path)
{
    struct reading *reading = xcalloc(1, sizeof *reading);
    int code;

    reading->source = source;
    reading->node = xcalloc(1, sizeof *reading->node);
    reading->node->path = xstrdup(path);
    reading->answers_left = 3;
    /* What could not be asked is answered here, and by nobody else. */
    code = zoo_aget(source->handle, path, 0, on_value, reading);
    if (code != ZOK) {
        reading->answers_left = 1;
        finish(reading, code);
        return;
    }
    code = zoo_aget_acl(source->handle, path, on_acl, reading);
    if (code != ZOK) {
        on_acl(code, NULL, NULL, reading);
    }
    code = zoo_aget_children2(source->handle, path, 0, on_children, reading);
    if (code != ZOK) {
        on_children(code, NULL, NULL, reading);
    }
}

static void on_event(zhandle_t *handle, int type, int state, const char *path, void *context)
{
    (void)handle;
    (void)type;
    (void)state;
    (void)path;
    (void)context;
}

/* Trouble is told by what cannot be read. */
static void on_log(const char *message)
{
    (void)message;
}

struct source *source_open(const char *servers,
                           const char *user,
                           void (*on_node)(void *context, struct source_node *node),
                           void *context,
                           const char **ret_problem)
{
    struct source *source = xcalloc(1, sizeof *source);

    source->on_node = on_node;
    source->context = context;
    (void)pthread_mutex_init(&source->mutex, NULL);
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    source->handle =
        zookeeper_init2(servers, on_event, SESSION_TIMEOUT_MS, NULL, NULL, ZOO_READONLY, on_log);
    if (source->handle == NULL ||
        (user != NULL &&
         zoo_add_auth(source->handle, "digest", user, (int)strlen(user), NULL, NULL) != ZOK)) {
        *ret_problem = source->handle == NULL ? "no such ZooKeeper servers" : "the user is refused";
        source_close(source);
        return NULL;
    }
    return source;
}

void source_close(struct source *source)
{
    if (source == NULL) {
        return;
    }
    if (source->handle != NULL) {
        (void)zookeeper_close(source->handle);
    }
    (void)pthread_mutex_destroy(&source->mutex);
    free(source);
}
