#include "server/front/zookeeper_decode.h"

#include "server/front/zookeeper_command.h"
#include "server/front/zookeeper_reconfig.h"

#include <string.h>

enum { MULTI_HEADER_BYTES = 9, OPERATION_BYTES_MIN = MULTI_HEADER_BYTES + 4 };

struct decoder {
    struct reader reader;
    struct request *request;
    struct zookeeper_details *details;
    struct identities *identities;
    struct arena *arena;
};

static void refuse(struct decoder *decoder, enum jute_error error)
{
    decoder->request->kind = REQUEST_PING;
    decoder->details->refusal = error;
}

/* --- What writes --- */

static void put_command(struct decoder *decoder, struct bytes command)
{
    decoder->request->kind = REQUEST_WRITE;
    decoder->request->write.command = command;
}

static void decode_write(struct decoder *decoder)
{
    struct zookeeper_command_part part;

    (void)zookeeper_command_read(&decoder->reader, decoder->details->type, ZOOKEEPER_COMMAND_ALONE,
                                 decoder->arena, &part);
    if (!decoder->reader.failed) {
        put_command(decoder, part.bytes);
    }
}

/* Without any operation there is nothing to propose: it is answered in its turn. */
static void decode_multi(struct decoder *decoder)
{
    size_t capacity = decoder->reader.rest.size / OPERATION_BYTES_MIN + 1;
    struct bytes *parts = arena_alloc(decoder->arena, capacity * sizeof *parts);
    size_t count = 0;

    decoder->details->operations =
        arena_alloc(decoder->arena, capacity * sizeof *decoder->details->operations);
    for (;;) {
        struct jute_multi_header header = jute_read_multi_header(&decoder->reader);
        struct zookeeper_command_part part;

        if (decoder->reader.failed || header.done) {
            break;
        }
        if (count == capacity || header.type == JUTE_TYPE_SET_ACL ||
            !zookeeper_command_read(&decoder->reader, header.type, ZOOKEEPER_COMMAND_IN_TRANSACTION,
                                    decoder->arena, &part) ||
            part.is_illegal_create) {
            decoder->reader.failed = true;
            break;
        }
        decoder->details->operations[count] = header.type;
        parts[count++] = part.bytes;
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
    put_command(decoder, zookeeper_command_of_all(parts, count, decoder->arena));
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
