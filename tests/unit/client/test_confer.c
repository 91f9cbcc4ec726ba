/* The public calls against a small cluster in a thread of the test. */
#include <confer.h>
#include <confer_event.h>

#include "base/clock.h"
#include "base/prng.h"
#include "tests/support/test.h"
#include "tests/unit/client/fake_server.h"

#include <event2/event.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_US = 60 * 1000 * 1000 };

/* Goes on as soon as the condition holds; fails when it never does. */
#define WAIT_UNTIL(condition)                                                                      \
    do {                                                                                           \
        uint64_t wait_end = clock_monotonic_us() + DEADLINE_US;                                    \
        while (!(condition) && clock_monotonic_us() < wait_end) {                                  \
            (void)sched_yield();                                                                   \
        }                                                                                          \
        EXPECT(condition);                                                                         \
    } while (0)

/* --- What goes wrong, by the field of the request --- */

struct script {
    Client__Request__BodyCase field;
    struct fake_verdict verdict;
    atomic_int count; /* so often; <0 = always */
};

static struct fake_verdict follow(void *context, size_t port, const Client__Request *request)
{
    struct script *script = context;

    (void)port;
    if (request->body_case == script->field && atomic_load(&script->count) != 0) {
        (void)atomic_fetch_sub(&script->count, 1);
        return script->verdict;
    }
    return (struct fake_verdict){.fate = FAKE_SERVE};
}

/* --- Completions --- */

struct tally {
    atomic_int total;
    atomic_int ok;
    atomic_int others;
    atomic_int last; /* status */
};

static void count_result(struct confer *confer, struct confer_result *result, void *argument)
{
    struct tally *tally = argument;

    (void)confer;
    atomic_store(&tally->last, (int)result->status);
    (void)atomic_fetch_add(result->status == CONFER_OK ? &tally->ok : &tally->others, 1);
    confer_result_free(result);
    (void)atomic_fetch_add(&tally->total, 1);
}

struct states {
    atomic_int count;
    atomic_int seen[32];
};

static void note_state(struct confer *confer, enum confer_state state, void *argument)
{
    struct states *states = argument;

    (void)confer;
    atomic_store(&states->seen[atomic_load(&states->count)], (int)state);
    (void)atomic_fetch_add(&states->count, 1);
}

static struct confer *open_with(const char *servers, bool session, struct states *states)
{
    struct confer_options options;
    struct confer *confer = NULL;

    confer_options_init(&options);
    options.no_session = !session;
    options.on_state = states == NULL ? NULL : note_state;
    options.argument = states;
    EXPECT_EQ(confer_open(servers, &options, &confer), CONFER_OK);
    return confer;
}

static enum confer_status set(struct confer *confer, const char *path, const char *value)
{
    return confer_set(confer, path, value, strlen(value), CONFER_ANY_VERSION, NULL, NULL);
}

static void expect_value(struct fake_server *server, const char *path, const char *expected)
{
    char *value = fake_server_value(server, path);

    EXPECT_TEXT(value, expected);
    free(value);
}

/* --- Plain calls --- */

static void test_what_is_set_is_read_listed_and_removed(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), true, NULL);
    struct confer_result *result = NULL;

    EXPECT_EQ(confer_set(confer, "/a", "x\0y", 3, CONFER_ANY_VERSION, NULL, &result), CONFER_OK);
    EXPECT(result->created);
    EXPECT_EQ(result->zxid, fake_server_zxid(server));
    confer_result_free(result);
    EXPECT_EQ(confer_get(confer, "/a", 0, NULL, &result), CONFER_OK);
    EXPECT_BYTES(bytes_of(result->value, result->value_bytes + 1), bytes_of("x\0y", 4));
    EXPECT_TEXT(result->server, fake_server_addresses(server));
    EXPECT_TEXT(result->message, "ok");
    confer_result_free(result);
    EXPECT_EQ(confer_exists(confer, "/a", NULL, &result), CONFER_OK);
    EXPECT(result->exists);
    confer_result_free(result);
    EXPECT_EQ(confer_exists(confer, "/b", NULL, &result), CONFER_OK);
    EXPECT(!result->exists);
    confer_result_free(result);
    EXPECT_EQ(confer_get(confer, "/b", 0, NULL, &result), CONFER_NO_NODE);
    EXPECT_TEXT(result->message, "no such node");
    EXPECT_TEXT(result->value, "");
    confer_result_free(result);
    EXPECT_EQ(confer_create(confer, "/a", NULL, 0, NULL, NULL, NULL), CONFER_NODE_EXISTS);
    EXPECT_EQ(confer_set(confer, "/a", "z", 1, 7, NULL, NULL), CONFER_BAD_VERSION);
    EXPECT_EQ(confer_remove(confer, "/a", CONFER_ANY_VERSION, NULL, NULL), CONFER_OK);
    EXPECT_EQ(confer_get(confer, "/a", 0, NULL, NULL), CONFER_NO_NODE);
    confer_close(confer);
    fake_server_stop(server);
}

static void test_a_transaction_reports_each_operation(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), true, NULL);
    struct confer_transaction *transaction = confer_transaction_new();
    struct confer_result *result = NULL;

    EXPECT_EQ(confer_commit(confer, transaction, NULL, NULL), CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_transaction_create(transaction, "/t", "1", 1, NULL), CONFER_OK);
    EXPECT_EQ(confer_transaction_set(transaction, "/t", "2", 1, 0), CONFER_OK);
    EXPECT_EQ(confer_commit(confer, transaction, NULL, &result), CONFER_OK);
    EXPECT_EQ(result->operation_count, 2);
    confer_result_free(result);
    expect_value(server, "/t", "2");
    EXPECT_EQ(confer_transaction_remove(transaction, "t", 0), CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_commit(confer, transaction, NULL, &result), CONFER_INVALID_ARGUMENT);
    confer_result_free(result);
    confer_transaction_free(transaction);
    confer_close(confer);
    fake_server_stop(server);
}

static void test_iterators_page_inside(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), false, NULL);
    struct confer_iterator *iterator = NULL;
    const struct confer_node *node = NULL;
    unsigned count = 0;
    char text[32];

    for (unsigned i = 0; i < 25; i++) {
        (void)snprintf(text, sizeof text, "/c%03u", i);
        (void)fake_server_set(server, text, "v");
    }
    fake_server_set_paging(server, 4, NULL);
    EXPECT_EQ(confer_list_begin(confer, "/", NULL, NULL, &iterator), CONFER_OK);
    while (confer_next(iterator, &node) == CONFER_OK) {
        (void)snprintf(text, sizeof text, "c%03u", count++);
        EXPECT_TEXT(node->name, text);
    }
    EXPECT_EQ(count, 25);
    EXPECT_EQ(confer_next(iterator, &node), CONFER_END);
    confer_iterator_free(iterator);
    EXPECT_EQ(confer_tree_begin(confer, "/", NULL, NULL, &iterator), CONFER_OK);
    for (count = 0; confer_next(iterator, &node) == CONFER_OK; count++) {
    }
    EXPECT_EQ(count, 26);
    confer_iterator_free(iterator);
    EXPECT_EQ(confer_tree_begin(confer, "/none", NULL, NULL, &iterator), CONFER_OK);
    EXPECT_EQ(confer_next(iterator, &node), CONFER_NO_NODE);
    EXPECT_TEXT(confer_iterator_message(iterator), "no such node");
    confer_iterator_free(iterator);
    confer_close(confer);
    fake_server_stop(server);
}

static void test_membership_and_status_come_through(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), false, NULL);
    struct confer_node_address node = {.id = 1, .address = "http://127.0.0.1:1/"};
    struct confer_result *result = NULL;
    uint64_t voters[] = {1, 2};

    EXPECT_EQ(confer_init(confer, &node, 1, NULL, &result), CONFER_OK);
    EXPECT_EQ(result->cluster.member_count, 1);
    EXPECT_TEXT(result->cluster.members[0].address, "127.0.0.1:1");
    EXPECT(result->cluster.members[0].voter);
    confer_result_free(result);
    EXPECT_EQ(confer_add_learner(confer, &node, NULL, NULL), CONFER_OK);
    EXPECT_EQ(confer_add_voter(confer, &node, NULL, NULL), CONFER_OK);
    EXPECT_EQ(confer_change_membership(confer, voters, 2, NULL, NULL), CONFER_OK);
    EXPECT_EQ(confer_force_membership(confer, voters, 2, NULL, NULL), CONFER_OK);
    EXPECT_EQ(confer_cancel_change(confer, NULL, NULL), CONFER_OK);
    EXPECT_EQ(confer_remove_member(confer, 2, NULL, NULL), CONFER_OK);
    EXPECT_EQ(confer_transfer_leader(confer, 0, NULL, NULL), CONFER_OK);
    EXPECT_EQ(confer_cluster_status(confer, NULL, &result), CONFER_OK);
    EXPECT_EQ(result->cluster.leader, 1);
    EXPECT_EQ(result->cluster.config_zxid, 7);
    EXPECT(result->cluster.members[0].promoting);
    EXPECT_EQ(result->cluster.members[0].dump_bytes, 100);
    EXPECT_EQ(result->cluster.members[0].dump_bytes_done, 40);
    EXPECT_EQ(result->cluster.members[0].agreed, 39);
    EXPECT_TEXT(result->cluster.members[0].trend, "nearer");
    EXPECT_TEXT(result->cluster.members[0].trouble, "");
    EXPECT(result->cluster.change != NULL && result->cluster.change->begun);
    EXPECT_EQ(result->cluster.change->from_count, 1);
    EXPECT_EQ(result->cluster.change->to[1], 2);
    EXPECT_TEXT(result->cluster.change->waits_for, "nearer");
    confer_result_free(result);
    node.address = "nonsense";
    EXPECT_EQ(confer_init(confer, &node, 1, NULL, NULL), CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_remove_member(confer, 0, NULL, NULL), CONFER_INVALID_ARGUMENT);
    confer_close(confer);
    fake_server_stop(server);
}

static void test_wrong_arguments_are_refused_before_anything_is_sent(void)
{
    static char large[1024 * 1024 + 1];
    static char path[5000];
    struct confer *confer = NULL;
    struct confer_result *result = NULL;
    struct confer_options options;
    struct tally tally = {.total = 0};
    char message[200];

    EXPECT_EQ(confer_open("nonsense", NULL, &confer), CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_check_servers("nonsense", message, sizeof message), CONFER_INVALID_ARGUMENT);
    EXPECT_CONTAINS(message, "port");
    EXPECT_EQ(confer_check_servers("a:1, http://b:2/", message, sizeof message), CONFER_OK);
    EXPECT_EQ(confer_open("", NULL, &confer), CONFER_INVALID_ARGUMENT);
    confer_options_init(&options);
    options.session_timeout_ms = 1;
    EXPECT_EQ(confer_open("127.0.0.1:1", &options, &confer), CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_open("127.0.0.1:1", NULL, &confer), CONFER_OK);
    EXPECT_EQ(confer_get(confer, "a", 0, NULL, &result), CONFER_INVALID_ARGUMENT);
    EXPECT_TEXT(result->message, "a path starts with '/'");
    confer_result_free(result);
    EXPECT_EQ(confer_get(confer, "/a", 64, NULL, NULL), CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_set(confer, "/a", large, sizeof large, -1, NULL, NULL), CONFER_LIMIT);
    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    EXPECT_EQ(confer_get(confer, path, 0, NULL, NULL), CONFER_LIMIT);
    EXPECT_EQ(confer_get_async(confer, "/a", 0, NULL, NULL, NULL), CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_get_async(confer, "a", 0, NULL, count_result, &tally),
              CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_watch(confer, "/a", 0, 0, NULL, NULL, NULL), CONFER_INVALID_ARGUMENT);
    confer_close(confer);
    EXPECT_EQ(atomic_load(&tally.total), 0);
    confer_close(NULL);
    confer_result_free(NULL);
}

/* --- Faults --- */

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

static void test_a_timeout_without_a_server_names_each_server_and_its_trouble(void)
{
    struct fake_server *server = fake_server_start(2, NULL, NULL);
    struct confer_call quick = {.timeout_ms = 300};
    struct confer_result *result = NULL;
    struct confer *confer;

    fake_server_shut(server, 0, true);
    fake_server_shut(server, 1, true);
    confer = open_with(fake_server_addresses(server), true, NULL);
    EXPECT_EQ(confer_get(confer, "/a", 0, &quick, &result), CONFER_TIMEOUT);
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

/* The server at port 0 was removed from the cluster. */
static struct fake_verdict removed_first(void *context, size_t port, const Client__Request *request)
{
    struct fake_verdict verdict = {.fate = FAKE_SERVE};

    (void)context;
    (void)request;
    if (port == 0) {
        verdict.fate = FAKE_REFUSE;
        verdict.code = CLIENT__CODE__NOT_MEMBER;
    }
    return verdict;
}

static void test_a_removed_server_is_left_at_once(void)
{
    struct fake_server *server = fake_server_start(2, removed_first, NULL);
    struct confer_call quick = {.timeout_ms = 2000};
    struct confer_result *result = NULL;
    struct confer *confer;

    for (int i = 0; i < 6; i++) {
        confer = open_with(fake_server_addresses(server), i % 2 == 0, NULL);
        EXPECT_EQ(confer_get(confer, "/", 0, &quick, NULL), CONFER_OK);
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

/* --- Sessions and states --- */

static void test_the_session_survives_lost_connections_and_other_servers(void)
{
    struct states states = {.count = 0};
    struct fake_server *server = fake_server_start(2, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), true, &states);
    uint64_t session;

    EXPECT_EQ(set(confer, "/a", "1"), CONFER_OK);
    session = confer_session_id(confer);
    EXPECT(session != 0);
    for (size_t port = 0; port < 2; port++) {
        fake_server_shut(server, port, true);
        EXPECT_EQ(set(confer, "/a", "2"), CONFER_OK);
        fake_server_shut(server, port, false);
    }
    EXPECT_EQ(confer_session_id(confer), session);
    EXPECT_EQ(fake_server_sessions(server), 1);
    EXPECT_EQ(fake_server_applied(server), 3);
    confer_close(confer);
    EXPECT_EQ(atomic_load(&states.seen[0]), CONFER_STATE_CONNECTED);
    EXPECT_EQ(atomic_load(&states.seen[1]), CONFER_STATE_SUSPENDED);
    EXPECT_EQ(atomic_load(&states.seen[2]), CONFER_STATE_RECONNECTED);
    EXPECT_EQ(atomic_load(&states.seen[atomic_load(&states.count) - 1]), CONFER_STATE_CLOSED);
    EXPECT_EQ(fake_server_sessions(server), 0);
    fake_server_stop(server);
}

static void test_an_expired_session_ends_the_handle(void)
{
    struct states states = {.count = 0};
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), true, &states);
    struct tally tally = {.total = 0};

    EXPECT_EQ(set(confer, "/a", "1"), CONFER_OK);
    fake_server_expire_sessions(server);
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(
            confer_set_async(confer, "/a", "2", 1, CONFER_ANY_VERSION, NULL, count_result, &tally),
            CONFER_OK);
    }
    WAIT_UNTIL(atomic_load(&tally.total) == 10);
    EXPECT_EQ(atomic_load(&tally.last), CONFER_SESSION_EXPIRED);
    EXPECT_EQ(atomic_load(&tally.ok), 0);
    EXPECT_EQ(set(confer, "/a", "2"), CONFER_SESSION_EXPIRED);
    EXPECT_EQ(confer_get(confer, "/a", 0, NULL, NULL), CONFER_SESSION_EXPIRED);
    EXPECT_EQ(confer_state(confer), CONFER_STATE_EXPIRED);
    confer_close(confer);
    EXPECT_EQ(atomic_load(&states.count), 3); /* connected, expired, closed */
    EXPECT_EQ(atomic_load(&states.seen[1]), CONFER_STATE_EXPIRED);
    fake_server_stop(server);
}

static void test_expiry_is_learned_when_attaching_too(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), true, NULL);

    EXPECT_EQ(set(confer, "/a", "1"), CONFER_OK);
    fake_server_expire_sessions(server);
    fake_server_disconnect(server);
    WAIT_UNTIL(confer_state(confer) == CONFER_STATE_EXPIRED);
    confer_close(confer);
    fake_server_stop(server);
}

static void test_notices_suspend_resume_and_move(void)
{
    struct states states = {.count = 0};
    struct fake_server *server = fake_server_start(2, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), true, &states);
    struct confer_result *result = NULL;
    char first[64];

    EXPECT_EQ(confer_get(confer, "/", 0, NULL, &result), CONFER_OK);
    (void)snprintf(first, sizeof first, "%s", result->server);
    confer_result_free(result);
    fake_server_notice(server, CLIENT__NOTICE_KIND__LEADER_LOST, CLIENT__CODE__NO_LEADER);
    WAIT_UNTIL(confer_state(confer) == CONFER_STATE_SUSPENDED);
    fake_server_notice(server, CLIENT__NOTICE_KIND__LEADER_FOUND, CLIENT__CODE__OK);
    WAIT_UNTIL(confer_state(confer) == CONFER_STATE_RECONNECTED);
    fake_server_notice(server, CLIENT__NOTICE_KIND__GOING_AWAY, CLIENT__CODE__STOPPING);
    WAIT_UNTIL(atomic_load(&states.count) == 5);
    EXPECT_EQ(confer_get(confer, "/", 0, NULL, &result), CONFER_OK);
    EXPECT(strcmp(first, result->server) != 0);
    confer_result_free(result);
    confer_close(confer);
    fake_server_stop(server);
}

/* --- Closing --- */

static void test_closing_completes_every_pending_call_once(void)
{
    struct script script = {
        .field = CLIENT__REQUEST__BODY_GET, .verdict = {.fate = FAKE_SILENT}, .count = -1};
    struct fake_server *server = fake_server_start(1, follow, &script);

    /* The close meets the loop in different places. */
    for (int round = 0; round < 40; round++) {
        struct confer *confer = open_with(fake_server_addresses(server), round % 2 == 0, NULL);
        struct tally tally = {.total = 0};

        for (int i = 0; i < 50 * round; i++) {
            EXPECT_EQ(confer_get_async(confer, "/", 0, NULL, count_result, &tally), CONFER_OK);
        }
        confer_close(confer);
        EXPECT_EQ(atomic_load(&tally.total), 50 * round);
        EXPECT_EQ(atomic_load(&tally.ok), 0);
        EXPECT(round == 0 || atomic_load(&tally.last) == CONFER_CLOSED);
    }
    fake_server_stop(server);
}

static void close_inside(struct confer *confer, struct confer_result *result, void *argument)
{
    struct tally *tally = argument;

    atomic_store(&tally->others, (int)confer_get(confer, "/", 0, NULL, NULL));
    confer_close(confer);
    EXPECT_EQ(confer_get_async(confer, "/", 0, NULL, count_result, tally), CONFER_CLOSED);
    confer_result_free(result);
    (void)atomic_fetch_add(&tally->total, 1);
}

static void note_closed(struct confer *confer, enum confer_state state, void *argument)
{
    (void)confer;
    if (state == CONFER_STATE_CLOSED) {
        atomic_store((atomic_bool *)argument, true);
    }
}

static void test_a_callback_may_close_but_not_block(void)
{
    static atomic_bool is_closed;
    static struct tally tally;
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer_options options;
    struct confer *confer = NULL;

    confer_options_init(&options);
    options.on_state = note_closed;
    options.argument = &is_closed;
    EXPECT_EQ(confer_open(fake_server_addresses(server), &options, &confer), CONFER_OK);
    EXPECT_EQ(confer_get_async(confer, "/", 0, NULL, close_inside, &tally), CONFER_OK);
    WAIT_UNTIL(atomic_load(&is_closed));
    EXPECT_EQ(atomic_load(&tally.total), 1);
    EXPECT_EQ(atomic_load(&tally.others), CONFER_DEADLOCK);
    WAIT_UNTIL(fake_server_sessions(server) == 0);
    fake_server_stop(server);
}

static void test_closing_without_any_server_is_quick(void)
{
    struct confer *confer = open_with("127.0.0.1:1", true, NULL);
    struct tally tally = {.total = 0};

    EXPECT_EQ(confer_get_async(confer, "/", 0, NULL, count_result, &tally), CONFER_OK);
    confer_close(confer);
    EXPECT_EQ(atomic_load(&tally.total), 1);
    confer = open_with("localhost:1", true, NULL);
    confer_close(confer);
}

/* --- On the caller's base, and from many threads --- */

static void test_it_lives_on_the_callers_base(void)
{
    static atomic_bool is_closed;
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct event_base *base = event_base_new();
    struct confer_options options;
    struct confer *confer = NULL;
    struct tally tally = {.total = 0};

    confer_options_init(&options);
    options.on_state = note_closed;
    options.argument = &is_closed;
    EXPECT_EQ(confer_open_on_base(NULL, "a:1", NULL, &confer), CONFER_INVALID_ARGUMENT);
    EXPECT_EQ(confer_open_on_base(base, fake_server_addresses(server), &options, &confer),
              CONFER_OK);
    EXPECT_EQ(confer_get(confer, "/", 0, NULL, NULL), CONFER_DEADLOCK);
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(
            confer_set_async(confer, "/a", "1", 1, CONFER_ANY_VERSION, NULL, count_result, &tally),
            CONFER_OK);
    }
    while (atomic_load(&tally.total) < 10) {
        EXPECT_EQ(event_base_loop(base, EVLOOP_ONCE), 0);
    }
    EXPECT_EQ(atomic_load(&tally.ok), 10);
    confer_close(confer);
    while (!atomic_load(&is_closed)) {
        EXPECT_EQ(event_base_loop(base, EVLOOP_ONCE), 0);
    }
    EXPECT_EQ(fake_server_sessions(server), 0);
    event_base_free(base);
    fake_server_stop(server);
}

struct worker {
    pthread_t thread;
    struct confer *confer;
    size_t number;
    int failures;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    char path[32];

    (void)snprintf(path, sizeof path, "/worker%zu", worker->number);
    for (int i = 0; i < 100; i++) {
        worker->failures += set(worker->confer, path, "1") == CONFER_OK ? 0 : 1;
        worker->failures += confer_get(worker->confer, path, 0, NULL, NULL) == CONFER_OK ? 0 : 1;
    }
    return NULL;
}

static void test_many_threads_share_a_handle_while_connections_break(void)
{
    struct fake_server *server = fake_server_start(2, NULL, NULL);
    struct confer *confer = open_with(fake_server_addresses(server), true, NULL);
    struct worker workers[6];

    for (size_t i = 0; i < 6; i++) {
        workers[i] = (struct worker){.confer = confer, .number = i};
        EXPECT_EQ(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint64_t step = 100; step <= 500; step += 100) {
        WAIT_UNTIL(fake_server_applied(server) >= step);
        fake_server_disconnect(server);
    }
    for (size_t i = 0; i < 6; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        EXPECT_EQ(workers[i].failures, 0);
    }
    EXPECT_EQ(fake_server_applied(server), 600);
    confer_close(confer);
    fake_server_stop(server);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_what_is_set_is_read_listed_and_removed),
        TEST_CASE(test_a_transaction_reports_each_operation),
        TEST_CASE(test_iterators_page_inside),
        TEST_CASE(test_membership_and_status_come_through),
        TEST_CASE(test_wrong_arguments_are_refused_before_anything_is_sent),
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
        TEST_CASE(test_the_session_survives_lost_connections_and_other_servers),
        TEST_CASE(test_an_expired_session_ends_the_handle),
        TEST_CASE(test_expiry_is_learned_when_attaching_too),
        TEST_CASE(test_notices_suspend_resume_and_move),
        TEST_CASE(test_closing_completes_every_pending_call_once),
        TEST_CASE(test_a_callback_may_close_but_not_block),
        TEST_CASE(test_closing_without_any_server_is_quick),
        TEST_CASE(test_it_lives_on_the_callers_base),
        TEST_CASE(test_many_threads_share_a_handle_while_connections_break),
        TEST_END};
    return test_main("confer", cases, argc, argv);
}
