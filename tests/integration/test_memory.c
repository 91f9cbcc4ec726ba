/* However many nodes there are, and wherever they are written: the memory of a server that is no
 * file's stays below its cache and what the rest takes at most. */
#include "base/prng.h"
#include "tests/support/cluster.h"
#include "tests/support/test.h"

#include <confer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NODES = 200000,
    A_TRANSACTION = 200,
    SETS = 60000,
    VALUE_BYTES = 100,
    CACHE_MIB = 16, /* less than the nodes take */
    /* Pages of a checkpoint that is being written, what the allocator keeps, connections. */
    REST_MIB_MAX = 64,
    IDLE_MIB_MAX = 3 /* tables that are there for what may come are never touched */
};

static struct cluster cluster;

static void path_of(char path[32], uint64_t node)
{
    (void)snprintf(path, 32, "/nodes/%07u", (unsigned)node);
}

static void commit(struct confer *client, struct confer_transaction *transaction)
{
    struct confer_result *result = NULL;

    EXPECT_EQ(confer_commit(client, transaction, NULL, &result), CONFER_OK);
    confer_result_free(result);
    confer_transaction_free(transaction);
}

/* The most that was seen. */
static uint64_t look(uint64_t before)
{
    uint64_t bytes = cluster_anonymous_bytes(&cluster, 1);

    return bytes > before ? bytes : before;
}

static uint64_t make_nodes(struct confer *client, const char *value)
{
    uint64_t peak = 0;

    for (unsigned node = 0; node < NODES;) {
        struct confer_transaction *transaction = confer_transaction_new();

        for (unsigned i = 0; i < A_TRANSACTION; i++, node++) {
            char path[32];

            path_of(path, node);
            EXPECT_EQ(confer_transaction_create(transaction, path, value, VALUE_BYTES, NULL),
                      CONFER_OK);
        }
        commit(client, transaction);
        peak = look(peak);
    }
    return peak;
}

/* Each of them lies on a page of its own, and a checkpoint has to write them all. */
static uint64_t set_nodes(struct confer *client, const char *value)
{
    struct prng prng;
    uint64_t peak = 0;

    prng_init(&prng, 1);
    for (unsigned done = 0; done < SETS;) {
        struct confer_transaction *transaction = confer_transaction_new();

        for (unsigned i = 0; i < A_TRANSACTION; i++, done++) {
            char path[32];

            path_of(path, prng_below(&prng, NODES));
            EXPECT_EQ(confer_transaction_set(transaction, path, value, VALUE_BYTES, -1), CONFER_OK);
        }
        commit(client, transaction);
        peak = look(peak);
    }
    return peak;
}

static void expect_below(uint64_t peak, uint64_t mib_max, const char *when)
{
    (void)printf("%s: at most %u KiB\n", when, (unsigned)(peak >> 10));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT(peak <= mib_max << 20);
#else
    (void)mib_max;
#endif
}

static void test_a_server_that_nobody_talks_to_takes_next_to_nothing(void)
{
    cluster_init(&cluster, 1);
    cluster_form(&cluster);
    expect_below(look(0), IDLE_MIB_MAX, "idle");
    cluster_release(&cluster);
}

static void test_memory_is_the_cache_and_little_more(void)
{
    struct confer *client = NULL;
    struct confer_result *result = NULL;
    char value[VALUE_BYTES];

    memset(value, 'v', sizeof value);
    cluster_init(&cluster, 1);
    cluster.options[0] = "--cache=16MiB";
    cluster_form(&cluster);
    EXPECT_EQ(confer_open(cluster.servers[1].address, NULL, &client), CONFER_OK);
    EXPECT_EQ(confer_create(client, "/nodes", "", 0, NULL, NULL, &result), CONFER_OK);
    confer_result_free(result);
    expect_below(make_nodes(client, value), CACHE_MIB + REST_MIB_MAX, "made");
    memset(value, 'w', sizeof value);
    expect_below(set_nodes(client, value), CACHE_MIB + REST_MIB_MAX, "set");
    confer_close(client);
    cluster_release(&cluster);
}

static void ignore(struct confer *client, struct confer_result *result, void *argument)
{
    (void)client;
    (void)argument;
    confer_result_free(result);
}

/* The largest number that a line of the log has behind "checkpoint ... records=". */
static unsigned long largest_checkpoint(void)
{
    FILE *file = fopen(cluster.servers[1].log, "re");
    unsigned long largest = 0;
    char line[512];

    EXPECT(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        const char *records =
            strstr(line, " checkpoint ") == NULL ? NULL : strstr(line, "records=");
        unsigned long count = records == NULL ? 0 : strtoul(records + strlen("records="), NULL, 10);

        largest = count > largest ? count : largest;
    }
    (void)fclose(file);
    return largest;
}

static void test_no_checkpoint_is_larger_than_what_starts_one(void)
{
    enum { STARTS = 100, MADE = 20000, OF_ONE_COMMAND = 8 };
    struct confer_options options;
    struct confer *client = NULL;
    struct confer_result *result = NULL;

    cluster_init(&cluster, 1);
    cluster.options[0] = "--checkpoint-records=100";
    cluster.options[1] = "--log-level=debug";
    cluster_form(&cluster);
    confer_options_init(&options);
    options.request_timeout_ms = 120000; /* they all wait at once, for a disk that others use too */
    options.no_session = true;           /* in one, a command may let a thousand kept results go */
    EXPECT_EQ(confer_open(cluster.servers[1].address, &options, &client), CONFER_OK);
    EXPECT_EQ(confer_create(client, "/nodes", "", 0, NULL, NULL, &result), CONFER_OK);
    confer_result_free(result);
    for (unsigned node = 0; node < MADE; node++) {
        char path[32];

        path_of(path, node);
        EXPECT_EQ(confer_create_async(client, path, "", 0, NULL, NULL, ignore, NULL), CONFER_OK);
    }
    EXPECT_EQ(confer_create(client, "/last", "", 0, NULL, NULL, &result), CONFER_OK);
    confer_result_free(result);
    confer_close(client);
    (void)printf("%lu records\n", largest_checkpoint());
    EXPECT(largest_checkpoint() >= STARTS);
    EXPECT(largest_checkpoint() <= STARTS + OF_ONE_COMMAND);
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_server_that_nobody_talks_to_takes_next_to_nothing),
        TEST_CASE(test_memory_is_the_cache_and_little_more),
        TEST_CASE(test_no_checkpoint_is_larger_than_what_starts_one), TEST_END};

    return test_main("memory", cases, argc, argv);
}
