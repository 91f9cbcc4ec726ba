/* Damaging files on purpose: what a dying disk does to them. */
#ifndef TESTS_SUPPORT_DAMAGE_H
#define TESTS_SUPPORT_DAMAGE_H

#include "base/bytes.h"

/* Flip one bit in the middle of every place where the file holds `content`; returns how many. */
size_t damage_flip(const char *path, struct bytes content);
/* Flip one bit of the byte at `offset`. */
void damage_flip_at(const char *path, size_t offset);
size_t damage_file_bytes(const char *path);
void damage_truncate(const char *path, size_t bytes);
/* Overwrite what lies at `offset`, or make the file with it. */
void damage_write(const char *path, size_t offset, struct bytes bytes);
/* The whole file, to be freed. */
uint8_t *damage_read(const char *path, size_t *ret_bytes);

#endif
