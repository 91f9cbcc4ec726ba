#include "server/net/entrance.h"

#include "server/net/listener.h"
#include "tests/support/cluster.h"
#include "tests/unit/net/net_lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { FAR_MAX = 64 };

/* A listener with an entrance behind it, and the far ends of connections to it. */
struct house {
    struct lab lab;
    struct listener *listener;
    struct entrance *entrance;
    struct socket_address address;
    char text[ADDRESS_TEXT_BYTES_MAX];
    int far[FAR_MAX];
    size_t far_count;
    unsigned clients;
    unsigned peers;
};

static void on_closed(void *context, struct connection *connection, const char *reason)
{
    (void)context;
    (void)connection;
    (void)reason;
}

static void on_frame(void *context, struct connection *connection, struct bytes body)
{
    (void)context;
    (void)connection;
    (void)body;
}

static const struct connection_handler owner = {.on_frame = on_frame, .on_closed = on_closed};

static void on_client(void *context, struct connection *connection, enum frame_protocol protocol)
{
    struct house *house = context;

    EXPECT_EQ(protocol, FRAME_PROTOCOL_CLIENT);
    house->clients++;
    connection_set_protocol(connection, FRAME_PROTOCOL_CLIENT, FRAME_CLIENT_BYTES_MAX);
    connection_set_handler(connection, &owner, house);
    connection_set_state(connection, CONNECTION_OPEN);
}

static void on_peer(void *context, struct connection *connection)
{
    struct house *house = context;

    house->peers++;
    connection_set_handler(connection, &owner, house);
    connection_set_state(connection, CONNECTION_HANDSHAKE);
}

static const struct entrance_handler handler = {.on_client = on_client, .on_peer = on_peer};

static void on_accept(void *context, int socket, const struct socket_address *remote)
{
    entrance_take(((struct house *)context)->entrance, socket, remote);
}

static void house_open(struct house *house, const struct entrance_options *options)
{
    const unsigned port = cluster_free_port();
    struct error error;

    memset(house, 0, sizeof *house);
    lab_init(&house->lab, NULL);
    (void)snprintf(house->text, sizeof house->text, "127.0.0.1:%u", port);
    EXPECT_OK(listener_open(house->lab.base, house->text, &house->listener, &error));
    house->address = lab_loopback((uint16_t)port);
    house->entrance = entrance_new(&house->lab.loop, options, &handler, house);
    listener_accept(house->listener, on_accept, house);
}

static void hang_up(struct house *house)
{
    for (size_t i = 0; i < house->far_count; i++) {
        (void)close(house->far[i]);
    }
    house->far_count = 0;
}

static void house_close(struct house *house)
{
    listener_close(house->listener);
    hang_up(house);
    LAB_UNTIL(&house->lab, house->lab.loop.count == 0);
    entrance_free(house->entrance);
    lab_release(&house->lab);
}

/* Connect and say something. */
static int call(struct house *house, struct bytes words)
{
    int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(made >= 0 && house->far_count < FAR_MAX);
    CHECK(connect(made, &house->address.as.any, house->address.size) == 0);
    CHECK(fcntl(made, F_SETFL, O_NONBLOCK) == 0);
    house->far[house->far_count++] = made;
    lab_write(&house->lab, made, words);
    return made;
}

static bool is_closed(int socket)
{
    uint8_t byte;
    ssize_t count = read(socket, &byte, 1);

    return count == 0 || (count < 0 && errno == ECONNRESET);
}

static struct bytes client_words(void)
{
    return bytes_of(frame_client_preface, FRAME_PREFACE_BYTES);
}

static struct bytes peer_words(void)
{
    return bytes_of(frame_peer_preface, FRAME_PREFACE_BYTES);
}

static struct entrance_options usual(void)
{
    return (struct entrance_options){
        .clients_max = 100, .clients_per_address_max = 100, .strangers_max = 100};
}

static void test_clients_and_peers_are_told_apart(void)
{
    const struct entrance_options options = usual();
    struct house house;
    int stranger;

    house_open(&house, &options);
    (void)call(&house, client_words());
    (void)call(&house, peer_words());
    stranger = call(&house, bytes_of_text("GET / HTTP/1.1\r\n"));
    LAB_UNTIL(&house.lab, house.clients == 1 && house.peers == 1 && is_closed(stranger));
    LAB_UNTIL(&house.lab, entrance_connection_count(house.entrance) == 2);
    EXPECT_EQ(entrance_client_count(house.entrance), 1);
    house_close(&house);
}

/* Two clients fit; peers do not count, and who hung up does not any more. */
static void expect_two_clients(const struct entrance_options *options)
{
    struct house house;
    int third;

    house_open(&house, options);
    (void)call(&house, client_words());
    (void)call(&house, client_words());
    LAB_UNTIL(&house.lab, house.clients == 2);
    third = call(&house, client_words());
    LAB_UNTIL(&house.lab, is_closed(third));
    EXPECT_EQ(entrance_refused_count(house.entrance), 1);
    (void)call(&house, peer_words());
    LAB_UNTIL(&house.lab, house.peers == 1);
    EXPECT_EQ(entrance_refused_count(house.entrance), 1);
    hang_up(&house);
    LAB_UNTIL(&house.lab, entrance_connection_count(house.entrance) == 0);
    EXPECT_EQ(entrance_client_count(house.entrance), 0);
    (void)call(&house, client_words());
    LAB_UNTIL(&house.lab, house.clients == 3);
    house_close(&house);
}

static void test_more_clients_than_allowed_are_turned_away_and_peers_are_not(void)
{
    struct entrance_options options = usual();

    options.clients_max = 2;
    expect_two_clients(&options);
}

static void test_one_address_has_so_many_clients_and_peers_are_not_counted(void)
{
    struct entrance_options options = usual();

    options.clients_per_address_max = 2;
    expect_two_clients(&options);
}

/* A flood of silent connections drives out its own, and last of them a server's handshake. */
static void test_a_handshake_outlasts_silent_connections_of_its_address(void)
{
    struct entrance_options options = usual();
    struct house house;
    int silent;
    int peer;

    options.strangers_max = 3 * ENTRANCE_STRANGER_SHARES;
    house_open(&house, &options);
    peer = call(&house, peer_words());
    LAB_UNTIL(&house.lab, house.peers == 1);
    silent = call(&house, BYTES_EMPTY);
    LAB_UNTIL(&house.lab, entrance_connection_count(house.entrance) == 2);
    for (unsigned i = 0; i < 10; i++) {
        (void)call(&house, BYTES_EMPTY);
        LAB_UNTIL(&house.lab, entrance_connection_count(house.entrance) <= 3);
    }
    LAB_UNTIL(&house.lab, is_closed(silent) && entrance_refused_count(house.entrance) == 9);
    EXPECT(!is_closed(peer));
    house_close(&house);
}

static void test_the_oldest_stranger_gives_way(void)
{
    struct entrance_options options = usual();
    struct house house;
    int first;
    int second;

    options.strangers_max = 2 * ENTRANCE_STRANGER_SHARES;
    house_open(&house, &options);
    first = call(&house, BYTES_EMPTY);
    LAB_UNTIL(&house.lab, entrance_connection_count(house.entrance) == 1);
    second = call(&house, bytes_of_text("CONF"));
    LAB_UNTIL(&house.lab, entrance_connection_count(house.entrance) == 2);
    (void)call(&house, client_words());
    LAB_UNTIL(&house.lab, is_closed(first) && house.clients == 1);
    EXPECT(!is_closed(second));
    lab_write(&house.lab, second, bytes_of_text("ERC\001"));
    LAB_UNTIL(&house.lab, house.clients == 2);
    house_close(&house);
}

/* --- The listener --- */

static void test_a_port_in_use_is_named(void)
{
    const struct entrance_options options = usual();
    struct house house;
    struct listener *second = NULL;
    struct error error;

    house_open(&house, &options);
    EXPECT_EQ(listener_open(house.lab.base, house.text, &second, &error), STATUS_EXISTS);
    EXPECT_CONTAINS(error.text, house.text);
    EXPECT_CONTAINS(error.text, "--listen");
    house_close(&house);
}

static void test_a_foreign_address_is_refused(void)
{
    struct lab lab;
    struct listener *listener = NULL;
    struct error error;

    lab_init(&lab, NULL);
    EXPECT_EQ(listener_open(lab.base, "192.0.2.1:10001", &listener, &error), STATUS_INVALID);
    EXPECT_CONTAINS(error.text, "0.0.0.0");
    EXPECT_EQ(listener_open(lab.base, "192.0.2.1", &listener, &error), STATUS_INVALID);
    lab_release(&lab);
}

static void test_without_descriptors_accepting_pauses_and_goes_on(void)
{
    const struct entrance_options options = usual();
    struct house house;
    struct rlimit before;
    struct rlimit now;
    int probe;
    int waiting;

    house_open(&house, &options);
    (void)call(&house, client_words());
    LAB_UNTIL(&house.lab, house.clients == 1);
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    probe = dup(0);
    CHECK(probe >= 0);
    (void)close(probe);
    /* One more descriptor: the caller's end. None is left for ours. */
    now = before;
    now.rlim_cur = (rlim_t)probe + 1;
    CHECK(setrlimit(RLIMIT_NOFILE, &now) == 0);
    waiting = call(&house, client_words());
    LAB_UNTIL(&house.lab, listener_is_paused(house.listener));
    LAB_UNTIL(&house.lab, is_closed(waiting));
    EXPECT_EQ(house.clients, 1);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    (void)call(&house, client_words());
    LAB_UNTIL(&house.lab, house.clients == 2 && !listener_is_paused(house.listener));
    house_close(&house);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_clients_and_peers_are_told_apart),
        TEST_CASE(test_more_clients_than_allowed_are_turned_away_and_peers_are_not),
        TEST_CASE(test_one_address_has_so_many_clients_and_peers_are_not_counted),
        TEST_CASE(test_a_handshake_outlasts_silent_connections_of_its_address),
        TEST_CASE(test_the_oldest_stranger_gives_way),
        TEST_CASE(test_a_port_in_use_is_named),
        TEST_CASE(test_a_foreign_address_is_refused),
        TEST_CASE(test_without_descriptors_accepting_pauses_and_goes_on),
        TEST_END};

    return test_main("entrance", cases, argc, argv);
}
