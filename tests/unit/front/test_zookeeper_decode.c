#include "server/front/zookeeper_decode.h"

#include "proto/record.pb-c.h"
#include "tests/support/test.h"

static struct buffer frame;
static struct identities identities;

static void begin(int32_t type)
{
    buffer_clear(&frame);
    jute_put_int(&frame, 7);
    jute_put_int(&frame, type);
}

static void put_text(const char *text)
{
    jute_put_buffer(&frame, bytes_of_text(text), false);
}

static void put_acl(const char *scheme, const char *id)
{
    const struct jute_acl_entry entry = {
        .permissions = 31, .scheme = bytes_of_text(scheme), .id = bytes_of_text(id)};

    jute_put_int(&frame, 1);
    jute_put_acl_entry(&frame, &entry);
}

static void put_create(int32_t type, int32_t flags)
{
    begin(type);
    put_text("/a");
    put_text("value");
    put_acl("world", "anyone");
    jute_put_int(&frame, flags);
}

static struct request *decoded(struct bytes bytes)
{
    struct request *request = NULL;

    EXPECT_OK(zookeeper_decode(bytes, &identities, &request));
    return request;
}

static Record__Command *command_of(const struct request *request)
{
    Record__Command *command =
        record__command__unpack(NULL, request->write.command.size, request->write.command.data);

    EXPECT_EQ(request->kind, REQUEST_WRITE);
    EXPECT(command != NULL);
    return command;
}

/* Each shorter frame is refused in its turn, and harms nobody; one without a header ends all. */
static void expect_refused_when_cut(void)
{
    for (size_t cut = 0; cut < frame.size; cut++) {
        struct request *request = NULL;

        if (cut < 8) {
            EXPECT_EQ(zookeeper_decode(bytes_of(frame.data, cut), &identities, &request),
                      STATUS_INVALID);
            continue;
        }
        request = decoded(bytes_of(frame.data, cut));
        EXPECT_EQ(request->kind, REQUEST_PING);
        EXPECT_EQ(zookeeper_details_of(request)->refusal, JUTE_ERROR_MARSHALLING);
        EXPECT(!zookeeper_details_of(request)->closes);
        request_free(request);
    }
}

static void start(void)
{
    identities_init(&identities, bytes_of_text("10.0.0.1"), "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
}

static void stop(void)
{
    identities_release(&identities);
    buffer_release(&frame);
}

static void test_a_frame_cut_anywhere_is_refused_in_its_turn(void)
{
    start();
    put_create(JUTE_TYPE_CREATE, 3);
    expect_refused_when_cut();
    put_create(JUTE_TYPE_CREATE_TTL, 5);
    jute_put_long(&frame, 1000);
    expect_refused_when_cut();
    begin(JUTE_TYPE_SET_DATA);
    put_text("/a");
    put_text("value");
    jute_put_int(&frame, -1);
    expect_refused_when_cut();
    begin(JUTE_TYPE_SET_ACL);
    put_text("/a");
    put_acl("ip", "10.0.0.0/8");
    jute_put_int(&frame, 0);
    expect_refused_when_cut();
    begin(JUTE_TYPE_GET_DATA);
    put_text("/a");
    jute_put_bool(&frame, true);
    expect_refused_when_cut();
    begin(JUTE_TYPE_AUTH);
    jute_put_int(&frame, 0);
    put_text("digest");
    put_text("u:p");
    expect_refused_when_cut();
    EXPECT_EQ(identities.count, 1); /* the address alone */
    stop();
}

static void test_flags_that_do_not_fit_the_type_are_the_states_to_refuse(void)
{
    static const struct {
        int32_t type;
        int32_t flags;
        int mode; /* -1 = no legal one */
    } rows[] = {
        {JUTE_TYPE_CREATE, 0, 0},           {JUTE_TYPE_CREATE_2, 3, 3},
        {JUTE_TYPE_CREATE, 4, 0},           {JUTE_TYPE_CREATE, 5, -1},
        {JUTE_TYPE_CREATE, -1, -1},         {JUTE_TYPE_CREATE_CONTAINER, 0, 4},
        {JUTE_TYPE_CREATE_CONTAINER, 4, 4}, {JUTE_TYPE_CREATE_CONTAINER, 5, -1},
        {JUTE_TYPE_CREATE_TTL, 0, -1},      {JUTE_TYPE_CREATE_TTL, 6, 6},
    };

    start();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct request *request;
        Record__Command *command;

        put_create(rows[i].type, rows[i].flags);
        if (rows[i].type == JUTE_TYPE_CREATE_TTL) {
            jute_put_long(&frame, 1000);
        }
        request = decoded(buffer_lend(&frame));
        command = command_of(request);
        if (rows[i].mode >= 0) {
            EXPECT_EQ(command->operation->create->mode, rows[i].mode);
        } else {
            EXPECT((int)command->operation->create->mode >
                   RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL_TTL);
        }
        record__command__free_unpacked(command, NULL);
        request_free(request);
    }
    stop();
}

enum { REFUSED = -1 };

/* Entries of the list that a create with this one is proposed with; REFUSED: by the state. */
static int entries_for(const char *scheme, const char *id)
{
    struct request *request;
    Record__Command *command;
    int count;

    begin(JUTE_TYPE_CREATE);
    put_text("/a");
    put_text("");
    put_acl(scheme, id);
    jute_put_int(&frame, 0);
    request = decoded(buffer_lend(&frame));
    command = command_of(request);
    count = (int)command->operation->create->n_acl;
    if (count == 1 && command->operation->create->acl[0]->scheme.len == 0) {
        count = REFUSED;
    }
    record__command__free_unpacked(command, NULL);
    request_free(request);
    return count;
}

static void authenticate(const char *scheme, const char *credentials, enum jute_error expected)
{
    struct request *request;

    begin(JUTE_TYPE_AUTH);
    jute_put_int(&frame, 0);
    put_text(scheme);
    put_text(credentials);
    request = decoded(buffer_lend(&frame));
    EXPECT_EQ((uint32_t)zookeeper_details_of(request)->refusal, (uint32_t)expected);
    EXPECT(zookeeper_details_of(request)->closes == (expected != JUTE_ERROR_OK));
    request_free(request);
}

static struct request *decode_checks(size_t count)
{
    begin(JUTE_TYPE_MULTI);
    for (size_t i = 0; i < count; i++) {
        jute_put_multi_header(&frame,
                              (struct jute_multi_header){.type = JUTE_TYPE_CHECK, .error = -1});
        put_text("/a");
        jute_put_int(&frame, -1);
    }
    jute_put_multi_header(&frame,
                          (struct jute_multi_header){.type = -1, .done = true, .error = -1});
    return decoded(buffer_lend(&frame));
}

static void test_a_multi_has_no_more_operations_than_may_hold_others_up(void)
{
    struct request *request;

    start();
    request = decode_checks(REQUEST_OPERATIONS_MAX);
    EXPECT_EQ(request->kind, REQUEST_WRITE);
    request_free(request);
    request = decode_checks(REQUEST_OPERATIONS_MAX + 1);
    EXPECT_EQ(request->kind, REQUEST_PING);
    EXPECT_EQ(zookeeper_details_of(request)->refusal, JUTE_ERROR_BAD_ARGUMENTS);
    EXPECT(!zookeeper_details_of(request)->closes);
    request_free(request);
    stop();
}

static void test_identities_gather(void)
{
    start();
    authenticate("digest", "u:p", JUTE_ERROR_OK);
    authenticate("digest", "super:test", JUTE_ERROR_OK);
    EXPECT_EQ(identities.count, 4); /* ip, u, super, and super's digest */
    authenticate("ip", "", JUTE_ERROR_OK);
    EXPECT_EQ(identities.count, 4);
    authenticate("world", "anyone", JUTE_ERROR_AUTH_FAILED);
    authenticate("sasl", "x", JUTE_ERROR_AUTH_FAILED);
    authenticate("digest", "", JUTE_ERROR_AUTH_FAILED);
    stop();
}

static void test_ids_that_mean_nothing_are_illegal(void)
{
    start();
    EXPECT_EQ(entries_for("world", "anyone"), 0); /* which says the same */
    EXPECT_EQ(entries_for("auth", "ignored"), 1); /* the state knows who that is */
    EXPECT_EQ(entries_for("world", "somebody"), REFUSED);
    EXPECT_EQ(entries_for("ip", "10.0.0.0/8"), 1);
    EXPECT_EQ(entries_for("ip", "10.0.0.0/33"), REFUSED);
    EXPECT_EQ(entries_for("ip", "::1"), 1);
    EXPECT_EQ(entries_for("digest", "u:hash"), 1);
    EXPECT_EQ(entries_for("digest", "u"), REFUSED);
    EXPECT_EQ(entries_for("digest", "u:"), REFUSED);
    EXPECT_EQ(entries_for("digest", "u:a:b"), REFUSED);
    EXPECT_EQ(entries_for("x509", "CN=a"), REFUSED);
    EXPECT_EQ(entries_for("super", ""), REFUSED);
    stop();
}

static void test_what_is_unknown_is_answered_so_and_ends_the_connection(void)
{
    static const int32_t types[] = {0, 10, JUTE_TYPE_CHECK, 20, 23, 99, -10, -1, INT32_MAX};

    start();
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct request *request;

        begin(types[i]);
        request = decoded(buffer_lend(&frame));
        EXPECT_EQ((uint32_t)zookeeper_details_of(request)->refusal,
                  (uint32_t)JUTE_ERROR_UNIMPLEMENTED);
        EXPECT(zookeeper_details_of(request)->closes);
        request_free(request);
    }
    stop();
}

static void test_a_blank_prefix_of_ephemerals_is_every_path(void)
{
    static const struct {
        const char *prefix;
        const char *asked;
    } rows[] = {{"", ""}, {" \t", ""}, {"/", ""}, {"/a", "/a"}, {"a", "a"}, {"/ ", "/ "}};

    start();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct request *request;

        begin(JUTE_TYPE_GET_EPHEMERALS);
        put_text(rows[i].prefix);
        request = decoded(buffer_lend(&frame));
        EXPECT_EQ(request->kind, REQUEST_EPHEMERALS);
        EXPECT_BYTES(request->path, bytes_of_text(rows[i].asked));
        request_free(request);
        expect_refused_when_cut();
    }
    begin(JUTE_TYPE_GET_ALL_CHILDREN_NUMBER);
    put_text("/a");
    expect_refused_when_cut();
    stop();
}

static void
put_reconfig(const char *joining, const char *leaving, const char *members, int64_t version)
{
    const char *const texts[] = {joining, leaving, members};

    begin(JUTE_TYPE_RECONFIG);
    for (size_t i = 0; i < 3; i++) {
        jute_put_buffer(&frame, bytes_of_text(texts[i] == NULL ? "" : texts[i]), texts[i] == NULL);
    }
    jute_put_long(&frame, version);
}

static void test_reconfig_says_which_members_are_wanted(void)
{
    struct request *request;

    start();
    put_reconfig("server.4=a:1:1:observer;2", "3", NULL, 77);
    expect_refused_when_cut();
    request = decoded(buffer_lend(&frame));
    EXPECT_EQ(request->kind, REQUEST_RECONFIGURE);
    EXPECT(request->linearizable);
    EXPECT_BYTES(request->path, bytes_of_text("/zookeeper/config"));
    EXPECT(!request->membership.wanted.replaces);
    EXPECT_EQ(request->membership.wanted.server_count, 1);
    EXPECT_EQ(request->membership.wanted.leaving_count, 1);
    EXPECT(request->membership.wanted.has_version);
    EXPECT_EQ(request->membership.wanted.version, 77);
    request_free(request);
    /* The members as a whole count more than changes, as in ZooKeeper. */
    put_reconfig("server.4=a:1:1:observer;2", "3", "server.1=a:1:1;2", -1);
    request = decoded(buffer_lend(&frame));
    EXPECT(request->membership.wanted.replaces);
    EXPECT_EQ(request->membership.wanted.servers[0].id, 1);
    EXPECT_EQ(request->membership.wanted.leaving_count, 0);
    EXPECT(!request->membership.wanted.has_version);
    request_free(request);
    /* Illegal ones are refused in their place. */
    put_reconfig("server.4", NULL, NULL, -1);
    request = decoded(buffer_lend(&frame));
    EXPECT_EQ(request->kind, REQUEST_RECONFIGURE);
    EXPECT(request->membership.wanted.is_illegal);
    request_free(request);
    stop();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_frame_cut_anywhere_is_refused_in_its_turn),
        TEST_CASE(test_flags_that_do_not_fit_the_type_are_the_states_to_refuse),
        TEST_CASE(test_a_multi_has_no_more_operations_than_may_hold_others_up),
        TEST_CASE(test_identities_gather),
        TEST_CASE(test_ids_that_mean_nothing_are_illegal),
        TEST_CASE(test_a_blank_prefix_of_ephemerals_is_every_path),
        TEST_CASE(test_reconfig_says_which_members_are_wanted),
        TEST_CASE(test_what_is_unknown_is_answered_so_and_ends_the_connection),
        TEST_END};
    return test_main("zookeeper_decode", cases, argc, argv);
}
