#include "server/node/membership.h"

#include "base/alloc.h"
#include "base/prng.h"
#include "server/node/config_codec.h"
#include "server/node/membership_operation.h"
#include "server/node/peer_codec.h"
#include "tests/scenario/cluster.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- A world of servers with real cores; probes travel from turn to turn --- */

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

static struct node_identity identity_of(void *context)
{
    const struct server *server = context;
    struct node_identity identity = {.id = server->node->id, .has_cluster = server->has_cluster};

    memset(identity.incarnation, server->node->incarnation, sizeof identity.incarnation);
    memcpy(identity.cluster_id, server->cluster_id, sizeof identity.cluster_id);
    return identity;
}

static void on_probe(void *context, uint64_t token, const char *address, struct bytes message)
{
    struct probe *probe = &probes[probe_count];

    EXPECT(probe_count < PROBES_MAX);
    *probe = (struct probe){.from = context, .token = token, .size = message.size};
    (void)snprintf(probe->address, sizeof probe->address, "%s", address);
    probe->message = bytes_copy(message);
    probe_count++;
}

static enum status on_bootstrap(void *context,
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

static void on_finish(void *context, void *operation, Client__Response *response)
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

static void begin(void)
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
                                             .probe = on_probe,
                                             .bootstrap = on_bootstrap,
                                             .finish = on_finish};

        server->node = cluster_add_node(cluster);
        server->format = NODE_FORMAT;
        (void)snprintf(server->address, sizeof server->address, "127.0.0.1:1000%u", (unsigned)id);
        server->membership = membership_new(&port, server->node->raft, server->address);
    }
}

static void end(void)
{
    for (size_t i = 0; i < probe_count; i++) {
        free(probes[i].message);
    }
    for (raft_id id = 1; id <= SERVERS; id++) {
        membership_free(servers[id].membership);
    }
    cluster_free(cluster);
}

static void pack(const Peer__PeerMessage *message, struct buffer *buffer)
{
    buffer_clear(buffer);
    peer_codec_pack(message, buffer);
}

/* What the server at the address answers, into `buffer`; false if it is unreachable. */
static bool
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

static void carry_probe(struct probe *probe)
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
static struct server *leader(void)
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

static void step_world(void)
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

static void run(uint64_t us)
{
    for (uint64_t until = cluster->now + us; cluster->now < until;) {
        step_world();
    }
}

/* --- Requests --- */

static int operation_mark;

static void submit(struct server *server, const Client__Request *request)
{
    membership_submit(server->membership, cluster->now, request, cluster->now + 20 * SECOND,
                      &operation_mark);
}

/* Run until the operation has ended. */
static Client__Code await(void)
{
    size_t count = last.count;

    for (size_t i = 0; i < 3000 && last.count == count; i++) {
        step_world();
    }
    EXPECT_EQ(last.count, count + 1);
    EXPECT(last.operation == &operation_mark);
    return last.code;
}

static Client__Code finish_of(size_t count_before)
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

static void submit_init(raft_id at, const struct named *named, size_t count)
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

static Client__Code init(raft_id at, const struct named *named, size_t count)
{
    size_t before = last.count;

    submit_init(at, named, count);
    return finish_of(before);
}

static const struct named plain[] = {{1, "http://127.0.0.1:10001"}, {2, "http://127.0.0.1:10002/"},
                                     {3, "127.0.0.1:10003"},        {4, "127.0.0.1:10004"},
                                     {5, "127.0.0.1:10005"},        {6, "127.0.0.1:10006"},
                                     {7, "127.0.0.1:10007"},        {8, "127.0.0.1:10008"}};

static void make_cluster(size_t count)
{
    begin();
    EXPECT_EQ(init(1, plain, count), CLIENT__CODE__OK);
    run(SECOND);
    EXPECT(leader() != NULL);
}

/* What the changes below are for; 0 = any configuration. */
static raft_index only_config;

static void submit_member(struct server *at, raft_id id, const char *address, bool promote)
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

static void submit_add(struct server *at, raft_id id, const char *address)
{
    submit_member(at, id, address, false);
}

static Client__Code promote(raft_id id, const char *address)
{
    size_t before = last.count;

    submit_member(leader(), id, address, true);
    return finish_of(before);
}

static void submit_cancel(void)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__CancelChange message = CLIENT__CANCEL_CHANGE__INIT;

    request.body_case = CLIENT__REQUEST__BODY_CANCEL_CHANGE;
    request.cancel_change = &message;
    submit(leader(), &request);
}

static Client__Code cancel(void)
{
    size_t before = last.count;

    submit_cancel();
    return finish_of(before);
}

/* Nothing between the server and the others arrives any more; or again. */
static void set_cut(raft_id id, bool cut)
{
    for (raft_id other = 1; other <= SERVERS; other++) {
        cluster->cut[id][other] = cut && other != id;
        cluster->cut[other][id] = cut && other != id;
    }
}

static uint32_t flags_of(raft_id id)
{
    const struct raft_member *member =
        raft_config_find(raft_config_effective(leader()->node->raft), id);

    return member == NULL ? 0 : member->flags;
}

static Client__Code add(raft_id id, const char *address)
{
    size_t before = last.count;

    submit_add(leader(), id, address);
    return finish_of(before);
}

static void submit_change(struct server *at, const raft_id *voters, size_t count)
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

static Client__Code change(const raft_id *voters, size_t count)
{
    size_t before = last.count;

    submit_change(leader(), voters, count);
    return finish_of(before);
}

static Client__Code remove_member(raft_id id)
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

static Client__Code transfer(raft_id id)
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

static void cut(raft_id id, bool is_cut)
{
    for (raft_id other = 1; other <= SERVERS; other++) {
        cluster->cut[id][other] = is_cut && other != id;
        cluster->cut[other][id] = is_cut && other != id;
    }
}

static raft_id a_follower(void)
{
    return leader()->node->id == 1 ? 2 : 1;
}

/* --- Init --- */

static void test_init_makes_one_cluster_of_all_named(void)
{
    begin();
    EXPECT_EQ(init(2, plain, 3), CLIENT__CODE__OK);
    EXPECT_TEXT(last.text, "");
    EXPECT_EQ(last.member_count, 3);
    EXPECT_EQ(last.config_zxid, 1);
    for (raft_id id = 1; id <= 3; id++) {
        EXPECT_EQ(last.ids[id - 1], id);
        EXPECT_EQ(last.flags[id - 1], RAFT_VOTER_NEW);
        EXPECT_EQ(servers[id].bootstraps, 1);
        EXPECT(memcmp(servers[id].cluster_id, servers[1].cluster_id, NODE_CLUSTER_ID_BYTES) == 0);
        EXPECT_TEXT(raft_config_find(raft_config_effective(servers[id].node->raft), 2)->address,
                    "127.0.0.1:10002");
    }
    run(SECOND);
    cluster_check_converged(cluster);
    end();
}

static void test_init_warns_of_sizes_that_tolerate_nothing_more(void)
{
    static const char *const notes[] = {"1 voter tolerates no failure",
                                        "2 voters tolerate no failure",
                                        "",
                                        "4 voters tolerate no more failures than 3",
                                        "",
                                        "6 voters tolerate no more failures than 5",
                                        ""};

    for (size_t count = 1; count <= 7; count++) {
        begin();
        EXPECT_EQ(init(1, plain, count), CLIENT__CODE__OK);
        EXPECT_CONTAINS(last.text, notes[count - 1]);
        end();
    }
}

static void test_illegal_inits_are_refused_before_anybody_is_asked(void)
{
    static const struct {
        struct named named[3];
        size_t count;
        const char *text;
    } cases[] = {
        {{{2, "127.0.0.1:10002"}}, 1, "not among those named"},
        {{{1, "127.0.0.1:10001"}, {1, "127.0.0.1:10002"}}, 2, "named twice"},
        {{{1, "127.0.0.1:10001"}, {2, "http://127.0.0.1:10001"}}, 2, "same address"},
        {{{0, "127.0.0.1:10002"}, {1, "127.0.0.1:10001"}}, 2, "ids start at 1"},
        {{{1, "127.0.0.1:10001"}, {2, "nowhere"}}, 2, "server 2"},
        {{{1, "127.0.0.1:10001"}, {2, ""}}, 2, "server 2"},
        {{{0, ""}}, 0, "0 servers are named"},
    };

    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        EXPECT_EQ(init(1, cases[i].named, cases[i].count), CLIENT__CODE__BAD_ARGUMENTS);
        EXPECT_CONTAINS(last.text, cases[i].text);
    }
    EXPECT_EQ(init(1, plain, 8), CLIENT__CODE__BAD_ARGUMENTS);
    EXPECT_EQ(probe_count, 0);
    EXPECT_EQ(membership_count(servers[1].membership), 0);
    end();
}

static void test_init_needs_everybody_and_leaves_all_fresh_without(void)
{
    begin();
    servers[3].unreachable = true;
    EXPECT_EQ(init(1, plain, 3), CLIENT__CODE__UNREACHABLE);
    EXPECT_CONTAINS(last.text, "server 3 at 127.0.0.1:10003 does not answer: connection refused");
    run(2 * SECOND);
    for (raft_id id = 1; id <= 3; id++) {
        EXPECT_EQ(servers[id].bootstraps, 0);
    }
    servers[3].unreachable = false;
    EXPECT_EQ(init(1, plain, 3), CLIENT__CODE__OK);
    end();
}

static void test_init_refuses_a_server_that_is_another_or_too_new(void)
{
    begin();
    servers[2].claimed_id = 7;
    EXPECT_EQ(init(1, plain, 3), CLIENT__CODE__REFUSED);
    EXPECT_CONTAINS(last.text, "is server 7, not 2");
    servers[2].claimed_id = 0;
    servers[3].format = NODE_FORMAT + 1;
    EXPECT_EQ(init(1, plain, 3), CLIENT__CODE__REFUSED);
    EXPECT_CONTAINS(last.text, "upgrade this one");
    EXPECT_EQ(servers[1].bootstraps + servers[2].bootstraps + servers[3].bootstraps, 0);
    end();
}

static void test_init_refuses_servers_of_other_clusters_and_names_them(void)
{
    static const struct named other[] = {{3, "127.0.0.1:10003"}, {4, "127.0.0.1:10004"}};
    char hex[MEMBERSHIP_HEX_BYTES];

    begin();
    EXPECT_EQ(init(3, other, 2), CLIENT__CODE__OK);
    EXPECT_EQ(init(1, plain, 3), CLIENT__CODE__CONFLICT);
    membership_operation_hex(servers[3].cluster_id, hex);
    EXPECT_CONTAINS(last.text, "server 3 at 127.0.0.1:10003 already belongs to cluster");
    EXPECT_CONTAINS(last.text, hex);
    EXPECT_EQ(servers[1].bootstraps + servers[2].bootstraps, 0);
    /* And the server of that cluster itself refuses another init. */
    EXPECT_EQ(init(3, plain, 3), CLIENT__CODE__CONFLICT);
    EXPECT_CONTAINS(last.text, "server 3");
    end();
}

static void test_the_same_init_again_succeeds_even_alone(void)
{
    make_cluster(3);
    EXPECT_EQ(init(2, plain, 3), CLIENT__CODE__OK);
    servers[1].unreachable = true;
    servers[3].unreachable = true;
    EXPECT_EQ(init(2, plain, 3), CLIENT__CODE__OK);
    EXPECT_EQ(init(2, plain, 2), CLIENT__CODE__CONFLICT);
    EXPECT_EQ(servers[1].bootstraps, 1);
    EXPECT_EQ(servers[2].bootstraps, 1);
    end();
}

static void test_the_same_init_succeeds_after_the_members_changed(void)
{
    make_cluster(3);
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    EXPECT_EQ(init(1, plain, 3), CLIENT__CODE__OK);
    EXPECT_EQ(last.member_count, 4);
    EXPECT_EQ(init(1, plain, 4), CLIENT__CODE__CONFLICT);
    end();
}

static void test_a_broken_init_is_completed_by_the_same_one(void)
{
    begin();
    servers[3].unreachable_for_bootstrap = true;
    EXPECT_EQ(init(1, plain, 3), CLIENT__CODE__UNREACHABLE);
    EXPECT_EQ(servers[2].bootstraps, 1);
    EXPECT_EQ(servers[1].bootstraps, 0);
    servers[3].unreachable_for_bootstrap = false;
    EXPECT_EQ(init(1, plain, 3), CLIENT__CODE__OK);
    run(SECOND);
    cluster_check_converged(cluster);
    end();
}

static void test_a_broken_init_is_completed_even_if_the_others_began_without_us(void)
{
    begin();
    servers[5].unreachable_for_bootstrap = true;
    EXPECT_EQ(init(1, plain, 5), CLIENT__CODE__UNREACHABLE);
    run(5 * SECOND);
    EXPECT(leader() != NULL);
    EXPECT_EQ(servers[1].bootstraps, 0);
    EXPECT(servers[1].has_cluster);
    EXPECT(servers[5].has_cluster);
    servers[5].unreachable_for_bootstrap = false;
    EXPECT_EQ(init(1, plain, 5), CLIENT__CODE__OK);
    EXPECT_EQ(servers[1].bootstraps, 0);
    end();
}

static void test_another_name_for_the_asked_server_is_tried(void)
{
    static const struct named named[] = {{1, "localhost:10001"}, {2, "127.0.0.1:10002"}};
    static const struct named wrong[] = {{1, "localhost:10009"}, {2, "127.0.0.1:10002"}};

    begin();
    EXPECT_EQ(init(1, wrong, 2), CLIENT__CODE__UNREACHABLE);
    EXPECT_EQ(init(1, named, 2), CLIENT__CODE__OK);
    EXPECT_EQ(servers[1].asked, 1);
    end();
}

static void test_a_twin_at_the_name_of_the_asked_server_is_refused(void)
{
    static const struct named named[] = {{1, "127.0.0.1:10002"}, {3, "127.0.0.1:10003"}};

    begin();
    servers[2].claimed_id = 1;
    servers[2].node->incarnation = 9;
    EXPECT_EQ(init(1, named, 2), CLIENT__CODE__REFUSED);
    EXPECT_CONTAINS(last.text, "another server with id 1");
    EXPECT_EQ(servers[3].bootstraps, 0);
    end();
}

static void test_a_silent_server_ends_the_init_at_its_deadline(void)
{
    begin();
    submit_init(1, plain, 3);
    for (size_t i = 0; i < probe_count; i++) {
        free(probes[i].message);
    }
    probe_count = 0;
    EXPECT_EQ(await(), CLIENT__CODE__UNREACHABLE);
    EXPECT_CONTAINS(last.text, "server 2");
    end();
}

/* --- Being asked --- */

static struct raft_config first_config(void)
{
    struct raft_config config;

    memset(&config, 0, sizeof config);
    config.member_count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        config.members[i].id = i + 1;
        config.members[i].flags = RAFT_VOTER_NEW;
        memset(config.members[i].incarnation, (int)(i + 10), RAFT_INCARNATION_BYTES);
        (void)snprintf(config.members[i].address, sizeof config.members[i].address, "a:%u", i + 1);
    }
    return config;
}

static enum membership_bootstrap judge(const struct raft_config *config,
                                       const struct node_identity *identity,
                                       const struct raft_status *status,
                                       bool damage_id,
                                       char refusal[ERROR_TEXT_BYTES_MAX])
{
    Peer__Bootstrap bootstrap = PEER__BOOTSTRAP__INIT;
    struct buffer packed = BUFFER_INIT;
    uint8_t id[NODE_CLUSTER_ID_BYTES];
    uint8_t ret_id[NODE_CLUSTER_ID_BYTES];
    struct raft_config ret_config;
    enum membership_bootstrap verdict;

    config_codec_pack(config, &packed);
    membership_operation_cluster_id(config, id);
    id[15] = damage_id ? (uint8_t)(id[15] + 1) : id[15];
    bootstrap.config = record__config__unpack(NULL, packed.size, packed.data);
    bootstrap.cluster_id.data = id;
    bootstrap.cluster_id.len = sizeof id;
    refusal[0] = '\0';
    verdict =
        membership_check_bootstrap(identity, status, &bootstrap, &ret_config, ret_id, refusal);
    if (verdict == MEMBERSHIP_BOOTSTRAP_WANTED) {
        EXPECT(memcmp(&ret_config, config, sizeof ret_config) == 0);
        EXPECT(memcmp(ret_id, id, sizeof id) == 0);
    }
    EXPECT_EQ(verdict == MEMBERSHIP_BOOTSTRAP_REFUSED, refusal[0] != '\0');
    record__config__free_unpacked(bootstrap.config, NULL);
    buffer_release(&packed);
    return verdict;
}

static void test_bootstrap_is_taken_only_whole_and_only_fresh(void)
{
    struct raft_config config = first_config();
    struct node_identity identity = {.id = 2};
    struct raft_status fresh = {.term = 0};
    struct raft_status used = {.term = 1};
    char refusal[ERROR_TEXT_BYTES_MAX];

    memset(identity.incarnation, 11, sizeof identity.incarnation);
    EXPECT_EQ(judge(&config, &identity, &fresh, false, refusal), MEMBERSHIP_BOOTSTRAP_WANTED);
    EXPECT_EQ(judge(&config, &identity, &fresh, true, refusal), MEMBERSHIP_BOOTSTRAP_REFUSED);
    EXPECT_EQ(judge(&config, &identity, &used, false, refusal), MEMBERSHIP_BOOTSTRAP_REFUSED);
    EXPECT_CONTAINS(refusal, "already holds a log");
    identity.has_cluster = true;
    EXPECT_EQ(judge(&config, &identity, &fresh, false, refusal), MEMBERSHIP_BOOTSTRAP_REFUSED);
    EXPECT_CONTAINS(refusal, "already belongs to cluster 00000000");
    membership_operation_cluster_id(&config, identity.cluster_id);
    EXPECT_EQ(judge(&config, &identity, &fresh, false, refusal), MEMBERSHIP_BOOTSTRAP_WANTED);
    EXPECT_EQ(judge(&config, &identity, &used, false, refusal), MEMBERSHIP_BOOTSTRAP_DONE);
    identity.has_cluster = false;
    identity.incarnation[3]++;
    EXPECT_EQ(judge(&config, &identity, &fresh, false, refusal), MEMBERSHIP_BOOTSTRAP_REFUSED);
    EXPECT_CONTAINS(refusal, "does not name server 2");
    identity.incarnation[3]--;
    identity.id = 3;
    EXPECT_EQ(judge(&config, &identity, &fresh, false, refusal), MEMBERSHIP_BOOTSTRAP_REFUSED);
    identity.id = 2;
    config.members[0].flags = RAFT_LEARNER;
    EXPECT_EQ(judge(&config, &identity, &fresh, false, refusal), MEMBERSHIP_BOOTSTRAP_REFUSED);
}

static void test_malformed_bootstraps_are_refused(void)
{
    struct node_identity identity = {.id = 2};
    struct raft_status fresh = {.term = 0};
    Peer__Bootstrap bootstrap = PEER__BOOTSTRAP__INIT;
    Record__Config empty = RECORD__CONFIG__INIT;
    struct raft_config config;
    uint8_t id[NODE_CLUSTER_ID_BYTES] = {0};
    char refusal[ERROR_TEXT_BYTES_MAX];

    EXPECT_EQ(membership_check_bootstrap(&identity, &fresh, &bootstrap, &config, id, refusal),
              MEMBERSHIP_BOOTSTRAP_REFUSED);
    bootstrap.config = &empty;
    EXPECT_EQ(membership_check_bootstrap(&identity, &fresh, &bootstrap, &config, id, refusal),
              MEMBERSHIP_BOOTSTRAP_REFUSED);
    bootstrap.cluster_id.data = id;
    bootstrap.cluster_id.len = sizeof id;
    EXPECT_EQ(membership_check_bootstrap(&identity, &fresh, &bootstrap, &config, id, refusal),
              MEMBERSHIP_BOOTSTRAP_REFUSED);
}

static void test_the_cluster_id_follows_every_part_of_the_configuration(void)
{
    struct raft_config config = first_config();
    uint8_t id[NODE_CLUSTER_ID_BYTES];
    uint8_t other[NODE_CLUSTER_ID_BYTES];

    membership_operation_cluster_id(&config, id);
    membership_operation_cluster_id(&config, other);
    EXPECT(memcmp(id, other, sizeof id) == 0);
    config.members[1].incarnation[15]++;
    membership_operation_cluster_id(&config, other);
    EXPECT(memcmp(id, other, sizeof id) != 0);
    config = first_config();
    config.members[0].address[0] = 'b';
    membership_operation_cluster_id(&config, other);
    EXPECT(memcmp(id, other, sizeof id) != 0);
}

/* --- Add a learner --- */

static void test_a_fresh_server_becomes_a_learner(void)
{
    make_cluster(3);
    EXPECT_EQ(add(4, "http://127.0.0.1:10004"), CLIENT__CODE__OK);
    EXPECT_EQ(last.member_count, 4);
    EXPECT_EQ(last.flags[3], RAFT_LEARNER);
    run(SECOND);
    cluster_check_converged(cluster);
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    EXPECT_EQ(add(leader()->node->id, leader()->address), CLIENT__CODE__OK);
    end();
}

static void test_learners_that_do_not_fit_are_refused_and_nothing_is_appended(void)
{
    raft_index before;

    make_cluster(3);
    before = raft_status(leader()->node->raft).last_index;
    servers[4].unreachable = true;
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__UNREACHABLE);
    servers[4].unreachable = false;
    EXPECT_EQ(add(5, "127.0.0.1:10004"), CLIENT__CODE__REFUSED);
    EXPECT_CONTAINS(last.text, "is server 4, not 5");
    EXPECT_EQ(add(4, leader()->address), CLIENT__CODE__CONFLICT);
    EXPECT_EQ(add(2, "127.0.0.1:10004"), CLIENT__CODE__CONFLICT);
    EXPECT_CONTAINS(last.text, "remove-member 2");
    EXPECT_EQ(add(0, "127.0.0.1:10004"), CLIENT__CODE__BAD_ARGUMENTS);
    EXPECT_EQ(add(4, "127.0.0.1"), CLIENT__CODE__BAD_ARGUMENTS);
    servers[4].format = 0;
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__REFUSED);
    servers[4].format = NODE_FORMAT;
    servers[4].has_cluster = true;
    servers[4].cluster_id[0] = 1;
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__REFUSED);
    EXPECT_CONTAINS(last.text, "belongs to another cluster, 01000000");
    EXPECT_EQ(raft_status(leader()->node->raft).last_index, before);
    end();
}

static void test_a_wiped_member_must_be_removed_first(void)
{
    raft_id follower;

    make_cluster(3);
    follower = a_follower();
    servers[follower].node->incarnation = 77;
    servers[follower].has_cluster = false;
    servers[follower].is_wiped = true;
    EXPECT_EQ(add(follower, servers[follower].address), CLIENT__CODE__CONFLICT);
    EXPECT_CONTAINS(last.text, "has another data folder");
    EXPECT_CONTAINS(last.text, "remove-member");
    end();
}

static void test_only_the_leader_of_a_cluster_takes_changes(void)
{
    raft_id voters[] = {1};
    size_t before;

    make_cluster(3);
    before = last.count;
    submit_change(&servers[a_follower()], voters, 1);
    EXPECT_EQ(last.count, before + 1);
    EXPECT_EQ(last.code, CLIENT__CODE__NO_LEADER);
    submit_add(&servers[7], 4, "127.0.0.1:10004");
    EXPECT_EQ(last.code, CLIENT__CODE__NO_CLUSTER);
    end();
}

static void test_leadership_lost_while_asking_ends_with_no_leader(void)
{
    make_cluster(3);
    submit_add(leader(), 4, "127.0.0.1:10004");
    cut(leader()->node->id, true);
    cluster_advance(cluster, cluster->now + 5 * SECOND, true);
    EXPECT_EQ(await(), CLIENT__CODE__NO_LEADER);
    end();
}

static void test_leadership_lost_after_the_append_leaves_the_outcome_unknown(void)
{
    size_t before;

    make_cluster(3);
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    run(SECOND);
    before = last.count;
    cut(leader()->node->id, true);
    submit_change(leader(), (raft_id[]){1, 2, 3, 4}, 4);
    EXPECT_EQ(finish_of(before), CLIENT__CODE__UNKNOWN_OUTCOME);
    end();
}

/* --- Change the voters --- */

static void test_voters_become_exactly_those_named(void)
{
    raft_id voters[] = {4, 2, 3};
    raft_id again[] = {2, 3, 4};

    make_cluster(3);
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    EXPECT_EQ(add(5, "127.0.0.1:10005"), CLIENT__CODE__OK);
    EXPECT_EQ(change(voters, 3), CLIENT__CODE__OK);
    EXPECT_EQ(last.member_count, 4);
    EXPECT_EQ(last.ids[0], 2);
    EXPECT_EQ(last.flags[2], RAFT_VOTER_NEW);
    EXPECT_EQ(last.ids[3], 5);
    EXPECT_EQ(last.flags[3], RAFT_LEARNER);
    run(3 * SECOND);
    EXPECT(leader()->node->id != 1);
    EXPECT_EQ(change(again, 3), CLIENT__CODE__OK);
    end();
}

static void test_a_change_for_one_configuration_is_made_to_no_other(void)
{
    raft_id voters[] = {1, 2, 3, 4};
    raft_index before;

    make_cluster(3);
    EXPECT_EQ(add(5, "127.0.0.1:10005"), CLIENT__CODE__OK);
    before = last.config_zxid;
    only_config = before;
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    EXPECT(last.config_zxid > before);
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK); /* it holds */
    EXPECT_EQ(add(6, "127.0.0.1:10006"), CLIENT__CODE__BAD_VERSION);
    EXPECT_EQ(change(voters, 4), CLIENT__CODE__BAD_VERSION);
    EXPECT_EQ(remove_member(5), CLIENT__CODE__BAD_VERSION);
    only_config = raft_status(leader()->node->raft).config_index;
    EXPECT_EQ(remove_member(5), CLIENT__CODE__OK);
    EXPECT_EQ(change(voters, 4), CLIENT__CODE__BAD_VERSION);
    only_config = last.config_zxid;
    EXPECT_EQ(change(voters, 4), CLIENT__CODE__OK);
    only_config = 0;
    end();
}

static void test_the_leader_may_remove_itself(void)
{
    raft_id rest[2] = {0};
    size_t count = 0;

    make_cluster(3);
    for (raft_id id = 1; id <= 3; id++) {
        if (id != leader()->node->id) {
            rest[count] = id;
            count++;
        }
    }
    EXPECT_EQ(change(rest, 2), CLIENT__CODE__OK);
    EXPECT_EQ(last.member_count, 2);
    end();
}

static void test_illegal_sets_of_voters_are_refused(void)
{
    raft_id unknown[] = {1, 2, 6};
    raft_id twice[] = {1, 2, 2};
    raft_id many[] = {1, 2, 3, 4, 5, 6, 7, 8};

    make_cluster(3);
    EXPECT_EQ(change(unknown, 3), CLIENT__CODE__CONFLICT);
    EXPECT_CONTAINS(last.text, "add-learner --node 6=ADDRESS");
    EXPECT_EQ(change(twice, 3), CLIENT__CODE__BAD_ARGUMENTS);
    EXPECT_EQ(change(many, 8), CLIENT__CODE__BAD_ARGUMENTS);
    EXPECT_EQ(change(many, 0), CLIENT__CODE__BAD_ARGUMENTS);
    end();
}

static void test_a_voter_to_be_that_lags_is_waited_for_and_named_in_the_end(void)
{
    raft_id voters[] = {1, 2, 3, 4};
    size_t before;

    make_cluster(3);
    cut(4, true);
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    before = last.count;
    submit_change(leader(), voters, 4);
    run(10 * SECOND);
    EXPECT_EQ(last.count, before);
    EXPECT_EQ(finish_of(before), CLIENT__CODE__CONFLICT);
    EXPECT_CONTAINS(last.text, "server 4 has not caught up");
    before = last.count;
    submit_change(leader(), voters, 4);
    run(SECOND);
    cut(4, false);
    EXPECT_EQ(finish_of(before), CLIENT__CODE__OK);
    end();
}

static void test_changes_at_the_same_time_follow_each_other(void)
{
    raft_id voters[] = {1, 2, 3, 4};
    size_t before;

    make_cluster(3);
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    run(SECOND);
    before = last.count;
    submit_change(leader(), voters, 4);
    submit_add(leader(), 5, "127.0.0.1:10005");
    submit_add(leader(), 6, "127.0.0.1:10006");
    run(5 * SECOND);
    EXPECT_EQ(last.count, before + 3);
    EXPECT_EQ(last.code, CLIENT__CODE__OK);
    EXPECT_EQ(raft_config_effective(leader()->node->raft)->member_count, 6);
    end();
}

/* --- Remove, transfer --- */

static void test_voters_and_learners_are_removed_and_absent_ones_noted(void)
{
    raft_id follower;

    make_cluster(3);
    follower = a_follower();
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    EXPECT_EQ(remove_member(4), CLIENT__CODE__OK);
    EXPECT_EQ(last.member_count, 3);
    EXPECT_EQ(remove_member(follower), CLIENT__CODE__OK);
    EXPECT_EQ(last.member_count, 2);
    EXPECT_EQ(remove_member(follower), CLIENT__CODE__OK);
    EXPECT_CONTAINS(last.text, "is not a member");
    end();
}

static void test_the_last_voter_stays(void)
{
    make_cluster(1);
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    EXPECT_EQ(remove_member(1), CLIENT__CODE__CONFLICT);
    EXPECT_CONTAINS(last.text, "the only voter");
    end();
}

static void test_leadership_goes_to_the_target_or_to_any_other_voter(void)
{
    raft_id target;
    raft_id old;

    make_cluster(3);
    target = a_follower();
    EXPECT_EQ(transfer(target), CLIENT__CODE__OK);
    EXPECT_EQ(leader()->node->id, target);
    EXPECT_EQ(transfer(target), CLIENT__CODE__OK);
    old = target;
    EXPECT_EQ(transfer(0), CLIENT__CODE__OK);
    EXPECT(leader()->node->id != old);
    end();
}

static void test_transfers_that_cannot_be_are_refused(void)
{
    raft_id follower;

    make_cluster(3);
    follower = a_follower();
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    EXPECT_EQ(transfer(4), CLIENT__CODE__CONFLICT);
    EXPECT_EQ(transfer(9), CLIENT__CODE__CONFLICT);
    EXPECT_CONTAINS(last.text, "not a voter");
    cut(follower, true);
    run(3 * SECOND);
    EXPECT_EQ(transfer(follower), CLIENT__CODE__UNREACHABLE);
    end();
}

/* --- The engine --- */

static void test_forgotten_operations_go_on_silently(void)
{
    size_t before;

    make_cluster(3);
    before = last.count;
    submit_add(leader(), 4, "127.0.0.1:10004");
    membership_forget(leader()->membership, &operation_mark);
    run(2 * SECOND);
    EXPECT_EQ(last.count, before);
    EXPECT_EQ(membership_count(leader()->membership), 0);
    EXPECT_EQ(raft_config_effective(leader()->node->raft)->member_count, 4);
    end();
}

static void test_operations_are_bounded(void)
{
    begin();
    for (size_t i = 0; i < MEMBERSHIP_OPERATIONS_MAX; i++) {
        submit_init(1, plain, 2);
        for (size_t j = 0; j < probe_count; j++) {
            free(probes[j].message);
        }
        probe_count = 0;
    }
    EXPECT_EQ(last.count, 0);
    submit_init(1, plain, 2);
    EXPECT_EQ(last.count, 1);
    EXPECT_EQ(last.code, CLIENT__CODE__BUSY);
    end();
}

static void answer_with(struct bytes message, Peer__Identity *identity)
{
    EXPECT_EQ(probe_count, 1);
    membership_on_probe_answer(servers[1].membership, cluster->now, probes[0].token, STATUS_OK,
                               identity, message, NULL);
    free(probes[0].message);
    probe_count = 0;
}

static void test_hostile_answers_end_the_operation_with_a_refusal(void)
{
    struct prng prng;
    uint8_t noise[64];
    Peer__Identity identity = PEER__IDENTITY__INIT;

    begin();
    prng_init(&prng, 3);
    for (size_t i = 0; i < 2000; i++) {
        size_t size = prng_below(&prng, sizeof noise);

        for (size_t j = 0; j < size; j++) {
            noise[j] = (uint8_t)prng_next(&prng);
        }
        identity.id = prng_below(&prng, 4);
        identity.format = (uint32_t)prng_below(&prng, 3);
        identity.incarnation.data = noise;
        identity.incarnation.len = prng_below(&prng, 2) == 0 ? 16 : prng_below(&prng, 20);
        identity.cluster_id.data = noise;
        identity.cluster_id.len = prng_below(&prng, 40);
        submit_init(1, plain, 2);
        answer_with(bytes_of(noise, size), prng_below(&prng, 10) == 0 ? NULL : &identity);
        EXPECT_EQ(membership_count(servers[1].membership) + probe_count, 0);
    }
    EXPECT_EQ(last.count, 2000);
    membership_on_probe_answer(servers[1].membership, 0, 0, STATUS_OK, NULL, BYTES_EMPTY, NULL);
    membership_on_probe_answer(servers[1].membership, 0, 12345, STATUS_OK, NULL, BYTES_EMPTY, NULL);
    end();
}

/* --- Promotions, contradictions, cancelling --- */

static void test_a_learner_is_promoted_by_itself_once_it_caught_up(void)
{
    make_cluster(3);
    set_cut(4, true);
    EXPECT_EQ(promote(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    EXPECT_EQ(last.member_count, 4);
    EXPECT_EQ(last.flags[3], RAFT_LEARNER | RAFT_PROMOTE);
    run(2 * SECOND);
    EXPECT_EQ(flags_of(4), RAFT_LEARNER | RAFT_PROMOTE);
    set_cut(4, false);
    run(SECOND);
    EXPECT_EQ(flags_of(4), RAFT_VOTER_NEW);
    cluster_check_converged(cluster);
    end();
}

static void test_a_promotion_asked_for_again_changes_nothing(void)
{
    raft_index before;

    make_cluster(3);
    set_cut(4, true);
    EXPECT_EQ(promote(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    before = raft_status(leader()->node->raft).config_index;
    EXPECT_EQ(promote(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    /* Nor does a learner that is one already; nor does it matter that it is away. */
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    servers[4].unreachable = true;
    EXPECT_EQ(promote(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    EXPECT_CONTAINS(last.text, "does not answer");
    EXPECT_EQ(raft_status(leader()->node->raft).config_index, before);
    EXPECT_EQ(promote(5, "127.0.0.1:10004"), CLIENT__CODE__CONFLICT);
    set_cut(4, false);
    run(SECOND);
    EXPECT_EQ(promote(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    EXPECT_EQ(flags_of(4), RAFT_VOTER_NEW);
    end();
}

static void test_an_absent_member_that_is_not_as_asked_for_stays_unreachable(void)
{
    make_cluster(3);
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    servers[4].unreachable = true;
    EXPECT_EQ(promote(4, "127.0.0.1:10004"), CLIENT__CODE__UNREACHABLE);
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    end();
}

static void test_no_more_than_seven_voters_are_promised(void)
{
    make_cluster(6);
    set_cut(7, true);
    EXPECT_EQ(promote(7, "127.0.0.1:10007"), CLIENT__CODE__OK);
    EXPECT_EQ(promote(8, "127.0.0.1:10008"), CLIENT__CODE__LIMIT);
    EXPECT_EQ(promote(7, "127.0.0.1:10007"), CLIENT__CODE__OK);
    EXPECT_EQ(add(8, "127.0.0.1:10008"), CLIENT__CODE__OK);
    end();
}

static void test_a_promotion_is_cancelled_and_the_learner_stays(void)
{
    make_cluster(3);
    EXPECT_EQ(cancel(), CLIENT__CODE__OK);
    EXPECT_CONTAINS(last.text, "no change is under way");
    set_cut(4, true);
    EXPECT_EQ(promote(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    EXPECT_EQ(cancel(), CLIENT__CODE__OK);
    EXPECT_CONTAINS(last.text, "server 4 stays a learner");
    EXPECT_EQ(last.flags[3], RAFT_LEARNER);
    set_cut(4, false);
    run(2 * SECOND);
    EXPECT_EQ(flags_of(4), RAFT_LEARNER);
    EXPECT_EQ(cancel(), CLIENT__CODE__OK);
    EXPECT_CONTAINS(last.text, "no change is under way");
    end();
}

static void test_removal_drops_a_promotion(void)
{
    make_cluster(3);
    set_cut(4, true);
    EXPECT_EQ(promote(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    EXPECT_EQ(remove_member(4), CLIENT__CODE__OK);
    set_cut(4, false);
    run(2 * SECOND);
    EXPECT_EQ(flags_of(4), 0);
    end();
}

static void test_a_change_that_forgets_a_promotion_is_refused(void)
{
    static const raft_id without[] = {1, 2};
    static const raft_id with[] = {1, 2, 4};

    make_cluster(3);
    set_cut(4, true);
    EXPECT_EQ(promote(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    EXPECT_EQ(change(without, 2), CLIENT__CODE__CONFLICT);
    EXPECT_CONTAINS(last.text, "server 4 is being promoted");
    /* The removal of another one says nothing about it. */
    EXPECT_EQ(remove_member(leader()->node->id == 3 ? 2 : 3), CLIENT__CODE__OK);
    EXPECT_EQ(flags_of(4), RAFT_LEARNER | RAFT_PROMOTE);
    set_cut(4, false);
    if (leader()->node->id != 3) {
        EXPECT_EQ(change(with, 3), CLIENT__CODE__OK);
    }
    run(SECOND);
    EXPECT_EQ(flags_of(4), RAFT_VOTER_NEW);
    end();
}

static void test_a_change_that_waits_names_itself_and_can_be_cancelled(void)
{
    static const raft_id wanted[] = {1, 2, 3, 4};
    static const raft_id other[] = {1, 2};
    struct membership_waiting waiting;
    size_t before;

    make_cluster(3);
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    set_cut(4, true);
    run(2 * SECOND);
    EXPECT(!membership_find_waiting(leader()->membership, &waiting));
    before = last.count;
    submit_change(leader(), wanted, 4);
    run(SECOND);
    EXPECT_EQ(last.count, before);
    EXPECT(membership_find_waiting(leader()->membership, &waiting));
    EXPECT_EQ(waiting.voter_count, 4);
    EXPECT_EQ(waiting.voters[3], 4);
    submit_change(leader(), other, 2);
    run(SECOND);
    EXPECT_EQ(last.count, before + 1);
    EXPECT_EQ(last.code, CLIENT__CODE__CONFLICT);
    EXPECT_CONTAINS(last.text, "1,2,3,4");
    /* The same one waits along. */
    submit_change(leader(), wanted, 4);
    run(SECOND);
    EXPECT_EQ(last.count, before + 1);
    submit_cancel();
    run(SECOND);
    EXPECT_EQ(last.count, before + 4); /* the two that waited, and the command */
    EXPECT_EQ(last.code, CLIENT__CODE__OK);
    EXPECT_CONTAINS(last.text, "given up before it began");
    EXPECT(!membership_find_waiting(leader()->membership, &waiting));
    end();
}

static void test_a_forced_change_does_not_wait_for_laggards(void)
{
    static const raft_id wanted[] = {1, 2, 3, 4};
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__ChangeMembership message = CLIENT__CHANGE_MEMBERSHIP__INIT;
    uint64_t voters[4];

    make_cluster(3);
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    set_cut(4, true);
    run(2 * SECOND);
    memcpy(voters, wanted, sizeof voters);
    message.voters = voters;
    message.n_voters = 4;
    message.force = true;
    request.body_case = CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP;
    request.change_membership = &message;
    submit(leader(), &request);
    EXPECT_EQ(await(), CLIENT__CODE__OK);
    EXPECT_EQ(flags_of(4), RAFT_VOTER_NEW);
    end();
}

/* A voter alone takes in a second one whose disk makes nothing durable: neither commits. */
static void start_stuck_change(void)
{
    static const raft_id wanted[] = {1, 2};

    make_cluster(1);
    EXPECT_EQ(add(2, "127.0.0.1:10002"), CLIENT__CODE__OK);
    run(SECOND);
    servers[2].node->hold_writes = true;
    submit_change(leader(), wanted, 2);
    run(SECOND);
    EXPECT(raft_config_effective(servers[1].node->raft)->joint);
}

static void test_a_stuck_joint_change_is_taken_back_on_request(void)
{
    size_t before;

    start_stuck_change();
    before = last.count;
    submit_cancel();
    run(SECOND);
    EXPECT_EQ(last.count, before + 2); /* the change and the command */
    EXPECT_EQ(flags_of(2), RAFT_LEARNER);
    EXPECT(!raft_config_effective(servers[1].node->raft)->joint);
    EXPECT(raft_status(servers[1].node->raft).config_committed);
    servers[2].node->hold_writes = false;
    run(SECOND);
    cluster_check_converged(cluster);
    end();
}

static void test_what_contradicts_a_joint_change_is_refused_by_its_name(void)
{
    static const raft_id other[] = {2};

    start_stuck_change();
    EXPECT_EQ(change(other, 1), CLIENT__CODE__CONFLICT);
    EXPECT_CONTAINS(last.text, "from 1 to 1,2");
    EXPECT_EQ(remove_member(2), CLIENT__CODE__CONFLICT);
    EXPECT_CONTAINS(last.text, "voters 1,2 is under way");
    servers[2].node->hold_writes = false;
    EXPECT_EQ(await(), CLIENT__CODE__OK); /* the first one */
    end();
}

static void test_a_change_whose_voter_fell_silent_is_told_to_be_taken_back(void)
{
    start_stuck_change();
    set_cut(2, true);
    EXPECT_EQ(await(), CLIENT__CODE__CONFLICT);
    EXPECT_CONTAINS(last.text, "taken back");
    EXPECT(leader() == &servers[1]);
    EXPECT_EQ(flags_of(2), RAFT_LEARNER);
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_init_makes_one_cluster_of_all_named),
        TEST_CASE(test_init_warns_of_sizes_that_tolerate_nothing_more),
        TEST_CASE(test_illegal_inits_are_refused_before_anybody_is_asked),
        TEST_CASE(test_init_needs_everybody_and_leaves_all_fresh_without),
        TEST_CASE(test_init_refuses_a_server_that_is_another_or_too_new),
        TEST_CASE(test_init_refuses_servers_of_other_clusters_and_names_them),
        TEST_CASE(test_the_same_init_again_succeeds_even_alone),
        TEST_CASE(test_the_same_init_succeeds_after_the_members_changed),
        TEST_CASE(test_a_broken_init_is_completed_by_the_same_one),
        TEST_CASE(test_a_broken_init_is_completed_even_if_the_others_began_without_us),
        TEST_CASE(test_another_name_for_the_asked_server_is_tried),
        TEST_CASE(test_a_twin_at_the_name_of_the_asked_server_is_refused),
        TEST_CASE(test_a_silent_server_ends_the_init_at_its_deadline),
        TEST_CASE(test_bootstrap_is_taken_only_whole_and_only_fresh),
        TEST_CASE(test_malformed_bootstraps_are_refused),
        TEST_CASE(test_the_cluster_id_follows_every_part_of_the_configuration),
        TEST_CASE(test_a_fresh_server_becomes_a_learner),
        TEST_CASE(test_learners_that_do_not_fit_are_refused_and_nothing_is_appended),
        TEST_CASE(test_a_wiped_member_must_be_removed_first),
        TEST_CASE(test_only_the_leader_of_a_cluster_takes_changes),
        TEST_CASE(test_leadership_lost_while_asking_ends_with_no_leader),
        TEST_CASE(test_leadership_lost_after_the_append_leaves_the_outcome_unknown),
        TEST_CASE(test_voters_become_exactly_those_named),
        TEST_CASE(test_a_change_for_one_configuration_is_made_to_no_other),
        TEST_CASE(test_the_leader_may_remove_itself),
        TEST_CASE(test_illegal_sets_of_voters_are_refused),
        TEST_CASE(test_a_voter_to_be_that_lags_is_waited_for_and_named_in_the_end),
        TEST_CASE(test_changes_at_the_same_time_follow_each_other),
        TEST_CASE(test_voters_and_learners_are_removed_and_absent_ones_noted),
        TEST_CASE(test_the_last_voter_stays),
        TEST_CASE(test_leadership_goes_to_the_target_or_to_any_other_voter),
        TEST_CASE(test_transfers_that_cannot_be_are_refused),
        TEST_CASE(test_forgotten_operations_go_on_silently),
        TEST_CASE(test_operations_are_bounded),
        TEST_CASE(test_hostile_answers_end_the_operation_with_a_refusal),
        TEST_CASE(test_a_learner_is_promoted_by_itself_once_it_caught_up),
        TEST_CASE(test_a_promotion_asked_for_again_changes_nothing),
        TEST_CASE(test_an_absent_member_that_is_not_as_asked_for_stays_unreachable),
        TEST_CASE(test_no_more_than_seven_voters_are_promised),
        TEST_CASE(test_a_promotion_is_cancelled_and_the_learner_stays),
        TEST_CASE(test_removal_drops_a_promotion),
        TEST_CASE(test_a_change_that_forgets_a_promotion_is_refused),
        TEST_CASE(test_a_change_that_waits_names_itself_and_can_be_cancelled),
        TEST_CASE(test_a_forced_change_does_not_wait_for_laggards),
        TEST_CASE(test_a_stuck_joint_change_is_taken_back_on_request),
        TEST_CASE(test_what_contradicts_a_joint_change_is_refused_by_its_name),
        TEST_CASE(test_a_change_whose_voter_fell_silent_is_told_to_be_taken_back),
        TEST_END};

    return test_main("membership", cases, argc, argv);
}
