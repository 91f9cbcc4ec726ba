#include "tests/simulation/admission.h"

#include "tests/simulation/tolerance.h"

#include <inttypes.h>
#include <string.h>

enum { FRESH_CLAIM_PERMILLE = 300 };

/* What a server says of itself in a handshake; the message points into the rest. */
struct introduction {
    Peer__Identity message;
    struct node_identity own;
    struct journal_identity folder;
};

static void introduce(struct cluster_server *server, struct introduction *introduction)
{
    Peer__Identity *message = &introduction->message;

    /* A handshake takes its time: most were begun a while ago. */
    if (timeline_chance(&server->prng, FRESH_CLAIM_PERMILLE)) {
        server->claimed = disk_log(server->disk);
    }
    introduction->own = node_identity(server->node);
    introduction->folder = *disk_identity(server->disk);
    peer__identity__init(message);
    message->id = introduction->own.id;
    message->format = NODE_FORMAT;
    message->incarnation.data = introduction->own.incarnation;
    message->incarnation.len = sizeof introduction->own.incarnation;
    if (introduction->own.has_cluster) {
        message->cluster_id.data = introduction->own.cluster_id;
        message->cluster_id.len = sizeof introduction->own.cluster_id;
    }
    message->start_count = introduction->folder.start_count;
    message->starts = introduction->folder.starts;
    message->n_starts = introduction->folder.start_known;
    message->term = server->claimed.term;
    message->last = server->claimed.last;
    message->named_at = introduction->own.named_at;
}

/* `teller` finds the folder of `told` to be an old copy. */
static bool
supersede(struct cluster_server *teller, struct cluster_server *told, const char *refusal)
{
    timeline_trace(teller->cluster->timeline, "%" PRIu64 " supersedes %" PRIu64 ": %s", teller->id,
                   told->id, refusal);
    if (!told->is_old_copy) {
        cluster_violation(told, "its sound folder is called an old copy: %s", refusal);
    }
    disk_supersede(told->disk);
    told->lost = true;
    cluster_die(told);
    return false;
}

static bool let_in(const struct cluster_server *asking, const struct cluster_server *asked)
{
    const struct cluster_server *old = asking->is_old_copy ? asking : asked;

    if (old->is_old_copy) {
        cluster_violation(old, "S26: its folder is an old copy, and %" PRIu64 " takes it for sound",
                          old == asking ? asked->id : asking->id);
    }
    return true;
}

bool admission_admit(void *context,
                     size_t from,
                     size_t to,
                     Peer__Channel channel,
                     const uint8_t incarnation[RAFT_INCARNATION_BYTES])
{
    struct cluster *cluster = context;
    struct cluster_server *asking = &cluster->servers[from];
    struct cluster_server *asked = &cluster->servers[to];
    struct introduction asking_is;
    struct introduction asked_is;
    char refusal[ERROR_TEXT_BYTES_MAX] = "";

    if (asked->paused || asking->paused || cluster_is_gone(asked) || cluster_is_gone(asking) ||
        memcmp(incarnation, asked->incarnation, RAFT_INCARNATION_BYTES) != 0) {
        return false;
    }
    introduce(asking, &asking_is);
    introduce(asked, &asked_is);
    if (!node_recognize(asking->node, &asked_is.message, refusal)) {
        return supersede(asking, asked, refusal);
    }
    if (!node_admit(asked->node, &asking_is.message, channel, true, refusal)) {
        timeline_trace(cluster->timeline, "%" PRIu64 " refuses %" PRIu64 ": %s", asked->id,
                       asking->id, refusal);
        return false;
    }
    return node_recognize(asked->node, &asking_is.message, refusal)
               ? let_in(asking, asked)
               : supersede(asked, asking, refusal);
}

/* Whether the memory on its disk suffices to know the backup for what it is: a later start than the
 * backup knows, or that very start and more than the backup holds. */
static bool knows_better(const struct cluster_server *other, const struct cluster_server *server)
{
    const struct journal_identity *memory = disk_identity(other->disk);
    const struct journal_identity *backup = disk_identity(server->backup);
    struct log_state log = disk_log(server->backup);

    for (size_t i = 0; i < memory->witness_count; i++) {
        const struct log_witness *seen = &memory->witnesses[i];

        if (seen->id == server->id &&
            memcmp(seen->incarnation, server->incarnation, sizeof seen->incarnation) == 0) {
            return seen->start_count > backup->start_count ||
                   (seen->start_count == backup->start_count &&
                    (seen->term > log.term || seen->index > log.last));
        }
    }
    return false;
}

bool admission_would_find_out(const struct cluster_server *server)
{
    struct cluster *cluster = server->cluster;

    for (size_t place = 0; place < cluster->settings.places; place++) {
        const struct cluster_server *other = &cluster->servers[place];

        if (other->is_old_copy && !other->lost) {
            return false;
        }
        if (other != server && !other->lost &&
            (disk_log(other->disk).last > 0 || tolerance_is_member(cluster, other)) &&
            !knows_better(other, server)) {
            return false;
        }
    }
    return true;
}
