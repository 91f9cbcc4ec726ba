#include "server/node/node_rounds.h"

enum {
    /* In one round each client gets so many requests or, if they take longer, so much time, and
     * rounds go on for so long; who needs more than little, which is all that he gets of a round
     * before the others, waits behind them. */
    ROUND_REQUESTS_MAX = 32,
    ROUND_US_MAX = 1000,
    LITTLE_US = 100,
    LONG_RUNS_MAX = 4,
    ROUNDS_US_MAX = 2000
};

static struct client *client_at(struct round_robin_place *place)
{
    return CONTAINER_OF(place, struct client, place);
}

static struct request *request_of(struct list *link)
{
    return CONTAINER_OF(link, struct request, link);
}

void node_rounds_init(struct node *node, const struct rounds_port *port)
{
    node->rounds_port = port;
    round_robin_init(&node->blocked);
    admission_init(&node->admission);
}

void node_rounds_enter(struct client *client)
{
    round_robin_enter(&client->node->blocked, &client->place);
}

/* Started requests other than writes let nothing pass. */
static bool lets_pass(const struct client *client)
{
    const struct list *last = client->first_unstarted->previous;

    return last == &client->requests ||
           CONTAINER_OF(last, const struct request, link)->kind == REQUEST_WRITE;
}

/* Not node_now, which stands still within a turn. */
static uint64_t clock_us(const struct node *node)
{
    return node->port.now_us(node->port.context);
}

static bool has_more_to_start(const struct client *client)
{
    return client->first_unstarted != &client->requests && lets_pass(client);
}

/* Heavy is who had more to do than the round allowed, or takes long each time: now and then the
 * time may be that of others, who had the processor, or of the system, which found memory. Who
 * could do nothing stays what he was, for he may have much to do as soon as he can. A write that
 * waits for its turn has its weight already. */
static void note_time(struct client *client, uint64_t took_us, bool is_cut, size_t count)
{
    bool is_long = took_us > LITTLE_US;

    if (count == 0 && !is_cut && !is_long) {
        return;
    }
    if (!is_long) {
        client->long_runs = 0;
    } else if (client->long_runs < LONG_RUNS_MAX) {
        client->long_runs++;
    }
    if (!client->waits_to_propose) {
        client->place.is_heavy = is_cut || client->long_runs == LONG_RUNS_MAX;
    }
}

/* As many requests as one round allows. */
static void run(struct client *client)
{
    struct node *node = client->node;
    uint64_t begun_us = clock_us(node);
    const struct client_share share = {.is_little = !client->place.is_heavy,
                                       .us = client->place.is_heavy ? ROUND_US_MAX : LITTLE_US};
    enum start outcome = START_DONE;
    bool is_cut = false;
    size_t count = 0;

    client->waits_to_propose = false;
    while (has_more_to_start(client) && !is_cut && outcome == START_DONE) {
        is_cut = count == ROUND_REQUESTS_MAX || clock_us(node) - begun_us > share.us;
        if (!is_cut) {
            outcome = node->rounds_port->start(request_of(client->first_unstarted), &share);
            is_cut = outcome == START_MUCH;
            count += outcome == START_DONE;
        }
    }
    node->clients_left = node->clients_left || is_cut;
    note_time(client, clock_us(node) - begun_us, is_cut, count);
    if (has_more_to_start(client) && client->waits_to_propose) {
        round_robin_enter(&node->admission.waiting, &client->place);
    } else if (has_more_to_start(client)) {
        node_rounds_enter(client);
    }
}

static bool is_held(const struct client *client)
{
    return has_more_to_start(client) &&
           client->node->rounds_port->is_held(request_of(client->first_unstarted));
}

/* The clock costs more than to see that a client is held: it is not looked at for those. */
static void run_round(struct node *node, uint64_t end_us)
{
    struct round_robin_place *place;
    bool time_is_up = clock_us(node) > end_us;

    round_robin_begin(&node->blocked);
    while (!node->failed && round_robin_has_due(&node->blocked) &&
           (place = round_robin_next(&node->blocked, time_is_up)) != NULL) {
        if (is_held(client_at(place))) {
            node_rounds_enter(client_at(place));
        } else {
            run(client_at(place));
            time_is_up = clock_us(node) > end_us;
        }
    }
    node->clients_left = node->clients_left || round_robin_has_due(&node->blocked);
    round_robin_end(&node->blocked);
}

static void run_writers(struct node *node, uint64_t end_us)
{
    struct admission *admission = &node->admission;
    struct round_robin_place *place;

    round_robin_begin(&admission->waiting);
    while (!node->failed && round_robin_has_due(&admission->waiting) &&
           (place = round_robin_next(&admission->waiting, clock_us(node) > end_us)) != NULL) {
        if (!node->rounds_port->is_admitted(client_at(place))) {
            round_robin_return(&admission->waiting, place);
            break;
        }
        admission->turn = place;
        run(client_at(place));
        admission->turn = NULL;
    }
    round_robin_end(&admission->waiting);
}

void node_rounds_begin(struct node *node)
{
    node->rounds_left_us = ROUNDS_US_MAX;
}

bool node_rounds_run(struct node *node)
{
    uint64_t begun_us;
    uint64_t end_us;
    uint64_t took_us;

    if (node->rounds_left_us == 0) {
        return true;
    }
    if (node->rounds_overran) { /* by a single request that took long: the others first */
        node->rounds_overran = false;
        return true;
    }
    if (round_robin_is_empty(&node->blocked) && round_robin_is_empty(&node->admission.waiting)) {
        return false;
    }
    begun_us = clock_us(node);
    end_us = begun_us + node->rounds_left_us;
    run_writers(node, end_us);
    do {
        node->clients_left = false;
        run_round(node, end_us);
    } while (node->clients_left && !node->failed && clock_us(node) < end_us);
    took_us = clock_us(node) - begun_us;
    node->rounds_left_us -= took_us < node->rounds_left_us ? took_us : node->rounds_left_us;
    node->rounds_overran = took_us > 2 * ROUNDS_US_MAX;
    return node->clients_left || node->rounds_overran;
}

static uint64_t visit_waiting(struct round_robin *robin, uint64_t (*visit)(struct client *client))
{
    uint64_t next_us = UINT64_MAX;

    for (int kind = 0; kind < ROUND_ROBIN_KINDS; kind++) {
        LIST_FOR_EACH (link, &robin->waiting[kind]) {
            uint64_t at_us = visit(client_at(CONTAINER_OF(link, struct round_robin_place, link)));

            next_us = at_us < next_us ? at_us : next_us;
        }
    }
    return next_us;
}

uint64_t node_rounds_visit(struct node *node, uint64_t (*visit)(struct client *client))
{
    uint64_t next_us = visit_waiting(&node->blocked, visit);
    uint64_t next_writer_us = visit_waiting(&node->admission.waiting, visit);

    return next_us < next_writer_us ? next_us : next_writer_us;
}
