/* What a ZooKeeper client sends stops no server, opens nobody else's session, and shows no secret.
 */
#include "base/prng.h"
#include "tests/support/cluster.h"
#include "tests/support/test.h"
#include "tests/support/zookeeper_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CLOSE_DEADLINE_MS = 30000 };

static struct cluster cluster;

static void expect_sessions_everywhere(void)
{
    for (unsigned id = 1; id <= cluster.server_count; id++) {
        struct zookeeper_session session = {.id = 0};
        struct wire wire;

        EXPECT(!process_wait(&cluster.servers[id].process, 0));
        EXPECT(zookeeper_wire_connect(&wire, cluster.servers[id].address, &session));
        EXPECT(session.timeout_ms > 0);
        wire_close(&wire);
        EXPECT_EQ(wire_set_text(cluster.servers[id].address, "/x", "1"), CLIENT__CODE__OK);
    }
}

static void put_bad_body(struct buffer *body, unsigned way, struct prng *prng)
{
    buffer_clear(body);
    switch (way) {
    case 0: /* empty */
        break;
    case 1: /* cut short in its first length */
        buffer_put(body, bytes_of("\0\0", 2));
        break;
    case 2: /* a negative length, a huge one */
        jute_put_int(body, -2);
        jute_put_int(body, INT32_MAX);
        break;
    case 3: /* a path and nothing behind it */
        jute_put_buffer(body, bytes_of_text("/x"), false);
        break;
    default:
        for (size_t i = 0; i < 60; i++) {
            buffer_put_u8(body, (uint8_t)prng_below(prng, way % 2 == 0 ? 256 : 4));
        }
        break;
    }
}

/* Every operation, and numbers that name none, with bodies that are none of theirs. */
static void test_no_operation_with_a_wrong_body_keeps_sessions_from_being_opened(void)
{
    enum { WAYS = 6, TYPE_MIN = -12, TYPE_MAX = 109 };
    struct buffer body = BUFFER_INIT;
    struct buffer frame = BUFFER_INIT;
    struct prng prng;

    prng_init(&prng, 1);
    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    for (unsigned id = 1; id <= 3; id++) {
        struct zookeeper_session session = {.id = 0};
        struct wire wire = {.socket = -1};

        for (int32_t type = TYPE_MIN; type <= TYPE_MAX; type++) {
            for (unsigned way = 0; way < WAYS; way++) {
                if (wire.socket < 0) {
                    session = (struct zookeeper_session){.id = 0};
                    EXPECT(zookeeper_wire_connect(&wire, cluster.servers[id].address, &session));
                }
                put_bad_body(&body, way, &prng);
                buffer_clear(&frame);
                zookeeper_wire_put_request(&frame, 7, type, buffer_lend(&body));
                (void)wire_send(&wire, buffer_lend(&frame));
                (void)wire_wait_closed(&wire, 0);
            }
        }
        wire_close(&wire);
    }
    expect_sessions_everywhere();
    buffer_release(&body);
    buffer_release(&frame);
    cluster_release(&cluster);
}

static void expect_no_session(int64_t id, struct bytes password)
{
    struct buffer frame = BUFFER_INIT;
    struct wire wire;
    struct reader reader;

    EXPECT(wire_connect(&wire, cluster.servers[1].address));
    zookeeper_wire_put_connect(&frame, id, password, 0, 10000);
    EXPECT(wire_send(&wire, buffer_lend(&frame)));
    EXPECT(zookeeper_wire_receive(&wire, &frame, CLOSE_DEADLINE_MS));
    reader = reader_of(buffer_lend(&frame));
    (void)jute_read_int(&reader);
    EXPECT_EQ(jute_read_int(&reader), 0); /* its timeout: refused */
    EXPECT_EQ(jute_read_long(&reader), 0);
    EXPECT(wire_wait_closed(&wire, CLOSE_DEADLINE_MS));
    buffer_release(&frame);
}

static void test_a_session_is_opened_by_nothing_but_its_password(void)
{
    struct zookeeper_session session = {.id = 0};
    struct zookeeper_session other = {.id = 0};
    uint8_t password[JUTE_PASSWORD_BYTES + 1] = {0};
    struct wire wires[2];
    enum jute_error error = JUTE_ERROR_SYSTEM;

    cluster_init(&cluster, 1);
    cluster_form(&cluster);
    EXPECT(zookeeper_wire_connect(&wires[0], cluster.servers[1].address, &session));
    EXPECT(zookeeper_wire_connect(&wires[1], cluster.servers[1].address, &other));
    EXPECT(memcmp(session.password, other.password, sizeof session.password) != 0);
    expect_no_session(session.id, BYTES_EMPTY);
    expect_no_session(session.id, bytes_of(password, JUTE_PASSWORD_BYTES));
    expect_no_session(session.id, bytes_of(other.password, sizeof other.password));
    expect_no_session(session.id, bytes_of(session.password, sizeof session.password - 1));
    memcpy(password, session.password, sizeof session.password);
    expect_no_session(session.id, bytes_of(password, sizeof password));
    for (size_t bit = 0; bit < 8 * sizeof session.password; bit += 9) {
        password[bit / 8] ^= (uint8_t)(1u << bit % 8);
        expect_no_session(session.id, bytes_of(password, JUTE_PASSWORD_BYTES));
        password[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (int64_t guess = 1; guess < 20; guess++) {
        expect_no_session(session.id + 1000 + guess, bytes_of(password, JUTE_PASSWORD_BYTES));
    }
    EXPECT(zookeeper_wire_call(&wires[0], JUTE_XID_PING, JUTE_TYPE_PING, BYTES_EMPTY, &error));
    EXPECT_EQ(error, JUTE_ERROR_OK);
    wire_close(&wires[0]);
    wire_close(&wires[1]);
    cluster_release(&cluster);
}

static void expect_absent(const char *text, const char *secret)
{
    if (strstr(text, secret) != NULL) {
        (void)printf("found %s\n", secret);
    }
    EXPECT(strstr(text, secret) == NULL);
}

static char *read_file(const char *path)
{
    struct buffer text = BUFFER_INIT;
    FILE *file = fopen(path, "r");
    size_t count = 1;
    size_t size;

    EXPECT(file != NULL);
    while (count > 0) {
        count = fread(buffer_extend(&text, 65536), 1, 65536, file);
        text.size -= 65536 - count;
    }
    (void)fclose(file);
    buffer_put_u8(&text, 0);
    return (char *)buffer_take(&text, &size);
}

/* At the chattiest level, in the log and in every four-letter word. */
static void test_no_secret_is_shown(void)
{
    static const char cluster_secret[] = "never-to-be-seen-of-the-cluster";
    static const char user_secret[] = "never-to-be-seen-of-a-user";
    static const char *const words[] = {"mntr", "cons", "conf", "envi", "dump", "stat", "srvr"};
    struct zookeeper_session session = {.id = 0};
    struct buffer body = BUFFER_INIT;
    enum jute_error error = JUTE_ERROR_SYSTEM;
    char path[512];
    char *text;
    FILE *file;
    struct wire wire;

    cluster_init(&cluster, 1);
    (void)snprintf(path, sizeof path, "%.400s/secret", test_folder());
    file = fopen(path, "w");
    EXPECT(file != NULL && fputs(cluster_secret, file) >= 0 && fclose(file) == 0);
    EXPECT_EQ(chmod(path, 0600), 0);
    cluster.options[0] = "--cluster-secret-file";
    cluster.options[1] = path;
    cluster.options[2] = "--log-level=debug";
    cluster.options[3] = "--four-letter-words=all";
    cluster_form(&cluster);
    EXPECT(zookeeper_wire_connect(&wire, cluster.servers[1].address, &session));
    jute_put_int(&body, 0);
    jute_put_buffer(&body, bytes_of_text("digest"), false);
    jute_put_buffer(&body, bytes_of_text("user:never-to-be-seen-of-a-user"), false);
    EXPECT(zookeeper_wire_call(&wire, JUTE_XID_AUTH, JUTE_TYPE_AUTH, buffer_lend(&body), &error));
    EXPECT_EQ(error, JUTE_ERROR_OK);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct wire asking;
        char answer[65536] = "";

        EXPECT(wire_connect(&asking, cluster.servers[1].address));
        EXPECT(wire_send(&asking, bytes_of_text(words[i])));
        (void)wire_receive(&asking, (uint8_t *)answer, sizeof answer - 1, CLOSE_DEADLINE_MS);
        wire_close(&asking);
        EXPECT(strlen(answer) > 0);
        expect_absent(answer, cluster_secret);
        expect_absent(answer, user_secret);
    }
    text = read_file(cluster.servers[1].log);
    EXPECT_CONTAINS(text, "ready");
    expect_absent(text, cluster_secret);
    expect_absent(text, user_secret);
    free(text);
    wire_close(&wire);
    buffer_release(&body);
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_no_operation_with_a_wrong_body_keeps_sessions_from_being_opened),
        TEST_CASE(test_a_session_is_opened_by_nothing_but_its_password),
        TEST_CASE(test_no_secret_is_shown), TEST_END};
    return test_main("hostile_zookeeper", cases, argc, argv);
}
