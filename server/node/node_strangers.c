#include "server/node/node_strangers.h"

#include "base/alloc.h"
#include "server/node/membership.h"
#include "server/node/peer_codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A server that waits for its Bootstrapped until our first entry is durable. */
struct bootstrap_probe {
    struct list link;
    uint64_t probe;
};

void node_strangers_init(struct node *node)
{
    list_init(&node->bootstrap_probes);
}

void node_strangers_release(struct node *node)
{
    LIST_FOR_EACH (link, &node->bootstrap_probes) {
        list_remove(link);
        free(CONTAINER_OF(link, struct bootstrap_probe, link));
    }
}

/* --- Getting a cluster --- */

static enum status take_cluster(struct node *node, const uint8_t *cluster_id, struct error *error)
{
    enum status status = node->port.set_cluster(node->port.context, cluster_id, error);

    if (status == STATUS_OK) {
        node->options.has_cluster = true;
        memcpy(node->options.cluster_id, cluster_id, NODE_CLUSTER_ID_BYTES);
        dump_transfer_set_cluster(node->dumps, cluster_id);
    }
    return status;
}

enum status node_strangers_bootstrap(void *context,
                                     const struct raft_config *config,
                                     const uint8_t cluster_id[NODE_CLUSTER_ID_BYTES],
                                     struct error *error)
{
    struct node *node = context;
    enum status status = take_cluster(node, cluster_id, error);

    if (status != STATUS_OK) {
        return status;
    }
    status = raft_bootstrap(node->raft, config);
    if (status != STATUS_OK) {
        return error_set(error, status, "this server already holds a log");
    }
    return STATUS_OK;
}

/* --- Being asked --- */

static void answer_probe(struct node *node, uint64_t probe, const Peer__PeerMessage *message)
{
    buffer_clear(&node->turn_buffer);
    peer_codec_pack(message, &node->turn_buffer);
    node->port.probe_reply(node->port.context, probe, buffer_lend(&node->turn_buffer));
}

static void answer_bootstrap(struct node *node, uint64_t probe, char *refusal)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__Bootstrapped bootstrapped;

    peer__bootstrapped__init(&bootstrapped);
    bootstrapped.refusal = refusal;
    message.body_case = PEER__PEER_MESSAGE__BODY_BOOTSTRAPPED;
    message.bootstrapped = &bootstrapped;
    answer_probe(node, probe, &message);
}

static void on_bootstrap(struct node *node, uint64_t probe, const Peer__Bootstrap *asked)
{
    struct node_identity identity = node_identity(node);
    struct raft_status status = raft_status(node->raft);
    struct raft_config config;
    uint8_t cluster_id[NODE_CLUSTER_ID_BYTES];
    char refusal[ERROR_TEXT_BYTES_MAX] = "";
    struct error error;
    struct bootstrap_probe *waiting;

    switch (membership_check_bootstrap(&identity, &status, asked, &config, cluster_id, refusal)) {
    case MEMBERSHIP_BOOTSTRAP_REFUSED:
        answer_bootstrap(node, probe, refusal);
        return;
    case MEMBERSHIP_BOOTSTRAP_WANTED:
        if (node_strangers_bootstrap(node, &config, cluster_id, &error) != STATUS_OK) {
            answer_bootstrap(node, probe, error.text);
            return;
        }
        break;
    case MEMBERSHIP_BOOTSTRAP_DONE:
        break;
    }
    waiting = xcalloc(1, sizeof *waiting);
    waiting->probe = probe;
    list_append(&node->bootstrap_probes, &waiting->link);
}

void node_strangers_tick(struct node *node)
{
    char none[1] = "";

    if (list_is_empty(&node->bootstrap_probes) || raft_status(node->raft).durable_index == 0) {
        return;
    }
    LIST_FOR_EACH (link, &node->bootstrap_probes) {
        struct bootstrap_probe *waiting = CONTAINER_OF(link, struct bootstrap_probe, link);

        answer_bootstrap(node, waiting->probe, none);
        list_remove(link);
        free(waiting);
    }
}

static void on_probe_query(struct node *node, uint64_t probe)
{
    struct node_identity identity = node_identity(node);
    struct raft_status status = raft_status(node->raft);
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__ProbeReply reply;

    peer__probe_reply__init(&reply);
    membership_probe_reply(&identity, &status, node->options.address, &reply);
    message.body_case = PEER__PEER_MESSAGE__BODY_PROBE_REPLY;
    message.probe_reply = &reply;
    answer_probe(node, probe, &message);
}

enum status node_on_probe(struct node *node, uint64_t probe, struct bytes message)
{
    Peer__PeerMessage *wire = peer__peer_message__unpack(NULL, message.size, message.data);
    enum status status = STATUS_OK;

    if (wire != NULL && !node->failed && wire->body_case == PEER__PEER_MESSAGE__BODY_PROBE_QUERY) {
        on_probe_query(node, probe);
    } else if (wire != NULL && !node->failed &&
               wire->body_case == PEER__PEER_MESSAGE__BODY_BOOTSTRAP) {
        on_bootstrap(node, probe, wire->bootstrap);
    } else {
        status = STATUS_INVALID;
    }
    if (wire != NULL) {
        peer__peer_message__free_unpacked(wire, NULL);
    }
    return status;
}

/* --- Being dialled --- */

static bool refuse(char refusal[ERROR_TEXT_BYTES_MAX], const char *text)
{
    (void)snprintf(refusal, ERROR_TEXT_BYTES_MAX, "%s", text);
    return false;
}

/* A server without a cluster takes that of a peer that was told its incarnation: only the
 * configuration of the cluster that added it holds that. */
static bool join(struct node *node,
                 const Peer__Identity *from,
                 Peer__Channel channel,
                 bool knows_our_incarnation,
                 char refusal[ERROR_TEXT_BYTES_MAX])
{
    struct error error;

    if (channel != PEER__CHANNEL__CONTROL || !knows_our_incarnation ||
        from->cluster_id.len != NODE_CLUSTER_ID_BYTES) {
        return refuse(refusal, "this server belongs to no cluster yet");
    }
    if (take_cluster(node, from->cluster_id.data, &error) != STATUS_OK) {
        return refuse(refusal, error.text);
    }
    return true;
}

/* A folder that is not the one that the configuration here names may have been added since, and may
 * even lead: without its link a member that lags would never learn of that. Then a committed
 * configuration that is newer than the one here names it. What such a member does to who lags is
 * what any member may: it has all that was committed up to that configuration, so it gives no vote
 * to a log that ends before, and acknowledges nothing to a leader that does not know of it. */
bool node_admit(struct node *node,
                const Peer__Identity *from,
                Peer__Channel channel,
                bool knows_our_incarnation,
                char refusal[ERROR_TEXT_BYTES_MAX])
{
    const struct raft_member *member;

    if (node->failed) {
        return refuse(refusal, "this server is stopping");
    }
    if (from->format > NODE_FORMAT) {
        return refuse(refusal, "this server is too old for that peer: upgrade it first");
    }
    if (channel == PEER__CHANNEL__PROBE) {
        return true;
    }
    if (from->id == 0 || from->id == node->options.id ||
        from->incarnation.len != RAFT_INCARNATION_BYTES) {
        return refuse(refusal, "illegal peer identity");
    }
    if (!node->options.has_cluster) {
        return join(node, from, channel, knows_our_incarnation, refusal);
    }
    if (from->cluster_id.len != NODE_CLUSTER_ID_BYTES ||
        memcmp(from->cluster_id.data, node->options.cluster_id, NODE_CLUSTER_ID_BYTES) != 0) {
        return refuse(refusal, "this server belongs to another cluster");
    }
    member = raft_config_find(raft_config_effective(node->raft), from->id);
    if (member != NULL &&
        memcmp(member->incarnation, from->incarnation.data, RAFT_INCARNATION_BYTES) != 0 &&
        from->named_at <= raft_status(node->raft).config_index) {
        (void)snprintf(refusal, ERROR_TEXT_BYTES_MAX,
                       "member %" PRIu64
                       " has another data folder: give it its own, or, if that is lost, confer-cli "
                       "remove-member %" PRIu64 ", then confer-cli add-learner --node %" PRIu64
                       "=HOST:PORT --promote",
                       from->id, from->id, from->id);
        return false;
    }
    return true;
}
