#include "server/node/progress_board.h"

#include "server/node/peer_codec.h"
#include "tests/scenario/cluster.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- A leader (1), a voter (2) and a learner (3) with real cores --- */

#define SECOND UINT64_C(1000000)

static struct cluster *cluster;
static struct cluster_node *leader;
static struct membership *membership;
static struct dump_transfer *dumps;
static struct progress_board board;
static bool linked[8];

static struct node_identity identity(void *context)
{
    (void)context;
    return (struct node_identity){.id = 1};
}

static bool is_held_back(void *context, raft_id id)
{
    (void)context;
    (void)id;
    return false;
}

static void finish(void *context, void *operation, Client__Response *response)
{
    (void)context;
    (void)operation;
    (void)response;
}

static bool is_linked(const void *context, raft_id member)
{
    (void)context;
    return linked[member];
}

static void run(uint64_t us)
{
    for (uint64_t until = cluster->now + us; cluster->now < until;) {
        cluster_stabilize(cluster);
        cluster_advance(cluster, cluster->now + 10000, true);
    }
}

static void begin(void)
{
    static const struct membership_port membership_port = {
        .identity = identity, .is_held_back = is_held_back, .finish = finish};
    static const struct node_port port = {.context = NULL};
    const struct dump_sender_options sender = {.self = 1};
    const struct dump_receiver_options receiver = {.dump_bytes_max = 1};
    struct raft_options options = raft_options_default(1);
    struct raft_config config;
    struct raft_member learner;
    raft_index index;

    options.log_entries_max = 1024;
    cluster = cluster_new(&options, 1, NULL);
    memset(&config, 0, sizeof config);
    memset(&board, 0, sizeof board);
    for (raft_id id = 1; id <= 3; id++) {
        (void)cluster_add_node(cluster);
        linked[id] = true;
    }
    config.member_count = 2;
    config.members[0] = cluster_member(cluster_find(cluster, 1), RAFT_VOTER_NEW);
    config.members[1] = cluster_member(cluster_find(cluster, 2), RAFT_VOTER_NEW);
    EXPECT_OK(cluster_bootstrap(cluster, cluster_find(cluster, 1), &config));
    EXPECT_OK(cluster_bootstrap(cluster, cluster_find(cluster, 2), &config));
    run(3 * SECOND);
    leader = cluster_find(cluster, raft_status(cluster_find(cluster, 1)->raft).leader);
    EXPECT(leader != NULL);
    learner = cluster_member(cluster_find(cluster, 3), 0);
    EXPECT_OK(raft_add_learner(leader->raft, cluster->now, &learner, &index));
    cluster_touched(leader);
    run(SECOND);
    membership = membership_new(&membership_port, leader->raft, "127.0.0.1:10001");
    dumps = dump_transfer_new(&port, leader->raft, &sender, &receiver);
}

static void end(void)
{
    dump_transfer_free(dumps);
    membership_free(membership);
    cluster_free(cluster);
}

static void set_cut(raft_id id, bool cut)
{
    for (raft_id other = 1; other <= 3; other++) {
        cluster->cut[id][other] = cut && other != id;
        cluster->cut[other][id] = cut && other != id;
    }
}

static void write_entries(size_t count)
{
    EXPECT_OK(cluster_propose(cluster, leader, count, 10));
    run(SECOND / 10);
}

static void gather(void)
{
    const struct progress_sources sources = {.raft = leader->raft,
                                             .self = leader->id,
                                             .dumps = dumps,
                                             .membership = membership,
                                             .is_linked = is_linked};

    progress_board_note_config(&board, raft_config_effective(leader->raft), cluster->now);
    progress_board_gather(&board, &sources, cluster->now);
}

static const struct member_progress *find(raft_id id)
{
    return progress_board_find(&board, leader->id, raft_status(leader->raft).term, id);
}

/* --- Cases --- */

static void test_the_leader_tells_how_each_member_gets_on(void)
{
    begin();
    gather();
    EXPECT(find(leader->id) == NULL);
    EXPECT_TEXT(find(3)->progress, "replicate");
    EXPECT(find(3)->caught_up);
    EXPECT_EQ(find(3)->match, raft_status(leader->raft).last_index);
    EXPECT_TEXT(find(3)->trouble, "");
    EXPECT(!board.change.exists);
    /* Of another leader or term nothing is known. */
    EXPECT(progress_board_find(&board, 3, raft_status(leader->raft).term, 3) == NULL);
    EXPECT(progress_board_find(&board, leader->id, 99, 3) == NULL);
    EXPECT(progress_board_find(&board, 0, 0, 3) == NULL);
    linked[3] = false;
    gather();
    EXPECT_CONTAINS(find(3)->trouble, "no connection");
    linked[3] = true;
    set_cut(3, true);
    run(2 * SECOND);
    gather();
    EXPECT_CONTAINS(find(3)->trouble, "does not answer");
    end();
}

static void test_it_is_seen_whether_a_member_gets_nearer(void)
{
    begin();
    set_cut(3, true);
    run(2 * SECOND);
    write_entries(100);
    gather();
    EXPECT_TEXT(find(3)->trend, "");
    run(3 * SECOND);
    gather();
    EXPECT_TEXT(find(3)->trend, "still");
    write_entries(50);
    run(3 * SECOND);
    gather();
    EXPECT_TEXT(find(3)->trend, "farther");
    gather(); /* asked again soon, it says the same */
    EXPECT_TEXT(find(3)->trend, "farther");
    set_cut(3, false);
    run(3 * SECOND);
    gather();
    EXPECT_TEXT(find(3)->trend, ""); /* it is there */
    EXPECT_EQ(find(3)->match, raft_status(leader->raft).last_index);
    end();
}

static void test_a_joint_change_names_whom_it_waits_for(void)
{
    raft_id voters[] = {1, 2, 3};
    raft_index index;

    begin();
    cluster_find(cluster, 2)->hold_writes = leader->id != 2;
    cluster_find(cluster, 1)->hold_writes = leader->id != 1;
    EXPECT_OK(raft_change_voters(leader->raft, cluster->now, voters, 3, false, false, &index));
    cluster_touched(leader);
    gather();
    run(SECOND);
    gather();
    EXPECT(board.change.exists && board.change.begun);
    EXPECT_EQ(board.change.from_count, 2);
    EXPECT_EQ(board.change.to_count, 3);
    EXPECT_EQ(board.change.to[2], 3);
    EXPECT(cluster->now - board.change.since_us >= SECOND);
    EXPECT_CONTAINS(board.change.waits_for, leader->id == 1 ? "server 2 to" : "server 1 to");
    cluster_find(cluster, 1)->hold_writes = false;
    cluster_find(cluster, 2)->hold_writes = false;
    run(SECOND);
    gather();
    EXPECT(!board.change.exists);
    end();
}

static void test_a_change_that_waits_to_begin_is_told_too(void)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__ChangeMembership change = CLIENT__CHANGE_MEMBERSHIP__INIT;
    uint64_t voters[] = {1, 2, 3};

    begin();
    set_cut(3, true);
    run(2 * SECOND);
    change.voters = voters;
    change.n_voters = 3;
    request.body_case = CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP;
    request.change_membership = &change;
    membership_submit(membership, cluster->now, &request, cluster->now + 60 * SECOND, &board);
    (void)membership_tick(membership, cluster->now);
    run(2 * SECOND);
    gather();
    EXPECT(board.change.exists && !board.change.begun);
    EXPECT_EQ(board.change.from_count, 2);
    EXPECT_EQ(board.change.to_count, 3);
    EXPECT(cluster->now - board.change.since_us >= 2 * SECOND);
    EXPECT_TEXT(board.change.waits_for, "server 3 to catch up");
    end();
}

static void test_promotions_are_remembered_since_they_were_seen(void)
{
    struct raft_config config;
    uint64_t now = 1000;

    memset(&board, 0, sizeof board);
    memset(&config, 0, sizeof config);
    config.member_count = 2;
    config.members[0].id = 1;
    config.members[0].flags = RAFT_VOTER_NEW;
    config.members[1].id = 2;
    config.members[1].flags = RAFT_LEARNER | RAFT_PROMOTE;
    progress_board_note_config(&board, &config, now);
    progress_board_note_config(&board, &config, now + 500);
    EXPECT_EQ(progress_board_promoting_since(&board, 2, now + 900), now);
    EXPECT_EQ(progress_board_promoting_since(&board, 1, now + 900), now + 900);
    config.members[1].flags = RAFT_LEARNER;
    progress_board_note_config(&board, &config, now + 1000);
    config.members[1].flags = RAFT_LEARNER | RAFT_PROMOTE;
    progress_board_note_config(&board, &config, now + 2000);
    EXPECT_EQ(progress_board_promoting_since(&board, 2, now + 2500), now + 2000);
}

static void test_what_the_leader_says_arrives_as_it_was(void)
{
    struct progress_message message;
    struct progress_board copy;
    Peer__NodeReport report;
    uint8_t *packed;
    size_t size;
    Peer__NodeReport *unpacked;

    memset(&board, 0, sizeof board);
    memset(&copy, 0, sizeof copy);
    board.teller = 1;
    board.term = 7;
    board.count = 1;
    board.members[0] = (struct member_progress){.id = 4,
                                                .progress = "dump",
                                                .match = 9,
                                                .rounds = 3,
                                                .dump_bytes = 100,
                                                .dump_bytes_done = 40,
                                                .trend = "nearer",
                                                .trouble = "it refuses the dump: no space"};
    board.change = (struct change_progress){.exists = true,
                                            .begun = true,
                                            .from = {1, 2},
                                            .from_count = 2,
                                            .to = {1, 2, 4},
                                            .to_count = 3,
                                            .since_us = 10 * SECOND,
                                            .waits_for = "server 4 to store it"};
    peer__node_report__init(&report);
    report.term = 7;
    progress_board_fill(&board, 15 * SECOND, &message, &report);
    size = peer__node_report__get_packed_size(&report);
    packed = malloc(size);
    EXPECT(packed != NULL);
    EXPECT_EQ(peer__node_report__pack(&report, packed), size);
    unpacked = peer__node_report__unpack(NULL, size, packed);
    EXPECT(unpacked != NULL);
    progress_board_take(&copy, 100 * SECOND, 1, unpacked);
    EXPECT_EQ(copy.teller, 1);
    EXPECT_EQ(copy.term, 7);
    EXPECT_EQ(copy.count, 1);
    EXPECT_EQ(copy.members[0].id, 4);
    EXPECT_TEXT(copy.members[0].progress, "dump");
    EXPECT_EQ(copy.members[0].match, 9);
    EXPECT_EQ(copy.members[0].rounds, 3);
    EXPECT_EQ(copy.members[0].dump_bytes, 100);
    EXPECT_EQ(copy.members[0].dump_bytes_done, 40);
    EXPECT_TEXT(copy.members[0].trend, "nearer");
    EXPECT_TEXT(copy.members[0].trouble, "it refuses the dump: no space");
    EXPECT_EQ(copy.change.since_us, 95 * SECOND);
    EXPECT_TEXT(copy.change.waits_for, "server 4 to store it");
    EXPECT_EQ(copy.change.to_count, 3);
    EXPECT_EQ(copy.change.to[2], 4);
    peer__node_report__free_unpacked(unpacked, NULL);
    free(packed);
}

static void test_more_than_there_is_room_for_is_cut(void)
{
    static Peer__MemberProgress members[100];
    static Peer__MemberProgress *pointers[100];
    static char text[5000];
    uint64_t ids[50] = {0};
    Peer__ChangeReport change;
    Peer__NodeReport report;

    memset(text, 'x', sizeof text - 1);
    peer__change_report__init(&change);
    memset(&board, 0, sizeof board);
    peer__node_report__init(&report);
    for (size_t i = 0; i < 100; i++) {
        peer__member_progress__init(&members[i]);
        members[i].id = i;
        members[i].progress = text;
        members[i].trend = text;
        members[i].trouble = text;
        pointers[i] = &members[i];
    }
    report.members = pointers;
    report.n_members = 100;
    change.from = ids;
    change.n_from = 50;
    change.to = ids;
    change.n_to = 50;
    change.age_ms = UINT64_MAX;
    change.waits_for = text;
    report.change = &change;
    progress_board_take(&board, 5, 2, &report);
    EXPECT_EQ(board.count, RAFT_MEMBERS_MAX);
    EXPECT_EQ(strlen(board.members[30].trouble), PROGRESS_TROUBLE_BYTES - 1);
    EXPECT_EQ(strlen(board.members[30].progress), PROGRESS_WORD_BYTES - 1);
    EXPECT_EQ(board.change.from_count, RAFT_VOTERS_MAX);
    EXPECT_EQ(board.change.since_us, 0);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_the_leader_tells_how_each_member_gets_on),
        TEST_CASE(test_it_is_seen_whether_a_member_gets_nearer),
        TEST_CASE(test_a_joint_change_names_whom_it_waits_for),
        TEST_CASE(test_a_change_that_waits_to_begin_is_told_too),
        TEST_CASE(test_promotions_are_remembered_since_they_were_seen),
        TEST_CASE(test_what_the_leader_says_arrives_as_it_was),
        TEST_CASE(test_more_than_there_is_room_for_is_cut),
        TEST_END};
    return test_main("progress_board", cases, argc, argv);
}
