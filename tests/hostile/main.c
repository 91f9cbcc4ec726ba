/* Attack a cluster of real servers in each way that attacks.c knows, one after the other, and watch
 * what it costs others: a quiet client's longest wait, elections, memory and descriptors.
 *
 *     hostile [--seconds N] [--bound MS] [--children N] [--only NAME]... [--list]
 *
 * The attacked server is the leader; the quiet client is at the same one. Prints a table. Exits 1
 * when a server ended, or memory or descriptors did not come back; with a bound, also when the
 * quiet client waited longer, the time not counted for which threads on the way of a call waited
 * for a processor, or had a failure, or an election took place: that says something only on a
 * machine whose disk and processors have little else to do. */
#include "base/check.h"
#include "base/quantity.h"
#include "tests/hostile/attacks.h"
#include "tests/hostile/quiet.h"
#include "tests/hostile/victim.h"
#include "tests/support/cluster.h"
#include "tests/support/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    ONLY_MAX = 32,
    RECOVERY_MS = 60 * 1000,
/* What may stay beyond what the server held before the first attack, with as many of the last
 * writes as it keeps: what is free and not worth giving back, and tables of the size that they had.
 * The sanitizer's allocator keeps much on purpose. */
#ifdef __SANITIZE_ADDRESS__
    MEMORY_KEPT_BYTES_MAX = 1024 * 1024 * 1024
#else
    MEMORY_KEPT_BYTES_MAX = 96 * 1024 * 1024
#endif
};

static struct {
    uint64_t seconds;
    uint64_t bound_ms;
    uint64_t children;
    const char *only[ONLY_MAX];
    size_t only_count;
} options = {.seconds = 5, .children = 20000};

static struct cluster cluster;
static bool failed;

static bool is_chosen(const struct attack *attack)
{
    for (size_t i = 0; i < options.only_count; i++) {
        if (strcmp(options.only[i], attack->name) == 0) {
            return true;
        }
    }
    return options.only_count == 0;
}

/* Wait until connections and memory are gone that were not there before the first attack: what each
 * left would else be nothing to the next. */
static struct victim_load load_after(pid_t pid, const struct victim_load *before)
{
    uint64_t end_ms = process_now_ms() + RECOVERY_MS;
    struct victim_load load;

    do {
        load = victim_load(pid);
        if (load.descriptors <= before->descriptors &&
            load.memory_bytes <= before->memory_bytes + MEMORY_KEPT_BYTES_MAX) {
            break;
        }
        process_pause();
    } while (process_now_ms() < end_ms);
    return load;
}

static unsigned mib(uint64_t bytes)
{
    return (unsigned)(bytes >> 20);
}

static void complain(const char *attack, const char *what)
{
    (void)printf("FAILED %s: %s\n", attack, what);
    failed = true;
}

static void perform(const struct attack *attack,
                    unsigned victim,
                    const struct victim_load *before,
                    struct quiet *quiet)
{
    const struct cluster_server *server = &cluster.servers[victim];
    struct site site = {.address = server->address, .seconds = options.seconds};
    uint64_t term = victim_term(server->address);
    struct victim_load peak;
    struct victim_load after;
    struct quiet_report report;

    prng_init(&site.prng, 1);
    victim_reset_peak(server->process.pid);
    quiet_reset(quiet);
    attack->run(&site);
    peak = victim_load(server->process.pid);
    after = load_after(server->process.pid, before);
    report = quiet_report(quiet); /* letting go of them may cost others as much */
    (void)printf("%-22s %9" PRIu64 " %-12s %5" PRIu64 ".%" PRIu64 " ms (%4" PRIu64
                 " unstarved) %6" PRIu64 " calls  peak %5u MiB  kept %+5d MiB  %+4d files\n",
                 attack->name, site.count, attack->unit, report.longest_us / 1000,
                 report.longest_us / 100 % 10, report.longest_unstarved_us / 1000, report.calls,
                 mib(peak.memory_peak_bytes),
                 (int)mib(after.memory_bytes) - (int)mib(before->memory_bytes),
                 (int)after.descriptors - (int)before->descriptors);
    if (options.bound_ms > 0 && report.failures > 0) {
        complain(attack->name, "the quiet client had a failure");
    }
    if (options.bound_ms > 0 && report.longest_unstarved_us > options.bound_ms * 1000) {
        complain(attack->name, "the quiet client waited too long");
    }
    if (site.count == 0) {
        complain(attack->name, "nothing was done");
    }
    if (after.descriptors > before->descriptors) {
        complain(attack->name, "descriptors did not come back");
    }
    if (after.memory_bytes > before->memory_bytes + MEMORY_KEPT_BYTES_MAX) {
        complain(attack->name, "memory did not come back");
    }
    if (options.bound_ms > 0 && victim_term(server->address) != term) {
        complain(attack->name, "an election took place");
    }
    for (unsigned id = 1; id <= cluster.server_count; id++) {
        EXPECT(!process_wait(&cluster.servers[id].process, 0));
    }
    (void)fflush(stdout);
}

static void test_attacks_cost_others_little(void)
{
    pid_t servers[CLUSTER_SERVERS_MAX];
    struct victim_load before;
    struct quiet *quiet;
    unsigned victim;

    cluster_init(&cluster, 3);
    cluster_form(&cluster);
    victim = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    EXPECT(victim != 0);
    attacks_prepare(cluster.servers[victim].address, options.children);
    for (unsigned i = 0; i < cluster.server_count; i++) {
        servers[i] = cluster.servers[(victim - 1 + i) % cluster.server_count + 1].process.pid;
    }
    quiet = quiet_start(cluster.servers[victim].address, servers, cluster.server_count);
    /* Its connection is there before anything is measured. */
    for (uint64_t end_ms = process_now_ms() + CLUSTER_DEADLINE_MS;
         quiet_report(quiet).calls == 0 && process_now_ms() < end_ms;) {
        process_pause();
    }
    before = victim_load(cluster.servers[victim].process.pid);
    for (const struct attack *attack = attacks; attack->run != NULL; attack++) {
        if (is_chosen(attack)) {
            perform(attack, victim, &before, quiet);
        }
    }
    quiet_stop(quiet);
    EXPECT(!failed);
    cluster_release(&cluster);
}

static int use(const char *reason)
{
    (void)fprintf(stderr,
                  "%s\nhostile [--seconds N] [--bound MS] [--children N] [--only NAME]... "
                  "[--list]\n",
                  reason);
    return 2;
}

static bool parse_count(const char *text, uint64_t *ret_count)
{
    return text != NULL && quantity_parse_count(text, 1U << 30, ret_count, NULL) == STATUS_OK;
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {TEST_CASE(test_attacks_cost_others_little), TEST_END};
    struct rlimit files;
    char *none[] = {argv[0], NULL};

    for (int i = 1; i < argc; i++) {
        uint64_t *number = strcmp(argv[i], "--seconds") == 0    ? &options.seconds
                           : strcmp(argv[i], "--bound") == 0    ? &options.bound_ms
                           : strcmp(argv[i], "--children") == 0 ? &options.children
                                                                : NULL;

        if (strcmp(argv[i], "--list") == 0) {
            for (const struct attack *attack = attacks; attack->run != NULL; attack++) {
                (void)printf("%s\n", attack->name);
            }
            return 0;
        }
        if (strcmp(argv[i], "--only") == 0 && i + 1 < argc && options.only_count < ONLY_MAX) {
            options.only[options.only_count++] = argv[++i];
        } else if (number == NULL || !parse_count(argv[++i], number)) {
            return use("unknown option or no number");
        }
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    return test_main("hostile", cases, 1, none);
}
