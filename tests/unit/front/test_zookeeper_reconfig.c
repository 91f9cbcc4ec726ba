/* The texts of reconfig: who shall be a member, and where. */
#include "server/front/zookeeper_reconfig.h"

#include "tests/support/test.h"

#include <stdio.h>

static struct arena arena;
static struct reconfiguration wanted;

static void read_changes(const char *joining, const char *leaving)
{
    wanted = (struct reconfiguration){.is_illegal = false};
    zookeeper_reconfig_read_changes(bytes_of_text(joining), bytes_of_text(leaving), &arena,
                                    &wanted);
}

static void read_members(const char *members)
{
    wanted = (struct reconfiguration){.is_illegal = false};
    zookeeper_reconfig_read_members(bytes_of_text(members), &arena, &wanted);
}

/* As "4 10.0.0.4:2181 votes 5 ..."; "illegal" */
static void expect(const char *expected)
{
    char told[512] = "";
    size_t size = 0;

    for (size_t i = 0; i < wanted.server_count && !wanted.is_illegal; i++) {
        size += (size_t)snprintf(told + size, sizeof told - size, "%s%u %s%s", i == 0 ? "" : ", ",
                                 (unsigned)wanted.servers[i].id, wanted.servers[i].address,
                                 wanted.servers[i].votes ? " votes" : "");
    }
    EXPECT_TEXT(wanted.is_illegal ? "illegal" : told, expected);
}

static void expect_joining(const char *joining, const char *expected)
{
    read_changes(joining, "");
    expect(expected);
}

static void test_a_server_is_where_its_clients_find_it(void)
{
    arena_init(&arena);
    expect_joining("server.4=10.0.0.4:2888:3888:participant;2181", "4 10.0.0.4:2181 votes");
    expect_joining("server.4=10.0.0.4:2888:3888;2181", "4 10.0.0.4:2181 votes");
    expect_joining("server.4=10.0.0.4:1:1:observer;0.0.0.0:2181", "4 10.0.0.4:2181");
    expect_joining("server.4=10.0.0.4:1:1:OBSERVER;[::]:2181", "4 10.0.0.4:2181");
    expect_joining("server.4=inside:1:1;outside:2181", "4 outside:2181 votes");
    expect_joining("server.4=[fe80::4]:1:2:observer;2181", "4 [fe80::4]:2181");
    expect_joining("server.4=a:1:2;[fe80::5]:2181", "4 [fe80::5]:2181 votes");
    arena_release(&arena);
}

static void test_lists_may_have_blanks_and_gaps(void)
{
    arena_init(&arena);
    expect_joining("", "");
    expect_joining(" , server.4 = a:1:1 ; 2 ,,server.5=b:1:1;2,", "4 a:2 votes, 5 b:2 votes");
    read_changes("", " 3, 4,,17");
    EXPECT(!wanted.is_illegal);
    EXPECT_EQ(wanted.leaving_count, 3);
    EXPECT_EQ(wanted.leaving[0], 3);
    EXPECT_EQ(wanted.leaving[2], 17);
    EXPECT(!wanted.replaces);
    arena_release(&arena);
}

static void test_all_members_are_read_as_they_are_shown(void)
{
    arena_init(&arena);
    read_members(
        "# all\n\nserver.1=a:1:1:participant;a:1\nserver.2=b:1:1:observer;b:1\nversion=1f");
    EXPECT(wanted.replaces);
    expect("1 a:1 votes, 2 b:1");
    read_members("server.1=a:1:1;1,server.2=b:1:1;1");
    expect("1 a:1 votes, 2 b:1 votes");
    read_members("");
    EXPECT(wanted.replaces);
    expect("");
    arena_release(&arena);
}

static void test_what_is_no_server_is_illegal(void)
{
    static const char *const texts[] = {
        "server.4",
        "server.4=",
        "4",
        "server.=a:1:1;2",
        "server.0=a:1:1;2",
        "server.x=a:1:1;2",
        "server.-4=a:1:1;2",
        "server.99999999999999999999=a:1:1;2",
        "server.4=a",
        "server.4=a:1",
        "server.4=a:1:1",
        "server.4=a:1:1;",
        "server.4=a:1:1;x",
        "server.4=a:1:1;b:",
        "server.4=a:1:1;:2",
        "server.4=a:1:1;2;3",
        "server.4=a:1:1;0",
        "server.4=a:1:1;65536",
        "server.4=a:1:65536;2",
        "server.4=a:0:1;2",
        "server.4=a:x:1;2",
        "server.4=:1:1;2",
        "server.4=a:1:1:voter;2",
        "server.4=a:1:1:participant:1;2",
        "server.4=a:1:1|b:1:1;2",
        "server.4=[fe80::4:1:1;2",
        "server.4=[fe80::4]x:1:1;2",
        "server.4=fe80::4:1:1;2",
        "server.4=a:1:1;2=3",
        "server.4=a b:1:1;2",
        "server.4=a:1:1;2,5",
    };

    arena_init(&arena);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        read_changes(texts[i], "");
        EXPECT_TEXT(wanted.is_illegal ? texts[i] : "legal", texts[i]);
        read_members(texts[i]);
        EXPECT_TEXT(wanted.is_illegal ? texts[i] : "legal", texts[i]);
    }
    read_members("group.1=1:2");
    EXPECT(wanted.is_illegal);
    read_changes("", "1,x");
    EXPECT(wanted.is_illegal);
    read_changes("", "-1");
    EXPECT(wanted.is_illegal);
    wanted = (struct reconfiguration){.is_illegal = false};
    zookeeper_reconfig_read_changes(bytes_of("server.4=a\0b:1:1;2", 18), BYTES_EMPTY, &arena,
                                    &wanted);
    EXPECT(wanted.is_illegal);
    arena_release(&arena);
}

static void test_long_lists_are_illegal_and_cost_little(void)
{
    struct buffer list = BUFFER_INIT;

    arena_init(&arena);
    for (unsigned i = 1; i <= RAFT_MEMBERS_MAX + 1; i++) {
        char entry[64];

        (void)snprintf(entry, sizeof entry, "server.%u=a%u:1:1;2,", i, i);
        buffer_put(&list, bytes_of_text(entry));
    }
    wanted = (struct reconfiguration){.is_illegal = false};
    zookeeper_reconfig_read_changes(buffer_lend(&list), BYTES_EMPTY, &arena, &wanted);
    EXPECT(wanted.is_illegal);
    buffer_clear(&list);
    for (unsigned i = 0; i < 500000; i++) {
        buffer_put(&list, bytes_of_text("1,"));
    }
    wanted = (struct reconfiguration){.is_illegal = false};
    zookeeper_reconfig_read_changes(BYTES_EMPTY, buffer_lend(&list), &arena, &wanted);
    EXPECT(wanted.is_illegal);
    EXPECT(arena.bytes < 64 * 1024);
    buffer_release(&list);
    arena_release(&arena);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {TEST_CASE(test_a_server_is_where_its_clients_find_it),
                                             TEST_CASE(test_lists_may_have_blanks_and_gaps),
                                             TEST_CASE(test_all_members_are_read_as_they_are_shown),
                                             TEST_CASE(test_what_is_no_server_is_illegal),
                                             TEST_CASE(test_long_lists_are_illegal_and_cost_little),
                                             TEST_END};

    return test_main("zookeeper_reconfig", cases, argc, argv);
}
