/* Lists of permissions as the command line sees them, and who it says it is. */
#include "tests/support/cluster.h"
#include "tests/support/test.h"

#include <string.h>

static struct cluster cluster;

enum { REFUSED = 1, USAGE = 2 };

/* USER:BASE64(SHA1(USER:PASSWORD)), as ZooKeeper's tools write it. */
#define ANN "digest:ann:7RJfAeIvrl4zdj6sS2fXrQHDvHM="

static void test_what_only_one_user_may_is_refused_to_others(void)
{
    const struct outcome *outcome;

    cluster_init(&cluster, 1);
    cluster_form(&cluster);
    outcome = cluster_cli(&cluster, 1, "--user", "ann:secret", "create", "/mine", "42", "--acl",
                          "auth::cdrwa", NULL);
    EXPECT_EQ(outcome->exit_code, 0);
    outcome = cluster_cli(&cluster, 1, "get", "/mine", NULL);
    EXPECT_EQ(outcome->exit_code, REFUSED);
    EXPECT_CONTAINS(outcome->err, "--user");
    outcome = cluster_cli(&cluster, 1, "--user", "ann:wrong", "get", "/mine", NULL);
    EXPECT_EQ(outcome->exit_code, REFUSED);
    outcome = cluster_cli(&cluster, 1, "-u", "bob:secret", "set", "/mine", "43", NULL);
    EXPECT_EQ(outcome->exit_code, REFUSED);
    outcome = cluster_cli(&cluster, 1, "-u", "ann:secret", "get", "/mine", NULL);
    EXPECT_EQ(outcome->exit_code, 0);
    EXPECT_TEXT(outcome->out, "42");
    outcome = cluster_cli(&cluster, 1, "-u", "ann:secret", "get", "--acl", "/mine", NULL);
    EXPECT_TEXT(outcome->out, ANN ":cdrwa\n");
    cluster_release(&cluster);
}

static void test_a_list_is_replaced_and_shown_without_the_hashes_of_others(void)
{
    const struct outcome *outcome;

    cluster_init(&cluster, 1);
    cluster_form(&cluster);
    EXPECT_EQ(cluster_cli(&cluster, 1, "set", "/a", "1", NULL)->exit_code, 0);
    EXPECT_TEXT(cluster_cli(&cluster, 1, "get", "--acl", "/a", NULL)->out, "world:anyone:cdrwa\n");
    outcome =
        cluster_cli(&cluster, 1, "set-acl", "/a", ANN ":wa,world:anyone:r,ip:::1/128:d", NULL);
    EXPECT_EQ(outcome->exit_code, 0);
    outcome = cluster_cli(&cluster, 1, "get", "--acl", "/a", NULL);
    EXPECT_TEXT(outcome->out, "digest:ann:x:wa\nworld:anyone:r\nip:::1/128:d\n");
    outcome = cluster_cli(&cluster, 1, "-o", "json", "get", "--acl", "/a", NULL);
    EXPECT_CONTAINS(outcome->out,
                    "{\"scheme\": \"world\", \"id\": \"anyone\", \"permissions\": \"r\"}");
    outcome = cluster_cli(&cluster, 1, "set-acl", "/a", "world:anyone:cdrwa", NULL);
    EXPECT_EQ(outcome->exit_code, REFUSED);
    outcome = cluster_cli(&cluster, 1, "--user", "ann:secret", "set-acl", "/a",
                          "world:anyone:cdrwa", "--if-version", "0", NULL);
    EXPECT_EQ(outcome->exit_code, 4);
    outcome = cluster_cli(&cluster, 1, "--user", "ann:secret", "set-acl", "/a",
                          "world:anyone:cdrwa", "--if-version", "1", NULL);
    EXPECT_EQ(outcome->exit_code, 0);
    cluster_release(&cluster);
}

static void test_a_list_or_user_that_is_none_is_wrong_usage(void)
{
    static const char *const lists[] = {"",     "world",          "world:anyone", "world:anyone:x",
                                        ":a:r", "world:anyone:r,"};
    const struct outcome *outcome;

    cluster_init(&cluster, 0);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        outcome = cluster_cli(&cluster, 0, "set-acl", "/a", lists[i], NULL);
        EXPECT_EQ(outcome->exit_code, USAGE);
        EXPECT_CONTAINS(outcome->err, "SCHEME:ID:PERMISSIONS");
    }
    outcome = cluster_cli(&cluster, 0, "--user", "secret", "get", "/a", NULL);
    EXPECT_EQ(outcome->exit_code, USAGE);
    EXPECT(strstr(outcome->err, "secret") == NULL);
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_what_only_one_user_may_is_refused_to_others),
        TEST_CASE(test_a_list_is_replaced_and_shown_without_the_hashes_of_others),
        TEST_CASE(test_a_list_or_user_that_is_none_is_wrong_usage), TEST_END};

    return test_main("permissions", cases, argc, argv);
}
