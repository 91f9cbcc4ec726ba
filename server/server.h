/* One server, whole: node, disks, network and fronts joined in one loop on the calling thread. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "base/error.h"
#include "server/config.h"

/* Start and serve until SIGTERM or SIGINT asks for an end: the first one hands leadership over,
 * tells the clients and finishes what is under way, a second one ends at once. Other than OK: it
 * could not start, or could not go on; the text names the thing and the way out. */
MUST_CHECK enum status server_run(const struct config *config, struct error *error);

#endif
