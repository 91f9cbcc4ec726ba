/* Attack a cluster of real servers in each way that attacks.c knows, one after the other, and watch
 * what it costs others: quiet clients' longest waits, elections, memory and descriptors.
 *
 *     hostile [--seconds N] [--bound MS] [--election-timeout MS] [--children N] [--only NAME]...
 *             [--list]
 *
 * The attacked server is the leader; what stays is looked at there and at a follower. Prints a
 * table. Exits 1 when a server ended, an election took place, memory or descriptors did not come
 * back, a quiet client had a failure, or one waited longer than the bound, the time not counted for
 * which threads on the way of a call waited for a processor. The bound is loose unless it is given
 * (2 s), and on a machine whose disk and processors have much else to do elections want a longer
 * timeout. */
#include "base/check.h"
#include "base/quantity.h"
#include "tests/hostile/attacks.h"
#include "tests/hostile/quiet.h"
#include "tests/hostile/victim.h"
#include "tests/support/cluster.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
    ONLY_MAX = 32,
    SERVERS = 3,
    MEASURED = 2, /* the one under attack, and one that is not; the third comes and goes */
    RECOVERY_MS = 60 * 1000,
/* What may stay beyond what the server held before the first attack, with as many of the last
 * writes as it keeps: what is free and not worth giving back, and tables of the size that they had.
 * The sanitizer's allocator keeps much on purpose. */
#ifdef __SANITIZE_ADDRESS__
    MEMORY_KEPT_BYTES_MAX = 1024 * 1024 * 1024
#else
    MEMORY_KEPT_BYTES_MAX = 64 * 1024 * 1024
#endif
};

static struct {
    uint64_t seconds;
    uint64_t bound_ms;
    uint64_t election_timeout_ms;
    uint64_t children;
    const char *only[ONLY_MAX];
    size_t only_count;
} options = {.seconds = 5, .bound_ms = 2000, .election_timeout_ms = 1000, .children = 20000};

/* Where the quiet clients are: the attacked server is the first. */
static const struct {
    const char *name;
    const char *path;
    enum quiet_kind kind;
    size_t place;
} kinds[] = {{"leader", "/quiet", QUIET_NATIVE, 0},
             {"follower", "/quiet-follower", QUIET_NATIVE, 1},
             {"zookeeper", "/quiet-zookeeper", QUIET_ZOOKEEPER, 0},
             {"newcomer", "/quiet-newcomer", QUIET_NEWCOMER, 0}};

enum { QUIET_COUNT = sizeof kinds / sizeof *kinds };

static const char secret[] = "known to the servers and to some attackers";

static struct cluster cluster;
static struct quiet *quiet[QUIET_COUNT];
static bool failed;

static struct {
    uint64_t us; /* without the time for which threads waited for a processor */
    const char *client;
    const char *attack;
} longest = {.client = "nobody", .attack = "nothing"};

/* The server at a place: the leader is at the first one, the others follow by their ids. */
static unsigned victim;

static struct cluster_server *server_at(size_t place)
{
    return &cluster.servers[(victim - 1 + place) % SERVERS + 1];
}

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

static void print_row(const struct attack *attack,
                      uint64_t count,
                      const struct quiet_report reports[QUIET_COUNT])
{
    (void)printf("%-22s %8" PRIu64 " %-11s", attack->name, count, attack->unit);
    for (size_t i = 0; i < QUIET_COUNT; i++) {
        (void)printf(" %7.1f (%4" PRIu64 ")", (double)reports[i].longest_us / 1000,
                     reports[i].longest_unstarved_us / 1000);
    }
}

static void judge_waits(const struct attack *attack, const struct quiet_report reports[QUIET_COUNT])
{
    for (size_t i = 0; i < QUIET_COUNT; i++) {
        const struct quiet_report *report = &reports[i];
        char text[160];

        if (report->longest_unstarved_us > longest.us) {
            longest.us = report->longest_unstarved_us;
            longest.client = kinds[i].name;
            longest.attack = attack->name;
        }
        if (report->failures > 0) {
            (void)snprintf(text, sizeof text, "%s had %" PRIu64 " failures, the first: %s",
                           kinds[i].name, report->failures, report->failure);
            complain(attack->name, text);
        }
        if (report->longest_unstarved_us > options.bound_ms * 1000) {
            (void)snprintf(text, sizeof text, "%s waited for %" PRIu64 " ms, more than %" PRIu64,
                           kinds[i].name, report->longest_unstarved_us / 1000, options.bound_ms);
            complain(attack->name, text);
        }
    }
}

/* The last place's member ends, for somebody to come in its place. */
static void let_attacker_be_a_member(struct site *site)
{
    static uint8_t incarnation[HANDSHAKE_ID_BYTES];
    struct cluster_server *absent = server_at(SERVERS - 1);
    struct handshake_identity attacked;

    EXPECT(rogue_ask_identity(absent->address, secret, &site->member.identity));
    EXPECT(rogue_ask_identity(site->address, secret, &attacked));
    memcpy(incarnation, attacked.incarnation, sizeof incarnation);
    site->member.secret = secret;
    site->member.channel = PEER__CHANNEL__CONTROL;
    site->member.target = (struct handshake_target){.id = attacked.id, .incarnation = incarnation};
    for (size_t i = 0; i < QUIET_COUNT; i++) {
        quiet_set_server(quiet[i], SERVERS - 1, 0);
    }
    cluster_kill(&cluster, absent->id);
}

static void bring_member_back(void)
{
    struct cluster_server *absent = server_at(SERVERS - 1);

    cluster_start(&cluster, absent->id);
    EXPECT_EQ(wire_set_text(absent->address, "/back", ""), CLIENT__CODE__OK); /* it serves */
    for (size_t i = 0; i < QUIET_COUNT; i++) {
        quiet_set_server(quiet[i], SERVERS - 1, absent->process.pid);
    }
}

static void judge_servers(const struct attack *attack,
                          const struct victim_load before[MEASURED],
                          const struct victim_load after[MEASURED],
                          uint64_t term)
{
    uint64_t now = victim_term(server_at(0)->address);
    char text[160];

    for (size_t place = 0; place < MEASURED; place++) {
        if (after[place].descriptors > before[place].descriptors) {
            complain(attack->name, "descriptors did not come back");
        }
        if (after[place].memory_bytes > before[place].memory_bytes + MEMORY_KEPT_BYTES_MAX) {
            complain(attack->name, "memory did not come back");
        }
    }
    if (now != term) {
        (void)snprintf(text, sizeof text, "an election took place: term %" PRIu64 ", was %" PRIu64,
                       now, term);
        complain(attack->name, text);
    }
    for (unsigned id = 1; id <= cluster.server_count; id++) {
        EXPECT(!process_wait(&cluster.servers[id].process, 0));
    }
}

static void perform(const struct attack *attack, const struct victim_load before[MEASURED])
{
    const struct cluster_server *server = server_at(0);
    struct site site = {.address = server->address,
                        .log = server->log,
                        .seconds = options.seconds,
                        .term = victim_term(server->address),
                        .children = options.children};
    struct victim_load peak;
    struct victim_load after[MEASURED];
    struct quiet_report reports[QUIET_COUNT];

    prng_init(&site.prng, 1);
    victim_reset_peak(server->process.pid);
    for (size_t i = 0; i < QUIET_COUNT; i++) {
        quiet_reset(quiet[i]);
    }
    if (attack->who == AS_MEMBER) {
        let_attacker_be_a_member(&site);
    }
    attack->run(&site);
    if (attack->who == AS_MEMBER) {
        bring_member_back();
    }
    peak = victim_load(server->process.pid);
    for (size_t place = 0; place < MEASURED; place++) {
        after[place] = load_after(server_at(place)->process.pid, &before[place]);
    }
    for (size_t i = 0; i < QUIET_COUNT; i++) {
        reports[i] = quiet_report(quiet[i]); /* letting go of them may cost others as much */
    }
    print_row(attack, site.count, reports);
    (void)printf(" %5u %+5d %+5d\n", mib(peak.memory_peak_bytes),
                 (int)mib(after[0].memory_bytes) - (int)mib(before[0].memory_bytes),
                 (int)after[0].descriptors - (int)before[0].descriptors);
    if (site.count == 0) {
        complain(attack->name, "nothing was done");
    }
    if (site.failure != NULL) {
        complain(attack->name, site.failure);
    }
    judge_waits(attack, reports);
    judge_servers(attack, before, after, site.term);
    (void)fflush(stdout);
}

static void start_quiet_clients(void)
{
    pid_t servers[SERVERS];

    for (size_t place = 0; place < SERVERS; place++) {
        servers[place] = server_at(place)->process.pid;
    }
    for (size_t i = 0; i < QUIET_COUNT; i++) {
        struct quiet_options client = {.path = kinds[i].path,
                                       .kind = kinds[i].kind,
                                       .address = server_at(kinds[i].place)->address,
                                       .asked = kinds[i].place,
                                       .leader = 0,
                                       .servers = servers,
                                       .server_count = SERVERS};

        EXPECT_EQ(wire_set_text(client.address, client.path, ""), CLIENT__CODE__OK);
        quiet[i] = quiet_start(&client);
    }
    /* Their connections are there before anything is measured. */
    for (size_t i = 0; i < QUIET_COUNT; i++) {
        for (uint64_t end_ms = process_now_ms() + CLUSTER_DEADLINE_MS;
             quiet_report(quiet[i]).calls == 0 && process_now_ms() < end_ms;) {
            process_pause();
        }
    }
}

static void test_attacks_cost_others_little(void)
{
    static char timeout[32];
    struct victim_load before[MEASURED];

    (void)snprintf(timeout, sizeof timeout, "%" PRIu64 "ms", options.election_timeout_ms);
    cluster_init(&cluster, SERVERS);
    cluster.options[0] = "--election-timeout";
    cluster.options[1] = timeout;
    cluster.options[2] = "--cluster-secret-file";
    cluster.options[3] = cluster_secret_file(secret);
    cluster_form(&cluster);
    victim = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    EXPECT(victim != 0);
    attacks_prepare(server_at(0)->address, options.children);
    start_quiet_clients();
    for (size_t place = 0; place < MEASURED; place++) {
        before[place] = victim_load(server_at(place)->process.pid);
    }
    (void)printf("\nlongest waits of quiet clients in ms (without those for processors); memory in "
                 "MiB\n%-22s %20s",
                 "attack", "done");
    for (size_t i = 0; i < QUIET_COUNT; i++) {
        (void)printf(" %14s", kinds[i].name);
    }
    (void)printf(" %5s %5s %5s\n", "peak", "kept", "files");
    for (const struct attack *attack = attacks; attack->run != NULL; attack++) {
        if (is_chosen(attack)) {
            perform(attack, before);
        }
    }
    (void)printf("longest wait without those for processors: %" PRIu64 " ms, of %s under %s\n",
                 longest.us / 1000, longest.client, longest.attack);
    for (size_t i = 0; i < QUIET_COUNT; i++) {
        quiet_stop(quiet[i]);
    }
    EXPECT(!failed);
    cluster_release(&cluster);
}

/* --- The tools themselves --- */

/* Waits since a beginning at which nobody had waited: main and log's writer of each server. */
static uint64_t lost_us(enum starvation_reach reach, size_t asked, const uint64_t waits[SERVERS][2])
{
    struct starvation before = {.self_us = 0};
    struct starvation after = {.self_us = 1};

    for (size_t i = 0; i < SERVERS; i++) {
        after.servers[i].runs = waits[i][0] != UINT64_MAX;
        after.servers[i].main_us = waits[i][0];
        after.servers[i].log_writer_us = waits[i][1];
    }
    return starvation_on_way(&before, &after, SERVERS,
                             (struct starvation_way){.reach = reach, .asked = asked, .leader = 0});
}

static void test_only_the_longest_wait_on_the_way_of_a_call_is_taken_off(void)
{
    static const uint64_t waits[SERVERS][2] = {{10, 200}, {1000, 4000}, {100, 700}};
    static const uint64_t one_is_down[SERVERS][2] = {{10, 200}, {1000, 4000}, {UINT64_MAX, 0}};

    EXPECT_EQ(lost_us(STARVATION_ASKED, 0, waits), 10);
    EXPECT_EQ(lost_us(STARVATION_ASKED, 1, waits), 1000);
    /* The leader hears itself at once; of the others the less starved one is enough. */
    EXPECT_EQ(lost_us(STARVATION_HEARD, 0, waits), 100);
    EXPECT_EQ(lost_us(STARVATION_HEARD, 0, one_is_down), 1000);
    EXPECT_EQ(lost_us(STARVATION_HEARD, 1, waits), 1000);
    EXPECT_EQ(lost_us(STARVATION_DURABLE, 0, waits), 700);
    EXPECT_EQ(lost_us(STARVATION_DURABLE, 0, one_is_down), 4000);
    EXPECT_EQ(lost_us(STARVATION_DURABLE, 1, waits), 1000);
}

static int use(const char *reason)
{
    (void)fprintf(stderr,
                  "%s\nhostile [--seconds N] [--bound MS] [--election-timeout MS] [--children N] "
                  "[--only NAME]... [--list]\n",
                  reason);
    return 2;
}

static bool parse_count(const char *text, uint64_t *ret_count)
{
    return text != NULL && quantity_parse_count(text, 1U << 30, ret_count, NULL) == STATUS_OK;
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_only_the_longest_wait_on_the_way_of_a_call_is_taken_off),
        TEST_CASE(test_attacks_cost_others_little), TEST_END};
    struct rlimit files;
    char *none[] = {argv[0], NULL};

    for (int i = 1; i < argc; i++) {
        uint64_t *number = strcmp(argv[i], "--seconds") == 0 ? &options.seconds
                           : strcmp(argv[i], "--bound") == 0 ? &options.bound_ms
                           : strcmp(argv[i], "--election-timeout") == 0
                               ? &options.election_timeout_ms
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
