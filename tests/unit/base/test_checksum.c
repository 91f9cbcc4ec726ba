#include "base/checksum.h"

#include "base/prng.h"
#include "tests/support/test.h"

enum { SIZE_MAX_TRIED = 600 };

static void fill(uint8_t *data, size_t size, uint64_t seed)
{
    struct prng prng;

    prng_init(&prng, seed);
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)prng_next(&prng);
    }
}

/* These values are on disks and on the wire. */
static void test_the_values_never_change(void)
{
    EXPECT_EQ(checksum(BYTES_EMPTY), UINT64_C(0x2d06800538d394c2));
    EXPECT_EQ(checksum(bytes_of_text("confer")), UINT64_C(0x9d050654e9c8c213));
    EXPECT_EQ(checksum_pair(bytes_of_text("key"), bytes_of_text("value")),
              UINT64_C(0x8549b406af8325a1));
}

static void test_any_flipped_bit_is_found(void)
{
    static const size_t sizes[] = {1, 3, 8, 16, 17, 128, 129, 240, 241, SIZE_MAX_TRIED};
    uint8_t data[SIZE_MAX_TRIED];

    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint64_t expected;

        fill(data, sizes[s], s);
        expected = checksum(bytes_of(data, sizes[s]));
        for (size_t bit = 0; bit < 8 * sizes[s]; bit++) {
            data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            EXPECT(checksum(bytes_of(data, sizes[s])) != expected);
            data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        EXPECT_EQ(checksum(bytes_of(data, sizes[s])), expected);
    }
}

static void test_any_flipped_bit_of_a_pair_is_found(void)
{
    uint8_t data[300];
    uint64_t expected;

    fill(data, sizeof data, 1);
    expected = checksum_pair(bytes_of(data, 20), bytes_of(data + 20, 280));
    for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        EXPECT(checksum_pair(bytes_of(data, 20), bytes_of(data + 20, 280)) != expected);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void test_the_border_of_a_pair_counts(void)
{
    uint8_t data[64];
    uint64_t sums[sizeof data + 1];

    fill(data, sizeof data, 2);
    for (size_t border = 0; border <= sizeof data; border++) {
        sums[border] =
            checksum_pair(bytes_of(data, border), bytes_of(data + border, sizeof data - border));
        for (size_t other = 0; other < border; other++) {
            EXPECT(sums[other] != sums[border]);
        }
    }
}

static void test_lengths_of_zeros_differ(void)
{
    static const uint8_t zeros[SIZE_MAX_TRIED];

    for (size_t size = 1; size <= SIZE_MAX_TRIED; size++) {
        EXPECT(checksum(bytes_of(zeros, size)) != checksum(bytes_of(zeros, size - 1)));
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {TEST_CASE(test_the_values_never_change),
                                             TEST_CASE(test_any_flipped_bit_is_found),
                                             TEST_CASE(test_any_flipped_bit_of_a_pair_is_found),
                                             TEST_CASE(test_the_border_of_a_pair_counts),
                                             TEST_CASE(test_lengths_of_zeros_differ),
                                             TEST_END};
    return test_main("checksum", cases, argc, argv);
}
