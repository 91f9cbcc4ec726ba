#include "tests/simulation/chronicle.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/checksum.h"
#include "base/map.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BITS = 56 };

struct path {
    struct map_node node;
    chronicle_path number;
    chronicle_path parent;
    struct bytes text; /* owned */
    struct chronicle_version *versions;
    size_t count;
    size_t capacity;
    chronicle_path *children; /* all that ever had a number, by name */
    size_t child_count;
    size_t child_capacity;
    uint64_t made;
    uint64_t rank;
};

struct chronicle {
    struct map map;
    struct path **paths; /* by number; 0 is the root */
    size_t path_count;
    size_t path_capacity;
    struct chronicle_change *changes;
    size_t count;
    size_t capacity;
};

/* --- Paths --- */

static struct path *path_at(const struct chronicle *chronicle, chronicle_path number)
{
    CHECK_OP(number, <, chronicle->path_count);
    return chronicle->paths[number];
}

static struct path *find_path(const struct chronicle *chronicle, struct bytes text)
{
    uint64_t hash = map_hash_bytes(text, 1);

    MAP_FOR_HASH (node, &chronicle->map, hash) {
        struct path *path = CONTAINER_OF(node, struct path, node);

        if (bytes_equal(path->text, text)) {
            return path;
        }
    }
    return NULL;
}

static struct bytes text_of_parent(struct bytes text)
{
    size_t size = text.size;

    while (size > 1 && text.data[size - 1] != '/') {
        size--;
    }
    return bytes_of(text.data, size > 1 ? size - 1 : 1);
}

static struct bytes name_of(const struct path *path)
{
    size_t start = path->text.size;

    while (path->text.data[start - 1] != '/') {
        start--;
    }
    return bytes_of(path->text.data + start, path->text.size - start);
}

/* The position of the first child whose name is not below `name`. */
static size_t
child_position(const struct chronicle *chronicle, const struct path *parent, struct bytes name)
{
    size_t low = 0;
    size_t high = parent->child_count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct path *child = chronicle->paths[parent->children[middle]];

        if (bytes_compare(name_of(child), name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void add_child(struct chronicle *chronicle, struct path *parent, const struct path *child)
{
    size_t position = child_position(chronicle, parent, name_of(child));

    if (parent->child_count == parent->child_capacity) {
        parent->child_capacity = 2 * parent->child_capacity + 8;
        parent->children =
            xrealloc(parent->children, parent->child_capacity * sizeof *parent->children);
    }
    memmove(parent->children + position + 1, parent->children + position,
            (parent->child_count - position) * sizeof *parent->children);
    parent->children[position] = child->number;
    parent->child_count++;
}

static struct path *new_path(struct chronicle *chronicle, struct bytes text)
{
    struct path *path = xcalloc(1, sizeof *path);

    if (chronicle->path_count == chronicle->path_capacity) {
        chronicle->path_capacity = 2 * chronicle->path_capacity + 32;
        chronicle->paths =
            xrealloc(chronicle->paths, chronicle->path_capacity * sizeof(struct path *));
    }
    path->number = (chronicle_path)chronicle->path_count;
    path->text = bytes_of(bytes_copy(text), text.size);
    chronicle->paths[chronicle->path_count++] = path;
    map_insert(&chronicle->map, &path->node, map_hash_bytes(text, 1));
    return path;
}

chronicle_path chronicle_path_of(struct chronicle *chronicle, struct bytes text)
{
    struct path *missing = find_path(chronicle, text);
    struct path *last = NULL;

    if (missing != NULL) {
        return missing->number;
    }
    missing = new_path(chronicle, text);
    last = missing;
    for (;;) {
        struct bytes above = text_of_parent(last->text);
        struct path *parent = find_path(chronicle, above);
        bool known = parent != NULL;

        parent = known ? parent : new_path(chronicle, above);
        last->parent = parent->number;
        add_child(chronicle, parent, last);
        if (known) {
            return missing->number;
        }
        last = parent;
    }
}

struct bytes chronicle_text(const struct chronicle *chronicle, chronicle_path path)
{
    return path_at(chronicle, path)->text;
}

chronicle_path chronicle_parent(const struct chronicle *chronicle, chronicle_path path)
{
    return path_at(chronicle, path)->parent;
}

bool chronicle_is_inside(const struct chronicle *chronicle, chronicle_path path, chronicle_path top)
{
    while (path != top && path != 0) {
        path = path_at(chronicle, path)->parent;
    }
    return path == top;
}

/* --- Versions --- */

static void add_version(struct path *path, const struct chronicle_version *version)
{
    if (path->count == path->capacity) {
        path->capacity = 2 * path->capacity + 4;
        path->versions = xrealloc(path->versions, path->capacity * sizeof *path->versions);
    }
    path->versions[path->count++] = *version;
}

struct chronicle *chronicle_new(void)
{
    static const char *const first[] = {"/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"};
    const struct chronicle_version version = {.exists = true};
    struct chronicle *chronicle = xcalloc(1, sizeof *chronicle);

    map_init(&chronicle->map);
    (void)new_path(chronicle, bytes_of_text("/"));
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
        chronicle_path number = chronicle_path_of(chronicle, bytes_of_text(first[i]));
        struct path *path = path_at(chronicle, number);

        add_version(path, &version);
        path_at(chronicle, path->parent)->made += number != 0;
    }
    return chronicle;
}

void chronicle_free(struct chronicle *chronicle)
{
    for (size_t i = 0; i < chronicle->path_count; i++) {
        free((void *)(uintptr_t)chronicle->paths[i]->text.data);
        free(chronicle->paths[i]->versions);
        free(chronicle->paths[i]->children);
        free(chronicle->paths[i]);
    }
    map_release(&chronicle->map);
    free(chronicle->paths);
    free(chronicle->changes);
    free(chronicle);
}

uint64_t chronicle_value(const struct state_node *node)
{
    bool is_null;
    struct bytes value = state_node_value(node, &is_null);

    uint64_t number = value.size >= 8 ? bytes_load_u64(value.data) : 0;

    return number >> NUMBER_BITS == 0 ? number : 0; /* a text */
}

uint64_t chronicle_serial(const struct state_node *node)
{
    return chronicle_value(node) >> WRITES_STEP_BITS;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 31;
}

uint64_t chronicle_sum(const struct state_node *node)
{
    bool is_null;
    struct state_stat stat = state_node_stat(node);
    uint64_t hash = checksum(state_node_value(node, &is_null));

    hash = mix(hash, is_null);
    hash = mix(hash, stat.czxid);
    hash = mix(hash, stat.mzxid);
    hash = mix(hash, stat.ctime_ms);
    hash = mix(hash, stat.mtime_ms);
    hash = mix(hash, (uint64_t)stat.version << 32 ^ (uint32_t)stat.aversion);
    hash = mix(hash, stat.ephemeral_owner);
    return mix(hash, state_node_ttl_ms(node) << 1 ^ state_node_is_container(node));
}

static void add_change(struct chronicle *chronicle, const struct chronicle_change *change)
{
    if (chronicle->count == chronicle->capacity) {
        chronicle->capacity = 2 * chronicle->capacity + 64;
        chronicle->changes =
            xrealloc(chronicle->changes, chronicle->capacity * sizeof *chronicle->changes);
    }
    chronicle->changes[chronicle->count++] = *change;
}

/* Without a change that anybody is told of. */
static bool is_kept_by_the_state(struct bytes path)
{
    struct bytes stats = bytes_of_text("/zookeeper_stats");

    return path.size > stats.size &&
           bytes_equal(bytes_of(path.data + path.size - stats.size, stats.size), stats);
}

void chronicle_add(struct chronicle *chronicle, const struct state_change *change)
{
    chronicle_path number = chronicle_path_of(chronicle, change->path);
    struct path *path = path_at(chronicle, number);
    struct path *parent = path_at(chronicle, path->parent);
    const struct state_node *node = change->after != NULL ? change->after : change->before;
    const struct chronicle_change entry = {
        .at = change->zxid, .kind = change->kind, .path = number, .sum = chronicle_sum(node)};
    const struct chronicle_version version = {.at = change->zxid,
                                              .exists = change->after != NULL,
                                              .judged = !is_kept_by_the_state(change->path),
                                              .sum = entry.sum,
                                              .serial = chronicle_serial(node),
                                              .owner = state_node_stat(node).ephemeral_owner};

    CHECK_OP(chronicle->count == 0 ? 0 : chronicle->changes[chronicle->count - 1].at, <=,
             change->zxid);
    if (change->kind == STATE_CREATED) {
        path->rank = parent->made++;
        path->made = 0;
    }
    add_change(chronicle, &entry);
    add_version(path, &version);
}

uint64_t chronicle_rank(const struct chronicle *chronicle, chronicle_path path)
{
    return path_at(chronicle, path)->rank;
}

static const struct chronicle_version *version_at(const struct path *path, zxid at)
{
    size_t position = path->count;

    while (position > 0 && path->versions[position - 1].at > at) {
        position--;
    }
    return position == 0 ? NULL : &path->versions[position - 1];
}

const struct chronicle_version *
chronicle_version_at(const struct chronicle *chronicle, chronicle_path path, zxid at)
{
    return version_at(path_at(chronicle, path), at);
}

static bool exists_at(const struct path *path, zxid at)
{
    const struct chronicle_version *version = version_at(path, at);

    return version != NULL && version->exists;
}

size_t chronicle_change_count(const struct chronicle *chronicle)
{
    return chronicle->count;
}

const struct chronicle_change *chronicle_change_at(const struct chronicle *chronicle, size_t number)
{
    CHECK_OP(number, <, chronicle->count);
    return &chronicle->changes[number];
}

size_t chronicle_seek(const struct chronicle *chronicle, zxid after)
{
    size_t low = 0;
    size_t high = chronicle->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (chronicle->changes[middle].at <= after) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* --- What was shown --- */

static void check_node(const struct path *path,
                       const struct cluster_server *server,
                       zxid shown,
                       const struct state_node *node)
{
    const struct chronicle_version *version = version_at(path, shown);
    bool exists = version != NULL && version->exists;

    if (exists != (node != NULL)) {
        cluster_violation(
            server, "S17: a read of %.*s at %" PRIu64 " shows %s node, %s at %" PRIu64,
            (int)path->text.size, path->text.data, shown, exists ? "no" : "a",
            exists ? "it was made" : "there was none", version == NULL ? 0 : version->at);
    }
    if (node != NULL && version->judged && chronicle_sum(node) != version->sum) {
        cluster_violation(server,
                          "S17: a read of %.*s at %" PRIu64 " shows write %" PRIu64 " of %" PRIu64
                          ", not %" PRIu64 " of %" PRIu64,
                          (int)path->text.size, path->text.data, shown, chronicle_serial(node),
                          state_node_stat(node).mzxid, version->serial, version->at);
    }
}

void chronicle_check_node(struct chronicle *chronicle,
                          const struct cluster_server *server,
                          struct bytes path,
                          zxid shown,
                          const struct state_node *node)
{
    check_node(path_at(chronicle, chronicle_path_of(chronicle, path)), server, shown, node);
}

/* The next child of `parent` at `at`, from a position on; NULL at the end. */
static struct path *
next_child(const struct chronicle *chronicle, const struct path *parent, size_t *position, zxid at)
{
    while (*position < parent->child_count) {
        struct path *child = chronicle->paths[parent->children[(*position)++]];

        if (exists_at(child, at)) {
            return child;
        }
    }
    return NULL;
}

/* The position behind the child of this name. */
static size_t
position_after(const struct chronicle *chronicle, const struct path *parent, struct bytes name)
{
    size_t position = child_position(chronicle, parent, name);

    return position < parent->child_count &&
                   bytes_equal(name_of(chronicle->paths[parent->children[position]]), name)
               ? position + 1
               : position;
}

static _Noreturn void wrong_page(const struct cluster_server *server,
                                 const struct request *request,
                                 zxid shown,
                                 const struct path *wanted)
{
    cluster_violation(server,
                      "S17: a page of %.*s after \"%.*s\" at %" PRIu64 " is wrong where %.*s is",
                      (int)request->path.size, request->path.data, (int)request->page.after.size,
                      request->page.after.data, shown, wanted == NULL ? 7 : (int)wanted->text.size,
                      wanted == NULL ? "its end" : (const char *)wanted->text.data);
}

void chronicle_check_children(struct chronicle *chronicle,
                              const struct cluster_server *server,
                              const struct request *request,
                              zxid shown,
                              bool found,
                              const struct state_children *children)
{
    const struct path *parent = path_at(chronicle, chronicle_path_of(chronicle, request->path));
    size_t position = position_after(chronicle, parent, request->page.after);
    const struct path *child;
    uint32_t total = 0;

    if (exists_at(parent, shown) != found) {
        wrong_page(server, request, shown, parent);
    }
    if (!found) {
        return;
    }
    for (size_t i = 0; i < children->count; i++) {
        child = next_child(chronicle, parent, &position, shown);
        if (child == NULL || !bytes_equal(name_of(child), children->items[i].name)) {
            wrong_page(server, request, shown, child);
        }
        if (request->page.with_nodes) {
            check_node(child, server, shown, children->items[i].node);
        }
    }
    child = next_child(chronicle, parent, &position, shown);
    if ((child != NULL) != children->more ||
        (children->more && children->count != request->page.count_max)) {
        wrong_page(server, request, shown, child);
    }
    position = 0;
    while (next_child(chronicle, parent, &position, shown) != NULL) {
        total++;
    }
    if (total != children->parent.child_count) {
        cluster_violation(server, "S17: %.*s has %u children at %" PRIu64 ", not %u",
                          (int)request->path.size, request->path.data, total, shown,
                          children->parent.child_count);
    }
}

static uint32_t
depth_of(const struct chronicle *chronicle, const struct path *path, const struct path *top)
{
    uint32_t depth = 0;

    while (path != top) {
        path = chronicle->paths[path->parent];
        depth++;
    }
    return depth;
}

/* Parents before children, siblings by name; NULL at the end. */
static const struct path *walk(const struct chronicle *chronicle,
                               const struct path *top,
                               const struct path *path,
                               uint32_t depth_max,
                               zxid at)
{
    size_t position = 0;
    const struct path *next = NULL;

    if (depth_max == 0 || depth_of(chronicle, path, top) < depth_max) {
        next = exists_at(path, at) ? next_child(chronicle, path, &position, at) : NULL;
    }
    while (next == NULL && path != top) {
        const struct path *parent = chronicle->paths[path->parent];

        position = position_after(chronicle, parent, name_of(path));
        next = next_child(chronicle, parent, &position, at);
        path = parent;
    }
    return next;
}

void chronicle_check_tree(struct chronicle *chronicle,
                          const struct cluster_server *server,
                          const struct request *request,
                          const struct reply *reply)
{
    const struct path *top = path_at(chronicle, chronicle_path_of(chronicle, request->path));
    const struct path *next = top;
    bool found = reply->code == CLIENT__CODE__OK;

    if (exists_at(top, reply->zxid) != found) {
        wrong_page(server, request, reply->zxid, top);
    }
    if (!found) {
        return;
    }
    if (request->page.after.size > 0) {
        const struct path *after =
            path_at(chronicle, chronicle_path_of(chronicle, request->page.after));

        next = walk(chronicle, top, after, request->page.depth_max, reply->zxid);
    }
    for (size_t i = 0; i < reply->tree.count; i++) {
        if (next == NULL || !bytes_equal(next->text, reply->tree.nodes[i].path)) {
            wrong_page(server, request, reply->zxid, next);
        }
        check_node(next, server, reply->zxid, reply->tree.nodes[i].node);
        next = walk(chronicle, top, next, request->page.depth_max, reply->zxid);
    }
    if ((next != NULL) != reply->tree.more) {
        wrong_page(server, request, reply->zxid, next);
    }
}
