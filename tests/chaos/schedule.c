#include "tests/chaos/schedule.h"

#include "base/check.h"
#include "base/prng.h"

#include <stdlib.h>

/* Where a death must do no harm, and up to which pass one is drawn: by how often a server comes by
 * within a step. */
static const struct {
    const char *name;
    unsigned passes;
} marks[] = {
    {"entries_before_their_commit", 300},
    {"entries_committed_and_nobody_knows", 300},
    {"vote_before_its_commit", 2},
    {"vote_committed_and_nobody_knows", 2},
    {"trim_before_its_commit", 20},
    {"trim_committed_and_nobody_knows", 20},
    {"generation_before_its_commit", 1},
    {"generation_committed_and_nobody_knows", 1},
    {"checkpoint_before_its_commit", 4},
    {"checkpoint_committed_and_nobody_knows", 4},
    {"dump_written_and_nobody_knows", 1},
    {"dump_chunk_before_it_leaves", 1},
    {"dump_built_and_nobody_knows", 1},
    {"switched_to_the_generation_of_a_dump", 1},
    {"configuration_appended", 2},
    {"configuration_committed", 2},
    {"configuration_applied", 2},
    {"command_applied_and_nobody_knows", 500},
    {"session_opened", 6},
    {"session_expired", 2},
    {"answer_before_it_leaves", 500},
};

enum { VICTIM = 1, SIDE = 2 };

/* By enum fault. One with a greater weight is drawn more often among those of its track. */
static const struct {
    const char *name;
    enum track track;
    unsigned about; /* which of these a step names */
    unsigned weight;
    int amount_low;
    int amount_high;
} faults[] = {
    [FAULT_PARTITION] = {"partition", TRACK_NETWORK, SIDE, 3, 0, 0},
    [FAULT_DEAF] = {"deaf", TRACK_NETWORK, VICTIM, 2, 0, 0},
    [FAULT_MUTE] = {"mute", TRACK_NETWORK, VICTIM, 2, 0, 0},
    [FAULT_BRIDGE] = {"bridge", TRACK_NETWORK, SIDE | VICTIM, 2, 0, 0},
    [FAULT_ISOLATE] = {"isolate", TRACK_NETWORK, VICTIM, 2, 0, 0},
    [FAULT_ISOLATE_WHOLLY] = {"isolate-wholly", TRACK_NETWORK, VICTIM, 2, 0, 0},
    [FAULT_FLAP] = {"flap", TRACK_NETWORK, VICTIM, 2, 200, 900},
    [FAULT_CLIENTS_CUT] = {"clients-cut", TRACK_NETWORK, SIDE, 1, 0, 0},
    [FAULT_CLIENTS_ALONE] = {"clients-alone", TRACK_NETWORK, 0, 1, 0, 0},
    [FAULT_LOSS] = {"loss", TRACK_NETWORK, 0, 2, 5, 30},
    [FAULT_DUPLICATE] = {"duplicate", TRACK_NETWORK, 0, 1, 10, 60},
    [FAULT_RESET] = {"reset", TRACK_NETWORK, SIDE, 2, 200, 900},
    [FAULT_SLOW] = {"slow", TRACK_NETWORK, VICTIM, 1, 100, 400},
    [FAULT_PAUSE] = {"pause", TRACK_PROCESS, VICTIM, 6, 0, 0},
    [FAULT_PAUSE_SIDE] = {"pause-side", TRACK_PROCESS, SIDE, 1, 0, 0},
    [FAULT_KILL] = {"kill", TRACK_PROCESS, VICTIM, 2, 0, 0},
    [FAULT_KILL_SIDE] = {"kill-side", TRACK_PROCESS, SIDE, 2, 0, 0},
    [FAULT_KILL_ALL] = {"kill-all", TRACK_PROCESS, 0, 2, 0, 0},
    [FAULT_MARK] = {"mark", TRACK_PROCESS, VICTIM, 8, 0, 0},
    [FAULT_TERM] = {"term", TRACK_PROCESS, VICTIM, 1, 0, 0},
    [FAULT_STUCK_DISK] = {"stuck-disk", TRACK_PROCESS, VICTIM, 2, 0, 0},
    [FAULT_SLOW_DISK] = {"slow-disk", TRACK_PROCESS, VICTIM, 2, 50, 1500},
    [FAULT_FULL_DISK] = {"full-disk", TRACK_PROCESS, VICTIM, 2, 0, 0},
    [FAULT_CLOCK_JUMP] = {"clock-jump", TRACK_CLOCK, VICTIM, 1, -90, 90},
    [FAULT_CLOCK_RATE] = {"clock-rate", TRACK_CLOCK, VICTIM, 2, SCHEDULE_RATE_LOW,
                          SCHEDULE_RATE_HIGH},
    [FAULT_CLOCK_FROZEN] = {"clock-frozen", TRACK_CLOCK, VICTIM, 1, SCHEDULE_RATE_FROZEN,
                            SCHEDULE_RATE_FROZEN},
    [FAULT_CLOCK_RACE] = {"clock-race", TRACK_CLOCK, VICTIM, 1, SCHEDULE_RATE_RACE,
                          SCHEDULE_RATE_RACE},
    [FAULT_TRANSFER] = {"transfer", TRACK_MEMBERSHIP, VICTIM, 2, 0, 0},
    [FAULT_REMOVE] = {"remove", TRACK_MEMBERSHIP, VICTIM, 2, 0, 0},
    [FAULT_REPLACE] = {"replace", TRACK_MEMBERSHIP, VICTIM, 2, 0, 0},
    [FAULT_CHANGE] = {"change", TRACK_MEMBERSHIP, SIDE, 2, 0, 0},
};

_Static_assert(sizeof faults / sizeof *faults == FAULT_COUNT, "each fault has its row");

enum track schedule_track(enum fault fault)
{
    return faults[fault].track;
}

const char *schedule_fault_name(enum fault fault)
{
    return faults[fault].name;
}

static enum fault draw_fault(struct prng *prng, enum track track)
{
    uint64_t sum = 0;
    uint64_t choice;

    for (unsigned fault = 0; fault < FAULT_COUNT; fault++) {
        sum += faults[fault].track == track ? faults[fault].weight : 0;
    }
    choice = prng_below(prng, sum);
    for (unsigned fault = 0; fault < FAULT_COUNT; fault++) {
        unsigned weight = faults[fault].track == track ? faults[fault].weight : 0;

        if (choice < weight) {
            return (enum fault)fault;
        }
        choice -= weight;
    }
    CHECK(false);
}

/* Some servers, but not all. */
static uint32_t draw_side(struct prng *prng, unsigned server_count)
{
    uint64_t all = (UINT64_C(1) << server_count) - 1;

    return (uint32_t)(prng_between(prng, 1, all - 1) << 1);
}

static void draw_step(struct prng *prng, enum track track, unsigned server_count, struct step *step)
{
    int low;

    step->fault = draw_fault(prng, track);
    low = faults[step->fault].amount_low;
    step->id = (unsigned)prng_between(prng, 1, server_count);
    step->victim = prng_below(prng, 2) == 0 ? SCHEDULE_LEADER : step->id;
    step->side = draw_side(prng, server_count);
    step->amount =
        low + (int)prng_below(prng, (uint64_t)(faults[step->fault].amount_high - low) + 1);
    if (step->fault == FAULT_MARK) {
        size_t mark = prng_below(prng, sizeof marks / sizeof *marks);

        step->mark = marks[mark].name;
        step->amount = (int)prng_between(prng, 1, marks[mark].passes);
    }
    if (track == TRACK_MEMBERSHIP || track == TRACK_CLOCK) {
        step->victim = step->id;
    }
}

/* Steps of a track, one after the other, with pauses, until the round is full. */
static void
draw_track(struct schedule *schedule, struct prng *prng, enum track track, unsigned server_count)
{
    unsigned at_ms = (unsigned)prng_between(prng, 0, 1500);

    while (at_ms + 500 < SCHEDULE_ROUND_MS && schedule->step_count < SCHEDULE_STEPS_MAX) {
        struct step *step = &schedule->steps[schedule->step_count];
        unsigned length_ms = (unsigned)prng_between(prng, 300, 4000);

        *step = (struct step){.at_ms = at_ms};
        draw_step(prng, track, server_count, step);
        if (step->fault == FAULT_PAUSE) {
            /* Past an election, but not past a client's patience: it finds its old leader again. */
            length_ms = 700 + length_ms % 1500;
        } else if (track == TRACK_MEMBERSHIP) {
            length_ms = SCHEDULE_ROUND_MS; /* one in a round: it takes what time it needs */
        }
        step->end_ms =
            at_ms + length_ms < SCHEDULE_ROUND_MS ? at_ms + length_ms : SCHEDULE_ROUND_MS;
        at_ms = step->end_ms + (unsigned)prng_between(prng, 100, 1200);
        schedule->step_count++;
    }
}

static int by_time(const void *left, const void *right)
{
    const struct step *a = left;
    const struct step *b = right;

    if (a->at_ms != b->at_ms) {
        return a->at_ms < b->at_ms ? -1 : 1;
    }
    return (int)a->fault - (int)b->fault;
}

void schedule_draw(struct schedule *schedule, uint64_t seed, unsigned round, unsigned server_count)
{
    struct prng prng;

    prng_init(&prng, seed * 1000003 + round);
    schedule->step_count = 0;
    if (prng_below(&prng, 10) < 8) {
        draw_track(schedule, &prng, TRACK_MEMBERSHIP, server_count);
    }
    if (prng_below(&prng, 10) < 4) {
        draw_track(schedule, &prng, TRACK_CLOCK, server_count);
    }
    /* At least one of both; alone now and then, so that it is seen what each does. */
    if (prng_below(&prng, 10) < 8) {
        draw_track(schedule, &prng, TRACK_NETWORK, server_count);
    }
    if (schedule->step_count == 0 || prng_below(&prng, 10) < 8) {
        draw_track(schedule, &prng, TRACK_PROCESS, server_count);
    }
    qsort(schedule->steps, schedule->step_count, sizeof *schedule->steps, by_time);
}

bool schedule_has(const struct schedule *schedule, enum fault fault)
{
    for (unsigned i = 0; i < schedule->step_count; i++) {
        if (schedule->steps[i].fault == fault) {
            return true;
        }
    }
    return false;
}

static void print_side(uint32_t side, FILE *file)
{
    const char *comma = "";

    (void)fprintf(file, " side=");
    for (unsigned id = 1; side >> id != 0; id++) {
        if ((side >> id & 1) != 0) {
            (void)fprintf(file, "%s%u", comma, id);
            comma = ",";
        }
    }
}

void schedule_print(const struct schedule *schedule, FILE *file)
{
    for (unsigned i = 0; i < schedule->step_count; i++) {
        const struct step *step = &schedule->steps[i];
        unsigned about = faults[step->fault].about;

        (void)fprintf(file, "    %4u..%4u ms %s", step->at_ms, step->end_ms,
                      faults[step->fault].name);
        if ((about & VICTIM) != 0 && step->victim == SCHEDULE_LEADER) {
            (void)fprintf(file, " leader (else %u)", step->id);
        } else if ((about & VICTIM) != 0) {
            (void)fprintf(file, " %u", step->id);
        }
        if ((about & SIDE) != 0) {
            print_side(step->side, file);
        }
        if (step->amount != 0) {
            (void)fprintf(file, " %d", step->amount);
        }
        (void)fprintf(file, "%s%s\n", step->mark == NULL ? "" : " ",
                      step->mark == NULL ? "" : step->mark);
    }
}
