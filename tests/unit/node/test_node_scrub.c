/* What looks through memory, log and checkpoint finds damage. Alone a server cannot get what it
 * lost from anybody: it ends, or goes on and says so; among others it is mended by them. */
#include "server/node/node_scrub.h"

#include "server/state/apply.h"
#include "server/state/record_key.h"
#include "tests/unit/node/node_lab.h"

static const char name[] = "held";

static void make_node(void)
{
    submit(creating("/held", 0, 0));
    run(STEP_US * 10);
    EXPECT_EQ(lab.reply_count, 1);
    EXPECT_EQ(lab.replies[0].code, CLIENT__CODE__OK);
}

/* As failing memory does. */
static void flip_in_memory(void)
{
    struct record_key key;
    struct record *record;

    record_key_node(1, bytes_of_text(name), &key);
    EXPECT_OK(overlay_find(&lab.node->state->overlay, record_key_lend(&key), &record));
    EXPECT(record != NULL);
    record_value_space(record)[record->value_bytes / 2] ^= 4;
}

static void pass(void)
{
    lab.now_us += SCRUB_PASS_US;
    run(SCRUB_PASS_US / 100);
}

static void test_a_sound_server_goes_on(void)
{
    begin_alone();
    make_node();
    pass();
    EXPECT(!lab.has_failed);
    EXPECT_TEXT(lab.node->damage, "");
    end();
}

static void test_a_server_alone_ends_when_its_memory_is_damaged(void)
{
    begin_alone();
    make_node();
    flip_in_memory();
    pass();
    EXPECT(lab.has_failed);
    EXPECT_EQ(lab.failure.status, STATUS_CORRUPT);
    EXPECT_CONTAINS(lab.failure.text, "memory");
    EXPECT(!node_is_condemned(lab.node));
    end();
}

static void test_a_server_alone_goes_on_and_tells_when_its_checkpoint_is_damaged(void)
{
    begin_alone();
    make_node();
    lab.checkpoint_is_damaged = true;
    pass();
    EXPECT(!lab.has_failed);
    EXPECT(!node_is_condemned(lab.node));
    EXPECT_CONTAINS(lab.node->damage, "checkpoint");
    submit(reading(REQUEST_GET, "/held"));
    run(STEP_US);
    EXPECT_EQ(lab.reply_count, 2);
    EXPECT_EQ(lab.replies[1].code, CLIENT__CODE__OK);
    end();
}

static void test_a_server_alone_goes_on_and_tells_when_its_log_is_damaged(void)
{
    begin_alone();
    make_node();
    lab.log_is_damaged = true;
    pass();
    EXPECT(!lab.has_failed);
    EXPECT(!node_is_condemned(lab.node));
    EXPECT_CONTAINS(lab.node->damage, "log");
    end();
}

static void test_a_server_among_others_condemns_what_it_has(void)
{
    begin(2);
    lab.log_is_damaged = true;
    pass();
    EXPECT(!lab.has_failed);
    EXPECT(node_is_condemned(lab.node));
    EXPECT_CONTAINS(lab.node->damage, "log");
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_sound_server_goes_on),
        TEST_CASE(test_a_server_alone_ends_when_its_memory_is_damaged),
        TEST_CASE(test_a_server_alone_goes_on_and_tells_when_its_checkpoint_is_damaged),
        TEST_CASE(test_a_server_alone_goes_on_and_tells_when_its_log_is_damaged),
        TEST_CASE(test_a_server_among_others_condemns_what_it_has),
        TEST_END};

    return test_main("node_scrub", cases, argc, argv);
}
