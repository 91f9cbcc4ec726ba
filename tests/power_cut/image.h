/* What a power cut may leave of what is on the tape.
 *
 * Rules, as bad as POSIX and the disks allow: what was synced is there. Of what was written and not
 * synced each sector of 512 bytes survives or not by itself, in any of the states that it had since
 * the last sync; so does the length of a file. A name made, changed or removed survives or not
 * until its folder was synced; syncing a file makes its contents durable, not its name. A rename is
 * all or nothing. */
#ifndef TESTS_POWER_CUT_IMAGE_H
#define TESTS_POWER_CUT_IMAGE_H

#include "tests/power_cut/tape.h"

struct image;

/* Before the first event of the tape. `seed` decides what failed syncs left. */
struct image *image_new(uint64_t seed);
void image_free(struct image *image);
/* Go on with the tape up to `count` events; never back. */
void image_advance(struct image *image, size_t count);
/* The last step that was done by then, and the last that was begun. */
uint64_t image_done(const struct image *image);
uint64_t image_begun(const struct image *image);
/* Write what `seed` lets survive into `folder`, which must not exist. IMAGE_WHOLE: everything. */
#define IMAGE_WHOLE UINT64_MAX
void image_write(const struct image *image, uint64_t seed, const char *folder);

#endif
