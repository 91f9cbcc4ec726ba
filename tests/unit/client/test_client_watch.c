/* Watches against a small cluster in a thread of the test: whatever happens, the receiver's picture
 * becomes the cluster's, each change comes once, and a loss is told by one resync. */
#include <confer.h>

#include "base/clock.h"
#include "base/prng.h"
#include "tests/support/test.h"
#include "tests/unit/client/fake_server.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_US = 20 * 1000 * 1000, TEXT_BYTES_MAX = 1 << 16, NODES = 40 };

/* --- A receiver that keeps a trace and a picture --- */

struct receiver {
    pthread_mutex_t mutex;
    char trace[TEXT_BYTES_MAX];
    size_t trace_bytes;
    char *values[NODES]; /* of /w/nXX; NULL: there is none */
    uint64_t zxid;       /* of the last change outside a resync, or progress */
    unsigned resyncs;
    unsigned changes;
    bool is_resyncing;
    bool is_started;
    bool is_ended;
    enum confer_status status;
    bool is_wrong; /* two creations in a row, an event after the end, a zxid that falls */
};

static void receiver_init(struct receiver *receiver)
{
    memset(receiver, 0, sizeof *receiver);
    (void)pthread_mutex_init(&receiver->mutex, NULL);
}

static void receiver_release(struct receiver *receiver)
{
    for (size_t i = 0; i < NODES; i++) {
        free(receiver->values[i]);
    }
    (void)pthread_mutex_destroy(&receiver->mutex);
}

static char **value_of(struct receiver *receiver, const char *path)
{
    static char *nowhere;
    unsigned long number;
    char *end;

    number = strncmp(path, "/w/n", 4) == 0 ? strtoul(path + 4, &end, 10) : NODES;
    if (number < NODES && end != path + 4 && *end == '\0') {
        return &receiver->values[number];
    }
    free(nowhere);
    nowhere = NULL;
    return &nowhere;
}

static void put_value(char **value, const struct confer_event *event)
{
    free(*value);
    *value = malloc(event->value_bytes + 1);
    memcpy(*value, event->value, event->value_bytes + 1);
}

static void take_change(struct receiver *receiver, const struct confer_event *event)
{
    char **value = value_of(receiver, event->path);
    bool is_node = strncmp(event->path, "/w/n", 4) == 0;

    receiver->changes++;
    if (!event->resync) {
        receiver->is_wrong = receiver->is_wrong || event->zxid < receiver->zxid;
        receiver->zxid = event->zxid;
    }
    switch ((int)event->kind) {
    case CONFER_EVENT_CREATED:
        receiver->is_wrong = receiver->is_wrong || (is_node && *value != NULL);
        put_value(value, event);
        break;
    case CONFER_EVENT_VALUE_SET:
        receiver->is_wrong = receiver->is_wrong || (is_node && *value == NULL);
        put_value(value, event);
        break;
    case CONFER_EVENT_REMOVED:
        receiver->is_wrong = receiver->is_wrong || (is_node && *value == NULL);
        free(*value);
        *value = NULL;
        break;
    default:
        break;
    }
}

static void take_mark(struct receiver *receiver, const struct confer_event *event)
{
    switch ((int)event->kind) {
    case CONFER_EVENT_STARTED:
        receiver->is_started = true;
        break;
    case CONFER_EVENT_RESYNC_BEGIN:
        receiver->is_wrong = receiver->is_wrong || receiver->is_resyncing;
        receiver->is_resyncing = true;
        receiver->resyncs += event->initial ? 0 : 1;
        for (size_t i = 0; event->full && i < NODES; i++) {
            free(receiver->values[i]);
            receiver->values[i] = NULL;
        }
        break;
    case CONFER_EVENT_RESYNC_END:
        receiver->is_resyncing = false;
        break;
    case CONFER_EVENT_ENDED:
        receiver->is_ended = true;
        receiver->status = event->status;
        break;
    default:
        break;
    }
}

static void on_event(struct confer *confer, const struct confer_event *event, void *argument)
{
    struct receiver *receiver = argument;

    (void)confer;
    (void)pthread_mutex_lock(&receiver->mutex);
    receiver->is_wrong = receiver->is_wrong || receiver->is_ended;
    if (receiver->trace_bytes + 256 < TEXT_BYTES_MAX && event->kind != CONFER_EVENT_PROGRESS) {
        receiver->trace_bytes +=
            (size_t)snprintf(receiver->trace + receiver->trace_bytes, 256, "%s%s%s%s%s%s;",
                             confer_event_text(event->kind), event->full ? " full" : "",
                             event->path[0] == '\0' ? "" : " ", event->path,
                             event->value_bytes > 0 ? "=" : "", event->value);
    }
    if (event->path[0] != '\0') {
        take_change(receiver, event);
    } else {
        take_mark(receiver, event);
    }
    (void)pthread_mutex_unlock(&receiver->mutex);
}

#define LOOK(receiver, expression)                                                                 \
    (pthread_mutex_lock(&(receiver)->mutex), looked = (expression),                                \
     pthread_mutex_unlock(&(receiver)->mutex), looked)

#define WAIT_FOR(receiver, expression)                                                             \
    do {                                                                                           \
        bool looked;                                                                               \
        uint64_t wait_end = clock_monotonic_us() + DEADLINE_US;                                    \
        while (!LOOK(receiver, expression) && clock_monotonic_us() < wait_end) {                   \
            (void)sched_yield();                                                                   \
        }                                                                                          \
        EXPECT(LOOK(receiver, expression));                                                        \
    } while (0)

static void expect_trace(struct receiver *receiver, const char *expected)
{
    char trace[4096];
    uint64_t end = clock_monotonic_us() + DEADLINE_US;

    do {
        (void)sched_yield();
        (void)pthread_mutex_lock(&receiver->mutex);
        (void)snprintf(trace, sizeof trace, "%.4000s", receiver->trace);
        (void)pthread_mutex_unlock(&receiver->mutex);
    } while (strcmp(trace, expected) != 0 && clock_monotonic_us() < end);
    EXPECT_TEXT(trace, expected);
}

static void forget_trace(struct receiver *receiver)
{
    (void)pthread_mutex_lock(&receiver->mutex);
    receiver->trace_bytes = 0;
    receiver->trace[0] = '\0';
    (void)pthread_mutex_unlock(&receiver->mutex);
}

static struct confer *open_at(struct fake_server *server)
{
    struct confer_options options;
    struct confer *confer = NULL;

    confer_options_init(&options);
    options.no_session = true;
    EXPECT_EQ(confer_open(fake_server_addresses(server), &options, &confer), CONFER_OK);
    return confer;
}

enum { PLAIN = CONFER_WATCH_RECURSIVE | CONFER_WATCH_VALUES, TRACKED = PLAIN | CONFER_WATCH_TRACK };

static uint64_t
watch(struct confer *confer, uint32_t flags, uint64_t from, struct receiver *receiver)
{
    uint64_t id = 0;

    EXPECT_EQ(confer_watch(confer, "/w", flags, from, on_event, receiver, &id), CONFER_OK);
    return id;
}

/* --- Tests --- */

static void test_changes_come_in_order_and_only_those_below(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer = open_at(server);
    struct receiver receiver;
    uint64_t id;

    receiver_init(&receiver);
    id = watch(confer, PLAIN, 0, &receiver);
    expect_trace(&receiver, "started;");
    (void)fake_server_set(server, "/w", "1");
    (void)fake_server_set(server, "/other", "1");
    (void)fake_server_set(server, "/w/n1", "a");
    (void)fake_server_set(server, "/w/n1", "b");
    (void)fake_server_remove(server, "/w/n1");
    expect_trace(&receiver,
                 "started;created /w=1;created /w/n1=a;value_set /w/n1=b;removed /w/n1;");
    EXPECT_EQ(confer_unwatch(confer, id), CONFER_OK);
    EXPECT_EQ(confer_unwatch(confer, id), CONFER_OK);
    EXPECT_EQ(confer_unwatch(confer, 999), CONFER_OK);
    WAIT_FOR(&receiver, receiver.is_ended);
    EXPECT_EQ(receiver.status, CONFER_OK);
    (void)fake_server_set(server, "/w", "2");
    confer_close(confer);
    EXPECT(!receiver.is_wrong);
    receiver_release(&receiver);
    fake_server_stop(server);
}

static void test_a_broken_connection_costs_no_change_and_repeats_none(void)
{
    struct fake_server *server = fake_server_start(2, NULL, NULL);
    struct confer *confer = open_at(server);
    struct receiver receiver;

    receiver_init(&receiver);
    (void)watch(confer, PLAIN, 0, &receiver);
    expect_trace(&receiver, "started;");
    for (unsigned i = 0; i < 30; i++) {
        char value[16];

        (void)snprintf(value, sizeof value, "%u", i);
        (void)fake_server_set(server, "/w/n1", value);
        if (i % 3 == 0) {
            fake_server_disconnect(server);
        }
    }
    WAIT_FOR(&receiver, receiver.values[1] != NULL && strcmp(receiver.values[1], "29") == 0);
    confer_close(confer);
    EXPECT_EQ(receiver.changes, 30);
    EXPECT_EQ(receiver.resyncs, 0);
    EXPECT(!receiver.is_wrong);
    EXPECT(receiver.is_ended);
    EXPECT_EQ(receiver.status, CONFER_CLOSED);
    receiver_release(&receiver);
    fake_server_stop(server);
}

/* Make the cluster forget what happens while the client is away. */
static void be_away(struct fake_server *server, struct confer *confer)
{
    (void)confer;
    fake_server_shut(server, 0, true);
    while (fake_server_connections(server) > 0) {
        (void)sched_yield();
    }
}

static void come_back(struct fake_server *server)
{
    fake_server_compact(server);
    fake_server_shut(server, 0, false);
}

static void change_while_away(struct fake_server *server, struct confer *confer)
{
    be_away(server, confer);
    (void)fake_server_set(server, "/w/n1", "new"); /* changed */
    (void)fake_server_remove(server, "/w/n2");     /* gone */
    (void)fake_server_remove(server, "/w/n3");     /* gone and made again */
    (void)fake_server_set(server, "/w/n3", "again");
    (void)fake_server_set(server, "/w/n4", "four"); /* came */
    (void)fake_server_set(server, "/w/n6", "six");  /* came and went */
    (void)fake_server_remove(server, "/w/n6");
    come_back(server);
}

static void populate(struct fake_server *server)
{
    (void)fake_server_set(server, "/w", "w");
    (void)fake_server_set(server, "/w/n1", "one");
    (void)fake_server_set(server, "/w/n2", "two");
    (void)fake_server_set(server, "/w/n3", "three");
    (void)fake_server_set(server, "/w/n5", "five");
}

static void test_a_tracked_watch_gets_exactly_the_difference(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer;
    struct receiver receiver;

    populate(server);
    confer = open_at(server);
    receiver_init(&receiver);
    (void)watch(confer, TRACKED, 0, &receiver);
    expect_trace(&receiver, "started;");
    forget_trace(&receiver);
    receiver.values[1] = strdup("one");
    receiver.values[2] = strdup("two");
    receiver.values[3] = strdup("three");
    receiver.values[5] = strdup("five");
    change_while_away(server, confer);
    expect_trace(&receiver, "resync_begin;removed /w/n3;removed /w/n2;value_set /w/n1=new;"
                            "created /w/n3=again;created /w/n4=four;resync_end;");
    (void)fake_server_set(server, "/w/n1", "live");
    WAIT_FOR(&receiver, strcmp(receiver.values[1], "live") == 0);
    confer_close(confer);
    EXPECT_EQ(receiver.resyncs, 1);
    EXPECT(!receiver.is_wrong);
    receiver_release(&receiver);
    fake_server_stop(server);
}

static void test_what_may_not_be_read_is_not_told_of(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer;
    struct receiver receiver;

    populate(server);
    (void)fake_server_set(server, "/w/n7", "secret");
    fake_server_hide(server, "/w/n7");
    confer = open_at(server);
    receiver_init(&receiver);
    (void)watch(confer, TRACKED, 0, &receiver);
    expect_trace(&receiver, "started;");
    forget_trace(&receiver);
    receiver.values[1] = strdup("one");
    receiver.values[2] = strdup("two");
    receiver.values[3] = strdup("three");
    receiver.values[5] = strdup("five");
    fake_server_hide(server, "/w/n5"); /* it was known */
    change_while_away(server, confer);
    expect_trace(&receiver, "resync_begin;removed /w/n5;removed /w/n3;removed /w/n2;"
                            "value_set /w/n1=new;created /w/n3=again;created /w/n4=four;"
                            "resync_end;");
    confer_close(confer);
    receiver_release(&receiver);
    fake_server_stop(server);
}

static void test_an_untracked_watch_gets_everything_there_is(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer;
    struct receiver receiver;

    populate(server);
    confer = open_at(server);
    receiver_init(&receiver);
    (void)watch(confer, PLAIN, 0, &receiver);
    expect_trace(&receiver, "started;");
    forget_trace(&receiver);
    change_while_away(server, confer);
    expect_trace(&receiver, "resync_begin full;created /w=w;created /w/n1=new;created /w/n3=again;"
                            "created /w/n4=four;created /w/n5=five;resync_end;");
    confer_close(confer);
    EXPECT(!receiver.is_wrong);
    receiver_release(&receiver);
    fake_server_stop(server);
}

static void test_a_subtree_that_is_gone_is_removed_child_first(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer;
    struct receiver receiver;

    (void)fake_server_set(server, "/w", "w");
    (void)fake_server_set(server, "/w/n1", "one");
    confer = open_at(server);
    receiver_init(&receiver);
    (void)watch(confer, TRACKED | CONFER_WATCH_INITIAL, 0, &receiver);
    expect_trace(&receiver, "resync_begin full;created /w=w;created /w/n1=one;resync_end;started;");
    forget_trace(&receiver);
    be_away(server, confer);
    (void)fake_server_remove(server, "/w/n1");
    (void)fake_server_remove(server, "/w");
    come_back(server);
    expect_trace(&receiver, "resync_begin;removed /w/n1;removed /w;resync_end;");
    confer_close(confer);
    receiver_release(&receiver);
    fake_server_stop(server);
}

static void test_a_lost_stream_is_started_again_without_a_gap(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer = open_at(server);
    struct receiver receiver;

    receiver_init(&receiver);
    (void)watch(confer, PLAIN, 0, &receiver);
    expect_trace(&receiver, "started;");
    (void)fake_server_set(server, "/w/n1", "a");
    fake_server_lose(server);
    (void)fake_server_set(server, "/w/n1", "b");
    expect_trace(&receiver, "started;created /w/n1=a;value_set /w/n1=b;");
    confer_close(confer);
    receiver_release(&receiver);
    fake_server_stop(server);
}

static void test_a_stream_starts_from_a_given_zxid(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer = open_at(server);
    struct receiver receiver;
    uint64_t zxid = fake_server_set(server, "/w/n1", "a");

    (void)fake_server_set(server, "/w/n1", "b");
    receiver_init(&receiver);
    (void)watch(confer, PLAIN, zxid, &receiver);
    expect_trace(&receiver, "started;value_set /w/n1=b;");
    EXPECT_EQ(confer_watch(confer, "/w", CONFER_WATCH_INITIAL, zxid, on_event, &receiver, NULL),
              CONFER_INVALID_ARGUMENT);
    confer_close(confer);
    receiver_release(&receiver);
    fake_server_stop(server);
}

static void test_changes_between_the_pages_of_a_picture_come_once(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer;
    struct receiver receiver;
    char path[32];

    (void)fake_server_set(server, "/w", "w");
    for (unsigned i = 0; i < 12; i++) {
        (void)snprintf(path, sizeof path, "/w/n%02u", i);
        (void)fake_server_set(server, path, "v");
    }
    /* Between the pages n01 (read already) and n11 (still to be read) change in turn. */
    fake_server_set_paging(server, 3, "/w/n11");
    confer = open_at(server);
    receiver_init(&receiver);
    (void)watch(confer, TRACKED | CONFER_WATCH_INITIAL, 0, &receiver);
    WAIT_FOR(&receiver, receiver.is_started);
    fake_server_set_paging(server, 3, NULL);
    (void)fake_server_set(server, "/w/n11", "live");
    WAIT_FOR(&receiver, receiver.values[11] != NULL && strcmp(receiver.values[11], "live") == 0);
    confer_close(confer);
    /* 13 nodes, and one change behind the last page: the others were on it already. */
    EXPECT_EQ(receiver.changes, 14);
    EXPECT(!receiver.is_wrong);
    receiver_release(&receiver);

    fake_server_set_paging(server, 3, "/w/n01");
    confer = open_at(server);
    receiver_init(&receiver);
    (void)watch(confer, TRACKED | CONFER_WATCH_INITIAL, 0, &receiver);
    WAIT_FOR(&receiver, receiver.is_started);
    fake_server_set_paging(server, 3, NULL);
    (void)fake_server_set(server, "/w/n01", "live");
    WAIT_FOR(&receiver, receiver.values[1] != NULL && strcmp(receiver.values[1], "live") == 0);
    confer_close(confer);
    /* 13 nodes, four changes between five pages, one after them. */
    EXPECT_EQ(receiver.changes, 18);
    EXPECT(!receiver.is_wrong);
    receiver_release(&receiver);
    fake_server_stop(server);
}

static bool pictures_are_equal(struct fake_server *server, struct receiver *receiver)
{
    bool is_equal = true;

    (void)pthread_mutex_lock(&receiver->mutex);
    for (unsigned i = 0; i < NODES && is_equal; i++) {
        char path[32];
        char *value;

        (void)snprintf(path, sizeof path, "/w/n%u", i);
        value = fake_server_value(server, path);
        is_equal = (value == NULL) == (receiver->values[i] == NULL) &&
                   (value == NULL || strcmp(value, receiver->values[i]) == 0);
        free(value);
    }
    (void)pthread_mutex_unlock(&receiver->mutex);
    return is_equal;
}

static void step(struct fake_server *server, struct prng *prng)
{
    char path[32];
    char value[32];

    (void)snprintf(path, sizeof path, "/w/n%u", (unsigned)prng_below(prng, NODES));
    (void)snprintf(value, sizeof value, "%u", (unsigned)prng_below(prng, 1000000));
    switch (prng_below(prng, 40)) {
    case 0:
        fake_server_disconnect(server);
        break;
    case 1:
        fake_server_compact(server);
        fake_server_disconnect(server);
        break;
    case 2:
        fake_server_lose(server);
        break;
    case 3:
        fake_server_set_paging(server, prng_below(prng, 8), prng_below(prng, 2) == 0 ? path : NULL);
        break;
    default:
        if (prng_below(prng, 3) == 0) {
            (void)fake_server_remove(server, path);
        } else {
            (void)fake_server_set(server, path, value);
        }
    }
}

static void test_the_picture_becomes_the_clusters_whatever_happens(void)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct fake_server *server = fake_server_start(2, NULL, NULL);
        uint32_t flags = CONFER_WATCH_INITIAL | (seed % 2 == 0 ? PLAIN : TRACKED);
        struct confer *confer = open_at(server);
        struct receiver receiver;
        struct prng prng;

        prng_init(&prng, seed);
        receiver_init(&receiver);
        (void)watch(confer, flags, 0, &receiver);
        for (unsigned i = 0; i < 1500; i++) {
            step(server, &prng);
            if (i % 50 == 0) {
                (void)confer_get(confer, "/", 0, NULL, NULL); /* let the client keep up at times */
            }
        }
        /* The last change of all: what has it, outside of a resync, has everything before it. */
        fake_server_set_paging(server, 0, NULL);
        (void)fake_server_set(server, "/w/n0", "end");
        WAIT_FOR(&receiver, !receiver.is_resyncing && receiver.values[0] != NULL &&
                                strcmp(receiver.values[0], "end") == 0);
        confer_close(confer);
        EXPECT(pictures_are_equal(server, &receiver));
        EXPECT(!receiver.is_wrong);
        EXPECT(receiver.is_ended);
        receiver_release(&receiver);
        fake_server_stop(server);
    }
}

static struct fake_verdict
refuse_watches(void *context, size_t port, const Client__Request *request)
{
    (void)context;
    (void)port;
    return request->body_case == CLIENT__REQUEST__BODY_WATCH
               ? (struct fake_verdict){.fate = FAKE_REFUSE, .code = CLIENT__CODE__NO_AUTH}
               : (struct fake_verdict){.fate = FAKE_SERVE};
}

static void test_a_refused_watch_ends_with_the_reason(void)
{
    struct fake_server *server = fake_server_start(1, refuse_watches, NULL);
    struct confer *confer = open_at(server);
    struct receiver receiver;

    receiver_init(&receiver);
    (void)watch(confer, PLAIN, 0, &receiver);
    WAIT_FOR(&receiver, receiver.is_ended);
    confer_close(confer);
    EXPECT_EQ(receiver.status, CONFER_NO_AUTH);
    EXPECT(!receiver.is_wrong);
    receiver_release(&receiver);
    fake_server_stop(server);
}

static void test_many_watches_come_and_go(void)
{
    struct fake_server *server = fake_server_start(1, NULL, NULL);
    struct confer *confer = open_at(server);
    static struct receiver receivers[40];
    uint64_t ids[40];

    for (size_t i = 0; i < 40; i++) {
        receiver_init(&receivers[i]);
        ids[i] = watch(confer, PLAIN, 0, &receivers[i]);
        if (i % 3 == 0) {
            EXPECT_EQ(confer_unwatch(confer, ids[i]), CONFER_OK);
        }
    }
    WAIT_FOR(&receivers[38], receivers[38].is_started);
    (void)fake_server_set(server, "/w/n1", "a");
    for (size_t i = 0; i < 40; i++) {
        if (i % 3 == 0) {
            WAIT_FOR(&receivers[i], receivers[i].is_ended);
        } else {
            WAIT_FOR(&receivers[i], receivers[i].changes == 1);
        }
    }
    fake_server_disconnect(server);
    (void)fake_server_set(server, "/w/n1", "b");
    for (size_t i = 1; i < 40; i += 3) {
        WAIT_FOR(&receivers[i], receivers[i].changes == 2);
    }
    confer_close(confer);
    for (size_t i = 0; i < 40; i++) {
        EXPECT(receivers[i].is_ended && !receivers[i].is_wrong);
        receiver_release(&receivers[i]);
    }
    fake_server_stop(server);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_changes_come_in_order_and_only_those_below),
        TEST_CASE(test_a_broken_connection_costs_no_change_and_repeats_none),
        TEST_CASE(test_a_tracked_watch_gets_exactly_the_difference),
        TEST_CASE(test_what_may_not_be_read_is_not_told_of),
        TEST_CASE(test_an_untracked_watch_gets_everything_there_is),
        TEST_CASE(test_a_subtree_that_is_gone_is_removed_child_first),
        TEST_CASE(test_a_lost_stream_is_started_again_without_a_gap),
        TEST_CASE(test_a_stream_starts_from_a_given_zxid),
        TEST_CASE(test_changes_between_the_pages_of_a_picture_come_once),
        TEST_CASE(test_the_picture_becomes_the_clusters_whatever_happens),
        TEST_CASE(test_a_refused_watch_ends_with_the_reason),
        TEST_CASE(test_many_watches_come_and_go),
        TEST_END};
    return test_main("client_watch", cases, argc, argv);
}
