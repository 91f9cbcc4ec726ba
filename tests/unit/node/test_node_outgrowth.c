/* A state that its map has no room for: when a server asks for a dump in its place, and whom a
 * leader makes one for. */
#include "server/node/node_outgrowth.h"

#include "server/node/node_repair.h"
#include "tests/unit/node/node_lab.h"

enum { THIRD = 3, WAITS = 3 };

static void wait_for_room(uint64_t count, bool in_the_map)
{
    lab.node->commit_wait_count = count;
    lab.node->space = (struct node_space){.is_enough = false, .is_tree_full = in_the_map};
    node_outgrowth_observe(lab.node);
}

static void test_a_follower_asks_when_its_map_stays_full(void)
{
    begin(3);
    wait_for_room(WAITS - 1, true);
    EXPECT(!lab.node->is_outgrown);
    wait_for_room(WAITS, false); /* the disk's, which a dump would fill further */
    EXPECT(!lab.node->is_outgrown);
    wait_for_room(WAITS, true);
    EXPECT(lab.node->is_outgrown);
    wait_for_room(0, true); /* it was written after all */
    EXPECT(!lab.node->is_outgrown);
    end();
}

static void test_a_leader_does_not_ask(void)
{
    begin_alone();
    wait_for_room(WAITS, true);
    EXPECT(!lab.node->is_outgrown);
    end();
}

static struct member_report *report_of(raft_id id)
{
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        if (lab.node->reports[i].id == id) {
            return &lab.node->reports[i];
        }
    }
    CHECK(false);
    return NULL;
}

/* As leader: whether a dump is to be made for the others, who ask for these zxids. */
static bool makes_dump(zxid repair_from, zxid replace_from)
{
    report_of(PEER)->repair_from = repair_from;
    report_of(THIRD)->replace_from = replace_from;
    lab.node->status.role = RAFT_LEADER;
    (void)node_repair_tick(lab.node);
    return lab.node->dumps_wanted_us != 0;
}

static void test_who_had_no_room_for_what_there_is_waits_for_a_later_one_and_holds_nobody_up(void)
{
    const zxid applied = 1;

    begin(3);
    state_skip(lab.node->state, applied);
    node_on_peer_up(lab.node, PEER);
    node_on_peer_up(lab.node, THIRD);
    EXPECT(!makes_dump(0, 0));
    EXPECT(makes_dump(0, applied));
    EXPECT(!makes_dump(0, applied + 1));
    EXPECT(makes_dump(applied, applied + 1));
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_follower_asks_when_its_map_stays_full),
        TEST_CASE(test_a_leader_does_not_ask),
        TEST_CASE(test_who_had_no_room_for_what_there_is_waits_for_a_later_one_and_holds_nobody_up),
        TEST_END};

    return test_main("node_outgrowth", cases, argc, argv);
}
