/* simulate --seeds A..B [--profile mini|standard|churn]   many seeds, silent but for a summary
 * simulate --seed N [--profile P] [--trace]               one seed, with every event
 * With --marks FILE the marks (base/mark.h) that were passed, and those that were not, go there. */
#include "base/log.h"
#include "base/mark.h"
#include "tests/simulation/run.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { REPEAT_EVERY = 50 }; /* so often a seed runs twice, and both hashes must be equal */

struct command_line {
    enum settings_profile profile;
    uint64_t first;
    uint64_t last;
    bool trace;
    const char *marks; /* a file, or NULL */
};

static char replay_line[128];

/* Whatever stops the program, say how to see it again. */
static void on_abort(int signal_number)
{
    (void)!write(STDERR_FILENO, replay_line, strlen(replay_line));
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

static void remember(const struct command_line *line, uint64_t seed)
{
    (void)snprintf(replay_line, sizeof replay_line,
                   "replay: simulate --seed %" PRIu64 " --profile %s --trace\n", seed,
                   settings_profile_name(line->profile));
}

static bool parse_number(const char *text, char **end, uint64_t *ret)
{
    *ret = strtoull(text, end, 10);
    return *end != text;
}

static bool parse_seeds(const char *text, struct command_line *line)
{
    char *end;

    if (!parse_number(text, &end, &line->first)) {
        return false;
    }
    line->last = line->first;
    if (strncmp(end, "..", 2) == 0 && !parse_number(end + 2, &end, &line->last)) {
        return false;
    }
    return *end == '\0' && line->first <= line->last;
}

static bool parse(int argc, char **argv, struct command_line *line)
{
    bool has_seeds = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0) {
            line->trace = true;
        } else if (i + 1 < argc &&
                   (strcmp(argv[i], "--seeds") == 0 || strcmp(argv[i], "--seed") == 0)) {
            has_seeds = parse_seeds(argv[++i], line);
            if (!has_seeds) {
                return false;
            }
        } else if (i + 1 < argc && strcmp(argv[i], "--marks") == 0) {
            line->marks = argv[++i];
        } else if (i + 1 < argc && strcmp(argv[i], "--profile") == 0) {
            if (settings_parse_profile(argv[++i], &line->profile) != STATUS_OK) {
                return false;
            }
        } else {
            return false;
        }
    }
    return has_seeds;
}

static struct run_result run_one(const struct command_line *line, uint64_t seed)
{
    struct run_result result;
    struct run_result again;

    remember(line, seed);
    result = run_seed(line->profile, seed, line->trace);
    if (!line->trace && (seed - line->first) % REPEAT_EVERY == 0) {
        again = run_seed(line->profile, seed, false);
        if (again.hash != result.hash || again.steps != result.steps) {
            fprintf(stderr, "S23: seed %" PRIu64 " runs in two ways\n", seed);
            abort();
        }
    }
    return result;
}

static void add(struct run_result *sum, const struct run_result *result)
{
    sum->steps += result->steps;
    sum->virtual_us += result->virtual_us;
    sum->faults += result->faults;
    sum->oracle.committed += result->oracle.committed;
    sum->oracle.terms += result->oracle.terms;
    sum->oracle.effects += result->oracle.effects;
    sum->oracle.acknowledged += result->oracle.acknowledged;
    sum->oracle.repeated += result->oracle.repeated;
    sum->oracle.reads += result->oracle.reads;
    sum->oracle.truncations += result->oracle.truncations;
    sum->oracle.resets += result->oracle.resets;
    sum->workload.connections += result->workload.connections;
    sum->workload.sessions += result->workload.sessions;
    sum->workload.sessions_lost += result->workload.sessions_lost;
    sum->workload.resent += result->workload.resent;
    sum->workload.unknown += result->workload.unknown;
    sum->operator.asked += result->operator.asked;
    sum->operator.done += result->operator.done;
    sum->operator.wiped += result->operator.wiped;
}

static void print(const struct command_line *line, const struct run_result *sum, clock_t spent)
{
    double seconds = (double)spent / CLOCKS_PER_SEC;
    uint64_t seeds = line->last - line->first + 1;

    printf("%s: %" PRIu64 " seeds in %.1f s (%.1f a second), %.0f virtual s, %" PRIu64
           " events, %" PRIu64 " faults\n",
           settings_profile_name(line->profile), seeds, seconds,
           seconds > 0 ? (double)seeds / seconds : 0, (double)sum->virtual_us / 1e6, sum->steps,
           sum->faults);
    printf("  %" PRIu64 " entries committed, %" PRIu64 " leaders, %" PRIu64 " truncations, %" PRIu64
           " dumps installed\n",
           sum->oracle.committed, sum->oracle.terms, sum->oracle.truncations, sum->oracle.resets);
    printf("  %" PRIu64 " writes took effect, %" PRIu64 " acknowledged, %" PRIu64
           " repeats answered, %" PRIu64 " resent, %" PRIu64 " unknown, %" PRIu64 " reads\n",
           sum->oracle.effects, sum->oracle.acknowledged, sum->oracle.repeated,
           sum->workload.resent, sum->workload.unknown, sum->oracle.reads);
    printf("  %" PRIu64 " connections, %" PRIu64 " sessions, %" PRIu64
           " of them lost; operator: %" PRIu64 " commands, %" PRIu64 " done, %" PRIu64
           " disks wiped\n",
           sum->workload.connections, sum->workload.sessions, sum->workload.sessions_lost,
           sum->operator.asked, sum->operator.done, sum->operator.wiped);
    if (line->first == line->last) {
        printf("  trace hash %016" PRIx64 "\n", sum->hash);
    }
}

int main(int argc, char **argv)
{
    struct command_line line = {.profile = SETTINGS_MINI};
    struct run_result sum = {.hash = 0};
    struct run_result result;
    clock_t start = clock();

    if (!parse(argc, argv, &line)) {
        fprintf(stderr,
                "usage: simulate --seeds A..B [--profile mini|standard|churn] [--marks FILE]\n"
                "       simulate --seed N [--profile P] [--trace] [--marks FILE]\n");
        return 2;
    }
    log_set_level(line.trace ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    (void)signal(SIGABRT, on_abort);
    (void)signal(SIGSEGV, on_abort);
    for (uint64_t seed = line.first; seed <= line.last; seed++) {
        result = run_one(&line, seed);
        add(&sum, &result);
        sum.hash = result.hash;
    }
    print(&line, &sum, clock() - start);
    if (line.marks != NULL && !mark_write(line.marks)) {
        perror(line.marks);
        return 1;
    }
    return 0;
}
