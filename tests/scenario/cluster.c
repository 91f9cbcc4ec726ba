#include "tests/scenario/cluster.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static struct raft_output output;

__attribute__((format(printf, 2, 3))) _Noreturn static void
violated(const struct cluster *cluster, const char *format, ...)
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

__attribute__((format(printf, 2, 3))) static void
narrate(const struct cluster *cluster, const char *format, ...)
{
    if (cluster->trace != NULL) {
        va_list arguments;
        va_start(arguments, format);
        vfprintf(cluster->trace, format, arguments);
        va_end(arguments);
    }
}

/* --- Texts --- */

static void print_entries(FILE *to, const struct raft_message *message)
{
    static const char *const kinds[] = {
        [RAFT_ENTRY_COMMAND] = "", [RAFT_ENTRY_NOOP] = " noop", [RAFT_ENTRY_CONFIG] = " config"};
    fputs(" [", to);
    for (uint32_t i = 0; i < message->append.entry_count; i++) {
        const struct raft_entry *entry = &message->append.entries[i];
        fprintf(to, "%s%" PRIu64 "/%" PRIu64 "%s", i > 0 ? ", " : "",
                message->append.previous_index + 1 + i, entry->term, kinds[entry->type]);
    }
    fputc(']', to);
}

static void print_round(FILE *to, uint64_t round)
{
    if (round != 0) {
        fprintf(to, " round=%" PRIu64, round);
    }
}

static void print_body(FILE *to, const struct raft_message *m)
{
    switch (m->type) {
    case RAFT_PREVOTE:
    case RAFT_VOTE:
        fprintf(to, " last=%" PRIu64 "/%" PRIu64 "%s", m->vote.last_index, m->vote.last_term,
                m->vote.transfer ? " transfer" : "");
        break;
    case RAFT_PREVOTE_RESPONSE:
    case RAFT_VOTE_RESPONSE:
        fputs(m->vote_response.granted ? " granted" : " refused", to);
        break;
    case RAFT_APPEND:
        fprintf(to, " previous=%" PRIu64 "/%" PRIu64 " commit=%" PRIu64, m->append.previous_index,
                m->append.previous_term, m->append.commit);
        print_entries(to, m);
        print_round(to, m->append.read_round);
        break;
    case RAFT_APPEND_RESPONSE:
        if (m->append_response.ok) {
            fprintf(to, " ok %" PRIu64, m->append_response.index);
        } else {
            fprintf(to, " refused %" PRIu64 " hint=%" PRIu64 "/%" PRIu64, m->append_response.index,
                    m->append_response.hint_index, m->append_response.hint_term);
        }
        print_round(to, m->append_response.read_round);
        break;
    case RAFT_HEARTBEAT:
        fprintf(to, " commit=%" PRIu64, m->heartbeat.commit);
        print_round(to, m->heartbeat.read_round);
        break;
    case RAFT_HEARTBEAT_RESPONSE:
        print_round(to, m->heartbeat_response.read_round);
        break;
    case RAFT_TIMEOUT_NOW:
        fprintf(to, " last=%" PRIu64 "/%" PRIu64, m->timeout_now.last_index,
                m->timeout_now.last_term);
        break;
    case RAFT_TIMEOUT_NOW_RESPONSE:
        fputs(m->timeout_now_response.accepted ? " accepted" : " refused", to);
        break;
    case RAFT_READ_INDEX:
        break;
    case RAFT_READ_INDEX_RESPONSE:
        if (m->read_index_response.ok) {
            fprintf(to, " ok %" PRIu64, m->read_index_response.index);
        } else {
            fputs(" failed", to);
        }
        break;
    }
}

void cluster_print_message(FILE *to, const struct raft_message *message)
{
    fprintf(to, "%" PRIu64 " > %" PRIu64 " %s term=%" PRIu64, message->from, message->to,
            raft_message_name(message->type), message->term);
    print_body(to, message);
    fputc('\n', to);
}

static void print_members(FILE *to, const struct raft_config *config, uint8_t flag)
{
    const char *separator = "";
    for (uint32_t i = 0; i < config->member_count; i++) {
        if ((config->members[i].flags & flag) != 0) {
            fprintf(to, "%s%" PRIu64, separator, config->members[i].id);
            separator = ",";
        }
    }
}

void cluster_print_config(FILE *to, const struct raft_config *config)
{
    if (config->joint) {
        fputs("joint old=", to);
        print_members(to, config, RAFT_VOTER_OLD);
        fputs(" new=", to);
    } else {
        fputs("voters=", to);
    }
    print_members(to, config, RAFT_VOTER_NEW);
    fputs(" learners=", to);
    print_members(to, config, RAFT_LEARNER);
}

static void show_changes(struct cluster *cluster, struct cluster_node *node)
{
    if (cluster->trace == NULL) {
        return;
    }
    struct raft_status now = raft_status(node->raft);
    struct raft_status *old = &node->shown;
    if (now.role != old->role || now.term != old->term || now.leader != old->leader) {
        narrate(cluster, "%" PRIu64 ": %s in term %" PRIu64 ", leader %" PRIu64 "\n", node->id,
                raft_role_name(now.role), now.term, now.leader);
    }
    if (now.config_index != old->config_index) {
        narrate(cluster, "%" PRIu64 ": configuration %" PRIu64 " ", node->id, now.config_index);
        cluster_print_config(cluster->trace, raft_config_effective(node->raft));
        narrate(cluster, "\n");
    }
    if (now.commit_index != old->commit_index) {
        narrate(cluster, "%" PRIu64 ": commit %" PRIu64 "\n", node->id, now.commit_index);
    }
    *old = now;
}

static struct cluster_node *node_of(struct cluster *cluster, raft_id id)
{
    struct cluster_node *node = cluster_find(cluster, id);
    if (node == NULL) {
        violated(cluster, "there is no node %" PRIu64, id);
    }
    return node;
}

/* --- Life --- */

struct cluster *cluster_new(const struct raft_options *options, uint64_t seed, FILE *trace)
{
    struct cluster *cluster = xcalloc(1, sizeof *cluster);
    cluster->seed = seed;
    cluster->trace = trace;
    cluster->options = *options;
    cluster->now = 1000000;
    cluster->next_tag = 1;
    cluster->next_token = 1;
    return cluster;
}

static void drop_writes(struct cluster_node *node)
{
    for (size_t i = 0; i < node->write_count; i++) {
        free(node->writes[i].entries);
    }
    node->write_count = 0;
}

void cluster_free(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        drop_writes(node);
        free(node->memory);
        free(node->disk);
        free(node->entries);
    }
    for (size_t i = 0; i < cluster->flight_count; i++) {
        free(cluster->flights[i].entries);
    }
    for (size_t i = 0; i < cluster->config_count; i++) {
        free(cluster->configs[i]);
    }
    free(cluster->configs);
    free(cluster);
}

static struct raft_config *keep_config(struct cluster *cluster, const struct raft_config *config)
{
    for (size_t i = 0; i < cluster->config_count; i++) {
        if (memcmp(cluster->configs[i], config, sizeof *config) == 0) {
            return cluster->configs[i];
        }
    }
    cluster->configs =
        xrealloc(cluster->configs, (cluster->config_count + 1) * sizeof cluster->configs[0]);
    struct raft_config *copy = xmalloc(sizeof *copy);
    memcpy(copy, config, sizeof *copy);
    cluster->configs[cluster->config_count++] = copy;
    return copy;
}

struct cluster_node *cluster_find(struct cluster *cluster, raft_id id)
{
    return id >= 1 && id <= cluster->node_count ? &cluster->nodes[id - 1] : NULL;
}

static void start_memory(struct cluster *cluster, struct cluster_node *node)
{
    node->options = cluster->options;
    node->options.id = node->id;
    node->options.seed = cluster->seed * 1000 + node->id * 100 + node->starts++;
    memset(node->options.incarnation, node->incarnation, sizeof node->options.incarnation);
    memset(node->entries, 0, sizeof node->entries[0] * CLUSTER_LOG_MAX);
    memset(&node->shown, 0, sizeof node->shown);
    memset(node->memory, 0, raft_size(&node->options));
    node->raft = raft_init(node->memory, &node->options);
}

struct raft_boot cluster_boot_record(const struct cluster_node *node)
{
    const struct cluster_disk *disk = node->disk;
    struct raft_boot from = {.term = disk->term,
                             .vote = disk->vote,
                             .log_base = disk->base,
                             .log_base_term = disk->base_term,
                             .applied_index = disk->checkpoint,
                             .config_index = disk->config_index};
    memcpy(&from.config, &disk->config, sizeof from.config);
    return from;
}

static enum status
boot(struct cluster *cluster, struct cluster_node *node, const struct raft_boot *from)
{
    start_memory(cluster, node);
    const struct cluster_disk *disk = node->disk;
    enum status status = raft_boot(node->raft, from);
    for (raft_index i = disk->base + 1; status == STATUS_OK && i <= disk->last; i++) {
        node->entries[i] = disk->entries[i];
        status = raft_boot_entry(node->raft, &disk->entries[i].entry, disk->entries[i].config);
    }
    if (status == STATUS_OK) {
        status = raft_start(node->raft, cluster->now);
    }
    node->alive = status == STATUS_OK;
    node->applied = disk->checkpoint;
    node->flush_due = node->alive;
    return status;
}

struct cluster_node *cluster_add_node(struct cluster *cluster)
{
    if (cluster->node_count == CLUSTER_NODES_MAX) {
        violated(cluster, "too many nodes for the model");
    }
    struct cluster_node *node = &cluster->nodes[cluster->node_count++];
    node->cluster = cluster;
    node->id = cluster->node_count;
    node->incarnation = 1;
    node->options = cluster->options;
    node->options.id = node->id;
    node->memory = xmalloc(raft_size(&node->options));
    node->disk = xcalloc(1, sizeof *node->disk);
    node->entries = xcalloc(CLUSTER_LOG_MAX, sizeof node->entries[0]);
    if (cluster_restart(cluster, node) != STATUS_OK) {
        violated(cluster, "an empty disk does not boot");
    }
    return node;
}

struct raft_member cluster_member(const struct cluster_node *node, uint8_t flags)
{
    struct raft_member member;
    memset(&member, 0, sizeof member);
    member.id = node->id;
    member.flags = flags;
    memset(member.incarnation, node->incarnation, sizeof member.incarnation);
    snprintf(member.address, sizeof member.address, "node%" PRIu64, node->id);
    return member;
}

/* --- Oracle --- */

static bool disk_has(const struct cluster_node *node, raft_index index, raft_term term)
{
    const struct cluster_disk *disk = node->disk;
    if (index <= disk->base) {
        return true; /* was committed; compared when it was */
    }
    return index <= disk->last && disk->entries[index].entry.term == term;
}

static void watch_leader(struct cluster *cluster, struct cluster_node *node)
{
    struct raft_status status = raft_status(node->raft);
    if (status.term >= CLUSTER_TERMS_MAX || status.last_index >= CLUSTER_LOG_MAX) {
        violated(cluster, "the run is too long for the model");
    }
    if (status.role != RAFT_LEADER) {
        return;
    }
    raft_id *leader = &cluster->leaders[status.term];
    if (*leader != 0 && *leader != node->id) {
        violated(cluster, "term %" PRIu64 " has leaders %" PRIu64 " and %" PRIu64, status.term,
                 *leader, node->id);
    }
    if (*leader == 0) {
        *leader = node->id;
        /* Grants may arrive when a later term has already committed more. */
        for (raft_index i = status.log_base + 1; i <= cluster->committed; i++) {
            if (cluster->committed_in[i] < status.term &&
                raft_term_at(node->raft, i) != cluster->history[i].entry.term) {
                violated(cluster, "leader %" PRIu64 " lacks committed entry %" PRIu64, node->id, i);
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
    return disk_has(node_of(holders->cluster, id), holders->index, holders->term);
}

static void watch_commit(struct cluster *cluster, struct cluster_node *node)
{
    struct raft_status status = raft_status(node->raft);
    raft_index commit = status.commit_index;
    if (commit > cluster->committed) {
        if (status.role != RAFT_LEADER) {
            violated(cluster, "follower %" PRIu64 " is the first to commit %" PRIu64, node->id,
                     commit);
        }
        struct holders holders = {
            .cluster = cluster, .index = commit, .term = raft_term_at(node->raft, commit)};
        if (holders.term != status.term) {
            violated(cluster, "%" PRIu64 " commits %" PRIu64 " of an earlier term", node->id,
                     commit);
        }
        /* Inputs that came together may have committed under one configuration and then appended
         * the next. */
        raft_index ignored;
        const struct raft_config *before = raft_config_committed(node->raft, &ignored);
        if (!raft_config_is_quorum(raft_config_effective(node->raft), holds, &holders) &&
            !raft_config_is_quorum(before, holds, &holders)) {
            violated(cluster, "%" PRIu64 " commits %" PRIu64 " without a quorum of disks", node->id,
                     commit);
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
            violated(cluster, "%" PRIu64 " committed another entry %" PRIu64, node->id, i);
        }
    }
}

/* Of what is committed there is one configuration, whatever way it came to a node. */
static void watch_configuration(struct cluster *cluster, const struct cluster_node *node)
{
    raft_index index;
    const struct raft_config *config = raft_config_committed(node->raft, &index);
    if (index > 0 && index <= cluster->committed &&
        memcmp(config, cluster->history[index].config, sizeof *config) != 0) {
        violated(cluster, "%" PRIu64 " has another configuration %" PRIu64, node->id, index);
    }
}

static void watch_vote(struct cluster *cluster, raft_id voter, raft_term term, raft_id candidate)
{
    raft_id *vote = &cluster->votes[voter][term];
    if (*vote != 0 && *vote != candidate) {
        violated(cluster, "%" PRIu64 " voted for %" PRIu64 " and %" PRIu64 " in term %" PRIu64,
                 voter, *vote, candidate, term);
    }
    *vote = candidate;
}

static void watch_acknowledgement(struct cluster *cluster,
                                  struct cluster_node *node,
                                  const struct raft_message *message)
{
    struct cluster_node *leader = node_of(cluster, message->to);
    raft_index index = message->append_response.index;
    if (index > node->disk->last && index > node->disk->base) {
        violated(cluster, "%" PRIu64 " acknowledges %" PRIu64 " beyond its disk", node->id, index);
    }
    if (!leader->alive || raft_status(leader->raft).role != RAFT_LEADER ||
        raft_status(leader->raft).term != message->term) {
        return;
    }
    for (raft_index i = index; i > node->disk->base; i--) {
        raft_term term = raft_term_at(leader->raft, i);
        if (term != 0 && !disk_has(node, i, term)) {
            violated(cluster, "%" PRIu64 " acknowledges %" PRIu64 " but lacks %" PRIu64, node->id,
                     index, i);
        }
    }
}

static void watch_message(struct cluster *cluster,
                          struct cluster_node *node,
                          const struct raft_message *message)
{
    bool asks_ahead = message->type == RAFT_PREVOTE ||
                      (message->type == RAFT_PREVOTE_RESPONSE && message->vote_response.granted);
    if (!asks_ahead && message->term > node->disk->term) {
        violated(cluster, "%" PRIu64 " sends term %" PRIu64 " before it is durable", node->id,
                 message->term);
    }
    if (message->type == RAFT_VOTE) {
        watch_vote(cluster, node->id, message->term, node->id);
        if (!disk_has(node, message->vote.last_index, message->vote.last_term)) {
            violated(cluster, "%" PRIu64 " advertises an entry that is not durable", node->id);
        }
    }
    if (message->type == RAFT_VOTE_RESPONSE && message->vote_response.granted) {
        watch_vote(cluster, node->id, message->term, message->to);
    }
    if (message->type == RAFT_APPEND_RESPONSE && message->append_response.ok) {
        watch_acknowledgement(cluster, node, message);
    }
}

static void watch_read(struct cluster *cluster,
                       struct cluster_node *node,
                       const struct raft_finished_read *finished)
{
    for (size_t i = 0; i < cluster->read_count; i++) {
        struct cluster_read *read = &cluster->reads[i];
        if (read->token != finished->token) {
            continue;
        }
        if (read->done || read->node != node->id) {
            violated(cluster, "read %" PRIu64 " is answered twice", read->token);
        }
        read->done = true;
        read->ok = finished->ok;
        if (finished->ok && finished->index < read->known) {
            violated(cluster, "read %" PRIu64 " on %" PRIu64 " is stale: %" PRIu64 " < %" PRIu64,
                     read->token, node->id, finished->index, read->known);
        }
        if (finished->ok) {
            narrate(cluster, "%" PRIu64 ": read %" PRIu64 " ok %" PRIu64 "\n", node->id,
                    read->token, finished->index);
        } else {
            narrate(cluster, "%" PRIu64 ": read %" PRIu64 " failed\n", node->id, read->token);
        }
        return;
    }
    violated(cluster, "%" PRIu64 " answers an unknown read", node->id);
}

/* --- Output --- */

static void
put_flight(struct cluster *cluster, struct cluster_node *node, const struct raft_message *message)
{
    if (cluster->flight_count == CLUSTER_FLIGHTS_MAX) {
        return; /* loss is allowed */
    }
    struct cluster_flight *flight = &cluster->flights[cluster->flight_count];
    memset(flight, 0, sizeof *flight);
    flight->message = *message;
    if (message->type == RAFT_APPEND && message->append.entry_count > 0) {
        size_t count = message->append.entry_count;
        flight->entries = xmalloc(count * sizeof flight->entries[0]);
        memcpy(flight->entries, &node->entries[message->append.previous_index + 1],
               count * sizeof flight->entries[0]);
    }
    flight->number = ++cluster->flight_number;
    cluster->flight_count++;
}

/* The message with its entries laid out as a decoder would. */
static struct raft_message unpack(const struct cluster_flight *flight,
                                  struct raft_entry *entries,
                                  const struct raft_config **configs)
{
    struct raft_message message = flight->message;
    if (message.type == RAFT_APPEND) {
        size_t config_count = 0;
        for (uint32_t i = 0; i < message.append.entry_count; i++) {
            entries[i] = flight->entries[i].entry;
            if (entries[i].type == RAFT_ENTRY_CONFIG) {
                configs[config_count++] = flight->entries[i].config;
            }
        }
        message.append.entries = entries;
        message.append.configs = configs;
    }
    return message;
}

static struct raft_entry unpacked_entries[RAFT_MESSAGE_ENTRIES_MAX];
static const struct raft_config *unpacked_configs[RAFT_MESSAGE_ENTRIES_MAX];

static void send_messages(struct cluster *cluster, struct cluster_node *node)
{
    for (size_t i = 0; i < output.message_count; i++) {
        const struct raft_message *message = &output.messages[i];
        watch_message(cluster, node, message);
        bool cut = message->to > cluster->node_count || cluster->cut[message->from][message->to];
        if (!cut) {
            put_flight(cluster, node, message);
        }
        bool hidden = cluster->hide_heartbeats &&
                      (message->type == RAFT_HEARTBEAT || message->type == RAFT_HEARTBEAT_RESPONSE);
        if (cluster->trace != NULL && !hidden) {
            struct cluster_flight shown = {.message = *message};
            if (message->type == RAFT_APPEND) {
                shown.entries = &node->entries[message->append.previous_index + 1];
            }
            struct raft_message printable = unpack(&shown, unpacked_entries, unpacked_configs);
            fputs(cut ? "lost: " : "", cluster->trace);
            cluster_print_message(cluster->trace, &printable);
        }
    }
}

static void take_write(struct cluster *cluster, struct cluster_node *node)
{
    const struct raft_write *write = &output.write;
    if (write->seq == 0) {
        return;
    }
    if (node->write_count == CLUSTER_WRITES_MAX) {
        violated(cluster, "too many writes for the model");
    }
    struct cluster_write *pending = &node->writes[node->write_count++];
    pending->write = *write;
    pending->entries = NULL;
    narrate(cluster, "%" PRIu64 ": write", node->id);
    if (write->hard_state) {
        narrate(cluster, " term=%" PRIu64 " vote=%" PRIu64, write->term, write->vote);
    }
    if (write->reset) {
        narrate(cluster, " reset=%" PRIu64 "/%" PRIu64, write->reset_index, write->reset_term);
    }
    if (write->entries.first <= write->entries.last) {
        size_t count = write->entries.last - write->entries.first + 1;
        narrate(cluster, " entries=%" PRIu64 "..%" PRIu64, write->entries.first,
                write->entries.last);
        for (raft_index i = write->entries.first; i <= write->entries.last; i++) {
            struct raft_entry entry = raft_entry_at(node->raft, i);
            node->entries[i].entry = entry;
            if (entry.type != RAFT_ENTRY_COMMAND) {
                node->entries[i].tag = 0;
            }
            if (entry.type != RAFT_ENTRY_CONFIG) {
                node->entries[i].config = NULL; /* a NOOP in the place of one */
            }
            if (entry.type == RAFT_ENTRY_CONFIG) {
                const struct raft_config *config = raft_config_at(node->raft, i);
                if (config == NULL) {
                    violated(cluster, "configuration %" PRIu64 " was dropped unwritten", i);
                }
                node->entries[i].config = keep_config(cluster, config);
            }
        }
        pending->entries = xmalloc(count * sizeof pending->entries[0]);
        memcpy(pending->entries, &node->entries[write->entries.first],
               count * sizeof pending->entries[0]);
    }
    narrate(cluster, "\n");
}

static void apply(struct cluster *cluster, struct cluster_node *node)
{
    raft_index commit = output.commit_index;
    if (commit > raft_status(node->raft).durable_index && commit > node->applied) {
        violated(cluster, "%" PRIu64 " may apply %" PRIu64 " before it is durable", node->id,
                 commit);
    }
    if (commit > node->applied) {
        node->applied = commit;
    }
    if (commit > cluster->applied) {
        cluster->applied = commit;
    }
}

static void forget_time(struct cluster_node *node)
{
    if (node->cluster->timeless) {
        timeless_forget(node->raft);
    }
}

static void flush_node(struct cluster *cluster, struct cluster_node *node)
{
    do {
        raft_flush(node->raft, cluster->now, &output);
        forget_time(node);
        raft_check(node->raft);
        take_write(cluster, node);
        watch_leader(cluster, node);
        watch_commit(cluster, node);
        show_changes(cluster, node);
        send_messages(cluster, node);
        apply(cluster, node);
        for (size_t i = 0; i < output.read_count; i++) {
            watch_read(cluster, node, &output.reads[i]);
        }
        node->next_deadline = output.next_deadline;
    } while (output.more);
    node->flush_due = false;
}

void cluster_flush(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        if (node->alive && node->flush_due && !node->hold_flush) {
            flush_node(cluster, node);
        }
    }
}

/* --- Inputs --- */

void cluster_touched(struct cluster_node *node)
{
    node->flush_due = true;
    forget_time(node);
    raft_check(node->raft);
    watch_leader(node->cluster, node);
    watch_commit(node->cluster, node);
    watch_configuration(node->cluster, node);
}

enum status cluster_bootstrap(struct cluster *cluster,
                              struct cluster_node *node,
                              const struct raft_config *config)
{
    enum status status = raft_bootstrap(node->raft, config);
    cluster_touched(node);
    if (status == STATUS_OK) {
        struct cluster_entry *first = &node->entries[1];
        first->entry = raft_entry_at(node->raft, 1);
        first->config = keep_config(cluster, config);
    }
    return status;
}

void cluster_tick(struct cluster *cluster, struct cluster_node *node)
{
    raft_tick(node->raft, cluster->now);
    cluster_touched(node);
}

bool cluster_expire(struct cluster *cluster, struct cluster_node *node, enum timeless_timer timer)
{
    (void)cluster;
    bool runs = timeless_may_expire(node->raft, timer);
    if (runs) {
        timeless_expire(node->raft, timer);
        cluster_touched(node);
    }
    return runs;
}

enum status
cluster_propose(struct cluster *cluster, struct cluster_node *node, size_t count, uint32_t bytes)
{
    uint32_t sizes[RAFT_MESSAGE_ENTRIES_MAX] = {0};
    raft_index first = 0;
    raft_term term = 0;
    for (size_t i = 0; i < count; i++) {
        sizes[i] = bytes;
    }
    enum status status = raft_propose(node->raft, cluster->now, sizes, count, &first, &term);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        node->entries[first + i] = (struct cluster_entry){
            .entry = raft_entry_at(node->raft, first + i), .tag = cluster->next_tag++};
    }
    cluster_touched(node);
    return status;
}

enum status cluster_read(struct cluster *cluster, struct cluster_node *node)
{
    if (cluster->read_count == CLUSTER_READS_MAX) {
        return STATUS_BUSY;
    }
    uint64_t token = cluster->next_token;
    enum status status = raft_read(node->raft, cluster->now, token);
    if (status == STATUS_OK) {
        cluster->next_token++;
        cluster->reads[cluster->read_count++] =
            (struct cluster_read){.token = token, .node = node->id, .known = cluster->applied};
    }
    cluster_touched(node);
    return status;
}

static struct cluster_flight take_flight(struct cluster *cluster, size_t position)
{
    struct cluster_flight flight = cluster->flights[position];
    cluster->flight_count--;
    memmove(&cluster->flights[position], &cluster->flights[position + 1],
            (cluster->flight_count - position) * sizeof flight);
    return flight;
}

void cluster_deliver(struct cluster *cluster, size_t position)
{
    struct cluster_flight flight = take_flight(cluster, position);
    struct cluster_node *node = node_of(cluster, flight.message.to);
    if (node->alive) {
        struct raft_message message = unpack(&flight, unpacked_entries, unpacked_configs);
        if (raft_message_validate(&message, node->options.entry_bytes_max) != STATUS_OK) {
            violated(cluster, "%" PRIu64 " sent an illegal message", message.from);
        }
        struct raft_range stored;
        raft_receive(node->raft, cluster->now, &message, &stored);
        for (raft_index i = stored.first; i <= stored.last; i++) {
            node->entries[i] = flight.entries[i - message.append.previous_index - 1];
            node->entries[i].entry = raft_entry_at(node->raft, i);
        }
        cluster_touched(node);
    }
    free(flight.entries);
}

void cluster_drop(struct cluster *cluster, size_t position)
{
    struct cluster_flight flight = take_flight(cluster, position);
    free(flight.entries);
}

void cluster_duplicate(struct cluster *cluster, size_t position)
{
    if (cluster->flight_count == CLUSTER_FLIGHTS_MAX) {
        return;
    }
    struct cluster_flight copy = cluster->flights[position];
    if (copy.entries != NULL) {
        size_t bytes = copy.message.append.entry_count * sizeof copy.entries[0];
        copy.entries = xmalloc(bytes);
        memcpy(copy.entries, cluster->flights[position].entries, bytes);
    }
    copy.number = ++cluster->flight_number;
    cluster->flights[cluster->flight_count++] = copy;
}

void cluster_peer_down(struct cluster *cluster, struct cluster_node *node, raft_id peer)
{
    raft_peer_down(node->raft, cluster->now, peer);
    cluster_touched(node);
}

/* --- Disk --- */

static void reset_disk(struct cluster *cluster, struct cluster_node *node, raft_index index)
{
    struct cluster_disk *disk = node->disk;
    if (disk->dump_index != index) {
        violated(cluster, "%" PRIu64 " resets its log to %" PRIu64 " without that dump", node->id,
                 index);
    }
    disk->base = index;
    disk->last = index;
    disk->checkpoint = index;
    disk->config_index = disk->dump_config_index;
    memcpy(&disk->config, &disk->dump_config, sizeof disk->config);
    if (node->applied < index) {
        node->applied = index;
    }
}

static void
store(struct cluster *cluster, struct cluster_node *node, const struct cluster_write *pending)
{
    const struct raft_write *write = &pending->write;
    struct cluster_disk *disk = node->disk;
    if (write->hard_state) {
        if (write->term < disk->term ||
            (write->term == disk->term && disk->vote != 0 && write->vote != disk->vote)) {
            violated(cluster, "%" PRIu64 " takes back a term or a vote", node->id);
        }
        disk->term = write->term;
        disk->vote = write->vote;
    }
    if (write->reset) {
        reset_disk(cluster, node, write->reset_index);
        disk->base_term = write->reset_term;
    }
    if (write->entries.first <= write->entries.last) {
        if (write->entries.first > disk->last + 1) {
            violated(cluster, "%" PRIu64 " writes %" PRIu64 " after %" PRIu64, node->id,
                     write->entries.first, disk->last);
        }
        if (write->entries.first <= disk->checkpoint) {
            violated(cluster, "%" PRIu64 " overwrites %" PRIu64 ", which is applied", node->id,
                     write->entries.first);
        }
        for (raft_index i = write->entries.first; i <= write->entries.last; i++) {
            disk->entries[i] = pending->entries[i - write->entries.first];
        }
        disk->last = write->entries.last;
    }
}

void cluster_persist(struct cluster *cluster, struct cluster_node *node)
{
    struct cluster_write pending = node->writes[0];
    node->write_count--;
    memmove(&node->writes[0], &node->writes[1], node->write_count * sizeof pending);
    store(cluster, node, &pending);
    free(pending.entries);
    raft_persisted(node->raft, cluster->now, pending.write.seq);
    cluster_touched(node);
}

void cluster_crash(struct cluster *cluster, struct cluster_node *node)
{
    drop_writes(node);
    node->alive = false;
    node->applied = node->disk->checkpoint;
    for (size_t i = 0; i < cluster->read_count; i++) {
        cluster->reads[i].done = cluster->reads[i].done || cluster->reads[i].node == node->id;
    }
}

enum status cluster_restart(struct cluster *cluster, struct cluster_node *node)
{
    struct raft_boot from = cluster_boot_record(node);
    return boot(cluster, node, &from);
}

enum status cluster_restart_from(struct cluster *cluster,
                                 struct cluster_node *node,
                                 const struct raft_boot *from)
{
    enum status status = boot(cluster, node, from);
    if (status == STATUS_OK) {
        violated(cluster, "%" PRIu64 " starts from a damaged record", node->id);
    }
    return status;
}

void cluster_wipe(struct cluster *cluster, struct cluster_node *node)
{
    memset(node->disk, 0, sizeof *node->disk);
    memset(cluster->votes[node->id], 0, sizeof cluster->votes[node->id]);
    node->incarnation++;
}

void cluster_checkpoint(struct cluster *cluster, struct cluster_node *node)
{
    cluster_checkpoint_until(cluster, node, node->applied);
}

void cluster_checkpoint_until(struct cluster *cluster, struct cluster_node *node, raft_index index)
{
    struct cluster_disk *disk = node->disk;
    index = index < node->applied ? index : node->applied;
    if (index <= disk->checkpoint) {
        return;
    }
    disk->checkpoint = index;
    /* As the state machine would: the newest configuration it applied. */
    for (raft_index i = disk->checkpoint; i > disk->config_index; i--) {
        if (cluster->history[i].entry.type == RAFT_ENTRY_CONFIG) {
            disk->config_index = i;
            memcpy(&disk->config, cluster->history[i].config, sizeof disk->config);
        }
    }
}

void cluster_trim(struct cluster *cluster, struct cluster_node *node, raft_index index)
{
    struct cluster_disk *disk = node->disk;
    (void)cluster;
    index = index < disk->checkpoint ? index : disk->checkpoint;
    if (index <= disk->base) {
        return;
    }
    disk->base_term = disk->entries[index].entry.term;
    disk->base = index;
    raft_trim(node->raft, index);
    cluster_touched(node);
}

enum status
cluster_dump(struct cluster *cluster, struct cluster_node *from, struct cluster_node *to)
{
    const struct cluster_disk *source = from->disk;
    raft_index index = source->checkpoint;
    raft_term term = index > 0 ? cluster->history[index].entry.term : 0;
    enum status status =
        raft_install(to->raft, cluster->now, index, term, raft_status(from->raft).term,
                     source->config_index, &source->config);
    if (status == STATUS_OK) {
        to->disk->dump_index = index;
        to->disk->dump_config_index = source->config_index;
        memcpy(&to->disk->dump_config, &source->config, sizeof source->config);
        for (raft_index i = 1; i <= index; i++) {
            to->entries[i] = cluster->history[i];
        }
    }
    cluster_touched(to);
    return status;
}

/* --- Time --- */

static bool persist_all(struct cluster *cluster)
{
    bool moved = false;
    for (size_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        while (node->alive && !node->hold_writes && node->write_count > 0) {
            cluster_persist(cluster, node);
            moved = true;
        }
    }
    return moved;
}

static bool deliver_all(struct cluster *cluster)
{
    bool moved = false;
    uint64_t newest = cluster->flight_number;
    for (size_t i = 0; i < cluster->flight_count;) {
        if (cluster->flights[i].held || cluster->flights[i].number > newest) {
            i++;
            continue;
        }
        cluster_deliver(cluster, i);
        moved = true;
    }
    return moved;
}

void cluster_stabilize(struct cluster *cluster)
{
    bool moved = true;
    while (moved) {
        cluster_flush(cluster);
        moved = persist_all(cluster);
        cluster_flush(cluster);
        moved = deliver_all(cluster) || moved;
    }
}

static struct cluster_node *next_to_tick(struct cluster *cluster)
{
    struct cluster_node *next = NULL;
    for (size_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        if (node->alive && (next == NULL || node->next_deadline < next->next_deadline)) {
            next = node;
        }
    }
    return next;
}

void cluster_advance(struct cluster *cluster, raft_time until, bool stabilize)
{
    cluster_flush(cluster);
    struct cluster_node *next = next_to_tick(cluster);
    while (next != NULL && next->next_deadline <= until) {
        if (next->next_deadline > cluster->now) {
            cluster->now = next->next_deadline;
        }
        cluster_tick(cluster, next);
        cluster_flush(cluster);
        if (stabilize) {
            cluster_stabilize(cluster);
        }
        next = next_to_tick(cluster);
    }
    cluster->now = until > cluster->now ? until : cluster->now;
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
        violated(cluster, "no leader");
    }
    struct raft_status status = raft_status(leader->raft);
    const struct raft_config *config = raft_config_effective(leader->raft);
    if (status.commit_index != status.last_index || config->joint || !status.config_committed) {
        violated(cluster, "leader %" PRIu64 " has unfinished entries: %" PRIu64 " of %" PRIu64,
                 leader->id, status.commit_index, status.last_index);
    }
    for (uint32_t i = 0; i < config->member_count; i++) {
        struct cluster_node *node = node_of(cluster, config->members[i].id);
        if (node->alive && node->applied != status.last_index) {
            violated(cluster, "%" PRIu64 " applied %" PRIu64 " of %" PRIu64, node->id,
                     node->applied, status.last_index);
        }
    }
    for (size_t i = 0; i < cluster->read_count; i++) {
        if (!cluster->reads[i].done) {
            violated(cluster, "read %" PRIu64 " on %" PRIu64 " was never answered",
                     cluster->reads[i].token, cluster->reads[i].node);
        }
    }
}
