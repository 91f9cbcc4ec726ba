/* A server's bytes in the client: the first byte says which answer was expected, the rest is one
 * frame. Whatever it holds, the result is well formed, a watch survives it, and a session takes no
 * more than it has room for. */
#include "client/client_result.h"
#include "client/client_session.h"
#include "client/client_watch.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Keeps the reads. */
static volatile size_t sink;

static void use(const char *text)
{
    sink += strlen(text);
}

static void use_value(const char *value, size_t bytes)
{
    for (size_t i = 0; i <= bytes; i++) {
        sink += (unsigned char)value[i];
    }
    if (value[bytes] != '\0') {
        abort();
    }
}

static void use_result(const struct confer_result *result)
{
    use(result->message);
    use(result->server);
    use(result->path);
    use_value(result->value, result->value_bytes);
    for (size_t i = 0; i < result->acl_count; i++) {
        use(result->acl[i].scheme);
        use(result->acl[i].id);
    }
    for (size_t i = 0; i < result->node_count; i++) {
        use(result->nodes[i].name != NULL ? result->nodes[i].name : result->nodes[i].path);
        use_value(result->nodes[i].value, result->nodes[i].value_bytes);
    }
    for (size_t i = 0; i < result->operation_count; i++) {
        use(result->operations[i].path);
    }
    for (size_t i = 0; i < result->cluster.member_count; i++) {
        use(result->cluster.members[i].address);
        use(result->cluster.members[i].role);
        use(result->cluster.members[i].progress);
        use(result->cluster.members[i].version);
    }
}

/* --- A watch whose requests are answered by the input --- */

static struct client_request *asked;

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
    (void)confer;
    (void)argument;
    use(event->path);
    use(event->message);
    use_value(event->value, event->value_bytes);
}

static void answer_watch(const struct confer_result *result)
{
    struct client_request *request = asked;

    asked = NULL;
    if (request != NULL && request->on_done != NULL) {
        request->on_done(request->owner, result);
    }
    client_request_free(request);
}

static void feed_watch(const Client__Response *response, const struct confer_result *result)
{
    struct client_watches watches = {.submit = submit, .is_open = is_open};
    struct client_watch *watch = client_watch_new(
        "/", CONFER_WATCH_RECURSIVE | CONFER_WATCH_INITIAL | CONFER_WATCH_TRACK, 0, on_event, NULL);

    if (watch == NULL) {
        return;
    }
    watch->id = 1;
    watches.is_connected = true;
    client_watches_add(&watches, watch);
    if (result != NULL) {
        answer_watch(result); /* the first page, and the start of the stream or the next page */
        answer_watch(result);
    } else {
        watch->state = CLIENT_WATCH_STREAMING;
        response->events->watch = 1;
        client_watches_events(&watches, response->events);
        client_watches_events(&watches, response->events);
    }
    client_watches_end_all(&watches, CONFER_CLOSED, NULL);
    client_request_free(asked);
    asked = NULL;
    client_watches_release(&watches);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client_result *result = client_result_new();
    struct client_session session = {.asked_timeout_ms = 1000};
    struct client_answer answer;
    uint64_t last_sequence;

    if (size > 0 && result != NULL &&
        client_answer_unpack(bytes_of(data + 1, size - 1), &answer) == CONFER_OK) {
        enum client_shape shape = (enum client_shape)(data[0] % (CLIENT_SHAPE_STATUS + 1));

        (void)client_session_take(&session, answer.response, &last_sequence);
        (void)client_session_take(&session, answer.response, &last_sequence);
        if (answer.response->body_case == CLIENT__RESPONSE__BODY_EVENTS) {
            feed_watch(answer.response, NULL);
        }
        client_result_take(result, shape, &answer, "127.0.0.1:1");
        client_answer_release(&answer);
        use_result(&result->public);
        if (shape == CLIENT_SHAPE_TREE) {
            feed_watch(NULL, &result->public);
        }
    }
    client_result_free(result);
    return 0;
}
