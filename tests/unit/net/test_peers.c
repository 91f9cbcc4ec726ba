#include "server/net/entrance.h"
#include "server/net/listener.h"
#include "server/net/peers.h"
#include "tests/support/cluster.h"
#include "tests/unit/net/net_lab.h"

#include <stdio.h>
#include <stdlib.h>

enum { SERVERS_MAX = 4 };

/* One server: everything of net that it has, with a node that notes what it is told. */
struct station {
    struct lab *lab;
    uint64_t id;
    struct handshake_identity identity;
    char address[ADDRESS_TEXT_BYTES_MAX];
    struct listener *listener;
    struct entrance *entrance;
    struct resolver *resolver;
    struct peers *peers;
    const char *refusal; /* of node_admit; NULL = admit */
    unsigned admitted;
    bool knew_us;
    uint64_t stale; /* the peer whose folder is not recognized; 0 = none */
    unsigned superseded;
    char unreachable[300]; /* why, as said last */
    unsigned up[SERVERS_MAX];
    unsigned down[SERVERS_MAX];
    unsigned bulk_up[SERVERS_MAX];
    unsigned bulk_down[SERVERS_MAX];
    struct buffer heard[SERVERS_MAX]; /* messages, one after the other */
    struct buffer bulk_heard[SERVERS_MAX];
    enum status message_status;
    uint64_t asked; /* the last probe that came */
    unsigned asked_count;
    bool answers;
    unsigned answer_count;
    uint64_t answer_token;
    enum status answer_status;
    uint64_t answer_from;
    char answer_text[200];
};

static bool on_admit(void *context,
                     const struct handshake_identity *from,
                     Peer__Channel channel,
                     bool knows_our_incarnation,
                     char refusal[ERROR_TEXT_BYTES_MAX])
{
    struct station *station = context;

    (void)from;
    (void)channel;
    station->admitted++;
    station->knew_us = knows_our_incarnation;
    if (station->refusal != NULL) {
        (void)snprintf(refusal, ERROR_TEXT_BYTES_MAX, "%s", station->refusal);
    }
    return station->refusal == NULL;
}

static bool on_recognize(void *context,
                         const struct handshake_identity *from,
                         char refusal[ERROR_TEXT_BYTES_MAX])
{
    const struct station *station = context;
    bool is_stale = from->id == station->stale;

    if (is_stale) {
        (void)snprintf(refusal, ERROR_TEXT_BYTES_MAX, "an old copy");
    }
    return !is_stale;
}

static void on_superseded(void *context, uint64_t peer, const char *reason)
{
    struct station *station = context;

    (void)peer;
    EXPECT_CONTAINS(reason, "an old copy");
    station->superseded++;
}

static void on_unreachable(void *context, uint64_t peer, const char *reason)
{
    struct station *station = context;

    (void)peer;
    (void)snprintf(station->unreachable, sizeof station->unreachable, "%s", reason);
}

static void on_up(void *context, uint64_t peer)
{
    ((struct station *)context)->up[peer]++;
}

static void on_down(void *context, uint64_t peer)
{
    ((struct station *)context)->down[peer]++;
}

static enum status on_message(void *context, uint64_t peer, struct bytes message)
{
    struct station *station = context;

    buffer_put(&station->heard[peer], message);
    return station->message_status;
}

static void on_bulk_up(void *context, uint64_t peer)
{
    ((struct station *)context)->bulk_up[peer]++;
}

static void on_bulk_down(void *context, uint64_t peer)
{
    ((struct station *)context)->bulk_down[peer]++;
}

static enum status on_bulk_message(void *context, uint64_t peer, struct bytes message)
{
    struct station *station = context;

    buffer_put(&station->bulk_heard[peer], message);
    return STATUS_OK;
}

static enum status on_probe(void *context, uint64_t probe, struct bytes message)
{
    struct station *station = context;

    station->asked = probe;
    station->asked_count++;
    if (!bytes_equal(message, bytes_of_text("who are you"))) {
        return STATUS_INVALID;
    }
    if (station->answers) {
        peers_probe_reply(station->peers, probe, bytes_of_text("an answer"));
    }
    return STATUS_OK;
}

static void on_probe_answer(void *context,
                            uint64_t token,
                            enum status status,
                            const struct handshake_identity *identity,
                            struct bytes message,
                            const char *text)
{
    struct station *station = context;

    station->answer_count++;
    station->answer_token = token;
    station->answer_status = status;
    station->answer_from = identity != NULL ? identity->id : 0;
    if (status == STATUS_OK) {
        EXPECT_BYTES(message, bytes_of_text("an answer"));
    } else {
        (void)snprintf(station->answer_text, sizeof station->answer_text, "%s", text);
    }
}

static const struct peers_handler handler = {
    .admit = on_admit,
    .recognize = on_recognize,
    .on_superseded = on_superseded,
    .on_unreachable = on_unreachable,
    .on_up = on_up,
    .on_down = on_down,
    .on_message = on_message,
    .on_bulk_up = on_bulk_up,
    .on_bulk_down = on_bulk_down,
    .on_bulk_message = on_bulk_message,
    .probes = {.on_probe = on_probe, .on_answer = on_probe_answer}};

static void on_client(void *context, struct connection *connection, enum frame_protocol protocol)
{
    (void)context;
    (void)protocol;
    connection_close(connection, "no clients here");
}

static void on_peer(void *context, struct connection *connection)
{
    peers_accept(((struct station *)context)->peers, connection);
}

static const struct entrance_handler entrance_handler = {.on_client = on_client,
                                                         .on_peer = on_peer};

static void on_accept(void *context, int socket, const struct socket_address *remote)
{
    entrance_take(((struct station *)context)->entrance, socket, remote);
}

static struct handshake_identity self(void *context)
{
    return ((struct station *)context)->identity;
}

static void start_peers(struct station *station, const char *secret)
{
    const struct peers_options options = {.world = {.loop = &station->lab->loop,
                                                    .policy = {.secret = bytes_of_text(secret)},
                                                    .self = self,
                                                    .self_context = station},
                                          .dial_ms = 3000,
                                          .backoff_ms_min = 5,
                                          .backoff_ms_max = 20,
                                          .unnamed_max = 1,
                                          .seed = station->id};
    const struct entrance_options entrance = {
        .clients_max = 10, .clients_per_address_max = 1000, .strangers_max = 100};

    station->peers = peers_new(&options, station->resolver, &handler, station);
    station->entrance = entrance_new(&station->lab->loop, &entrance, &entrance_handler, station);
    listener_accept(station->listener, on_accept, station);
}

static void station_start(struct station *station, struct lab *lab, uint64_t id, const char *secret)
{
    struct error error;

    memset(station, 0, sizeof *station);
    station->lab = lab;
    station->id = id;
    station->answers = true;
    station->identity = (struct handshake_identity){.id = id,
                                                    .has_cluster = true,
                                                    .cluster_id = {0xcc},
                                                    .format = HANDSHAKE_FORMAT,
                                                    .start_count = 1,
                                                    .start_known = 1};
    memset(station->identity.incarnation, (int)id, HANDSHAKE_ID_BYTES);
    EXPECT_OK(resolver_new(lab->base, &station->resolver, &error));
    (void)snprintf(station->address, sizeof station->address, "127.0.0.1:%u", cluster_free_port());
    EXPECT_OK(listener_open(lab->base, station->address, &station->listener, &error));
    start_peers(station, secret);
}

static void station_stop(struct station *station)
{
    listener_close(station->listener);
    peers_close(station->peers, "the station stops");
    entrance_close_strangers(station->entrance, "the station stops");
}

/* After the loop reported what was closed. */
static void station_free(struct station *station)
{
    peers_free(station->peers);
    entrance_free(station->entrance);
    resolver_free(station->resolver);
    for (size_t i = 0; i < SERVERS_MAX; i++) {
        buffer_release(&station->heard[i]);
        buffer_release(&station->bulk_heard[i]);
    }
}

static void name(struct station *station, const struct station *others, size_t count)
{
    struct peers_member members[SERVERS_MAX];

    for (size_t i = 0; i < count; i++) {
        members[i] = (struct peers_member){.id = others[i].id,
                                           .incarnation = others[i].identity.incarnation,
                                           .address = others[i].address};
    }
    peers_set(station->peers, members, count);
}

struct two {
    struct lab lab;
    struct station a; /* id 1 */
    struct station b; /* id 2 */
};

static void two_start(struct two *two, const char *secret_a, const char *secret_b)
{
    lab_init(&two->lab, NULL);
    station_start(&two->a, &two->lab, 1, secret_a);
    station_start(&two->b, &two->lab, 2, secret_b);
}

static void two_stop(struct two *two)
{
    station_stop(&two->a);
    station_stop(&two->b);
    LAB_UNTIL(&two->lab, two->lab.loop.count == 0);
    station_free(&two->a);
    station_free(&two->b);
    lab_release(&two->lab);
}

static bool are_linked(const struct two *two)
{
    return peers_is_up(two->a.peers, 2) && peers_is_up(two->b.peers, 1);
}

static void meet(struct two *two)
{
    name(&two->a, &two->b, 1);
    name(&two->b, &two->a, 1);
    LAB_UNTIL(&two->lab, are_linked(two));
    /* Until the race of the two dialled connections is decided. */
    LAB_UNTIL(&two->lab, two->lab.loop.count == 2);
}

static void expect_exchange(struct two *two)
{
    buffer_clear(&two->a.heard[2]);
    buffer_clear(&two->b.heard[1]);
    EXPECT(peers_send(two->a.peers, 2, bytes_of_text("to b"), false));
    EXPECT(peers_send(two->b.peers, 1, bytes_of_text("to a"), false));
    LAB_UNTIL(&two->lab, two->a.heard[2].size > 0 && two->b.heard[1].size > 0);
    EXPECT_BYTES(buffer_lend(&two->b.heard[1]), bytes_of_text("to b"));
    EXPECT_BYTES(buffer_lend(&two->a.heard[2]), bytes_of_text("to a"));
}

/* --- Control links --- */

static void test_what_may_go_late_goes_in_its_order(void)
{
    static const bool late[][3] = {
        {true, true, true}, {true, false, true}, {false, true, false}, {true, true, false}};
    struct two two;

    two_start(&two, "secret", "secret");
    meet(&two);
    for (size_t i = 0; i < sizeof late / sizeof *late; i++) {
        buffer_clear(&two.b.heard[1]);
        EXPECT(peers_send(two.a.peers, 2, bytes_of_text("one "), late[i][0]));
        EXPECT(peers_send(two.a.peers, 2, bytes_of_text("two "), late[i][1]));
        EXPECT(peers_send(two.a.peers, 2, bytes_of_text("three"), late[i][2]));
        LAB_UNTIL(&two.lab, two.b.heard[1].size == strlen("one two three"));
        EXPECT_BYTES(buffer_lend(&two.b.heard[1]), bytes_of_text("one two three"));
    }
    /* One that is closed with something late in it says nothing more. */
    EXPECT(peers_send(two.a.peers, 2, bytes_of_text("lost"), true));
    two_stop(&two);
}

static void test_two_servers_that_dial_each_other_share_one_link(void)
{
    for (unsigned round = 0; round < 20; round++) {
        struct two two;

        two_start(&two, "secret", "secret");
        meet(&two);
        expect_exchange(&two);
        EXPECT_EQ(two.a.up[2], 1);
        EXPECT_EQ(two.b.up[1], 1);
        EXPECT_EQ(two.a.down[2], 0);
        EXPECT_EQ(two.b.down[1], 0);
        two_stop(&two);
    }
}

static void test_what_was_sent_while_the_links_raced_arrives(void)
{
    struct two two;

    two_start(&two, "secret", "secret");
    name(&two.a, &two.b, 1);
    name(&two.b, &two.a, 1);
    LAB_UNTIL(&two.lab, peers_send(two.a.peers, 2, bytes_of_text("first "), false));
    LAB_UNTIL(&two.lab, are_linked(&two) && two.lab.loop.count == 2);
    EXPECT(peers_send(two.a.peers, 2, bytes_of_text("second"), false));
    LAB_UNTIL(&two.lab, two.b.heard[1].size >= 12);
    EXPECT_BYTES(buffer_lend(&two.b.heard[1]), bytes_of_text("first second"));
    two_stop(&two);
}

static void test_one_side_that_dials_is_enough(void)
{
    struct two two;

    two_start(&two, "", "");
    name(&two.b, &two.a, 1);
    LAB_UNTIL(&two.lab, are_linked(&two));
    EXPECT(two.a.knew_us);
    EXPECT_EQ(two.a.admitted, 1);
    EXPECT_EQ(two.b.admitted, 0);
    expect_exchange(&two);
    two_stop(&two);
}

static void test_a_peer_that_dies_is_noticed_and_found_again(void)
{
    struct two two;

    two_start(&two, "secret", "secret");
    meet(&two);
    peers_close(two.b.peers, "killed");
    LAB_UNTIL(&two.lab, two.a.down[2] == 1);
    EXPECT(!peers_is_up(two.a.peers, 2));
    EXPECT(!peers_send(two.a.peers, 2, bytes_of_text("lost"), false));
    LAB_UNTIL(&two.lab, two.lab.loop.count == 0);
    peers_free(two.b.peers);
    entrance_free(two.b.entrance);
    start_peers(&two.b, "secret");
    LAB_UNTIL(&two.lab, are_linked(&two));
    EXPECT_EQ(two.a.up[2], 2);
    expect_exchange(&two);
    two_stop(&two);
}

static void test_different_secrets_never_link(void)
{
    struct two two;

    two_start(&two, "secret", "other");
    name(&two.a, &two.b, 1);
    name(&two.b, &two.a, 1);
    for (unsigned i = 0; i < 100; i++) {
        lab_turn(&two.lab);
    }
    EXPECT_EQ(two.a.up[2] + two.b.up[1], 0);
    EXPECT_EQ(two.a.admitted + two.b.admitted, 0);
    two_stop(&two);
}

static void test_a_peer_that_is_not_admitted_does_not_link(void)
{
    struct two two;

    two_start(&two, "secret", "secret");
    two.b.refusal = "not a member";
    name(&two.a, &two.b, 1);
    LAB_UNTIL(&two.lab, two.b.admitted >= 2);
    EXPECT_EQ(two.a.up[2] + two.b.up[1], 0);
    two.b.refusal = NULL;
    LAB_UNTIL(&two.lab, are_linked(&two));
    two_stop(&two);
}

/* Whichever end finds it out, and whoever dialled: the other one is told. */
static void test_a_peer_with_an_old_copy_is_told_and_does_not_link(void)
{
    for (unsigned dialler = 1; dialler <= 2; dialler++) {
        struct two two;

        two_start(&two, "secret", "secret");
        two.b.stale = 1;
        if (dialler == 1) {
            name(&two.a, &two.b, 1);
        } else {
            name(&two.b, &two.a, 1);
        }
        LAB_UNTIL(&two.lab, two.a.superseded >= 2);
        EXPECT_EQ(two.a.up[2] + two.b.up[1], 0);
        EXPECT_EQ(two.b.superseded, 0);
        EXPECT_CONTAINS(dialler == 1 ? two.a.unreachable : two.b.unreachable, "an old copy");
        two.b.stale = 0;
        LAB_UNTIL(&two.lab, are_linked(&two));
        two_stop(&two);
    }
}

static void test_a_server_with_another_folder_is_not_taken(void)
{
    struct two two;
    struct station known;

    two_start(&two, "secret", "secret");
    known = two.b;
    known.identity.incarnation[0] ^= 1;
    name(&two.a, &known, 1);
    for (unsigned i = 0; i < 100; i++) {
        lab_turn(&two.lab);
    }
    EXPECT_EQ(two.a.up[2] + two.b.up[1], 0);
    name(&two.a, &two.b, 1);
    LAB_UNTIL(&two.lab, are_linked(&two));
    two_stop(&two);
}

static void test_a_server_that_dials_itself_does_not_link(void)
{
    struct two two;
    struct station twin;

    two_start(&two, "secret", "secret");
    twin = two.a;
    twin.id = 2;
    name(&two.a, &twin, 1);
    for (unsigned i = 0; i < 100; i++) {
        lab_turn(&two.lab);
    }
    EXPECT_EQ(two.a.up[1] + two.a.up[2], 0);
    two_stop(&two);
}

static void test_a_peer_that_left_the_configuration_is_cut(void)
{
    struct two two;

    two_start(&two, "secret", "secret");
    meet(&two);
    two.b.refusal = "not a member any more";
    two.a.refusal = "not a member any more";
    peers_set(two.a.peers, NULL, 0);
    EXPECT(!peers_is_up(two.a.peers, 2));
    LAB_UNTIL(&two.lab, two.a.down[2] == 1 && two.b.down[1] == 1);
    two_stop(&two);
}

static void test_a_peer_that_was_only_admitted_keeps_its_link(void)
{
    struct two two;
    struct station elsewhere;

    two_start(&two, "secret", "secret");
    name(&two.a, &two.b, 1);
    LAB_UNTIL(&two.lab, are_linked(&two));
    elsewhere = two.a;
    elsewhere.id = 3;
    name(&two.b, &elsewhere, 1);
    peers_set(two.b.peers, NULL, 0);
    expect_exchange(&two);
    EXPECT_EQ(two.b.down[1], 0);
    two_stop(&two);
}

/* One is the bound here; who goes makes room. */
static void test_few_peers_that_were_never_named_are_linked(void)
{
    struct two two;
    struct station late;

    two_start(&two, "secret", "secret");
    station_start(&late, &two.lab, 3, "secret");
    name(&two.a, &two.b, 1);
    LAB_UNTIL(&two.lab, are_linked(&two));
    name(&late, &two.b, 1);
    LAB_UNTIL(&two.lab, strstr(late.unreachable, "too many servers") != NULL);
    EXPECT_EQ(two.b.up[3], 0);
    expect_exchange(&two);
    peers_set(two.a.peers, NULL, 0);
    LAB_UNTIL(&two.lab, two.b.up[3] == 1);
    station_stop(&late);
    station_stop(&two.a);
    station_stop(&two.b);
    LAB_UNTIL(&two.lab, two.lab.loop.count == 0);
    station_free(&late);
    station_free(&two.a);
    station_free(&two.b);
    lab_release(&two.lab);
}

static void test_an_unreadable_message_closes_that_link(void)
{
    struct two two;

    two_start(&two, "secret", "secret");
    meet(&two);
    two.b.message_status = STATUS_INVALID;
    EXPECT(peers_send(two.a.peers, 2, bytes_of_text("nonsense"), false));
    LAB_UNTIL(&two.lab, two.a.down[2] == 1 && two.b.down[1] == 1);
    two.b.message_status = STATUS_OK;
    LAB_UNTIL(&two.lab, are_linked(&two));
    two_stop(&two);
}

static void test_the_queue_to_a_peer_is_bounded(void)
{
    struct two two;
    struct buffer message = BUFFER_INIT;
    unsigned sent = 0;

    two_start(&two, "secret", "secret");
    meet(&two);
    memset(buffer_extend(&message, 1024 * 1024), 1, 1024 * 1024);
    while (sent < 1000 && peers_send(two.a.peers, 2, buffer_lend(&message), false)) {
        sent++;
    }
    EXPECT(sent >= 16 && sent <= PEER_LINK_QUEUE_BYTES_MAX / (1024 * 1024));
    LAB_UNTIL(&two.lab, two.b.heard[1].size == (size_t)sent * 1024 * 1024);
    EXPECT(peers_send(two.a.peers, 2, buffer_lend(&message), false));
    buffer_release(&message);
    two_stop(&two);
}

/* --- Bulk --- */

static void test_bulk_messages_have_a_link_of_their_own(void)
{
    struct two two;

    two_start(&two, "secret", "secret");
    meet(&two);
    EXPECT(!peers_bulk_send(two.a.peers, 2, bytes_of_text("early")));
    peers_bulk_open(two.a.peers, 2);
    LAB_UNTIL(&two.lab, two.a.bulk_up[2] == 1 && two.b.bulk_up[1] == 1);
    EXPECT(peers_bulk_send(two.a.peers, 2, bytes_of_text("dump")));
    EXPECT(peers_bulk_send(two.b.peers, 1, bytes_of_text("thanks")));
    LAB_UNTIL(&two.lab, two.b.bulk_heard[1].size == 4 && two.a.bulk_heard[2].size == 6);
    EXPECT_EQ(two.b.heard[1].size, 0);
    peers_bulk_close(two.a.peers, 2);
    LAB_UNTIL(&two.lab, two.b.bulk_down[1] == 1);
    EXPECT_EQ(two.a.bulk_down[2], 0);
    EXPECT(are_linked(&two));
    two_stop(&two);
}

static void test_a_bulk_link_to_nobody_is_reported(void)
{
    struct two two;

    two_start(&two, "secret", "secret");
    peers_bulk_open(two.a.peers, 2);
    EXPECT_EQ(two.a.bulk_down[2], 0);
    LAB_UNTIL(&two.lab, two.a.bulk_down[2] == 1);
    two_stop(&two);
}

static void test_a_bulk_link_opened_again_replaces_the_old_one(void)
{
    struct two two;

    two_start(&two, "secret", "secret");
    meet(&two);
    peers_bulk_open(two.a.peers, 2);
    LAB_UNTIL(&two.lab, two.a.bulk_up[2] == 1 && two.b.bulk_up[1] == 1);
    peers_bulk_open(two.a.peers, 2);
    LAB_UNTIL(&two.lab, two.a.bulk_up[2] == 2 && two.b.bulk_up[1] == 2);
    EXPECT_EQ(two.a.bulk_down[2], 0);
    EXPECT_EQ(two.b.bulk_down[1], 1);
    EXPECT(peers_bulk_send(two.a.peers, 2, bytes_of_text("dump")));
    LAB_UNTIL(&two.lab, two.b.bulk_heard[1].size == 4);
    two_stop(&two);
}

/* --- Probes --- */

static void test_a_probe_is_answered(void)
{
    struct two two;

    two_start(&two, "secret", "secret");
    two.b.identity.has_cluster = false;
    peers_probe(two.a.peers, 77, two.b.address, bytes_of_text("who are you"));
    LAB_UNTIL(&two.lab, two.a.answer_count == 1);
    EXPECT_EQ(two.a.answer_token, 77);
    EXPECT_OK(two.a.answer_status);
    EXPECT_EQ(two.a.answer_from, 2);
    LAB_UNTIL(&two.lab, two.lab.loop.count == 0);
    two_stop(&two);
}

static void test_a_probe_may_be_answered_later(void)
{
    struct two two;

    two_start(&two, "secret", "secret");
    two.b.answers = false;
    peers_probe(two.a.peers, 1, two.b.address, bytes_of_text("who are you"));
    LAB_UNTIL(&two.lab, two.b.asked_count == 1);
    EXPECT_EQ(two.a.answer_count, 0);
    peers_probe_reply(two.b.peers, two.b.asked, bytes_of_text("an answer"));
    LAB_UNTIL(&two.lab, two.a.answer_count == 1);
    EXPECT_OK(two.a.answer_status);
    peers_probe_reply(two.b.peers, two.b.asked, bytes_of_text("too late"));
    two_stop(&two);
}

static void expect_probe_fails(const char *address,
                               const char *secret_b,
                               const char *message,
                               enum status status,
                               const char *reason)
{
    struct two two;

    two_start(&two, "secret", secret_b);
    peers_probe(two.a.peers, 5, address != NULL ? address : two.b.address, bytes_of_text(message));
    EXPECT_EQ(two.a.answer_count, 0);
    LAB_UNTIL(&two.lab, two.a.answer_count == 1);
    EXPECT_EQ(two.a.answer_status, status);
    EXPECT_CONTAINS(two.a.answer_text, reason);
    two_stop(&two);
}

static void test_a_probe_that_fails_says_why(void)
{
    expect_probe_fails("127.0.0.1:1", "secret", "who are you", STATUS_UNAVAILABLE, "refused");
    expect_probe_fails("nonsense", "secret", "who are you", STATUS_UNAVAILABLE, "port");
    expect_probe_fails("no-such-host.invalid:1", "secret", "who are you", STATUS_UNAVAILABLE,
                       "no-such-host.invalid");
    expect_probe_fails(NULL, "other", "who are you", STATUS_MISMATCH, "secret");
    expect_probe_fails(NULL, "secret", "nonsense", STATUS_UNAVAILABLE, "closed");
}

static void test_a_probe_of_oneself_is_refused(void)
{
    struct two two;

    two_start(&two, "secret", "secret");
    peers_probe(two.a.peers, 5, two.a.address, bytes_of_text("who are you"));
    LAB_UNTIL(&two.lab, two.a.answer_count == 1);
    EXPECT_EQ(two.a.answer_status, STATUS_MISMATCH);
    EXPECT_CONTAINS(two.a.answer_text, "same server");
    two_stop(&two);
}

static void test_a_server_that_never_answers_a_probe_is_not_waited_for(void)
{
    struct two two;
    uint64_t start_us;

    two_start(&two, "secret", "secret");
    two.b.answers = false;
    start_us = clock_monotonic_us();
    peers_probe(two.a.peers, 5, two.b.address, bytes_of_text("who are you"));
    LAB_UNTIL(&two.lab, two.a.answer_count == 1);
    EXPECT_EQ(two.a.answer_status, STATUS_TIMEOUT);
    EXPECT(clock_monotonic_us() - start_us < UINT64_C(2) * PROBES_OUTGOING_MS * 1000);
    two_stop(&two);
}

static void test_a_host_name_is_looked_up(void)
{
    struct two two;
    char address[ADDRESS_TEXT_BYTES_MAX + 16];

    two_start(&two, "secret", "secret");
    (void)snprintf(address, sizeof address, "localhost%s", strchr(two.b.address, ':'));
    peers_probe(two.a.peers, 5, address, bytes_of_text("who are you"));
    LAB_UNTIL(&two.lab, two.a.answer_count == 1);
    EXPECT_OK(two.a.answer_status);
    two_stop(&two);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_what_may_go_late_goes_in_its_order),
        TEST_CASE(test_two_servers_that_dial_each_other_share_one_link),
        TEST_CASE(test_what_was_sent_while_the_links_raced_arrives),
        TEST_CASE(test_one_side_that_dials_is_enough),
        TEST_CASE(test_a_peer_that_dies_is_noticed_and_found_again),
        TEST_CASE(test_different_secrets_never_link),
        TEST_CASE(test_a_peer_that_is_not_admitted_does_not_link),
        TEST_CASE(test_a_peer_with_an_old_copy_is_told_and_does_not_link),
        TEST_CASE(test_a_server_with_another_folder_is_not_taken),
        TEST_CASE(test_a_server_that_dials_itself_does_not_link),
        TEST_CASE(test_a_peer_that_left_the_configuration_is_cut),
        TEST_CASE(test_a_peer_that_was_only_admitted_keeps_its_link),
        TEST_CASE(test_few_peers_that_were_never_named_are_linked),
        TEST_CASE(test_an_unreadable_message_closes_that_link),
        TEST_CASE(test_the_queue_to_a_peer_is_bounded),
        TEST_CASE(test_bulk_messages_have_a_link_of_their_own),
        TEST_CASE(test_a_bulk_link_to_nobody_is_reported),
        TEST_CASE(test_a_bulk_link_opened_again_replaces_the_old_one),
        TEST_CASE(test_a_probe_is_answered),
        TEST_CASE(test_a_probe_may_be_answered_later),
        TEST_CASE(test_a_probe_that_fails_says_why),
        TEST_CASE(test_a_probe_of_oneself_is_refused),
        TEST_CASE(test_a_server_that_never_answers_a_probe_is_not_waited_for),
        TEST_CASE(test_a_host_name_is_looked_up),
        TEST_END};

    return test_main("peers", cases, argc, argv);
}
