#include "tests/explorer/bounds.h"

#include <stddef.h>
#include <string.h>

/* First those that can be searched to the end in seconds or minutes, then those that cannot. */
static const struct bounds all[] = {
    {.name = "quick",
     .purpose = "one term, every message kept until it is ignored or lost, one of them twice",
     .voters = 3,
     .term_max = 2,
     .log_max = 3,
     .flight_max = 2,
     .write_max = 2,
     .budgets = {[BOUNDS_DUPLICATES] = 1}},
    {.name = "election",
     .purpose = "one term, with pre-votes",
     .voters = 3,
     .term_max = 2,
     .log_max = 2,
     .flight_max = 2,
     .write_max = 2,
     .budgets = {[BOUNDS_DUPLICATES] = 1},
     .prevote = true},
    {.name = "terms",
     .purpose = "two terms and a crash",
     .voters = 3,
     .term_max = 3,
     .log_max = 3,
     .flight_max = 2,
     .write_max = 1,
     .budgets = {[BOUNDS_CRASHES] = 1},
     .elected = true,
     .forget_stale = true},
    {.name = "replication",
     .purpose = "two proposals of one leader, a crash",
     .voters = 3,
     .term_max = 2,
     .log_max = 4,
     .flight_max = 2,
     .write_max = 2,
     .budgets = {[BOUNDS_PROPOSALS] = 2, [BOUNDS_CRASHES] = 1},
     .elected = true,
     .forget_stale = true},
    {.name = "figure8",
     .purpose = "four terms, entries that a later leader inherits; disks write at once",
     .voters = 3,
     .term_max = 5,
     .log_max = 4,
     .flight_max = 1,
     .write_max = 1,
     .elected = true,
     .forget_stale = true,
     .instant_disk = true},
    {.name = "membership",
     .purpose = "any one change of two voters and a learner, taken back or not",
     .voters = 2,
     .spares = 1,
     .term_max = 2,
     .log_max = 6,
     .flight_max = 2,
     .write_max = 2,
     .budgets = {[BOUNDS_CHANGES] = 1, [BOUNDS_CANCELS] = 1},
     .elected = true,
     .forget_stale = true,
     .instant_disk = true,
     .distinct_ids = true},
    {.name = "handover",
     .purpose = "the same with another leader in its midst",
     .voters = 2,
     .spares = 1,
     .term_max = 3,
     .log_max = 5,
     .flight_max = 2,
     .write_max = 2,
     .budgets = {[BOUNDS_CHANGES] = 1, [BOUNDS_CANCELS] = 1},
     .elected = true,
     .forget_stale = true,
     .instant_disk = true,
     .distinct_ids = true},
    {.name = "reads",
     .purpose = "a read anywhere while leaders change",
     .voters = 3,
     .term_max = 3,
     .log_max = 3,
     .flight_max = 1,
     .write_max = 2,
     .budgets = {[BOUNDS_READS] = 1, [BOUNDS_DUPLICATES] = 1},
     .elected = true,
     .forget_stale = true,
     .instant_disk = true},
    {.name = "dump",
     .purpose = "trimmed logs, dumps between any two nodes, a crash",
     .voters = 3,
     .term_max = 2,
     .log_max = 5,
     .flight_max = 2,
     .write_max = 2,
     .budgets =
         {[BOUNDS_PROPOSALS] = 1, [BOUNDS_TRIMS] = 2, [BOUNDS_DUMPS] = 1, [BOUNDS_CRASHES] = 1},
     .elected = true,
     .forget_stale = true},
    {.name = "batches",
     .purpose = "two inputs before one flush, lost connections",
     .voters = 3,
     .term_max = 2,
     .log_max = 4,
     .flight_max = 2,
     .write_max = 2,
     .budgets = {[BOUNDS_PROPOSALS] = 1, [BOUNDS_PEER_DOWNS] = 1},
     .elected = true,
     .forget_stale = true,
     .delay_max = 1},
    {.name = "wide-election",
     .purpose = "one term from its beginning, four messages in flight; disks write at once",
     .voters = 3,
     .term_max = 2,
     .log_max = 3,
     .flight_max = 4,
     .write_max = 1,
     .forget_stale = true,
     .instant_disk = true},
    {.name = "wide-crash",
     .purpose = "a proposal and a crash, four messages in flight; disks write at once",
     .voters = 3,
     .term_max = 2,
     .log_max = 3,
     .flight_max = 4,
     .write_max = 1,
     .budgets = {[BOUNDS_PROPOSALS] = 1, [BOUNDS_CRASHES] = 1},
     .elected = true,
     .forget_stale = true,
     .instant_disk = true},
    {.name = "wide-terms",
     .purpose = "two terms, three messages in flight; disks write at once",
     .voters = 3,
     .term_max = 3,
     .log_max = 3,
     .flight_max = 3,
     .write_max = 1,
     .elected = true,
     .forget_stale = true,
     .instant_disk = true},
    {.name = "election-deep",
     .purpose = "two terms with pre-votes, nothing that is sent is forgotten, a crash",
     .voters = 3,
     .term_max = 3,
     .log_max = 3,
     .flight_max = 4,
     .write_max = 2,
     .budgets = {[BOUNDS_CRASHES] = 1, [BOUNDS_DUPLICATES] = 1},
     .prevote = true},
    {.name = "crash-deep",
     .purpose = "four terms, two crashes, three entries",
     .voters = 3,
     .term_max = 4,
     .log_max = 5,
     .flight_max = 4,
     .write_max = 3,
     .budgets = {[BOUNDS_CRASHES] = 2, [BOUNDS_PROPOSALS] = 2, [BOUNDS_TRANSFERS] = 1},
     .elected = true,
     .forget_stale = true},
    {.name = "change-deep",
     .purpose = "any one change of three voters and a learner, two crashes",
     .voters = 3,
     .spares = 1,
     .term_max = 4,
     .log_max = 8,
     .flight_max = 3,
     .write_max = 2,
     .budgets = {[BOUNDS_CHANGES] = 1, [BOUNDS_CANCELS] = 1, [BOUNDS_CRASHES] = 2},
     .elected = true,
     .forget_stale = true,
     .distinct_ids = true},
    {.name = "reads-deep",
     .purpose = "two reads, a proposal, a transfer, a crash",
     .voters = 3,
     .term_max = 4,
     .log_max = 5,
     .flight_max = 3,
     .write_max = 2,
     .budgets = {[BOUNDS_READS] = 2,
                 [BOUNDS_PROPOSALS] = 1,
                 [BOUNDS_DUPLICATES] = 1,
                 [BOUNDS_TRANSFERS] = 1,
                 [BOUNDS_CRASHES] = 1},
     .elected = true,
     .forget_stale = true},
    {.name = "dump-deep",
     .purpose = "dumps while leaders change and nodes crash",
     .voters = 3,
     .term_max = 4,
     .log_max = 5,
     .flight_max = 3,
     .write_max = 2,
     .budgets = {[BOUNDS_PROPOSALS] = 1,
                 [BOUNDS_TRIMS] = 3,
                 [BOUNDS_DUMPS] = 2,
                 [BOUNDS_CRASHES] = 2,
                 [BOUNDS_PEER_DOWNS] = 1},
     .elected = true,
     .forget_stale = true,
     .delay_max = 1},
};

const struct bounds *bounds_at(unsigned i)
{
    return i < sizeof all / sizeof all[0] ? &all[i] : NULL;
}

const struct bounds *bounds_find(const char *name)
{
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i].name, name) == 0) {
            return &all[i];
        }
    }
    return NULL;
}

const char *bounds_budget_name(enum bounds_budget budget)
{
    static const char *const names[BOUNDS_BUDGET_COUNT] = {
        [BOUNDS_PROPOSALS] = "proposals",   [BOUNDS_CRASHES] = "crashes",
        [BOUNDS_DUPLICATES] = "duplicates", [BOUNDS_READS] = "reads",
        [BOUNDS_CHANGES] = "changes",       [BOUNDS_CANCELS] = "cancels",
        [BOUNDS_TRANSFERS] = "transfers",   [BOUNDS_PEER_DOWNS] = "peer-downs",
        [BOUNDS_DUMPS] = "dumps",           [BOUNDS_TRIMS] = "trims",
    };
    return names[budget];
}

bool bounds_set(struct bounds *bounds, const char *name, uint8_t value)
{
    const struct {
        const char *name;
        uint8_t *number;
        bool *flag;
    } fields[] = {
        {"voters", &bounds->voters, NULL},
        {"spares", &bounds->spares, NULL},
        {"terms", &bounds->term_max, NULL},
        {"indexes", &bounds->log_max, NULL},
        {"flight", &bounds->flight_max, NULL},
        {"writes", &bounds->write_max, NULL},
        {"delays", &bounds->delay_max, NULL},
        {"elected", NULL, &bounds->elected},
        {"prevote", NULL, &bounds->prevote},
        {"forget-stale", NULL, &bounds->forget_stale},
        {"distinct-ids", NULL, &bounds->distinct_ids},
        {"instant-disk", NULL, &bounds->instant_disk},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcmp(fields[i].name, name) != 0) {
            continue;
        }
        if (fields[i].number != NULL) {
            *fields[i].number = value;
        }
        if (fields[i].flag != NULL) {
            *fields[i].flag = value != 0;
        }
        return true;
    }
    for (unsigned i = 0; i < BOUNDS_BUDGET_COUNT; i++) {
        if (strcmp(bounds_budget_name((enum bounds_budget)i), name) == 0) {
            bounds->budgets[i] = value;
            return true;
        }
    }
    return false;
}
