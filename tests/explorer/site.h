/* One node by itself: a shipped core with its modelled disk and what the driver keeps beside it.
 * An input turns one site into the next and gives messages and finished reads: a function of these
 * two alone, so each pair is computed once, whatever the rest of the cluster does meanwhile.
 *
 * Checked on the way is what one node can tell: raft_check, and of the invariants S2, S3, S5, S10,
 * S11, S12 the parts that speak of the own disk. */
#ifndef TESTS_EXPLORER_SITE_H
#define TESTS_EXPLORER_SITE_H

#include "tests/explorer/site_image.h"

enum {
    SITE_OUTPUT_MAX = 16, /* messages of one input */
    SITE_READS_MAX = 4
};

enum site_input_kind {
    SITE_RECEIVE,    /* number of a message */
    SITE_EXPIRE,     /* enum timeless_timer */
    SITE_PERSIST,    /* the oldest unfinished write */
    SITE_CRASH,      /* and start again, with what was durable */
    SITE_PROPOSE,    /* its tag */
    SITE_READ,       /* its token */
    SITE_CHANGE,     /* bits of the new voters; 0: make the node SITE_CHANGE_LEARNER a learner */
    SITE_CANCEL,     /* the change that is under way */
    SITE_TRANSFER,   /* to whom */
    SITE_PEER_DOWN,  /* who */
    SITE_CHECKPOINT, /* what is applied becomes durable */
    SITE_TRIM,       /* up to the checkpoint */
    SITE_FLUSH
};

#define SITE_CHANGE_LEARNER 0x100u

struct site_input {
    enum site_input_kind kind;
    bool delay; /* no flush follows yet */
    uint32_t argument;
};

/* What the checks and the search want to know of a site, in numbers of the vocabulary. */
struct site_view {
    uint8_t id;
    uint8_t role;
    uint8_t term;
    uint8_t commit;
    uint8_t base;
    uint8_t last;
    uint8_t applied;
    uint8_t disk_term;
    uint8_t disk_base;
    uint8_t disk_last;
    uint8_t checkpoint;
    uint8_t checkpoint_term;
    uint8_t checkpoint_config;
    uint8_t checkpoint_config_index;
    uint8_t write_count;
    uint8_t unflushed;
    uint8_t config;           /* effective */
    uint8_t config_committed; /* the newest committed one */
    uint8_t config_index;
    uint8_t match[BOUNDS_NODES_MAX + 1]; /* of a leader's peers, by id; UINT8_MAX: no peer */
    uint8_t entries[SITE_LOG_END];       /* of the log in memory, by index; 0 = not there */
    uint8_t disk_entries[SITE_LOG_END];
};

struct site_read {
    uint8_t token;
    uint8_t ok;
    uint8_t index;
};

struct site_result {
    bool enabled;          /* the input was possible and was not refused */
    bool beyond;           /* it leads out of the bounds */
    const char *violation; /* NULL: none */
    uint8_t message_count;
    uint8_t read_count;
    uint32_t messages[SITE_OUTPUT_MAX]; /* in the order in which they were sent */
    struct site_read reads[SITE_READS_MAX];
};

/* Node `id` at the beginning: started, the first configuration durable on its disk if it is one of
 * its voters. */
void site_begin(struct site_bench *bench, uint8_t id);

/* Load the packed site and give it the input. */
void site_run(struct site_bench *bench,
              struct bytes packed,
              const struct site_input *input,
              struct site_result *ret);

/* Of the site that is loaded. */
struct site_view site_look(const struct site_bench *bench);

/* The member record of a node. */
struct raft_member site_member(uint8_t id, uint8_t flags);

#endif
