/* What must not be forgotten of a generation of the checkpoint while members differ: empty files in
 * its folder, which go with it.
 *
 *     TREE/borrowed      the state is that of another member, whom no majority confirmed
 *     TREE/differs-M     member M has another one, and no majority said who is wrong
 *
 * Any thread. */
#ifndef PERSISTENCE_TREE_DOUBT_H
#define PERSISTENCE_TREE_DOUBT_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TREE_DOUBT_MEMBERS_MAX = 31 };

struct tree_doubt {
    bool is_borrowed;
    size_t count;
    uint64_t members[TREE_DOUBT_MEMBERS_MAX]; /* in any order */
};

bool tree_doubt_is_same(const struct tree_doubt *left, const struct tree_doubt *right);
/* Make it durable, in the place of what there was; a power cut on the way leaves no less than what
 * both have in common. IO, NO_SPACE. */
MUST_CHECK enum status
tree_doubt_write(const char *tree_path, const struct tree_doubt *doubt, struct error *error);
/* Other names are passed over, and members beyond TREE_DOUBT_MEMBERS_MAX; without a folder there is
 * no doubt. IO. */
MUST_CHECK enum status
tree_doubt_read(const char *tree_path, struct tree_doubt *ret_doubt, struct error *error);

#endif
