#include "tests/simulation/second_operator.h"

#include "base/alloc.h"
#include "base/check.h"
#include "tests/simulation/tolerance.h"

#include <stdlib.h>

enum {
    LOOK_US = 5 * 1000,
    JOINT_PERMILLE = 600, /* of the looks that see one */
    OPEN_PERMILLE = 25
};

struct second_operator {
    struct cluster *cluster;
    const struct membership_call *first;
    struct membership_call call;
    struct prng when;
    struct prng what; /* of one command */
    struct plan_cursor cursor;
    struct timeline_event look;
    bool quiet;
    struct second_operator_counts counts;
};

static void on_answer(void *context, const Client__Response *response)
{
    struct second_operator *self = context;

    self->counts.done += response->code == CLIENT__CODE__OK;
}

static bool sees_joint(const struct second_operator *self)
{
    const struct raft_config *config = membership_command_config(self->cluster);

    return config != NULL && config->joint;
}

/* --- What is asked for --- */

/* A member most of the time. */
static struct cluster_server *draw_server(struct second_operator *self)
{
    const struct raft_config *config = membership_command_config(self->cluster);

    if (config == NULL || config->member_count == 0 || timeline_chance(&self->what, 100)) {
        return &self->cluster->servers[prng_below(&self->what, self->cluster->settings.places)];
    }
    return cluster_by_id(self->cluster,
                         config->members[prng_below(&self->what, config->member_count)].id);
}

static bool ask(struct second_operator *self, const struct membership_command *command)
{
    return membership_call_ask(&self->call, command, draw_server(self));
}

static void cancel(struct second_operator *self)
{
    struct membership_command command = membership_command_cancel();

    self->counts.cancelled += ask(self, &command);
}

/* The first one may have been refused already, and then a disk may have been lost. */
static void repeat(struct second_operator *self)
{
    struct membership_command command = self->first->command;

    if (membership_command_is_wise(self->cluster, &command)) {
        self->counts.repeated += ask(self, &command);
    }
}

static struct membership_command draw_change(struct second_operator *self,
                                             const struct raft_config *config)
{
    raft_id id = 1 + prng_below(&self->what, self->cluster->settings.places);
    uint64_t choice = prng_below(&self->what, 8);

    if (choice < 4) {
        return membership_command_draw_change(config, &self->what);
    }
    if (choice < 6) {
        return membership_command_remove(id);
    }
    return membership_command_add(cluster_by_id(self->cluster, id), choice == 6);
}

/* Nobody can tell which of the two changes comes first, or whether both do: with all members sound
 * any voters can go on. */
static void change(struct second_operator *self)
{
    const struct raft_config *config = membership_command_config(self->cluster);
    struct membership_command command;

    if (config == NULL || !tolerance_is_whole(self->cluster)) {
        return;
    }
    command = draw_change(self, config);
    if (command.bytes > 0 && membership_command_is_wise(self->cluster, &command)) {
        self->counts.changed += ask(self, &command);
    }
}

static void ask_something(struct second_operator *self)
{
    uint64_t choice = prng_below(&self->what, 10);
    uint64_t cancels = sees_joint(self) ? 7 : 3;

    if (choice < cancels) {
        cancel(self);
    } else if (choice < cancels + 2 && self->first->is_open) {
        repeat(self);
    } else {
        change(self);
    }
}

/* --- When --- */

static bool is_due(struct second_operator *self)
{
    uint64_t now_us = self->cluster->timeline->now_us;

    if (plan_is_replayed(self->cluster->plan)) {
        return plan_delay(self->cluster->plan, &self->cursor, now_us, &self->when, 1) == 0;
    }
    return self->first->is_open && self->first->is_for_members &&
           timeline_chance(&self->when, sees_joint(self) ? JOINT_PERMILLE : OPEN_PERMILLE);
}

static void look(struct timeline_event *event)
{
    struct second_operator *self = CONTAINER_OF(event, struct second_operator, look);
    struct cluster *cluster = self->cluster;

    if (self->call.is_open) {
        (void)membership_call_finish(&self->call);
    } else if (!self->quiet && is_due(self)) {
        prng_init(&self->what,
                  plan_seed(cluster->plan, &self->cursor, cluster->timeline->now_us, &self->when));
        ask_something(self);
    }
    if (!self->quiet || self->call.is_open) {
        timeline_after(cluster->timeline, &self->look, LOOK_US, look);
    }
}

/* --- The whole --- */

struct second_operator *second_operator_new(struct cluster *cluster,
                                            struct oracle *oracle,
                                            const struct membership_call *first)
{
    struct second_operator *self = xcalloc(1, sizeof *self);

    self->cluster = cluster;
    self->first = first;
    membership_call_init(&self->call, cluster, oracle, 1);
    self->call.context = self;
    self->call.on_answer = on_answer;
    self->cursor.kind = PLAN_SECOND_OPERATOR;
    self->quiet = true;
    prng_init(&self->when, cluster->settings.seed * 37 + 8);
    return self;
}

void second_operator_free(struct second_operator *self)
{
    CHECK(!self->call.is_open);
    timeline_cancel(self->cluster->timeline, &self->look);
    free(self);
}

void second_operator_on_stop(struct second_operator *self, struct cluster_server *server)
{
    if (self->call.server == server) {
        membership_call_close(&self->call);
    }
}

void second_operator_begin(struct second_operator *self)
{
    self->quiet = false;
    if (self->cluster->settings.with_second_operator) {
        timeline_after(self->cluster->timeline, &self->look, LOOK_US, look);
    }
}

void second_operator_quiet(struct second_operator *self)
{
    self->quiet = true;
}

const struct membership_call *second_operator_call(const struct second_operator *self)
{
    return &self->call;
}

struct second_operator_counts second_operator_counts(const struct second_operator *self)
{
    return self->counts;
}
