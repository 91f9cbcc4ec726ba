/* The queue by itself: which request goes out when, under which number, and who is told what. */
#include "client/client_queue.h"

#include "tests/support/test.h"
#include "tests/unit/client/fake_server.h"

#include <stdlib.h>
#include <string.h>

enum { TELLINGS_MAX = 64 };

static struct {
    enum confer_status status;
    uintptr_t name;
} told[TELLINGS_MAX];
static size_t told_count;
static struct prng prng;
static uint64_t next_id;

static void note(void *context, struct client_request *request)
{
    (void)context;
    told[told_count].status = request->result->public.status;
    told[told_count++].name = (uintptr_t)request->argument;
}

static void init(struct client_queue *queue, bool session)
{
    prng_init(&prng, 1);
    told_count = 0;
    next_id = 1;
    client_queue_init(queue, &prng, note, NULL);
    queue->has_session = session;
}

static struct client_request *add(struct client_queue *queue, bool is_write, uintptr_t name)
{
    struct client_request *request = client_request_new();

    request->is_write = is_write;
    request->shape = is_write ? CLIENT_SHAPE_WRITE : CLIENT_SHAPE_NONE;
    request->argument = (void *)name;
    client_queue_add(queue, request);
    return request;
}

/* Send what may be sent; how many. */
static size_t send_all(struct client_queue *queue, uint64_t now)
{
    struct client_request *request;
    size_t count = 0;

    while ((request = client_queue_next(queue, now)) != NULL) {
        client_queue_number(queue, request);
        client_queue_sent(queue, request, next_id++);
        count++;
    }
    return count;
}

/* Answer the oldest in flight. */
static enum client_verdict answer(struct client_queue *queue, Client__Code code, bool applied)
{
    Client__Response response = fake_response();
    Client__WriteReply write = CLIENT__WRITE_REPLY__INIT;
    Record__OperationResult operation = RECORD__OPERATION_RESULT__INIT;
    Record__OperationResult *only = &operation;
    uint8_t packed[256];
    struct client_answer unpacked;
    enum client_verdict verdict;

    response.id = CONTAINER_OF(queue->in_flight.next, struct client_request, link)->id;
    response.code = code;
    if (applied) {
        write.zxid = 7;
        write.n_operations = 1;
        write.operations = &only;
        response.body_case = CLIENT__RESPONSE__BODY_WRITE;
        response.write = &write;
    }
    EXPECT_EQ(client_answer_unpack(bytes_of(packed, client__response__pack(&response, packed)),
                                   &unpacked),
              CONFER_OK);
    verdict = client_queue_answer(queue, &unpacked, "s:1", 1000);
    client_answer_release(&unpacked);
    return verdict;
}

enum { LATER = 100 * 1000 * 1000 };

static void test_writes_are_numbered_in_order_and_confirmed_by_their_answers(void)
{
    struct client_queue queue;
    struct client_request *second;

    init(&queue, true);
    (void)add(&queue, true, 1);
    second = add(&queue, true, 2);
    (void)add(&queue, false, 3);
    EXPECT_EQ(send_all(&queue, 0), 3);
    EXPECT_EQ(second->sequence, 2);
    EXPECT_EQ(client_queue_confirmed(&queue), 0);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__OK, true), CLIENT_VERDICT_GO_ON);
    EXPECT_EQ(client_queue_confirmed(&queue), 1);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__BAD_VERSION, true), CLIENT_VERDICT_GO_ON);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__OK, false), CLIENT_VERDICT_GO_ON);
    EXPECT_EQ(client_queue_confirmed(&queue), 2);
    EXPECT_EQ(told_count, 3);
    EXPECT_EQ(told[1].status, CONFER_BAD_VERSION);
    client_queue_release(&queue);
}

static void test_no_more_writes_are_outstanding_than_the_cluster_keeps(void)
{
    struct client_queue queue;

    init(&queue, true);
    for (uintptr_t i = 0; i < CLIENT_UNCONFIRMED_MAX + 10; i++) {
        (void)add(&queue, true, i);
    }
    EXPECT_EQ(send_all(&queue, 0), CLIENT_UNCONFIRMED_MAX);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__OK, true), CLIENT_VERDICT_GO_ON);
    EXPECT_EQ(send_all(&queue, 0), 1);
    client_queue_release(&queue);
}

static void test_a_refused_try_holds_the_others_until_all_are_answered(void)
{
    struct client_queue queue;
    struct client_request *first;

    init(&queue, true);
    first = add(&queue, true, 1);
    (void)add(&queue, true, 2);
    EXPECT_EQ(send_all(&queue, 0), 2);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__NO_LEADER, false), CLIENT_VERDICT_GO_ON);
    (void)add(&queue, true, 3);
    EXPECT_EQ(send_all(&queue, LATER), 0);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__SEQUENCE_GAP, false), CLIENT_VERDICT_GO_ON);
    EXPECT_EQ(told_count, 0);
    EXPECT_EQ(send_all(&queue, LATER), 3);
    EXPECT(CONTAINER_OF(queue.in_flight.next, struct client_request, link) == first);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(answer(&queue, CLIENT__CODE__OK, true), CLIENT_VERDICT_GO_ON);
        EXPECT_EQ(told[i].name, (uintptr_t)i + 1);
    }
    client_queue_release(&queue);
}

static void test_a_number_given_back_goes_to_the_next_write(void)
{
    struct client_queue queue;
    struct client_request *second;

    init(&queue, true);
    (void)add(&queue, true, 1);
    second = add(&queue, true, 2);
    EXPECT_EQ(send_all(&queue, 0), 2);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__NO_SPACE, false), CLIENT_VERDICT_GO_ON);
    EXPECT_EQ(told[0].status, CONFER_NO_SPACE);
    EXPECT_EQ(client_queue_confirmed(&queue), 0);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__SEQUENCE_GAP, false), CLIENT_VERDICT_GO_ON);
    EXPECT_EQ(second->sequence, 1);
    EXPECT_EQ(send_all(&queue, LATER), 1);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__OK, true), CLIENT_VERDICT_GO_ON);
    EXPECT_EQ(client_queue_confirmed(&queue), 1);
    client_queue_release(&queue);
}

static void test_a_refusal_after_an_uncertain_try_is_settled_by_attaching(void)
{
    struct client_queue queue;

    init(&queue, true);
    (void)add(&queue, true, 1);
    EXPECT_EQ(send_all(&queue, 0), 1);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__UNKNOWN_OUTCOME, false), CLIENT_VERDICT_GO_ON);
    EXPECT_EQ(send_all(&queue, LATER), 1);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__NO_SPACE, false), CLIENT_VERDICT_REATTACH);
    EXPECT_EQ(told_count, 0);
    client_queue_disconnected(&queue, "test");
    /* The first try was applied: the refusal was wrong, and the result is fetched. */
    EXPECT(client_queue_attached(&queue, 1));
    EXPECT_EQ(send_all(&queue, LATER), 1);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__OK, true), CLIENT_VERDICT_GO_ON);
    EXPECT_EQ(told[0].status, CONFER_OK);
    client_queue_release(&queue);

    init(&queue, true);
    (void)add(&queue, true, 1);
    (void)add(&queue, true, 2);
    EXPECT_EQ(send_all(&queue, 0), 2);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__LIMIT, false), CLIENT_VERDICT_GO_ON);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__SEQUENCE_GAP, false), CLIENT_VERDICT_REATTACH);
    client_queue_disconnected(&queue, "test");
    EXPECT(client_queue_attached(&queue, 0));
    EXPECT_EQ(told[0].status, CONFER_LIMIT);
    EXPECT_EQ(send_all(&queue, LATER), 1);
    EXPECT_EQ(queue.last_sequence, 1);
    client_queue_release(&queue);
}

static void test_a_session_that_went_back_is_noticed(void)
{
    struct client_queue queue;

    init(&queue, true);
    (void)add(&queue, true, 1);
    (void)add(&queue, true, 2);
    EXPECT_EQ(send_all(&queue, 0), 2);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__OK, true), CLIENT_VERDICT_GO_ON);
    client_queue_disconnected(&queue, "test");
    EXPECT(!client_queue_attached(&queue, 0)); /* the first was acknowledged */
    EXPECT(!client_queue_attached(&queue, 3)); /* the third was never sent */
    EXPECT(client_queue_attached(&queue, 2));
    client_queue_release(&queue);
}

static void test_a_lost_connection_repeats_reads_and_tells_unnumbered_writes(void)
{
    struct client_queue queue;
    struct client_request *own;

    init(&queue, false);
    (void)add(&queue, false, 1);
    (void)add(&queue, true, 2);
    own = add(&queue, false, 3);
    own->per_connection = true;
    (void)add(&queue, false, 4);
    EXPECT_EQ(send_all(&queue, 0), 4);
    own = add(&queue, false, 5);
    own->per_connection = true;
    client_queue_disconnected(&queue, "test");
    EXPECT_EQ(told_count, 1);
    EXPECT_EQ(told[0].status, CONFER_UNKNOWN_OUTCOME);
    EXPECT_EQ(send_all(&queue, LATER), 2);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__OK, false), CLIENT_VERDICT_GO_ON);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__OK, false), CLIENT_VERDICT_GO_ON);
    EXPECT_EQ(told[1].name, 1);
    EXPECT_EQ(told[2].name, 4);
    client_queue_release(&queue);
}

static void test_servers_that_cannot_help_are_left(void)
{
    struct client_queue queue;

    init(&queue, false);
    (void)add(&queue, false, 1);
    EXPECT_EQ(send_all(&queue, 0), 1);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__BEHIND, false), CLIENT_VERDICT_MOVE);
    EXPECT_EQ(send_all(&queue, LATER), 1);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__NO_CLUSTER, false), CLIENT_VERDICT_OUTSIDE);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(send_all(&queue, (uint64_t)(i + 2) * LATER), 1);
        EXPECT_EQ(answer(&queue, CLIENT__CODE__NO_LEADER, false),
                  i < 2 ? CLIENT_VERDICT_GO_ON : CLIENT_VERDICT_MOVE);
    }
    EXPECT_EQ(told_count, 0);
    client_queue_release(&queue);
}

static void test_an_answer_out_of_turn_is_a_violation(void)
{
    struct client_queue queue;
    Client__Response response = fake_response();
    uint8_t packed[16];
    struct client_answer unpacked;

    init(&queue, false);
    (void)add(&queue, false, 1);
    (void)add(&queue, false, 2);
    EXPECT_EQ(send_all(&queue, 0), 2);
    response.id = 2;
    EXPECT_EQ(client_answer_unpack(bytes_of(packed, client__response__pack(&response, packed)),
                                   &unpacked),
              CONFER_OK);
    EXPECT_EQ(client_queue_answer(&queue, &unpacked, "s:1", 0), CLIENT_VERDICT_VIOLATION);
    client_answer_release(&unpacked);
    client_queue_release(&queue);
}

static void test_a_deadline_takes_the_caller_but_not_the_number(void)
{
    struct client_queue queue;
    struct client_request *sent;
    struct client_request *unsent;

    init(&queue, true);
    sent = add(&queue, true, 1);
    EXPECT_EQ(send_all(&queue, 0), 1);
    unsent = add(&queue, true, 2);
    client_queue_expire(&queue, sent, CONFER_TIMEOUT, NULL);
    client_queue_expire(&queue, unsent, CONFER_TIMEOUT, NULL);
    EXPECT_EQ(told_count, 2);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__BUSY, false), CLIENT_VERDICT_GO_ON);
    EXPECT_EQ(send_all(&queue, LATER), 1);
    EXPECT_EQ(answer(&queue, CLIENT__CODE__OK, true), CLIENT_VERDICT_GO_ON);
    EXPECT_EQ(client_queue_confirmed(&queue), 1);
    EXPECT_EQ(told_count, 2);
    client_queue_release(&queue);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_writes_are_numbered_in_order_and_confirmed_by_their_answers),
        TEST_CASE(test_no_more_writes_are_outstanding_than_the_cluster_keeps),
        TEST_CASE(test_a_refused_try_holds_the_others_until_all_are_answered),
        TEST_CASE(test_a_number_given_back_goes_to_the_next_write),
        TEST_CASE(test_a_refusal_after_an_uncertain_try_is_settled_by_attaching),
        TEST_CASE(test_a_session_that_went_back_is_noticed),
        TEST_CASE(test_a_lost_connection_repeats_reads_and_tells_unnumbered_writes),
        TEST_CASE(test_servers_that_cannot_help_are_left),
        TEST_CASE(test_an_answer_out_of_turn_is_a_violation),
        TEST_CASE(test_a_deadline_takes_the_caller_but_not_the_number),
        TEST_END};
    return test_main("client_queue", cases, argc, argv);
}
