#include "tests/simulation/operator.h"

#include "base/alloc.h"
#include "base/check.h"
#include "tests/simulation/membership_call.h"
#include "tests/simulation/second_operator.h"
#include "tests/simulation/tolerance.h"

#include <stdlib.h>
#include <string.h>

enum {
    TICK_US = 50 * 1000,
    DISPUTE_US = 45 * 1000 * 1000, /* members may settle it; they find what does not add up */
    STATUS_PERMILLE = 300
};

struct operator
{
    struct cluster *cluster;
    struct membership_call call;
    struct second_operator *second;
    struct prng prng;
    struct plan_cursor cursor;
    struct timeline_event tick;
    bool has_cluster;
    uint64_t learner_count; /* of those to begin with that were added */
    bool quiet;
    bool last_was_refused;
    /* The last command, to be asked for again when it succeeded. */
    bool last_is_exact;     /* repeated, nothing may speak against it */
    uint64_t last_asked_us; /* for the first time */
    uint64_t last_lives;    /* of the server that was to be added */
    bool last_succeeded;
    bool is_repeated;
    bool mends;
    uint64_t mends_since_us;
    raft_id leaving;    /* is being removed to be mended; 0 = none */
    uint64_t returning; /* bits: were wiped for that, and are not what they shall be yet */
    uint64_t next_us;
    struct operator_counts counts;
};

static void on_status(void *context)
{
    struct operator* self = context;

    self->counts.looked++;
}

/* Disks that the server had which the last command is to add; 0: it adds none. */
static uint64_t lives_of_added(const struct operator* self)
{
    Client__Request *request = membership_command_unpack(&self->call.command);
    uint64_t lives = 0;

    if (request->body_case == CLIENT__REQUEST__BODY_ADD_LEARNER) {
        lives = cluster_by_id(self->cluster, request->add_learner->node->id)->lives;
    }
    client__request__free_unpacked(request, NULL);
    return lives;
}

/* Nothing of before is under way any more, nobody asked for anything else since the last command
 * was asked for first, and a server that it added has the disk that it had. */
static bool is_undisturbed(const struct operator* self)
{
    return self->call.asked_us > self->call.certain_us &&
           second_operator_call(self->second)->asked_us < self->last_asked_us &&
           lives_of_added(self) == self->last_lives;
}

static void on_answer(void *context, const Client__Response *response)
{
    struct operator* self = context;
    const struct settings *settings = &self->cluster->settings;

    if (response->code == CLIENT__CODE__OK) {
        self->counts.done++;
        self->learner_count += self->has_cluster && self->learner_count < settings->first_learners;
        self->has_cluster |= self->call.command.kind == CLIENT__REQUEST__BODY_INIT;
    }
    if (self->is_repeated && self->last_succeeded && self->last_is_exact && is_undisturbed(self) &&
        response->code == CLIENT__CODE__CONFLICT) {
        cluster_violation(self->call.server,
                          "S33: a membership command that held is refused when repeated: "
                          "%s",
                          response->message);
    }
    self->last_succeeded = response->code == CLIENT__CODE__OK;
    self->last_was_refused = response->code == CLIENT__CODE__CONFLICT;
}

/* A learner becomes a voter by itself, at any moment: that change is in the way of others. */
static bool is_promotion_due(const struct operator* self)
{
    for (size_t place = 0; place < self->cluster->settings.places; place++) {
        const struct cluster_server *server = &self->cluster->servers[place];
        const struct raft_config *config =
            server->node == NULL ? NULL : raft_config_effective(node_raft(server->node));

        for (uint32_t i = 0; config != NULL && i < config->member_count; i++) {
            if ((config->members[i].flags & RAFT_PROMOTE) != 0) {
                return true;
            }
        }
    }
    return false;
}

static struct cluster_server *draw_server(struct operator* self)
{
    const struct settings *settings = &self->cluster->settings;
    uint64_t places = self->has_cluster ? settings->places : settings->first_members;

    return &self->cluster->servers[prng_below(&self->prng, places)];
}

/* Some server's configuration names a folder that the server which is to be added had before. Who
 * does not see it takes it for a member that is away, as long as it is. */
static bool is_named_by_a_former_folder(const struct operator* self,
                                        const struct membership_command *command)
{
    Client__Request *request = membership_command_unpack(command);
    const struct cluster_server *added =
        cluster_by_id(self->cluster, request->add_learner->node->id);
    bool is_named = false;

    for (size_t place = 0; place < self->cluster->settings.places; place++) {
        const struct cluster_server *server = &self->cluster->servers[place];
        const struct raft_member *member =
            server->node == NULL
                ? NULL
                : raft_config_find(raft_config_effective(node_raft(server->node)), added->id);

        is_named = is_named || (member != NULL && memcmp(member->incarnation, added->incarnation,
                                                         RAFT_INCARNATION_BYTES) != 0);
    }
    client__request__free_unpacked(request, NULL);
    return is_named;
}

/* Asked for again after it is done, it is done; a promotion may speak against the set of voters. */
static bool is_exact(const struct operator* self, const struct membership_command *command)
{
    if (membership_call_may_change(second_operator_call(self->second))) {
        return false;
    }
    switch ((int)command->kind) {
    case CLIENT__REQUEST__BODY_ADD_LEARNER:
        return !is_named_by_a_former_folder(self, command);
    case CLIENT__REQUEST__BODY_CANCEL_CHANGE:
        return true;
    case CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP:
    case CLIENT__REQUEST__BODY_REMOVE_MEMBER:
        return !is_promotion_due(self);
    default:
        return false;
    }
}

static void ask(struct operator* self, const struct membership_command *command)
{
    if (!membership_call_ask(&self->call, command, draw_server(self))) {
        return;
    }
    if (!self->is_repeated) {
        self->last_succeeded = false;
        self->last_asked_us = self->call.asked_us;
        self->last_lives = lives_of_added(self);
        self->last_is_exact = is_exact(self, command);
    }
    self->counts.asked++;
    self->counts.repeated += self->is_repeated ? 1 : 0;
}

/* What the other one asked for may come before or after this. */
static bool is_free(const struct operator* self)
{
    return !membership_call_may_change(second_operator_call(self->second)) ||
           tolerance_is_whole(self->cluster);
}

static void ask_wisely(struct operator* self, const struct membership_command *command)
{
    if (self->mends || (is_free(self) && membership_command_is_wise(self->cluster, command))) {
        ask(self, command);
    }
}

/* In the configuration of no server, all of them running: its disk may be taken away. */
static bool is_stranger(struct operator* self, raft_id id)
{
    for (size_t i = 0; i < self->cluster->settings.places; i++) {
        const struct cluster_server *server = &self->cluster->servers[i];
        const struct raft_config *config;
        raft_index index;

        if (server->node == NULL) {
            return false;
        }
        config = raft_config_committed(node_raft(server->node), &index);
        if (server->id != id &&
            (raft_config_find(raft_config_effective(node_raft(server->node)), id) != NULL ||
             raft_config_find(config, id) != NULL)) {
            return false;
        }
    }
    return true;
}

static void add_learner(struct operator* self, struct cluster_server *server, bool promote)
{
    struct membership_command command = membership_command_add(server, promote);

    ask_wisely(self, &command);
}

static void ask_add_learner(struct operator* self, raft_id id)
{
    struct cluster_server *server = cluster_by_id(self->cluster, id);

    if (raft_config_find(membership_command_config(self->cluster), id) == NULL &&
        self->call.is_certain && !membership_call_may_change(second_operator_call(self->second)) &&
        disk_log(server->disk).term > 0 && is_stranger(self, id) &&
        !cluster_has_unknown_copy(self->cluster)) {
        cluster_crash(server, false);
        cluster_wipe(server);
        cluster_start(server);
        self->counts.wiped++;
    }
    add_learner(self, server, timeline_chance(&self->prng, 500));
}

static void ask_change(struct operator* self, const struct raft_config *config)
{
    struct membership_command command = membership_command_draw_change(config, &self->prng);

    if (command.bytes > 0) {
        ask_wisely(self, &command);
    }
}

static void ask_remove(struct operator* self, raft_id id)
{
    struct membership_command command = membership_command_remove(id);

    ask_wisely(self, &command);
}

static void ask_init(struct operator* self)
{
    struct membership_command command = membership_command_init(self->cluster);

    ask(self, &command);
}

static void ask_transfer(struct operator* self, raft_id target)
{
    struct membership_command command = membership_command_transfer(target);

    ask(self, &command);
}

static void ask_cancel(struct operator* self)
{
    struct membership_command command = membership_command_cancel();

    ask(self, &command);
}

/* As somebody does who did not get the answer. */
static void ask_again(struct operator* self)
{
    struct membership_command command = self->call.command;

    self->is_repeated = true;
    ask_wisely(self, &command);
}

static void ask_something(struct operator* self)
{
    const struct raft_config *config = membership_command_config(self->cluster);
    raft_id id = 1 + prng_below(&self->prng, self->cluster->settings.places);
    uint64_t choice = prng_below(&self->prng, 14);
    bool again = timeline_chance(&self->prng, 150);

    if (timeline_chance(&self->prng, STATUS_PERMILLE)) {
        membership_call_look(&self->call, draw_server(self));
        return;
    }
    if (config == NULL) {
        return;
    }
    self->is_repeated = false;
    if (again) {
        ask_again(self);
    } else if (choice >= 12) {
        ask_cancel(self);
    } else if (choice >= 10 && raft_config_find(config, id) != NULL) {
        ask_add_learner(self, id); /* a member: it is to be promoted, perhaps */
    } else if (raft_config_find(config, id) == NULL) {
        ask_add_learner(self, id);
    } else if (choice < 6) {
        ask_change(self, config);
    } else if (choice < 8) {
        ask_remove(self, id);
    } else {
        ask_transfer(self, choice == 8 ? 0 : id);
    }
}

/* One whose folder was found to be an old copy; NULL. */
static struct cluster_server *find_superseded(struct operator* self)
{
    for (size_t i = 0; i < self->cluster->settings.places; i++) {
        if (self->cluster->servers[i].is_old_copy && self->cluster->servers[i].lost) {
            return &self->cluster->servers[i];
        }
    }
    return NULL;
}

static bool is_disputed(struct operator* self, const struct cluster_server *server)
{
    for (size_t place = 0; place < self->cluster->settings.places; place++) {
        const struct node *other = self->cluster->servers[place].node;

        if ((other != NULL && node_disputes_with(other, server->id)) ||
            (server->node != NULL && node_disputes_with(server->node, place + 1))) {
            return true;
        }
    }
    return false;
}

/* One in a dispute with others, and no majority says who is wrong. Who is wrong in truth, the
 * operator has found out. The leader first, for others may get their state from it. NULL. */
static struct cluster_server *find_disputed(struct operator* self)
{
    struct cluster_server *found = NULL;

    for (size_t place = 0; place < self->cluster->settings.places; place++) {
        struct cluster_server *server = &self->cluster->servers[place];

        if (cluster_has_diverged(server) && is_disputed(self, server) &&
            (found == NULL ||
             (server->node != NULL && raft_status(node_raft(server->node)).role == RAFT_LEADER))) {
            found = server;
        }
    }
    return found;
}

/* It is too far behind to be compared with one that it is in dispute with. */
static bool is_beyond_comparison(struct operator* self, const struct cluster_server *server)
{
    for (size_t place = 0; place < self->cluster->settings.places; place++) {
        const struct cluster_server *other = &self->cluster->servers[place];

        if (other->node != NULL && node_applied(server->node) < other->known_from &&
            (node_disputes_with(other->node, server->id) ||
             node_disputes_with(server->node, other->id))) {
            return true;
        }
    }
    return false;
}

/* It is in dispute with a folder that was wiped since, and lags too far to learn that. */
static bool is_about_what_is_gone(struct operator* self, const struct cluster_server *server)
{
    const struct raft_config *config = raft_config_effective(node_raft(server->node));

    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct raft_member *member = &config->members[i];

        if (node_disputes_with(server->node, member->id) &&
            memcmp(member->incarnation, cluster_by_id(self->cluster, member->id)->incarnation,
                   RAFT_INCARNATION_BYTES) != 0) {
            return true;
        }
    }
    return false;
}

/* A member whose disk is gone while others are in dispute with it: they are as long as it is one,
 * and all that get their state from them. NULL. */
static struct cluster_server *find_gone(struct operator* self)
{
    const struct raft_config *config = membership_command_config(self->cluster);

    for (uint32_t i = 0; config != NULL && i < config->member_count; i++) {
        struct cluster_server *server = cluster_by_id(self->cluster, config->members[i].id);

        if (is_disputed(self, server) && memcmp(config->members[i].incarnation, server->incarnation,
                                                RAFT_INCARNATION_BYTES) != 0) {
            return server;
        }
    }
    return NULL;
}

/* One in a dispute that nothing can end any more. NULL. */
static struct cluster_server *find_left_behind(struct operator* self)
{
    struct cluster_server *gone = find_gone(self);

    if (gone != NULL) {
        return gone;
    }
    for (size_t place = 0; place < self->cluster->settings.places; place++) {
        struct cluster_server *server = &self->cluster->servers[place];

        if (server->node != NULL &&
            (is_beyond_comparison(self, server) || is_about_what_is_gone(self, server))) {
            return server;
        }
    }
    return NULL;
}

/* The first of those that were wiped and are not what they shall be yet; 0 = none. */
static raft_id first_returning(const struct operator* self)
{
    for (raft_id id = 1; id <= self->cluster->settings.places; id++) {
        if ((self->returning >> id & 1) != 0) {
            return id;
        }
    }
    return 0;
}

/* All that are known to be wrong have to go before one is added: it may get its state from one. */
static raft_id find_broken(struct operator* self)
{
    const struct cluster_server *server = NULL;

    if (self->leaving != 0) {
        return self->leaving;
    }
    if (self->cluster->timeline->now_us - self->mends_since_us >= DISPUTE_US) {
        server = find_disputed(self);
        server = server == NULL && self->returning == 0 ? find_left_behind(self) : server;
    }
    if (server == NULL && self->returning == 0) {
        server = find_superseded(self);
    }
    return server != NULL ? server->id : 0;
}

/* The leader has heard nothing of it for an election timeout. */
static bool is_silent(const struct node *leader, raft_id id)
{
    struct raft_peer_status peer;

    return raft_peer_status(node_raft(leader), id, &peer) == STATUS_OK && !peer.active;
}

/* Whom the leader holds back for a dispute, who does not answer it, or whose disk is gone, while
 * another voter is right; 0 = nobody. */
static raft_id find_obstacle(struct operator* self, const struct raft_config *config)
{
    const struct node *leader = NULL;
    raft_id obstacle = 0;
    bool is_needless = false;

    for (size_t place = 0; place < self->cluster->settings.places; place++) {
        const struct node *node = self->cluster->servers[place].node;

        if (node != NULL && raft_status(node_raft(node)).role == RAFT_LEADER) {
            leader = node;
        }
    }
    for (uint32_t i = 0; leader != NULL && i < config->member_count; i++) {
        raft_id id = config->members[i].id;
        struct cluster_server *server = cluster_by_id(self->cluster, id);
        bool is_gone = memcmp(config->members[i].incarnation, server->incarnation,
                              RAFT_INCARNATION_BYTES) != 0;

        if (is_gone || node_holds_back(leader, id) || is_silent(leader, id)) {
            obstacle = id;
        } else if (raft_config_is_voter(config, id) && !cluster_has_diverged(server)) {
            is_needless = true;
        }
    }
    return is_needless ? obstacle : 0;
}

static void take_out(struct operator* self, raft_id id, const struct raft_config *config)
{
    struct cluster_server *server = cluster_by_id(self->cluster, id);

    self->leaving = id;
    if (raft_config_find(config, id) != NULL) {
        ask_remove(self, id);
        return;
    }
    if (server->node != NULL) {
        cluster_crash(server, false);
    }
    cluster_wipe(server);
    cluster_start(server);
    self->counts.mended++;
    self->leaving = 0;
    self->returning |= UINT64_C(1) << id;
}

static bool has_room_for_a_voter(const struct raft_config *config)
{
    size_t count = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        count += (config->members[i].flags & (RAFT_VOTER_NEW | RAFT_PROMOTE)) != 0;
    }
    return count < RAFT_VOTERS_MAX;
}

/* As a voter, if there may be one more. */
static void bring_back(struct operator* self, raft_id id, const struct raft_config *config)
{
    const struct raft_member *member = raft_config_find(config, id);

    if (member == NULL) {
        add_learner(self, cluster_by_id(self->cluster, id), has_room_for_a_voter(config));
    } else if ((member->flags & RAFT_PROMOTE) == 0) {
        self->returning &= ~(UINT64_C(1) << id);
    }
}

/* The next step of docs/OPERATIONS.md, "A folder that is not the one that was lost" and "Damage".
 */
static void mend(struct operator* self)
{
    raft_id broken = find_broken(self);
    raft_id returning = first_returning(self);
    const struct raft_config *config = membership_command_config(self->cluster);

    if (config == NULL) {
        return;
    }
    self->is_repeated = false;
    if (broken != 0 && self->last_was_refused && find_obstacle(self, config) != 0) {
        broken = find_obstacle(self, config);
    }
    if (broken != 0) {
        take_out(self, broken, config);
    } else if (returning != 0) {
        bring_back(self, returning, config);
    }
}

void operator_on_stop(struct operator* self, struct cluster_server *server)
{
    if (self->call.server == server) {
        membership_call_close(&self->call);
    }
    second_operator_on_stop(self->second, server);
}

static bool is_due(struct operator* self)
{
    uint64_t now_us = self->cluster->timeline->now_us;

    if (plan_is_replayed(self->cluster->plan)) {
        return plan_delay(self->cluster->plan, &self->cursor, now_us, &self->prng, 1) == 0;
    }
    return self->cluster->settings.membership_interval_us != 0 && now_us >= self->next_us;
}

static void run(struct operator* self)
{
    const struct settings *settings = &self->cluster->settings;
    uint64_t now_us = self->cluster->timeline->now_us;

    if (self->call.is_open) {
        if (membership_call_finish(&self->call)) {
            self->next_us =
                now_us + prng_below(&self->prng, 2 * settings->membership_interval_us + TICK_US);
        }
    } else if (!self->has_cluster) {
        ask_init(self);
    } else if (self->learner_count < settings->first_learners) {
        add_learner(self,
                    cluster_by_id(self->cluster, settings->first_members + self->learner_count + 1),
                    false);
    } else if (!self->quiet && is_due(self)) {
        prng_init(&self->prng, plan_seed(self->cluster->plan, &self->cursor, now_us, &self->prng));
        ask_something(self);
    } else if (self->mends && !second_operator_call(self->second)->is_open) {
        mend(self);
    }
}

static void tick(struct timeline_event *event)
{
    struct operator* self = CONTAINER_OF(event, struct operator, tick);

    run(self);
    timeline_after(self->cluster->timeline, &self->tick, TICK_US, tick);
}

struct operator* operator_new(struct cluster *cluster, struct oracle *oracle)
{
    struct operator* self = xcalloc(1, sizeof *self);

    self->cluster = cluster;
    membership_call_init(&self->call, cluster, oracle, 0);
    self->call.context = self;
    self->call.on_answer = on_answer;
    self->call.on_status = on_status;
    self->second = second_operator_new(cluster, oracle, &self->call);
    self->quiet = true;
    self->cursor.kind = PLAN_OPERATOR;
    prng_init(&self->prng, cluster->settings.seed * 13 + 4);
    timeline_after(cluster->timeline, &self->tick, TICK_US, tick);
    return self;
}

void operator_free(struct operator* self)
{
    CHECK(!self->call.is_open);
    timeline_cancel(self->cluster->timeline, &self->tick);
    second_operator_free(self->second);
    free(self);
}

bool operator_has_cluster(const struct operator* self)
{
    return self->has_cluster && self->learner_count == self->cluster->settings.first_learners;
}

void operator_begin(struct operator* self)
{
    self->quiet = false;
    second_operator_begin(self->second);
}

void operator_quiet(struct operator* self)
{
    self->quiet = true;
    second_operator_quiet(self->second);
}

void operator_mend(struct operator* self)
{
    self->mends = true;
    self->mends_since_us = self->cluster->timeline->now_us;
    prng_init(&self->prng, self->cluster->settings.seed * 31 + 6);
}

bool operator_is_idle(const struct operator* self)
{
    return !self->call.is_open && !second_operator_call(self->second)->is_open &&
           self->leaving == 0 && self->returning == 0;
}

struct operator_counts operator_counts(const struct operator* self)
{
    struct operator_counts counts = self->counts;

    counts.second = second_operator_counts(self->second);
    return counts;
}
