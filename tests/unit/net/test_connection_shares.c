/* How the time and the bytes of a turn are shared among connections. */
#include "tests/unit/net/connection_lab.h"

/* The time that connections see, in cases that say so: whether others take the processor from the
 * test would change what a visit does. */
static struct {
    bool is_ours;
    uint64_t now_us;
    uint64_t step_us; /* from one look to the next */
} lab_clock;

uint64_t __real_clock_monotonic_us(void);
uint64_t __wrap_clock_monotonic_us(void);

/* The linker puts this in the place of clock_monotonic_us (--wrap). */
uint64_t __wrap_clock_monotonic_us(void)
{
    if (!lab_clock.is_ours) {
        return __real_clock_monotonic_us();
    }
    lab_clock.now_us += lab_clock.step_us;
    return lab_clock.now_us;
}

/* A turn in which each look at the clock is so much later than the one before. */
static void turn_in_steps_of(struct lab *lab, uint64_t step_us)
{
    lab_clock.step_us = step_us;
    lab_clock.now_us = __real_clock_monotonic_us();
    lab_clock.is_ours = true;
    lab_turn(lab);
    lab_clock.is_ours = false;
}

/* Others had the processor before it, and whoever is visited is no flood for that. */
static void test_a_visit_that_is_late_for_its_first_frame_takes_it(void)
{
    struct seen seen;
    struct buffer stream = BUFFER_INIT;

    seen_init(&seen, NULL);
    open_it(&seen);
    put_client_frame(&stream, 1, 7);
    EXPECT_EQ(write(seen.far, stream.data, stream.size), stream.size);
    turn_in_steps_of(&seen.lab, 2 * CONNECTION_VISIT_US);
    EXPECT_EQ(seen.frames, 1);
    for (size_t i = 0; i < CONNECTION_FIRST_FRAMES; i++) {
        put_client_frame(&stream, 1, 7);
    }
    EXPECT_EQ(write(seen.far, stream.data, stream.size), stream.size);
    turn_in_steps_of(&seen.lab, 0);
    EXPECT_EQ(seen.frames, 1 + CONNECTION_FIRST_FRAMES);
    LAB_UNTIL(&seen.lab, seen.frames == 2 + CONNECTION_FIRST_FRAMES);
    seen_release(&seen);
    buffer_release(&stream);
}

static void test_frames_beyond_a_visit_wait_for_the_next_turn(void)
{
    enum { FRAMES = 2 * CONNECTION_VISIT_FRAMES + 100 };
    struct seen seen;
    struct buffer stream = BUFFER_INIT;

    seen_init(&seen, NULL);
    open_it(&seen);
    for (size_t i = 0; i < FRAMES; i++) {
        put_client_frame(&stream, 1, 7);
    }
    EXPECT(stream.size < CONNECTION_VISIT_BYTES);
    EXPECT_EQ(write(seen.far, stream.data, stream.size), stream.size);
    LAB_UNTIL(&seen.lab, seen.frames > 0);
    EXPECT(seen.frames <= CONNECTION_VISIT_FRAMES);
    lab_turn(&seen.lab);
    EXPECT(seen.frames <= 2 * CONNECTION_VISIT_FRAMES);
    LAB_UNTIL(&seen.lab, seen.frames == FRAMES);
    seen_release(&seen);
    buffer_release(&stream);
}

/* Floods beside one that asks for little, on a loop that has time for one visit of each kind in a
 * turn. */
enum { FLOODS = 4 };

struct crowd {
    struct seen floods[FLOODS];
    struct seen quiet; /* its loop is that of all */
};

static void seen_join(struct seen *seen, struct seen *host)
{
    const struct socket_address remote = lab_loopback(2);
    int ends[2];

    memset(seen, 0, sizeof *seen);
    lab_socket_pair(ends);
    seen->far = ends[0];
    seen->connection =
        connection_new(&host->lab.loop, ends[1], &remote, CONNECTION_PREFACE, &seen_handler, seen);
    lab_write(&host->lab, seen->far, bytes_of(frame_client_preface, FRAME_PREFACE_BYTES));
    LAB_UNTIL(&host->lab, seen->prefaces == 1);
}

static void crowd_init(struct crowd *crowd)
{
    struct connection_limits limits = connection_limits_default();

    limits.share_us = 0;
    seen_init(&crowd->quiet, &limits);
    open_it(&crowd->quiet);
    for (size_t i = 0; i < FLOODS; i++) {
        seen_join(&crowd->floods[i], &crowd->quiet);
    }
}

static void crowd_release(struct crowd *crowd)
{
    for (size_t i = 0; i < FLOODS; i++) {
        if (crowd->floods[i].connection != NULL) {
            connection_close(crowd->floods[i].connection, "the test is over");
        }
        LAB_UNTIL(&crowd->quiet.lab, crowd->floods[i].closed == 1);
        (void)close(crowd->floods[i].far);
        buffer_release(&crowd->floods[i].bodies);
    }
    seen_release(&crowd->quiet);
}

/* More frames than two visits take, of each of them. */
static void flood_input(struct crowd *crowd)
{
    struct buffer stream = BUFFER_INIT;

    for (size_t i = 0; i < 8 * CONNECTION_VISIT_FRAMES; i++) {
        put_client_frame(&stream, 1, 7);
    }
    for (size_t i = 0; i < FLOODS; i++) {
        EXPECT_EQ(write(crowd->floods[i].far, stream.data, stream.size), stream.size);
    }
    for (size_t i = 0; i < FLOODS; i++) {
        LAB_UNTIL(&crowd->quiet.lab, crowd->floods[i].frames > 0);
    }
    buffer_release(&stream);
}

static void test_who_asks_little_is_read_before_those_that_flood(void)
{
    struct crowd crowd;
    struct buffer stream = BUFFER_INIT;

    crowd_init(&crowd);
    flood_input(&crowd);
    put_client_frame(&stream, 1, 7);
    EXPECT_EQ(write(crowd.quiet.far, stream.data, stream.size), stream.size);
    lab_turn(&crowd.quiet.lab);
    EXPECT_EQ(crowd.quiet.frames, 1);
    for (size_t i = 0; i < FLOODS; i++) {
        EXPECT(crowd.floods[i].frames < 8 * CONNECTION_VISIT_FRAMES);
    }
    crowd_release(&crowd);
    buffer_release(&stream);
}

/* In as many turns as there are of them each has its visit, long or short: a visit ends with its
 * time too, on a machine that is busy. */
static void test_those_that_flood_take_turns(void)
{
    struct crowd crowd;

    crowd_init(&crowd);
    flood_input(&crowd);
    for (size_t round = 0; round < 2; round++) {
        size_t before[FLOODS];

        for (size_t i = 0; i < FLOODS; i++) {
            before[i] = crowd.floods[i].frames;
        }
        for (size_t i = 0; i < FLOODS; i++) {
            lab_turn(&crowd.quiet.lab);
        }
        for (size_t i = 0; i < FLOODS; i++) {
            EXPECT(crowd.floods[i].frames > before[i]);
            EXPECT(crowd.floods[i].frames <= before[i] + 2 * CONNECTION_VISIT_FRAMES);
        }
    }
    for (size_t i = 0; i < FLOODS; i++) {
        EXPECT(crowd.floods[i].frames <= 5 * CONNECTION_VISIT_FRAMES);
    }
    crowd_release(&crowd);
}

/* On a loop that has time for one piece in a turn. */
static void test_who_leaves_much_behind_holds_nobody_up(void)
{
    struct crowd crowd;

    crowd_init(&crowd);
    crowd.floods[0].pieces = 6;
    connection_close(crowd.floods[0].connection, "it leaves");
    connection_close(crowd.quiet.connection, "it leaves too");
    for (size_t turn = 1; turn <= 2; turn++) {
        lab_turn(&crowd.quiet.lab);
        EXPECT_EQ(crowd.floods[0].let_go + crowd.quiet.let_go, turn);
    }
    EXPECT_EQ(crowd.quiet.closed, 1);
    EXPECT_EQ(crowd.floods[0].closed, 0);
    for (size_t turn = 2; turn <= 6; turn++) {
        lab_turn(&crowd.quiet.lab);
        EXPECT_EQ(crowd.floods[0].let_go, turn);
    }
    EXPECT_EQ(crowd.floods[0].closed, 1);
    crowd_release(&crowd);
}

/* Whoever comes at first has shown nothing yet: there may be many of them. */
static void test_the_first_visit_takes_little_of_whoever_it_is(void)
{
    struct crowd crowd;
    struct buffer stream = BUFFER_INIT;

    crowd_init(&crowd);
    for (size_t i = 0; i < 2 * CONNECTION_VISIT_FRAMES; i++) {
        put_client_frame(&stream, 1, 7);
    }
    EXPECT_EQ(write(crowd.floods[0].far, stream.data, stream.size), stream.size);
    turn_in_steps_of(&crowd.quiet.lab, 0);
    EXPECT_EQ(crowd.floods[0].frames, CONNECTION_FIRST_FRAMES);
    turn_in_steps_of(&crowd.quiet.lab, 0);
    EXPECT(crowd.floods[0].frames > 2 * CONNECTION_FIRST_FRAMES);
    crowd_release(&crowd);
    buffer_release(&stream);
}

/* A flood that its owner holds back gives little in each visit, and is one nevertheless. */
static void test_who_is_held_back_with_more_to_give_is_no_small_client(void)
{
    struct crowd crowd;
    struct buffer stream = BUFFER_INIT;

    crowd_init(&crowd);
    for (size_t i = 0; i < FLOODS; i++) {
        crowd.floods[i].pause_after = 4;
    }
    flood_input(&crowd);
    put_client_frame(&stream, 1, 7);
    for (size_t turn = 1; turn <= 2 * FLOODS; turn++) {
        for (size_t i = 0; i < FLOODS; i++) {
            connection_resume(crowd.floods[i].connection);
        }
        EXPECT_EQ(write(crowd.quiet.far, stream.data, stream.size), stream.size);
        lab_turn(&crowd.quiet.lab);
        EXPECT_EQ(crowd.quiet.frames, turn);
    }
    crowd_release(&crowd);
    buffer_release(&stream);
}

/* What counts is how much waits, though a visit may write all of it. */
static void test_who_is_sent_much_at_once_is_written_to_behind_those_that_are_sent_little(void)
{
    enum { MUCH = CONNECTION_VISIT_BYTES / 2 };
    struct crowd crowd;
    size_t written = 0;

    crowd_init(&crowd);
    for (size_t i = 0; i < FLOODS; i++) {
        send_filled(&crowd.floods[i], 100, 5);
        send_filled(&crowd.floods[i], MUCH, 5);
    }
    send_filled(&crowd.quiet, 100, 5);
    lab_turn(&crowd.quiet.lab);
    EXPECT_EQ(connection_output_bytes(crowd.quiet.connection), 0);
    for (size_t i = 0; i < FLOODS; i++) {
        written += connection_output_bytes(crowd.floods[i].connection) == 0;
    }
    EXPECT_EQ(written, 1); /* one of them had his turn too */
    crowd_release(&crowd);
}

static void test_who_is_sent_little_is_written_to_before_the_others(void)
{
    enum { MUCH = 4 * CONNECTION_VISIT_BYTES };
    struct crowd crowd;
    struct buffer came = BUFFER_INIT;

    crowd_init(&crowd);
    for (size_t i = 0; i < FLOODS; i++) {
        memset(connection_reserve(crowd.floods[i].connection, MUCH), 5, MUCH);
        connection_commit(crowd.floods[i].connection, MUCH);
    }
    for (size_t i = 0; i < FLOODS; i++) {
        LAB_UNTIL(&crowd.quiet.lab, connection_output_bytes(crowd.floods[i].connection) < MUCH);
    }
    send_filled(&crowd.quiet, 100, 5);
    lab_turn(&crowd.quiet.lab);
    EXPECT_EQ(connection_output_bytes(crowd.quiet.connection), 0);
    for (size_t i = 0; i < FLOODS; i++) {
        EXPECT(connection_output_bytes(crowd.floods[i].connection) > 0);
    }
    for (size_t i = 0; i < FLOODS; i++) {
        do {
            lab_turn(&crowd.quiet.lab);
            EXPECT(lab_read(crowd.floods[i].far, &came));
        } while (came.size < (i + 1) * MUCH);
    }
    crowd_release(&crowd);
    buffer_release(&came);
}

/* What servers are sent may leave before the end of the turn; neither what clients are sent, nor
 * what may wait for these. */
static void test_links_can_be_written_to_ahead_of_the_end_of_the_turn(void)
{
    struct crowd crowd;
    struct connection *link;

    crowd_init(&crowd);
    link = crowd.floods[0].connection;
    connection_set_protocol(link, FRAME_PROTOCOL_PEER, FRAME_PEER_BYTES_MAX);
    send_filled(&crowd.quiet, 100, 5);
    connection_send_peer_frame(link, bytes_of_text("now"), false);
    connection_loop_write_links(&crowd.quiet.lab.loop);
    EXPECT_EQ(connection_output_bytes(link), 0);
    EXPECT_EQ(connection_output_bytes(crowd.quiet.connection), 100);

    connection_send_peer_frame(link, bytes_of_text("late"), true);
    connection_loop_write_links(&crowd.quiet.lab.loop);
    EXPECT(connection_output_bytes(link) > 0);
    connection_loop_end(&crowd.quiet.lab.loop);
    EXPECT_EQ(connection_output_bytes(link), 0);
    EXPECT_EQ(connection_output_bytes(crowd.quiet.connection), 0);
    crowd_release(&crowd);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_visit_that_is_late_for_its_first_frame_takes_it),
        TEST_CASE(test_frames_beyond_a_visit_wait_for_the_next_turn),
        TEST_CASE(test_who_asks_little_is_read_before_those_that_flood),
        TEST_CASE(test_those_that_flood_take_turns),
        TEST_CASE(test_who_leaves_much_behind_holds_nobody_up),
        TEST_CASE(test_the_first_visit_takes_little_of_whoever_it_is),
        TEST_CASE(test_who_is_held_back_with_more_to_give_is_no_small_client),
        TEST_CASE(test_who_is_sent_much_at_once_is_written_to_behind_those_that_are_sent_little),
        TEST_CASE(test_who_is_sent_little_is_written_to_before_the_others),
        TEST_CASE(test_links_can_be_written_to_ahead_of_the_end_of_the_turn),
        TEST_END};

    return test_main("connection_shares", cases, argc, argv);
}
