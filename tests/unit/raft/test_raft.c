#include "raft/raft.h"

#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One node alone: life, durability, proposals, boot rules. Clusters are in tests/scenario. */

static struct raft_output output;

static struct raft_config config_of(raft_id count)
{
    struct raft_config config;
    memset(&config, 0, sizeof config);
    config.member_count = (uint32_t)count;
    for (raft_id id = 1; id <= count; id++) {
        config.members[id - 1].id = id;
        config.members[id - 1].flags = RAFT_VOTER_NEW;
    }
    return config;
}

static struct raft_options small_options(void)
{
    struct raft_options options = raft_options_default(1);
    options.log_entries_max = 16;
    options.seed = 7;
    return options;
}

static struct raft *new_raft(const struct raft_options *options)
{
    return raft_init(calloc(1, raft_size(options)), options);
}

static struct raft *fresh_with(const struct raft_options *options)
{
    struct raft_boot boot;
    memset(&boot, 0, sizeof boot);
    struct raft *raft = new_raft(options);
    EXPECT_OK(raft_boot(raft, &boot));
    EXPECT_OK(raft_start(raft, 1000));
    return raft;
}

static struct raft *fresh(void)
{
    struct raft_options options = small_options();
    return fresh_with(&options);
}

static void flush(struct raft *raft)
{
    raft_flush(raft, 0, &output); /* time does not go back */
    raft_check(raft);
}

/* A cluster of one that has elected itself and committed its NOOP at index 2. */
static struct raft *alone_with(const struct raft_options *options)
{
    struct raft *raft = fresh_with(options);
    struct raft_config config = config_of(1);
    EXPECT_OK(raft_bootstrap(raft, &config));
    flush(raft);
    raft_persisted(raft, 1000, output.write.seq);
    flush(raft);
    raft_tick(raft, output.next_deadline);
    flush(raft);
    raft_persisted(raft, 1000, output.write.seq);
    flush(raft);
    raft_persisted(raft, 1000, output.write.seq);
    flush(raft);
    EXPECT_EQ(raft_status(raft).role, RAFT_LEADER);
    EXPECT_EQ(output.commit_index, 2);
    return raft;
}

static struct raft *alone(void)
{
    struct raft_options options = small_options();
    return alone_with(&options);
}

static void test_fresh_node_never_campaigns(void)
{
    struct raft *raft = fresh();
    for (int i = 0; i < 10; i++) {
        flush(raft);
        raft_tick(raft, output.next_deadline);
    }
    flush(raft);
    EXPECT_EQ(raft_status(raft).role, RAFT_FOLLOWER);
    EXPECT_EQ(raft_status(raft).term, 0);
    EXPECT_EQ(output.message_count, 0);
    free(raft);
}

static void test_own_vote_counts_only_when_durable(void)
{
    struct raft *raft = fresh();
    struct raft_config config = config_of(1);
    EXPECT_OK(raft_bootstrap(raft, &config));
    flush(raft);
    raft_seq bootstrap = output.write.seq;
    raft_tick(raft, output.next_deadline);
    flush(raft);
    EXPECT_EQ(raft_status(raft).role, RAFT_CANDIDATE);
    EXPECT_EQ(output.write.term, 2);
    EXPECT_EQ(output.write.vote, 1);
    raft_seq vote = output.write.seq;
    raft_persisted(raft, 2000, bootstrap);
    EXPECT_EQ(raft_status(raft).role, RAFT_CANDIDATE);
    raft_persisted(raft, 2000, vote);
    EXPECT_EQ(raft_status(raft).role, RAFT_LEADER);
    raft_check(raft);
    free(raft);
}

static void test_single_voter_commits_only_what_is_durable(void)
{
    struct raft *raft = alone();
    uint32_t sizes[2] = {10, 20};
    raft_index first;
    raft_term term;
    EXPECT_OK(raft_propose(raft, 2000, sizes, 2, &first, &term));
    EXPECT_EQ(first, 3);
    flush(raft);
    EXPECT_EQ(output.commit_index, 2);
    EXPECT_EQ(output.write.entries.first, 3);
    EXPECT_EQ(output.write.entries.last, 4);
    raft_persisted(raft, 2000, output.write.seq);
    flush(raft);
    EXPECT_EQ(output.commit_index, 4);
    EXPECT_EQ(output.write.seq, 0);
    free(raft);
}

static void test_bootstrap_refuses_a_node_with_history(void)
{
    struct raft *raft = alone();
    struct raft_config config = config_of(1);
    EXPECT_EQ(raft_bootstrap(raft, &config), STATUS_CONFLICT);
    free(raft);
    raft = fresh();
    config.members[0].flags = 0;
    EXPECT_EQ(raft_bootstrap(raft, &config), STATUS_INVALID);
    free(raft);
}

static void test_proposals_stop_at_each_limit(void)
{
    struct raft_options options = small_options();
    struct raft *raft = alone();
    uint32_t huge = options.entry_bytes_max + 1;
    raft_index first;
    raft_term term;
    EXPECT_EQ(raft_propose(raft, 2000, &huge, 1, &first, &term), STATUS_LIMIT);
    uint32_t size = 1;
    uint32_t accepted = 0;
    while (raft_propose(raft, 2000, &size, 1, &first, &term) == STATUS_OK) {
        accepted++;
    }
    /* 16 entries, 2 used, a quarter kept free. */
    EXPECT_EQ(accepted, 10);
    EXPECT_EQ(raft_propose(raft, 2000, &size, 1, &first, &term), STATUS_BUSY);
    raft_check(raft);
    flush(raft);
    raft_persisted(raft, 2000, output.write.seq);
    flush(raft);
    raft_trim(raft, output.commit_index);
    EXPECT_OK(raft_propose(raft, 2000, &size, 1, &first, &term));
    raft_check(raft);
    free(raft);
}

static void test_uncommitted_bytes_are_bounded_but_never_block_one_batch(void)
{
    struct raft_options options = small_options();
    options.uncommitted_bytes_max = 100;
    struct raft *raft = alone_with(&options);
    uint32_t size = 500;
    raft_index first;
    raft_term term;
    EXPECT_OK(raft_propose(raft, 2000, &size, 1, &first, &term));
    size = 1;
    EXPECT_EQ(raft_propose(raft, 2000, &size, 1, &first, &term), STATUS_BUSY);
    flush(raft);
    raft_persisted(raft, 2000, output.write.seq);
    flush(raft);
    EXPECT_EQ(raft_status(raft).uncommitted_bytes, 0);
    EXPECT_OK(raft_propose(raft, 2000, &size, 1, &first, &term));
    free(raft);
}

static void test_boot_refuses_what_breaks_the_rules(void)
{
    struct raft_options options = small_options();
    struct raft_boot good;
    memset(&good, 0, sizeof good);
    good.term = 5;
    good.log_base = 10;
    good.log_base_term = 3;
    good.applied_index = 12;
    good.config_index = 4;
    good.config = config_of(3);
    struct raft_boot bad = good;
    bad.log_base = 13;
    struct raft *raft = new_raft(&options);
    EXPECT_EQ(raft_boot(raft, &bad), STATUS_CORRUPT);
    bad = good;
    bad.log_base_term = 6;
    EXPECT_EQ(raft_boot(raft, &bad), STATUS_CORRUPT);
    bad = good;
    bad.config_index = 13;
    EXPECT_EQ(raft_boot(raft, &bad), STATUS_CORRUPT);
    bad = good;
    bad.config.members[0].flags = 0;
    EXPECT_EQ(raft_boot(raft, &bad), STATUS_CORRUPT);
    EXPECT_OK(raft_boot(raft, &good));
    struct raft_entry entry = {.term = 2, .type = RAFT_ENTRY_COMMAND};
    EXPECT_EQ(raft_boot_entry(raft, &entry, NULL), STATUS_CORRUPT);
    entry.term = 6;
    EXPECT_EQ(raft_boot_entry(raft, &entry, NULL), STATUS_CORRUPT);
    entry.term = 3;
    EXPECT_OK(raft_boot_entry(raft, &entry, NULL));
    /* The tail up to the applied index is lost. */
    EXPECT_EQ(raft_start(raft, 0), STATUS_CORRUPT);
    entry.term = 5;
    EXPECT_OK(raft_boot_entry(raft, &entry, NULL));
    EXPECT_OK(raft_start(raft, 0));
    raft_check(raft);
    EXPECT_EQ(raft_status(raft).last_index, 12);
    EXPECT_EQ(raft_status(raft).durable_index, 12);
    free(raft);
}

static void test_boot_refuses_more_entries_than_fit(void)
{
    struct raft_options options = small_options();
    struct raft_boot boot;
    memset(&boot, 0, sizeof boot);
    boot.term = 1;
    struct raft *raft = new_raft(&options);
    EXPECT_OK(raft_boot(raft, &boot));
    struct raft_entry entry = {.term = 1, .type = RAFT_ENTRY_COMMAND};
    for (int i = 0; i < 16; i++) {
        EXPECT_OK(raft_boot_entry(raft, &entry, NULL));
    }
    EXPECT_EQ(raft_boot_entry(raft, &entry, NULL), STATUS_LIMIT);
    free(raft);
}

static void test_boot_takes_a_later_configuration_as_proof_of_the_earlier(void)
{
    struct raft_options options = small_options();
    options.log_entries_max = 64;
    struct raft_boot boot;
    memset(&boot, 0, sizeof boot);
    boot.term = 1;
    struct raft *raft = new_raft(&options);
    EXPECT_OK(raft_boot(raft, &boot));
    struct raft_config config = config_of(3);
    struct raft_entry entry = {.term = 1, .type = RAFT_ENTRY_CONFIG};
    for (int i = 1; i <= 30; i++) {
        config.members[0].address[0] = (char)('a' + i % 20);
        EXPECT_OK(raft_boot_entry(raft, &entry, &config));
    }
    EXPECT_OK(raft_start(raft, 0));
    raft_check(raft);
    EXPECT_EQ(raft_status(raft).commit_index, 29);
    EXPECT_EQ(raft_status(raft).config_index, 30);
    EXPECT(!raft_status(raft).config_committed);
    free(raft);
}

static void test_a_copy_of_the_block_is_a_copy_of_the_core(void)
{
    struct raft_options options = small_options();
    struct raft *raft = alone();
    struct raft *copy = malloc(raft_size(&options));
    memcpy(copy, raft, raft_size(&options));
    uint32_t size = 1;
    raft_index first;
    raft_term term;
    EXPECT_OK(raft_propose(raft, 2000, &size, 1, &first, &term));
    EXPECT_EQ(raft_status(copy).last_index, 2);
    raft_check(copy);
    EXPECT_OK(raft_propose(copy, 2000, &size, 1, &first, &term));
    EXPECT(memcmp(raft, copy, raft_size(&options)) == 0);
    free(raft);
    free(copy);
}

/* Finish the disk's work at once. */
static void settle_disk(struct raft *raft)
{
    flush(raft);
    while (output.write.seq != 0) {
        raft_persisted(raft, 1000, output.write.seq);
        flush(raft);
    }
}

/* A follower of three in term 1 whose entries 1 (the configuration) and 2 are durable. */
static struct raft *follower_with_two_entries(void)
{
    struct raft_options options = small_options();
    struct raft_boot boot;
    struct raft_config config = config_of(3);
    struct raft_entry entry = {.term = 1, .type = RAFT_ENTRY_CONFIG};
    struct raft *raft = new_raft(&options);

    memset(&boot, 0, sizeof boot);
    boot.term = 1;
    EXPECT_OK(raft_boot(raft, &boot));
    EXPECT_OK(raft_boot_entry(raft, &entry, &config));
    entry.type = RAFT_ENTRY_COMMAND;
    EXPECT_OK(raft_boot_entry(raft, &entry, NULL));
    EXPECT_OK(raft_start(raft, 1000));
    settle_disk(raft);
    return raft;
}

/* After a crash a leader of the earlier term could count this node for other entries. */
static void test_nothing_is_applied_before_the_term_that_committed_it_is_durable(void)
{
    struct raft *raft = follower_with_two_entries();
    struct raft_range stored;
    struct raft_message message = {
        .type = RAFT_APPEND,
        .from = 2,
        .to = 1,
        .term = 5,
        .append = {.previous_index = 2, .previous_term = 1, .commit = 2}};

    raft_receive(raft, 2000, &message, &stored);
    flush(raft);
    EXPECT_EQ(raft_status(raft).commit_index, 2);
    EXPECT_EQ(output.write.term, 5);
    EXPECT_EQ(output.commit_index, 0);
    raft_persisted(raft, 2000, output.write.seq);
    flush(raft);
    EXPECT_EQ(output.commit_index, 2);
    free(raft);
}

static void test_a_dump_brings_the_term_of_its_sender(void)
{
    struct raft *raft = follower_with_two_entries();
    struct raft_config config = config_of(3);

    EXPECT_OK(raft_install(raft, 2000, 10, 3, 7, 1, &config));
    flush(raft);
    EXPECT_EQ(raft_status(raft).term, 7);
    EXPECT_EQ(output.write.term, 7);
    EXPECT_EQ(raft_status(raft).last_term, 3);
    free(raft);
}

/* Terms are a number of which there is an end: one message must not use them up. */
static void test_a_term_beyond_belief_changes_nothing(void)
{
    static const enum raft_message_type types[] = {RAFT_VOTE, RAFT_HEARTBEAT, RAFT_APPEND,
                                                   RAFT_HEARTBEAT_RESPONSE};
    struct raft *raft = alone();
    struct raft_config config = config_of(3);
    struct raft_member learner = {.id = 2};
    raft_term present = raft_status(raft).term;
    const raft_term terms[] = {present + RAFT_TERM_STEP_MAX + 1, (UINT64_C(1) << 62) - 1};
    struct raft_range stored;
    struct raft_message message;

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        for (size_t j = 0; j < sizeof terms / sizeof *terms; j++) {
            memset(&message, 0, sizeof message);
            message.type = types[i];
            message.from = 2;
            message.to = 1;
            message.term = terms[j];
            EXPECT_OK(raft_message_validate(&message, 1 << 20));
            EXPECT(!raft_term_is_credible(raft, message.term));
            raft_receive(raft, 3000, &message, &stored);
            flush(raft);
            EXPECT_EQ(raft_status(raft).term, present);
            EXPECT_EQ(raft_status(raft).role, RAFT_LEADER);
        }
    }
    EXPECT_EQ(raft_install(raft, 3000, 10, 3, terms[1], 1, &config), STATUS_INVALID);
    /* As far as that a member may be ahead. */
    EXPECT_OK(raft_add_learner(raft, 3000, &learner, &(raft_index){0}));
    message.type = RAFT_HEARTBEAT;
    message.term = present + RAFT_TERM_STEP_MAX;
    EXPECT(raft_term_is_credible(raft, message.term));
    raft_receive(raft, 3000, &message, &stored);
    EXPECT_EQ(raft_status(raft).term, present + RAFT_TERM_STEP_MAX);
    free(raft);
}

/* What only a liar says, or who has lost what is committed, in every form that is known here. */
static void test_what_cannot_be_is_told_from_what_can(void)
{
    static const struct {
        const char *what;
        bool is_contradiction;
        struct raft_message message;
        struct raft_entry entry; /* of append.entry_count */
    } cases[] = {
        {"a heartbeat of the leader", false, {.type = RAFT_HEARTBEAT, .from = 2, .term = 5}, {0}},
        {"another's in the same term", true, {.type = RAFT_HEARTBEAT, .from = 3, .term = 5}, {0}},
        {"another's of a later term", false, {.type = RAFT_HEARTBEAT, .from = 3, .term = 6}, {0}},
        {"another's of an earlier one", false, {.type = RAFT_APPEND, .from = 3, .term = 4}, {0}},
        {"another's entries in the same term",
         true,
         {.type = RAFT_APPEND, .from = 3, .term = 5},
         {0}},
        {"entries of the leader",
         false,
         {.type = RAFT_APPEND,
          .from = 2,
          .term = 5,
          .append = {.previous_index = 2, .previous_term = 1, .entry_count = 1}},
         {.term = 5, .type = RAFT_ENTRY_COMMAND}},
        {"what is committed once more",
         false,
         {.type = RAFT_APPEND,
          .from = 2,
          .term = 5,
          .append = {.previous_index = 1, .previous_term = 1, .entry_count = 1}},
         {.term = 1, .type = RAFT_ENTRY_COMMAND}},
        {"something else before what comes than what is committed",
         true,
         {.type = RAFT_APPEND,
          .from = 2,
          .term = 5,
          .append = {.previous_index = 2, .previous_term = 4}},
         {0}},
        {"something else in the place of what is committed",
         true,
         {.type = RAFT_APPEND,
          .from = 2,
          .term = 5,
          .append = {.previous_index = 1, .previous_term = 1, .entry_count = 1}},
         {.term = 5, .type = RAFT_ENTRY_COMMAND}},
        {"the same by the leader of a later term",
         true,
         {.type = RAFT_APPEND,
          .from = 3,
          .term = 6,
          .append = {.previous_index = 1, .previous_term = 1, .entry_count = 1}},
         {.term = 5, .type = RAFT_ENTRY_COMMAND}},
        {"something else in the place of what it sent itself",
         true,
         {.type = RAFT_APPEND,
          .from = 2,
          .term = 5,
          .append = {.previous_index = 2, .previous_term = 1, .entry_count = 1}},
         {.term = 4, .type = RAFT_ENTRY_COMMAND}},
        {"a gap",
         false,
         {.type = RAFT_APPEND,
          .from = 2,
          .term = 5,
          .append = {.previous_index = 9, .previous_term = 4}},
         {0}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct raft *raft = follower_with_two_entries();
        struct raft_range stored;
        const struct raft_entry sent = {.term = 5, .type = RAFT_ENTRY_COMMAND};
        struct raft_message message = {.type = RAFT_APPEND,
                                       .from = 2,
                                       .to = 1,
                                       .term = 5,
                                       .append = {.previous_index = 2,
                                                  .previous_term = 1,
                                                  .entry_count = 1,
                                                  .entries = &sent,
                                                  .commit = 2}};

        raft_receive(raft, 2000, &message, &stored);
        settle_disk(raft);
        EXPECT_EQ(raft_status(raft).commit_index, 2);
        EXPECT_EQ(raft_status(raft).last_index, 3);
        message = cases[i].message;
        message.to = 1;
        message.append.entries = message.type == RAFT_APPEND ? &cases[i].entry : NULL;
        EXPECT_OK(raft_message_validate(&message, 1 << 20));
        if (raft_contradicts(raft, &message) != cases[i].is_contradiction) {
            printf("%s:\n", cases[i].what);
        }
        EXPECT_EQ(raft_contradicts(raft, &message), cases[i].is_contradiction);
        if (!cases[i].is_contradiction) {
            raft_receive(raft, 3000, &message, &stored);
            flush(raft);
        }
        free(raft);
    }
}

static void test_a_leader_knows_that_its_term_has_no_other(void)
{
    struct raft *raft = alone();
    struct raft_message message = {
        .type = RAFT_HEARTBEAT, .from = 2, .to = 1, .term = raft_status(raft).term};

    EXPECT(raft_contradicts(raft, &message));
    message.type = RAFT_APPEND;
    EXPECT(raft_contradicts(raft, &message));
    message.type = RAFT_HEARTBEAT_RESPONSE;
    EXPECT(!raft_contradicts(raft, &message));
    free(raft);
}

/* Neither who leads nor who hears a leader: but who hears none learns of a leader that it did not
 * know. */
static void test_a_stranger_ends_no_leadership_by_a_higher_term(void)
{
    enum { STRANGER = 9, HEARD_US = 2000 };
    static const enum raft_message_type types[] = {
        RAFT_HEARTBEAT,          RAFT_APPEND,       RAFT_VOTE,
        RAFT_APPEND_RESPONSE,    RAFT_READ_INDEX,   RAFT_TIMEOUT_NOW,
        RAFT_HEARTBEAT_RESPONSE, RAFT_VOTE_RESPONSE};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct raft *leader = alone();
        struct raft *follower = follower_with_two_entries();
        struct raft_range stored;
        struct raft_message message = {.type = RAFT_HEARTBEAT, .from = 2, .to = 1, .term = 1};
        raft_term term = raft_status(leader).term;

        raft_receive(follower, HEARD_US, &message, &stored);
        message =
            (struct raft_message){.type = types[i], .from = STRANGER, .to = 1, .term = term + 1};
        if (types[i] == RAFT_VOTE) {
            message.vote.last_index = 100;
            message.vote.last_term = term;
            message.vote.transfer = true;
        }
        EXPECT_OK(raft_message_validate(&message, 1 << 20));
        raft_receive(leader, HEARD_US, &message, &stored);
        flush(leader);
        EXPECT_EQ(raft_status(leader).role, RAFT_LEADER);
        EXPECT_EQ(raft_status(leader).term, term);
        raft_receive(follower, HEARD_US, &message, &stored);
        flush(follower);
        EXPECT_EQ(raft_status(follower).leader, 2);
        EXPECT_EQ(raft_status(follower).term, 1);
        raft_receive(follower, HEARD_US + small_options().election_timeout_us, &message, &stored);
        flush(follower);
        EXPECT_EQ(raft_status(follower).term, term + 1);
        free(leader);
        free(follower);
    }
}

/* Removed members are told of it for a while; when there are more than slots, the one that was
 * removed first gives way, and members never do. */
static void test_members_find_a_slot_however_many_left(void)
{
    enum { REMOVED = 12 };
    struct raft_options options = small_options();
    options.log_entries_max = 128;
    struct raft *raft = alone_with(&options);
    struct raft_peer_status status;
    raft_index index;
    for (raft_id id = 2; id <= RAFT_MEMBERS_MAX; id++) {
        struct raft_member member = {.id = id};
        EXPECT_OK(raft_add_learner(raft, 1000, &member, &index));
        settle_disk(raft);
    }
    for (raft_id id = 2; id < 2 + REMOVED; id++) {
        struct raft_member member = {.id = 100 + id};
        EXPECT_OK(raft_remove_learner(raft, 1000, id, &index));
        settle_disk(raft);
        EXPECT_OK(raft_add_learner(raft, 1000, &member, &index));
        settle_disk(raft);
        EXPECT_EQ(raft_peer_status(raft, id, &status), STATUS_NOT_FOUND);
        EXPECT_OK(raft_peer_status(raft, 100 + id, &status));
    }
    for (raft_id id = 2 + REMOVED; id <= RAFT_MEMBERS_MAX; id++) {
        EXPECT_OK(raft_peer_status(raft, id, &status));
    }
    free(raft);
}

static void test_reads_on_a_single_voter_need_no_round(void)
{
    struct raft *raft = alone();
    EXPECT_OK(raft_read(raft, 2000, 77));
    flush(raft);
    EXPECT_EQ(output.read_count, 1);
    EXPECT_EQ(output.reads[0].token, 77);
    EXPECT(output.reads[0].ok);
    EXPECT_EQ(output.reads[0].index, 2);
    free(raft);
}

static void test_full_output_continues_in_the_next_flush(void)
{
    struct raft *raft = alone();
    for (uint64_t token = 1; token <= RAFT_OUTPUT_READS_MAX + 5; token++) {
        EXPECT_OK(raft_read(raft, 2000, token));
    }
    flush(raft);
    EXPECT_EQ(output.read_count, RAFT_OUTPUT_READS_MAX);
    EXPECT(output.more);
    flush(raft);
    EXPECT_EQ(output.read_count, 5);
    EXPECT(!output.more);
    EXPECT_EQ(output.reads[4].token, RAFT_OUTPUT_READS_MAX + 5);
    free(raft);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_fresh_node_never_campaigns),
        TEST_CASE(test_own_vote_counts_only_when_durable),
        TEST_CASE(test_single_voter_commits_only_what_is_durable),
        TEST_CASE(test_bootstrap_refuses_a_node_with_history),
        TEST_CASE(test_proposals_stop_at_each_limit),
        TEST_CASE(test_uncommitted_bytes_are_bounded_but_never_block_one_batch),
        TEST_CASE(test_boot_refuses_what_breaks_the_rules),
        TEST_CASE(test_boot_refuses_more_entries_than_fit),
        TEST_CASE(test_boot_takes_a_later_configuration_as_proof_of_the_earlier),
        TEST_CASE(test_a_copy_of_the_block_is_a_copy_of_the_core),
        TEST_CASE(test_nothing_is_applied_before_the_term_that_committed_it_is_durable),
        TEST_CASE(test_a_dump_brings_the_term_of_its_sender),
        TEST_CASE(test_a_term_beyond_belief_changes_nothing),
        TEST_CASE(test_what_cannot_be_is_told_from_what_can),
        TEST_CASE(test_a_leader_knows_that_its_term_has_no_other),
        TEST_CASE(test_a_stranger_ends_no_leadership_by_a_higher_term),
        TEST_CASE(test_members_find_a_slot_however_many_left),
        TEST_CASE(test_reads_on_a_single_voter_need_no_round),
        TEST_CASE(test_full_output_continues_in_the_next_flush),
        TEST_END};
    return test_main("raft", cases, argc, argv);
}
