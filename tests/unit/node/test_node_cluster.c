/* What other servers say to this leader: requests to change the cluster that they relay, and what
 * cannot be. */
#include "server/node/node_cluster.h"

#include "tests/unit/node/node_lab.h"

/* The peer relays a wish; without one it takes back what it relayed before. */
static void relay(uint64_t id, const Client__Request *request)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__Relay body = PEER__RELAY__INIT;
    uint8_t packed[64];

    body.id = id;
    body.given_up = request == NULL;
    if (request != NULL) {
        EXPECT(client__request__get_packed_size(request) <= sizeof packed);
        body.request.data = packed;
        body.request.len = client__request__pack(request, packed);
    }
    message.body_case = PEER__PEER_MESSAGE__BODY_RELAY;
    message.relay = &body;
    hear(&message);
}

static void relay_removal(uint64_t id, raft_id removed)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__RemoveMember wish = CLIENT__REMOVE_MEMBER__INIT;

    wish.id = removed;
    request.body_case = CLIENT__REQUEST__BODY_REMOVE_MEMBER;
    request.remove_member = &wish;
    relay(id, &request);
}

static bool is_answered(uint64_t id)
{
    for (size_t i = 0; i < lab.sent_count; i++) {
        if (lab.sent[i]->body_case == PEER__PEER_MESSAGE__BODY_RELAYED &&
            lab.sent[i]->relayed->id == id) {
            return true;
        }
    }
    return false;
}

/* Both arrive in one turn, as at a leader that was stopped meanwhile. */
static void test_a_request_that_was_given_up_is_not_begun(void)
{
    begin_alone();
    relay_removal(7, 3);
    relay_removal(8, 4);
    relay(7, NULL);
    run(1000 * 1000);
    EXPECT(is_answered(8));
    EXPECT(!is_answered(7));
    end();
}

static void test_giving_up_what_is_answered_changes_nothing(void)
{
    begin_alone();
    relay_removal(7, 3);
    run(1000 * 1000);
    EXPECT(is_answered(7));
    relay(7, NULL);
    relay_removal(8, 3);
    run(1000 * 1000);
    EXPECT(is_answered(8));
    end();
}

/* It waits for a learner from which nothing comes; with force it has begun, and waits for a voter.
 */
static void relay_change(uint64_t id, bool force)
{
    uint64_t voters[] = {SELF, PEER};
    struct raft_member learner = {.id = PEER, .address = "host2:1"};
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__ChangeMembership wish = CLIENT__CHANGE_MEMBERSHIP__INIT;
    raft_index index;

    EXPECT_OK(raft_add_learner(lab.node->raft, lab.now_us, &learner, &index));
    wish.voters = voters;
    wish.n_voters = 2;
    wish.force = force;
    request.body_case = CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP;
    request.change_membership = &wish;
    run(100 * 1000);
    relay(id, &request);
    run(100 * 1000);
    EXPECT_EQ(membership_count(lab.node->membership), 1);
}

static void test_a_change_that_waits_is_given_up(void)
{
    begin_alone();
    relay_change(7, false);
    relay(7, NULL);
    turn();
    EXPECT_EQ(membership_count(lab.node->membership), 0);
    EXPECT(!is_answered(7));
    end();
}

/* If somebody still waits there, it comes again. */
static void test_a_change_that_waits_is_given_up_with_the_link(void)
{
    begin_alone();
    relay_change(7, false);
    node_on_peer_down(lab.node, PEER);
    turn();
    EXPECT_EQ(membership_count(lab.node->membership), 0);
    end();
}

/* Its next run gives the same numbers to other requests. */
static void test_a_server_that_was_away_is_not_answered_what_it_asked_before(void)
{
    begin_alone();
    relay_change(7, true);
    EXPECT(raft_config_effective(node_raft(lab.node))->joint);
    node_on_peer_down(lab.node, PEER);
    node_on_peer_up(lab.node, PEER);
    for (size_t i = 0; i < 60 && membership_count(lab.node->membership) > 0; i++) {
        run(1000 * 1000);
    }
    EXPECT_EQ(membership_count(lab.node->membership), 0);
    run(1000 * 1000);
    EXPECT(!is_answered(7));
    end();
}

/* Whoever says it: no message ends a server. */
static void test_the_link_of_a_second_leader_of_a_term_is_closed(void)
{
    struct raft_message message = {.type = RAFT_HEARTBEAT, .from = PEER, .to = SELF};
    struct buffer packed = BUFFER_INIT;

    begin_alone();
    message.term = raft_status(node_raft(lab.node)).term;
    peer_codec_pack_raft(&message, NULL, NULL, &packed);
    EXPECT_EQ(node_on_peer_message(lab.node, PEER, buffer_lend(&packed)), STATUS_INVALID);
    run(STEP_US);
    EXPECT_EQ(raft_status(node_raft(lab.node)).role, RAFT_LEADER);
    EXPECT_EQ(raft_status(node_raft(lab.node)).term, message.term);
    buffer_release(&packed);
    end();
}

static int answered_code;

static void take_answer(struct request *request, const struct reply *reply)
{
    Client__Response *response =
        client__response__unpack(NULL, reply->relayed.size, reply->relayed.data);

    EXPECT(response != NULL);
    answered_code = (int)response->code;
    client__response__free_unpacked(response, NULL);
    request_free(request);
}

static int ask_for_own_removal(void)
{
    struct request *request = request_new(REQUEST_MEMBERSHIP);
    Client__Request wish = CLIENT__REQUEST__INIT;
    Client__RemoveMember removal = CLIENT__REMOVE_MEMBER__INIT;
    uint8_t packed[64];

    removal.id = SELF;
    wish.body_case = CLIENT__REQUEST__BODY_REMOVE_MEMBER;
    wish.remove_member = &removal;
    EXPECT(client__request__get_packed_size(&wish) <= sizeof packed);
    request->membership.encoded =
        arena_copy(&request->arena, bytes_of(packed, client__request__pack(&wish, packed)));
    answered_code = -1;
    node_cluster_submit(lab.node, request, take_answer);
    run(1000 * 1000);
    return answered_code;
}

/* It may have been added again, and not have heard of that yet. */
static void test_a_server_outside_does_not_say_that_its_removal_is_done(void)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__NotMember body = PEER__NOT_MEMBER__INIT;

    begin(2);
    body.config_index = raft_status(node_raft(lab.node)).config_index + 1;
    message.body_case = PEER__PEER_MESSAGE__BODY_NOT_MEMBER;
    message.not_member = &body;
    hear(&message);
    run(STEP_US);
    EXPECT(lab.node->is_outside);
    EXPECT_EQ(ask_for_own_removal(), CLIENT__CODE__NOT_MEMBER);
    end();
}

/* One who got a new folder while this server was away may be the only one that can tell it. */
static void test_another_folder_of_a_member_is_let_in_by_a_newer_configuration(void)
{
    uint8_t incarnation[RAFT_INCARNATION_BYTES] = {9};
    uint8_t cluster_id[NODE_CLUSTER_ID_BYTES] = {0};
    Peer__Identity from = PEER__IDENTITY__INIT;
    char refusal[ERROR_TEXT_BYTES_MAX] = "";
    raft_index present;

    begin(2);
    lab.node->options.has_cluster = true;
    memcpy(cluster_id, lab.node->options.cluster_id, sizeof cluster_id);
    present = raft_status(node_raft(lab.node)).config_index;
    from.id = PEER;
    from.format = NODE_FORMAT;
    from.incarnation = (ProtobufCBinaryData){.data = incarnation, .len = sizeof incarnation};
    from.cluster_id = (ProtobufCBinaryData){.data = cluster_id, .len = sizeof cluster_id};
    for (raft_index named_at = 0; named_at <= present; named_at++) {
        from.named_at = named_at;
        EXPECT(!node_admit(lab.node, &from, PEER__CHANNEL__CONTROL, true, refusal));
        EXPECT_CONTAINS(refusal, "another data folder");
    }
    from.named_at = present + 1;
    EXPECT(node_admit(lab.node, &from, PEER__CHANNEL__CONTROL, true, refusal));
    end();
}

/* Else a folder would vouch for itself that is not the one that was added. */
static void test_a_server_says_where_it_is_named(void)
{
    struct raft_config config;

    begin_alone();
    EXPECT_EQ(node_identity(lab.node).named_at, raft_status(node_raft(lab.node)).config_index);
    config = *raft_config_effective(node_raft(lab.node));
    EXPECT(node_cluster_names_self(lab.node, &config));
    config.members[0].incarnation[0]++;
    EXPECT(!node_cluster_names_self(lab.node, &config));
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_request_that_was_given_up_is_not_begun),
        TEST_CASE(test_giving_up_what_is_answered_changes_nothing),
        TEST_CASE(test_a_change_that_waits_is_given_up),
        TEST_CASE(test_a_change_that_waits_is_given_up_with_the_link),
        TEST_CASE(test_a_server_that_was_away_is_not_answered_what_it_asked_before),
        TEST_CASE(test_another_folder_of_a_member_is_let_in_by_a_newer_configuration),
        TEST_CASE(test_a_server_says_where_it_is_named),
        TEST_CASE(test_a_server_outside_does_not_say_that_its_removal_is_done),
        TEST_CASE(test_the_link_of_a_second_leader_of_a_term_is_closed),
        TEST_END};

    return test_main("node_cluster", cases, argc, argv);
}
