#include "server/node/dump_transfer.h"

#include "base/prng.h"
#include "tests/unit/node/dump_transfer_lab.h"

#include <stdio.h>

static void test_a_follower_behind_the_log_gets_a_dump_and_follows_again(void)
{
    begin(false);
    EXPECT(run_until_installed(4, 10 * SECOND));
    EXPECT_EQ(nodes[1].dumps_made, 1);
    EXPECT_EQ(nodes[4].written, DUMP_BYTES);
    run(2 * SECOND);
    cluster_check_converged(cluster);
    EXPECT_EQ(dump_transfer_status(nodes[1].transfer).sending, 0);
    EXPECT_EQ(nodes[4].installed, 1);
    EXPECT(!connected(1, 4));
    end();
}

static void test_a_dispute_goes_with_the_state_it_is_about(void)
{
    begin(false);
    sent_dispute = (struct dispute){.count = 2, .dissent = {{2, 17, false}, {3, 18, true}}};
    EXPECT(run_until_installed(4, 10 * SECOND));
    EXPECT_EQ(taken_dispute.count, 2);
    EXPECT_EQ(taken_dispute.dissent[0].id, 2);
    EXPECT_EQ(taken_dispute.dissent[0].at, 17);
    EXPECT(!taken_dispute.dissent[0].is_borrowed);
    EXPECT_EQ(taken_dispute.dissent[1].id, 3);
    EXPECT(taken_dispute.dissent[1].is_borrowed);
    end();
}

static void test_a_disputed_state_is_kept_until_the_dispute_is_over(void)
{
    begin(false);
    no_dump_of = 1;
    EXPECT(!run_until_installed(4, 10 * SECOND));
    EXPECT_EQ(nodes[4].written, 0);
    no_dump_of = 0;
    EXPECT(run_until_installed(4, 10 * SECOND));
    end();
}

static void test_one_file_serves_two_followers_and_goes_when_idle(void)
{
    begin(true);
    EXPECT(run_until_installed(3, 10 * SECOND));
    EXPECT(run_until_installed(4, 10 * SECOND));
    EXPECT_EQ(nodes[1].dumps_made, 1);
    EXPECT_EQ(dump_transfer_status(nodes[1].transfer).files, 1);
    run(DUMP_FILE_IDLE_US + 2 * SECOND);
    EXPECT_EQ(dump_transfer_status(nodes[1].transfer).files, 0);
    EXPECT_EQ(file_count(), 0);
    end();
}

static void test_an_interrupted_transfer_goes_on_where_it_stood(void)
{
    begin(false);
    while (nodes[4].written < 2 * DUMP_CHUNK_BYTES) {
        step();
    }
    break_link(1, 4, 0);
    EXPECT(!dump_transfer_status(nodes[4].transfer).receiving);
    EXPECT(run_until_installed(4, 10 * SECOND));
    EXPECT(resumed > 0);
    EXPECT_EQ(nodes[4].written, DUMP_BYTES);
    EXPECT_EQ(nodes[1].dumps_made, 1);
    end();
}

static void test_a_new_leader_goes_on_with_the_part_of_the_old_one(void)
{
    begin(false);
    while (nodes[4].written < 2 * DUMP_CHUNK_BYTES) {
        step();
    }
    EXPECT_OK(raft_transfer(nodes[1].core->raft, cluster->now, 2));
    cluster_touched(nodes[1].core);
    EXPECT(run_until_installed(4, 20 * SECOND));
    EXPECT_EQ(nodes[1].dumps_made, 1);
    EXPECT_EQ(nodes[2].dumps_made, 1);
    EXPECT_EQ(nodes[4].written, DUMP_BYTES);
    end();
}

static void test_a_member_that_refuses_for_a_lasting_reason_is_asked_less_and_less(void)
{
    struct dump_sender_progress progress;
    size_t opens;

    begin(false);
    nodes[4].disk_is_full = true;
    run(60 * SECOND);
    opens = nodes[1].opens;
    EXPECT(opens >= 4 && opens <= 8); /* after 0, 1, 3, 7, 15, 31, 61 seconds */
    progress = dump_transfer_progress(nodes[1].transfer, 4);
    EXPECT(progress.refusal != NULL);
    EXPECT_CONTAINS(progress.refusal, "full");
    EXPECT(dump_transfer_progress(nodes[1].transfer, 2).refusal == NULL);
    run(120 * SECOND);
    EXPECT(nodes[1].opens - opens >= 3 && nodes[1].opens - opens <= 5); /* one in 30 seconds */
    nodes[4].disk_is_full = false;
    EXPECT(run_until_installed(4, 40 * SECOND));
    run(SECOND);
    EXPECT(dump_transfer_progress(nodes[1].transfer, 4).refusal == NULL);
    end();
}

static void test_a_member_that_connects_anew_is_asked_at_once(void)
{
    begin(false);
    nodes[4].disk_is_full = true;
    run(60 * SECOND);
    nodes[4].disk_is_full = false;
    dump_transfer_forgive(nodes[1].transfer, 4);
    EXPECT(run_until_installed(4, 5 * SECOND));
    end();
}

static void test_progress_of_a_transfer_is_told(void)
{
    struct dump_sender_progress progress;

    begin(false);
    do {
        step();
        progress = dump_transfer_progress(nodes[1].transfer, 4);
    } while (progress.done < DUMP_CHUNK_BYTES && nodes[4].installed == 0);
    EXPECT(progress.is_sending);
    EXPECT(progress.refusal == NULL);
    EXPECT_EQ(progress.total, DUMP_BYTES);
    EXPECT(progress.done <= nodes[4].written);
    EXPECT(!dump_transfer_progress(nodes[1].transfer, 2).is_sending);
    end();
}

static void test_losing_leadership_ends_all_transfers(void)
{
    begin(true);
    while (nodes[4].written == 0) {
        step();
    }
    link_cut[2][3] = link_cut[2][4] = true;
    EXPECT_OK(raft_transfer(nodes[1].core->raft, cluster->now, 2));
    cluster_touched(nodes[1].core);
    run(SECOND);
    EXPECT_EQ(dump_transfer_status(nodes[1].transfer).sending, 0);
    EXPECT(!connected(1, 4));
    EXPECT(!dump_transfer_status(nodes[4].transfer).receiving);
    end();
}

static void test_a_full_disk_at_the_receiver_leaves_no_file_and_ends_when_it_has_space(void)
{
    begin(false);
    nodes[4].disk_is_full = true;
    run(5 * SECOND);
    EXPECT_EQ(nodes[4].installed, 0);
    EXPECT_EQ(nodes[4].written, 0);
    nodes[4].disk_is_full = false;
    EXPECT(run_until_installed(4, 10 * SECOND));
    end();
}

static void test_a_full_disk_at_the_leader_is_not_tried_without_pause(void)
{
    begin(false);
    nodes[1].disk_is_full = true;
    run(12 * SECOND);
    EXPECT_EQ(nodes[1].dumps_made, 0);
    EXPECT_EQ(nodes[1].reads, 0);
    nodes[1].disk_is_full = false;
    EXPECT(run_until_installed(4, 10 * SECOND));
    end();
}

static void test_a_tree_other_than_offered_is_removed_and_refused(void)
{
    begin(false);
    nodes[4].damage_tree = true;
    run(3 * SECOND);
    EXPECT_EQ(nodes[4].installed, 0);
    EXPECT(nodes[4].written > DUMP_BYTES);
    EXPECT(!nodes[4].tree.open);
    nodes[4].damage_tree = false;
    EXPECT(run_until_installed(4, 10 * SECOND));
    end();
}

static void test_a_long_build_is_no_silence_and_a_broken_link_does_not_stop_it(void)
{
    begin(false);
    while (nodes[4].written < DUMP_BYTES) {
        step();
    }
    for (size_t i = 0; i < job_count; i++) {
        jobs[i].at_us = cluster->now + 60 * SECOND;
    }
    run(30 * SECOND);
    EXPECT_EQ(dump_transfer_status(nodes[1].transfer).sending, 1);
    EXPECT_EQ(resumed, 0);
    break_link(1, 4, 0);
    run(20 * SECOND);
    EXPECT_EQ(dump_transfer_status(nodes[1].transfer).sending, 1);
    EXPECT(resumed > 0);
    EXPECT(run_until_installed(4, 20 * SECOND));
    EXPECT_EQ(nodes[4].written, DUMP_BYTES);
    end();
}

static void test_a_silent_receiver_is_given_up_and_tried_again(void)
{
    begin(false);
    silent[4] = true;
    run(9 * SECOND);
    EXPECT(connected(1, 4));
    run(3 * SECOND);
    silent[4] = false;
    EXPECT(run_until_installed(4, 20 * SECOND));
    end();
}

static void test_a_silent_sender_is_given_up_and_the_core_may_campaign_again(void)
{
    begin(false);
    while (nodes[4].written < DUMP_CHUNK_BYTES) {
        step();
    }
    silent[1] = true;
    run(9 * SECOND);
    EXPECT(dump_transfer_status(nodes[4].transfer).receiving);
    run(3 * SECOND);
    silent[1] = false;
    EXPECT(run_until_installed(4, 20 * SECOND));
    EXPECT_EQ(nodes[4].written, DUMP_BYTES);
    end();
}

/* A new leader has the entries, and the old one is stopped in the middle of its dump. */
static void test_a_dump_that_entries_overtook_is_given_up(void)
{
    second_keeps_its_log = true;
    begin(false);
    second_keeps_its_log = false;
    while (nodes[4].written < DUMP_CHUNK_BYTES) {
        step();
    }
    silent[1] = true;
    EXPECT_OK(raft_transfer(nodes[1].core->raft, cluster->now, 2));
    cluster_touched(nodes[1].core);
    run(SECOND);
    EXPECT_EQ(raft_status(nodes[2].core->raft).role, RAFT_LEADER);
    EXPECT(raft_status(nodes[4].core->raft).commit_index >= dumped_index);
    EXPECT(!dump_transfer_status(nodes[4].transfer).receiving);
    silent[1] = false;
    run(20 * SECOND);
    EXPECT_EQ(nodes[4].installed, 0);
    EXPECT(nodes[4].written < DUMP_BYTES);
    cluster_check_converged(cluster);
    end();
}

static void test_a_damaged_server_takes_no_dump_that_nobody_vouches_for(void)
{
    begin(false);
    dump_transfer_set_repair(nodes[4].transfer, 1);
    run(5 * SECOND);
    EXPECT(nodes[1].opens > 1); /* it is offered again and again */
    EXPECT_EQ(nodes[1].dumps_made, 1);
    EXPECT_EQ(nodes[4].written, 0);
    dump_transfer_set_repair(nodes[4].transfer, 0);
    EXPECT(run_until_installed(4, 10 * SECOND));
    end();
}

static void test_unreachable_followers_are_tried_again_and_again(void)
{
    begin(false);
    link_cut[1][4] = true;
    run(10 * SECOND);
    EXPECT_EQ(nodes[4].written, 0);
    EXPECT_EQ(nodes[1].dumps_made, 1);
    EXPECT(nodes[1].opens > 5);
    EXPECT(nodes[1].opens < 40);
    link_cut[1][4] = false;
    EXPECT(run_until_installed(4, 10 * SECOND));
    end();
}

static void test_transfers_end_well_whatever_fails_on_the_way(void)
{
    size_t resumes = 0;

    for (uint64_t seed = 1; seed <= 25; seed++) {
        begin(true);
        prng_init(&prng, seed);
        trouble = 40;
        job_us = prng_below(&prng, 3 * SECOND);
        run(60 * SECOND);
        trouble = 0;
        while ((nodes[3].installed == 0 || nodes[4].installed == 0) &&
               cluster->now < 200 * SECOND) {
            step();
        }
        EXPECT_EQ(nodes[3].installed, 1);
        EXPECT_EQ(nodes[4].installed, 1);
        run(2 * SECOND);
        cluster_check_converged(cluster);
        EXPECT_EQ(dump_transfer_status(nodes[1].transfer).sending, 0);
        resumes += resumed;
        end();
    }
    EXPECT(resumes > 10);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_follower_behind_the_log_gets_a_dump_and_follows_again),
        TEST_CASE(test_a_dispute_goes_with_the_state_it_is_about),
        TEST_CASE(test_a_disputed_state_is_kept_until_the_dispute_is_over),
        TEST_CASE(test_one_file_serves_two_followers_and_goes_when_idle),
        TEST_CASE(test_an_interrupted_transfer_goes_on_where_it_stood),
        TEST_CASE(test_a_new_leader_goes_on_with_the_part_of_the_old_one),
        TEST_CASE(test_a_member_that_refuses_for_a_lasting_reason_is_asked_less_and_less),
        TEST_CASE(test_a_member_that_connects_anew_is_asked_at_once),
        TEST_CASE(test_progress_of_a_transfer_is_told),
        TEST_CASE(test_losing_leadership_ends_all_transfers),
        TEST_CASE(test_a_full_disk_at_the_receiver_leaves_no_file_and_ends_when_it_has_space),
        TEST_CASE(test_a_full_disk_at_the_leader_is_not_tried_without_pause),
        TEST_CASE(test_a_tree_other_than_offered_is_removed_and_refused),
        TEST_CASE(test_a_long_build_is_no_silence_and_a_broken_link_does_not_stop_it),
        TEST_CASE(test_a_silent_receiver_is_given_up_and_tried_again),
        TEST_CASE(test_a_silent_sender_is_given_up_and_the_core_may_campaign_again),
        TEST_CASE(test_a_dump_that_entries_overtook_is_given_up),
        TEST_CASE(test_a_damaged_server_takes_no_dump_that_nobody_vouches_for),
        TEST_CASE(test_unreachable_followers_are_tried_again_and_again),
        TEST_CASE(test_transfers_end_well_whatever_fails_on_the_way),
        TEST_END};

    return test_main("dump_transfer", cases, argc, argv);
}
