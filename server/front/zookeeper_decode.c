#include "server/front/zookeeper_decode.h"

#include "proto/record.pb-c.h"
#include "server/front/zookeeper_reconfig.h"

#include <string.h>

enum {
    MODE_ILLEGAL = 99, /* which the state refuses in its place */
    MULTI_HEADER_BYTES = 9,
    OPERATION_BYTES_MIN = MULTI_HEADER_BYTES + 4
};

struct decoder {
    struct reader reader;
    struct request *request;
    struct zookeeper_details *details;
    struct identities *identities;
    struct arena *arena;
};

static ProtobufCBinaryData field_of(struct bytes bytes)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)bytes.data, .len = bytes.size};
}

/* --- ACLs --- */

struct acl {
    Record__AclEntry **entries;
    size_t count;
    size_t capacity;
};

static void
acl_add(struct decoder *decoder, struct acl *acl, int32_t permissions, struct state_identity id)
{
    Record__AclEntry *entry = arena_alloc(decoder->arena, sizeof *entry);

    record__acl_entry__init(entry);
    entry->permissions = (uint32_t)permissions;
    entry->scheme = field_of(id.scheme);
    entry->id = field_of(id.id);
    acl->entries[acl->count++] = entry;
}

/* An entry without a scheme: the state calls the list illegal when its turn comes. */
static void acl_spoil(struct decoder *decoder, struct acl *acl)
{
    acl->count = 0;
    acl_add(decoder, acl, 0, (struct state_identity){.scheme = BYTES_EMPTY});
}

static bool acl_take(struct decoder *decoder, struct acl *acl, const struct jute_acl_entry *entry)
{
    if (entry->scheme_is_null) {
        return false;
    }
    if (!identity_may_stand_in_acl(entry->scheme, entry->id) || acl->count == acl->capacity) {
        return false;
    }
    acl_add(decoder, acl, entry->permissions,
            (struct state_identity){.scheme = entry->scheme, .id = entry->id});
    return true;
}

static struct acl read_acl(struct decoder *decoder)
{
    bool is_null;
    uint32_t count = jute_read_count(&decoder->reader, JUTE_ACL_ENTRY_BYTES_MIN, &is_null);
    /* More than the state takes is enough to be refused there. */
    struct acl acl = {.capacity = STATE_ACL_ENTRIES_MAX + 1};
    bool is_legal = count > 0;

    acl.entries = arena_alloc(decoder->arena, acl.capacity * sizeof(Record__AclEntry *));
    for (uint32_t i = 0; i < count; i++) {
        struct jute_acl_entry entry = jute_read_acl_entry(&decoder->reader);

        is_legal = is_legal && acl_take(decoder, &acl, &entry);
    }
    if (!is_legal) {
        acl_spoil(decoder, &acl);
    }
    return acl;
}

/* What nearly every node is created with goes without saying: each server would read it again. */
static bool acl_is_open(const struct acl *acl)
{
    const Record__AclEntry *first = acl->entries[0];
    const struct state_acl_entry entry = {.permissions = first->permissions,
                                          .scheme = bytes_of(first->scheme.data, first->scheme.len),
                                          .id = bytes_of(first->id.data, first->id.len)};

    return acl->count == 1 && state_acl_entry_is_open(&entry);
}

/* --- Operations that write --- */

static Record__CreateMode mode_of(int32_t type, int32_t flags)
{
    switch (type) {
    case JUTE_TYPE_CREATE_CONTAINER:
        return flags >= 0 && flags <= 4 ? RECORD__CREATE_MODE__CONTAINER
                                        : (Record__CreateMode)MODE_ILLEGAL;
    case JUTE_TYPE_CREATE_TTL:
        return flags == 5 || flags == 6 ? (Record__CreateMode)flags
                                        : (Record__CreateMode)MODE_ILLEGAL;
    default:
        /* A container's flag alone makes an ordinary node, as in ZooKeeper. */
        return flags == 4                 ? RECORD__CREATE_MODE__PERSISTENT
               : flags >= 0 && flags <= 3 ? (Record__CreateMode)flags
                                          : (Record__CreateMode)MODE_ILLEGAL;
    }
}

static void read_create(struct decoder *decoder, int32_t type, Record__Operation *operation)
{
    Record__Create *create = arena_alloc(decoder->arena, sizeof *create);
    struct acl acl;
    bool is_null;
    int32_t flags;

    record__create__init(create);
    create->path = field_of(jute_read_buffer(&decoder->reader, NULL));
    create->value = field_of(jute_read_buffer(&decoder->reader, &is_null));
    create->value_is_null = is_null;
    acl = read_acl(decoder);
    create->acl = acl.entries;
    create->n_acl = acl_is_open(&acl) ? 0 : acl.count;
    flags = jute_read_int(&decoder->reader);
    create->mode = mode_of(type, flags);
    if (type == JUTE_TYPE_CREATE_TTL) {
        create->ttl_ms = (uint64_t)jute_read_long(&decoder->reader);
    }
    operation->kind_case = RECORD__OPERATION__KIND_CREATE;
    operation->create = create;
}

static void read_delete(struct decoder *decoder, Record__Operation *operation)
{
    Record__Remove *removal = arena_alloc(decoder->arena, sizeof *removal);

    record__remove__init(removal);
    removal->path = field_of(jute_read_buffer(&decoder->reader, NULL));
    removal->version = jute_read_int(&decoder->reader);
    operation->kind_case = RECORD__OPERATION__KIND_REMOVE;
    operation->remove = removal;
}

static void read_set_data(struct decoder *decoder, Record__Operation *operation)
{
    Record__Set *set = arena_alloc(decoder->arena, sizeof *set);
    bool is_null;

    record__set__init(set);
    set->path = field_of(jute_read_buffer(&decoder->reader, NULL));
    set->value = field_of(jute_read_buffer(&decoder->reader, &is_null));
    set->value_is_null = is_null;
    set->version = jute_read_int(&decoder->reader);
    operation->kind_case = RECORD__OPERATION__KIND_SET;
    operation->set = set;
}

static void read_set_acl(struct decoder *decoder, Record__Operation *operation)
{
    Record__SetAcl *set_acl = arena_alloc(decoder->arena, sizeof *set_acl);
    struct acl acl;

    record__set_acl__init(set_acl);
    set_acl->path = field_of(jute_read_buffer(&decoder->reader, NULL));
    acl = read_acl(decoder);
    set_acl->acl = acl.entries;
    set_acl->n_acl = acl.count;
    set_acl->version = jute_read_int(&decoder->reader);
    operation->kind_case = RECORD__OPERATION__KIND_SET_ACL;
    operation->set_acl = set_acl;
}

static void read_check(struct decoder *decoder, Record__Operation *operation)
{
    Record__Check *check = arena_alloc(decoder->arena, sizeof *check);

    record__check__init(check);
    check->path = field_of(jute_read_buffer(&decoder->reader, NULL));
    check->version = jute_read_int(&decoder->reader);
    operation->kind_case = RECORD__OPERATION__KIND_CHECK;
    operation->check = check;
}

/* False: not a type that writes. */
static bool read_operation(struct decoder *decoder, int32_t type, Record__Operation *operation)
{
    switch (type) {
    case JUTE_TYPE_CREATE:
    case JUTE_TYPE_CREATE_2:
    case JUTE_TYPE_CREATE_CONTAINER:
    case JUTE_TYPE_CREATE_TTL:
        read_create(decoder, type, operation);
        return true;
    case JUTE_TYPE_DELETE:
        read_delete(decoder, operation);
        return true;
    case JUTE_TYPE_SET_DATA:
        read_set_data(decoder, operation);
        return true;
    case JUTE_TYPE_SET_ACL:
        read_set_acl(decoder, operation);
        return true;
    case JUTE_TYPE_CHECK:
        read_check(decoder, operation);
        return true;
    default:
        return false;
    }
}

static void refuse(struct decoder *decoder, enum jute_error error)
{
    decoder->request->kind = REQUEST_PING;
    decoder->details->refusal = error;
}

/* The operations lend from the frame; packed, they are the request's own. */
static void put_command(struct decoder *decoder, Record__Command *command)
{
    size_t size = record__command__get_packed_size(command);
    uint8_t *packed = arena_alloc(decoder->arena, size);

    (void)record__command__pack(command, packed);
    decoder->request->kind = REQUEST_WRITE;
    decoder->request->write.command = bytes_of(packed, size);
}

static void decode_write(struct decoder *decoder)
{
    Record__Operation operation = RECORD__OPERATION__INIT;
    Record__Command command = RECORD__COMMAND__INIT;

    (void)read_operation(decoder, decoder->details->type, &operation);
    if (!decoder->reader.failed) {
        command.body_case = RECORD__COMMAND__BODY_OPERATION;
        command.operation = &operation;
        put_command(decoder, &command);
    }
}

static bool is_illegal_create(const Record__Operation *operation)
{
    return operation->kind_case == RECORD__OPERATION__KIND_CREATE &&
           (int)operation->create->mode == MODE_ILLEGAL;
}

/* Without any operation there is nothing to propose: it is answered in its turn. */
static void decode_multi(struct decoder *decoder)
{
    size_t capacity = decoder->reader.rest.size / OPERATION_BYTES_MIN + 1;
    Record__Operation **operations = arena_alloc(decoder->arena, capacity * sizeof *operations);
    Record__Transaction transaction = RECORD__TRANSACTION__INIT;
    Record__Command command = RECORD__COMMAND__INIT;
    size_t count = 0;

    decoder->details->operations =
        arena_alloc(decoder->arena, capacity * sizeof *decoder->details->operations);
    for (;;) {
        struct jute_multi_header header = jute_read_multi_header(&decoder->reader);
        Record__Operation *operation;

        if (decoder->reader.failed || header.done) {
            break;
        }
        operation = arena_alloc(decoder->arena, sizeof *operation);
        record__operation__init(operation);
        if (count == capacity || header.type == JUTE_TYPE_SET_ACL ||
            !read_operation(decoder, header.type, operation) || is_illegal_create(operation)) {
            decoder->reader.failed = true;
            break;
        }
        decoder->details->operations[count] = header.type;
        operations[count++] = operation;
    }
    if (decoder->reader.failed) {
        return;
    }
    decoder->details->operation_count = count;
    if (count > REQUEST_OPERATIONS_MAX) {
        refuse(decoder, JUTE_ERROR_BAD_ARGUMENTS);
        return;
    }
    if (count == 0) {
        decoder->request->kind = REQUEST_PING;
        return;
    }
    transaction.operations = operations;
    transaction.n_operations = count;
    transaction.bounded = true;
    command.body_case = RECORD__COMMAND__BODY_TRANSACTION;
    command.transaction = &transaction;
    put_command(decoder, &command);
}

/* --- The others --- */

static void read_path(struct decoder *decoder)
{
    decoder->details->path = arena_copy(decoder->arena, jute_read_buffer(&decoder->reader, NULL));
    decoder->request->path = decoder->details->path;
}

static void decode_read(struct decoder *decoder, enum request_kind kind)
{
    decoder->request->kind = kind;
    read_path(decoder);
    if (kind == REQUEST_LIST) {
        decoder->request->page.count_max = UINT32_MAX;
    }
    if (decoder->details->type == JUTE_TYPE_GET_ACL) {
        decoder->request->permissions = STATE_PERMISSION_READ | STATE_PERMISSION_ADMIN;
    } else {
        decoder->details->watch = jute_read_bool(&decoder->reader);
    }
    if (decoder->details->type == JUTE_TYPE_EXISTS && decoder->details->path.size > 0 &&
        memchr(decoder->details->path.data, '\0', decoder->details->path.size) != NULL) {
        refuse(decoder, JUTE_ERROR_BAD_ARGUMENTS);
    }
}

/* A prefix of nothing but blanks, or the root, is every path's. */
static void decode_ephemerals(struct decoder *decoder)
{
    bool is_null;
    struct bytes prefix = jute_read_buffer(&decoder->reader, &is_null);
    size_t blanks = 0;

    while (blanks < prefix.size && prefix.data[blanks] <= ' ') {
        blanks++;
    }
    if (blanks == prefix.size || bytes_equal(prefix, bytes_of_text("/"))) {
        prefix = BYTES_EMPTY;
    }
    decoder->request->kind = REQUEST_EPHEMERALS;
    decoder->request->path = arena_copy(decoder->arena, prefix);
}

static void decode_auth(struct decoder *decoder)
{
    struct bytes scheme;
    struct bytes credentials;
    bool is_null;

    (void)jute_read_int(&decoder->reader);
    scheme = jute_read_buffer(&decoder->reader, &is_null); /* then nobody knows it */
    credentials = jute_read_buffer(&decoder->reader, &is_null);
    if (!decoder->reader.failed &&
        identities_add(decoder->identities, scheme, credentials) != STATUS_OK) {
        refuse(decoder, JUTE_ERROR_AUTH_FAILED);
        decoder->details->closes = true;
    }
}

static void decode_reconfig(struct decoder *decoder)
{
    bool is_null;
    struct bytes joining = jute_read_buffer(&decoder->reader, &is_null);
    struct bytes leaving = jute_read_buffer(&decoder->reader, &is_null);
    struct bytes members = jute_read_buffer(&decoder->reader, &is_null);
    int64_t version = jute_read_long(&decoder->reader);
    struct reconfiguration *wanted = &decoder->request->membership.wanted;

    if (decoder->reader.failed) {
        return;
    }
    decoder->request->kind = REQUEST_RECONFIGURE;
    decoder->request->linearizable = true;
    decoder->request->path = bytes_of_text("/zookeeper/config");
    wanted->has_version = version != -1;
    wanted->version = (raft_index)version;
    if (is_null) {
        zookeeper_reconfig_read_changes(joining, leaving, decoder->arena, wanted);
    } else {
        zookeeper_reconfig_read_members(members, decoder->arena, wanted);
    }
}

static void decode_watch_request(struct decoder *decoder)
{
    int32_t type = decoder->details->type;
    int32_t mode;

    read_path(decoder);
    mode = jute_read_int(&decoder->reader);
    decoder->details->mode = mode;
    if (type == JUTE_TYPE_ADD_WATCH ? mode != 0 && mode != 1 : mode < 1 || mode > 5) {
        decoder->reader.failed = true;
    }
}

static void decode_by_type(struct decoder *decoder)
{
    switch (decoder->details->type) {
    case JUTE_TYPE_PING:
        decoder->details->xid = JUTE_XID_PING;
        break;
    case JUTE_TYPE_CREATE:
    case JUTE_TYPE_CREATE_2:
    case JUTE_TYPE_CREATE_CONTAINER:
    case JUTE_TYPE_CREATE_TTL:
    case JUTE_TYPE_DELETE:
    case JUTE_TYPE_SET_DATA:
    case JUTE_TYPE_SET_ACL:
        decode_write(decoder);
        break;
    case JUTE_TYPE_MULTI:
        decode_multi(decoder);
        break;
    case JUTE_TYPE_EXISTS:
    case JUTE_TYPE_GET_DATA:
    case JUTE_TYPE_GET_ACL:
        decode_read(decoder, REQUEST_GET);
        break;
    case JUTE_TYPE_GET_CHILDREN:
    case JUTE_TYPE_GET_CHILDREN_2:
        decode_read(decoder, REQUEST_LIST);
        break;
    case JUTE_TYPE_GET_ALL_CHILDREN_NUMBER:
        decoder->request->kind = REQUEST_COUNT;
        read_path(decoder);
        break;
    case JUTE_TYPE_GET_EPHEMERALS:
        decode_ephemerals(decoder);
        break;
    case JUTE_TYPE_SYNC:
        read_path(decoder);
        decoder->request->linearizable = true;
        break;
    case JUTE_TYPE_MULTI_READ:
    case JUTE_TYPE_SET_WATCHES:
    case JUTE_TYPE_SET_WATCHES_2:
        decoder->details->body = arena_copy(decoder->arena, decoder->reader.rest);
        break;
    case JUTE_TYPE_ADD_WATCH:
    case JUTE_TYPE_CHECK_WATCHES:
    case JUTE_TYPE_REMOVE_WATCHES:
        decode_watch_request(decoder);
        break;
    case JUTE_TYPE_AUTH:
        decode_auth(decoder);
        break;
    case JUTE_TYPE_WHO_AM_I:
        break;
    case JUTE_TYPE_CLOSE_SESSION:
        decoder->request->kind = REQUEST_CLOSE_SESSION;
        decoder->details->closes = true;
        break;
    case JUTE_TYPE_RECONFIG:
        decode_reconfig(decoder);
        break;
    case JUTE_TYPE_SASL:
        refuse(decoder, JUTE_ERROR_AUTH_FAILED);
        decoder->details->closes = true;
        break;
    default:
        refuse(decoder, JUTE_ERROR_UNIMPLEMENTED);
        decoder->details->closes = true;
        break;
    }
}

enum status
zookeeper_decode(struct bytes frame, struct identities *identities, struct request **ret_request)
{
    struct decoder decoder = {.reader = reader_of(frame), .identities = identities};
    int32_t xid = jute_read_int(&decoder.reader);
    int32_t type = jute_read_int(&decoder.reader);

    if (decoder.reader.failed) {
        return STATUS_INVALID;
    }
    decoder.request = request_new(REQUEST_PING);
    decoder.arena = &decoder.request->arena;
    decoder.details = arena_calloc(decoder.arena, 1, sizeof *decoder.details);
    decoder.details->xid = xid;
    decoder.details->type = type;
    decoder.request->details = decoder.details;
    decode_by_type(&decoder);
    if (decoder.reader.failed) {
        refuse(&decoder, JUTE_ERROR_MARSHALLING);
    }
    *ret_request = decoder.request;
    return STATUS_OK;
}
