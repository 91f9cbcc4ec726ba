#include "proto/message_scan.h"

enum { DEPTH_MAX = 8, FIELDS_MAX = 64, WIRE_VARINT = 0, WIRE_BYTES = 2 };

/* A message being looked over. */
struct level {
    const ProtobufCMessageDescriptor *descriptor;
    struct bytes rest;
    uint64_t seen; /* one bit for each field of the descriptor */
};

/* As lenient as protobuf-c, and less strict than field_read: every version has to read alike what a
 * log holds. */
static enum status take_varint(struct bytes *rest, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (size_t i = 0; i < rest->size && i < 10; i++) {
        value |= (uint64_t)(rest->data[i] & 0x7f) << (7 * i);
        if ((rest->data[i] & 0x80) == 0) {
            *rest = bytes_of(rest->data + i + 1, rest->size - i - 1);
            *ret_value = value;
            return STATUS_OK;
        }
    }
    return STATUS_INVALID;
}

static enum status take_bytes(struct bytes *rest, struct bytes *ret_bytes)
{
    uint64_t size;

    if (take_varint(rest, &size) != STATUS_OK || size > rest->size) {
        return STATUS_INVALID;
    }
    *ret_bytes = bytes_of(rest->data, (size_t)size);
    *rest = bytes_of(rest->data + size, rest->size - (size_t)size);
    return STATUS_OK;
}

static unsigned wire_type_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_BYTES;
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return 5;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 1;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_ENUM:
    default:
        return WIRE_VARINT;
    }
}

/* Fields of one oneof share the place of their discriminator. */
static bool excludes(const ProtobufCFieldDescriptor *left, const ProtobufCFieldDescriptor *right)
{
    return left == right || ((left->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
                             (right->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
                             left->quantifier_offset == right->quantifier_offset);
}

static bool mark_seen(struct level *level, const ProtobufCFieldDescriptor *field)
{
    const ProtobufCFieldDescriptor *fields = level->descriptor->fields;

    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return true;
    }
    for (unsigned i = 0; i < level->descriptor->n_fields; i++) {
        if ((level->seen >> i & 1) != 0 && excludes(&fields[i], field)) {
            return false;
        }
    }
    level->seen |= UINT64_C(1) << (field - fields);
    return true;
}

/* One field. *ret_inner is the message in it, or has no descriptor. */
static enum status take_field(struct level *level, struct level *ret_inner)
{
    const ProtobufCFieldDescriptor *field;
    struct bytes inner = BYTES_EMPTY;
    uint64_t tag;
    uint64_t value;

    ret_inner->descriptor = NULL;
    if (take_varint(&level->rest, &tag) != STATUS_OK || tag > UINT32_MAX) {
        return STATUS_INVALID;
    }
    field = protobuf_c_message_descriptor_get_field(level->descriptor, (unsigned)(tag >> 3));
    if (field == NULL || wire_type_of(field) != (tag & 7) || !mark_seen(level, field)) {
        return STATUS_INVALID;
    }
    if ((tag & 7) == WIRE_VARINT) {
        return take_varint(&level->rest, &value);
    }
    if ((tag & 7) != WIRE_BYTES || take_bytes(&level->rest, &inner) != STATUS_OK) {
        return STATUS_INVALID;
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        *ret_inner = (struct level){.descriptor = field->descriptor, .rest = inner};
    }
    return STATUS_OK;
}

enum status message_scan(const ProtobufCMessageDescriptor *descriptor,
                         struct bytes message,
                         size_t message_count_max)
{
    struct level levels[DEPTH_MAX];
    size_t depth = 1;
    size_t message_count = 0;

    levels[0] = (struct level){.descriptor = descriptor, .rest = message};
    while (depth > 0) {
        struct level inner;

        if (levels[depth - 1].rest.size == 0) {
            depth--;
            continue;
        }
        if (levels[depth - 1].descriptor->n_fields > FIELDS_MAX ||
            take_field(&levels[depth - 1], &inner) != STATUS_OK) {
            return STATUS_INVALID;
        }
        if (inner.descriptor != NULL) {
            if (depth == DEPTH_MAX) {
                return STATUS_INVALID;
            }
            message_count++;
            if (message_count > message_count_max) {
                return STATUS_LIMIT;
            }
            levels[depth++] = inner;
        }
    }
    return STATUS_OK;
}
