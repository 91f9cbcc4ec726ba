#include "tests/hostile/write_attacks.h"

#include "base/check.h"
#include "server/node/request.h"
#include "server/state/overlay.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* --- Requests --- */

/* To be sent before the next one is asked for, as all requests here. */
static Client__Request *write_request(Record__Operation **operations, size_t count)
{
    static Client__Write write;
    static Client__Request request;

    client__write__init(&write);
    write.operations = operations;
    write.n_operations = count;
    client__request__init(&request);
    request.body_case = CLIENT__REQUEST__BODY_WRITE;
    request.write = &write;
    return &request;
}

enum work { CREATE, CREATE_EPHEMERALS, REMOVE };

/* A transaction that makes, or removes, `count` children of `parent`, and, with `parent_too`, this
 * itself behind them. */
static Client__Request *
children_request(const char *parent, size_t first, size_t count, enum work work, bool parent_too)
{
    enum { NAME_BYTES_MAX = 48, ROOM = REQUEST_OPERATIONS_MAX + 1 };
    static char paths[ROOM][NAME_BYTES_MAX];
    static Record__Create creates[ROOM];
    static Record__Remove removals[ROOM];
    static Record__Operation operations[ROOM];
    static Record__Operation *pointers[ROOM];

    for (size_t i = 0; i <= count; i++) {
        if (i < count) {
            (void)snprintf(paths[i], NAME_BYTES_MAX, "%s/child-%08zu", parent, first + i);
        } else {
            (void)snprintf(paths[i], NAME_BYTES_MAX, "%s", parent);
        }
        record__create__init(&creates[i]);
        creates[i].path = wire_data(bytes_of_text(paths[i]));
        creates[i].make_parents = true;
        creates[i].mode = work == CREATE_EPHEMERALS ? RECORD__CREATE_MODE__EPHEMERAL
                                                    : RECORD__CREATE_MODE__PERSISTENT;
        record__remove__init(&removals[i]);
        removals[i].path = creates[i].path;
        removals[i].version = -1;
        record__operation__init(&operations[i]);
        operations[i].kind_case =
            work == REMOVE ? RECORD__OPERATION__KIND_REMOVE : RECORD__OPERATION__KIND_CREATE;
        if (work == REMOVE) {
            operations[i].remove = &removals[i];
        } else {
            operations[i].create = &creates[i];
        }
        pointers[i] = &operations[i];
    }
    return write_request(pointers, count + parent_too);
}

/* The next batch of the wide node's. */
static Client__Request *wide_request(size_t first, size_t all, enum work work)
{
    size_t left = all - first;
    size_t count = left < SITE_WIDE_NODE_BATCH ? left : (size_t)SITE_WIDE_NODE_BATCH;

    return children_request("/wide", first, count, work, work == REMOVE && count == left);
}

Client__Request *write_attack_wide_request(size_t first, size_t all)
{
    return wide_request(first, all, CREATE);
}

/* Makes a node, with what is missing above it. */
static Client__Request *node_request(struct bytes path, struct bytes value)
{
    static Record__Create create;
    static Record__Operation operation;
    static Record__Operation *pointer = &operation;

    record__create__init(&create);
    create.path = wire_data(path);
    create.value = wire_data(value);
    create.make_parents = true;
    record__operation__init(&operation);
    operation.kind_case = RECORD__OPERATION__KIND_CREATE;
    operation.create = &create;
    return write_request(&pointer, 1);
}

static struct bytes large_value(void)
{
    static char value[SITE_LARGE_BYTES];

    memset(value, ',', sizeof value);
    return bytes_of(value, sizeof value);
}

/* A transaction that looks for the node at `path`, `count` times. */
static Client__Request *checks_request(struct bytes path, size_t count)
{
    static Record__Check check;
    static Record__Operation operation;
    static Record__Operation *pointers[REQUEST_OPERATIONS_MAX];

    CHECK_OP(count, <=, REQUEST_OPERATIONS_MAX);
    record__check__init(&check);
    check.path = wire_data(path);
    check.version = -1;
    record__operation__init(&operation);
    operation.kind_case = RECORD__OPERATION__KIND_CHECK;
    operation.check = &check;
    for (size_t i = 0; i < count; i++) {
        pointers[i] = &operation;
    }
    return write_request(pointers, count);
}

/* To a node with as many above it. */
static struct bytes ancestor_path(size_t ancestors)
{
    static char path[2 * (WRITE_ATTACK_ANCESTORS + 1)];

    for (size_t i = 0; i < sizeof path; i++) {
        path[i] = i % 2 == 0 ? '/' : 'a';
    }
    return bytes_of(path, 2 * (ancestors + 1));
}

Client__Request *write_attack_ancestor_request(size_t ancestors)
{
    return node_request(ancestor_path(ancestors),
                        ancestors < WRITE_ATTACK_ANCESTORS ? large_value() : BYTES_EMPTY);
}

/* --- Attacks --- */

/* The next answer must be good. */
static void hear(struct site *site, struct wire *wire, const char *failure)
{
    Client__Response *response = wire_response(wire, SITE_ANSWER_DEADLINE_MS);

    if (response == NULL || response->code != CLIENT__CODE__OK) {
        site->failure = failure;
    }
    if (response != NULL) {
        client__response__free_unpacked(response, NULL);
    }
}

static void make(struct site *site, struct wire *wire, struct bytes path, struct bytes value)
{
    (void)wire_request(wire, node_request(path, value));
    hear(site, wire, "a node was not made");
}

/* The wide node and all that is below, as `confer-cli remove -r` does it, but several transactions
 * at a time. Until it is done, however long that takes. */
void write_attack_removal(struct site *site)
{
    enum { AT_A_TIME = 4 };
    struct wire wire;
    size_t asked = 0;

    CHECK(wire_connect(&wire, site->address) && wire_greet(&wire));
    while (site->count < site->children && site->failure == NULL) {
        for (; asked < site->children &&
               asked < site->count + (size_t)AT_A_TIME * SITE_WIDE_NODE_BATCH;
             asked += SITE_WIDE_NODE_BATCH) {
            (void)wire_request(&wire, wide_request(asked, site->children, REMOVE));
        }
        hear(site, &wire, "a removal failed");
        site->count += SITE_WIDE_NODE_BATCH;
    }
    wire_close(&wire);
}

/* `count` nodes are made below `parent`, and removed, each time by one transaction. */
static void transactions(struct site *site, const char *parent, size_t count)
{
    enum work work = CREATE;
    struct wire wire;

    CHECK(wire_connect(&wire, site->address) && wire_greet(&wire));
    while ((site_goes_on(site) || work == REMOVE) && site->failure == NULL) {
        (void)wire_request(&wire, children_request(parent, 0, count, work, false));
        hear(site, &wire, "a transaction failed");
        site->count += count;
        work = work == REMOVE ? CREATE : REMOVE;
    }
    wire_close(&wire);
}

/* As many nodes as one request may name: nobody is served while it is applied. */
void write_attack_largest(struct site *site)
{
    transactions(site, "/burst", REQUEST_OPERATIONS_MAX);
}

/* Each operation writes the large value of the parent anew, as often as one transaction may. */
void write_attack_heaviest(struct site *site)
{
    transactions(site, "/large", STATE_TRANSACTION_TOUCHED_BYTES_MAX / (2 * SITE_LARGE_BYTES));
}

static void expect_refusals(struct site *site, struct wire *wire, Client__Request *request)
{
    while (site_goes_on(site) && site->failure == NULL) {
        Client__Response *response = wire_call(wire, request, SITE_ANSWER_DEADLINE_MS);

        if (response == NULL || response->code != CLIENT__CODE__LIMIT) {
            site->failure = "a transaction was not refused";
        }
        if (response != NULL) {
            client__response__free_unpacked(response, NULL);
        }
        site->count++;
    }
}

/* More often: it is refused once it did as much as it may. */
void write_attack_refused(struct site *site)
{
    struct wire wire;

    CHECK(wire_connect(&wire, site->address) && wire_greet(&wire));
    expect_refusals(site, &wire,
                    children_request("/large", 0, REQUEST_OPERATIONS_MAX, CREATE, false));
    wire_close(&wire);
}

/* To a node as far down as may be. */
static struct bytes deepest_path(void)
{
    static char path[STATE_PATH_BYTES_MAX - 1];

    for (size_t i = 0; i < sizeof path - 1; i++) {
        path[i] = i % 2 == 0 ? '/' : 'd';
    }
    return bytes_of_text(path);
}

/* A deep node, and, in transactions, as many looks for it as one has room for: they are refused
 * once they did as much as they may. */
void write_attack_deepest(struct site *site)
{
    enum { COUNT = STATE_TRANSACTION_BYTES_MAX / (STATE_PATH_BYTES_MAX + 32) };
    struct bytes path = deepest_path();
    struct wire wire;

    CHECK(wire_connect(&wire, site->address) && wire_greet(&wire));
    make(site, &wire, path, BYTES_EMPTY);
    expect_refusals(site, &wire, checks_request(path, COUNT));
    wire_close(&wire);
}

/* A node below many with large values, more than a server has memory for, and, in transactions, as
 * many looks for it as may be. */
void write_attack_ancestors(struct site *site)
{
    enum {
        LOOKS = STATE_TRANSACTION_TOUCHED_BYTES_MAX / OVERLAY_LOOKUP_BYTES,
        COUNT = LOOKS / (WRITE_ATTACK_ANCESTORS + 2)
    };
    struct wire wire;

    CHECK(wire_connect(&wire, site->address) && wire_greet(&wire));
    while (site_goes_on(site) && site->failure == NULL) {
        (void)wire_request(&wire, checks_request(ancestor_path(WRITE_ATTACK_ANCESTORS), COUNT));
        hear(site, &wire, "a node below large ones was not found");
        site->count++;
    }
    wire_close(&wire);
}

/* As many nodes as may be in one transaction where the limits of the quota are a large text. */
void write_attack_limits(struct site *site)
{
    struct wire wire;

    CHECK(wire_connect(&wire, site->address) && wire_greet(&wire));
    make(site, &wire, bytes_of_text("/capped"), BYTES_EMPTY);
    make(site, &wire, bytes_of_text("/zookeeper/quota/capped/zookeeper_stats"), BYTES_EMPTY);
    make(site, &wire, bytes_of_text("/zookeeper/quota/capped/zookeeper_limits"), large_value());
    expect_refusals(site, &wire,
                    children_request("/capped", 0, REQUEST_OPERATIONS_MAX, CREATE, false));
    wire_close(&wire);
}

/* A session ends that has many times more ephemerals than go in one step. */
void write_attack_ephemerals(struct site *site)
{
    enum { AT_A_TIME = 1024, EPHEMERALS = 64 * AT_A_TIME };
    Client__OpenSession open = CLIENT__OPEN_SESSION__INIT;
    Client__CloseSession end = CLIENT__CLOSE_SESSION__INIT;
    Client__Request opening = CLIENT__REQUEST__INIT;
    Client__Request ending = CLIENT__REQUEST__INIT;

    open.timeout_ms = 60 * 1000;
    opening.body_case = CLIENT__REQUEST__BODY_OPEN_SESSION;
    opening.open_session = &open;
    ending.body_case = CLIENT__REQUEST__BODY_CLOSE_SESSION;
    ending.close_session = &end;
    while (site_goes_on(site) && site->failure == NULL) {
        struct wire wire;

        CHECK(wire_connect(&wire, site->address) && wire_greet(&wire));
        (void)wire_request(&wire, &opening);
        hear(site, &wire, "no session was opened");
        for (size_t i = 0; i < EPHEMERALS && site->failure == NULL; i += AT_A_TIME) {
            (void)wire_request(&wire, children_request("/brief", site->count, AT_A_TIME,
                                                       CREATE_EPHEMERALS, false));
            hear(site, &wire, "ephemerals were not made");
            site->count += AT_A_TIME;
        }
        (void)wire_request(&wire, &ending);
        hear(site, &wire, "a session was not closed");
        wire_close(&wire);
    }
}

/* One transaction that sets a quota on the wide node and takes it away, `times` times over. */
static Client__Request *quota_request(size_t times)
{
    enum { TIMES_MAX = 1024, OPERATIONS = 2 };
    static Record__Create creates[TIMES_MAX];
    static Record__Remove removals[TIMES_MAX];
    static Record__Operation operations[TIMES_MAX][OPERATIONS];
    static Record__Operation *pointers[TIMES_MAX * OPERATIONS];

    CHECK_OP(times, <=, TIMES_MAX);
    for (size_t i = 0; i < times; i++) {
        record__create__init(&creates[i]);
        creates[i].path = wire_data(bytes_of_text("/zookeeper/quota/wide/zookeeper_stats"));
        creates[i].make_parents = true;
        record__remove__init(&removals[i]);
        removals[i].path = creates[i].path;
        removals[i].version = -1;
        record__operation__init(&operations[i][0]);
        operations[i][0].kind_case = RECORD__OPERATION__KIND_CREATE;
        operations[i][0].create = &creates[i];
        record__operation__init(&operations[i][1]);
        operations[i][1].kind_case = RECORD__OPERATION__KIND_REMOVE;
        operations[i][1].remove = &removals[i];
        pointers[OPERATIONS * i] = &operations[i][0];
        pointers[OPERATIONS * i + 1] = &operations[i][1];
    }
    return write_request(pointers, OPERATIONS * times);
}

/* What a quota is set on is counted when it is applied, of one transaction not more than may be. */
void write_attack_quotas(struct site *site)
{
    struct wire wire;

    CHECK(wire_connect(&wire, site->address) && wire_greet(&wire));
    while (site_goes_on(site) && site->failure == NULL) {
        Client__Response *response = wire_call(
            &wire, quota_request(site->count % 2 == 0 ? 1 : 1024), SITE_ANSWER_DEADLINE_MS);

        /* Refused or not: there may be more children than are counted. */
        site->failure = response == NULL ? "no answer to a quota" : NULL;
        if (response != NULL) {
            client__response__free_unpacked(response, NULL);
        }
        site->count++;
    }
    wire_close(&wire);
}
