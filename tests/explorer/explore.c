/* Searches all behaviours of a small cluster of shipped cores, within bounds.
 *
 *     explore --bounds NAME [--seconds S] [--states N] [--memory SIZE] [--progress]
 *             [--set FIELD=NUMBER]... [--scenario FILE] [--samples FILE]
 *     explore --list
 *
 * --samples writes the ways to some of the states as one scenario: the runner must get there too.
 *
 * Ends 0: no violation, exhausted or not, which it says; 1: a violation, with its shortest path
 * printed and written to FILE (default: explorer-NAME.txt); 2: wrong usage. */
#include "base/quantity.h"
#include "tests/explorer/story.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    bool chosen;
    struct bounds bounds;
    struct search_limits limits;
    const char *scenario;
    const char *samples;
};

enum { SAMPLES = 50 };

struct told {
    struct world *world;
    FILE *file;
};

static int usage(const char *text, const char *what)
{
    fprintf(stderr,
            "explore: %s%s\nusage: explore --bounds NAME [--seconds S] [--states N] "
            "[--memory 4GiB] [--progress]\n               [--set FIELD=NUMBER]... "
            "[--scenario FILE] [--samples FILE]\n       explore --list\n",
            text, what);
    return 2;
}

static int list(void)
{
    for (unsigned i = 0; bounds_at(i) != NULL; i++) {
        const struct bounds *bounds = bounds_at(i);
        printf("%-12s %s\n             voters %u, spares %u, terms <= %u, indexes <= %u, in flight "
               "<= %u, writes <= %u",
               bounds->name, bounds->purpose, bounds->voters, bounds->spares, bounds->term_max,
               bounds->log_max, bounds->flight_max, bounds->write_max);
        for (unsigned k = 0; k < BOUNDS_BUDGET_COUNT; k++) {
            if (bounds->budgets[k] > 0) {
                printf(", %s <= %u", bounds_budget_name((enum bounds_budget)k), bounds->budgets[k]);
            }
        }
        putchar('\n');
    }
    return 0;
}

static bool parse_count(const char *text, uint64_t *ret)
{
    struct error error;
    return quantity_parse_count(text, UINT32_MAX - 1, ret, &error) == STATUS_OK;
}

static bool set_field(struct bounds *bounds, char *text)
{
    char *equal = strchr(text, '=');
    uint64_t value = 0;
    if (equal == NULL || !parse_count(equal + 1, &value) || value > UINT8_MAX) {
        return false;
    }
    *equal = '\0';
    return bounds_set(bounds, text, (uint8_t)value);
}

/* 0 to go on, else the exit code + 1. */
static int parse(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {
        {"bounds", required_argument, NULL, 'b'},   {"seconds", required_argument, NULL, 's'},
        {"states", required_argument, NULL, 'n'},   {"memory", required_argument, NULL, 'm'},
        {"scenario", required_argument, NULL, 'f'}, {"progress", no_argument, NULL, 'p'},
        {"samples", required_argument, NULL, 'e'},  {"list", no_argument, NULL, 'l'},
        {"set", required_argument, NULL, 'c'},      {NULL, 0, NULL, 0},
    };
    uint64_t number = 0;
    struct error error;
    for (int c = 0; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'b':
            if (bounds_find(optarg) == NULL) {
                return 1 + usage("there are no bounds named ", optarg);
            }
            settings->bounds = *bounds_find(optarg);
            settings->chosen = true;
            break;
        case 's':
            if (!parse_count(optarg, &number)) {
                return 1 + usage("no number of seconds: ", optarg);
            }
            settings->limits.seconds = (double)number;
            break;
        case 'n':
            if (!parse_count(optarg, &settings->limits.states)) {
                return 1 + usage("no number of states: ", optarg);
            }
            break;
        case 'm':
            if (quantity_parse_bytes(optarg, &settings->limits.memory_bytes, &error) != STATUS_OK) {
                return 1 + usage("no size of memory: ", optarg);
            }
            break;
        case 'f':
            settings->scenario = optarg;
            break;
        case 'e':
            settings->samples = optarg;
            break;
        case 'c':
            if (!set_field(&settings->bounds, optarg)) {
                return 1 + usage("no field of the bounds and a number up to 255: ", optarg);
            }
            break;
        case 'p':
            settings->limits.progress = true;
            break;
        case 'l':
            return 1 + list();
        default:
            return 1 + usage("unknown option", "");
        }
    }
    if (!settings->chosen || optind != argc) {
        return 1 + usage("--bounds is needed", "");
    }
    return 0;
}

static void print_report(const struct settings *settings, const struct search_report *report)
{
    double seconds = report->seconds > 0 ? report->seconds : 1e-9;
    printf("bounds %s: %s\n", settings->bounds.name, search_end_name(report->end));
    printf("states %" PRIu64 " distinct of %" PRIu64 " reached, depth %u, sites %u\n",
           report->states, report->transitions, report->depth, report->sites);
    printf("%.1f s, %.0f states/s, %.1f MiB\n", report->seconds, (double)report->states / seconds,
           (double)report->memory_bytes / (1 << 20));
}

static void tell_sample(void *context, const struct search_report *report)
{
    struct told *told = context;
    story_write_sample(told->file, told->world, report);
}

static void tell_violation(const struct settings *settings,
                           const struct world *world,
                           const struct search_report *report)
{
    story_print(stdout, world, report);
    char path[256];
    if (settings->scenario != NULL) {
        snprintf(path, sizeof path, "%s", settings->scenario);
    } else {
        snprintf(path, sizeof path, "explorer-%s.txt", settings->bounds.name);
    }
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        perror(path);
        return;
    }
    story_write(file, world, report);
    if (fclose(file) != 0) {
        perror(path);
        return;
    }
    printf("the path is in %s: scenario_runner executes it\n", path);
}

int main(int argc, char **argv)
{
    struct settings settings = {.limits = {.memory_bytes = UINT64_C(4) << 30}};
    int end = parse(argc, argv, &settings);
    if (end != 0) {
        return end - 1;
    }
    struct world world;
    world_init(&world, &settings.bounds);
    struct told told = {.world = &world};
    if (settings.samples != NULL) {
        told.file = fopen(settings.samples, "w");
        if (told.file == NULL) {
            perror(settings.samples);
            return 2;
        }
        settings.limits.samples = SAMPLES;
        settings.limits.tell = tell_sample;
        settings.limits.tell_context = &told;
    }
    struct search_report report = search_run(&world, &settings.limits);
    if (told.file != NULL && fclose(told.file) != 0) {
        perror(settings.samples);
        return 2;
    }
    print_report(&settings, &report);
    if (report.end == SEARCH_VIOLATION) {
        tell_violation(&settings, &world, &report);
    }
    free(report.path);
    world_release(&world);
    return report.end == SEARCH_VIOLATION ? 1 : 0;
}
