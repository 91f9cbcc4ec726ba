/* Which change is next on the way to the members that are wanted. */
#include "server/node/reconfiguration.h"

#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

/* Members as texts: "1v 2v 3l", voters and learners, "4v@B" at another address than its own. */
static struct raft_config config;
static struct reconfiguration_server servers[RAFT_MEMBERS_MAX];
static char addresses[RAFT_MEMBERS_MAX][RAFT_ADDRESS_BYTES_MAX];
static raft_id leaving[RAFT_MEMBERS_MAX];
static struct reconfiguration wanted;

struct piece {
    raft_id id;
    bool votes;
    char address[RAFT_ADDRESS_BYTES_MAX];
};

static const char *read_piece(const char *text, struct piece *piece)
{
    unsigned id = 0;
    char role = 0;
    int size = 0;

    text += strspn(text, " ");
    if (sscanf(text, "%u%c%n", &id, &role, &size) < 2) {
        return NULL;
    }
    text += size;
    *piece = (struct piece){.id = id, .votes = role == 'v'};
    (void)snprintf(piece->address, sizeof piece->address, "host%u:1", id);
    if (*text == '@') {
        (void)snprintf(piece->address, sizeof piece->address, "host%c:1", text[1]);
        text += 2;
    }
    return text;
}

static void members_are(const char *text)
{
    struct piece piece;

    memset(&config, 0, sizeof config);
    while ((text = read_piece(text, &piece)) != NULL) {
        struct raft_member *member = &config.members[config.member_count++];

        member->id = piece.id;
        member->flags = piece.votes ? RAFT_VOTER_NEW : RAFT_LEARNER;
        (void)snprintf(member->address, sizeof member->address, "%s", piece.address);
    }
    EXPECT_OK(raft_config_validate(&config));
}

static void join(const char *text)
{
    struct piece piece;

    wanted = (struct reconfiguration){.servers = servers};
    while ((text = read_piece(text, &piece)) != NULL) {
        (void)snprintf(addresses[wanted.server_count], sizeof addresses[0], "%s", piece.address);
        servers[wanted.server_count] = (struct reconfiguration_server){
            .id = piece.id, .address = addresses[wanted.server_count], .votes = piece.votes};
        wanted.server_count++;
    }
}

/* Called after join. */
static void leave(raft_id id)
{
    wanted.leaving = leaving;
    leaving[wanted.leaving_count++] = id;
}

static struct reconfiguration_step next(void)
{
    struct reconfiguration_step step = {.kind = RECONFIGURATION_DONE};
    struct error error;

    EXPECT_OK(reconfiguration_next(&config, &wanted, &step, &error));
    return step;
}

/* "add 4", "change 1,2,4", "remove 3", "done" */
static void expect_next(const char *expected)
{
    struct reconfiguration_step step = next();
    char told[128] = "done";
    size_t size = 0;

    if (step.kind == RECONFIGURATION_ADD) {
        (void)snprintf(told, sizeof told, "add %u at %s", (unsigned)step.id, step.address);
    } else if (step.kind == RECONFIGURATION_REMOVE) {
        (void)snprintf(told, sizeof told, "remove %u", (unsigned)step.id);
    } else if (step.kind == RECONFIGURATION_CHANGE) {
        for (size_t i = 0; i < step.voter_count; i++) {
            size += (size_t)snprintf(told + size, sizeof told - size, "%s%u",
                                     i == 0 ? "change " : ",", (unsigned)step.voters[i]);
        }
        (void)snprintf(told + size, sizeof told - size, "%s",
                       step.has_new_voters ? " with new ones" : "");
    }
    EXPECT_TEXT(told, expected);
}

static void expect_illegal(const char *words)
{
    struct reconfiguration_step step;
    struct error error;

    EXPECT_EQ(reconfiguration_next(&config, &wanted, &step, &error), STATUS_INVALID);
    EXPECT_CONTAINS(error.text, words);
}

static void test_nothing_wanted_is_done(void)
{
    members_are("1v 2v 3l");
    join("");
    expect_next("done");
    join("2v 3l");
    expect_next("done");
}

static void test_a_voter_comes_as_a_learner_first(void)
{
    members_are("1v 2v");
    join("3v");
    expect_next("add 3 at host3:1");
    members_are("1v 2v 3l");
    expect_next("change 1,2,3 with new ones");
    members_are("1v 2v 3v");
    expect_next("done");
}

static void test_an_observer_stays_a_learner(void)
{
    members_are("1v");
    join("2l");
    expect_next("add 2 at host2:1");
    members_are("1v 2l");
    expect_next("done");
}

static void test_all_voters_change_in_one_step(void)
{
    members_are("1v 2v 3v 4l 5l");
    join("4v 5v");
    leave(1);
    leave(2);
    leave(9);
    expect_next("change 3,4,5 with new ones");
    members_are("3v 4v 5v");
    expect_next("done");
}

static void test_learners_leave_by_themselves(void)
{
    members_are("1v 2l");
    join("");
    leave(2);
    expect_next("remove 2");
    members_are("1v");
    expect_next("done");
}

static void test_who_leaves_and_joins_stays(void)
{
    members_are("1v 2v");
    join("2v");
    leave(2);
    expect_next("done");
}

static void test_whoever_is_not_among_all_leaves(void)
{
    members_are("1v 2v 3l");
    join("1v 4v");
    wanted.replaces = true;
    expect_next("add 4 at host4:1");
    members_are("1v 2v 3l 4l");
    expect_next("change 1,4 with new ones");
    members_are("1v 3l 4v");
    expect_next("remove 3");
    members_are("1v 4v");
    expect_next("done");
}

static void test_a_member_moves_by_leaving_and_coming_again(void)
{
    members_are("1v 2v 3v");
    join("3v@B");
    expect_next("change 1,2");
    members_are("1v 2v");
    expect_next("add 3 at hostB:1");
    members_are("1v 2v 3l@B");
    expect_next("change 1,2,3 with new ones");
    members_are("1v 2v 3v@B");
    expect_next("done");
    members_are("1v 2v 3l");
    expect_next("remove 3");
}

static void test_two_members_may_change_places(void)
{
    members_are("1v 2v 3v");
    join("2v@3 3v@2");
    expect_next("change 1");
    members_are("1v");
    expect_next("add 2 at host3:1");
}

static void test_a_server_waits_for_the_address_that_another_leaves(void)
{
    members_are("1v 2l@B");
    join("3l@B");
    leave(2);
    expect_next("remove 2");
    members_are("1v");
    expect_next("add 3 at hostB:1");
}

static void test_a_voter_becomes_a_learner_by_leaving_and_coming_again(void)
{
    members_are("1v 2v 3v");
    join("3l");
    expect_next("change 1,2");
    members_are("1v 2v");
    expect_next("add 3 at host3:1");
    members_are("1v 2v 3l");
    expect_next("done");
}

static void test_who_carries_it_out_leaves_last(void)
{
    members_are("1v 2v 3l 4l");
    join("2v 5v");
    wanted.replaces = true;
    wanted.self = 1;
    expect_next("add 5 at host5:1");
    members_are("1v 2v 3l 4l 5l");
    expect_next("remove 3");
    members_are("1v 2v 5l");
    expect_next("change 2,5 with new ones");
    wanted.self = 3;
    members_are("2v 3l 4l 5v");
    expect_next("remove 4");
    members_are("2v 3l 5v");
    expect_next("remove 3");
}

static void test_who_carries_it_out_cannot_come_again(void)
{
    members_are("1v 2v");
    join("1l");
    wanted.self = 1;
    expect_illegal("server 1 itself would have to leave and to come again");
    join("1v@B");
    wanted.self = 1;
    expect_illegal("ask another one");
    wanted.self = 2;
    expect_next("change 2");
}

static void test_of_a_server_named_twice_the_last_counts(void)
{
    members_are("1v");
    join("2l@A 2v@B");
    expect_next("add 2 at hostB:1");
}

static void test_what_is_no_cluster_is_illegal(void)
{
    members_are("1v 2v");
    join("3v@A 4v@A");
    expect_illegal("servers 3 and 4 have the same address hostA:1");
    join("3v@2");
    expect_illegal("the same address");
    join("");
    leave(1);
    leave(2);
    expect_illegal("0 voters");
    join("3v 4v 5v 6v 7v 8v");
    expect_illegal("8 voters");
    members_are("1v 2l");
    join("1v@B");
    expect_illegal("no voter stays");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_nothing_wanted_is_done),
        TEST_CASE(test_a_voter_comes_as_a_learner_first),
        TEST_CASE(test_an_observer_stays_a_learner),
        TEST_CASE(test_all_voters_change_in_one_step),
        TEST_CASE(test_learners_leave_by_themselves),
        TEST_CASE(test_who_leaves_and_joins_stays),
        TEST_CASE(test_whoever_is_not_among_all_leaves),
        TEST_CASE(test_a_member_moves_by_leaving_and_coming_again),
        TEST_CASE(test_two_members_may_change_places),
        TEST_CASE(test_a_server_waits_for_the_address_that_another_leaves),
        TEST_CASE(test_a_voter_becomes_a_learner_by_leaving_and_coming_again),
        TEST_CASE(test_who_carries_it_out_leaves_last),
        TEST_CASE(test_who_carries_it_out_cannot_come_again),
        TEST_CASE(test_of_a_server_named_twice_the_last_counts),
        TEST_CASE(test_what_is_no_cluster_is_illegal),
        TEST_END};

    return test_main("reconfiguration", cases, argc, argv);
}
