#include "proto/frame.h"

#include "tests/support/test.h"

#include <string.h>

static void test_a_preface_is_known_once_it_is_complete(void)
{
    for (size_t size = 0; size < FRAME_PREFACE_BYTES; size++) {
        EXPECT_EQ(frame_detect(bytes_of(frame_client_preface, size)), FRAME_PROTOCOL_UNDECIDED);
        EXPECT_EQ(frame_detect(bytes_of(frame_peer_preface, size)), FRAME_PROTOCOL_UNDECIDED);
    }
    EXPECT_EQ(frame_detect(bytes_of("CONFERC\x01", 8)), FRAME_PROTOCOL_CLIENT);
    EXPECT_EQ(frame_detect(bytes_of("CONFERP\x01", 8)), FRAME_PROTOCOL_PEER);
    EXPECT_EQ(frame_detect(bytes_of("CONFERC\x01 and more", 17)), FRAME_PROTOCOL_CLIENT);
}

static void test_a_wrong_byte_is_seen_at_once(void)
{
    for (size_t at = 0; at < FRAME_PREFACE_BYTES; at++) {
        uint8_t start[FRAME_PREFACE_BYTES];

        (void)memcpy(start, frame_client_preface, sizeof start);
        start[at] ^= 0x80;
        EXPECT_EQ(frame_detect(bytes_of(start, at + 1)), FRAME_PROTOCOL_UNKNOWN);
        EXPECT_EQ(frame_detect(bytes_of(start, sizeof start)), FRAME_PROTOCOL_UNKNOWN);
    }
    EXPECT_EQ(frame_detect(bytes_of_text("GET / HTTP/1.1\r\n")), FRAME_PROTOCOL_UNKNOWN);
    EXPECT_EQ(frame_detect(bytes_of("CONFERC\x02", 8)), FRAME_PROTOCOL_UNKNOWN);
}

static void test_a_small_length_is_zookeepers_and_keeps_its_bytes(void)
{
    EXPECT_EQ(frame_detect(bytes_of("\0", 1)), FRAME_PROTOCOL_ZOOKEEPER);
    EXPECT_EQ(frame_detect(bytes_of("\0\0\0\x2d", 4)), FRAME_PROTOCOL_ZOOKEEPER);
    EXPECT_EQ(frame_preface_bytes(FRAME_PROTOCOL_ZOOKEEPER), 0);
    EXPECT_EQ(frame_preface_bytes(FRAME_PROTOCOL_WORD), 0);
    EXPECT_EQ(frame_preface_bytes(FRAME_PROTOCOL_CLIENT), FRAME_PREFACE_BYTES);
}

static void test_four_small_letters_are_a_word(void)
{
    EXPECT_EQ(frame_detect(bytes_of_text("r")), FRAME_PROTOCOL_UNDECIDED);
    EXPECT_EQ(frame_detect(bytes_of_text("ruo")), FRAME_PROTOCOL_UNDECIDED);
    EXPECT_EQ(frame_detect(bytes_of_text("ruok")), FRAME_PROTOCOL_WORD);
    EXPECT_EQ(frame_detect(bytes_of_text("ruok\n")), FRAME_PROTOCOL_WORD);
    EXPECT_EQ(frame_detect(bytes_of_text("ruO")), FRAME_PROTOCOL_UNKNOWN);
    EXPECT_EQ(frame_detect(bytes_of_text("ru k")), FRAME_PROTOCOL_UNKNOWN);
}

static void test_a_client_head_comes_back(void)
{
    static const uint32_t sizes[] = {1, 255, 256, 65536, FRAME_CLIENT_BYTES_MAX};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t head[FRAME_CLIENT_HEAD_BYTES];
        uint32_t body_bytes = 0;

        frame_client_put_head(head, sizes[i]);
        EXPECT_OK(frame_client_head(head, &body_bytes));
        EXPECT_EQ(body_bytes, sizes[i]);
    }
}

static void test_an_impossible_client_length_is_refused(void)
{
    static const uint32_t sizes[] = {0, FRAME_CLIENT_BYTES_MAX + 1, INT32_MAX, UINT32_MAX};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t head[FRAME_CLIENT_HEAD_BYTES];
        uint32_t body_bytes = 7;

        bytes_store_u32(head, sizes[i]);
        EXPECT_EQ(frame_client_head(head, &body_bytes), STATUS_INVALID);
        EXPECT_EQ(body_bytes, 7);
    }
}

static void test_a_peer_frame_comes_back(void)
{
    uint8_t head[FRAME_PEER_HEAD_BYTES];
    struct bytes body = bytes_of_text("a message");
    uint32_t body_bytes = 0;
    uint64_t seal = 0;

    frame_peer_put_head(head, body.size, UINT64_C(0x0123456789abcdef));
    EXPECT_OK(frame_peer_head(head, &body_bytes, &seal));
    EXPECT_EQ(body_bytes, body.size);
    EXPECT_EQ(seal, UINT64_C(0x0123456789abcdef));
}

static void test_an_impossible_peer_length_is_refused(void)
{
    static const uint32_t sizes[] = {0, FRAME_PEER_BYTES_MAX + 1, UINT32_MAX};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t head[FRAME_PEER_HEAD_BYTES] = {0};
        uint32_t body_bytes = 7;
        uint64_t seal = 7;

        bytes_store_u32(head, sizes[i]);
        EXPECT_EQ(frame_peer_head(head, &body_bytes, &seal), STATUS_INVALID);
        EXPECT(body_bytes == 7 && seal == 7);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_preface_is_known_once_it_is_complete),
        TEST_CASE(test_a_wrong_byte_is_seen_at_once),
        TEST_CASE(test_a_small_length_is_zookeepers_and_keeps_its_bytes),
        TEST_CASE(test_four_small_letters_are_a_word),
        TEST_CASE(test_a_client_head_comes_back),
        TEST_CASE(test_an_impossible_client_length_is_refused),
        TEST_CASE(test_a_peer_frame_comes_back),
        TEST_CASE(test_an_impossible_peer_length_is_refused),
        TEST_END};
    return test_main("frame", cases, argc, argv);
}
