#include "tests/simulation/ledger.h"

#include "base/alloc.h"
#include "base/check.h"
#include "tests/simulation/configs.h"

#include <inttypes.h>
#include <stdlib.h>

/* L3: with pre-votes a term is lost only to a vote that was split or cut off, or to a death. */
enum { TERMS_PER_LEADER = 5, TERMS_MORE = 20 };

enum { READS_MAX = 64, ECHOES_MAX = 8 };

struct grant {
    raft_id candidate; /* 0 = none */
    uint64_t life;     /* of the disk that it was given with */
};

/* A read index that was asked for, and the newest round that its leader had begun by then. */
struct asked_read {
    uint64_t token;
    raft_id leader;
    raft_term term;
    uint64_t round;
};

/* As follower: the newest round answered, to whom in which term. */
struct echo {
    raft_term term;
    raft_id leader;
    uint64_t round;
};

struct speaker {
    struct grant *grants; /* by term */
    size_t grant_count;
    raft_term
        prevoted[NETWORK_PLACES_MAX]; /* the highest term it gave a pre-vote for, by whom to */
    /* As leader: the newest round in this term. */
    raft_term round_term;
    uint64_t round;
    struct echo echoes[ECHOES_MAX]; /* of the last terms */
    size_t echo_count;
    struct asked_read reads[READS_MAX];
    size_t read_count;
};

struct ledger {
    struct cluster *cluster;
    raft_id *leaders; /* by term */
    size_t leader_count;
    struct speaker speakers[NETWORK_PLACES_MAX];
};

struct ledger *ledger_new(struct cluster *cluster)
{
    struct ledger *ledger = xcalloc(1, sizeof *ledger);

    ledger->cluster = cluster;
    return ledger;
}

void ledger_free(struct ledger *ledger)
{
    for (size_t i = 0; i < NETWORK_PLACES_MAX; i++) {
        free(ledger->speakers[i].grants);
    }
    free(ledger->leaders);
    free(ledger);
}

/* --- Leaders --- */

void ledger_on_leader(struct ledger *ledger, const struct cluster_server *server, raft_term term)
{
    if (term >= ledger->leader_count) {
        size_t count = 2 * (size_t)term + 16;

        ledger->leaders = xrealloc(ledger->leaders, count * sizeof *ledger->leaders);
        while (ledger->leader_count < count) {
            ledger->leaders[ledger->leader_count++] = 0;
        }
    }
    if (ledger->leaders[term] != 0 && ledger->leaders[term] != server->id) {
        cluster_violation(server, "S1: %" PRIu64 " leads in term %" PRIu64 " too",
                          ledger->leaders[term], term);
    }
    ledger->leaders[term] = server->id;
}

/* Each may die of writing its own vote, and leave the term. */
static uint64_t starts_of(const struct cluster *cluster)
{
    uint64_t starts = 0;

    for (size_t place = 0; place < cluster->settings.places; place++) {
        starts += cluster->servers[place].runs;
    }
    return starts;
}

void ledger_judge_terms(const struct ledger *ledger, uint64_t leaders, raft_term last)
{
    const struct cluster *cluster = ledger->cluster;
    const struct settings *settings = &cluster->settings;

    if (settings->faults == 0 && !settings->network.loose && !settings->with_core &&
        settings->membership_interval_us == 0 && leaders > 1) {
        cluster_violation(&cluster->servers[0],
                          "L2: %" PRIu64 " leaders were elected without any fault", leaders);
    }
    if (last > TERMS_PER_LEADER * leaders + TERMS_MORE + starts_of(cluster)) {
        cluster_violation(&cluster->servers[0],
                          "L3: the term is %" PRIu64 " after %" PRIu64 " leaders", last, leaders);
    }
}

raft_id ledger_leader(const struct ledger *ledger, raft_term term)
{
    return term < ledger->leader_count ? ledger->leaders[term] : 0;
}

/* --- Votes --- */

static void
grant(struct ledger *ledger, const struct cluster_server *server, raft_id candidate, raft_term term)
{
    struct speaker *speaker = &ledger->speakers[server->place];
    struct grant *given;

    if (term >= speaker->grant_count) {
        size_t count = 2 * (size_t)term + 16;

        speaker->grants = xrealloc(speaker->grants, count * sizeof *speaker->grants);
        while (speaker->grant_count < count) {
            speaker->grants[speaker->grant_count++] = (struct grant){.candidate = 0};
        }
    }
    given = &speaker->grants[term];
    if (given->candidate != 0 && given->life == server->lives && given->candidate != candidate) {
        cluster_violation(
            server, "S2: it gives its vote in term %" PRIu64 " to %" PRIu64 " and to %" PRIu64,
            term, given->candidate, candidate);
    }
    *given = (struct grant){.candidate = candidate, .life = server->lives};
}

bool ledger_has_granted(const struct ledger *ledger,
                        raft_id voter,
                        raft_id candidate,
                        raft_term term)
{
    const struct speaker *speaker = &ledger->speakers[voter - 1];

    return term < speaker->grant_count && speaker->grants[term].candidate == candidate;
}

struct campaign {
    const struct ledger *ledger;
    const struct cluster_server *candidate;
    raft_term term;
};

static bool has_prevoted(raft_id id, const void *context)
{
    const struct campaign *campaign = context;

    return id == campaign->candidate->id ||
           campaign->ledger->speakers[id - 1].prevoted[campaign->candidate->place] >=
               campaign->term;
}

static void check_campaign(const struct ledger *ledger,
                           const struct cluster_server *server,
                           const Peer__RaftMessage *message,
                           const struct raft_config *const configs[2])
{
    const struct campaign campaign = {.ledger = ledger, .candidate = server, .term = message->term};
    bool is_transfer = message->flag;

    if (!is_transfer && !configs_is_quorum(configs[0], has_prevoted, &campaign) &&
        !configs_is_quorum(configs[1], has_prevoted, &campaign)) {
        cluster_violation(server, "L3: it began term %" PRIu64 " without a quorum of pre-votes",
                          message->term);
    }
}

void ledger_on_prevote(struct ledger *ledger,
                       const struct cluster_server *server,
                       raft_id to,
                       raft_term term)
{
    raft_term *prevoted = &ledger->speakers[server->place].prevoted[to - 1];

    *prevoted = term > *prevoted ? term : *prevoted;
}

/* --- Reads --- */

static void note_round(struct speaker *speaker, raft_term term, uint64_t round)
{
    if (term < speaker->round_term) {
        return; /* it waited for its entries, and left late */
    }
    if (term > speaker->round_term) {
        speaker->round = 0;
    }
    speaker->round_term = term;
    speaker->round = round > speaker->round ? round : speaker->round;
}

static struct echo *find_echo(struct speaker *speaker, raft_id leader, raft_term term)
{
    for (size_t i = 0; i < speaker->echo_count && i < ECHOES_MAX; i++) {
        if (speaker->echoes[i].term == term && speaker->echoes[i].leader == leader) {
            return &speaker->echoes[i];
        }
    }
    return NULL;
}

static void note_echo(struct speaker *speaker, raft_id leader, raft_term term, uint64_t round)
{
    struct echo *echo = find_echo(speaker, leader, term);

    if (echo == NULL) {
        echo = &speaker->echoes[speaker->echo_count++ % ECHOES_MAX];
        *echo = (struct echo){.term = term, .leader = leader};
    }
    echo->round = round > echo->round ? round : echo->round;
}

static void note_read(
    struct ledger *ledger, struct speaker *asking, raft_id leader, raft_term term, uint64_t token)
{
    const struct speaker *asked = &ledger->speakers[leader - 1];

    asking->reads[asking->read_count++ % READS_MAX] =
        (struct asked_read){.token = token,
                            .leader = leader,
                            .term = term,
                            .round = asked->round_term == term ? asked->round : 0};
}

static const struct asked_read *
find_read(const struct speaker *asking, raft_id leader, raft_term term, uint64_t token)
{
    for (size_t i = 0; i < asking->read_count && i < READS_MAX; i++) {
        const struct asked_read *read = &asking->reads[i];

        if (read->token == token && read->leader == leader && read->term == term) {
            return read;
        }
    }
    return NULL;
}

struct confirmation {
    struct ledger *ledger;
    raft_id leader;
    raft_term term;
    uint64_t round;
};

static bool has_echoed(raft_id id, const void *context)
{
    const struct confirmation *confirmation = context;
    const struct echo *echo = find_echo(&confirmation->ledger->speakers[id - 1],
                                        confirmation->leader, confirmation->term);

    return id == confirmation->leader || (echo != NULL && echo->round > confirmation->round);
}

static void check_read(struct ledger *ledger,
                       const struct cluster_server *server,
                       raft_id to,
                       const Peer__RaftMessage *message,
                       const struct raft_config *const configs[2])
{
    const struct asked_read *read =
        find_read(&ledger->speakers[to - 1], server->id, message->term, message->round);
    const struct confirmation confirmation = {.ledger = ledger,
                                              .leader = server->id,
                                              .term = message->term,
                                              .round = read == NULL ? 0 : read->round};

    if (read != NULL && !configs_is_quorum(configs[0], has_echoed, &confirmation) &&
        !configs_is_quorum(configs[1], has_echoed, &confirmation)) {
        cluster_violation(server,
                          "S16: it confirms read index %" PRIu64
                          ", no quorum of voters answered a round after %" PRIu64,
                          message->index, read->round);
    }
}

void ledger_on_send(struct ledger *ledger,
                    const struct cluster_server *server,
                    raft_id to,
                    const Peer__RaftMessage *message,
                    const struct raft_config *const configs[2])
{
    struct speaker *speaker = &ledger->speakers[server->place];

    switch (message->type) {
    case RAFT_VOTE:
        check_campaign(ledger, server, message, configs);
        grant(ledger, server, server->id, message->term);
        break;
    case RAFT_VOTE_RESPONSE:
        if (message->flag) {
            grant(ledger, server, to, message->term);
        }
        break;
    case RAFT_APPEND:
    case RAFT_HEARTBEAT:
        ledger_on_leader(ledger, server, message->term);
        note_round(speaker, message->term, message->round);
        break;
    case RAFT_TIMEOUT_NOW:
        ledger_on_leader(ledger, server, message->term);
        break;
    case RAFT_APPEND_RESPONSE:
    case RAFT_HEARTBEAT_RESPONSE:
        note_echo(speaker, to, message->term, message->round);
        break;
    case RAFT_READ_INDEX:
        note_read(ledger, speaker, to, message->term, message->round);
        break;
    case RAFT_READ_INDEX_RESPONSE:
        if (message->flag) {
            check_read(ledger, server, to, message, configs);
        }
        break;
    default:
        break;
    }
}
