/* Who is not a member gets nothing out of a server's peer protocol, and who is cannot stop it. */
#include "base/check.h"
#include "base/prng.h"
#include "proto/frame.h"
#include "raft/raft.h"
#include "tests/integration/rogue.h"
#include "tests/support/cluster.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { CLOSE_DEADLINE_MS = 30000, STRANGER = 77 };

static const char secret[] = "known to the three servers only";

static struct cluster cluster;
static struct handshake_identity server; /* server 1, as it says itself */

/* --- The cluster --- */

static void begin(unsigned servers)
{
    cluster_init(&cluster, servers);
    cluster.options[0] = "--cluster-secret-file";
    cluster.options[1] = cluster_secret_file(secret);
    /* Leadership stays where it is, however busy the machine is. */
    cluster.options[2] = "--election-timeout=4s";
    cluster_form(&cluster);
    EXPECT(rogue_ask_identity(cluster.servers[1].address, secret, &server));
    EXPECT(server.has_cluster);
}

struct standing {
    uint64_t term;
    uint64_t leader;
};

static struct standing standing_of(unsigned id)
{
    Client__Status body = CLIENT__STATUS__INIT;
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Response *response;
    struct standing standing;
    struct wire wire;

    request.body_case = CLIENT__REQUEST__BODY_STATUS;
    request.status = &body;
    EXPECT(wire_connect(&wire, cluster.servers[id].address) && wire_greet(&wire));
    response = wire_call(&wire, &request, CLUSTER_DEADLINE_MS);
    EXPECT(response != NULL && response->body_case == CLIENT__RESPONSE__BODY_STATUS);
    standing =
        (struct standing){.term = response->status->term, .leader = response->status->leader};
    client__response__free_unpacked(response, NULL);
    wire_close(&wire);
    return standing;
}

static void expect_served(unsigned id)
{
    EXPECT(!process_wait(&cluster.servers[id].process, 0));
    EXPECT_EQ(wire_set_text(cluster.servers[id].address, "/x", "1"), CLIENT__CODE__OK);
}

/* The server runs, serves, and no election took place. */
static void expect_unmoved(const struct standing *before)
{
    struct standing now = standing_of(1);

    EXPECT_EQ(now.term, before->term);
    EXPECT_EQ(now.leader, before->leader);
    expect_served(1);
}

/* --- Rogues --- */

/* Somebody of the cluster whom no configuration names, who calls server 1. */
static struct rogue_options stranger(void)
{
    struct rogue_options options = {.secret = secret,
                                    .identity = rogue_identity(STRANGER),
                                    .channel = PEER__CHANNEL__CONTROL,
                                    .target = {.id = 1, .incarnation = server.incarnation}};

    options.identity.has_cluster = true;
    memcpy(options.identity.cluster_id, server.cluster_id, sizeof server.cluster_id);
    return options;
}

/* Who knows everything that server 3 knows. */
static struct rogue_options impostor(const struct handshake_identity *third)
{
    struct rogue_options options = stranger();

    options.identity = *third;
    return options;
}

static void expect_refused(const struct rogue_options *options, const char *reason)
{
    struct rogue rogue;

    EXPECT(!rogue_connect(&rogue, cluster.servers[1].address, options));
    EXPECT_CONTAINS(rogue.error.text, reason);
}

/* Hello is said and Welcome has come. */
static void begin_handshake(struct rogue *rogue, const struct rogue_options *options)
{
    const struct handshake_policy policy = {.secret = bytes_of_text(options->secret)};
    static const uint8_t nonce[HANDSHAKE_NONCE_BYTES] = {1, 2, 3};
    struct buffer message = BUFFER_INIT;
    Peer__PeerMessage *welcome;

    EXPECT(rogue_begin(rogue, cluster.servers[1].address));
    handshake_dial(&rogue->handshake, &policy, true, &options->identity, options->channel,
                   &options->target, nonce, &message);
    EXPECT(rogue_send(rogue, buffer_lend(&message)));
    EXPECT(rogue_receive(rogue, &message, CLUSTER_DEADLINE_MS));
    welcome = peer__peer_message__unpack(NULL, message.size, message.data);
    EXPECT(welcome != NULL && welcome->body_case == PEER__PEER_MESSAGE__BODY_WELCOME);
    peer__peer_message__free_unpacked(welcome, NULL);
    buffer_release(&message);
}

static void expect_closed(struct rogue *rogue)
{
    EXPECT(wire_wait_closed(&rogue->wire, CLOSE_DEADLINE_MS));
    rogue_close(rogue);
}

/* A PeerMessage with this one field and these bytes in it. */
static void put_body(struct buffer *message, uint32_t field, struct bytes body)
{
    uint32_t key = field << 3 | 2;

    CHECK_OP(body.size, <, 1 << 14);
    buffer_clear(message);
    buffer_put_u8(message, (uint8_t)(key | 0x80));
    buffer_put_u8(message, (uint8_t)(key >> 7));
    buffer_put_u8(message, (uint8_t)(body.size | 0x80));
    buffer_put_u8(message, (uint8_t)(body.size >> 7));
    buffer_put(message, body);
}

static bool send_raft(struct rogue *rogue, enum raft_message_type type, uint64_t term)
{
    Peer__RaftMessage raft = PEER__RAFT_MESSAGE__INIT;
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;

    raft.type = (uint32_t)type;
    raft.term = term;
    raft.round = 1;
    message.body_case = PEER__PEER_MESSAGE__BODY_RAFT;
    message.raft = &raft;
    return rogue_send_message(rogue, &message);
}

/* --- Before the proof --- */

static void test_no_proof_but_the_right_one_is_taken(void)
{
    static const uint8_t long_one[3000] = {0};
    static const struct {
        const char *what;
        size_t size;
    } proofs[] = {{"none", 0}, {"short", 31}, {"zeros", 32}, {"long", 33}, {"very long", 3000}};
    const Peer__Channel channels[] = {PEER__CHANNEL__CONTROL, PEER__CHANNEL__BULK,
                                      PEER__CHANNEL__PROBE};
    struct standing before;

    begin(1);
    before = standing_of(1);
    for (size_t i = 0; i < sizeof proofs / sizeof *proofs; i++) {
        for (size_t j = 0; j < sizeof channels / sizeof *channels; j++) {
            struct rogue_options options = stranger();
            Peer__Proof proof = PEER__PROOF__INIT;
            Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
            struct rogue rogue;

            options.secret = "";
            options.channel = channels[j];
            begin_handshake(&rogue, &options);
            proof.proof.data = (uint8_t *)(uintptr_t)long_one;
            proof.proof.len = proofs[i].size;
            message.body_case = PEER__PEER_MESSAGE__BODY_PROOF;
            message.proof = &proof;
            EXPECT(rogue_send_message(&rogue, &message));
            (void)send_raft(&rogue, RAFT_HEARTBEAT, before.term + 1);
            expect_closed(&rogue);
        }
    }
    expect_unmoved(&before);
    cluster_release(&cluster);
}

static void test_a_proof_of_the_server_itself_is_not_taken_for_ours(void)
{
    const struct handshake_policy policy = {.secret = BYTES_EMPTY};
    const struct handshake_identity self = rogue_identity(STRANGER);
    const struct handshake_target anybody = {.id = 0, .incarnation = NULL};
    static const uint8_t nonce[HANDSHAKE_NONCE_BYTES] = {9};
    struct buffer body = BUFFER_INIT;
    Peer__PeerMessage *welcome;
    Peer__Proof proof = PEER__PROOF__INIT;
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    struct standing before;
    struct rogue rogue;

    begin(1);
    before = standing_of(1);
    EXPECT(rogue_begin(&rogue, cluster.servers[1].address));
    handshake_dial(&rogue.handshake, &policy, true, &self, PEER__CHANNEL__PROBE, &anybody, nonce,
                   &body);
    EXPECT(rogue_send(&rogue, buffer_lend(&body)));
    EXPECT(rogue_receive(&rogue, &body, CLUSTER_DEADLINE_MS));
    welcome = peer__peer_message__unpack(NULL, body.size, body.data);
    EXPECT(welcome != NULL && welcome->body_case == PEER__PEER_MESSAGE__BODY_WELCOME);
    proof.proof = welcome->welcome->proof;
    EXPECT_EQ(proof.proof.len, HANDSHAKE_PROOF_BYTES);
    message.body_case = PEER__PEER_MESSAGE__BODY_PROOF;
    message.proof = &proof;
    EXPECT(rogue_send_message(&rogue, &message));
    expect_closed(&rogue);
    peer__peer_message__free_unpacked(welcome, NULL);
    buffer_release(&body);
    expect_unmoved(&before);
    cluster_release(&cluster);
}

/* Every kind of message, first of all and behind a Hello; numbers that name none as well. */
static void test_nothing_else_is_taken_before_the_proof(void)
{
    struct standing before;
    struct buffer message = BUFFER_INIT;

    begin(1);
    before = standing_of(1);
    for (uint32_t field = 0; field <= 34; field++) {
        for (int after_hello = 0; after_hello < 2; after_hello++) {
            const struct rogue_options options = stranger();
            struct rogue rogue;

            if (after_hello == 1) {
                begin_handshake(&rogue, &options);
            } else {
                EXPECT(rogue_begin(&rogue, cluster.servers[1].address));
            }
            put_body(&message, field, BYTES_EMPTY);
            (void)rogue_send(&rogue, buffer_lend(&message));
            (void)send_raft(&rogue, RAFT_HEARTBEAT, before.term + 1);
            expect_closed(&rogue);
        }
    }
    buffer_release(&message);
    expect_unmoved(&before);
    cluster_release(&cluster);
}

static void test_noise_in_the_handshake_closes(void)
{
    static const size_t sizes[] = {1, 17, 300, HANDSHAKE_FRAME_BYTES_MAX};
    struct standing before;
    struct prng prng;
    uint8_t noise[HANDSHAKE_FRAME_BYTES_MAX];

    begin(1);
    before = standing_of(1);
    prng_init(&prng, 1);
    for (size_t round = 0; round < 200; round++) {
        size_t size = sizes[round % 4];
        struct rogue rogue;

        for (size_t i = 0; i < size; i++) {
            noise[i] = (uint8_t)prng_below(&prng, 256);
        }
        EXPECT(rogue_begin(&rogue, cluster.servers[1].address));
        (void)rogue_send(&rogue, bytes_of(noise, size));
        expect_closed(&rogue);
    }
    expect_unmoved(&before);
    cluster_release(&cluster);
}

/* A stranger may not make the server take a large frame, or wait. */
static void test_who_does_not_go_on_with_the_handshake_is_closed(void)
{
    struct rogue_options options;
    uint8_t head[FRAME_PEER_HEAD_BYTES];
    struct standing before;
    struct rogue silent[3];
    struct rogue large;

    begin(1);
    before = standing_of(1);
    options = stranger();
    EXPECT(rogue_begin(&silent[0], cluster.servers[1].address));
    begin_handshake(&silent[1], &options);
    begin_handshake(&silent[2], &options);
    frame_peer_put_head(head, 100, 0);
    EXPECT(wire_send(&silent[2].wire, bytes_of(head, sizeof head)));
    EXPECT(rogue_begin(&large, cluster.servers[1].address));
    frame_peer_put_head(head, HANDSHAKE_FRAME_BYTES_MAX + 1, 0);
    EXPECT(wire_send(&large.wire, bytes_of(head, sizeof head)));
    expect_closed(&large);
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++) {
        expect_closed(&silent[i]);
    }
    expect_unmoved(&before);
    cluster_release(&cluster);
}

/* --- With the secret --- */

static void test_who_claims_to_be_another_is_refused(void)
{
    struct handshake_identity third;
    struct rogue_options options;
    static const uint8_t other[HANDSHAKE_ID_BYTES] = {7, 7, 7};

    begin(3);
    EXPECT(rogue_ask_identity(cluster.servers[3].address, secret, &third));
    options = stranger();
    memset(options.identity.cluster_id, 9, sizeof options.identity.cluster_id);
    expect_refused(&options, "different clusters");
    options = stranger();
    options.identity.has_cluster = false;
    expect_refused(&options, "another cluster");
    options = stranger();
    options.identity.id = 1;
    expect_refused(&options, "the same --id");
    options = stranger();
    options.identity = server;
    expect_refused(&options, "leads back");
    options = stranger();
    options.identity.id = 3;
    expect_refused(&options, "another data folder");
    options = stranger();
    options.target.id = 2;
    expect_refused(&options, "server 1 is here");
    options = stranger();
    options.target.incarnation = other;
    expect_refused(&options, "another data folder");
    options = stranger();
    options.target.incarnation = NULL;
    expect_refused(&options, "incarnation");
    options = stranger();
    options.identity.format++;
    expect_refused(&options, "newer version");
    options = impostor(&third);
    options.secret = "known to the four servers only!";
    expect_refused(&options, "secrets differ");
    expect_served(1);
    cluster_release(&cluster);
}

/* The Hello and the Proof of a link that came up, once more on another. */
static void test_a_recorded_handshake_is_worth_nothing(void)
{
    const struct handshake_policy policy = {.secret = bytes_of_text(secret)};
    static const uint8_t nonce[HANDSHAKE_NONCE_BYTES] = {5};
    struct buffer hello = BUFFER_INIT;
    struct buffer proof = BUFFER_INIT;
    struct buffer answer = BUFFER_INIT;
    struct standing before;

    begin(1);
    before = standing_of(1);
    for (int round = 0; round < 2; round++) {
        const struct rogue_options options = stranger();
        struct rogue rogue;

        EXPECT(rogue_begin(&rogue, cluster.servers[1].address));
        if (round == 0) {
            handshake_dial(&rogue.handshake, &policy, true, &options.identity, options.channel,
                           &options.target, nonce, &hello);
        }
        EXPECT(rogue_send(&rogue, buffer_lend(&hello)));
        EXPECT(rogue_receive(&rogue, &answer, CLUSTER_DEADLINE_MS));
        if (round == 0) {
            EXPECT_OK(
                handshake_receive(&rogue.handshake, buffer_lend(&answer), &proof, &rogue.error));
            handshake_decide(&rogue.handshake, HANDSHAKE_ADMITTED, NULL, &proof);
        }
        EXPECT(rogue_send(&rogue, buffer_lend(&proof)));
        if (round == 0) {
            EXPECT(rogue_receive(&rogue, &answer, CLUSTER_DEADLINE_MS));
            EXPECT_OK(handshake_receive(&rogue.handshake, buffer_lend(&answer), &proof,
                                        &rogue.error)); /* it was the right one */
            rogue_close(&rogue);
        } else {
            expect_closed(&rogue);
        }
    }
    buffer_release(&hello);
    buffer_release(&proof);
    buffer_release(&answer);
    expect_unmoved(&before);
    cluster_release(&cluster);
}

/* Somebody on the way, who sees the link come up and has not got its keys. */
static void test_a_frame_put_into_a_link_closes_it(void)
{
    enum { CHECKSUM, SEAL_OF_ANOTHER_KEY, FRAME_ONCE_MORE, WAYS };
    struct standing before;

    begin(1);
    before = standing_of(1);
    for (size_t way = 0; way < WAYS; way++) {
        const struct rogue_options options = stranger();
        static const uint8_t key[SEAL_KEY_BYTES] = {1};
        Peer__RaftMessage raft = PEER__RAFT_MESSAGE__INIT;
        Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
        struct buffer frame = BUFFER_INIT;
        uint8_t head[FRAME_PEER_HEAD_BYTES];
        struct rogue rogue;

        EXPECT(rogue_connect(&rogue, cluster.servers[1].address, &options));
        raft.type = RAFT_HEARTBEAT_RESPONSE; /* harmless where it is taken */
        raft.term = before.term;
        message.body_case = PEER__PEER_MESSAGE__BODY_RAFT;
        message.raft = &raft;
        (void)peer__peer_message__pack(
            &message, buffer_extend(&frame, peer__peer_message__get_packed_size(&message)));
        frame_peer_put_head(head, frame.size, seal_next(rogue.sent_seal, buffer_lend(&frame)));
        EXPECT(wire_send(&rogue.wire, bytes_of(head, sizeof head)) &&
               wire_send(&rogue.wire, buffer_lend(&frame)));
        EXPECT(!wire_wait_closed(&rogue.wire, 200)); /* taken */
        if (way == FRAME_ONCE_MORE) {
            EXPECT(wire_send(&rogue.wire, bytes_of(head, sizeof head)) &&
                   wire_send(&rogue.wire, buffer_lend(&frame)));
        } else {
            seal_free(rogue.sent_seal);
            rogue.sent_seal = way == CHECKSUM ? NULL : seal_new(key);
            EXPECT(rogue_send(&rogue, buffer_lend(&frame)));
        }
        expect_closed(&rogue);
        buffer_release(&frame);
    }
    expect_unmoved(&before);
    cluster_release(&cluster);
}

/* One message with a term near the end of the numbers must not end the cluster's elections. */
static void test_terms_beyond_belief_are_not_taken_over(void)
{
    static const enum raft_message_type types[] = {
        RAFT_VOTE,      RAFT_VOTE_RESPONSE, RAFT_APPEND,     RAFT_APPEND_RESPONSE,
        RAFT_HEARTBEAT, RAFT_TIMEOUT_NOW,   RAFT_READ_INDEX, RAFT_HEARTBEAT_RESPONSE};
    struct standing before;

    begin(1);
    before = standing_of(1);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const uint64_t terms[] = {before.term + RAFT_TERM_STEP_MAX + 1, (UINT64_C(1) << 62) - 1,
                                  UINT64_C(1) << 63, UINT64_MAX};

        for (size_t j = 0; j < sizeof terms / sizeof *terms; j++) {
            const struct rogue_options options = stranger();
            struct rogue rogue;

            EXPECT(rogue_connect(&rogue, cluster.servers[1].address, &options));
            EXPECT(send_raft(&rogue, types[i], terms[j]));
            expect_closed(&rogue);
        }
    }
    expect_unmoved(&before);
    cluster_release(&cluster);
}

/* Voters that hear their leader are deaf to others, and PreVote raises no term. */
static void test_a_storm_of_vote_requests_moves_nobody(void)
{
    struct rogue_options options;
    struct standing before;
    struct rogue rogue;

    begin(3);
    before = standing_of(1);
    options = stranger();
    EXPECT(rogue_connect(&rogue, cluster.servers[1].address, &options));
    for (uint64_t i = 1; i <= 20000; i++) {
        EXPECT(send_raft(&rogue, i % 2 == 0 ? RAFT_VOTE : RAFT_PREVOTE, before.term + i));
    }
    expect_served(1);
    rogue_close(&rogue);
    expect_unmoved(&before);
    cluster_release(&cluster);
}

/* Whoever holds the secret may link, for a member that lags does not know every other; but nobody
 * that is in no configuration is followed while there is a leader, and no lie ends a server. */
static void test_a_stranger_is_no_leader(void)
{
    static const enum raft_message_type types[] = {RAFT_HEARTBEAT, RAFT_APPEND, RAFT_TIMEOUT_NOW,
                                                   RAFT_VOTE};
    enum { FITS, LEAVES_A_GAP, CONTRADICTS, FORMS };
    Peer__Entry noop = PEER__ENTRY__INIT;
    Peer__Entry *entries[] = {&noop};
    struct handshake_identity target;
    struct standing before;

    noop.type = RAFT_ENTRY_NOOP;
    begin(3);
    before = standing_of(1);
    for (unsigned id = 1; id <= 3; id++) {
        EXPECT(rogue_ask_identity(cluster.servers[id].address, secret, &target));
        for (size_t i = 0; i < FORMS * sizeof types / sizeof *types; i++) {
            for (uint64_t later = 0; later <= 1; later++) {
                struct rogue_options options = stranger();
                Peer__RaftMessage raft = PEER__RAFT_MESSAGE__INIT;
                Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
                struct rogue rogue;

                options.target =
                    (struct handshake_target){.id = id, .incarnation = target.incarnation};
                EXPECT(rogue_connect(&rogue, cluster.servers[id].address, &options));
                raft.type = (uint32_t)types[i / FORMS];
                raft.term = before.term + later;
                raft.index = i % FORMS == LEAVES_A_GAP ? 1000 * 1000 : 1;
                raft.index_term = i % FORMS == CONTRADICTS ? raft.term : 1;
                raft.flag = true; /* of a vote: the leader wants it so */
                noop.term = raft.term;
                raft.entries = entries;
                raft.n_entries = raft.type == RAFT_APPEND ? 1 : 0;
                message.body_case = PEER__PEER_MESSAGE__BODY_RAFT;
                message.raft = &raft;
                EXPECT(rogue_send_message(&rogue, &message));
                /* It was looked at when the link is closed for what comes behind it. */
                raft.type = UINT32_MAX;
                (void)rogue_send_message(&rogue, &message);
                expect_closed(&rogue);
            }
        }
        expect_served(id);
    }
    expect_unmoved(&before);
    cluster_release(&cluster);
}

/* From a member whose place was taken, to the leader and to a follower: empty and random bodies of
 * every kind, behind the proof. */
static void test_any_message_of_a_member_leaves_the_servers_running(void)
{
    enum { ROUNDS = 30, NOISE_BYTES_MAX = 60 };
    struct handshake_identity third;
    struct handshake_identity target;
    struct buffer message = BUFFER_INIT;
    struct prng prng;

    begin(3);
    EXPECT(rogue_ask_identity(cluster.servers[3].address, secret, &third));
    cluster_kill(&cluster, 3);
    EXPECT(cluster_wait_leader(&cluster, 3, CLUSTER_DEADLINE_MS) != 0);
    prng_init(&prng, 3);
    for (unsigned id = 1; id <= 2; id++) {
        EXPECT(rogue_ask_identity(cluster.servers[id].address, secret, &target));
        for (uint32_t field = 10; field <= 34; field++) {
            struct rogue_options options = impostor(&third);
            struct rogue rogue = {.wire = {.socket = -1}};

            options.target = (struct handshake_target){.id = id, .incarnation = target.incarnation};
            options.channel = field >= 30   ? PEER__CHANNEL__BULK
                              : field >= 20 ? PEER__CHANNEL__PROBE
                                            : PEER__CHANNEL__CONTROL;
            for (size_t round = 0; round < ROUNDS; round++) {
                uint8_t noise[NOISE_BYTES_MAX];
                size_t size = round == 0 ? 0 : (size_t)prng_below(&prng, sizeof noise);

                for (size_t i = 0; i < size; i++) {
                    /* Low bytes look like fields more often. */
                    noise[i] = (uint8_t)prng_below(&prng, prng_below(&prng, 2) == 0 ? 256 : 0x30);
                }
                if (rogue.wire.socket < 0) {
                    rogue_close(&rogue);
                    EXPECT(rogue_connect(&rogue, cluster.servers[id].address, &options));
                }
                put_body(&message, field, bytes_of(noise, size));
                (void)rogue_send(&rogue, buffer_lend(&message));
                (void)wire_wait_closed(&rogue.wire, 0);
            }
            rogue_close(&rogue);
        }
        expect_served(1);
        expect_served(2);
    }
    buffer_release(&message);
    cluster_start(&cluster, 3);
    expect_served(3);
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_no_proof_but_the_right_one_is_taken),
        TEST_CASE(test_a_proof_of_the_server_itself_is_not_taken_for_ours),
        TEST_CASE(test_nothing_else_is_taken_before_the_proof),
        TEST_CASE(test_noise_in_the_handshake_closes),
        TEST_CASE(test_who_does_not_go_on_with_the_handshake_is_closed),
        TEST_CASE(test_who_claims_to_be_another_is_refused),
        TEST_CASE(test_a_recorded_handshake_is_worth_nothing),
        TEST_CASE(test_a_frame_put_into_a_link_closes_it),
        TEST_CASE(test_terms_beyond_belief_are_not_taken_over),
        TEST_CASE(test_a_storm_of_vote_requests_moves_nobody),
        TEST_CASE(test_a_stranger_is_no_leader),
        TEST_CASE(test_any_message_of_a_member_leaves_the_servers_running),
        TEST_END};
    return test_main("hostile_peers", cases, argc, argv);
}
