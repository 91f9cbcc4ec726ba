#include "server/front/zookeeper_command.h"

#include "proto/field.h"
#include "proto/jute.h"
#include "proto/record.pb-c.h"
#include "server/front/identity.h"
#include "server/node/request.h"

#include <string.h>

enum { MODE_ILLEGAL = 99 /* which the state refuses in its place */ };

/* The fields of record.proto. */
enum { PATH = 1 /* of each operation */ };
enum { CREATE_VALUE = 2, CREATE_VALUE_IS_NULL, CREATE_ACL, CREATE_MODE, CREATE_TTL_MS };
enum { SET_VALUE = 2, SET_VALUE_IS_NULL, SET_VERSION };
enum { REMOVE_VERSION = 2 };
enum { SET_ACL_ACL = 2, SET_ACL_VERSION };
enum { CHECK_VERSION = 2 };
enum { ENTRY_PERMISSIONS = 1, ENTRY_SCHEME, ENTRY_ID };
enum { TRANSACTION_OPERATIONS = 1, TRANSACTION_BOUNDED };

struct maker {
    struct reader *reader;
    struct arena *arena;
    enum zookeeper_command_holder holder;
    struct zookeeper_command_part *part;
};

/* Room for an operation with `size` bytes of fields, which go where it returns. */
static uint8_t *
begin_operation(const struct maker *maker, Record__Operation__KindCase kind, size_t size)
{
    uint32_t number = maker->holder == ZOOKEEPER_COMMAND_ALONE
                          ? (uint32_t)RECORD__COMMAND__BODY_OPERATION
                          : (uint32_t)TRANSACTION_OPERATIONS;
    size_t operation = field_message_bytes(kind, size);
    size_t whole = field_message_bytes(number, operation);
    uint8_t *start = arena_alloc(maker->arena, whole);

    maker->part->bytes = bytes_of(start, whole);
    return field_put_message_head(field_put_message_head(start, number, operation), kind, size);
}

/* --- ACLs --- */

struct acl {
    struct jute_acl_entry *entries;
    size_t count;
};

static bool entry_is_legal(const struct jute_acl_entry *entry)
{
    return !entry->scheme_is_null && identity_may_stand_in_acl(entry->scheme, entry->id);
}

/* An illegal list is one entry without a scheme: so the state calls it when its turn comes. */
static struct acl read_acl(const struct maker *maker)
{
    bool is_null;
    size_t count = jute_read_count(maker->reader, JUTE_ACL_ENTRY_BYTES_MIN, &is_null);
    /* More than the state takes is enough to be refused there. */
    bool is_legal = count > 0 && count <= STATE_ACL_ENTRIES_MAX + 1;
    struct acl acl = {.count = is_legal ? count : 1};

    acl.entries = arena_alloc(maker->arena, acl.count * sizeof *acl.entries);
    for (size_t i = 0; i < count; i++) {
        struct jute_acl_entry entry = jute_read_acl_entry(maker->reader);

        is_legal = is_legal && entry_is_legal(&entry);
        if (is_legal) {
            acl.entries[i] = entry;
        }
    }
    if (!is_legal) {
        acl.count = 1;
        acl.entries[0] = (struct jute_acl_entry){.scheme = BYTES_EMPTY};
    }
    return acl;
}

/* What nearly every node is created with goes without saying: each server would read it again. */
static bool acl_is_open(const struct acl *acl)
{
    const struct jute_acl_entry *first = &acl->entries[0];
    const struct state_acl_entry entry = {
        .permissions = (uint32_t)first->permissions, .scheme = first->scheme, .id = first->id};

    return acl->count == 1 && state_acl_entry_is_open(&entry);
}

static size_t entry_bytes(const struct jute_acl_entry *entry)
{
    return field_number_bytes(ENTRY_PERMISSIONS, (uint32_t)entry->permissions) +
           field_bytes_bytes(ENTRY_SCHEME, entry->scheme) + field_bytes_bytes(ENTRY_ID, entry->id);
}

static size_t acl_bytes(uint32_t number, const struct acl *acl)
{
    size_t size = 0;

    for (size_t i = 0; i < acl->count; i++) {
        size += field_message_bytes(number, entry_bytes(&acl->entries[i]));
    }
    return size;
}

static uint8_t *put_acl(uint8_t *to, uint32_t number, const struct acl *acl)
{
    for (size_t i = 0; i < acl->count; i++) {
        const struct jute_acl_entry *entry = &acl->entries[i];

        to = field_put_message_head(to, number, entry_bytes(entry));
        to = field_put_number(to, ENTRY_PERMISSIONS, (uint32_t)entry->permissions);
        to = field_put_bytes(to, ENTRY_SCHEME, entry->scheme);
        to = field_put_bytes(to, ENTRY_ID, entry->id);
    }
    return to;
}

/* --- Operations --- */

static int mode_of(int32_t type, int32_t flags)
{
    switch (type) {
    case JUTE_TYPE_CREATE_CONTAINER:
        return flags >= 0 && flags <= 4 ? (int)RECORD__CREATE_MODE__CONTAINER : MODE_ILLEGAL;
    case JUTE_TYPE_CREATE_TTL:
        return flags == 5 || flags == 6 ? flags : MODE_ILLEGAL;
    default:
        /* A container's flag alone makes an ordinary node, as in ZooKeeper. */
        return flags == 4                 ? (int)RECORD__CREATE_MODE__PERSISTENT
               : flags >= 0 && flags <= 3 ? flags
                                          : MODE_ILLEGAL;
    }
}

static void make_create(const struct maker *maker, int32_t type)
{
    struct bytes path = jute_read_buffer(maker->reader, NULL);
    bool is_null;
    struct bytes value = jute_read_buffer(maker->reader, &is_null);
    struct acl acl = read_acl(maker);
    int mode = mode_of(type, jute_read_int(maker->reader));
    uint64_t ttl_ms = type == JUTE_TYPE_CREATE_TTL ? (uint64_t)jute_read_long(maker->reader) : 0;
    uint8_t *to;

    if (acl_is_open(&acl)) {
        acl.count = 0;
    }
    to = begin_operation(maker, RECORD__OPERATION__KIND_CREATE,
                         field_bytes_bytes(PATH, path) + field_bytes_bytes(CREATE_VALUE, value) +
                             field_number_bytes(CREATE_VALUE_IS_NULL, is_null) +
                             acl_bytes(CREATE_ACL, &acl) +
                             field_number_bytes(CREATE_MODE, (uint64_t)mode) +
                             field_number_bytes(CREATE_TTL_MS, ttl_ms));
    to = field_put_bytes(to, PATH, path);
    to = field_put_bytes(to, CREATE_VALUE, value);
    to = field_put_number(to, CREATE_VALUE_IS_NULL, is_null);
    to = put_acl(to, CREATE_ACL, &acl);
    to = field_put_number(to, CREATE_MODE, (uint64_t)mode);
    (void)field_put_number(to, CREATE_TTL_MS, ttl_ms);
    maker->part->is_illegal_create = mode == MODE_ILLEGAL;
}

static void make_set(const struct maker *maker)
{
    struct bytes path = jute_read_buffer(maker->reader, NULL);
    bool is_null;
    struct bytes value = jute_read_buffer(maker->reader, &is_null);
    uint32_t version = field_zigzag(jute_read_int(maker->reader));
    uint8_t *to =
        begin_operation(maker, RECORD__OPERATION__KIND_SET,
                        field_bytes_bytes(PATH, path) + field_bytes_bytes(SET_VALUE, value) +
                            field_number_bytes(SET_VALUE_IS_NULL, is_null) +
                            field_number_bytes(SET_VERSION, version));

    to = field_put_bytes(to, PATH, path);
    to = field_put_bytes(to, SET_VALUE, value);
    to = field_put_number(to, SET_VALUE_IS_NULL, is_null);
    (void)field_put_number(to, SET_VERSION, version);
}

static void make_set_acl(const struct maker *maker)
{
    struct bytes path = jute_read_buffer(maker->reader, NULL);
    struct acl acl = read_acl(maker);
    uint32_t version = field_zigzag(jute_read_int(maker->reader));
    uint8_t *to = begin_operation(maker, RECORD__OPERATION__KIND_SET_ACL,
                                  field_bytes_bytes(PATH, path) + acl_bytes(SET_ACL_ACL, &acl) +
                                      field_number_bytes(SET_ACL_VERSION, version));

    to = field_put_bytes(to, PATH, path);
    to = put_acl(to, SET_ACL_ACL, &acl);
    (void)field_put_number(to, SET_ACL_VERSION, version);
}

/* A removal or a check. */
static void
make_versioned(const struct maker *maker, Record__Operation__KindCase kind, uint32_t version_number)
{
    struct bytes path = jute_read_buffer(maker->reader, NULL);
    uint32_t version = field_zigzag(jute_read_int(maker->reader));
    uint8_t *to = begin_operation(
        maker, kind, field_bytes_bytes(PATH, path) + field_number_bytes(version_number, version));

    to = field_put_bytes(to, PATH, path);
    (void)field_put_number(to, version_number, version);
}

bool zookeeper_command_read(struct reader *reader,
                            int32_t type,
                            enum zookeeper_command_holder holder,
                            struct arena *arena,
                            struct zookeeper_command_part *ret_part)
{
    const struct maker maker = {
        .reader = reader, .arena = arena, .holder = holder, .part = ret_part};

    *ret_part = (struct zookeeper_command_part){.bytes = BYTES_EMPTY};
    switch (type) {
    case JUTE_TYPE_CREATE:
    case JUTE_TYPE_CREATE_2:
    case JUTE_TYPE_CREATE_CONTAINER:
    case JUTE_TYPE_CREATE_TTL:
        make_create(&maker, type);
        return true;
    case JUTE_TYPE_DELETE:
        make_versioned(&maker, RECORD__OPERATION__KIND_REMOVE, REMOVE_VERSION);
        return true;
    case JUTE_TYPE_SET_DATA:
        make_set(&maker);
        return true;
    case JUTE_TYPE_SET_ACL:
        make_set_acl(&maker);
        return true;
    case JUTE_TYPE_CHECK:
        make_versioned(&maker, RECORD__OPERATION__KIND_CHECK, CHECK_VERSION);
        return true;
    default:
        return false;
    }
}

struct bytes zookeeper_command_of_all(const struct bytes *parts, size_t count, struct arena *arena)
{
    size_t size = field_number_bytes(TRANSACTION_BOUNDED, true);
    size_t whole;
    uint8_t *start;
    uint8_t *to;

    for (size_t i = 0; i < count; i++) {
        size += parts[i].size;
    }
    whole = field_message_bytes(RECORD__COMMAND__BODY_TRANSACTION, size);
    start = arena_alloc(arena, whole);
    to = field_put_message_head(start, RECORD__COMMAND__BODY_TRANSACTION, size);
    for (size_t i = 0; i < count; i++) {
        memcpy(to, parts[i].data, parts[i].size);
        to += parts[i].size;
    }
    (void)field_put_number(to, TRANSACTION_BOUNDED, true);
    return bytes_of(start, whole);
}
