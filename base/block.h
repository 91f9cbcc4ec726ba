/* Memory of what comes and goes by the thousand, whose owner knows how large it is: blocks that are
 * left are kept for who asks next, a pile for each size that malloc tells apart.
 *
 * A turn makes a few objects of each kind for every write, and lets go of as many, all of one kind
 * after the other. Of those malloc itself keeps seven by thread and size; the rest it joins with
 * what is free beside, and cuts up again: with blocks a set takes a quarter of the servers' time
 * less, a creation an eighth.
 *
 * Each thread has piles of its own; a block may be left by another thread than took it. */
#ifndef BASE_BLOCK_H
#define BASE_BLOCK_H

#include <stddef.h>

/* Uninitialised, aligned for any type. Exhaustion ends the process. */
void *block_new(size_t bytes) __attribute__((malloc, returns_nonnull, warn_unused_result));
/* `bytes` as they were asked for. NULL is fine. */
void block_free(void *block, size_t bytes);

/* Free what this thread keeps and had no use for since the last call. Called now and then it makes
 * room for the sizes that are in use now, and lets the heap shrink after a flood. */
void block_give_back(void);

#endif
