/* A node that the test plays, for the units of ZooKeeper's protocol: requests are kept until the
 * test answers them, reads are of a state of its own, and what the core says of itself is what the
 * test wrote down. Included once in a test program, in place of server/node's own. */
#ifndef TESTS_UNIT_FRONT_FRONT_DOUBLE_H
#define TESTS_UNIT_FRONT_FRONT_DOUBLE_H

#include "base/alloc.h"
#include "base/check.h"
#include "server/node/node.h"
#include "tests/support/state_lab.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

enum { DOUBLE_REQUESTS_MAX = 4096, DOUBLE_HISTORY_MAX = 8192 };

struct client {
    struct client_callbacks callbacks;
    void *context;
    size_t identities;
};

static struct {
    struct state_lab lab;
    struct node_observer observer;
    size_t clients;        /* open */
    struct client *client; /* the last one opened */
    struct request *requests[DOUBLE_REQUESTS_MAX];
    size_t submitted;
    size_t answered;
    struct watch_event history[DOUBLE_HISTORY_MAX];
    size_t history_count;
    uint64_t history_more; /* changes that only count */
    uint64_t history_from; /* earlier changes are not known any more */
    struct arena paths;
    struct raft_status raft;
    struct raft_config config;
    struct raft_peer_status peers[RAFT_MEMBERS_MAX];
    uint64_t leaderless_us;
    uint64_t leading_us;
    bool cannot_read;
} node_double;

static inline void node_double_init(void)
{
    memset(&node_double, 0, sizeof node_double);
    state_lab_init(&node_double.lab, 1 << 20);
    arena_init(&node_double.paths);
    node_double.raft.leader = 1;
    node_double.config.member_count = 1;
    node_double.config.members[0].id = 1;
    node_double.config.members[0].flags = RAFT_VOTER_NEW;
}

static inline void node_double_release(void)
{
    EXPECT_EQ(node_double.clients, 0);
    for (size_t i = 0; i < node_double.history_count; i++) {
        state_node_unref(node_double.history[i].node);
    }
    arena_release(&node_double.paths);
    state_lab_release(&node_double.lab);
}

/* What the last command of the lab changed: into the history, and told to the observer. */
static inline void node_double_publish(void)
{
    const struct state_result *result = &node_double.lab.result;

    for (size_t i = 0; i < result->change_count; i++) {
        const struct state_change *change = &result->changes[i];
        struct state_node *node = change->kind == STATE_REMOVED ? change->before : change->after;

        if (node != NULL) {
            CHECK_OP(node_double.history_count, <, DOUBLE_HISTORY_MAX);
            node_double.history[node_double.history_count++] =
                (struct watch_event){.zxid = change->zxid,
                                     .kind = change->kind,
                                     .path = arena_copy(&node_double.paths, change->path),
                                     .node = state_node_ref(node)};
        }
    }
    if (node_double.observer.on_changes != NULL) {
        node_double.observer.on_changes(node_double.observer.context, result->changes,
                                        result->change_count);
    }
}

/* The oldest request that was not answered; NULL. */
static inline struct request *node_double_pending(void)
{
    return node_double.answered == node_double.submitted
               ? NULL
               : node_double.requests[node_double.answered];
}

static inline void node_double_answer(struct reply *reply)
{
    struct request *request = node_double_pending();

    CHECK(request != NULL);
    reply->zxid = state_applied(node_double.lab.state);
    request->client->callbacks.on_reply(request->client->context, request, reply);
    node_double.answered++;
    request_free(request);
}

/* --- In place of the node's --- */

struct client *
client_open(struct node *node, const struct client_callbacks *callbacks, void *context)
{
    struct client *client = xcalloc(1, sizeof *client);

    (void)node;
    client->callbacks = *callbacks;
    client->context = context;
    node_double.clients++;
    node_double.client = client;
    return client;
}

bool client_let_go(struct client *client)
{
    (void)client;
    return true;
}

void client_close(struct client *client)
{
    size_t kept = node_double.answered;

    for (size_t i = node_double.answered; i < node_double.submitted; i++) {
        if (node_double.requests[i]->client == client) {
            request_free(node_double.requests[i]);
        } else {
            node_double.requests[kept++] = node_double.requests[i];
        }
    }
    node_double.submitted = kept;
    node_double.clients--;
    free(client);
}

void client_identify(struct client *client, struct state_identities identities)
{
    client->identities = identities.count;
}

bool client_may(const struct client *client, const struct state_node *node, unsigned permissions)
{
    (void)client;
    return state_node_permits(node, permissions, (struct state_identities){.count = 0});
}

void client_submit(struct client *client, struct request *request)
{
    CHECK_OP(node_double.submitted, <, DOUBLE_REQUESTS_MAX);
    request->client = client;
    node_double.requests[node_double.submitted++] = request;
}

bool client_is_full(const struct client *client)
{
    (void)client;
    return false;
}

Client__Code node_read(struct node *node, struct bytes path, struct state_node **ret_node)
{
    enum op_error error = OP_OK;

    (void)node;
    if (node_double.cannot_read) {
        return CLIENT__CODE__STOPPING;
    }
    EXPECT_OK(state_read(node_double.lab.state, path, &error, ret_node));
    return (Client__Code)error;
}

Client__Code client_read(const struct client *client,
                         struct bytes path,
                         unsigned permissions,
                         struct state_node **ret_node)
{
    struct state_node *node = NULL;
    Client__Code code = node_read(NULL, path, &node);

    if (code == CLIENT__CODE__OK && !client_may(client, node, permissions)) {
        state_node_unref(node);
        return CLIENT__CODE__NO_AUTH;
    }
    if (code == CLIENT__CODE__OK) {
        *ret_node = node;
    }
    return code;
}

Client__Code client_list(const struct client *client,
                         struct bytes path,
                         struct arena *arena,
                         struct state_children *ret_children)
{
    (void)client;
    (void)path;
    (void)arena;
    *ret_children = (struct state_children){.count = 0};
    return CLIENT__CODE__OK;
}

bool node_find_changes(const struct node *node, zxid after, uint64_t count_max, uint64_t *ret_at)
{
    size_t first = 0;

    (void)node;
    while (first < node_double.history_count && node_double.history[first].zxid <= after) {
        first++;
    }
    if (after < node_double.history_from ||
        node_double.history_count - first + node_double.history_more > count_max) {
        return false;
    }
    *ret_at = first;
    return true;
}

const struct watch_event *node_next_change(const struct node *node, uint64_t *at)
{
    (void)node;
    return *at < node_double.history_count ? &node_double.history[(*at)++] : NULL;
}

void node_observe(struct node *node, const struct node_observer *observer)
{
    (void)node;
    node_double.observer = *observer;
}

struct state *node_state(struct node *node)
{
    (void)node;
    return node_double.lab.state;
}

zxid node_applied(const struct node *node)
{
    (void)node;
    return state_applied(node_double.lab.state);
}

const struct raft *node_raft(const struct node *node)
{
    (void)node;
    return NULL;
}

struct raft_status raft_status(const struct raft *raft)
{
    (void)raft;
    return node_double.raft;
}

const struct raft_config *raft_config_effective(const struct raft *raft)
{
    (void)raft;
    return &node_double.config;
}

enum status
raft_peer_status(const struct raft *raft, raft_id peer, struct raft_peer_status *ret_status)
{
    (void)raft;
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        if (node_double.peers[i].id == peer) {
            *ret_status = node_double.peers[i];
            return STATUS_OK;
        }
    }
    return STATUS_NOT_FOUND;
}

struct node_proposal_sizes node_proposal_sizes(const struct node *node)
{
    (void)node;
    return (struct node_proposal_sizes){.last = 36, .least = 32, .most = 120};
}

void node_each_expiry(const struct node *node,
                      void (*visit)(void *visitor, session_id session, uint64_t in_ms),
                      void *visitor)
{
    (void)node;
    (void)visit;
    (void)visitor;
}

uint64_t node_leaderless_us(const struct node *node)
{
    (void)node;
    return node_double.leaderless_us;
}

uint64_t node_leading_us(const struct node *node)
{
    (void)node;
    return node_double.leading_us;
}

size_t node_pending_read_indexes(const struct node *node)
{
    (void)node;
    return 3;
}

#endif
