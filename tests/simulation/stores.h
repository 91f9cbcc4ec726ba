/* The shipped stores of one server (persistence, joined by server/disks) beneath its modelled disk,
 * in a folder of their own. They do at once what the model decides to have happened: a crash closes
 * them between two of their operations, never inside one. */
#ifndef TESTS_SIMULATION_STORES_H
#define TESTS_SIMULATION_STORES_H

#include "server/disks.h"

struct stores;

/* Told when they fail, or hold something else than the model. */
struct stores_observer {
    void *context;
    void (*on_difference)(void *context, const char *text);
};

/* The folder is made by the first stores_open, below the one of stores_folder. */
struct stores *stores_new(raft_id id, const struct stores_observer *observer);
/* Those of another folder, a copy of this one as it is now, open or not. */
struct stores *stores_copy(const struct stores *stores);
/* With its folder. NULL is fine. */
void stores_free(struct stores *stores);

/* A process begins, and ends: the folder is locked, the log open, leftovers are swept away. */
void stores_open(struct stores *stores);
void stores_close(struct stores *stores);
/* Closed, and marked as an old copy: no process begins on them. */
void stores_must_refuse(const struct stores *stores);

/* While they are open. */
struct disks *stores_disks(const struct stores *stores);
/* All in one transaction; in another one up to `trim_count` entries go that are not after `trim`.
 */
void stores_write(struct stores *stores,
                  const struct log_write *const *writes,
                  size_t count,
                  raft_index trim,
                  size_t trim_count);

/* Any status but OK is a difference. */
void stores_must(const struct stores *stores, enum status status, const struct error *error);
void stores_differ(const struct stores *stores, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Where all folders of this process are: made on the first call, in /dev/shm if that is there. It
 * belongs to the process that made it; children use it as well. */
const char *stores_folder(void);
/* Remove it with all that is in it, if this process made it. */
void stores_remove_folder(void);

#endif
