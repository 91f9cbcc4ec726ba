/* The links to all other servers: control links kept up with every member, bulk links on demand,
 * probes.
 *
 * Both ends of a control link dial; when two connections come to be at the same time, the one that
 * was dialled by the lower id is kept, and the other one is emptied and closed without a word. A
 * link whose peer died is reported at once (end of stream), one whose peer fell silent after a few
 * seconds (socket_patience_peer). Main thread; nothing calls back from inside a function here. */
#ifndef NET_PEERS_H
#define NET_PEERS_H

#include "server/net/probes.h"

struct peers;

struct peers_handler {
    /* May this peer connect? As node_admit. */
    bool (*admit)(void *context,
                  const struct handshake_identity *from,
                  Peer__Channel channel,
                  bool knows_our_incarnation,
                  char refusal[ERROR_TEXT_BYTES_MAX]);
    /* Is the data folder of this peer, on a control or bulk link, the one that was seen last? As
     * node_recognize. */
    bool (*recognize)(void *context,
                      const struct handshake_identity *from,
                      char refusal[ERROR_TEXT_BYTES_MAX]);
    /* A peer, proven, says that our own data folder is an old copy. */
    void (*on_superseded)(void *context, uint64_t peer, const char *reason);
    /* A member that should be linked is not, and why: when that changes, and again now and then. */
    void (*on_unreachable)(void *context, uint64_t peer, const char *reason);
    void (*on_up)(void *context, uint64_t peer);
    void (*on_down)(void *context, uint64_t peer);
    /* Other than OK: the link is closed. */
    enum status (*on_message)(void *context, uint64_t peer, struct bytes message);
    /* A bulk link is there, whoever opened it; there is one with each peer, the newest. Down also
     * when peers_bulk_open failed. */
    void (*on_bulk_up)(void *context, uint64_t peer);
    void (*on_bulk_down)(void *context, uint64_t peer);
    enum status (*on_bulk_message)(void *context, uint64_t peer, struct bytes message);
    struct probes_handler probes;
};

struct peers_options {
    struct peer_link_world world; /* copied; what it points to outlives the peers */
    unsigned dial_ms;             /* one attempt, 3 s */
    unsigned backoff_ms_min;      /* 50 ms, doubling */
    unsigned backoff_ms_max;      /* 1 s */
    size_t unnamed_max;           /* peers that are linked and were never named; 32 */
    uint64_t seed;                /* of the jitter */
};

struct peers *peers_new(const struct peers_options *options,
                        struct resolver *resolver,
                        const struct peers_handler *handler,
                        void *context);
/* After peers_close, when all connections are reported. NULL is fine. */
void peers_free(struct peers *peers);
/* Close everything; what is reported of it goes nowhere. */
void peers_close(struct peers *peers, const char *reason);

/* An accepted connection that began with the peer preface. */
void peers_accept(struct peers *peers, struct connection *connection);

struct peers_member {
    uint64_t id;
    const uint8_t *incarnation; /* HANDSHAKE_ID_BYTES */
    const char *address;
};

/* Keep links to these, and close those to peers that were named the last time and are not now. A
 * peer that was never named but admitted keeps its link: a joining server is called by members
 * that its own configuration does not name yet. Everything is copied. */
void peers_set(struct peers *peers, const struct peers_member *members, size_t count);

/* False: dropped, for there is no link or its queue is full. `is_late`: the answers that clients
 * get in this turn may go first. */
bool peers_send(struct peers *peers, uint64_t peer, struct bytes message, bool is_late);
void peers_bulk_open(struct peers *peers, uint64_t peer);
bool peers_bulk_send(struct peers *peers, uint64_t peer, struct bytes message);
/* No on_bulk_down comes. */
void peers_bulk_close(struct peers *peers, uint64_t peer);
void peers_probe(struct peers *peers, uint64_t token, const char *address, struct bytes message);
void peers_probe_reply(struct peers *peers, uint64_t probe, struct bytes message);

bool peers_is_up(const struct peers *peers, uint64_t peer);

#endif
