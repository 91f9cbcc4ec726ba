/* The dump files on one modelled disk, by path. */
#ifndef TESTS_SIMULATION_DUMP_FILES_H
#define TESTS_SIMULATION_DUMP_FILES_H

#include "base/bytes.h"
#include "base/list.h"

struct dump_files {
    struct list list;
};

void dump_files_init(struct dump_files *files);
/* Remove all. */
void dump_files_clear(struct dump_files *files);
/* What it holds, to be read and changed; NULL: there is none. */
struct buffer *dump_files_find(const struct dump_files *files, const char *path);
/* The same, an empty one if there was none. */
struct buffer *dump_files_make(struct dump_files *files, const char *path);
/* Without effect if there is none. */
void dump_files_remove(struct dump_files *files, const char *path);

#endif
