/* Changes of the members of a cluster that is there. */
#include "server/node/membership.h"

#include "base/prng.h"
#include "server/node/membership_operation.h"
#include "tests/unit/node/membership_lab.h"

#include <stdlib.h>
#include <string.h>

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

static void test_a_leader_that_was_removed_does_not_say_that_it_is_a_member(void)
{
    raft_id rest[2] = {0};
    size_t count = 0;
    struct server *leaving;
    size_t before;

    make_cluster(3);
    leaving = leader();
    for (raft_id id = 1; id <= 3; id++) {
        if (id != leaving->node->id) {
            rest[count] = id;
            count++;
        }
    }
    EXPECT_EQ(change(rest, 2), CLIENT__CODE__OK);
    EXPECT_EQ(raft_status(leaving->node->raft).role, RAFT_LEADER);
    before = last.count;
    submit_add(leaving, leaving->node->id, leaving->address);
    EXPECT_EQ(finish_of(before), CLIENT__CODE__NO_LEADER);
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

/* Its state is disputed: it can store nothing until somebody has decided. */
static void test_what_would_wait_for_one_in_dispute_is_refused_with_the_way_out(void)
{
    raft_id others[2];
    raft_id voters[3];
    size_t before;

    make_cluster(3);
    others[0] = a_follower();
    others[1] = 6 - leader()->node->id - others[0];
    leader()->held_back = UINT32_C(1) << others[0];
    before = raft_status(leader()->node->raft).last_index;
    EXPECT_EQ(remove_member(others[1]), CLIENT__CODE__CONFLICT);
    EXPECT_CONTAINS(last.text, "before a majority says what is right");
    EXPECT_CONTAINS(last.text, others[0] == 1   ? "remove-member 1 first"
                               : others[0] == 2 ? "remove-member 2 first"
                                                : "remove-member 3 first");
    voters[0] = others[0] < leader()->node->id ? others[0] : leader()->node->id;
    voters[1] = others[0] < leader()->node->id ? leader()->node->id : others[0];
    EXPECT_EQ(change(voters, 2), CLIENT__CODE__CONFLICT);
    EXPECT_CONTAINS(last.text, "these voters are no majority");
    EXPECT_EQ(raft_status(leader()->node->raft).last_index, before);
    /* As is what no majority could commit. */
    leader()->held_back |= UINT32_C(1) << others[1];
    EXPECT_EQ(remove_member(others[0]), CLIENT__CODE__CONFLICT);
    EXPECT_CONTAINS(last.text, "--recover the server that you trust");
    EXPECT_EQ(raft_status(leader()->node->raft).last_index, before);
    /* The way out. */
    leader()->held_back = UINT32_C(1) << others[0];
    EXPECT_EQ(remove_member(others[0]), CLIENT__CODE__OK);
    EXPECT_EQ(remove_member(others[1]), CLIENT__CODE__OK);
    end();
}

/* Alone neither of them would hold it up. */
static void test_one_in_dispute_is_told_of_when_another_is_away_too(void)
{
    raft_id others[4];
    size_t count = 0;

    make_cluster(5);
    for (raft_id id = 1; id <= 5; id++) {
        if (id != leader()->node->id) {
            others[count++] = id;
        }
    }
    leader()->held_back = UINT32_C(1) << others[0];
    set_cut(others[1], true);
    run(5 * SECOND);
    EXPECT_EQ(remove_member(others[2]), CLIENT__CODE__CONFLICT);
    EXPECT_CONTAINS(last.text, "before a majority says what is right");
    set_cut(others[1], false);
    run(5 * SECOND);
    EXPECT_EQ(remove_member(others[2]), CLIENT__CODE__OK);
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

static void test_what_is_given_up_while_it_waits_never_begins(void)
{
    raft_id voters[] = {1, 2, 3, 4};
    raft_id others[] = {1, 2};
    size_t before;

    make_cluster(3);
    before = last.count;
    submit_add(leader(), 4, "127.0.0.1:10004"); /* asks the server first */
    EXPECT(membership_withdraw(leader()->membership, &operation_mark));
    run(SECOND);
    EXPECT_EQ(last.count, before);
    EXPECT_EQ(flags_of(4), 0);
    cut(4, true);
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    before = last.count;
    submit_change(leader(), voters, 4);
    run(SECOND);
    EXPECT(membership_withdraw(leader()->membership, &operation_mark));
    EXPECT(!membership_withdraw(leader()->membership, &operation_mark));
    cut(4, false);
    run(2 * SECOND);
    EXPECT_EQ(last.count, before);
    EXPECT_EQ(flags_of(4), RAFT_LEARNER);
    /* Nor is it in the way of another. */
    EXPECT_EQ(change(others, 2), CLIENT__CODE__OK);
    end();
}

static void test_what_is_given_up_when_it_has_begun_goes_on(void)
{
    raft_id voters[] = {1, 2, 3, 4};

    make_cluster(3);
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    run(SECOND);
    submit_change(leader(), voters, 4);
    (void)membership_tick(leader()->membership, cluster->now);
    EXPECT(raft_config_effective(leader()->node->raft)->joint);
    EXPECT(!membership_withdraw(leader()->membership, &operation_mark));
    EXPECT_EQ(await(), CLIENT__CODE__OK);
    EXPECT_EQ(flags_of(4), RAFT_VOTER_NEW);
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
        TEST_CASE(test_a_fresh_server_becomes_a_learner),
        TEST_CASE(test_learners_that_do_not_fit_are_refused_and_nothing_is_appended),
        TEST_CASE(test_a_wiped_member_must_be_removed_first),
        TEST_CASE(test_only_the_leader_of_a_cluster_takes_changes),
        TEST_CASE(test_leadership_lost_while_asking_ends_with_no_leader),
        TEST_CASE(test_leadership_lost_after_the_append_leaves_the_outcome_unknown),
        TEST_CASE(test_voters_become_exactly_those_named),
        TEST_CASE(test_a_change_for_one_configuration_is_made_to_no_other),
        TEST_CASE(test_the_leader_may_remove_itself),
        TEST_CASE(test_a_leader_that_was_removed_does_not_say_that_it_is_a_member),
        TEST_CASE(test_illegal_sets_of_voters_are_refused),
        TEST_CASE(test_a_voter_to_be_that_lags_is_waited_for_and_named_in_the_end),
        TEST_CASE(test_changes_at_the_same_time_follow_each_other),
        TEST_CASE(test_voters_and_learners_are_removed_and_absent_ones_noted),
        TEST_CASE(test_what_would_wait_for_one_in_dispute_is_refused_with_the_way_out),
        TEST_CASE(test_one_in_dispute_is_told_of_when_another_is_away_too),
        TEST_CASE(test_the_last_voter_stays),
        TEST_CASE(test_leadership_goes_to_the_target_or_to_any_other_voter),
        TEST_CASE(test_transfers_that_cannot_be_are_refused),
        TEST_CASE(test_what_is_given_up_while_it_waits_never_begins),
        TEST_CASE(test_what_is_given_up_when_it_has_begun_goes_on),
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
