#include "tests/support/naive_state.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The command in progress. */
struct work {
    struct naive_state *state;
    zxid at;
    session_id session;
    const Record__Command *command;
    struct naive_result *result;
};

static struct bytes field(ProtobufCBinaryData data)
{
    return bytes_of(data.data, data.len);
}

static bool is(struct bytes bytes, const char *text)
{
    return bytes_equal(bytes, bytes_of_text(text));
}

static bool contains(struct bytes bytes, const char *part, size_t size)
{
    return bytes.size >= size && memmem(bytes.data, bytes.size, part, size) != NULL;
}

/* --- Paths, as text --- */

static bool has_forbidden_character(struct bytes path)
{
    /* One of each forbidden group; the tests use no others. */
    static const char *const samples[] = {"\xc2\x80",     "\xc2\x9f",     "\xed\xa0\x80",
                                          "\xee\x80\x80", "\xef\xa3\xbf", "\xef\xbf\xb0",
                                          "\xef\xbf\xbf", "\xf0\x9f",     "\xff"};

    for (size_t i = 0; i < path.size; i++) {
        if (path.data[i] < 0x20 || path.data[i] == 0x7f) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        if (contains(path, samples[i], strlen(samples[i]))) {
            return true;
        }
    }
    return false;
}

static enum op_error validate(struct naive_state *state, struct bytes path)
{
    char *text = arena_text(&state->arena, path);
    bool too_long = path.size > 4096;
    char *saved = NULL;

    if (is(path, "/")) {
        return OP_OK;
    }
    if (path.size == 0 || text[0] != '/' || text[path.size - 1] == '/' || contains(path, "//", 2) ||
        has_forbidden_character(path)) {
        return OP_BAD_ARGUMENTS;
    }
    for (char *name = strtok_r(text, "/", &saved); name != NULL;
         name = strtok_r(NULL, "/", &saved)) {
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
            return OP_BAD_ARGUMENTS;
        }
        too_long = too_long || strlen(name) > 500;
    }
    return too_long ? OP_LIMIT : OP_OK;
}

/* "/" for a top-level node. False if there is no slash, or a NUL. */
static bool parent_of(struct bytes path, struct bytes *ret_parent)
{
    const uint8_t *slash = path.size == 0 ? NULL : memrchr(path.data, '/', path.size);

    if (slash == NULL || memchr(path.data, 0, path.size) != NULL) {
        return false;
    }
    *ret_parent =
        slash == path.data ? bytes_of_text("/") : bytes_of(path.data, (size_t)(slash - path.data));
    return true;
}

static bool is_child(struct bytes path, struct bytes parent)
{
    struct bytes found;

    return !is(path, "/") && parent_of(path, &found) && bytes_equal(found, parent);
}

/* --- Nodes --- */

static struct naive_node *find(const struct naive_state *state, struct bytes path)
{
    for (size_t i = 0; i < state->node_count; i++) {
        if (bytes_equal(state->nodes[i].path, path)) {
            return &state->nodes[i];
        }
    }
    return NULL;
}

const struct naive_node *naive_state_find(const struct naive_state *state, struct bytes path)
{
    return find(state, path);
}

struct state_stat naive_state_stat(const struct naive_state *state, const struct naive_node *node)
{
    struct state_stat stat = node->stat;

    stat.value_bytes = (uint32_t)node->value.size;
    for (size_t i = 0; i < state->node_count; i++) {
        stat.child_count += is_child(state->nodes[i].path, node->path) ? 1 : 0;
    }
    return stat;
}

static int by_bytes(const void *left, const void *right)
{
    const struct bytes *first = left;
    const struct bytes *second = right;

    return bytes_compare(*first, *second);
}

struct bytes *naive_state_children(const struct naive_state *state,
                                   struct bytes path,
                                   struct arena *arena,
                                   size_t *ret_count)
{
    struct bytes *names = arena_calloc(arena, state->node_count + 1, sizeof *names);
    size_t start = is(path, "/") ? 1 : path.size + 1;

    *ret_count = 0;
    for (size_t i = 0; i < state->node_count; i++) {
        struct bytes child = state->nodes[i].path;

        if (is_child(child, path)) {
            names[(*ret_count)++] = bytes_of(child.data + start, child.size - start);
        }
    }
    qsort(names, *ret_count, sizeof *names, by_bytes);
    return names;
}

static struct naive_node *add(struct naive_state *state, struct naive_node node)
{
    state->nodes = xrealloc(state->nodes, (state->node_count + 1) * sizeof *state->nodes);
    state->nodes[state->node_count] = node;
    return &state->nodes[state->node_count++];
}

static const struct naive_acl *acl_of(struct naive_state *state, uint32_t permissions)
{
    struct naive_acl *acl = arena_alloc(&state->arena, sizeof *acl);

    *acl = (struct naive_acl){permissions, bytes_of_text("world"), bytes_of_text("anyone")};
    return acl;
}

void naive_state_init(struct naive_state *state)
{
    static const struct {
        const char *path;
        int32_t cversion;
        int32_t aversion;
        uint32_t permissions;
    } fixed[] = {
        {"/", -1, 0, 31},
        {"/zookeeper", -2, 0, 31},
        {"/zookeeper/config", 0, -1, 1},
        {"/zookeeper/quota", 0, 0, 31},
    };

    *state = (struct naive_state){.nodes = NULL};
    arena_init(&state->arena);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        struct naive_node node = {.path = bytes_of_text(fixed[i].path), .acl_count = 1};

        node.stat.cversion = fixed[i].cversion;
        node.stat.aversion = fixed[i].aversion;
        node.acl = acl_of(state, fixed[i].permissions);
        (void)add(state, node);
    }
}

void naive_state_release(struct naive_state *state)
{
    free(state->nodes);
    free(state->sessions);
    arena_release(&state->arena);
}

/* --- Permissions --- */

/* The numbers of 10.1.2.3/8, as many as there are; 0 for other text. */
static unsigned numbers(struct bytes bytes, unsigned long number[5])
{
    char text[64] = "";
    char *at = text;
    unsigned count = 0;

    if (bytes.size == 0 || bytes.size >= sizeof text) {
        return 0;
    }
    memcpy(text, bytes.data, bytes.size);
    for (;;) {
        if (*at < '0' || *at > '9' || count == 5) {
            return 0;
        }
        number[count++] = strtoul(at, &at, 10);
        if (*at == '\0') {
            return count;
        }
        if (*at != (count < 4 ? '.' : '/')) {
            return 0;
        }
        at++;
    }
}

/* IPv4 alone, which is what is asked for here: the leading bits, one by one. */
static bool in_network(struct bytes id, struct bytes address)
{
    unsigned long net[5] = {0, 0, 0, 0, 32}; /* and how many bits */
    unsigned long host[5];

    if (numbers(id, net) < 4 || numbers(address, host) != 4) {
        return false;
    }
    for (unsigned bit = 0; bit < net[4]; bit++) {
        unsigned mask = 128U >> (bit % 8);

        if ((net[bit / 8] & mask) != (host[bit / 8] & mask)) {
            return false;
        }
    }
    return true;
}

static bool allowed(const struct work *work, const struct naive_node *node, uint32_t wanted)
{
    for (size_t who = 0; who < work->command->n_identities; who++) {
        if (is(field(work->command->identities[who]->scheme), "super")) {
            return true;
        }
    }
    for (size_t i = 0; i < node->acl_count; i++) {
        if ((node->acl[i].permissions & wanted) == 0) {
            continue;
        }
        if (is(node->acl[i].scheme, "world")) {
            return true;
        }
        for (size_t who = 0; who < work->command->n_identities; who++) {
            struct bytes scheme = field(work->command->identities[who]->scheme);
            struct bytes id = field(work->command->identities[who]->id);

            if (bytes_equal(scheme, node->acl[i].scheme) &&
                (is(scheme, "ip") ? in_network(node->acl[i].id, id)
                                  : bytes_equal(id, node->acl[i].id))) {
                return true;
            }
        }
    }
    return false;
}

/* The lowest ancestor that is there. */
static struct naive_node *above(const struct work *work, struct bytes path)
{
    struct naive_node *node = NULL;

    while (node == NULL && parent_of(path, &path)) {
        node = find(work->state, path);
    }
    CHECK(node != NULL);
    return node;
}

/* --- Operations --- */

static void note(struct work *work, enum state_change_kind kind, struct bytes path, session_id id)
{
    struct naive_result *result = work->result;
    struct naive_change *changes =
        arena_alloc(&work->state->arena, (result->change_count + 1) * sizeof *changes);

    for (size_t i = 0; i < result->change_count; i++) {
        changes[i] = result->changes[i];
    }
    changes[result->change_count++] =
        (struct naive_change){.kind = kind, .path = path, .session = id};
    result->changes = changes;
}

struct list_of_entries {
    struct naive_acl *entries;
    size_t count;
};

static enum op_error add_entry(struct list_of_entries *list, struct naive_acl entry)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->entries[i].permissions == entry.permissions &&
            bytes_equal(list->entries[i].scheme, entry.scheme) &&
            bytes_equal(list->entries[i].id, entry.id)) {
            return OP_OK;
        }
    }
    if (list->count == STATE_ACL_ENTRIES_MAX) {
        return OP_LIMIT;
    }
    list->entries[list->count++] = entry;
    return OP_OK;
}

/* `auth`: one entry for everything that the writer proved. */
static enum op_error
add_writer(struct work *work, struct list_of_entries *list, uint32_t permissions)
{
    enum op_error error = OP_INVALID_ACL;

    for (size_t who = 0; who < work->command->n_identities; who++) {
        struct bytes scheme = field(work->command->identities[who]->scheme);
        struct naive_acl entry = {
            .permissions = permissions,
            .scheme = arena_copy(&work->state->arena, scheme),
            .id = arena_copy(&work->state->arena, field(work->command->identities[who]->id)),
        };

        if (!is(scheme, "ip") && !is(scheme, "super")) {
            error = add_entry(list, entry);
            if (error != OP_OK) {
                return error;
            }
        }
    }
    return error;
}

static void note_bytes(struct work *work, size_t after, size_t before)
{
    work->result->changes[work->result->change_count - 1].more_bytes =
        (int64_t)after - (int64_t)before;
}

static enum op_error
convert_acl(struct work *work, size_t count, Record__AclEntry **entries, struct naive_node *node)
{
    struct list_of_entries list = {
        .entries = arena_calloc(&work->state->arena, STATE_ACL_ENTRIES_MAX, sizeof *list.entries)};

    for (size_t i = 0; i < count; i++) {
        struct naive_acl entry = {
            .permissions = entries[i]->permissions,
            .scheme = arena_copy(&work->state->arena, field(entries[i]->scheme)),
            .id = arena_copy(&work->state->arena, field(entries[i]->id)),
        };
        enum op_error error;

        if (entry.scheme.size == 0 || is(entry.scheme, "super") ||
            (is(entry.scheme, "world") && !is(entry.id, "anyone"))) {
            return OP_INVALID_ACL;
        }
        error = is(entry.scheme, "auth") ? add_writer(work, &list, entry.permissions)
                                         : add_entry(&list, entry);
        if (error != OP_OK) {
            return error;
        }
    }
    node->acl = count == 0 ? acl_of(work->state, 31) : list.entries;
    node->acl_count = count == 0 ? 1 : list.count;
    return OP_OK;
}

/* Puts the node there; all checks have been made. */
static void make(struct work *work, struct naive_node node)
{
    struct naive_node *parent;
    struct bytes parent_path;

    CHECK(parent_of(node.path, &parent_path));
    parent = find(work->state, parent_path);
    CHECK(parent != NULL);
    parent->sequence++;
    parent->stat.cversion++;
    parent->stat.pzxid = work->at;
    node.stat.czxid = node.stat.mzxid = node.stat.pzxid = work->at;
    node.stat.ctime_ms = node.stat.mtime_ms = work->state->time_ms;
    (void)add(work->state, node);
    note(work, STATE_CREATED, node.path, work->session);
    note_bytes(work, node.value.size, 0);
}

static enum op_error make_ancestors(struct work *work, struct bytes path)
{
    for (size_t end = 1; end < path.size; end++) {
        struct naive_node node = {.path = bytes_of(path.data, end), .acl_count = 1};
        struct naive_node *parent;
        struct bytes parent_path;

        if (path.data[end] != '/' || find(work->state, node.path) != NULL) {
            continue;
        }
        CHECK(parent_of(node.path, &parent_path));
        parent = find(work->state, parent_path);
        CHECK(parent != NULL);
        if (parent->stat.ephemeral_owner != 0) {
            return OP_NO_CHILDREN_FOR_EPHEMERALS;
        }
        node.acl = acl_of(work->state, 31);
        make(work, node);
    }
    return OP_OK;
}

static enum op_error
create(struct work *work, const Record__Create *create, struct state_op_result *result)
{
    struct naive_state *state = work->state;
    int mode = (int)create->mode;
    bool sequential = mode == 2 || mode == 3 || mode == 6;
    bool ephemeral = mode == 1 || mode == 3;
    bool has_ttl = mode == 5 || mode == 6;
    struct bytes path = arena_copy(&state->arena, field(create->path));
    struct naive_node node = {
        .value = arena_copy(&state->arena, field(create->value)),
        .value_is_null = create->value_is_null,
        .container = mode == 4,
        .ttl_ms = create->ttl_ms,
    };
    struct naive_node *parent;
    struct bytes parent_path;
    enum op_error error;
    char suffix[16];

    if (mode < 0 || mode > 6 || (has_ttl != (create->ttl_ms != 0)) ||
        create->ttl_ms >= UINT64_C(1) << 40 || create->version > INT32_MAX) {
        return OP_BAD_ARGUMENTS;
    }
    if (ephemeral && work->session == 0) {
        return OP_NO_SESSION;
    }
    if (!parent_of(path, &parent_path)) {
        return OP_BAD_ARGUMENTS;
    }
    error = convert_acl(work, create->n_acl, create->acl, &node);
    if (error != OP_OK) {
        return error;
    }
    parent = find(state, parent_path);
    if (parent == NULL && !create->make_parents) {
        return OP_NO_NODE;
    }
    if (parent != NULL && !allowed(work, parent, 4)) {
        return OP_NO_AUTH;
    }
    (void)snprintf(suffix, sizeof suffix, "%010d",
                   parent == NULL ? 0 : (int)(int32_t)parent->sequence);
    if (sequential) {
        struct buffer text = BUFFER_INIT;

        buffer_put(&text, path);
        buffer_put(&text, bytes_of_text(suffix));
        path = arena_copy(&state->arena, buffer_lend(&text));
        buffer_release(&text);
    }
    node.path = path;
    error = validate(state, path);
    if (error == OP_OK && parent == NULL && !allowed(work, above(work, path), 4)) {
        error = OP_NO_AUTH;
    }
    if (error == OP_OK && parent == NULL) {
        error = make_ancestors(work, path);
        parent = find(state, parent_path);
    }
    if (error == OP_OK && find(state, path) != NULL) {
        error = OP_NODE_EXISTS;
    }
    CHECK(error != OP_OK || parent != NULL);
    if (error == OP_OK && parent->stat.ephemeral_owner != 0) {
        error = OP_NO_CHILDREN_FOR_EPHEMERALS;
    }
    if (error == OP_OK) {
        node.stat.ephemeral_owner = ephemeral ? work->session : 0;
        node.stat.version = (int32_t)create->version;
        node.sequence = create->children_created;
        node.stat.cversion = (int32_t)(2 * create->children_created);
        make(work, node);
        result->path = path;
        result->has_stat = true;
        result->stat = naive_state_stat(state, find(state, path));
        result->created = true;
    }
    return error;
}

static int32_t next_version(int32_t version)
{
    int64_t next = (int64_t)version + 1;

    if (next > INT32_MAX) {
        next = INT32_MIN;
    }
    return next == -1 ? 0 : (int32_t)next;
}

static enum op_error set(struct work *work, const Record__Set *set, struct state_op_result *result)
{
    struct bytes path = arena_copy(&work->state->arena, field(set->path));
    enum op_error error = validate(work->state, path);
    struct naive_node *node;
    size_t before;

    if (set->create && set->version != -1) {
        return OP_BAD_ARGUMENTS;
    }
    if (error != OP_OK) {
        return error;
    }
    node = find(work->state, path);
    if (node == NULL && set->create) {
        Record__Create made = RECORD__CREATE__INIT;

        made.path = set->path;
        made.value = set->value;
        made.value_is_null = set->value_is_null;
        made.make_parents = true;
        return create(work, &made, result);
    }
    if (node == NULL) {
        return OP_NO_NODE;
    }
    if (!allowed(work, node, 2)) {
        return OP_NO_AUTH;
    }
    if (set->version != -1 && set->version != node->stat.version) {
        return OP_BAD_VERSION;
    }
    before = node->value.size;
    node->value = arena_copy(&work->state->arena, field(set->value));
    node->value_is_null = set->value_is_null;
    node->stat.version = next_version(node->stat.version);
    node->stat.mzxid = work->at;
    node->stat.mtime_ms = work->state->time_ms;
    note(work, STATE_VALUE_SET, path, work->session);
    note_bytes(work, node->value.size, before);
    result->has_stat = true;
    result->stat = naive_state_stat(work->state, node);
    return OP_OK;
}

static enum op_error
set_acl(struct work *work, const Record__SetAcl *set_acl, struct state_op_result *result)
{
    struct bytes path = arena_copy(&work->state->arena, field(set_acl->path));
    enum op_error error = validate(work->state, path);
    struct naive_node listed = {.acl_count = 0};
    struct naive_node *node;

    if (error == OP_OK && set_acl->n_acl == 0) {
        error = OP_INVALID_ACL;
    }
    if (error == OP_OK) {
        error = convert_acl(work, set_acl->n_acl, set_acl->acl, &listed);
    }
    if (error != OP_OK) {
        return error;
    }
    node = find(work->state, path);
    if (node == NULL) {
        return OP_NO_NODE;
    }
    if (!allowed(work, node, 16)) {
        return OP_NO_AUTH;
    }
    if (set_acl->version != -1 && set_acl->version != node->stat.aversion) {
        return OP_BAD_VERSION;
    }
    node->acl = listed.acl;
    node->acl_count = listed.acl_count;
    node->stat.aversion = next_version(node->stat.aversion);
    note(work, STATE_ACL_SET, path, work->session);
    result->has_stat = true;
    result->stat = naive_state_stat(work->state, node);
    return OP_OK;
}

static void take_away(struct work *work, struct naive_node *node)
{
    struct naive_state *state = work->state;
    struct naive_node *parent;
    struct bytes path = node->path;
    size_t before = node->value.size;
    struct bytes parent_path;

    CHECK(parent_of(path, &parent_path));
    parent = find(state, parent_path);
    CHECK(parent != NULL);
    parent->stat.cversion++;
    parent->stat.pzxid = work->at;
    memmove(node, node + 1, (size_t)(state->nodes + state->node_count - (node + 1)) * sizeof *node);
    state->node_count--;
    note(work, STATE_REMOVED, path, work->session);
    note_bytes(work, 0, before);
}

static enum op_error remove_one(struct work *work, const Record__Remove *remove)
{
    struct bytes path = field(remove->path);
    struct bytes parent_path;
    struct naive_node *node;

    if (!parent_of(path, &parent_path) || is(path, "/") || is(path, "/zookeeper") ||
        is(path, "/zookeeper/quota") || is(path, "/zookeeper/config")) {
        return OP_BAD_ARGUMENTS;
    }
    node = find(work->state, parent_path);
    if (node != NULL && !allowed(work, node, 8)) {
        return OP_NO_AUTH;
    }
    node = find(work->state, path);
    if (node == NULL) {
        return OP_NO_NODE;
    }
    if (remove->version != -1 && remove->version != node->stat.version) {
        return OP_BAD_VERSION;
    }
    if (naive_state_stat(work->state, node).child_count > 0) {
        return OP_NOT_EMPTY;
    }
    take_away(work, node);
    return OP_OK;
}

static enum op_error check(struct work *work, const Record__Check *check)
{
    struct bytes path = field(check->path);
    enum op_error error = validate(work->state, path);
    struct naive_node *node = find(work->state, path);

    if (error == OP_OK && node == NULL) {
        error = OP_NO_NODE;
    }
    if (error == OP_OK && !allowed(work, node, 1)) {
        error = OP_NO_AUTH;
    }
    if (error == OP_OK && check->version != -1 && check->version != node->stat.version) {
        error = OP_BAD_VERSION;
    }
    return error;
}

static enum op_error check_absent(struct work *work, const Record__CheckAbsent *check)
{
    struct bytes path = field(check->path);
    enum op_error error = validate(work->state, path);

    struct naive_node *node = find(work->state, path);

    if (error == OP_OK && node != NULL) {
        error = allowed(work, node, 1) ? OP_NODE_EXISTS : OP_NO_AUTH;
    }
    return error;
}

static enum op_error
operate(struct work *work, const Record__Operation *operation, struct state_op_result *result)
{
    if (operation->kind_case == RECORD__OPERATION__KIND_CREATE) {
        return create(work, operation->create, result);
    }
    if (operation->kind_case == RECORD__OPERATION__KIND_SET) {
        return set(work, operation->set, result);
    }
    if (operation->kind_case == RECORD__OPERATION__KIND_REMOVE) {
        return remove_one(work, operation->remove);
    }
    if (operation->kind_case == RECORD__OPERATION__KIND_SET_ACL) {
        return set_acl(work, operation->set_acl, result);
    }
    if (operation->kind_case == RECORD__OPERATION__KIND_CHECK) {
        return check(work, operation->check);
    }
    return check_absent(work, operation->check_absent);
}

/* --- Quotas --- */

static bool begins(struct bytes bytes, const char *text)
{
    return bytes.size >= strlen(text) && memcmp(bytes.data, text, strlen(text)) == 0;
}

static struct naive_node *quota_node(struct naive_state *state, struct bytes top, const char *name)
{
    struct buffer path = BUFFER_INIT;
    struct naive_node *node;

    buffer_put(&path, bytes_of_text("/zookeeper/quota"));
    buffer_put(&path, top);
    buffer_put(&path, bytes_of_text(name));
    node = find(state, buffer_lend(&path));
    buffer_release(&path);
    return node;
}

static int64_t number_of(struct naive_state *state, const struct naive_node *node, const char *key)
{
    char *text = arena_text(&state->arena, node->value);
    char *saved = NULL;
    int64_t number = -1;

    for (char *item = strtok_r(text, ",;", &saved); item != NULL;
         item = strtok_r(NULL, ",;", &saved)) {
        if (strncmp(item, key, strlen(key)) == 0 && item[strlen(key)] == '=') {
            char *end = NULL;

            number = strtoll(item + strlen(key) + 1, &end, 10);
            if (end == item + strlen(key) + 1 || (*end != '\0' && strcmp(end, "=") != 0)) {
                number = -1;
            }
        }
    }
    return number;
}

static void
write_numbers(struct naive_state *state, struct naive_node *node, int64_t count, int64_t bytes)
{
    char text[64];

    (void)snprintf(text, sizeof text, "count=%lld,bytes=%lld", (long long)count, (long long)bytes);
    node->value = arena_copy(&state->arena, bytes_of_text(text));
    node->value_is_null = false;
}

static void count_afresh(struct naive_state *state, struct naive_node *stats, struct bytes top)
{
    int64_t count = 0;
    int64_t bytes = 0;

    for (size_t i = 0; i < state->node_count; i++) {
        struct bytes path = state->nodes[i].path;

        if (begins(path, arena_text(&state->arena, top)) &&
            (path.size == top.size || path.data[top.size] == '/')) {
            count++;
            bytes += (int64_t)state->nodes[i].value.size;
        }
    }
    write_numbers(state, stats, count, bytes);
}

static bool passes(int64_t number, int64_t soft, int64_t hard)
{
    return hard >= 0 ? number > hard : soft >= 0 && number > soft;
}

static enum op_error account_below(struct work *work,
                                   struct bytes top,
                                   const struct naive_node *limits,
                                   int64_t more_count,
                                   int64_t more_bytes)
{
    struct naive_state *state = work->state;
    struct naive_node *stats = quota_node(state, top, "/zookeeper_stats");
    int64_t count_hard = number_of(state, limits, "countHardLimit");
    int64_t bytes_hard = number_of(state, limits, "byteHardLimit");
    int64_t count;
    int64_t bytes;
    bool too_many;
    bool too_large;

    if (stats == NULL) {
        return OP_OK;
    }
    count = number_of(state, stats, "count") + more_count;
    bytes = number_of(state, stats, "bytes") + more_bytes;
    count = count < 0 ? 0 : count;
    bytes = bytes < 0 ? 0 : bytes;
    write_numbers(state, stats, count, bytes);
    too_many = more_count > 0 && passes(count, number_of(state, limits, "count"), count_hard);
    too_large = more_count >= 0 && more_bytes != 0 &&
                passes(bytes, number_of(state, limits, "bytes"), bytes_hard);
    if (work->command->enforce_quotas &&
        ((too_many && count_hard >= 0) || (too_large && bytes_hard >= 0))) {
        return OP_QUOTA_EXCEEDED;
    }
    if (too_many || too_large) {
        work->result->quota_passed = arena_copy(&state->arena, top);
    }
    return OP_OK;
}

static enum op_error account_change(struct work *work, const struct naive_change *change)
{
    struct bytes path = change->path;
    struct bytes top = path;

    if (change->kind > STATE_REMOVED) {
        return OP_OK;
    }
    if (change->kind == STATE_CREATED && begins(path, "/zookeeper/quota/") &&
        path.size > strlen("/zookeeper/quota/zookeeper_stats") &&
        memcmp(path.data + path.size - 16, "/zookeeper_stats", 16) == 0) {
        top = bytes_of(path.data + 16, path.size - 32);
        if (!is(top, "/zookeeper") && !begins(top, "/zookeeper/")) {
            count_afresh(work->state, find(work->state, path), top);
            return OP_OK;
        }
    }
    if (is(path, "/zookeeper") || begins(path, "/zookeeper/")) {
        return OP_OK;
    }
    while (top.size > 1 && quota_node(work->state, top, "/zookeeper_limits") == NULL) {
        CHECK(parent_of(top, &top));
    }
    if (top.size <= 1) {
        return OP_OK;
    }
    return account_below(work, top, quota_node(work->state, top, "/zookeeper_limits"),
                         change->kind == STATE_CREATED   ? 1
                         : change->kind == STATE_REMOVED ? -1
                                                         : 0,
                         change->more_bytes);
}

static enum op_error account(struct work *work, size_t first)
{
    enum op_error error = OP_OK;

    for (size_t i = first; i < work->result->change_count && error == OP_OK; i++) {
        error = account_change(work, &work->result->changes[i]);
    }
    return error;
}

static void run(struct work *work, Record__Operation *const *operations)
{
    struct naive_state *state = work->state;
    struct naive_result *result = work->result;
    size_t node_count = state->node_count;
    struct naive_node *nodes = xmemdup(state->nodes, node_count * sizeof *nodes);

    for (size_t i = 0; i < result->operation_count; i++) {
        size_t first = result->change_count;
        enum op_error error = operate(work, operations[i], &result->operations[i]);

        if (error == OP_OK) {
            error = account(work, first);
        }
        if (error == OP_OK) {
            continue;
        }
        free(state->nodes);
        state->nodes = nodes;
        state->node_count = node_count;
        result->error = error;
        result->change_count = 0;
        result->quota_passed = BYTES_EMPTY;
        for (size_t j = 0; j < result->operation_count; j++) {
            result->operations[j] = (struct state_op_result){
                .error = j < i    ? OP_OK
                         : j == i ? error
                                  : OP_NOT_EXECUTED,
            };
        }
        return;
    }
    free(nodes);
}

/* --- Sessions --- */

static struct naive_session *find_session(struct naive_state *state, session_id id)
{
    for (size_t i = 0; i < state->session_count; i++) {
        if (state->sessions[i].shown.id == id) {
            return &state->sessions[i];
        }
    }
    return NULL;
}

static uint32_t clamp(uint32_t timeout_ms)
{
    return timeout_ms < 1000 ? 1000 : timeout_ms > 600000 ? 600000 : timeout_ms;
}

static void show_session(struct naive_result *result, const struct naive_session *session)
{
    result->session = session->shown.id;
    result->generation = session->shown.generation;
    result->timeout_ms = session->shown.timeout_ms;
}

static void open_session(struct work *work, const Record__OpenSession *open)
{
    struct naive_state *state = work->state;
    struct naive_session session = {.confirmed = 0};

    session.shown.id = work->at;
    session.shown.generation = 1;
    session.shown.owner = open->owner;
    session.shown.timeout_ms = clamp(open->timeout_ms);
    session.shown.password = arena_copy(&state->arena, field(open->password)).data;
    state->sessions =
        xrealloc(state->sessions, (state->session_count + 1) * sizeof *state->sessions);
    state->sessions[state->session_count++] = session;
    show_session(work->result, &session);
    note(work, STATE_SESSION_OPENED, BYTES_EMPTY, work->at);
}

static void attach(struct work *work, session_id id, const Record__AttachSession *attach)
{
    struct naive_session *session = find_session(work->state, id);

    if (session == NULL || attach->password.len != STATE_PASSWORD_BYTES ||
        memcmp(attach->password.data, session->shown.password, STATE_PASSWORD_BYTES) != 0) {
        work->result->error = OP_SESSION_EXPIRED;
        return;
    }
    session->shown.generation++;
    session->shown.owner = attach->owner;
    session->shown.timeout_ms = clamp(attach->timeout_ms);
    show_session(work->result, session);
    note(work, STATE_SESSION_ATTACHED, BYTES_EMPTY, id);
}

static enum op_error refusal(const struct naive_session *session, uint64_t generation)
{
    if (session == NULL) {
        return OP_SESSION_EXPIRED;
    }
    return session->shown.generation != generation ? OP_SESSION_MOVED : OP_OK;
}

static void
end_session(struct work *work, session_id id, uint64_t generation, enum state_change_kind kind)
{
    struct naive_state *state = work->state;
    struct naive_session *session = find_session(state, id);

    work->result->error = refusal(session, generation);
    if (work->result->error != OP_OK) {
        return;
    }
    work->session = id;
    /* New nodes go to the end of the array, so this is the order of their creation. */
    for (size_t i = 0; i < state->node_count;) {
        if (state->nodes[i].stat.ephemeral_owner == id) {
            take_away(work, &state->nodes[i]);
        } else {
            i++;
        }
    }
    CHECK(account(work, 0) == OP_OK);
    note(work, kind, BYTES_EMPTY, id);
    memmove(session, session + 1,
            (size_t)(state->sessions + state->session_count - (session + 1)) * sizeof *session);
    state->session_count--;
}

static void refuse(struct naive_result *result, enum op_error error)
{
    result->error = error;
    for (size_t i = 0; i < result->operation_count; i++) {
        result->operations[i].error = OP_NOT_EXECUTED;
    }
}

static void run_numbered(struct work *work,
                         struct naive_session *session,
                         uint64_t sequence,
                         Record__Operation *const *operations)
{
    uint64_t last = session->shown.last_sequence;
    struct naive_result *kept;

    if (sequence <= session->confirmed) {
        refuse(work->result, OP_SEQUENCE_FORGOTTEN);
    } else if (sequence <= last) {
        *work->result = session->kept[sequence - 1];
        work->result->repeated = true;
        work->result->quota_passed = BYTES_EMPTY;
        work->result->change_count = 0;
    } else if (sequence > last + 1) {
        refuse(work->result, OP_SEQUENCE_GAP);
    } else if (last - session->confirmed >= 1024) {
        refuse(work->result, OP_TOO_MANY_UNCONFIRMED);
    } else {
        run(work, operations);
        kept = arena_calloc(&work->state->arena, last + 1, sizeof *kept);
        if (last > 0) {
            memcpy(kept, session->kept, last * sizeof *kept);
        }
        kept[last] = *work->result;
        session->kept = kept;
        session->shown.last_sequence++;
    }
}

static void write_nodes(struct work *work, const Record__Command *command)
{
    bool single = command->body_case == RECORD__COMMAND__BODY_OPERATION;
    Record__Operation *const *operations =
        single ? &command->operation : command->transaction->operations;
    struct naive_result *result = work->result;
    struct naive_session *session;
    uint64_t confirmed = command->confirmed;

    result->operation_count = single ? 1 : command->transaction->n_operations;
    result->operations =
        arena_calloc(&work->state->arena, result->operation_count, sizeof *result->operations);
    if (command->session == 0) {
        run(work, operations);
        return;
    }
    session = find_session(work->state, command->session);
    if (refusal(session, command->generation) != OP_OK) {
        refuse(result, refusal(session, command->generation));
        return;
    }
    if (confirmed > session->shown.last_sequence) {
        confirmed = session->shown.last_sequence;
    }
    if (confirmed > session->confirmed) {
        session->confirmed = confirmed;
    }
    if (command->sequence == 0) {
        run(work, operations);
    } else {
        run_numbered(work, session, command->sequence, operations);
    }
}

/* --- Due nodes --- */

static bool is_due(const struct naive_state *state, const struct naive_node *node, bool container)
{
    if (naive_state_stat(state, node).child_count > 0 || node->container != container) {
        return false;
    }
    return container ? node->sequence > 0
                     : node->ttl_ms > 0 && state->time_ms - node->stat.mtime_ms > node->ttl_ms;
}

/* The one that has been due for longest; of several, and of containers, the oldest. Those
 * that lost a child in this very sweep wait for the next. */
static struct naive_node *next_due(struct naive_state *state, bool container, zxid at)
{
    struct naive_node *next = NULL;

    for (size_t i = 0; i < state->node_count; i++) {
        struct naive_node *node = &state->nodes[i];

        if (is_due(state, node, container) && node->stat.pzxid != at &&
            (next == NULL || (!container && node->stat.mtime_ms + node->ttl_ms <
                                                next->stat.mtime_ms + next->ttl_ms))) {
            next = node;
        }
    }
    return next;
}

static void sweep(struct work *work, uint32_t count_max)
{
    for (int kind = 0; kind < 2; kind++) {
        struct naive_node *node = next_due(work->state, kind == 1, work->at);

        for (uint32_t i = 0; i < count_max && node != NULL; i++) {
            take_away(work, node);
            node = next_due(work->state, kind == 1, work->at);
        }
    }
    CHECK(account(work, 0) == OP_OK);
}

struct naive_result naive_state_apply(struct naive_state *state,
                                      zxid at,
                                      uint64_t stamp_ms,
                                      const Record__Command *command)
{
    struct naive_result result = {.zxid = at};
    struct work work = {.state = state, .at = at, .command = command, .result = &result};

    if (stamp_ms > state->time_ms) {
        state->time_ms = stamp_ms;
    }
    if (command == NULL) {
        result.error = OP_UNREADABLE;
        return result;
    }
    work.session = command->session;
    if (command->body_case == RECORD__COMMAND__BODY_OPEN_SESSION) {
        open_session(&work, command->open_session);
    } else if (command->body_case == RECORD__COMMAND__BODY_ATTACH_SESSION) {
        attach(&work, command->session, command->attach_session);
    } else if (command->body_case == RECORD__COMMAND__BODY_CLOSE_SESSION) {
        end_session(&work, command->session, command->generation, STATE_SESSION_CLOSED);
    } else if (command->body_case == RECORD__COMMAND__BODY_EXPIRE_SESSION) {
        end_session(&work, command->expire_session->session, command->expire_session->generation,
                    STATE_SESSION_EXPIRED);
    } else if (command->body_case == RECORD__COMMAND__BODY_SWEEP) {
        work.session = 0;
        sweep(&work, command->sweep->count_max);
    } else {
        write_nodes(&work, command);
    }
    return result;
}
