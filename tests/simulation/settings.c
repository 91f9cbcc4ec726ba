#include "tests/simulation/settings.h"

#include <stddef.h>
#include <string.h>

static const char *const profile_names[SETTINGS_PROFILES] = {"mini", "standard", "churn",  "dump",
                                                             "disk", "soak",     "stores", "cut"};

static const char *const fault_names[FAULT_CLASSES] = {
    [FAULT_CRASH] = "crash",
    [FAULT_CRASH_AT] = "crash-at",
    [FAULT_OPTIONS] = "options",
    [FAULT_PAUSE] = "pause",
    [FAULT_DRAIN] = "drain",
    [FAULT_WIPE] = "wipe",
    [FAULT_CLOCK] = "clock",
    [FAULT_SPLIT] = "split",
    [FAULT_ISOLATE] = "isolate",
    [FAULT_ONE_WAY] = "one-way",
    [FAULT_BRIDGE] = "bridge",
    [FAULT_RING] = "ring",
    [FAULT_LINK] = "link",
    [FAULT_CORRUPTION] = "corruption",
    [FAULT_SLOW_LINK] = "slow-link",
    [FAULT_REPLAY] = "replay",
    [FAULT_SLOW_DISK] = "slow-disk",
    [FAULT_STALL] = "stall",
    [FAULT_FULL_TREE] = "full-tree",
    [FAULT_FULL_LOG] = "full-log",
    [FAULT_WRITE_ERROR] = "write-error",
    [FAULT_READ_ERROR] = "read-error",
    [FAULT_BIT_FLIP] = "bit-flip",
    [FAULT_DIVERGE] = "diverge",
    [FAULT_OLD_FOLDER] = "old-folder",
};

const char *settings_profile_name(enum settings_profile profile)
{
    return profile_names[profile];
}

const char *settings_fault_name(enum fault_class class)
{
    return fault_names[class];
}

enum status settings_parse_profile(const char *text, enum settings_profile *ret_profile)
{
    for (size_t i = 0; i < SETTINGS_PROFILES; i++) {
        if (strcmp(text, profile_names[i]) == 0) {
            *ret_profile = (enum settings_profile)i;
            return STATUS_OK;
        }
    }
    return STATUS_INVALID;
}

/* --- Drawing --- */

enum { CALM_WRITE_US = 1000, SETTLING_TIMEOUTS_MAX = 64, MENDING_US_MAX = 100 * 1000 * 1000 };

static uint64_t one_of(struct prng *prng, const uint64_t *values, size_t count)
{
    return values[prng_below(prng, count)];
}

#define ONE_OF(prng, ...)                                                                          \
    one_of(prng, (const uint64_t[]){__VA_ARGS__},                                                  \
           sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* What may differ from one run of a server to the next. */
static void draw_tuning(struct node_options *node, struct prng *prng)
{
    node->raft.message_entries_max = (uint32_t)ONE_OF(prng, 1, 4, 64, 1024);
    node->raft.message_bytes_max = (uint32_t)ONE_OF(prng, 512, 16384, 1048576);
    node->raft.inflight_messages_max = (uint32_t)ONE_OF(prng, 1, 4, 64);
    node->raft.inflight_bytes_max = ONE_OF(prng, 4096, 1048576);
    node->raft.uncommitted_bytes_max = ONE_OF(prng, 8192, 1048576);
    node->raft.reads_max = (uint32_t)ONE_OF(prng, 4, 256);
    node->cache_bytes_max = ONE_OF(prng, 1, 4096, 1 << 20);
    node->checkpoint_records_max = ONE_OF(prng, 8, 64, 65536);
    node->checkpoint_bytes_max = ONE_OF(prng, 4096, 1 << 20);
    node->checkpoint_interval_us = ONE_OF(prng, 200000, 2000000, 10000000);
    node->log_tail_entries_max = ONE_OF(prng, 0, 4, 32, 128);
    node->log_tail_bytes_max = ONE_OF(prng, 2048, 1 << 20);
    node->entry_cache_bytes_max = ONE_OF(prng, 1, 1024, 1 << 20);
    node->history_bytes_max = ONE_OF(prng, 2048, 1 << 20);
    node->history_changes_max = ONE_OF(prng, 16, 4096);
    node->dump_chunk_bytes = (uint32_t)ONE_OF(prng, 512, 4096, 524288);
    node->request_timeout_us = ONE_OF(prng, 1000000, 3000000, 10000000);
}

static void draw_node(struct settings *settings, struct prng *prng)
{
    struct node_options *node = &settings->node;

    *node = node_options_default(1);
    node->version = "simulation";
    node->raft.heartbeat_us = ONE_OF(prng, 20000, 50000);
    node->raft.election_timeout_us = node->raft.heartbeat_us * prng_between(prng, 5, 12);
    node->raft.log_entries_max = (uint32_t)ONE_OF(prng, 256, 1024, 4096);
    node->raft.entry_bytes_max = 65536;
    node->dump_bytes_max = 64 << 20;
    draw_tuning(node, prng);
}

static void draw_network(struct settings *settings, struct prng *prng)
{
    settings->network.latency_us = ONE_OF(prng, 50, 300, 2000);
    settings->network.loose = timeline_chance(prng, 500);
    settings->network.loss_permille = ONE_OF(prng, 0, 10, 100);
    settings->network.duplicate_permille = ONE_OF(prng, 0, 20, 100);
    settings->network.reorder_permille = ONE_OF(prng, 0, 20, 200);
}

static void draw_faults(struct settings *settings, struct prng *prng)
{
    for (uint32_t i = 0; i <= FAULT_BIT_FLIP; i++) {
        if (timeline_chance(prng, 400)) {
            settings->faults |= UINT64_C(1) << i;
        }
    }
}

static void draw_sizes(struct settings *settings, struct prng *prng)
{
    settings->first_members = 3;
    settings->places = 3;
    settings->clients = prng_between(prng, 2, 8);
    settings->faulty_us = 6 * 1000 * 1000;
    settings->fault_us = 600 * 1000;
    settings->fault_interval_us = ONE_OF(prng, 100, 300, 800) * 1000;
    settings->operation_interval_us = ONE_OF(prng, 10000, 20000, 60000);
    settings->write_us = ONE_OF(prng, 100, 1000, 5000);
    settings->drift_ppm_max = ONE_OF(prng, 0, 200, 20000, 200000);
    settings->key_count = ONE_OF(prng, 1, 3, 12);
    settings->value_bytes_max = ONE_OF(prng, 8, 100, 2000);
    settings->with_core = timeline_chance(prng, 500);
}

/* Everything is slower than heartbeats are frequent elsewhere: the same things happen in far fewer
 * events. */
static void shrink(struct settings *settings, struct prng *prng)
{
    struct node_options *node = &settings->node;

    settings->clients = prng_between(prng, 1, 3);
    settings->faulty_us = 1300 * 1000;
    settings->fault_us = 700 * 1000;
    settings->fault_interval_us = ONE_OF(prng, 80, 250) * 1000;
    settings->operation_interval_us = ONE_OF(prng, 60000, 150000, 300000);
    settings->write_us = ONE_OF(prng, 1000, 5000, 20000);
    settings->with_core = timeline_chance(prng, 150);
    settings->network.latency_us = ONE_OF(prng, 300, 2000, 10000);
    node->raft.heartbeat_us = 100 * 1000;
    node->raft.election_timeout_us = node->raft.heartbeat_us * prng_between(prng, 3, 6);
    node->raft.log_entries_max = 256;
    node->checkpoint_records_max = ONE_OF(prng, 2, 8, 65536);
    node->checkpoint_interval_us = ONE_OF(prng, 1000000, 10000000);
    node->log_tail_entries_max = ONE_OF(prng, 0, 2, 8, 128);
    node->request_timeout_us = ONE_OF(prng, 500000, 1500000);
}

/* Learners as far as there are places. */
static void draw_members(struct settings *settings, struct prng *prng)
{
    uint64_t learners = ONE_OF(prng, 0, 0, 0, 1, 2, 3);

    settings->first_members = ONE_OF(prng, 1, 2, 3, 3, 3, 4, 5, 5, 6, 7);
    settings->first_learners = learners < NETWORK_PLACES_MAX - settings->first_members
                                   ? learners
                                   : NETWORK_PLACES_MAX - settings->first_members;
}

static void draw_profile(struct settings *settings, struct prng *prng)
{
    switch ((enum settings_profile)settings->profile) {
    case SETTINGS_MINI:
    case SETTINGS_PROFILES:
        break;
    case SETTINGS_STANDARD:
        draw_members(settings, prng);
        settings->places = settings->first_members + settings->first_learners;
        break;
    case SETTINGS_CHURN:
        draw_members(settings, prng);
        settings->places = settings->first_members + settings->first_learners;
        settings->places += prng_below(prng, NETWORK_PLACES_MAX + 1 - settings->places);
        settings->places = settings->places < 4 ? 4 : settings->places;
        settings->faulty_us = 12 * 1000 * 1000;
        settings->fault_interval_us = ONE_OF(prng, 300, 1000, 3000) * 1000;
        settings->membership_interval_us = ONE_OF(prng, 100, 400, 1000) * 1000;
        break;
    case SETTINGS_DUMP:
        settings->first_members = ONE_OF(prng, 3, 3, 5);
        settings->places = settings->first_members;
        settings->faulty_us = 8 * 1000 * 1000;
        settings->fault_us = 2 * 1000 * 1000;
        settings->key_count = ONE_OF(prng, 12, 48);
        settings->value_bytes_max = ONE_OF(prng, 100, 2000);
        break;
    case SETTINGS_DISK:
        settings->first_members = ONE_OF(prng, 1, 3, 3, 5);
        settings->places = settings->first_members;
        settings->write_us = ONE_OF(prng, 1000, 5000, 30000);
        settings->fault_interval_us = ONE_OF(prng, 50, 150, 400) * 1000;
        break;
    case SETTINGS_STORES:
        settings->first_members = ONE_OF(prng, 1, 3, 3);
        settings->places = settings->first_members;
        settings->fault_us = 1000 * 1000;
        settings->key_count = ONE_OF(prng, 3, 12, 48);
        settings->with_stores = true;
        break;
    case SETTINGS_CUT:
        settings->first_members = ONE_OF(prng, 3, 3, 5);
        settings->places = settings->first_members;
        settings->write_us = ONE_OF(prng, 10000, 30000);
        settings->fault_interval_us = ONE_OF(prng, 50, 150) * 1000;
        settings->operation_interval_us = ONE_OF(prng, 5000, 10000);
        break;
    case SETTINGS_SOAK:
        settings->first_members = ONE_OF(prng, 3, 5);
        settings->places = prng_between(prng, 5, 7);
        settings->faulty_us = 90 * 1000 * 1000;
        /* Clients' histories of one node stay short enough to be judged. */
        settings->key_count = 48;
        settings->clients = prng_between(prng, 2, 5);
        settings->fault_us = 3 * 1000 * 1000;
        settings->fault_interval_us = ONE_OF(prng, 300, 1000, 3000) * 1000;
        settings->membership_interval_us = ONE_OF(prng, 0, 1000, 5000) * 1000;
        settings->with_core = true;
        break;
    }
}

static void bend(struct settings *settings, struct prng *prng)
{
    struct node_options *node = &settings->node;

    if (settings->profile == SETTINGS_MINI) {
        shrink(settings, prng);
    } else if (settings->profile == SETTINGS_DUMP) {
        node->log_tail_entries_max = ONE_OF(prng, 0, 2, 8);
        node->checkpoint_records_max = ONE_OF(prng, 2, 8, 64);
        node->dump_chunk_bytes = (uint32_t)ONE_OF(prng, 256, 1024, 4096);
        settings->faults |= UINT64_C(1) << FAULT_CRASH | UINT64_C(1) << FAULT_ISOLATE;
    } else if (settings->profile == SETTINGS_STORES) {
        node->log_tail_entries_max = ONE_OF(prng, 0, 2, 8, 128);
        node->dump_chunk_bytes = (uint32_t)ONE_OF(prng, 256, 4096, 524288);
        node->checkpoint_records_max = ONE_OF(prng, 2, 8, 64);
        settings->faults |= UINT64_C(1) << FAULT_CRASH | UINT64_C(1) << FAULT_CRASH_AT;
    } else if (settings->profile == SETTINGS_CUT) {
        node->log_tail_entries_max = ONE_OF(prng, 0, 4);
        node->checkpoint_records_max = ONE_OF(prng, 1, 2);
        settings->faults = UINT64_C(1) << FAULT_ISOLATE | UINT64_C(1) << FAULT_PAUSE |
                           UINT64_C(1) << FAULT_ONE_WAY | UINT64_C(1) << FAULT_SLOW_DISK |
                           UINT64_C(1) << FAULT_LINK;
    } else if (settings->profile == SETTINGS_DISK) {
        settings->faults &= ~(UINT64_C(1) << FAULT_WIPE) | prng_next(prng);
        for (uint32_t i = FAULT_SLOW_DISK; i <= FAULT_BIT_FLIP; i++) {
            settings->faults |= (uint64_t)timeline_chance(prng, 600) << i;
        }
        settings->faults |= UINT64_C(1) << FAULT_CRASH_AT;
    }
}

/* Nothing goes wrong, so nobody may be elected but once (L2). From a disk that is slow leadership
 * moves away. A leader asks after two heartbeat intervals at the latest: the longest ways there and
 * back (timeline_delay) must fit into what is left of an election timeout. */
static void calm(struct settings *settings)
{
    const struct raft_options *raft = &settings->node.raft;
    uint64_t latency_us_max =
        (raft->election_timeout_us - 2 * raft->heartbeat_us) / (2 * TIMELINE_DELAY_FACTOR_MAX);

    if (settings->network.latency_us > latency_us_max) {
        settings->network.latency_us = latency_us_max;
    }
    settings->faults = 0;
    settings->write_us = settings->write_us < CALM_WRITE_US ? settings->write_us : CALM_WRITE_US;
    settings->network.loose = false;
    settings->with_core = false;
    settings->membership_interval_us = 0;
}

/* Drawn apart: what happens before it stays what it was. */
static void draw_ending(struct settings *settings)
{
    struct prng prng;

    prng_init(&prng, settings->seed * 29 + 11);
    if (timeline_chance(&prng, 400)) {
        settings->faults |= UINT64_C(1) << FAULT_DIVERGE;
    }
    settings->with_stall = timeline_chance(&prng, settings->profile == SETTINGS_MINI ? 150 : 400);
    if (timeline_chance(&prng, 300)) {
        settings->faults |= UINT64_C(1) << FAULT_OLD_FOLDER;
    }
    settings->with_quotas = timeline_chance(&prng, 300);
    if (timeline_chance(&prng, 30)) {
        calm(settings);
    }
    settings->node.enforce_quotas = timeline_chance(&prng, 700);
    settings->with_second_operator =
        settings->membership_interval_us != 0 && timeline_chance(&prng, 500);
    if (timeline_chance(&prng, 125)) {
        settings->node.end_count_max = (uint32_t)ONE_OF(&prng, 1, 1, 2);
        settings->node.sweep_count_max = (uint32_t)ONE_OF(&prng, 1, 3);
    }
}

struct settings settings_draw(enum settings_profile profile, uint64_t seed)
{
    struct settings settings;
    struct prng prng;

    memset(&settings, 0, sizeof settings);
    prng_init(&prng, seed * 3 + 1);
    settings.profile = profile;
    settings.seed = seed;
    settings.settling_timeouts_max = SETTLING_TIMEOUTS_MAX;
    settings.mending_us_max = MENDING_US_MAX;
    draw_sizes(&settings, &prng);
    draw_profile(&settings, &prng);
    draw_faults(&settings, &prng);
    draw_node(&settings, &prng);
    draw_network(&settings, &prng);
    bend(&settings, &prng);
    settings.node.sweep_interval_us = ONE_OF(&prng, 200000, 1000000, 60000000);
    draw_ending(&settings);
    return settings;
}

void settings_redraw_node(struct node_options *node, uint64_t seed)
{
    struct prng prng;

    prng_init(&prng, seed);
    draw_tuning(node, &prng);
    node->raft.log_entries_max *= 2;
    node->raft.election_timeout_us = node->raft.heartbeat_us * prng_between(&prng, 5, 12);
}

bool settings_ends_are_cut(const struct settings *settings)
{
    return settings->node.end_count_max < STATE_END_COUNT_MAX;
}

/* --- By name --- */

struct setting {
    const char *name;
    size_t offset;
    size_t bytes;
};

#define SETTING(member_)                                                                           \
    {                                                                                              \
#member_, offsetof(struct settings, member_), sizeof(((struct settings *)0)->member_)      \
    }

static const struct setting table[] = {
    SETTING(profile),
    SETTING(seed),
    SETTING(places),
    SETTING(first_members),
    SETTING(first_learners),
    SETTING(clients),
    SETTING(faulty_us),
    SETTING(fault_interval_us),
    SETTING(fault_us),
    SETTING(faults),
    SETTING(with_core),
    SETTING(with_stall),
    SETTING(with_second_operator),
    SETTING(membership_interval_us),
    SETTING(operation_interval_us),
    SETTING(key_count),
    SETTING(value_bytes_max),
    SETTING(write_us),
    SETTING(with_quotas),
    SETTING(with_stores),
    SETTING(drift_ppm_max),
    SETTING(beyond_tolerance),
    SETTING(settling_timeouts_max),
    SETTING(mending_us_max),
    SETTING(network.latency_us),
    SETTING(network.loose),
    SETTING(network.loss_permille),
    SETTING(network.duplicate_permille),
    SETTING(network.reorder_permille),
    SETTING(node.raft.heartbeat_us),
    SETTING(node.raft.election_timeout_us),
    SETTING(node.raft.log_entries_max),
    SETTING(node.raft.entry_bytes_max),
    SETTING(node.raft.message_entries_max),
    SETTING(node.raft.message_bytes_max),
    SETTING(node.raft.inflight_messages_max),
    SETTING(node.raft.inflight_bytes_max),
    SETTING(node.raft.uncommitted_bytes_max),
    SETTING(node.raft.reads_max),
    SETTING(node.cache_bytes_max),
    SETTING(node.checkpoint_records_max),
    SETTING(node.checkpoint_bytes_max),
    SETTING(node.checkpoint_interval_us),
    SETTING(node.log_tail_bytes_max),
    SETTING(node.log_tail_entries_max),
    SETTING(node.entry_cache_bytes_max),
    SETTING(node.history_bytes_max),
    SETTING(node.history_changes_max),
    SETTING(node.dump_bytes_max),
    SETTING(node.dump_chunk_bytes),
    SETTING(node.sweep_interval_us),
    SETTING(node.sweep_count_max),
    SETTING(node.end_count_max),
    SETTING(node.request_timeout_us),
    SETTING(node.enforce_quotas),
};

enum { SETTING_COUNT = sizeof table / sizeof table[0] };

uint64_t settings_get(const struct settings *settings, size_t position, const char **ret_name)
{
    const uint8_t *at;
    uint32_t word;
    uint64_t value = 0;

    if (position >= SETTING_COUNT) {
        *ret_name = NULL;
        return 0;
    }
    *ret_name = table[position].name;
    at = (const uint8_t *)settings + table[position].offset;
    if (table[position].bytes == sizeof value) {
        memcpy(&value, at, sizeof value);
    } else if (table[position].bytes == sizeof word) {
        memcpy(&word, at, sizeof word);
        value = word;
    } else {
        value = *at;
    }
    return value;
}

enum status settings_set(struct settings *settings, const char *name, uint64_t value)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        uint8_t *at = (uint8_t *)settings + table[i].offset;
        uint32_t word = (uint32_t)value;

        if (strcmp(table[i].name, name) != 0) {
            continue;
        }
        if (table[i].bytes < sizeof value && value >> (8 * table[i].bytes) != 0) {
            return STATUS_LIMIT;
        }
        if (table[i].bytes == sizeof value) {
            memcpy(at, &value, sizeof value);
        } else if (table[i].bytes == sizeof word) {
            memcpy(at, &word, sizeof word);
        } else {
            *at = value != 0;
        }
        return STATUS_OK;
    }
    return STATUS_NOT_FOUND;
}
