#include "server/node/session_expiry.h"

#include "server/node/awake_clock.h"
#include "tests/support/test.h"

#include <string.h>

#define MS UINT64_C(1000)

/* --- One leader by hand --- */

static struct raft_config config;
static bool linked[8];
static struct session_expiry *expiry;
static struct session_expiry_output output;

static bool is_linked(void *context, raft_id member)
{
    (void)context;
    return member < 8 && linked[member];
}

/* Voters 1, 2, 3, all linked; server 1 leads from time 0 on. */
static void begin(void)
{
    memset(&config, 0, sizeof config);
    config.member_count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        config.members[i].id = i + 1;
        config.members[i].flags = RAFT_VOTER_NEW;
        linked[i + 1] = true;
    }
    expiry = session_expiry_new(1);
    session_expiry_lead(expiry, 0);
}

static void end(void)
{
    session_expiry_free(expiry);
}

static void tick(uint64_t now_us)
{
    session_expiry_tick(expiry, now_us, &config, is_linked, NULL, &output);
    session_expiry_check(expiry);
}

/* Tick every 50 ms from `from` up to `to`; stops early at a round or at a due session. */
static uint64_t run(uint64_t from, uint64_t to)
{
    uint64_t now = from;

    while (now < to) {
        tick(now);
        if (output.query != NULL || output.due_count > 0) {
            return now;
        }
        now += 50 * MS;
    }
    tick(to);
    return to;
}

static enum status
report(uint64_t now_us, raft_id from, uint64_t round, session_id id, uint32_t silent_ms)
{
    Peer__SessionReport message = PEER__SESSION_REPORT__INIT;

    message.round = round;
    message.n_sessions = id == 0 ? 0 : 1;
    message.sessions = &id;
    message.n_silent_ms = message.n_sessions;
    message.silent_ms = &silent_ms;
    return session_expiry_on_report(expiry, now_us, from, &message);
}

static void test_silent_session_is_asked_for_and_then_due(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 3, 2, 1000);
    now = run(0, 5000 * MS);
    EXPECT_EQ(now, 1000 * MS);
    EXPECT(output.query != NULL);
    EXPECT_EQ(output.query->n_sessions, 1);
    EXPECT_EQ(output.query->sessions[0], 7);
    round = output.query->round;
    EXPECT(round != 0);
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    EXPECT_OK(report(now + 1, 2, round, 0, 0));
    tick(now + 2);
    EXPECT_EQ(output.due_count, 1);
    EXPECT_EQ(output.due[0].session, 7);
    EXPECT_EQ(output.due[0].generation, 3);
    (void)run(now + 50 * MS, now + 60000 * MS);
    EXPECT_EQ(output.due_count, 0);
    EXPECT(output.query == NULL);
    end();
}

static void test_nothing_is_due_without_the_read_index(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 2, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    for (raft_id id = 1; id <= 3; id++) {
        EXPECT_OK(report(now, id, round, 0, 0));
    }
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    session_expiry_on_read(expiry, now + 2, round, false);
    tick(now + 3);
    EXPECT_EQ(output.due_count, 0);
    /* The next round asks anew; the old one's answers do not count for it. */
    now = run(now + 50 * MS, now + 1000 * MS);
    EXPECT(output.query != NULL);
    EXPECT(output.query->round != round);
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    EXPECT_OK(report(now, 2, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    end();
}

static void test_own_answer_is_required_and_a_minority_is_not_enough(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 2, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 2, round, 0, 0));
    EXPECT_OK(report(now, 2, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    EXPECT_OK(report(now, 3, round, 0, 0));
    tick(now + 2);
    EXPECT_EQ(output.due_count, 0);
    EXPECT_OK(report(now, 1, round, 0, 0));
    tick(now + 3);
    EXPECT_EQ(output.due_count, 1);
    end();
}

static void test_linked_owner_must_answer_but_a_cut_off_one_need_not(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 3, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    EXPECT_OK(report(now, 2, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    linked[3] = false;
    tick(now + 2);
    EXPECT_EQ(output.due_count, 1);
    end();
}

static void test_owner_that_is_no_member_is_not_waited_for(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    linked[4] = true; /* removed, its link is still up */
    session_expiry_put(expiry, 0, 7, 1, 4, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    EXPECT_OK(report(now, 2, round, 0, 0));
    tick(now + 2);
    EXPECT_EQ(output.due_count, 1);
    end();
}

static void test_owner_that_never_answers_holds_up_only_its_own_sessions(void)
{
    uint64_t now = 0;
    bool due = false;

    begin();
    for (session_id id = 1; id <= 2 * SESSION_EXPIRY_ROUND_MAX; id++) {
        session_expiry_put(expiry, 0, id, 1, 3, 1000);
    }
    session_expiry_put(expiry, 0, 100000, 1, 2, 1500);
    while (!due && now < 10000 * MS) {
        tick(now);
        due = due || output.due_count > 0;
        EXPECT(output.due_count == 0 || output.due[0].session == 100000);
        if (output.query != NULL) {
            uint64_t round = output.query->round;

            EXPECT_OK(report(now, 1, round, 0, 0));
            EXPECT_OK(report(now, 2, round, 0, 0));
            session_expiry_on_read(expiry, now, round, true);
        }
        now += 20 * MS;
    }
    EXPECT(due);
    EXPECT(now <= 2600 * MS);
    end();
}

static void test_answer_that_knows_better_rescues_the_session(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 2, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    EXPECT_OK(report(now, 2, round, 7, 400));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    now = run(now + 50 * MS, now + 5000 * MS);
    EXPECT_EQ(now, 1600 * MS);
    EXPECT(output.query != NULL);
    end();
}

static void test_answer_that_confirms_the_silence_does_not_rescue_it(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 2, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    EXPECT_OK(report(now, 2, round, 7, 1000));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 1);
    end();
}

static void test_reports_extend_by_when_it_was_heard_from(void)
{
    uint64_t now;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 2, 1000);
    tick(0);
    for (now = 50 * MS; now < 20000 * MS; now += 50 * MS) {
        if (now % (500 * MS) == 0) {
            EXPECT_OK(report(now, 2, 0, 7, 100));
        }
        tick(now);
        EXPECT(output.query == NULL);
    }
    /* Heard from last at 19.4 s. */
    now = run(now, 40000 * MS);
    EXPECT_EQ(now, 20400 * MS);
    end();
}

/* More than one turn looks at. */
static void test_many_that_were_heard_of_are_passed_over_for_the_one_that_was_not(void)
{
    enum { HEARD = 3 * SESSION_EXPIRY_ROUND_MAX, SILENT = HEARD + 1 };
    size_t turns = 0;

    begin();
    for (session_id id = 1; id <= SILENT; id++) {
        session_expiry_put(expiry, 0, id, 1, 2, 1000);
    }
    (void)run(0, 900 * MS);
    for (session_id id = 1; id < SILENT; id++) {
        EXPECT_OK(report(900 * MS, 2, 0, id, 0));
    }
    do {
        tick(1000 * MS);
        turns++;
        EXPECT(output.query != NULL || output.next_us <= 1000 * MS);
    } while (output.query == NULL && turns < 10);
    EXPECT(output.query != NULL);
    EXPECT_EQ(output.query->n_sessions, 1);
    EXPECT_EQ(output.query->sessions[0], SILENT);
    session_expiry_drop(expiry, SILENT);
    EXPECT_EQ(run(1050 * MS, 5000 * MS), 1900 * MS);
    end();
}

static void test_attach_grants_the_full_timeout_and_voids_a_proposal(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 1, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    EXPECT_OK(report(now, 2, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 1);
    session_expiry_put(expiry, now + 2, 7, 2, 3, 2000);
    session_expiry_on_proposal_failed(expiry, 7, 1);
    now = run(now + 50 * MS, now + 10000 * MS);
    EXPECT(output.query != NULL);
    EXPECT(now >= 3000 * MS);
    EXPECT(now <= 3100 * MS);
    end();
}

static void test_failed_proposal_is_asked_again_with_a_new_round(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 1, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    EXPECT_OK(report(now, 3, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 1);
    session_expiry_on_proposal_failed(expiry, 7, 99);
    tick(now + 200 * MS);
    EXPECT(output.query == NULL);
    session_expiry_on_proposal_failed(expiry, 7, 1);
    tick(now + 250 * MS);
    EXPECT(output.query != NULL);
    EXPECT(output.query->round > round);
    EXPECT_EQ(output.due_count, 0);
    end();
}

static void test_dropped_session_is_never_due(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 1, 1000);
    session_expiry_put(expiry, 0, 8, 1, 1, 1000);
    session_expiry_drop(expiry, 8);
    now = run(0, 5000 * MS);
    EXPECT_EQ(output.query->n_sessions, 1);
    round = output.query->round;
    session_expiry_drop(expiry, 7);
    session_expiry_drop(expiry, 7);
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 7, 0));
    EXPECT_OK(report(now, 2, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    EXPECT_EQ(output.next_us, UINT64_MAX);
    end();
}

static void test_pause_extends_every_deadline(void)
{
    uint64_t now;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 1, 1000);
    now = run(0, 500 * MS);
    EXPECT_EQ(now, 500 * MS);
    tick(30000 * MS);
    EXPECT(output.query == NULL);
    /* A quarter of a second of the pause counts. */
    now = run(30050 * MS, 40000 * MS);
    EXPECT_EQ(now, 30250 * MS);
    end();
}

static void test_losing_leadership_clears_and_the_next_grants_full_timeouts(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 1, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_stop(expiry);
    EXPECT(!session_expiry_is_leading(expiry));
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    session_expiry_put(expiry, now, 7, 1, 1, 1000);
    tick(now + 1);
    EXPECT(output.query == NULL);
    EXPECT_EQ(output.due_count, 0);
    EXPECT_EQ(output.next_us, UINT64_MAX);
    session_expiry_lead(expiry, 5000 * MS);
    session_expiry_put(expiry, 5000 * MS, 7, 1, 1, 1000);
    now = run(5000 * MS, 9000 * MS);
    EXPECT_EQ(now, 6000 * MS);
    EXPECT(output.query->round > round);
    end();
}

static void test_joint_configuration_needs_both_majorities(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    config.joint = true;
    config.member_count = 4;
    for (uint32_t i = 0; i < 4; i++) {
        config.members[i].id = i + 1;
        config.members[i].flags =
            i == 0 ? RAFT_VOTER_OLD | RAFT_VOTER_NEW : (i == 1 ? RAFT_VOTER_OLD : RAFT_VOTER_NEW);
    }
    session_expiry_put(expiry, 0, 7, 1, 1, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    EXPECT_OK(report(now, 2, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    EXPECT_OK(report(now, 4, round, 0, 0));
    tick(now + 2);
    EXPECT_EQ(output.due_count, 1);
    end();
}

static void test_malformed_reports_are_refused_and_unknown_sessions_ignored(void)
{
    Peer__SessionReport message = PEER__SESSION_REPORT__INIT;
    uint64_t ids[2] = {1, UINT64_MAX};
    uint32_t silent[2] = {UINT32_MAX, UINT32_MAX};

    begin();
    message.n_sessions = 2;
    message.sessions = ids;
    message.n_silent_ms = 1;
    message.silent_ms = silent;
    EXPECT_EQ(session_expiry_on_report(expiry, 0, 2, &message), STATUS_INVALID);
    message.n_sessions = SESSION_CONTACT_REPORT_MAX + 1;
    message.n_silent_ms = SESSION_CONTACT_REPORT_MAX + 1;
    EXPECT_EQ(session_expiry_on_report(expiry, 0, 2, &message), STATUS_INVALID);
    message.n_sessions = 2;
    message.n_silent_ms = 2;
    session_expiry_put(expiry, 0, 1, 1, 1, 1000);
    EXPECT_OK(session_expiry_on_report(expiry, 10, 2, &message));
    session_expiry_check(expiry);
    end();
}

static void test_slow_quorum_gets_more_time_until_it_succeeds(void)
{
    uint64_t now = 0;
    uint64_t answer_us = 0;
    uint64_t round = 0;
    bool due = false;

    /* Every answer takes 1.5 s: more than a first round waits. */
    begin();
    session_expiry_put(expiry, 0, 7, 1, 2, 1000);
    while (!due && now < 20000 * MS) {
        tick(now);
        due = output.due_count > 0;
        if (output.query != NULL) {
            round = output.query->round;
            answer_us = now + 1500 * MS;
        }
        now += 50 * MS;
        if (round != 0 && now >= answer_us) {
            EXPECT_OK(report(now, 1, round, 0, 0));
            EXPECT_OK(report(now, 2, round, 0, 0));
            session_expiry_on_read(expiry, now, round, true);
            round = 0;
        }
    }
    EXPECT(due);
    end();
}

static void test_awake_clock_counts_a_step_only_up_to_its_bound(void)
{
    struct awake_clock clock;

    awake_clock_init(&clock, 1000);
    EXPECT_EQ(awake_clock_advance(&clock, 1500), 1500);
    EXPECT_EQ(awake_clock_advance(&clock, 1400), 1500);
    EXPECT_EQ(awake_clock_advance(&clock, 1500 + AWAKE_CLOCK_STEP_US_MAX), 1500 + 250 * MS);
    EXPECT_EQ(awake_clock_advance(&clock, UINT64_MAX), 1500 + 500 * MS);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_silent_session_is_asked_for_and_then_due),
        TEST_CASE(test_nothing_is_due_without_the_read_index),
        TEST_CASE(test_own_answer_is_required_and_a_minority_is_not_enough),
        TEST_CASE(test_linked_owner_must_answer_but_a_cut_off_one_need_not),
        TEST_CASE(test_owner_that_is_no_member_is_not_waited_for),
        TEST_CASE(test_owner_that_never_answers_holds_up_only_its_own_sessions),
        TEST_CASE(test_answer_that_knows_better_rescues_the_session),
        TEST_CASE(test_answer_that_confirms_the_silence_does_not_rescue_it),
        TEST_CASE(test_reports_extend_by_when_it_was_heard_from),
        TEST_CASE(test_many_that_were_heard_of_are_passed_over_for_the_one_that_was_not),
        TEST_CASE(test_attach_grants_the_full_timeout_and_voids_a_proposal),
        TEST_CASE(test_failed_proposal_is_asked_again_with_a_new_round),
        TEST_CASE(test_dropped_session_is_never_due),
        TEST_CASE(test_pause_extends_every_deadline),
        TEST_CASE(test_losing_leadership_clears_and_the_next_grants_full_timeouts),
        TEST_CASE(test_joint_configuration_needs_both_majorities),
        TEST_CASE(test_malformed_reports_are_refused_and_unknown_sessions_ignored),
        TEST_CASE(test_slow_quorum_gets_more_time_until_it_succeeds),
        TEST_CASE(test_awake_clock_counts_a_step_only_up_to_its_bound),
        TEST_END};

    return test_main("session_expiry", cases, argc, argv);
}
