/* Three voters, of which this one and its leader hold different states: what it makes of what they
 * tell, of a third that says nothing, and of damage. */
#include "server/node/node_agreement.h"

#include "server/node/node_status.h"
#include "tests/unit/node/node_lab.h"

enum { THIRD = 3, TERM = 2, BEAT_US = 200 * 1000 };

#define SECOND UINT64_C(1000000)

/* What a member is heard to tell, over and over. */
struct teller {
    bool is_silent;
    bool is_wrong; /* another digest than this server has */
    bool is_borrowed;
    bool is_damaged;
    raft_id disputes_with; /* 0 = nobody */
    zxid ahead;            /* of the first zxid, which is all that is here; it names that */
};

static struct teller leader;
static struct teller third;

static void hear_from(raft_id id, const Peer__PeerMessage *message)
{
    struct buffer packed = BUFFER_INIT;

    peer_codec_pack(message, &packed);
    EXPECT_OK(node_on_peer_message(lab.node, id, buffer_lend(&packed)));
    buffer_release(&packed);
}

/* The leader is there, and the first entry committed. */
static void beat(void)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__RaftMessage body = PEER__RAFT_MESSAGE__INIT;

    body.type = RAFT_APPEND;
    body.term = TERM;
    body.index = 1;
    body.index_term = 1;
    body.commit = 1;
    message.body_case = PEER__PEER_MESSAGE__BODY_RAFT;
    message.raft = &body;
    hear_from(PEER, &message);
}

static void tell(raft_id id, const struct teller *teller)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__NodeReport report;
    struct state_digest digest = state_digest(lab.node->state);
    uint64_t disputes = teller->disputes_with;

    if (teller->is_silent) {
        return;
    }
    peer__node_report__init(&report);
    report.applied = 1 + teller->ahead;
    report.last = 1 + teller->ahead;
    report.term = TERM;
    report.repair_from = teller->is_damaged;
    report.disputes = &disputes;
    report.n_disputes = disputes != 0;
    if (!teller->is_damaged) {
        report.digest_zxid = 1 + teller->ahead;
        report.digest_count = digest.record_count;
        report.digest_sum = digest.sum + teller->is_wrong;
        report.digest_borrowed = teller->is_borrowed;
    }
    message.body_case = PEER__PEER_MESSAGE__BODY_NODE_REPORT;
    message.node_report = &report;
    hear_from(id, &message);
}

static void listen(uint64_t us)
{
    for (uint64_t until_us = lab.now_us + us; lab.now_us < until_us;) {
        beat();
        tell(PEER, &leader);
        tell(THIRD, &third);
        run(BEAT_US);
    }
}

/* The leader has another state, and the third is linked and says nothing. */
static void begin_split(void)
{
    begin(3);
    leader = (struct teller){.is_wrong = true};
    third = (struct teller){.is_silent = true};
    node_on_peer_up(lab.node, PEER);
    node_on_peer_up(lab.node, THIRD);
    listen(SECOND);
    EXPECT_EQ(lab.node->status.leader, PEER);
    EXPECT_EQ(lab.node->told.zxid, 1);
}

static void test_a_difference_is_left_to_the_third_for_a_moment(void)
{
    begin_split();
    EXPECT(!node_is_disputed(lab.node));
    third.is_silent = false;
    listen(10 * SECOND);
    EXPECT(!node_is_disputed(lab.node));
    EXPECT_EQ(lab.node->agreed_zxid, 1);
    end();
}

static void test_a_member_that_stands_still_hides_no_dispute(void)
{
    begin_split();
    listen(4 * SECOND);
    EXPECT(node_disputes_with(lab.node, PEER));
    EXPECT(!node_disputes_with(lab.node, THIRD));
    /* It comes to itself. */
    third.is_silent = false;
    listen(SECOND);
    EXPECT(!node_is_disputed(lab.node));
    EXPECT_EQ(lab.node->agreed_zxid, 1);
    end();
}

static void test_a_difference_that_passes_is_waited_for_anew(void)
{
    begin_split();
    leader.is_wrong = false;
    listen(4 * SECOND);
    leader.is_wrong = true;
    listen(2 * SECOND);
    EXPECT(!node_is_disputed(lab.node));
    listen(3 * SECOND);
    EXPECT(node_disputes_with(lab.node, PEER));
    end();
}

static void test_damage_of_who_differs_makes_a_copy_no_majority(void)
{
    begin_split();
    leader = (struct teller){.is_borrowed = true};
    third = (struct teller){.is_wrong = true};
    listen(2 * SECOND);
    EXPECT(node_disputes_with(lab.node, THIRD));
    third.is_damaged = true;
    listen(30 * SECOND);
    EXPECT(node_disputes_with(lab.node, THIRD));
    EXPECT_EQ(lab.node->agreed_zxid, 0);
    leader.is_borrowed = false;
    listen(SECOND);
    EXPECT(!node_is_disputed(lab.node));
    EXPECT_EQ(lab.node->agreed_zxid, 1);
    end();
}

static void test_who_is_damaged_itself_goes_on_differing_and_says_so(void)
{
    const Peer__PeerMessage *sent;
    char trouble[NODE_TROUBLE_BYTES];
    struct error error;

    begin_split();
    listen(4 * SECOND);
    (void)error_set(&error, STATUS_CORRUPT, "a record is damaged");
    node_damage_found(lab.node, &error);
    listen(2 * SECOND);
    EXPECT(node_is_condemned(lab.node));
    EXPECT(node_disputes_with(lab.node, PEER));
    sent = last_sent(PEER__PEER_MESSAGE__BODY_NODE_REPORT);
    EXPECT(sent != NULL && sent->node_report->n_disputes == 1);
    EXPECT(sent != NULL && sent->node_report->repair_from == 1);
    node_status_trouble(lab.node, trouble);
    EXPECT_CONTAINS(trouble, "server 2 had another");
    end();
}

static void test_status_says_whose_copy_it_is_and_the_way_out(void)
{
    char trouble[NODE_TROUBLE_BYTES];

    begin_split();
    lab.node->is_borrowed = true; /* as by a dump of the third */
    lab.node->lender = THIRD;
    node_status_trouble(lab.node, trouble);
    EXPECT_TEXT(trouble, "");
    listen(4 * SECOND);
    node_status_trouble(lab.node, trouble);
    EXPECT_CONTAINS(trouble, "a copy of that of server 3");
    EXPECT_CONTAINS(trouble, "is held by server 2, and no majority says who is wrong");
    EXPECT_CONTAINS(trouble, "remove-member");
    end();
}

static void test_a_majority_that_differs_ends_the_dispute(void)
{
    begin_split();
    listen(4 * SECOND);
    third = (struct teller){.is_wrong = true};
    listen(SECOND);
    EXPECT(node_is_condemned(lab.node));
    EXPECT(!node_is_disputed(lab.node));
    end();
}

static void test_who_cannot_come_to_where_the_leader_is_tells_what_it_has(void)
{
    const Peer__PeerMessage *sent;

    begin_split();
    leader = (struct teller){.ahead = 1000};
    listen(2 * SECOND);
    sent = last_sent(PEER__PEER_MESSAGE__BODY_NODE_REPORT);
    EXPECT(sent != NULL && sent->node_report->digest_zxid == 1);
    EXPECT(sent != NULL && sent->node_report->digest_sum == state_digest(lab.node->state).sum);
    end();
}

static void test_what_came_with_a_state_ends_with_the_dispute_of_whom_it_is_from(void)
{
    begin_split();
    leader = (struct teller){.is_wrong = false};
    lab.node->split_us = 0;
    lab.node->lender = PEER;
    lab.node->is_borrowed = true; /* two that hold the same are no majority */
    lab.node->dispute.dissent[0] =
        (struct dissent){.id = THIRD, .at = 1, .is_borrowed = true, .is_inherited = true};
    lab.node->dispute.count = 1;
    listen(SECOND); /* it may not have heard of it yet */
    EXPECT(node_disputes_with(lab.node, THIRD));
    leader.disputes_with = THIRD;
    listen(SECOND);
    EXPECT(node_disputes_with(lab.node, THIRD));
    leader = (struct teller){.is_damaged = true}; /* and forgot what it had */
    listen(SECOND);
    EXPECT(node_disputes_with(lab.node, THIRD));
    leader = (struct teller){.is_wrong = false};
    listen(SECOND);
    EXPECT(!node_is_disputed(lab.node));
    end();
}

/* The core is not asked: who leads, and where its log begins, is what the turn before found. */
static void lag_behind_this_leader(bool is_wrong)
{
    struct state_digest digest = state_digest(lab.node->state);

    lab.node->status.role = RAFT_LEADER;
    lab.node->status.term = TERM;
    lab.node->status.log_base = 2;
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        struct member_report *report = &lab.node->reports[i];

        if (report->id == THIRD) {
            report->has_reported = true;
            report->applied = 1;
            report->told.zxid = 1;
            report->told.digest = digest;
            report->told.digest.sum += is_wrong;
        } else {
            report->told.zxid = 0;
        }
    }
    lab.node->voices_are_new = true;
    lab.node->dumps_wanted_us = 1; /* it names nothing meanwhile */
    node_agreement_tick(lab.node);
}

static void test_a_leader_gives_nothing_to_who_lags_and_differs_there(void)
{
    begin_split();
    lag_behind_this_leader(false);
    EXPECT(!node_is_disputed(lab.node));
    EXPECT(node_agreement_may_replace(lab.node, THIRD));
    lag_behind_this_leader(true);
    EXPECT(node_disputes_with(lab.node, THIRD));
    EXPECT(!node_agreement_may_replace(lab.node, THIRD));
    lag_behind_this_leader(false);
    EXPECT(!node_is_disputed(lab.node));
    /* A majority is with the leader, */
    lab.node->agreed_zxid = 1;
    lab.node->agreed_digest = state_digest(lab.node->state);
    lag_behind_this_leader(true);
    EXPECT(!node_is_disputed(lab.node));
    /* and was with what the leader does not hold any more. */
    lab.node->agreed_digest.sum++;
    lag_behind_this_leader(true);
    EXPECT(node_disputes_with(lab.node, THIRD));
    end();
}

static void test_what_was_seen_here_does_not_end_elsewhere(void)
{
    begin_split();
    leader = (struct teller){.disputes_with = THIRD};
    third = (struct teller){.is_wrong = true};
    lab.node->lender = PEER;
    lab.node->is_borrowed = true;
    listen(4 * SECOND);
    EXPECT(node_disputes_with(lab.node, THIRD));
    leader.disputes_with = 0;
    third.is_silent = true;
    listen(SECOND);
    EXPECT(node_disputes_with(lab.node, THIRD));
    end();
}

/* As after a restart: the link is there before the report that comes on it. */
static void test_who_has_told_nothing_yet_ends_no_dispute(void)
{
    struct member_report *report = NULL;

    begin_split();
    lab.node->dispute.dissent[0] = (struct dissent){.id = THIRD};
    lab.node->dispute.count = 1;
    lab.node->status.log_base = 2;
    node_agreement_tick(lab.node);
    EXPECT(node_disputes_with(lab.node, THIRD));
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        report = lab.node->reports[i].id == THIRD ? &lab.node->reports[i] : report;
    }
    EXPECT(report != NULL);
    report->has_reported = true; /* that it has nothing, and can only come by a dump */
    node_agreement_tick(lab.node);
    EXPECT(!node_is_disputed(lab.node));
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_difference_is_left_to_the_third_for_a_moment),
        TEST_CASE(test_a_member_that_stands_still_hides_no_dispute),
        TEST_CASE(test_a_difference_that_passes_is_waited_for_anew),
        TEST_CASE(test_damage_of_who_differs_makes_a_copy_no_majority),
        TEST_CASE(test_who_is_damaged_itself_goes_on_differing_and_says_so),
        TEST_CASE(test_status_says_whose_copy_it_is_and_the_way_out),
        TEST_CASE(test_a_majority_that_differs_ends_the_dispute),
        TEST_CASE(test_who_cannot_come_to_where_the_leader_is_tells_what_it_has),
        TEST_CASE(test_what_came_with_a_state_ends_with_the_dispute_of_whom_it_is_from),
        TEST_CASE(test_a_leader_gives_nothing_to_who_lags_and_differs_there),
        TEST_CASE(test_what_was_seen_here_does_not_end_elsewhere),
        TEST_CASE(test_who_has_told_nothing_yet_ends_no_dispute),
        TEST_END};

    return test_main("node_agreement", cases, argc, argv);
}
