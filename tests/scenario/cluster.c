#include "tests/scenario/cluster.h"

#include "base/alloc.h"
#include "tests/scenario/cluster_oracle.h"
#include "tests/scenario/cluster_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct raft_output output;

static void show_changes(struct cluster *cluster, struct cluster_node *node)
{
    if (cluster->trace == NULL) {
        return;
    }
    struct raft_status now = raft_status(node->raft);
    struct raft_status *old = &node->shown;
    if (now.role != old->role || now.term != old->term || now.leader != old->leader) {
        cluster_text_narrate(cluster, "%" PRIu64 ": %s in term %" PRIu64 ", leader %" PRIu64 "\n",
                             node->id, raft_role_name(now.role), now.term, now.leader);
    }
    if (now.config_index != old->config_index) {
        cluster_text_narrate(cluster, "%" PRIu64 ": configuration %" PRIu64 " ", node->id,
                             now.config_index);
        cluster_text_print_config(cluster->trace, raft_config_effective(node->raft));
        cluster_text_narrate(cluster, "\n");
    }
    if (now.commit_index != old->commit_index) {
        cluster_text_narrate(cluster, "%" PRIu64 ": commit %" PRIu64 "\n", node->id,
                             now.commit_index);
    }
    *old = now;
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
        cluster_oracle_violated(cluster, "too many nodes for the model");
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
        cluster_oracle_violated(cluster, "an empty disk does not boot");
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
        cluster_oracle_watch_message(cluster, node, message);
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
            cluster_text_print_message(cluster->trace, &printable);
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
        cluster_oracle_violated(cluster, "too many writes for the model");
    }
    struct cluster_write *pending = &node->writes[node->write_count++];
    pending->write = *write;
    pending->entries = NULL;
    cluster_text_narrate(cluster, "%" PRIu64 ": write", node->id);
    if (write->hard_state) {
        cluster_text_narrate(cluster, " term=%" PRIu64 " vote=%" PRIu64, write->term, write->vote);
    }
    if (write->reset) {
        cluster_text_narrate(cluster, " reset=%" PRIu64 "/%" PRIu64, write->reset_index,
                             write->reset_term);
    }
    if (write->entries.first <= write->entries.last) {
        size_t count = write->entries.last - write->entries.first + 1;
        cluster_text_narrate(cluster, " entries=%" PRIu64 "..%" PRIu64, write->entries.first,
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
                    cluster_oracle_violated(cluster,
                                            "configuration %" PRIu64 " was dropped unwritten", i);
                }
                node->entries[i].config = keep_config(cluster, config);
            }
        }
        pending->entries = xmalloc(count * sizeof pending->entries[0]);
        memcpy(pending->entries, &node->entries[write->entries.first],
               count * sizeof pending->entries[0]);
    }
    cluster_text_narrate(cluster, "\n");
}

static void apply(struct cluster *cluster, struct cluster_node *node)
{
    raft_index commit = output.commit_index;
    if (commit > raft_status(node->raft).durable_index && commit > node->applied) {
        cluster_oracle_violated(cluster, "%" PRIu64 " may apply %" PRIu64 " before it is durable",
                                node->id, commit);
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
        cluster_oracle_watch_leader(cluster, node);
        cluster_oracle_watch_commit(cluster, node);
        show_changes(cluster, node);
        send_messages(cluster, node);
        apply(cluster, node);
        for (size_t i = 0; i < output.read_count; i++) {
            cluster_oracle_watch_read(cluster, node, &output.reads[i]);
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
    cluster_oracle_watch_leader(node->cluster, node);
    cluster_oracle_watch_commit(node->cluster, node);
    cluster_oracle_watch_configuration(node->cluster, node);
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
    struct cluster_node *node = cluster_oracle_node(cluster, flight.message.to);
    if (node->alive) {
        struct raft_message message = unpack(&flight, unpacked_entries, unpacked_configs);
        if (raft_message_validate(&message, node->options.entry_bytes_max) != STATUS_OK) {
            cluster_oracle_violated(cluster, "%" PRIu64 " sent an illegal message", message.from);
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
        cluster_oracle_violated(cluster,
                                "%" PRIu64 " resets its log to %" PRIu64 " without that dump",
                                node->id, index);
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
            cluster_oracle_violated(cluster, "%" PRIu64 " takes back a term or a vote", node->id);
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
            cluster_oracle_violated(cluster, "%" PRIu64 " writes %" PRIu64 " after %" PRIu64,
                                    node->id, write->entries.first, disk->last);
        }
        if (write->entries.first <= disk->checkpoint) {
            cluster_oracle_violated(cluster, "%" PRIu64 " overwrites %" PRIu64 ", which is applied",
                                    node->id, write->entries.first);
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
        cluster_oracle_violated(cluster, "%" PRIu64 " starts from a damaged record", node->id);
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

/* Servers that answer each other, or want to be ticked, for ever fail in a moment. */
enum { STABILIZE_ROUNDS_MAX = 20000, TICKS_AT_ONE_TIME_MAX = 20000 };

void cluster_stabilize(struct cluster *cluster)
{
    bool moved = true;
    for (size_t rounds = 0; moved; rounds++) {
        if (rounds == STABILIZE_ROUNDS_MAX) {
            cluster_oracle_violated(cluster, "the messages do not come to an end");
        }
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
    size_t ticks = 0;
    while (next != NULL && next->next_deadline <= until) {
        if (next->next_deadline > cluster->now) {
            cluster->now = next->next_deadline;
            ticks = 0;
        } else if (++ticks == TICKS_AT_ONE_TIME_MAX) {
            cluster_oracle_violated(cluster, "%" PRIu64 " wants to be ticked for ever", next->id);
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
