/* The modelled servers: each is the shipped driver (server/node) on a modelled disk, network and
 * clock. A server stays at its place and keeps its id; its disk survives crashes, and a wiped disk
 * comes back with a new incarnation. */
#ifndef TESTS_SIMULATION_CLUSTER_H
#define TESTS_SIMULATION_CLUSTER_H

#include "server/node/node.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/network.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/settings.h"
#include "tests/simulation/surplus.h"
#include "tests/simulation/timeline.h"

enum { CLUSTER_OPERATORS = 2 };

struct cluster;

struct cluster_server {
    struct cluster *cluster;
    size_t place;
    raft_id id; /* place + 1 */
    uint8_t incarnation[RAFT_INCARNATION_BYTES];
    uint64_t lives;           /* disks it had */
    uint64_t runs;            /* processes it had */
    struct log_state claimed; /* what its handshakes under way say of its log */
    char address[48];
    struct disk *disk;
    struct disk *former_disk; /* that was wiped last; NULL */
    uint8_t former_incarnation[RAFT_INCARNATION_BYTES];
    struct disk *backup; /* a copy of its folder as it was once; NULL */
    bool is_old_copy;    /* its folder was put back to that copy: it must not count again */
    struct node *node;   /* NULL while it is down */
    bool stopping;       /* inside its own end: nothing leaves it any more */
    bool dying;          /* dead already, its end follows in this very moment */
    bool lost;           /* its disk is beyond use: it starts no more */
    struct timeline_event death;
    uint64_t options_seed;        /* other than 0: its options are drawn anew by it */
    uint64_t election_timeout_us; /* of the process that runs */
    bool draining;
    bool paused;
    uint64_t weighed_generation; /* of its tree: it was looked at whether that adds up */
    uint64_t known_generation;   /* of its tree: of another it knows nothing, */
    zxid known_from;             /* nor what its state was before this, in this run of it */
    struct state_digest surplus; /* what makes its state another than that of the others */
    bool in_turn;
    struct timeline_event turn;
    uint64_t idle_turns; /* in a row, each wanted at once, with nothing coming in */
    struct list inbox;   /* arrivals and jobs that came while it was paused */
    uint64_t clock_offset_us;
    int64_t drift_ppm;
    int64_t wall_skew_ms;
    struct prng prng;
};

/* Lookers-on; called at once. */
struct cluster_observer {
    void *context;
    void (*on_turn)(void *context, struct cluster_server *server);
    void (*on_boot)(void *context, struct cluster_server *server);
    /* Before the process ends: its clients must be closed in here. */
    void (*on_stop)(void *context, struct cluster_server *server);
    /* It ended by itself: a disk failed, or a crash was ordered at a point of its storage. */
    void (*on_death)(void *context, struct cluster_server *server);
    /* What it said to the other since then is lost. */
    void (*on_lost)(void *context,
                    struct cluster_server *server,
                    const struct cluster_server *to,
                    uint64_t since_us);
    /* A message of the core leaves. */
    void (*on_send)(void *context,
                    struct cluster_server *server,
                    raft_id to,
                    const Peer__RaftMessage *message);
    /* A dump is offered. */
    void (*on_offer)(void *context,
                     struct cluster_server *server,
                     raft_id to,
                     const Peer__DumpOffer *offer);
    /* The disk is about to hold this. */
    void (*on_hard_state)(void *context,
                          struct cluster_server *server,
                          raft_term term,
                          raft_id vote);
    void (*on_truncate)(void *context, struct cluster_server *server, raft_index first);
    void (*on_append)(void *context, struct cluster_server *server, raft_index index);
    void (*on_reset)(void *context,
                     struct cluster_server *server,
                     raft_index index,
                     raft_term term);
};

/* What stands between the servers and the models: port.h and admission.h. */
struct cluster_outside {
    struct node_port (*port_of)(struct cluster_server *server);
    bool (*admit)(void *cluster,
                  size_t from,
                  size_t to,
                  Peer__Channel channel,
                  const uint8_t incarnation[RAFT_INCARNATION_BYTES]);
};

struct cluster {
    struct timeline *timeline;
    struct plan *plan;
    struct settings settings;
    struct network *network;
    struct cluster_outside outside;
    struct cluster_observer observer;
    struct cluster_server servers[NETWORK_PLACES_MAX];
    /* What each operator asked for may change the members until then. */
    uint64_t changes_until_us[CLUSTER_OPERATORS];
    struct prng prng;
    struct arena arena; /* for one message */
};

void cluster_init(struct cluster *cluster,
                  struct timeline *timeline,
                  struct plan *plan,
                  const struct cluster_outside *outside,
                  const struct cluster_observer *observer);
void cluster_release(struct cluster *cluster);

struct cluster_server *cluster_by_id(struct cluster *cluster, raft_id id);
/* The disk of this incarnation, even if it was wiped last; NULL: never seen. */
const struct disk *cluster_disk(const struct cluster_server *server,
                                const uint8_t incarnation[RAFT_INCARNATION_BYTES]);
/* Its state was made another than that of the others, and it did not get a new one since. */
bool cluster_has_diverged(struct cluster_server *server);
/* What the digest of its state would be if it had not. */
struct state_digest cluster_digest(struct cluster_server *server);
bool cluster_may_change_members(const struct cluster *cluster);
/* A server runs on an old copy of its folder, and nobody has told it so yet. */
bool cluster_has_unknown_copy(const struct cluster *cluster);
/* What its clock shows. */
uint64_t cluster_clock_us(const struct cluster_server *server);
/* Its process ends in this very moment, after what it is in the middle of; nothing leaves it. */
void cluster_die(struct cluster_server *server);
/* It is inside its end, or that follows in this very moment. */
bool cluster_is_gone(const struct cluster_server *server);
/* A process that runs and is not paused. */
bool cluster_is_awake(const struct cluster_server *server);
/* Something was done to the node from outside: its turn comes soon. */
void cluster_poke(struct cluster_server *server);

/* False: refused, because its disk is damaged, full or fails; CORRUPT makes it lost. */
bool cluster_start(struct cluster_server *server);
void cluster_crash(struct cluster_server *server, bool quietly);
void cluster_pause(struct cluster_server *server);
void cluster_resume(struct cluster_server *server);
/* Down already: an empty disk with a new incarnation. */
void cluster_wipe(struct cluster_server *server);
/* Keep a copy of its folder as it is now, in the place of one that was kept before. */
void cluster_back_up(struct cluster_server *server);
void cluster_drop_backup(struct cluster_server *server);
/* Down already: its folder is put back to the copy. */
void cluster_restore(struct cluster_server *server);

/* A violated invariant: print it and abort. */
_Noreturn void cluster_violation(const struct cluster_server *server, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
