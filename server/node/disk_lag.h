/* How far the own log's disk is behind the disks of the others: the time since they committed, by
 * their disks alone, what is not durable here. A leader answers nobody before its own disk holds an
 * entry, so such a lag is what every client waits for, and another leader would spare it.
 *
 * A disk that is as slow as all others has no lag, however slow it is. Pure; times are microseconds
 * of any monotonic clock. */
#ifndef NODE_DISK_LAG_H
#define NODE_DISK_LAG_H

#include "raft/raft.h"

enum {
    DISK_LAG_CALM_US = 10 * 1000 * 1000, /* without a long lag: the disk is no longer called slow */
    DISK_LAG_MEMORY_US = 120 * 1000 * 1000, /* a move older than this counts no more */
    DISK_LAG_DOUBLINGS_MAX = 6              /* of the patience, for moves not so old */
};

/* All zero is a disk that nothing is known of. */
struct disk_lag {
    raft_index awaited; /* committed without this disk at `awaited_us`; 0 = none */
    uint64_t awaited_us;
    uint64_t longest_us; /* since the disk is called slow */
    uint64_t slow_until_us;
    bool is_slow;
    uint32_t moves; /* of leadership away from here for the lag */
    uint64_t moved_us;
};

enum disk_lag_event { DISK_LAG_SAME, DISK_LAG_BECAME_SLOW, DISK_LAG_RECOVERED };

/* Once a turn: what is committed, and durable here. A lag of more than `limit_us` makes the disk
 * slow. */
enum disk_lag_event disk_lag_observe(struct disk_lag *lag,
                                     uint64_t now_us,
                                     uint64_t limit_us,
                                     raft_index commit,
                                     raft_index durable);
/* The present lag; 0 = none. */
uint64_t disk_lag_us(const struct disk_lag *lag, uint64_t now_us);
/* Should a leader with this disk give its place away? After a lag of `limit_us`; of twice that
 * after one move, and so on, so that disks that stall in turns do not pass leadership round and
 * round. */
bool disk_lag_calls_for_move(const struct disk_lag *lag, uint64_t now_us, uint64_t limit_us);
/* Leadership has left this server for its lag. */
void disk_lag_moved(struct disk_lag *lag, uint64_t now_us);
/* When to look again at the latest, if nothing happens before. */
uint64_t disk_lag_deadline(const struct disk_lag *lag, uint64_t now_us, uint64_t limit_us);

#endif
