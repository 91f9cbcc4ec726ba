/* How members that are behind get on, and the change of voters that is under way: gathered by the
 * leader, carried to the others in its reports, shown by the status of all of them. Nothing is
 * decided by it.
 *
 * Main thread. Times are the node's monotonic microseconds. */
#ifndef NODE_PROGRESS_BOARD_H
#define NODE_PROGRESS_BOARD_H

#include "proto/peer.pb-c.h"
#include "server/node/dump_transfer.h"
#include "server/node/membership.h"

enum { PROGRESS_TROUBLE_BYTES = 200, PROGRESS_WAITS_BYTES = 200, PROGRESS_WORD_BYTES = 12 };

struct member_progress {
    raft_id id;
    char progress[PROGRESS_WORD_BYTES]; /* probe, replicate, dump; empty when unknown */
    uint64_t match;
    bool caught_up;
    uint32_t rounds;
    uint64_t dump_bytes; /* 0 = no dump is sent */
    uint64_t dump_bytes_done;
    char trend[PROGRESS_WORD_BYTES]; /* nearer, still, farther; empty when unknown or there */
    char trouble[PROGRESS_TROUBLE_BYTES];
};

/* A change of voters: joint, or asked for and waiting to begin. */
struct change_progress {
    bool exists;
    bool begun;
    raft_id from[RAFT_VOTERS_MAX];
    size_t from_count;
    raft_id to[RAFT_VOTERS_MAX];
    size_t to_count;
    uint64_t since_us; /* as far as this server knows */
    char waits_for[PROGRESS_WAITS_BYTES];
};

struct progress_board {
    raft_id teller; /* the leader who said this, and in which term; 0 = nobody */
    raft_term term;
    size_t count;
    struct member_progress members[RAFT_MEMBERS_MAX];
    struct change_progress change;
    /* What the members lacked at `sampled_us`, in bytes of a dump or in entries. */
    struct {
        raft_id id;
        bool in_dump;
        uint64_t left;
        char trend[PROGRESS_WORD_BYTES];
    } samples[RAFT_MEMBERS_MAX];
    uint64_t sampled_us;
    /* When this server first saw the promotions and the joint configuration there are now. */
    struct {
        raft_id id;
        uint64_t since_us;
    } promotions[RAFT_MEMBERS_MAX];
    bool is_joint;
    uint64_t joint_since_us;
};

/* All zero is a board about nothing. */

/* Look at the configuration in force; once a turn. */
void progress_board_note_config(struct progress_board *board,
                                const struct raft_config *config,
                                uint64_t now_us);
/* Since when the learner is to be promoted; `now_us` if it is not. */
uint64_t
progress_board_promoting_since(const struct progress_board *board, raft_id id, uint64_t now_us);

/* As leader: fill it anew. `is_linked` tells whether there is a connection to a member. */
struct progress_sources {
    const struct raft *raft;
    raft_id self;
    const struct dump_transfer *dumps;
    const struct membership *membership;
    bool (*is_linked)(const void *context, raft_id member);
    const void *context;
};
void progress_board_gather(struct progress_board *board,
                           const struct progress_sources *sources,
                           uint64_t now_us);

/* For packing: lends from the board. */
struct progress_message {
    Peer__MemberProgress members[RAFT_MEMBERS_MAX];
    Peer__MemberProgress *pointers[RAFT_MEMBERS_MAX];
    Peer__ChangeReport change;
};
void progress_board_fill(struct progress_board *board,
                         uint64_t now_us,
                         struct progress_message *message,
                         Peer__NodeReport *report);
/* What a leader says. Texts are cut to their room, numbers taken as they come. */
void progress_board_take(struct progress_board *board,
                         uint64_t now_us,
                         raft_id teller,
                         const Peer__NodeReport *report);

/* NULL if nothing is known from the leader `leader` of `term`. */
const struct member_progress *
progress_board_find(const struct progress_board *board, raft_id leader, raft_term term, raft_id id);

#endif
