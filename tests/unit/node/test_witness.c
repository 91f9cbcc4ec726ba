#include "server/node/witness.h"

#include "tests/support/test.h"

#include <string.h>

/* A data folder as it comes to the door: its starts, and what it holds. Copying it is a backup. */
struct folder {
    raft_id id;
    uint8_t incarnation[RAFT_INCARNATION_BYTES];
    uint64_t start_count;
    uint64_t starts[LOG_STORE_STARTS_MAX];
    uint32_t start_known;
    raft_term term;
    raft_index last;
};

static struct witness_table table;
static struct raft_config config;
static char refusal[ERROR_TEXT_BYTES_MAX];

static struct folder make_folder(raft_id id)
{
    struct folder folder = {.id = id, .term = 1, .last = 1};

    memset(folder.incarnation, (int)id, sizeof folder.incarnation);
    return folder;
}

static void start(struct folder *folder)
{
    static uint64_t drawn;

    memmove(folder->starts + 1, folder->starts,
            (LOG_STORE_STARTS_MAX - 1) * sizeof folder->starts[0]);
    folder->starts[0] = ++drawn;
    folder->start_count++;
    folder->start_known += folder->start_known < LOG_STORE_STARTS_MAX;
}

static Peer__Identity say(struct folder *folder)
{
    Peer__Identity identity = PEER__IDENTITY__INIT;

    identity.id = folder->id;
    identity.incarnation.data = folder->incarnation;
    identity.incarnation.len = sizeof folder->incarnation;
    identity.start_count = folder->start_count;
    identity.starts = folder->starts;
    identity.n_starts = folder->start_known;
    identity.term = folder->term;
    identity.last = folder->last;
    return identity;
}

/* What happens when it connects. */
static bool comes(struct folder *folder)
{
    Peer__Identity identity = say(folder);
    bool is_fine = witness_recognize(&table, &identity, refusal);

    if (is_fine) {
        witness_note_start(&table, &identity, &config);
    }
    return is_fine;
}

static void report(const struct folder *folder, raft_index committed)
{
    witness_note_report(&table, folder->id, folder->starts[0], folder->term, committed);
}

static void begin(void)
{
    witness_table_init(&table, NULL, 0);
    memset(&config, 0, sizeof config);
    refusal[0] = '\0';
}

static void test_a_sound_folder_passes_however_often_it_starts(void)
{
    struct folder folder = make_folder(3);

    begin();
    for (unsigned i = 0; i < 1000; i++) {
        start(&folder);
        /* Seen at each start, then at some, and last after more than it keeps numbers of. */
        if (i < 100 || i % 17 == 0) {
            EXPECT(comes(&folder));
            EXPECT(comes(&folder));
            folder.last += 3;
            folder.term++;
            report(&folder, folder.last);
        }
    }
    for (unsigned i = 0; i < 2 * LOG_STORE_STARTS_MAX; i++) {
        start(&folder);
    }
    EXPECT(comes(&folder));
    EXPECT_EQ(table.count, 1);
}

/* Its log may be cut behind what is committed, and its term stay. */
static void test_a_sound_folder_passes_after_its_uncommitted_end_was_cut(void)
{
    struct folder folder = make_folder(3);

    begin();
    start(&folder);
    folder.last = 20;
    folder.term = 7;
    EXPECT(comes(&folder));
    report(&folder, 10);
    folder.last = 10;
    EXPECT(comes(&folder));
    start(&folder);
    EXPECT(comes(&folder));
}

/* Both ends dial: one handshake carries what the member held when it began, and ends after the
 * other link brought a report of more. */
static void test_a_handshake_that_began_before_a_report_passes(void)
{
    struct folder folder = make_folder(3);
    struct folder then;

    begin();
    start(&folder);
    then = folder;
    EXPECT(comes(&folder));
    folder.last = 200;
    folder.term = 9;
    report(&folder, 200);
    EXPECT(comes(&then));
    EXPECT_EQ(table.witnesses[0].index, 200);
}

static void test_an_old_copy_is_known_however_often_it_was_started(void)
{
    struct folder folder = make_folder(3);
    struct folder copy;

    begin();
    start(&folder);
    EXPECT(comes(&folder));
    copy = folder; /* while it was stopped */
    start(&folder);
    EXPECT(comes(&folder));
    for (unsigned i = 0; i < LOG_STORE_STARTS_MAX; i++) {
        EXPECT(!comes(&copy));
        EXPECT_CONTAINS(refusal, "server 3");
        EXPECT_CONTAINS(refusal, "remove-member 3");
        EXPECT_CONTAINS(refusal, "add-learner --node 3=");
        start(&copy);
        /* Whatever it has learnt of others meanwhile. */
        copy.term += 10;
        copy.last += 10;
    }
    /* The true one is not harmed by that. */
    EXPECT(comes(&folder));
    start(&folder);
    EXPECT(comes(&folder));
}

static void test_a_copy_made_while_it_ran_is_known_by_its_term_and_its_log(void)
{
    struct folder folder = make_folder(3);
    struct folder copy;

    begin();
    start(&folder);
    EXPECT(comes(&folder));
    copy = folder;
    folder.last = 9;
    report(&folder, 9);
    start(&copy);
    EXPECT(!comes(&copy));
    EXPECT_CONTAINS(refusal, "ends at entry 1, 9 was seen");
    copy.last = 9;
    EXPECT(comes(&copy));

    begin();
    folder = make_folder(3);
    start(&folder);
    EXPECT(comes(&folder));
    copy = folder;
    folder.term = 2;
    report(&folder, 1);
    start(&copy);
    EXPECT(!comes(&copy));
    EXPECT_CONTAINS(refusal, "term 1, term 2 was seen");
}

static void test_two_copies_that_run_cannot_both_pass(void)
{
    struct folder folder = make_folder(3);
    struct folder twin;

    begin();
    start(&folder);
    EXPECT(comes(&folder));
    twin = folder;
    start(&folder);
    start(&twin);
    EXPECT(comes(&twin));
    EXPECT(!comes(&folder));
}

static void test_a_folder_of_another_incarnation_is_another_folder(void)
{
    struct folder folder = make_folder(3);
    struct folder fresh = make_folder(3);

    begin();
    start(&folder);
    start(&folder);
    EXPECT(comes(&folder));
    report(&folder, 100);
    fresh.incarnation[0] = 0xff;
    start(&fresh);
    EXPECT(comes(&fresh));
    EXPECT_EQ(table.count, 1);
    EXPECT_EQ(table.witnesses[0].index, 0);
    /* What the folder before it still had to say does not count for this one. */
    report(&folder, 200);
    EXPECT_EQ(table.witnesses[0].index, 0);
    EXPECT(comes(&fresh));
}

/* We may have been restored ourselves: what we forgot is no reason to refuse anybody. */
static void test_an_old_memory_refuses_nobody(void)
{
    struct folder folder = make_folder(3);
    struct witness_table old;

    begin();
    start(&folder);
    EXPECT(comes(&folder));
    report(&folder, 1);
    old = table;
    folder.last = 50;
    folder.term = 4;
    report(&folder, 50);
    start(&folder);
    EXPECT(comes(&folder));
    table = old;
    EXPECT(comes(&folder));
}

static void test_only_news_are_to_be_kept(void)
{
    struct folder folder = make_folder(3);
    struct log_witness kept;

    begin();
    start(&folder);
    EXPECT(comes(&folder));
    EXPECT(table.has_new_start);
    EXPECT(!table.has_news);
    table.has_new_start = false;
    EXPECT(comes(&folder));
    report(&folder, 0);
    EXPECT(!table.has_new_start);
    table.has_news = false;
    report(&folder, 5);
    EXPECT(table.has_news);
    table.has_news = false;
    report(&folder, 4);
    EXPECT(!table.has_news);
    EXPECT_EQ(table.witnesses[0].index, 5);
    /* And it goes on where it was kept. */
    kept = table.witnesses[0];
    witness_table_init(&table, &kept, 1);
    folder.last = 4;
    start(&folder);
    EXPECT(!comes(&folder));
}

/* Strangers with the secret come and go: members keep their places. */
static void test_members_keep_their_places(void)
{
    struct folder folders[LOG_STORE_WITNESSES_MAX + 2];

    begin();
    config.member_count = 2;
    config.members[0].id = 1;
    config.members[1].id = 3;
    for (raft_id id = 1; id <= LOG_STORE_WITNESSES_MAX + 2; id++) {
        folders[id - 1] = make_folder(id);
        start(&folders[id - 1]);
        EXPECT(comes(&folders[id - 1]));
    }
    EXPECT_EQ(table.count, LOG_STORE_WITNESSES_MAX);
    EXPECT_EQ(table.witnesses[0].id, 1);
    EXPECT_EQ(table.witnesses[2].id, 3);
    EXPECT_EQ(table.witnesses[1].id, LOG_STORE_WITNESSES_MAX + 2);
    /* No place at all: it passes, unremembered. */
    config.member_count = LOG_STORE_WITNESSES_MAX;
    for (uint32_t i = 0; i < config.member_count; i++) {
        config.members[i].id = table.witnesses[i].id;
    }
    EXPECT(comes(&folders[1]));
    report(&folders[1], 7);
    EXPECT_EQ(table.count, LOG_STORE_WITNESSES_MAX);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_sound_folder_passes_however_often_it_starts),
        TEST_CASE(test_a_sound_folder_passes_after_its_uncommitted_end_was_cut),
        TEST_CASE(test_a_handshake_that_began_before_a_report_passes),
        TEST_CASE(test_an_old_copy_is_known_however_often_it_was_started),
        TEST_CASE(test_a_copy_made_while_it_ran_is_known_by_its_term_and_its_log),
        TEST_CASE(test_two_copies_that_run_cannot_both_pass),
        TEST_CASE(test_a_folder_of_another_incarnation_is_another_folder),
        TEST_CASE(test_an_old_memory_refuses_nobody),
        TEST_CASE(test_only_news_are_to_be_kept),
        TEST_CASE(test_members_keep_their_places),
        TEST_END,
    };

    return test_main("witness", cases, argc, argv);
}
