#include "server/front/native_decode.h"

#include "base/check.h"
#include "proto/frame.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

static ProtobufCBinaryData binary(const char *text)
{
    union {
        const char *in;
        uint8_t *out;
    } pointer = {.in = text};

    return (ProtobufCBinaryData){.data = pointer.out, .len = strlen(text)};
}

/* Of the connection whose frames are decoded. */
static struct identities identities;

static void pack(const Client__Request *request, struct buffer *frame)
{
    buffer_clear(frame);
    (void)client__request__pack(request,
                                buffer_extend(frame, client__request__get_packed_size(request)));
}

static struct request *decode(const Client__Request *request)
{
    struct buffer frame = BUFFER_INIT;
    struct request *decoded = NULL;
    struct native_refusal refusal;

    pack(request, &frame);
    EXPECT_OK(native_decode(buffer_lend(&frame), &identities, &decoded, &refusal));
    /* Nothing of the frame may be kept. */
    memset(frame.data, 0xff, frame.size);
    buffer_release(&frame);
    return decoded;
}

static enum status decode_bytes(struct bytes frame)
{
    struct request *decoded = NULL;
    struct native_refusal refusal;
    enum status status = native_decode(frame, &identities, &decoded, &refusal);

    if (status == STATUS_OK) {
        request_free(decoded);
    }
    return status;
}

static Client__Request make(Client__Request__BodyCase body_case)
{
    Client__Request request = CLIENT__REQUEST__INIT;

    request.id = 7;
    request.seen_zxid = UINT64_MAX;
    request.body_case = body_case;
    return request;
}

static void expect_head(const struct request *request, enum request_kind kind)
{
    EXPECT_EQ(request->kind, kind);
    EXPECT_EQ(request->id, 7);
    EXPECT_EQ(request->seen_zxid, UINT64_MAX);
}

static void test_reads_are_taken_apart(void)
{
    Client__Get get = CLIENT__GET__INIT;
    Client__List list = CLIENT__LIST__INIT;
    Client__ReadTree tree = CLIENT__READ_TREE__INIT;
    Client__Request wire = make(CLIENT__REQUEST__BODY_GET);
    struct request *request;

    get.path = binary("/app");
    get.level = CLIENT__READ_LEVEL__LINEARIZABLE;
    get.with_acl = true;
    get.stat_only = true;
    wire.get = &get;
    request = decode(&wire);
    expect_head(request, REQUEST_GET);
    EXPECT_BYTES(request->path, bytes_of_text("/app"));
    EXPECT(request->linearizable);
    EXPECT_EQ(request->notes, NATIVE_NOTE_ACL | NATIVE_NOTE_STAT_ONLY);
    request_free(request);

    list.path = binary("/app");
    list.after = binary("name");
    list.count_max = 12;
    list.with_stats = true;
    wire = make(CLIENT__REQUEST__BODY_LIST);
    wire.list = &list;
    request = decode(&wire);
    expect_head(request, REQUEST_LIST);
    EXPECT_BYTES(request->path, bytes_of_text("/app"));
    EXPECT_BYTES(request->page.after, bytes_of_text("name"));
    EXPECT_EQ(request->page.count_max, 12);
    EXPECT(request->page.with_nodes);
    EXPECT(!request->linearizable);
    EXPECT_EQ(request->notes, NATIVE_NOTE_STATS);
    request_free(request);

    tree.path = binary("/");
    tree.after = binary("/a/b");
    tree.depth_max = 3;
    tree.with_values = true;
    wire = make(CLIENT__REQUEST__BODY_READ_TREE);
    wire.read_tree = &tree;
    request = decode(&wire);
    expect_head(request, REQUEST_READ_TREE);
    EXPECT_BYTES(request->page.after, bytes_of_text("/a/b"));
    EXPECT_EQ(request->page.depth_max, 3);
    EXPECT_EQ(request->notes, NATIVE_NOTE_VALUES);
    request_free(request);
}

/* Of a field that occurs twice the last one counts, as protobuf has it. */
static void test_a_get_of_a_later_version_is_understood(void)
{
    /* id 7, get {path, fields 15 and 1000, with_acl, not so, level, stat_only: 2 is true too} */
    static const char frame[] = "\x08\x07\xa2\x01\x13"
                                "\x0a\x02/a"
                                "\x78\x01\xc2\x3e\x02zz"
                                "\x18\x01\x18\x00"
                                "\x10\x01"
                                "\x20\x02";
    struct request *request = NULL;
    struct native_refusal refusal;

    EXPECT_OK(native_decode(bytes_of(frame, sizeof frame - 1), &identities, &request, &refusal));
    EXPECT_EQ(request->kind, REQUEST_GET);
    EXPECT_BYTES(request->path, bytes_of_text("/a"));
    EXPECT(request->linearizable);
    EXPECT_EQ(request->notes, NATIVE_NOTE_STAT_ONLY);
    request_free(request);
}

static void test_sessions_and_watches_are_taken_apart(void)
{
    Client__OpenSession open = CLIENT__OPEN_SESSION__INIT;
    Client__AttachSession attach = CLIENT__ATTACH_SESSION__INIT;
    Client__Watch watch = CLIENT__WATCH__INIT;
    Client__Unwatch unwatch = CLIENT__UNWATCH__INIT;
    Client__Request wire = make(CLIENT__REQUEST__BODY_OPEN_SESSION);
    struct request *request;

    open.timeout_ms = 5000;
    wire.open_session = &open;
    request = decode(&wire);
    expect_head(request, REQUEST_OPEN_SESSION);
    EXPECT_EQ(request->session.timeout_ms, 5000);
    request_free(request);

    attach.session = 99;
    attach.password = binary("0123456789abcdef");
    attach.timeout_ms = 6000;
    wire = make(CLIENT__REQUEST__BODY_ATTACH_SESSION);
    wire.attach_session = &attach;
    request = decode(&wire);
    expect_head(request, REQUEST_ATTACH_SESSION);
    EXPECT_EQ(request->session.session, 99);
    EXPECT_BYTES(request->session.password, bytes_of_text("0123456789abcdef"));
    EXPECT_EQ(request->session.timeout_ms, 6000);
    request_free(request);

    watch.watch = 4;
    watch.path = binary("/app");
    watch.recursive = true;
    watch.from_zxid = 77;
    watch.with_values = true;
    wire = make(CLIENT__REQUEST__BODY_WATCH);
    wire.watch = &watch;
    request = decode(&wire);
    expect_head(request, REQUEST_WATCH);
    EXPECT_BYTES(request->path, bytes_of_text("/app"));
    EXPECT_EQ(request->watch.watch, 4);
    EXPECT_EQ(request->watch.from, 77);
    EXPECT(request->watch.recursive && request->watch.with_values);
    request_free(request);

    unwatch.watch = 4;
    wire = make(CLIENT__REQUEST__BODY_UNWATCH);
    wire.unwatch = &unwatch;
    request = decode(&wire);
    expect_head(request, REQUEST_UNWATCH);
    EXPECT_EQ(request->watch.watch, 4);
    request_free(request);
}

static void expect_empty_body(Client__Request__BodyCase body_case, enum request_kind kind)
{
    Client__Ping nothing = CLIENT__PING__INIT;
    Client__Request wire = make(body_case);
    struct buffer frame = BUFFER_INIT;
    struct request *request = NULL;
    struct native_refusal refusal;

    /* All messages without fields are packed alike; only the number differs. */
    wire.body_case = CLIENT__REQUEST__BODY_PING;
    wire.ping = &nothing;
    pack(&wire, &frame);
    frame.size -= 2;
    buffer_put_u8(&frame, (uint8_t)(((unsigned)body_case << 3 | 2) | 0x80));
    buffer_put_u8(&frame, (uint8_t)((unsigned)body_case >> 4));
    buffer_put_u8(&frame, 0);
    EXPECT_OK(native_decode(buffer_lend(&frame), &identities, &request, &refusal));
    expect_head(request, kind);
    request_free(request);
    buffer_release(&frame);
}

static void test_requests_without_content_are_told_apart(void)
{
    Client__Ping ping = CLIENT__PING__INIT;
    Client__Request wire = make(CLIENT__REQUEST__BODY_PING);
    struct request *request;

    wire.ping = &ping;
    request = decode(&wire);
    expect_head(request, REQUEST_PING);
    request_free(request);
    expect_empty_body(CLIENT__REQUEST__BODY_STATUS, REQUEST_STATUS);
    expect_empty_body(CLIENT__REQUEST__BODY_TRANSFER_LEADER, REQUEST_MEMBERSHIP);
}

static void test_membership_requests_are_kept_as_they_came(void)
{
    Client__NodeAddress address;
    Client__AddLearner add = CLIENT__ADD_LEARNER__INIT;
    Client__Request wire = make(CLIENT__REQUEST__BODY_ADD_LEARNER);
    char text[] = "127.0.0.1:10003";
    struct buffer frame = BUFFER_INIT;
    struct request *request;

    client__node_address__init(&address);
    address.id = 3;
    address.address = text;
    add.node = &address;
    wire.add_learner = &add;
    request = decode(&wire);
    pack(&wire, &frame);
    expect_head(request, REQUEST_MEMBERSHIP);
    EXPECT_BYTES(request->membership.encoded, buffer_lend(&frame));
    request_free(request);
    buffer_release(&frame);
}

/* --- Writes --- */

static void make_set(Record__Operation *operation, Record__Set *set, const char *path)
{
    record__operation__init(operation);
    record__set__init(set);
    set->path = binary(path);
    set->value = binary("value");
    set->version = -1;
    operation->kind_case = RECORD__OPERATION__KIND_SET;
    operation->set = set;
}

static Record__Command *decode_write(Client__Write *write)
{
    Client__Request wire = make(CLIENT__REQUEST__BODY_WRITE);
    struct request *request;
    Record__Command *command;

    wire.write = write;
    request = decode(&wire);
    expect_head(request, REQUEST_WRITE);
    command =
        record__command__unpack(NULL, request->write.command.size, request->write.command.data);
    EXPECT(command != NULL);
    request_free(request);
    return command;
}

static void test_one_operation_becomes_a_command(void)
{
    Record__Operation operation;
    Record__Set set;
    Record__Operation *operations[] = {&operation};
    Client__Write write = CLIENT__WRITE__INIT;
    Record__Command *command;

    make_set(&operation, &set, "/app/db");
    write.operations = operations;
    write.n_operations = 1;
    write.sequence = 1ULL << 40;
    write.confirmed = 3;
    command = decode_write(&write);
    EXPECT_EQ(command->body_case, RECORD__COMMAND__BODY_OPERATION);
    EXPECT_EQ(command->sequence, 1ULL << 40);
    EXPECT_EQ(command->confirmed, 3);
    EXPECT_EQ(command->session, 0);
    EXPECT_EQ(command->generation, 0);
    EXPECT_EQ(command->operation->kind_case, RECORD__OPERATION__KIND_SET);
    EXPECT_EQ(command->operation->set->version, (uint64_t)-1);
    EXPECT_EQ(command->operation->set->path.len, 7);
    record__command__free_unpacked(command, NULL);
}

static void test_several_operations_become_a_transaction_in_order(void)
{
    static const char *const paths[] = {"/a", "/b", "/c"};
    Record__Operation operation[3];
    Record__Set set[3];
    Record__Operation *operations[3];
    Client__Write write = CLIENT__WRITE__INIT;
    Record__Command *command;

    for (size_t i = 0; i < 3; i++) {
        make_set(&operation[i], &set[i], paths[i]);
        operations[i] = &operation[i];
    }
    write.operations = operations;
    write.n_operations = 3;
    command = decode_write(&write);
    EXPECT_EQ(command->body_case, RECORD__COMMAND__BODY_TRANSACTION);
    EXPECT_EQ(command->transaction->n_operations, 3);
    for (size_t i = 0; i < 3; i++) {
        ProtobufCBinaryData path = command->transaction->operations[i]->set->path;

        EXPECT_BYTES(bytes_of(path.data, path.len), bytes_of_text(paths[i]));
    }
    record__command__free_unpacked(command, NULL);

    write.n_operations = 1;
    write.transaction = true;
    command = decode_write(&write);
    EXPECT_EQ(command->body_case, RECORD__COMMAND__BODY_TRANSACTION);
    EXPECT_EQ(command->transaction->n_operations, 1);
    record__command__free_unpacked(command, NULL);
}

/* A client cannot put a session of its choice into the command by fields the protocol lacks. */
static void test_unknown_fields_of_a_write_do_not_reach_the_command(void)
{
    /* Request {id 7, write {operations {set {path "/a"}}, field 15 = 9, field 1000 = "zz"}} */
    static const uint8_t frame[] = {0x08, 7,   0xf2, 0x01, 0x0f, 0x0a, 0x06, 0x12, 0x04, 0x0a,
                                    2,    '/', 'a',  0x78, 0x09, 0xc2, 0x3e, 0x02, 'z',  'z'};
    struct request *request = NULL;
    struct native_refusal refusal;
    Record__Command *command;

    EXPECT_OK(native_decode(bytes_of(frame, sizeof frame), &identities, &request, &refusal));
    command =
        record__command__unpack(NULL, request->write.command.size, request->write.command.data);
    EXPECT(command != NULL);
    EXPECT_EQ(command->base.n_unknown_fields, 0);
    EXPECT_EQ(command->session, 0);
    record__command__free_unpacked(command, NULL);
    request_free(request);
}

/* --- Refusals --- */

static void
expect_refused(const struct buffer *frame, Client__Code code, const char *part_of_message)
{
    struct request *request = NULL;
    struct native_refusal refusal;

    EXPECT_EQ(native_decode(buffer_lend(frame), &identities, &request, &refusal),
              STATUS_UNAVAILABLE);
    EXPECT_EQ(refusal.id, 7);
    EXPECT_EQ(refusal.code, code);
    EXPECT_CONTAINS(refusal.message, part_of_message);
}

static void test_unknown_requests_are_unsupported(void)
{
    struct buffer frame = BUFFER_INIT;
    Client__Request wire = make(CLIENT__REQUEST__BODY__NOT_SET);

    pack(&wire, &frame);
    expect_refused(&frame, CLIENT__CODE__UNSUPPORTED, "does not know");
    buffer_put(&frame, bytes_of("\xc2\x3e\x02zz", 5)); /* field 1000 = "zz" */
    expect_refused(&frame, CLIENT__CODE__UNSUPPORTED, "does not know");
    buffer_release(&frame);
}

static void test_a_write_without_operations_is_refused(void)
{
    struct buffer frame = BUFFER_INIT;
    Client__Write write = CLIENT__WRITE__INIT;
    Client__Request wire = make(CLIENT__REQUEST__BODY_WRITE);

    wire.write = &write;
    pack(&wire, &frame);
    expect_refused(&frame, CLIENT__CODE__BAD_ARGUMENTS, "operation");
    buffer_release(&frame);
}

static void test_requests_above_their_limits_are_refused(void)
{
    struct buffer frame = BUFFER_INIT;
    Client__Get get = CLIENT__GET__INIT;
    Client__Request wire = make(CLIENT__REQUEST__BODY_GET);
    Record__Operation operation;
    Record__Set set;
    Record__Operation *operations[] = {&operation};
    Client__Write write = CLIENT__WRITE__INIT;
    uint8_t *large = calloc(1, STATE_TRANSACTION_BYTES_MAX);

    CHECK(large != NULL);
    get.path = (ProtobufCBinaryData){.data = large, .len = NATIVE_BODY_BYTES_MAX};
    wire.get = &get;
    pack(&wire, &frame);
    expect_refused(&frame, CLIENT__CODE__LIMIT, "64 KiB");

    make_set(&operation, &set, "/a");
    set.value = (ProtobufCBinaryData){.data = large, .len = STATE_TRANSACTION_BYTES_MAX};
    write.operations = operations;
    write.n_operations = 1;
    wire = make(CLIENT__REQUEST__BODY_WRITE);
    wire.write = &write;
    pack(&wire, &frame);
    expect_refused(&frame, CLIENT__CODE__LIMIT, "split");
    free(large);
    buffer_release(&frame);
}

/* So many sets in one write. */
static void pack_sets(size_t count, struct buffer *frame)
{
    static Record__Operation *operations[REQUEST_OPERATIONS_MAX + 1];
    Client__Request wire = make(CLIENT__REQUEST__BODY_WRITE);
    Client__Write write = CLIENT__WRITE__INIT;
    Record__Operation operation;
    Record__Set set;

    make_set(&operation, &set, "/a");
    for (size_t i = 0; i < count; i++) {
        operations[i] = &operation;
    }
    write.operations = operations;
    write.n_operations = count;
    wire.write = &write;
    pack(&wire, frame);
}

static void test_a_write_has_no_more_operations_than_may_hold_others_up(void)
{
    struct buffer frame = BUFFER_INIT;
    struct request *request = NULL;
    struct native_refusal refusal;

    pack_sets(REQUEST_OPERATIONS_MAX + 1, &frame);
    expect_refused(&frame, CLIENT__CODE__LIMIT, "split");
    pack_sets(REQUEST_OPERATIONS_MAX, &frame);
    EXPECT_OK(native_decode(buffer_lend(&frame), &identities, &request, &refusal));
    request_free(request);
    buffer_release(&frame);
}

static void test_unreadable_frames_are_invalid(void)
{
    static const struct {
        const char *bytes;
        size_t size;
    } frames[] = {
        {"", 0},
        {"\x08", 1},                  /* a key without its value */
        {"\x08\x00", 2},              /* id 0 */
        {"\x08\x07\xa2\x01\x05/", 6}, /* longer than the frame */
        {"\x08\x07\xa2\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 14}, /* 2^64-1 long */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12},         /* an endless varint */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11},             /* above 64 bits */
        {"\x08\x07\x03", 3},                                              /* a group */
        {"\x08\x07\x00\x01", 4},                                          /* field number 0 */
        {"\x0a\x00\xa2\x01\x00", 5},                                      /* an id that is a text */
        {"\x08\x07\xa2\x01\x00\xa2\x01\x00", 8},                          /* two bodies */
        {"\x08\x07\xa2\x01\x02\x0a\x05", 7},                              /* Get cut short inside */
        {"\x08\x07\xa2\x01\x02\x08\x05", 7}, /* Get of a path that is a number */
        {"\x08\x07\xa2\x01\x02\x22\x00", 7}, /* Get with a text for stat_only */
        {"\x08\x07\xf2\x01\x02\x0a\x05", 7}, /* Write cut short inside */
        {"\x08\x07\xf2\x01\x02\x08\x05", 7}, /* an operation of a number */
        {"\x08\x07\xf2\x01\x02\x1a\x00", 7}, /* a sequence of text */
        {"\x08\x07\x19\x01", 4},             /* a fixed64 cut short */
    };

    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        EXPECT_EQ(decode_bytes(bytes_of(frames[i].bytes, frames[i].size)), STATUS_INVALID);
    }
}

/* --- Hostile content costs little --- */

static void test_a_write_of_many_empty_operations_takes_its_size_once(void)
{
    struct buffer frame = BUFFER_INIT;
    struct request *request = NULL;
    struct native_refusal refusal;
    uint32_t count = REQUEST_OPERATIONS_MAX;
    uint32_t body = 2 * count;

    buffer_put(&frame, bytes_of("\x08\x07\xf2\x01", 4));
    for (uint32_t rest = body; rest > 0; rest >>= 7) {
        buffer_put_u8(&frame, (uint8_t)((rest & 0x7f) | (rest >= 0x80 ? 0x80 : 0)));
    }
    for (uint32_t i = 0; i < count; i++) {
        buffer_put_u8(&frame, 0x0a);
        buffer_put_u8(&frame, 0);
    }
    EXPECT_OK(native_decode(buffer_lend(&frame), &identities, &request, &refusal));
    EXPECT(request->arena.bytes <= frame.size + 4096);
    request_free(request);
    buffer_release(&frame);
}

static void test_unknown_fields_take_a_bounded_amount(void)
{
    struct buffer frame = BUFFER_INIT;
    struct request *request = NULL;
    struct native_refusal refusal;
    uint32_t body = 60 * 1000;

    buffer_put(&frame, bytes_of("\x08\x07\xa2\x01", 4));
    for (uint32_t rest = body; rest > 0; rest >>= 7) {
        buffer_put_u8(&frame, (uint8_t)((rest & 0x7f) | (rest >= 0x80 ? 0x80 : 0)));
    }
    for (uint32_t i = 0; i < body / 2; i++) {
        buffer_put_u8(&frame, 0x78);
        buffer_put_u8(&frame, 1);
    }
    EXPECT_OK(native_decode(buffer_lend(&frame), &identities, &request, &refusal));
    EXPECT(request->arena.bytes < 8 * 1024 * 1024);
    request_free(request);
    buffer_release(&frame);
}

static enum status authenticate(char *scheme, const char *credentials, Client__Code *ret_code)
{
    Client__Authenticate body = CLIENT__AUTHENTICATE__INIT;
    Client__Request wire = make(CLIENT__REQUEST__BODY_AUTHENTICATE);
    struct buffer frame = BUFFER_INIT;
    struct native_refusal refusal = {.code = CLIENT__CODE__OK};
    struct request *request = NULL;
    enum status status;

    body.scheme = scheme;
    body.credentials = binary(credentials);
    wire.authenticate = &body;
    pack(&wire, &frame);
    status = native_decode(buffer_lend(&frame), &identities, &request, &refusal);
    if (status == STATUS_OK) {
        EXPECT_EQ(request->kind, REQUEST_PING);
        EXPECT_EQ(request->notes, NATIVE_NOTE_IDENTITY);
        EXPECT_EQ(request->id, 7);
        request_free(request);
    }
    *ret_code = refusal.code;
    buffer_release(&frame);
    return status;
}

static void test_identities_are_those_of_zookeeper_clients(void)
{
    char digest[] = "digest";
    char sasl[] = "sasl";
    char name[] = "user00:secret";
    Client__Code code;
    enum status status = STATUS_OK;

    identities_init(&identities, bytes_of_text("10.0.0.1"), "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
    EXPECT_OK(authenticate(digest, "user:secret", &code));
    EXPECT_EQ(identities.count, 2);
    EXPECT_BYTES(identities.items[1].id, bytes_of_text("user:5w9W4eL3797Y4Wq8AcKUPPk8ha4="));
    EXPECT_OK(authenticate(digest, "super:test", &code));
    EXPECT_EQ(identities.count, 4);
    EXPECT_EQ(authenticate(sasl, "token", &code), STATUS_UNAVAILABLE);
    EXPECT_EQ(code, CLIENT__CODE__AUTH_FAILED);
    EXPECT_EQ(authenticate(digest, "", &code), STATUS_UNAVAILABLE);
    EXPECT_EQ(code, CLIENT__CODE__AUTH_FAILED);
    for (size_t i = 0; i < STATE_IDENTITIES_MAX; i++) {
        name[5] = (char)('a' + (int)i);
        status = authenticate(digest, name, &code);
    }
    EXPECT_EQ(status, STATUS_UNAVAILABLE);
    EXPECT_EQ(code, CLIENT__CODE__AUTH_FAILED);
    EXPECT_EQ(identities.count, STATE_IDENTITIES_MAX);
    EXPECT_BYTES(identities.items[0].scheme, bytes_of_text("ip"));
    EXPECT_BYTES(identities.items[0].id, bytes_of_text("10.0.0.1"));
    EXPECT_BYTES(identities.items[1].id, bytes_of_text("user:5w9W4eL3797Y4Wq8AcKUPPk8ha4="));
    EXPECT_BYTES(identities.items[2].scheme, bytes_of_text("super"));
    identities_release(&identities);
    memset(&identities, 0, sizeof identities);
}

static void test_every_prefix_and_flip_of_a_write_is_survived(void)
{
    Record__Operation operation[2];
    Record__Set set[2];
    Record__Operation *operations[2] = {&operation[0], &operation[1]};
    Client__Write write = CLIENT__WRITE__INIT;
    Client__Request wire = make(CLIENT__REQUEST__BODY_WRITE);
    struct buffer frame = BUFFER_INIT;

    make_set(&operation[0], &set[0], "/a");
    make_set(&operation[1], &set[1], "/b");
    write.operations = operations;
    write.n_operations = 2;
    wire.write = &write;
    pack(&wire, &frame);
    for (size_t size = 0; size < frame.size; size++) {
        EXPECT(decode_bytes(bytes_of(frame.data, size)) != STATUS_OK);
    }
    for (size_t at = 0; at < frame.size; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            frame.data[at] ^= (uint8_t)(1U << bit);
            (void)decode_bytes(buffer_lend(&frame));
            frame.data[at] ^= (uint8_t)(1U << bit);
        }
    }
    EXPECT_OK(decode_bytes(buffer_lend(&frame)));
    buffer_release(&frame);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_reads_are_taken_apart),
        TEST_CASE(test_a_get_of_a_later_version_is_understood),
        TEST_CASE(test_sessions_and_watches_are_taken_apart),
        TEST_CASE(test_requests_without_content_are_told_apart),
        TEST_CASE(test_membership_requests_are_kept_as_they_came),
        TEST_CASE(test_one_operation_becomes_a_command),
        TEST_CASE(test_several_operations_become_a_transaction_in_order),
        TEST_CASE(test_unknown_fields_of_a_write_do_not_reach_the_command),
        TEST_CASE(test_unknown_requests_are_unsupported),
        TEST_CASE(test_a_write_without_operations_is_refused),
        TEST_CASE(test_requests_above_their_limits_are_refused),
        TEST_CASE(test_a_write_has_no_more_operations_than_may_hold_others_up),
        TEST_CASE(test_unreadable_frames_are_invalid),
        TEST_CASE(test_a_write_of_many_empty_operations_takes_its_size_once),
        TEST_CASE(test_unknown_fields_take_a_bounded_amount),
        TEST_CASE(test_identities_are_those_of_zookeeper_clients),
        TEST_CASE(test_every_prefix_and_flip_of_a_write_is_survived),
        TEST_END};

    return test_main("native_decode", cases, argc, argv);
}
