/* The network between the modelled servers: control links that come and go, bulk links, probes;
 * delay, loss, duplication, reordering, and partitions in one or both directions.
 *
 * A control link is a stream, as TCP: what it carries arrives in order and once, and when something
 * is lost the link breaks. Messages sent as `loose` (those of the core, which must bear anything)
 * may in addition be lost, doubled and overtaken. Places are numbered from 0. */
#ifndef TESTS_SIMULATION_NETWORK_H
#define TESTS_SIMULATION_NETWORK_H

#include "base/list.h"
#include "server/node/node.h"
#include "tests/simulation/timeline.h"

enum { NETWORK_PLACES_MAX = 8 };

struct network;

enum network_arrival_kind {
    NETWORK_UP,
    NETWORK_DOWN,
    NETWORK_MESSAGE,
    NETWORK_BULK_UP,
    NETWORK_BULK_DOWN,
    NETWORK_BULK_MESSAGE,
    NETWORK_PROBE,
    NETWORK_PROBE_ANSWER
};

/* Something for a server. Given away to `deliver`, released with network_arrival_free. */
struct network_arrival {
    struct list link; /* the taker's */
    enum network_arrival_kind kind;
    size_t from;
    uint64_t token; /* of a probe */
    bool ok;        /* PROBE_ANSWER: `message` is the answer */
    size_t size;
    uint8_t message[];
};
void network_arrival_free(struct network_arrival *arrival);

struct network_options {
    uint64_t latency_us;
    bool loose;             /* loose messages are */
    uint64_t loss_permille; /* of loose messages */
    uint64_t duplicate_permille;
    uint64_t reorder_permille;
    bool keeps_old; /* remembers messages for network_replay */
};

struct network_users {
    void *context;
    /* Is there a process that takes connections now? */
    bool (*is_up)(void *context, size_t place);
    /* Would `to` take a connection that `from` opens, expecting this incarnation? */
    bool (*admit)(void *context,
                  size_t from,
                  size_t to,
                  Peer__Channel channel,
                  const uint8_t incarnation[RAFT_INCARNATION_BYTES]);
    void (*deliver)(void *context, size_t to, struct network_arrival *arrival);
    /* A control link breaks: what `from` has said to `to` since then never arrives. */
    void (*lose)(void *context, size_t from, size_t to, uint64_t since_us);
};

struct network *network_new(struct timeline *timeline,
                            uint64_t seed,
                            size_t places,
                            const struct network_options *options,
                            const struct network_users *users);
void network_free(struct network *network);

/* Keep links from `place` to these. */
void network_set_peers(struct network *network,
                       size_t place,
                       const struct node_peer *peers,
                       size_t count);
/* False without a link. */
bool network_send(
    struct network *network, size_t from, size_t to, struct bytes message, bool loose);
void network_bulk_open(struct network *network, size_t from, size_t to);
bool network_bulk_send(struct network *network, size_t from, size_t to, struct bytes message);
void network_bulk_close(struct network *network, size_t from, size_t to);
void network_probe(
    struct network *network, size_t from, size_t to, uint64_t token, struct bytes message);
void network_probe_reply(struct network *network, uint64_t probe, struct bytes message);

/* The process at `place` ended: its links close, at once or (a dead machine) after a while. */
void network_crash(struct network *network, size_t place, bool quietly);
/* The directions in which nothing passes from now on, 0 = everything passes again: a bit for each,
 * network_direction(from, to). */
void network_block(struct network *network, uint64_t directions);
uint64_t network_direction(size_t from, size_t to);
/* The connection is reset: everything under way on it is lost. */
void network_break(struct network *network, size_t left, size_t right);
/* The next message from `from` to `to` arrives damaged. */
void network_corrupt(struct network *network, size_t from, size_t to);
/* Multiply the latency of one direction; 1 = as it was. */
void network_slow(struct network *network, size_t from, size_t to, uint64_t factor);
/* Deliver up to `count` messages of the core again that once were sent between processes that still
 * run, however old; needs `keeps_old`. Drawn by `seed`. */
void network_replay(struct network *network, uint64_t seed, size_t count);
/* From now on nothing is lost, doubled, overtaken or slow. */
void network_calm(struct network *network);

#endif
