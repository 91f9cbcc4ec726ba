/* simulate --seeds A..B [--profile P]              many seeds, silent but for a summary
 * simulate --seconds S [--from A] [--profile P]    as many seeds as that time allows, from A on
 * simulate --seed N [--profile P] [--trace]        one seed; with every event
 * simulate --plan FILE [--trace]                   a run that is written down
 * simulate --minimize --seed N [--profile P] [--plan-to FILE] [--trials N]
 *                                                  the smallest plan that still fails as the seed
 * simulate --seed N [--profile P] --plan-to FILE   the whole plan of a seed
 * With --set NAME=VALUE a setting of plans (settings.c) is not as the seed draws it.
 * With --marks FILE the marks (base/mark.h) that were passed, and those that were not, go there.
 *
 * The exit code is 0, or 1 after a violated invariant, 2 for wrong words. */
#include "base/check.h"
#include "base/mark.h"
#include "tests/simulation/minimize.h"
#include "tests/simulation/run.h"

#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    REPEAT_EVERY = 50, /* so often a seed is recorded and replayed: both hashes must be equal */
    TRIALS_MAX = 4000,
    CPU_SECONDS_MAX = 30, /* of one run: then it hangs */
    CPU_SECONDS_MAX_SOAK = 600,
    SANITIZED_FACTOR = 10,
    SETTING_NAME_BYTES = 64,
    CHANGES_MAX = 4
};

struct command_line {
    enum settings_profile profile;
    uint64_t first;
    uint64_t last;
    uint64_t seconds;
    uint64_t trials_max;
    const char *plan;
    const char *plan_to;
    const char *marks;          /* a file, or NULL */
    char *changes[CHANGES_MAX]; /* NAME=VALUE: settings other than the seed draws */
    size_t change_count;
    bool minimize;
    bool trace;
    bool report; /* this process was started to tell of a violation that another one met */
};

/* What the handlers of signals need. */
static struct {
    char program[PATH_MAX]; /* this one; /proc/self/exe would be valgrind's under valgrind */
    char replay[256];       /* the words that replay the run */
    char *words[8 + 2 * CHANGES_MAX]; /* the same, to be executed; NULL: tell at once */
    char seed[24];
} failing;

/* --- Failures --- */

static void tell(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
}

static void tell_replay(void)
{
    tell("build: " BUILD "\nreplay: ");
    tell(failing.replay);
    tell("\n");
}

/* A run was silent when it failed: do it again with the trace kept. The same happens again, and is
 * told then. */
static void on_failure(int signal_number)
{
    stores_remove_folder();
    if (failing.words[0] != NULL) {
        (void)execv(failing.program, failing.words);
    }
    tell(signal_number == SIGABRT ? "" : "a signal ended it\n");
    tell("the last lines of its trace:\n");
    timeline_print_last(stderr);
    tell_replay();
    _exit(1);
}

static void on_hang(int signal_number)
{
    (void)signal_number;
    stores_remove_folder();
    tell("violation: the run does not come to an end\n");
    tell_replay();
    _exit(1);
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_flags = SA_NODEFER};

    (void)!readlink("/proc/self/exe", failing.program, sizeof failing.program - 1);
    (void)sigemptyset(&action.sa_mask);
    action.sa_handler = on_failure;
    (void)sigaction(SIGABRT, &action, NULL);
    (void)sigaction(SIGSEGV, &action, NULL);
    (void)sigaction(SIGFPE, &action, NULL);
    action.sa_handler = on_hang;
    (void)sigaction(SIGPROF, &action, NULL);
}

static void set_words(const struct command_line *line, char *first, char *second)
{
    static char simulate[] = "simulate";
    static char profile[] = "--profile";
    static char profile_name[16];
    static char report[] = "--report";
    static char set[] = "--set";
    size_t count = 5;

    (void)snprintf(profile_name, sizeof profile_name, "%s", settings_profile_name(line->profile));
    failing.words[0] = line->report || line->trace ? NULL : simulate;
    failing.words[1] = first;
    failing.words[2] = second;
    failing.words[3] = profile;
    failing.words[4] = profile_name;
    for (size_t i = 0; i < line->change_count; i++) {
        size_t size = strlen(failing.replay);

        failing.words[count++] = set;
        failing.words[count++] = line->changes[i];
        (void)snprintf(failing.replay + size, sizeof failing.replay - size, " --set %s",
                       line->changes[i]);
    }
    failing.words[count++] = report;
    failing.words[count] = NULL;
}

/* Watch the run that begins now. */
static void watch(const struct command_line *line, uint64_t seed)
{
    static char by_plan[] = "--plan";
    static char by_seed[] = "--seed";
    struct itimerval limit = {
        .it_value.tv_sec = line->profile == SETTINGS_SOAK ? CPU_SECONDS_MAX_SOAK : CPU_SECONDS_MAX};

#ifdef __SANITIZE_ADDRESS__
    limit.it_value.tv_sec *= SANITIZED_FACTOR;
#endif
    (void)setitimer(ITIMER_PROF, &limit, NULL);
    (void)snprintf(failing.seed, sizeof failing.seed, "%" PRIu64, seed);
    if (line->plan != NULL) {
        (void)snprintf(failing.replay, sizeof failing.replay, "simulate --plan %s --trace",
                       line->plan);
        set_words(line, by_plan, (char *)(uintptr_t)line->plan);
    } else {
        (void)snprintf(failing.replay, sizeof failing.replay,
                       "simulate --seed %" PRIu64 " --profile %s --trace", seed,
                       settings_profile_name(line->profile));
        set_words(line, by_seed, failing.seed);
    }
}

/* --- The command line --- */

static bool parse_number(const char *text, char **end, uint64_t *ret)
{
    *ret = strtoull(text, end, 10);
    return *end != text;
}

static bool parse_whole(const char *text, uint64_t *ret)
{
    char *end;

    return parse_number(text, &end, ret) && *end == '\0';
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

/* NAME=VALUE */
static bool change(struct settings *settings, const char *text)
{
    const char *equals = strchr(text, '=');
    char name[SETTING_NAME_BYTES];
    uint64_t value;

    if (equals == NULL || !parse_whole(equals + 1, &value)) {
        return false;
    }
    (void)snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
    return settings_set(settings, name, value) == STATUS_OK;
}

static struct settings settings_of(const struct command_line *line, uint64_t seed)
{
    struct settings settings = settings_draw(line->profile, seed);

    for (size_t i = 0; i < line->change_count; i++) {
        CHECK(change(&settings, line->changes[i]));
    }
    return settings;
}

static bool parse_change(char *text, struct command_line *line)
{
    struct settings settings = settings_draw(SETTINGS_MINI, 1);

    if (line->change_count == CHANGES_MAX || !change(&settings, text)) {
        return false;
    }
    line->changes[line->change_count++] = text;
    return true;
}

static bool parse_value(const char *option, char *value, struct command_line *line)
{
    if (strcmp(option, "--seeds") == 0 || strcmp(option, "--seed") == 0) {
        return parse_seeds(value, line);
    }
    if (strcmp(option, "--from") == 0) {
        return parse_whole(value, &line->first);
    }
    if (strcmp(option, "--seconds") == 0) {
        line->last = UINT64_MAX;
        return parse_whole(value, &line->seconds) && line->seconds > 0;
    }
    if (strcmp(option, "--trials") == 0) {
        return parse_whole(value, &line->trials_max);
    }
    if (strcmp(option, "--set") == 0) {
        return parse_change(value, line);
    }
    if (strcmp(option, "--profile") == 0) {
        return settings_parse_profile(value, &line->profile) == STATUS_OK;
    }
    if (strcmp(option, "--plan") == 0) {
        line->plan = value;
    } else if (strcmp(option, "--plan-to") == 0) {
        line->plan_to = value;
    } else if (strcmp(option, "--marks") == 0) {
        line->marks = value;
    } else {
        return false;
    }
    return true;
}

static bool parse(int argc, char **argv, struct command_line *line)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0) {
            line->trace = true;
        } else if (strcmp(argv[i], "--report") == 0) {
            line->report = true;
        } else if (strcmp(argv[i], "--minimize") == 0) {
            line->minimize = true;
        } else if (i + 1 == argc || !parse_value(argv[i], argv[i + 1], line)) {
            return false;
        } else {
            i++;
        }
    }
    if (line->plan != NULL) {
        line->first = line->last;
    }
    return line->plan != NULL || line->last >= line->first;
}

/* --- Runs --- */

static enum timeline_trace trace_of(const struct command_line *line)
{
    if (line->trace) {
        return TIMELINE_PRINTS;
    }
    return line->report ? TIMELINE_KEEPS_LAST : TIMELINE_SILENT;
}

/* Recorded, then replayed from the record: the same must happen. */
static struct run_result run_twice(const struct command_line *line, uint64_t seed)
{
    struct plan plan = {.settings = settings_of(line, seed), .mode = PLAN_IS_RECORDED};
    struct run_result result = run_plan(&plan, TIMELINE_SILENT);
    struct run_result again;

    plan.mode = PLAN_IS_REPLAYED;
    again = run_plan(&plan, TIMELINE_SILENT);
    if (again.hash != result.hash || again.steps != result.steps) {
        fprintf(stderr, "S23: seed %" PRIu64 " runs in two ways\n", seed);
        failing.words[0] = NULL;
        abort();
    }
    plan_release(&plan);
    return result;
}

static struct run_result run_one(const struct command_line *line, uint64_t seed)
{
    struct plan plan = {.mode = PLAN_IS_DRAWN};

    watch(line, seed);
    if (!line->trace && !line->report && (seed - line->first) % REPEAT_EVERY == 0) {
        return run_twice(line, seed);
    }
    plan.settings = settings_of(line, seed);
    return run_plan(&plan, trace_of(line));
}

static uint64_t larger(uint64_t left, uint64_t right)
{
    return left > right ? left : right;
}

static void add(struct run_result *sum, const struct run_result *result)
{
    sum->settling_timeouts = larger(sum->settling_timeouts, result->settling_timeouts);
    sum->mending_us = larger(sum->mending_us, result->mending_us);
    sum->steps += result->steps;
    sum->virtual_us += result->virtual_us;
    sum->faults += result->faults;
    sum->put_back += result->put_back;
    sum->destroyed += result->destroyed;
    sum->cores += result->cores;
    sum->stuck += result->stuck;
    sum->disputes += result->disputes;
    oracle_counts_add(&sum->oracle, &result->oracle);
    workload_counts_add(&sum->workload, &result->workload);
    sum->operator.looked += result->operator.looked;
    sum->operator.asked += result->operator.asked;
    sum->operator.done += result->operator.done;
    sum->operator.repeated += result->operator.repeated;
    sum->operator.wiped += result->operator.wiped;
    sum->operator.mended += result->operator.mended;
    sum->operator.second.cancelled += result->operator.second.cancelled;
    sum->operator.second.repeated += result->operator.second.repeated;
    sum->operator.second.changed += result->operator.second.changed;
    sum->operator.second.done += result->operator.second.done;
    sum->hash = result->hash;
}

static void
print(const struct command_line *line, const struct run_result *sum, uint64_t seeds, clock_t spent)
{
    double seconds = spent > 0 ? (double)spent / CLOCKS_PER_SEC : 1e-6;

    printf("%s: %" PRIu64 " seeds from %" PRIu64 " in %.1f s of one core: %.1f seeds and %.0f "
           "events a second, %" PRIu64 " events a seed\n",
           settings_profile_name(line->profile), seeds, line->first, seconds,
           (double)seeds / seconds, (double)sum->steps / seconds,
           seeds == 0 ? 0 : sum->steps / seeds);
    printf("  %.0f virtual s, %" PRIu64 " faults, %" PRIu64 " folders put back, %" PRIu64
           " disks destroyed, %" PRIu64 " quorums that worked alone, %" PRIu64
           " leaders on a stuck disk, %" PRIu64 " disputes left\n",
           (double)sum->virtual_us / 1e6, sum->faults, sum->put_back, sum->destroyed, sum->cores,
           sum->stuck, sum->disputes);
    printf("  servers agreed within %" PRIu64
           " election timeouts after healing, within %.1f s where "
           "something had to be replaced\n",
           sum->settling_timeouts, (double)sum->mending_us / 1e6);
    oracle_counts_print(&sum->oracle);
    workload_counts_print(&sum->workload);
    printf("  operator: %" PRIu64 " commands, %" PRIu64 " of them repeated, %" PRIu64
           " done, %" PRIu64 " disks wiped, %" PRIu64 " servers mended, %" PRIu64
           " looks at status\n",
           sum->operator.asked, sum->operator.repeated, sum->operator.done, sum->operator.wiped,
           sum->operator.mended, sum->operator.looked);
    printf("  second operator: %" PRIu64 " cancels, %" PRIu64 " repeats, %" PRIu64
           " other commands, %" PRIu64 " done\n",
           sum->operator.second.cancelled, sum->operator.second.repeated,
           sum->operator.second.changed, sum->operator.second.done);
    if (seeds == 1) {
        printf("  trace hash %016" PRIx64 "\n", sum->hash);
    }
}

static int run_file(const struct command_line *line)
{
    struct run_result result;
    struct error error;
    struct plan plan;

    if (plan_read(line->plan, &plan, &error) != STATUS_OK) {
        fprintf(stderr, "simulate: %s\n", error.text);
        return 2;
    }
    watch(line, 0);
    result = run_plan(&plan, trace_of(line));
    printf("%s: %" PRIu64 " events, %" PRIu64 " faults, %" PRIu64
           " entries committed, trace hash %016" PRIx64 "\n",
           line->plan, result.steps, result.faults, result.oracle.committed, result.hash);
    plan_release(&plan);
    return 0;
}

static void run_seeds(const struct command_line *line)
{
    struct run_result sum = {.hash = 0};
    clock_t start = clock();
    time_t end = time(NULL) + (time_t)line->seconds;
    uint64_t seeds = 0;

    for (uint64_t seed = line->first; seed <= line->last; seed++) {
        struct run_result result = run_one(line, seed);

        seeds++;
        add(&sum, &result);
        if (seed == line->last || (line->seconds > 0 && time(NULL) >= end)) {
            break;
        }
    }
    print(line, &sum, seeds, clock() - start);
}

static int write_plan(const struct plan *plan, const char *path, const char *title)
{
    FILE *file = path == NULL ? stdout : fopen(path, "w");

    if (file == NULL) {
        perror(path);
        return 2;
    }
    fprintf(file, "# %s\n", title);
    plan_write(plan, file);
    return file != stdout && fclose(file) != 0 ? 2 : 0;
}

static int record(const struct command_line *line)
{
    struct plan plan = {.settings = settings_of(line, line->first)};
    char title[64];
    int code;

    (void)snprintf(title, sizeof title, "%s seed %" PRIu64, settings_profile_name(line->profile),
                   line->first);
    minimize_record(&plan);
    code = write_plan(&plan, line->plan_to, title);
    plan_release(&plan);
    return code;
}

static int minimize(const struct command_line *line)
{
    struct plan plan = {.mode = PLAN_IS_RECORDED};
    char text[MINIMIZE_TEXT_BYTES];
    struct error error;
    int code;

    if (line->plan != NULL && plan_read(line->plan, &plan, &error) != STATUS_OK) {
        fprintf(stderr, "simulate: %s\n", error.text);
        return 2;
    }
    if (line->plan == NULL) {
        plan.settings = settings_of(line, line->first);
        minimize_record(&plan);
    }
    if (!minimize_fails(&plan, text)) {
        fprintf(stderr, "simulate: it does not fail\n");
        plan_release(&plan);
        return 2;
    }
    (void)minimize_plan(&plan, line->trials_max);
    code = write_plan(&plan, line->plan_to, text);
    plan_release(&plan);
    return code;
}

int main(int argc, char **argv)
{
    struct command_line line = {.profile = SETTINGS_MINI, .first = 1, .trials_max = TRIALS_MAX};
    int code = 0;

    if (!parse(argc, argv, &line)) {
        fprintf(stderr, "usage: simulate --seeds A..B [--profile P] [--marks FILE]\n"
                        "       simulate --seconds S [--from A] [--profile P] [--marks FILE]\n"
                        "       simulate --seed N [--profile P] [--trace]\n"
                        "       simulate --plan FILE [--trace]\n"
                        "       simulate --minimize --seed N [--profile P] [--plan-to FILE]\n"
                        "       [--set NAME=VALUE] changes what the seed draws\n"
                        "profiles: mini, standard, churn, dump, disk, soak, stores, cut\n");
        return 2;
    }
    /* Memory that was used once is used again for the next seed. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 30);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
    (void)mallopt(M_TOP_PAD, 16 << 20);
    (void)mallopt(M_MXFAST, 0);
    catch_signals();
    if (line.minimize) {
        code = minimize(&line);
    } else if (line.plan_to != NULL) {
        code = record(&line);
    } else if (line.plan != NULL) {
        code = run_file(&line);
    } else {
        run_seeds(&line);
    }
    stores_remove_folder();
    if (line.marks != NULL && !mark_write(line.marks)) {
        perror(line.marks);
        return 1;
    }
    return code;
}
