#include "base/alloc.h"
#include "base/check.h"
#include "base/checksum.h"
#include "server/state/apply.h"
#include "server/state/record_key.h"

#include <stdlib.h>
#include <string.h>

/* Everything is read once, in order of keys, and then checked against each other. Tests only, so
 * memory is no object. */
struct seen_node {
    uint64_t id;
    uint64_t parent_id;
    uint64_t owner;
    uint32_t child_count;
    uint32_t children_found;
    size_t value_bytes;
    size_t name_bytes;
    size_t path_bytes; /* a parent's are known before those of its children, which are later ones */
};

struct seen_path {
    struct record_key key;
    struct bytes path;
};

struct walk {
    struct state *state;
    struct arena arena;
    uint64_t all_nodes;
    struct state_digest digest;
    struct seen_node *nodes;
    size_t node_count;
    size_t node_capacity;
    uint64_t ephemeral_count;
    uint64_t due_count;
    struct seen_path *paths; /* of the tables c, e and t */
    size_t path_count;
    size_t path_capacity;
    uint64_t session_count;
    uint64_t result_count;
    uint64_t result_bytes;
};

/* It lives, or ended and left some. */
static bool may_own(struct state *state, session_id session)
{
    struct record *orphans = NULL;
    struct record_key key;

    record_key_orphans_of(session, &key);
    CHECK(overlay_find(&state->overlay, record_key_lend(&key), &orphans) == STATUS_OK);
    return (session_table_find(&state->sessions, session) != NULL) != (orphans != NULL);
}

static void see_node(struct walk *walk, struct bytes key, struct bytes value)
{
    struct record *record = record_new(key, value.size);
    struct record_key due;
    struct znode znode;

    memcpy(record_value_space(record), value.data, value.size);
    CHECK(znode_is_well_formed(record));
    znode = znode_load(record);
    if (walk->node_count == walk->node_capacity) {
        walk->node_capacity = 2 * walk->node_capacity + 64;
        walk->nodes = xrealloc(walk->nodes, walk->node_capacity * sizeof *walk->nodes);
    }
    walk->nodes[walk->node_count++] = (struct seen_node){
        .id = znode.id,
        .parent_id = bytes_load_u64(key.data + 1),
        .owner = znode_owner(&znode),
        .child_count = znode.child_count,
        .value_bytes = znode.value.size,
        .name_bytes = record_key_name(key).size,
    };
    CHECK_OP(znode.id, <, walk->state->tree.next_node_id);
    CHECK_OP(znode.mzxid, <=, walk->state->applied);
    CHECK_OP(znode.czxid, <=, znode.mzxid);
    CHECK_OP(znode.czxid, <=, znode.pzxid);
    CHECK((record_key_name(key).size == 0) == (znode.id == 1));
    if (znode_owner(&znode) != 0) {
        CHECK(may_own(walk->state, znode_owner(&znode)));
        CHECK_OP(znode.child_count, ==, 0);
        walk->ephemeral_count++;
    }
    walk->due_count += tree_due_key(&znode, &due) ? 1 : 0;
    record_unref(record);
}

static void see_path(struct walk *walk, struct bytes key, struct bytes value)
{
    struct seen_path *seen;

    if (walk->path_count == walk->path_capacity) {
        walk->path_capacity = 2 * walk->path_capacity + 64;
        walk->paths = xrealloc(walk->paths, walk->path_capacity * sizeof *walk->paths);
    }
    seen = &walk->paths[walk->path_count++];
    seen->path = arena_copy(&walk->arena, value);
    seen->key.size = key.size;
    memcpy(seen->key.data, key.data, key.size);
}

static void see_result(struct walk *walk, struct bytes key, struct bytes value)
{
    const struct session *session;

    CHECK_OP(key.size, ==, 17);
    session = session_table_find(&walk->state->sessions, bytes_load_u64(key.data + 1));
    CHECK(session != NULL);
    CHECK_OP(bytes_load_u64(key.data + 9), >, session->confirmed);
    CHECK_OP(bytes_load_u64(key.data + 9), <=, session->last_sequence);
    walk->result_count++;
    walk->result_bytes += value.size;
}

static bool see(void *visitor, struct bytes key, struct bytes value, struct record *record)
{
    struct walk *walk = visitor;

    (void)record;
    if (key.data[0] == 'm') {
        return true;
    }
    walk->digest.record_count++;
    walk->all_nodes += key.data[0] == 'n';
    walk->digest.sum += checksum_pair(key, value);
    switch (key.data[0]) {
    case 'n':
        see_node(walk, key, value);
        break;
    case 'c':
    case 'e':
    case 't':
        see_path(walk, key, value);
        break;
    case 'r':
        see_result(walk, key, value);
        break;
    case 'o':
        CHECK(session_table_find(&walk->state->sessions, record_key_orphans_session(key)) == NULL);
        break;
    case 's':
        CHECK(session_table_find(&walk->state->sessions, bytes_load_u64(key.data + 1)) != NULL);
        walk->session_count++;
        break;
    default:
        check_failed(__FILE__, __LINE__, "a record of an unknown table");
    }
    return true;
}

static int by_id(const void *left, const void *right)
{
    const struct seen_node *first = left;
    const struct seen_node *second = right;

    return first->id < second->id ? -1 : first->id > second->id;
}

static void check_links(const struct walk *walk)
{
    uint64_t data_bytes = 1; /* the root's slash */

    qsort(walk->nodes, walk->node_count, sizeof *walk->nodes, by_id);
    for (size_t i = 0; i < walk->node_count; i++) {
        struct seen_node wanted = {.id = walk->nodes[i].parent_id};
        struct seen_node *parent;

        CHECK(i == 0 || walk->nodes[i - 1].id < walk->nodes[i].id);
        if (walk->nodes[i].id == 1) {
            CHECK_OP(walk->nodes[i].parent_id, ==, 0);
            continue;
        }
        parent = bsearch(&wanted, walk->nodes, walk->node_count, sizeof wanted, by_id);
        CHECK(parent != NULL);
        parent->children_found++;
        CHECK_OP(parent->id, <, walk->nodes[i].id);
        walk->nodes[i].path_bytes = parent->path_bytes + 1 + walk->nodes[i].name_bytes;
    }
    for (size_t i = 0; i < walk->node_count; i++) {
        CHECK_OP(walk->nodes[i].children_found, ==, walk->nodes[i].child_count);
        data_bytes += walk->nodes[i].path_bytes + walk->nodes[i].value_bytes;
    }
    CHECK_OP(data_bytes, ==, walk->state->overlay.data_bytes);
}

/* Each entry of a table of paths is what its node says of itself; as the counts agree too, none is
 * missing. */
static void check_paths(const struct walk *walk)
{
    uint64_t ephemeral_count = 0;
    uint64_t due_count = 0;

    for (size_t i = 0; i < walk->path_count; i++) {
        const struct seen_path *seen = &walk->paths[i];
        struct record *record = NULL;
        struct record_key key = {.size = 0};
        struct znode znode;

        CHECK(tree_find(&walk->state->tree, seen->path, &record) == STATUS_OK);
        CHECK(record != NULL);
        znode = znode_load(record);
        if (seen->key.data[0] == 'e') {
            record_key_ephemeral(znode_owner(&znode), znode.id, &key);
            ephemeral_count++;
        } else {
            CHECK(tree_due_key(&znode, &key));
            due_count++;
        }
        CHECK(bytes_equal(record_key_lend(&key), record_key_lend(&seen->key)));
        overlay_trim(&walk->state->overlay);
    }
    CHECK_OP(ephemeral_count, ==, walk->ephemeral_count);
    CHECK_OP(due_count, ==, walk->due_count);
}

static void check_sessions(const struct walk *walk)
{
    uint64_t result_count = 0;
    uint64_t result_bytes = 0;

    LIST_FOR_EACH (link, &walk->state->sessions.in_order) {
        const struct session *session = CONTAINER_OF(link, struct session, in_order);

        CHECK_OP(session->id, <=, walk->state->applied);
        CHECK_OP(session->last_sequence - session->confirmed, <=, STATE_KEPT_RESULTS_MAX);
        result_count += session->last_sequence - session->confirmed;
        result_bytes += session->kept_bytes;
    }
    CHECK_OP(walk->session_count, ==, walk->state->sessions.by_id.count);
    CHECK_OP(walk->result_count, ==, result_count);
    CHECK_OP(walk->result_bytes, ==, result_bytes);
}

static void check_all(struct state *state)
{
    struct walk walk = {.state = state};

    arena_init(&walk.arena);
    CHECK(overlay_scan(&state->overlay, BYTES_EMPTY, BYTES_EMPTY, SIZE_MAX, see, &walk) ==
          STATUS_OK);
    CHECK_OP(walk.digest.record_count, ==, state->overlay.digest.record_count);
    CHECK_OP(walk.all_nodes, ==, state->overlay.node_count);
    CHECK_OP(walk.ephemeral_count, ==, state->overlay.ephemeral_count);
    CHECK_OP(walk.digest.sum, ==, state->overlay.digest.sum);
    check_links(&walk);
    check_paths(&walk);
    check_sessions(&walk);
    free(walk.nodes);
    free(walk.paths);
    arena_release(&walk.arena);
}

void state_check(struct state *state, bool deep)
{
    overlay_check(&state->overlay);
    if (deep) {
        check_all(state);
    }
}
