/* A network that is the test's alone: a namespace for each server and one for the clients, joined
 * by a bridge in a namespace of this process, from where the test itself reaches every server
 * whatever the rules say. Nothing of it has a name outside, and all of it ends with the process.
 *
 * Faults are rules of a place, kept by its own kernel filter (nftables) and queue (tc). Main thread
 * only. */
#ifndef TESTS_CHAOS_NETWORK_H
#define TESTS_CHAOS_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

enum {
    NETWORK_CLIENTS = 0, /* the place where the clients are; servers' places are their ids */
    NETWORK_SERVERS_MAX = 9,
    NETWORK_PORT = 7000, /* of every server */
    NETWORK_LAUNCHER_WORDS = 2
};

struct network_faults {
    uint32_t cut;               /* what comes from these places (1 << place) is dropped */
    uint32_t reset;             /* what comes from them for a server is answered by a reset */
    unsigned loss_percent;      /* of what comes from other places */
    unsigned duplicate_percent; /* of what leaves */
    unsigned rate_kbit;         /* of what leaves; 0 = no limit */
};

/* Make it. False: this machine does not let us, or lacks a tool; stderr tells which. Call it while
 * the process has one thread. */
bool network_open(unsigned server_count);
/* "ADDRESS:PORT", valid until the process ends. */
const char *network_address(unsigned server);
/* Words that start a program in a server's place, NULL at the end, valid as above. */
const char *const *network_launcher(unsigned server);
/* From here on this thread, and those that it starts, are where the clients are; and back. */
void network_enter_clients(void);
void network_leave_clients(void);

/* The rules of a place, instead of those before. All zero: none. */
void network_set_faults(unsigned place, const struct network_faults *faults);

#endif
