#include "server/node/node_outgrowth.h"

#include "base/log.h"
#include "base/mark.h"
#include "server/node/node_checkpoint.h"

#include <inttypes.h>

static void ask(struct node *node)
{
    MARK(state_outgrew_its_map);
    log_event(LOG_LEVEL_WARN, "state_outgrown",
              "zxid=%" PRIu64 " reason=\"its map has no room for the next checkpoint: a dump of "
              "the state, which takes less, is asked for\"",
              state_applied(node->state));
    dump_transfer_set_repair(node->dumps,
                             state_applied(node->state) > 0 ? state_applied(node->state) : 1);
}

void node_outgrowth_observe(struct node *node)
{
    bool is_outgrown = node_checkpoint_has_no_room(node) && !node->is_condemned &&
                       node->status.role != RAFT_LEADER;

    if (node->installing || node->is_outgrown == is_outgrown) {
        return;
    }
    node->is_outgrown = is_outgrown;
    node->introduced_us = 0; /* the others hear of it at once */
    if (is_outgrown) {
        ask(node);
    } else if (!node->is_condemned) {
        dump_transfer_set_repair(node->dumps, 0);
    }
}
