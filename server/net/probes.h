/* Probes: a server asks another one, of whatever cluster or none, who it is; one message each way
 * on a connection of its own. Both ends. Main thread. */
#ifndef NET_PROBES_H
#define NET_PROBES_H

#include "server/net/dial.h"
#include "server/net/peer_link.h"

struct probes;

enum {
    PROBES_INCOMING_MAX = 64,
    PROBES_OUTGOING_MS = 3 * 1000, /* from dialling to the answer */
    PROBES_INCOMING_MS = 10 * 1000
};

struct probes_handler {
    /* Somebody asks; `probe` names it for probes_reply. INVALID: unreadable, it is closed. */
    enum status (*on_probe)(void *context, uint64_t probe, struct bytes message);
    /* The answer to probes_ask. OK with identity and message; else `text` says why not: TIMEOUT,
     * UNAVAILABLE (nobody answers there), MISMATCH, FORMAT (they do not want each other). */
    void (*on_answer)(void *context,
                      uint64_t token,
                      enum status status,
                      const struct handshake_identity *identity,
                      struct bytes message,
                      const char *text);
};

struct probes *probes_new(const struct peer_link_world *world,
                          struct resolver *resolver,
                          const struct probes_handler *handler,
                          void *context);
/* Links must be closed and reported. Questions still open get no answer. NULL is fine. */
void probes_free(struct probes *probes);

/* on_answer comes later, once, within PROBES_OUTGOING_MS. `message` is copied. */
void probes_ask(struct probes *probes, uint64_t token, const char *address, struct bytes message);
/* An accepted link on the PROBE channel that just came up. */
void probes_take(struct probes *probes, struct peer_link *link);
/* Without effect when the asker is gone. */
void probes_reply(struct probes *probes, uint64_t probe, struct bytes message);
void probes_close(struct probes *probes, const char *reason);

#endif
