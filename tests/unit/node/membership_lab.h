/* Servers with real cores whose members change: probes travel from turn to turn, requests are
 * submitted and awaited, and the last response is kept. Included once in a test program. */
#ifndef TESTS_UNIT_NODE_MEMBERSHIP_LAB_H
#define TESTS_UNIT_NODE_MEMBERSHIP_LAB_H

#include "base/alloc.h"
#include "server/node/membership.h"
#include "server/node/peer_codec.h"
#include "tests/scenario/cluster.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERVERS = 8, PROBES_MAX = 64, STEP_US = 10000 };

#define SECOND UINT64_C(1000000)

struct server {
    struct cluster_node *node;
    struct membership *membership;
    char address[ADDRESS_TEXT_BYTES_MAX];
    bool has_cluster;
    uint8_t cluster_id[NODE_CLUSTER_ID_BYTES];
    bool unreachable;
    bool unreachable_for_bootstrap;
    bool is_wiped;
    uint32_t held_back; /* as it sees it: the members with these bits, 1 << id */
    uint32_t format;
    raft_id claimed_id; /* 0 = its own */
    size_t bootstraps;
    size_t asked;
};

struct probe {
    struct server *from;
    uint64_t token;
    char address[ADDRESS_TEXT_BYTES_MAX];
    uint8_t *message;
    size_t size;
};

static struct cluster *cluster;
static struct server servers[SERVERS + 1];
static struct probe probes[PROBES_MAX];
static size_t probe_count;

/* The last response. */
static struct {
    size_t count;
    void *operation;
    Client__Code code;
    char text[ERROR_TEXT_BYTES_MAX];
    bool has_members;
    uint64_t config_zxid;
    size_t member_count;
    uint64_t ids[RAFT_MEMBERS_MAX];
    uint32_t flags[RAFT_MEMBERS_MAX];
} last;

static inline struct node_identity identity_of(void *context)
{
    const struct server *server = context;
    struct node_identity identity = {.id = server->node->id, .has_cluster = server->has_cluster};

    memset(identity.incarnation, server->node->incarnation, sizeof identity.incarnation);
    memcpy(identity.cluster_id, server->cluster_id, sizeof identity.cluster_id);
    return identity;
}

static inline bool is_held_back(void *context, raft_id id)
{
    const struct server *server = context;

    return (server->held_back >> id & 1) != 0;
}

static inline void
on_probe(void *context, uint64_t token, const char *address, struct bytes message)
{
    struct probe *probe = &probes[probe_count];

    EXPECT(probe_count < PROBES_MAX);
    *probe = (struct probe){.from = context, .token = token, .size = message.size};
    (void)snprintf(probe->address, sizeof probe->address, "%s", address);
    probe->message = bytes_copy(message);
    probe_count++;
}

static inline enum status on_bootstrap(void *context,
                                       const struct raft_config *config,
                                       const uint8_t cluster_id[NODE_CLUSTER_ID_BYTES],
                                       struct error *error)
{
    struct server *server = context;
    enum status status;

    server->has_cluster = true;
    server->bootstraps++;
    memcpy(server->cluster_id, cluster_id, NODE_CLUSTER_ID_BYTES);
    status = cluster_bootstrap(cluster, server->node, config);
    return status == STATUS_OK ? status : error_set(error, status, "no bootstrap");
}

static inline void on_finish(void *context, void *operation, Client__Response *response)
{
    (void)context;
    last.count++;
    last.operation = operation;
    last.code = response->code;
    (void)snprintf(last.text, sizeof last.text, "%s", response->message);
    last.has_members = response->body_case == CLIENT__RESPONSE__BODY_MEMBERSHIP;
    last.member_count = 0;
    EXPECT_EQ(last.has_members, response->code == CLIENT__CODE__OK);
    if (last.has_members) {
        last.config_zxid = response->membership->config_zxid;
        last.member_count = response->membership->n_members;
        for (size_t i = 0; i < last.member_count; i++) {
            last.ids[i] = response->membership->members[i]->id;
            last.flags[i] = response->membership->members[i]->flags;
        }
    }
}

static inline void begin(void)
{
    struct raft_options options = raft_options_default(1);

    options.log_entries_max = 1024;
    cluster = cluster_new(&options, 1, NULL);
    memset(servers, 0, sizeof servers);
    memset(&last, 0, sizeof last);
    probe_count = 0;
    for (raft_id id = 1; id <= SERVERS; id++) {
        struct server *server = &servers[id];
        const struct membership_port port = {.context = server,
                                             .identity = identity_of,
                                             .is_held_back = is_held_back,
                                             .probe = on_probe,
                                             .bootstrap = on_bootstrap,
                                             .finish = on_finish};

        server->node = cluster_add_node(cluster);
        server->format = NODE_FORMAT;
        (void)snprintf(server->address, sizeof server->address, "127.0.0.1:1000%u", (unsigned)id);
        server->membership = membership_new(&port, server->node->raft, server->address);
    }
}

static inline void end(void)
{
    for (size_t i = 0; i < probe_count; i++) {
        free(probes[i].message);
    }
    for (raft_id id = 1; id <= SERVERS; id++) {
        membership_free(servers[id].membership);
    }
    cluster_free(cluster);
}

static inline void pack(const Peer__PeerMessage *message, struct buffer *buffer)
{
    buffer_clear(buffer);
    peer_codec_pack(message, buffer);
}

/* What the server at the address answers, into `buffer`; false if it is unreachable. */
static inline bool
answer_probe(struct server *server, const Peer__PeerMessage *asked, struct buffer *buffer)
{
    struct node_identity identity = identity_of(server);
    struct raft_status status = raft_status(server->node->raft);
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__ProbeReply reply;
    Peer__Bootstrapped done;
    struct raft_config config;
    uint8_t cluster_id[NODE_CLUSTER_ID_BYTES];
    char refusal[ERROR_TEXT_BYTES_MAX] = "";
    struct error error;

    server->asked++;
    if (server->unreachable) {
        return false;
    }
    if (asked->body_case == PEER__PEER_MESSAGE__BODY_PROBE_QUERY) {
        membership_probe_reply(&identity, &status, server->address, &reply);
        reply.has_log = reply.has_log && !server->is_wiped;
        message.body_case = PEER__PEER_MESSAGE__BODY_PROBE_REPLY;
        message.probe_reply = &reply;
        pack(&message, buffer);
        return true;
    }
    EXPECT_EQ(asked->body_case, PEER__PEER_MESSAGE__BODY_BOOTSTRAP);
    if (server->unreachable_for_bootstrap) {
        return false;
    }
    if (membership_check_bootstrap(&identity, &status, asked->bootstrap, &config, cluster_id,
                                   refusal) == MEMBERSHIP_BOOTSTRAP_WANTED) {
        EXPECT_OK(on_bootstrap(server, &config, cluster_id, &error));
    }
    peer__bootstrapped__init(&done);
    done.refusal = refusal;
    message.body_case = PEER__PEER_MESSAGE__BODY_BOOTSTRAPPED;
    message.bootstrapped = &done;
    pack(&message, buffer);
    return true;
}

static inline void carry_probe(struct probe *probe)
{
    struct server *server = NULL;
    struct buffer buffer = BUFFER_INIT;
    Peer__PeerMessage *asked = peer__peer_message__unpack(NULL, probe->size, probe->message);
    Peer__Identity wire = PEER__IDENTITY__INIT;
    struct node_identity identity;

    for (raft_id id = 1; id <= SERVERS; id++) {
        if (strcmp(servers[id].address, probe->address) == 0 ||
            (id == 1 && strcmp(probe->address, "localhost:10001") == 0)) {
            server = &servers[id];
        }
    }
    EXPECT(asked != NULL);
    if (server == NULL || !answer_probe(server, asked, &buffer)) {
        membership_on_probe_answer(probe->from->membership, cluster->now, probe->token,
                                   STATUS_UNAVAILABLE, NULL, BYTES_EMPTY, "connection refused");
    } else {
        identity = identity_of(server);
        wire.id = server->claimed_id != 0 ? server->claimed_id : identity.id;
        wire.format = server->format;
        wire.incarnation.data = identity.incarnation;
        wire.incarnation.len = sizeof identity.incarnation;
        if (identity.has_cluster) {
            wire.cluster_id.data = identity.cluster_id;
            wire.cluster_id.len = sizeof identity.cluster_id;
        }
        membership_on_probe_answer(probe->from->membership, cluster->now, probe->token, STATUS_OK,
                                   &wire, buffer_lend(&buffer), NULL);
    }
    peer__peer_message__free_unpacked(asked, NULL);
    buffer_release(&buffer);
    free(probe->message);
}

/* The leader known with the highest term; NULL without one. */
static inline struct server *leader(void)
{
    struct server *found = NULL;

    for (raft_id id = 1; id <= SERVERS; id++) {
        if (raft_status(servers[id].node->raft).role == RAFT_LEADER &&
            (found == NULL ||
             raft_status(servers[id].node->raft).term > raft_status(found->node->raft).term)) {
            found = &servers[id];
        }
    }
    return found;
}

static inline void step_world(void)
{
    size_t count = probe_count;
    struct probe taken[PROBES_MAX];

    memcpy(taken, probes, sizeof taken);
    probe_count = 0;
    for (size_t i = 0; i < count; i++) {
        carry_probe(&taken[i]);
    }
    for (raft_id id = 1; id <= SERVERS; id++) {
        struct server *server = &servers[id];

        (void)membership_tick(server->membership, cluster->now);
        cluster_touched(server->node);
        if (!server->has_cluster && !server->is_wiped &&
            raft_status(server->node->raft).last_index > 0) {
            server->has_cluster = true;
            memcpy(server->cluster_id, leader()->cluster_id, NODE_CLUSTER_ID_BYTES);
        }
    }
    cluster_stabilize(cluster);
    cluster_advance(cluster, cluster->now + STEP_US, true);
}

static inline void run(uint64_t us)
{
    for (uint64_t until = cluster->now + us; cluster->now < until;) {
        step_world();
    }
}

/* --- Requests --- */

static int operation_mark;

static inline void submit(struct server *server, const Client__Request *request)
{
    membership_submit(server->membership, cluster->now, request, cluster->now + 20 * SECOND,
                      &operation_mark);
}

/* Run until the operation has ended. */
static inline Client__Code await(void)
{
    size_t count = last.count;

    for (size_t i = 0; i < 3000 && last.count == count; i++) {
        step_world();
    }
    EXPECT_EQ(last.count, count + 1);
    EXPECT(last.operation == &operation_mark);
    return last.code;
}

static inline Client__Code finish_of(size_t count_before)
{
    if (last.count > count_before) {
        return last.code;
    }
    return await();
}

struct named {
    raft_id id;
    const char *address;
};

static inline void submit_init(raft_id at, const struct named *named, size_t count)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Init init = CLIENT__INIT__INIT;
    Client__NodeAddress nodes[9];
    Client__NodeAddress *pointers[9];

    for (size_t i = 0; i < count; i++) {
        client__node_address__init(&nodes[i]);
        nodes[i].id = named[i].id;
        nodes[i].address = xstrdup(named[i].address);
        pointers[i] = &nodes[i];
    }
    init.nodes = pointers;
    init.n_nodes = count;
    request.body_case = CLIENT__REQUEST__BODY_INIT;
    request.init = &init;
    submit(&servers[at], &request);
    for (size_t i = 0; i < count; i++) {
        free(nodes[i].address);
    }
}

static inline Client__Code init(raft_id at, const struct named *named, size_t count)
{
    size_t before = last.count;

    submit_init(at, named, count);
    return finish_of(before);
}

static const struct named plain[] = {{1, "http://127.0.0.1:10001"}, {2, "http://127.0.0.1:10002/"},
                                     {3, "127.0.0.1:10003"},        {4, "127.0.0.1:10004"},
                                     {5, "127.0.0.1:10005"},        {6, "127.0.0.1:10006"},
                                     {7, "127.0.0.1:10007"},        {8, "127.0.0.1:10008"}};

static inline void make_cluster(size_t count)
{
    begin();
    EXPECT_EQ(init(1, plain, count), CLIENT__CODE__OK);
    run(SECOND);
    EXPECT(leader() != NULL);
}

/* What the changes below are for; 0 = any configuration. */
static raft_index only_config;

static inline void submit_member(struct server *at, raft_id id, const char *address, bool promote)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__AddLearner add = CLIENT__ADD_LEARNER__INIT;
    Client__NodeAddress node;

    client__node_address__init(&node);
    node.id = id;
    node.address = xstrdup(address);
    add.node = &node;
    add.promote = promote;
    add.only_config_zxid = only_config;
    request.body_case = CLIENT__REQUEST__BODY_ADD_LEARNER;
    request.add_learner = &add;
    submit(at, &request);
    free(node.address);
}

static inline void submit_add(struct server *at, raft_id id, const char *address)
{
    submit_member(at, id, address, false);
}

static inline Client__Code promote(raft_id id, const char *address)
{
    size_t before = last.count;

    submit_member(leader(), id, address, true);
    return finish_of(before);
}

static inline void submit_cancel(void)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__CancelChange message = CLIENT__CANCEL_CHANGE__INIT;

    request.body_case = CLIENT__REQUEST__BODY_CANCEL_CHANGE;
    request.cancel_change = &message;
    submit(leader(), &request);
}

static inline Client__Code cancel(void)
{
    size_t before = last.count;

    submit_cancel();
    return finish_of(before);
}

/* Nothing between the server and the others arrives any more; or again. */
static inline void set_cut(raft_id id, bool cut)
{
    for (raft_id other = 1; other <= SERVERS; other++) {
        cluster->cut[id][other] = cut && other != id;
        cluster->cut[other][id] = cut && other != id;
    }
}

static inline uint32_t flags_of(raft_id id)
{
    const struct raft_member *member =
        raft_config_find(raft_config_effective(leader()->node->raft), id);

    return member == NULL ? 0 : member->flags;
}

static inline Client__Code add(raft_id id, const char *address)
{
    size_t before = last.count;

    submit_add(leader(), id, address);
    return finish_of(before);
}

static inline void submit_change(struct server *at, const raft_id *voters, size_t count)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__ChangeMembership change = CLIENT__CHANGE_MEMBERSHIP__INIT;
    uint64_t copy[16];

    memcpy(copy, voters, count * sizeof *voters);
    change.voters = copy;
    change.n_voters = count;
    change.only_config_zxid = only_config;
    request.body_case = CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP;
    request.change_membership = &change;
    submit(at, &request);
}

static inline Client__Code change(const raft_id *voters, size_t count)
{
    size_t before = last.count;

    submit_change(leader(), voters, count);
    return finish_of(before);
}

static inline Client__Code remove_member(raft_id id)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__RemoveMember remove = CLIENT__REMOVE_MEMBER__INIT;
    size_t before = last.count;

    remove.id = id;
    remove.only_config_zxid = only_config;
    request.body_case = CLIENT__REQUEST__BODY_REMOVE_MEMBER;
    request.remove_member = &remove;
    submit(leader(), &request);
    return finish_of(before);
}

static inline Client__Code transfer(raft_id id)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__TransferLeader transfer = CLIENT__TRANSFER_LEADER__INIT;
    size_t before = last.count;

    transfer.target = id;
    request.body_case = CLIENT__REQUEST__BODY_TRANSFER_LEADER;
    request.transfer_leader = &transfer;
    submit(leader(), &request);
    return finish_of(before);
}

static inline void cut(raft_id id, bool is_cut)
{
    for (raft_id other = 1; other <= SERVERS; other++) {
        cluster->cut[id][other] = is_cut && other != id;
        cluster->cut[other][id] = is_cut && other != id;
    }
}

static inline raft_id a_follower(void)
{
    return leader()->node->id == 1 ? 2 : 1;
}

#endif
