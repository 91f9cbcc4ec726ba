/* The public calls while connections break, answers are lost and servers refuse. */
#include <confer.h>

#include "base/prng.h"
#include "tests/unit/client/confer_lab.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_a_write_whose_answer_was_lost_takes_effect_once(void)
{
    static const enum fake_fate fates[] = {FAKE_DROP_BEFORE, FAKE_DROP_AFTER, FAKE_UNKNOWN_BEFORE,
                                           FAKE_UNKNOWN_AFTER, FAKE_GARBAGE};

    for (size_t i = 0; i < sizeof fates / sizeof fates[0]; i++) {
        struct script script = {
            .field = CLIENT__REQUEST__BODY_WRITE, .verdict = {.fate = fates[i]}, .count = 2};
        struct fake_server *server = fake_server_start(2, follow, &script);
        struct confer *confer = open_with(fake_server_addresses(server), true, NULL);

        EXPECT_EQ(confer_create(confer, "/a", "1", 1, NULL, NULL, NULL), CONFER_OK);
        EXPECT_EQ(fake_server_applied(server), 1);
        EXPECT_EQ(atomic_load(&script.count), 0);
        confer_close(confer);
        fake_server_stop(server);
    }
}

static void test_without_a_session_the_outcome_is_unknown(void)
{
    struct script script = {
        .field = CLIENT__REQUEST__BODY_WRITE, .verdict = {.fate = FAKE_DROP_AFTER}, .count = 1};
    struct fake_server *server = fake_server_start(1, follow, &script);
    struct confer *confer = open_with(fake_server_addresses(server), false, NULL);
    struct confer_result *result = NULL;

    EXPECT_EQ(confer_create(confer, "/a", "1", 1, NULL, NULL, &result), CONFER_UNKNOWN_OUTCOME);
    EXPECT_CONTAINS(result->message, "may have taken effect");
    confer_result_free(result);
    EXPECT_EQ(confer_get(confer, "/a", 0, NULL, NULL), CONFER_OK);
    confer_close(confer);
    fake_server_stop(server);
}

/* A third of all requests meet some fault; NO_SPACE is for good. */
struct chaos {
    struct prng prng;
    atomic_bool is_on;
};

static struct fake_verdict afflict(void *context, size_t port, const Client__Request *request)
{
    static const struct fake_verdict verdicts[] = {
        {.fate = FAKE_DROP_BEFORE},
        {.fate = FAKE_DROP_AFTER},
        {.fate = FAKE_UNKNOWN_BEFORE},
        {.fate = FAKE_UNKNOWN_AFTER},
        {.fate = FAKE_REFUSE, .code = CLIENT__CODE__NO_LEADER},
        {.fate = FAKE_REFUSE, .code = CLIENT__CODE__BUSY},
        {.fate = FAKE_REFUSE, .code = CLIENT__CODE__BEHIND},
        {.fate = FAKE_REFUSE, .code = CLIENT__CODE__NO_SPACE},
        {.fate = FAKE_REFUSE, .code = CLIENT__CODE__BAD_ARGUMENTS},
        {.fate = FAKE_REFUSE, .code = CLIENT__CODE__TOO_MANY_UNCONFIRMED}};
    struct chaos *chaos = context;

    (void)port;
    if (!atomic_load(&chaos->is_on) || request->body_case != CLIENT__REQUEST__BODY_WRITE ||
        prng_below(&chaos->prng, 8) != 0) {
        return (struct fake_verdict){.fate = FAKE_SERVE};
    }
    return verdicts[prng_below(&chaos->prng, sizeof verdicts / sizeof verdicts[0])];
}

enum { CHAOS_WRITES = 250 };

struct chaos_write {
    struct tally *tally;
    int status;
    char path[64];
};

static void note_write(struct confer *confer, struct confer_result *result, void *argument)
{
    struct chaos_write *write = argument;

    (void)confer;
    write->status = (int)result->status;
    (void)snprintf(write->path, sizeof write->path, "%s", result->path);
    confer_result_free(result);
    (void)atomic_fetch_add(&write->tally->total, 1);
}

static void test_every_write_is_applied_as_often_as_it_says_under_random_faults(void)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct chaos chaos = {.is_on = true};
        struct confer_create sequential = {.mode = CONFER_PERSISTENT_SEQUENTIAL};
        struct confer_call patient = {.timeout_ms = 60000};
        static struct chaos_write writes[CHAOS_WRITES];
        struct tally tally = {.total = 0};
        struct fake_server *server;
        struct confer *confer;
        uint64_t ok = 0;

        prng_init(&chaos.prng, seed);
        server = fake_server_start(3, afflict, &chaos);
        confer = open_with(fake_server_addresses(server), true, NULL);
        for (size_t i = 0; i < CHAOS_WRITES; i++) {
            char value[16];
            int bytes = snprintf(value, sizeof value, "%zu", i);

            writes[i] = (struct chaos_write){.tally = &tally};
            EXPECT_EQ(confer_create_async(confer, "/w-", value, (size_t)bytes, &sequential,
                                          &patient, note_write, &writes[i]),
                      CONFER_OK);
            /* Bursts and single writes. */
            if (i % 16 == 0) {
                WAIT_UNTIL((size_t)atomic_load(&tally.total) + 8 > i);
            }
        }
        WAIT_UNTIL(atomic_load(&tally.total) == CHAOS_WRITES);
        for (size_t i = 0; i < CHAOS_WRITES; i++) {
            char value[16];

            (void)snprintf(value, sizeof value, "%zu", i);
            if (writes[i].status == CONFER_OK) {
                expect_value(server, writes[i].path, value);
                ok++;
            } else {
                if (writes[i].status != CONFER_BAD_ARGUMENTS) {
                    EXPECT_EQ(writes[i].status, CONFER_NO_SPACE);
                }
            }
        }
        if (fake_server_applied(server) != ok) {
            (void)printf("seed %llu\n", (unsigned long long)seed);
        }
        EXPECT_EQ(fake_server_applied(server), ok);
        EXPECT(ok > CHAOS_WRITES / 2);
        atomic_store(&chaos.is_on, false);
        EXPECT_EQ(set(confer, "/after", "1"), CONFER_OK);
        confer_close(confer);
        fake_server_stop(server);
    }
}

static void test_a_timed_out_write_does_not_block_those_after_it(void)
{
    struct script script = {
        .field = CLIENT__REQUEST__BODY_WRITE, .verdict = {.fate = FAKE_SILENT}, .count = 1};
    struct fake_server *server = fake_server_start(1, follow, &script);
    struct confer *confer = open_with(fake_server_addresses(server), true, NULL);
    struct confer_call quick = {.timeout_ms = 50};
    struct confer_result *result = NULL;

    EXPECT_EQ(confer_set(confer, "/a", "1", 1, CONFER_ANY_VERSION, &quick, &result),
              CONFER_TIMEOUT);
    EXPECT_CONTAINS(result->message, "timed out after 50 ms");
    EXPECT_CONTAINS(result->message, fake_server_addresses(server));
    confer_result_free(result);
    fake_server_disconnect(server);
    EXPECT_EQ(set(confer, "/b", "2"), CONFER_OK);
    /* Nobody waited for it any more, and it was not applied: it is let go. */
    EXPECT_EQ(fake_server_applied(server), 1);
    confer_close(confer);
    fake_server_stop(server);
}

/* Get something in vain. The time may be up just when a server has taken a connection that it is
 * about to close: then that is told, and it is not what the case is about. */
static struct confer_result *time_out(struct confer *confer)
{
    struct confer_call quick = {.timeout_ms = 300};
    struct confer_result *result = NULL;

    for (int tries = 0; tries < 20; tries++) {
        confer_result_free(result);
        EXPECT_EQ(confer_get(confer, "/a", 0, &quick, &result), CONFER_TIMEOUT);
        if (strstr(result->message, "takes connections but opens no session") == NULL) {
            break;
        }
    }
    return result;
}

static void test_a_timeout_without_a_server_names_each_server_and_its_trouble(void)
{
    struct fake_server *server = fake_server_start(2, NULL, NULL);
    struct confer_result *result;
    struct confer *confer;

    fake_server_shut(server, 0, true);
    fake_server_shut(server, 1, true);
    confer = open_with(fake_server_addresses(server), true, NULL);
    result = time_out(confer);
    EXPECT_CONTAINS(result->message, "cannot reach any of 2 servers");
    EXPECT_CONTAINS(result->message, fake_server_address(server, 0));
    EXPECT_CONTAINS(result->message, fake_server_address(server, 1));
    confer_result_free(result);
    fake_server_shut(server, 1, false);
    EXPECT_EQ(confer_get(confer, "/", 0, NULL, NULL), CONFER_OK);
    confer_close(confer);
    fake_server_stop(server);
}

static void test_a_server_without_cluster_is_told_at_once(void)
{
    struct script script = {.field = CLIENT__REQUEST__BODY_OPEN_SESSION,
                            .verdict = {.fate = FAKE_REFUSE, .code = CLIENT__CODE__NO_CLUSTER},
                            .count = -1};
    struct fake_server *server = fake_server_start(2, follow, &script);
    struct confer *confer = open_with(fake_server_addresses(server), true, NULL);
    struct confer_result *result = NULL;

    EXPECT_EQ(confer_get(confer, "/", 0, NULL, &result), CONFER_NO_CLUSTER);
    EXPECT_CONTAINS(result->message, "init");
    confer_result_free(result);
    atomic_store(&script.count, 0);
    WAIT_UNTIL(confer_state(confer) == CONFER_STATE_CONNECTED);
    EXPECT_EQ(confer_get(confer, "/", 0, NULL, NULL), CONFER_OK);
    confer_close(confer);

    script.field = CLIENT__REQUEST__BODY_GET;
    atomic_store(&script.count, -1);
    confer = open_with(fake_server_addresses(server), false, NULL);
    EXPECT_EQ(confer_get(confer, "/", 0, NULL, NULL), CONFER_NO_CLUSTER);
    atomic_store(&script.count, 0);
    EXPECT_EQ(confer_get(confer, "/", 0, NULL, NULL), CONFER_OK);
    confer_close(confer);
    fake_server_stop(server);
}

/* The server at port 0 was removed from the cluster; `context` counts what it is asked. */
static struct fake_verdict removed_first(void *context, size_t port, const Client__Request *request)
{
    struct fake_verdict verdict = {.fate = FAKE_SERVE};

    (void)request;
    if (port == 0) {
        (void)atomic_fetch_add((atomic_int *)context, 1);
        verdict.fate = FAKE_REFUSE;
        verdict.code = CLIENT__CODE__NOT_MEMBER;
    }
    return verdict;
}

static void test_a_removed_server_is_left_at_once(void)
{
    atomic_int asked = 0;
    struct fake_server *server = fake_server_start(2, removed_first, &asked);
    struct confer_result *result = NULL;
    struct confer *confer;

    for (int i = 0; i < 6; i++) {
        confer = open_with(fake_server_addresses(server), i % 2 == 0, NULL);
        EXPECT_EQ(confer_get(confer, "/", 0, NULL, NULL), CONFER_OK);
        EXPECT(atomic_exchange(&asked, 0) <= 1);
        confer_close(confer);
    }
    confer = open_with(fake_server_address(server, 0), false, NULL);
    EXPECT_EQ(confer_get(confer, "/", 0, NULL, &result), CONFER_NOT_MEMBER);
    EXPECT_CONTAINS(result->message, "not a member");
    confer_result_free(result);
    confer_close(confer);
    fake_server_stop(server);
}

static void test_reads_are_repeated_elsewhere_when_a_server_is_behind(void)
{
    struct script script = {.field = CLIENT__REQUEST__BODY_GET,
                            .verdict = {.fate = FAKE_REFUSE, .code = CLIENT__CODE__BEHIND},
                            .count = 3};
    struct fake_server *server = fake_server_start(3, follow, &script);
    struct confer *confer = open_with(fake_server_addresses(server), true, NULL);

    EXPECT_EQ(confer_get(confer, "/", 0, NULL, NULL), CONFER_OK);
    EXPECT_EQ(atomic_load(&script.count), 0);
    EXPECT_EQ(fake_server_sessions(server), 1);
    confer_close(confer);
    fake_server_stop(server);
}

/* --- Credentials --- */

/* What came, a letter a request: A uthenticate, O pen, T attach, G et, other requests not at all.
 */
struct diary {
    pthread_mutex_t mutex;
    char letters[128];
    size_t count;
    struct fake_verdict of_authenticate;
};

static struct fake_verdict write_diary(void *context, size_t port, const Client__Request *request)
{
    struct fake_verdict verdict = {.fate = FAKE_SERVE};
    struct diary *diary = context;
    char letter = '\0';

    (void)port;
    (void)pthread_mutex_lock(&diary->mutex);
    switch ((int)request->body_case) {
    case CLIENT__REQUEST__BODY_AUTHENTICATE:
        letter = 'A';
        verdict = diary->of_authenticate;
        break;
    case CLIENT__REQUEST__BODY_OPEN_SESSION:
        letter = 'O';
        break;
    case CLIENT__REQUEST__BODY_ATTACH_SESSION:
        letter = 'T';
        break;
    case CLIENT__REQUEST__BODY_GET:
        letter = 'G';
        break;
    default:
        break;
    }
    if (letter != '\0' && diary->count < sizeof diary->letters - 1) {
        diary->letters[diary->count++] = letter;
    }
    (void)pthread_mutex_unlock(&diary->mutex);
    return verdict;
}

/* Opening or attaching a session gets no answer as long as `holds`. */
struct held_sessions {
    atomic_bool holds;
    atomic_int held;
};

static struct fake_verdict hold_sessions(void *context, size_t port, const Client__Request *request)
{
    struct held_sessions *sessions = context;
    bool asks = request->body_case == CLIENT__REQUEST__BODY_OPEN_SESSION ||
                request->body_case == CLIENT__REQUEST__BODY_ATTACH_SESSION;

    (void)port;
    if (!asks || !atomic_load(&sessions->holds)) {
        return (struct fake_verdict){.fate = FAKE_SERVE};
    }
    (void)atomic_fetch_add(&sessions->held, 1);
    return (struct fake_verdict){.fate = FAKE_SILENT};
}

/* A notice of something that is seen later tells that those before it were taken. */
static void expect_no_news_of_the_session(struct fake_server *server, struct states *states)
{
    int before = atomic_load(&states->count);

    fake_server_notice(server, CLIENT__NOTICE_KIND__LEADER_LOST, CLIENT__CODE__NO_LEADER);
    fake_server_notice(server, CLIENT__NOTICE_KIND__LEADER_FOUND, CLIENT__CODE__OK);
    fake_server_disconnect(server);
    WAIT_UNTIL(fake_server_connections(server) > 0);
    EXPECT_EQ(atomic_load(&states->count), before);
}

static void test_news_of_a_leader_say_nothing_of_a_session_not_attached_yet(void)
{
    struct held_sessions sessions = {.holds = true};
    struct states states = {.count = 0};
    struct fake_server *server = fake_server_start(1, hold_sessions, &sessions);
    struct confer *confer = open_with(fake_server_addresses(server), true, &states);

    WAIT_UNTIL(atomic_load(&sessions.held) == 1);
    expect_no_news_of_the_session(server, &states);
    atomic_store(&sessions.holds, false);
    fake_server_disconnect(server);
    WAIT_UNTIL(atomic_load(&states.count) == 1);
    EXPECT_EQ(atomic_load(&states.seen[0]), CONFER_STATE_CONNECTED);
    EXPECT(confer_session_id(confer) != 0);
    atomic_store(&sessions.held, 0);
    atomic_store(&sessions.holds, true);
    fake_server_disconnect(server);
    WAIT_UNTIL(atomic_load(&sessions.held) == 1);
    EXPECT_EQ(atomic_load(&states.seen[1]), CONFER_STATE_SUSPENDED);
    expect_no_news_of_the_session(server, &states);
    atomic_store(&sessions.holds, false);
    fake_server_disconnect(server);
    WAIT_UNTIL(atomic_load(&states.count) == 3);
    EXPECT_EQ(atomic_load(&states.seen[2]), CONFER_STATE_RECONNECTED);
    confer_close(confer);
    fake_server_stop(server);
}

static struct confer *open_as(const char *servers, bool session)
{
    const struct confer_credential credentials[] = {{"digest", "ann:secret", 10},
                                                    {"digest", "bob:secret", 10}};
    struct confer_options options;
    struct confer *confer = NULL;

    confer_options_init(&options);
    options.no_session = !session;
    options.credentials = credentials;
    options.credential_count = 2;
    EXPECT_EQ(confer_open(servers, &options, &confer), CONFER_OK);
    return confer;
}

static void test_credentials_come_first_on_every_connection(void)
{
    for (int session = 0; session < 2; session++) {
        struct diary diary = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                              .of_authenticate = {.fate = FAKE_SERVE}};
        struct fake_server *server = fake_server_start(1, write_diary, &diary);
        struct confer *confer = open_as(fake_server_addresses(server), session != 0);

        EXPECT_EQ(confer_get(confer, "/", 0, NULL, NULL), CONFER_OK);
        fake_server_disconnect(server);
        WAIT_UNTIL(confer_state(confer) == CONFER_STATE_RECONNECTED);
        EXPECT_EQ(confer_get(confer, "/", 0, NULL, NULL), CONFER_OK);
        confer_close(confer);
        fake_server_stop(server);
        EXPECT_TEXT(diary.letters, session != 0 ? "AAOGAATG" : "AAGAAG");
    }
}

static void test_credentials_that_are_refused_fail_the_calls(void)
{
    struct diary diary = {
        .mutex = PTHREAD_MUTEX_INITIALIZER,
        .of_authenticate = {.fate = FAKE_REFUSE, .code = CLIENT__CODE__AUTH_FAILED}};
    struct fake_server *server = fake_server_start(1, write_diary, &diary);
    struct confer *confer = open_as(fake_server_addresses(server), true);
    struct confer_result *result = NULL;

    EXPECT_EQ(confer_get(confer, "/", 0, NULL, &result), CONFER_AUTH_FAILED);
    EXPECT_CONTAINS(result->message, "credentials");
    EXPECT_EQ(strstr(result->message, "secret") == NULL, true);
    confer_result_free(result);
    (void)pthread_mutex_lock(&diary.mutex);
    EXPECT(strchr(diary.letters, 'G') == NULL);
    diary.of_authenticate.fate = FAKE_SERVE;
    (void)pthread_mutex_unlock(&diary.mutex);
    WAIT_UNTIL(confer_state(confer) == CONFER_STATE_CONNECTED);
    EXPECT_EQ(confer_get(confer, "/", 0, NULL, NULL), CONFER_OK);
    confer_close(confer);
    fake_server_stop(server);
}

static void test_credentials_that_say_nothing_are_refused_at_once(void)
{
    struct confer_credential credential = {"digest", "ann:secret", 0};
    struct confer_options options;
    struct confer *confer = NULL;

    confer_options_init(&options);
    options.credentials = &credential;
    options.credential_count = 1;
    EXPECT_EQ(confer_open("127.0.0.1:1", &options, &confer), CONFER_INVALID_ARGUMENT);
    credential = (struct confer_credential){"", "ann:secret", 10};
    EXPECT_EQ(confer_open("127.0.0.1:1", &options, &confer), CONFER_INVALID_ARGUMENT);
    options.credential_count = CONFER_CREDENTIALS_MAX + 1;
    EXPECT_EQ(confer_open("127.0.0.1:1", &options, &confer), CONFER_INVALID_ARGUMENT);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_write_whose_answer_was_lost_takes_effect_once),
        TEST_CASE(test_without_a_session_the_outcome_is_unknown),
        TEST_CASE(test_every_write_is_applied_as_often_as_it_says_under_random_faults),
        TEST_CASE(test_a_timed_out_write_does_not_block_those_after_it),
        TEST_CASE(test_a_timeout_without_a_server_names_each_server_and_its_trouble),
        TEST_CASE(test_a_server_without_cluster_is_told_at_once),
        TEST_CASE(test_a_removed_server_is_left_at_once),
        TEST_CASE(test_reads_are_repeated_elsewhere_when_a_server_is_behind),
        TEST_CASE(test_news_of_a_leader_say_nothing_of_a_session_not_attached_yet),
        TEST_CASE(test_credentials_come_first_on_every_connection),
        TEST_CASE(test_credentials_that_are_refused_fail_the_calls),
        TEST_CASE(test_credentials_that_say_nothing_are_refused_at_once),
        TEST_END};
    return test_main("confer_faults", cases, argc, argv);
}
