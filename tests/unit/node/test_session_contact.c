#include "server/node/session_contact.h"

#include "tests/support/test.h"

#include <stdlib.h>

#define MS UINT64_C(1000)

static void test_reports_hold_who_was_heard_from_once(void)
{
    struct session_contact *contact = session_contact_new(0);
    Peer__SessionReport report;

    session_contact_put(contact, 1);
    session_contact_put(contact, 2);
    EXPECT(!session_contact_take_report(contact, 10 * MS, &report));
    session_contact_heard(contact, 1, 20 * MS);
    session_contact_heard(contact, 1, 50 * MS);
    session_contact_heard(contact, 3, 50 * MS);
    EXPECT(session_contact_take_report(contact, 60 * MS, &report));
    EXPECT_EQ(report.round, 0);
    EXPECT_EQ(report.n_sessions, 1);
    EXPECT_EQ(report.n_silent_ms, 1);
    EXPECT_EQ(report.sessions[0], 1);
    EXPECT_EQ(report.silent_ms[0], 10);
    EXPECT(!session_contact_take_report(contact, 70 * MS, &report));
    session_contact_free(contact);
}

static void test_report_all_repeats_whoever_was_ever_heard_from(void)
{
    struct session_contact *contact = session_contact_new(0);
    Peer__SessionReport report;

    session_contact_put(contact, 1);
    session_contact_put(contact, 2);
    session_contact_heard(contact, 2, 20 * MS);
    EXPECT(session_contact_take_report(contact, 30 * MS, &report));
    session_contact_report_all(contact);
    EXPECT(session_contact_take_report(contact, 120 * MS, &report));
    EXPECT_EQ(report.n_sessions, 1);
    EXPECT_EQ(report.sessions[0], 2);
    EXPECT_EQ(report.silent_ms[0], 100);
    session_contact_free(contact);
}

static void test_answer_tells_the_silence_of_those_asked_for(void)
{
    struct session_contact *contact = session_contact_new(0);
    uint64_t asked[] = {5, 6, 7, 8};
    Peer__SessionQuery query = PEER__SESSION_QUERY__INIT;
    Peer__SessionReport report;

    for (session_id id = 4; id <= 7; id++) {
        session_contact_put(contact, id);
    }
    session_contact_heard(contact, 4, 100 * MS);
    session_contact_heard(contact, 5, 100 * MS);
    session_contact_heard(contact, 7, 150 * MS);
    while (session_contact_take_report(contact, 150 * MS, &report)) {
    }
    query.round = 9;
    query.sessions = asked;
    query.n_sessions = 4;
    EXPECT_OK(session_contact_answer(contact, 200 * MS + 999, &query, &report));
    EXPECT_EQ(report.round, 9);
    EXPECT_EQ(report.n_sessions, 2);
    EXPECT_EQ(report.sessions[0], 5);
    EXPECT_EQ(report.silent_ms[0], 100);
    EXPECT_EQ(report.sessions[1], 7);
    EXPECT_EQ(report.silent_ms[1], 50);
    session_contact_free(contact);
}

static void test_answers_are_made_even_when_empty(void)
{
    struct session_contact *contact = session_contact_new(0);
    Peer__SessionQuery query = PEER__SESSION_QUERY__INIT;
    Peer__SessionReport report;

    query.round = 3;
    EXPECT_OK(session_contact_answer(contact, 0, &query, &report));
    EXPECT_EQ(report.round, 3);
    EXPECT_EQ(report.n_sessions, 0);
    session_contact_free(contact);
}

static void test_queries_that_are_too_long_or_without_round_are_invalid(void)
{
    struct session_contact *contact = session_contact_new(0);
    uint64_t *asked = calloc(SESSION_CONTACT_QUERY_MAX + 1, sizeof *asked);
    Peer__SessionQuery query = PEER__SESSION_QUERY__INIT;
    Peer__SessionReport report;

    query.sessions = asked;
    query.n_sessions = SESSION_CONTACT_QUERY_MAX + 1;
    query.round = 1;
    EXPECT_EQ(session_contact_answer(contact, 0, &query, &report), STATUS_INVALID);
    query.n_sessions = SESSION_CONTACT_QUERY_MAX;
    EXPECT_OK(session_contact_answer(contact, 0, &query, &report));
    query.round = 0;
    EXPECT_EQ(session_contact_answer(contact, 0, &query, &report), STATUS_INVALID);
    free(asked);
    session_contact_free(contact);
}

static void test_same_session_many_times_in_a_query_fits(void)
{
    struct session_contact *contact = session_contact_new(0);
    uint64_t *asked = calloc(SESSION_CONTACT_QUERY_MAX, sizeof *asked);
    Peer__SessionQuery query = PEER__SESSION_QUERY__INIT;
    Peer__SessionReport report;

    for (size_t i = 0; i < SESSION_CONTACT_QUERY_MAX; i++) {
        asked[i] = 1;
    }
    session_contact_put(contact, 1);
    session_contact_heard(contact, 1, 0);
    query.sessions = asked;
    query.n_sessions = SESSION_CONTACT_QUERY_MAX;
    query.round = 1;
    EXPECT_OK(session_contact_answer(contact, 0, &query, &report));
    EXPECT_EQ(report.n_sessions, SESSION_CONTACT_QUERY_MAX);
    free(asked);
    session_contact_free(contact);
}

static void test_pause_of_this_process_does_not_count_as_silence(void)
{
    struct session_contact *contact = session_contact_new(0);
    uint64_t asked[] = {1};
    Peer__SessionQuery query = PEER__SESSION_QUERY__INIT;
    Peer__SessionReport report;

    session_contact_put(contact, 1);
    session_contact_heard(contact, 1, 100 * MS);
    session_contact_tick(contact, 200 * MS);
    session_contact_tick(contact, 60000 * MS);
    query.round = 1;
    query.sessions = asked;
    query.n_sessions = 1;
    EXPECT_OK(session_contact_answer(contact, 60100 * MS, &query, &report));
    EXPECT_EQ(report.silent_ms[0], 100 + 250 + 100);
    session_contact_free(contact);
}

static void test_dropped_sessions_are_forgotten(void)
{
    struct session_contact *contact = session_contact_new(0);
    Peer__SessionReport report;

    session_contact_put(contact, 1);
    session_contact_put(contact, 1);
    session_contact_put(contact, 2);
    EXPECT_EQ(session_contact_count(contact), 2);
    session_contact_heard(contact, 1, 0);
    session_contact_heard(contact, 2, 0);
    session_contact_drop(contact, 1);
    session_contact_drop(contact, 99);
    EXPECT(session_contact_take_report(contact, 0, &report));
    EXPECT_EQ(report.n_sessions, 1);
    EXPECT_EQ(report.sessions[0], 2);
    session_contact_free(contact);
}

static bool is_even(void *context, session_id id)
{
    (void)context;
    return id % 2 == 0;
}

static void test_what_was_heard_outlives_the_state(void)
{
    struct session_contact *contact = session_contact_new(0);
    uint64_t asked[] = {1, 2, 4};
    Peer__SessionQuery query = PEER__SESSION_QUERY__INIT;
    Peer__SessionReport report;

    for (session_id id = 1; id <= 4; id++) {
        session_contact_put(contact, id);
    }
    session_contact_heard(contact, 1, 100 * MS);
    session_contact_heard(contact, 2, 100 * MS);
    session_contact_retain(contact, is_even, NULL);
    session_contact_put(contact, 2); /* as all that the new state has are */
    EXPECT_EQ(session_contact_count(contact), 2);
    query.round = 1;
    query.sessions = asked;
    query.n_sessions = sizeof asked / sizeof asked[0];
    EXPECT_OK(session_contact_answer(contact, 250 * MS, &query, &report));
    EXPECT_EQ(report.n_sessions, 1);
    EXPECT_EQ(report.sessions[0], 2);
    EXPECT_EQ(report.silent_ms[0], 150);
    session_contact_free(contact);
}

static void test_reports_are_bounded_and_leave_nobody_out(void)
{
    struct session_contact *contact = session_contact_new(0);
    Peer__SessionReport report;
    uint64_t sum = 0;
    size_t messages = 0;

    for (session_id id = 1; id <= 20000; id++) {
        session_contact_put(contact, id);
        session_contact_heard(contact, id, id);
    }
    while (session_contact_take_report(contact, 20000, &report)) {
        EXPECT(report.n_sessions <= SESSION_CONTACT_REPORT_MAX);
        for (size_t i = 0; i < report.n_sessions; i++) {
            sum += report.sessions[i];
        }
        messages++;
    }
    EXPECT_EQ(messages, 3);
    EXPECT_EQ(sum, UINT64_C(20000) * 20001 / 2);
    session_contact_free(contact);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_reports_hold_who_was_heard_from_once),
        TEST_CASE(test_report_all_repeats_whoever_was_ever_heard_from),
        TEST_CASE(test_answer_tells_the_silence_of_those_asked_for),
        TEST_CASE(test_answers_are_made_even_when_empty),
        TEST_CASE(test_queries_that_are_too_long_or_without_round_are_invalid),
        TEST_CASE(test_same_session_many_times_in_a_query_fits),
        TEST_CASE(test_pause_of_this_process_does_not_count_as_silence),
        TEST_CASE(test_dropped_sessions_are_forgotten),
        TEST_CASE(test_what_was_heard_outlives_the_state),
        TEST_CASE(test_reports_are_bounded_and_leave_nobody_out),
        TEST_END};

    return test_main("session_contact", cases, argc, argv);
}
