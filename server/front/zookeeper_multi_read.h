/* multiRead: many reads in one request, each of which succeeds or fails for itself. One request may
 * hold forty thousand, or lists of wide nodes, so it is done in pieces; each read is of the state
 * as it is then. Main thread. */
#ifndef FRONT_ZOOKEEPER_MULTI_READ_H
#define FRONT_ZOOKEEPER_MULTI_READ_H

#include "server/front/zookeeper_decode.h"
#include "server/node/node.h"

/* How far one has come. Zeroed: not begun. */
struct zookeeper_multi_read {
    bool is_begun;
    bool is_done;
    struct reader reader;
    struct buffer output;  /* what goes behind the answer's header */
    enum jute_error error; /* once it is done; with it, the output counts for nothing */
    const char *trouble;   /* the connection must be closed, and why; NULL = fine */
};

/* Go on until it is done or the time is up (clock_monotonic_us), by at least one read. */
void zookeeper_multi_read_go_on(struct zookeeper_multi_read *reading,
                                const struct client *client,
                                const struct zookeeper_details *details,
                                uint64_t end_us);
/* Back to zero. */
void zookeeper_multi_read_reset(struct zookeeper_multi_read *reading);

#endif
