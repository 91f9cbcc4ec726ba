/* The data folder of one server: who may use it, and what lies in it.
 *
 *     DIR/lock         held with flock for the life of the process
 *     DIR/log/         the Raft log (log_store)
 *     DIR/tree-N/      generation N of the checkpoint (tree_store), `condemned` if it is damaged
 *     DIR/dumps/       dump files being sent or received (dump)
 *
 * One thread at start. */
#ifndef PERSISTENCE_DATA_FOLDER_H
#define PERSISTENCE_DATA_FOLDER_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { DATA_FOLDER_PATH_BYTES_MAX = 4096 };

struct data_folder {
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    int lock; /* -1: of a stopped server that never had one */
};

/* Make the folder if it is missing (mode 0700, parents too) and lock it.
 * LOCKED            another process has it, named by pid in the text.
 * INVALID           the path is too long for the names below it.
 * IO, NO_SPACE      cannot be made, opened or written; the text names path and reason. */
MUST_CHECK enum status
data_folder_open(const char *path, struct data_folder *ret_folder, struct error *error);
/* Keep the folder of a stopped server from being started, and change nothing in it.
 * NOT_FOUND  there is no such folder.
 * LOCKED     a server has it.
 * IO         it cannot be read. */
MUST_CHECK enum status
data_folder_open_stopped(const char *path, struct data_folder *ret_folder, struct error *error);
void data_folder_close(struct data_folder *folder);

/* DIR/log and DIR/tree-GENERATION. */
void data_folder_log_path(const struct data_folder *folder, char path[DATA_FOLDER_PATH_BYTES_MAX]);
void data_folder_tree_path(const struct data_folder *folder,
                           uint64_t generation,
                           char path[DATA_FOLDER_PATH_BYTES_MAX]);
/* DIR/dumps/NAME; makes DIR/dumps. INVALID: NAME is empty, begins with a dot or has a slash. */
MUST_CHECK enum status data_folder_dump_path(const struct data_folder *folder,
                                             const char *name,
                                             char path[DATA_FOLDER_PATH_BYTES_MAX],
                                             struct error *error);

/* The N of a name tree-N; false for any other name. */
bool data_folder_is_tree(const char *name, uint64_t *ret_generation);

/* Make it durable that this generation is not to be served, by a file `condemned` in its folder; it
 * goes with the folder. IO, NO_SPACE. */
MUST_CHECK enum status data_folder_condemn_tree(const struct data_folder *folder,
                                                uint64_t generation,
                                                struct error *error);
bool data_folder_tree_is_condemned(const struct data_folder *folder, uint64_t generation);

/* Delete every tree-N except `generation`, every tree-N.part and everything in dumps/: left over
 * from an interrupted installation. Other names are not touched; those in the folder of
 * `generation` are durable then. IO names what could not be deleted. */
MUST_CHECK enum status
data_folder_sweep(const struct data_folder *folder, uint64_t generation, struct error *error);

/* Bytes that the file system still gives to this user. */
MUST_CHECK enum status
data_folder_free_bytes(const struct data_folder *folder, uint64_t *ret_bytes, struct error *error);

#endif
