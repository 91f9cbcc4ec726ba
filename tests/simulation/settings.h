/* What one seed draws: sizes, speeds, limits, and which faults happen. */
#ifndef TESTS_SIMULATION_SETTINGS_H
#define TESTS_SIMULATION_SETTINGS_H

#include "tests/simulation/network.h"

/* MINI is about 1,400 events of three servers, STANDARD 25,000 of up to eight. CHURN changes the
 * membership all the time, DUMP has followers fall behind the log, DISK has storage fail, SOAK is
 * long and has everything, STORES has the shipped stores beneath the modelled disks, CUT has
 * leaders on slow disks lose contact all the time: logs are cut off while much of them is under
 * way. */
enum settings_profile {
    SETTINGS_MINI,
    SETTINGS_STANDARD,
    SETTINGS_CHURN,
    SETTINGS_DUMP,
    SETTINGS_DISK,
    SETTINGS_SOAK,
    SETTINGS_STORES,
    SETTINGS_CUT,
    SETTINGS_PROFILES
};

/* Each seed has a subset of these. */
enum fault_class {
    /* processes */
    FAULT_CRASH,
    FAULT_CRASH_AT, /* before or after an operation of its storage */
    FAULT_OPTIONS,  /* a restart with other options */
    FAULT_PAUSE,    /* and the wall clock jumps meanwhile */
    FAULT_DRAIN,    /* a graceful stop */
    FAULT_WIPE,     /* an empty disk under a new incarnation */
    FAULT_CLOCK,    /* the wall clock jumps */
    /* the network */
    FAULT_SPLIT,      /* two halves */
    FAULT_ISOLATE,    /* one alone */
    FAULT_ONE_WAY,    /* some directions of one server */
    FAULT_BRIDGE,     /* two halves and one that sees both */
    FAULT_RING,       /* each sees its neighbours */
    FAULT_LINK,       /* a connection is reset: what was under way is lost */
    FAULT_CORRUPTION, /* a frame arrives damaged: the connection is closed */
    FAULT_SLOW_LINK,
    FAULT_REPLAY, /* very old messages come again */
    /* disks */
    FAULT_SLOW_DISK,
    FAULT_STALL,       /* nothing is finished for a while */
    FAULT_FULL_TREE,   /* no room for checkpoints and dumps; the reserve keeps the log going */
    FAULT_FULL_LOG,    /* nor for the log */
    FAULT_WRITE_ERROR, /* EIO, the outcome is unknown */
    FAULT_READ_ERROR,
    FAULT_BIT_FLIP, /* in an entry of the log or a record of the checkpoint */
    FAULT_DIVERGE,  /* the state becomes another than that of the others, and nothing looks damaged
                     */
    FAULT_OLD_FOLDER, /* the folder is put back to an earlier state of it */
    FAULT_CLASSES
};

struct settings {
    uint64_t profile;
    uint64_t seed;
    uint64_t places;         /* servers that exist */
    uint64_t first_members;  /* of them take part in init */
    uint64_t first_learners; /* of the others are added before anything happens */
    uint64_t clients;
    uint64_t faulty_us; /* how long the first phase lasts */
    uint64_t fault_interval_us;
    uint64_t fault_us;               /* most faults last shorter than this */
    uint64_t faults;                 /* bits 1 << enum fault_class */
    uint64_t with_core;              /* after the faults a quorum is healed first, alone */
    uint64_t with_stall;             /* at the end the leader's disk alone gets stuck */
    uint64_t membership_interval_us; /* between the operator's commands; 0 = none after init */
    uint64_t with_second_operator;   /* who asks while a command of the first is under way */
    uint64_t operation_interval_us;  /* between one client's operations */
    uint64_t key_count;
    uint64_t value_bytes_max;
    uint64_t write_us;    /* one sync of a disk */
    uint64_t with_quotas; /* clients set quotas on the folders */
    uint64_t with_stores; /* the shipped ones lie beneath the modelled disks */
    uint64_t drift_ppm_max;
    /* Of plans alone: more is destroyed than the voters tolerate, and nothing right may give way to
     * what is wrong all the same. */
    uint64_t beyond_tolerance;
    /* L1: from healing until all servers agree, and where some have to be mended before. */
    uint64_t settling_timeouts_max;
    uint64_t mending_us_max;
    struct network_options network;
    struct node_options node; /* id, incarnation and seed are the server's */
};

struct settings settings_draw(enum settings_profile profile, uint64_t seed);
/* What a server is restarted with; what its log holds still fits. */
void settings_redraw_node(struct node_options *node, uint64_t seed);
/* Whether so few nodes go with the end of a session that sweeps have to follow often. */
bool settings_ends_are_cut(const struct settings *settings);
/* "mini", "standard", ...; INVALID. */
MUST_CHECK enum status settings_parse_profile(const char *text, enum settings_profile *ret_profile);
const char *settings_profile_name(enum settings_profile profile);
const char *settings_fault_name(enum fault_class class);

/* By name and value, for plan files: *ret_name is NULL past the last. */
uint64_t settings_get(const struct settings *settings, size_t position, const char **ret_name);
/* NOT_FOUND, LIMIT. */
MUST_CHECK enum status settings_set(struct settings *settings, const char *name, uint64_t value);

#endif
