#include "server/node/session_expiry.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/prng.h"
#include "server/node/awake_clock.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000)

/* --- One leader by hand --- */

static struct raft_config config;
static bool linked[8];
static struct session_expiry *expiry;
static struct session_expiry_output output;

static bool is_linked(void *context, raft_id member)
{
    (void)context;
    return member < 8 && linked[member];
}

/* Voters 1, 2, 3, all linked; server 1 leads from time 0 on. */
static void begin(void)
{
    memset(&config, 0, sizeof config);
    config.member_count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        config.members[i].id = i + 1;
        config.members[i].flags = RAFT_VOTER_NEW;
        linked[i + 1] = true;
    }
    expiry = session_expiry_new(1);
    session_expiry_lead(expiry, 0);
}

static void end(void)
{
    session_expiry_free(expiry);
}

static void tick(uint64_t now_us)
{
    session_expiry_tick(expiry, now_us, &config, is_linked, NULL, &output);
    session_expiry_check(expiry);
}

/* Tick every 50 ms from `from` up to `to`; stops early at a round or at a due session. */
static uint64_t run(uint64_t from, uint64_t to)
{
    uint64_t now = from;

    while (now < to) {
        tick(now);
        if (output.query != NULL || output.due_count > 0) {
            return now;
        }
        now += 50 * MS;
    }
    tick(to);
    return to;
}

static enum status
report(uint64_t now_us, raft_id from, uint64_t round, session_id id, uint32_t silent_ms)
{
    Peer__SessionReport message = PEER__SESSION_REPORT__INIT;

    message.round = round;
    message.n_sessions = id == 0 ? 0 : 1;
    message.sessions = &id;
    message.n_silent_ms = message.n_sessions;
    message.silent_ms = &silent_ms;
    return session_expiry_on_report(expiry, now_us, from, &message);
}

static void test_silent_session_is_asked_for_and_then_due(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 3, 2, 1000);
    now = run(0, 5000 * MS);
    EXPECT_EQ(now, 1000 * MS);
    EXPECT(output.query != NULL);
    EXPECT_EQ(output.query->n_sessions, 1);
    EXPECT_EQ(output.query->sessions[0], 7);
    round = output.query->round;
    EXPECT(round != 0);
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    EXPECT_OK(report(now + 1, 2, round, 0, 0));
    tick(now + 2);
    EXPECT_EQ(output.due_count, 1);
    EXPECT_EQ(output.due[0].session, 7);
    EXPECT_EQ(output.due[0].generation, 3);
    (void)run(now + 50 * MS, now + 60000 * MS);
    EXPECT_EQ(output.due_count, 0);
    EXPECT(output.query == NULL);
    end();
}

static void test_nothing_is_due_without_the_read_index(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 2, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    for (raft_id id = 1; id <= 3; id++) {
        EXPECT_OK(report(now, id, round, 0, 0));
    }
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    session_expiry_on_read(expiry, now + 2, round, false);
    tick(now + 3);
    EXPECT_EQ(output.due_count, 0);
    /* The next round asks anew; the old one's answers do not count for it. */
    now = run(now + 50 * MS, now + 1000 * MS);
    EXPECT(output.query != NULL);
    EXPECT(output.query->round != round);
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    EXPECT_OK(report(now, 2, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    end();
}

static void test_own_answer_is_required_and_a_minority_is_not_enough(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 2, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 2, round, 0, 0));
    EXPECT_OK(report(now, 2, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    EXPECT_OK(report(now, 3, round, 0, 0));
    tick(now + 2);
    EXPECT_EQ(output.due_count, 0);
    EXPECT_OK(report(now, 1, round, 0, 0));
    tick(now + 3);
    EXPECT_EQ(output.due_count, 1);
    end();
}

static void test_linked_owner_must_answer_but_a_cut_off_one_need_not(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 3, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    EXPECT_OK(report(now, 2, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    linked[3] = false;
    tick(now + 2);
    EXPECT_EQ(output.due_count, 1);
    end();
}

static void test_owner_that_is_no_member_is_not_waited_for(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    linked[4] = true; /* removed, its link is still up */
    session_expiry_put(expiry, 0, 7, 1, 4, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    EXPECT_OK(report(now, 2, round, 0, 0));
    tick(now + 2);
    EXPECT_EQ(output.due_count, 1);
    end();
}

static void test_owner_that_never_answers_holds_up_only_its_own_sessions(void)
{
    uint64_t now = 0;
    bool due = false;

    begin();
    for (session_id id = 1; id <= 2 * SESSION_EXPIRY_ROUND_MAX; id++) {
        session_expiry_put(expiry, 0, id, 1, 3, 1000);
    }
    session_expiry_put(expiry, 0, 100000, 1, 2, 1500);
    while (!due && now < 10000 * MS) {
        tick(now);
        due = due || output.due_count > 0;
        EXPECT(output.due_count == 0 || output.due[0].session == 100000);
        if (output.query != NULL) {
            uint64_t round = output.query->round;

            EXPECT_OK(report(now, 1, round, 0, 0));
            EXPECT_OK(report(now, 2, round, 0, 0));
            session_expiry_on_read(expiry, now, round, true);
        }
        now += 20 * MS;
    }
    EXPECT(due);
    EXPECT(now <= 2600 * MS);
    end();
}

static void test_answer_that_knows_better_rescues_the_session(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 2, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    EXPECT_OK(report(now, 2, round, 7, 400));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    now = run(now + 50 * MS, now + 5000 * MS);
    EXPECT_EQ(now, 1600 * MS);
    EXPECT(output.query != NULL);
    end();
}

static void test_answer_that_confirms_the_silence_does_not_rescue_it(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 2, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    EXPECT_OK(report(now, 2, round, 7, 1000));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 1);
    end();
}

static void test_reports_extend_by_when_it_was_heard_from(void)
{
    uint64_t now;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 2, 1000);
    tick(0);
    for (now = 50 * MS; now < 20000 * MS; now += 50 * MS) {
        if (now % (500 * MS) == 0) {
            EXPECT_OK(report(now, 2, 0, 7, 100));
        }
        tick(now);
        EXPECT(output.query == NULL);
    }
    /* Heard from last at 19.4 s. */
    now = run(now, 40000 * MS);
    EXPECT_EQ(now, 20400 * MS);
    end();
}

static void test_attach_grants_the_full_timeout_and_voids_a_proposal(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 1, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    EXPECT_OK(report(now, 2, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 1);
    session_expiry_put(expiry, now + 2, 7, 2, 3, 2000);
    session_expiry_on_proposal_failed(expiry, 7, 1);
    now = run(now + 50 * MS, now + 10000 * MS);
    EXPECT(output.query != NULL);
    EXPECT(now >= 3000 * MS);
    EXPECT(now <= 3100 * MS);
    end();
}

static void test_failed_proposal_is_asked_again_with_a_new_round(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 1, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    EXPECT_OK(report(now, 3, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 1);
    session_expiry_on_proposal_failed(expiry, 7, 99);
    tick(now + 200 * MS);
    EXPECT(output.query == NULL);
    session_expiry_on_proposal_failed(expiry, 7, 1);
    tick(now + 250 * MS);
    EXPECT(output.query != NULL);
    EXPECT(output.query->round > round);
    EXPECT_EQ(output.due_count, 0);
    end();
}

static void test_dropped_session_is_never_due(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 1, 1000);
    session_expiry_put(expiry, 0, 8, 1, 1, 1000);
    session_expiry_drop(expiry, 8);
    now = run(0, 5000 * MS);
    EXPECT_EQ(output.query->n_sessions, 1);
    round = output.query->round;
    session_expiry_drop(expiry, 7);
    session_expiry_drop(expiry, 7);
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 7, 0));
    EXPECT_OK(report(now, 2, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    EXPECT_EQ(output.next_us, UINT64_MAX);
    end();
}

static void test_pause_extends_every_deadline(void)
{
    uint64_t now;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 1, 1000);
    now = run(0, 500 * MS);
    EXPECT_EQ(now, 500 * MS);
    tick(30000 * MS);
    EXPECT(output.query == NULL);
    /* A quarter of a second of the pause counts. */
    now = run(30050 * MS, 40000 * MS);
    EXPECT_EQ(now, 30250 * MS);
    end();
}

static void test_losing_leadership_clears_and_the_next_grants_full_timeouts(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    session_expiry_put(expiry, 0, 7, 1, 1, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_stop(expiry);
    EXPECT(!session_expiry_is_leading(expiry));
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    session_expiry_put(expiry, now, 7, 1, 1, 1000);
    tick(now + 1);
    EXPECT(output.query == NULL);
    EXPECT_EQ(output.due_count, 0);
    EXPECT_EQ(output.next_us, UINT64_MAX);
    session_expiry_lead(expiry, 5000 * MS);
    session_expiry_put(expiry, 5000 * MS, 7, 1, 1, 1000);
    now = run(5000 * MS, 9000 * MS);
    EXPECT_EQ(now, 6000 * MS);
    EXPECT(output.query->round > round);
    end();
}

static void test_joint_configuration_needs_both_majorities(void)
{
    uint64_t now;
    uint64_t round;

    begin();
    config.joint = true;
    config.member_count = 4;
    for (uint32_t i = 0; i < 4; i++) {
        config.members[i].id = i + 1;
        config.members[i].flags =
            i == 0 ? RAFT_VOTER_OLD | RAFT_VOTER_NEW : (i == 1 ? RAFT_VOTER_OLD : RAFT_VOTER_NEW);
    }
    session_expiry_put(expiry, 0, 7, 1, 1, 1000);
    now = run(0, 5000 * MS);
    round = output.query->round;
    session_expiry_on_read(expiry, now, round, true);
    EXPECT_OK(report(now, 1, round, 0, 0));
    EXPECT_OK(report(now, 2, round, 0, 0));
    tick(now + 1);
    EXPECT_EQ(output.due_count, 0);
    EXPECT_OK(report(now, 4, round, 0, 0));
    tick(now + 2);
    EXPECT_EQ(output.due_count, 1);
    end();
}

static void test_malformed_reports_are_refused_and_unknown_sessions_ignored(void)
{
    Peer__SessionReport message = PEER__SESSION_REPORT__INIT;
    uint64_t ids[2] = {1, UINT64_MAX};
    uint32_t silent[2] = {UINT32_MAX, UINT32_MAX};

    begin();
    message.n_sessions = 2;
    message.sessions = ids;
    message.n_silent_ms = 1;
    message.silent_ms = silent;
    EXPECT_EQ(session_expiry_on_report(expiry, 0, 2, &message), STATUS_INVALID);
    message.n_sessions = SESSION_CONTACT_REPORT_MAX + 1;
    message.n_silent_ms = SESSION_CONTACT_REPORT_MAX + 1;
    EXPECT_EQ(session_expiry_on_report(expiry, 0, 2, &message), STATUS_INVALID);
    message.n_sessions = 2;
    message.n_silent_ms = 2;
    session_expiry_put(expiry, 0, 1, 1, 1, 1000);
    EXPECT_OK(session_expiry_on_report(expiry, 10, 2, &message));
    session_expiry_check(expiry);
    end();
}

static void test_slow_quorum_gets_more_time_until_it_succeeds(void)
{
    uint64_t now = 0;
    uint64_t answer_us = 0;
    uint64_t round = 0;
    bool due = false;

    /* Every answer takes 1.5 s: more than a first round waits. */
    begin();
    session_expiry_put(expiry, 0, 7, 1, 2, 1000);
    while (!due && now < 20000 * MS) {
        tick(now);
        due = output.due_count > 0;
        if (output.query != NULL) {
            round = output.query->round;
            answer_us = now + 1500 * MS;
        }
        now += 50 * MS;
        if (round != 0 && now >= answer_us) {
            EXPECT_OK(report(now, 1, round, 0, 0));
            EXPECT_OK(report(now, 2, round, 0, 0));
            session_expiry_on_read(expiry, now, round, true);
            round = 0;
        }
    }
    EXPECT(due);
    end();
}

static void test_awake_clock_counts_a_step_only_up_to_its_bound(void)
{
    struct awake_clock clock;

    awake_clock_init(&clock, 1000);
    EXPECT_EQ(awake_clock_advance(&clock, 1500), 1500);
    EXPECT_EQ(awake_clock_advance(&clock, 1400), 1500);
    EXPECT_EQ(awake_clock_advance(&clock, 1500 + AWAKE_CLOCK_STEP_US_MAX), 1500 + 250 * MS);
    EXPECT_EQ(awake_clock_advance(&clock, UINT64_MAX), 1500 + 500 * MS);
}

/* --- A cluster under virtual time: three servers, delays, losses, pauses, changes of leader --- */

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
    session_expiry_tick(leader->expiry, sim.now, &config, sim_is_linked, NULL, &out);
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
    begin();
    end();
    memset(&sim, 0, sizeof sim);
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
        TEST_CASE(test_silent_session_is_asked_for_and_then_due),
        TEST_CASE(test_nothing_is_due_without_the_read_index),
        TEST_CASE(test_own_answer_is_required_and_a_minority_is_not_enough),
        TEST_CASE(test_linked_owner_must_answer_but_a_cut_off_one_need_not),
        TEST_CASE(test_owner_that_is_no_member_is_not_waited_for),
        TEST_CASE(test_owner_that_never_answers_holds_up_only_its_own_sessions),
        TEST_CASE(test_answer_that_knows_better_rescues_the_session),
        TEST_CASE(test_answer_that_confirms_the_silence_does_not_rescue_it),
        TEST_CASE(test_reports_extend_by_when_it_was_heard_from),
        TEST_CASE(test_attach_grants_the_full_timeout_and_voids_a_proposal),
        TEST_CASE(test_failed_proposal_is_asked_again_with_a_new_round),
        TEST_CASE(test_dropped_session_is_never_due),
        TEST_CASE(test_pause_extends_every_deadline),
        TEST_CASE(test_losing_leadership_clears_and_the_next_grants_full_timeouts),
        TEST_CASE(test_joint_configuration_needs_both_majorities),
        TEST_CASE(test_malformed_reports_are_refused_and_unknown_sessions_ignored),
        TEST_CASE(test_slow_quorum_gets_more_time_until_it_succeeds),
        TEST_CASE(test_awake_clock_counts_a_step_only_up_to_its_bound),
        TEST_CASE(test_random_clusters_expire_never_early_and_always_in_the_end),
        TEST_END};

    return test_main("session_expiry", cases, argc, argv);
}
