#include "proto/message_read.h"

#include "proto/field.h"

#include <string.h>

enum { DEPTH_MAX = 8, FIELDS_MAX = 64 };

/* A message being read. */
struct level {
    const ProtobufCMessageDescriptor *descriptor;
    struct reader reader;
    ProtobufCMessage *message;
    uint64_t seen;                         /* one bit for each field of the descriptor */
    const ProtobufCFieldDescriptor *field; /* the last one; the next mostly follows it */
};

struct reading {
    const ProtobufCAllocator *allocator;
    bool lent;
    size_t messages_left;
    struct level *top; /* the innermost; levels[0] is none */
    struct level levels[1 + DEPTH_MAX];
};

/* By protobuf-c's type: how it travels, and how much of a struct it is. */
static const struct {
    enum field_type wire;
    size_t bytes;
} types[] = {
    [PROTOBUF_C_TYPE_INT32] = {FIELD_VARINT, sizeof(int32_t)},
    [PROTOBUF_C_TYPE_SINT32] = {FIELD_VARINT, sizeof(int32_t)},
    [PROTOBUF_C_TYPE_SFIXED32] = {FIELD_FIXED32, sizeof(int32_t)},
    [PROTOBUF_C_TYPE_INT64] = {FIELD_VARINT, sizeof(int64_t)},
    [PROTOBUF_C_TYPE_SINT64] = {FIELD_VARINT, sizeof(int64_t)},
    [PROTOBUF_C_TYPE_SFIXED64] = {FIELD_FIXED64, sizeof(int64_t)},
    [PROTOBUF_C_TYPE_UINT32] = {FIELD_VARINT, sizeof(uint32_t)},
    [PROTOBUF_C_TYPE_FIXED32] = {FIELD_FIXED32, sizeof(uint32_t)},
    [PROTOBUF_C_TYPE_UINT64] = {FIELD_VARINT, sizeof(uint64_t)},
    [PROTOBUF_C_TYPE_FIXED64] = {FIELD_FIXED64, sizeof(uint64_t)},
    [PROTOBUF_C_TYPE_FLOAT] = {FIELD_FIXED32, sizeof(float)},
    [PROTOBUF_C_TYPE_DOUBLE] = {FIELD_FIXED64, sizeof(double)},
    [PROTOBUF_C_TYPE_BOOL] = {FIELD_VARINT, sizeof(protobuf_c_boolean)},
    [PROTOBUF_C_TYPE_ENUM] = {FIELD_VARINT, sizeof(int)},
    [PROTOBUF_C_TYPE_STRING] = {FIELD_BYTES, sizeof(char *)},
    [PROTOBUF_C_TYPE_BYTES] = {FIELD_BYTES, sizeof(ProtobufCBinaryData)},
    [PROTOBUF_C_TYPE_MESSAGE] = {FIELD_BYTES, sizeof(ProtobufCMessage *)},
};

static bool find_field(struct level *level, uint32_t number)
{
    const ProtobufCFieldDescriptor *field = level->field;
    const ProtobufCFieldDescriptor *end;

    if (level->descriptor->n_fields == 0) {
        return false;
    }
    end = level->descriptor->fields + level->descriptor->n_fields;
    while (field < end && field->id < number) {
        field++;
    }
    if (field == end || field->id != number) {
        field = protobuf_c_message_descriptor_get_field(level->descriptor, number);
        if (field == NULL) {
            return false;
        }
    }
    level->field = field;
    return true;
}

static uint8_t *member(ProtobufCMessage *message, unsigned offset)
{
    return (uint8_t *)message + offset;
}

static void *allocate(const struct reading *reading, size_t bytes)
{
    return reading->allocator->alloc(reading->allocator->allocator_data, bytes);
}

/* Room for one more of a repeated field: it doubles whenever the count is a power of two. */
static enum status extend(const struct reading *reading,
                          const struct level *level,
                          const ProtobufCFieldDescriptor *field,
                          uint8_t **ret_to)
{
    size_t *count = (size_t *)(void *)member(level->message, field->quantifier_offset);
    uint8_t **items = (uint8_t **)(void *)member(level->message, field->offset);
    size_t bytes = types[field->type].bytes;

    if ((*count & (*count - 1)) == 0) {
        uint8_t *more = allocate(reading, (*count == 0 ? 1 : 2 * *count) * bytes);

        if (more == NULL) {
            return STATUS_NO_MEMORY;
        }
        if (*count > 0) {
            memcpy(more, *items, *count * bytes);
        }
        *items = more;
    }
    *ret_to = *items + (*count)++ * bytes;
    return STATUS_OK;
}

/* Where the field's value goes. INVALID: it was there before, or another of its oneof. */
static enum status place_of(const struct reading *reading, struct level *level, uint8_t **ret_to)
{
    const ProtobufCFieldDescriptor *field = level->field;
    uint64_t bit = UINT64_C(1) << (field - level->descriptor->fields);

    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return extend(reading, level, field, ret_to);
    }
    if ((level->seen & bit) != 0) {
        return STATUS_INVALID;
    }
    level->seen |= bit;
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        uint32_t *which = (uint32_t *)(void *)member(level->message, field->quantifier_offset);

        if (*which != 0) {
            return STATUS_INVALID;
        }
        *which = field->id;
    }
    *ret_to = member(level->message, field->offset);
    return STATUS_OK;
}

static enum status begin_message(struct reading *reading,
                                 const ProtobufCMessageDescriptor *descriptor,
                                 struct bytes bytes,
                                 ProtobufCMessage **ret_message)
{
    if (reading->top == &reading->levels[DEPTH_MAX] || descriptor->n_fields > FIELDS_MAX) {
        return STATUS_INVALID;
    }
    *ret_message = allocate(reading, descriptor->sizeof_message);
    if (*ret_message == NULL) {
        return STATUS_NO_MEMORY;
    }
    descriptor->message_init(*ret_message);
    *++reading->top = (struct level){.descriptor = descriptor,
                                     .reader = {.rest = bytes},
                                     .message = *ret_message,
                                     .field = descriptor->fields};
    return STATUS_OK;
}

static enum status take_message(struct reading *reading,
                                const ProtobufCFieldDescriptor *field,
                                struct bytes bytes,
                                uint8_t *to)
{
    ProtobufCMessage *inner;
    enum status status;

    if (reading->messages_left == 0) {
        return STATUS_LIMIT;
    }
    reading->messages_left--;
    status = begin_message(reading, field->descriptor, bytes, &inner);
    if (status == STATUS_OK) {
        memcpy(to, &inner, sizeof inner);
    }
    return status;
}

static enum status take_text(const struct reading *reading, struct bytes bytes, uint8_t *to)
{
    char *text = allocate(reading, bytes.size + 1);

    if (text == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (bytes.size > 0) {
        memcpy(text, bytes.data, bytes.size);
    }
    text[bytes.size] = '\0';
    memcpy(to, &text, sizeof text);
    return STATUS_OK;
}

static enum status take_bytes(const struct reading *reading, struct bytes bytes, uint8_t *to)
{
    ProtobufCBinaryData data = {.len = bytes.size};

    if (bytes.size > 0 && reading->lent) {
        data.data = (uint8_t *)(uintptr_t)bytes.data;
    } else if (bytes.size > 0) {
        data.data = allocate(reading, bytes.size);
        if (data.data == NULL) {
            return STATUS_NO_MEMORY;
        }
        memcpy(data.data, bytes.data, bytes.size);
    }
    memcpy(to, &data, sizeof data);
    return STATUS_OK;
}

static void put_number(const ProtobufCFieldDescriptor *field, uint64_t value, uint8_t *to)
{
    uint32_t small = (uint32_t)value;

    if (types[field->type].bytes == sizeof small) {
        memcpy(to, &small, sizeof small);
    } else {
        memcpy(to, &value, sizeof value);
    }
}

static void take_varint(const ProtobufCFieldDescriptor *field, uint64_t value, uint8_t *to)
{
    if (field->type == PROTOBUF_C_TYPE_BOOL) {
        value = value != 0;
    } else if (field->type == PROTOBUF_C_TYPE_SINT32) {
        value = (uint32_t)value; /* cut first, as protobuf-c does */
        value = value >> 1 ^ (UINT64_C(0) - (value & 1));
    } else if (field->type == PROTOBUF_C_TYPE_SINT64) {
        value = value >> 1 ^ (UINT64_C(0) - (value & 1));
    }
    put_number(field, value, to);
}

/* As the wire has it, least byte first. */
static void take_fixed(const ProtobufCFieldDescriptor *field, struct bytes bytes, uint8_t *to)
{
    uint64_t value = 0;

    for (size_t i = bytes.size; i-- > 0;) {
        value = value << 8 | bytes.data[i];
    }
    put_number(field, value, to);
}

static enum status take_value(struct reading *reading,
                              const ProtobufCFieldDescriptor *field,
                              const struct field *came,
                              uint8_t *to)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        return take_message(reading, field, came->bytes, to);
    }
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        return take_text(reading, came->bytes, to);
    }
    if (field->type == PROTOBUF_C_TYPE_BYTES) {
        return take_bytes(reading, came->bytes, to);
    }
    if (came->type == FIELD_VARINT) {
        take_varint(field, came->value, to);
    } else {
        take_fixed(field, came->bytes, to);
    }
    return STATUS_OK;
}

static enum status take_field(struct reading *reading, struct level *level)
{
    struct field came;
    uint8_t *to;
    enum status status;

    if (!field_read(&level->reader, &came)) {
        return STATUS_INVALID;
    }
    if (!find_field(level, came.number) || types[level->field->type].wire != came.type) {
        return STATUS_INVALID;
    }
    status = place_of(reading, level, &to);
    return status == STATUS_OK ? take_value(reading, level->field, &came, to) : status;
}

enum status message_read(const ProtobufCMessageDescriptor *descriptor,
                         struct bytes bytes,
                         bool lent,
                         size_t message_count_max,
                         const ProtobufCAllocator *allocator,
                         ProtobufCMessage **ret_message)
{
    struct reading reading;
    ProtobufCMessage *message;
    enum status status;

    reading.allocator = allocator;
    reading.lent = lent;
    reading.messages_left = message_count_max;
    reading.top = reading.levels;
    status = begin_message(&reading, descriptor, bytes, &message);
    while (status == STATUS_OK && reading.top > reading.levels) {
        struct level *level = reading.top;

        if (level->reader.rest.size == 0) {
            reading.top--;
        } else {
            status = take_field(&reading, level);
        }
    }
    if (status == STATUS_OK) {
        *ret_message = message;
    }
    return status;
}
