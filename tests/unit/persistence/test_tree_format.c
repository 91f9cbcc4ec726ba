#include "base/alloc.h"
#include "persistence/tree_format.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

/* --- What a record's value looks like in LMDB --- */

static const char key_text[] = "\1nsome node";

static struct bytes key(void)
{
    return bytes_of_text(key_text);
}

static struct bytes make_value(size_t size)
{
    uint8_t *data = xmalloc(size + 1);

    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(i * 7 + i / 256);
    }
    return bytes_of(data, size);
}

/* In a block that ends where it does, for the sanitizer. */
static uint8_t *store(struct bytes value, size_t *ret_size)
{
    uint8_t *stored;

    *ret_size = tree_format_record_bytes(value.size);
    stored = xmalloc(*ret_size);
    tree_format_put_record(key(), value, stored);
    return stored;
}

static void test_values_of_every_size_come_back(void)
{
    static const size_t sizes[] = {0,
                                   1,
                                   TREE_HEAD_BYTES - 1,
                                   TREE_HEAD_BYTES,
                                   TREE_HEAD_BYTES + 1,
                                   TREE_HEAD_BYTES + SEAL_BYTES,
                                   100,
                                   TREE_HEAD_BYTES + 2 * SEAL_BYTES + 1,
                                   1 << 20};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct bytes value = make_value(sizes[i]);
        struct bytes found;
        size_t size;
        uint8_t *stored = store(value, &size);

        EXPECT(tree_format_get_record(key(), bytes_of(stored, size), SIZE_MAX, &found));
        EXPECT_BYTES(found, value);
        EXPECT(tree_format_get_record(key(), bytes_of(stored, size), 1, &found));
        EXPECT(found.size == value.size || found.size >= TREE_HEAD_BYTES);
        EXPECT_BYTES(found, bytes_of(value.data, found.size));
        EXPECT(
            !tree_format_get_record(bytes_of_text("\1nother"), bytes_of(stored, size), 1, &found));
        free(stored);
        free((void *)(uintptr_t)value.data);
    }
}

static void test_a_flipped_bit_is_found_wherever_something_is_read(void)
{
    enum { VALUE_BYTES = TREE_HEAD_BYTES + 1000 };
    struct bytes value = make_value(VALUE_BYTES);
    struct bytes found;
    size_t size;
    uint8_t *stored = store(value, &size);

    for (size_t i = 0; i < size; i++) {
        stored[i] ^= 4;
        EXPECT(!tree_format_get_record(key(), bytes_of(stored, size), SIZE_MAX, &found));
        if (i >= TREE_HEAD_BYTES && (i < VALUE_BYTES || i >= VALUE_BYTES + SEAL_BYTES)) {
            EXPECT(tree_format_get_record(key(), bytes_of(stored, size), TREE_HEAD_BYTES, &found));
            EXPECT_BYTES(found, bytes_of(value.data, TREE_HEAD_BYTES));
        } else {
            EXPECT(!tree_format_get_record(key(), bytes_of(stored, size), TREE_HEAD_BYTES, &found));
        }
        EXPECT(!tree_format_get_record(key(), bytes_of(stored, size), TREE_HEAD_BYTES + 1, &found));
        stored[i] ^= 4;
    }
    for (size_t cut = 0; cut < size; cut++) {
        EXPECT(!tree_format_get_record(key(), bytes_of(stored, cut), SIZE_MAX, &found));
    }
    free(stored);
    free((void *)(uintptr_t)value.data);
}

static void test_a_long_value_of_format_1_is_read(void)
{
    enum { VALUE_BYTES = 3 * TREE_HEAD_BYTES };
    struct bytes value = make_value(VALUE_BYTES);
    uint8_t *stored = xmalloc(VALUE_BYTES + SEAL_BYTES);
    struct bytes found;

    memcpy(stored, value.data, VALUE_BYTES);
    seal_put(key(), stored, VALUE_BYTES);
    for (size_t wanted = 0; wanted <= VALUE_BYTES; wanted += TREE_HEAD_BYTES) {
        EXPECT(tree_format_get_record(key(), bytes_of(stored, VALUE_BYTES + SEAL_BYTES), wanted,
                                      &found));
        EXPECT_BYTES(found, value);
    }
    stored[VALUE_BYTES - 1] ^= 1;
    EXPECT(!tree_format_get_record(key(), bytes_of(stored, VALUE_BYTES + SEAL_BYTES), 0, &found));
    free(stored);
    free((void *)(uintptr_t)value.data);
}

static void test_the_meta_record_of_format_1_is_read(void)
{
    const struct tree_meta meta = {.applied_index = 7, .config = bytes_of_text("config")};
    struct buffer buffer = BUFFER_INIT;
    struct tree_meta found;
    uint32_t format;

    tree_format_put_meta(&meta, &buffer);
    bytes_store_u32(buffer.data + 8, 1);
    seal_put(tree_format_meta_key(), buffer.data, buffer.size - SEAL_BYTES);
    EXPECT_OK(tree_format_get_meta(buffer_lend(&buffer), &found, &format));
    EXPECT_EQ(format, 1);
    EXPECT_EQ(found.applied_index, 7);
    bytes_store_u32(buffer.data + 8, 0);
    seal_put(tree_format_meta_key(), buffer.data, buffer.size - SEAL_BYTES);
    EXPECT_EQ(tree_format_get_meta(buffer_lend(&buffer), &found, &format), STATUS_FORMAT);
    buffer_release(&buffer);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_values_of_every_size_come_back),
        TEST_CASE(test_a_flipped_bit_is_found_wherever_something_is_read),
        TEST_CASE(test_a_long_value_of_format_1_is_read),
        TEST_CASE(test_the_meta_record_of_format_1_is_read),
        TEST_END,
    };

    return test_main("tree_format", cases, argc, argv);
}
