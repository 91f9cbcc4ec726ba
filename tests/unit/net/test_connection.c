#include "base/checksum.h"
#include "server/net/connection_internal.h"
#include "tests/unit/net/connection_lab.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

static void put_peer_frame(struct buffer *stream, struct bytes body)
{
    frame_peer_put_head(buffer_extend(stream, FRAME_PEER_HEAD_BYTES), body.size, checksum(body));
    buffer_put(stream, body);
}

/* Preface and `count` frames with bodies of 1, 2, 3 ... bytes; the bodies also to `bodies`. */
static void make_stream(struct buffer *stream, struct buffer *bodies, size_t count)
{
    buffer_put(stream, bytes_of(frame_client_preface, FRAME_PREFACE_BYTES));
    for (size_t i = 1; i <= count; i++) {
        put_client_frame(stream, i, (uint8_t)i);
        memset(buffer_extend(bodies, i), (uint8_t)i, i);
    }
}

/* --- Cutting --- */

static void test_a_stream_gives_the_same_frames_however_it_is_cut(void)
{
    static const size_t pieces[] = {1, 2, 7, 100, 1000000};

    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct seen seen;
        struct buffer stream = BUFFER_INIT;
        struct buffer bodies = BUFFER_INIT;

        seen_init(&seen, NULL);
        make_stream(&stream, &bodies, 40);
        for (size_t at = 0; at < stream.size; at += pieces[i]) {
            size_t left = stream.size - at;

            lab_write(&seen.lab, seen.far,
                      bytes_of(stream.data + at, left < pieces[i] ? left : pieces[i]));
        }
        LAB_UNTIL(&seen.lab, seen.frames >= 40);
        EXPECT_EQ(seen.prefaces, 1);
        EXPECT_EQ(seen.protocol, FRAME_PROTOCOL_CLIENT);
        EXPECT_EQ(seen.frames, 40);
        EXPECT_BYTES(buffer_lend(&seen.bodies), buffer_lend(&bodies));
        seen_release(&seen);
        buffer_release(&stream);
        buffer_release(&bodies);
    }
}

static void test_large_frames_arrive_whole(void)
{
    struct seen seen;
    struct buffer stream = BUFFER_INIT;

    seen_init(&seen, NULL);
    buffer_put(&stream, bytes_of(frame_client_preface, FRAME_PREFACE_BYTES));
    put_client_frame(&stream, FRAME_CLIENT_BYTES_MAX, 7);
    put_client_frame(&stream, 3, 8);
    put_client_frame(&stream, 1000 * 1000, 9);
    lab_write(&seen.lab, seen.far, buffer_lend(&stream));
    LAB_UNTIL(&seen.lab, seen.frames == 3);
    EXPECT_EQ(seen.bodies.size, FRAME_CLIENT_BYTES_MAX + 3 + 1000 * 1000);
    for (size_t i = 0; i < seen.bodies.size; i++) {
        size_t behind_first = i < FRAME_CLIENT_BYTES_MAX ? 0 : i - FRAME_CLIENT_BYTES_MAX + 1;
        uint8_t expected = behind_first == 0 ? 7 : behind_first <= 3 ? 8 : 9;

        if (seen.bodies.data[i] != expected) {
            EXPECT_EQ(seen.bodies.data[i], expected);
        }
    }
    seen_release(&seen);
    buffer_release(&stream);
}

static void test_peer_frames_are_cut_and_verified(void)
{
    struct seen seen;
    struct buffer stream = BUFFER_INIT;

    seen_init(&seen, NULL);
    buffer_put(&stream, bytes_of(frame_peer_preface, FRAME_PREFACE_BYTES));
    put_peer_frame(&stream, bytes_of_text("first"));
    put_peer_frame(&stream, bytes_of_text("second"));
    lab_write(&seen.lab, seen.far, buffer_lend(&stream));
    LAB_UNTIL(&seen.lab, seen.frames == 2);
    EXPECT_EQ(seen.protocol, FRAME_PROTOCOL_PEER);
    EXPECT_BYTES(buffer_lend(&seen.bodies), bytes_of_text("firstsecond"));
    seen_release(&seen);
    buffer_release(&stream);
}

static void test_a_flipped_bit_closes_a_peer_connection(void)
{
    struct seen seen;
    struct buffer stream = BUFFER_INIT;

    seen_init(&seen, NULL);
    buffer_put(&stream, bytes_of(frame_peer_preface, FRAME_PREFACE_BYTES));
    put_peer_frame(&stream, bytes_of_text("first"));
    put_peer_frame(&stream, bytes_of_text("second"));
    stream.data[stream.size - 1] ^= 1;
    lab_write(&seen.lab, seen.far, buffer_lend(&stream));
    expect_closed(&seen, "its seal is wrong");
    EXPECT_EQ(seen.frames, 1);
    seen_release(&seen);
    buffer_release(&stream);
}

static void expect_length_refused(uint32_t length)
{
    struct seen seen;
    struct buffer stream = BUFFER_INIT;

    seen_init(&seen, NULL);
    buffer_put(&stream, bytes_of(frame_client_preface, FRAME_PREFACE_BYTES));
    buffer_put_u32(&stream, length);
    lab_write(&seen.lab, seen.far, buffer_lend(&stream));
    expect_closed(&seen, "length");
    EXPECT_EQ(seen.frames, 0);
    seen_release(&seen);
    buffer_release(&stream);
}

static void test_zero_negative_and_huge_lengths_close_at_once(void)
{
    expect_length_refused(0);
    expect_length_refused(UINT32_MAX);
    expect_length_refused((uint32_t)INT32_MIN);
    expect_length_refused(INT32_MAX);
    expect_length_refused(FRAME_CLIENT_BYTES_MAX + 1);
}

static void test_a_length_alone_takes_no_memory(void)
{
    struct seen seen;
    struct buffer stream = BUFFER_INIT;
    size_t before;

    seen_init(&seen, NULL);
    buffer_put(&stream, bytes_of(frame_client_preface, FRAME_PREFACE_BYTES));
    buffer_put_u32(&stream, FRAME_CLIENT_BYTES_MAX);
    buffer_put_u8(&stream, 1);
    before = mallinfo2().uordblks + mallinfo2().hblkhd;
    lab_write(&seen.lab, seen.far, buffer_lend(&stream));
    /* The second byte of the body makes it read into the frame's own memory. */
    lab_write(&seen.lab, seen.far, bytes_of_text("x"));
    LAB_UNTIL(&seen.lab, seen.prefaces == 1);
    EXPECT(mallinfo2().uordblks + mallinfo2().hblkhd < before + 512 * 1024);
    seen_release(&seen);
    buffer_release(&stream);
}

static void test_unknown_first_bytes_close(void)
{
    struct seen seen;

    seen_init(&seen, NULL);
    lab_write(&seen.lab, seen.far, bytes_of_text("CONFERX"));
    expect_closed(&seen, "no known protocol");
    EXPECT_EQ(seen.prefaces, 0);
    seen_release(&seen);
}

/* --- Deadlines --- */

static struct connection_limits hasty(void)
{
    struct connection_limits limits = connection_limits_default();

    limits.handshake_ms = 30000;
    limits.drain_ms = 30000;
    return limits;
}

static void test_who_says_nothing_is_closed_in_time(void)
{
    struct connection_limits limits = hasty();
    struct seen seen;

    limits.handshake_ms = 40;
    seen_init(&seen, &limits);
    lab_write(&seen.lab, seen.far, bytes_of_text("CONF"));
    expect_closed(&seen, "in time who it is");
    seen_release(&seen);
}

static void test_a_frame_that_stops_coming_is_not_waited_for(void)
{
    struct connection_limits limits = hasty();
    struct seen seen;
    struct buffer stream = BUFFER_INIT;

    limits.frame_ms = 40;
    seen_init(&seen, &limits);
    make_stream(&stream, &seen.bodies, 10);
    lab_write(&seen.lab, seen.far, bytes_of(stream.data, stream.size - 1));
    expect_closed(&seen, "too slowly");
    EXPECT_EQ(seen.frames, 9);
    seen_release(&seen);
    buffer_release(&stream);
}

static void test_an_idle_open_connection_stays(void)
{
    struct connection_limits limits = hasty();
    struct seen seen;
    struct buffer stream = BUFFER_INIT;
    uint64_t until_us;

    limits.frame_ms = 20;
    limits.handshake_ms = 20;
    limits.stall_ms = 20;
    seen_init(&seen, &limits);
    make_stream(&stream, &seen.bodies, 3);
    lab_write(&seen.lab, seen.far, buffer_lend(&stream));
    LAB_UNTIL(&seen.lab, seen.frames == 3);
    until_us = clock_monotonic_us() + 100 * 1000;
    LAB_UNTIL(&seen.lab, clock_monotonic_us() > until_us);
    EXPECT_EQ(seen.closed, 0);
    seen_release(&seen);
    buffer_release(&stream);
}

/* --- Rest --- */

static bool is_at_rest(const struct connection *connection)
{
    return connection->input.data == NULL && !heap_contains(&connection->deadline) &&
           connection->write_event == NULL;
}

static void test_input_is_kept_while_half_a_frame_is_there_and_no_longer(void)
{
    struct seen seen;
    struct buffer stream = BUFFER_INIT;
    struct buffer bodies = BUFFER_INIT;

    seen_init(&seen, NULL);
    open_it(&seen);
    for (uint8_t i = 1; i <= 3; i++) {
        size_t whole = stream.size;

        put_client_frame(&stream, 700, i);
        memset(buffer_extend(&bodies, 700), i, 700);
        lab_write(&seen.lab, seen.far, bytes_of(stream.data + whole, 2)); /* of the length */
        LAB_UNTIL(&seen.lab, seen.lab.loop.input.bytes > 0);
        EXPECT_EQ(seen.connection->input.size, 2);
        lab_write(&seen.lab, seen.far, bytes_of(stream.data + whole + 2, 500));
        LAB_UNTIL(&seen.lab, seen.connection->input.size == 502);
        EXPECT_EQ(seen.frames, i - 1);
        lab_write(&seen.lab, seen.far,
                  bytes_of(stream.data + whole + 502, stream.size - whole - 502));
        LAB_UNTIL(&seen.lab, seen.frames == i);
        EXPECT_EQ(seen.lab.loop.input.bytes, 0);
        EXPECT(seen.connection->input.data == NULL);
    }
    EXPECT_BYTES(buffer_lend(&seen.bodies), buffer_lend(&bodies));
    seen_release(&seen);
    buffer_release(&stream);
    buffer_release(&bodies);
}

static void test_a_frame_under_way_takes_no_more_memory_than_it_is_long(void)
{
    struct seen seen;
    struct buffer frame = BUFFER_INIT;

    seen_init(&seen, NULL);
    open_it(&seen);
    put_client_frame(&frame, FRAME_CLIENT_BYTES_MAX, 7);
    lab_write(&seen.lab, seen.far, bytes_of(frame.data, frame.size - 1));
    LAB_UNTIL(&seen.lab, seen.connection->input.size == frame.size - 1);
    EXPECT_EQ(seen.lab.loop.input.bytes, frame.size);
    seen_release(&seen);
    buffer_release(&frame);
}

static void test_a_connection_is_among_the_deadlines_while_it_has_one(void)
{
    struct connection_limits limits = hasty();
    struct seen seen;

    limits.handshake_ms = 100;
    limits.frame_ms = 20;
    seen_init(&seen, &limits);
    open_it(&seen);
    EXPECT(heap_contains(&seen.connection->deadline));
    LAB_UNTIL(&seen.lab, is_at_rest(seen.connection));
    lab_write(&seen.lab, seen.far, bytes_of("\0", 2));
    LAB_UNTIL(&seen.lab, heap_contains(&seen.connection->deadline));
    EXPECT_EQ(seen.closed, 0);
    expect_closed(&seen, "too slowly");
    seen_release(&seen);
}

static void test_output_that_waits_is_watched_for_and_then_no_longer(void)
{
    struct seen seen;
    struct buffer came = BUFFER_INIT;

    seen_init(&seen, NULL);
    open_it(&seen);
    for (uint8_t i = 1; i <= 2; i++) {
        buffer_clear(&came);
        send_filled(&seen, 10 * 1000 * 1000, i);
        LAB_UNTIL(&seen.lab, seen.connection->write_event != NULL);
        LAB_UNTIL(&seen.lab, (lab_read(seen.far, &came), came.size == 10 * 1000 * 1000));
        LAB_UNTIL(&seen.lab, seen.drained == i);
        EXPECT(seen.connection->write_event == NULL);
        EXPECT_EQ(came.data[0], i);
        EXPECT_EQ(came.data[came.size - 1], i);
    }
    seen_release(&seen);
    buffer_release(&came);
}

/* --- Back-pressure --- */

static void test_a_paused_connection_gives_its_frames_later_and_in_order(void)
{
    struct seen seen;
    struct buffer stream = BUFFER_INIT;
    struct buffer bodies = BUFFER_INIT;

    seen_init(&seen, NULL);
    make_stream(&stream, &bodies, 1500);
    seen.pause_after = 100;
    lab_write(&seen.lab, seen.far, bytes_of(stream.data, 300 * 1024));
    LAB_UNTIL(&seen.lab, seen.frames == 100);
    for (unsigned i = 0; i < 20; i++) {
        lab_turn(&seen.lab);
    }
    EXPECT_EQ(seen.frames, 100);
    connection_resume(seen.connection);
    EXPECT_EQ(seen.frames, 100);
    LAB_UNTIL(&seen.lab, seen.frames == 200); /* a turn's share of time may end before */
    for (unsigned i = 0; i < 20; i++) {
        lab_turn(&seen.lab);
    }
    EXPECT_EQ(seen.frames, 200);
    seen.pause_after = 0;
    connection_resume(seen.connection);
    lab_write(&seen.lab, seen.far, bytes_of(stream.data + 300 * 1024, stream.size - 300 * 1024));
    LAB_UNTIL(&seen.lab, seen.frames == 1500);
    EXPECT_BYTES(buffer_lend(&seen.bodies), buffer_lend(&bodies));
    seen_release(&seen);
    buffer_release(&stream);
    buffer_release(&bodies);
}

static void test_output_arrives_and_the_owner_is_told_when_it_had_to_wait(void)
{
    struct seen seen;
    struct buffer came = BUFFER_INIT;

    seen_init(&seen, NULL);
    open_it(&seen);
    send_filled(&seen, 20 * 1000 * 1000, 5);
    send_filled(&seen, 1, 6);
    EXPECT_EQ(connection_output_bytes(seen.connection), 20 * 1000 * 1000 + 1);
    LAB_UNTIL(&seen.lab, (lab_read(seen.far, &came), came.size > 20 * 1000 * 1000));
    LAB_UNTIL(&seen.lab, seen.drained == 1);
    EXPECT_EQ(came.size, 20 * 1000 * 1000 + 1);
    EXPECT_EQ(came.data[0], 5);
    EXPECT_EQ(came.data[came.size - 1], 6);
    EXPECT_EQ(connection_output_bytes(seen.connection), 0);
    seen_release(&seen);
    buffer_release(&came);
}

static void test_a_connection_that_may_not_idle_is_closed_in_time(void)
{
    struct connection_limits limits = hasty();
    struct seen seen;
    uint64_t begun_us;

    limits.idle_ms = 30;
    seen_init(&seen, &limits);
    open_it(&seen);
    connection_forbid_idling(seen.connection, true);
    connection_forbid_idling(seen.connection, false);
    begun_us = clock_monotonic_us();
    LAB_UNTIL(&seen.lab, clock_monotonic_us() - begun_us > 3UL * limits.idle_ms * 1000);
    EXPECT_EQ(seen.closed, 0);
    connection_pause(seen.connection); /* what we hold up ourselves is no idling */
    connection_forbid_idling(seen.connection, true);
    begun_us = clock_monotonic_us();
    LAB_UNTIL(&seen.lab, clock_monotonic_us() - begun_us > 3UL * limits.idle_ms * 1000);
    EXPECT_EQ(seen.closed, 0);
    connection_resume(seen.connection);
    expect_closed(&seen, "silent for too long");
    seen_release(&seen);
}

static void test_a_reader_that_never_reads_meets_the_output_limit(void)
{
    struct connection_limits limits = hasty();
    struct seen seen;

    limits.output_bytes_max = 16 * 1024 * 1024;
    seen_init(&seen, &limits);
    open_it(&seen);
    for (unsigned i = 0; i < 40 && seen.closed == 0; i++) {
        send_filled(&seen, 1024 * 1024, 5);
        lab_turn(&seen.lab);
    }
    expect_closed(&seen, "output limit");
    EXPECT_EQ(seen.lab.loop.output.bytes, 0);
    seen_release(&seen);
}

static void test_all_connections_together_meet_a_limit(void)
{
    struct seen seen;

    seen_init(&seen, NULL);
    seen.lab.loop.output.bytes_max = 8 * 1024 * 1024;
    open_it(&seen);
    send_filled(&seen, 9 * 1024 * 1024, 5);
    expect_closed(&seen, "together");
    seen_release(&seen);
}

/* Whoever holds most gives way, and nobody else. */
static void test_requests_of_all_together_meet_a_limit(void)
{
    const struct socket_address remote = lab_loopback(2);
    struct connection_limits limits = hasty();
    struct seen seen;
    struct connection *small;
    struct buffer stream = BUFFER_INIT;
    int ends[2];

    limits.input_bytes_all_max = 1024 * 1024;
    seen_init(&seen, &limits);
    open_it(&seen);
    lab_socket_pair(ends);
    small =
        connection_new(&seen.lab.loop, ends[1], &remote, CONNECTION_PREFACE, &seen_handler, &seen);
    buffer_put(&stream, bytes_of(frame_client_preface, FRAME_PREFACE_BYTES));
    frame_client_put_head(buffer_extend(&stream, FRAME_CLIENT_HEAD_BYTES), 100000);
    memset(buffer_extend(&stream, 50000), 1, 50000);
    lab_write(&seen.lab, ends[0], buffer_lend(&stream));
    LAB_UNTIL(&seen.lab, seen.lab.loop.input.bytes >= 50000);
    buffer_clear(&stream);
    frame_client_put_head(buffer_extend(&stream, FRAME_CLIENT_HEAD_BYTES), 4 * 1024 * 1024);
    memset(buffer_extend(&stream, 3 * 1024 * 1024), 1, 3 * 1024 * 1024);
    lab_write(&seen.lab, seen.far, buffer_lend(&stream));
    expect_closed(&seen, "all connections together");
    EXPECT_EQ(connection_state(small), CONNECTION_OPEN);
    EXPECT(seen.lab.loop.input.bytes <= 1024 * 1024);
    seen.connection = small;
    connection_close(small, "the test is over");
    lab_turn(&seen.lab);
    EXPECT_EQ(seen.lab.loop.input.bytes, 0);
    seen_release(&seen);
    (void)close(ends[0]);
    buffer_release(&stream);
}

static void test_a_reader_that_stops_reading_is_closed_in_time(void)
{
    struct connection_limits limits = hasty();
    struct seen seen;

    limits.stall_ms = 60;
    seen_init(&seen, &limits);
    open_it(&seen);
    send_filled(&seen, 20 * 1000 * 1000, 5);
    expect_closed(&seen, "stopped reading");
    seen_release(&seen);
}

/* --- Ends --- */

static void test_the_end_of_the_stream_is_reported_once(void)
{
    struct seen seen;

    seen_init(&seen, NULL);
    open_it(&seen);
    (void)shutdown(seen.far, SHUT_RDWR);
    expect_closed(&seen, "closed by the other side");
    EXPECT_EQ(seen.lab.loop.count, 0);
    seen_release(&seen);
}

static void test_closing_inside_a_frame_stops_the_frames_behind_it(void)
{
    struct seen seen;
    struct buffer stream = BUFFER_INIT;
    struct buffer bodies = BUFFER_INIT;

    seen_init(&seen, NULL);
    seen.close_after = 3;
    make_stream(&stream, &bodies, 10);
    lab_write(&seen.lab, seen.far, buffer_lend(&stream));
    expect_closed(&seen, "enough");
    EXPECT_EQ(seen.frames, 3);
    seen_release(&seen);
    buffer_release(&stream);
    buffer_release(&bodies);
}

static void test_finishing_inside_a_frame_sends_what_waits_before_the_end(void)
{
    struct seen seen;
    struct buffer stream = BUFFER_INIT;
    struct buffer bodies = BUFFER_INIT;
    struct buffer came = BUFFER_INIT;

    seen_init(&seen, NULL);
    seen.finish_after = 3;
    make_stream(&stream, &bodies, 10);
    open_it(&seen);
    send_filled(&seen, 5 * 1000 * 1000, 1);
    lab_write(&seen.lab, seen.far,
              bytes_of(stream.data + FRAME_PREFACE_BYTES, stream.size - FRAME_PREFACE_BYTES));
    LAB_UNTIL(&seen.lab, seen.frames == 3);
    LAB_UNTIL(&seen.lab, !lab_read(seen.far, &came));
    EXPECT_EQ(came.size, 5 * 1000 * 1000);
    EXPECT_EQ(seen.frames, 3);
    EXPECT_EQ(seen.closed, 0);
    (void)shutdown(seen.far, SHUT_WR);
    expect_closed(&seen, "enough");
    seen_release(&seen);
    buffer_release(&stream);
    buffer_release(&bodies);
    buffer_release(&came);
}

static void test_a_finished_connection_is_not_waited_for_longer_than_its_deadline(void)
{
    struct connection_limits limits = hasty();
    struct seen seen;

    limits.drain_ms = 40;
    seen_init(&seen, &limits);
    open_it(&seen);
    connection_finish(seen.connection, "done");
    expect_closed(&seen, "done");
    seen_release(&seen);
}

static void test_a_retired_connection_still_takes_what_comes(void)
{
    struct seen seen;
    struct buffer stream = BUFFER_INIT;
    struct buffer bodies = BUFFER_INIT;
    struct buffer came = BUFFER_INIT;

    seen_init(&seen, NULL);
    make_stream(&stream, &bodies, 5);
    open_it(&seen);
    send_filled(&seen, 1000, 1);
    connection_retire(seen.connection);
    send_filled(&seen, 1000, 2);
    LAB_UNTIL(&seen.lab, !lab_read(seen.far, &came));
    EXPECT_EQ(came.size, 1000);
    lab_write(&seen.lab, seen.far,
              bytes_of(stream.data + FRAME_PREFACE_BYTES, stream.size - FRAME_PREFACE_BYTES));
    LAB_UNTIL(&seen.lab, seen.frames == 5);
    EXPECT_EQ(seen.closed, 0);
    (void)shutdown(seen.far, SHUT_WR);
    expect_closed(&seen, "closed by the other side");
    seen_release(&seen);
    buffer_release(&stream);
    buffer_release(&bodies);
    buffer_release(&came);
}

static void test_sending_on_a_closed_connection_goes_nowhere(void)
{
    struct seen seen;

    seen_init(&seen, NULL);
    open_it(&seen);
    connection_close(seen.connection, "gone");
    send_filled(&seen, 1000, 1);
    connection_send_peer_frame(seen.connection, bytes_of_text("x"), false);
    connection_close(seen.connection, "twice");
    expect_closed(&seen, "gone");
    EXPECT_EQ(seen.lab.loop.output.bytes, 0);
    seen_release(&seen);
}

static void count_returned(const void *data, size_t size, void *owner)
{
    EXPECT(data != NULL);
    EXPECT_EQ(size, 3 * 1000 * 1000);
    ++*(unsigned *)owner;
}

static void test_what_is_lent_is_sent_in_its_place_and_given_back(void)
{
    static uint8_t lent[3 * 1000 * 1000];
    struct seen seen;
    struct buffer came = BUFFER_INIT;
    unsigned returned = 0;

    memset(lent, 7, sizeof lent);
    seen_init(&seen, NULL);
    open_it(&seen);
    send_filled(&seen, 10, 6);
    connection_send_lent(seen.connection, bytes_of(lent, sizeof lent), count_returned, &returned);
    send_filled(&seen, 10, 8);
    EXPECT_EQ(connection_output_bytes(seen.connection), sizeof lent + 20);
    lab_turn(&seen.lab);
    EXPECT_EQ(returned, 0); /* no socket takes that much at once */
    LAB_UNTIL(&seen.lab, (lab_read(seen.far, &came), came.size == sizeof lent + 20));
    EXPECT_EQ(returned, 1);
    EXPECT_EQ(came.data[9], 6);
    EXPECT_BYTES(bytes_of(came.data + 10, sizeof lent), bytes_of(lent, sizeof lent));
    EXPECT_EQ(came.data[10 + sizeof lent], 8);
    seen_release(&seen);
    buffer_release(&came);
}

static void test_what_is_lent_and_cannot_be_sent_is_given_back(void)
{
    static uint8_t lent[3 * 1000 * 1000];
    struct connection_limits limits = hasty();
    struct seen seen;
    unsigned returned = 0;

    limits.output_bytes_max = sizeof lent;
    seen_init(&seen, &limits);
    open_it(&seen);
    connection_send_lent(seen.connection, bytes_of(lent, sizeof lent), count_returned, &returned);
    EXPECT_EQ(returned, 0);
    connection_send_lent(seen.connection, bytes_of(lent, sizeof lent), count_returned, &returned);
    expect_closed(&seen, "output limit");
    EXPECT_EQ(returned, 2);
    EXPECT_EQ(seen.lab.loop.output.bytes, 0);
    seen_release(&seen);

    seen_init(&seen, NULL);
    open_it(&seen);
    connection_close(seen.connection, "gone");
    returned = 0;
    connection_send_lent(seen.connection, bytes_of(lent, sizeof lent), count_returned, &returned);
    EXPECT_EQ(returned, 1);
    expect_closed(&seen, "gone");
    EXPECT_EQ(returned, 1);
    seen_release(&seen);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_stream_gives_the_same_frames_however_it_is_cut),
        TEST_CASE(test_large_frames_arrive_whole),
        TEST_CASE(test_peer_frames_are_cut_and_verified),
        TEST_CASE(test_a_flipped_bit_closes_a_peer_connection),
        TEST_CASE(test_zero_negative_and_huge_lengths_close_at_once),
        TEST_CASE(test_a_length_alone_takes_no_memory),
        TEST_CASE(test_unknown_first_bytes_close),
        TEST_CASE(test_who_says_nothing_is_closed_in_time),
        TEST_CASE(test_a_frame_that_stops_coming_is_not_waited_for),
        TEST_CASE(test_an_idle_open_connection_stays),
        TEST_CASE(test_input_is_kept_while_half_a_frame_is_there_and_no_longer),
        TEST_CASE(test_a_frame_under_way_takes_no_more_memory_than_it_is_long),
        TEST_CASE(test_a_connection_is_among_the_deadlines_while_it_has_one),
        TEST_CASE(test_output_that_waits_is_watched_for_and_then_no_longer),
        TEST_CASE(test_a_connection_that_may_not_idle_is_closed_in_time),
        TEST_CASE(test_a_paused_connection_gives_its_frames_later_and_in_order),
        TEST_CASE(test_output_arrives_and_the_owner_is_told_when_it_had_to_wait),
        TEST_CASE(test_what_is_lent_is_sent_in_its_place_and_given_back),
        TEST_CASE(test_what_is_lent_and_cannot_be_sent_is_given_back),
        TEST_CASE(test_a_reader_that_never_reads_meets_the_output_limit),
        TEST_CASE(test_all_connections_together_meet_a_limit),
        TEST_CASE(test_requests_of_all_together_meet_a_limit),
        TEST_CASE(test_a_reader_that_stops_reading_is_closed_in_time),
        TEST_CASE(test_the_end_of_the_stream_is_reported_once),
        TEST_CASE(test_closing_inside_a_frame_stops_the_frames_behind_it),
        TEST_CASE(test_finishing_inside_a_frame_sends_what_waits_before_the_end),
        TEST_CASE(test_a_finished_connection_is_not_waited_for_longer_than_its_deadline),
        TEST_CASE(test_a_retired_connection_still_takes_what_comes),
        TEST_CASE(test_sending_on_a_closed_connection_goes_nowhere),
        TEST_END};

    return test_main("connection", cases, argc, argv);
}
