#include "tests/simulation/oracle.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/map.h"
#include "tests/simulation/cluster_status.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/repairs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One committed entry. */
struct fact {
    raft_term term; /* 0 = not known yet */
    uint64_t sum;
};

/* An entry that some log held: S4. */
struct known_entry {
    struct map_node node;
    raft_index index;
    raft_term term;
    raft_term previous_term;
    uint64_t sum;
};

struct ballot {
    raft_term term;
    raft_id vote;
};

/* What is remembered of a server. */
struct watched {
    uint64_t lives;            /* of the disk that this is about */
    raft_index checked_commit; /* in this run */
    raft_index commit;
    zxid applied;
    zxid digested;
    raft_term led_term;
    raft_index led_last;       /* the end of its log while it led in that term */
    struct raft_config config; /* effective at the end of the last turn */
    raft_index config_index;
    raft_term config_term;
    bool config_known;      /* and judged */
    struct ballot *ballots; /* of this disk's life, rising terms */
    size_t ballot_count;
    size_t ballot_capacity;
    raft_term durable_term;
};

struct oracle {
    struct cluster *cluster;
    struct fact *facts; /* by index; [0] unused */
    size_t fact_count;  /* the committed indexes are below */
    size_t fact_capacity;
    struct ledger *ledger;
    struct configs *configs;
    raft_term term_max;
    raft_index committed; /* as leaders say */
    struct map known;
    struct watched watched[NETWORK_PLACES_MAX];
    struct truth *truth;
    struct repairs *repairs;
    struct promotions *promotions;
    struct oracle_counts counts;
};

/* The one whose cluster runs now: state_apply has no place for a context. */
static struct oracle *applying;

struct oracle *oracle_new(struct cluster *cluster)
{
    struct oracle *oracle = xcalloc(1, sizeof *oracle);

    oracle->cluster = cluster;
    oracle->ledger = ledger_new(cluster);
    oracle->configs = configs_new();
    oracle->fact_count = 1;
    oracle->fact_capacity = 1024;
    oracle->facts = xmalloc(oracle->fact_capacity * sizeof *oracle->facts);
    oracle->facts[0] = (struct fact){.term = 0};
    oracle->truth = truth_new(cluster);
    oracle->repairs = repairs_new(cluster);
    oracle->promotions = promotions_new(cluster);
    map_init(&oracle->known);
    applying = oracle;
    return oracle;
}

static void free_known(struct map_node *node, void *context)
{
    (void)context;
    free(CONTAINER_OF(node, struct known_entry, node));
}

void oracle_free(struct oracle *oracle)
{
    applying = NULL;
    map_each(&oracle->known, free_known, NULL);
    map_release(&oracle->known);
    for (size_t i = 0; i < NETWORK_PLACES_MAX; i++) {
        free(oracle->watched[i].ballots);
    }
    free(oracle->facts);
    truth_free(oracle->truth);
    repairs_free(oracle->repairs);
    promotions_free(oracle->promotions);
    ledger_free(oracle->ledger);
    configs_free(oracle->configs);
    free(oracle);
}

static struct watched *watch(struct oracle *oracle, const struct cluster_server *server)
{
    return &oracle->watched[server->place];
}

/* --- Configurations --- */

/* S15: what is effective is what the log says, as far as a disk holds it. Of a configuration in the
 * base the term is not known; it was judged when it was an entry. */
static void check_config(struct oracle *oracle, const struct cluster_server *server)
{
    struct watched *watched = watch(oracle, server);
    const struct raft *raft = node_raft(server->node);
    struct raft_status status = raft_status(raft);
    raft_index index = status.config_index;
    raft_term term = raft_term_at(raft, index);

    if (index > status.last_index ||
        (index > status.log_base && raft_entry_at(raft, index).type != RAFT_ENTRY_CONFIG)) {
        cluster_violation(server, "S15: its log has no configuration at %" PRIu64, index);
    }
    if (watched->config_index != index || watched->config_term != term) {
        watched->config = *raft_config_effective(raft);
        watched->config_index = index;
        watched->config_term = term;
        watched->config_known = false;
    }
    if (!watched->config_known) {
        if (term == 0 && index < oracle->fact_count) {
            term = oracle->facts[index].term;
        }
        watched->config_known = configs_check_effective(oracle->configs, server, index, term);
    }
}

static void check_booted_config(const struct cluster_server *server)
{
    raft_index index = raft_status(node_raft(server->node)).config_index;
    raft_index wanted = configs_last_on_disk(server);

    if (wanted == 0 ? index > disk_log(server->disk).base : index != wanted) {
        cluster_violation(server,
                          "S15: it starts with the configuration of entry %" PRIu64
                          ", its log has one at %" PRIu64,
                          index, wanted);
    }
}

/* --- Disks --- */

void oracle_on_boot(struct oracle *oracle, struct cluster_server *server)
{
    struct watched *watched = watch(oracle, server);

    watched->checked_commit = node_applied(server->node);
    watched->commit = watched->checked_commit;
    watched->applied = watched->checked_commit;
    watched->digested = 0;
    watched->led_term = 0;
    if (server->lives != watched->lives) {
        watched->lives = server->lives;
        /* What an old copy lacks it may not make up for by itself. */
        watched->durable_term = server->is_old_copy ? disk_log(server->disk).term : 0;
        watched->ballot_count = 0;
    }
    repairs_on_boot(oracle->repairs, server);
    promotions_on_boot(oracle->promotions, server);
    if (disk_log(server->disk).term != watched->durable_term) {
        cluster_violation(server, "S3: it starts in a term that it did not store");
    }
    check_booted_config(server);
    watched->config_index = 0;
    watched->config_term = 0;
    check_config(oracle, server);
}

static raft_id durable_vote(const struct watched *watched, raft_term term)
{
    for (size_t i = watched->ballot_count; i > 0; i--) {
        if (watched->ballots[i - 1].term == term) {
            return watched->ballots[i - 1].vote;
        }
        if (watched->ballots[i - 1].term < term) {
            break;
        }
    }
    return 0;
}

/* S26: an old copy of a folder neither votes nor takes entries nor a dump. */
static void check_old_copy(const struct cluster_server *server, const char *what)
{
    if (server->is_old_copy) {
        cluster_violation(server, "S26: its folder is an old copy, and it %s", what);
    }
}

void oracle_on_hard_state(struct oracle *oracle,
                          struct cluster_server *server,
                          raft_term term,
                          raft_id vote)
{
    struct watched *watched = watch(oracle, server);
    raft_id before;

    check_old_copy(server, "votes, or takes another term");
    if (term < watched->durable_term) {
        cluster_violation(server, "S3: the term falls from %" PRIu64 " to %" PRIu64,
                          watched->durable_term, term);
    }
    watched->durable_term = term;
    if (vote == 0) {
        return;
    }
    before = durable_vote(watched, term);
    if (before != 0 && before != vote) {
        cluster_violation(server, "S2: it voted for %" PRIu64 " and %" PRIu64 " in term %" PRIu64,
                          before, vote, term);
    }
    if (before == 0) {
        if (watched->ballot_count == watched->ballot_capacity) {
            watched->ballot_capacity = 2 * watched->ballot_capacity + 8;
            watched->ballots =
                xrealloc(watched->ballots, watched->ballot_capacity * sizeof *watched->ballots);
        }
        watched->ballots[watched->ballot_count++] = (struct ballot){.term = term, .vote = vote};
    }
}

/* Its log loses the entries from `first` on. */
static void check_committed_stay(const struct oracle *oracle,
                                 const struct cluster_server *server,
                                 raft_index first)
{
    for (raft_index index = first; index <= disk_log(server->disk).last; index++) {
        if (index < oracle->fact_count && oracle->facts[index].term != 0 &&
            oracle->facts[index].term == disk_term(server->disk, index)) {
            cluster_violation(server, "S9: it cuts off the committed entry %" PRIu64, index);
        }
    }
}

void oracle_on_truncate(struct oracle *oracle, struct cluster_server *server, raft_index first)
{
    check_old_copy(server, "cuts its log off");
    oracle->counts.truncations++;
    if (ledger_leader(oracle->ledger, watch(oracle, server)->durable_term) == server->id) {
        cluster_violation(server, "S5: it leads in term %" PRIu64 " and cuts off entry %" PRIu64,
                          watch(oracle, server)->durable_term, first);
    }
    check_committed_stay(oracle, server, first);
}

static uint64_t known_hash(raft_index index, raft_term term)
{
    return map_hash_u64(index * UINT64_C(0x9e3779b97f4a7c15) ^ term);
}

void oracle_on_append(struct oracle *oracle, struct cluster_server *server, raft_index index)
{
    const struct journal_entry *entry = disk_entry(server->disk, index);
    raft_term previous = disk_term(server->disk, index - 1);
    uint64_t hash = known_hash(index, entry->term);
    struct known_entry *known;

    check_old_copy(server, "takes an entry");
    MAP_FOR_HASH (node, &oracle->known, hash) {
        known = CONTAINER_OF(node, struct known_entry, node);
        if (known->index != index || known->term != entry->term) {
            continue;
        }
        if (known->sum != entry->sum || known->previous_term != previous) {
            cluster_violation(server, "S4: another entry %" PRIu64 " of term %" PRIu64 " exists",
                              index, entry->term);
        }
        return;
    }
    known = xcalloc(1, sizeof *known);
    known->index = index;
    known->term = entry->term;
    known->previous_term = previous;
    known->sum = entry->sum;
    map_insert(&oracle->known, &known->node, hash);
    if (entry->type == RAFT_ENTRY_CONFIG) {
        configs_on_append(oracle->configs, server, index, oracle->committed);
    }
}

void oracle_on_reset(struct oracle *oracle,
                     struct cluster_server *server,
                     raft_index index,
                     raft_term term)
{
    check_old_copy(server, "takes a dump");
    oracle->counts.resets++;
    if (index >= oracle->fact_count || oracle->facts[index].term != term) {
        cluster_violation(server, "S19: a dump of the uncommitted place %" PRIu64 ", term %" PRIu64,
                          index, term);
    }
    check_committed_stay(oracle, server, index + 1);
}

/* --- Messages --- */

static void check_vote(const struct watched *watched,
                       const struct cluster_server *server,
                       raft_id to,
                       const Peer__RaftMessage *message)
{
    if (message->type == RAFT_VOTE && durable_vote(watched, message->term) != server->id) {
        cluster_violation(server, "S2: it asks for votes in term %" PRIu64 " before its own",
                          message->term);
    }
    if (message->type == RAFT_VOTE_RESPONSE && message->flag &&
        durable_vote(watched, message->term) != to) {
        cluster_violation(server, "S2: its vote for %" PRIu64 " in term %" PRIu64 " is not durable",
                          to, message->term);
    }
}

/* S12: its disk is as long as it says and, where the leader can be asked, holds what the leader
 * has. */
static void check_acknowledgement(const struct oracle *oracle,
                                  const struct cluster_server *server,
                                  raft_id to,
                                  const Peer__RaftMessage *message)
{
    const struct cluster_server *leader = cluster_by_id(oracle->cluster, to);
    struct log_state log = disk_log(server->disk);
    raft_index index = message->index;
    raft_term own;

    if (message->type != RAFT_APPEND_RESPONSE || !message->flag) {
        return;
    }
    if (index > log.last) {
        cluster_violation(server,
                          "S12: it acknowledges entry %" PRIu64 ", its disk ends at %" PRIu64,
                          index, log.last);
    }
    if (leader->node == NULL || index <= log.base ||
        raft_status(node_raft(leader->node)).role != RAFT_LEADER ||
        raft_status(node_raft(leader->node)).term != message->term) {
        return;
    }
    own = raft_term_at(node_raft(leader->node), index);
    if (own != 0 && own != disk_term(server->disk, index)) {
        cluster_violation(server,
                          "S12: it acknowledges entry %" PRIu64
                          ", its disk has one of term %" PRIu64 ", the leader of %" PRIu64,
                          index, disk_term(server->disk, index), own);
    }
}

void oracle_on_send(struct oracle *oracle,
                    struct cluster_server *server,
                    raft_id to,
                    const Peer__RaftMessage *message)
{
    const struct watched *watched = watch(oracle, server);
    const struct raft_config *const configs[2] = {raft_config_effective(node_raft(server->node)),
                                                  &watched->config};

    timeline_trace(oracle->cluster->timeline,
                   "%" PRIu64 " > %" PRIu64 " %s term=%" PRIu64 " index=%" PRIu64 "/%" PRIu64
                   " commit=%" PRIu64 " flag=%d hint=%" PRIu64 "/%" PRIu64 " entries=%zu",
                   server->id, to, raft_message_name((enum raft_message_type)message->type),
                   message->term, message->index, message->index_term, message->commit,
                   message->flag, message->hint_index, message->hint_term, message->n_entries);
    /* The term that is asked for in a pre-vote is nobody's yet. */
    if (message->type == RAFT_PREVOTE_RESPONSE && message->flag) {
        ledger_on_prevote(oracle->ledger, server, to, message->term);
        return;
    }
    if (message->type == RAFT_PREVOTE) {
        return;
    }
    if (message->term > watched->durable_term) {
        cluster_violation(server, "S3: %s of term %" PRIu64 " leaves, %" PRIu64 " is durable",
                          raft_message_name((enum raft_message_type)message->type), message->term,
                          watched->durable_term);
    }
    check_vote(watched, server, to, message);
    check_acknowledgement(oracle, server, to, message);
    ledger_on_send(oracle->ledger, server, to, message, configs);
}

/* --- Commits --- */

struct holders {
    struct oracle *oracle;
    const struct raft_config *config;
    raft_index index;
    raft_term term;
};

static bool holds(raft_id id, const void *context)
{
    const struct holders *holders = context;
    const struct raft_member *member = raft_config_find(holders->config, id);
    /* A disk that was wiped since held what its server said. */
    const struct disk *disk =
        member == NULL
            ? NULL
            : cluster_disk(cluster_by_id(holders->oracle->cluster, id), member->incarnation);

    return disk != NULL && (disk_log(disk).base >= holders->index ||
                            disk_term(disk, holders->index) == holders->term);
}

static bool is_on_quorum(struct oracle *oracle,
                         const struct raft_config *config,
                         raft_index index,
                         raft_term term)
{
    const struct holders holders = {
        .oracle = oracle, .config = config, .index = index, .term = term};

    return configs_is_quorum(config, holds, &holders);
}

static void print_holders(struct oracle *oracle,
                          const struct raft_config *config,
                          raft_index index,
                          raft_term term)
{
    const struct holders holders = {
        .oracle = oracle, .config = config, .index = index, .term = term};

    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct cluster_server *server = cluster_by_id(oracle->cluster, config->members[i].id);
        struct log_state log = disk_log(server->disk);

        fprintf(stderr,
                "  member %" PRIu64 " flags %u: term %" PRIu64 ", disk %" PRIu64 "..%" PRIu64
                " %s\n",
                server->id, config->members[i].flags, log.term, log.base + 1, log.last,
                holds(server->id, &holders) ? "holds it" : "does not hold it");
    }
}

static struct fact *new_fact(struct oracle *oracle)
{
    if (oracle->fact_count == oracle->fact_capacity) {
        oracle->fact_capacity *= 2;
        oracle->facts = xrealloc(oracle->facts, oracle->fact_capacity * sizeof *oracle->facts);
    }
    oracle->facts[oracle->fact_count] = (struct fact){.term = 0};
    return &oracle->facts[oracle->fact_count++];
}

static void check_known_commit(struct cluster_server *server,
                               raft_index index,
                               const struct fact *fact,
                               const struct journal_entry *entry)
{
    if (entry != NULL && (fact->term != entry->term || fact->sum != entry->sum)) {
        cluster_violation(server,
                          "S7: entry %" PRIu64 " was committed in term %" PRIu64
                          ", here it is of term %" PRIu64,
                          index, fact->term, entry->term);
    }
    if (entry == NULL && index > disk_log(server->disk).base) {
        cluster_violation(server, "S11: the committed entry %" PRIu64 " is not on its disk", index);
    }
}

/* The entry at `index` is committed at `server`: it is there, and it is the one. */
static void check_commit(struct oracle *oracle, struct cluster_server *server, raft_index index)
{
    const struct journal_entry *entry = disk_entry(server->disk, index);
    struct fact *fact;

    while (oracle->fact_count <= index) {
        (void)new_fact(oracle);
    }
    fact = &oracle->facts[index];
    if (fact->term != 0) {
        check_known_commit(server, index, fact, entry);
        return;
    }
    if (entry != NULL) {
        fact->term = entry->term;
        fact->sum = entry->sum;
        oracle->counts.committed++;
    } else {
        cluster_violation(server, "S8: the new commit %" PRIu64 " is not on its disk", index);
    }
}

/* Judged at the leader, whose configuration decides: the one of now, or that of the end of the last
 * turn, if it was changed after the commit. */
static void check_quorum(struct oracle *oracle, struct cluster_server *server, raft_index index)
{
    const struct raft *raft = node_raft(server->node);
    raft_term term = raft_term_at(raft, index);

    if (!is_on_quorum(oracle, raft_config_effective(raft), index, term) &&
        !is_on_quorum(oracle, &watch(oracle, server)->config, index, term)) {
        print_holders(oracle, raft_config_effective(raft), index, term);
        cluster_violation(server, "S8: entry %" PRIu64 " is not on a quorum of disks", index);
    }
}

/* The core may know of a commit before its own disk holds the entry; what counts here is what may
 * be applied. */
static raft_index durable_commit(const struct raft_status *status)
{
    return status->commit_index < status->durable_index ? status->commit_index
                                                        : status->durable_index;
}

static void check_commits(struct oracle *oracle,
                          struct cluster_server *server,
                          const struct raft_status *status)
{
    struct watched *watched = watch(oracle, server);
    raft_index commit = durable_commit(status);

    if (status->commit_index < watched->commit) {
        cluster_violation(server, "S11: commit falls from %" PRIu64 " to %" PRIu64, watched->commit,
                          status->commit_index);
    }
    if (status->role == RAFT_LEADER && watched->led_term == status->term &&
        status->commit_index > watched->commit) {
        if (raft_term_at(node_raft(server->node), status->commit_index) != status->term) {
            cluster_violation(server, "S10: it commits entry %" PRIu64 " of another term",
                              status->commit_index);
        }
        check_quorum(oracle, server, status->commit_index);
    }
    watched->commit = status->commit_index;
    /* A leader may commit and step down in one turn: it was silent until then. */
    if ((status->role == RAFT_LEADER || watched->led_term == status->term) &&
        status->commit_index > oracle->committed) {
        configs_on_commit(oracle->configs, server, oracle->committed, status->commit_index);
        oracle->committed = status->commit_index;
    }
    while (watched->checked_commit < commit) {
        check_commit(oracle, server, ++watched->checked_commit);
    }
}

/* --- Leaders --- */

struct election {
    const struct oracle *oracle;
    const struct cluster_server *server;
    raft_term term;
};

static bool has_voted(raft_id id, const void *context)
{
    const struct election *election = context;

    return id == election->server->id
               ? durable_vote(&election->oracle->watched[election->server->place],
                              election->term) == id
               : ledger_has_granted(election->oracle->ledger, id, election->server->id,
                                    election->term);
}

static void check_new_leader(struct oracle *oracle,
                             struct cluster_server *server,
                             const struct raft_status *status)
{
    const struct raft *raft = node_raft(server->node);
    const struct election election = {.oracle = oracle, .server = server, .term = status->term};
    raft_index last = oracle->fact_count - 1;

    check_old_copy(server, "leads");
    ledger_on_leader(oracle->ledger, server, status->term);
    oracle->counts.terms++;
    if (status->term > oracle->term_max) {
        oracle->term_max = status->term;
    }
    timeline_trace(oracle->cluster->timeline, "%" PRIu64 " leads in term %" PRIu64, server->id,
                   status->term);
    if (!configs_is_quorum(raft_config_effective(raft), has_voted, &election)) {
        cluster_violation(server, "S16: no quorum of voters gave it votes in term %" PRIu64,
                          status->term);
    }
    if (last > 0 && oracle->facts[last].term < status->term &&
        (status->last_index < last ||
         (status->log_base < last && raft_term_at(raft, last) != oracle->facts[last].term))) {
        cluster_violation(server, "S6: it leads without the committed entry %" PRIu64, last);
    }
}

/* S5, in memory: while it leads its log only grows. The terms in a log never fall, and all after
 * the end that it had before are its own. */
static void check_leading(struct watched *watched,
                          const struct cluster_server *server,
                          const struct raft_status *status)
{
    if (watched->led_term == status->term && status->last_index < watched->led_last) {
        cluster_violation(server,
                          "S5: it leads in term %" PRIu64 ", and its log ends at %" PRIu64
                          " after %" PRIu64,
                          status->term, status->last_index, watched->led_last);
    }
    watched->led_last = status->last_index;
}

static void check_matches(struct oracle *oracle,
                          struct cluster_server *server,
                          const struct raft_config *config)
{
    const struct raft *raft = node_raft(server->node);
    raft_term term = raft_status(raft).term;
    struct raft_peer_status peer;

    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct raft_member *member = &config->members[i];
        struct cluster_server *other = cluster_by_id(oracle->cluster, member->id);
        raft_term own;

        if (member->id == server->id || other->is_old_copy ||
            raft_peer_status(raft, member->id, &peer) != STATUS_OK ||
            memcmp(member->incarnation, other->incarnation, RAFT_INCARNATION_BYTES) != 0 ||
            disk_log(other->disk).term > term) { /* a later leader may have cut it off */
            continue;
        }
        own = raft_term_at(raft, peer.match);
        if (disk_log(other->disk).last < peer.match ||
            (own != 0 && disk_log(other->disk).base < peer.match &&
             disk_term(other->disk, peer.match) != own)) {
            cluster_violation(server,
                              "S13: it counts entry %" PRIu64 " of %" PRIu64
                              ", whose disk does not hold it",
                              peer.match, member->id);
        }
    }
}

/* --- After each turn --- */

static void check_applied(struct oracle *oracle,
                          struct cluster_server *server,
                          const struct raft_status *status)
{
    struct watched *watched = watch(oracle, server);
    zxid applied = node_applied(server->node);

    /* While a dump replaces the log nothing of it counts as durable. */
    if (applied < watched->applied || applied > status->commit_index ||
        (status->durable_index >= status->log_base &&
         (applied > status->durable_index || applied < status->log_base))) {
        cluster_violation(server,
                          "S11: applied %" PRIu64 " after %" PRIu64 ", commit %" PRIu64
                          ", durable %" PRIu64,
                          applied, watched->applied, status->commit_index, status->durable_index);
    }
    watched->applied = applied;
    if (applied == watched->digested || applied == 0) {
        return;
    }
    watched->digested = applied;
    if (!node_is_condemned(server->node)) {
        truth_on_state(oracle->truth, server, applied, cluster_digest(server));
    }
}

void oracle_on_offer(struct oracle *oracle,
                     struct cluster_server *server,
                     raft_id to,
                     const Peer__DumpOffer *offer)
{
    repairs_on_offer(oracle->repairs, server, to, offer);
}

void oracle_on_turn(struct oracle *oracle, struct cluster_server *server)
{
    const struct raft *raft = node_raft(server->node);
    struct raft_status status = raft_status(raft);
    struct watched *watched = watch(oracle, server);

    raft_check(raft);
    if (status.role == RAFT_LEADER && watched->led_term != status.term) {
        check_new_leader(oracle, server, &status);
    }
    check_commits(oracle, server, &status);
    if (status.role == RAFT_LEADER) {
        check_leading(watched, server, &status);
    }
    check_config(oracle, server);
    watched->led_term = status.role == RAFT_LEADER ? status.term : 0;
    if (status.role == RAFT_LEADER) {
        check_matches(oracle, server, raft_config_effective(raft));
    }
    repairs_on_turn(oracle->repairs, server);
    promotions_on_turn(oracle->promotions, server);
    /* A node that could not read its checkpoint may have stopped in the middle of a command. */
    if (!server->dying) {
        check_applied(oracle, server, &status);
    }
}

void oracle_on_force(struct oracle *oracle, const uint64_t *voters, size_t count)
{
    promotions_on_force(oracle->promotions, voters, count);
}

void oracle_on_status(const struct oracle *oracle,
                      struct cluster_server *server,
                      const Client__StatusReply *reply)
{
    cluster_status_judge(oracle->promotions, server, reply);
}

/* --- At the end --- */

bool oracle_is_at_rest(const struct cluster_server *leader)
{
    const struct raft *raft = node_raft(leader->node);
    const struct raft_config *config = raft_config_effective(raft);
    struct raft_peer_status peer;

    for (uint32_t i = 0; i < config->member_count; i++) {
        if (raft_peer_status(raft, config->members[i].id, &peer) == STATUS_OK && peer.active &&
            (peer.inflight_count != 0 || peer.inflight_bytes != 0)) {
            return false;
        }
    }
    return raft_status(raft).uncommitted_bytes == 0;
}

void oracle_on_end(const struct oracle *oracle)
{
    ledger_judge_terms(oracle->ledger, oracle->counts.terms, oracle->term_max);
}

/* --- Applied commands --- */

/* Its digest, but for what a fault did to it. */
static struct state_digest digest_of(const struct state *state)
{
    for (size_t place = 0; place < applying->cluster->settings.places; place++) {
        struct cluster_server *server = &applying->cluster->servers[place];

        if (server->node != NULL && node_state(server->node) == state) {
            return cluster_digest(server);
        }
    }
    return state_digest(state);
}

/* The linker puts this in the place of state_apply (--wrap), so that the shipped driver is seen
 * without a change. */
enum status __real_state_apply(struct state *state,
                               zxid zxid,
                               struct bytes entry,
                               struct arena *arena,
                               struct state_result *ret_result);
enum status __wrap_state_apply(struct state *state,
                               zxid at,
                               struct bytes entry,
                               struct arena *arena,
                               struct state_result *ret_result);

enum status __real_state_apply_config(struct state *state,
                                      zxid at,
                                      struct bytes config,
                                      struct arena *arena,
                                      struct state_result *ret_result);
enum status __wrap_state_apply_config(struct state *state,
                                      zxid at,
                                      struct bytes config,
                                      struct arena *arena,
                                      struct state_result *ret_result);

enum status __wrap_state_apply_config(struct state *state,
                                      zxid at,
                                      struct bytes config,
                                      struct arena *arena,
                                      struct state_result *ret_result)
{
    enum status status = __real_state_apply_config(state, at, config, arena, ret_result);

    if (status == STATUS_OK && applying != NULL) {
        truth_on_config(applying->truth, at, ret_result, digest_of(state));
    }
    return status;
}

void __real_state_skip(struct state *state, zxid at);
void __wrap_state_skip(struct state *state, zxid at);

void __wrap_state_skip(struct state *state, zxid at)
{
    __real_state_skip(state, at);
    if (applying != NULL) {
        truth_on_state(applying->truth, &applying->cluster->servers[0], at, digest_of(state));
    }
}

enum status __wrap_state_apply(struct state *state,
                               zxid at,
                               struct bytes entry,
                               struct arena *arena,
                               struct state_result *ret_result)
{
    enum status status = __real_state_apply(state, at, entry, arena, ret_result);

    if (status == STATUS_OK && applying != NULL &&
        truth_on_applied(applying->truth, at, entry, ret_result, digest_of(state))) {
        quotas_check(truth_quotas(applying->truth), &applying->cluster->servers[0], state);
    }
    return status;
}

/* --- For clients --- */

raft_index oracle_committed(const struct oracle *oracle)
{
    return oracle->committed;
}

const struct configs *oracle_configs(const struct oracle *oracle)
{
    return oracle->configs;
}

struct truth *oracle_truth(struct oracle *oracle)
{
    return oracle->truth;
}

struct oracle_counts oracle_counts(const struct oracle *oracle)
{
    struct oracle_counts counts = oracle->counts;

    counts.truth = truth_counts(oracle->truth);
    counts.promoted = promotions_count(oracle->promotions);
    return counts;
}

void oracle_counts_add(struct oracle_counts *sum, const struct oracle_counts *more)
{
    sum->committed += more->committed;
    sum->terms += more->terms;
    sum->truncations += more->truncations;
    sum->resets += more->resets;
    sum->promoted += more->promoted;
    sum->truth.effects += more->truth.effects;
    sum->truth.acknowledged += more->truth.acknowledged;
    sum->truth.repeated += more->truth.repeated;
    sum->truth.sequences += more->truth.sequences;
    sum->truth.ephemerals += more->truth.ephemerals;
    sum->truth.expired += more->truth.expired;
    sum->truth.swept += more->truth.swept;
    sum->truth.orphans += more->truth.orphans;
    sum->truth.quotas.compared += more->truth.quotas.compared;
    sum->truth.quotas.refused += more->truth.quotas.refused;
}

void oracle_counts_print(const struct oracle_counts *counts)
{
    printf("  %" PRIu64 " entries committed, %" PRIu64 " leaders, %" PRIu64 " truncations, %" PRIu64
           " dumps installed, %" PRIu64 " servers promoted that had caught up\n",
           counts->committed, counts->terms, counts->truncations, counts->resets, counts->promoted);
    printf("  %" PRIu64 " writes took effect, %" PRIu64 " acknowledged, %" PRIu64
           " repeats answered, %" PRIu64 " sequence names, %" PRIu64 " ephemeral nodes, %" PRIu64
           " of them left by their session, %" PRIu64 " nodes swept\n  quotas compared %" PRIu64
           " times, %" PRIu64 " writes refused for them\n",
           counts->truth.effects, counts->truth.acknowledged, counts->truth.repeated,
           counts->truth.sequences, counts->truth.ephemerals, counts->truth.orphans,
           counts->truth.swept, counts->truth.quotas.compared, counts->truth.quotas.refused);
}
