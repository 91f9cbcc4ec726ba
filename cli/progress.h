/* How members catch up, in words, for all commands that tell it. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <confer.h>

#include <stdbool.h>
#include <stddef.h>

enum { PROGRESS_TEXT_BYTES = 512 };

/* The member with this id, or NULL. */
const struct confer_member *progress_find(const struct confer_cluster *cluster, uint64_t id);
/* The newest entry that anybody answered for. */
uint64_t progress_newest(const struct confer_cluster *cluster);
/* How many entries the member has yet to get. */
uint64_t progress_lag(const struct confer_cluster *cluster, const struct confer_member *member);
/* "1200 entries behind, gets nearer", "dump: 12.3 of 40.0 MiB; ..." */
void progress_describe(const struct confer_cluster *cluster,
                       const struct confer_member *member,
                       char text[PROGRESS_TEXT_BYTES]);
/* Ids as "1,2,3". */
void progress_list(const uint64_t *ids, size_t count, char text[PROGRESS_TEXT_BYTES]);

#endif
