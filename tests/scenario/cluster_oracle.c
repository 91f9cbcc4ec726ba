#include "tests/scenario/cluster_oracle.h"

#include "tests/scenario/cluster_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) _Noreturn void
cluster_oracle_violated(const struct cluster *cluster, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "violated (seed %" PRIu64 ", time %" PRIu64 "): ", cluster->seed, cluster->now);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    if (cluster->trace != NULL) {
        fflush(cluster->trace);
    }
    abort();
}

struct cluster_node *cluster_oracle_node(struct cluster *cluster, raft_id id)
{
    struct cluster_node *node = cluster_find(cluster, id);
    if (node == NULL) {
        cluster_oracle_violated(cluster, "there is no node %" PRIu64, id);
    }
    return node;
}

static bool disk_has(const struct cluster_node *node, raft_index index, raft_term term)
{
    const struct cluster_disk *disk = node->disk;
    if (index <= disk->base) {
        return true; /* was committed; compared when it was */
    }
    return index <= disk->last && disk->entries[index].entry.term == term;
}

void cluster_oracle_watch_leader(struct cluster *cluster, struct cluster_node *node)
{
    struct raft_status status = raft_status(node->raft);
    if (status.term >= CLUSTER_TERMS_MAX || status.last_index >= CLUSTER_LOG_MAX) {
        cluster_oracle_violated(cluster, "the run is too long for the model");
    }
    if (status.role != RAFT_LEADER) {
        return;
    }
    raft_id *leader = &cluster->leaders[status.term];
    if (*leader != 0 && *leader != node->id) {
        cluster_oracle_violated(cluster, "term %" PRIu64 " has leaders %" PRIu64 " and %" PRIu64,
                                status.term, *leader, node->id);
    }
    if (*leader == 0) {
        *leader = node->id;
        /* Grants may arrive when a later term has already committed more. */
        for (raft_index i = status.log_base + 1; i <= cluster->committed; i++) {
            if (cluster->committed_in[i] < status.term &&
                raft_term_at(node->raft, i) != cluster->history[i].entry.term) {
                cluster_oracle_violated(
                    cluster, "leader %" PRIu64 " lacks committed entry %" PRIu64, node->id, i);
            }
        }
    }
}

struct holders {
    struct cluster *cluster;
    raft_index index;
    raft_term term;
};

static bool holds(raft_id id, const void *context)
{
    const struct holders *holders = context;
    return disk_has(cluster_oracle_node(holders->cluster, id), holders->index, holders->term);
}

void cluster_oracle_watch_commit(struct cluster *cluster, struct cluster_node *node)
{
    struct raft_status status = raft_status(node->raft);
    raft_index commit = status.commit_index;
    if (commit > cluster->committed) {
        if (status.role != RAFT_LEADER) {
            cluster_oracle_violated(cluster, "follower %" PRIu64 " is the first to commit %" PRIu64,
                                    node->id, commit);
        }
        struct holders holders = {
            .cluster = cluster, .index = commit, .term = raft_term_at(node->raft, commit)};
        if (holders.term != status.term) {
            cluster_oracle_violated(cluster, "%" PRIu64 " commits %" PRIu64 " of an earlier term",
                                    node->id, commit);
        }
        /* Inputs that came together may have committed under one configuration and then appended
         * the next. */
        raft_index ignored;
        const struct raft_config *before = raft_config_committed(node->raft, &ignored);
        if (!raft_config_is_quorum(raft_config_effective(node->raft), holds, &holders) &&
            !raft_config_is_quorum(before, holds, &holders)) {
            cluster_oracle_violated(cluster,
                                    "%" PRIu64 " commits %" PRIu64 " without a quorum of disks",
                                    node->id, commit);
        }
        for (raft_index i = cluster->committed + 1; i <= commit; i++) {
            cluster->history[i] = node->entries[i];
            cluster->committed_in[i] = status.term;
        }
        cluster->committed = commit;
    }
    for (raft_index i = status.log_base + 1; i <= commit; i++) {
        if (raft_term_at(node->raft, i) != cluster->history[i].entry.term ||
            node->entries[i].tag != cluster->history[i].tag) {
            cluster_oracle_violated(cluster, "%" PRIu64 " committed another entry %" PRIu64,
                                    node->id, i);
        }
    }
}

/* Of what is committed there is one configuration, whatever way it came to a node. */
void cluster_oracle_watch_configuration(struct cluster *cluster, const struct cluster_node *node)
{
    raft_index index;
    const struct raft_config *config = raft_config_committed(node->raft, &index);
    if (index > 0 && index <= cluster->committed &&
        memcmp(config, cluster->history[index].config, sizeof *config) != 0) {
        cluster_oracle_violated(cluster, "%" PRIu64 " has another configuration %" PRIu64, node->id,
                                index);
    }
}

static void watch_vote(struct cluster *cluster, raft_id voter, raft_term term, raft_id candidate)
{
    raft_id *vote = &cluster->votes[voter][term];
    if (*vote != 0 && *vote != candidate) {
        cluster_oracle_violated(
            cluster, "%" PRIu64 " voted for %" PRIu64 " and %" PRIu64 " in term %" PRIu64, voter,
            *vote, candidate, term);
    }
    *vote = candidate;
}

static void watch_acknowledgement(struct cluster *cluster,
                                  struct cluster_node *node,
                                  const struct raft_message *message)
{
    struct cluster_node *leader = cluster_oracle_node(cluster, message->to);
    raft_index index = message->append_response.index;
    if (index > node->disk->last && index > node->disk->base) {
        cluster_oracle_violated(cluster, "%" PRIu64 " acknowledges %" PRIu64 " beyond its disk",
                                node->id, index);
    }
    if (!leader->alive || raft_status(leader->raft).role != RAFT_LEADER ||
        raft_status(leader->raft).term != message->term) {
        return;
    }
    for (raft_index i = index; i > node->disk->base; i--) {
        raft_term term = raft_term_at(leader->raft, i);
        if (term != 0 && !disk_has(node, i, term)) {
            cluster_oracle_violated(cluster,
                                    "%" PRIu64 " acknowledges %" PRIu64 " but lacks %" PRIu64,
                                    node->id, index, i);
        }
    }
}

void cluster_oracle_watch_message(struct cluster *cluster,
                                  struct cluster_node *node,
                                  const struct raft_message *message)
{
    bool asks_ahead = message->type == RAFT_PREVOTE ||
                      (message->type == RAFT_PREVOTE_RESPONSE && message->vote_response.granted);
    if (!asks_ahead && message->term > node->disk->term) {
        cluster_oracle_violated(cluster, "%" PRIu64 " sends term %" PRIu64 " before it is durable",
                                node->id, message->term);
    }
    if (message->type == RAFT_VOTE) {
        watch_vote(cluster, node->id, message->term, node->id);
        if (!disk_has(node, message->vote.last_index, message->vote.last_term)) {
            cluster_oracle_violated(cluster, "%" PRIu64 " advertises an entry that is not durable",
                                    node->id);
        }
    }
    if (message->type == RAFT_VOTE_RESPONSE && message->vote_response.granted) {
        watch_vote(cluster, node->id, message->term, message->to);
    }
    if (message->type == RAFT_APPEND_RESPONSE && message->append_response.ok) {
        watch_acknowledgement(cluster, node, message);
    }
}

void cluster_oracle_watch_read(struct cluster *cluster,
                               struct cluster_node *node,
                               const struct raft_finished_read *finished)
{
    for (size_t i = 0; i < cluster->read_count; i++) {
        struct cluster_read *read = &cluster->reads[i];
        if (read->token != finished->token) {
            continue;
        }
        if (read->done || read->node != node->id) {
            cluster_oracle_violated(cluster, "read %" PRIu64 " is answered twice", read->token);
        }
        read->done = true;
        read->ok = finished->ok;
        if (finished->ok && finished->index < read->known) {
            cluster_oracle_violated(
                cluster, "read %" PRIu64 " on %" PRIu64 " is stale: %" PRIu64 " < %" PRIu64,
                read->token, node->id, finished->index, read->known);
        }
        if (finished->ok) {
            cluster_text_narrate(cluster, "%" PRIu64 ": read %" PRIu64 " ok %" PRIu64 "\n",
                                 node->id, read->token, finished->index);
        } else {
            cluster_text_narrate(cluster, "%" PRIu64 ": read %" PRIu64 " failed\n", node->id,
                                 read->token);
        }
        return;
    }
    cluster_oracle_violated(cluster, "%" PRIu64 " answers an unknown read", node->id);
}

void cluster_check_converged(struct cluster *cluster)
{
    struct cluster_node *leader = NULL;
    for (size_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        if (node->alive && raft_status(node->raft).role == RAFT_LEADER) {
            leader = leader == NULL || raft_status(node->raft).term > raft_status(leader->raft).term
                         ? node
                         : leader;
        }
    }
    if (leader == NULL) {
        cluster_oracle_violated(cluster, "no leader");
    }
    struct raft_status status = raft_status(leader->raft);
    const struct raft_config *config = raft_config_effective(leader->raft);
    if (status.commit_index != status.last_index || config->joint || !status.config_committed) {
        cluster_oracle_violated(
            cluster, "leader %" PRIu64 " has unfinished entries: %" PRIu64 " of %" PRIu64,
            leader->id, status.commit_index, status.last_index);
    }
    for (uint32_t i = 0; i < config->member_count; i++) {
        struct cluster_node *node = cluster_oracle_node(cluster, config->members[i].id);
        if (node->alive && node->applied != status.last_index) {
            cluster_oracle_violated(cluster, "%" PRIu64 " applied %" PRIu64 " of %" PRIu64,
                                    node->id, node->applied, status.last_index);
        }
    }
    for (size_t i = 0; i < cluster->read_count; i++) {
        if (!cluster->reads[i].done) {
            cluster_oracle_violated(cluster, "read %" PRIu64 " on %" PRIu64 " was never answered",
                                    cluster->reads[i].token, cluster->reads[i].node);
        }
    }
}
