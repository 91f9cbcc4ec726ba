/* Requests to change the cluster that other members relayed to this leader. */
#include "server/node/node_cluster.h"

#include "tests/unit/node/node_lab.h"

/* The peer relays a wish to remove the member `removed`; 0 takes back what it relayed before. */
static void relay(uint64_t id, raft_id removed)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__Relay body = PEER__RELAY__INIT;
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__RemoveMember wish = CLIENT__REMOVE_MEMBER__INIT;
    uint8_t packed[64];

    wish.id = removed;
    request.body_case = CLIENT__REQUEST__BODY_REMOVE_MEMBER;
    request.remove_member = &wish;
    EXPECT(client__request__get_packed_size(&request) <= sizeof packed);
    body.id = id;
    body.given_up = removed == 0;
    if (removed != 0) {
        body.request.data = packed;
        body.request.len = client__request__pack(&request, packed);
    }
    message.body_case = PEER__PEER_MESSAGE__BODY_RELAY;
    message.relay = &body;
    hear(&message);
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
    relay(7, 3);
    relay(8, 4);
    relay(7, 0);
    run(1000 * 1000);
    EXPECT(is_answered(8));
    EXPECT(!is_answered(7));
    end();
}

static void test_giving_up_what_is_answered_changes_nothing(void)
{
    begin_alone();
    relay(7, 3);
    run(1000 * 1000);
    EXPECT(is_answered(7));
    relay(7, 0);
    relay(8, 3);
    run(1000 * 1000);
    EXPECT(is_answered(8));
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_request_that_was_given_up_is_not_begun),
        TEST_CASE(test_giving_up_what_is_answered_changes_nothing), TEST_END};

    return test_main("node_cluster", cases, argc, argv);
}
