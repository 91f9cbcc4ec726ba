#include "proto/field.h"

#include "base/prng.h"
#include "proto/client.pb-c.h"
#include "tests/support/test.h"

#include <stdlib.h>

enum { ROUNDS = 20000, FIELDS_MAX = 16, TEXT_BYTES_MAX = 300 };

/* Of every length that a varint can have, alike often, 0 and all bits set among them. */
static uint64_t any_number(struct prng *prng)
{
    uint64_t bits = prng_below(prng, 65);

    return bits == 0 ? 0 : (prng_next(prng) | UINT64_C(1) << 63) >> (64 - bits);
}

static ProtobufCBinaryData binary(uint8_t *data, struct prng *prng)
{
    return (ProtobufCBinaryData){.data = data, .len = prng_below(prng, TEXT_BYTES_MAX)};
}

static struct bytes bytes_from(ProtobufCBinaryData data)
{
    return bytes_of(data.data, data.len);
}

/* --- Writing --- */

static void test_a_varint_takes_a_byte_for_each_seven_bits(void)
{
    uint8_t written[FIELD_VARINT_BYTES_MAX];

    for (unsigned bits = 0; bits <= 64; bits++) {
        uint64_t most = bits == 0 ? 0 : UINT64_MAX >> (64 - bits);
        size_t expected = bits == 0 ? 1 : (bits + 6) / 7;

        EXPECT_EQ(field_varint_bytes(most), expected);
        EXPECT_EQ((size_t)(field_put_varint(written, most) - written), expected);
    }
}

static void test_numbers_and_bytes_are_written_as_protobuf_c_writes_them(void)
{
    static uint8_t text[TEXT_BYTES_MAX];
    static uint8_t written[2 * TEXT_BYTES_MAX];
    static uint8_t expected[2 * TEXT_BYTES_MAX];
    struct prng prng;

    prng_init(&prng, 1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        Client__AttachSession attach = CLIENT__ATTACH_SESSION__INIT;
        uint8_t *to = written;
        size_t size;

        attach.session = any_number(&prng);
        attach.password = binary(text, &prng);
        attach.timeout_ms = (uint32_t)any_number(&prng);
        to = field_put_number(to, 1, attach.session);
        to = field_put_bytes(to, 2, bytes_from(attach.password));
        to = field_put_number(to, 3, attach.timeout_ms);
        size = client__attach_session__pack(&attach, expected);
        EXPECT_BYTES(bytes_of(written, (size_t)(to - written)), bytes_of(expected, size));
        EXPECT_EQ(field_number_bytes(1, attach.session) +
                      field_bytes_bytes(2, bytes_from(attach.password)) +
                      field_number_bytes(3, attach.timeout_ms),
                  size);
    }
}

static void test_signed_numbers_are_written_as_protobuf_c_writes_them(void)
{
    static const int32_t values[] = {0, 1, -1, 63, -64, 64, -65, INT32_MAX, INT32_MIN};
    uint8_t written[16];
    uint8_t expected[16];

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        Record__Check check = RECORD__CHECK__INIT;
        size_t size;

        check.version = values[i];
        size = record__check__pack(&check, expected);
        EXPECT_EQ((size_t)(field_put_number(written, 2, field_zigzag(values[i])) - written), size);
        EXPECT_BYTES(bytes_of(written, size), bytes_of(expected, size));
    }
}

/* The number of a field of Request takes two bytes from 16 on. */
static void test_a_message_stands_behind_its_number_and_size(void)
{
    static uint8_t text[TEXT_BYTES_MAX];
    uint8_t written[TEXT_BYTES_MAX + 32];
    uint8_t expected[TEXT_BYTES_MAX + 32];
    struct prng prng;

    prng_init(&prng, 2);
    for (unsigned round = 0; round < 1000; round++) {
        Client__Request request = CLIENT__REQUEST__INIT;
        Client__Get get = CLIENT__GET__INIT;
        struct bytes path;
        uint8_t *to = written;
        size_t size;

        get.path = binary(text, &prng);
        request.body_case = CLIENT__REQUEST__BODY_GET;
        request.get = &get;
        path = bytes_from(get.path);
        to = field_put_message_head(to, CLIENT__REQUEST__BODY_GET, field_bytes_bytes(1, path));
        to = field_put_bytes(to, 1, path);
        size = client__request__pack(&request, expected);
        EXPECT_BYTES(bytes_of(written, (size_t)(to - written)), bytes_of(expected, size));
        EXPECT_EQ(field_message_bytes(CLIENT__REQUEST__BODY_GET, field_bytes_bytes(1, path)), size);
    }
}

/* --- Reading --- */

static void test_what_protobuf_c_wrote_is_read_field_by_field(void)
{
    static uint8_t text[TEXT_BYTES_MAX];
    uint8_t packed[2 * TEXT_BYTES_MAX];
    struct prng prng;

    prng_init(&prng, 3);
    for (unsigned round = 0; round < ROUNDS; round++) {
        Client__Watch watch = CLIENT__WATCH__INIT;
        struct field fields[FIELDS_MAX] = {{.number = 0}};
        struct reader reader;
        struct field field = {.number = 0};

        watch.watch = any_number(&prng);
        watch.path = binary(text, &prng);
        watch.recursive = prng_below(&prng, 2) != 0;
        watch.from_zxid = any_number(&prng);
        reader = reader_of(bytes_of(packed, client__watch__pack(&watch, packed)));
        while (field_read(&reader, &field)) {
            EXPECT(field.number < FIELDS_MAX);
            fields[field.number] = field;
        }
        EXPECT_OK(reader_finish(&reader));
        EXPECT_EQ(fields[1].value, watch.watch);
        EXPECT_BYTES(fields[2].bytes, bytes_from(watch.path));
        EXPECT_EQ(fields[3].value, watch.recursive);
        EXPECT_EQ(fields[4].value, watch.from_zxid);
    }
}

static bool reads_well(struct bytes bytes, size_t count)
{
    struct reader reader = reader_of(bytes);
    struct field field;
    size_t found = 0;

    while (field_read(&reader, &field)) {
        found++;
    }
    return reader_finish(&reader) == STATUS_OK && found == count;
}

static void test_fields_of_every_type_are_passed_over(void)
{
    EXPECT(reads_well(BYTES_EMPTY, 0));
    EXPECT(reads_well(bytes_of("\x78\x01\x79"
                               "12345678\x7a\x02zz\x7d"
                               "1234",
                               20),
                      4));
    /* The largest number of a field. */
    EXPECT(reads_well(bytes_of("\xf8\xff\xff\xff\x0f\x00", 6), 1));
}

static void test_malformed_fields_are_refused(void)
{
    static const struct {
        const char *bytes;
        size_t size;
    } malformed[] = {
        {"\x08", 1},                                              /* no value */
        {"\x08\x80", 2},                                          /* half a value */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, /* an endless varint */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11},     /* above 64 bits */
        {"\x00\x01", 2},                                          /* field number 0 */
        {"\x80\x80\x80\x80\x10\x01", 6},                          /* field number 2^29 */
        {"\x0a\x02z", 3},                                         /* fewer bytes than promised */
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01z", 12},    /* 2^64-1 bytes */
        {"\x09"
         "1234567",
         8}, /* seven of eight bytes */
        {"\x0d"
         "123",
         4},             /* three of four */
        {"\x0b", 1},     /* a group */
        {"\x0e\x01", 2}, /* no type */
    };

    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        struct reader reader = reader_of(bytes_of(malformed[i].bytes, malformed[i].size));
        struct field field;

        EXPECT(!field_read(&reader, &field));
        EXPECT(reader.failed);
        EXPECT(!field_read(&reader, &field));
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_varint_takes_a_byte_for_each_seven_bits),
        TEST_CASE(test_numbers_and_bytes_are_written_as_protobuf_c_writes_them),
        TEST_CASE(test_signed_numbers_are_written_as_protobuf_c_writes_them),
        TEST_CASE(test_a_message_stands_behind_its_number_and_size),
        TEST_CASE(test_what_protobuf_c_wrote_is_read_field_by_field),
        TEST_CASE(test_fields_of_every_type_are_passed_over),
        TEST_CASE(test_malformed_fields_are_refused),
        TEST_END};

    return test_main("field", cases, argc, argv);
}
