#include "base/alloc.h"
#include "tests/support/state_lab.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERSISTENT RECORD__CREATE_MODE__PERSISTENT
#define EPHEMERAL  RECORD__CREATE_MODE__EPHEMERAL

static struct state_lab lab;

static void start(void)
{
    state_lab_init(&lab, 1 << 20);
}

static void stop(void)
{
    state_lab_release(&lab);
}

static void test_a_session_has_the_zxid_of_its_opening_as_id(void)
{
    struct state_session session;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_open(&lab, 'p', 5000), 2);
    EXPECT_EQ(lab.result.changes[0].kind, STATE_SESSION_OPENED);
    EXPECT_EQ(lab.result.changes[0].session, 2);
    EXPECT(state_session_find(lab.state, 2, &session));
    EXPECT_EQ(session.generation, 1);
    EXPECT_EQ(session.owner, 1);
    EXPECT_EQ(session.timeout_ms, 5000);
    EXPECT_EQ(session.last_sequence, 0);
    EXPECT_EQ(memcmp(session.password, "pppppppppppppppp", 16), 0);
    EXPECT(!state_session_find(lab.state, 1, &session));
    stop();
}

static void test_an_id_is_never_given_twice(void)
{
    session_id last = 0;

    start();
    for (unsigned i = 0; i < 8; i++) {
        session_id id = state_lab_open(&lab, 'p', 5000);

        EXPECT(id > last);
        last = id;
        EXPECT_EQ(i % 2 == 0 ? state_lab_close(&lab) : state_lab_expire(&lab, id, 1), OP_OK);
        if (i % 4 == 3) {
            state_lab_seal(&lab);
            state_lab_end(&lab);
            (void)state_lab_restart(&lab);
        }
    }
    stop();
}

static void test_timeouts_are_clamped(void)
{
    start();
    (void)state_lab_open(&lab, 'p', 0);
    EXPECT_EQ(lab.result.timeout_ms, STATE_SESSION_TIMEOUT_MS_MIN);
    (void)state_lab_open(&lab, 'p', UINT32_MAX);
    EXPECT_EQ(lab.result.timeout_ms, STATE_SESSION_TIMEOUT_MS_MAX);
    stop();
}

static void test_attaching_raises_the_generation(void)
{
    struct state_session session;
    session_id id;

    start();
    id = state_lab_open(&lab, 'p', 5000);
    EXPECT_EQ(state_lab_attach(&lab, id, 'p'), OP_OK);
    EXPECT_EQ(lab.result.generation, 2);
    EXPECT_EQ(lab.result.session, id);
    EXPECT(state_session_find(lab.state, id, &session));
    EXPECT_EQ(session.owner, 2);
    EXPECT_EQ(state_lab_attach(&lab, id, 'q'), OP_SESSION_EXPIRED);
    EXPECT_EQ(state_lab_attach(&lab, id + 1, 'p'), OP_SESSION_EXPIRED);
    EXPECT(state_session_find(lab.state, id, &session));
    EXPECT_EQ(session.generation, 2);
    stop();
}

static void test_a_write_of_an_older_generation_is_refused(void)
{
    session_id id;

    start();
    id = state_lab_open(&lab, 'p', 5000);
    EXPECT_EQ(state_lab_attach(&lab, id, 'p'), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_SESSION_MOVED);
    EXPECT_EQ(lab.result.operations[0].error, OP_NOT_EXECUTED);
    EXPECT_EQ(state_lab_close(&lab), OP_SESSION_MOVED);
    lab.generation = 3;
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_SESSION_MOVED);
    lab.generation = 2;
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_OK);
    lab.session = 77;
    EXPECT_EQ(state_lab_create(&lab, "/b", "", PERSISTENT), OP_SESSION_EXPIRED);
    stop();
}

static void test_the_end_takes_the_ephemerals_in_order_of_creation(void)
{
    struct state_stat stat;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/p", "", PERSISTENT), OP_OK);
    (void)state_lab_open(&lab, 'p', 5000);
    EXPECT_EQ(state_lab_create(&lab, "/z", "", EPHEMERAL), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/p/b", "", EPHEMERAL), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/a", "", EPHEMERAL), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/stays", "", PERSISTENT), OP_OK);
    EXPECT(state_lab_stat(&lab, "/a", &stat));
    EXPECT_EQ(stat.ephemeral_owner, lab.session);
    EXPECT_EQ(state_lab_close(&lab), OP_OK);
    EXPECT_EQ(lab.result.change_count, 4);
    EXPECT_BYTES(lab.result.changes[0].path, bytes_of_text("/z"));
    EXPECT_BYTES(lab.result.changes[1].path, bytes_of_text("/p/b"));
    EXPECT_BYTES(lab.result.changes[2].path, bytes_of_text("/a"));
    EXPECT_EQ(lab.result.changes[3].kind, STATE_SESSION_CLOSED);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "p,stays,zookeeper,");
    EXPECT(state_lab_stat(&lab, "/p", &stat));
    EXPECT_EQ(stat.pzxid, lab.result.zxid);
    EXPECT_EQ(stat.cversion, 2);
    EXPECT_EQ(state_session_count(lab.state), 0);
    EXPECT_EQ(state_lab_close(&lab), OP_SESSION_EXPIRED);
    stop();
}

/* One for each letter. */
static void make_ephemerals(const char *letters)
{
    for (; *letters != '\0'; letters++) {
        const char path[] = {'/', *letters, '\0'};

        EXPECT_EQ(state_lab_create(&lab, path, "", EPHEMERAL), OP_OK);
    }
}

static bool has_due(void)
{
    bool found = false;

    EXPECT_OK(state_has_due(lab.state, lab.time_ms, &found));
    return found;
}

static void test_what_the_end_of_a_session_leaves_is_swept(void)
{
    session_id first;
    session_id second;

    start();
    lab.end_count_max = 2;
    first = state_lab_open(&lab, 'p', 5000);
    make_ephemerals("abcde");
    second = state_lab_open(&lab, 'q', 5000);
    make_ephemerals("xy");
    EXPECT(!has_due());
    /* No more than it may take: nothing is left. */
    EXPECT_EQ(state_lab_expire(&lab, second, 1), OP_OK);
    EXPECT(!lab.result.ephemerals_left);
    EXPECT(!has_due());
    EXPECT_EQ(state_lab_expire(&lab, first, 1), OP_OK);
    EXPECT(lab.result.ephemerals_left);
    EXPECT_EQ(lab.result.change_count, 3);
    EXPECT_EQ(lab.result.changes[2].kind, STATE_SESSION_EXPIRED);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "c,d,e,zookeeper,");
    EXPECT_EQ(state_session_count(lab.state), 0);
    EXPECT(has_due());
    lab.session = first;
    lab.generation = 1;
    EXPECT_EQ(state_lab_create(&lab, "/f", "", EPHEMERAL), OP_SESSION_EXPIRED);
    EXPECT_EQ(state_lab_expire(&lab, first, 1), OP_SESSION_EXPIRED);
    lab.session = 0;
    EXPECT_EQ(state_lab_remove(&lab, "/d", -1), OP_OK);
    EXPECT_EQ(state_lab_sweep(&lab, 1), OP_OK);
    EXPECT_EQ(lab.result.change_count, 1);
    EXPECT_EQ(lab.result.changes[0].session, 0);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "e,zookeeper,");
    EXPECT(has_due());
    EXPECT_EQ(state_lab_sweep(&lab, STATE_SWEEP_COUNT_MAX), OP_OK);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "zookeeper,");
    EXPECT(!has_due());
    stop();
}

static void test_a_sweep_takes_what_several_sessions_left(void)
{
    start();
    lab.end_count_max = 1;
    for (size_t i = 0; i < 3; i++) {
        static const char *const names[] = {"abc", "de", "fg"};

        (void)state_lab_open(&lab, 'p', 5000);
        make_ephemerals(names[i]);
        EXPECT_EQ(state_lab_close(&lab), OP_OK);
        EXPECT(lab.result.ephemerals_left);
    }
    EXPECT_TEXT(state_lab_children(&lab, "/"), "b,c,e,g,zookeeper,");
    EXPECT_EQ(state_lab_sweep(&lab, 3), OP_OK);
    EXPECT_EQ(lab.result.change_count, 3);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "g,zookeeper,");
    /* Somebody else removed the last: there is nothing to sweep but what tells of it. */
    lab.session = 0;
    EXPECT_EQ(state_lab_remove(&lab, "/g", -1), OP_OK);
    EXPECT(has_due());
    EXPECT_EQ(state_lab_sweep(&lab, 3), OP_OK);
    EXPECT_EQ(lab.result.change_count, 0);
    EXPECT(!has_due());
    stop();
}

static void test_the_end_of_a_session_takes_so_many_bytes_at_most(void)
{
    enum { VALUE_BYTES = 1000 * 1000, NODES = 10 };
    char *value = xcalloc(1, VALUE_BYTES + 1);

    start();
    memset(value, 'v', VALUE_BYTES);
    lab.end_count_max = STATE_END_COUNT_MAX;
    (void)state_lab_open(&lab, 'p', 5000);
    for (int i = 0; i < NODES; i++) {
        char path[8];

        (void)snprintf(path, sizeof path, "/e%d", i);
        EXPECT_EQ(state_lab_create(&lab, path, value, EPHEMERAL), OP_OK);
    }
    EXPECT_EQ(state_lab_close(&lab), OP_OK);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "e9,zookeeper,");
    EXPECT(lab.result.ephemerals_left);
    free(value);
    stop();
}

/* As entries of a log ask that servers wrote who knew no bound. */
static void test_an_end_without_a_bound_takes_all(void)
{
    enum { NODES = STATE_END_COUNT_MAX + 10 };

    start();
    (void)state_lab_open(&lab, 'p', 5000);
    for (int i = 0; i < NODES; i++) {
        char path[16];

        (void)snprintf(path, sizeof path, "/e%d", i);
        EXPECT_EQ(state_lab_create(&lab, path, "", EPHEMERAL), OP_OK);
    }
    lab.end_count_max = STATE_END_COUNT_MAX + 1;
    EXPECT_EQ(state_lab_close(&lab), OP_LIMIT);
    lab.end_count_max = 0;
    EXPECT_EQ(state_lab_close(&lab), OP_OK);
    EXPECT_EQ(lab.result.change_count, NODES + 1);
    EXPECT(!lab.result.ephemerals_left);
    EXPECT(!has_due());
    stop();
}

static void test_anyone_may_remove_or_set_an_ephemeral(void)
{
    session_id owner;

    start();
    owner = state_lab_open(&lab, 'p', 5000);
    EXPECT_EQ(state_lab_create(&lab, "/e", "", EPHEMERAL), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/f", "", EPHEMERAL), OP_OK);
    lab.session = 0;
    EXPECT_EQ(state_lab_set(&lab, "/e", "x", 0), OP_OK);
    EXPECT_EQ(state_lab_remove(&lab, "/f", -1), OP_OK);
    EXPECT_EQ(state_lab_expire(&lab, owner, 1), OP_OK);
    EXPECT_EQ(lab.result.change_count, 2);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "zookeeper,");
    stop();
}

static void test_an_expiry_of_another_generation_is_void(void)
{
    session_id id;

    start();
    id = state_lab_open(&lab, 'p', 5000);
    EXPECT_EQ(state_lab_create(&lab, "/e", "", EPHEMERAL), OP_OK);
    EXPECT_EQ(state_lab_attach(&lab, id, 'p'), OP_OK);
    EXPECT_EQ(state_lab_expire(&lab, id, 1), OP_SESSION_MOVED);
    EXPECT_EQ(lab.result.change_count, 0);
    EXPECT_EQ(state_session_count(lab.state), 1);
    EXPECT_EQ(state_lab_expire(&lab, id, 2), OP_OK);
    EXPECT_EQ(lab.result.changes[lab.result.change_count - 1].kind, STATE_SESSION_EXPIRED);
    EXPECT_EQ(state_lab_expire(&lab, id, 2), OP_SESSION_EXPIRED);
    stop();
}

static void test_a_recreated_ephemeral_belongs_to_its_new_owner(void)
{
    struct state_stat stat;
    session_id first;
    session_id second;

    start();
    first = state_lab_open(&lab, 'p', 5000);
    EXPECT_EQ(state_lab_create(&lab, "/e", "", EPHEMERAL), OP_OK);
    EXPECT_EQ(state_lab_remove(&lab, "/e", -1), OP_OK);
    second = state_lab_open(&lab, 'q', 5000);
    EXPECT_EQ(state_lab_create(&lab, "/e", "", EPHEMERAL), OP_OK);
    EXPECT_EQ(state_lab_expire(&lab, first, 1), OP_OK);
    EXPECT(state_lab_stat(&lab, "/e", &stat));
    EXPECT_EQ(stat.ephemeral_owner, second);
    stop();
}

static void test_a_repeated_write_takes_effect_once(void)
{
    struct state_stat stat;
    struct state_stat first;
    zxid at;

    start();
    (void)state_lab_open(&lab, 'p', 5000);
    lab.sequence = 1;
    EXPECT_EQ(state_lab_create(&lab, "/n-", "", RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL), OP_OK);
    at = lab.result.zxid;
    first = lab.result.operations[0].stat;
    EXPECT(!lab.result.repeated);
    lab.sequence = 1;
    EXPECT_EQ(state_lab_create(&lab, "/n-", "", RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL), OP_OK);
    EXPECT(lab.result.repeated);
    EXPECT_EQ(lab.result.zxid, at);
    EXPECT_EQ(lab.result.change_count, 0);
    EXPECT_BYTES(lab.result.operations[0].path, bytes_of_text("/n-0000000000"));
    EXPECT(state_lab_stat_equal(&lab.result.operations[0].stat, &first));
    EXPECT(lab.result.operations[0].created);
    EXPECT(!state_lab_stat(&lab, "/n-0000000001", &stat));
    stop();
}

static void test_errors_are_kept_too(void)
{
    start();
    (void)state_lab_open(&lab, 'p', 5000);
    lab.sequence = 1;
    EXPECT_EQ(state_lab_remove(&lab, "/a", -1), OP_NO_NODE);
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_OK);
    lab.sequence = 1;
    EXPECT_EQ(state_lab_remove(&lab, "/a", -1), OP_NO_NODE);
    EXPECT(lab.result.repeated);
    EXPECT_EQ(lab.result.operations[0].error, OP_NO_NODE);
    EXPECT_TEXT(state_lab_value(&lab, "/a"), "");
    stop();
}

static void test_a_gap_is_refused_and_does_not_count(void)
{
    struct state_session session;

    start();
    (void)state_lab_open(&lab, 'p', 5000);
    lab.sequence = 2;
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_SEQUENCE_GAP);
    EXPECT_EQ(lab.result.operations[0].error, OP_NOT_EXECUTED);
    lab.sequence = UINT64_MAX;
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_SEQUENCE_GAP);
    EXPECT(state_session_find(lab.state, lab.session, &session));
    EXPECT_EQ(session.last_sequence, 0);
    lab.sequence = 1;
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_OK);
    stop();
}

static void test_a_confirmed_result_is_forgotten(void)
{
    struct state_digest kept;

    start();
    (void)state_lab_open(&lab, 'p', 5000);
    lab.sequence = 1;
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_set(&lab, "/a", "2", -1), OP_OK);
    kept = state_digest(lab.state);
    lab.confirmed = 1;
    EXPECT_EQ(state_lab_set(&lab, "/a", "3", -1), OP_OK);
    EXPECT_EQ(state_digest(lab.state).record_count, kept.record_count);
    lab.sequence = 1;
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_SEQUENCE_FORGOTTEN);
    lab.sequence = 2;
    EXPECT_EQ(state_lab_set(&lab, "/a", "2", -1), OP_OK);
    EXPECT(lab.result.repeated);
    EXPECT_TEXT(state_lab_value(&lab, "/a"), "3");
    stop();
}

static void test_confirming_more_than_there_was_confirms_what_there_was(void)
{
    start();
    (void)state_lab_open(&lab, 'p', 5000);
    lab.sequence = 1;
    lab.confirmed = UINT64_MAX;
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_OK);
    lab.confirmed = 0;
    lab.sequence = 1;
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_OK);
    EXPECT(lab.result.repeated);
    stop();
}

static void test_too_many_unconfirmed_writes_are_refused_until_some_are_confirmed(void)
{
    start();
    (void)state_lab_open(&lab, 'p', 5000);
    lab.sequence = 1;
    for (size_t i = 0; i < STATE_KEPT_RESULTS_MAX; i++) {
        EXPECT_EQ(state_lab_set(&lab, "/", "x", -1), OP_OK);
    }
    EXPECT_EQ(state_lab_set(&lab, "/", "y", -1), OP_TOO_MANY_UNCONFIRMED);
    EXPECT_TEXT(state_lab_value(&lab, "/"), "x");
    lab.sequence = 5;
    EXPECT_EQ(state_lab_set(&lab, "/", "y", -1), OP_OK);
    EXPECT(lab.result.repeated);
    lab.sequence = STATE_KEPT_RESULTS_MAX + 1;
    lab.confirmed = 1;
    EXPECT_EQ(state_lab_set(&lab, "/", "y", -1), OP_OK);
    EXPECT(!lab.result.repeated);
    stop();
}

static void test_the_end_of_a_session_forgets_its_results(void)
{
    struct state_digest before;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_OK);
    before = state_digest(lab.state);
    (void)state_lab_open(&lab, 'p', 5000);
    lab.sequence = 1;
    for (size_t i = 0; i < 10; i++) {
        EXPECT_EQ(state_lab_set(&lab, "/missing", "", -1), OP_NO_NODE);
    }
    EXPECT_EQ(state_lab_close(&lab), OP_OK);
    EXPECT_EQ(state_digest(lab.state).record_count, before.record_count);
    EXPECT_EQ(state_digest(lab.state).sum, before.sum);
    stop();
}

static void test_sessions_and_results_survive_a_restart(void)
{
    struct state_session session;
    session_id id;

    start();
    id = state_lab_open(&lab, 'p', 5000);
    lab.sequence = 1;
    EXPECT_EQ(state_lab_create(&lab, "/e", "", EPHEMERAL), OP_OK);
    EXPECT_EQ(state_lab_remove(&lab, "/missing", -1), OP_NO_NODE);
    state_lab_seal(&lab);
    state_lab_end(&lab);
    EXPECT_EQ(state_lab_restart(&lab), 3);
    EXPECT(state_session_find(lab.state, id, &session));
    EXPECT_EQ(session.last_sequence, 2);
    EXPECT_EQ(memcmp(session.password, "pppppppppppppppp", 16), 0);
    lab.sequence = 2;
    EXPECT_EQ(state_lab_remove(&lab, "/missing", -1), OP_NO_NODE);
    EXPECT(lab.result.repeated);
    EXPECT_EQ(lab.result.zxid, 3);
    EXPECT_EQ(state_lab_close(&lab), OP_OK);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "zookeeper,");
    stop();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_session_has_the_zxid_of_its_opening_as_id),
        TEST_CASE(test_an_id_is_never_given_twice),
        TEST_CASE(test_timeouts_are_clamped),
        TEST_CASE(test_attaching_raises_the_generation),
        TEST_CASE(test_a_write_of_an_older_generation_is_refused),
        TEST_CASE(test_the_end_takes_the_ephemerals_in_order_of_creation),
        TEST_CASE(test_what_the_end_of_a_session_leaves_is_swept),
        TEST_CASE(test_a_sweep_takes_what_several_sessions_left),
        TEST_CASE(test_the_end_of_a_session_takes_so_many_bytes_at_most),
        TEST_CASE(test_an_end_without_a_bound_takes_all),
        TEST_CASE(test_anyone_may_remove_or_set_an_ephemeral),
        TEST_CASE(test_an_expiry_of_another_generation_is_void),
        TEST_CASE(test_a_recreated_ephemeral_belongs_to_its_new_owner),
        TEST_CASE(test_a_repeated_write_takes_effect_once),
        TEST_CASE(test_errors_are_kept_too),
        TEST_CASE(test_a_gap_is_refused_and_does_not_count),
        TEST_CASE(test_a_confirmed_result_is_forgotten),
        TEST_CASE(test_confirming_more_than_there_was_confirms_what_there_was),
        TEST_CASE(test_too_many_unconfirmed_writes_are_refused_until_some_are_confirmed),
        TEST_CASE(test_the_end_of_a_session_forgets_its_results),
        TEST_CASE(test_sessions_and_results_survive_a_restart),
        TEST_END,
    };

    return test_main("sessions", cases, argc, argv);
}
