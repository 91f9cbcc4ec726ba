#include "server/net/handshake.h"

#include "base/check.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

/* Both ends, and the messages between them as they went over the wire. */
struct pair {
    struct handshake dialler;
    struct handshake acceptor;
    struct buffer to_acceptor;
    struct buffer to_dialler;
    struct error error;
};

static struct handshake_identity identity(uint64_t id, bool has_cluster)
{
    struct handshake_identity made = {.id = id,
                                      .has_cluster = has_cluster,
                                      .format = HANDSHAKE_FORMAT,
                                      .start_count = 5,
                                      .starts = {id, 77},
                                      .start_known = 2,
                                      .term = 8,
                                      .last = 9,
                                      .named_at = 6};

    memset(made.incarnation, (int)id, sizeof made.incarnation);
    if (has_cluster) {
        memset(made.cluster_id, 0xcc, sizeof made.cluster_id);
    }
    return made;
}

struct setting {
    const char *dialler_secret;
    const char *acceptor_secret;
    bool insecure;
    bool remote;
    Peer__Channel channel;
    struct handshake_identity dialler;
    struct handshake_identity acceptor;
    struct handshake_target target;
};

static struct setting usual(void)
{
    static const uint8_t incarnation[HANDSHAKE_ID_BYTES] = {2, 2, 2, 2, 2, 2, 2, 2,
                                                            2, 2, 2, 2, 2, 2, 2, 2};

    return (struct setting){.dialler_secret = "secret",
                            .acceptor_secret = "secret",
                            .remote = true,
                            .channel = PEER__CHANNEL__CONTROL,
                            .dialler = identity(1, true),
                            .acceptor = identity(2, true),
                            .target = {.id = 2, .incarnation = incarnation}};
}

static void begin(struct pair *pair, const struct setting *setting)
{
    static uint8_t count;
    uint8_t nonce[HANDSHAKE_NONCE_BYTES] = {1, ++count};
    const struct handshake_policy dialler = {.secret = bytes_of_text(setting->dialler_secret),
                                             .insecure_peers = setting->insecure};
    const struct handshake_policy acceptor = {.secret = bytes_of_text(setting->acceptor_secret),
                                              .insecure_peers = setting->insecure};

    memset(pair, 0, sizeof *pair);
    handshake_dial(&pair->dialler, &dialler, !setting->remote, &setting->dialler, setting->channel,
                   &setting->target, nonce, &pair->to_acceptor);
    nonce[0] = 2;
    handshake_accept(&pair->acceptor, &acceptor, !setting->remote, &setting->acceptor, nonce);
}

static void release(struct pair *pair)
{
    buffer_release(&pair->to_acceptor);
    buffer_release(&pair->to_dialler);
}

static enum status acceptor_takes(struct pair *pair)
{
    buffer_clear(&pair->to_dialler);
    return handshake_receive(&pair->acceptor, buffer_lend(&pair->to_acceptor), &pair->to_dialler,
                             &pair->error);
}

static enum status dialler_takes(struct pair *pair)
{
    buffer_clear(&pair->to_acceptor);
    return handshake_receive(&pair->dialler, buffer_lend(&pair->to_dialler), &pair->to_acceptor,
                             &pair->error);
}

/* What one end sends the other takes, each direction has a key of its own, and so has each
 * handshake (the nonces of this test never repeat). */
static void expect_common_keys(const struct pair *pair)
{
    static uint8_t last[SEAL_KEY_BYTES];
    uint8_t sent[2][SEAL_KEY_BYTES];
    uint8_t came[2][SEAL_KEY_BYTES];

    handshake_keys(&pair->dialler, sent[0], came[0]);
    handshake_keys(&pair->acceptor, sent[1], came[1]);
    EXPECT(memcmp(sent[0], came[1], SEAL_KEY_BYTES) == 0);
    EXPECT(memcmp(sent[1], came[0], SEAL_KEY_BYTES) == 0);
    EXPECT(memcmp(sent[0], sent[1], SEAL_KEY_BYTES) != 0);
    EXPECT(memcmp(sent[0], last, SEAL_KEY_BYTES) != 0);
    memcpy(last, sent[0], sizeof last);
}

static void expect_success(const struct setting *setting)
{
    struct pair pair;

    begin(&pair, setting);
    EXPECT_OK(acceptor_takes(&pair));
    EXPECT_EQ(pair.acceptor.state, HANDSHAKE_WAITS_FOR_PROOF);
    EXPECT_OK(dialler_takes(&pair));
    EXPECT_EQ(pair.dialler.state, HANDSHAKE_PROVEN);
    EXPECT_EQ(pair.to_acceptor.size, 0);
    handshake_decide(&pair.dialler, HANDSHAKE_ADMITTED, "", &pair.to_acceptor);
    EXPECT_EQ(pair.dialler.state, HANDSHAKE_WAITS_FOR_ACCEPTED);
    EXPECT_OK(acceptor_takes(&pair));
    EXPECT_EQ(pair.acceptor.state, HANDSHAKE_PROVEN);
    EXPECT_EQ(pair.to_dialler.size, 0);
    handshake_decide(&pair.acceptor, HANDSHAKE_ADMITTED, "", &pair.to_dialler);
    EXPECT_EQ(pair.acceptor.state, HANDSHAKE_DONE);
    EXPECT_OK(dialler_takes(&pair));
    EXPECT_EQ(pair.dialler.state, HANDSHAKE_DONE);
    EXPECT(memcmp(&pair.dialler.peer, &setting->acceptor, sizeof pair.dialler.peer) == 0);
    EXPECT(memcmp(&pair.acceptor.peer, &setting->dialler, sizeof pair.acceptor.peer) == 0);
    EXPECT_EQ(pair.acceptor.channel, setting->channel);
    if (strlen(setting->dialler_secret) > 0) {
        expect_common_keys(&pair);
    }
    release(&pair);
}

/* The acceptor refuses the Hello, and the dialler hears the reason. */
static void expect_hello_refused(const struct setting *setting, const char *reason)
{
    struct pair pair;

    begin(&pair, setting);
    EXPECT(acceptor_takes(&pair) != STATUS_OK);
    EXPECT_EQ(pair.acceptor.state, HANDSHAKE_FAILED);
    EXPECT_CONTAINS(pair.error.text, reason);
    EXPECT_EQ(dialler_takes(&pair), STATUS_MISMATCH);
    EXPECT_EQ(pair.dialler.state, HANDSHAKE_FAILED);
    EXPECT_CONTAINS(pair.error.text, reason);
    release(&pair);
}

static void expect_welcome_refused(const struct setting *setting, const char *reason)
{
    struct pair pair;

    begin(&pair, setting);
    EXPECT_OK(acceptor_takes(&pair));
    EXPECT(dialler_takes(&pair) != STATUS_OK);
    EXPECT_EQ(pair.dialler.state, HANDSHAKE_FAILED);
    EXPECT_CONTAINS(pair.error.text, reason);
    EXPECT_EQ(pair.to_acceptor.size, 0);
    release(&pair);
}

static void test_servers_with_one_secret_meet(void)
{
    struct setting setting = usual();

    expect_success(&setting);
    setting.channel = PEER__CHANNEL__BULK;
    expect_success(&setting);
}

static void test_without_a_secret_servers_meet_on_one_machine_only(void)
{
    struct setting setting = usual();

    setting.dialler_secret = "";
    setting.acceptor_secret = "";
    expect_hello_refused(&setting, "--cluster-secret-file");
    setting.insecure = true;
    expect_success(&setting);
    setting.insecure = false;
    setting.remote = false;
    expect_success(&setting);
}

static void test_a_wrong_secret_is_refused_by_the_dialler(void)
{
    struct setting setting = usual();

    setting.acceptor_secret = "another";
    expect_welcome_refused(&setting, "secrets differ");
}

static void test_one_secret_and_none_do_not_meet(void)
{
    struct setting setting = usual();

    setting.remote = false;
    setting.acceptor_secret = "";
    expect_welcome_refused(&setting, "no cluster secret");
    setting = usual();
    setting.remote = false;
    setting.dialler_secret = "";
    expect_welcome_refused(&setting, "no cluster secret");
}

/* A dialler that does not look at the acceptor's proof still cannot make its own. */
static void test_a_wrong_proof_is_refused_by_the_acceptor(void)
{
    static const size_t sizes[] = {0, 1, HANDSHAKE_PROOF_BYTES - 1, HANDSHAKE_PROOF_BYTES,
                                   HANDSHAKE_PROOF_BYTES + 1};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct setting setting = usual();
        struct pair pair;
        Peer__Proof proof = PEER__PROOF__INIT;
        Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
        uint8_t bytes[HANDSHAKE_PROOF_BYTES + 1] = {1};

        begin(&pair, &setting);
        EXPECT_OK(acceptor_takes(&pair));
        proof.proof.data = bytes;
        proof.proof.len = sizes[i];
        message.body_case = PEER__PEER_MESSAGE__BODY_PROOF;
        message.proof = &proof;
        buffer_clear(&pair.to_acceptor);
        (void)peer__peer_message__pack(
            &message,
            buffer_extend(&pair.to_acceptor, peer__peer_message__get_packed_size(&message)));
        EXPECT_EQ(acceptor_takes(&pair), STATUS_MISMATCH);
        EXPECT_EQ(pair.acceptor.state, HANDSHAKE_FAILED);
        release(&pair);
    }
}

/* The acceptor's proof, sent back as the dialler's own. */
static void test_a_reflected_proof_is_refused(void)
{
    struct setting setting = usual();
    struct pair pair;
    Peer__PeerMessage *welcome;
    Peer__Proof proof = PEER__PROOF__INIT;
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;

    begin(&pair, &setting);
    EXPECT_OK(acceptor_takes(&pair));
    welcome = peer__peer_message__unpack(NULL, pair.to_dialler.size, pair.to_dialler.data);
    CHECK(welcome != NULL && welcome->body_case == PEER__PEER_MESSAGE__BODY_WELCOME);
    proof.proof = welcome->welcome->proof;
    message.body_case = PEER__PEER_MESSAGE__BODY_PROOF;
    message.proof = &proof;
    buffer_clear(&pair.to_acceptor);
    (void)peer__peer_message__pack(
        &message, buffer_extend(&pair.to_acceptor, peer__peer_message__get_packed_size(&message)));
    EXPECT_EQ(acceptor_takes(&pair), STATUS_MISMATCH);
    peer__peer_message__free_unpacked(welcome, NULL);
    release(&pair);
}

static void test_a_recorded_handshake_cannot_be_replayed(void)
{
    struct setting setting = usual();
    struct pair recorded;
    struct pair fresh;
    struct buffer hello = BUFFER_INIT;

    begin(&recorded, &setting);
    buffer_put(&hello, buffer_lend(&recorded.to_acceptor));
    EXPECT_OK(acceptor_takes(&recorded));
    EXPECT_OK(dialler_takes(&recorded));
    handshake_decide(&recorded.dialler, HANDSHAKE_ADMITTED, "", &recorded.to_acceptor);

    begin(&fresh, &setting);
    buffer_clear(&fresh.to_acceptor);
    buffer_put(&fresh.to_acceptor, buffer_lend(&hello));
    EXPECT_OK(acceptor_takes(&fresh));
    buffer_clear(&fresh.to_acceptor);
    buffer_put(&fresh.to_acceptor, buffer_lend(&recorded.to_acceptor));
    EXPECT_EQ(acceptor_takes(&fresh), STATUS_MISMATCH);
    release(&recorded);
    release(&fresh);
    buffer_release(&hello);
}

static void test_a_server_of_another_cluster_is_refused(void)
{
    struct setting setting = usual();

    memset(setting.dialler.cluster_id, 0xdd, sizeof setting.dialler.cluster_id);
    expect_hello_refused(&setting, "different clusters");
}

static void test_a_fresh_server_is_called_by_its_new_cluster(void)
{
    struct setting setting = usual();

    setting.acceptor = identity(2, false);
    expect_success(&setting);
}

static void test_a_wiped_data_folder_is_refused(void)
{
    static const uint8_t old[HANDSHAKE_ID_BYTES] = {9};
    struct setting setting = usual();

    setting.target.incarnation = old;
    expect_hello_refused(&setting, "another data folder");
}

static void test_a_control_link_must_name_an_incarnation(void)
{
    struct setting setting = usual();

    setting.target.incarnation = NULL;
    expect_hello_refused(&setting, "incarnation");
}

static void test_a_wrong_address_is_told_by_its_id(void)
{
    struct setting setting = usual();

    setting.target.id = 3;
    expect_hello_refused(&setting, "server 2 is here, not 3");
    setting.target.id = 0;
    expect_hello_refused(&setting, "server 2 is here, not 0");
}

static void test_an_impostor_is_found_by_the_dialler(void)
{
    struct setting setting = usual();
    struct pair pair;

    begin(&pair, &setting);
    EXPECT_OK(acceptor_takes(&pair));
    pair.dialler.to = 3;
    EXPECT_EQ(dialler_takes(&pair), STATUS_MISMATCH);
    release(&pair);
}

static void test_a_server_does_not_talk_to_itself(void)
{
    struct setting setting = usual();
    static const struct handshake_target anybody = {.id = 0};

    setting.acceptor = setting.dialler;
    setting.target = (struct handshake_target){.id = 1, .incarnation = setting.dialler.incarnation};
    expect_hello_refused(&setting, "same server");
    setting.channel = PEER__CHANNEL__PROBE;
    setting.target = anybody;
    expect_hello_refused(&setting, "same server");
}

static void test_two_servers_of_one_id_are_refused_but_may_be_probed(void)
{
    struct setting setting = usual();
    static const struct handshake_target anybody = {.id = 0};

    setting.dialler.id = 2;
    expect_hello_refused(&setting, "same --id");
    setting.channel = PEER__CHANNEL__PROBE;
    setting.target = anybody;
    expect_success(&setting);
}

static void test_a_probe_needs_no_common_cluster(void)
{
    struct setting setting = usual();
    static const struct handshake_target anybody = {.id = 0};

    setting.channel = PEER__CHANNEL__PROBE;
    setting.target = anybody;
    memset(setting.dialler.cluster_id, 0xdd, sizeof setting.dialler.cluster_id);
    expect_success(&setting);
}

static void test_a_newer_server_is_refused(void)
{
    struct setting setting = usual();

    setting.dialler.format = HANDSHAKE_FORMAT + 1;
    expect_hello_refused(&setting, "newer version");
    setting = usual();
    setting.acceptor.format = HANDSHAKE_FORMAT + 1;
    expect_welcome_refused(&setting, "newer version");
}

/* Both ends up to where the dialler's owner decides. */
static void begin_and_meet(struct pair *pair, const struct setting *setting)
{
    begin(pair, setting);
    EXPECT_OK(acceptor_takes(pair));
    EXPECT_OK(dialler_takes(pair));
    EXPECT_EQ(pair->dialler.state, HANDSHAKE_PROVEN);
}

static void test_a_refusal_reaches_the_other_end(void)
{
    static const enum handshake_verdict verdicts[] = {HANDSHAKE_REFUSED, HANDSHAKE_SUPERSEDED};
    struct setting setting = usual();
    struct pair pair;

    for (size_t i = 0; i < 2; i++) {
        begin_and_meet(&pair, &setting);
        handshake_decide(&pair.dialler, HANDSHAKE_ADMITTED, "", &pair.to_acceptor);
        EXPECT_OK(acceptor_takes(&pair));
        handshake_decide(&pair.acceptor, verdicts[i], "not today", &pair.to_dialler);
        EXPECT_EQ(pair.acceptor.state, HANDSHAKE_FAILED);
        EXPECT_EQ(dialler_takes(&pair), STATUS_MISMATCH);
        EXPECT_CONTAINS(pair.error.text, "not today");
        EXPECT_EQ(pair.dialler.is_superseded, verdicts[i] == HANDSHAKE_SUPERSEDED);
        EXPECT(!pair.acceptor.is_superseded);
        release(&pair);

        begin_and_meet(&pair, &setting);
        handshake_decide(&pair.dialler, verdicts[i], "not you", &pair.to_acceptor);
        EXPECT_EQ(pair.dialler.state, HANDSHAKE_FAILED);
        EXPECT_EQ(acceptor_takes(&pair), STATUS_MISMATCH);
        EXPECT_CONTAINS(pair.error.text, "not you");
        EXPECT_EQ(pair.acceptor.is_superseded, verdicts[i] == HANDSHAKE_SUPERSEDED);
        release(&pair);
    }
}

static void put_message(const Peer__PeerMessage *message, struct buffer *to)
{
    buffer_clear(to);
    (void)peer__peer_message__pack(message,
                                   buffer_extend(to, peer__peer_message__get_packed_size(message)));
}

/* Who has not proven itself cannot end a server by calling its folder an old copy. */
static void test_a_stranger_is_not_believed_about_our_folder(void)
{
    struct setting setting = usual();
    struct pair pair;
    char refusal[] = "an old copy";
    uint8_t bytes[HANDSHAKE_PROOF_BYTES] = {1};
    Peer__Accepted accepted;
    Peer__Proof proof;
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;

    peer__accepted__init(&accepted);
    accepted.refusal = refusal;
    accepted.superseded = true;
    message.body_case = PEER__PEER_MESSAGE__BODY_ACCEPTED;
    message.accepted = &accepted;
    begin(&pair, &setting);
    put_message(&message, &pair.to_dialler);
    EXPECT_EQ(dialler_takes(&pair), STATUS_MISMATCH);
    EXPECT(!pair.dialler.is_superseded);
    release(&pair);

    peer__proof__init(&proof);
    proof.refusal = refusal;
    proof.superseded = true;
    proof.proof.data = bytes;
    proof.proof.len = sizeof bytes;
    message.body_case = PEER__PEER_MESSAGE__BODY_PROOF;
    message.proof = &proof;
    begin(&pair, &setting);
    EXPECT_OK(acceptor_takes(&pair));
    put_message(&message, &pair.to_acceptor);
    EXPECT_EQ(acceptor_takes(&pair), STATUS_MISMATCH);
    EXPECT(!pair.acceptor.is_superseded);
    release(&pair);
}

/* Who sits on the way makes a plain refusal into that: it is a refusal still, and no more. */
static void test_a_refusal_cannot_be_changed_into_an_old_copy_on_the_way(void)
{
    struct setting setting = usual();
    struct pair pair;
    Peer__PeerMessage *message;

    begin_and_meet(&pair, &setting);
    handshake_decide(&pair.dialler, HANDSHAKE_ADMITTED, "", &pair.to_acceptor);
    EXPECT_OK(acceptor_takes(&pair));
    handshake_decide(&pair.acceptor, HANDSHAKE_REFUSED, "not today", &pair.to_dialler);
    message = peer__peer_message__unpack(NULL, pair.to_dialler.size, pair.to_dialler.data);
    CHECK(message != NULL && message->body_case == PEER__PEER_MESSAGE__BODY_ACCEPTED);
    message->accepted->superseded = true;
    put_message(message, &pair.to_dialler);
    peer__peer_message__free_unpacked(message, NULL);
    EXPECT_EQ(dialler_takes(&pair), STATUS_MISMATCH);
    EXPECT(!pair.dialler.is_superseded);
    release(&pair);

    begin_and_meet(&pair, &setting);
    handshake_decide(&pair.dialler, HANDSHAKE_REFUSED, "not you", &pair.to_acceptor);
    message = peer__peer_message__unpack(NULL, pair.to_acceptor.size, pair.to_acceptor.data);
    CHECK(message != NULL && message->body_case == PEER__PEER_MESSAGE__BODY_PROOF);
    message->proof->superseded = true;
    put_message(message, &pair.to_acceptor);
    peer__peer_message__free_unpacked(message, NULL);
    EXPECT_EQ(acceptor_takes(&pair), STATUS_MISMATCH);
    EXPECT(!pair.acceptor.is_superseded);
    release(&pair);
}

static void test_an_identity_that_lies_about_its_starts_is_malformed(void)
{
    static const struct {
        uint64_t count;
        uint32_t known;
    } cases[] = {{0, 0}, {5, 0}, {1, 2}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct setting setting = usual();

        setting.dialler.start_count = cases[i].count;
        setting.dialler.start_known = cases[i].known;
        expect_hello_refused(&setting, "malformed");
        setting = usual();
        setting.acceptor.start_count = cases[i].count;
        setting.acceptor.start_known = cases[i].known;
        expect_welcome_refused(&setting, "malformed");
    }
}

static void test_messages_out_of_their_order_are_refused(void)
{
    struct setting setting = usual();
    struct pair pair;
    struct buffer hello = BUFFER_INIT;

    begin(&pair, &setting);
    buffer_put(&hello, buffer_lend(&pair.to_acceptor));
    EXPECT_OK(acceptor_takes(&pair));
    buffer_clear(&pair.to_acceptor);
    buffer_put(&pair.to_acceptor, buffer_lend(&hello));
    EXPECT_EQ(acceptor_takes(&pair), STATUS_INVALID);

    release(&pair);
    begin(&pair, &setting);
    buffer_put(&pair.to_dialler, buffer_lend(&hello));
    EXPECT_EQ(dialler_takes(&pair), STATUS_INVALID);
    release(&pair);
    buffer_release(&hello);
}

static void test_being_accepted_before_the_proof_is_refused(void)
{
    struct setting setting = usual();
    struct pair pair;
    Peer__Accepted accepted;
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;

    peer__accepted__init(&accepted);
    begin(&pair, &setting);
    message.body_case = PEER__PEER_MESSAGE__BODY_ACCEPTED;
    message.accepted = &accepted;
    (void)peer__peer_message__pack(
        &message, buffer_extend(&pair.to_dialler, peer__peer_message__get_packed_size(&message)));
    EXPECT_EQ(dialler_takes(&pair), STATUS_INVALID);
    release(&pair);
}

static void test_damaged_messages_never_get_through(void)
{
    struct setting setting = usual();
    struct pair pair;
    struct buffer hello = BUFFER_INIT;

    begin(&pair, &setting);
    buffer_put(&hello, buffer_lend(&pair.to_acceptor));
    release(&pair);
    for (size_t at = 0; at < hello.size; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            begin(&pair, &setting);
            buffer_clear(&pair.to_acceptor);
            buffer_put(&pair.to_acceptor, buffer_lend(&hello));
            pair.to_acceptor.data[at] ^= (uint8_t)(1U << bit);
            /* Either the acceptor refuses at once, or the two ends have seen different Hellos and
             * the dialler refuses the proof. */
            if (acceptor_takes(&pair) == STATUS_OK) {
                EXPECT(dialler_takes(&pair) != STATUS_OK);
            }
            release(&pair);
        }
    }
    for (size_t size = 0; size < hello.size; size++) {
        begin(&pair, &setting);
        pair.to_acceptor.size = size;
        EXPECT(acceptor_takes(&pair) != STATUS_OK);
        release(&pair);
    }
    buffer_release(&hello);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_servers_with_one_secret_meet),
        TEST_CASE(test_without_a_secret_servers_meet_on_one_machine_only),
        TEST_CASE(test_a_wrong_secret_is_refused_by_the_dialler),
        TEST_CASE(test_one_secret_and_none_do_not_meet),
        TEST_CASE(test_a_wrong_proof_is_refused_by_the_acceptor),
        TEST_CASE(test_a_reflected_proof_is_refused),
        TEST_CASE(test_a_recorded_handshake_cannot_be_replayed),
        TEST_CASE(test_a_server_of_another_cluster_is_refused),
        TEST_CASE(test_a_fresh_server_is_called_by_its_new_cluster),
        TEST_CASE(test_a_wiped_data_folder_is_refused),
        TEST_CASE(test_a_control_link_must_name_an_incarnation),
        TEST_CASE(test_a_wrong_address_is_told_by_its_id),
        TEST_CASE(test_an_impostor_is_found_by_the_dialler),
        TEST_CASE(test_a_server_does_not_talk_to_itself),
        TEST_CASE(test_two_servers_of_one_id_are_refused_but_may_be_probed),
        TEST_CASE(test_a_probe_needs_no_common_cluster),
        TEST_CASE(test_a_newer_server_is_refused),
        TEST_CASE(test_a_refusal_reaches_the_other_end),
        TEST_CASE(test_a_stranger_is_not_believed_about_our_folder),
        TEST_CASE(test_a_refusal_cannot_be_changed_into_an_old_copy_on_the_way),
        TEST_CASE(test_an_identity_that_lies_about_its_starts_is_malformed),
        TEST_CASE(test_messages_out_of_their_order_are_refused),
        TEST_CASE(test_being_accepted_before_the_proof_is_refused),
        TEST_CASE(test_damaged_messages_never_get_through),
        TEST_END};

    return test_main("handshake", cases, argc, argv);
}
