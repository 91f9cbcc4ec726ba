/* Commands that only look. */
#include "tests/scenario/cluster_text.h"
#include "tests/scenario/scenario.h"

#include <inttypes.h>

static void run_status(struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->cluster->node_count; i++) {
        const struct cluster_node *node = &scenario->cluster->nodes[i];
        if (!node->alive) {
            fprintf(scenario->out, "%" PRIu64 ": down\n", node->id);
            continue;
        }
        struct raft_status status = raft_status(node->raft);
        fprintf(scenario->out,
                "%" PRIu64 ": %s term=%" PRIu64 " vote=%" PRIu64 " leader=%" PRIu64 " log=%" PRIu64
                "..%" PRIu64 "/%" PRIu64 " durable=%" PRIu64 " commit=%" PRIu64 " applied=%" PRIu64
                " config=%" PRIu64 "%s%s\n",
                node->id, raft_role_name(status.role), status.term, status.vote, status.leader,
                status.log_base, status.last_index, status.last_term, status.durable_index,
                status.commit_index, node->applied, status.config_index,
                status.config_committed ? "" : " uncommitted",
                status.transfer_target != 0 ? " transferring" : "");
    }
}

static void run_peers(struct scenario *scenario)
{
    static const char *const states[] = {[RAFT_PROGRESS_PROBE] = "probe",
                                         [RAFT_PROGRESS_REPLICATE] = "replicate",
                                         [RAFT_PROGRESS_SNAPSHOT] = "snapshot"};
    struct cluster_node *node = scenario_live_node(scenario, 1);
    for (raft_id id = 1; id <= scenario->cluster->node_count; id++) {
        struct raft_peer_status peer;
        if (raft_peer_status(node->raft, id, &peer) == STATUS_OK) {
            fprintf(scenario->out,
                    "%" PRIu64 ": %s match=%" PRIu64 " next=%" PRIu64 " inflight=%" PRIu32
                    "/%" PRIu64 "%s%s%s\n",
                    id, states[peer.state], peer.match, peer.next, peer.inflight_count,
                    peer.inflight_bytes, peer.active ? "" : " silent",
                    peer.caught_up ? " caught-up" : "", peer.dump_wanted ? " dump-wanted" : "");
        }
    }
}

static void run_log(struct scenario *scenario)
{
    static const char *const kinds[] = {
        [RAFT_ENTRY_COMMAND] = "", [RAFT_ENTRY_NOOP] = " noop", [RAFT_ENTRY_CONFIG] = " config"};
    const struct cluster_node *node = scenario_live_node(scenario, 1);
    struct raft_status status = raft_status(node->raft);
    fprintf(scenario->out, "base %" PRIu64 "/%" PRIu64, status.log_base,
            raft_term_at(node->raft, status.log_base));
    for (raft_index i = status.log_base + 1; i <= status.last_index; i++) {
        struct raft_entry entry = raft_entry_at(node->raft, i);
        fprintf(scenario->out, ", %" PRIu64 "/%" PRIu64 "%s", i, entry.term, kinds[entry.type]);
    }
    fputc('\n', scenario->out);
}

static void run_network(struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->cluster->flight_count; i++) {
        fputs(scenario->cluster->flights[i].held ? "held: " : "", scenario->out);
        struct raft_message message = scenario->cluster->flights[i].message;
        struct raft_entry entries[RAFT_MESSAGE_ENTRIES_MAX];
        for (uint32_t k = 0; message.type == RAFT_APPEND && k < message.append.entry_count; k++) {
            entries[k] = scenario->cluster->flights[i].entries[k].entry;
            message.append.entries = entries;
        }
        cluster_text_print_message(scenario->out, &message);
    }
}

static void run_converged(struct scenario *scenario)
{
    cluster_check_converged(scenario->cluster);
}

const struct scenario_command scenario_commands_status[] = {
    {"status", run_status},   {"peers", run_peers},         {"log", run_log},
    {"network", run_network}, {"converged", run_converged}, {NULL, NULL},
};
