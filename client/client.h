/* The handle: what the public calls (confer*.c) need of the loop, and the loop's life. */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "client/client_handle.h"

/* Make a handle on `base`, or with a base of its own (NULL). Nothing runs yet. `servers` is taken,
 * also on failure. NO_MEMORY, SYSTEM. */
MUST_CHECK enum confer_status client_new(struct event_base *base,
                                         struct client_servers *servers,
                                         const struct confer_options *options,
                                         struct confer **ret_confer);
/* Frees a handle that never ran, or whose loop has finished. */
void client_free(struct confer *confer);
/* Put the handle's events on its base. NO_MEMORY. */
MUST_CHECK enum confer_status client_start(struct confer *confer);
/* Runs the handle's own base until it is closed. */
void client_run(struct confer *confer);

/* Hand a request (taken, when accepted) to the loop. A watch gets its id, which is also returned
 * (ret_watch may be NULL): the request may be gone by then. CLOSED. */
MUST_CHECK enum confer_status
client_accept(struct confer *confer, struct client_request *request, uint64_t *ret_watch);
/* Begin to close. Any thread. */
void client_begin_close(struct confer *confer, bool frees_itself);
bool client_is_loop_thread(struct confer *confer);

#endif
