#include "tests/simulation/settings.h"

#include <string.h>

static const char *const profile_names[] = {"mini", "standard", "churn"};

const char *settings_profile_name(enum settings_profile profile)
{
    return profile_names[profile];
}

enum status settings_parse_profile(const char *text, enum settings_profile *ret_profile)
{
    for (size_t i = 0; i < sizeof profile_names / sizeof profile_names[0]; i++) {
        if (strcmp(text, profile_names[i]) == 0) {
            *ret_profile = (enum settings_profile)i;
            return STATUS_OK;
        }
    }
    return STATUS_INVALID;
}

static uint64_t one_of(struct prng *prng, const uint64_t *values, size_t count)
{
    return values[prng_below(prng, count)];
}

#define ONE_OF(prng, ...)                                                                          \
    one_of(prng, (const uint64_t[]){__VA_ARGS__},                                                  \
           sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static void draw_node(struct settings *settings, struct prng *prng)
{
    struct node_options *node = &settings->node;

    *node = node_options_default(1);
    node->version = "simulation";
    node->raft.heartbeat_us = ONE_OF(prng, 20000, 50000);
    node->raft.election_timeout_us = node->raft.heartbeat_us * prng_between(prng, 5, 12);
    node->raft.log_entries_max = (uint32_t)ONE_OF(prng, 256, 1024, 4096);
    node->raft.message_entries_max = (uint32_t)ONE_OF(prng, 1, 4, 64, 1024);
    node->raft.message_bytes_max = (uint32_t)ONE_OF(prng, 512, 16384, 1048576);
    node->raft.inflight_messages_max = (uint32_t)ONE_OF(prng, 1, 4, 64);
    node->raft.inflight_bytes_max = ONE_OF(prng, 4096, 1048576);
    node->raft.uncommitted_bytes_max = ONE_OF(prng, 8192, 1048576);
    node->raft.entry_bytes_max = 65536;
    node->raft.reads_max = (uint32_t)ONE_OF(prng, 4, 256);
    node->cache_bytes_max = ONE_OF(prng, 1, 4096, 1 << 20);
    node->checkpoint_records_max = ONE_OF(prng, 8, 64, 65536);
    node->checkpoint_bytes_max = ONE_OF(prng, 4096, 1 << 20);
    node->checkpoint_interval_us = ONE_OF(prng, 200000, 2000000, 10000000);
    node->log_tail_entries_max = ONE_OF(prng, 4, 32, 128);
    node->log_tail_bytes_max = ONE_OF(prng, 2048, 1 << 20);
    node->entry_cache_bytes_max = ONE_OF(prng, 1, 1024, 1 << 20);
    node->history_bytes_max = ONE_OF(prng, 2048, 1 << 20);
    node->history_changes_max = ONE_OF(prng, 16, 4096);
    node->dump_bytes_max = 64 << 20;
    node->request_timeout_us = ONE_OF(prng, 1000000, 3000000, 10000000);
}

static void draw_network(struct settings *settings, struct prng *prng)
{
    settings->network.latency_us = ONE_OF(prng, 50, 300, 2000);
    settings->network.loose = timeline_chance(prng, 500);
    settings->network.loss_permille = ONE_OF(prng, 0, 10, 100);
    settings->network.duplicate_permille = ONE_OF(prng, 0, 20, 100);
    settings->network.reorder_permille = ONE_OF(prng, 0, 20, 200);
}

struct settings settings_draw(enum settings_profile profile, uint64_t seed)
{
    struct settings settings;
    struct prng prng;

    memset(&settings, 0, sizeof settings);
    prng_init(&prng, seed * 3 + 1);
    settings.profile = profile;
    settings.seed = seed;
    settings.first_members = 3;
    settings.places = 3;
    settings.clients = prng_between(&prng, 1, 4);
    settings.faulty_us = 4 * 1000 * 1000;
    settings.fault_interval_us = 400 * 1000;
    settings.operation_interval_us = ONE_OF(&prng, 5000, 20000, 60000);
    if (profile == SETTINGS_STANDARD) {
        settings.first_members = ONE_OF(&prng, 1, 2, 3, 5, 5);
        settings.places = settings.first_members;
        settings.clients = prng_between(&prng, 2, 8);
        settings.faulty_us = 20 * 1000 * 1000;
        settings.fault_interval_us = ONE_OF(&prng, 300, 1000, 3000) * 1000;
    } else if (profile == SETTINGS_CHURN) {
        settings.first_members = ONE_OF(&prng, 1, 2, 3);
        settings.places = prng_between(&prng, 4, 7);
        settings.faulty_us = 20 * 1000 * 1000;
        settings.fault_interval_us = ONE_OF(&prng, 500, 1500, 4000) * 1000;
        settings.membership_interval_us = ONE_OF(&prng, 200, 800, 2000) * 1000;
    }
    for (uint32_t i = 0; i < FAULT_CLASSES; i++) {
        if (timeline_chance(&prng, 500)) {
            settings.faults |= UINT32_C(1) << i;
        }
    }
    settings.key_count = ONE_OF(&prng, 1, 3, 12);
    settings.value_bytes_max = ONE_OF(&prng, 8, 100, 2000);
    settings.write_us = ONE_OF(&prng, 100, 1000, 5000);
    settings.drift_ppm_max = ONE_OF(&prng, 0, 200, 20000);
    draw_node(&settings, &prng);
    draw_network(&settings, &prng);
    return settings;
}
