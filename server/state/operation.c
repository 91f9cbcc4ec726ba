#include "server/state/operation.h"

#include "base/check.h"
#include "server/state/acl.h"
#include "server/state/path.h"
#include "server/state/record_key.h"
#include "server/state/znode.h"

#include <stdio.h>
#include <string.h>

enum { SUFFIX_BYTES_MAX = 12 /* "-2147483648" and NUL */ };

static const uint64_t ttl_ms_max = (UINT64_C(1) << 40) - 1;

static int32_t version_next(int32_t version)
{
    /* -1 means "any" to clients and is stepped over. */
    return version == -2 ? 0 : (int32_t)((uint32_t)version + 1);
}

static bool version_matches(int32_t expected, int32_t actual)
{
    return expected == -1 || expected == actual;
}

static struct bytes bytes_of_field(ProtobufCBinaryData field)
{
    return bytes_of(field.data, field.len);
}

/* --- Create --- */

static bool mode_is_sequential(Record__CreateMode mode)
{
    return mode == RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL ||
           mode == RECORD__CREATE_MODE__EPHEMERAL_SEQUENTIAL ||
           mode == RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL_TTL;
}

static bool mode_has_ttl(Record__CreateMode mode)
{
    return mode == RECORD__CREATE_MODE__PERSISTENT_TTL ||
           mode == RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL_TTL;
}

static bool mode_is_ephemeral(Record__CreateMode mode)
{
    return mode == RECORD__CREATE_MODE__EPHEMERAL ||
           mode == RECORD__CREATE_MODE__EPHEMERAL_SEQUENTIAL;
}

static enum op_error mode_check(const struct tree_write *write, const Record__Create *create)
{
    /* Through int: an unknown number is possible in what was read. */
    int mode = (int)create->mode;

    if (mode < RECORD__CREATE_MODE__PERSISTENT ||
        mode > RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL_TTL) {
        return OP_BAD_ARGUMENTS;
    }
    if (mode_has_ttl(create->mode) ? create->ttl_ms == 0 || create->ttl_ms > ttl_ms_max
                                   : create->ttl_ms != 0) {
        return OP_BAD_ARGUMENTS;
    }
    return mode_is_ephemeral(create->mode) && write->session == 0 ? OP_NO_SESSION : OP_OK;
}

static enum op_error encode_acl(const struct tree_write *write,
                                size_t count,
                                Record__AclEntry **acl,
                                struct acl *ret_acl)
{
    struct state_acl_entry entries[STATE_ACL_ENTRIES_MAX];

    if (count > STATE_ACL_ENTRIES_MAX) {
        return OP_LIMIT;
    }
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct state_acl_entry){
            .permissions = acl[i]->permissions,
            .scheme = bytes_of_field(acl[i]->scheme),
            .id = bytes_of_field(acl[i]->id),
        };
    }
    return acl_encode(entries, count, write->identities, write->arena, ret_acl);
}

static uint8_t creation_flags(const Record__Create *create)
{
    unsigned flags = 0;

    flags |= create->value_is_null ? ZNODE_VALUE_IS_NULL : 0;
    flags |= create->mode == RECORD__CREATE_MODE__CONTAINER ? ZNODE_CONTAINER : 0;
    flags |= mode_is_ephemeral(create->mode) ? ZNODE_EPHEMERAL : 0;
    flags |= mode_has_ttl(create->mode) ? ZNODE_TTL : 0;
    return (uint8_t)flags;
}

/* What can be refused without looking at the tree, in ZooKeeper's order. */
static enum op_error creation_start(const struct tree_write *write,
                                    const Record__Create *create,
                                    struct tree_creation *ret_creation)
{
    struct tree_creation creation = {
        .path = bytes_of_field(create->path),
        .flags = creation_flags(create),
        .owner_or_ttl = mode_is_ephemeral(create->mode) ? write->session : create->ttl_ms,
        .value = bytes_of_field(create->value),
        .version = (int32_t)create->version,
        .children_created = create->children_created,
    };
    enum op_error error =
        create->version > INT32_MAX ? OP_BAD_ARGUMENTS : mode_check(write, create);

    if (error == OP_OK && !path_split(creation.path, &creation.parent, &creation.name)) {
        error = OP_BAD_ARGUMENTS;
    }
    if (error == OP_OK) {
        error = encode_acl(write, create->n_acl, create->acl, &creation.acl);
    }
    if (error == OP_OK) {
        *ret_creation = creation;
    }
    return error;
}

/* ZooKeeper's suffix: the number of children ever created, as a signed 32-bit decimal. */
static void
append_sequence(struct tree_creation *creation, uint32_t children_created, struct arena *arena)
{
    char suffix[SUFFIX_BYTES_MAX];
    size_t suffix_bytes =
        (size_t)snprintf(suffix, sizeof suffix, "%010d", (int)(int32_t)children_created);
    size_t name_start = creation->path.size - creation->name.size;
    uint8_t *path = arena_alloc(arena, creation->path.size + suffix_bytes);

    memcpy(path, creation->path.data, creation->path.size);
    memcpy(path + creation->path.size, suffix, suffix_bytes);
    creation->path = bytes_of(path, creation->path.size + suffix_bytes);
    creation->name = bytes_of(path + name_start, creation->path.size - name_start);
}

static bool
permits(const struct tree_write *write, const struct record *record, unsigned permission)
{
    return acl_permits(znode_load(record).acl, permission, write->identities);
}

/* Missing ancestors belong to the one above them that is there: it must permit creation. `path` is
 * legal. */
static enum status
check_creation_below(struct tree_write *write, struct bytes path, enum op_error *ret_error)
{
    struct record *record = NULL;
    struct bytes parent;
    struct bytes name;

    while (record == NULL) {
        enum status status;

        CHECK(path_split(path, &parent, &name));
        path = parent;
        status = tree_find(write->tree, path, &record);
        if (status != STATUS_OK) {
            return status;
        }
    }
    *ret_error = permits(write, record, STATE_PERMISSION_CREATE) ? OP_OK : OP_NO_AUTH;
    return STATUS_OK;
}

/* Missing ancestors are made only below a path that can be created. */
static enum status creation_parent(struct tree_write *write,
                                   const Record__Create *create,
                                   const struct tree_creation *creation,
                                   enum op_error *ret_error,
                                   struct record **ret_parent)
{
    struct tree_creation probe = *creation;
    enum status status = tree_find(write->tree, creation->parent, ret_parent);

    if (status != STATUS_OK) {
        return status;
    }
    if (*ret_parent != NULL) {
        *ret_error = permits(write, *ret_parent, STATE_PERMISSION_CREATE) ? OP_OK : OP_NO_AUTH;
        return STATUS_OK;
    }
    if (!create->make_parents) {
        *ret_error = OP_NO_NODE;
        return STATUS_OK;
    }
    if (mode_is_sequential(create->mode)) {
        append_sequence(&probe, 0, write->arena);
    }
    *ret_error = path_check(probe.path);
    if (*ret_error == OP_OK) {
        status = check_creation_below(write, creation->parent, ret_error);
    }
    return status == STATUS_OK && *ret_error == OP_OK
               ? tree_ensure(write, creation->parent, ret_error, ret_parent)
               : status;
}

/* The last checks, and the node itself. */
static enum status creation_finish(struct tree_write *write,
                                   const struct tree_creation *creation,
                                   struct record *parent,
                                   struct state_op_result *result)
{
    struct record *record = NULL;
    struct znode znode;
    enum status status;

    result->error = path_check(creation->path);
    if (result->error == OP_OK && creation->name.size == 0) {
        result->error = OP_NODE_EXISTS; /* the root */
    }
    if (result->error != OP_OK) {
        return STATUS_OK;
    }
    status = tree_find_child(write->tree, znode_id(parent), creation->name, &record);
    if (status != STATUS_OK) {
        return status;
    }
    if (record != NULL || znode_is_ephemeral(parent)) {
        result->error = record != NULL ? OP_NODE_EXISTS : OP_NO_CHILDREN_FOR_EPHEMERALS;
        return STATUS_OK;
    }
    status = tree_create(write, parent, creation, &record);
    if (status == STATUS_OK) {
        znode = znode_load(record);
        result->path = creation->path;
        result->has_stat = true;
        result->stat = znode_stat(&znode);
        result->created = true;
    }
    return status;
}

static enum status operate_create(struct tree_write *write,
                                  const Record__Create *create,
                                  struct state_op_result *result)
{
    struct tree_creation creation = {.flags = 0};
    struct record *parent = NULL;
    enum status status;

    result->error = creation_start(write, create, &creation);
    if (result->error != OP_OK) {
        return STATUS_OK;
    }
    status = creation_parent(write, create, &creation, &result->error, &parent);
    if (status != STATUS_OK || result->error != OP_OK) {
        return status;
    }
    if (mode_is_sequential(create->mode)) {
        append_sequence(&creation, znode_load(parent).children_created, write->arena);
    }
    return creation_finish(write, &creation, parent, result);
}

/* --- The other operations --- */

/* The node at a path that is checked in full first. */
static enum status find_checked(struct tree_write *write,
                                struct bytes path,
                                enum op_error *ret_error,
                                struct record **ret_record)
{
    enum status status = STATUS_OK;

    *ret_error = path_check(path);
    if (*ret_error == OP_OK) {
        status = tree_find(write->tree, path, ret_record);
        if (status == STATUS_OK && *ret_record == NULL) {
            *ret_error = OP_NO_NODE;
        }
    }
    return status;
}

static void show_stat(struct state_op_result *result, const struct znode *znode)
{
    result->has_stat = true;
    result->stat = znode_stat(znode);
}

static enum status
set_create(struct tree_write *write, const Record__Set *set, struct state_op_result *result)
{
    Record__Create create = RECORD__CREATE__INIT;

    create.path = set->path;
    create.value = set->value;
    create.value_is_null = set->value_is_null;
    create.make_parents = true;
    return operate_create(write, &create, result);
}

static enum status
operate_set(struct tree_write *write, const Record__Set *set, struct state_op_result *result)
{
    struct bytes path = bytes_of_field(set->path);
    struct record *record = NULL;
    struct record *updated = NULL;
    struct znode znode;
    enum status status;

    if (set->create && set->version != -1) {
        result->error = OP_BAD_ARGUMENTS;
        return STATUS_OK;
    }
    status = find_checked(write, path, &result->error, &record);
    if (status == STATUS_OK && result->error == OP_NO_NODE && set->create) {
        return set_create(write, set, result);
    }
    if (status != STATUS_OK || result->error != OP_OK) {
        return status;
    }
    znode = znode_load(record);
    if (!permits(write, record, STATE_PERMISSION_WRITE)) {
        result->error = OP_NO_AUTH;
        return STATUS_OK;
    }
    if (!version_matches(set->version, znode.version)) {
        result->error = OP_BAD_VERSION;
        return STATUS_OK;
    }
    znode.value = bytes_of_field(set->value);
    znode.flags = (uint8_t)((znode.flags & ~ZNODE_VALUE_IS_NULL) |
                            (set->value_is_null ? ZNODE_VALUE_IS_NULL : 0));
    znode.version = version_next(znode.version);
    znode.mzxid = write->zxid;
    znode.mtime_ms = write->time_ms;
    status = tree_update(write->tree, path, record, &znode, &updated);
    tree_note_node(write, STATE_VALUE_SET, path, record, updated);
    show_stat(result, &znode);
    return status;
}

static enum status operate_set_acl(struct tree_write *write,
                                   const Record__SetAcl *set_acl,
                                   struct state_op_result *result)
{
    struct bytes path = bytes_of_field(set_acl->path);
    struct record *record = NULL;
    struct record *updated = NULL;
    struct acl acl = {.count = 0};
    struct znode znode;
    enum status status;

    result->error = path_check(path);
    if (result->error == OP_OK) {
        result->error = set_acl->n_acl == 0 ? OP_INVALID_ACL
                                            : encode_acl(write, set_acl->n_acl, set_acl->acl, &acl);
    }
    if (result->error != OP_OK) {
        return STATUS_OK;
    }
    status = find_checked(write, path, &result->error, &record);
    if (status != STATUS_OK || result->error != OP_OK) {
        return status;
    }
    znode = znode_load(record);
    if (!permits(write, record, STATE_PERMISSION_ADMIN)) {
        result->error = OP_NO_AUTH;
        return STATUS_OK;
    }
    if (!version_matches(set_acl->version, znode.aversion)) {
        result->error = OP_BAD_VERSION;
        return STATUS_OK;
    }
    znode.acl = acl;
    znode.aversion = version_next(znode.aversion);
    status = tree_update(write->tree, path, record, &znode, &updated);
    tree_note_node(write, STATE_ACL_SET, path, record, updated);
    show_stat(result, &znode);
    return status;
}

static enum status
operate_check(struct tree_write *write, const Record__Check *check, struct state_op_result *result)
{
    struct record *record = NULL;
    enum status status = find_checked(write, bytes_of_field(check->path), &result->error, &record);

    if (status == STATUS_OK && result->error == OP_OK) {
        overlay_touch(write->tree->overlay, record);
        result->error = !permits(write, record, STATE_PERMISSION_READ) ? OP_NO_AUTH
                        : version_matches(check->version, znode_load(record).version)
                            ? OP_OK
                            : OP_BAD_VERSION;
    }
    return status;
}

static enum status operate_check_absent(struct tree_write *write,
                                        const Record__CheckAbsent *check,
                                        struct state_op_result *result)
{
    struct record *record = NULL;
    enum status status = find_checked(write, bytes_of_field(check->path), &result->error, &record);

    if (status == STATUS_OK && result->error == OP_OK) {
        result->error = permits(write, record, STATE_PERMISSION_READ) ? OP_NODE_EXISTS : OP_NO_AUTH;
    } else if (status == STATUS_OK && result->error == OP_NO_NODE) {
        result->error = OP_OK;
    }
    return status;
}

/* --- Remove --- */

static enum status operate_remove(struct tree_write *write,
                                  const Record__Remove *remove,
                                  struct state_op_result *result)
{
    struct bytes path = bytes_of_field(remove->path);
    struct bytes parent_text;
    struct bytes name;
    struct record *parent = NULL;
    struct record *record = NULL;
    struct znode znode;
    enum status status;

    if (!path_split(path, &parent_text, &name) || path_is_system(path)) {
        result->error = OP_BAD_ARGUMENTS;
        return STATUS_OK;
    }
    status = tree_find(write->tree, parent_text, &parent);
    if (status == STATUS_OK && parent != NULL) {
        if (!permits(write, parent, STATE_PERMISSION_DELETE)) {
            result->error = OP_NO_AUTH;
            return STATUS_OK;
        }
        /* "//a" has the parent "/", which is the root's other name, and is no name of "/a". */
        status = bytes_equal(parent_text, bytes_of_text("/"))
                     ? STATUS_OK
                     : tree_find_child(write->tree, znode_id(parent), name, &record);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (record == NULL) {
        result->error = OP_NO_NODE;
        return STATUS_OK;
    }
    znode = znode_load(record);
    result->error = !version_matches(remove->version, znode.version) ? OP_BAD_VERSION
                    : znode.child_count > 0                          ? OP_NOT_EMPTY
                                                                     : OP_OK;
    return result->error == OP_OK ? tree_remove(write, path, parent_text, parent, record)
                                  : STATUS_OK;
}

enum status operation_apply(struct tree_write *write,
                            const Record__Operation *operation,
                            struct state_op_result *ret_result)
{
    *ret_result = (struct state_op_result){.error = OP_OK};
    switch (operation->kind_case) {
    case RECORD__OPERATION__KIND_CREATE:
        return operate_create(write, operation->create, ret_result);
    case RECORD__OPERATION__KIND_SET:
        return operate_set(write, operation->set, ret_result);
    case RECORD__OPERATION__KIND_REMOVE:
        return operate_remove(write, operation->remove, ret_result);
    case RECORD__OPERATION__KIND_SET_ACL:
        return operate_set_acl(write, operation->set_acl, ret_result);
    case RECORD__OPERATION__KIND_CHECK:
        return operate_check(write, operation->check, ret_result);
    case RECORD__OPERATION__KIND_CHECK_ABSENT:
        return operate_check_absent(write, operation->check_absent, ret_result);
    case RECORD__OPERATION__KIND__NOT_SET:
    case _RECORD__OPERATION__KIND__CASE_IS_INT_SIZE:
    default:
        break;
    }
    check_failed(__FILE__, __LINE__, "an operation without kind was let in");
}
