#include "tests/simulation/network.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/checksum.h"
#include "proto/frame.h"

#include <stdlib.h>
#include <string.h>

enum {
    DIAL_INTERVAL_US = 60 * 1000,
    PROBE_TIMEOUT_US = 2 * 1000 * 1000,
    QUIET_DEATH_US = 2 * 1000 * 1000,
    /* socket_patience_peer.user_timeout_ms of server/net */
    UNACKNOWLEDGED_US_MAX = 5 * 1000 * 1000,
    SPIKE_FACTOR = 200,
    OLD_MAX = 64
};

/* What is under way to one side. */
struct flight {
    struct list link;
    struct timeline_event event;
    struct network *network;
    size_t to;
    uint64_t epoch; /* of the link it travels on; 0 = of none */
    bool loose;     /* its loss is no loss of the stream */
    uint64_t sent_us;
    struct network_arrival *arrival;
};

/* Between two places; side 0 is the lower place, or the opener of a bulk link. */
struct network_link {
    struct network *network;
    size_t places[2];
    bool is_up;
    uint64_t epoch;
    bool seen_up[2];        /* what each side was told last */
    uint64_t arrival_us[2]; /* of the last message to that side: the next comes later */
    uint64_t lost_us[2]; /* when the first one to that side that is gone was sent; or UINT64_MAX */
    uint64_t opening;    /* bulk: the attempt under way, or the last one */
    struct timeline_event dial;
    struct timeline_event fall; /* something was lost: the stream breaks */
};

struct wish {
    bool wanted;
    uint8_t incarnation[RAFT_INCARNATION_BYTES];
};

struct probe {
    struct list link;
    struct timeline_event timeout;
    struct network *network;
    uint64_t id;
    size_t from;
    size_t to;
    uint64_t token;
};

/* A message of the core that was sent once. */
struct old_message {
    size_t from;
    size_t to;
    uint64_t runs[2]; /* of both processes */
    struct buffer bytes;
};

struct network {
    struct timeline *timeline;
    struct prng prng;
    size_t places;
    struct network_options options;
    struct network_users users;
    uint64_t last_epoch;
    uint64_t last_probe;
    bool blocked[NETWORK_PLACES_MAX][NETWORK_PLACES_MAX];
    bool corrupts[NETWORK_PLACES_MAX][NETWORK_PLACES_MAX];
    uint64_t slowness[NETWORK_PLACES_MAX][NETWORK_PLACES_MAX];
    uint64_t runs[NETWORK_PLACES_MAX]; /* processes that ended there */
    struct old_message old[OLD_MAX];
    uint64_t old_count; /* seen; a fair sample of them is kept */
    struct wish wishes[NETWORK_PLACES_MAX][NETWORK_PLACES_MAX];
    struct network_link links[NETWORK_PLACES_MAX][NETWORK_PLACES_MAX]; /* [lower][higher] */
    struct network_link bulks[NETWORK_PLACES_MAX][NETWORK_PLACES_MAX]; /* [opener][other] */
    struct list flights;
    struct list spare; /* flights that landed: their memory serves the next ones */
    struct list probes;
};

static void dial(struct timeline_event *event);

static struct network_link *find_link(struct network *network, size_t left, size_t right)
{
    return left < right ? &network->links[left][right] : &network->links[right][left];
}

static void plan_dial(struct network_link *link)
{
    if (timeline_due(&link->dial) == UINT64_MAX) {
        timeline_after(link->network->timeline, &link->dial,
                       1 + prng_below(&link->network->prng, DIAL_INTERVAL_US), dial);
    }
}

struct network *network_new(struct timeline *timeline,
                            uint64_t seed,
                            size_t places,
                            const struct network_options *options,
                            const struct network_users *users)
{
    struct network *network = xcalloc(1, sizeof *network);

    CHECK_OP(places, <=, NETWORK_PLACES_MAX);
    network->timeline = timeline;
    prng_init(&network->prng, seed);
    network->places = places;
    network->options = *options;
    network->users = *users;
    list_init(&network->flights);
    list_init(&network->spare);
    list_init(&network->probes);
    for (size_t i = 0; i < places; i++) {
        for (size_t j = 0; j < places; j++) {
            network->slowness[i][j] = 1;
            network->links[i][j].network = network;
            network->links[i][j].places[0] = i;
            network->links[i][j].places[1] = j;
            network->bulks[i][j] = network->links[i][j];
        }
    }
    return network;
}

void network_arrival_free(struct network_arrival *arrival)
{
    free(arrival);
}

static void flight_free(struct flight *flight)
{
    list_remove(&flight->link);
    timeline_cancel(flight->network->timeline, &flight->event);
    network_arrival_free(flight->arrival);
    list_append(&flight->network->spare, &flight->link);
}

void network_free(struct network *network)
{
    LIST_FOR_EACH (link, &network->flights) {
        flight_free(CONTAINER_OF(link, struct flight, link));
    }
    while (!list_is_empty(&network->spare)) {
        free(CONTAINER_OF(list_take_first(&network->spare), struct flight, link));
    }
    LIST_FOR_EACH (link, &network->probes) {
        timeline_cancel(network->timeline, &CONTAINER_OF(link, struct probe, link)->timeout);
        free(CONTAINER_OF(link, struct probe, link));
    }
    for (size_t i = 0; i < network->places; i++) {
        for (size_t j = 0; j < network->places; j++) {
            timeline_cancel(network->timeline, &network->links[i][j].dial);
            timeline_cancel(network->timeline, &network->links[i][j].fall);
            timeline_cancel(network->timeline, &network->bulks[i][j].fall);
        }
    }
    for (size_t i = 0; i < OLD_MAX; i++) {
        buffer_release(&network->old[i].bytes);
    }
    free(network);
}

/* --- Flights --- */

static struct flight *take_flight(struct network *network)
{
    struct flight *flight;

    if (list_is_empty(&network->spare)) {
        return xcalloc(1, sizeof *flight);
    }
    flight = CONTAINER_OF(list_take_first(&network->spare), struct flight, link);
    *flight = (struct flight){.to = 0};
    return flight;
}

static struct flight *flight_new(struct network *network,
                                 enum network_arrival_kind kind,
                                 size_t from,
                                 size_t to,
                                 struct bytes message)
{
    struct flight *flight = take_flight(network);

    flight->network = network;
    flight->to = to;
    flight->arrival = xmalloc(sizeof *flight->arrival + message.size);
    *flight->arrival = (struct network_arrival){.kind = kind, .from = from, .size = message.size};
    list_init(&flight->arrival->link);
    if (message.size > 0) {
        memcpy(flight->arrival->message, message.data, message.size);
    }
    list_append(&network->flights, &flight->link);
    return flight;
}

/* Hand the arrival over and forget the flight. */
static void land(struct flight *flight)
{
    struct network *network = flight->network;
    struct network_arrival *arrival = flight->arrival;
    size_t to = flight->to;

    flight->arrival = NULL;
    flight_free(flight);
    network->users.deliver(network->users.context, to, arrival);
}

static size_t side_of(const struct network_link *link, size_t place)
{
    return link->places[0] == place ? 0 : 1;
}

static void tell(struct network_link *link, enum network_arrival_kind kind, size_t side)
{
    struct network *network = link->network;

    land(flight_new(network, kind, link->places[1 - side], link->places[side], BYTES_EMPTY));
}

static void come_up(struct network_link *link)
{
    link->is_up = true;
    link->epoch = ++link->network->last_epoch;
    for (size_t side = 0; side < 2; side++) {
        link->seen_up[side] = true;
        link->arrival_us[side] = link->network->timeline->now_us;
        link->lost_us[side] = UINT64_MAX;
    }
}

/* --- The falling of links --- */

static void arrive_fall(struct timeline_event *event)
{
    struct flight *flight = CONTAINER_OF(event, struct flight, event);
    struct network *network = flight->network;
    bool is_bulk = flight->arrival->kind == NETWORK_BULK_DOWN;
    size_t from = flight->arrival->from;
    struct network_link *link;

    bool is_stale = is_bulk && flight->arrival->token != 0 &&
                    flight->arrival->token != network->bulks[flight->to][from].opening;

    if (!is_bulk) {
        link = find_link(network, from, flight->to);
        link->seen_up[side_of(link, flight->to)] = false;
        plan_dial(link);
    }
    if (!is_stale && network->users.is_up(network->users.context, flight->to)) {
        land(flight);
    } else {
        flight_free(flight);
    }
}

static void tell_of_fall(struct network_link *link, bool is_bulk, size_t side, uint64_t delay_us)
{
    struct flight *flight = flight_new(link->network, is_bulk ? NETWORK_BULK_DOWN : NETWORK_DOWN,
                                       link->places[1 - side], link->places[side], BYTES_EMPTY);

    /* The opener has one link at a time: what became of the one before is not news to it. */
    if (is_bulk && side == 0) {
        flight->arrival->token = link->opening;
    }
    timeline_after(link->network->timeline, &flight->event, delay_us, arrive_fall);
}

/* What is under way on it now is lost, as what went before; of that to `side`, since when.
 * UINT64_MAX: nothing is. */
static uint64_t lost_since_us(const struct network_link *link, size_t side)
{
    uint64_t since_us = link->lost_us[side];

    LIST_FOR_EACH (at, &link->network->flights) {
        const struct flight *flight = CONTAINER_OF(at, const struct flight, link);

        if (flight->epoch == link->epoch && flight->to == link->places[side] &&
            flight->sent_us < since_us) {
            since_us = flight->sent_us;
        }
    }
    return since_us;
}

static void tell_of_loss(const struct network_link *link)
{
    const struct network_users *users = &link->network->users;

    for (size_t side = 0; side < 2; side++) {
        uint64_t since_us = lost_since_us(link, side);

        if (since_us != UINT64_MAX) {
            users->lose(users->context, link->places[1 - side], link->places[side], since_us);
        }
    }
}

static void take_down(struct network_link *link, bool is_bulk, uint64_t delay_us)
{
    struct network *network = link->network;

    if (!link->is_up) {
        return;
    }
    if (!is_bulk) {
        tell_of_loss(link);
    }
    link->is_up = false;
    link->epoch = 0;
    timeline_cancel(network->timeline, &link->fall);
    for (size_t side = 0; side < 2; side++) {
        if (link->seen_up[side]) {
            if (is_bulk) {
                link->seen_up[side] = false;
            }
            tell_of_fall(link, is_bulk, side, prng_below(&network->prng, delay_us + 1));
        }
    }
}

static bool is_bulk_link(const struct network_link *link)
{
    const struct network *network = link->network;

    return link == &network->bulks[link->places[0]][link->places[1]];
}

static void fall(struct timeline_event *event)
{
    struct network_link *link = CONTAINER_OF(event, struct network_link, fall);

    take_down(link, is_bulk_link(link), 50 * 1000);
}

/* A piece of the stream to `side` is gone. */
static void on_loss(struct network_link *link, size_t side, uint64_t sent_us)
{
    if (sent_us < link->lost_us[side]) {
        link->lost_us[side] = sent_us;
    }
    if (timeline_due(&link->fall) == UINT64_MAX) {
        timeline_after(link->network->timeline, &link->fall,
                       prng_below(&link->network->prng, 1000 * 1000), fall);
    }
}

/* --- Control links --- */

static bool try_dial(struct network *network, size_t from, size_t to)
{
    const struct wish *wish = &network->wishes[from][to];

    return wish->wanted && network->users.is_up(network->users.context, from) &&
           network->users.is_up(network->users.context, to) && !network->blocked[from][to] &&
           !network->blocked[to][from] &&
           network->users.admit(network->users.context, from, to, PEER__CHANNEL__CONTROL,
                                wish->incarnation);
}

static void dial(struct timeline_event *event)
{
    struct network_link *link = CONTAINER_OF(event, struct network_link, dial);
    struct network *network = link->network;
    size_t first = (size_t)prng_below(&network->prng, 2);

    if (link->is_up || (!network->wishes[link->places[0]][link->places[1]].wanted &&
                        !network->wishes[link->places[1]][link->places[0]].wanted)) {
        return;
    }
    if (link->seen_up[0] || link->seen_up[1] ||
        (!try_dial(network, link->places[first], link->places[1 - first]) &&
         !try_dial(network, link->places[1 - first], link->places[first]))) {
        plan_dial(link);
        return;
    }
    come_up(link);
    tell(link, NETWORK_UP, first);
    tell(link, NETWORK_UP, 1 - first);
}

void network_set_peers(struct network *network,
                       size_t place,
                       const struct node_peer *peers,
                       size_t count)
{
    bool wanted[NETWORK_PLACES_MAX] = {false};

    for (size_t i = 0; i < count; i++) {
        size_t other = (size_t)peers[i].id - 1;

        CHECK_OP(other, <, network->places);
        wanted[other] = true;
        network->wishes[place][other].wanted = true;
        memcpy(network->wishes[place][other].incarnation, peers[i].incarnation,
               RAFT_INCARNATION_BYTES);
        plan_dial(find_link(network, place, other));
    }
    for (size_t other = 0; other < network->places; other++) {
        if (!wanted[other] && network->wishes[place][other].wanted) {
            network->wishes[place][other].wanted = false;
            take_down(find_link(network, place, other), false, 1000);
        }
    }
}

static struct network_link *link_of_flight(struct flight *flight)
{
    struct network *network = flight->network;
    size_t from = flight->arrival->from;

    if (flight->arrival->kind == NETWORK_MESSAGE) {
        return find_link(network, from, flight->to);
    }
    return network->bulks[from][flight->to].epoch == flight->epoch
               ? &network->bulks[from][flight->to]
               : &network->bulks[flight->to][from];
}

static void arrive_message(struct timeline_event *event)
{
    struct flight *flight = CONTAINER_OF(event, struct flight, event);
    struct network *network = flight->network;
    struct network_link *link = link_of_flight(flight);

    if (link->epoch != flight->epoch) {
        flight_free(flight);
    } else if (network->blocked[flight->arrival->from][flight->to]) {
        if (!flight->loose) {
            on_loss(link, side_of(link, flight->to), flight->sent_us);
        }
        flight_free(flight);
    } else {
        land(flight);
    }
}

static bool is_accepted(struct bytes frame)
{
    uint32_t body_bytes;
    uint64_t seal;

    return frame_peer_head(frame.data, &body_bytes, &seal) == STATUS_OK &&
           body_bytes <= frame.size - FRAME_PEER_HEAD_BYTES &&
           checksum(bytes_of(frame.data + FRAME_PEER_HEAD_BYTES, body_bytes)) == seal;
}

/* What the receiver makes of a frame, its head included, with one bit flipped. Seals with a key are
 * tested in server/net. */
static void check_corruption(struct network *network, struct bytes message)
{
    struct bytes frame = {.size = FRAME_PEER_HEAD_BYTES + message.size};
    uint8_t *data = xmalloc(frame.size);
    uint64_t bit = prng_below(&network->prng, 8 * frame.size);

    frame.data = data;
    frame_peer_put_head(data, message.size, checksum(message));
    memcpy(data + FRAME_PEER_HEAD_BYTES, message.data, message.size);
    CHECK(is_accepted(frame));
    data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    CHECK(!is_accepted(frame));
    free(data);
}

static void arrive_corrupted(struct timeline_event *event)
{
    struct flight *flight = CONTAINER_OF(event, struct flight, event);
    struct network_link *link = link_of_flight(flight);

    if (link->epoch == flight->epoch) {
        check_corruption(flight->network,
                         bytes_of(flight->arrival->message, flight->arrival->size));
        take_down(link, is_bulk_link(link), 1000);
    }
    flight_free(flight);
}

/* A stream that is so late is given up by its ends. */
static void note_delay(struct network_link *link, uint64_t delay_us)
{
    if (delay_us > UNACKNOWLEDGED_US_MAX && timeline_due(&link->fall) == UINT64_MAX) {
        timeline_after(link->network->timeline, &link->fall, UNACKNOWLEDGED_US_MAX, fall);
    }
}

static void launch(struct network_link *link, struct flight *flight, bool loose)
{
    struct network *network = link->network;
    size_t side = side_of(link, flight->to);
    size_t from = flight->arrival->from;
    uint64_t now_us = network->timeline->now_us;
    uint64_t at_us = now_us + network->slowness[from][flight->to] *
                                  timeline_delay(&network->prng, network->options.latency_us);
    bool is_corrupted = network->corrupts[from][flight->to] && flight->arrival->size > 0;

    flight->epoch = link->epoch;
    flight->loose = loose;
    flight->sent_us = now_us;
    if (loose && timeline_chance(&network->prng, network->options.reorder_permille)) {
        at_us += prng_below(&network->prng, SPIKE_FACTOR * network->options.latency_us);
    } else {
        if (at_us < link->arrival_us[side]) {
            at_us = link->arrival_us[side];
        }
        link->arrival_us[side] = at_us;
        note_delay(link, at_us - now_us);
    }
    if (is_corrupted) {
        network->corrupts[from][flight->to] = false;
    }
    timeline_after(network->timeline, &flight->event, at_us - now_us,
                   is_corrupted ? arrive_corrupted : arrive_message);
}

/* A fair sample of all that was sent (Vitter's algorithm R). */
static void keep_old(struct network *network, size_t from, size_t to, struct bytes message)
{
    uint64_t place = network->old_count < OLD_MAX
                         ? network->old_count
                         : prng_below(&network->prng, network->old_count + 1);
    struct old_message *old;

    network->old_count++;
    if (place >= OLD_MAX) {
        return;
    }
    old = &network->old[place];
    old->from = from;
    old->to = to;
    old->runs[0] = network->runs[from];
    old->runs[1] = network->runs[to];
    buffer_clear(&old->bytes);
    buffer_put(&old->bytes, message);
}

bool network_send(struct network *network, size_t from, size_t to, struct bytes message, bool loose)
{
    struct network_link *link = find_link(network, from, to);
    bool is_loose = loose && network->options.loose;

    if (loose && network->options.keeps_old) {
        keep_old(network, from, to, message);
    }

    if (!link->seen_up[side_of(link, from)]) {
        return false;
    }
    if (!link->is_up) {
        return true; /* into a link that fell already */
    }
    if (is_loose && timeline_chance(&network->prng, network->options.loss_permille)) {
        return true;
    }
    launch(link, flight_new(network, NETWORK_MESSAGE, from, to, message), is_loose);
    if (is_loose && timeline_chance(&network->prng, network->options.duplicate_permille)) {
        launch(link, flight_new(network, NETWORK_MESSAGE, from, to, message), true);
    }
    return true;
}

/* --- Bulk links --- */

static void finish_bulk_open(struct timeline_event *event)
{
    struct flight *flight = CONTAINER_OF(event, struct flight, event);
    struct network *network = flight->network;
    size_t opener = flight->to;
    size_t other = flight->arrival->from;
    struct network_link *link = &network->bulks[opener][other];

    if (!network->users.is_up(network->users.context, opener) ||
        flight->arrival->token != link->opening) {
        flight_free(flight);
        return;
    }
    if (network->users.is_up(network->users.context, other) && !link->is_up &&
        !network->blocked[opener][other] && !network->blocked[other][opener] &&
        network->users.admit(network->users.context, opener, other, PEER__CHANNEL__BULK,
                             network->wishes[opener][other].incarnation)) {
        come_up(link);
    } else {
        flight->arrival->kind = NETWORK_BULK_DOWN;
    }
    land(flight);
}

void network_bulk_open(struct network *network, size_t from, size_t to)
{
    struct flight *flight = flight_new(network, NETWORK_BULK_UP, to, from, BYTES_EMPTY);

    flight->arrival->token = ++network->bulks[from][to].opening;
    timeline_after(network->timeline, &flight->event,
                   4 * timeline_delay(&network->prng, network->options.latency_us),
                   finish_bulk_open);
}

bool network_bulk_send(struct network *network, size_t from, size_t to, struct bytes message)
{
    struct network_link *link = &network->bulks[from][to];

    if (!link->is_up) {
        link = &network->bulks[to][from];
    }
    if (!link->is_up) {
        return false;
    }
    launch(link, flight_new(network, NETWORK_BULK_MESSAGE, from, to, message), false);
    return true;
}

void network_bulk_close(struct network *network, size_t from, size_t to)
{
    struct network_link *link = &network->bulks[from][to];

    link->opening++; /* an attempt under way comes to nothing */
    if (!link->is_up) {
        link = &network->bulks[to][from];
    }
    if (link->is_up) {
        link->seen_up[side_of(link, from)] = false; /* who closes is not told */
        take_down(link, true, 1000);
    }
}

/* --- Probes --- */

static void arrive_answer(struct timeline_event *event)
{
    struct flight *flight = CONTAINER_OF(event, struct flight, event);
    struct network *network = flight->network;

    if (network->users.is_up(network->users.context, flight->to)) {
        land(flight);
    } else {
        flight_free(flight);
    }
}

static void end_probe(struct probe *probe, bool ok, struct bytes message)
{
    struct network *network = probe->network;
    struct flight *flight =
        flight_new(network, NETWORK_PROBE_ANSWER, probe->to, probe->from, message);

    flight->arrival->token = probe->token;
    flight->arrival->ok = ok;
    list_remove(&probe->link);
    timeline_cancel(network->timeline, &probe->timeout);
    free(probe);
    timeline_after(network->timeline, &flight->event,
                   timeline_delay(&network->prng, network->options.latency_us), arrive_answer);
}

static void time_out_probe(struct timeline_event *event)
{
    end_probe(CONTAINER_OF(event, struct probe, timeout), false, BYTES_EMPTY);
}

static void arrive_probe(struct timeline_event *event)
{
    struct flight *flight = CONTAINER_OF(event, struct flight, event);
    struct network *network = flight->network;
    size_t from = flight->arrival->from;

    if (network->users.is_up(network->users.context, flight->to) &&
        !network->blocked[from][flight->to]) {
        land(flight);
    } else {
        flight_free(flight);
    }
}

void network_probe(
    struct network *network, size_t from, size_t to, uint64_t token, struct bytes message)
{
    struct probe *probe = xcalloc(1, sizeof *probe);
    struct flight *flight = flight_new(network, NETWORK_PROBE, from, to, message);

    probe->network = network;
    probe->id = ++network->last_probe;
    probe->from = from;
    probe->to = to;
    probe->token = token;
    list_append(&network->probes, &probe->link);
    timeline_after(network->timeline, &probe->timeout, PROBE_TIMEOUT_US, time_out_probe);
    flight->arrival->token = probe->id;
    timeline_after(network->timeline, &flight->event,
                   2 * timeline_delay(&network->prng, network->options.latency_us), arrive_probe);
}

void network_probe_reply(struct network *network, uint64_t probe_id, struct bytes message)
{
    LIST_FOR_EACH (link, &network->probes) {
        struct probe *probe = CONTAINER_OF(link, struct probe, link);

        if (probe->id == probe_id && !network->blocked[probe->to][probe->from]) {
            end_probe(probe, true, message);
            return;
        }
    }
}

/* --- Faults --- */

void network_crash(struct network *network, size_t place, bool quietly)
{
    uint64_t delay_us = quietly ? QUIET_DEATH_US : 1000;

    network->runs[place]++;
    for (size_t other = 0; other < network->places; other++) {
        struct network_link *link = find_link(network, place, other);

        network->wishes[place][other].wanted = false;
        if (other == place) {
            continue;
        }
        link->seen_up[side_of(link, place)] = false;
        take_down(link, false, delay_us);
        network->bulks[place][other].seen_up[0] = false;
        take_down(&network->bulks[place][other], true, delay_us);
        network->bulks[other][place].seen_up[1] = false;
        take_down(&network->bulks[other][place], true, delay_us);
        plan_dial(link);
    }
    /* What was on its way to the process, or would be told to it. */
    LIST_FOR_EACH (link, &network->flights) {
        struct flight *flight = CONTAINER_OF(link, struct flight, link);

        if (flight->to == place && flight->arrival->kind != NETWORK_PROBE) {
            flight_free(flight);
        }
    }
    LIST_FOR_EACH (link, &network->probes) {
        struct probe *probe = CONTAINER_OF(link, struct probe, link);

        if (probe->from == place) {
            list_remove(&probe->link);
            timeline_cancel(network->timeline, &probe->timeout);
            free(probe);
        }
    }
}

uint64_t network_direction(size_t from, size_t to)
{
    return UINT64_C(1) << (from * NETWORK_PLACES_MAX + to);
}

void network_block(struct network *network, uint64_t directions)
{
    for (size_t from = 0; from < network->places; from++) {
        for (size_t to = 0; to < network->places; to++) {
            network->blocked[from][to] = (directions & network_direction(from, to)) != 0;
        }
    }
}

void network_break(struct network *network, size_t left, size_t right)
{
    take_down(find_link(network, left, right), false, 10 * 1000);
}

void network_corrupt(struct network *network, size_t from, size_t to)
{
    network->corrupts[from][to] = true;
}

void network_slow(struct network *network, size_t from, size_t to, uint64_t factor)
{
    network->slowness[from][to] = factor;
}

static void arrive_old(struct timeline_event *event)
{
    struct flight *flight = CONTAINER_OF(event, struct flight, event);
    struct network *network = flight->network;
    const struct network_link *link = find_link(network, flight->arrival->from, flight->to);

    if (link->is_up && link->seen_up[side_of(link, flight->to)]) {
        land(flight);
    } else {
        flight_free(flight);
    }
}

void network_replay(struct network *network, uint64_t seed, size_t count)
{
    struct prng prng;
    uint64_t kept = network->old_count < OLD_MAX ? network->old_count : OLD_MAX;

    prng_init(&prng, seed);
    for (size_t i = 0; i < count && kept > 0; i++) {
        const struct old_message *old = &network->old[prng_below(&prng, kept)];

        if (old->runs[0] == network->runs[old->from] && old->runs[1] == network->runs[old->to]) {
            struct flight *flight =
                flight_new(network, NETWORK_MESSAGE, old->from, old->to, buffer_lend(&old->bytes));

            timeline_after(network->timeline, &flight->event,
                           1 + prng_below(&prng, 2 * network->options.latency_us), arrive_old);
        }
    }
}

void network_calm(struct network *network)
{
    network->options.loose = false;
    network_block(network, 0);
    memset(network->corrupts, 0, sizeof network->corrupts);
    for (size_t from = 0; from < network->places; from++) {
        for (size_t to = 0; to < network->places; to++) {
            network->slowness[from][to] = 1;
        }
    }
}
