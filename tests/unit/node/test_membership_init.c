/* The first configuration: asking for it, and being asked. */
#include "server/node/membership.h"

#include "server/node/config_codec.h"
#include "server/node/membership_operation.h"
#include "tests/unit/node/membership_lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Init --- */

static void test_init_makes_one_cluster_of_all_named(void)
{
    begin();
    EXPECT_EQ(init(2, plain, 3), CLIENT__CODE__OK);
    EXPECT_TEXT(last.text, "");
    EXPECT_EQ(last.member_count, 3);
    EXPECT_EQ(last.config_zxid, 1);
    for (raft_id id = 1; id <= 3; id++) {
        EXPECT_EQ(last.ids[id - 1], id);
        EXPECT_EQ(last.flags[id - 1], RAFT_VOTER_NEW);
        EXPECT_EQ(servers[id].bootstraps, 1);
        EXPECT(memcmp(servers[id].cluster_id, servers[1].cluster_id, NODE_CLUSTER_ID_BYTES) == 0);
        EXPECT_TEXT(raft_config_find(raft_config_effective(servers[id].node->raft), 2)->address,
                    "127.0.0.1:10002");
    }
    run(SECOND);
    cluster_check_converged(cluster);
    end();
}

static void test_init_warns_of_sizes_that_tolerate_nothing_more(void)
{
    static const char *const notes[] = {"1 voter tolerates no failure",
                                        "2 voters tolerate no failure",
                                        "",
                                        "4 voters tolerate no more failures than 3",
                                        "",
                                        "6 voters tolerate no more failures than 5",
                                        ""};

    for (size_t count = 1; count <= 7; count++) {
        begin();
        EXPECT_EQ(init(1, plain, count), CLIENT__CODE__OK);
        EXPECT_CONTAINS(last.text, notes[count - 1]);
        end();
    }
}

static void test_illegal_inits_are_refused_before_anybody_is_asked(void)
{
    static const struct {
        struct named named[3];
        size_t count;
        const char *text;
    } cases[] = {
        {{{2, "127.0.0.1:10002"}}, 1, "not among those named"},
        {{{1, "127.0.0.1:10001"}, {1, "127.0.0.1:10002"}}, 2, "named twice"},
        {{{1, "127.0.0.1:10001"}, {2, "http://127.0.0.1:10001"}}, 2, "same address"},
        {{{0, "127.0.0.1:10002"}, {1, "127.0.0.1:10001"}}, 2, "ids start at 1"},
        {{{1, "127.0.0.1:10001"}, {2, "nowhere"}}, 2, "server 2"},
        {{{1, "127.0.0.1:10001"}, {2, ""}}, 2, "server 2"},
        {{{0, ""}}, 0, "0 servers are named"},
    };

    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        EXPECT_EQ(init(1, cases[i].named, cases[i].count), CLIENT__CODE__BAD_ARGUMENTS);
        EXPECT_CONTAINS(last.text, cases[i].text);
    }
    EXPECT_EQ(init(1, plain, 8), CLIENT__CODE__BAD_ARGUMENTS);
    EXPECT_EQ(probe_count, 0);
    EXPECT_EQ(membership_count(servers[1].membership), 0);
    end();
}

static void test_init_needs_everybody_and_leaves_all_fresh_without(void)
{
    begin();
    servers[3].unreachable = true;
    EXPECT_EQ(init(1, plain, 3), CLIENT__CODE__UNREACHABLE);
    EXPECT_CONTAINS(last.text, "server 3 at 127.0.0.1:10003 does not answer: connection refused");
    run(2 * SECOND);
    for (raft_id id = 1; id <= 3; id++) {
        EXPECT_EQ(servers[id].bootstraps, 0);
    }
    servers[3].unreachable = false;
    EXPECT_EQ(init(1, plain, 3), CLIENT__CODE__OK);
    end();
}

static void test_init_refuses_a_server_that_is_another_or_too_new(void)
{
    begin();
    servers[2].claimed_id = 7;
    EXPECT_EQ(init(1, plain, 3), CLIENT__CODE__REFUSED);
    EXPECT_CONTAINS(last.text, "is server 7, not 2");
    servers[2].claimed_id = 0;
    servers[3].format = NODE_FORMAT + 1;
    EXPECT_EQ(init(1, plain, 3), CLIENT__CODE__REFUSED);
    EXPECT_CONTAINS(last.text, "upgrade this one");
    EXPECT_EQ(servers[1].bootstraps + servers[2].bootstraps + servers[3].bootstraps, 0);
    end();
}

static void test_init_refuses_servers_of_other_clusters_and_names_them(void)
{
    static const struct named other[] = {{3, "127.0.0.1:10003"}, {4, "127.0.0.1:10004"}};
    char hex[MEMBERSHIP_HEX_BYTES];

    begin();
    EXPECT_EQ(init(3, other, 2), CLIENT__CODE__OK);
    EXPECT_EQ(init(1, plain, 3), CLIENT__CODE__CONFLICT);
    membership_operation_hex(servers[3].cluster_id, hex);
    EXPECT_CONTAINS(last.text, "server 3 at 127.0.0.1:10003 already belongs to cluster");
    EXPECT_CONTAINS(last.text, hex);
    EXPECT_EQ(servers[1].bootstraps + servers[2].bootstraps, 0);
    /* And the server of that cluster itself refuses another init. */
    EXPECT_EQ(init(3, plain, 3), CLIENT__CODE__CONFLICT);
    EXPECT_CONTAINS(last.text, "server 3");
    end();
}

static void test_the_same_init_again_succeeds_even_alone(void)
{
    make_cluster(3);
    EXPECT_EQ(init(2, plain, 3), CLIENT__CODE__OK);
    servers[1].unreachable = true;
    servers[3].unreachable = true;
    EXPECT_EQ(init(2, plain, 3), CLIENT__CODE__OK);
    EXPECT_EQ(init(2, plain, 2), CLIENT__CODE__CONFLICT);
    EXPECT_EQ(servers[1].bootstraps, 1);
    EXPECT_EQ(servers[2].bootstraps, 1);
    end();
}

static void test_the_same_init_succeeds_after_the_members_changed(void)
{
    make_cluster(3);
    EXPECT_EQ(add(4, "127.0.0.1:10004"), CLIENT__CODE__OK);
    EXPECT_EQ(init(1, plain, 3), CLIENT__CODE__OK);
    EXPECT_EQ(last.member_count, 4);
    EXPECT_EQ(init(1, plain, 4), CLIENT__CODE__CONFLICT);
    end();
}

static void test_a_broken_init_is_completed_by_the_same_one(void)
{
    begin();
    servers[3].unreachable_for_bootstrap = true;
    EXPECT_EQ(init(1, plain, 3), CLIENT__CODE__UNREACHABLE);
    EXPECT_EQ(servers[2].bootstraps, 1);
    EXPECT_EQ(servers[1].bootstraps, 0);
    servers[3].unreachable_for_bootstrap = false;
    EXPECT_EQ(init(1, plain, 3), CLIENT__CODE__OK);
    run(SECOND);
    cluster_check_converged(cluster);
    end();
}

static void test_a_broken_init_is_completed_even_if_the_others_began_without_us(void)
{
    begin();
    servers[5].unreachable_for_bootstrap = true;
    EXPECT_EQ(init(1, plain, 5), CLIENT__CODE__UNREACHABLE);
    run(5 * SECOND);
    EXPECT(leader() != NULL);
    EXPECT_EQ(servers[1].bootstraps, 0);
    EXPECT(servers[1].has_cluster);
    EXPECT(servers[5].has_cluster);
    servers[5].unreachable_for_bootstrap = false;
    EXPECT_EQ(init(1, plain, 5), CLIENT__CODE__OK);
    EXPECT_EQ(servers[1].bootstraps, 0);
    end();
}

static void test_another_name_for_the_asked_server_is_tried(void)
{
    static const struct named named[] = {{1, "localhost:10001"}, {2, "127.0.0.1:10002"}};
    static const struct named wrong[] = {{1, "localhost:10009"}, {2, "127.0.0.1:10002"}};

    begin();
    EXPECT_EQ(init(1, wrong, 2), CLIENT__CODE__UNREACHABLE);
    EXPECT_EQ(init(1, named, 2), CLIENT__CODE__OK);
    EXPECT_EQ(servers[1].asked, 1);
    end();
}

static void test_a_twin_at_the_name_of_the_asked_server_is_refused(void)
{
    static const struct named named[] = {{1, "127.0.0.1:10002"}, {3, "127.0.0.1:10003"}};

    begin();
    servers[2].claimed_id = 1;
    servers[2].node->incarnation = 9;
    EXPECT_EQ(init(1, named, 2), CLIENT__CODE__REFUSED);
    EXPECT_CONTAINS(last.text, "another server with id 1");
    EXPECT_EQ(servers[3].bootstraps, 0);
    end();
}

static void test_a_silent_server_ends_the_init_at_its_deadline(void)
{
    begin();
    submit_init(1, plain, 3);
    for (size_t i = 0; i < probe_count; i++) {
        free(probes[i].message);
    }
    probe_count = 0;
    EXPECT_EQ(await(), CLIENT__CODE__UNREACHABLE);
    EXPECT_CONTAINS(last.text, "server 2");
    end();
}

/* --- Being asked --- */

static struct raft_config first_config(void)
{
    struct raft_config config;

    memset(&config, 0, sizeof config);
    config.member_count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        config.members[i].id = i + 1;
        config.members[i].flags = RAFT_VOTER_NEW;
        memset(config.members[i].incarnation, (int)(i + 10), RAFT_INCARNATION_BYTES);
        (void)snprintf(config.members[i].address, sizeof config.members[i].address, "a:%u", i + 1);
    }
    return config;
}

static enum membership_bootstrap judge(const struct raft_config *config,
                                       const struct node_identity *identity,
                                       const struct raft_status *status,
                                       bool damage_id,
                                       char refusal[ERROR_TEXT_BYTES_MAX])
{
    Peer__Bootstrap bootstrap = PEER__BOOTSTRAP__INIT;
    struct buffer packed = BUFFER_INIT;
    uint8_t id[NODE_CLUSTER_ID_BYTES];
    uint8_t ret_id[NODE_CLUSTER_ID_BYTES];
    struct raft_config ret_config;
    enum membership_bootstrap verdict;

    config_codec_pack(config, &packed);
    membership_operation_cluster_id(config, id);
    id[15] = damage_id ? (uint8_t)(id[15] + 1) : id[15];
    bootstrap.config = record__config__unpack(NULL, packed.size, packed.data);
    bootstrap.cluster_id.data = id;
    bootstrap.cluster_id.len = sizeof id;
    refusal[0] = '\0';
    verdict =
        membership_check_bootstrap(identity, status, &bootstrap, &ret_config, ret_id, refusal);
    if (verdict == MEMBERSHIP_BOOTSTRAP_WANTED) {
        EXPECT(memcmp(&ret_config, config, sizeof ret_config) == 0);
        EXPECT(memcmp(ret_id, id, sizeof id) == 0);
    }
    EXPECT_EQ(verdict == MEMBERSHIP_BOOTSTRAP_REFUSED, refusal[0] != '\0');
    record__config__free_unpacked(bootstrap.config, NULL);
    buffer_release(&packed);
    return verdict;
}

static void test_bootstrap_is_taken_only_whole_and_only_fresh(void)
{
    struct raft_config config = first_config();
    struct node_identity identity = {.id = 2};
    struct raft_status fresh = {.term = 0};
    struct raft_status used = {.term = 1};
    char refusal[ERROR_TEXT_BYTES_MAX];

    memset(identity.incarnation, 11, sizeof identity.incarnation);
    EXPECT_EQ(judge(&config, &identity, &fresh, false, refusal), MEMBERSHIP_BOOTSTRAP_WANTED);
    EXPECT_EQ(judge(&config, &identity, &fresh, true, refusal), MEMBERSHIP_BOOTSTRAP_REFUSED);
    EXPECT_EQ(judge(&config, &identity, &used, false, refusal), MEMBERSHIP_BOOTSTRAP_REFUSED);
    EXPECT_CONTAINS(refusal, "already holds a log");
    identity.has_cluster = true;
    EXPECT_EQ(judge(&config, &identity, &fresh, false, refusal), MEMBERSHIP_BOOTSTRAP_REFUSED);
    EXPECT_CONTAINS(refusal, "already belongs to cluster 00000000");
    membership_operation_cluster_id(&config, identity.cluster_id);
    EXPECT_EQ(judge(&config, &identity, &fresh, false, refusal), MEMBERSHIP_BOOTSTRAP_WANTED);
    EXPECT_EQ(judge(&config, &identity, &used, false, refusal), MEMBERSHIP_BOOTSTRAP_DONE);
    identity.has_cluster = false;
    identity.incarnation[3]++;
    EXPECT_EQ(judge(&config, &identity, &fresh, false, refusal), MEMBERSHIP_BOOTSTRAP_REFUSED);
    EXPECT_CONTAINS(refusal, "does not name server 2");
    identity.incarnation[3]--;
    identity.id = 3;
    EXPECT_EQ(judge(&config, &identity, &fresh, false, refusal), MEMBERSHIP_BOOTSTRAP_REFUSED);
    identity.id = 2;
    config.members[0].flags = RAFT_LEARNER;
    EXPECT_EQ(judge(&config, &identity, &fresh, false, refusal), MEMBERSHIP_BOOTSTRAP_REFUSED);
}

static void test_malformed_bootstraps_are_refused(void)
{
    struct node_identity identity = {.id = 2};
    struct raft_status fresh = {.term = 0};
    Peer__Bootstrap bootstrap = PEER__BOOTSTRAP__INIT;
    Record__Config empty = RECORD__CONFIG__INIT;
    struct raft_config config;
    uint8_t id[NODE_CLUSTER_ID_BYTES] = {0};
    char refusal[ERROR_TEXT_BYTES_MAX];

    EXPECT_EQ(membership_check_bootstrap(&identity, &fresh, &bootstrap, &config, id, refusal),
              MEMBERSHIP_BOOTSTRAP_REFUSED);
    bootstrap.config = &empty;
    EXPECT_EQ(membership_check_bootstrap(&identity, &fresh, &bootstrap, &config, id, refusal),
              MEMBERSHIP_BOOTSTRAP_REFUSED);
    bootstrap.cluster_id.data = id;
    bootstrap.cluster_id.len = sizeof id;
    EXPECT_EQ(membership_check_bootstrap(&identity, &fresh, &bootstrap, &config, id, refusal),
              MEMBERSHIP_BOOTSTRAP_REFUSED);
}

static void test_the_cluster_id_follows_every_part_of_the_configuration(void)
{
    struct raft_config config = first_config();
    uint8_t id[NODE_CLUSTER_ID_BYTES];
    uint8_t other[NODE_CLUSTER_ID_BYTES];

    membership_operation_cluster_id(&config, id);
    membership_operation_cluster_id(&config, other);
    EXPECT(memcmp(id, other, sizeof id) == 0);
    config.members[1].incarnation[15]++;
    membership_operation_cluster_id(&config, other);
    EXPECT(memcmp(id, other, sizeof id) != 0);
    config = first_config();
    config.members[0].address[0] = 'b';
    membership_operation_cluster_id(&config, other);
    EXPECT(memcmp(id, other, sizeof id) != 0);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_init_makes_one_cluster_of_all_named),
        TEST_CASE(test_init_warns_of_sizes_that_tolerate_nothing_more),
        TEST_CASE(test_illegal_inits_are_refused_before_anybody_is_asked),
        TEST_CASE(test_init_needs_everybody_and_leaves_all_fresh_without),
        TEST_CASE(test_init_refuses_a_server_that_is_another_or_too_new),
        TEST_CASE(test_init_refuses_servers_of_other_clusters_and_names_them),
        TEST_CASE(test_the_same_init_again_succeeds_even_alone),
        TEST_CASE(test_the_same_init_succeeds_after_the_members_changed),
        TEST_CASE(test_a_broken_init_is_completed_by_the_same_one),
        TEST_CASE(test_a_broken_init_is_completed_even_if_the_others_began_without_us),
        TEST_CASE(test_another_name_for_the_asked_server_is_tried),
        TEST_CASE(test_a_twin_at_the_name_of_the_asked_server_is_refused),
        TEST_CASE(test_a_silent_server_ends_the_init_at_its_deadline),
        TEST_CASE(test_bootstrap_is_taken_only_whole_and_only_fresh),
        TEST_CASE(test_malformed_bootstraps_are_refused),
        TEST_CASE(test_the_cluster_id_follows_every_part_of_the_configuration),
        TEST_END};

    return test_main("membership_init", cases, argc, argv);
}
