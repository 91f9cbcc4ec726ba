/* Writes that are placed by the leader, for a server that follows it. */
#include "server/node/node_proposals.h"

#include "tests/unit/node/node_lab.h"

static const raft_term led_term = 2;

/* The peer leads: its entry at `index` with this command, or none for an empty one; all is
 * committed. */
static void lead(raft_index index, enum raft_entry_type type, struct bytes command)
{
    struct buffer payload = BUFFER_INIT;
    struct buffer packed = BUFFER_INIT;
    struct raft_entry entry = {.term = led_term, .type = type};
    struct raft_message message = {.type = RAFT_APPEND, .from = PEER, .to = SELF, .term = led_term};
    struct bytes lent;

    if (command.size > 0) {
        buffer_put_u64(&payload, lab.now_us / 1000);
        buffer_put(&payload, command);
    }
    lent = buffer_lend(&payload);
    entry.bytes = (uint32_t)lent.size;
    message.append.previous_index = index - 1;
    message.append.previous_term = index == 2 ? 1 : led_term;
    message.append.commit = index;
    message.append.entry_count = 1;
    message.append.entries = &entry;
    peer_codec_pack_raft(&message, &entry, &lent, &packed);
    EXPECT_OK(node_on_peer_message(lab.node, PEER, buffer_lend(&packed)));
    buffer_release(&packed);
    buffer_release(&payload);
}

static void answer_all(uint64_t id, raft_index index, uint32_t accepted)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__Forwarded body = PEER__FORWARDED__INIT;

    body.id = id;
    body.first_index = index;
    body.term = led_term;
    body.accepted = accepted;
    message.body_case = PEER__PEER_MESSAGE__BODY_FORWARDED;
    message.forwarded = &body;
    hear(&message);
}

static void answer(uint64_t id, raft_index index)
{
    answer_all(id, index, 1);
}

/* A write of a client is with the leader. */
static const Peer__Forward *forward(void)
{
    const Peer__PeerMessage *sent;

    begin(2);
    lead(2, RAFT_ENTRY_NOOP, BYTES_EMPTY);
    run(STEP_US * 2);
    submit(creating("/asked", 0, 0));
    run(STEP_US * 2);
    sent = last_sent(PEER__PEER_MESSAGE__BODY_FORWARD);
    CHECK(sent != NULL);
    EXPECT_EQ(sent->forward->n_commands, 1);
    EXPECT_EQ(lab.reply_count, 0);
    return sent->forward;
}

/* The leader places nothing of it. */
static void refuse(uint64_t id, Client__Code code)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__Forwarded body = PEER__FORWARDED__INIT;

    body.id = id;
    body.code = (uint32_t)code;
    message.body_case = PEER__PEER_MESSAGE__BODY_FORWARDED;
    message.forwarded = &body;
    hear(&message);
}

static void append_forwarded(const Peer__Forward *sent)
{
    lead(3, RAFT_ENTRY_COMMAND, bytes_of(sent->commands[0].data, sent->commands[0].len));
    run(STEP_US * 2);
}

static void test_a_forwarded_write_is_answered_with_its_result(void)
{
    const Peer__Forward *sent = forward();

    answer(sent->id, 3);
    append_forwarded(sent);
    EXPECT_EQ(node_applied(lab.node), 3);
    EXPECT_EQ(lab.reply_count, 1);
    EXPECT_EQ(lab.replies[0].code, CLIENT__CODE__OK);
    end();
}

/* Its result was nobody's when it was applied, and may not be told as anybody's later. */
static void test_the_outcome_of_a_write_that_overtook_the_answer_to_its_forward_is_unknown(void)
{
    const Peer__Forward *sent = forward();

    append_forwarded(sent);
    EXPECT_EQ(node_applied(lab.node), 3);
    EXPECT_EQ(lab.reply_count, 0);
    answer(sent->id, 3);
    run(STEP_US * 2);
    EXPECT_EQ(lab.reply_count, 1);
    EXPECT_EQ(lab.replies[0].code, CLIENT__CODE__UNKNOWN_OUTCOME);
    end();
}

/* A member that leads may lie about the place: what stands there is not the write, and its result
 * is somebody else's, or there is none. */
static void test_the_outcome_of_a_write_is_unknown_when_its_place_is_anothers(void)
{
    static const enum raft_entry_type types[] = {RAFT_ENTRY_COMMAND, RAFT_ENTRY_NOOP};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const Peer__Forward *sent = forward();
        Record__Command other = RECORD__COMMAND__INIT;
        Record__Sweep sweep = RECORD__SWEEP__INIT;
        uint8_t packed[16];

        other.body_case = RECORD__COMMAND__BODY_SWEEP;
        other.sweep = &sweep;
        answer(sent->id, 3);
        lead(3, types[i],
             types[i] == RAFT_ENTRY_COMMAND
                 ? bytes_of(packed, record__command__pack(&other, packed))
                 : BYTES_EMPTY);
        run(STEP_US * 2);
        EXPECT_EQ(node_applied(lab.node), 3);
        EXPECT_EQ(lab.reply_count, 1);
        EXPECT_EQ(lab.replies[0].code, CLIENT__CODE__UNKNOWN_OUTCOME);
        end();
    }
}

/* The first of two writes that went in one Forward was waited for long enough: the leader's answer
 * tells the places of both nevertheless. */
static void test_a_write_that_expired_in_a_forward_leaves_the_other_its_place(void)
{
    const Peer__PeerMessage *sent;

    begin(2);
    submit(creating("/first", 0, 0));
    run(lab.node->options.request_timeout_us / 2);
    submit(creating("/second", 0, 0));
    lead(2, RAFT_ENTRY_NOOP, BYTES_EMPTY);
    run(STEP_US * 2);
    sent = last_sent(PEER__PEER_MESSAGE__BODY_FORWARD);
    CHECK(sent != NULL);
    EXPECT_EQ(sent->forward->n_commands, 2);
    for (size_t i = 0; i < 1000 && lab.reply_count == 0; i++) {
        Peer__PeerMessage heartbeat = PEER__PEER_MESSAGE__INIT;
        Peer__RaftMessage raft = PEER__RAFT_MESSAGE__INIT;

        raft.type = RAFT_HEARTBEAT;
        raft.term = led_term;
        raft.commit = 2;
        heartbeat.body_case = PEER__PEER_MESSAGE__BODY_RAFT;
        heartbeat.raft = &raft;
        hear(&heartbeat);
        turn();
    }
    EXPECT_EQ(lab.reply_count, 1);
    EXPECT_EQ(lab.replies[0].code, CLIENT__CODE__UNKNOWN_OUTCOME);
    answer_all(sent->forward->id, 3, 2);
    for (size_t i = 0; i < 2; i++) {
        lead(3 + i, RAFT_ENTRY_COMMAND,
             bytes_of(sent->forward->commands[i].data, sent->forward->commands[i].len));
    }
    run(STEP_US * 2);
    EXPECT_EQ(node_applied(lab.node), 4);
    EXPECT_EQ(lab.reply_count, 2);
    EXPECT_EQ(lab.replies[1].code, CLIENT__CODE__OK);
    end();
}

/* A write in the name of more than may be. */
static struct request *refused_write(void)
{
    static Record__Identity identities[STATE_IDENTITIES_MAX + 1];
    Record__Identity *pointers[STATE_IDENTITIES_MAX + 1];
    struct request *request = request_new(REQUEST_WRITE);
    Record__Command command = RECORD__COMMAND__INIT;
    uint8_t *packed;

    for (size_t i = 0; i <= STATE_IDENTITIES_MAX; i++) {
        record__identity__init(&identities[i]);
        pointers[i] = &identities[i];
    }
    command.identities = pointers;
    command.n_identities = STATE_IDENTITIES_MAX + 1;
    command.body_case = RECORD__COMMAND__BODY_OPERATION;
    command.operation = state_lab_make_create(&request->arena, "/refused", "");
    packed = arena_alloc(&request->arena, record__command__get_packed_size(&command));
    request->write.command = bytes_of(packed, record__command__pack(&command, packed));
    return request;
}

/* What stood behind it goes to the leader at once. */
static void test_a_write_that_no_leader_takes_is_answered_and_holds_up_no_other(void)
{
    const Peer__PeerMessage *sent;

    begin(2);
    lead(2, RAFT_ENTRY_NOOP, BYTES_EMPTY);
    run(STEP_US * 2);
    submit(refused_write());
    submit(creating("/asked", 0, 0));
    run(STEP_US * 2);
    sent = last_sent(PEER__PEER_MESSAGE__BODY_FORWARD);
    CHECK(sent != NULL);
    EXPECT_EQ(sent->forward->n_commands, 2);
    refuse(sent->forward->id, CLIENT__CODE__UNREADABLE);
    EXPECT_EQ(lab.reply_count, 1);
    EXPECT_EQ(lab.replies[0].code, CLIENT__CODE__LIMIT);
    run(STEP_US * 20);
    sent = last_sent(PEER__PEER_MESSAGE__BODY_FORWARD);
    CHECK(sent != NULL);
    EXPECT_EQ(sent->forward->n_commands, 1);
    answer(sent->forward->id, 3);
    append_forwarded(sent->forward);
    EXPECT_EQ(lab.reply_count, 2);
    EXPECT_EQ(lab.replies[1].code, CLIENT__CODE__OK);
    end();
}

/* Of a server that follows: so many large writes. What the leader says to it. */
static Client__Code place_large(size_t first, size_t count)
{
    enum { VALUE_BYTES = 1000 * 1000, COUNT_MAX = 4 };
    static char value[VALUE_BYTES + 1];
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__Forward body = PEER__FORWARD__INIT;
    ProtobufCBinaryData commands[COUNT_MAX];
    const Peer__PeerMessage *sent;
    struct arena arena;

    CHECK_OP(count, <=, COUNT_MAX);
    memset(value, 'v', VALUE_BYTES);
    arena_init(&arena);
    for (size_t i = 0; i < count; i++) {
        Record__Command command = RECORD__COMMAND__INIT;
        char path[32];

        (void)snprintf(path, sizeof path, "/n%zu", first + i);
        command.body_case = RECORD__COMMAND__BODY_OPERATION;
        command.operation = state_lab_make_create(&arena, path, value);
        commands[i].len = record__command__get_packed_size(&command);
        commands[i].data = arena_alloc(&arena, commands[i].len);
        (void)record__command__pack(&command, commands[i].data);
    }
    body.id = first;
    body.n_commands = count;
    body.commands = commands;
    message.body_case = PEER__PEER_MESSAGE__BODY_FORWARD;
    message.forward = &body;
    hear(&message);
    arena_release(&arena);
    turn();
    turn();
    sent = last_sent(PEER__PEER_MESSAGE__BODY_FORWARDED);
    CHECK(sent != NULL);
    EXPECT_EQ(sent->forwarded->id, first);
    return sent->forwarded->code;
}

static void test_nothing_is_placed_while_much_waits_to_be_applied(void)
{
    enum { STEP = 4, STEPS_MAX = 30, MANY_BYTES = 100 * 1024 * 1024 };
    size_t count = 0;

    begin_alone();
    lab.checkpoints_are_stuck = true;
    while (place_large(count, STEP) == CLIENT__CODE__OK) {
        count += STEP;
        EXPECT(count < STEP * STEPS_MAX);
    }
    EXPECT(node_applied(lab.node) < lab.node->commit_index);
    EXPECT(lab.node->cache.bytes < MANY_BYTES);
    lab.checkpoints_are_stuck = false;
    run(STEP_US * 10);
    EXPECT_EQ(node_applied(lab.node), lab.node->commit_index);
    EXPECT_EQ(place_large(count + STEP, 1), CLIENT__CODE__OK);
    end();
}

/* Those that were placed before may be answered yet; what comes now would not be in time. */
static void test_while_applying_lags_writes_are_refused_before_their_time_is_over(void)
{
    uint64_t timeout_us;
    raft_index placed;

    begin_alone();
    timeout_us = lab.node->options.request_timeout_us;
    lab.node->options.checkpoint_records_max = 1;
    lab.checkpoints_are_stuck = true;
    for (size_t i = 0; i < 10; i++) {
        submit(creating("/p", i, 1));
        submit(creating("/q", 0, 0));
    }
    run(timeout_us / 2);
    EXPECT(node_applied(lab.node) < lab.node->commit_index);
    EXPECT(apply_lag_is_bounded(&lab.node->apply_lag));
    placed = raft_status(lab.node->raft).last_index;
    lab.reply_count = 0;
    client_close(lab.client);
    lab.client = client_open(lab.node, &lab_callbacks, NULL);
    submit(creating("/r", 0, 0));
    run(timeout_us / 2 + 2 * STEP_US);
    EXPECT_EQ(raft_status(lab.node->raft).last_index, placed);
    EXPECT_EQ(lab.reply_count, 1);
    EXPECT_EQ(lab.replies[0].code, CLIENT__CODE__BUSY);
    lab.checkpoints_are_stuck = false;
    run(STEP_US * 100);
    EXPECT(!apply_lag_is_bounded(&lab.node->apply_lag));
    submit(creating("/r", 0, 0));
    run(STEP_US * 10);
    EXPECT_EQ(lab.reply_count, 2);
    EXPECT_EQ(lab.replies[1].code, CLIENT__CODE__OK);
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_forwarded_write_is_answered_with_its_result),
        TEST_CASE(test_the_outcome_of_a_write_that_overtook_the_answer_to_its_forward_is_unknown),
        TEST_CASE(test_the_outcome_of_a_write_is_unknown_when_its_place_is_anothers),
        TEST_CASE(test_a_write_that_expired_in_a_forward_leaves_the_other_its_place),
        TEST_CASE(test_a_write_that_no_leader_takes_is_answered_and_holds_up_no_other),
        TEST_CASE(test_nothing_is_placed_while_much_waits_to_be_applied),
        TEST_CASE(test_while_applying_lags_writes_are_refused_before_their_time_is_over),
        TEST_END};

    return test_main("node_proposals", cases, argc, argv);
}
