#include "server/front/native_decode.h"

#include "proto/arena_allocator.h"
#include "proto/field.h"

enum { LIST_COUNT_MAX = 16384 /* in one page */ };

/* --- The envelope --- */

enum { REQUEST_ID = 1, REQUEST_SEEN_ZXID = 2 };

struct envelope {
    uint64_t id;
    uint64_t seen_zxid;
    uint32_t body_number; /* 0 = none */
    struct bytes body;
};

/* A request has one body; the fields of later versions that are not messages are skipped. */
static enum status read_envelope(struct bytes frame, struct envelope *envelope)
{
    struct reader reader = reader_of(frame);
    struct field field = {.number = 0};

    while (field_read(&reader, &field)) {
        if (field.number == REQUEST_ID && field.type == FIELD_VARINT) {
            envelope->id = field.value;
        } else if (field.number == REQUEST_SEEN_ZXID && field.type == FIELD_VARINT) {
            envelope->seen_zxid = field.value;
        } else if (field.number <= REQUEST_SEEN_ZXID) {
            return STATUS_INVALID;
        } else if (field.type == FIELD_BYTES) {
            if (envelope->body_number != 0) {
                return STATUS_INVALID;
            }
            envelope->body_number = field.number;
            envelope->body = field.bytes;
        }
    }
    return reader_finish(&reader) == STATUS_OK && envelope->id != 0 ? STATUS_OK : STATUS_INVALID;
}

/* --- A write: client.Write to record.Command --- */

enum {
    WRITE_OPERATIONS = 1,
    WRITE_TRANSACTION = 2,
    WRITE_SEQUENCE = 3,
    WRITE_CONFIRMED = 4,
    COMMAND_SEQUENCE = 3,
    COMMAND_CONFIRMED = 4,
    COMMAND_OPERATION = 10,
    COMMAND_TRANSACTION = 11,
    TRANSACTION_OPERATIONS = 1,
    TRANSACTION_BOUNDED = 2
};

struct write {
    uint64_t sequence;
    uint64_t confirmed;
    bool transaction;
    size_t operation_count;
    size_t operations_bytes; /* each with its key and length */
};

static bool is_operation(const struct field *field)
{
    return field->number == WRITE_OPERATIONS && field->type == FIELD_BYTES;
}

static enum status read_write(struct bytes body, struct write *write)
{
    struct reader reader = reader_of(body);
    struct field field = {.number = 0};

    while (field_read(&reader, &field)) {
        if (is_operation(&field)) {
            write->operation_count++;
            write->operations_bytes +=
                field_message_bytes(TRANSACTION_OPERATIONS, field.bytes.size);
        } else if (field.number == WRITE_OPERATIONS ||
                   (field.number <= WRITE_CONFIRMED && field.type != FIELD_VARINT)) {
            return STATUS_INVALID;
        } else if (field.number == WRITE_TRANSACTION) {
            write->transaction = field.value != 0;
        } else if (field.number == WRITE_SEQUENCE) {
            write->sequence = field.value;
        } else if (field.number == WRITE_CONFIRMED) {
            write->confirmed = field.value;
        }
    }
    return reader_finish(&reader);
}

/* The only copy that is made of a value on its way into the log's entry. */
static struct bytes make_command(struct arena *arena, struct bytes body, const struct write *write)
{
    bool transaction = write->transaction || write->operation_count > 1;
    uint8_t *start = arena_alloc(arena, write->operations_bytes + 5 * (1 + FIELD_VARINT_BYTES_MAX));
    uint8_t *to = start;
    struct reader reader = reader_of(body);
    struct field field = {.number = 0};

    to = field_put_number(to, COMMAND_SEQUENCE, write->sequence);
    to = field_put_number(to, COMMAND_CONFIRMED, write->confirmed);
    if (transaction) {
        to = field_put_message_head(to, COMMAND_TRANSACTION,
                                    write->operations_bytes +
                                        field_number_bytes(TRANSACTION_BOUNDED, true));
    }
    while (field_read(&reader, &field)) {
        if (is_operation(&field)) {
            to = field_put_message(to, transaction ? TRANSACTION_OPERATIONS : COMMAND_OPERATION,
                                   field.bytes);
        }
    }
    if (transaction) {
        to = field_put_number(to, TRANSACTION_BOUNDED, true);
    }
    return bytes_of(start, (size_t)(to - start));
}

static enum status decode_write(const struct envelope *envelope,
                                struct request **ret_request,
                                struct native_refusal *ret_refusal)
{
    struct write write = {.sequence = 0};
    struct request *request;

    if (read_write(envelope->body, &write) != STATUS_OK) {
        return STATUS_INVALID;
    }
    if (write.operation_count == 0) {
        *ret_refusal = (struct native_refusal){.id = envelope->id,
                                               .code = CLIENT__CODE__BAD_ARGUMENTS,
                                               .message = "a write needs an operation"};
        return STATUS_UNAVAILABLE;
    }
    if (write.operations_bytes > STATE_TRANSACTION_BYTES_MAX ||
        write.operation_count > REQUEST_OPERATIONS_MAX) {
        *ret_refusal = (struct native_refusal){
            .id = envelope->id,
            .code = CLIENT__CODE__LIMIT,
            .message = "the write is larger than a transaction may be; split it"};
        return STATUS_UNAVAILABLE;
    }
    request = request_new(REQUEST_WRITE);
    request->write.command = make_command(&request->arena, envelope->body, &write);
    *ret_request = request;
    return STATUS_OK;
}

/* --- A Get, which is asked most: read field by field --- */

enum {
    GET_PATH = 1 << 3 | FIELD_BYTES,
    GET_LEVEL = 2 << 3 | FIELD_VARINT,
    GET_WITH_ACL = 3 << 3 | FIELD_VARINT,
    GET_STAT_ONLY = 4 << 3 | FIELD_VARINT,
    GET_NUMBER_MAX = 4
};

struct get {
    struct bytes path;
    bool linearizable;
    bool with_acl;
    bool stat_only;
};

/* The fields of later versions are passed over. */
static enum status read_get(struct bytes body, struct get *get)
{
    struct reader reader = reader_of(body);
    struct field field = {.number = 0};

    while (field_read(&reader, &field)) {
        switch (field_key(field.number, field.type)) {
        case GET_PATH:
            get->path = field.bytes;
            break;
        case GET_LEVEL:
            get->linearizable = (uint32_t)field.value == CLIENT__READ_LEVEL__LINEARIZABLE;
            break;
        case GET_WITH_ACL:
            get->with_acl = field.value != 0;
            break;
        case GET_STAT_ONLY:
            get->stat_only = field.value != 0;
            break;
        default:
            if (field.number <= GET_NUMBER_MAX) {
                return STATUS_INVALID;
            }
        }
    }
    return reader_finish(&reader);
}

static bool fill_get(struct request *request, ProtobufCAllocator *allocator, struct bytes body)
{
    struct get get = {.path = BYTES_EMPTY};

    (void)allocator;
    if (read_get(body, &get) != STATUS_OK) {
        return false;
    }
    request->path = arena_copy(&request->arena, get.path);
    request->linearizable = get.linearizable;
    request->notes =
        (get.with_acl ? NATIVE_NOTE_ACL : 0U) | (get.stat_only ? NATIVE_NOTE_STAT_ONLY : 0U);
    return true;
}

/* --- The others: unpacked by protobuf-c into the request's arena --- */

static struct bytes bytes_from(ProtobufCBinaryData data)
{
    return bytes_of(data.data, data.len);
}

static bool fill_list(struct request *request, ProtobufCAllocator *allocator, struct bytes body)
{
    const Client__List *list = client__list__unpack(allocator, body.size, body.data);

    if (list == NULL) {
        return false;
    }
    request->path = bytes_from(list->path);
    request->linearizable = list->level == CLIENT__READ_LEVEL__LINEARIZABLE;
    request->page.after = bytes_from(list->after);
    request->page.count_max = list->count_max < LIST_COUNT_MAX ? list->count_max : LIST_COUNT_MAX;
    request->page.with_nodes = list->with_stats || list->with_values;
    request->notes =
        (list->with_stats ? NATIVE_NOTE_STATS : 0U) | (list->with_values ? NATIVE_NOTE_VALUES : 0U);
    return true;
}

static bool
fill_read_tree(struct request *request, ProtobufCAllocator *allocator, struct bytes body)
{
    const Client__ReadTree *tree = client__read_tree__unpack(allocator, body.size, body.data);

    if (tree == NULL) {
        return false;
    }
    request->path = bytes_from(tree->path);
    request->linearizable = tree->level == CLIENT__READ_LEVEL__LINEARIZABLE;
    request->page.after = bytes_from(tree->after);
    request->page.count_max = tree->count_max;
    request->page.depth_max = tree->depth_max;
    request->page.with_nodes = tree->with_values;
    request->notes = tree->with_values ? NATIVE_NOTE_VALUES : 0U;
    return true;
}

static bool
fill_open_session(struct request *request, ProtobufCAllocator *allocator, struct bytes body)
{
    const Client__OpenSession *open = client__open_session__unpack(allocator, body.size, body.data);

    if (open == NULL) {
        return false;
    }
    request->session.timeout_ms = open->timeout_ms;
    return true;
}

static bool
fill_attach_session(struct request *request, ProtobufCAllocator *allocator, struct bytes body)
{
    const Client__AttachSession *attach =
        client__attach_session__unpack(allocator, body.size, body.data);

    if (attach == NULL) {
        return false;
    }
    request->session.session = attach->session;
    request->session.password = bytes_from(attach->password);
    request->session.timeout_ms = attach->timeout_ms;
    return true;
}

static bool fill_watch(struct request *request, ProtobufCAllocator *allocator, struct bytes body)
{
    const Client__Watch *watch = client__watch__unpack(allocator, body.size, body.data);

    if (watch == NULL) {
        return false;
    }
    request->path = bytes_from(watch->path);
    request->watch.watch = watch->watch;
    request->watch.recursive = watch->recursive;
    request->watch.with_values = watch->with_values;
    request->watch.from = watch->from_zxid;
    return true;
}

static bool fill_unwatch(struct request *request, ProtobufCAllocator *allocator, struct bytes body)
{
    const Client__Unwatch *unwatch = client__unwatch__unpack(allocator, body.size, body.data);

    if (unwatch == NULL) {
        return false;
    }
    request->watch.watch = unwatch->watch;
    return true;
}

/* Requests without anything in them. What a later version puts there is ignored. */
static bool fill_nothing(struct request *request, ProtobufCAllocator *allocator, struct bytes body)
{
    (void)request;
    (void)allocator;
    (void)body;
    return true;
}

static enum status decode_authenticate(const struct envelope *envelope,
                                       struct identities *identities,
                                       struct request **ret_request,
                                       struct native_refusal *ret_refusal)
{
    Client__Authenticate *authenticate =
        client__authenticate__unpack(NULL, envelope->body.size, envelope->body.data);
    enum status status;

    if (authenticate == NULL) {
        return STATUS_INVALID;
    }
    status = identities_add(identities, bytes_of_text(authenticate->scheme),
                            bytes_from(authenticate->credentials));
    client__authenticate__free_unpacked(authenticate, NULL);
    if (status != STATUS_OK) {
        *ret_refusal = (struct native_refusal){
            .id = envelope->id,
            .code = CLIENT__CODE__AUTH_FAILED,
            .message = status == STATUS_LIMIT
                           ? "too many identities for one connection, or too long a user name"
                           : "no such scheme, or no credentials: 'digest' takes USER:PASSWORD"};
        return STATUS_UNAVAILABLE;
    }
    *ret_request = request_new(REQUEST_PING);
    (*ret_request)->notes = NATIVE_NOTE_IDENTITY;
    return STATUS_OK;
}

struct body_kind {
    uint32_t number;
    enum request_kind kind;
    bool (*fill)(struct request *request, ProtobufCAllocator *allocator, struct bytes body);
};

/* The numbers are those of client.Request; membership requests are carried as they came. */
static const struct body_kind body_kinds[] = {
    {CLIENT__REQUEST__BODY_OPEN_SESSION, REQUEST_OPEN_SESSION, fill_open_session},
    {CLIENT__REQUEST__BODY_ATTACH_SESSION, REQUEST_ATTACH_SESSION, fill_attach_session},
    {CLIENT__REQUEST__BODY_CLOSE_SESSION, REQUEST_CLOSE_SESSION, fill_nothing},
    {CLIENT__REQUEST__BODY_PING, REQUEST_PING, fill_nothing},
    {CLIENT__REQUEST__BODY_GET, REQUEST_GET, fill_get},
    {CLIENT__REQUEST__BODY_LIST, REQUEST_LIST, fill_list},
    {CLIENT__REQUEST__BODY_READ_TREE, REQUEST_READ_TREE, fill_read_tree},
    {CLIENT__REQUEST__BODY_WATCH, REQUEST_WATCH, fill_watch},
    {CLIENT__REQUEST__BODY_UNWATCH, REQUEST_UNWATCH, fill_unwatch},
    {CLIENT__REQUEST__BODY_INIT, REQUEST_MEMBERSHIP, NULL},
    {CLIENT__REQUEST__BODY_ADD_LEARNER, REQUEST_MEMBERSHIP, NULL},
    {CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP, REQUEST_MEMBERSHIP, NULL},
    {CLIENT__REQUEST__BODY_REMOVE_MEMBER, REQUEST_MEMBERSHIP, NULL},
    {CLIENT__REQUEST__BODY_TRANSFER_LEADER, REQUEST_MEMBERSHIP, NULL},
    {CLIENT__REQUEST__BODY_CANCEL_CHANGE, REQUEST_MEMBERSHIP, NULL},
    {CLIENT__REQUEST__BODY_STATUS, REQUEST_STATUS, fill_nothing}};

static const struct body_kind *find_kind(uint32_t number)
{
    for (size_t i = 0; i < sizeof body_kinds / sizeof body_kinds[0]; i++) {
        if (body_kinds[i].number == number) {
            return &body_kinds[i];
        }
    }
    return NULL;
}

static enum status decode_body(const struct body_kind *kind,
                               struct bytes frame,
                               struct bytes body,
                               struct request **ret_request)
{
    struct request *request = request_new(kind->kind);
    ProtobufCAllocator allocator = arena_allocator(&request->arena);

    if (kind->fill == NULL) {
        request->membership.encoded = arena_copy(&request->arena, frame);
    } else if (!kind->fill(request, &allocator, body)) {
        request_free(request);
        return STATUS_INVALID;
    }
    *ret_request = request;
    return STATUS_OK;
}

/* All but writes. */
static enum status decode_small(const struct envelope *envelope,
                                struct bytes frame,
                                struct identities *identities,
                                struct request **ret_request,
                                struct native_refusal *ret_refusal)
{
    const struct body_kind *kind = find_kind(envelope->body_number);
    bool is_authenticate = envelope->body_number == CLIENT__REQUEST__BODY_AUTHENTICATE;

    if (kind == NULL && !is_authenticate) {
        *ret_refusal = (struct native_refusal){
            .id = envelope->id,
            .code = CLIENT__CODE__UNSUPPORTED,
            .message = "this server does not know this request; it may be older than the client"};
        return STATUS_UNAVAILABLE;
    }
    if (frame.size > NATIVE_BODY_BYTES_MAX) {
        *ret_refusal =
            (struct native_refusal){.id = envelope->id,
                                    .code = CLIENT__CODE__LIMIT,
                                    .message = "a request other than a write has at most 64 KiB"};
        return STATUS_UNAVAILABLE;
    }
    return is_authenticate ? decode_authenticate(envelope, identities, ret_request, ret_refusal)
                           : decode_body(kind, frame, envelope->body, ret_request);
}

enum status native_decode(struct bytes frame,
                          struct identities *identities,
                          struct request **ret_request,
                          struct native_refusal *ret_refusal)
{
    struct envelope envelope = {.id = 0};
    enum status status;

    if (read_envelope(frame, &envelope) != STATUS_OK) {
        return STATUS_INVALID;
    }
    status = envelope.body_number == CLIENT__REQUEST__BODY_WRITE
                 ? decode_write(&envelope, ret_request, ret_refusal)
                 : decode_small(&envelope, frame, identities, ret_request, ret_refusal);
    if (status == STATUS_OK) {
        (*ret_request)->id = envelope.id;
        (*ret_request)->seen_zxid = envelope.seen_zxid;
    }
    return status;
}
