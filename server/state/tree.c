#include "server/state/tree.h"

#include "base/check.h"
#include "server/state/acl.h"
#include "server/state/path.h"
#include "server/state/record_key.h"
#include "server/state/znode.h"

#include <string.h>

_Static_assert((int)ZNODE_HEADER_BYTES <= (int)OVERLAY_GLANCE_BYTES, "a glance shows the header");

enum { ROOT_ID = 1, ZOOKEEPER_ID, QUOTA_ID, CONFIG_ID, FIRST_FREE_ID };

/* --- The nodes that are always there --- */

static void format_node(struct tree *tree, uint64_t parent_id, const char *path, struct znode znode)
{
    const char *name = strrchr(path, '/') + 1;
    struct record_key key;

    tree->overlay->data_bytes += strlen(path);
    record_key_node(parent_id, bytes_of_text(name), &key);
    overlay_put(tree->overlay, NULL, znode_store(record_key_lend(&key), &znode));
}

/* Their creation was nobody's command: zxids and times are 0 and nothing was counted, which
 * ZooKeeper shows as negative cversions; the ACL of config shows aversion -1. */
void tree_format(struct tree *tree)
{
    struct arena arena;

    arena_init(&arena);
    format_node(tree, 0, "/", (struct znode){.id = ROOT_ID, .child_count = 1});
    format_node(tree, ROOT_ID, "/zookeeper", (struct znode){.id = ZOOKEEPER_ID, .child_count = 2});
    format_node(tree, ZOOKEEPER_ID, "/zookeeper/quota", (struct znode){.id = QUOTA_ID});
    format_node(tree, ZOOKEEPER_ID, "/zookeeper/config",
                (struct znode){.id = CONFIG_ID, .aversion = -1, .acl = acl_read_only(&arena)});
    tree->next_node_id = FIRST_FREE_ID;
    arena_release(&arena);
}

/* --- Finding --- */

static enum status
find_node(struct tree *tree, uint64_t parent_id, struct bytes name, struct record **ret_record)
{
    struct record_key key;
    struct record *record = NULL;
    enum status status;

    record_key_node(parent_id, name, &key);
    status = overlay_find(tree->overlay, record_key_lend(&key), &record);
    if (status == STATUS_OK && record != NULL && !znode_is_well_formed(record)) {
        return STATUS_CORRUPT;
    }
    if (status == STATUS_OK) {
        *ret_record = record;
    }
    return status;
}

static enum status find_root(struct tree *tree, struct record **ret_record)
{
    struct record *record = NULL;
    enum status status = find_node(tree, 0, BYTES_EMPTY, &record);

    if (status == STATUS_OK && record == NULL) {
        return STATUS_CORRUPT;
    }
    *ret_record = record;
    return status;
}

static bool is_name(struct bytes name)
{
    return name.size > 0 && name.size <= STATE_COMPONENT_BYTES_MAX;
}

enum status tree_find_child(struct tree *tree,
                            uint64_t parent_id,
                            struct bytes name,
                            struct record **ret_record)
{
    if (!is_name(name)) {
        *ret_record = NULL;
        return STATUS_OK;
    }
    return find_node(tree, parent_id, name, ret_record);
}

enum status tree_glance(struct tree *tree,
                        uint64_t parent_id,
                        struct bytes name,
                        struct znode_glance *ret_glance)
{
    struct bytes value = BYTES_EMPTY;
    struct record_key key;
    enum status status = STATUS_OK;

    *ret_glance = (struct znode_glance){.id = 0};
    if (is_name(name)) {
        record_key_node(parent_id, name, &key);
        status = overlay_glance(tree->overlay, record_key_lend(&key), &value);
    }
    return status == STATUS_OK && value.data != NULL && !znode_glance(value, ret_glance)
               ? STATUS_CORRUPT
               : status;
}

/* The root is only looked for when it is asked for: its id is known. Of the nodes on the way no
 * more than that is looked at. */
enum status tree_find(struct tree *tree, struct bytes path, struct record **ret_record)
{
    struct bytes rest = path;
    struct bytes name;
    struct znode_glance parent = {.id = ROOT_ID};
    enum status status = STATUS_OK;

    if (rest.size == 0 || bytes_equal(path, bytes_of_text("/"))) {
        return find_root(tree, ret_record);
    }
    *ret_record = NULL;
    if (path.size > STATE_PATH_BYTES_MAX) {
        return STATUS_OK;
    }
    while (status == STATUS_OK && parent.id != 0 && path_take(&rest, &name)) {
        if (rest.size == 0) {
            return tree_find_child(tree, parent.id, name, ret_record);
        }
        status = tree_glance(tree, parent.id, name, &parent);
    }
    return status;
}

enum status tree_glance_quotas(struct tree *tree, struct znode_glance *ret_glance)
{
    return tree_glance(tree, ZOOKEEPER_ID, bytes_of_text("quota"), ret_glance);
}

/* --- Writing records --- */

void tree_note(struct tree_write *write, struct state_change change)
{
    if (write->change_count == write->change_capacity) {
        size_t capacity = write->change_capacity == 0 ? 4 : 2 * write->change_capacity;
        struct state_change *changes = arena_alloc(write->arena, capacity * sizeof *changes);

        if (write->change_count > 0) {
            memcpy(changes, write->changes, write->change_count * sizeof *changes);
        }
        write->changes = changes;
        write->change_capacity = capacity;
    }
    change.zxid = write->zxid;
    write->changes[write->change_count++] = change;
}

void tree_note_node(struct tree_write *write,
                    enum state_change_kind kind,
                    struct bytes path,
                    struct record *before,
                    struct record *after)
{
    tree_note(write, (struct state_change){
                         .kind = kind,
                         .path = path,
                         .session = write->session,
                         .before = znode_show(before),
                         .after = znode_show(after),
                     });
}

/* A record whose value is a path: ephemerals and due nodes. The key is new. */
static void put_path(struct tree *tree, const struct record_key *key, struct bytes path)
{
    struct record *record = record_new(record_key_lend(key), path.size);

    memcpy(record_value_space(record), path.data, path.size);
    overlay_put(tree->overlay, NULL, record);
}

/* The record must be there: it is written and removed together with what the node says. */
static enum status remove_key(struct tree *tree, const struct record_key *key)
{
    struct record *record = NULL;
    enum status status = overlay_find(tree->overlay, record_key_lend(key), &record);

    if (status != STATUS_OK) {
        return status;
    }
    if (record == NULL) {
        return STATUS_CORRUPT;
    }
    overlay_remove(tree->overlay, record);
    return STATUS_OK;
}

/* Where a node stands in the tables of due ones; false if it is not due. */
bool tree_due_key(const struct znode *znode, struct record_key *ret_key)
{
    uint64_t ttl_ms = znode_ttl_ms(znode);

    if (znode->child_count > 0) {
        return false;
    }
    if (ttl_ms > 0) {
        record_key_ttl(znode->mtime_ms > UINT64_MAX - ttl_ms ? UINT64_MAX
                                                             : znode->mtime_ms + ttl_ms,
                       znode->id, ret_key);
        return true;
    }
    if ((znode->flags & ZNODE_CONTAINER) != 0 && znode->children_created != 0) {
        record_key_container(znode->id, ret_key);
        return true;
    }
    return false;
}

/* NULL = the node is not there before, after. */
static enum status due_update(struct tree *tree,
                              struct bytes path,
                              const struct znode *before,
                              const struct znode *after)
{
    struct record_key old_key;
    struct record_key new_key;
    bool was_due = before != NULL && tree_due_key(before, &old_key);
    bool is_due = after != NULL && tree_due_key(after, &new_key);
    enum status status = STATUS_OK;

    if (was_due && is_due && bytes_equal(record_key_lend(&old_key), record_key_lend(&new_key))) {
        return STATUS_OK;
    }
    if (was_due) {
        status = remove_key(tree, &old_key);
    }
    if (status == STATUS_OK && is_due) {
        put_path(tree, &new_key, path);
    }
    return status;
}

/* Replace the record of a node by one made of `after`. */
enum status tree_update(struct tree *tree,
                        struct bytes path,
                        const struct record *record,
                        const struct znode *after,
                        struct record **ret_record)
{
    struct znode before = znode_load(record);
    struct record *updated = znode_store(record_key_of(record), after);
    enum status status;

    overlay_put(tree->overlay, record, updated);
    tree->overlay->data_bytes += after->value.size;
    tree->overlay->data_bytes -= before.value.size;
    status = due_update(tree, path, &before, after);
    *ret_record = updated;
    return status;
}

/* The path as ZooKeeper's tables and ours write it. */
static struct bytes parent_path(struct bytes path)
{
    return path.size == 0 ? bytes_of_text("/") : path;
}

/* --- Making and removing nodes --- */

/* The checks on the parent and the name have passed. ret_parent, if given, is the parent's new
 * record. */
enum status tree_create(struct tree_write *write,
                        struct record *parent_record,
                        const struct tree_creation *creation,
                        struct record **ret_record)
{
    struct tree *tree = write->tree;
    struct znode parent = znode_load(parent_record);
    struct znode znode = {
        .id = tree->next_node_id++,
        .czxid = write->zxid,
        .mzxid = write->zxid,
        .pzxid = write->zxid,
        .ctime_ms = write->time_ms,
        .mtime_ms = write->time_ms,
        .owner_or_ttl = creation->owner_or_ttl,
        .flags = creation->flags,
        .acl = creation->acl,
        .value = creation->value,
        .version = creation->version,
        .children_created = creation->children_created,
    };
    struct record_key key;
    struct record *record;
    enum status status;

    record_key_node(parent.id, creation->name, &key);
    record = znode_store(record_key_lend(&key), &znode);
    overlay_put(tree->overlay, NULL, record);
    tree->overlay->data_bytes += creation->path.size + creation->value.size;
    if ((znode.flags & ZNODE_EPHEMERAL) != 0) {
        record_key_ephemeral(znode.owner_or_ttl, znode.id, &key);
        put_path(tree, &key, creation->path);
    }
    status = due_update(tree, creation->path, NULL, &znode);
    parent.children_created++;
    parent.child_count++;
    parent.pzxid = write->zxid;
    if (status == STATUS_OK) {
        status = tree_update(tree, parent_path(creation->parent), parent_record, &parent,
                             &parent_record);
    }
    tree_note_node(write, STATE_CREATED, creation->path, NULL, record);
    *ret_record = record;
    return status;
}

/* The deepest node on the way to the end of *rest that is there; *rest: what is missing below. */
static enum status find_deepest(struct tree *tree, struct bytes *rest, struct record **ret_record)
{
    struct bytes below = *rest;
    struct bytes name = BYTES_EMPTY;
    struct bytes next;
    struct znode_glance node = {.id = ROOT_ID};
    uint64_t parent_id = 0;
    enum status status = STATUS_OK;

    while (node.id != 0 && below.size > 0 && status == STATUS_OK) {
        uint64_t id = node.id;

        CHECK(path_take(&below, &next));
        status = tree_glance(tree, id, next, &node);
        if (node.id != 0) {
            parent_id = id;
            name = next;
            *rest = below;
        }
    }
    if (status == STATUS_OK) {
        status = find_node(tree, parent_id, name, ret_record);
    }
    return status == STATUS_OK && *ret_record == NULL ? STATUS_CORRUPT : status;
}

/* The node at `path`, made together with its missing ancestors as persistent open nodes without
 * value. */
enum status tree_ensure(struct tree_write *write,
                        struct bytes path,
                        enum op_error *ret_error,
                        struct record **ret_record)
{
    struct record *record = NULL;
    struct bytes rest = bytes_equal(path, bytes_of_text("/")) ? BYTES_EMPTY : path;
    enum status status = find_deepest(write->tree, &rest, &record);

    while (status == STATUS_OK && rest.size > 0) {
        struct tree_creation creation = {.parent = bytes_of(path.data, path.size - rest.size)};

        if (znode_is_ephemeral(record)) {
            *ret_error = OP_NO_CHILDREN_FOR_EPHEMERALS;
            return STATUS_OK;
        }
        CHECK(path_take(&rest, &creation.name));
        creation.path = bytes_of(path.data, path.size - rest.size);
        status = tree_create(write, record, &creation, &record);
    }
    *ret_record = record;
    return status;
}

enum status tree_remove(struct tree_write *write,
                        struct bytes path,
                        struct bytes parent_of_path,
                        struct record *parent_record,
                        struct record *record)
{
    struct tree *tree = write->tree;
    struct znode znode = znode_load(record);
    struct znode parent = znode_load(parent_record);
    struct record *updated = NULL;
    struct record_key key;
    enum status status;

    if (parent.child_count == 0) {
        return STATUS_CORRUPT;
    }
    tree_note_node(write, STATE_REMOVED, path, record, NULL);
    overlay_remove(tree->overlay, record);
    tree->overlay->data_bytes -= path.size + znode.value.size;
    status = due_update(tree, path, &znode, NULL);
    if (status == STATUS_OK && (znode.flags & ZNODE_EPHEMERAL) != 0) {
        record_key_ephemeral(znode.owner_or_ttl, znode.id, &key);
        status = remove_key(tree, &key);
    }
    parent.child_count--;
    parent.pzxid = write->zxid;
    return status == STATUS_OK
               ? tree_update(tree, parent_path(parent_of_path), parent_record, &parent, &updated)
               : status;
}

/* --- Removing what a table lists --- */

struct path_list {
    struct arena *arena;
    struct path_item {
        struct path_item *next;
        struct bytes path;
    } * *end;
    size_t room;
    bool is_cut;        /* there was no room for all */
    uint64_t before_ms; /* TTL nodes: due before this */
};

static bool collect_path(void *visitor, struct bytes key, struct bytes value, struct record *record)
{
    struct path_list *list = visitor;
    struct path_item *item;

    (void)key;
    (void)record;
    if (list->room == 0) {
        list->is_cut = true;
        return false;
    }
    item = arena_alloc(list->arena, sizeof *item);
    *item = (struct path_item){.path = arena_copy(list->arena, value)};
    *list->end = item;
    list->end = &item->next;
    list->room--;
    return true;
}

static bool
collect_expired(void *visitor, struct bytes key, struct bytes value, struct record *record)
{
    const struct path_list *list = visitor;

    return record_key_due_ms(key) < list->before_ms && collect_path(visitor, key, value, record);
}

/* The node must be there: the table is kept together with it. */
static enum status remove_listed(struct tree_write *write, struct bytes path)
{
    struct bytes parent_text;
    struct bytes name;
    struct record *parent = NULL;
    struct record *record = NULL;
    enum status status;

    if (!path_split(path, &parent_text, &name)) {
        return STATUS_CORRUPT;
    }
    status = tree_find(write->tree, parent_text, &parent);
    if (status == STATUS_OK && parent != NULL) {
        status = tree_find_child(write->tree, znode_id(parent), name, &record);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (record == NULL) {
        return STATUS_CORRUPT;
    }
    return tree_remove(write, path, parent_text, parent, record);
}

/* In the list's order, until the command has touched `touched_max`. *ret_all: the whole list. */
static enum status remove_list(struct tree_write *write,
                               const struct path_item *first,
                               uint64_t touched_max,
                               bool *ret_all)
{
    const struct path_item *item = first;
    enum status status = STATUS_OK;

    for (; item != NULL && status == STATUS_OK && write->tree->overlay->touched_bytes < touched_max;
         item = item->next) {
        status = remove_listed(write, item->path);
        overlay_trim(write->tree->overlay);
    }
    *ret_all = item == NULL;
    return status;
}

/* *room: for how many; *ret_left: there are more. */
static enum status remove_ephemerals_of(struct tree_write *write,
                                        session_id session,
                                        size_t *room,
                                        uint64_t touched_max,
                                        bool *ret_left)
{
    struct path_item *first = NULL;
    struct path_list list = {.arena = write->arena, .end = &first, .room = *room};
    struct record_key prefix;
    bool all = true;
    enum status status;

    record_key_ephemerals(session, &prefix);
    status = overlay_scan(write->tree->overlay, record_key_lend(&prefix), record_key_lend(&prefix),
                          SIZE_MAX, collect_path, &list);
    if (status == STATUS_OK) {
        status = remove_list(write, first, touched_max, &all);
    }
    *room = list.room;
    *ret_left = list.is_cut || !all;
    return status;
}

enum status tree_remove_ephemerals(struct tree_write *write,
                                   session_id session,
                                   uint32_t count_max,
                                   bool *ret_left)
{
    size_t room = count_max == 0 ? SIZE_MAX : count_max;
    uint64_t touched_max = count_max == 0 ? UINT64_MAX : STATE_SWEEP_BYTES_MAX;
    enum status status = remove_ephemerals_of(write, session, &room, touched_max, ret_left);

    if (status == STATUS_OK && *ret_left) {
        struct record_key key;

        record_key_orphans_of(session, &key);
        overlay_put(write->tree->overlay, NULL, record_new(record_key_lend(&key), 0));
    }
    return status;
}

static bool take_session(void *visitor, struct bytes key, struct bytes value, struct record *record)
{
    session_id *session = visitor;

    (void)value;
    (void)record;
    *session = record_key_orphans_session(key);
    return false;
}

/* 0 = no session has left any. */
static enum status first_with_orphans(struct tree *tree, session_id *ret_session)
{
    struct record_key prefix;

    *ret_session = 0;
    record_key_orphans(&prefix);
    return overlay_scan(tree->overlay, record_key_lend(&prefix), record_key_lend(&prefix), SIZE_MAX,
                        take_session, ret_session);
}

static enum status remove_orphans(struct tree_write *write, size_t room)
{
    session_id session = 0;
    bool left = false;
    enum status status = first_with_orphans(write->tree, &session);

    while (status == STATUS_OK && session != 0 && !left) {
        status = remove_ephemerals_of(write, session, &room, STATE_SWEEP_BYTES_MAX, &left);
        if (status == STATUS_OK && !left) {
            struct record_key key;

            record_key_orphans_of(session, &key);
            status = remove_key(write->tree, &key);
            if (status == STATUS_OK) {
                status = first_with_orphans(write->tree, &session);
            }
        }
    }
    return status;
}

/* Up to `room` of each kind go to the end of the list. */
static enum status list_due(struct tree *tree, struct path_list *list, size_t room)
{
    struct record_key prefix;
    enum status status;

    list->room = room;
    record_key_ttls(&prefix);
    status = overlay_scan(tree->overlay, record_key_lend(&prefix), record_key_lend(&prefix),
                          SIZE_MAX, collect_expired, list);
    if (status != STATUS_OK) {
        return status;
    }
    list->room = room;
    record_key_containers(&prefix);
    return overlay_scan(tree->overlay, record_key_lend(&prefix), record_key_lend(&prefix), SIZE_MAX,
                        collect_path, list);
}

enum status tree_remove_due(struct tree_write *write, uint32_t count_max)
{
    struct path_item *first = NULL;
    struct path_list list = {.arena = write->arena, .end = &first, .before_ms = write->time_ms};
    bool all;
    enum status status = list_due(write->tree, &list, count_max);

    if (status == STATUS_OK) {
        status = remove_orphans(write, count_max);
    }
    return status == STATUS_OK ? remove_list(write, first, STATE_SWEEP_BYTES_MAX, &all) : status;
}

enum status tree_has_due(struct tree *tree, uint64_t time_ms, bool *ret_has_due)
{
    struct path_item *first = NULL;
    struct path_list list = {.end = &first, .before_ms = time_ms};
    struct arena arena;
    session_id session;
    enum status status = first_with_orphans(tree, &session);

    arena_init(&arena);
    list.arena = &arena;
    if (status == STATUS_OK && session == 0) {
        status = list_due(tree, &list, 1);
    }
    *ret_has_due = session != 0 || first != NULL;
    arena_release(&arena);
    return status;
}
