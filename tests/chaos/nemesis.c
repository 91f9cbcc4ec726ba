#include "tests/chaos/nemesis.h"

#include "tests/support/test.h"

#include <stdio.h>

void nemesis_init(struct nemesis *nemesis, struct servers *servers)
{
    *nemesis = (struct nemesis){.servers = servers};
    admin_init(&nemesis->admin, servers);
}

/* --- The network --- */

static uint32_t bit(unsigned place)
{
    return UINT32_C(1) << place;
}

/* All servers. */
static uint32_t everybody(const struct nemesis *nemesis)
{
    return (bit(nemesis->servers->cluster.server_count + 1) - 1) & ~bit(NETWORK_CLIENTS);
}

/* What the rules of a place depend on. */
struct scene {
    const struct step *step;
    unsigned victim;
    uint32_t servers;
    unsigned place;
};

static bool is_server(const struct scene *scene)
{
    return scene->place != NETWORK_CLIENTS;
}

static bool is_victim(const struct scene *scene)
{
    return scene->place == scene->victim;
}

/* The servers that are not on the same side. */
static uint32_t far_side(const struct scene *scene)
{
    return (scene->step->side & bit(scene->place)) != 0 ? scene->servers & ~scene->step->side
                                                        : scene->step->side;
}

static uint32_t other_servers(const struct scene *scene)
{
    return scene->servers & ~bit(scene->place);
}

static void partition(const struct scene *scene, struct network_faults *faults)
{
    faults->cut = is_server(scene) ? far_side(scene) : 0;
}

static void bridge(const struct scene *scene, struct network_faults *faults)
{
    faults->cut = is_server(scene) && !is_victim(scene) ? far_side(scene) & ~bit(scene->victim) : 0;
}

static void deaf(const struct scene *scene, struct network_faults *faults)
{
    faults->cut = is_victim(scene) ? other_servers(scene) : 0;
}

static void mute(const struct scene *scene, struct network_faults *faults)
{
    faults->cut = is_server(scene) && !is_victim(scene) ? bit(scene->victim) : 0;
}

static void isolate(const struct scene *scene, struct network_faults *faults)
{
    deaf(scene, faults);
    if (!is_victim(scene)) {
        mute(scene, faults);
    }
}

static void isolate_wholly(const struct scene *scene, struct network_faults *faults)
{
    faults->cut =
        is_victim(scene) ? other_servers(scene) | bit(NETWORK_CLIENTS) : bit(scene->victim);
}

static void cut_clients(const struct scene *scene, struct network_faults *faults)
{
    faults->cut = (scene->step->side & bit(scene->place)) != 0 ? bit(NETWORK_CLIENTS) : 0;
}

static void leave_clients_alone(const struct scene *scene, struct network_faults *faults)
{
    faults->cut = is_server(scene) ? bit(NETWORK_CLIENTS) : 0;
}

static void lose(const struct scene *scene, struct network_faults *faults)
{
    faults->loss_percent = (unsigned)scene->step->amount;
}

static void duplicate(const struct scene *scene, struct network_faults *faults)
{
    faults->duplicate_percent = (unsigned)scene->step->amount;
}

static void reset(const struct scene *scene, struct network_faults *faults)
{
    faults->reset = is_server(scene) ? far_side(scene) : 0;
}

static void slow(const struct scene *scene, struct network_faults *faults)
{
    faults->rate_kbit = is_victim(scene) ? (unsigned)scene->step->amount : 0;
}

typedef void rules_of_place(const struct scene *scene, struct network_faults *faults);

/* NULL: no rules at all. */
static void set_network(const struct nemesis *nemesis,
                        rules_of_place *rules,
                        const struct step *step,
                        unsigned victim)
{
    struct scene scene = {.step = step, .victim = victim, .servers = everybody(nemesis)};

    for (; scene.place <= nemesis->servers->cluster.server_count; scene.place++) {
        struct network_faults faults = {.cut = 0};

        if (rules != NULL) {
            rules(&scene, &faults);
        }
        network_set_faults(scene.place, &faults);
    }
}

/* --- Processes, clocks, members --- */

typedef void server_action(struct servers *servers, unsigned id);

static void with_each(struct nemesis *nemesis, uint32_t some, server_action *action)
{
    for (unsigned id = 1; id <= nemesis->servers->cluster.server_count; id++) {
        if ((some >> id & 1) != 0) {
            action(nemesis->servers, id);
        }
    }
}

static void pause(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    (void)step;
    servers_pause(nemesis->servers, victim);
}

static void pause_side(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    (void)victim;
    with_each(nemesis, step->side, servers_pause);
}

static void continue_all(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    (void)step;
    (void)victim;
    with_each(nemesis, everybody(nemesis), servers_continue);
}

static void kill_victim(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    (void)step;
    servers_kill(nemesis->servers, victim);
}

static void kill_side(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    (void)victim;
    with_each(nemesis, step->side, servers_kill);
}

static void launch_all(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    (void)step;
    (void)victim;
    with_each(nemesis, everybody(nemesis), servers_launch);
}

static void kill_all(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    with_each(nemesis, everybody(nemesis), servers_kill);
    launch_all(nemesis, step, victim);
}

static void launch_armed(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    servers_launch_armed(nemesis->servers, victim, step->mark, step->amount);
}

static void term(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    (void)step;
    servers_term(nemesis->servers, victim);
}

static void stick_disk(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    (void)step;
    servers_stick_disk(nemesis->servers, victim, true);
}

static void free_disk(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    (void)step;
    servers_stick_disk(nemesis->servers, victim, false);
}

static void slow_disk(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    servers_slow_disk(nemesis->servers, victim, step->amount);
}

static void slow_disk_no_more(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    (void)step;
    servers_slow_disk(nemesis->servers, victim, 0);
}

static void fill_disk(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    (void)step;
    servers_fill_disk(nemesis->servers, victim, true);
}

static void empty_disk(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    (void)step;
    servers_fill_disk(nemesis->servers, victim, false);
}

static void skew(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    servers_skew(nemesis->servers, victim, step->amount);
}

static void skew_back(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    (void)step;
    servers_skew(nemesis->servers, victim, 0);
}

static void hurry(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    servers_hurry(nemesis->servers, victim, step->amount);
}

static void hurry_no_more(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    (void)step;
    servers_hurry(nemesis->servers, victim, 0);
}

static void transfer(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    (void)step;
    admin_transfer(&nemesis->admin, victim);
}

static void replace(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    admin_replace(&nemesis->admin, victim, step->fault == FAULT_REPLACE);
}

static void change(struct nemesis *nemesis, const struct step *step, unsigned victim)
{
    uint32_t rest = everybody(nemesis) & ~step->side;

    (void)victim;
    admin_change(&nemesis->admin,
                 __builtin_popcount(rest) > __builtin_popcount(step->side) ? rest : step->side);
}

/* --- Steps --- */

typedef void deed(struct nemesis *nemesis, const struct step *step, unsigned victim);

/* By enum fault: rules while the step lasts, or deeds. */
static const struct {
    rules_of_place *rules;
    bool alternates; /* the rules come and go every `amount` milliseconds */
    deed *begin;
    deed *later; /* when a third of the step is over */
    deed *end;
} faults_of[] = {
    [FAULT_PARTITION] = {.rules = partition},
    [FAULT_DEAF] = {.rules = deaf},
    [FAULT_MUTE] = {.rules = mute},
    [FAULT_BRIDGE] = {.rules = bridge},
    [FAULT_ISOLATE] = {.rules = isolate},
    [FAULT_ISOLATE_WHOLLY] = {.rules = isolate_wholly},
    [FAULT_FLAP] = {.rules = isolate, .alternates = true},
    [FAULT_CLIENTS_CUT] = {.rules = cut_clients},
    [FAULT_CLIENTS_ALONE] = {.rules = leave_clients_alone},
    [FAULT_LOSS] = {.rules = lose},
    [FAULT_DUPLICATE] = {.rules = duplicate},
    [FAULT_RESET] = {.rules = reset, .alternates = true},
    [FAULT_SLOW] = {.rules = slow},
    [FAULT_PAUSE] = {.begin = pause, .end = continue_all},
    [FAULT_PAUSE_SIDE] = {.begin = pause_side, .end = continue_all},
    [FAULT_KILL] = {.begin = kill_victim, .end = launch_all},
    [FAULT_KILL_SIDE] = {.begin = kill_side, .end = launch_all},
    [FAULT_KILL_ALL] = {.begin = kill_all},
    /* Down for a while first, so that what it missed comes by dump. It may die after the end. */
    [FAULT_MARK] = {.begin = kill_victim, .later = launch_armed},
    [FAULT_TERM] = {.begin = term, .end = launch_all},
    [FAULT_STUCK_DISK] = {.begin = stick_disk, .end = free_disk},
    [FAULT_SLOW_DISK] = {.begin = slow_disk, .end = slow_disk_no_more},
    [FAULT_FULL_DISK] = {.begin = fill_disk, .end = empty_disk},
    [FAULT_CLOCK_JUMP] = {.begin = skew, .end = skew_back},
    [FAULT_CLOCK_RATE] = {.begin = hurry, .end = hurry_no_more},
    [FAULT_CLOCK_FROZEN] = {.begin = hurry, .end = hurry_no_more},
    [FAULT_CLOCK_RACE] = {.begin = hurry, .end = hurry_no_more},
    [FAULT_TRANSFER] = {.begin = transfer},
    [FAULT_REMOVE] = {.begin = replace},
    [FAULT_REPLACE] = {.begin = replace},
    [FAULT_CHANGE] = {.begin = change},
};

_Static_assert(sizeof faults_of / sizeof *faults_of == FAULT_COUNT, "each fault has its row");

static void begin(struct nemesis *nemesis, const struct step *step, struct nemesis_step *running)
{
    running->state = STEP_RUNS;
    running->is_on = false;
    running->next_ms = step->at_ms;
    running->victim =
        step->victim == SCHEDULE_LEADER ? servers_leader(nemesis->servers, step->id) : step->victim;
    nemesis->fault_count++;
    if (faults_of[step->fault].later != NULL) {
        running->next_ms += (step->end_ms - step->at_ms) / 3;
    }
    if (faults_of[step->fault].begin != NULL) {
        faults_of[step->fault].begin(nemesis, step, running->victim);
    }
}

static void go_on(struct nemesis *nemesis,
                  const struct step *step,
                  struct nemesis_step *running,
                  unsigned now_ms)
{
    rules_of_place *rules = faults_of[step->fault].rules;

    if (now_ms < running->next_ms) {
        return;
    }
    if (rules != NULL) {
        set_network(nemesis, running->is_on ? NULL : rules, step, running->victim);
        running->is_on = !running->is_on;
        running->next_ms =
            faults_of[step->fault].alternates ? now_ms + (unsigned)step->amount : step->end_ms;
        return;
    }
    if (faults_of[step->fault].later != NULL) {
        faults_of[step->fault].later(nemesis, step, running->victim);
    }
    running->next_ms = step->end_ms;
}

static void end(struct nemesis *nemesis, const struct step *step, struct nemesis_step *running)
{
    running->state = STEP_IS_OVER;
    if (faults_of[step->fault].rules != NULL) {
        set_network(nemesis, NULL, NULL, 0);
    }
    if (faults_of[step->fault].end != NULL) {
        faults_of[step->fault].end(nemesis, step, running->victim);
    }
}

/* False once all are over. */
static bool run_steps(struct nemesis *nemesis, unsigned now_ms)
{
    bool more = false;

    for (unsigned i = 0; i < nemesis->schedule->step_count; i++) {
        const struct step *step = &nemesis->schedule->steps[i];
        struct nemesis_step *running = &nemesis->steps[i];

        if (running->state == STEP_WAITS && now_ms >= step->at_ms) {
            begin(nemesis, step, running);
        } else if (running->state == STEP_RUNS && now_ms >= step->end_ms) {
            end(nemesis, step, running);
        } else if (running->state == STEP_RUNS) {
            go_on(nemesis, step, running, now_ms);
        }
        more = more || running->state != STEP_IS_OVER;
    }
    return more;
}

void nemesis_run(struct nemesis *nemesis, const struct schedule *schedule)
{
    uint64_t start = process_now_ms();

    nemesis->schedule = schedule;
    for (unsigned i = 0; i < schedule->step_count; i++) {
        nemesis->steps[i] = (struct nemesis_step){.state = STEP_WAITS};
    }
    while (run_steps(nemesis, (unsigned)(process_now_ms() - start))) {
        servers_tick(nemesis->servers);
        admin_tick(&nemesis->admin);
        process_pause();
    }
}

void nemesis_heal(struct nemesis *nemesis, unsigned deadline_ms)
{
    set_network(nemesis, NULL, NULL, 0);
    servers_heal(nemesis->servers, deadline_ms);
    admin_restore(&nemesis->admin, deadline_ms);
}
