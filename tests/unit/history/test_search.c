/* The checker against a twin that tries every order on a tree written to be obviously right. */
#include "tests/history/search.h"

#include "base/prng.h"
#include "tests/history/history_text.h"
#include "tests/history/linear.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES_MAX = 24, CALLS_MAX = 7, ROUNDS = 6000, TEXT_MAX = 32 };

/* --- The twin --- */

struct twin_node {
    char path[TEXT_MAX];
    uint64_t value;
    int32_t version;
    uint64_t owner;
    uint64_t mzxid;
    unsigned made; /* children ever */
};

struct twin {
    struct twin_node nodes[NODES_MAX];
    size_t count;
    bool ended;    /* session 7 */
    uint64_t zxid; /* the highest so far */
    uint64_t now;  /* of the call that is done; 0 = nobody knows */
};

static struct twin_node *twin_find(struct twin *twin, const char *path)
{
    for (size_t i = 0; i < twin->count; i++) {
        if (strcmp(twin->nodes[i].path, path) == 0) {
            return &twin->nodes[i];
        }
    }
    return NULL;
}

static void parent_path(const char *path, char parent[TEXT_MAX])
{
    char *slash;

    (void)snprintf(parent, TEXT_MAX, "%s", path);
    slash = strrchr(parent, '/');
    slash[slash == parent] = '\0';
}

static size_t twin_children(struct twin *twin, const char *path)
{
    size_t count = 0;

    for (size_t i = 0; i < twin->count; i++) {
        char parent[TEXT_MAX];

        parent_path(twin->nodes[i].path, parent);
        count += strcmp(parent, path) == 0 && strcmp(twin->nodes[i].path, "/") != 0;
    }
    return count;
}

static void twin_add(struct twin *twin, const char *path, uint64_t value, uint64_t owner)
{
    struct twin_node *node = &twin->nodes[twin->count];
    struct twin_node *parent;
    char above[TEXT_MAX];

    EXPECT(twin->count < NODES_MAX);
    parent_path(path, above);
    parent = twin_find(twin, above);
    if (parent != NULL) {
        parent->made++;
    }
    *node = (struct twin_node){.value = value, .owner = owner, .mzxid = twin->now};
    (void)snprintf(node->path, TEXT_MAX, "%s", path);
    twin->count++;
}

static void twin_remove(struct twin *twin, struct twin_node *node)
{
    *node = twin->nodes[--twin->count];
}

static void twin_init(struct twin *twin)
{
    *twin = (struct twin){.count = 0};
    twin_add(twin, "/", 0, 0);
    twin_add(twin, "/q", 0, 0);
}

static uint32_t twin_create(struct twin *twin, struct history *history, struct history_step *step)
{
    char path[TEXT_MAX];
    char above[TEXT_MAX];
    struct twin_node *parent;

    (void)snprintf(path, TEXT_MAX, "%s", (const char *)history_path_text(history, step->path).data);
    parent_path(path, above);
    parent = twin_find(twin, above);
    if (parent == NULL) {
        return HISTORY_ERROR_NO_NODE;
    }
    if (step->sequential) {
        (void)snprintf(path + strlen(path), TEXT_MAX - strlen(path), "%010u", parent->made);
    }
    if (twin_find(twin, path) != NULL) {
        return HISTORY_ERROR_NODE_EXISTS;
    }
    if (parent->owner != 0) {
        return HISTORY_ERROR_NO_CHILDREN_FOR_EPHEMERALS;
    }
    twin_add(twin, path, step->value, step->ephemeral ? 7 : 0);
    step->made = history_path_of(history, bytes_of_text(path));
    return HISTORY_ERROR_NONE;
}

static int compare_names(const void *left, const void *right)
{
    const struct twin_node *const *a = left;
    const struct twin_node *const *b = right;

    return strcmp((*a)->path, (*b)->path);
}

static void twin_list(struct twin *twin, struct history *history, struct history_step *step)
{
    const char *path = (const char *)history_path_text(history, step->path).data;
    const struct twin_node *children[NODES_MAX] = {NULL};
    size_t count = 0;
    history_path *names;

    for (size_t i = 0; i < twin->count; i++) {
        char parent[TEXT_MAX];

        parent_path(twin->nodes[i].path, parent);
        if (strcmp(parent, path) == 0 && strcmp(twin->nodes[i].path, "/") != 0) {
            children[count++] = &twin->nodes[i];
        }
    }
    qsort(children, count, sizeof(const struct twin_node *), compare_names);
    names = history_names(history, count);
    for (size_t i = 0; i < count; i++) {
        names[i] = history_path_of(history, bytes_of_text(children[i]->path));
    }
    step->names = names;
    step->name_count = count;
}

/* Do it and fill in what is answered. */
static uint32_t twin_step(struct twin *twin, struct history *history, struct history_step *step)
{
    const char *path = (const char *)history_path_text(history, step->path).data;
    struct twin_node *node = twin_find(twin, path);
    bool write =
        step->kind == HISTORY_SET || step->kind == HISTORY_REMOVE || step->kind == HISTORY_CHECK;

    if (step->kind == HISTORY_CREATE) {
        return twin_create(twin, history, step);
    }
    if (write && node == NULL) {
        return HISTORY_ERROR_NO_NODE;
    }
    if (write && step->expected != HISTORY_ANY_VERSION && step->expected != node->version) {
        return HISTORY_ERROR_BAD_VERSION;
    }
    if (step->kind == HISTORY_REMOVE && twin_children(twin, path) > 0) {
        return HISTORY_ERROR_NOT_EMPTY;
    }
    if (step->kind == HISTORY_REMOVE) {
        twin_remove(twin, node);
        return HISTORY_ERROR_NONE;
    }
    if (step->kind == HISTORY_SET) {
        node->value = step->value;
        node->version++;
        node->mzxid = twin->now;
        step->has_stat = true;
        step->version = node->version;
        step->owner = node->owner;
        return HISTORY_ERROR_NONE;
    }
    step->exists = node != NULL;
    if (node != NULL && step->kind == HISTORY_GET) {
        step->value = node->value;
        step->has_stat = true;
        step->version = node->version;
        step->owner = node->owner;
        step->mzxid = node->mzxid;
    }
    if (node != NULL && step->kind == HISTORY_LIST) {
        twin_list(twin, history, step);
    }
    return HISTORY_ERROR_NONE;
}

static bool is_read(const struct history_call *call)
{
    return call->steps[0].kind == HISTORY_GET || call->steps[0].kind == HISTORY_LIST;
}

/* The call as it would be answered now; `call` holds the question. */
static void twin_call(struct twin *twin, struct history *history, struct history_call *call)
{
    struct twin before = *twin;

    call->outcome = HISTORY_OK;
    call->error = 0;
    for (size_t i = 0; i < call->step_count; i++) {
        uint32_t error = twin_step(twin, history, &call->steps[i]);

        if (error != HISTORY_ERROR_NONE) {
            *twin = before;
            call->outcome = HISTORY_REFUSED;
            call->error = error;
            for (size_t j = 0; j < call->step_count; j++) {
                call->steps[j].error = j < i ? 0 : j == i ? error : HISTORY_ERROR_NOT_EXECUTED;
                call->steps[j].has_stat = false;
                call->steps[j].made = HISTORY_NO_PATH;
            }
            return;
        }
    }
}

/* --- Every order --- */

struct orders {
    struct history *history;
    bool done[CALLS_MAX + 1];
    uint64_t end_invoked;
    uint64_t end_returned; /* of the session; NEVER: perhaps */
    bool ephemerals;
};

/* Only what was asked. */
static struct history_step question(const struct history_step *step)
{
    return (struct history_step){
        .kind = step->kind,
        .path = step->path,
        .sequential = step->sequential,
        .ephemeral = step->ephemeral,
        .expected = step->expected,
        .value = step->kind == HISTORY_SET || step->kind == HISTORY_CREATE ? step->value : 0,
    };
}

static bool same_step(const struct history_step *told, const struct history_step *right)
{
    bool same = told->kind == HISTORY_GET && !right->exists
                    ? told->exists == right->exists
                    : told->exists == right->exists && told->value == right->value;

    same = same && told->error == right->error && told->made == right->made;
    if (told->has_stat && right->has_stat) {
        same = same && told->version == right->version && told->owner == right->owner &&
               (told->mzxid == 0 || right->mzxid == 0 || told->mzxid == right->mzxid);
    }
    same = same && told->name_count == right->name_count;
    for (size_t i = 0; same && i < told->name_count; i++) {
        same = told->names[i] == right->names[i];
    }
    return same;
}

/* The zxid of a write that nobody answered, if a read shows it. */
static uint64_t seen_zxid(const struct history *history, const struct history_call *call)
{
    for (size_t i = 0; i < history->call_count; i++) {
        const struct history_step *step = &history->calls[i].steps[0];

        if (step->kind != HISTORY_GET || !step->exists || step->value == 0) {
            continue;
        }
        for (size_t j = 0; j < call->step_count; j++) {
            if (call->steps[j].value == step->value && step->mzxid != 0) {
                return step->mzxid;
            }
        }
    }
    return 0;
}

/* Whether `call` may be answered so now; then `twin` is what follows. */
static bool fits(struct orders *orders, struct twin *twin, const struct history_call *call)
{
    struct history_step steps[2];
    struct history_call asked = *call;
    uint64_t zxid = call->outcome == HISTORY_OK        ? call->zxid
                    : call->outcome == HISTORY_UNKNOWN ? seen_zxid(orders->history, call)
                                                       : 0;

    if (call->session == 7 && twin->ended && !is_read(call)) {
        return false;
    }
    if (zxid != 0 && (is_read(call) ? zxid < twin->zxid : zxid <= twin->zxid)) {
        return false;
    }
    asked.steps = steps;
    for (size_t i = 0; i < call->step_count; i++) {
        steps[i] = question(&call->steps[i]);
    }
    twin->now = zxid;
    twin->zxid = zxid == 0 ? twin->zxid : zxid;
    twin_call(twin, orders->history, &asked);
    if (call->outcome == HISTORY_UNKNOWN) {
        return asked.outcome == HISTORY_OK;
    }
    if (asked.outcome != call->outcome || asked.error != call->error) {
        return false;
    }
    for (size_t i = 0; i < call->step_count; i++) {
        if (!same_step(&call->steps[i], &steps[i])) {
            return false;
        }
    }
    return true;
}

static uint64_t return_of(const struct history_call *call)
{
    return call->outcome == HISTORY_UNKNOWN ? HISTORY_NEVER : call->returned;
}

static void end_session(struct twin *twin)
{
    for (size_t i = twin->count; i > 0; i--) {
        if (twin->nodes[i - 1].owner == 7) {
            twin_remove(twin, &twin->nodes[i - 1]);
        }
    }
    twin->ended = true;
}

static bool any_order(struct orders *orders, const struct twin *twin)
{
    const struct history *history = orders->history;
    uint64_t limit = orders->done[CALLS_MAX] ? HISTORY_NEVER : orders->end_returned;
    bool all = orders->done[CALLS_MAX] || orders->end_returned == HISTORY_NEVER;

    for (size_t i = 0; i < history->call_count; i++) {
        const struct history_call *call = &history->calls[i];

        if (!orders->done[i] && call->outcome != HISTORY_UNKNOWN) {
            all = false;
            limit = return_of(call) < limit ? return_of(call) : limit;
        }
    }
    if (all) {
        return true;
    }
    for (size_t i = 0; i < history->call_count; i++) {
        struct twin next = *twin;

        if (orders->done[i] || history->calls[i].invoked > limit ||
            !fits(orders, &next, &history->calls[i])) {
            continue;
        }
        orders->done[i] = true;
        if (any_order(orders, &next)) {
            return true;
        }
        orders->done[i] = false;
    }
    if (!orders->done[CALLS_MAX] && orders->end_invoked <= limit) {
        struct twin next = *twin;

        end_session(&next);
        orders->done[CALLS_MAX] = true;
        if (any_order(orders, &next)) {
            return true;
        }
        orders->done[CALLS_MAX] = false;
    }
    return false;
}

/* --- Random histories --- */

struct making {
    struct prng prng;
    struct history *history;
    struct twin twin;
    uint64_t moments[CALLS_MAX + 1];
    bool with_zxids;
};

static history_path path_of(struct making *making, const char *text)
{
    return history_path_of(making->history, bytes_of_text(text));
}

static struct history_step random_step(struct making *making, uint64_t value)
{
    static const char *const paths[] = {"/a", "/b", "/q", "/q/n-0000000000", "/q/x"};
    struct history_step step = {.expected = HISTORY_ANY_VERSION};

    step.path = path_of(making, paths[prng_below(&making->prng, 5)]);
    if (prng_below(&making->prng, 3) == 0) {
        step.expected = (int32_t)prng_below(&making->prng, 2);
    }
    switch (prng_below(&making->prng, 9)) {
    case 0:
    case 1:
        step.kind = HISTORY_GET;
        break;
    case 2:
        step.kind = HISTORY_LIST;
        step.path = path_of(making, "/q");
        break;
    case 3:
    case 4:
        step.kind = HISTORY_SET;
        step.value = value;
        break;
    case 5:
        step.kind = HISTORY_CREATE;
        step.path = path_of(making, "/q/n-");
        step.sequential = true;
        step.value = value;
        break;
    case 6:
        step.kind = HISTORY_CHECK;
        break;
    case 7:
        step.kind = HISTORY_REMOVE;
        break;
    default:
        step.kind = HISTORY_CREATE;
        step.ephemeral = prng_below(&making->prng, 3) == 0;
        step.value = value;
        break;
    }
    return step;
}

static void ask(struct making *making, size_t number)
{
    struct history_step steps[2];
    struct history_call call = {.client = number, .session = 7, .steps = steps, .step_count = 1};

    steps[0] = random_step(making, 10 * number + 1);
    steps[1] = random_step(making, 10 * number + 2);
    call.linearizable = steps[0].kind == HISTORY_GET || steps[0].kind == HISTORY_LIST;
    if (!call.linearizable && steps[1].kind != HISTORY_GET && steps[1].kind != HISTORY_LIST &&
        prng_below(&making->prng, 4) == 0) {
        call.step_count = 2;
    }
    making->moments[number] = 100 + prng_below(&making->prng, 100);
    call.invoked = making->moments[number] - prng_below(&making->prng, 40);
    (void)history_call_begin(making->history, &call);
}

/* Answer all in the order of their moments; return NEVER or when the session ended. */
static uint64_t answer(struct making *making)
{
    struct history *history = making->history;
    uint64_t end =
        prng_below(&making->prng, 3) == 0 ? 100 + prng_below(&making->prng, 100) : HISTORY_NEVER;
    bool ended = false;

    for (uint64_t now = 0, zxid = 1; now < 200; now++) {
        if (now == end) {
            end_session(&making->twin);
            ended = true;
        }
        for (size_t i = 0; i < history->call_count; i++) {
            struct history_call *call = &history->calls[i];

            if (making->moments[i] != now) {
                continue;
            }
            if (ended && !is_read(call)) {
                call->returned = HISTORY_NEVER; /* lost: nobody knows */
                continue;
            }
            making->twin.now = making->with_zxids ? ++zxid : 0;
            twin_call(&making->twin, history, call);
            call->zxid = making->twin.now;
            call->returned = now + prng_below(&making->prng, 40);
            if (!is_read(call) && prng_below(&making->prng, 6) == 0) {
                call->outcome = HISTORY_UNKNOWN;
                call->returned = HISTORY_NEVER;
                call->zxid = 0;
                call->error = 0;
                for (size_t j = 0; j < call->step_count; j++) {
                    call->steps[j] = question(&call->steps[j]);
                }
            }
        }
    }
    return end;
}

/* Something is told otherwise than it was. */
static void lie(struct making *making)
{
    struct history *history = making->history;
    struct history_call *call = &history->calls[prng_below(&making->prng, history->call_count)];
    struct history_step *step = &call->steps[0];

    switch (prng_below(&making->prng, 5)) {
    case 0:
        step->version ^= 1;
        break;
    case 1:
        if (step->kind == HISTORY_GET && step->exists) {
            step->value = 10 * prng_below(&making->prng, CALLS_MAX) + 1;
            step->mzxid = 0;
        }
        break;
    case 2:
        /* With zxids the twin would compare across nodes what the checker compares by time. */
        if (call->returned != HISTORY_NEVER && !making->with_zxids) {
            call->returned = call->invoked;
        }
        break;
    case 3:
        if (call->outcome == HISTORY_REFUSED && call->step_count == 1) {
            call->error = step->error = 1 + (uint32_t)prng_below(&making->prng, 4);
        }
        break;
    default:
        if (step->kind == HISTORY_GET) {
            step->exists = !step->exists;
        }
        break;
    }
}

static void note_end(struct making *making, uint64_t end)
{
    struct history_session session = {
        .kind = HISTORY_SESSION_EXPIRED, .session = 7, .asked = end + 10, .time = end + 10};

    if (end != HISTORY_NEVER) {
        history_add_session(making->history, &session);
    }
}

static struct orders orders_of(struct history *history, uint64_t end)
{
    struct orders orders = {.history = history,
                            .end_returned = end == HISTORY_NEVER ? HISTORY_NEVER : end + 10};

    /* The session lived after the start of each write that was answered. */
    for (size_t i = 0; i < history->call_count; i++) {
        const struct history_call *call = &history->calls[i];

        if (call->outcome != HISTORY_UNKNOWN && !is_read(call) &&
            call->invoked > orders.end_invoked) {
            orders.end_invoked = call->invoked;
        }
    }
    if (orders.end_invoked > orders.end_returned) {
        orders.end_invoked = orders.end_returned;
    }
    return orders;
}

/* The end of a session matters to the checker where there are its ephemerals. */
static bool has_ephemerals(const struct history *history)
{
    for (size_t i = 0; i < history->call_count; i++) {
        for (size_t j = 0; j < history->calls[i].step_count; j++) {
            if (history->calls[i].steps[j].ephemeral &&
                history->calls[i].outcome != HISTORY_REFUSED) {
                return true;
            }
        }
    }
    return false;
}

static void make(struct making *making, uint64_t seed)
{
    const struct history_effect start = {.kind = HISTORY_EFFECT_CREATED};
    struct history_effect parent = start;
    size_t count;

    prng_init(&making->prng, seed);
    making->history = history_record_new();
    making->with_zxids = prng_below(&making->prng, 2) == 0;
    twin_init(&making->twin);
    parent.path = path_of(making, "/q");
    history_add_effect(making->history, &parent);
    count = 2 + prng_below(&making->prng, CALLS_MAX - 1);
    for (size_t i = 0; i < count; i++) {
        ask(making, i);
    }
}

static void expect_same_verdict(struct making *making, uint64_t seed, uint64_t end, size_t *right)
{
    struct orders orders = orders_of(making->history, end);
    struct buffer text = BUFFER_INIT;
    struct twin twin;
    bool twin_found;
    bool found;

    twin_init(&twin);
    twin_found = any_order(&orders, &twin);
    found = linear_check(making->history, 0, &text) == 0;
    if (found != twin_found) {
        history_write(making->history, &text);
        (void)fprintf(stderr, "seed %" PRIu64 ": the twin finds %s\n%.*s\n", seed,
                      twin_found ? "an order" : "none", (int)text.size, (const char *)text.data);
    }
    EXPECT_EQ(found, twin_found);
    *right += found;
    buffer_release(&text);
}

static void test_agrees_with_a_twin_that_tries_every_order(void)
{
    size_t right = 0;
    size_t judged = 0;

    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct making making;
        uint64_t end;

        make(&making, seed);
        end = answer(&making);
        if (seed % 2 == 0) {
            lie(&making);
        }
        if (!has_ephemerals(making.history)) {
            end = HISTORY_NEVER; /* parts without ephemerals do not know of sessions */
        }
        note_end(&making, end);
        expect_same_verdict(&making, seed, end, &right);
        judged++;
        history_record_free(making.history);
    }
    /* Neither verdict is rare. */
    EXPECT(right > judged / 3);
    EXPECT(judged - right > judged / 20);
}

static void test_true_histories_are_right(void)
{
    for (uint64_t seed = ROUNDS + 1; seed <= ROUNDS + 500; seed++) {
        struct making making;
        size_t right = 0;
        uint64_t end;

        make(&making, seed);
        end = answer(&making);
        end = has_ephemerals(making.history) ? end : HISTORY_NEVER;
        note_end(&making, end);
        expect_same_verdict(&making, seed, end, &right);
        EXPECT_EQ(right, 1);
        history_record_free(making.history);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_agrees_with_a_twin_that_tries_every_order),
        TEST_CASE(test_true_histories_are_right), TEST_END};
    return test_main("search", cases, argc, argv);
}
