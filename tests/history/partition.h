/* A history cut into parts that do not touch each other, each of which is linearizable alone if and
 * only if the whole is (Herlihy and Wing, locality): mostly one node; a parent with its children
 * where lists, sequence numbers, or its own coming and going tie them together; all nodes of a
 * transaction. The end of a session is an action of every part that holds its ephemerals, tied to
 * what the session did elsewhere by times and zxids alone. */
#ifndef TESTS_HISTORY_PARTITION_H
#define TESTS_HISTORY_PARTITION_H

#include "tests/history/history.h"

#define PARTITION_NO_SESSION SIZE_MAX

struct part_action {
    const struct history_call *call; /* NULL: the session ends */
    uint64_t session;
    size_t session_number; /* among the part's sessions; PARTITION_NO_SESSION */
    uint64_t invoked;
    uint64_t returned; /* HISTORY_NEVER: stays open */
    bool must;         /* it took effect; else perhaps */
    uint64_t zxid;     /* at which it did; 0 = not known */
    uint64_t after;    /* the end of a session: its last write known was at this zxid */
    size_t unnamed;    /* the first of the slots for the nodes that it makes under names unknown */
};

struct part {
    history_path *paths;
    size_t path_count;
    size_t unnamed_count;
    struct part_action *actions; /* in the order in which they were invoked */
    size_t action_count;
    size_t session_count;
};

struct partition {
    struct part *parts;
    size_t part_count;
    struct arena arena;
};

/* Reads that are not linearizable, and calls surely without effect, are in no part. An unknown
 * write counts as one that took effect when somebody saw its value. Lends from `history`. */
void partition_init(struct partition *partition, const struct history *history);
void partition_release(struct partition *partition);

#endif
