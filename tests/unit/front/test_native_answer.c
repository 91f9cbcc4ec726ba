/* Answers made up at random, of all kinds and sizes: what is written field by field is what
 * protobuf-c packs. */
#include "server/front/native_answer.h"

#include "base/prng.h"
#include "tests/support/test.h"
#include "tests/unit/front/answer_model.h"

#include <stdlib.h>

enum { ROUNDS = 2000, PARTS_MAX = 40, TEXT_BYTES_MAX = 300, LARGE_BYTES = 20000 };

/* --- Messages at random --- */

struct maker {
    struct prng prng;
    struct arena *arena;
};

/* Of every length that a varint can have, alike often, 0 among them. */
static uint64_t any_number(struct maker *maker)
{
    uint64_t bits = prng_below(&maker->prng, 65);

    return bits == 0 ? 0 : (prng_next(&maker->prng) | UINT64_C(1) << 63) >> (64 - bits);
}

static bool any_bool(struct maker *maker)
{
    return prng_below(&maker->prng, 2) != 0;
}

/* Now and then of a size that takes three bytes to tell. */
static ProtobufCBinaryData any_bytes(struct maker *maker)
{
    size_t size = prng_below(&maker->prng, 100) == 0 ? LARGE_BYTES
                  : any_bool(maker)                  ? prng_below(&maker->prng, TEXT_BYTES_MAX)
                                                     : prng_below(&maker->prng, 4);
    uint8_t *data = arena_alloc(maker->arena, size);

    memset(data, 'x', size);
    return (ProtobufCBinaryData){.data = data, .len = size};
}

static Record__Stat *any_stat(struct maker *maker)
{
    const struct state_stat stat = {.czxid = any_number(maker),
                                    .mzxid = any_number(maker),
                                    .pzxid = any_number(maker),
                                    .ctime_ms = any_number(maker),
                                    .mtime_ms = any_number(maker),
                                    .version = (int32_t)any_number(maker),
                                    .cversion = (int32_t)any_number(maker),
                                    .aversion = (int32_t)any_number(maker),
                                    .ephemeral_owner = any_number(maker),
                                    .value_bytes = (uint32_t)any_number(maker),
                                    .child_count = (uint32_t)any_number(maker)};

    return model_message_of(maker->arena, &stat);
}

static size_t any_count(struct maker *maker)
{
    return any_bool(maker) ? prng_below(&maker->prng, 3) : prng_below(&maker->prng, PARTS_MAX);
}

/* What of the nodes of one answer is shown. */
struct shown_parts {
    bool stats;
    bool values;
};

static struct shown_parts any_parts(struct maker *maker)
{
    return (struct shown_parts){.stats = any_bool(maker), .values = any_bool(maker)};
}

static void make_get(struct maker *maker, Client__Response *response)
{
    Client__GetReply *get = arena_alloc(maker->arena, sizeof *get);
    size_t count = any_bool(maker) ? 0 : any_count(maker);

    client__get_reply__init(get);
    get->value = any_bytes(maker);
    get->value_is_null = any_bool(maker);
    get->stat = any_stat(maker);
    get->acl = arena_calloc(maker->arena, count, sizeof *get->acl);
    for (get->n_acl = 0; get->n_acl < count; get->n_acl++) {
        Record__AclEntry *entry = arena_alloc(maker->arena, sizeof *entry);

        record__acl_entry__init(entry);
        entry->permissions = (uint32_t)any_number(maker);
        entry->scheme = any_bytes(maker);
        entry->id = any_bytes(maker);
        get->acl[get->n_acl] = entry;
    }
    get->ttl_ms = any_number(maker);
    get->container = any_bool(maker);
    response->body_case = CLIENT__RESPONSE__BODY_GET;
    response->get = get;
}

static void make_list(struct maker *maker, Client__Response *response)
{
    Client__ListReply *list = arena_alloc(maker->arena, sizeof *list);
    struct shown_parts parts = any_parts(maker);
    size_t count = any_count(maker);

    client__list_reply__init(list);
    list->children = arena_calloc(maker->arena, count, sizeof *list->children);
    for (list->n_children = 0; list->n_children < count; list->n_children++) {
        Client__ListReply__Child *child = arena_alloc(maker->arena, sizeof *child);
        bool is_readable = prng_below(&maker->prng, 8) != 0;

        client__list_reply__child__init(child);
        child->name = any_bytes(maker);
        child->stat = is_readable && parts.stats ? any_stat(maker) : NULL;
        child->value_is_null = is_readable && parts.values && any_bool(maker);
        if (is_readable && parts.values) {
            child->value = any_bytes(maker);
        }
        list->children[list->n_children] = child;
    }
    list->more = any_bool(maker);
    list->parent = any_stat(maker);
    response->body_case = CLIENT__RESPONSE__BODY_LIST;
    response->list = list;
}

static void make_tree(struct maker *maker, Client__Response *response)
{
    Client__ReadTreeReply *tree = arena_alloc(maker->arena, sizeof *tree);
    struct shown_parts parts = any_parts(maker);
    size_t count = any_count(maker);

    client__read_tree_reply__init(tree);
    tree->nodes = arena_calloc(maker->arena, count, sizeof *tree->nodes);
    for (tree->n_nodes = 0; tree->n_nodes < count; tree->n_nodes++) {
        Client__ReadTreeReply__Node *node = arena_alloc(maker->arena, sizeof *node);
        bool is_readable = prng_below(&maker->prng, 8) != 0;

        client__read_tree_reply__node__init(node);
        node->path = any_bytes(maker);
        node->stat = is_readable ? any_stat(maker) : NULL;
        node->value_is_null = is_readable && parts.values && any_bool(maker);
        if (is_readable && parts.values) {
            node->value = any_bytes(maker);
        }
        tree->nodes[tree->n_nodes] = node;
    }
    tree->more = any_bool(maker);
    response->body_case = CLIENT__RESPONSE__BODY_READ_TREE;
    response->read_tree = tree;
}

static void make_write(struct maker *maker, Client__Response *response)
{
    Client__WriteReply *write = arena_alloc(maker->arena, sizeof *write);
    size_t count = any_count(maker);

    client__write_reply__init(write);
    write->zxid = any_number(maker);
    write->operations = arena_calloc(maker->arena, count, sizeof *write->operations);
    for (write->n_operations = 0; write->n_operations < count; write->n_operations++) {
        Record__OperationResult *result = arena_alloc(maker->arena, sizeof *result);

        record__operation_result__init(result);
        result->error = (uint32_t)prng_below(&maker->prng, 20);
        result->path = any_bytes(maker);
        result->stat = any_bool(maker) ? any_stat(maker) : NULL;
        result->created = any_bool(maker);
        write->operations[write->n_operations] = result;
    }
    response->body_case = CLIENT__RESPONSE__BODY_WRITE;
    response->write = write;
}

static void make_events(struct maker *maker, Client__Response *response)
{
    Client__Events *events = arena_alloc(maker->arena, sizeof *events);
    struct shown_parts parts = any_parts(maker);
    size_t count = any_count(maker);

    client__events__init(events);
    events->watch = any_number(maker);
    events->events = arena_calloc(maker->arena, count, sizeof *events->events);
    for (events->n_events = 0; events->n_events < count; events->n_events++) {
        Client__Event *event = arena_alloc(maker->arena, sizeof *event);

        client__event__init(event);
        event->zxid = any_number(maker);
        event->kind = (Client__EventKind)prng_below(&maker->prng, 4);
        event->path = any_bytes(maker);
        event->stat = prng_below(&maker->prng, 8) != 0 ? any_stat(maker) : NULL;
        event->value_is_null = parts.values && any_bool(maker);
        if (parts.values) {
            event->value = any_bytes(maker);
        }
        events->events[events->n_events] = event;
    }
    events->up_to_zxid = any_number(maker);
    events->lost = any_bool(maker);
    response->body_case = CLIENT__RESPONSE__BODY_EVENTS;
    response->events = events;
}

/* One of those that protobuf-c packs. */
static void make_session(struct maker *maker, Client__Response *response)
{
    Client__SessionReply *session = arena_alloc(maker->arena, sizeof *session);

    client__session_reply__init(session);
    session->session = any_number(maker);
    session->password = any_bytes(maker);
    response->body_case = CLIENT__RESPONSE__BODY_SESSION;
    response->session = session;
}

static void make_nothing(struct maker *maker, Client__Response *response)
{
    (void)maker;
    response->body_case = CLIENT__RESPONSE__BODY__NOT_SET;
}

/* --- Claims --- */

/* Ends with a message of ours when something was written beyond what was measured. */
static void expect_same_bytes(struct answer_model *model, Client__Response *response)
{
    enum { GUARD_BYTES = 16 };
    struct native_answer answer = answer_model_of(model, response);
    size_t size = native_answer_measure(&answer);
    uint8_t *written = arena_alloc(&model->arena, size + GUARD_BYTES);
    uint8_t *expected = arena_alloc(&model->arena, size);

    EXPECT_EQ(size, client__response__get_packed_size(response));
    memset(written, 0xa5, size + GUARD_BYTES);
    native_answer_put(&answer, written);
    (void)client__response__pack(response, expected);
    EXPECT_BYTES(bytes_of(written, size), bytes_of(expected, size));
    for (size_t i = 0; i < GUARD_BYTES; i++) {
        EXPECT_EQ(written[size + i], 0xa5);
    }
}

static void expect_like_protobuf_c(void (*make)(struct maker *maker, Client__Response *response),
                                   uint64_t seed)
{
    static struct answer_model model;
    static char message[] = "words for a person";
    struct maker maker = {.arena = &model.arena};

    prng_init(&maker.prng, seed);
    for (unsigned round = 0; round < ROUNDS; round++) {
        Client__Response response = CLIENT__RESPONSE__INIT;

        answer_model_init(&model);
        response.id = any_number(&maker);
        response.zxid = any_number(&maker);
        if (any_bool(&maker)) {
            response.code = (Client__Code)prng_below(&maker.prng, 0x80);
            response.message = message;
        }
        make(&maker, &response);
        expect_same_bytes(&model, &response);
        answer_model_release(&model);
    }
}

static void test_a_node_is_written_as_protobuf_c_writes_it(void)
{
    expect_like_protobuf_c(make_get, 1);
}

static void test_children_are_written_as_protobuf_c_writes_them(void)
{
    expect_like_protobuf_c(make_list, 2);
}

static void test_a_subtree_is_written_as_protobuf_c_writes_it(void)
{
    expect_like_protobuf_c(make_tree, 3);
}

static void test_results_are_written_as_protobuf_c_writes_them(void)
{
    expect_like_protobuf_c(make_write, 4);
}

static void test_events_are_written_as_protobuf_c_writes_them(void)
{
    expect_like_protobuf_c(make_events, 5);
}

static void test_other_bodies_and_none_are_framed_as_protobuf_c_does(void)
{
    expect_like_protobuf_c(make_session, 6);
    expect_like_protobuf_c(make_nothing, 7);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_node_is_written_as_protobuf_c_writes_it),
        TEST_CASE(test_children_are_written_as_protobuf_c_writes_them),
        TEST_CASE(test_a_subtree_is_written_as_protobuf_c_writes_it),
        TEST_CASE(test_results_are_written_as_protobuf_c_writes_them),
        TEST_CASE(test_events_are_written_as_protobuf_c_writes_them),
        TEST_CASE(test_other_bodies_and_none_are_framed_as_protobuf_c_does),
        TEST_END};

    return test_main("native_answer", cases, argc, argv);
}
