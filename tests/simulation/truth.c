#include "tests/simulation/truth.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/checksum.h"
#include "base/map.h"
#include "proto/record.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STAMP_BYTES = 8,
    SUFFIX_BYTES = 10, /* of a sequence name */
    PPM = 1000000,
    /* What its client does not see counts as silence too: reports that a dying server took along,
     * the time until its server knows that it lost the leader, and drifting clocks. A session whose
     * client was silent for so much less than its timeout, and less than half of that, must live.
     */
    UNSEEN_US = 400 * 1000,
    /* After healing a silent session ends within its timeout and this: a stream that stood still is
     * given up after 15 s, then come elections, and a new leader who grants the whole timeout
     * again.
     */
    LATE_US = 30 * 1000 * 1000
};

/* One log entry. */
struct outcome {
    bool applied;
    bool digested;
    uint64_t hash; /* of result and changes */
    struct state_digest digest;
};

struct fate {
    zxid effect; /* 0 = none */
    bool refused;
};

/* What a numbered write was answered. */
struct answer {
    uint64_t hash;
};

struct session {
    struct map_node node;
    session_id id;
    bool lives;
    uint64_t timeout_us;
    uint64_t granted_us;  /* when it was opened or attached last */
    uint64_t heard_us;    /* when its client last reached it; for this generation */
    uint64_t gap_us;      /* the longest silence before that */
    uint64_t burst_us;    /* since when it does so again and again */
    uint64_t previous_us; /* when it was heard last before that */
    size_t place;         /* of the server that heard it last */
    uint64_t ephemerals;
    struct answer *answers; /* of the writes 1 .. answer_count */
    size_t answer_count;
    size_t answer_capacity;
};

struct truth {
    struct cluster *cluster;
    struct chronicle *chronicle;
    struct recording *recording;
    struct quotas *quotas;
    struct outcome *outcomes; /* by index */
    size_t outcome_count;
    size_t outcome_capacity;
    struct fate *fates; /* by serial number */
    size_t fate_count;
    size_t fate_capacity;
    struct map sessions;
    size_t living;     /* sessions; those too that ended, until all their nodes are gone */
    uint64_t quiet_us; /* 0 = not yet */
    struct truth_counts counts;
};

struct truth *truth_new(struct cluster *cluster)
{
    struct truth *truth = xcalloc(1, sizeof *truth);

    truth->cluster = cluster;
    truth->chronicle = chronicle_new();
    truth->recording = recording_new(cluster->timeline);
    truth->quotas = quotas_new(truth->chronicle);
    truth->fate_count = 1;
    map_init(&truth->sessions);
    return truth;
}

static void free_session(struct map_node *node, void *context)
{
    struct session *session = CONTAINER_OF(node, struct session, node);

    (void)context;
    free(session->answers);
    free(session);
}

void truth_free(struct truth *truth)
{
    map_each(&truth->sessions, free_session, NULL);
    map_release(&truth->sessions);
    quotas_free(truth->quotas);
    chronicle_free(truth->chronicle);
    recording_free(truth->recording);
    free(truth->outcomes);
    free(truth->fates);
    free(truth);
}

struct chronicle *truth_chronicle(struct truth *truth)
{
    return truth->chronicle;
}

struct recording *truth_recording(struct truth *truth)
{
    return truth->recording;
}

struct quotas *truth_quotas(struct truth *truth)
{
    return truth->quotas;
}

struct truth_counts truth_counts(const struct truth *truth)
{
    struct truth_counts counts = truth->counts;

    counts.quotas = quotas_counts(truth->quotas);
    return counts;
}

static const struct cluster_server *nobody(const struct truth *truth)
{
    return &truth->cluster->servers[0];
}

static uint64_t now(const struct truth *truth)
{
    return truth->cluster->timeline->now_us;
}

/* --- Hashes of outcomes --- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 31;
}

/* What a client is told, the same for a repeated write. */
static uint64_t hash_of_answer(const struct state_result *result)
{
    uint64_t hash = mix(result->error, result->zxid);

    for (size_t i = 0; i < result->operation_count; i++) {
        const struct state_op_result *operation = &result->operations[i];

        hash = mix(hash, operation->error);
        hash = mix(hash, checksum(operation->path));
        hash = mix(hash, operation->created);
        if (operation->has_stat) {
            hash = mix(hash, operation->stat.czxid);
            hash = mix(hash, operation->stat.mzxid);
            hash = mix(hash, operation->stat.pzxid);
            hash = mix(hash, (uint64_t)operation->stat.version);
            hash = mix(hash, (uint64_t)operation->stat.cversion);
            hash = mix(hash, operation->stat.ephemeral_owner);
        }
    }
    return hash;
}

static uint64_t hash_of_outcome(const struct state_result *result)
{
    uint64_t hash = hash_of_answer(result);

    hash = mix(hash, result->repeated);
    hash = mix(hash, result->session);
    hash = mix(hash, result->generation);
    hash = mix(hash, result->timeout_ms);
    for (size_t i = 0; i < result->change_count; i++) {
        const struct state_change *change = &result->changes[i];

        hash = mix(hash, change->kind);
        hash = mix(hash, change->session);
        hash = mix(hash, checksum(change->path));
        hash = mix(hash, change->after == NULL ? 0 : chronicle_sum(change->after));
        hash = mix(hash, change->before == NULL ? 0 : chronicle_sum(change->before));
    }
    return hash;
}

/* --- Sessions --- */

static struct session *find_session(const struct truth *truth, session_id id)
{
    uint64_t hash = map_hash_u64(id);

    MAP_FOR_HASH (node, &truth->sessions, hash) {
        struct session *session = CONTAINER_OF(node, struct session, node);

        if (session->id == id) {
            return session;
        }
    }
    return NULL;
}

static struct session *living_session(const struct truth *truth, session_id id, const char *what)
{
    struct session *session = find_session(truth, id);

    if (session == NULL || !session->lives) {
        cluster_violation(nobody(truth), "session %" PRIu64 " is %s, it does not live", id, what);
    }
    return session;
}

/* Opened or attached: it has its whole timeout from now. */
static void grant(const struct truth *truth, struct session *session, uint32_t timeout_ms)
{
    session->timeout_us = (uint64_t)timeout_ms * 1000;
    session->granted_us = now(truth);
    session->heard_us = now(truth);
    session->burst_us = now(truth);
    session->previous_us = now(truth);
    session->gap_us = 0;
}

static void open_session(struct truth *truth, session_id id, uint32_t timeout_ms)
{
    struct session *session = xcalloc(1, sizeof *session);

    if (find_session(truth, id) != NULL) {
        cluster_violation(nobody(truth), "session %" PRIu64 " is opened twice", id);
    }
    session->id = id;
    session->lives = true;
    grant(truth, session, timeout_ms);
    map_insert(&truth->sessions, &session->node, map_hash_u64(id));
    truth->living++;
}

static uint64_t silence(const struct truth *truth, const struct session *session)
{
    uint64_t silent_us = now(truth) - session->heard_us;

    return silent_us > session->gap_us ? silent_us : session->gap_us;
}

/* A server may be cut off for two election timeouts of its slow clock before it knows, and hear
 * clients meanwhile; the leader's clock may be a fast one. */
static bool is_too_early(const struct truth *truth, const struct session *session)
{
    uint64_t drift_ppm = truth->cluster->settings.drift_ppm_max;
    uint64_t unnoticed_us =
        2 * truth->cluster->settings.node.raft.election_timeout_us * PPM / (PPM - drift_ppm);
    uint64_t silent_us = silence(truth, session);

    return silent_us < session->timeout_us / 2 &&
           silent_us + unnoticed_us + UNSEEN_US < session->timeout_us * PPM / (PPM + drift_ppm);
}

static void check_expiry(struct truth *truth, const struct session *session)
{
    truth->counts.expired++;
    if (is_too_early(truth, session)) {
        cluster_violation(nobody(truth),
                          "session %" PRIu64 " expired, it was never silent for more than %" PRIu64
                          " us of its %" PRIu64,
                          session->id, silence(truth, session), session->timeout_us);
    }
    if (truth->quiet_us != 0) {
        uint64_t since_us =
            session->heard_us > truth->quiet_us ? session->heard_us : truth->quiet_us;

        if (now(truth) - since_us > session->timeout_us + LATE_US) {
            cluster_violation(nobody(truth),
                              "session %" PRIu64 " expired only %" PRIu64 " us after its client",
                              session->id, now(truth) - since_us);
        }
    }
}

/* How many of the session's nodes the command may remove at once, and how many it did. */
struct end {
    uint64_t count_max;
    uint64_t count;
};

static struct end end_of(const Record__Command *command, const struct state_result *result)
{
    bool is_expiry = command->body_case == RECORD__COMMAND__BODY_EXPIRE_SESSION;
    struct end end = {.count_max = is_expiry ? command->expire_session->count_max
                                             : command->close_session->count_max};

    for (size_t i = 0; i < result->change_count; i++) {
        end.count += result->changes[i].kind == STATE_REMOVED;
    }
    return end;
}

static void end_session(struct truth *truth, const struct state_change *change, struct end end)
{
    struct session *session = living_session(truth, change->session, "ended");

    if (end.count > end.count_max || (session->ephemerals != 0 && end.count < end.count_max)) {
        cluster_violation(nobody(truth),
                          "session %" PRIu64 " ends at %" PRIu64 ", %" PRIu64
                          " ephemeral nodes go with it, %" PRIu64 " may, and leaves %" PRIu64,
                          session->id, change->zxid, end.count, end.count_max, session->ephemerals);
    }
    if (change->kind == STATE_SESSION_EXPIRED) {
        check_expiry(truth, session);
    }
    session->lives = false;
    truth->living -= session->ephemerals == 0;
    truth->counts.orphans += session->ephemerals;
}

/* An ephemeral node went. Of a session that has ended nothing is left with the last one. */
static void lose_ephemeral(struct truth *truth, session_id owner)
{
    struct session *session = find_session(truth, owner);

    if (session == NULL || session->ephemerals == 0) {
        cluster_violation(nobody(truth), "a node of session %" PRIu64 " is removed, which has none",
                          owner);
        return;
    }
    session->ephemerals--;
    truth->living -= !session->lives && session->ephemerals == 0;
}

void truth_on_contact(struct truth *truth, const struct cluster_server *server, session_id id)
{
    struct session *session = find_session(truth, id);

    if (session == NULL) {
        return;
    }
    if (now(truth) - session->heard_us >= UNSEEN_US) {
        session->previous_us = session->heard_us;
        session->burst_us = now(truth);
    }
    session->gap_us = silence(truth, session);
    session->heard_us = now(truth);
    session->place = server->place;
}

struct death {
    const struct truth *truth;
    size_t place;
};

/* Nobody else knows what a server heard just before it died. */
static void forget_contact(struct map_node *node, void *context)
{
    struct session *session = CONTAINER_OF(node, struct session, node);
    const struct death *death = context;

    if (session->place == death->place && now(death->truth) - session->burst_us < UNSEEN_US) {
        session->heard_us = session->previous_us;
    }
}

void truth_on_stop(struct truth *truth, const struct cluster_server *server)
{
    struct death death = {.truth = truth, .place = server->place};

    map_each(&truth->sessions, forget_contact, &death);
}

struct loss {
    size_t place;
    uint64_t since_us;
};

/* What the leader knows of it is as old as what it was told last, or as the session's own command.
 */
static void lose_contact(struct map_node *node, void *context)
{
    struct session *session = CONTAINER_OF(node, struct session, node);
    const struct loss *loss = context;
    uint64_t known_us = session->granted_us > loss->since_us ? session->granted_us : loss->since_us;

    if (session->place == loss->place && session->heard_us > known_us) {
        session->heard_us = known_us;
    }
}

void truth_on_lost(struct truth *truth, const struct cluster_server *server, uint64_t since_us)
{
    struct loss loss = {.place = server->place, .since_us = since_us};

    map_each(&truth->sessions, lose_contact, &loss);
}

void truth_on_ended(struct truth *truth, const struct cluster_server *server, session_id id)
{
    if (truth_session_lives(truth, id)) {
        cluster_violation(server, "a client is told that session %" PRIu64 " ended, it lives", id);
    }
}

bool truth_session_lives(const struct truth *truth, session_id id)
{
    const struct session *session = find_session(truth, id);

    return session != NULL && session->lives;
}

size_t truth_session_count(const struct truth *truth)
{
    return truth->living;
}

void truth_judge(const struct truth *truth)
{
    struct buffer report = BUFFER_INIT;

    /* To the checkers of histories a session ends with all that it had. */
    if (!settings_ends_are_cut(&truth->cluster->settings) &&
        !recording_judge(truth->recording, &report)) {
        cluster_violation(nobody(truth), "the record of the clients: %.*s", (int)report.size,
                          (const char *)report.data);
    }
    buffer_release(&report);
}

void truth_quiet(struct truth *truth)
{
    truth->quiet_us = now(truth);
}

/* --- Numbered writes --- */

static bool was_executed(const struct state_result *result)
{
    switch ((int)result->error) {
    case OP_SESSION_EXPIRED:
    case OP_SESSION_MOVED:
    case OP_SEQUENCE_GAP:
    case OP_SEQUENCE_FORGOTTEN:
    case OP_TOO_MANY_UNCONFIRMED:
        return false;
    default:
        return true;
    }
}

static void check_answer(const struct cluster_server *server,
                         const struct session *session,
                         uint64_t sequence,
                         const struct state_result *result)
{
    if (sequence == 0 || sequence > session->answer_count) {
        cluster_violation(
            server, "S21: write %" PRIu64 " of session %" PRIu64 " is answered, %zu were executed",
            sequence, session->id, session->answer_count);
    }
    if (session->answers[sequence - 1].hash != hash_of_answer(result)) {
        cluster_violation(server,
                          "S21: write %" PRIu64 " of session %" PRIu64
                          " is answered with another result than at first",
                          sequence, session->id);
    }
}

static void note_numbered(struct truth *truth,
                          const Record__Command *command,
                          const struct state_result *result)
{
    struct session *session;

    if (command->sequence == 0 || !was_executed(result)) {
        return;
    }
    session = living_session(truth, command->session, "written in");
    if (result->repeated) {
        check_answer(nobody(truth), session, command->sequence, result);
        return;
    }
    if (command->sequence != session->answer_count + 1) {
        cluster_violation(nobody(truth),
                          "S21: write %" PRIu64 " of session %" PRIu64 " is executed after %zu",
                          command->sequence, session->id, session->answer_count);
    }
    if (session->answer_count == session->answer_capacity) {
        session->answer_capacity = 2 * session->answer_capacity + 16;
        session->answers =
            xrealloc(session->answers, session->answer_capacity * sizeof *session->answers);
    }
    session->answers[session->answer_count++].hash = hash_of_answer(result);
}

/* --- Effects --- */

static void note_effect(struct truth *truth, uint64_t serial, zxid at)
{
    struct fate *fate;

    CHECK(serial > 0 && serial < truth->fate_count);
    fate = &truth->fates[serial];
    if (fate->effect != 0 && fate->effect != at) {
        cluster_violation(nobody(truth),
                          "S21: write %" PRIu64 " takes effect at %" PRIu64 " and at %" PRIu64,
                          serial, fate->effect, at);
    }
    if (fate->refused) {
        cluster_violation(nobody(truth),
                          "S24: write %" PRIu64 " was refused, and takes effect at %" PRIu64,
                          serial, at);
    }
    truth->counts.effects += fate->effect == 0;
    fate->effect = at;
}

/* By the time of its command, which no node outlives for less than its time to live. */
static void check_swept(struct truth *truth, const struct state_change *change, uint64_t stamp_ms)
{
    struct state_stat stat = state_node_stat(change->before);
    uint64_t ttl_ms = state_node_ttl_ms(change->before);
    bool is_due = stat.child_count == 0 &&
                  (ttl_ms != 0 ? stamp_ms > stat.mtime_ms + ttl_ms
                               : state_node_is_container(change->before) && stat.cversion > 0);

    if (!is_due) {
        cluster_violation(nobody(truth),
                          "%.*s is swept at %" PRIu64 " (%" PRIu64 " ms), it was set at %" PRIu64
                          " ms, lives for %" PRIu64 " ms and has %u children",
                          (int)change->path.size, change->path.data, change->zxid, stamp_ms,
                          stat.mtime_ms, ttl_ms, stat.child_count);
    }
    truth->counts.swept++;
}

static void
check_orphan(const struct truth *truth, const struct state_change *change, session_id owner)
{
    if (truth_session_lives(truth, owner)) {
        cluster_violation(nobody(truth),
                          "%.*s is swept at %" PRIu64 ", its session %" PRIu64 " lives",
                          (int)change->path.size, change->path.data, change->zxid, owner);
    }
}

/* A node is removed with its session, by a client who asks for it, because its session left it, or
 * because it is due. */
static void note_removed(struct truth *truth,
                         const struct state_change *change,
                         const Record__Command *command,
                         uint64_t stamp_ms)
{
    session_id owner = state_node_stat(change->before).ephemeral_owner;
    bool asked = command->body_case == RECORD__COMMAND__BODY_OPERATION ||
                 command->body_case == RECORD__COMMAND__BODY_TRANSACTION;
    session_id ended = command->body_case == RECORD__COMMAND__BODY_EXPIRE_SESSION
                           ? command->expire_session->session
                           : command->session;

    if (command->body_case == RECORD__COMMAND__BODY_SWEEP && owner != 0) {
        check_orphan(truth, change, owner);
    } else if (command->body_case == RECORD__COMMAND__BODY_SWEEP) {
        check_swept(truth, change, stamp_ms);
    } else if (!asked && (owner == 0 || owner != ended)) {
        cluster_violation(nobody(truth), "%.*s is removed at %" PRIu64 ", nobody asked for it",
                          (int)change->path.size, change->path.data, change->zxid);
    }
    if (owner != 0) {
        lose_ephemeral(truth, owner);
    }
}

static void note_change(struct truth *truth,
                        const struct state_change *change,
                        const Record__Command *command,
                        uint64_t stamp_ms,
                        const struct state_result *result)
{
    session_id owner;

    switch (change->kind) {
    case STATE_SESSION_OPENED:
        open_session(truth, change->session, result->timeout_ms);
        return;
    case STATE_SESSION_ATTACHED:
        grant(truth, living_session(truth, change->session, "attached"), result->timeout_ms);
        return;
    case STATE_SESSION_CLOSED:
    case STATE_SESSION_EXPIRED:
        return; /* judged when all that goes with it has gone */
    case STATE_REMOVED:
        note_removed(truth, change, command, stamp_ms);
        break;
    case STATE_CREATED:
        owner = state_node_stat(change->after).ephemeral_owner;
        if (owner != 0) {
            living_session(truth, owner, "the owner of a new node")->ephemerals++;
            truth->counts.ephemerals++;
        }
        break;
    case STATE_VALUE_SET:
    case STATE_ACL_SET:
        break;
    }
    chronicle_add(truth->chronicle, change);
    if ((change->kind == STATE_CREATED || change->kind == STATE_VALUE_SET) &&
        chronicle_serial(change->after) != 0) {
        note_effect(truth, chronicle_serial(change->after), change->zxid);
    }
}

/* The path made is the path asked for and the number of children made there before. */
static void check_sequence(struct truth *truth,
                           const Record__Operation *operation,
                           const struct state_op_result *result)
{
    const Record__Create *create = operation->create;
    char wanted[SUFFIX_BYTES + 2];
    chronicle_path path;

    if (operation->kind_case != RECORD__OPERATION__KIND_CREATE || result->error != OP_OK ||
        (create->mode != RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL &&
         create->mode != RECORD__CREATE_MODE__EPHEMERAL_SEQUENTIAL &&
         create->mode != RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL_TTL)) {
        return;
    }
    truth->counts.sequences++;
    path = chronicle_path_of(truth->chronicle, result->path);
    (void)snprintf(wanted, sizeof wanted, "%010u",
                   (unsigned)chronicle_rank(truth->chronicle, path) & 0x7fffffff);
    if (result->path.size != create->path.len + SUFFIX_BYTES ||
        memcmp(result->path.data, create->path.data, create->path.len) != 0 ||
        memcmp(result->path.data + create->path.len, wanted, SUFFIX_BYTES) != 0) {
        cluster_violation(nobody(truth), "%.*s is made for %.*s, the next number is %s",
                          (int)result->path.size, result->path.data, (int)create->path.len,
                          create->path.data, wanted);
    }
}

static void check_sequences(struct truth *truth,
                            const Record__Command *command,
                            const struct state_result *result)
{
    if (result->error != OP_OK || result->repeated) {
        return;
    }
    if (command->body_case == RECORD__COMMAND__BODY_OPERATION) {
        CHECK_OP(result->operation_count, ==, 1);
        check_sequence(truth, command->operation, &result->operations[0]);
    } else if (command->body_case == RECORD__COMMAND__BODY_TRANSACTION) {
        CHECK_OP(result->operation_count, ==, command->transaction->n_operations);
        for (size_t i = 0; i < result->operation_count; i++) {
            check_sequence(truth, command->transaction->operations[i], &result->operations[i]);
        }
    }
}

/* --- Commands --- */

static struct outcome *outcome_at(struct truth *truth, zxid at)
{
    while (truth->outcome_count <= at) {
        if (truth->outcome_count == truth->outcome_capacity) {
            truth->outcome_capacity = 2 * truth->outcome_capacity + 256;
            truth->outcomes =
                xrealloc(truth->outcomes, truth->outcome_capacity * sizeof *truth->outcomes);
        }
        truth->outcomes[truth->outcome_count++] = (struct outcome){.applied = false};
    }
    return &truth->outcomes[at];
}

static void note_first(struct truth *truth, struct bytes entry, const struct state_result *result)
{
    Record__Command *command = NULL;

    if (entry.size >= STAMP_BYTES) {
        command = record__command__unpack(NULL, entry.size - STAMP_BYTES, entry.data + STAMP_BYTES);
    }
    CHECK(command != NULL);
    truth->counts.repeated += result->repeated;
    for (size_t i = 0; i < result->change_count; i++) {
        note_change(truth, &result->changes[i], command, bytes_load_u64(entry.data), result);
        recording_applied(truth->recording, &result->changes[i]);
    }
    if (command->body_case == RECORD__COMMAND__BODY_SWEEP) {
        recording_swept(truth->recording, result);
    }
    for (size_t i = 0; i < result->change_count; i++) {
        if (result->changes[i].kind == STATE_SESSION_CLOSED ||
            result->changes[i].kind == STATE_SESSION_EXPIRED) {
            end_session(truth, &result->changes[i], end_of(command, result));
        }
    }
    quotas_on_command(truth->quotas, nobody(truth), command, result);
    note_numbered(truth, command, result);
    check_sequences(truth, command, result);
    record__command__free_unpacked(command, NULL);
}

static void check_digest(const struct cluster_server *server,
                         zxid at,
                         struct outcome *outcome,
                         struct state_digest digest)
{
    if (outcome->digested && (outcome->digest.record_count != digest.record_count ||
                              outcome->digest.sum != digest.sum)) {
        cluster_violation(server, "S20: the state at %" PRIu64 " differs from that of others", at);
    }
    outcome->digested = true;
    outcome->digest = digest;
}

/* Whether the outcome is the first one seen of this entry; it must be that of all others. */
static bool take_outcome(struct truth *truth,
                         zxid at,
                         const struct state_result *result,
                         struct state_digest digest)
{
    struct outcome *outcome = outcome_at(truth, at);
    uint64_t hash = hash_of_outcome(result);
    bool is_first = !outcome->applied;

    if (outcome->applied && outcome->hash != hash) {
        cluster_violation(nobody(truth),
                          "S20: entry %" PRIu64 " has another outcome than elsewhere", at);
    }
    check_digest(nobody(truth), at, outcome, digest);
    outcome->applied = true;
    outcome->hash = hash;
    return is_first;
}

bool truth_on_applied(struct truth *truth,
                      zxid at,
                      struct bytes entry,
                      const struct state_result *result,
                      struct state_digest digest)
{
    bool is_first = take_outcome(truth, at, result, digest);

    if (is_first) {
        note_first(truth, entry, result);
    }
    return is_first;
}

/* The record does not know it: no client writes or reads that node. */
void truth_on_config(struct truth *truth,
                     zxid at,
                     const struct state_result *result,
                     struct state_digest digest)
{
    bool is_first = take_outcome(truth, at, result, digest);

    for (size_t i = 0; is_first && i < result->change_count; i++) {
        chronicle_add(truth->chronicle, &result->changes[i]);
    }
}

void truth_on_state(struct truth *truth,
                    const struct cluster_server *server,
                    zxid at,
                    struct state_digest digest)
{
    check_digest(server, at, outcome_at(truth, at), digest);
}

/* --- Clients --- */

uint64_t truth_next_serial(struct truth *truth)
{
    if (truth->fate_count >= truth->fate_capacity) {
        truth->fate_capacity = 2 * truth->fate_capacity + 256;
        truth->fates = xrealloc(truth->fates, truth->fate_capacity * sizeof *truth->fates);
    }
    truth->fates[truth->fate_count] = (struct fate){.effect = 0};
    return truth->fate_count++;
}

void truth_on_repeated(struct truth *truth,
                       const struct cluster_server *server,
                       const struct truth_write *write,
                       const struct state_result *result)
{
    const struct session *session;

    if (write->sequence == 0 || !was_executed(result)) {
        return;
    }
    session = find_session(truth, write->session);
    if (session == NULL) {
        cluster_violation(server, "S21: a write of the unknown session %" PRIu64 " is answered",
                          write->session);
    }
    check_answer(server, session, write->sequence, result);
}

void truth_on_acknowledged(struct truth *truth,
                           const struct cluster_server *server,
                           const struct truth_write *write,
                           const struct state_result *result)
{
    const struct fate *fate = &truth->fates[write->serial];

    truth_on_repeated(truth, server, write, result);
    if (write->marked && (fate->effect == 0 || fate->effect != result->zxid)) {
        cluster_violation(server,
                          "S24: write %" PRIu64 " is acknowledged at %" PRIu64
                          ", its effect is at %" PRIu64,
                          write->serial, result->zxid, fate->effect);
    }
    truth->counts.acknowledged++;
}

void truth_on_refused(struct truth *truth,
                      const struct cluster_server *server,
                      const struct truth_write *write,
                      const struct state_result *result)
{
    struct fate *fate = &truth->fates[write->serial];

    if (result != NULL) {
        truth_on_repeated(truth, server, write, result);
    }
    if (fate->effect != 0) {
        cluster_violation(server, "S24: write %" PRIu64 " is refused, it took effect at %" PRIu64,
                          write->serial, fate->effect);
    }
    fate->refused = true;
}
