#include "tests/simulation/operator.h"

#include "base/alloc.h"
#include "base/check.h"
#include "tests/simulation/tolerance.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICK_US = 50 * 1000,
    PATIENCE_US = 40 * 1000 * 1000, /* longer than servers try */
    DISPUTE_US = 45 * 1000 * 1000,  /* members may settle it; they find what does not add up */
    REPEATED_BYTES_MAX = 256,
    STATUS_PERMILLE = 300
};

struct operator
{
    struct cluster *cluster;
    struct oracle *oracle;
    struct prng prng;
    struct plan_cursor cursor;
    struct timeline_event tick;
    struct cluster_server *server;
    struct client *client;
    bool waiting;
    bool answered; /* close the connection */
    bool is_init;
    bool has_cluster;
    uint64_t learner_count; /* of those to begin with that were added */
    bool quiet;
    bool last_was_certain; /* how the last command ended is known */
    bool last_was_refused;
    /* The last command, to be asked for again when it succeeded. */
    uint8_t last[REPEATED_BYTES_MAX];
    size_t last_bytes;
    bool last_is_exact; /* repeated, nothing may speak against it */
    bool last_succeeded;
    bool is_repeated;
    bool mends;
    uint64_t mends_since_us;
    raft_id leaving;     /* is being removed to be mended; 0 = none */
    uint64_t returning;  /* bits: were wiped for that, and are not what they shall be yet */
    uint64_t certain_us; /* from then on no server tries an earlier command any more */
    uint64_t asked_us;
    uint64_t next_us;
    uint64_t patience_us;
    struct operator_counts counts;
};

static void on_status(struct operator* self, const struct reply *reply)
{
    if (reply->code == CLIENT__CODE__OK) {
        self->counts.looked++;
        oracle_on_status(self->oracle, self->server, reply->status);
    }
    self->answered = true;
}

static void on_answer(struct operator* self, const struct reply *reply)
{
    const struct settings *settings = &self->cluster->settings;
    struct timeline *timeline = self->cluster->timeline;
    Client__Response *response =
        client__response__unpack(NULL, reply->relayed.size, reply->relayed.data);

    CHECK(response != NULL);
    timeline_mix(timeline, (uint64_t)response->code);
    timeline_trace(timeline, "operator: code %d %s", (int)response->code, response->message);
    if (response->code == CLIENT__CODE__OK) {
        self->counts.done++;
        self->learner_count += self->has_cluster && self->learner_count < settings->first_learners;
        self->has_cluster |= self->is_init;
    }
    if (self->is_repeated && self->last_succeeded && self->last_is_exact &&
        self->asked_us > self->certain_us && response->code == CLIENT__CODE__CONFLICT) {
        cluster_violation(self->server,
                          "a membership command that held is refused when repeated: "
                          "%s",
                          response->message);
    }
    self->last_succeeded = response->code == CLIENT__CODE__OK;
    self->last_was_certain = response->code != CLIENT__CODE__UNKNOWN_OUTCOME;
    self->last_was_refused = response->code == CLIENT__CODE__CONFLICT;
    if (self->last_was_certain) {
        self->cluster->changes_until_us = self->certain_us;
    }
    self->answered = true;
    client__response__free_unpacked(response, NULL);
}

static void on_reply(void *context, const struct request *request, const struct reply *reply)
{
    if (request->kind == REQUEST_STATUS) {
        on_status(context, reply);
    } else {
        on_answer(context, reply);
    }
}

static void on_events(void *context,
                      uint64_t watch,
                      bool with_values,
                      const struct watch_event *events,
                      size_t count,
                      zxid up_to,
                      bool lost)
{
    (void)context;
    (void)watch;
    (void)with_values;
    (void)events;
    (void)count;
    (void)up_to;
    (void)lost;
    CHECK(false);
}

static void on_notice(void *context, Client__NoticeKind kind, Client__Code code)
{
    (void)context;
    (void)kind;
    (void)code;
}

static size_t output_bytes(void *context)
{
    (void)context;
    return 0;
}

static bool open_connection(struct operator* self)
{
    static const struct client_callbacks callbacks = {.on_reply = on_reply,
                                                      .on_events = on_events,
                                                      .on_notice = on_notice,
                                                      .output_bytes = output_bytes};
    size_t place =
        (size_t)prng_below(&self->prng, self->has_cluster ? self->cluster->settings.places
                                                          : self->cluster->settings.first_members);

    if (!cluster_is_awake(&self->cluster->servers[place])) {
        return false;
    }
    self->server = &self->cluster->servers[place];
    self->client = client_open(self->server->node, &callbacks, self);
    return true;
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

static void ask(struct operator* self, Client__Request *asked)
{
    struct request *request;
    size_t size;
    uint8_t *packed;

    if (!open_connection(self)) {
        return;
    }
    asked->id = 1;
    request = request_new(REQUEST_MEMBERSHIP);
    request->id = 1;
    size = client__request__get_packed_size(asked);
    packed = arena_alloc(&request->arena, size);
    (void)client__request__pack(asked, packed);
    request->membership.encoded = bytes_of(packed, size);
    self->is_init = asked->body_case == CLIENT__REQUEST__BODY_INIT;
    if (!self->last_was_certain) {
        self->certain_us = self->cluster->timeline->now_us + PATIENCE_US;
    }
    if (!self->is_repeated) {
        self->last_succeeded = false;
        self->last_bytes = size <= sizeof self->last ? size : 0;
        memcpy(self->last, packed, self->last_bytes);
        self->last_is_exact = asked->body_case == CLIENT__REQUEST__BODY_CANCEL_CHANGE ||
                              ((asked->body_case == CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP ||
                                asked->body_case == CLIENT__REQUEST__BODY_REMOVE_MEMBER) &&
                               !is_promotion_due(self));
    }
    self->asked_us = self->cluster->timeline->now_us;
    self->waiting = true;
    self->answered = false;
    self->last_was_certain = false;
    self->patience_us = self->cluster->timeline->now_us + PATIENCE_US;
    self->cluster->changes_until_us = self->patience_us;
    self->counts.asked++;
    self->counts.repeated += self->is_repeated ? 1 : 0;
    timeline_trace(self->cluster->timeline, "operator: asks %" PRIu64 " for %d", self->server->id,
                   (int)asked->body_case);
    client_submit(self->client, request);
    cluster_poke(self->server);
}

static void ask_init(struct operator* self)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Init init = CLIENT__INIT__INIT;
    Client__NodeAddress nodes[NETWORK_PLACES_MAX];
    Client__NodeAddress *pointers[NETWORK_PLACES_MAX];

    for (size_t i = 0; i < self->cluster->settings.first_members; i++) {
        client__node_address__init(&nodes[i]);
        nodes[i].id = i + 1;
        nodes[i].address = self->cluster->servers[i].address;
        pointers[i] = &nodes[i];
    }
    init.nodes = pointers;
    init.n_nodes = self->cluster->settings.first_members;
    request.body_case = CLIENT__REQUEST__BODY_INIT;
    request.init = &init;
    ask(self, &request);
}

/* The configuration as some running server has it. */
static const struct raft_config *some_config(struct operator* self)
{
    const struct raft_config *best = NULL;
    raft_index best_index = 0;

    for (size_t i = 0; i < self->cluster->settings.places; i++) {
        if (self->cluster->servers[i].node != NULL) {
            const struct raft *raft = node_raft(self->cluster->servers[i].node);
            raft_index index = raft_status(raft).config_index;

            if (best == NULL || index > best_index) {
                best = raft_config_effective(raft);
                best_index = index;
            }
        }
    }
    return best;
}

/* The voters there are but for `without`, and `with` among them; 0 = nobody. */
static size_t list_voters(const struct raft_config *config,
                          raft_id without,
                          raft_id with,
                          uint64_t voters[NETWORK_PLACES_MAX])
{
    size_t count = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct raft_member *member = &config->members[i];

        if ((member->flags & RAFT_VOTER_NEW) != 0 && member->id != without && member->id != with) {
            voters[count++] = member->id;
        }
    }
    if (with != 0) {
        voters[count++] = with;
    }
    return count;
}

/* Whether the voters that would be left can go on, and nobody new meets a server on an old copy:
 * an operator who asks for more than that is promised nothing. */
static bool is_wise(struct operator* self, const Client__Request *request)
{
    const struct raft_config *config = some_config(self);
    uint64_t voters[NETWORK_PLACES_MAX];
    size_t count;

    if (request->body_case == CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP) {
        count = request->change_membership->n_voters;
        memcpy(voters, request->change_membership->voters, count * sizeof voters[0]);
    } else if (request->body_case == CLIENT__REQUEST__BODY_REMOVE_MEMBER) {
        count = list_voters(config, request->remove_member->id, 0, voters);
    } else if (request->body_case == CLIENT__REQUEST__BODY_ADD_LEARNER) {
        count = list_voters(
            config, 0, request->add_learner->promote ? request->add_learner->node->id : 0, voters);
    } else {
        return true;
    }
    return !cluster_has_unknown_copy(self->cluster) &&
           (count == 0 || tolerance_permits(self->cluster, config, voters, count));
}

static void ask_wisely(struct operator* self, Client__Request *request)
{
    if (self->mends || is_wise(self, request)) {
        ask(self, request);
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
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__AddLearner add = CLIENT__ADD_LEARNER__INIT;
    Client__NodeAddress node;

    client__node_address__init(&node);
    node.id = server->id;
    node.address = server->address;
    add.node = &node;
    add.promote = promote;
    request.body_case = CLIENT__REQUEST__BODY_ADD_LEARNER;
    request.add_learner = &add;
    ask_wisely(self, &request);
}

static void ask_add_learner(struct operator* self, raft_id id)
{
    struct cluster_server *server = cluster_by_id(self->cluster, id);

    if (raft_config_find(some_config(self), id) == NULL && self->last_was_certain &&
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
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__ChangeMembership change = CLIENT__CHANGE_MEMBERSHIP__INIT;
    uint64_t voters[NETWORK_PLACES_MAX];
    size_t count = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        if (timeline_chance(&self->prng, 700)) {
            voters[count++] = config->members[i].id;
        }
    }
    if (count == 0) {
        return;
    }
    change.voters = voters;
    change.n_voters = count;
    change.force = timeline_chance(&self->prng, 150);
    if (change.force) {
        oracle_on_force(self->oracle, voters, count);
    }
    request.body_case = CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP;
    request.change_membership = &change;
    ask_wisely(self, &request);
}

static void ask_remove(struct operator* self, raft_id id)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__RemoveMember remove = CLIENT__REMOVE_MEMBER__INIT;

    remove.id = id;
    request.body_case = CLIENT__REQUEST__BODY_REMOVE_MEMBER;
    request.remove_member = &remove;
    ask_wisely(self, &request);
}

static void ask_transfer(struct operator* self, raft_id target)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__TransferLeader transfer = CLIENT__TRANSFER_LEADER__INIT;

    transfer.target = target;
    request.body_case = CLIENT__REQUEST__BODY_TRANSFER_LEADER;
    request.transfer_leader = &transfer;
    ask(self, &request);
}

static void ask_cancel(struct operator* self)
{
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__CancelChange cancel = CLIENT__CANCEL_CHANGE__INIT;

    request.body_case = CLIENT__REQUEST__BODY_CANCEL_CHANGE;
    request.cancel_change = &cancel;
    ask(self, &request);
}

static void look_at_status(struct operator* self)
{
    struct request *request;

    if (open_connection(self)) {
        request = request_new(REQUEST_STATUS);
        request->id = 1;
        self->waiting = true;
        self->answered = false;
        self->patience_us = self->cluster->timeline->now_us + PATIENCE_US;
        client_submit(self->client, request);
        cluster_poke(self->server);
    }
}

/* As somebody does who did not get the answer. */
static void ask_again(struct operator* self)
{
    Client__Request *request = client__request__unpack(NULL, self->last_bytes, self->last);

    CHECK(request != NULL);
    self->is_repeated = true;
    ask_wisely(self, request);
    client__request__free_unpacked(request, NULL);
}

static void ask_something(struct operator* self)
{
    const struct raft_config *config = some_config(self);
    raft_id id = 1 + prng_below(&self->prng, self->cluster->settings.places);
    uint64_t choice = prng_below(&self->prng, 14);
    bool again = timeline_chance(&self->prng, 150);

    if (timeline_chance(&self->prng, STATUS_PERMILLE)) {
        look_at_status(self);
        return;
    }
    if (config == NULL) {
        return;
    }
    self->is_repeated = false;
    if (again && self->last_bytes > 0) {
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
    const struct raft_config *config = some_config(self);

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
    const struct raft_config *config = some_config(self);

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

static void close_connection(struct operator* self)
{
    if (self->client != NULL) {
        client_close(self->client);
    }
    self->client = NULL;
    self->server = NULL;
    self->waiting = false;
}

void operator_on_stop(struct operator* self, struct cluster_server *server)
{
    if (self->server == server) {
        close_connection(self);
    }
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

    if (self->waiting) {
        if (cluster_is_awake(self->server) && (self->answered || now_us > self->patience_us)) {
            close_connection(self);
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
    } else if (self->mends) {
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
    self->oracle = oracle;
    self->last_was_certain = true;
    self->quiet = true;
    self->cursor.kind = PLAN_OPERATOR;
    prng_init(&self->prng, cluster->settings.seed * 13 + 4);
    timeline_after(cluster->timeline, &self->tick, TICK_US, tick);
    return self;
}

void operator_free(struct operator* self)
{
    CHECK(self->client == NULL);
    timeline_cancel(self->cluster->timeline, &self->tick);
    free(self);
}

bool operator_has_cluster(const struct operator* self)
{
    return self->has_cluster && self->learner_count == self->cluster->settings.first_learners;
}

void operator_begin(struct operator* self)
{
    self->quiet = false;
}

void operator_quiet(struct operator* self)
{
    self->quiet = true;
}

void operator_mend(struct operator* self)
{
    self->mends = true;
    self->mends_since_us = self->cluster->timeline->now_us;
    prng_init(&self->prng, self->cluster->settings.seed * 31 + 6);
}

bool operator_is_idle(const struct operator* self)
{
    return !self->waiting && self->leaving == 0 && self->returning == 0;
}

struct operator_counts operator_counts(const struct operator* self)
{
    return self->counts;
}
