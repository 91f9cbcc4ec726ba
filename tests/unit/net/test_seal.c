#include "server/net/seal.h"

#include "base/checksum.h"
#include "tests/support/test.h"

#include <string.h>

static const uint8_t key[SEAL_KEY_BYTES] = {1, 2, 3};
static const uint8_t other_key[SEAL_KEY_BYTES] = {1, 2, 4};

static void test_frames_that_come_as_they_were_sent_are_taken(void)
{
    struct seal *sent = seal_new(key);
    struct seal *came = seal_new(key);
    uint8_t body[1000];

    memset(body, 'b', sizeof body);
    for (size_t size = 1; size <= sizeof body; size++) {
        struct bytes frame = bytes_of(body, size);

        EXPECT(seal_holds(came, frame, seal_next(sent, frame)));
    }
    seal_free(sent);
    seal_free(came);
}

static void test_the_seal_is_the_documented_one(void)
{
    /* HMAC-SHA256 with a key of 32 bytes 0x0b over eight zero bytes and "Hi There". */
    static const uint64_t expected = UINT64_C(0x25f296556ecb3e49);
    uint8_t simple[SEAL_KEY_BYTES];
    struct seal *seal;

    memset(simple, 0x0b, sizeof simple);
    seal = seal_new(simple);
    EXPECT_EQ(seal_next(seal, bytes_of_text("Hi There")), expected);
    seal_free(seal);
}

static void test_a_changed_frame_is_found(void)
{
    uint8_t body[40] = "a message";
    struct bytes frame = bytes_of(body, sizeof body);
    struct seal *sent = seal_new(key);
    uint64_t sealed = seal_next(sent, frame);

    for (size_t bit = 0; bit < 8 * sizeof body; bit++) {
        struct seal *came = seal_new(key);

        body[bit / 8] ^= (uint8_t)(1u << bit % 8);
        EXPECT(!seal_holds(came, frame, sealed));
        body[bit / 8] ^= (uint8_t)(1u << bit % 8);
        seal_free(came);
    }
    for (size_t bit = 0; bit < 64; bit++) {
        struct seal *came = seal_new(key);

        EXPECT(!seal_holds(came, frame, sealed ^ UINT64_C(1) << bit));
        seal_free(came);
    }
    seal_free(sent);
}

static void test_a_frame_of_another_place_is_found(void)
{
    struct bytes frame = bytes_of_text("append entries");
    struct seal *sent = seal_new(key);
    struct seal *came = seal_new(key);
    uint64_t first = seal_next(sent, frame);
    uint64_t second = seal_next(sent, frame);
    struct seal *skipping = seal_new(key);

    EXPECT(first != second);
    EXPECT(seal_holds(came, frame, first));
    EXPECT(!seal_holds(came, frame, first));      /* repeated */
    EXPECT(!seal_holds(skipping, frame, second)); /* the one before was left out */
    seal_free(sent);
    seal_free(came);
    seal_free(skipping);
}

static void test_a_frame_of_who_has_no_key_is_found(void)
{
    struct bytes frame = bytes_of_text("append entries");
    struct seal *stranger = seal_new(other_key);
    struct seal *came = seal_new(key);

    EXPECT(!seal_holds(came, frame, checksum(frame)));
    seal_free(came);
    came = seal_new(key);
    EXPECT(!seal_holds(came, frame, seal_next(stranger, frame)));
    seal_free(came);
    seal_free(stranger);
}

static void test_without_a_key_damage_is_found(void)
{
    struct bytes frame = bytes_of_text("append entries");
    uint64_t sealed = seal_next(NULL, frame);

    EXPECT_EQ(sealed, checksum(frame));
    EXPECT(seal_holds(NULL, frame, sealed));
    EXPECT(seal_holds(NULL, frame, sealed));
    EXPECT(!seal_holds(NULL, bytes_of_text("append entriet"), sealed));
    EXPECT(!seal_holds(NULL, bytes_of(frame.data, frame.size - 1), sealed));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_frames_that_come_as_they_were_sent_are_taken),
        TEST_CASE(test_the_seal_is_the_documented_one),
        TEST_CASE(test_a_changed_frame_is_found),
        TEST_CASE(test_a_frame_of_another_place_is_found),
        TEST_CASE(test_a_frame_of_who_has_no_key_is_found),
        TEST_CASE(test_without_a_key_damage_is_found),
        TEST_END};
    return test_main("seal", cases, argc, argv);
}
