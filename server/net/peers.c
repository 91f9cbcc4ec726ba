#include "server/net/peers.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/prng.h"

#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* Two links that came up within this time are the two ends dialling at once. */
    RACE_US = 5 * 1000 * 1000,
    /* A link of which nothing was heard for longer may be dead without our knowing. */
    STALE_US = 1000 * 1000,
    /* A link that lasted longer than this was a good one: dial anew at once. */
    GOOD_US = 1000 * 1000,
    LOG_INTERVAL_US = 30 * 1000 * 1000
};

#define ALREADY_CONNECTED "a link dialled by the lower id is there already"

struct peer {
    struct list link;
    struct peers *peers;
    uint64_t id;
    uint8_t incarnation[HANDSHAKE_ID_BYTES];
    char address[ADDRESS_TEXT_BYTES_MAX];
    bool wanted;
    /* Control: the link in use; an attempt under way. */
    struct peer_link *control;
    uint64_t control_since_us;
    struct dial *dial;
    struct peer_link *dialling;
    unsigned backoff_ms;
    struct event timer;
    char failure[CONNECTION_REASON_BYTES_MAX];
    uint64_t failure_logged_us;
    /* Bulk: the same. */
    struct peer_link *bulk;
    struct dial *bulk_dial;
    struct peer_link *bulk_dialling;
};

struct peers {
    struct peers_options options;
    struct resolver *resolver;
    const struct peers_handler *handler;
    void *context;
    struct probes *probes;
    struct prng prng;
    struct list all;
    bool closing;
    uint64_t refusal_logged_us;
    uint64_t refusals_unlogged;
};

static struct peer *find(const struct peers *peers, uint64_t id)
{
    LIST_FOR_EACH (link, &peers->all) {
        struct peer *peer = CONTAINER_OF(link, struct peer, link);

        if (peer->id == id) {
            return peer;
        }
    }
    return NULL;
}

static void on_redial(evutil_socket_t socket, short events, void *context);

static struct peer *find_or_make(struct peers *peers, uint64_t id)
{
    struct peer *peer = find(peers, id);

    if (peer == NULL) {
        peer = xcalloc(1, sizeof *peer);
        peer->peers = peers;
        peer->id = id;
        peer->backoff_ms = peers->options.backoff_ms_min;
        CHECK(event_assign(&peer->timer, peers->options.world.loop->base, -1, 0, on_redial, peer) ==
              0);
        list_append(&peers->all, &peer->link);
    }
    return peer;
}

/* Forget a peer that nobody wants and nothing holds. */
static void release_if_unused(struct peer *peer)
{
    if (peer->wanted || peer->control != NULL || peer->dialling != NULL || peer->bulk != NULL ||
        peer->bulk_dialling != NULL || peer->dial != NULL || peer->bulk_dial != NULL) {
        return;
    }
    (void)event_del(&peer->timer);
    list_remove(&peer->link);
    free(peer);
}

/* --- Dialling --- */

static void redial_after(struct peer *peer, unsigned ms)
{
    struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

    if (peer->wanted && peer->control == NULL && peer->dial == NULL && peer->dialling == NULL) {
        CHECK(event_add(&peer->timer, &wait) == 0);
    }
}

/* Double the pause, with jitter so that servers that start together do not stay in step. */
static void back_off(struct peer *peer)
{
    unsigned ms = peer->backoff_ms;
    unsigned max = peer->peers->options.backoff_ms_max;

    peer->backoff_ms = ms * 2 < max ? ms * 2 : max;
    redial_after(peer, (unsigned)prng_between(&peer->peers->prng, ms / 2, ms));
}

/* Said once, and again when it changes or after half a minute. */
static void note_failure(struct peer *peer, const char *reason)
{
    uint64_t now_us = clock_monotonic_us();

    if (strncmp(peer->failure, reason, sizeof peer->failure - 1) == 0 &&
        now_us - peer->failure_logged_us < LOG_INTERVAL_US) {
        return;
    }
    (void)snprintf(peer->failure, sizeof peer->failure, "%s", reason);
    peer->failure_logged_us = now_us;
    log_event(LOG_LEVEL_WARN, "peer_unreachable", "peer=%" PRIu64 " address=%s reason=%s", peer->id,
              peer->address, log_quote(reason));
    peer->peers->handler->on_unreachable(peer->peers->context, peer->id, reason);
}

static const struct peer_link_handler link_handler;

static struct peer_link *
dial_link(struct peer *peer, Peer__Channel channel, int socket, const struct socket_address *remote)
{
    const struct handshake_target target = {.id = peer->id, .incarnation = peer->incarnation};

    return peer_link_dial(&peer->peers->options.world, socket, remote, channel, &target,
                          &link_handler, peer->peers);
}

static void
on_dialled(void *context, int socket, const struct socket_address *remote, const char *reason)
{
    struct peer *peer = context;

    peer->dial = NULL;
    if (socket < 0) {
        note_failure(peer, reason);
        back_off(peer);
        return;
    }
    peer->dialling = dial_link(peer, PEER__CHANNEL__CONTROL, socket, remote);
}

static void on_redial(evutil_socket_t socket, short events, void *context)
{
    struct peer *peer = context;

    (void)socket;
    (void)events;
    if (peer->wanted && peer->control == NULL && peer->dial == NULL && peer->dialling == NULL) {
        peer->dial = dial_start(peer->peers->options.world.loop->base, peer->peers->resolver,
                                peer->address, peer->peers->options.dial_ms, on_dialled, peer);
    }
}

/* --- Control links coming up and going down --- */

static void report_down(struct peer *peer, const char *reason)
{
    log_event(LOG_LEVEL_INFO, "peer_down", "peer=%" PRIu64 " reason=%s", peer->id,
              log_quote(reason));
    if (!peer->peers->closing) {
        peer->peers->handler->on_down(peer->peers->context, peer->id);
    }
}

static void take_control(struct peer *peer, struct peer_link *link, bool report)
{
    char remote[ADDRESS_TEXT_BYTES_MAX];

    peer->control = link;
    peer->control_since_us = clock_monotonic_us();
    peer->failure[0] = '\0';
    (void)event_del(&peer->timer);
    if (!report) {
        return;
    }
    socket_address_text(peer_link_remote(link), remote);
    log_event(LOG_LEVEL_INFO, "peer_up", "peer=%" PRIu64 " remote=%s dialled=%s", peer->id, remote,
              peer_link_is_dialled(link) ? "yes" : "no");
    peer->peers->handler->on_up(peer->peers->context, peer->id);
}

/* Both ends dialled at the same time and both connections came up. Each end sees the same two and
 * must keep the same one, though it may see them come in another order. */
static bool is_race(const struct peer *peer, const struct peer_link *fresh)
{
    return peer_link_is_up(peer->control) &&
           peer_link_is_dialled(peer->control) != peer_link_is_dialled(fresh) &&
           clock_monotonic_us() - peer->control_since_us < RACE_US;
}

/* The dialler is the end with the lower id. */
static bool is_dialled_by_lower(const struct peer *peer, const struct peer_link *link)
{
    const struct peer_link_world *world = &peer->peers->options.world;
    uint64_t self = world->self(world->self_context).id;

    return peer_link_is_dialled(link) == (self < peer->id);
}

static void control_up(struct peer *peer, struct peer_link *link)
{
    struct peer_link *old = peer->control;

    if (old == NULL) {
        take_control(peer, link, true);
    } else if (!is_race(peer, link)) {
        /* The other end gave the old one up, or started anew. */
        peer->control = NULL;
        peer_link_close(old, "replaced by a new link");
        report_down(peer, "replaced by a new link");
        take_control(peer, link, true);
    } else if (is_dialled_by_lower(peer, link)) {
        peer_link_retire(old);
        take_control(peer, link, false);
    } else {
        peer_link_retire(link);
    }
}

static void control_down(struct peer *peer, const char *reason)
{
    uint64_t lasted_us = clock_monotonic_us() - peer->control_since_us;

    peer->control = NULL;
    report_down(peer, reason);
    if (lasted_us >= GOOD_US) {
        peer->backoff_ms = peer->peers->options.backoff_ms_min;
    }
    back_off(peer);
}

/* --- Bulk links --- */

static void drop_bulk(struct peer *peer)
{
    struct peer_link *bulk = peer->bulk;
    struct peer_link *dialling = peer->bulk_dialling;

    dial_cancel(peer->bulk_dial);
    peer->bulk_dial = NULL;
    peer->bulk = NULL;
    peer->bulk_dialling = NULL;
    if (bulk != NULL) {
        peer_link_close(bulk, "the bulk link is not needed any more");
    }
    if (dialling != NULL) {
        peer_link_close(dialling, "the bulk link is not needed any more");
    }
}

static void bulk_failed(struct peer *peer, const char *reason)
{
    log_event(LOG_LEVEL_INFO, "bulk_down", "peer=%" PRIu64 " reason=%s", peer->id,
              log_quote(reason));
    if (!peer->peers->closing) {
        peer->peers->handler->on_bulk_down(peer->peers->context, peer->id);
    }
}

static void bulk_up(struct peer *peer, struct peer_link *link)
{
    struct peer_link *old = peer->bulk;

    peer->bulk = link;
    if (old != NULL) {
        peer_link_close(old, "replaced by a new link");
        bulk_failed(peer, "replaced by a new link");
    }
    peer->peers->handler->on_bulk_up(peer->peers->context, peer->id);
}

static void
on_bulk_dialled(void *context, int socket, const struct socket_address *remote, const char *reason)
{
    struct peer *peer = context;

    peer->bulk_dial = NULL;
    if (socket < 0) {
        bulk_failed(peer, reason);
        release_if_unused(peer);
        return;
    }
    peer->bulk_dialling = dial_link(peer, PEER__CHANNEL__BULK, socket, remote);
}

/* --- What the links report --- */

/* The lower end's link is kept when both dialled; a dialler with the higher id is told so, unless
 * the link that is there may be dead. */
static bool is_connected_already(const struct peer *peer)
{
    return peer != NULL && peer->control != NULL && peer_link_is_up(peer->control) &&
           peer_link_is_dialled(peer->control) && is_dialled_by_lower(peer, peer->control) &&
           clock_monotonic_us() - peer_link_heard_us(peer->control) < STALE_US;
}

/* A server that joins is called by members that it does not know yet, and those are few; whoever
 * proves the secret under ever new ids must not be remembered under all of them. */
static bool has_room_for(const struct peers *peers, uint64_t id)
{
    size_t unnamed = 0;

    if (find(peers, id) != NULL) {
        return true;
    }
    LIST_FOR_EACH (link, &peers->all) {
        unnamed += !CONTAINER_OF(link, struct peer, link)->wanted;
    }
    return unnamed < peers->options.unnamed_max;
}

static enum handshake_verdict
admit(void *context, struct peer_link *link, char refusal[ERROR_TEXT_BYTES_MAX])
{
    struct peers *peers = context;
    const struct handshake *handshake = peer_link_handshake(link);

    if (peers->closing) {
        (void)snprintf(refusal, ERROR_TEXT_BYTES_MAX, "this server is stopping");
        return HANDSHAKE_REFUSED;
    }
    if (!handshake->dials &&
        !peers->handler->admit(peers->context, &handshake->peer, handshake->channel,
                               handshake_knows_our_incarnation(handshake), refusal)) {
        return HANDSHAKE_REFUSED;
    }
    if (handshake->channel != PEER__CHANNEL__PROBE &&
        !peers->handler->recognize(peers->context, &handshake->peer, refusal)) {
        return HANDSHAKE_SUPERSEDED;
    }
    if (!handshake->dials && handshake->channel != PEER__CHANNEL__PROBE &&
        !has_room_for(peers, handshake->peer.id)) {
        (void)snprintf(refusal, ERROR_TEXT_BYTES_MAX,
                       "too many servers that are not in its configuration are linked already");
        return HANDSHAKE_REFUSED;
    }
    if (!handshake->dials && handshake->channel == PEER__CHANNEL__CONTROL &&
        is_connected_already(find(peers, handshake->peer.id))) {
        (void)snprintf(refusal, ERROR_TEXT_BYTES_MAX, ALREADY_CONNECTED);
        return HANDSHAKE_REFUSED;
    }
    return HANDSHAKE_ADMITTED;
}

static void on_up(void *context, struct peer_link *link)
{
    struct peers *peers = context;
    struct peer *peer;

    if (peer_link_channel(link) == PEER__CHANNEL__PROBE) {
        probes_take(peers->probes, link);
        return;
    }
    peer = find_or_make(peers, peer_link_peer_id(link));
    if (peer->dialling == link) {
        peer->dialling = NULL;
    }
    if (peer->bulk_dialling == link) {
        peer->bulk_dialling = NULL;
    }
    if (!peer->wanted) {
        memcpy(peer->incarnation, peer_link_handshake(link)->peer.incarnation, HANDSHAKE_ID_BYTES);
    }
    if (peer_link_channel(link) == PEER__CHANNEL__BULK) {
        bulk_up(peer, link);
    } else {
        control_up(peer, link);
    }
}

static enum status on_message(void *context, struct peer_link *link, struct bytes message)
{
    struct peers *peers = context;
    struct peer *peer = find(peers, peer_link_peer_id(link));

    if (peer == NULL || peers->closing) {
        return STATUS_INVALID;
    }
    if (peer_link_channel(link) == PEER__CHANNEL__BULK) {
        return peer->bulk == link
                   ? peers->handler->on_bulk_message(peers->context, peer->id, message)
                   : STATUS_OK;
    }
    /* From a retired link too: what was under way on it counts. */
    return peers->handler->on_message(peers->context, peer->id, message);
}

/* An accepted connection that did not get through the handshake: one line in ten seconds. */
static void log_refusal(struct peers *peers, const struct peer_link *link, const char *reason)
{
    uint64_t now_us = clock_monotonic_us();
    char remote[ADDRESS_TEXT_BYTES_MAX];

    if (strcmp(reason, ALREADY_CONNECTED) == 0) {
        return;
    }
    peers->refusals_unlogged++;
    if (peers->refusal_logged_us != 0 && now_us - peers->refusal_logged_us < LOG_INTERVAL_US / 3) {
        return;
    }
    socket_address_text(peer_link_remote(link), remote);
    log_event(LOG_LEVEL_WARN, "peer_refused",
              "remote=%s peer=%" PRIu64 " channel=%s reason=%s count=%" PRIu64, remote,
              peer_link_peer_id(link), handshake_channel_name(peer_link_channel(link)),
              log_quote(reason), peers->refusals_unlogged);
    peers->refusal_logged_us = now_us;
    peers->refusals_unlogged = 0;
}

static void on_dial_refused(struct peer *peer, const char *reason)
{
    peer->dialling = NULL;
    if (strstr(reason, ALREADY_CONNECTED) == NULL) {
        note_failure(peer, reason);
    }
    back_off(peer);
}

static void on_down(void *context, struct peer_link *link, enum status status, const char *reason)
{
    struct peers *peers = context;
    struct peer *peer = find(peers, peer_link_peer_id(link));

    if (peer_link_handshake(link)->is_superseded && !peers->closing) {
        peers->handler->on_superseded(peers->context, peer_link_peer_id(link), reason);
    }
    if (peer != NULL && peer->control == link) {
        control_down(peer, reason);
    } else if (peer != NULL && peer->dialling == link) {
        on_dial_refused(peer, reason);
    } else if (peer != NULL && peer->bulk == link) {
        peer->bulk = NULL;
        bulk_failed(peer, reason);
    } else if (peer != NULL && peer->bulk_dialling == link) {
        peer->bulk_dialling = NULL;
        bulk_failed(peer, reason);
    } else if (!peer_link_is_dialled(link) && peer_link_handshake(link)->state != HANDSHAKE_DONE) {
        log_refusal(peers, link, reason);
    }
    (void)status;
    if (peer != NULL) {
        release_if_unused(peer);
    }
}

static const struct peer_link_handler link_handler = {
    .admit = admit, .on_up = on_up, .on_message = on_message, .on_down = on_down};

void peers_accept(struct peers *peers, struct connection *connection)
{
    (void)peer_link_accept(&peers->options.world, connection, &link_handler, peers);
}

/* --- Members --- */

/* End what is under way with the peer; on_down reports the control link later. */
static void drop_links(struct peer *peer, const char *reason)
{
    struct peer_link *dialling = peer->dialling;

    dial_cancel(peer->dial);
    peer->dial = NULL;
    peer->dialling = NULL;
    if (dialling != NULL) {
        peer_link_close(dialling, reason);
    }
    if (peer->control != NULL) {
        peer_link_close(peer->control, reason);
    }
    if (peer->bulk != NULL) {
        peer_link_close(peer->bulk, reason);
    }
    if (peer->bulk_dialling != NULL) {
        peer_link_close(peer->bulk_dialling, reason);
    }
}

static void want(struct peers *peers, const struct peers_member *member)
{
    struct peer *peer = find_or_make(peers, member->id);
    bool same_incarnation = memcmp(peer->incarnation, member->incarnation, HANDSHAKE_ID_BYTES) == 0;
    bool same_address = strncmp(peer->address, member->address, sizeof peer->address) == 0;

    peer->wanted = true;
    if (!same_incarnation) {
        drop_links(peer, "the member was added anew");
    } else if (!same_address) {
        /* A link that works goes on; the next one goes there. */
        dial_cancel(peer->dial);
        peer->dial = NULL;
    }
    memcpy(peer->incarnation, member->incarnation, HANDSHAKE_ID_BYTES);
    (void)snprintf(peer->address, sizeof peer->address, "%s", member->address);
    if (!same_incarnation || !same_address) {
        peer->backoff_ms = peers->options.backoff_ms_min;
    }
    redial_after(peer, 0);
}

static bool is_named(uint64_t id, const struct peers_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (members[i].id == id) {
            return true;
        }
    }
    return false;
}

void peers_set(struct peers *peers, const struct peers_member *members, size_t count)
{
    LIST_FOR_EACH (link, &peers->all) {
        struct peer *peer = CONTAINER_OF(link, struct peer, link);

        if (peer->wanted && !is_named(peer->id, members, count)) {
            peer->wanted = false;
            (void)event_del(&peer->timer);
            drop_links(peer, "the peer is not a member any more");
            release_if_unused(peer);
        }
    }
    for (size_t i = 0; i < count; i++) {
        want(peers, &members[i]);
    }
}

/* --- Sending --- */

bool peers_send(struct peers *peers, uint64_t id, struct bytes message, bool is_late)
{
    const struct peer *peer = find(peers, id);

    return peer != NULL && peer->control != NULL && peer_link_send(peer->control, message, is_late);
}

void peers_bulk_open(struct peers *peers, uint64_t peer)
{
    struct peer *found = find_or_make(peers, peer);

    drop_bulk(found);
    /* An unknown address fails like one where nobody answers. */
    found->bulk_dial = dial_start(peers->options.world.loop->base, peers->resolver, found->address,
                                  peers->options.dial_ms, on_bulk_dialled, found);
}

bool peers_bulk_send(struct peers *peers, uint64_t id, struct bytes message)
{
    const struct peer *peer = find(peers, id);

    return peer != NULL && peer->bulk != NULL && peer_link_send(peer->bulk, message, false);
}

void peers_bulk_close(struct peers *peers, uint64_t peer)
{
    struct peer *found = find(peers, peer);

    if (found != NULL) {
        drop_bulk(found);
        release_if_unused(found);
    }
}

void peers_probe(struct peers *peers, uint64_t token, const char *address, struct bytes message)
{
    probes_ask(peers->probes, token, address, message);
}

void peers_probe_reply(struct peers *peers, uint64_t probe, struct bytes message)
{
    probes_reply(peers->probes, probe, message);
}

bool peers_is_up(const struct peers *peers, uint64_t id)
{
    const struct peer *peer = find(peers, id);

    return peer != NULL && peer->control != NULL && peer_link_is_up(peer->control);
}

/* --- Life --- */

struct peers *peers_new(const struct peers_options *options,
                        struct resolver *resolver,
                        const struct peers_handler *handler,
                        void *context)
{
    struct peers *peers = xcalloc(1, sizeof *peers);

    peers->options = *options;
    peers->resolver = resolver;
    peers->handler = handler;
    peers->context = context;
    peers->probes = probes_new(&peers->options.world, resolver, &handler->probes, context);
    prng_init(&peers->prng, options->seed);
    list_init(&peers->all);
    return peers;
}

void peers_close(struct peers *peers, const char *reason)
{
    peers->closing = true;
    LIST_FOR_EACH (link, &peers->all) {
        struct peer *peer = CONTAINER_OF(link, struct peer, link);

        peer->wanted = false;
        (void)event_del(&peer->timer);
        dial_cancel(peer->bulk_dial);
        peer->bulk_dial = NULL;
        drop_links(peer, reason);
        release_if_unused(peer);
    }
    probes_close(peers->probes, reason);
}

void peers_free(struct peers *peers)
{
    if (peers == NULL) {
        return;
    }
    CHECK(list_is_empty(&peers->all));
    probes_free(peers->probes);
    free(peers);
}
