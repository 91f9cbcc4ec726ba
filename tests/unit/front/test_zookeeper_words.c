/* Four-letter words between a socket and a node that the test plays. */
#include "server/front/zookeeper_words.h"

#include "tests/unit/front/front_double.h"
#include "tests/unit/net/net_lab.h"

#include <stdio.h>

static struct lab lab;
static struct zookeeper_front *front;
static struct zookeeper_words *words;
static struct zookeeper_words_options options;
static struct buffer came;

static void begin(const char *list)
{
    struct error error;

    node_double_init();
    options = (struct zookeeper_words_options){
        .server_id = 1,
        .address = "10.0.0.1:2181",
        .data = test_folder(),
        .connections_per_address_max = 60,
        .sessions = {.session_timeout_ms_min = 4000, .session_timeout_ms_max = 40000}};
    EXPECT_OK(zookeeper_words_parse(list, &options.words, &error));
    lab_init(&lab, NULL);
    front = zookeeper_front_new(NULL, &options.sessions);
    words = zookeeper_words_new(NULL, front, &options);
}

static void end(void)
{
    zookeeper_words_free(words);
    zookeeper_front_free(front);
    lab_release(&lab);
    buffer_release(&came);
    node_double_release();
}

/* The whole report, as text. */
static const char *ask(const char *word)
{
    const struct socket_address remote = lab_loopback(1);
    static const struct connection_handler nobody = {.on_frame = NULL};
    struct connection *connection;
    int ends[2];

    lab_socket_pair(ends);
    connection = connection_new(&lab.loop, ends[1], &remote, CONNECTION_PREFACE, &nobody, NULL);
    zookeeper_words_take(words, connection);
    buffer_clear(&came);
    lab_write(&lab, ends[0], bytes_of_text(word));
    LAB_UNTIL(&lab, !lab_read(ends[0], &came));
    (void)close(ends[0]);
    LAB_UNTIL(&lab, lab.loop.count == 0);
    buffer_put_u8(&came, '\0');
    return (const char *)came.data;
}

static void expect_line(const char *report, const char *line)
{
    EXPECT_CONTAINS(report, line);
}

static void make_three_members(void)
{
    node_double.config.member_count = 4;
    for (raft_id id = 1; id <= 4; id++) {
        node_double.config.members[id - 1].id = id;
        node_double.config.members[id - 1].flags = id == 4 ? RAFT_LEARNER : RAFT_VOTER_NEW;
    }
}

static void expect_list(const char *list, const char *error_words)
{
    struct error error = {.text = ""};
    uint32_t bits = 0;
    enum status status = zookeeper_words_parse(list, &bits, &error);

    EXPECT_EQ(status, error_words == NULL ? STATUS_OK : STATUS_INVALID);
    if (error_words != NULL) {
        EXPECT_CONTAINS(error.text, error_words);
    }
}

static void test_lists_name_words_that_there_are(void)
{
    uint32_t all = 0;
    uint32_t some = 0;
    struct error error;

    expect_list("", NULL);
    expect_list("ruok", NULL);
    expect_list("ruok, srvr,,stat  mntr", NULL);
    expect_list("ruok nope", "'nope'");
    expect_list("ruo", "'ruo'");
    expect_list("ruokk", "'ruokk'");
    expect_list("ALL", "'ALL'");
    EXPECT_OK(zookeeper_words_parse("all", &all, &error));
    EXPECT_OK(zookeeper_words_parse("ruok isro envi srvr stat mntr conf wchs wchc wchp cons crst "
                                    "srst dump dirs",
                                    &some, &error));
    EXPECT_EQ(some, all);
}

static void test_a_word_that_is_not_listed_is_refused(void)
{
    begin("ruok");
    EXPECT_TEXT(ask("srvr"), "srvr is not executed because it is not in the whitelist.\n");
    EXPECT_TEXT(ask("ruok"), "imok");
    end();
}

static void test_without_a_leader_only_a_few_words_are_answered(void)
{
    static const char *const refused[] = {"srvr", "stat", "mntr", "conf", "wchs", "wchc",
                                          "wchp", "cons", "crst", "srst", "dump", "dirs"};

    begin("all");
    node_double.raft.leader = 0;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        EXPECT_TEXT(ask(refused[i]), "This ZooKeeper instance is not currently serving requests\n");
    }
    EXPECT_TEXT(ask("ruok"), "imok");
    EXPECT_TEXT(ask("isro"), "null");
    EXPECT_CONTAINS(ask("envi"), "Environment:\nzookeeper.version=3.9");
    node_double.raft.leader = 1;
    EXPECT_TEXT(ask("isro"), "rw");
    end();
}

static void test_the_mode_is_what_the_server_is_to_the_others(void)
{
    begin("all");
    expect_line(ask("srvr"), "\nMode: standalone\nNode count: 4\n");
    EXPECT(strstr(ask("mntr"), "zk_peer_state") == NULL);
    make_three_members();
    node_double.raft.role = RAFT_FOLLOWER;
    expect_line(ask("srvr"), "\nMode: follower\n");
    EXPECT(strstr(ask("srvr"), "Proposal sizes") == NULL);
    expect_line(ask("mntr"), "\nzk_peer_state\tfollowing - broadcast\n");
    EXPECT(strstr(ask("mntr"), "zk_learners") == NULL);
    node_double.raft.role = RAFT_LEADER;
    expect_line(ask("srvr"),
                "\nMode: leader\nNode count: 4\nProposal sizes last/min/max: 36/32/120\n");
    node_double.config.members[0].flags = RAFT_LEARNER;
    node_double.raft.role = RAFT_FOLLOWER;
    expect_line(ask("srvr"), "\nMode: observer\n");
    expect_line(ask("conf"), "\npeerType=1\n");
    end();
}

static void test_the_leader_tells_who_follows(void)
{
    const char *report;

    begin("all");
    make_three_members();
    node_double.raft.role = RAFT_LEADER;
    node_double.leading_us = 5000000;
    node_double.peers[0] =
        (struct raft_peer_status){.id = 2, .active = true, .state = RAFT_PROGRESS_REPLICATE};
    node_double.peers[1] =
        (struct raft_peer_status){.id = 3, .active = true, .state = RAFT_PROGRESS_PROBE};
    node_double.peers[2] =
        (struct raft_peer_status){.id = 4, .active = true, .state = RAFT_PROGRESS_REPLICATE};
    report = ask("mntr");
    expect_line(report, "\nzk_learners\t3\nzk_synced_followers\t1\n"
                        "zk_synced_non_voting_followers\t0\nzk_synced_observers\t1\n"
                        "zk_pending_syncs\t3\nzk_leader_uptime\t5000\nzk_last_proposal_size\t36\n"
                        "zk_max_proposal_size\t120\nzk_min_proposal_size\t32\n");
    node_double.peers[0].active = false;
    expect_line(ask("mntr"), "\nzk_learners\t2\nzk_synced_followers\t0\n");
    end();
}

static void test_nodes_and_their_bytes_are_counted(void)
{
    begin("all");
    expect_line(ask("mntr"), "\nzk_znode_count\t4\n");
    expect_line(ask("mntr"), "\nzk_approximate_data_size\t44\n");
    EXPECT_EQ(state_lab_create(&node_double.lab, "/a", "12345", RECORD__CREATE_MODE__PERSISTENT),
              OP_OK);
    expect_line(ask("mntr"), "\nzk_znode_count\t5\n");
    expect_line(ask("mntr"), "\nzk_approximate_data_size\t51\n");
    expect_line(ask("srvr"), "\nZxid: 0x1\n");
    end();
}

static void test_the_configuration_is_told(void)
{
    const char *report;

    begin("all");
    report = ask("conf");
    EXPECT_EQ(strncmp(report, "clientPort=2181\nsecureClientPort=-1\ndataDir=/", 45), 0);
    expect_line(report, "\ntickTime=2000\nmaxClientCnxns=60\nminSessionTimeout=4000\n"
                        "maxSessionTimeout=40000\nclientPortListenBacklog=-1\nserverId=1\n");
    EXPECT(strstr(report, "membership") == NULL);
    make_three_members();
    expect_line(ask("conf"), "serverId=1\nelectionAlg=3\nelectionPort=2181\nquorumPort=2181\n"
                             "peerType=0\nmembership: \n");
    end();
}

static void test_sizes_of_the_folder_are_those_of_its_files(void)
{
    char path[512];
    const char *report;
    FILE *file;

    begin("all");
    EXPECT_TEXT(ask("dirs"), "datadir_size: 0\nlogdir_size: 0\n");
    (void)snprintf(path, sizeof path, "%s/tree-1", options.data);
    file = fopen(path, "w");
    CHECK(file != NULL);
    CHECK(fputs("something", file) >= 0 && fclose(file) == 0);
    report = ask("dirs");
    EXPECT_CONTAINS(report, "\nlogdir_size: 0\n");
    EXPECT(strncmp(report, "datadir_size: 0\n", 16) != 0);
    end();
}

static void test_read_only_mode_is_told(void)
{
    begin("all");
    zookeeper_words_free(words);
    zookeeper_front_free(front);
    options.sessions.read_only_mode = true;
    front = zookeeper_front_new(NULL, &options.sessions);
    words = zookeeper_words_new(NULL, front, &options);
    node_double.raft.leader = 0;
    node_double.leaderless_us = 10 * 1000 * 1000;
    EXPECT_TEXT(ask("isro"), "ro");
    expect_line(ask("srvr"), "\nREAD-ONLY mode; serving only read-only clients\nLatency");
    expect_line(ask("stat"), "\nMode: read-only\n");
    end();
}

static void test_who_asks_is_among_the_connections(void)
{
    begin("all");
    expect_line(ask("stat"), "\nClients:\n /127.0.0.1:1[0](queued=0,recved=1,sent=0)\n\nLatency");
    EXPECT_TEXT(ask("cons"), " /127.0.0.1:1[0](queued=0,recved=1,sent=0)\n\n");
    EXPECT_TEXT(ask("wchs"), "0 connections watching 0 paths\nTotal watches:0\n");
    EXPECT_TEXT(ask("wchc"), "\n");
    EXPECT_TEXT(ask("crst"), "Connection stats reset.\n");
    EXPECT_TEXT(ask("srst"), "Server stats reset.\n");
    EXPECT_TEXT(ask("dump"), "SessionTracker dump:\nSession Sets (0)/(0):\nephemeral nodes dump:\n"
                             "Sessions with Ephemerals (0):\nConnections dump:\n"
                             "Connections Sets (0)/(0):\n");
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_lists_name_words_that_there_are),
        TEST_CASE(test_a_word_that_is_not_listed_is_refused),
        TEST_CASE(test_without_a_leader_only_a_few_words_are_answered),
        TEST_CASE(test_the_mode_is_what_the_server_is_to_the_others),
        TEST_CASE(test_the_leader_tells_who_follows),
        TEST_CASE(test_nodes_and_their_bytes_are_counted),
        TEST_CASE(test_the_configuration_is_told),
        TEST_CASE(test_sizes_of_the_folder_are_those_of_its_files),
        TEST_CASE(test_read_only_mode_is_told),
        TEST_CASE(test_who_asks_is_among_the_connections),
        TEST_END};

    return test_main("zookeeper_words", cases, argc, argv);
}
