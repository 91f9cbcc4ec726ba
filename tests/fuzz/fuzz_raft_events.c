/* Bytes as a stream of events into a cluster of cores: time, messages (in any order, twice, never,
 * changed on their way, or from strangers), proposals, reads, writes that finish when they like,
 * crashes, changes of members. After each of them every core is checked by itself (raft_check) and
 * all of them together by the oracle of the scenarios.
 *
 * Members are not made to lie: who holds the secret could break any cluster. */
#include "base/bytes.h"
#include "base/check.h"
#include "tests/scenario/cluster.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EVENTS_MAX = 480, STRANGER = CLUSTER_NODES_MAX, TERM_LEAP_MAX = 3 };

struct play {
    struct cluster *cluster;
    struct reader bytes;
};

/* 0 when there are no more: the shortest input says the least. */
static uint8_t draw(struct play *play)
{
    uint8_t byte = 0;

    (void)!reader_u8(&play->bytes, &byte);
    return byte;
}

static size_t draw_below(struct play *play, size_t bound)
{
    return draw(play) % bound;
}

static struct cluster_node *draw_node(struct play *play)
{
    return &play->cluster->nodes[draw_below(play, play->cluster->node_count)];
}

static struct cluster_node *leader_of(struct play *play)
{
    struct cluster_node *node = draw_node(play);
    struct cluster *cluster = play->cluster;

    for (size_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *other = &cluster->nodes[(node->id + i) % cluster->node_count];

        if (other->alive && raft_status(other->raft).role == RAFT_LEADER) {
            return other;
        }
    }
    return NULL;
}

static void pass_time(struct play *play)
{
    struct cluster *cluster = play->cluster;

    cluster->now += (raft_time)draw(play) * 4000;
    for (size_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];

        if (node->alive && node->next_deadline <= cluster->now) {
            cluster_tick(cluster, node);
        }
    }
}

/* One node's clock runs ahead to whatever it waits for. */
static void expire(struct play *play)
{
    struct cluster_node *node = draw_node(play);

    if (node->alive) {
        raft_tick(node->raft, node->next_deadline);
        cluster_touched(node);
    }
}

static void network(struct play *play, uint8_t what)
{
    struct cluster *cluster = play->cluster;

    if (cluster->flight_count == 0) {
        return;
    }
    size_t position = draw_below(play, cluster->flight_count);
    if (what == 0) {
        cluster_drop(cluster, position);
    } else if (what == 1) {
        cluster_duplicate(cluster, position);
    } else {
        cluster_deliver(cluster, position);
    }
}

/* Give `message` to a node as a driver would: only if it is legal. */
static void
receive(struct play *play, struct cluster_node *node, const struct raft_message *message)
{
    struct raft_range stored;

    if (node->alive && raft_message_validate(message, node->options.entry_bytes_max) == STATUS_OK) {
        raft_receive(node->raft, play->cluster->now, message, &stored);
        CHECK(stored.last < stored.first);
        cluster_touched(node);
    }
}

/* What was meant for somebody else, or comes from the node itself, has no effect. */
static void misdirect(struct play *play)
{
    struct cluster *cluster = play->cluster;
    struct cluster_node *node = draw_node(play);

    if (cluster->flight_count == 0) {
        return;
    }
    struct raft_message message = cluster->flights[draw_below(play, cluster->flight_count)].message;
    bool own = message.from == node->id;
    if (message.type == RAFT_APPEND) {
        message.append.entry_count = 0;
    }
    if (message.to == node->id) {
        message.from = node->id;
    } else if (own) {
        message.to = node->id;
    }
    receive(play, node, &message);
}

/* Any bytes as a message: judged, and never given to a core. */
static void judge_garbage(struct play *play)
{
    struct raft_message message;
    struct raft_entry entries[4];
    struct raft_config config;
    const struct raft_config *configs[4] = {&config, &config, &config, &config};

    memset(&message, 0, sizeof message);
    memset(&config, 0, sizeof config);
    message.type = (enum raft_message_type)draw(play);
    message.from = draw(play);
    message.to = draw(play);
    message.term = draw(play) == 255 ? UINT64_MAX : draw(play);
    if (message.type == RAFT_APPEND) {
        message.append.previous_index = draw(play) == 255 ? UINT64_MAX : draw(play);
        message.append.previous_term = draw(play);
        message.append.entry_count = (uint32_t)draw_below(play, 5);
        message.append.entries = entries;
        message.append.configs = configs;
        for (size_t i = 0; i < 4; i++) {
            entries[i].term = draw(play);
            entries[i].bytes = draw(play);
            entries[i].type = (enum raft_entry_type)draw_below(play, 5);
        }
        config.member_count = draw(play);
        config.joint = (draw(play) & 1) != 0;
        for (size_t i = 0; i < RAFT_MEMBERS_MAX && i < config.member_count; i++) {
            config.members[i].id = draw(play);
            config.members[i].flags = draw(play);
        }
    }
    enum status status = raft_message_validate(&message, 1000);
    CHECK(status == STATUS_OK || status == STATUS_INVALID);
}

static raft_term leap(struct play *play, const struct cluster_node *node)
{
    raft_term term = raft_status(node->raft).term + draw_below(play, 2 * TERM_LEAP_MAX + 1);

    return term > TERM_LEAP_MAX ? term - TERM_LEAP_MAX : 1;
}

/* From a node that is in no configuration: it may ask, and its answers must not count. */
static void strange(struct play *play)
{
    static const enum raft_message_type types[] = {
        RAFT_PREVOTE,       RAFT_PREVOTE_RESPONSE,    RAFT_VOTE,
        RAFT_VOTE_RESPONSE, RAFT_APPEND_RESPONSE,     RAFT_HEARTBEAT_RESPONSE,
        RAFT_READ_INDEX,    RAFT_READ_INDEX_RESPONSE, RAFT_TIMEOUT_NOW_RESPONSE,
    };
    struct cluster_node *node = draw_node(play);
    struct raft_message message;

    memset(&message, 0, sizeof message);
    message.type = types[draw_below(play, sizeof types / sizeof types[0])];
    message.from = STRANGER;
    message.to = node->id;
    message.term = leap(play, node);
    switch (message.type) {
    case RAFT_PREVOTE:
    case RAFT_VOTE:
        message.vote.last_index = draw(play);
        message.vote.last_term =
            message.vote.last_index > 0 ? 1 + draw_below(play, message.term) : 0;
        message.vote.transfer = (draw(play) & 1) != 0;
        break;
    case RAFT_PREVOTE_RESPONSE:
    case RAFT_VOTE_RESPONSE:
        message.vote_response.granted = (draw(play) & 1) != 0;
        break;
    case RAFT_APPEND_RESPONSE:
        message.append_response.ok = (draw(play) & 1) != 0;
        message.append_response.index = draw(play);
        message.append_response.read_round = draw(play);
        break;
    case RAFT_HEARTBEAT_RESPONSE:
        message.heartbeat_response.read_round = draw(play);
        break;
    case RAFT_READ_INDEX:
        message.read_index.token = draw(play);
        break;
    case RAFT_READ_INDEX_RESPONSE:
        message.read_index_response.ok = true;
        break;
    case RAFT_TIMEOUT_NOW_RESPONSE:
        message.timeout_now_response.accepted = (draw(play) & 1) != 0;
        break;
    case RAFT_APPEND:
    case RAFT_HEARTBEAT:
    case RAFT_TIMEOUT_NOW:
        CHECK(false); /* those are a leader's */
    }
    receive(play, node, &message);
}

static void persist(struct play *play)
{
    struct cluster_node *node = draw_node(play);

    if (node->alive && node->write_count > 0) {
        cluster_persist(play->cluster, node);
    }
}

static void checkpoint(struct play *play)
{
    struct cluster_node *node = draw_node(play);
    uint8_t kept = draw(play);

    if (node->alive) {
        cluster_checkpoint(play->cluster, node);
        if (node->disk->checkpoint > kept) {
            cluster_trim(play->cluster, node, node->disk->checkpoint - kept);
        }
    }
}

static void crash_or_restart(struct play *play)
{
    struct cluster_node *node = draw_node(play);

    if (node->alive) {
        cluster_crash(play->cluster, node);
    } else {
        CHECK(cluster_restart(play->cluster, node) == STATUS_OK);
    }
}

static void propose(struct play *play)
{
    struct cluster_node *node = (draw(play) & 7) == 0 ? draw_node(play) : leader_of(play);
    uint8_t many = draw(play);

    if (node != NULL && node->alive) {
        (void)!cluster_propose(play->cluster, node, 1 + many % 4, many * 8u);
    }
}

static void read(struct play *play)
{
    struct cluster_node *node = draw_node(play);

    if (node->alive) {
        (void)!cluster_read(play->cluster, node);
    }
}

static void lose_peer(struct play *play)
{
    struct cluster_node *node = draw_node(play);
    struct cluster_node *peer = draw_node(play);

    if (node->alive) {
        cluster_peer_down(play->cluster, node, peer->id);
    }
}

static void change_voters(struct play *play, struct cluster_node *leader)
{
    raft_id voters[RAFT_VOTERS_MAX];
    size_t count = 0;
    uint8_t mask = draw(play);
    uint8_t how = draw(play);
    raft_index index;

    for (raft_id id = 1; id <= play->cluster->node_count && count < RAFT_VOTERS_MAX; id++) {
        if ((mask >> (id - 1) & 1) != 0) {
            voters[count++] = id;
        }
    }
    (void)!raft_change_voters(leader->raft, play->cluster->now, voters, count, (how & 1) != 0,
                              (how & 2) != 0, &index);
}

static void change_members(struct play *play)
{
    struct cluster_node *leader = leader_of(play);
    uint8_t what = draw(play);
    struct raft_member member = cluster_member(draw_node(play), 0);
    raft_time now = play->cluster->now;
    raft_index index;

    if (leader == NULL) {
        return;
    }
    switch (what % 4) {
    case 0:
        (void)!raft_add_learner(leader->raft, now, &member, &index);
        break;
    case 1:
        (void)!raft_remove_learner(leader->raft, now, member.id, &index);
        break;
    case 2:
        change_voters(play, leader);
        break;
    default:
        (void)!raft_transfer(leader->raft, now, (what & 4) != 0 ? member.id : 0);
    }
    cluster_touched(leader);
}

/* Any node may send a dump to any other: what does not fit must be refused. */
static void send_dump(struct play *play)
{
    struct cluster_node *from = draw_node(play);
    struct cluster_node *to = draw_node(play);

    if (from->alive && to->alive && from != to && from->disk->checkpoint > 0 &&
        to->write_count == 0) {
        (void)!cluster_dump(play->cluster, from, to);
    }
}

static void one_event(struct play *play)
{
    uint8_t what = draw(play);

    switch (what % 32) {
    case 0:
    case 1:
        pass_time(play);
        break;
    case 2:
        expire(play);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
        network(play, 2);
        break;
    case 13:
        network(play, 0);
        break;
    case 14:
        network(play, 1);
        break;
    case 15:
    case 16:
    case 17:
    case 18:
        persist(play);
        break;
    case 19:
    case 20:
        propose(play);
        break;
    case 21:
        read(play);
        break;
    case 22:
        crash_or_restart(play);
        break;
    case 23:
        checkpoint(play);
        break;
    case 24:
        lose_peer(play);
        break;
    case 25:
    case 26:
        change_members(play);
        break;
    case 27:
        send_dump(play);
        break;
    case 28:
        misdirect(play);
        break;
    case 29:
        judge_garbage(play);
        break;
    case 30:
        strange(play);
        break;
    default:
        /* All that can move moves, so that short inputs reach late states. */
        cluster_advance(play->cluster, play->cluster->now + (raft_time)(what >> 5) * 200 * 1000,
                        true);
    }
    /* Now and then several inputs come before one flush. */
    if ((what & 0xc0) != 0xc0) {
        cluster_flush(play->cluster);
    }
}

static void start(struct play *play)
{
    struct raft_options options = raft_options_default(1);
    uint8_t limits = draw(play);
    uint8_t sizes = draw(play);
    size_t voters = 1 + draw_below(play, 5);
    size_t spares = sizes % 3;
    struct raft_config config;

    options.log_entries_max = 16u << (limits & 3);
    options.message_entries_max = 1u + (limits >> 2 & 7);
    options.message_bytes_max = 1u + (limits >> 5) * 500u;
    options.inflight_messages_max = 1u + (sizes >> 2 & 3);
    options.inflight_bytes_max = 1u + (sizes >> 4) * 500u;
    options.uncommitted_bytes_max = 1u + (sizes >> 4) * 2000u;
    options.reads_max = 1u + (limits & 15);
    play->cluster = cluster_new(&options, 1, NULL);
    memset(&config, 0, sizeof config);
    for (size_t i = 0; i < voters + spares; i++) {
        struct cluster_node *node = cluster_add_node(play->cluster);

        if (i < voters) {
            config.members[config.member_count++] = cluster_member(node, RAFT_VOTER_NEW);
        }
    }
    for (size_t i = 0; i < voters; i++) {
        CHECK(cluster_bootstrap(play->cluster, &play->cluster->nodes[i], &config) == STATUS_OK);
    }
    cluster_flush(play->cluster);
    /* A cluster whose first configuration is not durable on its voters does not exist yet. */
    for (size_t i = 0; i < voters; i++) {
        cluster_persist(play->cluster, &play->cluster->nodes[i]);
    }
    cluster_flush(play->cluster);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play play = {.bytes = reader_of(bytes_of(data, size))};

    start(&play);
    for (size_t i = 0; i < EVENTS_MAX && play.bytes.rest.size > 0; i++) {
        one_event(&play);
    }
    cluster_flush(play.cluster);
    cluster_free(play.cluster);
    return 0;
}
