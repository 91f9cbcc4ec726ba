/* What a folder holds after a step of a story, and what else a power cut may make of it. */
#ifndef TESTS_POWER_CUT_CONTENTS_H
#define TESTS_POWER_CUT_CONTENTS_H

#include "persistence/log_store.h"
#include "persistence/tree_doubt.h"

enum { CONTENTS_ENTRIES_MAX = 512, CONTENTS_KEYS = 160, CONTENTS_WITNESSES_MAX = 4 };

struct planned {
    raft_term term;
    enum raft_entry_type type;
    uint32_t salt; /* makes the payload */
    uint32_t size;
};

struct value {
    uint32_t salt; /* 0 = no record */
    uint32_t size;
};

struct contents {
    uint64_t starts;
    bool has_cluster;
    uint8_t recovered;  /* so often; makes the incarnation and the cluster's id */
    bool is_superseded; /* no start takes it any more */
    uint64_t generation;
    raft_term term;
    raft_id vote;
    raft_index base;
    raft_term base_term;
    raft_index last;
    struct planned entries[CONTENTS_ENTRIES_MAX]; /* of the indexes after the base */
    /* How far the log trims by itself is its own affair: not below what it was told to drop at
     * once, nor beyond what it was ever told that it may. */
    raft_index base_min;
    raft_index base_max;
    raft_index applied;
    struct value values[CONTENTS_KEYS];
    struct log_witness witnesses[CONTENTS_WITNESSES_MAX];
    size_t witness_count;
    /* Of the present generation. */
    bool is_condemned;
    struct tree_doubt doubt;

    /* The last step that wrote to the log, and whether it did not wait for its meta page. */
    uint64_t log_step;
    bool is_late;
    /* What this step appended before it did anything else. */
    struct planned appended[CONTENTS_ENTRIES_MAX];
    size_t appended_count;
};

/* What an opened folder says of itself, by which it is told how far a step came. */
struct contents_found {
    struct log_state log;
    struct log_witness witnesses[LOG_STORE_WITNESSES_MAX];
    size_t witness_count;
    bool is_condemned;
    struct tree_doubt doubt;
};

bool contents_has_witnesses(const struct contents *contents, const struct contents_found *found);
void contents_drop_front(struct contents *contents, raft_index base);
/* `step` makes this write, among others in one transaction; `contents` hold its entries now, and
 * ended with `last` before. */
void contents_note_write(struct contents *contents,
                         uint64_t step,
                         const struct log_write *write,
                         raft_index last);
/* The step changes the log and waits for the meta page; or only trims. */
void contents_note_log(struct contents *contents, uint64_t step, bool is_late);

/* Of the contents after each step, what a folder that says `found` must hold if `step` was the last
 * one: as that step left them; or, if it was not done, some of what it appended, or some of the
 * doubts that it changed; with as much at the front as it holds. To be freed. */
struct contents *contents_expected(struct contents *const *after,
                                   uint64_t step,
                                   bool is_done,
                                   const struct contents_found *found);

#endif
