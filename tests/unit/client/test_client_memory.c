/* Exhaustion is an answer: a workload runs with the n-th allocation refused, for every n, those of
 * libevent included. Whatever happens, nothing crashes, every accepted call completes once, and
 * when there is memory again the handle works. */
#include "client/client_memory.h"

#include <confer.h>

#include "base/clock.h"
#include "tests/support/test.h"
#include "tests/unit/client/fake_server.h"

#include <event2/event.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_US = 20 * 1000 * 1000 };

static atomic_int countdown; /* refuse when it gets to 0; <0: never */
static atomic_int refused;

static bool refuse(void)
{
    if (atomic_load(&countdown) < 0 || atomic_fetch_sub(&countdown, 1) != 0) {
        return false;
    }
    (void)atomic_fetch_add(&refused, 1);
    return true;
}

static void *event_malloc(size_t bytes)
{
    return refuse() ? NULL : malloc(bytes);
}

static void *event_realloc(void *memory, size_t bytes)
{
    return refuse() ? NULL : realloc(memory, bytes);
}

static atomic_int completions;
static atomic_int ends;

static void on_result(struct confer *confer, struct confer_result *result, void *argument)
{
    (void)confer;
    (void)argument;
    (void)strlen(result->message);
    (void)atomic_fetch_add(&completions, 1);
    confer_result_free(result);
}

static void on_event(struct confer *confer, const struct confer_event *event, void *argument)
{
    (void)confer;
    (void)argument;
    (void)atomic_fetch_add(&ends, event->kind == CONFER_EVENT_ENDED ? 1 : 0);
}

/* Returns how many calls were accepted. */
static int start_calls(struct confer *confer, int *ret_watches)
{
    struct confer_transaction *transaction = confer_transaction_new();
    struct confer_page page = {.with_values = true};
    int accepted = 0;

    accepted += confer_set_async(confer, "/a", "1", 1, -1, NULL, on_result, NULL) == CONFER_OK;
    accepted += confer_get_async(confer, "/a", 0, NULL, on_result, NULL) == CONFER_OK;
    accepted += confer_list_async(confer, "/", &page, NULL, on_result, NULL) == CONFER_OK;
    accepted += confer_read_tree_async(confer, "/", &page, NULL, on_result, NULL) == CONFER_OK;
    accepted += confer_cluster_status_async(confer, NULL, on_result, NULL) == CONFER_OK;
    if (transaction != NULL) {
        (void)confer_transaction_create(transaction, "/b", "1", 1, NULL);
        accepted += confer_commit_async(confer, transaction, NULL, on_result, NULL) == CONFER_OK;
        confer_transaction_free(transaction);
    }
    *ret_watches = confer_watch(confer, "/",
                                CONFER_WATCH_RECURSIVE | CONFER_WATCH_INITIAL | CONFER_WATCH_TRACK,
                                0, on_event, NULL, NULL) == CONFER_OK;
    return accepted;
}

static void wait_for(int accepted)
{
    uint64_t end = clock_monotonic_us() + DEADLINE_US;

    while (atomic_load(&completions) < accepted && clock_monotonic_us() < end) {
        (void)sched_yield();
    }
    EXPECT_EQ(atomic_load(&completions), accepted);
}

/* One run with the n-th allocation refused; false when there are not so many. */
static bool run(struct fake_server *server, int n)
{
    struct confer_result *result = NULL;
    struct confer *confer = NULL;
    int watches = 0;
    int accepted;
    int set;

    atomic_store(&completions, 0);
    atomic_store(&ends, 0);
    atomic_store(&refused, 0);
    atomic_store(&countdown, n);
    if (confer_open(fake_server_addresses(server), NULL, &confer) != CONFER_OK) {
        EXPECT_EQ(atomic_load(&refused), 1);
        return true;
    }
    accepted = start_calls(confer, &watches);
    wait_for(accepted);
    (void)fake_server_set(server, "/c", "1");
    fake_server_disconnect(server);
    set = (int)confer_set(confer, "/d", "1", 1, CONFER_ANY_VERSION, NULL, &result);
    EXPECT(set == CONFER_OK || set == CONFER_NO_MEMORY);
    confer_result_free(result);
    atomic_store(&countdown, -1);
    EXPECT_EQ(confer_set(confer, "/e", "1", 1, CONFER_ANY_VERSION, NULL, NULL), CONFER_OK);
    confer_close(confer);
    EXPECT_EQ(atomic_load(&completions), accepted);
    EXPECT_EQ(atomic_load(&ends), watches);
    return atomic_load(&refused) > 0;
}

static void test_any_single_allocation_may_fail(void)
{
    struct fake_server *server = NULL;
    int n = 0;

    event_set_mem_functions(event_malloc, event_realloc, free);
    client_memory_refuse = refuse;
    atomic_store(&countdown, -1);
    do {
        /* The small cluster keeps what sessions did: a new one at times. */
        if (n % 32 == 0) {
            if (server != NULL) {
                fake_server_stop(server);
            }
            server = fake_server_start(1, NULL, NULL);
        }
    } while (run(server, n++));
    EXPECT(n > 40);
    fake_server_stop(server);
    client_memory_refuse = NULL;
}

static void test_a_buffer_keeps_what_was_not_consumed(void)
{
    struct client_buffer buffer = {.data = NULL};
    size_t in = 0;
    size_t out = 0;

    while (in < 100000) {
        size_t size = 1 + in % 977;
        uint8_t *room = client_buffer_reserve(&buffer, size);

        for (size_t i = 0; i < size; i++) {
            room[i] = (uint8_t)(in + i);
        }
        client_buffer_filled(&buffer, size);
        in += size;
        size = in % 3 == 0 ? buffer.size : buffer.size / 2;
        for (size_t i = 0; i < size; i++) {
            EXPECT_EQ(client_buffer_lend(&buffer).data[i], (uint8_t)(out + i));
        }
        client_buffer_consume(&buffer, size);
        out += size;
    }
    client_buffer_release(&buffer);
}

static void test_an_arena_has_a_bound_and_zeroed_memory(void)
{
    struct client_arena arena;
    uint8_t *memory;

    client_arena_init(&arena, 100000);
    for (size_t i = 1; i < 200; i++) {
        memory = client_arena_alloc(&arena, i);
        EXPECT(memory != NULL);
        for (size_t j = 0; j <= i; j++) {
            EXPECT_EQ(memory[j], 0);
        }
        memset(memory, 0xff, i);
    }
    EXPECT(client_arena_alloc(&arena, 100001) == NULL);
    EXPECT(client_arena_alloc(&arena, 99000) == NULL);
    EXPECT(arena.exhausted);
    client_arena_release(&arena);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {TEST_CASE(test_any_single_allocation_may_fail),
                                             TEST_CASE(test_a_buffer_keeps_what_was_not_consumed),
                                             TEST_CASE(test_an_arena_has_a_bound_and_zeroed_memory),
                                             TEST_END};
    return test_main("client_memory", cases, argc, argv);
}
