/* Which faults a round has, and when: drawn from a seed, before anything runs, and nothing else. So
 * the same seed gives the same faults at the same times, however the servers take them. What only
 * the running cluster knows, as who leads, is named by its role.
 *
 * A round has tracks, one for each kind of trouble. The steps of one track follow each other, those
 * of different tracks overlap. */
#ifndef TESTS_CHAOS_SCHEDULE_H
#define TESTS_CHAOS_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    SCHEDULE_STEPS_MAX = 16,
    SCHEDULE_ROUND_MS = 8000,
    SCHEDULE_RATE_LOW = -400, /* thousandths by which a clock runs faster */
    SCHEDULE_RATE_HIGH = 700,
    SCHEDULE_RATE_FROZEN = -1000,
    SCHEDULE_RATE_RACE = 9000,
    SCHEDULE_LEADER = 0 /* as a victim: who leads when the step begins, else who has its `id` */
};

enum track { TRACK_NETWORK, TRACK_PROCESS, TRACK_CLOCK, TRACK_MEMBERSHIP, TRACK_COUNT };

enum fault {
    /* Between servers; each ends with its step. */
    FAULT_PARTITION,      /* `side` and the rest do not hear each other */
    FAULT_DEAF,           /* the victim does not hear the other servers */
    FAULT_MUTE,           /* the other servers do not hear the victim */
    FAULT_BRIDGE,         /* `side` and the rest, but the victim hears and is heard by both */
    FAULT_ISOLATE,        /* the victim is cut off from the other servers */
    FAULT_ISOLATE_WHOLLY, /* and from the clients */
    FAULT_FLAP,           /* cut off and back, every `amount` milliseconds */
    FAULT_CLIENTS_CUT,    /* the clients do not reach `side` */
    FAULT_CLIENTS_ALONE,  /* the clients reach no server */
    FAULT_LOSS,           /* `amount` percent of all packets between servers and clients */
    FAULT_DUPLICATE,      /* `amount` percent of all packets come twice */
    FAULT_RESET,          /* connections between `side` and the rest, every `amount` milliseconds */
    FAULT_SLOW,           /* the victim sends `amount` kbit a second */
    /* Processes; who was stopped or killed goes on when the step ends. */
    FAULT_PAUSE,      /* the victim, by SIGSTOP */
    FAULT_PAUSE_SIDE, /* all of `side` */
    FAULT_KILL,       /* the victim, by SIGKILL */
    FAULT_KILL_SIDE,  /* all of `side`, at once */
    FAULT_KILL_ALL,   /* everybody, and started again at once */
    FAULT_MARK,       /* the victim, started to die at the `amount`th pass of `mark` */
    FAULT_TERM,       /* the victim, by SIGTERM: it must leave in order */
    FAULT_STUCK_DISK, /* no sync of the victim's comes back */
    FAULT_SLOW_DISK,  /* each sync of the victim's takes `amount` milliseconds more */
    FAULT_FULL_DISK,  /* no file of the victim's grows */
    /* Clocks. */
    FAULT_CLOCK_JUMP,   /* the victim's wall clock, by `amount` minutes, and back */
    FAULT_CLOCK_RATE,   /* the victim's clocks, faster by `amount` thousandths */
    FAULT_CLOCK_FROZEN, /* they stand */
    FAULT_CLOCK_RACE,   /* they run ten times as fast */
    /* Membership, by commands of confer-cli whose outcome nobody relies on. */
    FAULT_TRANSFER, /* leadership to the victim */
    FAULT_REMOVE,   /* the victim is removed, wiped and added again */
    FAULT_REPLACE,  /* the victim dies, its folder is wiped, it is removed and added again */
    FAULT_CHANGE,   /* the larger side only shall vote; who left is wiped, learns and votes again */
    FAULT_COUNT
};

struct step {
    enum fault fault;
    unsigned at_ms; /* from the begin of the round */
    unsigned end_ms;
    unsigned victim; /* a server, or SCHEDULE_LEADER */
    unsigned id;     /* a server: the victim, if it is to be the leader and there is none */
    uint32_t side;   /* servers, 1 << id: neither none nor all */
    int amount;
    const char *mark;
};

struct schedule {
    struct step steps[SCHEDULE_STEPS_MAX]; /* by at_ms */
    unsigned step_count;
};

enum track schedule_track(enum fault fault);
const char *schedule_fault_name(enum fault fault);

/* Draw round `round` of a run with this seed and so many servers. */
void schedule_draw(struct schedule *schedule, uint64_t seed, unsigned round, unsigned server_count);
/* Whether a step has this fault. */
bool schedule_has(const struct schedule *schedule, enum fault fault);
/* One line a step. */
void schedule_print(const struct schedule *schedule, FILE *file);

#endif
