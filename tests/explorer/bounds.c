#include "tests/explorer/bounds.h"

#include <stddef.h>
#include <string.h>

static const struct bounds all[] = {
    {.name = "quick",
     .purpose = "one election, every message kept, twice if need be",
     .voters = 3,
     .term_max = 2,
     .log_max = 3,
     .flight_max = 2,
     .write_max = 2,
     .budgets = {[BOUNDS_DUPLICATES] = 1}},
    {.name = "election",
     .purpose = "two elections, with pre-votes and crashes",
     .voters = 3,
     .term_max = 3,
     .log_max = 5,
     .flight_max = 2,
     .write_max = 2,
     .budgets = {[BOUNDS_CRASHES] = 1, [BOUNDS_DUPLICATES] = 1},
     .prevote = true},
    {.name = "replication",
     .purpose = "two proposals under up to two leaders",
     .voters = 3,
     .term_max = 3,
     .log_max = 5,
     .flight_max = 2,
     .write_max = 2,
     .budgets = {[BOUNDS_PROPOSALS] = 2},
     .elected = true,
     .forget_stale = true},
    {.name = "crash",
     .purpose = "three leaders and two crashes: figure 8 of the paper",
     .voters = 3,
     .term_max = 4,
     .log_max = 5,
     .flight_max = 2,
     .write_max = 2,
     .budgets = {[BOUNDS_CRASHES] = 2, [BOUNDS_PROPOSALS] = 1},
     .elected = true,
     .forget_stale = true},
    {.name = "membership",
     .purpose = "one change to any set of voters, with an election in its midst",
     .voters = 3,
     .spares = 1,
     .term_max = 3,
     .log_max = 7,
     .flight_max = 2,
     .write_max = 2,
     .budgets = {[BOUNDS_CHANGES] = 1, [BOUNDS_CRASHES] = 1},
     .elected = true,
     .forget_stale = true,
     .instant_disk = true},
    {.name = "reads",
     .purpose = "two reads anywhere, a proposal, another leader, a transfer",
     .voters = 3,
     .term_max = 3,
     .log_max = 5,
     .flight_max = 3,
     .write_max = 2,
     .budgets = {[BOUNDS_READS] = 2,
                 [BOUNDS_PROPOSALS] = 1,
                 [BOUNDS_DUPLICATES] = 1,
                 [BOUNDS_TRANSFERS] = 1},
     .elected = true,
     .forget_stale = true,
     .instant_disk = true},
    {.name = "dump",
     .purpose = "trimmed logs, and dumps between any two nodes",
     .voters = 3,
     .term_max = 3,
     .log_max = 5,
     .flight_max = 2,
     .write_max = 2,
     .budgets =
         {[BOUNDS_PROPOSALS] = 1, [BOUNDS_TRIMS] = 2, [BOUNDS_DUMPS] = 1, [BOUNDS_CRASHES] = 1},
     .elected = true,
     .forget_stale = true},
    {.name = "batches",
     .purpose = "two inputs before one flush",
     .voters = 3,
     .term_max = 3,
     .log_max = 4,
     .flight_max = 2,
     .write_max = 2,
     .budgets = {[BOUNDS_PROPOSALS] = 1, [BOUNDS_PEER_DOWNS] = 1, [BOUNDS_CRASHES] = 1},
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
        [BOUNDS_CHANGES] = "changes",       [BOUNDS_TRANSFERS] = "transfers",
        [BOUNDS_PEER_DOWNS] = "peer-downs", [BOUNDS_DUMPS] = "dumps",
        [BOUNDS_TRIMS] = "trims",
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
        } else {
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
