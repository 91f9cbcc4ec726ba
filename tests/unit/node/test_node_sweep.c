/* The leader's broom. */
#include "tests/unit/node/node_lab.h"

static uint32_t children_of(const char *path)
{
    struct state_node *node = NULL;
    enum op_error error;
    uint32_t count = 0;

    EXPECT_OK(state_read(lab.node->state, bytes_of_text(path), &error, &node));
    EXPECT_EQ(error, OP_OK);
    if (node != NULL) {
        count = state_node_stat(node).child_count;
        state_node_unref(node);
    }
    return count;
}

static void ask(struct request *request)
{
    size_t before = lab.reply_count;

    submit(request);
    for (size_t i = 0; i < 100 && lab.reply_count == before; i++) {
        turn();
    }
    EXPECT_EQ(lab.reply_count, before + 1);
    EXPECT_EQ(lab.replies[before].code, CLIENT__CODE__OK);
}

static void ask_open_session(void)
{
    struct request *request = request_new(REQUEST_OPEN_SESSION);

    request->session.timeout_ms = 10000;
    ask(request);
}

/* Nobody has to wait for the next look. */
static void test_what_the_end_of_a_session_leaves_goes_at_once(void)
{
    enum { EACH = 1024, COUNT = STATE_END_COUNT_MAX + 3 * EACH };

    begin_alone();
    ask(creating("/p", 0, 0));
    ask_open_session();
    lab.create_mode = RECORD__CREATE_MODE__EPHEMERAL;
    for (size_t i = 0; i < COUNT; i += EACH) {
        ask(creating("/p", i, EACH));
    }
    ask(request_new(REQUEST_CLOSE_SESSION));
    EXPECT(children_of("/p") > 0);
    run(20 * STEP_US);
    EXPECT_EQ(children_of("/p"), 0);
    end();
}

/* What the leader before it could not finish: it died, and a minute is long. */
static void test_who_begins_to_lead_looks_at_once(void)
{
    begin_alone();
    ask(creating("/p", 0, 0));
    lab.create_mode = RECORD__CREATE_MODE__CONTAINER;
    ask(creating("/p", 0, 1));
    lab.create_mode = RECORD__CREATE_MODE__PERSISTENT;
    ask(creating("/p/0", 0, 1));
    ask(removing("/p/0/0"));
    run(1000 * 1000);
    EXPECT_EQ(children_of("/p"), 1);
    lab.node->draining = true; /* as good as not leading, for the broom */
    turn();
    lab.node->draining = false;
    run(20 * STEP_US);
    EXPECT_EQ(children_of("/p"), 0);
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_what_the_end_of_a_session_leaves_goes_at_once),
        TEST_CASE(test_who_begins_to_lead_looks_at_once), TEST_END};

    return test_main("node_sweep", cases, argc, argv);
}
