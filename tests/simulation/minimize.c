#include "tests/simulation/minimize.h"

#include "base/alloc.h"
#include "base/check.h"
#include "tests/simulation/run.h"

#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRIAL_CPU_SECONDS = 30, OUTPUT_BYTES_MAX = 16384, ITEMS_MAX = 1 << 20 };

/* --- One trial --- */

static _Noreturn void be_child(struct plan *plan, int output)
{
    const struct rlimit limit = {.rlim_cur = TRIAL_CPU_SECONDS, .rlim_max = TRIAL_CPU_SECONDS};
    const struct rlimit no_core = {.rlim_cur = 0, .rlim_max = 0};

    (void)dup2(output, STDERR_FILENO);
    (void)setrlimit(RLIMIT_CPU, &limit);
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)signal(SIGABRT, SIG_DFL);
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGPROF, SIG_DFL);
    (void)run_plan(plan, TIMELINE_SILENT);
    _exit(0);
}

static size_t read_all(int input, char *output)
{
    char rest[512];
    size_t size = 0;
    ssize_t got;

    while ((got = read(input, rest, sizeof rest)) > 0) {
        size_t take =
            (size_t)got < OUTPUT_BYTES_MAX - 1 - size ? (size_t)got : OUTPUT_BYTES_MAX - 1 - size;

        memcpy(output + size, rest, take);
        size += take;
    }
    output[size] = '\0';
    return size;
}

/* The line that tells what failed, without its numbers: they differ from trial to trial. An
 * invariant that has a name is known by that. */
static void tell_failure(const char *output, int status, char text[MINIMIZE_TEXT_BYTES])
{
    const char *line = strstr(output, "violation at");
    const char *reason = line == NULL ? NULL : strstr(line, ": ");
    size_t size = 0;

    if (reason != NULL) {
        line = reason + 2;
    } else {
        line = strstr(output, "check failed");
        line = line == NULL ? strstr(output, "ERROR: ") : line;
    }
    if (line == NULL) {
        (void)snprintf(text, MINIMIZE_TEXT_BYTES, "signal %d", WTERMSIG(status));
        return;
    }
    if ((line[0] == 'S' || line[0] == 'L') && isdigit((unsigned char)line[1])) {
        size = strcspn(line, ":\n");
        (void)snprintf(text, MINIMIZE_TEXT_BYTES, "%.*s", (int)size, line);
        return;
    }
    for (const char *at = line; *at != '\0' && *at != '\n' && size < MINIMIZE_TEXT_BYTES - 1;
         at++) {
        if (!isdigit((unsigned char)*at)) {
            text[size++] = *at;
        }
    }
    text[size] = '\0';
}

bool minimize_fails(struct plan *plan, char text[MINIMIZE_TEXT_BYTES])
{
    char output[OUTPUT_BYTES_MAX];
    int ends[2];
    int status = 0;
    pid_t child;

    if (plan->settings.with_stores) {
        (void)stores_folder(); /* ours: trials do not live to remove theirs */
    }
    CHECK(fflush(NULL) == 0 && pipe(ends) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        be_child(plan, ends[1]);
    }
    (void)close(ends[1]);
    (void)read_all(ends[0], output);
    (void)close(ends[0]);
    CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return false;
    }
    tell_failure(output, status, text);
    return true;
}

void minimize_record(struct plan *plan)
{
    size_t bytes = sizeof *plan + ITEMS_MAX * sizeof *plan->items;
    struct plan *shared =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char text[MINIMIZE_TEXT_BYTES];

    CHECK(shared != MAP_FAILED);
    shared->settings = plan->settings;
    shared->mode = PLAN_IS_RECORDED;
    shared->items = (struct plan_item *)(shared + 1);
    shared->capacity = ITEMS_MAX;
    (void)minimize_fails(shared, text);
    for (size_t i = 0; i < shared->count; i++) {
        plan_add(plan, &shared->items[i]);
    }
    plan->mode = PLAN_IS_REPLAYED;
    CHECK(munmap(shared, bytes) == 0);
}

/* --- The search --- */

struct search {
    struct plan *best;
    char text[MINIMIZE_TEXT_BYTES];
    size_t trials;
    size_t trials_max;
};

/* Take `candidate` over if it fails in the same way; it is released otherwise. */
static bool try_plan(struct search *search, struct plan *candidate)
{
    char text[MINIMIZE_TEXT_BYTES];

    if (search->trials < search->trials_max) {
        search->trials++;
        if (minimize_fails(candidate, text) && strcmp(text, search->text) == 0) {
            plan_release(search->best);
            *search->best = *candidate;
            return true;
        }
    }
    plan_release(candidate);
    return false;
}

static bool drop_range(struct search *search, size_t first, size_t count)
{
    struct plan candidate = plan_copy(search->best);

    memmove(candidate.items + first, candidate.items + first + count,
            (candidate.count - first - count) * sizeof *candidate.items);
    candidate.count -= count;
    return try_plan(search, &candidate);
}

/* Ever smaller pieces, from the end to the beginning. */
static bool drop_items(struct search *search)
{
    size_t size = search->best->count / 2;
    bool any = false;

    while (size > 0) {
        size_t end = search->best->count;

        while (end > 0) {
            size_t count = size < end ? size : end;

            if (drop_range(search, end - count, count)) {
                any = true;
            }
            end -= count;
        }
        size /= 2;
    }
    return any;
}

static bool drop_those(struct search *search,
                       bool (*is_meant)(const struct plan_item *, uint64_t),
                       uint64_t which)
{
    struct plan candidate = plan_copy(search->best);
    size_t kept = 0;

    for (size_t i = 0; i < candidate.count; i++) {
        if (!is_meant(&candidate.items[i], which)) {
            candidate.items[kept++] = candidate.items[i];
        }
    }
    if (kept == candidate.count) {
        plan_release(&candidate);
        return false;
    }
    candidate.count = kept;
    return try_plan(search, &candidate);
}

static bool is_of_kind(const struct plan_item *item, uint64_t kind)
{
    return item->kind == kind;
}

static bool is_of_client(const struct plan_item *item, uint64_t client)
{
    return item->kind == PLAN_CLIENT && item->actor == client;
}

static bool is_of_server(const struct plan_item *item, uint64_t server)
{
    return item->kind < FAULT_CLASSES && (item->actor == server || item->other == server);
}

static bool drop_groups(struct search *search)
{
    bool any = false;

    for (uint64_t i = 0; i < PLAN_KINDS; i++) {
        any |= drop_those(search, is_of_kind, i);
    }
    for (uint64_t i = 0; i < search->best->settings.clients; i++) {
        any |= drop_those(search, is_of_client, i);
    }
    for (uint64_t i = 1; i <= search->best->settings.places; i++) {
        any |= drop_those(search, is_of_server, i);
    }
    return any;
}

static bool try_setting(struct search *search, const char *name, uint64_t value)
{
    struct plan candidate = plan_copy(search->best);
    const char *known;

    for (size_t i = 0;; i++) {
        uint64_t present = settings_get(&candidate.settings, i, &known);

        CHECK(known != NULL);
        if (strcmp(known, name) == 0) {
            if (present == value) {
                plan_release(&candidate);
                return false;
            }
            break;
        }
    }
    CHECK(settings_set(&candidate.settings, name, value) == STATUS_OK);
    return try_plan(search, &candidate);
}

static bool calm(struct search *search)
{
    const struct settings *settings = &search->best->settings;
    bool any = false;

    any |= try_setting(search, "network.loose", 0);
    any |= try_setting(search, "network.loss_permille", 0);
    any |= try_setting(search, "network.duplicate_permille", 0);
    any |= try_setting(search, "network.reorder_permille", 0);
    any |= try_setting(search, "drift_ppm_max", 0);
    any |= try_setting(search, "with_core", 0);
    any |= try_setting(search, "with_stall", 0);
    any |= try_setting(search, "with_second_operator", 0);
    if (settings->places > settings->first_members + settings->first_learners) {
        any |= try_setting(search, "places", settings->places - 1);
    } else if (settings->first_learners > 0) {
        any |= try_setting(search, "first_learners", settings->first_learners - 1);
    } else if (settings->places > 1) {
        struct plan candidate = plan_copy(search->best);

        candidate.settings.places--;
        candidate.settings.first_members--;
        any |= try_plan(search, &candidate);
    }
    if (settings->clients > 1) {
        any |= try_setting(search, "clients", settings->clients - 1);
    }
    if (settings->faulty_us > 1000) {
        any |= try_setting(search, "faulty_us", settings->faulty_us / 2);
    }
    return any;
}

static bool shorten(struct search *search)
{
    bool any = false;

    for (size_t i = 0; i < search->best->count; i++) {
        if (search->best->items[i].kind < FAULT_CLASSES && search->best->items[i].for_us > 2000) {
            struct plan candidate = plan_copy(search->best);

            candidate.items[i].for_us /= 2;
            any |= try_plan(search, &candidate);
        }
    }
    return any;
}

size_t minimize_plan(struct plan *plan, size_t trials_max)
{
    struct search search = {.best = plan, .trials_max = trials_max};
    bool any = minimize_fails(plan, search.text);

    fprintf(stderr, "it fails with \"%s\", %zu items\n", search.text, plan->count);
    while (any && search.trials < trials_max) {
        any = drop_groups(&search);
        any |= drop_items(&search);
        any |= calm(&search);
        any |= plan->count < 100 && shorten(&search);
        fprintf(stderr, "%zu items after %zu trials\n", plan->count, search.trials);
    }
    return search.trials;
}
