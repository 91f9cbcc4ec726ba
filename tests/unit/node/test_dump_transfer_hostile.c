/* What peers may send that no sound one sends. */
#include "server/node/dump_transfer.h"

#include "base/alloc.h"
#include "tests/unit/node/dump_transfer_lab.h"

#include <stdlib.h>

static enum status give(raft_id to, raft_id from, const Peer__PeerMessage *message)
{
    return dump_transfer_on_message(nodes[to].transfer, cluster->now, from, message);
}

static Peer__Dissent *dissents[100];
static size_t dissent_count; /* go with an offer */

static enum status
give_offer(raft_id to, raft_id from, uint64_t index, uint64_t term, uint64_t leader, uint64_t bytes)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__DumpOffer offer = PEER__DUMP_OFFER__INIT;

    offer.index = index;
    offer.term = term;
    offer.leader_term = leader;
    offer.bytes = bytes;
    offer.dissent = dissents;
    offer.n_dissent = dissent_count;
    message.body_case = PEER__PEER_MESSAGE__BODY_DUMP_OFFER;
    message.dump_offer = &offer;
    return give(to, from, &message);
}

static enum status give_chunk(raft_id to, raft_id from, uint64_t offset, size_t size)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__DumpChunk chunk = PEER__DUMP_CHUNK__INIT;
    enum status status;

    chunk.offset = offset;
    chunk.data.data = xcalloc(1, size);
    chunk.data.len = size;
    message.body_case = PEER__PEER_MESSAGE__BODY_DUMP_CHUNK;
    message.dump_chunk = &chunk;
    status = give(to, from, &message);
    free(chunk.data.data);
    return status;
}

static enum status give_wanted(raft_id to, raft_id from, uint64_t offset)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__DumpWanted wanted;

    peer__dump_wanted__init(&wanted);
    wanted.offset = offset;
    message.body_case = PEER__PEER_MESSAGE__BODY_DUMP_WANTED;
    message.dump_wanted = &wanted;
    return give(to, from, &message);
}

static enum status give_received(raft_id to, raft_id from, uint64_t offset, bool installed)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__DumpReceived received = PEER__DUMP_RECEIVED__INIT;

    received.offset = offset;
    received.installed = installed;
    message.body_case = PEER__PEER_MESSAGE__BODY_DUMP_RECEIVED;
    message.dump_received = &received;
    return give(to, from, &message);
}

/* What node `to` was last told in a DumpWanted by `from`; then all packets are gone. */
static bool last_wanted(raft_id from, raft_id to, uint64_t *ret_offset, bool *ret_refused)
{
    bool found = false;

    for (size_t i = 0; i < packet_count; i++) {
        Peer__PeerMessage *message =
            peer__peer_message__unpack(NULL, packets[i].size, packets[i].data);

        if (packets[i].from == from && packets[i].to == to &&
            message->body_case == PEER__PEER_MESSAGE__BODY_DUMP_WANTED) {
            *ret_offset = message->dump_wanted->offset;
            *ret_refused = message->dump_wanted->refusal[0] != '\0';
            found = true;
        }
        peer__peer_message__free_unpacked(message, NULL);
    }
    drop_packets(from, to);
    return found;
}

/* Node 4 is behind, has a link to node 2, and nobody else disturbs it. */
static void begin_hostile(void)
{
    begin(false);
    link_cut[1][4] = true;
    run(SECOND);
    link_up[2][4] = true;
}

static void test_hostile_offers_are_refused(void)
{
    uint64_t commit;
    uint64_t offset;
    bool refused;

    begin_hostile();
    commit = raft_status(nodes[4].core->raft).commit_index;
    EXPECT_EQ(give_offer(4, 2, 0, 1, 1, 100), STATUS_INVALID);
    EXPECT_EQ(give_offer(4, 2, UINT64_MAX, 1, 1, 100), STATUS_INVALID);
    EXPECT_EQ(give_offer(4, 2, 1000, 0, 1, 100), STATUS_INVALID);
    EXPECT_EQ(give_offer(4, 2, 1000, 5, 4, 100), STATUS_INVALID);
    EXPECT_EQ(give_offer(4, 2, 1000, 1, 1, 0), STATUS_INVALID);
    EXPECT_OK(give_offer(4, 2, commit, 1, 1, 100));
    EXPECT(last_wanted(4, 2, &offset, &refused) && refused);
    EXPECT_OK(give_offer(4, 2, 1000, 1, 1, UINT64_MAX));
    EXPECT(last_wanted(4, 2, &offset, &refused) && refused);
    link_up[4][1] = true;
    EXPECT_OK(give_offer(1, 4, 1000, 1, 1, 100));
    EXPECT(last_wanted(1, 4, &offset, &refused) && refused);
    EXPECT(!dump_transfer_status(nodes[4].transfer).receiving);
    EXPECT_EQ(nodes[4].written, 0);
    end();
}

static void test_only_of_the_leader_a_dump_is_remembered_as_too_large(void)
{
    uint64_t offset;
    bool refused;

    begin_hostile();
    link_up[4][1] = true;
    EXPECT_OK(give_offer(4, 2, 2000, 1, 1, DUMP_BYTES + 1));
    EXPECT(last_wanted(4, 2, &offset, &refused) && refused);
    EXPECT_EQ(dump_transfer_too_large(nodes[4].transfer), 0);
    EXPECT_EQ(raft_status(nodes[4].core->raft).leader, 1);
    EXPECT_OK(give_offer(4, 1, 1000, 1, 1, DUMP_BYTES + 1));
    EXPECT(last_wanted(4, 1, &offset, &refused) && refused);
    EXPECT_EQ(dump_transfer_too_large(nodes[4].transfer), 1000);
    end();
}

static void test_of_more_dissent_than_members_there_is_room_for_no_more_is_taken(void)
{
    Peer__Dissent bodies[100];

    begin_hostile();
    dissent_count = 100;
    for (size_t i = 0; i < dissent_count; i++) {
        peer__dissent__init(&bodies[i]);
        bodies[i].member = i;
        dissents[i] = &bodies[i];
    }
    EXPECT_OK(give_offer(4, 2, 1000, 1, 1, 5000));
    EXPECT(dump_transfer_status(nodes[4].transfer).receiving);
    dissent_count = 0;
    end();
}

static void test_chunks_that_do_not_fit_close_the_link_and_lose_nothing(void)
{
    static const struct {
        uint64_t offset;
        size_t size;
    } wrong[] = {{0, 10},          {999, 10},    {1001, 10},
                 {1000, 0},        {1000, 4001}, {1000, DUMP_CHUNK_BYTES_MAX + 1},
                 {UINT64_MAX, 10}, {5000, 1}};
    uint64_t offset;
    bool refused;

    begin_hostile();
    EXPECT_EQ(give_chunk(4, 2, 0, 10), STATUS_INVALID);
    EXPECT_OK(give_offer(4, 2, 1000, 1, 1, 5000));
    EXPECT(last_wanted(4, 2, &offset, &refused) && offset == 0 && !refused);
    EXPECT_OK(give_chunk(4, 2, 0, 1000));
    EXPECT_EQ(give_chunk(4, 3, 1000, 10), STATUS_INVALID);
    EXPECT(dump_transfer_status(nodes[4].transfer).receiving);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        EXPECT_EQ(give_chunk(4, 2, wrong[i].offset, wrong[i].size), STATUS_INVALID);
        EXPECT(!dump_transfer_status(nodes[4].transfer).receiving);
        dump_transfer_on_bulk_down(nodes[4].transfer, cluster->now, 2);
        EXPECT_OK(give_offer(4, 2, 1000, 1, 1, 5000));
        EXPECT(last_wanted(4, 2, &offset, &refused) && offset == 1000 && !refused);
    }
    EXPECT_EQ(nodes[4].written, 1000);
    /* Another dump begins anew. */
    EXPECT_OK(give_offer(4, 2, 1000, 1, 1, 6000));
    EXPECT(last_wanted(4, 2, &offset, &refused) && offset == 0 && !refused);
    EXPECT_EQ(file_count(), 1); /* the leader's own */
    end();
}

static void test_only_a_newer_leader_replaces_a_transfer(void)
{
    uint64_t offset;
    bool refused;

    begin_hostile();
    link_up[3][4] = true;
    EXPECT_OK(give_offer(4, 2, 1000, 1, 5, 5000));
    EXPECT(last_wanted(4, 2, &offset, &refused) && !refused);
    EXPECT_OK(give_offer(4, 3, 1000, 1, 5, 5000));
    EXPECT(last_wanted(4, 3, &offset, &refused) && refused);
    EXPECT_OK(give_chunk(4, 2, 0, 1000));
    EXPECT_OK(give_offer(4, 3, 1000, 1, 6, 5000));
    EXPECT(last_wanted(4, 2, &offset, &refused) && refused);
    EXPECT(last_wanted(4, 3, &offset, &refused) && !refused && offset == 1000);
    /* What the old one still had under way is passed over. */
    EXPECT_OK(give_chunk(4, 2, 1000, 1000));
    EXPECT_EQ(nodes[4].written, 1000);
    EXPECT_OK(give_chunk(4, 3, 1000, 1000));
    EXPECT_EQ(nodes[4].written, 2000);
    end();
}

static void test_a_receiving_server_does_not_campaign(void)
{
    struct raft_status status;

    begin(false);
    link_up[3][2] = true;
    silent[3] = true;
    EXPECT_OK(give_offer(2, 3, 1000, 1, 9, 5000));
    cut(2, true);
    run(DUMP_PROGRESS_TIMEOUT_US - SECOND);
    status = raft_status(nodes[2].core->raft);
    EXPECT_EQ(status.leader, 0);
    EXPECT_EQ(status.role, RAFT_FOLLOWER);
    run(4 * SECOND);
    status = raft_status(nodes[2].core->raft);
    EXPECT(status.role != RAFT_FOLLOWER);
    end();
}

static void test_messages_that_no_transfer_expects_are_invalid(void)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;

    begin_hostile();
    EXPECT_EQ(give(4, 2, &message), STATUS_INVALID);
    EXPECT_EQ(give_wanted(4, 2, 0), STATUS_INVALID);
    EXPECT_EQ(give_received(4, 2, 0, false), STATUS_INVALID);
    EXPECT_EQ(give_wanted(1, 9, 0), STATUS_INVALID);
    end();
}

/* The leader's transfer to node 4 stands at the offer, and node 4 is played by the test. */
static void begin_offered(void)
{
    begin(false);
    silent[4] = true;
    while (!connected(1, 4)) {
        step();
    }
    run(SECOND);
    EXPECT_EQ(dump_transfer_status(nodes[1].transfer).sending, 1);
}

static void test_hostile_receivers_end_their_transfer_only(void)
{
    begin_offered();
    EXPECT_EQ(give_wanted(1, 4, DUMP_BYTES + 1), STATUS_INVALID);
    EXPECT_EQ(give_wanted(1, 4, 0), STATUS_INVALID);
    end();

    begin_offered();
    EXPECT_EQ(give_received(1, 4, 0, false), STATUS_INVALID);
    end();

    begin_offered();
    EXPECT_OK(give_wanted(1, 4, 0));
    EXPECT_EQ(nodes[1].reads, DUMP_WINDOW_CHUNKS);
    EXPECT_EQ(give_wanted(1, 4, 0), STATUS_INVALID);
    end();

    begin_offered();
    EXPECT_OK(give_wanted(1, 4, 0));
    EXPECT_OK(give_received(1, 4, DUMP_CHUNK_BYTES, false));
    EXPECT_EQ(give_received(1, 4, DUMP_CHUNK_BYTES - 1, false), STATUS_INVALID);
    end();

    begin_offered();
    EXPECT_OK(give_wanted(1, 4, 0));
    EXPECT_EQ(give_received(1, 4, DUMP_BYTES, true), STATUS_INVALID);
    end();

    begin_offered();
    EXPECT_OK(give_wanted(1, 4, DUMP_BYTES));
    EXPECT_EQ(nodes[1].reads, 0);
    EXPECT_OK(give_received(1, 4, DUMP_BYTES, true));
    silent[4] = false;
    EXPECT(run_until_installed(4, 20 * SECOND));
    end();
}

static void test_the_window_bounds_what_is_under_way(void)
{
    begin_offered();
    EXPECT_OK(give_wanted(1, 4, 0));
    EXPECT_EQ(nodes[1].reads, DUMP_WINDOW_CHUNKS);
    run(SECOND);
    EXPECT_EQ(nodes[1].reads, DUMP_WINDOW_CHUNKS);
    EXPECT_OK(give_received(1, 4, DUMP_CHUNK_BYTES, false));
    EXPECT_EQ(nodes[1].reads, DUMP_WINDOW_CHUNKS + 1);
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_hostile_offers_are_refused),
        TEST_CASE(test_only_of_the_leader_a_dump_is_remembered_as_too_large),
        TEST_CASE(test_of_more_dissent_than_members_there_is_room_for_no_more_is_taken),
        TEST_CASE(test_chunks_that_do_not_fit_close_the_link_and_lose_nothing),
        TEST_CASE(test_only_a_newer_leader_replaces_a_transfer),
        TEST_CASE(test_a_receiving_server_does_not_campaign),
        TEST_CASE(test_messages_that_no_transfer_expects_are_invalid),
        TEST_CASE(test_hostile_receivers_end_their_transfer_only),
        TEST_CASE(test_the_window_bounds_what_is_under_way),
        TEST_END};

    return test_main("dump_transfer_hostile", cases, argc, argv);
}
