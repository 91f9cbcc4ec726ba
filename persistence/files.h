/* Folders and names made durable. A new name survives a power cut only after the folder that holds
 * it was synced; every function here that makes or renames does that. */
#ifndef PERSISTENCE_FILES_H
#define PERSISTENCE_FILES_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    FILES_PATH_BYTES_MAX = 4096,
    /* Room that a path must leave for the names put behind it. */
    FILES_NAME_BYTES_MAX = 320
};

/* What is built there becomes visible under its own name by a rename. */
#define FILES_PART_SUFFIX ".part"

/* `folder` + `name` in `path`. INVALID: too long. */
MUST_CHECK enum status files_join(const char *folder,
                                  const char *name,
                                  char path[FILES_PATH_BYTES_MAX],
                                  struct error *error);
/* Make the folder and all missing parents, mode 0700, durably. OK if it is there. IO. */
MUST_CHECK enum status files_make_folders(const char *path, struct error *error);
/* Make the names in this folder durable. */
MUST_CHECK enum status files_sync_folder(const char *path, struct error *error);
/* Make the names in this folder and those of the folders on the way to it durable: whoever made
 * them may have died before it had synced them. Folders above it that may not be read are left
 * out. */
MUST_CHECK enum status files_sync_way(const char *path, struct error *error);
/* Rename, replacing a file at `to`, and sync the folder of `to`. */
MUST_CHECK enum status files_rename(const char *from, const char *to, struct error *error);
/* Delete the files in a folder that has no subfolders, and with `itself` the folder too. OK if it
 * is not there. */
MUST_CHECK enum status files_empty_folder(const char *path, bool itself, struct error *error);

#endif
