#include "tests/support/state_lab.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

enum { VOTER = 2, LEARNER = 4 };

static struct state_lab lab;

/* Servers 1 to `count`, the last one with `flags`, as the next entry. */
static void apply(size_t count, uint32_t flags, bool joint)
{
    Record__Config config = RECORD__CONFIG__INIT;
    Record__Member members[4];
    Record__Member *pointers[4];
    char addresses[4][32];
    uint8_t packed[512];

    for (size_t i = 0; i < count; i++) {
        record__member__init(&members[i]);
        (void)snprintf(addresses[i], sizeof addresses[i], i == 1 ? "[::1]:%d" : "host%d:1000",
                       (int)i + 1);
        members[i].id = i + 1;
        members[i].flags = i + 1 == count ? flags : VOTER;
        members[i].address =
            (ProtobufCBinaryData){.data = (uint8_t *)addresses[i], .len = strlen(addresses[i])};
        pointers[i] = &members[i];
    }
    config.members = pointers;
    config.n_members = count;
    config.joint = joint;
    arena_reset(&lab.arena);
    EXPECT_OK(state_apply_config(lab.state, lab.next++,
                                 bytes_of(packed, record__config__pack(&config, packed)),
                                 &lab.arena, &lab.result));
}

static void expect_text(const char *text)
{
    EXPECT_TEXT(state_lab_value(&lab, "/zookeeper/config"), text);
}

static void test_the_members_are_written_as_zookeeper_does(void)
{
    struct state_stat stat = {.version = 0};

    state_lab_init(&lab, 1 << 20);
    lab.time_ms = 5000;
    EXPECT_EQ(state_lab_create(&lab, "/a", "", RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    lab.next = 0x1a2b;
    apply(3, LEARNER, false);
    expect_text("server.1=host1:1000:1000:participant;host1:1000\n"
                "server.2=[::1]:2:2:participant;[::1]:2\n"
                "server.3=host3:1000:1000:observer;host3:1000\n"
                "version=1a2b");
    EXPECT_EQ(lab.result.change_count, 1);
    EXPECT_EQ(lab.result.changes[0].kind, STATE_VALUE_SET);
    EXPECT_BYTES(lab.result.changes[0].path, bytes_of_text("/zookeeper/config"));
    EXPECT(state_lab_stat(&lab, "/zookeeper/config", &stat));
    EXPECT_EQ(stat.version, -1);
    EXPECT_EQ(stat.mzxid, 0x1a2b);
    EXPECT_EQ(stat.mtime_ms, 5000);
    EXPECT_EQ(stat.czxid, 0);
    EXPECT_EQ(state_applied(lab.state), 0x1a2b);
    state_lab_release(&lab);
}

static void test_a_joint_configuration_is_not_shown(void)
{
    state_lab_init(&lab, 1 << 20);
    apply(2, VOTER, false);
    apply(3, VOTER, true);
    EXPECT_EQ(lab.result.change_count, 0);
    expect_text("server.1=host1:1000:1000:participant;host1:1000\n"
                "server.2=[::1]:2:2:participant;[::1]:2\n"
                "version=1");
    EXPECT_EQ(state_applied(lab.state), 2);
    state_lab_release(&lab);
}

static void test_one_server_alone_shows_nothing_unless_it_had_others(void)
{
    state_lab_init(&lab, 1 << 20);
    apply(1, VOTER, false);
    expect_text("");
    EXPECT_EQ(lab.result.change_count, 0);
    apply(2, VOTER, false);
    apply(1, VOTER, false);
    expect_text("server.1=host1:1000:1000:participant;host1:1000\nversion=3");
    state_lab_release(&lab);
}

static void test_what_is_no_configuration_is_damage(void)
{
    state_lab_init(&lab, 1 << 20);
    EXPECT_EQ(state_apply_config(lab.state, 1, bytes_of("\xff", 1), &lab.arena, &lab.result),
              STATUS_CORRUPT);
    state_lab_release(&lab);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_the_members_are_written_as_zookeeper_does),
        TEST_CASE(test_a_joint_configuration_is_not_shown),
        TEST_CASE(test_one_server_alone_shows_nothing_unless_it_had_others),
        TEST_CASE(test_what_is_no_configuration_is_damage),
        TEST_END,
    };

    return test_main("config_node", cases, argc, argv);
}
