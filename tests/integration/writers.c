#include "tests/integration/writers.h"

#include "base/alloc.h"
#include "tests/support/process.h"
#include "tests/support/test.h"

#include <confer.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WRITES_MAX = 200000 };

struct writer {
    const struct writers *writers;
    size_t number;
    pthread_t thread;
    struct confer *confer;
    uint8_t *outcomes; /* by number of the write: one of enum outcome_known */
    atomic_uint_fast64_t tried;
    atomic_uint_fast64_t acknowledged;
    char refusal[512]; /* the first failure, for the report */
};

enum outcome_known { OUTCOME_NONE, OUTCOME_ACKNOWLEDGED, OUTCOME_UNKNOWN, OUTCOME_REFUSED };

struct writers {
    struct writer *items;
    size_t count;
    char parent[128];
    atomic_bool stopping;
};

static uint8_t outcome_of_write(enum confer_status status)
{
    switch ((int)status) {
    case CONFER_OK:
        return OUTCOME_ACKNOWLEDGED;
    case CONFER_TIMEOUT:
    case CONFER_CLOSED:
    case CONFER_UNKNOWN_OUTCOME:
        return OUTCOME_UNKNOWN;
    default:
        return OUTCOME_REFUSED;
    }
}

static void *write_until_stopped(void *context)
{
    struct writer *writer = context;
    const struct writers *writers = writer->writers;
    struct confer_create create = {.mode = CONFER_PERSISTENT_SEQUENTIAL, .make_parents = true};
    char path[160];

    (void)snprintf(path, sizeof path, "%s/%zu-", writers->parent, writer->number);
    while (!atomic_load(&writers->stopping) && atomic_load(&writer->tried) < WRITES_MAX) {
        uint64_t write = atomic_fetch_add(&writer->tried, 1);
        struct confer_result *result = NULL;
        char value[64];
        int size = snprintf(value, sizeof value, "%zu:%" PRIu64, writer->number, write);
        enum confer_status status =
            confer_create(writer->confer, path, value, (size_t)size, &create, NULL, &result);

        writer->outcomes[write] = outcome_of_write(status);
        if (status == CONFER_OK) {
            (void)atomic_fetch_add(&writer->acknowledged, 1);
        } else if (writer->refusal[0] == '\0') {
            (void)snprintf(writer->refusal, sizeof writer->refusal, "%s: %.400s",
                           confer_status_text(status), result == NULL ? "" : result->message);
        }
        confer_result_free(result);
        if (status != CONFER_OK) {
            process_pause();
        }
    }
    return NULL;
}

struct writers *writers_start(const char *servers, size_t count, const char *parent)
{
    struct writers *writers = xcalloc(1, sizeof *writers);

    writers->items = xcalloc(count, sizeof *writers->items);
    writers->count = count;
    (void)snprintf(writers->parent, sizeof writers->parent, "%s", parent);
    for (size_t i = 0; i < count; i++) {
        struct writer *writer = &writers->items[i];
        struct confer_options options;

        writer->writers = writers;
        writer->number = i;
        writer->outcomes = xcalloc(WRITES_MAX, 1);
        confer_options_init(&options);
        /* Long enough for any election, so that a write is settled by retries. */
        options.session_timeout_ms = 60000;
        options.request_timeout_ms = 60000;
        EXPECT_EQ(confer_open(servers, &options, &writer->confer), CONFER_OK);
        EXPECT_EQ(pthread_create(&writer->thread, NULL, write_until_stopped, writer), 0);
    }
    return writers;
}

void writers_wait(struct writers *writers, uint64_t count, unsigned deadline_ms)
{
    uint64_t end = process_now_ms() + deadline_ms;
    uint64_t *starts = xcalloc(writers->count, sizeof *starts);

    for (size_t i = 0; i < writers->count; i++) {
        starts[i] = atomic_load(&writers->items[i].acknowledged);
    }
    for (size_t i = 0; i < writers->count; i++) {
        struct writer *writer = &writers->items[i];

        while (atomic_load(&writer->acknowledged) < starts[i] + count && process_now_ms() < end) {
            process_pause();
        }
        if (atomic_load(&writer->acknowledged) < starts[i] + count) {
            (void)fprintf(stderr, "writer %zu is stuck at %" PRIuFAST64 " writes; %s\n", i,
                          atomic_load(&writer->acknowledged), writer->refusal);
        }
        EXPECT(atomic_load(&writer->acknowledged) >= starts[i] + count);
    }
    free(starts);
}

void writers_stop(struct writers *writers)
{
    atomic_store(&writers->stopping, true);
    for (size_t i = 0; i < writers->count; i++) {
        EXPECT_EQ(pthread_join(writers->items[i].thread, NULL), 0);
        confer_close(writers->items[i].confer);
        writers->items[i].confer = NULL;
    }
}

/* The number of the writer and of the write that a node stands for. */
static void parse_value(const struct confer_node *node, size_t *ret_writer, uint64_t *ret_write)
{
    char *colon;

    *ret_writer = strtoul(node->value, &colon, 10);
    EXPECT(*colon == ':');
    *ret_write = strtoull(colon + 1, NULL, 10);
}

static void note_node(const struct writers *writers, const struct confer_node *node, uint8_t **seen)
{
    size_t number;
    uint64_t write;

    parse_value(node, &number, &write);
    EXPECT(number < writers->count);
    EXPECT(write < atomic_load(&writers->items[number].tried));
    EXPECT_EQ(seen[number][write], 0); /* else it took effect twice */
    EXPECT(writers->items[number].outcomes[write] != OUTCOME_REFUSED);
    seen[number][write] = 1;
}

static void read_back(const struct writers *writers, struct confer *confer, uint8_t **seen)
{
    const struct confer_page page = {.with_values = true};
    const struct confer_call call = {.linearizable = true};
    struct confer_iterator *iterator = NULL;
    const struct confer_node *node;
    enum confer_status status;

    EXPECT_EQ(confer_list_begin(confer, writers->parent, &page, &call, &iterator), CONFER_OK);
    while ((status = confer_next(iterator, &node)) == CONFER_OK) {
        note_node(writers, node, seen);
    }
    if (status != CONFER_END) {
        (void)fprintf(stderr, "reading back: %s\n", confer_iterator_message(iterator));
    }
    confer_iterator_free(iterator);
    EXPECT_EQ(status, CONFER_END);
}

uint64_t writers_check(const struct writers *writers, const char *servers)
{
    uint8_t **seen = xcalloc(writers->count, sizeof *seen);
    struct confer *confer = NULL;
    uint64_t acknowledged = 0;

    for (size_t i = 0; i < writers->count; i++) {
        seen[i] = xcalloc(WRITES_MAX, 1);
    }
    EXPECT_EQ(confer_open(servers, NULL, &confer), CONFER_OK);
    read_back(writers, confer, seen);
    confer_close(confer);
    for (size_t i = 0; i < writers->count; i++) {
        const struct writer *writer = &writers->items[i];

        for (uint64_t write = 0; write < atomic_load(&writer->tried); write++) {
            if (writer->outcomes[write] == OUTCOME_ACKNOWLEDGED) {
                EXPECT_EQ(seen[i][write], 1); /* else an acknowledged write is lost */
                acknowledged++;
            }
        }
        free(seen[i]);
    }
    free(seen);
    return acknowledged;
}

void writers_free(struct writers *writers)
{
    for (size_t i = 0; i < writers->count; i++) {
        free(writers->items[i].outcomes);
    }
    free(writers->items);
    free(writers);
}
