/* The tree as it must behave, for the nodes of one part: what each operation does and answers. It
 * can be taken back step by step, and has a hash of 128 bits of what it holds now. */
#ifndef TESTS_HISTORY_MODEL_H
#define TESTS_HISTORY_MODEL_H

#include "tests/history/partition.h"

struct model_hash {
    uint64_t low;
    uint64_t high;
};

struct model_node {
    bool exists;
    uint64_t value;
    int32_t version;
    uint64_t czxid; /* 0 = not known, mzxid too */
    uint64_t mzxid;
    uint64_t owner;
    uint32_t sequence; /* of the next child */
    uint32_t child_count;
};

struct model_change;

struct model {
    const struct history *history;
    const struct part *part;
    struct model_node *nodes; /* by slot: the part's paths, then the unnamed ones */
    size_t *parents;          /* slots; MODEL_NO_SLOT */
    size_t slot_count;
    size_t *slots; /* by path; MODEL_NO_SLOT */
    bool *ended;   /* by session of the part */
    uint64_t zxid; /* the highest so far */
    struct model_hash hash;
    struct model_change *changes; /* to take back */
    size_t change_count;
    size_t change_capacity;
};

#define MODEL_NO_SLOT SIZE_MAX

/* At the beginning: the root, and what effects with zxid 0 created. */
void model_init(struct model *model, const struct history *history, const struct part *part);
void model_release(struct model *model);

/* Let the action happen now. False, and nothing changed, if it cannot have given its answer now. */
bool model_apply(struct model *model, const struct part_action *action);
/* Take back everything since model_mark gave `mark`. */
size_t model_mark(const struct model *model);
void model_undo(struct model *model, size_t mark);

/* What is there now at the first path of `call`, for a person; appended to `text`. */
void model_describe(const struct model *model,
                    const struct history_call *call,
                    struct buffer *text);

#endif
