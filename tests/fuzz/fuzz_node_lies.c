/* Bytes as what two members and a stranger say to one whole server, on its links, bulk links and
 * probes: any message, its numbers around those that matter, true or not, between turns, disks that
 * finish, clients that ask, links that come and go. What is promised is only that no message ends
 * the server but by its own decision: who lies as a member can break a cluster. */
#define TEST_WITHOUT_CASES

#include "base/bytes.h"
#include "tests/unit/node/node_lab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    IDS = 5, /* the last ones are in no configuration */
    EVENTS_MAX = 300,
    ITEMS_MAX = 3,
    TEXT_BYTES_MAX = 64,
    TURNS_MAX = 300
};

static struct play {
    struct reader bytes;
    struct arena arena; /* of the message that is made */
} play;

/* --- Numbers and texts --- */

/* 0 when there are no more: the shortest input says the least. */
static uint8_t draw(void)
{
    uint8_t byte = 0;

    (void)!reader_u8(&play.bytes, &byte);
    return byte;
}

static size_t draw_below(size_t bound)
{
    return draw() % bound;
}

static bool draw_flag(void)
{
    return (draw() & 1) != 0;
}

static raft_id draw_other(void)
{
    return 2 + draw_below(IDS - 1);
}

/* Around one of the places that matter, so that it is often nearly right; now and then absurd. */
static uint64_t draw_index(void)
{
    struct raft_status status = raft_status(node_raft(lab.node));
    const uint64_t places[] = {status.log_base,     status.commit_index,    status.last_index,
                               status.config_index, node_applied(lab.node), 2,
                               UINT64_MAX - 2};
    uint64_t place = places[draw_below(sizeof places / sizeof *places)];

    return place + draw_below(5) - (place < 2 ? 0 : 2);
}

/* The true one mostly, here and below. */
static uint64_t draw_term(void)
{
    uint64_t term = raft_status(node_raft(lab.node)).term;

    return draw_below(4) > 0 ? term : term + draw_below(5) - draw_below(2);
}

static uint64_t draw_term_at(uint64_t index)
{
    uint64_t term = raft_term_at(node_raft(lab.node), index);

    return draw_below(4) > 0 && term > 0 ? term : draw_term();
}

static uint64_t draw_number(void)
{
    return draw_below(4) == 0 ? draw_index() : draw();
}

static ProtobufCBinaryData draw_bytes(void)
{
    size_t size = draw_below(TEXT_BYTES_MAX);
    uint8_t *data = arena_alloc(&play.arena, size + 1);

    for (size_t i = 0; i < size; i++) {
        data[i] = draw();
    }
    return (ProtobufCBinaryData){size, data};
}

static char *draw_text(void)
{
    size_t size = draw_below(8);
    char *text = arena_calloc(&play.arena, size + 1, 1);

    for (size_t i = 0; i < size; i++) {
        text[i] = (char)(' ' + draw_below(90));
    }
    return text;
}

static uint64_t *draw_numbers(size_t *ret_count, uint64_t (*draw_one)(void))
{
    uint64_t *numbers = arena_calloc(&play.arena, ITEMS_MAX, sizeof *numbers);

    *ret_count = draw_below(ITEMS_MAX + 1);
    for (size_t i = 0; i < *ret_count; i++) {
        numbers[i] = draw_one();
    }
    return numbers;
}

static ProtobufCBinaryData pack(const ProtobufCMessage *message)
{
    uint8_t *data = arena_alloc(&play.arena, protobuf_c_message_get_packed_size(message) + 1);

    return (ProtobufCBinaryData){protobuf_c_message_pack(message, data), data};
}

/* --- Parts of messages --- */

static ProtobufCBinaryData draw_config(void)
{
    struct raft_config config;
    struct buffer packed = BUFFER_INIT;
    struct bytes copy;
    uint8_t members = draw();

    memset(&config, 0, sizeof config);
    config.joint = (members & 1) != 0;
    for (raft_id id = 1; id <= IDS; id++) {
        if ((members >> id & 1) != 0) {
            struct raft_member *member = &config.members[config.member_count++];

            member->id = id;
            member->flags =
                draw() & (RAFT_VOTER_NEW | RAFT_VOTER_OLD | RAFT_LEARNER | RAFT_PROMOTE);
            memset(member->incarnation, (int)id, sizeof member->incarnation);
            (void)snprintf(member->address, sizeof member->address, "host%u:1", (unsigned)id);
        }
    }
    config_codec_pack(&config, &packed);
    copy = arena_copy(&play.arena, buffer_lend(&packed));
    buffer_release(&packed);
    return (ProtobufCBinaryData){copy.size, (uint8_t *)(uintptr_t)copy.data};
}

static ProtobufCBinaryData draw_command(void)
{
    Record__Command command = RECORD__COMMAND__INIT;
    Record__OpenSession open = RECORD__OPEN_SESSION__INIT;
    Record__ExpireSession expire = RECORD__EXPIRE_SESSION__INIT;
    char path[] = {'/', (char)('a' + draw_below(3)), '\0'};
    uint8_t password[STATE_PASSWORD_BYTES] = {0};

    switch (draw_below(6)) {
    case 0:
        return draw_bytes();
    case 1:
        open.password = (ProtobufCBinaryData){sizeof password, password};
        open.timeout_ms = 1000;
        open.owner = 1 + draw_below(IDS);
        command.body_case = RECORD__COMMAND__BODY_OPEN_SESSION;
        command.open_session = &open;
        break;
    case 2:
        expire.session = draw_index();
        expire.generation = draw_below(3);
        command.body_case = RECORD__COMMAND__BODY_EXPIRE_SESSION;
        command.expire_session = &expire;
        break;
    default:
        command.session = draw_below(3) == 0 ? draw_index() : 0;
        command.generation = draw_below(3);
        command.body_case = RECORD__COMMAND__BODY_OPERATION;
        command.operation = draw_flag() ? state_lab_make_create(&play.arena, path, "value")
                                        : state_lab_make_remove(&play.arena, path, -1);
        break;
    }
    return pack(&command.base);
}

static ProtobufCBinaryData draw_payload(uint32_t type)
{
    ProtobufCBinaryData command;
    uint8_t *stamped;

    if (type == RAFT_ENTRY_CONFIG) {
        return draw_config();
    }
    if (type != RAFT_ENTRY_COMMAND) {
        return (ProtobufCBinaryData){0, NULL};
    }
    command = draw_command();
    stamped = arena_alloc(&play.arena, command.len + sizeof(uint64_t));
    bytes_store_u64(stamped, draw());
    memcpy(stamped + sizeof(uint64_t), command.data, command.len);
    return (ProtobufCBinaryData){command.len + sizeof(uint64_t), stamped};
}

/* What it waits for, mostly. */
static uint32_t draw_type(void)
{
    if (draw_below(3) == 0) {
        return 1 + (uint32_t)draw_below(RAFT_READ_INDEX_RESPONSE + 1);
    }
    switch (raft_status(node_raft(lab.node)).role) {
    case RAFT_PRE_CANDIDATE:
        return RAFT_PREVOTE_RESPONSE;
    case RAFT_CANDIDATE:
        return RAFT_VOTE_RESPONSE;
    case RAFT_LEADER:
        return draw_flag() ? RAFT_APPEND_RESPONSE : RAFT_HEARTBEAT_RESPONSE;
    case RAFT_FOLLOWER:
        break;
    }
    return draw_flag() ? RAFT_APPEND : RAFT_HEARTBEAT;
}

static Peer__RaftMessage *draw_raft(void)
{
    static const uint8_t types[] = {RAFT_ENTRY_COMMAND, RAFT_ENTRY_COMMAND, RAFT_ENTRY_NOOP,
                                    RAFT_ENTRY_CONFIG, 0};
    Peer__RaftMessage *raft = arena_alloc(&play.arena, sizeof *raft);

    peer__raft_message__init(raft);
    raft->type = draw_type();
    raft->term = draw_term();
    raft->term += raft->type == RAFT_PREVOTE_RESPONSE && draw_flag();
    raft->index = draw_flag() ? raft_status(node_raft(lab.node)).last_index : draw_index();
    raft->index_term = draw_term_at(raft->index);
    raft->commit = draw_index();
    raft->round = draw_below(4) > 0 ? lab.last_round : draw_below(8);
    raft->flag = draw_below(4) > 0;
    raft->hint_index = draw_index();
    raft->hint_term = draw_term_at(raft->hint_index);
    raft->n_entries = raft->type == RAFT_APPEND ? draw_below(ITEMS_MAX + 1) : 0;
    raft->entries = arena_calloc(&play.arena, ITEMS_MAX, sizeof *raft->entries);
    for (size_t i = 0; i < raft->n_entries; i++) {
        Peer__Entry *entry = arena_alloc(&play.arena, sizeof *entry);

        peer__entry__init(entry);
        entry->term = draw_term_at(raft->index + 1 + i);
        entry->type = types[draw_below(sizeof types)];
        entry->payload = draw_payload(entry->type);
        raft->entries[i] = entry;
    }
    return raft;
}

static Peer__NodeReport *draw_report(void)
{
    Peer__NodeReport *report = arena_alloc(&play.arena, sizeof *report);
    struct state_digest digest = state_digest(lab.node->state);

    peer__node_report__init(report);
    report->applied = draw_index();
    report->last = draw_index();
    report->term = draw_term();
    report->role = draw_text();
    report->version = draw_text();
    report->digest_zxid = draw_index();
    report->digest_count = digest.record_count;
    report->digest_sum = digest.sum + draw_below(2);
    report->short_of_space = draw_flag();
    report->unfit_to_lead = draw_flag();
    report->trouble = draw_text();
    report->digest_borrowed = draw_flag();
    report->repair_from = draw_below(4) == 0 ? draw_index() : 0;
    report->replace_from = draw_below(4) == 0 ? draw_index() : 0;
    report->start = draw();
    report->durable_term = draw_term();
    report->disputes = draw_numbers(&report->n_disputes, draw_other);
    report->echo_zxid = draw_index();
    report->echo_count = digest.record_count;
    report->echo_sum = digest.sum + draw_below(2);
    report->agreed = draw_index();
    if (draw_flag()) {
        report->change = arena_alloc(&play.arena, sizeof *report->change);
        peer__change_report__init(report->change);
        report->change->from = draw_numbers(&report->change->n_from, draw_other);
        report->change->to = draw_numbers(&report->change->n_to, draw_other);
        report->change->waits_for = draw_text();
    }
    report->n_members = draw_below(ITEMS_MAX + 1);
    report->members = arena_calloc(&play.arena, ITEMS_MAX, sizeof *report->members);
    for (size_t i = 0; i < report->n_members; i++) {
        report->members[i] = arena_alloc(&play.arena, sizeof *report->members[i]);
        peer__member_progress__init(report->members[i]);
        report->members[i]->id = draw_other();
        report->members[i]->progress = draw_text();
        report->members[i]->match = draw_index();
    }
    return report;
}

/* A client's request about the members. */
static ProtobufCBinaryData draw_request(void)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__AddLearner add = CLIENT__ADD_LEARNER__INIT;
    Client__NodeAddress address = CLIENT__NODE_ADDRESS__INIT;
    Client__RemoveMember removal = CLIENT__REMOVE_MEMBER__INIT;
    Client__ChangeMembership change = CLIENT__CHANGE_MEMBERSHIP__INIT;
    Client__TransferLeader transfer = CLIENT__TRANSFER_LEADER__INIT;
    Client__CancelChange cancel = CLIENT__CANCEL_CHANGE__INIT;

    request.id = draw();
    switch (draw_below(6)) {
    case 0:
        return draw_bytes();
    case 1:
        address.id = 1 + draw_below(IDS);
        address.address = draw_text();
        add.node = draw_flag() ? &address : NULL;
        add.promote = draw_flag();
        request.body_case = CLIENT__REQUEST__BODY_ADD_LEARNER;
        request.add_learner = &add;
        break;
    case 2:
        removal.id = 1 + draw_below(IDS);
        request.body_case = CLIENT__REQUEST__BODY_REMOVE_MEMBER;
        request.remove_member = &removal;
        break;
    case 3:
        change.voters = draw_numbers(&change.n_voters, draw_other);
        request.body_case = CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP;
        request.change_membership = &change;
        break;
    case 4:
        transfer.target = draw_below(IDS + 1);
        request.body_case = CLIENT__REQUEST__BODY_TRANSFER_LEADER;
        request.transfer_leader = &transfer;
        break;
    default:
        request.body_case = CLIENT__REQUEST__BODY_CANCEL_CHANGE;
        request.cancel_change = &cancel;
        break;
    }
    return pack(&request.base);
}

/* --- Messages --- */

#define MAKE(message, body, name)                                                                  \
    ((message)->name = arena_alloc(&play.arena, sizeof *(message)->name),                          \
     peer__##body##__init((message)->name), (message)->name)

static void fill_control(Peer__PeerMessage *message)
{
    switch ((int)message->body_case) {
    case PEER__PEER_MESSAGE__BODY_RAFT:
        message->raft = draw_raft();
        break;
    case PEER__PEER_MESSAGE__BODY_FORWARD: {
        Peer__Forward *forward = MAKE(message, forward, forward);

        forward->id = draw_number();
        forward->n_commands = draw_below(ITEMS_MAX + 1);
        forward->commands = arena_calloc(&play.arena, ITEMS_MAX, sizeof *forward->commands);
        for (size_t i = 0; i < forward->n_commands; i++) {
            forward->commands[i] = draw_command();
        }
        break;
    }
    case PEER__PEER_MESSAGE__BODY_FORWARDED: {
        Peer__Forwarded *forwarded = MAKE(message, forwarded, forwarded);

        forwarded->id = draw_number();
        forwarded->first_index = draw_index();
        forwarded->term = draw_term();
        forwarded->accepted = (uint32_t)draw_below(ITEMS_MAX + 2);
        forwarded->code = draw_flag() ? CLIENT__CODE__BUSY : draw();
        break;
    }
    case PEER__PEER_MESSAGE__BODY_SESSION_REPORT: {
        Peer__SessionReport *report = MAKE(message, session_report, session_report);
        size_t count;

        report->round = draw_below(4);
        report->sessions = draw_numbers(&report->n_sessions, draw_index);
        count = draw_below(8) == 0 ? draw_below(ITEMS_MAX + 1) : report->n_sessions;
        report->n_silent_ms = count;
        report->silent_ms = arena_calloc(&play.arena, ITEMS_MAX, sizeof *report->silent_ms);
        for (size_t i = 0; i < count; i++) {
            report->silent_ms[i] = draw() * 100U;
        }
        break;
    }
    case PEER__PEER_MESSAGE__BODY_SESSION_QUERY: {
        Peer__SessionQuery *query = MAKE(message, session_query, session_query);

        query->round = draw_below(4);
        query->sessions = draw_numbers(&query->n_sessions, draw_index);
        break;
    }
    case PEER__PEER_MESSAGE__BODY_RELAY: {
        Peer__Relay *relay = MAKE(message, relay, relay);

        relay->id = draw_below(4);
        relay->request = draw_request();
        relay->given_up = draw_below(8) == 0;
        break;
    }
    case PEER__PEER_MESSAGE__BODY_RELAYED: {
        Peer__Relayed *relayed = MAKE(message, relayed, relayed);
        Client__Response response = CLIENT__RESPONSE__INIT;

        relayed->id = draw_below(4);
        response.id = draw_below(4);
        response.code = (Client__Code)draw();
        relayed->response = draw_flag() ? draw_bytes() : pack(&response.base);
        break;
    }
    case PEER__PEER_MESSAGE__BODY_NODE_REPORT:
        message->node_report = draw_report();
        break;
    default:
        message->body_case = PEER__PEER_MESSAGE__BODY_NOT_MEMBER;
        MAKE(message, not_member, not_member)->config_index = draw_index();
        break;
    }
}

static void fill_bulk(Peer__PeerMessage *message)
{
    switch (draw_below(4)) {
    case 0: {
        Peer__DumpOffer *offer;

        message->body_case = PEER__PEER_MESSAGE__BODY_DUMP_OFFER;
        offer = MAKE(message, dump_offer, dump_offer);
        offer->index = draw_index();
        offer->term = draw_term();
        offer->leader_term = draw_term();
        offer->bytes = draw_number();
        offer->vouched = draw_flag();
        offer->n_dissent = draw_below(ITEMS_MAX + 1);
        offer->dissent = arena_calloc(&play.arena, ITEMS_MAX, sizeof *offer->dissent);
        for (size_t i = 0; i < offer->n_dissent; i++) {
            offer->dissent[i] = arena_alloc(&play.arena, sizeof *offer->dissent[i]);
            peer__dissent__init(offer->dissent[i]);
            offer->dissent[i]->member = draw_other();
            offer->dissent[i]->zxid = draw_index();
            offer->dissent[i]->borrowed = draw_flag();
        }
        break;
    }
    case 1: {
        Peer__DumpWanted *wanted;

        message->body_case = PEER__PEER_MESSAGE__BODY_DUMP_WANTED;
        wanted = MAKE(message, dump_wanted, dump_wanted);
        wanted->offset = draw_number();
        wanted->refusal = draw_flag() ? draw_text() : (char *)(uintptr_t) "";
        wanted->passing = draw_flag();
        break;
    }
    case 2: {
        Peer__DumpChunk *chunk;

        message->body_case = PEER__PEER_MESSAGE__BODY_DUMP_CHUNK;
        chunk = MAKE(message, dump_chunk, dump_chunk);
        chunk->offset = draw_number();
        chunk->data = draw_bytes();
        break;
    }
    default:
        message->body_case = PEER__PEER_MESSAGE__BODY_DUMP_RECEIVED;
        MAKE(message, dump_received, dump_received)->offset = draw_number();
        message->dump_received->installed = draw_flag();
        break;
    }
}

static void fill_probe(Peer__PeerMessage *message)
{
    if (draw_flag()) {
        message->body_case = PEER__PEER_MESSAGE__BODY_PROBE_QUERY;
        (void)MAKE(message, probe_query, probe_query);
        return;
    }
    message->body_case = PEER__PEER_MESSAGE__BODY_BOOTSTRAP;
    MAKE(message, bootstrap, bootstrap)->cluster_id = draw_bytes();
    if (draw_flag()) {
        ProtobufCBinaryData config = draw_config();

        message->bootstrap->config = (Record__Config *)protobuf_c_message_unpack(
            &record__config__descriptor, NULL, config.len, config.data);
    }
}

/* --- What comes in --- */

typedef enum status receiver(raft_id from, struct bytes message);

static enum status to_node(raft_id from, struct bytes message)
{
    return node_on_peer_message(lab.node, from, message);
}

static enum status to_bulk(raft_id from, struct bytes message)
{
    return node_on_bulk_message(lab.node, from, message);
}

static enum status to_probe(raft_id from, struct bytes message)
{
    return node_on_probe(lab.node, from, message);
}

static enum status say(const Peer__PeerMessage *message, receiver *receive)
{
    struct buffer packed = BUFFER_INIT;
    raft_id from = draw_other();
    enum status status;

    peer_codec_pack(message, &packed);
    status = receive(from, buffer_lend(&packed));
    buffer_release(&packed);
    /* So does the link. */
    if (status != STATUS_OK && receive == to_node) {
        node_on_peer_down(lab.node, from);
    }
    return status;
}

static void say_control(void)
{
    static const uint8_t bodies[] = {
        PEER__PEER_MESSAGE__BODY_RAFT,          PEER__PEER_MESSAGE__BODY_RAFT,
        PEER__PEER_MESSAGE__BODY_RAFT,          PEER__PEER_MESSAGE__BODY_RAFT,
        PEER__PEER_MESSAGE__BODY_RAFT,          PEER__PEER_MESSAGE__BODY_FORWARD,
        PEER__PEER_MESSAGE__BODY_FORWARDED,     PEER__PEER_MESSAGE__BODY_SESSION_REPORT,
        PEER__PEER_MESSAGE__BODY_SESSION_QUERY, PEER__PEER_MESSAGE__BODY_RELAY,
        PEER__PEER_MESSAGE__BODY_RELAYED,       PEER__PEER_MESSAGE__BODY_NODE_REPORT,
        PEER__PEER_MESSAGE__BODY_NODE_REPORT,   PEER__PEER_MESSAGE__BODY_NOT_MEMBER};
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;

    message.body_case = (Peer__PeerMessage__BodyCase)bodies[draw_below(sizeof bodies)];
    fill_control(&message);
    (void)!say(&message, to_node);
}

static void say_bulk(void)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;

    fill_bulk(&message);
    (void)!say(&message, draw_below(8) == 0 ? to_node : to_bulk);
}

static void say_probe(void)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;

    fill_probe(&message);
    (void)!say(&message, to_probe);
    if (message.body_case == PEER__PEER_MESSAGE__BODY_BOOTSTRAP &&
        message.bootstrap->config != NULL) {
        record__config__free_unpacked(message.bootstrap->config, NULL);
    }
}

static void answer_probe(void)
{
    Peer__Identity identity = PEER__IDENTITY__INIT;
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    struct buffer packed = BUFFER_INIT;
    bool is_ok = draw_flag();

    identity.id = draw_other();
    identity.format = NODE_FORMAT + (uint32_t)draw_below(2);
    identity.incarnation = draw_bytes();
    identity.term = draw_term();
    message.body_case = PEER__PEER_MESSAGE__BODY_PROBE_REPLY;
    MAKE(&message, probe_reply, probe_reply)->has_log = draw_flag();
    message.probe_reply->address = draw_text();
    peer_codec_pack(&message, &packed);
    node_on_probe_answer(lab.node, lab.probe_token + draw_below(2),
                         is_ok ? STATUS_OK : STATUS_UNAVAILABLE, &identity, buffer_lend(&packed),
                         is_ok ? "" : "nobody is there");
    buffer_release(&packed);
}

static void change_link(void)
{
    raft_id peer = draw_other();

    switch (draw_below(4)) {
    case 0:
        node_on_peer_up(lab.node, peer);
        break;
    case 1:
        node_on_peer_down(lab.node, peer);
        break;
    case 2:
        node_on_bulk_up(lab.node, peer);
        break;
    default:
        node_on_bulk_down(lab.node, peer);
        break;
    }
}

static void ask(void)
{
    const char path[] = {'/', (char)('a' + draw_below(3)), '\0'};

    lab.reply_count = 0;
    submit(draw_flag() ? creating(path, 0, 0) : reading(REQUEST_GET, path));
}

static void step(void)
{
    switch (draw_below(10)) {
    case 0:
        for (size_t turns = draw_below(TURNS_MAX); turns > 0 && !lab.has_failed; turns--) {
            lab.reply_count = 0;
            turn();
        }
        break;
    case 1:
        change_link();
        break;
    case 2:
        ask();
        break;
    case 3:
        say_bulk();
        break;
    case 4:
        if (draw_flag()) {
            say_probe();
        } else {
            answer_probe();
        }
        break;
    default:
        say_control();
        break;
    }
    lab.reply_count = 0;
    if (!lab.has_failed) {
        turn();
    }
    arena_reset(&play.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    play.bytes = (struct reader){.rest = bytes_of(data, size)};
    arena_init(&play.arena);
    begin(3);
    node_on_peer_up(lab.node, 2);
    node_on_peer_up(lab.node, 3);
    for (size_t i = 0; i < EVENTS_MAX && play.bytes.rest.size > 0 && !lab.has_failed; i++) {
        step();
    }
    end();
    arena_release(&play.arena);
    return 0;
}
