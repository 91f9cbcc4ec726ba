/* The stream of one watch by itself: what is repeated is dropped, also in the middle of a zxid. */
#include "client/client_watch.h"

#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct client_request *asked;
static char trace[1024];

static void submit(void *context, struct client_request *request)
{
    (void)context;
    client_request_free(asked);
    asked = request;
}

static bool is_open(void *context)
{
    (void)context;
    return true;
}

static void on_event(struct confer *confer, const struct confer_event *event, void *argument)
{
    size_t used = strlen(trace);

    (void)confer;
    (void)argument;
    (void)snprintf(trace + used, sizeof trace - used, "%llu%s%s;", (unsigned long long)event->zxid,
                   event->path[0] == '\0' ? " " : "",
                   event->path[0] == '\0' ? confer_event_text(event->kind) : event->path);
}

/* Answer the request that is asked; the zxid its stream was asked from. */
static uint64_t answer(enum confer_status status, uint64_t zxid)
{
    struct client_request *request = asked;
    struct confer_result result = {.status = status, .message = "", .zxid = zxid};
    uint64_t from = 0;

    asked = NULL;
    EXPECT(request != NULL);
    if (request->body.field == CLIENT__REQUEST__BODY_WATCH) {
        Client__Watch *watch = client__watch__unpack(NULL, request->body.size, request->body.data);

        from = watch->from_zxid;
        client__watch__free_unpacked(watch, NULL);
    }
    request->on_done(request->owner, &result);
    client_request_free(request);
    return from;
}

/* Paths as "5/a 5/b 6/c". */
static void feed(struct client_watches *watches, const char *text, uint64_t up_to)
{
    Client__Events events = CLIENT__EVENTS__INIT;
    Client__Event items[8];
    Client__Event *list[8];
    char copy[64];
    char *rest = NULL;

    (void)snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        Client__Event *event = &items[events.n_events];
        char *path;

        client__event__init(event);
        event->zxid = strtoull(word, &path, 10);
        event->path.data = (uint8_t *)path;
        event->path.len = strlen(path);
        list[events.n_events++] = event;
    }
    events.watch = 1;
    events.events = list;
    events.up_to_zxid = up_to;
    client_watches_events(watches, &events);
}

static void start_with(struct client_watches *watches, uint32_t flags, uint64_t from)
{
    struct client_watch *watch =
        client_watch_new("/", CONFER_WATCH_RECURSIVE | flags, from, on_event, NULL);

    trace[0] = '\0';
    *watches = (struct client_watches){.submit = submit, .is_open = is_open, .is_connected = true};
    watch->id = 1;
    client_watches_add(watches, watch);
}

static void start(struct client_watches *watches, uint64_t from)
{
    start_with(watches, 0, from);
}

static uint64_t reconnect(struct client_watches *watches)
{
    client_watches_disconnected(watches);
    client_request_free(asked);
    asked = NULL;
    client_watches_connected(watches);
    return answer(CONFER_OK, 0);
}

static void finish(struct client_watches *watches)
{
    client_watches_end_all(watches, CONFER_CLOSED, NULL);
    client_watches_release(watches);
    client_request_free(asked);
    asked = NULL;
}

static void test_a_stream_cut_inside_a_transaction_goes_on_inside_it(void)
{
    struct client_watches watches;

    start(&watches, 0);
    EXPECT_EQ(answer(CONFER_OK, 4), 0);
    feed(&watches, "5/a 6/b", 5); /* the rest of 6 is to come */
    EXPECT_TEXT(trace, "4 started;5/a;6/b;");
    EXPECT_EQ(reconnect(&watches), 5);
    feed(&watches, "6/b 6/c 7/d", 6);
    EXPECT_TEXT(trace, "4 started;5/a;6/b;6/c;7/d;");
    EXPECT_EQ(reconnect(&watches), 6);
    /* And cut again, with less than before. */
    EXPECT_EQ(reconnect(&watches), 6);
    feed(&watches, "7/d", 6);
    feed(&watches, "7/e", 7);
    EXPECT_TEXT(trace, "4 started;5/a;6/b;6/c;7/d;7/e;");
    EXPECT_EQ(reconnect(&watches), 7);
    finish(&watches);
}

static void test_progress_waits_for_the_end_of_a_transaction(void)
{
    struct client_watches watches;

    start_with(&watches, CONFER_WATCH_PROGRESS, 0);
    EXPECT_EQ(answer(CONFER_OK, 4), 0);
    feed(&watches, "5/a 6/b", 5);
    EXPECT_TEXT(trace, "4 started;5/a;6/b;");
    feed(&watches, "6/c", 6);
    EXPECT_TEXT(trace, "4 started;5/a;6/b;6/c;6 progress;");
    feed(&watches, "", 9);
    EXPECT_TEXT(trace, "4 started;5/a;6/b;6/c;6 progress;9 progress;");
    finish(&watches);
}

static void test_a_start_whose_answer_was_lost_is_from_now_again(void)
{
    struct client_watches watches;

    start(&watches, 0);
    EXPECT_EQ(reconnect(&watches), 0);
    finish(&watches);
    start(&watches, 77);
    EXPECT_EQ(reconnect(&watches), 77);
    finish(&watches);
}

static void test_events_of_no_watch_are_ignored(void)
{
    struct client_watches watches;

    start(&watches, 0);
    EXPECT_EQ(answer(CONFER_OK, 4), 0);
    client_watches_remove(&watches, 1);
    client_watches_remove(&watches, 2);
    feed(&watches, "5/a", 5);
    EXPECT_TEXT(trace, "4 started;4 ended;");
    client_watches_sweep(&watches);
    EXPECT_EQ(watches.count, 0);
    finish(&watches);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_stream_cut_inside_a_transaction_goes_on_inside_it),
        TEST_CASE(test_progress_waits_for_the_end_of_a_transaction),
        TEST_CASE(test_a_start_whose_answer_was_lost_is_from_now_again),
        TEST_CASE(test_events_of_no_watch_are_ignored), TEST_END};
    return test_main("client_watches", cases, argc, argv);
}
