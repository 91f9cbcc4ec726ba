/* A cluster under virtual time: three servers, delays, losses, pauses, changes of leader. */
#include "server/node/session_expiry.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/prng.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000)

enum { SERVERS = 3, SESSIONS = 24, MESSAGES_MAX = 4096, HEARD_MAX = 4096, STEP_US = 5000 };

enum message_kind { MESSAGE_QUERY, MESSAGE_REPORT, MESSAGE_READ, MESSAGE_OUTCOME };

struct message {
    bool used;
    enum message_kind kind;
    uint64_t at_us;
    raft_id from;
    raft_id to;
    uint64_t leadership;
    uint64_t round; /* QUERY, REPORT, READ */
    bool ok;        /* READ, OUTCOME */
    struct session_expiry_due due;
    size_t count;
    uint64_t sessions[SESSIONS];
    uint32_t silent_ms[SESSIONS];
};

struct client_double {
    bool exists;
    bool dead;
    uint64_t died_us;
    uint64_t generation;
    raft_id owner;
    uint32_t timeout_ms;
    uint64_t next_ping_us;
    uint64_t put_us; /* to the present leader */
    bool in_flight;
    uint64_t heard_us[HEARD_MAX]; /* by its owner */
    size_t heard_count;
};

struct server_double {
    struct session_contact *contact;
    struct session_expiry *expiry;
    uint64_t paused_until_us;
    uint64_t reported_us;
    uint64_t last_delivery_us[SERVERS + 1]; /* to each: links keep their order */
};

static struct simulation {
    struct prng prng;
    uint64_t now;
    struct raft_config config;
    raft_id leader;
    uint64_t leadership;
    struct server_double servers[SERVERS + 1];
    bool up[SERVERS + 1][SERVERS + 1];
    struct message *messages;
    struct client_double *clients; /* session id = position + 1 */
    uint64_t round_began_us;
    bool owner_cut[SESSIONS]; /* its owner was not linked at some time of the present round */
    size_t expired;
    size_t rescued;
    bool calm;
    uint64_t calm_us;
} sim;

static bool chance(uint64_t percent)
{
    return prng_below(&sim.prng, 100) < percent;
}

static bool is_up(raft_id a, raft_id b)
{
    return a == b || sim.up[a][b];
}

static bool sim_is_linked(void *context, raft_id member)
{
    (void)context;
    return is_up(sim.leader, member);
}

static struct message *send(raft_id from, raft_id to, enum message_kind kind, uint64_t delay_ms_max)
{
    struct server_double *server = &sim.servers[from];

    for (size_t i = 0; i < MESSAGES_MAX; i++) {
        struct message *message = &sim.messages[i];

        if (!message->used) {
            uint64_t at = sim.now + prng_between(&sim.prng, 0, delay_ms_max) * MS;

            if (at < server->last_delivery_us[to]) {
                at = server->last_delivery_us[to];
            }
            server->last_delivery_us[to] = at;
            *message = (struct message){.used = true,
                                        .kind = kind,
                                        .at_us = at,
                                        .from = from,
                                        .to = to,
                                        .leadership = sim.leadership};
            return message;
        }
    }
    CHECK(false); /* too many messages */
    return NULL;
}

static void lead(raft_id id)
{
    if (sim.leader != 0) {
        session_expiry_stop(sim.servers[sim.leader].expiry);
    }
    sim.leader = id;
    sim.leadership++;
    session_expiry_lead(sim.servers[id].expiry, sim.now);
    for (size_t i = 0; i < SESSIONS; i++) {
        struct client_double *client = &sim.clients[i];

        client->in_flight = false;
        if (client->exists) {
            client->put_us = sim.now;
            session_expiry_put(sim.servers[id].expiry, sim.now, i + 1, client->generation,
                               client->owner, client->timeout_ms);
        }
    }
    for (raft_id s = 1; s <= SERVERS; s++) {
        session_contact_report_all(sim.servers[s].contact);
    }
}

/* Open (or move) the session; applied everywhere at once, the leader is not paused then. */
static void attach(size_t i)
{
    struct client_double *client = &sim.clients[i];

    client->exists = true;
    client->dead = false;
    client->generation++;
    client->in_flight = false;
    client->owner = prng_between(&sim.prng, 1, SERVERS);
    client->timeout_ms = (uint32_t)prng_between(&sim.prng, 1000, 4000);
    client->put_us = sim.now;
    client->next_ping_us = sim.now;
    for (raft_id s = 1; s <= SERVERS; s++) {
        if (s == client->owner) {
            session_contact_put(sim.servers[s].contact, i + 1);
        } else {
            session_contact_drop(sim.servers[s].contact, i + 1);
        }
    }
    session_expiry_put(sim.servers[sim.leader].expiry, sim.now, i + 1, client->generation,
                       client->owner, client->timeout_ms);
}

static void deliver_report(raft_id from, raft_id to, const Peer__SessionReport *report, bool ask)
{
    struct message *message;

    if (!is_up(from, to) || (!sim.calm && from != to && chance(20))) {
        return;
    }
    message = send(from, to, MESSAGE_REPORT, from == to ? 0 : 60);
    message->round = ask ? report->round : 0;
    message->count = report->n_sessions;
    for (size_t i = 0; i < report->n_sessions; i++) {
        message->sessions[i] = report->sessions[i];
        message->silent_ms[i] = report->silent_ms[i];
    }
}

static void on_message(const struct message *message)
{
    struct server_double *server = &sim.servers[message->to];
    Peer__SessionReport report = PEER__SESSION_REPORT__INIT;
    Peer__SessionQuery query = PEER__SESSION_QUERY__INIT;
    uint64_t sessions[SESSIONS];
    uint32_t silent_ms[SESSIONS];

    memcpy(sessions, message->sessions, sizeof sessions);
    memcpy(silent_ms, message->silent_ms, sizeof silent_ms);
    if (message->kind == MESSAGE_QUERY) {
        query.round = message->round;
        query.sessions = sessions;
        query.n_sessions = message->count;
        EXPECT_OK(session_contact_answer(server->contact, sim.now, &query, &report));
        deliver_report(message->to, message->from, &report, true);
    } else if (message->kind == MESSAGE_REPORT) {
        report.round = message->round;
        report.sessions = sessions;
        report.silent_ms = silent_ms;
        report.n_sessions = message->count;
        report.n_silent_ms = message->count;
        EXPECT_OK(session_expiry_on_report(server->expiry, sim.now, message->from, &report));
    } else if (message->leadership == sim.leadership && message->kind == MESSAGE_READ) {
        session_expiry_on_read(server->expiry, sim.now, message->round, message->ok);
    } else if (message->leadership == sim.leadership && message->kind == MESSAGE_OUTCOME) {
        struct client_double *client = &sim.clients[message->due.session - 1];

        if (!message->ok) {
            if (client->generation == message->due.generation) {
                client->in_flight = false;
            }
            session_expiry_on_proposal_failed(server->expiry, message->due.session,
                                              message->due.generation);
        } else if (client->exists && client->generation == message->due.generation) {
            client->exists = false;
            client->in_flight = false;
            sim.expired++;
            session_expiry_drop(server->expiry, message->due.session);
            session_contact_drop(sim.servers[client->owner].contact, message->due.session);
        }
    }
}

static uint64_t last_heard_until(const struct client_double *client, uint64_t time_us)
{
    size_t i = client->heard_count;

    while (i > 0 && client->heard_us[i - 1] > time_us) {
        i--;
    }
    return i == 0 ? 0 : client->heard_us[i - 1];
}

/* The claim: when the round began the session had been silent for its timeout, as far as any server
 * that the leader can reach knew. */
static void check_due(const struct session_expiry_due *due)
{
    struct client_double *client = &sim.clients[due->session - 1];
    uint64_t timeout_us = client->timeout_ms * MS;

    EXPECT(client->exists);
    EXPECT_EQ(due->generation, client->generation);
    EXPECT(!client->in_flight);
    EXPECT(sim.round_began_us >= client->put_us + timeout_us);
    if (!sim.owner_cut[due->session - 1]) {
        EXPECT(sim.round_began_us >= last_heard_until(client, sim.round_began_us) + timeout_us);
    }
    EXPECT(!sim.calm || client->dead || sim.now < sim.calm_us + 6000 * MS);
    client->in_flight = true;
}

static void run_leader(void)
{
    struct session_expiry_output out;
    struct server_double *leader = &sim.servers[sim.leader];
    struct message *message;
    size_t reachable = 0;

    for (size_t i = 0; i < SESSIONS; i++) {
        sim.owner_cut[i] = sim.owner_cut[i] || !is_up(sim.leader, sim.clients[i].owner);
    }
    session_expiry_tick(leader->expiry, sim.now, &sim.config, sim_is_linked, NULL, &out);
    session_expiry_check(leader->expiry);
    for (size_t i = 0; i < out.due_count; i++) {
        check_due(&out.due[i]);
        message = send(sim.leader, sim.leader, MESSAGE_OUTCOME, 100);
        message->due = out.due[i];
        message->ok = sim.calm || chance(70);
    }
    EXPECT(out.next_us > sim.now || out.query == NULL || out.due_count == 0);
    if (out.query == NULL) {
        return;
    }
    sim.round_began_us = sim.now;
    for (raft_id s = 1; s <= SERVERS; s++) {
        reachable += is_up(sim.leader, s);
        if (is_up(sim.leader, s) && (s == sim.leader || sim.calm || !chance(10))) {
            message = send(sim.leader, s, MESSAGE_QUERY, s == sim.leader ? 0 : 60);
            message->round = out.query->round;
            message->count = out.query->n_sessions;
            memcpy(message->sessions, out.query->sessions,
                   out.query->n_sessions * sizeof *message->sessions);
        }
    }
    for (size_t i = 0; i < SESSIONS; i++) {
        sim.owner_cut[i] = !is_up(sim.leader, sim.clients[i].owner);
    }
    message = send(sim.leader, sim.leader, MESSAGE_READ, 120);
    message->round = out.query->round;
    message->ok = reachable >= 2 && (sim.calm || !chance(10));
}

static void take_messages(raft_id id)
{
    for (size_t i = 0; i < MESSAGES_MAX; i++) {
        struct message *message = &sim.messages[i];

        if (message->used && message->to == id && message->at_us <= sim.now) {
            struct message copy = *message;

            message->used = false;
            if (is_up(copy.from, copy.to)) {
                on_message(&copy);
            }
        }
    }
}

static void hear_clients(raft_id id)
{
    for (size_t i = 0; i < SESSIONS; i++) {
        struct client_double *client = &sim.clients[i];

        if (client->exists && !client->dead && client->owner == id &&
            client->next_ping_us <= sim.now) {
            CHECK_OP(client->heard_count, <, HEARD_MAX);
            client->heard_us[client->heard_count] = sim.now;
            client->heard_count++;
            client->next_ping_us =
                sim.now + prng_between(&sim.prng, 1, client->timeout_ms / 3) * MS;
            session_contact_heard(sim.servers[id].contact, i + 1, sim.now);
        }
    }
}

static void run_server(raft_id id)
{
    struct server_double *server = &sim.servers[id];
    Peer__SessionReport report_now;

    if (server->paused_until_us > sim.now) {
        return;
    }
    session_contact_tick(server->contact, sim.now);
    if (chance(50)) {
        take_messages(id);
        hear_clients(id);
    } else {
        hear_clients(id);
        take_messages(id);
    }
    if (sim.now - server->reported_us >= SESSION_CONTACT_REPORT_INTERVAL_US) {
        server->reported_us = sim.now;
        while (session_contact_take_report(server->contact, sim.now, &report_now)) {
            deliver_report(id, sim.leader, &report_now, false);
        }
    }
    if (id == sim.leader) {
        run_leader();
    }
}

static void make_trouble(void)
{
    raft_id a = prng_between(&sim.prng, 1, SERVERS);
    raft_id b = prng_between(&sim.prng, 1, SERVERS);
    bool leader_runs = sim.servers[sim.leader].paused_until_us <= sim.now;

    if (chance(1) && a != b) {
        sim.up[a][b] = !sim.up[a][b];
        sim.up[b][a] = sim.up[a][b];
        if (sim.up[a][b]) {
            session_contact_report_all(sim.servers[a].contact);
            session_contact_report_all(sim.servers[b].contact);
        }
    }
    if (prng_below(&sim.prng, 400) == 0) {
        sim.servers[a].paused_until_us = sim.now + prng_between(&sim.prng, 10, 8000) * MS;
    }
    if (prng_below(&sim.prng, 1000) == 0 && sim.servers[a].paused_until_us <= sim.now) {
        lead(a);
        leader_runs = true;
    }
    if (chance(2) && leader_runs) {
        size_t i = prng_below(&sim.prng, SESSIONS);

        if (!sim.clients[i].exists || chance(20)) {
            attach(i);
        } else if (chance(30)) {
            sim.clients[i].dead = true;
            sim.clients[i].died_us = sim.now;
        }
    }
}

static void become_calm(void)
{
    sim.calm = true;
    sim.calm_us = sim.now;
    for (raft_id a = 1; a <= SERVERS; a++) {
        sim.servers[a].paused_until_us = 0;
        for (raft_id b = 1; b <= SERVERS; b++) {
            sim.up[a][b] = true;
        }
        session_contact_report_all(sim.servers[a].contact);
    }
    for (size_t i = 0; i < SESSIONS; i++) {
        if (sim.clients[i].exists && i % 2 == 0 && !sim.clients[i].dead) {
            sim.clients[i].dead = true;
            sim.clients[i].died_us = sim.now;
        }
    }
}

static void simulate(uint64_t seed)
{
    memset(&sim, 0, sizeof sim);
    sim.config.member_count = SERVERS;
    for (uint32_t i = 0; i < SERVERS; i++) {
        sim.config.members[i].id = i + 1;
        sim.config.members[i].flags = RAFT_VOTER_NEW;
    }
    prng_init(&sim.prng, seed);
    sim.messages = xcalloc(MESSAGES_MAX, sizeof *sim.messages);
    sim.clients = xcalloc(SESSIONS, sizeof *sim.clients);
    sim.now = 1000 * MS;
    for (raft_id s = 1; s <= SERVERS; s++) {
        sim.servers[s].contact = session_contact_new(sim.now);
        sim.servers[s].expiry = session_expiry_new(s);
        for (raft_id t = 1; t <= SERVERS; t++) {
            sim.up[s][t] = true;
        }
    }
    lead(1);
    for (size_t i = 0; i < SESSIONS; i++) {
        attach(i);
    }
    for (size_t step = 0; step < 9000; step++) {
        sim.now += STEP_US;
        make_trouble();
        for (raft_id s = 1; s <= SERVERS; s++) {
            run_server(s);
        }
    }
    become_calm();
    /* The longest timeout and a second. A proposal that failed just before, or a round begun then,
     * adds its own time. */
    while (sim.now < sim.calm_us + 5000 * MS + 1000 * MS) {
        sim.now += STEP_US;
        for (raft_id s = 1; s <= SERVERS; s++) {
            run_server(s);
        }
    }
    for (size_t i = 0; i < SESSIONS; i++) {
        EXPECT(!sim.clients[i].exists || !sim.clients[i].dead);
        EXPECT(!sim.clients[i].in_flight);
    }
    for (raft_id s = 1; s <= SERVERS; s++) {
        session_contact_free(sim.servers[s].contact);
        session_expiry_free(sim.servers[s].expiry);
    }
    free(sim.messages);
    free(sim.clients);
}

static void test_random_clusters_expire_never_early_and_always_in_the_end(void)
{
    size_t expired = 0;

    for (uint64_t seed = 1; seed <= 25; seed++) {
        simulate(seed);
        expired += sim.expired;
    }
    EXPECT(expired > 400);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_random_clusters_expire_never_early_and_always_in_the_end), TEST_END};

    return test_main("session_expiry_random", cases, argc, argv);
}
