/* What one seed draws: sizes, speeds, limits, and which faults happen. */
#ifndef TESTS_SIMULATION_SETTINGS_H
#define TESTS_SIMULATION_SETTINGS_H

#include "tests/simulation/network.h"

enum settings_profile { SETTINGS_MINI, SETTINGS_STANDARD, SETTINGS_CHURN };

/* Classes of faults; each seed has a subset. */
enum {
    FAULT_CRASH = 1,
    FAULT_PARTITION = 2,
    FAULT_ONE_WAY = 4,
    FAULT_PAUSE = 8,
    FAULT_SLOW_DISK = 16,
    FAULT_FULL_DISK = 32,
    FAULT_LINK = 64,
    FAULT_CLOCK = 128,
    FAULT_DRAIN = 256,
    FAULT_CLASSES = 9
};

struct settings {
    enum settings_profile profile;
    uint64_t seed;
    size_t places;        /* servers that exist */
    size_t first_members; /* of them take part in init */
    size_t clients;
    uint64_t faulty_us; /* how long the first phase lasts */
    uint64_t fault_interval_us;
    uint32_t faults;
    uint64_t membership_interval_us; /* between the operator's commands; 0 = none after init */
    uint64_t operation_interval_us;  /* between one client's operations */
    uint64_t key_count;
    uint64_t value_bytes_max;
    uint64_t write_us; /* one sync of a disk */
    uint64_t drift_ppm_max;
    struct network_options network;
    struct node_options node; /* id, incarnation and seed are the server's */
};

struct settings settings_draw(enum settings_profile profile, uint64_t seed);
/* "mini", "standard", "churn"; INVALID. */
MUST_CHECK enum status settings_parse_profile(const char *text, enum settings_profile *ret_profile);
const char *settings_profile_name(enum settings_profile profile);

#endif
