#include "server/node/node_witness.h"

#include "base/log.h"
#include "server/node/node_log.h"

#include <inttypes.h>

enum { KEEP_INTERVAL_US = 10 * 1000 * 1000 /* between writes of what reports told */ };

void node_witness_init(struct node *node)
{
    witness_table_init(&node->witnesses, node->options.witnesses, node->options.witness_count);
    node->options.witnesses = NULL;
    node->witnesses_kept_us = node_now(node);
}

bool node_witness_recognize(struct node *node,
                            const Peer__Identity *from,
                            char refusal[ERROR_TEXT_BYTES_MAX])
{
    if (!witness_recognize(&node->witnesses, from, refusal)) {
        log_event(LOG_LEVEL_ERROR, "old_copy", "peer=%" PRIu64 " reason=%s", from->id,
                  log_quote(refusal));
        return false;
    }
    witness_note_start(&node->witnesses, from, raft_config_effective(node->raft));
    return true;
}

void node_witness_on_report(struct node *node, raft_id peer, const Peer__NodeReport *report)
{
    witness_note_report(&node->witnesses, peer, report->start, report->durable_term,
                        report->applied);
}

uint64_t node_witness_tick(struct node *node)
{
    struct witness_table *table = &node->witnesses;
    uint64_t now_us = node_now(node);

    if (!table->has_new_start) {
        if (!table->has_news || node->witness_jobs > 0) {
            return UINT64_MAX;
        }
        if (now_us - node->witnesses_kept_us < KEEP_INTERVAL_US) {
            return node->witnesses_kept_us + KEEP_INTERVAL_US;
        }
    }
    node_log_keep_witnesses(node);
    node->witnesses_kept_us = now_us;
    table->has_new_start = false;
    table->has_news = false;
    return UINT64_MAX;
}
