/* The head of a connection and of frames: the first bytes choose the protocol, then frames are cut
 * from the stream, whose bodies a peer's checksum must guard. */
#include "base/check.h"
#include "proto/frame.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A prefix of a stream never promises one protocol and the whole another. */
static void check_detection(struct bytes stream)
{
    enum frame_protocol whole = frame_detect(stream);

    for (size_t size = 0; size <= FRAME_PREFACE_BYTES && size <= stream.size; size++) {
        enum frame_protocol start = frame_detect(bytes_of(stream.data, size));
        CHECK(start == FRAME_PROTOCOL_UNDECIDED || start == whole);
    }
}

static void cut_client_frames(struct reader reader)
{
    struct bytes head;
    struct bytes body;

    while (reader_lend(&reader, FRAME_CLIENT_HEAD_BYTES, &head) == STATUS_OK) {
        uint8_t back[FRAME_CLIENT_HEAD_BYTES];
        uint32_t body_bytes;

        if (frame_client_head(head.data, &body_bytes) != STATUS_OK ||
            reader_lend(&reader, body_bytes, &body) != STATUS_OK) {
            return;
        }
        frame_client_put_head(back, body_bytes);
        CHECK(memcmp(back, head.data, sizeof back) == 0);
    }
}

static void cut_peer_frames(struct reader reader)
{
    struct bytes head;
    struct bytes body;

    while (reader_lend(&reader, FRAME_PEER_HEAD_BYTES, &head) == STATUS_OK) {
        uint8_t back[FRAME_PEER_HEAD_BYTES];
        uint32_t body_bytes;
        uint64_t seal;

        if (frame_peer_head(head.data, &body_bytes, &seal) != STATUS_OK ||
            reader_lend(&reader, body_bytes, &body) != STATUS_OK) {
            return;
        }
        frame_peer_put_head(back, body.size, seal);
        CHECK(memcmp(back, head.data, sizeof back) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader reader = reader_of(bytes_of(data, size));
    struct bytes preface;

    check_detection(bytes_of(data, size));
    if (reader_lend(&reader, FRAME_PREFACE_BYTES, &preface) == STATUS_OK) {
        cut_client_frames(reader);
        cut_peer_frames(reader);
    }
    return 0;
}
