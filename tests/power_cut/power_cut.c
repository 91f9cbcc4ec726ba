/* Power cuts, failing calls and damaged files under the real stores.
 *
 *     power_cut [--images N] [--seconds S] [--seed N]     stories, and images of power cuts in them
 *     power_cut --every-cut [--seconds S] [--seed N]      a story with steps of every kind, and an
 *                                                         image at each cut; more while S allows
 *     power_cut --faults [--runs N] [--part K/N] [--seconds S] [--seed N]
 *                                                         such a story; each of its calls fails
 *     power_cut --flips N [--seconds S] [--seed N]        stories, and flipped bits after them
 *     power_cut --story SEED [--fault SPEC] [--cut N --image SEED | --flip SEED |
 *                                                         --tail-flip SEED]
 *                                                         one of these again; its folders are kept
 *
 * Ends 0 when all was right, 1 when something was wrong, 2 on wrong usage. */
#include "base/check.h"
#include "tests/power_cut/run.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    IMAGES_PER_FAULT = 2,
    FLIPS_PER_STORY = 60,
    STORIES_SEARCHED_MAX = 500,
    EXIT_WRONG = 1,
    EXIT_USAGE = 2
};

/* A sync that failed, a device that is gone, a full disk, and the last bytes of one; then what
 * happens to reads. */
static const struct run_fault faults[] = {
    {"io", TAPE_FAULT_REFUSED, EIO, 1, false},
    {"io-done", TAPE_FAULT_DONE, EIO, 1, false},
    {"io-ever", TAPE_FAULT_REFUSED, EIO, UINT64_MAX, false},
    {"full", TAPE_FAULT_REFUSED, ENOSPC, 1, false},
    {"full-ever", TAPE_FAULT_REFUSED, ENOSPC, UINT64_MAX, false},
    {"short", TAPE_FAULT_SHORT, ENOSPC, 1, false},
    {"read", TAPE_FAULT_REFUSED, EIO, 1, true},
    {"read-ever", TAPE_FAULT_REFUSED, EIO, UINT64_MAX, true},
};

enum {
    FAULT_COUNT = sizeof faults / sizeof faults[0],
    READ_FAULT_COUNT = 2, /* the last ones */
    CALL_FAULT_COUNT = FAULT_COUNT - READ_FAULT_COUNT,
    SAMPLE_OF_ALL_WAYS = 100 /* failures, spread evenly */
};

struct options {
    bool faults;
    bool every_cut;
    bool one;
    uint64_t seed;
    uint64_t images;
    uint64_t runs; /* 0 = all */
    uint64_t part; /* of `parts`, from 1 */
    uint64_t parts;
    uint64_t seconds;
    const struct run_fault *fault;
    uint64_t call; /* the one that fails */
    bool has_cut;
    uint64_t cut;
    uint64_t image_seed;
    uint64_t flips;
    bool has_flip;
    bool of_tail;
    uint64_t flip_seed;
};

static uint64_t clock_seconds(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec;
}

static uint64_t end_of(const struct options *options)
{
    return options->seconds == 0 ? UINT64_MAX : clock_seconds() + options->seconds;
}

/* --- Images --- */

struct cuts {
    uint64_t stories;
    uint64_t events;
    uint64_t images[STEP_KIND_COUNT];
    uint64_t half_commits;
};

static uint64_t sum(const uint64_t counts[STEP_KIND_COUNT])
{
    uint64_t whole = 0;

    for (int kind = 0; kind < STEP_KIND_COUNT; kind++) {
        whole += counts[kind];
    }
    return whole;
}

static void add_run(struct cuts *cuts, const struct run *run)
{
    cuts->stories++;
    cuts->events += run->events;
    cuts->half_commits += run->half_commits;
    for (int kind = 0; kind < STEP_KIND_COUNT; kind++) {
        cuts->images[kind] += run->images[kind];
    }
}

static void tell_where(const struct cuts *cuts)
{
    for (int kind = 0; kind < STEP_KIND_COUNT; kind++) {
        (void)printf("%s%s %" PRIu64, kind == 0 ? "images by where the power went: " : ", ",
                     stores_step_name((enum step_kind)kind), cuts->images[kind]);
    }
    (void)printf("; %" PRIu64 " of them named as half a commit\n", cuts->half_commits);
}

static void tell_cuts(const struct cuts *cuts, const char *verdict)
{
    tell_where(cuts);
    (void)printf("%" PRIu64 " stories of %d steps, %" PRIu64 " file operations; %" PRIu64
                 " images of power cuts: %s\n",
                 cuts->stories, (int)RUN_STEPS, cuts->events, sum(cuts->images), verdict);
}

static int perform_cuts(const struct options *options)
{
    uint64_t end = end_of(options);
    struct cuts cuts = {.stories = 0};
    bool is_right = true;

    while (is_right && sum(cuts.images) < options->images && clock_seconds() < end) {
        struct run *run = run_new(options->seed + cuts.stories);

        run->cuts_wanted = RUN_CUTS_MAX;
        is_right = run_perform(run);
        add_run(&cuts, run);
        run_free(run);
    }
    tell_cuts(&cuts, is_right ? "all right" : "one is wrong");
    return is_right ? 0 : EXIT_WRONG;
}

/* Is there none of a kind of step? */
static const char *find_missing(const uint64_t counts[STEP_KIND_COUNT])
{
    for (int kind = 0; kind < STEP_KIND_COUNT; kind++) {
        if (counts[kind] == 0) {
            return stores_step_name((enum step_kind)kind);
        }
    }
    return NULL;
}

/* The first story from `seed` on that has steps of every kind, played without a fault; NULL: one
 * on the way was wrong. */
static struct run *find_whole_story(uint64_t seed)
{
    for (uint64_t i = 0; i < STORIES_SEARCHED_MAX; i++) {
        struct run *run = run_new(seed + i);
        bool is_right = run_perform(run);

        if (is_right && find_missing(run->operations) == NULL) {
            return run;
        }
        run_free(run);
        if (!is_right) {
            return NULL;
        }
    }
    (void)printf("wrong: none of %d stories has steps of every kind\n", (int)STORIES_SEARCHED_MAX);
    return NULL;
}

static int perform_every_cut(const struct options *options)
{
    uint64_t end = options->seconds == 0 ? 0 : end_of(options);
    struct run *story = find_whole_story(options->seed);
    struct cuts cuts = {.stories = 0};
    const char *missing = NULL;
    bool is_right = story != NULL;

    while (is_right && (cuts.stories == 0 || clock_seconds() < end)) {
        struct run *run = run_new(story->seed + cuts.stories);

        run->every_cut = true;
        is_right = run_perform(run);
        add_run(&cuts, run);
        run_free(run);
    }
    missing = find_missing(cuts.images);
    if (is_right && missing != NULL) {
        (void)printf("wrong: no image of a power cut in a step of the kind '%s'\n", missing);
        is_right = false;
    }
    if (is_right && sum(cuts.images) != cuts.events + cuts.stories) {
        (void)printf("wrong: %" PRIu64 " images after %" PRIu64 " operations of %" PRIu64
                     " stories\n",
                     sum(cuts.images), cuts.events, cuts.stories);
        is_right = false;
    }
    if (story != NULL) {
        run_free(story);
    }
    tell_cuts(&cuts, is_right ? "one at every cut, all right" : "wrong");
    return is_right ? 0 : EXIT_WRONG;
}

/* --- Flipped bits --- */

/* What a data folder is made of. */
static const char *const cells_wanted[] = {
    "lock",
    "log/data.mdb meta",
    "log/data.mdb branch",
    "log/data.mdb leaf",
    "log/data.mdb large value",
    "log/data.mdb within a large value",
    "log/data.mdb unused",
    "log/data.mdb zeros",
    "log/lock.mdb",
    "log-tail/data.mdb meta",
    "log-tail/data.mdb leaf",
    "tree-N/data.mdb meta",
    "tree-N/data.mdb branch",
    "tree-N/data.mdb leaf",
    "tree-N/data.mdb large value",
    "tree-N/data.mdb within a large value",
    "tree-N/data.mdb unused",
    "tree-N/lock.mdb",
    "dumps/out head",
    "dumps/out records",
    "dumps/out trailer",
};

enum { CELLS_WANTED = sizeof cells_wanted / sizeof cells_wanted[0], FLIPPED_STORIES_MAX = 20 };

/* A cell without a flip, NULL = none. */
static const char *find_empty_cell(struct run *total)
{
    for (size_t i = 0; i < CELLS_WANTED; i++) {
        (void)run_cell(total, cells_wanted[i]);
    }
    for (size_t i = 0; i < total->cell_count; i++) {
        if (total->cells[i].flips == 0) {
            return total->cells[i].name;
        }
    }
    return NULL;
}

static uint64_t add_cells(struct run *total, const struct run *run)
{
    uint64_t flips = 0;

    for (size_t i = 0; i < run->cell_count; i++) {
        struct run_cell *cell = run_cell(total, run->cells[i].name);

        cell->flips += run->cells[i].flips;
        cell->named += run->cells[i].named;
        flips += run->cells[i].flips;
    }
    return flips;
}

static uint64_t tell_cells(const struct run *total)
{
    uint64_t named = 0;

    (void)printf("flipped bits, and how many were named:\n");
    for (size_t i = 0; i < total->cell_count; i++) {
        (void)printf("  %-40s %6" PRIu64 " %6" PRIu64 "\n", total->cells[i].name,
                     total->cells[i].flips, total->cells[i].named);
        named += total->cells[i].named;
    }
    return named;
}

/* At least until each cell has one. */
static int perform_flips(const struct options *options)
{
    uint64_t end = end_of(options);
    struct run *total = run_new(0);
    uint64_t stories = 0;
    uint64_t flips = 0;
    const char *empty = "all";
    bool is_right = true;

    while (is_right && stories < FLIPPED_STORIES_MAX + options->flips / FLIPS_PER_STORY &&
           (empty != NULL || (flips < options->flips && clock_seconds() < end))) {
        struct run *run = run_new(options->seed + stories);

        run->flips_wanted = FLIPS_PER_STORY;
        is_right = run_perform(run);
        stories++;
        flips += add_cells(total, run);
        empty = find_empty_cell(total);
        run_free(run);
    }
    if (is_right && empty != NULL) {
        (void)printf("wrong: no bit was flipped in: %s\n", empty);
        is_right = false;
    }
    (void)printf("%" PRIu64 " flipped bits after %" PRIu64 " stories: %" PRIu64
                 " were named, the others harmless: %s\n",
                 flips, stories, tell_cells(total), is_right ? "all right" : "one is wrong");
    run_free(total);
    return is_right ? 0 : EXIT_WRONG;
}

/* --- Failing calls --- */

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* Going round `count` things by this step meets each once, and any part of the way is spread evenly
 * over all of them. */
static uint64_t stride_of(uint64_t count)
{
    uint64_t stride = count * 618 / 1000 + 1;

    while (common_divisor(stride, count) != 1) {
        stride++;
    }
    return stride;
}

struct failures {
    uint64_t possible;
    uint64_t played;
    uint64_t failed;
    uint64_t by_way[FAULT_COUNT];
    struct cuts cuts;
};

static uint64_t possible_failures(const struct run *story)
{
    return story->calls * CALL_FAULT_COUNT + story->reads * READ_FAULT_COUNT;
}

static void choose_failure(struct run *run, const struct run *story, uint64_t choice)
{
    uint64_t of_calls = story->calls * CALL_FAULT_COUNT;

    if (choice < of_calls) {
        run->fault = &faults[choice % CALL_FAULT_COUNT];
        run->call = choice / CALL_FAULT_COUNT;
    } else {
        run->fault = &faults[CALL_FAULT_COUNT + (choice - of_calls) % READ_FAULT_COUNT];
        run->call = (choice - of_calls) / READ_FAULT_COUNT;
    }
}

/* Failure `choice` of those that the calls of a story can meet. */
static bool play_failure(const struct run *story, uint64_t choice, struct failures *failures)
{
    struct run *run = run_new(story->seed);
    bool is_right;

    choose_failure(run, story, choice);
    run->cuts_wanted = IMAGES_PER_FAULT;
    is_right = run_perform(run);
    failures->played++;
    failures->failed += run->has_failed;
    failures->by_way[run->fault - faults] += run->has_failed;
    add_run(&failures->cuts, run);
    run_free(run);
    return is_right;
}

/* A way that a sample missed, NULL = none. */
static const char *tell_ways(const struct failures *failures)
{
    const char *missed = NULL;

    for (size_t i = 0; i < FAULT_COUNT; i++) {
        (void)printf("%s%s %" PRIu64, i == 0 ? "failures by their way: " : ", ", faults[i].name,
                     failures->by_way[i]);
        if (failures->by_way[i] == 0 && failures->played >= SAMPLE_OF_ALL_WAYS) {
            missed = faults[i].name;
        }
    }
    (void)printf("\n");
    return missed;
}

/* Each call of a story fails once in each of its ways; of these the first `runs` on the way of the
 * stride, and of those every `parts`th. */
static int perform_faults(const struct options *options)
{
    uint64_t end = end_of(options);
    struct run *story = find_whole_story(options->seed);
    struct failures failures = {.played = 0};
    const char *missed;
    bool is_right = story != NULL;

    if (is_right) {
        uint64_t possible = possible_failures(story);
        uint64_t stride = stride_of(possible);
        uint64_t runs = options->runs == 0 || options->runs > possible ? possible : options->runs;

        failures.possible = possible;
        for (uint64_t i = options->part - 1; is_right && i < runs && clock_seconds() < end;
             i += options->parts) {
            is_right = play_failure(story, i * stride % possible, &failures);
        }
        (void)printf("story %" PRIu64 ", of %" PRIu64 " calls that change files and %" PRIu64
                     " that read\n",
                     story->seed, story->calls, story->reads);
        run_free(story);
    }
    if (is_right && failures.failed != failures.played) {
        (void)printf("wrong: a call that was to fail never came\n");
        is_right = false;
    }
    missed = tell_ways(&failures);
    if (is_right && missed != NULL && options->parts == 1) { /* a part may have every other way */
        (void)printf("wrong: no call failed in the way '%s'\n", missed);
        is_right = false;
    }
    tell_where(&failures.cuts);
    (void)printf("%" PRIu64 " of %" PRIu64 " failures played, %" PRIu64 " images after them: %s\n",
                 failures.played, failures.possible, sum(failures.cuts.images),
                 is_right ? "all right" : "one is wrong");
    return is_right ? 0 : EXIT_WRONG;
}

static int perform_one(const struct options *options)
{
    struct run *run = run_new(options->seed);
    bool is_right;

    run->fault = options->fault;
    run->call = options->call;
    run->has_cut = options->has_cut;
    run->cut = options->cut;
    run->image_seed = options->image_seed;
    run->has_flip = options->has_flip;
    run->of_tail = options->of_tail;
    run->flips_wanted = options->has_flip ? 1 : 0;
    run->flip_seed = options->flip_seed;
    run->keep = true;
    is_right = run_perform(run);
    (void)printf("%s\n", is_right ? "all right" : "wrong");
    run_free(run);
    return is_right ? 0 : EXIT_WRONG;
}

/* --- Usage --- */

static bool parse_number(const char *text, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

/* NAME:CALL */
static bool parse_fault(const char *text, struct options *options)
{
    const char *colon = strchr(text, ':');

    for (size_t i = 0; colon != NULL && i < FAULT_COUNT; i++) {
        if (strlen(faults[i].name) == (size_t)(colon - text) &&
            strncmp(faults[i].name, text, (size_t)(colon - text)) == 0) {
            options->fault = &faults[i];
            return parse_number(colon + 1, &options->call);
        }
    }
    return false;
}

/* K/N */
static bool parse_part(char *text, struct options *options)
{
    char *slash = strchr(text, '/');

    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    return parse_number(text, &options->part) && parse_number(slash + 1, &options->parts) &&
           options->part >= 1 && options->part <= options->parts;
}

static bool parse(int argc, char **argv, struct options *options)
{
    static const struct option long_options[] = {{"images", required_argument, NULL, 'i'},
                                                 {"seconds", required_argument, NULL, 's'},
                                                 {"seed", required_argument, NULL, 'S'},
                                                 {"faults", no_argument, NULL, 'f'},
                                                 {"runs", required_argument, NULL, 'r'},
                                                 {"story", required_argument, NULL, 'o'},
                                                 {"fault", required_argument, NULL, 'F'},
                                                 {"cut", required_argument, NULL, 'c'},
                                                 {"image", required_argument, NULL, 'I'},
                                                 {"flips", required_argument, NULL, 'p'},
                                                 {"flip", required_argument, NULL, 'P'},
                                                 {"every-cut", no_argument, NULL, 'e'},
                                                 {"part", required_argument, NULL, 'n'},
                                                 {"tail-flip", required_argument, NULL, 't'},
                                                 {NULL, 0, NULL, 0}};
    bool is_right = true;
    int option;

    while (is_right && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 'i':
            is_right = parse_number(optarg, &options->images);
            break;
        case 's':
            is_right = parse_number(optarg, &options->seconds);
            break;
        case 'S':
            is_right = parse_number(optarg, &options->seed);
            break;
        case 'f':
            options->faults = true;
            break;
        case 'e':
            options->every_cut = true;
            break;
        case 'n':
            is_right = parse_part(optarg, options);
            break;
        case 'r':
            is_right = parse_number(optarg, &options->runs);
            break;
        case 'o':
            options->one = true;
            is_right = parse_number(optarg, &options->seed);
            break;
        case 'F':
            is_right = parse_fault(optarg, options);
            break;
        case 'c':
            options->has_cut = true;
            is_right = parse_number(optarg, &options->cut);
            break;
        case 'I':
            is_right = parse_number(optarg, &options->image_seed);
            break;
        case 'p':
            is_right = parse_number(optarg, &options->flips);
            break;
        case 't':
            options->has_flip = true;
            options->of_tail = true;
            is_right = parse_number(optarg, &options->flip_seed);
            break;
        case 'P':
            options->has_flip = true;
            is_right = parse_number(optarg, &options->flip_seed);
            break;
        default:
            is_right = false;
        }
    }
    return is_right && optind == argc;
}

int main(int argc, char **argv)
{
    struct options options = {.seed = 1, .images = UINT64_MAX, .part = 1, .parts = 1};

    if (!parse(argc, argv, &options) ||
        (!options.one && !options.faults && !options.every_cut && options.flips == 0 &&
         options.seconds == 0 && options.images == UINT64_MAX)) {
        (void)fprintf(stderr,
                      "usage: power_cut --images N | --seconds S [--seed N]\n"
                      "       power_cut --every-cut [--seconds S] [--seed N]\n"
                      "       power_cut --faults [--runs N] [--part K/N] [--seconds S] [--seed "
                      "N]\n"
                      "       power_cut --flips N [--seconds S] [--seed N]\n"
                      "       power_cut --story SEED [--fault NAME:CALL] [--cut N --image "
                      "SEED | --flip SEED | --tail-flip SEED]\n");
        return EXIT_USAGE;
    }
    if (options.one) {
        return perform_one(&options);
    }
    if (options.flips > 0) {
        return perform_flips(&options);
    }
    if (options.every_cut) {
        return perform_every_cut(&options);
    }
    return options.faults ? perform_faults(&options) : perform_cuts(&options);
}
