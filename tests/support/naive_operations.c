#include "tests/support/naive_operations.h"

#include "base/alloc.h"
#include "base/check.h"
#include "tests/support/naive_quotas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
add_writer(struct naive_work *work, struct list_of_entries *list, uint32_t permissions)
{
    enum op_error error = OP_INVALID_ACL;

    for (size_t who = 0; who < work->command->n_identities; who++) {
        struct bytes scheme = naive_nodes_field(work->command->identities[who]->scheme);
        struct naive_acl entry = {
            .permissions = permissions,
            .scheme = arena_copy(&work->state->arena, scheme),
            .id = arena_copy(&work->state->arena,
                             naive_nodes_field(work->command->identities[who]->id)),
        };

        if (!naive_nodes_is(scheme, "ip") && !naive_nodes_is(scheme, "super")) {
            error = add_entry(list, entry);
            if (error != OP_OK) {
                return error;
            }
        }
    }
    return error;
}

static enum op_error convert_acl(struct naive_work *work,
                                 size_t count,
                                 Record__AclEntry **entries,
                                 struct naive_node *node)
{
    struct list_of_entries list = {
        .entries = arena_calloc(&work->state->arena, STATE_ACL_ENTRIES_MAX, sizeof *list.entries)};

    for (size_t i = 0; i < count; i++) {
        struct naive_acl entry = {
            .permissions = entries[i]->permissions,
            .scheme = arena_copy(&work->state->arena, naive_nodes_field(entries[i]->scheme)),
            .id = arena_copy(&work->state->arena, naive_nodes_field(entries[i]->id)),
        };
        enum op_error error;

        if (entry.scheme.size == 0 || naive_nodes_is(entry.scheme, "super") ||
            (naive_nodes_is(entry.scheme, "world") && !naive_nodes_is(entry.id, "anyone"))) {
            return OP_INVALID_ACL;
        }
        error = naive_nodes_is(entry.scheme, "auth") ? add_writer(work, &list, entry.permissions)
                                                     : add_entry(&list, entry);
        if (error != OP_OK) {
            return error;
        }
    }
    node->acl = count == 0 ? naive_nodes_acl_of(work->state, 31) : list.entries;
    node->acl_count = count == 0 ? 1 : list.count;
    return OP_OK;
}

static enum op_error make_ancestors(struct naive_work *work, struct bytes path)
{
    for (size_t end = 1; end < path.size; end++) {
        struct naive_node node = {.path = bytes_of(path.data, end), .acl_count = 1};
        struct naive_node *parent;
        struct bytes parent_path;

        if (path.data[end] != '/' || naive_nodes_find(work->state, node.path) != NULL) {
            continue;
        }
        CHECK(naive_nodes_parent_of(node.path, &parent_path));
        parent = naive_nodes_find(work->state, parent_path);
        CHECK(parent != NULL);
        if (parent->stat.ephemeral_owner != 0) {
            return OP_NO_CHILDREN_FOR_EPHEMERALS;
        }
        node.acl = naive_nodes_acl_of(work->state, 31);
        naive_nodes_make(work, node);
    }
    return OP_OK;
}

static enum op_error
create(struct naive_work *work, const Record__Create *create, struct state_op_result *result)
{
    struct naive_state *state = work->state;
    int mode = (int)create->mode;
    bool sequential = mode == 2 || mode == 3 || mode == 6;
    bool ephemeral = mode == 1 || mode == 3;
    bool has_ttl = mode == 5 || mode == 6;
    struct bytes path = arena_copy(&state->arena, naive_nodes_field(create->path));
    struct naive_node node = {
        .value = arena_copy(&state->arena, naive_nodes_field(create->value)),
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
    if (!naive_nodes_parent_of(path, &parent_path)) {
        return OP_BAD_ARGUMENTS;
    }
    error = convert_acl(work, create->n_acl, create->acl, &node);
    if (error != OP_OK) {
        return error;
    }
    parent = naive_nodes_find(state, parent_path);
    if (parent == NULL && !create->make_parents) {
        return OP_NO_NODE;
    }
    if (parent != NULL && !naive_nodes_permit(work, parent, 4)) {
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
    error = naive_nodes_validate(state, path);
    if (error == OP_OK && parent == NULL &&
        !naive_nodes_permit(work, naive_nodes_above(work, path), 4)) {
        error = OP_NO_AUTH;
    }
    if (error == OP_OK && parent == NULL) {
        error = make_ancestors(work, path);
        parent = naive_nodes_find(state, parent_path);
    }
    if (error == OP_OK && naive_nodes_find(state, path) != NULL) {
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
        naive_nodes_make(work, node);
        result->path = path;
        result->has_stat = true;
        result->stat = naive_state_stat(state, naive_nodes_find(state, path));
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

static enum op_error
set(struct naive_work *work, const Record__Set *set, struct state_op_result *result)
{
    struct bytes path = arena_copy(&work->state->arena, naive_nodes_field(set->path));
    enum op_error error = naive_nodes_validate(work->state, path);
    struct naive_node *node;
    size_t before;

    if (set->create && set->version != -1) {
        return OP_BAD_ARGUMENTS;
    }
    if (error != OP_OK) {
        return error;
    }
    node = naive_nodes_find(work->state, path);
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
    if (!naive_nodes_permit(work, node, 2)) {
        return OP_NO_AUTH;
    }
    if (set->version != -1 && set->version != node->stat.version) {
        return OP_BAD_VERSION;
    }
    before = node->value.size;
    node->value = arena_copy(&work->state->arena, naive_nodes_field(set->value));
    node->value_is_null = set->value_is_null;
    node->stat.version = next_version(node->stat.version);
    node->stat.mzxid = work->at;
    node->stat.mtime_ms = work->state->time_ms;
    naive_nodes_note(work, STATE_VALUE_SET, path, work->session);
    naive_nodes_note_bytes(work, node->value.size, before);
    result->has_stat = true;
    result->stat = naive_state_stat(work->state, node);
    return OP_OK;
}

static enum op_error
set_acl(struct naive_work *work, const Record__SetAcl *set_acl, struct state_op_result *result)
{
    struct bytes path = arena_copy(&work->state->arena, naive_nodes_field(set_acl->path));
    enum op_error error = naive_nodes_validate(work->state, path);
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
    node = naive_nodes_find(work->state, path);
    if (node == NULL) {
        return OP_NO_NODE;
    }
    if (!naive_nodes_permit(work, node, 16)) {
        return OP_NO_AUTH;
    }
    if (set_acl->version != -1 && set_acl->version != node->stat.aversion) {
        return OP_BAD_VERSION;
    }
    node->acl = listed.acl;
    node->acl_count = listed.acl_count;
    node->stat.aversion = next_version(node->stat.aversion);
    naive_nodes_note(work, STATE_ACL_SET, path, work->session);
    result->has_stat = true;
    result->stat = naive_state_stat(work->state, node);
    return OP_OK;
}

static enum op_error remove_one(struct naive_work *work, const Record__Remove *remove)
{
    struct bytes path = naive_nodes_field(remove->path);
    struct bytes parent_path;
    struct naive_node *node;

    if (!naive_nodes_parent_of(path, &parent_path) || naive_nodes_is(path, "/") ||
        naive_nodes_is(path, "/zookeeper") || naive_nodes_is(path, "/zookeeper/quota") ||
        naive_nodes_is(path, "/zookeeper/config")) {
        return OP_BAD_ARGUMENTS;
    }
    node = naive_nodes_find(work->state, parent_path);
    if (node != NULL && !naive_nodes_permit(work, node, 8)) {
        return OP_NO_AUTH;
    }
    node = naive_nodes_find(work->state, path);
    if (node == NULL) {
        return OP_NO_NODE;
    }
    if (remove->version != -1 && remove->version != node->stat.version) {
        return OP_BAD_VERSION;
    }
    if (naive_state_stat(work->state, node).child_count > 0) {
        return OP_NOT_EMPTY;
    }
    naive_nodes_remove(work, node);
    return OP_OK;
}

static enum op_error check(struct naive_work *work, const Record__Check *check)
{
    struct bytes path = naive_nodes_field(check->path);
    enum op_error error = naive_nodes_validate(work->state, path);
    struct naive_node *node = naive_nodes_find(work->state, path);

    if (error == OP_OK && node == NULL) {
        error = OP_NO_NODE;
    }
    if (error == OP_OK && !naive_nodes_permit(work, node, 1)) {
        error = OP_NO_AUTH;
    }
    if (error == OP_OK && check->version != -1 && check->version != node->stat.version) {
        error = OP_BAD_VERSION;
    }
    return error;
}

static enum op_error check_absent(struct naive_work *work, const Record__CheckAbsent *check)
{
    struct bytes path = naive_nodes_field(check->path);
    enum op_error error = naive_nodes_validate(work->state, path);

    struct naive_node *node = naive_nodes_find(work->state, path);

    if (error == OP_OK && node != NULL) {
        error = naive_nodes_permit(work, node, 1) ? OP_NODE_EXISTS : OP_NO_AUTH;
    }
    return error;
}

static enum op_error
operate(struct naive_work *work, const Record__Operation *operation, struct state_op_result *result)
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

void naive_operations_run(struct naive_work *work, Record__Operation *const *operations)
{
    struct naive_state *state = work->state;
    struct naive_result *result = work->result;
    size_t node_count = state->node_count;
    struct naive_node *nodes = xmemdup(state->nodes, node_count * sizeof *nodes);

    for (size_t i = 0; i < result->operation_count; i++) {
        size_t first = result->change_count;
        enum op_error error = operate(work, operations[i], &result->operations[i]);

        if (error == OP_OK) {
            error = naive_quotas_account(work, first);
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
