/* Exhaustion is an answer: a workload runs with the n-th allocation refused, for every n, those of
 * libevent included. Whatever happens, nothing crashes, every accepted call completes once, and
 * when there is memory again the handle works. */
#include "client/client_memory.h"

#include <confer.h>
#include <confer_event.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "tests/support/damage.h"
#include "tests/support/test.h"
#include "tests/unit/client/fake_server.h"

#include <ctype.h>
#include <event2/event.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_US = 20 * 1000 * 1000, TEXT_BYTES_MAX = 10000 };

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

/* Read to its end, which may not be far. */
static bool is_text(const char *text)
{
    return text != NULL && strlen(text) < TEXT_BYTES_MAX;
}

static atomic_int completions;
static atomic_int ends;

static void on_result(struct confer *confer, struct confer_result *result, void *argument)
{
    (void)confer;
    (void)argument;
    CHECK(is_text(result->message));
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

/* --- Each public call by itself --- */

static const struct confer_node_address node = {.id = 2, .address = "127.0.0.1:2"};
static const struct confer_acl_entry entry = {
    .permissions = CONFER_PERMISSION_READ, .scheme = "world", .id = "anyone"};
static const uint64_t voters[] = {1, 2};

/* What is told of a failure must be there too. */
static enum confer_status ended(enum confer_status status, struct confer_result *result)
{
    EXPECT(result == NULL ? status == CONFER_NO_MEMORY : result->status == status);
    EXPECT(result == NULL || is_text(result->message));
    confer_result_free(result);
    return status;
}

#define BLOCKING(name, ...)                                                                        \
    static enum confer_status do_##name(struct confer *confer)                                     \
    {                                                                                              \
        struct confer_result *result = NULL;                                                       \
        enum confer_status status = confer_##name(confer, __VA_ARGS__, NULL, &result);             \
                                                                                                   \
        return ended(status, result);                                                              \
    }

BLOCKING(get, "/a", CONFER_GET_ACL)
BLOCKING(exists, "/a")
BLOCKING(list, "/", NULL)
BLOCKING(read_tree, "/", NULL)
BLOCKING(set, "/a", "1", 1, CONFER_ANY_VERSION)
BLOCKING(remove, "/none", CONFER_ANY_VERSION)
BLOCKING(set_acl, "/a", &entry, 1, CONFER_ANY_VERSION)
BLOCKING(init, &node, 1)
BLOCKING(add_learner, &node)
BLOCKING(add_voter, &node)
BLOCKING(change_membership, voters, 2)
BLOCKING(force_membership, voters, 2)
BLOCKING(remove_member, 2)
BLOCKING(transfer_leader, 0)

static struct {
    atomic_int count;
    enum confer_status status;
} completion;

static void on_completed(struct confer *confer, struct confer_result *result, void *argument)
{
    (void)confer;
    (void)argument;
    CHECK(is_text(result->message));
    completion.status = result->status;
    confer_result_free(result);
    (void)atomic_fetch_add(&completion.count, 1);
}

/* What was accepted completes, once; what was not never does. */
static enum confer_status completed(enum confer_status status)
{
    uint64_t end_us = clock_monotonic_us() + DEADLINE_US;

    while (status == CONFER_OK && atomic_load(&completion.count) == 0 &&
           clock_monotonic_us() < end_us) {
        (void)sched_yield();
    }
    EXPECT_EQ(atomic_load(&completion.count), status == CONFER_OK);
    return status == CONFER_OK ? completion.status : status;
}

#define ASYNC(name, ...)                                                                           \
    static enum confer_status do_##name##_async(struct confer *confer)                             \
    {                                                                                              \
        atomic_store(&completion.count, 0);                                                        \
        return completed(confer_##name##_async(confer, __VA_ARGS__, NULL, on_completed, NULL));    \
    }

static const struct confer_create sequential = {
    .mode = CONFER_PERSISTENT_SEQUENTIAL, .make_parents = true, .acl = &entry, .acl_count = 1};

ASYNC(get, "/a", CONFER_GET_ACL)
ASYNC(exists, "/a")
ASYNC(list, "/", NULL)
ASYNC(read_tree, "/", NULL)
ASYNC(set, "/a", "1", 1, CONFER_ANY_VERSION)
ASYNC(remove, "/none", CONFER_ANY_VERSION)
ASYNC(create, "/s-", "1", 1, &sequential)
ASYNC(set_acl, "/a", &entry, 1, CONFER_ANY_VERSION)
ASYNC(init, &node, 1)
ASYNC(add_learner, &node)
ASYNC(add_voter, &node)
ASYNC(change_membership, voters, 2)
ASYNC(force_membership, voters, 2)
ASYNC(remove_member, 2)
ASYNC(transfer_leader, 0)

static enum confer_status do_cancel_change_async(struct confer *confer)
{
    atomic_store(&completion.count, 0);
    return completed(confer_cancel_change_async(confer, NULL, on_completed, NULL));
}

static enum confer_status do_cluster_status_async(struct confer *confer)
{
    atomic_store(&completion.count, 0);
    return completed(confer_cluster_status_async(confer, NULL, on_completed, NULL));
}

static enum confer_status do_create(struct confer *confer)
{
    struct confer_result *result = NULL;
    enum confer_status status = confer_create(confer, "/s-", "1", 1, &sequential, NULL, &result);

    return ended(status, result);
}

static enum confer_status do_cancel_change(struct confer *confer)
{
    struct confer_result *result = NULL;
    enum confer_status status = confer_cancel_change(confer, NULL, &result);

    return ended(status, result);
}

static enum confer_status do_cluster_status(struct confer *confer)
{
    struct confer_result *result = NULL;
    enum confer_status status = confer_cluster_status(confer, NULL, &result);

    return ended(status, result);
}

/* A failure to add is remembered: the commit tells. */
static struct confer_transaction *new_transaction(void)
{
    const struct confer_create create = {.mode = CONFER_PERSISTENT_SEQUENTIAL};
    struct confer_transaction *transaction = confer_transaction_new();

    if (transaction != NULL) {
        (void)confer_transaction_check(transaction, "/a", CONFER_ANY_VERSION);
        (void)confer_transaction_check_absent(transaction, "/none");
        (void)confer_transaction_create(transaction, "/t-", "1", 1, &create);
        (void)confer_transaction_set(transaction, "/a", "2", 1, CONFER_ANY_VERSION);
        (void)confer_transaction_set_acl(transaction, "/a", &entry, 1, CONFER_ANY_VERSION);
        (void)confer_transaction_create(transaction, "/gone", "1", 1, NULL);
        (void)confer_transaction_remove(transaction, "/gone", CONFER_ANY_VERSION);
    }
    return transaction;
}

static enum confer_status do_commit(struct confer *confer)
{
    struct confer_transaction *transaction = new_transaction();
    struct confer_result *result = NULL;
    enum confer_status status;

    if (transaction == NULL) {
        return CONFER_NO_MEMORY;
    }
    status = confer_commit(confer, transaction, NULL, &result);
    confer_transaction_free(transaction);
    return ended(status, result);
}

static enum confer_status do_commit_async(struct confer *confer)
{
    struct confer_transaction *transaction = new_transaction();
    enum confer_status status;

    if (transaction == NULL) {
        return CONFER_NO_MEMORY;
    }
    atomic_store(&completion.count, 0);
    status = confer_commit_async(confer, transaction, NULL, on_completed, NULL);
    confer_transaction_free(transaction);
    return completed(status);
}

static enum confer_status drain(enum confer_status status, struct confer_iterator *iterator)
{
    const struct confer_node *found;

    while (status == CONFER_OK) {
        status = confer_next(iterator, &found);
        if (status != CONFER_OK) {
            EXPECT(is_text(confer_iterator_message(iterator)));
        } else {
            EXPECT(is_text(found->path == NULL ? found->name : found->path));
        }
    }
    confer_iterator_free(iterator);
    return status == CONFER_END ? CONFER_OK : status;
}

static enum confer_status do_list_all(struct confer *confer)
{
    const struct confer_page page = {.count_max = 1};
    struct confer_iterator *iterator = NULL;
    enum confer_status status = confer_list_begin(confer, "/", &page, NULL, &iterator);

    return drain(status, iterator);
}

static enum confer_status do_read_whole_tree(struct confer *confer)
{
    const struct confer_page page = {.count_max = 1, .with_values = true};
    struct confer_iterator *iterator = NULL;
    enum confer_status status = confer_tree_begin(confer, "/", &page, NULL, &iterator);

    return drain(status, iterator);
}

static void on_watched(struct confer *confer, const struct confer_event *event, void *argument)
{
    atomic_int *own_ends = argument;

    (void)confer;
    (void)atomic_fetch_add(own_ends, event->kind == CONFER_EVENT_ENDED ? 1 : 0);
}

/* It ends once, whether it is ended by its owner or for want of memory. */
static enum confer_status do_watch(struct confer *confer)
{
    uint64_t end_us = clock_monotonic_us() + DEADLINE_US;
    atomic_int own_ends = 0;
    uint64_t id = 0;
    enum confer_status status = confer_watch(
        confer, "/", CONFER_WATCH_RECURSIVE | CONFER_WATCH_INITIAL, 0, on_watched, &own_ends, &id);

    if (status != CONFER_OK) {
        return status;
    }
    status = confer_unwatch(confer, id);
    if (status == CONFER_NO_MEMORY) {
        EXPECT_EQ(confer_unwatch(confer, id), CONFER_OK);
    }
    while (atomic_load(&own_ends) == 0 && clock_monotonic_us() < end_us) {
        (void)sched_yield();
    }
    EXPECT_EQ(atomic_load(&own_ends), 1);
    return status;
}

static enum confer_status do_check_servers(struct confer *confer)
{
    char message[200];

    (void)confer;
    return confer_check_servers("127.0.0.1:1,[::1]:2", message, sizeof message);
}

/* One more handle, with a credential, closed with a call under way. */
static enum confer_status do_open_and_close(struct confer *confer)
{
    static const struct confer_credential credential = {
        .scheme = "digest", .secret = "ann:secret", .secret_bytes = 10};
    struct confer_options options;
    struct confer *other = NULL;
    enum confer_status status;
    int accepted;

    (void)confer;
    confer_options_init(&options);
    options.credentials = &credential;
    options.credential_count = 1;
    status = confer_open("127.0.0.1:1", &options, &other);
    if (status == CONFER_OK) {
        atomic_store(&completions, 0);
        accepted = confer_get_async(other, "/a", 0, NULL, on_result, NULL) == CONFER_OK;
        confer_close(other);
        EXPECT_EQ(atomic_load(&completions), accepted);
    }
    return status;
}

static const char *numeric_address;

/* A handle whose server's name is looked up by the thread that is made for it. */
static enum confer_status do_open_by_name(struct confer *confer)
{
    static const struct confer_credential credential = {
        .scheme = "digest", .secret = "ann:secret", .secret_bytes = 10};
    struct confer_options options;
    struct confer *other = NULL;
    struct confer_result *result = NULL;
    char address[64];
    enum confer_status status;

    (void)confer;
    (void)snprintf(address, sizeof address, "localhost%s", strrchr(numeric_address, ':'));
    confer_options_init(&options);
    options.credentials = &credential;
    options.credential_count = 1;
    status = confer_open(address, &options, &other);
    if (status == CONFER_OK) {
        status = confer_set(other, "/n", "1", 1, CONFER_ANY_VERSION, NULL, &result);
        status = ended(status, result);
        confer_close(other);
    }
    return status;
}

static void on_state(struct confer *confer, enum confer_state state, void *argument)
{
    (void)confer;
    *(bool *)argument = state == CONFER_STATE_CLOSED;
}

/* The same in the caller's loop, where the handle is gone once CLOSED was told. */
static enum confer_status do_open_on_base(struct confer *confer)
{
    struct event_base *base = event_base_new();
    struct confer_options options;
    struct confer *other = NULL;
    enum confer_status status;
    bool is_closed = false;
    int accepted;

    (void)confer;
    if (base == NULL) {
        return CONFER_NO_MEMORY;
    }
    confer_options_init(&options);
    options.on_state = on_state;
    options.argument = &is_closed;
    status = confer_open_on_base(base, "127.0.0.1:1", &options, &other);
    if (status == CONFER_OK) {
        atomic_store(&completions, 0);
        accepted = confer_get_async(other, "/a", 0, NULL, on_result, NULL) == CONFER_OK;
        (void)event_base_loop(base, EVLOOP_NONBLOCK);
        confer_close(other);
        while (!is_closed) {
            EXPECT_EQ(event_base_loop(base, EVLOOP_ONCE), 0);
        }
        EXPECT_EQ(atomic_load(&completions), accepted);
    }
    event_base_free(base);
    return status;
}

static const struct deed {
    const char *name;
    enum confer_status (*run)(struct confer *confer);
} deeds[] = {
    {"get", do_get},
    {"exists", do_exists},
    {"list", do_list},
    {"read_tree", do_read_tree},
    {"create", do_create},
    {"set", do_set},
    {"remove", do_remove},
    {"set_acl", do_set_acl},
    {"commit", do_commit},
    {"list_begin", do_list_all},
    {"tree_begin", do_read_whole_tree},
    {"watch", do_watch},
    {"init", do_init},
    {"add_learner", do_add_learner},
    {"add_voter", do_add_voter},
    {"change_membership", do_change_membership},
    {"force_membership", do_force_membership},
    {"cancel_change", do_cancel_change},
    {"remove_member", do_remove_member},
    {"transfer_leader", do_transfer_leader},
    {"cluster_status", do_cluster_status},
    {"get_async", do_get_async},
    {"exists_async", do_exists_async},
    {"list_async", do_list_async},
    {"read_tree_async", do_read_tree_async},
    {"create_async", do_create_async},
    {"set_async", do_set_async},
    {"remove_async", do_remove_async},
    {"set_acl_async", do_set_acl_async},
    {"commit_async", do_commit_async},
    {"init_async", do_init_async},
    {"add_learner_async", do_add_learner_async},
    {"add_voter_async", do_add_voter_async},
    {"change_membership_async", do_change_membership_async},
    {"force_membership_async", do_force_membership_async},
    {"cancel_change_async", do_cancel_change_async},
    {"remove_member_async", do_remove_member_async},
    {"transfer_leader_async", do_transfer_leader_async},
    {"cluster_status_async", do_cluster_status_async},
    {"check_servers", do_check_servers},
    {"open", do_open_and_close},
    {"open (by name)", do_open_by_name},
    {"open_on_base", do_open_on_base},
};

/* On a handle that is at rest; with `reconnect` it has to find the server again first. */
static void
exhaust(struct fake_server *server, struct confer *confer, const struct deed *deed, bool reconnect)
{
    enum confer_status usual = deed->run(confer);
    enum confer_status status;
    int n = 0;

    do {
        atomic_store(&refused, 0);
        if (reconnect) {
            fake_server_disconnect(server);
        }
        atomic_store(&countdown, n++);
        status = deed->run(confer);
        atomic_store(&countdown, -1);
        if (status != usual && status != CONFER_NO_MEMORY) {
            (void)fprintf(stderr, "confer_%s without its allocation %d: %s, else %s\n", deed->name,
                          n, confer_status_text(status), confer_status_text(usual));
        }
        EXPECT(status == usual || (status == CONFER_NO_MEMORY && atomic_load(&refused) > 0));
    } while (atomic_load(&refused) > 0);
    EXPECT_EQ(deed->run(confer), usual);
}

static void exhaust_all(bool reconnect)
{
    event_set_mem_functions(event_malloc, event_realloc, free);
    client_memory_refuse = refuse;
    atomic_store(&countdown, -1);
    for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++) {
        struct fake_server *server = fake_server_start(1, NULL, NULL);
        struct confer *confer = NULL;

        numeric_address = fake_server_addresses(server);
        (void)fake_server_set(server, "/a", "1");
        EXPECT_EQ(confer_open(fake_server_addresses(server), NULL, &confer), CONFER_OK);
        EXPECT_EQ(confer_set(confer, "/b", "1", 1, CONFER_ANY_VERSION, NULL, NULL), CONFER_OK);
        exhaust(server, confer, &deeds[i], reconnect);
        EXPECT_EQ(confer_state(confer) == CONFER_STATE_EXPIRED, false);
        confer_close(confer);
        fake_server_stop(server);
    }
    client_memory_refuse = NULL;
}

/* Tried inside of the others, or without any memory to take. */
static const char *const parts[] = {"next",
                                    "iterator_message",
                                    "iterator_zxid",
                                    "iterator_free",
                                    "transaction_new",
                                    "transaction_create",
                                    "transaction_set",
                                    "transaction_remove",
                                    "transaction_set_acl",
                                    "transaction_check",
                                    "transaction_check_absent",
                                    "transaction_free",
                                    "unwatch",
                                    "close",
                                    "version",
                                    "status_text",
                                    "state_text",
                                    "event_text",
                                    "result_free",
                                    "options_init_sized",
                                    "state",
                                    "session_id",
                                    "seen_zxid"};

static bool is_tried(const char *name)
{
    for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++) {
        if (strcmp(deeds[i].name, name) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(parts[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The functions that a public header declares; returns how many. */
static size_t expect_tried(const char *header)
{
    static const char mark[] = "CONFER_API ";
    static const char prefix[] = "confer_";
    size_t bytes;
    char *text = (char *)damage_read(header, &bytes);
    size_t count = 0;

    text = xrealloc(text, bytes + 1);
    text[bytes] = '\0';
    for (char *at = strstr(text, mark); at != NULL; at = strstr(at + 1, mark)) {
        char *end = strchr(at, '(');
        char *name = end;

        EXPECT(end != NULL);
        while (isalnum((unsigned char)name[-1]) || name[-1] == '_') {
            name--;
        }
        if (strncmp(name, prefix, sizeof prefix - 1) == 0) {
            *end = '\0';
            if (!is_tried(name + sizeof prefix - 1)) {
                (void)fprintf(stderr, "nothing here calls %s\n", name);
            }
            EXPECT(is_tried(name + sizeof prefix - 1));
            *end = '(';
            count++;
        }
    }
    free(text);
    return count;
}

static void test_no_public_call_is_left_out(void)
{
    EXPECT(expect_tried(CONFER_INCLUDE "/confer.h") > 50);
    EXPECT(expect_tried(CONFER_INCLUDE "/confer_event.h") > 0);
}

static void test_every_call_may_lack_memory(void)
{
    exhaust_all(false);
}

static void test_every_call_may_lack_memory_while_the_server_is_found_again(void)
{
    exhaust_all(true);
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
    static const struct test_case cases[] = {
        TEST_CASE(test_any_single_allocation_may_fail),
        TEST_CASE(test_no_public_call_is_left_out),
        TEST_CASE(test_every_call_may_lack_memory),
        TEST_CASE(test_every_call_may_lack_memory_while_the_server_is_found_again),
        TEST_CASE(test_a_buffer_keeps_what_was_not_consumed),
        TEST_CASE(test_an_arena_has_a_bound_and_zeroed_memory),
        TEST_END};
    return test_main("client_memory", cases, argc, argv);
}
